"""Leases and slots when the configuration says something else about their writers: after a reload or a restart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.lease import GroupTerms
from gateway.core.priority import Origin, Slot
from gateway.engine.ports import Ask
from gateway.engine.supervision import Supervision
from tests.engine.lives import BACNET, BMS, HOLD, PEOPLE, RELEASE, ZONE, died, later, leased, offline, passes, slot
from tests.engine.rig import Clock

POINT: Any = SimpleNamespace(lease_s=0.0, on_loss=HOLD)
BEATING = leased(HOLD, 60.0, heartbeat=True)


class Life:
    """One held slot and its supervision."""

    def __init__(self, groups: dict[str, GroupTerms]) -> None:
        self.clock = Clock()
        self.supervision = Supervision(self.clock, groups)
        self.beats = 0
        self.beat()
        self.beat()
        lease = self.supervision.lease(POINT, Ask(0, 40.0, 10), BMS)
        self.slot = Slot(40.0, BMS, self.clock.monotonic(), lease)

    def beat(self) -> None:
        self.beats += 1
        self.supervision.heartbeat(BMS.group, self.beats)

    def passes(self, seconds: float) -> None:
        self.clock.added += seconds

    def reload(self, groups: dict[str, GroupTerms]) -> None:
        self.supervision.retune(groups)
        self.slot = Slot(40.0, BMS, self.slot.since, self.supervision.again(POINT, self.slot))

    @property
    def left(self) -> float:
        return round(self.supervision.left_s(self.slot))


def test_C04_a_longer_lease_counts_from_the_next_heartbeat():
    life = Life(BEATING)
    life.passes(50.0)
    life.reload(leased(HOLD, 600.0, heartbeat=True))
    assert life.left == 10
    life.passes(1.0)
    life.beat()
    assert life.left == 600


def test_C04_a_shorter_lease_counts_at_once():
    life = Life(BEATING)
    life.reload(leased(HOLD, 20.0, heartbeat=True))
    assert life.left == 20
    life.passes(5.0)
    life.reload(leased(HOLD, 20.0, heartbeat=True))
    assert life.left == 15


def test_C04_a_heartbeat_that_is_not_asked_for_any_more_takes_nothing_from_a_lease_that_it_kept():
    life = Life(BEATING)
    life.passes(50.0)
    life.beat()
    life.passes(40.0)
    life.reload(leased(HOLD, 60.0))
    assert life.left == 20
    life.beat()
    assert life.left == 20, "only an accepted write refreshes it now"


def test_C04_a_heartbeat_that_is_asked_for_from_now_on_has_what_is_left_of_the_lease():
    life = Life(leased(HOLD, 60.0))
    life.passes(50.0)
    life.beat()
    life.reload(BEATING)
    assert life.left == 10
    life.passes(1.0)
    life.beat()
    assert life.left == 60


def test_a_lease_that_is_new_is_whole_and_one_that_is_gone_is_none():
    life = Life(leased(HOLD, 0.0))
    life.passes(1000.0)
    life.reload(leased(HOLD, 60.0))
    assert life.left == 60
    life.reload(leased(HOLD, 0.0))
    assert life.supervision.left_s(life.slot) == float("inf")


DCS = Origin("modbus", "10.0.0.6", "dcs")


def at(bms: int, dcs: int) -> dict[str, GroupTerms]:
    return {"modbus/bms": GroupTerms(slot=bms), "modbus/dcs": GroupTerms(slot=dcs), "bacnet": GroupTerms(), **PEOPLE}


async def restarted(groups: dict[str, GroupTerms], *asked: tuple[float, int, Origin]) -> Any:
    plant = offline(groups=at(10, 12))
    for value, number, origin in asked:
        await plant.ask(value, slot=number, origin=origin)
    return offline(groups=groups, journal=died(plant), clock=later(plant, 5.0))


@pytest.mark.parametrize(("bms", "dcs"), [(12, 10), (9, 10), (11, 13)])
async def test_C10_a_group_takes_what_it_holds_to_its_slot_of_now(bms, dcs):
    born = await restarted(at(bms, dcs), (40.0, 10, BMS), (50.0, 12, DCS), (60.0, 14, BACNET))
    held = {number: found.value for number in range(1, 17) if (found := slot(born, number)) is not None}
    assert held == {bms: 40.0, dcs: 50.0, 14: 60.0}


async def test_C10_a_slot_that_another_holds_is_not_taken_from_it():
    born = await restarted(at(14, 12), (40.0, 10, BMS), (60.0, 14, BACNET))
    assert slot(born, 10) is None
    assert slot(born, 14).value == 60.0
    told = next(text for text in born.alarms.texts().values() if "slot 10" in text)
    assert "modbus/bms writes at slot 14 now, which bacnet holds" in told


async def test_C10_a_mark_of_failsafe_goes_along_and_the_next_write_there_ends_it():
    def terms(number: int) -> dict[str, GroupTerms]:
        return {"modbus/bms": GroupTerms(60.0, RELEASE, slot=number), **PEOPLE}

    plant = offline(groups=terms(10))
    await plant.ask(40.0, slot=10, origin=BMS)
    passes(plant, 61.0)
    born = offline(groups=terms(12), journal=died(plant), clock=later(plant, 5.0))
    slots = born.desk.slots(born.index(f"{ZONE}/reduction"))
    assert slots.lost == [12]
    await born.ask(30.0, slot=12, origin=BMS)
    assert slots.lost == []
    assert slots.winner == 12
