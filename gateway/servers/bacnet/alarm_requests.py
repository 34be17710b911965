"""What clients ask and say of alarms: AcknowledgeAlarm, the two summaries, and changes of a Recipient_List.

ASHRAE 135 clauses 13.5, 13.10, 13.12, 15.1 and 15.2.

Rules of this file: who may write may acknowledge, nobody else; an acknowledgement is answered once it is on the disk; a
summary fits one APDU of the client, which asks on for what did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from typing import NamedTuple

from gateway.core.alarm import EventState, transition_to
from gateway.core.errors import AcknowledgedTooLate, AcknowledgeRefused
from gateway.core.priority import Origin
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.ports import OnRefused
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.alarm_properties import NOTIFY_ALARM, time_stamp
from gateway.servers.bacnet.notification_classes import ClassRecord, NotificationClasses
from gateway.servers.bacnet.plans import error_body
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.services import complex_ack, error, reject, simple_ack
from gateway.servers.bacnet.standard import (
    INVALID_EVENT_STATE,
    INVALID_TIME_STAMP,
    NO_ALARM_CONFIGURED,
    PROPERTY_IS_NOT_A_LIST,
    SERVICE_REQUEST_DENIED,
    UNKNOWN_OBJECT,
    WRITE_ACCESS_DENIED,
    Error,
    Prop,
    Refusal,
    Service,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags, decode_text
from gateway.servers.bacnet.writes import Peer

LISTS = (Service.ADD_LIST_ELEMENT, Service.REMOVE_LIST_ELEMENT)
SERVED = (Service.ACKNOWLEDGE_ALARM, Service.GET_ALARM_SUMMARY, Service.GET_EVENT_INFORMATION, *LISTS)
LONGEST_NAME = 80
"""Characters of an acknowledgement's source that are kept."""
WEEKDAY = 5
"""Where the day of the week stands in a time stamp of date and time."""
SPARE = 8
"""Octets of a summary beside its entries: APDU header, tags of the list, and More_Events."""


class Acknowledgement(NamedTuple):
    """An AcknowledgeAlarm request; `stamp` is the BACnetTimeStamp of the change it is about."""

    key: int
    state: int
    stamp: bytes
    source: str


