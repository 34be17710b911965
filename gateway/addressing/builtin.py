"""Points every gateway has: receipts, status words, the built-in resource `source`, and the header registers.

Register lists: DESIGN 5 (receipt block), 6.5 (header), 6.4 (source).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum

from gateway.core.action import ActionResult
from gateway.core.alarm import AlarmSpec
from gateway.core.circuit import SOURCE_CODES
from gateway.core.delivery import Authority, WriteStatus
from gateway.core.point import (
    SOURCE_KIND,
    ActionSpec,
    Area,
    Factor,
    KindSpec,
    ObjectSpec,
    PointSpec,
    Region,
    RegisterSpec,
)
from gateway.core.registers import Order, parse_register_type
from gateway.core.trend import TrendSpec
from gateway.core.value import Quality, ValueKind

HEADER_KIND = "header"
GATEWAY_SOURCE = "gateway"
MAGIC = 0x45564757
LAYOUT_VERSION = 1
HEADER_COUNT = 100
HEADER_SOURCES = 35
FLAGS = (
    "an accepted command is not on disk",
    "dry run",
    "read-only",
    "a lower slot is tighter than a winner",
    "a point is out of service",
)
HEADER_INSTANCES = Region(0, HEADER_COUNT, 1)
HASH_INSTANCE = Region(3, 1, 1)
"""The map hash as a CharacterString Value, at the number of its register."""
HEARTBEAT_AT = 7
"""Where the gateway's own heartbeat is."""
HEARTBEAT, HEARTBEAT_AGE = "bms_heartbeat", "bms_heartbeat_age_s"
"""Header points whose value depends on who asks: each client group has a heartbeat of its own (C04)."""
SOURCE_LOST = AlarmSpec(frozenset({False}), delay_s=15.0, text="source lost", engine=True)
NOT_IN_FORCE = (WriteStatus.RETRYING, WriteStatus.BLOCKED, WriteStatus.REJECTED, WriteStatus.OVERRIDDEN)
RECEIPT_ALARMS = {
    "authority": AlarmSpec(frozenset({int(Authority.FAILSAFE)}), text="failsafe is active", engine=True),
    "write_status": AlarmSpec(
        frozenset(map(int, NOT_IN_FORCE)), delay_s=10.0, text="what is asked is not in force", engine=True
    ),
}
"""Alarms every gateway has. The delays let a new login, and a value that is only being sent again, pass unheard."""
SOURCE_REGION = Region(first=100, stride=16, capacity=40, status_at=10)
SOURCE_INSTANCES = Region(first=100, stride=10, capacity=40)


class Words:
    """Builds built-in points in one word and byte order."""

    def __init__(self, word_order: Order, byte_order: Order) -> None:
        self._orders = (word_order, byte_order)

    def register(self, at: int, type_name: str) -> RegisterSpec:
        kind = parse_register_type(type_name)
        if kind is None:
            raise ValueError(type_name)
        return RegisterSpec(at, kind, 1.0, *self._orders, on_loss="nan")

    def point(
        self,
        name: str,
        at: int | None,
        type_name: str,
        *,
        description: str,
        kind: ValueKind = ValueKind.NUMBER,
        unit: str = "",
        codes: Mapping[str, int] | None = None,
        obj: tuple[str, int] | None = None,
        writable: bool = False,
        limits: tuple[float, float] | None = None,
        alarm: AlarmSpec | None = None,
    ) -> PointSpec:
        return PointSpec(
            name=name,
            kind=kind,
            unit=unit,
            description=description,
            builtin=True,
            codes=codes or {},
            registers=(self.register(at, type_name),) if at is not None else (),
            objects=(ObjectSpec(obj[0], obj[1]),) if obj else (),
            writable=writable,
            range=(Factor(limits[0]), Factor(limits[1])) if limits else None,
            alarm=alarm,
        )


def _codes(enumeration: type[IntEnum]) -> dict[str, int]:
    return {member.name.lower().replace("_", " "): int(member) for member in enumeration}


