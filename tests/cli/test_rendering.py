"""`render`, on a file system in memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.cli.commands import rendering

from .conftest import VALUE, Cli


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def test_each_secret_is_a_file(store: Cli, memory: Path) -> None:
    store("set", "A", stdin=VALUE)
    store("set", "app/db", "--json-data", stdin='{"user": "me", "password": "x"}')
    result = store("render", str(memory / "new"))
    assert (result.code, result.out) == (0, "")
    assert (memory / "new" / "A").read_text() == VALUE
    assert (memory / "new" / "app" / "db" / "password").read_text() == "x"
    assert (memory / "new" / "A").stat().st_mode & 0o777 == 0o400


def test_only_these_and_all_of_them(store: Cli, memory: Path) -> None:
    store("set", "A", stdin=VALUE)
    store("set", "B", stdin=VALUE)
    assert store("render", str(memory), "--only", "B").code == 0
    assert [path.name for path in memory.iterdir() if not path.name.startswith("..")] == ["B"]
    assert store("render", str(memory / "none"), "--only", "B,C").code == 3
    assert not (memory / "none").exists()


def test_a_disk_is_refused_unless_it_is_allowed(store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "file_system_of", lambda path: "ext4")
    store("set", "A", stdin=VALUE)
    assert store("render", "files").code == 2
    assert not (project / "files").exists()
    assert store("render", "files", "--allow-disk").code == 0
    assert (project / "files" / "A").read_text() == VALUE


@pytest.mark.parametrize("mode", ["0600", "0040", "0500", "rw", "", "40000"])
def test_a_mode_that_lets_anybody_write_or_the_owner_not_read_is_refused(store: Cli, memory: Path, mode: str) -> None:
    assert store("render", str(memory), "--mode", mode).code == 2


def test_watch_keeps_the_files_while_the_store_cannot_be_read_and_says_so_once(
    cli: Cli, project: Path, memory: Path
) -> None:
    at = ("--store", "file:secrets.enc", "--key", "file:master.key")
    cli("init", "--generate-key", *at)
    cli("set", "A", *at, stdin="first")
    argv = [sys.executable, "-m", "strongroom", "render", str(memory), "--watch", *at]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: read(memory / "A") == "first")
            away = Path("secrets.enc").rename("away")
            time.sleep(2.5 * rendering.RETRY)
            assert read(memory / "A") == "first"
            away.rename("secrets.enc")
            cli("set", "A", *at, stdin="second")
            wait_for(lambda: read(memory / "A") == "second")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, err.count(b"the files stay as they are")) == (0, 1)


def test_watch_follows_new_values_new_secrets_and_removals_until_sigterm(
    store: Cli, project: Path, memory: Path
) -> None:
    store("set", "A", stdin="first")
    argv = [sys.executable, "-m", "strongroom", "render", str(memory), "--watch"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: read(memory / "A") == "first")
            store("set", "A", stdin="second")
            wait_for(lambda: read(memory / "A") == "second")
            store("set", "deep/B", stdin="new")
            wait_for(lambda: read(memory / "deep" / "B") == "new")
            store("rm", "A")
            wait_for(lambda: not (memory / "A").is_symlink())
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, b"warning" in err) == (0, False)
    assert read(memory / "deep" / "B") == "new"
