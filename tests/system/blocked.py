"""`evce-gateway run` whose event loop is held up a second after it is ready: what a defect of ours would look like."""

from __future__ import annotations

import asyncio
import time

from gateway.app import daemon
from gateway.cli import main

BLOCKED_S = 60.0
tell = daemon.notify


def hold_up_the_loop() -> None:
    time.sleep(BLOCKED_S)


def notify(message: str) -> bool:
    if "READY=1" in message:
        asyncio.get_running_loop().call_later(1.0, hold_up_the_loop)
    return tell(message)


daemon.notify = notify
main()
