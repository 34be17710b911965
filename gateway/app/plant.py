"""The engine of one site: what is known of every point and command, whoever reads or writes it.

Rules of this file: it knows no socket; it lives as long as the process, and a reload changes it in place, so that a
point that still exists keeps its index, its value, its slots and its history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from gateway import __version__
from gateway.addressing import AddressBook, PlacedPoint, map_hash
from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.app.alarming import alarm_terms, class_terms, recipients_keeper
from gateway.app.changes import Changes
from gateway.app.load import Site
from gateway.app.observe import observatory_of
from gateway.app.policy import client_terms, command_overrides, command_policy
from gateway.app.refusals import Refusals
from gateway.app.trends import recorder_of
from gateway.config import SourceConfig
from gateway.config.downstream import BacnetConfig
from gateway.core.errors import ConfigError
from gateway.core.point import SOURCE_KIND, KindSpec
from gateway.engine.actions import ActionDesk
from gateway.engine.alarms import Alarms
from gateway.engine.commands import CommandDesk
from gateway.engine.derive import Derivations
from gateway.engine.forcing import Forcing
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory
from gateway.engine.lag import LoopLag
from gateway.engine.likeness import definition
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.poller import Poller
from gateway.engine.ports import BootClock
from gateway.engine.relayout import Layout, LiveInventory
from gateway.engine.resource import Resource
from gateway.engine.retune import LiveDesk
from gateway.engine.table import PointTable
from gateway.engine.vitals import Vitals
from gateway.servers.bacnet import AlarmTerms
from gateway.store import SqliteJournal, Store

MOST_SOURCES = 1 << 20
log = structlog.get_logger("gateway")
Placed = Sequence[tuple[int, PlacedPoint]]


class Plant:
    """Table, inventory, desks and state of one site; `on_placed` is told of resources with new or moved points."""

    def __init__(self, site: Site, clock: BootClock, on_placed: Callable[[Resource, Placed], None]) -> None:
        self.site, self.clock, self._tell = site, clock, on_placed
        self.store = Store(site.state_dir)
        self.journal = SqliteJournal(site.state_dir, clock=clock)
        self.refusals = Refusals(self.journal, clock)
        self.alarms = Alarms()
        self.table = PointTable(clock)
        self.history = recorder_of(site.state_dir, self.table, clock, self.alarms)
        self.placed: dict[int, PlacedPoint] = {}
        self.pollers: dict[str, Poller] = {}
        self.observatory, self.lag = observatory_of(self), LoopLag(clock)
        self._hash: list[int] = []
        self._save_due = self._quiet = False

    def build(self) -> None:
        """Everything that needs no socket, out of the configuration and the state; store and journal are open.

        Raises:
            ConfigError: the state does not go with the configuration.
        """
        site, control = self.site, self.site.config.control
        saved = self.store.load_addresses()
        self.book = self.new_book(site, AddressBook(saved.entries, site.pools, saved.certificates))
        if self.journal.found:
            self.alarms.set("journal.mended", self.journal.found)
        self.point_alarms = PointAlarms(
            self.table, self.clock, self.journal, self.alarms, class_terms(site.config.bacnet)
        )
        self.recipients = recipients_keeper(self.journal)
        self.actions = ActionDesk(
            self.table, self.clock, self.journal, self.alarms, dry_run=control.dry_run, read_only=control.read_only
        )
        self._desk = LiveDesk(
            self.table,
            self.clock,
            command_policy(site.config),
            command_overrides(site.config),
            groups=client_terms(site.config),
            journal=self.journal,
            alarms=self.alarms,
            actions=self.actions,
        )
        self.desk: CommandDesk = self._desk
        if self.desk.obstacle:
            raise ConfigError([site.loaded.document.fault(("control", "dry_run"), self.desk.obstacle)])
        self.units = site.unit_plan(self.book)
        self._inventory = LiveInventory(
            self.table,
            self.book,
            self.clock,
            word_order=site.orders[0],
            byte_order=site.orders[1],
            units=self.units,
            devices=site.device_plan(self.book),
            on_placed=self._on_placed,
            on_dirty=self._on_dirty,
            on_lost=self.desk.lost,
        )
        self.inventory: Inventory = self._inventory
        self.forcing = Forcing(self.table, self.clock, self.journal, self.alarms, self.inventory.owner)
        self.intake = Intake(self.table, self.inventory, self.clock, self.desk.read_back)
        self.derivations = Derivations(self.table, self.inventory, self.clock)
        self.vitals = Vitals(
            self.table, self.inventory, self.desk, self.clock, version=__version__, map_hash=self.map_hash
        )
        self.vitals.header = self.inventory.single(GATEWAY_SOURCE, site.header(self.book.entries))
        self.vitals.header.present, self.vitals.header.trouble = True, ""
        self.vitals.pollers = self.pollers
        self.journal.on_fault = self.vitals.show_flags

    @staticmethod
    def new_book(site: Site, book: AddressBook) -> AddressBook:
        """A book in which every configured source has its block."""
        for source in site.config.sources:
            book.reserve(source.name, SOURCE_KIND, source.name, MOST_SOURCES)
        return book

    def restore(self, config: SourceConfig, kinds: Sequence[KindSpec]) -> None:
        """Serves what is known or expected of a source before it has answered; what is served stays as it is."""
        for kind in kinds:
            if kind.name == SOURCE_KIND:
                resource = self.inventory.single(config.name, kind)
                resource.present, resource.trouble = True, ""
            elif kind.list is None and kind.within is None:
                self.inventory.single(config.name, kind)
            else:
                self.inventory.restore(config.name, kind, config.expect.get(kind.name, ()), config.exclude)
                self.inventory.restore_children(config.name, kind)

    def alarm_terms(self, config: BacnetConfig) -> AlarmTerms:
        """What a BACnet server needs to tell of alarms."""
        return alarm_terms(config, self.point_alarms, self.recipients)

    # -- a reload ------------------------------------------------------------------------------------------------

    def lost(self, changes: Changes) -> list[Resource]:
        """The resources that there will be no more."""
        gone = [(name, None) for name in changes.removed]
        return [r for name, layout in (*gone, *changes.layouts.items()) for r in self._inventory.without(name, layout)]

    def obstacles(self, changes: Changes) -> list[str]:
        """What is held, owed or under way now, and could not go on under another configuration, in words."""
        lost, policy = set(self.lost(changes)), command_policy(changes.site.config)
        renewed = {resource for resource in self.inventory.resources.values() if resource.source in changes.logins}
        found = self._desk.obstacles(policy, lost, changes.layouts)
        running = self.actions.running(lost | renewed, changes.layouts)
        return found + [f"{name} runs: reload when it has ended" for name in running]

    def take_over(self, changes: Changes) -> bool:
        """Brings another configuration into force in one step of the loop.

        Returns whether anything is served in another way now; who serves it has to be told.
        """
        site, lost = changes.site, self.lost(changes)
        book = self.new_book(site, AddressBook(self.book.entries, site.pools, self.book.certificates))
        book.dirty = book.dirty or self.book.dirty
        self.site, self.book, self.units = site, book, site.unit_plan(book)
        control = site.config.control
        self._desk.retune(command_policy(site.config), command_overrides(site.config), client_terms(site.config))
        self.point_alarms.retune(class_terms(site.config.bacnet))
        self.actions.retune(dry_run=control.dry_run, read_only=control.read_only)
        self._quiet = True
        try:
            remapped = self._lay_out(changes, lost)
        finally:
            self._quiet = False
        served = {index for resource in self.inventory.resources.values() for index in resource.indices.values()}
        gone = self.placed.keys() - served
        self.actions.forget(gone)
        self.history.forget(gone)
        self.point_alarms.forget(gone)
        for index in gone:
            del self.placed[index]
        for resource in self.inventory.resources.values():
            self.desk.learn(resource)
        self._desk.settle(lost)
        self._hash = []
        self.vitals.tick()
        return remapped

    def _lay_out(self, changes: Changes, lost: Sequence[Resource]) -> bool:
        """The inventory in its new form, and whatever is made from it; returns whether it is another."""
        site = changes.site
        for part in (self.intake, self.derivations, self.vitals):
            part.forget()
        self._inventory.lay_out(self.book, self.units, site.device_plan(self.book), site.orders)
        for resource in lost:
            self._inventory.drop(resource)
        for name in changes.removed:
            self._inventory.leave(name)
        header, before = site.header(self.book.entries), self.vitals.header
        another = before is None or definition(before.kind) != definition(header)
        self._inventory.remake(GATEWAY_SOURCE, Layout([header]))
        self._forget_in_header(changes.removed)
        for name in changes.logins:
            self._inventory.meet_anew(name)
            self.desk.lost(name)
        for name, layout in changes.layouts.items():
            self._inventory.remake(name, layout)
        for config in site.config.sources:
            kinds = changes.layouts[config.name].kinds if config.name in changes.layouts else site.kinds(config.name)
            self.intake.learn(list(kinds))
            self.restore(config, kinds)
            self.derivations.wire(config.name)
        return another or bool(changes.layouts or lost)

    def _forget_in_header(self, sources: Sequence[str]) -> None:
        """The header keeps the registers of a source that is gone; they say nothing any more."""
        header = self.vitals.header
        names = [f"{source}.{what}" for source in sources for what in ("quality", "age_s")]
        if header is not None:
            indices = [header.indices[name] for name in names if name in header.indices]
            self.table.forget(indices, "this source is not in the configuration any more")

    def healthy(self) -> bool:
        """Whether every source is connected."""
        return all(poller.health.connected for poller in self.pollers.values())

    # -- what the inventory tells --------------------------------------------------------------------------------

    def _on_placed(self, resource: Resource, points: Placed) -> None:
        """New (or renamed) points: to the desks, whoever serves them, and the map hash."""
        self.desk.learn(resource)
        self.actions.learn(resource)
        self.history.learn(resource, points)
        self.point_alarms.learn(resource)
        self.placed.update(points)
        self._hash = []
        if not self._quiet:
            self._tell(resource, points)

    def map_hash(self) -> int:
        """64 bits that change when any address changes; may be asked from another thread.

        A hash that was begun before a change is kept in a list that nobody looks at any more.
        """
        kept = self._hash
        if not kept:
            kept.append(map_hash({point.name: point for point in self.placed.values()}))
        return kept[0]

    def _on_dirty(self) -> None:
        """Addresses are saved in the same turn of the loop, before anybody can have read them."""
        if not self._save_due:
            self._save_due = True
            asyncio.get_running_loop().call_soon(self.save)

    def save(self) -> None:
        """Writes the addresses if they have changed; what cannot be written is tried again with the next change."""
        self._save_due = False
        if not hasattr(self, "book") or not self.book.dirty:
            return
        try:
            self.store.save_addresses(self.book.entries, self.book.certificates)
            self.book.dirty = False
        except OSError as error:
            log.critical("addresses.not_saved", reason=str(error))
