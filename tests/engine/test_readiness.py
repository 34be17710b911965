"""When a limit may leave: session, names and a value read under both (C07), also while these change."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.delivery import Authority, WriteStatus
from tests.engine.limits import in_force, limits_up, pass_time
from tests.engine.rig import all_read, between_polls, limit_of, logins, puts, until

S = WriteStatus
APPLIED = "evce/zone/Zone A/reduction.applied"
REDUCTION = "/em/zones/1/reduction"


async def test_W02_W03_writes_during_an_outage_only_the_newest_is_sent(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
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
        await limits_up(plant)
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
        await limits_up(plant)
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
        await limits_up(plant)
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


async def test_a_slow_answer_from_before_a_put_is_no_proof(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        slow = evce.faults.add(REDUCTION, method="GET", trickle_s=0.015, count=1)
        await until(lambda: slow not in evce.faults.active())
        plant.clock.added += 3
        await plant.ask(80.0)
        await in_force(plant, 80.0)
        await plant.ask(60.0)
        shown: set[tuple[WriteStatus, float | None]] = set()
        plant.table.subscribe(lambda _changed: shown.add((plant.status(), limit_of(evce))))
        await in_force(plant, 60.0)
        assert (S.IN_FORCE, 80.0) not in shown
        assert [value for _, value in puts(evce)] == [60.0, 80.0, 60.0]


async def test_a_401_to_the_put_itself_is_settled_in_the_new_session(evce, plant):
    plant.add("evce", evce, factor=1.0)
    async with plant.running():
        await all_read(plant)
        shown: set[WriteStatus] = set()
        plant.table.subscribe(lambda _changed: shown.add(plant.status()))
        await between_polls(plant)
        await evce.do("revoke")
        await plant.ask(60.0)
        await until(lambda: S.BLOCKED in shown)
        assert puts(evce) == [(401, 60.0)]
        plant.clock.added += 6
        await in_force(plant, 60.0)
        assert puts(evce) == [(401, 60.0), (200, 60.0)]


async def test_deleted_zone_keeps_its_command_and_sends_nothing(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await limits_up(plant)
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
        await limits_up(plant)
        evce.faults.add(REDUCTION, method="PUT", delay_s=0.5)
        await plant.ask(60.0)
        await until(lambda: plant.status() is S.SENDING)
        moved = await evce.do("import", keep_reductions=False)
        new = next(iter(moved["zones"].values()))
        await until(lambda: limit_of(evce, new) == 60.0)
        await in_force(plant, 60.0)


async def test_C07_lost_between_the_decision_and_the_first_byte(evce, plant):
    """The session is found lost after a PUT was scheduled and before its task ran: it must not leave."""
    plant.add("evce", evce)
    order: list[str] = []
    answer = evce.answer

    def noted(request):
        if request.path.endswith(REDUCTION):
            order.append(request.method)
        return answer(request)

    def lose(_changed):
        if plant.status() is S.SENDING and not lost:
            lost.append(True)
            evce.answer = noted
            asyncio.get_running_loop().call_soon(plant.desk.lost, "evce")

    lost: list[bool] = []
    async with plant.running():
        await limits_up(plant)
        plant.table.subscribe(lose)
        await plant.ask(60.0)
        await in_force(plant, 60.0)
        assert lost == [True]
        assert order[0] == "GET"
        assert puts(evce) == [(200, 60.0)]
