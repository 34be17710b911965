"""Reading our own servers as a BMS would, with clients that share no code with them."""

from gateway.checkout.bacnet_client import BacnetClient, BacnetError
from gateway.checkout.modbus_client import ModbusClient, ModbusError

__all__ = ["BacnetClient", "BacnetError", "ModbusClient", "ModbusError"]
