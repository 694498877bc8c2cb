"""The file store: its document, its damage, its lock, and its way of replacing the file."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import stat
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.errors import (
    ConfigError,
    NewerFormatError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
    StoreNotFoundError,
    TamperedError,
)
from strongroom.stores import file, file_document
from strongroom.stores.file import FileStore
from strongroom.testing.store_case import in_child, put, start_child, wait_for
from strongroom.testing.stores import StoreSuite


class TestFileStore(StoreSuite):
    def create(self, place: Path) -> FileStore:
        return FileStore(str(place / "secrets.enc"), create=True, timeout=5)

    def open(self, place: Path) -> FileStore:
        return FileStore(str(place / "secrets.enc"), timeout=5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets.enc"


@pytest.fixture
def store(path):
    with closing(FileStore(str(path), create=True, timeout=0.05)) as store:
        yield store


# The document


def test_the_document_has_one_sorted_entry_per_line(store, path):
    with store.transaction() as transaction:
        transaction.put("secret/ä", b"\xff\xfe")
        transaction.put("secret/B", b"")
        transaction.put('secret/"quoted"', b"12345")
    assert path.read_text() == (
        '{\n"format": "strongroom-file/1",\n"revision": 1,\n"entries": {\n'
        '"secret/\\"quoted\\"": "MTIzNDU=",\n"secret/B": "",\n"secret/ä": "//4="\n}\n}\n'
    )


def test_an_empty_document_can_be_read_back(store, path):
    assert json.loads(path.read_bytes()) == {"format": "strongroom-file/1", "revision": 0, "entries": {}}


def test_a_line_changes_only_with_its_value(store, path):
    with store.transaction() as transaction:
        for name in "abc":
            transaction.put(name, name.encode())
    before = path.read_text().splitlines()
    put(store, "b", b"new")
    after = path.read_text().splitlines()
    assert [line.split(":")[0] for line, old in zip(after, before, strict=True) if line != old] == ['"revision"', '"b"']


def test_white_space_and_order_of_a_merge_by_hand_are_welcome(store, path):
    path.write_text('{"entries": {"b": "Mg==",\r\n\r\n  "a": "MQ=="},\r\n"revision": 4, "format": "strongroom-file/1"}')
    assert store.scan() == [("a", b"1"), ("b", b"2")]
    assert store.revision() == 4


def document(entries='"a": "MQ=="', revision="1", name="strongroom-file/1", more=""):
    return f'{{\n"format": "{name}",\n"revision": {revision},\n"entries": {{\n{entries}\n}}{more}\n}}\n'


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (document()[:60], StoreError, "broken JSON at line 4"),
        ("", StoreError, "broken JSON at line 1"),
        (document('"a": "MQ=="\n"b": ""'), StoreError, "broken JSON at line 6, column 1"),
        (document('<<<<<<< HEAD\n"a": "MQ=="\n=======\n"a": "Mg=="\n>>>>>>> topic'), StoreError, "conflict.* line 5"),
        (document().encode() + b"\xff", StoreError, "not UTF-8 text at line 8"),
        ("[" * 100_000, StoreError, "nesting"),
        (document(revision="1" * 5000), StoreError, "a number"),
        ("[]", StoreError, "is not a strongroom store"),
        ('{"a": 1}', StoreError, "is not a strongroom store"),
        (document(name="other/1"), StoreError, "is not a strongroom store"),
        (document(name="strongroom-file/2"), NewerFormatError, "strongroom-file/2.*upgrade strongroom"),
        (document(more=',\n"extra": 1'), TamperedError, "exactly format, revision and entries"),
        (document('"a": "MQ==", "b": "", "a": "Mg=="'), TamperedError, "holds 'a' twice"),
        (document(more=',\n"revision": 2'), TamperedError, "holds 'revision' twice"),
        (document(revision="-1"), TamperedError, "revision must be a whole number"),
        (document(revision="1.0"), TamperedError, "revision must be a whole number"),
        (document(revision="true"), TamperedError, "revision must be a whole number"),
        (document(revision="NaN"), TamperedError, "revision must be a whole number"),
        (document(revision=str(2**63)), TamperedError, "revision must be a whole number"),
        (document('"a": 1'), TamperedError, "entry 'a' must be text"),
        (document('"a": {"b": ""}'), TamperedError, "entry 'a' must be text"),
        (document(r'"\ud800": ""'), TamperedError, "is not a path"),
        (document().replace('{\n"a": "MQ=="\n}', "[]"), TamperedError, "entries must be an object"),
    ],
    ids=lambda argument: argument if isinstance(argument, str) and len(argument) < 50 and "\n" not in argument else "",
)
def test_a_document_that_was_not_written_so_is_refused(path, content, kind, message):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(kind, match=message) as caught:
        FileStore(str(path))
    assert "MQ==" not in str(caught.value)


@pytest.mark.parametrize("text", ["MR==", "MQ", "MQ=", "MQ==\\n", " MQ==", "MQ-_", "M\\u0661==", "MQ==MQ==", "="])
def test_a_value_has_one_spelling_only(path, text):
    path.write_text(document(f'"a": "{text}"'))
    with closing(FileStore(str(path))) as store, pytest.raises(TamperedError, match="'a' is not base64 as written"):
        store.get("a")


def test_a_damaged_value_does_not_hide_the_others(path):
    path.write_text(document('"a": "?", "b": "Mg=="'))
    with closing(FileStore(str(path))) as store:
        assert store.get("b") == b"2"
        put(store, "c", b"3")
        assert '"a": "?"' in path.read_text()


# Making and opening


def test_it_is_private(store, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    put(store, "a", b"1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o600


def test_a_commit_keeps_the_mode_that_was_given_to_it(store, path):
    path.chmod(0o640)
    put(store, "a", b"1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_commit_by_root_leaves_the_store_to_its_owner(store, path):
    os.chown(path, 1234, 1235)
    put(store, "a", b"1")
    for found in (path.stat(), os.stat(f"{path}.lock")):
        assert (found.st_uid, found.st_gid) == (1234, 1235)


def test_making_one_never_overwrites(store, path):
    put(store, "a", b"1")
    with pytest.raises(StoreExistsError, match="exists already"):
        FileStore(str(path), create=True)
    assert store.get("a") == b"1"


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_making_one_leaves_alone_whatever_is_there(path, make):
    make(path)
    with pytest.raises(StoreExistsError):
        FileStore(str(path), create=True)
    assert os.listdir(path.parent) == ["secrets.enc"]


def test_of_many_makers_one_wins(path):
    def make() -> None:
        FileStore(str(path), create=True).close()

    assert sorted(wait_for(child) for child in [start_child(make) for _ in range(4)]) == [0, 1, 1, 1]


def test_a_missing_store_is_named_with_the_command_that_makes_one(path):
    with pytest.raises(StoreNotFoundError, match=r"file:.*secrets\.enc.*strongroom init"):
        FileStore(str(path))


def test_a_store_that_is_removed_while_open_is_missing(store, path):
    path.unlink()
    with pytest.raises(StoreNotFoundError):
        store.get("a")


def test_a_directory_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="it is a directory"):
        FileStore(str(tmp_path))


def test_an_address_without_a_path_is_refused():
    with pytest.raises(ConfigError, match="names no file"):
        file.connect("", create=True)


# Freshness


def test_a_file_replaced_by_another_program_is_read_anew(store, path):
    put(store, "a", b"1")
    replacement = path.with_name("replacement")
    replacement.write_text(document('"a": "Mg=="', revision="9"))
    replacement.replace(path)
    assert store.get("a") == b"2"
    assert store.revision() == 9


def test_after_a_change_by_another_only_the_lines_that_differ_are_decoded(store, path, monkeypatch):
    def decode(text, *rest):
        decoded.append(text)
        return inner(text, *rest)

    decoded, inner = [], file_document._decode
    with store.transaction() as tx:
        for name in "abc":
            tx.put(name, name.encode())
    assert [store.get(name) for name in "abcd"] == [b"a", b"b", b"c", None]
    with closing(FileStore(str(path))) as other, other.transaction() as tx:
        tx.put("b", b"new")
        tx.delete("c")
        tx.put("d", b"d")
    monkeypatch.setattr(file_document, "_decode", decode)
    assert [store.get(name) for name in "abcd"] == [b"a", b"new", None, b"d"]
    assert len(decoded) == 2


def test_replacements_of_equal_size_in_quick_succession_are_all_seen(store, path):
    replacement = path.with_name("replacement")
    for number in range(200):
        for value in (b"old", b"%03d" % number):  # two, so that the second could get the first one's inode
            replacement.write_text(document(f'"a": "{base64.b64encode(value).decode()}"'))
            replacement.replace(path)
        assert store.get("a") == b"%03d" % number


def test_a_symbolic_link_is_followed_and_stays(store, path, tmp_path):
    link = tmp_path / "links" / "current"
    link.parent.mkdir()
    link.symlink_to(path)
    with closing(FileStore(str(link))) as linked:
        put(linked, "a", b"1")
        assert link.is_symlink()
        assert store.get("a") == b"1"
        assert os.listdir(link.parent) == ["current"]


def test_a_link_that_is_turned_to_another_file_leads_there_at_once(tmp_path):
    for number in (1, 2):
        with closing(FileStore(str(tmp_path / f"{number}.enc"), create=True)) as store:
            put(store, "a", b"%d" % number)
    link = tmp_path / "current"
    link.symlink_to("1.enc")
    with closing(FileStore(str(link))) as store:
        assert store.get("a") == b"1"
        (tmp_path / "turned").symlink_to("2.enc")
        (tmp_path / "turned").replace(link)
        assert store.get("a") == b"2"


# Writing


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_commit_that_fails_leaves_the_old_file_and_no_other(store, path, monkeypatch, call):
    put(store, "a", b"old")
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StoreError, match="disk is full and nothing was changed; free some space"):
            put(store, "a", b"new")
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["secrets.enc", "secrets.enc.lock"]
    put(store, "a", b"new")
    assert store.get("a") == b"new"


def test_short_writes_are_continued(store, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    put(store, "a", b"x" * 100)
    assert store.get("a") == b"x" * 100


def test_a_killed_writer_leaves_the_old_state_and_the_next_one_cleans_up(store, path):
    put(store, "a", b"old")

    def die() -> None:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        put(store, "a", b"new")

    assert in_child(die) == -signal.SIGKILL
    assert len(list(path.parent.glob(".secrets.enc.*.tmp"))) == 1
    assert store.get("a") == b"old"
    put(store, "a", b"newer")
    assert sorted(os.listdir(path.parent)) == ["secrets.enc", "secrets.enc.lock"]


def test_a_leftover_is_not_written_through(store, path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".secrets.enc.tmp").symlink_to(victim)
    put(store, "a", b"1")
    assert victim.read_text() == "precious"
    assert store.get("a") == b"1"


def test_readers_never_see_half_a_file(store):
    put(store, "a", b"?" * 10_000)

    def write() -> None:
        for number in range(40):
            put(store, "a", bytes([number]) * 10_000)

    child = start_child(write)
    seen = set()
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        seen.add(store.get("a"))
    assert wait_for(child) == 0
    assert all(value == value[:1] * 10_000 for value in seen)
    assert store.get("a") == bytes([39]) * 10_000


def test_a_lock_held_by_another_process_is_busy(store, path):
    held, go = os.pipe(), os.pipe()

    def hold() -> None:
        with FileStore(str(path)).transaction():
            os.write(held[1], b".")
            os.read(go[0], 1)

    child = start_child(hold)
    os.close(held[1])
    os.read(held[0], 1)
    with pytest.raises(StoreBusyError, match="lock was not free"):
        put(store, "a", b"1")
    assert store.get("a") is None
    os.write(go[1], b".")
    assert wait_for(child) == 0
    put(store, "a", b"1")


def test_a_transaction_inside_a_transaction_is_busy(store):
    with store.transaction(), pytest.raises(StoreBusyError), store.transaction():
        pytest.fail("the second transaction began")


def test_a_copy_of_the_descriptor_does_not_keep_the_lock(store):
    with store.transaction():
        copy = os.dup(store._lock._descriptor)
    put(store, "a", b"1")
    os.close(copy)


def test_a_child_does_not_keep_the_lock_that_its_parent_releases(store):
    go = os.pipe()
    with store.transaction():
        child = start_child(lambda: os.read(go[0], 1) and None)
    put(store, "a", b"1")
    os.write(go[1], b".")
    assert wait_for(child) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_reader_without_the_right_to_write_reads_and_is_told(open_place):
    path = open_place / "secrets.enc"
    with closing(FileStore(str(path), create=True)) as store:
        put(store, "a", b"1")
    path.chmod(0o644)

    def read() -> None:
        os.setgid(65534)
        os.setuid(65534)
        reader = FileStore(str(path))
        assert reader.get("a") == b"1"
        with pytest.raises(StoreError, match="permission denied; run as the user who owns it"):
            put(reader, "a", b"2")

    assert in_child(read) == 0
