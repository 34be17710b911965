"""What a strict simulated EVCE does with a limit, and what becomes of it (C08, C09)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.point import Factor
from tests.engine.limits import in_force, limits_up, pass_time, zone_kinds
from tests.engine.rig import limit_of, puts, until

S = WriteStatus
APPLIED = "evce/zone/Zone A/reduction.applied"
REDUCTION = "/em/zones/1/reduction"


async def test_W04_ignored_put_is_5_then_6_then_9_and_never_4(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        both.faults.add(REDUCTION, method="PUT", ignore_write=True)
        seen: list[WriteStatus] = []
        plant.table.subscribe(lambda _changed: seen.append(plant.status()))
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.VERIFYING)
        await pass_time(plant, 14)
        assert plant.status() is S.RETRYING
        assert plant.desk.alarms() == 0
        await pass_time(plant, 2)
        assert plant.status() is S.OVERRIDDEN
        assert len(puts(both)) == 3
        assert plant.desk.alarms() == 1
        assert plant.receipt("error") == 12
        assert plant.receipt("error_text") == "no limit in force upstream"
        assert S.IN_FORCE not in seen
        ordered = list(dict.fromkeys(status for status in seen if status in (S.VERIFYING, S.RETRYING, S.OVERRIDDEN)))
        assert ordered == [S.VERIFYING, S.RETRYING, S.OVERRIDDEN]
        both.faults.clear()
        await pass_time(plant, 62, step=2)
        await in_force(plant, 60.0)
        assert plant.receipt("error") == 0


@pytest.mark.parametrize("after", [0, 1])
async def test_W05_applied_but_reset_is_in_force_after_the_read_back_without_a_second_put(evce, plant, after):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        evce.faults.add(REDUCTION, method="PUT", cut="reset", after_bytes=after)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await pass_time(plant, 20, step=2)
        assert len(puts(evce)) == 1
        assert plant.status() is S.IN_FORCE
        assert (plant.receipt("error"), plant.receipt("error_text")) == (0, "")


async def test_W05_applied_but_timed_out(evce, plant):
    plant.add("evce", evce, total_s=1.5)
    async with plant.running():
        await limits_up(plant)
        evce.product.apply_writes = True
        evce.faults.add(REDUCTION, method="PUT", trickle_s=5.0)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        assert len(puts(evce)) == 1


@pytest.mark.parametrize("body", ["OK", "<html>done</html>", "[1,", ""])
async def test_a_put_answered_200_with_anything_is_settled_by_reading(evce, plant, body):
    plant.add("evce", evce, factor=1.0)
    async with plant.running():
        await limits_up(plant)
        evce.faults.add(REDUCTION, method="PUT", body=body)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await pass_time(plant, 15, step=1)
        assert len(puts(evce)) == 1
        assert plant.status() is S.IN_FORCE


@pytest.mark.parametrize("status", [400, 403, 405, 409, 422, 302])
async def test_W06_refused_put_is_8_with_the_products_message_and_is_not_repeated(both, plant, status):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        both.faults.add(REDUCTION, method="PUT", status=status, body='{"code": 1, "message": "out of\\nrange"}')
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.REJECTED)
        assert str(status) in str(plant.receipt("error_text"))
        assert status == 302 or r"out of\nrange" in str(plant.receipt("error_text"))
        assert plant.receipt("error") == 12
        assert plant.desk.alarms() == 1
        assert plant.value(APPLIED) == 250.0
        for _ in range(5):
            await plant.ask(60.0)
        await pass_time(plant, 60, step=2)
        assert len(puts(both)) == 1
        both.faults.clear()
        await plant.ask(70.0)
        await in_force(plant, 70.0)


async def test_U34_busy_product_is_asked_again_when_it_said(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        evce.faults.add(REDUCTION, method="PUT", status=503, headers={"Retry-After": "40"}, count=1)
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.RETRYING)
        await pass_time(plant, 38, step=2)
        assert len(puts(evce)) == 1
        await pass_time(plant, 4, step=2)
        await in_force(plant, 60.0)


async def test_W19_operator_tightens_upstream_and_is_left_alone_with_9(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await both.do("set_reduction", name="Zone A", amps=40)
        await until(lambda: plant.value(APPLIED) == 40.0)
        await pass_time(plant, 16)
        assert plant.status() is S.OVERRIDDEN
        for _ in range(10):
            await plant.ask(60.0)
        await pass_time(plant, 120, step=4)
        assert puts(both) == [(200, 60.0)]
        assert limit_of(both) == 40.0
        assert plant.sample("evce/zone/Zone A/reduction").value == 60.0
        assert plant.value(APPLIED) == 40.0
        assert plant.desk.alarms() == 1
        await both.do("set_reduction", name="Zone A", amps=60)
        await in_force(plant, 60.0)


async def test_W19_operator_loosens_and_it_is_set_again(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await both.do("set_reduction", name="Zone A")
        await until(lambda: plant.status() is S.VERIFYING)
        assert len(puts(both)) == 1
        await pass_time(plant, 16)
        await in_force(plant, 60.0)
        assert puts(both) == [(200, 60.0)] * 2
        assert limit_of(both) == 60.0


async def test_C09_limit_lost_in_a_reboot_is_set_again_at_once(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await evce.do("set_reduction", name="Zone A")
        await evce.do("reboot")
        await until(lambda: limit_of(evce) == 60.0)
        await in_force(plant, 60.0)


async def test_verify_must_hold_beside_the_value(evce, plant):
    """The number is right but the product says that it is not in force as asked."""
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        evce.faults.add(REDUCTION, method="GET", member="type", value="energy")
        await plant.ask(60.0)
        await until(lambda: plant.value(APPLIED) == 60.0)
        await pass_time(plant, 18)
        assert plant.status() is S.OVERRIDDEN


async def test_release_without_none_when_is_proven_by_the_default(evce, plant):
    plant.add("evce", evce, kinds=zone_kinds(none_when=None, verify=None))
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        plant.clock.added += 3
        await until(lambda: plant.status() is S.IDLE)
        assert limit_of(evce) is None


async def test_body_that_cannot_be_filled_waits_and_the_gateway_lives(evce, plant):
    """The release needs {default}, the default needs the zone's maximum, and that was never answered."""
    evce.faults.add("/em/zones/1", status=500)
    plant.add("evce", evce, kinds=zone_kinds(range=(Factor(0.0), Factor(250.0))))
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone B/maximum") is not None)
        await until(lambda: plant.authority() is Authority.AUTONOMOUS)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        plant.clock.added += 3
        await until(lambda: plant.status() is S.RETRYING)
        assert plant.receipt("error_text") == "the body needs {default}, which has no value yet"
        assert [value for _, value in puts(evce)] == [60.0]
        evce.faults.clear()
        await pass_time(plant, 70, step=5)
        await until(lambda: plant.status() is S.IDLE)


async def test_scale_of_another_point_and_its_change(evce, plant):
    """A product that takes thousandths of the zone's maximum: a new maximum is a new raw value."""
    kinds = zone_kinds(scale=Factor(0.0, "maximum", 0.001), convert=None, json_type="int", tolerance=None)
    plant.add("evce", evce, kinds=kinds)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/maximum") == 250.0)
        await until(lambda: plant.authority() is Authority.AUTONOMOUS)
        await plant.ask(60.0)
        await until(lambda: puts(evce) == [(200, 240)])
        await until(lambda: plant.status() is S.IN_FORCE)
        assert plant.value(APPLIED) == pytest.approx(60.0)
        await evce.do("zone_max", name="Zone A", amps=500)
        await until(lambda: plant.value("evce/zone/Zone A/maximum") == 500.0)
        plant.clock.added += 3
        await until(lambda: puts(evce)[-1] == (200, 120))
        await until(lambda: plant.value(APPLIED) == pytest.approx(60.0))
