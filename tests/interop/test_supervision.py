"""What happens when the BMS dies, seen with clients that other people wrote (pyModbusTCP, rusty-bacnet).

The gateway's clock is moved ahead by hand; leases are 60 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.utils import decode_ieee, encode_ieee, long_list_to_word, word_list_to_long
from rusty_bacnet import BACnetClient, ObjectIdentifier, PropertyValue

from tests.servers.bacnet.rusty import P, Rusty, T
from tests.site import AheadClock, Running, StillClock, run_program, running_site

POINT = "evce/zone/Zone A/reduction"
CONTROLLED, FAILSAFE, AUTONOMOUS = 3, 4, 2
LEASE_S = 60.0
INHIBITED = 4
OPERATIONAL_PROBLEM = (0, 25)
BEAT, AGE = ObjectIdentifier(T.ANALOG_VALUE, 15), ObjectIdentifier(T.ANALOG_INPUT, 16)
TYPES = {
    "analog-value": T.ANALOG_VALUE,
    "analog-input": T.ANALOG_INPUT,
    "multi-state-input": T.MULTI_STATE_INPUT,
    "characterstring-value": T.CHARACTERSTRING_VALUE,
}


class Bms:
    """pyModbusTCP, one connection."""

    def __init__(self, site: Running) -> None:
        self._site = site
        self._client = ModbusClient("127.0.0.1", site.modbus_port, unit_id=1, timeout=5, auto_close=False)

    async def limit(self, amperes: float, point: str = POINT) -> int:
        """Writes a limit; the exception code, 0 when it was accepted."""
        words = long_list_to_word([encode_ieee(amperes)])
        return await self.registers(self._site.register(point), words)

    async def registers(self, first: int, words: list[int]) -> int:
        good = await asyncio.to_thread(self._client.write_multiple_registers, first, words)
        return 0 if good else self._client.last_except

    async def beat(self, value: int) -> None:
        assert await asyncio.to_thread(self._client.write_single_register, 15, value)

    async def read(self, first: int, count: int = 1) -> list[int]:
        found = await asyncio.to_thread(self._client.read_holding_registers, first, count)
        assert found is not None, self._client.last_except_as_txt
        return found

    async def receipt(self, part: str) -> int:
        (word,) = await self.read(self._site.register(f"{POINT}.{part}"))
        return word

    async def value(self, point: str = POINT) -> float:
        return decode_ieee(word_list_to_long(await self.read(self._site.register(point), 2))[0])

    def close(self) -> None:
        self._client.close()


@dataclass
class Supervised:
    """A site with one BMS, and the gateway's clock."""

    site: Running
    clock: AheadClock
    bms: Bms

    def later(self, seconds: float) -> None:
        self.clock.ahead_s += seconds

    @property
    def authority(self) -> Any:
        return self.site.value(f"{POINT}.authority")

    async def in_force(self, amperes: float | None) -> None:
        """Waits until the product holds a limit (None: none) and the receipt says that it was read back."""
        done = 1 if amperes is None else 4

        def held() -> bool:
            reduction = self.site.evce.site.zone("Zone A").reduction
            limit = reduction.value_a if reduction.kind == "current" else None
            return limit == amperes and self.site.value(f"{POINT}.write_status") == done

        await self.site.until(held, 20.0)

    async def becomes(self, authority: int) -> None:
        await self.site.until(lambda: self.authority == authority, 5.0)

    async def ticks(self, count: int = 2) -> None:
        """Waits until the gateway has looked at its leases again."""
        beat = (await self.bms.read(7))[0]
        while (await self.bms.read(7))[0] - beat < count:
            await asyncio.sleep(0.05)

    async def cli(self, *arguments: str) -> tuple[int, str, str]:
        return await run_program(sys.executable, "-m", "gateway", *arguments, "-c", str(self.site.files.config))


