"""What a hostile store, file or caller can make us do: everything is bounded, and the page of the limits says how."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

import strongroom
from strongroom import exchange, model
from strongroom.crypto import argon2
from strongroom.errors import InvalidInputError, InvalidValueError, StrongroomError, TamperedError
from strongroom.key_providers import passphrase
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.manager import attributes
from strongroom.records import data, header
from strongroom.records.context import entries
from strongroom.records.header import Header, Recipient
from strongroom.settings import config, discovery
from strongroom.stores import file_replacing
from strongroom.stores.memory import MemoryStore

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

LIMITS = {
    "name of a secret": model.MAX_NAME_BYTES,
    "path of an entry in a store": model.MAX_PATH_BYTES,
    "value": model.MAX_VALUE_BYTES - 1,
    "fields of a secret": data.MAX_FIELDS,
    "nesting of fields": data.MAX_DEPTH,
    "JSON values in all fields": data.MAX_VALUES,
    "custom metadata": (attributes.MAX_CUSTOM, attributes.MAX_CUSTOM_KEY, attributes.MAX_CUSTOM_TEXT),
    "versions kept": attributes.MAX_VERSIONS,
    "number of a version": model.HIGHEST_VERSION,
    "recipients": header.MAX_RECIPIENTS,
    "recipients that are passphrases": header.MAX_PASSPHRASES,
    "passphrase": passphrase.SHORTEST,
    "Argon2id, at least": argon2.FLOOR,
    "Argon2id, at most": (*argon2.CEILING, argon2.MOST_WORK // 1024),
    "header of a store": header.MAX_HEADER_BYTES,
    "file of settings": discovery.LARGEST,
    "file of a `file:` store": file_replacing.MOST_BYTES,
    "imported file": model.MAX_VALUE_BYTES + 1,
    "uses of a data key": 1 << 31,
}


def page() -> dict[str, list[int]]:
    table = PAGE.read_text().partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {row[0]: [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row[1])] for row in rows}


def test_the_page_has_every_limit_and_its_real_number():
    expected = {what: [*limit] if isinstance(limit, tuple) else [limit] for what, limit in LIMITS.items()}
    assert page() == expected
    assert config.load({}, "/").max_versions <= attributes.MAX_VERSIONS


# A header that asks for much


def recipients(count: int, wrapped: bytes = b"M") -> list[Recipient]:
    return [Recipient(number, "env:KEY", 1.0, wrapped) for number in range(1, count + 1)]


def stored(*rows: Recipient, **changed: object) -> bytes:
    body = json.loads(Header("a" * 32, 1.0, 1, rows).encode().partition(b"\n")[2]) | changed
    return spelled(json.dumps(body).encode())


def spelled(body: bytes) -> bytes:
    return b"strongroom header 1 " + sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    ("most", "wrapped"), [(header.MAX_RECIPIENTS, b"M"), (header.MAX_PASSPHRASES, b"P" + bytes(50))],
    ids=["recipients", "passphrases"],
)  # fmt: skip
def test_a_header_has_few_recipients(most, wrapped):
    assert len(Header.decode(stored(*recipients(most, wrapped))).recipients) == most
    with pytest.raises(TamperedError):
        Header.decode(stored(*recipients(most + 1, wrapped)))
    with pytest.raises(InvalidInputError, match=f"at most {most} .*rekey remove"):
        Header("a" * 32, 1.0, 1, ()).with_recipients(recipients(most + 1, wrapped))


@pytest.mark.parametrize(
    "body",
    [
        b'{"store": "%b", "created": 1e999, "root": 1, "recipients": []}' % (b"a" * 32),
        b'{"store": "%b", "created": NaN, "root": 1, "recipients": []}' % (b"a" * 32),
        b'{"store": "%b", "created": 1e300, "root": 1, "recipients": []}' % (b"a" * 32),
        b'{"store": "%b", "created": %b, "root": 1, "recipients": []}' % (b"a" * 32, b"9" * 5000),
        b'{"store": "%b", "created": 1, "root": %b, "recipients": []}' % (b"a" * 32, b"9" * 100),
        b'{"store": "%b", "created": 1, "root": 1, "recipients": {"a": 1}}' % (b"a" * 32),
        b'{"store": "%b", "created": 1, "root": 1, "recipients": 5}' % (b"a" * 32),
        b'{"store": "%b", "created": 1, "root": 1, "recipients": [[1, "a", Infinity, ""]]}' % (b"a" * 32),
        b'{"store": "%b", "created": 1, "root": 1, "recipients": [[-1, "a", 1, ""]]}' % (b"a" * 32),
        b'{"store": "%b", "created": 1, "root": 1, "recipients": [[1, "a", 1, "\xe9"]]}' % (b"a" * 32),
        b"[" * 200_000,
        b"5",
        b"\xff",
    ],
)
def test_a_header_of_nonsense_is_one(body):
    with pytest.raises(TamperedError):
        Header.decode(spelled(body))


def test_a_header_is_not_large():
    with pytest.raises(TamperedError, match="more than 1,048,576 bytes"):
        Header.decode(stored(label="x" * (1 << 20)))


# Argon2


def wrap_at(memory: int, passes: int, lanes: int) -> bytes:
    return struct.pack(">2sIII16s", b"P\x01", memory, passes, lanes, bytes(16)) + bytes(8 + 60)


@pytest.mark.parametrize(
    ("cost", "why"),
    [
        ((4 * 1024 * 1024, 2, 1), "above"), ((2**32 - 1, 2**32 - 1, 2**32 - 1), "above"), ((1 << 20, 16, 4), "above"),
        ((64 * 1024, 17, 4), "above"), ((64 * 1024, 3, 17), "above"), ((1, 1, 1), "below"), ((8, 1, 1), "below"),
        ((64 * 1024, 1, 4), "below"), ((19 * 1024 - 1, 2, 1), "below"), ((64 * 1024, 3, 0), "below"),
        ((0, 0, 0), "below"),
    ],
)  # fmt: skip
def test_a_store_cannot_choose_what_a_passphrase_costs(cost, why, monkeypatch):
    monkeypatch.setattr(argon2, "Argon2id", None)  # nothing of it is computed
    provider = PassphraseProvider(lambda: "six random words of mine here")
    with pytest.raises(TamperedError, match=f"{why} what strongroom accepts"):
        provider.unwrap(wrap_at(*cost), b"")


def test_memory_that_is_not_free_is_said_so(monkeypatch):
    def exhausted(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(passphrase, "argon2id", exhausted)
    provider = PassphraseProvider(lambda: "six random words of mine here")
    with pytest.raises(StrongroomError, match="takes 1,024 MiB of memory"):
        provider.unwrap(wrap_at(1 << 20, 2, 1), b"")


# Paths


@pytest.mark.parametrize("path", ["x" * 1025, "x" * 70_000, "🔑" * 300])
def test_a_path_is_short(path, make_manager):
    store = MemoryStore()
    with store.transaction() as tx:
        tx.put(path, b"")
    with pytest.raises(TamperedError, match="longer than 1,024 bytes"):
        list(entries(store))
    manager = make_manager("memory")
    with manager._access.engine.store.transaction() as tx:
        tx.put("secret/" + path, b"")
    for use in (manager.verify, manager.list_secrets, lambda: manager.get_secret("missing"), manager.accept):
        with pytest.raises(TamperedError):
            use()


# A document


def document(pairs: list[tuple[str, str]]) -> bytes:
    lines = ",\n".join(f"{json.dumps(path)}: {json.dumps(text)}" for path, text in pairs)
    return f'{{"format": "strongroom-file/1", "revision": 1, "entries": {{{lines}}}}}'.encode()


SLOW = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from strongroom.errors import StrongroomError
from strongroom.stores.file_document import parse
from strongroom import exchange
content = open(sys.argv[1], "rb").read()
try:
    parse(content, "file:x") if sys.argv[2] == "store" else exchange.parse(content, sys.argv[2])
except StrongroomError as error:
    print(str(error)[:200])
"""
MANY = 200_000


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("store", document([(f"secret/{n}", "") for n in range(MANY)] + [("secret/7", "")]), "holds 'secret/7' twice"),
        ("store", document([("a", "")] * MANY), "holds 'a' twice"),
        ("json", json.dumps({f"n{n}": "" for n in range(MANY)})[:-1].encode() + b', "n7": ""}', "'n7' is given twice"),
        ("dotenv", b"".join(b"N%d=x\n" % n for n in range(MANY // 4)) + b"N7=y\n", "already given in line 8"),
        ("dotenv", b"A='" + b"\\" * MANY, "never closed"),
        ("dotenv", b"A=" + b"${" * MANY + b"\nA=1", "already given in line 1"),
        ("dotenv", b'A="' + b"${" * MANY + b'"\nA=1', "already given in line 1"),
        ("dotenv", b"A='" + b"${" * MANY + b"'\nA=1", "already given in line 1"),
        ("dotenv", b"#" * MANY + b"\n" + b" \t" * MANY + b"\nA='x'" + b" " * MANY + b"y", "text after its closing"),
    ],
    ids=[
        "one duplicate",
        "all alike",
        "JSON",
        "dotenv",
        "dotenv: no end",
        "dotenv: open references",
        "dotenv: the same in double quotes",
        "dotenv: the same in single quotes",
        "dotenv: white space",
    ],
)
def test_a_large_file_takes_no_square_of_its_size(tmp_path, kind, content, said):
    """A processor time that is far from what it takes, and far below what a square would take."""
    path = tmp_path / "file"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(path), kind], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(strongroom.__file__).parents[1])},
    )  # fmt: skip
    assert said in done.stdout, done.stderr


