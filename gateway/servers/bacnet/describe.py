"""What the devices of a server are, read from their own objects: nothing is said here that a client would not read."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.core.units import UNITS
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.notification_classes import ClassRecord
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import INSTANCE_BITS, OBJECT_TYPES, WILDCARD, Prop, Refusal
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, Primitive, Tags, decode_text
from gateway.servers.bacnet.trend_log import TrendRecord
from gateway.servers.bacnet.units import NUMBERS

TYPE_NAMES = {number: name for name, number in OBJECT_TYPES.items()}
UNIT_NAMES = {NUMBERS[text]: name for text, name in UNITS.items()}
"""The standard's names of the engineering units that mappings may use."""


@dataclass(frozen=True, slots=True)
class Described:
    """One object as a client reads it; None where it has no such property. `written` are what clients may write."""

    device: int
    type: str
    code: int
    instance: int
    name: str
    description: str
    unit: int | None
    states: tuple[str, ...]
    default: float | None
    low: float | None
    high: float | None
    low_limit: float | None
    high_limit: float | None
    notification_class: int | None
    written: tuple[str, ...]
    cov: bool


@dataclass(frozen=True, slots=True)
class DeviceWords:
    """What a Device object says of the whole device."""

    vendor: str
    vendor_id: int
    model: str
    firmware: str
    application: str
    revision: int
    max_apdu: int
    max_segments: int
    services: frozenset[int]
    types: frozenset[int]


def describe(stores: Iterable[ObjectStore]) -> Iterator[Described]:
    """Every object of every device, in the order of their Object_Lists."""
    for store in stores:
        for identifier in store.device.elements(Prop.OBJECT_LIST):
            record = store.get(int.from_bytes(identifier[1:], "big"))
            if record is not None:
                yield _described(store.device.key & WILDCARD, record)


def device_words(store: ObjectStore) -> DeviceWords:
    """The Device object's own words."""
    device = store.device
    return DeviceWords(
        _text(device, Prop.VENDOR_NAME),
        _whole(device, Prop.VENDOR_IDENTIFIER) or 0,
        _text(device, Prop.MODEL_NAME),
        _text(device, Prop.FIRMWARE_REVISION),
        _text(device, Prop.APPLICATION_SOFTWARE_VERSION),
        _whole(device, Prop.PROTOCOL_REVISION) or 0,
        _whole(device, Prop.MAX_APDU_LENGTH_ACCEPTED) or 0,
        _whole(device, Prop.MAX_SEGMENTS_ACCEPTED) or 0,
        _bits(device, Prop.PROTOCOL_SERVICES_SUPPORTED),
        _bits(device, Prop.PROTOCOL_OBJECT_TYPES_SUPPORTED),
    )


def _described(device: int, record: Record) -> Described:
    code = record.key >> INSTANCE_BITS
    return Described(
        device,
        TYPE_NAMES[code],
        code,
        record.key & WILDCARD,
        record.name,
        _text(record, Prop.DESCRIPTION),
        _whole(record, Prop.UNITS),
        _states(record),
        _number(record, Prop.RELINQUISH_DEFAULT),
        _number(record, Prop.MIN_PRES_VALUE),
        _number(record, Prop.MAX_PRES_VALUE),
        _number(record, Prop.LOW_LIMIT),
        _number(record, Prop.HIGH_LIMIT),
        _whole(record, Prop.NOTIFICATION_CLASS),
        written=_written(record),
        cov=isinstance(record, PointRecord),
    )


def _written(record: Record) -> tuple[str, ...]:
    """The names of the properties that allow-listed clients may write."""
    props: Iterable[int] = ()
    if isinstance(record, PointRecord):
        props = (Prop.PRESENT_VALUE,) if record.writable else ()
    elif isinstance(record, ClassRecord):
        props = (Prop.RECIPIENT_LIST,)
    elif isinstance(record, TrendRecord):
        props = record.settable
    return tuple(Prop(prop).name.title() for prop in sorted(props))


def _states(record: Record) -> tuple[str, ...]:
    """State texts, or the texts of inactive and active."""
    if Prop.STATE_TEXT in record.shape.known:
        found = (_primitive(element) for element in record.elements(Prop.STATE_TEXT))
        return tuple((decode_text(one.data) or "") if one is not None else "" for one in found)
    texts = (_text(record, Prop.INACTIVE_TEXT), _text(record, Prop.ACTIVE_TEXT))
    return texts if all(texts) else ()


def _read(record: Record, prop: int) -> Primitive | None:
    """A property that is one primitive value; None if the object has it not, or not now."""
    try:
        return _primitive(record.encode(prop, None))
    except Refusal:
        return None


def _primitive(data: bytes) -> Primitive | None:
    try:
        return Primitive(data[0] >> 4, Tags(data).application(data[0] >> 4))
    except (Malformed, IndexError):  # a list, or nothing at all
        return None


def _text(record: Record, prop: int) -> str:
    found = _read(record, prop)
    return (decode_text(found.data) or "") if found is not None and found.tag == codec.TEXT else ""


def _whole(record: Record, prop: int) -> int | None:
    found = _read(record, prop)
    if found is None or found.tag not in (codec.UNSIGNED, codec.ENUMERATED):
        return None
    return int.from_bytes(found.data, "big")


def _number(record: Record, prop: int) -> float | None:
    """A finite Real, or a whole number."""
    found = _read(record, prop)
    if found is None or found.tag != codec.REAL:
        return _whole(record, prop)
    number: float = struct.unpack(">f", found.data)[0]
    return float(f"{number:.7g}") if math.isfinite(number) else None


def _bits(record: Record, prop: int) -> frozenset[int]:
    found = _read(record, prop)
    if found is None:
        return frozenset()
    flags = found.data[1:]
    return frozenset(bit for bit in range(len(flags) * 8) if flags[bit // 8] >> (7 - bit % 8) & 1)
