"""The confirmed services as functions from octets to octets (ASHRAE 135 clause 15).

Rules of this file: an answer is a whole APDU; every well-formed or malformed request has one; a read never waits.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.plans import (
    ABSENT,
    CLOSE_1,
    OPEN_1,
    OPEN_3,
    OPEN_4,
    Many,
    Part,
    Plan,
    Shelf,
    Single,
    Step,
    TooLong,
    error_body,
)
from gateway.servers.bacnet.standard import (
    Abort,
    Error,
    Prop,
    Refusal,
    Service,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags

SPECIAL = frozenset({Prop.ALL, Prop.REQUIRED, Prop.OPTIONAL})
READS = (Service.READ_PROPERTY, Service.READ_PROPERTY_MULTIPLE)
SINGLE, MANY = (bytes((service,)) for service in READS)


def simple_ack(service: int, invoke: int) -> bytes:
    """A Simple-ACK."""
    return bytes((0x20, invoke, service))


def complex_ack(service: int, invoke: int, data: bytes) -> bytes:
    """An unsegmented Complex-ACK."""
    return bytes((0x30, invoke, service)) + data


def error(service: int, invoke: int, cause: Error) -> bytes:
    """An Error."""
    return bytes((0x50, invoke, service)) + error_body(cause)


def reject(invoke: int, reason: RejectReason) -> bytes:
    """A Reject."""
    return bytes((0x60, invoke, reason))


def abort(invoke: int, reason: Abort) -> bytes:
    """An Abort by the server."""
    return bytes((0x71, invoke, reason))


class Reads:
    """ReadProperty and ReadPropertyMultiple.

    A BMS asks the same again and again, so what a request's octets mean is kept until a reload; a value is looked up
    anew each time.
    """

    def __init__(self, store: ObjectStore, shelf: Shelf) -> None:
        self._store = store
        self._shelf = shelf
        self._plans: dict[bytes, Plan] = shelf.share({})

    def kept(self, request: bytes) -> bytes | None:
        """The Complex-ACK from its service on, None if it takes `answer`; `request` begins with the service."""
        plan = self._plans.get(request)
        try:
            return None if plan is None else plan.octets()
        except (Refusal, TooLong):
            return None

    def answer(self, service: int, invoke: int, body: bytes) -> bytes | None:
        """The answer, None if the service is not a read."""
        if service not in READS:
            return None
        request = bytes((service,)) + body
        try:
            plan = self._plans.get(request)
            if plan is None:
                plan = self._single(body) if service == Service.READ_PROPERTY else self._many(body)
                self._keep(request, plan)
            return bytes((0x30, invoke)) + plan.octets()
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            return error(service, invoke, refusal.error)
        except TooLong:
            return abort(invoke, Abort.BUFFER_OVERFLOW)

    def _single(self, body: bytes) -> Single:
        """ReadProperty (clause 15.5)."""
        tags = Tags(body)
        key, prop, index = tags.key(0), tags.number(1), tags.optional(2)
        tags.finish()
        record = self._store.get(key) or ABSENT
        where = b"" if index is None else codec.context_unsigned(2, index)
        head = codec.context_object_id(0, record.key) + codec.context_unsigned(1, prop)
        return Single(SINGLE + head + where + OPEN_3, record, prop, index)

    def _many(self, body: bytes) -> Many:
        """ReadPropertyMultiple (clause 15.7): all is answered in request order, errors beside values."""
        tags = Tags(body)
        parts: list[Part] = []
        before = MANY
        while True:
            key = tags.key(0)
            record = self._store.get(key) or ABSENT
            before += codec.context_object_id(0, key if record is ABSENT else record.key) + OPEN_1
            tags.expect(OPEN_1[0])
            steps: list[Step] = []
            while True:
                prop, index = tags.number(0), tags.optional(1)
                for each in _chosen(record, prop, index):
                    where = codec.context_unsigned(2, each)
                    where += b"" if index is None else codec.context_unsigned(3, index)
                    steps.append(Step(before + where + OPEN_4, each, index))
                    before = b""
                if tags.at(CLOSE_1[0]):
                    break
            tags.expect(CLOSE_1[0])
            parts.append(Part(record, steps))
            before += CLOSE_1
            if tags.done:
                return Many(parts, before)

    def _keep(self, request: bytes, plan: Plan) -> None:
        """Keeps a plan whose objects are all there; an object that is not yet may come."""
        if plan.whole:
            self._shelf.take(plan.steps)
            self._plans[request] = plan


def _chosen(record: Record, prop: int, index: int | None) -> Iterable[int]:
    """The properties of one reference; ALL, REQUIRED and OPTIONAL are many (clause 15.7.3.1.2)."""
    if record is ABSENT or prop not in SPECIAL or index is not None:
        return (prop,)
    shape = record.shape
    chosen = {Prop.ALL: shape.all, Prop.REQUIRED: shape.required, Prop.OPTIONAL: shape.optional}[Prop(prop)]
    return [each for each in chosen if each != Prop.PROPERTY_LIST]
