"""`Rotation`: what a user of rotations holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from strongroom.access.access import Access
from strongroom.engine.unlock import Unlocked
from strongroom.errors import ConflictError, StrongroomError, VersionNotFoundError
from strongroom.info import VersionInfo
from strongroom.model import check_name
from strongroom.protocols import Reader, Rotator, Sessions
from strongroom.records.data import Data, Value, decode_value, encode
from strongroom.rotation import advice, attaching, pairing, steps
from strongroom.rotation.beginning import Beginning
from strongroom.rotation.calls import TIMEOUT, Calls
from strongroom.rotation.clock import Clock, SystemClock
from strongroom.rotation.entry import Entry, Live
from strongroom.rotation.looking import look
from strongroom.rotation.pairing import SecondAccount
from strongroom.rotation.rotators import Connect, Rotators
from strongroom.rotation.run import Run
from strongroom.rotation.sessions import sessions
from strongroom.rotation.settling import settled
from strongroom.rotation.source import Source
from strongroom.rotation.state import IDLE, PENDING, PROMOTED, State, load
from strongroom.rotation.status import RotationStatus, all_statuses, one_status, with_readers
from strongroom.rotation.taking_over import take_over
from strongroom.system.frames import methods_leave_no_values

SCHEDULE = ("every", "grace", "graces")
"""What of an attachment stays when another rotator is attached in its place."""
WAIT = 5.0
"""Seconds that a rotation waits for the processes that hold the secret, before it leaves the rest to `resume`."""


@methods_leave_no_values
class Rotation:
    """The rotations of one store on behalf of one actor.

    Methods raise `SecretNotFoundError`, `RotationError` (the rotator failed: the current value is kept, and the message
    says what to do), `ConflictError` (another rotation is under way), and what every method of `SecretsManager` raises.
    """

    def __init__(
        self, access: Access, connect: Connect | None, keep: int, *, clock: Clock | None = None,
        timeout: float = TIMEOUT,
    ) -> None:  # fmt: skip
        """`connect` makes a rotator of its URL, `keep` is `max_versions`, `timeout` bounds each call of a rotator."""
        self._access = access
        self._connect = connect
        self._keep = keep
        self._clock = clock or SystemClock()
        self._calls = Calls(timeout)
        self._rotators = Rotators(access, connect, self._calls)

    def with_clock(self, clock: Clock, *, timeout: float = TIMEOUT) -> Rotation:
        """Return the same rotations by another clock, such as `strongroom.testing.rotators.VirtualClock`."""
        return Rotation(self._access, self._connect, self._keep, clock=clock, timeout=timeout)

    def attach(
        self, name: str, url: str, *, every: float | None = None, grace: float | None = None, force: bool = False,
        graces: Mapping[str, float] | None = None,
    ) -> list[str]:  # fmt: skip
        """Let the rotator `url` rotate this secret from now on; `every` and `grace` are seconds.

        `graces` has services with a grace time of their own, such as `{"reports": 86400}`: while a process of that
        service holds the previous value, it is kept until then, and for everybody else until `grace` has gone by.

        Asks the source whether a rotation would begin well, unless `force`, and returns what there is to say of it.
        With `every` it is due that long after its current version was made. Raises `ConfigError` for a URL that cannot
        be, `InvalidInputError` for spans that cannot be, `RotationError` when the source would refuse (nothing is
        attached then), `ConflictError` when another secret has the same account.
        """
        wanted = attaching.Attachment(url, every, grace, {} if graces is None else graces)
        return attaching.attach(self._entry(name), self._rotators, self._clock, wanted, force=force)

    def reschedule(
        self, name: str, *, every: float | None = None, grace: float | None = None,
        graces: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Change what is given of an attached rotator's `every`, `grace` and `graces`; its source is not asked.

        Raises `NotFoundError` when the secret has no rotator, `InvalidInputError` for spans that cannot be.
        """
        attaching.reschedule(self._entry(name), every, grace, graces)

    def detach(self, name: str, *, force: bool = False) -> None:
        """Let no rotator rotate this secret; raises `ConflictError` while a rotation is under way.

        With `force` that ends where it is, and its source stays as it is.
        """
        attaching.detach(self._entry(name), self._clock, force=force)

    def check(self, name: str, rotator: Rotator | None = None) -> list[str]:
        """Ask the source whether a rotation would begin well, and change nothing; return what there is to say.

        Raises `RotationError` with the reason when it would not: the current value is refused, or what the rotator
        needs is missing.
        """
        entry = self._entry(name)
        live = entry.read_live()
        said = look(entry, self._source_of(live.state, rotator), live, self._clock)
        if rotator is None:
            entry.change("checked", lambda change: steps.accepted(change, name, live.version.version))
        else:
            self._access.ok("ROTATE", name, stage="checked")
        return said

    def has_rotator(self, name: str) -> bool:
        """True when a rotator is attached to the secret."""
        return self._entry(name).has_rotator()

    def rotate(
        self, name: str, rotator: Rotator | None = None, *, new_value: Value | Data | None = None,
        cas: int | None = None, wait: float = WAIT, force: bool = False,
    ) -> VersionInfo:  # fmt: skip
        """Give a secret a new value, at its source too, and return the new version's metadata.

        Without `rotator` it is the attached one. First the source is asked whether it accepts the current value; with
        `force` it may refuse that. Waits up to `wait` seconds for the live consumers, then retires the previous value;
        when some have not switched by then, `resume` or `retire` does that later.
        """
        entry = self._entry(name)
        live = entry.read_live()
        source = self._source_of(live.state, rotator)
        beginning = Beginning(entry, source, self._clock, live, new_value)
        if beginning.back is None and live.state.step == PROMOTED:
            self.retire(name, rotator)
        elif beginning.back is None and live.state.id:
            entry.refuse(PENDING, advice.unfinished(live.state))
        self._rotators.check_not_hanging(entry, PENDING)
        state = beginning.begin(by_url=rotator is None, cas=cas, force=force)
        with Run(entry, self._clock, self._keep, state, source, beginning.creation).owned() as run:
            return run.forward(wait)

    def roll_back(self, name: str, version: int, *, cas: int | None = None, wait: float = WAIT) -> VersionInfo:
        """Give a secret with a rotator the value of an older version again, at its source too.

        Raises `VersionNotFoundError`, and what `rotate` raises.
        """
        data = self._access.read(check_name(name), version)
        if data is None:
            raise VersionNotFoundError(f"{name!r} has no live version {version}", name=name, version=version)
        return self.rotate(name, new_value=decode_value(data), cas=cas, wait=wait)

    def would_end(self, name: str, value: Value | Data) -> bool:
        """True when `value` is the previous value of a rotation, which its source is going to refuse."""
        state = self._entry(name).state()
        return state is not None and state.step == PROMOTED and state.by_url and encode(value) == state.data

    def resume(self, name: str, rotator: Rotator | None = None, *, wait: float = WAIT) -> VersionInfo:
        """Finish a rotation that was interrupted, wherever that was, and return the version that it made."""
        with self._taken_over(name, rotator).owned() as run:
            return run.go_on(wait)

    def abort(self, name: str, rotator: Rotator | None = None, *, force: bool = False) -> None:
        """Undo a rotation that is not promoted: the source gets the current value back and refuses the pending one.

        With `force` the source is not asked, because it is gone or was put right by hand; a promoted rotation ends so
        too, with its new value current.
        """
        with self._taken_over(name, rotator, needed=not force).owned() as run:
            run.abort(force=force)

    def retire(self, name: str, rotator: Rotator | None = None, *, force: bool = False) -> None:
        """Let the source refuse the previous value now.

        Raises `ConflictError`, naming them, while processes hold it and the grace time has not ended, unless `force`.
        """
        with self._taken_over(name, rotator).owned() as run:
            run.retire(force=force)

    def settle(self, names: Iterable[str], *, wait: float = WAIT) -> dict[str, StrongroomError]:
        """Wait once for the consumers of many rotations, and retire each previous value that nobody needs any more.

        Rotate each with `wait=0` before. Waits up to `wait` seconds for all of them together; what is left then is for
        a later `resume`. Returns the error of each that failed.
        """
        failed: dict[str, StrongroomError] = {}
        for name in settled([self._entry(name) for name in names], self._clock, wait):
            try:
                self.resume(name, wait=0)
            except StrongroomError as error:
                # Somebody else took it over in between, who says what becomes of it.
                if not isinstance(error, ConflictError):
                    failed[name] = error
        return failed

    def sessions(self, name: str, rotator: Rotator | None = None) -> list[Sessions]:
        """Return the open sessions at the source that were not opened with the current value, by account.

        Empty too where the rotator cannot tell. Raises `RotationError` when the source cannot be asked.
        """
        entry = self._entry(name)
        live = entry.read_live()
        return sessions(entry, self._source_of(live.state, rotator), live, self._clock)

    def ends_sessions(self, name: str) -> bool:
        """True when the attached rotator ends these sessions once the previous value is retired."""
        return self._source_of(self._entry(name).read_live().state, None).terminates

    def status(self, name: str | None = None, *, holders: bool = False) -> list[RotationStatus]:
        """Return what is known of one secret, or of all that have a rotator or a rotation.

        With `holders` also who has read it and says nothing more, which is looked for in the audit log.
        """
        known = (
            all_statuses(self._access, self._clock.now())
            if name is None
            else [one_status(self._access, check_name(name), self._clock.now())]
        )
        self._access.ok("ROTATE", name, reason="status", count=len(known))
        return [with_readers(self._access, status) for status in known] if holders else known

    def pending(self, name: str) -> Any:
        """Return the value that the source may have taken already although it is not current; None when there is none.

        A process that dies between the source's consent and promotion leaves the source ahead of the store until
        `resume`. Whoever is refused with the current value can log in with this one meanwhile. It is on record: GET
        with the stage `pending`.
        """

        def step(view: Reader, unlocked: Unlocked) -> State | None:
            return load(view, unlocked.records, name)

        state = self._access.view("GET", "read", check_name(name), step)
        if state is None or not state.is_staged:
            return None
        self._access.ok("GET", name, stage=PENDING)
        return decode_value(state.data)

    def second_account(self, name: str, other: str) -> SecondAccount:
        """Return what gives the source a second account `other`, so that two can take turns; change nothing.

        Raises `RotationError` when the rotator has no such thing or would refuse, `ConflictError` during a rotation.
        """
        live = self._entry(name).read_live()
        return pairing.plan(self._for_second(live), live.data, other)

    def make_second_account(self, name: str, other: str, *, add_username: bool = False) -> SecondAccount:
        """Make the second account at the source, and attach the rotator of both.

        A secret of two accounts says whose password it holds. Where this one does not, it gets the field `username`
        beside what it has, with `add_username`; `InvalidInputError` without, and nothing was changed.
        """
        entry = self._entry(name)
        live = entry.read_live()
        source = self._for_second(live)
        second = pairing.pair(entry, source, live, other, self._clock.now(), self._keep, add_username=add_username)
        self.attach(name, second.url, **{field: getattr(live.state, field) for field in SCHEDULE})
        return second

    def _for_second(self, live: Live) -> Source:
        if live.state.id:
            raise advice.unfinished(live.state)
        return self._rotators.attached(live.state)

    def due(self) -> list[str]:
        """Return the names of the secrets whose period is over, and of those with a rotation to finish."""
        now = self._clock.now()

        def is_due(status: RotationStatus) -> bool:
            return status.step != IDLE or (status.due is not None and status.due <= now)

        return [status.name for status in self.status() if is_due(status) and not status.running]

    def _entry(self, name: str) -> Entry:
        return Entry(self._access, check_name(name))

    def _source_of(self, state: State, rotator: Rotator | None) -> Source:
        if rotator is not None:
            return self._rotators.source(state.name, rotator)
        try:
            return self._rotators.attached(state)
        except StrongroomError as error:
            self._entry(state.name).failed("checked", error)
            raise

    def _taken_over(self, name: str, rotator: Rotator | None, *, needed: bool = True) -> Run:
        entry = self._entry(name)
        self._rotators.check_not_hanging(entry, "resumed")
        state, source = take_over(entry, self._rotators, self._clock, rotator, needed=needed)
        return Run(entry, self._clock, self._keep, state, source)
