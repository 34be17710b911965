"""WriteProperty and WritePropertyMultiple (ASHRAE 135 clauses 15.9 and 15.10).

Rules of this file: nothing is writable but the Present_Value of a commandable or writable point and a Recipient_List,
by a client of the write networks; a whole request is understood before its first element is carried out; an answer
leaves within 2 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from gateway.addressing.builtin import HEARTBEAT
from gateway.core.errors import CommandRejected
from gateway.core.priority import RESERVED_SLOT, Origin
from gateway.core.value import GOOD, Sample, Value
from gateway.engine.ports import Ask, Commands, OnRefused
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.notification_classes import ClassRecord
from gateway.servers.bacnet.plans import CLOSE_1, OPEN_1, error_body
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.services import error, reject, simple_ack
from gateway.servers.bacnet.standard import (
    COMMAND_ERRORS,
    INVALID_DATA_TYPE,
    LOWEST_PRIORITY,
    NOT_AN_ARRAY,
    OPERATIONAL_PROBLEM,
    UNKNOWN_OBJECT,
    VALUE_OUT_OF_RANGE,
    WRITE_ACCESS_DENIED,
    Error,
    Prop,
    Refusal,
    Service,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, Primitive, RejectReason, Tags, only_value
from gateway.servers.bacnet.trend_log import TrendRecord

LARGEST_HEARTBEAT = 0xFFFF
ANSWER_WITHIN_S = 1.8
"""Time for all of a request's commands; clients give up after 3 s."""


class Peer(NamedTuple):
    """Who asks: the IP address that decides about rights (a router's for a routed client), and the client in words."""

    ip: IPv4Address | None
    text: str

    def within(self, networks: Sequence[IPv4Network]) -> bool:
        """Whether it stands in one of these networks."""
        return self.ip is not None and any(self.ip in network for network in networks)


class Element(NamedTuple):
    """One property to write; `value` is None for anything that is not one primitive, `octets` is what was written."""

    key: int
    prop: int
    array_index: int | None
    value: Primitive | None
    priority: int
    octets: bytes = b""


