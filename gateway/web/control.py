"""The local control socket between the command line and the daemon: JSON over HTTP on a Unix socket (0660)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import json
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from gateway.core.errors import CommandRejected, CorrectionRefused, GatewayError

OPERATORS = "evce-gateway"
"""The group whose members may use the command line (SupplementaryGroups= of our units)."""
LARGEST_REQUEST = 64 * 1024
ANSWER_S = 10.0
NOT_FOUND = 404
POINTED = ("/read", "/write")
"""What names a point."""


class ControlPort(Protocol):
    """What the daemon offers to its own machine; `user` is the peer's login name."""

    def status(self) -> dict[str, Any]: ...

    async def points(self) -> list[dict[str, Any]]: ...

    def addresses(self) -> list[dict[str, Any]]: ...

    def read(self, point: str) -> dict[str, Any]:
        """One row of points; raises KeyError."""

    async def write(
        self, point: str, value: Any, slot: int | None, user: str, *, until: float | None
    ) -> dict[str, Any]:
        """Writes (value None releases) until a Unix time, None: for an hour; raises KeyError or CommandRejected."""

    async def map(self) -> dict[str, Any]:
        """The map as it is served: `map_hash` and `points`."""

    def answers(self) -> dict[str, Any]:
        """The newest JSON of each source by the path it was asked for: `age_s` and `document`."""

    async def publish(self, user: str, *, accept_moves: bool) -> list[str]:
        """Freezes the map that is served; returns what was done in sentences; raises CorrectionRefused."""

    def correct(self, verb: str, names: list[str], to: str, user: str) -> list[str]:
        """Corrects the address book; returns what was done in sentences; raises CorrectionRefused or ValueError."""

    async def reload(self, user: str, *, accept_moves: bool) -> dict[str, Any]:
        """Takes over what has changed in the files: sentences, `done` and `refused`."""

    async def passwd(self, source: str, new: str, user: str, *, unfinished: bool) -> dict[str, Any]:
        """Changes a source's password, or settles an unfinished change to `new`; raises ValueError."""


class ControlError(GatewayError):
    """The daemon refused, or could not be reached (`reached` False); `unknown`: it has no such point."""

    def __init__(self, text: str, *, reached: bool, unknown: bool = False) -> None:
        super().__init__(text)
        self.reached, self.unknown = reached, unknown


