"""One source's life under load, faults and cancellation."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.core.value import GOOD
from gateway.simulator import EvceSimulator
from tests.engine.limits import limits_up, pass_time
from tests.engine.rig import Plant, logins, puts, until, up

POWER = "evce/station/Bay 001/power"


async def test_U22_slow_answers_never_overlap_and_overruns_are_counted(traced, plant):
    traced.faults.add("/em/zones/*", delay_s=0.25)
    plant.add("evce", traced, parallel=6)
    async with plant.running():
        await until(lambda: plant.pollers["evce"].health.overruns > 3)
        await until(lambda: traced.traffic.total["/em/zones/1/status"] > 1)
        await until(lambda: plant.quality("evce/zone/Zone A/power") is GOOD)
    assert {path: most for path, most in traced.traffic.most.items() if most > 1} == {}
    assert plant.quality("evce/zone/Zone A/power") is GOOD


@pytest.mark.parametrize("parallel", [1, 3])
async def test_at_most_parallel_requests_are_under_way(traced, plant, parallel):
    traced.faults.add("*", delay_s=0.02)
    plant.add("evce", traced, parallel=parallel)
    async with plant.running():
        await until(lambda: traced.traffic.total["/em/zones/1/status"] > 2)
    assert traced.traffic.most_at_once == parallel


async def test_replanning_while_reads_are_under_way_neither_doubles_nor_loses_a_read(traced, plant):
    traced.faults.add("/em/zones/*", delay_s=0.05)
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        for i in range(6):
            await traced.do("add", kind="zone", name=f"New {i}")
            await until(lambda n=i: ("evce", "zone", f"New {n}") in plant.inventory.resources)
        for i in range(6):
            await until(lambda n=i: plant.value(f"evce/zone/New {n}/power") is not None)
        before = traced.traffic.total.copy()
        await until(
            lambda: all(
                traced.traffic.total[f"/em/zones/{n}/status"] > before[f"/em/zones/{n}/status"]
                for n in traced.site.zones
            )
        )
    assert {path: most for path, most in traced.traffic.most.items() if most > 1} == {}


async def test_U20_dead_source_does_not_delay_another(traced, sim_clock, plant):
    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock) as other:
        plant.add("evce", traced)
        plant.add("annex", other)
        async with plant.running():
            await up(plant)
            await up(plant, "annex")
            await other.do("listen", on=False)
            await until(lambda: plant.pollers["annex"].health.state == "down")
            before = traced.traffic.total["/stations/statuses"]
            await until(lambda: traced.traffic.total["/stations/statuses"] > before + 5, 2)
            assert plant.pollers["evce"].health.state == "up"
            plant.later(16)
            await until(lambda: plant.quality(POWER) is GOOD)
            assert plant.quality("annex/station/Bay 001/power") is not GOOD
            await other.do("listen", on=True)
            await up(plant, "annex")


async def test_hanging_source_does_not_delay_another(traced, sim_clock, plant):
    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock) as other:
        other.faults.add("*", delay_s=30)
        plant.add("annex", other, total_s=20)
        plant.add("evce", traced)
        async with plant.running():
            await up(plant)
            polls = traced.traffic.total.total()
            await until(lambda: traced.traffic.total.total() > polls + 10)
            assert plant.pollers["annex"].health.state == "starting"
            assert plant.pollers["evce"].health.errors == 0


async def test_a_hanging_source_is_told_with_its_time_limit(sim_clock, plant):
    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock) as other:
        other.faults.add("*", delay_s=30)
        plant.add("annex", other, total_s=0.5)
        async with plant.running():
            await until(lambda: "no answer within 0.5 s" in plant.pollers["annex"].health.reason)


async def test_U34_429_pauses_the_whole_source_for_as_long_as_it_said(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        traced.faults.add("/stations/statuses", status=429, headers={"Retry-After": "60"}, count=1)
        await until(lambda: not traced.faults.active())
        await until(lambda: plant.pollers["evce"].health.errors == 1)
        await until(lambda: not plant.pollers["evce"]._schedule._running)  # what was on its way out has been answered
        requests = traced.traffic.total.total()
        await asyncio.sleep(0.3)
        assert traced.traffic.total.total() == requests
        plant.clock.added += 61
        await until(lambda: traced.traffic.total.total() > requests)


async def test_U34_503_pauses_that_read_only(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        traced.faults.add("/stations/statuses", status=503, headers={"Retry-After": "60"}, count=1)
        await until(lambda: not traced.faults.active())
        await until(lambda: plant.pollers["evce"].health.errors == 1)
        statuses, zones = (traced.traffic.total[p] for p in ("/stations/statuses", "/em/zones/1/status"))
        await until(lambda: traced.traffic.total["/em/zones/1/status"] > zones + 4)
        assert traced.traffic.total["/stations/statuses"] == statuses
        plant.clock.added += 61
        await until(lambda: traced.traffic.total["/stations/statuses"] > statuses)


async def test_failing_read_is_one_line_at_the_change_however_often_it_is_planned_anew(traced, plant):
    plant.add("evce", traced)
    with capture_logs() as lines:
        async with plant.running():
            await up(plant)
            fault = traced.faults.add("/pms/1/values", status=500, body='{"message": "no"}')
            await until(lambda: plant.pollers["evce"].health.errors > 3)
            await traced.do("add", kind="station", name="Newcomer")
            await until(lambda: plant.value("evce/station/Newcomer/status") is not None)
            before = plant.pollers["evce"].health.errors
            await until(lambda: plant.pollers["evce"].health.errors > before + 3)
            assert plant.pollers["evce"].failing == {"evce/meter/Meter 1 values": "GET /api/v2/pms/1/values: 500 'no'"}
            traced.faults.remove(fault)
            await until(lambda: any(line["event"] == "read.recovered" for line in lines))
            assert plant.pollers["evce"].failing == {}
    events = [(line["event"], line["read"]) for line in lines if line["event"].startswith("read.")]
    name = "evce/meter/Meter 1 values"
    assert events == [("read.failed", name), ("read.recovered", name)]


async def test_what_fails_is_told_only_while_it_is_asked_for(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        traced.faults.add("/pms/1/values", status=500)
        await until(lambda: plant.pollers["evce"].failing)
        await traced.do("delete", kind="meter", name="Meter 1")
        await until(lambda: not plant.pollers["evce"].failing)


async def test_a_quiet_site_logs_nothing(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        await until(lambda: plant.value("evce/zone/Zone H/reduction.applied") is not None)
        with capture_logs() as lines:
            before = traced.traffic.total["/stations/statuses"]
            await until(lambda: traced.traffic.total["/stations/statuses"] > before + 8)
        assert lines == []


async def test_one_refused_list_does_not_take_the_source_down(traced, plant):
    traced.faults.add("/pms", status=500)
    traced.faults.add("/stations", replace="html")
    plant.add("evce", traced)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/power") is not None)
        assert plant.pollers["evce"].health.connected
        traced.faults.clear()
        await until(lambda: plant.value("evce/meter/Meter 1/power") is not None)
        await until(lambda: plant.value(POWER) is not None)


async def test_U26_html_everywhere_is_down_with_back_off_and_one_login(traced, plant):
    for path in ("/pms", "/stations*", "/em*"):
        traced.faults.add(path, replace="html")
    plant.add("evce", traced)
    async with plant.running():
        await until(lambda: plant.pollers["evce"].health.errors > 6)
        assert "not JSON" in plant.pollers["evce"].health.reason
        assert logins(traced) == [200]


async def test_a_programming_error_is_not_swallowed(evce, plant, monkeypatch):
    def broken(*_args, **_kwargs):
        raise KeyError("defect")

    monkeypatch.setattr(plant.intake, "take", broken)
    plant.add("evce", evce)
    with pytest.RaisesGroup(pytest.RaisesExc(KeyError, match="defect"), flatten_subgroups=True):
        async with plant.running():
            await asyncio.sleep(5)


@pytest.mark.parametrize("moment_s", [0.0, 0.01, 0.03, 0.1, 0.3])
async def test_cancelled_at_any_moment_nothing_is_left_behind(traced, moment_s):
    traced.faults.add("*", delay_s=0.02)
    for _ in range(3):
        plant = Plant()
        plant.add("evce", traced)
        async with asyncio.timeout(5):
            async with plant.running():
                await asyncio.sleep(moment_s)
        coroutines = [str(task.get_coro()) for task in asyncio.all_tasks()]
        ours = ("Poller.", "Sender.", "CommandDesk.", "Reader.", "Session.")
        assert [text for text in coroutines if any(name in text for name in ours)] == []


async def test_cancelled_while_the_source_dies_it_still_ends(traced):
    """A task group prefers errors to a cancellation; the poller must not go on because of it."""
    for _ in range(20):
        plant = Plant()
        plant.add("evce", traced)
        async with asyncio.timeout(5):
            async with plant.running():
                await until(lambda p=plant: p.pollers["evce"].health.state == "up")
                traced.drop_connections()
                plant.pollers["evce"]._failures_in_a_row = 2
                traced.faults.add("*", cut="reset", after_bytes=0)
        traced.faults.clear()


async def test_parallel_of_commands_and_reads_share_the_session(traced, plant):
    plant.add("evce", traced, parallel=1)
    async with plant.running():
        await up(plant)
        await until(lambda: plant.value("evce/zone/Zone A/reduction.applied") is not None)
        for zone in "ABCDEFGH":
            await plant.ask(60.0, f"Zone {zone}")
        for number in range(1, 9):
            await until(lambda n=number: puts(traced, n) == [(200, 60.0)])
        assert logins(traced) == [200]


async def test_read_backs_of_a_slow_product_do_not_pile_up(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await limits_up(plant)
        traced.faults.add("/em/zones/1/reduction", method="PUT", ignore_write=True)
        traced.faults.add("/em/zones/1/reduction", method="GET", delay_s=1.0)
        await plant.ask(60.0)
        await until(lambda: puts(traced) == [(200, 60.0)])
        await pass_time(plant, 12)
        assert traced.traffic.most["/em/zones/1/reduction"] <= 2
