"""requirements-dev.lock pins every tool of the project, and tells nothing of the machine that made it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
APART = {"airflow": "its hundred packages have bounds of their own", "lock": "makes the file"}
GROUPS = sorted(PROJECT["dependency-groups"].keys() - APART.keys())
VERSIONS = [text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", text)]
LINES = (ROOT / "requirements-dev.lock").read_text().splitlines()
PINS = [Requirement(line) for line in LINES if not line.startswith("#")]


def pinned(python: str) -> dict[str, str]:
    """Return the release of each package that this Python gets on Linux."""
    machine = {
        **default_environment(), "python_version": python, "python_full_version": f"{python}.9",
        "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64",
        "implementation_name": "cpython", "platform_python_implementation": "CPython",
    }  # fmt: skip
    chosen = [pin for pin in PINS if pin.marker is None or Marker(str(pin.marker)).evaluate(machine)]
    assert len({pin.name for pin in chosen}) == len(chosen)
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in chosen}


def test_each_line_is_a_release_and_none_an_address_or_a_path():
    for line in LINES:
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; [\w .'=<>!()*]+)?", line), line
    assert [line for line in LINES if line.startswith("#") and re.search("[/@\\\\]|--", line)] == []


@pytest.mark.parametrize("python", VERSIONS)
@pytest.mark.parametrize("group", GROUPS)
def test_each_tool_is_pinned_within_its_bounds_for_each_python(group, python):
    pins = pinned(python)
    for text in PROJECT["dependency-groups"][group]:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"python_version": python}):
            release = pins.get(canonicalize_name(wanted.name))
            assert release, f"{wanted.name} is not in requirements-dev.lock: make lock"
            assert wanted.specifier.contains(release), f"{wanted}, but {release} is pinned: make lock"


def test_make_lock_covers_each_group_of_tools():
    (named,) = re.findall(r"^LOCKED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(named.split()) == GROUPS
