import pytest

from strongroom.errors import NewerFormatError, TamperedError, WrongKeyError
from strongroom.key_providers.master import fingerprint, unwrap, wrap

MASTER, OTHER = bytes(range(32)), bytes(range(1, 33))
ROOT = b"r" * 32


def opened(wrapped, master=MASTER, context=b"place"):
    return unwrap(master, wrapped, context, "env:KEY")


def test_what_is_wrapped_is_unwrapped_at_its_place():
    assert opened(wrap(MASTER, ROOT, b"place")) == ROOT


def test_it_starts_with_kind_version_and_fingerprint():
    assert wrap(MASTER, ROOT, b"place")[:10] == b"M\x01" + fingerprint(MASTER)


def test_fingerprints_tell_keys_apart_and_reveal_none():
    assert fingerprint(MASTER) != fingerprint(OTHER)
    assert len(fingerprint(MASTER)) == 8
    assert fingerprint(MASTER) not in MASTER


@pytest.mark.parametrize("wrapped", [b"", b"M", b"P\x01" + bytes(40), b"M\x00" + bytes(40)])
def test_what_is_not_of_this_kind_is_not_mine(wrapped):
    with pytest.raises(WrongKeyError, match="env:KEY is not the one"):
        opened(wrapped)


def test_another_master_key_is_a_wrong_key():
    with pytest.raises(WrongKeyError, match="is not the one that this was wrapped with"):
        opened(wrap(MASTER, ROOT, b"place"), OTHER)


def test_a_newer_format_is_said_to_be_newer():
    with pytest.raises(NewerFormatError, match="upgrade"):
        opened(b"M\x02" + wrap(MASTER, ROOT, b"place")[2:])


@pytest.mark.parametrize("context", [b"", b"plac", b"placE", b"place2"])
def test_another_place_is_tampering(context):
    with pytest.raises(TamperedError, match="damaged or from another store"):
        opened(wrap(MASTER, ROOT, b"place"), context=context)


def test_a_place_cannot_be_made_longer_by_bytes_of_the_key():
    # With the key's first byte taken for the end of the place, one byte would be missing.
    with pytest.raises(TamperedError):
        opened(wrap(MASTER, ROOT, b"place"), context=b"place" + ROOT[:1])


def test_a_changed_token_is_tampering():
    wrapped = bytearray(wrap(MASTER, ROOT, b"place"))
    for place in range(10, len(wrapped)):
        wrapped[place] ^= 1
        with pytest.raises(TamperedError):
            opened(bytes(wrapped))
        wrapped[place] ^= 1


def test_a_cut_token_is_tampering():
    with pytest.raises(TamperedError):
        opened(wrap(MASTER, ROOT, b"place")[:10])
