"""Requests and answers without a socket: what a product model takes and gives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final


class _Empty:
    """The type of `EMPTY`: an answer without a body."""

    def __repr__(self) -> str:
        return "EMPTY"


EMPTY: Final = _Empty()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read completely; header values are as sent."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = None
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: `payload` is turned into JSON, unless `raw` bytes are given."""

    status: int = 200
    payload: object = EMPTY
    raw: bytes | None = None
    content_type: str = "application/json"

    def body(self) -> bytes:
        """Returns the bytes to send."""
        if self.raw is not None:
            return self.raw
        return (
            b""
            if self.payload is EMPTY
            else json.dumps(self.payload, ensure_ascii=False).encode("utf-8", "surrogatepass")
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A request that could change something, as it came in, and how it was answered.

    `time` is the simulator's clock in seconds, `body` the parsed JSON or None, `status` 0 when the
    connection was cut before an answer.
    """

    time: float
    method: str
    path: str
    body: object
    status: int


class BadBodyError(Exception):
    """The body is not what the product accepts; the text says why."""


def parse_json(body: bytes) -> object:
    """Parses a JSON body; BadBodyError on anything else, NaN and Infinity included."""

    def refuse(word: str) -> object:
        raise BadBodyError(f"{word} is not JSON")

    try:
        parsed: object = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BadBodyError(f"body is not JSON: {error}") from error
    return parsed


def iso_time(epoch_s: float, *, milliseconds: bool = False) -> str:
    """Writes an epoch second as ISO 8601 in UTC with Z."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")


def parse_iso_time(text: object) -> float:
    """Reads an ISO 8601 time that names UTC with Z; BadBodyError otherwise."""
    if not isinstance(text, str) or not text.endswith("Z"):
        raise BadBodyError("a time must be ISO 8601 in UTC, ending in Z")
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadBodyError(f"{text!r} is not an ISO 8601 time") from error
