"""The BACnet/IP server as the rest of the gateway sees it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network

from bacpypes3.comm import bind
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import GlobalBroadcast, IPv4Address

from gateway.addressing import PlacedPoint
from gateway.engine.ports import Commands
from gateway.engine.table import PointTable
from gateway.servers.bacnet.device import Identity
from gateway.servers.bacnet.discovery import Discovery
from gateway.servers.bacnet.link import Link, UdpPort
from gateway.servers.bacnet.services import Reads
from gateway.servers.bacnet.stack import Responder
from gateway.servers.bacnet.status import Client, Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.writes import Writes

DEFAULT_PORT = 47808


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
        write_networks: clients that may write; none of them, nobody may.
        object_name: template with `{source}` `{kind}` `{name}` `{point}`.
        site: Location of the Device object.

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
        write_networks: Sequence[IPv4Network],
        object_name: str = "{source}.{name}.{point}",
        site: str = "",
    ) -> None:
        self._interface, self.port = parse_address(address)
        identity = Identity(device_instance, device_name, vendor_id, version, site)
        # Clients cache by Database_Revision, and objects may have changed while we were down: begin at the time.
        revision = int(time.time())
        self._store = ObjectStore(identity, self._interface, table, commands, object_name, revision)
        self.traffic = Traffic()
        writes = Writes(self._store, commands, write_networks, self.traffic.wrote)
        self._parts = Reads(self._store), writes, Discovery(self._store, vendor_id), self.traffic
        self._udp: UdpPort | None = None

    async def start(self) -> None:
        """Listens and announces the device.

        Raises:
            OSError: `bacnet: cannot listen on ...`.
        """
        logging.getLogger("bacpypes3").setLevel(logging.CRITICAL)  # it logs a traceback per malformed packet
        responder, network, element = Responder(*self._parts), NetworkServiceAccessPoint(), NetworkServiceElement()
        udp = UdpPort(self._interface, self.traffic)
        self.port = await udp.open(self.port, responder.quick)
        bind(element, network)
        bind(responder, network)
        network.bind(Link(udp), address=IPv4Address(f"{self._interface}:{self.port}"))
        self._store.listen_on(self.port)
        self._udp = udp
        await responder.announce(GlobalBroadcast())

    async def stop(self) -> None:
        """Closes the sockets; requests on their way get no answer."""
        if self._udp is not None:
            udp, self._udp = self._udp, None
            await udp.close()

    def place(self, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Serves more points, each with its index in the table; points that are served already stay as they are.

        Raises:
            ValueError: an object instance is out of range or taken by another point.
        """
        self._store.place(points)

    @property
    def counters(self) -> dict[str, int]:
        """Requests, errors (Error, Reject, Abort), accepted writes, dropped datagrams, and objects."""
        traffic = self.traffic
        return {
            "requests": traffic.requests,
            "errors": traffic.errors,
            "writes": traffic.writes,
            "dropped": traffic.dropped,
            "objects": len(self._store),
        }

    @property
    def clients(self) -> list[Client]:
        """At most 256 recent peers, the newest first."""
        return self.traffic.clients
