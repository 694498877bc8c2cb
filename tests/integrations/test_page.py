"""The page about integrations names what there is."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from .test_layering import MODULES

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(?:python|ini)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_integration_has_an_example_and_an_extra():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(r"^(\w+) = ", project.partition("[project.optional-dependencies]")[2], re.MULTILINE)
    for module in (module for module in MODULES if not module.startswith("_")):
        assert f"strongroom.integrations.{module}" in "".join(EXAMPLES), module
        assert module in {*extras, "logging", "pytest", "retry"}, module


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_of_the_page_imports_what_is_there(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
