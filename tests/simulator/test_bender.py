import hashlib

import pytest

from gateway.simulator import BenderSimulator
from gateway.simulator.charger import Charger


@pytest.fixture
async def bender(clock):
    async with BenderSimulator(clock=clock, seed=2) as sim:
        yield sim


@pytest.fixture
async def user(bender, connect):
    client = await connect(bender)
    await client.bender_login()
    return client


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


async def test_login_answers_as_documented(bender, connect):
    client = await connect(bender)
    reply = await client.bender_login()
    assert reply.status == 200
    assert reply.json["logged_in"] is True
    assert reply.json["session"]["timeout"] == 60
    assert len(reply.json["session"]["id"]) == 36


async def test_token_is_one_time(bender, connect):
    client = await connect(bender)
    first = (await client.get("/login"))["token"]
    assert len(first) == 32
    assert first.isprintable()
    second = (await client.get("/login"))["token"]
    body = {"username": "operator", "password": digest("Charging-2026!" + first)}
    refused = await client.call("POST", "/login", body)
    assert refused.status == 401
    assert refused.json == {"logged_in": False, "message": "Wrong username or password", "code": 1001}
    body["password"] = digest("Charging-2026!" + second)
    assert (await client.call("POST", "/login", body)).status == 401
    body["password"] = digest("Charging-2026!" + (await client.get("/login"))["token"])
    assert (await client.call("POST", "/login", body)).status == 200
    assert (await client.call("POST", "/login", body)).status == 401


async def test_login_without_token_and_with_strange_bodies(bender, connect):
    client = await connect(bender)
    body = {"username": "operator", "password": digest("Charging-2026!")}
    assert (await client.call("POST", "/login", body)).status == 401
    for wrong in ({}, {**body, "x": 1}, {"username": "operator", "password": 1}, []):
        assert (await client.call("POST", "/login", wrong)).status == 400


async def test_session_is_bare_idles_out_and_is_evicted(bender, user, connect, clock):
    good = user.authorization
    user.authorization = f"Bearer {good}"
    assert (await user.call("GET", "/system_state")).status == 401
    user.authorization = good
    for _ in range(3):
        clock.turn(59)
        assert (await user.call("GET", "/system_state")).status == 200
    clock.turn(60)
    refused = await user.call("GET", "/system_state")
    assert (refused.status, refused.json["code"]) == (401, 1002)
    await user.bender_login()
    other = await connect(bender)
    await other.bender_login()
    assert (await user.call("GET", "/system_state")).status == 401
    await bender.do("web_login")
    assert (await other.call("GET", "/system_state")).status == 401
    await other.bender_login()
    assert (await other.call("POST", "/logout")).status == 200
    assert (await other.call("POST", "/logout")).status == 401


async def test_system_state_with_and_without_transaction(bender, user, clock):
    clock.turn(5)
    state = await user.get("/system_state")
    assert state["ocppState"] == "charging"
    assert state["connectionState"] == "vehicle_charging_type2"
    assert state["type2State"] == "c"
    assert set(state["transaction"]) == {"id", "start", "energy_wh", "duration_s", "current_a", "power_w"}
    assert state["transaction"]["start"].endswith("Z")
    assert await user.get("/transactions/active") == {"success": True}
    await bender.do("unplug")
    state = await user.get("/system_state")
    assert "transaction" not in state
    assert await user.get("/transactions/active") == {"success": False}
    (done,) = await user.get("/transactions/")
    assert await user.get("/transactions/summary") == {
        "transactionCount": 1,
        "totalDuration": done["duration_s"],
        "totalConsumption": done["energy_wh"],
    }
    assert await user.get(f"/transactions?from={done['end']}&to=2099-01-01T00:00:00.000Z") in ([], [done])
    assert await user.get("/transactions?from=2099-01-01T00:00:00.000Z") == []
    assert (await user.call("GET", "/transactions?from=yesterday")).status == 400


async def test_operator_limit_lowers_the_current(bender, user, clock):
    clock.turn(5)
    before = bender.charger.outlet.amps
    assert before >= 10
    body = {"params": [{"key": "OperatorCurrentLimit_vehicleif", "value": 6}]}
    assert (await user.call("POST", "/settings", body)).json == {**body, "reboot_required": False}
    clock.turn(2)
    assert bender.charger.outlet.amps == 6
    assert bender.received[-1].body == body
    shown = await user.get("/settings?params=OperatorCurrentLimit_vehicleif")
    assert shown["result"] == {"OperatorCurrentLimit_vehicleif": {"value": 6}}
    assert set(shown) == {"name", "result", "groups", "ChargePointInfo"}


@pytest.mark.parametrize(
    "params",
    [
        [],
        {},
        [{"key": "OperatorCurrentLimit_vehicleif"}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": 5}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": 81}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": "16"}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": 16.0}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": 16, "x": 1}],
        [{"key": "OperatorCurrentLimit_vehicleif", "value": 16}, {"key": "Nothing_here", "value": 1}],
        [{"key": "SysTime_mon", "value": "2026"}],
    ],
)
async def test_settings_are_strict_and_all_or_nothing(bender, user, params):
    reply = await user.call("POST", "/settings", {"params": params})
    assert reply.status == 400
    assert reply.json["success"] is False
    assert bender.charger.limit_a == 32


async def test_settings_lists(bender, user):
    everything = await user.get("/settings")
    assert set(everything["result"]["OperatorCurrentLimit_vehicleif"]) >= {"value", "type", "mode", "default"}
    assert set((await user.get("/app_settings"))["result"]) < set(everything["result"])
    assert (await user.call("GET", "/settings?params=" + "a" * 4001)).status == 414
    assert (await user.call("GET", "/settings?params=Nothing")).status == 400
    named = await user.call("GET", "/settings", {"params": ["Enabled_wlan"]})
    assert named.json["result"] == {"Enabled_wlan": {"value": False}}
    wlan = {"params": [{"key": "Enabled_wlan", "value": True}]}
    assert (await user.call("POST", "/settings", wlan)).json["reboot_required"] is True


async def test_messages_dashboard_and_unknown_paths(bender, user):
    assert await user.get("/messages") == {"messages": []}
    await bender.do("message", type="error", text="RCD tripped")
    assert (await user.get("/messages"))["messages"] == [{"id": "1", "type": "error", "text": "RCD tripped"}]
    assert (await user.get("/dashboard"))["name"] == "dashboard"
    assert (await user.call("GET", "/nothing")).json == {"success": False, "cause": "invalid path"}
    user.authorization = None
    assert (await user.call("GET", "/nothing")).status == 401


@pytest.mark.parametrize("seed", range(8))
def test_even_seeds_charge_at_the_start_and_odd_ones_wait(seed):
    charger = Charger(seed=seed, now=0.0)
    for second in range(1, 240):
        charger.advance(second)
        assert (charger.running is not None) is (seed % 2 == 0)
    charger.advance(100_000)
    assert len(charger.completed) > 5
    assert sum(done.energy_wh for done in charger.completed) <= charger.outlet.energy_wh + 230 * 32
