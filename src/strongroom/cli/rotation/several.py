"""`rotate --due` and `rotate --all`: a failure of one secret does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from strongroom.cli import session
from strongroom.cli.arguments import Arguments
from strongroom.cli.commands.writing import about, tell
from strongroom.cli.output import Output
from strongroom.cli.rotation.words import HOW_TO_ATTACH, tell_what_is_left, told_when_stopped, wait_of
from strongroom.errors import ConflictError, StrongroomError
from strongroom.manager.manager import SecretsManager

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
        code = for_each(names, lambda name: _finish_or_rotate(secrets, name), secrets, out)
        return max(code or 0, settle(names, secrets, args, out)) or None


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
            version = _finish_or_rotate(secrets, name, now.version)
        except ConflictError:
            after = secrets.rotation.status(name)[0]
            if after.running or after.version != now.version:
                return None
            raise
        made.append(name)
        return None if now.step == "promoted" == secrets.rotation.status(name)[0].step else version

    code = for_each(found, work, secrets, out)
    new = [name for name in made if found[name].step != "promoted"]
    return max(code or 0, settle(new, secrets, args, out)) or None


def settle(names: list[str], secrets: SecretsManager, args: Arguments, out: Output) -> int:
    """Wait once for the consumers of all, say what is left of each, and return the highest exit code."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(told_when_stopped(secrets, name, out))
        failed = secrets.rotation.settle(names, wait=wait_of(args))
    for error in failed.values():
        out.error(error)
    for name in names:
        with suppress(StrongroomError):
            tell_what_is_left(secrets, name, out)
    return max((error.exit_code for error in failed.values()), default=0)


def _finish_or_rotate(secrets: SecretsManager, name: str, version: int | None = None) -> VersionInfo:
    """Rotate a secret, from `version` on where that is given, or finish its rotation; wait for nobody."""
    if secrets.rotation.status(name)[0].step != "idle":
        return secrets.rotation.resume(name, wait=0)
    return secrets.rotation.rotate(name, cas=version, wait=0)


def for_each(
    names: Iterable[str], work: Callable[[str], VersionInfo | None], secrets: SecretsManager, out: Output
) -> int | None:
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
        except StrongroomError as error:
            out.error(error)
            code = max(code or 0, error.exit_code)
    if out.json:
        out.document(documents)
    return code
