"""The commit-msg hook: git is asked for a commit, and makes it or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "tools" / "commit_subject.py"


@pytest.fixture
def commit(tmp_path, monkeypatch):
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = kept | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=environment)
    hook = tmp_path / ".git" / "hooks" / "commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HOOK}" "$1"\n')
    hook.chmod(0o755)

    def run(message: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "commit", "-q", "--allow-empty", "-F", "-"],
            input=message, text=True, capture_output=True, cwd=tmp_path, env=environment,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    "message",
    [
        "x" * 72,
        "é" * 72,
        "stores/sqlite: refuse unknown triggers\n\n" + "a body may have long lines, " * 9,
        "fixup! " + "x" * 72,
        "# what git shows in the editor, however long it is: it is no part of the message at all\nAdd a thing",
    ],
)
def test_a_subject_of_72_characters_is_committed(commit, message):
    assert commit(message).returncode == 0


@pytest.mark.parametrize("message", ["x" * 73, "é" * 73, "x" * 40 + "\n" + "y" * 40 + "\n\nbody", "\n\n" + "x" * 90])
def test_a_longer_subject_is_refused_with_both_numbers(commit, message):
    done = commit(message)
    assert done.returncode == 1
    assert "commit refused: the subject has " in done.stderr
    assert "at most 72 are allowed" in done.stderr
