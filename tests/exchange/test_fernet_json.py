"""Fernet-encrypted files from before strongroom: made here with pyca's own Fernet."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet

from strongroom.errors import InvalidKeyError, InvalidNameError, InvalidValueError, TamperedError, WrongKeyError
from strongroom.exchange.fernet_json import read

KEY = base64.urlsafe_b64encode(bytes(range(32)))
OTHER = base64.urlsafe_b64encode(bytes(range(32, 64)))
SECRETS = {"DB_PASSWORD": "canary-7f3a-hunter2", "EMPTY": "", "auth/key": "ünï\n'"}


def token(value: str, key: bytes = KEY) -> str:
    return Fernet(key).encrypt(value.encode()).decode()


def entries(key: bytes = KEY) -> dict[str, Any]:
    return {name: token(value, key) for name, value in SECRETS.items()}


def whole(document: object, key: bytes = KEY) -> bytes:
    return Fernet(key).encrypt(json.dumps(document).encode())


def with_metadata(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value, "created_at": "2024-01-01", "tags": ["x"]} for name, value in values.items()}


@pytest.mark.parametrize("key", [KEY, KEY.decode(), KEY + b"\n"], ids=["bytes", "str", "with line feed"])
def test_an_object_of_tokens_is_read(key: bytes | str) -> None:
    assert read(json.dumps(entries(), indent=2).encode(), key) == SECRETS


@pytest.mark.parametrize("around", [b"%s", b"%s\n", b"\xef\xbb\xbf%s\r\n"])
def test_one_token_around_an_object_is_read(around: bytes) -> None:
    assert read(around % whole(SECRETS), KEY) == SECRETS


@pytest.mark.parametrize(
    "shape", [lambda values: json.dumps(values(entries())).encode(), lambda values: whole(values(SECRETS))]
)
@pytest.mark.parametrize(
    "values",
    [
        with_metadata,
        lambda values: {"version": 1, "secrets": values},
        lambda values: {"metadata": {"by": "x"}, "secrets": with_metadata(values)},
    ],
    ids=["entries with metadata", "under secrets", "both"],
)
def test_metadata_around_values_is_left_out(shape: Any, values: Any) -> None:
    assert read(shape(values), KEY) == SECRETS


def test_numbers_inside_a_token_become_text() -> None:
    assert read(whole({"PORT": 5432}), KEY) == {"PORT": "5432"}


def test_a_secret_may_be_called_secrets() -> None:
    assert read(json.dumps({"secrets": token("x")}).encode(), KEY) == {"secrets": "x"}


def test_an_empty_file_of_either_shape_holds_nothing() -> None:
    assert read(b"{}", KEY) == {}
    assert read(whole({}), KEY) == {}


def test_several_keys_are_tried_for_each_token() -> None:
    mixed = {"A": token("1", KEY), "B": token("2", OTHER)}
    keys = OTHER + b", " + KEY
    assert read(json.dumps(mixed).encode(), keys) == {"A": "1", "B": "2"}
    together = MultiFernet([Fernet(OTHER), Fernet(KEY)])
    assert read(together.encrypt(b'{"A": "1"}'), (KEY + b"," + OTHER).decode()) == {"A": "1"}


@pytest.mark.parametrize("document", [json.dumps(entries(OTHER)).encode(), whole(SECRETS, OTHER)])
def test_another_key_is_a_wrong_key(document: bytes) -> None:
    with pytest.raises(WrongKeyError, match="of another file, or the file is damaged"):
        read(document, KEY)


def test_a_damaged_entry_among_good_ones_is_named() -> None:
    damaged = entries()
    middle = len(damaged["auth/key"]) // 2
    flipped = "A" if damaged["auth/key"][middle] != "A" else "B"
    damaged["auth/key"] = damaged["auth/key"][:middle] + flipped + damaged["auth/key"][middle + 1 :]
    with pytest.raises(TamperedError, match=r"but not auth/key: they are damaged or under another key") as caught:
        read(json.dumps(damaged).encode(), KEY)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["", "x", KEY[:-1], KEY + KEY, KEY.decode() + ",", "kéy", b"\xff" * 44, KEY.replace(KEY[:1], b"!")]
)
def test_what_is_no_fernet_key_is_refused_without_showing_it(key: bytes | str) -> None:
    with pytest.raises(InvalidKeyError, match="is not a Fernet key") as caught:
        read(whole(SECRETS), key)
    assert KEY[:20].decode() not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "not a JSON object"),
        (b"A=hunter2", "not a JSON object"),
        (b'{"A": "hunter2", "B": "%s"}' % token("x").encode(), "not a Fernet token: A;"),
        (b'{"A": ["hunter2"]}', "the entry 'A' is neither a text nor an object"),
        (b'{"A": {"secret": "hunter2"}}', "the entry 'A' is neither"),
        (b'{"A": "1", "A": "hunter2"}', "'A' is given twice"),
        (whole(["hunter2"]), "not a JSON object"),
        (Fernet(KEY).encrypt(b"hunter2"), "not a JSON object"),
        (Fernet(KEY).encrypt(b"hunter2\xff"), "not UTF-8"),
        (json.dumps({"A": Fernet(KEY).encrypt(b"hunter2\xff").decode()}).encode(), "the value of A is not UTF-8"),
    ],
    ids=range(10),
)
def test_another_shape_is_refused_without_its_values(document: bytes, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        read(document, KEY)
    assert "hunter2" not in str(caught.value)


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        read(whole({"../x": "1"}), KEY)
