"""An opened store owns what must be closed; a manager is a caller's view of it."""

from __future__ import annotations

import copy
import gc
import pickle
import threading

import pytest

import strongroom
from strongroom import Caller, ConfigError, DeniedError, InvalidInputError, OpenedStore, SecretsManager
from strongroom.access.policy import Rule, RulePolicy

HTTP = Caller("billing", "http", "10.0.0.7", "f00-1")


def live_threads() -> int:
    return sum(thread.name == "strongroom-live" for thread in threading.enumerate())


def test_only_the_owner_can_be_closed(manager):
    assert isinstance(manager, OpenedStore)
    bound = manager.bind("billing")
    assert type(bound) is SecretsManager
    for name in ("close", "__enter__", "__exit__"):
        assert not hasattr(bound, name), name


def test_a_bound_manager_that_ends_leaves_the_store_open(manager):
    manager.set_secret("A", "x")
    manager.bind("billing").get_secret("A")
    gc.collect()
    assert manager.get_secret("A") == "x"


def test_live_handles_of_bound_managers_end_with_the_store(make_manager):
    before = live_threads()
    store = make_manager("sqlite")
    store.set_secret("A", "x")
    handles = [store.bind(actor).secret("A") for actor in ("a", "b", "a")]
    assert handles[0] is handles[2]
    assert live_threads() == before + 2
    store.close()
    assert live_threads() == before


def test_each_request_of_a_caller_shares_its_live_handles(manager):
    manager.set_secret("A", "x")
    first = manager.bind(HTTP).secret("A")
    assert manager.bind(Caller("billing", "http", "10.0.0.7", "f00-2")).secret("A") is first
    assert manager.bind(Caller("billing", "http", "10.0.0.8", "f00-1")).secret("A") is not first


def test_a_live_handle_obeys_the_policy_of_its_manager(manager):
    manager.set_secret("A", "x")
    manager.bind("bob").secret("A")
    nothing = RulePolicy([Rule("bob", "B", frozenset(["read"]))])
    with pytest.raises(DeniedError):
        manager.bind("bob", nothing).secret("A")


def test_a_policy_of_its_own_replaces_that_of_the_owner_and_no_policy_keeps_it(make_manager):
    owner = make_manager("memory", policy=[{"actor": "bob", "name": "A", "capabilities": ["read"]}])
    for name in ("A", "B"):
        with pytest.raises(DeniedError):
            owner.get_secret(name)
    assert owner.bind("bob").get_secret("A") is None
    with pytest.raises(DeniedError):
        owner.bind("bob").get_secret("B")
    assert owner.bind("bob", RulePolicy([Rule("bob", "B", frozenset(["read"]))])).get_secret("B") is None


def test_a_caller_is_logged_as_it_is(manager):
    manager.set_secret("A", "x")
    bound = manager.bind(HTTP)
    assert bound.caller == HTTP
    bound.get_secret("A")
    manager.bind("alone").get_secret("A")
    plain, http = manager.get_audit_logs(2)
    assert [http[field] for field in ("actor", "source", "remote_address", "request_id")] == list(HTTP)
    assert (plain["actor"], plain["source"]) == ("alone", "library")
    assert not {"remote_address", "request_id"} & plain.keys()
    assert manager.verify_audit().ok


@pytest.mark.parametrize(
    ("caller", "error"),
    [
        (Caller(""), InvalidInputError),
        (Caller("a", source=""), InvalidInputError),
        (Caller("a", remote_address=5), InvalidInputError),
        (Caller("a", request_id="x\ny"), ConfigError),
        (Caller("a", source="\x1b[31m"), ConfigError),
        (Caller("a", request_id="x" * 300), ConfigError),
    ],
)
def test_a_caller_that_could_not_be_logged_is_refused(manager, caller, error):
    with pytest.raises(error):
        manager.bind(caller)


def test_many_requests_leave_nothing_behind(manager):
    manager.set_secret("A", "x")
    whos = manager._access.audit._whos
    manager.bind(HTTP).get_secret("A")
    known = len(whos)
    for number in range(50):
        manager.bind(Caller("billing", "http", "10.0.0.7", f"r{number}")).get_secret("A")
    assert len(whos) == known


def test_recipients_are_added_by_url_too(make_manager, monkeypatch):
    monkeypatch.setenv("RECOVERY_KEY", strongroom.generate_master_key())
    manager = make_manager("sqlite")
    assert manager.custody.add_recipient("env:RECOVERY_KEY").label == "env:RECOVERY_KEY"


def test_a_caller_is_a_value():
    assert Caller("billing", "http", "10.0.0.7", "f00-1") == HTTP
    assert hash(HTTP) == hash(Caller("billing", "http", "10.0.0.7", "f00-1"))
    assert HTTP.without_request() != HTTP
    assert repr(HTTP.without_request()) == "Caller(actor='billing', source='http', remote_address='10.0.0.7')"
    assert copy.deepcopy(HTTP) == pickle.loads(pickle.dumps(HTTP)) == HTTP
