"""The write lock of a file store: a file beside it, locked with `flock`, and a lock between the threads.

While it is held, the file holds one line of JSON about its holder, for whoever waits in vain. A holder that is killed
leaves the line, which tells the next one that there is something to clean up.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial

from strongroom.errors import StoreBusyError
from strongroom.stores.placing import copy_owner_and_mode, os_error
from strongroom.system.files import check_only_name, make_new, open_file, owners_beside
from strongroom.system.moment import now, utc

_LONGEST_PAUSE = 0.05
_MOST_BYTES = 4096


class FileLock:
    """Held by one thread of one process. Its file stays: removing it would let two processes lock two of them."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._threads = threading.Lock()
        self._descriptor: int | None = None
        self.last_was_killed = False
        """True when the holder before this one did not come to its end."""

    @contextmanager
    def hold(self, path: str) -> Iterator[None]:
        """Hold the lock on `path` in the block. Raises `StoreBusyError` when it is not free in time, `StoreError`."""
        threads = self._threads  # the child of a fork in here gets another one, and must not release that
        deadline = time.monotonic() + self._timeout
        if not threads.acquire(timeout=self._timeout):
            raise self._busy("another transaction of this process holds it")
        try:
            try:
                self._descriptor = self._lock(path, f"{path}.lock", deadline)
            except OSError as error:
                raise os_error(error, f"file:{path}.lock") from None
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

    def _lock(self, path: str, file: str, deadline: float) -> int:
        while True:
            descriptor = _open(path, file)
            try:
                check_only_name(file, descriptor)
                self._wait_for(descriptor, deadline)
                if _is_at(descriptor, file):
                    _keep_open_to_writers(descriptor, os.stat(path))
                    self.last_was_killed = os.fstat(descriptor).st_size > 0
                    _write_note(descriptor)
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # somebody removed the file while we waited

    def _wait_for(self, descriptor: int, deadline: float) -> None:
        pause = 0.001
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._busy(_holder(descriptor)) from None
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _unlock(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            # Closing would not do while a process that is being started still holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _busy(self, who: str) -> StoreBusyError:
        return StoreBusyError(
            f"{self._url}: its write lock was not free for {self._timeout:g} s: {who}. Let that one go on or end it, "
            "then try again; nothing was changed"
        )


def _open(path: str, file: str) -> int:
    """Open the lock's file; one that is made has the owner and mode of the store from its first moment."""
    while True:
        with suppress(FileNotFoundError):
            owners = owners_beside(file, os.stat(path).st_uid)
            return open_file(file, os.O_RDWR, owners=owners, largest=_MOST_BYTES)
        store = os.stat(path)
        with suppress(FileExistsError):
            make_new(file, partial(_write_like, store))


def _write_like(store: os.stat_result, draft: str) -> None:
    descriptor = os.open(draft, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        copy_owner_and_mode(store, descriptor)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, file: str) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(file, follow_symlinks=False))
    return False


def _keep_open_to_writers(descriptor: int, store: os.stat_result) -> None:
    """Let whoever may write the store lock it, when it has been given another owner or a wider mode meanwhile."""
    lock = os.fstat(descriptor)
    if lock.st_uid != os.geteuid():
        return
    if (lock.st_uid, lock.st_gid) != (store.st_uid, store.st_gid) or store.st_mode & ~lock.st_mode & 0o777:
        copy_owner_and_mode(store, descriptor)


def _write_note(descriptor: int) -> None:
    """Say who holds the lock, and since when."""
    note = {"pid": os.getpid(), "command": _own_command(os.getpid()), "since": round(now())}
    with suppress(OSError):  # a full disk is told by the commit
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode() + b"\n", 0)


@lru_cache(1)
def _own_command(pid: int) -> str:
    from strongroom.stores.holders import command

    return command(pid)


def _holder(descriptor: int) -> str:
    """Return in words who holds the lock on the open file, as far as that can be told."""
    from strongroom.stores.holders import describe, holder_of, printable

    found = os.fstat(descriptor)
    pid = holder_of(found.st_dev, found.st_ino)
    if pid == os.getpid():
        return "another transaction of this process holds it"
    try:
        note = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        noted, command, since = int(note["pid"]), printable(str(note["command"])), utc(float(note["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return f"{describe(pid)} holds it" if pid else "another process holds it"
    if pid is None:  # the kernel names no process of another container
        return f"it is held since {since} by a process of another container (there pid {noted}, command {command})"
    return f"it is held since {since} by {describe(pid)}" if pid == noted else f"it is held by {describe(pid)}"
