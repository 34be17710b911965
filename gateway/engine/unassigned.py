"""How many resources have no address of their own, by source and kind: no block was left, no unit, no device."""

from __future__ import annotations

import structlog

MOST_COUNTED = 10_000
log = structlog.get_logger("inventory")


class Unassigned:
    """The counts that alarms and `status` show; `unitless` and `deviceless` are those without a unit or a device.

    `tell` brings them up to date, with one line when one has grown.
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.unitless: dict[tuple[str, str], int] = {}
        self.deviceless: dict[tuple[str, str], int] = {}
        self._blockless: dict[tuple[str, str], int] = {}
        self._inner: dict[tuple[str, str], set[str]] = {}

    def listed(self, source: str, kind: str, count: int) -> None:
        """So many of the newest list answer found the region full."""
        self._blockless[source, kind] = count
        self.tell(source, kind)

    def inner(self, source: str, kind: str, name: str) -> None:
        """One that lives inside another found the region full; it comes again with every poll, and counts once."""
        names = self._inner.setdefault((source, kind), set())
        if len(names) < MOST_COUNTED:
            names.add(name)
        self.listed(source, kind, len(names))

    def unit(self, source: str, kind: str) -> None:
        """One has a block, and every unit was taken; told with the others that the caller adds."""
        self.unitless[source, kind] = self.unitless.get((source, kind), 0) + 1

    def forget(self, source: str) -> None:
        """A source is laid out anew, or there is none any more: it is counted again."""
        for counts in (self.counts, self.unitless, self.deviceless, self._blockless, self._inner):
            for key in [key for key in counts if key[0] == source]:
                del counts[key]

    def device(self, source: str, kind: str) -> None:
        """One has a block, and every virtual BACnet device was taken."""
        self.deviceless[source, kind] = self.deviceless.get((source, kind), 0) + 1

    def tell(self, source: str, kind: str) -> None:
        key = (source, kind)
        count = sum(each.get(key, 0) for each in (self._blockless, self.unitless, self.deviceless))
        if count > self.counts.get(key, 0):
            log.warning("addresses.full", source=source, kind=kind, without_address=count)
        self.counts[key] = count
