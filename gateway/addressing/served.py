"""A map as a BMS depends on it: every point with its addresses and how they are read, and what differs between two.

Rules of this file: a point is the same one as long as it stands in the same block under the same point name, whatever
the product calls its resource; what was forgotten or retired by the operator is no loss; what moves or reads
differently breaks what somebody engineered, anything else does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.addressing.book import Entry
from gateway.addressing.layout import TREND_LOG
from gateway.addressing.placed import PlacedPoint, PlacedRegister

What = Literal["added", "removed", "moved", "retyped", "changed"]
BREAKING: frozenset[What] = frozenset({"removed", "moved", "retyped"})
"""What a published address must not suffer."""
Owner = tuple[str, str, int]
"""Whose addresses: source, kind and block; block -1 for a resource without one."""


@dataclass(frozen=True, slots=True, order=True)
class ServedRegister:
    """One Modbus encoding: unit, 0-based register, type as a mapping writes it, and everything needed to decode it."""

    unit: int
    register: int
    type: str
    count: int
    bit: int | None = None
    scale: float = 1.0
    word_order: str = "big"
    byte_order: str = "big"

    @property
    def place(self) -> str:
        """`UNIT/REGISTER`, with the bit if it is one."""
        return f"{self.unit}/{self.register}" + ("" if self.bit is None else f".{self.bit}")

    def __str__(self) -> str:
        notes = [f"x {self.scale:g}"] * (self.scale != 1)
        notes += [f"{self.word_order} words"] * (self.word_order != "big")
        notes += [f"{self.byte_order} bytes"] * (self.byte_order != "big")
        return " ".join((f"register {self.place} {self.type}", *notes))


@dataclass(frozen=True, slots=True, order=True)
class ServedObject:
    """One BACnet object: device instance, object type as the standard names it, and instance."""

    device: int
    object: str
    instance: int

    def __str__(self) -> str:
        return f"{self.object} {self.instance} of device {self.device}"


@dataclass(frozen=True, slots=True)
class ServedPoint:
    """One point of a map. `owner` and `point` are its identity, `name` is what it is called now."""

    owner: Owner
    point: str
    name: str
    unit: str
    access: Literal["r", "rw"]
    registers: tuple[ServedRegister, ...]
    objects: tuple[ServedObject, ...]
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What stays when a product renames its resource."""
        return (*self.owner, self.point)

    @property
    def is_served(self) -> bool:
        """Whether a BMS can reach it at all."""
        return bool(self.registers or self.objects)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is another in the second of two maps, in words; `name` is the point's newest name."""

    what: What
    name: str
    text: str

    @property
    def breaks(self) -> bool:
        """Whether somebody who read the first map would now read something else, or nothing."""
        return self.what in BREAKING

    def __str__(self) -> str:
        return f"{self.what}: {self.name}: {self.text}"


def register_type(register: PlacedRegister) -> str:
    """The type as a mapping writes it."""
    kind = register.spec.type
    return f"string({kind.string_bytes})" if kind.name == "string" else kind.name


def served_point(owner: Owner, point: PlacedPoint, *, modbus: bool, device: int | None) -> ServedPoint:
    """A placed point as it is served; `device` is the gateway's own BACnet device, None without BACnet."""
    spec = point.spec
    registers = tuple(_register(register) for register in point.registers) if modbus else ()
    objects = tuple(ServedObject(*twin) for twin in twins_of(point, device))
    if device is not None and point.trend is not None:
        objects += (ServedObject(_device(point, device), TREND_LOG, point.trend.instance),)
    access: Literal["r", "rw"] = "rw" if spec.command is not None or spec.writable else "r"
    return ServedPoint(owner, spec.name, point.name, spec.unit, access, registers, objects, dict(spec.codes))


def twins_of(point: PlacedPoint, device: int | None) -> list[tuple[int, str, int]]:
    """Device, type and instance of every object that shows the point; `device` as in served_point."""
    return [(_device(point, device), one.object, one.instance) for one in point.objects] if device is not None else []


def _device(point: PlacedPoint, own: int) -> int:
    return point.device.instance if point.device is not None else own


