"""EVCE gateway: EV charging of Schneider EVCE and Bender controllers as Modbus TCP and BACnet/IP."""

__version__ = "0.1.0"
