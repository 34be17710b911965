"""JMESPath followed over a schema: what is missing is named, what cannot be followed is passed over."""

from __future__ import annotations

import pytest

from gateway.mapping.openapi.schema import Schemas
from gateway.mapping.openapi.walk import walk

NUMBER = {"type": "number"}
STATE = {"type": "string", "enum": ["Up", "Down"]}
CONNECTOR = {"type": "object", "properties": {"id": {"type": "integer"}, "state": STATE}}
EVSE = {"type": "object", "properties": {"connectors": {"type": "array", "items": CONNECTOR}}}
VALUE = {"type": "object", "properties": {"name": {"type": "string"}, "value": NUMBER}}
SCHEMA = {
    "type": "object",
    "properties": {
        "current": {"type": "object", "properties": {"l1": NUMBER, "l2": NUMBER}},
        "list": {"type": "array", "items": NUMBER},
        "evses": {"type": "array", "items": EVSE},
        "values": {"type": "array", "items": VALUE},
        "by_id": {"type": "object", "additionalProperties": CONNECTOR},
        "free": {"type": "object"},
        "open": {"type": "object", "properties": {"a": NUMBER}, "additionalProperties": True},
        "maybe": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"x": NUMBER}}]},
        "any": {},
        "state": STATE,
    },
}
SHAPE = Schemas(SCHEMA).shape(SCHEMA)


@pytest.mark.parametrize(
    "path",
    [
        "@", "current.l1", "list[0]", "list[-1]", "max(list)", "max([current.l1, current.l2])", "sum(list[])",
        "evses[].connectors[]", "evses[].connectors[].id | [0]", "evses[0].connectors[?state=='Up'].id",
        "values[?name=='p'].value | [0]", "by_id.*.state", "by_id.anything.state", "free.a.b.c", "open.b.c",
        "maybe.x", "any.a[0].b[]", "nope || current.l1", "current.l3 || state", "not_null(nope, state)",
        "length(values[?value > `3`])", "current.l1 != `null`", "!state", "state == 'Up' && current.l1",
        "{a: current.l1}.a", "sort_by(values, &value)[0].name", "map(&value, values)[0]", "max_by(values, &value).name",
        "keys(by_id)", "values(by_id)[0].state", "to_number(state)", "unknown_function(state)", "list[0:2]", "[",
        "to_array(current)[0].l1", "values(by_id)[].state", "merge(current, open).q", "reverse(list)[0]",
        "contains(list, `3`)",
    ],
)  # fmt: skip
def test_what_is_there_or_cannot_be_followed_is_no_fault(path: str) -> None:
    assert walk(path, SHAPE).missing == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nope", 'has no "nope"; it has: current, list, evses, values, by_id, free, open, maybe, any, state'),
        ("current.l3", 'has no "current.l3"; current has: l1, l2'),
        ("max([current.l1, current.l3])", 'has no "current.l3"'),
        ("evses[].connector[]", 'has no "evses[].connector"; evses[] has: connectors'),
        ("evses[].connectors[].status", 'has no "evses[].connectors[].status"'),
        ("evses[0].connectors[1].no", 'has no "evses[0].connectors[1].no"'),
        ("values[?nam=='p'].value | [0]", 'has no "values[].nam"; values[] has: name, value'),
        ("values[?name=='p'].val | [0]", 'has no "values[].val"'),
        ("values(by_id)[].name", 'has no "values(by_id)[].name"; values(by_id)[] has: id, state'),
        ("by_id.*.state.x.y", "no member 'x' in it"),
        ("by_id.*.name", 'has no "by_id.*.name"'),
        ("a || b.c", 'has no "a"'),
        ("not_null(a, b)", 'has no "b"'),
        ("maybe.y", 'has no "maybe.y"; maybe has: x'),
        ("list.a", "has an array at 'list' and no member 'a' in it"),
        ("state.a", "has a string at 'state' and no member 'a' in it"),
        ("current[0]", "has an object at 'current', and no list"),
        ("current[].l1", "has an object at 'current', and no list"),
        ("list.*", "has an array at 'list', and no members"),
        ("length(nope)", 'has no "nope"'),
        ("sort_by(values, &val)[0]", 'has no "values[].val"'),
        ("{a: nope}", 'has no "nope"'),
        ("nope != `null`", 'has no "nope"'),
        ("!nope", 'has no "nope"'),
        ("open.a.b", "has a number at 'open.a' and no member 'b' in it"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(path: str, text: str) -> None:
    missing = walk(path, SHAPE).missing
    assert any(text in found for found in missing), missing


def test_a_text_that_the_schema_does_not_list_is_named() -> None:
    assert walk("evses[0].connectors[?state=='UP'].id", SHAPE).unlisted == (
        "does not list 'UP' for evses[0].connectors[].state: Up, Down",
    )
    assert walk("state != 'Up'", SHAPE).unlisted == ()
