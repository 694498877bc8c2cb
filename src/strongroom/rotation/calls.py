"""Asks a rotator, which is somebody else's code and may raise, hang or answer nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError, StrongroomError
from strongroom.system.threads import start

TIMEOUT = 30.0
"""Seconds after which a step that has not answered is given up."""
STOPPING = 5.0
"""Seconds that a step has to end once it was told to."""


class Calls:
    """The calls of one rotation object, each with a deadline."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._hanging: dict[str, threading.Thread] = {}

    def ask(
        self, name: str, step: str, call: Callable[..., Any], *arguments: Any, timeout: float | None = None,
        stop: Callable[[], object] | None = None,
    ) -> Any:  # fmt: skip
        """Return what `call` returns; raises `RotationError` when it raises or does not return in `timeout` seconds.

        Then, and when this thread is interrupted, `stop` ends the call. Without it a call that hangs goes on in its
        thread, which Python cannot end.
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
        limit = self.timeout if timeout is None else timeout
        try:
            thread.join(limit)
        except BaseException:
            # Ctrl-C: nothing may change the source once this process has said what it left.
            self._end(name, thread, stop)
            raise
        if not outcome:
            self._end(name, thread, stop)
            raise RotationError(f"the rotator did not answer within {limit:g} s", name=name)
        result, error = outcome[0]
        if isinstance(error, StrongroomError):
            kind = SourceRefusedError if isinstance(error, SourceRefusedError) else RotationError
            raise kind(str(error), name=name) from None
        if error is not None:
            # Its text is not shown: the exceptions of a driver like to quote what they were given.
            raise RotationError(f"the rotator raised {type(error).__name__}", name=name) from None
        return result

    def _end(self, name: str, thread: threading.Thread, stop: Callable[[], object] | None) -> None:
        self._hanging[name] = thread
        if stop is not None:
            stop()
            thread.join(STOPPING)

    def hangs(self, name: str) -> bool:
        """True while a call for this secret has not come back."""
        thread = self._hanging.get(name)
        return thread is not None and thread.is_alive()
