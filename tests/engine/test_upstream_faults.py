"""Faults of the way to the product, as a user sees them: quality and reason of points, and that nothing else waits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.value import BAD, GOOD, STALE
from gateway.simulator import EvceSimulator, make_certificate
from tests.awake import Awake
from tests.engine.limits import limits_up
from tests.engine.rig import between_polls, logins, puts, until, up
from tests.faults.proxy import NONE, OLD_TLS_ALERT, SILENCE, Fault, FaultProxy, cut, delay, garbage, reset, trickle

POWER = "evce/station/Bay 001/power"
ZONE = "evce/zone/Zone A/power"
CHARGER = "garage/charger/ambient_temp"
QUICK: dict[str, float] = {"connect_s": 0.3, "total_s": 0.6}
"""Time limits for tests that wait for their end."""
OWN: dict[str, float] = {}
"""Those of a site, for tests in which nothing may take too long, however busy this machine is."""


@pytest.fixture
async def way(request, evce, bender, plant):
    """The way to an EVCE, and a charger beside it that has nothing to do with it."""
    limits: dict[str, Any] = getattr(request, "param", QUICK)
    async with FaultProxy(("127.0.0.1", evce._port)) as proxy:
        plant.add("evce", evce, url=f"http://127.0.0.1:{proxy.port}", **limits)
        plant.add("garage", bender)
        yield proxy


async def good(plant):
    await up(plant)
    await until(lambda: plant.value(ZONE) is not None)
    await until(lambda: plant.value(CHARGER) is not None)


async def longest_silence(plant, seconds, source="garage"):
    """The longest time in which a source brought no answer, without what this process did not run."""
    health, longest = plant.pollers[source].health, 0.0
    deadline = time.monotonic() + seconds
    with Awake() as awake:
        newest, since = health.last_good, awake()
        while time.monotonic() < deadline:
            if health.last_good != newest:
                newest, since = health.last_good, awake()
            longest = max(longest, awake() - since)
            await asyncio.sleep(0.01)
    return longest


async def spoil(way, how):
    if isinstance(how, Fault):
        way.fault = how
        way.drop()
    else:
        await getattr(way, how)()


async def mend(way):
    way.fault = NONE
    await way.listen()
    way.drop()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        pytest.param("refuse", "cannot connect", id="U20"),
        pytest.param("blackhole", "no connection within 0.3 s", id="U21"),
        pytest.param(SILENCE, "no answer within 0.6 s", id="silence"),
        pytest.param(trickle(1, 0.1), "no answer within 0.6 s", id="U23"),
        pytest.param(reset(50), "the connection broke", id="U24"),
        pytest.param(cut(50), "the connection broke", id="U25"),
        pytest.param(reset(200), "", id="U24 in the body"),
        pytest.param(cut(200), "", id="U25 in the body"),
        pytest.param(garbage(), "what came back is not HTTP", id="garbage"),
    ],
)
async def test_U20_U21_U23_U24_U25_points_say_why_and_come_back_and_others_go_on(plant, way, evce, how, words):
    with capture_logs() as lines:
        async with plant.running():
            await good(plant)
            held = plant.sample(POWER).value
            errors = plant.pollers["evce"].health.errors
            await spoil(way, how)
            silence = await longest_silence(plant, 1.0)
            await until(lambda: plant.pollers["evce"].health.errors > errors + 2)
            assert plant.quality(POWER) is GOOD
            plant.later(16)
            assert plant.sample(POWER)[:2] == (held, STALE)
            await until(lambda: words in plant.reason(POWER))
            plant.later(30)
            assert plant.sample(POWER)[:2] == (held, BAD)
            await until(lambda: plant.quality(CHARGER) is GOOD)
            assert plant.pollers["garage"].health.errors == 0
            assert silence < 0.5
            await mend(way)
            await until(lambda: plant.quality(POWER) is GOOD)
            await until(lambda: plant.quality(ZONE) is GOOD)
            await until(lambda: plant.pollers["evce"].health.state == "up")
    told = [line for line in lines if line.get("source") == "evce" and line["log_level"] == "warning"]
    assert len(told) <= 12, told


@pytest.mark.parametrize("way", [{"total_s": 1.8}], indirect=True)
async def test_U22_an_answer_just_in_time_is_good(plant, way, evce):
    async with plant.running():
        await good(plant)
        way.fault = delay(1.2)
        before = plant.table.sample(plant.index(POWER)).time
        await until(lambda: plant.table.sample(plant.index(POWER)).time > before + 1)
        assert plant.quality(POWER) is GOOD
        assert plant.pollers["evce"].health.errors == 0
        assert plant.pollers["evce"].health.overruns > 0
        assert plant.pollers["evce"].health.state == "up"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param({"cut": "reset", "after_bytes": 40}, "broke", id="U24"),
        pytest.param({"cut": "truncate"}, "the answer broke off", id="U25 short"),
        pytest.param({"cut": "chunked"}, "the answer broke off", id="U25 chunked"),
        pytest.param({"replace": "html"}, "not JSON", id="U26 html"),
        pytest.param({"replace": "empty"}, "the answer is empty", id="U26 empty"),
        pytest.param({"replace": "huge", "megabytes": 20.0}, "answer too large (over 4096 kB)", id="U27 huge"),
        pytest.param({"replace": "gzip_bomb", "megabytes": 20.0}, "compressed", id="U27 bomb"),
        pytest.param({"member": "0.id", "change": "duplicate", "value": 9}, "malformed", id="U33 twice"),
        pytest.param({"nest": 50_000}, "malformed", id="U33 deep"),
        pytest.param({"replace": "invalid_utf8"}, "malformed", id="U33 utf8"),
        pytest.param({"status": 500, "body": '{"message": "no"}'}, ": 500 'no'", id="U34 500"),
        pytest.param({"status": 502, "body": "<html>"}, "/stations/statuses: 502", id="U34 502"),
        pytest.param({"status": 503}, "/stations/statuses: 503", id="U34 503"),
    ],
)
async def test_U24_U25_U26_U27_U33_U34_one_spoilt_answer_is_its_points_trouble_only(plant, evce, fault, words):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await until(lambda: plant.value(ZONE) is not None)
        evce.faults.add("/stations/statuses", **fault)
        health = plant.pollers["evce"].health
        await until(lambda: health.errors >= 3)
        plant.later(16)
        assert plant.quality(POWER) is STALE
        assert words in plant.reason(POWER)
        await until(lambda: plant.quality(ZONE) is GOOD)
        plant.later(30)
        assert plant.quality(POWER) is BAD
        await until(lambda: plant.quality(ZONE) is GOOD)
        assert (health.state, logins(evce)) == ("up", [200])
        evce.faults.clear()
        await until(lambda: plant.quality(POWER) is GOOD)


@pytest.mark.parametrize("way", [OWN], indirect=True)
async def test_U36_connections_closed_between_polls_cost_no_sample(plant, way, evce):
    async with plant.running():
        await good(plant)
        seen = way.accepted
        for _ in range(10):
            await between_polls(plant)
            way.drop()
            before = plant.table.sample(plant.index(POWER)).time
            await until(lambda at=before: plant.table.sample(plant.index(POWER)).time > at)
        health = plant.pollers["evce"].health
        assert (health.errors, health.relogins, logins(evce)) == (0, 0, [200])
    assert way.accepted >= seen + 10


@pytest.mark.parametrize("way", [OWN], indirect=True)
async def test_U36_a_limit_asked_for_on_a_closed_connection_is_settled_and_sent_once_in_force(plant, way, evce):
    async with plant.running():
        await limits_up(plant)
        way.drop()
        await plant.ask(60.0)
        await until(lambda: plant.status() == 4)
        assert puts(evce)[-1] == (200, 60.0)


@pytest.fixture
async def secure(sim_clock):
    async with EvceSimulator(stations=6, zones=2, meters=1, clock=sim_clock) as sim:
        yield sim


async def test_U37_expired_certificate_in_the_reason_of_every_point(plant, secure):
    poller = plant.add("evce", secure)
    async with plant.running():
        await up(plant)
        plant.later(3660 * 86400.0)
        await until(lambda: poller.health.state == "down")
        assert poller.health.reason.startswith("certificate expired 20")
        plant.later(46)
        assert plant.quality(POWER) is BAD
        assert "certificate expired 20" in plant.reason(POWER)
        assert " (valid from 20" in plant.reason(POWER)
        asked = [item.path for item in secure.received]
    assert asked == ["/api/v2/login/login"]


async def test_U38_a_replaced_certificate_is_bad_until_the_configuration_changes(plant, secure):
    poller, old = plant.add("evce", secure), secure.fingerprint
    async with plant.running():
        await up(plant)
        assert plant.sources["evce"].certificate == old
        await secure.do("replace_certificate")
        await until(lambda: poller.health.state == "down")
        plant.later(46)
        assert plant.quality(POWER) is BAD
        for fingerprint in (old, secure.fingerprint):
            assert fingerprint in plant.reason(POWER)
        assert plant.sources["evce"].certificate == old
        errors = poller.health.errors
        await until(lambda: poller.health.errors > errors + 2)
        assert logins(secure) == [200]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (SILENCE, "connected, but no TLS handshake within 0.2 s"),
        (Fault(instead=OLD_TLS_ALERT), "TLS is too old: at least TLS 1.2 is needed"),
    ],
    ids=["hangs", "old"],
)
async def test_U39_a_handshake_that_fails_says_how(plant, secure, fault, words):
    async with FaultProxy(("127.0.0.1", secure._port)) as way:
        way.fault = fault
        poller = plant.add("evce", secure, url=f"https://127.0.0.1:{way.port}", connect_s=0.2)
        async with plant.running():
            await until(lambda: words in poller.health.reason)
            way.fault = NONE
            await up(plant)
    assert logins(secure) == [200]


async def test_U37_thirty_days_before_its_end_a_certificate_is_an_alarm_and_one_line(plant, sim_clock):
    from gateway.addressing.builtin import GATEWAY_SOURCE, gateway_kind
    from gateway.engine.vitals import Vitals

    async with EvceSimulator(stations=2, zones=1, meters=1, clock=sim_clock) as sim:
        sim.present(make_certificate(days=40.5))
        plant.add("evce", sim)
        vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1", map_hash=lambda: 1)
        vitals.pollers = plant.pollers
        vitals.header = plant.inventory.single(GATEWAY_SOURCE, gateway_kind("big", "big", []))
        async with plant.running(desk=False):
            await up(plant)
            with capture_logs() as lines:
                vitals.tick()
                before = vitals.alarms_active()
                assert vitals.certificates_ending() == {}
                plant.clock.added += 11 * 86400.0
                for _ in range(3):
                    vitals.tick()
                assert vitals.alarms_active() == before + 1
                assert list(vitals.certificates_ending()) == ["evce"]
    (line,) = [line for line in lines if line["event"] == "certificate.ends_soon"]
    assert (line["source"], line["days"], line["log_level"]) == ("evce", 29, "warning")
