"""Limits over outages, restarts and other people's changes, judged by what a strict product received (C06..C12)."""

from __future__ import annotations

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import Loss
from gateway.sources import MappedSource
from tests.engine.limits import in_force, limits_up, pass_time, zone_kinds
from tests.engine.lives import BACNET, BMS, CLI, HOLD, RELEASE, again, alarms, leased, limit
from tests.engine.rig import Plant, limit_of, puts, until

S = WriteStatus
POINT = "evce/zone/Zone A/reduction"
APPLIED = f"{POINT}.applied"
REDUCTION = "/em/zones/1/reduction"


async def ticking(plant, seconds, step=1.0):
    """Time passes with reads, deliveries and the desk's own clock."""
    for _ in range(round(seconds / step)):
        await pass_time(plant, step, step)
        plant.desk.tick()


async def running_limit(plant, value=60.0, **options):
    await limits_up(plant)
    await plant.ask(value, **options)
    await in_force(plant, value)


# -- evidence and what stood upstream --------------------------------------------------------------------------------


async def test_C06_the_whole_life_of_a_limit_is_written_down(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant, origin=BMS)
        plant.clock.added += 3
        await plant.ask(None, origin=BMS)
        await until(lambda: plant.status() is S.IDLE)
    assert plant.journal.events(POINT) == ["accepted", "found", "sent", "verified", "released", "sent", "verified"]
    found, sent, verified = plant.journal.evidence[1:4]
    assert (found.new, found.applied) == ("250.0", "250.0")
    assert (sent.new, sent.slot, sent.origin) == ("60.0", 10, BMS)
    assert sent.answer.startswith("200")
    assert (verified.new, verified.applied) == ("60.0", "60.0")
    assert plant.journal.evidence[-1].answer == "no limit is in force"
    assert plant.journal.states == {
        key: text for key, text in plant.journal.states.items() if "released_by" in text and '"slots": {}' in text
    }


async def test_C06_a_tighter_value_found_upstream_is_told_before_a_release_loosens_it(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant)
        (text,) = plant.alarms.texts().values()
        assert "40 A was in force before this gateway wrote; a release will loosen it to 250 A" in text
        assert [item.new for item in plant.journal.evidence if item.event == "found"] == ["40.0"]
        plant.clock.added += 3
        await plant.ask(None)
        await until(lambda: plant.status() is S.IDLE)
        assert alarms(plant) == []


