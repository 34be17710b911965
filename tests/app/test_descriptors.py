"""M15: a process that runs out of descriptors says so, once, and recovers."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.descriptors import KEY, Descriptors
from gateway.app.footprint import footprint
from gateway.engine.alarms import Alarms
from tests.site import until


@pytest.fixture
def limit() -> Iterator[int]:
    """At most 40 more descriptors than there are now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = sum(1 for _ in Path("/proc/self/fd").iterdir()) + 40
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, before[1]))
    yield low
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_M15_an_alarm_before_the_last_one_is_used_and_none_afterwards(limit: int) -> None:
    alarms = Alarms()
    watched = Descriptors(alarms)
    with contextlib.ExitStack() as stack:
        while int(footprint()["fds"] or 0) < limit * 0.9:
            stack.enter_context(socket.socket())
        watched.look()
        assert f"of the {limit} file descriptors" in alarms.texts()[KEY]
    watched.look()
    assert (KEY in alarms.texts()) == (int(footprint()["fds"] or 0) >= limit * 0.8)


async def test_M15_connections_that_cannot_be_accepted_are_one_alarm_and_no_flood(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    alarms, loop = Alarms(), asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(Descriptors(alarms).on_error)
    accepted: list[asyncio.BaseTransport] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(transport)

    server = await loop.create_server(Accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            for _ in range(60):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", port))
        await until(lambda: KEY in alarms.texts())
    assert caplog.records == []
    await until(lambda: not accepted or all(transport.is_closing() for transport in accepted))
    for transport in accepted:
        transport.abort()
    loop.set_exception_handler(before)
    server.close()
    await server.wait_closed()
