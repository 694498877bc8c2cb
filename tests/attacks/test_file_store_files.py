"""What others put in the place of a file store, of its lock and of its drafts; and one store under several names."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.attacks.conftest import STRANGER, VICTIM, as_user, two_users

from strongroom.errors import StoreBusyError, StoreError, StoreNotFoundError
from strongroom.stores import file_replacing
from strongroom.stores.file import FileStore
from strongroom.testing.store_case import in_child, put, start_child, wait_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets.enc"


@pytest.fixture
def store(path):
    with closing(FileStore(str(path), create=True, timeout=0.2)) as store:
        put(store, "a", b"1")
        yield store


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


# In the store's own place


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("plant", "why"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to("/dev/stdin"), "not a regular file|no store|not a strongroom store|broken JSON"),
        (lambda path: path.symlink_to(path), "leads to itself"),
        (os.mkdir, "it is a directory"),
        (sparse, "at most 268,435,456 are expected"),
    ],
    ids=["FIFO", "device without end", "standard input", "link to itself", "directory", "a terabyte of nothing"],
)
def test_what_is_no_store_is_refused_at_once(store, path, plant, why):
    path.unlink()
    plant(path)
    for use in (lambda: FileStore(str(path)), lambda: store.get("a"), lambda: put(store, "a", b"2")):
        with pytest.raises((StoreError, StoreNotFoundError), match=why):
            use()


def test_a_file_that_never_ends_fills_no_memory(store, path, monkeypatch):
    monkeypatch.setattr(file_replacing, "MOST_BYTES", 100)
    path.unlink()
    path.symlink_to("/proc/self/mountinfo")  # regular, without a size, and longer
    with pytest.raises(StoreError, match="at most 100"):
        FileStore(str(path))


def test_a_store_does_not_grow_beyond_what_is_read_back(store, monkeypatch):
    monkeypatch.setattr(file_replacing, "MOST_BYTES", 10_000)
    with pytest.raises(StoreError, match="a file store holds 10,000; nothing was changed"):
        put(store, "a", b"x" * 10_000)
    put(store, "a", b"x" * 1_000)
    assert store.get("a") == b"x" * 1_000


@two_users
def test_a_strangers_link_in_a_shared_directory_is_not_followed(shared, home):
    """The link leads to a store of the victim's that is another one than is meant."""
    as_user(VICTIM, lambda: FileStore(str(home / "other.enc"), create=True).close())
    link = shared / "secrets.enc"
    as_user(STRANGER, lambda: link.symlink_to(home / "other.enc"))

    def open_it() -> None:
        with pytest.raises(StoreError, match=rf"symbolic link of another user \(uid {STRANGER}\)"):
            FileStore(str(link))

    as_user(VICTIM, open_it)
    open_it()


@two_users
def test_a_strangers_file_in_a_shared_directory_is_not_read(shared):
    path = shared / "secrets.enc"

    def plant() -> None:
        FileStore(str(path), create=True).close()
        path.chmod(0o666)

    def open_it() -> None:
        with pytest.raises(StoreError, match=f"belongs to another user .uid {STRANGER}"):
            FileStore(str(path))

    as_user(STRANGER, plant)
    as_user(VICTIM, open_it)


@two_users
def test_links_of_root_ones_own_and_the_directorys_owner_are_followed(shared, home):
    """As with `current/secrets.enc`: one user deploys, another one serves."""
    releases = shared / "releases"

    def deploy() -> None:
        (releases / "1").mkdir(0o755, parents=True)
        (releases / "current").symlink_to("1")
        with closing(FileStore(str(releases / "1" / "secrets.enc"), create=True)) as store:
            put(store, "a", b"1")
        (releases / "1" / "secrets.enc").chmod(0o644)

    def serve() -> None:
        with closing(FileStore(str(releases / "current" / "secrets.enc"))) as store:
            assert store.get("a") == b"1"
        (home / "own").symlink_to(releases / "current")
        with closing(FileStore(str(home / "own" / "secrets.enc"))) as store:
            assert store.get("a") == b"1"

    as_user(STRANGER, deploy)
    as_user(VICTIM, serve)
    os.symlink(releases, shared / "by-root")
    as_user(VICTIM, lambda: FileStore(str(shared / "by-root" / "current" / "secrets.enc")).close())


