"""The header of an NPDU and the network layer's messages as octets (ASHRAE 135 clauses 6.2 and 6.4); pure."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

VERSION = 1
MESSAGE, DESTINED, SOURCED, ASKS = 0x80, 0x20, 0x08, 0x04
"""Bits of the control octet: a network layer message, DNET is there, SNET is there, a reply is expected."""
ALL_NETWORKS = 0xFFFF
FIRST_HOPS = 254
"""Hop Count of what leaves a virtual device and has passed our router."""


class Message(IntEnum):
    """Network layer messages."""

    WHO_IS_ROUTER = 0
    I_AM_ROUTER = 1
    I_COULD_BE_ROUTER = 2
    REJECT = 3
    ROUTER_BUSY = 4
    ROUTER_AVAILABLE = 5
    INITIALIZE_TABLE = 6
    INITIALIZE_TABLE_ACK = 7
    WHAT_IS_NUMBER = 18
    NUMBER_IS = 19


class Rejected(IntEnum):
    """Why a message is rejected (clause 6.4.4)."""

    NO_WAY = 1
    UNKNOWN_MESSAGE = 3


class Npci(NamedTuple):
    """A header; `dnet` and `snet` are 0 when they are not there, `at` is where the APDU or the message begins."""

    control: int
    dnet: int
    dadr: bytes
    snet: int
    sadr: bytes
    hops: int
    at: int


def parse(npdu: bytes) -> Npci | None:
    """The header, None if it is malformed."""
    if len(npdu) < 3 or npdu[0] != VERSION:
        return None
    control, at = npdu[1], 2
    dnet = snet = hops = 0
    dadr = sadr = b""
    if control & DESTINED:
        dnet, dadr, at = _address(npdu, at)
        if dnet == 0:
            return None
    if control & SOURCED:
        snet, sadr, at = _address(npdu, at)
        if snet in (0, ALL_NETWORKS) or not sadr:
            return None
    if control & DESTINED:
        hops = npdu[at] if at < len(npdu) else 0
        at += 1
    return Npci(control, dnet, dadr, snet, sadr, hops, at) if at < len(npdu) else None


def _address(npdu: bytes, at: int) -> tuple[int, bytes, int]:
    """Network number and MAC address at an offset, and where they end; number 0 if they are cut."""
    end = at + 3 + (npdu[at + 2] if at + 2 < len(npdu) else 0)
    if end > len(npdu):
        return 0, b"", len(npdu)
    return int.from_bytes(npdu[at : at + 2], "big"), npdu[at + 3 : end], end


def header(control: int, dnet: int = 0, dadr: bytes = b"", source: bytes = b"") -> bytes:
    """A header; `source` is SNET, SLEN and SADR as `address` makes them."""
    control |= (DESTINED if dnet else 0) | (SOURCED if source else 0)
    there = address(dnet, dadr) if dnet else b""
    return bytes((VERSION, control)) + there + source + (bytes((FIRST_HOPS,)) if dnet else b"")


def address(network: int, mac: bytes) -> bytes:
    """Network number, length and MAC address."""
    return network.to_bytes(2, "big") + bytes((len(mac),)) + mac


def message(kind: Message, body: bytes = b"", dnet: int = 0, dadr: bytes = b"") -> bytes:
    """A whole network layer message."""
    return header(MESSAGE, dnet, dadr) + bytes((kind,)) + body
