"""The files of a log: `<path>` is the newest segment, `<path>.000001` … are those that were rolled out.

The first line of a segment says which one it is; names are only a habit, so that a log that another program renamed
(`<path>.1`, `<path>-20260131`) is still read whole and in order.
"""

from __future__ import annotations

import os

from strongroom.audit_sinks.sharing import Directory
from strongroom.system.files import UnsafeFileError
from strongroom.system.frozen import Frozen

_START = b'{"strongroom_audit":1,"log":"'
_HEX = frozenset(b"0123456789abcdef")
HEADER_LIMIT = 96
_LOCK = ".lock"
"""How a file ends that older versions left here, which may be private to another user."""
COMPRESSED = (".gz", ".zst", ".xz", ".bz2", ".lz4", ".Z")


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


def parse_header(start: bytes) -> Header | None:
    """Return the header that a segment's first bytes are, or None when they are none."""
    line, end, _ = start[:HEADER_LIMIT].partition(b"\n")
    log, _, number = line.removeprefix(_START).removesuffix(b"}").partition(b'","segment":')
    if len(log) != 16 or not _HEX.issuperset(log) or not number.isdigit():
        return None
    header = Header(log.decode(), int(number[:9]))
    # It has one spelling only.
    return header if header.segment > 0 and header.encode() == line + end else None


def is_torn_header(start: bytes) -> bool:
    """Return whether a file that begins, and ends, like this was to become a segment when the power went."""
    text = start.rstrip(b"\0")
    return b"\n" not in text and (_START.startswith(text) or text.startswith(_START))


def read_header(fd: int) -> Header | None:
    """Return the header of an open segment, or None when the file does not start with one."""
    return parse_header(os.pread(fd, HEADER_LIMIT, 0))


def header_of(path: str, directory: Directory, *, strict: bool = False) -> Header | None:
    """Return the header of the segment at `path`, or None when there is none that may be used."""
    try:
        fd = directory.open(path, strict=strict)
    except (FileNotFoundError, UnsafeFileError):
        return None
    except PermissionError:
        if directory.trusts(path) and not path.endswith(_LOCK):
            raise
        return None
    try:
        if path.endswith(".gz"):
            return parse_header(_unpacked(os.pread(fd, 4096, 0)))
        return read_header(fd)
    finally:
        os.close(fd)


def _unpacked(start: bytes) -> bytes:
    """Return the first bytes of what the first bytes of a gzip file hold."""
    import zlib

    try:
        return zlib.decompressobj(wbits=31).decompress(start, HEADER_LIMIT)
    except zlib.error:
        return b""


def rotated_name(path: str, segment: int) -> str:
    """Return where a segment lies after it was rolled out."""
    return f"{path}.{segment:06d}"


def beside(path: str) -> list[str]:
    """Return the sorted paths of the files that could be older segments of the log at `path`."""
    folder, base = os.path.split(path)
    names = sorted(name for name in os.listdir(folder) if name.startswith(base) and name[len(base) :][:1] in (".", "-"))
    return [os.path.join(folder, name) for name in names]


def compressed(path: str) -> list[str]:
    """Return the names of the files beside the log that could be compressed segments."""
    try:
        return [os.path.basename(found) for found in beside(path) if found.endswith(COMPRESSED)]
    except OSError:
        return []


def rotated(
    path: str, directory: Directory, log: str | None = None, *, packed: bool = False, strict: bool = False
) -> dict[int, str]:
    """Return the paths of the rolled out segments beside `path`, by number in rising order; `packed`: .gz ones too.

    Without `log` they are those of the log that has the newest of them. Where two files hold the same segment (a
    backup copy), the name that strongroom gives wins. Files of strangers are left out, as
    `Directory.open` does.
    """
    found: dict[Header, str] = {}
    for candidate in beside(path):
        if candidate.endswith(COMPRESSED) and not (packed and candidate.endswith(".gz")):
            continue
        header = header_of(candidate, directory, strict=strict)
        if header and (header not in found or candidate == rotated_name(path, header.segment)):
            found[header] = candidate
    if log is None and found:
        log = max(found, key=lambda header: header.segment).log
    mine = [header for header in found if header.log == log]
    return {header.segment: found[header] for header in sorted(mine, key=lambda header: header.segment)}


def cut_name(path: str, segment: int) -> str:
    """Return where lines lie that were written to a segment after it had been cut in place (`copytruncate`)."""
    return f"{rotated_name(path, segment)}.cut"


def cut_parts(path: str, segment: int) -> list[str]:
    """Return the paths of what was written to a segment after it had been cut in place, oldest first."""
    start = cut_name(path, segment)
    return [found for found in beside(path) if found.startswith(start)]
