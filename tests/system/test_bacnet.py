"""BACnet of a whole site: settings of config.yaml reach the server, and what it keeps outlives a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rusty_bacnet import BACnetClient, BacnetProtocolError, EnableDisable, ObjectIdentifier, ObjectType
from rusty_bacnet import PropertyIdentifier as P

from gateway.app.control import Control
from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from tests.site import Running, running_site, until

PASSWORD = "Zugang-7"
DEVICE = ObjectIdentifier(ObjectType.DEVICE, 260001)


async def revision(site: Running) -> Any:
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        return (await client.read_property(f"127.0.0.1:{site.bacnet_port}", DEVICE, P.DATABASE_REVISION)).value


async def test_the_database_revision_outlives_a_restart(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        async with running_site(tmp_path) as site:
            await site.complete()
            found.append(await revision(site))
    assert found[0] == found[1]


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_a_change_at_the_product_reaches_a_subscriber(tmp_path: Path, dialect: str) -> None:
    async with running_site(tmp_path, dialect) as site:
        await site.complete()
        point = site.placed("evce/zone/Zone A/reduction").objects[0]
        obj = ObjectIdentifier(ObjectType.ANALOG_VALUE, point.instance)
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
            arrivals = await client.cov_notifications()
            address = f"127.0.0.1:{site.bacnet_port}"
            await client.subscribe_cov(address, 5, obj, True, 60)
            await anext(arrivals)
            await site.daemon.desk.submit([ask(site, "evce/zone/Zone A/reduction", 42.0)], origin())
            notified = await anext(arrivals)
            assert notified.monitored_object_identifier == obj
            assert 42.0 in [each["value"].value if isinstance(each, dict) else each.value for each in notified.values]


def ask(site: Running, point: str, value: float) -> Any:
    index = site.daemon.table.find(point)
    assert index is not None
    return Ask(index, value, 10)


def origin() -> Any:
    return Origin("modbus", "10.0.0.9", "bms")


async def test_B07_the_password_of_the_configuration_is_asked(tmp_path: Path) -> None:
    (tmp_path / "dcc").write_text(PASSWORD + "\n", encoding="ascii")

    def change(data: dict[str, Any]) -> None:
        data["bacnet"] |= {"dcc_password": {"file": "dcc"}, "cov_total": 1}

    async with running_site(tmp_path, change=change) as site:
        address = f"127.0.0.1:{site.bacnet_port}"
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
            with pytest.raises(BacnetProtocolError):
                await client.device_communication_control(address, EnableDisable.DISABLE_INITIATION, 1)
            await client.device_communication_control(address, EnableDisable.DISABLE_INITIATION, 1, PASSWORD)
            await client.time_synchronization(address, (2027, 1, 15, 5), (8, 16, 50, 0))
            await until(lambda: Control(site.daemon).status()["bacnet"]["time_sync"] is not None, 3.0)
        status = Control(site.daemon).status()
        assert any("DeviceCommunicationControl" in text for text in status["alarm_texts"])
        assert PASSWORD not in json.dumps(status)
        assert status["bacnet"]["counters"]["subscriptions"] == 0
        assert status["bacnet"]["hint"] == ""
