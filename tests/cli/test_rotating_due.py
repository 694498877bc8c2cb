"""`rotate --due` as timers run it: on several hosts at once, each hour, with some secrets that fail."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli

NAMES = [f"S{number}" for number in range(10)]
COUNTS = """#!/bin/sh
cat > /dev/null
echo "$1" >> {directory}/steps
[ "$1" = create ] && echo '{{"value":"'$$-$(date +%N)'"}}'
exit 0
"""
Process = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def counts(safe_directory: Path) -> Path:
    """A rotator that writes down its steps; it is quicker to start than one in Python."""
    path = safe_directory / "counts"
    path.write_text(COUNTS.format(directory=safe_directory))
    path.chmod(0o755)
    return path


def attach(store: Cli, names: list[str], rotator: Path, *more: str) -> None:
    for name in names:
        store("set", name, stdin="x")
        done = store("rotate", name, "--attach", f"command:{rotator}", "--every", "1s", "--force", *more)
        assert done.code == 0, done.err
    time.sleep(1.1)


def versions(store: Cli) -> dict[str, int]:
    return {row["name"]: row["version"] for row in json.loads(store("rotate", "status", "--json").out)}


@pytest.mark.parametrize("grace", ["1h", "0s"])
def test_two_timers_rotate_ten_secrets_once_each(store: Cli, counts: Path, grace: str) -> None:
    attach(store, NAMES, counts, "--grace", grace)
    argv = [sys.executable, "-m", "strongroom", "rotate", "--due", "--wait", "0s"]
    both = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=-1, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert versions(store) == dict.fromkeys(NAMES, 2), said
    assert Counter((counts.parent / "steps").read_text().split())["create"] == 10
    assert sorted(line.split(":")[0] for text in said for line in text.splitlines() if ": version 2" in line) == NAMES
    assert not [line for text in said for line in text.splitlines() if line.startswith("strongroom:")], said


def test_a_timer_says_nothing_while_only_grace_times_run(store: Cli, counts: Path, process: Process) -> None:
    attach(store, NAMES[:3], counts, "--grace", "1h")
    first = process("rotate", "--due", "--wait", "0s")
    assert (first.returncode, first.stdout, first.stderr.count(b": version 2")) == (0, b"", 3)
    for name in NAMES[:3]:
        store("rotate", name, "--every", "30d")
    for _ in range(2):
        again = process("rotate", "--due", "--wait", "0s")
        assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    # Nothing else reports a failure either.
    assert "not finished" not in store("rotate", "status").err


@pytest.mark.parametrize("json_too", [False, True])
def test_one_that_fails_is_said_each_time_and_the_others_are_rotated(
    store: Cli, counts: Path, process: Process, json_too: bool
) -> None:
    broken = counts.parent / "broken"
    broken.write_text("#!/bin/sh\ncat > /dev/null\n[ $1 = create ] && exit 1 || exit 0\n")
    broken.chmod(0o755)
    attach(store, ["B"], broken)
    attach(store, ["A", "C"], counts, "--grace", "1h")
    more = ["--json"] if json_too else []
    done = process("rotate", "--due", "--wait", "0s", *more)
    assert done.returncode == 11
    assert b"'B' was not rotated, and nothing was changed" in done.stderr
    assert versions(store) == {"A": 2, "B": 1, "C": 2}
    if json_too:
        assert [row["name"] for row in json.loads(done.stdout)] == ["A", "C"]
    for name in ("A", "C"):
        store("rotate", name, "--every", "30d")
    again = process("rotate", "--due", "--wait", "0s")
    assert (again.returncode, len(again.stderr.splitlines())) == (11, 1)


def test_the_failure_of_a_source_outweighs_the_others(store: Cli, counts: Path, process: Process) -> None:
    """A rotator that is gone is exit code 2 by itself, and comes last here."""
    gone = counts.parent / "gone"
    gone.write_text("#!/bin/sh\n")
    gone.chmod(0o755)
    attach(store, ["B"], gone)
    gone.unlink()
    attach(store, ["A"], counts)
    counts.write_text("#!/bin/sh\ncat > /dev/null\nexit 1\n")
    done = process("rotate", "--due")
    assert done.returncode == 11
    assert len([line for line in done.stderr.splitlines() if line.startswith(b"strongroom: ")]) == 2
