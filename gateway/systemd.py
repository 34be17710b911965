"""sd_notify(3) in a few lines: tells systemd READY, RELOADING, STOPPING, WATCHDOG and a status text."""

from __future__ import annotations

import os
import socket

MICROSECONDS = 1e6


def notify(message: str) -> bool:
    """Sends lines such as READY=1 and STATUS=serving; False when systemd did not start us, or does not listen."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
            sock.sendto(message.encode(), address)
    except OSError:  # a manager that is gone or busy must not stop the service
        return False
    return True


def watchdog_s() -> float | None:
    """Within how many seconds systemd wants WATCHDOG=1 of this process again (sd_watchdog_enabled(3)); None: never."""
    asked, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not asked.isdecimal() or int(asked) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(asked) / MICROSECONDS
