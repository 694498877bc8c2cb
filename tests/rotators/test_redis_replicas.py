"""Replicas share no users with their primary: all of them must be named, and none may log in as the user."""

from __future__ import annotations

import pytest

from strongroom.errors import SourceRefusedError

pytest.importorskip("redis")

from .redis_groups import Group, rotator
from .servers import ADMIN

FIRST = {"value": "first"}


def test_a_replica_without_its_primary_is_refused(pair):
    replica = pair.servers[1].port
    with pytest.raises(SourceRefusedError, match=rf"is a replica: name the primary .*127.0.0.1:{pair.primary.port}"):
        rotator(pair.url(ports=[replica])).check(FIRST)


def test_a_primary_whose_replicas_are_not_named_is_refused(pair):
    alone = [pair.primary.port]
    with pytest.raises(SourceRefusedError, match=rf"replicas .* not told .*: 127.0.0.1:{pair.servers[1].port}\. "):
        rotator(pair.url(ports=alone)).check(FIRST)
    rotator(pair.url("&replicas=ignore", ports=alone)).check(FIRST)
    assert rotator(pair.url()).check(FIRST) == []


def test_a_replica_of_another_primary_is_no_replica_of_this_one(pair, tmp_path):
    strange = Group(tmp_path)
    try:
        port = strange.add().port
        with pytest.raises(SourceRefusedError, match="is a replica: name the primary"):
            rotator(pair.url(ports=[port, pair.servers[1].port])).check(FIRST)
    finally:
        strange.stop()


def test_the_user_that_replication_logs_in_as_is_not_rotated(pair):
    url = pair.url().replace("default@", "admin@").replace("user=app", "user=default")
    for server in pair.servers:
        server.command("ACL SETUSER", "admin", "on", f">{ADMIN}", "+@all", "~*")
    with pytest.raises(SourceRefusedError, match=r"'default' \(masteruser, masterauth\).*a user of its own"):
        rotator(url).check({"value": ADMIN})


def test_a_name_with_several_addresses_is_said(pair, monkeypatch):
    rows = [(2, 1, 6, "", (f"10.0.0.{n}", 6379)) for n in (1, 2, 2)]
    monkeypatch.setattr("strongroom.rotators.redis_replication.getaddrinfo", lambda *_: rows)
    said = rotator(pair.url()).check(FIRST)
    assert len(said) == 2
    assert "has 2 addresses (10.0.0.1, 10.0.0.2): if these are several servers" in said[0]


def test_an_administrator_who_may_not_ask_for_replicas_is_told(pair):
    for server in pair.servers:
        server.command("ACL SETUSER", "little", "on", f">{ADMIN}", "+acl")
    said = rotator(pair.url().replace("default@", "little@")).check(FIRST)
    assert any("whether servers are missing is not known" in text and "it needs +info" in text for text in said)
