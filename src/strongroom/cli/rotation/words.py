"""What `rotate` says of a rotation: who holds which value, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.cli import times
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output, counted
from strongroom.errors import StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.rotation.clock import utc

if TYPE_CHECKING:
    from strongroom.rotation.status import RotationStatus

HOW_TO_ATTACH = "`strongroom rotate NAME --attach URL` attaches one"


@contextmanager
def told_when_stopped(secrets: SecretsManager, name: str, out: Output) -> Iterator[None]:
    """Say what Ctrl-C has left, since the source may have the new value already."""
    try:
        yield
    except KeyboardInterrupt:
        step = secrets.rotation.status(name)[0].step
        if step != "idle":
            out.warn(
                f"a rotation of {name!r} is not finished ({step}): `strongroom rotate resume {name}` finishes it"
                + ("" if step == "promoted" else f", `strongroom rotate abort {name}` undoes it")
            )
        raise


def tell_who_holds_it(secrets: SecretsManager, name: str, out: Output) -> None:
    """Say whom a rotation is going to reach, and whom it is not."""
    status = secrets.rotation.status(name, holders=True)[0]
    if status.step != "idle":
        return
    for who in holders_of(status):
        out.say(f"{name}: held by {who}")


def holders_of(status: RotationStatus) -> list[str]:
    """Return who holds the value that a rotation retires: live, read once, unknown."""
    live = {(consumer.process.host, consumer.process.pid) for consumer in status.consumers}
    found = [f"{consumer.label}, live: it switches by itself" for consumer in status.consumers if not status.before]
    found += [f"{consumer.label}, live, and has not switched" for consumer in status.laggards if status.before]
    found += [
        f"{holder.label}, until it reads again or ends"
        if not holder.handed_out
        else f"{holder.label}: unknown, so until the grace time ends"
        for holder in status.holders
        if (holder.host, holder.pid) not in live
    ]
    if not status.all_known:
        found.append("others that the audit log does not tell")
    return found


def tell_what_is_left(secrets: SecretsManager, name: str, out: Output) -> None:
    """Say who still holds the previous value, and until when it stays valid."""
    status = secrets.rotation.status(name)[0]
    if status.step != "promoted":
        return
    status = secrets.rotation.status(name, holders=True)[0]
    for who in holders_of(status):
        out.say(f"{name}: version {status.before} is held by {who}")
    late = ", ".join(consumer.label for consumer in status.laggards) or "processes without a live handle"
    out.say(
        f"the previous value stays valid for {late}, until {utc(status.grace_ends or 0)} at the latest; `strongroom "
        f"rotate resume {name}` or --due retires it"
    )


def tell_sessions(secrets: SecretsManager, name: str, out: Output) -> None:
    """Say which sessions a retired value has left open at the source."""
    status = secrets.rotation.status(name)[0]
    if status.step != "idle" or status.rotator is None:
        return
    try:
        found = secrets.rotation.sessions(name)
        ends = "" if secrets.rotation.ends_sessions(name) else "; terminate=1 in the rotator's URL ends them"
    except StrongroomError as error:
        out.say(f"{name}: whether sessions are still open is not known: {error}")
        return
    for account, number, oldest in found:
        are = "is" if number == 1 else "are"
        out.say(
            f"{name}: {counted(number, 'session')} of {account} {are} still open, oldest {times.short(oldest)}{ends}"
        )


def wait_of(args: Arguments) -> float:
    """Return how many seconds to wait for the consumers to switch."""
    return 5.0 if args.wait is None else times.span(args.wait, "--wait")


def next_step(status: RotationStatus) -> str:
    """Return what happens next, or the command that lets it happen."""
    name = status.name
    if status.running:
        return "a process works on it now: wait for it"
    if status.advice is not None:
        return status.advice
    if status.step == "promoted":
        return (
            f"`strongroom rotate resume {name}` or --due retires version {status.before}, once nobody holds it or at "
            f"{utc(status.grace_ends or 0)}"
        )
    if status.rotator is None:
        return f"it has no rotator; `strongroom rotate {name} --attach URL` attaches one"
    if status.due is None:
        return f"it has no period: `strongroom rotate {name}` rotates it, --attach with --every gives it one"
    return f"`strongroom rotate --due` rotates it after {utc(status.due)}, `strongroom rotate {name}` now"
