"""What a driver can do besides what every driver of its kind can: the only place that asks.

Each function returns the driver as the optional Protocol of `strongroom.protocols`, None when it lacks a member of it.
A member that is None counts as lacking.
"""

# mypy: disable-error-code=no-any-return
# What the members of a driver are is known by their names only, and a Protocol is what its functions say.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.protocols import (
        AuditSink,
        ChangeNotices,
        DurableLog,
        ForkableLog,
        PackedLog,
        PlacedLog,
        Reports,
        Scrubbing,
        SearchableLog,
        SharedCounters,
        Store,
        TimedTransactions,
        WatchedLog,
    )


def shared_counters(store: Store) -> SharedCounters | None:
    """Return what tells freshness without a call."""
    return _with(store, "commits", "mark")


def change_notices(store: Store) -> ChangeNotices | None:
    """Return what waits for a change."""
    return _with(store, "wait", "wake")


def scrubbing(store: Store) -> Scrubbing | None:
    """Return what removes what is left of deleted entries."""
    return _with(store, "scrub")


def timed_transactions(store: Store) -> TimedTransactions | None:
    """Return what begins a transaction within a time."""
    return _with(store, "transaction_within")


def reports(store: Store) -> Reports | None:
    """Return the reports of a store."""
    reporting = _with(store, "reports")
    return None if reporting is None else reporting.reports


def moves_with_git(store: Store) -> bool:
    """Return whether the store is a file that is made to be committed; see `GitFriendly`."""
    return bool(getattr(store, "moves_with_git", False))


def revision(store: Store) -> int:
    """Return the number of commits so far: from the store's counter, or else from a view."""
    counter = _with(store, "revision")
    if counter is not None:
        return counter.revision()
    with store.view() as view:
        return view.revision


def durable(sink: AuditSink) -> DurableLog | None:
    """Return what makes the log survive power loss."""
    return _with(sink, "sync")


def placed(sink: AuditSink) -> PlacedLog | None:
    """Return what says where the log is."""
    return _with(sink, "where")


def searchable(sink: AuditSink) -> SearchableLog | None:
    """Return what looks at one line."""
    return _with(sink, "holds")


def watched(sink: AuditSink) -> WatchedLog | None:
    """Return what says what was done to the log."""
    return _with(sink, "take_harm")


def forkable(sink: AuditSink) -> ForkableLog | None:
    """Return what is to be told of a fork."""
    return _with(sink, "reopen")


def packed(sink: AuditSink) -> PackedLog | None:
    """Return what names compressed segments."""
    return _with(sink, "compressed")


def _with(driver: Any, *members: str) -> Any:
    return driver if all(getattr(driver, member, None) is not None for member in members) else None
