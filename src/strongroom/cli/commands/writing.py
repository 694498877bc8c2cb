"""`set` and `rollback`."""

from __future__ import annotations

import json
from typing import Any

from strongroom.cli import session, times, values
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.cli.standard_input import refuse_unread
from strongroom.errors import InvalidInputError, InvalidValueError
from strongroom.info import VersionInfo
from strongroom.manager.manager import SecretsManager
from strongroom.model import check_name

CAS = Option("--cas", "only if the current version is N (0: if there is no such secret)", "N", number=True)


def set_secret(args: Arguments, out: Output) -> None:
    """Store a new version."""
    check_name(args.name)
    expires = None if args.expires_in is None else times.span(args.expires_in, "--expires-in")
    custom = _custom(args.custom)
    # Opened first, so that nobody types a password twice to learn that the key is wrong.
    with session.manager(args) as secrets:
        made = secrets.set_secret(
            args.name, _data(args, out), args.cas, expires_in=expires, custom=custom, max_versions=args.max_versions
        )
        untold = None if out.json else _untold(secrets, args.name, made)
    tell(out, args.name, made)
    if untold is not None:
        out.warn(untold)


def _untold(secrets: SecretsManager, name: str, made: VersionInfo) -> str | None:
    """Return a warning for a secret whose source does not know this version."""
    # Other secrets do not load what rotates.
    status = secrets.rotation.status(name)[0] if secrets.has_rotation(name) else None
    if status is None or status.rotator is None or status.known == made.version:
        return None
    return (
        f"{name!r} has a rotator, and its source was not told of version {made.version}: `strongroom rotate check "
        f"{name}` asks whether it accepts that value, `strongroom rotate {name} --stdin` gives a value to the source "
        f"too, and `strongroom rollback {name} {status.known or made.version - 1}` goes back"
    )


def _data(args: Arguments, out: Output) -> Any:
    data = _given(args, out)
    _refuse_unread(args)
    return data


def _given(args: Arguments, out: Output) -> Any:
    values.check_sources(args, "value", "generate", "file", "field", "json_data", reads=True)
    if args.json_data:
        return _fields_from_json(values.read_stdin(out))
    if args.field:
        return {name: _field(source, name, args, out) for name, source in _pairs(args.field, "--field")}
    return values.from_source(args, out, f"Value of {args.name}")


def _refuse_unread(args: Arguments) -> None:
    """Raise `InvalidInputError` where a value is piped in and another one asked for."""
    reads = args.file == "-" or any(source == "-" for _, source in _pairs(args.field, "--field"))
    for option, is_given in (
        ("--value", args.value is not None), ("--generate", args.generate), ("--file", args.file is not None),
        ("--field", bool(args.field)),
    ):  # fmt: skip
        if is_given and not reads:
            instead = "--field NAME=- reads it" if option == "--field" else f"without {option} it is the value"
            refuse_unread(option, instead)


def _field(source: str, name: str, args: Arguments, out: Output) -> str:
    if source == "-":
        value = values.asked(args, out, f"Field {name} of {args.name}")
    elif source.startswith("@"):
        value = values.read_file(source[1:], out)
    else:
        raise InvalidInputError(f"--field {name}=… takes - (prompt or standard input) or @PATH, never the value itself")
    try:
        return value if isinstance(value, str) else value.decode().removesuffix("\n")
    except UnicodeDecodeError:
        pass
    raise InvalidValueError(f"the field {name!r} is not UTF-8 text; fields hold text, only a plain secret holds bytes")


def _fields_from_json(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    # Raised outside the handler: the parser's exception holds the document.
    if not isinstance(fields, dict):
        raise InvalidValueError('standard input is not a JSON object of fields, such as {"user": "…"}')
    return fields


def _custom(pairs: list[str]) -> dict[str, str] | None:
    return dict(_pairs(pairs, "--custom")) or None


def _pairs(texts: list[str], option: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or name in dict(pairs):
            raise InvalidInputError(f"{option} takes NAME=…, each name once")
        pairs.append((name, value))
    if option == "--field" and sum(value == "-" for _, value in pairs) > 1:
        _only_on_a_terminal()
    return pairs


def _only_on_a_terminal() -> None:
    import sys

    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError("only one field can be read from standard input; use --json-data for several")


def rollback(args: Arguments, out: Output) -> None:
    """Make an older version current."""
    if not (args.version.isascii() and args.version.isdigit()):
        raise InvalidInputError("VERSION is a whole number; `strongroom history` shows them")
    with session.manager(args) as secrets:
        made = secrets.rollback(args.name, int(args.version), args.cas)
    tell(out, args.name, made)


def about(name: str, made: VersionInfo) -> dict[str, Any]:
    """Return what is known of a version that was made."""
    return {"name": name, "version": made.version, "created": times.iso(made.created),
            "expires": times.iso(made.expires)}  # fmt: skip


def tell(out: Output, name: str, made: VersionInfo) -> None:
    """Print what is known of a version that was made."""
    if out.json:
        out.document(about(name, made))
    else:
        out.say(f"{name}: version {made.version}")


NO_VALUE = "a value is never an operand: pipe it in, or let yourself be asked for it"

COMMANDS = {
    "set": Command(
        set_secret,
        "NAME",
        (
            *values.SOURCES,
            Option(
                "--field",
                "set this field: F=- asks or reads standard input, F=@PATH reads a file",
                "F=SOURCE",
                many=True,
            ),
            Option("--json-data", "read a JSON object of fields from standard input"),
            CAS,
            Option("--expires-in", "stop returning this version after a span such as 30d", "SPAN"),
            Option("--custom", "custom metadata, in place of what was there", "KEY=TEXT", many=True),
            Option("--max-versions", "how many versions of this secret are kept", "N", number=True),
        ),
        exits=(0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        excess=NO_VALUE,
        description=f"""\
Stores a new current version of a secret, durably, and prints its number to standard error.

{values.ABOUT}

NAME is a path such as POSTGRES_PASSWORD or auth-service/db/password. A version holds exactly the fields that
--field or --json-data give; those of the version before are not taken over.""",
        examples="""\
strongroom set POSTGRES_PASSWORD                       ask for the value
pwgen -s 40 1 | strongroom set POSTGRES_PASSWORD       read it from a pipe
strongroom set POSTGRES_PASSWORD --generate            make one
strongroom set TLS_KEY --file server.key               read it from a file
strongroom set db --field user=@user.txt --field password=-   several fields
strongroom set API_TOKEN --cas 0 --expires-in 30d      only if it is new, for 30 days""",
    ),
    "rollback": Command(
        rollback,
        "NAME VERSION",
        (CAS,),
        exits=(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        description="Makes a new current version with the data of an older one. Nothing is lost: the version in between"
        " stays.\n\nA secret with a rotator is rotated to the older value, at its source too (`strongroom rotate`).",
        examples="""\
strongroom history POSTGRES_PASSWORD      find the version
strongroom rollback POSTGRES_PASSWORD 3   make its value the current one""",
    ),
}
