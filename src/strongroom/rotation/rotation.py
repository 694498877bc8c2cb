"""`Rotation`: what a user of rotations holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from strongroom.access import changing
from strongroom.access.access import Access
from strongroom.engine.change import Change
from strongroom.engine.unlock import Unlocked
from strongroom.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RotationError,
    SecretNotFoundError,
    StrongroomError,
    VersionNotFoundError,
)
from strongroom.info import VersionInfo
from strongroom.model import ROTATION, SECRET, check_name
from strongroom.protocols import Reader, Rotator
from strongroom.records.context import entries
from strongroom.records.data import Data, Value, decode_data, decode_value, encode
from strongroom.rotation import steps
from strongroom.rotation.calls import TIMEOUT, Calls
from strongroom.rotation.clock import Clock, SystemClock
from strongroom.rotation.consumers import reported
from strongroom.rotation.owner import LEASE, Owner, claim, release
from strongroom.rotation.readers import Readers, readers
from strongroom.rotation.run import Run
from strongroom.rotation.source import Source
from strongroom.rotation.state import IDLE, PENDING, PROMOTED, State, load, open_state
from strongroom.rotation.status import RotationStatus, status_of
from strongroom.system.frames import methods_leave_no_values

Read = Callable[[str], Mapping[str, Any]]
"""Returns the fields of another secret, on record; a rotator may need an administrator's password."""
Connect = Callable[[str, Read], Rotator]
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

    def with_clock(self, clock: Clock, *, timeout: float = TIMEOUT) -> Rotation:
        """Return the same rotations by another clock, such as `strongroom.testing.rotators.VirtualClock`."""
        return Rotation(self._access, self._connect, self._keep, clock=clock, timeout=timeout)

    def attach(
        self, name: str, url: str, *, every: float | None = None, grace: float | None = None, force: bool = False
    ) -> list[str]:
        """Let the rotator `url` rotate this secret from now on; `every` and `grace` are seconds.

        Asks the source whether a rotation would begin well, unless `force`, and returns what there is to say of it.
        With `every` it is due that long after its current version was made. Raises `ConfigError` for a URL that cannot
        be, `InvalidInputError` for spans that cannot be, `RotationError` when the source would refuse (nothing is
        attached then), `ConflictError` when another secret has the same account.
        """
        for span in (every, grace):
            if span is not None and (type(span) not in (int, float) or not 0 <= span < 1e10):
                raise InvalidInputError("every and grace are numbers of seconds")
        if not isinstance(url, str):
            raise InvalidInputError(f"a rotator is attached by its URL, which is text, not {type(url).__name__}")
        source = self._source(check_name(name), self._rotator(url))
        said: list[str] = []
        version = 0
        if not force:
            state, info, current = self._read_current(name)
            try:
                self._check_is_free(name, source)
                # While a rotation is under way the source may have another value than the current one.
                said, version = ([], 0) if state.id else (source.check(decode_data(current)), info.version)
            except RotationError as error:
                self._access.refused("ROTATE", name, error.code, stage="attached")
                raise type(error)(
                    f"nothing was attached to {name!r}: {error}. Put that right, or --force attaches it unseen",
                    name=name,
                ) from None

        def step(change: Change) -> None:
            steps.current(change, name)
            state = load(change, change.records, name) or State(name)
            if state.by_url and url != state.url and not force and not self._is_same(state.url, source):
                raise ConflictError(
                    f"{name!r} is being rotated by another rotator; finish that first, or --force", name=name
                )
            steps.store(change, state._replace(url=url, every=every, grace=grace, known=version or state.known))

        self._change(name, "attached", step)
        return said

    def detach(self, name: str, *, force: bool = False) -> None:
        """Let no rotator rotate this secret; raises `ConflictError` while a rotation is under way.

        With `force` that ends where it is, and its source stays as it is.
        """

        def step(change: Change) -> None:
            state = load(change, change.records, name)
            if state is not None and state.id and (not force or _is_working(state, self._clock.now())):
                raise ConflictError(
                    f"{name!r} is being rotated ({state.step}); finish that first, or --force leaves its source as it "
                    "is",
                    name=name,
                )
            if state is not None:
                change.delete(ROTATION + name)

        self._change(check_name(name), "detached", step)

    def check(self, name: str, rotator: Rotator | None = None) -> list[str]:
        """Ask the source whether a rotation would begin well, and change nothing; return what there is to say.

        Raises `RotationError` with the reason when it would not: the current value is refused, or what the rotator
        needs is missing.
        """
        state, version, current = self._read_current(check_name(name))
        source = self._source(name, rotator or self._attached(state))
        said = self._look(name, source, current)
        if rotator is None:
            self._change(name, "checked", lambda change: steps.accepted(change, name, version.version))
        else:
            self._access.ok("ROTATE", name, stage="checked")
        return said

    def has_rotator(self, name: str) -> bool:
        """True when a rotator is attached to the secret."""
        with self._access.engine.view() as (view, unlocked):
            state = load(view, unlocked.records, check_name(name))
        return state is not None and state.url is not None

    def rotate(
        self, name: str, rotator: Rotator | None = None, *, new_value: Value | Data | None = None,
        cas: int | None = None, wait: float = WAIT, force: bool = False,
    ) -> VersionInfo:  # fmt: skip
        """Give a secret a new value, at its source too, and return the new version's metadata.

        Without `rotator` it is the attached one. First the source is asked whether it accepts the current value; with
        `force` it may refuse that. Waits up to `wait` seconds for the live consumers, then retires the previous value;
        when some have not switched by then, `resume` or `retire` does that later.
        """
        state, version, current = self._read_current(check_name(name))
        source = self._source(name, rotator or self._attached(state))
        back = self._back(state, version, new_value)
        if state.step == PROMOTED and back is None:
            self.retire(name, rotator)
        elif state.id and back is None:
            raise _unfinished(state)
        self._check_not_hanging(name)
        drifted = self._is_drifted(name, source, current, new_value, force=force)
        owner = claim(self._clock.now() + source.timeout + LEASE)
        try:
            if state.url is not None and back is None:
                # Before `create` is asked, which may make a key at a vendor: only one process asks it.
                self._change(name, "claimed", lambda change: steps.reserve(change, name, owner, self._clock.now()))
            pending = state.data if back is not None else self._pending(name, source, new_value, current)
            new = State(
                name, step=PENDING, id=os.urandom(8).hex(), by_url=rotator is None, before=version.version,
                started=self._clock.now(), owner=owner, data=pending, drifted=drifted, back=back,
                keeps_previous=source.keeps_previous,
            )  # fmt: skip
            begun = self._change(name, PENDING, lambda change: steps.begin(change, new, cas))
        except BaseException as error:
            self._leave(name, owner, error)
            raise
        with self._run(begun, source, fresh=True).owned() as run:
            return run.forward(wait)

    def roll_back(self, name: str, version: int, *, cas: int | None = None, wait: float = WAIT) -> VersionInfo:
        """Give a secret with a rotator the value of an older version again, at its source too.

        Raises `VersionNotFoundError`, and what `rotate` raises.
        """
        found = self._access.read(check_name(name), version)
        if found is None:
            raise VersionNotFoundError(f"{name!r} has no live version {version}", name=name, version=version)
        return self.rotate(name, new_value=_given(found), cas=cas, wait=wait)

    def would_end(self, name: str, value: Value | Data) -> bool:
        """True when `value` is the previous value of a rotation, which its source is going to refuse."""
        with self._access.engine.view() as (view, unlocked):
            state = load(view, unlocked.records, check_name(name))
        return state is not None and state.step == PROMOTED and state.by_url and encode(value) == state.data

    def resume(self, name: str, rotator: Rotator | None = None, *, wait: float = WAIT) -> VersionInfo:
        """Finish a rotation that was interrupted, wherever that was, and return the version that it made."""
        with self._taken_over(name, rotator).owned() as run:
            if run.state.step != PROMOTED:
                return run.forward(wait)
            run.mend()
            run.wait_and_retire(wait)
            return VersionInfo(run.state.after, run.state.promoted or 0)

    def abort(self, name: str, rotator: Rotator | None = None, *, force: bool = False) -> None:
        """Undo a rotation that is not promoted: the source gets the current value back and refuses the pending one.

        With `force` the source is not asked, because it is gone or was put right by hand; a promoted rotation ends so
        too, with its new value current.
        """
        with self._taken_over(name, rotator, needed=not force).owned() as run:
            if run.state.step == PROMOTED and not force:
                raise ConflictError(
                    f"the new value of {name!r} is current already; `strongroom rollback {name} {run.state.before}` "
                    "goes back to the one before, at the source too. --force ends the rotation, and leaves its source "
                    "as it is",
                    name=name,
                )
            if force:
                run.end("aborted", undone=run.state.step != PROMOTED)
            else:
                run.undo()

    def retire(self, name: str, rotator: Rotator | None = None, *, force: bool = False) -> None:
        """Let the source refuse the previous value now.

        Raises `ConflictError`, naming them, while processes hold it and the grace time has not ended, unless `force`.
        """
        with self._taken_over(name, rotator).owned() as run:
            if run.state.step != PROMOTED:
                raise _unfinished(run.state)
            if not force:
                run.check_ready()
            run.retire()

    def status(self, name: str | None = None, *, holders: bool = False) -> list[RotationStatus]:
        """Return what is known of one secret, or of all that have a rotator or a rotation.

        With `holders` also who has read it and says nothing more, which is looked for in the audit log.
        """
        now = self._clock.now()

        def step(view: Reader, unlocked: Unlocked) -> list[RotationStatus]:
            records = unlocked.records
            if name is not None:
                return [status_of(view, unlocked, load(view, records, name) or State(name), rows, now)]
            states = [
                open_state(records, path.removeprefix(ROTATION), stored) for path, stored in entries(view, ROTATION)
            ]
            return [status_of(view, unlocked, state, rows, now) for state in states if view.get(SECRET + state.name)]

        if name is not None:
            check_name(name)
        rows = reported(self._access.engine.store, name)
        known = self._access.view("ROTATE", "list" if name is None else "read", name or "", step)
        self._access.ok("ROTATE", name, reason="status", count=len(known))
        return [status.with_readers(self._readers(status)) for status in known] if holders else known

    def _readers(self, status: RotationStatus) -> Readers:
        """Return who has read the value that a rotation retires, or that the next one would."""
        with self._access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + status.name)
            info = None if stored is None else unlocked.records.open_info(status.name, stored)
        before = status.before or status.version
        made = None if info is None else info.version(before)
        since = made.created if made else status.started or 0.0
        after = status.version if status.before else status.version + 1
        return readers(self._access, status.name, before, after, since)

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

    def due(self) -> list[str]:
        """Return the names of the secrets whose period is over, and of those with a rotation to finish."""
        now = self._clock.now()

        def is_due(status: RotationStatus) -> bool:
            return status.step != IDLE or (status.due is not None and status.due <= now)

        return [status.name for status in self.status() if is_due(status) and not status.running]

    def _source(self, name: str, rotator: Rotator) -> Source:
        return Source(self._calls, name, rotator)

    def _run(self, state: State, source: Source, *, fresh: bool = False) -> Run:
        return Run(self._access, self._clock, self._keep, state, source, fresh=fresh)

    def _leave(self, name: str, owner: Owner, error: BaseException) -> None:
        """Let others begin a rotation that this process claimed and did not begin."""
        failure, now = error if isinstance(error, Exception) else None, self._clock.now()
        try:
            if self.has_rotator(name):
                mine = State(name, owner=owner)
                self._change(name, "released", lambda change: steps.let_go(change, mine, failure, now))
        except StrongroomError:
            pass  # noticed without it, when this process has ended
        finally:
            release(owner.token)

    def _look(self, name: str, source: Source, current: bytes) -> list[str]:
        """Ask the source before anything is changed; raises `RotationError`, on record and kept for `status`."""
        try:
            return source.check(decode_data(current))
        except RotationError as error:
            failure = error
        self._access.refused("ROTATE", name, failure.code, stage="checked")
        now = self._clock.now()
        if self.has_rotator(name):
            self._change(name, "checked", lambda change: steps.look_failed(change, name, failure, now))
        raise failure

    def _is_drifted(
        self, name: str, source: Source, current: bytes, new_value: Value | Data | None, *, force: bool
    ) -> bool:
        """Return False when the source accepts the current value, True when a rotation begins although it does not.

        That is so with `force`, and when the source accepts the operator's own new value already. Raises
        `RotationError` otherwise.
        """
        try:
            self._look(name, source, current)
        except RotationError as error:
            if force or (new_value is not None and source.accepts(decode_data(source.adopt(new_value, current)))):
                return True
            raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None
        return False

    @staticmethod
    def _back(
        state: State, version: VersionInfo, new_value: Value | Data | None
    ) -> tuple[int, int, float, float] | None:  # fmt: skip
        """Return what a rotation back turns round, None when `new_value` is not the previous value."""
        is_previous = state.step == PROMOTED and new_value is not None and version.version == state.after
        if not is_previous or not state.data or decode_data(encode(new_value or "")) != decode_data(state.data):
            return None
        return state.before, state.after, state.promoted or 0.0, state.grace_ends or 0.0

    def _check_is_free(self, name: str, source: Source) -> None:
        """Raise `ConflictError` when the rotator of another secret rotates the same account."""
        with self._access.engine.view() as (view, unlocked):
            others = [open_state(unlocked.records, path.removeprefix(ROTATION), stored)
                      for path, stored in entries(view, ROTATION)]  # fmt: skip
        for other in others:
            if other.name == name or other.url is None or not source.accounts:
                continue
            try:
                shared = source.accounts & self._source(other.name, self._rotator(other.url)).accounts
            except StrongroomError:
                continue
            if shared:
                raise ConflictError(
                    f"{name!r} cannot be rotated by this: {other.name!r} rotates {', '.join(sorted(shared))} already, "
                    "and each rotation would shut the readers of the other out. Let one of the two stand for both",
                    name=name,
                )

    def _is_same(self, url: str | None, source: Source) -> bool:
        """True when another URL leads to the same accounts, if at another host."""
        if url is None:
            return False
        try:
            before = self._source("", self._rotator(url))
        except StrongroomError:
            return False
        return before.kind == source.kind and before.users == source.users

    def _taken_over(self, name: str, rotator: Rotator | None, *, needed: bool = True) -> Run:
        """Own the rotation of `name`; its rotator is not made unless it is `needed`."""
        self._check_not_hanging(check_name(name))
        owner = claim(self._clock.now() + self._calls.timeout + LEASE)

        def step(change: Change) -> State:
            state = steps.take_over(change, name, owner, self._clock.now())
            if rotator is None and needed and not state.by_url:
                raise InvalidInputError(f"the rotation of {name!r} began with a rotator object: pass it again")
            return state

        state = None
        try:
            state = self._change(name, "resumed", step)
            return self._run(state, self._source(name, rotator or (self._found(state) if needed else _Unused())))
        except BaseException:
            if state is not None:
                now = self._clock.now()
                self._change(name, "released", lambda change: steps.let_go(change, state, None, now))
            release(owner.token)
            raise

    def _read_current(self, name: str) -> tuple[State, VersionInfo, bytes]:
        def step(view: Reader, unlocked: Unlocked) -> tuple[State, VersionInfo, bytes]:
            stored = view.get(SECRET + name)
            info = None if stored is None else unlocked.records.open_info(name, stored)
            if stored is None or info is None or info.versions[-1].state != "live":
                raise SecretNotFoundError(f"there is no secret {name!r}, or it is deleted", name=name)
            data = unlocked.records.open_data(name, stored)
            return load(view, unlocked.records, name) or State(name), info.versions[-1], data

        return self._access.view("ROTATE", "update", name, step)

    def _pending(self, name: str, source: Source, new_value: Value | Data | None, current: bytes) -> bytes:
        try:
            return source.create(current) if new_value is None else source.adopt(new_value, current)
        except RotationError as error:
            self._access.refused("ROTATE", name, error.code, stage=PENDING)
            raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None

    def _check_not_hanging(self, name: str) -> None:
        if self._calls.hangs(name):
            raise ConflictError(
                f"an earlier call to the rotator of {name!r} has not come back, and may still change the source; wait "
                "for it, or end this process",
                name=name,
            )

    def _found(self, state: State) -> Rotator:
        """Return the rotator of a rotation that is under way; the error says the way out when there is none."""
        try:
            return self._attached(state)
        except StrongroomError as error:
            failure = error
        name = state.name
        raise type(failure)(
            f"{failure}. `strongroom rotate {name} --attach URL` says where the rotator is now, `strongroom rotate "
            f"abort {name} --force` ends the rotation and leaves its source as it is",
            name=name,
        )

    def _attached(self, state: State) -> Rotator:
        if state.url is None:
            raise NotFoundError(f"{state.name!r} has no rotator: pass one, or attach one", name=state.name)
        return self._rotator(state.url)

    def _rotator(self, url: str) -> Rotator:
        if self._connect is None:
            raise NotFoundError("this manager was made without rotators; use strongroom.open()")
        rotator = self._connect(url, self._read)
        withhold = getattr(rotator, "withhold", None)
        if withhold is not None:
            withhold(self._key_variables())
        return rotator

    def _key_variables(self) -> set[str]:
        """Return the environment variables that hold a key of the store: this process's, and any recipient's."""
        engine = self._access.engine
        labels = [engine.provider.url, *(recipient.label for recipient in engine.unlocked.header.recipients)]
        return {label.removeprefix("env:") for label in labels if label.startswith("env:")}

    def _read(self, name: str) -> Mapping[str, Any]:
        found = self._access.read(name, None)
        if found is None:
            raise SecretNotFoundError(f"there is no secret {name!r}, which a rotator needs", name=name)
        return decode_data(found)

    def _change(self, name: str, stage: str, step: Callable[[Change], Any]) -> Any:
        return changing.change(self._access, "ROTATE", "update", name, step, stage=stage)


class _Unused:
    """Stands where a rotator is not asked."""

    timeout = None

    def __getattr__(self, name: str) -> Any:
        raise RotationError("this rotation was to end without its rotator")


def _is_working(state: State, now: float) -> bool:
    return state.owner is not None and state.owner.is_working(now)


def _given(data: bytes) -> Value | Data:
    value: Value | Data = decode_value(data)
    return value


def _unfinished(state: State) -> ConflictError:
    return ConflictError(
        f"a rotation of {state.name!r} is not finished ({state.step}): `strongroom rotate resume {state.name}` "
        f"finishes it, `strongroom rotate abort {state.name}` undoes it",
        name=state.name,
    )
