"""Names and addresses as an independent client sees them when the product's names change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier

from gateway.app.control import Control
from gateway.core.point import KindSpec
from gateway.engine.ports import Listed
from tests.site import MAPPINGS, Running, running_site

ZONE_A = "evce/zone/Zone A/reduction"


def zone_kind(site: Running) -> KindSpec:
    return next(kind for kind in site.daemon.pollers["evce"].kinds if kind.name == "zone")


async def bacnet(site: Running, kind: ObjectType, instance: int, prop: PropertyIdentifier) -> object:
    async with BACnetClient(interface="127.0.0.1", port=0, broadcast_address="127.0.0.1") as client:
        value = await client.read_property(f"127.0.0.1:{site.bacnet_port}", ObjectIdentifier(kind, instance), prop)
        return value.value


async def object_name(site: Running, instance: int) -> object:
    return await bacnet(site, ObjectType.ANALOG_VALUE, instance, PropertyIdentifier.OBJECT_NAME)


async def revision(site: Running) -> object:
    return await bacnet(site, ObjectType.DEVICE, 260001, PropertyIdentifier.DATABASE_REVISION)


async def test_I04_a_renamed_zone_keeps_its_registers_and_its_object_is_renamed(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=2, meters=1) as site:
        await site.complete()
        before = site.placed(ZONE_A)
        instance = before.objects[0].instance
        assert await object_name(site, instance) == "evce.Zone A.reduction"
        first = await revision(site)
        assert await revision(site) == first
        answer = [Listed("1", "North deck", "current"), Listed("2", "Zone B", "current")]
        site.daemon.inventory.listed("evce", zone_kind(site), answer, (), session=1)
        after = site.placed("evce/zone/North deck/reduction")
        assert [r.register for r in after.registers] == [r.register for r in before.registers]
        assert await object_name(site, instance) == "evce.North deck.reduction"
        assert await revision(site) > first
        assert site.daemon.table.find(ZONE_A) is None
        assert "North deck" in (site.files.folder / "state" / "addresses.yaml").read_text()


async def test_C14_I10_confirmed_names_trade_their_object_names_and_keep_their_instances(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=2, meters=1) as site:
        await site.complete()
        instances = [site.placed(f"evce/zone/{name}/reduction").objects[0].instance for name in ("Zone A", "Zone B")]
        first = await revision(site)
        answer = [Listed("1", "Zone B", "current"), Listed("2", "Zone A", "current")]
        site.daemon.inventory.listed("evce", zone_kind(site), answer, (), session=1)
        names = [await object_name(site, instance) for instance in instances]
        assert names == ["evce.Zone A.reduction", "evce.Zone B.reduction"], "not before it is confirmed"
        Control(site.daemon).correct("confirm", [], "", "alice")
        names = [await object_name(site, instance) for instance in instances]
        assert names == ["evce.Zone B.reduction", "evce.Zone A.reduction"]
        assert await revision(site) > first


@pytest.mark.parametrize("name", ["x" * 300, "Parkhaus \U0001f697", "two\nlines", "e\u0301", "\u202edrawkcab"])
async def test_I08_every_name_has_an_object_name_of_its_own(tmp_path: Path, name: str) -> None:
    def expect(data: dict[str, Any]) -> None:
        data["sources"][0]["expect"] = {"zone": [name, f"{name}!", f"{name}?"]}

    async with running_site(tmp_path, change=expect, stations=1, zones=1, meters=1) as site:
        names: list[object] = []
        for block in range(3):
            found = await object_name(site, 1000 + 60 * block + 40)
            assert isinstance(found, str)
            assert 1 <= len(found) <= 64
            assert "\n" not in found
            names.append(found)
        assert len(set(names)) == 3
    async with running_site(tmp_path, change=expect, stations=1, zones=1, meters=1) as again:
        assert [await object_name(again, 1000 + 60 * block + 40) for block in range(3)] == names


async def test_expect_fixes_order_and_blocks_before_the_site_exists(tmp_path: Path) -> None:
    def expect(data: dict[str, Any]) -> None:
        data["sources"][0]["expect"] = {"zone": ["Zone B", "Zone A"], "station": ["Bay 004", "Bay 002"]}
        data["sources"][0]["url"] = "https://127.0.0.1:1"

    async with running_site(tmp_path, change=expect, stations=4, zones=2, meters=1) as site:
        before = {name: site.register(name) for name in ("evce/zone/Zone A/power", "evce/station/Bay 002/power")}
        assert before == {"evce/zone/Zone A/power": 1068, "evce/station/Bay 002/power": 7050}

    def reachable(data: dict[str, Any]) -> None:
        url = data["sources"][0]["url"]
        expect(data)
        data["sources"][0]["url"] = url

    async with running_site(tmp_path, change=reachable, stations=4, zones=2, meters=1) as site:
        await site.complete()
        assert {name: site.register(name) for name in before} == before
        assert site.register("evce/station/Bay 001/power") == 7090, "what nobody expected comes after"


async def test_I12_status_shows_how_many_have_no_address(tmp_path: Path) -> None:
    mapping = tmp_path / "small.yaml"
    mapping.write_text(f"extends: {MAPPINGS}/evce.yaml\nresources: {{station: {{modbus: {{capacity: 3}}}}}}\n")

    def small(data: dict[str, Any]) -> None:
        data["sources"][0]["mapping"] = "small.yaml"

    async with running_site(tmp_path, change=small, stations=5, zones=1, meters=1) as site:
        await site.until(lambda: site.daemon.inventory.unassigned.get(("evce", "station")) == 2)
        status = Control(site.daemon).status()
        assert status["without_address"] == {"evce/station": 2}
        assert status["alarms"] >= 1
        await site.until(lambda: site.value("evce/station/Bay 003/power") is not None)


async def test_I09_status_shows_names_that_look_alike(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=2, meters=1) as site:
        await site.complete()
        answer = [Listed("1", "Zone A", "current"), Listed("2", "zone a", "current")]
        site.daemon.inventory.listed("evce", zone_kind(site), answer, (), session=1)
        assert Control(site.daemon).status()["alike"] == {"evce/zone": [["Zone A", "zone a"]]}
