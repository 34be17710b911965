"""Who listens for the site: Modbus TCP, BACnet/IP, the web listener and the control socket.

Rules of this file: a port answers only when the map stands; every port that cannot be bound is told at the key that
names it; each server takes a new configuration by an `apply` of its own, without losing whoever is connected; one
that could not listen after a reload is tried again until it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import IPv4Network

import structlog

from gateway import __version__
from gateway.app.alarming import class_config
from gateway.app.bacnet import Revisions, bacnet_terms, virtual_network
from gateway.app.changes import MODBUS_FILES, WEB_FILES
from gateway.app.control import Control
from gateway.app.load import Site
from gateway.app.modbus import modbus_groups, modbus_map, modbus_security, modbus_server
from gateway.app.page.tls import page_tls
from gateway.app.plant import Placed, Plant
from gateway.app.ports import Ports, split_listen
from gateway.app.upstream import Spawn
from gateway.app.web import WebListener
from gateway.config import Config
from gateway.config.strict_yaml import KeyPath
from gateway.config.web import WebTls
from gateway.core.errors import ConfigError, Fault
from gateway.engine.resource import Resource
from gateway.servers.bacnet import BacnetServer, parse_address
from gateway.servers.modbus import ModbusServer
from gateway.web import ControlServer

MODBUS, MODBUS_TLS, BACNET, WEB = (
    ("modbus", "listen"),
    ("modbus", "tls", "listen"),
    ("bacnet", "address"),
    ("web", "listen"),
)
LIVE_BACNET = {
    *("write", "object_name", "lease_s", "on_bms_loss", "heartbeat"),
    *("notification_classes", "cov_per_peer", "cov_total"),
}
"""What a BACnet server takes over without its clients noticing."""
BACNET_ALARMS = "bacnet."
"""How the keys of a BACnet server's alarms begin."""
RETRY_S = 5.0
"""How often a server is tried again that could not listen after a reload."""
log = structlog.get_logger("gateway")