def _register(register: PlacedRegister) -> ServedRegister:
    spec = register.spec
    return ServedRegister(
        register.unit,
        register.register,
        register_type(register),
        spec.type.words,
        spec.bit,
        spec.scale,
        spec.word_order,
        spec.byte_order,
    )


def dismissed_owners(entries: Iterable[Entry]) -> set[Owner]:
    """The blocks that the operator gave up: forgotten or retired, and never anybody else's."""
    return {(entry.source, entry.kind, entry.block) for entry in entries if entry.forgotten or entry.retired}


def moves(
    published: Iterable[ServedPoint], new: Iterable[ServedPoint], dismissed: Collection[Owner] = ()
) -> list[Difference]:
    """What the new map does to published addresses that it must not do; empty when all of them still hold.

    `dismissed` are the owners that the operator gave up (`dismissed_owners`).
    """
    return [one for one in differences(published, new, dismissed) if one.breaks]


def differences(
    before: Iterable[ServedPoint], after: Iterable[ServedPoint], dismissed: Collection[Owner] = ()
) -> list[Difference]:
    """Everything that another map does, the breaking ones first, else in the order of the maps."""
    old = {point.key: point for point in before if point.is_served}
    new = {point.key: point for point in after if point.is_served}
    there = {(point.registers, point.objects): point for key, point in new.items() if key not in old}
    found: list[Difference] = []
    taken: set[tuple[str, str, int, str]] = set()
    for key, point in old.items():
        now = new.get(key)
        if now is None and (same := there.get((point.registers, point.objects))) is not None:
            now = same  # another name for what stands at the very same addresses
            taken.add(same.key)
        if now is not None:
            found += _compare(point, now)
        elif point.owner not in dismissed:
            found.append(Difference("removed", point.name, _places(point)))
    found += [
        Difference("added", point.name, _places(point))
        for key, point in new.items()
        if key not in old and key not in taken
    ]
    return sorted(found, key=lambda one: not one.breaks)


def _compare(old: ServedPoint, new: ServedPoint) -> Iterator[Difference]:
    yield from _compare_places(old, new)
    if old.unit != new.unit:
        yield Difference("retyped", new.name, f"its unit was {old.unit or 'none'} and is {new.unit or 'none'}")
    recoded = {text: (code, new.codes[text]) for text, code in old.codes.items() if new.codes.get(text, code) != code}
    if recoded:
        told = ", ".join(f"{text!r} was {was} and is {now}" for text, (was, now) in recoded.items())
        yield Difference("retyped", new.name, f"codes: {told}")
    elif dict(old.codes) != dict(new.codes):
        gone, come = old.codes.keys() - new.codes.keys(), new.codes.keys() - old.codes.keys()
        told = "; ".join(
            f"texts {word} {', '.join(map(repr, sorted(texts)))}"
            for word, texts in (("gone:", gone), ("new:", come))
            if texts
        )
        yield Difference("changed", new.name, told)
    if old.access != new.access:
        yield Difference("changed", new.name, f"access was {old.access} and is {new.access}")
    if old.name != new.name:
        yield Difference("changed", new.name, f"was called {old.name}")


def _compare_places(old: ServedPoint, new: ServedPoint) -> Iterator[Difference]:
    """Every address that is no longer what it was; further ones are no harm."""
    registers = [register for register in new.registers if register not in old.registers]
    for lost in (register for register in old.registers if register not in new.registers):
        here = next((one for one in registers if one.place == lost.place), None)
        other = here or (registers[0] if registers else None)
        if other is None:
            yield Difference("removed", new.name, f"{lost} is not served any more")
        else:
            registers.remove(other)
            what: What = "retyped" if here is not None else "moved"
            yield Difference(what, new.name, f"{lost} becomes {other}")
    objects = [one for one in new.objects if one not in old.objects]
    for gone in (one for one in old.objects if one not in new.objects):
        if objects:
            yield Difference("moved", new.name, f"{gone} becomes {objects.pop(0)}")
        else:
            yield Difference("removed", new.name, f"{gone} is not served any more")
    for more in (*registers, *objects):
        yield Difference("added", new.name, f"{more}")


def _places(point: ServedPoint) -> str:
    text = ", ".join(map(str, (*point.registers, *point.objects)))
    return f"{text} [{point.unit}]" if point.unit else text