@contextlib.asynccontextmanager
async def supervised(
    folder: Path,
    dialect: str = "desc",
    *,
    group: dict[str, Any] | None = None,
    bacnet: dict[str, Any] | None = None,
    control: dict[str, Any] | None = None,
) -> AsyncIterator[Supervised]:
    def change(data: dict[str, Any]) -> None:
        data["modbus"]["clients"][0] |= group or {}
        data["bacnet"] |= bacnet or {}
        data["control"] = control or {}

    clock = AheadClock()
    async with running_site(
        folder, dialect, change=change, clock=StillClock(), gateway_clock=clock, stations=4, zones=2, meters=1
    ) as site:
        await site.complete()
        bms = Bms(site)
        try:
            yield Supervised(site, clock, bms)
        finally:
            bms.close()


@pytest.fixture
async def client() -> AsyncIterator[BACnetClient]:
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as made:
        yield made


def rusty(client: BACnetClient, site: Running) -> Rusty:
    return Rusty(client, f"127.0.0.1:{site.bacnet_port}")


def obj(site: Running, point: str) -> ObjectIdentifier:
    (placed,) = site.placed(point).objects
    return ObjectIdentifier(TYPES[placed.object], placed.instance)


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_W08_the_bms_vanishes_and_at_lease_end_the_slot_holds_the_configured_value(
    tmp_path: Path, dialect: str
) -> None:
    group = {"lease_s": LEASE_S, "on_bms_loss": {"value": 10}}
    async with supervised(tmp_path, dialect, group=group) as it:
        began = it.clock.monotonic()
        assert await it.bms.limit(32.0) == 0
        accepted = it.clock.monotonic()
        assert await it.bms.receipt("authority") == CONTROLLED
        assert 58 <= await it.bms.receipt("lease_left_s") <= 60
        await it.in_force(32.0)
        sent = len(it.site.puts())
        it.later(LEASE_S - 2.5 - (it.clock.monotonic() - accepted))
        await it.ticks(1)
        assert (it.authority, await it.bms.value()) == (CONTROLLED, 32.0)
        await it.becomes(FAILSAFE)
        ended = it.clock.monotonic()
        assert ended - accepted >= LEASE_S - 1
        assert ended - began <= LEASE_S + 1.2, "one second, and what the test's own waiting takes"
        assert await it.bms.value() == 10.0
        assert (await it.bms.receipt("winner"), await it.bms.receipt("lease_left_s")) == (10, 0)
        await it.in_force(10.0)
        assert len(it.site.puts()) == sent + 1
        assert await it.bms.receipt("write_status") == 4, "delivered and verified like any value"
        assert await it.bms.receipt("authority") == FAILSAFE


async def test_W08_failsafe_stays_whatever_time_passes_and_the_next_write_ends_it(tmp_path: Path) -> None:
    """Field bugs: unlimited after a while with the sender still gone; failsafe never left."""
    group = {"lease_s": LEASE_S, "on_bms_loss": {"value": 10}}
    async with supervised(tmp_path, group=group) as it:
        assert await it.bms.limit(32.0) == 0
        await it.in_force(32.0)
        it.later(61)
        await it.becomes(FAILSAFE)
        await it.in_force(10.0)
        sent = len(it.site.puts())
        for _ in range(3):
            it.later(7200)
            await it.ticks()
            assert (it.authority, await it.bms.value()) == (FAILSAFE, 10.0)
        assert len(it.site.puts()) == sent
        assert await it.bms.limit(24.0) == 0
        assert await it.bms.receipt("authority") in (CONTROLLED, 1)
        await it.in_force(24.0)
        assert await it.bms.receipt("authority") == CONTROLLED


@pytest.mark.parametrize(("policy", "held"), [("hold", 32.0), ("release", None)])
async def test_W08_hold_keeps_and_release_releases_and_both_say_failsafe(
    tmp_path: Path, policy: str, held: float | None
) -> None:
    async with supervised(tmp_path, control={"lease_s": LEASE_S, "on_bms_loss": policy}) as it:
        assert await it.bms.limit(32.0) == 0
        await it.in_force(32.0)
        it.later(61)
        await it.becomes(FAILSAFE)
        await it.in_force(held)
        assert await it.bms.receipt("authority") == FAILSAFE
        assert await it.bms.receipt("winner") == (0 if held is None else 10)
        assert await it.bms.receipt("lease_left_s") == 0
        code, out, _ = await it.cli("status")
        assert code == 0
        assert f"FAILSAFE {POINT}" in out
        assert "leases 60 s" in out
        _, out, _ = await it.cli("read", POINT)
        held_now = "released" if held is None else "holds 32.0"
        assert f"slot 10: FAILSAFE {held_now}; last written by modbus 127.0.0.1" in out


