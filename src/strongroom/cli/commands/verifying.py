"""`verify`."""

from __future__ import annotations

from strongroom import drivers, opening
from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.errors import TamperedError


def verify(args: Arguments, out: Output) -> None:
    """Check every record; with `--accept` take the store as it is."""
    more = {"on_rollback": "warn"} | _named(args) if args.accept else {}
    with session.manager(args, **more) as secrets:
        report = secrets.verify(out.progress("verifying"))
        accepted = secrets.accept() if args.accept else None
    if out.json:
        out.document({**report._asdict(), "problems": list(report.problems), "ok": report.ok, "accepted": accepted})
    else:
        for problem in report.problems:
            out.data(problem)
        out.say(
            f"{counted(report.secrets, 'secret')} in {counted(report.versions, 'version')}, "
            f"{counted(report.entries, 'entry')}, revision "
            f"{report.revision:,}: {'all as strongroom wrote them' if report.ok else 'NOT as strongroom wrote them'}"
        )
    if accepted is not None:
        out.say(f"accepted as it is: the store is at revision {accepted:,} now")
    elif not report.ok:
        raise TamperedError(
            f"{counted(len(report.problems), 'problem')}. Restore the store from a backup; after a restore or merge of "
            "your own, `strongroom verify --accept`"
        )


def _named(args: Arguments) -> dict[str, str]:
    """Return the setting that names the store that is there, unless the settings name one: the log may know another."""
    config = session.settings(args)
    if config.store_id:
        return {}
    store = drivers.store(config.store)
    try:
        return {"store_id": opening.store_id(store) or ""}
    finally:
        store.close()


COMMANDS = {
    "verify": Command(
        verify,
        options=(Option("--accept", "take the entries as they are for right, after a restore or merge of your own"),),
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 12),
        description="""\
Decrypts every record and compares all entries with the store's manifest: finds records that were changed, swapped,
renamed, deleted, replayed or added from outside, and a store that was restored from an old copy. Each problem is a
line on standard output; the exit code is then 5.

Restoring a backup yourself looks the same as an attacker doing so. --accept says that it was you. It never
accepts a record that is not authentic.

Another store in the place of the one that the audit log knows is refused by every command. --accept says that this
one belongs there now.""",
        examples="""\
strongroom verify            check everything
strongroom verify --accept   after restoring a backup, or merging two branches""",
    ),
}
