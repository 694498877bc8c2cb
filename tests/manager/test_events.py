"""Every access is on record and authorized first."""

from contextlib import suppress

import pytest

from strongroom import abilities
from strongroom.access.policy import CAPABILITIES, Rule, RulePolicy
from strongroom.errors import (
    AuditError,
    ConflictError,
    DeniedError,
    InvalidInputError,
    InvalidNameError,
    NewerFormatError,
    NotFoundError,
    SecretNotFoundError,
    TamperedError,
    UnknownKeyIdError,
    WrongKeyError,
)
from strongroom.model import SECRET

VALUE = "scorpion-value"


def head(manager, name="A"):
    return manager._access.engine.store.get(SECRET + name)


def test_reading_leaves_one_event_with_the_version(manager, events):
    manager.set_secret("A", VALUE)
    before = len(events(manager))
    manager.get_secret("A")
    manager.get_data("A", version=1)
    manager.get_secret("B")
    manager.get_secret("A", version=9)
    assert events(manager)[before:] == [
        ("GET", "A", "ok", None, 1),
        ("GET", "A", "ok", None, 1),
        ("GET", "B", "not_found", "missing", None),
        ("GET", "A", "not_found", "missing", 9),
    ]


def test_writing_leaves_its_intent_and_its_outcome(manager, events):
    manager.set_secret("A", VALUE)
    manager.rotate_secret("A")
    manager.rollback("A", 1)
    manager.delete_secret("A")
    manager.undelete_secret("A")
    manager.describe_secret("A", custom={})
    manager.destroy_secret("A")
    rows = [row for row in events(manager) if row[0] != "OPEN"]
    assert rows == [
        (action, "A", outcome, None, version if outcome == "ok" else None)
        for action, version in (
            ("SET", 1), ("ROTATE", 2), ("ROLLBACK", 3), ("DELETE", None), ("UNDELETE", None), ("METADATA", None),
            ("DESTROY", None),
        )
        for outcome in ("intent", "ok")
    ]  # fmt: skip


def test_looking_around_is_on_record(manager, events):
    manager.set_secret("A", VALUE)
    before = len(events(manager))
    manager.list_secrets()
    manager.list_secrets("A")
    manager.history("A")
    manager.metadata("B")
    manager.verify_encryption("A")
    manager.verify()
    manager.get_audit_logs()
    manager.verify_audit()
    manager.custody.recipients()
    manager.custody.keys()
    manager.custody.audit_keys()
    assert [row[:4] for row in events(manager)[before:]] == [
        ("LIST", None, "ok", None), ("LIST", "A", "ok", None), ("HISTORY", "A", "ok", None),
        ("HISTORY", "B", "ok", None), ("VERIFY", "A", "ok", None), ("VERIFY", None, "ok", None),
        ("AUDIT", None, "ok", None), ("AUDIT", None, "ok", "verify"), ("REKEY", None, "ok", "recipients"),
        ("REKEY", None, "ok", "keys"), ("AUDIT", None, "ok", "export_keys"),
    ]  # fmt: skip


def test_a_refused_write_is_on_record_with_its_reason(manager, events):
    manager.set_secret("A", VALUE)
    with pytest.raises(ConflictError):
        manager.set_secret("A", VALUE, cas=0)
    with pytest.raises(SecretNotFoundError):
        manager.rotate_secret("B")
    manager.delete_secret("B")
    assert events(manager, 6) == [
        ("SET", "A", "intent", None, None), ("SET", "A", "failed", "conflict", None),
        ("ROTATE", "B", "intent", None, None), ("ROTATE", "B", "not_found", None, None),
        ("DELETE", "B", "intent", None, None), ("DELETE", "B", "not_found", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "error", "reason"),
    [
        (lambda stored: stored[:-1] + bytes([stored[-1] ^ 1]), TamperedError, "tampered"),
        (lambda stored: b"", TamperedError, "tampered"),
        (lambda stored: b"\x02" + stored[1:], NewerFormatError, "newer_format"),
        (lambda stored: stored[:1] + b"\0\0\0\x63" + stored[5:], UnknownKeyIdError, "unknown_key_id"),
        (lambda stored: None, TamperedError, "tampered"),
    ],
    ids=["changed", "emptied", "newer", "unknown-key", "removed"],
)
def test_a_damaged_record_raises_and_is_on_record_for_every_reader(manager, plant, events, damage, error, reason):
    manager.set_secret("A", VALUE)
    plant(manager, "secret/A", damage(head(manager)))
    with pytest.raises(error) as caught:
        manager.get_secret("A", default="default")
    assert type(caught.value) is error
    assert VALUE not in str(caught.value)
    assert events(manager, 1) == [("GET", "A", "failed", reason, None)]
    with pytest.raises(error):
        manager.get_secret("A", version=1)
    assert events(manager, 1) == [("GET", "A", "failed", reason, 1)]
    assert not manager.verify().ok
    assert events(manager, 1) == [("VERIFY", None, "failed", "tampered", None)]


