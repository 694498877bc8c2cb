"""CHANGELOG.md has the headings of Keep a Changelog 1.1, so that people and tools find a release and what changed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "CHANGELOG.md"
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
_release = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)( \[YANKED\])?")


def problems(page: str) -> list[str]:
    """Say what in the headings is not of the form."""
    found = []
    headings = re.findall(r"^(#+) (.*)$", page, re.MULTILINE)
    if headings[:2] != [("#", "Changelog"), ("##", "[Unreleased]")]:
        found.append("the page begins with `# Changelog` and `## [Unreleased]`")
    releases: list[tuple[int, ...]] = []
    kinds: list[str] = []
    for marks, heading in headings[2:]:
        if marks == "##":
            kinds = []
            release = _release.fullmatch(heading)
            if release is None:
                found.append(f"no release: {heading}")
                continue
            date.fromisoformat(release[4])
            releases.append(tuple(map(int, release.groups()[:3])))
        elif marks == "###" and heading in KINDS:
            kinds.append(heading)
            if kinds != sorted(set(kinds), key=KINDS.index):
                found.append(f"twice or out of order: {heading}")
        else:
            found.append(f"no kind of change: {heading}")
    if releases != sorted(set(releases), reverse=True):
        found.append("the newest release comes first")
    empty = re.findall(r"^### (.*)\n+(?=#|\Z)", page, re.MULTILINE)
    return found + [f"nothing stands below {heading}" for heading in empty]


def test_the_headings_are_those_of_keep_a_changelog():
    assert problems(PAGE.read_text(encoding="utf-8")) == []


START = "# Changelog\n\n## [Unreleased]\n\n"


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("### Improved\n\n- x\n", "no kind of change: Improved"),
        ("### Fixed\n\n- x\n\n### Added\n\n- x\n", "twice or out of order: Added"),
        ("### Added\n\n- x\n\n### Added\n\n- x\n", "twice or out of order: Added"),
        ("## 0.1.0, not released yet\n", "no release: 0.1.0, not released yet"),
        ("## [0.1.0]\n", "no release: [0.1.0]"),
        ("## [0.1.0] - 2027-01-02\n\n## [0.2.0] - 2027-02-02\n", "the newest release comes first"),
        ("### Added\n\n### Fixed\n\n- x\n", "nothing stands below Added"),
        ("#### Added\n\n- x\n", "no kind of change: Added"),
    ],
)
def test_other_headings_are_named(rest, problem):
    assert problem in problems(START + rest)


def test_a_page_with_releases_is_of_the_form():
    releases = (
        "### Security\n\n- x\n\n## [0.10.0] - 2027-02-02 [YANKED]\n\n### Removed\n\n- x\n\n## [0.9.1] - 2027-01-02\n"
    )
    assert problems(START + releases) == []
