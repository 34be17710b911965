"""What an independent client of the bacstack family (@bacnet-js/client on node) makes of the server."""

from __future__ import annotations

from gateway.addressing import PlacedObject, PlacedPoint
from gateway.core.point import ObjectSpec, PointSpec
from gateway.core.value import BAD, ValueKind
from tests.servers.bacnet.conftest import Bench, Node

CURRENT, STATE, LIMIT = {"type": 0, "instance": 0}, {"type": 13, "instance": 0}, {"type": 2, "instance": 7}
DEVICE = {"type": 8, "instance": 260001}
PRESENT_VALUE, STATUS_FLAGS, RELIABILITY, UNITS, STATE_TEXT, OBJECT_NAME, OBJECT_LIST = 85, 111, 103, 117, 110, 77, 76
REAL, NULL, TEXT, ALL = 4, 0, 7, 8


def values(answer) -> list:
    return [each["value"] for each in answer["values"]]


async def test_reads(bench: Bench, node: Node) -> None:
    bench.set("current", 12.5)
    bench.set("state", 2)
    calls = [
        ["readProperty", CURRENT, PRESENT_VALUE],
        ["readProperty", CURRENT, STATUS_FLAGS],
        ["readProperty", CURRENT, UNITS],
        ["readProperty", STATE, PRESENT_VALUE],
        ["readProperty", STATE, STATE_TEXT],
        ["readProperty", {"type": 8, "instance": 4194303}, OBJECT_NAME],
    ]
    present, flags, units, state, texts, name = [values(answer) for answer in await node(bench, calls)]
    assert (present, units, state, name) == ([12.5], [3], [2], ["EV Gateway"])
    assert flags == [{"value": [0], "bitsUsed": 4}]
    assert texts == ["Free", "Busy", "Fault"]


async def test_a_bad_value_is_nan_with_its_reason(bench: Bench, node: Node) -> None:
    bench.set("current", 12.5)
    bench.set("current", None, BAD, "no answer")
    calls = [["readProperty", CURRENT, prop] for prop in (PRESENT_VALUE, STATUS_FLAGS, RELIABILITY)]
    present, flags, reliability = [values(answer) for answer in await node(bench, calls)]
    assert (present, reliability) == (["NaN"], [12])
    assert flags == [{"value": [3], "bitsUsed": 4}]


async def test_all_properties_in_one_request(bench: Bench, node: Node) -> None:
    calls = [
        ["readPropertyMultiple", [{"objectId": each, "properties": [{"id": ALL}]} for each in (LIMIT, DEVICE, STATE)]]
    ]
    (answer,) = await node(bench, calls)
    assert [each["objectId"] for each in answer["values"]] == [LIMIT, DEVICE, STATE]
    limit, device, _ = [{prop["id"]: prop["value"] for prop in each["values"]} for each in answer["values"]]
    assert [slot["value"] for slot in limit[87]] == [None] * 16
    assert limit[104][0]["value"] == 250
    assert len(device[OBJECT_LIST]) == 2 + len(bench.index)
    assert 371 not in limit


async def test_object_list_of_two_thousand_objects(bench: Bench, node: Node) -> None:
    spec = PointSpec(name="p", kind=ValueKind.NUMBER)
    names = [f"evce/station/S{number}/p" for number in range(2000)]
    bench.server.place(
        [
            (
                bench.table.add(name, spec),
                PlacedPoint(name, spec, (), (PlacedObject("analog-input", 100 + n, ObjectSpec("", 0)),)),
            )
            for n, name in enumerate(names)
        ]
    )
    (answer,) = await node(bench, [["readProperty", DEVICE, OBJECT_LIST]])
    listed = values(answer)
    assert len(listed) == 2002 + len(bench.index)
    assert listed[0] == DEVICE
    assert listed[-2000:] == [{"type": 0, "instance": 100 + n} for n in range(2000)]


async def test_writes(bench: Bench, node: Node) -> None:
    calls = [
        ["writeProperty", LIMIT, PRESENT_VALUE, [{"type": REAL, "value": 32}], {"priority": 8}],
        ["readProperty", LIMIT, PRESENT_VALUE],
        ["writeProperty", LIMIT, PRESENT_VALUE, [{"type": NULL, "value": None}], {"priority": 8}],
        ["readProperty", LIMIT, PRESENT_VALUE],
        ["writeProperty", CURRENT, PRESENT_VALUE, [{"type": REAL, "value": 1}], {"priority": 8}],
        ["writeProperty", DEVICE, OBJECT_NAME, [{"type": TEXT, "value": "mine", "encoding": 0}], {}],
        ["writeProperty", LIMIT, PRESENT_VALUE, [{"type": REAL, "value": 1}], {"priority": 6}],
    ]
    wrote, held, released, default, *refused = await node(bench, calls)
    assert (wrote, released) == (None, None)
    assert (values(held), values(default)) == ([32], [250])
    assert refused == [{"error": "BacnetError - Class:2 - Code:40"}] * 3
    assert [(ask.value, ask.slot) for ask, _ in bench.commands.asks] == [(32.0, 8), (None, 8)]


async def test_who_is(bench: Bench, node: Node) -> None:
    calls = [["iAm"], ["iAm", {"lowLimit": 260001, "highLimit": 260001}], ["iAm", {"lowLimit": 1, "highLimit": 2}, 500]]
    everyone, named, other = await node(bench, calls)
    assert {key: everyone[key] for key in ("deviceId", "maxApdu", "segmentation", "vendorId")} == {
        "deviceId": 260001,
        "maxApdu": 1476,
        "segmentation": 0,
        "vendorId": 999,
    }
    assert named["deviceId"] == 260001
    assert other is None
