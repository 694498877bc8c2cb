"""The connections of a SQLite store other than the one for point reads: lent to one `with` block at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.errors import StoreBusyError, StoreError
from strongroom.stores.sqlite_connection import open_database
from strongroom.stores.sqlite_results import ReadOnlyError
from strongroom.stores.sqlite_session import Session

if TYPE_CHECKING:
    from strongroom.stores.sqlite_connection import Connection
    from strongroom.stores.sqlite_database import Database

LONGEST = 60.0
"""Seconds to wait for another thread of this process, which itself may wait for another process meanwhile."""


class Pool:
    """Lends connections, and takes care that none of them is carried through a fork."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[Connection] = []
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

    @contextmanager
    def lend_to_write(self, seconds: float) -> Iterator[Session]:
        """Lend one that has begun a transaction, which is rolled back when the block raises.

        Raises `StoreBusyError` when another process holds the lock for longer than `seconds`.
        """
        session = self._begin_to_write(seconds)
        try:
            yield session
        except BaseException:
            session.roll_back()
            raise
        finally:
            self._take_back(session)

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        with self._changed:
            self._closed = True
            self._close_idle()
            if not self._lent:
                self._database.close()

    def before_fork(self) -> None:
        """Close all and lend none until after the fork; wait for the blocks of other threads, up to the time-out."""
        self._at_rest = self._changed.acquire(timeout=self._database.timeout)
        if self._at_rest:
            me = self._forking = threading.get_ident()
            self._changed.wait_for(lambda: all(session.thread == me for session in self._lent), self._database.timeout)
            self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Lend again."""
        if self._at_rest:
            self._at_rest = False
            self._forking = None
            self._changed.notify_all()
            self._changed.release()

    def after_fork_in_child(self) -> list[Connection]:
        """Forget all that the parent opened and return it; the child must neither use nor close it."""
        inherited = [*self._idle, *(session.detach() for session in self._lent)]
        self._idle, self._lent = [], []
        self._changed, self._forking = threading.Condition(), None
        return [connection for connection in inherited if connection is not None]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Bounded, as somebody who opens a connection may have to wait for another process in here.
        changed = self._changed
        if not changed.acquire(timeout=LONGEST):
            raise StoreBusyError(
                f"{self._database.url}: another thread is opening it for too long; look for a stuck process"
            )
        try:
            yield
        finally:
            changed.release()

    def _lend(self) -> Session:
        with self._locked():
            if self._forking not in (None, threading.get_ident()) and not self._holds_one():
                # Threads that come and go would keep the fork waiting; one that holds a connection must be let on.
                self._changed.wait_for(lambda: self._forking is None, self._database.timeout)
            if self._closed:
                raise StoreError(f"{self._database.url} is closed; open it again")
            if self._idle:
                connection = self._idle.pop()
            else:
                connection, self._keep = open_database(self._database)
            session = Session(connection, self._database)
            self._lent.append(session)
            return session

    def _begin_to_write(self, seconds: float) -> Session:
        session = self._lend()
        try:
            session.begin_to_write(seconds)
            return session
        except ReadOnlyError:
            # Opened while nobody could write it: a full table of files, a file system that was mounted read-only.
            self._take_back(session)
            with self._locked():
                self._close_idle()
        except BaseException:
            session.roll_back()
            self._take_back(session)
            raise
        session = self._lend()
        try:
            session.begin_to_write(seconds)
        except BaseException:
            session.roll_back()
            self._take_back(session)
            raise
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
            if self._closed or session.has_failed or not self._keep or not connection.is_at_rest():
                connection.close()
            else:
                self._idle.append(connection)
            if self._closed and not self._lent:
                self._database.close()
            self._changed.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