class Writes:
    """Carries out writes as commands; `on_write` is called for each that was accepted."""

    def __init__(
        self,
        store: ObjectStore,
        commands: Commands,
        networks: Sequence[IPv4Network],
        on_write: Callable[[], None],
        on_refused: OnRefused,
    ) -> None:
        self._store = store
        self._commands = commands
        self._networks = networks
        self._on_write, self._on_refused = on_write, on_refused

    async def answer(self, service: int, invoke: int, body: bytes, peer: Peer) -> bytes:
        """The answer to a write; Reject unrecognized-service for any other service."""
        try:
            if service == Service.WRITE_PROPERTY:
                elements = [parse_property(body)]
            elif service == Service.WRITE_PROPERTY_MULTIPLE:
                elements = parse_multiple(body)
            else:
                return reject(invoke, RejectReason.UNRECOGNIZED_SERVICE)
        except Malformed as fault:
            return reject(invoke, fault.reason)
        deadline = asyncio.get_running_loop().time() + ANSWER_WITHIN_S
        for element in elements:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._write(element, peer)
            except (Refusal, CommandRejected, TimeoutError) as refused:
                cause = error_of(refused)
                if isinstance(refused, Refusal):
                    place = f"bacnet object {element.key >> 22},{element.key & 0x3FFFFF} property {element.prop}"
                    self._on_refused(place, Origin("bacnet", peer.text), f"error {cause.cls},{cause.code}")
                if service == Service.WRITE_PROPERTY:
                    return error(service, invoke, cause)
                return bytes((0x50, invoke, service)) + _multiple_error(error_body(cause), element)
        return simple_ack(service, invoke)

    async def _write(self, element: Element, peer: Peer) -> None:
        record = self._store.get(element.key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        if isinstance(record, TrendRecord) and element.prop in record.settable | {Prop.LOG_BUFFER}:
            self._set_trend(record, element, peer)
            return
        record.encode(element.prop, element.array_index)
        if element.prop == Prop.RECIPIENT_LIST and isinstance(record, ClassRecord):
            self._permit(peer)
            self._write_recipients(record, element, peer)
            return
        if element.prop != Prop.PRESENT_VALUE or not isinstance(record, PointRecord) or not record.writable:
            raise Refusal(WRITE_ACCESS_DENIED)
        self._permit(peer)
        if record.commandable and element.priority == RESERVED_SLOT:
            raise Refusal(WRITE_ACCESS_DENIED)
        if element.value is None:
            raise Refusal(INVALID_DATA_TYPE)
        release = element.value.tag == codec.NULL
        if release and not record.commandable:
            return  # accepted without effect since protocol revision 21
        value, origin = None if release else record.accept(element.value), Origin("bacnet", peer.text)
        if record.spec.builtin and record.spec.name == HEARTBEAT and value is not None:
            self._take_heartbeat(record, value, origin)
        else:
            await self._commands.submit([Ask(record.index, value, element.priority)], origin)
        self._on_write()

    def _write_recipients(self, record: ClassRecord, element: Element, peer: Peer) -> None:
        try:
            record.of.write(element.octets, Origin("bacnet", peer.text))
        except Malformed:
            raise Refusal(INVALID_DATA_TYPE) from None
        self._on_write()

    def _set_trend(self, record: TrendRecord, element: Element, peer: Peer) -> None:
        """Stops, starts or empties a Trend Log; what it holds nobody writes."""
        if element.array_index is not None:
            raise Refusal(NOT_AN_ARRAY)
        if element.prop not in record.settable:
            raise Refusal(WRITE_ACCESS_DENIED)
        self._permit(peer)
        if element.value is None:
            raise Refusal(INVALID_DATA_TYPE)
        record.set(element.prop, element.value, peer.text)
        self._on_write()

    def _permit(self, peer: Peer) -> None:
        if not peer.within(self._networks):
            raise Refusal(WRITE_ACCESS_DENIED)

    def _take_heartbeat(self, record: PointRecord, value: Value, origin: Origin) -> None:
        """A sign of life; its object shows it at once."""
        if not isinstance(value, (int, float)) or not 0 <= value <= LARGEST_HEARTBEAT or value != int(value):
            raise Refusal(VALUE_OUT_OF_RANGE)
        self._commands.heartbeat(origin.group, int(value))
        self._store.board.show(record, Sample(value, GOOD, "", 0.0))


def error_of(refused: Refusal | CommandRejected | TimeoutError) -> Error:
    """What a refused write is called in BACnet; one that took too long is an operational problem."""
    if isinstance(refused, Refusal):
        return refused.error
    return COMMAND_ERRORS[refused.reject] if isinstance(refused, CommandRejected) else OPERATIONAL_PROBLEM


def parse_property(body: bytes) -> Element:
    """A WriteProperty request.

    Raises:
        Malformed: it is none, or its priority is not 1..16.
    """
    tags = Tags(body)
    key = tags.key(0)
    element = _element(tags, key, 1)
    tags.finish()
    return element


def parse_multiple(body: bytes) -> list[Element]:
    """A WritePropertyMultiple request.

    Raises:
        Malformed: it is none, or a priority is not 1..16.
    """
    tags = Tags(body)
    elements: list[Element] = []
    while True:
        key = tags.key(0)
        tags.expect(OPEN_1[0])
        while True:
            elements.append(_element(tags, key, 0))
            if tags.at(CLOSE_1[0]):
                break
        tags.expect(CLOSE_1[0])
        if tags.done:
            return elements


def _element(tags: Tags, key: int, first: int) -> Element:
    """Property, array index, value and priority in context tags from `first` on."""
    prop, index = tags.number(first), tags.optional(first + 1)
    octets = tags.constructed(first + 2)
    if not octets and prop != Prop.RECIPIENT_LIST:  # only a list can be written empty
        raise Malformed(RejectReason.MISSING_PARAMETER)
    priority = tags.optional(first + 3)
    if priority is not None and not 1 <= priority <= LOWEST_PRIORITY:
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    written = LOWEST_PRIORITY if priority is None else priority
    return Element(key, prop, index, only_value(octets), written, octets)


def _multiple_error(cause: bytes, element: Element) -> bytes:
    """The body of a WritePropertyMultiple-Error (clause 21)."""
    where = codec.context_object_id(0, element.key) + codec.context_unsigned(1, element.prop)
    if element.array_index is not None:
        where += codec.context_unsigned(2, element.array_index)
    return b"".join((codec.opening(0), cause, codec.closing(0), OPEN_1, where, CLOSE_1))