async def test_C04_a_refreshed_limit_lives_and_leases_are_off_unless_asked_for(tmp_path: Path) -> None:
    async with supervised(tmp_path, group={"lease_s": LEASE_S}) as it:
        for _ in range(4):
            assert await it.bms.limit(32.0) == 0
            it.later(40)
            await it.ticks(1)
            assert it.authority in (CONTROLLED, 1)
            assert 15 <= await it.bms.receipt("lease_left_s") <= 21
    (tmp_path / "off").mkdir()
    async with supervised(tmp_path / "off") as it:
        assert await it.bms.limit(32.0) == 0
        await it.in_force(32.0)
        assert await it.bms.receipt("lease_left_s") == 0xFFFF
        it.later(30 * 86400)
        await it.ticks()
        assert await it.bms.value() == 32.0
        assert await it.bms.receipt("authority") != FAILSAFE


async def test_C05_nothing_is_accepted_before_the_first_change_of_the_heartbeat(tmp_path: Path) -> None:
    """Field bug: a timer that nobody had started let the first command live for ever."""
    async with supervised(tmp_path, group={"lease_s": LEASE_S, "heartbeat": True}) as it:
        release = it.site.register(f"{POINT}.release")
        assert await it.bms.limit(32.0) == INHIBITED
        assert await it.bms.registers(release, [1]) == INHIBITED
        assert await it.bms.read(15, 2) == [0, 0xFFFF]
        await it.bms.beat(500)
        assert await it.bms.limit(32.0) == INHIBITED, "the first value after a start is no change"
        assert await it.bms.read(15, 2) == [500, 0xFFFF]
        assert it.site.puts() == []
        await it.bms.beat(501)
        assert await it.bms.limit(32.0) == 0
        assert await it.bms.read(15, 2) == [501, 0]
        await it.in_force(32.0)
        code, out, _ = await it.cli("read", POINT)
        assert code == 0
        assert "slot 10: 32.0 by modbus 127.0.0.1" in out
        assert "lease ends in" in out


async def test_W09_W10_W11_failsafe_ends_by_a_changing_heartbeat_and_then_a_write(tmp_path: Path) -> None:
    """Field bugs: left on the heartbeat alone; a stuck heartbeat taken for life; the last limit used."""
    group = {"lease_s": LEASE_S, "heartbeat": True, "on_bms_loss": {"value": 10}}
    async with supervised(tmp_path, group=group) as it:
        await it.bms.beat(1)
        await it.bms.beat(2)
        assert await it.bms.limit(32.0) == 0
        await it.in_force(32.0)
        for _ in range(2):  # W11: both are written, and neither changes
            it.later(25)
            await it.bms.beat(2)
            assert await it.bms.limit(32.0) == 0
        assert 0 < await it.bms.receipt("lease_left_s") <= 10
        it.later(11)
        await it.becomes(FAILSAFE)
        await it.in_force(10.0)
        sent = len(it.site.puts())
        await it.bms.beat(2)
        assert await it.bms.limit(32.0) == INHIBITED
        for value in (3, 4, 5):  # W09
            await it.bms.beat(value)
            await it.ticks()
            assert (it.authority, await it.bms.value()) == (FAILSAFE, 10.0)
        assert len(it.site.puts()) == sent
        it.later(61)
        assert await it.bms.limit(32.0) == INHIBITED, "more than 60 s after the heartbeat"
        await it.bms.beat(6)
        assert await it.bms.limit(28.0) == 0  # W10
        await it.becomes(CONTROLLED)
        await it.in_force(28.0)
        assert [body["value"] for body in it.site.puts()][sent:] == [28.0]


