"""Mapping-driven lists, reads and bodies, in both dialects against the strict simulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import BadAnswer, NothingSent, Refused
from gateway.engine.ports import WriteRequest
from gateway.simulator import EvceSimulator
from gateway.sources.bodies import Times, fill_body, fill_path
from tests.sources.rig import kinds, sent

WALL = 1_790_000_000.5


@pytest.fixture(params=["desc", "nested"])
async def site(request):
    async with EvceSimulator(tls=False, dialect=request.param, stations=4, zones=2, meters=1) as sim:
        yield sim


async def test_lists_bulk_and_members(site, source):
    spec, own = kinds(site.dialect), source(site)
    stations = await own.list_resources(spec["station"].list)
    assert [(item.id, item.name) for item in stations] == [(str(s.id), s.name) for s in site.site.stations.values()]
    zones = await own.list_resources(spec["zone"].list)
    assert [item.name for item in zones] == [zone.name for zone in site.site.zones.values()]
    assert {item.guard.lower() for item in zones} == {zone.kind for zone in site.site.zones.values()}
    bulk = await own.read_bulk(spec["station"].reads["status"])
    assert set(bulk) == {item.id for item in stations}
    zone = next(iter(site.site.zones.values()))
    members = await own.members(spec["zone"].members, {"id": str(zone.id)})
    assert members == [str(station.id) for station in zone.stations]


@pytest.mark.parametrize("release", [False, True])
async def test_limit_and_release_bodies_are_what_the_product_takes(site, source, release):
    own = source(site)
    await own.open()
    command = kinds(site.dialect)["zone"].points["reduction"].command
    raw = 60.0 if site.dialect == "desc" else 600
    answer = await own.write(WriteRequest(command, release, {"id": "1"}, {"value": raw, "default": 250.0}, 1))
    assert str(answer) == "200 {}"
    assert sent(site, "/em/zones/1/reduction") == [200]
    reduction = site.site.zones[1].reduction
    assert (reduction.kind, reduction.value_a) == (("none", reduction.value_a) if release else ("current", 60.0))


async def test_body_that_needs_an_unknown_value_is_not_sent(site, source):
    own = source(site)
    await own.open()
    command = kinds("desc")["zone"].points["reduction"].command
    with pytest.raises(NothingSent, match=r"needs \{default\}"):
        await own.write(WriteRequest(command, True, {"id": "1"}, {}, 1))
    assert sent(site, "/em/zones/1/reduction") == []


async def test_refused_body_carries_the_products_message(site, source):
    own = source(site)
    await own.open()
    command = kinds(site.dialect)["zone"].points["reduction"].command
    with pytest.raises(Refused, match=r"PUT /api/v2/em/zones/1/reduction: 400 ") as caught:
        await own.write(WriteRequest(command, False, {"id": "1"}, {"value": "sixty"}, 1))
    assert caught.value.status == 400


@pytest.mark.parametrize("fault", [{"replace": "empty"}, {"body": "null"}, {"status": 204}])
async def test_answer_without_content_is_no_answer_unless_the_mapping_says_so(evce, source, fault):
    """An empty 200 must never read as "no limit in force"."""
    from dataclasses import replace

    own, read = source(evce), kinds("desc")["zone"].reads["reduction"]
    evce.faults.add("/em/zones/1/reduction", **fault)
    with pytest.raises(BadAnswer, match="without content"):
        await own.read(read, {"id": "1"})
    told = replace(read, none_status=frozenset({200, 204}))
    assert await own.read(told, {"id": "1"}) is None


async def test_none_status_404_is_none_and_others_are_refused(evce, source):
    from dataclasses import replace

    own, read = source(evce), kinds("desc")["zone"].reads["reduction"]
    assert await own.read(replace(read, none_status=frozenset({404})), {"id": "99"}) is None
    with pytest.raises(Refused, match="404"):
        await own.read(read, {"id": "99"})


@pytest.mark.parametrize(
    ("path", "fault", "text"),
    [
        ("/stations", {"member": "*.id", "change": "drop"}, "an item has no id"),
        ("/stations", {"body": '{"a": 1}'}, None),
        ("/stations", {"body": "5"}, "no list at '@'"),
        ("/stations", {"replace": "empty"}, "the answer is empty"),
    ],
)
async def test_lists_that_are_none(evce, source, path, fault, text):
    evce.faults.add(path, **fault)
    with pytest.raises(BadAnswer, match=text):
        await source(evce).list_resources(kinds("desc")["station"].list)


@pytest.mark.parametrize("value", [None, "", ["no", "name"]])
async def test_I08_an_item_without_a_name_is_listed_like_any_other(evce, source, value):
    own, spec = source(evce), kinds("desc")["station"].list
    evce.faults.add("/stations", member="3.config.friendly_name", value=value)
    listed = await own.list_resources(spec)
    assert [item.id for item in listed] == [str(ident) for ident in evce.site.stations]
    assert [item.name for item in listed].index("") == 3


@pytest.mark.parametrize("fault", [{"member": "0.id", "change": "drop"}, {"body": "7"}, {"nest": 500}])
async def test_bulk_that_is_none(evce, source, fault):
    evce.faults.add("/stations/statuses", **fault)
    with pytest.raises(BadAnswer):
        await source(evce).read_bulk(kinds("desc")["station"].reads["status"])


def test_paths_are_escaped():
    assert fill_path("/a/{parent.id}/{id}/x", {"id": "7/../8", "parent.id": "Zähler 1?"}) == (
        "/a/Z%C3%A4hler%201%3F/7%2F..%2F8/x"
    )


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{value}", 60.0),
        ({"a": ["{value}", {"b": "{default}"}]}, {"a": [60.0, {"b": 250}]}),
        ("to {value} of {default} A", "to 60.0 of 250 A"),
        ({"id": "{id}", "up": "{parent.id}"}, {"id": "7", "up": "3"}),
        ("{point:current_l1}", 11.5),
        ("{point:charging}", True),
        ("is {point:charging}", "is true"),
        ("{now:iso}", "2026-09-21T14:13:20Z"),
        ("{now:epoch}", 1_790_000_000),
        ("{now:epoch_ms}", 1_790_000_000_500),
        ("from {now:iso}", "from 2026-09-21T14:13:20Z"),
        ([None, True, 3, 2.5, "plain", ""], [None, True, 3, 2.5, "plain", ""]),
        ("{NotOurs} {}", "{NotOurs} {}"),
    ],
)
def test_body_templates(template, filled):
    values = {
        "value": 60.0,
        "default": 250,
        "id": "7",
        "parent.id": "3",
        "point:current_l1": 11.5,
        "point:charging": True,
    }
    made = fill_body(template, values, Times(WALL))
    assert made == filled
    assert type(made) is type(filled)


def test_placeholder_without_a_value_says_its_name():
    with pytest.raises(NothingSent, match=r"\{point:maximum\}"):
        fill_body({"a": [{"b": "{point:maximum}"}]}, {}, Times(WALL))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_characters="{}")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json)
def test_a_body_without_placeholders_is_sent_as_it_stands(body):
    assert fill_body(body, {}, Times(WALL)) == body


@given(st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text())
def test_a_lone_placeholder_keeps_value_and_type(value):
    made = fill_body("{value}", {"value": value}, Times(WALL))
    assert made == value
    assert type(made) is type(value)
