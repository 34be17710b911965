"""BACnet/IP: one device whose objects show the point table; bacpypes3 is the link, network and segmentation layer."""

from gateway.servers.bacnet.revision import Keeper
from gateway.servers.bacnet.server import BacnetServer, Terms
from gateway.servers.bacnet.status import Client
from gateway.servers.bacnet.timekeeping import TimeSync

__all__ = ["BacnetServer", "Client", "Keeper", "Terms", "TimeSync"]
