"""What can be wrong with what somebody gives: the error's class, what it says to do, and that nothing else happened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import strongroom
from strongroom import errors
from strongroom.manager.manager import SecretsManager

BAD = "scorpion"
"""Part of what is given where it must not be shown."""


class Case(NamedTuple):
    title: str
    error: type[errors.StrongroomError]
    phrase: str
    do: Callable[..., Any]


def nested(depth: int) -> list[Any]:
    value: list[Any] = [BAD]
    for _ in range(depth):
        value = [value]
    return value


def refuse(case: Case, *given: Any) -> None:
    with pytest.raises(case.error, match=case.phrase) as caught:
        case.do(*given)
    assert type(caught.value) is case.error
    shown = str(caught.value)
    assert BAD not in shown
    assert shown.isprintable()
    assert len(shown) < 800
    hidden = caught.value.__context__ if not caught.value.__suppress_context__ else caught.value.__cause__
    assert BAD not in repr(hidden)


def name_case(title: str, name: Any, phrase: str) -> Case:
    return Case(f"name: {title}", errors.InvalidNameError, phrase, lambda m: m.set_secret(name, BAD))


def value_case(title: str, value: Any, phrase: str) -> Case:
    return Case(f"value: {title}", errors.InvalidValueError, phrase, lambda m: m.set_secret("A", value))


def set_case(title: str, error: type[errors.StrongroomError], phrase: str, **more: Any) -> Case:
    return Case(f"set: {title}", error, phrase, lambda m: m.set_secret("A", BAD, **more))


VALUE, INPUT = errors.InvalidValueError, errors.InvalidInputError

ARGUMENTS = [
    name_case("empty", "", "it is empty"),
    name_case("line feed", "a\nb", "control character.*use printable"),
    name_case("NUL", "a\0", "control character"),
    name_case("escape", "\x1b[2J", "control character"),
    name_case("right-to-left override", "a\u202eb", "control character"),
    name_case("surrogate", "a\ud800", "unpaired surrogate"),
    name_case("dots", "a/../b", "write it like 'auth/db/password'"),
    name_case("dot", ".", "write it like"),
    name_case("empty segment", "a//b", "empty, '.' or '..' segment"),
    name_case("slash at the start", "/a", "starts or ends with '/'"),
    name_case("slash at the end", "a/", "starts or ends with '/'"),
    name_case("2,000 bytes", "x" * 2000, "2000 bytes long; at most 512"),
    name_case("2,000 bytes of 500 characters", "🔑" * 500, "2000 bytes long"),
    name_case("bytes", b"a", "names are text"),
    name_case("number", 5, "names are text"),
    name_case("None", None, "names are text"),
    name_case("list", ["a"], "names are text"),
    Case("prefix: dots", errors.InvalidNameError, "write it like", lambda m: m.list_secrets("../")),
    Case("prefix: number", errors.InvalidNameError, "names are text", lambda m: m.list_secrets(5)),
    value_case("None", None, "text, bytes or a mapping.*convert it first"),
    value_case("number", 5, "text, bytes or a mapping"),
    value_case("list", [BAD], "text, bytes or a mapping"),
    value_case("NaN", {BAD: float("nan")}, "a field holds what JSON cannot: use text"),
    value_case("infinity", {BAD: float("-inf")}, "a field holds what JSON cannot"),
    value_case("bytes in a field", {"a": BAD.encode()}, "a field holds what JSON cannot"),
    value_case("an object in a field", {"a": object()}, "a field holds what JSON cannot"),
    value_case("deep nesting", {"a": nested(100_000)}, "nested more than 100 deep; keep such a document as text"),
    value_case("a huge number", {"a": 10**5000}, "a field holds what JSON cannot"),
    value_case("no fields", {}, "give at least one"),
    value_case("a field without a name", {"": BAD}, "text and not empty"),
    value_case("a field named by a number", {5: BAD}, "text and not empty"),
    value_case("a surrogate", BAD + "\ud800", "unpaired surrogate at character 8; pass bytes instead"),
    value_case("too large a text", "x" * (16 << 20), "at most 16,777,215 are kept"),
    value_case("too many bytes", bytes(16 << 20), "at most 16,777,215 are kept"),
    Case("many: a list", VALUE, "a mapping of names to values", lambda m: m.set_secrets([("A", BAD)])),
    Case("many: a bad name", errors.InvalidNameError, "write it like", lambda m: m.set_secrets({"A": BAD, "..": BAD})),
    Case("many: a bad value", VALUE, "convert it first", lambda m: m.set_secrets({"A": BAD, "B": 5})),
    set_case("cas negative", INPUT, "cas is the number of the current version, or 0", cas=-1),
    set_case("cas text", INPUT, "cas is the number", cas="1"),
    set_case("cas True", INPUT, "cas is the number", cas=True),
    set_case("cas a fraction", INPUT, "cas is the number", cas=1.0),
    set_case("cas that does not match", errors.ConflictError, "Read it again, then decide again", cas=5),
    set_case("max_versions 0", VALUE, "a whole number from 1 to 10,000", max_versions=0),
    set_case("max_versions text", VALUE, "a whole number from 1", max_versions="3"),
    set_case("max_versions True", VALUE, "a whole number from 1", max_versions=True),
    set_case("max_versions too many", VALUE, "a whole number from 1", max_versions=10_001),
    set_case("expires_in 0", VALUE, "a number of seconds, more than 0", expires_in=0),
    set_case("expires_in negative", VALUE, "a number of seconds", expires_in=-5),
    set_case("expires_in NaN", VALUE, "a number of seconds", expires_in=float("nan")),
    set_case("expires_in infinite", VALUE, "a number of seconds", expires_in=float("inf")),
    set_case("expires_in text", VALUE, "a number of seconds", expires_in=BAD),
    set_case("custom a list", VALUE, "a mapping of text to text", custom=[BAD]),
    set_case("custom of numbers", VALUE, "maps text", custom={BAD: 5}),
    set_case("custom by numbers", VALUE, "maps text", custom={5: BAD}),
    set_case("custom too long", VALUE, "at most 512", custom={"a": BAD * 100}),
    set_case("custom too many", VALUE, "at most 64 are kept", custom={str(n): "" for n in range(65)}),
    Case("version: text", INPUT, "a whole number from 1", lambda m: m.get_secret("A", version=BAD)),
    Case("version: 0", INPUT, "a whole number from 1", lambda m: m.get_data("A", version=0)),
    Case("version: True", INPUT, "a whole number from 1", lambda m: m.rollback("A", True)),
    Case("version: unknown", errors.VersionNotFoundError, "no live version 9", lambda m: m.rollback("A", 9)),
    Case("numbers: one number", INPUT, r"a list of versions, such as \[1, 2\]", lambda m: m.delete_secret("A", 1)),
    Case("numbers: text", INPUT, "a list of versions", lambda m: m.destroy_secret("A", BAD)),
    Case("numbers: of text", INPUT, "a whole number from 1", lambda m: m.undelete_secret("A", [BAD])),
    Case("numbers: unknown", errors.VersionNotFoundError, "nothing was changed", lambda m: m.delete_secret("A", [9])),
    Case("field: list", INPUT, "the name of a field is text", lambda m: m.get_field("A", [BAD])),
    Case("actor: empty", INPUT, "an actor is text", lambda m: m.bind("")),
    Case("actor: number", INPUT, "an actor is text", lambda m: m.bind(5)),
    Case("audit: limit 0", INPUT, "at least 1", lambda m: m.get_audit_logs(limit=0)),
    Case("audit: no action", INPUT, "there are OPEN SET GET", lambda m: m.get_audit_logs(action="FLY")),
    Case("audit: no time", INPUT, "write 24h, 7d", lambda m: m.get_audit_logs(since="soon")),
    Case("rotate: no secret", errors.SecretNotFoundError, "there is no secret", lambda m: m.rotate_secret("missing")),
    Case("rekey: no algorithm", INPUT, "use one of: aes-256-gcm, fernet", lambda m: m.custody.rekey_data("rot13")),
    Case("rekey: oneself", INPUT, "open the store with another one", lambda m: m.custody.remove_recipient(1)),
    Case("rekey: nobody", errors.NotFoundError, "rekey list", lambda m: m.custody.remove_recipient(9)),
]


@pytest.mark.parametrize("case", ARGUMENTS, ids=lambda case: case.title)
def test_a_bad_argument_changes_nothing(case, make_manager):
    manager: SecretsManager = make_manager()
    manager.set_secret("A", "kept")
    before = manager._access.engine.store.scan()
    refuse(case, manager)
    assert manager._access.engine.store.scan() == before
    assert manager.get_secret("A") == "kept"
    assert manager.verify().ok


KEY = errors.InvalidKeyError

KEYS = [
    ("empty", "", errors.NoKeyError, "Export it"),
    ("white space", "  ", KEY, "it is empty.*strongroom keygen"),
    ("too short", BAD, KEY, "URL-safe base64|decodes to"),
    ("no base64", "!" * 43 + "=", KEY, "not URL-safe base64 .44 characters given"),
    ("31 bytes", "A" * 40 + "AA==", KEY, "decodes to 31 bytes, a Fernet key to 32"),
    ("33 bytes", "A" * 44, KEY, "decodes to 33 bytes"),
    ("a line feed inside", "A" * 20 + "\n" + "A" * 23 + "=", KEY, "not URL-safe base64"),
    ("no ASCII", "é" * 22, KEY, "not URL-safe base64"),
    ("another key", "A" * 43 + "=", errors.WrongKeyError, "was it changed, or is this another"),
]


@pytest.mark.parametrize(("text", "error", "phrase"), [key[1:] for key in KEYS], ids=[key[0] for key in KEYS])
def test_a_bad_key_opens_nothing_and_harms_nothing(make_manager, monkeypatch, master_key, text, error, phrase):
    url = make_manager("sqlite")._access.engine.store.url
    monkeypatch.setenv("SECRETS_MASTER_KEY", text)
    refuse(Case("", error, phrase, lambda: strongroom.open(url, audit="memory:")))
    monkeypatch.setenv("SECRETS_MASTER_KEY", master_key)
    with strongroom.open(url, audit="memory:") as manager:
        assert manager.verify().ok


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def foreign(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 4711, -1)


KEY_FILES = [
    ("readable by all", lambda path: path.chmod(0o644), KEY, "run `chmod 600"),
    ("writable by the group", lambda path: path.chmod(0o620), KEY, "run `chmod 600"),
    ("a directory", directory, KEY, "not a regular file"),
    ("missing", Path.unlink, errors.NoKeyError, "there is no file"),
    ("of another user", foreign, KEY, "belongs to another user"),
    ("empty", lambda path: path.write_text(""), KEY, "it is empty"),
    ("too large", lambda path: path.write_text(BAD * 1000), KEY, "that is not a key"),
    ("two keys", lambda path: path.write_text(path.read_text() * 2), KEY, "not URL-safe base64"),
    ("no text", lambda path: path.write_bytes(b"\xff" * 44), KEY, "not URL-safe base64"),
]


@pytest.mark.parametrize(("change", "error", "phrase"), [k[1:] for k in KEY_FILES], ids=[k[0] for k in KEY_FILES])
def test_a_bad_key_file_is_not_used(tmp_path, master_key, change, error, phrase):
    path, store = tmp_path / "master.key", tmp_path / "secrets.db"
    path.write_text(master_key)
    path.chmod(0o600)
    change(path)
    refuse(Case("", error, phrase, lambda: strongroom.init(str(store), f"file:{path}", "memory:")))
    assert not store.exists()


STORE, TAMPERED, NEWER = errors.StoreError, errors.TamperedError, errors.NewerFormatError


def document(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """Return a function that changes the JSON document of a file store."""

    def changed(content: bytes) -> bytes:
        found = json.loads(content)
        change(found)
        return json.dumps(found, indent=0).encode()

    return changed


def entry(path: str, first: bytes) -> Callable[[bytes], bytes]:
    """Return a function that replaces the first bytes of an entry."""
    from base64 import b64decode, b64encode

    def change(found: dict[str, Any]) -> None:
        stored = b64decode(found["entries"][path])
        found["entries"][path] = b64encode(first + stored[len(first) :]).decode()

    return document(change)


FILES = [
    ("empty", lambda content: b"", STORE, "broken JSON at line 1.*restore it from git or a backup"),
    ("cut", lambda content: content[:-20], STORE, "broken JSON at line"),
    ("no JSON", lambda content: b"SQLite format 3\0" + content, STORE, "restore it from git"),
    ("no text", lambda content: b"\xff" + content, STORE, "not UTF-8"),
    ("a list", lambda content: b"[]", STORE, "is not a strongroom store; check the path"),
    ("a number", lambda content: b"5", STORE, "is not a strongroom store"),
    ("nested deeply", lambda content: b"[" * 100_000, STORE, "restore it from git"),
    ("a conflict", lambda content: b"<<<<<<< HEAD\n" + content, STORE, "conflict marker.*resolve the conflict"),
    ("a newer document", lambda content: content.replace(b"file/1", b"file/2"), NEWER, "upgrade strongroom"),
    ("another document", lambda content: content.replace(b"strongroom-file", b"x"), STORE, "check the path"),
    ("no entries", document(lambda found: found.pop("entries")), TAMPERED, "exactly format, revision and entries"),
    ("a list of entries", document(lambda found: found.update(entries=[])), TAMPERED, "must be an object"),
    ("a revision in words", document(lambda found: found.update(revision="1")), TAMPERED, "whole number"),
    ("no header", document(lambda found: found["entries"].pop("system/header")), TAMPERED, "has no 'system/header'"),
    ("no keyset", document(lambda found: found["entries"].pop("system/keyset")), TAMPERED, "has no 'system/keyset'"),
    ("nothing in it", document(lambda found: found["entries"].clear()), errors.StoreNotFoundError, "strongroom init"),
    ("a newer header", entry("system/header", b"strongroom header 2"), NEWER, "upgrade"),
    ("a damaged header", entry("system/header", b"strongroom header 0"), TAMPERED, "its checksum fails"),
    ("a newer keyset", entry("system/keyset", b"\x02"), NEWER, "upgrade"),
    ("a damaged keyset", entry("system/keyset", b"\x01\0\0\0\x02"), TAMPERED, "Restore the store from a backup"),
    ("a newer head", entry("secret/A", b"\x02"), NEWER, "upgrade"),
    ("a damaged head", entry("secret/A", b"\x01\0\0\0\x01\x01"), TAMPERED, "strongroom verify"),
    ("a head of an unknown key", entry("secret/A", b"\x01\0\0\0\x63"), errors.UnknownKeyIdError, "data key 99"),
    ("no head", document(lambda found: found["entries"].pop("secret/A")), TAMPERED, "1 missing.*strongroom verify"),
]


@pytest.mark.parametrize(("change", "error", "phrase"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_a_bad_store_file_is_not_read_and_not_repaired_by_guessing(tmp_path, master_key, change, error, phrase):
    path = tmp_path / "secrets.enc"
    with strongroom.init(str(path), audit="memory:") as manager:
        manager.set_secret("A", BAD)
    good, bad = path.read_bytes(), change(path.read_bytes())
    path.write_bytes(bad)

    def read() -> None:
        with strongroom.open(str(path), audit="memory:") as manager:
            manager.get_secret("A", "default")

    refuse(Case("", error, phrase, read))
    assert path.read_bytes() == bad
    path.write_bytes(good)
    with strongroom.open(str(path), audit="memory:") as manager:
        assert manager.get_secret("A") == BAD
        assert manager.verify().ok


PLACES = [
    ({"store": "sqlite:missing.db"}, errors.StoreNotFoundError, "make one with `strongroom init`, or check the path"),
    ({"store": "sqlite:."}, STORE, "is not a regular file"),
    ({"store": "sqlite:text.db"}, STORE, "not a"),
    ({"store": "sqlite:text.db/secrets.db"}, STORE, "a part of its path is a file"),
    ({"store": "sqlite:"}, errors.ConfigError, "write a path after the colon"),
    ({"store": "sqlite:a\0b"}, errors.ConfigError, "names no file"),
    ({"store": f"oracle://user:{BAD}@host"}, errors.ConfigError, "there is no store oracle:; there are: sqlite:"),
    ({"store": f"{BAD}.txt"}, errors.ConfigError, "such as sqlite:secrets.db, or give a path that ends in .db or .enc"),
    ({"key": f"vault:{BAD}"}, errors.ConfigError, "there is no key provider vault:"),
    ({"key": "env:"}, errors.ConfigError, "such as env:SECRETS_MASTER_KEY"),
    ({"key": "env:A\0B"}, errors.ConfigError, "needs the name of a variable"),
    ({"key": "file:"}, errors.ConfigError, "such as file:master.key"),
    ({"key": "file:a\0b"}, errors.ConfigError, "needs the path of a file"),
    ({"audit": f"https://{BAD}@host"}, errors.ConfigError, "there is no audit sink https:"),
    ({"audit": "file:"}, errors.ConfigError, "write it like file:logs/secrets_audit.log"),
    ({"audit": "file:text.db/audit.log"}, errors.AuditError, "a part of the path is a file"),
    ({"colour": BAD}, errors.ConfigError, "there is no setting 'colour'; there are: store, key"),
    ({"sync": "sometimes"}, errors.ConfigError, "use one of: write, fsync"),
    ({"max_versions": 0}, errors.ConfigError, "give a number from 1 to 10,000"),
    ({"max_versions": BAD}, errors.ConfigError, "must be a whole number"),
    ({"audit_keep": -1}, errors.ConfigError, "give 0 or more"),
    ({"policy": BAD}, errors.ConfigError, "a list of tables"),
    ({"policy": [{"actor": "a"}]}, errors.ConfigError, "has exactly actor, name and capabilities"),
    ({"policy": [{"actor": 5, "name": "*", "capabilities": []}]}, errors.ConfigError, "actor and name are text"),
    ({"policy": [{"actor": "a", "name": "*", "capabilities": ["fly"]}]}, errors.ConfigError, "there are: create"),
]


@pytest.mark.parametrize(("given", "error", "phrase"), PLACES, ids=[str(place[0]) for place in PLACES])
def test_a_bad_setting_opens_nothing(tmp_path, monkeypatch, master_key, given, error, phrase):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_text("no database, but long enough to be read as the header of one " * 20)
    with strongroom.init("secrets.db", audit="memory:") as manager:
        manager.set_secret("A", "kept")
    before = sorted(path.name for path in tmp_path.iterdir())
    refuse(Case("", error, phrase, lambda: strongroom.open(**{"store": "secrets.db", "audit": "memory:"} | given)))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with strongroom.open("secrets.db", audit="memory:") as manager:
        assert manager.get_secret("A") == "kept"
        assert manager.verify().ok
