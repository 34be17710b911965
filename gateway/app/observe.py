"""What watches the gateway and its clients: the observatory's view of the map, loop lag, hints about the network."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from gateway.addressing import PlacedPoint
from gateway.core.hints import Extents, Finding, Place
from gateway.engine.lag import LoopLag
from gateway.engine.observatory import Observatory
from gateway.servers.bacnet import DUPLICATE, BacnetServer

if TYPE_CHECKING:
    from gateway.app.plant import Plant

SLOWEST_S = 60.0


def observatory_of(plant: Plant) -> Observatory:
    """An observatory that knows the plant's map, leases and poll periods."""

    def leased(index: int, slot: int) -> bool:
        if plant.table.specs[index].command is None:
            return True
        held = plant.desk.slots(index)[slot]
        return held is not None and held.lease.length_s > 0

    return Observatory(
        plant.clock,
        places=lambda: Extents(_places(plant.placed.values())),
        map_hash=plant.map_hash,
        every_s=lambda: fastest_read_s(plant),
        leased=leased,
    )


def fastest_read_s(plant: Plant) -> float:
    """The shortest period of any read, in seconds."""
    products = plant.site.products.values()
    periods = (read.every_s for product in products for kind in product.kinds.values() for read in kind.reads.values())
    return min(periods, default=SLOWEST_S)


def network_findings(plant: Plant, bacnet: BacnetServer | None) -> Iterator[Finding]:
    """What is wrong with the network around the BACnet server."""
    doubled = plant.alarms.text(DUPLICATE)
    if doubled is not None:
        yield Finding("duplicate_device", doubled)
    if bacnet is not None and bacnet.hint:
        yield Finding("no_broadcast", bacnet.hint)


class Servers(Protocol):
    """Whoever listens."""

    @property
    def bacnet(self) -> BacnetServer | None: ...


def watching(plant: Plant, servers: Servers) -> list[Coroutine[Any, Any, None]]:
    """What has to run for it."""
    plant.observatory.site = lambda: network_findings(plant, servers.bacnet)
    return [plant.observatory.run(), plant.lag.run()]


def loop_row(lag: LoopLag) -> dict[str, Any]:
    """How late the event loop is, JSON-ready: now, at worst within the last minute, and how often by over 100 ms."""
    return {
        "lag_ms": round(lag.last_s * 1000, 1),
        "worst_ms": round(lag.worst_s * 1000, 1),
        "overruns": lag.overruns,
    }


def _places(points: Iterable[PlacedPoint]) -> Iterator[tuple[int, Place]]:
    for point in points:
        yield from _places_of(point)


def _places_of(point: PlacedPoint) -> Iterator[tuple[int, Place]]:
    writable = point.spec.command is not None or point.spec.writable
    for placed in point.registers:
        kind = placed.spec.type
        yield placed.unit, Place(placed.register, kind.words, kind.name, point.name, writable)
