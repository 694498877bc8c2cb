"""A server that loads its application, handles and callbacks included, and then forks: each worker follows changes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

import strongroom

pytest.importorskip("gunicorn")

APP = """
import os, strongroom

handle = strongroom.open("sqlite:secrets.db", audit="file:audit.log").secret("A")
told = []
handle.on_change(lambda changed: told.append(changed.version))

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{os.getpid()} {handle.value} {told}".encode()]
"""


@pytest.fixture
def server(tmp_path, master_key, monkeypatch, wait_until):
    """A server with two workers; yields the manager of its store, and what asks it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    place = f"unix:{tmp_path}/socket"
    options = ("--preload", "--workers=2", "--bind", place, "--graceful-timeout=5")
    with strongroom.init("sqlite:secrets.db", audit="file:audit.log") as secrets, open("server.log", "wb") as log:
        secrets.set_secret("A", "first")
        server = subprocess.Popen([sys.executable, "-m", "gunicorn", *options, "app:app"], stdout=log, stderr=log)
        try:
            wait_until(listens)
            yield secrets, ask
            server.terminate()
            assert server.wait(timeout=30) == 0
        finally:
            server.kill()
            server.wait()
    assert "Traceback" not in (tmp_path / "server.log").read_text()


def listens():
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex("socket") == 0


def ask():
    """Return process, value and versions told of, as one worker says."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("socket")
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            pid, value, told = answer.read().partition(b"\r\n\r\n")[2].decode().split(" ", 2)
    return int(pid), value, told


def test_each_worker_has_the_new_value_and_is_told_of_it_once(server, wait_until):
    secrets, ask = server
    before = set()
    wait_until(lambda: before.add(ask()) or len(before) == 2)
    assert {(value, told) for _, value, told in before} == {("first", "[]")}
    secrets.set_secret("A", "second")
    assert ask()[1] == "second"
    after = set()
    wait_until(lambda: after.add(ask()) or {(pid, "second", "[2]") for pid, _, _ in before} <= after)


def test_the_reads_of_a_worker_are_on_record_when_it_ends(server, wait_until):
    secrets, ask = server
    asked = []
    wait_until(lambda: asked.append(ask()[0]) or len(set(asked)) == 2)
    ended = asked[-1]
    os.kill(ended, 15)

    def counted():
        events = secrets.get_audit_logs(limit=None, action="GET", name="A")
        return sum(event.get("count") or 0 for event in events if event["pid"] == ended)

    wait_until(counted)
    assert counted() == asked.count(ended) == 1
