"""`export`: secrets in the clear, for other tools."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.cli.variables import decides_on_code, may_lead_to_code
from strongroom.errors import InvalidInputError, SecretNotFoundError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.system.files import write_all
from strongroom.system.ways import open_directory

FORMATS = {"dotenv": "dotenv", "json": "json", "yaml": "yaml", "shell": "env"}


def export(args: Arguments, out: Output) -> None:
    """Read secrets, and write them as text."""
    from strongroom import exchange

    if args.output is not None and os.path.lexists(args.output) and not args.force:
        raise InvalidInputError(f"{args.output} exists already and was left as it is; --force replaces it")
    if args.force and args.output is None:
        raise InvalidInputError("--force goes with --output")
    prefix = args.prefix or ""
    with session.manager(args) as secrets:
        names = [prefix + name for name in args.name] or secrets.list_secrets(prefix)
        found = {name.removeprefix(prefix): _value(secrets, name) for name in names}
    if args.format == "shell" and not out.json:
        _check_shell(found, typed=bool(args.name))
    text = exchange.render(found, "json" if out.json else FORMATS[args.format or "dotenv"])
    if args.output is None:
        out.data(text, end="")
        return
    _write(args.output, text.encode(), force=args.force)
    out.say(
        f"{counted(len(found), 'secret')} in the clear in {args.output}; only you can read it. "
        "Delete it when it has served"
    )


def _value(secrets: SecretsManager, name: str) -> Any:
    data = secrets.get_data(name)
    if data is None:
        raise SecretNotFoundError(f"there is no secret {name!r} (or it has expired); nothing was exported", name=name)
    return data["value"] if list(data) == ["value"] else data


def _check_shell(names: Iterable[str], *, typed: bool) -> None:
    """Refuse names that would change what the user's shell runs, as `strongroom run` does."""
    for name in names:
        if decides_on_code(name) or (not typed and may_lead_to_code(name)):
            raise InvalidInputError(
                f"{name!r} would set a variable from which shells and other programs take settings or code; name the "
                "secrets to export, without it, or take another format"
            )


def _write(path: str, content: bytes, *, force: bool) -> None:
    """Write a file that only its owner can read; it appears whole or not at all, and survives a power loss."""
    directory, name = os.path.split(path)
    try:
        at = open_directory(directory or ".", own_links=True)
        try:
            _write_at(at, name, content, force=force)
        finally:
            os.close(at)
    except FileExistsError:
        raise InvalidInputError(f"{path} exists already and was left as it is; --force replaces it") from None
    except OSError as error:
        raise StrongroomError(f"{path} cannot be written: {error.strerror}; nothing was left there") from None


def _write_at(at: int, name: str, content: bytes, *, force: bool) -> None:
    """Write the file below the descriptor of its directory, whatever is at the directory's path by now."""
    draft = f"{name}.{os.urandom(6).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=at)
    try:
        with open(descriptor, "wb", buffering=0):
            write_all(descriptor, content)
            os.fsync(descriptor)
        if force:
            os.replace(draft, name, src_dir_fd=at, dst_dir_fd=at)
        else:
            os.link(draft, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=at)
    os.fsync(at)


COMMANDS = {
    "export": Command(
        export,
        "[NAME...]",
        (
            Option(
                "--format",
                "dotenv (default), json, yaml, or shell: lines that `eval` takes",
                "NAME",
                choices=tuple(FORMATS),
            ),
            Option("--prefix", "the secrets below this prefix, which is left out of the names", "PREFIX"),
            Option("--output", "write a new file that only you can read", "PATH", short="-o"),
            Option("--force", "replace the file of --output"),
        ),
        exits=(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12),
        description="""\
Writes secrets in the clear, all or those that are named, to standard output or to a new file of mode 0600. Each read is
on record. `strongroom import` takes dotenv, json and yaml back.

The format shell refuses variables that programs take code from, as `strongroom run` does.

What can be done with `strongroom run` needs no such file.""",
        examples="""\
strongroom export --format json --output backup.json       everything, into a private file
strongroom export POSTGRES_PASSWORD                        one secret, as a line of a .env file
eval "$(strongroom export --format shell --prefix ci/)"    into this shell""",
    ),
}
