"""Which event loop the service runs on: uvloop's where it is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, None for asyncio's own: without a wheel for this machine all is slower, and otherwise the same."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs to the end; a request costs 10 to 20 % less CPU time on uvloop (`python -m tests.benchmarks.modbus`)."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)
