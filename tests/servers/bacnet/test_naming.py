"""Object names, unit and error tables, and tags on their own."""

from __future__ import annotations

import pytest
from bacpypes3.basetypes import EngineeringUnits, ErrorClass, ErrorCode, PropertyIdentifier
from bacpypes3.basetypes import Reliability as TheirReliability
from bacpypes3.primitivedata import ObjectType
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Reject
from gateway.core.point import PointSpec, point_name
from gateway.core.units import UNITS
from gateway.core.value import ValueKind
from gateway.servers.bacnet import codec, standard
from gateway.servers.bacnet.naming import LONGEST, fit, render
from gateway.servers.bacnet.tags import Malformed, Tags, decode_text
from gateway.servers.bacnet.units import NUMBERS
from tests.servers.bacnet.conftest import make_bench

PLAIN = "{source}.{name}.{point}"


@pytest.mark.parametrize(
    ("template", "full", "name"),
    [
        (PLAIN, "evce/zone/Zone B/current", "evce.Zone B.current"),
        ("{kind} {name}: {point}", "evce/zone/Zone B/current", "zone Zone B: current"),
        (PLAIN, point_name("evce", "zone", "A/B 50%", "current"), "evce.A/B 50%.current"),
        (PLAIN, point_name("evce", "zone", "%2F", "current"), "evce.%2F.current"),
        (PLAIN, "garage-7/charger/temp", "garage-7.charger.temp"),
        (PLAIN, "evce/zone/B\x00\nC/current", "evce.B__C.current"),
        (PLAIN, "evce/zone/{point}/current", "evce.{point}.current"),
    ],
)
def test_names(template: str, full: str, name: str) -> None:
    assert render(template, full) == name


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_name_fits_and_is_never_empty(resource: str, point: str) -> None:
    name = render(PLAIN, point_name("evce", "zone", resource, point))
    assert 1 <= len(name) <= LONGEST


def test_a_long_name_is_cut_in_a_stable_and_telling_way() -> None:
    one, two = (render(PLAIN, f"evce/zone/{'x' * 80}{end}/current") for end in "ab")
    assert len(one) == len(two) == LONGEST
    assert one != two
    assert one == render(PLAIN, f"evce/zone/{'x' * 80}a/current")
    assert fit("y" * 80, "#analog-input-7").endswith("#analog-input-7")


def test_a_clash_of_names_is_resolved() -> None:
    bench = make_bench(object_name="{point}")
    spec = PointSpec(name="current", kind=ValueKind.NUMBER)
    bench.add("evce/zone/Zone C/current", "analog-input", 50, spec)
    store = bench.server._store
    assert store.find("current").key == 0
    assert store.find("current#analog-input-50").key == 50


def test_I08_a_product_that_uses_the_suffix_itself_does_not_get_two_objects_of_one_name() -> None:
    bench = make_bench(object_name="{name}")
    spec = PointSpec(name="p", kind=ValueKind.NUMBER)
    named = {50: "A", 51: "A#analog-input-52", 52: "A"}
    for instance, name in named.items():
        bench.add(f"evce/kind-{instance}/{name}/p", "analog-input", instance, spec)
    store = bench.server._store
    found = [store.get(instance).name for instance in named]
    assert len(set(found)) == 3
    assert [store.find(name).key for name in found] == list(named)


def test_units_are_those_of_the_standard() -> None:
    expected = {
        "A": "amperes",
        "mA": "milliamperes",
        "V": "volts",
        "W": "watts",
        "kW": "kilowatts",
        "Wh": "watt-hours",
        "kWh": "kilowatt-hours",
        "MWh": "megawatt-hours",
        "var": "volt-amperes-reactive",
        "varh": "volt-ampere-hours-reactive",
        "kvarh": "kilovolt-ampere-hours-reactive",
        "VA": "volt-amperes",
        "Hz": "hertz",
        "%": "percent",
        "s": "seconds",
        "ms": "milliseconds",
        "min": "minutes",
        "h": "hours",
        "°C": "degrees-celsius",
        "degC": "degrees-celsius",
        "": "no-units",
    }
    assert {unit: NUMBERS[unit] for unit in expected} == {k: int(EngineeringUnits(v)) for k, v in expected.items()}
    assert NUMBERS.keys() == UNITS.keys()


def test_numbers_are_those_of_the_standard() -> None:
    for prop in standard.Prop:
        assert int(PropertyIdentifier(prop.name.lower().replace("_", "-"))) == prop
    for name, number in standard.OBJECT_TYPES.items():
        assert int(ObjectType(name)) == number
    for ours, theirs in {"NO_FAULT": "no-fault-detected"}.items():
        assert int(TheirReliability(theirs)) == standard.Reliability[ours]
    for reliability in list(standard.Reliability)[1:]:
        assert int(TheirReliability(reliability.name.lower().replace("_", "-"))) == reliability
    for name, code in {
        "write-access-denied": standard.WRITE_ACCESS_DENIED,
        "value-out-of-range": standard.VALUE_OUT_OF_RANGE,
        "invalid-data-type": standard.INVALID_DATA_TYPE,
        "unknown-property": standard.UNKNOWN_PROPERTY,
        "read-access-denied": standard.READ_ACCESS_DENIED,
        "not-configured": standard.NOT_CONFIGURED,
        "invalid-array-index": standard.INVALID_ARRAY_INDEX,
        "property-is-not-an-array": standard.NOT_AN_ARRAY,
        "character-set-not-supported": standard.CHARACTER_SET_NOT_SUPPORTED,
    }.items():
        assert (int(ErrorClass("property")), int(ErrorCode(name))) == code
    assert (int(ErrorClass("object")), int(ErrorCode("busy"))) == standard.BUSY
    assert (int(ErrorClass("device")), int(ErrorCode("operational-problem"))) == standard.OPERATIONAL_PROBLEM


def test_every_reject_has_an_error() -> None:
    assert set(standard.COMMAND_ERRORS) == set(Reject)


@pytest.mark.parametrize("value", [0, 1, 127, 255, 256, 65535, 65536, 2**32 - 1])
def test_numbers_there_and_back(value: int) -> None:
    tags = Tags(codec.context_unsigned(2, value))
    assert tags.number(2) == value
    tags.finish()


@given(st.text(max_size=70_000))
def test_texts_there_and_back(text: str) -> None:
    encoded = codec.opening(3) + codec.text(text) + codec.closing(3)
    tags = Tags(encoded)
    found = tags.value(3)
    assert found is not None
    assert decode_text(found.data) == text.encode("utf-8", "replace").decode()
    tags.finish()


@given(st.binary(max_size=60))
def test_reading_octets_never_fails_otherwise(data: bytes) -> None:
    tags = Tags(codec.opening(3) + data)
    try:
        tags.value(3)
        tags.optional(4)
        tags.finish()
    except Malformed:
        pass
