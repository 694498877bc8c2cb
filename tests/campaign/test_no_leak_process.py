"""The same value and what Python itself shows of a process that fails, hangs or is killed by a signal."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import strongroom

from .canary import CANARY, files_with_it, leaks

HERE = Path(__file__).parent
SCRIPT = HERE / "leaky_script.py"
FAILURES = ["conflict", "no value", "no name", "no text", "no version", "full", "rotation", "denied", "key", "closed"]


@pytest.fixture
def environ(tmp_path, master_key, monkeypatch):
    """The environment of a program that uses the store in the directory where we are."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    url = f"sqlite:{tmp_path}/work/store"
    with strongroom.init(url, audit=f"file:{tmp_path}/work/audit.log") as secrets:
        secrets.set_secret("A", CANARY)
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "SECRETS_MASTER_KEY": master_key,
        "STRONGROOM_STORE": url, "STRONGROOM_AUDIT": f"file:{tmp_path}/work/audit.log", "GIVEN": CANARY,
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }  # fmt: skip


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, timeout=60, check=False)


def check(environ: dict[str, str], *texts: bytes) -> None:
    """Fail when a text, or a file that the program left, shows the value or the master key."""
    for text in texts:
        assert leaks(text) == [], text.decode(errors="replace")
        assert environ["SECRETS_MASTER_KEY"].encode() not in text
    assert files_with_it(Path.cwd()) == {}


@pytest.mark.parametrize(
    "options",
    [
        ["-X", "dev"],
        ["-X", "tracemalloc=20", "-W", "always"],
        ["-v", "-X", "faulthandler"],
        ["-O", "-X", "showrefcount"],
    ],
    ids=" ".join,
)
def test_tracebacks_of_what_nobody_catches_show_no_value(environ, options):
    done = run(environ, *options, str(SCRIPT), "plain")
    assert done.stdout.decode().splitlines() == FAILURES, done.stderr.decode()
    assert done.stderr.count(b"Traceback (most recent call last)") >= len(FAILURES)
    assert b"ResourceWarning" not in done.stderr
    check(environ, done.stdout, done.stderr)


@pytest.mark.parametrize("way", ["log", "thread"])
def test_loggers_and_threads_show_no_value(environ, way):
    done = run(environ, str(SCRIPT), way)
    assert done.stdout.decode().splitlines() == FAILURES, done.stderr.decode()
    check(environ, done.stdout, done.stderr)


@pytest.mark.skipif(importlib.util.find_spec("cgitb") is None, reason="this Python has no cgitb any more")
def test_a_report_with_the_variables_of_each_frame_shows_no_value(environ):
    done = run(environ, "-W", "ignore", str(SCRIPT), "cgitb")
    assert set(FAILURES) <= set(done.stdout.decode().splitlines()), "it reports on standard output, too"
    check(environ, done.stdout, done.stderr)


def test_a_failing_test_with_its_local_variables_shows_no_value(environ):
    Path("test_user.py").write_text(
        "import leaky_script, pytest, strongroom\n"
        "@pytest.mark.parametrize('name', list(leaky_script.FAILURES))\n"
        "def test_user(name):\n"
        "    leaky_script.FAILURES[name](strongroom.open())\n"
    )
    environ["PYTHONPATH"] = os.pathsep.join([str(HERE), environ["PYTHONPATH"]])
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = run(environ, "-m", "pytest", "-p", "no:cacheprovider", "--showlocals", "--tb=long", "-vv", "test_user.py")
    assert f"{len(FAILURES)} failed".encode() in done.stdout, done.stdout.decode()
    check(environ, done.stdout, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGUSR1], ids=lambda number: number.name)
def test_the_stacks_of_a_process_that_waits_for_the_store_show_no_value(environ, number):
    Path("sitecustomize.py").write_text(
        "import faulthandler, signal\nfaulthandler.register(signal.SIGUSR1, all_threads=True, chain=True)\n"
    )
    environ |= {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), environ["PYTHONPATH"]]), "PYTHONFAULTHANDLER": "1"}
    with closing(sqlite3.connect("store", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "wait"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        wait_until_in_a_transaction(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == -number
    assert b"in set_secret" in err, err.decode()
    check(environ, out, err)


def wait_until_in_a_transaction(process: subprocess.Popen[bytes]) -> None:
    """Wait until the intent is on record: then the process wants the lock, and has the value in its memory."""
    deadline = time.monotonic() + 30
    while b'"action":"SET","name":"A","outcome":"intent"' not in Path("audit.log").read_bytes().splitlines()[-1]:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)