async def test_W08_W09_W10_over_bacnet_with_a_heartbeat_object(tmp_path: Path, client: BACnetClient) -> None:
    bacnet = {"lease_s": LEASE_S, "heartbeat": True, "on_bms_loss": "release"}
    async with supervised(tmp_path, bacnet=bacnet) as it:
        bms, limit = rusty(client, it.site), obj(it.site, POINT)
        assert await bms.write(limit, PropertyValue.real(32.0), 8) == OPERATIONAL_PROBLEM
        assert await bms.write(limit, PropertyValue.null(), 8) == OPERATIONAL_PROBLEM
        for value in (1.0, 2.0):
            assert await bms.write(BEAT, PropertyValue.real(value)) is None
        assert await bms.read(BEAT, P.PRESENT_VALUE) == 2.0
        assert await bms.write(limit, PropertyValue.real(32.0), 8) is None
        await it.in_force(32.0)
        lease = obj(it.site, f"{POINT}.lease_left_s")
        assert 50 <= await bms.read(lease, P.PRESENT_VALUE) <= 60
        it.later(61)
        await it.becomes(FAILSAFE)
        await it.in_force(None)
        authority = obj(it.site, f"{POINT}.authority")
        assert await bms.read(authority, P.PRESENT_VALUE) == FAILSAFE
        assert await bms.read(lease, P.PRESENT_VALUE) == 0.0
        assert await bms.read(limit, P.PRESENT_VALUE) == await bms.read(limit, P.RELINQUISH_DEFAULT)
        assert await bms.read(limit, P.PRIORITY_ARRAY) == [None] * 16
        assert await bms.read(AGE, P.PRESENT_VALUE) >= 60
        assert await bms.write(BEAT, PropertyValue.real(3.0)) is None
        await it.ticks()
        assert await bms.read(authority, P.PRESENT_VALUE) == FAILSAFE
        assert await bms.write(limit, PropertyValue.real(24.0), 8) is None
        await it.in_force(24.0)
        assert await bms.read(authority, P.PRESENT_VALUE) == CONTROLLED


async def test_a_heartbeat_of_one_protocol_is_none_of_the_others(tmp_path: Path, client: BACnetClient) -> None:
    """Field bug: the own heartbeat reported for the peer's."""
    keys = {"lease_s": LEASE_S, "heartbeat": True}
    async with supervised(tmp_path, group=keys, bacnet=keys) as it:
        bms, limit = rusty(client, it.site), obj(it.site, POINT)
        for value in (7, 8):
            await it.bms.beat(value)
        assert await bms.write(limit, PropertyValue.real(32.0), 8) == OPERATIONAL_PROBLEM
        assert await bms.read(BEAT, P.PRESENT_VALUE) == 0.0
        for value in (1.0, 2.0):
            assert await bms.write(BEAT, PropertyValue.real(value)) is None
        assert await it.bms.read(15) == [8]
        await it.ticks()
        assert await it.bms.read(15) == [8]
        assert await bms.read(BEAT, P.PRESENT_VALUE) == 2.0
        assert await bms.write(limit, PropertyValue.real(32.0), 8) is None


