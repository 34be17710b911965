"""Login, logout, renewal, throttling, and what ends a session."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from http.cookies import SimpleCookie
from pathlib import Path

import jwt
import pytest

from gateway.core.role import Role
from gateway.store.installation import Installation
from gateway.web import session as sessions
from gateway.web.throttle import Throttle
from tests.site import AheadClock
from tests.web.rig import PAGE, PASSWORDS, Stand, stand


def morsel(set_cookie: str) -> tuple[str, dict[str, object]]:
    """Name of a cookie, and its attributes with the value."""
    ((name, found),) = SimpleCookie(set_cookie).items()
    return name, {"value": found.value, **{key: value for key, value in found.items() if value}}


async def test_a_login_sets_a_cookie_no_script_can_read_and_no_other_page_sends(small: Stand) -> None:
    answer = await small.login("oskar")
    assert answer.json == {
        "user": "oskar",
        "role": "operator",
        "token_left_s": pytest.approx(900, abs=2),
        "site": "small",
        "version": "0",
        "local_slot": 8,
    }
    name, cookie = morsel(answer.headers["Set-Cookie"])
    assert name == "evce_session", "plain http is for this machine alone, so it is not Secure"
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("Strict", "/", "900")
    assert "secure" not in cookie
    assert [(event, origin.user, origin.client) for event, origin, _ in small.told] == [("login", "oskar", "127.0.0.1")]


@pytest.mark.parametrize(
    ("name", "password"),
    [("oskar", "wrong password"), ("oskar", ""), ("nobody", "operators do it"), ("", ""), ("OSKAR", "operators do it")],
)
async def test_a_wrong_login_says_the_same_whatever_is_wrong(small: Stand, name: str, password: str) -> None:
    answer = await small.login(name, password)
    assert (answer.status, answer.json) == (401, {"error": "wrong name or password"})
    assert "Set-Cookie" not in answer.headers
    ((event, origin, _),) = small.told
    assert (event, origin.client) == ("login_failed", "127.0.0.1")
    assert origin.user == ("oskar" if name == "oskar" else "a name that does not exist")


async def test_a_name_that_does_not_exist_costs_what_a_wrong_password_costs(
    small: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[dict[str, object]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **terms: object) -> bytes:
        costs.append({name: len(value) if isinstance(value, bytes) else value for name, value in terms.items()})
        return scrypt(password, **terms)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "scrypt", counted)
    for name in ("oskar", "nobody"):
        assert (await small.login(name, "wrong password")).status == 401
    assert len(costs) == 2
    assert costs[0] == costs[1]


async def test_without_users_nobody_logs_in(tmp_path: Path) -> None:
    async with stand(tmp_path) as small:
        (tmp_path / "users.json").unlink()
        assert (await small.login("oskar")).status == 401


async def test_a_damaged_user_file_lets_nobody_in(tmp_path: Path) -> None:
    async with stand(tmp_path) as small:
        headers = await small.cookie("oskar")
        (tmp_path / "users.json").write_text('{"format": 1, "users": {"oskar": {}}}')
        assert (await small.login("oskar")).status == 503
        assert (await small.ask("GET", "/api/v1/session", None, headers)).status == 503


async def test_after_five_failures_an_address_waits_longer_each_time(small: Stand) -> None:
    for _ in range(5):
        assert (await small.login("oskar", "wrong password")).status == 401
    answer = await small.login("oskar")
    assert answer.status == 429, "not even the right password is looked at"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["error"] == "too many wrong passwords: try again in 1 s"
    small.clock.ahead_s += 1.1
    assert (await small.login("oskar", "wrong password")).status == 401
    assert (await small.login("oskar")).headers["Retry-After"] == "2"
    small.clock.ahead_s += 2.1
    assert (await small.login("oskar")).status == 200


async def test_a_login_of_ones_own_in_between_does_not_free_the_guessing_of_anothers(small: Stand) -> None:
    statuses = []
    for _ in range(8):
        statuses.append((await small.login("adam", "wrong password")).status)
        await small.login("vera")
    assert statuses[:5] == [401] * 5
    assert 429 in statuses


async def test_logging_in_without_end_fills_no_evidence(small: Stand) -> None:
    statuses = [(await small.login("vera")).status for _ in range(25)]
    assert statuses == [200] * 20 + [429] * 5
    assert len(small.told) == 20
    answer = await small.login("vera")
    assert answer.json["error"].startswith("too many logins of this user: try again in ")
    assert (await small.login("oskar")).status == 200
    small.clock.ahead_s += 61
    assert (await small.login("vera")).status == 200


def test_an_ipv6_network_is_one_address_and_a_mapped_address_is_its_ipv4_one() -> None:
    throttle = Throttle(AheadClock())
    for number in range(6):
        throttle.tries(f"2001:db8::{number}", f"somebody {number}")
        throttle.tries("10.0.0.7", f"somebody else {number}")
    assert throttle.wait_s("2001:db8::ffff", "adam") > 0
    assert throttle.wait_s("::ffff:10.0.0.7", "adam") > 0
    assert throttle.wait_s("2001:db8:0:1::1", "adam") == 0
    assert throttle.wait_s("10.0.0.8", "adam") == 0


async def test_many_attempts_at_once_are_all_counted(small: Stand) -> None:
    answers = await asyncio.gather(*(small.login("oskar", f"guess number {n}") for n in range(20)))
    assert sum(answer.status == 401 for answer in answers) <= 5
    assert sum(answer.status == 429 for answer in answers) >= 15


async def test_a_logout_ends_every_token_of_the_login_also_after_a_restart(tmp_path: Path) -> None:
    async with stand(tmp_path) as small:
        headers = await small.cookie("vera")
        other = await small.cookie("vera")
        small.clock.ahead_s += sessions.RENEW_S + 1
        renewed = await small.ask("GET", "/api/v1/session", None, headers)
        younger = {**headers, "Cookie": renewed.headers["Set-Cookie"].partition(";")[0]}
        left = await small.ask("POST", "/api/v1/logout", None, younger)
        assert left.status == 204
        assert morsel(left.headers["Set-Cookie"])[1]["value"] == ""
        for token in (headers, younger):
            assert (await small.ask("GET", "/api/v1/session", None, token)).status == 401
        assert (await small.ask("GET", "/api/v1/session", None, other)).status == 200, "another login goes on"
        kept = dict(small.ended)
    async with stand(tmp_path, ended=kept) as small:
        assert (await small.ask("GET", "/api/v1/session", None, other)).status == 200, "a restart logs nobody out"
        assert (await small.ask("GET", "/api/v1/session", None, headers)).status == 401


async def test_a_token_is_renewed_while_it_is_used_and_ends_unused(small: Stand) -> None:
    headers = await small.cookie("vera")
    assert "Set-Cookie" not in (await small.ask("GET", "/api/v1/session", None, headers)).headers
    small.clock.ahead_s += sessions.RENEW_S + 1
    renewed = await small.ask("GET", "/api/v1/session", None, headers)
    younger = {**headers, "Cookie": renewed.headers["Set-Cookie"].partition(";")[0]}
    small.clock.ahead_s += sessions.TOKEN_S - sessions.RENEW_S
    assert (await small.ask("GET", "/api/v1/session", None, headers)).status == 401
    assert (await small.ask("GET", "/api/v1/session", None, younger)).status == 200


async def test_a_login_ends_after_twelve_hours_however_it_is_renewed(small: Stand) -> None:
    headers = await small.cookie("vera")
    for _ in range(200):
        small.clock.ahead_s += 300.0
        answer = await small.ask("GET", "/api/v1/session", None, headers)
        if answer.status != 200:
            break
        if "Set-Cookie" in answer.headers:
            headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
    assert small.clock.ahead_s == pytest.approx(12 * 3600, abs=310)


async def test_a_removed_user_and_one_with_another_password_are_out_at_once(small: Stand) -> None:
    vera, oskar, adam = [await small.cookie(name) for name in ("vera", "oskar", "adam")]
    small.users.remove("vera")
    small.users.set_password("oskar", "a new one of his")
    assert (await small.ask("GET", "/api/v1/session", None, vera)).status == 401
    assert (await small.ask("GET", "/api/v1/session", None, oskar)).status == 401
    assert (await small.ask("GET", "/api/v1/session", None, adam)).status == 200
    assert (await small.login("oskar")).status == 401
    assert (await small.login("oskar", "a new one of his")).status == 200


async def test_a_role_is_what_the_book_says_now(small: Stand) -> None:
    headers = await small.cookie("oskar")
    small.users.remove("oskar")
    small.users.add("oskar", Role.VIEWER, PASSWORDS["oskar"])
    assert (await small.ask("GET", "/api/v1/session", None, headers)).status == 401
    again = await small.cookie("oskar")
    assert (await small.ask("POST", "/api/v1/release", {"point": "p"}, again)).status == 403


async def test_the_own_password_needs_the_old_one_and_ends_the_other_sessions(small: Stand) -> None:
    here, there = await small.cookie("vera"), await small.cookie("vera")
    wrong = {"old": "not the old one", "new": "something quite new"}
    assert (await small.ask("POST", "/api/v1/session/password", wrong, here)).status == 401
    weak = {"old": PASSWORDS["vera"], "new": "short"}
    refused = await small.ask("POST", "/api/v1/session/password", weak, here)
    assert refused.status == 400
    assert "12 to 128 characters" in refused.json["error"]
    right = {"old": PASSWORDS["vera"], "new": "something quite new"}
    changed = await small.ask("POST", "/api/v1/session/password", right, here)
    assert changed.status == 200
    fresh = {**here, "Cookie": changed.headers["Set-Cookie"].partition(";")[0]}
    assert (await small.ask("GET", "/api/v1/session", None, fresh)).status == 200
    for old in (here, there):
        assert (await small.ask("GET", "/api/v1/session", None, old)).status == 401
    assert ("password_changed", "vera") in [(event, origin.user) for event, origin, _ in small.told]


def forged(token: str, key: bytes, **claims: object) -> list[str]:
    """Tokens that somebody else might make."""
    head, body, _ = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return [
        f"{none}.{body}.",
        f"{head}.{body}.",
        jwt.encode({**said, "sub": "adam"}, b"x" * 32, algorithm="HS256"),
        jwt.encode({**said, "aud": "another"}, key, algorithm="HS256"),
        jwt.encode({name: value for name, value in said.items() if name != "sid"}, key, algorithm="HS256"),
        jwt.encode({**said, "sub": "adam"}, key, algorithm="HS256"),
        jwt.encode({**said, "began": said["began"] + 1e9}, key, algorithm="HS256"),
        jwt.encode({**said, "exp": "never"}, key, algorithm="HS256"),
        "x" * 3000,
        "",
    ]


async def test_no_other_token_is_taken(tmp_path: Path) -> None:
    async with stand(tmp_path) as small:
        headers = await small.cookie("vera")
        token = headers["Cookie"].partition("=")[2]
        for other in forged(token, Installation(tmp_path).session_key()):
            answer = await small.ask("GET", "/api/v1/session", None, {"Cookie": f"evce_session={other}"})
            assert answer.status == 401, other[:60]
        assert (await small.ask("GET", "/api/v1/session", None, headers)).status == 200


async def test_a_token_of_another_installation_is_worth_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with stand(tmp_path / "one") as one:
        headers = await one.cookie("adam")
        (tmp_path / "two" / "users.json").write_bytes((tmp_path / "one" / "users.json").read_bytes())
    async with stand(tmp_path / "two") as two:
        assert (await two.ask("GET", "/api/v1/session", None, headers)).status == 401
        assert (await two.ask("GET", "/api/v1/session", None, {**PAGE, **await two.cookie("adam")})).status == 200