# Fields


def doubled(depth: int) -> list:
    """A list of two times the same list, and so on: little memory, and 2^depth values."""
    value: list = []
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({str(n): "" for n in range(data.MAX_FIELDS + 1)}, "1,001 fields; at most 1,000"),
        ({"a": doubled(60)}, "more than 1,000,000 values"),
        ({"a": [0] * (data.MAX_VALUES + 1)}, "more than 1,000,000 values"),
        ({"a": doubled(101)}, "nested more than 100 deep"),
    ],
    ids=["many fields", "doubled lists", "a long list", "deep"],
)
def test_fields_are_few_and_flat(given, why):
    with pytest.raises(InvalidValueError, match=why):
        data.encode(given)


def test_a_list_that_holds_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(InvalidValueError, match="nested more than 100 deep"):
        data.encode({"a": loop})


def test_as_many_as_are_allowed_are_kept(make_manager):
    manager = make_manager("file")
    fields = {f"field {n}": "x" for n in range(data.MAX_FIELDS)}
    manager.set_secret("A", fields)
    assert manager.get_data("A") == fields


# Imported files


@pytest.mark.parametrize("file_format", ["json", "dotenv", "yaml"])
def test_an_imported_file_of_nonsense_is_an_error_of_ours(file_format):
    pytest.importorskip("yaml")
    for content in (b"[" * 100_000, b'{"a":' * 50_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "\\ud800"}', b"\xff\xfe",
                    b"a: " + b"[" * 5000, b"a: &a [*a]", b"- " * 20_000, b"A=${" * 10_000):  # fmt: skip
        try:
            exchange.parse(content, file_format)
        except StrongroomError as error:
            assert len(str(error)) < 800  # noqa: PT017


# Versions


def test_the_numbers_of_versions_end(make_manager):
    from strongroom.info import SecretInfo, VersionInfo
    from strongroom.records.data import encode

    manager = make_manager("memory")
    info = SecretInfo("A", model.HIGHEST_VERSION, (VersionInfo(model.HIGHEST_VERSION, 1.0),), {}, 10)
    with manager._access.engine.change() as change:
        change.put("secret/A", change.records.seal_head(info, encode("the last")))
    for use in (lambda: manager.set_secret("A", "x"), lambda: manager.rotate_secret("A")):
        with pytest.raises(InvalidInputError, match="4,294,967,295 versions"):
            use()
    assert manager.get_secret("A") == "the last"
    assert manager.verify().ok
    assert b64encode(b"the last") not in repr(manager).encode()
