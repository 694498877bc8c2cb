"""`import`: take secrets over from where they lie in the clear, or under an older key."""

from __future__ import annotations

import os
from typing import Any

from strongroom.cli import session, values
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.errors import ConflictError, InvalidInputError
from strongroom.manager.manager import SecretsManager

FORMATS = ("dotenv", "json", "yaml", "fernet-json", "env")


def import_secrets(args: Arguments, out: Output) -> None:
    """Read everything, then write all of it or nothing."""
    if args.overwrite and args.skip_existing:
        raise InvalidInputError("--overwrite and --skip-existing exclude each other; give one")
    found = {(args.prefix or "") + name: value for name, value in _chosen(_read(args, out), args.only).items()}
    if not found:
        raise InvalidInputError("there is nothing to import")
    with session.manager(args) as secrets:
        existing = sorted(set(found) & set(secrets.list_secrets(args.prefix or "")))
        _refuse_existing(existing, args)
        skipped = existing if args.skip_existing else []
        new = {name: value for name, value in found.items() if name not in skipped}
        written = {} if args.dry_run else _write(secrets, new, args)
    _tell(args, out, new, written, existing, skipped)


def _read(args: Arguments, out: Output) -> dict[str, Any]:
    if args.format == "env":
        return _from_environment(args.source)
    if len(args.source) != 1:
        raise InvalidInputError("name one FILE, or - for standard input")
    path = args.source[0]
    if path == "-" and args.format is None:
        raise InvalidInputError(f"standard input shows no format: say which with --format {'|'.join(FORMATS[:-1])}")
    if args.source_key is not None and args.format != "fernet-json":
        raise InvalidInputError("--source-key goes with --format fernet-json")
    content = values.read_file(path, out)
    if args.format == "fernet-json":
        from strongroom.exchange import fernet_json

        return dict(fernet_json.read(content, _source_key(args.source_key, out)))
    from strongroom import exchange

    return exchange.parse(content, args.format or exchange.guess(path))


def _from_environment(names: list[str]) -> dict[str, str | bytes]:
    if not names:
        raise InvalidInputError("name the variables to import: strongroom import --format env POSTGRES_PASSWORD …")
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise InvalidInputError(f"not in the environment: {', '.join(missing)}; nothing was imported")
    return {name: values.text_or_bytes(os.fsencode(os.environ[name])) for name in names}


def _source_key(url: str | None, out: Output) -> bytes:
    """Return the Fernet key that the old file was encrypted with."""
    scheme, _, rest = (url or "").partition(":")
    if scheme == "env" and rest:
        key = os.environ.get(rest)
        if not key:
            raise InvalidInputError(f"the variable {rest} is not set; it should hold the old file's key")
        return key.encode("utf-8", "surrogateescape")
    if scheme == "file" and rest:
        return values.read_file(rest, out).strip()
    raise InvalidInputError("say where the old file's key is: --source-key env:VARIABLE or --source-key file:PATH")


def _chosen(found: dict[str, Any], only: str | None) -> dict[str, Any]:
    if only is None:
        return found
    names = [name for name in only.split(",") if name]
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidInputError(f"--only names what is not there: {', '.join(missing)}; nothing was imported")
    return {name: found[name] for name in names}


def _refuse_existing(existing: list[str], args: Arguments) -> None:
    if existing and not (args.overwrite or args.skip_existing):
        raise ConflictError(
            f"nothing was imported, as these exist already: {', '.join(existing)}. Say --overwrite for new versions of "
            "them, or --skip-existing"
        )


def _write(secrets: SecretsManager, new: dict[str, Any], args: Arguments) -> dict[str, int]:
    try:
        made = secrets.set_secrets(new, overwrite=args.overwrite) if new else {}
    except ConflictError as error:
        if error.name is None or args.overwrite:
            raise
        raise ConflictError(
            f"nothing was imported: {error.name!r} was deleted before, or made at this moment. --overwrite makes a new "
            "version of it",
            name=error.name,
            version=error.version,
        ) from None
    return {name: info.version for name, info in made.items()}


def _tell(
    args: Arguments, out: Output, new: dict[str, Any], written: dict[str, int], existing: list[str], skipped: list[str]
) -> None:
    if out.json:
        out.document({"imported": written, "would_import": sorted(new) if args.dry_run else [],
                      "existing": existing, "skipped": skipped})  # fmt: skip
        return
    for name in skipped:
        out.say(f"{name}: exists, skipped")
    if args.dry_run:
        for name in new:
            out.say(f"{name}: {'would get a new version' if name in existing else 'would be made'}")
        out.say(f"{counted(len(new), 'secret')} would be imported; nothing was changed")
        return
    for name, version in written.items():
        out.say(f"{name}: version {version}")
    out.say(f"{counted(len(written), 'secret')} imported")
    if written and args.format not in ("env", "fernet-json") and args.source != ["-"]:
        out.say(
            f"\n{args.source[0]} still holds them in the clear. Try your program with `strongroom run`, delete the "
            "file (also from git's history and backups), then rotate the values: whoever read the file knows them"
        )


COMMANDS = {
    "import": Command(
        import_secrets,
        "[SOURCE...]",
        (
            Option(
                "--format", "what SOURCE is; found out from the file's name where it shows", "NAME", choices=FORMATS
            ),
            Option("--source-key", "fernet-json: where the old file's Fernet key is, env:VARIABLE or file:PATH", "URL"),
            Option("--prefix", "put this before each name", "PREFIX"),
            Option("--only", "import these names only, as they are in the source", "NAME,NAME"),
            Option("--overwrite", "make new versions of secrets that exist"),
            Option("--skip-existing", "leave secrets that exist as they are"),
            Option("--dry-run", "say what would be imported, and change nothing"),
        ),
        exits=(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12),
        description="""\
Takes secrets over, all of them or none. SOURCE is a file, or - for standard input. Names that exist are an error that
lists them, unless --overwrite or --skip-existing says what to do.

  dotenv       lines NAME=value, as in .env files
  json, yaml   an object of names and values; a value that is an object becomes a secret with fields
  fernet-json  a file encrypted with Fernet before: a JSON object of names and tokens, or one token around a JSON
               object; --source-key names its key
  env          SOURCE... are names of environment variables""",
        examples="""\
strongroom import .env --dry-run                            see what would happen
strongroom import .env                                      import it
strongroom import --format env POSTGRES_PASSWORD API_TOKEN  from the environment
strongroom import old.json --format fernet-json --source-key env:OLD_KEY
sops -d secrets.yaml | strongroom import - --format yaml    from another tool""",
    ),
}
