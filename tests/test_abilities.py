"""Optional Protocols are named, whole, and asked for in one place."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import strongroom
from strongroom import abilities, protocols
from strongroom.audit_sinks.file import FileSink
from strongroom.audit_sinks.memory import MemorySink
from strongroom.stores.file import FileStore
from strongroom.stores.memory import MemoryStore
from strongroom.stores.sqlite import SqliteStore

ROOT = Path(strongroom.__file__).parent
ASKING = {
    name: function.__annotations__["return"].removesuffix(" | None")
    for name, function in inspect.getmembers(abilities, inspect.isfunction)
    if not name.startswith("_") and function.__annotations__["return"].endswith("| None")
}
INDIRECT = {"reports": "Reporting", "revision": "RevisionCounter", "moves_with_git": "GitFriendly"}


def members(protocol: str) -> set[str]:
    found = getattr(protocols, protocol)
    return {name for name in {**vars(found), **found.__annotations__} if not name.startswith("_")}


class Everything:
    """Has every member, and remembers which were asked for."""

    def __init__(self):
        self.asked = set()

    def __getattr__(self, name):
        self.asked.add(name)
        return lambda: 7


@pytest.mark.parametrize("name", [*ASKING, *INDIRECT])
def test_each_question_asks_for_the_members_of_one_protocol(name):
    driver = Everything()
    getattr(abilities, name)(driver)
    assert driver.asked == members(INDIRECT.get(name) or ASKING[name])


@pytest.mark.parametrize("name", ASKING)
def test_a_driver_without_one_of_the_members_lacks_the_whole(name):
    protocol = INDIRECT.get(name, ASKING[name])
    whole = type("Whole", (), dict.fromkeys(members(protocol), lambda *_: None))
    assert getattr(abilities, name)(whole()) is not None
    for member in members(protocol):
        assert getattr(abilities, name)(type("Part", (whole,), {member: None})()) is None


def test_every_optional_protocol_of_stores_and_sinks_is_asked_for():
    optional = {
        name for name in protocols.__all__
        if (getattr(protocols, name).__doc__ or "").startswith("Optional: ")
        and not getattr(protocols, name).__module__.endswith("rotators")
    }  # fmt: skip
    assert optional == {*ASKING.values(), *INDIRECT.values()} - {"Reports"}


def test_nobody_else_asks_a_driver_for_what_it_may_not_have():
    asking = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
                driver = ast.unparse(node.args[0]).lstrip("_").rpartition(".")[2].lstrip("_")
                if driver in ("store", "sink", "provider", "opened", "made"):
                    asking.add(path.relative_to(ROOT).as_posix())
    assert asking == {"abilities.py", "named.py", "testing/store_abilities.py"}


@pytest.mark.parametrize(
    ("driver", "has"),
    [
        (SqliteStore, {"RevisionCounter", "SharedCounters", "Scrubbing", "TimedTransactions", "Reporting"}),
        (FileStore, {"RevisionCounter", "Scrubbing", "Reporting", "GitFriendly"}),
        (MemoryStore, {"RevisionCounter", "ChangeNotices", "Scrubbing"}),
        (FileSink, {"DurableLog", "PlacedLog", "SearchableLog", "WatchedLog", "ForkableLog", "PackedLog"}),
        (MemorySink, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_drivers_have_these(driver, has):
    of_stores_and_sinks = {*ASKING.values(), *INDIRECT.values()} - {"Reports"}
    assert {protocol for protocol in of_stores_and_sinks if members(protocol) <= set(dir(driver))} == has
