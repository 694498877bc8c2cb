"""A store with nothing but the five methods and the `url` that every store has: one JSON file and one lock."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.errors import StoreError, StoreExistsError, StoreNotFoundError


class Moment:
    """What the store held at one revision."""

    def __init__(self, revision: int, values: dict[str, bytes]) -> None:
        self.revision = revision
        self.values = values
        self.ended = False

    def get(self, path: str) -> bytes | None:
        return self.values.get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        found = sorted(path for path in self.values if path.startswith(prefix) and path > after)
        return [(path, self.values[path]) for path in found[:limit]]


class Draft(Moment):
    """A transaction. It belongs to the process that began it."""

    def __init__(self, before: Moment) -> None:
        super().__init__(before.revision + 1, dict(before.values))
        self._before = before.values
        self._pid = os.getpid()

    def put(self, path: str, value: bytes) -> None:
        self.check()
        self.values[path] = bytes(value)

    def delete(self, path: str) -> None:
        self.check()
        self.values.pop(path, None)

    def check(self) -> None:
        if self.ended or self._pid != os.getpid():
            raise StoreError("this transaction has ended")

    @property
    def touched(self) -> bool:
        return self.values != self._before


class MinimalStore:
    """Implements `strongroom.protocols.Store` and nothing else."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        self.url = f"minimal:{path}"
        self._path = path
        self._thread = threading.Lock()
        self._closed = False
        if create:
            if os.path.exists(path):
                raise StoreExistsError(f"{self.url} exists already")
            self._write(Moment(0, {}))
        elif not os.path.exists(path):
            raise StoreNotFoundError(f"there is no store at {self.url}")
        os.register_at_fork(after_in_child=self._in_child)

    def get(self, path: str) -> bytes | None:
        return self._read().get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        return self._read().scan(prefix, after, limit)

    @contextmanager
    def view(self) -> Iterator[Moment]:
        yield self._read()

    @contextmanager
    def transaction(self) -> Iterator[Draft]:
        self._check()
        lock, pid = self._thread, os.getpid()
        with lock, open(f"{self._path}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield from self._locked()
            finally:
                if pid == os.getpid():
                    fcntl.flock(file, fcntl.LOCK_UN)  # to close it is not enough while a forked child has it open

    def _locked(self) -> Iterator[Draft]:
        draft = Draft(self._read())
        try:
            yield draft
            draft.check()
            if draft.touched:
                self._write(draft)
        finally:
            draft.ended = True

    def close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise StoreError(f"{self.url} is closed")

    def _read(self) -> Moment:
        self._check()
        with open(self._path) as file:
            document = json.load(file)
        return Moment(document["revision"], {path: b64decode(text) for path, text in document["entries"].items()})

    def _write(self, moment: Moment) -> None:
        entries = {path: b64encode(value).decode() for path, value in moment.values.items()}
        draft = f"{self._path}.{os.getpid()}.{threading.get_ident()}"
        with open(draft, "w") as file:
            json.dump({"revision": moment.revision, "entries": entries}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)

    def _in_child(self) -> None:
        self._thread = threading.Lock()


def connect(rest: str, *, create: bool) -> MinimalStore:
    return MinimalStore(rest, create=create)
