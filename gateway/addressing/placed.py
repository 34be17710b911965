"""Where points stand: absolute registers and BACnet instances."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.point import ObjectSpec, PointSpec, RegisterSpec


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a resource's registers stand: a unit, and which block of its kind's region there."""

    unit: int
    block: int


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a resource's objects stand: a BACnet device (None: the gateway's own), and which block there."""

    device: int | None
    block: int


@dataclass(frozen=True, slots=True)
class PlacedRegister:
    """One Modbus encoding at its absolute address: unit and 0-based register."""

    unit: int
    register: int
    spec: RegisterSpec


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """One BACnet object at its instance; `object` as in ObjectSpec."""

    object: str
    instance: int
    spec: ObjectSpec


@dataclass(frozen=True, slots=True)
class PlacedTrend:
    """A point's Trend Log at its instance, and the object whose Present_Value it keeps."""

    instance: int
    of: PlacedObject


@dataclass(frozen=True, slots=True)
class PlacedDevice:
    """A virtual BACnet device: its instance, and the `source/kind/name` of the resource it stands for."""

    instance: int
    label: str


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """A point with its full name and every address it is served at; without a `device` in the gateway's own."""

    name: str
    spec: PointSpec
    registers: tuple[PlacedRegister, ...]
    objects: tuple[PlacedObject, ...]
    trend: PlacedTrend | None = None
    device: PlacedDevice | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of registers that can be read as a block: unassigned ones answer `fill` (a 16-bit word)."""

    unit: int
    first: int
    count: int
    fill: int
