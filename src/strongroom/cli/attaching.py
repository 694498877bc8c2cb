"""`rotate NAME --attach` and `--detach`."""

from __future__ import annotations

from strongroom.cli import session, times
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError


def attach(args: Arguments, out: Output) -> None:
    """Attach a rotator, or detach it."""
    if args.attach is not None and args.detach:
        raise InvalidInputError("--attach and --detach exclude each other")
    with session.manager(args) as secrets:
        if args.detach:
            secrets.rotation.detach(args.name, force=args.force)
            out.say(f"{args.name}: no rotator")
            return
        every = None if args.every is None else times.span(args.every, "--every")
        grace = None if args.grace is None else times.span(args.grace, "--grace")
        said = secrets.rotation.attach(args.name, args.attach, every=every, grace=grace, force=args.force)
        status = secrets.rotation.status(args.name)[0]
    out.say(f"{args.name}: rotated by {args.attach}")
    for text in said:
        out.say(f"{args.name}: {text}")
    if args.force and status.step == "idle":
        out.warn(f"the source was not asked; `strongroom rotate check {args.name}` asks it")
