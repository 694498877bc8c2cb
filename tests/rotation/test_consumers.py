"""A previous value is retired when every live process has switched, and not before, unless its grace time ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import strongroom
from strongroom.errors import ConflictError, StoreError
from strongroom.rotation.reporting import Reporter
from strongroom.rotation.rotation import Rotation
from strongroom.stores.reports import DirectoryReports

from .source import Source

SERVICE = """
import sys, strongroom
secrets = strongroom.open(sys.argv[1], audit="memory:", service=sys.argv[2])
handle = secrets.secret("A")
handle.on_change(lambda changed: print(changed.version, flush=True))
print("ready", flush=True)
sys.stdin.readline()
secrets.close()
"""


def wait_until(condition):
    deadline = time.monotonic() + 15
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened for 15 s"
        time.sleep(0.01)
    return found


@pytest.fixture(params=["sqlite", "file"])
def secrets(request, make_manager):
    manager = make_manager(request.param)
    manager.set_secret("A", "first")
    return manager


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source", "alternating")
    source.accept("first")
    return source


@pytest.fixture
def service(secrets):
    started = []

    def start(name):
        url = secrets._access.engine.store.url
        process = subprocess.Popen([sys.executable, "-c", SERVICE, url, name], stdin=-1, stdout=-1, text=True)
        assert process.stdout.readline() == "ready\n"
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def entries(secrets):
    store = secrets._access.engine.store
    assert store.scan("consumer/") == [], "a report is no part of the store"
    return [key for key, _ in store.reports.scan()]


def stop(secrets, process, reports=1):
    """Stop a process that has reported."""
    wait_until(lambda: len(entries(secrets)) == reports)
    os.kill(process.pid, signal.SIGSTOP)


def test_the_previous_value_is_retired_as_soon_as_every_process_has_switched(secrets, source, service):
    service("api")
    service("worker")
    secrets.rotation.rotate("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]
    assert secrets.rotation.status("A")[0].step == "idle"
    assert secrets.verify().ok


def test_a_stopped_process_is_named_and_keeps_the_previous_value_alive_for_its_grace_time(secrets, source, service):
    secrets.rotation.attach("A", "generate:")
    service("api")
    stopped = service("worker")
    if secrets._access.engine.store.url.startswith("sqlite:"):
        stop(secrets, stopped, 2)
        secrets.rotation.rotate("A", source, wait=1.3)
    else:
        # A reader of a file reports from the begin of a rotation on.
        source.test = lambda pending: stop(secrets, stopped, 2)
        secrets.rotation.rotate("A", source, wait=1.3)
        del source.test
    (status,) = secrets.rotation.status("A")
    assert [(c.service, c.process.pid, c.version) for c in status.laggards] == [("worker", stopped.pid, 1)]
    with pytest.raises(ConflictError, match=rf"still held by worker \(pid {stopped.pid}, stopped, version 1 since 20"):
        secrets.rotation.retire("A", source)
    assert "first" in source.accepted()
    os.kill(stopped.pid, signal.SIGCONT)
    secrets.rotation.resume("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]


def test_the_end_of_the_grace_time_retires_whoever_lags(secrets, source, service):
    class Later:
        def now(self):
            return time.time() + 3601

        def sleep(self, seconds):
            raise AssertionError

    stopped = service("worker")
    source.test = lambda pending: stop(secrets, stopped)
    secrets.rotation.rotate("A", source, wait=0)
    del source.test
    Rotation(secrets._access, None, 10, clock=Later()).retire("A", source)
    assert source.accepted() == [secrets.get_secret("A")]


def test_a_process_that_died_is_waited_for_by_nobody(secrets, source, service):
    died = service("worker")
    service("api")

    def test(pending):
        wait_until(lambda: len(entries(secrets)) == 2)
        died.kill()
        died.wait()

    source.test = test
    secrets.rotation.rotate("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]
    assert len(entries(secrets)) == 1


def test_a_process_that_closes_takes_its_report_back(make_manager, service):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    url = secrets._access.engine.store.url
    with strongroom.open(url, audit="memory:") as other:
        other.secret("A")
        assert len(entries(secrets)) == 1
    assert entries(secrets) == []


def test_a_handle_of_a_secret_without_rotator_writes_nothing(secrets):
    revision = secrets._access.engine.store.revision()
    secrets.secret("A")
    time.sleep(0.1)
    assert secrets._access.engine.store.revision() == revision


def test_a_handle_made_before_the_attachment_is_known(make_manager):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.secret("A")
    secrets.rotation.attach("A", "generate:")
    wait_until(lambda: entries(secrets))
    assert [(c.process.pid, c.version) for c in secrets.rotation.status("A")[0].consumers] == [(os.getpid(), 1)]


def test_threads_that_report_at_once_are_one_consumer(make_manager, monkeypatch):
    secrets = make_manager("sqlite")
    secrets.set_secrets({"A": "first", "OTHER": "x"})
    secrets.secret("OTHER")
    secrets.rotation.attach("A", "generate:")
    make = Reporter.__init__

    def slowly(self, *arguments):
        time.sleep(0.2)
        make(self, *arguments)

    monkeypatch.setattr(Reporter, "__init__", slowly)
    threads = [threading.Thread(target=secrets.secret, args=("A",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(secrets)) == 1


def test_one_thread_reports_at_a_time(make_manager, monkeypatch):
    news, inside, most = Reporter._news, [], []

    def count(self, handles):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        yield from news(self, handles)
        inside.pop()

    monkeypatch.setattr(Reporter, "_news", count)
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    threads = [threading.Thread(target=secrets.secret, args=("A",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_a_child_of_fork_is_a_consumer_of_its_own(make_manager):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    secrets.secret("A")
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    try:
        wait_until(lambda: len(entries(secrets)) == 2)
        assert {c.process.pid for c in secrets.rotation.status("A")[0].consumers} == {os.getpid(), pid}
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert {c.process.pid for c in secrets.rotation.status("A")[0].consumers} == {os.getpid()}


def test_a_forgotten_secret_leaves_no_rotator_and_no_consumer(make_manager):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    secrets.secret("A")
    secrets.destroy_secret("A", with_history=True)
    assert secrets._access.engine.store.scan("rotation/") == []
    assert entries(secrets) == []
    assert secrets.verify().ok


def test_a_report_that_could_not_be_written_is_written_without_another_commit(make_manager, monkeypatch):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    with strongroom.open(secrets._access.engine.store.url, audit="memory:") as other:
        put, refused = DirectoryReports.put, []

        def refuse_twice(self, key, report):
            # When the handle is made, and when the thread first looks.
            if len(refused) < 2:
                refused.append(True)
                raise StoreError("the disk is full")
            return put(self, key, report)

        monkeypatch.setattr(DirectoryReports, "put", refuse_twice)
        assert other.secret("A").value == "first"
        wait_until(lambda: entries(secrets))
        assert len(refused) == 2


def test_a_process_that_holds_a_secret_below_another_is_no_consumer_of_that(make_manager):
    secrets = make_manager("sqlite")
    secrets.set_secrets({"A": "first", "A/B": "first"})
    for name in ("A", "A/B"):
        secrets.rotation.attach(name, "generate:")
    secrets.secret("A/B")
    assert [len(status.consumers) for status in secrets.rotation.status()] == [0, 1]


def test_reports_change_nothing_in_the_store_and_nothing_on_record(secrets, source, service):
    secrets.rotation.attach("A", "generate:")
    service("api")
    revision, events = secrets._access.engine.store.revision(), len(list(secrets._access.audit.sink.lines()))
    service("worker")
    secrets.secret("A")
    time.sleep(0.1)
    assert secrets._access.engine.store.revision() == revision
    assert len(list(secrets._access.audit.sink.lines())) == events + 1  # this process's own GET


def test_what_a_process_reports_while_the_rotation_ends_is_taken_back_when_it_closes(make_manager, monkeypatch):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    secrets.rotation.attach("A", "generate:")
    news = Reporter._news

    def and_end(self, handles):
        found = news(self, handles)
        monkeypatch.setattr(Reporter, "_news", news)
        secrets.rotation.detach("A")
        return found

    monkeypatch.setattr(Reporter, "_news", and_end)
    with strongroom.open(secrets._access.engine.store.url, audit="memory:") as other:
        other.secret("A")
        assert len(entries(secrets)) == 1
    assert entries(secrets) == []


def test_what_is_no_report_is_passed_over_and_swept_away(secrets, source, service):
    reports = secrets._access.engine.store.reports
    service("api")

    def test(pending):
        wait_until(lambda: entries(secrets))
        del source.test
        (key, report), *_ = reports.scan()
        reports.put(key[:-16] + "0" * 16, report)  # moved: it is bound to its key
        reports.put(key[:-16] + "1" * 16, b"")
        reports.put(key[:-16] + "2" * 16, report[:-1] + bytes([report[-1] ^ 1]))
        reports.put("3" * 49, b"\1garbage")
        reports.put(key[:-16] + "4" * 16, b"\2of a newer strongroom")
        assert len(secrets.rotation.status("A")[0].consumers) == 1

    source.test = test
    secrets.rotation.rotate("A", source, wait=15)
    assert source.accepted() == [secrets.get_secret("A")]
    assert len(entries(secrets)) == 2


def test_a_store_without_reports_waits_for_the_grace_time_only(make_manager, source):
    secrets = make_manager()
    del secrets._access.engine.store.reports
    secrets.set_secret("A", "first")
    secrets.secret("A")
    secrets.rotation.rotate("A", source, wait=1.2)
    assert secrets.rotation.status("A")[0].step == "promoted"
    assert secrets.rotation.status("A")[0].consumers == ()
    secrets.rotation.retire("A", source, force=True)
    assert source.accepted() == [secrets.get_secret("A")]


def test_old_entries_of_consumers_in_a_store_harm_nobody(make_manager, source):
    secrets = make_manager("sqlite")
    secrets.set_secret("A", "first")
    engine = secrets._access.engine
    with engine.change() as change:
        change.put("consumer/A/0011223344556677", change.records.seal_entry("consumer/A/0011223344556677", b"[]"))
    secrets.rotation.rotate("A", source, wait=0)
    assert secrets.rotation.status("A")[0].consumers == ()
    secrets.rotation.retire("A", source, force=True)
    secrets.custody.rekey_data()
    secrets.destroy_secret("A", with_history=True)
    assert secrets.verify().ok
