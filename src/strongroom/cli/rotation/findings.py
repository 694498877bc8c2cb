"""What `doctor` says of rotations: which are overdue, failed or half done, and the command that mends each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from strongroom import drivers
from strongroom.cli import times
from strongroom.cli.judging import FAIL, OK, WARN, Finding
from strongroom.cli.output import counted
from strongroom.errors import StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.settings.config import Config

if TYPE_CHECKING:
    from strongroom.rotation.status import RotationStatus

SESSIONS_LEFT = "SessionsLeft"
"""The error of a rotation that went well, and could not end the open sessions of the retired value."""
TOLERANCE = 86400.0
"""Seconds for which a due rotation may wait for the timer, at most; a tenth of a shorter period."""


def check_rotations(secrets: SecretsManager, config: Config) -> Iterator[Finding]:
    """Judge every rotation, and the hook that is told of those that fail."""
    known, now = secrets.rotation.status(), time.time()
    found = [finding for status in known for finding in _of(status, now)]
    attached = sum(status.rotator is not None for status in known)
    if not found and known:
        yield Finding(OK, f"{counted(attached, 'secret')} with a rotator: no rotation is overdue, failed or half done")
    yield from found
    if config.rotation_hook:
        yield _check_hook(config.rotation_hook)


def _of(status: RotationStatus, now: float) -> Iterator[Finding]:
    name = status.name
    if status.running:
        return
    if status.step not in ("idle", "promoted"):
        since = "" if status.started is None else f", {times.ago(status.started, now)}"
        what = f"the rotation of {name!r} stopped half-way ({status.step}{since}){_reason(status)}"
        yield Finding(FAIL, what, f"`strongroom rotate resume {name}` finishes it, `strongroom rotate abort {name}` "
                                  "undoes it")  # fmt: skip
        return
    if status.error == SESSIONS_LEFT:
        yield Finding(WARN, f"{name!r}: {status.reason}", f"end them, then `strongroom rotate check {name}`")
    elif status.error is not None:
        since = "" if status.failed is None else f" {times.ago(status.failed, now)}"
        mend = f"rotate resume {name}" if status.step == "promoted" else f"rotate check {name}"
        yield Finding(FAIL, f"the rotation of {name!r} failed{since}{_reason(status)}", f"`strongroom {mend}`")
    elif status.advice is not None:
        yield Finding(WARN, f"{name!r}: {status.advice.partition(': `')[0]}", f"`strongroom rotate check {name}`"
                      if status.step == "idle" else f"`strongroom rotate resume {name}`")  # fmt: skip
    if status.step == "promoted" and (status.grace_ends or 0) < now and status.keeps_previous:
        late = times.ago(status.grace_ends or 0, now)
        what = f"the grace time of {name!r} ended {late}, and version {status.before} is not retired"
        yield Finding(_weight(now - (status.grace_ends or 0), status.grace), what, f"`strongroom rotate resume {name}`")
    if status.due is not None and status.due < now and status.step == "idle":
        what = f"the rotation of {name!r} is overdue: it was due {times.ago(status.due, now)}"
        yield Finding(_weight(now - status.due, status.every), what, "`strongroom rotate --due`, which a timer runs")


def _weight(late: float, period: float | None) -> str:
    """A timer needs its time: what has just become due is no failure yet."""
    return WARN if late < min(TOLERANCE, (TOLERANCE if period is None else period) / 10) else FAIL


def _reason(status: RotationStatus) -> str:
    return f": {status.reason or status.error}" if status.error is not None else ""


def _check_hook(url: str) -> Finding:
    scheme = url.partition(":")[0]
    try:
        drivers.rotator(url, lambda _: {})
    except StrongroomError as error:
        return Finding(FAIL, f"the rotation hook ({scheme}:) cannot be used", str(error))
    return Finding(OK, f"the rotation hook ({scheme}:) can be used")
