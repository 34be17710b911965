"""Sessions as the poller sees them: lost, taken, refused, and how often it tries again."""

from __future__ import annotations

import asyncio
import contextlib

from structlog.testing import capture_logs

from gateway.core.errors import CredentialsRefused, Refused, Unreachable
from gateway.core.value import BAD, GOOD
from gateway.engine import poller as poller_module
from tests.engine.rig import PASSWORD, all_read, limit_of, logins, puts, until, up

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
    health = plant.pollers["evce"].health
    with capture_logs() as lines:
        async with plant.running():
            await up(plant)
            for number in (1, 2):
                await traced.do("person_login")
                await until(lambda n=number: health.relogins == n)
                await until(lambda: not traced.traffic.now.total())
                await until(lambda: health.connected)
            await traced.do("person_login")
            await until(lambda: health.state == "taken")
            assert "taken by another login; pausing 5 min, next try" in health.reason
            assert not health.connected
            assert 295 < health.next_try - plant.clock.monotonic() <= 300
            requests = traced.traffic.total.total()
            plant.later(290)
            await asyncio.sleep(0.3)
            assert traced.traffic.total.total() == requests
            assert traced.accounts.session.person
            assert plant.quality(POWER) is BAD
            assert "taken by another login" in plant.reason(POWER)
            plant.later(11)
            await up(plant)
            assert plant.quality(POWER) is GOOD
    assert logins(traced) == [200] * 4
    events = [(line["event"], line.get("state")) for line in lines if line["event"].startswith("source.")]
    assert events == [
        ("source.up", None),
        ("source.relogin", None),
        ("source.relogin", None),
        ("source.down", "taken"),
        ("source.up", None),
    ]


async def test_U06_renewal_between_polls_costs_no_sample_no_failed_read_and_no_command(traced, plant, sim_clock):
    plant.add("evce", traced)
    with capture_logs() as lines:
        async with plant.running():
            await all_read(plant)
            stop, bad = asyncio.Event(), []
            plant.table.subscribe(lambda indices: bad.extend(_not_good(plant, indices)))
            asking = asyncio.gather(_ask_again_and_again(plant, stop))
            for minutes in [20] * 34 + [5]:
                assert plant.sources["evce"].session_number == 1
                sim_clock.now += minutes * 60
                plant.clock.added += minutes * 60
                before = traced.traffic.total["/stations/statuses"]
                await until(lambda n=before: traced.traffic.total["/stations/statuses"] > n + 1)
            plant.table.tick()
            await until(lambda: plant.sources["evce"].session_number == 2)
            await until(lambda: plant.resource("zone", "Zone A").resolved == 2)
            reads = traced.traffic.total["/stations/statuses"]
            await until(lambda: traced.traffic.total["/stations/statuses"] > reads + 3)
            stop.set()
            await asking
            await plant.ask(77.0)
            await until(lambda: limit_of(traced) == 77.0)
            health = plant.pollers["evce"].health
            assert (health.relogins, health.errors, health.state) == (0, 0, "up")
    assert bad == []
    assert logins(traced) == [200, 200]
    assert all(status == 200 for status, _ in puts(traced))
    events = [line["event"] for line in lines if not line["event"].startswith(("command.", "resource"))]
    assert events == ["source.up", "session.renewed"]


def _not_good(plant, indices):
    return [plant.table.names[i] for i in indices if plant.table.sample(i).quality is not GOOD]


async def _ask_again_and_again(plant, stop):
    amps = 20.0
    while not stop.is_set():
        amps = 20.0 if amps > 60 else amps + 1
        await plant.ask(amps)
        await asyncio.sleep(0.01)


async def test_U07_after_a_long_outage_it_is_one_normal_login(traced, plant, sim_clock):
    plant.add("evce", traced)
    async with plant.running():
        await up(plant)
        await traced.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        sim_clock.now += 3600
        plant.later(3600)
        await traced.do("listen", on=True)
        await until(lambda: plant.pollers["evce"].health.state == "up")
        await until(lambda: plant.value(POWER) is not None)
        assert logins(traced) == [200, 200]
        assert traced.traffic.refused == []
        assert plant.pollers["evce"].health.relogins == 1