async def test_C06_what_is_found_is_also_told_when_the_value_came_before_the_first_get(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    evce.faults.add(REDUCTION, method="GET", status=500)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/maximum") is not None)
        await plant.ask(60.0)
        evce.faults.clear()
        await in_force(plant, 60.0)
        assert [item.new for item in plant.journal.evidence if item.event == "found"] == ["40.0"]
        assert alarms(plant) == ["found"]


async def test_C06_a_bms_that_writes_null_in_a_cycle_does_not_lift_an_operators_limit(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        for _ in range(3):
            await plant.ask(None, origin=BACNET)
        await evce.do("set_reduction", name="Zone A", amps=40)
        await until(lambda: plant.value(APPLIED) == 40.0)
        for _ in range(5):
            await plant.ask(None, origin=BACNET)
            await ticking(plant, 2)
        assert puts(evce) == []
        assert alarms(plant) == ["foreign"]
        born = again(plant, evce)
    async with born.running():
        await limits_up(born)
        await born.ask(None, origin=BACNET)
        await ticking(born, 3)
        assert (puts(evce), alarms(born)) == ([], ["foreign"])
        await born.ask(None, slot=8, origin=CLI)
        await until(lambda: limit_of(evce) is None)
        await until(lambda: alarms(born) == [])


async def test_C06_the_first_release_that_lifts_a_foreign_limit_is_an_alarm(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(None, origin=BACNET)
        await until(lambda: limit_of(evce) is None)
        assert alarms(plant) == ["lifted"]


async def test_C06_a_pending_release_survives_an_outage_and_a_restart(both, plant):
    """Seen in the field: an expired limit stuck on the device."""
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant)
        await both.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(None)
        assert plant.status() is S.BLOCKED
        born = again(plant, both)
    await both.do("listen", on=True)
    async with born.running():
        await until(lambda: limit_of(both) is None)
        await until(lambda: born.status() is S.IDLE)
    last = again(born, both)
    async with last.running():
        await limits_up(last)
        await both.do("set_reduction", name="Zone A", amps=40)
        await ticking(last, 5)
    assert [value for _, value in puts(both)] == [60.0, "release"]


async def test_C06_what_a_person_wrote_is_released_upstream_at_its_end(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant, slot=8, origin=CLI)
        plant.clock.added += 3590
        await ticking(plant, 12)
        await until(lambda: limit_of(evce) is None)
        await until(lambda: plant.status() is S.IDLE)


async def test_C07_another_certificate_means_reading_before_anything_is_sent(evce, plant, monkeypatch):
    shown = ["sha256:one"]
    monkeypatch.setattr(MappedSource, "certificate", property(lambda _self: shown[0]))
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant)
        silent = evce.faults.add(REDUCTION, method="GET", status=500)
        shown[0] = "sha256:two"
        await until(lambda: plant.status() is S.BLOCKED)
        await plant.ask(50.0)
        await ticking(plant, 10)
        assert puts(evce) == [(200, 60.0)]
        evce.faults.remove(silent)
        await in_force(plant, 50.0)


# -- failsafe upstream -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_loss", "held"), [(HOLD, 60.0), (RELEASE, None), (Loss("value", 16.0), 16.0)])
async def test_W08_failsafe_is_delivered_and_verified_like_any_value(both, on_loss, held):
    plant = Plant(groups=leased(on_loss, 30.0))
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant, origin=BMS)
        await ticking(plant, 32)
        await until(lambda: limit_of(both) == held)
        await until(lambda: plant.status() in (S.IN_FORCE, S.IDLE))
        assert plant.authority() is Authority.FAILSAFE
        assert len(puts(both)) == (1 if on_loss is HOLD else 2)


async def test_C08_a_failsafe_value_leaves_9_at_once(evce):
    plant = Plant(groups=leased(Loss("value", 16.0), 60.0))
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        fault = evce.faults.add(REDUCTION, method="PUT", ignore_write=True)
        await plant.ask(60.0, origin=BMS)
        await ticking(plant, 20)
        assert plant.status() is S.OVERRIDDEN
        evce.faults.remove(fault)
        await ticking(plant, 42)
        await until(lambda: limit_of(evce) == 16.0)
        await until(lambda: plant.status() is S.IN_FORCE)


async def test_field_bug_the_limit_is_stated_again_after_a_reconnect(both, plant):
    """Seen in the field: no limit stated after reconnect."""
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant)
        for _ in range(2):
            await until(lambda: plant.pollers["evce"].health.state == "up")
            await both.do("listen", on=False)
            await until(lambda: plant.pollers["evce"].health.state == "down")
            await both.do("set_reduction", name="Zone A")
            await both.do("listen", on=True)
            plant.clock.added += 3
            await until(lambda: limit_of(both) == 60.0)
            await in_force(plant, 60.0)


# -- conflicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["reassert", "adopt", "alarm"])
async def test_C09_policies_while_the_session_stands(evce, plant, policy):
    plant.add("evce", evce, kinds=zone_kinds(on_conflict=policy))
    async with plant.running():
        await running_limit(plant)
        await evce.do("set_reduction", name="Zone A", amps=100)
        await until(lambda: plant.value(APPLIED) == 100.0)
        await ticking(plant, 20)
        if policy == "alarm":
            assert plant.status() is S.OVERRIDDEN
            await ticking(plant, 120, step=4)
            assert (puts(evce), alarms(plant)) == ([(200, 60.0)], ["command"])
            assert "overridden" in plant.journal.events(POINT)
        else:
            await in_force(plant, 60.0)
            assert puts(evce) == [(200, 60.0)] * 2
        await evce.do("set_reduction", name="Zone A", amps=40)
        await until(lambda: plant.value(APPLIED) == 40.0)
        count = len(puts(evce))
        await ticking(plant, 60, step=4)
        assert plant.status() is S.OVERRIDDEN
        assert len(puts(evce)) == count


