"""The door of the web listener: how many connections there are, and who goes when there are too many.

Rules of this file: a connection costs a descriptor before anything is known of its client, so it counts from its first
moment, a TLS handshake that is never finished too; the oldest one of the host that has the most makes room; pages that
listen to events, which have a bound of their own, stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Collection

from aiohttp import web

HANDSHAKE_S, FAREWELL_S = 10.0, 2.0
"""How long TLS may take to begin, and to end."""
MOST = 200
BACKLOG = 128
AT_ONCE = 16
"""So many newcomers are taken before anybody else has a turn."""
AGAIN_S = 1.0
"""When nothing can be accepted for want of descriptors or memory."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Door:
    """Accepts connections for a server of aiohttp.

    The event loops' own servers keep no account of handshakes.

    Args:
        server: makes the handler of each connection, and knows those that are connected.
        context: None for plain http.
        staying: the connections that do not count.
    """

    def __init__(
        self,
        server: web.Server,
        context: ssl.SSLContext | None,
        staying: Callable[[], Collection[object]],
    ) -> None:
        self._server, self._context, self._staying = server, context, staying
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._entering: dict[socket.socket, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None

    def open(self, host: str, port: int) -> int:
        """Binds and listens; returns the port. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._sock.setblocking(False)
        self._listen(self._sock)
        return int(self._sock.getsockname()[1])

    async def close(self) -> None:
        """Accepts nobody any more, and ends what is no connection yet."""
        if self._again is not None:
            self._again.cancel()
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self, sock: socket.socket) -> None:
        self._again = None
        self._loop.add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                client, peer = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._loop.remove_reader(sock)
                self._again = self._loop.call_later(AGAIN_S, self._listen, sock)
                return
            client.setblocking(False)
            self._make_room()
            self._entering[client] = str(peer[0])
            task = self._loop.create_task(self._enter(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _enter(self, client: socket.socket) -> None:
        closing = {} if self._context is None else _timeouts()
        try:
            await self._loop.connect_accepted_socket(self._server, client, ssl=self._context, **closing)
        except OSError:  # all that TLS and the network raise
            client.close()
        finally:
            self._entering.pop(client, None)

    def _make_room(self) -> None:
        """Ends a connection when there are enough, an unfinished handshake before any other of the same host."""
        staying = self._staying()
        inside = [one for one in self._server.connections if one not in staying and not _is_going(one)]
        if len(inside) + len(self._entering) < MOST:
            return
        hosts = Counter([*map(_host, inside), *self._entering.values()])
        crowd = hosts.most_common(1)[0][0]
        entering = next((client for client, host in self._entering.items() if host == crowd), None)
        if entering is None:
            _end(next(one for one in inside if _host(one) == crowd))
            return
        del self._entering[entering]
        with contextlib.suppress(OSError):  # it is gone already
            entering.shutdown(socket.SHUT_RDWR)


def _timeouts() -> dict[str, float]:
    return {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": FAREWELL_S}


def _host(connection: web.RequestHandler) -> str:
    peer = None if connection.transport is None else connection.transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _is_going(connection: web.RequestHandler) -> bool:
    return connection.transport is None or connection.transport.is_closing()


def _end(connection: web.RequestHandler) -> None:
    """At once: a farewell of TLS would hold the descriptor for as long as the client likes."""
    if isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()


__all__ = ["Door"]
