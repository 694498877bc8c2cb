"""A store that lies, and the judge of what a manager on such a store may answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import strongroom
from strongroom.drivers import store as connect
from strongroom.errors import StoreError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.opening import StrongroomWarning
from strongroom.protocols import Store
from strongroom.records.manifest import entries

NEVER_SET = "never-set"
TRUTH: dict[str, list[object]] = {
    "alpha": ["first of alpha", "second of alpha", "third of alpha"],
    "beta": ["first of beta", b"second \x00 of beta"],
    "service/gamma": [{"user": "u", "password": "p of gamma"}],
}
"""Each secret with all its versions, the first of which has the number 1."""


def make(kind: str, algorithm: str, place: Path) -> str:
    """Make a store that holds `TRUTH` in `place`, with an audit log beside it; return its URL."""
    url = f"{kind}:{place}/store"
    with strongroom.init(url, audit=f"file:{place}/audit.log", algorithm=algorithm) as secrets:
        for name, values in TRUTH.items():
            for value in values:
                secrets.set_secret(name, value)
    return url


def contents(url: str) -> tuple[dict[str, bytes], int]:
    """Return every entry of a store, and its revision."""
    store = connect(url)
    try:
        return dict(entries(store)), store.revision()
    finally:
        store.close()


class LyingView:
    """A view that answers what its store does."""

    def __init__(self, store: LyingStore) -> None:
        self.get, self.scan, self.revision = store.get, store.scan, store.revision()


class LyingStore:
    """Answers from `held`, whatever that is; implements `strongroom.protocols.Store` for reading."""

    def __init__(self, held: Mapping[str, bytes], revision: int, url: str = "sqlite:lying") -> None:
        self.url = url
        self.held = dict(held)
        self._revision = revision

    def get(self, path: str) -> bytes | None:
        return self.held.get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        found = [(path, self.held[path]) for path in sorted(self.held) if path.startswith(prefix) and path > after]
        return found[:limit]

    def revision(self) -> int:
        return self._revision

    @contextmanager
    def view(self) -> Iterator[LyingView]:
        yield LyingView(self)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        raise StoreError("this store is for reading")
        yield

    def scrub(self) -> bool:
        return False

    def close(self) -> None:
        pass


def judge(open_store: Callable[[], SecretsManager]) -> set[str]:
    """Ask for everything; return where something was refused: `open`, `get`, `list`, `verify`.

    Fails on a wrong value, on a secret that is said to be missing, and on an exception that is no `StrongroomError`.
    """
    refused: set[str] = set()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", StrongroomWarning)
        secrets = _attempt(open_store, "open", refused)
    if warned:
        refused.add("open")
    if secrets is None:
        return refused
    with secrets:
        for name, values in TRUTH.items():
            for version in (None, *range(1, len(values) + 1)):
                right = values[-1 if version is None else version - 1]
                found = _attempt(lambda n=name, v=version: read(secrets, n, v), "get", refused, right)
                assert found == right, f"{name} version {version} was answered with {found!r}"
        assert _attempt(lambda: secrets.get_secret(NEVER_SET), "get", refused) is None
        listed = _attempt(secrets.list_secrets, "list", refused, list(TRUTH))
        report = _attempt(secrets.verify, "verify", refused)
        if report is not None and report.problems:
            refused.add("verify")
        assert listed == list(TRUTH) or "verify" in refused, f"{listed} was listed, and nothing found wrong"
    return refused


def read(secrets: SecretsManager, name: str, version: int | None) -> object:
    """Return a secret as `TRUTH` has it."""
    data = secrets.get_data(name, version=version)
    return data["value"] if data is not None and list(data) == ["value"] else data


def opener(store: Store | str, audit: str = "memory:", **settings: object) -> Callable[[], SecretsManager]:
    """Return what opens a store."""
    return lambda: strongroom.open(store, audit=audit, **settings)  # type: ignore[arg-type]


def _attempt(call: Callable[[], object], where: str, refused: set[str], otherwise: object = None) -> object:
    try:
        return call()
    except StrongroomError:
        refused.add(where)
        return otherwise
