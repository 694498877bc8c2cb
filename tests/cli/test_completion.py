"""`completion`: the scripts say what the tables and the pages of --help say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.cli import completion_words, values
from strongroom.cli.commands import rotating
from strongroom.cli.overview import ALIASES, COMMANDS, GROUPS

from .conftest import Cli

BASH = 'source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _strongroom; printf "%s\\n" "${COMPREPLY[@]}"'
FISH = 'source $argv[1]; complete --do-complete="$argv[2..-1]" | string split -f1 \\t'
Complete = Callable[..., set[str]]


@pytest.fixture(params=["bash", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not here")
    return request.param


@pytest.fixture
def complete(cli: Cli, shell: str, tmp_path_factory: pytest.TempPathFactory) -> Complete:
    """Return what the shell offers in place of the last word; with bash, nothing stands for the names of files."""
    script = tmp_path_factory.mktemp("completion") / "script"
    script.write_text(cli("completion", shell).out)

    def complete(*words: str) -> set[str]:
        start = ["bash", "-c", BASH, "bash"] if shell == "bash" else ["fish", "--no-config", "-c", FISH]
        argv = [*start, str(script), "strongroom", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=shell == "bash", timeout=20)
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


def options_on(page: str) -> set[str]:
    """Return the options that a page of --help lists, in all spellings."""
    rows = re.findall(r"^  (-[\w-]+(?:, -[\w-]+)?)", page, re.MULTILINE)
    return {flag for row in rows for flag in row.split(", ")}


def test_commands_groups_and_options_are_completed(complete: Complete) -> None:
    assert complete("") == {name.split()[0] for name in (*COMMANDS, *ALIASES)}
    assert complete("ro") == {"rotate", "rollback"}
    assert complete("audit", "") == {"log", "verify", "export", "keys"}
    assert complete("--store", "x", "rekey", "re") == {"remove"}
    assert complete("get", "--ve") == {"--version"}
    assert complete("get", "-n", "A", "--ve") == {"--version"}
    assert complete("audit", "log", "-n", "3", "--ac") == {"--action", "--actor"}
    assert complete("ls", "--lo") == {"--long"}
    assert complete("rekey", "list", "--lo") == set()
    assert complete("--vers") == {"--version"}


@pytest.mark.parametrize("name", [*COMMANDS, *ALIASES, ""])
def test_every_option_of_a_page_of_help_is_completed(cli: Cli, complete: Complete, name: str) -> None:
    page = options_on(cli(*name.split(), "--help").out)
    assert page >= {"--store", "-h", "--help"}
    assert complete(*name.split(), "--") | complete(*name.split(), "-") == page


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_every_command_of_a_page_of_help_is_completed(cli: Cli, complete: Complete, group: str) -> None:
    page = re.findall(rf"^  {group} ?([a-z]+).*  [a-z]", cli(*group.split(), "--help").out.partition("ptions")[0], re.M)
    aliases = set() if group else set(ALIASES)
    assert complete(*group.split(), "") == set(page) | aliases
    assert complete(*group.split(), "--st") == {"--store"}


def test_the_values_of_options_and_operands_are_completed(complete: Complete) -> None:
    assert complete("set", "--alphabet", "") == set(values.ALPHABETS)
    assert complete("import", "x", "--format", "d") == {"dotenv"}
    assert complete("rekey", "data", "--algorithm", "f") == {"fernet"}
    assert complete("completion", "z") == {"zsh"}
    assert complete("completion", "") == set(completion_words.SHELLS)
    assert complete("rotate", "") == set(rotating.ACTIONS)


@pytest.mark.parametrize(
    "words",
    [
        ("import",),
        ("scan",),
        ("render",),
        ("set", "A", "--file"),
        ("--store",),
        ("run", "--"),
        ("run", "--", "sh", "-c"),
        ("run", "sh"),
        ("get", "--version"),
    ],
)
def test_names_of_files_are_completed_where_one_is_meant(
    complete: Complete, project: Path, shell: str, words: tuple[str, ...]
) -> None:
    (project / "verify.json").touch()
    found = complete(*words, "v")
    # bash: to readline, which knows how to quote them.
    assert found == (set() if shell == "bash" else {"verify.json"})


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
def test_bash_completes_after_an_equals_sign_which_is_a_word_of_its_own(complete: Complete) -> None:
    assert complete("set", "--alphabet", "=", "he") == {"hex"}
    assert complete("set", "--alphabet", "=") == set(values.ALPHABETS)
    assert complete("set", "--alphabet=he") == {"--alphabet=hex"}
    assert complete("--store", "=", "x", "ge") == {"get"}


@pytest.mark.parametrize("shell", completion_words.SHELLS)
def test_a_script_is_printed_for_each_shell(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert f"# {shell} completion for strongroom" in result.out


def test_an_unknown_shell_is_refused(cli: Cli) -> None:
    assert cli("completion", "tcsh").code == 2
