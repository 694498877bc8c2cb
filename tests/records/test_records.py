import json
import struct

import pytest

from strongroom.errors import NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.records.context import context
from strongroom.records.keyset import ALGORITHMS, RECORD, Keyset
from strongroom.records.records import DELETED, DESTROYED, Records, key_id, may_be_listed, why_missing

STORE, OTHER = "0123456789abcdef" * 2, "f" * 32
INFO = SecretInfo(
    "shop/db",
    3,
    (VersionInfo(1, 5.5, deleted=7.75), VersionInfo(2, 10.5, destroyed=True), VersionInfo(3, 20.25, expires=99.5)),
    {"owner": "ops", "ü": "ä"},
    7,
)
VALUE = b"scorpion-value"


@pytest.fixture(params=ALGORITHMS)
def records(request) -> Records:
    return Records(STORE, Keyset.generate(request.param, 0))


@pytest.fixture
def head(records) -> bytes:
    return records.seal_head(INFO, VALUE)


def elsewhere(records, store=STORE) -> Records:
    return Records(store, records.keyset)


def test_a_head_comes_back_as_it_was(records, head):
    assert records.open_head("shop/db", head) == (3, 0, 99500, VALUE)
    assert records.open_info("shop/db", head) == INFO


def test_a_head_lies_as_the_docstring_says(records, head):
    number, key, flags, version, expires, length = struct.unpack(">BIBIQI", head[:22])
    assert (number, key, flags, version, expires) == (1, 1, 0, 3, 99500)
    cipher = records.keyset.cipher(1)
    metadata = cipher.decrypt(head[22 : 22 + length], context(STORE, "secret/shop/db", head[:18]))
    assert json.loads(metadata) == {
        "v": [[1, 5.5, 7.75, 0, None], [2, 10.5, None, 1, None], [3, 20.25, None, 0, 99.5]],
        "c": {"owner": "ops", "ü": "ä"},
        "m": 7,
    }
    place = context(STORE, "secret/shop/db", head[: 22 + length])
    assert cipher.decrypt(head[22 + length :], place) == VALUE


@pytest.mark.parametrize(
    ("current", "flags", "expires"),
    [
        (VersionInfo(3, 0.0), 0, 0),
        (VersionInfo(3, 0.0, deleted=1.0), DELETED, 0),
        (VersionInfo(3, 0.0, deleted=0.0), DELETED, 0),
        (VersionInfo(3, 0.0, destroyed=True), DESTROYED, 0),
        (VersionInfo(3, 0.0, deleted=1.0, destroyed=True), DELETED | DESTROYED, 0),
        (VersionInfo(3, 0.0, expires=0.0), 0, 1),
        (VersionInfo(3, 0.0, expires=1.0004), 0, 1000),
    ],
)
def test_the_state_of_the_current_version_is_in_the_clear_part(records, current, flags, expires):
    head = records.seal_head(INFO._replace(versions=(current,)), b"")
    assert records.open_head("shop/db", head) == (3, flags, expires, b"")
    assert may_be_listed(head) is (flags == 0)


def test_a_version_comes_back_as_it_was(records):
    stored = records.seal_version("shop/db", 2, VALUE)
    assert stored[:5] == b"\x01\0\0\0\x01"
    assert records.open_version("shop/db", 2, stored) == VALUE
    place = context(STORE, "version/shop/db/0000000002", stored[:5])
    assert records.keyset.cipher(1).decrypt(stored[5:], place) == VALUE


def test_any_other_entry_comes_back_under_its_own_path_only(records):
    stored = records.seal_entry("rotation/shop/db", VALUE)
    assert records.open_entry("rotation/shop/db", stored) == VALUE
    for other in (records, elsewhere(records, OTHER)):
        with pytest.raises(TamperedError, match="the entry 'rotation/shop/dc' fails authentication") as caught:
            other.open_entry("rotation/shop/dc", stored)
        assert (caught.value.name, caught.value.version) == (None, None)
    with pytest.raises(TamperedError):
        elsewhere(records, OTHER).open_entry("rotation/shop/db", stored)
    with pytest.raises(NewerFormatError, match="the entry 'rotation/shop/db' is in a format"):
        records.open_entry("rotation/shop/db", b"\x02" + stored[1:])
    with pytest.raises(UnknownKeyIdError, match="the entry 'rotation/shop/db' cannot be decrypted: data key 77"):
        records.open_entry("rotation/shop/db", stored[:1] + struct.pack(">I", 77) + stored[5:])


