"""The default map of one kind as a Markdown table: what README shows and a test compares."""

from __future__ import annotations

from gateway.addressing import expand
from gateway.addressing.layout import TREND_LOG
from gateway.core.point import KindSpec, PointSpec

HEAD = "| Modbus offset, type | point | unit | access | BACnet object, offset | meaning |\n|---|---|---|---|---|---|"


def kind_table(kind: KindSpec) -> str:
    """A title line and one row per point; offsets count from the block's first register or instance.

    `actions N` counts from the first register of the block in the region for actions, which the title names.
    """
    modbus, bacnet = kind.modbus, kind.bacnet
    parts = [f"**{kind.name}**:"]
    if modbus is not None:
        many = f", {modbus.capacity} blocks" if modbus.capacity > 1 else ""
        parts.append(f"registers {modbus.first} + {modbus.stride} x block{many}")
    if kind.actions_at is not None:
        own = kind.actions_at
        parts.append(f"actions at registers {own.first} + {own.stride} x block, {own.capacity} blocks")
    if bacnet is not None:
        parts.append(f"BACnet instances {bacnet.first} + {bacnet.stride} x block")
    rows = [_row(point) for point in expand(kind, "big", "big")]
    return "\n".join([f"{parts[0]} {'; '.join(parts[1:])}", "", HEAD, *rows])


def _row(point: PointSpec) -> str:
    registers = []
    for register in point.registers:
        size = f"({register.type.string_bytes})" if register.type.name == "string" else ""
        scale = f" x {register.scale:g}" if register.scale != 1 else ""
        area = "actions " if register.area == "actions" else ""
        registers.append(f"{area}{register.at} {register.type.name}{size}{scale}")
    objects = [f"{obj.object} {obj.at}" for obj in point.objects]
    if point.trend is not None and point.trend.log_at is not None:
        objects.append(f"{TREND_LOG} {point.trend.log_at}")
    codes = ", ".join(f"{code} {text}" for code, text in enumerate(point.texts, 1) if text != "-")
    cells = (
        ", ".join(registers),
        f"`{point.name}`",
        point.unit,
        "rw" if point.command is not None or point.writable else "r",
        ", ".join(objects),
        f"{point.description}: {codes}" if codes else point.description,
    )
    return f"| {' | '.join(cells)} |"
