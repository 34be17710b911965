"""What the products' own JSON says each point is, by a mapping read as plain data: no code of the gateway's reading.

Rules of this file: pure; JMESPath goes to its own library, uncompiled; a resource is whatever the list answers say; a
value that cannot be had says why, and is never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.checkout.paths import KEY, NOT_ASKED, Data, ask, json_text, pairs_of, path_text, sort_of

Answers = Mapping[str, Mapping[str, Any]]
Change = Callable[[Any], Any]
_PLACE = re.compile(r"\{([a-z_.]+)\}")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a point has to be. `value` None: it has none, and `why` says so; `age_s` is that of the answer."""

    value: float | int | bool | str | None
    why: str = ""
    age_s: float | None = None
    where: str = ""
    """The request and the path, in words."""
    hidden: bool = False
    """Whether it says who somebody is, so that no report shows it."""
    enum: Mapping[str, int] | None = None


NOTHING = Expected(None, "the gateway makes it itself")


@dataclass(slots=True, eq=False)
class _Item:
    """One resource as the JSON has it."""

    name: str
    id: str
    parent: _Item | None = None
    inner: dict[str, Any] = field(default_factory=dict)
    """Its part of its parent's documents, by read."""
    age_s: float | None = None


class Truth:
    """The values of one source by one mapping; `change` alters each document before its paths are asked."""

    def __init__(self, source: str, kinds: Data, answers: Answers, change: Change | None = None) -> None:
        self._source, self._kinds, self._answers = source, kinds, answers
        self._change = change
        self._items: dict[str, list[_Item]] = {}
        self._done: dict[str, Expected] = {}
        self._bulk: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed: dict[tuple[int, str], Any] = {}
        self._members: dict[tuple[str, str], list[str] | None] = {}
        self._personal: Callable[[str], bool] = lambda _name: False

    def values(self, personal: Callable[[str], bool]) -> dict[str, Expected]:
        """Every point that has JSON, by name; `personal` says whether a member's name is about a person."""
        self._personal = personal
        for kind in sorted(self._kinds, key=self._depth):
            self._items[kind] = self._found(kind)
        for kind, data in self._kinds.items():
            for item in self._items[kind]:
                for point, said in (data.get("points") or {}).items():
                    if said is not None:
                        self._point(kind, item, point, said)
        return self._done

    def _depth(self, kind: str) -> int:
        outer = self._kinds[kind].get("within")
        return 0 if outer is None or outer not in self._kinds else 1 + self._depth(outer)

    # -- resources -----------------------------------------------------------------------------------------------

    def _found(self, kind: str) -> list[_Item]:
        data = self._kinds[kind]
        if data.get("within") is not None:
            return [child for outer in self._items.get(data["within"], ()) for child in self._children(data, outer)]
        where = data.get("list")
        if where is None:
            return [_Item("", "")]
        document = self._answer(where["get"])
        found = []
        for key, item in pairs_of(ask(where.get("items", "@"), document)):
            ident = key if where["id"] == KEY else json_text(ask(where["id"], item))
            name = json_text(ask(where.get("name"), item)) if where.get("name") is not None else None
            if ident is not None:
                found.append(_Item(name or f"#{ident}", ident))
        names = [item.name for item in found]
        return [item for item in found if names.count(item.name) == 1]  # of several with one name none is served

    def _children(self, data: Data, outer: _Item) -> Iterator[_Item]:
        read = data["from"]
        document = self._document(data["within"], outer, read)
        for key, item in pairs_of(ask(data["items"], document)):
            ident = key if data["id"] == KEY else json_text(ask(data["id"], item))
            if ident is not None:
                yield _Item(f"{outer.name}#{ident}", ident, outer, {read: item}, outer.age_s)

    def label(self, kind: str, item: _Item, point: str) -> str:
        """The point's full name."""
        name = item.name.replace("%", "%25").replace("/", "%2F")
        return f"{self._source}/{kind}/{name}/{point}" if name else f"{self._source}/{kind}/{point}"

    # -- documents -----------------------------------------------------------------------------------------------

    def _answer(self, path: str) -> Any:
        """The document of a GET, NOT_ASKED when the gateway never asked for it."""
        found = self._answers.get(path)
        return NOT_ASKED if found is None else found["document"]

    def _document(self, kind: str, item: _Item, read: str) -> Any:
        if read in item.inner:
            return item.inner[read]
        spec = (self._kinds[kind].get("reads") or {}).get(read)
        if spec is None:
            return NOT_ASKED
        path = self._asked(spec["get"], item)
        item.age_s = self._answers[path]["age_s"] if path in self._answers else None
        if "items" not in spec:
            return self._answer(path)
        parts = self._bulk.get((kind, read))
        if parts is None:
            document = self._answer(path)
            pairs = pairs_of(ask(spec["items"], document))
            keyed = [(k if spec["match"] == KEY else json_text(ask(spec["match"], one)), one) for k, one in pairs]
            parts = self._bulk[kind, read] = {ident: one for ident, one in keyed if ident is not None}
        return parts.get(item.id, NOT_ASKED)

    @staticmethod
    def _asked(path: str, item: _Item) -> str:
        values = {"id": item.id, "parent.id": item.parent.id if item.parent is not None else ""}
        return _PLACE.sub(lambda found: quote(values.get(found[1], ""), safe=""), path)

    # -- points --------------------------------------------------------------------------------------------------

    def _point(self, kind: str, item: _Item, point: str, said: Data) -> Expected:
        name = self.label(kind, item, point)
        if name in self._done:
            return self._done[name]
        if said.get("derive") is not None:
            found = self._derived(kind, item, said["derive"])
        elif said.get("answer_to") is not None:
            found = Expected(None, "it stands in the answer to a command")
        elif said.get("path") is None:
            found = self._member_of(point, kind, item)
        else:
            found = self._read(kind, item, said)
        if isinstance(said.get("command"), dict):
            name += ".applied"
        if found is not NOTHING:
            self._done[name] = found
        return found

    def _read(self, kind: str, item: _Item, said: Data) -> Expected:
        read = said.get("from") or self._kinds[kind].get("from") or ""
        document = self._document(kind, item, read)
        spec = (self._kinds[kind].get("reads") or {}).get(read) or {}
        outer = self._kinds[kind].get("within")
        get = f"GET {self._asked(spec['get'], item)}" if "get" in spec else f"the {read} of its {outer}"
        where = f"{get} `{path_text(said['path'])}`"
        if document is NOT_ASKED:
            return Expected(None, f"there is no answer to {get} for it", None, where)
        if self._change is not None:
            key = (id(document), read)
            if key not in self._changed:
                self._changed[key] = self._change(document)
            document = self._changed[key]
        raw = ask(said["path"], document)
        hidden = any(self._personal(word) for word in re.findall(r"[A-Za-z_]\w*", path_text(said["path"])))
        value, why = self._value(kind, item, said, document, raw)
        enum = {str(text): int(code) for text, code in (said.get("enum") or {}).items() if code is not None} or None
        return Expected(value, why, item.age_s, where, hidden, enum)

    def _value(self, kind: str, item: _Item, said: Data, document: Any, raw: Any) -> tuple[Any, str]:
        command = said.get("command")
        if isinstance(command, dict) and self._change is not None:
            return self._probed(kind, item, said, document, raw), ""
        if isinstance(command, dict):
            none_when = command.get("none_when")
            if document is None or (none_when is not None and ask(none_when, document) is True):
                return self._default(kind, item, said)
        if raw is None:
            absent = said.get("absent")
            return absent, "" if absent is not None else "the answer has no such member"
        if said.get("enum"):
            codes = {str(text): code for text, code in said["enum"].items()}
            code = codes.get(json_text(raw) or "")
            return (0, "unknown text") if code is None else (code, "")
        wanted = sort_of(said)
        if wanted == "bool":
            return (raw, "") if isinstance(raw, bool) else (None, "it is not true or false")
        if wanted == "string":
            return (raw, "") if isinstance(raw, str) else (None, "it is not a text")
        if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not math.isfinite(raw):
            return None, "it is not a number"
        scale, offset = self._factor(kind, item, said.get("scale", 1)), self._factor(kind, item, said.get("offset", 0))
        if scale is None or offset is None:
            return None, "its scale has no value"
        return raw * scale + offset, ""

    def _probed(self, kind: str, item: _Item, said: Data, document: Any, raw: Any) -> str:
        """Everything that decides about a commandable point as one text: a limit need not be in force to compare it."""
        command = said["command"]
        scale = self._factor(kind, item, said.get("scale", 1))
        value = raw * scale if isinstance(raw, (int, float)) and scale is not None else raw
        said_of_it = [ask(command.get(key), document) for key in ("none_when", "verify")]
        return repr((value, self._default(kind, item, said)[0], *said_of_it))

    def _default(self, kind: str, item: _Item, said: Data) -> tuple[Any, str]:
        """What the product applies while no limit is in force."""
        default = said["command"].get("default")
        if default is None and said.get("range"):
            default = said["range"][1]
        value = self._factor(kind, item, default)
        return value, "" if value is not None else "no limit is in force, and its default has no value"

    def _factor(self, kind: str, item: _Item, factor: Any) -> Any:
        """A number, or another point of the same resource times `by`."""
        if not isinstance(factor, Mapping):
            return factor
        point = factor["point"]
        said = (self._kinds[kind].get("points") or {}).get(point)
        value = self._point(kind, item, point, said).value if said is not None else None
        return value * factor.get("by", 1) if isinstance(value, (int, float)) else None

    def _derived(self, kind: str, item: _Item, said: Data) -> Expected:
        of, _, point = said["of"].partition(".")
        spec = (self._kinds[of].get("points") or {}).get(point) if of in self._kinds else None
        chosen = self._inputs(kind, item, of)
        where = f"{said['op']} of {said['of']}"
        if spec is None or chosen is None:
            return Expected(None, f"there are no members known of which it is the {where}", None, where)
        found = [self._point(of, one, point, spec) for one in chosen]
        values = [one.value for one in found if one.value is not None]
        if len(values) < len(found) and not said.get("skip_bad"):
            return Expected(None, f"not every {of} has a {point}", None, where)
        ages = [one.age_s for one in found if one.age_s is not None]
        if said["op"] == "count":
            wanted = said.get("where")
            wanted = wanted if isinstance(wanted, list) else [wanted]
            codes = {text: code for one in found[:1] for text, code in (one.enum or {}).items()}
            wanted = [codes.get(one, one) if isinstance(one, str) else one for one in wanted]
            return Expected(sum(value in wanted for value in values), "", max(ages, default=None), where)
        numbers = [float(value) for value in values if not isinstance(value, str)]
        ways: dict[str, Callable[[list[float]], float]] = {
            "sum": math.fsum,
            "max": max,
            "min": min,
            "mean": lambda all_: math.fsum(all_) / len(all_),
        }
        if not numbers and said["op"] != "sum":
            return Expected(None, f"no {of} has a {point}", None, where)
        return Expected(ways[said["op"]](numbers), "", max(ages, default=None), where)

    def _inputs(self, kind: str, item: _Item, of: str) -> list[_Item] | None:
        members = self._kinds[kind].get("members")
        if isinstance(members, Mapping) and members["of"] == of:
            idents = self._member_ids(kind, item)
            return None if idents is None else [one for one in self._items[of] if one.id in idents]
        inner = [one for one in self._items[of] if one.parent is not None and item in (one.parent, one.parent.parent)]
        return inner if self._kinds[of].get("within") == kind else list(self._items[of])

    def _member_ids(self, kind: str, item: _Item) -> list[str] | None:
        if (kind, item.id) not in self._members:
            self._members[kind, item.id] = self._listed(kind, item)
        return self._members[kind, item.id]

    def _listed(self, kind: str, item: _Item) -> list[str] | None:
        members = self._kinds[kind]["members"]
        document = self._answer(self._asked(members["get"], item))
        if document is NOT_ASKED:
            return None
        pairs = pairs_of(ask(members.get("items", "@"), document))
        found = [key if members["id"] == KEY else json_text(ask(members["id"], one)) for key, one in pairs]
        return [ident for ident in found if ident is not None]

    def _member_of(self, point: str, kind: str, item: _Item) -> Expected:
        """The name of the group that lists this resource, where the point is called like the group's kind."""
        members = (self._kinds.get(point) or {}).get("members")
        if not isinstance(members, Mapping) or members["of"] != kind:
            return NOTHING
        where = f"GET {members['get']}"
        for group in self._items[point]:
            if item.id in (self._member_ids(point, group) or ()):
                return Expected(group.name, "", None, where)
        return Expected(None, f"no {point} lists it", None, where)
