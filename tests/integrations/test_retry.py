"""A refused log-in is tried again with what the secret says now, and with the version before for a while."""

from __future__ import annotations

import asyncio
import time

import pytest

from strongroom import RotationError
from strongroom.integrations.retry import is_refused, with_refresh, with_refresh_async


class Refused(Exception):
    sqlstate = "28P01"


def service(*accepted):
    """Return a log-in that takes these values, and the list of the values that were tried."""
    tried = []

    def attempt(value):
        tried.append(value)
        if value not in accepted:
            raise Refused(f"attempt {len(tried)}")
        return "connected"

    return attempt, tried


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Call one helper or the other."""
    if request.param == "sync":
        return with_refresh

    def call(secrets, name, attempt, **options):
        async def attempt_async(value):
            return attempt(value)

        return asyncio.run(with_refresh_async(secrets, name, attempt_async, **options))

    return call


def test_an_accepted_value_is_tried_once(secrets, call):
    attempt, tried = service("old-Password/+1")
    assert call(secrets, "DB", attempt) == "connected"
    assert tried == ["old-Password/+1"]


def test_a_value_that_changes_during_the_attempt_is_taken_up(secrets, call):
    attempt, tried = service("new")

    def rotate_and_attempt(value):
        if not tried:
            secrets.set_secret("DB", "new")
        return attempt(value)

    assert call(secrets, "DB", rotate_and_attempt) == "connected"
    assert tried == ["old-Password/+1", "new"]


def test_the_version_before_is_tried_within_the_grace_time(secrets, call):
    secrets.set_secret("DB", "new")
    attempt, tried = service("old-Password/+1")
    assert call(secrets, "DB", attempt) == "connected"
    assert tried == ["new", "old-Password/+1"]


def test_the_version_before_is_not_tried_after_the_grace_time(secrets, call, monkeypatch):
    secrets.set_secret("DB", "new")
    attempt, tried = service("old-Password/+1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    with pytest.raises(Refused, match="attempt 1"):
        call(secrets, "DB", attempt, grace=60)
    assert tried == ["new"]


def test_a_version_before_that_is_gone_is_not_tried(secrets, call):
    secrets.set_secret("DB", "new")
    secrets.delete_secret("DB", [1])
    attempt, tried = service("old-Password/+1")
    with pytest.raises(Refused):
        call(secrets, "DB", attempt)
    assert tried == ["new"]


def test_the_first_refusal_is_raised_when_nothing_is_accepted(secrets, call):
    secrets.set_secret("DB", "new")
    attempt, tried = service()
    with pytest.raises(Refused, match="attempt 1"):
        call(secrets, "DB", attempt)
    assert tried == ["new", "old-Password/+1"]


def test_another_error_is_raised_at_once(secrets, call):
    secrets.set_secret("DB", "new")
    tried = []

    def attempt(value):
        tried.append(value)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        call(secrets, "DB", attempt)
    assert tried == ["new"]


def test_what_a_refusal_is_can_be_said(secrets, call):
    secrets.set_secret("DB", "new")
    attempt = {"old-Password/+1": "connected"}.__getitem__
    assert call(secrets, "DB", attempt, refused=lambda error: isinstance(error, KeyError)) == "connected"


def test_fields_of_the_version_before_come_as_fields(secrets, call):
    before = {"username": "a", "password": "one"}
    secrets.set_secret("F", before)
    secrets.set_secret("F", {"username": "b", "password": "two"})
    attempt, _ = service(before)
    assert call(secrets, "F", attempt) == "connected"


def test_a_refusal_is_found_behind_the_error_of_a_library_above():
    error = RuntimeError()
    error.__cause__ = Refused()
    assert is_refused(error)
    assert not is_refused(RuntimeError())


class Ahead:
    """A source that has taken the new value and then answers nothing more."""

    def create(self, current):
        return {"value": "pending"}

    def set(self, pending, current):
        if pending["value"] != "pending":
            raise ConnectionError

    def check(self, current):
        pass

    def test(self, pending):
        raise ConnectionError

    def retire(self, previous, current):
        raise AssertionError("nothing is retired before it is replaced")


def test_the_pending_value_of_an_unfinished_rotation_is_tried_last_and_is_on_record(secrets, call):
    with pytest.raises(RotationError):
        secrets.rotation.rotate("DB", Ahead())
    attempt, tried = service("pending")
    assert call(secrets, "DB", attempt) == "connected"
    assert tried == ["old-Password/+1", "pending"]
    newest = secrets.get_audit_logs(1, name="DB", action="GET")[0]
    assert (newest["stage"], newest["outcome"]) == ("pending", "ok")


@pytest.mark.parametrize("promotions", [1, 2, 3])
def test_a_promotion_between_two_attempts_refuses_nobody(secrets, call, promotions, monkeypatch):
    accepted = []

    def promoted_meanwhile(name):
        if len(accepted) < promotions:
            accepted.append(f"new {len(accepted)}")
            secrets.set_secret(name, accepted[-1])

    monkeypatch.setattr(secrets.rotation, "pending", promoted_meanwhile)
    attempt, tried = service(f"new {promotions - 1}")
    assert call(secrets, "DB", attempt) == "connected"
    assert len(tried) == len(set(tried))


def test_where_no_rotation_is_unfinished_there_is_no_pending_value_and_no_event(secrets):
    assert secrets.rotation.pending("DB") is None
    assert [event for event in secrets.get_audit_logs(None, name="DB") if event.get("stage")] == []


def test_a_result_that_was_under_way_when_the_secret_changed_is_discarded(secrets):
    discarded = []

    def attempt(value):
        if value != "new":
            secrets.set_secret("DB", "new")
        return value

    assert with_refresh(secrets, "DB", attempt, discard=discarded.append) == "new"
    assert discarded == ["old-Password/+1"]
    assert with_refresh(secrets, "DB", lambda value: value, discard=discarded.append) == "new"
    assert len(discarded) == 1
