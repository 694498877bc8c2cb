"""Two users of one machine: a victim and a stranger, and a directory that both can reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom

VICTIM, STRANGER = 4101, 4102
"""User and group ids that no package of Debian's uses; they need no line in /etc/passwd."""
PACKAGE = Path(strongroom.__file__).parent
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def _hidden(path: Path) -> Path | None:
    """Return the first directory on the way to `path`, links followed, that other users cannot enter."""
    ways = [directory for end in (path.absolute(), path.resolve()) for directory in (end, *end.parents)]
    return next((directory for directory in ways if not directory.stat().st_mode & 0o001), None)


def _python() -> Path | None:
    """Return an interpreter of this version that every user can run; ours may lie in somebody's home."""
    candidates = [Path(sys.executable), Path("/usr/bin", VERSION), Path("/usr/local/bin", VERSION)]
    return next((path for path in candidates if path.exists() and _hidden(path) is None), None)


def _why_not() -> str:
    """Say what keeps us from being two users; empty when nothing does."""
    if os.geteuid() != 0:
        return "only root can become two other users"
    if hidden := _hidden(PACKAGE):
        return f"other users cannot enter {hidden}, so they cannot import strongroom"
    return "" if _python() else f"no {VERSION} here that other users can run"


two_users = pytest.mark.skipif(bool(_why_not()), reason=_why_not())

ME = None if _why_not() else VICTIM
"""Whom `home` belongs to, for `python_as`: the victim, or whoever runs the tests."""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory as /tmp is: anybody can write there, and remove only what is theirs."""
    directory = tempfile.mkdtemp(prefix="strongroom-")
    os.chmod(directory, 0o1777)
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture
def home(tmp_path) -> Iterator[Path]:
    """A directory of the victim's (or ours, where we cannot become another user), which all may enter.

    Nobody else can write on the way to it, as in a real home: what is below /tmp is not found without being named.
    """
    if _why_not():
        yield tmp_path
        return
    base = next(path for path in ("/var/cache", "/run", "/") if _hidden(Path(path)) is None)
    path = Path(tempfile.mkdtemp(prefix="strongroom-", dir=base))
    path.chmod(0o755)
    os.chown(path, VICTIM, VICTIM)
    yield path
    shutil.rmtree(path)


def as_user(user: int, work: Callable[[], object]) -> None:
    """Do `work` in a child of fork that is `user` and in no other group; fail when it raises.

    The child may be unable to import what it has not imported yet.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "see the traceback on standard error"


def python_as(
    user: int | None,
    *arguments: str,
    cwd: Path,
    environ: dict[str, str] | None = None,
    stdin: str = "",
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run Python as `user` (None: as we are), with nothing in its environment but `environ` and two paths."""
    who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.run(
        [str(_python() or sys.executable), *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | (environ or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **who,
    )


def strongroom_as(user: int | None, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line; see `python_as`."""
    return python_as(user, "-m", "strongroom", *arguments, **more)
