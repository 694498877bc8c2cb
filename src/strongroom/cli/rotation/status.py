"""`rotate status`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from strongroom.cli import session, times
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.cli.rotation.words import HOW_TO_ATTACH, holders_of, next_step

if TYPE_CHECKING:
    from strongroom.rotation.consumers import Consumer
    from strongroom.rotation.status import RotationStatus

HEADS = (
    "NAME", "STEP", "VERSION", "ROTATOR", "DUE", "GRACE ENDS", "LAGGARDS", "ERROR", "STARTED", "CREATED", "FAILED",
    "REASON",
)  # fmt: skip
SHORT_HEADS = ("NAME", "STEP", "VERSION", "AGE", "DUE", "GRACE ENDS", "LAGGARDS", "ROTATOR")


def show_status(args: Arguments, out: Output) -> None:
    """Print what is known of one rotation, or of all."""
    with session.manager(args) as secrets:
        found = secrets.rotation.status(args.name, holders=args.name is not None)
    if out.json:
        out.document([_document(status) for status in found])
        return
    if not found:
        out.say(f"no secret has a rotator; {HOW_TO_ATTACH}")
    elif not out.on_terminal:
        out.rows(HEADS, map(_row, found))
        for status in found:
            _say_more(status, out, holders=args.name is not None)
    elif args.name is not None:
        for line in _page(found[0], time.time()):
            out.data(line)
    else:
        out.rows(SHORT_HEADS, [_short_row(status, time.time()) for status in found])
        for status in found:
            _say_more(status, out, holders=False)


def _say_more(status: RotationStatus, out: Output, *, holders: bool) -> None:
    for who in holders_of(status) if holders else ():
        out.say(f"{status.name}: version {status.before or status.version} is held by {who}")
    if status.step == "promoted" and not status.keeps_previous:
        out.say(f"{status.name}: new log-ins with the previous value are refused already")
    if status.advice is not None:
        out.warn(f"{status.name}: {status.advice}")


def _row(status: RotationStatus) -> tuple[object, ...]:
    """Return a row for other programs, whose times are in UTC."""
    laggards = ", ".join(consumer.label for consumer in status.laggards)
    return (
        status.name, _step(status), status.version, status.rotator, times.iso(status.due),
        times.iso(status.grace_ends), laggards or None, status.error, times.iso(status.started),
        times.iso(status.created), times.iso(status.failed), status.reason,
    )  # fmt: skip


def _short_row(status: RotationStatus, now: float) -> tuple[object, ...]:
    """Return a row for people, whose times are spans."""
    rotator = None if status.rotator is None else status.rotator.partition("?")[0].partition("#")[0]
    grace = None if status.grace_ends is None else times.ago(status.grace_ends, now)
    due = None if status.due is None else times.ago(status.due, now)
    return (
        status.name, _step(status), status.version, times.short(now - status.created), due, grace,
        len(status.laggards) or None, rotator,
    )  # fmt: skip


def _step(status: RotationStatus) -> str:
    return status.step + (" (running)" if status.running else "")


def _page(status: RotationStatus, now: float) -> Iterator[str]:
    """Yield what there is to know of one secret, one fact a line."""

    def line(what: str, text: str) -> str:
        return f"  {what:<11} {text}"

    def at(moment: float) -> str:
        return f"{times.ago(moment, now)} ({times.iso(moment)})"

    yield f"{status.name}: {_step(status)}"
    yield line("rotator", status.rotator or "none")
    yield line("version", f"{status.version}, made {at(status.created)}")
    if status.before:
        yield line("previous", f"version {status.before}")
    if status.started is not None:
        yield line("begun", at(status.started))
    if status.step == "promoted":
        kept = at(status.grace_ends or 0) if status.keeps_previous else "none: log-ins with the previous value fail"
        yield line("grace ends", kept)
    for service, span in status.graces.items():
        yield line("grace of", f"{service}: {times.short(span)}")
    if status.due is not None:
        yield line("due", at(status.due))
    if status.error is not None:
        failed = "" if status.failed is None else f"{at(status.failed)}: "
        yield line("failed", f"{failed}{status.reason or status.error}")
    for consumer in status.consumers:
        if consumer not in status.laggards and status.before:
            yield line("switched", f"{consumer.label}, last heard of {times.ago(consumer.time, now)}")
    heard = {consumer.label: f", last heard of {times.ago(consumer.time, now)}" for consumer in status.consumers}
    for who in holders_of(status):
        label = next((label for label in heard if who.startswith(label)), "")
        yield line("held by", who + heard.get(label, ""))
    yield line("next", next_step(status))


def _document(status: RotationStatus) -> dict[str, Any]:
    def shown(consumer: Consumer) -> dict[str, Any]:
        process = consumer.process
        return {
            "service": consumer.service, "instance": consumer.instance, "pid": process.pid, "host": process.host,
            "version": consumer.version, "since": times.iso(consumer.since), "heard": times.iso(consumer.time),
            "stopped": process.is_stopped,
        }  # fmt: skip

    fields = ("due", "started", "grace_ends", "failed", "created")
    moments = {field: times.iso(getattr(status, field)) for field in fields}
    holders = [holder._asdict() | {"time": times.iso(holder.time)} for holder in status.holders]
    people = {field: [shown(consumer) for consumer in getattr(status, field)] for field in ("consumers", "laggards")}
    return status._asdict() | moments | people | {"holders": holders, "next": next_step(status)}
