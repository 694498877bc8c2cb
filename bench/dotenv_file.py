"""python-dotenv: a file of plain text."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from dotenv import dotenv_values, set_key


class Dotenv:
    label = "python-dotenv"
    keeps = "**plain text**, no record"

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        with open(_path(place), "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    def reader(self, place: str) -> Callable[[str], str | None]:
        path = _path(place)
        return lambda name: dotenv_values(path).get(name)

    def writer(self, place: str) -> Callable[[str, str], object]:
        path = _path(place)
        return lambda name, value: set_key(path, name, value)


def _path(place: str) -> str:
    return os.path.join(place, ".env")
