"""Addresses that a new configuration wants to listen on, taken before anything that runs is touched."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection

from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import Fault

OWN = "; this gateway has that port itself now: give another one, or restart the gateway with these files"


def split_listen(listen: str) -> tuple[str, int]:
    """ADDRESS:PORT in its two parts, an IPv6 address without its brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


class Ports:
    """Sockets that are bound and that nobody answers on yet, by the key that names their address.

    `own` are the ports that the gateway has now: who widens an address meets itself.
    """

    def __init__(self, document: Document, own: Collection[int] = ()) -> None:
        self._document, self._own = document, own
        self._held: dict[KeyPath, socket.socket] = {}
        self.faults: list[Fault] = []

    def reserve(self, at: KeyPath, host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        """Binds a socket, or notes why that cannot be."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        try:
            if kind is socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((host, port))
            if kind is socket.SOCK_STREAM:
                sock.listen()  # only that tells of another listener
        except OSError as error:
            sock.close()
            why = os.strerror(error.errno).lower() if error.errno else str(error)
            meets = OWN if port in self._own else ""
            self.faults.append(self._document.fault(at, f"cannot listen on {host}:{port}: {why}{meets}"))
            return
        self._held[at] = sock

    def take(self, at: KeyPath) -> socket.socket | None:
        """Gives a socket away, None if none was needed there."""
        return self._held.pop(at, None)

    def free(self, at: KeyPath) -> None:
        """Lets go of an address, for somebody who binds it by himself now."""
        with contextlib.suppress(KeyError):
            self._held.pop(at).close()

    def close(self) -> None:
        """Lets go of all."""
        for at in list(self._held):
            self.free(at)
