"""Commands that meet while the disk is still taking an earlier one (C06, C13, C16), without a product."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.lease import Loss
from gateway.engine.ports import Ask
from tests.engine.limits import limits_up
from tests.engine.lives import BACNET, BMS, CLI, HOLD, POINT, RELEASE, died, later, leased, limit, offline, passes
from tests.engine.rig import POLICY, Plant, limit_of, puts, until, up

DRY = replace(POLICY, dry_run=True)
KEY = "evce/zone/0/reduction"


def restart(plant, policy=POLICY, **options):
    return offline(policy, journal=died(plant), clock=later(plant, 0.0), **options)


async def test_C06_a_release_that_overtakes_the_commit_of_a_value_leaves_nothing_behind(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        plant.journal.takes_s = 0.05
        async with asyncio.TaskGroup() as group:
            group.create_task(plant.ask(20.0))
            await asyncio.sleep(0.01)
            group.create_task(plant.ask(None))
        plant.clock.added += 3
        await until(lambda: plant.receipt("write_status") == 1)
        await asyncio.sleep(0.2)
        plant.clock.added += 30
        await asyncio.sleep(0.2)
        assert limit_of(both) is None
        assert plant.authority() is Authority.AUTONOMOUS
        assert plant.desk._points[plant.index(POINT)].delivery.target is None
        assert [value for _, value in puts(both)] in ([], [20.0, "release"], ["release"])


async def test_C16_the_same_value_again_waits_for_the_commit_of_the_first():
    plant = offline()
    plant.journal.takes_s = 0.1
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.ask(20.0))
        await asyncio.sleep(0.01)
        await plant.ask(20.0)
        assert '"value": 20.0' in plant.journal.states[KEY], "answered before it was on the disk"
    before = plant.journal.commits
    await plant.ask(20.0)
    assert plant.journal.commits == before, "a refresh of what is on the disk does not touch it"


async def test_C16_a_repeated_release_waits_for_the_commit_of_the_first():
    plant = offline()
    await plant.ask(20.0, origin=BACNET)
    plant.journal.takes_s = 0.1
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.ask(None, origin=BACNET))
        await asyncio.sleep(0.01)
        await plant.ask(None, origin=BACNET)
        assert '"release": true' in plant.journal.states[KEY]


async def test_C13_a_dry_run_whose_writer_was_lost_starts_again_and_ends_without_a_trace():
    plant = offline(DRY, groups=leased(RELEASE))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    assert plant.authority() is Authority.FAILSAFE
    still = restart(plant, DRY, groups=leased(RELEASE))
    assert (still.desk.obstacle, still.authority()) == ("", Authority.FAILSAFE)
    ended = restart(plant, groups=leased(RELEASE))
    assert ended.authority() is Authority.INIT
    assert ended.desk.in_failsafe() == {}
    assert limit(ended) == 250.0


async def test_C06_a_release_is_owed_also_while_the_range_of_what_was_restored_is_not_known():
    plant = offline()
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, maximum=None)
    point = born.desk._points[born.index(POINT)]
    assert point.unjudged
    await born.ask(None, origin=BMS)
    assert point.delivery.target is not None
    assert point.delivery.target.release


async def test_C16_an_actions_code_again_waits_for_the_commit_of_the_first(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        plant.journal.takes_s = 0.1
        ask = Ask(plant.index("evce/station/Bay 001/reset"), 1, 10)
        async with asyncio.TaskGroup() as group:
            group.create_task(plant.desk.submit([ask], BMS))
            await asyncio.sleep(0.01)
            await plant.desk.submit([ask], BACNET)
            assert "evce/station/0/reset" in plant.journal.states


@pytest.mark.parametrize("seed", range(4))
async def test_C06_C16_whatever_meets_on_a_slow_disk_what_is_upstream_is_what_is_asked_in_the_end(evce, seed):
    draw = random.Random(seed)
    plant = Plant(groups=leased(draw.choice([HOLD, RELEASE, Loss("value", 16.0)]), 3.0))
    plant.add("evce", evce)
    writers = ((10, BMS), (8, BACNET), (9, CLI))
    async with plant.running():
        await limits_up(plant)
        plant.journal.takes_s = 0.02
        async with asyncio.TaskGroup() as clients:
            for _ in range(40):
                number, origin = draw.choice(writers)
                write = plant.ask(draw.choice([None, 20.0, 60.0]), slot=number, origin=origin)
                client = clients.create_task(write)
                if draw.random() < 0.1:
                    client.cancel()
                await asyncio.sleep(draw.choice([0, 0, 0.005, 0.03]))
                plant.clock.added += draw.choice([0, 0, 0.5, 2])
                if draw.random() < 0.3:
                    plant.desk.tick()
        if seed % 2:
            for number, origin in writers:
                await plant.ask(None, slot=number, origin=origin)
        point = plant.desk._points[plant.index(POINT)]

        def settled():
            plant.clock.added += 0.2
            winner = point.slots.value
            done = WriteStatus.IDLE if winner is None else WriteStatus.IN_FORCE
            return (limit_of(evce), plant.status(), point.release_due) == (winner, done, False)

        await until(settled)
        assert (point.slots.value is None, point.committing) == (point.delivery.target is None, [])


async def test_C01_what_is_accepted_shows_with_its_answer_and_never_as_nan_whatever_the_product_says(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(20.0)
        assert plant.sample(POINT).value == 20.0
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        plant.later(3600.0)
        assert plant.value(f"{POINT}.applied") is None
        plant.desk.tick()
        shown = plant.sample(POINT)
        assert (shown.value, shown.quality) == (20.0, plant.quality(f"{POINT}.applied"))
