"""An object as a record that encodes its properties on demand.

Which properties an object has is its Shape (ASHRAE 135 clause 12), shared by all objects that are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.standard import (
    INSTANCE_BITS,
    INVALID_ARRAY_INDEX,
    NOT_AN_ARRAY,
    UNKNOWN_PROPERTY,
    Prop,
    Refusal,
)

UNLISTED = frozenset({Prop.OBJECT_IDENTIFIER, Prop.OBJECT_NAME, Prop.OBJECT_TYPE, Prop.PROPERTY_LIST})
"""Never in Property_List (clause 12.1.5.4.1)."""
FLAGS_NORMAL = codec.bits((False, False, False, False))
FLAGS_FAULT = codec.bits((True, True, False, False))
"""Status_Flags of an object whose Event_State is FAULT: In_Alarm is that it is not NORMAL (clause 12, Status_Flags)."""
FLAGS_OUT = {in_alarm: codec.bits((in_alarm, False, False, True)) for in_alarm in (False, True)}
"""Status_Flags of an object that is out of service, by whether it is in alarm."""
EVENT_NORMAL, EVENT_FAULT = codec.enumerated(0), codec.enumerated(1)


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of an object: `required` have conformance code R or W, `optional` O, both in answer order."""

    required: tuple[int, ...]
    optional: tuple[int, ...]
    known: frozenset[int]
    listed: tuple[bytes, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """What a read of ALL gives: everything but Property_List (clause 15.7.3.1.2)."""
        return tuple(prop for prop in self.required + self.optional if prop != Prop.PROPERTY_LIST)


@lru_cache(maxsize=256)
def shape(required: tuple[int, ...], optional: tuple[int, ...]) -> Shape:
    """The one Shape with these properties."""
    props = required + optional
    listed = tuple(codec.enumerated(prop) for prop in props if prop not in UNLISTED)
    return Shape(required, optional, frozenset(props), listed)


class Items(NamedTuple):
    """The elements of a list: how many there are, and the octets of one (from 0), made when it is asked for."""

    size: int
    octets: Callable[[int], bytes]


class Record:
    """One object. `key` is its identifier in 32 bits, `name` its Object_Name."""

    __slots__ = ("key", "name", "shape")

    arrays: ClassVar[frozenset[int]] = frozenset({Prop.PROPERTY_LIST})
    lists: ClassVar[frozenset[int]] = frozenset()
    """The properties that are a BACnetLIST."""
    stamp: int = 0
    """Another number whenever a steady property may be other octets."""

    def __init__(self, key: int, name: str, shaped: Shape) -> None:
        self.key = key
        self.name = name
        self.shape = shaped

    def steady(self, prop: int) -> bool:
        """Whether a property's octets, as a whole, are the same until `stamp` is another."""
        return False

    def encode(self, prop: int, index: int | None) -> bytes:
        """A property's octets, or those of one element.

        Raises:
            Refusal: no such property, not an array, or no such element (clause 15.5.2).
        """
        if prop not in self.shape.known:
            raise Refusal(UNKNOWN_PROPERTY)
        if prop not in self.arrays:
            if index is not None:
                raise Refusal(NOT_AN_ARRAY)
            return self.single(prop)
        elements = self.elements(prop)
        if index is None:
            return self.whole(prop, elements)
        if index == 0:
            return codec.unsigned(len(elements))
        if index > len(elements):
            raise Refusal(INVALID_ARRAY_INDEX)
        return elements[index - 1]

    def whole(self, prop: int, elements: Sequence[bytes]) -> bytes:
        """All elements of an array one after another."""
        return b"".join(elements)

    def single(self, prop: int) -> bytes:
        """A property that is not an array."""
        if prop == Prop.OBJECT_IDENTIFIER:
            return codec.object_id(self.key)
        if prop == Prop.OBJECT_NAME:
            return codec.text(self.name)
        if prop == Prop.OBJECT_TYPE:
            return codec.enumerated(self.key >> INSTANCE_BITS)
        if prop == Prop.OUT_OF_SERVICE:
            return codec.boolean(False)
        raise Refusal(UNKNOWN_PROPERTY)

    def items(self, prop: int) -> Items:
        """The elements of a list property; one that nobody fills is empty."""
        return Items(0, lambda _: b"")

    def elements(self, prop: int) -> Sequence[bytes]:
        """The elements of an array property."""
        if prop == Prop.PROPERTY_LIST:
            return self.shape.listed
        raise Refusal(UNKNOWN_PROPERTY)
