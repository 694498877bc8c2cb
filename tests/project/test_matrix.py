"""`make matrix`: which Pythons it finds, and what it says of those that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools import matrix

SHIM = "#!/bin/sh\necho 'pyenv: this version is switched off' >&2\nexit 127\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any Python: its PATH has one empty directory, which is returned, in an empty home."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    return tmp_path


def put(python: Path, text: str) -> str:
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(text)
    python.chmod(0o755)
    return str(python)


def says(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


def test_the_versions_are_those_of_the_classifiers(tmp_path):
    page = tmp_path / "pyproject.toml"
    names = ["Python :: 3", "Python :: 3.11", "Python :: 3.14", "Python :: Implementation :: CPython"]
    page.write_text(f"[project]\nclassifiers = {[f'Programming Language :: {name}' for name in names]}\n")
    assert matrix.versions(page) == ["3.11", "3.14"]


@pytest.mark.parametrize(
    "path",
    [
        "bin/python3.12",
        ".pyenv/versions/3.12.1/bin/python3.12",
        ".local/share/uv/python/cpython-3.12.9-linux-x86_64-gnu/bin/python3.12",
    ],
)
def test_a_python_is_found_on_path_and_where_pyenv_and_uv_put_it(machine, path):
    python = put(machine / path, says("3.12"))
    assert matrix.find("3.12") == python
    assert matrix.find("3.13") is None


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("PYENV_ROOT", "versions/3.12.1/bin/python3.12"),
        ("UV_PYTHON_INSTALL_DIR", "cpython-3.12.9-x/bin/python3.12"),
        ("XDG_DATA_HOME", "uv/python/cpython-3.12.9-x/bin/python3.12"),
    ],
)
def test_directories_that_pyenv_and_uv_are_told_are_searched(machine, monkeypatch, variable, path):
    python = put(machine / "elsewhere" / path, says("3.12"))
    monkeypatch.setenv(variable, str(machine / "elsewhere"))
    assert matrix.find("3.12") == python


@pytest.mark.parametrize("broken", [SHIM, says("3.11"), "no program at all"])
def test_what_is_no_python_of_that_version_is_passed_over(machine, broken):
    put(machine / "bin" / "python3.12", broken)
    assert matrix.find("3.12") is None
    good = put(machine / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3.12", says("3.12"))
    assert matrix.find("3.12") == good


def test_the_newest_release_is_taken(machine):
    for release in ("3.12.9", "3.12.10", "3.12.1"):
        put(machine / ".pyenv" / "versions" / release / "bin" / "python3.12", says("3.12"))
    assert matrix.find("3.12") == str(machine / ".pyenv" / "versions" / "3.12.10" / "bin" / "python3.12")


@pytest.mark.parametrize(("code", "result"), [(0, "passed"), (2, "failed")])
def test_each_version_ends_as_passed_failed_or_not_found(machine, monkeypatch, capfd, code, result):
    put(machine / "bin" / "python3.12", says("3.12"))
    make = put(machine / "make", f'#!/bin/sh\necho "$@"\nexit {code}\n')
    monkeypatch.setenv("MAKE", make)
    monkeypatch.setenv("MATRIX_ARGS", "tests/test_x.py -k 'one or two'")
    assert matrix.main() == (1 if code else 0)
    told = capfd.readouterr().out
    assert f"test VENV=.venv-3.12 PYTHON={machine}/bin/python3.12 TEST_ARGS=tests/test_x.py -k 'one or two'\n" in told
    assert told.endswith(f"  3.11  not found\n  3.12  {result}\n  3.13  not found\n  3.14  not found\n")


def test_a_machine_without_any_of_them_is_a_failure(machine):
    assert matrix.main() == 1


def test_this_python_is_found():
    version = "{}.{}".format(*sys.version_info)
    python = matrix.find(version)
    assert python is not None
    done = subprocess.run([python, "--version"], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.startswith(f"Python {version}.")
