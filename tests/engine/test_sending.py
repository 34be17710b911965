"""Limits on their way to a strict simulated EVCE: what it received, what it holds, what the receipt says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected
from gateway.core.value import GOOD
from tests.engine.rig import POLICY, Plant, limit_of, loaded, logins, puts, until

S = WriteStatus
APPLIED = "evce/zone/Zone A/reduction.applied"
REDUCTION = "/em/zones/1/reduction"


async def up(plant, zone="Zone A"):
    await until(lambda: plant.value(f"evce/zone/{zone}/reduction.applied") is not None)
    await until(lambda: plant.value(f"evce/zone/{zone}/maximum") is not None)


async def in_force(plant, value, zone="Zone A"):
    await until(lambda: plant.status(zone) is S.IN_FORCE and plant.sample(f"evce/zone/{zone}/reduction").value == value)


async def pass_time(plant, seconds, step=0.5):
    """The gateway's clock moves on in steps, with reads and deliveries between them."""
    for _ in range(round(seconds / step)):
        plant.clock.added += step
        before = len(plant.changes)
        await asyncio.sleep(0.02)
        await until(lambda b=before: len(plant.changes) >= b)


def zone_kinds(**command):
    """The shipped mapping with other command options of the zone's reduction."""
    kinds = dict(loaded("evce.yaml").kinds)
    zone = kinds["zone"]
    point = zone.points["reduction"]
    options = {key: value for key, value in command.items() if hasattr(point.command, key)}
    rest = {key: value for key, value in command.items() if key not in options}
    point = replace(point, command=replace(point.command, **options), **rest)
    kinds["zone"] = replace(zone, points={**zone.points, "reduction": point})
    return list(kinds.values())


