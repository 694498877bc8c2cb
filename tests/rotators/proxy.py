"""A TCP proxy before a server: it keeps what the client sent, and can lose the answer to a request."""

from __future__ import annotations

import select
import socket
import threading


class Proxy:
    """Listens on `port` of the loopback interface. With `lose`, the answer to a request with these bytes is lost, once.

    The server has answered then, so that it has done what it was asked to. The client sees its connection end, or with
    `silent` nothing at all.
    """

    def __init__(self, server: int) -> None:
        self.sent = b""
        self.lose: bytes | None = None
        self.silent = False
        self.skip = 0
        """How many such requests are answered before."""
        self._closing = threading.Event()
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        threads = []
        try:
            while True:
                threads.append(threading.Thread(target=self._pass_on, args=(self._listener.accept()[0],)))
                threads[-1].start()
        except OSError:
            for thread in threads:
                thread.join()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            loses = False
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if data and ready is server and loses:
                        self.lose = None
                        if self.silent:
                            self._closing.wait(60)
                        data = b""
                    if not data:
                        return
                    if ready is client:
                        self.sent += data
                        found = self.lose is not None and self.lose in data
                        loses = loses or (found and self.skip == 0)
                        self.skip -= found and self.skip > 0
                    (server if ready is client else client).sendall(data)
