"""Finds events, newest first, and says of each whether it is authentic.

Anybody who can write to the log can add lines to it. Such a line is shown as what it is; it hides no event, and does
not end a search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as quote

from strongroom.audit.authentic import Authenticator
from strongroom.audit.parsing import BEGIN, Event, event_id, parse, pieces
from strongroom.errors import InvalidInputError
from strongroom.model import ACTIONS, OUTCOMES, LogLine
from strongroom.protocols import AuditSink

Since = datetime | float | str
_units = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_relative = re.compile(r"(\d{1,6})([smhdw])").fullmatch
CLOCK_SLACK = timedelta(hours=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_open = b'"action":"OPEN"'


def query(
    sink: AuditSink, keys: Mapping[int, bytes], store: str, *, limit: int | None = 100, name: str | None = None,
    action: str | None = None, outcome: str | None = None, actor: str | None = None, since: Since | None = None,
) -> list[Event]:  # fmt: skip
    """Return at most `limit` authentic events (None for all), newest first, and at most as many others among them.

    `keys` are the audit keys of the store with the id `store`. The others have the field `authentic`: False, or None
    for an event of another store, whose keys are not here.

    `name` is a whole name, a prefix that ends in `/`, or a pattern with `*`; `action` and `outcome` are words of
    `strongroom.model`; for `since` see `moment`. An intent that was answered is left out, since its outcome says it
    all; one that was not answered stays: its process died, or is still at it. Lines that are no events are skipped.

    Raises `InvalidInputError`, and `AuditError` when the log cannot be read.
    """
    _check(limit, action, outcome)
    start, stop = _bounds(since)
    matches = _name_filter(name)
    wanted = [(field, word) for field, word in (("action", action), ("outcome", outcome), ("actor", actor)) if word]

    def is_wanted(event: Event) -> bool:
        return (
            event["ts"] >= start
            and matches(event.get("name"))
            and all(event.get(field) == word for field, word in wanted)
        )

    walk = _Walk(keys, store, is_wanted, stop)
    return walk.run(sink, _needle(name), limit)


class _Found:
    """An event, and what is known of it so far."""

    __slots__ = ("authentic", "event", "is_answered", "is_wanted")

    def __init__(self, event: Event, is_wanted: bool, is_answered: bool) -> None:
        self.event = event
        self.is_wanted = is_wanted
        self.is_answered = is_answered
        self.authentic: bool | None = False


class _Walk:
    """Goes through a log from its end."""

    def __init__(self, keys: Mapping[int, bytes], store: str, is_wanted: Callable[[Event], bool], stop: str) -> None:
        self._store = store
        self._is_wanted = is_wanted
        self._stop = stop
        self._waiting = Authenticator(keys)
        self._answered: set[str] = set()
        self._end = (0, 0)
        """Segment and offset before which all events are older than `stop`."""
        self.found: list[_Found] = []
        self._shown = 0

    def run(self, sink: AuditSink, needle: bytes, limit: int | None) -> list[Event]:
        segment = None
        for line in sink.lines_backwards():
            position = line.position
            if position.segment != segment:
                # A stream lies in one segment, so nothing can come that authenticates a line of the one after.
                self._waiting.forget()
                segment = position.segment
            # The line before the one that was the last to be wanted may be found authentic too.
            enough = limit is not None and self._shown >= limit
            if (enough or (position.segment, position.offset) < self._end) and not self._waiting.count:
                break
            if BEGIN in line.text:
                self._line(line, needle in line.text and not enough)
        return list(self._told(limit))

    def _told(self, limit: int | None) -> Iterator[Event]:
        left = {True: limit, False: limit}
        for one in self.found:
            kind = bool(one.authentic)
            if (one.authentic and one.is_answered) or left[kind] == 0:
                continue
            count = left[kind]
            left[kind] = None if count is None else count - 1
            # What the line itself says of that is not believed.
            one.event.pop("authentic", None)
            yield one.event if one.authentic else {**one.event, "authentic": one.authentic}

    def _line(self, line: LogLine, is_interesting: bool) -> None:
        is_mark = bool(self._stop) and _open in line.text
        if not is_interesting and not is_mark and not self._waiting.count:
            return
        for _, piece in reversed(list(pieces(line.text))):
            for one in self._waiting.meet(piece, event_id(piece)):
                self._authentic(one)
            if is_interesting or is_mark:
                event = parse(piece)
                if event is not None:
                    self._event(event, piece, line, is_interesting)

    def _event(self, event: Event, piece: bytes, line: LogLine, is_interesting: bool) -> None:
        is_wanted = is_interesting and self._is_wanted(event)
        one = _Found(event, is_wanted, event["id"] in self._answered)
        is_mark = event["seq"] == 1 and event["action"] == "OPEN"
        if event["store"] != self._store:
            one.authentic = None
        elif (is_wanted or is_mark or (is_interesting and "intent" in event)) and self._waiting.take(piece, one):
            self._authentic(one)
            if is_mark and event["ts"] < self._stop and event["log"] == line.position.log:
                # What lies before the place where this one began was there when it was written.
                self._end = max(self._end, (event["segment"], event["at"]))
        if is_wanted:
            self.found.append(one)

    def _authentic(self, one: _Found) -> None:
        one.authentic = True
        self._shown += one.is_wanted and not one.is_answered
        if "intent" in one.event:
            self._answered.add(str(one.event["intent"]))
        if one.is_answered:
            self._answered.discard(one.event["id"])


def events_of(sink: AuditSink, name: str, since: float) -> Iterator[Event]:
    """Yield the events on one secret from `since` (seconds since 1970) on, newest first, as they are read.

    They are not authenticated: what is done with them must harm nobody who could not do that harm by other means.
    Raises `AuditError` when the log cannot be read.
    """
    start, stop = _bounds(since)
    needle = _needle(name)
    for line in sink.lines_backwards():
        if needle not in line.text:
            continue
        for _, piece in reversed(list(pieces(line.text))):
            event = parse(piece)
            if event is None or event.get("name") != name:
                continue
            if event["ts"] < stop:
                return
            if event["ts"] >= start:
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
