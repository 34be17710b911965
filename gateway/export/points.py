"""One row of `points --json` (DESIGN 6.2)."""

from __future__ import annotations

import math
from typing import Any

from gateway.addressing import PlacedPoint, PlacedRegister
from gateway.core.value import STALE, Quality, Sample

POINT_KEYS = ("point", "type", "unit", "access", "modbus", "bacnet", "value", "quality", "reason", "age_s")


def point_row(point: PlacedPoint, name: str, device: int | None, sample: Sample | None, now: float) -> dict[str, Any]:
    """A JSON-ready row; registers are 0-based, further encodings stand under `modbus_also` / `bacnet_also`.

    Without a sample (no running daemon) value, quality, reason and age_s are null; so is the value of a bad point.
    """
    spec = point.spec
    modbus = [_register(register) for register in point.registers]
    bacnet = [{"device": device, "object": o.object, "instance": o.instance} for o in point.objects]
    row: dict[str, Any] = {
        "point": name,
        "type": str(spec.kind),
        "unit": spec.unit,
        "access": "rw" if spec.command is not None or spec.writable else "r",
        "modbus": modbus[0] if modbus else None,
        "bacnet": bacnet[0] if bacnet else None,
        "value": None,
        "quality": None,
        "reason": None,
        "age_s": None,
    }
    if modbus[1:]:
        row["modbus_also"] = modbus[1:]
    if bacnet[1:]:
        row["bacnet_also"] = bacnet[1:]
    if sample is not None:
        usable = sample.quality <= STALE or spec.command is not None
        age = now - sample.time
        row["value"] = sample.value if usable else None
        row["quality"] = Quality(sample.quality).name.lower()
        row["reason"] = sample.reason
        row["age_s"] = round(age, 1) if math.isfinite(age) else None
    return row


def _register(register: PlacedRegister) -> dict[str, Any]:
    spec = register.spec
    place: dict[str, Any] = {
        "unit": register.unit,
        "register": register.register,
        "count": spec.type.words,
        "type": f"string({spec.type.string_bytes})" if spec.type.name == "string" else spec.type.name,
        "word_order": spec.word_order,
    }
    if spec.bit is not None:
        place["bit"] = spec.bit
    if spec.scale != 1:
        place["scale"] = spec.scale
    return place
