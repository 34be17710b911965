"""`merge: true` against the strict simulators, which take nothing but the whole object with one member changed."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Ambiguous, NothingSent, NotMergeable, Refused, SessionLost
from gateway.engine.ports import WriteRequest
from gateway.simulator import EvceSimulator
from gateway.sources.bodies import merged
from tests.sources.rig import kinds, limit, sent

ZONE = {
    "desc": ("/em/zones/{id}", {"desc": {"max_current": "{value}"}}, 180.5),
    "nested": ("/em/zones/{id}", {"zone": {"limits": {"imax_da": "{value}"}}}, 1805),
}
METER = {
    "desc": ("/pms/{id}", {"desc": {"tcp_port": "{value}"}}, 1502),
    "nested": ("/pms/{id}", {"meter": {"link": {"port": "{value}"}}}, 1502),
}


@pytest.fixture(params=["desc", "nested"])
async def site(request):
    async with EvceSimulator(tls=False, dialect=request.param, stations=4, zones=2, meters=1) as sim:
        yield sim


def command(path, body, **more):
    """The shipped reduction's command with another path and body, merged into what the path shows."""
    from dataclasses import replace

    shipped = kinds("desc")["zone"].points["reduction"].command
    return replace(shipped, path=path, body=body, release=body, merge_from=more.pop("merge_from", path), **more)


@pytest.mark.parametrize("what", [ZONE, METER], ids=["zone", "meter"])
async def test_one_member_changes_and_the_rest_goes_back_as_it_came(site, source, what):
    own = source(site)
    await own.open()
    path, body, raw = what[site.dialect]
    before = (await own._session.request("GET", path.replace("{id}", "1"))).document
    answer = await own.write(WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1))
    assert answer.text == "200 {}"
    (put,) = [item.body for item in site.received if item.method == "PUT"]
    assert put != before
    assert merged(before, json.loads(json.dumps(body).replace('"{value}"', json.dumps(raw))), "") == put
    if what is ZONE:
        assert site.site.zones[1].max_a == 180.5
    else:
        assert site.site.meters[1].port == 1502


async def test_preview_says_that_the_body_is_merged(evce, source):
    path, body, raw = ZONE["desc"]
    said = source(evce).preview(WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1))
    assert said == 'PUT /em/zones/1 {"desc": {"max_current": 180.5}} merged into GET /em/zones/1'


async def test_the_whole_may_be_read_elsewhere(evce, source):
    own = source(evce)
    await own.open()
    _, body, raw = ZONE["desc"]
    wrong = command("/em/zones/{id}", body, merge_from="/em/zones/{id}/reduction")
    with pytest.raises(NotMergeable, match=r"GET /em/zones/1/reduction: not changed: there is no member desc"):
        await own.write(WriteRequest(wrong, False, {"id": "1"}, {"value": raw}, 1))
    right = command("/em/zones/1", body, merge_from="/em/zones/{id}")
    await own.write(WriteRequest(right, False, {"id": "1"}, {"value": raw}, 1))
    assert sent(evce, "/em/zones/1") == [200]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"body": "[]"}, "an object was expected"),
        ({"body": "null"}, "an object was expected"),
        ({"body": '{"desc": {"name": "Zone A"}}'}, "there is no member desc.max_current"),
        ({"body": '{"desc": []}'}, "the member desc is a list, and the body has an object"),
        ({"body": '{"desc": {"max_current": {"l1": 1}}}'}, "max_current is an object, and the body has a plain value"),
        ({"body": '{"desc": {"max_current": 1, "x": 1e999}}'}, "a number that cannot be sent back"),
        ({"replace": "garbage"}, "nothing was sent: GET /api/v2/em/zones/1: not JSON"),
        ({"replace": "html"}, "nothing was sent: GET /api/v2/em/zones/1: not JSON"),
    ],
)
async def test_a_document_of_another_shape_is_never_sent_back(evce, source, fault, text):
    own = source(evce)
    await own.open()
    evce.faults.add("/em/zones/1", method="GET", **fault)
    path, body, raw = ZONE["desc"]
    with pytest.raises(NotMergeable, match=text):
        await own.write(WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1))
    assert sent(evce, "/em/zones/1") == []


async def test_a_get_that_fails_sends_nothing_and_is_told_apart_from_a_put_that_fails(evce, source):
    own = source(evce)
    await own.open()
    limit(own._session.http, total_s=0.3)
    path, body, raw = ZONE["desc"]
    request = WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1)
    fault = evce.faults.add("/em/zones/1", method="GET", delay_s=1.0)
    with pytest.raises(NothingSent, match="nothing was sent: GET /api/v2/em/zones/1: no answer"):
        await own.write(request)
    evce.faults.remove(fault)
    limit(own._session.http)
    with pytest.raises(Refused, match="404"):
        await own.write(WriteRequest(command(path, body), False, {"id": "77"}, {"value": raw}, 1))
    evce.faults.add("/em/zones/1", method="PUT", delay_s=5.0)
    limit(own._session.http, total_s=1.5)
    with pytest.raises(Ambiguous):
        await own.write(request)


async def test_C07_a_merge_does_not_cross_into_a_new_session(evce, source):
    own = source(evce)
    await own.open()
    await evce.do("revoke")
    path, body, raw = ZONE["desc"]
    request = WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1)
    for _ in range(2):
        with pytest.raises(SessionLost):
            await own.write(request)
        await own.open()
    assert sent(evce, "/em/zones/1") == []


async def test_two_merges_into_one_document_do_not_take_back_each_others_members(evce, source, monkeypatch):
    own, seen = source(evce), []
    await own.open()
    request_in = own._session.request_in

    async def noted(session, method, path, body):
        seen.append(method)
        return await request_in(session, method, path, body)

    monkeypatch.setattr(own._session, "request_in", noted)
    path, body, _ = ZONE["desc"]
    requests = [WriteRequest(command(path, body), False, {"id": "1"}, {"value": raw}, 1) for raw in (180.5, 90.5)]
    await asyncio.gather(*(own.write(request) for request in requests))
    assert seen == ["GET", "PUT", "GET", "PUT"]


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), documents), st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_nothing_but_the_named_member_changes_not_even_the_form_of_a_number(document, value):
    whole = merged({**document, "limit": 1}, {"limit": value}, "")
    assert json.dumps({name: item for name, item in whole.items() if name != "limit"}) == json.dumps(
        {name: item for name, item in document.items() if name != "limit"}
    )
    assert whole["limit"] == value
    assert type(whole["limit"]) is type(value)


def test_big_numbers_and_forms_of_numbers_survive():
    text = '{"id": 123456789012345678901234567890, "a": 1.0, "b": 1, "c": -0.0, "limit": {"value": 5, "unit": "A"}}'
    whole = merged(json.loads(text), {"limit": {"value": 6.5}}, "")
    assert json.dumps(whole) == text.replace('"value": 5', '"value": 6.5')
    assert merged({"until": None}, {"until": {"end": 5}}, "") == {"until": {"end": 5}}
