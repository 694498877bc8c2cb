"""Uses a store in the working directory, and says what it begins and what is done, where the trace shows it."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from contextlib import suppress

import strongroom
from strongroom.cli import main as strongroom_cli
from strongroom.delivery import rendering

from .crash_model import KEEP, KEYS, Model, Step, invent, perform

BYTES = 6_000
"""Size at which the audit log rolls over: a few times in a run."""


def steps(seed: int, count: int) -> list[Step]:
    """Return what the run does after `init`: each kind of operation first, then others at random."""
    found: list[Step] = [
        ["set", "app/0", "first"], ["set", "app/0", "second"], ["import", {"app/1": "one", "app/2": "two"}],
        ["rotate", "app/1", "uno"], ["render"], ["destroy", "app/2", ""], ["rekey_data", "fernet"],
        ["rekey_master", 1], ["set", "app/3", "large" * 4_000], ["render"], ["reopen"], ["rekey_data", "aes-256-gcm"],
    ]  # fmt: skip
    chance, model = random.Random(seed), Model()
    for step in found:
        model = model.after(step)
    for _ in range(count):
        found.append(invent(model, chance))
        model = model.after(found[-1])
    return found


def say(word: object) -> None:
    os.write(1, json.dumps(word).encode() + b"\n")


def library(kind: str, sync: str, seed: int, count: int) -> None:
    """Use the library."""
    place = {"audit": "file:logs/audit.log", "sync": sync, "audit_max_bytes": BYTES, "max_versions": KEEP}
    key = 0

    def open_store() -> strongroom.SecretsManager:
        return strongroom.open(f"{kind}:store/secrets", f"env:{KEYS[key]}", **place)

    say(["init"])
    secrets = strongroom.init(f"{kind}:store/secrets", f"env:{KEYS[0]}", **place)
    say("done")
    for step in steps(seed, count):
        say(step)
        if step[0] == "reopen":
            secrets.close()
            secrets = open_store()
        elif step[0] == "render":
            shown = {name.replace("/", "-"): str(secrets.get_secret(name)).encode() for name in secrets.list_secrets()}
            rendering.render("rendered", shown)
        else:
            perform(secrets, step)
            key = step[1] if step[0] == "rekey_master" else key
        say("done")
    secrets.close()


def commands(kind: str) -> None:
    """Use the command line, with a key in a file."""
    os.environ["STRONGROOM_STORE"] = {"sqlite": "sqlite:secrets.db", "file": "file:secrets.enc"}[kind]
    os.environ["STRONGROOM_KEY"] = "file:master.key"
    os.environ["STRONGROOM_AUDIT"] = "file:logs/secrets_audit.log"
    run("init", "--generate-key", step=["init"])
    run("set", "app/0", given="first", step=["set", "app/0", "first"])
    more = {"app/a": "one", "app/b": "two"}
    run("import", "--format", "dotenv", "--prefix", "app/", "-", given="a=one\nb=two\n", step=["import", more])
    run("rotate", "app/a", "--stdin", given="uno", step=["rotate", "app/a", "uno"])
    run("destroy", "app/b", "--yes", step=["destroy", "app/b", ""])
    run("render", "--allow-disk", "rendered", step=["render"])
    run("keygen", "--output", "new.key", step=["key"])
    run("rekey", "master", "--to", "file:new.key", step=["rekey_master", 1])
    os.environ["STRONGROOM_KEY"] = "file:new.key"
    run("set", "app/0", given="second", step=["set", "app/0", "second"])


def run(*words: str, given: str = "", step: Step) -> None:
    say(step)
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()))
    sys.stdout = io.StringIO()
    assert strongroom_cli([*words, "--quiet"]) == 0, words
    say("done")


if __name__ == "__main__":
    with suppress(KeyError):
        del os.environ["COVERAGE_PROCESS_CONFIG"]
    if sys.argv[1] == "library":
        library(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        commands(sys.argv[2])
