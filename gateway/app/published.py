"""What `addresses publish` froze, and what is refused because of it (DESIGN 6.5).

Rules of this file: after a publication the addresses of the published map keep their meaning; new points are free;
only a person's word (`--accept-moves`) lets one move, and then today's map is the published one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from gateway.app.offline import OfflineMap, offline_map
from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import ConfigError, CorrectionRefused, Fault
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Clock
from gateway.engine.resource import Resource
from gateway.mapping import load_mapping
from gateway.store import Store
from gateway.store.published import WRITING, PublishedMap, load_published, save_published

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


@dataclass(frozen=True, slots=True)
class Moment:
    """Where everything stands at one moment: quick to take, and then good for slow work beside the event loop."""

    site: Site
    owned: Sequence[tuple[Owner, Sequence[PlacedPoint]]]
    map_hash: int
    dismissed: Collection[Owner]

    def served(self) -> list[ServedPoint]:
        """Every point as the servers of this site serve it, in the order of sources, kinds and blocks."""
        bacnet, modbus = self.site.config.bacnet, self.site.config.modbus is not None
        device = bacnet.device.instance if bacnet is not None else None
        return [
            served_point(owner, point, modbus=modbus, device=device) for owner, points in self.owned for point in points
        ]


def moment_of(serving: Serving) -> Moment:
    """What a running gateway serves now."""
    owned = _owned(serving.inventory.resources.values(), serving.placed)
    return Moment(serving.site, owned, serving.map_hash(), dismissed_owners(serving.book.entries))


def _owned(resources: Iterable[Resource], placed: Mapping[int, PlacedPoint]) -> list[tuple[Owner, list[PlacedPoint]]]:
    """What the operator dismissed is left out: it is served until the next start only."""
    return [
        (
            (resource.source, resource.kind.name, -1 if resource.block is None else resource.block),
            [placed[index] for index in resource.indices.values()],
        )
        for resource in resources
        if not resource.dismissed
    ]


def planned_map(site: Site) -> Moment:
    """What this configuration would serve; nothing is written.

    Raises:
        ConfigError: the address book cannot be read.
    """
    return _moment(offline_map(site))


def _moment(found: OfflineMap) -> Moment:
    owned = _owned(found.inventory.resources.values(), found.placed)
    return Moment(found.site, owned, found.map_hash(), dismissed_owners(found.book.entries))


def refused_moves(site: Site) -> list[Difference]:
    """What this configuration would do to published addresses; empty while nothing was published.

    Raises:
        ConfigError: the published map or the address book cannot be read.
    """
    published = load_published(site.state_dir)
    if published is None:
        return []
    planned = planned_map(site)
    return moves(published.points, planned.served(), planned.dismissed)


def move_faults(site: Site, refused: Sequence[Difference]) -> list[Fault]:
    """Refused moves as faults of the mappings, at most MOST_TOLD of them one by one; reads the mappings again."""
    if not refused:
        return []
    file, count = site.loaded.document.file, len(refused)
    documents: dict[str, Document] = {}
    told = [_move_fault(site, one, documents) for one in refused[:MOST_TOLD]]
    more = [Fault(file, 0, 0, "", f"{count - MOST_TOLD} more published addresses would change")]
    how = Fault(file, 0, 0, "", f"published addresses must not move: {HOW}")
    return [how, *told, *(more if count > MOST_TOLD else [])]


def _move_fault(site: Site, one: Difference, documents: dict[str, Document]) -> Fault:
    """At the point in its mapping, else at what is left of it there, else at the configuration as a whole."""
    text = f"{one.name}: a published address is {one.what}: {one.text}"
    source, kind, point = (*one.name.split("/", 2), "", "")[:3]
    if source not in documents:
        named = next((each.mapping for each in site.config.sources if each.name == source), None)
        mapping = load_mapping(site.loaded.path(named))[0] if named is not None else None
        documents[source] = mapping.document if mapping is not None else Document()
    document = documents[source]
    name = point.rpartition("/")[2].partition(".")[0]
    protocol = "modbus" if one.text.startswith("register") else "bacnet"
    places: list[KeyPath] = [("resources", kind, part, name) for part in ("points", "actions")]
    at = next((place for place in places if place in document.marks), ("resources", kind))
    if at not in document.marks:
        return Fault(site.loaded.document.file, 0, 0, "", text)
    return document.fault((*at, protocol, "at"), text)


def publish(moment: Moment, *, user: str, wall: float, accept_moves: bool = False) -> list[str]:
    """Freezes a map: its addresses must not move any more; returns what was done in sentences.

    Raises:
        CorrectionRefused: an earlier publication says something else, and nobody accepted that.
        ConfigError: the earlier publication cannot be read, and nobody accepted that it is lost.
        OSError: it cannot be written.
    """
    served, folder = moment.served(), moment.site.state_dir
    with WRITING:
        moved = _moved(moment, served, accept_moves=accept_moves)
        published = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))
        frozen = PublishedMap(f"{moment.map_hash:016x}", published, user, served)
        save_published(folder, frozen)
    count = sum(point.is_served for point in served)
    said = [f"published: map {frozen.map_hash} with {count} points; their addresses keep their meaning from now on"]
    return said + [f"accepted: {one}" for one in moved]


def _moved(moment: Moment, served: Sequence[ServedPoint], *, accept_moves: bool) -> list[Difference]:
    """What an earlier publication does not say; raises as publish."""
    try:
        earlier = load_published(moment.site.state_dir)
    except ConfigError:
        if not accept_moves:
            raise
        return []
    moved = moves(earlier.points, served, moment.dismissed) if earlier is not None else []
    if moved and not accept_moves:
        told = "; ".join(map(str, moved[:MOST_TOLD])) + ("; ..." if len(moved) > MOST_TOLD else "")
        raise CorrectionRefused(f"{len(moved)} published addresses would not hold: {told}; {HOW}")
    return moved


async def publish_running(serving: Serving, *, user: str, accept_moves: bool) -> list[str]:
    """Publishes what a running gateway serves, beside the event loop; raises as publish."""
    moment, wall = moment_of(serving), serving.clock.wall()
    return await asyncio.to_thread(publish, moment, user=user, wall=wall, accept_moves=accept_moves)


def publish_file(site: Site, *, user: str, accept_moves: bool) -> list[str]:
    """Publishes what a configuration says while no gateway runs; blocks of `expect` are given for good by it.

    Raises:
        CorrectionRefused, ConfigError, OSError: as publish; ConfigError (StateInUse) also while a gateway runs.
    """
    store = Store(site.state_dir)
    store.open()
    try:
        found = offline_map(site)
        said = publish(_moment(found), user=user, wall=time.time(), accept_moves=accept_moves)
        _save_book(store, found.book)
    finally:
        store.close()
    return said


def _save_book(store: Store, book: AddressBook) -> None:
    if book.dirty:
        store.save_addresses(book.entries, book.certificates)
