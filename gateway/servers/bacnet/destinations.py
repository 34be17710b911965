"""Who is told of alarms: BACnetDestination both ways, and when one wants to be told (ASHRAE 135 clauses 12.21 and 21).

Rules of this file: pure; what is kept is what was written, octet for octet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address

from gateway.core.alarm import Transition
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.standard import (
    INSTANCE_BITS,
    OBJECT_TYPES,
    VALUE_OUT_OF_RANGE,
    WILDCARD,
    Refusal,
    object_key,
)
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags

Clock = tuple[int, int, int, int]
"""Hour, minute, second, hundredths; 255 is any."""
WHOLE_DAY: tuple[Clock, Clock] = ((0, 0, 0, 0), (23, 59, 59, 99))
EVERY_DAY = (True,) * 7
ALL_TRANSITIONS = (True, True, True)
LOCAL, EVERYWHERE = 0, 0xFFFF
"""Network numbers: this network, and all of them."""
IP_MAC = 6
ANY = 255


@dataclass(frozen=True)
class Destination:
    """One entry of a Recipient_List.

    `device` is an instance, or None: then `network` and `mac` are an address (no `mac`: a broadcast there). `days`
    begin with Monday, `hours` are local time, `transitions` are by Transition.
    """

    device: int | None = None
    network: int = LOCAL
    mac: bytes = b""
    process: int = 1
    confirmed: bool = False
    days: tuple[bool, ...] = EVERY_DAY
    hours: tuple[Clock, Clock] = WHOLE_DAY
    transitions: tuple[bool, ...] = ALL_TRANSITIONS

    def __str__(self) -> str:
        if self.device is not None:
            return f"device {self.device}"
        if self.network == LOCAL and len(self.mac) == IP_MAC:
            return f"{IPv4Address(self.mac[:4])}:{int.from_bytes(self.mac[4:], 'big')}"
        if not self.mac:
            return "everybody" if self.network == EVERYWHERE else f"everybody in network {self.network}"
        return f"{self.network}:{self.mac.hex()}"

    @property
    def is_broadcast(self) -> bool:
        """Whether it is many, who cannot acknowledge."""
        return self.device is None and not self.mac

    def wants(self, transition: Transition, at: float) -> bool:
        """Whether it is to be told of a change of this kind at this (Unix) time."""
        local = time.localtime(at)
        clock = (local.tm_hour, local.tm_min, local.tm_sec, int(round(at * 100) % 100))
        begin, end = self.hours
        from_ = tuple(0 if field == ANY else field for field in begin)
        until = tuple(most if field == ANY else field for field, most in zip(end, WHOLE_DAY[1], strict=True))
        return self.transitions[transition] and self.days[local.tm_wday] and from_ <= clock <= until

    @cached_property
    def octets(self) -> bytes:
        """Its BACnetDestination."""
        if self.device is not None:
            recipient = codec.context_object_id(0, object_key("device", self.device))
        else:
            recipient = b"\x1e%b%b\x1f" % (codec.unsigned(self.network), codec.octets(self.mac))
        return b"".join(
            (
                codec.bits(self.days),
                codec.time(*self.hours[0]),
                codec.time(*self.hours[1]),
                recipient,
                codec.unsigned(self.process),
                codec.boolean(self.confirmed),
                codec.bits(self.transitions),
            )
        )


def decode(data: bytes) -> list[Destination]:
    """A list of BACnetDestination.

    Raises:
        Malformed: it is none.
        Refusal: one of them is nobody who could be told.
    """
    tags = Tags(data)
    found: list[Destination] = []
    while not tags.done:
        days = _flags(tags, 7)
        hours = (_clock(tags), _clock(tags))
        device, network, mac = _recipient(tags)
        process = int.from_bytes(tags.application(codec.UNSIGNED), "big")
        confirmed = tags.application(codec.BOOLEAN) == b"\x01"
        made = Destination(device, network, mac, process, confirmed, days, hours, _flags(tags, 3))
        if process > 0xFFFFFFFF or not _reachable(made):
            raise Refusal(VALUE_OUT_OF_RANGE)
        found.append(made)
    return found


def _flags(tags: Tags, count: int) -> tuple[bool, ...]:
    """A bit string of so many bits."""
    data = tags.application(codec.BITS)
    if len(data) != 2 or data[0] != 8 - count:
        raise Malformed(RejectReason.INVALID_TAG)
    return tuple(bool(data[1] & 0x80 >> bit) for bit in range(count))


def _clock(tags: Tags) -> Clock:
    data = tags.application(codec.TIME)
    if len(data) != 4:
        raise Malformed(RejectReason.INVALID_TAG)
    if any(field > most and field != ANY for field, most in zip(data, WHOLE_DAY[1], strict=True)):
        raise Refusal(VALUE_OUT_OF_RANGE)
    return (data[0], data[1], data[2], data[3])


def _recipient(tags: Tags) -> tuple[int | None, int, bytes]:
    if tags.has(0):
        key = tags.key(0)
        if key >> INSTANCE_BITS != OBJECT_TYPES["device"] or key & WILDCARD == WILDCARD:
            raise Refusal(VALUE_OUT_OF_RANGE)
        return key & WILDCARD, LOCAL, b""
    tags.expect(codec.opening(1)[0])
    network, mac = int.from_bytes(tags.application(codec.UNSIGNED), "big"), tags.application(codec.OCTETS)
    tags.expect(codec.closing(1)[0])
    return None, network, mac


def _reachable(destination: Destination) -> bool:
    """Whether it can be sent to at all; nobody acknowledges a broadcast."""
    if destination.device is not None:
        return True
    if destination.network > EVERYWHERE or (destination.is_broadcast and destination.confirmed):
        return False
    if destination.network == EVERYWHERE:
        return destination.is_broadcast
    return destination.is_broadcast or destination.network != LOCAL or len(destination.mac) == IP_MAC
