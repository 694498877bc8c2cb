"""The layers of the package, held by reading its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import strongroom

ROOT = Path(strongroom.__file__).parent
SOURCES = {
    ".".join(("strongroom", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
FLOORS: list[dict[str, str]] = [
    {"errors": "every error, with its code and its exit code"},
    {"system": "what is asked of Python and the operating system: files, ways to them, frames, threads, time"},
    {"words": "names, limits, the seams of drivers, checks of arguments, what may be shown of a URL or a value"},
    {"crypto": "one module for each cipher, key derivation, MAC", "generate": "new values, with the word list"},
    {
        "records": "every byte that lies in a store: context, data, head, header, keyset, kinds, manifest",
        "audit": "every byte of the log: lines, chain, checkpoints, query, verification",
        "settings": "what was given, what was found, and how far it is believed",
    },
    {"engine": "an unlocked store: one transaction, the rules of versions, checks of the whole"},
    {"access": "who may, and what is logged"},
    {"rotation": "a secret and its source change together"},
    {"live": "handles that are always current"},
    {"manager": "what a service holds"},
    {
        "aio": "changes of live handles, for asyncio",
        "delivery": "secrets for programs that do not import strongroom: files, watching",
        "scan": "where values leak to",
        "exchange": "what import and export read and write",
    },
    {"wiring": "the public names, opening, fallback, gone, drivers, named; only `drivers` names concrete drivers"},
    {
        "stores": "drivers: where bytes lie",
        "key_providers": "drivers: who guards the root key",
        "audit_sinks": "drivers: where the log lies",
        "rotators": "drivers: how a source takes a new value",
    },
    {
        "integrations": "one module for each library",
        "testing": "the suites that every driver passes, shipped",
        "cli": "what a user types",
    },
]
"""The house, from the ground up: the rooms of each floor, and what a line in them does.

A room imports itself and lower floors.

