"""The files of a log: `<path>` is the newest segment, `<path>.000001` … are those that were rotated out.

The first line of a segment says which one it is; names are only a habit, so that a log rotated by another program
(`<path>.1`, `<path>-20260131`) is still read whole and in order.
"""

from __future__ import annotations

import os

from strongroom.frozen import Frozen

_START = b'{"strongroom_audit":1,"log":"'
_HEX = frozenset(b"0123456789abcdef")
HEADER_LIMIT = 96
LOCK = ".lock"
"""How the name of the file ends that is locked while a segment is made."""


class Header(Frozen):
    """What the first line of a segment says."""

    __slots__ = ("log", "segment")

    def __init__(self, log: str, segment: int) -> None:
        self.log = log
        """16 hex digits, the same in all segments of a log."""
        self.segment = segment

    def encode(self) -> bytes:
        """Return the line with its line feed."""
        return b'{"strongroom_audit":1,"log":"%b","segment":%d}\n' % (self.log.encode(), self.segment)

    def next(self) -> Header:
        """Return the header of the segment that follows."""
        return Header(self.log, self.segment + 1)


def read_header(fd: int) -> Header | None:
    """Return the header of an open segment, or None when the file does not start with one."""
    line, end, _ = os.pread(fd, HEADER_LIMIT, 0).partition(b"\n")
    log, _, number = line.removeprefix(_START).removesuffix(b"}").partition(b'","segment":')
    if len(log) != 16 or not _HEX.issuperset(log) or not number.isdigit():
        return None
    header = Header(log.decode(), int(number[:9]))
    # It has one spelling only.
    return header if header.segment > 0 and header.encode() == line + end else None


def header_of(path: str) -> Header | None:
    """Return the header of the segment at `path`, or None when there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return read_header(fd)
    finally:
        os.close(fd)


def rotated_name(path: str, segment: int) -> str:
    """Return where a segment lies after it was rotated out."""
    return f"{path}.{segment:06d}"


def rotated(path: str, log: str | None = None) -> dict[int, str]:
    """Return the paths of the rotated segments beside `path`, by number in rising order.

    Without `log` they are those of the log that has the newest of them. Where two files hold the same segment (a
    backup copy), the name that strongroom gives wins.
    """
    folder, base = os.path.split(path)
    found: dict[Header, str] = {}
    for name in sorted(os.listdir(folder)):
        candidate = os.path.join(folder, name)
        ending = name[len(base) :]
        # The lock is not looked into: it may be another user's, and private to that one.
        if name.startswith(base) and ending[:1] in (".", "-") and ending != LOCK and os.path.isfile(candidate):
            header = header_of(candidate)
            if header and (header not in found or candidate == rotated_name(path, header.segment)):
                found[header] = candidate
    if log is None and found:
        log = max(found, key=lambda header: header.segment).log
    mine = [header for header in found if header.log == log]
    return {header.segment: found[header] for header in sorted(mine, key=lambda header: header.segment)}
