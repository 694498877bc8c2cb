"""What a rotation tells an operator: what is not as it should be, and the command that mends it."""

from __future__ import annotations

from strongroom.errors import ConflictError, RotationError
from strongroom.rotation.state import PROMOTED, State


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
    return ConflictError(
        f"a rotation of {state.name!r} is not finished ({state.step}): `strongroom rotate resume {state.name}` "
        f"finishes it, `strongroom rotate abort {state.name}` undoes it",
        name=state.name,
    )


def advice_on(state: State, version: int, now: float) -> str | None:
    """Return what is not as it should be, and the command that mends it; `version` is the current one."""
    name, failure = state.name, f" ({state.reason or state.error})" if state.error else ""
    if state.is_running(now):
        return None
    if state.is_staged:
        return (
            f"a rotation stopped in the middle{failure}, and its source may have another value than the current one: "
            f"`strongroom rotate resume {name}` finishes it, `strongroom rotate abort {name}` undoes it"
        )
    if state.step == PROMOTED:
        if version != state.after:
            return (
                f"version {version} was written here in the grace time, and its source was not told{failure}: "
                f"`strongroom rotate resume {name}` asks it, `strongroom rollback {name} {state.after}` goes back to "
                "the version that it was given"
            )
        return None if not failure else f"not finished{failure}: `strongroom rotate resume {name}` tries again"
    if state.url is None or (version == state.known and not failure):
        return None
    told = "" if version == state.known else f"version {version} was written here, and its source was not told"
    if not state.known:
        told = "its source was never asked whether it accepts the current value"
    known = f", `strongroom rollback {name} {state.known}` goes back to version {state.known}" if told else ""
    said = "; ".join(part for part in (told, state.reason or state.error or "") if part)
    return f"{said}: `strongroom rotate check {name}` asks it{known if state.known else ''}"
