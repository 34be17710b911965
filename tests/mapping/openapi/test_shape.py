"""Answers and schemas become the same kind of shape, and shapes become lines to read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mapping.openapi import Row, rows_of, shape_of
from gateway.mapping.openapi.schema import Schemas, unit_in
from gateway.mapping.openapi.shape import ANY
from gateway.mapping.openapi.walk import walk
from gateway.mapping.paths import compile_path


def paths(document: Any) -> list[str]:
    return [row.path for row in rows_of(shape_of(document))]


def test_an_array_is_shown_once_with_the_union_of_its_members() -> None:
    rows = rows_of(shape_of([{"id": 1, "name": "A"}, {"id": 2, "power": 3.5}, {"id": 3, "power": None}]))
    assert rows == [
        Row("@", "array of 3", note='items: "@", and what follows `[].` is an item\'s path'),
        Row("[].id", "integer", "1"),
        Row("[].name", "string", '"A"'),
        Row("[].power", "number or null", "3.5"),
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": {"b": 1}, "c-d": True}, ["a.b", '"c-d"']),
        ({"data": {"101": {"x": 1}, "102": {"x": 2}}}, ["data", "values(data)[].x"]),
        ({"1": {"x": 1}}, ["@", "values(@)[].x"]),
        ({"I1": {"v": 1}, "I2": {"v": 2}}, ["I1.v", "I2.v"]),
        ([7, 8], ["@", "[]"]),
        ({"a": []}, ["a"]),
        (None, ["@"]),
        ({"v": [{"name": "p", "value": 1}]}, ["v", "v[].name", "v[].value", "v[?name=='p'].value | [0]"]),
    ],
)
def test_paths_are_written_as_a_mapping_writes_them(document: Any, expected: list[str]) -> None:
    assert paths(document) == expected


KEYS = st.sampled_from(["a", "b-c", "id", "name", "value", "7", "8", "x y", 'q"', "é"])
JSON = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=5) | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_every_path_that_is_shown_can_be_followed_and_is_jmespath(document: Any) -> None:
    shape = shape_of(document)
    for row in rows_of(shape):
        compile_path(row.path)(document)
        assert walk(row.path, shape).missing == ()


LISTED = st.lists(st.fixed_dictionaries({"id": st.integers(), "of": st.dictionaries(KEYS, st.integers(), min_size=1)}))


@given(LISTED)
def test_every_path_of_a_list_of_objects_finds_its_member(document: Any) -> None:
    for row in rows_of(shape_of(document)):
        assert compile_path(row.path)(document) is not None


def test_long_values_are_shortened() -> None:
    row = rows_of(shape_of({"text": "x" * 500}))[0]
    assert len(row.sample) < 50


DOCUMENT = {
    "components": {
        "schemas": {
            "named": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/t"}}}},
        }
    },
    "t": {"$ref": "#/components/schemas/tree"},
}


def schema(node: Any) -> Any:
    return Schemas(DOCUMENT).shape(node)


def test_allof_has_the_members_of_all_parts() -> None:
    extra = {"properties": {"id": {"type": "integer"}}, "required": ["id"]}
    shape = schema({"allOf": [{"$ref": "#/components/schemas/named"}, extra]})
    assert set(shape.members) == shape.required == {"name", "id"}
    assert shape.types == {"object"}


def test_oneof_requires_what_every_alternative_requires() -> None:
    other = {"type": "object", "required": ["name", "end"], "properties": {"name": {}, "end": {"type": "integer"}}}
    shape = schema({"oneOf": [{"$ref": "#/components/schemas/named"}, other]})
    assert set(shape.members) == {"name", "end"}
    assert shape.required == {"name"}


@pytest.mark.parametrize("node", [{"type": ["integer", "null"]}, {"type": "integer", "nullable": True}])
def test_null_is_a_type_in_both_spellings(node: Any) -> None:
    assert schema(node).types == {"integer", "null"}


@pytest.mark.parametrize("node", [True, {}, {"$ref": "other.yaml#/x"}, {"$ref": "#/nowhere"}, {"anyOf": [{}, {}]}])
def test_what_is_not_understood_is_anything(node: Any) -> None:
    assert not schema(node).is_known


def test_a_schema_that_refers_to_itself_ends() -> None:
    shape = schema({"$ref": "#/components/schemas/tree"})
    assert shape.members["kids"].items == ANY


def test_a_schema_that_grows_without_end_is_cut_off() -> None:
    both = [{"$ref": f"#/s{n}"} for n in range(12)]
    document = {f"s{n}": {"properties": {"a": {"oneOf": both}}} for n in range(12)}
    assert Schemas(document).shape({"$ref": "#/s0"}).types == {"object"}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("Current (A)", "A"),
        ("Active power in kW", "kW"),
        ("Power [kW]", "kW"),
        ("unit: dA", "dA"),
        ("limit in tenths of amperes", "dA"),
        ("seconds since the start", "s"),
        ("Name of the station(s)", ""),
        ("in A or in W", ""),
        ("Type of the zone", ""),
    ],
)
def test_units_are_read_from_descriptions(text: str, unit: str) -> None:
    assert unit_in(text) == unit
