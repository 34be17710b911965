"""DeviceCommunicationControl, ReinitializeDevice and time synchronisation, asked by an independent client."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from bacpypes3.pdu import IPv4Address
from rusty_bacnet import BacnetProtocolError, BacnetRejectError, EnableDisable, ReinitializedState

from gateway.servers.bacnet import TimeSync
from gateway.servers.bacnet.management import SILENCED
from gateway.servers.bacnet.subscriptions import Wish
from tests.servers.bacnet.conftest import HOST, Bench, Node, make_bench
from tests.servers.bacnet.rusty import DEVICE, P, Rusty
from tests.servers.bacnet.watcher import CURRENT, Watcher, settle
from tests.site import until

PASSWORD = "Zugang-7"
WRONG_PASSWORD, DENIED = (4, 26), (5, 29)


@pytest.fixture
async def guarded() -> AsyncIterator[Bench]:
    """A server with a password that may be restarted."""
    restarts: list[bool] = []
    bench = make_bench(terms={"password": PASSWORD, "restart": lambda: restarts.append(True)})
    bench.restarts = restarts  # type: ignore[attr-defined]
    await bench.server.start()
    yield bench
    await bench.server.stop()


async def dcc(client, bench: Bench, state, minutes=None, password=None) -> tuple[int, int] | None:
    try:
        await client.device_communication_control(bench.address, state, minutes, password)
    except BacnetProtocolError as error:
        return error.error_class, error.error_code
    return None


async def test_B07_silence_for_a_time_and_the_newest_value_after_it(bench: Bench, client) -> None:
    watcher = Watcher(bench)
    bench.set("current", 1.0)
    await watcher.subscribe(CURRENT, 0)
    assert await watcher.value() == 1.0
    assert await dcc(client, bench, EnableDisable.DISABLE_INITIATION, 10) is None
    (text,) = bench.alarms.texts().values()
    assert text.endswith("told the gateway to send no BACnet notifications for 10 minutes (DeviceCommunicationControl)")
    bench.pass_time(1.0)
    bench.set("current", 2.0)
    bench.set("current", 3.0)
    assert await watcher.silent()
    assert await Rusty(client, bench.address).read(DEVICE, P.OBJECT_NAME) == "EV Gateway", "requests are answered"
    bench.pass_time(600.0)
    assert await watcher.value() == 3.0
    assert SILENCED not in bench.alarms
    watcher.sock.close()


async def test_B07_silence_without_an_end_is_ended_by_whoever_may(bench: Bench, client) -> None:
    assert await dcc(client, bench, EnableDisable.DISABLE_INITIATION) is None
    bench.pass_time(1e6)
    await settle()
    assert SILENCED in bench.alarms
    assert await dcc(client, bench, EnableDisable.ENABLE) is None
    assert SILENCED not in bench.alarms


async def test_B07_who_renews_while_the_device_is_silent_leaves_nothing_behind(bench: Bench) -> None:
    cov, device = bench.server._parts.cov, bench.server._store.device.key
    cov.muted.add(device)
    peer = IPv4Address((HOST, 40_000))
    for _ in range(5000):
        cov.subscribe(peer, "peer", 1476, Wish(device, 1, CURRENT, None, False, 60.0, None))
    assert len(cov._held[device]) <= 1003
    cov.unmute(device)
    assert len(list(cov.pump())) == 1, "the newest one is told"


async def test_B07_switching_off_the_answers_is_refused_since_revision_20(bench: Bench, client) -> None:
    assert await dcc(client, bench, EnableDisable.DISABLE) == DENIED


async def test_B07_the_password_is_asked_for_and_not_logged(guarded: Bench, client, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    silence = EnableDisable.DISABLE_INITIATION
    assert await dcc(client, guarded, silence) == WRONG_PASSWORD
    assert await dcc(client, guarded, silence, 1, "Zugang-8") == WRONG_PASSWORD
    assert SILENCED not in guarded.alarms
    assert await dcc(client, guarded, silence, 1, PASSWORD) is None
    assert SILENCED in guarded.alarms
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("gateway")]
    assert len(lines) == 1
    assert "the password is wrong" in lines[0]
    assert "Zugang" not in caplog.text


async def test_B07_nobody_outside_the_write_networks_may(read_only: Bench, client) -> None:
    assert await dcc(client, read_only, EnableDisable.DISABLE_INITIATION) == DENIED


async def test_B07_a_restart_is_unknown_unless_it_is_configured(bench: Bench, client) -> None:
    with pytest.raises(BacnetRejectError) as refused:
        await client.reinitialize_device(bench.address, ReinitializedState.COLDSTART, "x")
    assert "9" in str(refused.value)


async def test_B07_a_configured_restart_needs_the_password(guarded: Bench, client) -> None:
    async def ask(state, password=None):
        try:
            await client.reinitialize_device(guarded.address, state, password)
        except BacnetProtocolError as error:
            return error.error_class, error.error_code
        return None

    assert await ask(ReinitializedState.WARMSTART) == WRONG_PASSWORD
    assert await ask(ReinitializedState.START_BACKUP, PASSWORD) == (5, 45)
    assert guarded.restarts == []
    assert await ask(ReinitializedState.WARMSTART, PASSWORD) is None
    assert guarded.restarts == [True]
    flags = await Rusty(client, guarded.address).read(DEVICE, P.PROTOCOL_SERVICES_SUPPORTED)
    assert flags["data"][20 // 8] & 0x80 >> 20 % 8


async def test_a_time_master_is_shown_and_not_followed(bench: Bench, client) -> None:
    await client.utc_time_synchronization(bench.address, (2027, 1, 15, 5), (8, 16, 50, 0))
    await until(lambda: bench.server.time_sync is not None, 3.0)
    assert bench.clock.wall() == 1_800_001_000.0
    said = bench.server.time_sync
    assert isinstance(said, TimeSync)
    assert (said.at, said.ahead_s) == (1_800_001_000.0, 10.0)
    assert said.client.startswith("127.0.0.1:")


async def test_local_time_of_a_node_client_is_read_back(bench: Bench, node: Node, monkeypatch) -> None:
    device = {"type": 8, "instance": 260001}
    date, clock, offset, summer = await node(bench, [["readProperty", device, prop] for prop in (56, 57, 119, 24)])
    assert date["values"][0]["type"] == 10
    assert clock["values"][0]["type"] == 11
    assert (offset["values"][0]["type"], summer["values"][0]["type"]) == (3, 1)


async def test_what_names_no_moment_is_nothing(bench: Bench, raw) -> None:
    client = raw(bench)
    for body in (
        "a47f0101 ff b4ffffffff",
        "a4ffffffff b408000000",
        "a47f0220 07 b408000000",
        "a47f01",
        "",
        "a47f010101",
    ):
        await client.apdu("1009" + body, 0.02)
    assert bench.server.time_sync is None
    await client.apdu("1009 a47f010f05 b408101400", 0.02)
    await until(lambda: bench.server.time_sync is not None, 3.0)
