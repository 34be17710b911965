"""Modbus TCP downstream: the point table as registers and coils, and writes as commands."""

from gateway.servers.modbus.groups import ClientGroup
from gateway.servers.modbus.house import Counters, Spawn
from gateway.servers.modbus.security import Security
from gateway.servers.modbus.server import ModbusServer

__all__ = ["ClientGroup", "Counters", "ModbusServer", "Security", "Spawn"]
