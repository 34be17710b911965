"""ReadRange of Trend Logs by position, sequence number or time, and of other lists by position (clause 15.8).

Rules of this file: an answer holds what fits one APDU of the client, the items nearest to the one it named, and says
MORE_ITEMS; records come oldest first; what is asked from an item that there is not, is empty.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.services import complex_ack, error, reject
from gateway.servers.bacnet.standard import (
    LIST_ITEM_NOT_NUMBERED,
    LIST_ITEM_NOT_TIMESTAMPED,
    NOT_AN_ARRAY,
    OPERATIONAL_PROBLEM,
    PROPERTY_IS_NOT_A_LIST,
    UNKNOWN_OBJECT,
    UNKNOWN_PROPERTY,
    Refusal,
)
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags
from gateway.servers.bacnet.trend_log import SMALLEST, TrendRecord

ANSWER_WITHIN_S = 1.8
BY_POSITION, BY_SEQUENCE, BY_TIME = 3, 6, 7
"""The context tags of the ranges."""
OPEN_5, CLOSE_5 = codec.opening(5), codec.closing(5)
ACK_HEAD = 3
UNSPECIFIED = 255
Item = TypeVar("Item")


class Request(NamedTuple):
    """What is asked: `by` is None for everything, `reference` an index, a sequence number, or Unix time.

    `wanted` records from there on, or (negative) up to there.
    """

    key: int
    prop: int
    array_index: int | None
    by: int | None = None
    reference: float = 0
    wanted: int = 0


class Range(NamedTuple):
    """Sequence numbers, both included; `backward`: the last one is what was named."""

    low: int
    high: int
    backward: bool = False


NOTHING = Range(1, 0)


class ReadRanges:
    """Answers ReadRange for the objects of one device."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def answer(self, service: int, invoke: int, body: bytes, limit: int) -> bytes:
        """The answer to a ReadRange; `limit` is the client's longest APDU."""
        try:
            request = parse(body)
            record = self._judge(request)
            if isinstance(record, TrendRecord):
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    data = await self._read(request, record, limit - ACK_HEAD)
            else:
                data = read_list(request, record, limit - ACK_HEAD)
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            return error(service, invoke, refusal.error)
        except TimeoutError:
            return error(service, invoke, OPERATIONAL_PROBLEM)
        return complex_ack(service, invoke, data)

    def _judge(self, request: Request) -> Record:
        """The object whose list is to be read.

        Raises:
            Refusal: there is no such object or property, or it is no list.
        """
        record = self._store.get(request.key)
        if record is None:
            raise Refusal(UNKNOWN_OBJECT)
        if request.prop not in record.shape.known:
            raise Refusal(UNKNOWN_PROPERTY)
        if request.prop not in record.lists:
            raise Refusal(PROPERTY_IS_NOT_A_LIST)
        if request.array_index is not None:
            raise Refusal(NOT_AN_ARRAY)
        return record

    async def _read(self, request: Request, record: TrendRecord, room: int) -> bytes:
        """ReadRange-ACK."""
        log = record.log
        first, last = log.first, log.last
        low, high, backward = await self._range(request, record)
        head = _head(request, record)
        if low > high:
            return head + _tail(_flags(), b"", 0, None)
        room -= len(head) + LONGEST_TAIL
        most = max(1, room // SMALLEST)
        near = Range(max(low, high - most + 1), high) if backward else Range(low, min(high, low + most - 1))
        found = await record.history.records(log, near.low, near.high)
        if not found:
            raise Refusal(OPERATIONAL_PROBLEM)
        chosen, octets = _fitting(found, record.octets, room, backward=backward)
        begin, end = chosen[0].seq, chosen[-1].seq
        flags = _flags(first=begin == first, last=end == last, more=len(chosen) < high - low + 1)
        return head + _tail(flags, octets, len(chosen), begin if request.by in (BY_SEQUENCE, BY_TIME) else None)

    @staticmethod
    async def _range(request: Request, record: TrendRecord) -> Range:
        """What was asked for, of what there is."""
        wanted, log = request.wanted, record.log
        if request.by is None:
            return Range(log.first, log.last)
        if request.by == BY_TIME:
            found = await record.history.seek(log, request.reference, newer=wanted > 0)
            named = 0 if found is None else found
        else:
            named = int(request.reference) + (log.first - 1 if request.by == BY_POSITION else 0)
        return _among(log.first, log.last, named, wanted)


def read_list(request: Request, record: Record, room: int) -> bytes:
    """ReadRange-ACK of a list whose items have neither number nor time.

    Raises:
        Refusal: it is asked for by one of these.
    """
    if request.by in (BY_SEQUENCE, BY_TIME):
        raise Refusal(LIST_ITEM_NOT_NUMBERED if request.by == BY_SEQUENCE else LIST_ITEM_NOT_TIMESTAMPED)
    last, item = record.items(request.prop)
    whole = request.by is None
    low, high, backward = Range(1, last) if whole else _among(1, last, int(request.reference), request.wanted)
    head = _head(request, record)
    if low > high:
        return head + _tail(_flags(), b"", 0, None)
    room -= len(head) + LONGEST_TAIL
    chosen, octets = _fitting(range(low, high + 1), lambda at: item(at - 1), room, backward=backward)
    flags = _flags(first=chosen[0] == 1, last=chosen[-1] == last, more=len(chosen) < high - low + 1)
    return head + _tail(flags, octets, len(chosen), None)


def _among(first: int, last: int, named: int, wanted: int) -> Range:
    """So many of what there is from (or, negative, up to) the named one."""
    if not first <= named <= last:
        return NOTHING
    if wanted > 0:
        return Range(named, min(named + wanted - 1, last))
    return Range(max(named + wanted + 1, first), named, backward=True)


def _fitting(
    found: Sequence[Item], encode: Callable[[Item], bytes], room: int, *, backward: bool
) -> tuple[list[Item], bytes]:
    """As many items as fit, from the named one on but at least that one; in the list's order."""
    chosen: list[tuple[Item, bytes]] = []
    for each in reversed(found) if backward else found:
        octets = encode(each)
        room -= len(octets)
        if room < 0 and chosen:
            break
        chosen.append((each, octets))
    if backward:
        chosen.reverse()
    return [each for each, _ in chosen], b"".join(octets for _, octets in chosen)


def _head(request: Request, record: Record) -> bytes:
    """Object and property of a ReadRange-ACK."""
    return codec.context_object_id(0, record.key) + codec.context_unsigned(1, request.prop)


def _flags(*, first: bool = False, last: bool = False, more: bool = False) -> bytes:
    """BACnetResultFlags."""
    return codec.in_context(3, codec.bits((first, last, more)))


def _tail(flags: bytes, octets: bytes, count: int, sequence: int | None) -> bytes:
    """What follows the property: flags, count, records, and the number of the first one."""
    number = b"" if sequence is None else codec.context_unsigned(6, sequence)
    return b"".join((flags, codec.context_unsigned(4, count), OPEN_5, octets, CLOSE_5, number))


LONGEST_TAIL = len(_tail(_flags(), b"", 0xFFFF, 0xFFFFFFFF))


def parse(body: bytes) -> Request:
    """A ReadRange request.

    Raises:
        Malformed: it is none, its count is 0, or its time is not a whole one.
    """
    tags = Tags(body)
    key, prop, index = tags.key(0), tags.number(1), tags.optional(2)
    if tags.done:
        return Request(key, prop, index)
    by = next((tag for tag in (BY_POSITION, BY_SEQUENCE, BY_TIME) if tags.at(codec.opening(tag)[0])), None)
    if by is None:
        raise Malformed(RejectReason.INVALID_TAG)
    tags.expect(codec.opening(by)[0])
    reference = _moment(tags) if by == BY_TIME else float(_unsigned(tags))
    data = tags.application(codec.INTEGER)
    tags.expect(codec.closing(by)[0])
    tags.finish()
    count = int.from_bytes(data, "big", signed=True)
    if not data or not count:
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    return Request(key, prop, index, by, reference, count)


def _unsigned(tags: Tags) -> int:
    data = tags.application(codec.UNSIGNED)
    if not 1 <= len(data) <= 4:
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    return int.from_bytes(data, "big")


def _moment(tags: Tags) -> float:
    """Unix time of a local BACnetDateTime; the day of the week does not matter."""
    day, clock = tags.application(codec.DATE), tags.application(codec.TIME)
    if len(day) != 4 or len(clock) != 4:
        raise Malformed(RejectReason.INVALID_TAG)
    if UNSPECIFIED in (*day[:3], *clock) or not (1 <= day[1] <= 12 and 1 <= day[2] <= 31):
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 59 or clock[3] > 99:
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
    try:
        seconds = time.mktime((1900 + day[0], day[1], day[2], clock[0], clock[1], clock[2], 0, 0, -1))
    except OverflowError:  # the one second before 1970 that mktime takes for a failure
        raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE) from None
    return seconds + clock[3] / 100
