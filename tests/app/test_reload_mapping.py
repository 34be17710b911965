"""Reload of mappings and sources: what still exists goes on, with its value, its session and what is asked of it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyModbusTCP.client import ModbusClient

from gateway.app.control import Control
from gateway.app.published import publish_running
from gateway.app.reloaded import Reloaded
from gateway.simulator import BenderSimulator, EvceSimulator, Simulator, make_certificate
from tests.site import MAPPINGS, AheadClock, Running, StillClock, running_site, until

LIMIT = "evce/zone/Zone A/reduction"
HOLDS = "slot 10 holds 40 A of modbus/bms"
REFUSED = "nothing of the files was taken over: what ran before goes on"


class Own:
    """A mapping of the site's own, changed by a test."""

    def __init__(self, folder: Path, base: str = "evce.yaml") -> None:
        self.file = folder / "own.yaml"
        self.base = base

    def write(self, points: dict[str, Any] | None = None, **more: Any) -> None:
        zone = {"points": points or {}, **more}
        text = {"extends": str(MAPPINGS / self.base), "resources": {"zone": zone}}
        self.file.write_text(yaml.safe_dump(text))

    def use(self, data: dict[str, Any]) -> None:
        self.write()
        data["sources"][0]["mapping"] = "own.yaml"


def logins(sim: Simulator) -> list[int]:
    path = sim.base + ("/login/login" if sim.kind == "evce" else "/login")
    return [item.status for item in sim.received if item.path == path]


def logouts(sim: Simulator) -> int:
    return sum(item.path == sim.base + "/login/logout" for item in sim.received)


async def taken(running: Running) -> Reloaded:
    """A reload that must succeed."""
    found = await running.daemon.reload("anna")
    assert found.refused == []
    return found


class Bms:
    """A BMS on one Modbus connection that it never opens again."""

    def __init__(self, port: int) -> None:
        self._client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, auto_open=False, timeout=10)

    async def __aenter__(self) -> Bms:
        assert await asyncio.to_thread(self._client.open)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.close()

    async def words(self, register: int, count: int = 2) -> list[int]:
        found = await asyncio.to_thread(self._client.read_holding_registers, register, count)
        assert found is not None, self._client.last_error_as_txt + self._client.last_except_as_full_txt
        return list(found)

    async def real(self, register: int) -> float:
        return float(struct.unpack(">f", struct.pack(">HH", *await self.words(register)))[0])

    async def write(self, register: int, value: float) -> bool:
        words = list(struct.unpack(">HH", struct.pack(">f", value)))
        return bool(await asyncio.to_thread(self._client.write_multiple_registers, register, words))

    async def code(self, register: int, count: int) -> int:
        assert await asyncio.to_thread(self._client.read_holding_registers, register, count) is None
        return int(self._client.last_except)


@pytest.fixture
async def site(tmp_path) -> AsyncIterator[tuple[Running, Own]]:
    own = Own(tmp_path)
    still = StillClock()
    async with running_site(tmp_path, change=own.use, clock=still, stations=2, zones=2, meters=1) as running:
        await running.complete()
        yield running, own


async def test_points_come_go_and_change_while_a_connection_stays_open(site):
    running, own = site
    daemon = running.daemon
    async with Bms(running.modbus_port) as bms:
        power = await bms.real(1008)
        before, index = daemon.map_hash(), daemon.table.find("evce/zone/Zone A/power")
        own.write(
            {
                "power": {"unit": "W", "scale": 1000, "modbus": {"at": 8, "type": "float32"}},
                "setpoint": None,
                "current": {"modbus": {"at": 6, "type": "int32", "scale": 0.001}},
                "another": {"from": "status", "path": "setpoint", "unit": "A", "modbus": {"at": 20, "type": "float32"}},
            }
        )
        assert "the mapping of evce is another: points 1 new, 1 gone, 2 changed" in (await taken(running)).done
        assert daemon.map_hash() != before
        assert daemon.table.find("evce/zone/Zone A/setpoint") is None
        assert await bms.words(1010) == [0xFFFF, 0xFFFF]
        assert await bms.words(1002) != [0x7FC0, 0]  # nothing of the others was lost
        await until(lambda: running.value("evce/zone/Zone A/another") is not None)
        assert await bms.real(1008) == pytest.approx(power * 1000, rel=0.2)
        assert await bms.real(1020) == pytest.approx(running.value("evce/zone/Zone A/another"))
        high, low = await bms.words(1006)
        assert (high << 16 | low) / 1000 == pytest.approx(running.value("evce/zone/Zone A/current"), rel=0.2)
        assert daemon.table.find("evce/zone/Zone A/power") == index
    assert logins(running.evce) == [200]


