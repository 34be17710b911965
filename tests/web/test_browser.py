"""The page in a real browser: what people do on it, seen at the simulator, and what it shows when things go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.checkout import ModbusClient
from gateway.simulator import EvceSimulator
from tests.web.browser import Doing, act, browser, network
from tests.web.site import LIMIT, PageSite, page_site

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _there_is_a_browser() -> None:
    browser()


def writes(one: PageSite, amps: float) -> Doing:
    """A BMS that writes the limit of Zone A over Modbus."""

    async def write() -> None:
        async with ModbusClient("127.0.0.1", one.site.modbus_port) as bms:
            await bms.write_float(one.site.register(LIMIT), amps)

    return write


async def test_a_manager_sees_that_the_site_is_in_order_and_then_what_is_not(one: PageSite) -> None:
    async def down() -> None:
        await one.site.benders[0].do("listen", on=False)

    await act("overview", one.base, {"the charger goes down": down})


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_a_zone_shows_who_holds_its_limit(tmp_path: Path, dialect: str) -> None:
    async with page_site(tmp_path, dialect) as one:
        await act("zones", one.base, {"the BMS writes 40 A": writes(one, 40.0)})


async def test_an_integrator_searches_ten_thousand_points_and_sees_where_one_comes_from(tmp_path: Path) -> None:
    async with page_site(tmp_path, stations=300, zones=20, meters=4) as one:

        async def place() -> dict[str, int]:
            placed = one.site.placed(LIMIT)
            return {"register": placed.registers[0].register, "instance": placed.objects[0].instance}

        await act("points", one.base, {"the BMS writes 40 A": writes(one, 40.0), "where the limit stands": place})


async def test_a_point_is_taken_out_of_service_and_back_under_a_banner(one: PageSite) -> None:
    await act("checkout", one.base)
    events = [record["event"] for record in await one.evidence(await one.log_in("vera"), point="Zone A/power")]
    assert events == ["forced", "unforced"]


async def test_a_limit_is_written_comes_back_as_in_force_and_is_released(one: PageSite) -> None:
    zone = next(zone for zone in one.site.evce.site.zones.values() if zone.name == "Zone A")

    async def received() -> list[float]:
        return [zone.limit_a] if one.site.puts() else []

    await act("commands", one.base, {"the BMS writes 60 A": writes(one, 60.0), "what the product received": received})
    assert zone.limit_a == 60.0


async def test_an_action_is_sent_once(one: PageSite) -> None:
    async def resets() -> int:
        return sum("reset" in item.path for item in one.site.evce.received)

    await act("actions", one.base, {"how many resets the product received": resets})


async def test_a_viewer_has_no_button_that_writes_and_the_api_refuses(one: PageSite) -> None:
    await act("roles", one.base)
    assert one.site.puts() == []


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "silent"])
async def test_a_lost_connection_is_said_and_its_return_brings_what_was_missed(one: PageSite, silent: bool) -> None:
    async with network(int(one.base.rpartition(":")[2]), silent=silent) as between:
        doings: dict[str, Doing] = {
            "the network is cut": between.cut,
            "the network is back": between.start,
            "the BMS writes 40 A": writes(one, 40.0),
        }
        await act("connection", f"http://127.0.0.1:{between.port}", doings)


async def test_a_script_as_a_name_is_only_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(EvceSimulator):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            next(iter(self.site.stations.values())).name = SCRIPT
            next(zone for zone in self.site.zones.values() if zone.name == "Zone B").name = SCRIPT

    monkeypatch.setattr("tests.site.EvceSimulator", Named)
    async with page_site(tmp_path, change=lambda data: data.update(site=SCRIPT)) as one:
        browser = await one.log_in("oskar")
        point = next(row["point"] for row in (await browser.get("commands"))["commands"] if "script" in row["point"])
        await browser.post("write", point=point, value=40)
        await act("names", one.base)


async def test_the_keyboard_reaches_everything_and_the_focus_comes_back(one: PageSite) -> None:
    await act("keyboard", one.base)


@pytest.mark.timeout(180)
async def test_axe_finds_nothing_serious_in_light_and_dark_on_a_laptop_and_a_tablet(one: PageSite) -> None:
    browser = await one.log_in("adam")
    await browser.post("write", point=LIMIT, value=40)
    await act("accessibility", one.base, seconds=170)
