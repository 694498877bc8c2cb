"""What the operator and the programs may rely on, kept apart from what strongroom keeps of it."""

from __future__ import annotations

from collections.abc import Iterable

from .consumers import Program
from .operator import GRACE, Operator, Outcome, commands_in
from .source import Login, Server


class Promises:
    """Knows since when a login is not current any more, and what the operator was told."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._ends: dict[Login, float] = {}
        """Until when a login that was replaced is to be accepted, seconds since 1970."""
        self._said: set[Login] = set()
        """The logins that are refused, and a command or the status has said so."""
        self.is_unknown = False
        """The source was changed behind the operator's back, and nobody has asked it since."""
        self._url = self._before = None
        self.look()

    @property
    def server(self) -> Server | None:
        """The source: the server of the rotator that is attached, or was last."""
        return self._operator.servers.get(self._url or "")

    def look(self) -> None:
        """Remember what there is before the next command."""
        status = self._operator.status()
        if status.rotator is not None and status.rotator != self._url:
            self._url, self.is_unknown = status.rotator, False
            self.excuse()
        self._before, self._promoted = self._operator.current(), status.step == "promoted"
        self._until, self._has_rotator = status.grace_ends, status.rotator is not None
        self._was_accepted = self.server is not None and self._before in self.server.accepted

    def excuse(self) -> None:
        """All that is refused now is refused by the operator's own choice, or by somebody else's doing."""
        if self.server is not None:
            known = {*self._ends, *self._operator.versions().values()}
            self._said |= {login for login in known if login not in self.server.accepted}

    def outside(self) -> None:
        """Somebody has changed the source."""
        self.excuse()
        self.is_unknown = True

    def follow(self, line: str, outcome: Outcome, told: set[Login]) -> None:
        """Take a command into account that was typed; `told` is what the source had answered before."""
        now, current = self._operator.clock.now(), self._operator.current()
        old = self._before
        if (
            self._was_accepted
            and current == old
            and not (outcome.died or outcome.failed_elsewhere)
            and self.server.is_up
        ):
            assert current in self.server.accepted, f"{line} has left the current value refused: {outcome.said}"
        if current != old and old is not None and self.server is not None:
            by_rotation = self._has_rotator and (line.startswith(("rotate", "rollback")) or self._is_previous(old))
            kept = now + GRACE if by_rotation and self.server.kind != "one password" else now
            self._ends[old] = max(kept, self._until or 0) if self._promoted else kept
        if current is not None:
            self._ends.pop(current, None)
        if "--force" in line and line.startswith(("rotate retire", "rotate abort", "rotate A --detach")):
            self._ends.clear()
            self.excuse()
        server = self.server
        self.look()
        if self.server is not None and self.server is server:
            if outcome.died or outcome.failed_elsewhere:
                server.told = told
            elif current in server.told:
                self.is_unknown = False

    def _is_previous(self, login: Login) -> bool:
        return self._operator.versions().get(self._operator.status().before) == login

    def check_current(self) -> None:
        """The current value is accepted, or the status says that it may not be and which command mends that."""
        status, current, server = self._operator.status(), self._operator.current(), self.server
        if server is None or current is None or (status.rotator is None and status.step == "idle"):
            return
        if current in server.accepted:
            return
        if not self.is_unknown and not (status.running and status.step in ("pending", "set", "tested")):
            assert commands_in(status.advice or ""), f"{current} is refused, and the status says {status.advice!r}"
        self._said.add(current)

    def check_programs(self, programs: Iterable[Program]) -> None:
        """No program is refused before its time is over, unless that was said."""
        server, now = self.server, self._operator.clock.now()
        if server is None:
            return
        self._said -= server.accepted
        current = self._operator.current()
        for program in programs:
            login = program.login
            if login is None or login == current or login in server.accepted or login in self._said:
                continue
            assert now >= self._ends.get(login, now), f"{program} is refused {self._ends[login] - now:g} s too early"
