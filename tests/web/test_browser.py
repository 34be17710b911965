"""The page in a real browser: what people do on it, seen at the simulator, and what it shows when things go wrong."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from gateway.checkout import ModbusClient
from gateway.simulator import EvceSimulator
from tests.site import AheadClock
from tests.web.browser import Doing, act, browser, network
from tests.web.site import LIMIT, PageSite, page_site, relist

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


def faulted(one: PageSite) -> Doing:
    """A station of Zone A that is out of order."""

    async def fault() -> None:
        await one.site.evce.do("station_fault", name="Bay 001", faulted=True)

    return fault


def charger(one: PageSite) -> dict[str, Doing]:
    """A charger that goes and comes back."""

    async def listens(*, on: bool) -> None:
        await one.site.benders[0].do("listen", on=on)

    return {
        "the charger goes down": functools.partial(listens, on=False),
        "the charger comes back": functools.partial(listens, on=True),
    }


async def test_a_manager_sees_that_the_site_is_in_order_and_then_what_is_not(one: PageSite) -> None:
    await act("overview", one.base, charger(one))


async def test_W08_failsafe_is_the_first_thing_that_a_manager_sees(tmp_path: Path) -> None:
    clock = AheadClock()

    def leased(data: dict[str, Any]) -> None:
        data["modbus"]["clients"][0] |= {"lease_s": 60, "on_bms_loss": {"value": 10}}

    async with page_site(tmp_path, change=leased, gateway_clock=clock) as one:

        async def silent() -> None:
            clock.ahead_s += 61

        doings: dict[str, Doing] = {
            "the BMS writes 40 A": writes(one, 40.0),
            "a station is faulted": faulted(one),
            "the BMS is not heard any more": silent,
            "the BMS writes 24 A": writes(one, 24.0),
        }
        await act("failsafe", one.base, doings)
        zone = next(zone for zone in one.site.evce.site.zones.values() if zone.name == "Zone A")
        assert zone.limit_a == 24.0


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_a_zone_shows_who_holds_its_limit(tmp_path: Path, dialect: str) -> None:
    async with page_site(tmp_path, dialect) as one:
        doings = {"the BMS writes 40 A": writes(one, 40.0), "a station is faulted": faulted(one)}
        await act("zones", one.base, doings)


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


async def test_in_a_dry_run_the_page_says_so_shows_the_request_and_nothing_is_sent(tmp_path: Path) -> None:
    def dry(data: dict[str, Any]) -> None:
        data.setdefault("control", {}).update(dry_run=True)

    async with page_site(tmp_path, change=dry) as one:

        async def received() -> list[Any]:
            return one.site.puts()

        async def request() -> str:
            found = await (await one.log_in("vera")).command(LIMIT)
            assert found["would_send"].startswith("PUT /em/zones/1/reduction {")
            return str(found["would_send"])

        await act("dry", one.base, {"what the product received": received, "the request that would be sent": request})


async def test_files_are_saved_under_their_names_and_a_refusal_is_said(one: PageSite) -> None:
    await act("downloads", one.base)


async def test_what_changes_while_a_section_is_loaded_is_shown(one: PageSite) -> None:
    limits = iter((40, 60))
    amps = 0

    async def following() -> int:
        nonlocal amps
        amps = next(limits)
        return amps

    async def write() -> None:
        await writes(one, float(amps))()

    await act("meanwhile", one.base, {"the next limit": following, "the BMS writes it": write})


async def test_two_loads_of_a_section_at_once_are_no_error(one: PageSite) -> None:
    names = iter(("Zone X", "Zone Y"))
    before = "Zone B"

    async def rename() -> str:
        nonlocal before
        name = next(names)
        await one.site.evce.do("rename", kind="zone", name=before, to=name)
        relist(one)
        before = name
        return name

    await act("twice", one.base, {"a zone gets another name": rename})


async def test_what_happens_while_the_log_is_loaded_is_in_it_once(one: PageSite) -> None:
    async def log_in() -> None:
        await one.log_in("adam")

    await act("logged", one.base, {"adam logs in": log_in})


async def test_a_limit_written_on_a_tablet_with_a_wrong_clock_ends_in_an_hour(one: PageSite) -> None:
    await act("clock", one.base)


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 820])
async def test_axe_finds_nothing_serious_in_light_and_dark_on_a_laptop_and_a_tablet(
    one: PageSite, scheme: str, width: int
) -> None:
    browser = await one.log_in("adam")
    await browser.post("write", point=LIMIT, value=40)
    await act(f"accessibility_{scheme}_{width}", one.base)
