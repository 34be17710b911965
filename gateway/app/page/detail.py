"""Where one point's value comes from: request, path, the JSON it was taken from, and why it is bad.

Rules of this file: secrets and whoever charged are taken out of a product's JSON before anybody sees it; a long
document is cut.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.app.page.places import Places
from gateway.app.page.points import CHANGING, STILL, PointRows, notations
from gateway.app.plant import Plant
from gateway.core.point import ANSWER_TO, Factor, PointSpec
from gateway.core.value import shorten
from gateway.engine.forcing import Forcing
from gateway.engine.resource import Resource
from gateway.mapping.openapi.secrets import hide
from gateway.web.ports import Unknown

LONGEST_DOCUMENT = 20_000


class Detail:
    """Explains points."""

    def __init__(self, plant: Plant, places: Places, rows: PointRows, forcing: Forcing) -> None:
        self._plant, self._places, self._rows, self._forcing = plant, places, rows, forcing

    def of(self, point: str) -> dict[str, Any]:
        """Everything about one point; raises Unknown."""
        index = self._plant.table.find(point)
        if index is None or index not in self._plant.placed:
            raise Unknown(f"there is no point {point!r}")
        table, placed = self._plant.table, self._plant.placed[index]
        spec, resource = table.specs[index], self._places.resource(index)
        row = self._rows.row(index)
        forced = self._forcing.get(index)
        return {
            **dict(zip((*STILL, *CHANGING[1:]), row, strict=True)),
            "point": table.names[index],
            "description": spec.description,
            "texts": dict(spec.codes),
            "registers": [notations(register) for register in placed.registers],
            "objects": [{"object": o.object, "instance": o.instance} for o in placed.objects],
            "origin": self._origin(spec, resource),
            "forced_by": forced and {"user": forced.origin.user, "left_s": self._left(forced.until)},
            "force_obstacle": self._forcing.obstacle(index),
        }

    def _left(self, until: float) -> int:
        return max(round(until - self._plant.clock.monotonic()), 0)

    def _origin(self, spec: PointSpec, resource: Resource | None) -> dict[str, Any]:
        """How the value comes about, in words, and for a read its request and document."""
        if resource is None or spec.builtin:
            return {"how": "the gateway makes this point itself"}
        if spec.derive is not None:
            derive = spec.derive
            where = "" if derive.where is None else f", counting only {sorted(map(str, derive.where))}"
            return {"how": f"{derive.op} of {derive.point} over {derive.kind}s of {resource.label}{where}"}
        if spec.member_of is not None:
            return {"how": f"the {spec.member_of} that lists this {resource.kind.name} as a member"}
        if spec.read is None or spec.path is None:
            return {"how": "the gateway makes this point itself"}
        if spec.read.startswith(ANSWER_TO):
            return {"how": f"the {spec.read} of the product", "path": spec.path.text}
        return self._read(spec, resource, spec.read)

    def _read(self, spec: PointSpec, resource: Resource, read: str) -> dict[str, Any]:
        asked = resource.reader(read)
        seen = self._plant.intake.seen.get((resource, read))
        found: dict[str, Any] = {
            "how": "read from the product",
            "request": self._request(asked, read),
            "read": read,
            "every_s": asked.kind.reads[read].every_s if read in asked.kind.reads else None,
            "path": spec.path.text if spec.path is not None else "",
            "scale": _factor(spec.scale),
            "offset": _factor(spec.offset),
            "document": None,
            "cut": False,
            "raw": None,
            "seen_s": None,
        }
        if seen is None:
            return found
        found["seen_s"] = round(self._plant.clock.monotonic() - seen.time, 1)
        if seen.absent:
            return found
        try:
            text = json.dumps(hide(seen.body), indent=2, ensure_ascii=False)
        except RecursionError:
            text = "nested too deep to be shown"
        found["document"], found["cut"] = text[:LONGEST_DOCUMENT], len(text) > LONGEST_DOCUMENT
        raw = spec.path(seen.body) if spec.path is not None and seen.body is not None else None
        found["raw"] = None if raw is None else shorten(hide(raw))
        return found

    def _request(self, asked: Resource, read: str) -> str:
        """The GET as it left, with the ids filled in."""
        site = self._plant.site
        config = next((one for one in site.config.sources if one.name == asked.source), None)
        spec = asked.kind.reads.get(read)
        if config is None or spec is None:
            return ""
        path = spec.path
        for name, value in asked.path_values.items():
            path = path.replace(f"{{{name}}}", value)
        return f"GET {config.url}{site.products[asked.source].base}{path}"


def _factor(factor: Factor) -> str:
    """A factor in words: a number, or a point's value times a number."""
    return f"{factor.number:g}" if factor.point is None else f"{factor.point} x {factor.by:g}"
