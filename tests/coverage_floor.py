"""The end of `make coverage`: fails unless lines alone and branches alone are covered to 95 %.

`coverage report --fail-under` knows only one figure for both, in which many lines make up for missing branches.
"""

from __future__ import annotations

import json
import sys

FLOOR = 95.0
EDGES = ("src/strongroom/cli/", "src/strongroom/integrations/", "src/strongroom/testing/")


def percent(files: list[dict], of: str, all_of: str) -> float:
    return 100 * sum(file[of] for file in files) / sum(file[all_of] for file in files)


def main() -> int:
    """Read what `coverage json` writes; 1 when one of the figures is too low."""
    files = {path: found["summary"] for path, found in json.load(sys.stdin)["files"].items()}
    engine = [summary for path, summary in files.items() if not path.startswith(EDGES)]
    lowest = 100.0
    for what, those in (("the package", list(files.values())), ("the engine, without edges", engine)):
        lines = percent(those, "covered_lines", "num_statements")
        branches = percent(those, "covered_branches", "num_branches")
        lowest = min(lowest, lines, branches)
        print(f"{what}: lines {lines:.2f} %, branches {branches:.2f} %")
    if lowest < FLOOR:
        print(f"less than {FLOOR:g} %", file=sys.stderr)
    return int(lowest < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
