"""The platform of the example under load: its database password is rotated again and again, and nobody notices."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from . import LONG, size

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "platform"))

pytest.importorskip("psycopg_pool", reason="the services of the example hold pools of psycopg_pool")

import postgres
import rotating
from loading import Load
from running import PATIENCE, WITH_POOLS, Platform
from tour import User

from strongroom import ConflictError

ROTATIONS = size(3, 100)
RATE = size(600, 700)
AT_LEAST = 500
"""Requests a second, over the three services together, that the long form needs to count."""
GRACE = size(6, 30)
STOPPED = "diagram-service"


@pytest.fixture
def platform(master_key):
    try:
        with Platform() as platform:
            yield platform
    except postgres.NotAvailable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def load(platform):
    user = User(platform)
    with Load(platform, user.token, user.use_it(), RATE) as load:
        time.sleep(1)
        yield load


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {PATIENCE:g} s"
        time.sleep(0.02)


def nothing_failed(platform, load):
    """Look at what the load has counted, and at the processes; the load ends here."""
    counts = load.end()
    print(f"\n{counts.requests} requests in {counts.seconds:.0f} s, {counts.rate:.0f} a second, {counts.failed} failed")
    assert (counts.failed, counts.failures) == (0, [])
    assert platform.restarts() == []
    return counts


def complaints(platform):
    return {name: said for name in platform.processes if (said := platform.log_of(name))}


@pytest.mark.parametrize("roles", [("platform_a", "platform_b"), ("platform_a",)], ids=["two roles", "one role"])
def test_rotations_under_load_fail_no_request_and_restart_no_service(platform, load, roles):
    rotating.attach(platform, grace=60, roles=roles)
    for version in range(2, ROTATIONS + 2):
        assert rotating.rotate(platform).version == version
        assert rotating.step(platform) == "idle", f"version {version - 1} is not retired"
        assert rotating.held(platform) == dict.fromkeys(WITH_POOLS, version)
        role = rotating.role(platform, version)
        wait_until(lambda role=role: rotating.roles_in_use(platform) == {role})
        assert rotating.accepts(platform, version)
        assert not rotating.accepts(platform, version - 1)
    counts = nothing_failed(platform, load)
    assert counts.requests > 0
    # With one role a new connection may meet the moment between source and store; its pool says so, and tries again.
    assert len(roles) == 1 or complaints(platform) == {}
    assert not LONG or counts.rate >= AT_LEAST
    assert platform.store.verify_audit().ok
    assert rotating.steps_on_record(platform) == [*rotating.STEPS] * ROTATIONS


def test_a_stopped_service_is_named_and_nothing_is_retired_before_its_grace_time(platform, load):
    rotating.attach(platform, grace=GRACE)
    platform.processes[STOPPED].send_signal(signal.SIGSTOP)
    try:
        rotating.rotate(platform, wait=1)
        ends = platform.store.rotation.status(rotating.NAME)[0].grace_ends
        assert rotating.step(platform) == "promoted"
        assert rotating.laggards(platform) == [STOPPED]
        while time.time() < ends - 0.5:
            with pytest.raises(ConflictError, match=STOPPED):
                platform.store.rotation.retire(rotating.NAME)
            assert rotating.accepts(platform, 1), "retired while a process holds it, before the grace time ended"
            time.sleep(0.2)
        platform.store.rotation.resume(rotating.NAME, wait=2 * GRACE)
        assert time.time() >= ends
        assert rotating.step(platform) == "idle"
        assert not rotating.accepts(platform, 1)
    finally:
        platform.processes[STOPPED].send_signal(signal.SIGCONT)
    time.sleep(2)
    nothing_failed(platform, load)
    assert complaints(platform) == {}
    assert rotating.held(platform)[STOPPED] == 2
    assert platform.store.verify_audit().ok
    assert rotating.steps_on_record(platform) == [*rotating.STEPS]


def test_a_service_that_goes_on_within_the_grace_time_ends_it(platform, load):
    rotating.attach(platform, grace=3600)
    platform.processes[STOPPED].send_signal(signal.SIGSTOP)
    try:
        rotating.rotate(platform, wait=1)
        assert rotating.laggards(platform) == [STOPPED]
    finally:
        platform.processes[STOPPED].send_signal(signal.SIGCONT)
    platform.store.rotation.resume(rotating.NAME, wait=60)
    assert rotating.step(platform) == "idle"
    assert not rotating.accepts(platform, 1)
    nothing_failed(platform, load)
