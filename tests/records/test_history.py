"""Metadata as writers handle it: the same as what readers parse, whatever its spelling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.info import VersionInfo
from strongroom.records.history import History, row

TIMES = st.none() | st.floats(0, 3e11).map(lambda seconds: round(seconds, 3))
VERSIONS = st.lists(
    st.builds(VersionInfo, st.just(0), st.floats(0, 3e11).map(lambda s: round(s, 3)), TIMES, st.booleans(), TIMES),
    min_size=1, max_size=12,
).map(lambda versions: [version._replace(version=n + 5) for n, version in enumerate(versions)])  # fmt: skip
CUSTOM = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.sampled_from(["]]", '],"c":', "[["]), max_size=3)


def history_of(versions: list[VersionInfo], custom: dict[str, str], most: int) -> History:
    return History(",".join(map(row, versions)), custom, most)


def read(history: History) -> tuple[list[VersionInfo], dict[str, str], int]:
    fields = json.loads(history.text())
    versions = [VersionInfo._make(row)._replace(destroyed=bool(row[3])) for row in fields["v"]]
    return versions, fields["c"], fields["m"]


@given(VERSIONS, CUSTOM, st.integers(1, 10), st.sampled_from([None, 1, "\t"]))
def test_a_version_joins_and_the_oldest_leave(versions, custom, most, indent):
    """Also in JSON of another spelling, as another implementation of the format might write it."""
    document = history_of(versions, custom, most).text()
    if indent is not None:
        document = json.dumps(json.loads(document), indent=indent, sort_keys=indent == 1)
    history = History.parse(document.encode())
    assert history.newest == versions[-1]
    new = VersionInfo(versions[-1].version + 1, 1.5)
    history.append(new)
    retired = history.retire()
    expected = [*versions, new]
    gone = max(0, len(expected) - most)
    assert retired == [version.version for version in expected[:gone]]
    assert read(history) == (expected[gone:], custom, most)
    assert History.parse(history.text().encode()).text() == history.text()


def test_a_history_begins_empty():
    history = History("", {}, 3)
    assert history.newest is None
    history.append(VersionInfo(1, 2.0))
    assert history.retire() == []
    assert history.text() == '{"v":[[1,2.0,null,0,null]],"c":{},"m":3}'


@pytest.mark.parametrize("most", [1, 2, 500])
def test_fewer_are_kept_from_now_on(most):
    history = history_of([VersionInfo(n, 1.0) for n in range(1, 501)], {}, most)
    assert history.retire() == list(range(1, 501 - most))
    assert len(read(history)[0]) == most
