"""The point list of a site that is not running: what the address book and the `expect` lists already say."""

from __future__ import annotations

from typing import Any

from gateway.addressing import AddressBook, PlacedPoint
from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.app.clock import SystemClock
from gateway.app.load import Site
from gateway.core.point import SOURCE_KIND
from gateway.engine.inventory import Inventory
from gateway.engine.table import PointTable
from gateway.export import point_row
from gateway.store import Store


def offline_points(site: Site) -> list[dict[str, Any]]:
    """Rows of `points --json` with null values; nothing is written.

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
    orders, modbus, bacnet = site.orders, site.config.modbus, site.config.bacnet
    inventory = Inventory(
        table,
        book,
        clock,
        word_order=orders[0],
        byte_order=orders[1],
        units=site.unit_plan(book),
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
    device = bacnet.device.instance if bacnet else None
    rows = [point_row(placed[i], table.names[i], device, None, 0.0) for i in range(len(table))]
    return rows if modbus else [{**row, "modbus": None} for row in rows]
