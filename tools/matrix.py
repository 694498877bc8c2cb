"""`make matrix`: run the suite on every Python that pyproject.toml names and that is on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Run `make test` for each version, say how each ended, and return 1 unless all that are here passed."""
    results = {version: _run(version) for version in versions(ROOT / "pyproject.toml")}
    print("\nThe suite on each Python:")
    for version, result in results.items():
        print(f"  {version}  {result}")
    ran = [result for result in results.values() if result != "not found"]
    return 0 if ran and all(result == "passed" for result in ran) else 1


def versions(pyproject: Path) -> list[str]:
    """Return the versions of the classifiers, such as 3.12, in their order."""
    named = tomllib.loads(pyproject.read_text())["project"]["classifiers"]
    return [
        text.rpartition(" ")[2] for text in named if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", text)
    ]


def find(version: str) -> str | None:
    """Return a Python of this version that can make virtual environments, None when there is none."""
    return next((python for python in _candidates(version) if _is(python, version)), None)


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        python = shutil.which(f"python{version}", path=folder or os.curdir)
        if python:
            yield python
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    for folder, pattern in (
        (Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", f"{version}*"),
        (Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python"), f"cpython-{version}*"),
    ):
        # The newest release first: 3.12.10 is newer than 3.12.9.
        for release in sorted(folder.glob(pattern), key=_numbers, reverse=True):
            yield str(release / "bin" / f"python{version}")


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _is(python: str, version: str) -> bool:
    # What is on PATH may be a shim of pyenv for a version that is switched off, or Debian's Python without venv.
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def _run(version: str) -> str:
    python = find(version)
    if python is None:
        return "not found"
    print(f"\nPython {version}: {python}", flush=True)
    # A virtual environment of its own, filled by the steps of `make test`; make's own flags reach it by MAKEFLAGS.
    arguments = [f"VENV=.venv-{version}", f"PYTHON={python}", f"TEST_ARGS={os.environ.get('MATRIX_ARGS', '')}"]
    done = subprocess.run([os.environ.get("MAKE", "make"), "--no-print-directory", "test", *arguments], cwd=ROOT)
    return "passed" if done.returncode == 0 else "failed"


if __name__ == "__main__":
    sys.exit(main())
