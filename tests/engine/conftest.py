"""Simulators of both dialects, with time that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.engine import poller, sender
from gateway.simulator import BenderSimulator, EvceSimulator
from tests.engine.rig import CLIENTS, Plant, SimClock, Traffic


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the moved clock often, and backs off in hundredths."""
    monkeypatch.setattr(poller, "LOOK_S", 0.01)
    monkeypatch.setattr(poller, "BACKOFF_S", (0.02, 0.2))
    monkeypatch.setattr(sender, "IDLE_WAKE_S", 0.01)


@pytest.fixture(autouse=True)
async def clients() -> AsyncIterator[None]:
    """Closes what the test opened."""
    yield
    while CLIENTS:
        await CLIENTS.pop().close()


@pytest.fixture
def sim_clock() -> SimClock:
    return SimClock()


@pytest.fixture
async def evce(sim_clock: SimClock) -> AsyncIterator[EvceSimulator]:
    async with EvceSimulator(tls=False, stations=6, zones=2, meters=1, clock=sim_clock) as sim:
        yield sim


@pytest.fixture(params=["desc", "nested"])
async def both(request: Any, sim_clock: SimClock) -> AsyncIterator[EvceSimulator]:
    async with EvceSimulator(tls=False, stations=6, zones=2, meters=1, clock=sim_clock, dialect=request.param) as sim:
        yield sim


@pytest.fixture
async def bender(sim_clock: SimClock) -> AsyncIterator[BenderSimulator]:
    async with BenderSimulator(seed=2, clock=sim_clock) as sim:
        yield sim


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture
async def traced(sim_clock, monkeypatch):
    sim = EvceSimulator(tls=False, stations=4, zones=8, meters=2, clock=sim_clock)
    sim.traffic = Traffic(sim, monkeypatch)
    async with sim:
        yield sim