def test_a_damaged_record_raises_in_each_method(manager, plant, events):
    manager.set_secret("A", VALUE)
    with manager._access.engine.store.view() as view:
        swapped = {"secret/A": view.get("secret/A")[:30]}
    plant(manager, "secret/A", swapped["secret/A"])
    for call in (manager.metadata, manager.history, manager.verify_encryption):
        with pytest.raises(TamperedError):
            call("A")
        assert events(manager, 1)[0][1:4] == ("A", "failed", "tampered")


def test_a_record_moved_to_another_name_is_refused(manager, plant):
    manager.set_secret("A", VALUE)
    plant(manager, "secret/B", head(manager))
    with pytest.raises(TamperedError, match="moved here"):
        manager.get_secret("B")


def test_a_wrong_key_at_opening_is_on_record(manager, reopen, events, monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "A" * 43 + "=")
    with pytest.raises(WrongKeyError) as caught:
        reopen_with(manager, reopen, "env:OTHER_KEY")
    assert "AAAA" not in str(caught.value)
    assert events(manager, 1) == [("OPEN", None, "failed", "wrong_key", None)]


def reopen_with(manager, reopen, key):
    store = manager._access.engine.store
    close, store.close = store.close, lambda: None
    try:
        return reopen(manager, key)
    finally:
        store.close = close


def test_no_event_holds_a_value(manager, master_key):
    manager.set_secret("A", VALUE, custom={"a": "scorpion"})
    manager.get_secret("A")
    manager.set_secret("A", {"f": VALUE})
    with pytest.raises(ConflictError):
        manager.set_secret("A", VALUE, cas=9)
    log = b"".join(line.text for line in manager._access.audit.sink.lines())
    assert b"scorpion" not in log
    assert master_key.encode() not in log


def test_a_version_given_as_text_cannot_write_into_the_log(manager):
    manager.set_secret("A", VALUE)
    with pytest.raises(InvalidInputError):
        manager.get_secret("A", version='1,"actor":"root"')
    assert not any(b'"root"' in line.text for line in manager._access.audit.sink.lines())


@pytest.mark.parametrize("name", ["..", "", 5, None, ["A"], {"A": 1}, b"A"])
def test_a_bad_name_is_refused_everywhere(make_manager, name):
    manager = make_manager()
    for call in (
        manager.get_secret, manager.get_data, manager.metadata, manager.history, manager.verify_encryption,
        manager.rotate_secret, manager.delete_secret, manager.undelete_secret, manager.destroy_secret,
        manager.describe_secret, lambda name: manager.set_secret(name, "x"), lambda name: manager.rollback(name, 1),
    ):  # fmt: skip
        with pytest.raises(InvalidNameError):
            call(name)


class Broken:
    """Stops taking lines after a number of them."""

    def __init__(self, sink, lines):
        self.append, self.left = sink.append, lines
        sink.append = self

    def __call__(self, line):
        self.left -= 1
        if self.left < 0:
            raise AuditError("the disk of the audit log is full")
        self.append(line)


def test_without_audit_there_is_no_answer(manager):
    manager.set_secret("A", VALUE)
    Broken(manager._access.audit.sink, 0)
    calls = (
        lambda: manager.get_secret("A"), lambda: manager.get_secret("B"), lambda: manager.get_data("A"),
        manager.list_secrets, lambda: manager.history("A"), lambda: manager.verify_encryption("A"), manager.verify,
        manager.get_audit_logs, lambda: manager.set_secret("A", "x"), lambda: manager.delete_secret("A"),
        manager.custody.keys, manager.custody.recipients, manager.custody.audit_keys, manager.accept,
    )  # fmt: skip
    before = abilities.revision(manager._access.engine.store)
    for call in calls:
        with pytest.raises(AuditError, match="disk"):
            call()
    assert abilities.revision(manager._access.engine.store) == before


def test_a_change_whose_outcome_cannot_be_recorded_says_that_it_was_made(manager, reopen):
    manager.set_secret("A", VALUE)
    broken = Broken(manager._access.audit.sink, 1)
    with pytest.raises(AuditError, match=r"the change was made, but not its event \(the disk.*its intent is on record"):
        manager.set_secret("A", "new")
    broken.left = 1000
    assert manager.get_secret("A") == "new"


