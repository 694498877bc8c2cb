"""A process that is stopped (SIGSTOP, a debugger, a frozen container) keeps nobody waiting who does not wait for it.

Processes report which version they hold, so that a rotation can wait for them. Wherever one is stopped in that, others
write, rotate and read; a rotation waits for as long as it was told to, and names who has not switched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import strongroom
from strongroom.errors import ConflictError, StoreError
from strongroom.stores.reports import DRAFT_SECONDS, MOST

from .conftest import STRANGER, VICTIM, as_user, two_users

READER = """
import os, signal, sys, strongroom
from strongroom.system import files
from strongroom.rotation import reporting
from strongroom.stores import reports
url, where = sys.argv[1:]
secrets = strongroom.open(url, audit="memory:", service="reader")
handle = secrets.secret("A")
live = secrets._shared.live(secrets._access)

def stop_before(module, name, when=lambda *given: True):
    call = getattr(module, name)
    def stopped(*given, **more):
        if when(*given):
            setattr(module, name, call)
            print("stopped", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return call(*given, **more)
    setattr(module, name, stopped)

is_report = lambda path, *_: "-held" in str(path) or str(path).startswith(".")
{
    "looking": lambda: stop_before(reporting, "open_state"),
    "sealing": lambda: stop_before(reporting, "seal_consumer"),
    "making the directory": lambda: stop_before(os, "mkdir"),
    "opening": lambda: stop_before(os, "open", is_report),
    "writing": lambda: stop_before(reports, "write_all"),
    "giving": lambda: stop_before(reports, "_give"),
    "renaming": lambda: stop_before(os, "rename"),
    "after": lambda: stop_before(reporting.time, "monotonic", lambda: bool(live._reporter._reported)),
}[where]()
print("ready", flush=True)
sys.stdin.readline()
secrets.close()
"""
PLACES = ["looking", "sealing", "making the directory", "opening", "writing", "giving", "renaming"]


@pytest.fixture(params=["sqlite", "file"])
def secrets(request, make_manager):
    manager = make_manager(request.param)
    manager.set_secret("A", "first")
    return manager


@pytest.fixture
def reader(secrets):
    """Start a process that stops itself at a place of its report."""
    started = []

    def start(where):
        command = [sys.executable, "-c", READER, secrets._access.engine.store.url, where]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class Rotator:
    grace = 3600.0

    def create(self, current):
        return {"value": current["value"] + "+"}

    def nothing(self, *data):
        """Nothing to do."""

    # What a test puts in place of `test` is not asked before a rotation.
    check = set = test = retire = nothing


def stopped(process):
    assert process.stdout.readline() == "stopped\n"
    deadline = time.monotonic() + 15
    while state(process) != "T":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


def state(process):
    with open(f"/proc/{process.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("where", PLACES)
def test_a_reader_that_is_stopped_in_its_report_keeps_no_writer_and_no_reader_waiting(secrets, reader, where):
    process = reader(where)
    rotator = Rotator()
    # A reader of a file reports from the begin of a rotation on.
    rotator.test = lambda pending: stopped(process)
    begun = time.monotonic()
    secrets.rotation.rotate("A", rotator, wait=0)
    del rotator.test
    secrets.set_secret("B", "written")
    assert secrets.get_secret("A") == "first+"
    with strongroom.open(secrets._access.engine.store.url, audit="memory:") as other:
        other.set_secret("C", "written")
        assert other.secret("A").value == "first+"
    # Whoever waits for a lock waits for 30 s.
    assert time.monotonic() - begun < 25
    assert state(process) == "T"
    secrets.rotation.retire("A", rotator, force=True)
    assert secrets.verify().ok
    process.send_signal(signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.wait(timeout=30) == 0
    assert secrets._access.engine.store.reports.scan() == []


def test_a_rotation_waits_as_long_as_it_was_told_to_and_names_who_is_stopped(secrets, reader, monkeypatch):
    process, rotator = reader("looking"), Rotator()

    def test(pending):
        stopped(process).send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 15
        while not secrets.rotation.status("A")[0].consumers:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)

    rotator.test = test
    begun = time.time()
    secrets.rotation.rotate("A", rotator, wait=1.5)
    assert secrets.rotation.status("A")[0].step == "promoted"
    (late,) = secrets.rotation.status("A")[0].laggards
    assert (late.service, late.process.pid, late.process.is_stopped, late.version) == ("reader", process.pid, True, 1)
    assert late.since <= late.time
    with pytest.raises(ConflictError) as caught:
        secrets.rotation.retire("A", rotator)
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(late.since))
    assert f"held by reader (pid {process.pid}, stopped, version 1 since {since})" in str(caught.value)
    assert late.since <= time.time()
    assert begun <= late.time


def test_what_a_stopped_process_has_begun_is_cleared_away(make_manager):
    secrets = make_manager("sqlite")
    reports = secrets._access.engine.store.reports
    reports.put("a", b"of one that goes on")
    directory = reports._place()
    for name, age in ((".b.0000000000000000", DRAFT_SECONDS + 1), (".c.0000000000000000", 0)):
        with open(f"{directory}/{name}", "w"):
            pass
        os.utime(f"{directory}/{name}", (time.time() - age,) * 2)
    reports.remove("b")
    assert sorted(os.listdir(directory)) == [".c.0000000000000000", "a"]
    os.unlink(f"{directory}/.c.0000000000000000")
    reports.remove("a")
    assert not os.path.exists(directory)


PLANTED = {
    "a link": lambda place, elsewhere: os.symlink(elsewhere, place),
    "a dangling link": lambda place, elsewhere: os.symlink("nowhere", place),
    "a FIFO": lambda place, elsewhere: os.mkfifo(place),
    "a file": lambda place, elsewhere: open(place, "w").close(),
    "a directory for all": lambda place, elsewhere: (os.mkdir(place), os.chmod(place, 0o777)),
    "a sticky directory": lambda place, elsewhere: (os.mkdir(place), os.chmod(place, 0o1777)),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_in_place_of_the_reports_is_refused_and_nothing_is_written_there(secrets, tmp_path, what):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    reports = secrets._access.engine.store.reports
    PLANTED[what](reports._place(), elsewhere)
    refusals = (lambda: reports.put("a", b"x"), reports.scan, lambda: reports.remove("a"))
    for call in refusals[: 1 if what == "a dangling link" else 3]:
        with pytest.raises(StoreError, match="-held: "):
            call()
    assert list(elsewhere.iterdir()) == []
    # A reader reads, although it cannot report; a rotation does not act as if nobody held the value.
    secrets.rotation.attach("A", "generate:")
    assert secrets.secret("A").value == "first"
    assert secrets.get_secret("A") == "first"
    with pytest.raises(StoreError, match="-held: "):
        secrets.rotation.rotate("A", Rotator(), wait=2)


@pytest.fixture
def loaded(master_key, tmp_path):
    """Have all modules loaded: another user may be unable to read where they lie."""
    with strongroom.init(f"sqlite:{tmp_path}/loaded.db", audit="memory:") as secrets:
        secrets.set_secret("A", "first")
        secrets._access.engine.store.reports.put("a", b"x")
        secrets._access.engine.store.reports.remove("a")
    with strongroom.open(f"sqlite:{tmp_path}/loaded.db", audit="memory:") as secrets:
        secrets.secret("A")


@two_users
def test_a_directory_of_a_strangers_is_refused(shared, home, loaded):
    url = f"sqlite:{home}/secrets.db"
    home.chmod(0o777)

    def victim():
        with strongroom.init(url, audit="memory:") as secrets:
            secrets.set_secret("A", "first")

    def stranger():
        os.mkdir(f"{home}/secrets.db-held", 0o755)

    def refused():
        refusal = pytest.raises(StoreError, match=f"belongs to another user.*{STRANGER}")
        with strongroom.open(url, audit="memory:") as secrets, refusal:
            secrets._access.engine.store.reports.put("a", b"x")

    as_user(VICTIM, victim)
    as_user(STRANGER, stranger)
    as_user(VICTIM, refused)


@two_users
def test_users_who_share_a_store_through_a_group_see_each_others_reports(home, loaded):
    url = f"sqlite:{home}/secrets.db"
    group = 4103
    os.chown(home, VICTIM, group)
    home.chmod(0o2770)

    def make():
        os.umask(0o007)
        with strongroom.init(url, audit="memory:") as secrets:
            secrets.set_secret("A", "first")
        os.chmod(home / "secrets.db", 0o660)

    def put(key):
        with strongroom.open(url, audit="memory:") as secrets:
            secrets._access.engine.store.reports.put(key, b"x")
            return [key for key, _ in secrets._access.engine.store.reports.scan()]

    def in_group(user, work):
        pid = os.fork()
        if pid == 0:
            os.setgroups([group])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            try:
                os._exit(0 if work() else 1)
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert in_group(VICTIM, lambda: make() is None) == 0
    assert in_group(STRANGER, lambda: put("a") == ["a"]) == 0
    assert in_group(VICTIM, lambda: put("b") == ["a", "b"]) == 0
    assert put("c") == ["a", "b", "c"]
    assert {path.stat().st_mode & 0o777 for path in (home / "secrets.db-held").iterdir()} == {0o660}


def test_what_is_planted_among_the_reports_is_passed_over(secrets, tmp_path):
    reports = secrets._access.engine.store.reports
    reports.put("a", b"real")
    place = reports._place()
    (tmp_path / "target").write_bytes(b"elsewhere")
    os.symlink(tmp_path / "target", f"{place}/b")
    os.mkfifo(f"{place}/c")
    os.mkdir(f"{place}/d")
    with open(f"{place}/e", "wb") as file:
        file.truncate(1 << 30)
    with open(f"{place}/not a key", "wb"):
        pass
    assert reports.scan() == [("a", b"real")]
    reports.put("b", b"real too")
    assert (tmp_path / "target").read_bytes() == b"elsewhere"
    assert reports.scan() == [("a", b"real"), ("b", b"real too")]


def test_a_flood_of_reports_is_an_error_that_says_so(secrets, monkeypatch):
    monkeypatch.setattr("strongroom.stores.reports.MOST", 3)
    reports = secrets._access.engine.store.reports
    for number in range(4):
        reports.put(str(number), b"x")
    with pytest.raises(StoreError, match="holds 4 reports, and at most 3 are read"):
        reports.scan()
    assert MOST > 10_000
