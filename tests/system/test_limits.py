"""Limits and failures of a whole site, as a client on Modbus sees them."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.checkout import ModbusClient, ModbusError
from tests.site import AheadClock, running_site

LIMIT = "evce/zone/Zone A/reduction"
NOT_FINITE, FLOOR = 5, 7


async def test_W18_a_refused_limit_changes_nothing_and_says_why(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=1, meters=1) as site:
        await site.complete()
        async with ModbusClient("127.0.0.1", site.modbus_port) as bms:
            register = site.register(LIMIT)
            await bms.write_float(register, 32.0)
            for value, code in ((math.nan, NOT_FINITE), (math.inf, NOT_FINITE), (0.0, FLOOR)):
                with pytest.raises(ModbusError) as refused:
                    await bms.write_float(register, value)
                assert refused.value.code == 3
                (error,) = struct.unpack(">H", await bms.read(site.register(f"{LIMIT}.error"), 1))
                assert error == code
                assert await bms.read_float(register) == 32.0
        assert {body["value"] for body in site.puts()} <= {32.0}


async def test_W17_half_a_float_is_refused_and_logged(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=1, meters=1) as site:
        await site.complete()
        with capture_logs() as lines:
            async with ModbusClient("127.0.0.1", site.modbus_port) as bms:
                for _ in range(3):
                    with pytest.raises(ModbusError) as refused:
                        await bms.write(site.register(LIMIT), b"\x42\x00")
                    assert refused.value.code == 3
        told = [line for line in lines if line["event"] == "modbus.write_refused"]
        assert [(line["register"], line["reason"]) for line in told] == [
            (site.register(LIMIT), "half of a value, or a quantity that does not fit")
        ]
        assert site.puts() == []


async def test_dry_run_shows_the_request_and_sends_nothing(tmp_path: Path) -> None:
    def dry(data: dict[str, Any]) -> None:
        data["control"] = {"dry_run": True}

    async with running_site(tmp_path, "nested", change=dry, stations=2, zones=1, meters=1) as site:
        await site.complete()
        with capture_logs() as lines:
            async with ModbusClient("127.0.0.1", site.modbus_port) as bms:
                await bms.write_float(site.register(LIMIT), 13.0)
                await bms.write(site.register(f"{LIMIT}.release"), b"\x00\x01")
        shown = [line["would_send"] for line in lines if line["event"] == "command.dry_run"]
        body = '{"kind": "absolute", "limit_da": 130, "validity": {"mode": "unlimited"}}'
        assert shown == [f"PUT /em/zones/1/reduction {body}", 'PUT /em/zones/1/reduction {"kind": "off"}']
        assert site.value(f"{LIMIT}.write_status") == 10
        assert site.puts() == []


async def test_U20_a_product_that_is_gone_is_neither_online_nor_good(tmp_path: Path) -> None:
    clock = AheadClock()
    async with running_site(tmp_path, gateway_clock=clock, stations=2, zones=1, meters=1) as site:
        await site.complete()
        power, online = site.register("evce/zone/Zone A/power"), site.register("evce/zone/Zone A/status.online")
        async with ModbusClient("127.0.0.1", site.modbus_port) as bms:
            site.daemon.vitals.tick()
            assert struct.unpack(">HH", await bms.read(online, 2)) == (1, 1)
            await site.evce.stop()
            await site.until(lambda: not site.daemon.pollers["evce"].health.connected)
            clock.ahead_s = 20.0
            site.daemon.vitals.tick()
            assert struct.unpack(">HH", await bms.read(online, 2)) == (0, 2)
            assert not math.isnan(await bms.read_float(power))
            clock.ahead_s = 60.0
            site.daemon.vitals.tick()
            assert struct.unpack(">HH", await bms.read(online, 2)) == (0, 3)
            assert math.isnan(await bms.read_float(power))
            position = site.register("gateway/header/evce.quality")
            assert struct.unpack(">H", await bms.read(position, 1)) == (3,)
            garage = site.register("garage-7/charger/status.online")
            assert garage
