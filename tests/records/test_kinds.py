"""One line of the table is all that a new kind of entry takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.model import MANIFEST, ROTATION, SECRET, version_path
from strongroom.records import kinds
from strongroom.records.kinds import KINDS, Kind, check_entry, kind_of, reencrypt_entry
from strongroom.records.records import key_id

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
TOKEN = Kind("token/", "ID", "a token", "data", reencrypt_entry, check_entry)
LEASE = Kind("lease/", "ID", "a lease", "data", reencrypt_entry, check_entry, in_manifest=False)


def test_the_format_page_has_the_same_table():
    rows = PAGE.read_text().split("| path | holds |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    shown = [tuple(cell.strip().strip("`") for cell in row.strip("|").split("|")) for row in rows]
    assert shown == [(k.start + k.rest, k.holds, k.key, "yes" if k.in_manifest else "no") for k in KINDS]


def test_what_is_under_a_data_key_is_re_encrypted_and_checked():
    for kind in KINDS:
        assert (kind.reencrypt is not None) == (kind.check is not None) == (kind.key == "data"), kind.start


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (MANIFEST, MANIFEST), ("secret/a/b", SECRET), (version_path("a/b", 3), "version/"),
        ("rotation/secret/x", ROTATION), ("system/manifest/x", None), ("other/x", None), ("secret", None), ("", None),
    ],
)  # fmt: skip
def test_a_path_has_one_kind(path, start):
    assert [kind.start for kind in KINDS if kind.is_at(path)] == ([start] if start else [])
    assert kind_of(path) == next((kind for kind in KINDS if kind.start == start), None)


def add(manager, path: str, data: bytes = b"x" * 40) -> None:
    with manager._access.engine.change() as change:
        change.put(path, change.records.seal_entry(path, data))


def remove(manager, path: str) -> None:
    with manager._access.engine.change() as change:
        change.delete(path)


def test_an_entry_of_no_kind_is_a_problem(manager):
    add(manager, "token/1")
    assert "'token/1' belongs to nothing" in " | ".join(manager.verify().problems)


@pytest.mark.parametrize("path", ["token/1", "token/a/deep/one", "token/ä"])
def test_a_new_kind_is_re_encrypted_and_verified(manager, plant, monkeypatch, path):
    monkeypatch.setattr(kinds, "KINDS", (*KINDS, TOKEN))
    add(manager, path)
    store = manager._access.engine.store
    before = store.get(path)
    assert manager.verify().problems == ()
    assert manager.custody.rekey_data() == 1
    assert key_id(store.get(path)) != key_id(before)
    assert manager._access.engine.unlocked.records.open_entry(path, store.get(path)) == b"x" * 40
    assert manager.verify().problems == ()
    plant(manager, path, store.get(path)[:-1])
    assert f"the entry {path!r} fails authentication" in " | ".join(manager.verify().problems)


def test_a_kind_outside_of_the_manifest_is_not_counted(manager, monkeypatch):
    monkeypatch.setattr(kinds, "KINDS", (*KINDS, LEASE))
    engine = manager._access.engine
    before = engine.unlocked.manifests.open(engine.store.get(MANIFEST))
    for end in (lambda: add(manager, "lease/2"), lambda: remove(manager, "lease/1")):
        add(manager, "lease/1")
        after = engine.unlocked.manifests.open(engine.store.get(MANIFEST))
        assert (after.entries, after.total) == (before.entries, before.total)
        end()
        assert manager.verify().problems == ()


def test_a_counted_kind_that_was_deleted_behind_our_back_is_missed(manager, plant, monkeypatch):
    monkeypatch.setattr(kinds, "KINDS", (*KINDS, TOKEN))
    add(manager, "token/1")
    plant(manager, "token/1", None)
    assert "1 entries are missing" in " | ".join(manager.verify().problems)
