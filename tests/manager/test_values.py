"""Setting and reading values, on each kind of store."""

import json
import pickle
import time

import pytest

import strongroom
from strongroom import abilities
from strongroom.errors import (
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    InvalidValueError,
    SecretNotFoundError,
    StoreError,
)
from strongroom.generate.generate import generate_value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "value"),
        ("empty", ""),
        ("münchen/schlüssel 🔑", "wert 🔑\n\0"),
        ("bytes", b"\0\xff"),
        ("large", "x" * (1 << 20)),
        ("large-bytes", bytes(range(256)) * 4096),
        ("fields", {"user": "u", "port": 5432, "tls": True, "none": None, "hosts": ["a", {"b": 1.5}]}),
    ],
)
def test_what_is_set_is_read_here_and_by_another_manager(manager, reopen, name, value):
    info = manager.set_secret(name, value)
    assert (info.version, info.deleted, info.destroyed, info.expires) == (1, None, False, None)
    for reader in (manager, reopen(manager)):
        assert reader.get_data(name) == (value if isinstance(value, dict) else {"value": value})
        if isinstance(value, str):
            assert reader.get_secret(name) == reader.require_secret(name) == value
        if isinstance(value, bytes):
            assert reader.get_bytes(name) == value


def test_a_missing_secret_is_none_or_the_default(manager):
    assert manager.get_secret("nothing") is None
    assert manager.get_secret("nothing", "default") == "default"
    assert manager.get_secret("nothing", version=3, default="d") == "d"
    assert manager.get_data("nothing") is None


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("policy", [None, ({"actor": "*", "name": "*", "capabilities": ["read"]},)])
@pytest.mark.parametrize("name", ["", "..", "a//b", "a\nb", "\ud800", "x" * 513, 5, ["A"], b"A", None, Name("A")])
def test_what_cannot_be_a_name_is_refused_before_anything_is_read(manager, reopen, events, name, policy, version):
    manager.set_secret("A", "x")
    reader = reopen(manager, policy=policy) if policy else manager
    before = events(reader)
    with pytest.raises(InvalidNameError):
        reader.get_secret(name, version=version)
    assert events(reader) == before


def test_what_cannot_be_a_name_is_not_recorded_where_the_store_fails(manager, events, monkeypatch):
    def fail(path):
        raise StoreError("unplugged")

    monkeypatch.setattr(manager._access.engine.store, "get", fail)
    before = events(manager)
    with pytest.raises(InvalidNameError):
        manager.get_secret("a//b")
    assert events(manager) == before
    with pytest.raises(StoreError):
        manager.get_secret("A")
    assert events(manager, 1) == [("GET", "A", "failed", "store", None)]


def test_an_empty_value_is_not_missing(manager):
    manager.set_secret("A", "")
    assert manager.get_secret("A", "default") == ""


def test_fields_are_read_one_by_one(manager):
    manager.set_secret("db", {"user": "u", "none": None})
    assert manager.get_field("db", "user") == "u"
    for field in ("missing", "", "value"):
        assert manager.get_field("db", field, "default") == "default"
    with pytest.raises(InvalidValueError, match=r"'none' of 'db' is no text but null: read it with get_data\(\)"):
        manager.get_field("db", "none")
    with pytest.raises(InvalidValueError, match=r"several fields: read one with get_field\(\) \(--field …\)"):
        manager.get_secret("db")
    with pytest.raises(InvalidInputError, match="field is text, not list"):
        manager.get_field("db", ["user"])


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"n": 5432}, "a number"), ({"n": True}, "a boolean"), ({"n": [1]}, "a list"), ({"n": {}}, "an object")],
)
def test_a_field_that_is_no_text_is_refused_by_its_type(manager, fields, what):
    manager.set_secret("db", fields)
    with pytest.raises(InvalidValueError, match=f"the field 'n' of 'db' is no text but {what}"):
        manager.get_field("db", "n")
    assert manager.get_data("db") == fields


