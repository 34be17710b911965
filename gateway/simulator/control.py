"""The control port of a simulator: plain HTTP with JSON, on loopback only, without a login.

GET /state (the truth), GET /received (write requests), GET, POST and DELETE /faults, POST /do {"op", ...}.
A request that makes no sense is answered 400 with a sentence as plain text.
"""

import ipaddress
import json
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from gateway.simulator.faults import fault_from_json
from gateway.simulator.shell import SHUTDOWN_S, OperationError, Simulator, bracketed


class ControlServer:
    """Drives one simulator from outside; `url` is set after the start."""

    def __init__(self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the control port has no login and listens on loopback only, not on {host}")
        self._simulator = simulator
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{bracketed(self._host)}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/state", self._state),
                web.get("/received", self._received),
                web.get("/faults", self._faults),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.post("/do", self._do),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the port."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self._simulator.truth())

    async def _received(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(entry) for entry in self._simulator.received])

    async def _faults(self, request: web.Request) -> web.Response:
        active = self._simulator.faults.active()
        return web.json_response({str(number): asdict(fault) for number, fault in active.items()})

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = fault_from_json(await _body(request))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({"id": self._simulator.faults.put(fault)})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._simulator.faults.clear()
        return web.json_response({})

    async def _do(self, request: web.Request) -> web.Response:
        given = await _body(request)
        if not isinstance(given, dict) or not isinstance(given.get("op"), str):
            raise web.HTTPBadRequest(text='the body must be {"op": "name", ...}')
        parameters: dict[str, Any] = {name: value for name, value in given.items() if name != "op"}
        try:
            return web.json_response(await self._simulator.do(given["op"], **parameters))
        except OperationError as error:
            raise web.HTTPBadRequest(text=str(error)) from error


async def _body(request: web.Request) -> object:
    try:
        body: object = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    return body
