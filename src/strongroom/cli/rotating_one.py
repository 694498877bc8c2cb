"""`rotate NAME`: one secret gets a new value."""

from __future__ import annotations

from strongroom.cli import session, values
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.cli.rotation_words import tell_what_is_left, tell_who_holds_it, told_when_stopped, wait_of
from strongroom.cli.writing import tell
from strongroom.errors import InvalidInputError


def rotate_one(args: Arguments, out: Output) -> None:
    """Give one secret a new value."""
    values.one_of(args, "stdin", "prompt", "value", "generate", "file")
    if args.prompt and not out.can_ask:
        raise InvalidInputError("--prompt needs a terminal; pipe the new value in and say --stdin")
    with session.manager(args) as secrets:
        value = _new_value(args, out)
        with told_when_stopped(secrets, args.name, out):
            if secrets.rotation.has_rotator(args.name):
                tell_who_holds_it(secrets, args.name, out)
                made = secrets.rotation.rotate(
                    args.name, new_value=value, cas=args.cas, wait=wait_of(args), force=args.force
                )
            else:
                made = secrets.rotate_secret(args.name, value, args.cas)
        tell(out, args.name, made)
        if secrets.rotation.has_rotator(args.name):
            tell_what_is_left(secrets, args.name, out)


def _new_value(args: Arguments, out: Output) -> str | bytes | None:
    """Return the value that the options ask for, None for a generated one of the usual kind."""
    if args.stdin:
        return values.from_stdin(args, out)
    if args.prompt or args.value is not None or args.file is not None:
        return values.from_source(args, out, f"New value of {args.name}")
    return values.generated(args) if args.length is not None or args.alphabet is not None else None
