"""The map of a site that is not running: what the address book and the `expect` lists already say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.addressing import AddressBook, PlacedPoint, map_hash
from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.app.clock import SystemClock
from gateway.app.load import Site
from gateway.core.point import SOURCE_KIND
from gateway.engine.inventory import Inventory
from gateway.engine.table import PointTable
from gateway.export import point_row
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class OfflineMap:
    """Everything a gateway would serve before a product answered; `placed` is by index in the table."""

    site: Site
    book: AddressBook
    table: PointTable
    inventory: Inventory
    placed: dict[int, PlacedPoint]

    def map_hash(self) -> int:
        """64 bits that change when any address changes."""
        return map_hash({point.name: point for point in self.placed.values()})


def offline_map(site: Site) -> OfflineMap:
    """Places everything that is known; nothing is written.

    Raises:
        ConfigError: the address book cannot be read.
    """
    clock = SystemClock()
    table = PointTable(clock)
    placed: dict[int, PlacedPoint] = {}
    saved = Store(site.state_dir).load_addresses()
    book = AddressBook(saved.entries, site.pools, saved.certificates)
    for source in site.config.sources:
        book.reserve(source.name, SOURCE_KIND, source.name, 1 << 20)
    orders = site.orders
    inventory = Inventory(
        table,
        book,
        clock,
        word_order=orders[0],
        byte_order=orders[1],
        units=site.unit_plan(book),
        devices=site.device_plan(book),
        on_placed=lambda _resource, points: placed.update(points),
        on_dirty=lambda: None,
    )
    inventory.single(GATEWAY_SOURCE, site.header(book.entries))
    for source in site.config.sources:
        for kind in site.kinds(source.name):
            if kind.list is None and kind.within is None:
                inventory.single(source.name, kind)
            else:
                inventory.restore(source.name, kind, source.expect.get(kind.name, ()), source.exclude)
                inventory.restore_children(source.name, kind)
    return OfflineMap(site, book, table, inventory, placed)


def offline_points(site: Site) -> list[dict[str, Any]]:
    """Rows of `points --json` with null values; nothing is written.

    Raises:
        ConfigError: the address book cannot be read.
    """
    found, modbus, bacnet = offline_map(site), site.config.modbus, site.config.bacnet
    device = bacnet.device.instance if bacnet else None
    names = found.table.names
    rows = [point_row(found.placed[i], names[i], device, None, 0.0) for i in range(len(found.table))]
    return rows if modbus else [{**row, "modbus": None} for row in rows]
