"""A program that rotates ends with its step: whatever ends the step, nothing may change the source afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from strongroom import drivers
from strongroom.errors import RotationError
from strongroom.rotation.rotation import Rotation

SLOW = """#!/bin/sh
cat > /dev/null
case $1 in
create) echo '{"value":"new"}' ;;
set) touch PLACE/setting; (sleep 3; touch PLACE/late) & sleep 3; touch PLACE/late ;;
esac
"""
ROTATES = """
import sys, strongroom
with strongroom.open(sys.argv[1], audit="memory:") as secrets:
    secrets.rotation.rotate("A", wait=0)
"""


@pytest.fixture
def program(tmp_path, safe_directory):
    path = safe_directory / "slow"
    path.write_text(SLOW.replace("PLACE", str(tmp_path)))
    path.chmod(0o755)
    return path


@pytest.fixture
def secrets(make_manager, program):
    manager = make_manager("sqlite")
    manager.set_secret("A", "first")
    manager.rotation.attach("A", f"command:{program}?timeout=60")
    return manager


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def nothing_comes_late(tmp_path):
    """What the program started would end three seconds after it began."""
    deadline = time.monotonic() + 10
    while any(bytes(tmp_path / "late") in line or b"sleep\x003" in line for line in command_lines(tmp_path)):
        assert time.monotonic() < deadline, "the program is still running"
        time.sleep(0.02)
    assert not (tmp_path / "late").exists()


def command_lines(tmp_path):
    for entry in os.listdir("/proc"):
        try:
            # The sleeps of this test alone: their shell had the place in its program.
            with open(f"/proc/{entry}/cmdline", "rb") as line, open(f"/proc/{entry}/environ", "rb") as variables:
                if str(tmp_path).encode() in variables.read():
                    yield line.read()
        except OSError:
            continue


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["INT", "TERM", "KILL"])
def test_it_ends_with_the_process_that_rotates(secrets, tmp_path, number):
    url = secrets._access.engine.store.url
    environment = {**os.environ, "PLACE_OF_TEST": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", ROTATES, url], stderr=subprocess.DEVNULL, env=environment) as rotating:
        wait_for(tmp_path / "setting")
        rotating.send_signal(number)
        rotating.wait(timeout=20)
    nothing_comes_late(tmp_path)
    assert secrets.get_secret("A") == "first"
    assert secrets.rotation.status("A")[0].step == "pending"


def test_a_step_that_is_given_up_leaves_no_program(secrets, program, tmp_path, monkeypatch):
    monkeypatch.setenv("PLACE_OF_TEST", str(tmp_path))
    rotator = drivers.rotator(f"command:{program}?timeout=60", None)
    rotator.timeout = 0.5
    with pytest.raises(RotationError, match=r"did not answer within 0\.5 s"):
        Rotation(secrets._access, None, 10).rotate("A", rotator)
    nothing_comes_late(tmp_path)


@pytest.mark.parametrize("timeout", [1, 60])
def test_a_time_that_was_asked_for_is_kept(program, timeout):
    rotator = drivers.rotator(f"command:{program}?timeout={timeout}", None)
    assert rotator.timeout > timeout
