"""What can happen: an operator types, somebody changes the source, programs come, read and go, and time passes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from . import consumers, source
from .machine import URLS, Machinery
from .processes import ELSEWHERE, HERE

LINES = [
    *["rotate A"] * 6, "rotate A --force", *["rotate resume A"] * 4, *["rotate abort A"] * 2, *["rotate retire A"] * 3,
    "rotate retire A --force", "rotate abort A --force", "rotate check A",
]  # fmt: skip
SELDOM = ["rotate A --detach", "rotate A --detach --force", "rm A", "undelete A", "destroy A"]
FATES = st.one_of(
    *[st.none()] * 3,
    st.tuples(st.just("source"), st.integers(1, 8), st.just("dies")),
    st.tuples(st.sampled_from(["anywhere", "store"]), st.integers(1, 24), st.just("dies")),
    st.tuples(st.sampled_from(["store", "log"]), st.integers(1, 12), st.just("fails")),
)
STEPS = st.sampled_from(["check", "set", "test", "retire"])
FAULTS = st.one_of(*[st.just({})] * 4, st.dictionaries(STEPS, st.sampled_from(source.FAULTS), min_size=1, max_size=2))
HOSTS = st.sampled_from([HERE, HERE, HERE, ELSEWHERE])

COMMANDS = st.lists(
    st.tuples(st.sampled_from(LINES), FATES, FAULTS, HOSTS, *map(st.sampled_from, ([0, 0, 3], [0, 0, 2, 101]))),
    min_size=2, max_size=6,
)  # fmt: skip


class Rotations(Machinery):
    """Any of it in any order."""

    # The operator

    # Most of what happens are commands, some of which fail, and time that passes between them.
    @rule(commands=COMMANDS)
    def types(self, commands):
        for line, fate, faults, host, wait, seconds in commands:
            self.type(line, None, fate, faults, host, wait)
            self.what_holds()
            self.clock.time += seconds
            self.what_holds()

    @rule(commands=COMMANDS)
    def types_more(self, commands):
        self.types(commands)

    @rule(commands=COMMANDS)
    def types_while_programs_go_on(self, commands):
        for command in commands:
            self.types([command])
            self.the_programs_go_on()

    @rule(line=st.sampled_from(SELDOM), fate=FATES)
    def types_what_is_rare(self, line, fate):
        self.type(line, fate=fate)

    @rule(url=st.sampled_from(URLS), force=st.sampled_from(["", "", " --force"]), fate=FATES)
    def attaches(self, url, force, fate):
        self.type(f"rotate A --attach {url}{force}", fate=fate)

    @rule(back=st.integers(1, 4), fate=FATES, faults=FAULTS)
    def rolls_back(self, back, fate, faults):
        self.type(f"rollback A {max(1, self.operator.status().version - back)}", None, fate, faults)

    @rule(command=st.sampled_from(["set A", "rotate A"]), fate=FATES)
    def gives_a_value_of_his_own(self, command, fate):
        self.type(command, self.new_value(), fate)

    @rule(fate=FATES, faults=FAULTS)
    def sets_an_older_value(self, fate, faults):
        older = [login for number, login in self.operator.versions().items() if number < self.operator.status().version]
        if older:
            self.type("set A", source.value_of(older[-1]), fate, faults)

    @rule(back=st.integers(0, 3))
    def destroys(self, back):
        self.type(f"destroy A {max(1, self.operator.status().version - back)}")

    @rule()
    def does_what_the_status_says(self):
        self.server.is_up = True
        self.mend()

    @rule()
    def ends_it_without_the_source(self):
        """Every state has a way out that needs no source."""
        was_up, self.server.is_up = self.server.is_up, False
        if self.operator.status().running:
            self.clock.time += 200
        for _ in range(2):  # a rotation back, and the one that it turned round
            if self.operator.status().step != "idle":
                assert self.type("rotate abort A --force").error is None
        assert self.operator.status().step == "idle"
        self.server.is_up = was_up

    # The source

    @rule(older=st.integers(0, 5))
    def is_restored(self, older):
        self.server.become(self.server.older[-1 - older % len(self.server.older)])
        self.promises.outside()

    @rule()
    def is_replaced_by_an_empty_one(self):
        self.server.become(set())
        self.promises.outside()

    @rule()
    def forgets_what_is_not_current(self):
        self.server.become(self.server.accepted & {self.operator.current()})
        self.promises.outside()

    @rule()
    @precondition(lambda self: self.operator.current() is not None)
    def is_given_the_current_value_by_hand(self):
        self.server.become(self.server.accepted | {self.operator.current()})
        self.promises.outside()

    @rule()
    def goes_down_or_comes_up(self):
        self.server.is_up = not self.server.is_up

    @rule()
    def moves_to_another_host(self):
        other = next(server for server in self.servers.values() if server is not self.server)
        other.become(self.server.accepted)
        other.is_up, self.server.is_up = True, False

    # The programs

    @rule(kind=st.sampled_from(sorted(consumers.KINDS)), host=HOSTS)
    def starts(self, kind, host):
        if self.operator.current() is not None and len(self.programs) < 5:
            self.programs.append(consumers.KINDS[kind](self.machine, self.operator.open, host))

    @rule(number=st.integers(0, 4))
    def reads_again(self, number):
        for program in self.programs[number : number + 1]:
            if self.machine.is_alive(program.process) and self.operator.current() is not None:
                with self.machine.running(program.process):
                    program.read()

    @rule(number=st.integers(0, 4))
    def ends(self, number):
        for program in self.programs[number : number + 1]:
            program.end()
            self.programs.remove(program)

    @rule(raises=st.booleans())
    def callbacks_raise(self, raises):
        for program in self.programs:
            if isinstance(program, consumers.Pool):
                program.raises = raises

    @rule()
    def the_programs_go_on(self):
        for program in self.programs:
            program.turn()

    # Time

    @rule(seconds=st.sampled_from([2, 50, 101, 200]))
    def time_passes(self, seconds):
        self.clock.time += seconds
