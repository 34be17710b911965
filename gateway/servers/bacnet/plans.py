"""What the octets of a read mean, worked out once: the objects, and the octets around each value.

Rules of this file: a plan never holds a value longer than its object shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record, shape
from gateway.servers.bacnet.standard import UNKNOWN_OBJECT, Error, Refusal

MOST_OCTETS = 255 * 1400
"""The longest answer: what fits the sequence numbers of one segmented answer."""
MOST_STEPS = 50_000
"""Steps of all plans that are kept, some 15 MB."""
OPEN_1, CLOSE_1 = codec.opening(1), codec.closing(1)
OPEN_3, CLOSE_3 = codec.opening(3), codec.closing(3)
OPEN_4, CLOSE_4 = codec.opening(4), codec.closing(4)
OPEN_5, CLOSE_5 = codec.opening(5), codec.closing(5)
NEVER = -1
"""The stamp of no record."""


class TooLong(Exception):
    """An answer exceeds what can be sent at all."""


def error_body(error: Error) -> bytes:
    """Error class and code."""
    return codec.enumerated(error.cls) + codec.enumerated(error.code)


class Absent(Record):
    """Stands for every object that is not there."""

    __slots__ = ()

    def encode(self, prop: int, index: int | None) -> bytes:
        raise Refusal(UNKNOWN_OBJECT)


ABSENT = Absent(0, "", shape((), ()))


class Single:
    """A ReadProperty; `before` ends with the opening tag of the value."""

    __slots__ = ("_before", "_index", "_prop", "_record")

    steps = 1

    def __init__(self, before: bytes, record: Record, prop: int, index: int | None) -> None:
        self._before, self._record, self._prop, self._index = before, record, prop, index

    @property
    def whole(self) -> bool:
        """Whether the object is there."""
        return self._record is not ABSENT

    def octets(self) -> bytes:
        """What is answered now.

        Raises:
            Refusal: there is no such object, property or element.
        """
        return self._before + self._record.encode(self._prop, self._index) + CLOSE_3


class Step(NamedTuple):
    """One property of a ReadPropertyMultiple; `before` ends with the opening tag of the value."""

    before: bytes
    prop: int
    array_index: int | None


class Part:
    """The properties of one object in a ReadPropertyMultiple.

    While the record's stamp is `stamp` they are `octets`.
    """

    __slots__ = ("_steady", "octets", "record", "stamp", "steps")

    def __init__(self, record: Record, steps: Sequence[Step]) -> None:
        self.record, self.steps = record, tuple(steps)
        self.octets, self.stamp = b"", NEVER
        self._steady = all(step.array_index is None and record.steady(step.prop) for step in steps)

    def renew(self) -> bytes:
        """The octets of now, errors among them.

        Raises:
            TooLong: there are too many.
        """
        encode, size = self.record.encode, 0
        out: list[bytes] = []
        for before, prop, index in self.steps:
            try:
                value = encode(prop, index)
                out += (before, value, CLOSE_4)
                size += len(value)
                if size > MOST_OCTETS:
                    raise TooLong
            except Refusal as refusal:
                out += (before[:-1] + OPEN_5, error_body(refusal.error), CLOSE_5)
        made = b"".join(out)
        if self._steady:
            self.octets, self.stamp = made, self.record.stamp
        return made


class Many:
    """A ReadPropertyMultiple; `end` comes behind the last object."""

    __slots__ = ("_end", "_parts", "steps", "whole")

    def __init__(self, parts: Sequence[Part], end: bytes) -> None:
        self._parts, self._end = tuple(parts), end
        self.steps = sum(len(part.steps) for part in parts)
        self.whole = all(part.record is not ABSENT for part in parts)

    def octets(self) -> bytes:
        """What is answered now.

        Raises:
            TooLong: it is more than can be sent.
        """
        out, size = [], 0
        for part in self._parts:
            if part.stamp == part.record.stamp:
                out.append(part.octets)
                continue
            made = part.renew()
            out.append(made)
            size += len(made)
            if size > MOST_OCTETS:
                raise TooLong
        out.append(self._end)
        return b"".join(out)


Plan = Single | Many


class Shelf:
    """How much all devices keep together; who takes the last place has everything forgotten."""

    def __init__(self) -> None:
        self._used = 0
        self._plans: list[dict[bytes, Plan]] = []

    def share(self, plans: dict[bytes, Plan]) -> dict[bytes, Plan]:
        """Takes a device's plans among those that are forgotten; returns them."""
        self._plans.append(plans)
        return plans

    def clear(self) -> None:
        """Objects are no more: nothing that was kept is asked any more."""
        for plans in self._plans:
            plans.clear()
        self._used = 0

    def take(self, steps: int) -> None:
        """Makes room for a plan of so many steps."""
        self._used += steps
        if self._used > MOST_STEPS:
            self.clear()
            self._used = steps
