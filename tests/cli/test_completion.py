"""`completion`: the scripts say what the tables say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from strongroom.cli import completion, values
from strongroom.cli.commands import ALIASES, COMMANDS

from .conftest import Cli

COMPLETE = 'source <(cat "$1"); COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _strongroom; echo "${COMPREPLY[*]}"'


@pytest.fixture
def complete(cli: Cli, tmp_path_factory: pytest.TempPathFactory):
    script = tmp_path_factory.mktemp("bash") / "completion"
    script.write_text(cli("completion", "bash").out)

    def complete(*words: str) -> set[str]:
        argv = ["bash", "-c", COMPLETE, "bash", str(script), "strongroom", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


def test_bash_completes_commands_options_and_groups(complete) -> None:
    assert complete("") == {name.split()[0] for name in (*COMMANDS, *ALIASES)}
    assert complete("ro") == {"rotate", "rollback"}
    assert complete("audit", "") == {"log", "verify", "export", "keys"}
    assert complete("--store", "x", "rekey", "re") == {"remove"}
    assert complete("get", "--ve") == {"--version"}
    assert complete("ls", "--lo") == {"--long"}
    assert "--accept" in complete("verify", "--")
    assert "--store" in complete("--")


def test_bash_completes_the_values_of_options(complete, project: Path) -> None:
    (project / "values.json").touch()
    assert complete("set", "--alphabet", "") == set(values.ALPHABETS)
    assert complete("import", "x", "--format", "d") == {"dotenv"}
    assert complete("completion", "z") == {"zsh"}
    assert complete("set", "A", "--file", "v") == {"values.json"}  # and not `verify`
    assert complete("--store", "") == {"values.json"}
    assert complete("get", "--version", "") == {"values.json"}  # not an option, in a number's place


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_knows_every_command_and_option(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    for name in COMMANDS:
        assert name.split()[-1] in result.out
        for option in completion.options_of(name):
            assert option.flag.lstrip("-") in result.out


def test_an_unknown_shell_is_refused(cli: Cli) -> None:
    assert cli("completion", "tcsh").code == 2
