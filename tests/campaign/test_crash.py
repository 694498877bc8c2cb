"""SIGKILL while a process sets, rotates, imports, destroys and rekeys: 200 kills here, 5,000 in the campaign."""

from __future__ import annotations

import pytest

import strongroom

from . import KINDS, kill, size
from .crash_model import KEYS
from .processes import result

KILLS = size(50, 1_250)
"""For each store and each way to kill."""


@pytest.fixture(autouse=True)
def keys(master_key, monkeypatch):
    for name in KEYS:
        monkeypatch.setenv(name, strongroom.generate_master_key())


@pytest.mark.parametrize("how", ["time", "syscall"])
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_kill_the_store_holds_what_was_acknowledged_and_nothing_half_done(kind, how, place, start):
    if how == "syscall" and not kill.can_trace():
        pytest.skip("this machine does not let a process trace its child (ptrace)")
    report = result(start("crash_driver", kind, how, place, KILLS, 1), timeout=size(120, 3_600))
    assert report["kills"] == KILLS
    in_the_middle = {name: count for name, count in report["during"].items() if name != "between"}
    assert sum(in_the_middle.values()) > KILLS / 3, f"too few kills hit an operation: {report}"


@pytest.mark.parametrize("kind", KINDS)
def test_after_init_is_killed_at_any_system_call_it_works_again_or_the_store_opens(kind, place, start):
    if not kill.can_trace():
        pytest.skip("this machine does not let a process trace its child (ptrace)")
    ends = result(start("init_driver", kind, place, size(13, 1)), timeout=size(120, 600))
    assert ends["made"] > 0, "no kill came before the store was there"
    assert ends["opened"] > 0, "no kill came after the store was there"
