"""Points of a kind to offsets in its block, blocks to absolute addresses, and what must not overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.addressing.builtin import (
    HASH_INSTANCE,
    HEADER_COUNT,
    HEADER_INSTANCES,
    SOURCE_INSTANCES,
    SOURCE_REGION,
    action_points,
    receipt,
    status,
)
from gateway.addressing.placed import PlacedDevice, PlacedObject, PlacedPoint, PlacedRegister, PlacedTrend, Seat, Span
from gateway.core.point import KindSpec, PointSpec, Region, point_name
from gateway.core.registers import Order

GAP = 0xFFFF
TREND_LOG = "trend-log"
REGISTERS = 65536
INSTANCES = 4194303


@dataclass(frozen=True, slots=True)
class Claims:
    """A point's claim on an offset: `what` is `modbus`, `actions` (their own registers) or a BACnet object type."""

    what: str
    at: int
    size: int
    bit: int | None
    point: str


def expand(kind: KindSpec, word_order: Order, byte_order: Order) -> list[PointSpec]:
    """The kind's points with their receipts, its actions and its status words, in serving order."""
    points: list[PointSpec] = []
    for point in kind.points.values():
        points.append(point)
        if point.command is not None:
            points += receipt(point)
    for action in kind.actions.values():
        points += action_points(action, "block" if kind.actions_at is None else "actions")
    if not all(point.builtin for point in kind.points.values()) or kind.modbus is not None:
        at = kind.modbus.status_at if kind.modbus else None
        points += status(at, word_order, byte_order) if kind.name != "header" else []
    return points


def claims(points: Iterable[PointSpec]) -> Iterator[Claims]:
    """Every offset the points of one block occupy."""
    for point in points:
        for register in point.registers:
            what = "modbus" if register.area == "block" else "actions"
            yield Claims(what, register.at, register.type.words, register.bit, point.name)
        for obj in point.objects:
            yield Claims(obj.object, obj.at, 1, None, point.name)
        if point.trend is not None and point.trend.log_at is not None:
            yield Claims(TREND_LOG, point.trend.log_at, 1, None, point.name)


def overlaps(
    points: Sequence[PointSpec], modbus: Region | None, bacnet: Region | None, actions: Region | None = None
) -> list[tuple[str, str, str]]:
    """(point, protocol, what is wrong) for every clash of offsets inside one block, and every offset outside it.

    `actions` is the region of a kind's actions, if they have one of their own.
    """
    faults: list[tuple[str, str, str]] = []
    taken: dict[tuple[str, int], list[Claims]] = {}
    for claim in claims(points):
        region = {"modbus": modbus, "actions": actions}.get(claim.what, bacnet)
        protocol = "modbus" if claim.what in ("modbus", "actions") else "bacnet"
        noun = "register" if protocol == "modbus" else f"{claim.what} instance"
        if region is None:
            article = "an" if noun[0] == "a" else "a"
            text = f"has {article} {noun}, and the resource has no `{protocol}` block"
            faults.append((claim.point, protocol, text))
            continue
        last = claim.at + claim.size - 1
        if last >= region.stride:
            text = f"ends at {noun} offset {last}, and the stride {region.stride} ends at {region.stride - 1}"
            faults.append((claim.point, protocol, text))
        for at in range(claim.at, last + 1):
            cell = taken.setdefault((claim.what, at), [])
            other = next((old for old in cell if old.bit is None or claim.bit is None or old.bit == claim.bit), None)
            if other is not None:
                bit = f" bit {claim.bit}" if claim.bit is not None and other.bit is not None else ""
                faults.append((claim.point, protocol, f"needs {noun} offset {at}{bit}, taken by {other.point}"))
                break
            cell.append(claim)
    return faults


