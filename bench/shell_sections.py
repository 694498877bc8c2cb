"""The jobs of a shell, as sections of the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from bench.harness import ratio
from bench.plan import Plan
from bench.processes import Command, environment
from bench.results import FLOOR, STRONGROOM, Row, Section, Target
from bench.samples import sample
from bench.shell import Commands, Prepared, ShellContender, measure, prepare, program
from bench.shell_peers import Age, AnsibleVault, Dotenvx, PythonDotenv, Sops
from bench.strongroom_shell import Strongroom

SECRETS = 10
_START_LIMIT = 1.15
_IMPORT_LIMIT = 1.1
_IMPORTS = "import argparse, json, sqlite3; from cryptography.hazmat.primitives.ciphers.aead import AESGCM"
_PEERS: dict[str, ShellContender] = {
    STRONGROOM: Strongroom(),
    "sops": Sops(),
    "age": Age(),
    "ansible-vault": AnsibleVault(),
    "dotenvx": Dotenvx(),
    "python-dotenv": PythonDotenv(),
}


def start(plan: Plan, scratch: str) -> Section:
    """Compare the start of strongroom's commands with that of Python and the imports they cannot do without."""
    env = environment(scratch)
    python = (sys.executable, "-c")
    entries = [
        (Row(FLOOR, "floor: Python and the imports"), Command((*python, _IMPORTS), env)),
        (Row("import", "**`import strongroom`**"), Command((*python, "import strongroom"), env)),
        (Row("use", "**`from strongroom import open`**"), Command((*python, "from strongroom import open"), env)),
        *(_own_commands(scratch) if plan.wants("start", STRONGROOM) else []),
    ]
    section = Section(
        "start",
        "How soon it is up",
        f'Whole processes, from start to end. The floor is `python -c "{_IMPORTS}"`: what a program that does this'
        " work in Python must import. The names of `strongroom` are loaded when they are first used, so its import"
        " alone says little; `open` loads what reads and writes. `run -- true` becomes `true`, the floor does not.",
        measure([entry for entry in entries if plan.wants("start", entry[0].key)], plan.starts),
        ours="get",
    )
    limits = {"import": _IMPORT_LIMIT, "use": _IMPORT_LIMIT, "get": _START_LIMIT, "run": _START_LIMIT}
    return section._replace(targets=[each for key, limit in limits.items() for each in _to_floor(section, key, limit)])


def beside_peers(plan: Plan, scratch: str) -> list[Section]:
    """Compare the commands with what people use instead."""
    chosen = {key: peer for key, peer in _PEERS.items() if plan.wants("shell-get shell-run", key)}
    prepared = prepare(chosen, sample(SECRETS), os.path.join(scratch, "shell"))
    true = program("true")
    get = Section(
        "shell-get",
        "Print one secret in a shell",
        f"One of {SECRETS} secrets; whole processes, from start to end.",
        _rows(prepared, plan.peer_starts, lambda commands: commands.get),
        peers=True,
    )
    run = Section(
        "shell-run",
        "Start a program with the secrets in its environment",
        f"`true` with {SECRETS} secrets; whole processes, from start to end.",
        _rows(prepared, plan.peer_starts, lambda commands: commands.run(true) if commands.run else None),
        peers=True,
    )
    return [get, run]


def _rows(prepared: Sequence[Prepared], starts: int, job: Callable[[Commands], Command | None]) -> list[Row]:
    """Measure all that do the job; the rows of those that are missing say why."""
    entries, missing = [], []
    for each in prepared:
        row = Row(each.key, each.label, each.keeps, missing=each.missing)
        command = job(each.commands) if each.commands else None
        if command:
            entries.append((row, command))
        elif each.missing:
            missing.append(row)
    return measure(entries, starts) + missing


def _own_commands(scratch: str) -> list[tuple[Row, Command]]:
    (own,) = prepare({STRONGROOM: Strongroom()}, sample(SECRETS), os.path.join(scratch, "start"))
    if own.commands is None:
        return []
    get, run = own.commands
    assert get is not None
    assert run is not None
    return [
        (Row("get", "**`strongroom get NAME`**"), get),
        (Row("run", "**`strongroom run -- true`**"), run(program("true"))),
    ]


def _to_floor(section: Section, key: str, limit: float) -> list[Target]:
    """Return the target of this row: the worse of wall and processor time counts."""
    row, floor = section.find(key, None), section.find(FLOOR, None)
    if row is None or floor is None:
        return []
    wall, cpu = ratio(row.wall, floor.wall), ratio(row.cpu, floor.cpu)
    fastest = min(row.wall) / min(floor.wall), min(row.cpu) / min(floor.cpu)
    detail = f"wall {wall:.2f}, processor {cpu:.2f}; fastest {fastest[0]:.2f} and {fastest[1]:.2f}"
    return [Target(f"{row.label.strip('*')}, to Python and the imports", limit, max(wall, cpu), detail)]