@two_users
def test_two_users_share_a_store_through_a_group(shared):
    team = shared / "team"
    team.mkdir()
    os.chown(team, 0, 4200)
    team.chmod(0o2770)
    path = team / "secrets.enc"

    def as_member(user: int, value: bytes) -> None:
        def work() -> None:
            os.setgroups([4200])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            with closing(FileStore(str(path))) as store:
                put(store, "a", value)
                assert store.get("a") == value

        assert in_child(work) == 0

    with closing(FileStore(str(path), create=True)):
        os.chown(path, VICTIM, 4200)
        path.chmod(0o660)
    for turn in range(2):
        for user in (VICTIM, STRANGER):
            as_member(user, b"%d %d" % (turn, user))
            found = path.stat()
            assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (4200, 0o660)


# The lock


@pytest.mark.parametrize(
    ("plant", "why"),
    [
        (lambda lock, victim: lock.symlink_to(victim), "it is a symbolic link; remove it"),
        (lambda lock, victim: lock.symlink_to("nowhere"), "it is a symbolic link; remove it"),
        (lambda lock, victim: os.link(victim, lock), "it has 2 names .hard links.; remove the others"),
        (lambda lock, victim: os.mkfifo(lock), "it is not a regular file; remove it"),
        (lambda lock, victim: lock.mkdir(), "it is a directory"),
        (lambda lock, victim: sparse(lock), "it has .* at most 4,096 are expected"),
    ],
    ids=["link", "dangling link", "hard link", "FIFO", "directory", "large file"],
)
def test_what_is_in_the_place_of_the_lock_is_left_alone(store, path, tmp_path, plant, why):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o604)
    lock = tmp_path / "secrets.enc.lock"
    lock.unlink()
    plant(lock, victim)
    with pytest.raises(StoreError, match=rf"secrets\.enc\.lock: {why}"):
        put(store, "a", b"2")
    assert store.get("a") == b"1"
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o604
    assert not (tmp_path / "nowhere").exists()


@two_users
def test_a_strangers_lock_in_a_shared_directory_is_not_used(shared):
    path = shared / "secrets.enc"
    as_user(VICTIM, lambda: FileStore(str(path), create=True).close())

    def plant() -> None:
        lock = Path(f"{path}.lock")
        lock.touch()
        lock.chmod(0o666)

    as_user(STRANGER, plant)

    def write() -> None:
        with closing(FileStore(str(path))) as store, pytest.raises(StoreError, match="belongs to another user"):
            put(store, "a", b"1")

    as_user(VICTIM, write)


def test_a_lock_that_root_makes_first_is_the_owners_from_its_first_moment(store, path, monkeypatch):
    """Nobody finds it with another mode, even if its maker is killed at any point."""
    Path(f"{path}.lock").unlink()
    path.chmod(0o640)

    def die() -> None:
        os.fchmod = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        put(store, "a", b"2")

    assert in_child(die) == -signal.SIGKILL
    assert not os.path.lexists(f"{path}.lock")
    put(store, "a", b"2")
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o640


def test_a_lock_keeps_a_wider_mode_that_it_was_given(store, path):
    os.chmod(f"{path}.lock", 0o660)
    put(store, "a", b"2")
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o660


def test_a_lock_that_is_removed_while_somebody_waits_does_not_make_two_writers(store, path):
    held, go = os.pipe(), os.pipe()

    def hold() -> None:
        with FileStore(str(path)).transaction() as transaction:
            os.write(held[1], b".")
            os.read(go[0], 1)
            transaction.put("a", b"first")

    def wait() -> None:
        with FileStore(str(path)).transaction() as transaction:
            transaction.put("b", transaction.get("a") or b"")

    holder = start_child(hold)
    os.read(held[0], 1)
    waiter = start_child(wait)
    while len(open_descriptors(waiter, f"{path}.lock")) == 0:
        time.sleep(0.01)
    os.unlink(f"{path}.lock")
    put(store, "c", b"3")  # under a new lock, while the first holder is in its transaction
    os.write(go[1], b".")
    assert wait_for(holder) == 1, "its store was changed meanwhile, so it changes nothing"
    assert wait_for(waiter) == 0
    assert store.scan() == [("a", b"1"), ("b", b"1"), ("c", b"3")]


