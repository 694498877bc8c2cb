"""The ring of a process, with `sync = "ring"`: who shares it, its thread, and what comes of it in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom import hot, hot_ring
from strongroom.audit.ring import Ring
from strongroom.errors import AuditError

from .reading import NAME, reads, wait_for


def read(secrets, count: int = 3) -> None:
    """Read; from the third time on it is kept."""
    for _ in range(count):
        assert secrets.get_secret(NAME) == "first"


def rings(tmp_path: Path) -> list[str]:
    folder = tmp_path / "audit.log.rings"
    return sorted(path.suffix for path in folder.iterdir()) if folder.is_dir() else []


def test_managers_of_several_actors_share_one_ring(secrets, tmp_path):
    for manager in (secrets, secrets.bind("bob"), secrets.bind("carol")):
        read(manager)
    assert rings(tmp_path) == [".names", ".ring"]


def test_a_bound_manager_keeps_as_many_versions_and_has_the_rotators_of_the_first(open_hot):
    bob = open_hot(max_versions=2).bind("bob")
    for value in ("one", "two", "three"):
        bob.set_secret(NAME, value)
    assert [info.version for info in bob.history(NAME)] == [2, 3]
    bob.rotation.attach(NAME, "generate:")
    assert bob.rotate_secret(NAME).version == 4


def test_closing_ends_the_thread_which_keeps_no_program_from_ending(secrets):
    read(secrets)
    thread = secrets._reads._thread
    assert (thread.name, thread.daemon, thread.is_alive()) == ("strongroom-ring", True, True)
    secrets.close()
    assert not thread.is_alive()
    assert secrets._reads.ring() is None


@pytest.mark.parametrize("error", [OSError("no such device"), ValueError("closed")])
def test_the_log_is_shown_whole_where_the_ring_refuses_to_be_drained_by_its_own_process(secrets, monkeypatch, error):
    def fail(*_, **more):
        raise error

    read(secrets, 10)
    with monkeypatch.context() as patch:
        patch.setattr(Ring, "drain", fail)
        # Then its files are drained, as those of others are.
        assert reads(secrets) == 10


# It may be the thread that finds out, and pytest warns of what escapes from one.
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [AuditError("the disk is full"), OSError("no such device")])
def test_what_cannot_be_written_at_the_end_is_left_to_the_next_process(secrets, open_hot, tmp_path, monkeypatch, error):
    def fail(*_, **more):
        raise error

    read(secrets, 10)
    with monkeypatch.context() as patch:
        patch.setattr(hot_ring, "TICK", 3600)
        patch.setattr("strongroom.audit.ring.drain", fail)
        secrets.close()
    assert rings(tmp_path) == [".names", ".ring"]
    assert reads(open_hot()) == 10


@pytest.mark.parametrize("before", ["read", "unread", "closed"])
def test_a_child_of_fork_takes_no_ring_along(secrets, tmp_path, before):
    if before != "unread":
        read(secrets)
    if before == "closed":
        secrets.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if secrets._reads._ring is None and (secrets._reads.ring() is None) == (before == "closed") else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("error", [OSError("no room"), ValueError("cannot be mapped")])
def test_a_ring_that_cannot_be_made_is_tried_again_after_a_while(secrets, monkeypatch, error):
    tried = []

    def refuse(*_):
        tried.append(True)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(hot_ring, "Ring", refuse)
        read(secrets, 20)
        assert len(tried) == 1
    assert secrets._kept == {}
    secrets._reads._try_at -= hot_ring.COLLECT_EVERY
    read(secrets)
    assert NAME in secrets._kept


def test_what_cannot_be_named_in_the_ring_is_answered_and_on_record_without_it(secrets, monkeypatch):
    def refuse(*_):
        raise OSError("no room for a name")

    monkeypatch.setattr(Ring, "token", refuse)
    read(secrets, 5)
    assert secrets._kept == {}
    assert reads(secrets) == 5


def test_where_the_store_has_no_counter_nothing_is_kept_and_the_thread_goes_on(secrets, monkeypatch):
    monkeypatch.setattr(hot_ring, "TICK", 0.01)
    monkeypatch.setattr(hot_ring, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(type(secrets._access.engine.store), "commits", lambda self: None)
    read(secrets, 5)
    assert secrets._kept == {}
    secrets._reads._closed.wait(0.1)
    assert secrets._reads._thread.is_alive()


@pytest.mark.parametrize("error", [AuditError("the disk is full"), OSError("no such device")])
def test_the_thread_drains_again_after_a_failure(secrets, monkeypatch, error):
    failed, sink = [], secrets._access.audit.sink

    def fail(*_, **more):
        failed.append(True)
        raise error

    monkeypatch.setattr(hot_ring, "TICK", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr("strongroom.audit.ring.drain", fail)
        read(secrets, 10)
        wait_for(lambda: len(failed) > 1)
    wait_for(lambda: sum(b'"action":"GET"' in line.text for line in sink.lines()) == 10)


def test_a_large_value_takes_as_much_of_the_room_as_it_has_bytes(secrets, monkeypatch):
    monkeypatch.setattr(hot, "MOST", 1000)
    secrets.forget()
    for number in range(3):
        secrets.set_secret(f"n{number}", "x" * 400)
    for _ in range(3):
        kept = [secrets.get_secret(f"n{number}") and len(secrets._kept) for number in range(3)]
    assert max(kept) == 1


def test_when_the_program_ends_every_ring_is_drained(secrets, tmp_path):
    read(secrets, 10)
    hot_ring._at_exit()
    assert rings(tmp_path) == []
    assert reads(secrets) == 10


PROGRAM = """
import sys, strongroom
secrets = strongroom.open(sys.argv[1], audit=sys.argv[2], sync="ring")
for _ in range(100):
    secrets.get_secret("shop/db")
"""


def test_a_program_that_ends_without_closing_leaves_no_ring_and_all_its_reads_on_record(secrets, tmp_path):
    given = (f"sqlite:{tmp_path}/store.db", f"file:{tmp_path}/audit.log")
    subprocess.run([sys.executable, "-c", PROGRAM, *given], check=True)
    assert rings(tmp_path) == []
    assert reads(secrets) == 100
