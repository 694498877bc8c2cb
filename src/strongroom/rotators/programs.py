"""Talks to a program: all of its input, a bounded part of its output, the last part of its standard error."""

from __future__ import annotations

import os
import selectors
from contextlib import suppress
from time import monotonic
from typing import Any

CHUNK = 1 << 16
POLL = 0.05
_MOST_LEFT = 1 << 20
"""Bytes that a pipe holds at most: so many are read after the program has ended."""


class Talk:
    """What is exchanged with a program until it ends, or its time is over, or it prints too much.

    Nothing waits for what the program has started: it may keep the pipes open for as long as it likes.
    """

    def __init__(self, program: Any, document: bytes, *, most: int | None, tail: int) -> None:
        """`most` bytes of its output are kept (None: it is of no interest), and the last `tail` of its errors."""
        self._program = program
        self._left = memoryview(document)
        self._most = most
        self._tail = tail
        self._read = 0
        self.printed = b""
        self.errors = b""
        self.is_late = False
        self.code: int | None = None
        """As in `subprocess`; None for a program that has not ended, or whose end somebody else was told of."""

    @property
    def is_too_long(self) -> bool:
        """True when the program printed more than `most` bytes."""
        return self._most is not None and len(self.printed) > self._most

    def until_end(self, seconds: float) -> None:
        """Talk until the program has ended, `seconds` are over, or it has printed too much."""
        deadline = monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            ends = self._watch(selector)
            try:
                while not self._has_ended() and not self.is_too_long:
                    left = deadline - monotonic()
                    if left <= 0:
                        self.is_late = True
                        return
                    for key, _ in selector.select(left if ends is not None else min(left, POLL)):
                        if key.data is not None and not key.data():
                            selector.unregister(key.fileobj)
                            key.fileobj.close()  # type: ignore[union-attr]
            finally:
                if ends is not None:
                    os.close(ends)

    def rest(self) -> None:
        """Read what the pipes still hold, once the program and its group have been killed, and close them."""
        for pipe, read in ((self._program.stdout, self._read_output), (self._program.stderr, self._read_errors)):
            before, left = -1, _MOST_LEFT
            while not pipe.closed and left > 0 and self._read != before and read():
                before, left = self._read, left - CHUNK
        for pipe in (self._program.stdin, self._program.stdout, self._program.stderr):
            with suppress(OSError):
                pipe.close()

    def _watch(self, selector: selectors.BaseSelector) -> int | None:
        """Register the pipes and, where the system has that, the program's end."""
        pipes = ((self._program.stdin, selectors.EVENT_WRITE, self._write),
                 (self._program.stdout, selectors.EVENT_READ, self._read_output),
                 (self._program.stderr, selectors.EVENT_READ, self._read_errors))  # fmt: skip
        for pipe, event, act in pipes:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event, act)
        try:
            ends = os.pidfd_open(self._program.pid)
        except OSError:
            return None
        selector.register(ends, selectors.EVENT_READ, None)
        return ends

    def _has_ended(self) -> bool:
        try:
            # It stays a zombie, so that its process group cannot be another one's before it is killed.
            found = os.waitid(os.P_PID, self._program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        if found is None:
            return False
        self.code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return True

    def _write(self) -> bool:
        """Write a part; False when nothing is left or the program reads no more, so that the pipe can be closed."""
        try:
            written = os.write(self._program.stdin.fileno(), self._left[:CHUNK])
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._left = self._left[written:]
        return len(self._left) > 0

    def _read_output(self) -> bool:
        data = self._next(self._program.stdout)
        if data and self._most is not None:
            self.printed = (self.printed + data)[: self._most + 1]
        return data != b""

    def _read_errors(self) -> bool:
        data = self._next(self._program.stderr)
        if data:
            self.errors = (self.errors + data)[-self._tail :]
        return data != b""

    def _next(self, pipe: Any) -> bytes | None:
        """Return what there is: None while the pipe is empty, nothing at its end."""
        try:
            data = os.read(pipe.fileno(), CHUNK)
        except BlockingIOError:
            return None
        self._read += len(data)
        return data
