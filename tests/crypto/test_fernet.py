import base64

import pytest
from cryptography.fernet import Fernet

from strongroom.crypto import Forged
from strongroom.crypto.fernet import FernetPerRecord, decrypt_token, encrypt_token
from strongroom.crypto.kdf import hkdf
from strongroom.crypto.master_key import parse_key

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
