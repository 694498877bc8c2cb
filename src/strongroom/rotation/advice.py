"""What a rotation tells an operator: what is not as it should be, and the command that mends it."""

from __future__ import annotations

from strongroom.errors import ConflictError, RotationError
from strongroom.info import SecretInfo
from strongroom.rotation.state import PROMOTED, State

_UNKNOWN = "it is not known whether its source accepts the current value"


class SessionsLeft(RotationError):
    """Open sessions of a retired value were not ended; never raised, as that is no failure of the rotation."""


def failed(state: State, error: RotationError, left: str) -> RotationError:
    """Return the error of a rotation under way; `left` says what the failure has left behind."""
    name = state.name
    todo = f"`strongroom rotate resume {name}` tries again"
    if state.step != PROMOTED:
        todo += f", `strongroom rotate abort {name}` gives up (--force when its source is gone for good)"
    else:
        todo += f", `strongroom rotate abort {name} --force` leaves the source as it is, when that is gone for good"
    return RotationError(f"{name!r}: {error}. {left}; {todo}", name=name)


def unfinished(state: State) -> ConflictError:
    """Return the error of what cannot be done while a rotation is under way."""
    name = state.name
    ways = f"`strongroom rotate resume {name}` finishes it"
    if state.is_staged:
        ways += f", `strongroom rotate abort {name}` undoes it"
    else:
        ways += f" when nobody holds the previous value, `strongroom rotate retire {name} --force` at once"
    return ConflictError(f"a rotation of {name!r} is not finished ({state.step}): {ways}", name=name)


def advice_on(state: State, info: SecretInfo, now: float) -> str | None:
    """Return what is not as it should be, and the command that mends it."""
    version, name, failure = info.current, state.name, f" ({state.reason or state.error})" if state.error else ""
    if state.is_staged and state.is_running(now):
        return None
    if state.is_staged:
        return (
            f"a rotation stopped in the middle{failure}, and its source may have another value than the current one: "
            f"`strongroom rotate resume {name}` finishes it, `strongroom rotate abort {name}` undoes it"
        )
    if state.step == PROMOTED:
        if version not in (state.after, state.known):
            return (
                f"version {version} was written here in the grace time, and its source was not told{failure}: "
                f"`strongroom rotate resume {name}` asks it, `strongroom rollback {name} {state.after}` goes back to "
                "the version that it was given"
            )
        if version != state.known:
            return f"{_UNKNOWN}{failure}: `strongroom rotate resume {name}` asks it, and gives it that value once more"
        return None if not failure else f"not finished{failure}: `strongroom rotate resume {name}` tries again"
    if state.url is None or (version == state.known and not failure):
        return None
    if version == state.known and state.error == SessionsLeft.__name__:
        return f"{state.reason}. End them there; `strongroom rotate check {name}` then takes this off"
    told = "" if version == state.known else f"version {version} was written here, and its source was not told"
    if not state.known:
        told = _UNKNOWN
    ways = [f"`strongroom rotate check {name}` asks it"]
    known = info.version(state.known)
    if told and known is not None and known.state == "live":
        ways.append(f"`strongroom rollback {name} {state.known}` goes back to version {state.known}")
    if failure:
        ways.append(f"`strongroom rotate {name} --force` gives it a new value whatever it says of this one")
    said = "; ".join(part for part in (told, state.reason or state.error or "") if part)
    return f"{said}: {', '.join(ways)}"
