"""Whoever may append to the log, and has no key: what they can make us believe, and for how long they can keep us."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import strongroom
from strongroom.access.access import Access
from strongroom.errors import RollbackError

from .conftest import STRANGER, VICTIM, as_user, strongroom_as, two_users


class Project:
    """A store with a log that somebody else appends to."""

    def __init__(self, place: Path) -> None:
        self.store = f"sqlite:{place}/store.db"
        self.log = place / "audit.log"
        self.place = place
        with strongroom.init(self.store, audit=f"file:{self.log}") as secrets:
            for value in ("one", "two", "three"):
                secrets.set_secret("A", value)

    def open(self, **more) -> strongroom.SecretsManager:
        return strongroom.open(self.store, audit=f"file:{self.log}", **more)

    def lines(self) -> list[bytes]:
        return self.log.read_bytes().splitlines()[1:]

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.lines()]

    def append(self, *lines: bytes, end: bytes = b"\n") -> None:
        with self.log.open("ab") as file:
            file.write(end.join(lines) + end)

    def forge(self, **fields) -> bytes:
        """Return a line that looks like the newest one, with other fields."""
        event = self.events()[-1] | fields
        event["id"] = f"{event['stream']}-{event['seq']}"
        return json.dumps(event, separators=(",", ":")).encode()

    def shown(self, **filters) -> list[tuple[str, str | None, str]]:
        with self.open() as secrets:
            found = secrets.get_audit_logs(None, **filters)
        return [(event["action"], event["name"], event["outcome"]) for event in found if "authentic" not in event]

    def problems(self) -> tuple:
        with self.open(on_rollback="warn") as secrets:
            return secrets.verify_audit().problems


@pytest.fixture
def project(tmp_path, master_key) -> Project:
    return Project(tmp_path)


# What a line says of others


def hides_by_an_intent(project: Project) -> list[bytes]:
    return [project.forge(seq=90 + n, intent=event["id"]) for n, event in enumerate(project.events())]


def hides_by_an_intent_of_a_new_stream(project: Project) -> list[bytes]:
    return [project.forge(seq=1, stream=f"{n:016x}", intent=e["id"]) for n, e in enumerate(project.events())]


def hides_by_its_time(project: Project) -> list[bytes]:
    return [project.forge(seq=90, ts="1970-01-01T00:00:00.000000Z")]


def hides_by_the_time_of_an_opening(project: Project) -> list[bytes]:
    opened = project.events()[0]
    fields = {"ts": "1970-01-01T00:00:00.000000Z", "at": 10**9, "action": "OPEN", "seq": 1, "stream": "a" * 16}
    return [project.forge(**opened | fields)]


def hides_by_a_refusal_with_an_intent(project: Project) -> list[bytes]:
    return [
        project.forge(seq=1, stream="b" * 16, mac=None, outcome="failed", intent=event["id"])
        for event in project.events()
    ]


def hides_by_itself(project: Project) -> list[bytes]:
    return [project.forge(seq=90 + n) for n in range(300)]


def hides_in_a_line_without_end(project: Project) -> list[bytes]:
    return [b"x" * 300_000]


HIDING = [
    hides_by_an_intent, hides_by_an_intent_of_a_new_stream, hides_by_its_time, hides_by_the_time_of_an_opening,
    hides_by_a_refusal_with_an_intent, hides_by_itself, hides_in_a_line_without_end,
]  # fmt: skip


@pytest.mark.parametrize("attack", HIDING)
def test_a_forged_line_hides_no_event_and_ends_no_search(project, attack):
    before = project.shown()
    before_of_a = [event for event in before if event[1] == "A"]
    project.append(*attack(project), end=b"" if attack is hides_in_a_line_without_end else b"\n")
    with project.open() as secrets:
        secrets.get_secret("A")
    for filters, expected in (({}, before), ({"since": "1h"}, before), ({"name": "A"}, before_of_a)):
        shown = project.shown(**filters)
        assert shown[-len(expected) :] == expected
        assert ("GET", "A", "ok") in shown[: -len(expected)]
    assert project.problems()


@pytest.mark.parametrize("attack", HIDING)
def test_the_newest_events_are_found_behind_any_number_of_forged_ones(project, attack):
    project.append(*attack(project))
    with project.open() as secrets:
        found = [event for event in secrets.get_audit_logs(2, action="SET") if "authentic" not in event]
    assert [(event["action"], event["outcome"]) for event in found] == [("SET", "ok")] * 2


def test_a_forged_line_is_shown_as_one_even_if_it_says_otherwise(project):
    project.append(project.forge(seq=90, name="FORGED", authentic=True))
    with project.open() as secrets:
        (event,) = secrets.get_audit_logs(name="FORGED")
        assert event["authentic"] is False
        (problem,) = secrets.verify_audit().problems
    assert "forged" in problem.message


# What a line says of the store


def forged_write(project: Project) -> list[bytes]:
    return [project.forge(seq=90, revision=10**9)]


def forged_write_with_a_line_before_it(project: Project) -> list[bytes]:
    return [project.forge(seq=89), project.forge(seq=90, revision=10**9)]


def forged_opening(project: Project) -> list[bytes]:
    return [project.forge(**project.events()[0] | {"stream": "c" * 16, "revision": 10**9})]


def forged_refusal(project: Project) -> list[bytes]:
    return [project.forge(seq=1, stream="d" * 16, outcome="failed", mac=None, revision=10**9)]


@pytest.mark.parametrize("attack", [forged_write, forged_write_with_a_line_before_it, forged_opening, forged_refusal])
def test_a_forged_revision_stops_no_open(project, attack):
    project.append(*attack(project))
    with project.open() as secrets:
        assert secrets.get_secret("A") == "three"
    assert project.problems()


def forged_acceptance(project: Project) -> list[bytes]:
    return [project.forge(seq=90, action="VERIFY", name=None, reason="accept", revision=1)]


def many_forged_openings(project: Project) -> list[bytes]:
    event = project.events()[0]
    return [project.forge(**event | {"stream": f"{n:016x}", "revision": 1, "searched": [1, 10**9]}) for n in range(50)]


def copies_of_old_lines(project: Project) -> list[bytes]:
    return project.lines()[:3] * 50


def a_copied_opening(project: Project) -> list[bytes]:
    return [line for line in project.lines() if b'"OPEN"' in line][:1]


def junk(project: Project) -> list[bytes]:
    return [b"x" * 100] * 10_000


def a_line_of_many_megabytes(project: Project) -> list[bytes]:
    return [b"x" * 8_000_000]


@pytest.mark.parametrize(
    "attack",
    [forged_acceptance, many_forged_openings, copies_of_old_lines, a_copied_opening, junk, a_line_of_many_megabytes],
)
def test_no_line_switches_the_rollback_check_off(project, attack):
    with project.open() as secrets:
        secrets.get_secret("A")
    old = (project.place / "store.db").read_bytes()
    with project.open() as secrets:
        secrets.set_secret("A", "four")
    for file in project.place.glob("store.db*"):
        file.unlink()
    (project.place / "store.db").write_bytes(old)
    project.append(*attack(project))
    with pytest.raises(RollbackError):
        project.open()


@pytest.mark.parametrize(("lines", "most"), [(1_000, None), (5_000, None), (1_000, 100_000)])
def test_lines_slipped_in_before_the_end_of_a_write_do_not_hide_it(project, monkeypatch, lines, most):
    """Who sees the intent of a write can append before its outcome, which needs the line of the intent to be known."""
    old = (project.place / "store.db").read_bytes()
    enter_checkpoint = Access.enter_checkpoint

    def slip_in(access, change):
        enter_checkpoint(access, change)
        line, stream = project.lines()[-1], project.events()[-1]["stream"].encode()
        forged = line.replace(b'"outcome":"intent"', b'"outcome":"ok","revision":99')
        project.append(*(forged.replace(stream, b"%016x" % number) for number in range(lines)))

    with monkeypatch.context() as patch, project.open() as secrets:
        patch.setattr(Access, "enter_checkpoint", slip_in)
        secrets.set_secret("A", "four")
    for file in project.place.glob("store.db*"):
        file.unlink()
    (project.place / "store.db").write_bytes(old)
    if most is None:
        with pytest.raises(RollbackError):
            project.open()
        return
    # More than may wait for the lines before them are not passed over in silence.
    monkeypatch.setattr("strongroom.audit.tail.MOST_WAITING", most)
    with pytest.warns(strongroom.StrongroomWarning, match="does not say which revision"):
        project.open().close()


def test_more_than_is_searched_is_said(project, monkeypatch):
    monkeypatch.setattr("strongroom.opening.WINDOW", 100_000)
    project.append(*[b"x" * 100] * 2_000)
    with pytest.warns(strongroom.StrongroomWarning, match="does not say which revision"):
        secrets = project.open()
    with secrets:
        assert secrets.get_secret("A") == "three"
        assert not secrets.verify_audit().ok
    # That process is on record with what it found.
    with warnings.catch_warnings(), project.open() as secrets:
        warnings.simplefilter("error")
        assert secrets.get_secret("A") == "three"


def test_after_an_acceptance_a_copy_of_its_lines_covers_no_later_rollback(project):
    old = (project.place / "store.db").read_bytes()
    with project.open() as secrets:
        secrets.set_secret("A", "four")

    def restore() -> None:
        for file in project.place.glob("store.db*"):
            file.unlink()
        (project.place / "store.db").write_bytes(old)

    restore()
    with pytest.warns(strongroom.StrongroomWarning), project.open(on_rollback="warn") as secrets:
        secrets.accept()
    accepted = [line for line in project.lines() if b'"reason":"accept"' in line]
    with project.open() as secrets:
        secrets.set_secret("A", "five")
        secrets.set_secret("A", "six")
    restore()
    project.append(*accepted)
    with pytest.raises(RollbackError):
        project.open()


def test_forged_streams_do_not_keep_authentic_ones_from_being_verified(project):
    opening = {"seq": 1, "action": "OPEN", "key": 1, "log": "f" * 16, "segment": 1, "at": 0, "after": []}
    for shape in ({"seq": 7}, opening):
        project.append(*(project.forge(stream=f"{number:016x}", **shape) for number in range(1_100)))
    with project.open() as secrets:
        secrets.get_secret("A")
        before = secrets.verify_audit()
        secrets.get_secret("A")
        after = secrets.verify_audit()
    assert after.events == before.events + 2
    assert len(before.problems) == len(after.problems)
    own = project.events()[-1]["stream"]
    assert not any(own in problem.message for problem in after.problems)


# What a line says when there is no key


def refusal(project: Project, **more) -> bytes:
    event = project.events()[0] | {"stream": "e" * 16, "outcome": "failed", "reason": "wrong_key"}
    fields = ("id", "ts", "seq", "stream", "action", "name", "outcome", "reason", "actor", "service", "pid", "host",
              "source", "store")  # fmt: skip
    line = {field: event[field] for field in fields} | {"id": "e" * 16 + "-1"} | more | {"mac": None}
    return json.dumps(line, separators=(",", ":")).encode()


def test_a_refusal_of_a_key_is_a_note_and_says_nothing_else(project):
    project.append(refusal(project))
    with project.open() as secrets:
        report = secrets.verify_audit()
    assert report.ok
    assert [note.message for note in report.notes] == [
        "an unauthenticated refusal (OPEN): no key was there to authenticate it"
    ]


@pytest.mark.parametrize(
    "more", [{"name": "A"}, {"revision": 3}, {"intent": "x"}, {"action": "GET"}, {"outcome": "ok"}, {"count": 1}]
)
def test_a_refusal_that_says_more_than_that_is_a_problem(project, more):
    project.append(refusal(project, **more))
    (problem,) = project.problems()
    assert "that is no refusal" in problem.message


# How long it takes


FLOODS = {
    "one line": b"x" * 48_000_000,
    "empty lines": b"\n" * 100_000,
    "torn events": b'{"id":"' * 4_000_000,
    "short events": b'{"id":"\n' * 100_000,
    "deep": b"[" * 20_000_000 + b"\n",
    "zeros": b"\0" * 48_000_000,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_what_is_appended_costs_little_time_and_memory(project, flood):
    before = project.log.stat().st_size
    project.append(FLOODS[flood], end=b"")
    code = (
        "import resource, time, strongroom\n"
        f"with strongroom.open({project.store!r}, audit='file:{project.log}') as secrets:\n"
        "    assert secrets.get_secret('A') == 'three'\n"
        "    opened = time.process_time()\n"
        "    assert len(secrets.get_audit_logs(5)) >= 5\n"
        "    secrets.verify_audit()\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(int(peak.split()[1]) // 1024, opened, time.process_time())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    megabytes, opening, all_of_it = map(float, done.stdout.split())
    assert project.log.stat().st_size - before >= 100_000
    assert megabytes < 80
    # Quadratic work took minutes: 20 seconds for each open.
    assert opening < 10
    assert all_of_it < 60


@two_users
def test_a_stranger_in_the_group_of_a_log_can_add_lines_and_change_nothing_else(shared, home):
    assert strongroom_as(VICTIM, "init", "--generate-key", cwd=home).returncode == 0
    assert strongroom_as(VICTIM, "set", "A", cwd=home, stdin="value").returncode == 0
    log = home / "logs" / "secrets_audit.log"
    log.parent.chmod(0o755)
    log.chmod(0o666)
    event = json.loads(log.read_bytes().splitlines()[-1])

    def attack() -> None:
        with log.open("ab") as file:
            for seq, more in ((90, {"intent": event["id"]}), (91, {"revision": 10**9}), (92, {"ts": "1970"})):
                line = event | more | {"seq": seq, "id": f"{event['stream']}-{seq}"}
                file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    as_user(STRANGER, attack)
    assert strongroom_as(VICTIM, "get", "A", cwd=home).stdout.strip() == "value"
    shown = strongroom_as(VICTIM, "audit", "log", "--since", "1h", cwd=home).stdout
    assert '"SET"' in shown
    assert strongroom_as(VICTIM, "audit", "verify", cwd=home).returncode == 5
