"""Generated values: uniform, strong enough, and safe where they are pasted."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

import pytest

from strongroom.errors import InvalidInputError
from strongroom.exchange import parse
from strongroom.generate.generate import (
    ALPHABETS,
    ASCII,
    DIGITS,
    HEX,
    URLSAFE,
    _words,
    generate_by_name,
    generate_value,
    generate_words,
)


def test_by_default_it_has_32_letters_and_digits() -> None:
    value = generate_value()
    assert len(value) == 32
    assert value.isascii()
    assert value.isalnum()


@pytest.mark.parametrize("name", ALPHABETS)
def test_every_character_of_the_alphabet_is_drawn_and_no_other(name: str) -> None:
    assert set(generate_value(20_000, ALPHABETS[name])) == set(ALPHABETS[name])


@pytest.mark.parametrize("size", [2, 10, 62, 65, 100, 129, 255, 256])
def test_each_byte_value_is_used_equally_often_for_each_character(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alphabet = "".join(chr(0x100 + number) for number in range(size))
    every_byte_once = itertools.cycle(range(256))
    monkeypatch.setattr(
        "strongroom.generate.generate.os.urandom", lambda count: bytes(itertools.islice(every_byte_once, count))
    )
    usable = 256 - 256 % size
    drawn = Counter(generate_value(usable, alphabet))
    assert set(drawn.values()) == {usable // size}
    assert len(drawn) == size


def test_bytes_that_would_favour_some_characters_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def source() -> Iterator[bytes]:
        yield bytes([250, 255] + [7] * 18)
        yield bytes([251, 8])
        yield bytes([9])

    answers = source()
    monkeypatch.setattr("strongroom.generate.generate.os.urandom", lambda count: next(answers))
    assert generate_value(20, DIGITS) == "7" * 18 + "89"


@pytest.mark.parametrize(
    ("length", "alphabet", "enough"), [(19, DIGITS, 20), (15, HEX, 16), (10, URLSAFE, 11), (63, "01", 64)]
)
def test_less_than_64_bits_is_refused_with_the_length_that_is_enough(length: int, alphabet: str, enough: int) -> None:
    with pytest.raises(InvalidInputError, match=f"bits of entropy, and 64 are the least; use {enough} characters"):
        generate_value(length, alphabet)
    assert len(generate_value(enough, alphabet)) == enough


@pytest.mark.parametrize("length", [0, -1, 17 * 1024 * 1024])
def test_a_length_that_no_value_can_have_is_refused(length: int) -> None:
    with pytest.raises(InvalidInputError):
        generate_value(length)


@pytest.mark.parametrize("alphabet", ["", "a", "abca", "".join(map(chr, range(257)))])
def test_an_alphabet_that_would_not_be_uniform_is_refused(alphabet: str) -> None:
    with pytest.raises(InvalidInputError, match="2 to 256 characters, each of them once"):
        generate_value(1000, alphabet)


@pytest.mark.parametrize("name", ALPHABETS)
def test_a_value_passes_unquoted_through_a_shell_a_url_and_a_dotenv_file(name: str) -> None:
    value = ALPHABETS[name]
    shell = subprocess.run(["/bin/sh", "-c", f"A={value}; printf %s $A"], capture_output=True, check=True, text=True)
    assert shell.stdout == value
    assert urlsplit(f"postgresql://app:{value}@host:5432/db").password == value
    assert unquote(value) == quote(value, safe="") == value
    assert parse(f"A={value}\n".encode(), "dotenv") == {"A": value}


def test_the_ascii_alphabet_has_punctuation() -> None:
    assert set(ASCII) - set(ALPHABETS["alphanumeric"]) == set("-._")


def test_the_words_are_those_of_the_eff() -> None:
    dice = ("".join(throw) for throw in itertools.product("123456", repeat=5))
    published = "".join(f"{throw}\t{word}\n" for throw, word in zip(dice, _words(), strict=True))
    assert hashlib.sha256(published.encode()).hexdigest().startswith("addd35536511597a02fa0a9ff1e52846")


def test_a_passphrase_has_six_words_of_the_list_or_as_many_as_are_asked_for() -> None:
    assert len(split(generate_words())) == 6
    assert len(split(generate_words(12))) == 12


def split(passphrase: str) -> list[str]:
    """Read a passphrase as the words that it was made of; each hyphen joins two words, or is within one."""
    words, known = [""], set(_words())
    for part in passphrase.split("-"):
        if words[-1] in known or not words[-1]:
            words.append(part)
        else:
            words[-1] += f"-{part}"
    assert set(words[1:]) <= known
    return words[1:]


def test_no_two_lists_of_words_make_the_same_passphrase() -> None:
    known = set(_words())
    assert len(known) == 7776
    hyphenated = [word for word in known if "-" in word]
    assert hyphenated
    assert all(word.split("-")[0] not in known for word in hyphenated)


def test_each_word_is_drawn_from_equally_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(65536))
    monkeypatch.setattr("strongroom.generate.generate.os.urandom", lambda count: next(numbers).to_bytes(count, "big"))
    drawn = Counter(word for _ in range(62208 // 972) for word in split(generate_words(972)))
    assert set(drawn.values()) == {62208 // 7776}
    assert len(drawn) == 7776


def test_numbers_that_would_favour_some_words_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([62208, 65535, 0, 1, 2, 3, 4])
    monkeypatch.setattr("strongroom.generate.generate.os.urandom", lambda count: next(numbers).to_bytes(count, "big"))
    assert split(generate_words(5)) == _words()[:5]


def test_too_few_words_are_refused_with_the_number_that_is_enough() -> None:
    with pytest.raises(InvalidInputError, match=r"4 words out of 7776 are 52 bits of entropy.*use 5 words or more"):
        generate_words(4)
    with pytest.raises(InvalidInputError, match="at most 1,000"):
        generate_words(1001)


def test_a_value_can_be_asked_for_by_the_name_of_its_alphabet() -> None:
    assert len(generate_by_name("hex")) == 32
    assert len(split(generate_by_name("words"))) == 6
    assert len(split(generate_by_name("words", 7))) == 7
    with pytest.raises(InvalidInputError, match="there is no alphabet 'klingon'"):
        generate_by_name("klingon")
