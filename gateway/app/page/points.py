"""Points as rows: what stands still (name, unit, addresses) and what changes (value, quality, age).

Rules of this file: a row of 10,000 points is an array, its members named once; texts go as they are, JSON escapes
them and the page shows them as text; a bad point has no value.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from typing import Any

from gateway.addressing import PlacedPoint, PlacedRegister
from gateway.app.page.places import Places
from gateway.app.plant import Plant
from gateway.core.value import GOOD, STALE, Quality, Value, ValueKind
from gateway.engine.forcing import Forcing
from gateway.web.ports import Row, Selection

STILL = ("id", "point", "source", "kind", "resource", "type", "unit", "access", "modbus", "bacnet")
CHANGING = ("id", "value", "quality", "reason", "age_s", "text", "forced")
LARGEST_OF_BROWSERS = 2**53
"""Larger whole numbers lose digits in a browser; they go as texts."""
_WORD = re.compile(r"\w+")
SHORT_WORD = 3
LOOKED_AT = 500
"""Points looked at without letting the loop turn."""
MADE = 50
"""Rows made without letting the loop turn."""
SHORT_REFERENCE = 9999
"""Up to this register the notation has five digits, above it six."""


class PointRows:
    """Makes rows of the table's points."""

    def __init__(self, plant: Plant, places: Places, forcing: Forcing) -> None:
        self._plant, self._places, self._forcing = plant, places, forcing
        self._built = -1
        self._texts: dict[int, str] = {}

    async def select(self, selection: Selection) -> dict[str, Any]:
        """One page of the points that are wanted, and how many there are."""
        found = await self._wanted(selection)
        rows: list[Row] = []
        for number, index in enumerate(found[selection.offset : selection.offset + selection.limit], 1):
            if index in self._plant.placed:
                rows.append(self.row(index))
            if number % MADE == 0:
                await asyncio.sleep(0)
        return {
            "columns": [*STILL, *CHANGING[1:]],
            "rows": rows,
            "total": len(found),
            "generation": self._places.refresh(),
        }

    def row(self, index: int) -> Row:
        """Everything of one point that stands in the table."""
        return self._still(index) + self.changing(index)[1:]

    async def _wanted(self, selection: Selection) -> list[int]:
        """Their ids, in the order of the table; the loop turns meanwhile, for a look at 10,000 points takes 30 ms."""
        placed, words = self._plant.placed, _WORD.findall(selection.search.lower())
        if selection.ids is not None:
            return [index for index in selection.ids if index in placed and self._takes(index, selection)]
        found: list[int] = []
        for number, index in enumerate(list(placed), 1):
            if self._takes(index, selection) and (not words or _holds(self._searched(index), words)):
                found.append(index)
            if number % LOOKED_AT == 0:
                await asyncio.sleep(0)
        return [index for index in found if index in placed]

    def _takes(self, index: int, selection: Selection) -> bool:
        table = self._plant.table
        if table.specs[index].optional and not table.seen(index):
            return False
        resource = self._places.resource(index)
        if resource is None:
            return False
        if selection.source not in ("", resource.source) or selection.kind not in ("", resource.kind.name):
            return False
        quality = Quality(table.sample(index).quality)
        if selection.quality == "not_good":
            return quality is not GOOD
        return selection.quality in ("", quality.name.lower())

    def _searched(self, index: int) -> str:
        """What the search looks through: the words of name and description, a space before each."""
        generation = self._places.refresh()
        if generation != self._built:
            self._built, self._texts = generation, {}
        text = self._texts.get(index)
        if text is None:
            spec = self._plant.table.specs[index]
            said = f"{self._plant.table.names[index]} {spec.description}".lower()
            text = self._texts[index] = " " + " ".join(_WORD.findall(said))
        return text

    def _still(self, index: int) -> Row:
        table, placed = self._plant.table, self._plant.placed[index]
        spec, resource = table.specs[index], self._places.resource(index)
        return [
            index,
            table.names[index],
            resource.source if resource is not None else "",
            resource.kind.name if resource is not None else "",
            (resource.name or "") if resource is not None else "",
            str(spec.kind),
            spec.unit,
            "rw" if spec.command is not None or spec.writable else "r",
            self.modbus(placed),
            self.bacnet(placed),
        ]

    def changing(self, index: int) -> Row:
        """What changes of a point, in the order of CHANGING."""
        table = self._plant.table
        value, quality, reason, time = table.sample(index)
        spec, age_s = table.specs[index], self._plant.clock.monotonic() - time
        if quality > STALE and spec.command is None:
            value = None
        elif isinstance(value, int) and abs(value) > LARGEST_OF_BROWSERS:
            value = str(value)
        return [
            index,
            value,
            Quality(quality).name.lower(),
            reason,
            round(age_s, 1) if math.isfinite(age_s) else None,
            text_of(spec.kind, spec.texts, value),
            self._forcing.get(index) is not None,
        ]

    def modbus(self, placed: PlacedPoint) -> dict[str, Any] | None:
        """The first register in three notations, None when there is none or no Modbus server."""
        if not placed.registers or self._plant.site.config.modbus is None:
            return None
        return notations(placed.registers[0])

    def bacnet(self, placed: PlacedPoint) -> dict[str, Any] | None:
        """The first object, None when there is none or no BACnet server."""
        bacnet = self._plant.site.config.bacnet
        if not placed.objects or bacnet is None:
            return None
        first = placed.objects[0]
        return {"object": first.object, "instance": first.instance}


def _holds(text: str, words: Sequence[str]) -> bool:
    """Whether every word is there: a short one as the beginning of a word, for "Zone A" is not "Zone B, phase"."""
    return all(f" {word}" in text or (len(word) >= SHORT_WORD and word in text) for word in words)


def notations(register: PlacedRegister) -> dict[str, Any]:
    """Unit and register, 0-based, 1-based, and as holding and input register references (4xxxx, 3xxxx)."""
    at = register.register
    digits = 4 if at < SHORT_REFERENCE else 5
    place = {
        "unit": register.unit,
        "register": at,
        "count": register.spec.type.words,
        "type": register.spec.type.name,
        "one_based": at + 1,
        "holding": f"4{at + 1:0{digits}}",
        "input": f"3{at + 1:0{digits}}",
    }
    return place if register.spec.bit is None else {**place, "bit": register.spec.bit}


def text_of(kind: ValueKind, texts: Sequence[str], value: Value | None) -> str | None:
    """The text of a state, None for anything else."""
    if kind is not ValueKind.ENUM or isinstance(value, bool) or not isinstance(value, int):
        return None
    return texts[value - 1] if 0 < value <= len(texts) else None
