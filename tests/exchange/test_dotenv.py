"""`.env` files are read as python-dotenv 1.2 reads them, or refused with the line."""

from __future__ import annotations

import pytest

from strongroom.errors import InvalidNameError, InvalidValueError
from strongroom.exchange.dotenv import parse, render

CANARY = "canary-7f3a-hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("\n\n# A=0\n  # indented\nA=1\n\n", {"A": "1"}),
        ("A=1\r\nB='2'\r\n", {"A": "1", "B": "2"}),
        ("A=1\rB=2\r", {"A": "1", "B": "2"}),
        ("export A=1\n  export\tB=2", {"A": "1", "B": "2"}),
        ("export=1", {"export": "1"}),
        ("  A  =  1  ", {"A": "1"}),
        ("A=\nB=''\nC=\"\"\nD= ", {"A": "", "B": "", "C": "", "D": ""}),
        ("A= # comment", {"A": ""}),
        ("A=#1", {"A": "#1"}),
        ("A=a#b", {"A": "a#b"}),
        ("A=a b # comment # more", {"A": "a b"}),
        ("A=a\t# comment", {"A": "a"}),
        ('A=it\'s "so"', {"A": 'it\'s "so"'}),
        (r"A=a\nb\\c", {"A": r"a\nb\\c"}),
        ("A=postgres://u:p@h/d?x=y&z=1", {"A": "postgres://u:p@h/d?x=y&z=1"}),
        ("A=YWJj==", {"A": "YWJj=="}),
        ("A='a # b' # comment", {"A": "a # b"}),
        ('A="a # b"# comment', {"A": "a # b"}),
        (r"A='it\'s \\ \n \"'", {"A": r"it's \ \n " + r"\""}),
        (r'''A="\n\r\t\a\b\f\v\\\'\"\$"''', {"A": "\n\r\t\a\b\f\v\\'\"$"}),
        (r'A="\d\x41"', {"A": r"\d\x41"}),
        ('A="one\ntwo"\nB=2', {"A": "one\ntwo", "B": "2"}),
        ("A='one\r\n\r\ntwo'\r\nB=2", {"A": "one\n\ntwo", "B": "2"}),
        ("auth-service/db.password=1", {"auth-service/db.password": "1"}),
        ("'a name'=1", {"a name": "1"}),
        ("PÄSSWORT=ü", {"PÄSSWORT": "ü"}),
    ],
)
def test_a_file_is_read_as_python_dotenv_reads_it(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


def test_a_private_key_in_quotes_is_read_whole() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIB+/==\nabc=\n-----END PRIVATE KEY-----\n"
    assert parse(f'KEY="{key}"\nNEXT=1') == {"KEY": key, "NEXT": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("URL=db://${USER}@h", "db://app@h"),
        ('URL="db://${USER}@h"', "db://app@h"),
        ("URL=${USER}${USER}", "appapp"),
        ("URL=$USER", "$USER"),
        ("URL='$USER'", "$USER"),
        ("URL=${USER", "${USER"),
        (r'URL="\${USER}"', "${USER}"),
        (r'URL="\\${USER}"', r"\app"),
    ],
)
def test_a_name_in_braces_stands_for_an_earlier_line(text: str, expected: str) -> None:
    assert parse(f"USER=app\n{text}")["URL"] == expected


def test_what_was_inserted_is_not_read_again() -> None:
    assert parse('A=1\nB="\\${A}"\nC=${B}')["C"] == "${A}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"A=1\n{CANARY}\n", "line 2: this is not NAME=value"),
        (f"A=-----BEGIN\n{CANARY}\nabc=\n", "line 2: this is not NAME=value"),
        (f"={CANARY}", "line 1: this is not NAME=value"),
        (f"\n\nexport ={CANARY}", "line 3: this is not NAME=value"),
        (f"{CANARY} x=1", "line 1: this is not NAME=value"),
        (f'"{CANARY}"=1', "line 1: this is not NAME=value"),
        (f"A='1\n2'\n\nB=\"{CANARY}\n", "line 4: B has an opening quote that is never closed"),
        (f"B='{CANARY}", "line 1: B has an opening quote"),
        (f"A='{CANARY}'x\n", "line 1: A has text after its closing quote"),
        (f"A=x\nB=\"{CANARY}\" '{CANARY}'\n", "line 2: B has text after its closing quote"),
        (f"A=1\nB='\n'\nA={CANARY}\n", "line 4: A was already given in line 1; keep one"),
        (f"A={CANARY}${{HOME}}\n", r"line 1: A has a \$\{\.\.\.\} that is not the name of an earlier line"),
        (f"A={CANARY}${{A}}\n", "line 1: A has a"),
        (f"A=1\nB=${{A:-{CANARY}}}\n", "line 2: B has a"),
        (f'A="${{{CANARY}}}"\n', "line 1: A has a"),
        (f"A='{CANARY}${{HOME}}'\n", r"line 1: A has \$\{\.\.\.\} in single quotes"),
    ],
)
def test_a_doubtful_line_is_refused_by_number_without_its_value(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        parse(text)
    assert CANARY not in str(caught.value)


def test_a_name_that_cannot_be_one_is_refused_by_line_and_not_shown() -> None:
    with pytest.raises(InvalidNameError, match=r"^line 2: what stands before the '=' cannot be") as caught:
        parse(f"A=1\n{CANARY}//x=1\n")
    assert CANARY not in str(caught.value)


def test_a_line_has_no_more_quotes_than_it_needs() -> None:
    secrets = {
        "A": "plain/1+2=",
        "B": "two words",
        "C": "it's",
        "D": "1\n2\r",
        "E": "a\\b",
        "F": "${X}",
        "G": "",
        "H": "$X",
    }
    assert render(secrets) == (
        'A=plain/1+2=\nB=\'two words\'\nC="it\'s"\nD="1\\n2\\r"\nE="a\\\\b"\nF="\\${X}"\nG=\'\'\nH=\'$X\'\n'
    )


@pytest.mark.parametrize("name", ["two words", "a=b", "a#b", "it's"])
def test_a_name_that_would_need_quotes_is_not_written(name: str) -> None:
    with pytest.raises(InvalidNameError, match="use json or yaml"):
        render({name: "x"})
