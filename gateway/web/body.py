"""What a request says, checked: JSON bodies with exactly the members that are known, and query parameters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.web.ports import Unusable

LONGEST_QUERY = 200
ARRIVES_IN_S = 10.0
"""How long a body may take to arrive."""
Types = type | tuple[type, ...]


async def body_of(request: web.Request, wanted: Mapping[str, Types], optional: Mapping[str, Types] = {}) -> Any:
    """The members of a JSON body.

    Raises:
        Unusable: it is none, lacks a member, has one of another type or one that is unknown.
    """
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Unusable("the body must be application/json, not compressed")
    try:
        async with asyncio.timeout(ARRIVES_IN_S):
            text = await request.text()
        body = json.loads(text, parse_constant=_refuse)
    except TimeoutError:
        raise Unusable(f"the body did not arrive within {ARRIVES_IN_S:g} s") from None
    except (ValueError, RecursionError, LookupError) as error:
        raise Unusable("the body is not JSON") from error
    if not isinstance(body, dict):
        raise Unusable("the body must be an object")
    known = {**wanted, **optional}
    for name, value in body.items():
        if isinstance(value, str) and not _is_text(value):
            raise Unusable("the body holds half a character")
        if name not in known:
            raise Unusable(f"unknown member {name[:40]!r}; known: {', '.join(known)}")
        types = known[name]
        if not isinstance(value, types) or (isinstance(value, bool) and not _takes_bool(types)):
            raise Unusable(f"{name} has the wrong type")
    missing = [name for name in wanted if name not in body]
    if missing:
        raise Unusable(f"the body lacks {', '.join(missing)}")
    return body


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _is_text(value: str) -> bool:
    """JSON can say half of a surrogate pair, which no protocol can send and no log can print."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _takes_bool(types: Types) -> bool:
    return types is bool or (isinstance(types, tuple) and bool in types)


def query_of(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """The query parameters, each at most once; raises Unusable for others."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise Unusable(f"unknown parameter {name[:40]!r}; known: {', '.join(known) or 'none'}")
        if name in found:
            raise Unusable(f"{name} stands twice")
        if len(value) > LONGEST_QUERY and name != "ids":
            raise Unusable(f"{name} is too long")
        found[name] = value
    return found


def number(query: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """A number within bounds; raises Unusable."""
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise Unusable(f"{name} must be a number, {low:g} to {high:g}")
    return value


def whole(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds; raises Unusable."""
    text = query.get(name)
    if text is not None and not text.isdecimal():
        raise Unusable(f"{name} must be a whole number")
    return int(number(query, name, default, low, high))


def moment(query: Mapping[str, str], name: str) -> str:
    """A time as the evidence has them (ISO 8601, UTC with Z), "" when it is not given; raises Unusable."""
    text = query.get(name, "")
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        zoned = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise Unusable(f"{name} must be a time such as 2026-05-01T12:00:00Z") from error
