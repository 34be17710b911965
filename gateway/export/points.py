"""One row of `points --json` (DESIGN 6.2)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gateway.addressing import PlacedObject, PlacedPoint, PlacedRegister
from gateway.addressing.layout import TREND_LOG
from gateway.core.value import STALE, Quality, Sample

POINT_KEYS = ("point", "type", "unit", "access", "modbus", "bacnet", "value", "quality", "reason", "age_s")


EXTRA_KEYS = ("scale", "word_order", "byte_order", "modbus_also", "bacnet_also", "trend_log")
"""Keys a row has only where they say something: a scale, another word order, further encodings, a Trend Log."""


def point_row(point: PlacedPoint, name: str, device: int | None, sample: Sample | None, now: float) -> dict[str, Any]:
    """A JSON-ready row; registers are 0-based, `type` is that of the first register.

    `device` is the gateway's own BACnet device, None without BACnet.

    Without a sample (no running daemon) value, quality, reason and age_s are null; so is the value of a bad point.
    """
    spec = point.spec
    modbus = [_register(register) for register in point.registers]
    bacnet = [_object(point, device, o) for o in point.objects] if device is not None else []
    row: dict[str, Any] = {
        "point": name,
        "type": _type(point.registers[0]) if modbus else str(spec.kind),
        "unit": spec.unit,
        "access": "rw" if spec.command is not None or spec.writable else "r",
        "modbus": modbus[0] if modbus else None,
        "bacnet": bacnet[0] if bacnet else None,
        "value": None,
        "quality": None,
        "reason": None,
        "age_s": None,
    }
    if sample is not None:
        usable = sample.quality <= STALE or spec.command is not None
        age = now - sample.time
        row["value"] = sample.value if usable else None
        row["quality"] = Quality(sample.quality).name.lower()
        row["reason"] = sample.reason
        row["age_s"] = round(age, 1) if math.isfinite(age) else None
    if modbus:
        row |= _encoding(point.registers[0])
    if modbus[1:]:
        row["modbus_also"] = [
            {**place, "type": _type(register), **_encoding(register)}
            for place, register in zip(modbus[1:], point.registers[1:], strict=True)
        ]
    if bacnet[1:]:
        row["bacnet_also"] = bacnet[1:]
    if point.trend is not None and device is not None:
        row["trend_log"] = _object(
            point, device, replace(point.trend.of, object=TREND_LOG, instance=point.trend.instance)
        )
    return row


def _object(point: PlacedPoint, own: int, served: PlacedObject) -> dict[str, Any]:
    """`virtual` stands there only for a device behind the gateway's router."""
    place = {"device": own, "object": served.object, "instance": served.instance}
    return place if point.device is None else {**place, "device": point.device.instance, "virtual": True}


def _type(register: PlacedRegister) -> str:
    kind = register.spec.type
    return f"string({kind.string_bytes})" if kind.name == "string" else kind.name


def _register(register: PlacedRegister) -> dict[str, Any]:
    place = {"unit": register.unit, "register": register.register, "count": register.spec.type.words}
    return place if register.spec.bit is None else {**place, "bit": register.spec.bit}


def _encoding(register: PlacedRegister) -> dict[str, Any]:
    """What else is needed to decode it, if it is not what everybody expects."""
    spec = register.spec
    encoding: dict[str, Any] = {}
    if spec.scale != 1:
        encoding["scale"] = spec.scale
    if spec.word_order != "big":
        encoding["word_order"] = spec.word_order
    if spec.byte_order != "big":
        encoding["byte_order"] = spec.byte_order
    return encoding
