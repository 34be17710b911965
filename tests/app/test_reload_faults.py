"""What a reload must survive: taken ports, broken certificates, dead products, actions that run, faults of our own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import yaml
from pyModbusTCP.client import ModbusClient
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType
from structlog.testing import capture_logs

from gateway.app import listeners, reload
from gateway.app.ports import Ports
from gateway.app.watchdog import site_loops, site_words
from tests.app.test_reload_mapping import LIMIT, REFUSED, Bms, Own, taken
from tests.servers.bacnet.rusty import P, Rusty
from tests.servers.modbus.authority import Authority
from tests.site import MAPPINGS, Running, StillClock, free_port, running_site, until

SMALL = {"stations": 1, "zones": 1, "meters": 0}
I_AM_260001 = bytes.fromhex("810a0014 0100 1000 c40203f7a1 2201e0 9103 210f")
RESET = "evce/station/Bay 001/reset"


class Quick(Own):
    """Reads every second, so that a product that is dead, or asked again, shows soon."""

    def write(self, points: dict[str, Any] | None = None, **more: Any) -> None:
        super().write(points, reads={name: {"every": "1s"} for name in ("status", "reduction")}, **more)


@pytest.fixture
async def site(tmp_path, monkeypatch) -> AsyncIterator[tuple[Running, Own]]:
    monkeypatch.setattr(listeners, "RETRY_S", 0.1)
    own = Quick(tmp_path)
    async with running_site(tmp_path, change=own.use, **SMALL) as running:
        await running.complete()
        yield running, own


@pytest.fixture
def said(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """What systemd is told; call `.clear()` and wait for more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        class Said(list[str]):
            def hear(self) -> list[str]:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self.append(manager.recv(65536).decode())
                return self

        yield Said()


def alarms(running: Running) -> dict[str, str]:
    return running.daemon.alarms.texts()


@contextlib.contextmanager
def steal(monkeypatch: pytest.MonkeyPatch, at: tuple[str, ...], kind: socket.SocketKind) -> Iterator[socket.socket]:
    """Somebody takes an address in the moment between a reload's probe and the server that binds it."""
    free = Ports.free
    with socket.socket(socket.AF_INET, kind) as thief:

        def robbed(ports: Ports, key: Any) -> None:
            held = ports._held.get(key)
            address = held.getsockname() if held is not None else None
            free(ports, key)
            if key == at and address is not None:
                thief.bind(address)
                if kind is socket.SOCK_STREAM:
                    thief.listen()

        with monkeypatch.context() as patch:
            patch.setattr(Ports, "free", robbed)
            yield thief


async def test_M12_a_bacnet_port_that_was_taken_in_the_last_moment_is_had_once_it_is_free(site, monkeypatch):
    running, _ = site
    port = free_port()
    running.files.data["bacnet"]["address"] = f"127.0.0.1/8:{port}"
    running.files.write()
    with steal(monkeypatch, listeners.BACNET, socket.SOCK_DGRAM):
        await taken(running)
        assert running.daemon.bacnet is None
        assert "BACnet" not in site_loops(running.daemon, running.daemon.listeners)
        text = f"bacnet: cannot listen on 127.0.0.1:{port}: address already in use"
        assert alarms(running)["bacnet.reload"] == f"{text}; it is tried again every 0.1 s"
        await taken(running)  # another reload changes nothing about that
        assert "bacnet.reload" in alarms(running)
    await until(lambda: running.daemon.bacnet is not None and running.daemon.bacnet.port == port)
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{port}")
        assert await rusty.read(ObjectIdentifier(ObjectType.DEVICE, 260001), P.OBJECT_NAME) == "EV Gateway"
    await until(lambda: "bacnet.reload" not in alarms(running))