def open_descriptors(pid: int, path: str) -> list[str]:
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(entry.path))
        except FileNotFoundError:
            continue
    return [name for name in found if name == path]


def test_a_stopped_holder_is_named(store, path):
    held = os.pipe()

    def hold() -> None:
        with FileStore(str(path)).transaction():
            os.write(held[1], b".")
            signal.pause()

    child = start_child(hold)
    os.read(held[0], 1)
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
    try:
        with pytest.raises(StoreBusyError) as caught:
            put(store, "a", b"2")
        assert re.search(
            rf"write lock was not free for 0.2 s: it is held since 20..-\S+ \S+ UTC by pid {child}, command \S+, "
            r"running since \S+ \S+ UTC; it is stopped\. Let that one go on or end it",
            str(caught.value),
        )
        assert store.get("a") == b"1", "readers do not wait"
    finally:
        os.kill(child, signal.SIGKILL)
        os.kill(child, signal.SIGCONT)
        wait_for(child)
    put(store, "a", b"2")


def test_another_transaction_of_ones_own_is_named(store, path):
    with closing(FileStore(str(path), timeout=0.05)) as other, store.transaction():
        with pytest.raises(StoreBusyError, match="another transaction of this process holds it"):
            put(other, "a", b"2")
        with pytest.raises(StoreBusyError, match="another transaction of this process holds it"):
            put(store, "a", b"2")


@pytest.mark.parametrize("note", [b"", b"\xff\0", b"[" * 4000, b'{"pid": 1e999}', b'{"pid":1,"command":"\\u001b[2J"}'])
def test_a_note_of_nonsense_harms_nobody(store, path, note):
    with closing(FileStore(str(path), timeout=0.05)) as other:

        def write() -> None:
            with pytest.raises(StoreBusyError) as caught:
                put(other, "a", b"2")
            assert str(caught.value).isprintable()

        with store.transaction():
            Path(f"{path}.lock").write_bytes(note)
            assert in_child(write) == 0
    put(store, "a", b"2")


# Drafts


@pytest.mark.parametrize(
    "plant",
    [lambda draft, victim: draft.symlink_to(victim), lambda draft, victim: os.mkfifo(draft), lambda d, v: d.mkdir()],
    ids=["link", "FIFO", "directory"],
)
def test_a_draft_that_was_there_before_is_not_written_to(store, tmp_path, plant):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    planted = [tmp_path / ".secrets.enc.tmp", tmp_path / f".secrets.enc.{'0' * 16}.tmp"]
    for draft in planted:
        plant(draft, victim)
    put(store, "a", b"2")
    assert victim.read_text() == "precious"
    assert all(os.path.lexists(draft) for draft in planted), "what no writer made is not removed"


def test_the_name_of_a_draft_cannot_be_guessed(store, tmp_path, monkeypatch):
    seen = set()
    replace = os.replace

    def spy(source: str, target: str) -> None:
        seen.add(os.path.basename(source))
        assert stat.S_IMODE(os.stat(source).st_mode) == 0o600
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    for number in range(3):
        put(store, "a", b"%d" % number)
    assert len(seen) == 3
    assert all(re.fullmatch(r"\.secrets\.enc\.[0-9a-f]{16}\.tmp", name) for name in seen)


@two_users
def test_a_strangers_draft_is_neither_used_nor_removed(shared):
    path, draft = shared / "secrets.enc", shared / f".secrets.enc.{'a' * 16}.tmp"
    as_user(STRANGER, lambda: draft.write_text("planted"))

    def write() -> None:
        with closing(FileStore(str(path), create=True)) as store:
            put(store, "a", b"1")

    as_user(VICTIM, write)
    assert draft.read_text() == "planted"


# Several names


def test_a_store_with_two_names_is_read_and_not_written(store, path, tmp_path):
    os.link(path, tmp_path / "other.enc")
    before = path.read_bytes()
    with closing(FileStore(str(tmp_path / "other.enc"))) as other:
        for one in (store, other):
            assert one.get("a") == b"1"
            with pytest.raises(StoreError, match=r"it has 2 names \(hard links\); remove the others.*cp -p .* && mv"):
                put(one, "a", b"2")
    assert path.read_bytes() == before
    (tmp_path / "other.enc").unlink()
    put(store, "a", b"2")


