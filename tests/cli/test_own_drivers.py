"""No command shows a password that somebody typed in the URL of a driver, whatever it does with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.own_drivers import PASSWORD, address

from strongroom import generate_master_key
from strongroom.cli.overview import COMMANDS
from strongroom.key_providers.file import create

from .conftest import Cli

OWN = {
    "store": f"tests.own_drivers:Store:{address('store')}",
    "key": f"tests.own_drivers:Key:{address('key')}",
    "audit": f"tests.own_drivers:Sink:{address('audit.log')}",
}
ROTATOR = f"tests.own_drivers:Rotator:{address('source')}"
CALLS = {
    "init": [["init"]],
    "keygen": [["keygen"]],
    "set": [["set", "B"]],
    "get": [["get", "A"], ["get", "NONE"]],
    "list": [["list"]],
    "history": [["history", "A"]],
    "edit": [["edit", "A"]],
    "rotate": [
        ["rotate", "A", "--attach", ROTATOR], ["rotate", "A", "--dry-run"], ["rotate", "A"], ["rotate", "--due"],
        ["rotate", "status"], ["rotate", "status", "A"],
    ],
    "rollback": [["rollback", "A", "1"]],
    "rm": [["rm", "A"]],
    "undelete": [["undelete", "A"]],
    "destroy": [["destroy", "B", "--yes"]],
    "import": [["import", "values.env"]],
    "export": [["export", "--format", "json"]],
    "run": [["run", "--", "no-such-program"]],
    "render": [["render", "--dir", "rendered"]],
    "scan": [["scan", "."]],
    "verify": [["verify"], ["verify", "--accept", "--yes"]],
    "rekey master": [["rekey", "master", "--to", f"tests.own_drivers:Key:{address('new')}"]],
    "rekey data": [["rekey", "data"]],
    "rekey add": [["rekey", "add", f"tests.own_drivers:Key:{address('new')}"]],
    "rekey remove": [["rekey", "remove", "2", "--stay", OWN["key"]], ["rekey", "remove", address("x")]],
    "rekey list": [["rekey", "list"]],
    "audit log": [["audit", "log"]],
    "audit verify": [["audit", "verify"]],
    "audit keys": [["audit", "keys"]],
    "audit export": [["audit", "export"]],
    "doctor": [["doctor"]],
    "allow": [["allow"], ["allow", "--list"]],
    "selftest": [["selftest"]],
    "completion": [["completion", "bash"]],
}  # fmt: skip
WRONG = {
    "unknown": dict.fromkeys(OWN, f"oracle://scott:{PASSWORD}@db/x?p={PASSWORD}"),
    "not a scheme": dict.fromkeys(OWN, f"scott:{PASSWORD}@db:5432/x"),
    "no module": {name: f"no.such.module:connect:{address('x')}" for name in OWN},
    "breaks": {"store": f"tests.own_drivers:breaks:{address('x')}"},
    "no driver": {name: f"tests.own_drivers:nothing:{address('x')}" for name in OWN},
    "careless": {"store": f"tests.own_drivers:careless:{address('store')}"},
    "a server for a path": dict.fromkeys(OWN, f"file://scott:{PASSWORD}@db/x"),
    "a library": dict.fromkeys(OWN, f"json:{PASSWORD}"),
}


@pytest.fixture(autouse=True)
def place(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the drivers keep what they keep."""
    place = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("OWN_DRIVERS", str(place))
    monkeypatch.setenv("EDITOR", "true")
    for name in ("key", "new"):
        create(f"{place}/{name}", generate_master_key())
    (project / "values.env").write_text("C=imported\n")
    return place


def options(urls: dict[str, str]) -> list[str]:
    return [word for name, url in urls.items() for word in (f"--{name}", url)]


def made(cli: Cli) -> None:
    assert cli(*options(OWN), "init").code == 0
    for name in ("A", "B"):
        assert cli(*options(OWN), "set", name, stdin="a value").code == 0


def shows(result) -> bool:
    return PASSWORD in result.out + result.err


def test_every_command_is_called():
    # Words below `rotate` may become commands of their own.
    assert {name for name in COMMANDS if not name.startswith("rotate ")} == set(CALLS)


