"""The map of a site for its exports: points, and the BACnet objects as the server itself describes them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gateway import __version__
from gateway.addressing.served import twins_of
from gateway.app.clock import SystemClock
from gateway.app.listeners import Listeners
from gateway.app.load import Site
from gateway.app.plant import Plant
from gateway.export import DeviceFacts, MapHead, MapObject, MapPoint, MapSpec, point_row
from gateway.servers.bacnet import TYPE_NAMES, UNIT_NAMES, BacnetServer, Described
from gateway.store import ADDRESSES


def map_spec(plant: Plant, bacnet: BacnetServer | None, wall: float) -> MapSpec:
    """What a gateway serves, running or only built; `wall` is the time of the export.

    Raises:
        RuntimeError: the map of a running gateway changed meanwhile, if this is done in another thread.
    """
    modbus, own = plant.site.config.modbus, plant.site.config.bacnet
    head = MapHead(
        plant.site.config.site,
        __version__,
        f"{plant.map_hash():016x}",
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall)),
        modbus.units if modbus is not None else None,
        modbus.unit if modbus is not None else 0,
        own.devices if own is not None else None,
    )
    device = own.device.instance if own is not None else None
    points: list[MapPoint] = []
    for index in range(len(plant.table)):
        placed = plant.placed.get(index)
        if placed is not None:
            row = point_row(placed, placed.name, device, None, 0.0)
            row = row if modbus is not None else {**row, "modbus": None, "modbus_also": []}
            points.append(MapPoint(placed, twins_of(placed, device), row))
    objects = [] if bacnet is None else [_object(one) for one in bacnet.describe()]
    if f"{plant.map_hash():016x}" != head.map_hash:
        raise RuntimeError("the map changed while it was written down")
    if bacnet is None:
        return MapSpec(head, points)
    units = {one.unit: UNIT_NAMES.get(one.unit, f"unit {one.unit}") for one in objects if one.unit is not None}
    return MapSpec(head, points, objects, _facts(plant, bacnet, objects), units)


def _object(one: Described) -> MapObject:
    return MapObject(
        one.device,
        one.type,
        one.code,
        one.instance,
        one.name,
        one.description,
        one.unit,
        one.states,
        one.default,
        one.low,
        one.high,
        one.written,
        one.cov,
        one.low_limit,
        one.high_limit,
        one.notification_class,
    )


def _facts(plant: Plant, bacnet: BacnetServer, objects: Sequence[MapObject]) -> DeviceFacts:
    words, config = bacnet.words, plant.site.config.bacnet
    return DeviceFacts(
        words.vendor,
        words.vendor_id,
        words.model,
        words.firmware,
        words.application,
        words.revision,
        words.max_apdu,
        words.max_segments,
        words.services,
        {code: TYPE_NAMES.get(code, f"object type {code}") for code in words.types},
        devices=len({one.device for one in objects}),
        foreign=config is not None and config.foreign is not None,
    )


def planned_spec(site: Site) -> MapSpec:
    """What the files would serve, without a product and without a running gateway; nothing is written to the state.

    A whole gateway is built on a copy of the address book, and never started.

    Raises:
        ConfigError: the address book cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="evce-gateway-") as name:
        folder = Path(name)
        for book in (ADDRESSES, f"{ADDRESSES}.1"):
            with suppress(FileNotFoundError):
                (folder / book).write_bytes((site.state_dir / book).read_bytes())
        return asyncio.run(_built_spec(_elsewhere(site, folder)))


def _elsewhere(site: Site, folder: Path) -> Site:
    """The same site with its state in another folder, and without passwords, which may not be readable here."""
    bacnet = site.config.bacnet
    without = bacnet.model_copy(update={"dcc_password": None}) if bacnet is not None else None
    return replace(site, config=site.config.model_copy(update={"state_dir": str(folder), "bacnet": without}))


async def _built_spec(site: Site) -> MapSpec:
    plant = Plant(site, SystemClock(), lambda _resource, _points: None)
    try:
        plant.journal.open()
        plant.build()
        for source in site.config.sources:
            plant.restore(source, site.kinds(source.name))
        bacnet = Listeners(plant, lambda: None).make_bacnet(asyncio.get_running_loop().create_task)
        return map_spec(plant, bacnet, time.time())
    finally:
        plant.journal.close()