async def test_M12_a_web_port_that_was_taken_in_the_last_moment_is_had_once_it_is_free(site, monkeypatch):
    running, own = site
    port = free_port(socket.SOCK_STREAM)
    running.files.data["web"] = {"listen": f"127.0.0.1:{port}"}
    running.files.write()
    with steal(monkeypatch, listeners.WEB, socket.SOCK_STREAM):
        await taken(running)
        assert f"web: cannot listen on 127.0.0.1:{port}" in alarms(running)["web.reload"]
        own.write({"setpoint": None})
        await taken(running)
        assert "web.reload" in alarms(running)
    await until(lambda: "web.reload" not in alarms(running))
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200


async def test_B08_an_alarm_about_a_device_number_ends_with_the_number(site):
    running, _ = site
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(I_AM_260001, ("127.0.0.1", running.bacnet_port))
        await until(lambda: "bacnet.duplicate" in alarms(running))
    running.files.data["bacnet"]["device"]["instance"] = 260002
    running.files.write()
    await taken(running)
    assert not [alarm for alarm in alarms(running) if alarm.startswith("bacnet")]


async def test_a_broken_certificate_of_the_page_is_refused_and_the_page_stays(tmp_path):
    authority = Authority(tmp_path, "site-ca")
    certificate, key = authority.issue("page")
    port = free_port(socket.SOCK_STREAM)
    tls = {"certificate": certificate.name, "key": {"file": key.name}}

    def secure(data: dict[str, Any]) -> None:
        data["web"] = {"listen": f"127.0.0.1:{port}", "tls": tls}

    async with running_site(tmp_path, change=secure, **SMALL) as running:
        good = certificate.read_bytes()
        certificate.write_text("nonsense")
        refused = (await running.daemon.reload("anna")).refused
        assert "web.tls.certificate: cannot be used with its key" in refused[0]
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"https://127.0.0.1:{port}/healthz", ssl=False) as answer,
        ):
            assert answer.status in {200, 503}
        certificate.write_bytes(good)
        await taken(running)


async def test_an_address_that_is_widened_meets_the_gateway_itself_and_it_says_what_to_do(site):
    running, _ = site
    running.files.data["modbus"]["listen"] = f"0.0.0.0:{running.modbus_port}"
    running.files.write()
    refused = (await running.daemon.reload("anna")).refused
    own = "this gateway has that port itself now: give another one, or restart the gateway with these files"
    assert refused[0].endswith(f"cannot listen on 0.0.0.0:{running.modbus_port}: address already in use; {own}")


async def test_a_dead_product_that_holds_a_limit_is_not_forgotten_and_it_says_what_to_do(site):
    running, own = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        await running.evce.do("listen", on=False)
        await until(lambda: not running.daemon.pollers["evce"].health.connected)
        own.write({"reduction": None, "current": {"alarm": None}})
        way_out = (
            ". Nothing can be sent for it now; if that does not end, restart the gateway with these files: "
            "the product then keeps what it holds, and nobody releases it"
        )
        refused = (await running.daemon.reload("anna")).refused
        held = f"{LIMIT} could not be written any more, and slot 10 holds 40 A of modbus/bms"
        assert refused == [f"{held}: release it first, then reload{way_out}", REFUSED]
        assert await asyncio.to_thread(bms._client.write_single_register, running.register(f"{LIMIT}.release"), 1)
        refused = (await running.daemon.reload("anna")).refused
        owed = f"{LIMIT} could not be written any more, and its release is not verified yet"
        assert refused == [f"{owed}; reload when that is done{way_out}", REFUSED]


async def test_an_action_that_runs_is_not_taken_out_of_the_mapping(tmp_path):
    clock = StillClock()
    file = tmp_path / "own.yaml"
    base: dict[str, Any] = {"extends": str(MAPPINGS / "evce.yaml")}

    def use(data: dict[str, Any]) -> None:
        file.write_text(yaml.safe_dump(base))
        data["sources"][0]["mapping"] = "own.yaml"

    async with running_site(tmp_path, change=use, clock=clock, **SMALL) as running:
        await running.complete()
        client = ModbusClient("127.0.0.1", running.modbus_port, auto_open=True)
        assert await asyncio.to_thread(client.write_single_register, running.register(RESET), 1)
        await until(lambda: any("/cmds/" in item.path for item in running.evce.received))
        file.write_text(yaml.safe_dump(base | {"resources": {"station": {"actions": {"reset": None}}}}))
        assert (await running.daemon.reload("anna")).refused == [f"{RESET} runs: reload when it has ended", REFUSED]
        clock.now += 3
        await until(lambda: running.value(f"{RESET}.result") == 2)
        await taken(running)
        assert running.daemon.table.find(RESET) is None
        client.close()


