"""The life of a session: renewed before it ends, kept alive, and never lost in the middle of a login."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest

from gateway.core.errors import CredentialsRefused, SessionLost, Unreachable
from gateway.simulator import BenderSimulator, EvceSimulator
from gateway.sources import session as session_module
from gateway.sources.evce import LIFETIME_S, lifetime_s, renew_after_s
from tests.sources.rig import logins, sent

HOUR = 3600.0
READ = {"evce": "/pms", "bender": "/system_state"}
DATE = 1_790_000_000.0


def token(**claims: Any) -> str:
    return jwt.encode({"jti": 7, "sub": "bms", **claims}, "k" * 32, algorithm="HS256")


@pytest.mark.parametrize(
    ("claims", "date", "lifetime"),
    [
        ({"exp": DATE + 12 * HOUR}, DATE, 12 * HOUR),
        ({"exp": DATE + 2 * HOUR}, DATE, 2 * HOUR),
        ({"exp": 100 + 4 * HOUR, "iat": 100}, DATE, 4 * HOUR),
        ({"exp": DATE + 12 * HOUR}, None, LIFETIME_S),
        ({"exp": DATE - 2 * HOUR}, DATE, LIFETIME_S),
        ({"exp": DATE + 599}, DATE, LIFETIME_S),
        ({"exp": DATE + 8 * 24 * HOUR}, DATE, LIFETIME_S),
        ({"exp": "soon"}, DATE, LIFETIME_S),
        ({"exp": True}, DATE, LIFETIME_S),
        ({}, DATE, LIFETIME_S),
    ],
)
def test_U41_lifetime_is_told_by_the_products_own_times(claims, date, lifetime):
    assert lifetime_s(token(**claims), date) == lifetime


@pytest.mark.parametrize("text", ["no token", "a.b.c", "e30.e30.e30", "", "W10.W10.W10", "." * 50])
def test_U06_a_token_that_is_no_jwt_lives_12_hours(text):
    assert lifetime_s(text, DATE) == LIFETIME_S


@pytest.mark.parametrize(
    ("lifetime", "renewed"), [(12 * HOUR, 11.4 * HOUR), (2 * HOUR, 1.5 * HOUR), (40 * 60, 20 * 60), (600, 300)]
)
def test_U06_renewed_half_an_hour_or_5_percent_before_the_end(lifetime, renewed):
    assert renew_after_s(lifetime) == pytest.approx(renewed)


async def test_U06_renewal_is_logout_and_login_and_nothing_before_it_is_due(evce, session, clock, tokens):
    own = session(evce)
    await own.open()
    clock.now += 11.3 * HOUR
    assert not own.renewal_due
    await own.renew()
    assert logins(evce) == [200]
    clock.now += 0.2 * HOUR
    assert own.renewal_due
    await own.renew()
    assert (logins(evce), sent(evce, "/login/logout")) == ([200, 200], [200])
    assert (own.number, own.age_s, own.renewal_due) == (2, 0.0, False)
    assert tokens.token == evce.accounts.session.token


@pytest.mark.parametrize("offset_s", [-13 * HOUR, 13 * HOUR, 400 * 24 * HOUR])
async def test_U41_the_products_clock_moves_neither_the_renewal_nor_the_number_of_logins(
    evce, session, clock, offset_s
):
    """13 hours behind, `exp` lies in our past; the lifetime is the same."""
    await evce.do("clock_offset", seconds=offset_s)
    own = session(evce)
    await own.open()
    claims = jwt.decode(evce.accounts.session.token, options={"verify_signature": False, "verify_jti": False})
    assert (claims["exp"] < evce.clock()) is (offset_s < -12 * HOUR)
    for _ in range(11):
        clock.now += HOUR
        own._used_at = clock.now
        assert not own.renewal_due
        await own.request("GET", "/pms")
    clock.now += 0.5 * HOUR
    assert own.renewal_due
    assert logins(evce) == [200]


async def test_U06_requests_under_way_end_in_the_old_session_and_new_ones_wait_for_the_new_one(evce, session, clock):
    own = session(evce)
    await own.open()
    clock.now += 11.5 * HOUR
    own._used_at = clock.now
    evce.faults.add("/pms", delay_s=0.2)
    evce.faults.add("/login/logout", delay_s=0.1)
    before = asyncio.gather(*(own.request("GET", "/pms") for _ in range(3)))
    await asyncio.sleep(0.05)
    renewal = asyncio.gather(own.renew())
    await asyncio.sleep(0)
    after = asyncio.gather(*(own.request("GET", "/stations") for _ in range(3)))
    command = asyncio.gather(own.request_in(1, "PUT", "/em/zones/1/reduction", {}), return_exceptions=True)
    answers = [*await before, *await after]
    await renewal
    assert {answer.status for answer in answers} == {200}
    assert (logins(evce), sent(evce, "/login/logout")) == ([200, 200], [200])
    assert own.number == 2
    (refused,) = await command
    assert isinstance(refused, SessionLost)
    assert sent(evce, "/em/zones/1/reduction") == []


async def test_U06_renewal_while_the_product_is_away_keeps_the_session_and_tries_later(evce, session, clock):
    own = session(evce)
    await own.open()
    clock.now += 11.5 * HOUR
    own._used_at = clock.now
    await evce.do("listen", on=False)
    await own.renew()
    assert (own.number, own.renewal_due) == (1, False)
    await evce.do("listen", on=True)
    assert (await own.request("GET", "/pms")).status == 200
    clock.now += 61
    await own.renew()
    assert own.number == 2
    assert logins(evce) == [200, 200]


async def test_U06_renewal_that_is_refused_is_told_like_any_login(evce, session, clock):
    own = session(evce)
    await own.open()
    clock.now += 11.5 * HOUR
    own._used_at = clock.now
    await evce.do("block")
    with pytest.raises(CredentialsRefused, match="blocked"):
        await own.renew()
    assert own.age_s is None


@pytest.fixture(params=["evce", "bender"])
async def product(request):
    async with EvceSimulator(tls=False) if request.param == "evce" else BenderSimulator() as sim:
        yield sim


async def test_U14_a_session_asks_for_a_request_before_it_ends(product, session, clock):
    own = session(product)
    after_s = {"evce": 1500, "bender": 45}[product.kind]
    assert not own.needs_request
    await own.open()
    clock.now += after_s - 1
    assert not own.needs_request
    clock.now += 1
    assert own.needs_request
    await own.request("GET", READ[product.kind])
    assert not own.needs_request


async def test_U07_U14_a_session_that_must_have_ended_is_opened_anew_without_a_401(product, session, clock):
    own = session(product)
    for number in range(1, 8):
        answer = await own.request("GET", READ[product.kind])
        assert (answer.status, own.number) == (200, number)
        clock.now += {"evce": 1800, "bender": 60}[product.kind]
        product.accounts.revoke() if product.kind == "evce" else product.login.revoke()
    with pytest.raises(SessionLost, match="not sent"):
        await own.request_in(7, "PUT", "/x", {})
    assert logins(product) == [200] * 7
    assert [request.status for request in product.received if request.path.endswith("/x")] == []


async def test_U17_shutdown_during_login_keeps_the_token_and_logs_it_out(evce, session, tokens):
    evce.faults.add("/login/login", delay_s=0.2)
    own = session(evce)
    opening = asyncio.gather(own.open())
    await asyncio.sleep(0.05)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert tokens.token == evce.accounts.session.token
    assert await own.close() == ""
    assert evce.accounts.session is None
    assert tokens.token is None


async def test_U17_shutdown_during_a_bender_login_ends_that_session_too(bender, session):
    bender.faults.add("/login", method="POST", delay_s=0.2)
    own = session(bender)
    opening = asyncio.gather(own.open())
    await asyncio.sleep(0.05)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert bender.login.session is not None
    assert await own.close() == ""
    assert bender.login.session is None


async def test_U17_a_login_that_never_ends_is_given_up_at_shutdown(evce, session, monkeypatch):
    monkeypatch.setattr(session_module, "GRACE_S", 0.1)
    evce.faults.add("/login/login", delay_s=30)
    own = session(evce)
    opening = asyncio.gather(own.open())
    await asyncio.sleep(0.05)
    opening.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert [task for task in asyncio.all_tasks() if "Session._enter" in str(task.get_coro())] == []


async def test_U17_a_logout_that_fails_says_why_and_keeps_the_token(evce, session, tokens):
    own = session(evce)
    await own.open()
    evce.faults.add("/login/logout", status=503)
    assert "503" in await own.close()
    assert tokens.token == evce.accounts.session.token


async def test_login_that_finds_nobody_does_not_count_against_the_password(evce, session):
    own = session(evce)
    await evce.do("listen", on=False)
    for _ in range(5):
        with pytest.raises(Unreachable):
            await own.open()
    await evce.do("listen", on=True)
    await own.open()
    assert logins(evce) == [200]