def test_bytes_and_text_have_calls_of_their_own(manager):
    manager.set_secret("B", b"\xff")
    manager.set_secret("T", "é")
    for call in (manager.get_secret, manager.require_secret):
        with pytest.raises(InvalidValueError, match=r"'B' holds bytes: read them with get_bytes\(\)"):
            call("B")
    assert manager.get_bytes("B") == b"\xff"
    assert manager.get_bytes("T") == "é".encode()
    assert manager.get_bytes("none") is None
    assert manager.get_bytes("none", b"d") == b"d"


def test_a_required_secret_that_is_missing_raises(manager):
    manager.set_secret("A", "x")
    assert manager.require_secret("A") == "x"
    assert manager.require_secret("A", version=1) == "x"
    for name, version in (("B", None), ("A", 2)):
        with pytest.raises(SecretNotFoundError, match="there is no secret"):
            manager.require_secret(name, version=version)


def test_one_read_tells_everything_in_one_event(manager):
    made = manager.set_secret("A", {"user": "u"}, custom={"team": "x"}, expires_in=1000)
    before = len(manager.get_audit_logs())
    reading = manager.read_secret("A")
    assert reading
    assert (reading.name, reading.data, reading.info, reading.custom) == ("A", {"user": "u"}, made, {"team": "x"})
    assert reading.missing is None
    assert "'u'" not in repr(reading)
    assert len(manager.get_audit_logs()) == before + 2  # and the read of the log
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(reading)


@pytest.mark.parametrize(
    ("do", "missing"),
    [
        (lambda m: m.delete_secret("A"), "deleted"),
        (lambda m: m.destroy_secret("A"), "destroyed"),
        (lambda m: m.destroy_secret("A", with_history=True), "missing"),
        (lambda m: time.sleep(0.01), "expired"),
    ],
)
def test_one_read_says_why_a_version_is_missing(manager, do, missing):
    manager.set_secret("A", "x", expires_in=1e-9 if missing == "expired" else None)
    do(manager)
    for version in (None, 1):
        reading = manager.read_secret("A", version=version)
        assert not reading
        assert (reading.data, reading.missing) == (None, missing)
        assert (reading.info is None) == (missing == "missing")
    assert [(e["action"], e["name"], e["outcome"], e["reason"]) for e in manager.get_audit_logs(1)] == [
        ("GET", "A", "not_found", missing)
    ]


def test_a_plain_value_is_the_field_value(manager):
    manager.set_secret("A", "x")
    assert manager.get_field("A", "value") == "x"
    assert manager.get_field("A", "other", "d") == "d"
    manager.set_secret("A", {"value": "y", "user": "u"})
    assert manager.get_secret("A") == "y"


def test_names_are_listed_sorted_by_prefix_without_values(manager):
    for name in ("b", "a/x", "a/y", "ab", "ä"):
        manager.set_secret(name, "v")
    assert manager.list_secrets() == ["a/x", "a/y", "ab", "b", "ä"]
    assert manager.list_secrets("a/") == ["a/x", "a/y"]
    assert manager.list_secrets("a") == ["a/x", "a/y", "ab"]
    assert manager.list_secrets("nothing") == []


def test_more_names_than_a_page_are_listed(make_manager):
    manager = make_manager()
    manager.set_secrets({f"s/{n:05d}": "v" for n in range(1500)})
    assert len(manager.list_secrets()) == 1500


@pytest.mark.parametrize("cas", [1, 2, 7])
def test_a_wrong_cas_changes_nothing(manager, cas):
    with pytest.raises(ConflictError, match=rf"cas={cas}, but it does not exist"):
        manager.set_secret("A", "v", cas=cas)
    assert manager.metadata("A") is None


def test_cas_0_is_for_a_secret_that_does_not_exist(manager):
    manager.set_secret("A", "1", cas=0)
    with pytest.raises(ConflictError, match="cas=0, but its current version is 1") as caught:
        manager.set_secret("A", "2", cas=0)
    assert (caught.value.name, caught.value.version) == ("A", 1)
    assert manager.get_secret("A") == "1"


