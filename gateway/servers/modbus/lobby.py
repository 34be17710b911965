"""In front of the secure listener's door: clients whose TLS handshake is not finished.

Rules of this file: a handshake costs a descriptor before anybody is known, so only hosts of a client group that a role
names may begin one, and few at a time; the oldest one of the host that has the most makes room for another.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import cast

from gateway.servers.modbus.connection import Connection
from gateway.servers.modbus.house import House

HANDSHAKE_S = 10.0
MOST, MOST_OF_ONE = 64, 16
"""Unfinished handshakes of all hosts, and of one."""


class Lobby:
    """Brings clients through the handshake; `make` gives the connection of one that has passed."""

    def __init__(self, context: ssl.SSLContext, house: House, make: Callable[[], Connection]) -> None:
        self._context, self._house, self._make = context, house, make
        self._inside: dict[Newcomer, str] = {}

    def enter(self, newcomer: Newcomer, wire: asyncio.Transport) -> None:
        """Begins a handshake with somebody who may have one."""
        peer = wire.get_extra_info("peername")
        if not peer or not self._house.door.expects(peer[0]):
            wire.abort()
            return
        self._make_room(peer[0])
        self._inside[newcomer] = peer[0]
        self._house.spawn(self._shake_hands(newcomer, wire))

    def _make_room(self, host: str) -> None:
        hosts = Counter(self._inside.values())
        if hosts[host] >= MOST_OF_ONE:
            crowd = host
        elif len(self._inside) >= MOST:
            crowd = hosts.most_common(1)[0][0]
        else:
            return
        oldest = next(other for other, whose in self._inside.items() if whose == crowd)
        del self._inside[oldest]
        oldest.abort()

    async def _shake_hands(self, newcomer: Newcomer, wire: asyncio.Transport) -> None:
        loop, secure = asyncio.get_running_loop(), None
        try:
            secure = await loop.start_tls(
                wire, newcomer, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:  # all that TLS and the network raise
            self._house.counters.failed_handshakes += 1
        finally:
            self._inside.pop(newcomer, None)
            if secure is None:
                wire.abort()
        if secure is not None:
            newcomer.pass_on(self._make(), secure)


class Newcomer(asyncio.Protocol):
    """One client until its handshake is over; what it sends at once with the end of it is for the connection."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self._wire: asyncio.Transport | None = None
        self._early = b""
        self._lost = False
        self._connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS takes over before a byte is read."""
        self._wire = cast("asyncio.Transport", transport)
        self._lobby.enter(self, self._wire)

    def data_received(self, data: bytes) -> None:
        """Decrypted bytes, before there is a connection to take them."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Told of a loss that was under way while the connection took over."""
        self._lost = True
        if self._connection is not None:
            self._connection.connection_lost(exc)

    def pass_on(self, connection: Connection, secure: asyncio.Transport) -> None:
        """From now on the connection speaks with the client."""
        if self._lost:
            return
        self._connection = connection
        secure.set_protocol(connection)
        connection.connection_made(secure)
        if self._early and not secure.is_closing():
            connection.data_received(self._early)

    def abort(self) -> None:
        """Ends it at once."""
        if self._wire is not None:
            self._wire.abort()
