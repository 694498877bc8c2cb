"""Commands for many secrets wait for their consumers once, and not for each of them in turn."""

from __future__ import annotations

import json

import pytest

from strongroom.rotation.clock import SystemClock
from strongroom.testing.rotators import VirtualClock

from .conftest import Cli

NAMES = [f"S{number:02}" for number in range(20)]


class Counting(VirtualClock):
    slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        super().sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What all rotations go by."""
    clock = Counting()
    monkeypatch.setattr(SystemClock, "now", lambda self: clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: clock.sleep(seconds))
    return clock


@pytest.fixture
def many(store: Cli, clock: Counting) -> Cli:
    """Twenty secrets without consumers, whose source keeps the previous value for an hour."""
    for name in NAMES:
        store("set", name, stdin="x")
        assert store("rotate", name, "--attach", "generate:", "--every", "1s", "--grace", "1h").code == 0
    return store


def steps(store: Cli) -> dict[str, tuple[str, int]]:
    rows = json.loads(store("rotate", "status", "--json").out)
    return {row["name"]: (row["step"], row["version"]) for row in rows}


@pytest.mark.parametrize("command", ["--due", "--all"])
def test_twenty_secrets_wait_as_long_as_one(many: Cli, clock: Counting, command: str) -> None:
    done = many("rotate", command)
    assert done.code == 0, done.err
    assert steps(many) == dict.fromkeys(NAMES, ("promoted", 2))
    assert clock.slept < 2
    assert done.err.count("stays valid for processes without a live handle") == 20


def test_what_is_resumed_together_waits_together(many: Cli, clock: Counting) -> None:
    many("rotate", "--all", "--wait", "0s")
    clock.slept = 0
    assert many("rotate", "resume").code == 0
    assert clock.slept < 2
    clock.time += 3601
    assert many("rotate", "resume").code == 0
    assert steps(many) == dict.fromkeys(NAMES, ("idle", 2))
