"""`audit`: read, verify and hand out the audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.errors import StrongroomError, TamperedError
from strongroom.model import ACTIONS, AUDIT, HEADER, OUTCOMES

FILTERS = (
    Option("--name", "only this name; * stands for any text, a / at the end for all below", "NAME"),
    Option("--action", "only this action", "WORD", choices=ACTIONS),
    Option("--outcome", "only this outcome", "WORD", choices=OUTCOMES),
    Option("--by", "only this actor", "NAME"),
    Option("--since", "not before: 24h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z", "WHEN"),
)
if TYPE_CHECKING:
    from strongroom.audit.report import AuditReport

COLUMNS = ("ts", "action", "name", "version", "outcome", "reason", "actor", "service", "pid", "host", "authentic")
EXITS = (0, 2, 3, 4, 5, 6, 8, 9, 10, 12)


def log(args: Arguments, out: Output) -> None:
    """Show events."""
    events = _events(args, args.limit or 100)
    if out.json or not out.on_terminal:
        for event in events:
            out.data(json.dumps(event))
    else:
        columns = COLUMNS[:-2]
        out.rows([c.upper() for c in columns], [[_shown(event, column) for column in columns] for event in events])
    if strange := sum("authentic" in event for event in events):
        # On a terminal their outcome is marked, elsewhere they have the field `authentic`.
        out.say(
            f"{counted(strange, 'event')} of these {'is' if strange == 1 else 'are'} not authentic (outcome with a ?): "
            "anybody who can write to the log can have added that; see `strongroom audit verify`"
        )


def _shown(event: dict[str, Any], column: str) -> object:
    """Return a cell of the table; what nothing authenticates is marked."""
    value = event.get(column)
    return f"{value}?" if column == "outcome" and "authentic" in event else value


def export(args: Arguments, out: Output) -> None:
    """Write events, oldest first."""
    events = reversed(_events(args, None))
    if args.format == "csv":
        out.data(",".join(column.upper() for column in COLUMNS))
        for event in events:
            event["authentic"] = {False: "no", None: "unknown"}.get(event.get("authentic", True), "yes")
            out.data(",".join(_cell(event.get(column)) for column in COLUMNS))
    else:
        for event in events:
            out.data(json.dumps(event))


def _events(args: Arguments, limit: int | None) -> list[dict[str, Any]]:
    with session.manager(args) as secrets:
        return secrets.get_audit_logs(
            limit, name=args.name, action=args.action, outcome=args.outcome, actor=args.by, since=args.since
        )


def _cell(value: object) -> str:
    """Return a CSV cell (RFC 4180) that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    text = "'" + text if text.startswith(("=", "+", "-", "@")) else text
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def verify(args: Arguments, out: Output) -> None:
    """Verify the chain."""
    if args.keys is None:
        with session.manager(args, on_rollback="warn") as secrets:
            report = secrets.verify_audit()
    else:
        report = _verify_with(args, out)
    if out.json:
        out.document({**report._asdict(), "problems": [p._asdict() for p in report.problems],
                      "notes": [n._asdict() for n in report.notes], "ok": not report.problems})  # fmt: skip
    else:
        for kind, findings in (("", report.problems), ("note: ", report.notes)):
            for segment, line, message, consequences in findings:
                out.data(f"{kind}{_place(segment, line)}{message}")
                for consequence in consequences:
                    out.data(f"    {consequence}")
        out.say(
            f"{counted(report.events, 'event')} in {counted(report.streams, 'stream')} "
            f"and {counted(report.segments, 'file')}: {'NOT ' if report.problems else 'all '}as strongroom wrote them"
        )
    if report.problems:
        segment, line, message, _ = report.problems[0]
        raise TamperedError(f"the audit log is not as it was written: {_place(segment, line)}{message}")


