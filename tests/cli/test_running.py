"""Commands that ask a running gateway, over a real control socket with a stand-in behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import CommandRejected, Reject
from gateway.web import ControlServer

Call = Callable[..., Any]
Ask = Callable[..., Awaitable[Any]]
POINT = "evce/zone/Zone A/reduction"
ROW = {
    "point": POINT,
    "type": "float32",
    "unit": "A",
    "access": "rw",
    "modbus": {"unit": 1, "register": 1040, "count": 2},
    "bacnet": None,
    "value": 20.0,
    "quality": "good",
    "reason": "",
    "age_s": 0.1,
}


class Gateway:
    """Knows one point and records what it is asked."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, Any, int | None]] = []
        self.busy = False

    def status(self) -> dict[str, Any]:
        return {
            "site": "Car [red] park",
            "version": "0.1.0",
            "map_hash": "00ff",
            "uptime_s": 7,
            "alarms": 0,
            "lease": "off",
            "dry_run": True,
            "sources": [
                {
                    "name": "evce",
                    "state": "up",
                    "reason": "",
                    "connected": True,
                    "session_age_s": 1.0,
                    "last_good_s": None,
                    "poll_ms": 3,
                    "errors": 0,
                }
            ],
            "points": {"good": 3},
            "inhibited": {"evce/zone/B": "two zones are named 'B'"},
            "bad": ["evce/zone/B/power: the answer has no power"],
            "foreign_limits": {"evce/zone/C/reduction": 16.0},
            "without_address": {"evce/station": 4},
            "modbus": {"port": 502, "clients": []},
            "bacnet": None,
        }

    def points(self) -> list[dict[str, Any]]:
        if self.busy:
            raise ValueError("not now")
        return [ROW]

    def addresses(self) -> list[dict[str, Any]]:
        return []

    def read(self, point: str) -> dict[str, Any]:
        if point != POINT:
            raise KeyError(point)
        return {**ROW, "slots": {"10": {"value": 20.0, "origin": "modbus bms 10.0.0.9"}}}

    async def write(self, point: str, value: Any, slot: int | None, user: str) -> dict[str, Any]:
        assert user
        if point != POINT:
            raise KeyError(point)
        if value == 3:
            raise CommandRejected(Reject.FLOOR, "3 is below the floor 6 A")
        self.writes.append((point, value, slot))
        return self.read(point)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def ask(site: Path, gateway: Gateway, call: Call) -> AsyncIterator[Ask]:
    """Calls the command line in a thread while the stand-in serves."""
    (site / "state").mkdir()
    server = ControlServer(site / "state" / "control.sock", gateway)
    await server.start()

    async def one(*arguments: str) -> Any:
        return await asyncio.to_thread(call, *arguments)

    yield one
    await server.stop()


async def test_points_come_from_the_gateway(ask: Ask) -> None:
    said = await ask("points", "--json")
    assert (said.code, json.loads(said.out)) == (0, [ROW])
    assert (await ask("points")).out == f"{POINT}\t20 A\tgood\t1/1040 float32\t\n"
    assert (await ask("points", "no such name")).out == ""


async def test_read(ask: Ask) -> None:
    said = await ask("read", POINT, "--json")
    assert (said.code, json.loads(said.out)["slots"]["10"]["value"]) == (0, 20.0)
    said = await ask("read", POINT)
    assert said.code == 0
    assert "20 A" in said.out
    assert "slot 10: 20.0 by modbus bms 10.0.0.9" in said.out


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("20.5", 20.5),
        ("-1", -1),
        ("true", True),
        ("Charging", "Charging"),
        ('"5"', "5"),
        ("[1]", "[1]"),
        ("null", "null"),
    ],
)
async def test_write_sends_the_value_in_its_own_type(ask: Ask, gateway: Gateway, text: str, value: Any) -> None:
    assert (await ask("write", POINT, text, "--slot", "9")).code == 0
    assert gateway.writes == [(POINT, value, 9)]
    assert type(gateway.writes[0][1]) is type(value)


async def test_release_is_a_write_of_nothing(ask: Ask, gateway: Gateway) -> None:
    assert (await ask("release", POINT)).code == 0
    assert gateway.writes == [(POINT, None, None)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["write", POINT, "3"], "3 is below the floor 6 A"),
        (["read", "evce/zone/None/power"], "there is no point 'evce/zone/None/power'"),
        (["release", "none"], "there is no point 'none'"),
    ],
)
async def test_a_refusal_is_4_and_says_why(ask: Ask, gateway: Gateway, arguments: list[str], text: str) -> None:
    said = await ask(*arguments)
    assert (said.code, said.out, said.err) == (4, "", text + "\n")
    assert gateway.writes == []


async def test_status(ask: Ask, gateway: Gateway) -> None:
    assert json.loads((await ask("status", "--json")).out) == gateway.status()
    said = await ask("status")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "Car [red] park  version 0.1.0, map 00ff",
        "up 7 s, alarms 0, leases off",
        "DRY RUN: nothing is sent to any product",
        "  up       evce: last good answer never, errors 0 ",
        "points: 3 good",
        "  inhibited evce/zone/B: two zones are named 'B'",
        "  no value evce/zone/B/power: the answer has no power",
        "  not asked here evce/zone/C/reduction: 16.0 is in force upstream; `release` ends it",
        "  no address left for 4 of evce/station: raise `capacity` in the mapping",
        "modbus: port 502, 0 clients",
    ]


async def test_a_gateway_that_refuses_is_not_taken_for_none(ask: Ask, gateway: Gateway) -> None:
    gateway.busy = True
    said = await ask("points")
    assert (said.code, said.out, said.err) == (4, "", "not now\n")
