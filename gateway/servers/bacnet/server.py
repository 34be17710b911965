"""The BACnet/IP server as the rest of the gateway sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from bacpypes3.comm import bind
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import IPv4Address

from gateway.addressing import PlacedPoint
from gateway.engine.alarms import Alarms
from gateway.engine.ports import Clock, Commands, OnRefused
from gateway.engine.table import PointTable
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.cov_requests import CovRequests
from gateway.servers.bacnet.device import Identity
from gateway.servers.bacnet.discovery import Discovery
from gateway.servers.bacnet.foreign import ForeignLink, Registration
from gateway.servers.bacnet.link import Link, UdpPort
from gateway.servers.bacnet.management import Management
from gateway.servers.bacnet.presence import Presence
from gateway.servers.bacnet.revision import Keeper
from gateway.servers.bacnet.services import Reads
from gateway.servers.bacnet.stack import Parts, Responder
from gateway.servers.bacnet.status import Client, Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.timekeeping import Timekeeping, TimeSync
from gateway.servers.bacnet.upkeep import Upkeep
from gateway.servers.bacnet.writes import Writes

DEFAULT_PORT = 47808
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


def parse_address(address: str) -> tuple[IPv4Interface, int]:
    """`10.0.0.5/24:47808` to interface and UDP port; mask (else no broadcasts) and port may be left out.

    Raises:
        ValueError: it is not such an address.
    """
    where, _, port = address.partition(":")
    number = int(port) if port else DEFAULT_PORT
    if not 0 <= number <= 65535:
        raise ValueError(f"bacnet: {number} is not a UDP port")
    return IPv4Interface(where), number


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator settled.

    `foreign` is a BBMD (`10.0.0.1:47808`) and the time to live in seconds; `restart` carries out ReinitializeDevice.
    """

    write_networks: Sequence[IPv4Network] = ()
    object_name: str = "{source}.{name}.{point}"
    cov_per_peer: int = 10_000
    cov_total: int = 20_000
    password: str | None = field(default=None, repr=False)
    restart: Callable[[], None] | None = None
    foreign: tuple[str, int] | None = None


class BacnetServer:
    """One BACnet device that shows the points of a table and passes writes to commands.

    Args:
        address: IPv4 address, mask and UDP port, e.g. `10.0.0.5/24:47808`; without a mask broadcasts are not heard.
        device_instance: 0..4194302.
        device_name: Object_Name of the Device object.
        vendor_id: ASHRAE vendor identifier.
        version: Firmware_Revision and Application_Software_Version.
        table: the points.
        commands: takes writes, has the priority arrays.
        terms: who may do what, and how much.
        site: Location of the Device object.
        keeper: of Database_Revision.
        clock: time of subscriptions and registrations.
        alarms: a doubled device number, a lost interface or BBMD, silence ordered by somebody.
        spawn: starts the task that sends notifications; it ends with `stop`.

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
    ) -> None:
        self._interface, self.port = parse_address(address)
        now = clock.monotonic
        bbmd = parse_address(terms.foreign[0]) if terms.foreign else None
        known_as = (str(bbmd[0].ip), bbmd[1], terms.foreign[1]) if bbmd and terms.foreign else None
        restarts = terms.restart is not None
        identity = Identity(device_instance, device_name, vendor_id, version, site, restarts, known_as)
        self._store = store = ObjectStore(identity, self._interface, table, commands, terms.object_name, keeper)
        self.traffic = Traffic()
        self._awake = asyncio.Event()
        cov = Cov(store, per_peer=terms.cov_per_peer, total=terms.cov_total, now=now, wake=self._awake.set)
        management = Management(
            cov, terms.write_networks, password=terms.password, restart=terms.restart, alarms=alarms, now=now
        )
        self._parts = Parts(
            Reads(store),
            Writes(store, commands, terms.write_networks, self.traffic.wrote, on_refused),
            Discovery(store, vendor_id),
            cov,
            CovRequests(store, cov),
            management,
            Timekeeping(clock, store.device),
            Presence(store.device.key, alarms, now, self._deaf(foreign=bbmd is not None)),
            self.traffic,
        )
        self._registration: Registration | None = None
        if known_as is not None:
            host, port, ttl_s = known_as
            self._registration = Registration(IPv4Address((host, port)), ttl_s, alarms, now, self._announce_soon)
        self._alarms, self._now, self._spawn = alarms, now, spawn
        self._udp: UdpPort | None = None
        self._upkeep: Upkeep | None = None
        self._task: asyncio.Task[None] | None = None

    def _deaf(self, *, foreign: bool) -> str:
        if foreign or self._interface.network.prefixlen < 31:
            return ""
        return "bacnet.address has no mask (such as /24): broadcasts are not heard, and a BMS cannot find the gateway"

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
        responder, network, element = Responder(self._parts), NetworkServiceAccessPoint(), NetworkServiceElement()
        udp = UdpPort(self._interface, self.traffic)
        self.port = await udp.open(self.port, responder.quick)
        bind(element, network)
        bind(responder, network)
        registration = self._registration
        link = Link(udp) if registration is None else ForeignLink(udp, registration)
        network.bind(link, address=IPv4Address(f"{self._interface}:{self.port}"))
        self._store.listen_on(self.port)
        self._store.revision.settle()
        self._udp = udp
        self._upkeep = Upkeep(responder, self._parts, udp, registration, self._alarms, self._now)
        await self._upkeep.tick()
        self._task = self._spawn(self._upkeep.run(self._awake))

    async def stop(self) -> None:
        """Closes the sockets; requests on their way get no answer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._udp is not None:
            udp, self._udp = self._udp, None
            if self._registration is not None:
                udp.send(self._registration.farewell(udp.local_address), self._registration.bbmd.addrTuple)
            await udp.close()

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Serves more points, each with its index in the table; points that are served already stay as they are.

        Raises:
            ValueError: an object instance is out of range or taken by another point.
        """
        self._store.place(points)

    @property
    def counters(self) -> dict[str, int]:
        """Requests, errors (Error, Reject, Abort), accepted writes, dropped datagrams, objects, and notifications."""
        traffic, cov = self.traffic, self._parts.cov
        return {
            "requests": traffic.requests,
            "errors": traffic.errors,
            "writes": traffic.writes,
            "dropped": traffic.dropped,
            "objects": len(self._store),
            "subscriptions": len(cov.book),
            "notifications": cov.sent,
        }

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
