"""Versions, deletion, retention and expiry, on each kind of store."""

import pytest

from strongroom.errors import ConflictError, InvalidValueError, SecretNotFoundError, VersionNotFoundError
from strongroom.model import version_path


@pytest.fixture
def three(manager):
    """A manager with a secret of three versions."""
    for value in ("one", "two", "three"):
        manager.set_secret("A", value)
    return manager


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on."""

    class Clock:
        now = 1_800_000_000.0

    monkeypatch.setattr("time.time", lambda: Clock.now)
    return Clock


def values(manager, name="A", last=5):
    return [manager.get_secret(name, version=number) for number in range(1, last + 1)]


def stored(manager, number, name="A"):
    return manager._access.engine.store.get(version_path(name, number))


def states(manager, name="A"):
    return [(info.version, info.state) for info in manager.history(name)]


def test_every_version_is_read_by_its_number(three):
    assert values(three) == ["one", "two", "three", None, None]
    assert three.get_secret("A") == "three"
    assert states(three) == [(1, "live"), (2, "live"), (3, "live")]
    assert three.get_data("A", version=1) == {"value": "one"}


def test_times_of_versions_are_those_of_the_clock(manager, clock):
    manager.set_secret("A", "x")
    clock.now += 5.1234
    manager.set_secret("A", "y")
    assert [info.created for info in manager.history("A")] == [1_800_000_000.0, 1_800_000_005.123]


def test_history_and_metadata_of_nothing_are_empty(manager):
    assert manager.history("nothing") == []
    assert manager.metadata("nothing") is None


def test_deleting_hides_the_current_version_only(three):
    assert three.delete_secret("A") is True
    assert three.get_secret("A") is None
    assert values(three, last=3) == ["one", "two", None]
    assert three.list_secrets() == []
    assert three.delete_secret("A") is False
    assert three.undelete_secret("A") is True
    assert three.undelete_secret("A") is False
    assert three.get_secret("A") == "three"
    assert three.list_secrets() == ["A"]


def test_versions_are_deleted_and_undeleted_by_their_numbers(three):
    assert three.delete_secret("A", [1, 3])
    assert values(three, last=3) == [None, "two", None]
    assert three.undelete_secret("A", {3})
    assert values(three, last=3) == [None, "two", "three"]
    assert not three.delete_secret("A", [1])
    assert three.delete_secret("A", (1, 2))
    assert not three.delete_secret("A", [])


def test_a_deleted_secret_that_is_set_goes_on_counting(three):
    three.delete_secret("A")
    assert three.set_secret("A", "four").version == 4
    assert values(three, last=4) == ["one", "two", None, "four"]


def test_destroying_removes_the_ciphertext_and_leaves_the_history(three):
    assert stored(three, 1)
    assert three.destroy_secret("A", [1]) is True
    assert stored(three, 1) is None
    assert values(three, last=3) == [None, "two", "three"]
    assert states(three)[0] == (1, "destroyed")
    assert three.undelete_secret("A", [1]) is False
    assert three.destroy_secret("A", [1]) is False
    assert three.verify().ok


def test_destroying_the_current_version_leaves_the_others(three):
    assert three.destroy_secret("A", [3])
    assert three.get_secret("A") is None
    assert three.list_secrets() == []
    assert values(three, last=3) == ["one", "two", None]
    assert three.set_secret("A", "four").version == 4
    assert stored(three, 3) is None
    assert values(three, last=4) == ["one", "two", None, "four"]
    assert three.verify().ok


def test_destroying_without_numbers_takes_all_versions(three):
    assert three.destroy_secret("A") is True
    assert values(three, last=3) == [None, None, None]
    assert states(three) == [(1, "destroyed"), (2, "destroyed"), (3, "destroyed")]
    assert three.destroy_secret("A") is False
    assert three.set_secret("A", "new").version == 4


def test_destroying_with_history_leaves_nothing(three):
    assert three.destroy_secret("A", with_history=True) is True
    assert three.metadata("A") is None
    assert [path for path, _ in three._access.engine.store.scan() if "/A" in path] == []
    assert three.destroy_secret("A", with_history=True) is False
    assert three.set_secret("A", "new").version == 1


def test_marking_a_secret_that_never_was_is_false(manager):
    assert manager.delete_secret("A") is False
    assert manager.undelete_secret("A") is False
    assert manager.destroy_secret("A") is False


def test_an_unknown_number_changes_nothing(three):
    for mark in (three.delete_secret, three.undelete_secret, three.destroy_secret):
        with pytest.raises(VersionNotFoundError, match="'A' has no version 7; nothing was changed") as caught:
            mark("A", [1, 9, 7])
        assert (caught.value.name, caught.value.version) == ("A", 7)
    assert values(three, last=3) == ["one", "two", "three"]


def test_rollback_makes_a_new_version_of_an_old_value(three):
    assert three.rollback("A", 1).version == 4
    assert values(three, last=4) == ["one", "two", "three", "one"]
    assert three.rollback("A", 4, cas=4).version == 5


def test_rollback_needs_a_live_version_and_the_right_cas(three):
    with pytest.raises(SecretNotFoundError):
        three.rollback("B", 1)
    with pytest.raises(ConflictError):
        three.rollback("A", 1, cas=1)
    three.delete_secret("A", [1])
    three.destroy_secret("A", [2])
    for number in (1, 2, 4):
        with pytest.raises(VersionNotFoundError, match=f"'A' has no live version {number}"):
            three.rollback("A", number)
    assert three.history("A")[-1].version == 3


def test_rollback_brings_back_bytes_and_fields(manager):
    for value in (b"\0", {"a": 1}, "text"):
        manager.set_secret("A", value)
    manager.rollback("A", 1)
    assert manager.get_secret("A") == b"\0"
    manager.rollback("A", 2)
    assert manager.get_data("A") == {"a": 1}


def test_old_versions_are_really_gone(make_manager):
    manager = make_manager("sqlite", max_versions=2)
    for value in ("one", "two", "three"):
        manager.set_secret("A", value)
    assert values(manager, last=3) == [None, "two", "three"]
    assert stored(manager, 1) is None
    assert [info.version for info in manager.history("A")] == [2, 3]
    assert manager.metadata("A").max_versions == 2
    assert manager.verify().versions == 2


def test_a_secret_may_keep_more_or_fewer_than_the_others(three):
    three.set_secret("A", "four", max_versions=2)
    assert values(three, last=4) == [None, None, "three", "four"]
    three.describe_secret("A", max_versions=1)
    assert values(three, last=4) == [None, None, None, "four"]
    assert stored(three, 3) is None
    three.describe_secret("A", max_versions=3)
    three.set_secret("A", "five")
    assert values(three) == [None, None, None, "four", "five"]


def test_one_version_may_be_all_that_is_kept(make_manager):
    manager = make_manager(max_versions=1)
    manager.set_secret("A", "one")
    manager.set_secret("A", "two")
    assert values(manager, last=2) == [None, "two"]


def test_custom_metadata_stays_until_it_is_replaced(manager):
    manager.set_secret("A", "x", custom={"owner": "ops"})
    manager.set_secret("A", "y")
    assert manager.metadata("A").custom == {"owner": "ops"}
    assert manager.describe_secret("A", custom={"team": "ä"}).custom == {"team": "ä"}
    assert manager.describe_secret("A", max_versions=3).custom == {"team": "ä"}
    assert manager.describe_secret("A", custom={}).custom == {}
    assert manager.get_secret("A") == "y"
    assert manager.metadata("A").current == 2
    with pytest.raises(SecretNotFoundError):
        manager.describe_secret("B", custom={})


def test_describing_a_deleted_secret_does_not_show_it(manager):
    manager.set_secret("A", "x")
    manager.delete_secret("A")
    manager.describe_secret("A", custom={"a": "b"})
    assert manager.get_secret("A") is None
    manager.undelete_secret("A")
    assert manager.get_secret("A") == "x"


def test_a_version_expires_by_the_clock(manager, clock, events):
    manager.set_secret("A", "x", expires_in=10)
    clock.now += 9.99
    assert manager.get_secret("A") == manager.get_secret("A", version=1) == "x"
    clock.now += 0.01
    assert manager.get_secret("A") is manager.get_secret("A", version=1) is None
    assert events(manager, 2) == [("GET", "A", "not_found", "expired", 1)] * 2
    assert manager.history("A")[0].expires == 1_800_000_010.0


def test_a_new_version_of_an_expired_secret_does_not_expire(manager, clock):
    manager.set_secret("A", "x", expires_in=0.5)
    clock.now += 1
    manager.set_secret("A", "y")
    assert manager.get_secret("A") == "y"
    assert manager.get_secret("A", version=1) is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e10, "5", True])
def test_an_expiry_that_cannot_be_is_refused(make_manager, seconds):
    manager = make_manager()
    with pytest.raises(InvalidValueError, match="expires_in is a number of seconds"):
        manager.set_secret("A", "x", expires_in=seconds)
    assert manager.metadata("A") is None


def test_the_limits_of_custom_metadata(make_manager):
    manager = make_manager()
    manager.set_secret("A", "x", custom={f"{n:0128d}": "v" * 512 for n in range(64)})
    for bad in ({"k" * 129: ""}, {"k": "v" * 513}, {f"{n}": "" for n in range(65)}, {1: "a"}, {"a": 1}, ["a"], "a"):
        with pytest.raises(InvalidValueError, match="custom metadata"):
            manager.set_secret("A", "x", custom=bad)
    assert manager.metadata("A").current == 1


def test_a_missing_old_record_is_tampering_not_absence(three, plant):
    from strongroom.errors import TamperedError

    plant(three, version_path("A", 1), None)
    with pytest.raises(TamperedError, match="version 1 of 'A' is missing although nobody destroyed it") as caught:
        three.get_secret("A", version=1)
    assert caught.value.version == 1


def test_a_version_of_a_secret_that_never_was_is_missing(manager):
    assert manager.get_secret("NEVER", version=1) is None
    assert manager.get_secret("NEVER", "fallback", version=1) == "fallback"
