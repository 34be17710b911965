"""Log lines: a flood of one event is held back and counted, others pass (FAULTS H15)."""

from __future__ import annotations

import pytest
import structlog

from gateway import telemetry
from gateway.telemetry import Floodgate


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def passes(gate, event, **more):
    try:
        return gate(None, "info", {"event": event, **more})
    except structlog.DropEvent:
        return None


def test_H15_a_flood_of_one_event_is_held_back_and_others_pass():
    clock = Seconds()
    gate = Floodgate(clock, burst=20, per_s=1.0)
    assert sum(passes(gate, "command.accepted") is not None for _ in range(1000)) == 20
    assert passes(gate, "source.down") == {"event": "source.down"}
    clock.now += 1
    assert passes(gate, "command.accepted", slot=10) == {"event": "command.accepted", "slot": 10, "held_back": 980}
    assert passes(gate, "command.accepted") is None
    clock.now += 60
    assert passes(gate, "command.accepted") == {"event": "command.accepted", "held_back": 1}
    assert passes(gate, "command.accepted") == {"event": "command.accepted"}


def test_H15_a_day_of_flood_writes_what_a_disk_can_take():
    clock = Seconds()
    gate = Floodgate(clock)
    lines = 0
    for _ in range(24 * 60):
        clock.now += 60
        lines += sum(passes(gate, "modbus.refused") is not None for _ in range(600))
    assert lines < 100_000


def test_H15_what_is_written_is_what_passed(capsys: pytest.CaptureFixture[str]):
    telemetry.configure("info", colors=False)
    try:
        log = structlog.get_logger("test")
        for number in range(1000):
            log.info("command.accepted", new=number)
    finally:
        structlog.reset_defaults()
    assert len(capsys.readouterr().err.splitlines()) <= 210
