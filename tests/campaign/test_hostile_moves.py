"""What a thief or a careless restore does to whole entries and whole stores, and where each is detected."""

from __future__ import annotations

import hashlib
import os
import shutil
from base64 import b64encode
from contextlib import closing
from itertools import cycle, islice

import pytest

import strongroom
from strongroom.errors import RollbackError, StoreError, StrongroomError, TamperedError, WrongKeyError
from strongroom.model import HEADER, KEYSET, MANIFEST
from strongroom.opening import StrongroomWarning
from strongroom.records.header import Header
from strongroom.records.keyset import ALGORITHMS
from strongroom.stores.file import FileStore

from . import KINDS
from .hostile import TRUTH, LyingStore, contents, judge, make, opener

OLD = "version/alpha/0000000001"


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return request.param


@pytest.fixture(params=KINDS)
def url(request, algorithm, place, master_key):
    return make(request.param, algorithm, place)


@pytest.fixture
def lie(url):
    """Return what judges the store with some entries replaced, or removed (None)."""
    held, revision = contents(url)

    def lie(changes):
        told = {path: value for path, value in (held | changes).items() if value is not None}
        return judge(opener(LyingStore(told, revision)))

    lie.held = held
    assert lie({}) == set()
    return lie


# Entries: detected by `get`, because a record is bound to its place, and by `verify`


def test_swapping_two_secrets_is_detected_by_get(lie):
    a, b = "secret/alpha", "secret/beta"
    assert {"get", "verify"} <= lie({a: lie.held[b], b: lie.held[a]})


def test_renaming_a_secret_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({"secret/alpha": None, "secret/omega": lie.held["secret/alpha"]})


def test_giving_a_secret_the_record_of_another_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({"secret/alpha": lie.held["secret/beta"]})


def test_an_old_version_in_the_place_of_the_current_one_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({"secret/alpha": lie.held[OLD]})


def test_the_current_version_in_the_place_of_an_old_one_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({OLD: lie.held["secret/alpha"]})


def test_an_old_version_in_the_place_of_another_old_one_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({OLD: lie.held["version/alpha/0000000002"]})


def test_deleting_a_secret_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({"secret/alpha": None})


def test_deleting_an_old_version_is_detected_by_get(lie):
    assert {"get", "verify"} <= lie({OLD: None})


def test_adding_an_entry_is_detected_by_verify(lie):
    assert "verify" in lie({"secret/omega": b"\x01\0\0\0\x01" + bytes(60)})
    assert "verify" in lie({"something": b"else"})


@pytest.mark.parametrize("entry", [HEADER, KEYSET])
def test_deleting_a_key_entry_is_detected_at_open(lie, entry):
    assert lie({entry: None}) == {"open"}


def test_deleting_the_manifest_is_detected_by_verify(lie):
    assert "verify" in lie({MANIFEST: None})


def test_a_record_of_another_store_with_the_same_master_key_is_detected_by_get(lie, url, algorithm, place):
    (place / "other").mkdir()
    others, _ = contents(make(url.partition(":")[0], algorithm, place / "other"))
    assert {"get", "verify"} <= lie({"secret/alpha": others["secret/alpha"]})
    assert "open" in lie({KEYSET: others[KEYSET]})
    assert "open" in lie({HEADER: others[HEADER]})
    assert "get" in lie({HEADER: others[HEADER], KEYSET: others[KEYSET]})
    assert "verify" in lie({MANIFEST: others[MANIFEST]})


# An old entry is authentic at its place. Alone it is only detected by `verify`, which knows what belongs together


def after_more_writes(url, audit="memory:"):
    with strongroom.open(url, audit=audit) as secrets:
        secrets.set_secret("alpha", "fourth of alpha")
        secrets.destroy_secret("beta", [1])
    return contents(url)


def test_an_old_head_is_authentic_at_its_place_and_so_is_detected_by_verify_only(url):
    old, _ = contents(url)
    held, revision = after_more_writes(url)
    held["secret/alpha"] = old["secret/alpha"]
    secrets = strongroom.open(LyingStore(held, revision), audit="memory:")
    assert secrets.get_secret("alpha") == TRUTH["alpha"][-1]
    assert any("an older one, put back" in problem for problem in secrets.verify().problems)


