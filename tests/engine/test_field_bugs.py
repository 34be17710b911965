"""Eleven faults that limiters of other makers showed in the field, none of which may come back here."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import GroupTerms, Loss
from tests.engine.limits import in_force, limits_up
from tests.engine.lives import BMS, CLI, HOLD, again, died, later, leased, limit, offline, passes, slot
from tests.engine.rig import Plant, limit_of, until

SAFE = Loss("value", 16.0)
LEASED, BEATING = leased(SAFE), leased(SAFE, heartbeat=True)


def beats(plant, *values, group="modbus/bms"):
    for value in values:
        plant.desk.heartbeat(group, value)


async def controlled(groups, value=40.0):
    plant = offline(groups=groups)
    beats(plant, 1, 2)
    await plant.ask(value, origin=BMS)
    return plant


async def test_field_bug_1_timer_uninitialised():
    """The lease runs from the first accepted write, also when the clock reads little or nothing passed before."""
    plant = offline(groups=LEASED)
    plant.desk.tick()
    await plant.ask(40.0, origin=BMS)
    plant.desk.tick()
    assert (limit(plant), plant.receipt("lease_left_s")) == (40.0, 60)
    assert plant.authority() is not Authority.FAILSAFE
    passes(plant, 61)
    assert plant.authority() is Authority.FAILSAFE


@pytest.mark.parametrize("groups", [LEASED, BEATING])
async def test_field_bug_2_failsafe_never_left(groups):
    plant = await controlled(groups)
    passes(plant, 61)
    assert limit(plant) == 16.0
    beats(plant, 3)
    await plant.ask(50.0, origin=BMS)
    assert (limit(plant), slot(plant).failsafe, len(plant.alarms)) == (50.0, False, 0)


async def test_field_bug_3_failsafe_left_on_the_heartbeat_alone():
    plant = await controlled(BEATING)
    passes(plant, 61)
    for value in range(3, 300):
        beats(plant, value)
        passes(plant, 1)
    assert (limit(plant), plant.authority()) == (16.0, Authority.FAILSAFE)


async def test_field_bug_4_unlimited_after_a_while_with_the_sender_still_gone():
    plant = await controlled(LEASED)
    passes(plant, 61)
    for _ in range(30):
        plant.clock.added += 86400
        plant.desk.tick()
    assert (limit(plant), plant.authority()) == (16.0, Authority.FAILSAFE)
    born = offline(groups=LEASED, journal=died(plant), clock=later(plant, 30 * 86400))
    assert (limit(born), born.authority()) == (16.0, Authority.FAILSAFE)


async def test_field_bug_5_absent_duration_read_as_expired():
    plant = await controlled({"modbus/bms": GroupTerms(None, SAFE)})
    passes(plant, 5)
    assert (limit(plant), plant.receipt("lease_left_s")) == (40.0, None)
    born = offline(groups={"modbus/bms": GroupTerms(None, SAFE)}, journal=died(plant), clock=later(plant, 3600))
    assert (limit(born), slot(born).failsafe) == (40.0, False)


async def test_field_bug_6_last_limit_used_instead_of_the_configured_one():
    plant = await controlled(LEASED, 200.0)
    passes(plant, 61)
    assert limit(plant) == 16.0


@pytest.mark.parametrize("value", [-0.01, -16.0, -1e30])
async def test_field_bug_7_negative_limit_accepted(value):
    plant = offline()
    with pytest.raises(CommandRejected) as caught:
        await plant.ask(value, origin=BMS)
    assert caught.value.reject is Reject.RANGE


async def test_field_bug_8_sender_period_equal_to_the_receivers_deadline():
    """It enters and leaves failsafe, which `check` warns of; it is never without a limit, nor stuck in failsafe."""
    plant = await controlled(leased(HOLD))
    for _ in range(20):
        passes(plant, 60)
        assert limit(plant) == 40.0
        await plant.ask(40.0, origin=BMS)
        assert not slot(plant).failsafe
        assert plant.receipt("lease_left_s") == 60


async def test_field_bug_9_own_heartbeat_reported_for_the_peers():
    plant = offline(groups={**BEATING, "modbus/other": GroupTerms(60.0, HOLD, heartbeat=True)})
    beats(plant, 1, 2, 3, group="modbus/other")
    assert plant.desk.heartbeat_of("modbus/bms") == (0, None)
    with pytest.raises(CommandRejected) as caught:
        await plant.ask(40.0, origin=BMS)
    assert caught.value.reject is Reject.NO_HEARTBEAT


async def test_field_bug_10_no_limit_stated_after_reconnect(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await both.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await both.do("set_reduction", name="Zone A")
        await both.do("listen", on=True)
        await until(lambda: limit_of(both) == 60.0)
        await in_force(plant, 60.0)


async def test_field_bug_11_expired_limit_stuck_on_the_device(both):
    """Its writer's time ends while the gateway is down: the product is told as soon as it can be."""
    plant = Plant()
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0, slot=8, origin=CLI)
        await in_force(plant, 60.0)
    born = again(plant, both, down_s=4000)
    async with born.running():
        await until(lambda: limit_of(both) is None or born.desk.tick())
        await until(lambda: born.status() is WriteStatus.IDLE)


async def test_H07_a_jump_of_the_wall_clock_changes_no_lease():
    plant = await controlled(LEASED)
    for jump in (1e7, -3e7, 5e6):
        plant.clock.jumped += jump
        passes(plant, 10)
        assert (limit(plant), slot(plant).failsafe) == (40.0, False)
    assert plant.receipt("lease_left_s") == 30
