"""A hand-turned clock and small clients that talk to the simulators over real sockets."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from gateway.simulator import BenderSimulator, EvceSimulator, Simulator

START = 1_790_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


class Reply:
    def __init__(self, status: int, headers: Any, text: str, json: Any) -> None:
        self.status, self.headers, self.text, self.json = status, headers, text, json


class Client:
    """Keeps the Authorization header; `call` returns status, headers and the parsed body."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession, base: str) -> None:
        self.sim, self.session, self.base = sim, session, base
        self.authorization: str | None = None

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        headers = {"Authorization": self.authorization} if self.authorization else {}
        url = f"{self.sim.url}{self.base}{path}"
        async with self.session.request(method, url, json=body, headers=headers, **options) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json" and raw
            return Reply(response.status, response.headers, raw.decode(), await response.json() if is_json else None)

    async def get(self, path: str) -> Any:
        reply = await self.call("GET", path)
        assert reply.status == 200, reply.text
        return reply.json

    async def evce_login(self) -> Reply:
        sim = self.sim
        assert isinstance(sim, EvceSimulator)
        body = {"login": sim.accounts.username, "password": sim.accounts.password}
        reply = await self.call("POST", "/login/login", body)
        if reply.status == 200:
            self.authorization = f"Bearer {reply.json['token']}"
        return reply

    async def bender_login(self) -> Reply:
        sim = self.sim
        assert isinstance(sim, BenderSimulator)
        token = (await self.get("/login"))["token"]
        password = hashlib.sha256((sim.login.password + token).encode()).hexdigest()
        reply = await self.call("POST", "/login", {"username": sim.login.username, "password": password})
        if reply.status == 200:
            self.authorization = reply.json["session"]["id"]
        return reply


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Simulator], Awaitable[Client]]]:
    sessions: list[aiohttp.ClientSession] = []

    async def make(sim: Simulator) -> Client:
        tls: ssl.SSLContext | bool = True
        if sim.certificate is not None:
            tls = ssl.create_default_context(cadata=sim.certificate_pem)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
        sessions.append(session)
        return Client(sim, session, sim.base)

    yield make
    for session in sessions:
        await session.close()


@pytest.fixture
async def evce(clock: Clock) -> AsyncIterator[EvceSimulator]:
    async with EvceSimulator(clock=clock, tls=False) as sim:
        yield sim


@pytest.fixture
async def client(evce: EvceSimulator, connect: Any) -> Client:
    made: Client = await connect(evce)
    await made.evce_login()
    return made
