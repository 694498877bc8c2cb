"""`get`, `list` and `history`."""

from __future__ import annotations

import json

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidValueError, SecretNotFoundError
from strongroom.manager.manager import SecretsManager


def get(args: Arguments, out: Output) -> None:
    """Print a value."""
    with session.manager(args) as secrets:
        data = secrets.get_data(args.name, version=args.version)
    field = args.field or "value"
    if data is not None and args.field is None and "value" not in data:
        raise InvalidValueError(
            f"{args.name!r} has several fields: --field NAME prints one of {', '.join(sorted(data))}; `strongroom "
            "export` writes all",
            name=args.name,
        )
    if data is not None and field in data:
        value = data[field]
    elif args.default is None:
        raise SecretNotFoundError(_absent(args), name=args.name)
    else:
        value = args.default
    if out.json:
        out.document({"name": args.name, "value": _text(value)})
    elif isinstance(value, str | bytes):
        out.data(value, end="" if args.n else "\n")
    else:
        out.data(json.dumps(value, ensure_ascii=False), end="" if args.n else "\n")


def _absent(args: Arguments) -> str:
    what = f"field {args.field!r} of " if args.field else ""
    what += f"version {args.version} of " if args.version is not None else ""
    hint = "`strongroom list` shows names"
    if args.version is not None:
        hint = f"`strongroom history {args.name}` shows its versions"
    return f"there is no {what}secret {args.name!r} (or it was deleted, or has expired); {hint}"


def _text(value: object) -> object:
    if isinstance(value, bytes):
        from base64 import b64encode

        return {"base64": b64encode(value).decode()}
    return value


def list_names(args: Arguments, out: Output) -> None:
    """List names, with `--long` what is known of each."""
    with session.manager(args) as secrets:
        names = secrets.list_secrets(args.prefix or "")
        rows = [_about(secrets, name) for name in names] if args.long else []
    if out.json:
        out.document(rows if args.long else names)
    elif args.long:
        heads = ("NAME", "VERSION", "CHANGED", "EXPIRES", "CUSTOM")
        out.rows(heads, [_columns(row) for row in rows])
    else:
        for name in names:
            out.data(name)


def _about(secrets: SecretsManager, name: str) -> dict[str, object]:
    from strongroom.cli import times

    known = secrets.metadata(name)
    if known is None:
        return {"name": name}
    newest = known.versions[-1]
    return {
        "name": name, "version": known.current, "created": times.iso(newest.created),
        "expires": times.iso(newest.expires), "max_versions": known.max_versions, "custom": dict(known.custom),
    }  # fmt: skip


def _columns(row: dict[str, object]) -> list[object]:
    custom = row.get("custom")
    pairs = ", ".join(f"{key}={text}" for key, text in custom.items()) if isinstance(custom, dict) else ""
    return [row["name"], row.get("version"), row.get("created"), row.get("expires"), pairs]


def history(args: Arguments, out: Output) -> None:
    """List versions."""
    from strongroom.cli import times

    with session.manager(args) as secrets:
        known = secrets.metadata(args.name)
    if known is None:
        raise SecretNotFoundError(f"there is no secret {args.name!r}; `strongroom list` shows names", name=args.name)
    rows = [
        {
            "version": info.version, "created": times.iso(info.created), "state": info.state,
            "current": info.version == known.current, "deleted": times.iso(info.deleted),
            "expires": times.iso(info.expires),
        }
        for info in known.versions
    ]  # fmt: skip
    if out.json:
        out.document({"name": known.name, "max_versions": known.max_versions, "custom": dict(known.custom),
                      "versions": rows})  # fmt: skip
        return
    heads = ("VERSION", "CREATED", "STATE", "EXPIRES")
    states = [f"{row['state']}, current" if row["current"] else row["state"] for row in rows]
    out.rows(heads, [(row["version"], row["created"], state, row["expires"])
                     for row, state in zip(rows, states, strict=True)])  # fmt: skip


COMMANDS = {
    "get": Command(
        get,
        "NAME",
        (
            Option("--version", "an older version instead of the current one", "N", number=True),
            Option("--field", "one field of a secret that has several", "FIELD"),
            Option("--default", "print this when there is no such secret, instead of failing", "TEXT"),
            Option("-n", "no line feed after the value"),
        ),
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 12, 141),
        description="""\
Prints the value of a secret and a line feed, and nothing else. A value of bytes is printed as it is.

The access is in the audit log before the value is printed. When there is no such secret, nothing is printed and the
exit code is 3.""",
        examples="""\
strongroom get POSTGRES_PASSWORD                      print the current value
strongroom get auth-service/db --field password       print one field
strongroom get POSTGRES_PASSWORD --version 2          print an older value
PGPASSWORD="$(strongroom get POSTGRES_PASSWORD)" psql   pass it on (`strongroom run` does that better)""",
    ),
    "list": Command(
        list_names,
        "[PREFIX]",
        (Option("--long", "version, times and custom metadata too; each secret is then on record", short="-l"),),
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 12),
        description="""\
Lists the names of the secrets that start with PREFIX, one on each line, sorted. Deleted ones are left out. No value is
decrypted. `ls` is the same command.""",
        examples="""\
strongroom list                  all names
strongroom list auth-service/    those of one service
strongroom list --long --json    everything that is known of them""",
    ),
    "history": Command(
        history,
        "NAME",
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 12),
        description="Lists the versions of a secret that are kept, oldest first: when each was made, its state, when it"
        " expires.",
        examples="""\
strongroom history POSTGRES_PASSWORD          the versions as a table
strongroom history POSTGRES_PASSWORD --json   the same for a program""",
    ),
}
