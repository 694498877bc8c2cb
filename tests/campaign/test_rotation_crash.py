"""SIGKILL of a rotating process against a real PostgreSQL: 12 random moments here, 504 in the campaign."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest

import strongroom
from integrations import server
from strongroom.records.data import decode_data
from strongroom.rotation.state import load

from . import kill, size
from .processes import result
from .rotation_application import accepts

KILLS = size(4, 168)
"""For each strategy."""
FIRST = "ALTER ROLE app_a PASSWORD 'first'; ALTER ROLE app_b PASSWORD NULL"
STRATEGIES = {
    "the role itself": "postgresql://{place}?role=app_a",
    "an administrator": "postgresql://postgres@{place}?role=app_a&admin_secret=pg/admin",
    "two roles": "postgresql://postgres@{place}?role=app_a&other=app_b&admin_secret=pg/admin",
}


@pytest.fixture(scope="module")
def postgresql():
    postgres = server.start()
    postgres.execute("CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN")
    yield postgres
    postgres.stop()


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    return request.param


@pytest.fixture
def secrets(postgresql, strategy, place, master_key):
    postgresql.execute(FIRST)
    manager = strongroom.init(f"sqlite:{place}/secrets.db", "env:SECRETS_MASTER_KEY", "memory:")
    with manager:
        first = {"username": "app_a", "password": "first"} if strategy == "two roles" else "first"
        manager.set_secrets({"A": first, "pg/admin": server.ADMIN})
        url = STRATEGIES[strategy].format(place=f"127.0.0.1:{postgresql.port}/postgres")
        manager.rotation.attach("A", url, grace=0)
        yield manager


def test_a_rotation_that_is_killed_locks_nobody_out(secrets, postgresql, strategy, start):
    generator, kills = random.Random(strategy), Counter()
    url, port = secrets._access.engine.store.url, postgresql.port
    application = start("rotation_application", url, port)
    assert application.stdout.readline() == b"logged in\n"
    lasts = min(time_of(url) for _ in range(3))
    for _ in range(KILLS):
        killed(url, "rotate", generator.uniform(0, 1.1 * lasts))
        step = secrets.rotation.status("A")[0].step
        kills[step] += 1
        check_nobody_is_locked_out(secrets, port, strategy)
        how = generator.choice(["resume", "abort"])
        if generator.random() < 0.3:
            killed(url, how, generator.uniform(0, lasts))
            check_nobody_is_locked_out(secrets, port, strategy)
        settle(secrets, how)
        check_source_and_store_agree(secrets, port)
    application.send_signal(signal.SIGTERM)
    report = result(application, timeout=60)
    print(f"{strategy}: killed {dict(kills)}, {report}")
    assert report["logins"] > 0
    if strategy == "two roles":
        assert report["lock-outs"] == 0
    assert sum(count for step, count in kills.items() if step != "idle") >= size(0, KILLS // 4), (
        f"kills hit nothing: {kills}"
    )
    assert secrets.verify().ok


def work(url, how, begin=lambda: None):
    with strongroom.open(url, audit="memory:") as manager:
        step = manager.rotation.status("A")[0].step
        begin()
        if how == "rotate":
            manager.rotation.rotate("A")
        elif how == "abort" and step not in ("idle", "promoted"):
            manager.rotation.abort("A")
        elif step != "idle":
            manager.rotation.resume("A")


def time_of(url):
    """Rotate, and return how many seconds that takes."""
    began = []
    work(url, "rotate", lambda: began.append(time.monotonic()))
    return time.monotonic() - began[0]


def killed(url, how, seconds):
    """Rotate, resume or abort in a process of its own, which is killed so long after it began."""
    kill.after(seconds, lambda pipe: work(url, how, lambda: os.write(pipe, b".")), first_word=True)


def settle(secrets, how):
    work(secrets._access.engine.store.url, how)
    assert secrets.rotation.status("A")[0].step == "idle"


def check_nobody_is_locked_out(secrets, port, strategy):
    """Two roles: what the store gives out is accepted at every moment. One role: that, or what is pending."""
    current = secrets.get_data("A")
    if accepts(port, current):
        return
    assert strategy != "two roles"
    with secrets._access.engine.view() as (view, unlocked):
        state = load(view, unlocked.records, "A")
    assert state is not None
    assert state.is_staged
    assert accepts(port, decode_data(state.data))


def check_source_and_store_agree(secrets, port):
    assert accepts(port, secrets.get_data("A"))
    for version in secrets.history("A")[:-1]:
        assert not accepts(port, secrets.get_data("A", version=version.version))