class Listeners:
    """The servers of a site; None for one that is not configured. `stop` is what ReinitializeDevice asks for."""

    def __init__(self, plant: Plant, stop: Callable[[], None]) -> None:
        self._plant, self._stop = plant, stop
        self.modbus: ModbusServer | None = None
        self.bacnet: BacnetServer | None = None
        self.web: WebListener | None = None
        self._revisions: Revisions | None = None
        self._shown = plant.site.config
        self._failed: set[str] = set()
        self._one = asyncio.Lock()

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
        self._spawn, self._control, self._shown = spawn, control, self._plant.site.config
        stack.push_async_callback(self.stop)
        faults: list[Fault] = []
        servers: tuple[tuple[KeyPath, Callable[[], Awaitable[None]]], ...] = (
            (("modbus", "listen"), self._serve_modbus),
            (("bacnet", "address"), self._serve_bacnet),
            (("web", "listen"), self._serve_web),
            (("state_dir",), lambda: self._serve_control(stack, control)),
        )
        for at, serve in servers:
            try:
                await serve()
            except OSError as error:
                faults.append(self._plant.site.loaded.document.fault(at, str(error.strerror or error)))
        if faults:
            raise ConfigError(faults)

    async def stop(self) -> None:
        """Closes every port but the control socket."""
        for server in (self.web, self.bacnet, self.modbus):
            if server is not None:
                await server.stop()

    async def _serve_modbus(self, sock: socket.socket | None = None, secure_sock: socket.socket | None = None) -> None:
        """Listens on sockets that are bound already, if they are given."""
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
            spawn=self._spawn,
            on_refused=plant.refusals,
            observatory=plant.observatory,
        )
        self.modbus.place(list(plant.placed.items()))
        try:
            await self.modbus.start(sock, secure_sock)
        except OSError:
            self.modbus = None  # nobody waits for the turns of what does not listen
            raise

    async def _serve_bacnet(self) -> None:
        server = self.bacnet = self.make_bacnet(self._spawn)
        if server is None:
            return
        try:
            await server.start()
        except OSError:
            self.bacnet = None
            await server.stop()
            raise

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

    async def _serve_web(self) -> None:
        config = self._plant.site.config.web
        if self.web is None:
            self.web = WebListener(self._plant, self, self._control, self._spawn)
        if config is not None:
            await self.web.start(config)

    async def _serve_control(self, stack: contextlib.AsyncExitStack, control: Control) -> None:
        server = ControlServer(self._plant.site.control_path, control)
        await server.start()
        stack.push_async_callback(server.stop)

    # -- a reload ------------------------------------------------------------------------------------------------

    def prepare(self, site: Site) -> Ports:
        """Takes every address that the servers would move to, and looks at every file that they would need.

        Raises:
            ConfigError: what cannot be had, at the keys that name it; nothing is held then.
        """
        old, new = self._shown, site.config
        ports = Ports(site.loaded.document, self._own_ports())
        at: KeyPath = ("modbus", "tls")
        try:
            if new.modbus is not None:
                if old.modbus is None or old.modbus.listen != new.modbus.listen:
                    ports.reserve(MODBUS, *split_listen(new.modbus.listen))
                if new.modbus.tls is not None:
                    if old.modbus is None or old.modbus.tls is None or old.modbus.tls.listen != new.modbus.tls.listen:
                        ports.reserve(MODBUS_TLS, *split_listen(new.modbus.tls.listen))
                    modbus_security(site.loaded, new.modbus.tls).context()
            if new.bacnet is not None:
                bacnet_terms(new.bacnet, site.loaded, self._stop)
                if old.bacnet is None or old.bacnet.address != new.bacnet.address:
                    interface, port = parse_address(new.bacnet.address)
                    ports.reserve(BACNET, str(interface.ip), port, socket.SOCK_DGRAM)
            at = ("web",)
            if new.web is not None and (new.web != old.web or isinstance(new.web.tls, WebTls)):
                page_tls(site, new.web, self._plant.clock.wall())
                if old.web is None or old.web.listen != new.web.listen:
                    ports.reserve(WEB, *split_listen(new.web.listen))
        except ConfigError as error:
            ports.faults += error.faults
        except OSError as error:
            ports.faults.append(site.loaded.document.fault(at, str(error.strerror or error)))
        if ports.faults:
            ports.close()
            raise ConfigError(ports.faults)
        return ports

    def _own_ports(self) -> set[int]:
        """Where it listens now."""
        servers = (self.modbus, self.bacnet, self.web)
        found = {server.port for server in servers if server is not None}
        secure = self.modbus.secure_port if self.modbus is not None else None
        return found | ({secure} if secure else set())

    def show(self, *, remapped: bool) -> None:
        """Servers that stay show the plant as it is now, from this step of the loop on."""
        plant, old, new = self._plant, self._shown, self._plant.site.config
        points = list(plant.placed.items())
        if self.modbus is not None and new.modbus is not None:
            if remapped:
                self.modbus.rebuild(points, **modbus_map(new.modbus, plant.units, plant.placed.values()))
            self.modbus.admit(
                modbus_groups(new.modbus),
                max_connections=new.modbus.max_connections,
                max_per_address=new.modbus.max_per_address,
                site=new.site,
            )
        if self.bacnet is not None and new.bacnet is not None and not _is_another(old, new):
            if remapped or (old.bacnet is not None and old.bacnet.object_name != new.bacnet.object_name):
                self.bacnet.rebuild(points, new.bacnet.object_name)
            self.bacnet.admit([network for network in new.bacnet.write if isinstance(network, IPv4Network)])
            self.bacnet.retune(
                list(map(class_config, new.bacnet.notification_classes)),
                cov_per_peer=new.bacnet.cov_per_peer,
                cov_total=new.bacnet.cov_total,
            )

    async def apply(self, ports: Ports, renewed: Collection[str] = ()) -> None:
        """Servers that move do so, with the addresses that were taken for them; others begin, or end.

        `renewed` are those whose certificate files say something else now.
        """
        async with self._one:
            old, new = self._shown, self._plant.site.config
            self._shown = new
            for what, work in (
                ("modbus", self._apply_modbus(old, new, ports, renewed=MODBUS_FILES in renewed)),
                ("bacnet", self._apply_bacnet(old, new, ports)),
                ("web", self._apply_web(old, new, ports, renewed=WEB_FILES in renewed)),
            ):
                await self._attempt(what, work)
            ports.close()

    async def run(self) -> None:
        """Tries servers again that could not listen after a reload, until cancelled.

        An address is free again when whoever took it goes, or when a network comes back (FAULTS M12).
        """
        while True:
            await asyncio.sleep(RETRY_S)
            async with self._one:
                for what in sorted(self._failed):
                    await self._attempt(what, self._again(what))

    def _again(self, what: str) -> Awaitable[None]:
        config, nothing = self._plant.site.config, Ports(self._plant.site.loaded.document)
        match what:
            case "modbus":
                return self._apply_modbus(config, config, nothing, renewed=True)
            case "bacnet":
                return self._apply_bacnet(config, config, nothing)
        return self._apply_web(config, config, nothing, renewed=True)

    async def _attempt(self, what: str, work: Awaitable[None]) -> None:
        """One server's change; where it fails, an alarm stands until another attempt went well."""
        alarm = f"{what}.reload"
        try:
            await work
        except (ConfigError, OSError) as error:
            text = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
            if what not in self._failed:
                log.critical("gateway.not_listening", server=what, reason=text)
            self._failed.add(what)
            self._plant.alarms.set(alarm, f"{text}; it is tried again every {RETRY_S:g} s")
        else:
            self._failed.discard(what)
            self._plant.alarms.clear(alarm)

    async def _apply_modbus(self, old: Config, new: Config, ports: Ports, *, renewed: bool) -> None:
        server, sock, secure_sock = self.modbus, ports.take(MODBUS), ports.take(MODBUS_TLS)
        if server is None or new.modbus is None:
            self.modbus = None
            if server is not None:
                await server.stop()
            await self._serve_modbus(sock, secure_sock)
            return
        if sock is not None:
            await server.move(*split_listen(new.modbus.listen), sock)
        if renewed or old.modbus is None or old.modbus.tls != new.modbus.tls:
            tls = new.modbus.tls
            security = None if tls is None else modbus_security(self._plant.site.loaded, tls)
            await server.secure(security, secure_sock)

    async def _apply_bacnet(self, old: Config, new: Config, ports: Ports) -> None:
        server = self.bacnet
        if server is not None and new.bacnet is not None and not _is_another(old, new):
            return
        if server is not None:
            self.bacnet = None
            await server.stop()
            for alarm in self._plant.alarms.texts():
                if alarm.startswith(BACNET_ALARMS):
                    self._plant.alarms.clear(alarm)  # nobody else would; a server that still finds it tells it again
        ports.free(BACNET)
        await self._serve_bacnet()

    async def _apply_web(self, old: Config, new: Config, ports: Ports, *, renewed: bool) -> None:
        if old.web == new.web and not renewed and "web" not in self._failed:
            return
        if self.web is not None:
            await self.web.stop()
        ports.free(WEB)
        await self._serve_web()


def _is_another(old: Config, new: Config) -> bool:
    """Whether BACnet clients would find another device, or another way to it: their subscriptions are then over."""
    one, other = (
        (config.site, config.bacnet and config.bacnet.model_dump(exclude=LIVE_BACNET)) for config in (old, new)
    )
    return one != other
