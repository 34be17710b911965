"""The single request path against every way an answer can be wrong; each error says what happened."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
import tracemalloc

import pytest

from gateway.core.errors import Ambiguous, BadAnswer, Refused, SourceError, Unreachable
from gateway.sources.http import CONNECT_S, LARGEST_ANSWER, TOTAL_S, decode
from gateway.sources.names import RESOLVE_S
from tests.faults.proxy import FaultProxy, garbage, reset, trickle
from tests.sources.rig import limit, sent

LIMIT = {"type": "current", "value": 60.0, "valid_mode": "permanent"}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"replace": "html"}, "not JSON .*begins '<!doctype"),
        ({"replace": "garbage"}, "not JSON"),
        ({"replace": "invalid_utf8"}, "not UTF-8"),
        ({"replace": "huge", "megabytes": 5.0}, r"too large \(over 4096 kB\)"),
        ({"replace": "gzip_bomb", "megabytes": 100.0}, "compressed"),
        ({"member": "0.id", "change": "duplicate", "value": 2}, "the member 'id' stands twice"),
        ({"nest": 100_000}, "nested too deep"),
    ],
    ids=["html", "garbage", "utf8", "huge", "gzip", "twice", "deep"],
)
async def test_U26_U27_U33_unusable_answers(evce, session, fault, text):
    own = session(evce)
    await own.open()
    evce.faults.add("/stations", **fault)
    with pytest.raises(BadAnswer, match=text) as caught:
        await own.request("GET", "/stations")
    assert "GET /api/v2/stations" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert own.number == 1
    assert (await own.request("GET", "/pms")).status == 200


def test_U33_a_member_that_stands_twice_among_very_many_is_found_at_once():
    members = ",".join(f'"k{i}":1' for i in range(100_000))
    began = time.monotonic()
    with pytest.raises(BadAnswer, match="the member 'k99999' stands twice"):
        decode(f'{{{members},"k99999":2}}'.encode(), "GET /x")
    assert time.monotonic() - began < 2.0


def test_U33_I08_half_a_surrogate_pair_can_be_written_down_and_a_whole_one_stays():
    text = rb'{"\ud800": ["a\ud83d\ude00b", {"n": "x\udfff"}], "\\ud800": 1}'
    assert decode(text, "GET /x") == {"\ufffd": ["a\U0001f600b", {"n": "x\ufffd"}], "\\ud800": 1}
    with pytest.raises(BadAnswer, match="not UTF-8"):
        decode(b'"\xed\xa0\x80"', "GET /x")


async def test_a_query_of_hundreds_of_names_is_not_repeated_in_full(evce, session):
    own = session(evce)
    await own.open()
    with pytest.raises(Refused) as caught:
        await own.request("GET", "/nothing?params=" + ",".join(f"name_{i}" for i in range(300)))
    assert str(caught.value).startswith("GET /api/v2/nothing?params=name_0,name_1")
    assert len(str(caught.value)) < 250


async def test_answer_just_under_the_cap_is_read(evce, session):
    own = session(evce, largest=20_000)
    await own.open()
    evce.faults.add("/pms", body=json.dumps("x" * 19_000))
    assert len((await own.request("GET", "/pms")).document) == 19_000
    evce.faults.clear()
    evce.faults.add("/pms", body=json.dumps("x" * 20_001))
    with pytest.raises(BadAnswer, match="too large"):
        await own.request("GET", "/pms")


async def test_empty_body_is_none_here(evce, session):
    own = session(evce)
    await own.open()
    evce.faults.add("/pms", replace="empty")
    assert (await own.request("GET", "/pms")).document is None


@pytest.mark.parametrize("cut", ["truncate", "chunked"])
async def test_U25_body_that_breaks_off(evce, session, cut):
    own = session(evce)
    await own.open()
    evce.faults.add("/stations", cut=cut)
    with pytest.raises(Ambiguous, match="broke off"):
        await own.request("GET", "/stations")
    evce.faults.clear()
    assert (await own.request("GET", "/stations")).status == 200


async def test_U24_reset_in_the_body(evce, session):
    own = session(evce)
    await own.open()
    evce.faults.add("/stations", cut="reset", after_bytes=10)
    with pytest.raises(Ambiguous):
        await own.request("GET", "/stations")


async def test_U36_connection_closed_between_polls_costs_no_answer(evce, session):
    own = session(evce)
    await own.request("GET", "/stations")
    for _ in range(3):
        await evce.do("drop_connections")
        assert (await own.request("GET", "/stations")).status == 200


async def test_a_read_is_repeated_once_and_no_more(evce, session):
    own = session(evce)
    await own.open()
    fault = evce.faults.add("/stations", cut="reset", after_bytes=0, count=2)
    with pytest.raises(Ambiguous, match="connection broke"):
        await own.request("GET", "/stations")
    assert fault not in evce.faults.active()
    evce.faults.add("/stations", cut="reset", after_bytes=0, count=1)
    assert (await own.request("GET", "/stations")).status == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("reused", [True, False])
async def test_W05_a_write_whose_connection_breaks_is_sent_exactly_once(evce, session, http, method, reused):
    own = session(evce)
    await own.open()
    evce.faults.add("/em/zones/1/reduction", method=method, cut="reset", after_bytes=0)
    path = own.http if reused else http(evce)
    with pytest.raises(Ambiguous, match="connection broke"):
        await path.request(method, "/api/v2/em/zones/1/reduction", body=LIMIT)
    evce.faults.clear()
    assert (await own.request("GET", "/pms")).status == 200
    assert sent(evce, "/em/zones/1/reduction") == [0]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_U22_no_answer_in_time_is_ambiguous(evce, session, method):
    own = session(evce)
    await own.open()
    limit(own.http, total_s=0.3)
    evce.faults.add("/em/zones/1/reduction", delay_s=5.0)
    began = time.monotonic()
    with pytest.raises(Ambiguous, match=r"no answer within 0.3 s"):
        await own.request(method, "/em/zones/1/reduction", LIMIT if method == "PUT" else None)
    assert time.monotonic() - began < 1.5


async def test_U23_trickled_body_is_cut_by_the_total_time(evce, session):
    own = session(evce)
    await own.open()
    limit(own.http, total_s=0.5)
    evce.faults.add("/stations", trickle_s=0.1)
    with pytest.raises(Ambiguous, match="no answer within"):
        await own.request("GET", "/stations")


async def test_U20_closed_port_is_unreachable_and_nothing_was_carried_out(evce, session):
    own = session(evce)
    await own.open()
    await evce.do("listen", on=False)
    with pytest.raises(Unreachable):
        await own.request("GET", "/stations")
    with pytest.raises(Unreachable, match="cannot connect") as caught:
        await own.request("PUT", "/em/zones/1/reduction", LIMIT)
    assert not isinstance(caught.value, Ambiguous)


@pytest.mark.parametrize(
    ("header", "wait_s"), [("5", 5.0), ("2.5", 2.5), ("-3", 0.0), ("1e9", 3600.0), ("soon", None), ("nan", None)]
)
async def test_U34_retry_after(evce, session, header, wait_s):
    own = session(evce)
    await own.open()
    evce.faults.add("/pms", status=429, headers={"Retry-After": header}, body='{"message": "too many"}')
    with pytest.raises(Refused, match=r"GET /api/v2/pms: 429 'too many'") as caught:
        await own.request("GET", "/pms")
    assert (caught.value.status, caught.value.retry_after_s) == (429, wait_s)


async def test_U34_retry_after_as_a_time_is_by_the_products_clock(evce, session):
    own = session(evce)
    await own.open()
    clocks = {"Date": "Mon, 05 Jan 2015 10:00:00 GMT", "Retry-After": "Mon, 05 Jan 2015 10:01:30 GMT"}
    evce.faults.add("/pms", status=503, headers=clocks)
    with pytest.raises(Refused) as caught:
        await own.request("GET", "/pms")
    assert caught.value.retry_after_s == 90.0


@pytest.mark.parametrize(
    "body", ['{"message": 5}', "[1]", "<html>", "", '{"code": 1}', "[" * 100_000, '{"cause": "x"}']
)
async def test_refusals_with_any_body_keep_their_status(evce, session, body):
    own = session(evce)
    await own.open()
    evce.faults.add("/pms", status=500, body=body)
    with pytest.raises(Refused) as caught:
        await own.request("GET", "/pms")
    assert caught.value.status == 500
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body", [{"replace": "gzip_bomb", "megabytes": 1.0}, {"replace": "huge", "megabytes": 6.0}, {"cut": "truncate"}]
)
async def test_401_is_a_lost_session_whatever_its_body_is(evce, session, body):
    own = session(evce)
    await own.open()
    evce.faults.add("/pms", status=401, body='{"message": "no session, please log in"}', count=1, **body)
    assert (await own.request("GET", "/pms")).status == 200
    assert own.number == 2


@pytest.fixture
async def behind(evce):
    """A proxy before the product, and its path."""
    async with FaultProxy(("127.0.0.1", evce._port)) as proxy:
        yield proxy


async def test_U21_blackhole_is_given_up_after_the_connect_time(http, evce, behind, monkeypatch):
    path = http(evce, connect_s=0.3, total_s=5.0)
    monkeypatch.setattr(path, "_url", f"http://127.0.0.1:{behind.port}")
    await behind.blackhole()
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"no connection within 0.3 s") as caught:
        await asyncio.wait_for(path.request("PUT", "/x", body={}), 4)
    assert not isinstance(caught.value, Ambiguous)
    assert 0.3 <= time.monotonic() - began < 2
    await behind.listen()
    limit(path)
    with pytest.raises(Refused):
        await path.request("GET", "/api/v2/pms")


@pytest.mark.parametrize("whole_s", [0.3, 0.6])
async def test_U23_no_pace_of_a_trickle_outlives_the_total_time(http, evce, behind, monkeypatch, whole_s):
    """Every byte renews a time-out per read; only the total time ends it."""
    path = http(evce, total_s=whole_s)
    monkeypatch.setattr(path, "_url", f"http://127.0.0.1:{behind.port}")
    behind.fault = trickle(1, 0.05)
    began = time.monotonic()
    with pytest.raises(Ambiguous, match=rf"^GET /api/v2/pms: no answer within {whole_s} s$"):
        await path.request("GET", "/api/v2/pms")
    assert whole_s <= time.monotonic() - began < whole_s + 1


async def test_U24_a_connection_that_broke_is_not_used_again(http, evce, behind, monkeypatch):
    path = http(evce)
    monkeypatch.setattr(path, "_url", f"http://127.0.0.1:{behind.port}")
    behind.next.append(reset(60))
    with pytest.raises(Unreachable):
        await path.request("PUT", "/api/v2/pms", body={})
    for _ in range(2):
        with pytest.raises(Refused):
            await path.request("GET", "/api/v2/pms")
    assert behind.accepted == 2


async def test_U27_memory_stays_flat_whatever_comes(evce, session):
    own = session(evce)
    await own.open()
    evce.faults.add("/stations", replace="huge", megabytes=100.0)
    evce.faults.add("/pms", replace="gzip_bomb", megabytes=100.0)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(3):
            with pytest.raises(BadAnswer, match=r"answer too large \(over 4096 kB\)"):
                await own.request("GET", "/stations")
            with pytest.raises(BadAnswer, match="compressed"):
                await own.request("GET", "/pms")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_U26_bytes_that_are_no_http_leave_the_end_of_a_request_unknown(http, evce, behind, monkeypatch, method):
    path = http(evce)
    monkeypatch.setattr(path, "_url", f"http://127.0.0.1:{behind.port}")
    behind.fault = garbage()
    with pytest.raises(Ambiguous) as caught:
        await path.request(method, "/api/v2/pms", body={} if method == "PUT" else None)
    assert str(caught.value) == f"{method} /api/v2/pms: what came back is not HTTP: 'Bad status line'"


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", "-1e999"])
def test_U29_numbers_that_are_none_come_through_for_points_to_refuse(text):
    assert decode(text.encode(), "x") is not None


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1,]", b"\xff\xfe", b'{"a":1,"a":2}', b'[{"a":{"b":1,"b":1}}]', b"9" * 5000, b"[" * 5000, b"\x00", b"nul"],
)
def test_strict_json_raises_nothing_but_a_bad_answer(content):
    with pytest.raises(BadAnswer, match="where"):
        decode(content, "where")


async def test_every_fault_is_a_source_error_and_the_session_lives(evce, session):
    own = session(evce)
    await own.open()
    for fault in (
        {"replace": "garbage"},
        {"cut": "chunked"},
        {"status": 418},
        {"status": 204},
        {"headers": {"X": "1"}},
    ):
        evce.faults.clear()
        evce.faults.add("/pms", **fault)
        with contextlib.suppress(SourceError):
            await own.request("GET", "/pms")
    evce.faults.clear()
    assert (await own.request("GET", "/pms")).status == 200
    assert own.number == 1


def test_U21_U23_U27_the_limits_a_site_has():
    assert (CONNECT_S, TOTAL_S, LARGEST_ANSWER) == (5.0, 10.0, 4 * 1024 * 1024)
    assert RESOLVE_S < TOTAL_S