@pytest.mark.parametrize("name", ["shop/dc", "shop", "shop/db/", "Shop/db", "shop/db\0"])
def test_a_head_under_another_name_is_tampering(records, head, name):
    for read in (records.open_head, records.open_info):
        with pytest.raises(
            TamperedError, match=r"fails authentication.*moved here from another place\. Run `strongroom verify`"
        ) as caught:
            read(name, head)
        assert caught.value.name == name
        assert type(caught.value) is TamperedError


def test_a_record_of_another_store_is_tampering(records, head):
    other = elsewhere(records, OTHER)
    with pytest.raises(TamperedError):
        other.open_head("shop/db", head)
    with pytest.raises(TamperedError):
        other.open_info("shop/db", head)
    with pytest.raises(TamperedError):
        other.open_version("shop/db", 2, records.seal_version("shop/db", 2, VALUE))


@pytest.mark.parametrize(("name", "version"), [("shop/db", 1), ("shop/db", 3), ("shop/d", 2), ("shop", 2)])
def test_a_version_under_another_number_or_name_is_tampering(records, name, version):
    stored = records.seal_version("shop/db", 2, VALUE)
    with pytest.raises(TamperedError, match=f"version {version} of the secret '{name}' fails") as caught:
        records.open_version(name, version, stored)
    assert (caught.value.name, caught.value.version) == (name, version)


def test_a_head_is_no_version_and_a_version_no_head(records, head):
    with pytest.raises(TamperedError):
        records.open_version("shop/db", 3, head)
    with pytest.raises(TamperedError):
        records.open_head("shop/db", records.seal_version("shop/db", 3, VALUE))


def test_any_changed_bit_of_a_head_is_refused(records, head):
    for place in range(len(head)):
        for bit in (1, 0x80):
            changed = bytearray(head)
            changed[place] ^= bit
            with pytest.raises((TamperedError, NewerFormatError)):
                records.open_head("shop/db", bytes(changed))


def test_metadata_and_data_of_two_heads_do_not_mix(records, head):
    other = records.seal_head(INFO._replace(custom={}), VALUE)
    length = struct.unpack(">I", head[18:22])[0]
    other_length = struct.unpack(">I", other[18:22])[0]
    mixed = head[: 22 + length] + other[22 + other_length :]
    with pytest.raises(TamperedError):
        records.open_head("shop/db", mixed)


@pytest.mark.parametrize("clear", [5, 6, 9, 10, 17])
def test_metadata_is_bound_to_flags_version_and_expiry(records, head, clear):
    changed = bytearray(head)
    changed[clear] ^= 1
    with pytest.raises(TamperedError):
        records.open_info("shop/db", bytes(changed))


def test_a_cut_record_is_tampering(records, head):
    for length in (0, 1, 5, 21, 22, 40, len(head) - 1):
        for read in (records.open_head, records.open_info) if length < 40 else (records.open_head,):
            with pytest.raises(TamperedError):
                read("shop/db", head[:length])
    for length in (0, 4, 5, 20):
        with pytest.raises(TamperedError):
            records.open_version("shop/db", 2, records.seal_version("shop/db", 2, VALUE)[:length])


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**32 - 1])
def test_a_false_length_is_tampering_and_takes_no_memory(records, head, length):
    lying = head[:18] + struct.pack(">I", length) + head[22:]
    for read in (records.open_head, records.open_info):
        with pytest.raises(TamperedError):
            read("shop/db", lying)


