"""What ends a process, or fails in it, at a moment that is chosen beforehand."""

from __future__ import annotations

from strongroom.errors import AuditError, StoreError


class Died(BaseException):
    """The process was killed. Nothing catches it, and nothing that it tries afterwards has an effect."""


class Fate:
    """Strikes once, at the `number`th moment of a `place`: just before or after something that outlives the process."""

    PLACES = ("anywhere", "source", "store", "log")

    def __init__(self) -> None:
        self.reset()

    def reset(self, place: str = "", number: int = 0, how: str = "dies") -> None:
        """Begin another process. `how` is `dies` or, in the store or the log alone, `fails`."""
        self.place, self.left, self.how = place, number, how
        self.has_struck = self.is_dead = False

    def moment(self, place: str) -> None:
        """Called at each such moment."""
        if self.is_dead:
            raise Died
        if self.place not in (place, "anywhere") or self.has_struck:
            return
        self.left -= 1
        if self.left > 0:
            return
        self.has_struck = True
        if self.how == "dies":
            self.is_dead = True
            raise Died
        if place != "source":
            raise (StoreError if place == "store" else AuditError)("the disk is full")
