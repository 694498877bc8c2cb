"""What only a process of its own can show: exec, signals, prompts, pipes, and that nothing leaks."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from .conftest import VALUE, Cli

Process = Callable[..., "subprocess.CompletedProcess[bytes]"]
STRONGROOM = [sys.executable, "-m", "strongroom"]


def test_run_becomes_the_program_with_its_exit_code(store: Cli, process: Process) -> None:
    store("set", "A", stdin=VALUE)
    assert process("run", "--", "sh", "-c", 'echo "$A"; exit 7').returncode == 7
    assert process("run", "--", "sh", "-c", 'echo "$A"').stdout == f"{VALUE}\n".encode()
    running = subprocess.Popen([*STRONGROOM, "run", "--", "sh", "-c", "echo $$"], stdout=subprocess.PIPE)
    assert int(running.communicate()[0]) == running.pid


def test_the_program_gets_default_signals_its_own_core_limit_and_no_open_files(store: Cli) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    script = "ulimit -c; grep SigIgn /proc/self/status; ls /proc/self/fd"
    limit = 4096 if hard == resource.RLIM_INFINITY or hard >= 4096 else 0
    shown = subprocess.run(
        ["sh", "-c", f"ulimit -S -c {limit // 512}; exec \"$@\"", "sh", *STRONGROOM, "run", "--", "sh", "-c", script],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert shown[0] == str(limit // 512)
    assert int(shown[2], 16) & (1 << (signal.SIGPIPE - 1)) == 0
    assert shown[3:] == ["0", "1", "2", "3"]  # 3 is the directory that `ls` reads


def test_a_secret_that_no_variable_can_hold_says_what_to_do(store: Cli, process: Process) -> None:
    store("set", "A", stdin="x" * 4_000_000)
    ran = process("run", "--", "true")
    assert ran.returncode == 126
    assert b"a variable holds up to 128 KiB: leave larger secrets out (--only)" in ran.stderr


def test_a_signal_reaches_the_program(store: Cli) -> None:
    running = subprocess.Popen(
        [*STRONGROOM, "run", "--", "sh", "-c", "echo ready; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    running.stdout.readline()
    running.terminate()
    assert running.wait(timeout=20) == -signal.SIGTERM


def test_strongroom_dumps_no_core(store: Cli) -> None:
    program = "import resource as r, strongroom.cli.process as p; p.harden(); print(r.getrlimit(r.RLIMIT_CORE)[0])"
    assert int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout) <= 1


def test_ctrl_c_at_standard_input_exits_with_130_and_prints_nothing(store: Cli) -> None:
    running = subprocess.Popen(
        [*STRONGROOM, "set", "A"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    # Its file descriptors show when it has opened the store, which is before it reads.
    while not any(link.endswith("secrets.db") for link in open_files(running.pid)):
        time.sleep(0.01)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err) == (130, b"", b"")


def open_files(pid: int) -> list[str]:
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(descriptor))
    return found


def test_a_reader_that_goes_away_is_no_noise(store: Cli) -> None:
    store("set", "A", stdin="x" * 300_000)
    for extra in ({}, {"PYTHONUNBUFFERED": "1"}):
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | extra
        running = subprocess.Popen(
            [*STRONGROOM, "get", "A"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
        )
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert (running.stderr.read(), running.wait(timeout=20)) == (b"", 141)
        running.stderr.close()


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_full_disk_under_stdout_is_an_error(store: Cli, buffering: dict[str, str]) -> None:
    store("set", "A", stdin=VALUE)
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | buffering
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*STRONGROOM, "get", "A"], stdout=full, stderr=subprocess.PIPE, env=environ)
    assert done.returncode == 1
    assert done.stderr == b"strongroom: standard output cannot be written: No space left on device\n"


def test_a_store_never_gets_the_number_of_a_closed_standard_stream(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    done = subprocess.run(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *STRONGROOM, "get", "A"])
    assert done.returncode == 1
    assert store("verify").code == 0
    assert store("audit", "verify").code == 0


@pytest.mark.parametrize("writable", ["logs", "."])
def test_a_directory_that_cannot_be_written_is_a_clear_error(store: Cli, project: Path, writable: str) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    store("set", "A", stdin=VALUE)
    place = project / ("." if writable == "logs" else "logs")
    for path in (place, *place.glob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    result = store("set", "A", stdin="new")
    for path in (place, *place.glob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert result.code in (8, 9)
    assert store("get", "A").out == f"{VALUE}\n"


def terminal_session(argv: list[str], answers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Run on a terminal; send each answer when its question was read. Returns the exit code and the screen."""
    pid, screen = pty.fork()
    if pid == 0:
        signal.alarm(60)  # outlives exec: a question nobody expected ends the test
        os.execv(argv[0], argv)
    seen = b""
    for question, answer in answers:
        while question not in seen:
            seen += os.read(screen, 1000)
        os.write(screen, answer)
        seen = seen.replace(question, b"", 1)
    try:
        while more := os.read(screen, 1000):
            seen += more
    except OSError:
        pass  # Linux reports the end of a terminal so
    os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_a_password_typed_at_the_prompt_is_not_shown(store: Cli) -> None:
    line = f"{VALUE}\n".encode()
    code, screen = terminal_session([*STRONGROOM, "set", "A"], [(b"Value of A: ", line), (b"The same again: ", line)])
    assert code == 0
    assert VALUE.encode() not in screen
    assert b"A: version 1" in screen
    assert store("get", "A").out == f"{VALUE}\n"


