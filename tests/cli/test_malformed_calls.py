"""Calls of `rotate` and `set` that cannot be meant: each says what was meant, and none changes anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli
from .test_processes import STRONGROOM, terminal_session

Process = Callable[..., subprocess.CompletedProcess]
URL = "generate:length=20"
ROTATE = [
    # What belongs to an attached rotator
    ("PLAIN --every 30d", "has no rotator that could be due"),
    ("PLAIN --grace 1h", "has no rotator that could be due"),
    ("PLAIN --every 30d --grace 1h", "`strongroom rotate PLAIN --attach URL`"),
    ("PLAIN --every 30d --generate", "--generate is about the new value"),
    ("DB --every 30d --stdin", "--stdin is about the new value"),
    ("DB --every 30d --wait 5s", "--wait says how long to wait"),
    ("DB --every 30d --force", "--force goes on although"),
    ("DB --every 0d", "--every takes a span of more than 0"),
    ("DB --every soon", "--every takes a span such as"),
    ("DB --every 99999999w", "less than 300 years"),
    ("DB --grace=-1h", "--grace takes a span such as"),
    (f"PLAIN --attach {URL} --every 0s", "--every takes a span of more than 0"),
    (f"PLAIN --attach {URL} --wait 5s", "--wait says how long to wait"),
    (f"PLAIN --attach {URL} --generate", "--generate is about the new value"),
    (f"PLAIN --attach {URL} --stdin", "--stdin is about the new value"),
    (f"PLAIN --attach {URL} --length 20", "--length is about the new value"),
    (f"PLAIN --attach {URL} --cas 1", "--cas is about the new value"),
    (f"PLAIN --attach {URL} --detach", "--attach and --detach exclude each other"),
    (f"PLAIN --attach {URL} --dry-run", "--attach and --dry-run exclude each other"),
    (f"--attach {URL}", "NAME is missing"),
    ("PLAIN --attach nothing:", "there is no rotator nothing:"),
    ("DB --detach --every 30d", "--every is about an attached rotator"),
    ("DB --detach --generate", "--generate is about the new value"),
    ("--every 30d", "NAME is missing"),
    ("--due --every 30d", "--every is about an attached rotator"),
    # What looks after rotations
    ("--due --all", "--due and --all exclude each other"),
    ("--due DB", "--due takes no NAME"),
    ("--all DB", "--all takes no NAME"),
    ("--due --force", "--force goes on although"),
    ("--all --generate", "--generate is about the new value"),
    ("--due --dry-run", "exclude each other"),
    ("status --due", "--due is another way to call rotate"),
    ("status DB --force", "--force goes on although"),
    ("status DB --wait 5s", "--wait says how long to wait"),
    ("resume DB --force", "--force goes on although"),
    ("resume --stdin", "--stdin is about the new value"),
    ("check DB --wait 5s", "--wait says how long to wait"),
    ("check", "NAME is missing: `strongroom rotate check NAME`"),
    ("abort", "NAME is missing: `strongroom rotate abort NAME`"),
    ("retire", "NAME is missing: `strongroom rotate retire NAME`"),
    ("abort DB --wait 5s", "--wait says how long to wait"),
    ("retire DB --every 30d", "--every is about an attached rotator"),
    ("DB retire", "a value is never an operand"),
    ("DB PLAIN", "a value is never an operand"),
    ("DB --other b", "--other names the second account"),
    ("DB --apply", "--apply runs the statements"),
    ("setup-two DB", "--other ACCOUNT"),
    ("setup-two", "NAME is missing: `strongroom rotate setup-two NAME`"),
    ("setup-two DB --other b --wait 5s", "--wait says how long to wait"),
    # The value
    ("PLAIN", "--generate makes one all the same"),
    ("PLAIN --cas 1", "--generate makes one all the same"),
    ("PLAIN --generate --wait 5s", "--wait means nothing for 'PLAIN'"),
    ("PLAIN --generate --force", "--force means nothing for 'PLAIN'"),
    ("PLAIN --generate --stdin", "--stdin and --generate exclude each other"),
    ("PLAIN --value x --file v", "exclude each other"),
    ("PLAIN --file v --length 20", "--length and --alphabet are for a generated value"),
    ("PLAIN --value x --alphabet hex", "--length and --alphabet are for a generated value"),
    ("PLAIN --stdin --length 20", "--length and --alphabet are for a generated value"),
    ("PLAIN --generate --raw", "--raw is for a value that is read"),
    ("PLAIN --raw", "--raw is for a value that is read"),
    ("PLAIN --generate --allow-empty", "--allow-empty means nothing with --generate"),
    ("PLAIN --length 3", "use 11 characters or more"),
    ("PLAIN --prompt", "--prompt needs a terminal"),
    ("PLAIN --stdin", "the value is empty, and nothing was changed"),
    ("PLAIN --file none", "none cannot be read"),
    ("FIELDS --generate", "no value is generated for it"),
    ("FIELDS --length 20", "'FIELDS' has the fields pin, user, and the new value is one text"),
    ("FIELDS --value x", "'FIELDS' has the fields pin, user, and the new value is one text"),
    ("DB --wait soon", "--wait takes a span such as"),
    ("DB --dry-run --generate", "--generate is about the new value"),
    ("DB --dry-run --force", "--force goes on although"),
    ("../x --generate", "name"),
    ("DB --evry 30d", "there is no option --evry"),
    ("DB --every", "--every needs a value"),
]
SET = [
    ("PLAIN --generate --raw", "--raw is for a value that is read"),
    ("PLAIN --value x --raw", "--raw is for a value that is read"),
    ("PLAIN --json-data --raw", "--raw is for a value that is read"),
    ("PLAIN --generate --allow-empty", "--allow-empty means nothing with --generate"),
    ("PLAIN --json-data --allow-empty", "--allow-empty means nothing with --json-data"),
    ("PLAIN --length 20", "--length and --alphabet are for a generated value"),
    ("PLAIN --alphabet hex --file v", "--length and --alphabet are for a generated value"),
    ("PLAIN --generate --file v", "--generate and --file exclude each other"),
    ("PLAIN --field a=@v --json-data", "--field and --json-data exclude each other"),
    ("PLAIN --field a=x", "takes - (prompt or standard input) or @PATH"),
    ("PLAIN --generate --expires-in 0d", "expires"),
    ("PLAIN --generate --max-versions 0", "max_versions is a whole number"),
    ("PLAIN --generate --custom x", "--custom takes NAME=…"),
    ("PLAIN value", "a value is never an operand"),
    ("PLAIN", "the value is empty, and nothing was changed"),
]


@pytest.fixture
def filled(store: Cli, project: Path) -> Cli:
    store("set", "PLAIN", stdin="x")
    store("set", "DB", stdin="x")
    store("set", "FIELDS", "--json-data", stdin='{"user": "u", "pin": "p"}')
    (project / "v").write_text("from the file")
    assert store("rotate", "DB", "--attach", URL, "--every", "30d", "--grace", "1h").code == 0
    return store


def everything(cli: Cli) -> object:
    """Return what the store holds: values, versions, rotators and rotations."""
    rows = json.loads(cli("rotate", "status", "--json").out)
    for row in rows:
        del row["next"]
    return cli("export", "--format", "json").out, cli("list", "--long", "--json").out, rows


@pytest.mark.parametrize(
    ("words", "meant"), [(f"rotate {w}", m) for w, m in ROTATE] + [(f"set {w}", m) for w, m in SET]
)
def test_a_call_that_cannot_be_meant_changes_nothing(filled: Cli, words: str, meant: str) -> None:
    before = everything(filled)
    result = filled(*words.split())
    assert (result.code, result.out) == (2, "")
    assert meant in result.err
    assert everything(filled) == before


PIPED = [
    "rotate PLAIN", "rotate PLAIN --generate", "rotate PLAIN --file v", "rotate PLAIN --length 20", "rotate DB",
    "rotate DB --generate", "rotate PLAIN --value x", "set PLAIN --generate", "set PLAIN --file v",
    "set PLAIN --value x", "set PLAIN --field a=@v", "set NEW --generate",
]  # fmt: skip


@pytest.mark.parametrize("words", PIPED)
@pytest.mark.parametrize("how", ["pipe", "file", "socket"])
def test_what_is_piped_in_is_read_or_refused(
    filled: Cli, process: Process, project: Path, words: str, how: str
) -> None:
    before = everything(filled)
    argv = [*STRONGROOM, *words.split()]
    if how == "pipe":
        done = process(*words.split(), stdin=b"the value that was meant\n")
    elif how == "file":
        with (project / "v").open() as file:
            done = subprocess.run(argv, stdin=file, capture_output=True, timeout=60)
    else:
        import socket

        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(b"the value that was meant\n")
            done = subprocess.run(argv, stdin=theirs, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"standard input holds something that" in done.stderr
    assert b"/dev/null" in done.stderr
    assert everything(filled) == before


@pytest.mark.parametrize(
    "words", ["rotate DB --wait 0s", "rotate PLAIN --generate", "set PLAIN --generate", "set PLAIN --file v"]
)
@pytest.mark.parametrize("how", ["null", "empty pipe", "closed"])
def test_standard_input_without_a_value_is_no_obstacle(filled: Cli, words: str, how: str) -> None:
    """As timers, containers and continuous integration have it."""
    argv = [*STRONGROOM, *words.split()]
    if how == "closed":
        argv = ["sh", "-c", 'exec "$@" <&-', "sh", *argv]
    given = {"input": b""} if how == "empty pipe" else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(argv, capture_output=True, timeout=60, **given)
    assert done.returncode == 0, done.stderr


def test_a_pipe_whose_writer_is_slow_is_not_passed_over(filled: Cli) -> None:
    before = everything(filled)
    read, write = os.pipe()
    try:
        done = subprocess.run([*STRONGROOM, "rotate", "DB"], stdin=read, capture_output=True, timeout=60)
        assert done.returncode == 2
        assert b"a pipe that may still bring a value" in done.stderr
        assert everything(filled) == before
        explicit = subprocess.run(
            [*STRONGROOM, "rotate", "DB", "--generate", "--wait", "0s"], stdin=read, capture_output=True, timeout=60
        )
        assert explicit.returncode == 0, explicit.stderr
    finally:
        os.close(read)
        os.close(write)


def test_a_loop_of_a_shell_keeps_its_lines(filled: Cli, project: Path) -> None:
    """What is refused is not read either, and `< /dev/null` lets the loop go on."""
    (project / "names").write_text("DB\nPLAIN\n")
    script = 'while read -r name; do "$@" "$name" --generate < /dev/null || exit; done < names'
    argv = ["bash", "-c", script, "sh", sys.executable, "-m", "strongroom", "rotate"]
    assert subprocess.run(argv, capture_output=True, timeout=60).returncode == 0
    assert [row["version"] for row in json.loads(filled("list", "--long", "--json").out)] == [2, 1, 2]


def test_a_value_that_is_piped_in_and_named_is_taken(filled: Cli) -> None:
    assert filled("rotate", "PLAIN", "--stdin", stdin="mine\n").code == 0
    assert filled("get", "PLAIN").out == "mine\n"
    assert filled("rotate", "PLAIN", "--file", "-", stdin="mine too\n").code == 0
    assert filled("get", "PLAIN").out == "mine too\n"


@pytest.mark.parametrize(("answer", "code", "versions"), [(True, 0, 2), (False, 2, 1)])
def test_at_a_terminal_a_secret_without_a_rotator_is_asked_about(
    filled: Cli, terminal: Callable[..., list[str]], answer: bool, code: int, versions: int
) -> None:
    asked = terminal(answer)
    result = filled("rotate", "PLAIN")
    assert (result.code, asked) == (
        code,
        ["'PLAIN' has no rotator, so no source is told of a new value. Replace its value with a generated one here?"],
    )
    assert filled("history", "PLAIN").out.count("\n") == versions
    assert ("`strongroom rollback PLAIN 1` goes back" in result.err) == answer


def test_at_a_real_terminal_enter_changes_nothing(filled: Cli) -> None:
    code, screen = terminal_session([*STRONGROOM, "rotate", "PLAIN"], [(b"[y/N] ", b"\n")])
    assert (code, b"nothing was changed" in screen) == (2, True)
    assert filled("get", "PLAIN").out == "x\n"


def test_a_secret_with_a_rotator_is_not_asked_about(filled: Cli, terminal: Callable[..., list[str]]) -> None:
    asked = terminal()
    assert filled("rotate", "DB", "--wait", "0s").code == 0
    assert asked == []


def test_a_period_alone_changes_the_attachment_and_rotates_nothing(filled: Cli) -> None:
    def attached() -> tuple[object, ...]:
        row = json.loads(filled("rotate", "status", "DB", "--json").out)[0]
        return row["rotator"], row["every"], row["grace"], row["version"]

    result = filled("rotate", "DB", "--every", "60d")
    assert result.code == 0
    assert "DB: due every 60d, next 20" in result.err
    assert "nothing was rotated" in result.err
    assert attached() == (URL, 60 * 86400, 3600, 1)
    assert filled("rotate", "DB", "--grace", "0s").code == 0
    assert attached() == (URL, 60 * 86400, 0, 1)
    assert filled("rotate", "DB", "--every", "2w", "--grace", "5m").code == 0
    assert attached() == (URL, 14 * 86400, 300, 1)


def test_the_way_back_is_a_way_back(filled: Cli) -> None:
    filled("rotate", "PLAIN", "--generate")
    result = filled("rotate", "PLAIN", "--generate")
    assert "`strongroom rollback PLAIN 2` goes back" in result.err
    value = filled("get", "PLAIN", "--version", "2").out
    assert filled("rollback", "PLAIN", "2").code == 0
    assert filled("get", "PLAIN").out == value


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("webhook:http://127.0.0.1:9/rotate#key=none", "there is no secret 'none', which a rotator needs"),
        ("webhook:http://127.0.0.1:9/rotate", "127.0.0.1:9 did not answer test"),
    ],
)
def test_attach_looks_at_what_it_names(filled: Cli, url: str, said: str) -> None:
    before = everything(filled)
    result = filled("rotate", "PLAIN", "--attach", url)
    assert (result.code, said in result.err, "nothing was attached" in result.err) == (11, True, True), result.err
    assert everything(filled) == before
