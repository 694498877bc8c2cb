"""Every access to an unlocked store goes through here: authorized first, on record before it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from strongroom.audit.log import AuditLog
from strongroom.caller import Caller
from strongroom.engine.engine import Engine
from strongroom.engine.unlock import Unlocked
from strongroom.errors import (
    AuditError,
    DeniedError,
    InvalidNameError,
    NotFoundError,
    SecretNotFoundError,
    StrongroomError,
)
from strongroom.model import AUDIT, SECRET, check_name
from strongroom.records.records import why_missing
from strongroom.system.lazily import importing
from strongroom.system.moment import now

if TYPE_CHECKING:
    from strongroom.engine.change import Change
    from strongroom.info import SecretInfo, VersionInfo
    from strongroom.protocols import Policy, View

Name = TypeVar("Name", str, None, str | None)
Result = TypeVar("Result")
CHECKPOINT_PATIENCE = 0.1
"""Seconds that a reader waits for the store's write lock at most, to put its checkpoint there."""


_read: dict[str, dict[str, int | None]] = {}
"""Id of a store → name → the version that this process has read last: it may hold that value in a variable."""


class Taken:
    """A secret that a live handle takes up."""

    __slots__ = ("data", "expires", "stored", "version")

    def __init__(self, version: int, stored: bytes, data: bytes, expires: bool) -> None:
        self.version = version
        self.stored = stored
        """The record as it lies in the store, to notice another one."""
        self.data = data
        self.expires = expires


