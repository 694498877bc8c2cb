"""`rotate` with rotators: attach, due, status, resume, abort, retire."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .conftest import Cli

PROGRAM = f"""#!{sys.executable}
import json, os, sys
json.load(sys.stdin)
if sys.argv[1] == "create":
    print(json.dumps({{"value": os.urandom(8).hex()}}))
sys.exit(sys.argv[1] in open("{{place}}").read())
"""


@pytest.fixture
def program(project: Path) -> Path:
    """A rotator whose steps that are written in the file `fails` fail."""
    path = project / "rotator"
    path.write_text(PROGRAM.replace("{place}", str(project / "fails")))
    path.chmod(0o755)
    (project / "fails").write_text("")
    return path


def step(store: Cli) -> str:
    return json.loads(store("rotate", "status", "A", "--json").out)[0]["step"]


def test_an_attached_secret_is_rotated_at_its_source_and_waits_for_its_grace_time(store: Cli, program: Path) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", f"command:{program}", "--every", "30d", "--grace", "1h").code == 0
    assert store("get", "A").out == "x\n"
    result = store("rotate", "A", "--wait", "0s")
    assert (result.code, result.out) == (0, "")
    assert "the previous value stays valid until 20" in result.err
    status = json.loads(store("rotate", "status", "--json").out)[0]
    assert (status["name"], status["step"], status["version"], status["every"]) == ("A", "promoted", 2, 30 * 86400)
    assert status["due"].startswith("20")
    assert store("rotate", "A").code == 7
    assert store("rotate", "retire", "A").code == 7
    assert store("rotate", "retire", "A", "--force").code == 0
    assert step(store) == "idle"
    assert "A\tidle\t2\t" in store("rotate", "status").out


def test_a_rotator_that_fails_exits_with_11_and_is_resumed_or_aborted(store: Cli, program: Path, project: Path) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}", "--grace", "0s")
    (project / "fails").write_text("test")
    result = store("rotate", "A")
    assert result.code == 11
    assert "rotate resume A" in result.err
    assert store("get", "A").out == "x\n"
    assert store("rotate", "resume").code == 11
    (project / "fails").write_text("")
    assert store("rotate", "abort", "A").code == 0
    assert store("rotate", "--all").code == 0
    assert store("history", "A").out.count("\n") == 2


def test_due_rotates_what_is_due_and_finishes_what_was_left(store: Cli, program: Path, project: Path) -> None:
    for name, every in (("A", "0s"), ("B", "30d"), ("C", "30d")):
        store("set", name, stdin="x")
        store("rotate", name, "--attach", f"command:{program}", "--every", every, "--grace", "0s")
    (project / "fails").write_text("set")
    assert store("rotate", "C").code == 11
    (project / "fails").write_text("")
    assert store("rotate", "--due").code == 0
    assert [status["version"] for status in json.loads(store("rotate", "status", "--json").out)] == [2, 1, 2]


def test_detach_leaves_a_plain_secret(store: Cli) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", "generate:length=12")
    store("rotate", "A")
    assert len(store("get", "A").out) == 13
    store("rotate", "A", "--detach")
    assert store("rotate", "status").out == ""
    store("rotate", "A")
    assert len(store("get", "A").out) == 33


@pytest.mark.parametrize(
    "words",
    [(), ("--due", "A"), ("abort",), ("A", "--attach", "nothing:"), ("A", "--attach", "generate:", "--every", "soon")],
)
def test_what_cannot_be_is_refused(store: Cli, words: tuple[str, ...]) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", *words).code in (2, 3)
    assert store("rotate", "status").out == ""
