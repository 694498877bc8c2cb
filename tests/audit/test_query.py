import json
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from strongroom.audit.parsing import parse
from strongroom.audit.query import moment
from strongroom.audit.query import query as query_with
from strongroom.caller import Caller
from strongroom.errors import InvalidInputError

NOW = 1_800_000_000
KEYS = {1: b"k" * 32}
STORE = "5" * 32


def query(sink, **more):
    return query_with(sink, KEYS, STORE, **more)


@pytest.fixture
def log(memory, start):
    """Events of one minute each, the newest now; `at` sets the clock."""
    log = start(memory)
    log.at = NOW
    log._clock = lambda: log.at * 1_000_000_000
    return log


def names(found):
    return [event["name"] for event in found if event["action"] != "OPEN"]


def test_newest_events_come_first_and_no_more_than_the_limit(memory, log):
    for n in range(5):
        log.record("GET", f"N{n}", "ok")
    assert names(query(memory, limit=3)) == ["N4", "N3", "N2"]
    assert len(query(memory, limit=None)) == 6


def test_an_event_is_a_mapping_of_json_values(memory, log):
    log.record("GET", "A", "ok", version=3)
    (event,) = query(memory, limit=1)
    assert (event["action"], event["version"], event["actor"]) == ("GET", 3, "alice")
    json.dumps(event)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db", ["db"]),
        ("db/", ["db/two", "db/one"]),
        ("db*", ["dbx", "db", "db/two", "db/one"]),
        ("*b/*", ["db/two", "db/one"]),
        ("*/*e", ["db/one"]),
        ("d?", ["d?"]),
        ("d[b]", []),
        ('qu"ote/ü', ['qu"ote/ü']),
        ('qu"*', ['qu"ote/ü']),
    ],
)
def test_a_name_is_whole_or_a_prefix_or_a_pattern(memory, log, name, expected):
    for each in ("db/one", "db/two", "db", "dbx", "d?", 'qu"ote/ü'):
        log.record("GET", each, "ok")
    assert names(query(memory, name=name)) == expected


def test_filters_apply_together(memory, log):
    log.record("GET", "A", "denied", caller=Caller("bob"))
    log.record("GET", "B", "ok", caller=Caller("bob"))
    log.record("LIST", None, "denied", caller=Caller("bob"))
    log.record("GET", "C", "denied")
    assert names(query(memory, action="GET", outcome="denied", actor="bob")) == ["A"]


def test_an_answered_intent_is_left_out_and_an_unanswered_one_stays(memory, log):
    answered = log.record("SET", "A", "intent")
    log.record("SET", "B", "intent")
    log.record("SET", "A", "ok", intent=answered, version=1)
    found = query(memory)
    assert [(event["name"], event["outcome"]) for event in found][:2] == [("A", "ok"), ("B", "intent")]
    assert query(memory, outcome="intent")[0]["name"] == "B"
    assert len(query(memory, outcome="intent")) == 1


def test_since_is_a_lower_bound(memory, log):
    for minutes in (180, 90, 30, 10):
        log.at = NOW - minutes * 60
        log.record("GET", f"M{minutes}", "ok")
    assert names(query(memory, since=NOW - 1800)) == ["M10", "M30"]
    assert names(query(memory, since=datetime.fromtimestamp(NOW - 1800, UTC))) == ["M10", "M30"]
    assert names(query(memory, since=0)) == ["M10", "M30", "M90", "M180"]


def test_the_search_ends_where_a_stream_began_before_the_time_that_was_asked_for(memory, start, log):
    log.at = NOW - 7200
    log.record("GET", "OLD", "ok")
    other = start(memory)
    other._clock = lambda: (NOW - 3601) * 1_000_000_000
    other.record("GET", "OTHER", "ok")
    log.at = NOW
    log.record("GET", "NEW", "ok")
    read = []
    backwards = memory.lines_backwards
    memory.lines_backwards = lambda: (read.append(line) or line for line in backwards())
    assert names(query(memory, since=NOW)) == ["NEW"]
    # The newest event is authentic by its stream's line before it, which comes last here.
    assert len(read) == 5


def test_a_line_slightly_out_of_order_does_not_end_the_search(memory, log):
    for at in (NOW, NOW - 60, NOW):
        log.at = at
        log.record("GET", str(at), "ok")
    assert names(query(memory, since=NOW - 30)) == [str(NOW), str(NOW)]


def test_lines_that_are_no_events_are_skipped(memory, log):
    log.record("GET", "A", "ok")
    memory.texts += [b"", b"junk", b"[1]", b"\xff\xfe", b'{"id":"torn', b"7", b'{"id":1,"seq":1}']
    log.record("GET", "B", "ok")
    assert names(query(memory)) == ["B", "A"]


def test_an_event_behind_a_torn_one_is_found(memory, log):
    log.record("GET", "A", "ok")
    log.record("GET", "B", "ok")
    torn = memory.texts.pop()[:70]
    log.record("GET", "C", "ok")
    memory.texts[-1] = torn + memory.texts[-1]
    assert names(query(memory)) == ["C", "A"]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (datetime(2026, 1, 31, 12), datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1.5, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
    ],
)
def test_moments(since, expected):
    assert moment(since) == expected


