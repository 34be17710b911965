"""What `addresses publish` froze, and what is refused because of it (DESIGN 6.5).

Rules of this file: after a publication the addresses of the published map keep their meaning; new points are free;
only a person's word (`--accept-moves`) lets one move, and then today's map is the published one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from gateway.addressing import AddressBook, PlacedPoint
from gateway.addressing.served import (
    Difference,
    Owner,
    ServedPoint,
    dismissed_owners,
    moves,
    served_point,
)
from gateway.app.load import Site
from gateway.app.offline import offline_map
from gateway.core.errors import ConfigError, CorrectionRefused, Fault
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Clock
from gateway.engine.resource import Resource
from gateway.store import Store
from gateway.store.published import PublishedMap, load_published, save_published

MOST_TOLD = 20
HOW = "say --accept-moves if it is meant; `evce-gateway plan` shows everything"


class Serving(Protocol):
    """A gateway that serves a map."""

    site: Site
    book: AddressBook
    inventory: Inventory
    placed: dict[int, PlacedPoint]

    @property
    def clock(self) -> Clock: ...

    def map_hash(self) -> int: ...


def map_of(serving: Serving) -> list[ServedPoint]:
    """Everything that a running gateway serves."""
    return served_map(serving.site, serving.inventory.resources.values(), serving.placed)


def served_map(site: Site, resources: Iterable[Resource], placed: Mapping[int, PlacedPoint]) -> list[ServedPoint]:
    """Every point as the servers of this site serve it, in the order of sources, kinds and blocks.

    What the operator dismissed is left out: it is served until the next start only.
    """
    bacnet, modbus = site.config.bacnet, site.config.modbus is not None
    device = bacnet.device.instance if bacnet is not None else None
    found: list[ServedPoint] = []
    for resource in resources:
        if resource.dismissed:
            continue
        owner = (resource.source, resource.kind.name, -1 if resource.block is None else resource.block)
        indices = resource.indices.values()
        found += [served_point(owner, placed[index], modbus=modbus, device=device) for index in indices]
    return found


def planned_map(site: Site) -> tuple[list[ServedPoint], set[Owner], int]:
    """What this configuration would serve, the owners that the operator gave up, and the map hash; nothing is written.

    Raises:
        ConfigError: the address book cannot be read.
    """
    found = offline_map(site)
    served = served_map(site, found.inventory.resources.values(), found.placed)
    return served, dismissed_owners(found.book.entries), found.map_hash()


def refused_moves(site: Site) -> list[Difference]:
    """What this configuration would do to published addresses; empty while nothing was published.

    Raises:
        ConfigError: the published map or the address book cannot be read.
    """
    published = load_published(site.state_dir)
    if published is None:
        return []
    served, dismissed, _ = planned_map(site)
    return moves(published.points, served, dismissed)


def move_faults(site: Site, refused: Sequence[Difference]) -> list[Fault]:
    """Refused moves as faults of the configuration, at most MOST_TOLD of them one by one."""
    file = site.loaded.document.file
    told = [Fault(file, 0, 0, one.name, f"a published address is {one.what}: {one.text}") for one in refused]
    more = [Fault(file, 0, 0, "", f"{len(told) - MOST_TOLD} more published addresses would change")]
    how = [Fault(file, 0, 0, "", f"published addresses must not move: {HOW}")] if told else []
    return how + told[:MOST_TOLD] + (more if len(told) > MOST_TOLD else [])


def publish(
    site: Site,
    served: Sequence[ServedPoint],
    map_hash: int,
    *,
    user: str,
    wall: float,
    dismissed: Collection[Owner] = (),
    accept_moves: bool = False,
) -> list[str]:
    """Freezes a map: its addresses must not move any more; returns what was done in sentences.

    Raises:
        CorrectionRefused: an earlier publication says something else, and nobody accepted that.
        ConfigError: the earlier publication cannot be read, and nobody accepted that it is lost.
        OSError: it cannot be written.
    """
    moved: list[Difference] = []
    try:
        earlier = load_published(site.state_dir)
        moved = moves(earlier.points, served, dismissed) if earlier is not None else []
    except ConfigError:
        if not accept_moves:
            raise
    if moved and not accept_moves:
        told = "; ".join(map(str, moved[:MOST_TOLD])) + ("; ..." if len(moved) > MOST_TOLD else "")
        raise CorrectionRefused(f"{len(moved)} published addresses would not hold: {told}; {HOW}")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))
    frozen = PublishedMap(f"{map_hash:016x}", moment, user, served)
    save_published(site.state_dir, frozen)
    count = sum(point.is_served for point in served)
    said = [f"published: map {frozen.map_hash} with {count} points; their addresses keep their meaning from now on"]
    return said + [f"accepted: {one}" for one in moved]


def publish_running(serving: Serving, *, user: str, accept_moves: bool) -> list[str]:
    """Publishes what a running gateway serves; raises as publish."""
    return publish(
        serving.site,
        map_of(serving),
        serving.map_hash(),
        user=user,
        wall=serving.clock.wall(),
        dismissed=dismissed_owners(serving.book.entries),
        accept_moves=accept_moves,
    )


def publish_file(site: Site, *, user: str, accept_moves: bool) -> list[str]:
    """Publishes what a configuration says while no gateway runs; blocks of `expect` are given for good by it.

    Raises:
        CorrectionRefused, ConfigError, OSError: as publish; ConfigError (StateInUse) also while a gateway runs.
    """
    store = Store(site.state_dir)
    store.open()
    try:
        found = offline_map(site)
        served = served_map(site, found.inventory.resources.values(), found.placed)
        dismissed = dismissed_owners(found.book.entries)
        said = publish(
            site,
            served,
            found.map_hash(),
            user=user,
            wall=time.time(),
            dismissed=dismissed,
            accept_moves=accept_moves,
        )
        _save_book(store, found.book)
    finally:
        store.close()
    return said


def _save_book(store: Store, book: AddressBook) -> None:
    if book.dirty:
        store.save_addresses(book.entries, book.certificates)
