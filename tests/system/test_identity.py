"""Names and addresses as an independent client sees them when the product's names change."""

from __future__ import annotations

from pathlib import Path

from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier

from gateway.core.point import KindSpec
from gateway.engine.ports import Listed
from tests.site import Running, running_site

ZONE_A = "evce/zone/Zone A/reduction"


def zone_kind(site: Running) -> KindSpec:
    return next(kind for kind in site.daemon.pollers["evce"].kinds if kind.name == "zone")


async def object_name(site: Running, instance: int) -> object:
    async with BACnetClient(interface="127.0.0.1", port=0, broadcast_address="127.0.0.1") as client:
        value = await client.read_property(
            f"127.0.0.1:{site.bacnet_port}",
            ObjectIdentifier(ObjectType.ANALOG_VALUE, instance),
            PropertyIdentifier.OBJECT_NAME,
        )
        return value.value


async def test_I04_a_renamed_zone_keeps_its_registers_and_its_object_is_renamed(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=2, zones=2, meters=1) as site:
        await site.complete()
        before = site.placed(ZONE_A)
        instance = before.objects[0].instance
        assert await object_name(site, instance) == "evce.Zone A.reduction"
        answer = [Listed("1", "North deck", "current"), Listed("2", "Zone B", "current")]
        site.daemon.inventory.listed("evce", zone_kind(site), answer, (), session=1)
        after = site.placed("evce/zone/North deck/reduction")
        assert [r.register for r in after.registers] == [r.register for r in before.registers]
        assert await object_name(site, instance) == "evce.North deck.reduction"
        assert site.daemon.table.find(ZONE_A) is None
        assert "North deck" in (site.files.folder / "state" / "addresses.yaml").read_text()
