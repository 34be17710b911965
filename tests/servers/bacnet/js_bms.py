"""A BMS made of @bacnet-js/client that is told of alarms (js/alarms.js)."""

from __future__ import annotations

import asyncio
import json
import shutil
from types import TracebackType
from typing import Any

import pytest

from gateway.servers.bacnet import Destination
from tests.servers.bacnet.conftest import HOST, JS


class JsBms:
    """Use it as an asynchronous context."""

    def __init__(self, port: int) -> None:
        self._server = f"{HOST}:{port}"
        self.port = 0

    async def __aenter__(self) -> JsBms:
        program = shutil.which("node")
        if program is None or not (JS / "node_modules" / "@bacnet-js" / "client").is_dir():
            pytest.skip("node or @bacnet-js/client is not installed (npm install in tests/servers/bacnet/js)")
        self._process = await asyncio.create_subprocess_exec(
            program,
            str(JS / "alarms.js"),
            self._server,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.port = (await self.line())["port"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"end\n")
        await self._process.communicate()
        assert self._process.returncode == 0

    async def line(self) -> dict[str, Any]:
        """The next line it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            found: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return found

    async def event(self) -> dict[str, Any]:
        """The next notification."""
        found: dict[str, Any] = (await self.line())["event"]
        return found

    async def ask(self, command: str) -> Any:
        """What a command comes to."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        answer = await self.line()
        assert "error" not in answer, answer
        return answer["result"]

    def destination(self, **more: Any) -> Destination:
        """Its entry in a Recipient_List."""
        mac = bytes(map(int, HOST.split("."))) + self.port.to_bytes(2, "big")
        return Destination(**({"mac": mac, "process": 57} | more))
