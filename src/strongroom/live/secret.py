"""One secret whose value is always the current one: what a program holds.

The functions below the class are for `live` and `watcher`: they alone change a handle's state, in this file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from strongroom.access.access import Taken
from strongroom.records.data import TEXT, Data, Value, decode_data, decode_value, text_of
from strongroom.secret import STARS

Callback = Callable[["LiveSecret"], None]
NOTHING: Sequence[int] = (0,)


class Upkeep(Protocol):
    """What a handle asks of whoever made it."""

    def refresh(self, handle: LiveSecret, *, asked: bool = False) -> object:
        """Read the secret unless nobody has changed it."""
        ...

    def accepted(self, handle: LiveSecret, grace: float | None) -> list[bytes]:
        """Return the current data and the data before, encoded."""
        ...

    def watch(self, handle: LiveSecret, callback: Callback) -> None:
        """Add a callback."""
        ...

    def unwatch(self, handle: LiveSecret, callback: Callback) -> None:
        """Remove a callback."""
        ...


class LiveSecret:
    """One secret, always current. `str(handle)` and `handle()` are its text; its repr is not.

    `value` costs about five dictionary look-ups while nobody changes the secret. A version is on record (GET) when
    this process takes it up; further reads are counted, and put on record once a minute and at exit.

    Usable from threads, from asyncio (nothing here blocks for longer than a read of the store) and after `fork`.
    """

    __slots__ = ("__weakref__", "_asked", "_callbacks", "_counted", "_data", "_heard", "_live", "_mark", "_marked",
                 "_news", "_reads", "_stored", "_text", "_text_marked", "_told", "name", "seen", "version")  # fmt: skip

    def __init__(self, live: Upkeep, name: str) -> None:
        """Made by `SecretsManager.secret`."""
        self._live = live
        self.name = name
        self.version = 0
        """The number of the version that `value` returned last."""
        self._data = b""
        """The encoded data that was read last."""
        self._text = ""
        self._stored: bytes | None = None
        self._mark, self._marked = NOTHING, -1
        """A number that moves when the secret may have changed, and what it showed when the secret was read."""
        self._text_marked = -1
        """The same, where the secret is a text."""
        self._reads = self._counted = 0
        self._asked = (0, 0)
        """The version that code of the program was last given, and `_reads` when the present one was taken up."""
        self._heard = 0
        """The version that every callback has taken up without raising."""
        self._news = self._told = 0
        """How many new versions this process has taken up, and of how many of them callbacks have been told."""
        self._callbacks: list[tuple[Callback, int]] = []
        """Each with the `_news` at the time when it was given: of those it is not told."""
        self.seen = 0
        """The version that callbacks were last called for."""

    def __repr__(self) -> str:
        return f"LiveSecret({self.name!r}, version {self.version}, {STARS})"

    def __str__(self) -> str:
        return self.value

    def __call__(self) -> str:
        """Return the text: many libraries take a callable where a password is asked for."""
        return self.value

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("a LiveSecret cannot be pickled: pass its name, and open the store in the other process")

    @property
    def value(self) -> str:
        """The current text.

        Raises `SecretNotFoundError` when there is none, `InvalidValueError` when the secret holds bytes or several
        fields (see `data`, `content`), and what `SecretsManager.get_secret` raises.
        """
        if self._mark[0] == self._text_marked:
            self._reads += 1
            return self._text
        self._live.refresh(self, asked=True)
        return text_of(self.name, self._data)

    @property
    def data(self) -> dict[str, Any]:
        """The current fields; a plain value is the field `value`. Raises what `value` raises, whatever it holds."""
        return decode_data(self._read())

    @property
    def content(self) -> Value | Data:
        """The current text, bytes, or mapping of several fields. Raises what `data` raises."""
        return decode_value(self._read())

    def refresh(self) -> int:
        """Take up the newest version now, and return its number. Raises what `data` raises."""
        self._read()
        return self.version

    def _read(self) -> bytes:
        if self._mark[0] == self._marked:
            self._reads += 1
        else:
            self._live.refresh(self, asked=True)
        return self._data

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

    def accepted(self, grace: float | None = None) -> list[str]:
        """Return the texts to accept from others, such as the keys of tokens: the current one, then the one before.

        The one before is left out `grace` seconds after it was replaced (by default the grace time of the secret's
        rotation, else an hour), and when it is deleted, destroyed or expired. Raises what `value` raises.
        """
        return [text_of(self.name, data) for data in self._live.accepted(self, grace)]

    def accepted_contents(self, grace: float | None = None) -> list[Value | Data]:
        """Return the same for a secret that may hold bytes or several fields."""
        return [decode_value(data) for data in self._live.accepted(self, grace)]

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


def begin_read(handle: LiveSecret, mark: Sequence[int]) -> bytes | None:
    """Watch `mark` from now on, let each use of the handle read again until `end_read`; return the record it holds."""
    make_stale(handle)
    handle._mark = mark
    return handle._stored


def end_read(handle: LiveSecret, taken: Taken | None, marked: int, *, asked: bool) -> bytes:
    """Take up what was read, None for what the handle holds already; return the encoded data.

    `marked` is what the mark showed before the read. A use of the handle that `asked` is counted.
    """
    if taken is None:
        handle._reads += asked
    else:
        # With the data, as two branches of a git repository may each have made a version of that number.
        handle._news += (taken.version, taken.data) != (handle.version, handle._data)
        handle._asked = (taken.version if asked else handle._given), handle._reads
        handle._data, handle.version = taken.data, taken.version
        # One that expires is taken up again by each read, because no commit says when it does.
        handle._stored = None if taken.expires else taken.stored
    if handle._stored is not None:
        handle._marked = marked
        if handle._data[:1] == TEXT:
            handle._text, handle._text_marked = text_of(handle.name, handle._data), marked
    return handle._data


def make_stale(handle: LiveSecret) -> None:
    """Let the next use of the handle read the secret."""
    handle._marked = handle._text_marked = -1


def take_uncounted(handle: LiveSecret) -> int:
    """Return how many uses of the value were not logged yet; they count as logged from now on."""
    count, handle._counted = handle._reads - handle._counted, handle._reads
    return count


def add_callback(handle: LiveSecret, callback: Callback) -> bool:
    """Add a callback; True for the first."""
    handle._callbacks.append((callback, handle._news))
    if len(handle._callbacks) > 1:
        return False
    handle.seen, handle._told = handle.version, handle._news
    handle._heard = handle.version
    return True


def remove_callback(handle: LiveSecret, callback: Callback) -> bool:
    """Remove a callback, if it is there; True for the last."""
    given = [each for each in handle._callbacks if each[0] == callback]
    if given:
        handle._callbacks.remove(given[0])
    return bool(given) and not handle._callbacks


def has_news(handle: LiveSecret) -> bool:
    """True when callbacks have not been told of what the handle has taken up."""
    return handle._news != handle._told


def suspects_by_mark(handles: Iterable[LiveSecret]) -> list[tuple[LiveSecret, object]]:
    """Return the handles whose secret may have changed since it was read, each with what its mark shows now."""
    return [(each, each._mark[0]) for each in handles if each._mark[0] != each._marked or each._news != each._told]


def suspects_by_record(handles: Iterable[LiveSecret], stored: Iterable[object]) -> list[tuple[LiveSecret, object]]:
    """Return the handles that have not taken up the record that is stored now, each with that."""
    return [
        (each, record)
        for each, record in zip(handles, stored, strict=True)
        if record != each._stored or each._news != each._told
    ]


def tell(handle: LiveSecret) -> None:
    """Call the callbacks that have not heard of what the handle has taken up."""
    news = handle._news
    if news == handle._told:
        return
    seen = handle.seen = handle.version
    handle._told = news
    told = [_call(callback, handle) for callback, known in list(handle._callbacks) if news != known]
    if all(told):
        handle._heard = seen


def _call(callback: Callback, handle: LiveSecret) -> bool:
    """Return False when the callback raised, which is reported: then the program has not switched."""
    try:
        callback(handle)
        return True
    except Exception as error:
        report(error)
        return False


def report(error: Exception) -> None:
    """Show an error of a background thread, as `threading` does."""
    hook = threading.excepthook
    hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))
