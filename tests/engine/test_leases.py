"""A BMS that dies, comes back, or never lived: leases, heartbeats and failsafe (C03, C04, C05)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.delivery import Authority
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import GroupTerms, Loss
from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from gateway.engine.setpoint import Limits
from tests.engine.lives import (
    BACNET,
    BMS,
    CLI,
    HOLD,
    POINT,
    RELEASE,
    ZONE,
    alarms,
    leased,
    limit,
    offline,
    passes,
    slot,
)
from tests.engine.rig import POLICY

VALUE = Loss("value", 16.0)
BEATING = leased(HOLD, 60.0, heartbeat=True)


async def rejected(plant, value, number=10, origin=BMS) -> CommandRejected:
    with pytest.raises(CommandRejected) as caught:
        await plant.ask(value, slot=number, origin=origin)
    return caught.value


def beat(plant, value, group="modbus/bms"):
    plant.desk.heartbeat(group, value)


async def living(plant, value=40.0):
    """A BMS whose heartbeat changed and that asked for a limit."""
    beat(plant, 1)
    beat(plant, 2)
    await plant.ask(value, origin=BMS)


# -- leases ----------------------------------------------------------------------------------------------------------


async def test_C04_a_lease_is_off_unless_somebody_says_so():
    plant = offline()
    await plant.ask(40.0, origin=BMS)
    passes(plant, 3)
    plant.clock.added += 1e6
    plant.desk.tick()
    assert (limit(plant), plant.receipt("lease_left_s")) == (40.0, None)
    assert slot(plant).failsafe is False


async def test_C04_the_same_value_again_refreshes_the_lease():
    plant = offline(groups=leased())
    await plant.ask(40.0, origin=BMS)
    for _ in range(10):
        passes(plant, 50)
        await plant.ask(40.0, origin=BMS)
    assert plant.receipt("lease_left_s") == 60
    assert slot(plant).failsafe is False


async def test_C04_countdown_is_readable_and_ends_at_0():
    plant = offline(groups=leased())
    await plant.ask(40.0, origin=BMS)
    seen = []
    for _ in range(61):
        seen.append(plant.receipt("lease_left_s"))
        passes(plant, 1)
    assert seen[:2] == [60, 59] or seen[:2] == [60, 60]
    assert seen == sorted(seen, reverse=True)
    assert plant.receipt("lease_left_s") == 0


@pytest.mark.parametrize(("on_loss", "value", "winner"), [(HOLD, 40.0, 10), (RELEASE, 250.0, 0), (VALUE, 16.0, 10)])
async def test_W08_C05_at_its_end_on_bms_loss_acts_on_the_slot_and_authority_says_failsafe(on_loss, value, winner):
    plant = offline(groups=leased(on_loss))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 58)
    assert (limit(plant), plant.receipt("authority")) == (40.0, Authority.INIT)
    passes(plant, 3)
    assert (limit(plant), plant.receipt("winner")) == (value, winner)
    assert plant.authority() is Authority.FAILSAFE
    assert alarms(plant) == ["failsafe"]
    assert plant.desk.in_failsafe() == {POINT: {"lost": [10], "rules": winner or None}}
    assert plant.journal.events() == ["accepted", "failsafe"]
    shown = plant.journal.evidence[-1]
    assert (shown.slot, shown.old, shown.new) == (10, "40.0", "" if on_loss is RELEASE else str(value))
    assert shown.origin == BMS


async def test_C05_failsafe_has_no_end_time_of_its_own():
    """Seen in the field: unlimited after a while with the sender still gone."""
    plant = offline(groups=leased(VALUE))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    for _ in range(100):
        plant.clock.added += 86400
        plant.desk.tick()
    assert (limit(plant), plant.authority()) == (16.0, Authority.FAILSAFE)


@pytest.mark.parametrize("on_loss", [HOLD, RELEASE, VALUE])
async def test_C05_without_a_heartbeat_the_next_accepted_write_ends_it(on_loss):
    """Seen in the field: failsafe never left."""
    plant = offline(groups=leased(on_loss))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    assert (await rejected(plant, 1000.0)).reject is Reject.RANGE
    assert plant.authority() is Authority.FAILSAFE
    await plant.ask(50.0, origin=BMS)
    assert limit(plant) == 50.0
    assert plant.authority() is Authority.INIT
    assert (plant.receipt("lease_left_s"), alarms(plant)) == (60, [])


async def test_C05_the_same_value_as_before_ends_failsafe_as_well():
    plant = offline(groups=leased(HOLD))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    await plant.ask(40.0, origin=BMS)
    assert plant.authority() is Authority.INIT
    assert plant.journal.events() == ["accepted", "failsafe", "accepted"]


async def test_C05_a_release_by_its_writer_ends_failsafe():
    plant = offline(groups=leased(HOLD))
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    await plant.ask(None, origin=BMS)
    assert (plant.receipt("winner"), alarms(plant)) == (0, [])
    assert plant.authority() is Authority.INIT


async def test_C05_failsafe_is_that_slots_alone_and_authority_describes_the_winner():
    plant = offline(groups=leased(VALUE))
    await plant.ask(40.0, slot=10, origin=BMS)
    await plant.ask(80.0, slot=8, origin=BACNET)
    passes(plant, 61)
    assert (limit(plant), plant.receipt("winner")) == (80.0, 8)
    assert plant.authority() is not Authority.FAILSAFE
    assert (slot(plant, 10).value, slot(plant, 10).failsafe) == (16.0, True)
    await plant.ask(None, slot=8, origin=BACNET)
    assert (limit(plant), plant.authority()) == (16.0, Authority.FAILSAFE)


async def test_C05_the_alarm_names_each_lost_slot_with_its_own_group_and_status_every_slot():
    groups = {
        "modbus/hold": GroupTerms(lease_s=60.0, on_loss=HOLD),
        "modbus/hb": GroupTerms(lease_s=30.0, on_loss=HOLD),
    }
    plant = offline(groups=groups)
    await plant.ask(40.0, origin=Origin("modbus", "10.0.0.5", "hold"))
    await plant.ask(60.0, slot=13, origin=Origin("modbus", "10.0.0.6", "hb"))
    passes(plant, 31)
    text = "slot 13 of modbus/hb holds 60 A: nothing was heard of modbus/hb for 30 s"
    assert list(plant.alarms.texts().values()) == [f"{POINT}: failsafe: {text}"]
    assert plant.desk.in_failsafe() == {POINT: {"lost": [13], "rules": 10}}, "lost, though it does not win"
    passes(plant, 30)
    first = "slot 10 of modbus/hold holds 40 A: nothing was heard of modbus/hold for 60 s"
    assert list(plant.alarms.texts().values()) == [f"{POINT}: failsafe: {first}; {text}"]
    assert plant.desk.in_failsafe() == {POINT: {"lost": [10, 13], "rules": 10}}
    await plant.ask(50.0, origin=Origin("modbus", "10.0.0.5", "hold"))
    assert list(plant.alarms.texts().values()) == [f"{POINT}: failsafe: {text}"]


async def test_C05_a_released_slot_says_failsafe_only_while_all_are_empty():
    plant = offline(groups=leased(RELEASE))
    await plant.ask(40.0, slot=10, origin=BMS)
    passes(plant, 61)
    assert plant.authority() is Authority.FAILSAFE
    await plant.ask(80.0, slot=12, origin=BACNET)
    assert plant.authority() is not Authority.FAILSAFE
    await plant.ask(None, slot=12, origin=BACNET)
    assert plant.authority() is Authority.FAILSAFE


async def test_C05_value_beyond_todays_range_becomes_the_nearest_allowed():
    """Never silently unlimited, and never a value that the product would refuse."""
    plant = offline(groups=leased(Loss("value", 80.0)), maximum=50.0)
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    assert (limit(plant), plant.authority()) == (50.0, Authority.FAILSAFE)


async def test_C03_the_last_accepted_writer_owns_the_slot():
    groups = {**leased(VALUE, 60.0), "modbus/other": GroupTerms(lease_s=600.0, on_loss=HOLD)}
    plant = offline(groups=groups)
    await plant.ask(40.0, origin=BMS)
    await plant.ask(45.0, origin=Origin("modbus", "10.0.0.6", "other"))
    passes(plant, 61)
    assert (limit(plant), slot(plant).failsafe) == (45.0, False)
    assert plant.receipt("lease_left_s") > 500
    passes(plant, 560)
    assert (limit(plant), plant.authority()) == (45.0, Authority.FAILSAFE)


@pytest.mark.parametrize(
    ("groups", "overrides", "policy", "left"),
    [
        ({"modbus/bms": GroupTerms(lease_s=30.0)}, {ZONE: Limits(lease_s=70.0)}, replace(POLICY, lease_s=90.0), 30),
        ({"modbus/bms": GroupTerms()}, {ZONE: Limits(lease_s=70.0)}, replace(POLICY, lease_s=90.0), 70),
        ({"modbus/bms": GroupTerms()}, {}, replace(POLICY, lease_s=90.0), 90),
        ({"modbus/bms": GroupTerms(lease_s=0.0)}, {ZONE: Limits(lease_s=70.0)}, POLICY, None),
        ({"modbus/bms": GroupTerms()}, {}, POLICY, None),
    ],
)
async def test_C03_whose_lease_counts(groups, overrides, policy, left):
    plant = offline(policy, overrides, groups)
    await plant.ask(40.0, origin=BMS)
    assert plant.receipt("lease_left_s") == left


@pytest.mark.parametrize(
    ("group", "override", "general", "value"),
    [
        (Loss("value", 12.0), Loss("value", 13.0), Loss("value", 14.0), 12.0),
        (None, Loss("value", 13.0), Loss("value", 14.0), 13.0),
        (None, None, Loss("value", 14.0), 14.0),
    ],
)
async def test_C03_whose_loss_policy_counts(group, override, general, value):
    """Seen in the field: the last limit used instead of the configured one."""
    policy = replace(POLICY, lease_s=60.0, on_loss=general)
    plant = offline(policy, {ZONE: Limits(on_loss=override)}, {"modbus/bms": GroupTerms(on_loss=group)})
    await plant.ask(40.0, origin=BMS)
    passes(plant, 61)
    assert limit(plant) == value


async def test_C03_what_a_person_writes_ends_in_an_hour_and_is_released_without_failsafe():
    plant = offline(replace(POLICY, lease_s=60.0, on_loss=VALUE), groups=leased())
    await plant.ask(40.0, slot=8, origin=CLI)
    assert plant.receipt("lease_left_s") == 3600
    passes(plant, 61)
    assert limit(plant) == 40.0
    plant.clock.added += 3530
    plant.desk.tick()
    assert limit(plant) == 40.0
    passes(plant, 11)
    assert (limit(plant), plant.receipt("winner")) == (250.0, 0)
    assert plant.authority() is Authority.INIT
    assert alarms(plant) == []
    assert plant.journal.events() == ["accepted", "released"]


async def test_C03_until_is_the_writers_own_end_whatever_the_wall_clock_does_then():
    """H07: a jump of the clock changes nothing while running."""
    plant = offline()
    index = plant.index(POINT)
    await plant.desk.submit([Ask(index, 40.0, 8, until=plant.clock.wall() + 7200)], CLI)
    plant.clock.jumped += 1e6
    passes(plant, 30)
    assert limit(plant) == 40.0
    plant.clock.jumped -= 2e6
    plant.clock.added += 7200
    plant.desk.tick()
    assert limit(plant) == 250.0


@pytest.mark.parametrize("left", [0.0, -10.0])
async def test_C03_an_end_in_the_past_is_refused(left):
    plant = offline()
    with pytest.raises(CommandRejected) as caught:
        await plant.desk.submit([Ask(plant.index(POINT), 40.0, 8, until=plant.clock.wall() + left)], CLI)
    assert caught.value.reject is Reject.RANGE


async def test_C03_a_tighter_value_below_the_winner_is_an_alarm_and_a_flag():
    plant = offline()
    await plant.ask(80.0, slot=8, origin=CLI)
    await plant.ask(90.0, slot=10, origin=BMS)
    assert (plant.desk.masked(), alarms(plant)) == ([], [])
    await plant.ask(40.0, slot=10, origin=BMS)
    assert plant.desk.masked() == [POINT]
    assert alarms(plant) == ["masked"]
    (text,) = plant.alarms.texts().values()
    assert "40 A at slot 10 by modbus 10.0.0.5 bms is tighter than the winning 80 A at slot 8 by cli local ann" in text
    await plant.ask(None, slot=8, origin=CLI)
    assert (plant.desk.masked(), alarms(plant)) == ([], [])


# -- heartbeats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [40.0, None])
@pytest.mark.parametrize("beats", [[], [7], [7, 7, 7]])
async def test_C05_values_and_releases_before_the_first_heartbeat_are_refused(value, beats):
    """Seen in the field: a timer that was never set. The first value is no change, and a constant is no heartbeat."""
    plant = offline(groups=BEATING)
    for value_of_beat in beats:
        beat(plant, value_of_beat)
    error = await rejected(plant, value)
    assert error.reject is Reject.NO_HEARTBEAT
    assert "heartbeat of modbus/bms has not changed" in str(error)
    assert (plant.receipt("winner"), plant.receipt("error")) == (0, 13)
    assert plant.journal.events() == ["refused"]


async def test_C04_heartbeats_are_kept_per_group():
    """Seen in the field: another's heartbeat taken for the peer's."""
    plant = offline(groups={**BEATING, "modbus/other": GroupTerms(60.0, HOLD, heartbeat=True)})
    beat(plant, 1, "modbus/other")
    beat(plant, 2, "modbus/other")
    assert (await rejected(plant, 40.0)).reject is Reject.NO_HEARTBEAT
    assert plant.desk.heartbeat_of("modbus/bms") == (0, None)
    value, age = plant.desk.heartbeat_of("modbus/other")
    assert value == 2
    assert age == pytest.approx(0.0, abs=0.5)


async def test_C04_with_a_heartbeat_writes_refresh_nothing():
    plant = offline(groups=BEATING)
    await living(plant)
    for _ in range(5):
        passes(plant, 11)
        await plant.ask(40.0, origin=BMS)
    passes(plant, 6)
    assert plant.authority() is Authority.FAILSAFE


async def test_C04_a_changing_heartbeat_alone_keeps_the_lease():
    plant = offline(groups=BEATING)
    await living(plant)
    for number in range(3, 20):
        passes(plant, 50)
        beat(plant, number)
    plant.desk.tick()
    assert slot(plant).failsafe is False
    assert plant.receipt("lease_left_s") == 60


async def test_W11_a_heartbeat_that_does_not_change_is_lost():
    plant = offline(groups=BEATING)
    await living(plant)
    for _ in range(61):
        passes(plant, 1)
        beat(plant, 2)
    assert plant.authority() is Authority.FAILSAFE
    assert (await rejected(plant, 50.0)).reject is Reject.NO_HEARTBEAT


async def test_W09_back_with_a_heartbeat_only_stays_failsafe():
    """Seen in the field: failsafe left on the heartbeat alone."""
    plant = offline(groups=leased(VALUE, 60.0, heartbeat=True))
    await living(plant)
    passes(plant, 61)
    for number in range(100):
        beat(plant, number)
        passes(plant, 1)
    assert (limit(plant), plant.authority()) == (16.0, Authority.FAILSAFE)
    assert plant.receipt("lease_left_s") == 0


async def test_W10_back_with_a_heartbeat_and_a_write_is_controlled_at_once():
    plant = offline(groups=leased(VALUE, 60.0, heartbeat=True))
    await living(plant)
    passes(plant, 61)
    assert (await rejected(plant, 50.0)).reject is Reject.NO_HEARTBEAT
    beat(plant, 3)
    await plant.ask(50.0, origin=BMS)
    assert (limit(plant), slot(plant).failsafe) == (50.0, False)
    assert plant.receipt("lease_left_s") == 60


async def test_C05_the_write_must_come_within_60_s_of_the_heartbeat():
    plant = offline(groups=leased(VALUE, 300.0, heartbeat=True))
    await living(plant)
    passes(plant, 301)
    beat(plant, 3)
    passes(plant, 61)
    error = await rejected(plant, 50.0)
    assert error.reject is Reject.NO_HEARTBEAT
    assert "failsafe: it ends with a heartbeat and then a write within 60 s" in str(error)
    beat(plant, 4)
    passes(plant, 59)
    await plant.ask(50.0, origin=BMS)
    assert slot(plant).failsafe is False


async def test_C05_a_heartbeat_of_before_failsafe_does_not_count_for_leaving_it():
    """Seen in the field: a sender whose period is the receiver's deadline."""
    plant = offline(groups=leased(VALUE, 30.0, heartbeat=True))
    await living(plant)
    passes(plant, 31)
    assert plant.authority() is Authority.FAILSAFE
    assert (await rejected(plant, 50.0)).reject is Reject.NO_HEARTBEAT


