"""`rotate setup-two`, grace times of single services, and what is said of sessions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom import RotationError, drivers
from strongroom.protocols import Sessions
from strongroom.rotation.rotation import Rotation

from .conftest import Cli

PASSWORD = "first-password"
SHAPES = {
    "fields": {"username": "app_a", "password": PASSWORD},
    "value and user": {"username": "app_a", "value": PASSWORD},
    "URL": f"postgresql://app_a:{PASSWORD}@db.example/app",
}
WITHOUT_USER = {"text": PASSWORD, "password alone": {"password": PASSWORD, "port": "5432"}}


@pytest.fixture
def pair(store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a source with one account."""
    monkeypatch.setitem(drivers.ROTATORS, "pair", "cli.pair_source")
    path = project / "accounts.json"
    path.write_text(json.dumps({"app_a": PASSWORD}))
    return path


def fill(store: Cli, pair: Path, value: object) -> None:
    if isinstance(value, dict):
        store("set", "DB", "--json-data", stdin=json.dumps(value))
    else:
        store("set", "DB", stdin=str(value))
    done = store("rotate", "DB", "--attach", f"pair:{pair}?role=app_a", "--every", "30d", "--grace", "2h")
    assert done.code == 0, done.err


def row(store: Cli) -> dict:
    return json.loads(store("rotate", "status", "DB", "--json").out)[0]


def value(store: Cli) -> object:
    return json.loads(store("export", "--format", "json").out)["DB"]


@pytest.mark.parametrize("shape", [*SHAPES, *WITHOUT_USER])
def test_the_statements_are_data_and_the_next_command_works(store: Cli, pair: Path, shape: str) -> None:
    fill(store, pair, (SHAPES | WITHOUT_USER)[shape])
    before = value(store), row(store), pair.read_text()
    result = store("rotate", "setup-two", "DB", "--other", "app_b")
    assert (result.code, result.out) == (0, 'CREATE ROLE "app_b" LOGIN;\nGRANT "app_a" TO "app_b";\n')
    assert ("--add-username" in result.err) == (shape in WITHOUT_USER)
    assert (value(store), row(store), pair.read_text()) == before
    about = json.loads(store("rotate", "setup-two", "DB", "--other", "app_b", "--json").out)
    assert (about["applied"], about["lacks_username"]) == (False, shape in WITHOUT_USER)
    assert about["attach"] in result.err
    if shape in SHAPES:
        pair.write_text(json.dumps({"app_a": PASSWORD, "app_b": None}))
        assert store(*shlex.split(about["attach"])[1:]).code == 0
        assert store("rotate", "DB", "--wait", "0s").code == 0
        assert list(json.loads(pair.read_text()).values()).count(PASSWORD) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_apply_makes_the_account_and_the_next_rotation_gives_it_its_turn(store: Cli, pair: Path, shape: str) -> None:
    fill(store, pair, SHAPES[shape])
    before = value(store)
    result = store("rotate", "setup-two", "DB", "--other", "app_b", "--apply")
    assert result.code == 0, result.err
    assert value(store) == before
    status = row(store)
    assert status["rotator"] == "pair:…", "what a rotator of somebody else takes may be a password"
    assert (status["every"], status["grace"], status["version"], status["advice"]) == (30 * 86400, 7200, 1, None)
    assert store("rotate", "DB", "--wait", "0s").code == 0
    after = value(store)
    assert type(after) is type(before)
    assert "app_b" in str(after)
    accepted = json.loads(pair.read_text())
    assert accepted["app_a"] == PASSWORD
    assert accepted["app_b"] in str(after)


@pytest.mark.parametrize("shape", WITHOUT_USER)
def test_a_secret_that_names_no_user_is_left_as_it_is_unless_that_is_asked_for(
    store: Cli, pair: Path, shape: str
) -> None:
    fill(store, pair, WITHOUT_USER[shape])
    before = value(store), row(store), pair.read_text()
    result = store("rotate", "setup-two", "DB", "--other", "app_b", "--apply")
    assert (result.code, "--add-username" in result.err, "Nothing was changed" in result.err) == (2, True, True)
    assert (value(store), row(store), pair.read_text()) == before
    result = store("rotate", "setup-two", "DB", "--other", "app_b", "--apply", "--add-username")
    assert (result.code, "it has the field username now" in result.err) == (0, True)
    given = WITHOUT_USER[shape]
    fields = given if isinstance(given, dict) else {"value": given}
    assert value(store) == {**fields, "username": "app_a"}
    assert row(store)["advice"] is None
    if shape == "text":
        assert store("get", "DB").out == f"{PASSWORD}\n"
    assert store("rotate", "DB", "--wait", "0s").code == 0
    assert value(store)["username"] == "app_b"


