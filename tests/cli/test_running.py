"""Commands that ask a running gateway, over a real control socket with a stand-in behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from gateway.cli.write import end_of
from gateway.core.errors import CommandRejected, CorrectionRefused, Reject
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


SLOT = {
    "value": 20.0,
    "origin": "modbus bms 10.0.0.9",
    "left_s": None,
    "until": None,
    "failsafe": False,
    "dry_run": False,
}
SLOTS = {
    "8": {**SLOT, "origin": "cli local [bob]", "left_s": 3600, "until": "2026-11-20T17:30:00Z"},
    "10": SLOT,
    "11": {**SLOT, "left_s": 42},
    "12": {**SLOT, "left_s": 0, "failsafe": True},
    "13": {**SLOT, "value": None, "left_s": 0, "failsafe": True},
    "14": {**SLOT, "left_s": 300, "dry_run": True},
}


CLIENT = {
    "protocol": "modbus",
    "address": "10.0.0.8",
    "group": "bms",
    "connections": 1,
    "subscriptions": 0,
    "requests": 1200,
    "per_s": 2.5,
    "functions": {"16": 7, "3": 1193},
    "exceptions": 0,
    "writes": 7,
    "last_seen_s": 0.2,
}
HINT = {"protocol": "modbus", "id": "odd_offset", "since_s": 9.0}


class Gateway:
    """Knows one point and records what it is asked."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, Any, int | None]] = []
        self.ends: list[float | None] = []
        self.corrections: list[tuple[str, list[str], str]] = []
        self.busy = False
        self.other: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        return self.other or {
            "site": "Car [red] park",
            "version": "0.1.0",
            "map_hash": "00ff",
            "uptime_s": 7,
            "alarms": 0,
            "lease": "off",
            "dry_run": True,
            "read_only": True,
            "persistence_fault": "disk [full]",
            "failsafe": {
                "evce/zone/A/reduction": {"lost": [10, 13], "rules": 10},
                "evce/zone/B/reduction": {"lost": [13], "rules": 10},
                "evce/zone/C/reduction": {"lost": [10], "rules": None},
            },
            "alarm_texts": ["evce/zone/C/reduction: slot 8 hides a tighter one"],
            "point_alarms": [],
            "sources": [
                {
                    "name": "evce",
                    "state": "up",
                    "reason": "",
                    "failing": {"list zone": "GET /em/zones: not JSON [b]"},
                    "connected": True,
                    "session_age_s": 1.0,
                    "last_good_s": None,
                    "poll_ms": 3,
                    "errors": 0,
                    "relogins": 1,
                    "overruns": 2,
                    "retry_in_s": None,
                },
                {
                    "name": "garage-7",
                    "state": "taken",
                    "reason": "taken by another [login]",
                    "failing": {},
                    "connected": False,
                    "session_age_s": None,
                    "last_good_s": 12.5,
                    "poll_ms": 3,
                    "errors": 4,
                    "relogins": 3,
                    "overruns": 0,
                    "retry_in_s": 287.4,
                },
            ],
            "points": {"good": 3},
            "inhibited": {"evce/zone/B": "two zones are named 'B'"},
            "missing": ["evce/zone/[D]"],
            "bad": ["evce/zone/B/power: the answer has no power"],
            "foreign_limits": {"evce/zone/C/reduction": 16.0},
            "certificates_ending": {"evce": {"ends": "2026-12-10", "days": 20}},
            "without_address": {"evce/station": 4, "evce/meter": 2},
            "without_unit": {"evce/meter": 2},
            "without_device": {},
            "alike": {"evce/zone": [["Zone A", "zone a"]]},
            "counters_restarted": {"evce/station/Bay 1/energy": [120.5, 0.0]},
            "modbus": {"port": 502, "clients": []},
            "bacnet": None,
            "web": {"port": 8443, "fingerprint": "sha256:00ff", "pages": 2},
            "clients": [CLIENT],
            "hints": [
                {"client": "10.0.0.8", "text": "reads [red] register 1041", "times": 3, "last_s": 4.0, **HINT},
                {"client": "", "text": "no BACnet broadcast", "times": 1, "last_s": 0.0, **HINT},
            ],
            "loop": {"lag_ms": 1.0, "worst_ms": 340.0, "overruns": 2},
        }

    async def points(self) -> list[dict[str, Any]]:
        if self.busy:
            raise ValueError("not now")
        return [ROW]

    def addresses(self) -> list[dict[str, Any]]:
        return []

    def answers(self) -> dict[str, Any]:
        return {}

    async def map(self) -> dict[str, Any]:
        return {"map_hash": "00ff", "points": []}

    async def publish(self, user: str, *, accept_moves: bool) -> list[str]:
        if not accept_moves:
            raise CorrectionRefused("1 published addresses would not hold")
        return [f"published by {user}"]

    def read(self, point: str) -> dict[str, Any]:
        if point != POINT:
            raise KeyError(point)
        return {**ROW, "slots": SLOTS, "receipt": {"write_status": "in force", "authority": "controlled"}}

    def correct(self, verb: str, names: list[str], to: str, user: str) -> list[str]:
        assert user
        self.corrections.append((verb, names, to))
        if verb == "forget":
            raise CorrectionRefused("evce/zone/A is listed by the product right now: it is not gone")
        return ["evce/zone/A [red] is done", "and more"]

    async def write(
        self, point: str, value: Any, slot: int | None, user: str, *, until: float | None
    ) -> dict[str, Any]:
        assert user
        if point != POINT:
            raise KeyError(point)
        if value == 3:
            raise CommandRejected(Reject.FLOOR, "3 is below the floor 6 A")
        self.writes.append((point, value, slot))
        self.ends.append(until)
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


