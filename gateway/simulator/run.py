"""Runs one simulator until it is stopped, for the command line and for demos."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway.simulator.control import ControlServer
from gateway.simulator.shell import Simulator

Started = Callable[[Simulator, ControlServer | None], None]


async def run_simulator(
    simulator: Simulator,
    *,
    control: tuple[str, int] | None = None,
    started: Started | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves until `stop` is set or the task is cancelled.

    Args:
        simulator: an `EvceSimulator` or a `BenderSimulator` that is not started yet.
        control: host and port of the control server; loopback only.
        started: called once both listen, with the control server or None; the place to print the URLs.
        stop: ends the run when set.
    """
    async with AsyncExitStack() as stack:
        server = None
        if control is not None:
            server = ControlServer(simulator, host=control[0], port=control[1])
        await stack.enter_async_context(simulator)
        if server is not None:
            await stack.enter_async_context(server)
        if started is not None:
            started(simulator, server)
        await (stop or asyncio.Event()).wait()
