"""Login at a Bender controller: one-time token, one session for all, eviction both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.errors import BadAnswer, CredentialsRefused, LoginHeld, Refused
from tests.sources.rig import logins


async def test_login_reads_and_logout(bender, session):
    own = session(bender)
    assert "systemState" in (await own.request("GET", "/system_state")).document
    assert logins(bender) == [200]
    assert bender.login.session is not None
    await own.close()
    assert bender.login.session is None


async def test_U13_login_at_the_web_page_ends_ours_and_costs_one_new_login(bender, session):
    own = session(bender)
    await own.open()
    await bender.do("web_login")
    answers = await asyncio.gather(*(own.request("GET", "/system_state") for _ in range(6)))
    assert {answer.status for answer in answers} == {200}
    assert logins(bender) == [200, 200]
    assert not bender.login.session.web


async def test_U13_third_eviction_in_five_minutes_leaves_the_web_page_alone(bender, session, clock):
    own = session(bender)
    for _ in range(3):
        await own.request("GET", "/system_state")
        await bender.do("web_login")
    for _ in range(10):
        with pytest.raises(LoginHeld, match="taken by another login; pausing 5 min") as caught:
            await own.request("GET", "/system_state")
        assert caught.value.taken
        clock.now += 29
    assert logins(bender) == [200] * 3
    assert bender.login.session.web
    clock.now += 11
    await own.request("GET", "/system_state")
    assert logins(bender) == [200] * 4


async def test_U16_401_after_every_good_login_is_three_logins_and_then_one_every_five_minutes(bender, session, clock):
    bender.faults.add("/system_state", status=401)
    own = session(bender)
    for tries in (3, 4, 5):
        for _ in range(10):
            with pytest.raises(Refused):
                await own.request("GET", "/system_state")
        with pytest.raises(LoginHeld, match="clock or firmware") as caught:
            await own.request("GET", "/system_state")
        assert not caught.value.taken
        assert logins(bender) == [200] * tries
        clock.now += 301


async def test_U14_idle_session_is_opened_again_without_a_failed_read(bender, session):
    own = session(bender)
    await own.open()
    bender.login.session.last_used -= 61
    assert (await own.request("GET", "/system_state")).status == 200
    assert logins(bender) == [200, 200]


async def test_U15_one_time_token_taken_by_another_client_is_fetched_again_once(bender, session, monkeypatch):
    hand_out = bender.login.token
    taken: list[Any] = []

    def steal() -> Any:
        answer = hand_out()
        if not taken:
            taken.append(answer)
            bender.login._token = "another client's"
        return answer

    monkeypatch.setattr(bender.login, "token", steal)
    await session(bender).open()
    assert logins(bender) == [401, 200]


async def test_U09_wrong_password_is_tried_twice_and_then_never(bender, session, clock):
    own = session(bender, password="wrong")
    for _ in range(5):
        with pytest.raises(CredentialsRefused, match="'operator' refused"):
            await own.request("GET", "/system_state")
        clock.now += 3600
    assert logins(bender) == [401, 401]


async def test_U09_a_refusal_that_comes_with_status_200_is_no_login_every_minute(bender, session, clock):
    bender.faults.add("/login", method="POST", status=200, body='{"logged_in": false, "message": "no", "code": 1001}')
    own = session(bender)
    for _ in range(5):
        with pytest.raises(CredentialsRefused, match="'operator' refused"):
            await own.request("GET", "/system_state")
        clock.now += 3600
    assert len(logins(bender)) == 2


@pytest.mark.parametrize("body", ["[]", '{"token": null}', ""])
async def test_no_token_offered(bender, session, body):
    bender.faults.add("/login", method="GET", body=body)
    with pytest.raises(BadAnswer, match="no token"):
        await session(bender).open()
    assert logins(bender) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"session": {}}', "logged_in"),
        ('{"logged_in": true, "session": {"id": "short"}}', "no session id"),
        ('{"logged_in": true}', "logged_in"),
    ],
)
async def test_login_answer_without_a_session(bender, session, body, text):
    bender.faults.add("/login", method="POST", body=body)
    with pytest.raises(BadAnswer, match=text):
        await session(bender).open()


async def test_busy_controller_is_no_refused_password(bender, session):
    bender.faults.add("/login", method="POST", status=503, count=1)
    own = session(bender)
    with pytest.raises(Refused) as caught:
        await own.open()
    assert not isinstance(caught.value, CredentialsRefused)
    await own.open()
    assert logins(bender) == [503, 200]
