"""Integrations use what users use, and each needs the one library that it is named after."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import strongroom.integrations

ROOT = Path(strongroom.integrations.__file__).parent
MODULES = sorted(path.stem for path in ROOT.glob("*.py") if path.stem != "__init__")
PUBLIC = {"strongroom", "strongroom.secret", "strongroom.live.live", "strongroom.system.frames"}
"""`secret` for the stars, `live` for the type of a handle, `frames` to leave no values behind."""


@pytest.mark.parametrize("module", MODULES)
def test_an_integration_imports_the_public_api_only(module):
    tree = ast.parse((ROOT / f"{module}.py").read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    own = {name for name in names if name.split(".")[0] == "strongroom"}
    assert {name for name in own - PUBLIC if not name.startswith("strongroom.integrations.")} == set()


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("asyncpg", "asyncpg"), ("psycopg", "psycopg"), ("sqlalchemy", "sqlalchemy"), ("redis", "redis"),
        ("httpx", "httpx"), ("requests", "requests"), ("pydantic", "pydantic_settings"),
        ("fastapi", "starlette"), ("flask", "flask"), ("keyring", "keyring"), ("dynaconf", "dynaconf"),
        ("celery", "celery"), ("airflow", "airflow"),
    ],
)  # fmt: skip
def test_a_missing_library_is_told_with_the_pip_line_to_type(module, library):
    program = f"import sys; sys.modules[{library!r}] = None; import strongroom.integrations.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MissingExtraError: this needs " in done.stderr
    assert f"pip install 'strongroom[{module}]'" in done.stderr
