"""The audit log as a file: `file:logs/secrets_audit.log`. Many processes append to it without a lock."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from strongroom.audit_sinks import reading, segments
from strongroom.audit_sinks.rotation import Open, Place, close
from strongroom.errors import AuditError, ConfigError
from strongroom.model import MAX_LINE_BYTES, LogLine, Position
from strongroom.system.files import UnsafeFileError
from strongroom.system.ways import resolve

MAX_BYTES = 64 * 1024 * 1024
LOOK_EVERY = 1.0
"""Seconds after which a writer looks whether the file at its path is still the one it writes to."""
_ELSEWHERE = "name another one with --audit or STRONGROOM_AUDIT"
_hints = {
    errno.ENOSPC: f"free some space on that disk, or {_ELSEWHERE}",
    errno.EDQUOT: f"the quota is used up: free some space, or {_ELSEWHERE}",
    errno.EACCES: f"let this user write to the file and its directory, or {_ELSEWHERE}",
    errno.EPERM: f"let this user write to the file and its directory, or {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only: {_ELSEWHERE}",
    errno.EISDIR: "name a file, not a directory",
    errno.ENOTDIR: "a part of the path is a file: name another path",
}


def connect(
    rest: str, *, sync: str = "write", max_bytes: int | None = MAX_BYTES, keep: int | None = None,
    owners: Collection[int] = (),
) -> FileSink:  # fmt: skip
    """Return the sink that `file:<rest>` names. Nothing is opened before it is used."""
    if not rest:
        raise ConfigError("an audit log needs a path: write it like file:logs/secrets_audit.log")
    return FileSink(rest, sync=sync, max_bytes=max_bytes, keep=keep, owners=owners)


class FileSink:
    """Appends to the file at `path`, which is made with mode 0600 and its directory (0700) when they are not there.

    A line is handed to the kernel by one `write` with `O_APPEND`, so it survives the death of the process; with
    `sync="fsync"` it also survives power loss, and costs what the disk takes. When the file has `max_bytes` (None
    for no limit) it becomes `<path>.000001` and so on, and with `keep` only that many of those stay. Programs that
    rename the file (logrotate without `copytruncate`) are noticed within a second; nothing is lost.

    Files and directories must belong to root, to this user or to one of `owners` (user ids), or be shared through a
    group; those of strangers, and links of strangers, are an `AuditError`.

    Append from one thread at a time, as `AuditLog` does; reading is free.
    """

    _torn: bool
    _fd: int
    _room: int
    _segment: int
    _last: int
    _replaced: bool
    _where: str
    _look_at: float

    def __init__(
        self, path: str, *, sync: str = "write", max_bytes: int | None = MAX_BYTES, keep: int | None = None,
        owners: Collection[int] = (),
    ) -> None:  # fmt: skip
        if sync not in ("write", "fsync"):
            raise ConfigError(f"an audit log is written with sync 'write' or 'fsync', not {sync!r}")
        if keep is not None and keep < 1:
            raise ConfigError("keep at least 1 rotated audit log: others may still be writing to it")
        self.url = f"file:{path}"
        self._harm: str | None = None
        try:
            real = resolve(path, owners=owners)
        except UnsafeFileError as error:
            raise AuditError(f"the audit log {path} is not used: {error.filename}: {error.strerror}") from None
        except OSError:
            real = os.path.abspath(path)  # to open it will say why
        self._place = Place(real, max_bytes, keep, owners)
        self._fsync = sync == "fsync"
        self._forget()
        _sinks.add(self)

    def __repr__(self) -> str:
        return f"FileSink({self.url})"

    def segment(self) -> int:
        """See `AuditSink`; looks at the path once per `LOOK_EVERY` and when the file must be full."""
        if self._room <= 0 or time.monotonic() >= self._look_at:
            with self._errors("opened"):
                self._look()
            if self._replaced:
                self._replaced = False
                return 0
        return self._segment

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
        assert self._open is not None
        log, segment = self._open.header.log, self._open.header.segment
        with self._errors("read"):
            if self._last:
                # With O_APPEND the kernel leaves the offset of the descriptor behind the line that it wrote.
                return Position(log, segment, os.lseek(self._fd, 0, os.SEEK_CUR) - self._last)
            return Position(log, segment, os.fstat(self._fd).st_size)

    def holds(self, position: Position, event_id: str, mac: str) -> bool:
        """Return whether the event with this id and MAC lies there; True where that cannot be told without a search."""
        if self._open is None or (position.log, position.segment) != (self._open.header.log, self._open.header.segment):
            return True
        with self._errors("read"):
            text = os.pread(self._fd, MAX_LINE_BYTES, position.offset)
        line = text.partition(b"\n")[0]
        return line.startswith(b'{"id":"%b"' % event_id.encode()) and b',"mac":"%b"}' % mac.encode() in line

    def sync(self) -> None:
        """Let everything that is in the segment now survive power loss: lines of other processes too."""
        if self._fd >= 0:
            with self._errors("written"):
                os.fdatasync(self._fd)

    def where(self) -> str:
        """Return what names this log whatever the spelling of its path: the path, a space, and its directory's number.

        The number is the same through another mount, and no other directory on any disk has it; `-` when there is none.
        """
        if not self._where:
            number = "-"
            with suppress(OSError):
                disk, directory = os.statvfs(self._place.folder).f_fsid, os.stat(self._place.folder).st_ino
                number = f"{disk:x}:{directory:x}" if disk else "-"
            self._where = f"file:{self._place.path} {number}"
        return self._where

    def take_harm(self) -> str | None:
        """Return what was done to the segment before, while this sink wrote to it; see `WatchedLog`."""
        harm, self._harm = self._harm, None
        return harm

    def compressed(self) -> list[str]:
        """Return the names of files beside the log that could be compressed segments, which are not read."""
        return segments.compressed(self._place.path)

    def lines(self) -> Iterator[LogLine]:
        """See `AuditSink`; the first line of each segment is its header."""
        with self._errors("read"):
            for segment in reading.oldest_first(self._place):
                yield from reading.forwards(segment)

    def lines_backwards(self) -> Iterator[LogLine]:
        """See `AuditSink`; the last line of each segment is its header."""
        with self._errors("read"):
            yield from reading.lines_backwards(self._place)

    def close(self) -> None:
        """See `AuditSink`."""
        if self._open is not None:
            close(self._open.fd)
        self._forget()

    def reopen(self) -> None:
        """Be the sink of a process that was forked: the offset of a descriptor is shared with the parent."""
        self.close()

    def _forget(self) -> None:
        self._open: Open | None = None
        self._where = ""
        self._replaced = False
        self._fd = -1
        # No room: whoever comes next looks, and that sets the rest.
        self._room = 0

    def _look(self) -> None:
        """Follow the path to where the log goes on now."""
        now = self._open
        # The directory may have been moved away, with another in its place.
        self._where = ""
        following = self._place.follow(now)
        fd = following.fd
        if following is not now:
            # First of all, since the old descriptor is closed and its number may soon be another file's.
            self._replaced = now is not None and now.header.log != following.header.log
            self._open, self._fd, self._segment = following, fd, following.header.segment
            self._last, self._torn, self._harm = 0, True, following.harm
        size = os.fstat(fd).st_size
        if following is not now:
            # Another process may have died amid a line; then the next line begins with a line feed.
            self._torn = os.pread(fd, 1, size - 1) != b"\n"
        self._room = size + 1 if self._place.max_bytes is None else max(self._place.max_bytes - size, 1)
        self._look_at = time.monotonic() + LOOK_EVERY

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(done, error) from None

    def _failure(self, done: str, error: OSError) -> AuditError:
        if isinstance(error, UnsafeFileError):
            return AuditError(f"the audit log {self._place.path} is not used: {error.filename}: {error.strerror}")
        number = error.errno or 0
        reason = f"{errno.errorcode.get(number, '?')}: {os.strerror(number)}"
        hint = _hints.get(number, "look at the file and its directory")
        return AuditError(
            f"the audit log {self._place.path} cannot be {done} ({reason}), and nothing is answered without it: {hint}"
        )


_sinks: WeakSet[FileSink] = WeakSet()


def _in_child() -> None:
    for sink in _sinks:
        sink.reopen()


os.register_at_fork(after_in_child=_in_child)