def test_bringing_a_destroyed_version_back_is_detected_by_verify_and_not_returned(url):
    old, _ = contents(url)
    held, revision = after_more_writes(url)
    held["version/beta/0000000001"] = old["version/beta/0000000001"]
    secrets = strongroom.open(LyingStore(held, revision), audit="memory:")
    assert secrets.get_secret("beta", version=1) is None
    assert len(secrets.verify().problems) == 2


@pytest.mark.parametrize("entry", [MANIFEST, "audit/"])
def test_an_old_manifest_or_checkpoint_is_detected_by_verify(url, entry, place):
    old, _ = contents(url)
    held, revision = after_more_writes(url, f"file:{place}/audit.log")
    entry = next(path for path in old if path.startswith(entry))
    secrets = strongroom.open(LyingStore(held | {entry: old[entry]}, revision), audit="memory:")
    assert not secrets.verify().ok


def test_the_keyset_from_before_a_rekey_is_detected_by_get(url):
    old, _ = contents(url)
    with strongroom.open(url, audit="memory:") as secrets:
        secrets.custody.rekey_data()
    held, revision = contents(url)
    assert {"get", "verify"} <= judge(opener(LyingStore(held | {KEYSET: old[KEYSET]}, revision)))


def test_the_header_from_before_a_rekey_lets_the_old_master_key_in_and_is_detected_by_verify(url, monkeypatch):
    from strongroom.key_providers.env import EnvKeyProvider

    old, _ = contents(url)
    monkeypatch.setenv("NEW_KEY", strongroom.generate_master_key())
    with strongroom.open(url, audit="memory:") as secrets:
        secrets.custody.rekey_master(EnvKeyProvider("NEW_KEY"))
    held, revision = contents(url)
    assert judge(opener(LyingStore(held, revision))) == {"open"}
    # Whoever put it back has the old master key; what is there is right, and only what is missing is not believed.
    assert judge(opener(LyingStore(held | {HEADER: old[HEADER]}, revision))) == {"get", "verify"}


def test_a_write_is_refused_on_a_store_whose_manifest_is_not_of_its_revision(url):
    old, _ = contents(url)
    after_more_writes(url)
    store = strongroom.drivers.store(url)
    with store.transaction() as tx:
        tx.put(MANIFEST, old[MANIFEST])
    with strongroom.open(store, audit="memory:") as secrets, pytest.raises(TamperedError, match="manifest"):
        secrets.set_secret("alpha", "fifth")


# In a running process


def test_a_secret_that_is_dropped_while_a_process_runs_is_not_taken_for_missing(url):
    held, revision = contents(url)
    store = LyingStore(held, revision)
    secrets = strongroom.open(store, audit="memory:")
    assert secrets.get_secret("never-set") is None
    assert secrets.get_secret("alpha") == TRUTH["alpha"][-1]
    del store.held["secret/alpha"]
    with pytest.raises(TamperedError):
        secrets.get_secret("alpha")
    assert secrets.get_secret("never-set") is None


def test_a_store_that_lists_in_circles_is_refused(url):
    held, revision = contents(url)

    class Circle(LyingStore):
        def scan(self, prefix="", after="", limit=1000):
            # A page that is not full would be the last one.
            return list(islice(cycle(super().scan(prefix, "", limit)), limit))

    with strongroom.open(Circle(held, revision), audit="memory:") as secrets:
        with pytest.raises(TamperedError, match="order"):
            secrets.list_secrets()
        with pytest.raises(TamperedError, match="order"):
            secrets.verify()


# The whole store: detected at open, because the audit log is newer


def test_restoring_yesterdays_store_is_detected_at_open(url, place):
    kind, _, path = url.partition(":")
    shutil.copy(path, place / "yesterday")
    audit = f"file:{place}/audit.log"
    with strongroom.open(url, audit=audit) as secrets:
        secrets.set_secret("alpha", "fourth of alpha")
    shutil.copy(place / "yesterday", path)
    if kind == "sqlite":
        with pytest.raises(RollbackError, match="restored"):
            strongroom.open(url, audit=audit)
    else:
        # Git moves a file store back and forth, so there it is a warning unless the settings say otherwise.
        with pytest.warns(StrongroomWarning, match="restored"):
            strongroom.open(url, audit=audit).close()
        with pytest.raises(RollbackError, match="restored"):
            strongroom.open(url, audit=audit, on_rollback="refuse")


