"""One setpoint: rounding to the tighter side, types, tolerance, and which side is looser (C02, C08, C09)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.delivery import Target
from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import CommandSpec, Factor, Path, PointSpec
from gateway.core.value import ValueKind
from gateway.engine.intake import ReadBack
from gateway.engine.ports import Reading
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Setpoint
from tests.engine.rig import loaded

NOTHING = Path("x", lambda _document: None)


def setpoint(
    kind=ValueKind.NUMBER, json_type="float", scale=1.0, offset=0.0, tighter="low", codes=None, points=None, **command
) -> Setpoint:
    """A setpoint on its own; `points` are the values of what factors refer to."""
    spec = CommandSpec(
        **{
            "method": "PUT",
            "path": "/x",
            "body": {},
            "release": {},
            "default": Factor(250.0),
            "none_when": None,
            "verify": None,
            "json_type": json_type,
            "tolerance": None,
            "floor": None,
            "allow_stop": None,
            "tighter": tighter,
            **command,
        }
    )
    known = points or {}

    def resolve(_resource, factor):
        if factor is None:
            return None
        if factor.point is None:
            return factor.number
        value = known.get(factor.point)
        return None if value is None else value * factor.by

    as_factor = lambda given: given if isinstance(given, Factor) else Factor(given)  # noqa: E731
    point = PointSpec(
        name="p", kind=kind, codes=codes or {}, scale=as_factor(scale), offset=as_factor(offset), command=spec
    )
    resource = Resource("s", loaded("evce.yaml").kinds["zone"], "Z", "1", None, present=True, trouble="")
    return Setpoint(0, point, spec, resource, resolve, None, allow_stop=False)


def read(point, raw, *, none=False, verified=True):
    return ReadBack(point.resource, point.spec, raw, none, verified, Reading(1, 0.0))


@pytest.mark.parametrize(
    ("value", "scale", "tighter", "raw"),
    [
        (60.0, 0.1, "low", 600),
        (60.05, 0.1, "low", 600),
        (60.09, 0.1, "low", 600),
        (60.01, 0.1, "high", 601),
        (63.0, 0.1, "low", 630),
        (0.3, 0.1, "low", 3),
        (-5.5, -1.0, "low", 6),
        (-5.5, -1.0, "high", 5),
        (249.99, 1.0, "low", 249),
    ],
)
def test_whole_raw_numbers_are_rounded_to_the_tighter_side(value, scale, tighter, raw):
    made = setpoint(json_type="int", scale=scale, tighter=tighter).raw(value)
    assert made == raw
    assert type(made) is int


@given(st.floats(6, 250), st.sampled_from([0.1, 1.0, 0.001, 0.5]))
def test_a_rounded_limit_never_allows_more_than_was_asked(value, scale):
    raw = setpoint(json_type="int", scale=scale).raw(value)
    assert raw * scale <= value * (1 + 1e-6) + scale * 1e-5
    assert raw * scale > value - scale * (1 + 1e-4)


@pytest.mark.parametrize(("value", "raw"), [(60.0, 60.0), (float.fromhex("0x1.e333340000000p+5"), 60.4)])
def test_floats_of_32_bits_are_sent_as_a_person_would_write_them(value, raw):
    assert setpoint().raw(value) == raw


def test_types_and_units_of_the_product():
    assert setpoint(scale=0.001, offset=0.0).raw(7.4) == 7400.0
    assert setpoint(offset=10.0).raw(60.0) == 50.0
    assert setpoint(json_type="string").raw(60.0) == "60"
    assert setpoint(kind=ValueKind.BOOL).raw(True) is True
    assert setpoint(kind=ValueKind.ENUM, codes={"On": 1, "Off": 2, "Aus": 2}).raw(2) == "Off"
    assert setpoint(kind=ValueKind.STRING).raw("x") == "x"
    assert setpoint(scale=Factor(0, "rated", 0.01), points={"rated": 200.0}).raw(60.0) == 30.0


def test_an_unknown_scale_is_never_guessed():
    point = setpoint(scale=Factor(0, "rated", 0.01))
    assert point.raw(60.0) is None
    with pytest.raises(CommandRejected, match="scale is not known") as caught:
        point.judged(60.0)
    assert caught.value.reject is Reject.INHIBITED
    assert setpoint(scale=Factor(0, "rated", 0.01), points={"rated": 0.0}).raw(60.0) is None


@pytest.mark.parametrize(
    ("kind", "value", "reject"),
    [
        (ValueKind.ENUM, 3, Reject.RANGE),
        (ValueKind.ENUM, 1.5, Reject.RANGE),
        (ValueKind.ENUM, "On", Reject.RANGE),
        (ValueKind.ENUM, math.nan, Reject.RANGE),
        (ValueKind.BOOL, 2, Reject.TYPE),
        (ValueKind.BOOL, "true", Reject.TYPE),
        (ValueKind.BOOL, math.nan, Reject.TYPE),
        (ValueKind.STRING, 5, Reject.TYPE),
    ],
)
def test_other_kinds_refuse_what_they_are_not(kind, value, reject):
    with pytest.raises(CommandRejected) as caught:
        setpoint(kind=kind, codes={"On": 1, "Off": 2}, tighter="none").judged(value)
    assert caught.value.reject is reject


@pytest.mark.parametrize(
    ("kind", "value", "judged"),
    [(ValueKind.ENUM, 2.0, 2), (ValueKind.BOOL, 1, True), (ValueKind.BOOL, 0.0, False), (ValueKind.STRING, "", "")],
)
def test_other_kinds_take_their_values_in_their_own_type(kind, value, judged):
    made = setpoint(kind=kind, codes={"On": 1, "Off": 2}, tighter="none").judged(value)
    assert made == judged
    assert type(made) is type(judged)


@pytest.mark.parametrize(
    ("options", "raw", "agrees"),
    [
        ({}, 60.0, True),
        ({}, 60.00001, True),
        ({}, 60.01, False),
        ({"tolerance": 0.05}, 60.05, True),
        ({"tolerance": 0.05}, 60.06, False),
        ({"tolerance": 0.05, "scale": 0.1}, 600.5, True),
        ({"tolerance": 0.05, "scale": 0.1}, 601, False),
        ({"json_type": "int", "scale": 0.1}, 600, True),
        ({"json_type": "int", "scale": 0.1}, 601, False),
        ({}, None, False),
        ({}, "60", False),
        ({}, True, False),
    ],
)
def test_tolerance_of_a_read_back(options, raw, agrees):
    point = setpoint(**options)
    assert point.agrees(Target(point.raw(60.0)), read(point, raw)) is agrees


def test_verify_and_none_stand_beside_the_value():
    point = setpoint()
    assert not point.agrees(Target(60.0), read(point, 60.0, verified=False))
    assert not point.agrees(Target(60.0), read(point, 60.0, none=True))
    release = Target(None, release=True)
    assert point.agrees(release, read(point, 250.0, verified=False))
    assert not point.agrees(release, read(point, 60.0))
    assert point.agrees(release, read(point, None, none=True))
    told = setpoint(none_when=NOTHING)
    assert not told.agrees(release, read(told, 250.0))
    assert told.agrees(release, read(told, 60.0, none=True))


@pytest.mark.parametrize(
    ("tighter", "scale", "target", "upstream", "loosens"),
    [
        ("low", 1.0, 60.0, 40.0, True),
        ("low", 1.0, 60.0, 80.0, False),
        ("high", 1.0, 60.0, 80.0, True),
        ("high", 1.0, 60.0, 40.0, False),
        ("low", -1.0, -60.0, -40.0, True),
        ("low", -1.0, -60.0, -80.0, False),
        ("none", 1.0, 60.0, 40.0, False),
        ("low", 1.0, 60.0, 60.0, False),
    ],
)
def test_which_side_is_looser(tighter, scale, target, upstream, loosens):
    point = setpoint(tighter=tighter, scale=scale)
    assert point.loosens(Target(target), read(point, upstream)) is loosens


def test_no_limit_upstream_is_never_tighter():
    point = setpoint()
    assert not point.loosens(Target(60.0), read(point, 10.0, none=True))


@pytest.mark.parametrize(
    ("old", "new", "tighter"),
    [(None, 60.0, True), (Target(60.0), 40.0, True), (Target(60.0), 80.0, False), (Target(None, True), 60.0, True)],
)
def test_which_new_target_is_tighter(old, new, tighter):
    assert setpoint().is_tighter(old, new) is tighter
