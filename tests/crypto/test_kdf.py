import hashlib
import hmac

import pytest

from strongroom.crypto.argon2 import CEILING, STANDARD, Argon2Cost, argon2id
from strongroom.crypto.kdf import hkdf

CHEAP = Argon2Cost(memory=8, passes=1, lanes=1)


def test_hkdf_agrees_with_the_published_case_without_salt_and_info():
    # RFC 5869, test case 3; its 42 bytes begin with the 32 that are asked for here.
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf(b"\x0b" * 22, b"").hex() == expected


def test_hkdf_is_extract_with_a_zero_salt_then_one_expansion():
    extracted = hmac.digest(bytes(32), b"key", hashlib.sha256)
    assert hkdf(b"key", b"info") == hmac.digest(extracted, b"info\x01", hashlib.sha256)


def test_the_standard_cost_is_the_second_of_rfc_9106():
    assert STANDARD == (64 * 1024, 3, 4)


def test_the_ceiling_is_one_gibibyte_sixteen_passes_and_sixteen_lanes():
    assert CEILING == (1_048_576, 16, 16)


def test_argon2id_agrees_with_a_value_computed_elsewhere():
    # argon2-cffi 25.1: hash_secret_raw(b"passphrase", b"saltsaltsaltsalt", 1, 8, 1, 32, Type.ID)
    expected = "cb9824fc49e2654e0952212371580809e57ce304217cf86992a22078d6cbfa5f"
    assert argon2id(b"passphrase", b"saltsaltsaltsalt", CHEAP).hex() == expected


@pytest.mark.parametrize("field", Argon2Cost._fields)
def test_a_cost_above_the_ceiling_is_refused_before_any_work(field):
    with pytest.raises(ValueError, match="above what strongroom accepts"):
        argon2id(b"p", bytes(16), CHEAP._replace(**{field: getattr(CEILING, field) + 1}))


def test_a_cost_at_the_ceiling_of_passes_is_accepted():
    assert len(argon2id(b"p", bytes(16), CHEAP._replace(passes=CEILING.passes))) == 32


@pytest.mark.parametrize("cost", [Argon2Cost(8, 0, 1), Argon2Cost(0, 1, 1), Argon2Cost(8, 1, 0), Argon2Cost(8, 1, 2)])
def test_an_impossible_cost_is_a_value_error(cost):
    with pytest.raises(ValueError):  # noqa: PT011 - the library's words
        argon2id(b"p", bytes(16), cost)
