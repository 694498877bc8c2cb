"""`import` and `export`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from .conftest import VALUE, Cli

DOTENV = f"A='{VALUE}'\nB=two\n"


def names(store: Cli) -> list[str]:
    return store("list").out.split()


def test_a_dotenv_file_is_imported_and_the_next_steps_are_told(store: Cli, project: Path) -> None:
    (project / ".env").write_text(DOTENV)
    result = store("import", ".env")
    assert (result.code, result.out) == (0, "")
    assert "2 secrets imported" in result.err
    assert ".env still holds them in the clear" in result.err
    assert VALUE not in result.err
    assert store("get", "A").out == f"{VALUE}\n"


def test_json_and_yaml_are_imported_with_fields(store: Cli, project: Path) -> None:
    (project / "s.json").write_text('{"a": "x", "db": {"user": "me", "port": 1}}')
    assert store("import", "s.json", "--prefix", "app/").code == 0
    assert store("get", "app/db", "--field", "user").out == "me\n"
    assert store("import", "-", "--format", "yaml", stdin="c: z\n").code == 0
    assert store("get", "c").out == "z\n"


def test_variables_are_imported_by_name(store: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", VALUE)
    assert store("import", "--format", "env", "TOKEN").code == 0
    assert store("get", "TOKEN").out == f"{VALUE}\n"
    assert "NOT_SET" in store("import", "--format", "env", "TOKEN", "NOT_SET").err
    assert store("import", "--format", "env").code == 2


@pytest.mark.parametrize("shape", ["tokens", "one token"])
@pytest.mark.parametrize("source", ["env:OLD_KEY", "file:old.key"])
def test_a_fernet_encrypted_file_is_imported_with_its_own_key(
    store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, shape: str, source: str
) -> None:
    key = Fernet.generate_key()
    monkeypatch.setenv("OLD_KEY", key.decode())
    (project / "old.key").write_bytes(key + b"\n")
    token = Fernet(key).encrypt(VALUE.encode()).decode()
    whole = Fernet(key).encrypt(json.dumps({"A": VALUE}).encode())
    (project / "old").write_bytes(json.dumps({"A": token}).encode() if shape == "tokens" else whole)
    assert store("import", "old", "--format", "fernet-json", "--source-key", source).code == 0
    assert store("get", "A").out == f"{VALUE}\n"


@pytest.mark.parametrize("source", [(), ("env:NOT_SET",), ("file:none",), ("OLD_KEY",), ("env:",)])
def test_the_old_key_must_be_named(store: Cli, project: Path, source: tuple[str, ...]) -> None:
    (project / "old").write_text("{}")
    options = ("--source-key", *source) if source else ()
    assert store("import", "old", "--format", "fernet-json", *options).code == 2


def test_the_wrong_old_key_exits_with_4(store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", Fernet.generate_key().decode())
    (project / "old").write_bytes(Fernet(Fernet.generate_key()).encrypt(b'{"A": "x"}'))
    assert store("import", "old", "--format", "fernet-json", "--source-key", "env:OLD_KEY").code == 4


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ((".env",), "A=1\nnot a line\n"),
        ((".env",), "A=1\nA=2\n"),
        ((".env",), ""),
        (("s.json",), '{"A": "' + VALUE),
        (("s.json",), '{"A": null}'),
        (("s.json",), '{"A": "x", "a//b": "x"}'),
        (("s.unknown",), "A=1"),
        (("none.env",), None),
        (("-",), "A=1"),
        ((), None),
        (("a.env", "b.env"), None),
        ((".env", "--source-key", "env:X"), "A=1"),
        ((".env", "--only", "A,NONE"), "A=1"),
        ((".env", "--overwrite", "--skip-existing"), "A=1"),
    ],
)
def test_bad_input_imports_nothing(store: Cli, project: Path, words: tuple[str, ...], content: str | None) -> None:
    if words and content is not None:
        (project / words[0]).write_text(content)
    result = store("import", *words, stdin=content or "")
    assert result.code == 2
    assert VALUE not in result.err
    assert names(store) == []


def test_existing_names_are_listed_unless_it_is_said_what_to_do(store: Cli, project: Path) -> None:
    (project / ".env").write_text(DOTENV)
    store("set", "A", stdin="mine")
    result = store("import", ".env")
    assert result.code == 7
    assert "exist already: A." in result.err
    assert names(store) == ["A"]
    assert "A: exists, skipped" in store("import", ".env", "--skip-existing").err
    assert store("get", "A").out == "mine\n"
    assert store("import", ".env", "--overwrite").code == 0
    assert store("get", "A").out == f"{VALUE}\n"
    assert json.loads(store("import", ".env", "--skip-existing", "--json").out)["skipped"] == ["A", "B"]


def test_a_deleted_name_is_overwritten_only_when_it_is_said(store: Cli, project: Path) -> None:
    (project / ".env").write_text(DOTENV)
    store("set", "B", stdin="x")
    store("rm", "B")
    result = store("import", ".env")
    assert result.code == 7
    assert "'B' was deleted before" in result.err
    assert names(store) == []
    assert store("import", ".env", "--overwrite").code == 0


def test_a_dry_run_changes_nothing(store: Cli, project: Path) -> None:
    (project / ".env").write_text(DOTENV)
    store("set", "A", stdin="mine")
    result = store("import", ".env", "--dry-run", "--overwrite")
    assert "A: would get a new version" in result.err
    assert "B: would be made" in result.err
    assert names(store) == ["A"]
    assert json.loads(store("import", ".env", "--dry-run", "--overwrite", "--json").out) == {
        "imported": {}, "would_import": ["A", "B"], "existing": ["A"], "skipped": [],
    }  # fmt: skip


def test_only_some_names_are_imported(store: Cli, project: Path) -> None:
    (project / ".env").write_text(DOTENV)
    assert store("import", ".env", "--only", "B").code == 0
    assert names(store) == ["B"]


@pytest.mark.parametrize("file_format", ["dotenv", "json", "yaml"])
def test_an_export_is_imported_again_as_it_was(store: Cli, project: Path, file_format: str) -> None:
    values = {"A": VALUE, "B": "two\nlines 'quoted' \"twice\" $HOME #", "C": "ä"}
    for name, value in values.items():
        store("set", f"app/{name}", "--raw", stdin=value)
    text = store("export", "--prefix", "app/", "--format", file_format).raw
    assert store("import", "-", "--format", file_format, "--prefix", "copy/", stdin=text).code == 0
    assert {name: store("get", f"copy/{name}", "-n").out for name in values} == values


def test_an_export_names_secrets_and_keeps_fields(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    store("set", "db", "--json-data", stdin='{"user": "me"}')
    assert json.loads(store("export", "db", "--format", "json").out) == {"db": {"user": "me"}}
    assert store("export", "A", "--format", "shell").out == f"export A='{VALUE}'\n"
    assert store("export", "NONE").code == 3
    assert store("export", "db").code == 2


def test_an_exported_file_is_private_and_replaces_nothing_unless_forced(store: Cli, project: Path) -> None:
    store("set", "A", stdin=VALUE)
    assert store("export", "--output", "x.env").code == 0
    assert stat.S_IMODE((project / "x.env").stat().st_mode) == 0o600
    (project / "x.env").write_text("mine")
    assert store("export", "--output", "x.env").code == 2
    assert (project / "x.env").read_text() == "mine"
    assert store("export", "--output", "x.env", "--force").code == 0
    assert VALUE in (project / "x.env").read_text()
    assert sorted(path.name for path in project.iterdir() if ".tmp" in path.name) == []
    assert store("export", "--force").code == 2


def test_an_export_that_cannot_be_written_leaves_nothing(store: Cli, project: Path) -> None:
    result = store("export", "--output", "none/x.env")
    assert result.code == 1
    assert "No such file or directory" in result.err
