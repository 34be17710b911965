"""Real sessions and sources against the strict simulators on a free port, with a hand-set clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.engine.ports import WriteRequest
from gateway.simulator import BenderSimulator, EvceSimulator, Simulator
from gateway.sources import BenderSession, EvceSession, Http, MappedSource, Trust, new_client_session
from gateway.sources.session import Session
from tests.sources.rig import PASSWORD, HandClock, Tokens, kinds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
async def http() -> AsyncIterator[Callable[..., Http]]:
    """Makes the request path to a simulator; every client session is closed at the end."""
    clients = []

    def make(sim: Simulator, trust: Trust | None = None, **limits: Any) -> Http:
        client = new_client_session(4)
        clients.append(client)
        pinned = Trust(fingerprint=sim.fingerprint.removeprefix("sha256:")) if sim.certificate else Trust()
        return Http(client, sim.url, trust or pinned, **limits)

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def evce() -> AsyncIterator[EvceSimulator]:
    async with EvceSimulator(tls=False) as sim:
        yield sim


@pytest.fixture
async def bender() -> AsyncIterator[BenderSimulator]:
    async with BenderSimulator() as sim:
        yield sim


@pytest.fixture
def session(http: Callable[..., Http], clock: HandClock, tokens: Tokens) -> Callable[..., Session]:
    def make(sim: Simulator, password: str = PASSWORD, **limits: Any) -> Session:
        path = http(sim, **limits)
        if sim.kind == "bender":
            return BenderSession(path, sim.base, clock, username="operator", password=lambda: password)
        return EvceSession(
            path, sim.base, clock, source="evce", username="bms", password=lambda: password, tokens=tokens
        )

    return make


@pytest.fixture
def source(session: Callable[..., Session], clock: HandClock) -> Callable[..., MappedSource]:
    return lambda sim, **options: MappedSource("s", session(sim, **options), clock)


Put = Callable[[MappedSource, float, int], Awaitable[str]]


@pytest.fixture
def put_limit() -> Put:
    """Writes the zone limit of zone 1 through the shipped mapping, in a session."""
    command = kinds("desc")["zone"].points["reduction"].command

    async def put(source: MappedSource, amps: float, number: int) -> str:
        return await source.write(WriteRequest(command, False, {"id": "1"}, {"value": amps}, number))

    return put
