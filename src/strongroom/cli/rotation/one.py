"""`rotate NAME`: one secret gets a new value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.cli import session, values
from strongroom.cli.arguments import Arguments
from strongroom.cli.commands.writing import tell
from strongroom.cli.output import Output
from strongroom.cli.rotation.words import (
    tell_sessions,
    tell_what_is_left,
    tell_who_holds_it,
    told_when_stopped,
    wait_of,
)
from strongroom.cli.standard_input import refuse_unread
from strongroom.errors import InvalidInputError
from strongroom.manager.manager import SecretsManager

if TYPE_CHECKING:
    from strongroom.info import VersionInfo

SOURCES = ("stdin", "prompt", "value", "generate", "file")


def rotate_one(args: Arguments, out: Output) -> None:
    """Give one secret a new value."""
    values.check_sources(args, *SOURCES, reads=False)
    if args.prompt and not out.can_ask:
        raise InvalidInputError("--prompt needs a terminal; pipe the new value in and say --stdin")
    _refuse_unread(args)
    wait = wait_of(args)
    with session.manager(args) as secrets:
        if secrets.rotation.has_rotator(args.name):
            _rotate_at_source(secrets, args, out, wait)
        else:
            _rotate_here(secrets, args, out)


def _rotate_at_source(secrets: SecretsManager, args: Arguments, out: Output, wait: float) -> None:
    value = _new_value(args, out)
    with told_when_stopped(secrets, args.name, out):
        tell_who_holds_it(secrets, args.name, out)
        made = secrets.rotation.rotate(args.name, new_value=value, cas=args.cas, wait=wait, force=args.force)
    tell(out, args.name, made)
    tell_what_is_left(secrets, args.name, out)
    tell_sessions(secrets, args.name, out)


def _rotate_here(secrets: SecretsManager, args: Arguments, out: Output) -> None:
    """Change the value of a secret without a rotator: its source, if it has one, is not told."""
    for option in ("wait", "force"):
        if getattr(args, option):
            raise InvalidInputError(
                f"--{option} means nothing for {args.name!r}, which has no rotator; nothing was changed"
            )
    if secrets.has_history(args.name) and not _says_which_value(args):
        _ask(args, out)
    made: VersionInfo = secrets.rotate_secret(args.name, _new_value(args, out), args.cas)
    tell(out, args.name, made)
    if not out.json:
        out.say(f"{args.name}: `strongroom rollback {args.name} {made.version - 1}` goes back")


def _ask(args: Arguments, out: Output) -> None:
    unknown = f"{args.name!r} has no rotator, so no source is told of a new value"
    if not out.can_ask:
        raise InvalidInputError(
            f"{unknown}, and nothing was changed: --generate makes one all the same, --stdin or --file takes yours, "
            f"`strongroom rotate {args.name} --attach URL` attaches a rotator"
        )
    if not out.agrees(f"{unknown}. Replace its value with a generated one here?", default=False):
        raise InvalidInputError("nothing was changed")


def _says_which_value(args: Arguments) -> bool:
    return any(getattr(args, name) not in (None, False) for name in (*SOURCES, "length", "alphabet"))


def _refuse_unread(args: Arguments) -> None:
    """Raise `InvalidInputError` where a value is piped in and another one would be made."""
    if args.stdin or args.file == "-":
        return
    option = next((f"--{name}" for name in SOURCES if getattr(args, name) not in (None, False)), "")
    refuse_unread(option or "`rotate NAME`", "--stdin takes it as the value", patient=not _says_which_value(args))


def _new_value(args: Arguments, out: Output) -> str | bytes | None:
    """Return the value that the options ask for, None for a generated one of the usual kind."""
    if args.stdin:
        return values.from_stdin(args, out)
    if args.prompt or args.value is not None or args.file is not None:
        return values.from_source(args, out, f"New value of {args.name}")
    return values.generated(args) if args.length is not None or args.alphabet is not None else None