@pytest.mark.parametrize("where", ["load_site", "obstacles"])
async def test_H04_a_fault_of_its_own_leaves_everything_as_it_is(site, monkeypatch, where):
    running, own = site

    def fail(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    own.write({"setpoint": None})
    with monkeypatch.context() as patch, capture_logs() as logged:
        if where == "load_site":
            patch.setattr(reload, "load_site", fail)
        else:
            judges = iter((running.daemon.obstacles, fail))  # the second time nobody polls the source any more

            def judge(changes: Any) -> Any:
                return next(judges)(changes)

            patch.setattr(running.daemon, "obstacles", judge)
        refused = (await running.daemon.reload("anna")).refused
    assert refused == ["the files could not be taken over: RuntimeError; the log says where", REFUSED]
    assert "reload" in alarms(running)
    assert "gateway.reload_failed" in [line["event"] for line in logged]
    health = running.daemon.pollers["evce"].health
    last_good = health.last_good
    assert last_good is not None
    await until(lambda: (health.last_good or 0.0) > last_good)
    await taken(running)
    assert "reload" not in alarms(running)
    assert running.daemon.table.find("evce/zone/Zone A/setpoint") is None


async def test_a_refused_reload_stays_in_the_status_text_until_one_succeeds(said, tmp_path):
    own = Own(tmp_path)
    async with running_site(tmp_path, change=own.use, **SMALL) as running:
        await running.complete()
        own.file.write_text("product: [\n")
        said.hear().clear()
        assert (await running.daemon.reload("anna")).refused
        ready = [line for line in said.hear() if line.startswith("READY=1")]
        words = site_words(running.daemon)
        assert ready == [f"READY=1\nSTATUS={words}"]
        assert "; the last reload was refused: " in words
        assert "own.yaml:" in words
        assert "\n" not in words
        own.write()
        await taken(running)
        assert said.hear()[-1] == f"READY=1\nSTATUS={site_words(running.daemon)}"
        assert "refused" not in site_words(running.daemon)


async def test_two_groups_that_exchange_their_slots_keep_what_they_hold(site):
    running, _ = site
    slots = running.daemon.desk.slots(running.daemon.table.find(LIMIT))
    groups = running.files.data["modbus"]["clients"] = [
        {"name": "bms", "allow": "127.0.0.1", "slot": 10, "write": True},
        {"name": "dcs", "allow": "127.0.0.2", "slot": 12, "write": True},
    ]
    running.files.write()
    await taken(running)
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        groups[0]["slot"], groups[1]["slot"] = 12, 10
        running.files.write()
        await taken(running)
        assert [(number, slot.value) for number, slot in slots.occupied] == [(12, 40.0)]
        assert await bms.write(running.register(LIMIT), 30.0)
        assert slots.winner == 12
        await until(lambda: running.puts()[-1]["value"] == 30.0)


async def test_a_restart_leaves_a_product_that_is_gone_for_good(tmp_path):
    own = Quick(tmp_path)
    async with running_site(tmp_path, change=own.use, **SMALL) as running:
        await running.complete()
        async with Bms(running.modbus_port) as bms:
            assert await bms.write(running.register(LIMIT), 40.0)
            await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        await running.evce.do("listen", on=False)

    def without(data: dict[str, Any]) -> None:
        own.use(data)
        del data["sources"][0]

    async with running_site(tmp_path, change=without, **SMALL) as again:
        await until(lambda: all(poller.health.connected for poller in again.daemon.pollers.values()))
        assert again.daemon.table.find(LIMIT) is None
        assert again.daemon.healthy()
        assert again.puts() == []
