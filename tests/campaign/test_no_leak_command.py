"""The same value through the command line: its output, its files, and what /proc tells of its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import strongroom

from . import KINDS
from .canary import CANARY, files_with_it, leaks

STRONGROOM = [sys.executable, "-m", "strongroom"]
OTHER = "another-secret-of-the-same-store"


class Shell:
    """Runs strongroom in a directory with an environment of its own."""

    def __init__(self, home: Path, kind: str) -> None:
        self.home = home
        self.kind = kind
        self.key = strongroom.generate_master_key()
        for name in ("work", "tmp"):
            (home / name).mkdir()
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8",
            "SECRETS_MASTER_KEY": self.key, "STRONGROOM_STORE": f"{kind}:{home}/work/store",
            "STRONGROOM_AUDIT": f"file:{home}/work/audit.log",
        }  # fmt: skip
        if "PYTHONPATH" in os.environ:  # so that it is this strongroom, wherever the tests find theirs
            self.environment["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def __call__(self, *words: str, given: str = "", **more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*STRONGROOM, *words], input=given.encode(), capture_output=True, cwd=self.home / "work",
            env=self.environment | more, timeout=60, check=False,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*STRONGROOM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.home / "work", env=self.environment,
        )  # fmt: skip

    def files(self) -> dict[str, list[str]]:
        return files_with_it(self.home)


@pytest.fixture(params=KINDS)
def shell(request, tmp_path, monkeypatch):
    shell = Shell(tmp_path, request.param)
    for name, text in shell.environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path / "work")
    with strongroom.init() as secrets:  # and not with the command, which would take its time for each test
        secrets.set_secrets({"A": CANARY, "B": OTHER})
    return shell


def test_only_what_prints_values_prints_the_value_and_only_on_standard_output(shell):
    more = ("--json",) if shell.kind == "file" else ()
    silent = [
        ("set", "A"), ("list", "--long"), ("history", "A"), ("rotate", "A", "--stdin"), ("rollback", "A", "1"),
        ("rm", "A"), ("undelete", "A"), ("audit", "log"), ("audit", "verify"), ("audit", "export"), ("verify",),
        ("doctor",), ("rekey", "list"), ("rekey", "data"), ("import", "--format", "dotenv", "--overwrite", "-"),
    ]  # fmt: skip
    for words in silent:
        done = shell(*words, *more, given=f"A='{CANARY}'\n")
        assert done.returncode == 0 or words == ("doctor",), (words, done.stderr)
        assert leaks(done.stdout) == leaks(done.stderr) == [], words
    for words in (("get", "A"), ("export", "A")):
        done = shell(*words, *more)
        assert (done.returncode, leaks(done.stderr)) == (0, []), done.stderr
        assert leaks(done.stdout)
    assert shell.files() == {}


@pytest.mark.parametrize("shell", ["sqlite"], indirect=True)
def test_no_error_repeats_what_was_given(shell):
    mistakes = [
        (["set", "A", CANARY], ""), (["set", "A", f"--{CANARY}"], ""),
        (["set", "A", "--cas", CANARY], "x"), (["get", "A", "--version", CANARY], ""), (["get", "A", CANARY], ""),
        (["set", f"../{CANARY}"[:3]], CANARY), (["set", "A", "--cas", "77"], CANARY),
        (["set", "A", "--json-data"], CANARY), (["set", "A", "--json-data"], f'{{"a": "{CANARY}"'),
        (["import", "--format", "json", "-"], f'{{"A": "{CANARY}"'),
        (["import", "--format", "yaml", "-"], f"A: [{CANARY}"),
        (["import", "--format", "dotenv", "-"], f"A='{CANARY}"), (["import", "--format", "json", "-"], f'["{CANARY}"]'),
        (["import", "--format", "dotenv", "-"], f"A='{CANARY}'"), (["--actor"], CANARY),
        (["import", "--format", "fernet-json", "-"], CANARY), (["run", "--only", "MISSING", "--", "true"], CANARY),
    ]  # fmt: skip
    for words, given in mistakes:
        done = shell(*words, given=given)
        assert done.returncode not in (0, 70), (words, done.stderr)
        assert leaks(done.stdout) == leaks(done.stderr) == [], words
    wrong_key = shell("get", "A", SECRETS_MASTER_KEY=strongroom.generate_master_key())
    malformed = shell("get", "A", SECRETS_MASTER_KEY=CANARY)
    assert (wrong_key.returncode, malformed.returncode) == (4, 2)
    assert leaks(wrong_key.stdout + wrong_key.stderr + malformed.stdout + malformed.stderr) == []
    assert shell.files() == {}


def test_proc_shows_nothing_of_a_value_that_is_being_set(shell):
    process = shell.start("set", "A")
    assert process.stdin is not None
    process.stdin.write(CANARY.encode())
    process.stdin.flush()
    wait_until_read(process)
    of_it = Path("/proc") / str(process.pid)
    assert b"set\0A" in (of_it / "cmdline").read_bytes()
    assert leaks((of_it / "cmdline").read_bytes()) == leaks((of_it / "environ").read_bytes()) == []
    limits = (of_it / "limits").read_text()
    soft = re.search(r"Max core file size +(\S+)", limits)
    # 1 byte: the kernel hands a core to the program of core_pattern even where the limit is 0, and never where it is 1.
    assert soft is not None
    assert soft[1] in ("0", "1"), limits
    process.send_signal(signal.SIGABRT)
    assert leaks(b"".join(process.communicate(timeout=30))) == []
    assert process.returncode == -signal.SIGABRT
    assert not [path for path in (shell.home / "work").iterdir() if "core" in path.name]
    assert shell.files() == {}


def wait_until_read(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process has the value in its memory: the pipe is empty and it waits for more."""
    import fcntl
    import termios

    assert process.stdin is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        left = fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4)
        if left == b"\0" * 4:
            return
        time.sleep(0.01)
    pytest.fail("it does not read its standard input")


