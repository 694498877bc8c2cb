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
WORDS = {
    "strongroom.errors",
    "strongroom.system.files",
    "strongroom.system.frames",
    "strongroom.system.frozen",
    "strongroom.info",
    "strongroom.model",
    "strongroom.system.moment",
    "strongroom.protocols",
    "strongroom.secret",
    "strongroom.system.ways",
}
DRIVERS = ("strongroom.stores", "strongroom.key_providers", "strongroom.audit_sinks", "strongroom.rotators")
EDGES = ("strongroom.cli", "strongroom.server", "strongroom.integrations", "strongroom.__main__", "strongroom.testing")
WIRING = {"strongroom", "strongroom.drivers", "strongroom.opening", "strongroom.fallback", "strongroom.gone"}
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


CORE = [name for name in SOURCES if not within(name, (*DRIVERS, *EDGES)) and name not in WIRING]


def test_the_walk_finds_what_there_is():
    assert "strongroom.records.records" in own("strongroom.engine.engine")
    assert Import("strongroom.manager.custody", True, False) in imports("strongroom.manager.manager")
    assert any(i.for_types for i in imports("strongroom.manager.manager"))
    assert len(SOURCES) > 60


@pytest.mark.parametrize("name", sorted(WORDS))
def test_words_import_nothing_above(name):
    assert own(name, types=True) <= WORDS


@pytest.mark.parametrize("name", [name for name in SOURCES if within(name, ("strongroom.crypto",))])
def test_crypto_knows_errors_and_crypto_only(name):
    assert all(module == "strongroom.errors" or within(module, ("strongroom.crypto",)) for module in own(name))


@pytest.mark.parametrize("name", [name for name in SOURCES if within(name, DRIVERS)])
def test_a_driver_imports_words_crypto_and_its_own_package(name):
    package = ".".join(name.split(".")[:2])
    # `generate` knows words only, and a rotator makes values.
    allowed = (
        *WORDS,
        "strongroom.crypto",
        package,
        *(["strongroom.generate.generate"] if package.endswith("rotators") else []),
    )
    assert [module for module in own(name, types=True) if not within(module, allowed)] == []


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_no_driver_and_no_edge(name):
    assert [module for module in own(name) if within(module, (*DRIVERS, *EDGES))] == []


def test_only_one_module_names_concrete_drivers():
    named = {
        name for name, path in SOURCES.items()
        if not within(name, (*DRIVERS, *EDGES)) and any(f'"{driver}.' in path.read_text() for driver in DRIVERS)
    }  # fmt: skip
    assert named == {"strongroom.drivers"}


@pytest.mark.parametrize("name", sorted(WIRING))
def test_the_wiring_imports_no_driver_and_no_edge(name):
    assert [module for module in own(name) if within(module, (*DRIVERS, *EDGES))] == []


def test_nothing_imports_an_edge():
    for name in SOURCES:
        for edge in EDGES:
            if not within(name, (edge,)) and (name, edge) != ("strongroom.__main__", "strongroom.cli"):
                assert [module for module in own(name, types=True) if within(module, (edge,))] == [], name


def test_the_core_does_not_import_the_wiring():
    for name in CORE:
        assert own(name) & WIRING == set(), name


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
    assert _find_cycle({name: own(name) & set(SOURCES) for name in SOURCES}) is None


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
