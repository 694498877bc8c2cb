"""The connections of a SQLite store other than the one for point reads: lent to one `with` block at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.errors import StoreError
from strongroom.stores.sqlite_connection import Place, open_database
from strongroom.stores.sqlite_session import Session

if TYPE_CHECKING:
    import sqlite3


class Pool:
    """Lends connections, and takes care that none of them is carried through a fork."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._idle: list[sqlite3.Connection] = []
        self._lent: list[Session] = []
        self._changed = threading.Condition()
        self._closed = False
        self._at_rest = False
        self._forking: int | None = None
        self._keep = True

    @contextmanager
    def lend(self) -> Iterator[Session]:
        """Lend a connection of its own to the block. Raises what `open_database` raises, `StoreError` once closed."""
        session = self._lend()
        try:
            yield session
        finally:
            self._take_back(session)

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        with self._changed:
            self._closed = True
            self._close_idle()

    def before_fork(self) -> None:
        """Close all and lend none until after the fork; wait for the blocks of other threads, up to the time-out."""
        self._at_rest = self._changed.acquire(timeout=self._place.timeout)
        if self._at_rest:
            me = self._forking = threading.get_ident()
            self._changed.wait_for(lambda: all(session.thread == me for session in self._lent), self._place.timeout)
            self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Lend again."""
        if self._at_rest:
            self._at_rest = False
            self._forking = None
            self._changed.notify_all()
            self._changed.release()

    def after_fork_in_child(self) -> list[sqlite3.Connection]:
        """Forget all that the parent opened and return it; the child must neither use nor close it."""
        inherited = [*self._idle, *(session.detach() for session in self._lent)]
        self._idle, self._lent = [], []
        self._changed, self._forking = threading.Condition(), None
        return [connection for connection in inherited if connection is not None]

    def _lend(self) -> Session:
        with self._changed:
            if self._forking not in (None, threading.get_ident()) and not self._holds_one():
                # Threads that come and go would keep the fork waiting; one that holds a connection must be let on.
                self._changed.wait_for(lambda: self._forking is None, self._place.timeout)
            if self._closed:
                raise StoreError(f"{self._place.url} is closed; open it again")
            if self._idle:
                connection = self._idle.pop()
            else:
                connection, self._keep = open_database(self._place)
            session = Session(connection, self._place.url)
            self._lent.append(session)
            return session

    def _holds_one(self) -> bool:
        me = threading.get_ident()
        return any(session.thread == me for session in self._lent)

    def _take_back(self, session: Session) -> None:
        connection = session.detach()
        if connection is None:
            return  # we are in a child that was forked inside the block
        with self._changed:
            self._lent.remove(session)
            if self._closed or connection.in_transaction or not self._keep:
                connection.close()
            else:
                self._idle.append(connection)
            self._changed.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
