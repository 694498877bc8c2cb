"""The shipped suite for rotators at several Redis servers: all of them accept a password, or none does."""

from __future__ import annotations

import pytest

from strongroom.testing.rotators import RotatorSuite

pytest.importorskip("redis")

from .redis_groups import rotator

FIRST = {"value": "first"}


class OnSeveral(RotatorSuite):
    """All servers accept a password, or none does."""

    @pytest.fixture
    def current(self):
        return FIRST

    def accepts(self, data):
        accepted = set(self.group.accept(data["value"]))
        assert len(accepted) == 1, "the servers differ"
        return accepted.pop()


class TestPair(OnSeveral):
    @pytest.fixture
    def rotator(self, pair):
        self.group = pair
        return rotator(pair.url())


class TestPairOnItsOwn(OnSeveral):
    @pytest.fixture
    def rotator(self, pair):
        self.group = pair
        for server in pair.servers:
            server.command("ACL SETUSER", "app", "+acl")
        return rotator(pair.url().replace("default@", "").replace("admin_secret=admin&", ""))


class TestCluster(OnSeveral):
    @pytest.fixture
    def rotator(self, cluster):
        self.group = cluster
        return rotator(cluster.url("&cluster=yes", ports=[cluster.servers[3].port]))
