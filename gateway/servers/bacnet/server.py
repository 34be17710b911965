"""The BACnet/IP server as the rest of the gateway sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from bacpypes3.pdu import IPv4Address

from gateway.addressing import PlacedDevice, PlacedPoint
from gateway.engine.alarms import Alarms
from gateway.engine.history import History
from gateway.engine.observatory import Observatory
from gateway.engine.ports import Clock, Commands, OnRefused
from gateway.engine.table import PointTable
from gateway.servers.bacnet.attachment import Attachment, Virtual, VirtualDevices, parse_address
from gateway.servers.bacnet.board import Board
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.describe import Described, DeviceWords, describe, device_words
from gateway.servers.bacnet.device import Identity, VirtualPortRecord
from gateway.servers.bacnet.equipment import Equipment, Terms, alarm_reporting
from gateway.servers.bacnet.foreign import Registration
from gateway.servers.bacnet.link import UdpPort
from gateway.servers.bacnet.notification_classes import ClassConfig
from gateway.servers.bacnet.presence import Presence
from gateway.servers.bacnet.revision import Keeper
from gateway.servers.bacnet.stack import Responder
from gateway.servers.bacnet.status import Client, Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.timekeeping import Timekeeping, TimeSync
from gateway.servers.bacnet.upkeep import Upkeep
from gateway.servers.bacnet.virtual import Fleet, mac_of
from gateway.servers.bacnet.watcher import Watcher

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class BacnetServer:
    """A BACnet device, and virtual ones behind it, that show the points of a table and pass writes to commands.

    Args:
        address: IPv4 address, mask and UDP port, e.g. `10.0.0.5/24:47808`; without a mask broadcasts are not heard.
        device_instance: 0..4194302.
        device_name: Object_Name of the Device object.
        vendor_id: ASHRAE vendor identifier.
        version: Firmware_Revision and Application_Software_Version.
        table: the points.
        commands: takes writes, has the priority arrays.
        terms: who may do what, and how much.
        virtual: there are virtual devices; points that name one are served there.
        history: what Trend Logs show; left out: there are none.
        site: Location of the Device object.
        keeper: of Database_Revision.
        clock: time of subscriptions and registrations.
        alarms: a doubled device number, a lost interface or BBMD, silence ordered by somebody.
        spawn: starts the task that sends notifications; it ends with `stop`.
        observatory: where it is noted what clients do; None: nowhere.

    Raises:
        ValueError: address, instance or template are wrong.

    Attributes:
        port: UDP port; the one really used after `start` if the address said 0.
        traffic: counters and recent clients.
    """

    def __init__(
        self,
        *,
        address: str,
        device_instance: int,
        device_name: str,
        vendor_id: int = 999,
        version: str,
        table: PointTable,
        commands: Commands,
        terms: Terms,
        site: str = "",
        keeper: Keeper,
        clock: Clock,
        alarms: Alarms,
        spawn: Spawn,
        on_refused: OnRefused = lambda _place, _origin, _why: None,
        virtual: Virtual | None = None,
        observatory: Observatory | None = None,
        history: History | None = None,
    ) -> None:
        self._writers = list(terms.write_networks)
        terms = replace(terms, write_networks=self._writers)
        now = clock.monotonic
        bbmd = parse_address(terms.foreign[0]) if terms.foreign else None
        known_as = (str(bbmd[0].ip), bbmd[1], terms.foreign[1]) if bbmd and terms.foreign else None
        self._identity = Identity(device_instance, device_name, vendor_id, version, site, terms.restart is not None)
        self._board = Board(table, terms.alarms.desk if terms.alarms is not None else None, history)
        self._commands, self._template = commands, terms.object_name
        self._store = ObjectStore(self._identity, self._board, commands, terms.object_name, keeper)
        self._attachment = Attachment(address, self._store, known_as, virtual)
        self.port = self._attachment.port
        self.traffic = Traffic()
        self._awake = asyncio.Event()
        wake = self._awake.set
        self._timekeeping = Timekeeping(clock)
        self.fleet = self._fleet_of(virtual) if virtual is not None else None
        cov = Cov(self._board, per_peer=terms.cov_per_peer, total=terms.cov_total, now=now, wake=wake)
        own = self._store.device.key
        self._reporting = alarm_reporting(terms, self._board, cov, own, alarms, now, wake, on_refused)
        self._furnish(self._store)
        numbers = self.fleet.numbers if self.fleet is not None else []
        presence = Presence(device_instance, numbers, alarms, now, self._attachment.deaf)
        self._watcher = Watcher(observatory, self.traffic, cov, terms.write_networks, self._attachment.networks)
        self._equipment = Equipment(
            terms,
            vendor_id,
            commands,
            alarms,
            now,
            on_refused,
            cov=cov,
            timekeeping=self._timekeeping,
            presence=presence,
            traffic=self.traffic,
            watcher=self._watcher,
            reporting=self._reporting,
        )
        self._parts = self._equipment.parts(self._store)
        self._registration: Registration | None = None
        if known_as is not None:
            host, port, ttl_s = known_as
            self._registration = Registration(IPv4Address((host, port)), ttl_s, alarms, now, self._announce_soon)
        self._alarms, self._now, self._spawn = alarms, now, spawn
        self._udp: UdpPort | None = None
        self._upkeep: Upkeep | None = None
        self._task: asyncio.Task[None] | None = None

    def _furnish(self, store: ObjectStore) -> None:
        if self._reporting is not None:
            self._reporting.furnish(store)

    # -- virtual devices -----------------------------------------------------------------------------------------

    def _fleet_of(self, virtual: Virtual) -> Fleet:
        """The devices, none yet."""
        names, vendor_id = (virtual.device_name, [self._identity.name]), self._identity.vendor_id
        return Fleet(
            vendor_id,
            *names,
            lambda placed, name: self._open(virtual, placed, name),
            lambda store: Responder(self._equipment.parts(store, virtual=True)),
            self._timekeeping,
            self._awake.set,
        )

    def _open(self, virtual: Virtual, placed: PlacedDevice, name: str) -> ObjectStore:
        """The objects of a new device."""
        instance = placed.instance
        identity = replace(self._identity, instance=instance, name=name, may_restart=False, description=placed.label)
        store = ObjectStore(identity, self._board, self._commands, self._template, virtual.keeper(instance))
        store.put(VirtualPortRecord(virtual.network, mac_of(instance)))
        self._furnish(store)
        return store

    # -- life ----------------------------------------------------------------------------------------------------

    def _announce_soon(self) -> None:
        if self._upkeep is not None:
            self._upkeep.announce = True
        self._awake.set()

    async def start(self) -> None:
        """Listens and announces the device.

        Raises:
            OSError: `bacnet: cannot listen on ...`.
        """
        logging.getLogger("bacpypes3").setLevel(logging.CRITICAL)  # it logs a traceback per malformed packet
        responder, registration = Responder(self._parts), self._registration
        udp, router = await self._attachment.open(
            responder,
            registration,
            self.fleet,
            traffic=self.traffic,
            alarms=self._alarms,
            now=self._now,
            wake=self._awake.set,
        )
        self.port = self._attachment.port
        self._store.revision.settle()
        if self.fleet is not None and router is not None:
            self.fleet.start(router.send)
        if self._reporting is not None:
            self._reporting.open()
        self._udp = udp
        self._upkeep = Upkeep(responder, self._parts, udp, registration, self._alarms, self._now, router)
        await self._upkeep.tick()
        self._watcher.begin()
        self._task = self._spawn(self._upkeep.run(self._awake))

    async def stop(self) -> None:
        """Closes the sockets; requests on their way get no answer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._udp is not None:
            udp, self._udp = self._udp, None
            self._watcher.end()
            if self._reporting is not None:
                self._reporting.close()
            if self._registration is not None:
                udp.send(self._registration.farewell(udp.local_address), self._registration.bbmd.addrTuple)
            await udp.close()
        self._board.close()

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Serves more points, each with its index in the table; points that are served already stay as they are.

        Raises:
            ValueError: an object instance is out of range or taken by another point.
        """
        own = [point for point in points if point[1].device is None]
        self._store.place(own)
        if self.fleet is not None and self.fleet.place(points):
            self._parts.presence.ask_soon()

    def rebuild(self, points: Sequence[tuple[int, PlacedPoint]], object_name: str) -> None:
        """Exactly these points from now on, under names of this template; subscriptions to what still exists go on.

        Raises:
            ValueError: as place, or the template is wrong.
        """
        self._template = object_name
        self._equipment.forget_plans()
        self._store.rebuild([point for point in points if point[1].device is None], object_name)
        if self.fleet is not None:
            self.fleet.rebuild(points, object_name)
            self._parts.presence.ask_soon()
        self._parts.cov.prune({store.device.key for store in self._stores})

    def admit(self, networks: Sequence[IPv4Network]) -> None:
        """Other networks may write from now on."""
        self._writers[:] = networks

    def retune(self, classes: Sequence[ClassConfig], *, cov_per_peer: int, cov_total: int) -> None:
        """Other notification classes and caps of subscriptions from now on; subscriptions there are go on."""
        self._parts.cov.book.resize(cov_per_peer, cov_total)
        if self._reporting is not None and self._reporting.classes.configs != list(classes):
            self._equipment.forget_plans()
            self._reporting.reclass(classes, self._stores)

    @property
    def _stores(self) -> list[ObjectStore]:
        return [self._store, *([] if self.fleet is None else [device.store for device in self.fleet])]

    @property
    def turns(self) -> int:
        """Counts on as long as the server's own task goes on."""
        return 0 if self._upkeep is None else self._upkeep.turns

    def describe(self) -> Iterator[Described]:
        """Every object of every device as a client reads it."""
        return describe(self._stores)

    @property
    def words(self) -> DeviceWords:
        """What the gateway's own device says of itself."""
        return device_words(self._store)

    @property
    def counters(self) -> dict[str, int]:
        """Requests, errors (Error, Reject, Abort), accepted writes, dropped datagrams, and what there is."""
        traffic, cov = self.traffic, self._parts.cov
        return {
            "requests": traffic.requests,
            "errors": traffic.errors,
            "writes": traffic.writes,
            "dropped": traffic.dropped,
            "devices": 1 + (len(self.fleet) if self.fleet is not None else 0),
            "objects": len(self._store) + (self.fleet.objects if self.fleet is not None else 0),
            "subscriptions": len(cov.book),
            "notifications": cov.sent,
        }

    @property
    def virtual_devices(self) -> VirtualDevices | None:
        """What stands behind the router, None if there is none."""
        if self.fleet is None:
            return None
        numbers = self.fleet.numbers
        first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
        return VirtualDevices(self._attachment.networks()[-1], len(numbers), first, last)

    @property
    def clients(self) -> list[Client]:
        """At most 256 recent peers, the newest first."""
        return self.traffic.clients

    @property
    def time_sync(self) -> TimeSync | None:
        """The last time synchronisation; the gateway's clock does not follow it."""
        return self._parts.timekeeping.last

    @property
    def hint(self) -> str:
        """Why a BMS may not find the device, in words; "" while there is nothing to say."""
        return self._parts.presence.hint
