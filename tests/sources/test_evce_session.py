"""Login, logout and re-login at EVCE: one connection per user, and never a storm."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused, SessionLost, Unreachable
from tests.sources.rig import Tokens, logins, sent


async def test_login_reads_and_logout(evce, session, tokens):
    own = session(evce)
    assert own.age_s is None
    answer = await own.request("GET", "/stations")
    assert len(answer.document) == 12
    assert (own.number, own.age_s) == (1, 0.0)
    assert evce.accounts.session is not None
    assert tokens.token == evce.accounts.session.token
    await own.close()
    assert evce.accounts.session is None
    assert sent(evce, "/login/logout") == [200]
    assert tokens.token is None


async def test_session_age_follows_the_clock(evce, session, clock):
    own = session(evce)
    await own.open()
    clock.now += 90
    assert own.age_s == 90


async def test_U04_the_token_of_the_last_run_is_logged_out_before_login(evce, session, http, clock, tokens):
    await session(evce).open()
    evce.accounts.second_login = "refuse"
    again = session(evce)
    await again.open()
    assert [request.path.rpartition("/")[2] for request in evce.received] == ["login", "logout", "login"]
    assert logins(evce) == [200, 200]
    assert tokens.token == evce.accounts.session.token


@pytest.mark.parametrize(
    "fault",
    [{"status": 401}, {"status": 403}, {"status": 500}, {"body": "OK"}, {"replace": "html"}],
    ids=lambda fault: str(next(iter(fault.values()))),
)
async def test_login_follows_whatever_the_logout_of_an_old_token_answers(evce, session, tokens, fault):
    tokens.token = "old"
    evce.faults.add("/login/logout", **fault)
    await session(evce).open()
    assert logins(evce) == [200]
    assert tokens.token != "old"


async def test_U01_revoked_token_is_one_login_shared_by_everyone_waiting(evce, session):
    own = session(evce)
    await own.open()
    await evce.do("revoke")
    answers = await asyncio.gather(*(own.request("GET", "/stations/statuses") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert logins(evce) == [200, 200]
    assert own.number == 2


async def test_U01_late_401_of_the_old_session_does_not_end_the_new_one(evce, session):
    own = session(evce)
    await own.open()
    await evce.do("revoke")
    evce.faults.add("/pms", delay_s=0.3, count=1)
    slow = asyncio.gather(own.request("GET", "/pms"), own.request("GET", "/stations"))
    answers = await slow
    assert [answer.status for answer in answers] == [200, 200]
    assert logins(evce) == [200, 200]


async def test_U08_reboot_with_a_new_secret_is_one_new_login(evce, session):
    own = session(evce)
    await own.open()
    await evce.do("reboot")
    assert (await own.request("GET", "/stations")).status == 200
    assert logins(evce) == [200, 200]


async def test_U41_a_product_with_a_wrong_clock_causes_no_login_loop(evce, session):
    await evce.do("clock_offset", seconds=-7200)
    own = session(evce)
    for _ in range(5):
        await own.request("GET", "/stations")
    assert logins(evce) == [200]


async def test_second_401_in_a_row_is_told_and_not_repeated(evce, session):
    evce.faults.add("/pms", status=401)
    own = session(evce)
    with pytest.raises(SessionLost):
        await own.request("GET", "/pms")
    assert logins(evce) == [200, 200]


async def test_U09_wrong_password_is_tried_at_most_twice_and_then_never(evce, session, clock):
    own = session(evce, password="Wrong-2026!!")
    for _ in range(10):
        with pytest.raises(CredentialsRefused, match="'bms' refused") as caught:
            await own.request("GET", "/stations")
        assert caught.value.retry_after_s is None
        clock.now += 3600
    assert 1 <= len(logins(evce)) <= 2
    assert set(logins(evce)) == {401}
    assert not evce.accounts.blocked


async def test_U09_waiting_requests_do_not_add_tries(evce, session):
    own = session(evce, password="Wrong-2026!!")
    results = await asyncio.gather(*(own.request("GET", "/pms") for _ in range(8)), return_exceptions=True)
    assert all(isinstance(result, CredentialsRefused) for result in results)
    assert len(logins(evce)) <= 2


async def test_U10_blocked_account_is_left_alone_for_half_an_hour(evce, session, clock):
    await evce.do("block")
    own = session(evce)
    with pytest.raises(CredentialsRefused, match="blocked") as caught:
        await own.open()
    assert caught.value.retry_after_s == 1800
    clock.now += 1799
    with pytest.raises(CredentialsRefused) as caught:
        await own.request("GET", "/stations")
    assert caught.value.retry_after_s == 1
    assert logins(evce) == [403]
    await evce.do("unblock")
    clock.now += 2
    await own.open()
    assert logins(evce) == [403, 200]


async def test_U03_occupied_session_waits_for_the_idle_time_and_says_so(evce, session, clock):
    await evce.do("second_login", mode="refuse")
    await evce.do("person_login")
    own = session(evce)
    with pytest.raises(CredentialsRefused, match=r"already connected.*30 min"):
        await own.open()
    with pytest.raises(CredentialsRefused):
        await own.open()
    assert logins(evce) == [403]


@pytest.mark.parametrize("body", ['{"token": 5}', "[]", '{"token": ""}', '{"token": "a\\nb"}', ""])
async def test_login_answer_without_a_usable_token_is_a_bad_answer(evce, session, body, tokens):
    evce.faults.add("/login/login", body=body)
    with pytest.raises(BadAnswer, match="no token"):
        await session(evce).open()
    assert tokens.saved == []


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_busy_product_at_login_is_no_refused_password(evce, session, status):
    evce.faults.add("/login/login", status=status, headers={"Retry-After": "7"}, count=1)
    own = session(evce)
    with pytest.raises(Refused) as caught:
        await own.open()
    assert not isinstance(caught.value, CredentialsRefused)
    assert caught.value.retry_after_s == 7
    await own.open()
    assert logins(evce) == [status, 200]


async def test_U17_failing_logout_keeps_the_token_for_the_next_start(evce, session, tokens):
    own = session(evce)
    await own.open()
    await evce.do("listen", on=False)
    await own.close()
    assert tokens.token is not None
    assert own.age_s is None


async def test_close_without_a_session_sends_nothing(evce, session):
    own = session(evce)
    await own.close()
    assert evce.received == []


async def test_password_is_read_at_each_login(evce, http, clock):
    from gateway.sources import EvceSession

    words = iter(["Charging-2026!", "Another-2026!"])
    own = EvceSession(
        http(evce), evce.base, clock, source="evce", username="bms", password=lambda: next(words), tokens=Tokens()
    )
    await own.open()
    await evce.do("set_password", password="Another-2026!")
    assert (await own.request("GET", "/pms")).status == 200


async def test_C07_a_command_is_not_carried_over_into_a_new_session(evce, source, put_limit):
    own = source(evce)
    await own.open()
    await evce.do("revoke")
    with pytest.raises(SessionLost):
        await put_limit(own, 60.0, 1)
    assert sent(evce, "/em/zones/1/reduction") == [401]
    with pytest.raises(SessionLost, match="not sent"):
        await put_limit(own, 60.0, 1)
    await own.open()
    with pytest.raises(SessionLost, match="not sent"):
        await put_limit(own, 60.0, 1)
    assert sent(evce, "/em/zones/1/reduction") == [401]
    assert await put_limit(own, 60.0, 2) == "200 {}"
    assert evce.site.zones[1].reduction.value_a == 60.0


async def test_no_secret_in_any_error(evce, session):
    own = session(evce, password="Wrong-2026!!")
    with pytest.raises(CredentialsRefused) as caught:
        await own.open()
    assert "Wrong-2026!!" not in repr(caught.value) + str(caught.value)
    evce.faults.add("/stations", status=500, body='{"message": "no"}')
    good = session(evce)
    with pytest.raises(Refused) as refused:
        await good.request("GET", "/stations")
    assert evce.accounts.session.token not in str(refused.value)


async def test_unreachable_product_is_told_as_such(evce, session):
    await evce.do("listen", on=False)
    with pytest.raises(Unreachable, match="cannot connect"):
        await session(evce).open()
