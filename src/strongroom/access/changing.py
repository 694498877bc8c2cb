"""Changes to an unlocked store, on record: an intent before, the outcome after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from strongroom.access.access import Access
from strongroom.engine.change import Change
from strongroom.errors import AuditError
from strongroom.info import VersionInfo
from strongroom.system.lazily import importing

Result = TypeVar("Result")
Name = TypeVar("Name", str, None, str | None)


def change(
    access: Access, action: str, capability: str, name: str | None, step: Callable[[Change], Result], *,
    stage: str | None = None,
) -> Result:  # fmt: skip
    """Run `step` in a transaction; see `change_many`."""
    return change_many(access, action, capability, {name: step}, stage)[name]


def change_many(
    access: Access, action: str, capability: str, steps: Mapping[Name, Callable[[Change], Result]],
    stage: str | None = None,
) -> dict[Name, Result]:  # fmt: skip
    """Run the steps of all names in one transaction: all happen or none.

    Each name's intent is on record before, its outcome after, both with the `stage` of a rotation. Raises what a
    step raises.
    """
    for name in steps:
        access.authorize(action, capability, name or "")
    record, actor = access.audit.record, access.actor
    intents = {name: record(action, name, "intent", stage=stage, actor=actor) for name in steps}
    try:
        with access.engine.change() as change:
            results = {name: step(change) for name, step in steps.items()}
            if change.changed:
                access.enter_checkpoint(change)
    except BaseException as error:
        for name, intent in intents.items():
            access.failed(action, name, error, intent=intent, stage=stage)
        raise
    revision = change.revision if change.changed else None
    try:
        for name, intent in intents.items():
            version = _version(results[name])
            record(action, name, "ok", version=version, stage=stage, revision=revision, intent=intent, actor=actor)
    except AuditError as error:
        raise AuditError(f"the change was made, but not its event ({error}); its intent is on record") from None
    return results


def _version(result: object) -> int | None:
    return result.version if isinstance(result, VersionInfo) else None


def accept(access: Access) -> int:
    """Take the store's entries as they are for right; see `strongroom.engine.integrity.accept`."""
    with importing:
        from strongroom.engine.integrity import accept

    access.authorize("VERIFY", "update", "")
    record, actor = access.audit.record, access.actor
    intent = record("VERIFY", None, "intent", reason="accept", actor=actor)
    try:
        revision = accept(access.engine, access.audit.checkpoint)
    except BaseException as error:
        access.failed("VERIFY", None, error, intent=intent)
        raise
    record("VERIFY", None, "ok", reason="accept", revision=revision, intent=intent, actor=actor)
    return revision
