"""How a source is doing, as a BMS sees it: over Modbus, over BACnet, and in `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.app.control import Control
from gateway.checkout import BacnetClient, ModbusClient
from tests.site import Running, running_site

FIRST = 100
"""The source `evce` has the first block."""


async def seen(site: Running) -> tuple[list[int], list[Any]]:
    """Registers 100..115; and state, retry_in_s, overruns, relogins, reason over BACnet."""
    async with ModbusClient("127.0.0.1", site.modbus_port) as modbus:
        data = await modbus.read(FIRST, 16)
    async with BacnetClient("127.0.0.1", site.bacnet_port) as bacnet:
        values = [await bacnet.read("multi-state-input", FIRST + 5)]
        values += [await bacnet.read("analog-input", FIRST + at) for at in (6, 7, 8)]
        values.append(await bacnet.read("characterstring-value", FIRST + 9))
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, 32, 2)], values


async def test_U20_both_protocols_and_status_say_that_a_source_is_down_why_and_until_when(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=1, meters=1) as site:
        await site.until(lambda: site.value("evce/source/state") == 2)
        words, values = await seen(site)
        assert (words[0], words[1], words[14], words[15]) == (1, 2, 0xFFFF, 0)
        assert (values[0], values[2:]) == (2, [0.0, 0.0, ""])
        assert values[1] != values[1], "no value is NaN"
        await site.evce.do("listen", on=False)
        await site.until(lambda: site.value("evce/source/state") == 3)
        await site.until(lambda: site.value("evce/source/retry_in_s") is not None)
        words, values = await seen(site)
        assert (words[0], words[1]) == (0, 3)
        assert 0 <= words[14] <= 75
        assert values[0] == 3
        assert "cannot connect" in values[4]
        status = Control(site.daemon).status()
        (source,) = [source for source in status["sources"] if source["name"] == "evce"]
        assert source["state"] == "down"
        assert 0 <= source["retry_in_s"] <= 75
        assert status["process"]["tasks"] > 3
        assert status["process"]["fds"] > 3
        assert status["process"]["rss_mb"] > 20
