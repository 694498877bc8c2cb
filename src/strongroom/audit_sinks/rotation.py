"""Makes, finds and rotates the files of a log. The lock is taken for that only, never to append."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.audit_sinks.segments import LOCK, Header, header_of, read_header, rotated, rotated_name
from strongroom.errors import AuditError


class Open:
    """A segment that is open for appending."""

    __slots__ = ("fd", "header")

    def __init__(self, fd: int, header: Header) -> None:
        self.fd = fd
        self.header = header


class Place:
    """Where the newest segment of a log lies; immutable."""

    __slots__ = ("keep", "max_bytes", "path")

    def __init__(self, path: str, max_bytes: int | None, keep: int | None) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep

    def follow(self, now: Open | None) -> Open:
        """Return the segment that the next line goes to: `now` itself, or another one, and then `now` is closed.

        Raises `OSError`, and `AuditError` when something else lies at the path.
        """
        if now is None:
            return self._open(None)
        if self._is(now) and not self._is_full(now):
            return now
        if self._is(now):
            with self._lock():
                # Another process may have been faster.
                if self._is(now) and self._is_full(now):
                    self._rotate(now)
        following = self._open(now)
        os.close(now.fd)
        return following

    def _is(self, now: Open) -> bool:
        try:
            there, here = os.stat(self.path), os.fstat(now.fd)
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)

    def _is_full(self, now: Open) -> bool:
        return self.max_bytes is not None and os.fstat(now.fd).st_size >= self.max_bytes

    def _open(self, now: Open | None) -> Open:
        found = self._open_existing()
        while found is None:
            with self._lock():
                found = self._open_existing()
                if found is None:
                    self._create(self._next(now), _found(self.path))
                    found = self._open_existing()
        return found

    def _open_existing(self) -> Open | None:
        """Open the segment at the path; None when there is none or an empty file."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            return None
        # The header first: an empty file that becomes a segment in between must not look like another file.
        header, found = read_header(fd), os.fstat(fd)
        if header and stat.S_ISREG(found.st_mode):
            return Open(fd, header)
        os.close(fd)
        if stat.S_ISREG(found.st_mode) and found.st_size == 0:
            return None
        raise AuditError(f"{self.path} is not an audit log of strongroom; move it away or name another path")

    def _rotate(self, now: Open) -> None:
        target = rotated_name(self.path, now.header.segment)
        if os.path.lexists(target):
            target += f"-{os.urandom(4).hex()}"
        os.rename(self.path, target)
        self._create(now.header.next(), os.fstat(now.fd))
        if self.keep is not None:
            for path in list(rotated(self.path, now.header.log).values())[: -self.keep]:
                os.unlink(path)

    def _create(self, header: Header, like: os.stat_result | None) -> None:
        """Put a new segment at the path, whole or not at all; call with the lock held."""
        folder, base = os.path.split(self.path)
        new = os.path.join(folder, f".{base}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if like is not None:
                _share(fd, like)
            os.write(fd, header.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, self.path)

    def _next(self, now: Open | None) -> Header:
        """Say what comes after the newest segment that can be found, so that a log survives its file's renaming."""
        older = rotated(self.path, now.header.log if now else None)
        known = [header for header in map(header_of, older.values()) if header]
        if now:
            known.append(now.header)
        return (
            max(known, key=lambda header: (header.log, header.segment)).next()
            if known
            else Header(os.urandom(8).hex(), 1)
        )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        import fcntl

        fd = os.open(self.path + LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            # Whoever may write the log must be able to lock it, also after root was the first to do so.
            like = _found(self.path)
            if like is not None and os.fstat(fd).st_uid == os.geteuid():
                _share(fd, like)
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _found(path: str) -> os.stat_result | None:
    """Return what lies at the path, None when nothing does, as for a moment while another process rotates."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _share(fd: int, like: os.stat_result) -> None:
    """Give a file of ours the owner, the group and the mode of `like`, as far as we may."""
    mode = stat.S_IMODE(like.st_mode)
    for owner in (like.st_uid, -1):
        with suppress(PermissionError):
            os.fchown(fd, owner, like.st_gid)
            break
    else:
        # Rights that were given to that group must not pass to ours.
        mode &= ~0o070
    os.fchmod(fd, mode)