class Access:
    """One caller's access to one store. Immutable; `bind` makes another caller's."""

    __slots__ = ("_read_here", "_record", "_store", "audit", "caller", "engine", "policy")

    def __init__(self, engine: Engine, audit: AuditLog, caller: Caller, policy: Policy | None) -> None:
        self.engine = engine
        self.audit = audit
        self.caller = caller
        self.policy = policy
        self._store = engine.store
        self._record = audit.record
        self._read_here = _read.setdefault(audit.store, {})

    @property
    def actor(self) -> str:
        """Whom the policy judges."""
        return self.caller.actor

    def bind(self, caller: Caller, policy: Policy | None) -> Access:
        """Return the same access for another caller, under a policy of its own or else this one."""
        return Access(self.engine, self.audit, caller, policy or self.policy)

    def authorize(self, action: str, capability: str, name: str) -> None:
        """Raise `DeniedError`, on record, unless the policy lets the actor do this.

        `write` means create or update. Which of the two is needed is known only inside the transaction, where
        `change_all` checks it.
        """
        needed = ("create", "update") if capability == "write" else (capability,)
        if not any(self.allows(one, name) for one in needed):
            self._record(action, name or None, "denied", caller=self.caller)
            raise self._denial(capability, name)

    def _require(self, capability: str, name: str) -> None:
        if not self.allows(capability, name):
            raise self._denial(capability, name)

    def allows(self, capability: str, name: str) -> bool:
        """True when the policy lets the actor do this; nothing is recorded."""
        return self.policy is None or self.policy.allows(self.actor, capability, name)

    def _denial(self, capability: str, name: str) -> DeniedError:
        what = repr(name) if name else "the store"
        return DeniedError(f"{self.actor!r} may not {capability} {what}: the policy says no", name=name or None)

    def read(self, name: str, version: int | None) -> bytes | None:
        """Return the encoded data of a secret, or None when it is missing: the read path, top to bottom."""
        # What is found was checked when it was set; to check all names here would cost as much as the decryption.
        if self.policy is not None or type(name) is not str or not name.isascii():
            self.authorize("GET", "read", check_name(name))
        try:
            if version is not None:
                number, missing, data = self._numbered(check_name(name), version)
            elif (stored := self._store.get(SECRET + name)) is not None:
                number, flags, expires, data = self.engine.open_head(name, stored)
                missing = why_missing(flags, expires) if flags or expires else None
            else:
                self.engine.confirm_absence(check_name(name))
                number, missing, data = None, "missing", None
        except InvalidNameError:
            raise
        except StrongroomError as error:
            self.failed("GET", check_name(name), error, version=version)
            raise
        if missing:
            self._record("GET", name, "not_found", version=number, reason=missing, caller=self.caller)
            return None
        self._record("GET", name, "ok", version=number, caller=self.caller)
        if version is None:
            self._read_here[name] = number
        if self.audit.checkpoint_due:
            self.checkpoint()
        return data

    def read_whole(self, name: str, version: int | None) -> tuple[SecretInfo | None, VersionInfo | None, bytes | None]:
        """Return all that is known of a secret, the version that was asked for, and its encoded data, as of one moment.

        None where there is none; a version that is deleted, destroyed or expired has no data.
        """
        with importing:
            from strongroom.engine import versions

        self.authorize("GET", "read", check_name(name))
        known: VersionInfo | None = None
        data: bytes | None = None
        try:
            with self.engine.view() as (view, unlocked):
                stored = view.get(SECRET + name)
                info = None if stored is None else unlocked.records.open_info(name, stored)
                if info is not None:
                    known = info.version(info.current if version is None else version)
                if known is not None and known.readable_at(now()):
                    data = versions.read(view, unlocked.records, name, known.version)
            if info is None:
                self.engine.confirm_absence(name)
        except StrongroomError as error:
            self.failed("GET", name, error, version=version)
            raise
        number = version if known is None else known.version
        if data is None:
            reason = missing_because(known)
            self._record("GET", name, "not_found", version=number, reason=reason, caller=self.caller)
        else:
            self._record("GET", name, "ok", version=number, caller=self.caller)
            if known is not None and info is not None and known.version == info.current:
                self._read_here[name] = number
        if self.audit.checkpoint_due:
            self.checkpoint()
        return info, known, data

    def read_here(self, name: str) -> int | None:
        """Return the version of a secret that this process has read last, other than through a live handle."""
        return self._read_here.get(name)

    def take_up(self, name: str, held: bytes | None) -> Taken | None:
        """Return a secret for a live handle, on record; None when it still is the record `held`.

        Raises `SecretNotFoundError`, on record too.
        """
        self.authorize("GET", "read", check_name(name))
        version: int | None = None
        missing: str | None = "missing"
        try:
            stored = self._store.get(SECRET + name)
            if stored is None:
                self.engine.confirm_absence(name)
            elif stored == held:
                return None
            else:
                version, flags, expires, data = self.engine.open_head(name, stored)
                missing = why_missing(flags, expires)
        except StrongroomError as error:
            self.failed("GET", name, error)
            raise
        if stored is None or version is None or missing:
            self._record("GET", name, "not_found", version=version, reason=missing, caller=self.caller)
            raise SecretNotFoundError(f"there is no secret {name!r}, or it is deleted or has expired", name=name)
        self._record("GET", name, "ok", version=version, caller=self.caller)
        return Taken(version, stored, data, bool(expires))

    def counted(self, name: str, version: int, count: int) -> None:
        """Record reads of a live handle that were only counted."""
        self._record("GET", name, "ok", version=version, count=count, caller=self.caller)

    def _numbered(self, name: str, version: int) -> tuple[int, str | None, bytes | None]:
        """Return the number, why the version is missing, and its data."""
        with importing:
            from strongroom.engine import versions

        with self.engine.view() as (view, unlocked):
            stored = view.get(SECRET + name)
            info = None if stored is None else unlocked.records.open_info(name, stored)
            known = info.version(version) if info else None
            if known and known.readable_at(now()):
                return version, None, versions.read(view, unlocked.records, name, version)
        if info is None:
            self.engine.confirm_absence(name)
        return version, missing_because(known), None

    def view(self, action: str, capability: str, name: str, step: Callable[[View, Unlocked], Result]) -> Result:
        """Read several entries as of one moment. The caller records the success, as it knows what to say of it."""
        self.authorize(action, capability, name)
        try:
            with self.engine.view() as (view, unlocked):
                return step(view, unlocked)
        except StrongroomError as error:
            self.failed(action, name or None, error)
            raise

    def heads(self, action: str, capability: str, prefix: str) -> list[tuple[str, bytes]]:
        """Return path and record of each secret below `prefix`, as of one moment; the caller records the success."""
        self.authorize(action, capability, prefix)
        try:
            return self.engine.entries(SECRET + prefix)
        except StrongroomError as error:
            self.failed(action, prefix or None, error)
            raise

    def ok(
        self, action: str, name: str | None, *, count: int | None = None, reason: str | None = None,
        stage: str | None = None,
    ) -> None:  # fmt: skip
        """Record that something was answered."""
        self._record(action, name, "ok", count=count, reason=reason, stage=stage, caller=self.caller)

    def refused(
        self, action: str, name: str | None, reason: str, *, count: int | None = None, stage: str | None = None
    ) -> None:
        """Record that something was not as it must be."""
        self._record(action, name, "failed", reason=reason, count=count, stage=stage, caller=self.caller)

    def failed(
        self,
        action: str,
        name: str | None,
        error: BaseException,
        *,
        version: int | None = None,
        intent: str | None = None,
        stage: str | None = None,
    ) -> None:
        """Record a refusal. When the audit log itself is what failed, there is nothing to add to the error."""
        if isinstance(error, AuditError):
            return
        code = error.code if isinstance(error, StrongroomError) else type(error).__name__
        outcome, reason = (code, None) if isinstance(error, NotFoundError | DeniedError) else ("failed", code)
        self._record(
            action, name, outcome, version=version, stage=stage, reason=reason, intent=intent, caller=self.caller
        )

    def change(
        self, action: str, capability: str, name: str | None, step: Callable[[Change], Result], *,
        stage: str | None = None,
    ) -> Result:  # fmt: skip
        """Run `step` in a transaction; see `change_all`."""
        return self.change_all(action, capability, {name: step}, stage)[name]

    def change_all(
        self, action: str, capability: str, steps: Mapping[Name, Callable[[Change], Result]], stage: str | None = None
    ) -> dict[Name, Result]:
        """Run the steps of all names in one transaction: all happen or none. The write path, top to bottom.

        Each name's intent is logged before, its outcome after, both with the `stage` of a rotation. Raises what a step
        raises.
        """
        with importing:
            from strongroom.info import VersionInfo

        for name in steps:
            self.authorize(action, capability, name or "")
        record = partial(self.audit.record, action, stage=stage, caller=self.caller)
        intents = {name: record(name, "intent") for name in steps}
        try:
            with self.engine.change() as change:
                results: dict[Name, Result] = {}
                for name, step in steps.items():
                    if capability == "write" and name is not None:
                        self._require("update" if change.get(SECRET + name) is not None else "create", name)
                    results[name] = step(change)
                if change.changed:
                    self.enter_checkpoint(change)
        except BaseException as error:
            for name, intent in intents.items():
                self.failed(action, name, error, intent=intent, stage=stage)
            raise
        revision = change.revision if change.changed else None
        try:
            for name, intent in intents.items():
                result = results[name]
                version = result.version if isinstance(result, VersionInfo) else None
                record(name, "ok", version=version, revision=revision, intent=intent)
        except AuditError as error:
            raise AuditError(f"the change was made, but not its event ({error}); its intent is on record") from None
        return results

    def checkpoint(self) -> None:
        """Put the head of this process's audit stream into the store, if the store can be written now."""
        try:
            # Not for long: who holds the lock may have been stopped, and this is a read.
            with self.engine.change(within=CHECKPOINT_PATIENCE) as change:
                self.enter_checkpoint(change)
        except StrongroomError:
            # A reader on a read-only disk still reads; the next write or reader makes up for it.
            self.audit.postpone_checkpoint()

    def enter_checkpoint(self, change: Change) -> None:
        """Put the head of this process's audit stream into the store together with a change."""
        log, checkpoint = self.audit.checkpoint(lambda log: change.get(AUDIT + log))
        change.put(AUDIT + log, checkpoint)


def missing_because(known: VersionInfo | None) -> str:
    """Return in one word why a version that is not readable is not returned."""
    if known is None:
        return "missing"
    return known.state if known.state != "live" else "expired"