def receipt(point: PointSpec) -> list[PointSpec]:
    """The receipt block beside a commandable point; registers and objects only where the mapping gives a place."""
    first = point.registers[0] if point.registers else None
    words = Words(first.word_order if first else "big", first.byte_order if first else "big")
    registers, instances = point.receipt_at, point.receipt_instance
    number, enum = ValueKind.NUMBER, ValueKind.ENUM
    rows = (
        ("requested", 0, "float32", number, point.unit, None, "analog-input", "what was asked last"),
        ("applied", 2, "float32", number, point.unit, None, "analog-input", "what the product says is in force"),
        ("write_status", 4, "enum", enum, "", _codes(WriteStatus), "multi-state-input", "what became of the command"),
        ("authority", 5, "enum", enum, "", _codes(Authority), "multi-state-input", "who governs"),
        ("winner", 6, "uint16", number, "", None, "analog-input", "winning slot, 0 none"),
        ("lease_left_s", 7, "uint16", number, "s", None, "analog-input", "lease left, 0 ended; no value: no lease"),
        ("age_s", 8, "uint32", number, "s", None, "analog-input", "seconds since the command was accepted"),
        ("release", 10, "bool", ValueKind.BOOL, "", None, "binary-value", "write 1 to release the own slot"),
        ("error", 11, "uint16", number, "", None, "analog-input", "last error code, 0 none"),
    )
    points = [
        words.point(
            f"{point.name}.{name}",
            registers + at if registers is not None else None,
            type_name,
            description=f"{point.name}: {text}",
            kind=kind,
            unit=unit,
            codes=codes,
            obj=(obj, instances + at) if instances is not None else None,
            writable=name == "release",
            alarm=RECEIPT_ALARMS.get(name),
        )
        for name, at, type_name, kind, unit, codes, obj, text in rows
    ]
    if point.trend is not None:
        points[1] = replace(points[1], trend=_applied_trend(point.trend, in_bacnet=instances is not None))
    text_object = (ObjectSpec("characterstring-value", instances + 12),) if instances is not None else ()
    points.append(
        PointSpec(
            name=f"{point.name}.error_text",
            kind=ValueKind.STRING,
            description=f"{point.name}: last error in words",
            builtin=True,
            objects=text_object,
        )
    )
    return points


def _applied_trend(trend: TrendSpec, *, in_bacnet: bool) -> TrendSpec:
    """What is kept of `applied` beside what was asked: its Trend Log stands next to that of the command."""
    log_at = None if trend.log_at is None or not in_bacnet else trend.log_at + 1
    return replace(trend, log_at=log_at, object=0)


def action_points(action: ActionSpec, area: Area) -> list[PointSpec]:
    """The points of an action: its code (writable), the result, and the last error in words."""
    words = Words(action.word_order, action.byte_order)
    at, instance = action.at, action.instance
    rows: tuple[tuple[str, str, int, ValueKind, str, str], ...] = (
        (action.name, "uint16", 0, ValueKind.NUMBER, "analog-value", action.description),
        (f"{action.name}.result", "enum", 1, ValueKind.ENUM, "multi-state-input", f"{action.name}: what became of it"),
        (f"{action.name}.error_text", "", 2, ValueKind.STRING, "characterstring-value", f"{action.name}: why"),
    )
    points = []
    for name, type_name, offset, kind, obj, text in rows:
        point = words.point(
            name,
            at + offset if at is not None and type_name else None,
            type_name,
            description=text,
            kind=kind,
            codes=_codes(ActionResult) if kind is ValueKind.ENUM else None,
            obj=(obj, instance + offset) if instance is not None else None,
            writable=name == action.name,
        )
        points.append(replace(point, registers=tuple(replace(spec, area=area) for spec in point.registers)))
    points[0] = replace(points[0], range=(Factor(0.0), Factor(float(max(action.codes)))))
    return points


def status(at: int | None, word_order: Order, byte_order: Order) -> list[PointSpec]:
    """Status words of one resource, four registers from `at`: online, quality, age_s."""
    words = Words(word_order, byte_order)
    steps = (None, None, None) if at is None else (at, at + 1, at + 2)
    return [
        words.point("status.online", steps[0], "uint16", description="1: present and its last answer is fresh"),
        words.point(
            "status.quality",
            steps[1],
            "enum",
            kind=ValueKind.ENUM,
            codes=_codes(Quality),
            description="the worst quality of its points",
        ),
        words.point("status.age_s", steps[2], "uint32", unit="s", description="seconds since its last good answer"),
    ]


