import pytest

from strongroom import abilities
from strongroom.errors import TamperedError
from strongroom.model import HEADER, KEYSET, MANIFEST, version_path


@pytest.fixture
def filled(manager):
    """A manager with two secrets, one of them with two versions."""
    manager.set_secret("A", "scorpion-one")
    manager.set_secret("A", "scorpion-two")
    manager.set_secret("B", "x")
    return manager


def stored(manager, path):
    return manager._access.engine.store.get(path)


def problems(manager):
    return " | ".join(manager.verify().problems)


def test_a_store_as_it_was_written_has_no_problem(filled):
    report = filled.verify()
    assert report.ok
    assert (report.secrets, report.versions, report.problems) == (2, 3, ())
    assert report.revision == abilities.revision(filled._access.engine.store)
    assert report.entries == len(filled._access.engine.store.scan())


def test_an_empty_store_has_no_problem(manager):
    report = manager.verify()
    assert (report.ok, report.secrets, report.versions) == (True, 0, 0)


def test_progress_is_told(filled):
    seen = []
    filled.verify(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("path", "change", "problem"),
    [
        ("secret/A", lambda old: old[:-1], "'A' fails authentication"),
        ("secret/A", lambda old: b"\x02" + old[1:], "newer strongroom"),
        ("secret/A", lambda old: old[:1] + b"\0\0\0\x63" + old[5:], "data key 99 is not in the keyset"),
        ("secret/B", lambda old: None, "1 entries are missing"),
        ("secret/C", lambda old: b"\x01" * 60, "'C' cannot be decrypted"),
        (version_path("A", 1), lambda old: old[:-1], "version 1 of the secret 'A' fails"),
        (version_path("A", 1), lambda old: None, "version 1 of 'A' is missing although nobody destroyed it"),
        (version_path("A", 7), lambda old: b"x", "'version/A/0000000007' belongs to nothing"),
        ("other/entry", lambda old: b"x", "'other/entry' belongs to nothing"),
        ("audit/0123456789abcdef", lambda old: b"x", "1 entries were added from outside"),
        (HEADER, lambda old: old.replace(b"env:", b"env;"), "header"),
        (MANIFEST, lambda old: None, "manifest is missing"),
        (MANIFEST, lambda old: old[:-1], "manifest is damaged"),
        (MANIFEST, lambda old: b"\x02" + old[1:], "manifest is in a format of a newer"),
    ],
)
def test_what_was_changed_from_outside_is_found(filled, plant, path, change, problem):
    plant(filled, path, change(stored(filled, path)))
    try:
        found = problems(filled)
    except TamperedError as error:
        found = str(error)
    assert problem in found
    assert "scorpion" not in found


def test_an_older_record_of_the_same_secret_is_found(filled, plant):
    old = stored(filled, "secret/B")
    filled.set_secret("B", "y")
    plant(filled, "secret/B", old)
    assert "an older one, put back" in problems(filled)


def test_a_store_at_another_revision_than_its_manifest_is_found(filled, plant):
    plant(filled, "secret/B", stored(filled, "secret/B"))
    revision = abilities.revision(filled._access.engine.store)
    assert (
        problems(filled) == f"the store is at revision {revision}, its manifest at {revision - 1}: restored or merged"
    )


def test_a_write_while_verify_is_at_it_is_no_problem(filled, reopen):
    other = reopen(filled)
    before = abilities.revision(filled._access.engine.store)
    report = filled.verify(lambda done, total: other.set_secret(f"new-{done}", "x"))
    assert report.ok
    assert (report.revision, report.secrets) == (before, 2), "all of it is of one moment"


# Acceptance


def test_an_accepted_store_has_no_problem_and_can_be_written(filled, plant, events):
    plant(filled, "secret/B", None)
    with pytest.raises(TamperedError, match="strongroom verify --accept"):
        filled.set_secret("A", "x")
    assert filled.accept() == abilities.revision(filled._access.engine.store)
    assert filled.verify().ok
    filled.set_secret("A", "x")
    assert ("VERIFY", None, "ok", "accept", None) in events(filled)