async def test_what_did_not_change_never_loses_its_value(site):
    running, own = site
    table = running.daemon.table
    kept = table.find("evce/zone/Zone A/current_l1")
    lost: list[str] = []
    table.subscribe(lambda changed: lost.extend(["lost"] if kept in changed and table.sample(kept).quality else []))
    own.write({"another": {"from": "status", "path": "setpoint", "unit": "A"}})
    await taken(running)
    await until(lambda: running.value("evce/zone/Zone A/another") is not None)
    assert lost == []
    assert table.find("evce/zone/Zone A/current_l1") == kept
    assert running.value("garage-7/charger/ambient_temp") is not None
    assert [logins(bender) for bender in running.benders] == [[200], [200]]


async def test_a_limit_its_lease_and_its_receipt_outlive_a_reload_and_nothing_is_sent_again(tmp_path):
    clock, own = AheadClock(), Own(tmp_path)

    def change(data: dict[str, Any]) -> None:
        own.use(data)
        data["control"] = {"lease_s": 200}

    async with (
        running_site(tmp_path, change=change, gateway_clock=clock, stations=1, zones=1, meters=0) as running,
        Bms(running.modbus_port) as bms,
    ):
        await running.complete()
        asked = clock.monotonic()
        assert await bms.write(running.register(LIMIT), 40.0)
        answered = clock.monotonic()

        def half_spent() -> bool:
            """What is left is what the clock left of it: shown in whole seconds, and up to a tick old."""
            shown, now = running.value(f"{LIMIT}.lease_left_s"), clock.monotonic()
            assert shown is not None
            return 200 - (now - asked) <= shown <= 200 - (now - answered) + 3

        status = running.register(f"{LIMIT}.write_status")
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        clock.ahead_s += 100
        await until(half_spent)
        own.write({"another": {"from": "status", "path": "setpoint", "unit": "A"}})
        await taken(running)
        assert await bms.words(status, 1) == [4]
        assert await bms.real(running.register(LIMIT)) == 40.0
        assert half_spent()
        slot = running.daemon.desk.slots(running.daemon.table.find(LIMIT))[10]
        assert slot is not None
        assert slot.origin.user == "bms"
        await until(lambda: running.value("evce/zone/Zone A/another") is not None)
        await asyncio.sleep(1.0)  # longer than a PUT would wait
        assert [put["value"] for put in running.puts()] == [40.0]
        clock.ahead_s += 101
        await until(lambda: running.value(f"{LIMIT}.authority") == 4)  # half spent stays half spent


async def test_C06_a_point_that_holds_a_limit_is_not_taken_away(site):
    running, own = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        own.write({"reduction": None, "current": {"alarm": None}})
        refused = (await running.daemon.reload("anna")).refused
        assert refused == [
            f"{LIMIT} could not be written any more, and {HOLDS}: release it first, then reload",
            REFUSED,
        ]
        running.files.data["sources"][0]["exclude"] = ["zone/Zone A"]
        own.write()
        running.files.write()
        refused = (await running.daemon.reload("anna")).refused
        assert refused[0].startswith(f"{LIMIT} would be no more, and slot 10 holds 40 A")
        assert await bms.real(running.register(LIMIT)) == 40.0
        await asyncio.to_thread(bms._client.write_single_register, running.register(f"{LIMIT}.release"), 1)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 1)
        await taken(running)
        assert running.daemon.table.find(LIMIT) is None
        assert running.daemon.table.find("evce/zone/Zone B/reduction") is not None
        assert await bms.words(1000) == [0xFFFF, 0xFFFF]
        del running.files.data["sources"][0]["exclude"]
        running.files.write()
        await taken(running)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 1)
        assert running.value(LIMIT) == running.value(f"{LIMIT}.applied")


