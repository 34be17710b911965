"""A long `params` list is asked for in pieces a controller takes, and answered as one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import BadAnswer
from gateway.core.point import ReadSpec
from gateway.simulator import BenderSimulator
from gateway.sources.resource import LONGEST_PARAMS, merge_results, split_params


def test_a_list_that_fits_is_asked_at_once() -> None:
    fits = "/settings?params=" + "A" * LONGEST_PARAMS
    for path in ("/settings", "/settings?params=A,B", "/x?maxparams=" + "A," * 4000, fits):
        assert split_params(path) == [path]


def test_a_long_list_is_split_between_names_and_nothing_is_lost() -> None:
    names = [f"Setting_{number}_vehicleif" for number in range(700)]
    pieces = split_params("/settings?a=1&params=" + ",".join(names) + "&b=2")
    lists = [piece.removeprefix("/settings?a=1&params=").removesuffix("&b=2") for piece in pieces]
    assert ",".join(lists).split(",") == names
    assert all(len(text) <= LONGEST_PARAMS for text in lists)
    assert all(len(text) > LONGEST_PARAMS - 30 for text in lists[:-1])


def test_a_piece_is_filled_to_the_last_character() -> None:
    assert split_params("/s?params=aa,bb,cc", 5) == ["/s?params=aa,bb", "/s?params=cc"]
    assert split_params("/s?params=aa,bb,cc", 4) == ["/s?params=aa", "/s?params=bb", "/s?params=cc"]
    assert split_params("/s?params=aaaaaa,b", 4) == ["/s?params=aaaaaa", "/s?params=b"]


def test_results_are_put_together() -> None:
    first: dict[str, Any] = {"name": "settings", "result": {"A": {"value": 1}}, "groups": []}
    assert merge_results([first, {"result": {"B": {"value": 2}}}], "/s") == {
        "name": "settings",
        "result": {"A": {"value": 1}, "B": {"value": 2}},
        "groups": [],
    }
    assert first["result"] == {"A": {"value": 1}}
    assert merge_results([first, None], "/s") is None


@pytest.mark.parametrize("part", [[], {"result": []}, {"success": False, "cause": "x"}])
def test_a_part_without_results_is_a_bad_answer(part: Any) -> None:
    with pytest.raises(BadAnswer, match=r"GET /settings: no `result` to put together"):
        merge_results([{"result": {}}, part], "/settings?params=A,B")


async def test_the_controller_takes_every_piece(source: Any) -> None:
    keys = ["OperatorCurrentLimit_vehicleif"] * 200 + ["FreeCharging_vehicleif", "Enabled_wlan"]
    spec = ReadSpec("settings", "/settings?params=" + ",".join(keys), 60.0, None, None, False, frozenset())
    async with BenderSimulator() as sim:
        answer = await source(sim).read(spec, {})
    assert set(answer["result"]) == set(keys)
    assert answer["name"] == "settings"
