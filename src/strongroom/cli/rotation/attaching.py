"""`rotate NAME --attach`, `--detach`, and what changes when an attached rotator is due."""

from __future__ import annotations

from typing import Any

from strongroom.arguments import check_who
from strongroom.cli import session, times
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError
from strongroom.urls import shown_rotator


def attach(args: Arguments, out: Output) -> None:
    """Attach a rotator."""
    given = _schedule(args)
    with session.manager(args) as secrets:
        said = secrets.rotation.attach(args.name, args.attach, force=args.force, **given)
        status = secrets.rotation.status(args.name)[0]
    out.say(f"{args.name}: rotated by {shown_rotator(args.attach)}")
    for text in said:
        out.say(f"{args.name}: {text}")
    if args.force and status.step == "idle":
        out.warn(f"the source was not asked; `strongroom rotate check {args.name}` asks it")


def detach(args: Arguments, out: Output) -> None:
    """Let no rotator rotate the secret."""
    with session.manager(args) as secrets:
        secrets.rotation.detach(args.name, force=args.force)
    out.say(f"{args.name}: no rotator")


def reschedule(args: Arguments, out: Output) -> None:
    """Change when an attached rotator is due, and how long a previous value stays valid; rotate nothing."""
    given = _schedule(args)
    with session.manager(args) as secrets:
        if secrets.rotation.status(args.name)[0].rotator is None:
            raise InvalidInputError(
                f"{args.name!r} has no rotator that could be due, and nothing was changed: attach one with "
                f"`strongroom rotate {args.name} --attach URL`, with --every and --grace"
            )
        secrets.rotation.reschedule(args.name, **given)
        now = secrets.rotation.status(args.name)[0]
    due = "no period" if now.every is None else f"due every {times.short(now.every)}, next {times.iso(now.due)}"
    grace = "" if now.grace is None else f", grace time {times.short(now.grace)}"
    grace += "".join(f", {times.short(span)} for {service}" for service, span in now.graces.items())
    out.say(f"{args.name}: {due}{grace}; nothing was rotated")


def _schedule(args: Arguments) -> dict[str, Any]:
    """Return what of `every`, `grace` and `graces` was given, in seconds."""
    given: dict[str, Any] = {}
    if args.every is not None:
        given["every"] = times.span(args.every, "--every")
        if not given["every"]:
            raise InvalidInputError(
                "--every takes a span of more than 0: a secret that is always due is rotated by each run of the timer"
            )
    if args.grace is not None:
        given["grace"] = times.span(args.grace, "--grace")
    if args.grace_for:
        given["graces"] = dict(_grace_for(text) for text in args.grace_for)
        if len(given["graces"]) < len(args.grace_for):
            raise InvalidInputError("--grace-for takes SERVICE=SPAN, each service once")
    return given


def _grace_for(text: str) -> tuple[str, float]:
    service, equals, span = text.rpartition("=")
    if not service or not equals:
        raise InvalidInputError("--grace-for takes SERVICE=SPAN, such as reports=24h")
    check_who("--grace-for", service)
    return service, times.span(span, "--grace-for")