def test_init_offers_a_key_on_a_terminal(cli: Cli, project: Path) -> None:
    code, screen = terminal_session([*STRONGROOM, "init"], [(b"Make a new one in master.key? [Y/n] ", b"\n")])
    assert code == 0
    assert b"Keep a copy somewhere safe" in screen
    assert (project / "master.key").exists()


def test_ctrl_c_at_a_prompt_exits_with_130(store: Cli) -> None:
    code, screen = terminal_session([*STRONGROOM, "set", "A"], [(b"Value of A: ", b"\x03")])
    assert code == 130
    assert b"Traceback" not in screen
    assert screen.endswith(b"\r\n")  # the shell's prompt gets a line of its own


@pytest.mark.parametrize(
    ("words", "question", "exit_code", "told"),
    [
        (["set", "A"], b"Value of A: ", 2, b"nothing was typed, and nothing was changed\r\n"),
        (["init", "--store", "o.db", "--key", "file:o.key"], b"in o.key? [Y/n] ", 4, b"so no store was made"),
        (["rekey", "add", "passphrase:"], b"New passphrase: ", 2, b"nothing was typed, and nothing was changed\r\n"),
    ],
)
def test_ctrl_d_at_a_prompt_changes_nothing(
    store: Cli, words: list[str], question: bytes, exit_code: int, told: bytes
) -> None:
    code, screen = terminal_session([*STRONGROOM, *words], [(question, b"\x04")])
    assert code == exit_code
    assert told in screen
    assert store("list").out == ""
    assert not list(Path().glob("o.*"))


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["set", "A", "--json-data"], b'{"value": "x"}\n\x04'),
        (["import", "-", "--format", "dotenv"], b"A=x\n\x04"),
        (["rotate", "A", "--stdin"], b"x\n\x04"),
    ],
)
def test_what_waits_for_the_terminal_says_so(store: Cli, words: list[str], typed: bytes) -> None:
    if words[0] == "rotate":
        store("set", "A", stdin=VALUE)
    code, screen = terminal_session([*STRONGROOM, *words], [(b"Ctrl-D on a separate line ends it\r\n", typed)])
    assert code == 0, screen
    assert store("get", "A").out == "x\n"


