"""strongroom as a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from bench.contenders import Missing
from bench.processes import Command, environment
from bench.shell import Commands


class Strongroom:
    label = "**strongroom**"
    keeps = "encrypted, chained record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        # Imported late: its absence must not keep the others from being measured.
        from bench.strongroom_library import KEY, where
        from bench.strongroom_library import Strongroom as Library

        program = os.path.join(os.path.dirname(sys.executable), "strongroom")
        if not os.path.exists(program):
            raise Missing("the command `strongroom` is not beside this Python")
        Library().fill(place, values)
        store, _, audit = where(place)
        env = environment(place, **{KEY: os.environ[KEY]})
        common = (program, "--store", store, "--audit", audit)
        return Commands(
            get=Command((*common, "get", name), env),
            run=lambda *argv: Command((*common, "run", "--", *argv), env),
        )
