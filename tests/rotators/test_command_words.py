"""What a program is told and what its end means: ids, exit codes, and what it wrote, without values."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.command import CommandRotator
from strongroom.secret import STARS

NEW, OLD = {"value": "new-value-9fj3k"}, {"value": "old-value-77ab1"}
CALLS = {
    "create": lambda rotator: rotator.create(OLD),
    "set": lambda rotator: rotator.set(NEW, OLD),
    "test": lambda rotator: rotator.test(NEW),
    "retire": lambda rotator: rotator.retire(OLD, NEW),
    "discard": lambda rotator: rotator.discard(NEW, OLD),
}


@pytest.fixture
def make(safe_directory):
    def make(script, options="", shell="/bin/sh"):
        path = safe_directory / "rotate"
        path.write_text(f"#!{shell}\n{script}\n")
        path.chmod(0o755)
        return drivers.rotator(f"command:{path}{options}", None)

    return make


# What it is told


@pytest.mark.parametrize("step", CALLS)
def test_it_is_told_the_name_the_rotation_and_the_step_twice(make, tmp_path, step):
    rotator = make(
        f"import json, os, sys\nrequest = json.load(sys.stdin)\ntold = {{name: text for name, text in "
        f"os.environ.items() if 'ROTATION' in name}}\njson.dump([request, told, sys.argv[1:]], open('{tmp_path}/told', "
        "'w'))\nprint('{}')",
        shell=sys.executable,
    )
    rotator.about("db/password", "4f1a")
    for _ in range(2):
        CALLS[step](rotator)
        request, told, arguments = json.loads((tmp_path / "told").read_text())
        assert arguments == [step]
        assert told == {"ROTATION_NAME": "db/password", "ROTATION_ID": "4f1a", "ROTATION_STEP": step}
        assert (request["name"], request["rotation"], request["step"]) == ("db/password", "4f1a", step)
    rotator.about("db/password", "")
    CALLS[step](rotator)
    assert json.loads((tmp_path / "told").read_text())[0]["rotation"] == ""


def test_variables_of_a_rotation_around_this_one_are_not_passed_on(make, monkeypatch, tmp_path):
    monkeypatch.setenv("ROTATION_ID", "of another")
    make(f"printenv ROTATION_ID > {tmp_path}/told").test(NEW)
    assert (tmp_path / "told").read_text() == "\n"


# Exit codes


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize(
    ("code", "words", "is_definite"),
    [
        (64, "does not know this step", True), (65, "value is refused", True), (67, "is gone", True),
        (75, "try again later", True), (77, "not allowed", True), (78, "not set up", True),
        (1, "exit code 1", False), (2, "exit code 2", False), (3, "exit code 3", False), (70, "exit code 70", False),
        (126, "may not be run", False), (127, "not on its PATH", False), (255, "exit code 255", False),
    ],
)  # fmt: skip
def test_an_exit_code_says_whether_something_may_have_changed(make, step, code, words, is_definite):
    rotator = make(f"exit {code}")
    if (step, code) in {("discard", 64), ("discard", 67), ("retire", 67)}:
        CALLS[step](rotator)
        return
    with pytest.raises(RotationError, match=words) as caught:
        CALLS[step](rotator)
    assert isinstance(caught.value, SourceRefusedError) == is_definite


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_may_have_come_after_a_change(make, number):
    with pytest.raises(RotationError, match=f"killed by signal {int(number)}") as caught:
        make(f"kill -{int(number)} $$").set(NEW, OLD)
    assert not isinstance(caught.value, SourceRefusedError)


@pytest.mark.parametrize("harm", ["chmod", "gone", "interpreter", "directory"])
def test_a_program_that_cannot_be_run_has_changed_nothing(make, safe_directory, harm):
    rotator = make("exit 0")
    path = safe_directory / "rotate"
    if harm == "chmod":
        path.chmod(0o777)
    elif harm == "gone":
        path.unlink()
    elif harm == "directory":
        safe_directory.chmod(0o777)
    else:
        path.write_text("#!/nowhere/sh\n")
    with pytest.raises(SourceRefusedError):
        rotator.set(NEW, OLD)


def test_a_value_that_json_does_not_know_is_not_sent(make, tmp_path):
    with pytest.raises(SourceRefusedError, match="bytes"):
        make(f"touch {tmp_path}/run").set({"value": b"x"}, OLD)
    assert not (tmp_path / "run").exists()


def test_an_exit_code_that_somebody_else_took_is_no_yes(make):
    script = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfrom strongroom import drivers\n"
        "drivers.rotator('command:' + sys.argv[1], None).test({'value': 'x'})"
    )
    rotator = make("exit 3")
    done = subprocess.run([sys.executable, "-c", script, rotator._path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SIGCHLD" in done.stderr


# Standard error


@pytest.mark.parametrize("end", ["exit 3", "kill -9 $$", "exec sleep 60", "exit 77"])
def test_what_it_wrote_is_shown_without_values(make, end):
    script = f"""printf 'cannot reach \\033[31mthe vendor\\033[0m\\nwith %s and %s\\n' {NEW["value"]} {OLD["value"]} >&2
