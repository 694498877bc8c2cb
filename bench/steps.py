"""What is done over and over inside a process; also by a process of its own, so that its peak memory can be read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import count
from time import perf_counter

from bench.contenders import Contender, load

Step = Callable[[str], object]


def reading(contender: Contender, place: str) -> Step:
    """Return what reads one secret."""
    return contender.reader(place)


def reading_the_same(contender: Contender, place: str) -> Step:
    """Return what reads the secret that it was asked for first, whatever it is asked for."""
    read = contender.reader(place)
    first: list[str] = []

    def step(name: str) -> object:
        if not first:
            first.append(name)
        return read(first[0])

    return step


def writing(contender: Contender, place: str) -> Step:
    """Return what gives one secret a value of 32 characters that it did not have before."""
    write = contender.writer(place)
    values = (f"{number:032x}" for number in count())
    return lambda name: write(name, next(values))


STEPS = {"read": reading, "read-same": reading_the_same, "write": writing}


def touch(step: Step, names: Iterable[str], seconds: float) -> None:
    """Do the step once for each name, or for `seconds` if that takes longer."""
    end = perf_counter() + seconds
    for name in names:
        step(name)
        if perf_counter() > end:
            return


def main(key: str, kind: str, place: str, names: str, seconds: str) -> None:
    """Touch the secrets whose names are the lines of the file `names`."""
    with open(names) as lines:
        touch(STEPS[kind](load(key), place), map(str.rstrip, lines), float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
