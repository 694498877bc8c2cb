"""`audit`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from strongroom.cli.output import Output

from .conftest import VALUE, Cli

LOG = Path("logs/secrets_audit.log")


@pytest.fixture
def used(store: Cli) -> Cli:
    store("set", "A", stdin=VALUE)
    store("get", "A")
    store("get", "B")
    return store


def test_the_log_is_json_lines_newest_first(used: Cli) -> None:
    events = [json.loads(line) for line in used("audit", "log", "--action", "GET").out.splitlines()]
    assert [(event["name"], event["outcome"]) for event in events] == [("B", "not_found"), ("A", "ok")]
    assert len(used("audit", "log", "--limit", "3").out.splitlines()) == 3
    assert VALUE not in used("audit", "log").out


def test_the_log_is_filtered(used: Cli) -> None:
    for options in (("--name", "A", "--action", "GET"), ("--action", "GET", "--outcome", "ok", "--since", "1h")):
        (line,) = used("audit", "log", *options).out.splitlines()
        assert json.loads(line)["name"] == "A"
    assert used("audit", "log", "--by", "no-such-actor").out == ""
    assert used("audit", "log", "--since", "whenever").code == 2
    assert used("audit", "log", "--action", "NONSENSE").code == 2


def test_on_a_terminal_the_log_is_a_table(used: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "on_terminal", property(lambda self: True))
    lines = used("audit", "log", "--action", "GET").out.splitlines()
    assert lines[0].split() == ["TS", "ACTION", "NAME", "VERSION", "OUTCOME", "REASON", "ACTOR", "SERVICE", "PID"]
    assert lines[1].split()[1:5] == ["GET", "B", "-", "not_found"]


def test_an_untouched_log_verifies(used: Cli) -> None:
    result = used("audit", "verify")
    assert result.code == 0
    assert result.err.endswith("1 file: all as strongroom wrote them\n")
    assert json.loads(used("audit", "verify", "--json").out)["ok"] is True


def test_a_changed_line_exits_with_5_and_is_named(used: Cli) -> None:
    lines = LOG.read_bytes().splitlines(keepends=True)
    bad = next(number for number, line in enumerate(lines) if b'"GET"' in line)
    lines[bad] = lines[bad].replace(b'"name":"A"', b'"name":"X"')
    LOG.write_bytes(b"".join(lines))
    result = used("audit", "verify")
    assert result.code == 5
    assert f"line {bad + 1}: " in result.err
    assert "1 file: NOT as strongroom wrote them" in result.err
    assert f"line {bad + 1}: " in result.out


def test_an_auditor_verifies_without_the_master_key(used: Cli, project: Path) -> None:
    assert used("audit", "keys", "--output", "audit.json").code == 0
    assert stat.S_IMODE((project / "audit.json").stat().st_mode) == 0o600
    (project / "master.key").unlink()
    assert used("audit", "verify").code == 4
    assert used("audit", "verify", "--keys", "audit.json").code == 0
    lines = LOG.read_bytes().splitlines(keepends=True)
    LOG.write_bytes(b"".join(lines[:2]))
    assert used("audit", "verify", "--keys", "audit.json").code == 5


def test_an_auditor_without_the_store_is_warned(used: Cli, project: Path) -> None:
    keys = used("audit", "keys").out
    (project / "audit.json").write_text(keys)
    for path in project.glob("secrets.db*"):
        path.unlink()
    result = used("audit", "verify", "--keys", "audit.json")
    assert "a log whose end was cut off is not noticed" in result.err


def test_a_file_that_is_no_audit_keys_exits_with_2(used: Cli, project: Path) -> None:
    (project / "audit.json").write_text("{}")
    assert used("audit", "verify", "--keys", "audit.json").code == 2
    assert used("audit", "verify", "--keys", "none").code == 2


def test_the_export_is_oldest_first(used: Cli) -> None:
    times = [json.loads(line)["ts"] for line in used("audit", "export").out.splitlines()]
    assert times == sorted(times)


def test_a_csv_export_quotes_and_disarms(used: Cli) -> None:
    used("set", '=1+1,"x"', stdin=VALUE)
    rows = used("audit", "export", "--format", "csv", "--action", "SET").out.splitlines()
    assert rows[0].startswith("TS,ACTION,NAME")
    assert any('"\'=1+1,""x"""' in row for row in rows)


def test_a_log_that_cannot_be_written_answers_nothing(used: Cli, project: Path) -> None:
    LOG.unlink()
    LOG.mkdir()
    result = used("get", "A")
    assert (result.code, result.out) == (9, "")
    assert VALUE not in result.err