`docs/design.md` shows this table.
"""
WORDS = ("model", "info", "forms", "caller", "reading", "secret", "protocols", "abilities", "urls", "arguments")
WIRING = ("", "opening", "fallback", "gone", "drivers", "named")
OWN_ROOMS = dict.fromkeys(WORDS, "words") | dict.fromkeys(WIRING, "wiring") | {"__main__": "cli"}
"""The rooms of the modules that lie flat in the package."""
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
DRIVERS = ("stores", "key_providers", "audit_sinks", "rotators")
MAY_BE_IMPORTED_BY_DRIVERS = {"errors", "system", "words", "crypto"}
CALLERS_OF_MACS = {
    "strongroom.records.header": {"hashlib"},
    "strongroom.secret": {"hashlib", "hmac"},
    "strongroom.cli.scratch": {"hashlib"},
}
"""A checksum without a key, the comparison and hash of a value in memory, and the comparison of two test values."""


class Import(NamedTuple):
    module: str
    lazy: bool
    """Inside a function."""
    for_types: bool
    """Under `if TYPE_CHECKING`."""


@cache
def imports(name: str) -> tuple[Import, ...]:
    return tuple(_walk(ast.parse(SOURCES[name].read_text()), False, False))


def _walk(node: ast.AST, lazy: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, lazy, for_types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                yield Import(inner if inner in SOURCES else child.module, lazy, for_types)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(child, lazy, True)
        else:
            yield from _walk(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef), for_types)


def own(name: str, *, types: bool = False) -> set[str]:
    """Return the modules of strongroom that one imports, in functions too."""
    return {i.module for i in imports(name) if i.module.split(".")[0] == "strongroom" and (types or not i.for_types)}


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def room(name: str) -> str:
    """Return the room of a module."""
    first = name.split(".")[1] if "." in name else ""
    return OWN_ROOMS.get(first, first)


def test_the_walk_finds_what_there_is():
    assert "strongroom.records.records" in own("strongroom.engine.engine")
    assert Import("strongroom.manager.custody", True, False) in imports("strongroom.manager.manager")
    assert any(i.for_types for i in imports("strongroom.manager.manager"))
    assert len(SOURCES) > 60


def test_every_module_stands_on_a_floor():
    assert {name: room(name) for name in SOURCES if room(name) not in FLOOR} == {}
    assert FLOOR.keys() == {room(name) for name in SOURCES}


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_its_room_and_lower_floors(name):
    above = {
        module for module in own(name, types=True)
        if room(module) != room(name) and FLOOR[room(module)] >= FLOOR[room(name)]
    }  # fmt: skip
    assert above == set()


@pytest.mark.parametrize("name", [name for name in SOURCES if room(name) in DRIVERS])
def test_a_driver_imports_words_crypto_and_its_own_room(name):
    # A rotator makes values.
    allowed = MAY_BE_IMPORTED_BY_DRIVERS | {room(name)} | ({"generate"} if room(name) == "rotators" else set())
    assert {module for module in own(name, types=True) if room(module) not in allowed} == set()


def test_nothing_but_drivers_and_edges_names_a_driver():
    lowest = FLOOR["stores"]
    named = {
        name for name, path in SOURCES.items()
        if FLOOR[room(name)] < lowest and any(f'"strongroom.{driver}.' in path.read_text() for driver in DRIVERS)
    }  # fmt: skip
    assert named == {"strongroom.drivers"}


def test_the_page_shows_the_floors():
    page = (ROOT.parents[1] / "docs" / "design.md").read_text()
    table = page.split("## The house", 1)[1].split("\n\n| room |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    shown = [tuple(cell.strip().strip("`/") for cell in line.split("|")[1:3]) for line in table]
    assert shown == [(name, what) for floor in reversed(FLOORS) for name, what in floor.items()]


def _find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for module in sorted(graph[name]):
            found = visit(module, [*path, name])
            if found:
                return found
        done.add(name)
        return None

    return next(filter(None, (visit(name, []) for name in graph)), None)


def test_there_is_no_cycle_of_imports():
    assert _find_cycle({name: own(name, types=True) & set(SOURCES) for name in SOURCES}) is None


def test_a_cycle_would_be_found():
    assert _find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_only_crypto_calls_ciphers_and_macs():
    for name in SOURCES:
        if within(name, ("strongroom.crypto", "strongroom.testing")):
            continue
        called = {i.module.split(".")[0] for i in imports(name)} & {"cryptography", "hmac", "hashlib"}
        assert called <= CALLERS_OF_MACS.get(name, set()), name


def test_each_cipher_is_called_by_one_module():
    callers: dict[str, set[str]] = {}
    for name in SOURCES:
        for imported in imports(name):
            if imported.module.startswith("cryptography.") and "exceptions" not in imported.module:
                callers.setdefault(imported.module, set()).add(name)
    assert {module: len(names) for module, names in callers.items()} == dict.fromkeys(callers, 1)


FOREIGN = {"os._exit", "sys._getframe", "self._lock._is_owned"}
"""Names with an underscore that belong to the standard library."""


@pytest.mark.parametrize("name", SOURCES)
def test_no_underscore_crosses_a_file(name):
    tree = ast.parse(SOURCES[name].read_text())
    known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            known.add(node.attr)
        elif isinstance(node, ast.Name):
            known.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            known.add(node.value)  # slots
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)]
    assert {ast.unparse(node) for node in used if node.attr not in known} <= FOREIGN


def is_private(name: str) -> bool:
    # Those of a NamedTuple have the underscore lest they be taken for fields.
    return (
        name.startswith("_") and not name.startswith("__") and name not in ("_replace", "_asdict", "_fields", "_make")
    )


def test_only_one_module_prints():
    printing = {
        name for name, path in SOURCES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    }  # fmt: skip
    assert {name for name in printing if not within(name, ("strongroom.testing",))} == {"strongroom.cli.output"}


def test_no_random_numbers_but_those_of_the_operating_system():
    for name in SOURCES:
        if not within(name, ("strongroom.testing",)):
            assert "random" not in {i.module for i in imports(name)}, name


def test_nothing_unpickles_or_evaluates():
    for name, path in SOURCES.items():
        assert {i.module.split(".")[0] for i in imports(name)} & {"pickle", "marshal", "shelve"} == set(), name
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), name
