"""Taking the entries of a store as they are, after a restore or a merge by hand."""

from __future__ import annotations

from strongroom.access.access import Access
from strongroom.engine import integrity


def accept(access: Access) -> int:
    """Take the store's entries as they are; see `strongroom.engine.integrity.accept`. Returns the new revision."""
    access.authorize("VERIFY", "manage", "")
    record, caller = access.audit.record, access.caller
    intent = record("VERIFY", None, "intent", reason="accept", caller=caller)
    try:
        revision = integrity.accept(access.engine, access.audit.checkpoint)
    except BaseException as error:
        access.failed("VERIFY", None, error, intent=intent)
        raise
    record("VERIFY", None, "ok", reason="accept", revision=revision, intent=intent, caller=caller)
    return revision
