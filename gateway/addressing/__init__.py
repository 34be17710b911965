"""Names to addresses: the only place where a register or a BACnet instance is given out (pure).

Rules of this room: a block, once given to a (source, kind, name), is never moved and never given to another name;
receipts, status words and header registers are placed here beside the points, as points.
"""

from gateway.addressing.book import AddressBook, Assignment, Entry, Match, nameless, parent_of
from gateway.addressing.builtin import gateway_kind, source_kind
from gateway.addressing.devices import DevicePlan
from gateway.addressing.layout import Claims, expand, map_hash, overlaps, place, region_faults, spans_of
from gateway.addressing.placed import (
    PlacedDevice,
    PlacedObject,
    PlacedPoint,
    PlacedRegister,
    PlacedTrend,
    Seat,
    Span,
    Stand,
)
from gateway.addressing.units import LAST_UNIT, UnitMode, UnitPlan

__all__ = [
    "LAST_UNIT",
    "AddressBook",
    "Assignment",
    "Claims",
    "DevicePlan",
    "Entry",
    "Match",
    "PlacedDevice",
    "PlacedObject",
    "PlacedPoint",
    "PlacedRegister",
    "PlacedTrend",
    "Seat",
    "Span",
    "Stand",
    "UnitMode",
    "UnitPlan",
    "expand",
    "gateway_kind",
    "map_hash",
    "nameless",
    "overlaps",
    "parent_of",
    "place",
    "region_faults",
    "source_kind",
    "spans_of",
]
