"""BACnet/IP: devices whose objects show the point table; bacpypes3 is the link, network and segmentation layer."""

from gateway.servers.bacnet.alarm_reporting import AlarmTerms
from gateway.servers.bacnet.attachment import Virtual, parse_address
from gateway.servers.bacnet.describe import TYPE_NAMES, UNIT_NAMES, Described, DeviceWords
from gateway.servers.bacnet.destinations import Destination
from gateway.servers.bacnet.equipment import Terms
from gateway.servers.bacnet.notification_classes import ClassConfig, ListKeeper
from gateway.servers.bacnet.presence import DUPLICATE
from gateway.servers.bacnet.revision import Keeper
from gateway.servers.bacnet.server import BacnetServer
from gateway.servers.bacnet.status import Client
from gateway.servers.bacnet.timekeeping import TimeSync

__all__ = [
    "DUPLICATE",
    "TYPE_NAMES",
    "UNIT_NAMES",
    "AlarmTerms",
    "BacnetServer",
    "ClassConfig",
    "Client",
    "Described",
    "Destination",
    "DeviceWords",
    "Keeper",
    "ListKeeper",
    "Terms",
    "TimeSync",
    "Virtual",
    "parse_address",
]
