"""Descriptors of this process: an alarm before they are used up, and no flood of lines when they are (M15)."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from typing import Any

from gateway.engine.alarms import Alarms

KEY = "host.descriptors"
LOOK_S = 5.0
NEARLY, ENOUGH = 0.9, 0.8
"""The alarm comes at nine tenths of the limit and goes below eight."""
USED_UP = frozenset({errno.EMFILE, errno.ENFILE})


class Descriptors:
    """Watches how many are open."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    async def run(self) -> None:
        """Looks every 5 s until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Sets the alarm, or clears it."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        except OSError as error:
            if error.errno in USED_UP:  # looking takes one as well
                self._raise(limit)
            return
        if limit == resource.RLIM_INFINITY or used < limit * ENOUGH:
            self._alarms.clear(KEY)
        elif used >= limit * NEARLY:
            self._raise(limit)

    def _raise(self, limit: int) -> None:
        self._alarms.set(KEY, f"nearly all of the {limit} file descriptors are in use: clients may be refused")

    def on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An event loop's errors: that a connection cannot be accepted is this alarm, and told once."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in USED_UP:
            self._raise(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        else:
            loop.default_exception_handler(context)
