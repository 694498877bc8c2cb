"""Real servers, rotated by several processes at once and held by services with grace times of their own."""

from __future__ import annotations

import subprocess
import sys
import time

import psycopg
import pytest

import strongroom
from integrations.server import ADMIN
from strongroom.engine import versions
from strongroom.records.data import encode
from strongroom.testing.rotators import VirtualClock

READS_ONCE = """
import sys, strongroom
strongroom.open(sys.argv[1], audit=sys.argv[2], service="reports").get_data("DB")
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    return server


@pytest.fixture
def project(tmp_path, master_key, monkeypatch):
    """A directory with a store that processes share; returns the URLs of store and log."""
    urls = f"sqlite:{tmp_path}/secrets.db", f"file:{tmp_path}/audit.log"
    settings = tmp_path / "strongroom.toml"
    settings.write_text(f'store = "{urls[0]}"\naudit = "{urls[1]}"\n')
    settings.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return urls


@pytest.fixture
def secrets(project):
    with strongroom.init(project[0], "env:SECRETS_MASTER_KEY", project[1]) as secrets:
        secrets.set_secret("pg/admin", ADMIN)
        with secrets._access.engine.change() as change:
            data, ago = encode({"username": "app_a", "password": "first"}), time.time() - 7200
            versions.put(change, "DB", data, now=ago, cas=None, attributes=versions.Attributes(), keep=10)
        yield secrets


def url(server, other=""):
    return f"postgresql://postgres@127.0.0.1:{server.port}/postgres?role=app_a{other}&admin_secret=pg/admin"


def accepts(server, data):
    place = f"host=127.0.0.1 port={server.port} dbname=postgres"
    try:
        psycopg.connect(place, user=data["username"], password=data["password"]).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("other", ["", "&other=app_b"])
def test_timers_of_several_hosts_rotate_a_role_once(server, secrets, other):
    secrets.rotation.attach("DB", url(server, other), every=3600, grace=3600)
    argv = [sys.executable, "-m", "strongroom", "rotate", "--due", "--wait", "0s"]
    processes = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    current = secrets.get_data("DB")
    assert [version.version for version in secrets.history("DB")] == [1, 2]
    assert sorted(err.count("DB: version 2") for _, err in said) == [0, 0, 1]
    assert accepts(server, current)
    if not other:
        assert not accepts(server, {"username": "app_a", "password": "first"})


def test_a_role_is_kept_for_a_service_that_has_a_grace_time_of_its_own(server, secrets, project):
    clock = VirtualClock()
    rotation = secrets.rotation.with_clock(clock)
    rotation.attach("DB", url(server, "&other=app_b"), grace=3600, graces={"reports": 86400})
    before = {"username": "app_a", "password": "first"}
    reports = subprocess.Popen([sys.executable, "-c", READS_ONCE, *project], stdin=-1, stdout=-1, text=True)
    try:
        assert reports.stdout.readline() == "ready\n"
        rotation.rotate("DB", wait=0)
        clock.time += 3601
        rotation.resume("DB", wait=0)
        assert accepts(server, before)
        with pytest.raises(strongroom.ConflictError, match=rf"held by reports \(pid {reports.pid}"):
            rotation.retire("DB")
    finally:
        reports.kill()
        reports.communicate()
    rotation.resume("DB", wait=0)
    assert not accepts(server, before)
    assert accepts(server, secrets.get_data("DB"))