@pytest.fixture
def east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine stands an hour east of Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-1")
        time.tzset()
        yield
    time.tzset()


async def test_points_come_from_the_gateway(ask: Ask) -> None:
    said = await ask("points", "--json")
    assert (said.code, json.loads(said.out)) == (0, [ROW])
    assert (await ask("points")).out == f"{POINT}\t20 A\tgood\t1/1040 float32\t\n"
    assert (await ask("points", "no such name")).out == ""


@pytest.mark.usefixtures("east")
async def test_read(ask: Ask) -> None:
    said = await ask("read", POINT, "--json")
    assert (said.code, json.loads(said.out)["slots"]["10"]["value"]) == (0, 20.0)
    said = await ask("read", POINT)
    assert said.code == 0
    assert "20 A" in said.out
    assert said.out.splitlines()[-8:] == [
        "  slot 8: 20.0 by cli local [bob], until 2026-11-20 18:30 (in 60 min), then released",
        "  slot 10: 20.0 by modbus bms 10.0.0.9",
        "  slot 11: 20.0 by modbus bms 10.0.0.9, lease ends in 42 s",
        "  slot 12: FAILSAFE holds 20.0; last written by modbus bms 10.0.0.9",
        "  slot 13: FAILSAFE released; last written by modbus bms 10.0.0.9",
        "  slot 14: 20.0 by modbus bms 10.0.0.9, lease ends in 5 min (dry run: not sent)",
        "  write_status: in force",
        "  authority: controlled",
    ]


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


NOW = 1_795_193_400.0
"""2026-11-20 16:50 UTC, 17:50 here."""


@pytest.mark.usefixtures("east")
@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("+2h", NOW + 7200),
        ("+90s", NOW + 90),
        ("+0.5h", NOW + 1800),
        ("18:00", NOW + 600),
        ("17:50", NOW + 86400),
        ("17:51", NOW + 60),
        ("9:05", NOW + 54900),
        ("2026-11-20T18:50", NOW + 3600),
        ("2026-11-20T18:50:30+01:00", NOW + 3630),
        ("2026-11-20T17:00Z", NOW + 600),
    ],
)
def test_C03_an_end_is_a_moment_of_this_machines_time(until: str, end: float) -> None:
    assert end_of(until, NOW) == end


async def test_C03_a_write_ends_when_it_is_told_to(ask: Ask, gateway: Gateway) -> None:
    before = time.time()
    assert (await ask("write", POINT, "20", "--until", "+2h")).code == 0
    (end,) = gateway.ends
    assert end is not None
    assert before + 7200 <= end <= time.time() + 7200


@pytest.mark.parametrize(
    "until",
    ["soon", "25:00", "18:60", "+2", "+0s", "-2h", "2h", "2026-13-01T10:00", "2020-01-01T10:00", "20261224", ""],
)
async def test_an_end_that_is_none_is_usage_and_nothing_is_written(ask: Ask, gateway: Gateway, until: str) -> None:
    said = await ask("write", POINT, "20", f"--until={until}")
    assert (said.code, gateway.writes) == (2, [])
    assert said.err.endswith("say --until as 18:30, 2026-12-24T18:30 or +2h (s, m, h or d), in the future\n")


async def test_C03_without_an_end_the_gateway_gives_its_hour(ask: Ask, gateway: Gateway) -> None:
    assert (await ask("write", POINT, "20")).code == 0
    assert gateway.ends == [None]


async def test_the_help_says_that_a_write_ends(ask: Ask) -> None:
    said = await ask("write", "--help")
    assert "It ends by itself, after 1 h." in " ".join(said.out.split())
    assert "2026-12-24T18:30" in said.out


