"""Who may do what: every route, roles, headers, hosts and origins, sizes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from pathlib import Path

import pytest
import yaml

from gateway.core.role import Role
from gateway.web.guard import HEADERS, role_needed
from tests.web.rig import PAGE, Stand, stand

CONTRACT = Path(__file__).parents[2] / "gateway" / "web" / "openapi.yaml"
OPEN = {
    ("POST", "/api/v1/login"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/static/public/{name}"),
}
WRITING = ("write", "release", "action", "force", "unforce")


def routes(small: Stand) -> list[tuple[str, str]]:
    """Every method and path of the listener."""
    found = []
    for route in small.server.app.router.routes():
        resource = route.resource
        assert resource is not None
        if route.method != "HEAD":
            found.append((route.method, resource.canonical))
    return found


async def test_every_route_without_a_login_answers_401_but_those_that_must_be_open(small: Stand) -> None:
    known = routes(small)
    assert len(known) >= 28
    assert set(known) >= OPEN
    for method, path in known:
        answer = await small.ask(method, path.replace("{name}", "x"), b"{}" if method == "POST" else None, PAGE)
        if (method, path) in OPEN:
            assert answer.status != 401, path
        else:
            assert answer.status == 401, (method, path, answer.status)
    assert (await small.ask("GET", "/api/v1/nothing")).status == 401
    assert (await small.ask("GET", "/nothing")).status == 401
    assert (await small.ask("DELETE", "/api/v1/points", None, PAGE)).status == 401


async def test_the_contract_names_every_route_with_its_method_and_who_may_ask_without_login(small: Stand) -> None:
    contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    written = {(m.upper(), path) for path, methods in contract["paths"].items() for m in methods}
    files = {("GET", "/"), ("GET", "/static/public/{name}"), ("GET", "/static/app/{name}")}
    assert written | files == set(routes(small))
    for path, methods in contract["paths"].items():
        for method, said in methods.items():
            without = said.get("security") == []
            assert without == ((method.upper(), path) in OPEN), path
            for place in _references(said):
                assert place in contract["components"][_folder(place, contract)], place


def _references(said: object) -> list[str]:
    if isinstance(said, dict):
        own = [str(said["$ref"]).rpartition("/")[2]] if "$ref" in said else []
        return own + [name for value in said.values() for name in _references(value)]
    return [name for value in said for name in _references(value)] if isinstance(said, list) else []


def _folder(name: str, contract: dict[str, dict[str, dict[str, object]]]) -> str:
    return next((f for f, held in contract["components"].items() if name in held), "schemas")


async def test_the_contract_is_served_to_users(small: Stand) -> None:
    answer = await small.ask("GET", "/api/v1/openapi.yaml", None, await small.cookie("vera"))
    assert answer.status == 200
    assert answer.body == CONTRACT.read_bytes()


async def test_a_viewer_cannot_write_and_an_operator_can(small: Stand) -> None:
    viewer, operator = await small.cookie("vera"), await small.cookie("oskar")
    for what in WRITING:
        body = {"point": "s/zone/Z/p0"}
        body |= {"write": {"value": 16}, "force": {"value": 1}, "action": {"code": 1}}.get(what, {})
        refused = await small.ask("POST", f"/api/v1/{what}", body, viewer)
        assert refused.status == 403, what
        assert refused.json["error"] == "vera is a viewer here; this needs the role operator"
        assert (await small.ask("POST", f"/api/v1/{what}", body, operator)).status == 200, what
    assert len(small.page.written) == len(WRITING)
    origins = {origin for _, _, origin, _ in small.page.written}
    assert {(origin.protocol, origin.client, origin.user) for origin in origins} == {("page", "127.0.0.1", "oskar")}


async def test_only_an_admin_writes_another_slot_and_sees_the_users(small: Stand) -> None:
    operator, admin = await small.cookie("oskar"), await small.cookie("adam")
    body = {"point": "s/zone/Z/p0", "value": 16, "slot": 3}
    assert (await small.ask("POST", "/api/v1/write", body, operator)).status == 403
    assert (await small.ask("POST", "/api/v1/write", {**body, "slot": 8}, operator)).status == 200
    assert (await small.ask("POST", "/api/v1/write", body, admin)).status == 200
    assert [slot for _, _, _, slot in small.page.written] == [8, 3]
    assert (await small.ask("GET", "/api/v1/users", None, operator)).status == 403
    listed = (await small.ask("GET", "/api/v1/users", None, admin)).json["users"]
    assert listed[0] == {"name": "adam", "role": "admin"}
    needs = {r.resource.canonical: role_needed(r.handler) for r in small.server.app.router.routes() if r.resource}
    assert needs["/api/v1/users"] is Role.ADMIN


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/v1/overview", "/api/v1/nothing", "/static/public/login.html", "/metrics"]
)
async def test_every_answer_carries_the_security_headers(small: Stand, path: str) -> None:
    for headers in ({}, await small.cookie("vera")):
        answer = await small.ask("GET", path, None, headers)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'self'" in HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]
    assert HEADERS["Cache-Control"] == "no-store"


async def test_a_request_that_changes_something_needs_the_pages_header_and_origin(small: Stand) -> None:
    headers = await small.cookie("oskar")
    body = {"point": "s/zone/Z/p0", "value": 16}
    port = small.server.port
    refused: list[dict[str, str]] = [
        {name: value for name, value in headers.items() if name != "X-Evce-Page"},
        {**headers, "Origin": "http://evil.example"},
        {**headers, "Origin": "null"},
        {**headers, "Origin": f"https://127.0.0.1:{port}"},
        {**headers, "Origin": f"http://127.0.0.1:{port + 1}"},
        {**headers, "Sec-Fetch-Site": "cross-site"},
        {**headers, "Sec-Fetch-Site": "same-site"},
    ]
    for case in refused:
        assert (await small.ask("POST", "/api/v1/write", body, case)).status == 403, case
    assert small.page.written == []
    right = {**headers, "Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert (await small.ask("POST", "/api/v1/write", body, right)).status == 200
    login = {"name": "vera", "password": "viewers look on"}
    assert (await small.ask("POST", "/api/v1/login", login, {"Content-Type": "application/json"})).status == 403


@pytest.mark.parametrize("body", [b"{}", gzip.compress(b"[" * 20_000_000)])
async def test_a_compressed_body_is_refused_before_it_is_unpacked(small: Stand, body: bytes) -> None:
    headers = {**PAGE, "Content-Encoding": "gzip"}
    answer = await small.ask("POST", "/api/v1/login", body, headers)
    assert (answer.status, answer.json["error"]) == (400, "the body must be application/json, not compressed")


async def test_a_form_of_another_page_cannot_say_json(small: Stand) -> None:
    headers = {**await small.cookie("oskar"), "Content-Type": "text/plain"}
    assert (await small.ask("POST", "/api/v1/write", {"point": "s/zone/Z/p0", "value": 1}, headers)).status == 400


async def test_a_name_that_is_not_ours_is_not_answered(tmp_path: Path) -> None:
    async with stand(tmp_path, names=("gateway.example.com",)) as small:
        port = small.server.port
        headers = await small.cookie("vera")
        good = ("127.0.0.1", f"localhost:{port}", "[::1]:80", "10.0.0.5", "gateway.example.com", "GATEWAY.example.com.")
        for host in good:
            assert (await small.ask("GET", "/api/v1/overview", None, headers, host)).status == 200, host
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "localhost.evil.example",
            "",
            "a:b",
            "[::1",
            "127.0.0.1.nip.io",
        ):
            answer = await small.ask("GET", "/api/v1/overview", None, headers, host or " ")
            assert answer.status in (400, 421), host
        assert (await small.ask("GET", "/healthz", None, {}, "evil.example")).status == 200


async def test_bodies_and_headers_have_limits(small: Stand) -> None:
    headers = await small.cookie("oskar")
    large = b'{"point": "' + b"x" * 20_000 + b'"}'
    assert (await small.ask("POST", "/api/v1/release", large, headers)).status == 413
    assert (await small.ask("GET", "/healthz", None, {"X-Long": "x" * 9000})).status in (400, 431)
    assert (await small.ask("GET", "/healthz?" + "x" * 5000)).status in (400, 414)
    many = {f"X-{number}": "1" for number in range(80)}
    assert (await small.ask("GET", "/healthz", None, many)).status in (400, 431)
    assert (await small.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "the body must be an object"),
        (b"{", "the body is not JSON"),
        (b'{"point": "p", "value": NaN}', "the body is not JSON"),
        (b'{"point": "p", "value": 1, "x": 1}', "unknown member 'x'; known: point, value, slot, until"),
        (b'{"point": 5, "value": 1}', "point has the wrong type"),
        (b'{"point": "p"}', "the body lacks value"),
        (b'{"point": "p", "value": 1, "slot": true}', "slot has the wrong type"),
        (b'{"point": "p", "value": null}', "value has the wrong type"),
        (b"[" * 9000, "the body is not JSON"),
        (b'{"point": "\\ud800", "value": 1}', "the body holds half a character"),
        (b'{"point": "p", "value": "\\udfff"}', "the body holds half a character"),
    ],
)
async def test_a_body_says_exactly_what_is_known(small: Stand, body: bytes, text: str) -> None:
    answer = await small.ask("POST", "/api/v1/write", body, await small.cookie("oskar"))
    assert (answer.status, answer.json) == (400, {"error": text})
    assert small.page.written == []


@pytest.mark.parametrize(
    "query",
    [
        *("points?limit=0", "points?limit=x", "points?ids=1,x", "points?quality=fine", "points?a=1"),
        *("points?limit=1&limit=2", "history", "history?point=p&since=nan", "evidence?since=yesterday"),
        *("evidence?limit=5000", "log?after=-1"),
    ],
)
async def test_a_query_says_exactly_what_is_known(small: Stand, query: str) -> None:
    answer = await small.ask("GET", f"/api/v1/{query}", None, await small.cookie("vera"))
    assert answer.status == 400
    assert answer.json["error"]


async def test_a_fault_of_ours_is_told_in_the_log_and_not_to_the_browser(
    small: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(small.page, "actions", broken)
    answer = await small.ask("GET", "/api/v1/commands", None, await small.cookie("vera"))
    assert (answer.status, answer.json) == (500, {"error": "the gateway made a mistake; its log says more"})
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


async def test_the_pages_files_are_for_users_and_the_login_page_for_all(small: Stand) -> None:
    first = await small.ask("GET", "/")
    assert first.status == 401
    assert first.headers["Content-Type"].startswith("text/html")
    assert (await small.ask("GET", "/static/public/login.html")).body == first.body
    headers = await small.cookie("vera")
    page = await small.ask("GET", "/", None, headers)
    assert page.status == 200
    assert (await small.ask("GET", "/static/app/index.html", None, headers)).body == page.body
    for name in ("..%2f..%2fserver.py", "%2e%2e/server.py", "nothing.js", "..", "app%2findex.html"):
        assert (await small.ask("GET", f"/static/public/{name}", None, headers)).status == 404, name


async def test_connections_that_send_nothing_do_not_keep_others_out(small: Stand) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", small.server.port) for _ in range(230)]
    try:
        begun = time.monotonic()
        assert (await small.ask("GET", "/healthz")).status == 200
        assert time.monotonic() - begun < 2
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await idle[0][0].read() == b"", "the oldest ones are closed"
    finally:
        for _, writer in idle:
            writer.close()


async def test_an_address_that_a_header_claims_is_nobodys(small: Stand) -> None:
    claims = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host"), "192.0.2.7")
    wrong = {"name": "oskar", "password": "wrong password"}
    statuses = [(await small.ask("POST", "/api/v1/login", wrong, {**PAGE, **claims})).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert {origin.client for _, origin, _ in small.told} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: 127.0.0.1", "Host: evil.example"],
        ["Host: 127.0.0.1", "Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Host: 127.0.0.1", "Content-Length: 4", "Content-Length: 5"],
        ["Host: 127.0.0.1", "Transfer-Encoding: xchunked"],
        ["Host : 127.0.0.1"],
        ["Host: 127.0.0.1", "X-A: b\x00c"],
    ],
)
async def test_a_request_that_two_readers_would_understand_differently_is_refused(
    small: Stand, lines: list[str]
) -> None:
    headers = await small.cookie("oskar")
    reader, writer = await asyncio.open_connection("127.0.0.1", small.server.port)
    said = [*lines, *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join(["POST /api/v1/release HTTP/1.1", *said, "", "0", "", ""]).encode())
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    assert small.page.written == []


async def test_who_opens_too_many_connections_loses_those_and_nobody_else_does(small: Stand) -> None:
    port = small.server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(230)]
    try:
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await crowd[0][0].read() == b""
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    finally:
        for _, each in [*crowd, (reader, writer)]:
            each.close()
