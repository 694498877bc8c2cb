import json

import pytest

from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.fernet import FernetPerRecord
from strongroom.crypto.kdf import hkdf
from strongroom.errors import InvalidInputError, NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.records.context import context
from strongroom.records.keyset import AUDIT_KEY, MANIFEST_KEY, RECORD, Keyset

STORE = "0123456789abcdef" * 2
ROOT, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def keyset() -> Keyset:
    return Keyset.generate("aes-256-gcm", 1000.0)


def test_a_first_keyset_has_one_primary_key_for_each_purpose(keyset):
    rows = [(key.id, key.purpose, key.algorithm, key.state, key.created) for key in keyset.keys.values()]
    assert rows == [
        (1, RECORD, "aes-256-gcm", "primary", 1000.0),
        (2, MANIFEST_KEY, "aes-256-gcm", "primary", 1000.0),
        (3, AUDIT_KEY, "aes-256-gcm", "primary", 1000.0),
    ]
    assert keyset.primary.id == 1
    assert keyset.newest(AUDIT_KEY).id == 3


def test_keys_are_random_and_of_32_bytes(keyset):
    secrets = [key.secret for key in (*keyset.keys.values(), *Keyset.generate("fernet", 0).keys.values())]
    assert {len(secret) for secret in secrets} == {32}
    assert len(set(secrets)) == 6


@pytest.mark.parametrize(("algorithm", "cipher"), [("aes-256-gcm", AesGcm), ("fernet", FernetPerRecord)])
def test_a_record_key_encrypts_with_its_algorithm(algorithm, cipher):
    keyset = Keyset.generate(algorithm, 0)
    assert type(keyset.cipher(1)) is cipher
    sealed = keyset.cipher(1).encrypt(b"value", b"context")
    assert cipher(keyset.keys[1].secret).decrypt(sealed, b"context") == b"value"


def test_an_unknown_algorithm_is_refused(keyset):
    with pytest.raises(InvalidInputError, match="no algorithm 'rot13'; use one of: aes-256-gcm, fernet"):
        keyset.with_new(RECORD, "rot13", 0)


def test_a_new_key_becomes_primary_and_the_one_before_stays_enabled(keyset):
    newer = keyset.with_new(RECORD, "fernet", 2000.0006)
    assert [(key.id, key.state) for key in newer.keys.values()] == [
        (1, "enabled"), (2, "primary"), (3, "primary"), (4, "primary"),
    ]  # fmt: skip
    assert newer.primary.id == 4
    assert newer.primary.created == 2000.001
    assert newer.cipher(1).algorithm == "aes-256-gcm"
    assert newer.cipher(4).algorithm == "fernet"
    assert keyset.primary.id == 1


def test_ids_are_not_given_twice(keyset):
    assert keyset.with_new(AUDIT_KEY, "aes-256-gcm", 0).with_new(RECORD, "fernet", 0).primary.id == 5


def test_a_destroyed_key_has_no_bytes_and_says_so(keyset):
    newer = keyset.with_new(RECORD, "fernet", 0).with_destroyed({1})
    assert newer.keys[1].secret == b""
    assert newer.keys[4].secret == newer.primary.secret
    with pytest.raises(UnknownKeyIdError, match=r"data key 1 is destroyed$"):
        newer.cipher(1)
    assert newer.secrets(RECORD) == {4: newer.primary.secret}


def test_a_disabled_key_decrypts_nothing(keyset):
    rows = dict(keyset.with_new(RECORD, "fernet", 0).keys)
    rows[1] = rows[1]._replace(state="disabled")
    with pytest.raises(UnknownKeyIdError, match="data key 1 is disabled"):
        Keyset(rows).cipher(1)


@pytest.mark.parametrize("key_id", [0, 9, 2**32 - 1])
def test_an_unknown_key_says_so(keyset, key_id):
    with pytest.raises(UnknownKeyIdError, match=rf"data key {key_id} is not in the keyset$"):
        keyset.cipher(key_id)


@pytest.mark.parametrize("key_id", [2, 3])
def test_a_key_of_another_purpose_decrypts_no_record(keyset, key_id):
    with pytest.raises(UnknownKeyIdError, match="data key"):
        keyset.cipher(key_id)


def test_secrets_of_a_purpose_are_by_id_oldest_first(keyset):
    newer = keyset.with_new(AUDIT_KEY, "aes-256-gcm", 0)
    assert list(newer.secrets(AUDIT_KEY)) == [3, 4]
    assert newer.secrets(AUDIT_KEY)[3] == keyset.keys[3].secret


def test_it_comes_back_as_it_was(keyset):
    keyset = keyset.with_new(RECORD, "fernet", 5.0).with_destroyed({1})
    assert Keyset.decrypt(keyset.encrypt(ROOT, 3, STORE), ROOT, 3, STORE).keys == keyset.keys


def test_it_is_encrypted_as_the_docstring_says(keyset):
    stored = keyset.encrypt(ROOT, 3, STORE)
    assert stored[:5] == b"\x01\0\0\0\x03"
    place = context(STORE, "system/keyset", b"root 3")
    document = json.loads(AesGcm(hkdf(ROOT, b"strongroom keyset")).decrypt(stored[5:], place))
    assert list(document) == ["keys"]
    assert document["keys"][0][:5] == [1, "record", "aes-256-gcm", "primary", 1000.0]


@pytest.mark.parametrize(("root", "number", "store"), [(OTHER, 3, STORE), (ROOT, 4, STORE), (ROOT, 3, "f" * 32)])
def test_another_root_key_root_number_or_store_is_tampering(keyset, root, number, store):
    with pytest.raises(TamperedError, match=r"system/keyset.*Restore the store from a backup"):
        Keyset.decrypt(keyset.encrypt(ROOT, 3, STORE), root, number, store)


def test_changed_bytes_are_tampering_and_a_higher_format_is_newer(keyset):
    stored = keyset.encrypt(ROOT, 1, STORE)
    for place in (0, 4, 5, len(stored) - 1):
        changed = bytearray(stored)
        changed[place] ^= 1
        with pytest.raises(TamperedError):
            Keyset.decrypt(bytes(changed), ROOT, 1, STORE)
    for cut in (0, 1, 5, 20):
        with pytest.raises(TamperedError):
            Keyset.decrypt(stored[:cut], ROOT, 1, STORE)
    with pytest.raises(NewerFormatError, match=r"keyset.*upgrade"):
        Keyset.decrypt(b"\x02" + stored[1:], ROOT, 1, STORE)


def test_reprs_show_no_key_bytes(keyset):
    shown = repr(keyset) + repr(keyset.primary) + str(keyset.keys)
    assert "Key(1, record, aes-256-gcm, primary)" in shown
    assert repr(keyset.primary.secret)[2:-1] not in shown
    assert keyset.primary.secret.hex() not in shown
