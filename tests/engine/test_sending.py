"""Limits on their way to a strict simulated EVCE: what it received, what it holds, what the receipt says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected
from gateway.core.point import Factor
from gateway.core.value import GOOD
from tests.engine.limits import in_force, limits_up, pass_time, zone_kinds
from tests.engine.rig import POLICY, Plant, limit_of, puts, until

S = WriteStatus
APPLIED = "evce/zone/Zone A/reduction.applied"
REDUCTION = "/em/zones/1/reduction"


async def test_limit_is_sent_in_the_products_unit_and_in_force_only_after_the_read_back(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        assert plant.authority() is Authority.AUTONOMOUS
        await plant.ask(60.0)
        assert plant.sample("evce/zone/Zone A/reduction").value == 60.0
        await in_force(plant, 60.0)
        assert puts(both) == [(200, 60.0)]
        assert puts(both, 2) == []
        assert limit_of(both) == 60.0
        assert plant.value(APPLIED) == 60.0
        assert plant.authority() is Authority.CONTROLLED
        assert [plant.receipt(p) for p in ("requested", "winner", "error", "error_text", "release")] == [
            60.0,
            10,
            0,
            "",
            False,
        ]
        sent = [request.body for request in both.received if request.method == "PUT"]
        assert sent == [
            {"type": "current", "value": 60.0, "valid_mode": "permanent"}
            if both.dialect == "desc"
            else {"kind": "absolute", "limit_da": 600, "validity": {"mode": "unlimited"}}
        ]


async def test_tenths_of_amperes_are_rounded_to_the_tighter_side(sim_clock, plant):
    from gateway.simulator import EvceSimulator

    async with EvceSimulator(tls=False, dialect="nested", stations=2, zones=1, clock=sim_clock) as sim:
        plant.add("evce", sim)
        async with plant.running():
            await limits_up(plant)
            await plant.ask(60.19)
            await until(lambda: puts(sim) == [(200, 60.1)])
            await until(lambda: plant.value(APPLIED) == pytest.approx(60.1))
            await until(lambda: plant.status() is S.IN_FORCE)


async def test_C06_release_is_sent_verified_and_then_nothing_more(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        assert plant.sample("evce/zone/Zone A/reduction").value == 250.0
        plant.clock.added += 2
        await until(lambda: plant.status() is S.IDLE)
        assert puts(both) == [(200, 60.0), (200, "release")]
        assert limit_of(both) is None
        assert plant.authority() is Authority.AUTONOMOUS
        await both.do("set_reduction", name="Zone A", amps=40)
        await until(lambda: plant.value(APPLIED) == 40.0)
        await pass_time(plant, 60, step=2)
        assert len(puts(both)) == 2
        assert limit_of(both) == 40.0


async def test_empty_slots_send_nothing_ever(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await pass_time(plant, 30, step=2)
        assert puts(evce) == []
        assert plant.status() is S.IDLE
        assert plant.value(APPLIED) == 40.0


async def test_release_of_nothing_sends_nothing(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        for _ in range(3):
            await plant.ask(None)
        await pass_time(plant, 20, step=2)
        assert puts(evce) == []
        assert plant.status() is S.IDLE


async def test_release_asked_before_the_first_get_is_settled_by_it(evce, plant):
    evce.faults.add(REDUCTION, method="GET", status=500)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/maximum") is not None)
        await plant.ask(None)
        evce.faults.clear()
        await limits_up(plant)
        await until(lambda: plant.status() is S.IDLE)
        assert puts(evce) == []


async def test_C06_a_limit_that_was_left_upstream_can_be_released_once(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        assert plant.desk.foreign_limits() == {"evce/zone/Zone A/reduction": 40.0}
        for _ in range(3):
            await plant.ask(None)
        await until(lambda: limit_of(evce) is None)
        await until(lambda: plant.status() is S.IDLE)
        assert plant.desk.foreign_limits() == {}
        await plant.ask(None)
        await pass_time(plant, 20, step=2)
        assert puts(evce) == [(200, "release")]


async def test_W01_a_storm_is_coalesced_and_the_last_value_wins(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        began, waits = time.monotonic(), []
        for n in range(1000):
            asked = time.perf_counter()
            await plant.ask(100.0 + n % 100)
            waits.append(time.perf_counter() - asked)
            if n % 10 == 0:
                await asyncio.sleep(0.005)
        took = time.monotonic() - began
        await plant.ask(42.0)
        await until(lambda: limit_of(evce) == 42.0)
        await in_force(plant, 42.0)
        assert len(puts(evce)) <= 2 + took / 2
        assert puts(evce)[-1] == (200, 42.0)
        assert sorted(waits)[990] < 0.1, "no answer waits for the product; the machine may hiccup ten times"


async def test_W01_a_disk_slower_than_the_storm_does_not_keep_limits_from_leaving(evce, plant):
    """There is always a commit under way; what the disk has taken leaves all the same."""
    plant.journal.takes_s = 0.05
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        async with asyncio.TaskGroup() as group:
            for n in range(300):
                group.create_task(plant.ask(100.0 + n % 100))
                await asyncio.sleep(0.01)
                if n == 100:
                    plant.clock.added += 3
            during = len(puts(evce))
        assert during >= 2
        plant.clock.added += 3
        await in_force(plant, 199.0)


@pytest.mark.parametrize("unknown", [False, True])
async def test_dry_run_says_what_it_would_send_and_sends_nothing(evce, unknown):
    """Also while the release's {default} is not known: the writer gets no error of the product's."""
    plant = Plant(replace(POLICY, dry_run=True))
    if unknown:
        evce.faults.add("/em/zones/1", status=500)
    plant.add("evce", evce, kinds=zone_kinds(range=(Factor(0.0), Factor(250.0))))
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: plant.authority() is Authority.AUTONOMOUS)
            await until(lambda: unknown or plant.value("evce/zone/Zone A/maximum") is not None)
            await plant.ask(60.0)
            assert plant.status() is S.DRY_RUN
            assert plant.sample("evce/zone/Zone A/reduction").value == 60.0
            await plant.ask(None)
            await pass_time(plant, 20, step=2)
            assert plant.status() is S.DRY_RUN
            assert puts(evce) == []
    said = [line["would_send"] for line in lines if line["event"] == "command.dry_run"]
    assert said == [
        'PUT /em/zones/1/reduction {"type": "current", "value": 60.0, "valid_mode": "permanent"}',
        "nothing yet: the body needs {default}, which has no value yet"
        if unknown
        else 'PUT /em/zones/1/reduction {"type": "none", "value": 250.0, "valid_mode": "permanent"}',
    ]


async def test_W12_W13_winner_of_the_slots_is_what_the_product_holds(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0, slot=10)
        await in_force(plant, 60.0)
        await plant.ask(100.0, slot=8)
        plant.clock.added += 3
        await until(lambda: limit_of(evce) == 100.0)
        await plant.ask(50.0, slot=10)
        await in_force(plant, 100.0)
        await plant.ask(None, slot=8)
        plant.clock.added += 3
        await until(lambda: limit_of(evce) == 50.0)
        await in_force(plant, 50.0)
        assert [value for _, value in puts(evce)] == [60.0, 100.0, 50.0]


async def test_release_overtaken_by_a_new_value_is_not_sent(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        await plant.ask(80.0)
        plant.clock.added += 3
        await in_force(plant, 80.0)
        assert [value for _, value in puts(evce)] == [60.0, 80.0]


async def test_a_dead_product_holds_up_no_command_of_another(evce, sim_clock, plant):
    from gateway.simulator import EvceSimulator

    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock) as other:
        plant.add("evce", evce)
        plant.add("annex", other)
        async with plant.running():
            await limits_up(plant)
            await until(lambda: plant.value("annex/zone/Zone A/reduction.applied") is not None)
            other.faults.add("*", delay_s=20)
            index = plant.index("annex/zone/Zone A/reduction")
            from gateway.engine.ports import Ask
            from tests.engine.rig import BMS

            await plant.desk.submit([Ask(index, 50.0, 10)], BMS)
            await plant.ask(60.0)
            await until(lambda: plant.status() is S.IN_FORCE, 3)


async def test_every_accepted_command_and_outcome_is_one_line(evce, plant):
    plant.add("evce", evce)
    with capture_logs() as lines:
        async with plant.running():
            await limits_up(plant)
            await plant.ask(60.0)
            await in_force(plant, 60.0)
            with pytest.raises(CommandRejected):
                await plant.ask(999.0)
            await pass_time(plant, 30, step=2)
    events = [line["event"] for line in lines if line["event"].startswith("command.")]
    assert events == ["command.accepted", "command.sent", "command.status", "command.refused"]


async def test_quality_of_what_is_asked_is_that_of_what_is_applied(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        plant.later(31)
        sample = plant.sample("evce/zone/Zone A/reduction")
        assert sample.value == 60.0
        assert sample.quality is not GOOD
        assert sample.reason == plant.reason(APPLIED) != ""
