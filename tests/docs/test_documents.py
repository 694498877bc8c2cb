"""What the documents name is there: links, targets of make, the version."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

import strongroom
from strongroom.audit.keys import export_keys

from .pages import ALL, ROOT, blocks, text


@pytest.mark.parametrize("page", [*ALL, "examples/migrate/README.md"])
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)}


def slug(title: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_target_of_make_that_is_named_exists(page):
    makefile = text("Makefile")
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(block.code for block in blocks(page))))
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_changes_begin_with_the_version_of_the_package():
    # `0.1.0, the first release.` below `## [Unreleased]`, or the heading of the newest release.
    assert re.search(r"^(?:## \[)?(\d+\.\d+\.\d+)\b", text("CHANGELOG.md"), re.MULTILINE)[1] == strongroom.__version__


def test_the_install_line_is_that_of_a_release_once_there_is_one():
    released = re.search(r"^## \[\d", text("CHANGELOG.md"), re.MULTILINE) is not None
    assert ("pip install strongroom" in text("README.md")) == released


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"^  - .+: (\S+\.md)$", text("mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_a_checkpoint_is_authenticated_as_the_format_says(make_manager):
    manager = make_manager()
    manager.set_secret("A", "value")
    keys = json.loads(export_keys(manager.custody.audit_keys()))["keys"]
    ((path, stored),) = manager._access.engine.store.scan("audit/")
    body, _, check = stored.partition(b',"check":"')
    fields = json.loads(stored)
    assert path == f"audit/{fields['log']}"
    key = bytes.fromhex(keys[str(fields["key"])])
    assert (
        check == hashlib.blake2b(body, key=key, person=b"audit checkpoint", digest_size=32).hexdigest().encode() + b'"}'
    )
    documented = re.search(r"## Checkpoint.*?## ", text("docs/format.md"), re.DOTALL)[0]
    assert re.findall(r'"([a-z]+)": ', documented) == list(fields)
