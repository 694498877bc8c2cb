"""The jobs inside a process: against the floor, and beside peers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bench.harness import Pace, ratio
from bench.in_process import measure
from bench.plan import Plan
from bench.results import FLOOR, STRONGROOM, Section, Target

_READ_LIMIT = 1.6
_SAME_LIMIT = 1.75
"""What it was when the row was added: the format that comes is to make it less."""
_WRITE_LIMIT = 1.5
_GROWTH_LIMIT = 1.05
"""No slower with many secrets than with few, give or take the noise of a run."""


def read(plan: Plan, scratch: str) -> Section:
    """Compare `get_secret` with the floor."""
    section = _race("read", "read", (FLOOR, STRONGROOM), plan.sizes, plan.pace(plan.rounds), plan, scratch)._replace(
        title="Read one secret, on record",
        text="`get_secret` on SQLite in a running process. The audit event is in the kernel before the value is"
        " returned. The floor is one prepared point read from a table of the same shape, one AES-256-GCM decryption"
        " and one `write(2)` of 300 bytes. Names are random and read in random order. strongroom keeps ciphertext"
        " that it has read, up to 64 MiB, for as long as the shared counters say that nobody has begun to change it.",
    )
    return section._replace(targets=[*_against_floor(section, "`get_secret`", _READ_LIMIT), *_growth(section)])


def read_same(plan: Plan, scratch: str) -> Section:
    """Compare `get_secret` of one name with the floor: without the misses of processor caches, which hide the rest."""
    keys, sizes, pace = (FLOOR, STRONGROOM), plan.sizes[:1], plan.pace(plan.rounds)
    section = _race("read-same", "read-same", keys, sizes, pace, plan, scratch)._replace(
        title="Read the same secret again and again",
        text="The same as the table before, of one name. Random names cost the floor more than they cost strongroom:"
        " either table alone hides what the other one shows.",
    )
    return section._replace(targets=_against_floor(section, "`get_secret` of the same name", _SAME_LIMIT))


def read_first(plan: Plan, scratch: str) -> Section:
    """Compare `get_secret` with the floor where nothing is kept from an earlier read."""
    keys, sizes, pace = (FLOOR, STRONGROOM), plan.sizes[-1:], plan.pace(plan.slow_rounds)
    section = _race("read-first", "read", keys, sizes, pace, plan, scratch, warm=False)._replace(
        title="Read a secret for the first time",
        text="The same in a process that has just opened the store, each name only once: nothing is kept yet, neither"
        " ciphertext nor pages of the database. What a commit changed is read anew too.",
    )
    return section._replace(targets=_against_floor(section, "first `get_secret`", _READ_LIMIT))


def write(plan: Plan, scratch: str) -> Section:
    """Compare `set_secret` with the floor."""
    pace = _for_writing(plan.pace(plan.rounds))
    section = _race("write", "write", (FLOOR, STRONGROOM), plan.sizes, pace, plan, scratch)._replace(
        title="Change one secret, durably, on record",
        text="`set_secret` on SQLite: the new version survives power loss when the call returns. The floor is one bare"
        " commit of one row (`synchronous=FULL`) and one `write(2)` of 300 bytes. strongroom also keeps older"
        " versions and its manifest, and writes two events (intent and outcome).",
    )
    return section._replace(targets=_against_floor(section, "`set_secret`", _WRITE_LIMIT))


def read_beside_peers(plan: Plan, scratch: str) -> Section:
    """Compare reading with what people use instead."""
    keys = (STRONGROOM, "fernet-file", "fernet-per-secret", "fernet-cached", "keyring", "python-dotenv")
    pace = plan.pace(plan.slow_rounds)
    return _race("read-peers", "read", keys, plan.peer_sizes, pace, plan, scratch)._replace(
        title="Read one secret, beside what people use instead",
        text="One secret in a running process, as each of them does it: the Fernet-encrypted JSON file that teams write"
        " themselves adds a line to a log for each access, the others keep no record.",
        peers=True,
    )


def write_beside_peers(plan: Plan, scratch: str) -> Section:
    """Compare writing with what people use instead."""
    keys = (STRONGROOM, "fernet-file", "fernet-file-durable", "fernet-per-secret", "keyring", "python-dotenv")
    pace = _for_writing(plan.pace(plan.slow_rounds))
    return _race("write-peers", "write", keys, plan.peer_sizes, pace, plan, scratch)._replace(
        title="Change one secret, beside what people use instead",
        text="All but strongroom write the whole file anew. Only those marked durable wait for the disk.",
        peers=True,
    )


def _for_writing(pace: Pace) -> Pace:
    """Let the journal of SQLite grow to its size first: a commit that makes its file longer takes twice as long.

    What one contender leaves to the operating system to write would slow down the next one that waits for the disk.
    """
    return pace._replace(warm_again=True, settle=os.sync)


def _race(
    section: str,
    kind: str,
    keys: Sequence[str],
    sizes: Sequence[int],
    pace: Pace,
    plan: Plan,
    scratch: str,
    *,
    warm: bool = True,
) -> Section:
    print(f"{section} …", file=sys.stderr)
    pairs = [(key, size) for size in sizes for key in keys if plan.wants(section, key)]
    return Section(section, "", "", measure(kind, pairs, pace, os.path.join(scratch, section), warm=warm))


def _against_floor(section: Section, what: str, limit: float) -> list[Target]:
    targets = []
    for row in section.rows:
        floor = section.find(FLOOR, row.size)
        if row.key == STRONGROOM and row.wall and floor:
            detail = f"fastest {min(row.wall) / min(floor.wall):.2f}"
            claim = f"{what} with {row.size:,} secrets, to its floor"
            targets.append(Target(claim, limit, ratio(row.wall, floor.wall), detail))
    return targets


def _growth(section: Section) -> list[Target]:
    """Return the target that a large store reads as fast as a small one."""

    def grows(key: str) -> float | None:
        rows = [row for row in section.rows if row.key == key and row.wall]
        return ratio(rows[-1].wall, rows[0].wall) if rows else None

    sizes = [row.size for row in section.rows if row.key == STRONGROOM and row.size]
    ours, floor = grows(STRONGROOM), grows(FLOOR)
    if ours is None:
        return []
    claim = f"`get_secret` with {sizes[-1]:,} secrets, to itself with {sizes[0]:,}"
    return [Target(claim, _GROWTH_LIMIT, ours, f"the floor itself: {floor:.2f}" if floor is not None else "")]
