"""`{now:...}` and `{end:...}` in bodies, by the product's own clock."""

from __future__ import annotations

import pytest

from gateway.core.errors import NothingSent
from gateway.engine.ports import WriteRequest
from gateway.simulator import EvceSimulator
from gateway.sources.bodies import Times, fill_body
from tests.sources.rig import kinds

NOW, END = 1_790_000_000.75, 1_790_000_900.25


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{now:iso}", "2026-09-21T14:13:20Z"),
        ("{end:iso}", "2026-09-21T14:28:20Z"),
        ("{end:epoch}", 1_790_000_900),
        ("{end:epoch_ms}", 1_790_000_900_250),
        ("until {end:iso}!", "until 2026-09-21T14:28:20Z!"),
        ({"to": ["{end:epoch}", "{now:epoch_ms}"]}, {"to": [1_790_000_900, 1_790_000_000_750]}),
    ],
)
def test_C12_times_in_bodies(template, filled):
    made = fill_body(template, {}, Times(NOW, END))
    assert made == filled
    assert type(made) is type(filled)


def test_C12_without_an_end_nothing_is_sent():
    with pytest.raises(NothingSent, match=r"\{end:iso\}"):
        fill_body({"until": "{end:iso}"}, {}, Times(NOW))


@pytest.fixture
async def evce(clock):
    async with EvceSimulator(tls=False, clock=clock.wall) as sim:
        yield sim


@pytest.mark.parametrize("ahead_s", [0, 7200, -95])
async def test_C12_the_products_clock_is_known_by_its_newest_answer(evce, source, ahead_s):
    own = source(evce)
    assert own.product_clock() is None
    await own.open()
    await evce.do("clock_offset", seconds=ahead_s)
    await own.list_resources(kinds("desc")["station"].list)
    assert own.product_clock() == pytest.approx(ahead_s, abs=1.0)
    evce.faults.add("/stations", headers={"Date": "nonsense"})
    await own.list_resources(kinds("desc")["station"].list)
    assert own.product_clock() == pytest.approx(ahead_s, abs=1.0), "an answer without a date says nothing"


async def test_C12_now_is_the_products_now_and_the_end_is_the_requests(evce, source, clock):
    from dataclasses import replace

    own = source(evce)
    await own.open()
    await evce.do("clock_offset", seconds=3600)
    await own.list_resources(kinds("desc")["station"].list)
    body = {"type": "current", "value": "{value}", "valid_mode": "until", "valid_until": "{end:iso}"}
    command = replace(kinds("desc")["zone"].points["reduction"].command, body=body, valid_for_s=900.0)
    end = clock.wall() + (own.product_clock() or 0.0) + 900
    await own.write(WriteRequest(command, False, {"id": "1"}, {"value": 48.0}, 1, end))
    held = evce.site.zones[1].reduction
    assert held.value_a == 48.0
    assert held.until_s == pytest.approx(clock.wall() + 3600 + 900, abs=2)
    now = replace(command, body={"at": "{now:epoch}"})
    shown = own.preview(WriteRequest(now, False, {"id": "1"}, {}, 1))
    assert int(shown.partition('"at": ')[2].rstrip("}")) == pytest.approx(clock.wall() + 3600, abs=2)
