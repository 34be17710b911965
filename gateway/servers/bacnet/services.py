"""The confirmed services as functions from octets to octets (ASHRAE 135 clause 15).

Rules of this file: an answer is a whole APDU; every well-formed or malformed request has one; a read never waits.
"""

from __future__ import annotations

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.codec import Malformed, RejectReason, Tags
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

MOST_OCTETS = 255 * 1400
"""The longest answer: what fits the sequence numbers of one segmented answer."""
OPEN_1, CLOSE_1 = codec.opening(1), codec.closing(1)
OPEN_3, CLOSE_3 = codec.opening(3), codec.closing(3)
OPEN_4, CLOSE_4 = codec.opening(4), codec.closing(4)
OPEN_5, CLOSE_5 = codec.opening(5), codec.closing(5)
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


class Reads:
    """ReadProperty and ReadPropertyMultiple."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

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
        tags = Tags(body)
        key, prop, index = tags.key(0), tags.number(1), tags.optional(2)
        tags.finish()
        record = self._store.get(key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        data = record.encode(prop, index)
        where = b"" if index is None else codec.context_unsigned(2, index)
        head = codec.context_object_id(0, record.key) + codec.context_unsigned(1, prop)
        return b"".join((head, where, OPEN_3, data, CLOSE_3))

    def multiple(self, body: bytes) -> bytes:
        """ReadPropertyMultiple-ACK (clause 15.7): every element answered in request order, errors beside values."""
        tags = Tags(body)
        out: list[bytes] = []
        size = 0
        while True:
            key = tags.key(0)
            record = self._store.get(key)
            out += (codec.context_object_id(0, key if record is None else record.key), OPEN_1)
            tags.expect(OPEN_1[0])
            while True:
                prop, index = tags.number(0), tags.optional(1)
                part = self._results(record, prop, index)
                size += len(part)
                if size > MOST_OCTETS:
                    raise TooLong
                out.append(part)
                if tags.at(CLOSE_1[0]):
                    break
            tags.expect(CLOSE_1[0])
            out.append(CLOSE_1)
            if tags.done:
                return b"".join(out)

    def _results(self, record: Record | None, prop: int, index: int | None) -> bytes:
        """The results of one reference; ALL, REQUIRED and OPTIONAL are many (clause 15.7.3.1.2)."""
        if record is None or prop not in SPECIAL or index is not None:
            return self._result(record, prop, index)
        shape = record.shape
        chosen = {Prop.ALL: shape.all, Prop.REQUIRED: shape.required, Prop.OPTIONAL: shape.optional}[Prop(prop)]
        return b"".join(self._result(record, each, None) for each in chosen if each != Prop.PROPERTY_LIST)

    @staticmethod
    def _result(record: Record | None, prop: int, index: int | None) -> bytes:
        where = codec.context_unsigned(2, prop)
        if index is not None:
            where += codec.context_unsigned(3, index)
        try:
            if record is None:
                raise Refusal(UNKNOWN_OBJECT)
            return b"".join((where, OPEN_4, record.encode(prop, index), CLOSE_4))
        except Refusal as refusal:
            return b"".join((where, OPEN_5, error_body(refusal.error), CLOSE_5))
