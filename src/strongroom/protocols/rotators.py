"""What a rotator must do, and what it may have besides.

`Rotator` is the whole of what every rotator has. The other Protocols are optional, each for one purpose.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Rotator(Protocol):
    """Gives a secret a new value at its source: a database, an account at a provider, a generator.

    Data is the mapping of a secret's fields; a plain secret is the field `value`. Each method may be called again after
    a crash with the same arguments, and then does what is left to do, or nothing. It may raise anything; the text of
    a `StrongroomError` is shown, of another exception its class alone. It is called in a thread of its own, and given
    up when it does not return in time.

    A rotator that knows that its source said no and changed nothing raises `SourceRefusedError`. A previous value (or
    account) that is gone already is retired: `retire` then returns.
    """

    def create(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return new data for the secret that holds `current`, and touch nothing."""
        ...

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the source accept `pending`. Called the other way round to undo it."""
        ...

    def test(self, pending: Mapping[str, Any]) -> None:
        """Raise unless the source accepts `pending`."""
        ...

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the source refuse `previous`, and go on accepting `current`."""
        ...


class GraceTime(Protocol):
    """Optional: how long the previous value stays valid when the secret does not say it."""

    grace: float
    """Seconds for processes that have not switched."""


class SingleValue(Protocol):
    """Optional: what the source does with the previous value."""

    keeps_previous: bool
    """False when the source refuses the previous value from `set` on, so that there is no grace time."""


class TimeLimit(Protocol):
    """Optional: how long a step may take."""

    timeout: float
    """Seconds for each step, in place of 30."""


class Exclusive(Protocol):
    """Optional: what no two secrets may share."""

    accounts: Collection[str]
    """What it rotates at its source."""


class Checking(Protocol):
    """Optional: a look before the first step. Without it, `test` is asked about the current value."""

    def check(self, current: Mapping[str, Any]) -> Sequence[str] | None:
        """Raise unless the source accepts `current` and lets the rotator do what it will have to; change nothing.

        May return texts to show.
        """
        ...


class Adopting(Protocol):
    """Optional: taking an operator's own value."""

    def adopt(self, value: object, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `current` with an operator's own value, a text or a mapping of fields."""
        ...


class TestsNearly(Protocol):
    """Optional: finding a source that cuts or normalises values."""

    tests_nearly: bool
    """True when `test` may be asked, before promotion, with a value that differs from the pending one in one letter.

    A source that accepts it cuts or normalises. That is a failed log-in at the source, so without it nobody asks.
    """


class Stoppable(Protocol):
    """Optional: ending a step from another thread."""

    def stop(self) -> None:
        """End a step that is under way in another thread, and all that it has started."""
        ...


class KeepsKeysAway(Protocol):
    """Optional: for a rotator that starts programs."""

    def withhold(self, variables: Collection[str]) -> None:
        """Keep these environment variables, which hold keys of the store, from the programs."""
        ...


class Told(Protocol):
    """Optional: a rotator that is told for whom it works."""

    def about(self, name: str, rotation: str) -> None:
        """Take the secret's name and the id of the rotation before the first step.

        The id is the same when a step is repeated or resumed, and "" when no rotation is under way (`check`). It is
        durable before `create` is asked, and asked with again until what was made is used or discarded.
        """
        ...


class Discarding(Protocol):
    """Optional: for a rotator whose `create` makes something at the source."""

    def discard(self, created: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Remove what `create` has made, because no rotation is going to use it.

        It is of another shape, the secret was written meanwhile, or `set` was refused. (An abort calls `retire`.)
        """
        ...


class Sessions(NamedTuple):
    """Open sessions of one account that were not opened with its current value."""

    account: str
    open: int
    """How many there are."""
    oldest: float
    """Seconds since the oldest of them was opened."""


class KnowsSessions(Protocol):
    """Optional: sessions at the source that outlive the previous value."""

    terminates: bool
    """True when they must end once the previous value is retired."""

    def sessions(self, current: Mapping[str, Any], age: float) -> Sequence[Sessions]:
        """Return the sessions that were not opened with `current`, for each account that has any.

        Those are the sessions of its other account, and those of its own that are older than `age` seconds at
        the time of the call.
        """
        ...

    def end_sessions(self, current: Mapping[str, Any], age: float) -> int:
        """End these sessions; return how many they were."""
        ...


class SecondAccount(Protocol):
    """Optional: going over from one account to two that take turns."""

    def second_account(self, current: Mapping[str, Any], other: str) -> tuple[Sequence[str], str]:
        """Return the statements that give the source a second account, and the URL of a rotator of both.

        The account `other` gets the rights of the current one.
        """
        ...

    def make_second_account(self, current: Mapping[str, Any], other: str) -> None:
        """Run these statements."""
        ...
