"""One store has one name: two names would be two journals and two counters."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.errors import StoreError, StoreNotFoundError
from strongroom.stores.file import FileStore
from strongroom.stores.sqlite import _FEW, SqliteStore

from .conftest import STRANGER, VICTIM, as_user, two_users


def put(store, value, path="a"):
    with store.transaction() as transaction:
        transaction.put(path, value)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "release-1").mkdir()
    path = str(tmp_path / "release-1" / "secrets.db")
    with closing(SqliteStore(path, create=True)) as store:
        put(store, b"1")
    return path


# Symbolic links


@pytest.fixture(params=["a directory", "the file", "a chain", "two dots"])
def link(request, path, tmp_path):
    """Another way to the store through symbolic links."""
    if request.param == "a directory":
        (tmp_path / "current").symlink_to("release-1")
        return str(tmp_path / "current" / "secrets.db")
    if request.param == "the file":
        (tmp_path / "link.db").symlink_to(path)
        return str(tmp_path / "link.db")
    (tmp_path / "first").symlink_to("release-1", target_is_directory=True)
    (tmp_path / "second").symlink_to(tmp_path / "first")
    if request.param == "a chain":
        return str(tmp_path / "second" / "secrets.db")
    return str(tmp_path / "second" / ".." / "release-1" / "secrets.db")


def test_each_commit_is_seen_at_once_whichever_link_leads_to_the_store(path, link):
    with closing(SqliteStore(path)) as store, closing(SqliteStore(link)) as linked:
        assert linked.url == f"sqlite:{link}"
        for number in range(_FEW + 30):
            writer, reader = (store, linked) if number % 2 else (linked, store)
            put(writer, b"%d" % number)
            assert reader.get("a") == b"%d" % number
            assert reader.get("a") == b"%d" % number
    assert {name for name in os.listdir(os.path.dirname(path)) if not name.startswith("secrets.db")} == set()
    assert [name for name in os.listdir(Path(path).parent.parent) if name.startswith("link.db-")] == []


def test_a_link_that_leads_elsewhere_later_does_not_lead_a_running_process_there(path, tmp_path):
    (tmp_path / "release-2").mkdir()
    with closing(SqliteStore(str(tmp_path / "release-2" / "secrets.db"), create=True)) as second:
        put(second, b"second")
    (tmp_path / "current").symlink_to("release-1")
    with closing(SqliteStore(str(tmp_path / "current" / "secrets.db"))) as store:
        (tmp_path / "next").symlink_to("release-2")
        os.replace(tmp_path / "next", tmp_path / "current")
        put(store, b"2")
        assert store.get("a") == b"2"
    with closing(SqliteStore(path)) as first:
        assert first.get("a") == b"2"


@pytest.mark.parametrize("target", ["secrets.db", "nothing"])
def test_a_link_to_itself_or_to_nothing_is_no_store(tmp_path, target):
    (tmp_path / "secrets.db").symlink_to(target)
    with pytest.raises((StoreError, StoreNotFoundError)):
        SqliteStore(str(tmp_path / "secrets.db"))
    assert os.listdir(tmp_path) == ["secrets.db"]


@two_users
@pytest.mark.parametrize("kind", [SqliteStore, FileStore])
@pytest.mark.parametrize("where", ["the file", "a directory", "a chain"])
def test_a_strangers_link_is_not_followed_where_everybody_can_make_one(kind, where, shared, home):
    """Neither to another store of the victim's, nor to make a new one, with its directories."""
    as_user(VICTIM, lambda: kind(str(home / "store"), create=True).close())
    before = sorted(os.listdir(home))

    def plant():
        if where == "the file":
            (shared / "store").symlink_to(home / "store")
        else:
            (shared / "link").symlink_to(home)
            (shared / "second").symlink_to("link" if where == "a chain" else home)

    as_user(STRANGER, plant)
    link = shared / ("store" if where == "the file" else "second/store")

    def use():
        with pytest.raises(StoreError, match=rf"symbolic link of another user \(uid {STRANGER}\); name what it"):
            kind(str(link))
        for new in ("new", "new/and/deep"):
            with pytest.raises(StoreError, match=r"symbolic link of another user|exists already"):
                kind(str(link) if where == "the file" else str(link.parent / new), create=True)

    as_user(VICTIM, use)
    use()
    assert sorted(os.listdir(home)) == before


