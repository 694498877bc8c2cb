"""`rotate status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom.cli import session, times
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.cli.rotation_words import HOW_TO_ATTACH, holders_of

if TYPE_CHECKING:
    from strongroom.rotation.consumers import Consumer
    from strongroom.rotation.status import RotationStatus


def show_status(args: Arguments, out: Output) -> None:
    """Print what is known of one rotation, or of all."""
    with session.manager(args) as secrets:
        found = secrets.rotation.status(args.name, holders=args.name is not None)
    if out.json:
        out.document([_document(status) for status in found])
        return
    if not found:
        out.say(f"no secret has a rotator; {HOW_TO_ATTACH}")
        return
    heads = ("NAME", "STEP", "VERSION", "ROTATOR", "DUE", "GRACE ENDS", "LAGGARDS", "ERROR")
    out.rows(heads, [
        (s.name, s.step + (" (running)" if s.running else ""), s.version, s.rotator, times.iso(s.due),
         times.iso(s.grace_ends), ", ".join(c.label for c in s.laggards) or None, s.error)
        for s in found
    ])  # fmt: skip
    for status in found:
        for who in holders_of(status) if args.name is not None else ():
            out.say(f"{status.name}: version {status.before or status.version} is held by {who}")
        if status.step == "promoted" and not status.keeps_previous:
            out.say(f"{status.name}: new log-ins with the previous value are refused already")
        if status.advice is not None:
            out.warn(f"{status.name}: {status.advice}")


def _document(status: RotationStatus) -> dict[str, Any]:
    def shown(consumer: Consumer) -> dict[str, Any]:
        process = consumer.process
        return {
            "service": consumer.service, "pid": process.pid, "host": process.host, "version": consumer.version,
            "since": consumer.since, "stopped": process.is_stopped,
        }  # fmt: skip

    moments = {field: times.iso(getattr(status, field)) for field in ("due", "started", "grace_ends")}
    holders = [holder._asdict() | {"time": times.iso(holder.time)} for holder in status.holders]
    people = {field: [shown(consumer) for consumer in getattr(status, field)] for field in ("consumers", "laggards")}
    return status._asdict() | moments | people | {"holders": holders}
