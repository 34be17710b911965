import jwt
import pytest

from gateway.simulator import EvceSimulator
from gateway.simulator.sessions import weak_password


async def test_login_gives_a_token_as_the_guide_shows_it(evce, client, clock):
    token = client.authorization.removeprefix("Bearer ")
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False, "verify_jti": False})
    assert claims == {"jti": 1, "exp": int(clock()) + 12 * 3600, "sub": "bms", "role": "BEMS"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        None,
        {"login": "bms"},
        {"login": "bms", "password": 5},
        {"login": "bms", "password": "x", "remember": True},
        {"username": "bms", "password": "x"},
    ],
)
async def test_login_body_is_strict(evce, connect, body):
    client = await connect(evce)
    reply = await client.call("POST", "/login/login", body)
    assert reply.status == 400
    assert set(reply.json) == {"code", "message"}


async def test_wrong_password_is_401_without_body_and_five_block(evce, connect):
    client = await connect(evce)
    wrong = {"login": "bms", "password": "wrong"}
    for _ in range(5):
        reply = await client.call("POST", "/login/login", wrong)
        assert (reply.status, reply.text) == (401, "")
    blocked = await client.evce_login()
    assert blocked.status == 403
    assert blocked.json["code"] == 3
    await evce.do("reboot")
    assert (await client.evce_login()).status == 403
    await evce.do("unblock")
    assert (await client.evce_login()).status == 200


async def test_no_token_garbage_and_foreign_tokens_are_401_without_body(evce, client):
    good = client.authorization
    for bad in (None, "Bearer", "Bearer x.y.z", good.replace("Bearer", "Basic"), good[:-4] + "AAAA", good[7:]):
        client.authorization = bad
        reply = await client.call("GET", "/stations")
        assert (reply.status, reply.text) == (401, "")
    client.authorization = good
    assert (await client.call("GET", "/stations")).status == 200


async def test_second_login_replaces(evce, client, connect):
    other = await connect(evce)
    await other.evce_login()
    assert (await client.call("GET", "/stations")).status == 401
    assert (await other.call("GET", "/stations")).status == 200


async def test_second_login_refused_until_logout_or_idle(clock, connect):
    async with EvceSimulator(clock=clock, tls=False, second_login="refuse") as sim:
        first, second = await connect(sim), await connect(sim)
        await first.evce_login()
        refused = await second.evce_login()
        assert refused.status == 403
        assert refused.json == {"code": 4, "message": "user already connected"}
        await first.call("POST", "/login/logout")
        assert (await second.evce_login()).status == 200
        clock.turn(1800)
        assert (await first.evce_login()).status == 200


async def test_idle_half_an_hour_revokes_and_activity_keeps_alive_until_twelve_hours(client, clock):
    for _ in range(24):
        clock.turn(1799)
        assert (await client.call("GET", "/pms")).status == 200
    clock.turn(1799)
    assert (await client.call("GET", "/pms")).status == 401
    await client.evce_login()
    clock.turn(1800)
    assert (await client.call("GET", "/pms")).status == 401


async def test_password_change_revokes_and_follows_the_rule(evce, client):
    weak = {"old_password": "Charging-2026!", "new_password": "alllowercase1!"}
    assert (await client.call("POST", "/login/passwd", weak)).status == 400
    wrong = {"old_password": "nope", "new_password": "Other-Secret-9!"}
    assert (await client.call("POST", "/login/passwd", wrong)).status == 400
    extra = {"old_password": "Charging-2026!", "new_password": "Other-Secret-9!", "x": 1}
    assert (await client.call("POST", "/login/passwd", extra)).status == 400
    good = {"old_password": "Charging-2026!", "new_password": "Other-Secret-9!"}
    assert (await client.call("POST", "/login/passwd", good)).status == 200
    assert (await client.call("GET", "/pms")).status == 401
    assert evce.accounts.password == "Other-Secret-9!"
    assert (await client.evce_login()).status == 200


async def test_password_change_of_the_nested_dialect_is_as_strict(clock, connect):
    async with EvceSimulator(clock=clock, tls=False, dialect="nested") as sim:
        client = await connect(sim)
        good = {"passwd": {"current": "Charging-2026!", "replacement": "Other-Secret-9!"}}
        assert (await client.call("POST", "/login/passwd", good)).status == 401
        await client.evce_login()
        for bad in (
            {"old_password": "Charging-2026!", "new_password": "Other-Secret-9!"},
            {"passwd": "x"},
            {"passwd": {"current": "Charging-2026!"}},
            {"passwd": {**good["passwd"], "again": "Other-Secret-9!"}},
            {"passwd": {"current": "nope", "replacement": "Other-Secret-9!"}},
            {"passwd": {"current": "Charging-2026!", "replacement": "Short-1!"}},
        ):
            assert (await client.call("POST", "/login/passwd", bad)).status == 400
        assert (await client.call("POST", "/login/passwd", good)).status == 200
        assert sim.accounts.password == "Other-Secret-9!"


@pytest.mark.parametrize(
    ("password", "weak"),
    [
        ("Charging-2026!", False),
        ("Short-1!", True),
        ("nouppercase-2026!", True),
        ("NoDigitsInside!", True),
        ("NOLOWERCASE-2026!", True),
        ("NoSpecial-202666", True),
    ],
)
def test_password_rule(password, weak):
    assert weak_password(password) is weak


async def test_reboot_makes_new_secret_and_revoke_expire_end_the_session(evce, client, clock):
    for op in ("reboot", "revoke", "expire"):
        assert (await client.call("GET", "/pms")).status == 200
        await evce.do(op)
        assert (await client.call("GET", "/pms")).status == 401
        await client.evce_login()


async def test_a_person_takes_the_session(evce, client):
    assert await evce.do("person_login") == {"status": 200}
    assert (await client.call("GET", "/pms")).status == 401
    await client.evce_login()
    await evce.do("person_logout")
    assert (await client.call("GET", "/pms")).status == 200


async def test_clock_offset_moves_exp_and_date(evce, client, clock):
    await evce.do("clock_offset", seconds=-7200)
    reply = await client.evce_login()
    claims = jwt.decode(reply.json["token"], options={"verify_signature": False, "verify_jti": False})
    assert claims["exp"] == int(clock()) - 7200 + 12 * 3600
    early = reply.headers["Date"]
    await evce.do("clock_offset", seconds=0)
    assert (await client.call("GET", "/pms")).headers["Date"] != early


async def test_each_reboot_signs_with_another_secret(evce, client):
    first = client.authorization.removeprefix("Bearer ")
    signed = first.rsplit(".", 1)[0]
    await evce.do("reboot")
    evce.accounts._jti = 0
    second = (await client.evce_login()).json["token"]
    assert second.rsplit(".", 1)[0] == signed
    assert second != first
