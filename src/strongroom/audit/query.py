"""Finds events, newest first. What is found is not authenticated: `verify` does that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as quote

from strongroom.audit.parsing import Event, parse, pieces
from strongroom.errors import InvalidInputError
from strongroom.model import ACTIONS, OUTCOMES
from strongroom.protocols import AuditSink

Since = datetime | float | str
_units = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_relative = re.compile(r"(\d{1,6})([smhdw])").fullmatch
CLOCK_SLACK = timedelta(hours=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def query(
    sink: AuditSink, *, limit: int | None = 100, name: str | None = None, action: str | None = None,
    outcome: str | None = None, actor: str | None = None, since: Since | None = None,
) -> list[Event]:  # fmt: skip
    """Return at most `limit` events (None for all), newest first.

    `name` is a whole name, a prefix that ends in `/`, or a pattern with `*`; `action` and `outcome` are words of
    `strongroom.model`; for `since` see `moment`. An intent that was answered is left out, since its outcome says it
    all; one that was not answered stays: its process died, or is still at it. Lines that are no events are skipped.

    Raises `InvalidInputError`, and `AuditError` when the log cannot be read.
    """
    _check(limit, action, outcome)
    matches = _name_filter(name)
    start, stop = _bounds(since)
    found: list[Event] = []
    for event in _unanswered(sink, _needle(name)):
        if event["ts"] < stop:
            break
        wanted = (action, outcome, actor)
        if (
            event["ts"] >= start
            and matches(event.get("name"))
            and all(
                want is None or event.get(field) == want
                for want, field in zip(wanted, ("action", "outcome", "actor"), strict=True)
            )
        ):
            found.append(event)
            if len(found) == limit:
                break
    return found


def query_events(sink: AuditSink, name: str, since: float) -> Iterator[Event]:
    """Yield the events on one secret from `since` (seconds since 1970) on, newest first, as they are read.

    Raises `AuditError` when the log cannot be read.
    """
    start, stop = _bounds(since)
    for event in _unanswered(sink, _needle(name)):
        if event["ts"] < stop:
            return
        if event["ts"] >= start and event.get("name") == name:
            yield event


def moment(since: Since) -> datetime:
    """Return the moment in UTC that `since` names: a `datetime`, seconds since 1970, ISO 8601 text such as
    `2026-01-31` or `2026-01-31T12:00:00Z`, or a time ago: `90s`, `15m`, `24h`, `7d`, `2w`.

    Times without a zone are UTC, like those in the log. Raises `InvalidInputError`.
    """
    try:
        if isinstance(since, str):
            ago = _relative(since.strip())
            if ago:
                return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _units[ago[2]])
            since = datetime.fromisoformat(since.strip())
        if isinstance(since, datetime):
            return since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
        return datetime.fromtimestamp(since, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise InvalidInputError(f"{since!r} is not a time: write 24h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _check(limit: int | None, action: str | None, outcome: str | None) -> None:
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidInputError(f"limit is a number of events, at least 1, not {limit!r}")
    for what, word, words in (("action", action, ACTIONS), ("outcome", outcome, OUTCOMES)):
        if word is not None and word not in words:
            raise InvalidInputError(f"{word!r} is not an {what}; there are {' '.join(words)}")


def _unanswered(sink: AuditSink, needle: bytes) -> Iterator[Event]:
    """Return the events from the newest on, without the intents whose outcome is known."""
    answered: set[str] = set()
    for line in sink.lines_backwards():
        if needle not in line.text:
            continue
        for _, piece in reversed(list(pieces(line.text))):
            event = parse(piece)
            if event is None:
                continue
            if event["id"] in answered:
                answered.discard(event["id"])
                continue
            if "intent" in event:
                answered.add(str(event["intent"]))
            yield event


def _needle(name: str | None) -> bytes:
    """Return bytes that the line of a matching event must hold; much cheaper to look for than to parse the line."""
    if name is None:
        return b""
    literal = name.partition("*")[0]
    whole = quote(literal) if literal == name and not name.endswith("/") else quote(literal)[:-1]
    return b'"name":' + whole.encode()


def _name_filter(name: str | None) -> Callable[[object], bool]:
    if name is None:
        return lambda _: True
    if "*" in name:
        # Only `*` is special: `?` and `[` are characters that a name may have.
        pattern = re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
        return lambda found: isinstance(found, str) and pattern.fullmatch(found) is not None
    if name.endswith("/"):
        return lambda found: isinstance(found, str) and found.startswith(name)
    return lambda found: found == name


def _bounds(since: Since | None) -> tuple[str, str]:
    """Return the `ts` from which events count, and the one before which none can follow that counts.

    They differ because the lines of several processes, and of a clock that was set back, are only nearly in order.
    """
    if since is None:
        return "", ""
    start = moment(since)
    return _render(start), _render(max(start, _EARLIEST) - CLOCK_SLACK)


def _render(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
