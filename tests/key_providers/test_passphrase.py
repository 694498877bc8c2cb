import struct
import sys

import pytest

from strongroom.crypto.argon2 import CEILING, Argon2Cost, argon2id
from strongroom.errors import InvalidKeyError, NewerFormatError, NoKeyError, TamperedError, WrongKeyError
from strongroom.key_providers import passphrase
from strongroom.key_providers.passphrase import PassphraseProvider, connect

CHEAP = Argon2Cost(8, 1, 1)
ROOT = bytes(range(32))
PHRASE = "six random words or more"


def provider(text=PHRASE, cost=CHEAP):
    return PassphraseProvider(lambda: text, cost)


def test_what_is_wrapped_is_unwrapped_by_the_same_passphrase_at_its_place():
    wrapped = provider().wrap(ROOT, b"place")
    assert provider().unwrap(wrapped, b"place") == ROOT


def test_the_cost_is_read_from_what_was_wrapped():
    wrapped = provider(cost=Argon2Cost(16, 2, 2)).wrap(ROOT, b"")
    assert struct.unpack(">2sIII", wrapped[:14]) == (b"P\x01", 16, 2, 2)
    assert provider(cost=CHEAP).unwrap(wrapped, b"") == ROOT


def test_a_key_file_and_a_new_provider_take_the_recommended_cost():
    assert PassphraseProvider(lambda: PHRASE)._cost == passphrase.STANDARD


def test_salts_differ():
    one = provider()
    assert one.wrap(ROOT, b"")[14:30] != one.wrap(ROOT, b"")[14:30]


def test_it_asks_once_and_derives_once_for_each_salt(monkeypatch):
    asked, derived = [], []
    one = PassphraseProvider(lambda: asked.append(1) or PHRASE, CHEAP)
    real = passphrase.argon2id
    monkeypatch.setattr(passphrase, "argon2id", lambda *given: derived.append(1) or real(*given))
    wrapped = one.wrap(ROOT, b"")
    one.unwrap(wrapped, b"")
    one.unwrap(wrapped, b"")
    one.wrap(ROOT, b"")
    assert (len(asked), len(derived)) == (1, 2)


def test_another_passphrase_is_a_wrong_key():
    with pytest.raises(WrongKeyError, match="passphrase is not the one"):
        provider("another passphrase").unwrap(provider().wrap(ROOT, b""), b"")


def test_what_another_kind_of_key_wrapped_is_not_mine_and_asks_nothing():
    with pytest.raises(WrongKeyError, match="not wrapped with a passphrase"):
        PassphraseProvider(lambda: pytest.fail("asked")).unwrap(b"F\x01" + bytes(60), b"")


def test_a_newer_format_is_said_to_be_newer():
    with pytest.raises(NewerFormatError, match="upgrade"):
        provider().unwrap(b"P\x02" + provider().wrap(ROOT, b"")[2:], b"")


def test_another_place_or_a_changed_end_is_tampering():
    wrapped = provider().wrap(ROOT, b"place")
    for stored, place in ((wrapped, b"other"), (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"place")):
        with pytest.raises(TamperedError, match="passphrase is the right one"):
            provider().unwrap(stored, place)


def test_an_older_format_byte_is_tampering():
    wrapped = provider().wrap(ROOT, b"")
    with pytest.raises(TamperedError):
        provider().unwrap(b"P\x00" + wrapped[2:], b"")


@pytest.mark.parametrize("stored", [b"P", b"P\x01", b"P\x01" + bytes(27)])
def test_a_cut_wrap_is_tampering(stored):
    with pytest.raises(TamperedError, match="is damaged"):
        provider().unwrap(stored, b"")


@pytest.mark.parametrize(
    "cost", [CEILING._replace(memory=CEILING.memory + 1), Argon2Cost(2**32 - 1, 1, 1), Argon2Cost(0, 0, 0)]
)
def test_a_hostile_cost_is_refused_before_memory_is_taken(cost):
    stored = b"P\x01" + struct.pack(">III", *cost) + bytes(60)
    with pytest.raises(TamperedError, match="is damaged"):
        provider().unwrap(stored, b"")


@pytest.mark.parametrize("text", ["", "short", "x" * 11])
def test_a_short_passphrase_locks_nothing(text):
    with pytest.raises(InvalidKeyError, match="fewer than 12 characters"):
        provider(text).wrap(ROOT, b"")


def test_twelve_characters_are_enough():
    assert provider("x" * 12).wrap(ROOT, b"")


def test_repr_shows_nothing():
    one = provider()
    one.wrap(ROOT, b"")
    assert repr(one) == "PassphraseProvider()"


def test_it_is_read_from_the_first_line_of_a_private_file(tmp_path):
    path = tmp_path / "phrase"
    path.write_text(PHRASE + "\r\nsecond line\n")
    path.chmod(0o600)
    assert connect(str(path))._given() == PHRASE
    path.chmod(0o644)
    with pytest.raises(InvalidKeyError, match="chmod 600"):
        connect(str(path))._given()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe not UTF-8", "pässword of words".encode(), b" spaces at both ends ", b"ends in XX"]
)
def test_every_byte_of_that_line_counts(tmp_path, content):
    """What another program wrote in another encoding is a passphrase too."""
    path = tmp_path / "phrase"
    path.write_bytes(content + b"\n")
    path.chmod(0o600)
    given = connect(str(path))._given()
    assert given == content.decode("utf-8", "surrogateescape")
    salt = bytes(16)
    derived = provider(given)._derive(struct.pack(">2sIII16s", b"P\x01", *CHEAP, salt))
    assert derived == argon2id(content, salt, CHEAP)


def test_it_is_read_from_the_variable_before_the_terminal(monkeypatch):
    monkeypatch.setenv("STRONGROOM_PASSPHRASE", PHRASE)
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("asked"))
    assert connect("")._given() == PHRASE


def test_it_is_asked_for_on_a_terminal(monkeypatch):
    monkeypatch.delenv("STRONGROOM_PASSPHRASE", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or PHRASE)
    assert connect("")._given() == PHRASE
    assert asked == ["Passphrase of the strongroom store: "]


def test_without_variable_and_terminal_there_is_no_key(monkeypatch):
    monkeypatch.delenv("STRONGROOM_PASSPHRASE", raising=False)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NoKeyError, match="set STRONGROOM_PASSPHRASE"):
        connect("")._given()


def test_a_terminal_that_is_closed_at_the_question_gives_no_key(monkeypatch):
    def close(prompt):
        raise EOFError

    monkeypatch.delenv("STRONGROOM_PASSPHRASE", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", close)
    with pytest.raises(NoKeyError, match="use a terminal"):
        connect("")._given()
