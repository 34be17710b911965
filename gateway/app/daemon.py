"""The daemon: builds every object, starts the servers, polls until told to stop, and logs out of every source."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Sequence

import structlog

from gateway import __version__
from gateway.addressing import AddressBook, PlacedPoint, map_hash
from gateway.addressing.builtin import GATEWAY_SOURCE
from gateway.app.bacnet import DATABASE_REVISION, bacnet_terms
from gateway.app.clock import SystemClock
from gateway.app.control import Control
from gateway.app.descriptors import Descriptors
from gateway.app.load import Site
from gateway.app.logins import Logins
from gateway.app.modbus import modbus_server
from gateway.app.policy import client_terms, command_overrides, command_policy
from gateway.app.refusals import Refusals
from gateway.config import SourceConfig
from gateway.config.strict_yaml import KeyPath
from gateway.core.errors import ConfigError, Fault
from gateway.core.point import SOURCE_KIND, KindSpec
from gateway.engine.actions import ActionDesk
from gateway.engine.alarms import Alarms
from gateway.engine.commands import CommandDesk
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory, Resource
from gateway.engine.poller import Poller
from gateway.engine.ports import BootClock, Source
from gateway.engine.table import PointTable
from gateway.engine.vitals import Vitals
from gateway.servers.bacnet import BacnetServer, Keeper
from gateway.servers.modbus import ModbusServer
from gateway.sources import MappedSource
from gateway.store import SqliteJournal, Store
from gateway.systemd import notify
from gateway.web import ControlServer, HealthServer

LOGOUT_S = 5.0
GC_THRESHOLD = (50_000, 20, 20)
"""A full pass over 12,000 points stops the loop for 130 ms; samples are no garbage cycles, so it may come seldom."""
log = structlog.get_logger("gateway")


class Daemon:
    """One site, running. `await run()` serves until `stop()`; `ready` is set once the ports are bound.

    `on_locked` is called as soon as no other gateway can run on the same state.
    """

    def __init__(
        self, site: Site, clock: BootClock | None = None, *, on_locked: Callable[[], None] = lambda: None
    ) -> None:
        self.site, self._on_locked = site, on_locked
        self.clock = clock or SystemClock()
        self.store = Store(site.state_dir)
        self.journal = SqliteJournal(site.state_dir, clock=self.clock)
        self.refusals = Refusals(self.journal, self.clock)
        self.table = PointTable(self.clock)
        self.placed: dict[int, PlacedPoint] = {}
        self.pollers: dict[str, Poller] = {}
        self.logins = Logins(site, self.pollers, self.clock)
        self.modbus: ModbusServer | None = None
        self.bacnet: BacnetServer | None = None
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._hash: int | None = None
        self._save_due = False

    def stop(self) -> None:
        """Asks `run` to end; it logs out first."""
        self._stop.set()

    async def run(self, *, signals: bool = True) -> None:
        """Serves the site.

        Raises:
            ConfigError: state, secrets or ports cannot be used; nothing is left running.
        """
        self.store.open()
        self._on_locked()
        gc.set_threshold(*GC_THRESHOLD)
        try:
            self.journal.open()
            async with contextlib.AsyncExitStack() as stack:
                self._build()
                await self._start(stack)
                if signals:
                    for number in (signal.SIGTERM, signal.SIGINT):
                        asyncio.get_running_loop().add_signal_handler(number, self.stop)
                    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.logins.reload, "SIGHUP")
                await self._serve()
        except BaseExceptionGroup as group:
            raise _only_leaf(group) from None
        finally:
            self._save()
            self.journal.close()
            self.store.close()

    async def _serve(self) -> None:
        """Runs every task until stop, then logs out of all sources at once."""
        notify("READY=1\nSTATUS=serving")
        log.info("gateway.ready", site=self.site.config.site, points=len(self.table))
        self.ready.set()
        descriptors = Descriptors(self.alarms)
        asyncio.get_running_loop().set_exception_handler(descriptors.on_error)
        tasks = [self.vitals.run(), self.desk.run(), self.actions.run(), descriptors.run()]
        tasks += [poller.run() for poller in self.pollers.values()]
        running = [self._group.create_task(task) for task in tasks]
        try:
            await self._stop.wait()
        finally:
            notify("STOPPING=1")
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.desk.save()
            await self._logout()
        log.info("gateway.stopped")

    async def _logout(self) -> None:
        try:
            async with asyncio.timeout(LOGOUT_S):
                await asyncio.gather(*(poller.source.close() for poller in self.pollers.values()))
        except TimeoutError:
            log.warning("gateway.logout_cut", reason=f"not every product answered its logout within {LOGOUT_S:g} s")

    # -- building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Objects that need no socket."""
        site = self.site
        saved = self.store.load_addresses()
        self.book = AddressBook(saved.entries, site.pools, saved.certificates)
        for source in site.config.sources:
            self.book.reserve(source.name, SOURCE_KIND, source.name, 1 << 20)
        self.alarms = Alarms()
        if self.journal.found:
            self.alarms.set("journal.mended", self.journal.found)
        control = site.config.control
        self.actions = ActionDesk(
            self.table,
            self.clock,
            self.journal,
            self.alarms,
            dry_run=control.dry_run,
            read_only=control.read_only,
        )
        self.desk = CommandDesk(
            self.table,
            self.clock,
            command_policy(site.config),
            command_overrides(site.config),
            groups=client_terms(site.config),
            journal=self.journal,
            alarms=self.alarms,
            actions=self.actions,
        )
        if self.desk.obstacle:
            raise ConfigError([site.loaded.document.fault(("control", "dry_run"), self.desk.obstacle)])
        orders, self.units = site.orders, site.unit_plan(self.book)
        self.inventory = Inventory(
            self.table,
            self.book,
            self.clock,
            word_order=orders[0],
            byte_order=orders[1],
            units=self.units,
            on_placed=self._on_placed,
            on_dirty=self._on_dirty,
            on_lost=self.desk.lost,
        )
        self.intake = Intake(self.table, self.inventory, self.clock, self.desk.read_back)
        self.derivations = Derivations(self.table, self.inventory, self.clock)
        self.vitals = Vitals(
            self.table, self.inventory, self.desk, self.clock, version=__version__, map_hash=self.map_hash
        )
        self.vitals.header = self.inventory.single(GATEWAY_SOURCE, site.header(self.book.entries))
        self.vitals.header.present, self.vitals.header.trouble = True, ""
        self.journal.on_fault = self.vitals.show_flags

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        """Sources, restored points, then the servers, so that a port answers only when the map stands."""
        sources: dict[str, Source] = {}
        for config in self.site.config.sources:
            session = await self.logins.add(config, self.store, stack)
            sources[config.name] = MappedSource(config.name, session, self.clock)
            kinds = self.site.kinds(config.name)
            self.intake.learn(kinds)
            self._restore(config, kinds)
            self.pollers[config.name] = Poller(
                sources[config.name],
                kinds,
                table=self.table,
                inventory=self.inventory,
                intake=self.intake,
                derivations=self.derivations,
                clock=self.clock,
                parallel=config.parallel,
                exclude=config.exclude,
                on_lost=self.desk.lost,
            )
        self.actions.connect(sources, lambda source: self.pollers[source].health.connected)
        self.desk.connect(self.intake, sources, lambda source, kind: self.pollers[source].relist(kind))
        self.vitals.pollers = self.pollers
        self._group = await stack.enter_async_context(asyncio.TaskGroup())
        await self._listen(stack)

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        """Binds every port of the configuration.

        Raises:
            ConfigError: all that could not be bound, at the keys that name them.
        """
        faults: list[Fault] = []
        servers: tuple[tuple[KeyPath, Callable[[contextlib.AsyncExitStack], Awaitable[None]]], ...] = (
            (("modbus", "listen"), self._serve_modbus),
            (("bacnet", "address"), self._serve_bacnet),
            (("web", "listen"), self._serve_web),
            (("state_dir",), self._serve_control),
        )
        for at, serve in servers:
            try:
                await serve(stack)
            except OSError as error:
                faults.append(self.site.loaded.document.fault(at, str(error.strerror or error)))
        if faults:
            raise ConfigError(faults)

    def _restore(self, config: SourceConfig, kinds: Sequence[KindSpec]) -> None:
        for kind in kinds:
            if kind.name == SOURCE_KIND:
                resource = self.inventory.single(config.name, kind)
                resource.present, resource.trouble = True, ""
            elif kind.list is None and kind.within is None:
                self.inventory.single(config.name, kind)
            else:
                self.inventory.restore(config.name, kind, config.expect.get(kind.name, ()), config.exclude)
                self.inventory.restore_children(config.name, kind)

    async def _serve_modbus(self, stack: contextlib.AsyncExitStack) -> None:
        config = self.site.config.modbus
        if config is None:
            return
        self.modbus = modbus_server(
            self.site,
            config,
            self.units,
            self.placed.values(),
            table=self.table,
            commands=self.desk,
            map_hash=self.map_hash,
            spawn=self._group.create_task,
            on_refused=self.refusals,
        )
        self.modbus.place(list(self.placed.items()))
        await self.modbus.start()
        stack.push_async_callback(self.modbus.stop)

    async def _serve_bacnet(self, stack: contextlib.AsyncExitStack) -> None:
        config = self.site.config.bacnet
        if config is None:
            return
        self.bacnet = BacnetServer(
            address=config.address,
            device_instance=config.device.instance,
            device_name=config.device.name,
            vendor_id=config.device.vendor_id,
            version=__version__,
            table=self.table,
            commands=self.desk,
            terms=bacnet_terms(config, self.site.loaded, self.stop),
            site=self.site.config.site,
            keeper=Keeper(
                self.journal.restored().get(DATABASE_REVISION),
                int(self.clock.wall()),
                lambda state: self.journal.note({DATABASE_REVISION: state}, ()),
            ),
            clock=self.clock,
            alarms=self.alarms,
            spawn=self._group.create_task,
            on_refused=self.refusals,
        )
        self.bacnet.place(list(self.placed.items()))
        await self.bacnet.start()
        stack.push_async_callback(self.bacnet.stop)

    async def _serve_control(self, stack: contextlib.AsyncExitStack) -> None:
        control = ControlServer(self.site.control_path, Control(self))
        await control.start()
        stack.push_async_callback(control.stop)

    async def _serve_web(self, stack: contextlib.AsyncExitStack) -> None:
        web = self.site.config.web
        if web is not None:
            host, _, port = web.listen.rpartition(":")
            health = HealthServer(host.strip("[]"), int(port), self.healthy)
            await health.start()
            stack.push_async_callback(health.stop)

    def healthy(self) -> bool:
        """Whether every source is connected."""
        return all(poller.health.connected for poller in self.pollers.values())

    # -- what the inventory tells --------------------------------------------------------------------------------

    def _on_placed(self, resource: Resource, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """New (or renamed) points: to the desk, both servers, and the map hash."""
        self.desk.learn(resource)
        self.actions.learn(resource)
        self.placed.update(points)
        self._hash = None
        if self.modbus is not None:
            self.modbus.place(points, self.units.spans(resource.seat.unit) if resource.seat is not None else ())
        if self.bacnet is not None:
            self.bacnet.place(points)

    def map_hash(self) -> int:
        """64 bits that change when any address changes."""
        if self._hash is None:
            self._hash = map_hash({point.name: point for point in self.placed.values()})
        return self._hash

    def _on_dirty(self) -> None:
        """Addresses are saved in the same turn of the loop, before anybody can have read them."""
        if not self._save_due:
            self._save_due = True
            asyncio.get_running_loop().call_soon(self._save)

    def _save(self) -> None:
        self._save_due = False
        if not hasattr(self, "book") or not self.book.dirty:
            return
        try:
            self.store.save_addresses(self.book.entries, self.book.certificates)
            self.book.dirty = False
        except OSError as error:
            log.critical("addresses.not_saved", reason=str(error))


def _only_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group, so that a taken port is told in one line and a fault of ours in one traceback."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
