"""Whoever may write a secret does not thereby run code as whoever types `strongroom run`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.cli.variables import check_variable
from strongroom.errors import InvalidInputError

KEY = "fmjCyL2qxjpYWm64MTp2zfC7cHWrS3nAbIAVVXL7Uvo="


def _names() -> dict[str, list[str]]:
    text = Path(__file__).with_name("variable_names.txt").read_text()
    parts = [part.partition("\n") for part in text.removeprefix("# ").split("\n# ")]
    return {title.partition(":")[0]: names.split() for title, _, names in parts}


NAMES = _names()


def passes(variable: str, *, asked: bool = False) -> bool:
    try:
        return check_variable(variable, "name", asked=asked) == variable
    except InvalidInputError:
        return False


@pytest.mark.parametrize("kind", ["sudo", "glibc", "interpreters", "tools", "further", "invented"])
def test_no_name_that_turns_into_code_comes_from_the_store(kind):
    assert [name for name in NAMES[kind] if passes(name)] == []


def test_usual_names_of_secrets_pass_without_a_question():
    assert [name for name in NAMES["usual"] if not passes(name)] == []


def test_what_decides_on_code_is_refused_even_when_it_is_asked_for():
    never = """LD_PRELOAD BASH_ENV NODE_OPTIONS PYTHONPATH PERLLIB RUBYOPT MAKEFLAGS GIT_SSH_COMMAND GIT_CONFIG_KEY_0
        PATH IFS STRONGROOM_PASSPHRASE STRONGROOM_X_TOKEN SECRETS_MASTER_KEY SECRETS_MASTER_KEY_OLD"""
    assert [name for name in never.split() if passes(name, asked=True)] == []
    asked = "KUBECONFIG HTTPS_PROXY PIP_INDEX_URL APP_CONFIG FEATURE_FLAGS SSL_CERT_FILE npm_config_x"
    assert [name for name in asked.split() if not passes(name, asked=True) or passes(name)] == []


@pytest.fixture
def strongroom(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    environ = {"PATH": os.environ["PATH"], "SECRETS_MASTER_KEY": KEY}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    where = ("--store", f"sqlite:{tmp_path}/secrets.db", "--audit", f"file:{tmp_path}/audit.log")

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command, *rest = words
        argv = [sys.executable, "-m", "strongroom", command, *where, *rest]
        return subprocess.run(argv, cwd=tmp_path, env=environ, input=stdin, capture_output=True, text=True, timeout=60)

    assert run("init").returncode == 0
    return run


PROGRAMS = {
    "bash": ("BASH_ENV", "{directory}/evil.sh", ("bash", "-c", "true")),
    "make": ("MAKEFLAGS", "--eval=$(shell touch {directory}/ran)", ("make", "-f", "/dev/null")),
    "perl": ("PERL5OPT", "-I{directory} -Mevil", ("perl", "-e", "1")),
    "git": ("GIT_SSH_COMMAND", "touch {directory}/ran;", ("git", "ls-remote", "ssh://example.invalid/x")),
    "less": ("LESSOPEN", "|touch {directory}/ran; cat %s", ("less", "-E", "evil.sh")),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_real_programs_run_no_code_of_a_secret(strongroom, tmp_path, program):
    if not shutil.which(program):
        pytest.skip(f"there is no {program} here")
    name, value, command = PROGRAMS[program]
    (tmp_path / "evil.sh").write_text(f"touch {tmp_path}/ran\n")
    (tmp_path / "evil.pm").write_text(f"system('touch {tmp_path}/ran'); 1;\n")
    value = value.replace("{directory}", str(tmp_path))
    environ = {"PATH": os.environ["PATH"], name: value}
    subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    if not (tmp_path / "ran").exists():
        pytest.skip(f"this {program} does not run what {name} says")
    (tmp_path / "ran").unlink()
    assert strongroom("set", name, stdin=value).returncode == 0
    for options in ((), ("--only", name), ("--env", f"{name}={name}")):
        done = strongroom("run", *options, "--", *command)
        assert (done.returncode, name in done.stderr, value in done.stderr) == (2, True, False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "document", "options"),
    [
        ("node/options", None, ()),
        ("node-options", None, ()),
        ("svc/NODE_OPTIONS", None, ("--prefix", "svc/")),
        ("svc/node.options", None, ("--prefix", "svc/", "--only", "node.options")),
        ("node", '{"options": "x", "y": "z"}', ()),
        ("x", '{"PRELOAD": "x", "y": "z"}', ("--env", "LD=x")),
        ("x", '{"config-path": "x", "y": "z"}', ("--only", "x")),
        ("x", None, ("--env", "NODE_OPTIONS=x")),
        ("http-proxy", None, ()),
    ],
)
def test_no_way_to_a_variable_leads_around_the_rule(strongroom, name, document, options):
    words = ("set", name, "--json-data") if document else ("set", name)
    assert strongroom(*words, stdin=document or "x").returncode == 0
    done = strongroom("run", *options, "--", "true")
    assert done.returncode == 2, done.stderr
    assert "would set" in done.stderr


def test_the_error_names_a_way_that_works(strongroom):
    for name in ("KUBECONFIG", "DB_PASSWORD"):
        strongroom("set", name, stdin="x")
    done = strongroom("run", "--", "true")
    assert "--env KUBECONFIG=KUBECONFIG" in done.stderr
    done = strongroom(
        "run", "--prefix", "", "--env", "KUBECONFIG=KUBECONFIG", "--", "sh", "-c", "echo $KUBECONFIG$DB_PASSWORD"
    )
    assert (done.returncode, done.stdout) == (0, "xx\n")
    assert strongroom("run", "--only", "KUBECONFIG", "--", "true").returncode == 0


@pytest.mark.parametrize("name", ["PROMPT_COMMAND", "BASH_ENV", "PATH", "KUBECONFIG"])
def test_a_shell_that_evaluates_an_export_runs_no_code_of_a_secret(strongroom, name):
    strongroom("set", name, stdin="touch ran")
    assert strongroom("export", "--format", "shell").returncode == 2
    assert strongroom("export", "--format", "dotenv").returncode == 0
