"""The transactions of a rotation. Each is one durable move from a state to the next; a crash is before it or after."""

from __future__ import annotations

import os
from collections.abc import Sequence

from strongroom.engine import versions
from strongroom.engine.change import Change
from strongroom.engine.versions import Attributes
from strongroom.errors import ConflictError, RotationError, SecretNotFoundError, StrongroomError
from strongroom.info import VersionInfo
from strongroom.rotation.owner import Owner
from strongroom.rotation.state import PROMOTED, State, load, path, seal_state


def store(change: Change, state: State) -> State:
    """Write a state."""
    change.put(path(state.name), seal_state(change.records, state))
    return state


def current(change: Change, name: str) -> tuple[VersionInfo, bytes]:
    """Return the live current version and its data; raises `SecretNotFoundError`."""
    info, data = versions.require(change, name)
    last = info.versions[-1]
    if last.state != "live":
        raise SecretNotFoundError(f"{name!r} is {last.state}; set it again, then rotate it", name=name)
    return last, data


def reserve(
    change: Change, name: str, owner: Owner, version: int, cas: int | None, now: float, *, creates: bool
) -> str:
    """Let `owner` alone begin the next rotation, from `version` on, and return its id.

    One that `creates` has the id that `create` is asked with. That is kept until what `create` made is used or removed:
    a process that dies in between leaves it to the next. Raises `ConflictError` while another process rotates the
    secret, and when it was written meanwhile.
    """
    versions.check_cas(versions.require(change, name)[0], cas)
    _check_version(name, current(change, name)[0], version)
    state = load(change, change.records, name) or State(name)
    _check_free(state)
    _refuse_working(state, now)
    rotation_id = new_id()
    if creates:
        state = state._replace(next_id=state.next_id or rotation_id)
        rotation_id = state.next_id
    store(change, state._replace(owner=owner))
    return rotation_id


def new_id() -> str:
    """Return the id of a rotation."""
    return os.urandom(8).hex()


def _check_free(state: State) -> None:
    if state.id:
        raise ConflictError(
            f"another rotation of {state.name!r} has begun meanwhile; `strongroom rotate status`", name=state.name
        )


def _check_version(name: str, last: VersionInfo, version: int) -> None:
    if last.version != version:
        raise ConflictError(f"{name!r} was written meanwhile; rotate it again", name=name, version=last.version)


def _refuse_working(state: State, now: float) -> None:
    if state.owner is not None and state.owner.is_working(now):
        process, name = state.owner.process, state.name
        raise ConflictError(
            f"process {process.pid} on {process.host} is rotating {name!r} now; wait for it to end", name=name
        )


def begin(change: Change, new: State, cas: int | None) -> State:
    """Make `new` the state: its pending data is durable from here on.

    Raises `ConflictError` when a rotation is there already, or when the version is not the one that `new` was made for.
    """
    name = new.name
    versions.check_cas(versions.require(change, name)[0], cas)
    last, _ = current(change, name)
    before = load(change, change.records, name) or State(name)
    if before.owner is not None and new.owner is not None and before.owner.token != new.owner.token and not before.id:
        _refuse_working(before, new.started or 0.0)
    idle = before.owner is None or not before.owner.is_working(new.started or 0.0)
    if new.back is not None and idle and (before.before, before.after, before.data) == (*new.back[:2], new.data):
        new = new._replace(keeps_previous=before.keeps_previous)
    else:
        _check_free(before)
    _check_version(name, last, new.before)
    left = "" if before.next_id == new.id else before.next_id
    return store(change, new.attached_as(before)._replace(known=before.known, next_id=left))


def require(change: Change, name: str) -> State:
    """Return the state of a rotation that is under way; raises `ConflictError` when there is none."""
    state = load(change, change.records, name)
    if state is None or not state.id:
        raise ConflictError(f"no rotation of {name!r} is under way", name=name)
    return state


def take_over(change: Change, name: str, owner: Owner, now: float) -> State:
    """Make `owner` the one that works on a rotation; raises `ConflictError` while another does."""
    state = require(change, name)
    _refuse_working(state, now)
    return store(change, state._replace(owner=owner))