async def test_C10_a_value_in_another_unit_is_not_kept(site):
    running, own = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        own.write({"reduction": {"unit": "mA", "scale": 1000, "range": [0, 250000], "command": {"default": 250000}}})
        await taken(running)
        slots = running.daemon.desk.slots(running.daemon.table.find(LIMIT))
        assert (slots.winner, slots.lost) == (0, [10])
        assert "another unit" in str(running.daemon.alarms.text("failsafe evce/zone/0/reduction"))
        await until(lambda: running.value(f"{LIMIT}.write_status") == 1)
        assert running.puts()[-1]["type"] == "none"


async def test_another_scale_sends_what_is_asked_as_the_product_understands_it_now(site):
    running, own = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        own.write({"reduction": {"scale": 2}})
        await taken(running)
        assert await bms.real(running.register(LIMIT)) == 40.0
        await until(lambda: [put["value"] for put in running.puts()] == [40.0, 20.0])
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)


async def test_sources_come_and_go_and_the_others_keep_their_sessions(site, tmp_path):
    running, _ = site
    data, daemon = running.files.data, running.daemon
    async with BenderSimulator(seed=9) as third, Bms(running.modbus_port) as bms:
        gone = data["sources"].pop(1)
        data["sources"].append({**gone, "name": "garage-9", "url": third.url})
        running.files.write()
        done = (await taken(running)).done
        assert {"sources: garage-9 is new", "sources: garage-7 is gone"} <= set(done)
        assert list(daemon.pollers) == ["evce", "garage-8", "garage-9"]
        await until(lambda: daemon.pollers["garage-9"].health.connected)
        assert logouts(running.benders[0]) == 0  # a Bender controller has no logout: its session ends by itself
        assert daemon.table.find("garage-7/charger/ambient_temp") is None
        await until(lambda: running.value("garage-9/charger/ambient_temp") is not None)
        assert (await bms.words(11, 1)) == [3]
        assert (await bms.words(running.register("gateway/header/garage-7.quality"), 2)) == [0xFFFF, 0xFFFF]
        assert logins(running.evce) == [200]
        assert logins(running.benders[1]) == [200]
        data["sources"][2] = gone
        running.files.write()
        await taken(running)
        await until(lambda: running.value("garage-7/charger/ambient_temp") is not None)
        assert len(logins(running.benders[0])) == 2


