import hashlib
import json

import pytest

from strongroom.crypto.argon2 import Argon2Cost
from strongroom.errors import InvalidKeyError, NewerFormatError, NoKeyError, TamperedError, WrongKeyError
from strongroom.key_providers.env import EnvKeyProvider
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.records.header import Header, Recipient

STORE = "0123456789abcdef" * 2
ROOT = bytes(range(32))
HEADER = Header(STORE, 1700000000.125, 1, (Recipient(1, "env:SECRETS_MASTER_KEY", 1700000000.5, b"wrapped"),))


def signed(body: bytes, number: bytes = b"1") -> bytes:
    """Return a header whose checksum is right, which anybody can make."""
    return b"strongroom header %b %b\n%b" % (number, hashlib.sha256(body).hexdigest().encode(), body)


def changed(**fields) -> bytes:
    body = json.loads(HEADER.encode().partition(b"\n")[2])
    return signed(json.dumps(body | fields).encode())


def test_what_is_encoded_is_decoded():
    assert Header.decode(HEADER.encode()) == HEADER


def test_times_are_kept_to_the_millisecond():
    header = HEADER._replace(created=1.23456, recipients=(HEADER.recipients[0]._replace(added=2.34567),))
    again = Header.decode(header.encode())
    assert (again.created, again.recipients[0].added) == (1.235, 2.346)


def test_it_is_a_line_with_a_checksum_and_a_json_object():
    first, _, body = HEADER.encode().partition(b"\n")
    assert first == b"strongroom header 1 " + hashlib.sha256(body).hexdigest().encode()
    assert json.loads(body) == {
        "store": STORE,
        "created": 1700000000.125,
        "root": 1,
        "recipients": [[1, "env:SECRETS_MASTER_KEY", 1700000000.5, "d3JhcHBlZA=="]],
    }


@pytest.mark.parametrize("number", [b"2", b"17", b"999999999", b"2 and more words"])
def test_a_newer_format_is_said_to_be_newer(number):
    with pytest.raises(NewerFormatError, match=f"format {int(number.split()[0])}, this strongroom reads 1: upgrade"):
        Header.decode(signed(b"whatever", number))


@pytest.mark.parametrize("number", [b"0", b"", b"-1", b"x", b"1" * 10, b"9" * 5000, b"1 1"])
def test_a_format_that_never_was_is_damage(number):
    with pytest.raises(TamperedError, match="checksum"):
        Header.decode(signed(b"{}", number))


def test_the_checksum_is_of_everything_after_the_first_line():
    body = json.dumps(json.loads(HEADER.encode().partition(b"\n")[2]), indent=1).encode()
    assert Header.decode(signed(body)) == HEADER
    with pytest.raises(TamperedError, match="checksum"):
        Header.decode(signed(body) + b"\n{}")


def test_the_highest_number_of_a_root_key_is_read():
    assert Header.decode(changed(root=2**32 - 1)).root == 2**32 - 1


@pytest.mark.parametrize(
    "stored", [b"", b"\n", b"{}", HEADER.encode()[:-1], HEADER.encode() + b" ", HEADER.encode()[1:]]
)
def test_damage_is_not_taken_for_a_wrong_key(stored):
    with pytest.raises(TamperedError, match=r"checksum fails.*restore it from a backup"):
        Header.decode(stored)