@pytest.mark.parametrize(
    ("ago", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_a_time_ago(ago, seconds):
    assert moment(ago).timestamp() == pytest.approx(time.time() - seconds, abs=60)


@pytest.mark.parametrize(
    "since", ["", "yesterday", "7y", "-1h", "2026-13-01", float("nan"), float("inf"), 1e300, None, b"1h", "999999w"]
)
def test_what_is_no_time_is_refused(since):
    with pytest.raises(InvalidInputError, match="24h"):
        moment(since)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": 0}, "limit is a number of events, at least 1, not 0"),
        ({"limit": -1}, "limit is a number of events, at least 1, not -1"),
        ({"limit": "3"}, "limit is a number of events, at least 1, not '3'"),
        ({"action": "get"}, "'get' is not an action; there are .* GET "),
        ({"outcome": "good"}, "'good' is not an outcome; there are .*denied"),
    ],
)
def test_a_filter_that_matches_nothing_ever_is_refused(memory, wrong, message):
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        query(memory, **wrong)


def test_a_hundred_events_are_found_unless_more_are_asked_for(memory, log):
    for _ in range(100):
        log.record("GET", "A", "ok")
    assert len(query(memory)) == 100


def test_an_answered_intent_does_not_end_the_search(memory, log):
    log.record("GET", "A", "ok")
    intent = log.record("SET", "B", "intent")
    log.record("SET", "B", "ok", intent=intent)
    assert names(query(memory)) == ["B", "A"]


def test_torn_text_does_not_hide_the_event_before_it_on_the_line(memory, log):
    log.record("GET", "A", "ok")
    memory.texts[-1] += b'{"id":"torn'
    assert names(query(memory)) == ["A"]


def test_events_without_a_name_match_no_name(memory, log):
    log.record("LIST", None, "ok")
    for name in ("A", "A/", "A*", "*"):
        assert query(memory, name=name) == []


def test_a_pattern_spans_line_feeds(memory, log):
    log.record("GET", "a\nb", "ok")
    assert names(query(memory, name="a*b")) == ["a\nb"]


def test_since_compares_with_the_fraction_of_a_second(memory, log):
    log.record("GET", "A", "ok")
    assert names(query(memory, since=NOW)) == ["A"]
    assert names(query(memory, since=NOW + 0.000_001)) == []


def test_a_moment_is_in_utc_whatever_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-5")
    time.tzset()
    try:
        there = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
        assert moment(datetime(2026, 1, 31, 12)).isoformat() == "2026-01-31T12:00:00+00:00"
        assert moment(there).isoformat() == "2026-01-31T10:00:00+00:00"
        assert moment("1h").utcoffset() == timedelta(0)
        assert moment("1h").timestamp() == pytest.approx(time.time() - 3600, abs=60)
    finally:
        monkeypatch.undo()
        time.tzset()


def glue(memory, number):
    """Put the last events on one line, as when each process but the last died right before its line feed."""
    memory.texts[-number:] = [b"".join(memory.texts[-number:])]


@pytest.mark.parametrize("name", ["db/one", "db/", "db/*", "*b/*"])
def test_each_event_of_a_line_is_judged_by_its_own_name(memory, log, name):
    log.record("GET", "db/one", "ok")
    log.record("GET", "other", "ok")
    log.record("LIST", None, "ok")
    glue(memory, 3)
    assert names(query(memory, name=name)) == ["db/one"]


def test_an_answered_intent_does_not_hide_an_event_before_it_on_the_line(memory, log):
    log.record("GET", "A", "ok")
    intent = log.record("SET", "B", "intent")
    glue(memory, 2)
    log.record("SET", "B", "ok", intent=intent)
    assert names(query(memory)) == ["B", "A"]


def test_a_line_of_another_time_does_not_end_the_search(memory, log):
    for at in (NOW, NOW - 3600, NOW - 3601, 1):
        log.at = at
        log.record("GET", str(at), "ok")
    assert names(query(memory, since=NOW)) == [str(NOW)]


@pytest.mark.parametrize(("name", "parsed"), [("db", 1), ("db/", 2), ("db*", 4), ("db/t*", 1), ("*", 5)])
def test_only_the_lines_that_may_match_are_parsed(memory, log, monkeypatch, name, parsed):
    for each in ("db", "dbx", "db/one", "db/two", "d"):
        log.record("GET", each, "ok")
    log.record("LIST", None, "ok")
    seen = []
    monkeypatch.setattr("strongroom.audit.query.parse", lambda piece: seen.append(piece) or parse(piece))
    query(memory, name=name)
    assert len(seen) == parsed


@pytest.mark.parametrize("limit", [1, 3])
def test_a_search_ends_soon_after_it_has_found_enough(memory, log, limit):
    for n in range(50):
        log.record("GET", f"N{n}", "ok")
    read, backwards = [], memory.lines_backwards
    memory.lines_backwards = lambda: (read.append(line) or line for line in backwards())
    assert len(query(memory, limit=limit)) == limit
    assert len(read) <= limit + 3
