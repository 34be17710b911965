"""Reads that were answered before: a BMS asks for the same ranges in a circle, so they are judged once.

Rules of this file: what is kept is where an answer lies and never its bytes; it counts only while no register of its
unit has changed its state; reads that depend on who asks are not kept.
"""

from __future__ import annotations

from struct import Struct

from gateway.servers.modbus.image import Image

REQUEST = Struct(">HHBBHH")
"""A whole read without its transaction: protocol, length, unit, function, address, quantity."""
ANSWER = Struct(">HHBBB")
"""Protocol, length, unit, function and byte count of its answer."""
FRAME_BYTES = REQUEST.size + 2
MOST = 4096

Kept = tuple[bytes, Image, int, int, int]
"""The answer's head, the image and its layout then, and the range of the answer's bytes in it."""


class Reads:
    """What all clients with one gap policy have read; at most MOST different requests."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[bytes, Kept] = {}

    def clear(self) -> None:
        """There are other images now."""
        self._kept.clear()

    def again(self, frame: bytes) -> bytes | None:
        """The answer to a whole frame that was answered before, None when it has to be judged."""
        kept = self._kept.get(frame[2:])
        if kept is None:
            return None
        head, image, layout, low, high = kept
        if image.layout != layout:
            return None
        return frame[:2] + head + image.data[low:high]

    def keep(self, image: Image, unit: int, function: int, address: int, count: int) -> None:
        """Remembers a read (FC3 or FC4) that was answered with a range of `image`."""
        if len(self._kept) >= MOST:
            self._kept.clear()
        head = ANSWER.pack(0, 3 + 2 * count, unit, function, 2 * count)
        where = (address * 2, (address + count) * 2)
        self._kept[REQUEST.pack(0, 6, unit, function, address, count)] = (head, image, image.layout, *where)
