"""A library that behaves differently stops the start, before a port is bound."""

from __future__ import annotations

import pytest
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.transport import ModbusProtocol

from gateway.servers.modbus.selftest import SelfTestError
from tests.servers.modbus.conftest import Bench


async def test_an_upgrade_that_breaks_the_way_of_bytes_is_found_at_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModbusProtocol, "connection_made", lambda self, transport: None)
    with pytest.raises(SelfTestError, match="a read: AttributeError"):
        await bench.serve()
    assert bench.servers == []


async def test_an_upgrade_that_encodes_otherwise_is_found_at_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadDeviceInformationResponse, "encode", lambda self: b"\x0e")
    with pytest.raises(SelfTestError, match="identity"):
        await bench.serve()
