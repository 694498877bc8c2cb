"""Which values of a store are looked for, and what they are called."""

from __future__ import annotations

import pytest

from strongroom.scan.needles import collect


@pytest.fixture
def secrets(make_manager):
    return make_manager()


def called(found) -> set[tuple[str, int]]:
    return {(label.name, label.version) for labels in found.labels.values() for label in labels}


def test_texts_and_bytes_are_looked_for_however_deep_they_lie(secrets):
    secrets.set_secret("RAW", b"\xff\xfe0raw-b1tes")
    secrets.set_secret("DEEP", {"a": {"b": ["l1st-of-texts", {"c": "d3ep-text"}]}, "n": 12345678, "none": None})
    found = collect(secrets)
    assert b"\xff\xfe0raw-b1tes" in found.labels
    assert {b"l1st-of-texts", b"d3ep-text"} <= found.labels.keys()
    assert called(found) == {("RAW", 1), ("DEEP:a", 1)}
    assert (found.skipped, found.secrets) == ([], 2)


def test_a_value_that_several_secrets_hold_is_found_under_each_of_their_names(secrets):
    for name in ("ONE", "OTHER"):
        secrets.set_secret(name, "sh4red-value")
    assert called(collect(secrets)) == {("ONE", 1), ("OTHER", 1)}


def test_a_value_is_called_by_the_newest_version_that_has_it(secrets):
    for value in ("f1rst-value", "s3cond-value", "f1rst-value"):
        secrets.set_secret("A", value)
    found = collect(secrets)
    assert {label.version for label in found.labels[b"f1rst-value"]} == {3}
    assert {label.version for label in found.labels[b"s3cond-value"]} == {2}


def test_what_would_be_found_by_chance_is_skipped_and_what_is_deleted_is_not_read(secrets):
    secrets.set_secret("SHORT", "ab")
    secrets.set_secret("GONE", "d3leted-value")
    secrets.delete_secret("GONE")
    found = collect(secrets)
    assert found.skipped == ["SHORT"]
    assert called(found) == set()
    assert {event["name"] for event in secrets.get_audit_logs(action="GET")} == {"SHORT"}