@two_users
@pytest.mark.parametrize("kind", [SqliteStore, FileStore])
@pytest.mark.parametrize("by", ["the owner of the directory", "a member of the directory's group"])
def test_a_link_of_whoever_deploys_is_followed(kind, by, home):
    """The service is another user than the one who deploys."""
    os.chown(home, STRANGER if by == "the owner of the directory" else 0, STRANGER)
    home.chmod(0o2775)
    (home / "release-5").mkdir()
    os.chown(home / "release-5", VICTIM, VICTIM)
    as_user(STRANGER, lambda: (home / "current").symlink_to("release-5"))

    def use():
        with closing(kind(str(home / "current" / "store"), create=True)) as store:
            put(store, b"1")
        with closing(kind(str(home / "current" / "store"))) as store:
            assert store.get("a") == b"1"

    as_user(VICTIM, use)


# Hard links


@pytest.mark.parametrize("where", ["beside it", "in another directory", "under a name like that of a draft"])
def test_a_store_with_two_names_is_refused_under_both(path, tmp_path, where):
    names = {"beside it": f"{path}.bak", "in another directory": str(tmp_path / "other.db")}
    other = names.get(where, f"{path}.0123456789abcdef.old")
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(StoreError, match=r"has 2 names \(hard links\).*remove the others.*find -inum"):
            SqliteStore(name)
    os.unlink(other)
    with closing(SqliteStore(path)) as store:
        put(store, b"2")


def test_the_second_name_that_a_killed_maker_left_is_removed(path):
    os.link(path, f"{path}.0123456789abcdef.new")
    with closing(SqliteStore(path)) as store:
        assert store.get("a") == b"1"
    assert [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".new")] == []


def test_a_draft_of_something_else_is_left_alone(path):
    Path(f"{path}.0123456789abcdef.new").write_text("somebody else is at work")
    with closing(SqliteStore(path)) as store:
        assert store.get("a") == b"1"
    assert os.path.exists(f"{path}.0123456789abcdef.new")


# Mounts

MOUNTED = """
import subprocess, sys
from strongroom.stores.sqlite import SqliteStore
from strongroom.errors import StoreError
source, target, options = sys.argv[1:]
subprocess.run(["mount", "--bind", source, target], check=True)
if options:
    subprocess.run(["mount", "-o", f"remount,bind,{options}", target], check=True)
try:
    store = SqliteStore(target if target.endswith(".db") else target + "/secrets.db")
    print(store.get("a"))
    with store.transaction() as transaction:
        transaction.put("a", b"2")
except StoreError as error:
    print(error)
"""


def can_mount():
    done = subprocess.run(["unshare", "-m", "mount", "--bind", "/tmp", "/tmp"], capture_output=True, check=False)
    return done.returncode == 0


def mounted(source, target, options=""):
    command = ["unshare", "-m", sys.executable, "-c", MOUNTED, str(source), str(target), options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.fixture
def mounts():
    try:
        possible = can_mount()
    except OSError:
        possible = False
    if not possible:
        pytest.skip("this user may not mount anything, not even for itself")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("options", ["", "ro"])
def test_a_store_that_is_mounted_as_a_file_is_refused_with_what_to_do(path, tmp_path, options):
    (tmp_path / "app").mkdir()
    target = tmp_path / "app" / "secrets.db"
    target.touch()
    assert "is mounted as a single file" in (said := mounted(path, target, options))
    assert "mount the directory" in said
    assert os.listdir(tmp_path / "app") == ["secrets.db"]


@pytest.mark.usefixtures("mounts")
def test_a_file_mounted_over_itself_is_refused(path):
    assert "is mounted as a single file" in mounted(path, path)


@pytest.mark.usefixtures("mounts")
def test_a_mounted_directory_will_do(path, tmp_path):
    (tmp_path / "app").mkdir()
    assert mounted(Path(path).parent, tmp_path / "app") == "b'1'\n"
    with closing(SqliteStore(path)) as store:
        assert store.get("a") == b"2"


@pytest.mark.usefixtures("mounts")
def test_a_directory_that_is_mounted_read_only_can_be_read(path, tmp_path):
    (tmp_path / "app").mkdir()
    said = mounted(Path(path).parent, tmp_path / "app", "ro")
    assert said.startswith("b'1'\n")
    assert "is read-only for this process" in said
