"""Variables that begin like settings and are none: a misspelt one must not be a setting that is silently not there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from strongroom.errors import ConfigError
from strongroom.system.warning import StrongroomWarning

_PREFIX = "STRONGROOM_"
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?")
"""What Kubernetes sets in every container where a service is called `strongroom`."""


def check_variable(variable: str, known: Iterable[str]) -> None:
    """Raise `ConfigError` for a variable that is nearly one of those `known`, warn of any other."""
    name = variable.removeprefix(_PREFIX)
    if _SERVICE_LINK.fullmatch(name):
        return
    if name == "POLICY":
        raise ConfigError("there is no variable STRONGROOM_POLICY: a policy is written in the file of settings only")
    words = [word.removeprefix(_PREFIX) for word in known]
    near = min(words, key=lambda word: distance(name[:64].upper(), word))
    is_another = name.removeprefix(near).strip("_").isdigit()
    if distance(name[:64].upper(), near) <= (1 if len(near) < 5 else 2) and not is_another:
        raise ConfigError(f"there is no variable {variable!a} here; is {_PREFIX}{near} meant? Rename or unset it")
    warnings.warn(f"the variable {variable!a} is no setting of strongroom", StrongroomWarning, stacklevel=6)


def distance(one: str, other: str) -> int:
    """Return how many letters were inserted, left out, replaced or exchanged with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
