"""A process that is stopped (docker pause, Ctrl-Z, a debugger) while it does something to the log stops nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import strongroom
from strongroom.audit_sinks.file import FileSink

STOPPED = """
import os, signal, sys
import strongroom
from strongroom.audit_sinks import rotation

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

def before(name):
    real = getattr(os, name)
    def call(*given, **more):
        setattr(os, name, real)
        stop()
        return real(*given, **more)
    setattr(os, name, call)

def after(name):
    real = getattr(os, name)
    def call(*given, **more):
        setattr(os, name, real)
        result = real(*given, **more)
        stop()
        return result
    setattr(os, name, call)

store, log, when, function = sys.argv[1:]
with strongroom.open(store, audit="file:" + log, audit_max_bytes=3000) as secrets:
    while os.stat(log).st_size < 3000:
        secrets.get_secret("A")
    globals()[when](function)
    secrets.get_secret("A")
"""
MOMENTS = [
    ("before", "rename"), ("after", "rename"), ("before", "link"), ("after", "link"), ("before", "unlink"),
    ("before", "fsync"),
]  # fmt: skip


@pytest.fixture
def files(tmp_path, master_key):
    store, log = f"sqlite:{tmp_path}/store.db", tmp_path / "audit.log"
    with strongroom.init(store, audit=f"file:{log}") as secrets:
        secrets.set_secret("A", "value")
    return store, log


def is_stopped(process: subprocess.Popen) -> bool:
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def start_and_let_stop(code: str, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    deadline = time.monotonic() + 60
    while not is_stopped(process):
        assert process.poll() is None, "it ended and was not stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


READER = """
import sys
import strongroom

store, log = sys.argv[1:]
with strongroom.open(store, audit="file:" + log, audit_max_bytes=3000) as secrets:
    for _ in range(30):
        assert secrets.get_secret("A") == "value"
    secrets.set_secret("B", "value")
"""


@pytest.mark.parametrize(("when", "function"), MOMENTS)
def test_a_process_that_is_stopped_amid_a_roll_over_stops_nobody(files, when, function):
    store, log = files
    stopped = start_and_let_stop(STOPPED, store, str(log), when, function)
    try:
        # Each of them would wait for ever.
        readers = [subprocess.Popen([sys.executable, "-c", READER, store, str(log)]) for _ in range(2)]
        assert [reader.wait(timeout=60) for reader in readers] == [0, 0]
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert stopped.wait(timeout=60) == 0
    with strongroom.open(store, audit=f"file:{log}") as secrets:
        report = secrets.verify_audit()
        assert (report.problems, report.notes) == ((), ())
        assert len(secrets.get_audit_logs(None, action="GET")) > 60
    assert not list(log.parent.glob(".*"))


@pytest.mark.parametrize(("when", "function"), MOMENTS)
def test_one_that_is_killed_there_leaves_a_log_that_verifies(files, when, function):
    store, log = files
    process = start_and_let_stop(STOPPED, store, str(log), when, function)
    process.kill()
    process.wait()
    subprocess.run([sys.executable, "-c", READER, store, str(log)], check=True, timeout=60)
    with strongroom.open(store, audit=f"file:{log}") as secrets:
        report = secrets.verify_audit()
        assert (report.problems, report.notes) == ((), ())


FIRST = """
import os, signal, sys
from strongroom.audit_sinks.file import FileSink

real = os.pread
def pread(*given):
    found = real(*given)
    if not found:
        os.pread = real
        os.kill(os.getpid(), signal.SIGSTOP)
    return found

os.pread = pread
FileSink(sys.argv[1]).append(b'{"n":"late"}\\n')
"""


def test_a_process_that_is_stopped_as_it_begins_a_log_stops_nobody(tmp_path):
    log = tmp_path / "audit.log"
    stopped = start_and_let_stop(FIRST, str(log))
    try:
        FileSink(str(log)).append(b'{"n":1}\n')
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert stopped.wait(timeout=60) == 0
    texts = [line.text for line in FileSink(str(log)).lines()]
    assert sorted(text for text in texts if b'"n"' in text) == [b'{"n":"late"}', b'{"n":1}']
    assert len({line.position.log for line in FileSink(str(log)).lines()}) == 1


@pytest.mark.parametrize("kind", ["exclusive lock of a reader", "lock file of older versions"])
def test_a_lock_that_somebody_holds_for_ever_keeps_nobody_from_the_log(tmp_path, kind):
    import fcntl

    log = tmp_path / "audit.log"
    sink = FileSink(str(log), max_bytes=200)
    sink.append(b'{"n":0}\n')
    held = os.open(log if kind.startswith("exclusive") else f"{log}.lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    for number in range(1, 40):
        sink.segment()
        sink.append(b'{"n":%d}\n' % number)
    assert sum(b'"n"' in line.text for line in sink.lines()) == 40
    assert (sink.segment() == 1) is kind.startswith("exclusive")
    os.close(held)
    sink.segment()
    sink.append(b'{"n":40}\n')
    assert sink.segment() > 1
