"""Who holds which slot of a commandable point, until when, and what became of it: JSON-ready, for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from gateway.core.priority import Slot
from gateway.core.value import Value
from gateway.engine.commands import CommandDesk
from gateway.engine.ports import Clock
from gateway.engine.table import PointTable

RECEIPT_SHOWN = ("result", "write_status", "authority", "applied", "age_s", "error", "error_text")


def slot_rows(desk: CommandDesk, clock: Clock, index: int) -> dict[str, dict[str, Any]]:
    """Every slot that holds a value, or that failsafe emptied, by its number as text, highest priority first.

    `left_s`: whole seconds until it ends by lease or by `until` (UTC), None for never; `value` None: released.
    """
    slots = desk.slots(index)
    held: dict[int, tuple[Slot, Value | None]] = {number: (slot, slot.value) for number, slot in slots.occupied}
    held |= {number: (slot, None) for number, slot in slots.lapsed.items()}
    rows: dict[str, dict[str, Any]] = {}
    for number, (slot, value) in sorted(held.items()):
        left = 0.0 if value is None else desk.left_s(index, number)
        rows[str(number)] = {
            "value": value,
            "origin": str(slot.origin),
            "left_s": None if left is None else math.ceil(left),
            "until": None if slot.lease.until is None else _moment(clock, slot.lease.until),
            "failsafe": slot.failsafe,
            "dry_run": slot.dry,
        }
    return rows


def receipt_row(table: PointTable, name: str) -> dict[str, Any]:
    """What became of a commandable point's command, or of an action: enumerations as texts, without what is empty."""
    receipt = {}
    for part in RECEIPT_SHOWN:
        index = table.find(f"{name}.{part}")
        if index is None:
            continue
        value, texts = table.sample(index).value, table.specs[index].texts
        if texts and isinstance(value, int):
            value = texts[value - 1]
        if value not in (None, "") and (part, value) != ("error", 0):
            receipt[part] = value
    return receipt


def _moment(clock: Clock, monotonic: float) -> str:
    """A monotonic moment as people tell it, to the second."""
    wall = round(clock.wall() + monotonic - clock.monotonic())
    return datetime.fromtimestamp(wall, UTC).isoformat().replace("+00:00", "Z")
