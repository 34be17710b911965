"""mbpoll and @bacnet-js/client restart a station: one body at the product, and its end beside the code (C15)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import EvceSimulator
from tests.interop.test_same_value import PRESENT_VALUE, need_peers, node
from tests.servers.bacnet.conftest import RawClient, unicast
from tests.site import Running, StillClock, run_program, running_site

RESET = "evce/station/Bay 001/reset"
SOFT = {"desc": {"type": "Soft"}, "nested": {"type": "SOFT"}}
HARD = {"desc": {"type": "Hard"}, "nested": {"type": "HARD"}}
DONE, BUSY = 2, "Slave device or server is busy"
ANALOG_VALUE, MULTI_STATE_INPUT, CHARACTERSTRING_VALUE = 2, 13, 40
REAL = 4


def posts(sim: EvceSimulator) -> list[Any]:
    """The bodies of every command that the product received."""
    return [item.body for item in sim.received if "/cmds/" in item.path]


async def poll(site: Running, point: str, *value: str) -> tuple[int, str]:
    """mbpoll at a point's register: exit code and everything it said."""
    code, out, err = await run_program(
        *("mbpoll", "-m", "tcp", "-a", "1", "-p", str(site.modbus_port), "-0", "-1", "-q", "-t", "4"),
        *("-r", str(site.register(point)), "127.0.0.1", *value),
    )
    return code, out + err


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_C15_a_station_is_restarted_once_over_modbus(tmp_path: Path, dialect: str) -> None:
    need_peers()
    clock = StillClock()
    async with running_site(tmp_path, dialect, clock=clock, stations=4, zones=1, meters=1) as site:
        await site.complete()
        assert site.register(RESET) == 65096 + 6
        assert (await poll(site, RESET, "1"))[0] == 0
        assert (await poll(site, RESET, "1"))[0] == 0
        code, said = await poll(site, RESET, "2")
        assert code != 0
        assert BUSY in said
        await site.until(lambda: bool(posts(site.evce)))
        clock.now += 3
        await site.until(lambda: site.value(f"{RESET}.result") == DONE)
        assert "\t2" in (await poll(site, f"{RESET}.result"))[1]
        code, said = await poll(site, RESET, "2")
        assert code != 0
        assert "Illegal data value" in said, "only a change from 0 fires"
        assert posts(site.evce) == [SOFT[dialect]]
        assert site.evce.site.station("Bay 001").restarting
        assert (await poll(site, RESET, "0"))[0] == 0
        assert (await poll(site, RESET, "2"))[0] == 0
        await site.until(lambda: posts(site.evce) == [SOFT[dialect], HARD[dialect]])


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_C15_a_station_is_restarted_once_over_bacnet(tmp_path: Path, dialect: str) -> None:
    need_peers()
    async with running_site(tmp_path, dialect, stations=4, zones=1, meters=1) as site:
        await site.complete()
        first = site.placed(RESET).objects[0].instance
        code = {"type": ANALOG_VALUE, "instance": first}
        write = ["writeProperty", code, PRESENT_VALUE, [{"type": REAL, "value": 2}], {"priority": 8}]
        await node(site, [write, write])
        await site.until(lambda: site.value(f"{RESET}.result") == DONE)
        answers = await node(
            site,
            [
                ["readProperty", code, PRESENT_VALUE],
                ["readProperty", {"type": MULTI_STATE_INPUT, "instance": first + 1}, PRESENT_VALUE],
                ["readProperty", {"type": CHARACTERSTRING_VALUE, "instance": first + 2}, PRESENT_VALUE],
            ],
        )
        assert [answer["values"][0]["value"] for answer in answers] == [2, DONE, ""]
        assert posts(site.evce) == [HARD[dialect]]


async def test_C15_a_bacnet_retransmission_never_fires_twice(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=4, zones=1, meters=1) as site:
        await site.complete()
        key = (ANALOG_VALUE << 22 | site.placed(RESET).objects[0].instance).to_bytes(4, "big")
        body = b"\x0c" + key + b"\x19\x55\x3e\x44\x3f\x80\x00\x00\x3f"
        request = unicast(b"\x00\x04\x07\x0f" + body)
        client = RawClient(site.bacnet_port)
        try:
            for _ in range(3):
                client.send(request)
            assert await client.receive(2.0) is not None
            await site.until(lambda: site.value(f"{RESET}.result") == DONE)
        finally:
            client.sock.close()
        assert posts(site.evce) == [SOFT["desc"]]


async def test_C15_a_restart_of_the_gateway_does_not_repeat_it(tmp_path: Path) -> None:
    need_peers()
    async with EvceSimulator(stations=4, zones=1, meters=1) as evce:
        pem = evce.certificate_pem

        def other(data: dict[str, Any]) -> None:
            (tmp_path / "own.pem").write_text(pem, encoding="ascii")
            data["sources"][0] |= {"url": evce.url, "tls": {"ca_file": "own.pem"}}

        async with running_site(tmp_path, change=other, stations=1, zones=1, meters=1) as site:
            await site.complete()
            assert (await poll(site, RESET, "1"))[0] == 0
            await site.until(lambda: bool(posts(evce)))
        async with running_site(tmp_path, change=other, stations=1, zones=1, meters=1) as site:
            await site.complete()
            assert site.value(RESET) == 1
            assert site.value(f"{RESET}.result") == 4
            assert (await poll(site, RESET, "1"))[0] == 0
            assert posts(evce) == [SOFT["desc"]]


async def test_C15_the_command_line_fires_an_action_and_says_how_it_ended(tmp_path: Path) -> None:
    async with running_site(tmp_path, stations=4, zones=1, meters=1) as site:
        await site.complete()

        async def gateway(verb: str, *words: str) -> tuple[int, str]:
            config = str(site.files.config)
            code, out, err = await run_program(sys.executable, "-m", "gateway", verb, RESET, *words, "-c", config)
            return code, out + err

        code, said = await gateway("write", "1")
        assert code == 0
        assert "result: running" in said
        await site.until(lambda: site.value(f"{RESET}.result") == DONE)
        code, said = await gateway("read")
        assert "result: done" in said
        code, said = await gateway("write", "2")
        assert code == 4
        assert "1 stands there, and only a change from 0 fires: write 0 first" in " ".join(said.split())
        code, said = await gateway("release")
        assert code == 4
        assert "write 0" in said
        assert posts(site.evce) == [SOFT["desc"]]
