"""`edit`, with editors that are small programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.cli import memory_file
from strongroom.errors import StrongroomError

from .conftest import VALUE, Cli


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place in memory that no other test uses."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield Path(directory)


@pytest.fixture
def editor(project: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Set an editor that runs this shell script on the file `$1`."""

    def editor(script: str) -> Path:
        path = project / "an editor"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setenv("EDITOR", f"'{path}'")
        return path

    return editor


def leftovers() -> list[str]:
    return os.listdir(os.environ["XDG_RUNTIME_DIR"])


def test_a_changed_text_is_a_new_version(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", stdin="one two")
    editor('sed -i s/two/three/ "$1"')
    assert store("edit", "A").err.endswith("\nA: version 2\n")
    assert store("get", "A", "-n").out == "one three"
    assert leftovers() == []


def test_an_unchanged_text_writes_nothing(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", stdin=VALUE)
    editor("true")
    assert store("edit", "A").err.endswith("\nA: nothing was changed\n")
    assert len(store("history", "A").out.splitlines()) == 1


def test_fields_are_edited_as_json(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", "--json-data", stdin='{"user": "me", "port": 1}')
    editor('sed -i s/me/you/ "$1"')
    assert store("edit", "A").code == 0
    assert store("get", "A", "--field", "user").out == "you\n"
    assert store("get", "A", "--field", "port").out == "1\n"


@pytest.mark.parametrize("name", ["NEW", "DELETED"])
def test_a_name_that_is_not_there_is_made(store: Cli, editor: Callable[[str], Path], name: str) -> None:
    store("set", "DELETED", stdin=VALUE)
    store("rm", "DELETED")
    editor('cat "$1" > seen; echo made > "$1"')
    assert store("edit", name).code == 0
    assert store("get", name).out == "made\n"
    assert Path("seen").read_text() == "\n"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 1", 1),
        ('printf "" > "$1"', 2),
        ("printf '\\377' > \"$1\"", 2),
    ],
)
def test_a_failed_or_senseless_edit_changes_nothing(
    store: Cli, editor: Callable[[str], Path], script: str, code: int
) -> None:
    store("set", "A", stdin=VALUE)
    editor(script)
    assert store("edit", "A").code == code
    assert store("get", "A").out == f"{VALUE}\n"
    assert leftovers() == []


@pytest.mark.parametrize("content", ["{", '["a"]', "{}", '{"": "x"}', '{"a": NaN}'])
def test_fields_that_are_no_json_object_change_nothing(store: Cli, editor: Callable[[str], Path], content: str) -> None:
    store("set", "A", "--json-data", stdin='{"user": "me", "port": 1}')
    editor(f"echo '{content}' > \"$1\"")
    assert store("edit", "A").code == 2
    assert store("get", "A", "--field", "user").out == "me\n"


def test_bytes_are_not_edited(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", stdin=b"\xff")
    editor("true")
    assert store("edit", "A").code == 2


def test_without_an_editor_it_says_what_to_set(store: Cli, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "set VISUAL or EDITOR" in store("edit", "A").err
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    result = store("edit", "A")
    assert (result.code, leftovers()) == (2, [])
    assert "/no/such/editor cannot be run" in result.err


def test_a_concurrent_change_is_a_conflict(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", stdin="one")
    editor(f'echo other | {sys.executable} -m strongroom set A -q; echo mine > "$1"')
    assert store("edit", "A").code == 7
    assert store("get", "A").out == "other\n"


def test_after_a_conflict_the_human_decides_and_no_text_is_lost(
    store: Cli, editor: Callable[[str], Path], terminal: Callable[..., list[str]]
) -> None:
    store("set", "A", stdin="one")
    script = editor(
        'if [ -e second ]; then cat "$1" > seen; else touch second; '
        f'echo other | {sys.executable} -m strongroom set A -q; echo mine > "$1"; fi'
    )
    asked = terminal(True)
    assert store("edit", "A").code == 0
    assert asked == ["Somebody made version 2 meanwhile. Edit your text again, to replace that one?"]
    assert Path("seen").read_text() == "mine\n"
    assert store("get", "A").out == "mine\n"
    assert store("get", "A", "--version", "2").out == "other\n"
    script.write_text('#!/bin/sh\necho bad > "$1"; exit 1')


def test_after_a_mistake_the_human_may_edit_again_or_give_up(
    store: Cli, editor: Callable[[str], Path], terminal: Callable[..., list[str]]
) -> None:
    store("set", "A", "--json-data", stdin='{"user": "me", "port": 1}')
    editor('if [ -e second ]; then echo \'{"user": "you"}\' > "$1"; else touch second; echo { > "$1"; fi')
    asked = terminal(True, False)
    assert store("edit", "A").code == 0
    assert store("get", "A", "--field", "user").out == "you\n"
    Path("second").unlink()
    assert store("edit", "A").code == 2
    assert asked == ["Edit it again?"] * 2


def test_the_plaintext_is_private_and_in_memory_and_so_is_what_the_editor_leaves(
    store: Cli, memory: Path, editor: Callable[[str], Path]
) -> None:
    store("set", "A", stdin=VALUE)
    editor(
        'stat -c "%a %n" "$1" "$(dirname "$1")" > seen; cp "$1" "$1~"; mkdir "$1.d"; cp "$1" "$1.d/x"; echo x >> "$1"'
    )
    assert store("edit", "A").code == 0
    (file_mode, file), (directory_mode, directory) = [line.split() for line in Path("seen").read_text().splitlines()]
    assert (file_mode, directory_mode) == ("600", "700")
    assert file.startswith(f"{memory}/strongroom-")
    assert not os.path.exists(directory)


def test_the_editor_gets_no_key(
    store: Cli, editor: Callable[[str], Path], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", (project / "master.key").read_text())
    monkeypatch.setenv("STRONGROOM_KEY", "env:MY_KEY")
    store("set", "A", stdin=VALUE)
    editor("env > seen")
    assert store("edit", "A").code == 0
    assert "\nMY_KEY=" not in "\n" + Path("seen").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_the_editor_runs_leaves_no_plaintext(
    store: Cli, editor: Callable[[str], Path], number: signal.Signals
) -> None:
    store("set", "A", stdin=VALUE)
    editor("echo $$ > started; exec sleep 60")
    running = subprocess.Popen([sys.executable, "-m", "strongroom", "edit", "A"], stderr=subprocess.PIPE)
    for _ in range(1000):
        if Path("started").exists() and Path("started").read_text().strip():
            break
        time.sleep(0.01)
    assert leftovers() != []
    running.send_signal(number)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert (leftovers(), err.count(b"\n"), b"is not known to keep no copies" in err) == ([], 1, True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("started").read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_the_editor_is_being_started_ends_it_too(
    store: Cli, editor: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    begun, popen = [], subprocess.Popen

    def interrupted(*given: object, **more: object) -> subprocess.Popen:
        begun.append(popen(*given, **more))
        signal.raise_signal(number)  # to this thread: pytest-xdist has others, in which it is not blocked
        return begun[0]

    store("set", "A", stdin=VALUE)
    editor("exec sleep 60")
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    try:
        with pytest.raises(SystemExit) as ended:
            store("edit", "A")
        assert (ended.value.code, leftovers()) == (128 + number, [])
        assert begun[0].wait(20) == -signal.SIGKILL
    finally:
        begun[0].kill()
        begun[0].wait()


def test_the_editor_has_no_signals_blocked(store: Cli, editor: Callable[[str], Path]) -> None:
    store("set", "A", stdin=VALUE)
    editor("grep SigBlk /proc/self/status > seen")
    assert store("edit", "A").code == 0
    assert int(Path("seen").read_text().split()[1], 16) == 0


def test_without_memory_to_write_to_it_refuses(
    store: Cli, editor: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    editor("true")
    monkeypatch.setattr(memory_file, "file_system_of", lambda _: "ext4")
    result = store("edit", "A")
    assert result.code == 1
    assert "must not touch a disk" in result.err


def test_the_runtime_directory_is_taken_when_it_is_in_memory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(project))
    monkeypatch.setattr(memory_file, "file_system_of", lambda path: "tmpfs" if path == str(project) else "ext4")
    assert memory_file.memory_directory() == str(project)
    monkeypatch.setattr(memory_file, "file_system_of", lambda path: "ext4" if path == str(project) else "tmpfs")
    assert memory_file.memory_directory() == "/dev/shm"
    monkeypatch.setattr(memory_file, "file_system_of", lambda path: "ext4")
    with pytest.raises(StrongroomError):
        memory_file.memory_directory()


def test_a_file_system_is_that_of_the_longest_mount_point(project: Path) -> None:
    mounts = project / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /run tmpfs rw 0 0\nc /run/user\\0401 ramfs rw 0 0\nd /running nfs rw 0 0\n")
    for path, kind in (("/etc", "ext4"), ("/run/x", "tmpfs"), ("/run/user 1/x", "ramfs"), ("/running", "nfs")):
        assert memory_file.file_system_of(path, str(mounts)) == kind
    assert memory_file.file_system_of("/", str(project / "none")) is None


def test_wiping_overwrites_before_it_removes(project: Path) -> None:
    directory = project / "d"
    directory.mkdir()
    (directory / "a").write_text(VALUE)
    os.link(directory / "a", project / "kept")
    (directory / "link").symlink_to(project / "mounts")
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "a").write_text(VALUE)
    (directory / "to a directory").symlink_to(project / "elsewhere")
    os.mkfifo(directory / "pipe")
    (directory / "closed").mkdir()
    (directory / "closed" / "b").write_text(VALUE)
    (directory / "closed").chmod(0)
    memory_file.wipe(str(directory))
    assert not directory.exists()
    assert (project / "elsewhere" / "a").read_text() == VALUE
    assert (project / "kept").read_bytes() == bytes(len(VALUE))