cat >&2; {end}"""
    with pytest.raises(RotationError) as caught:
        make(script, "?timeout=1").set(NEW, OLD)
    text = str(caught.value)
    assert f"cannot reach the vendor | with {STARS} and {STARS} | " in text
    assert not any(value in text for value in (NEW["value"], OLD["value"]))
    assert text.isprintable()


def test_a_trace_of_the_shell_shows_no_value_and_no_new_key(make):
    with pytest.raises(RotationError) as caught:
        make("set -x; key=$(printf 'AKIA%s' IOSFODNN7EXAMPLE8); exit 1").create(OLD)
    text = str(caught.value)
    assert "printf" in text
    assert "EXAMPLE8" not in text


def test_a_value_that_it_printed_and_wrote_is_not_shown(make):
    with pytest.raises(RotationError) as caught:
        make("""echo '{"value": "made-up"}'; echo failed with made-up >&2; exit 1""").create(OLD)
    assert "failed with" in str(caught.value)
    assert "made-up" not in str(caught.value)


def test_its_own_credentials_are_not_shown(make, monkeypatch):
    monkeypatch.setenv("VENDOR_API_TOKEN", "of-the-vendor-1")
    with pytest.raises(RotationError, match="is refused") as caught:
        make('echo "$VENDOR_API_TOKEN is refused" >&2; exit 1').set(NEW, OLD)
    assert "of-the-vendor-1" not in str(caught.value)


def test_what_it_writes_without_end_takes_neither_memory_nor_more_than_its_time(make):
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(RotationError, match="did not end within 1 s"):
        make("exec cat /dev/zero >&2", "?timeout=1").set(NEW, OLD)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("amount", [100_000, 3_000_000])
def test_it_is_not_blocked_by_what_it_writes(make, amount):
    make(f"head -c {amount} /dev/zero >&2; head -c {amount} /dev/zero").set(NEW, OLD)


def test_an_answer_without_end_ends_the_program(make):
    with pytest.raises(RotationError, match="printed more than 1048576 bytes"):
        make("exec yes").create(OLD)


def test_input_that_it_does_not_read_is_no_failure(make):
    make("exit 0").set({"value": "x" * 1_000_000}, OLD)
    make("exec <&-; sleep 0.2").set({"value": "x" * 1_000_000}, OLD)
    make("sleep 0.2; cat > /dev/null").set({"value": "x" * 1_000_000}, OLD)


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_nothing_waits_for_what_keeps_its_pipes_open(make, monkeypatch, has_pidfd):
    if not has_pidfd:
        monkeypatch.setattr("os.pidfd_open", lambda pid: (_ for _ in ()).throw(OSError()))
    began = time.monotonic()
    rotator = make(
        """setsid sleep 20 & echo $! > "$(dirname "$(readlink -f "$0")")/pid"; echo '{"value": "n"}'""", "?timeout=19"
    )
    assert rotator.create(OLD) == {"value": "n"}
    assert time.monotonic() - began < 15


def test_a_rotator_that_was_stopped_can_be_asked_again(make):
    rotator = make("exit 0")
    assert isinstance(rotator, CommandRotator)
    rotator.stop()
    rotator.set(OLD, NEW)


# In a rotation


@pytest.fixture
def manager(make, make_manager):
    """A manager whose secret `A` is rotated by a program that fails in `set`, as the caller says."""

    def prepare(end):
        rotator = make(
            """case $1 in
create) echo '{"value": "new-value-9fj3k"}' ;;
set) cat >> "$(dirname "$(readlink -f "$0")")/sets"; echo >> "$(dirname "$(readlink -f "$0")")/sets"; """
            + end
            + """ ;;
esac"""
        )
        manager = make_manager()
        manager.set_secret("A", OLD["value"])
        manager.rotation.attach("A", f"command:{rotator._path}")
        return manager

    return prepare


def sets(safe_directory):
    return [json.loads(line)["pending"] for line in (safe_directory / "sets").read_text().splitlines()]


def test_a_definite_no_ends_the_rotation_and_nothing_is_put_back(manager, safe_directory):
    rotating = manager("echo quota is used up >&2; exit 77")
    with pytest.raises(SourceRefusedError, match=r"nothing was changed: .*not allowed.*quota is used up"):
        rotating.rotate_secret("A")
    assert sets(safe_directory) == [NEW]
    assert rotating.rotation.status("A")[0].step == "idle"


def test_what_may_have_been_done_is_put_back_and_status_shows_what_was_written(manager, safe_directory):
    rotating = manager(f"echo broken by {NEW['value']} >&2; exit 1")
    with pytest.raises(RotationError, match=r"could not be given the current value back.*resume A"):
        rotating.rotate_secret("A")
    assert sets(safe_directory) == [NEW, OLD]
    status = rotating.rotation.status("A")[0]
    assert f"broken by {STARS}" in status.reason
    assert NEW["value"] not in repr(status)
