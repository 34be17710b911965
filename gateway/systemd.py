"""sd_notify(3) in a few lines: tells systemd READY, STOPPING and a status text."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Sends lines such as READY=1 and STATUS=serving; False when systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(message.encode(), address)
    return True
