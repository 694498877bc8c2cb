"""Who holds a lock on a file, as an error tells it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from strongroom.stores.holders import describe, holder_of, printable

PROGRAM = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.{call}
print("locked", flush=True)
sys.stdin.read()
"""


def hold(path, call: str) -> subprocess.Popen[str]:
    script = path.with_name("holder.py")
    script.write_text(PROGRAM.format(call=call))
    process = subprocess.Popen(
        [sys.executable, str(script), str(path), "--password=hunter2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.parametrize(
    "call", ["flock(file, fcntl.LOCK_EX)", "flock(file, fcntl.LOCK_SH)", "lockf(file, fcntl.LOCK_EX, 1, 120)"]
)
def test_the_holder_of_a_lock_is_found(tmp_path, call):
    path = tmp_path / "file"
    path.touch()
    found = path.stat()
    assert holder_of(found.st_dev, found.st_ino) is None
    with hold(path, call) as process:
        assert holder_of(found.st_dev, found.st_ino, 120, 120) == process.pid
        assert holder_of(found.st_dev, found.st_ino + 1) is None
        process.stdin.close()


def test_a_lock_on_other_bytes_is_not_meant(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with hold(path, "lockf(file, fcntl.LOCK_EX, 2, 120)") as process:
        found = path.stat()
        assert holder_of(found.st_dev, found.st_ino, 0, 119) is None
        assert holder_of(found.st_dev, found.st_ino, 121, 121) == process.pid
        assert holder_of(found.st_dev, found.st_ino, 122, 300) is None
        process.stdin.close()


def test_who_waits_for_a_lock_does_not_hold_it(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = os.fork()
        if waiting == 0:
            with path.open("r+b") as other:
                fcntl.flock(other, fcntl.LOCK_EX)
            os._exit(0)
        try:
            found = path.stat()
            assert holder_of(found.st_dev, found.st_ino) == os.getpid()
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
            os.waitpid(waiting, 0)


def test_a_process_is_described_without_its_arguments(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with hold(path, "flock(file, fcntl.LOCK_EX)") as process:
        told = describe(process.pid)
        assert told.startswith(f"pid {process.pid}, command holder.py, running since 2")
        assert told.endswith(" UTC")
        assert "hunter2" not in told
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert describe(process.pid).endswith(" UTC; it is stopped")
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.close()


def test_a_process_that_is_gone_has_its_number_only():
    assert describe(2**22 + 1) == f"pid {2**22 + 1}"


def test_a_name_is_fit_for_a_terminal():
    assert printable("a\x1b[31m\nb") == "a?[31m?b"
    assert len(printable("x" * 1000)) == 40
