"""Does one thing after the other in children whose nth system call fails, and judges what each says and leaves."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strongroom.errors import RollbackError, StrongroomError, TamperedError, WrongKeyError

from . import failing
from .canary import CANARY, leaks, told_by
from .fault_cases import (
    BEYOND,
    COMMANDS,
    NAMES,
    NEW,
    OPENED,
    OTHER,
    command,
    make,
    open_and_read,
    open_store,
)  # fmt: skip

KNOWN = {"old value", CANARY, NEW, OTHER, None}
Report = dict[str, Any]


def library(name: str, kind: str, place: Path) -> Report:
    """Do it in this process; say what came of it, and whether the store can be used afterwards."""
    more = {"audit_max_bytes": 1_000} if name == "roll over" else {}
    before = descriptors()
    secrets = None if name == "open" else open_store(kind, place, **more)
    report: Report = {"ok": True, "wrong": []}
    began = time.monotonic()
    failing.mark()
    try:
        if secrets is None:
            open_and_read(kind, place)
        else:
            OPENED[name](secrets, place)
    except BaseException as error:
        failing.mark()
        report |= {"ok": False, "error": f"{type(error).__name__}: {error}"}
        if not isinstance(error, StrongroomError) or isinstance(error, TamperedError | RollbackError | WrongKeyError):
            report["wrong"].append(f"raised {type(error).__name__}")
        report["wrong"] += [f"the value is in {what}" for what, text in told_by(error) if leaks(text)]
    else:
        failing.mark()
    if secrets is not None and name != "close":
        report["wrong"] += use_on(secrets)
        secrets.close()
    del secrets
    if time.monotonic() - began > 5:
        report["wrong"].append("took long")
    left = descriptors() - before
    report["wrong"] += [f"open still: {os.path.basename(path)}" for path in left]
    return report


def use_on(secrets: Any) -> list[str]:
    """Use the store in the process that an error has hit; return what is wrong."""
    try:
        assert secrets.get_secret("B") in (OTHER, CANARY)
        secrets.set_secret(BEYOND, NEW)
        assert secrets.get_secret(BEYOND) == NEW
    except Exception as error:
        return [f"cannot be used on: {type(error).__name__}: {error}"]
    return []


def on_command_line(name: str, kind: str, place: Path) -> Report:
    words, given = COMMANDS[name]
    os.chdir(place)
    failing.mark()
    code, out, err = command(words, given, kind, place)
    failing.mark()
    report: Report = {"ok": code == 0, "error": f"exit code {code}: {err}", "wrong": []}
    expected = (name, code) == ("verify", 5) or (code == 4 and "cannot be read" in err)  # see fault_cases.verify
    if code in (4, 5, 70) and not expected:
        report["wrong"].append(f"ended with {code}")
    if code and not "".join(err.splitlines()[-1:]).startswith("strongroom: ") and words[0] != "doctor":
        report["wrong"].append("its last line is no error")
    if "Traceback" in err or leaks(err) or (name != "get" and leaks(out)):
        report["wrong"].append("a traceback, or the value, was shown")
    if command(["list"], "", kind, place)[0] != 0 and name != "rekey master":
        report["wrong"].append("the next command fails")
    return report


def descriptors() -> set[str]:
    """Return what is open, but no pipes and maps of memory."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return {path for path in found if path.startswith("/") and not path.startswith(("/dev/", "/proc/"))}


def state(kind: str, place: Path) -> tuple[object, list[str]]:
    """Return what the store holds and the key that opens it, and what is wrong with it and its log."""
    wrong = []
    for key in (0, 1):
        try:
            secrets = open_store(kind, place, key)
        except WrongKeyError:
            continue
        with secrets:
            held = {}
            for name in NAMES:
                values = {
                    info.version: secrets.get_secret(name, version=info.version) for info in secrets.history(name)
                }
                held[name] = [value if value in KNOWN else "generated" for value in values.values()]
            wrong += [f"the store: {problem}" for problem in secrets.verify().problems]
            wrong += [f"the log: {problem.message}" for problem in secrets.verify_audit().problems]
            secrets.set_secret(BEYOND, OTHER)
            wrong += [f"the log, later: {problem.message}" for problem in secrets.verify_audit().problems]
            return (key, held), wrong
    return None, ["no key opens the store"]


class Campaign:
    """The cases of one kind of store."""

    def __init__(self, kind: str, place: Path) -> None:
        self.kind = kind
        self.place = place
        self.wrong: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.points = self.hits = 0
        (place / "template").mkdir()
        make(kind, place / "template")
        self.before = state(kind, self._copy())[0]

    def _copy(self) -> Path:
        here = self.place / "here"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(self.place / "template", here)
        return here

    def run(self, name: str, work: Callable[[str, str, Path], Report], count: int, chance: random.Random) -> None:
        """Try `count` of the calls and errors of one case; 0 for all."""
        work(name, self.kind, self._copy())  # so that all modules are there
        os.chdir(self.place)
        here = self._copy()
        clean = failing.at(0, "", lambda pipe: say(pipe, work(name, self.kind, here)))
        report = json.loads(clean.said)
        assert (report["ok"], report["wrong"]) == (True, []), (name, report)
        after, wrong = state(self.kind, here)
        assert wrong == [], wrong
        points = [(at, error) for at, call in enumerate(clean.calls, 1) for error in failing.errors_of(call)]
        for at, error in chance.sample(points, min(count or len(points), len(points))):
            self._try(name, work, at, error, after)

    def _try(self, name: str, work: Callable[[str, str, Path], Report], at: int, error: str, after: object) -> None:
        here = self._copy()
        outcome = failing.at(at, error, lambda pipe: say(pipe, work(name, self.kind, here)))
        self.points += 1
        self.hits += outcome.hit
        report = json.loads(outcome.said)
        wrong = report["wrong"]
        try:
            found, also = state(self.kind, here)
            wrong += also
            if found not in ((after,) if report["ok"] else (self.before, after)):
                wrong.append(f"the store holds {found}")
        except Exception as problem:
            wrong.append(f"afterwards: {type(problem).__name__}: {problem}")
        call = outcome.calls[-1] if outcome.hit else "none"
        self.errors[f"{call} {error}: {report.get('error', '')}"] += not report["ok"]
        for text in wrong:
            place = f"{work.__name__} {name}: {call} {at} {error}"
            self.wrong[f"{place}: {text} [{report.get('error', 'ok')}]".replace(str(here), "")[:400]] += 1


def say(pipe: int, report: Report) -> None:
    os.write(pipe, json.dumps(report).encode())


def main(kind: str, place: str, count: int, seed: int, *only: str) -> None:
    warnings.simplefilter("ignore")
    campaign, chance = Campaign(kind, Path(place)), random.Random(seed)
    for name in ("open", *OPENED):
        if not only or name in only:
            campaign.run(name, library, count, chance)
    for name in COMMANDS:
        if not only or name in only:
            campaign.run(name, on_command_line, count, chance)
    print(json.dumps({"points": campaign.points, "hits": campaign.hits, "wrong": campaign.wrong,
                      "errors": campaign.errors.most_common()}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
