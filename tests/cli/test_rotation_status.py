"""`rotate status` and `doctor`: how a rotation stands, since when, who has switched, and what to do next."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.cli.output import Output

from .conftest import Cli
from .test_processes import STRONGROOM, terminal_session

LIVE = """
import sys, time, strongroom
handle = strongroom.open(service=sys.argv[1], instance=sys.argv[2]).secret("A")
if sys.argv[3] == "holds":
    handle.on_change(lambda changed: time.sleep(60))
else:
    handle.on_change(lambda changed: None)
print(handle.value, flush=True)
time.sleep(60)
"""


@contextmanager
def service(name: str, instance: str = "", how: str = "switches") -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", LIVE, name, instance, how], stdout=-1, text=True) as process:
        try:
            assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def attached(store: Cli, program: Path) -> Cli:
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", f"command:{program}", "--every", "30d", "--grace", "1h").code == 0
    return store


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch):
    """Let data go to a terminal from now on."""
    return lambda: monkeypatch.setattr(Output, "on_terminal", property(lambda self: True))


def test_status_names_those_that_switched_and_those_that_hold_on_by_their_own_names(attached: Cli, on_terminal) -> None:
    with service("shop", "shop-1") as first, service("shop", "shop-2", "holds") as second:
        attached("rotate", "A", "--wait", "2s")
        found = json.loads(attached("rotate", "status", "A", "--json").out)[0]
        on_terminal()
        page = attached("rotate", "status", "A").out
        table = attached("rotate", "status").out
    by_name = {row["instance"]: row for row in found["consumers"]}
    assert {name: (row["pid"], row["version"]) for name, row in by_name.items()} == {
        "shop-1": (first, 2), "shop-2": (second, 1),
    }  # fmt: skip
    assert [row["instance"] for row in found["laggards"]] == ["shop-2"]
    assert all(re.fullmatch(r"20\d\d-.*Z", row[field]) for row in by_name.values() for field in ("since", "heard"))
    assert found["next"].startswith("`strongroom rotate resume A` or --due retires version 1")
    assert re.search(rf"switched +shop \(pid {first} on shop-1, version 2 since .*\), last heard of \d+s ago", page)
    assert re.search(rf"held by +shop \(pid {second} on shop-2, version 1 .*has not switched, last heard of \d+s", page)
    assert re.search(r"begun +\d+s ago \(20", page)
    assert re.search(r"grace ends +in \d+m \(20", page)
    assert re.search(r"due +in \d+d \(20", page)
    assert re.match(r"NAME +STEP +VERSION +AGE +DUE +GRACE ENDS +LAGGARDS +ROTATOR\n", table)
    assert re.search(r"A +promoted +2 +\d+s +in \d+d +in \d+m +1 +command:", table)


def test_a_process_that_read_once_is_named_by_its_instance(attached: Cli, project: Path) -> None:
    code = "import strongroom, time; strongroom.open(service='cron').get_secret('A'); print(flush=True); time.sleep(60)"
    environ = {**os.environ, "STRONGROOM_INSTANCE": "cron-nightly-0"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True, env=environ) as reader:
        try:
            reader.stdout.readline()
            attached("rotate", "A", "--wait", "0s")
            said = attached("rotate", "status", "A").err
            found = json.loads(attached("rotate", "status", "A", "--json").out)[0]
        finally:
            reader.kill()
    assert f"cron (pid {reader.pid} on cron-nightly-0, read version 1 at " in said
    assert [holder["instance"] for holder in found["holders"] if not holder["handed_out"]] == ["cron-nightly-0"]
    assert attached("audit", "verify").code == 0
    events = [json.loads(line) for line in attached("audit", "log", "--json").out.splitlines()]
    assert {event["instance"] for event in events if event["service"] == "cron"} == {"cron-nightly-0"}


@pytest.mark.parametrize("name", ["two\nlines", "a;b", "x" * 201, "$(id)"])
def test_the_name_of_an_instance_has_a_safe_alphabet(store: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("STRONGROOM_INSTANCE", name)
    result = store("list")
    assert (result.code, "instance is " in result.err) == (2, True)


@pytest.mark.parametrize(
    ("fails", "said", "mend"),
    [
        ("create", "create ended with exit code 1", "rotate check A"),
        ("set", "set ended with exit code 1", "rotate resume A"),
        ("test", "test ended with exit code 1", "rotate abort A"),
    ],
)
def test_status_and_doctor_say_why_when_and_what_to_do(
    attached: Cli, project: Path, on_terminal, fails: str, said: str, mend: str
) -> None:
    (project / "fails").write_text(fails)
    assert attached("rotate", "A").code == 11
    found = json.loads(attached("rotate", "status", "A", "--json").out)[0]
    assert said in found["reason"]
    assert found["failed"].startswith("20")
    assert f"`strongroom {mend}`" in found["next"]
    assert said in attached("rotate", "status").out
    result = attached("doctor")
    assert result.code == 1
    line = next(line for line in result.out.splitlines() if "the rotation of 'A'" in line)
    assert line.startswith("FAIL")
    assert re.search(r"\d+s ago", line)
    assert said in line
    assert f"`strongroom {mend}`" in line
    on_terminal()
    assert re.search(rf"failed +\d+s ago \(20.*: .*{said}", attached("rotate", "status", "A").out)


def findings(cli: Cli) -> dict[str, str]:
    """Return what and state of the findings on rotations."""
    rows = json.loads(cli("doctor", "--json").out)
    return {row["what"]: row["state"] for row in rows if re.search("rotation|grace time|'A'", row["what"])}


def test_doctor_is_content_with_what_is_in_order_and_silent_where_nothing_is_rotated(attached: Cli) -> None:
    assert findings(attached) == {"1 secret with a rotator: no rotation is overdue, failed or half done": "ok"}
    attached("rotate", "A", "--wait", "0s")
    assert list(findings(attached).values()) == ["ok"]
    attached("rotate", "retire", "A", "--force")
    attached("rotate", "A", "--detach")
    assert findings(attached) == {}


def test_doctor_names_what_is_overdue(attached: Cli, program: Path) -> None:
    attached("set", "B", stdin="x")
    for name, every in (("A", "1s"), ("B", "30d")):
        attached("rotate", name, "--attach", f"command:{program}", "--every", every, "--grace", "1h")
    time.sleep(1.2)
    [(what, state)] = findings(attached).items()
    assert re.fullmatch(r"the rotation of 'A' is overdue: it was due \d+s ago", what)
    assert state == "FAIL"
    result = attached("doctor")
    assert (result.code, "`strongroom rotate --due`, which a timer runs" in result.out) == (1, True)
    assert attached("rotate", "--due", "--wait", "0s").code == 0
    assert all(state == "ok" for state in findings(attached).values())


def test_doctor_leaves_the_timer_its_time(attached: Cli, program: Path) -> None:
    attached("rotate", "A", "--attach", f"command:{program}", "--every", "1m", "--grace", "2s")
    attached("rotate", "A", "--wait", "0s")
    time.sleep(2.05)
    [(what, state)] = findings(attached).items()
    assert "the grace time of 'A' ended" in what
    assert state in ("warn", "FAIL")
    assert attached("rotate", "resume", "A").code == 0


def test_doctor_names_a_source_that_was_not_told(attached: Cli) -> None:
    attached("set", "A", stdin="by hand")
    [(what, state)] = findings(attached).items()
    assert (state, "its source was not told" in what) == ("warn", True)


def test_doctor_judges_the_hook(attached: Cli, safe_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = safe_directory / "hook"
    monkeypatch.setenv("STRONGROOM_ROTATION_HOOK", f"command:{hook}")
    assert findings(attached)["the rotation hook (command:) cannot be used"] == "FAIL"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    assert findings(attached)["the rotation hook (command:) can be used"] == "ok"


def test_at_a_real_terminal_one_rotation_is_a_page(attached: Cli) -> None:
    attached("rotate", "A", "--wait", "0s")
    code, screen = terminal_session([*STRONGROOM, "rotate", "status", "A"], [])
    lines = screen.decode().splitlines()
    assert code == 0
    assert lines[0] == "A: promoted"
    assert [line.split()[0] for line in lines[1:5]] == ["rotator", "version", "previous", "begun"]
    assert lines[-1].startswith("  next        `strongroom rotate resume A` or --due retires version 1")
