"""The confirmed services as functions from octets to octets (ASHRAE 135 clause 15).

Rules of this file: an answer is a whole APDU; every well-formed or malformed request has one; a read never waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.standard import (
    UNKNOWN_OBJECT,
    Abort,
    Error,
    Prop,
    Refusal,
    Service,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags

MOST_OCTETS = 255 * 1400
"""The longest answer: what fits the sequence numbers of one segmented answer."""
OPEN_1, CLOSE_1 = codec.opening(1), codec.closing(1)
OPEN_3, CLOSE_3 = codec.opening(3), codec.closing(3)
OPEN_4, CLOSE_4 = codec.opening(4), codec.closing(4)
OPEN_5, CLOSE_5 = codec.opening(5), codec.closing(5)
MOST_STEPS = 50_000
"""Steps of all plans that are kept, some 10 MB."""
NOTHING = -1
"""In the last step of a plan: there is no value, only the octets at the end."""
SPECIAL = frozenset({Prop.ALL, Prop.REQUIRED, Prop.OPTIONAL})


def simple_ack(service: int, invoke: int) -> bytes:
    """A Simple-ACK."""
    return bytes((0x20, invoke, service))


def complex_ack(service: int, invoke: int, data: bytes) -> bytes:
    """An unsegmented Complex-ACK."""
    return bytes((0x30, invoke, service)) + data


def error_body(error: Error) -> bytes:
    """Error class and code."""
    return codec.enumerated(error.cls) + codec.enumerated(error.code)


def error(service: int, invoke: int, cause: Error) -> bytes:
    """An Error."""
    return bytes((0x50, invoke, service)) + error_body(cause)


def reject(invoke: int, reason: RejectReason) -> bytes:
    """A Reject."""
    return bytes((0x60, invoke, reason))


def abort(invoke: int, reason: Abort) -> bytes:
    """An Abort by the server."""
    return bytes((0x71, invoke, reason))


class TooLong(Exception):
    """An answer exceeds what can be sent at all."""


class Step(NamedTuple):
    """One property of an answer; `before` ends with the opening tag of the value."""

    before: bytes
    record: Record | None
    prop: int
    array_index: int | None


Plan = tuple[Step, ...]


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


class Reads:
    """ReadProperty and ReadPropertyMultiple.

    A BMS asks the same again and again, so what a request's octets mean is kept until a reload; a value is looked up
    anew each time.
    """

    def __init__(self, store: ObjectStore, shelf: Shelf) -> None:
        self._store = store
        self._shelf = shelf
        self._single: dict[bytes, Plan] = shelf.share({})
        self._many: dict[bytes, Plan] = shelf.share({})

    def answer(self, service: int, invoke: int, body: bytes) -> bytes | None:
        """The answer, None if the service is not a read."""
        try:
            if service == Service.READ_PROPERTY:
                return complex_ack(service, invoke, self.property(body))
            if service == Service.READ_PROPERTY_MULTIPLE:
                return complex_ack(service, invoke, self.multiple(body))
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            return error(service, invoke, refusal.error)
        except TooLong:
            return abort(invoke, Abort.BUFFER_OVERFLOW)
        return None

    def property(self, body: bytes) -> bytes:
        """ReadProperty-ACK (clause 15.5)."""
        plan = self._single.get(body) or self._keep(self._single, body, self._plan_property(body))
        before, record, prop, index = plan[0]
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        return before + record.encode(prop, index) + CLOSE_3

    def _plan_property(self, body: bytes) -> Plan:
        tags = Tags(body)
        key, prop, index = tags.key(0), tags.number(1), tags.optional(2)
        tags.finish()
        record = self._store.get(key)
        where = b"" if index is None else codec.context_unsigned(2, index)
        head = codec.context_object_id(0, key if record is None else record.key) + codec.context_unsigned(1, prop)
        return (Step(head + where + OPEN_3, record, prop, index),)

    def multiple(self, body: bytes) -> bytes:
        """ReadPropertyMultiple-ACK (clause 15.7): every element answered in request order, errors beside values."""
        plan = self._many.get(body) or self._keep(self._many, body, self._plan_multiple(body))
        out: list[bytes] = []
        size = 0
        for before, record, prop, index in plan:
            out.append(before)
            if prop == NOTHING:
                continue
            try:
                if record is None:
                    raise Refusal(UNKNOWN_OBJECT)
                value = record.encode(prop, index)
                out += (value, CLOSE_4)
                size += len(value)
                if size > MOST_OCTETS:
                    raise TooLong
            except Refusal as refusal:
                out[-1] = before[:-1] + OPEN_5
                out += (error_body(refusal.error), CLOSE_5)
        return b"".join(out)

    def _plan_multiple(self, body: bytes) -> Plan:
        tags = Tags(body)
        steps: list[Step] = []
        before = b""
        while True:
            key = tags.key(0)
            record = self._store.get(key)
            before += codec.context_object_id(0, key if record is None else record.key) + OPEN_1
            tags.expect(OPEN_1[0])
            while True:
                prop, index = tags.number(0), tags.optional(1)
                for each in _chosen(record, prop, index):
                    where = codec.context_unsigned(2, each)
                    where += b"" if index is None else codec.context_unsigned(3, index)
                    steps.append(Step(before + where + OPEN_4, record, each, index))
                    before = b""
                if tags.at(CLOSE_1[0]):
                    break
            tags.expect(CLOSE_1[0])
            before += CLOSE_1
            if tags.done:
                return (*steps, Step(before, None, NOTHING, None))

    def _keep(self, plans: dict[bytes, Plan], body: bytes, plan: Plan) -> Plan:
        """Keeps a plan whose objects are all there; an object that is not yet may come."""
        if all(step.record is not None or step.prop == NOTHING for step in plan):
            self._shelf.take(len(plan))
            plans[body] = plan
        return plan


def _chosen(record: Record | None, prop: int, index: int | None) -> Iterable[int]:
    """The properties of one reference; ALL, REQUIRED and OPTIONAL are many (clause 15.7.3.1.2)."""
    if record is None or prop not in SPECIAL or index is not None:
        return (prop,)
    shape = record.shape
    chosen = {Prop.ALL: shape.all, Prop.REQUIRED: shape.required, Prop.OPTIONAL: shape.optional}[Prop(prop)]
    return [each for each in chosen if each != Prop.PROPERTY_LIST]