async def test_limit_is_sent_in_the_products_unit_and_in_force_only_after_the_read_back(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await up(plant)
        assert plant.authority() is Authority.AUTONOMOUS
        await plant.ask(60.0)
        assert plant.sample("evce/zone/Zone A/reduction").value == 60.0
        await in_force(plant, 60.0)
        assert puts(both) == [(200, 60.0)]
        assert puts(both, 2) == []
        assert limit_of(both) == 60.0
        assert plant.value(APPLIED) == 60.0
        assert plant.authority() is Authority.CONTROLLED
        assert [plant.receipt(p) for p in ("requested", "winner", "error", "error_text", "release")] == [
            60.0,
            10,
            0,
            "",
            False,
        ]
        sent = [request.body for request in both.received if request.method == "PUT"]
        assert sent == [
            {"type": "current", "value": 60.0, "valid_mode": "permanent"}
            if both.dialect == "desc"
            else {"kind": "absolute", "limit_da": 600, "validity": {"mode": "unlimited"}}
        ]


async def test_tenths_of_amperes_are_rounded_to_the_tighter_side(sim_clock, plant):
    from gateway.simulator import EvceSimulator

    async with EvceSimulator(tls=False, dialect="nested", stations=2, zones=1, clock=sim_clock) as sim:
        plant.add("evce", sim)
        async with plant.running():
            await up(plant)
            await plant.ask(60.19)
            await until(lambda: puts(sim) == [(200, 60.1)])
            await until(lambda: plant.value(APPLIED) == pytest.approx(60.1))
            await until(lambda: plant.status() is S.IN_FORCE)


async def test_C06_release_is_sent_verified_and_then_nothing_more(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        assert plant.sample("evce/zone/Zone A/reduction").value == 250.0
        plant.clock.added += 2
        await until(lambda: plant.status() is S.IDLE)
        assert puts(both) == [(200, 60.0), (200, "release")]
        assert limit_of(both) is None
        assert plant.authority() is Authority.AUTONOMOUS
        await both.do("set_reduction", name="Zone A", amps=40)
        await until(lambda: plant.value(APPLIED) == 40.0)
        await pass_time(plant, 60, step=2)
        assert len(puts(both)) == 2
        assert limit_of(both) == 40.0


async def test_empty_slots_send_nothing_ever(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(None)
        await pass_time(plant, 30, step=2)
        assert puts(evce) == []
        assert plant.status() is S.IDLE
        assert plant.value(APPLIED) == 40.0


async def test_W02_W03_writes_during_an_outage_only_the_newest_is_sent(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await up(plant)
        await both.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        for value in (100.0, 80.0, 60.0):
            await plant.ask(value)
            assert plant.status() is S.BLOCKED
            assert plant.sample("evce/zone/Zone A/reduction").value == value
        await both.do("listen", on=True)
        await in_force(plant, 60.0)
        assert puts(both) == [(200, 60.0)]


async def test_C07_nothing_is_sent_before_the_first_get(evce, plant):
    evce.faults.add(REDUCTION, method="GET", status=500)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/maximum") is not None)
        await plant.ask(60.0)
        errors = plant.pollers["evce"].health.errors
        await until(lambda: plant.pollers["evce"].health.errors > errors + 3)
        assert plant.status() is S.BLOCKED
        assert plant.authority() is Authority.INIT
        assert puts(evce) == []
        evce.faults.clear()
        await in_force(plant, 60.0)


async def test_C07_after_a_lost_session_the_value_is_read_before_anything_is_sent(evce, plant):
    plant.add("evce", evce)
    order: list[str] = []
    answer = evce.answer

    def noted(request):
        if request.path.endswith((REDUCTION, "/login", "/em/zones")):
            order.append(f"{request.method} {request.path.removeprefix(evce.base)}")
        return answer(request)

    async with plant.running():
        await up(plant)
        evce.answer = noted
        fault = evce.faults.add(REDUCTION, method="GET", delay_s=0.3)
        await evce.do("revoke")
        await plant.ask(60.0)
        await until(lambda: f"PUT {REDUCTION}" in order and len(logins(evce)) == 2)
        evce.faults.remove(fault)
        await in_force(plant, 60.0)
        relogin = order.index("POST /login/login")
        sent = [i for i, what in enumerate(order) if what == f"PUT {REDUCTION}" and i > relogin]
        between = order[relogin : sent[0]]
        assert "GET /em/zones" in between
        assert f"GET {REDUCTION}" in between[between.index("GET /em/zones") :]
        assert [status for status, _ in puts(evce)][-1] == 200
        assert limit_of(evce) == 60.0


async def test_C07_in_a_new_session_the_names_come_before_any_command(evce, plant):
    """Values may be read again before the list has answered; only the list says whose they are."""
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        fault = evce.faults.add("/em/zones", delay_s=0.4)
        await evce.do("revoke")
        await until(lambda: plant.pollers["evce"].health.relogins == 1)
        await plant.ask(60.0)
        while plant.resource("zone", "Zone A").resolved == 1:
            assert [status for status, _ in puts(evce) if status != 401] == []
            assert plant.status() is not S.SENDING
            await asyncio.sleep(0.005)
        evce.faults.remove(fault)
        await in_force(plant, 60.0)


@pytest.mark.parametrize("event", ["import", "revoke"])
async def test_C07_an_answer_asked_for_before_the_change_is_no_reason_to_send(evce, plant, event):
    """A slow answer about the old id, or of the old session, arrives when the new one is already known."""
    plant.add("evce", evce)
    order: list[str] = []
    answer = evce.answer

    def noted(request):
        order.append(f"{request.method} {request.path.removeprefix(evce.base)}")
        return answer(request)

    async with plant.running():
        await up(plant)
        slow = evce.faults.add(REDUCTION, method="GET", trickle_s=0.02, count=1)
        await until(lambda: slow not in evce.faults.active())
        evce.answer = noted
        done = await evce.do(event)
        number = done["zones"][1] if event == "import" else 1
        zone = plant.resource("zone", "Zone A")
        if event == "import":
            await until(lambda: zone.id == str(number))
        else:
            await until(lambda: zone.resolved == 2)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        own = [what for what in order if what.endswith(f"/em/zones/{number}/reduction")]
        assert own[0].startswith("GET")
        assert limit_of(evce, number) == 60.0


async def test_a_401_to_the_put_itself_is_settled_in_the_new_session(evce, plant):
    plant.add("evce", evce, factor=1.0)
    async with plant.running():
        await up(plant)
        await evce.do("revoke")
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.BLOCKED)
        assert puts(evce) == [(401, 60.0)]
        plant.clock.added += 6
        await in_force(plant, 60.0)
        assert puts(evce) == [(401, 60.0), (200, 60.0)]


async def test_W01_a_storm_is_coalesced_and_the_last_value_wins(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        began, slowest = time.monotonic(), 0.0
        for n in range(1000):
            asked = time.perf_counter()
            await plant.ask(100.0 + n % 100)
            slowest = max(slowest, time.perf_counter() - asked)
            if n % 10 == 0:
                await asyncio.sleep(0.005)
        took = time.monotonic() - began
        await plant.ask(42.0)
        await until(lambda: limit_of(evce) == 42.0)
        await in_force(plant, 42.0)
        assert len(puts(evce)) <= 2 + took / 2
        assert puts(evce)[-1] == (200, 42.0)
        assert slowest < 0.1


async def test_dry_run_sends_nothing(evce):
    plant = Plant(replace(POLICY, dry_run=True))
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0)
        await pass_time(plant, 20, step=2)
        assert plant.status() is S.DRY_RUN
        assert plant.sample("evce/zone/Zone A/reduction").value == 60.0
        assert plant.value(APPLIED) == 250.0
        assert puts(evce) == []


async def test_W12_W13_winner_of_the_slots_is_what_the_product_holds(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0, slot=10)
        await in_force(plant, 60.0)
        await plant.ask(100.0, slot=8)
        plant.clock.added += 3
        await until(lambda: limit_of(evce) == 100.0)
        await plant.ask(50.0, slot=10)
        await in_force(plant, 100.0)
        await plant.ask(None, slot=8)
        plant.clock.added += 3
        await until(lambda: limit_of(evce) == 50.0)
        await in_force(plant, 50.0)
        assert [value for _, value in puts(evce)] == [60.0, 100.0, 50.0]


async def test_release_overtaken_by_a_new_value_is_not_sent(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await plant.ask(None)
        await plant.ask(80.0)
        plant.clock.added += 3
        await in_force(plant, 80.0)
        assert [value for _, value in puts(evce)] == [60.0, 80.0]


async def test_deleted_zone_keeps_its_command_and_sends_nothing(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await evce.do("delete", kind="zone", name="Zone A")
        await until(lambda: plant.status() is S.BLOCKED)
        await plant.ask(50.0)
        assert plant.sample("evce/zone/Zone A/reduction").value == 50.0
        await pass_time(plant, 10, step=2)
        assert [value for _, value in puts(evce)] == [60.0]
        new = (await evce.do("add", kind="zone", name="Zone A"))["id"]
        evce.site.zones[new].max_a = 250.0
        await until(lambda: limit_of(evce, new) == 50.0)


async def test_I05_the_zone_is_renumbered_while_its_put_is_under_way(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        evce.faults.add(REDUCTION, method="PUT", delay_s=0.5)
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.SENDING)
        moved = await evce.do("import", keep_reductions=False)
        new = next(iter(moved["zones"].values()))
        await until(lambda: limit_of(evce, new) == 60.0)
        await in_force(plant, 60.0)


async def test_a_dead_product_holds_up_no_command_of_another(evce, sim_clock, plant):
    from gateway.simulator import EvceSimulator

    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock) as other:
        plant.add("evce", evce)
        plant.add("annex", other)
        async with plant.running():
            await up(plant)
            await until(lambda: plant.value("annex/zone/Zone A/reduction.applied") is not None)
            other.faults.add("*", delay_s=20)
            index = plant.index("annex/zone/Zone A/reduction")
            from gateway.engine.ports import Ask
            from tests.engine.rig import BMS

            await plant.desk.submit([Ask(index, 50.0, 10)], BMS)
            await plant.ask(60.0)
            await until(lambda: plant.status() is S.IN_FORCE, 3)


async def test_every_accepted_command_and_outcome_is_one_line(evce, plant):
    plant.add("evce", evce)
    with capture_logs() as lines:
        async with plant.running():
            await up(plant)
            await plant.ask(60.0)
            await in_force(plant, 60.0)
            with pytest.raises(CommandRejected):
                await plant.ask(999.0)
            await pass_time(plant, 30, step=2)
    events = [line["event"] for line in lines if line["event"].startswith("command.")]
    assert events == ["command.accepted", "command.sent", "command.status", "command.refused"]


async def test_quality_of_what_is_asked_is_that_of_what_is_applied(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        plant.later(31)
        sample = plant.sample("evce/zone/Zone A/reduction")
        assert sample.value == 60.0
        assert sample.quality is not GOOD
        assert sample.reason == plant.reason(APPLIED) != ""
