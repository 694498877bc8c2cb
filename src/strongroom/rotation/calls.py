"""Asks a rotator, which is somebody else's code and may raise, hang or answer nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from strongroom.data import decode_data, encode
from strongroom.errors import RotationError, StrongroomError
from strongroom.threads import start

TIMEOUT = 30.0
"""Seconds after which a step that has not answered is given up."""


class Calls:
    """The calls of one rotation object, each with a deadline."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._hanging: dict[str, threading.Thread] = {}

    def ask(self, name: str, step: str, call: Callable[..., Any], *arguments: Mapping[str, Any]) -> Any:
        """Return what `call` returns; raises `RotationError` naming the step when it raises or does not return.

        A call that hangs goes on in its thread: Python cannot end it. The shipped rotators have time-outs of their own.
        """
        outcome: list[tuple[Any, BaseException | None]] = []

        def work() -> None:
            try:
                outcome.append((call(*arguments), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=work, name=f"strongroom-rotate-{step}", daemon=True)
        try:
            start(thread)
        except StrongroomError as refused:
            raise RotationError(str(refused), name=name) from None
        thread.join(self.timeout)
        if not outcome:
            self._hanging[name] = thread
            raise RotationError(f"the rotator did not answer within {self.timeout:g} s", name=name)
        result, error = outcome[0]
        if isinstance(error, StrongroomError):
            raise RotationError(str(error), name=name) from None
        if error is not None:
            # Its text is not shown: the exceptions of a driver like to quote what they were given.
            raise RotationError(f"the rotator raised {type(error).__name__}", name=name) from None
        return result

    def hangs(self, name: str) -> bool:
        """True while a call for this secret has not come back."""
        thread = self._hanging.get(name)
        return thread is not None and thread.is_alive()


def check_pending(name: str, pending: object, current: bytes) -> bytes:
    """Return the encoded pending data; raises `RotationError` for what cannot replace `current`."""
    if not isinstance(pending, Mapping):
        raise RotationError(f"create() returned {type(pending).__name__} and not a mapping of fields", name=name)
    before = decode_data(current)
    empty = [field for field in pending if pending[field] in ("", b"", None) and before.get(field)]
    if not pending or empty:
        raise RotationError("create() returned an empty value", name=name)
    try:
        encoded = encode(pending if set(pending) != {"value"} else pending["value"])
    except StrongroomError as error:
        raise RotationError(f"create() returned what cannot be a secret: {error}", name=name) from None
    if encoded == current:
        # Retiring the previous value would then shut everybody out.
        raise RotationError("create() returned the value that is current already", name=name)
    return encoded
