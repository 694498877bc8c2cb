"""The command line run in this process, in a project of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from strongroom import generate_master_key
from strongroom.cli import main

VALUE = "correct horse battery staple"
PROGRAM = f"""#!{sys.executable}
import json, os, sys
request = json.load(sys.stdin)
if sys.argv[1] == "create":
    print(json.dumps({{"value": os.urandom(8).hex()}}))
# The look at the value that is valid already goes well.
looks = sys.argv[1] == "test" and request["pending"] == {{"value": "x"}}
sys.exit(sys.argv[1] in open("{{place}}").read() and not looks)
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str
    raw: bytes


class Cli:
    """Calls `main` as a user types it, with a standard input that is no terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture

    def __call__(self, *words: str, stdin: str | bytes = b"") -> Result:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        self._capture.readouterr()
        code = main(list(words))
        out, err = self._capture.readouterr()
        return Result(code, out.decode("utf-8", "replace"), err.decode(), out)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, and no settings from outside."""
    for name in list(os.environ):
        if name.startswith(("STRONGROOM_", "SECRETS_MASTER_KEY", "NO_COLOR", "VISUAL", "EDITOR")):
            monkeypatch.delenv(name)
    # One directory that this user cannot enter, and a program that is nowhere is "permission denied".
    usable = [directory for directory in os.get_exec_path() if os.access(directory, os.X_OK)]
    monkeypatch.setenv("PATH", os.pathsep.join(usable))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(project: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """`strongroom` in an empty directory."""
    return Cli(monkeypatch, capsysbinary)


@pytest.fixture
def store(cli: Cli) -> Cli:
    """`strongroom` where a store is, with a key file beside it."""
    assert cli("init", "--generate-key").code == 0
    return cli


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Pretend that a human answers: yields a function that takes the answers, and returns the questions."""
    from strongroom.cli.output import Output

    def answer(*answers: Any) -> list[str]:
        left, asked = list(answers), []

        def take(self: Output, question: str, *, default: bool | None = None) -> Any:
            asked.append(question)
            return left.pop(0)

        monkeypatch.setattr(Output, "can_ask", property(lambda self: True))
        monkeypatch.setattr(Output, "agrees", take)
        monkeypatch.setattr(Output, "hidden", take)
        return asked

    return answer


@pytest.fixture
def process(project: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """`strongroom` as a process of its own."""

    def run(*words: str, stdin: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "strongroom", *words]
        return subprocess.run(argv, input=stdin, capture_output=True, timeout=30, check=False, **more)

    return run


@pytest.fixture
def other_key(project: Path) -> str:
    """The URL of a master key that is not the store's."""
    path = project / "other.key"
    path.write_text(generate_master_key() + "\n")
    path.chmod(0o600)
    return f"file:{path}"


@pytest.fixture
def program(project: Path, safe_directory: Path) -> Path:
    """A rotator whose steps that are written in the file `fails` fail."""
    path = safe_directory / "rotator"
    path.write_text(PROGRAM.replace("{place}", str(project / "fails")))
    path.chmod(0o755)
    (project / "fails").write_text("")
    return path
