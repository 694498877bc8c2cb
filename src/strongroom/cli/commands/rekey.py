"""`rekey`: change the keys, and who holds one."""

from __future__ import annotations

from contextlib import suppress

from strongroom import drivers
from strongroom.cli import session, times
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.settings import bounds
from strongroom.settings.config import key_file_of
from strongroom.urls import shown

EXITS = (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)


def master(args: Arguments, out: Output) -> None:
    """Change the master key."""
    if args.to is None:
        raise InvalidInputError("--to is missing: where the new master key is, such as --to file:new.key")
    config = session.settings(args)
    new = session.new_key(args.to, out)
    with session.open_with(config) as secrets:
        recipient = secrets.custody.rekey_master(new)
    _accept(args.to)
    if out.json:
        out.document({"id": recipient.id, "label": recipient.label, "added": times.iso(recipient.added)})
        return
    out.say(f"the store opens with the key from {recipient.label} now, and no longer with the one from {config.key}")
    if recipient.label != str(config.key):
        out.say(f"name it from now on: --key {shown(args.to)}, STRONGROOM_KEY, or key in strongroom.toml")
        new_file, old_file = key_file_of(recipient.label), key_file_of(config.key)
        if "key" not in config.chosen and new_file and old_file:
            out.say(f"or put it where strongroom looks by itself: mv {new_file} {old_file}")
    out.say("backups made before still open with the old key: keep it as long as you keep them")


def _accept(url: str) -> None:
    """Let the new key file be believed where it will be found; it was named, so it may have been made elsewhere."""
    path = bounds.path_in("key", url)
    if path is not None:
        with suppress(StrongroomError, OSError):
            bounds.accept_key(path)


def data(args: Arguments, out: Output) -> None:
    """Change the data key."""
    progress = out.progress("re-encrypting")
    if args.finish and args.algorithm:
        raise InvalidInputError("--finish makes no new key, so it takes no --algorithm")
    with session.manager(args) as secrets:
        custody = secrets.custody
        done = custody.finish_rekey(progress) if args.finish else custody.rekey_data(args.algorithm, progress)
    if out.json:
        out.document({"reencrypted": done})
    else:
        out.say(f"encrypted again: {counted(done, 'record')}")


def add(args: Arguments, out: Output) -> None:
    """Add a recipient."""
    with session.manager(args) as secrets:
        recipient = secrets.custody.add_recipient(session.new_key(args.key_url, out))
    if out.json:
        out.document({"id": recipient.id, "label": recipient.label, "added": times.iso(recipient.added)})
    else:
        out.say(f"recipient {recipient.id}: the key from {recipient.label} opens the store too")


def remove(args: Arguments, out: Output) -> None:
    """Remove a recipient."""
    if not (args.id.isascii() and args.id.isdigit()):
        raise InvalidInputError("ID is a number; `strongroom rekey list` shows them")
    stay = [drivers.key_provider(url) for url in args.stay]
    with session.manager(args) as secrets:
        readable = secrets.custody.remove_recipient(int(args.id), stay)
        done = secrets.custody.finish_rekey(out.progress("re-encrypting"))
    if out.json:
        out.document({"removed": int(args.id), "could_read": readable, "reencrypted": done})
        return
    out.say(f"recipient {args.id} is shut out, and {counted(done, 'record')} encrypted again")
    out.say("it could read these secrets, and may have kept them; rotate each:")
    for name in readable:
        out.data(name)


def show(args: Arguments, out: Output) -> None:
    """List recipients and keys."""
    with session.manager(args) as secrets:
        recipients, keys = secrets.custody.recipients(), secrets.custody.keys()
    if out.json:
        out.document({
            "recipients": [{"id": r.id, "label": r.label, "added": times.iso(r.added)} for r in recipients],
            "keys": [{**key._asdict(), "created": times.iso(key.created)} for key in keys],
        })  # fmt: skip
        return
    out.rows(("RECIPIENT", "KEY FROM", "ADDED"), [(r.id, r.label, times.iso(r.added)) for r in recipients])
    out.data("")
    heads = ("KEY", "PURPOSE", "ALGORITHM", "STATE", "CREATED")
    out.rows(heads, [(k.id, k.purpose, k.algorithm, k.state, times.iso(k.created)) for k in keys])


COMMANDS = {
    "rekey master": Command(
        master,
        options=(Option("--to", "where the new master key is: env:VARIABLE, file:PATH, passphrase:PATH", "URL"),),
        exits=EXITS,
        description="""\
Changes the master key. One small entry of the store is rewritten, atomically; no secret is encrypted again, and
running programs are not disturbed. The new key is tried before the old one stops opening the store.

Whoever kept the old key and an old copy of the store can still read that copy: to shut somebody out, use
`strongroom rekey remove`, or after this command `strongroom rekey data`, and rotate the values.""",
        examples="""\
strongroom keygen -o new.key && strongroom rekey master --to file:new.key   a new key file
NEW_KEY=… strongroom rekey master --to env:NEW_KEY                          a key from the environment""",
    ),
    "rekey data": Command(
        data,
        options=(
            Option(
                "--algorithm",
                "what the new key encrypts with (default: as the previous key)",
                "NAME",
                choices=("aes-256-gcm", "fernet"),
            ),
            Option("--finish", "make no new key: go on after an interrupted rekey"),
        ),
        exits=EXITS,
        description="""\
Makes a new data key, which encrypts from that moment on, then encrypts every record again with it. Readers and
writers go on meanwhile. Interrupted at any moment, it loses nothing and goes on with --finish.""",
        examples="""\
strongroom rekey data                           a new key of the same algorithm
strongroom rekey data --algorithm fernet        change the algorithm
strongroom rekey data --finish                  go on after an interruption""",
    ),
    "rekey add": Command(
        add,
        "KEY_URL",
        exits=EXITS,
        description="""\
Lets another master key open the store too, such as a recovery key that is in a safe, or that of a second
machine. Each party keeps its own key.""",
        examples="""\
strongroom rekey add file:recovery.key    a recovery key, made with `strongroom keygen -o recovery.key`
strongroom rekey add passphrase:          a passphrase, asked for on the terminal""",
    ),
    "rekey remove": Command(
        remove,
        "ID",
        (Option("--stay", "the key of another recipient who stays", "URL", many=True),),
        exits=EXITS,
        description="""\
Shuts a recipient out. As it may have kept the root key, every key of the store is made anew, which takes the
key of each recipient who stays (the one in use, and one --stay for each other), and every record is encrypted again.
The names of the secrets that it could read are printed: rotate their values.""",
        examples="""\
strongroom rekey list                                      find the number
strongroom rekey remove 2                                  when you are the only other one
strongroom rekey remove 2 --stay file:recovery.key         when there is a recovery key""",
    ),
    "rekey list": Command(
        show,
        exits=EXITS,
        description="Lists the recipients (who can open the store) and the keys of the store: never a key itself.",
        examples="""\
strongroom rekey list          two tables
strongroom rekey list --json   the same for a program""",
    ),
}
