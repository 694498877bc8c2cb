"""Each attack of the threat model names the test that tries it, and each test of an attack is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ATTACKS = ROOT / "tests" / "attacks"
_TEST = re.compile(r"`(test_\w+\.py)(?:::(test_\w+|Test\w+))?`")


def rows() -> list[list[str]]:
    """Return the cells of each row below `## Attacks`, without the heads of the tables."""
    text = (ROOT / "docs" / "threat-model.md").read_text()
    chapter = re.split(r"^## ", text.partition("\n## Attacks\n")[2], flags=re.MULTILINE)[0]
    lines = [line for line in chapter.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "| shown by |" not in line]


def attacks() -> dict[str, set[str]]:
    """Return the names of the tests, and of the classes of tests, in each file of attacks."""
    return {
        path.name: {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith(("test_", "Test"))
        }
        for path in ATTACKS.glob("test_*.py")
    }


def test_each_row_names_a_test_that_is_there():
    there = attacks()
    assert rows(), "the tables are empty"
    for row in rows():
        assert len(row) == 3, row
        named = _TEST.findall(row[2])
        assert named, f"no test is named in: {row}"
        for file, name in named:
            assert file in there, f"{file} is not in tests/attacks"
            assert not name or name in there[file], f"{file} has no {name}"


def test_each_file_of_attacks_is_in_a_row():
    named = {file for row in rows() for file, _ in _TEST.findall(row[2])}
    assert set(attacks()) == named