class ControlServer:
    """Serves a ControlPort on a Unix socket."""

    def __init__(self, path: Path, port: ControlPort) -> None:
        self._path, self._port = path, port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Binds the socket, replacing one that a dead process left."""
        app = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[_translate])
        app.router.add_get("/status", self._give(self._port.status))
        app.router.add_get("/points", self._give_much(self._port.points))
        app.router.add_get("/addresses", self._give(self._port.addresses))
        app.router.add_get("/map", self._give_much(self._port.map))
        app.router.add_get("/answers", self._give(self._port.answers))
        app.router.add_post("/publish", self._publish)
        app.router.add_post("/read", self._read)
        app.router.add_post("/write", self._write)
        app.router.add_post("/addresses", self._correct)
        app.router.add_post("/reload", self._reload)
        app.router.add_post("/passwd", self._passwd)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        self._path.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._path)).start()
        self._path.chmod(0o660)
        self._admit()

    def _admit(self) -> None:
        """Gives the socket to the group of operators, if the unit made this process a member of it."""
        with contextlib.suppress(KeyError, OSError):
            group = grp.getgrnam(OPERATORS).gr_gid
            if group in os.getgroups():
                os.chown(self._path, -1, group)

    async def stop(self) -> None:
        """Stops serving and removes the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _give(ask: Callable[[], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(_request: web.Request) -> web.Response:
            return web.json_response(ask())

        return handler

    @staticmethod
    def _give_much(ask: Callable[[], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Something of megabytes on a large site: its text is made beside the event loop."""

        async def handler(_request: web.Request) -> web.Response:
            text = await asyncio.to_thread(json.dumps, await ask())
            return web.Response(text=text, content_type="application/json")

        return handler

    async def _read(self, request: web.Request) -> web.Response:
        body = await _body(request, {"point"})
        return web.json_response(self._port.read(body["point"]))

    async def _write(self, request: web.Request) -> web.Response:
        body = await _body(request, {"point", "value", "slot", "until"})
        slot, until, user = body["slot"], body["until"], _user(request)
        if slot is not None and (isinstance(slot, bool) or not isinstance(slot, int)):
            raise ValueError("slot must be a whole number")
        if until is not None and (isinstance(until, bool) or not isinstance(until, (int, float))):
            raise ValueError("until must be a number, in seconds of Unix time")
        return web.json_response(await self._port.write(body["point"], body["value"], slot, user, until=until))

    async def _reload(self, request: web.Request) -> web.Response:
        match await request.json():
            case {"accept_moves": bool(accept_moves), **rest} if not rest:
                return web.json_response(await self._port.reload(_user(request), accept_moves=accept_moves))
        raise ValueError("the body must be an object with accept_moves, true or false")

    async def _publish(self, request: web.Request) -> web.Response:
        match await request.json():
            case {"accept_moves": bool(accept_moves), **rest} if not rest:
                return web.json_response({"said": await self._port.publish(_user(request), accept_moves=accept_moves)})
        raise ValueError("the body must be an object with accept_moves, true or false")

    async def _passwd(self, request: web.Request) -> web.Response:
        body = await request.json()
        wanted = {"source": str, "new": str, "unfinished": bool}
        if not isinstance(body, dict) or {name: type(value) for name, value in body.items()} != wanted:
            raise ValueError(f"the body must be an object with {', '.join(wanted)}")
        unfinished = body["unfinished"]
        answer = await self._port.passwd(body["source"], body["new"], _user(request), unfinished=unfinished)
        return web.json_response(answer)

    async def _correct(self, request: web.Request) -> web.Response:
        body = await request.json()
        match body:
            case {"verb": str(verb), "names": list(names), "to": str(to), **rest} if not rest and _texts(names):
                return web.json_response({"said": self._port.correct(verb, names, to, _user(request))})
        raise ValueError("the body must be an object with verb, names (a list of texts) and to")


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


@web.middleware
async def _translate(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except CommandRejected as error:
        return web.json_response({"error": str(error), "code": int(error.reject)}, status=409)
    except CorrectionRefused as error:
        return web.json_response({"error": str(error)}, status=409)
    except KeyError as error:
        return web.json_response({"error": f"there is no point {error.args[0]!r}"}, status=404)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)


async def _body(request: web.Request, members: set[str]) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict) or set(body) != members or not isinstance(body["point"], str):
        raise ValueError(f"the body must be an object with {', '.join(sorted(members))}")
    return body


def _user(request: web.Request) -> str:
    """The login name of the process at the other end (SO_PEERCRED)."""
    sock = request.get_extra_info("socket")
    if sock is None:
        return "unknown"
    _pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


async def ask_daemon(
    path: Path, method: str, what: str, body: dict[str, Any] | None = None, within_s: float = ANSWER_S
) -> Any:
    """One question to the running daemon.

    Raises:
        ControlError: no daemon answers there, or it refused, in words.
    """
    timeout = aiohttp.ClientTimeout(total=within_s)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as client,
            client.request(method, f"http://gateway{what}", json=body) as response,
        ):
            answer = await response.json()
            if response.status != 200:
                unknown = response.status == NOT_FOUND and what in POINTED
                raise ControlError(answer.get("error", str(response.status)), reached=True, unknown=unknown)
            return answer
    except TimeoutError as error:
        text = f"the gateway at {path} did not answer within {within_s:g} s"
        raise ControlError(text, reached=False) from error
    except (aiohttp.ClientError, OSError) as error:
        why = "it is not running, or runs with another config.yaml (or with RUNTIME_DIRECTORY set)"
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            why = "this user may not open it: be the user the gateway runs as, or a member of its group"
        raise ControlError(f"no gateway answers at {path}: {why}", reached=False) from error
