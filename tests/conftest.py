"""What many tests share: a master key in the environment, and managers on each kind of store."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import strongroom
from strongroom.config import STORE_FILES
from strongroom.manager import SecretsManager
from strongroom.protocols import Store

KINDS = ("sqlite", "file", "memory")

hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    """Work where no directory above holds a store or settings, since the command line would use them."""
    directories = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]
    usable = [directory for directory in directories if os.access(directory, os.W_OK)]
    for directory in usable:
        if not settings_above(Path(directory)):
            os.environ["TMPDIR"] = tempfile.tempdir = directory
            return
    raise pytest.UsageError(f"remove {settings_above(Path(usable[0]))}, or set TMPDIR to a directory outside")


def settings_above(directory: Path) -> Path | None:
    """Return a store or a file of settings in `directory` or above it."""
    there = (above / name for above in (directory, *directory.parents) for name in ("strongroom.toml", *STORE_FILES))
    return next((path for path in there if path.exists()), None)


@pytest.fixture
def master_key(monkeypatch, tmp_path) -> str:
    """Set the master key, and no other setting, in the environment; work where no settings are."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STRONGROOM_")]:
        monkeypatch.delenv(name)
    key = strongroom.generate_master_key()
    monkeypatch.setenv("SECRETS_MASTER_KEY", key)
    return key


@pytest.fixture
def make_manager(master_key, tmp_path) -> Iterator[Callable[..., SecretsManager]]:
    """Make a new store of a kind (`sqlite`, `file`, `memory`), and return its manager; it is closed at the end."""
    made: list[SecretsManager] = []

    def make(kind: str = "memory", **settings) -> SecretsManager:
        url = "memory:" if kind == "memory" else f"{kind}:{tmp_path}/store-{len(made)}"
        manager = strongroom.init(url, "env:SECRETS_MASTER_KEY", "memory:", **{"actor": "alice"} | settings)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.close()


@pytest.fixture(params=KINDS)
def manager(request, make_manager) -> SecretsManager:
    """A manager on each kind of store in turn."""
    return make_manager(request.param)


@pytest.fixture
def reopen() -> Iterator[Callable[..., SecretsManager]]:
    """Open the store of a manager once more, as another process would; closed at the end."""
    opened: list[SecretsManager] = []

    def reopen(manager: SecretsManager, key="env:SECRETS_MASTER_KEY", **settings) -> SecretsManager:
        store = store_of(manager)
        again = store if store.url == "memory:" else store.url
        settings = {"actor": "alice", "audit": manager._access.audit.sink} | settings
        other = strongroom.open(again, key, **settings)
        opened.append(other)
        return other

    yield reopen
    for other in opened:
        other.close()


def store_of(manager: SecretsManager) -> Store:
    return manager._access.engine.store


@pytest.fixture
def plant() -> Callable[[SecretsManager, str, bytes | None], None]:
    """Change an entry of a store behind its manager's back (None removes it)."""

    def plant(manager: SecretsManager, path: str, value: bytes | None) -> None:
        with store_of(manager).transaction() as tx:
            if value is None:
                tx.delete(path)
            else:
                tx.put(path, value)

    return plant


@pytest.fixture
def events() -> Callable[..., list[tuple]]:
    """Return the newest `count` events of a manager, oldest first, as (action, name, outcome, reason, version)."""

    def events(manager: SecretsManager, count: int | None = None) -> list[tuple]:
        import json

        lines = [json.loads(line.text) for line in manager._access.audit.sink.lines()]
        fields = ("action", "name", "outcome", "reason", "version")
        rows = [tuple(line.get(field) for field in fields) for line in lines]
        return rows if count is None else rows[-count:]

    return events


@pytest.fixture(autouse=True)
def signals_as_they_were():
    """Undo what `run` does to signals before it becomes the program, where a test keeps it from becoming one."""
    numbers = (signal.SIGPIPE, signal.SIGXFSZ)
    before = [signal.getsignal(number) for number in numbers]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
