"""A mapping file proposed from an OpenAPI file: what of the shipped evce.yaml can be recognised, and what cannot.

Rules of this file: a path, text or body member that is not in the schema is never written; what was not recognised
becomes `null` (the point is left out) with a comment; what is assumed says CONFIRM. Addresses stay those of the
file it extends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping.openapi.api import Api
from gateway.mapping.openapi.emit import line, note_line
from gateway.mapping.openapi.hints import CONNECTED, POINTS
from gateway.mapping.openapi.leaves import Leaf, best, leaves_of, plain, states_of
from gateway.mapping.openapi.lists import Listing, connectors, id_of, listing
from gateway.mapping.openapi.passwd import passwd_lines
from gateway.mapping.openapi.quantities import scale_between
from gateway.mapping.openapi.reduction import draft_reduction
from gateway.mapping.openapi.shape import Shape, without_null

Data = dict[str, Any]
MOST_NAMED = 14


@dataclass(slots=True)
class Proposal:
    """The YAML text, how many points have a path, and what was not recognised (`kind.point`)."""

    text: str
    found: int
    unknown: list[str] = field(default_factory=list)


def propose(api: Api, template: Mapping[str, Any], extends: str) -> Proposal:
    """A proposal for an EVCE; `template` is the plain data of the shipped mapping that the file will extend."""
    draft = _Draft(api, template)
    for kind in template["resources"]:
        draft.kind(kind)
    title = " ".join(part for part in (api.title, api.version) if part)
    head = [
        note_line(0, f"Proposed from {api.file} ({title or 'no title'}). Confirm every line on site:"),
        note_line(0, "null leaves a point out because it was not recognised; CONFIRM marks what is assumed."),
        line(0, "extends", extends),
    ]
    if api.base and api.base != template.get("base", "/api/v2"):
        head.append(line(0, "base", api.base))
    head += passwd_lines(api, template, draft.base)
    body = draft.lines if draft.lines else ["  {}"]
    return Proposal("\n".join([*head, "", "resources:", *body, ""]), draft.found, draft.unknown)


class _Draft:
    """The lines of `resources`, kind by kind."""

    def __init__(self, api: Api, template: Mapping[str, Any]) -> None:
        self.api, self.template = api, template
        self.base = template.get("base", "/api/v2")
        self.lines: list[str] = []
        self.found = 0
        self.unknown: list[str] = []
        self.left_out: set[str] = set()
        self.points_left_out: set[str] = set()
        self._is_trial = False

    def kind(self, kind: str) -> None:
        data = self.template["resources"][kind]
        head = self._within(kind, data) if "within" in data else self._listed(kind, data)
        if head is None:
            return
        self.lines += [f"  {kind}:", *head, "    points:"]
        for point, said in data["points"].items():
            self.lines += self._point(kind, point, said)
        self.lines.append("")

    # -- lists, reads, members ---------------------------------------------------------------------------------------

    def _answer(self, get: str) -> Shape | None:
        return self.api.answer("GET", get, self.base)

    def _omit(self, kind: str, why: str) -> None:
        self.lines += [line(1, kind, None, why), ""]
        self.unknown.append(kind)
        self.left_out.add(kind)

    def _listed(self, kind: str, data: Data) -> list[str] | None:
        get = data["list"]["get"]
        answer = self._answer(get)
        found = listing(answer, kind) if answer is not None else None
        if found is None or found.id is None or found.name is None:
            lacks = "no schema" if answer is None else "no list" if found is None else "no id and name"
            self._omit(kind, f"not recognised: {lacks} in the answer of GET {get}; {_names(answer)}")
            return None
        said: Data = {"items": found.items, "id": found.id, "name": found.name}
        if "guard" in data["list"]:
            said["guard"] = found.guard
        lines = [line(2, "list", said)]
        for read, what in data["reads"].items():
            lines += self._bulk(kind, read, what) if "items" in what else []
        return lines + (self._members(data) if "members" in data else [])

    def _bulk(self, kind: str, read: str, what: Data) -> list[str]:
        answer = self._answer(what["get"])
        found = listing(answer, kind) if answer is not None else None
        if found is None or found.id is None:
            self.unknown.append(f"{kind}.reads.{read}")
            return [note_line(2, f"reads.{read}: the list in GET {what['get']} was not recognised; {_names(answer)}")]
        return [line(2, "reads", {read: {"items": found.items, "match": found.id}})]

    def _members(self, data: Data) -> list[str]:
        where = data["members"]
        answer = self._answer(where["get"])
        found = listing(answer, where["of"]) if answer is not None else None
        ident = id_of(found.item, where["of"]) if found is not None else None
        if found is None or (ident is None and found.id is None):
            self.unknown.append("members")
            self.left_out.add("members")
            return [line(2, "members", None, f"not recognised in GET {where['get']}; {_names(answer)}")]
        return [line(2, "members", {"items": found.items, "id": ident if found.id == "@" else found.id})]

    def _within(self, kind: str, data: Data) -> list[str] | None:
        outer = self._item(data["within"], data["from"])
        found = connectors(outer) if outer is not None and data["within"] not in self.left_out else None
        if found is None or found.id is None:
            self._omit(kind, f"no list of {kind}s with an OCPP state was recognised in the {data['within']}'s status")
            return None
        return [f"    items: {_flow(found.items)}", f"    id: {_flow(found.id)}"]

    def _item(self, kind: str, read: str) -> Shape | None:
        """What a kind's points are read from: one item of a bulk answer, or of its parent's."""
        data = self.template["resources"][kind]
        if "within" in data:
            outer = self._item(data["within"], read)
            inside: Listing | None = connectors(outer) if outer is not None else None
            return inside.item if inside is not None else None
        what = data["reads"][read]
        answer = self._answer(what["get"])
        if answer is None or "items" not in what:
            return answer
        found = listing(answer, kind)
        return found.item if found is not None else None

    # -- points ------------------------------------------------------------------------------------------------------

    def _point(self, kind: str, point: str, said: Data) -> list[str]:
        if "path" not in said:
            return self._kept(kind, point, said)
        if "command" in said:
            return self._commanded(kind, point, said)
        hint = POINTS.get(kind, {}).get(point)
        item = self._item(kind, said["from"])
        if hint is None or item is None:
            return self._unknown(kind, point, "its answer has no schema" if item is None else "no hint")
        leaves = leaves_of(item)
        leaf, several = best(leaves, hint)
        if "enum" in said:
            return self._enum(kind, point, leaves, leaf)
        if leaf is None and point == "current":
            return self._highest(kind, point, leaves, said)
        if leaf is None:
            why = f"could be {', '.join(one.path for one in several)}" if several else _names(item)
            return self._unknown(kind, point, why)
        if point == "online" and "string" in leaf.shape.types:
            return self._online(kind, point, leaf)
        return self._found(kind, point, leaf.path, leaf, said)

    def _found(self, kind: str, point: str, path: str, leaf: Leaf, said: Data) -> list[str]:
        keys: Data = {"path": path}
        note = leaf.says
        unit = said.get("unit", "")
        if unit:
            scale = scale_between(leaf.unit, unit)
            note += "" if scale is not None else f": CONFIRM, the schema states no unit; taken as {unit}"
            if (scale or 1.0) != said.get("scale", 1):
                keys["scale"] = _plain_number(scale or 1.0)
        if self._loses_alarm(kind, said):
            keys["alarm"] = None
        self.found += 1
        return [line(3, point, keys, note)]

    def _loses_alarm(self, kind: str, said: Data) -> bool:
        """Whether the limit of a point's alarm is given by a point that is not recognised."""
        limits = said.get("alarm", {})
        names = _points_in([limits.get("high"), limits.get("low")])
        return not self._is_trial and any(not self._will_have(f"{kind}.{name.partition('.')[0]}") for name in names)

    def _highest(self, kind: str, point: str, leaves: list[Leaf], said: Data) -> list[str]:
        """The highest phase, where no member states it."""
        phases = [best(leaves, POINTS[kind][f"{point}_l{phase}"])[0] for phase in (1, 2, 3)]
        known = [leaf for leaf in phases if leaf is not None]
        if len(known) < 3 or len({leaf.unit for leaf in known}) > 1:
            return self._unknown(kind, point, "neither it nor all three phases were recognised")
        return self._found(kind, point, f"max([{', '.join(leaf.path for leaf in known)}])", known[0], said)

    def _enum(self, kind: str, point: str, leaves: list[Leaf], leaf: Leaf | None) -> list[str]:
        """By its texts, for they say more than a name; all states of the template are replaced."""
        known = [(len(states_of(one.shape, point)), one) for one in leaves if states_of(one.shape, point)]
        top = [one for count, one in known if count == max(count for count, _ in known)]
        leaf = top[0] if len(top) == 1 else leaf
        if leaf is None:
            return self._unknown(kind, point, "no member lists such texts")
        self.found += 1
        if not leaf.shape.texts:
            return [line(3, point, {"path": leaf.path}, "CONFIRM: the schema lists no texts, these are OCPP's")]
        states = states_of(leaf.shape, point)
        if not states:
            self.found -= 1
            return self._unknown(kind, point, f"{leaf.path} lists {', '.join(leaf.shape.texts)}")
        template = self.template["resources"][kind]["points"][point]
        enum: dict[str, int | None] = dict.fromkeys((text for text in template["enum"] if text not in states), None)
        code = template.get("alarm", {}).get("when")
        lost = {} if code is None or code in states.values() else {"alarm": None}
        rest = [text for text in leaf.shape.texts if text not in states]
        note = f"also lists {', '.join(rest)}: give them codes" if rest else ""
        return [line(3, point, {"path": leaf.path, "enum": {**enum, **states}, **lost}, note)]

    def _online(self, kind: str, point: str, leaf: Leaf) -> list[str]:
        texts = [text for text in leaf.shape.texts if plain(text) in CONNECTED]
        if len(texts) != 1:
            return self._unknown(kind, point, f"{leaf.path} lists {', '.join(leaf.shape.texts) or 'no texts'}")
        self.found += 1
        return [line(3, point, {"path": f"{leaf.path} == '{texts[0]}'"})]

    def _commanded(self, kind: str, point: str, said: Data) -> list[str]:
        """A limit is written only when everything about it is known; else what is known stands in comments."""
        command = said["command"]
        method = "PUT" if "put" in command else "POST"
        body = self.api.body(method, command[method.lower()], self.base)
        draft = draft_reduction(self._item(kind, said["from"]), body)
        keys = draft.point
        for bound in _points_in([said.get("range"), command.get("default")]):
            if f"{kind}.{bound}" in self.points_left_out:
                draft.unknown.append(f"the highest value (point {bound})")
        if not draft.unknown:
            self.found += 1
            for part in ("body", "release"):
                gone = [name for name in command[part] if name not in keys["command"][part]]
                keys["command"][part] = {**dict.fromkeys(gone, None), **keys["command"][part]}
            for part in ("verify", "none_when", "as"):
                if part in command and part not in keys["command"]:
                    keys["command"][part] = None
            if keys["scale"] == said.get("scale", 1):
                del keys["scale"]
            return [line(3, point, keys, "CONFIRM that it is the limit TO which the zone is reduced")]
        known = [note_line(3, f"  {key}: {_flow(value)}") for key, value in keys.items() if value]
        asked = [note_line(3, f"  to find out: {text}") for text in draft.unknown]
        return [*self._unknown(kind, point, "writing needs more than the schemas say"), *known, *asked]

    def _kept(self, kind: str, point: str, said: Data) -> list[str]:
        """A point without a path: derived from another, or the name of what the resource belongs to."""
        of = said["derive"]["of"] if "derive" in said else ""
        gone = (
            of in self.points_left_out
            or of.partition(".")[0] in self.left_out
            or (bool(of) and not self._will_have(of))
        )
        if gone or (not of and ("members" in self.left_out or point in self.left_out)):
            return self._unknown(kind, point, f"it comes from {of or point}, which was not recognised")
        return []

    def _will_have(self, of: str) -> bool:
        """Whether a point of a kind that comes later in the file will be recognised."""
        kind = of.partition(".")[0]
        trial = _Draft(self.api, self.template)
        trial._is_trial = True
        trial.kind(kind)
        return kind not in trial.left_out and of not in trial.points_left_out

    def _unknown(self, kind: str, point: str, why: str) -> list[str]:
        self.unknown.append(f"{kind}.{point}")
        self.points_left_out.add(f"{kind}.{point}")
        return [line(3, point, None, f"not recognised: {why}")]


def _flow(value: Any) -> str:
    return line(0, "k", value).removeprefix("k: ")


def _plain_number(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _points_in(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    nested = [part for item in items if isinstance(item, list) for part in _points_in(item)]
    return nested + [item["point"] for item in items if isinstance(item, dict) and "point" in item]


def _names(shape: Shape | None) -> str:
    """The leaves an answer has, for a comment."""
    if shape is None:
        return "nothing"
    paths = [leaf.path for leaf in leaves_of(without_null(shape))]
    more = ", ..." if len(paths) > MOST_NAMED else ""
    return "it has " + (", ".join(paths[:MOST_NAMED]) + more if paths else "no plain member")
