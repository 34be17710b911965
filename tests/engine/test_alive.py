"""Sessions that polls alone would not keep, several controllers at once, and what a person finds meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from gateway.core.value import BAD, GOOD
from gateway.simulator import BenderSimulator
from tests.engine.rig import MAPPING, Traffic, loaded, logins, until, up

SLOW = 30.0
STATE = "charger/system_state"


@pytest.fixture
async def charger(sim_clock, monkeypatch):
    sim = BenderSimulator(seed=2, clock=sim_clock)
    sim.traffic = Traffic(sim, monkeypatch)
    async with sim:
        yield sim


def busy(source):
    """Whether a request must leave, or has left and was not answered."""
    return source.needs_request or source._session._under_way


async def polled(plant, sim_clock, sim, seconds, step_s):
    """Both clocks move on in steps; after each the poller has had time to do what is due."""
    for _ in range(int(seconds / step_s)):
        sim_clock.now += step_s
        plant.later(step_s)
        await asyncio.sleep(0.02)
        await until(lambda: not sim.traffic.now.total() and not any(map(busy, plant.sources.values())))


async def test_U14_polls_slower_than_the_idle_time_keep_the_session_and_never_meet_a_401(charger, plant, sim_clock):
    plant.add("garage", charger, factor=SLOW)
    health = plant.pollers["garage"].health
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: plant.value(f"garage/{STATE}") is not None)
            await polled(plant, sim_clock, charger, 1200, 15)
            assert charger.login.session is not None
    assert logins(charger) == [200]
    assert charger.traffic.refused == []
    assert (health.relogins, health.errors) == (0, 0)
    small = charger.traffic.total["/settings"] + charger.traffic.total["/messages"]
    assert 20 <= small <= 32, "a read with few points keeps the session"
    assert charger.traffic.total["/system_state"] <= 10
    assert [line["event"] for line in lines if line["event"] not in ("source.up", "resource.new")] == []


async def test_U14_an_evce_that_is_hardly_polled_is_kept_too(traced, plant, sim_clock):
    plant.add("evce", traced, factor=3000.0)
    async with plant.running():
        await up(plant)
        await polled(plant, sim_clock, traced, 4 * 3600, 240)
    assert logins(traced) == [200]
    assert traced.traffic.refused == []


async def test_U34_U14_a_pause_that_the_product_asked_for_does_not_cost_the_session(charger, plant, sim_clock):
    plant.add("garage", charger, factor=1.0)
    async with plant.running():
        await until(lambda: plant.value(f"garage/{STATE}") is not None)
        charger.faults.add("/system_state", status=429, headers={"Retry-After": "600"}, count=1)
        sim_clock.now += 6
        plant.later(6)
        await until(lambda: not charger.faults.active())
        before = charger.traffic.total.total()
        await polled(plant, sim_clock, charger, 570, 15)
        assert charger.traffic.total.total() - before <= 14
        assert logins(charger) == [200]
        assert charger.traffic.refused == []


async def test_U07_a_bender_that_was_away_for_an_hour_is_one_login(charger, plant, sim_clock):
    plant.add("garage", charger)
    async with plant.running():
        await until(lambda: plant.value(f"garage/{STATE}") is not None)
        await charger.do("listen", on=False)
        await until(lambda: plant.pollers["garage"].health.state == "down")
        sim_clock.now += 3600
        plant.later(3600)
        await charger.do("listen", on=True)
        await until(lambda: plant.value(f"garage/{STATE}") is not None)
        assert logins(charger) == [200, 200]
        assert charger.traffic.refused == []


async def test_U13_each_controllers_web_page_stays_usable_and_the_others_go_on(charger, plant, sim_clock):
    async with BenderSimulator(seed=3, clock=sim_clock) as other:
        plant.add("garage", charger)
        plant.add("annex", other)
        health = plant.pollers["garage"].health
        async with plant.running():
            await until(lambda: plant.value(f"garage/{STATE}") and plant.value(f"annex/{STATE}"))
            for number in (1, 2):
                await charger.do("web_login")
                await until(lambda n=number: health.relogins == n and not charger.traffic.now.total())
                requests = charger.traffic.total.total()
                await until(lambda n=requests: charger.traffic.total.total() > n)
            await charger.do("web_login")
            await until(lambda: health.state == "taken")
            assert "taken by another login; pausing 5 min" in health.reason
            page, requests = charger.login.session.id, charger.traffic.total.total()
            for _ in range(29):
                sim_clock.now += 10
                plant.later(10)
                assert charger.login.check(page, sim_clock.now), "a person works in the web page"
                await asyncio.sleep(0.02)
            assert charger.traffic.total.total() == requests
            assert plant.quality(f"garage/{STATE}") is BAD
            assert "taken by another login" in plant.reason(f"garage/{STATE}")
            await until(lambda: plant.quality(f"annex/{STATE}") is GOOD)
            assert plant.pollers["annex"].health.relogins == 0
            plant.later(11)
            await until(lambda: plant.quality(f"garage/{STATE}") is GOOD)
            assert logins(charger) == [200] * 4


async def test_U16_401_on_every_call_opens_the_breaker_after_three_and_says_why(charger, plant, sim_clock):
    charger.faults.add("/system_state", status=401)
    charger.faults.add("/settings", status=401)
    charger.faults.add("/messages", status=401)
    plant.add("garage", charger)
    health = plant.pollers["garage"].health
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: health.state == "paused")
            assert "every session is refused after a good login" in health.reason
            assert plant.quality(f"garage/{STATE}") is BAD
            assert "every session is refused" in plant.reason(f"garage/{STATE}")
            for tries in (3, 4, 5):
                assert logins(charger) == [200] * tries
                sim_clock.now += 295
                plant.later(295)
                await asyncio.sleep(0.1)
                assert logins(charger) == [200] * tries
                sim_clock.now += 6
                plant.later(6)
                await until(lambda n=tries: logins(charger) == [200] * (n + 1) and health.next_try)
            charger.faults.clear()
            plant.later(301)
            await until(lambda: plant.quality(f"garage/{STATE}") is GOOD)
    events = [(line["event"], line.get("state")) for line in lines if line["event"].startswith("source.")]
    assert events == [("source.down", "down"), ("source.down", "paused"), ("source.up", None)]


async def test_several_controllers_one_slow_delays_nobody_and_each_is_logged_out(plant, sim_clock, monkeypatch):
    sims = [BenderSimulator(seed=seed, clock=sim_clock) for seed in (2, 3, 4)]
    answered, serve = asyncio.Event(), sims[1]._serve

    async def slow(request):
        if request.path.endswith("/system_state"):
            await answered.wait()
        return await serve(request)

    monkeypatch.setattr(sims[1], "_serve", slow)
    async with contextlib.AsyncExitStack() as stack:
        for number, sim in enumerate(sims):
            await stack.enter_async_context(sim)
            plant.add(f"garage-{number}", sim, kinds=list(loaded(MAPPING["bender"]).kinds.values()))
        async with plant.running():
            for number in (0, 2):
                await until(lambda n=number: plant.value(f"garage-{n}/{STATE}") is not None)
            assert plant.value(f"garage-1/{STATE}") is None
            answered.set()
            await until(lambda: plant.value(f"garage-1/{STATE}") is not None)
        await asyncio.gather(*(source.close() for source in plant.sources.values()))
        for sim in sims:
            assert sim.login.session is None
            assert [item.status for item in sim.received if item.path == "/v1/logout"] == [200]