def _mine(change: Change, state: State) -> State:
    found = load(change, change.records, state.name)
    if found is None or found.owner is None or state.owner is None or found.owner.token != state.owner.token:
        raise ConflictError(f"another process has taken over the rotation of {state.name!r}", name=state.name)
    # Attached anew meanwhile: that is for the next rotation.
    return state.attached_as(found)


def record(change: Change, state: State) -> State:
    """Write the next state of a rotation that is still ours."""
    return store(change, _mine(change, state))


def promote(
    change: Change, state: State, now: float, grace: float, keep: int, keeps: bool
) -> tuple[VersionInfo, State]:
    """Make the pending value current, and keep the previous one until it is retired.

    Raises `RotationError` when the secret was written or deleted behind the rotation.
    """
    last, data = current(change, state.name)
    if last.version != state.before:
        raise RotationError(f"{state.name!r} has got version {last.version} meanwhile", name=state.name)
    made = versions.put(change, state.name, state.data, now=now, cas=state.before, attributes=Attributes(), keep=keep)
    state = state._replace(
        step=PROMOTED, after=made.version, promoted=now, grace_ends=now + (grace if keeps else 0.0), data=data,
        known=made.version, keeps_previous=keeps, back=None, drifted=False, error=None, reason=None, failed=None,
    )  # fmt: skip
    return made, record(change, state)


def let_go(change: Change, state: State, error: Exception | None, now: float, *, spent: bool = False) -> None:
    """Leave a rotation to whoever resumes it, unless somebody has done that already.

    `spent` says that nothing is left at the source of what `create` made for a rotation that has not begun.
    """
    found = load(change, change.records, state.name)
    if found is None or found.owner is None or state.owner is None or found.owner.token != state.owner.token:
        return
    left = noted(found._replace(owner=None, next_id="" if spent else found.next_id), error, now)
    if left.url is None and not left.id and not left.next_id:
        change.delete(path(state.name))
    else:
        store(change, left)


def noted(state: State, error: Exception | None, now: float) -> State:
    """Return the state with what went wrong last, or with nothing."""
    if error is None:
        return state._replace(error=None, reason=None, failed=None)
    reason = str(error) if isinstance(error, StrongroomError) else None
    return state._replace(error=type(error).__name__, reason=reason, failed=now)


def look_failed(change: Change, name: str, error: Exception, now: float) -> None:
    """Keep why a rotation did not begin, for `status`, where a rotator is attached or a previous value is kept."""
    found = load(change, change.records, name)
    if found is not None and not found.is_staged:
        store(change, noted(found, error, now))


def accepted(change: Change, name: str, version: int) -> None:
    """Keep that the source accepts a version."""
    found = load(change, change.records, name)
    if found is not None:
        found = found._replace(known=version)
        store(change, found if found.id else noted(found, None, 0.0))


def destroyed(change: Change, name: str, numbers: Sequence[int]) -> None:
    """Remove the value of a destroyed version from the rotation too; raises `ConflictError` before promotion."""
    state = load(change, change.records, name)
    if state is None or not numbers:
        return
    if state.is_staged:
        raise ConflictError(
            f"{name!r} is being rotated ({state.step}), and nothing was destroyed: `strongroom rotate abort {name}` "
            "first (--force when its source cannot be asked)",
            name=name,
        )
    if state.step == PROMOTED and state.before in numbers:
        store(change, state._replace(data=b""))


def end(change: Change, state: State, now: float, *, undone: bool = False, failure: Exception | None = None) -> None:
    """Remove a rotation; the attachment stays, with what went wrong after the end.

    One that is `undone` and went back to a previous value leaves the rotation that it turned round.
    """
    state = _mine(change, state)
    remains = state.undone() if undone else state.ended()
    if remains is None:
        change.delete(path(state.name))
    else:
        store(change, remains if failure is None else noted(remains, failure, now))


def forget(change: Change, name: str) -> None:
    """Remove the rotator of a secret that is forgotten; raises `ConflictError` during a rotation."""
    state = load(change, change.records, name)
    if state is not None and state.id:
        raise ConflictError(
            f"{name!r} is being rotated ({state.step}); finish that first, as `strongroom rotate status` says",
            name=name,
        )
    change.delete(path(name))