@pytest.mark.parametrize("damage", [lambda old: None, lambda old: old[:-1]])
def test_a_store_whose_manifest_is_lost_can_be_accepted(filled, plant, damage):
    plant(filled, MANIFEST, damage(stored(filled, MANIFEST)))
    for call in (lambda: filled.set_secret("A", "x"), lambda: filled.get_secret("missing")):
        with pytest.raises(TamperedError, match="manifest"):
            call()
    filled.accept()
    assert filled.verify().ok


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("secret/A", lambda old: old[:-1]),
        (version_path("A", 1), lambda old: None),
        (version_path("A", 1), lambda old: old[:-1]),
        ("other/entry", lambda old: b"x"),
    ],
)
def test_what_is_not_authentic_is_never_accepted(filled, plant, events, path, change):
    plant(filled, path, change(stored(filled, path)))
    before = filled._access.engine.store.scan()
    with pytest.raises(TamperedError, match="nothing was accepted, 1 problems are no matter of a restore"):
        filled.accept()
    assert filled._access.engine.store.scan() == before
    assert events(filled, 1) == [("VERIFY", None, "failed", "tampered", None)]


def test_an_acceptance_forgets_no_use_of_a_data_key(filled, plant):
    def uses():
        return filled._access.engine.unlocked.manifests.open(stored(filled, MANIFEST)).uses

    plant(filled, "secret/B", stored(filled, "secret/B"))
    before = uses()
    filled.accept()
    assert uses() > before


# One secret


def test_the_report_of_a_secret_says_how_it_lies(filled):
    report = filled.verify_encryption("A")
    keyset = filled._access.engine.unlocked.keyset
    assert report.authentic
    assert report.plaintext_absent
    assert (report.name, report.version, report.key_id, report.key_state) == ("A", 2, 1, "primary")
    assert report.algorithm == keyset.primary.algorithm
    assert report.size == len(stored(filled, "secret/A"))
    assert report.store == filled._access.engine.store.url
    assert "scorpion" not in repr(report)


@pytest.mark.parametrize("value", ["", "a", b"\0" * 40, {"user": "scorpion", "n": 5, "empty": ""}, "x" * 5000])
def test_any_kind_of_value_is_absent_from_its_record(manager, value):
    manager.set_secret("A", value)
    assert manager.verify_encryption("A").plaintext_absent


def test_a_destroyed_or_deleted_secret_is_reported_too(filled):
    filled.delete_secret("A")
    assert filled.verify_encryption("A").authentic
    filled.destroy_secret("A")
    assert filled.verify_encryption("A").plaintext_absent


@pytest.mark.parametrize("form", ["raw", "base64", "hex"])
def test_a_value_in_the_clear_would_be_found(filled, monkeypatch, form):
    from base64 import b64encode

    from strongroom.engine.integrity import check_secret
    from strongroom.records.records import Records

    plain = b"scorpion-two"
    shown = {"raw": plain, "base64": b64encode(plain).rstrip(b"="), "hex": plain.hex().encode()}[form]

    class View:
        def get(self, path):
            return b"\x01\0\0\0\x01" + shown

    for data in (b"s" + plain, b"b" + plain, b'm{"password":"scorpion-two"}'):
        monkeypatch.setattr(Records, "open_head", lambda *_, data=data: (1, 0, 0, data))
        report = check_secret(View(), filled._access.engine.unlocked, "A", "here")
        assert not report.plaintext_absent


@pytest.mark.parametrize("path", [HEADER, KEYSET])
def test_a_header_or_keyset_that_is_gone_is_said_to_be_gone(filled, plant, path):
    plant(filled, path, None)
    with pytest.raises(TamperedError, match=f"has no '{path}'"):
        filled.verify()
