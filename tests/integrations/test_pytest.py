"""The fixtures give each test a store of its own, in a pytest of their own."""

from __future__ import annotations

import subprocess
import sys

TESTS = """
import pytest


@pytest.fixture
def strongroom_values():
    return {"API_TOKEN": "for-tests", "LOGIN": {"username": "a", "password": "b"}}


def test_given_secrets_are_there(strongroom_secrets):
    assert strongroom_secrets.get_secret("API_TOKEN") == "for-tests"
    assert strongroom_secrets.get_data("LOGIN")["password"] == "b"
    strongroom_secrets.set_secret("API_TOKEN", "changed")


def test_each_test_has_a_new_store(strongroom_secrets, request):
    assert strongroom_secrets.get_secret("API_TOKEN") == "for-tests"
    assert strongroom_secrets.secret("API_TOKEN").value == "for-tests"
    request.config.kept = strongroom_secrets


def test_the_key_does_not_stay_in_the_environment(strongroom_secrets):
    import os

    assert "SECRETS_MASTER_KEY" not in os.environ
"""


def test_a_plugin_gives_each_test_a_store_with_the_secrets_it_names(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRETS_MASTER_KEY", raising=False)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["strongroom.integrations.pytest"]\n')
    (tmp_path / "test_it.py").write_text(TESTS)
    before = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir=."]
    done = subprocess.run([*command, "."], cwd=tmp_path, capture_output=True, text=True)
    assert "3 passed" in done.stdout, done.stdout
    assert [name for name in sorted(path.name for path in tmp_path.iterdir()) if name != "__pycache__"] == before
