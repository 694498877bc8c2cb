"""The write lock of a file store: a file beside it, locked with `flock`, and a lock between the threads."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.errors import StoreBusyError
from strongroom.stores.placing import copy_owner_and_mode, os_error

_LONGEST_PAUSE = 0.05


class FileLock:
    """Held by one thread of one process. Its file stays: removing it would let two processes lock two of them."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._threads = threading.Lock()
        self._descriptor: int | None = None

    @contextmanager
    def hold(self, path: str) -> Iterator[None]:
        """Hold the lock on `path` in the block. Raises `StoreBusyError` when it is not free in time, `StoreError`."""
        threads = self._threads  # the child of a fork in here gets another one, and must not release that
        deadline = time.monotonic() + self._timeout
        if not threads.acquire(timeout=self._timeout):
            raise self._busy()
        try:
            self._lock(path, deadline)
            try:
                yield
            finally:
                self._unlock()
        finally:
            threads.release()

    def is_held(self) -> bool:
        """Tell whether this process holds it: not so in a child that was forked by the holder."""
        return self._descriptor is not None

    def after_fork_in_child(self) -> None:
        """Let go without unlocking: the parent's lock stays until the parent, too, lets go."""
        self._threads = threading.Lock()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _lock(self, path: str, deadline: float) -> None:
        try:
            descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise os_error(error, self._url) from None
        try:
            self._wait_for(descriptor, deadline)
            # Whoever may write the store must be able to lock it, also after root was the first to do so.
            if os.fstat(descriptor).st_uid == os.geteuid():
                copy_owner_and_mode(os.stat(path), descriptor)
        except OSError as error:
            os.close(descriptor)
            raise os_error(error, self._url) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _wait_for(self, descriptor: int, deadline: float) -> None:
        pause = 0.001
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._busy() from None
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _unlock(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Closing would not do while a process that is being started still holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _busy(self) -> StoreBusyError:
        return StoreBusyError(f"{self._url}: its lock was not free for {self._timeout:g} s; look for a stuck process")
