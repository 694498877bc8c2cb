import hashlib

import pytest

from strongroom.crypto import Forged
from strongroom.crypto.mac import Mac

KEY = bytes(range(32))


def test_it_is_keyed_blake2b_of_the_joined_parts():
    expected = hashlib.blake2b(b"one, two", key=KEY, person=b"a purpose", digest_size=24).digest()
    assert Mac(KEY, b"a purpose", 24).digest(b"one", b"", b", two") == expected


def test_key_purpose_and_size_each_change_the_digest():
    macs = [Mac(KEY, b"a"), Mac(KEY, b"b"), Mac(KEY[::-1], b"a"), Mac(KEY, b"a", 16)]
    assert len({mac.digest(b"x")[:16] for mac in macs}) == 4


@pytest.mark.parametrize("size", [16, 64])
def test_the_shortest_and_the_longest_digest_are_made(size):
    assert len(Mac(KEY, b"a", size).digest(b"x")) == size


def test_digests_do_not_depend_on_earlier_ones():
    mac = Mac(KEY, b"a")
    assert mac.digest(b"x") == mac.digest(b"x")


def test_verify_takes_the_right_tag_only():
    mac = Mac(KEY, b"a")
    tag = mac.digest(b"x", b"y")
    mac.verify(tag, b"xy")
    for wrong in (tag[:-1], b"", bytes(32), tag[:-1] + bytes([tag[-1] ^ 1])):
        with pytest.raises(Forged):
            mac.verify(wrong, b"xy")


@pytest.mark.parametrize(("key", "size"), [(b"", 32), (b"short", 32), (KEY + KEY, 32), (KEY, 15), (KEY, 0), (KEY, 65)])
def test_weak_parameters_are_refused(key, size):
    with pytest.raises(ValueError, match="32 bytes"):
        Mac(key, b"a", size)
