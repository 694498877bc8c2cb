"""`run --watch`, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.cli.supervising import reaction
from strongroom.errors import InvalidInputError

from .conftest import Cli

STRONGROOM = [sys.executable, "-m", "strongroom"]
# Says each start with its pid and secret, and then waits for signals.
WAITING = 'echo "$$ $A" >> started; trap "echo hup >> got" HUP; trap "echo term >> got; exit 3" TERM; %s'
LOOP = WAITING % "while :; do sleep 0.05; done"

Watch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def watch(store: Cli) -> Iterator[Watch]:
    """Return what starts `strongroom run --watch` with a shell script."""
    assert store("set", "A", stdin="first").code == 0
    running: list[subprocess.Popen[bytes]] = []

    def watch(script: str, *options: str) -> subprocess.Popen[bytes]:
        argv = [*STRONGROOM, "run", "--watch", *options, "--", "sh", "-c", script]
        running.append(subprocess.Popen(argv, stderr=subprocess.PIPE))
        return running[-1]

    yield watch
    for one in running:
        one.kill()
    # Before the pipes are read to their end, which a program that is left behind holds open.
    for pid, _ in lines("started"):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    for one in running:
        one.communicate()


def lines(path: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(path).read_text().splitlines()]
    except FileNotFoundError:
        return []


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def values() -> list[str]:
    return [line[1] for line in lines("started") if len(line) == 2]


def alive(pid: str) -> bool:
    return os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_programs_own(watch: Watch, script: str, code: int) -> None:
    assert watch(script).wait(timeout=30) == code


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc/hostname", 126)])
def test_a_program_that_cannot_be_started_has_its_own_exit_code(store: Cli, program: str, code: int) -> None:
    done = subprocess.run([*STRONGROOM, "run", "--watch", "--", program], capture_output=True, timeout=30, check=False)
    assert done.returncode == code


def test_a_change_restarts_the_program_with_the_new_value(watch: Watch, store: Cli) -> None:
    process = watch(LOOP)
    wait_for(lambda: values() == ["first"])
    store("set", "A", stdin="second")
    wait_for(lambda: values() == ["first", "second"])
    first, second = (line[0] for line in lines("started"))
    assert not alive(first)
    assert alive(second)
    process.terminate()
    assert process.wait(timeout=30) == 3
    assert not alive(second)


def test_a_change_of_another_secret_does_nothing(watch: Watch, store: Cli) -> None:
    process = watch(LOOP, "--only", "A")
    wait_for(lambda: values() == ["first"])
    store("set", "B", stdin="other")
    store("set", "A", stdin="second")
    wait_for(lambda: len(values()) > 1)
    process.terminate()
    process.wait(timeout=30)
    assert values() == ["first", "second"]


def test_a_change_can_be_a_signal(watch: Watch, store: Cli) -> None:
    process = watch(LOOP, "--on-change", "signal:HUP")
    wait_for(lambda: values() == ["first"])
    store("set", "A", stdin="second")
    wait_for(lambda: lines("got") == [["hup"]])
    assert values() == ["first"]
    process.terminate()
    assert process.wait(timeout=30) == 3


def test_signals_are_passed_on_and_none_is_held_back_from_the_program(watch: Watch) -> None:
    process = watch("grep SigBlk /proc/self/status >> mask; " + LOOP)
    wait_for(lambda: values() == ["first"])
    assert int(lines("mask")[0][1], 16) == 0
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: lines("got") == [["hup"]])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 3
    assert lines("got") == [["hup"], ["term"]]
    assert not alive(lines("started")[0][0])


def test_a_program_that_ends_by_the_signal_passed_on_ends_strongroom_with_128_and_it(watch: Watch) -> None:
    process = watch('echo "$$ $A" >> started; exec sleep 60')
    wait_for(lambda: values() == ["first"])
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_a_program_that_fails_right_after_a_restart_is_started_again_later(watch: Watch, store: Cli) -> None:
    process = watch('[ "$A" = second ] && [ ! -e ready ] && touch ready && exit 9; ' + LOOP)
    wait_for(lambda: values() == ["first"])
    store("set", "A", stdin="second")
    wait_for(lambda: values() == ["first", "second"])
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"failed right after its restart (9); again in 0.5 s" in err


def test_sigterm_while_a_failed_program_waits_for_its_start_ends_strongroom(watch: Watch, store: Cli) -> None:
    process = watch('[ "$A" = second ] && echo x >> failed && exit 9; ' + LOOP)
    wait_for(lambda: values() == ["first"])
    store("set", "A", stdin="second")
    wait_for(lambda: len(lines("failed")) >= 2)
    process.terminate()
    assert process.wait(timeout=30) in (9, 128 + signal.SIGTERM)


def test_a_secret_that_is_gone_leaves_the_program_running(watch: Watch, store: Cli) -> None:
    process = watch(LOOP, "--only", "A")
    wait_for(lambda: values() == ["first"])
    store("rm", "A")
    assert process.stderr is not None
    assert b"keeps running with the secrets that it has" in process.stderr.readline()
    assert alive(lines("started")[0][0])
    store("set", "A", stdin="again")
    wait_for(lambda: values() == ["first", "again"])
    process.terminate()
    assert process.wait(timeout=30) == 3


def test_nothing_is_started_when_a_secret_is_missing(watch: Watch) -> None:
    assert watch(LOOP, "--only", "A,NONE").wait(timeout=30) == 3
    assert lines("started") == []


@pytest.mark.parametrize("text", ["", "restart", None])
def test_a_restart_is_what_happens_by_default(text: str | None) -> None:
    assert reaction(text) is None


def test_signals_are_named_with_and_without_sig_and_nothing_else_is_taken(store: Cli) -> None:
    assert reaction("signal:HUP") is reaction("signal:SIGHUP") is signal.SIGHUP
    for text in ("signal", "signal:", "signal:NONE", "stop", "restart:HUP"):
        with pytest.raises(InvalidInputError):
            reaction(text)
    assert store("run", "--on-change", "restart", "--", "true").code == 2
