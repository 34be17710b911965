"""Who listens for the site: Modbus TCP, BACnet/IP, the web listener and the control socket.

Rules of this file: a port answers only when the map stands; every port that cannot be bound is told at the key that
names it; each server takes a new configuration by an `apply` of its own, without losing whoever is connected.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from gateway import __version__
from gateway.app.bacnet import Revisions, bacnet_terms, virtual_network
from gateway.app.control import Control
from gateway.app.metrics import Metrics
from gateway.app.modbus import modbus_server
from gateway.app.plant import Placed, Plant
from gateway.app.upstream import Spawn
from gateway.config.strict_yaml import KeyPath
from gateway.core.errors import ConfigError, Fault
from gateway.engine.resource import Resource
from gateway.servers.bacnet import BacnetServer
from gateway.servers.modbus import ModbusServer
from gateway.web import ControlServer, HealthServer, MetricsRoute


class Listeners:
    """The servers of a site; None for one that is not configured. `stop` is what ReinitializeDevice asks for."""

    def __init__(self, plant: Plant, stop: Callable[[], None]) -> None:
        self._plant, self._stop = plant, stop
        self.modbus: ModbusServer | None = None
        self.bacnet: BacnetServer | None = None
        self._revisions: Revisions | None = None

    def place(self, resource: Resource, points: Placed) -> None:
        """Serves points that are new or have another name."""
        if self.modbus is not None:
            seat = resource.seat
            self.modbus.place(points, self._plant.units.spans(seat.unit) if seat is not None else ())
        if self.bacnet is not None:
            self.bacnet.place(points)

    async def start(self, stack: contextlib.AsyncExitStack, spawn: Spawn, control: Control) -> None:
        """Binds every port of the configuration; they are closed with `stack`.

        Raises:
            ConfigError: all that could not be bound, at the keys that name them.
        """
        faults: list[Fault] = []
        servers: tuple[tuple[KeyPath, Callable[[], Awaitable[None]]], ...] = (
            (("modbus", "listen"), lambda: self._serve_modbus(stack, spawn)),
            (("bacnet", "address"), lambda: self._serve_bacnet(stack, spawn)),
            (("web", "listen"), lambda: self._serve_web(stack)),
            (("state_dir",), lambda: self._serve_control(stack, control)),
        )
        for at, serve in servers:
            try:
                await serve()
            except OSError as error:
                faults.append(self._plant.site.loaded.document.fault(at, str(error.strerror or error)))
        if faults:
            raise ConfigError(faults)

    async def _serve_modbus(self, stack: contextlib.AsyncExitStack, spawn: Spawn) -> None:
        plant, config = self._plant, self._plant.site.config.modbus
        if config is None:
            return
        self.modbus = modbus_server(
            plant.site,
            config,
            plant.units,
            plant.placed.values(),
            table=plant.table,
            commands=plant.desk,
            map_hash=plant.map_hash,
            spawn=spawn,
            on_refused=plant.refusals,
            observatory=plant.observatory,
        )
        self.modbus.place(list(plant.placed.items()))
        await self.modbus.start()
        stack.push_async_callback(self.modbus.stop)

    async def _serve_bacnet(self, stack: contextlib.AsyncExitStack, spawn: Spawn) -> None:
        self.bacnet = self.make_bacnet(spawn)
        if self.bacnet is not None:
            await self.bacnet.start()
            stack.push_async_callback(self.bacnet.stop)

    def make_bacnet(self, spawn: Spawn) -> BacnetServer | None:
        """The BACnet server with every object there is, which does not listen yet; None if none is configured."""
        plant, config = self._plant, self._plant.site.config.bacnet
        if config is None:
            return None
        if self._revisions is None:
            self._revisions = Revisions(plant.journal, int(plant.clock.wall()))
        server = BacnetServer(
            address=config.address,
            device_instance=config.device.instance,
            device_name=config.device.name,
            vendor_id=config.device.vendor_id,
            version=__version__,
            table=plant.table,
            commands=plant.desk,
            terms=bacnet_terms(config, plant.site.loaded, self._stop, plant.alarm_terms(config)),
            site=plant.site.config.site,
            keeper=self._revisions.keeper(),
            virtual=virtual_network(config, self._revisions),
            clock=plant.clock,
            alarms=plant.alarms,
            history=plant.history,
            spawn=spawn,
            on_refused=plant.refusals,
            observatory=plant.observatory,
        )
        server.place(list(plant.placed.items()))
        return server

    async def _serve_web(self, stack: contextlib.AsyncExitStack) -> None:
        web = self._plant.site.config.web
        if web is not None:
            host, _, port = web.listen.rpartition(":")
            metrics = MetricsRoute(Metrics(self._plant, self).render, web.metrics_allow)
            health = HealthServer(host.strip("[]"), int(port), self._plant.healthy, metrics)
            await health.start()
            stack.push_async_callback(health.stop)

    async def _serve_control(self, stack: contextlib.AsyncExitStack, control: Control) -> None:
        server = ControlServer(self._plant.site.control_path, control)
        await server.start()
        stack.push_async_callback(server.stop)
