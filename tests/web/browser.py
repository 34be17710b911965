"""A real browser for the tests of the page, and a network between it and the gateway that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

JS = Path(__file__).parent / "js"
LIBRARIES = ("playwright-core", "axe-core")
Doing = Callable[[], Awaitable[Any]]


def browser() -> tuple[str, str]:
    """Where node and Chromium are; skips in words when something is missing."""
    node, chromium = shutil.which("node"), shutil.which("chromium") or shutil.which("chromium-browser")
    if node is None:
        pytest.skip("node is not installed")
    if chromium is None:
        pytest.skip("chromium is not installed")
    for library in LIBRARIES:
        if not (JS / "node_modules" / library).is_dir():
            pytest.skip(f"{library} is not installed (npm install in tests/web/js)")
    return node, chromium


async def act(scenario: str, base: str, doings: Mapping[str, Doing] | None = None, seconds: float = 120.0) -> None:
    """Runs one of `js/scenarios.mjs`; what it asks for happens here."""
    node, chromium = browser()
    pipe = asyncio.subprocess.PIPE
    command = (node, "browser.mjs", chromium, base, "scenarios.mjs", scenario)
    process = await asyncio.create_subprocess_exec(*command, cwd=JS, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            said = group.create_task(process.stderr.read())
            async for line in process.stdout:
                answer = await (doings or {})[json.loads(line)["ask"]]()
                process.stdin.write(json.dumps(answer).encode() + b"\n")
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert code == 0, said.result().decode()


class Network:
    """Forwards a port of loopback to another, until it is cut; `silent`: connections then hang and are not closed."""

    def __init__(self, port: int, *, silent: bool) -> None:
        self._port, self._silent, self._up = port, silent, True
        self._writers: set[asyncio.StreamWriter] = set()
        self._ever: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens, at the same port as before."""
        self._up = True
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """From now on nothing arrives; what hangs now hangs for ever."""
        self._up = False
        if self._silent:
            self._writers.clear()
            return
        await self.stop()

    async def stop(self) -> None:
        """Closes everything."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._ever:
            writer.transport.abort()
        self._ever.clear()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ever.append(writer)
        if not self._up:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ever.append(back)
        self._writers |= {writer, back}
        both = (writer, back)
        await asyncio.gather(self._forward(reader, back, both), self._forward(there, writer, ()))
        self._writers -= set(both)
        for one in both:
            one.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: Sequence[asyncio.StreamWriter]
    ) -> None:
        """What hung when the network went is not known to it any more: who says something there is told."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if writer in self._writers:
                    writer.write(data)
                    await writer.drain()
                elif self._up:
                    for one in ends:
                        one.transport.abort()
        if writer in self._writers:
            with contextlib.suppress(OSError):
                writer.write_eof()


@contextlib.asynccontextmanager
async def network(port: int, *, silent: bool) -> AsyncIterator[Network]:
    """A network that is up."""
    between = Network(port, silent=silent)
    await between.start()
    try:
        yield between
    finally:
        await between.stop()
