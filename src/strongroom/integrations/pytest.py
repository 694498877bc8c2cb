"""pytest: a store in memory, with the secrets that a test is given.

pytest_plugins = ["strongroom.integrations.pytest"]  # in conftest.py

@pytest.fixture
def strongroom_values():
    return {"API_TOKEN": "for-tests"}

def test_something(strongroom_secrets):
    assert strongroom_secrets.get_secret("API_TOKEN") == "for-tests"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import strongroom
from strongroom import SecretsManager


@pytest.fixture
def strongroom_values() -> Mapping[str, Any]:
    """The secrets that `strongroom_secrets` starts with; override it in a module or in conftest.py."""
    return {}


@pytest.fixture
def strongroom_secrets(
    strongroom_values: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SecretsManager]:
    """A manager of a new store in memory, its audit log too; nothing is left behind."""
    with monkeypatch.context() as patch:
        patch.setenv("SECRETS_MASTER_KEY", strongroom.generate_master_key())
        manager = strongroom.init("memory:", "env:SECRETS_MASTER_KEY", "memory:")
    with manager:
        manager.set_secrets(strongroom_values)
        yield manager
