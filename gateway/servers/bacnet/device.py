"""The Device and Network Port objects (ASHRAE 135 clauses 12.11 and 12.56); all of it is read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import FLAGS_NORMAL, Items, Record, shape
from gateway.servers.bacnet.revision import DatabaseRevision
from gateway.servers.bacnet.standard import (
    MAX_APDU,
    MAX_SEGMENTS,
    OBJECT_TYPES,
    PROTOCOL_REVISION,
    REINITIALIZE_BIT,
    SERVICE_BIT_COUNT,
    SERVICE_BITS,
    Prop,
    object_key,
)

VENDOR_NAME = "EVCE gateway"
MODEL_NAME = "EVCE gateway"
DESCRIPTION = "EV charging as BACnet objects"
OBJECT_TYPE_BITS = 65
"""BACnetObjectTypesSupported as of protocol revision 22: types 0..64."""
APDU_TIMEOUT_MS = 3000
APDU_SEGMENT_TIMEOUT_MS = 2000
APDU_RETRIES = 3
NETWORK_PORT_INSTANCE, VIRTUAL_PORT_INSTANCE = 1, 2
"""The port by which requests come in, and the router's other one."""
OPERATIONAL, SEGMENTED_BOTH = 0, 0
IPV4, VIRTUAL = 5, 7
BACNET_APPLICATION, NORMAL_MODE, FOREIGN_MODE = 2, 0, 1
NUMBER_UNKNOWN, NUMBER_LEARNED, NUMBER_CONFIGURED = 0, 1, 3
LIVE = (
    Prop.ACTIVE_COV_SUBSCRIPTIONS,
    Prop.LOCAL_DATE,
    Prop.LOCAL_TIME,
    Prop.UTC_OFFSET,
    Prop.DAYLIGHT_SAVINGS_STATUS,
)
"""Properties of the Device object that its other parts answer for."""
NO_ADDRESS = b"\x00\x00\x00\x00"
HEAD = (Prop.OBJECT_IDENTIFIER, Prop.OBJECT_NAME, Prop.OBJECT_TYPE)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device says it is; `site` is its Location."""

    instance: int
    name: str
    vendor_id: int
    version: str
    site: str
    may_restart: bool = False
    description: str = DESCRIPTION


class FixedRecord(Record):
    """An object whose properties are octets that were made once."""

    __slots__ = ("_fixed",)

    def __init__(
        self, key: int, name: str, fixed: Mapping[int, bytes], arrays: tuple[int, ...], optional: set[int]
    ) -> None:
        self._fixed = fixed
        required = (*HEAD, *(prop for prop in fixed if prop not in optional), *arrays, Prop.PROPERTY_LIST)
        super().__init__(key, name, shape(required, tuple(prop for prop in fixed if prop in optional)))

    def single(self, prop: int) -> bytes:
        return self._fixed[prop] if prop in self._fixed else super().single(prop)


class DeviceRecord(FixedRecord):
    """The Device object.

    `revision` is Database_Revision, `live` gives what changes by itself, `listed` the elements of such a list;
    Object_List is kept ready to send.
    """

    __slots__ = ("_identifiers", "_object_list", "description", "listed", "live", "revision")

    arrays = frozenset({Prop.PROPERTY_LIST, Prop.OBJECT_LIST})
    lists = frozenset({Prop.ACTIVE_COV_SUBSCRIPTIONS, Prop.DEVICE_ADDRESS_BINDING})

    def __init__(self, identity: Identity, revision: DatabaseRevision) -> None:
        self.revision = revision
        self.description = identity.description
        self.live: dict[int, Callable[[], bytes]] = {}
        self.listed: dict[int, Callable[[], Items]] = {}
        self._identifiers: list[bytes] = []
        self._object_list = b""
        fixed = _fixed(identity.vendor_id, identity.version, identity.site, identity.may_restart)
        key = object_key("device", identity.instance)
        super().__init__(key, identity.name, fixed, (Prop.OBJECT_LIST,), {Prop.DESCRIPTION, Prop.LOCATION})

    def relist(self, keys: Sequence[int]) -> None:
        """Object_List anew."""
        self._identifiers.clear()
        self.list_objects(keys)

    def list_objects(self, keys: Sequence[int]) -> None:
        """Appends to Object_List."""
        self._identifiers += map(codec.object_id, keys)
        self._object_list = b"".join(self._identifiers)

    def single(self, prop: int) -> bytes:
        if prop == Prop.DATABASE_REVISION:
            return codec.unsigned(self.revision.value)
        if prop == Prop.DESCRIPTION:
            return codec.text(self.description)
        return self.live[prop]() if prop in self.live else super().single(prop)

    def items(self, prop: int) -> Items:
        return self.listed[prop]() if prop in self.listed else super().items(prop)

    def elements(self, prop: int) -> Sequence[bytes]:
        return self._identifiers if prop == Prop.OBJECT_LIST else super().elements(prop)

    def whole(self, prop: int, elements: Sequence[bytes]) -> bytes:
        return self._object_list if prop == Prop.OBJECT_LIST else super().whole(prop, elements)


@lru_cache(maxsize=4)
def _fixed(vendor_id: int, version: str, site: str, may_restart: bool) -> dict[int, bytes]:
    """What all Device objects that are alike have in common; the empty ones are answered for one by one."""
    types = OBJECT_TYPES.values()
    services = {*SERVICE_BITS, REINITIALIZE_BIT} if may_restart else SERVICE_BITS
    return {
        Prop.SYSTEM_STATUS: codec.enumerated(OPERATIONAL),
        Prop.VENDOR_NAME: codec.text(VENDOR_NAME),
        Prop.VENDOR_IDENTIFIER: codec.unsigned(vendor_id),
        Prop.MODEL_NAME: codec.text(MODEL_NAME),
        Prop.FIRMWARE_REVISION: codec.text(version),
        Prop.APPLICATION_SOFTWARE_VERSION: codec.text(version),
        Prop.PROTOCOL_VERSION: codec.unsigned(1),
        Prop.PROTOCOL_REVISION: codec.unsigned(PROTOCOL_REVISION),
        Prop.PROTOCOL_SERVICES_SUPPORTED: codec.bits(bit in services for bit in range(SERVICE_BIT_COUNT)),
        Prop.PROTOCOL_OBJECT_TYPES_SUPPORTED: codec.bits(bit in types for bit in range(OBJECT_TYPE_BITS)),
        Prop.MAX_APDU_LENGTH_ACCEPTED: codec.unsigned(MAX_APDU),
        Prop.SEGMENTATION_SUPPORTED: codec.enumerated(SEGMENTED_BOTH),
        Prop.MAX_SEGMENTS_ACCEPTED: codec.unsigned(MAX_SEGMENTS),
        Prop.APDU_SEGMENT_TIMEOUT: codec.unsigned(APDU_SEGMENT_TIMEOUT_MS),
        Prop.APDU_TIMEOUT: codec.unsigned(APDU_TIMEOUT_MS),
        Prop.NUMBER_OF_APDU_RETRIES: codec.unsigned(APDU_RETRIES),
        Prop.DEVICE_ADDRESS_BINDING: b"",
        Prop.DATABASE_REVISION: b"",
        **dict.fromkeys(LIVE, b""),
        Prop.DESCRIPTION: b"",
        Prop.LOCATION: codec.text(site),
    }


@dataclass(frozen=True, slots=True)
class IpPort:
    """The BACnet/IP port; `foreign` is its BBMD's address, UDP port and time to live.

    `network` is the number of its network, 0 unknown, and `quality` how it is known (BACnetNetworkNumberQuality).
    """

    interface: IPv4Interface
    udp_port: int = 0
    foreign: tuple[str, int, int] | None = None
    network: int = 0
    quality: int = NUMBER_UNKNOWN


class PortRecord(FixedRecord):
    """The Network Port object of the one BACnet/IP port; gateway and name servers are not the gateway's to know."""

    __slots__ = ()

    arrays = frozenset({Prop.PROPERTY_LIST, Prop.IP_DNS_SERVER})
    lists = frozenset({Prop.ROUTING_TABLE})

    def __init__(self, port: IpPort, *, routes: bool = False) -> None:
        interface, udp_port, foreign = port.interface, port.udp_port, port.foreign
        address = interface.ip.packed
        fixed: dict[int, bytes] = {
            **_port(IPV4, port.network, port.quality, routes=routes),
            Prop.LINK_SPEED: codec.real(0.0),
            Prop.MAC_ADDRESS: codec.octets(address + udp_port.to_bytes(2, "big")),
            Prop.BACNET_IP_MODE: codec.enumerated(FOREIGN_MODE if foreign else NORMAL_MODE),
            Prop.IP_ADDRESS: codec.octets(address),
            Prop.BACNET_IP_UDP_PORT: codec.unsigned(udp_port),
            Prop.IP_SUBNET_MASK: codec.octets(interface.netmask.packed),
            Prop.IP_DEFAULT_GATEWAY: codec.octets(NO_ADDRESS),
        }
        if foreign:
            host, bbmd_port, ttl_s = foreign
            address_of = codec.context_octets(1, IPv4Address(host).packed)
            fixed[Prop.FD_BBMD_ADDRESS] = b"\x0e%b\x0f%b" % (address_of, codec.context_unsigned(1, bbmd_port))
            fixed[Prop.FD_SUBSCRIPTION_LIFETIME] = codec.unsigned(ttl_s)
        key = object_key("network-port", NETWORK_PORT_INSTANCE)
        super().__init__(key, "BACnet/IP port", fixed, (Prop.IP_DNS_SERVER,), set())

    def elements(self, prop: int) -> Sequence[bytes]:
        return () if prop == Prop.IP_DNS_SERVER else super().elements(prop)


