"""The audit log as a file: `file:logs/secrets_audit.log`. Many processes append to it without a lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from _weakrefset import WeakSet
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.audit_sinks import reading
from strongroom.audit_sinks.segments import Header, header_of, read_header, rotated, rotated_name
from strongroom.errors import AuditError, ConfigError
from strongroom.protocols import LogLine, Position

MAX_BYTES = 64 * 1024 * 1024
LOOK_EVERY = 1.0
"""Seconds after which a writer looks whether the file at its path is still the one it writes to."""
_hints = {
    errno.ENOSPC: "free some space on that disk, or let the log live elsewhere",
    errno.EDQUOT: "the quota is used up: free some space, or let the log live elsewhere",
    errno.EACCES: "let this user write to the file and its directory",
    errno.EPERM: "let this user write to the file and its directory",
    errno.EROFS: "the file system is read-only: let the log live elsewhere",
    errno.EISDIR: "name a file, not a directory",
    errno.ENOTDIR: "a part of the path is a file: name another path",
}


def connect(rest: str, *, sync: str = "write", max_bytes: int | None = MAX_BYTES, keep: int | None = None) -> FileSink:
    """Return the sink that `file:<rest>` names. Nothing is opened before it is used."""
    if not rest:
        raise ConfigError("an audit log needs a path: write it like file:logs/secrets_audit.log")
    return FileSink(rest, sync=sync, max_bytes=max_bytes, keep=keep)


class FileSink:
    """Appends to the file at `path`, which is made with mode 0600 and its directory when they are not there.

    A line is handed to the kernel by one `write` with `O_APPEND`, so it survives the death of the process; with
    `sync="fsync"` it also survives power loss, and costs what the disk takes. When the file has `max_bytes` (None
    for no limit) it becomes `<path>.000001` and so on, and with `keep` only that many of those stay. Programs that
    rename the file (logrotate without `copytruncate`) are noticed within a second; nothing is lost.

    Append from one thread at a time, as `AuditLog` does; reading is free.
    """

    def __init__(
        self, path: str, *, sync: str = "write", max_bytes: int | None = MAX_BYTES, keep: int | None = None
    ) -> None:
        if sync not in ("write", "fsync"):
            raise ConfigError(f"an audit log is written with sync 'write' or 'fsync', not {sync!r}")
        if keep is not None and keep < 1:
            raise ConfigError("keep at least 1 rotated audit log: others may still be writing to it")
        self.url = f"file:{path}"
        self._path = os.path.realpath(path)
        self._fsync = sync == "fsync"
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1
        self._torn = False
        self._room = 0
        self._after_fork()
        _sinks.add(self)

    def __repr__(self) -> str:
        return f"FileSink({self.url})"

    def segment(self) -> int:
        """See `AuditSink`; looks at the path once per `LOOK_EVERY` and when the file must be full."""
        if time.monotonic() >= self._look_at or self._room <= 0:
            with self._errors("opened"):
                self._look()
        return self._header.segment

    def append(self, line: bytes) -> None:
        """See `AuditSink`."""
        if self._fd < 0:
            self.segment()
        # What was torn off stays alone on its line.
        whole = b"\n" + line if self._torn else line
        try:
            written = os.write(self._fd, whole)
            self._torn = written < len(whole)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._fsync:
                os.fsync(self._fd)
        except OSError as error:
            raise self._failure("written", error) from None
        self._last = len(line)
        self._room -= len(whole)

    def position(self) -> Position:
        """See `AuditSink`."""
        if self._fd < 0:
            self.segment()
        with self._errors("read"):
            if self._last:
                # With O_APPEND the kernel leaves the offset of the descriptor behind the line that it wrote.
                return Position(*self._header, os.lseek(self._fd, 0, os.SEEK_CUR) - self._last)
            return Position(*self._header, os.fstat(self._fd).st_size)

    def lines(self) -> Iterator[LogLine]:
        """See `AuditSink`; the first line of each segment is its header."""
        with self._errors("read"):
            for segment in reading.oldest_first(self._path):
                yield from reading.forwards(segment)

    def lines_backwards(self) -> Iterator[LogLine]:
        """See `AuditSink`; the last line of each segment is its header."""
        with self._errors("read"):
            for segment in reading.newest_first(self._path):
                yield from reading.backwards(segment)

    def close(self) -> None:
        """See `AuditSink`."""
        if self._fd >= 0:
            os.close(self._fd)
        self._after_fork()

    def _after_fork(self) -> None:
        # The offset of a descriptor is shared with the parent, so `position` needs one of our own.
        self._fd = -1
        self._header = Header("", 0)
        self._last = 0
        self._torn = False
        self._look_at = 0.0
        self._room = 0

    def _look(self) -> None:
        """Follow the path to where the log goes on now; begin the next segment when this one is full."""
        if self._fd < 0 or not self._is_ours():
            self._open()
        elif self._is_full():
            with self._lock():
                if self._is_ours() and self._is_full():
                    self._rotate()
            self._open()
        size = os.fstat(self._fd).st_size
        self._room = size + 1 if self._max_bytes is None else max(self._max_bytes - size, 1)
        self._look_at = time.monotonic() + LOOK_EVERY

    def _is_ours(self) -> bool:
        try:
            there, here = os.stat(self._path), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)

    def _is_full(self) -> bool:
        return self._max_bytes is not None and os.fstat(self._fd).st_size >= self._max_bytes

    def _rotate(self) -> None:
        old = os.fstat(self._fd)
        target = rotated_name(self._path, self._header.segment)
        if os.path.lexists(target):
            target += f"-{os.urandom(4).hex()}"
        os.rename(self._path, target)
        self._create(self._header.next(), old)
        if self._keep is not None:
            segments = rotated(self._path, self._header.log)
            for path in list(segments.values())[: -self._keep]:
                os.unlink(path)

    def _create(self, header: Header, like: os.stat_result | None) -> None:
        """Put a new segment at the path, whole or not at all; call with the lock held."""
        folder, base = os.path.split(self._path)
        new = os.path.join(folder, f".{base}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if like is not None:
                os.fchmod(fd, stat.S_IMODE(like.st_mode))
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, like.st_uid, like.st_gid)
            os.write(fd, header.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, self._path)

    def _open(self) -> None:
        fd = self._open_existing()
        if fd < 0:
            with self._lock():
                fd = self._open_existing()
                if fd < 0:
                    self._create(self._next_header(), os.stat(self._path) if os.path.exists(self._path) else None)
                    fd = self._open_existing()
        if self._fd >= 0:
            os.close(self._fd)
        header = read_header(fd)
        assert header is not None
        self._fd, self._header, self._last = fd, header, 0
        # Another process may have died amid a line, or met a full disk; then the next line begins with a line feed.
        size = os.fstat(fd).st_size
        self._torn = os.pread(fd, 1, size - 1) != b"\n"

    def _open_existing(self) -> int:
        """Return a descriptor of the segment at the path, or -1 when there is none or an empty file."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            return -1
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and (read_header(fd) or found.st_size == 0):
            if found.st_size:
                return fd
            os.close(fd)
            return -1
        os.close(fd)
        raise AuditError(f"{self._path} is not an audit log of strongroom; move it away or name another path")

    def _next_header(self) -> Header:
        """Say what comes after the newest segment that can be found, so that a log survives its file's renaming."""
        older = rotated(self._path, self._header.log or None)
        newest = header_of(list(older.values())[-1]) if older else None
        if newest is None:
            return Header(os.urandom(8).hex(), 1) if self._fd < 0 else self._header.next()
        # Equal log ids, or an own header that is still empty: the greater one is the newer.
        return max(newest, self._header).next()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        fd = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(done, error) from None

    def _failure(self, done: str, error: OSError) -> AuditError:
        number = error.errno or 0
        reason = f"{errno.errorcode.get(number, '?')}: {os.strerror(number)}"
        hint = _hints.get(number, "look at the file and its directory")
        return AuditError(
            f"the audit log {self._path} cannot be {done} ({reason}), and nothing is answered without it: {hint}"
        )


_sinks: WeakSet[FileSink] = WeakSet()


def _in_child() -> None:
    for sink in _sinks:
        if sink._fd >= 0:
            os.close(sink._fd)
        sink._after_fork()


os.register_at_fork(after_in_child=_in_child)