@pytest.mark.parametrize(
    "stored",
    [
        signed(b""), signed(b"[]"), signed(b"{}"), signed(b"1"), signed(b"\xff"), signed(b"[" * 100_000),
        changed(store=STORE.upper()), changed(store=STORE + " "), changed(store=STORE[:-1]), changed(store=5),
        changed(store=STORE[:-1] + "g"),
        changed(root="1"), changed(root=1.0), changed(root=True), changed(root=0), changed(root=2**32),
        changed(root=-1), changed(created="now"), changed(created=None),
        changed(recipients=5), changed(recipients=[5]), changed(recipients=[[1, "a", 1]]), changed(recipients=None),
        changed(recipients=[["1", "a", 1, ""]]), changed(recipients=[[1, ["a", 5], 1, ""]]),
        changed(recipients=[[1, "a", "1", ""]]), changed(recipients=[[1, "a", 1, "*"]]),
        changed(recipients=[[1, "a", 1, 5]]),
    ],
)  # fmt: skip
def test_a_header_that_strongroom_would_not_have_written_is_refused_although_its_checksum_is_right(stored):
    with pytest.raises(TamperedError, match="not one that strongroom wrote"):
        Header.decode(stored)


def test_a_label_cannot_send_control_characters_to_a_terminal():
    header = Header.decode(changed(recipients=[[1, "env:\x1b[2J\n\u202e\ud800é", 1, ""]]))
    assert header.recipients[0].label == "env:?[2J???é"


def test_the_root_key_is_wrapped_for_this_store_this_recipient_and_this_root(master_key):
    provider = EnvKeyProvider("SECRETS_MASTER_KEY")
    wrapped = HEADER.wrap_root(ROOT, 1, provider)
    header = HEADER.with_recipients([Recipient(1, "here", 0, wrapped)])
    assert header.unwrap_root(provider) == (ROOT, header.recipients[0])
    elsewhere = [
        header._replace(store="f" * 32),
        header._replace(root=2),
        header.with_recipients([Recipient(2, "here", 0, wrapped)]),
    ]
    for other in elsewhere:
        with pytest.raises(TamperedError, match="damaged or from another store"):
            other.unwrap_root(provider)


def test_each_recipient_opens_and_the_others_are_passed_over(master_key):
    env, phrase = (
        EnvKeyProvider("SECRETS_MASTER_KEY"),
        PassphraseProvider(lambda: "a long passphrase", Argon2Cost(8, 1, 1)),
    )
    rows = [Recipient(n, "x", 0, HEADER.wrap_root(ROOT, n, key)) for n, key in ((1, phrase), (2, env))]
    header = HEADER.with_recipients(rows)
    assert header.unwrap_root(env) == (ROOT, rows[1])
    assert header.unwrap_root(phrase) == (ROOT, rows[0])


def test_a_key_that_opens_nothing_is_told_which_keys_would(master_key, monkeypatch):
    provider = EnvKeyProvider("SECRETS_MASTER_KEY")
    labels = ((1, "file:ops.key"), (2, "passphrase:"))
    header = HEADER.with_recipients([Recipient(n, at, 0, HEADER.wrap_root(ROOT, n, provider)) for n, at in labels])
    monkeypatch.setenv("SECRETS_MASTER_KEY", "A" * 43 + "=")
    with pytest.raises(
        WrongKeyError, match=r"env:SECRETS_MASTER_KEY does not open this store.*from: file:ops.key, passphrase:. "
    ) as caught:
        header.unwrap_root(provider)
    assert type(caught.value) is WrongKeyError
    assert "AAAA" not in str(caught.value)


def test_no_key_and_a_malformed_key_are_not_called_wrong(master_key, monkeypatch):
    provider = EnvKeyProvider("SECRETS_MASTER_KEY")
    header = HEADER.with_recipients([Recipient(1, "file:ops.key", 0, HEADER.wrap_root(ROOT, 1, provider))])
    monkeypatch.setenv("SECRETS_MASTER_KEY", "nonsense")
    with pytest.raises(InvalidKeyError):
        header.unwrap_root(provider)
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    with pytest.raises(NoKeyError, match=r"is not set.* The store is locked with the key from: file:ops.key$"):
        header.unwrap_root(provider)


def test_ids_of_recipients_are_not_given_twice():
    assert HEADER.with_recipients([]).next_id() == 1
    assert HEADER.with_recipients([Recipient(n, "x", 0, b"") for n in (1, 7, 3)]).next_id() == 8