async def test_C05_another_group_without_a_heartbeat_may_take_the_slot():
    plant = offline(groups=BEATING)
    await living(plant)
    passes(plant, 61)
    await plant.ask(50.0, origin=CLI)
    assert (limit(plant), slot(plant).failsafe) == (50.0, False)


async def test_C04_the_life_of_the_bms_is_not_that_of_the_source():
    """The source is gone all the time; the lease neither waits nor ends for it."""
    plant = offline(groups=leased(HOLD))
    await plant.ask(40.0, origin=BMS)
    for _ in range(4):
        passes(plant, 30)
        plant.desk.lost("evce")
        await plant.ask(40.0, origin=BMS)
    assert slot(plant).failsafe is False
    passes(plant, 61)
    plant.desk.lost("evce")
    assert plant.authority() is Authority.FAILSAFE


async def test_field_bug_an_absent_lease_is_no_expired_one():
    """Seen in the field: an absent duration read as expired, and a timer that was never set."""
    plant = offline(groups={"modbus/bms": GroupTerms(None, VALUE)})
    await plant.ask(40.0, origin=BMS)
    plant.desk.tick()
    passes(plant, 2)
    assert (limit(plant), plant.receipt("lease_left_s")) == (40.0, None)


async def test_field_bug_a_negative_limit_is_refused():
    plant = offline()
    for value in (-0.5, -16.0, -1e9):
        assert (await rejected(plant, value)).reject is Reject.RANGE
    assert (await rejected(offline(replace(POLICY, allow_stop=True)), -0.001)).reject is Reject.RANGE


