import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.crypto import Forged
from strongroom.crypto.aes_gcm import AesGcm

KEY = bytes(range(32))


def test_it_is_nonce_then_aes_256_gcm_with_the_context_as_associated_data():
    sealed = AesGcm(KEY).encrypt(b"value", b"context")
    assert AESGCM(KEY).decrypt(sealed[:12], sealed[12:], b"context") == b"value"
    assert len(sealed) == 12 + len(b"value") + 16


def test_it_reads_a_published_ciphertext():
    # Test case 14 of the GCM specification (McGrew and Viega): zero key, zero nonce, sixteen zero bytes.
    sealed = bytes(12) + bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert AesGcm(bytes(32)).decrypt(sealed, b"") == bytes(16)


def test_nonces_differ_each_time():
    cipher = AesGcm(KEY)
    assert len({cipher.encrypt(b"", b"")[:12] for _ in range(200)}) == 200


@pytest.mark.parametrize("other", [b"", b"contex", b"context\0"])
def test_another_context_is_forged(other):
    with pytest.raises(Forged):
        AesGcm(KEY).decrypt(AesGcm(KEY).encrypt(b"value", b"context"), other)


def test_another_key_is_forged():
    with pytest.raises(Forged):
        AesGcm(KEY[::-1]).decrypt(AesGcm(KEY).encrypt(b"value", b""), b"")


def test_any_changed_bit_is_forged():
    sealed = AesGcm(KEY).encrypt(b"v", b"")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Forged):
            AesGcm(KEY).decrypt(bytes(changed), b"")


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27])
def test_what_is_too_short_is_forged(length):
    with pytest.raises(Forged):
        AesGcm(KEY).decrypt(bytes(length), b"")


@pytest.mark.parametrize("length", [0, 15, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="must be"):
        AesGcm(bytes(length))


def test_the_class_that_is_found_without_the_other_ciphers_is_the_public_one():
    assert type(AesGcm(bytes(32))._aead) is AESGCM