def _verify_with(args: Arguments, out: Output) -> AuditReport:
    """Verify with the audit keys alone; the checkpoints are in the store, if that can be read."""
    from strongroom import drivers, opening
    from strongroom.audit.keys import import_keys
    from strongroom.audit.verify import verify
    from strongroom.cli.values import read_file
    from strongroom.records.context import entries
    from strongroom.records.header import Header

    keys = import_keys(read_file(args.keys, out).decode("utf-8", "replace"))
    config = session.settings(args)
    try:
        store = drivers.store(config.store)
    except StrongroomError as error:
        out.warn(f"the store cannot be read ({error}), so a log whose end was cut off is not noticed")
        return verify(opening.sink_of(config), keys, {})
    with store.view() as view:
        store_id = Header.decode(view.get(HEADER) or b"").store
        checkpoints = {path.removeprefix(AUDIT): stored for path, stored in entries(view, AUDIT)}
    store.close()
    return verify(opening.sink_of(config), keys, checkpoints, store=store_id)


def _place(segment: int, line: int) -> str:
    return f"file {segment}, line {line}: " if line else ""


def keys(args: Arguments, out: Output) -> None:
    """Export the audit keys."""
    from strongroom.audit.keys import export_keys

    with session.manager(args) as secrets:
        document = export_keys(secrets.custody.audit_keys())
    if args.output is None:
        out.data(document)
        return
    from strongroom.key_providers.file import create

    create(args.output, document)
    out.say(f"the audit keys are in {args.output}; they open no secret, but whoever has them can forge a log")


COMMANDS = {
    "audit log": Command(
        log,
        options=(Option("--limit", "at most N events (default 100)", "N", number=True, short="-n"), *FILTERS),
        exits=EXITS,
        description="""\
Shows the newest events first: as a table on a terminal, else as one JSON object on each line. An intent whose outcome
is known is left out. Looking at the log is an event too.

Anybody who can write to the log can add lines. What is not authentic is marked: `?` after the outcome in the table, the
field "authentic" (false) in JSON. The refusal of a wrong master key is such a line, since without a key nothing can
authenticate it. --limit counts authentic events; as many others are shown with them.""",
        examples="""\
strongroom audit log                                     the newest 100 events
strongroom audit log --name POSTGRES_PASSWORD --since 24h   who used it today
strongroom audit log --outcome denied --limit 10 --json     refusals, for a program""",
    ),
    "audit verify": Command(
        verify,
        options=(Option("--keys", "verify with these audit keys, and without the master key", "PATH"),),
        exits=EXITS,
        description="""\
Verifies the chain of the audit log against the keys and the checkpoints in the store: finds lines that were changed,
removed, moved, repeated, added or cut off, and a log that was removed or replaced. Each problem is a line on standard
output, with what follows from it indented below; the first bad line is named, and the exit code is 5. Notes are worth
knowing but no sign of tampering.

With --keys an auditor needs neither the master key nor a way to read secrets. Without the store, what was cut off at
the log's end is not seen.""",
        examples="""\
strongroom audit verify                           with the master key
strongroom audit verify --keys audit-keys.json    for an auditor: see `strongroom audit keys`""",
    ),
    "audit export": Command(
        export,
        options=(
            Option("--format", "jsonl (default) or csv", "NAME", choices=("jsonl", "csv")),
            *FILTERS,
        ),
        exits=EXITS,
        description="Writes all events that match, oldest first, as JSON lines or as CSV. `audit log` says how filters"
        " work.",
        examples="""\
strongroom audit export > audit.jsonl                        everything
strongroom audit export --format csv --since 30d > audit.csv   a month, for a spreadsheet""",
    ),
    "audit keys": Command(
        keys,
        options=(Option("--output", "write a new file that only you can read", "PATH", short="-o"),),
        exits=EXITS,
        description="""\
Writes the keys that `strongroom audit verify --keys` needs, as JSON. They open no secret. But the chain is symmetric:
whoever has them could also forge a log that verifies, so give them to your auditor only.""",
        examples="""\
strongroom audit keys --output audit-keys.json   into a new file of mode 0600""",
    ),
}
