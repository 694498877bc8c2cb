"""`render` and `export --output` write where they were told to, whoever moves directories and links beneath them."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.cli.commands import exporting
from strongroom.delivery import rendering
from strongroom.delivery.rendering import render
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.system.ways import open_directory

from .conftest import STRANGER, VICTIM, as_user, strongroom_as, two_users

FILES = {"A": b"value", "app/db/password": b"value"}
KEY = "fmjCyL2qxjpYWm64MTp2zfC7cHWrS3nAbIAVVXL7Uvo="


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that somebody else can change, with a private one of ours to be led astray to."""
    (tmp_path / "ours").mkdir(0o700)
    (tmp_path / "ours" / "id").write_text("mine")
    return tmp_path


def untouched(place: Path) -> bool:
    return os.listdir(place / "ours") == ["id"] and (place / "ours" / "id").read_text() == "mine"


@pytest.mark.parametrize("way", ["link", "link/new", "./link/", "deep/link/new/.."])
def test_a_link_on_the_way_is_refused(place, way, monkeypatch):
    (place / "link").symlink_to("ours")
    (place / "deep").mkdir()
    (place / "deep" / "link").symlink_to("../ours")
    monkeypatch.chdir(place)
    with pytest.raises(InvalidInputError, match="symbolic link"):
        render(way, FILES)
    # Where strangers can put links, an absolute path is no better.
    place.chmod(0o777)
    (place / "deep").chmod(0o777)
    with pytest.raises(InvalidInputError, match="symbolic link"):
        render(place / way, FILES)
    assert untouched(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of root's")
def test_a_link_of_roots_is_followed_where_only_root_can_put_one(place):
    directory = place / "roots"
    directory.mkdir(0o755)
    (directory / "run").symlink_to(place / "real")
    (place / "real").mkdir()
    if place.stat().st_uid == 0:
        render(directory / "run" / "files", FILES)
        assert (place / "real" / "files" / "A").read_bytes() == b"value"
    directory.chmod(0o1777)
    with pytest.raises(InvalidInputError, match="symbolic link"):
        render(directory / "run" / "files", FILES)


@pytest.fixture(params=["mkdir", "symlink", "rename", "fsync", "flock", "fstat"])
def moment(request, monkeypatch) -> list:
    """Do what is in the list at the first and at each later call of a function that is used on the way."""
    todo: list = []
    module = fcntl if request.param == "flock" else os
    real = getattr(module, request.param)

    def then(*given, **more):
        done = real(*given, **more)
        if todo:
            todo.pop(0)()
        return done

    monkeypatch.setattr(module, request.param, then)
    return todo


@pytest.mark.parametrize("first", [True, False])
def test_a_directory_swapped_for_a_link_meanwhile_leads_nowhere(place, moment, first):
    target, aside = place / "files", place / "aside"
    target.mkdir(0o700)
    if not first:
        render(target, {"A": b"old", "gone": b"old"})

    def swap():
        os.rename(target, aside)
        os.symlink("ours", target)

    moment[:] = [lambda: None, swap]
    try:
        render(target, FILES)
    except StrongroomError:
        pass
    else:
        # It is swapped at the second call, and where there is only one, not at all.
        assert ((aside if aside.exists() else target) / "A").read_bytes() == b"value"
    assert untouched(place)


def test_what_is_planted_inside_is_replaced_or_refused_and_never_followed(place):
    directory = place / "files"
    render(directory, FILES)
    for planted, target in (("..data", "../ours"), ("..0123456789abcdef", "../ours"), ("B", "../ours/id")):
        (directory / planted).unlink(missing_ok=True)
        (directory / planted).symlink_to(target)
    inner = directory / "..fedcba9876543210"
    inner.mkdir()
    (inner / "link").symlink_to("../../ours")
    render(directory, FILES)
    assert untouched(place)
    current = os.readlink(directory / "..data")
    assert set(os.listdir(directory)) == {"..data", current, "A", "B", "app"}
    with pytest.raises(InvalidInputError, match="was not rendered"):
        render(directory, {"B": b"value"})
    assert untouched(place)


def test_a_lock_that_somebody_holds_does_not_stop_it_for_ever(place, monkeypatch):
    directory = place / "files"
    render(directory, FILES, 0o444)
    monkeypatch.setattr(rendering, "_PATIENCE", 0.1)
    held = os.open(directory, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    with pytest.raises(StrongroomError, match="lock"):
        render(directory, FILES, 0o444)
    os.close(held)
    render(directory, FILES, 0o444)


def test_everything_is_on_the_disk_before_the_switch_and_the_switch_before_it_returns(place, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.rename

    def path_of(descriptor):
        return os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), place / "files")

    monkeypatch.setattr(os, "fsync", lambda fd: done.append(path_of(fd)) or fsync(fd))
    monkeypatch.setattr(os, "rename", lambda *a, **k: done.append(f"switch {a[1]}") or rename(*a, **k))
    render(place / "files", FILES)
    new = os.readlink(place / "files" / "..data")
    switch = done.index("switch ..data")
    assert {new, f"{new}/A", f"{new}/app", f"{new}/app/db", f"{new}/app/db/password", "."} <= set(done[:switch])
    assert done.index(new) > done.index(f"{new}/app") > done.index(f"{new}/app/db/password")
    assert done[switch - 1] == "."
    assert done[-1] == "."
    assert ".." in done[:switch]


@pytest.mark.parametrize("planted", ["directory", "link", "link to the victim's"])
@two_users
def test_a_directory_that_a_stranger_made_first_gets_no_value(shared, home, planted):
    environ = {"SECRETS_MASTER_KEY": KEY}
    where = ("--store", "sqlite:secrets.db", "--audit", "file:audit.log")
    assert strongroom_as(VICTIM, "init", *where, cwd=home, environ=environ).returncode == 0
    strongroom_as(VICTIM, "set", "A", *where, cwd=home, environ=environ, stdin="value")
    as_user(VICTIM, lambda: (home / "private").mkdir(0o700))
    target = shared / "files"

    def attack():
        (shared / "his").mkdir(0o777)
        os.chmod(shared / "his", 0o777)
        if planted == "directory":
            target.mkdir()
            target.chmod(0o777)
        else:
            target.symlink_to(home / "private" if planted == "link to the victim's" else shared / "his")

    as_user(STRANGER, attack)
    for path in (target, target / "below"):
        words = ("render", str(path), "--allow-disk", *where)
        done = strongroom_as(VICTIM, *words, cwd=home, environ=environ)
        if planted != "directory" or path == target:
            assert done.returncode == 2, done.stderr
    assert list((shared / "his").iterdir()) == []
    assert list((home / "private").iterdir()) == []
    if planted == "directory":
        # Below a stranger's directory it is the victim's own again, and the stranger can read nothing there.
        assert os.listdir(target) == ["below"]
        assert stat.S_IMODE((target / "below").stat().st_mode) == 0o700
        assert (target / "below").stat().st_uid == VICTIM


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("name", ["fsync", "open"])
def test_an_export_stays_in_the_directory_that_it_began_in(place, monkeypatch, force, name):
    (place / "out").mkdir()
    real, swapped = getattr(os, name), []

    def swap(*given, **more):
        done = real(*given, **more)
        if not swapped and (name == "fsync" or given[0].endswith(".tmp")):
            swapped.append(os.rename(place / "out", place / "aside"))
            os.symlink("ours", place / "out")
        return done

    monkeypatch.setattr(os, name, swap)
    exporting._write(str(place / "out" / "id"), b"value", force=force)
    assert untouched(place)
    assert swapped
    assert os.listdir(place / "aside") == ["id"]
    assert stat.S_IMODE((place / "aside" / "id").stat().st_mode) == 0o600


def test_an_export_replaces_a_link_and_not_what_it_leads_to(place):
    (place / "out").symlink_to("ours/id")
    with pytest.raises(InvalidInputError, match="exists already"):
        exporting._write(str(place / "out"), b"value", force=False)
    exporting._write(str(place / "out"), b"value", force=True)
    assert untouched(place)
    assert (place / "out").read_bytes() == b"value"


@two_users
def test_an_export_follows_no_link_of_a_strangers(shared, home):
    as_user(STRANGER, lambda: (shared / "out").symlink_to(home))

    def export():
        with pytest.raises(StrongroomError, match="symbolic link"):
            exporting._write(str(shared / "out" / "x"), b"value", force=True)

    as_user(VICTIM, export)
    assert list(home.iterdir()) == []


def test_opening_a_directory_leaves_no_descriptor_open(place):
    (place / "link").symlink_to("ours")
    before = os.listdir("/proc/self/fd")
    for path, own in (("ours", False), ("link", True), ("link", False), ("ours/id", False), ("none", False)):
        with suppress(OSError):
            os.close(open_directory(str(place / path), own_links=own))
    (place / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        open_directory(str(place / "loop"), own_links=True)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    shutil.rmtree(place / "ours")