@pytest.mark.parametrize("policy", ["reassert", "adopt", "alarm"])
async def test_C09_looser_after_the_session_was_lost_is_set_again_under_every_policy(evce, plant, policy):
    plant.add("evce", evce, kinds=zone_kinds(on_conflict=policy))
    async with plant.running():
        await running_limit(plant)
        await evce.do("set_reduction", name="Zone A")
        await evce.do("reboot")
        await until(lambda: limit_of(evce) == 60.0)
        await in_force(plant, 60.0)


# -- 404 -------------------------------------------------------------------------------------------------------------


async def test_W07_a_404_looks_the_name_up_once_and_sends_once_more(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        both.faults.add(REDUCTION, method="PUT", status=404, count=1)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        assert puts(both) == [(404, 60.0), (200, 60.0)]
        assert plant.authority() is Authority.CONTROLLED


async def test_W07_a_second_404_inhibits_with_the_reason_until_the_product_is_another(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        fault = both.faults.add(REDUCTION, method="PUT", status=404)
        await plant.ask(60.0)
        await until(lambda: plant.authority() is Authority.INHIBITED)
        await ticking(plant, 120, step=4)
        assert puts(both) == [(404, 60.0)] * 2
        assert plant.status() is S.BLOCKED
        assert "404" in str(plant.receipt("error_text"))
        assert alarms(plant) == ["unknown"]
        with pytest.raises(CommandRejected) as caught:
            await plant.ask(50.0)
        assert caught.value.reject is Reject.INHIBITED
        both.faults.remove(fault)
        await both.do("revoke")
        await until(lambda: limit_of(both) == 60.0)
        await in_force(plant, 60.0)
        assert alarms(plant) == []


# -- restarts --------------------------------------------------------------------------------------------------------


async def test_W14_killed_between_accept_and_put_the_value_is_sent_after_the_restart(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await both.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(60.0)
        born = again(plant, both)
    assert limit(born) == 60.0
    await both.do("listen", on=True)
    async with born.running():
        await in_force(born, 60.0)
        assert puts(both) == [(200, 60.0)]


async def test_W15_killed_between_put_and_its_result_the_read_back_decides(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        saved = again(plant, both)
        await in_force(plant, 60.0)
    async with saved.running():
        await in_force(saved, 60.0)
        await ticking(saved, 20, step=2)
        assert puts(both) == [(200, 60.0)]


async def test_C10_a_verified_limit_needs_no_put_after_a_restart(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant)
        born = again(plant, both)
    async with born.running():
        await in_force(born, 60.0)
        assert puts(both) == [(200, 60.0)]
        assert born.authority() is Authority.CONTROLLED


async def test_C10_a_limit_that_was_loosened_while_the_gateway_was_down_is_set_again(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant)
        born = again(plant, both)
    await both.do("set_reduction", name="Zone A")
    async with born.running():
        await in_force(born, 60.0)
        assert puts(both) == [(200, 60.0)] * 2


async def test_C10_what_is_tighter_than_anything_restored_is_not_loosened_without_a_new_command(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await running_limit(plant)
        born = again(plant, both)
    await both.do("set_reduction", name="Zone A", amps=40)
    async with born.running():
        await until(lambda: born.status() is S.OVERRIDDEN)
        for _ in range(5):
            await born.ask(60.0)
            await ticking(born, 4, step=2)
        assert puts(both) == [(200, 60.0)]
        await born.ask(50.0)
        await in_force(born, 50.0)


async def test_C10_never_sent_and_tighter_upstream_is_not_loosened(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(60.0)
        born = again(plant, evce)
    await evce.do("set_reduction", name="Zone A", amps=45)
    await evce.do("listen", on=True)
    async with born.running():
        await until(lambda: born.status() is S.OVERRIDDEN)
        await ticking(born, 20, step=2)
        assert puts(evce) == []


async def test_C10_a_newer_looser_value_that_was_not_sent_yet_replaces_our_own_tighter_one(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant, 40.0)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(60.0)
        born = again(plant, evce)
    await evce.do("listen", on=True)
    async with born.running():
        await in_force(born, 60.0)
        assert [value for _, value in puts(evce)] == [40.0, 60.0]


async def test_C10_a_release_after_a_restart_does_not_lift_what_somebody_tightened_further(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(None)
        born = again(plant, evce)
    await evce.do("set_reduction", name="Zone A", amps=20)
    await evce.do("listen", on=True)
    async with born.running():
        await until(lambda: born.status() is S.OVERRIDDEN)
        await ticking(born, 20, step=2)
        assert limit_of(evce) == 20.0


async def test_C10_a_range_below_the_restored_value_is_failsafe_before_anything_is_sent(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await running_limit(plant, 200.0)
        born = again(plant, evce)
    await evce.do("zone_max", name="Zone A", amps=100)
    async with born.running():
        await limits_up(born)
        await until(lambda: limit_of(evce) is None)
        assert [value for _, value in puts(evce)] == [200.0, "release"]
        assert born.authority() is Authority.FAILSAFE


# -- products that forget by themselves ------------------------------------------------------------------------------


async def test_C12_what_expires_upstream_is_sent_again_at_half_its_time(evce, plant):
    plant.add("evce", evce, kinds=zone_kinds(valid_for_s=600.0))
    async with plant.running():
        await running_limit(plant)
        await ticking(plant, 280, step=10)
        assert len(puts(evce)) == 1
        await ticking(plant, 40, step=10)
        assert puts(evce) == [(200, 60.0)] * 2
        assert plant.status() is S.IN_FORCE
        await ticking(plant, 610, step=10)
        assert len(puts(evce)) == 4
        plant.clock.added += 3
        await plant.ask(None)
        await until(lambda: plant.status() is S.IDLE)
        count = len(puts(evce))
        await ticking(plant, 700, step=20)
        assert len(puts(evce)) == count


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 400}, {"cut": "reset", "after_bytes": 0}])
async def test_C12_a_failed_renewal_is_6_and_goes_on_until_it_succeeds(evce, plant, fault):
    plant.add("evce", evce, kinds=zone_kinds(valid_for_s=600.0))
    async with plant.running():
        await running_limit(plant)
        broken = evce.faults.add(REDUCTION, method="PUT", **fault)
        await ticking(plant, 320, step=10)
        await until(lambda: plant.status() is S.RETRYING)
        assert limit_of(evce) == 60.0
        evce.faults.remove(broken)
        await ticking(plant, 70, step=10)
        await in_force(plant, 60.0)


async def test_C12_past_our_end_without_a_read_back_applied_is_bad_and_an_alarm_says_why(evce, plant):
    plant.add("evce", evce, kinds=zone_kinds(valid_for_s=600.0))
    async with plant.running():
        await running_limit(plant)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        plant.clock.added += 610
        plant.desk.tick()
        assert plant.value(APPLIED) is None
        assert "expired" in alarms(plant)
        await evce.do("listen", on=True)
        await in_force(plant, 60.0)
        plant.desk.tick()
        assert "expired" not in alarms(plant)


async def test_C12_without_a_trusted_clock_nothing_is_sent_and_an_alarm_says_so(evce, plant):
    plant.clock.synced = False
    plant.add("evce", evce, kinds=zone_kinds(valid_for_s=600.0))
    plant.sources["evce"].product_clock = lambda: None
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await ticking(plant, 10)
        assert (puts(evce), plant.status()) == ([], S.BLOCKED)
        assert alarms(plant) == ["clock"]
        plant.clock.synced = True
        await ticking(plant, 2)
        await in_force(plant, 60.0)
        plant.desk.tick()
        assert alarms(plant) == []
