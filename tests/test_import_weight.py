"""What `import strongroom` must not load, because every start of a command pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import strongroom

HEAVY = {
    "_sqlite3", "argparse", "asyncio", "concurrent.futures", "cryptography.fernet",
    "cryptography.hazmat.primitives.ciphers", "ctypes", "dataclasses", "datetime", "email", "fnmatch", "getpass",
    "http", "importlib.metadata", "inspect", "logging", "multiprocessing", "pathlib", "pwd", "random", "secrets",
    "shutil", "socket", "ssl", "subprocess", "tempfile", "tomllib", "traceback", "unittest", "urllib.request", "uuid",
    "yaml",
}  # fmt: skip
WITH_A_STORE = HEAVY - {"_sqlite3", "cryptography.fernet", "cryptography.hazmat.primitives.ciphers", "datetime", "pwd"}


def modules_after(code: str, tmp_path) -> set[str]:
    """Run `code` in a bare interpreter and return what it has loaded."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("STRONGROOM_", "COVERAGE"))}
    paths = os.pathsep.join(path for path in sys.path if path)
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", f"import sys; sys.path[:0] = {paths.split(os.pathsep)!r}\n{script}"],
        capture_output=True, text=True, cwd=tmp_path, env=kept, check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light(tmp_path):
    assert [module for module in modules_after("import strongroom", tmp_path) if module.startswith("strongroom.")] == []
    loaded = modules_after("import strongroom; strongroom.open", tmp_path)
    assert "strongroom.manager.manager" in loaded
    assert sorted(loaded & HEAVY) == []
    unwanted = ("strongroom.cli", "strongroom.stores.", "strongroom.testing", "strongroom.manager.custody")
    assert [module for module in loaded if module.startswith(unwanted)] == []


@pytest.mark.parametrize("kind", ["sqlite", "file"])
def test_reading_a_secret_loads_what_it_needs_and_no_more(tmp_path, kind, master_key):
    code = f"""
import os, strongroom
with strongroom.init("{kind}:{tmp_path}/store", audit="file:{tmp_path}/audit.log", algorithm="aes-256-gcm") as secrets:
    secrets.set_secret("A", "x")
    assert secrets.get_secret("A") == "x"
"""
    loaded = modules_after(code, tmp_path)
    assert sorted(loaded & WITH_A_STORE) == []
    assert ("_sqlite3" in loaded) == (kind == "sqlite")


@pytest.mark.parametrize("command", [["get", "A"], ["run", "--", "true"]])
def test_a_command_that_reads_loads_nothing_that_writes(tmp_path, command, master_key):
    places = [f"--store=sqlite:{tmp_path}/store", f"--audit=file:{tmp_path}/audit.log"]
    with strongroom.init(f"sqlite:{tmp_path}/store", audit=f"file:{tmp_path}/audit.log") as secrets:
        secrets.set_secret("A", "x")
    code = f"""
import os
from strongroom.cli import main
os.execvpe = lambda *_: None
main({[*places, *command]!r})
"""
    loaded = modules_after(code, tmp_path)
    assert "strongroom.access.access" in loaded
    writing = {
        "strongroom.manager.writing",
        "strongroom.access.accepting",
        "strongroom.engine.change",
        "strongroom.engine.versions",
        "strongroom.records.manifest",
        "strongroom.info",
    }
    rare = {"strongroom.protocols", "strongroom.audit.checkpoint", "strongroom.stores.sqlite_pool", "mmap"}
    heavy = {"cryptography.hazmat.primitives.ciphers", "datetime", "sqlite3"}
    assert sorted(loaded & (writing | rare | heavy)) == []
