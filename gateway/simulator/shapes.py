"""Strict checks of JSON bodies. Every failure is a BadBodyError whose text names the member."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gateway.simulator.exchange import BadBodyError

Check = Callable[[object], bool]


def whole(low: int, high: int) -> Check:
    """Accepts integers from `low` to `high`; true and 1.0 are not integers."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def number(low: float, high: float) -> Check:
    """Accepts finite numbers from `low` to `high`."""

    def check(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return math.isfinite(value) and low <= value <= high

    return check


def text(longest: int = 255, shortest: int = 0) -> Check:
    """Accepts strings of a length in characters; half a surrogate pair is not a string."""

    def check(value: object) -> bool:
        if not isinstance(value, str) or not shortest <= len(value) <= longest:
            return False
        return not any("\ud800" <= letter <= "\udfff" for letter in value)

    return check


def one_of(*words: str) -> Check:
    """Accepts exactly these strings."""
    return lambda value: isinstance(value, str) and value in words


def exact(body: object, members: Mapping[str, Check], where: str = "body") -> dict[str, Any]:
    """Accepts an object with exactly these members and returns it."""
    if not isinstance(body, dict):
        raise BadBodyError(f"{where} must be an object")
    for name in body:
        if name not in members:
            raise BadBodyError(f"{where} has an unknown member {name!r}")
    for name, check in members.items():
        if name not in body:
            raise BadBodyError(f"{where} lacks the member {name!r}")
        if not check(body[name]):
            raise BadBodyError(f"member {name!r} has a wrong type or value")
    return body


def same_object(body: object, current: object, editable: Mapping[str, Check], path: str = "") -> None:
    """Accepts a whole resource as it was read, changed only in the members named by `editable` dotted paths."""
    if path in editable:
        if not editable[path](body):
            raise BadBodyError(f"member {path!r} has a wrong type or value")
    elif isinstance(current, dict):
        exact(body, dict.fromkeys(current, _anything), path or "body")
        for name, value in current.items():
            same_object(_member(body, name), value, editable, f"{path}.{name}" if path else name)
    elif type(body) is not type(current) or body != current:
        raise BadBodyError(f"member {path!r} cannot be changed")


def _anything(value: object) -> bool:
    return True


def _member(body: object, name: str) -> object:
    return body[name] if isinstance(body, dict) else None
