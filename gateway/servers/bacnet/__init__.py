"""BACnet/IP: one device whose objects show the point table; bacpypes3 is the link, network and segmentation layer."""

from gateway.servers.bacnet.server import BacnetServer
from gateway.servers.bacnet.status import Client

__all__ = ["BacnetServer", "Client"]
