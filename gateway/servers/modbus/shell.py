"""The library's server as a shell: it listens, and none of its request handling is used."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from typing import cast

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.servers.modbus.connection import Connection
from gateway.servers.modbus.house import House
from gateway.servers.modbus.lobby import Lobby

BACKLOG = 512

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class Shell(ModbusTcpServer):
    """The library's listener without its error handling, its handler and its list of connections.

    `sock` is bound already; host and port are only told then.
    """

    def __init__(
        self,
        host: str,
        port: int,
        house: House,
        secure: ssl.SSLContext | None = None,
        sock: socket.socket | None = None,
    ) -> None:
        unused = SimDevice(0, SimData(0, values=0, datatype=DataType.REGISTERS))
        super().__init__(unused, address=(host, port))
        self._house, self._secure, self._sock = house, secure, sock
        self._address = host, port

    def handle_new_connection(self) -> Connection:
        """A handler that is not registered here: the door keeps who is inside."""
        return Connection(self, self._house)

    async def open(self) -> int:
        """Binds and listens; returns the port. Raises OSError."""
        self.is_listener = True
        sock = self._sock or self._bound()
        sock.setblocking(False)
        port: int = sock.getsockname()[1]
        server: asyncio.Server | Lobby
        if self._secure is None:
            server = await self.loop.create_server(self.handle_new_connection, sock=sock, backlog=BACKLOG)
        else:
            sock.listen(BACKLOG)
            server = Lobby(sock, self._secure, self._house, self.handle_new_connection)
        self.transport = server  # type: ignore[assignment]
        return port

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        return socket.create_server(self._address, family=family, backlog=BACKLOG)

    def share(self) -> socket.socket:
        """Another descriptor of its listening socket, for a listener that takes its place."""
        server = cast("asyncio.Server | Lobby", self.transport)
        return socket.socket(fileno=os.dup(server.sockets[0].fileno()))
