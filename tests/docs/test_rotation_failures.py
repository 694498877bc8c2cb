"""The page of failures shows texts that strongroom prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import strongroom

from .pages import text

PAGE = text("docs/rotation-failures.md")
TABLES = PAGE.split("## While it rotates")[1].split("## What a status means")[0]
SHOWN = re.findall(r"^\| `([^`]+)` \|", TABLES, re.MULTILINE)
HOLE = "\0"


def messages() -> list[str]:
    """Return the texts of the package, with a hole for each thing that is filled in."""
    found = []
    for path in Path(strongroom.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


MESSAGES = messages()


def is_printed(shown: str) -> bool:
    pattern = re.escape(shown).replace("…", f".*{HOLE}.*").replace("\\ ", r"\s")
    return any(re.search(pattern, message) for message in MESSAGES)


@pytest.mark.parametrize("shown", SHOWN)
def test_each_text_of_the_page_is_printed(shown):
    assert is_printed(shown)


def test_a_text_that_nobody_prints_is_noticed():
    assert len(SHOWN) > 15
    assert not is_printed("the rotation has gone for a walk")
    assert not is_printed("the previous value of … has gone for a walk")
