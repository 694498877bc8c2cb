import struct

import pytest

from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.kdf import hkdf
from strongroom.errors import NewerFormatError, TamperedError
from strongroom.records.context import context
from strongroom.records.keyset import MANIFEST_KEY, Keyset
from strongroom.records.manifest import MODULUS, Manifest, Manifests, entries
from strongroom.stores.memory import MemoryStore

STORE = "0123456789abcdef" * 2
MANIFEST = Manifest(revision=5, entries=3, total=MODULUS - 2, uses=9)


@pytest.fixture(scope="module")
def keyset() -> Keyset:
    return Keyset.generate("fernet", 0)


@pytest.fixture(scope="module")
def manifests(keyset) -> Manifests:
    return Manifests(STORE, keyset)


def test_it_comes_back_as_it_was(manifests):
    assert manifests.open(manifests.seal(MANIFEST)) == MANIFEST


def test_the_sum_is_taken_modulo_2_to_the_256(manifests):
    assert manifests.open(manifests.seal(MANIFEST._replace(total=MODULUS + 3))).total == 3
    assert manifests.open(manifests.seal(MANIFEST._replace(total=-1))).total == MODULUS - 1


def test_it_lies_as_the_docstring_says(manifests, keyset):
    stored = manifests.seal(MANIFEST)
    assert stored[:5] == b"\x01\0\0\0\x02"
    cipher = AesGcm(hkdf(keyset.keys[2].secret, b"strongroom manifest seal"))
    plain = cipher.decrypt(stored[5:], context(STORE, "system/manifest", stored[:5]))
    assert plain == struct.pack(">QQQ", 5, 3, 9) + (MODULUS - 2).to_bytes(32, "big")


def test_a_missing_manifest_is_tampering(manifests):
    with pytest.raises(TamperedError, match="manifest is missing; run `strongroom verify`"):
        manifests.open(None)


def test_any_changed_byte_is_tampering(manifests):
    stored = manifests.seal(MANIFEST)
    for place in range(1, len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1
        with pytest.raises(TamperedError, match="manifest is damaged or forged; run"):
            manifests.open(bytes(changed))
    for cut in (0, 1, 5, 20):
        with pytest.raises(TamperedError):
            manifests.open(stored[:cut])


def test_a_higher_format_is_newer(manifests):
    with pytest.raises(NewerFormatError, match=r"manifest.*upgrade"):
        manifests.open(b"\x02" + manifests.seal(MANIFEST)[1:])


def test_another_store_or_another_key_is_tampering(manifests, keyset):
    for other in (Manifests("f" * 32, keyset), Manifests(STORE, keyset.with_new(MANIFEST_KEY, "aes-256-gcm", 0))):
        with pytest.raises(TamperedError):
            other.open(manifests.seal(MANIFEST))


def test_hashes_depend_on_path_value_and_key_and_where_one_ends(manifests, keyset):
    hashes = [
        manifests.hash("a", b"b"),
        manifests.hash("ab", b""),
        manifests.hash("", b"ab"),
        manifests.hash("b", b"a"),
        Manifests(STORE, Keyset.generate("fernet", 0)).hash("a", b"b"),
    ]
    assert len(set(hashes)) == 5
    assert max(hashes) > 1 << 200
    assert manifests.hash("a", b"b") == hashes[0]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    with store.transaction() as tx:
        for number in range(25):
            tx.put(f"secret/{number}", b"%d" % number)
        tx.put("system/manifest", b"old")
    return store


def test_a_summary_counts_everything_but_the_manifest_itself(manifests, store):
    total = sum(manifests.hash(f"secret/{n}", b"%d" % n) for n in range(25)) % MODULUS
    assert manifests.summarise(store, 7, 11) == Manifest(7, 25, total, 11)


def test_a_summary_tells_the_paths_that_it_saw_when_it_is_asked_to(manifests, store):
    paths = {"before"}
    manifests.summarise(store, 1, 0, paths)
    assert paths == {"before", "system/manifest", *(f"secret/{n}" for n in range(25))}


@pytest.mark.parametrize("page", [1, 2, 13, 26, 1000])
def test_all_entries_are_read_whatever_the_page(store, page):
    assert len(list(entries(store, page=page))) == 26
    assert [path for path, _ in entries(store, "secret/1", page=page)] == sorted(
        f"secret/{n}" for n in (1, *range(10, 20))
    )


@pytest.mark.parametrize("rows", [["b", "a"], ["a", "a"], ["a", "b", "a"]])
def test_a_store_that_lists_in_circles_is_found_out(rows):
    class Circling:
        def scan(self, prefix="", after="", limit=1000):
            return [(path, b"") for path in rows]

    with pytest.raises(TamperedError, match="lists its entries out of order at"):
        list(entries(Circling()))
