"""`run`, up to the moment in which this process becomes the program."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import VALUE, Cli


class Started(BaseException):
    pass


@pytest.fixture
def run(store: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, str]]]:
    """Return what runs `strongroom run` and returns the environment that the program would get."""
    seen: list[Any] = []

    def execvpe(file: str, words: list[str], variables: dict[str, str]) -> None:
        seen.append((words, variables))
        raise Started

    monkeypatch.setattr(os, "execvpe", execvpe)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}

    def run(*options: str) -> dict[str, str]:
        with pytest.raises(Started):
            store("run", *options, "--", "program", "--its-option", "--json")
        words, variables = seen.pop()
        assert words == ["program", "--its-option", "--json"]
        return dict(variables)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_every_secret_is_passed_under_its_name(store: Cli, run: Callable[..., dict[str, str]]) -> None:
    store("set", "A", stdin=VALUE)
    store("set", "app/db", "--json-data", stdin='{"user": "me", "password": "x"}')
    found = run()
    assert found["A"] == VALUE
    assert (found["APP_DB_USER"], found["APP_DB_PASSWORD"]) == ("me", "x")


def test_only_and_prefix_and_env_choose(store: Cli, run: Callable[..., dict[str, str]]) -> None:
    for name in ("A", "B", "app/x-y", "app/z"):
        store("set", name, stdin=name)
    assert {k: v for k, v in run("--only", "A,B").items() if k in ("A", "B", "APP_Z")} == {"A": "A", "B": "B"}
    found = run("--prefix", "app/")
    assert (found["X_Y"], found["z"]) == ("app/x-y", "app/z")
    assert "A" not in found
    found = run("--prefix", "app/", "--only", "z", "--env", "OTHER=A")
    assert (found["z"], found["OTHER"]) == ("app/z", "A")
    assert "X_Y" not in found
    found = run("--env", "OTHER=A")
    assert found["OTHER"] == "A"
    assert "B" not in found


def test_env_takes_a_field(store: Cli, run: Callable[..., dict[str, str]]) -> None:
    store("set", "db", "--json-data", stdin='{"user": "me", "port": 1}')
    assert run("--env", "PGUSER=db:user", "--env", "PGPORT=db:port")["PGPORT"] == "1"
    assert store("run", "--env", "X=db:none", "--", "program").code == 3


def test_the_store_wins_over_the_environment_with_a_warning(
    store: Cli, run: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsysbinary: Any
) -> None:
    store("set", "A", stdin="stored")
    monkeypatch.setenv("A", "set before")
    assert run()["A"] == "stored"
    assert capsysbinary.readouterr().err == (
        b"strongroom: warning: the store's value replaces the environment's: A (--preserve-env keeps it)\n"
    )
    assert run("--preserve-env")["A"] == "set before"
    monkeypatch.setenv("A", "stored")
    run()
    assert capsysbinary.readouterr().err == b""


def test_pristine_starts_from_little(
    store: Cli, run: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store("set", "A", stdin=VALUE)
    monkeypatch.setenv("OTHER", "x")
    found = run("--pristine")
    assert found["A"] == VALUE
    assert "PATH" in found
    assert "OTHER" not in found


def test_the_key_is_passed_only_when_asked_for(
    store: Cli, run: Callable[..., dict[str, str]], project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", (project / "master.key").read_text())
    monkeypatch.setenv("STRONGROOM_PASSPHRASE", VALUE)
    monkeypatch.setenv("STRONGROOM_KEY", "env:MY_KEY")
    assert not {"MY_KEY", "STRONGROOM_PASSPHRASE"} & set(run())
    assert {"MY_KEY", "STRONGROOM_PASSPHRASE"} <= set(run("--keep-key"))
    assert "MY_KEY" in run("--keep-key", "--pristine")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--only", "A,NONE"), 3),
        (("--env", "X=NONE"), 3),
        (("--env", "X"), 2),
        (("--env", "=A"), 2),
        (("--env", "PATH=A"), 2),
        (("--env", "a b=A"), 2),
        (("--env", "X=A", "--env", "X=A"), 2),
        (("--pristine", "--preserve-env"), 2),
        (("--key", "env:NOT_SET"), 4),
    ],
)
def test_nothing_is_started_when_anything_is_wrong(
    store: Cli, run: Callable[..., dict[str, str]], options: tuple[str, ...], code: int
) -> None:
    store("set", "A", stdin=VALUE)
    result = store("run", *options, "--", "program")
    assert result.code == code
    assert VALUE not in result.err


def test_a_listed_secret_that_has_expired_stops_everything(store: Cli, run: Callable[..., dict[str, str]]) -> None:
    import time

    store("set", "A", "--expires-in", "1s", stdin=VALUE)
    time.sleep(1.01)
    assert store("run", "--", "program").code == 3


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        ("no-such-program", 127, "there is no such program"),
        ("/etc/hostname", 126, "it cannot be executed"),
        ("a\0b", 126, "hold a NUL"),
    ],
)
def test_a_program_that_cannot_be_started_has_its_own_exit_code(
    store: Cli, program: str, code: int, message: str
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    result = store("run", "--", program)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert result.code == code
    assert message in result.err
