from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.results import FLOOR, STRONGROOM, Row, Section, Target

from bench import contenders, harness, notes, peers, report

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
        "Read a secret for the first time",
        "Change one secret, durably, on record",
        "How soon it is up",
    ]
    assert re.search(r"\| floor \| 100 \| [\d.]+ µs \| [\d.]+ µs \| \d+ MB \| 1\.00 \|", floor_report)


def test_the_report_names_kinds_and_versions_and_no_place_of_this_machine(floor_report: str) -> None:
    import platform

    assert f"Python {platform.python_version()}, SQLite" in floor_report
    assert platform.node() not in floor_report
    assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|work)/", floor_report)


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
    ("seconds", "text"), [(1.5, "1.50 s"), (0.0123, "12.3 ms"), (0.000123, "123 µs"), (7e-06, "7.00 µs")]
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text
