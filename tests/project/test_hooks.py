"""Our own hooks fetch nothing: each runs a tool of `.venv`."""

from __future__ import annotations

from pathlib import Path

import yaml

PAGE = Path(__file__).parents[2] / ".pre-commit-config.yaml"


def test_each_hook_is_local_and_runs_a_tool_of_the_virtual_environment():
    page = PAGE.read_text()
    document = yaml.safe_load(page)
    assert [repo["repo"] for repo in document["repos"]] == ["local"]
    hooks = document["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)
    assert not any("additional_dependencies" in hook for hook in hooks)
    assert "://" not in page


def test_subjects_are_looked_at_when_the_hooks_are_installed():
    document = yaml.safe_load(PAGE.read_text())
    assert set(document["default_install_hook_types"]) == {"pre-commit", "commit-msg"}
    (hook,) = [hook for hook in document["repos"][0]["hooks"] if hook.get("stages") == ["commit-msg"]]
    assert (PAGE.parent / hook["entry"].split()[1]).is_file()
