"""Reading our own servers as a BMS would, with clients and decoding that share no code with them."""

from gateway.checkout.bacnet_client import BacnetClient, BacnetError
from gateway.checkout.judge import Reading, Result
from gateway.checkout.modbus_client import ModbusClient, ModbusError
from gateway.checkout.reading import Servers
from gateway.checkout.report import Head, as_html, as_json, counts
from gateway.checkout.rounds import Outcome, Reference, SourceMapping, Wanted, check_out
from gateway.checkout.sheet import Line, SheetError, read_sheet

__all__ = [
    "BacnetClient",
    "BacnetError",
    "Head",
    "Line",
    "ModbusClient",
    "ModbusError",
    "Outcome",
    "Reading",
    "Reference",
    "Result",
    "Servers",
    "SheetError",
    "SourceMapping",
    "Wanted",
    "as_html",
    "as_json",
    "check_out",
    "counts",
    "read_sheet",
]
