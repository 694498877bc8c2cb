"""What `create` makes at a source is asked for once, and used or removed: nobody pays for keys that nobody knows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import strongroom
from strongroom.errors import AuditError, ConflictError, RotationError, SecretNotFoundError, SourceRefusedError
from strongroom.rotation.rotation import Rotation

from .vendor import Vendor


@pytest.fixture
def vendor(tmp_path):
    return Vendor(tmp_path / "vendor")


@pytest.fixture(params=["attached", "an object"])
def rotate(request, secrets, vendor, clock):
    """Rotate by the attached rotator, or by one that the caller holds."""
    rotation = Rotation(secrets._access, lambda url, read: vendor, 10, clock=clock, timeout=5)
    if request.param == "attached":
        rotation.attach("A", "vendor:")

    def rotate(**more):
        return rotation.rotate("A", None if request.param == "attached" else vendor, wait=0, **more)

    rotate.rotation, rotate.rotator = rotation, None if request.param == "attached" else vendor
    return rotate


def finish(rotate, clock):
    if rotate.rotation.status("A")[0].step != "idle":
        clock.time += 3601
        rotate.rotation.resume("A", rotate.rotator)


def nothing_is_left(rotate, secrets, vendor):
    """The vendor has the current key alone, and the store no rotation."""
    assert set(vendor.keys) <= {secrets.get_secret("A")}
    assert rotate.rotation.status("A")[0].step == "idle"
    if rotate.rotator is not None:
        assert secrets._access.engine.store.scan("rotation/") == []


def test_a_rotator_is_told_of_the_rotation_before_each_of_its_steps(rotate, vendor, clock):
    rotate()
    (rotation_id,) = vendor.asked
    assert vendor.told[-2:] == [("A", ""), ("A", rotation_id)]
    finish(rotate, clock)
    assert vendor.told[-1] == ("A", rotation_id)
    rotate()
    assert vendor.asked[1] != rotation_id
    assert [length for length in map(len, vendor.asked) if length < 16] == []


@pytest.mark.parametrize("step", ["set", "test"])
@pytest.mark.parametrize("how", ["resume", "abort"])
def test_a_rotation_that_is_resumed_or_aborted_keeps_its_id(rotate, secrets, vendor, clock, step, how):
    vendor.faults[step] = ConnectionError()
    with pytest.raises(RotationError):
        rotate()
    vendor.told.clear()
    getattr(rotate.rotation, how)("A", rotate.rotator)
    assert vendor.told == [("A", vendor.asked[0])]
    assert len(vendor.asked) == 1
    finish(rotate, clock)
    nothing_is_left(rotate, secrets, vendor)


def test_a_create_whose_answer_is_lost_is_asked_again_with_the_same_id(rotate, secrets, vendor, clock):
    vendor.faults["create"] = ConnectionError()
    with pytest.raises(RotationError, match="nothing was changed"):
        rotate()
    rotate()
    assert vendor.asked[0] == vendor.asked[1]
    assert vendor.keys == [secrets.get_secret("A")]
    finish(rotate, clock)
    nothing_is_left(rotate, secrets, vendor)
    rotate()
    assert vendor.asked[2] != vendor.asked[0]


def test_an_id_that_was_asked_for_is_kept_for_what_create_made_when_an_operator_gives_a_value(rotate, vendor, clock):
    vendor.faults["create"] = ConnectionError()
    with pytest.raises(RotationError):
        rotate()
    rotate(new_value="mine")
    assert vendor.told[-1][1] != vendor.asked[0]
    finish(rotate, clock)
    rotate()
    assert vendor.asked[1] == vendor.asked[0]


WRONG = [{"other": "x"}, {"value": ""}, {"value": 7}, {"value": "x", "user": "y"}]


@pytest.mark.parametrize("answer", WRONG)
def test_what_is_of_another_shape_is_removed(rotate, secrets, vendor, answer, monkeypatch):
    create = vendor.create
    removed = []
    monkeypatch.setattr(vendor, "create", lambda current: create(current) and answer)
    monkeypatch.setattr(vendor, "discard", lambda created, current: removed.append((created, current)))
    with pytest.raises(RotationError, match="nothing was changed"):
        rotate()
    assert removed == [(answer, {"value": "first"})]
    with pytest.raises(RotationError):
        rotate()
    assert vendor.asked[0] != vendor.asked[1], "what the first id was for is gone"


@pytest.mark.parametrize("how", ["written", "deleted", "rotated"])
def test_what_lost_to_a_writer_is_removed(rotate, secrets, vendor, how, tmp_path):
    create = vendor.create

    def change(current):
        made = create(current)
        if how == "written":
            secrets.set_secret("A", "mine")
        elif how == "deleted":
            secrets.delete_secret("A")
        else:
            with pytest.raises(ConflictError, match="is rotating 'A' now"):
                rotate()
            secrets.set_secret("A", "mine")
        return made

    vendor.create = change
    with pytest.raises(SecretNotFoundError if how == "deleted" else ConflictError):
        rotate()
    assert vendor.keys == []
    assert len(vendor.asked) == 1


def test_what_its_source_refuses_to_take_is_removed(rotate, secrets, vendor, clock):
    vendor.faults["set"] = SourceRefusedError("the vendor wants longer keys")
    with pytest.raises(SourceRefusedError, match=r"nothing was changed: the vendor wants longer keys$"):
        rotate()
    assert vendor.keys == []
    nothing_is_left(rotate, secrets, vendor)
    rotate()
    assert vendor.asked[0] != vendor.asked[1]


@pytest.mark.parametrize("when", ["written", "refused"])
def test_what_cannot_be_removed_is_said_and_taken_up_by_the_next_rotation(rotate, secrets, vendor, events, when, clock):
    vendor.faults["discard"] = ConnectionError()
    create = vendor.create
    if when == "refused":
        vendor.faults["set"] = SourceRefusedError("not now")
    else:
        vendor.create = lambda current: secrets.set_secret("A", "first") and create(current)
    said = r"What its create\(\) made was not removed \(the rotator raised ConnectionError\); the next rotation takes"
    with pytest.raises((SourceRefusedError, ConflictError), match=said):
        rotate()
    assert ("ROTATE", "A", "failed", RotationError.code, None) in events(secrets)
    assert len(vendor.keys) == 1
    vendor.create = create
    rotate()
    assert vendor.asked[0] == vendor.asked[1]
    finish(rotate, clock)
    nothing_is_left(rotate, secrets, vendor)


def test_a_write_with_another_version_in_mind_does_not_ask_create(rotate, secrets, vendor):
    with pytest.raises(ConflictError, match="cas=7"):
        rotate(cas=7)
    assert vendor.asked == []


def test_a_pending_value_whose_event_failed_is_not_removed(rotate, secrets, vendor, monkeypatch, clock):
    log = secrets._access.audit
    record = log.record

    def full(action, name, outcome, *, stage=None, **more):
        if (outcome, stage) == ("ok", "pending"):
            raise AuditError("disk full")
        return record(action, name, outcome, stage=stage, **more)

    with monkeypatch.context() as patch:
        patch.setattr(log, "record", full)
        with pytest.raises(AuditError):
            rotate()
    rotate.rotation.resume("A", rotate.rotator, wait=0)
    assert vendor.keys == [secrets.get_secret("A")]
    assert len(vendor.asked) == 1


def test_an_abort_refuses_the_key_and_does_not_remove_it_twice(rotate, secrets, vendor):
    vendor.faults["test"] = ConnectionError()
    with pytest.raises(RotationError):
        rotate()
    vendor.discard = None
    rotate.rotation.abort("A", rotate.rotator)
    nothing_is_left(rotate, secrets, vendor)


def test_a_rotator_is_not_detached_or_changed_while_create_is_asked(secrets, vendor, clock):
    others = Vendor(vendor.path)
    others.users = "others"
    rotation = Rotation(secrets._access, lambda url, read: vendor if url == "vendor:" else others, 10, clock=clock)
    rotation.attach("A", "vendor:")
    create = vendor.create

    def change(current):
        for force in (False, True):
            with pytest.raises(ConflictError, match=r"being rotated \(it begins\)"):
                rotation.detach("A", force=force)
        with pytest.raises(ConflictError, match="being rotated by another rotator"):
            rotation.attach("A", "another:")
        rotation.attach("A", "vendor:", every=60)
        return create(current)

    vendor.create = change
    rotation.rotate("A", wait=0)
    assert rotation.status("A")[0].rotator == "vendor:"


# Processes that are killed, and several at once

PROCESS = """
import sys
import strongroom
from pathlib import Path
from strongroom.rotation.rotation import Rotation
from rotation.vendor import Vendor
url, path = sys.argv[1:]
with strongroom.open(url, audit="memory:") as secrets:
    rotation = Rotation(secrets._access, lambda url, read: Vendor(Path(path)), 10)
    (version,) = [s.version for s in rotation.status() if s.name in rotation.due()]
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        rotation.rotate("A", cas=version, wait=0)
        print("made")
    except strongroom.ConflictError as error:
        print("refused")
