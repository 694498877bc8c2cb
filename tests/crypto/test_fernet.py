import base64

import pytest
from cryptography.fernet import Fernet

from strongroom.crypto import Forged
from strongroom.crypto.fernet import FernetPerRecord, decrypt_token, encrypt_token, generate_key, parse_key
from strongroom.crypto.kdf import hkdf

KEY = bytes(range(32))


def test_a_token_is_one_for_any_fernet_library():
    fernet = Fernet(base64.urlsafe_b64encode(KEY))
    assert fernet.decrypt(encrypt_token(KEY, b"value")) == b"value"
    assert decrypt_token(KEY, fernet.encrypt(b"value")) == b"value"


def test_it_reads_the_token_of_the_specification():
    # https://github.com/fernet/spec/blob/master/verify.json
    key = parse_key("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
    token = b"gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
    assert decrypt_token(key, token) == b"hello"


def test_a_record_is_under_a_key_derived_for_its_context():
    sealed = FernetPerRecord(KEY).encrypt(b"value", b"context")
    derived = base64.urlsafe_b64encode(hkdf(KEY, b"context"))
    assert Fernet(derived).decrypt(base64.urlsafe_b64encode(sealed)) == b"value"


def test_another_context_key_or_byte_is_forged():
    sealed = FernetPerRecord(KEY).encrypt(b"value", b"context")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for key, place, stored in ((KEY, b"contexT", sealed), (KEY[::-1], b"context", sealed), (KEY, b"context", changed)):
        with pytest.raises(Forged):
            FernetPerRecord(key).decrypt(stored, place)


@pytest.mark.parametrize("stored", [b"", b"\x80", bytes(100), b"\x80" + bytes(57)])
def test_what_is_no_token_is_forged(stored):
    with pytest.raises(Forged):
        FernetPerRecord(KEY).decrypt(stored, b"")


def test_equal_values_look_different():
    cipher = FernetPerRecord(KEY)
    assert len({cipher.encrypt(b"v", b"c")[9:25] for _ in range(100)}) == 100


def test_a_generated_key_is_parsed_and_used_by_fernet():
    key = generate_key()
    assert len(key) == 44
    assert base64.urlsafe_b64encode(parse_key(key)).decode() == key
    Fernet(key)


def test_generated_keys_differ():
    assert len({generate_key() for _ in range(50)}) == 50


@pytest.mark.parametrize("frame", ["{}\n", "\n{}", " {} ", "{}\r\n", "\t{}"])
def test_white_space_around_a_key_is_forgiven(frame):
    key = generate_key()
    assert parse_key(frame.format(key)) == parse_key(key.encode())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("A" * 20 + "\n" + "A" * 23 + "=", "not URL-safe base64"),
        ("A" * 43, "not URL-safe base64"),
        ("A" * 43 + "é", "not URL-safe base64"),
        ("A" * 42 + "+/", "decodes to 33 bytes|not URL-safe base64"),
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
