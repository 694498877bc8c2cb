"""Eight processes on one store, 2,000 mixed operations each."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

import strongroom
from strongroom.manager.manager import SecretsManager

from . import KINDS, size
from .many_worker import COUNT, FREE, KNOWN, described, read_back
from .processes import result

PROCESSES = 8
OPERATIONS = size(2_000, 10_000)
ACTIONS = {
    "GET": "get_secret", "SET": "set_secret", "ROTATE": "rotate_secret", "LIST": "list_secrets", "HISTORY": "history",
    "DELETE": "delete_secret", "UNDELETE": "undelete_secret",
}  # fmt: skip
DEADLOCK = size(120, 1_200)


@pytest.mark.parametrize("kind", KINDS)
def test_eight_processes_lose_no_update_and_read_nothing_torn_or_old(kind, place, start):
    store, audit = f"{kind}:{place}/store", place / "audit.log"
    with strongroom.init(store, audit=f"file:{audit}") as secrets:
        _fill(secrets)
    workers = [start("many_worker", store, audit, number, OPERATIONS) for number in range(PROCESSES)]
    reports = [result(worker, timeout=DEADLOCK) for worker in workers]
    with strongroom.open(store, audit=f"file:{audit}") as secrets:
        _no_update_was_lost(secrets, reports)
        for name in KNOWN:
            assert int(read_back(secrets.get_secret(name), name)) == secrets.history(name)[-1].version
        assert secrets.verify().problems == ()
        report = secrets.verify_audit()
        assert (report.problems, report.notes) == ((), ())
        assert report.segments > 1, "the log was to be rotated meanwhile: make its segments smaller"
        _every_call_is_on_record(secrets, reports)


def _fill(secrets: SecretsManager) -> None:
    for name in COUNT:
        secrets.set_secret(name, "0")
    for name in KNOWN:
        secrets.set_secret(name, described(name, 1))
    for name in FREE:
        secrets.set_secret(name, described(name, "first"))


def _no_update_was_lost(secrets: SecretsManager, reports: list[dict[str, Any]]) -> None:
    assert sum(report["conflicts"] for report in reports) > 0, "the processes did not meet"
    increments: Counter[str] = Counter()
    written: defaultdict[str, list[int]] = defaultdict(list)
    for report in reports:
        increments.update(report["increments"])
        for name, versions in report["written"].items():
            written[name] += versions
    assert {name: int(secrets.get_secret(name)) for name in COUNT} == {name: increments[name] for name in COUNT}
    for name, versions in written.items():
        # Each version was given to exactly one writer, and none was left out.
        assert sorted(versions) == list(range(2, secrets.history(name)[-1].version + 1)), name


def _every_call_is_on_record(secrets: SecretsManager, reports: list[dict[str, Any]]) -> None:
    calls: Counter[str] = Counter()
    for report in reports:
        calls.update(report["calls"])
    events = secrets.get_audit_logs(limit=None)
    found = Counter(event["action"] for event in events if event["actor"].startswith("worker-"))
    assert {action: found[action] for action in ACTIONS} == {action: calls[ACTIONS[action]] for action in ACTIONS}
