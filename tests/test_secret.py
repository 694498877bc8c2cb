"""A `Secret` never shows its value, whichever door it is pulled through."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import io
import json
import logging
import os
import pickle
import pprint
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from strongroom.secret import STARS, Secret

CANARY = "canary-7f3a-hunter2"


@pytest.fixture(params=[CANARY, CANARY.encode()], ids=["str", "bytes"])
def secret(request: pytest.FixtureRequest) -> Secret[Any]:
    return Secret(request.param)


def test_the_value_is_read_through_value() -> None:
    assert Secret("text").value == "text"
    assert Secret(b"\x00\xff").value == b"\x00\xff"


@pytest.mark.parametrize("wrong", [None, 12345, ["text"], bytearray(b"x")], ids=lambda wrong: type(wrong).__name__)
def test_other_types_are_refused_by_the_name_of_their_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        Secret(wrong)


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        lambda secret: f"{secret} {secret!r} {secret:>20} {secret=}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: str([secret, {"password": secret}]),
        pprint.pformat,
        lambda secret: json.dumps({"password": secret}, default=str),
    ],
)
def test_every_way_to_print_it_shows_stars(show: Callable[[object], str], secret: Secret[Any]) -> None:
    shown = show(secret)
    assert STARS in shown
    assert CANARY not in shown


def test_the_stars_do_not_tell_the_length() -> None:
    assert str(Secret("")) == str(Secret("x" * 1000)) == STARS


def test_a_log_record_shows_stars(secret: Secret[Any]) -> None:
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("password is %s, again %r", secret, secret, extra={"password": secret})
    assert stream.getvalue() == f"password is {STARS}, again Secret('{STARS}')\n"


@pytest.mark.parametrize(
    "dump",
    [
        json.dumps,
        pickle.dumps,
        functools.partial(pickle.dumps, protocol=0),
        yaml.dump,
        yaml.safe_dump,
        lambda secret: secret.__reduce__(),
        lambda secret: secret.__getstate__(),
        vars,
        len,
        iter,
        bytes,
        lambda secret: secret + "x",
        lambda secret: "x" + secret,
        lambda secret: "%d" % secret,  # noqa: UP031
        lambda secret: format(secret, "d"),
    ],
)
def test_what_would_write_the_value_in_the_clear_fails_without_naming_it(
    dump: Callable[[object], object], secret: Secret[Any]
) -> None:
    with pytest.raises((TypeError, ValueError, yaml.YAMLError)) as caught:
        dump(secret)
    assert CANARY not in _traceback(caught.value)


def test_pickling_says_what_to_do_instead() -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled.*pass its name"):
        pickle.dumps([Secret("text")])


def test_copies_are_the_secret_itself(secret: Secret[Any]) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"password": secret})["password"] is secret


def test_a_dataclass_that_holds_one_can_be_turned_into_a_mapping() -> None:
    default = Secret(CANARY)

    @dataclasses.dataclass(frozen=True)
    class Settings:
        password: Secret[str] = default

    assert CANARY not in repr(dataclasses.asdict(Settings()))
    assert hash(Settings()) == hash(Settings())


def test_a_traceback_with_local_variables_shows_stars(secret: Secret[Any]) -> None:
    def fail(password: Secret[Any]) -> None:
        held = [password]
        raise RuntimeError(f"no connection with {password} of {len(held)}")

    with pytest.raises(RuntimeError) as caught:
        fail(secret)
    assert CANARY not in _traceback(caught.value)


def test_a_traceback_of_a_refused_value_does_not_show_it_in_our_own_frame() -> None:
    with pytest.raises(TypeError) as caught:
        Secret([CANARY])  # type: ignore[type-var]
    ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack[-1]
    assert ours.name == "__new__"
    assert CANARY not in repr(ours.locals)


def test_a_tool_that_reads_every_attribute_finds_no_value(secret: Secret[Any]) -> None:
    assert "value" not in dir(secret)
    found = [getattr(secret, name) for name in dir(secret) if not name.startswith("__")]
    assert CANARY not in repr(found)
    assert CANARY not in repr(inspect.getmembers(secret))
    slots = [name for kind in type(secret).__mro__ for name in getattr(kind, "__slots__", ())]
    assert slots == ["__read"]
    assert not hasattr(secret, "__dict__")


def test_it_cannot_be_changed(secret: Secret[Any]) -> None:
    before = secret.value
    with pytest.raises(AttributeError, match="cannot be changed"):
        secret.value = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot be changed"):
        del secret._Secret__read  # type: ignore[attr-defined]
    secret.__init__("other")  # type: ignore[call-arg]
    assert secret.value == before


def test_truth_does_not_depend_on_the_value() -> None:
    assert Secret("")
    assert Secret("x")


def test_it_equals_only_a_secret_of_the_same_type_and_value() -> None:
    assert Secret("text") == Secret("text")
    assert Secret(b"text") == Secret(b"text")
    assert Secret("pässword\ud800") == Secret("pässword\ud800")
    assert Secret("text") != Secret("texT")
    assert Secret("text") != Secret(b"text")
    assert Secret("text") != "text"
    assert Secret("text") != STARS


def test_equal_secrets_are_one_entry_of_a_set() -> None:
    assert len({Secret("a"), Secret("a"), Secret("b"), Secret(b"a")}) == 3


def test_the_hash_differs_from_process_to_process_even_where_pythons_does_not() -> None:
    program = "from strongroom.secret import Secret; print(hash(Secret('text')))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout != runs[1].stdout


def _traceback(error: BaseException) -> str:
    """Return the traceback with the local variables of every frame that holds the secret only inside a `Secret`."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format())
