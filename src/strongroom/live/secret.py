"""One secret whose value is always the current one: what a program holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from strongroom.secret import STARS

if TYPE_CHECKING:
    from strongroom.live.live import Live
    from strongroom.rotation.previous import Previous

Callback = Callable[["LiveSecret"], None]
NOTHING: Sequence[int] = (0,)


class LiveSecret:
    """One secret, always current. `str(handle)` and `handle()` are its value; its repr is not.

    `value` costs about five dictionary look-ups while nobody changes the secret. A version is on record (GET) when
    this process takes it up; further reads are counted, and put on record once a minute and at exit.

    Usable from threads, from asyncio (nothing here blocks for longer than a read of the store) and after `fork`.
    """

    __slots__ = ("__weakref__", "_asked", "_callbacks", "_counted", "_heard", "_live", "_mark", "_marked", "_news",
                 "_previous", "_reads", "_stored", "_told", "_value", "name", "seen", "version")  # fmt: skip

    def __init__(self, live: Live, name: str) -> None:
        """Made by `SecretsManager.secret`."""
        self._live = live
        self.name = name
        self.version = 0
        """The number of the version that `value` returned last."""
        self._value: Any = None
        self._stored: bytes | None = None
        self._mark, self._marked = NOTHING, -1
        """A number that moves when the secret may have changed, and what it showed when the value was read."""
        self._reads = self._counted = 0
        self._asked = (0, 0)
        """The version that code of the program was last given, and `_reads` when the present one was taken up."""
        self._heard = 0
        """The version that every callback has taken up without raising."""
        self._news = self._told = 0
        """How many new versions this process has taken up, and of how many of them callbacks have been told."""
        self._callbacks: list[tuple[Callback, int]] = []
        """Each with the `_news` at the time when it was given: of those it is not told."""
        self._previous: Previous | None = None
        self.seen = 0
        """The version that callbacks were last called for."""

    def __repr__(self) -> str:
        return f"LiveSecret({self.name!r}, version {self.version}, {STARS})"

    def __str__(self) -> str:
        return str(self.value)

    def __call__(self) -> Any:
        """Return the value: many libraries take a callable where a password is asked for."""
        return self.value

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("a LiveSecret cannot be pickled: pass its name, and open the store in the other process")

    @property
    def value(self) -> Any:
        """The current value: `str`, `bytes`, or a mapping of fields.

        Raises `SecretNotFoundError` when there is none, and what `SecretsManager.get_secret` raises.
        """
        if self._mark[0] == self._marked:
            self._reads += 1
            return self._value
        return self._live.refresh(self, asked=True)

    @property
    def held(self) -> int:
        """The version that the program holds: its callbacks have taken it up, or without any, it has asked for it.

        A value that was kept in a variable, or that a callback failed to pass on, is no switch.
        """
        if self._callbacks:
            return self._heard
        return self._given or self.version

    @property
    def _given(self) -> int:
        """The version that code of the program was given last, 0 for none."""
        given, then = self._asked
        return self.version if self._reads != then else given

    @property
    def stage(self) -> str:
        """The stage of the version that `value` returns: always `current`."""
        return "current"

    def accepted(self, grace: float | None = None) -> list[Any]:
        """Return the values to accept from others, such as the keys of tokens: the current one, then the one before.

        The one before is left out `grace` seconds after it was replaced (by default the grace time of the secret's
        rotation, else an hour), and when it is deleted, destroyed or expired. Raises what `value` raises.
        """
        return self._live.accepted(self, grace)

    def on_change(self, callback: Callback) -> Callback:
        """Call `callback(handle)` in a background thread for each new version, within 100 ms of the change.

        That is for a process that gets its turn: threads that compute without a pause delay all others.

        A version is new that this process takes up after the callback was given, whoever in the process reads it first:
        give the callback, then read the value, and no change is missed.

        Returns the callback, so that this can be a decorator. One that raises is reported through
        `threading.excepthook`, and called again for the next version.
        """
        self._live.watch(self, callback)
        return callback

    def off_change(self, callback: Callback) -> None:
        """Call this callback no more; one that was never given is no error."""
        self._live.unwatch(self, callback)
