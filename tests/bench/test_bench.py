from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from bench.results import FLOOR, STRONGROOM, Row, Section, Target

from bench import callbacks, contenders, harness, hot, notes, peers, plan, pools, report, spread

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def floor_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bench") / "benchmarks.md"
    command = [sys.executable, "-m", "bench", "--quick", "--only", "floor", "--output", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return path.read_text("utf-8")


def test_the_command_writes_a_table_for_each_job_of_the_floor(floor_report: str) -> None:
    titles = re.findall(r"^## (.*)", floor_report, re.MULTILINE)
    assert titles == [
        "Read one secret, on record",
        "Read the same secret again and again",
        "Read a secret for the first time",
        "Hot reads",
        "Change one secret, durably, on record",
        "How soon it is up",
    ]
    assert re.search(r"\| floor \| 100 \| [\d.]+ µs \| [\d.]+ µs \| \d+ MB \| 1\.00 \|", floor_report)


def test_the_report_names_kinds_and_versions_and_no_place_of_this_machine(floor_report: str) -> None:
    import platform

    assert f"Python {platform.python_version()}, SQLite" in floor_report
    assert platform.node() not in floor_report
    assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|work)/", floor_report)


def quick(section: Callable[[plan.Plan, str], Section], tmp_path: Path, only: str = "") -> Section:
    """Run one section as `--quick` does, and see that the report can be written."""
    found = section(plan.QUICK._replace(only=only), str(tmp_path))
    assert report.write([found], []).count("\n## ") == (2 if found.targets else 1)
    return found


def test_hot_reads_are_held_against_a_dictionary_and_against_a_caching_client(tmp_path: Path) -> None:
    found = quick(hot.hot_reads, tmp_path)
    assert [row.key for row in found.rows] == ["floor", "live", "get", "aws"]
    there = find_spec("aws_secretsmanager_caching") is not None
    assert [bool(row.wall) for row in found.rows] == [True, True, True, there]
    assert [target.limit for target in found.targets] == ([5.0, 0.05] if there else [5.0])


def test_a_hot_reader_whose_library_is_not_there_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aws_secretsmanager_caching", None)
    (row,) = quick(hot.hot_reads, tmp_path, "aws").rows
    assert row.missing == "the Python package aws_secretsmanager_caching is not installed"


def test_a_change_is_seen_by_every_follower_of_both_stores(tmp_path: Path) -> None:
    found = quick(spread.spread, tmp_path)
    assert [row.key for row in found.rows] == ["sqlite-polled", "sqlite-called", "file-polled", "file-called"]
    assert all(len(row.wall) == plan.QUICK.changes for row in found.rows)
    assert [target.limit for target in found.targets] == [1.0, 1.0]


def test_callbacks_are_measured_with_few_and_with_many_watched_secrets(tmp_path: Path) -> None:
    found = quick(callbacks.callbacks, tmp_path)
    assert [row.size for row in found.rows] == [10, 20, 20, 10, 20, 20]
    assert all(row.wall and row.cpu for row in found.rows if "often" not in row.key)
    assert all("of a core" in target.detail for target in found.targets)


def test_each_pool_has_one_with_strongroom_and_one_without(tmp_path: Path) -> None:
    found = quick(pools.pools, tmp_path)
    if found.rows[0].missing:
        pytest.skip(found.rows[0].missing)
    assert len([row for row in found.rows if row.wall]) == 6
    assert [target.limit for target in found.targets] == [1.02] * 3


@pytest.mark.parametrize("key", ["floor", "fernet-file", "fernet-file-durable", "fernet-per-secret", "fernet-cached"])
def test_a_contender_gives_back_what_it_was_given(key: str, tmp_path: Path) -> None:
    contender = contenders.load(key)
    contender.fill(str(tmp_path), {"A": "first", "B": "second"})
    contender.writer(str(tmp_path))("A", "changed")
    read = contender.reader(str(tmp_path))
    assert (read("A"), read("B")) == ("changed", "second")


def test_a_contender_whose_library_is_not_there_is_missing_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    monkeypatch.delitem(sys.modules, "bench.dotenv_file", raising=False)
    with pytest.raises(contenders.Missing, match="dotenv is not installed"):
        contenders.load("python-dotenv")


def test_a_ratio_is_the_median_of_those_within_each_round() -> None:
    assert harness.ratio((2.0, 200.0, 9.0), (1.0, 100.0, 3.0)) == 2.0


def test_everyone_has_one_turn_in_each_round() -> None:
    order = list(harness.turns(3, 20))
    rounds = [order[start : start + 3] for start in range(0, 60, 3)]
    assert all(sorted(each) == [0, 1, 2] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_a_race_gives_each_contender_a_sample_per_round() -> None:
    seen: list[str] = []
    fast, slow = harness.race(
        [harness.Task(seen.append, ["a", "b"]), harness.Task(len, ["a"])], harness.Pace(4, 0.0001, 0.0)
    )
    assert (len(fast), len(slow)) == (4, 4)
    assert set(seen) == {"a", "b"}


def test_a_cold_race_touches_nothing_before_it() -> None:
    seen: list[str] = []
    names = [str(number) for number in range(100_000)]
    harness.race([harness.Task(seen.append, names, warm=False)], harness.Pace(2, 0.0001, 1.0))
    assert len(seen) == len(set(seen))


def _section(times: dict[str, float]) -> Section:
    return Section(
        "shell-get", "Print one", "", [Row(key, key, wall=(time,), peak=10) for key, time in times.items()], peers=True
    )


def test_a_missed_target_is_called_missed() -> None:
    assert Target("x", 1.5, 1.5).verdict == "met"
    assert Target("x", 1.5, 1.51).verdict == "**missed**"


def test_the_report_says_where_strongroom_is_behind_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(notes.WHY_NOT, ("shell-get", "age"), "no Python to start")
    ahead, behind = peers.comparisons(_section({STRONGROOM: 1.0, "sops": 2.0, "age": 0.5}))
    assert ahead == ["Print one", "sops", "2.0", "1.00", "yes", "level", ""]
    assert behind == ["Print one", "age", "0.50", "1.00", "no", "level", "no Python to start"]


def test_a_peer_that_is_not_here_has_a_row_that_says_so() -> None:
    section = _section({STRONGROOM: 1.0})
    section.rows.append(Row("sops", "sops", missing="`sops` is not installed"))
    text = report.write([section], [])
    assert text.count("not here: `sops` is not installed") == 2


def test_columns_without_content_are_left_out() -> None:
    text = report.write([Section("start", "Start", "", [Row(FLOOR, "floor", wall=(0.5,))])], [])
    assert "| contender | median | fastest | ÷ floor |" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.5, "1.50 s"),
        (0.0123, "12.3 ms"),
        (0.000123, "123 µs"),
        (7e-06, "7.00 µs"),
        (4e-08, "40.0 ns"),
        (0.0, "0.00 ns"),
    ],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text
