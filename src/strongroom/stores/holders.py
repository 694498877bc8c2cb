"""Which process holds a lock on a file, and what it is: for errors about locks that were not free in time."""

from __future__ import annotations

import os
from contextlib import suppress

from strongroom.system.moment import utc

_STATES = {"T": "it is stopped", "t": "a debugger has stopped it", "Z": "it has ended, and its parent has not noticed"}
_LONGEST_NAME = 40
_NO_END = 1 << 64


def holder_of(device: int, inode: int, start: int = 0, end: int = _NO_END) -> int | None:
    """Return the pid that holds a lock on bytes `start` to `end` of the file, by /proc/locks; None when unknown.

    `device` and `inode` are `st_dev` and `st_ino`. Sees `flock` and POSIX locks of this pid namespace, and a holder
    with an exclusive lock before those with shared ones.
    """
    file = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    holders: dict[bool, int] = {}
    with suppress(OSError, ValueError), open("/proc/locks", encoding="ascii") as locks:
        for line in locks:
            # "1: FLOCK  ADVISORY  WRITE 4242 fe:01:1234 0 EOF"; whoever waits for a lock has "->" in second place.
            words = line.split()
            if len(words) != 8 or words[5] != file or int(words[4]) <= 0:
                continue
            last = _NO_END if words[7] == "EOF" else int(words[7])
            if int(words[6]) <= end and start <= last:
                holders.setdefault(words[3] == "WRITE", int(words[4]))
    return holders.get(True, holders.get(False))


def describe(pid: int) -> str:
    """Return what /proc says of the process: "pid 4242, command app.py, running since 2026-11-28 00:44:18 UTC", and
    "; it is stopped" or "; its container is paused" when it cannot go on.

    Never shows an argument: those may hold passwords.
    """
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return f"pid {pid}"
    fields = stat.rpartition(")")[2].split()
    text = f"pid {pid}, command {command(pid)}"
    with suppress(OSError, ValueError, IndexError):
        text += f", running since {utc(_boot_time() + int(fields[19]) / os.sysconf('SC_CLK_TCK'))}"
    state = _STATES.get(fields[0] if fields else "") or ("its container is paused" if is_frozen(pid) else "")
    return f"{text}; {state}" if state else text


def command(pid: int) -> str:
    """Return the name of a process's program; for Python that of the script or module."""
    name = "?"
    with suppress(OSError, IndexError):
        name = _read(f"/proc/{pid}/comm").removesuffix("\n")
        if name.startswith("python"):
            words = _read(f"/proc/{pid}/cmdline").split("\0")
            script = words[2] if words[1] == "-m" else "" if words[1].startswith("-") else os.path.basename(words[1])
            name = script or name
    return printable(name)


def printable(text: str) -> str:
    """Return `text` fit for a terminal: a process chooses its name itself."""
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST_NAME]


def _boot_time() -> int:
    return next(int(line.split()[1]) for line in _read("/proc/stat").splitlines() if line.startswith("btime "))


def is_frozen(pid: int) -> bool:
    """True when the process is in a frozen cgroup (`docker pause`); False when that cannot be told."""
    with suppress(OSError):
        for line in _read(f"/proc/{pid}/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            with suppress(OSError):
                if not controllers and "frozen 1" in _read(f"/sys/fs/cgroup{path}/cgroup.events"):
                    return True
            with suppress(OSError):
                if "freezer" in controllers.split(",") and "THAWED" not in _read(
                    f"/sys/fs/cgroup/freezer{path}/freezer.state"
                ):
                    return True
    return False


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(65536)