async def test_C02_no_limit_is_minus_zero():
    plant = offline(replace(POLICY, allow_stop=True))
    await plant.ask(-0.0, origin=BMS)
    assert str(limit(plant)) == "0.0"


# -- what the disk takes ---------------------------------------------------------------------------------------------


async def test_C16_refreshes_are_saved_at_most_every_quarter_of_the_lease_and_leave_no_evidence():
    plant = offline(groups=leased(HOLD, 60.0))
    await plant.ask(40.0, origin=BMS)
    commits, notes = plant.journal.commits, plant.journal.notes
    for _ in range(120):
        passes(plant, 1)
        await plant.ask(40.0, origin=BMS)
    assert plant.journal.commits == commits
    saved = plant.journal.notes - notes
    assert 6 <= saved <= 10
    assert plant.journal.events() == ["accepted"]


async def test_C16_without_a_lease_refreshes_never_reach_the_disk():
    plant = offline(replace(POLICY, max_downtime_s=0.0))
    await plant.ask(40.0, origin=BMS)
    before = plant.journal.commits, plant.journal.notes
    for _ in range(600):
        passes(plant, 1)
        await plant.ask(40.0, origin=BMS)
    assert (plant.journal.commits, plant.journal.notes) == before


async def test_C16_W20_a_disk_that_does_not_answer_is_an_alarm_and_the_command_works():
    plant = offline()
    plant.journal.hang = True
    await plant.ask(40.0, origin=BMS)
    assert limit(plant) == 40.0
    assert plant.desk.fault == "the disk does not answer"
    assert alarms(plant) == ["persistence"]
    plant.journal.hang, plant.journal.fault = False, ""
    plant.desk.tick()
    assert alarms(plant) == []
