"""Reload of who is served and where: open connections, subscriptions, ports, client groups, many reloads in a row."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from rusty_bacnet import BACnetClient, BacnetProtocolError, ObjectIdentifier, ObjectType, PropertyValue

from gateway.app.footprint import footprint
from tests.app.test_reload_mapping import LIMIT, REFUSED, Bms, Own, taken
from tests.servers.bacnet.rusty import P, Rusty
from tests.servers.modbus.authority import Authority, client_context, utf8
from tests.servers.modbus.conftest import Wire, write16
from tests.site import Running, free_port, running_site, until

CLIENTS = [{"name": "bms", "allow": "127.0.0.0/8", "slot": 10, "write": True}]


@pytest.fixture
async def site(tmp_path) -> AsyncIterator[tuple[Running, Own]]:
    own = Own(tmp_path)
    async with running_site(tmp_path, change=own.use, stations=1, zones=1, meters=0) as running:
        await running.complete()
        yield running, own


async def test_a_client_group_changes_while_its_client_stays_connected(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        group = running.files.data["modbus"]["clients"][0]
        group |= {"slot": 9, "gaps": "strict", "max_requests_per_s": 500}
        running.files.write()
        await taken(running)
        assert await bms.code(1000, 60) == 2
        slots = running.daemon.desk.slots(running.daemon.table.find(LIMIT))
        assert [(number, slot.value) for number, slot in slots.occupied] == [(9, 40.0)]
        assert await bms.write(running.register(LIMIT), 30.0)
        assert [(number, slot.value) for number, slot in slots.occupied] == [(9, 30.0)]
        group["write"] = False
        running.files.write()
        await taken(running)
        assert not await bms.write(running.register(LIMIT), 20.0)
        assert slots.winner == 0  # C10: nobody may keep a limit who may not end it any more
        await until(lambda: running.value(f"{LIMIT}.write_status") == 1)
        group["allow"] = "192.0.2.0/24"
        running.files.write()
        await taken(running)
        await until(lambda: running.daemon.modbus.clients == [])


async def test_a_raised_floor_ends_what_it_does_not_allow(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 10.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        running.files.data["control"] = {"floor": 16, "on_bms_loss": {"value": 32}}
        running.files.write()
        await taken(running)
        assert await bms.real(running.register(LIMIT)) == 32.0
        assert running.value(f"{LIMIT}.authority") == 4
        assert not await bms.write(running.register(LIMIT), 12.0)
        assert await bms.write(running.register(LIMIT), 20.0)
        await until(lambda: running.value(f"{LIMIT}.applied") == 20.0)


async def test_C13_dry_run_begins_without_limits_only_and_what_it_showed_ends_with_it(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        running.files.data["control"] = {"dry_run": True}
        running.files.write()
        refused = (await running.daemon.reload("anna")).refused
        assert refused == [
            f"limits are set or being released ({LIMIT}): release them first, then turn dry run on",
            REFUSED,
        ]
        await asyncio.to_thread(bms._client.write_single_register, running.register(f"{LIMIT}.release"), 1)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 1)
        await taken(running)
        sent = len(running.puts())
        assert await bms.write(running.register(LIMIT), 20.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 10)
        del running.files.data["control"]
        running.files.write()
        await taken(running)
        assert running.value(f"{LIMIT}.write_status") == 1
        assert running.daemon.desk.slots(running.daemon.table.find(LIMIT)).winner == 0
        assert len(running.puts()) == sent
        assert await bms.write(running.register(LIMIT), 30.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        assert running.puts()[-1]["value"] == 30.0


async def test_the_modbus_port_moves_and_whoever_is_connected_stays(site):
    running, _ = site
    async with Bms(running.modbus_port) as old:
        port, before = free_port(socket.SOCK_STREAM), running.modbus_port
        running.files.data["modbus"]["listen"] = f"127.0.0.1:{port}"
        running.files.write()
        await taken(running)
        assert running.modbus_port == port
        async with Bms(port) as new:
            assert await new.words(0) == await old.words(0) == [0x4556, 0x4757]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", before), timeout=5).close()


async def test_a_port_that_is_taken_refuses_the_whole_reload(site):
    running, own = site
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running.files.data["modbus"]["listen"] = f"127.0.0.1:{port}"
        running.files.write()
        own.write({"setpoint": None})
        refused = (await running.daemon.reload("anna")).refused
    assert f"modbus.listen: cannot listen on 127.0.0.1:{port}: address already in use" in refused[0]
    assert running.daemon.table.find("evce/zone/Zone A/setpoint") is not None
    async with Bms(running.modbus_port) as bms:
        assert await bms.words(0) == [0x4556, 0x4757]
    await taken(running)
    assert running.daemon.table.find("evce/zone/Zone A/setpoint") is None


async def test_servers_begin_and_end(site):
    running, _ = site
    bacnet = running.files.data.pop("bacnet")
    running.files.write()
    await taken(running)
    assert running.daemon.bacnet is None
    modbus = running.files.data.pop("modbus")
    running.files.data["bacnet"] = bacnet
    running.files.write()
    await taken(running)
    assert running.daemon.modbus is None
    assert running.daemon.bacnet is not None
    running.files.data["modbus"] = modbus
    running.files.write()
    await taken(running)
    async with Bms(running.modbus_port) as bms:
        assert await bms.real(running.register(LIMIT)) == running.value(LIMIT)


async def test_the_map_is_divided_among_other_units(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        running.files.data["modbus"]["units"] = "per_source"
        running.files.write()
        await taken(running)
        bms._client.unit_id = running.placed(LIMIT).registers[0].unit
        assert await bms.real(running.register(LIMIT)) == running.value(LIMIT)
        bms._client.unit_id = 99
        assert await bms.code(0, 2) == 0x0B


def point_object(running: Running, name: str) -> ObjectIdentifier:
    placed = running.placed(name).objects[0]
    return ObjectIdentifier(getattr(ObjectType, placed.object.upper().replace("-", "_")), placed.instance)


async def test_a_COV_subscription_survives_and_objects_come_and_go(site):
    running, own = site
    limit, setpoint = point_object(running, LIMIT), point_object(running, "evce/zone/Zone A/setpoint")
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{running.bacnet_port}")
        device = ObjectIdentifier(ObjectType.DEVICE, 260001)
        arrivals = await client.cov_notifications()
        for obj in (limit, setpoint):
            await client.subscribe_cov(rusty.address, 5, obj, False, 300)
            await asyncio.wait_for(anext(arrivals), 5)
        before = await rusty.read(device, P.DATABASE_REVISION)
        listed = await rusty.read(device, P.OBJECT_LIST)
        own.write(
            {
                "setpoint": None,
                "reduction": {"description": "Another text"},
                "another": {"from": "status", "path": "power", "bacnet": {"object": "analog-input", "at": 30}},
            }
        )
        await taken(running)
        assert running.daemon.bacnet.counters["subscriptions"] == 1
        assert await rusty.read(device, P.DATABASE_REVISION) == before + 1
        assert len(await rusty.read(device, P.OBJECT_LIST)) == len(listed) - 1  # its Trend Log went too, one came
        assert await rusty.read(limit, P.DESCRIPTION) == "Another text"
        async with Bms(running.modbus_port) as bms:
            assert await bms.write(running.register(LIMIT), 40.0)
            async with asyncio.timeout(5.0):
                async for told in arrivals:
                    if told.monitored_object_identifier == limit:
                        break
        assert await rusty.read(limit, P.PRESENT_VALUE) == 40.0


async def test_other_notification_classes_leave_the_subscriptions(site):
    running, _ = site
    limit = point_object(running, LIMIT)
    device, first, second = (
        ObjectIdentifier(kind, number)
        for kind, number in (
            (ObjectType.DEVICE, 260001),
            (ObjectType.NOTIFICATION_CLASS, 1),
            (ObjectType.NOTIFICATION_CLASS, 7),
        )
    )
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{running.bacnet_port}")
        arrivals = await client.cov_notifications()
        await client.subscribe_cov(rusty.address, 5, limit, False, 300)
        await asyncio.wait_for(anext(arrivals), 5)
        assert await rusty.read(first, P.PRIORITY) == [64, 128, 192]
        before = await rusty.read(device, P.DATABASE_REVISION)
        alarms = {"instance": 1, "name": "Alarms", "priority": [1, 2, 3], "recipients": [{"device": 4711}]}
        running.files.data["bacnet"] |= {"notification_classes": [alarms, {"instance": 7, "name": "Night"}]}
        running.files.data["bacnet"] |= {"cov_per_peer": 1}
        running.files.write()
        await taken(running)
        assert running.daemon.bacnet.counters["subscriptions"] == 1
        assert await rusty.read(first, P.PRIORITY) == [1, 2, 3]
        assert await rusty.read(second, P.OBJECT_NAME) == "Night"
        assert (8 << 22 | 4711).to_bytes(4, "big") in running.daemon.bacnet._reporting.classes.get(1).octets
        assert second in await rusty.read(device, P.OBJECT_LIST)
        assert await rusty.read(device, P.DATABASE_REVISION) == before + 1
        with pytest.raises(BacnetProtocolError, match="19"):
            await client.subscribe_cov(rusty.address, 6, limit, False, 300)
        async with Bms(running.modbus_port) as bms:
            assert await bms.write(running.register(LIMIT), 40.0)
        async with asyncio.timeout(5.0):
            assert (await anext(arrivals)).monitored_object_identifier == limit
        del running.files.data["bacnet"]["notification_classes"]
        running.files.write()
        await taken(running)
        assert await rusty.read(first, P.PRIORITY) == [64, 128, 192]
        assert second not in await rusty.read(device, P.OBJECT_LIST)


async def test_who_may_write_over_bacnet_changes_at_once(site):
    running, _ = site
    limit = point_object(running, LIMIT)
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{running.bacnet_port}")
        assert await rusty.write(limit, PropertyValue.real(30.0), 12) is None
        running.files.data["bacnet"]["write"] = ["192.0.2.0/24"]
        running.files.write()
        await taken(running)
        assert await rusty.write(limit, PropertyValue.real(20.0), 12) == (2, 40)
        running.files.data["bacnet"]["write"] = ["127.0.0.0/8"]
        running.files.write()
        await taken(running)
        assert await rusty.write(limit, PropertyValue.real(20.0), 12) is None


async def test_another_device_number_is_another_device_at_the_same_address(site):
    running, _ = site
    port = running.bacnet_port
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{port}")
        running.files.data["bacnet"]["device"] = {"instance": 260002, "name": "Another name"}
        running.files.write()
        await taken(running)
        assert running.bacnet_port == port
        assert await rusty.read(ObjectIdentifier(ObjectType.DEVICE, 260002), P.OBJECT_NAME) == "Another name"
        assert await rusty.read(point_object(running, LIMIT), P.PRESENT_VALUE) == running.value(LIMIT)


async def test_bacnet_moves_to_another_port(site):
    running, _ = site
    port = free_port()
    running.files.data["bacnet"]["address"] = f"127.0.0.1/8:{port}"
    running.files.write()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", port))
        refused = (await running.daemon.reload("anna")).refused
        assert f"bacnet.address: cannot listen on 127.0.0.1:{port}" in refused[0]
        assert running.bacnet_port != port
    await taken(running)
    assert running.bacnet_port == port
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{port}")
        assert await rusty.read(point_object(running, LIMIT), P.PRESENT_VALUE) == running.value(LIMIT)


async def test_the_web_listener_begins_moves_and_ends(site):
    running, _ = site
    for port in (free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)):
        running.files.data["web"] = {"listen": f"127.0.0.1:{port}"}
        running.files.write()
        await taken(running)
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
    del running.files.data["web"]
    running.files.write()
    await taken(running)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


async def test_roles_and_certificates_of_the_secure_port_change(tmp_path):
    authority = Authority(tmp_path, "site-ca")
    authority.issue("gateway")
    tls: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "certificate": "gateway.crt",
        "key": {"file": "gateway.key"},
        "client_ca": "site-ca.pem",
        "roles": {"Operator": "bms"},
    }

    def secure(data: dict[str, Any]) -> None:
        data["modbus"]["tls"] = tls

    async with running_site(tmp_path, change=secure, stations=1, zones=1, meters=0) as running:
        await until(lambda: running.value("evce/zone/Zone A/maximum") is not None)
        assert running.daemon.modbus is not None
        port, ask = running.daemon.modbus.secure_port, write16(running.register(LIMIT), struct.pack(">f", 20.0))
        clients = {
            role: client_context(authority, authority.issue(role, utf8(role))) for role in ("Operator", "Visitor")
        }
        operator = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=clients["Operator"]))
        assert await operator.ask(ask) == struct.pack(">BHH", 16, running.register(LIMIT), 2)
        authority.issue("second")
        tls |= {"roles": {"Visitor": "bms"}, "certificate": "second.crt", "key": {"file": "second.key"}}
        running.files.data["modbus"]["tls"] = tls
        running.files.write()
        await taken(running)
        assert running.daemon.modbus.secure_port == port
        assert await operator.closed()
        visitor = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=clients["Visitor"]))
        assert await visitor.ask(ask) == struct.pack(">BHH", 16, running.register(LIMIT), 2)
        visitor.writer.transport.abort()
        running.files.data["modbus"]["tls"] = tls | {"key": {"file": "nothing.key"}}
        running.files.write()
        refused = (await running.daemon.reload("anna")).refused
        assert "modbus.tls.key.file: " in refused[0]
        assert running.daemon.modbus.secure_port == port


async def test_twenty_reloads_under_load_lose_no_request_and_leave_nothing_behind(site):
    running, own = site
    points: list[dict[str, Any]] = [{}, {"setpoint": None, "another": {"from": "status", "path": "setpoint"}}]
    took: list[float] = []
    sizes: list[dict[str, float | None]] = []

    async with Bms(running.modbus_port) as bms:
        done = asyncio.Event()

        async def ask() -> int:
            count = 0
            while not done.is_set():
                began = time.perf_counter()
                words = await bms.words(1000, 60)
                took.append(time.perf_counter() - began)
                assert words[12] != 0xFFFF or words[13] != 0xFFFF
                count += 1
            return count

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask())
            for number in range(20):
                own.write(points[number % 2])
                await taken(running)
                if number in (9, 19):
                    await asyncio.sleep(0.3)
                    gc.collect()
                    sizes.append(footprint() | {"points": len(running.daemon.table)})
            done.set()
        assert asking.result() > 100
    early, late = sizes
    assert late["points"] == early["points"]
    assert late["tasks"] - early["tasks"] <= 2
    assert late["fds"] - early["fds"] <= 2
    assert late["rss_mb"] - early["rss_mb"] < 12
    took.sort()
    assert took[int(len(took) * 0.99)] < 0.5
