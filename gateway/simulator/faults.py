"""Faults to inject into answers (FAULTS.md sections 1 and 2), without a socket.

A fault applies to the requests whose path fits its glob (`*` also crosses `/`), for `count` requests or for
ever. All fitting faults apply together, in the order they were added. The path may be given with or without
the API base ("/api/v2", "/v1").
"""

import json
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, Literal

Replacement = Literal["html", "empty", "garbage", "invalid_utf8", "huge", "gzip_bomb"]
Cut = Literal["reset", "truncate", "chunked"]

_WORDS: dict[str, tuple[object, ...]] = {
    "replace": (None, "html", "empty", "garbage", "invalid_utf8", "huge", "gzip_bomb"),
    "cut": (None, "reset", "truncate", "chunked"),
    "change": ("set", "drop", "duplicate"),
}


@dataclass(slots=True)
class Fault:
    """What goes wrong with an answer; members left at their default do nothing.

    Attributes:
        path: glob over the request path.
        method: only this HTTP method.
        count: for how many requests; None is for ever.
        status: answered instead of asking the product, with `headers` and `body`.
        headers: added to the answer, with or without `status`.
        body: text sent as the body.
        delay_s: seconds before the answer starts.
        replace: body sent instead of the product's answer; "huge" and "gzip_bomb" have `megabytes`.
        cut: "reset" the connection, send a short body under the full length, or end a chunked body early.
        after_bytes: bytes of body before the cut; None is half. With "reset" 0 means before the answer.
        trickle_s: seconds between single bytes of the body.
        member: dotted path into the JSON, `*` is every element; `change` says what happens there.
        value: JSON value that "set" and "duplicate" write.
        raw: JSON text written instead of `value`, such as NaN, Infinity, 1e999.
        nest: wraps the whole answer into that many arrays.
        empty_list: the answer's list (or keyed object) has no elements.
        ignore_write: the write is answered as usual and changes nothing.
    """

    path: str = "*"
    method: str | None = None
    count: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    delay_s: float = 0.0
    replace: Replacement | None = None
    megabytes: float = 10.0
    cut: Cut | None = None
    after_bytes: int | None = None
    trickle_s: float = 0.0
    member: str | None = None
    change: Literal["set", "drop", "duplicate"] = "set"
    value: Any = None
    raw: str | None = None
    nest: int = 0
    empty_list: bool = False
    ignore_write: bool = False

    def fits(self, method: str, path: str, base: str) -> bool:
        """Says whether a request is concerned."""
        if self.method not in (None, method) or self.count == 0:
            return False
        wanted = self.path.removesuffix("/") or "/"
        short = path.removeprefix(base).removesuffix("/") or "/"
        return fnmatchcase(path.removesuffix("/"), wanted) or fnmatchcase(short, wanted)


def fault_from_json(given: object) -> Fault:
    """Builds a fault from its JSON form; ValueError with a sentence when that is not possible."""
    if not isinstance(given, dict):
        raise ValueError("a fault is a JSON object")
    sample = Fault()
    known = {entry.name: getattr(sample, entry.name) for entry in fields(Fault)}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"a fault has no member {name!r}; it has {', '.join(known)}")
        if name in _WORDS and value not in _WORDS[name]:
            raise ValueError(f"{name} must be one of {', '.join(str(word) for word in _WORDS[name])}")
        optional = known[name] is None and value is None
        if name != "value" and not optional and not _alike(name, value, known[name]):
            raise ValueError(f"{name} has a wrong type")
    return Fault(**given)


class Faults:
    """The faults in force at one simulator."""

    def __init__(self) -> None:
        self._active: dict[int, Fault] = {}
        self._ids = count(1)

    def add(self, path: str = "*", **members: Any) -> int:
        """Adds a fault given by the members of `Fault` and returns its id."""
        return self.put(fault_from_json({"path": path, **members}))

    def put(self, fault: Fault) -> int:
        """Adds a fault and returns its id."""
        number = next(self._ids)
        self._active[number] = fault
        return number

    def remove(self, number: int) -> None:
        """Ends one fault; an unknown id is ignored."""
        self._active.pop(number, None)

    def clear(self) -> None:
        """Ends all faults."""
        self._active.clear()

    def active(self) -> dict[int, Fault]:
        """Returns the faults that still have requests to spoil."""
        return dict(self._active)

    def take(self, method: str, path: str, base: str) -> list[Fault]:
        """Returns the faults for one request and counts them down."""
        taken = []
        for number, fault in list(self._active.items()):
            if fault.fits(method, path, base):
                taken.append(fault)
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        del self._active[number]
        return taken


def spoil(body: bytes, faults: list[Fault]) -> bytes:
    """Returns the JSON body with the members changed as the faults say; other bodies stay."""
    if not any(fault.member is not None or fault.nest or fault.empty_list for fault in faults):
        return body
    try:
        tree: Any = json.loads(body)
    except ValueError:
        return body
    spelled: dict[str, str] = {}
    for fault in faults:
        if fault.empty_list:
            tree = _emptied(tree)
        if fault.member is not None:
            _change(tree, fault.member.split("."), fault, spelled)
    text = json.dumps(tree, ensure_ascii=False)
    for mark, written in spelled.items():
        text = text.replace(f'"{mark}"', written)
    nest = max(fault.nest for fault in faults)
    return ("[" * nest + text + "]" * nest).encode("utf-8", "surrogatepass")


def _change(tree: Any, path: list[str], fault: Fault, spelled: dict[str, str]) -> None:
    keys: list[Any] = _keys(tree, path[0])
    for key in keys:
        if len(path) > 1:
            _change(tree[key], path[1:], fault, spelled)
        elif fault.change == "drop":
            del tree[key]
        else:
            mark = f"@@{len(spelled)}@@"
            written = json.dumps(fault.value) if fault.raw is None else fault.raw
            if fault.change == "duplicate":
                written = f"{json.dumps(tree[key])}, {json.dumps(key)}: {written}"
            tree[key], spelled[mark] = mark, written


def _keys(tree: Any, step: str) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree) if step == "*" else [step] if step in tree else []
    if isinstance(tree, list):
        places = reversed(range(len(tree)))
        return [place for place in places if step in ("*", str(place))]
    return []


def _emptied(tree: Any) -> Any:
    if isinstance(tree, list):
        return []
    if not isinstance(tree, dict):
        return tree
    return {
        name: type(value)() if isinstance(value, list | dict) else 0 if name == "total" else value
        for name, value in tree.items()
    }


def _alike(name: str, value: object, default: object) -> bool:
    if name in ("method", "body", "raw", "member", "replace", "cut"):
        return isinstance(value, str)
    if isinstance(default, bool):
        return isinstance(value, bool)
    if name in ("count", "status", "after_bytes", "nest"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return isinstance(value, type(default))