async def test_U16_401_on_every_call_after_a_good_login_is_no_login_storm(evce, plant):
    evce.faults.add("/stations*", status=401)
    evce.faults.add("/em*", status=401)
    evce.faults.add("/pms*", status=401)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.pollers["evce"].health.state == "paused")
        assert logins(evce) == [200, 200, 200]


async def test_U09_refused_password_stops_the_source_with_the_reason(evce, plant):
    plant.add("evce", evce, password="Wrong-2026!!")
    health = plant.pollers["evce"].health
    async with plant.running():
        await until(lambda: health.state == "refused")
        assert "'bms' refused; next try" in health.reason
        for _ in range(3):
            plant.clock.added += 7200
            await asyncio.sleep(0.1)
        assert logins(evce) == [401, 401]
        assert health.next_try is None
        assert "'bms' refused; mend it, then `evce-gateway reload`" in health.reason


async def test_U09_U12_retry_logs_in_at_once_with_the_password_of_now(evce, plant):
    words = ["Wrong-2026!!"]
    plant.add("evce", evce, password=lambda: words[0])
    poller = plant.pollers["evce"]
    async with plant.running():
        await until(lambda: poller.health.state == "refused")
        plant.clock.added += 61
        await until(lambda: "reload" in poller.health.reason)
        words[0] = PASSWORD
        assert poller.retry()
        await up(plant)
        assert not poller.retry()
        assert logins(evce) == [401, 401, 200]


async def test_U12_password_changed_while_running_stops_too(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await up(plant)
        await evce.do("set_password", password="Another-2026!")
        await until(lambda: plant.pollers["evce"].health.state == "refused")
        assert 1 <= logins(evce).count(401) <= 2


async def test_U10_blocked_account_is_tried_three_times_in_hours_and_never_again(evce, plant):
    await evce.do("block")
    plant.add("evce", evce)
    health = plant.pollers["evce"].health
    with capture_logs() as lines:
        async with plant.running():
            for tries, wait_s in enumerate((1800, 3600, 7200), 1):
                await until(lambda n=tries: logins(evce) == [403] * n and health.next_try)
                assert "blocked: too many" in health.reason
                plant.clock.added += wait_s - 5
                await asyncio.sleep(0.1)
                assert logins(evce) == [403] * tries
                plant.clock.added += 6
            await until(lambda: "not tried again" in health.reason)
            plant.clock.added += 7 * 86400
            await asyncio.sleep(0.1)
            assert logins(evce) == [403] * 4
            await evce.do("unblock")
            plant.pollers["evce"].retry()
            await up(plant)
    assert [line["state"] for line in lines if line["event"] == "source.down"] == ["refused"] * 4


class Scripted:
    """A source whose every login ends as told; the poller's sleeps are recorded and take no time."""

    name, session_age_s, session_number = "scripted", None, 1

    def __init__(self, errors):
        self.errors, self.over = errors, asyncio.Event()

    async def open(self):
        if not self.errors:
            self.over.set()
            await asyncio.Event().wait()
        raise self.errors.pop(0)


async def slept_for(errors, monkeypatch, plant, backoff=(1.0, 60.0)):
    slept = []

    async def rest(_self, seconds):
        slept.append(seconds)
        if seconds is None:
            source.over.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

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
    monkeypatch.setattr(poller_module.Poller, "_rest", rest)
    running = asyncio.gather(runner.run())
    async with asyncio.timeout(5):
        await source.over.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    monkeypatch.undo()
    assert source.errors == []
    return slept, runner.health


async def test_U20_back_off_is_1_to_60_s(plant, monkeypatch):
    slept, health = await slept_for([Unreachable("gone")] * 10, monkeypatch, plant)
    for seconds, nominal in zip(slept, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], strict=True):
        assert 0.75 * nominal <= seconds <= 1.25 * nominal
        assert 1 <= seconds <= 60
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
    assert slept == [1800.0, None]
    assert (health.state, health.reason) == ("refused", "wrong")