"""


@pytest.fixture
def stored(make_manager, vendor):
    """A secret in a store that other processes share, whose rotator is attached and due."""
    manager = make_manager("sqlite")
    manager.set_secret("A", "first")
    rotation = Rotation(manager._access, lambda url, read: vendor, 10)
    rotation.attach("A", "vendor:", every=0)
    return manager


@pytest.mark.parametrize("moment", ["before the key is made", "after it"])
def test_a_process_that_dies_in_create_leaves_the_id_to_the_next(stored, vendor, moment):
    url = stored._access.engine.store.url
    pid = os.fork()
    if not pid:
        create = vendor.create

        def die(current):
            if moment == "after it":
                create(current)
            os.kill(os.getpid(), signal.SIGKILL)

        vendor.create = die
        with strongroom.open(url, audit="memory:") as manager:
            Rotation(manager._access, lambda url, read: vendor, 10).rotate("A")
    os.waitpid(pid, 0)
    rotation = Rotation(stored._access, lambda url, read: vendor, 10)
    assert rotation.due() == ["A"]
    rotation.rotate("A", wait=0)
    assert len(set(vendor.asked)) == 1
    assert vendor.keys == [stored.get_secret("A")]


@pytest.mark.parametrize("how", ["killed", "stopped by Ctrl-C"])
def test_a_rotation_that_ended_between_create_and_its_record_loses_no_key(stored, vendor, how, monkeypatch):
    from strongroom.rotation import steps

    url = stored._access.engine.store.url
    pid = os.fork()
    if not pid:

        def end(*_):
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt

        steps.begin = end
        try:
            with strongroom.open(url, audit="memory:") as manager:
                Rotation(manager._access, lambda url, read: vendor, 10).rotate("A")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert len(vendor.keys) == 1
    Rotation(stored._access, lambda url, read: vendor, 10).rotate("A", wait=0)
    assert len(set(vendor.asked)) == 1
    assert vendor.keys == [stored.get_secret("A")]


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("moment", ["in", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_no_key_is_lost_whichever_transaction_a_process_dies_at(stored, vendor, number, moment, how):
    """Claimed, pending, set, tested, promoted, retired."""
    from strongroom.access.access import Access

    vendor.grace = 0.0
    url = stored._access.engine.store.url
    pid = os.fork()
    if not pid:
        change, stages = Access.change, []

        def counted(access, action, capability, name, step, *, stage=None):
            stages.append(stage)

            def dies(inside):
                result = step(inside)
                if moment == "in" and len(stages) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            result = change(access, action, capability, name, dies, stage=stage)
            if len(stages) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        Access.change = counted
        try:
            with strongroom.open(url, audit="memory:") as manager:
                Rotation(manager._access, lambda url, read: vendor, 10).rotate("A")
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    rotation = Rotation(stored._access, lambda url, read: vendor, 10)
    status = rotation.status("A")[0]
    if status.step == "promoted":
        rotation.retire("A", force=True)
    elif status.step != "idle":
        getattr(rotation, how)("A")
    assert rotation.status("A")[0].step == "idle"
    if how == "abort" and status.step in ("pending", "set", "tested"):
        assert vendor.keys == []
    rotation.rotate("A")
    assert vendor.keys == [stored.get_secret("A")] == vendor.read()["accepted"]


def test_processes_that_find_it_due_at_once_ask_create_once(stored, vendor):
    url = stored._access.engine.store.url
    tests = os.path.dirname(os.path.dirname(__file__))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, url, str(vendor.path)], stdin=-1, stdout=-1, text=True,
            env=os.environ | {"PYTHONPATH": tests},
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].strip() for process in processes)
    assert said == ["made", "refused", "refused", "refused"]
    assert len(vendor.asked) == 1
    assert [version.version for version in stored.history("A")] == [1, 2]
    assert vendor.keys == [stored.get_secret("A")]
