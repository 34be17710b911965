"""Alarms of points: detected in time, told once, acknowledged, and the same after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gateway.core.alarm import AlarmSpec, EventState
from gateway.core.errors import AcknowledgedTooLate, AcknowledgeRefused
from gateway.core.point import Factor, KindSpec, PointSpec
from gateway.core.priority import Origin
from gateway.core.value import BAD, GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.point_alarms import Change, ClassTerms, PointAlarm, PointAlarms
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable
from tests.engine.memory_journal import MemoryJournal

NORMAL, FAULT, OFF, HIGH, LOW = EventState
BMS = Origin("bacnet", "10.0.0.9:47808", "Porter")
STATES = {"Free": 1, "Busy": 2, "Faulted": 9}
STATUS = PointSpec(
    name="status",
    kind=ValueKind.ENUM,
    codes=STATES,
    alarm=AlarmSpec(when=frozenset({9}), delay_s=10, text="Station faulted"),
)
CURRENT = PointSpec(
    name="current",
    kind=ValueKind.NUMBER,
    unit="A",
    alarm=AlarmSpec(high=Factor(0.0, "limit", 1.1), delay_s=5, deadband=1, text="Over its limit"),
)
LIMIT = PointSpec(name="limit", kind=ValueKind.NUMBER, unit="A")
KIND = KindSpec("station", None, None, None, {}, {}, None, None)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1.8e9 + self.now


@dataclass
class Rig:
    """One station; `life` begins a run of the gateway on what the journal has."""

    clock: Clock = field(default_factory=Clock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    classes: dict[int, ClassTerms] = field(default_factory=lambda: {1: ClassTerms()})
    specs: tuple[PointSpec, ...] = (STATUS, CURRENT, LIMIT)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.life()

    def life(self) -> None:
        self.alarms, self.table = Alarms(), PointTable(self.clock)
        self.desk = PointAlarms(self.table, self.clock, self.journal, self.alarms, self.classes)
        self.changes.clear()
        self.desk.listen(self.changes.append)
        indices = {spec.name: self.table.add(f"evce/station/S-1/{spec.name}", spec) for spec in self.specs}
        self.station = Resource("evce", KIND, "S-1", "1", None, indices, block=4)
        self.desk.learn(self.station)

    def set(self, point: str, value: Value | None, quality: Quality = GOOD, reason: str = "") -> None:
        self.table.update([(self.station.indices[point], Sample(value, quality, reason, self.clock.now))])

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.desk.tick()

    def alarm(self, point: str) -> PointAlarm:
        found = self.desk.of(self.station.indices[point])
        assert found is not None
        return found

    def told(self) -> list[tuple[str, str]]:
        """(state, text) of what people were told since the last call."""
        said = [(change.to.name, change.text) for change in self.changes if change.told]
        self.changes.clear()
        return said

    def faulted(self) -> None:
        self.set("status", 9)
        self.wait(10)


def test_an_alarm_is_told_after_its_delay_with_its_value_in_words() -> None:
    rig = Rig()
    rig.set("status", 1)
    rig.set("status", 9)
    rig.wait(9.5)
    assert rig.told() == []
    rig.wait(0.5)
    assert rig.told() == [("OFF_NORMAL", "evce/station/S-1: Station faulted: Faulted")]
    assert rig.alarms.texts() == {"alarm/evce/station/4/status": "evce/station/S-1: Station faulted: Faulted"}
    rig.set("status", 2)
    rig.wait(10)
    assert rig.told() == [("NORMAL", "evce/station/S-1: Station faulted: back to normal, Busy")]
    assert rig.alarms.texts() == {}


def test_a_limit_may_be_another_point_and_follows_it() -> None:
    rig = Rig()
    rig.set("limit", 50.0)
    rig.set("current", 54.0)
    rig.wait(60)
    assert rig.told() == []
    rig.set("limit", 40.0)
    rig.wait(5)
    assert rig.told() == [("HIGH_LIMIT", "evce/station/S-1: Over its limit: 54 A is above 44 A")]
    assert rig.desk.limit(rig.alarm("current"), "high") == pytest.approx(44)
    rig.set("limit", None, BAD, "lost")
    assert rig.desk.limit(rig.alarm("current"), "high") is None
    rig.wait(5)
    assert rig.told() == [("NORMAL", "evce/station/S-1: Over its limit: back to normal, 54 A")]


def test_the_end_of_a_fault_that_nobody_was_told_of_is_not_told() -> None:
    rig = Rig()
    rig.set("status", 1)
    rig.set("status", None, BAD, "no answer")
    assert rig.alarm("status").state is FAULT
    rig.set("status", 1)
    assert rig.alarm("status").state is NORMAL
    assert rig.told() == []


def test_an_alarm_that_ends_in_an_outage_is_told_as_ended_once_the_value_can_be_trusted() -> None:
    rig = Rig()
    rig.faulted()
    rig.told()
    rig.set("status", None, BAD, "no answer")
    assert rig.told() == []
    rig.set("status", 1)
    assert [state for state, _ in rig.told()] == ["NORMAL"]


def test_faults_are_told_where_the_mapping_wants_it() -> None:
    always = PointSpec(
        name="status", kind=ValueKind.ENUM, codes=STATES, alarm=AlarmSpec(frozenset({9}), faults=True, text="State")
    )
    rig = Rig(specs=(always,))
    rig.set("status", 1)
    rig.set("status", None, BAD, "no answer")
    rig.set("status", None, BAD, "no answer yet")  # the same cause in other words
    rig.set("status", 0, reason="unknown text 'Odd'")
    rig.set("status", 1)
    assert rig.told() == [
        ("FAULT", "evce/station/S-1: State: no reliable value: no answer"),
        ("FAULT", "evce/station/S-1: State: no reliable value: unknown text 'Odd'"),
        ("NORMAL", "evce/station/S-1: State: back to normal, Free"),
    ]


async def test_an_acknowledgement_is_kept_and_written_down_with_who_gave_it() -> None:
    rig = Rig()
    rig.faulted()
    alarm = rig.alarm("status")
    at = alarm.times[0]
    assert at == rig.clock.wall()
    assert alarm.acked == [False, True, True]
    await rig.desk.acknowledge(alarm, OFF, at, BMS)
    assert alarm.acked == [True, True, True]
    record = rig.journal.evidence[-1]
    assert (record.event, record.point, record.origin) == ("acknowledged", "evce/station/S-1/status", BMS)
    assert record.answer == "evce/station/S-1: Station faulted: Faulted"
    assert rig.changes[-1].by == BMS
    await rig.desk.acknowledge(alarm, OFF, at, BMS)
    assert [item.event for item in rig.journal.evidence] == ["acknowledged"]


async def test_what_did_not_happen_cannot_be_acknowledged() -> None:
    rig = Rig()
    rig.faulted()
    alarm = rig.alarm("status")
    at = alarm.times[0]
    assert at is not None
    for state in (NORMAL, FAULT, HIGH):
        with pytest.raises(AcknowledgeRefused, match="was not"):
            await rig.desk.acknowledge(alarm, state, at, BMS)
    with pytest.raises(AcknowledgedTooLate):
        await rig.desk.acknowledge(alarm, OFF, at - 1, BMS)
    assert alarm.acked == [False, True, True]


async def test_a_restart_tells_nothing_that_was_told_and_keeps_the_acknowledgement() -> None:
    rig = Rig()
    rig.faulted()
    at = rig.alarm("status").times[0]
    assert at is not None
    await rig.desk.acknowledge(rig.alarm("status"), OFF, at, BMS)
    rig.clock.now += 3600
    rig.life()
    alarm = rig.alarm("status")
    assert (alarm.state, alarm.acked, alarm.times[0]) == (OFF, [True, True, True], at)
    assert rig.alarms.texts() == {"alarm/evce/station/4/status": "evce/station/S-1: Station faulted: Faulted"}
    rig.set("status", 9)
    rig.wait(20)
    assert rig.told() == []


def test_what_ended_while_the_gateway_was_down_is_told_after_the_restart() -> None:
    rig = Rig()
    rig.faulted()
    rig.life()
    rig.wait(30)
    assert rig.told() == []
    rig.set("status", 1)
    rig.wait(10)
    assert [state for state, _ in rig.told()] == ["NORMAL"]


def test_a_point_that_is_not_read_after_a_restart_is_a_fault_after_a_minute() -> None:
    rig = Rig()
    rig.faulted()
    rig.life()
    rig.wait(59)
    assert rig.alarm("status").state is OFF
    rig.wait(1)
    assert rig.alarm("status").state is FAULT


def test_an_acknowledgement_is_asked_for_as_the_class_says() -> None:
    rig = Rig(classes={7: ClassTerms((False, False, True))})
    rig.faulted()
    alarm = rig.alarm("status")
    assert alarm.notify == 7
    assert alarm.acked == [True, True, True]
    rig.set("status", 1)
    rig.wait(10)
    assert alarm.acked == [True, True, False]
    assert rig.desk.open == [alarm]


def test_names_of_products_are_cleaned_in_texts() -> None:
    rig = Rig()
    rig.station.name = "S\n1\x1b"
    rig.desk.learn(rig.station)
    rig.faulted()
    assert rig.told() == [("OFF_NORMAL", "evce/station/S_1_: Station faulted: Faulted")]


def test_a_reload_changes_what_is_an_alarm_and_takes_alarms_away() -> None:
    rig = Rig()
    rig.faulted()
    index = rig.station.indices["status"]
    rig.table.specs[index] = replace(STATUS, alarm=AlarmSpec(when=frozenset({2}), text="Station busy"))
    rig.told()
    rig.desk.learn(rig.station)
    assert [state for state, _ in rig.told()] == ["NORMAL"], "what it shows is no alarm any more"
    rig.set("status", 2)
    assert rig.told() == [("OFF_NORMAL", "evce/station/S-1: Station busy: Busy")]
    rig.table.specs[index] = replace(STATUS, alarm=None)
    rig.desk.learn(rig.station)
    assert rig.desk.of(index) is None
    assert rig.alarms.texts() == {}
    rig.set("status", 1)
    assert rig.told() == []
    rig.desk.forget(rig.station.indices.values())
    assert rig.desk.open == []


def test_other_classes_hold_from_the_next_change_on() -> None:
    rig = Rig()
    rig.faulted()
    rig.desk.retune({5: ClassTerms((True, True, True))})
    alarm = rig.alarm("status")
    assert (alarm.notify, alarm.acked) == (5, [False, True, True])
    rig.set("status", 1)
    rig.wait(10)
    assert alarm.acked == [False, True, False]
