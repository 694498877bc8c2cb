"""Whoever has read the value holds it: nobody is cut off because others with live handles have switched."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import strongroom

from .source import Source

LIVE = """
import sys, strongroom
handle = strongroom.open(sys.argv[1], audit=sys.argv[2], service="live").secret("A")
handle.on_change(lambda changed: None)
print("ready", flush=True)
sys.stdin.readline()
"""
READS_ONCE = """
import sys, strongroom
secrets = strongroom.open(sys.argv[1], audit=sys.argv[2], service="cron")
held = {read}
print("ready", flush=True)
sys.stdin.readline()
secrets.get_secret("A")
print("read again", flush=True)
sys.stdin.readline()
"""
WAYS = {
    "get_secret": 'secrets.get_secret("A")',
    "get_data": 'secrets.get_data("A")["value"]',
    "a variable": 'secrets.secret("A").value',
}
FAILING = """
import sys, strongroom
handle = strongroom.open(sys.argv[1], audit=sys.argv[2], service="fails").secret("A")
def fail(changed): raise ValueError
handle.on_change(fail)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def places(tmp_path, master_key):
    return f"sqlite:{tmp_path}/secrets.db", f"file:{tmp_path}/audit.log"


@pytest.fixture
def secrets(places, source):
    with strongroom.init(places[0], "env:SECRETS_MASTER_KEY", places[1]) as manager:
        manager.set_secret("A", "first")
        yield manager


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source", "alternating")
    source.accept("first")
    return source


@pytest.fixture
def start(secrets, places):
    started = []

    def start(code, *command):
        command = command or (sys.executable, "-c", code, *places)
        process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", ["before the attachment", "after it"])
def test_a_process_that_has_read_once_is_not_cut_off(secrets, source, start, way, when):
    if when == "after it":
        secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    once = start(READS_ONCE.format(read=WAYS[way]))
    start(LIVE)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    secrets.rotation.rotate("A", source, wait=2)
    status = secrets.rotation.status("A", holders=True)[0]
    assert "first" in source.accepted()
    assert status.step == "promoted"
    held = {(holder.pid, holder.version) for holder in status.holders}
    held |= {(consumer.process.pid, consumer.version) for consumer in status.laggards}
    assert held == {(once.pid, 1)}
    with pytest.raises(strongroom.ConflictError, match=rf"still held by cron \(pid {once.pid}"):
        secrets.rotation.retire("A", source)
    go_on(once)
    if way == "a variable":
        once.kill()
        once.wait()
    else:
        assert once.stdout.readline() == "read again\n"
    secrets.rotation.resume("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]


def test_nobody_waits_for_a_process_that_has_read_once_and_ended(secrets, source, start):
    once = start(READS_ONCE.format(read=WAYS["get_secret"]))
    start(LIVE)
    secrets.rotation.attach("A", "generate:", force=True)
    once.kill()
    once.wait()
    secrets.rotation.rotate("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]


def test_a_callback_that_raised_is_no_switch(secrets, source, start):
    failing = start(FAILING)
    secrets.rotation.attach("A", "generate:", force=True)
    time.sleep(0.2)
    secrets.rotation.rotate("A", source, wait=2)
    status = secrets.rotation.status("A")[0]
    assert [(consumer.process.pid, consumer.version) for consumer in status.laggards] == [(failing.pid, 1)]
    assert "first" in source.accepted()


@pytest.mark.parametrize("command", ["run", "get", "export", "render"])
def test_what_a_command_handed_out_is_not_cut_off(secrets, source, start, places, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strongroom.toml").write_text(f'store = "{places[0]}"\naudit = "{places[1]}"\n')
    (tmp_path / "strongroom.toml").chmod(0o600)
    own = (sys.executable, "-m", "strongroom")
    if command == "run":
        running = start("", *own, "run", "--only", "A", "--", "sh", "-c", "echo ready; read line")
    else:
        words = {"get": ("get", "A"), "export": ("export", "A"), "render": ("render", "out", "--allow-disk")}
        subprocess.run([*own, *words[command]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start(LIVE)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    secrets.rotation.rotate("A", source, wait=2)
    assert "first" in source.accepted()
    (holder,) = secrets.rotation.status("A", holders=True)[0].holders
    assert holder.handed_out == (command != "run")
    if command == "run":
        assert holder.pid == running.pid
        running.kill()
        running.wait()
        secrets.rotation.resume("A", source, wait=15)
    else:
        secrets.rotation.retire("A", source, force=True)
    assert source.accepted() == [secrets.get_secret("A")]


def test_this_process_is_a_holder_too(secrets, source, start):
    start(LIVE)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    assert secrets.get_secret("A") == "first"
    secrets.rotation.rotate("A", source, wait=1.5)
    assert "first" in source.accepted()
    assert source.accepted()[-1] == secrets.get_secret("A")
    secrets.rotation.resume("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]


def test_a_log_that_cannot_be_read_leaves_the_grace_time(secrets, source, start, monkeypatch):
    start(LIVE)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    monkeypatch.setattr("strongroom.rotation.readers.LOOK", -1.0)
    secrets.rotation.rotate("A", source, wait=1.5)
    assert "first" in source.accepted()
    assert not secrets.rotation.status("A", holders=True)[0].all_known


def test_whoever_has_read_what_was_written_over_in_the_grace_time_is_not_cut_off(secrets, source, start):
    live = LIVE.replace("lambda changed: None", "lambda changed: print(changed.version, flush=True)")
    switching = start(live)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    secrets.rotation.rotate("A", source, wait=0)
    rotated = source.accepted()[-1]
    once = start(READS_ONCE.format(read=WAYS["get_secret"]))
    source.accept(*source.accepted(), "by hand")
    secrets.set_secret("A", "by hand")
    while switching.stdout.readline() != "3\n":
        pass
    secrets.rotation.resume("A", source, wait=2)
    assert rotated in source.accepted()
    with pytest.raises(strongroom.ConflictError, match=rf"still held by cron \(pid {once.pid}"):
        secrets.rotation.retire("A", source)
    once.kill()
    once.wait()
    secrets.rotation.resume("A", source, wait=15)
    assert source.accepted() == ["by hand"]


def test_whoever_has_read_a_version_that_is_not_kept_is_not_cut_off(secrets, source, start):
    secrets.describe_secret("A", max_versions=1)
    once = start(READS_ONCE.format(read=WAYS["get_secret"]))
    start(LIVE)
    secrets.rotation.attach("A", "generate:", grace=3600, force=True)
    secrets.rotation.rotate("A", source, wait=2)
    assert "first" in source.accepted()
    assert [holder.pid for holder in secrets.rotation.status("A", holders=True)[0].holders] == [once.pid]