@pytest.mark.parametrize("how", ["options", "variables", "settings"])
@pytest.mark.parametrize("name", sorted(set(CALLS) & set(COMMANDS)))
def test_a_command_with_drivers_of_your_own_shows_no_password(cli, project, place, monkeypatch, name, how):
    if name != "init":
        made(cli)
    given: list[str] = []
    if how == "options":
        given = options(OWN)
    elif how == "variables":
        for setting, url in OWN.items():
            monkeypatch.setenv(f"STRONGROOM_{setting.upper()}", url)
    else:
        (project / "given.toml").write_text("".join(f"{key} = {json.dumps(url)}\n" for key, url in OWN.items()))
        given = ["--config", "given.toml"]
    for json_too in ([], ["--json"]):
        for words in CALLS[name]:
            result = cli(*given, *json_too, *words, stdin="a value")
            assert not shows(result), words
            assert result.code not in (70,), result.err
    for path in place.iterdir():
        assert PASSWORD not in path.read_text("utf-8", "replace").replace(ROTATOR, ""), path


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", sorted((set(CALLS) & set(COMMANDS)) - {"selftest"}))
def test_a_command_that_cannot_reach_a_driver_shows_no_password(cli, name, wrong):
    for setting, url in WRONG[wrong].items():
        for words in CALLS[name][:1]:
            result = cli(*options({**OWN, setting: url}), *words, stdin="a value")
            assert not shows(result), (setting, words)
            assert result.code != 70, result.err


@pytest.mark.parametrize(
    "url",
    [
        ROTATOR, f"webhook:https://scott:{PASSWORD}@localhost/x?t={PASSWORD}",
        f"postgresql://scott:{PASSWORD}@db/app?role=app", f"oracle://scott:{PASSWORD}@db",
    ],
)  # fmt: skip
def test_no_rotator_shows_its_password(cli, url):
    made(cli)
    for words in (
        ["rotate", "A", "--attach", url], ["rotate", "A", "--dry-run"], ["rotate", "status"],
        ["rotate", "status", "A", "--json"], ["rotate", "A", "--detach"], ["audit", "log", "--json"],
    ):  # fmt: skip
        assert not shows(cli(*options(OWN), *words)), words


def test_selftest_says_which_kinds_it_did_not_try(cli):
    result = cli(*options(OWN), "selftest", "--json")
    assert result.code == 0
    not_tried = [row["claim"] for row in json.loads(result.out) if row["ok"] is None]
    assert [claim.split(":")[1].split()[1] for claim in not_tried] == ["store", "key", "audit"]
    assert not shows(result)
    assert "not tried" not in cli("--store", "sqlite:x.db", "--key", "env:X", "selftest", "--json").out


def test_what_is_shown_is_the_drivers_own_url(cli):
    made(cli)
    doctor = cli(*options(OWN), "doctor")
    assert "tests.own_drivers:Store:pg://db/store" in doctor.out
    assert "kms:alias/app" in cli(*options(OWN), "rekey", "list").out
    assert os.environ["OWN_DRIVERS"] not in doctor.err


@pytest.mark.parametrize("state", ["throttled", "unreachable"])
def test_a_key_provider_that_does_not_answer_has_an_exit_code_and_is_on_record(cli, monkeypatch, state):
    made(cli)
    with monkeypatch.context() as patch:
        patch.setenv("OWN_KMS", state)
        result = cli(*options(OWN), "get", "A", "--json")
    assert result.code == 12
    assert json.loads(result.err)["error"] == "key_provider"
    assert "kms:alias/app" in result.err
    assert not shows(result)
    events = [json.loads(line) for line in cli(*options(OWN), "audit", "log", "--json").out.splitlines()]
    assert [(e["action"], e["outcome"], e["reason"]) for e in events if e.get("reason") == "key_provider"] == [
        ("OPEN", "failed", "key_provider")
    ]


@pytest.mark.parametrize("state", ["throttled", "unreachable", "none"])
def test_without_an_answer_nothing_is_made(cli, place, monkeypatch, state):
    monkeypatch.setenv("OWN_KMS", state)
    assert cli(*options(OWN), "init").code == (4 if state == "none" else 12)
    assert not (place / "store").exists()
