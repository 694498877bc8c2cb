"""A real Celery worker, with forked pool processes, takes up a new value without a restart, on record."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import strongroom

celery = pytest.importorskip("celery")

from strongroom.integrations.celery import attach, secret  # noqa: E402

APP = """
import os, strongroom
from celery import Celery
from strongroom.integrations.celery import attach, secret

app = Celery("app", broker="filesystem://", backend="file://results")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control", "polling_interval": 0.02,
}
attach(app, strongroom.open("sqlite:secrets.db", audit="file:audit.log"))


@app.task
def read():
    handle = secret(app, "DB")
    for _ in range(5):
        value = handle.value
    return os.getpid(), handle.version, value[:5]
"""


@pytest.fixture
def project(tmp_path, master_key, monkeypatch):
    """A directory with a store and an app, where commands run."""
    monkeypatch.chdir(tmp_path)
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app.py").write_text(APP)
    with strongroom.init("sqlite:secrets.db", audit="file:audit.log") as secrets:
        secrets.set_secret("DB", "first value")
        yield secrets


@pytest.fixture
def worker(project, tmp_path):
    options = ("--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat")
    with open("worker.log", "wb") as log:
        command = [sys.executable, "-m", "celery", "-A", "app", "worker", *options]
        environ = os.environ | {"C_FORCE_ROOT": "1", "PYTHONPATH": str(tmp_path)}
        worker = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        yield worker
        worker.kill()
        worker.wait()


@pytest.fixture
def call(project, monkeypatch):
    """Call the task in the worker and return its result."""
    app = celery.Celery("caller", broker="filesystem://", backend="file://results")
    app.conf.broker_transport_options = {
        "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
    }  # fmt: skip
    yield lambda: app.send_task("app.read").get(timeout=60, interval=0.02)
    app.close()


def test_a_task_reads_the_current_value_in_a_process_that_goes_on(project, worker, call):
    pid, *first = call()
    project.set_secret("DB", "second value")
    same, *second = call()
    assert (first, second, same == pid) == ([1, "first"], [2, "secon"], True)
    worker.terminate()
    worker.wait(timeout=60)
    events = [(event["pid"], event.get("count")) for event in project.get_audit_logs(None, action="GET")]
    assert sum(count for where, count in events if where == pid and count) >= 8


def test_an_app_that_is_not_attached_says_what_to_do(secrets):
    app = celery.Celery("app")
    with pytest.raises(strongroom.ConfigError, match="attach"):
        secret(app, "DB")
    attach(app, secrets)
    assert secret(app, "DB").value == "old-Password/+1"
