"""`rotate` with rotators: attach, due, status, resume, abort, retire."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Cli


def step(store: Cli) -> str:
    return json.loads(store("rotate", "status", "A", "--json").out)[0]["step"]


def test_an_attached_secret_is_rotated_at_its_source_and_waits_for_its_grace_time(store: Cli, program: Path) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", f"command:{program}", "--every", "30d", "--grace", "1h").code == 0
    assert store("get", "A").out == "x\n"
    result = store("rotate", "A", "--wait", "0s")
    assert (result.code, result.out) == (0, "")
    assert re.search(r"stays valid for processes without a live handle, until 20\S+ \S+ UTC at the latest;", result.err)
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
    for name, every in (("A", "1s"), ("B", "30d"), ("C", "30d")):
        store("set", name, stdin="x")
        store("rotate", name, "--attach", f"command:{program}", "--every", every, "--grace", "0s")
    (project / "fails").write_text("set")
    assert store("rotate", "C").code == 11
    (project / "fails").write_text("")
    time.sleep(1.1)
    assert store("rotate", "--due").code == 0
    assert [status["version"] for status in json.loads(store("rotate", "status", "--json").out)] == [2, 1, 2]


def test_what_has_nothing_to_do_says_so(store: Cli) -> None:
    store("set", "A", stdin="x")
    for words in (("--all",), ("status",)):
        result = store("rotate", *words)
        assert (result.code, result.out, result.err[:26]) == (0, "", "no secret has a rotator; `")
    store("rotate", "A", "--attach", "generate:", "--every", "30d")
    said = {"--due": "nothing is due\n", "resume": "no rotation is left to finish\n"}
    for word, words in said.items():
        assert store("rotate", word) == (0, "", words, b"")
        assert store("rotate", word, "--quiet").err == ""


def test_resume_finishes_what_a_failure_left(store: Cli, program: Path, project: Path) -> None:
    for name in ("A", "B"):
        store("set", name, stdin="x")
        store("rotate", name, "--attach", f"command:{program}", "--grace", "0s")
        (project / "fails").write_text("test")
        assert store("rotate", name).code == 11
    (project / "fails").write_text("")
    result = store("rotate", "resume", "A")
    assert (result.code, result.err) == (0, "A: version 2\n")
    assert [row["step"] for row in json.loads(store("rotate", "status", "--json").out)] == ["idle", "set"]
    assert store("rotate", "resume").code == 0
    assert len(store("get", "B").out) == 17
    assert store("rotate", "resume").code == 0


def test_all_rotates_each_secret_with_a_rotator_whatever_becomes_of_the_others(
    store: Cli, program: Path, safe_directory: Path
) -> None:
    broken = safe_directory / "broken"
    broken.write_text("#!/bin/sh\nexit 0\n")
    broken.chmod(0o755)
    for name, rotator in (("A", f"command:{broken}"), ("B", f"command:{program}"), ("PLAIN", None)):
        store("set", name, stdin="x")
        if rotator:
            store("rotate", name, "--attach", rotator, "--grace", "0s")
    broken.write_text("#!/bin/sh\nexit 1\n")
    result = store("rotate", "--all")
    assert result.code == 11
    assert "'A' was not rotated, and nothing was changed" in result.err
    assert [store("get", name).out == "x\n" for name in ("A", "B", "PLAIN")] == [True, False, True]


def test_json_of_several_is_one_list_whatever_becomes_of_them(store: Cli, program: Path, project: Path) -> None:
    assert json.loads(store("rotate", "--due", "--json").out) == []
    for name in ("A", "B"):
        store("set", name, stdin="x")
        store("rotate", name, "--attach", f"command:{program}", "--grace", "0s")
    result = store("rotate", "--all", "--json")
    assert [(row["name"], row["version"]) for row in json.loads(result.out)] == [("A", 2), ("B", 2)]
    (project / "fails").write_text("create")
    result = store("rotate", "--all", "--json")
    assert (result.code, json.loads(result.out)) == (11, [])
    assert [json.loads(line)["error"] for line in result.err.splitlines()] == ["rotation"] * 2
    assert json.loads(store("rotate", "resume", "--json").out) == []


HOLD = """
import sys, time, strongroom
handle = strongroom.open().secret("A")
handle.on_change(lambda changed: sys.stdin.readline())
print("holds", flush=True)
time.sleep(60)
"""


def test_status_names_the_process_that_still_holds_the_previous_value(store: Cli, program: Path) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}", "--grace", "1h")
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True) as holder:
        try:
            assert holder.stdout.readline() == "holds\n"
            # Its callback does not return, so it has not switched.
            result = store("rotate", "A", "--wait", "0s")
            assert f"(pid {holder.pid}, version 1 since " in result.err
            assert f"(pid {holder.pid}, version 1 since " in store("rotate", "status").out
            refused = store("rotate", "retire", "A")
            assert (refused.code, f"(pid {holder.pid}, version 1 since " in refused.err) == (7, True)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert store("rotate", "resume", "A", "--wait", "30s").code == 0
            assert step(store) == "idle"
        finally:
            holder.kill()


SLOW = """#!/bin/sh
cd "$(dirname "$(readlink -f "$0")")" || exit
cat > input
case $1 in
create) echo '{"value":"new"}' ;;
set) touch setting; exec sleep 60 ;;
esac
"""


def test_ctrl_c_says_what_it_has_left(store: Cli, safe_directory: Path) -> None:
    slow = safe_directory / "slow"
    slow.write_text(SLOW)
    slow.chmod(0o755)
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{slow}")
    argv = [sys.executable, "-m", "strongroom", "rotate", "A"]
    with subprocess.Popen(argv, stderr=-1, text=True, start_new_session=True) as rotating:
        deadline = time.monotonic() + 60
        while not (safe_directory / "setting").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(rotating.pid, signal.SIGINT)
        said = rotating.communicate(timeout=60)[1]
    assert rotating.returncode == 130
    assert "a rotation of 'A' is not finished (pending): `strongroom rotate resume A` finishes it" in said
    slow.write_text("#!/bin/sh\ncat > /dev/null\n")
    assert store("rotate", "abort", "A").code == 0
    assert store("get", "A").out == "x\n"


def test_detach_leaves_a_plain_secret(store: Cli) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", "generate:length=12")
    store("rotate", "A")
    assert len(store("get", "A").out) == 13
    store("rotate", "A", "--detach")
    assert store("rotate", "status").out == ""
    store("rotate", "A", "--generate")
    assert len(store("get", "A").out) == 33


@pytest.mark.parametrize(
    "words",
    [(), ("--due", "A"), ("abort",), ("A", "--attach", "nothing:"), ("A", "--attach", "generate:", "--every", "soon")],
)
def test_what_cannot_be_is_refused(store: Cli, words: tuple[str, ...]) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", *words).code in (2, 3)
    assert store("rotate", "status").out == ""


def test_due_on_two_hosts_rotates_each_secret_once_and_without_an_alarm(store: Cli, safe_directory: Path) -> None:
    counts = safe_directory / "count"
    counts.write_text(
        "#!/bin/sh\ncat > /dev/null\n[ $1 = create ] || exit 0\n"
        f"echo x >> {safe_directory}/created; sleep 0.3; echo '{{\"value\":\"'$$'\"}}'\n"
    )
    counts.chmod(0o755)
    for name in ("A", "B"):
        store("set", name, stdin="x")
        done = store("rotate", name, "--attach", f"command:{counts}", "--every", "30d", "--grace", "1h")
        assert done.code == 0, done.err
    # Due by the time that their versions were made.
    for name in ("A", "B"):
        assert store("rotate", name, "--every", "1s").code == 0
    time.sleep(1.1)
    argv = [sys.executable, "-m", "strongroom", "rotate", "--due", "--wait", "0s"]
    both = [subprocess.Popen(argv, stderr=-1, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    versions = [row["version"] for row in json.loads(store("rotate", "status", "--json").out)]
    assert versions == [2, 2], said
    assert len((safe_directory / "created").read_text().split()) == 2


def test_due_says_nothing_again_while_a_grace_time_runs(store: Cli, program: Path) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}", "--every", "30d", "--grace", "1h")
    store("rotate", "A", "--wait", "0s")
    result = store("rotate", "--due", "--wait", "0s")
    assert (result.code, result.err) == (0, "")
    assert step(store) == "promoted"


def test_set_says_that_the_source_was_not_told_and_rollback_tells_it(store: Cli, program: Path) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}", "--grace", "1h")
    result = store("set", "A", stdin="by hand")
    assert result.code == 0
    assert "its source was not told of version 2: `strongroom rotate check A`" in result.err
    assert "was written here, and its source was not told" in store("rotate", "status").err
    assert store("rotate", "check", "A").code == 0
    assert "not told" not in store("rotate", "status").err
    result = store("rollback", "A", "1")
    assert (result.code, "not told" in result.err) == (0, False)
    assert step(store) == "promoted"


@pytest.mark.parametrize("words", [("rotate", "A", "--dry-run"), ("rotate", "check", "A")])
def test_a_look_says_what_it_found_and_changes_nothing(store: Cli, program: Path, project: Path, words) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}")
    result = store(*words)
    assert (result.code, "would begin well; nothing was changed" in result.err) == (0, True)
    store("set", "A", stdin="drifted")
    (program.parent / "fails").write_text("test")
    (project / "fails").write_text("test")
    result = store(*words)
    assert result.code == 11
    assert store("get", "A").out == "drifted\n"
    assert store("history", "A").out.count("\n") == 2


@pytest.mark.parametrize("how", [("rotate", "abort", "A", "--force"), ("rotate", "A", "--detach", "--force")])
def test_a_rotation_whose_source_is_gone_has_a_way_out(store: Cli, program: Path, how) -> None:
    store("set", "A", stdin="x")
    store("rotate", "A", "--attach", f"command:{program}", "--grace", "1h")
    store("rotate", "A", "--wait", "0s")
    program.unlink()
    for words in (("resume", "A"), ("retire", "A", "--force"), ("abort", "A")):
        assert store("rotate", *words).code != 0
    assert "--force" in store("rotate", "abort", "A").err
    assert store(*how).code == 0
    assert len(store("get", "A").out) == 17
    assert store("rotate", "status", "--json").out.count("idle") == (how[1] == "abort")


def test_a_rotation_that_waits_for_consumers_can_be_checked(store: Cli) -> None:
    store("set", "A", "--generate")
    store("rotate", "A", "--attach", "generate:", "--grace", "1h")
    store("rotate", "A", "--wait", "0s")
    result = store("rotate", "check", "A")
    assert (result.code, "version 2 is accepted" in result.err) == (0, True)
    refused = store("rotate", "setup-two", "A", "--other", "b")
    assert "`strongroom rotate retire A --force` at once" in refused.err
    assert "abort" not in refused.err


@pytest.mark.parametrize("name", ["status", "check", "resume", "abort", "retire", "setup-two", "now"])
def test_a_secret_with_the_name_of_an_action_is_rotated_too(store: Cli, name: str) -> None:
    store("set", name, "--generate")
    before = store("get", name).out
    assert store("rotate", "now", name, "--generate").code == 0
    assert store("get", name).out != before
    assert store("rotate", "now", name, "--attach", "generate:", "--every", "30d").code == 0
    assert store("rotate", "now", name, "--wait", "0s").code == 0
    assert store("rotate", "now", name, "--detach", "--force").code == 0
