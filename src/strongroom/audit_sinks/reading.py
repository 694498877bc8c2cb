"""Reads a log of many segments line by line, from either end, in little memory, while others write and rotate it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from strongroom.audit_sinks.segments import Header, read_header, rotated
from strongroom.errors import AuditError
from strongroom.model import LogLine, Position

CHUNK = 8 * 1024


class Segment:
    """A segment as it was found; what is appended later is not read."""

    __slots__ = ("header", "path", "size")

    def __init__(self, header: Header, path: str, size: int) -> None:
        self.header = header
        self.path = path
        self.size = size


def oldest_first(path: str) -> list[Segment]:
    """Return the segments of the log at `path`.

    Their sizes are taken from the newest to the oldest, so that whatever a line refers to is among what is read.
    """
    return list(newest_first(path))[::-1]


def newest_first(path: str) -> Iterator[Segment]:
    """Return the segments of the log at `path`; the older ones are looked for only when asked for."""
    current = _find(path)
    if current:
        yield current
    try:
        older = rotated(path, current.header.log if current else None)
    except FileNotFoundError:
        return
    for number in reversed(older):
        segment = _find(older[number])
        if segment and (current is None or number < current.header.segment):
            yield segment


def forwards(segment: Segment) -> Iterator[LogLine]:
    """Read one segment from its start."""
    log, number, size = segment.header.log, segment.header.segment, segment.size
    offset = 0
    with open(_open(segment), "rb") as file:
        while offset < size and (line := file.readline(size - offset)):
            yield LogLine(Position(log, number, offset), line.removesuffix(b"\n"))
            offset += len(line)


def backwards(segment: Segment, chunk: int = CHUNK) -> Iterator[LogLine]:
    """Read one segment from its end."""
    log, number, start = segment.header.log, segment.header.segment, segment.size
    fd = _open(segment)
    try:
        rest = b""
        if start and os.pread(fd, 1, start - 1) == b"\n":
            start -= 1
        while start > 0:
            size = min(chunk, start)
            start -= size
            block = os.pread(fd, size, start) + rest
            lines = block.split(b"\n")
            end = start + len(block)
            for line in reversed(lines[1:]):
                yield LogLine(Position(log, number, end - len(line)), line)
                end -= len(line) + 1
            rest = lines[0]
        if rest:
            yield LogLine(Position(log, number, 0), rest)
    finally:
        os.close(fd)


def _find(path: str) -> Segment | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        header, size = read_header(fd), os.fstat(fd).st_size
        if header is None and size:
            raise AuditError(f"{path} does not start like an audit log of strongroom: damaged, or another file")
        return Segment(header, path, size) if header else None
    finally:
        os.close(fd)


def _open(segment: Segment) -> int:
    """Return a descriptor of the segment, which may have been rotated since it was found."""
    fd = _open_if(segment.path, segment.header)
    if fd is None:
        moved = rotated(segment.path, segment.header.log).get(segment.header.segment, segment.path)
        fd = _open_if(moved, segment.header)
    if fd is None:
        raise FileNotFoundError(errno.ENOENT, "rotated and deleted")
    return fd


def _open_if(path: str, header: Header) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if read_header(fd) == header:
        return fd
    os.close(fd)
    return None