class VirtualPortRecord(FixedRecord):
    """The Network Port object of a port to the virtual network: a virtual device's, or the router's."""

    __slots__ = ("_mac",)

    lists = frozenset({Prop.ROUTING_TABLE})

    def __init__(self, network: int, mac: bytes, *, routes: bool = False) -> None:
        self._mac = mac
        instance = VIRTUAL_PORT_INSTANCE if routes else NETWORK_PORT_INSTANCE
        fixed = _virtual_port(network, routes)
        super().__init__(object_key("network-port", instance), "Virtual network port", fixed, (), set())

    def single(self, prop: int) -> bytes:
        return codec.octets(self._mac) if prop == Prop.MAC_ADDRESS else super().single(prop)


def _port(network_type: int, network: int, quality: int, *, routes: bool) -> dict[int, bytes]:
    """What every port has; beyond the two networks of a router there are no others that it knows a way to."""
    return {
        Prop.STATUS_FLAGS: FLAGS_NORMAL,
        Prop.RELIABILITY: codec.enumerated(0),
        Prop.NETWORK_TYPE: codec.enumerated(network_type),
        Prop.PROTOCOL_LEVEL: codec.enumerated(BACNET_APPLICATION),
        Prop.NETWORK_NUMBER: codec.unsigned(network),
        Prop.NETWORK_NUMBER_QUALITY: codec.enumerated(quality),
        Prop.CHANGES_PENDING: codec.boolean(False),
        Prop.OUT_OF_SERVICE: codec.boolean(False),
        Prop.APDU_LENGTH: codec.unsigned(MAX_APDU),
        **({Prop.ROUTING_TABLE: b""} if routes else {}),
    }


@lru_cache(maxsize=4)
def _virtual_port(network: int, routes: bool) -> dict[int, bytes]:
    common = _port(VIRTUAL, network, NUMBER_CONFIGURED, routes=routes)
    return {**common, Prop.LINK_SPEED: codec.real(0.0), Prop.MAC_ADDRESS: b""}
