import pytest

from strongroom.testing.rotators import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def secrets(make_manager):
    """A store in memory with the one secret that is rotated."""
    manager = make_manager()
    manager.set_secret("A", "first")
    return manager


@pytest.fixture
def rotation(secrets, clock):
    return secrets.rotation.with_clock(clock, timeout=5)
