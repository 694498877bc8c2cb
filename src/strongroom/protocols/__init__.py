"""The seams: what a driver must do, and what it may do besides, named and optional.

A driver imports this package, `errors`, `model`, `system` and `crypto`, and nothing above them. It translates the
exceptions of its library into `StrongroomError`s, and never prints.
"""

from strongroom.model import LogLine, Position
from strongroom.protocols.audit_sinks import (
    AuditSink,
    DurableLog,
    ForkableLog,
    PackedLog,
    PlacedLog,
    SearchableLog,
    WatchedLog,
)
from strongroom.protocols.key_providers import (
    KeyProvider,
)
from strongroom.protocols.policies import (
    Policy,
)
from strongroom.protocols.rotators import (
    Adopting,
    Checking,
    Discarding,
    Exclusive,
    GraceTime,
    KeepsKeysAway,
    KnowsSessions,
    Rotator,
    SecondAccount,
    Sessions,
    SingleValue,
    Stoppable,
    TestsNearly,
    TimeLimit,
    Told,
)
from strongroom.protocols.stores import (
    ChangeNotices,
    GitFriendly,
    Reader,
    Reporting,
    Reports,
    RevisionCounter,
    Scrubbing,
    SharedCounters,
    Store,
    TimedTransactions,
    Transaction,
    View,
)

__all__ = [
    "Adopting",
    "AuditSink",
    "ChangeNotices",
    "Checking",
    "Discarding",
    "DurableLog",
    "Exclusive",
    "ForkableLog",
    "GitFriendly",
    "GraceTime",
    "KeepsKeysAway",
    "KeyProvider",
    "KnowsSessions",
    "LogLine",
    "PackedLog",
    "PlacedLog",
    "Policy",
    "Position",
    "Reader",
    "Reporting",
    "Reports",
    "RevisionCounter",
    "Rotator",
    "Scrubbing",
    "SearchableLog",
    "SecondAccount",
    "Sessions",
    "SharedCounters",
    "SingleValue",
    "Stoppable",
    "Store",
    "TestsNearly",
    "TimeLimit",
    "TimedTransactions",
    "Told",
    "Transaction",
    "View",
    "WatchedLog",
]