def test_an_unknown_key_is_said_to_be_unknown(records, head):
    foreign = head[:1] + struct.pack(">I", 77) + head[5:]
    for read in (records.open_head, records.open_info):
        with pytest.raises(UnknownKeyIdError, match=r"'shop/db' cannot be decrypted: data key 77 is not in"):
            read("shop/db", foreign)
    stored = records.seal_version("shop/db", 2, VALUE)
    with pytest.raises(UnknownKeyIdError, match=r"version 2 of.*data key 77") as caught:
        records.open_version("shop/db", 2, stored[:1] + struct.pack(">I", 77) + stored[5:])
    assert (caught.value.name, caught.value.version) == ("shop/db", 2)


@pytest.mark.parametrize("key_id", [2, 3])
def test_keys_of_the_manifest_and_the_audit_log_read_no_record(records, head, key_id):
    with pytest.raises(UnknownKeyIdError):
        records.open_head("shop/db", head[:1] + struct.pack(">I", key_id) + head[5:])


def test_a_key_of_the_keyset_that_is_not_the_one_is_tampering(records, head):
    newer = Records(STORE, records.keyset.with_new(RECORD, "aes-256-gcm", 0))
    with pytest.raises(TamperedError) as caught:
        newer.open_head("shop/db", head[:1] + struct.pack(">I", 4) + head[5:])
    assert type(caught.value) is TamperedError


@pytest.mark.parametrize("number", [2, 255])
def test_a_higher_format_is_newer_whatever_else_is_wrong(records, head, number):
    byte = bytes([number])
    for read in (records.open_head, records.open_info):
        with pytest.raises(NewerFormatError, match="'shop/db' is in a format of a newer strongroom: upgrade") as caught:
            read("shop/db", byte + head[1:])
        assert (caught.value.name, caught.value.version) == ("shop/db", None)
    with pytest.raises(NewerFormatError, match="version 2") as caught:
        records.open_version("shop/db", 2, byte + records.seal_version("shop/db", 2, VALUE)[1:])
    assert (caught.value.name, caught.value.version) == ("shop/db", 2)
    with pytest.raises(NewerFormatError):
        records.open_head("shop/db", byte + bytes(4) + head[5:])


def test_format_zero_is_tampering(records, head):
    with pytest.raises(TamperedError):
        records.open_head("shop/db", b"\0" + head[1:])


def test_old_records_are_read_and_new_ones_written_under_the_primary_key(records, head):
    newer = Records(STORE, records.keyset.with_new(RECORD, "fernet", 0))
    assert newer.open_data("shop/db", head) == VALUE
    assert key_id(newer.seal_head(INFO, VALUE)) == 4
    assert key_id(newer.seal_version("shop/db", 1, VALUE)) == 4


def test_equal_values_look_different(records):
    assert len({records.seal_version("a", 1, VALUE) for _ in range(20)}) == 20


def test_no_repr_and_no_error_shows_the_value(records, head):
    with pytest.raises(TamperedError) as caught:
        records.open_head("x", head)
    shown = repr(records) + repr(caught.value)
    assert "scorpion" not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("flags", "expires", "reason"),
    [
        (0, 0, None), (0, 1000, "expired"), (0, 1001, None), (DELETED, 0, "deleted"), (DESTROYED, 0, "destroyed"),
        (DELETED | DESTROYED, 0, "destroyed"), (DELETED, 1, "deleted"),
    ],
)  # fmt: skip
def test_why_a_version_is_missing(monkeypatch, flags, expires, reason):
    monkeypatch.setattr("time.time", lambda: 1.0)
    assert why_missing(flags, expires) == reason


def test_the_key_id_of_what_is_too_short_is_no_key():
    assert key_id(b"\x01\x03\0\x01\x02\xff") == 0x03000102
    assert key_id(b"") == 0


@pytest.mark.parametrize("stored", [b"", bytes(22), b"\x01" * 22])
def test_what_is_too_short_for_a_head_is_not_listed(stored):
    assert not may_be_listed(stored)
