import base64

import pytest
from cryptography.fernet import Fernet

from strongroom.crypto.master_key import generate_master_key, parse_key


def test_a_generated_key_is_parsed_and_used_by_fernet():
    key = generate_master_key()
    assert len(key) == 44
    assert base64.urlsafe_b64encode(parse_key(key)).decode() == key
    Fernet(key)


def test_generated_keys_differ():
    assert len({generate_master_key() for _ in range(50)}) == 50


@pytest.mark.parametrize("frame", ["{}\n", "\n{}", " {} ", "{}\r\n", "\t{}"])
def test_white_space_around_a_key_is_forgiven(frame):
    key = generate_master_key()
    assert parse_key(frame.format(key)) == parse_key(key.encode())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("A" * 20 + "\n" + "A" * 23 + "=", "not URL-safe base64"),
        ("A" * 43, "not URL-safe base64"),
        ("A" * 43 + "é", "not URL-safe base64"),
        ("A" * 42 + "+=", "not URL-safe base64"),
        ("A" * 42 + "/=", "not URL-safe base64"),
        ("=" * 44, "not URL-safe base64|decodes to 0 bytes"),
        ("AAAA", "decodes to 3 bytes"),
        ("A" * 88, "decodes to 66 bytes"),
        ("hunter2-hunter2-\udcff", "not URL-safe base64"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        parse_key(text)
    assert not text.strip() or text.strip() not in str(caught.value)
