"""A store in one text file, to commit to git and to ship with an image; for few writers and many readers.

Each read asks the operating system (`stat`) whether the file is still the one that was read. A commit writes the
whole file anew beside the old one and renames it into place, so there is always one whole file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from strongroom.errors import StoreError, StoreExistsError
from strongroom.stores import file_replacing, forking
from strongroom.stores.file_document import Document, parse
from strongroom.stores.file_lock import FileLock
from strongroom.stores.file_replacing import Signature, signature_of
from strongroom.stores.placing import absolute, make_new, os_error, os_errors, write_whole
from strongroom.stores.snapshot import Draft, Snapshot
from strongroom.system.ways import resolve

if TYPE_CHECKING:
    from strongroom.protocols import Reports


class FileStore:
    """Implements `strongroom.protocols.Store` on the file `path`; `timeout` (seconds) is for its write lock.

    With `create` the file is made (mode 0600), never overwritten. Symbolic links are followed anew by each read and
    commit, and stay links; each must belong to root, to us or to the owner of its directory.

    Raises `StoreNotFoundError`, `StoreExistsError`, `StoreError`, and what `file_document.parse` raises.
    """

    moves_with_git = True

    def __init__(self, path: str, *, create: bool = False, timeout: float = 30.0) -> None:
        self.url = f"file:{path}"
        self._path = absolute(path, self.url)
        if create:
            self._make()
        self._lock = FileLock(self.url, timeout)
        self._loading = threading.RLock()
        self._loaded: _Loaded | None = None
        self._closed = self._swept = False
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

    @contextmanager
    def view(self) -> Iterator[Snapshot]:
        """Return the store as it is now; later commits do not change it."""
        yield self._current()

    @contextmanager
    def transaction(self) -> Iterator[Draft]:
        """Hold the write lock; commit durably at a clean exit, change nothing when the block raises."""
        self._check_open()
        with os_errors(self.url):
            real = resolve(self._path)
        with self._lock.hold(real):
            loaded = self._loaded_now()
            with os_errors(self.url):
                file_replacing.check_unchanged(self._path, real, loaded.signature, self.url)
            draft = Draft(loaded.document)
            try:
                yield draft
            finally:
                draft.end()
            if draft.changes:
                with os_errors(self.url):
                    self._commit(real, loaded, draft)

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
        return self._loaded_now().document

    def _loaded_now(self) -> _Loaded:
        try:
            # Before looking at what is loaded: a commit in between then makes the two differ, never agree by chance.
            signature = signature_of(os.stat(self._path))
            loaded = self._loaded
            return loaded if loaded is not None and loaded.signature == signature else self._load()
        except OSError as error:
            raise os_error(error, self.url) from None

    def _load(self) -> _Loaded:
        with self._loading:
            self._check_open()
            descriptor = file_replacing.open_at(self._path, self.url)
            try:
                signature = signature_of(os.fstat(descriptor))
                document = parse(file_replacing.read(descriptor, self._path), self.url)
            except BaseException:
                os.close(descriptor)
                raise
            if self._loaded is not None:
                document.take_over(self._loaded.document)
            loaded = _Loaded(document, signature, descriptor)
            self._keep(loaded)
            return loaded

    def _keep(self, loaded: _Loaded | None) -> None:
        before, self._loaded = self._loaded, loaded
        if before is not None:
            os.close(before.descriptor)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.url} is closed; open it again")

    def _commit(self, real: str, loaded: _Loaded, draft: Draft) -> None:
        if not self._lock.is_held():
            raise StoreError(f"{self.url}: this transaction was begun before a fork; begin another one")
        content = loaded.document.succeeded_by(draft.changes).to_bytes()
        found = file_replacing.check_unchanged(self._path, real, loaded.signature, self.url)
        if not self._swept or self._lock.last_was_killed:
            file_replacing.sweep(real, (os.geteuid(), found.st_uid))
            self._swept = True
        file_replacing.replace(real, content, found, self.url)

    def _make(self) -> None:
        if os.path.islink(self._path) and not os.path.exists(self._path):
            raise StoreExistsError(f"{self.url} is a symbolic link that leads nowhere; remove it, then try again")
        directory, name = os.path.split(self._path)
        with os_errors(self.url):
            real = os.path.join(resolve(directory), name)
        make_new(real, self.url, self._write_first)

    def _write_first(self, draft: str) -> None:
        os.unlink(draft)
        write_whole(draft, Document(self.url, 0, {}).to_bytes())


class _Loaded(NamedTuple):
    document: Document
    signature: Signature
    descriptor: int
    """Kept open so that the file system cannot give the number of this inode to the next file."""


def connect(rest: str, *, create: bool) -> FileStore:
    """Return the store at the address `file:` + `rest`."""
    return FileStore(rest, create=create)