@pytest.mark.parametrize("size", [0, 1, 100, 1000, -1000, -2])
def test_a_truncated_store_is_detected_at_open_or_by_get(url, place, size):
    path = url.partition(":")[2]
    with open(path, "rb+") as file:
        content = file.read()
        file.truncate(size % len(content))
    assert {"open", "get"} & judge(opener(url, f"file:{place}/audit.log"))
    if size == 0:
        with pytest.raises(StoreError):
            strongroom.open(url, audit="memory:")


@pytest.mark.parametrize(
    "content", [b"\0" * 4096, b"{}", b"[]", b"null", b"SQLite format 3\0" + b"\xff" * 4096, b"\xff" * 100]
)
def test_what_is_no_store_at_all_is_refused_at_open(url, content):
    path = url.partition(":")[2]
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(StrongroomError):
        strongroom.open(url, audit="memory:")


# What is at the same revision, and yet another store: two branches of a repository, or two copies of one store


def test_a_writer_does_not_mix_two_copies_of_a_file_store_that_have_the_same_revision(place, master_key):
    url, audit = make("file", "fernet", place), f"file:{place}/audit.log"
    path = place / "store"
    other = place / "other-branch"
    shutil.copy(path, other)
    with strongroom.open(f"file:{other}", audit="memory:") as secrets:
        secrets.set_secret("beta", "of the other branch")
        secrets.set_secret("beta", "of the other branch, again")
    with strongroom.open(url, audit=audit) as secrets:
        secrets.custody.rekey_data()
        while secrets.verify().revision < revision_of(other):
            secrets.set_secret("beta", "of this branch")
        shutil.copy(other, path)
        secrets.set_secret("alpha", "set by a process that has the keys of this branch in memory")
    with strongroom.open(url, audit="memory:") as secrets:
        assert secrets.get_secret("alpha") == "set by a process that has the keys of this branch in memory"
        assert secrets.get_secret("beta") == "of the other branch, again"
        assert secrets.verify().problems == ()


def revision_of(path):
    with closing(FileStore(str(path))) as store:
        return store.revision()


def test_a_process_that_is_refused_again_and_again_does_not_run_out_of_files(url, place, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", strongroom.generate_master_key())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(WrongKeyError):
            strongroom.open(url, audit=f"file:{place}/audit.log")
    assert len(os.listdir("/proc/self/fd")) <= before


# A header is in the clear, so anybody can write one whose checksum is right


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b"\xff", b"7", b"[" * 100_000,
        b'{"store": 7, "created": 1, "root": 1, "recipients": []}',
        b'{"store": "not hexadecimal", "created": 1, "root": 1, "recipients": [[1, "x", 1, "AAAA"]]}',
        b'{"store": "STORE", "created": 1, "root": "1", "recipients": [[1, "x", 1, "AAAA"]]}',
        b'{"store": "STORE", "created": 1, "root": 1e999, "recipients": [[1, "x", 1, "AAAA"]]}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": 7}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": [7]}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": [["1", 2, 3]]}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": [["1", 2, 3, 4]]}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": [["1", "x", 3, "%"]]}',
        b'{"store": "STORE", "created": 1, "root": -1, "recipients": [[1, "x", 3, "WRAPPED"]]}',
        b'{"store": "STORE", "created": 1, "root": 99999999999999999999, "recipients": [[1, "x", 3, "WRAPPED"]]}',
        b'{"store": "STORE", "created": 1, "root": 1, "recipients": [[null, "x", 3, "WRAPPED"]]}',
    ],
)  # fmt: skip
def test_a_header_that_somebody_made_up_is_refused_at_open(url, body):
    held, revision = contents(url)
    header = Header.decode(held[HEADER])
    wrapped = b64encode(header.recipients[0].wrapped)
    body = body.replace(b"STORE", header.store.encode()).replace(b"WRAPPED", wrapped)
    forged = b"strongroom header 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    assert judge(opener(LyingStore(held | {HEADER: forged}, revision))) == {"open"}
