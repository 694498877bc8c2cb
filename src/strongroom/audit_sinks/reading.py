"""Reads a log of many segments line by line, from either end, in little memory, while others write and roll it over."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from strongroom.audit_sinks.rotation import Place
from strongroom.audit_sinks.segments import (
    HEADER_LIMIT,
    Header,
    cut_parts,
    is_torn_header,
    parse_header,
    read_header,
    rotated,
)
from strongroom.audit_sinks.sharing import Directory
from strongroom.errors import AuditError
from strongroom.model import MAX_LINE_BYTES, LogLine, Position
from strongroom.system.files import UnsafeFileError

CHUNK = 8 * 1024
_BLOCK = 64 * 1024
BEGIN = b'{"id":"'
"""How each event begins."""


class Segment:
    """A segment as it was found; what is appended later is not read."""

    __slots__ = ("base", "fd", "header", "path", "place", "size")

    def __init__(
        self, place: Place, header: Header, path: str, size: int, base: int | None = None, fd: int | None = None
    ) -> None:
        self.place = place
        self.header = header
        self.path = path
        self.size = size
        self.base = base
        """None for a whole segment; else where its first line counts as lying: it was written after a cut in place."""
        self.fd = fd
        """A descriptor of the segment that whoever reads it takes over, None when it is to be opened."""

    def line(self, offset: int, text: bytes, skipped: int = 0) -> LogLine:
        """Return the line that begins at `offset` of the file."""
        position = Position(self.header.log, self.header.segment, (self.base or 0) + offset)
        return LogLine(position, text, skipped)


def oldest_first(place: Place) -> list[Segment]:
    """Return the segments of a log.

    Their sizes are taken from the newest to the oldest, so that whatever a line refers to is among what is read.
    """
    return list(newest_first(place))[::-1]


def lines_backwards(place: Place) -> Iterator[LogLine]:
    """Return the lines of all segments, the newest first; the last line of each segment is its header."""
    # The newest is nearly always all that is asked for: it is opened once.
    for segment in newest_first(place, keep_open=True):
        yield from backwards(segment)


def newest_first(place: Place, *, keep_open: bool = False) -> Iterator[Segment]:
    """Return the segments of a log; the older ones are looked for only when asked for.

    With `keep_open` the newest is open, and `backwards` closes it.
    """
    try:
        directory = place.directory()
    except FileNotFoundError:
        return
    current = _find(place, place.path, directory, keep_open=keep_open)
    if current:
        yield current
    older = rotated(place.path, directory, current.header.log if current else None)
    for number in reversed(older):
        segment = _find(place, older[number], directory)
        if segment and (current is None or number < current.header.segment):
            yield from _parts(segment, directory)
            yield segment


def _parts(segment: Segment, directory: Directory) -> Iterator[Segment]:
    """Return what was written to a segment after it had been cut in place, newest first."""
    parts: list[Segment] = []
    base = segment.size
    for path in cut_parts(segment.place.path, segment.header.segment):
        try:
            fd = directory.open(path)
        except (FileNotFoundError, UnsafeFileError):
            continue  # nothing that was put aside: anybody may have made it
        size = os.fstat(fd).st_size
        os.close(fd)
        parts.append(Segment(segment.place, segment.header, path, size, base))
        base += size
    return reversed(parts)


def forwards(segment: Segment) -> Iterator[LogLine]:
    """Read one segment from its start."""
    size, offset = segment.size, 0
    with open(_open(segment), "rb") as file:
        while offset < size and (text := file.readline(min(size - offset, MAX_LINE_BYTES + 1))):
            start, skipped = offset, 0
            offset += len(text)
            is_long = len(text) > MAX_LINE_BYTES
            if is_long:
                skipped = -_torn(text)
            while is_long and text[-1] != 10:
                more = file.readline(min(size - offset, _BLOCK))
                offset += len(more)
                text += more
                excess = max(len(text) - text.endswith(b"\n") - MAX_LINE_BYTES, 0)
                skipped += excess - text.count(b"\0", 0, excess)
                start += excess
                text = text[excess:]
                if not more:
                    break
            yield segment.line(start, text.removesuffix(b"\n"), max(skipped, 0))


def _torn(text: bytes) -> int:
    """Return how long the event is that a power loss cut off, at its line feed at the latest, and left zeros after."""
    head, _, zeros = text.partition(b"\0")
    is_one = head.startswith(BEGIN) and not zeros.strip(b"\0")
    return len(head) if is_one else 0


def backwards(segment: Segment, chunk: int = CHUNK) -> Iterator[LogLine]:
    """Read one segment from its end."""
    at = segment.size
    fd, segment.fd = _open(segment) if segment.fd is None else segment.fd, None
    try:
        if at and os.pread(fd, 1, at - 1) == b"\n":
            at -= 1
        # Of a line that goes on in the block before: its pieces, last first, and where it ends.
        pieces: list[bytes] = []
        end = kept = skipped = 0
        log, number_of_segment, base = segment.header.log, segment.header.segment, segment.base or 0
        while at > 0:
            size = min(chunk, at)
            block = os.pread(fd, size, at - size)
            if len(block) < size:
                return  # cut in place meanwhile
            texts = block.split(b"\n")
            for number in range(len(texts) - 1, -1, -1):
                text = texts[number]
                at -= len(text)
                if number and not pieces:
                    yield LogLine(Position(log, number_of_segment, base + at), text)
                    at -= 1
                    continue
                if not pieces:
                    end, kept, skipped = at + len(text), 0, 0
                excess = max(kept + len(text) - MAX_LINE_BYTES, 0)
                skipped += excess - text.count(b"\0", 0, excess)
                pieces.append(text[excess:])
                kept += len(text) - excess
                if number or at == 0:
                    yield segment.line(end - kept, b"".join(reversed(pieces)), skipped)
                    pieces = []
                    at -= 1
    finally:
        os.close(fd)


def _find(place: Place, path: str, directory: Directory, *, keep_open: bool = False) -> Segment | None:
    try:
        fd = directory.open(path)
    except FileNotFoundError:
        return None
    try:
        # Read once: another process may write the header just now.
        start = os.pread(fd, HEADER_LIMIT, 0)
        header, size = parse_header(start), os.fstat(fd).st_size
        # What a power loss or a full disk left of a header is made whole by the next writer.
        if header is None and start and not start.startswith((BEGIN, b"\0")) and not is_torn_header(start):
            raise AuditError(f"{path} does not start like an audit log of strongroom: damaged, or another file")
        if header is None:
            return None
        if keep_open:
            fd, kept = -1, fd
            return Segment(place, header, path, size, fd=kept)
        return Segment(place, header, path, size)
    finally:
        if fd >= 0:
            os.close(fd)


def _open(segment: Segment) -> int:
    """Return a descriptor of the segment, which may have been rolled out since it was found."""
    directory = segment.place.directory()
    if segment.base is not None:
        return directory.open(segment.path)
    fd = _open_if(segment.path, segment.header, directory)
    if fd is None:
        moved = rotated(segment.place.path, directory, segment.header.log).get(segment.header.segment, segment.path)
        fd = _open_if(moved, segment.header, directory)
    if fd is None:
        raise FileNotFoundError(errno.ENOENT, "rolled out and deleted")
    return fd


def _open_if(path: str, header: Header, directory: Directory) -> int | None:
    try:
        fd = directory.open(path)
    except FileNotFoundError:
        return None
    try:
        if read_header(fd) == header:
            fd, opened = -1, fd
            return opened
        return None
    finally:
        if fd >= 0:
            os.close(fd)
