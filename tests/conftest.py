"""What many tests share: a master key in the environment, and managers on each kind of store."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest

import strongroom
from strongroom.manager.manager import SecretsManager
from strongroom.protocols import Store
from strongroom.settings import trust
from strongroom.settings.discovery import SETTINGS_FILE, STORE_FILES
from strongroom.system import ways

KINDS = ("sqlite", "file", "memory")

hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)  # of a plug-in that is not everywhere
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run three processes on two cores: a third of the time a test waits for another process, a server or a clock."""
    del config
    cores = len(os.sched_getaffinity(0))
    return cores + (cores + 1) // 2


def _own_directory() -> str:
    """Return a directory in which nobody else can write, with no store or settings above it; if there is none, any.

    What lies below /tmp is not found without being named, and what lies above would be.
    """
    clone = Path(__file__).parents[1]
    home = os.path.expanduser("~/.cache")
    # Root's own before his home, which is closed to the users that some tests become.
    for directory in (tempfile.gettempdir(), "/var/cache", home, str(clone / ".pytest_cache")):
        with suppress(OSError):
            os.makedirs(directory, 0o700, exist_ok=True)
            if trust.fault(directory) is None and _is_usable(directory):
                return directory
    for directory in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if _is_usable(directory):
            return directory
    raise pytest.UsageError("set TMPDIR to a directory that you can write to, with no store or settings above it")


def _is_usable(directory: str) -> bool:
    ways = (Path(directory), *Path(directory).parents)
    project = any((above / name).exists() for above in ways for name in (SETTINGS_FILE, *STORE_FILES))
    return os.access(directory, os.W_OK) and not project


# Where pytest makes the directories of `tmp_path`; before the first of them.
if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
    os.environ["PYTEST_DEBUG_TEMPROOT"] = _own_directory()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that find settings or stores, where what we make could be anybody's."""
    if trust.fault(os.environ["PYTEST_DEBUG_TEMPROOT"]) is None:
        return
    skip = pytest.mark.skip(reason="others can write to, or above, every directory that we can write to: set TMPDIR")
    for item in items:
        if item.get_closest_marker("own_directory") or "project" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def no_permission_of_ours(tmp_path_factory) -> None:
    """Remember permissions in a directory of the tests, not in the home of whoever runs them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that any user can reach, which pytest's own is not."""
    directory = tempfile.mkdtemp(prefix="strongroom-")
    os.chmod(directory, 0o755)
    yield Path(directory)
    shutil.rmtree(directory)


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
        name = {"memory": "memory:", "minimal": f"tests.stores.minimal:connect:{tmp_path}/store-{len(made)}"}
        url = name.get(kind, f"{kind}:{tmp_path}/store-{len(made)}")
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
        again = store if store.url == "memory:" else store.url.replace("minimal:", "tests.stores.minimal:connect:")
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


@pytest.fixture
def safe_directory() -> Iterator[Path]:
    """A new directory that nobody else can write to, or above; that of `tmp_path` lies in /tmp."""
    made = None
    for start in (os.path.expanduser("~"), "/"):
        with suppress(OSError):
            made = tempfile.mkdtemp(prefix=".strongroom-test-", dir=ways.check_way(start))
            break
    if made is None:
        pytest.skip("every directory here that we can write to can be written to by others")
    yield Path(made)
    shutil.rmtree(made)


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