def region_faults(kinds: Sequence[tuple[str, str, KindSpec]], *, heartbeat: bool = False) -> list[tuple[str, str, str]]:
    """(label, key of the region, what is wrong) where regions overlap each other or the gateway's own.

    `kinds` are (label, block pool, kind); kinds of one name, pool and region share their blocks and do not clash.
    `heartbeat`: the header has its BACnet objects.
    """
    faults: list[tuple[str, str, str]] = []
    taken: dict[str, list[tuple[str, Region]]] = {
        "modbus": [("the header", Region(0, HEADER_COUNT, 1)), ("the built-in resource source", SOURCE_REGION)]
    }
    for obj in ("analog-input", "binary-input", "multi-state-input", "characterstring-value"):
        taken[obj] = [("the built-in resource source", SOURCE_INSTANCES)]
    taken["characterstring-value"].append(("the header", HASH_INSTANCE))
    for obj in ("analog-input", "analog-value") if heartbeat else ():
        taken.setdefault(obj, []).append(("the header with bacnet.heartbeat", HEADER_INSTANCES))
    shared: set[tuple[str, str, str, Region]] = set()
    for label, pool, kind in kinds:
        objects = sorted({claim.what for claim in claims(expand(kind, "big", "big"))} - {"modbus", "actions"})
        wanted = [("modbus", "modbus", kind.modbus, REGISTERS, "registers")]
        wanted += [("modbus", "modbus.actions", kind.actions_at, REGISTERS, "registers")]
        wanted += [(obj, "bacnet", kind.bacnet, INSTANCES, f"{obj} instances") for obj in objects]
        for what, protocol, region, end, noun in wanted:
            if region is None or (pool, kind.name, what, region) in shared:
                continue
            shared.add((pool, kind.name, what, region))
            others = taken.setdefault(what, [])
            faults += [(label, protocol, text) for text in _clash(region, others, end, noun)]
            others.append((label, region))
    return faults


def _clash(mine: Region, others: list[tuple[str, Region]], end: int, noun: str) -> Iterator[str]:
    last = mine.first + mine.stride * mine.capacity
    if last > end:
        yield f"{noun} {mine.first}..{last - 1} go beyond {end - 1}: first + stride x capacity is too large"
    for other, region in others:
        other_last = region.first + region.stride * region.capacity
        if mine.first < other_last and region.first < last:
            theirs = f"{region.first}..{other_last - 1}"
            yield f"{noun} {mine.first}..{last - 1} overlap those of {other} ({theirs})"


def place(
    points: Sequence[PointSpec],
    kind: KindSpec,
    *,
    source: str,
    name: str | None,
    block: int | None,
    seat: Seat | None,
    device: PlacedDevice | None = None,
) -> list[PlacedPoint]:
    """The points of one resource at the BACnet instances of a block in a device, and the registers of its seat.

    What has none of the two is not served there, and so is a block beyond the region (its capacity was lowered, or
    the region for actions is smaller).
    """
    bacnet = kind.bacnet
    placed: list[PlacedPoint] = []
    for point in points:
        registers: list[PlacedRegister] = []
        objects: tuple[PlacedObject, ...] = ()
        trend: PlacedTrend | None = None
        for spec in point.registers:
            region = kind.modbus if spec.area == "block" else kind.actions_at
            if seat is not None and region is not None and seat.block < region.capacity:
                registers.append(PlacedRegister(seat.unit, region.first + seat.block * region.stride + spec.at, spec))
        if block is not None and bacnet is not None and block < bacnet.capacity:
            first = bacnet.first + block * bacnet.stride
            objects = tuple(PlacedObject(served.object, first + served.at, served) for served in point.objects)
            if point.trend is not None and point.trend.log_at is not None:
                trend = PlacedTrend(first + point.trend.log_at, objects[point.trend.object])
        full = point_name(source, kind.name, name, point.name)
        placed.append(PlacedPoint(full, point, tuple(registers), objects, trend, device if objects else None))
    return placed


def spans_of(kind: KindSpec, unit: int, blocks: int | None = None) -> list[Span]:
    """The kind's regions as readable spans; the header's reserved registers read 0, others' gaps 0xFFFF.

    `blocks`: only so many of each region, left out: all.
    """
    fill = 0 if kind.name == "header" else GAP
    regions = [region for region in (kind.modbus, kind.actions_at) if region is not None]
    return [Span(unit, region.first, region.stride * (blocks or region.capacity), fill) for region in regions]


def map_hash(points: Mapping[str, PlacedPoint]) -> int:
    """64 bits over every name, type, order and address; equal maps have equal hashes whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(points):
        point = points[name]
        cells = [
            f"{r.unit}:{r.register}:{r.spec.type.name}:{r.spec.type.words}:{r.spec.scale!r}:{r.spec.bit}"
            f":{r.spec.word_order}:{r.spec.byte_order}"
            for r in point.registers
        ]
        cells += [f"device:{point.device.instance}"] if point.device is not None else []
        cells += [f"{o.object}:{o.instance}" for o in point.objects]
        cells += [f"{TREND_LOG}:{point.trend.instance}"] if point.trend is not None else []
        if cells:
            digest.update(f"{name}|{point.spec.unit}|{','.join(cells)}\n".encode())
    return int.from_bytes(digest.digest()[:8], "big") % 0xFFFFFFFFFFFFFFFF