async def test_another_session_begins_after_the_old_one_was_left_and_sends_nothing_again(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        assert await bms.write(running.register(LIMIT), 40.0)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        running.files.data["sources"][0]["parallel"] = 2
        running.files.write()
        await taken(running)
        await until(lambda: logins(running.evce) == [200, 200])
        assert logouts(running.evce) == 1
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        await until(lambda: running.daemon.inventory.resources["evce", "zone", "Zone A"].resolved == 1)
        await until(lambda: running.value(f"{LIMIT}.write_status") == 4)
        said = [(item.method, item.path.rpartition("/")[2]) for item in running.evce.received]
        assert said == [("POST", "login"), ("PUT", "reduction"), ("POST", "logout"), ("POST", "login")]


@pytest.mark.parametrize(("first", "second"), [("desc", "nested"), ("nested", "desc")])
async def test_another_dialect_is_switched_to_live(tmp_path, first, second):
    files = {"desc": "evce.yaml", "nested": "evce-nested.yaml"}
    async with running_site(tmp_path, first, stations=2, zones=1, meters=1) as running:
        await running.complete()
        registers = {name: running.register(name) for name in (LIMIT, "evce/zone/Zone A/current", f"{LIMIT}.applied")}
        async with (
            EvceSimulator(dialect=second, stations=2, zones=1, meters=1) as updated,
            Bms(running.modbus_port) as bms,
        ):
            assert await bms.write(registers[LIMIT], 40.0)
            await until(lambda: running.value(f"{LIMIT}.write_status") == 4, 30)
            (tmp_path / "evce.pem").write_text(updated.certificate_pem)
            source = running.files.data["sources"][0]
            source |= {"mapping": str(MAPPINGS / files[second]), "url": updated.url}
            running.files.write()
            await taken(running)
            assert await bms.real(running.register(LIMIT)) == 40.0
            inhibited = "its type changed from"  # C14: this dialect spells the type in another way
            await until(lambda: inhibited in running.daemon.inventory.resources["evce", "zone", "Zone A"].trouble, 30)
            assert [item for item in updated.received if item.method == "PUT"] == []
            Control(running.daemon).correct("confirm", [], "", "anna")
            await until(lambda: running.value(f"{LIMIT}.write_status") == 4, 30)
            assert len([item for item in updated.received if item.method == "PUT"]) == 1
            await until(lambda: running.value("evce/zone/Zone A/current") is not None, 30)
            assert {name: running.register(name) for name in registers} == registers
            assert logouts(running.evce) == 1
            assert await bms.real(registers["evce/zone/Zone A/current"]) == running.value("evce/zone/Zone A/current")


async def test_U38_a_certificate_file_that_says_something_else_is_taken_over(site, tmp_path):
    running, _ = site
    health = running.daemon.pollers["evce"].health
    running.evce.present(make_certificate())
    await until(lambda: "certificate" in health.reason and not health.connected)
    (tmp_path / "evce.pem").write_text(running.evce.certificate_pem)
    assert "sources.evce: another certificate in its file" in (await taken(running)).done
    await until(lambda: health.connected)
    assert (await taken(running)).done[-1] == "the files say what is running already"


async def test_another_word_order_turns_every_register_at_once(site):
    running, _ = site
    async with Bms(running.modbus_port) as bms:
        high, low = await bms.words(running.register(LIMIT))
        running.files.data["modbus"]["word_order"] = "little"
        running.files.write()
        await taken(running)
        assert await bms.words(running.register(LIMIT)) == [low, high]
        assert await bms.words(0) == [0x4757, 0x4556]


async def test_a_source_that_is_down_is_tried_at_once_where_the_new_file_says(site):
    running, _ = site
    data, health = running.files.data, running.daemon.pollers["garage-7"].health
    url = data["sources"][1]["url"]
    data["sources"][1]["url"] = "http://127.0.0.1:9"
    running.files.write()
    await taken(running)
    await until(lambda: health.state == "down")
    assert running.daemon.table.find("garage-7/charger/ambient_temp") is not None
    data["sources"][1]["url"] = url
    running.files.write()
    await taken(running)
    await until(lambda: health.connected)


async def test_H06_published_addresses_do_not_move_unless_that_is_said(site):
    running, own = site
    await publish_running(running.daemon, user="anna", accept_moves=False)
    own.write({"power": {"modbus": {"at": 20, "type": "float32"}}, "another": {"from": "status", "path": "power"}})
    refused = (await running.daemon.reload("anna")).refused
    assert any("evce/zone/Zone A/power" in text for text in refused)
    assert running.register("evce/zone/Zone A/power") == 1008
    assert running.daemon.table.find("evce/zone/Zone A/another") is None
    assert (await running.daemon.reload("anna", accept_moves=True)).refused == []
    assert running.register("evce/zone/Zone A/power") == 1020
    assert (await taken(running)).done[-1] == "the files say what is running already"
