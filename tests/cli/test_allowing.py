"""`allow`. What needs permission: tests/attacks/test_settings_of_clones.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from strongroom.errors import ConfigError
from strongroom.settings import permits

from .conftest import Cli

TEXT = "audit_keep = 3\n"


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty memory."""
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    return state


def test_what_was_allowed_is_shown_listed_and_taken_back(store: Cli, project: Path) -> None:
    (project / "strongroom.toml").write_text(TEXT)
    refused = store("list")
    assert refused.code == 2
    assert f"{project}/strongroom.toml was found, not named, and needs your permission: audit_keep = 3" in refused.err
    allowed = store("allow")
    assert (allowed.code, allowed.out) == (0, "")
    assert "audit_keep = 3: older parts of the audit log are removed" in allowed.err
    assert store("list").code == 0
    assert store("allow", "--list").out.startswith(f"{project}\taudit_keep = 3")
    listed = json.loads(store("allow", "--list", "--json").out)
    assert [entry["directory"] for entry in listed] == [str(project)]
    assert "forgotten: 1 permission" in store("allow", "--revoke").err
    assert store("allow", "--list").out == ""
    assert store("list").code == 2


def test_another_directory_is_allowed_and_revoked_from_afar(
    store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "strongroom.toml").write_text(TEXT)
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert json.loads(store("allow", "..", "--json").out)["directory"] == str(project)
    assert store("list").code == 0
    (project / "strongroom.toml").unlink()
    assert json.loads(store("allow", str(project), "--revoke", "--json").out)["revoked"] == 1


def test_allowed_twice_is_allowed_once(store: Cli, project: Path, state: Path) -> None:
    (project / "strongroom.toml").write_text(TEXT)
    assert store("allow").code == store("allow").code == 0
    assert len(list((state / "strongroom" / "allowed").iterdir())) == 1


def test_where_nothing_needs_permission_nothing_is_remembered(store: Cli, project: Path, state: Path) -> None:
    result = store("allow")
    assert (result.code, list(state.iterdir())) == (0, [])
    assert "needs no permission" in result.err


def test_a_key_is_unknown_again_after_its_permission_was_revoked(store: Cli) -> None:
    assert store("allow", "--revoke").code == 0
    assert store("list").code == 2
    assert store("allow").code == 0
    assert store("list").code == 0


def test_an_allowed_key_stays_allowed_when_its_mode_is_mended(store: Cli, project: Path) -> None:
    content = (project / "master.key").read_bytes()
    (project / "master.key").unlink()
    (project / "master.key").write_bytes(content)
    (project / "master.key").chmod(0o644)
    refused = store("list")
    assert refused.code == 2
    assert f"STRONGROOM_KEY=file:{project}/master.key" in refused.err
    assert store("allow").code == 0
    assert "chmod 600" in store("list").err
    (project / "master.key").chmod(0o600)
    assert store("list").code == 0
    told = store("allow", "--revoke").err
    assert "forgotten: 1 permission, and that the key" in told
    assert store("list").code == 2


def test_many_things_that_need_permission_are_told_in_short(store: Cli, project: Path) -> None:
    (project / "strongroom.toml").write_text(TEXT + 'on_error = "fallback"\non_rollback = "warn"\n')
    told = store("list").err
    assert "(and 2 more: `strongroom doctor` lists all)" in told
    assert f"name it: STRONGROOM_CONFIG={project}/strongroom.toml" in told
    assert len(told) < 4 * 120
    assert sum(line.startswith("FAIL") for line in store("doctor").out.splitlines()) == 3


@pytest.mark.parametrize(
    "words", [["--list", "--revoke"], ["--list", "."], ["gone"], ["--config", "x.toml"], ["--store", "x", "gone"]]
)
def test_words_that_cannot_be_right_are_refused(store: Cli, words: list[str]) -> None:
    assert store("allow", *words).code == 2


def test_what_overrides_the_settings_today_is_not_relied_on(
    store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "strongroom.toml").write_text(TEXT)
    monkeypatch.setenv("STRONGROOM_AUDIT_KEEP", "0")
    assert store("list").code == 0
    assert store("allow").code == 0
    monkeypatch.delenv("STRONGROOM_AUDIT_KEEP")
    assert store("list").code == 0


# Where permissions are kept


def test_without_a_home_nothing_is_remembered_and_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(permits, "_home", lambda: "")
    assert not permits.is_allowed(b"x")
    assert list(permits.entries()) == []
    with pytest.raises(ConfigError, match="set HOME, or XDG_STATE_HOME"):
        permits.remember(b"x", "/project", "text")


def test_by_default_they_are_in_the_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(project / "home"))
    permits.remember(b"x", "/project", "text")
    assert permits.is_allowed(b"x")
    assert not permits.is_allowed(b"y")
    (entry,) = (project / "home" / ".local" / "state" / "strongroom" / "allowed").iterdir()
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(permits, "_home", lambda: str(project / "home"))
    assert list(permits.entries()) == [(str(entry), "/project", "text")]


def test_a_memory_that_cannot_be_written_is_an_error(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "strongroom").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot be written: .*Set XDG_STATE_HOME"):
        permits.remember(b"x", "/project", "text")


def test_what_is_no_entry_is_not_listed(state: Path) -> None:
    directory = state / "strongroom" / "allowed"
    permits.remember(b"x", "/project", "text")
    (directory / "one line").write_text("x")
    os.mkfifo(directory / "pipe")
    (directory / "link").symlink_to(next(directory.glob("*[0-9a-f]")))
    assert [entry[1:] for entry in permits.entries()] == [("/project", "text")]


def test_a_directory_where_others_can_write_is_no_memory(state: Path) -> None:
    permits.remember(b"x", "/project", "text")
    state.chmod(0o777)
    with pytest.raises(ConfigError, match=r"is not believed: .*chmod o-w"):
        permits.is_allowed(b"x")
    with pytest.raises(ConfigError, match="would not be believed"):
        permits.remember(b"y", "/project", "text")
    state.chmod(0o700)