SHOW = "import os, sys; sys.stdout.buffer.write(open('/proc/self/environ', 'rb').read())"


def test_the_program_of_run_gets_what_was_asked_for_and_not_the_key(shell):
    done = shell("run", "--only", "A", "--", sys.executable, "-c", SHOW, STRONGROOM_PASSPHRASE="twelve and more")
    assert done.returncode == 0, done.stderr
    variables = dict(entry.split(b"=", 1) for entry in done.stdout.rstrip(b"\0").split(b"\0"))
    assert variables[b"A"] == CANARY.encode()
    assert b"B" not in variables
    assert {b"SECRETS_MASTER_KEY", b"STRONGROOM_PASSPHRASE"} & set(variables) == set()
    for unwanted in (OTHER.encode(), shell.key.encode(), b"twelve and more"):
        assert unwanted not in done.stdout
    assert leaks(done.stderr) == []
    assert shell.files() == {}


def test_a_program_that_run_cannot_start_hears_and_says_nothing(shell):
    for program in ("./missing", "/dev/null"):
        done = shell("run", "--only", "A", "--", program)
        assert done.returncode in (126, 127)
        assert leaks(done.stdout + done.stderr) == []


def test_an_edited_secret_is_never_in_a_file_on_disk(shell):
    editor = shell.home / "editor"
    editor.write_text(
        f"#!{sys.executable}\nimport os, sys\npath = sys.argv[-1]\n"
        f"open({str(shell.home / 'seen')!r}, 'w').write(path)\n"
        "text = open(path).read()\nopen(path, 'w').write(text.rstrip() + ' edited')\n"
    )
    editor.chmod(0o700)
    done = shell("edit", "A", EDITOR=str(editor))
    if b"tmpfs" in done.stderr and done.returncode:
        pytest.skip("this machine has no tmpfs to edit on")
    assert done.returncode == 0, done.stderr
    assert leaks(done.stdout + done.stderr) == []
    seen = (shell.home / "seen").read_text()
    assert not os.path.exists(seen)
    assert not seen.startswith(str(shell.home))
    assert shell("get", "A").stdout.decode().strip() == f"{CANARY} edited"
    assert shell.files() == {}


def test_an_exported_file_is_the_only_one_and_private(shell):
    done = shell("export", "--format", "json", "-o", "out.json")
    assert done.returncode == 0, done.stderr
    assert list(shell.files()) == [str(shell.home / "work" / "out.json")]
    assert (shell.home / "work" / "out.json").stat().st_mode & 0o777 == 0o600
