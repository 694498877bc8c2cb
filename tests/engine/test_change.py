"""The manifest follows every change, and no change is made on a store that it does not sum up."""

import pytest

from strongroom import abilities
from strongroom.engine.change import Change
from strongroom.errors import TamperedError
from strongroom.model import MANIFEST
from strongroom.records.manifest import Manifest


@pytest.fixture
def engine(manager):
    return manager._access.engine


def manifest(engine) -> Manifest:
    return engine.unlocked.manifests.open(engine.store.get(MANIFEST))


def summed(engine) -> Manifest:
    kept = manifest(engine)
    return engine.unlocked.manifests.summarise(engine.store, kept.revision, kept.uses)


def test_writing_replacing_and_removing_are_entered(engine):
    for step in (
        lambda change: change.put("secret/a", b"1"),
        lambda change: change.put("secret/a", b"2"),
        lambda change: [change.put("secret/b", b"1"), change.put("secret/b", b"2"), change.put("secret/c", b"")],
        lambda change: [change.delete("secret/a"), change.put("secret/a", b"3")],
        lambda change: [change.delete("secret/a"), change.delete("secret/nothing")],
    ):
        with engine.change() as change:
            step(change)
        assert manifest(engine) == summed(engine)
        assert manifest(engine).revision == abilities.revision(engine.store)


def test_uses_of_the_data_key_are_counted_generously(engine):
    before = manifest(engine).uses
    with engine.change() as change:
        change.put("secret/a", b"1")
        change.put("secret/b", b"1")
    assert manifest(engine).uses == before + 4


def test_a_change_that_changes_nothing_commits_nothing(engine):
    before = abilities.revision(engine.store)
    with engine.change() as change:
        assert change.get("secret/a") is None
        assert change.scan("secret/") == []
        assert change.revision == before + 1
    assert abilities.revision(engine.store) == before


def test_a_change_reads_its_own_writes(engine):
    with engine.change() as change:
        change.put("secret/a", b"1")
        assert change.get("secret/a") == b"1"
        assert change.scan("secret/") == [("secret/a", b"1")]
        change.delete("secret/a")
        assert change.get("secret/a") is None


def test_a_change_that_raises_leaves_store_and_keys_as_they_were(engine):
    before, keys = engine.store.scan(), engine.unlocked
    with pytest.raises(ZeroDivisionError), engine.change() as change:  # noqa: PT012
        change.put("secret/a", b"1")
        change.put_keyset(change.unlocked.keyset.with_new("record", "fernet", 0))
        raise ZeroDivisionError
    assert engine.store.scan() == before
    assert engine.unlocked is keys


def test_a_store_changed_from_outside_is_not_written_to(engine):
    with engine.store.transaction() as tx:
        tx.put("secret/a", b"1")
    with pytest.raises(TamperedError, match=r"is at revision 2 but its manifest at 1: it was merged.*--accept"):
        engine.change().__enter__()
    with engine.store.transaction() as tx, pytest.raises(TamperedError):
        Change(tx, engine.unlocked, "here")


def test_a_new_manifest_key_sums_up_the_store_anew(engine):
    with engine.change() as change:
        change.put("secret/a", b"1")
        change.put_keyset(change.unlocked.keyset.with_new("manifest", "aes-256-gcm", 0))
        change.put("secret/b", b"2")
    assert manifest(engine)[:3] == summed(engine)[:3]
    assert engine.unlocked.keyset.newest("manifest").id == 4


def test_a_new_data_key_starts_its_count(engine):
    with engine.change() as change:
        change.put("secret/a", b"1")
        change.put_keyset(change.unlocked.keyset.with_new("record", "fernet", 0))
        assert change.uses == 0
    assert manifest(engine) == summed(engine)


def test_keys_that_stay_are_not_written_again(engine):
    before = abilities.revision(engine.store)
    with engine.change() as change:
        change.put_keyset(change.unlocked.keyset)
    assert abilities.revision(engine.store) == before


def test_absence_is_believed_once_for_a_revision(engine, monkeypatch):
    engine.confirm_absence("nothing")
    monkeypatch.setattr("strongroom.engine.engine.check_manifest", lambda *_: pytest.fail("walked the store again"))
    engine.confirm_absence("nothing else")
    monkeypatch.undo()
    with engine.change() as change:
        change.put("secret/a", b"1")
    engine.confirm_absence("nothing")


@pytest.mark.parametrize(
    ("tamper", "how"),
    [
        (lambda tx: tx.delete("secret/b"), "1 missing"),
        (lambda tx: tx.put("secret/x", b""), "1 too many"),
        (lambda tx: tx.put("secret/b", b"other"), "some were replaced"),
    ],
)
def test_absence_in_a_store_that_is_not_whole_is_not_believed(engine, monkeypatch, tamper, how):
    with engine.change() as change:
        change.put("secret/a", b"1")
        change.put("secret/b", b"2")
    with engine.store.transaction() as tx:
        tamper(tx)
    for _ in range(2):
        with pytest.raises(TamperedError, match=rf"not those that strongroom wrote \({how}\).*--accept"):
            engine.confirm_absence("nothing")
    monkeypatch.setattr("strongroom.engine.engine.ABSENCE_LIMIT", 2)
    engine.confirm_absence("nothing")
