"""`init` and `keygen`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from strongroom import drivers, opening
from strongroom.cli import git, pinning, session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError, NoKeyError, StoreExistsError, StoreNotFoundError, StrongroomError
from strongroom.model import HEADER
from strongroom.settings import discovery
from strongroom.settings.config import KEY_FILE, VARIABLE, Config, key_file_of, path_of
from strongroom.system import files
from strongroom.urls import shown

KEY_LINE = 45
"""Bytes of a master key and its line feed."""


def init(args: Arguments, out: Output) -> None:
    """Make a store, and a key file when there is no key."""
    config = session.settings(args)
    if "store" not in config.chosen:
        discovery.check_new(config.directory)
    _refuse_existing(config.store)
    config = pinning.released(config)
    key_file, ignored = _key_file_to_make(config), None
    if key_file is not None and "key" not in config.chosen:
        discovery.check_new(os.path.dirname(os.path.abspath(key_file)))
    if key_file is not None:
        _check_key_is_wanted(key_file, args, out)
        config = config._replace(key=f"file:{key_file}")
        # Before there is a key: it must not be there for a moment without that.
        ignored = git.ignore(config, out)
        _make_key(key_file, out)
    provider = None if os.environ.get("STRONGROOM_PASSPHRASE") else session.new_key(config.key, out)
    try:
        with opening.init(settings=config, key=provider, algorithm=args.algorithm, source="cli") as made:
            store_id = made.store_id
    except StrongroomError:
        if key_file is not None:
            out.warn(f"the new master key stays in {key_file}: it is never deleted, and the next `init` uses it")
        raise
    if ignored is None:
        ignored = git.ignore(config, out)
    _tell(config, key_file, ignored, pinning.pin(config, store_id, out), out)


def _refuse_existing(url: str) -> None:
    """Raise `StoreExistsError` before a key is made for nothing."""
    try:
        store = drivers.store(url)
    except StoreNotFoundError:
        return
    try:
        made = store.get(HEADER) is not None
    finally:
        store.close()
    if made:
        raise StoreExistsError(f"{shown(url)} exists already and was left as it is; `strongroom list` opens it")


def _key_file_to_make(config: Config) -> str | None:
    """Return where a new key file belongs, None when there is a key or its place is not ours to fill."""
    path = key_file_of(config.key)
    if path is not None:
        return None if os.path.lexists(path) else path
    if config.key != f"env:{VARIABLE}" or os.environ.get(VARIABLE):
        return None
    store = path_of(config.store)
    return os.path.join(os.path.dirname(store) if store else config.directory, KEY_FILE)


def _check_key_is_wanted(path: str, args: Arguments, out: Output) -> None:
    if not (args.yes or args.generate_key):
        if not out.can_ask:
            raise NoKeyError(f"no master key: export {VARIABLE}, or say --generate-key to make one in {path}")
        if not out.agrees(f"There is no master key. Make a new one in {path}?", default=True):
            raise NoKeyError(f"no master key, so no store was made; export {VARIABLE}, or name a key with --key")


def _make_key(path: str, out: Output) -> None:
    """Write a new key file, durable before there is a store that needs it."""

    try:
        files.make_directories(os.path.dirname(path) or ".")
    except OSError as error:
        raise InvalidInputError(f"the directory of {path} cannot be made: {error.strerror}") from None
    _create_key(path, out)


def _create_key(path: str, out: Output) -> None:
    """Write a new key file that is believed from now on where it is found."""
    from strongroom import generate_master_key
    from strongroom.key_providers.file import create
    from strongroom.settings import bounds

    create(path, generate_master_key())
    try:
        bounds.accept_key(path)
    except (StrongroomError, OSError):
        out.warn(f"nothing here can remember that {path} was made here, so name it each time: --key file:{path}")


def _tell(config: Config, key_file: str | None, ignored: list[str], settings: str | None, out: Output) -> None:
    if out.json:
        out.document({"store": str(config.store), "key": str(config.key), "audit": str(config.audit),
                      "key_file_made": key_file, "gitignore": ignored, "settings_file_made": settings})  # fmt: skip
        return
    out.say(f"store:      {config.store}\naudit log:  {config.audit}\nmaster key: {config.key}")
    if settings:
        out.say(f"settings:   {settings} names this store, so that no other one can take its place")
    if ignored:
        out.say(f"git:        {', '.join(ignored)} lists what must not be committed")
    if key_file:
        out.say(
            "\nThe master key is new; only you can read its file.\n"
            "Keep a copy somewhere safe: without it nobody can read the store.\n"
            f'To give it to a program elsewhere:  export {VARIABLE}="$(cat {key_file})"'
        )
    out.say("\nNext:  strongroom set NAME    then  strongroom get NAME")


def keygen(args: Arguments, out: Output) -> None:
    """Make a key."""
    if args.output is None:
        from strongroom import generate_master_key

        out.data(generate_master_key())
        _accept_output()
        return
    _create_key(args.output, out)
    out.say(f"a new master key is in {args.output}; only you can read it. Keep a copy somewhere safe")


def _accept_output() -> None:
    """`strongroom keygen > master.key` makes a key file here too."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        if os.fstat(sys.stdout.fileno()).st_size == KEY_LINE:
            files.mark(sys.stdout.fileno())


COMMANDS = {
    "init": Command(
        init,
        options=(
            Option("--algorithm", "what encrypts the secrets (default: fernet for file:, else aes-256-gcm)", "NAME",
                   choices=("aes-256-gcm", "fernet")),
            Option("--generate-key", "make a master key without asking, if there is none"),
            Option("--yes", "the same", short="-y"),
        ),
        exits=(0, 2, 4, 8, 9, 12),
        description="""\
Makes a new store and never overwrites one. The master key is the one that --key, the settings or SECRETS_MASTER_KEY
name. When there is none, a new one is made on request in the file master.key beside the store: readable by its
owner only, and on disk before the store is. `strongroom` finds that file by itself from then on.

A new file strongroom.toml names the store by its id, where there are no settings yet and the store is the default one
of the directory: another store in its place is refused then. For a database in a git work tree there is none, since
each developer has one of their own.

In a git work tree, .gitignore then lists what must not be committed: the key's file, the audit log, a database, and
what lies beside a store. A store file:secrets.enc may be committed.

The key is never deleted, not even when making the store fails.""",
        examples="""\
strongroom init                                        a store secrets.db, here; asks for the key
strongroom init --generate-key                         the same in a script
SECRETS_MASTER_KEY=… strongroom init                   with a key that you have
strongroom init --store file:secrets.enc               a text file that can be committed to git
strongroom init --store sqlite:/var/lib/app/secrets.db --key file:/etc/app/master.key""",
    ),
    "keygen": Command(
        keygen,
        options=(Option("--output", "write a new file that only you can read", "PATH", short="-o"),),
        exits=(0, 2),
        description="""\
Makes a master key: a Fernet key, 32 random bytes in URL-safe base64, as Fernet.generate_key() makes it. With
--output it goes to a new file of mode 0600, and an existing file is never overwritten.""",
        examples="""\
strongroom keygen -o master.key                          into a file
export SECRETS_MASTER_KEY="$(strongroom keygen)"         into the environment of this shell
strongroom keygen | docker secret create master_key -    into another tool""",
    ),
}  # fmt: skip
