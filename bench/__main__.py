"""`python -m bench`: measure, and write the report."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from bench import callbacks, hot, machine, plan, pools, report, sections, shell_sections, spread


def main() -> None:
    """Run the benchmarks that the command line asks for."""
    options = _options()
    chosen = (plan.QUICK if options.quick else plan.Plan())._replace(only=options.only)
    # A peer may leave a process behind that still writes to its home: no reason to lose what was measured.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
        found = [
            sections.read(chosen, scratch),
            sections.read_same(chosen, scratch),
            sections.read_first(chosen, scratch),
            hot.hot_reads(chosen, scratch),
            sections.write(chosen, scratch),
            spread.spread(chosen, scratch),
            callbacks.callbacks(chosen, scratch),
            pools.pools(chosen, scratch),
            shell_sections.start(chosen, scratch),
            sections.read_beside_peers(chosen, scratch),
            sections.write_beside_peers(chosen, scratch),
            *shell_sections.beside_peers(chosen, scratch),
        ]
        text = report.write(found, machine.describe(scratch))
    if options.output == "-":
        sys.stdout.write(text)
    else:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"written to {options.output}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="sections or contenders with this in the name")
    parser.add_argument("--output", default=os.path.join("docs", "benchmarks.md"), help="the report; - prints it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
