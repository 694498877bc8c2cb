"""Who holds a lock that we wait for, as the kernel tells it: a stuck process is to be found by its number and name.

Read from /proc, never from the files: opening and closing one of them would drop the locks that SQLite holds on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from strongroom.errors import StoreBusyError
from strongroom.stores.holders import is_frozen

_LOCKS = (("-shm", 120, 122), ("", 0x40000000, 0x400001FF))
"""Where SQLite's locks lie that others wait for: to write, to check-point, to recover; and those on the database."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def busy(path: str, url: str) -> StoreBusyError:
    """Return the error of one who has waited too long for a lock of the database at `path`."""
    holders = [describe_process(pid) for pid in sorted(set(_holders(path)))]
    if not holders:
        return StoreBusyError(f"{url}: another process holds the lock for too long; try again, or look for a stuck one")
    return StoreBusyError(
        f"{url}: {' and '.join(holders)} holds the lock for too long; try again, or let it go on or end it"
    )


def describe_process(pid: int) -> str:
    """Return what a human needs to find a process: its number, its name, for how long it runs, whether it is stopped.

    Of its arguments only the name of a Python script or module is told: others may be secrets.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        state, fields = rest.split()[0], rest.split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return f"process {pid}"
    stopped = ", stopped now" if state in "Tt" else ", frozen now" if is_frozen(pid) else ""
    script = _script(pid)
    return f"process {pid} ({name}{' ' if script else ''}{script}, started {_ago(age)} ago{stopped})"


def _holders(path: str) -> Iterator[int]:
    for ending, first, last in _LOCKS:
        with suppress(OSError):
            found = os.stat(path + ending)
            file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
            with open("/proc/locks", encoding="ascii", errors="replace") as locks:
                for line in locks:
                    # "1: POSIX ADVISORY WRITE 4711 08:01:131 120 120"; who waits has "->" before the kind.
                    number, kind, _, access, pid, where, start, end = (line.split() + [""] * 8)[:8]
                    if (kind, access, where) != ("POSIX", "WRITE", file) or not number or not start.isdigit():
                        continue
                    if int(start) <= last and (end == "EOF" or int(end) >= first) and int(pid) > 0:
                        yield int(pid)


def _script(pid: int) -> str:
    with suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).decode("utf-8", "replace").split("\0")
        if os.path.basename(words[0]).startswith("python"):
            if words[1:2] == ["-m"]:
                return " ".join(words[1:3])
            if words[1:2] and words[1].endswith(".py"):
                return os.path.basename(words[1])
    return ""


def _ago(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"
