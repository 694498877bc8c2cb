"""Reports beside a store's file: a directory `FILE-held` with one small file for each, replaced whole.

Nothing here takes a lock. A process that is stopped in the middle leaves at most a draft, and keeps nobody waiting.
Who may write to the store may write here, and nobody else.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.errors import StoreError
from strongroom.stores.placing import os_error
from strongroom.system.files import UnsafeFileError, check_file, write_all

LARGEST = 4096
"""Bytes of a report."""
MOST = 16_384
"""Reports of one store: some hundred processes with a hundred secrets each."""
DRAFT_SECONDS = 60.0
"""After which a draft is one that its process will not finish."""
_HEXADECIMAL = frozenset("0123456789abcdef-")


class DirectoryReports:
    """Implements `strongroom.protocols.Reports` beside the file `path` of the store `url`."""

    def __init__(self, path: str, url: str) -> None:
        self._path = path
        self._url = url

    def put(self, key: str, report: bytes) -> None:
        """Write a report in place of the one before it. Raises `StoreError`."""
        if len(report) > LARGEST or not _is_key(key):
            raise StoreError(f"{self._url}: a report has at most {LARGEST:,} bytes, and a key of hexadecimal digits")
        for attempt in range(3):
            try:
                with self._directory(create=True) as directory:
                    self._write(directory, key, report)
                return
            except FileNotFoundError as error:
                # The last report was removed, and the directory with it, since it was opened.
                if attempt == 2:
                    raise os_error(error, self._url) from None
            except OSError as error:
                raise os_error(error, self._url) from None

    def remove(self, key: str) -> None:
        """Remove a report; no error when there is none. The directory goes with the last one. Raises `StoreError`."""
        with self._reading(), self._directory() as directory:
            if _is_key(key):
                with suppress(FileNotFoundError):
                    os.unlink(key, dir_fd=directory)
            _remove_drafts(directory)
            with suppress(OSError):  # it holds others, or lies in a directory that is not ours to change
                os.rmdir(self._place())

    def scan(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """Return key and report of each whose key starts with `prefix`, sorted. Raises `StoreError`."""
        found = []
        with self._reading(), self._directory() as directory:
            keys = [name for name in os.listdir(directory) if _is_key(name)]
            if len(keys) > MOST:
                raise StoreError(
                    f"{self._place()} holds {len(keys):,} reports, and at most {MOST:,} are read; remove the old ones"
                )
            for key in sorted(keys):
                if key.startswith(prefix):
                    # It may be replaced or removed just now.
                    with suppress(FileNotFoundError, UnsafeFileError):
                        found.append((key, self._read(directory, key)))
        return found

    def _place(self) -> str:
        # Processes that reach the store through different links meet at one place.
        return os.path.realpath(self._path) + "-held"

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # nobody has reported
        except OSError as error:
            raise os_error(error, self._url) from None

    @contextmanager
    def _directory(self, *, create: bool = False) -> Iterator[int]:
        """Open the directory, and check that it is what we would have made."""
        place = self._place()
        store = os.stat(self._path)
        if create:
            with suppress(FileExistsError):
                _make(place, store)
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise UnsafeFileError(place, "it is no directory, or a symbolic link; remove it") from None
            raise
        try:
            _check(place, os.fstat(descriptor), store)
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(self, directory: int, key: str, report: bytes) -> None:
        draft = f".{key}.{os.urandom(8).hex()}"
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            try:
                write_all(descriptor, report)
                _give(descriptor, os.stat(self._path), 0o666)
            finally:
                os.close(descriptor)
            # Not durable: no process that reports outlives a loss of power.
            os.rename(draft, key, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=directory)
            raise

    def _read(self, directory: int, key: str) -> bytes:
        try:
            descriptor = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise UnsafeFileError(key, "it is no regular file") from None
            raise
        try:
            found = os.fstat(descriptor)
            # Whose file it is says nothing: several users may share the store, and what it holds is authenticated.
            check_file(key, found, owners=(found.st_uid,), largest=LARGEST)
            return os.read(descriptor, LARGEST)
        finally:
            os.close(descriptor)


def _is_key(name: str) -> bool:
    return 0 < len(name) <= 80 and _HEXADECIMAL.issuperset(name)


def _make(place: str, store: os.stat_result) -> None:
    os.mkdir(place, 0o700)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _give(descriptor, store, 0o777)
    finally:
        os.close(descriptor)


def _give(descriptor: int, store: os.stat_result, most: int) -> None:
    """Give what was just made the owner and group of the store, as far as we may, and the group its rights there."""
    mode = 0o700 | ((store.st_mode & 0o060) | ((store.st_mode & 0o060) and 0o010))
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (store.st_uid, store.st_gid):
        try:
            os.fchown(descriptor, store.st_uid if os.geteuid() == 0 else -1, store.st_gid)
        except PermissionError:
            mode &= 0o700  # the rights of that group must not pass to ours
    os.fchmod(descriptor, mode & most)


def _check(place: str, found: os.stat_result, store: os.stat_result) -> None:
    """Raise `UnsafeFileError` for a directory in which others than those who may write to the store can write."""
    shared = bool(store.st_mode & 0o020) and found.st_gid == store.st_gid
    if found.st_uid not in (0, os.geteuid(), store.st_uid) and not shared:
        raise UnsafeFileError(place, f"it belongs to another user (uid {found.st_uid}); remove it")
    if stat.S_IMODE(found.st_mode) & (0o002 if shared else 0o022):
        raise UnsafeFileError(place, f"others can write there; `chmod {'o' if shared else 'go'}-w {place}`")


def _remove_drafts(directory: int) -> None:
    for name in os.listdir(directory):
        if name.startswith("."):
            with suppress(OSError):
                if time.time() - os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime > DRAFT_SECONDS:
                    os.unlink(name, dir_fd=directory)
