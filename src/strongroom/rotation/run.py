"""One rotation at work: its steps in order, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.engine.change import Change
from strongroom.errors import ConflictError, RotationError, SourceRefusedError, StrongroomError
from strongroom.info import VersionInfo
from strongroom.records.data import decode_data
from strongroom.rotation import advice, steps, undoing
from strongroom.rotation.clock import Clock
from strongroom.rotation.consumers import sweep
from strongroom.rotation.creating import Creation
from strongroom.rotation.entry import Entry
from strongroom.rotation.owner import LEASE, release
from strongroom.rotation.retiring import Retiring
from strongroom.rotation.sessions import end_sessions
from strongroom.rotation.source import Source, is_refusal
from strongroom.rotation.state import GRACE, PENDING, PROMOTED, SET, TESTED, State
from strongroom.rotation.waiting import Waiting


class Run:
    """A rotation that this thread owns, and the source that it asks."""

    def __init__(
        self, entry: Entry, clock: Clock, keep: int, state: State, source: Source, creation: Creation | None = None
    ) -> None:
        """`creation` is there for a rotation that begins here: its source has not been asked for anything yet."""
        self._entry = entry
        self._clock = clock
        self._keep = keep
        self._source = source
        self._creation = creation
        self.state = state

    @contextmanager
    def owned(self) -> Iterator[Run]:
        """Work on the rotation, and leave it to others afterwards, whatever happened."""
        assert self.state.owner is not None
        try:
            yield self
        except Exception as error:
            self._let_go(error)
            raise
        finally:
            release(self.state.owner.token)

    def forward(self, wait: float) -> VersionInfo:
        """Go from a durable pending value to the end.

        A rotation that is resumed asks for `set` and `test` again, whatever it had recorded: nobody knows what became
        of the source meanwhile, and both are idempotent.
        """
        stage = SET
        try:
            pending, current = decode_data(self.state.data), self._entry.current()
            self._source.set(pending, current)
            self._record(SET)
            stage = TESTED
            self._source.test(pending)
            self._source.test_nearly(pending, current)
            self._record(TESTED)
            stage = PROMOTED
            made = self._promote(wait)
        except Exception as error:
            self._fail(stage, error)
            raise
        self.wait_and_retire(wait)
        return made

    def go_on(self, wait: float) -> VersionInfo:
        """Go on from wherever the rotation was interrupted."""
        if self.state.step != PROMOTED:
            return self.forward(wait)
        self._accept(self._retiring().mend())
        self.wait_and_retire(wait)
        return VersionInfo(self.state.after, self.state.promoted or 0)

    def abort(self, *, force: bool) -> None:
        """Undo what is not promoted, or with `force` end the rotation where it is."""
        name, is_promoted = self.state.name, self.state.step == PROMOTED
        if force:
            if not is_promoted:
                # Nobody asks the source, which may have either value.
                self.state = self.state._replace(known=0)
            self.end("aborted", undone=not is_promoted)
        elif is_promoted:
            self._entry.refuse("aborted", ConflictError(
                f"the new value of {name!r} is current already; `strongroom rollback {name} {self.state.before}` goes "
                "back to the one before, at the source too. --force ends the rotation, and leaves its source as it is",
                name=name,
            ))  # fmt: skip
        else:
            undoing.check_can_be_undone(self._entry, self.state)
            # From here on the source may have the current value again, so that no step counts as done.
            self._record(PENDING)
            undoing.undo(self._entry, self._source, self.state)
            self.end("aborted", undone=True)

    def end(self, stage: str, *, undone: bool = False, failure: Exception | None = None) -> None:
        """Remove the rotation, and what is left of processes that are gone; `failure` is kept for `status`."""
        now = self._clock.now()
        self._entry.change(stage, lambda change: steps.end(change, self.state, now, undone=undone, failure=failure))
        sweep(self._entry.access.engine, self.state)

    def wait_and_retire(self, wait: float) -> None:
        """Retire the previous value when that is due within `wait` seconds, else leave it to `resume` or `retire`."""
        if self._waiting().wait(wait):
            self._retire()
        else:
            self._let_go(None)

    def retire(self, *, force: bool) -> None:
        """Let the source refuse the previous value, when nobody needs it or with `force`, then end the rotation."""
        if self.state.step != PROMOTED:
            self._entry.refuse("retired", advice.unfinished(self.state))
        if not force:
            self._waiting().check_ready()
        self._retire()

    def _retire(self) -> None:
        self._accept(self._retiring().retire())
        failure = end_sessions(self._entry, self._source, self._clock)
        self.end("retired", failure=failure)

    def _accept(self, version: int) -> None:
        """Keep that the source accepts this version, as somebody may have given it another by hand."""
        if version != self.state.known:
            self.state = self.state._replace(known=version)
            self._entry.change("checked", lambda change: steps.accepted(change, self.state.name, version))

    def _retiring(self) -> Retiring:
        return Retiring(self._entry, self._source, self.state)

    def _waiting(self) -> Waiting:
        return Waiting(self._entry, self._clock, self.state, terminates=self._source.terminates)

    def _fail(self, stage: str, error: Exception) -> None:
        """Leave the source with the current value after a failure; raises what is to be said in place of `error`."""
        self._entry.failed(stage, error)
        if stage == SET and self._creation is not None and is_refusal(error):
            # A definite no to the first thing that was asked: there is nothing to put back and nothing to resume.
            raise self._refused(error, self._creation) from None
        left = undoing.put_back(self._entry, self._source, self.state)
        if isinstance(error, RotationError):
            raise advice.failed(self.state, error, left) from None

    def _refused(self, error: Exception, creation: Creation) -> SourceRefusedError:
        """End a rotation of which nothing is at the source, and return the error that says so."""
        left = creation.discard()
        if left:
            self.state = self.state._replace(next_id=self.state.id)
        self.end("aborted", undone=True)
        name = self.state.name
        return SourceRefusedError(f"{name!r} was not rotated, and nothing was changed: {error}{left}", name=name)

    def _promote(self, wait: float) -> VersionInfo:
        now, keeps = self._clock.now(), self._source.keeps_previous
        grace = self._source.grace(GRACE) if self.state.grace is None else self.state.grace
        state = self._renewed(wait)
        promoted: list[State] = []

        def step(change: Change) -> VersionInfo:
            made, after = steps.promote(change, state, now, grace, self._keep, keeps)
            promoted.append(after)
            return made

        made: VersionInfo = self._entry.change(PROMOTED, step)
        self.state = promoted[0]
        return made

    def _record(self, step: str) -> None:
        state = self._renewed(0)._replace(step=step, error=None, reason=None, failed=None)
        self.state = self._entry.change(step, lambda change: steps.record(change, state))

    def _renewed(self, wait: float) -> State:
        assert self.state.owner is not None
        until = self._clock.now() + wait + self._source.timeout + LEASE
        return self.state._replace(owner=self.state.owner._replace(until=until))

    def _let_go(self, error: Exception | None) -> None:
        """A failure in here must not hide the one before: the owner's end is noticed without it too."""
        now = self._clock.now()
        with suppress(StrongroomError):
            self._entry.change("released", lambda change: steps.let_go(change, self.state, error, now))
