"""The secure listener: clients whose TLS handshake is not finished wait here, in front of the door.

Rules of this file: a handshake costs a descriptor before anybody is known, so only hosts of a client group that a role
names may begin one, and few at a time; the oldest one of the host that has the most makes room for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from gateway.servers.modbus.connection import Connection
from gateway.servers.modbus.house import House

HANDSHAKE_S = 10.0
MOST, MOST_OF_ONE = 64, 16
"""Unfinished handshakes of all hosts, and of one."""
AT_ONCE = 64
"""So many newcomers are taken before anybody else has a turn."""
AGAIN_S = 1.0
"""When nothing can be accepted for want of descriptors or memory."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Lobby:
    """Accepts on a socket that listens, and brings clients through the handshake.

    The event loops' own servers keep no account of handshakes. `make` gives the connection of a client; it is told of
    the client when the handshake is over.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, house: House, make: Callable[[], Connection]
    ) -> None:
        self.sockets = (sock,)
        self._context, self._house, self._make = context, house, make
        self._loop = asyncio.get_running_loop()
        self._inside: dict[socket.socket, str] = {}
        self._again: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Accepts nobody any more; nobody gets in by certificates that may be replaced."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self.sockets[0])
        self.sockets[0].close()
        for client in list(self._inside):
            self._end(client)

    def _listen(self) -> None:
        self._again = None
        self._loop.add_reader(self.sockets[0], self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                client, peer = self.sockets[0].accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._loop.remove_reader(self.sockets[0])
                self._again = self._loop.call_later(AGAIN_S, self._listen)
                self._loop.call_exception_handler({"message": "nobody can be accepted now", "exception": error})
                return
            self._enter(client, peer[0])

    def _enter(self, client: socket.socket, host: str) -> None:
        """Begins a handshake with somebody who may have one."""
        if not self._house.door.expects(host):
            client.close()
            return
        self._make_room(host)
        client.setblocking(False)
        self._inside[client] = host
        self._house.spawn(self._shake_hands(client))

    def _make_room(self, host: str) -> None:
        hosts = Counter(self._inside.values())
        if hosts[host] >= MOST_OF_ONE:
            crowd = host
        elif len(self._inside) >= MOST:
            crowd = hosts.most_common(1)[0][0]
        else:
            return
        self._end(next(client for client, whose in self._inside.items() if whose == crowd))

    def _end(self, client: socket.socket) -> None:
        del self._inside[client]
        with contextlib.suppress(OSError):  # it is gone already
            client.shutdown(socket.SHUT_RDWR)

    async def _shake_hands(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, client, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:  # all that TLS and the network raise
            self._house.counters.failed_handshakes += 1
        finally:
            self._inside.pop(client, None)
