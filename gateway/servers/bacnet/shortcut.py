"""Headers of confirmed requests, which of them take the short way, and the datagrams that answer those.

ASHRAE 135 annex J, clauses 6.2 and 20.1.

Rules of this file: whatever is not a plain read to the letter takes the long way, which answers the same.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gateway.servers.bacnet.standard import MAX_APDU

APDU_LIMITS = (50, 128, 206, 480, 1024, 1476)
"""Octets of the longest APDU that a client takes, by its code."""
PLAIN_NPDU = 0x07
"""NPCI control bits that need no routing: expecting reply and priority."""
PLAIN = frozenset(bytes((1, control)) for control in range(PLAIN_NPDU + 1))
"""NPCIs without an address."""
PLAIN_AT = 6
"""Where the APDU begins behind one of them."""
LIMITS = {
    bytes((kind, segments << 4 | code)): min(limit, MAX_APDU)
    for kind in (0x00, 0x02)
    for segments in range(8)
    for code, limit in enumerate(APDU_LIMITS)
}
"""The first two octets of an unsegmented confirmed request to the longest answer that its client takes."""
_frame = struct.Struct(">2sH").pack


def unicast(npci: bytes, apdu: bytes) -> bytes:
    """An Original-Unicast-NPDU."""
    return _frame(b"\x81\x0a", 4 + len(npci) + len(apdu)) + npci + apdu


class Head(NamedTuple):
    """Header of a confirmed request; `limit` is the client's longest APDU (0: reserved), `service` -1 if missing."""

    segmented: bool
    limit: int
    invoke: int
    service: int
    body: bytes


def head_of(apdu: bytes) -> Head | None:
    """The header, None if there is not even an invoke id to answer to."""
    if len(apdu) < 3:
        return None
    segmented = bool(apdu[0] & 0x08)
    at = 5 if segmented else 3
    size = apdu[1] & 0x0F
    limit = APDU_LIMITS[size] if size < len(APDU_LIMITS) else 0
    service = apdu[at] if len(apdu) > at else -1
    return Head(segmented, min(limit, MAX_APDU), apdu[2], service, apdu[at + 1 :])
