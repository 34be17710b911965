"""What may be asked, who wins, and what is shown at once (C01, C02, C03)."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import CommandRejected, Reject
from gateway.core.priority import Origin
from gateway.core.value import BAD, GOOD, Sample
from gateway.engine.ports import Ask
from gateway.engine.setpoint import Limits, Policy
from tests.engine.rig import BMS, POLICY, Plant, loaded

ZONE = "evce/zone/Zone A"
POINT = f"{ZONE}/reduction"


def offline(
    policy: Policy = POLICY, overrides: dict[str, Limits] | None = None, maximum: float | None = 250.0
) -> Plant:
    """Two zones that were never read, but for their maximum."""
    plant = Plant(policy, overrides)
    plant.desk.connect(plant.intake, {})
    plant.inventory.restore("evce", loaded("evce.yaml").kinds["zone"], ["Zone A", "Zone B"])
    if maximum is not None:
        for zone in ("Zone A", "Zone B"):
            index = plant.index(f"evce/zone/{zone}/maximum")
            plant.table.update([(index, Sample(maximum, GOOD, "", plant.clock.monotonic()))])
    return plant


async def refused(plant: Plant, value, slot=10, point=POINT) -> Reject:
    before = (plant.sample(POINT)[:2], list(plant.desk.slots(plant.index(POINT))))
    with pytest.raises(CommandRejected) as caught:
        await plant.desk.submit([Ask(plant.index(point), value, slot)], BMS)
    assert (plant.sample(POINT)[:2], list(plant.desk.slots(plant.index(POINT)))) == before
    if point == POINT:
        assert plant.receipt("error") == int(caught.value.reject)
        assert plant.receipt("error_text") == str(caught.value)
    return caught.value.reject


@pytest.mark.parametrize(
    ("value", "reject"),
    [
        (math.nan, Reject.NOT_FINITE),
        (10**400, Reject.NOT_FINITE),
        (math.inf, Reject.NOT_FINITE),
        (-math.inf, Reject.NOT_FINITE),
        (250.1, Reject.RANGE),
        (1e38, Reject.RANGE),
        (-1.0, Reject.RANGE),
        (0.0, Reject.FLOOR),
        (5.99, Reject.FLOOR),
        ("60", Reject.TYPE),
        (True, Reject.TYPE),
    ],
)
async def test_W18_refused_at_once_and_nothing_changes(value, reject):
    assert await refused(offline(), value) is reject


@pytest.mark.parametrize("value", [6, 6.0, 250, 250.0, 60.5])
async def test_accepted_values_are_shown_at_once(value):
    plant = offline()
    await plant.ask(value)
    assert plant.sample(POINT).value == value
    assert plant.receipt("requested") == value
    assert (plant.receipt("winner"), plant.receipt("error")) == (10, 0)
    assert plant.receipt("write_status") == 7


@pytest.mark.parametrize("slot", [0, 6, 17, -3])
async def test_slots_that_cannot_be_written(slot):
    assert await refused(offline(), 60.0, slot) is Reject.SLOT
    assert await refused(offline(), None, slot) is Reject.SLOT


@pytest.mark.parametrize("point", [f"{ZONE}/power", f"{POINT}.applied", f"{POINT}.write_status"])
async def test_points_that_cannot_be_written(point):
    assert await refused(offline(), 60.0, point=point) is Reject.NOT_WRITABLE


async def test_range_that_is_another_point():
    assert await refused(offline(maximum=100.0), 101.0) is Reject.RANGE
    await offline(maximum=100.0).ask(100.0)
    assert await refused(offline(maximum=None), 60.0) is Reject.INHIBITED


async def test_range_and_default_outlive_an_outage():
    plant = offline()
    index = plant.index(f"{ZONE}/maximum")
    plant.table.update([(index, Sample(None, BAD, "no answer", 0.0))])
    assert plant.desk.default(plant.index(POINT)) == 250.0
    assert await refused(plant, 250.5) is Reject.RANGE
    await plant.ask(60.0)


@pytest.mark.parametrize(
    ("policy", "overrides", "good", "bad"),
    [
        (Policy(6, True, False), {}, [0.0, 6.0], [0.1, 5.9]),
        (Policy(10, False, False), {}, [10.0], [9.9, 0.0]),
        (POLICY, {ZONE: Limits(floor=16.0)}, [16.0], [15.0, 0.0]),
        (POLICY, {ZONE: Limits(allow_stop=True)}, [0.0, 6.0], [5.0]),
        (POLICY, {"evce/zone/Zone B": Limits(floor=16.0)}, [6.0], [5.0]),
        (Policy(6, True, False), {ZONE: Limits(allow_stop=False)}, [6.0], [0.0]),
    ],
)
async def test_floor_and_stop_of_policy_and_override(policy, overrides, good, bad):
    for value in good:
        await offline(policy, overrides).ask(value)
    for value in bad:
        assert await refused(offline(policy, overrides), value) is Reject.FLOOR


async def test_W12_W13_the_lowest_slot_wins_for_every_protocol():
    plant = offline()
    bacnet = Origin("bacnet", "10.0.0.9")
    await plant.ask(60.0, slot=10)
    await plant.ask(80.0, slot=8, origin=bacnet)
    assert plant.sample(POINT).value == 80.0
    assert plant.receipt("winner") == 8
    assert [slot and (slot.value, slot.origin) for slot in plant.desk.slots(plant.index(POINT))][7:10] == [
        (80.0, bacnet),
        None,
        (60.0, BMS),
    ]
    await plant.ask(None, slot=8, origin=bacnet)
    assert (plant.sample(POINT).value, plant.receipt("winner")) == (60.0, 10)
    await plant.ask(None)
    assert (plant.sample(POINT).value, plant.receipt("winner")) == (250.0, 0)


async def test_release_register_takes_1_and_ignores_0():
    plant = offline()
    release = plant.index(f"{POINT}.release")
    await plant.ask(60.0)
    accepted = plant.desk._points[plant.index(POINT)].accepted_at
    await plant.desk.submit([Ask(release, False, 10)], BMS)
    await plant.desk.submit([Ask(release, 0, 10)], Origin("modbus", "another"))
    assert plant.sample(POINT).value == 60.0
    assert plant.desk._points[plant.index(POINT)].accepted_at == accepted
    held = plant.desk.slots(plant.index(POINT))[10]
    assert held is not None
    assert held.origin == BMS
    await plant.desk.submit([Ask(release, 1, 10)], BMS)
    assert plant.receipt("winner") == 0


@pytest.mark.parametrize("value", [2, -1, 0.5, math.nan, "1", None])
async def test_release_takes_nothing_else(value):
    assert await refused(offline(), value, point=f"{POINT}.release") is Reject.RANGE


async def test_release_and_value_in_one_write_the_last_one_counts():
    plant = offline()
    value, release = plant.index(POINT), plant.index(f"{POINT}.release")
    await plant.desk.submit([Ask(value, 60.0, 10), Ask(release, 0, 10)], BMS)
    assert plant.receipt("winner") == 10
    await plant.desk.submit([Ask(release, 1, 10), Ask(value, 80.0, 10)], BMS)
    assert plant.sample(POINT).value == 80.0
    await plant.desk.submit([Ask(value, 60.0, 10), Ask(release, 1, 10)], BMS)
    assert plant.receipt("winner") == 0


async def test_all_or_nothing_over_several_points():
    plant = offline()
    a, b = plant.index(POINT), plant.index("evce/zone/Zone B/reduction")
    with pytest.raises(CommandRejected):
        await plant.desk.submit([Ask(a, 60.0, 10), Ask(b, 999.0, 10)], BMS)
    assert (plant.receipt("winner"), plant.receipt("winner", "Zone B")) == (0, 0)
    await plant.desk.submit([Ask(a, 60.0, 10), Ask(b, 70.0, 10)], BMS)
    assert [plant.sample(f"evce/zone/{zone}/reduction").value for zone in ("Zone A", "Zone B")] == [60.0, 70.0]


async def test_accepted_writes_of_one_request_are_one_notification():
    plant = offline()
    a, b = plant.index(POINT), plant.index("evce/zone/Zone B/reduction")
    plant.changes.clear()
    await plant.desk.submit([Ask(a, 60.0, 10), Ask(b, 70.0, 10)], BMS)
    assert len(plant.changes) == 1
    assert plant.changes[0] >= {POINT, "evce/zone/Zone B/reduction"}


async def test_C16_a_server_cancelled_during_the_commit_leaves_no_half():
    """Its client got no answer, so either end is right; but the value is shown, kept and aimed at as one."""
    plant = offline()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plant.desk.submit([Ask(plant.index(POINT), 60.0, 10)], BMS))
        await asyncio.sleep(0)
        task.cancel()
    assert plant.sample(POINT).value == 60.0
    assert plant.receipt("write_status") == 7


async def test_C16_nothing_is_answered_or_sent_before_the_commit_has_ended():
    plant = offline()
    steps = plant.desk.submit([Ask(plant.index(POINT), 60.0, 10)], BMS)
    steps.send(None)
    point = plant.desk._points[plant.index(POINT)]
    assert plant.journal.commits == 1
    assert point.delivery.target is None
    with pytest.raises(StopIteration):
        steps.send(None)
    assert point.delivery.target is not None


async def test_inhibited_points_refuse_values_and_take_releases():
    plant = offline()
    await plant.ask(60.0)
    plant.resource("zone", "Zone A").trouble = "two or more zones are named 'Zone A'"
    assert await refused(plant, 70.0) is Reject.INHIBITED
    await plant.ask(None)
    assert plant.receipt("winner") == 0


async def test_a_refresh_is_no_new_line_in_the_log_and_a_refusal_is_cleared_by_the_next_write():
    plant = offline()
    await refused(plant, 1000.0)
    with capture_logs() as lines:
        for _ in range(50):
            await plant.ask(60.0)
    assert [line["event"] for line in lines] == ["command.accepted"]
    assert (plant.receipt("error"), plant.receipt("error_text")) == (0, "")


async def test_ticking_marks_only_the_age():
    plant = offline()
    await plant.ask(60.0)
    plant.changes.clear()
    plant.desk.tick()
    assert plant.changes == []
    plant.clock.added += 5
    plant.desk.tick()
    assert plant.changes == [{f"{POINT}.age_s"}]
    assert plant.receipt("age_s") == 5


async def test_dry_run_is_shown_also_before_the_product_was_read():
    plant = offline(replace(POLICY, dry_run=True))
    with capture_logs() as lines:
        await plant.ask(60.0)
        await plant.ask(None)
    said = [line["would_send"] for line in lines if line["event"] == "command.dry_run"]
    assert said == ["nothing yet: the product was not read"] * 2
    assert plant.receipt("write_status") == 10


async def test_many_writers_at_once_end_in_one_consistent_state():
    plant = offline()
    await asyncio.gather(*(plant.ask(float(6 + n), slot=8 + n % 3) for n in range(60)))
    shown = plant.sample(POINT).value
    assert shown == plant.desk.slots(plant.index(POINT)).value
    assert plant.receipt("winner") == 8
