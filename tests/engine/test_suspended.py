"""A machine that was suspended: an outage of that length, although no monotonic clock saw it (FAULTS H08)."""

from __future__ import annotations

import pytest
import structlog

from gateway.addressing.builtin import GATEWAY_SOURCE, gateway_kind
from gateway.core.lease import Loss
from gateway.core.value import BAD, GOOD
from gateway.engine.vitals import Vitals
from tests.engine.lives import BMS, CLI, ZONE, leased, limit, offline, passes, slot

VALUE = Loss("value", 16.0)
TEN_MINUTES = 600.0


def awake(**options):
    """A gateway with its vitals, turned by hand."""
    plant = offline(**options)
    plant.vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1.2", map_hash=lambda: 7)
    plant.vitals.header = plant.inventory.single(GATEWAY_SOURCE, gateway_kind("big", "big", []))
    plant.vitals.tick()
    return plant


def sleeps(plant, seconds=TEN_MINUTES):
    plant.clock.asleep += seconds
    with structlog.testing.capture_logs() as lines:
        plant.vitals.tick()
    return [(line["event"], line["seconds"]) for line in lines if line["event"] == "machine.slept"]


def test_H08_every_value_is_old_at_once_and_it_is_one_line():
    plant = awake()
    maximum = f"{ZONE}/maximum"
    assert plant.quality(maximum) is GOOD
    assert sleeps(plant) == [("machine.slept", 600)]
    assert plant.quality(maximum) is BAD
    assert plant.table.age_s(plant.index(maximum)) == pytest.approx(TEN_MINUTES, abs=5)
    assert sleeps(plant, 0.0) == []


async def test_H08_a_lease_that_ran_out_meanwhile_has_one_grace():
    plant = awake(groups=leased(VALUE, 120.0))
    await plant.ask(40.0, origin=BMS)
    sleeps(plant)
    passes(plant, 58)
    assert (limit(plant), slot(plant).failsafe) == (40.0, False)
    passes(plant, 4)
    assert (limit(plant), slot(plant).failsafe) == (16.0, True)


async def test_H08_a_second_sleep_without_a_write_has_no_grace_and_a_write_earns_another():
    plant = awake(groups=leased(VALUE, 120.0))
    await plant.ask(40.0, origin=BMS)
    sleeps(plant)
    sleeps(plant)
    passes(plant, 1)
    assert slot(plant).failsafe
    await plant.ask(40.0, origin=BMS)
    sleeps(plant)
    passes(plant, 30)
    assert (limit(plant), slot(plant).failsafe) == (40.0, False)


async def test_H08_a_lease_that_is_longer_has_what_is_left():
    plant = awake(groups=leased(VALUE, 3600.0))
    await plant.ask(40.0, origin=BMS)
    sleeps(plant)
    plant.desk.tick()
    assert plant.receipt("lease_left_s") == pytest.approx(3000, abs=5)


async def test_H08_a_heartbeat_of_before_is_no_sign_of_life():
    plant = awake(groups=leased(VALUE, 120.0, heartbeat=True))
    plant.desk.heartbeat("modbus/bms", 1)
    plant.desk.heartbeat("modbus/bms", 2)
    await plant.ask(40.0, origin=BMS)
    sleeps(plant)
    _value, age_s = plant.desk.heartbeat_of("modbus/bms")
    assert age_s == pytest.approx(TEN_MINUTES, abs=5)
    passes(plant, 62)
    assert slot(plant).failsafe


async def test_H08_a_persons_own_end_comes_when_they_said():
    plant = awake(groups=leased(VALUE))
    await plant.ask(40.0, origin=CLI, slot=8)
    sleeps(plant, 3700.0)
    passes(plant, 1)
    assert slot(plant, 8) is None
