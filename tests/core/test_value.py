"""Raw JSON values to samples: nothing raises, nothing becomes 0, and the reason says what was wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.value import (
    BAD,
    GOOD,
    Sample,
    bool_converter,
    enum_converter,
    json_text,
    number_converter,
    shorten,
    string_converter,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NUMBER = number_converter(1.0, 0.0, None)
CODES = {"Available": 1, "Free": 1, "Charging": 3, "true": 4, "7": 5}


@pytest.mark.parametrize("raw", [0, -0.0, 5, 12.5, -3, 2**53, 1e300])
def test_numbers_are_numbers(raw: float) -> None:
    assert NUMBER(raw, 7.0) == Sample(raw, GOOD, "", 7.0)


@pytest.mark.parametrize("raw", ["12.3", "", True, False, [], [1], {}, {"value": 1}])
def test_U28_nothing_else_is_a_number(raw: Any) -> None:
    assert NUMBER(raw, 7.0) == Sample(None, BAD, f"not a number: {raw!r}", 7.0)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_U29_not_finite(raw: float) -> None:
    assert NUMBER(raw, 0.0)[:3] == (None, BAD, "not a finite number")


@pytest.mark.parametrize("digits", [309, 400, 4000])
@pytest.mark.parametrize("scale", [1.0, 0.001])
def test_U32_whole_numbers_beyond_every_float(digits: int, scale: float) -> None:
    raw = json.loads("9" * digits)
    assert number_converter(scale, 0.0, None)(raw, 0.0)[:3] == (
        None,
        BAD,
        "over-range: too large for any number type",
    )


def test_U32_outside_what_its_registers_hold() -> None:
    convert = number_converter(1.0, 0.0, (0.0, 65534.0))
    assert convert(65534, 0.0)[:2] == (65534, GOOD)
    assert convert(65535, 0.0)[:3] == (None, BAD, "over-range: 65535 is outside 0..65534")
    assert convert(-1, 0.0)[:3] == (None, BAD, "over-range: -1 is outside 0..65534")


def test_scale_and_offset_come_before_the_limits() -> None:
    convert = number_converter(0.1, -40.0, (-40.0, 60.0))
    assert convert(1000, 0.0)[:2] == (60.0, GOOD)
    assert convert(0, 0.0)[:2] == (-40.0, GOOD)
    assert convert(1001, 0.0).quality is BAD


@pytest.mark.parametrize("raw", [0, 1, "true", "", None, []])
def test_U28_only_true_and_false_are_boolean(raw: Any) -> None:
    assert bool_converter(raw, 0.0)[:2] == (None, BAD)


def test_boolean() -> None:
    assert bool_converter(False, 0.0) == Sample(False, GOOD, "", 0.0)
    assert bool_converter(True, 0.0).value is True


@pytest.mark.parametrize("raw", [0, True, [], {"a": 1}, 1.5])
def test_U28_only_a_text_is_a_text(raw: Any) -> None:
    assert string_converter(raw, 0.0)[:2] == (None, BAD)


def test_texts() -> None:
    assert string_converter("", 0.0) == Sample("", GOOD, "", 0.0)
    assert string_converter("a\ud800b", 0.0).value == "a?b", "no protocol can carry half a surrogate pair"


@pytest.mark.parametrize(
    ("raw", "code"), [("Available", 1), ("Free", 1), ("Charging", 3), (True, 4), (7, 5), ("7", 5), ("true", 4)]
)
def test_enumerations(raw: Any, code: int) -> None:
    assert enum_converter(CODES)(raw, 0.0) == Sample(code, GOOD, "", 0.0)


def test_U31_a_new_text_is_0_with_the_raw_text() -> None:
    assert enum_converter(CODES)("Hovering", 0.0) == Sample(0, GOOD, "unknown text 'Hovering'", 0.0)
    assert enum_converter(CODES)({}, 0.0)[:2] == (None, BAD)
    assert enum_converter(CODES)(json.loads("1" * 4200), 0.0).value == 0


def test_shown_values_are_short_and_on_one_line() -> None:
    assert len(shorten("x" * 500)) == 60
    assert "\n" not in shorten("a\nb")
    assert shorten(10**5000) == "a int"
    assert json_text(10**5000) is None
    assert [json_text(raw) for raw in (True, False, 1, 1.5, "x", None, [])] == [
        "true",
        "false",
        "1",
        "1.5",
        "x",
        None,
        None,
    ]


@given(JSON.filter(lambda raw: raw is not None), st.floats(0.001, 1000), st.floats(-1000, 1000))
def test_no_document_makes_a_converter_raise_or_invent_a_value(raw: Any, scale: float, offset: float) -> None:
    number = number_converter(scale, offset, (-1e6, 1e6))(raw, 1.0)
    for sample in (number, bool_converter(raw, 1.0), string_converter(raw, 1.0), enum_converter(CODES)(raw, 1.0)):
        assert (sample.value is None) is (sample.quality is BAD)
        assert bool(sample.reason) or sample.quality is GOOD
    if number.value is not None:
        assert isinstance(number.value, (int, float))
        assert -1e6 <= number.value <= 1e6