def source_kind(word_order: Order, byte_order: Order) -> KindSpec:
    """The built-in resource of every source; sources of all mappings share its blocks.

    Offsets never change: what is new takes a free one. Modbus has none left for `relogins` and `reason`.
    """
    words = Words(word_order, byte_order)
    number = ValueKind.NUMBER
    rows: tuple[tuple[str, int | None, str, ValueKind, str, str, str], ...] = (
        ("connected", 0, "bool", ValueKind.BOOL, "", "binary-input", "1: logged in and answering"),
        ("session_age_s", 2, "uint32", number, "s", "analog-input", "seconds since login"),
        ("last_good", 4, "uint32", number, "s", "analog-input", "seconds since the last good answer"),
        ("poll_ms", 6, "uint32", number, "ms", "analog-input", "time the last answer took"),
        ("errors", 8, "uint32", number, "", "analog-input", "failed requests since start"),
        ("state", 1, "enum", ValueKind.ENUM, "", "multi-state-input", "the connection"),
        ("retry_in_s", 14, "uint16", number, "s", "analog-input", "seconds until the next try; no value: none is due"),
        ("overruns", 15, "uint16", number, "", "analog-input", "polls that took longer than their period, to 65534"),
        ("relogins", None, "", number, "", "analog-input", "logins after a lost session since start"),
        ("reason", None, "", ValueKind.STRING, "", "characterstring-value", "why it is not up, in words"),
    )
    points = {
        name: words.point(
            name,
            at,
            kind_name,
            description=text,
            kind=kind,
            unit=unit,
            codes=SOURCE_CODES if kind is ValueKind.ENUM else None,
            obj=(obj, i),
            alarm=SOURCE_LOST if name == "connected" else None,
        )
        for i, (name, at, kind_name, kind, unit, obj, text) in enumerate(rows)
    }
    return KindSpec(SOURCE_KIND, None, None, None, {}, points, SOURCE_REGION, SOURCE_INSTANCES)


def gateway_kind(
    word_order: Order, byte_order: Order, sources: Sequence[tuple[int, str]], *, heartbeat: bool = False
) -> KindSpec:
    """The header, registers 0..99; `sources` are (position in addresses.yaml, name).

    `heartbeat`: the BMS heartbeat and its age are BACnet objects too, at instances equal to their registers.
    """
    words = Words(word_order, byte_order)
    rows = [
        ("magic", 0, "uint32", "", "0x45564757, EVGW: this is an EVCE gateway"),
        ("layout_version", 2, "uint16", "", "version of this header"),
        ("map_hash", 3, "uint64", "", "changes when any address changes"),
        ("heartbeat", HEARTBEAT_AT, "uint16", "", "increments each second"),
        ("uptime_s", 8, "uint32", "s", "seconds since start"),
        ("sources_good", 10, "uint16", "", "sources that are connected"),
        ("sources_total", 11, "uint16", "", "sources configured"),
        ("points_bad", 12, "uint16", "", "points without a usable value"),
        ("alarms_active", 13, "uint16", "", "alarms active"),
        ("flags", 14, "uint16", "", "bits: " + ", ".join(f"{bit} {text}" for bit, text in enumerate(FLAGS))),
    ]
    points = {
        name: words.point(name, at, kind_name, unit=unit, description=text) for name, at, kind_name, unit, text in rows
    }
    points["map_hash_text"] = words.point(
        "map_hash_text",
        None,
        "",
        kind=ValueKind.STRING,
        description="the map hash in hexadecimal, as every export has it",
        obj=("characterstring-value", HASH_INSTANCE.first),
    )
    points[HEARTBEAT] = words.point(
        HEARTBEAT,
        15,
        "uint16",
        description="the BMS writes another number each time; a read gives what the own client group wrote",
        obj=("analog-value", 15) if heartbeat else None,
        writable=True,
        limits=(0, 0xFFFF),
    )
    points[HEARTBEAT_AGE] = words.point(
        HEARTBEAT_AGE,
        16,
        "uint16",
        unit="s",
        description="seconds since the own group's heartbeat last changed, to 65534; no value: not yet",
        obj=("analog-input", 16) if heartbeat else None,
    )
    points["version"] = words.point("version", 20, "string(20)", kind=ValueKind.STRING, description="software version")
    for position, name in sources:
        if position < HEADER_SOURCES:
            at = 30 + 2 * position
            points[f"{name}.quality"] = words.point(
                f"{name}.quality",
                at,
                "enum",
                kind=ValueKind.ENUM,
                codes=_codes(Quality),
                description=f"quality of source {name}",
            )
            points[f"{name}.age_s"] = words.point(
                f"{name}.age_s", at + 1, "uint16", unit="s", description=f"seconds since {name} last answered"
            )
    return KindSpec(HEADER_KIND, None, None, None, {}, points, Region(0, HEADER_COUNT, 1), HEADER_INSTANCES)
