"""How the gateway stands in the BACnet/IP network: its address, its Network Port objects, and the layers below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from bacpypes3.comm import bind
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import IPv4Address

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet.device import (
    NUMBER_CONFIGURED,
    NUMBER_LEARNED,
    NUMBER_UNKNOWN,
    IpPort,
    PortRecord,
    VirtualPortRecord,
)
from gateway.servers.bacnet.foreign import ForeignLink, Registration
from gateway.servers.bacnet.link import Link, UdpPort
from gateway.servers.bacnet.revision import Keeper
from gateway.servers.bacnet.routing import Router
from gateway.servers.bacnet.stack import Responder
from gateway.servers.bacnet.standard import WILDCARD
from gateway.servers.bacnet.status import Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.virtual import Fleet, mac_of

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


@dataclass(frozen=True, slots=True)
class Virtual:
    """Virtual devices behind the gateway's router.

    `network` is the number of their network, `ip_network` that of the BACnet/IP one (0: nobody said). `device_name` is
    the template of their names, `keeper` gives the one of a device's Database_Revision by its instance.
    """

    network: int
    device_name: str
    keeper: Callable[[int], Keeper]
    ip_network: int = 0


@dataclass(frozen=True, slots=True)
class VirtualDevices:
    """How many virtual devices there are in which network, and their first and last instance."""

    network: int
    count: int
    first: int
    last: int


class Attachment:
    """The gateway's place.

    Args:
        address: as of `parse_address`.
        store: of the gateway's own device; gets the Network Port objects.
        foreign: address, UDP port and time to live at a BBMD.
        virtual: the network behind us, if there is one.

    Raises:
        ValueError: the address is none.
    """

    def __init__(
        self,
        address: str,
        store: ObjectStore,
        foreign: tuple[str, int, int] | None,
        virtual: Virtual | None,
    ) -> None:
        self.interface, self.port = parse_address(address)
        self._store, self._virtual, self._foreign = store, virtual, foreign
        number = virtual.ip_network if virtual is not None else 0
        quality = NUMBER_CONFIGURED if number else NUMBER_UNKNOWN
        self._show(IpPort(self.interface, foreign=foreign, network=number, quality=quality))
        if virtual is not None:
            mac = mac_of(store.device.key & WILDCARD)
            store.put(VirtualPortRecord(virtual.network, mac, routes=True))

    def _show(self, port: IpPort) -> None:
        self._shown = port
        self._store.put(PortRecord(port, routes=self._virtual is not None))

    def networks(self) -> list[int]:
        """Numbers of the networks that are here, 0 for one that nobody told."""
        return [self._shown.network, *([self._virtual.network] if self._virtual is not None else [])]

    @property
    def deaf(self) -> str:
        """Why broadcasts are not heard, "" if they are."""
        if self._foreign or self.interface.network.prefixlen < 31:
            return ""
        return "bacnet.address has no mask (such as /24): broadcasts are not heard, and a BMS cannot find the gateway"

    async def open(
        self,
        responder: Responder,
        registration: Registration | None,
        fleet: Fleet | None,
        *,
        traffic: Traffic,
        alarms: Alarms,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> tuple[UdpPort, Router | None]:
        """Listens; everything below the application layer, and the router if there is a fleet.

        Raises:
            OSError: `bacnet: cannot listen on ...`.
        """
        udp, router = UdpPort(self.interface, traffic), None
        if fleet is not None and self._virtual is not None:
            router = Router(
                fleet,
                self._virtual.network,
                self._virtual.ip_network,
                udp=udp,
                own=responder.quick,
                traffic=traffic,
                alarms=alarms,
                now=now,
                wake=wake,
                on_number=lambda number: self._show(replace(self._shown, network=number, quality=NUMBER_LEARNED)),
            )
        self.port = await udp.open(self.port, responder.quick if router is None else router.quick)
        network = NetworkServiceAccessPoint()
        bind(NetworkServiceElement(), network)
        bind(responder, network)
        link = Link(udp) if registration is None else ForeignLink(udp, registration)
        if router is not None:
            bind(router, link)
        network.bind(link if router is None else router, address=IPv4Address(f"{self.interface}:{self.port}"))
        self._show(replace(self._shown, udp_port=self.port))
        return udp, router
