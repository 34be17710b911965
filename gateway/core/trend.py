"""A trend: which values of a point are kept, and what a kept record says; pure.

Words and record kinds follow ASHRAE 135 clause 12.25, so that a BACnet Trend Log shows a history as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.core.value import BAD, Quality

DEFAULT_BUFFER = 1000
MOST_BUFFER = 100_000
LEAST_EVERY_S, MOST_EVERY_S = 1.0, 86400.0
LARGEST_SEQUENCE = 0xFFFFFFFF
"""Sequence numbers are 32 bits in BACnet; one record a second reaches this after 136 years."""


@dataclass(frozen=True, slots=True)
class TrendSpec:
    """What is kept of a point: its value at each multiple of `every_s` of local time, or (None) each change of it.

    `buffer` is how many records are kept, the oldest goes first. `log_at` is the Trend Log's offset in the block's
    BACnet instances, beside the object that is number `object` of the point; None: it has no Trend Log.
    """

    every_s: float | None
    buffer: int = DEFAULT_BUFFER
    log_at: int | None = None
    object: int = 0


class Note(IntEnum):
    """What a record tells: a value, or why there may be values missing around it."""

    VALUE = 0
    INTERRUPTED = 1
    TIME_CHANGE = 2
    PURGED = 3
    STOPPED = 4
    STARTED = 5


class Recorded(NamedTuple):
    """One record: sequence number (1 the first there ever was), Unix time in whole hundredths, value and quality.

    `value` is None for a sample that could not be used, and for a note, but the seconds of a TIME_CHANGE.
    """

    seq: int
    at: float
    value: float | bool | None
    quality: Quality = BAD
    note: Note = Note.VALUE
