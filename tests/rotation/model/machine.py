"""An operator, a source, programs and time, in any order and with any process killed at any moment.

The current value is always accepted by the source, or the status says that it may not be and names the command that
mends that; doing what it says does mend it. No program is refused before its grace time is over without a word.
"""

from __future__ import annotations

import os
import sys

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

import strongroom

from . import consumers, source
from .operator import Operator, Outcome, commands_in
from .processes import HERE, Clock, Machine
from .promises import Promises

URLS = ("source://1", "source://2")


class Machinery(RuleBasedStateMachine):
    """One secret, A, and its source."""

    @initialize(
        kind=st.sampled_from(source.KINDS), programs=st.lists(st.sampled_from(sorted(consumers.KINDS)), max_size=3)
    )
    def begin(self, kind: str, programs: list[str]) -> None:
        self.key = os.environ.get("SECRETS_MASTER_KEY")
        os.environ["SECRETS_MASTER_KEY"] = strongroom.generate_master_key()
        login = "app_a" if kind == "two accounts" else "app", source.new_password()
        self.servers = {URLS[0]: source.Server(kind, {login}), URLS[1]: source.Server(kind, {("app", "another's")})}
        self.clock = Clock()
        self.machine = Machine(self.clock)
        self.operator = Operator(self.machine, self.clock, source.value_of(login), self.servers)
        self.programs = [consumers.KINDS[each](self.machine, self.operator.open, HERE) for each in programs]
        self.clock.meanwhile = self.the_programs_go_on
        assert self.operator.type(f"rotate A --attach {URLS[0]}").error is None
        self.promises = Promises(self.operator)

    @property
    def server(self) -> source.Server:
        assert self.promises.server is not None
        return self.promises.server

    def type(self, line: str, value=None, fate=None, faults=None, host=HERE, wait: float = 0) -> Outcome:
        """Let the operator type a command."""
        self.promises.look()
        told, self.server.faults = set(self.server.told), dict(faults or {})
        self.operator.fate.reset(*(fate or ()))
        outcome = self.operator.type(line, value, host=host, wait=wait)
        self.promises.follow(line, outcome, told)
        return outcome

    def new_value(self):
        """Return a value of the secret's shape, for the account that it is of."""
        return source.value_of(((self.operator.current() or ("app", ""))[0], source.new_password()))

    # What holds

    def what_holds(self):
        self.the_current_value_is_accepted_or_the_status_says_what_to_do()
        self.nobody_is_refused_within_the_grace_time()

    @invariant()
    def the_current_value_is_accepted_or_the_status_says_what_to_do(self):
        if hasattr(self, "promises"):
            self.promises.check_current()

    @invariant()
    def nobody_is_refused_within_the_grace_time(self):
        if hasattr(self, "promises"):
            self.promises.check_programs(self.programs)

    def mend(self):
        """Type what the status says, and what errors say when that fails, until nothing is left to be done."""
        tried, said = [], ""
        while True:
            status, current = self.operator.status(), self.operator.current()
            if status.running:
                self.clock.time += 200
                continue
            if current is None or (status.rotator is None and status.step == "idle"):
                return
            if self.promises.is_unknown and status.step == "idle" and "rotate check A" not in tried:
                lines = ["rotate check A"]  # as the manual says of a source that somebody has changed
            elif status.advice is None:
                if self.promises.is_unknown and "rotate resume A" not in tried:
                    lines = ["rotate resume A"]
                else:
                    break
            else:
                lines = [line for line in [*commands_in(status.advice), *commands_in(said)] if line not in tried]
            assert lines, f"nothing of {tried} has mended {status.step}: {status.advice}"
            outcome = self.type(lines[0].replace("URL", str(status.rotator)))
            said = outcome.said
            tried = [*tried, lines[0]] if outcome.error else [lines[0]]
            assert len(self.operator.said) < 2000
        assert current in self.server.accepted, f"{tried} left {current} refused"

    def teardown(self):
        if not hasattr(self, "promises"):
            return
        try:
            if sys.exc_info()[0] is None:
                self.finish()
        finally:
            self.machine.stop()
            os.environ.pop("SECRETS_MASTER_KEY")
            if self.key is not None:
                os.environ["SECRETS_MASTER_KEY"] = self.key

    def finish(self):
        self.server.is_up = True
        self.mend()
        values = {password for _, password in self.operator.versions().values()}
        for server in self.servers.values():
            values |= {password for state in [server.accepted, *server.older] for _, password in state}
        shown = [*self.operator.said, *map(bytes.decode, self.operator.log.texts), repr(self.operator.status())]
        assert not [value for value in values for text in shown if value in text]
        assert self.operator.observer.verify().ok
        assert self.operator.observer.verify_audit().ok
