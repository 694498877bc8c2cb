"""A process of `multiprocessing` that is not forked opens the store itself; what holds values or keys is refused."""

from __future__ import annotations

import multiprocessing

import pytest

import strongroom


@pytest.fixture(params=["spawn", "forkserver"])
def context(request):
    return multiprocessing.get_context(request.param)


@pytest.fixture
def place(tmp_path, master_key):
    """Return what a process needs to open the store; a fork server goes on with the environment it was started in."""
    (tmp_path / "master.key").write_text(master_key)
    (tmp_path / "master.key").chmod(0o600)
    return f"sqlite:{tmp_path}/secrets.db", f"file:{tmp_path}/master.key", f"file:{tmp_path}/audit.log"


@pytest.fixture
def manager(place):
    with strongroom.init(*place, actor="parent") as manager:
        manager.set_secret("A", "first")
        yield manager


def follow(place, connection):
    """Send the value when asked to, and each version that a callback is told of."""
    with strongroom.open(*place, actor="child") as secrets:
        handle = secrets.secret("A")
        handle.on_change(lambda changed: connection.send(("told", changed.seen)))
        connection.send(("watching", handle.version))
        while connection.recv() == "value":
            connection.send(("value", handle.value))


def test_a_process_that_opens_the_store_itself_gets_the_current_value_and_later_changes(manager, place, context):
    ours, theirs = context.Pipe()
    process = context.Process(target=follow, args=(place, theirs))
    process.start()
    theirs.close()

    def answer():
        assert ours.poll(60), "the process said nothing for 60 s"
        return ours.recv()

    assert answer() == ("watching", 1)
    for version, value in enumerate(["first", "second", "third"], 1):
        if version > 1:
            manager.set_secret("A", value)
            assert answer() == ("told", version)
        ours.send("value")
        assert answer() == ("value", value)
    ours.send("end")
    process.join(60)
    assert process.exitcode == 0
    reads = manager.get_audit_logs(limit=None, action="GET")
    assert {(event["actor"], event["pid"]) for event in reads} == {("child", process.pid)}
    assert {event["version"] for event in reads} == {1, 2, 3}
    assert manager.verify_audit().ok


@pytest.mark.parametrize(
    ("carried", "words"),
    [
        (lambda manager: manager.secret("A"), "a LiveSecret cannot be pickled: pass its name, and open the store"),
        (lambda manager: manager, "OpenedStore objects cannot be pickled: open the store in the other process"),
    ],
    ids=["handle", "manager"],
)
def test_what_holds_values_or_keys_is_refused_and_the_message_says_what_to_do(manager, context, carried, words):
    process = context.Process(target=print, args=(carried(manager),))
    with pytest.raises(TypeError, match=words):
        process.start()
    assert process.pid is None
