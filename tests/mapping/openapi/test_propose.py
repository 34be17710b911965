"""A mapping proposed from an OpenAPI file loads, is true to the schema, and invents nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.config.strict_yaml import read_yaml
from gateway.core.point import Product
from gateway.mapping import load_mapping
from gateway.mapping.openapi import Api, Proposal, check_mapping, propose
from tests.mapping.openapi.conftest import DIALECTS, FILES, MAPPINGS, SHIPPED, Write

TEMPLATE = read_yaml(MAPPINGS / "evce.yaml").data


def proposed(document: Any) -> Proposal:
    return propose(Api(document, "api.json"), TEMPLATE, "evce.yaml")


def essence(product: Product) -> Any:
    """What a mapping says, without compiled functions."""
    points = {
        (kind.name, point.name): (
            point.path.text if point.path else None,
            point.scale,
            dict(point.codes),
            (point.command.body, point.command.release, point.command.json_type) if point.command else None,
        )
        for kind in product.kinds.values()
        for point in kind.points.values()
    }
    lists = {
        kind.name: (kind.list.items.text, kind.list.id.text, kind.list.by_key)
        for kind in product.kinds.values()
        if kind.list
    }
    return points, lists


def test_the_proposal_is_the_mapping_that_was_written_by_hand(dialect: str, api: Api, write: Write) -> None:
    proposal = propose(api, TEMPLATE, "evce.yaml")
    assert proposal.unknown == []
    mapping = write(proposal.text)
    assert check_mapping(mapping, api) == ([], [])
    shipped, _ = load_mapping(MAPPINGS / SHIPPED[dialect])
    assert shipped is not None
    assert mapping.product.passwd == shipped.product.passwd
    points, lists = essence(mapping.product)
    wanted, wanted_lists = essence(shipped.product)
    highest = ("zone", "current")
    assert {k: v for k, v in points.items() if k != highest} == {k: v for k, v in wanted.items() if k != highest}
    assert lists == wanted_lists


Change = Callable[[dict[str, Any]], None]


def _schemas(document: Any) -> Any:
    return document["components"]["schemas"]


def no_unit(document: Any) -> None:
    _schemas(document)["zone_reduction"]["properties"]["value"].pop("description")


def strange_modes(document: Any) -> None:
    _schemas(document)["zone_reduction_valid_mode"]["enum"] = ["mode_a", "mode_b"]


def strange_kinds(document: Any) -> None:
    _schemas(document)["zone_reduction_type"]["enum"] = ["a", "b", "c"]


def no_body(document: Any) -> None:
    del document["paths"]["/em/zones/{zone_id}/reduction"]["put"]


def no_maximum(document: Any) -> None:
    del _schemas(document)["zone_desc"]["properties"]["max_current"]


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        (no_unit, "the unit of value: the schema states none in A"),
        (strange_modes, "what to send in valid_mode (one of mode_a, mode_b)"),
        (strange_kinds, "what says that there is no limit (`none_when`)"),
        (no_body, "the body of PUT"),
        (no_maximum, "the highest value (point maximum)"),
    ],
)
def test_a_limit_is_proposed_only_when_everything_is_known(change: Change, asks: str, write: Write) -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    change(document)
    proposal = proposed(document)
    assert "zone.reduction" in proposal.unknown
    assert asks in proposal.text
    assert "reduction" not in write(proposal.text).product.kinds["zone"].points


def test_what_is_not_there_is_left_out_with_a_comment(write: Write) -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    status = _schemas(document)["station_status"]
    del status["properties"]["status"], status["properties"]["power"]
    del document["paths"]["/pms"], document["paths"]["/em/zones/{zone_id}/stations"]
    proposal = proposed(document)
    assert {"station.power", "station.zone", "meter", "members", "zone.stations_charging"} <= set(proposal.unknown)
    mapping = write(proposal.text)
    assert "meter" not in mapping.product.kinds
    assert "power" not in mapping.product.kinds["station"].points
    assert "power: null  # not recognised: it has id," in proposal.text


def test_two_members_as_good_as_each_other_are_not_chosen_from() -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    members = _schemas(document)["zone_status"]["properties"]
    members["power_x"], members["power_y"] = {"type": "number"}, {"type": "number"}
    del members["power"]
    text = proposed(document).text
    assert "power: null  # not recognised: could be power_x, power_y" in text


def test_assumed_units_say_so() -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    _schemas(document)["zone_status"]["properties"]["power"] = {"type": "number"}
    text = proposed(document).text
    assert 'power: {path: "power"}  # number: CONFIRM, the schema states no unit; taken as kW' in text


def test_an_api_without_any_schema_gives_a_file_that_says_so(write: Write) -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    bare = copy.deepcopy(document)
    bare["components"]["schemas"] = {}
    proposal = proposed(bare)
    assert proposal.found == 0
    assert "zone: null  # not recognised: no id and name in the answer of GET /em/zones" in proposal.text
    assert write(proposal.text).product.kinds == {}


def test_text_from_the_file_cannot_break_out_of_a_comment(write: Write) -> None:
    document = json.loads((FILES / DIALECTS["desc"]).read_text())
    document["info"]["title"] = "EVCE\nresources: {}\n#"
    _schemas(document)["zone_status"]["properties"]["power"] = {"type": "string", "enum": ["a\nb: c"]}
    assert "zone" in write(proposed(document).text).product.kinds