async def test_W12_W13_both_protocols_show_both_writers(tmp_path: Path, client: BACnetClient) -> None:
    async with supervised(tmp_path, group={"lease_s": LEASE_S}) as it:
        bms, limit = rusty(client, it.site), obj(it.site, POINT)
        default = await bms.read(limit, P.RELINQUISH_DEFAULT)
        assert await bms.read(limit, P.CURRENT_COMMAND_PRIORITY) is None
        assert await it.bms.limit(32.0) == 0
        assert await bms.read(limit, P.CURRENT_COMMAND_PRIORITY) == 10
        assert await bms.write(limit, PropertyValue.real(24.0), 8) is None
        array = [None] * 7 + [24.0, None, 32.0] + [None] * 6
        assert await bms.read(limit, P.PRIORITY_ARRAY) == array
        assert await bms.read(limit, P.CURRENT_COMMAND_PRIORITY) == 8
        assert (await it.bms.value(), await it.bms.receipt("winner")) == (24.0, 8)
        assert await it.bms.receipt("lease_left_s") == 0xFFFF, "the winner has none"
        await it.in_force(24.0)
        assert await bms.write(limit, PropertyValue.null(), 8) is None
        assert await bms.read(limit, P.PRESENT_VALUE) == 32.0
        assert await it.bms.receipt("winner") == 10
        await it.in_force(32.0)
        assert 40 <= await it.bms.receipt("lease_left_s") <= 60
        assert await it.bms.registers(it.site.register(f"{POINT}.release"), [1]) == 0
        assert await bms.read(limit, P.PRIORITY_ARRAY) == [None] * 16
        await it.in_force(None)
        assert await bms.read(limit, P.PRESENT_VALUE) == default
        assert math.isnan(await bms.read(obj(it.site, f"{POINT}.lease_left_s"), P.PRESENT_VALUE))


async def test_C03_a_value_from_the_command_line_ends_and_until_then_the_header_says_what_it_hides(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path) as it:
        assert await it.bms.limit(16.0) == 0
        await it.in_force(16.0)
        assert (await it.bms.read(14)) == [0]
        code, out, err = await it.cli("write", POINT, "40", "--until", "+10m")
        assert (code, err) == (0, "")
        assert "slot 8: 40.0 by cli local" in out
        assert "(in 10 min), then released" in out
        assert "slot 10: 16.0 by modbus 127.0.0.1" in out
        await it.in_force(40.0)
        await it.ticks()
        assert (await it.bms.read(14)) == [0b1000]
        assert (await it.bms.read(13))[0] > 0
        code, out, _ = await it.cli("status")
        assert code == 0
        assert "16 A at slot 10" in out
        assert "is tighter than the winning 40 A at slot 8" in out
        it.later(601)
        await it.in_force(16.0)
        await it.ticks()
        assert (await it.bms.read(14)) == [0]
        assert await it.bms.receipt("authority") == CONTROLLED, "an end is no failsafe"
        assert it.site.value(f"{POINT}.winner") == 10


async def test_C03_without_until_it_is_an_hour(tmp_path: Path) -> None:
    async with supervised(tmp_path) as it:
        code, out, _ = await it.cli("write", POINT, "40")
        assert code == 0
        assert "(in 60 min), then released" in out
        await it.in_force(40.0)
        it.later(3590)
        await it.ticks()
        assert it.site.value(f"{POINT}.winner") == 8
        it.later(11)
        await it.in_force(None)
        assert it.authority == AUTONOMOUS


async def test_read_only_refuses_over_every_protocol_and_says_so(tmp_path: Path, client: BACnetClient) -> None:
    async with supervised(tmp_path, control={"read_only": True}) as it:
        bms, limit = rusty(client, it.site), obj(it.site, POINT)
        assert await it.bms.limit(32.0) == INHIBITED
        assert await bms.write(limit, PropertyValue.real(32.0), 8) == OPERATIONAL_PROBLEM
        code, _, err = await it.cli("write", POINT, "20")
        assert code == 4
        assert err == "the gateway is set to read only\n"
        assert (await it.bms.read(14)) == [0b100]
        assert (await it.bms.receipt("authority"), await it.bms.receipt("error")) == (5, 14)
        assert await bms.read(obj(it.site, f"{POINT}.error_text"), P.PRESENT_VALUE) == "the gateway is set to read only"
        code, out, _ = await it.cli("status")
        assert "READ ONLY" in out
        assert it.site.puts() == []


async def test_dry_run_is_a_flag(tmp_path: Path) -> None:
    async with supervised(tmp_path, control={"dry_run": True}) as it:
        assert (await it.bms.read(14)) == [0b10]
        assert await it.bms.limit(32.0) == 0
        code, out, _ = await it.cli("read", POINT)
        assert code == 0
        assert "(dry run: not sent)" in out
        assert it.site.puts() == []
