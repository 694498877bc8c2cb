"""`rotate --due` and `rotate --all`: a failure of one secret does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from strongroom.cli import session
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.cli.rotation_words import HOW_TO_ATTACH, tell_what_is_left, told_when_stopped, wait_of
from strongroom.cli.writing import about, tell
from strongroom.errors import ConflictError, StrongroomError
from strongroom.manager import SecretsManager

if TYPE_CHECKING:
    from strongroom.info import VersionInfo


def rotate_several(args: Arguments, out: Output) -> int | None:
    """Rotate what is due, or all that have a rotator."""
    with session.manager(args) as secrets:
        if args.due:
            return _due(secrets, args, out)
        names = [status.name for status in secrets.rotation.status()]
        if not names:
            out.say(f"no secret has a rotator; {HOW_TO_ATTACH}")
        return for_each(names, lambda name: _finish_or_rotate(secrets, name, wait_of(args)), secrets, out)


def _due(secrets: SecretsManager, args: Arguments, out: Output) -> int | None:
    """Rotate and finish what is due; a second process that does the same at once does the rest, or nothing.

    All are rotated before the first is waited for. One that only waits for the end of its grace time is passed over
    in silence, as a timer that runs each hour would else mail the same line each time.
    """
    due = set(secrets.rotation.due())
    found = {status.name: status for status in secrets.rotation.status() if status.name in due}
    if not found:
        out.say("nothing is due")
    made: list[str] = []

    def work(name: str) -> VersionInfo | None:
        now = secrets.rotation.status(name)[0]
        if now.running or (now.step, now.version) != (found[name].step, found[name].version):
            return None  # somebody else is at it, or was
        try:
            version = _finish_or_rotate(secrets, name, 0.0)
        except ConflictError:
            after = secrets.rotation.status(name)[0]
            if after.running or after.version != now.version:
                return None
            raise
        made.append(name)
        return None if now.step == "promoted" == secrets.rotation.status(name)[0].step else version

    code = for_each(found, work, secrets, out, tells=False)
    ends = time.monotonic() + wait_of(args)
    for name in made:
        status = secrets.rotation.status(name)[0]
        if status.step == "promoted" and not status.running:
            if status.consumers and found[name].step != "promoted":
                with suppress(StrongroomError):
                    secrets.rotation.resume(name, wait=max(0.0, ends - time.monotonic()))
            if found[name].step != "promoted":
                tell_what_is_left(secrets, name, out)
    return code


def _finish_or_rotate(secrets: SecretsManager, name: str, wait: float) -> VersionInfo:
    unfinished = secrets.rotation.status(name)[0].step != "idle"
    act = secrets.rotation.resume if unfinished else secrets.rotation.rotate
    return act(name, wait=wait)


def for_each(
    names: Iterable[str], work: Callable[[str], VersionInfo | None], secrets: SecretsManager, out: Output, *,
    tells: bool = True,
) -> int | None:  # fmt: skip
    """Do the same for each, and let no failure keep the others from it.

    Returns the highest exit code: that of a source outweighs those of a wrong call and of a conflict.
    """
    code, documents = None, []
    for name in names:
        try:
            with told_when_stopped(secrets, name, out):
                made = work(name)
            if made is None:
                continue
            if out.json:
                documents.append(about(name, made))
            else:
                tell(out, name, made)
            if tells:
                tell_what_is_left(secrets, name, out)
        except StrongroomError as error:
            out.error(error)
            code = max(code or 0, error.exit_code)
    if out.json:
        out.document(documents)
    return code
