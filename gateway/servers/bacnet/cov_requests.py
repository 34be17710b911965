"""SubscribeCOV and SubscribeCOVProperty from octets to wishes (ASHRAE 135 clauses 13.14 and 13.15)."""

from __future__ import annotations

import math
from typing import NamedTuple

from bacpypes3.pdu import Address

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.services import error, reject, simple_ack
from gateway.servers.bacnet.standard import (
    NO_COV,
    NOT_COV_PROPERTY,
    UNKNOWN_OBJECT,
    VALUE_OUT_OF_RANGE,
    Refusal,
    Service,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.subscriptions import WATCHABLE, Wish
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags

OPEN_4, CLOSE_4 = codec.opening(4)[0], codec.closing(4)[0]


class CovRequests:
    """Answers subscriptions."""

    def __init__(self, store: ObjectStore, cov: Cov) -> None:
        self._store = store
        self._cov = cov

    def answer(self, service: int, invoke: int, body: bytes, address: Address, text: str, limit: int) -> bytes | None:
        """The answer, None if the service is none of these; `text` names the peer, `limit` is its longest APDU."""
        if service not in (Service.SUBSCRIBE_COV, Service.SUBSCRIBE_COV_PROPERTY):
            return None
        try:
            request = parse(self._store.device.key, body, of_property=service == Service.SUBSCRIBE_COV_PROPERTY)
            wish = request.wish
            if request.cancels:
                self._cov.cancel(address, wish)
            else:
                self._judge(request)
                self._cov.subscribe(address, text, limit, wish)
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            return error(service, invoke, refusal.error)
        return simple_ack(service, invoke)

    def _judge(self, request: Request) -> None:
        """Refuses what no object can tell of.

        Raises:
            Refusal: there is no such object, or it cannot.
        """
        wish = request.wish
        record = self._store.get(wish.key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        if wish.prop is not None:
            record.encode(wish.prop, request.array_index)
            if wish.prop not in WATCHABLE or not isinstance(record, PointRecord):
                raise Refusal(NOT_COV_PROPERTY)
        elif not isinstance(record, PointRecord):
            raise Refusal(NO_COV)
        if wish.increment is not None and not 0 <= wish.increment < math.inf:
            raise Refusal(VALUE_OUT_OF_RANGE)


class Request(NamedTuple):
    """A subscription or its cancellation; `array_index` is that of the property."""

    wish: Wish
    cancels: bool
    array_index: int | None


def parse(device: int, body: bytes, *, of_property: bool) -> Request:
    """The request to a device; one that says neither "confirmed" nor a lifetime is a cancellation.

    Raises:
        Malformed: it is no such request.
    """
    tags = Tags(body)
    process, key = tags.number(0), tags.key(1)
    confirmed, lifetime = tags.boolean(2), tags.optional(3)
    if lifetime is not None and confirmed is None:
        raise Malformed(RejectReason.MISSING_PARAMETER)
    prop = index = increment = None
    if of_property:
        tags.expect(OPEN_4)
        prop, index = tags.number(0), tags.optional(1)
        tags.expect(CLOSE_4)
        increment = tags.real(5)
    tags.finish()
    wish = Wish(device, process, key, prop, bool(confirmed), float(lifetime or math.inf), increment)
    return Request(wish, confirmed is None, index)
