"""`rotate resume`, `check`, `abort` and `retire`: what is done with a rotation that is under way."""

from __future__ import annotations

from strongroom.cli import session
from strongroom.cli.arguments import Arguments
from strongroom.cli.commands.writing import tell
from strongroom.cli.output import Output
from strongroom.cli.rotation.several import for_each, settle
from strongroom.cli.rotation.words import tell_sessions, tell_what_is_left, told_when_stopped, wait_of
from strongroom.errors import ConflictError


def resume(args: Arguments, out: Output) -> int | None:
    """Finish one rotation, or all that were left."""
    with session.manager(args) as secrets:
        if args.name is not None:
            with told_when_stopped(secrets, args.name, out):
                tell(out, args.name, secrets.rotation.resume(args.name, wait=wait_of(args)))
            tell_what_is_left(secrets, args.name, out)
            tell_sessions(secrets, args.name, out)
            return None
        left = [status.name for status in secrets.rotation.status() if status.step != "idle" and not status.running]
        if not left:
            out.say("no rotation is left to finish")
        code = for_each(left, lambda name: secrets.rotation.resume(name, wait=0), secrets, out)
        return max(code or 0, settle(left, secrets, args, out)) or None


def check(args: Arguments, out: Output) -> None:
    """Ask the source, and say what a rotation would do; change nothing."""
    with session.manager(args) as secrets:
        before = secrets.rotation.status(args.name)[0]
        if before.step not in ("idle", "promoted"):
            raise ConflictError(
                f"{args.name!r} is being rotated ({before.step}): {before.advice or 'wait for that to end'}",
                name=args.name,
            )
        said = secrets.rotation.check(args.name)
    out.say(f"{args.name}: version {before.version} is accepted, and a rotation would begin well; nothing was changed")
    for text in said:
        out.say(f"{args.name}: {text}")


def abort(args: Arguments, out: Output) -> None:
    """Give the source the current value back."""
    with session.manager(args) as secrets:
        secrets.rotation.abort(args.name, force=args.force)
    out.say(f"{args.name}: keeps its current value")


def retire(args: Arguments, out: Output) -> None:
    """Let the source refuse the previous value now."""
    with session.manager(args) as secrets:
        secrets.rotation.retire(args.name, force=args.force)
        out.say(f"{args.name}: the previous value is retired")
        tell_sessions(secrets, args.name, out)