def test_a_second_name_that_appears_in_the_middle_of_a_change_is_noticed(store, path, tmp_path):
    with pytest.raises(StoreError, match="hard links"), store.transaction() as transaction:  # noqa: PT012
        transaction.put("a", b"2")
        os.link(path, tmp_path / "other.enc")
    assert store.get("a") == b"1"


def test_the_second_name_that_a_killed_init_left_is_removed(path, tmp_path):
    real = os.unlink

    def init() -> None:
        def unlink(name: str) -> None:
            if path.exists():
                os.kill(os.getpid(), signal.SIGKILL)
            real(name)

        os.unlink = unlink
        FileStore(str(path), create=True)

    assert in_child(init) == -signal.SIGKILL
    assert path.stat().st_nlink == 2
    with closing(FileStore(str(path))) as store:
        put(store, "a", b"1")
    assert names(tmp_path) == ["secrets.enc", "secrets.enc.lock"]


def bind(source: Path, target: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) or libc.mount(b"none", b"/", None, 16384 | 262144, None):
        os._exit(77)
    if libc.mount(os.fsencode(source), os.fsencode(target), None, 4096, None):
        os._exit(77)


def skip_without_mounts(code: int) -> None:
    if code == 77:
        pytest.skip("we cannot mount here")
    assert code == 0


def test_a_mount_of_one_file_is_not_written(store, path, tmp_path):
    target = tmp_path / "elsewhere" / "secrets.enc"
    target.parent.mkdir()
    target.touch()

    def write() -> None:
        bind(path, target)
        with closing(FileStore(str(target))) as mounted:
            assert mounted.get("a") == b"1"
            with pytest.raises(StoreError, match="is a mount of one file, which cannot be replaced; nothing was"):
                put(mounted, "a", b"2")

    skip_without_mounts(in_child(write))
    assert store.get("a") == b"1"
    assert names(target.parent) == ["secrets.enc", "secrets.enc.lock"]


def test_a_mount_of_one_file_that_was_replaced_where_it_comes_from_is_told(store, path, tmp_path):
    target = tmp_path / "elsewhere.enc"
    target.touch()

    def read() -> None:
        bind(path, target)
        with closing(FileStore(str(target))) as mounted:
            assert mounted.get("a") == b"1"
            put(store, "a", b"2")
            for _ in range(2):
                with pytest.raises(StoreError, match=r"replaced or removed where it comes from.*Mount its directory"):
                    mounted.get("a")
        with pytest.raises(StoreError, match="Mount its directory"):
            FileStore(str(target))

    skip_without_mounts(in_child(read))


# Removed, moved and replaced while it is used


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def move_the_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name(path.parent.name + "-moved"))


@pytest.mark.parametrize("do", [remove, move, move_the_directory])
@pytest.mark.parametrize("when", ["before", "during"])
def test_nothing_is_acknowledged_into_a_store_that_is_gone(tmp_path, do, when):
    path = tmp_path / "project" / "secrets.enc"
    with closing(FileStore(str(path), create=True, timeout=0.2)) as store:
        put(store, "a", b"1")
        if when == "before":
            do(path)
            for use in (lambda: store.get("a"), lambda: put(store, "a", b"2")):
                with pytest.raises(StoreNotFoundError):
                    use()
        else:
            with pytest.raises((StoreNotFoundError, StoreError)), store.transaction() as transaction:  # noqa: PT012
                transaction.put("a", b"2")
                do(path)
        assert not path.exists()


def overwrite(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"revision": 1', b'"revision": 7'))


def replace_by_rename(path: Path) -> None:
    draft = path.with_name("draft")
    draft.write_bytes(path.read_bytes())
    draft.replace(path)


def turn_the_link(path: Path) -> None:
    path.rename(path.with_name("real.enc"))
    path.symlink_to("real.enc")


@pytest.mark.parametrize("do", [overwrite, replace_by_rename, turn_the_link])
def test_what_was_put_in_place_in_the_middle_of_a_change_is_not_overwritten(store, path, do):
    """A restore or a git checkout beside a running service."""
    with pytest.raises(StoreError, match=r"replaced by another program.*Try again"), store.transaction() as tx:  # noqa: PT012
        tx.put("a", b"2")
        do(path)
        planted = path.read_bytes()
    assert path.read_bytes() == planted
    put(store, "a", b"3")
    assert store.get("a") == b"3"
