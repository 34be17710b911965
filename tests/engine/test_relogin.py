"""Sessions as the poller sees them: lost, taken, refused, and how often it tries again."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.core.errors import CredentialsRefused, Refused, Unreachable
from gateway.engine import poller as poller_module
from tests.engine.rig import logins, until, up

POWER = "evce/station/Bay 001/power"


async def test_U01_revoked_session_is_one_login_and_no_bad_sample(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        plant.changes.clear()
        await traced.do("revoke")
        await until(lambda: plant.pollers["evce"].health.relogins == 1)
        before = traced.traffic.total["/stations/statuses"]
        await until(lambda: traced.traffic.total["/stations/statuses"] > before + 2)
        assert logins(traced) == [200, 200]
        assert plant.pollers["evce"].health.connected
        assert plant.pollers["evce"].health.errors == 0
        assert not any(POWER in step for step in plant.changes)


async def test_U08_after_a_new_login_the_names_are_resolved_again(traced, plant):
    plant.add("evce", traced, factor=1.0)
    async with plant.running():
        await up(plant)
        lists = traced.traffic.total["/em/zones"]
        await traced.do("reboot")
        plant.clock.added += 6
        await until(lambda: traced.traffic.total["/em/zones"] == lists + 1)
        await until(lambda: plant.resource("zone", "Zone A").resolved == 2)


async def test_U02_session_taken_three_times_is_left_to_people_for_five_minutes(traced, plant):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        for number in (1, 2, 3):
            await traced.do("person_login")
            await until(lambda n=number: plant.pollers["evce"].health.relogins == n)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        assert "taken by another login; pausing 5 min" in plant.pollers["evce"].health.reason
        await traced.do("person_login")
        requests = traced.traffic.total.total()
        await asyncio.sleep(0.5)
        assert traced.traffic.total.total() == requests
        assert traced.accounts.session.person
        assert not plant.pollers["evce"].health.connected


async def test_U16_401_on_every_call_after_a_good_login_is_no_login_storm(evce, plant):
    evce.faults.add("/stations*", status=401)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.pollers["evce"].health.errors >= 4)
        tries = plant.pollers["evce"].health.errors
        assert len(logins(evce)) <= 2 * tries + 2
        assert plant.pollers["evce"].health.state == "down"


async def test_U09_refused_password_stops_the_source_with_the_reason(evce, plant):
    plant.add("evce", evce, password="Wrong-2026!!")
    async with plant.running():
        await until(lambda: plant.pollers["evce"].health.state == "refused")
        plant.clock.added += 7200
        await asyncio.sleep(0.3)
        assert len(logins(evce)) <= 2
        assert plant.pollers["evce"].health.refused
        assert "'bms' refused" in plant.pollers["evce"].health.reason


async def test_U12_password_changed_while_running_stops_too(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await evce.do("set_password", password="Another-2026!")
        await until(lambda: plant.pollers["evce"].health.state == "refused")
        assert 1 <= logins(evce).count(401) <= 2


class Scripted:
    """A source whose every login ends as told; the poller's sleeps are recorded and take no time."""

    name, session_age_s, session_number = "scripted", None, 1

    def __init__(self, errors):
        self.errors = errors

    async def open(self):
        if not self.errors:
            await asyncio.Event().wait()
        raise self.errors.pop(0)


async def slept_for(errors, monkeypatch, plant, backoff=(1.0, 60.0)):
    slept = []
    real = asyncio.sleep

    async def sleep(seconds):
        slept.append(seconds)
        await real(0)

    source = Scripted(list(errors))
    runner = poller_module.Poller(
        source,
        [],
        table=plant.table,
        inventory=plant.inventory,
        intake=plant.intake,
        derivations=plant.derivations,
        clock=plant.clock,
        parallel=1,
        exclude=(),
        on_lost=lambda _name: None,
    )
    monkeypatch.setattr(poller_module, "BACKOFF_S", backoff)
    monkeypatch.setattr(poller_module.asyncio, "sleep", sleep)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await runner.run()
    monkeypatch.undo()
    assert source.errors == []
    return slept, runner.health


async def test_U20_back_off_is_1_to_60_s(plant, monkeypatch):
    slept, health = await slept_for([Unreachable("gone")] * 10, monkeypatch, plant)
    for seconds, nominal in zip(slept, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], strict=True):
        assert 0.75 * nominal <= seconds <= 1.25 * nominal
    assert health.errors == 10


async def test_U34_retry_after_is_honoured_but_never_shortens_the_back_off(plant, monkeypatch):
    errors = [Refused("busy", 503, 120.0), Refused("busy", 503, 0.0), Refused("busy", 503, None)]
    slept, _ = await slept_for(errors, monkeypatch, plant)
    assert slept[0] == 120.0
    assert slept[1] >= 1.5
    assert slept[2] >= 3.0


async def test_U10_blocked_account_waits_and_a_wrong_password_waits_for_ever(plant, monkeypatch):
    errors = [CredentialsRefused("blocked", 403, 1800.0), CredentialsRefused("wrong", 401)]
    slept, health = await slept_for(errors, monkeypatch, plant)
    assert slept == [1800.0]
    assert (health.state, health.reason, health.refused) == ("refused", "wrong", True)
