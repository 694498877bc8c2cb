import pytest

from strongroom.testing.rotators import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def rotation(secrets, clock):
    return secrets.rotation.with_clock(clock, timeout=5)
