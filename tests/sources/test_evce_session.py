"""Login, logout and re-login at EVCE: one connection per user, and never a storm."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import BadAnswer, CredentialsRefused, LoginHeld, Refused, SessionLost, Unreachable
from gateway.sources.gate import clock_text
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


async def test_U02_third_loss_in_five_minutes_leaves_the_session_to_whoever_took_it(evce, session, clock):
    own = session(evce)
    for _ in range(2):
        await own.request("GET", "/pms")
        await evce.do("person_login")
    await own.request("GET", "/pms")
    await evce.do("person_login")
    with pytest.raises(LoginHeld, match=r"taken by another login; pausing 5 min, next try ..:.. UTC") as caught:
        await own.request("GET", "/pms")
    assert (caught.value.taken, caught.value.retry_after_s) == (True, 300)
    assert logins(evce) == [200, 200, 200]
    assert evce.accounts.session.person
    clock.now += 299
    with pytest.raises(LoginHeld) as caught:
        await own.request("GET", "/pms")
    assert caught.value.retry_after_s == 1
    assert evce.accounts.session.person
    clock.now += 2
    assert (await own.request("GET", "/pms")).status == 200
    assert logins(evce) == [200] * 4


async def test_U02_losses_spread_over_hours_are_no_reason_to_pause(evce, session, clock):
    own = session(evce)
    for number in range(1, 8):
        await own.request("GET", "/pms")
        assert own.number == number
        await evce.do("revoke")
        clock.now += 151


async def test_U16_a_product_that_refuses_every_session_is_tried_three_times_and_then_every_five_minutes(
    evce, session, clock
):
    evce.faults.add("/pms", status=401)
    own = session(evce)
    with pytest.raises(SessionLost):
        await own.request("GET", "/pms")
    for tries in (3, 4, 5):
        for _ in range(20):
            with pytest.raises(LoginHeld, match=r"refused after a good login .GET /api/v2/pms: 401") as caught:
                await own.request("GET", "/pms")
            assert not caught.value.taken
        assert logins(evce) == [200] * tries
        clock.now += 301
    evce.faults.clear()
    for _ in range(3):
        await own.request("GET", "/pms")
    assert logins(evce) == [200] * 6


async def test_second_401_in_a_row_is_told_and_not_repeated(evce, session):
    evce.faults.add("/pms", status=401)
    own = session(evce)
    with pytest.raises(SessionLost):
        await own.request("GET", "/pms")
    assert logins(evce) == [200, 200]


async def test_U09_wrong_password_is_tried_at_most_twice_and_then_never(evce, session, clock):
    own = session(evce, password="Wrong-2026!!")
    with pytest.raises(
        CredentialsRefused, match=r"^user or password of 'bms' refused; next try \d\d:\d\d UTC$"
    ) as caught:
        await own.request("GET", "/stations")
    assert caught.value.retry_after_s == 60
    for _ in range(10):
        clock.now += 3600
        with pytest.raises(CredentialsRefused, match="mend it, then `evce-gateway reload`") as caught:
            await own.request("GET", "/stations")
        assert caught.value.retry_after_s is None
    assert logins(evce) == [401, 401]
    assert not evce.accounts.blocked


async def test_U09_after_a_person_says_it_is_mended_it_is_tried_at_once_and_twice_again(evce, session, clock):
    own = session(evce, password="Wrong-2026!!")
    for _ in range(5):
        with pytest.raises(CredentialsRefused):
            await own.open()
        clock.now += 61
    own.retry()
    for _ in range(5):
        with pytest.raises(CredentialsRefused):
            await own.open()
        clock.now += 61
    assert logins(evce) == [401] * 4
    await evce.do("set_password", password="Wrong-2026!!")
    own.retry()
    await own.open()
    assert logins(evce)[-1] == 200


async def test_U09_waiting_requests_do_not_add_tries(evce, session):
    own = session(evce, password="Wrong-2026!!")
    results = await asyncio.gather(*(own.request("GET", "/pms") for _ in range(8)), return_exceptions=True)
    assert all(isinstance(result, CredentialsRefused) for result in results)
    assert len(logins(evce)) <= 2


async def test_U10_blocked_account_is_tried_after_30_min_1_h_and_2_h_and_then_left_alone(evce, session, clock):
    await evce.do("block")
    own = session(evce)
    since, due = clock_text(clock.wall()), clock_text(clock.wall() + 1800)
    for wait_s in (1800, 3600, 7200):
        with pytest.raises(CredentialsRefused, match="blocked") as caught:
            await own.open()
        assert caught.value.retry_after_s == wait_s
        assert f"login refused since {since}, next try {clock_text(clock.wall() + wait_s)}: POST" in str(caught.value)
        clock.now += wait_s - 1
        with pytest.raises(CredentialsRefused) as caught:
            await own.request("GET", "/stations")
        assert caught.value.retry_after_s == 1
        clock.now += 2
    assert due != since
    for _ in range(3):
        with pytest.raises(CredentialsRefused, match=r"not tried again.*blocked.*`evce-gateway reload`") as caught:
            await own.open()
        assert caught.value.retry_after_s is None
        clock.now += 86400
    assert logins(evce) == [403] * 4


async def test_U10_a_login_that_succeeds_clears_the_refusals(evce, session, clock):
    await evce.do("block")
    own = session(evce)
    for wait_s in (1801, 3601):
        with pytest.raises(CredentialsRefused):
            await own.open()
        clock.now += wait_s
    await evce.do("unblock")
    await own.open()
    assert logins(evce) == [403, 403, 200]
    await evce.do("block")
    await evce.do("revoke")
    with pytest.raises(CredentialsRefused) as caught:
        await own.request("GET", "/stations")
    assert caught.value.retry_after_s == 1800


async def test_U03_U05_occupied_session_waits_for_the_idle_time_and_says_so(evce, session, clock):
    """Without a stored token there is nothing to log out: only the idle time ends the other session."""
    await evce.do("second_login", mode="refuse")
    await evce.do("person_login")
    own = session(evce)
    since, due = clock_text(clock.wall()), clock_text(clock.wall() + 1800)
    with pytest.raises(CredentialsRefused, match=f"since {since}, next try {due}: .*already connected"):
        await own.open()
    with pytest.raises(CredentialsRefused):
        await own.open()
    assert logins(evce) == [403]
    evce.accounts.session.last_used -= 1801
    clock.now += 1801
    await own.open()
    assert logins(evce) == [403, 200]


async def test_U03_the_stored_token_is_logged_out_before_the_login_is_tried(evce, session, tokens):
    await session(evce).open()
    await evce.do("second_login", mode="refuse")
    await session(evce).open()
    assert logins(evce) == [200, 200]
    tokens.token = "another one's"
    with pytest.raises(CredentialsRefused, match="already connected"):
        await session(evce).open()
    assert [request.path.rpartition("/")[2] for request in evce.received[-2:]] == ["logout", "login"]


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
    assert str(await put_limit(own, 60.0, 2)) == "200 {}"
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
