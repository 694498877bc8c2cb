"""What an audit sink must do, and what it may do besides.

`AuditSink` is the whole of what every sink has. Each of the other Protocols of a sink is optional, and complete in
itself. `strongroom.abilities` is the only place that asks.
"""

from collections.abc import Iterator
from typing import Protocol

from strongroom.model import LogLine, Position


class AuditSink(Protocol):
    """An append-only log of lines. Many processes append to the same one.

    Raises `AuditError` when a line cannot be written or read, naming the log by its `url` and the reason.
    """

    @property
    def url(self) -> str:
        """`scheme:rest` as messages show it: without user, password and query values."""
        ...

    def segment(self) -> int:
        """Return the number of the segment that the next line goes to, after moving to a new one when that is due.

        The writer calls it before each line, and starts a new stream when the number has changed. 0, once, says that
        the next line goes to another log, whose segment may have the same number. A sink without segments returns 1.
        """
        ...

    def append(self, line: bytes) -> None:
        """Hand the whole line (it ends in a line feed) to the kernel or raise; never write a part silently."""
        ...

    def position(self) -> Position:
        """Return where the last line of this process begins (before the first one: where the log ends now)."""
        ...

    def lines(self) -> Iterator[LogLine]:
        """Read every line of every segment, oldest first."""
        ...

    def lines_backwards(self) -> Iterator[LogLine]:
        """Read every line of every segment, newest first."""
        ...

    def close(self) -> None:
        """Release the file; closing twice is no error."""
        ...


class DurableLog(Protocol):
    """Optional: a log that can be made to survive power loss. Without it, each line is durable by itself."""

    def sync(self) -> None:
        """Let everything that is in the segment now survive power loss: lines of other processes too."""
        ...


class PlacedLog(Protocol):
    """Optional: a log that knows where it is, whatever the spelling of its URL. Without it, the URL says that."""

    def where(self) -> str:
        """Return what names this log: its address, a space, and a number of its place, `-` when there is none.

        Two logs with one address, or with one number and the same last part of the address, are one log.
        """
        ...


class SearchableLog(Protocol):
    """Optional: a look at one line. Without it, an end of the log that was cut is found by `audit verify` only."""

    def holds(self, position: Position, event_id: str, mac: str) -> bool:
        """Return whether that event with this MAC lies there; True where only a search could tell."""
        ...


class WatchedLog(Protocol):
    """Optional: a log that notices what was done to it while it was written to."""

    def take_harm(self) -> str | None:
        """Return what was done to the segment before, and forget it: `log_removed`, `log_cut` or None."""
        ...


class ForkableLog(Protocol):
    """Optional: a log with state that a child of fork must not share. It may also see to that by itself."""

    def reopen(self) -> None:
        """Be the sink of a process that was forked just now."""
        ...


class PackedLog(Protocol):
    """Optional: a log whose older segments may have been compressed by another program."""

    def compressed(self) -> list[str]:
        """Return the names of what could be compressed segments, which are not read."""
        ...
