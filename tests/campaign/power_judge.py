"""Judges what a power loss left, by what the process had been told until then."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import strongroom
from strongroom.audit.report import AuditReport
from strongroom.errors import NoKeyError, StoreExistsError, WrongKeyError
from strongroom.manager.manager import SecretsManager

from .crash_model import KEYS, NAMES, Model, Step, read


class Run:
    """Where a driver has its files, and how these are opened."""

    def __init__(self, driver: str, kind: str, sync: str = "write") -> None:
        self.kind = kind
        self.sync = sync
        if driver == "library":
            self.store, self.audit = "store/secrets", "logs/audit.log"
            self.keys = [f"env:{name}" for name in KEYS]
            self.names = NAMES
        else:
            self.store = {"sqlite": "secrets.db", "file": "secrets.enc"}[kind]
            self.audit = "logs/secrets_audit.log"
            self.keys = ["file:master.key", "file:new.key"]
            self.names = ["app/0", "app/a", "app/b"]

    def open(self, place: Path, key: int, *, new: bool = False) -> SecretsManager:
        url = self.keys[key].replace("file:", f"file:{place}/")
        function = strongroom.init if new else strongroom.open
        return function(f"{self.kind}:{place}/{self.store}", url, f"file:{place}/{self.audit}", sync=self.sync)


def judge(run: Run, place: Path, said: list[object]) -> None:
    """Fail unless everything acknowledged is there and nothing half, and the store and its log can be used on."""
    with chdir(place):  # there may be settings
        judge_store(run, place, said)
    judge_rendered(place / "rendered", said)


def judge_store(run: Run, place: Path, said: list[object]) -> None:
    before, after, pending = told(said)
    if ["init"] in said and said.index(["init"]) + 1 < len(said):
        secrets, key = find(run, place, [before.key, after.key])
    else:
        secrets, key = begin_again(run, place), 0
    with secrets:
        found = read(secrets, key, run.names)
        assert found in (before, after), f"while at {pending}: {found} is neither {before} nor {after}"
        judge_log(run, secrets, said)
        secrets.set_secret("app/0", "after the crash")
        assert secrets.get_secret("app/0") == "after the crash"
        assert secrets.verify().problems == ()
        check_log(run, secrets.verify_audit())


def told(said: list[object]) -> tuple[Model, Model, Step | None]:
    """Return the store as it was when the last operation was acknowledged, and as it is after the one under way."""
    model, pending = Model(), None
    for word in said:
        if word == "done":
            model, pending = model.after(pending), None
        else:
            pending = word
    return model, model.after(pending) if pending else model, pending


def find(run: Run, place: Path, keys: list[int]) -> tuple[SecretsManager, int]:
    """Open the store with the one of the master keys that opens it; return that one's number too."""
    for key in sorted(set(keys)):
        try:
            return run.open(place, key), key
        except (WrongKeyError, NoKeyError) as error:
            problem = error
    raise AssertionError(f"no master key opens the store: {problem}")


def begin_again(run: Run, place: Path) -> SecretsManager:
    """Do what a user does whose `init` was not acknowledged: the same again, with the key that is there."""
    key = place / "master.key"
    if run.keys[0].startswith("file:") and not (key.exists() and key.stat().st_size):
        key.unlink(missing_ok=True)
        key.write_text(strongroom.generate_master_key())
        key.chmod(0o600)
    try:
        return run.open(place, 0, new=True)
    except StoreExistsError:
        return run.open(place, 0)


def judge_log(run: Run, secrets: SecretsManager, said: list[object]) -> None:
    """The log verifies; where an acknowledged change has no event, which only `sync = "write"` allows, it says so."""
    report = secrets.verify_audit()
    check_log(run, report)
    writes = sum(word != "done" and word[0] in ("set", "rotate", "destroy") for word in said[:-1])
    events = [event for event in secrets.get_audit_logs(None) if event["action"] in ("SET", "ROTATE", "DESTROY")]
    there = len({event.get("intent") or event["id"] for event in events})
    complete = there >= writes
    assert complete or (run.sync == "write" and report.notes + report.problems), (
        f"{writes - there} changes are not on record"
    )


def check_log(run: Run, report: AuditReport) -> None:
    """Fail on problems, but for holes that the power loss left, where the report calls them that.

    A page that was not on the disk yet can be zeros between others that were. Whoever can write to the log can make
    such a hole too, so it stays a problem.
    """
    wrong = [problem for problem in report.problems if run.sync == "fsync" or "power loss" not in str(problem)]
    assert not wrong, wrong


def judge_rendered(directory: Path, said: list[object]) -> None:
    """The files are of one moment and whole: what was rendered, or what was there before; and never none again."""
    models, model = [], Model()
    for number, word in enumerate(said):
        if word == "done":
            model = model.after(said[number - 1])
        elif word == ["render"]:
            models.append((model, said[number + 1 : number + 2] == ["done"]))
    if not os.path.lexists(directory / "..data"):
        assert not any(done for _, done in models), "what was rendered is gone"
        return
    shown = {
        str(path.relative_to(directory / "..data")).replace("/", "-"): path.read_text()
        for path in (directory / "..data").rglob("*")
        if path.is_file()
    }
    finished = [number for number, (_, done) in enumerate(models) if done]
    possible = [rendered(model) for model, _ in models[max(finished, default=0) :]]
    assert shown in possible, f"rendered: {shown}"


def rendered(model: Model) -> dict[str, str]:
    live = {name: versions[max(versions)] for name, versions in model.secrets.items()}
    return {name.replace("/", "-"): value for name, value in live.items() if value is not None}