def test_ctrl_d_in_place_of_the_passphrase_is_no_passphrase(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_PASSPHRASE", VALUE)
    assert cli("init", "--key", "passphrase:").code == 0
    monkeypatch.delenv("STRONGROOM_PASSPHRASE")
    words = ["list", "--key", "passphrase:"]
    code, screen = terminal_session([*STRONGROOM, *words], [(b"Passphrase of the strongroom store: ", b"\x04")])
    assert code == 4
    assert b"no passphrase: set STRONGROOM_PASSPHRASE" in screen


def test_a_second_process_sees_a_rotated_value(store: Cli, process: Process) -> None:
    store("set", "A", stdin=VALUE)
    assert process("get", "A").stdout == f"{VALUE}\n".encode()
    assert process("rotate", "A", "--generate").returncode == 0
    assert process("get", "A").stdout == store("get", "A").raw != f"{VALUE}\n".encode()


@pytest.mark.parametrize("value", ["pässwörd → x".encode(), b"\xff\xfe not text"])
def test_values_are_the_same_bytes_in_a_locale_that_is_not_utf_8(process: Process, value: bytes) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert process("init", "-y").returncode == 0
    here = os.environb | {os.fsencode(name): os.fsencode(text) for name, text in locale.items()} | {b"TAKEN": value}
    assert process("import", "--format", "env", "TAKEN", env=here).returncode == 0
    assert process("get", "-n", "TAKEN", env=here).stdout == value
    ran = process("run", "--pristine", "--", "printenv", "TAKEN", env=here)
    assert ran.stdout == (value + b"\n" if b"\xff" not in value else b"")


def test_no_value_and_no_key_is_in_the_arguments_or_environment_of_strongroom(store: Cli, project: Path) -> None:
    """`edit` waits for its editor, so it can be looked at while it holds the value."""
    store("set", "A", stdin=VALUE)
    key = (project / "master.key").read_text().strip().encode()
    editor = project / "editor"
    editor.write_text("#!/bin/sh\ncat /proc/$PPID/cmdline /proc/$PPID/environ > seen\n")
    editor.chmod(0o700)
    done = subprocess.run(
        [*STRONGROOM, "edit", "A"], capture_output=True, env={**os.environ, "EDITOR": str(editor)}, check=True
    )
    seen = Path("seen").read_bytes()
    assert b"strongroom" in seen
    for text in (seen, done.stdout, done.stderr):
        assert VALUE.encode() not in text
        assert key not in text


def test_the_value_goes_to_stdout_of_get_and_nowhere_else(store: Cli, project: Path) -> None:
    """Drive every command over a store that holds the value, and search everything that is left."""
    store("set", "A", stdin=VALUE)
    for words in (
        ("list", "-l"), ("history", "A"), ("audit", "log"), ("audit", "export"), ("rekey", "list"), ("rekey", "data"),
        ("verify",), ("doctor",), ("get", "A", "--field", "none"), ("run", "--", "no-such-program"),
        ("run", "--env", "PATH=A", "--", "true"), ("rollback", "A", "1"), ("rm", "A"), ("undelete", "A"),
    ):  # fmt: skip
        result = store(*words)
        assert VALUE not in result.out + result.err, words
    for path in (path for path in project.rglob("*") if path.is_file()):
        assert VALUE.encode() not in path.read_bytes(), path


def test_the_module_and_the_script_are_the_same(store: Cli) -> None:
    import strongroom.__main__
    from strongroom.cli import main

    assert strongroom.__main__.main is main


def test_the_console_script_ends_with_the_exit_code_and_loses_no_output(store: Cli) -> None:
    store("set", "A", stdin="x" * 100_000)
    script = [sys.executable, "-c", "from strongroom.cli import script; script()"]
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run([*script, "get", "A"], capture_output=True, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x" * 100_000 + b"\n", b"")
    assert subprocess.run([*script, "get", "B"], capture_output=True, env=environ).returncode == 3
    log = Path("logs/secrets_audit.log")
    log.write_bytes(log.read_bytes().replace(b'"name":"A"', b'"name":"B"'))
    done = subprocess.run([*script, "audit", "verify"], capture_output=True, env=environ)
    assert done.returncode == 5
    assert b"changed or forged" in done.stdout
    closed = subprocess.run(["sh", "-c", 'exec "$@" 1>&-', "sh", *script, "get", "A"], capture_output=True, env=environ)
    assert closed.returncode == 1
