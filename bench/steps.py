"""What is done over and over inside a process; also by a process of its own, so that its peak memory can be read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count

from bench.contenders import Contender, load

Step = Callable[[str], object]


def reading(contender: Contender, place: str) -> Step:
    """Return what reads one secret."""
    return contender.reader(place)


def writing(contender: Contender, place: str) -> Step:
    """Return what gives one secret a value of 32 characters that it did not have before."""
    write = contender.writer(place)
    values = (f"{number:032x}" for number in count())
    return lambda name: write(name, next(values))


STEPS = {"read": reading, "write": writing}


def main(key: str, kind: str, place: str, *names: str) -> None:
    """Do the step `kind` of the contender `key` for each of the names."""
    step = STEPS[kind](load(key), place)
    for name in names:
        step(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