@pytest.mark.parametrize("answer", [True, False])
def test_at_a_terminal_it_is_asked(store: Cli, pair: Path, terminal: Callable[..., list[str]], answer: bool) -> None:
    fill(store, pair, PASSWORD)
    asked = terminal(answer)
    result = store("rotate", "setup-two", "DB", "--other", "app_b", "--apply")
    assert (result.code, len(asked)) == (0 if answer else 2, 1)
    assert ("app_b" in pair.read_text()) == answer
    assert isinstance(value(store), dict) == answer


def test_what_the_administrator_may_not_do_changes_nothing_here(store: Cli, pair: Path, project: Path) -> None:
    fill(store, pair, PASSWORD)
    (project / "refuses").touch()
    before = value(store), row(store)["rotator"], pair.read_text()
    result = store("rotate", "setup-two", "DB", "--other", "app_b", "--apply", "--add-username")
    assert (result.code, "may not make accounts" in result.err) == (11, True)
    assert (value(store), row(store)["rotator"], pair.read_text()) == before


def test_a_drifted_value_is_found_before_anything_is_made(store: Cli, pair: Path) -> None:
    fill(store, pair, SHAPES["fields"])
    pair.write_text(json.dumps({"app_a": "changed by hand"}))
    for words in ((), ("--apply",)):
        assert store("rotate", "setup-two", "DB", "--other", "app_b", *words).code == 11
    assert "app_b" not in pair.read_text()


def test_what_has_no_second_account_says_so(store: Cli, pair: Path) -> None:
    store("set", "KEY", stdin="x")
    assert store("rotate", "setup-two", "KEY", "--other", "b").code == 3
    store("rotate", "KEY", "--attach", "generate:")
    result = store("rotate", "setup-two", "KEY", "--other", "b")
    assert (result.code, "no second account to set up" in result.err) == (11, True)
    fill(store, pair, SHAPES["fields"])
    store("rotate", "setup-two", "DB", "--other", "app_b", "--apply")
    result = store("rotate", "setup-two", "DB", "--other", "app_c", "--apply")
    assert (result.code, "take turns already" in result.err) == (11, True)
    store("rotate", "DB", "--wait", "0s")
    assert store("rotate", "setup-two", "DB", "--other", "app_c").code == 7  # a rotation is under way


# One grace time for each service


def graces(store: Cli) -> dict[str, float]:
    return json.loads(store("rotate", "status", "A", "--json").out)[0]["graces"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--grace-for", "reports=24h"), {"reports": 86400}),
        (("--grace-for", "a=1m", "--grace-for", "b=0s", "--grace", "1h"), {"a": 60, "b": 0}),
        (("--grace-for", "host=7 x=2d"), {"host=7 x": 172800}),
    ],
)
def test_a_service_has_a_grace_time_of_its_own(store: Cli, words, expected) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", "generate:", *words).code == 0
    assert graces(store) == expected
    # It stays when only the period changes, and changes alone too.
    assert store("rotate", "A", "--every", "30d").code == 0
    assert graces(store) == expected
    result = store("rotate", "A", "--grace-for", "late=2h")
    assert (result.code, "2h for late" in result.err) == (0, True)
    assert graces(store) == {"late": 7200}


@pytest.mark.parametrize("word", ["reports", "=1h", "reports=", "reports=soon", "a;b=1h"])
def test_a_grace_time_of_no_service_is_refused(store: Cli, word: str) -> None:
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", "generate:", "--grace-for", word).code == 2
    assert store("rotate", "A", "--attach", "generate:", "--grace-for", "a=1h", "--grace-for", "a=2h").code == 2
    assert store("rotate", "status", "--json").out == "[]\n"


# Sessions


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "DB: 2 sessions of app_a are still open, oldest 3d; terminate=1 in the rotator's URL ends them\n"),
        ("&terminate=1", "DB: 2 sessions of app_a are still open, oldest 3d\n"),
    ],
)
def test_sessions_that_a_retired_value_left_are_said(
    store: Cli, pair: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setattr(
        Rotation, "sessions", lambda self, name: [Sessions("app_a", 2, 3 * 86400.0), Sessions("b", 1, 7.0)]
    )
    fill(store, pair, SHAPES["fields"])
    pair.write_text(json.dumps({"app_a": PASSWORD, "app_b": None}))
    assert store("rotate", "DB", "--attach", f"pair:{pair}?role=app_a&other=app_b{url}").code == 0
    assert "still open" not in store("rotate", "DB", "--wait", "0s").err
    result = store("rotate", "retire", "DB", "--force")
    assert said in result.err
    assert "DB: 1 session of b is still open, oldest 7s" in result.err
    assert store("rotate", "retire", "DB", "--quiet").err.count("still open") == 0


def test_sessions_that_cannot_be_counted_fail_nothing(store: Cli, pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self, name):
        raise RotationError("no right to see sessions")

    monkeypatch.setattr(Rotation, "sessions", refuse)
    fill(store, pair, SHAPES["fields"])
    result = store("rotate", "DB")
    assert (result.code, "whether sessions are still open is not known: no right to" in result.err) == (0, True)
