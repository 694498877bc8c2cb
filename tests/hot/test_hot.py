"""`get_secret` with `sync = "ring"`: always current, always on record, whatever becomes of the ring."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

import strongroom
from strongroom import hot, hot_ring
from strongroom.audit.ring import Ring
from strongroom.errors import AuditError, DeniedError, InvalidNameError, InvalidValueError, StoreError
from strongroom.stores.generation import Generation

from .reading import NAME, reads, wait_for


def rings(tmp_path: Path) -> list[str]:
    folder = tmp_path / "audit.log.rings"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def warm(secrets, name: str = NAME) -> None:
    """Read until the secret is kept."""
    for _ in range(3):
        secrets.get_secret(name)
    assert name in secrets._kept


def test_each_call_is_one_event_and_each_event_says_what_one_without_ring_says(secrets):
    for _ in range(1000):
        assert secrets.get_secret(NAME) == "first"
    events = secrets.get_audit_logs(None, action="GET")
    assert len(events) == 1000
    numbers = [event.pop("ring") for event in events if "ring" in event]
    assert len(numbers) == len(set(numbers)) == 998
    own = ("id", "ts", "seq", "stream", "mac")
    assert len({tuple(item for item in event.items() if item[0] not in own) for event in events}) == 1
    assert [event["ts"] for event in events] == sorted((event["ts"] for event in events), reverse=True)
    assert secrets.verify_audit().problems == ()


def test_a_value_is_current_after_every_kind_of_change(secrets):
    warm(secrets)
    for change, expected in (
        (lambda: secrets.set_secret(NAME, "second"), "second"),
        (lambda: secrets.rotate_secret(NAME, "third"), "third"),
        (lambda: secrets.rollback(NAME, 1), "first"),
        (lambda: secrets.delete_secret(NAME), None),
        (lambda: secrets.undelete_secret(NAME), "first"),
        (lambda: secrets.set_secret(NAME, {"a": "x", "value": "of many"}), "of many"),
        (lambda: secrets.destroy_secret(NAME), None),
    ):
        change()
        assert [secrets.get_secret(NAME) for _ in range(4)] == [expected] * 4
    assert secrets.verify_audit().problems == ()


def test_a_change_by_another_manager_is_seen_at_once(secrets, open_hot):
    other = open_hot(actor="bob")
    for number in range(50):
        warm(secrets)
        other.set_secret(NAME, f"value {number}")
        assert secrets.get_secret(NAME) == f"value {number}"


def wait_for_second(secrets) -> None:
    wait_for(lambda: secrets.get_secret(NAME) == "second")
    # The ring goes on.
    warm(secrets)


def remove(counter: Path) -> None:
    counter.unlink()


def restore(counter: Path) -> None:
    copy = counter.with_suffix(".copy")
    shutil.copy(counter, copy)
    copy.rename(counter)


@pytest.mark.parametrize("harm", [remove, restore])
def test_a_counter_that_lies_in_another_file_is_noticed(secrets, open_hot, tmp_path, harm):
    warm(secrets)
    other = open_hot()
    harm(tmp_path / "store.db-gen")
    wait_for(lambda: NAME not in secrets._kept or harm is remove)
    # A writer finds the new one, or makes it, at once; readers look for it each second.
    other.set_secret(NAME, "second")
    wait_for_second(secrets)


def test_a_store_that_was_changed_without_the_counter_is_noticed(secrets, open_hot, monkeypatch):
    warm(secrets)
    with monkeypatch.context() as patch:
        patch.setattr(Generation, "begin", lambda *_: 0)
        patch.setattr(Generation, "end", lambda *_: None)
        open_hot().set_secret(NAME, "second")
    wait_for_second(secrets)


def test_a_writer_that_dies_after_its_commit_and_before_it_says_so_leaves_nothing_stale(secrets, open_hot, monkeypatch):
    warm(secrets)
    with monkeypatch.context() as patch:
        patch.setattr(Generation, "end", lambda *_: None)
        open_hot().set_secret(NAME, "second")
    assert [secrets.get_secret(NAME) for _ in range(4)] == ["second"] * 4


def test_what_was_read_stays_kept_while_nobody_commits(secrets, monkeypatch):
    for setting in ("TICK", "LOOK_EVERY", "COLLECT_EVERY"):
        monkeypatch.setattr(hot_ring, setting, 0.01)
    looks, look = [], hot_ring.HotReads._look
    monkeypatch.setattr(hot_ring.HotReads, "_look", lambda self: (look(self), looks.append(True)))
    warm(secrets)
    before = secrets._kept[NAME]
    wait_for(lambda: len(looks) > 5)
    assert secrets._kept[NAME] is before
    assert secrets._reads._thread.is_alive()


def test_what_may_change_without_a_commit_is_not_kept(open_hot):
    secrets = open_hot()
    secrets.set_secret("expires", "soon", expires_in=3600)
    secrets.set_secret("fields", {"a": 1, "value": {"deep": []}})
    for name, expected in (("expires", "soon"), ("fields", {"deep": []}), ("missing", None)):
        assert [secrets.get_secret(name) for _ in range(4)] == [expected] * 4
        assert name not in secrets._kept
    secrets.get_secret("fields")["deep"].append("changed by the caller")
    assert secrets.get_secret("fields") == {"deep": []}


def test_arguments_mean_the_same_whether_or_not_the_secret_is_kept(secrets):
    secrets.set_secret(NAME, "second")
    warm(secrets)
    assert secrets.get_secret(NAME, version=1) == "first"
    assert secrets.get_secret(NAME, field="value") == "second"
    assert secrets.get_secret(NAME, field="other", default="none") == "none"
    assert [secrets.get_secret("missing", "fallback") for _ in range(4)] == ["fallback"] * 4
    secrets.set_secret("several", "one")
    warm(secrets, "several")
    secrets.set_secret("several", {"a": "1", "b": "2"})
    for _ in range(3):
        with pytest.raises(InvalidValueError, match="'several' has several fields"):
            secrets.get_secret("several")
        for wrong in (None, 3, [], {}, "a//b", b"name"):
            with pytest.raises(InvalidNameError):
                secrets.get_secret(wrong)


def test_a_policy_is_asked_once_for_each_version_and_a_refusal_never_kept(open_hot):
    rules = [{"actor": "alice", "name": "shop/*", "capabilities": ["create", "read", "update"]},
             {"actor": "*", "name": "*", "capabilities": ["list"]}]  # fmt: skip
    secrets = open_hot(policy=rules)
    secrets.set_secret(NAME, "first")
    warm(secrets)
    bob = secrets.bind("bob")
    for _ in range(4):
        with pytest.raises(DeniedError):
            bob.get_secret(NAME)
    assert reads(secrets, actor="bob", outcome="denied") == 4


def test_a_policy_that_may_change_its_mind_is_asked_each_time(secrets):
    class Moody:
        allowed = True

        def allows(self, actor, capability, name):
            return self.allowed

    policy, access = Moody(), secrets._access
    asking = hot.HotSecretsManager(access.engine, access.audit, "alice", policy=policy, reads=secrets._reads)
    assert [asking.get_secret(NAME) for _ in range(4)] == ["first"] * 4
    policy.allowed = False
    with pytest.raises(DeniedError):
        asking.get_secret(NAME)


def test_each_bound_actor_is_on_record_by_its_own_name(secrets):
    bob = secrets.bind("bob")
    for _ in range(10):
        secrets.get_secret(NAME)
        bob.get_secret(NAME)
    assert reads(secrets, actor="alice") == reads(secrets, actor="bob") == 10


def test_a_full_ring_is_drained_by_whoever_finds_it_full(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "TICK", 3600)
    monkeypatch.setattr(hot_ring, "Ring", lambda log, directory: Ring(log, directory, capacity=7))
    for _ in range(300):
        assert secrets.get_secret(NAME) == "first"
    assert reads(secrets) == 300
    assert secrets.get_audit_logs(1, action="GET")[0]["ring"].endswith("-298")
    assert secrets.verify_audit().problems == ()


def test_a_secret_that_is_deleted_while_room_is_made_is_answered_with_the_default(secrets, open_hot, monkeypatch):
    other, make_room = open_hot(), hot.make_room
    monkeypatch.setattr(hot_ring, "TICK", 3600)
    monkeypatch.setattr(hot_ring, "Ring", lambda log, directory: Ring(log, directory, capacity=2))
    monkeypatch.setattr(hot, "make_room", lambda ring: [other.delete_secret(NAME), make_room(ring)][1])
    answers = [secrets.get_secret(NAME, "fallback") for _ in range(10)]
    assert sorted(set(answers)) == ["fallback", "first"]
    assert answers == sorted(answers, reverse=True)


def test_eight_threads_lose_no_read_and_share_no_number(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "Ring", lambda log, directory: Ring(log, directory, capacity=500))
    secrets.set_secret("other", "second")
    warm(secrets)
    warm(secrets, "other")
    before, each = reads(secrets), 3000

    def read(number: int) -> None:
        name, value = ((NAME, "first"), ("other", "second"))[number % 2]
        for _ in range(each):
            assert secrets.get_secret(name) == value

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads(secrets) - before == 8 * each
    numbers = [event["ring"] for event in secrets.get_audit_logs(None, action="GET") if "ring" in event]
    assert len(numbers) == len(set(numbers))
    assert secrets.verify_audit().problems == ()


def test_parent_and_child_of_a_fork_have_a_ring_each(secrets, tmp_path, monkeypatch):
    # Neither drains before the parent looks at the log.
    monkeypatch.setattr(hot_ring, "TICK", 3600)
    warm(secrets)
    for _ in range(10):
        secrets.get_secret(NAME)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if [secrets.get_secret(NAME) for _ in range(20)] == ["first"] * 20 else 2
            code = code or (0 if secrets._reads._ring else 3)
        finally:
            os._exit(code)
    assert [secrets.get_secret(NAME) for _ in range(20)] == ["first"] * 20
    assert os.waitpid(child, 0)[1] == 0
    assert len(rings(tmp_path)) == 4
    pids = [event["pid"] for event in secrets.get_audit_logs(None, action="GET")]
    assert (pids.count(os.getpid()), pids.count(child)) == (33, 20)
    assert {e.get("drainer") for e in secrets.get_audit_logs(None, action="GET") if e["pid"] == child} == {
        None,
        os.getpid(),
    }
    assert len(rings(tmp_path)) == 2
    assert secrets.verify_audit().problems == ()


def test_closing_leaves_no_ring_and_answers_nothing_more(secrets, open_hot, tmp_path):
    warm(secrets)
    assert [name.partition(".")[2] for name in rings(tmp_path)] == ["names", "ring"]
    secrets.close()
    assert rings(tmp_path) == []
    with pytest.raises(StoreError, match="closed"):
        secrets.get_secret(NAME)
    assert reads(open_hot()) == 3


@pytest.mark.parametrize("command", [["log", "--limit", "1000"], ["export"], ["verify", "--json"]])
def test_the_command_line_shows_at_once_what_was_answered(secrets, tmp_path, command, capsys, monkeypatch):
    from strongroom.cli import main

    monkeypatch.setattr(hot_ring, "TICK", 3600)
    for _ in range(100):
        secrets.get_secret(NAME)
    given = ["--store", f"sqlite:{tmp_path}/store.db", "--audit", f"file:{tmp_path}/audit.log"]
    assert main([*given, "audit", *command]) == 0
    out = capsys.readouterr().out
    if command[0] == "verify":
        # Three of the set, two of openings and the first reads are there in any case.
        assert json.loads(out)["events"] > 100
    else:
        assert out.count('"GET"') == 100


def test_a_process_that_reads_once_makes_no_ring(secrets, tmp_path):
    assert secrets.get_secret(NAME) == "first"
    assert rings(tmp_path) == []


def test_where_no_ring_can_be_made_each_read_is_written_to_the_log(secrets, tmp_path):
    (tmp_path / "audit.log.rings").write_text("in the way")
    for _ in range(10):
        assert secrets.get_secret(NAME) == "first"
    assert secrets._kept == {}
    assert reads(secrets) == 10


def test_a_log_that_takes_nothing_stops_the_answers_once_the_ring_is_full(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "Ring", lambda log, directory: Ring(log, directory, capacity=50))
    warm(secrets)
    answered = ["first"] * 3

    def refuse(line: bytes) -> None:
        raise AuditError("the disk is full")

    def read_on() -> None:
        for _ in range(200):
            answered.append(secrets.get_secret(NAME))

    with monkeypatch.context() as patch:
        patch.setattr(secrets._access.audit.sink, "append", refuse)
        for _ in range(2):
            with pytest.raises(AuditError):
                read_on()
            assert answered == ["first"] * len(answered)
        assert 101 <= len(answered) <= 103
    assert reads(secrets) == len(answered)
    assert secrets.verify_audit().problems == ()


def test_the_files_of_a_ring_are_private_and_hold_no_value(secrets, tmp_path):
    secrets.set_secret("canary", "c4n4ry-v4lue")
    warm(secrets, "canary")
    for path in (tmp_path / "audit.log.rings").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"c4n4ry" not in path.read_bytes()
    assert (tmp_path / "audit.log.rings").stat().st_mode & 0o777 == 0o700


def test_logs_rotated_while_rings_are_drained_still_verify(open_hot, monkeypatch):
    secrets = open_hot(audit_max_bytes=20_000)
    monkeypatch.setattr(hot_ring, "Ring", lambda log, directory: Ring(log, directory, capacity=100))
    secrets.set_secret(NAME, "first")
    for _ in range(3000):
        secrets.get_secret(NAME)
    assert reads(secrets) == 3000
    report = secrets.verify_audit()
    assert report.problems == ()
    assert report.segments > 10


def test_a_store_without_ring_is_a_manager_without_ring(master_key, tmp_path):
    with strongroom.init("memory:", audit="memory:", sync="ring") as secrets:
        assert type(secrets) is strongroom.SecretsManager
    with strongroom.init(f"sqlite:{tmp_path}/s", audit=f"file:{tmp_path}/a.log") as secrets:
        assert type(secrets) is strongroom.SecretsManager


def test_a_process_that_only_reads_puts_checkpoints_into_the_store(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "LOOK_EVERY", 0.05)
    warm(secrets)
    store = secrets._access.engine.store
    secrets._access.audit._checkpoint_at = float("-inf")
    before = store.revision()
    for _ in range(1500):
        secrets.get_secret(NAME)
    wait_for(lambda: store.revision() > before)
    assert secrets.get_secret(NAME) == "first"
    assert secrets.verify_audit().problems == ()


def test_a_living_process_drains_what_a_killed_one_left(secrets, open_hot, tmp_path, monkeypatch):
    monkeypatch.setattr(hot_ring, "COLLECT_EVERY", 0.05)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(hot_ring, "TICK", 3600)
        for _ in range(50):
            secrets.get_secret(NAME)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert len(rings(tmp_path)) == 2
    warm(secrets)
    wait_for(lambda: len(rings(tmp_path)) == 2 and secrets._reads._ring.id in rings(tmp_path)[0])
    assert [event["pid"] for event in secrets.get_audit_logs(None, action="GET")].count(child) == 50


def test_where_threads_do_not_take_turns_nothing_is_kept(open_hot, monkeypatch):
    monkeypatch.setattr(hot, "_threads_take_turns", False)
    secrets = open_hot()
    secrets.set_secret(NAME, "first")
    for _ in range(5):
        assert secrets.get_secret(NAME) == "first"
    assert secrets._kept == {}


def test_a_ring_with_too_many_names_is_followed_by_another(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "NAMES_OF_A_RING", 3)
    for number in range(10):
        secrets.set_secret(f"n{number}", f"value {number}")
    for number in range(10):
        for _ in range(4):
            assert secrets.get_secret(f"n{number}") == f"value {number}"
    events = secrets.get_audit_logs(None, action="GET")
    assert len(events) == 40
    assert len({event["ring"].partition("-")[0] for event in events if "ring" in event}) > 2
    assert secrets.verify_audit().problems == ()


def test_values_beyond_the_room_are_not_kept(secrets, monkeypatch):
    monkeypatch.setattr(hot, "LARGEST", 100)
    monkeypatch.setattr(hot, "MOST", 3000)
    secrets.forget()
    secrets.set_secret("large", "x" * 101)
    for _ in range(4):
        assert secrets.get_secret("large") == "x" * 101
    assert secrets._kept == {}
    for number in range(50):
        secrets.set_secret(f"n{number}", "x" * 50)
        warm(secrets, f"n{number}") if number < 1 else [secrets.get_secret(f"n{number}") for _ in range(3)]
    assert len(secrets._kept) <= 12


def test_more_names_than_are_remembered_are_still_answered_and_on_record(secrets, monkeypatch):
    monkeypatch.setattr(hot, "MOST_NAMES", 2)
    names = [f"n{number}" for number in range(5)]
    for name in names:
        secrets.set_secret(name, name)
    for _ in range(3):
        assert [secrets.get_secret(name) for name in names] == names
    assert reads(secrets) == 15
    assert len(secrets._seen) <= 3
    warm(secrets)