def test_a_crash_within_a_change_is_on_record_and_changes_nothing(manager, events, monkeypatch):
    manager.set_secret("A", VALUE)
    monkeypatch.setattr("strongroom.records.history.History.append", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        manager.set_secret("A", "new")
    assert events(manager, 1) == [("SET", "A", "failed", "ZeroDivisionError", None)]
    assert manager.get_secret("A") == VALUE
    assert manager.verify().ok


# Actors and the policy


@pytest.fixture
def guarded(manager):
    """A manager, and one for an actor who may read and list below `shop/`."""
    manager.set_secrets({"shop/A": VALUE, "bank/A": VALUE})
    policy = RulePolicy(
        [
            Rule("bob", "shop/*", frozenset(["read", "list"])),
            Rule("writer", "shop/*", frozenset(["update"])),
        ]
    )
    return manager.bind("bob", policy)


def test_an_allowed_actor_is_answered(guarded):
    assert guarded.get_secret("shop/A") == VALUE
    assert guarded.list_secrets("shop/") == ["shop/A"]
    assert guarded.history("shop/A")[0].version == 1
    assert guarded.verify_encryption("shop/A").authentic


def test_a_denied_actor_gets_nothing_before_any_ciphertext_is_touched(guarded, events, monkeypatch):
    store = guarded._access.engine.store
    for method in {"get", "scan", "view", "transaction", "revision"} & set(dir(store)):
        monkeypatch.setattr(store, method, lambda *_, method=method, **__: pytest.fail(f"{method} was called"))
    calls = {
        "GET": lambda: guarded.get_secret("bank/A"),
        "HISTORY": lambda: guarded.metadata("bank/A"),
        "SET": lambda: guarded.set_secret("shop/A", "x"),
        "DELETE": lambda: guarded.delete_secret("shop/A"),
        "UNDELETE": lambda: guarded.undelete_secret("shop/A"),
        "DESTROY": lambda: guarded.destroy_secret("shop/A"),
        "ROTATE": lambda: guarded.rotate_secret("shop/A"),
        "ROLLBACK": lambda: guarded.rollback("shop/A", 1),
        "METADATA": lambda: guarded.describe_secret("shop/A", custom={}),
        "VERIFY": lambda: guarded.verify_encryption("bank/A"),
    }
    for action, call in calls.items():
        with pytest.raises(DeniedError, match=r"'bob' may not \w+ '(shop|bank)/A': the policy says no") as caught:
            call()
        assert VALUE not in str(caught.value)
        assert events(guarded, 1) == [(action, caught.value.name, "denied", None, None)]


def test_what_concerns_the_whole_store_is_denied_too(guarded, events):
    custody = guarded.custody
    for call in (
        guarded.list_secrets, guarded.verify, guarded.accept, guarded.get_audit_logs, guarded.verify_audit,
        custody.recipients, custody.keys, custody.audit_keys, custody.rekey_data,
        lambda: custody.add_recipient(guarded._access.engine.provider), lambda: custody.remove_recipient(1),
        lambda: custody.rekey_master(guarded._access.engine.provider),
    ):  # fmt: skip
        with pytest.raises(DeniedError, match="the store"):
            call()
        assert events(guarded, 1)[0][1:3] == (None, "denied")


def test_set_secrets_is_denied_as_a_whole(guarded):
    writer = guarded.bind("writer")
    with pytest.raises(DeniedError):
        writer.set_secrets({"shop/A": "x", "bank/A": "x"})
    assert guarded.get_secret("shop/A") == VALUE
    assert writer.set_secrets({"shop/A": "x"})["shop/A"].version == 2


def test_bind_gives_another_actor_and_leaves_this_one(guarded):
    writer = guarded.bind("writer")
    writer.set_secret("shop/A", "new")
    with pytest.raises(DeniedError):
        writer.get_secret("shop/A")
    assert guarded.get_secret("shop/A") == "new"
    log = guarded._access.audit.sink.texts
    assert b'"actor":"bob"' in log[-1]
    assert b'"actor":"writer"' in log[-2]


WHOLE_STORE = {
    "the log": ("audit", lambda m: m.get_audit_logs()),
    "verify the log": ("audit", lambda m: m.verify_audit()),
    "verify": ("audit", lambda m: m.verify()),
    "recipients": ("audit", lambda m: m.custody.recipients()),
    "keys": ("audit", lambda m: m.custody.keys()),
    "audit keys": ("manage", lambda m: m.custody.audit_keys()),
    "accept": ("manage", lambda m: m.accept()),
    "rekey data": ("manage", lambda m: m.custody.rekey_data()),
    "add a recipient": ("manage", lambda m: m.custody.add_recipient("env:SECRETS_MASTER_KEY")),
    "remove a recipient": ("manage", lambda m: m.custody.remove_recipient(9)),
}


@pytest.mark.parametrize(("needed", "call"), WHOLE_STORE.values(), ids=WHOLE_STORE)
def test_what_concerns_the_whole_store_takes_a_capability_of_its_own(manager, needed, call):
    others = frozenset(CAPABILITIES) - {needed}
    with pytest.raises(DeniedError):
        call(manager.bind("bob", RulePolicy([Rule("bob", "*", others)])))
    with suppress(NotFoundError):
        call(manager.bind("bob", RulePolicy([Rule("bob", "*", frozenset([needed]))])))
    with pytest.raises(DeniedError):
        call(manager.bind("bob", RulePolicy([Rule("bob", "shop/*", frozenset(CAPABILITIES))])))


@pytest.mark.parametrize("actor", ["", None, 5, ["bob"], b"bob"])
def test_an_actor_is_text(make_manager, actor):
    with pytest.raises(InvalidInputError, match="an actor is text"):
        make_manager().bind(actor)


def test_the_policy_of_the_settings_is_used(make_manager):
    rules = [{"actor": "alice", "name": "shop/*", "capabilities": ["read", "create", "update"]}]
    manager = make_manager(policy=rules)
    manager.set_secret("shop/A", "x")
    with pytest.raises(DeniedError):
        manager.set_secret("bank/A", "x")


def test_the_newest_events_come_first_and_are_filtered(manager):
    manager.set_secret("A", VALUE)
    manager.bind("bob").get_secret("A")
    manager.get_secret("missing/one")
    newest = manager.get_audit_logs(limit=2)
    assert [(event["action"], event["outcome"]) for event in newest] == [("GET", "not_found"), ("GET", "ok")]
    assert manager.get_audit_logs(limit=1)[0]["action"] == "AUDIT"
    assert [event["version"] for event in manager.get_audit_logs(actor="bob")] == [1]
    assert {event["name"] for event in manager.get_audit_logs(name="missing/*")} == {"missing/one"}
    assert [event["name"] for event in manager.get_audit_logs(action="SET")] == ["A"]
    assert manager.get_audit_logs(outcome="denied") == []
    event = manager.get_audit_logs(action="SET")[0]
    assert event["actor"] == "alice"
    assert event["source"] == "library"
    assert event["revision"] == 2
    for limit in (0, -1, "5", True):
        with pytest.raises(InvalidInputError):
            manager.get_audit_logs(limit=limit)


def test_a_not_found_error_is_one(manager):
    with pytest.raises(NotFoundError, match="there is no secret 'A'"):
        manager.verify_encryption("A")


def test_an_audit_log_that_was_cut_is_reported_and_on_record(make_manager, events):
    manager = make_manager()
    for turn in range(3):
        manager.set_secret("A", f"{turn}")
    del manager._access.audit.sink.texts[2]
    assert not manager.verify_audit().ok
    assert events(manager, 1) == [("AUDIT", None, "failed", "tampered", None)]


@pytest.mark.parametrize(
    ("capabilities", "creates", "updates"),
    [
        (["create"], True, False),
        (["update"], False, True),
        (["create", "update"], True, True),
        (["read"], False, False),
    ],
)
def test_to_create_and_to_update_are_two_capabilities(manager, events, capabilities, creates, updates):
    manager.set_secret("there", VALUE)
    policy = RulePolicy([Rule("bob", "*", frozenset(capabilities))])
    bob = manager.bind("bob", policy)
    for name, allowed in (("new", creates), ("there", updates)):
        before = manager.metadata(name)
        if allowed:
            bob.set_secret(name, "x")
            continue
        with pytest.raises(DeniedError):
            bob.set_secret(name, "x")
        assert events(manager, 1) == [("SET", name, "denied", None, None)]
        assert manager.metadata(name) == before


def test_a_list_holds_no_names_that_the_actor_may_not_list(make_manager):
    rules = [
        {"actor": "alice", "name": "*", "capabilities": ["create", "list"]},
        {"actor": "bob", "name": "shop", "capabilities": ["list"]},
        {"actor": "bob", "name": "shop/*", "capabilities": ["list"]},
    ]
    manager = make_manager(policy=rules)
    for name in ("shop/A", "shop-admin/A"):
        manager.set_secret(name, "x")
    assert manager.list_secrets("shop") == ["shop-admin/A", "shop/A"]
    assert manager.bind("bob").list_secrets("shop") == ["shop/A"]
