"""Which virtual BACnet device everything stands in: none, or one per resource (DESIGN 6.3, 6.5).

Rules of this file: a device is given once and kept in the address book, as a number that counts from the configured
first instance; it is never given to anybody else, also when its owner is forgotten or retired. What lives inside a
resource stands in that resource's device, at blocks in the order in which it was given them. The header and the
built-in `source` resources are the gateway's own device's.
"""

from __future__ import annotations

from gateway.addressing.book import AddressBook, Entry
from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.addressing.placed import Stand
from gateway.core.point import MOST_DEVICES, SOURCE_KIND


class DevicePlan:
    """The virtual devices of a site, given out of its address book.

    Args:
        first: the instance of number 0; None: there are no virtual devices, everything is the gateway's own.
    """

    def __init__(self, book: AddressBook, first: int | None = None) -> None:
        self._book, self._first = book, first
        given = [entry for entry in book.entries if entry.device is not None]
        self._next = max((entry.device for entry in given if entry.device is not None), default=-1) + 1
        self._blocks: dict[tuple[int, str], int] = {}
        for entry in given:
            self._note(entry)

    def stand(self, entry: Entry, outermost: Entry | None) -> Stand | None:
        """Where the objects of an entry's resource stand; given now if it has no place. None: no device is left.

        `outermost` is the entry of the resource in which this one lives, its own if in none; None if that has none.
        """
        if self._first is None or entry.kind == SOURCE_KIND or entry.source == GATEWAY_SOURCE:
            return Stand(None, entry.block)
        if entry.device is None and outermost is not None:
            if outermost.device is None and self._next < MOST_DEVICES:
                self._give(outermost, self._next)
                self._next += 1
            if entry is not outermost and outermost.device is not None:
                self._give(entry, outermost.device)
        return Stand(self._first + entry.device, entry.device_block) if entry.device is not None else None

    def _give(self, entry: Entry, device: int) -> None:
        entry.device, entry.device_block = device, self._blocks.get((device, entry.kind), 0)
        self._note(entry)
        self._book.dirty = True

    def _note(self, entry: Entry) -> None:
        if entry.device is not None:
            key = (entry.device, entry.kind)
            self._blocks[key] = max(self._blocks.get(key, 0), entry.device_block + 1)