def test_cas_is_the_number_of_the_current_version_even_of_a_deleted_one(manager):
    manager.set_secret("A", "1")
    assert manager.set_secret("A", "2", cas=1).version == 2
    manager.delete_secret("A")
    for wrong in (0, 1, 3):
        with pytest.raises(ConflictError):
            manager.set_secret("A", "3", cas=wrong)
    assert manager.set_secret("A", "3", cas=2).version == 3


def test_set_secrets_is_all_or_nothing(manager, events):
    manager.set_secret("B", "old")
    with pytest.raises(ConflictError, match="'B' was not written"):
        manager.set_secrets({"A": "new", "B": "new", "C": "new"}, overwrite=False)
    assert manager.list_secrets() == ["B"]
    assert manager.get_secret("B") == "old"
    with pytest.raises(InvalidNameError):
        manager.set_secrets({"A": "new", "..": "new"})
    with pytest.raises(InvalidValueError):
        manager.set_secrets({"A": "new", "C": 5})
    assert manager.list_secrets() == ["B"]
    done = manager.set_secrets({"A": "new", "B": "new"})
    assert {name: info.version for name, info in done.items()} == {"A": 1, "B": 2}
    assert manager.get_secret("B") == "new"
    assert events(manager, 5)[0][:3] == ("SET", "A", "intent")


def test_set_secrets_of_nothing_does_nothing(manager):
    before = abilities.revision(manager._access.engine.store)
    assert manager.set_secrets({}) == {}
    assert abilities.revision(manager._access.engine.store) == before


def test_rotate_makes_a_new_value_and_keeps_the_one_before(manager):
    manager.set_secret("A", "old")
    assert manager.rotate_secret("A").version == 2
    new = manager.get_secret("A")
    assert new.isalnum()
    assert len(new) == len(generate_value()) == 32
    assert manager.get_secret("A", version=1) == "old"
    assert manager.rotate_secret("A", "given", cas=2).version == 3
    assert manager.get_secret("A") == "given"
    assert manager.rotate_secret("A", "").version == 4
    assert manager.get_secret("A") == ""


def test_rotate_needs_a_live_secret_and_plain_text(manager):
    with pytest.raises(SecretNotFoundError, match="no secret 'A'"):
        manager.rotate_secret("A")
    manager.set_secret("A", "x")
    with pytest.raises(ConflictError):
        manager.rotate_secret("A", "y", cas=2)
    manager.delete_secret("A")
    with pytest.raises(SecretNotFoundError, match="'A' is deleted; set it again"):
        manager.rotate_secret("A")
    for name, value in (("fields", {"a": 1}), ("bytes", b"x")):
        manager.set_secret(name, value)
        with pytest.raises(InvalidValueError, match="not plain text"):
            manager.rotate_secret(name)
        assert manager.rotate_secret(name, {"a": 2}).version == 2


def test_a_value_is_never_in_the_store_in_the_clear(manager, master_key):
    from strongroom.records.manifest import entries

    manager.set_secret("A", "scorpion-value")
    manager.set_secret("A", {"field": "scorpion-value"})
    stored = b"".join(value for _, value in entries(manager._access.engine.store))
    assert b"scorpion" not in stored
    assert master_key.encode() not in stored


def test_reprs_show_where_and_who_and_nothing_else(manager):
    manager.set_secret("A", "scorpion-value")
    manager.get_secret("A")
    access = manager._access
    shown = " ".join(map(repr, (manager, access.engine, access.audit, access.engine.unlocked, access.engine.provider)))
    assert "actor='alice'" in repr(manager)
    assert "scorpion" not in shown
    assert access.engine.unlocked.root.hex() not in shown
    assert repr(access.engine.unlocked.root)[2:-1] not in shown


def test_a_closed_manager_answers_nothing(make_manager):
    for kind in ("sqlite", "file", "memory"):
        with make_manager(kind) as manager:
            manager.set_secret("A", "x")
        with pytest.raises(strongroom.StoreError, match="closed"):
            manager.get_secret("A")
        manager.close()


def test_results_are_plain_data(manager):
    info = manager.set_secret("A", "x", custom={"owner": "ops"})
    json.dumps([info._asdict(), manager.history("A"), manager.metadata("A").custom, manager.verify()._asdict()])
