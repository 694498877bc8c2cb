"""Named values that do not change, for the classes that lie on the way of every start."""

from __future__ import annotations

from typing import Any, Self


class Frozen:
    """A base: a subclass lists its fields in `__slots__`, and its `__init__` takes them in that order.

    `typing.NamedTuple` compiles code for each class that it makes, which takes longer than loading a module; the
    command line would feel ten of them. Nothing enforces that the values stay: to change one, make another with
    `_replace`.
    """

    __slots__: tuple[str, ...] = ()

    def _replace(self, **changes: Any) -> Self:
        """Return the same with other values in these fields."""
        return type(self)(*(changes.get(field, getattr(self, field)) for field in self.__slots__))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, f) == getattr(other, f) for f in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, field) for field in self.__slots__))
