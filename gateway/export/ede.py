"""Engineering Data Exchange, layout 2.3 of the B.I.G.-EU: four CSV files that describe BACnet objects.

Cells are separated by semicolons, text is UTF-8, line ends are CR LF. The main file has the layout's six head lines,
then a line that says what is mandatory, then the names of its 17 columns; 2.3 is 2.2 with `notification-class`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.export.cells import Value
from gateway.export.spec import MapObject, MapSpec
from gateway.export.tables import csv_text

LAYOUT = "2.3"
COLUMNS = (
    "keyname",
    "device obj.-instance",
    "object-name",
    "object-type",
    "object-instance",
    "description",
    "present-value-default",
    "min-present-value",
    "max-present-value",
    "settable",
    "supports COV",
    "hi-limit",
    "low-limit",
    "state-text-reference",
    "unit-code",
    "vendor-specific-address",
    "notification-class",
)
MANDATORY = 5
MOST_IN_NAME = 40


def ede_files(spec: MapSpec) -> dict[str, str]:
    """The four files by name: objects, state texts, units and object types."""
    project = re.sub(r"[^A-Za-z0-9.-]+", "-", spec.head.title).strip("-.")[:MOST_IN_NAME] or "EVCE-gateway"
    texts = _state_texts(spec.objects)
    return {
        f"{project}_EDE.csv": _objects(spec, texts),
        f"{project}_StateTexts.csv": _texts_file(texts),
        f"{project}_Units.csv": _codes_file("#Encoding of BACnet Engineering Units", "Unit Text", spec.units),
        f"{project}_ObjTypes.csv": _codes_file(
            "#Encoding of BACnet Object Types", "Object Type", {one.code: one.type for one in spec.objects}
        ),
    }


def _state_texts(objects: Iterable[MapObject]) -> dict[tuple[str, ...], int]:
    """Every list of state texts with its reference number, from 1."""
    lists = dict.fromkeys(tuple(one.states) for one in objects if one.states)
    return {states: number for number, states in enumerate(lists, 1)}


def _objects(spec: MapSpec, texts: dict[tuple[str, ...], int]) -> str:
    head = spec.head
    lines: list[list[Value]] = [
        ["PROJECT_NAME", head.title],
        ["VERSION_OF_REFERENCEFILE", f"map {head.map_hash}"],
        ["TIMESTAMP_OF_LAST_CHANGE", head.made[:10]],
        ["AUTHOR_OF_LAST_CHANGE", f"EVCE gateway {head.version}"],
        ["VERSION_OF_LAYOUT", LAYOUT],
        ["#mandatory", *["mandatory"] * (MANDATORY - 1), *["optional"] * (len(COLUMNS) - MANDATORY)],
        [f"# {COLUMNS[0]}", *COLUMNS[1:]],
    ]
    lines += [_object(one, texts) for one in spec.objects]
    return csv_text(["#Engineering-Data-Exchange - B.I.G.-EU"], lines, ";")


def _object(one: MapObject, texts: dict[tuple[str, ...], int]) -> list[Value]:
    """One line; the key is unique over all devices."""
    return [
        f"{one.device}.{one.type}.{one.instance}",
        one.device,
        one.name,
        one.code,
        one.instance,
        one.description,
        one.default,
        one.low,
        one.high,
        "Y" if "Present_Value" in one.written else "N",
        "Y" if one.cov else "N",
        one.high_limit,
        one.low_limit,
        texts.get(tuple(one.states)) if one.states else None,
        one.unit,
        None,
        one.notification_class,
    ]


def _texts_file(texts: dict[tuple[str, ...], int]) -> str:
    most = max(map(len, texts), default=2)
    names = ["Text 1 or Inactive-Text", "Text 2 or Active-Text", *(f"Text {n}" for n in range(3, most + 1))]
    rows: list[list[Value]] = [["#Reference Number", *names]]
    rows += [[number, *states] for states, number in texts.items()]
    return csv_text(["#State Text Reference"], rows, ";")


def _codes_file(title: str, column: str, texts: dict[int, str]) -> str:
    rows: list[list[Value]] = [["#Code", column]]
    rows += [[code, texts[code]] for code in sorted(texts)]
    return csv_text([title], rows, ";")
