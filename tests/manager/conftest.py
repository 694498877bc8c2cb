"""Tests that hold for any store run on one with nothing optional too."""

from __future__ import annotations

import pytest
from tests.conftest import KINDS

from strongroom.manager.manager import SecretsManager


@pytest.fixture(params=(*KINDS, "minimal"))
def manager(request, make_manager) -> SecretsManager:
    """A manager on each kind of store in turn."""
    return make_manager(request.param)
