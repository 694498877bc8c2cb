"""A directory of files that is replaced as a whole."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from strongroom.delivery.rendering import files_of, render
from strongroom.errors import InvalidInputError, StrongroomError


def shown(directory: Path) -> dict[str, bytes]:
    """Return what a program sees that opens names and not what starts with dots."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for top in directory.iterdir()
        if not top.name.startswith("..")
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "files"


def test_files_are_written_replaced_and_removed(directory):
    render(directory, first := {"A": b"1", "app/db/password": b"2", "gone/x": b"3"})
    assert shown(directory) == first
    render(directory, second := {"A": b"new", "app/db/user": b"me"})
    assert shown(directory) == second
    assert sorted(entry for entry in os.listdir(directory) if not entry.startswith("..")) == ["A", "app"]
    assert len(os.listdir(directory)) == 4


def test_data_holds_what_systemd_takes_from_a_directory(directory):
    """`LoadCredential=ID:DIR/..data` takes regular files at any depth, and no links."""
    render(directory, {"A": b"1", "app/db/password": b"2"})
    taken = {}
    for place, _, files in os.walk(directory / "..data"):
        for file in files:
            path = Path(place, file)
            assert stat.S_ISREG(path.lstat().st_mode)
            taken[str(path.relative_to(directory / "..data")).replace("/", "_")] = path.read_bytes()
    assert taken == {"A": b"1", "app_db_password": b"2"}


@pytest.mark.parametrize(("mode", "of_directories"), [(0o400, 0o700), (0o440, 0o750), (0o444, 0o755)])
def test_modes_are_as_asked_whatever_the_umask(directory, mode, of_directories):
    before = os.umask(0o027)
    try:
        render(directory, {"A": b"1", "app/x": b"2"}, mode)
    finally:
        os.umask(before)
    found = {stat.S_IMODE(path.stat().st_mode) for path in (directory / "A", directory / "app/x")}
    assert found == {mode}
    found = {stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "app", directory / "..data")}
    assert found == {of_directories}


def test_a_reader_of_data_never_sees_two_sets_mixed(directory):
    render(directory, {"A": b"0", "B": b"0"})
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            render(directory, {"A": b"%d" % number, "B": b"%d" % number})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        try:
            held = os.open(directory / "..data", os.O_RDONLY)
        except FileNotFoundError:
            # The link was followed to a set that was replaced in the same moment.
            continue
        try:
            pair = []
            for name in ("A", "B"):
                with open(os.open(name, os.O_RDONLY, dir_fd=held), "rb") as file:
                    pair.append(file.read())
            seen.add(tuple(pair))
        except FileNotFoundError:
            # The set was replaced in between, and a reader opens it again.
            continue
        finally:
            os.close(held)
    writer.join()
    assert all(a == b for a, b in seen)


def test_what_was_not_rendered_is_left_alone_and_never_replaced(directory):
    directory.mkdir(0o700)
    (directory / "mine").write_text("mine")
    (directory / "..mine").mkdir()
    render(directory, {"A": b"1"})
    with pytest.raises(InvalidInputError, match="was not rendered"):
        render(directory, {"A": b"2", "mine": b"2"})
    render(directory, {})
    assert shown(directory) == {"mine": b"mine"}
    assert (directory / "..mine").is_dir()


def test_a_set_that_a_killed_renderer_left_is_removed(directory):
    render(directory, {"A": b"1"})
    (directory / "..0123456789abcdef").mkdir()
    (directory / "..0123456789abcdef" / "A").write_text("old")
    os.symlink("..data/B", directory / "..fedcba9876543210")
    render(directory, {"A": b"2"})
    assert len(os.listdir(directory)) == 3


def test_a_directory_that_others_can_enter_is_refused_and_stays_empty(directory):
    directory.mkdir()
    directory.chmod(0o755)
    with pytest.raises(InvalidInputError, match="chmod 700"):
        render(directory, {"A": b"1"})
    assert os.listdir(directory) == []


def test_what_cannot_be_written_leaves_the_set_before(directory):
    render(directory, before := {"A": b"1"})
    with pytest.raises(StrongroomError, match="cannot be written"):
        render(directory, {"A": b"2", "x" * 300: b"2"})
    assert shown(directory) == before
    assert len(os.listdir(directory)) == 3


def test_one_secret_below_another_is_refused(directory):
    with pytest.raises(InvalidInputError, match="is below"):
        render(directory, {"a": b"1", "a/b": b"2"})


def test_fields_are_files_of_their_own_and_names_that_lead_elsewhere_are_refused():
    assert files_of("db", {"user": "me", "port": 1, "key": b"\xff"}) == {
        "db/user": b"me", "db/port": b"1", "db/key": b"\xff",
    }  # fmt: skip
    assert files_of("db", {"value": "plain"}) == {"db": b"plain"}
    for name, data in (("..data", {"value": "x"}), ("a", {"..": 1, "b": 2}), ("a", {"x/y": 1}), ("a", {"\0": 1})):
        with pytest.raises(InvalidInputError):
            files_of(name, data)
