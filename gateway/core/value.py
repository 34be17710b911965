"""Samples and what makes one from a raw JSON value.

Rules of this file: "no value" is a state with a reason, never 0; a number is a JSON number, never a text that
looks like one; nothing here raises on bad data, the sample says what was wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, cast

Value = float | int | bool | str


class Quality(IntEnum):
    """How far a value may be trusted; the codes are served on every protocol."""

    GOOD = 1
    STALE = 2
    BAD = 3
    CONFIG_ERROR = 4


class ValueKind(StrEnum):
    """What a point holds, independent of how a protocol encodes it."""

    NUMBER = "number"
    BOOL = "bool"
    STRING = "string"
    ENUM = "enum"


class Sample(NamedTuple):
    """One observation: `value` is None when there is none, `time` is monotonic seconds.

    An enum's value is its code, 0 for a text the mapping does not know (the reason then holds the raw text).
    """

    value: Value | None
    quality: Quality
    reason: str
    time: float


GOOD, STALE, BAD, CONFIG_ERROR = Quality.GOOD, Quality.STALE, Quality.BAD, Quality.CONFIG_ERROR
OUT_OF_SERVICE = "out of service: "
"""How the reason of a sample begins that a person forced; the rest says who and until when."""
SHORT = 60
LARGEST = 1.7e308


def shorten(raw: object) -> str:
    """A raw value as a person may see it: one line, at most 60 characters."""
    try:
        text = repr(raw)
    except (ValueError, RecursionError):  # a number of more digits than Python shows, or nested too deep
        text = f"a {type(raw).__name__}"
    return text if len(text) <= SHORT else text[: SHORT - 3] + "..."


_sample = cast("Callable[[type[Sample], tuple[Value, Quality, str, float]], Sample]", tuple.__new__)
"""What Sample() does without its Python frame; half of the cost of an answer's good values."""

Converter = Callable[[Any, float], Sample]
"""Raw JSON value (never None) and time to a sample."""


def number_converter(scale: float, offset: float, limits: tuple[float, float] | None) -> Converter:
    """Value = raw x scale + offset; outside `limits` (what its registers can hold) it is bad, never wrapped."""
    plain = scale == 1 and offset == 0
    low, high = limits or (-math.inf, math.inf)
    least, most = max(low, -LARGEST), min(high, LARGEST)

    def convert(raw: Any, now: float) -> Sample:
        kind = type(raw)
        if kind is not float and kind is not int:
            return Sample(None, BAD, f"not a number: {shorten(raw)}", now)
        try:
            value = raw if plain else raw * scale + offset
            if least <= value <= most:
                return _sample(Sample, (value, GOOD, "", now))
            if math.isfinite(value):
                return Sample(None, BAD, f"over-range: {value:g} is outside {low:g}..{high:g}", now)
        except OverflowError:  # a whole number beyond every float
            return Sample(None, BAD, "over-range: too large for any number type", now)
        return Sample(None, BAD, "not a finite number", now)

    return convert


def bool_converter(raw: Any, now: float) -> Sample:
    """Only JSON true and false are boolean."""
    if raw is True or raw is False:
        return Sample(raw, GOOD, "", now)
    return Sample(None, BAD, f"not true or false: {shorten(raw)}", now)


def string_converter(raw: Any, now: float) -> Sample:
    """Only a JSON string is text; half a surrogate pair in it becomes `?`, no protocol can carry it."""
    if isinstance(raw, str):
        return Sample(raw.encode("utf-8", "replace").decode(), GOOD, "", now)
    return Sample(None, BAD, f"not a text: {shorten(raw)}", now)


def enum_converter(codes: Mapping[str, int]) -> Converter:
    """Texts to codes; numbers and booleans are compared as their JSON text."""

    def convert(raw: Any, now: float) -> Sample:
        text = raw if isinstance(raw, str) else json_text(raw)
        if text is None:
            return Sample(None, BAD, f"not an enumeration text: {shorten(raw)}", now)
        code = codes.get(text)
        if code is None:
            return Sample(0, GOOD, f"unknown text {shorten(raw)}", now)
        return Sample(code, GOOD, "", now)

    return convert


def json_text(raw: Any) -> str | None:
    """A JSON scalar as its JSON text, e.g. True as "true"; None for lists and objects."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    try:
        return str(raw) if isinstance(raw, (int, float, str)) else None
    except (ValueError, RecursionError):  # a number of more digits than Python shows, or nested too deep
        return None
