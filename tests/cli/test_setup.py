"""`init`, `keygen` and the care for git."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from strongroom import generate_master_key
from strongroom.cli import git
from strongroom.system import files

from .conftest import VALUE, Cli


def test_first_use_is_init_set_get(cli: Cli) -> None:
    assert cli("init", "--generate-key").code == 0
    assert cli("set", "POSTGRES_PASSWORD", stdin=VALUE).code == 0
    assert cli("get", "POSTGRES_PASSWORD").out == f"{VALUE}\n"


def test_a_new_key_is_private_and_its_place_is_told(cli: Cli, project: Path) -> None:
    result = cli("init", "-y")
    key = project / "master.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert 'export SECRETS_MASTER_KEY="$(cat master.key)"' in result.err
    assert "Keep a copy somewhere safe" in result.err
    assert key.read_text().strip() not in result.err
    assert result.out == ""


def test_without_a_terminal_a_key_is_made_only_when_it_is_said(cli: Cli, project: Path) -> None:
    result = cli("init")
    assert result.code == 4
    assert "--generate-key" in result.err
    assert list(project.iterdir()) == []


def test_on_a_terminal_a_key_is_made_when_the_human_agrees(
    cli: Cli, project: Path, terminal: Callable[..., list[str]]
) -> None:
    asked = terminal(False, True)
    assert cli("init").code == 4
    assert list(project.iterdir()) == []
    assert cli("init").code == 0
    assert asked == ["There is no master key. Make a new one in master.key?"] * 2


def test_a_key_in_the_environment_is_used(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    assert cli("init", "-y").code == 0
    assert not (project / "master.key").exists()
    assert cli("set", "A", stdin=VALUE).code == 0
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    assert cli("get", "A").code == 4


def test_a_key_file_that_is_there_is_used(cli: Cli, project: Path) -> None:
    assert cli("keygen", "--output", "master.key").code == 0
    before = (project / "master.key").read_bytes()
    assert cli("init").code == 0
    assert (project / "master.key").read_bytes() == before


def test_a_key_file_that_is_named_and_missing_is_made_there(cli: Cli, project: Path) -> None:
    assert cli("init", "-y", "--key", "file:keys/app.key", "--store", "sqlite:data/app.db").code == 0
    assert (project / "keys" / "app.key").exists()
    assert json.loads(cli("list", "--key", "file:keys/app.key", "--store", "sqlite:data/app.db", "--json").out) == []


def test_a_key_beside_a_store_elsewhere_is_found(cli: Cli, project: Path) -> None:
    assert cli("init", "-y", "--store", "file:shared/secrets.enc").code == 0
    assert (project / "shared" / "master.key").exists()
    assert cli("list", "--store", "file:shared/secrets.enc").code == 0


def test_a_bad_key_makes_no_store(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_MASTER_KEY", VALUE)
    result = cli("init", "-y")
    assert result.code == 2
    assert VALUE not in result.err
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:secrets.db", "file:secrets.enc"])
def test_a_store_is_never_overwritten(cli: Cli, project: Path, url: str) -> None:
    cli("init", "-y", "--store", url)
    cli("set", "A", "--store", url, stdin=VALUE)
    (project / "master.key").rename(project / "kept.key")
    result = cli("init", "-y", "--store", url)
    assert result.code == 8
    assert "exists already" in result.err
    assert not (project / "master.key").exists()
    assert cli("get", "A", "--store", url, "--key", "file:kept.key").out == f"{VALUE}\n"


def test_a_key_stays_when_the_store_cannot_be_made(cli: Cli, project: Path) -> None:
    (project / "logs").write_text("in the way of the log's directory")
    result = cli("init", "-y")
    assert result.code == 9
    assert "the new master key stays in master.key" in result.err
    assert (project / "master.key").exists()


def test_a_directory_that_cannot_be_made_is_an_error(cli: Cli, project: Path) -> None:
    (project / "file").write_text("")
    assert cli("init", "-y", "--store", "sqlite:file/secrets.db").code in (2, 8)


def test_the_algorithm_is_chosen(cli: Cli) -> None:
    cli("init", "-y", "--algorithm", "fernet")
    keys = json.loads(cli("rekey", "list", "--json").out)["keys"]
    assert [key["algorithm"] for key in keys if key["purpose"] == "record"] == ["fernet"]


def test_json_says_what_was_made(cli: Cli, project: Path) -> None:
    (project / ".git").mkdir()
    made = json.loads(cli("init", "-y", "--json").out)
    assert made == {
        "store": "sqlite:secrets.db", "key": "file:master.key", "audit": "file:logs/secrets_audit.log",
        "key_file_made": "master.key", "gitignore": [".gitignore"], "settings_file_made": None,
    }  # fmt: skip


def test_keygen_prints_a_key_or_writes_a_private_file(cli: Cli, project: Path) -> None:
    assert len(cli("keygen").out) == 45
    result = cli("keygen", "-o", "k")
    assert (result.code, result.out) == (0, "")
    assert stat.S_IMODE((project / "k").stat().st_mode) == 0o600
    before = (project / "k").read_bytes()
    assert cli("keygen", "-o", "k").code == 2
    assert (project / "k").read_bytes() == before


KEY = ["master.key", "master.key.*.new"]
DATABASE = ["secrets.db", "secrets.db-*", "secrets.db.*.new"]
DOCUMENT = ["secrets.enc.lock", "secrets.enc-held", "secrets.enc.*.new", ".secrets.enc.*.tmp"]
LOG = ["logs/secrets_audit.log", "logs/secrets_audit.log.*"]


def test_git_ignores_the_key_the_log_and_what_lies_beside_the_store(cli: Cli, project: Path) -> None:
    (project / ".git").mkdir()
    assert ".gitignore lists what must not be committed" in cli("init", "-y").err
    assert (project / ".gitignore").read_text().splitlines() == [*KEY, *DATABASE, *LOG]


def test_git_ignores_what_belongs_to_the_kind_of_a_bare_path(cli: Cli, project: Path) -> None:
    (project / ".git").mkdir()
    cli("init", "-y", "--store", "secrets.enc")
    assert (project / ".gitignore").read_text().splitlines() == [*KEY, *DOCUMENT, *LOG]


@pytest.mark.parametrize("key", ["env:SECRETS_MASTER_KEY", "file:/elsewhere/master.key", "file:master.key"])
def test_git_ignores_the_same_when_no_key_is_made(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, key: str
) -> None:
    (project / ".git").mkdir()
    key = key.replace("/elsewhere", str(tmp_path_factory.mktemp("elsewhere")))
    if key.startswith("env:"):
        monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    else:
        cli("keygen", "-o", key.removeprefix("file:"))
    assert cli("init", "--key", key).code == 0
    listed = (project / ".gitignore").read_text().splitlines()
    assert listed == [*(KEY if key == "file:master.key" else []), *DATABASE, *LOG]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is asked what it sees")
@pytest.mark.parametrize(("url", "seen"), [("sqlite:secrets.db", []), ("file:shared/secrets.enc", ["secrets.enc"])])
def test_git_sees_nothing_of_a_store_in_use_but_a_document(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, url: str, seen: list[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    monkeypatch.setenv("STRONGROOM_STORE", url)
    monkeypatch.setenv("STRONGROOM_AUDIT_MAX_BYTES", "3000")
    cli("init", "-y")
    with strongroom.open() as secrets:
        for number in range(10):
            secrets.set_secret("A", str(number))
            assert secrets.get_secret("A") == secrets.get_secret("A")
        assert {path.name for path in (project / "logs").iterdir()} > {"secrets_audit.log", "secrets_audit.log.000001"}
        told = subprocess.run(["git", "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True)
    assert [line[3:].rpartition("/")[2] for line in told.stdout.splitlines()] == [".gitignore", *seen]


def test_a_work_tree_of_its_own_below_the_project_has_a_gitignore_of_its_own(cli: Cli, project: Path) -> None:
    (project / "module" / ".git").mkdir(parents=True)
    cli("init", "-y", "--store", "sqlite:module/secrets.db")
    assert not (project / ".gitignore").exists()
    assert (project / "module" / ".gitignore").read_text().splitlines() == [*KEY, *DATABASE]


def test_outside_of_a_work_tree_there_is_no_gitignore(cli: Cli, project: Path) -> None:
    cli("init", "-y")
    assert not (project / ".gitignore").exists()


@pytest.mark.parametrize("before", [b"*.pyc", b"*.pyc\n", b"/master.key\n", b""])
def test_a_gitignore_keeps_its_lines(cli: Cli, project: Path, before: bytes) -> None:
    (project / ".gitignore").write_bytes(before)
    cli("init", "-y", "--store", "file:secrets.enc")
    after = (project / ".gitignore").read_bytes()
    assert after.startswith(before)
    lines = after.splitlines()
    assert lines.count(b"master.key") + lines.count(b"/master.key") == 1
    assert b"secrets.enc.lock" in lines


def test_a_gitignore_that_cannot_be_written_is_warned_of(cli: Cli, project: Path) -> None:
    (project / ".gitignore").mkdir()
    result = cli("init", "-y")
    assert result.code == 0
    assert "never commit master.key, secrets.db, logs/secrets_audit.log" in result.err


def test_a_key_is_ignored_by_a_line_between_it_and_the_top(project: Path) -> None:
    (project / ".git").mkdir()
    below = project / "a" / "b"
    below.mkdir(parents=True)
    key = str(below / "master.key")
    assert not git.ignores(key)
    for line in ("master.key", "/a/b/master.key", "*.key"):
        (project / ".gitignore").write_text(f"{line}\n")
        assert git.ignores(key)
    (project / ".gitignore").write_text("/master.key\n")
    assert not git.ignores(key)
    assert git.work_tree(str(below)) == str(project)


def test_a_new_passphrase_is_asked_for_twice(
    cli: Cli, project: Path, terminal: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = "six random words make a passphrase"
    asked = terminal("too short")
    assert cli("init", "--key", "passphrase:").code == 2
    assert asked == ["New passphrase: "]
    asked = terminal(passphrase, "a slip", passphrase, passphrase, "another good passphrase", "another good passphrase")
    assert cli("init", "--key", "passphrase:").code == 2
    assert list(project.iterdir()) == []
    assert cli("init", "--key", "passphrase:").code == 0
    monkeypatch.setenv("STRONGROOM_PASSPHRASE", passphrase)
    assert cli("list", "--key", "passphrase:").code == 0
    assert cli("rekey", "master", "--key", "passphrase:", "--to", "passphrase:").code == 0
    assert cli("list", "--key", "passphrase:").code == 4
    monkeypatch.setenv("STRONGROOM_PASSPHRASE", "another good passphrase")
    assert cli("list", "--key", "passphrase:").code == 0
    assert asked == ["New passphrase: ", "The same again: "] * 3


@pytest.mark.parametrize("redirect", ["> master.key", ">> master.key", "| cat > master.key"])
def test_a_key_that_the_shell_has_put_into_a_file_was_made_here(cli: Cli, project: Path, redirect: str) -> None:
    command = f'umask 077; "{sys.executable}" -m strongroom keygen {redirect}'
    subprocess.run(["sh", "-c", command], check=True)
    assert files.is_marked("master.key") == ("|" not in redirect)
    assert cli("init").code == (2 if "|" in redirect else 0)


def test_a_file_that_holds_more_than_the_key_is_not_taken_for_one(cli: Cli, project: Path) -> None:
    (project / ".env").write_text("A=")
    subprocess.run(["sh", "-c", f'"{sys.executable}" -m strongroom keygen >> .env'], check=True)
    assert not files.is_marked(".env")
