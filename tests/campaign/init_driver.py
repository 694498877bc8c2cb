"""Kills `strongroom init` at one system call after the other; afterwards `init` works again, or the store opens."""

from __future__ import annotations

import json
import os
import sys
from itertools import count

import strongroom
from strongroom.cli import main as strongroom_cli
from strongroom.errors import StoreExistsError
from strongroom.settings.config import load

from . import kill

KEY = "file:master.key"
"""Named, since memory that all users share is no place where a key is found."""


def init(store: str) -> int:
    """Make a store, and a master key beside it, with the command line."""
    where = ["--store", store, "--key", KEY, "--audit", "file:audit.log"]
    return strongroom_cli(["init", "--quiet", "--generate-key", *where])


def recover(store: str) -> str:
    """Do what a user would do next, and return what it was."""
    code = init(store)
    assert code in (0, StoreExistsError.exit_code), f"init failed with {code} after a kill"
    with strongroom.open(settings=load(store=store, key=KEY, audit="file:audit.log")) as secrets:
        secrets.set_secret("A", "after the kill")
        assert secrets.get_secret("A") == "after the kill"
        assert secrets.verify().problems == ()
        assert secrets.verify_audit().problems == ()
    return "opened" if code else "made"


def main(kind: str, place: str, stride: int) -> None:
    os.environ.pop("SECRETS_MASTER_KEY", None)
    store = f"{kind}:store"
    ends = {"opened": 0, "made": 0}
    for number in count(1, stride):
        directory = os.path.join(place, str(number))
        os.mkdir(directory)
        os.chdir(directory)
        death = kill.at_syscall(number, lambda pipe: os.write(pipe, b"%d" % init(store)))
        if not death.killed:
            assert death.said == b"0"
            break
        ends[recover(store)] += 1
    print(json.dumps(ends))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
