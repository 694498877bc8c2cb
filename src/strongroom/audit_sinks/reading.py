"""Reads a log of many segments line by line, from either end, in little memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from strongroom.audit_sinks.segments import Header, header_of, rotated
from strongroom.errors import AuditError
from strongroom.protocols import LogLine, Position

CHUNK = 16 * 1024


def segments(path: str) -> Iterator[tuple[Header, str]]:
    """Return the segments of the log at `path`, oldest first."""
    return reversed(list(segments_backwards(path)))


def segments_backwards(path: str) -> Iterator[tuple[Header, str]]:
    """Return the segments of the log at `path`, newest first; the older ones are looked for only when asked for."""
    current = header_of(path)
    if current:
        yield current, path
    elif os.path.exists(path) and os.path.getsize(path):
        raise AuditError(f"{path} does not start like an audit log of strongroom: damaged, or another file")
    try:
        older = rotated(path, current.log if current else None)
    except FileNotFoundError:
        return
    for segment in reversed(older):
        header = header_of(older[segment])
        if header and (current is None or segment < current.segment):
            yield header, older[segment]


def forwards(path: str, header: Header) -> Iterator[LogLine]:
    """Read one segment from its start."""
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            yield LogLine(Position(*header, offset), line.removesuffix(b"\n"))
            offset += len(line)


def backwards(path: str, header: Header, chunk: int = CHUNK) -> Iterator[LogLine]:
    """Read one segment from its end."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = os.fstat(fd).st_size
        rest = b""
        if start and os.pread(fd, 1, start - 1) == b"\n":
            start -= 1
        while start > 0:
            size = min(chunk, start)
            start -= size
            block = os.pread(fd, size, start) + rest
            lines = block.split(b"\n")
            end = len(block)
            for line in reversed(lines[1:]):
                yield LogLine(Position(*header, start + end - len(line)), line)
                end -= len(line) + 1
            rest = lines[0]
        if rest:
            yield LogLine(Position(*header, 0), rest)
    finally:
        os.close(fd)
