"""Compiled paths against JMESPath's own interpreter."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.paths import compile_path, first_of, negates_left

NAMES = ["a", "b", "c"]
VALUES = st.none() | st.booleans() | st.sampled_from([0, 0.0, 1, -3, 2.5, "", "x", "a"])
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)
STEPS = st.lists(
    st.sampled_from([".a", ".b", ".c", "[0]", "[1]", "[-1]", "[-2]", "[*]", "[]", ".*", "[?a]", " | a"]), max_size=3
)
PLAIN = st.builds(lambda first, rest: first + "".join(rest), st.sampled_from([*NAMES, "@", "[0]", '"a"']), STEPS)
WHOLE = st.one_of(
    PLAIN,
    st.lists(PLAIN, min_size=2, max_size=3).map(" || ".join),
    st.builds(lambda x, y: f"({x} || {y}).a", PLAIN, PLAIN),
    st.builds(lambda x, y: f"{x} && {y}", PLAIN, PLAIN),
    st.builds(lambda x, y: f"{x} == {y}", PLAIN, PLAIN),
    PLAIN.map(lambda x: f"!{x}"),
    PLAIN.map(lambda x: f"not_null({x}, `0`)"),
)


def same(left: Any, right: Any) -> bool:
    """Equal, and of one type all the way down: 0, 0.0 and false are three values."""
    return repr(left) == repr(right)


@settings(max_examples=600)
@given(WHOLE, DOCUMENTS)
def test_paths_agree_with_the_interpreter(text: str, document: Any) -> None:
    assert same(compile_path(text)(document), jmespath.search(text, document)), text


FALSY: list[Any] = [None, False, 0, 0.0, "", [], {}, True, "x", [0], {"b": 1}]


@pytest.mark.parametrize("first", FALSY, ids=repr)
@pytest.mark.parametrize("second", [None, 0, "", "y"], ids=repr)
@pytest.mark.parametrize("text", ["a || b", "a || b || c", "(a || b)", "a.b || b", "a[0] || b", "a && b", "!a"])
def test_either_and_the_falsy_values(text: str, first: Any, second: Any) -> None:
    document = {"a": first, "b": second, "c": 7}
    assert same(compile_path(text)(document), jmespath.search(text, document))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("status", "Charging"),
        ("current.l1", 0),
        ("current.l9", None),
        ("current.l1.deeper", None),
        ("evses[0].connectors[1].id", 2),
        ("evses[-1].connectors[-2].id", 1),
        ("evses[5]", None),
        ("status[0]", None),
        ("evses[].connectors[].id", [1, 2]),
        ("max([current.l1, current.l2])", 5),
        ("max([current.l1, current.l9])", None),
        ("values[?name=='power'].value | [0]", 81.3),
        ("length(values[?name=='none'])", 0),
        ("length(nothing)", None),
        ("online", False),
        ("online == `false`", True),
        ('"desc.name"', "dotted"),
        ("nothing != `null`", False),
        ("@", "whole"),
    ],
)
def test_what_mappings_say(text: str, value: Any) -> None:
    document = {
        "status": "Charging",
        "current": {"l1": 0, "l2": 5},
        "evses": [{"connectors": [{"id": 1}, {"id": 2}]}],
        "values": [{"name": "power", "value": 81.3}],
        "online": False,
        "desc.name": "dotted",
    }
    assert compile_path(text)(document) == (document if value == "whole" else value)


@pytest.mark.parametrize("document", [None, 5, "text", [], [[]], {"a": None}, {"a": []}, True])
@pytest.mark.parametrize(
    "text", ["a", "a.b", "a[0]", "sum(a)", "to_number(a) > `1`", "abs(a)", "avg(a[].b)", "sort(a)"]
)
def test_U30_no_document_makes_a_path_raise(text: str, document: Any) -> None:
    assert compile_path(text)(document) in (None, [], False)


def test_a_list_of_paths_takes_the_first_that_is_not_null() -> None:
    path = first_of(["value", "limit.value", "fallback"])
    assert [path(d) for d in ({"value": 0, "fallback": 9}, {"value": False}, {"value": ""})] == [0, False, ""]
    assert path({"value": None, "limit": {"value": 3}, "fallback": 9}) == 3
    assert path({"fallback": 9}) == 9
    assert path({}) is None
    assert path.text == "value | limit.value | fallback"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JMESPath: it is empty"),
        ("a[", "is not JMESPath: something is missing at its end"),
        ("a..b", "is not JMESPath: '.' does not belong at column 3"),
        ("a ^ b", "is not JMESPath: Unknown token ^ at column 3"),
        ("a.b)", "is not JMESPath: ')' does not belong at column 4"),
        ("@key", "is not JMESPath: `@key` stands alone, and only as the id or match of an object's members"),
    ],
)
def test_broken_paths_say_where(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="is not JMESPath") as refused:
        compile_path(text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(("text", "negates"), [("!a.b", True), ("x || !a.b", True), ("!(a.b)", False), ("!a", False)])
def test_negation_of_the_left_side_is_noticed(text: str, negates: bool) -> None:
    assert negates_left(text) is negates