class AlarmRequests:
    """Answers the services of one device.

    Args:
        store: its objects.
        desk: the alarms.
        classes: priorities.
        networks: clients that may acknowledge and change lists.
        on_refused: told of who may not.
    """

    def __init__(
        self,
        store: ObjectStore,
        desk: PointAlarms,
        classes: NotificationClasses,
        networks: Sequence[IPv4Network],
        on_refused: OnRefused,
    ) -> None:
        self._store, self._desk, self._classes = store, desk, classes
        self._networks, self._on_refused = networks, on_refused

    async def answer(self, service: int, invoke: int, body: bytes, peer: Peer, limit: int) -> bytes | None:
        """The answer, None if the service is none of these; `limit` is the client's longest APDU."""
        if service not in SERVED:
            return None
        try:
            if service == Service.ACKNOWLEDGE_ALARM:
                await self._acknowledge(parse_acknowledgement(body), peer)
            elif service in LISTS:
                return self._change_list(service, invoke, body, peer)
            else:
                return complex_ack(service, invoke, self._summary(service, body, limit))
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            return error(service, invoke, refusal.error)
        return simple_ack(service, invoke)

    # -- acknowledging -------------------------------------------------------------------------------------------

    async def _acknowledge(self, asked: Acknowledgement, peer: Peer) -> None:
        record = self._store.get(asked.key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        if not isinstance(record, PointRecord) or record.alarm is None:
            raise Refusal(NO_ALARM_CONFIGURED)
        origin = Origin("bacnet", peer.text, asked.source)
        self._permit(peer, origin, record.name, SERVICE_REQUEST_DENIED)
        if asked.state not in tuple(EventState):
            raise Refusal(INVALID_EVENT_STATE)
        alarm, state = record.alarm.alarm, EventState(asked.state)
        at = alarm.times[transition_to(state)]
        try:
            known = at if at is not None and _same(asked.stamp, time_stamp(at)) else 0.0
            await self._desk.acknowledge(alarm, state, known, origin)
        except AcknowledgedTooLate:
            raise Refusal(INVALID_TIME_STAMP) from None
        except AcknowledgeRefused:
            raise Refusal(INVALID_EVENT_STATE) from None

    def _permit(self, peer: Peer, origin: Origin, place: str, cause: Error) -> None:
        if not peer.within(self._networks):
            self._on_refused(f"bacnet {place}", origin, f"error {cause.cls},{cause.code}")
            raise Refusal(cause)

    # -- summaries -----------------------------------------------------------------------------------------------

    def _summary(self, service: int, body: bytes, limit: int) -> bytes:
        tags = Tags(body)
        after = -1
        if service == Service.GET_EVENT_INFORMATION and tags.has(0):
            after = tags.key(0)
        tags.finish()
        found = sorted(self._open(after), key=lambda record: record.key)
        if service == Service.GET_ALARM_SUMMARY:
            return b"".join(map(_alarm_summary, found))
        entries: list[bytes] = []
        left = limit - SPARE
        for record in found:
            entry = self._event_summary(record)
            left -= len(entry)
            if left < 0 and entries:  # the first one goes in segments if need be, or a small client asks for ever
                break
            entries.append(entry)
        more = codec.context_boolean(1, len(entries) < len(found))
        return b"".join((codec.opening(0), *entries, codec.closing(0), more))

    def _open(self, after: int) -> list[PointRecord]:
        """Objects of this device that are not normal or not acknowledged, with identifiers beyond `after`."""
        mine = self._store.device.key
        found = (self._store.board.reporting(alarm.index) for alarm in self._desk.open)
        return [record for record in found if record is not None and record.uid >> 32 == mine and record.key > after]

    def _event_summary(self, record: PointRecord) -> bytes:
        shown = record.alarm
        assert shown is not None  # noqa: S101  # `reporting` gives no others
        alarm, of = shown.alarm, self._classes.get(shown.alarm.notify)
        priorities = of.config.priority if of is not None else ()
        return b"".join(
            (
                codec.context_object_id(0, record.key),
                codec.context_unsigned(1, alarm.state),
                codec.in_context(2, codec.bits(alarm.acked)),
                codec.opening(3),
                *map(time_stamp, alarm.times),
                codec.closing(3),
                codec.context_unsigned(4, NOTIFY_ALARM),
                codec.in_context(5, codec.bits(alarm.enabled)),
                codec.opening(6),
                *map(codec.unsigned, priorities),
                codec.closing(6),
            )
        )

    # -- Recipient_List ------------------------------------------------------------------------------------------

    def _change_list(self, service: int, invoke: int, body: bytes, peer: Peer) -> bytes:
        tags = Tags(body)
        key, prop, index = tags.key(0), tags.number(1), tags.optional(2)
        data = tags.constructed(3)
        tags.finish()
        try:
            self._change(service, key, prop, index, data, peer)
        except Refusal as refusal:
            # ChangeList-Error (clause 21); the request is judged as a whole, 0 says that no single element is at fault.
            cause = codec.opening(0) + error_body(refusal.error) + codec.closing(0)
            return bytes((0x50, invoke, service)) + cause + codec.context_unsigned(1, 0)
        return simple_ack(service, invoke)

    def _change(self, service: int, key: int, prop: int, index: int | None, data: bytes, peer: Peer) -> None:
        record = self._store.get(key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        record.encode(prop, index)
        if not isinstance(record, ClassRecord) or prop != Prop.RECIPIENT_LIST:
            raise Refusal(WRITE_ACCESS_DENIED if prop in record.arrays else PROPERTY_IS_NOT_A_LIST)
        origin = Origin("bacnet", peer.text)
        self._permit(peer, origin, f"{record.name} Recipient_List", WRITE_ACCESS_DENIED)
        change: Callable[[bytes, Origin], None] = record.of.add
        if service == Service.REMOVE_LIST_ELEMENT:
            change = record.of.remove
        change(data, origin)


def _alarm_summary(record: PointRecord) -> bytes:
    """The entry of a GetAlarmSummary-ACK, nothing for an object that is normal again."""
    assert record.alarm is not None  # noqa: S101  # `reporting` gives no others
    alarm = record.alarm.alarm
    if alarm.state is EventState.NORMAL:
        return b""
    return codec.object_id(record.key) + codec.enumerated(alarm.state) + codec.bits(alarm.acked)


def parse_acknowledgement(body: bytes) -> Acknowledgement:
    """An AcknowledgeAlarm request.

    Raises:
        Malformed: it is none.
    """
    tags = Tags(body)
    tags.number(0)
    key, state = tags.key(1), tags.number(2)
    stamp = _checked(tags.constructed(3))
    text = decode_text(tags.context(4, 1, 1000))
    _checked(tags.constructed(5))
    tags.finish()
    if text is None:
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    shown = "".join(char if char.isprintable() else "_" for char in text)
    return Acknowledgement(key, state, stamp, shown[:LONGEST_NAME])


def _checked(stamp: bytes) -> bytes:
    """A BACnetTimeStamp as it is.

    Raises:
        Malformed: it is none.
    """
    tags = Tags(stamp)
    if tags.has(0):
        tags.context(0, 4, 4)
    elif tags.has(1):
        tags.number(1)
    else:
        tags.expect(codec.opening(2)[0])
        if len(tags.application(codec.DATE)) != 4 or len(tags.application(codec.TIME)) != 4:
            raise Malformed(RejectReason.INVALID_TAG)
        tags.expect(codec.closing(2)[0])
    tags.finish()
    return stamp


def _same(stamp: bytes, other: bytes) -> bool:
    """Whether two are the same moment; the day of the week says nothing more, and some clients do not keep it."""
    return stamp[:WEEKDAY] + stamp[WEEKDAY + 1 :] == other[:WEEKDAY] + other[WEEKDAY + 1 :]
