"""What a restart brings back, and how it is judged (C10, C11, C13), without a product."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import GroupTerms, Loss
from gateway.core.priority import Origin
from tests.engine.lives import (
    BACNET,
    BMS,
    CLI,
    HOLD,
    PEOPLE,
    POINT,
    RELEASE,
    alarms,
    died,
    later,
    leased,
    limit,
    offline,
    passes,
    set_maximum,
    slot,
)
from tests.engine.rig import POLICY

VALUE = Loss("value", 16.0)
HOUR = 3600.0


def restart(plant, down_s=0.0, policy=POLICY, *, boot="this boot", synced=True, maximum=250.0, **options):
    clock = later(plant, down_s, boot=boot, synced=synced)
    return offline(policy, journal=died(plant), clock=clock, maximum=maximum, **options)


async def test_C10_slots_come_back_with_their_writers_and_are_shown_at_once():
    plant = offline()
    await plant.ask(40.0, slot=10, origin=BMS)
    await plant.ask(60.0, slot=8, origin=BACNET)
    born = restart(plant)
    assert (limit(born), born.receipt("winner")) == (60.0, 8)
    assert [(number, held.value, held.origin) for number, held in born.desk.slots(born.index(POINT)).occupied] == [
        (8, 60.0, BACNET),
        (10, 40.0, BMS),
    ]
    assert born.status() is WriteStatus.BLOCKED
    assert born.journal.evidence == []


async def test_C10_nothing_comes_back_of_what_was_released_and_verified():
    plant = offline()
    born = restart(plant)
    assert (limit(born), born.receipt("winner")) == (250.0, 0)


async def test_C10_a_failsafe_stays_failsafe():
    plant = offline(groups=leased(VALUE))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    born = restart(plant, groups=leased(VALUE))
    assert (limit(born), born.authority()) == (16.0, Authority.FAILSAFE)
    assert alarms(born) == ["failsafe"]
    await born.ask(50.0, origin=BMS)
    assert slot(born).failsafe is False


async def test_C10_after_a_restart_the_failsafe_alarm_still_names_each_slot_with_its_own_group():
    groups = {f"modbus/{name}": GroupTerms(lease_s=30.0, on_loss=loss) for name, loss in (("a", HOLD), ("b", RELEASE))}
    plant = offline(groups=groups)
    await plant.ask(40.0, origin=Origin("modbus", "10.0.0.5", "a"))
    await plant.ask(60.0, slot=13, origin=Origin("modbus", "10.0.0.6", "b"))
    passes(plant, 31)
    born = restart(plant, groups=groups)
    lost = "its writer was lost before"
    assert list(born.alarms.texts().values()) == [
        f"{POINT}: failsafe: slot 10 of modbus/a holds 40 A: {lost}; slot 13 of modbus/b holds nothing: {lost}"
    ]
    assert born.desk.in_failsafe() == {POINT: {"lost": [10, 13], "rules": 10}}


async def test_C10_the_mark_of_a_slot_that_failsafe_released_comes_back():
    plant = offline(groups=leased(RELEASE))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    born = restart(plant, groups=leased(RELEASE))
    assert born.authority() is Authority.FAILSAFE
    assert born.desk._points[born.index(POINT)].release_due


@pytest.mark.parametrize(("on_loss", "shown"), [(HOLD, 250.0), (RELEASE, 250.0), (VALUE, 16.0)])
async def test_C10_a_slot_that_todays_range_forbids_counts_as_lost_and_is_never_held(on_loss, shown):
    plant = offline(groups=leased(on_loss, 0.0))
    await plant.ask(200.0, origin=BMS)
    born = restart(plant, maximum=100.0, groups=leased(on_loss, 0.0))
    assert limit(born) == min(shown, 100.0)
    assert born.authority() is Authority.FAILSAFE
    assert born.journal.events() == ["failsafe"]
    assert "200 is outside 0..100 A" in born.journal.evidence[0].answer


async def test_C10_a_range_not_read_yet_judges_nothing_and_nothing_is_sent_before_it_can():
    plant = offline()
    await plant.ask(200.0, origin=BMS)
    born = restart(plant, maximum=None)
    point = born.desk._points[born.index(POINT)]
    assert point.unjudged
    assert limit(born) == 200.0
    assert point.delivery.target is None
    set_maximum(born, 100.0)
    assert not point.unjudged
    assert born.authority() is Authority.FAILSAFE


async def test_C10_a_range_read_later_that_allows_it_keeps_it():
    plant = offline()
    await plant.ask(90.0, origin=BMS)
    born = restart(plant, maximum=None)
    set_maximum(born, 100.0)
    assert (limit(born), slot(born).failsafe) == (90.0, False)
    assert born.desk._points[born.index(POINT)].delivery.target is not None


async def test_C10_todays_floor():
    plant = offline()
    await plant.ask(8.0, origin=BMS)
    born = restart(plant, policy=replace(POLICY, floor=10.0))
    assert born.authority() is Authority.FAILSAFE
    assert born.receipt("winner") == 0


@pytest.mark.parametrize("groups", [{"modbus/new": GroupTerms(), **PEOPLE}, {"modbus/bms": GroupTerms(write=False)}])
async def test_C10_a_group_that_is_gone_or_may_not_write_any_more_is_never_kept_by_hold(groups):
    plant = offline(groups={"modbus/bms": GroupTerms(), **PEOPLE})
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, groups=groups)
    assert born.receipt("winner") == 0
    assert born.authority() is Authority.FAILSAFE
    assert "modbus/bms may not write any more" in born.journal.evidence[0].answer


async def test_C10_a_slot_that_fails_uncovers_the_next_one():
    plant = offline()
    await plant.ask(200.0, slot=8, origin=BACNET)
    await plant.ask(40.0, slot=10, origin=BMS)
    born = restart(plant, maximum=100.0)
    assert (limit(born), born.receipt("winner")) == (40.0, 10)
    assert born.authority() is not Authority.FAILSAFE


async def test_C06_a_release_before_the_first_get_is_owed_over_a_restart():
    plant = offline()
    await plant.ask(40.0, origin=BMS)
    await plant.ask(None, origin=BMS)
    born = restart(restart(plant))
    point = born.desk._points[born.index(POINT)]
    assert point.delivery.target is not None
    assert point.delivery.target.release
    assert born.status() is WriteStatus.BLOCKED


# -- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boot", "synced", "down_s", "left"),
    [
        ("this boot", True, 100, 500),
        ("this boot", False, 100, 500),
        ("another boot", True, 100, 500),
        ("another boot", False, 100, 500),
        ("another boot", False, 5000, 500),
    ],
)
async def test_C11_which_clock_counts_and_never_a_full_lease(boot, synced, down_s, left):
    plant = offline(groups=leased(HOLD, 1000.0))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 400)
    born = restart(plant, down_s, boot=boot, synced=synced, groups=leased(HOLD, 1000.0))
    assert born.receipt("lease_left_s") == pytest.approx(left, abs=3)


async def test_C11_a_wall_clock_that_was_wrong_when_it_was_saved_is_not_trusted():
    plant = offline(groups=leased(HOLD, 1000.0))
    plant.clock.synced = False
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 5000, boot="another boot", groups=leased(HOLD, 1000.0))
    assert born.receipt("lease_left_s") == pytest.approx(750, abs=3)


@pytest.mark.parametrize(("lease_s", "grace_s"), [(1000.0, 60), (20.0, 20)])
async def test_C11_a_lease_that_ran_out_meanwhile_gets_one_grace(lease_s, grace_s):
    groups = leased(VALUE, lease_s)
    plant = offline(groups=groups)
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 2 * lease_s, groups=groups)
    assert (limit(born), born.receipt("lease_left_s")) == (40.0, grace_s)
    passes(born, grace_s - 2)
    assert limit(born) == 40.0
    passes(born, 3)
    assert (limit(born), born.authority()) == (16.0, Authority.FAILSAFE)


async def test_C11_only_an_accepted_write_earns_another_grace():
    groups = leased(VALUE, 100.0)
    plant = offline(groups=groups)
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 200.0, groups=groups)
    born.desk.save()
    third = restart(born, 200.0, groups=groups)
    assert third.authority() is Authority.FAILSAFE
    born = restart(plant, 200.0, groups=groups)
    await born.ask(40.0, origin=BMS)
    assert born.receipt("lease_left_s") == 100
    born.desk.save()
    assert restart(born, 200.0, groups=groups).receipt("lease_left_s") == 60


async def test_C11_a_heartbeat_keeps_the_graced_lease_only_once_it_changes():
    groups = leased(VALUE, 100.0, heartbeat=True)
    plant = offline(groups=groups)
    for number in (1, 2):
        plant.desk.heartbeat("modbus/bms", number)
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 200.0, groups=groups)
    born.desk.heartbeat("modbus/bms", 9)
    passes(born, 50)
    assert born.receipt("lease_left_s") == 10
    born.desk.heartbeat("modbus/bms", 10)
    born.desk.tick()
    assert born.receipt("lease_left_s") == 100


async def test_W16_after_a_long_downtime_on_bms_loss_acts_at_once_with_an_alarm():
    groups = leased(VALUE, 48 * HOUR)
    plant = offline(groups=groups)
    await plant.ask(40.0, slot=10, origin=BMS)
    born = restart(plant, 25 * HOUR, groups=groups)
    assert (limit(born), born.authority()) == (16.0, Authority.FAILSAFE)
    (text,) = born.alarms.texts().values()
    assert "down for 25.0 h, longer than max_downtime" in text


async def test_W16_a_slot_without_a_lease_is_kept_with_an_alarm_until_the_next_value():
    plant = offline(groups=leased(VALUE, 0.0))
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 25 * HOUR, groups=leased(VALUE, 0.0))
    assert (limit(born), alarms(born)) == (40.0, ["downtime"])
    await born.ask(50.0, origin=BMS)
    assert alarms(born) == []


async def test_W16_max_downtime_0_is_never_and_a_short_one_counts_from_the_last_sign_of_life():
    plant = offline(replace(POLICY, max_downtime_s=0.0), groups=leased(VALUE, 0.0))
    await plant.ask(40.0, origin=BMS)
    assert alarms(restart(plant, 1000 * HOUR, policy=replace(POLICY, max_downtime_s=0.0))) == []
    plant = offline(replace(POLICY, max_downtime_s=600.0))
    await plant.ask(40.0, origin=BMS)
    for _ in range(100):
        plant.clock.added += 60
        plant.desk.tick()
    assert alarms(restart(plant, 300, policy=replace(POLICY, max_downtime_s=600.0))) == []
    assert alarms(restart(plant, 700, policy=replace(POLICY, max_downtime_s=600.0))) == ["downtime"]


async def test_W16_no_clock_can_tell_how_long_it_was_down():
    plant = offline(groups=leased(VALUE, 48 * HOUR))
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, 100 * HOUR, boot="another boot", synced=False, groups=leased(VALUE, 48 * HOUR))
    assert (limit(born), alarms(born)) == (40.0, [])


async def test_C03_what_a_person_wrote_ends_at_its_time_also_while_the_gateway_was_down():
    plant = offline()
    await plant.ask(40.0, slot=8, origin=CLI)
    passes(plant, 60)
    born = restart(plant, 1000)
    assert born.receipt("lease_left_s") == pytest.approx(2540, abs=2)
    gone = restart(plant, 4000)
    assert (limit(gone), gone.receipt("winner")) == (250.0, 0)
    assert gone.desk._points[gone.index(POINT)].release_due
    assert alarms(gone) == []


# -- dry run and read only -------------------------------------------------------------------------------------------

DRY = replace(POLICY, dry_run=True)


async def test_C13_slots_of_a_dry_run_are_dropped_when_it_ends():
    plant = offline(DRY)
    await plant.ask(40.0, origin=BMS)
    assert plant.status() is WriteStatus.DRY_RUN
    assert slot(plant).dry
    still = restart(plant, policy=DRY)
    assert (limit(still), still.desk.obstacle) == (40.0, "")
    ended = restart(plant)
    assert (limit(ended), ended.receipt("winner")) == (250.0, 0)
    assert not ended.desk._points[ended.index(POINT)].release_due


async def test_C13_dry_run_may_not_begin_while_a_slot_is_set_or_a_release_pends():
    plant = offline()
    await plant.ask(40.0, origin=BMS)
    text = restart(plant, policy=DRY).desk.obstacle
    assert text == (
        "limits are set or being released (evce/zone/Zone A/reduction): release them first, then turn dry run on"
    )
    await plant.ask(None, origin=BMS)
    assert restart(plant, policy=DRY).desk.obstacle == text
    assert restart(plant).desk.obstacle == ""
    assert restart(offline(), policy=DRY).desk.obstacle == ""


async def test_C07_read_only_refuses_values_keeps_releases_and_shows_7():
    plant = offline()
    await plant.ask(40.0, origin=BMS)
    born = restart(plant, policy=replace(POLICY, read_only=True))
    assert (limit(born), born.authority(), born.status()) == (40.0, Authority.INHIBITED, WriteStatus.BLOCKED)
    with pytest.raises(CommandRejected) as caught:
        await born.ask(50.0, origin=BMS)
    assert caught.value.reject is Reject.READ_ONLY
    await born.ask(None, origin=BMS)
    assert born.receipt("winner") == 0


async def test_C07_inhibited_points_let_leases_run_and_show_7():
    plant = offline(groups=leased(VALUE))
    await plant.ask(40.0, origin=BMS)
    plant.resource("zone", "Zone A").trouble = "two or more zones are named 'Zone A'"
    passes(plant, 61)
    assert (limit(plant), plant.status()) == (16.0, WriteStatus.BLOCKED)
    assert plant.authority() is Authority.INHIBITED
    assert plant.desk.in_failsafe() == {POINT: {"lost": [10], "rules": 10}}
