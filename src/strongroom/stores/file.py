"""A store in one text file, to commit to git and to ship with an image; for few writers and many readers.

Each read asks the operating system (`stat`) whether the file is still the one that was read. A commit writes the
whole file anew beside the old one and renames it into place, so there is always one whole file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from strongroom.errors import StoreError
from strongroom.files import sync_directory
from strongroom.stores import forking
from strongroom.stores.file_document import Document, parse
from strongroom.stores.file_lock import FileLock
from strongroom.stores.placing import absolute, make_new, os_error, write_whole
from strongroom.stores.snapshot import Draft, Snapshot

if TYPE_CHECKING:
    from strongroom.protocols import Reports


class FileStore:
    """Implements `strongroom.protocols.Store` on the file `path`; `timeout` (seconds) is for its write lock.

    With `create` the file is made (mode 0600), never overwritten. Symbolic links are followed anew by each read and
    commit, and stay links.

    Raises `StoreNotFoundError`, `StoreExistsError`, and what `file_document.parse` raises.
    """

    def __init__(self, path: str, *, create: bool = False, timeout: float = 30.0) -> None:
        self.url = f"file:{path}"
        self._path = absolute(path, self.url)
        if create:
            make_new(self._path, self.url, self._write_first)
        self._lock = FileLock(self.url, timeout)
        self._loading = threading.RLock()
        self._loaded: _Loaded | None = None
        self._closed = False
        forking.watch(self)
        self._current()

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None. Raises `StoreError` and `TamperedError`."""
        return self._current().get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        return self._current().scan(prefix, after, limit)

    def revision(self) -> int:
        """Return the number of commits so far."""
        return self._current().revision

    def commits(self) -> None:
        """There is no counter: `revision` is as cheap."""

    def mark(self, path: str) -> None:
        """There is no counter of a path either."""

    @contextmanager
    def view(self) -> Iterator[Snapshot]:
        """Return the store as it is now; later commits do not change it."""
        yield self._current()

    @contextmanager
    def transaction(self) -> Iterator[Draft]:
        """Hold the write lock; commit durably at a clean exit, change nothing when the block raises."""
        self._check_open()
        path = os.path.realpath(self._path)
        with self._lock.hold(path):
            before = self._current()
            draft = Draft(before)
            try:
                yield draft
            finally:
                draft.end()
            if draft.changes:
                self._commit(path, before.succeeded_by(draft.changes))

    def scrub(self) -> bool:
        """True: a commit leaves nothing of the file before it. Copies, such as those in git, are out of reach."""
        self._check_open()
        return True

    @property
    def reports(self) -> Reports:
        """What running processes report; see `strongroom.protocols.Reporting`."""
        from strongroom.stores.reports import DirectoryReports

        return DirectoryReports(self._path, self.url)

    def close(self) -> None:
        """Forget what was read; closing twice is no error."""
        with self._loading:
            self._closed = True
            self._keep(None)

    def before_fork(self) -> None:
        """Nothing to let go of: what was read stays true in a child."""

    def after_fork_in_parent(self) -> None:
        """Nothing was let go of."""

    def after_fork_in_child(self) -> None:
        """Take new locks, because the threads that held the old ones do not exist here."""
        self._loading = threading.RLock()
        self._lock.after_fork_in_child()

    def _current(self) -> Document:
        try:
            # Before looking at what is loaded: a commit in between then makes the two differ, never agree by chance.
            signature = _signature(os.stat(self._path))
            loaded = self._loaded
            if loaded is not None and loaded.signature == signature:
                return loaded.document
            return self._load()
        except OSError as error:
            raise os_error(error, self.url) from None

    def _load(self) -> Document:
        with self._loading:
            self._check_open()
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                signature = _signature(os.fstat(descriptor))
                with open(descriptor, "rb", closefd=False) as file:
                    document = parse(file.read(), self.url)
            except BaseException:
                os.close(descriptor)
                raise
            if self._loaded is not None:
                document.take_over(self._loaded.document)
            self._keep(_Loaded(document, signature, descriptor))
            return document

    def _keep(self, loaded: _Loaded | None) -> None:
        before, self._loaded = self._loaded, loaded
        if before is not None:
            os.close(before.descriptor)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.url} is closed; open it again")

    def _commit(self, path: str, document: Document) -> None:
        if not self._lock.is_held():
            raise StoreError(f"{self.url}: this transaction was begun before a fork; begin another one")
        directory, name = os.path.split(path)
        draft = os.path.join(directory, f".{name}.tmp")  # one name: the next writer removes what a killed one left
        try:
            with suppress(FileNotFoundError):
                os.unlink(draft)
            try:
                write_whole(draft, document.to_bytes(), like=path)
                os.replace(draft, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft)
                raise
            sync_directory(path)
        except OSError as error:
            raise os_error(error, self.url) from None

    def _write_first(self, draft: str) -> None:
        os.unlink(draft)
        write_whole(draft, Document(self.url, 0, {}).to_bytes())


class _Loaded(NamedTuple):
    document: Document
    signature: tuple[int, ...]
    descriptor: int
    """Kept open so that the file system cannot give the number of this inode to the next file."""


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def connect(rest: str, *, create: bool) -> FileStore:
    """Return the store at the address `file:` + `rest`."""
    return FileStore(rest, create=create)
