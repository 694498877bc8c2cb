"""Makes, finds and rolls over the files of a log.

No process waits for one that was stopped. An empty file is linked into the place of the log, so one of several
processes makes it. Whoever finds it empty writes its header, and the first header counts. Its number is chosen while
the file is there, so nobody can have given it to another segment meanwhile. A process that rolls over holds a lock of
the full segment; one that does not get that lock goes on in the full segment.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection
from contextlib import suppress

from strongroom.audit_sinks import sharing
from strongroom.audit_sinks.segments import (
    HEADER_LIMIT,
    Header,
    compressed,
    cut_name,
    header_of,
    is_torn_header,
    read_header,
    rotated,
    rotated_name,
)
from strongroom.audit_sinks.sharing import Directory
from strongroom.errors import AuditError
from strongroom.system.files import UnsafeFileError, sync_directory

REMOVED, CUT = "log_removed", "log_cut"
_TRIES = 100


class Open:
    """A segment that is open for appending."""

    __slots__ = ("fd", "harm", "header")

    def __init__(self, fd: int, header: Header, harm: str | None = None) -> None:
        self.fd = fd
        self.header = header
        self.harm = harm
        """What was done to the segment before, while this process wrote to it: `REMOVED` or `CUT`."""


class Place:
    """Where the newest segment of a log lies; immutable."""

    __slots__ = ("folder", "keep", "max_bytes", "owners", "path")

    def __init__(self, path: str, max_bytes: int | None, keep: int | None, owners: Collection[int] = ()) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        self.max_bytes = max_bytes
        self.keep = keep
        self.owners = owners

    def directory(self) -> Directory:
        """Judge the directory of the log; raises `OSError`."""
        return Directory(self.folder, self.owners)

    def follow(self, now: Open | None) -> Open:
        """Return the segment that the next line goes to: `now` itself, or another one, and then `now` is closed.

        Raises `OSError`, and `AuditError` when something else lies at the path.
        """
        if now is None:
            return self._open(None)
        harm = None
        if self._is(now):
            if read_header(now.fd) != now.header:
                harm = CUT
                self._put_aside(now.fd, now.header.segment)
            elif not self._is_full(now) or not self._roll_over(now):
                return now
        following = self._open(now)
        try:
            # A segment vouches for the one before: so that one must not lose its end when the power goes.
            os.fsync(now.fd)
            following.harm = harm or self._harm(now, following)
        except BaseException:
            close(following.fd)
            raise
        close(now.fd)
        return following

    def _is(self, now: Open) -> bool:
        try:
            there, here = os.stat(self.path, follow_symlinks=False), os.fstat(now.fd)
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)

    def _is_full(self, now: Open) -> bool:
        return self.max_bytes is not None and os.fstat(now.fd).st_size >= self.max_bytes

    def _harm(self, now: Open, following: Open) -> str | None:
        """Say that the segment was deleted while it was the newest: later on it may be, as `keep` does."""
        gone = os.fstat(now.fd).st_nlink == 0 and not compressed(self.path)
        direct = following.header in (now.header, now.header.next()) or following.header.log != now.header.log
        return REMOVED if gone and direct else None

    def _open(self, now: Open | None) -> Open:
        for attempt in range(_TRIES):
            found = self._open_existing(now, patient=attempt < _TRIES // 2)
            if found is not None:
                return found
        raise AuditError(f"{self.path} is replaced again and again; look which program does that")

    def _open_existing(self, now: Open | None, *, patient: bool) -> Open | None:
        """Open the segment at the path, or make one; None when it was replaced meanwhile."""
        try:
            fd = self._open_file()
        except FileNotFoundError:
            if not os.path.isdir(self.folder):
                sharing.make(self.folder, self.owners)
            self._create(None)
            return None
        try:
            header = read_header(fd) or self._begin(fd, now, patient)
            if header is not None:
                fd, opened = -1, fd
                return Open(opened, header)
        finally:
            if fd >= 0:
                os.close(fd)
        return None

    def _open_file(self) -> int:
        directory = self.directory()
        flags = os.O_RDWR | os.O_APPEND
        try:
            return directory.open(self.path, flags, strict=True)
        except UnsafeFileError as error:
            if directory.open_to_all and self._is_handed_on(directory):
                return directory.open(self.path, flags)
            raise AuditError(
                f"{self.path} is not an audit log of strongroom ({error.strerror}); move it away or name another path"
            ) from None

    def _is_handed_on(self, directory: Directory) -> bool:
        """Return whether an older segment of this log is of somebody whom we trust."""
        header = header_of(self.path, directory)
        return header is not None and bool(rotated(self.path, directory, header.log, strict=True))

    def _begin(self, fd: int, now: Open | None, patient: bool) -> Header | None:
        """Make a segment of an empty file, or of what `copytruncate` left; None when it has to be looked at again."""
        start = os.pread(fd, HEADER_LIMIT, 0)
        if start and is_torn_header(start):
            # The power went, or the disk was full, before anything but a part of a header was written.
            if _lock(fd) and os.pread(fd, HEADER_LIMIT, 0) == start:
                os.ftruncate(fd, 0)
                start = b""
            _unlock(fd)
        if not start:
            if not _lock(fd) and patient:
                # Another process is at it. Should it be stopped amid that, it does no harm to write a header too.
                time.sleep(0.001)
                return None
            if header := read_header(fd):
                return header
            line = self._next(now).encode()
            if os.write(fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
            _unlock(fd)
            return read_header(fd)
        if start.startswith((b'{"id":"', b"\0")):
            older = rotated(self.path, self.directory(), packed=True)
            segment = now.header.segment if now else max(older, default=0)
            if segment:
                self._put_aside(fd, segment)
                return None
        if read_header(fd):
            return None
        raise AuditError(f"{self.path} is not an audit log of strongroom; move it away or name another path")

    def _put_aside(self, fd: int, segment: int) -> None:
        """Let what was written to a segment after it had been cut in place lie beside the log, where it is read."""
        if os.fstat(fd).st_size and not read_header(fd) and _lock(fd):
            target = _unused(cut_name(self.path, segment))
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(fd)):
                    os.rename(self.path, target)

    def _roll_over(self, now: Open) -> bool:
        """Put a new segment into the place of a full one; False when that cannot be now."""
        if not _lock(now.fd):
            # Another process is at it, or was stopped amid it. It takes no harm when the file becomes larger.
            return False
        try:
            if not self._is(now):
                return True
            os.fsync(now.fd)
            try:
                # Whoever finds nothing at the path makes the next segment, should we be stopped here.
                os.rename(self.path, _unused(rotated_name(self.path, now.header.segment)))
            except OSError:
                # A mount point, an append-only file, a directory of others: everything is on record all the same.
                return False
            self._create(os.fstat(now.fd))
            self._drop_oldest(now.header.log)
            return True
        finally:
            _unlock(now.fd)

    def _drop_oldest(self, log: str) -> None:
        if self.keep is not None:
            for path in list(rotated(self.path, self.directory(), log).values())[: -self.keep]:
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _create(self, like: os.stat_result | None) -> None:
        """Put an empty file at the path, durably, unless another process is faster."""
        self.directory()
        folder, base = os.path.split(self.path)
        draft = os.path.join(folder, f".{base}.{os.urandom(8).hex()}.new")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if like is not None:
                _share(fd, like)
            _link(draft, self.path)
        finally:
            os.close(fd)
            os.unlink(draft)
            sync_directory(self.path)

    def _next(self, now: Open | None) -> Header:
        """Say what comes after the newest segment that can be found, so that a log survives its file's renaming."""
        directory = self.directory()
        older: dict[int, str] = {}
        # Whose log it is, those say whom we trust; how far it is, anybody who may write here.
        trusted = rotated(self.path, directory, now.header.log if now else None, packed=True, strict=True)
        first = next((header_of(path, directory) for path in trusted.values()), None)
        if first or now:
            log = now.header.log if now else first.log if first else ""
            older = rotated(self.path, directory, log, packed=True)
        known = [header for header in (header_of(path, directory) for path in older.values()) if header]
        if now:
            known.append(now.header)
        if not known:
            return Header(os.urandom(8).hex(), 1)
        return max(known, key=lambda header: (header.log, header.segment)).next()


def close(fd: int) -> None:
    """Close a descriptor, which is closed also when that fails: to use it again could hit another file."""
    with suppress(OSError):
        os.close(fd)


def _lock(fd: int) -> bool:
    """Take the lock of a segment, or return False at once."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(fd: int) -> None:
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_UN)


def _unused(path: str) -> str:
    """Return a name that is not taken; only who holds the lock of the log asks."""
    return f"{path}-{os.urandom(4).hex()}" if os.path.lexists(path) else path


def _link(draft: str, path: str) -> None:
    """Give a file its name unless that is taken."""
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError:
        # No hard links here (FAT, some network mounts).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


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