async def test_release_is_a_write_of_nothing(ask: Ask, gateway: Gateway) -> None:
    assert (await ask("release", POINT)).code == 0
    assert gateway.writes == [(POINT, None, None)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["write", POINT, "3"], "3 is below the floor 6 A"),
        (["read", "evce/zone/None/power"], "there is no point 'evce/zone/None/power'"),
        (["release", "none"], "there is no point 'none'"),
        (["read", f"{POINT}s"], f"there is no point '{POINT}s'; did you mean '{POINT}'?"),
        (
            ["write", "evce/zone/Zone a/reductions", "3"],
            f"there is no point 'evce/zone/Zone a/reductions'; did you mean '{POINT}'?",
        ),
        (
            ["release", "evce/zones/Zone A/reduction"],
            f"there is no point 'evce/zones/Zone A/reduction'; did you mean '{POINT}'?",
        ),
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
        "PERSISTENCE FAULT: commands work, but may be lost: disk [full]",
        "READ ONLY: every command is refused, and nothing is sent (control.read_only)",
        "DRY RUN: nothing is sent to any product",
        "  FAILSAFE evce/zone/A/reduction: slots 10 and 13 lost, slot 10 rules; a write to a lost slot ends it",
        "  FAILSAFE evce/zone/B/reduction: slot 13 lost, slot 10 rules; a write to a lost slot ends it",
        "  FAILSAFE evce/zone/C/reduction: slot 10 lost, no slot rules; a write to a lost slot ends it",
        "  inhibited evce/zone/B: two zones are named 'B'",
        "  missing evce/zone/[D]: the product does not list it any more",
        "  alarm evce/zone/C/reduction: slot 8 hides a tighter one",
        "  up       evce: last good answer never, errors 0, relogins 1, overruns 2",
        "           list zone fails: GET /em/zones: not JSON [b]",
        "  taken    garage-7: last good answer 12.5 s ago, errors 4, relogins 3, overruns 0",
        "           taken by another [login]; next try in 287 s",
        (
            "  certificate of evce ends 2026-12-10, in 20 days: renew it in the product, then put the new one into "
            "config.yaml (`evce-gateway trust evce` shows it)"
        ),
        "points: 3 good",
        "  no value evce/zone/B/power: the answer has no power",
        "  names alike evce/zone: 'Zone A', 'zone a' differ by case, spaces or Unicode form only",
        "  counter restarted evce/station/Bay 1/energy: from 120.5 to 0, its equipment was replaced",
        "  no address left for 4 of evce/station: raise `capacity` in the mapping",
        "  no Modbus unit left for 2 of evce/meter: 247 are the most; another `modbus.units` needs fewer",
        "modbus: port 502, 0 clients",
        "page: port 8443, 2 open, certificate sha256:00ff",
        "  modbus 10.0.0.8 (bms): 1200 requests, 2.5/s, functions 3 16, 1 connection, 7 writes, last heard 0 s ago",
        "  hint modbus 10.0.0.8 reads [red] register 1041 (3 times, last 4 s ago)",
        "  busy answers waited for up to 340 ms in the last minute: this machine is slow or has much else to do",
    ]


async def test_status_of_a_gateway_that_was_not_restarted_after_an_update(ask: Ask, gateway: Gateway) -> None:
    status = gateway.status()
    gateway.other = {**status, "version": "0.0.9"}
    said = await ask("status")
    text = f"the running gateway is version 0.0.9, this command {__version__}: restart the gateway\n"
    assert (said.code, said.err) == (0, text)
    assert "points: 3 good" in said.out
    for old in ({"version": "0.0.9"}, {**status, "version": "0.0.9", "failsafe": ["evce/zone/A/reduction"]}):
        gateway.other = old
        said = await ask("status")
        assert (said.code, said.err) == (1, text)
        assert json.loads((await ask("status", "--json")).out) == old
    gateway.other = {key: value for key, value in status.items() if key != "missing"}
    said = await ask("status")
    assert said.code == 1
    assert said.err == f"the running gateway is an older build of version {__version__}: restart it\n"


async def test_points_that_match_nothing(ask: Ask) -> None:
    said = await ask("points", "Zone Q")
    assert (said.code, said.out, said.err) == (0, "", "no point's name contains 'Zone Q'\n")


async def test_a_gateway_that_refuses_is_not_taken_for_none(ask: Ask, gateway: Gateway) -> None:
    gateway.busy = True
    said = await ask("points")
    assert (said.code, said.out, said.err) == (4, "", "not now\n")


async def test_C14_corrections_go_through_the_running_gateway(ask: Ask, gateway: Gateway) -> None:
    said = await ask("addresses", "confirm")
    assert (said.code, said.out, said.err) == (0, "evce/zone/A [red] is done\nand more\n", "")
    await ask("addresses", "pin", "evce/zone/A", "-5")
    await ask("addresses", "rename", "evce/zone/A%2FB", "C/D")
    assert gateway.corrections == [
        ("confirm", [], ""),
        ("pin", ["evce/zone/A"], "-5"),
        ("rename", ["evce/zone/A%2FB"], "C/D"),
    ]
    said = await ask("addresses", "forget", "evce/zone/A")
    assert (said.code, said.out) == (4, "")
    assert said.err == "evce/zone/A is listed by the product right now: it is not gone\n"


async def test_publish_asks_the_running_gateway(gateway: Gateway, ask: Ask) -> None:
    said = await ask("addresses", "publish")
    assert (said.code, said.out, said.err) == (4, "", "1 published addresses would not hold\n")
    said = await ask("addresses", "publish", "--accept-moves")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("published by ")


async def test_plan_compares_with_the_running_gateway(gateway: Gateway, ask: Ask) -> None:
    said = await ask("plan", "--json")
    plan = json.loads(said.out)
    assert (said.code, plan["against"], plan["map_hash"]["before"]) == (0, "the running gateway", "00ff")
    assert {one["what"] for one in plan["differences"]} == {"added"}
