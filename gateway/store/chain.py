r"""Evidence records: one line of JSON each, and each carries the hash of the one before it.

Rules of this file: pure. A line has exactly FIELDS and `hash`, in this order, ASCII only, without spaces. `hash` is
the SHA-256 (hex) of the line as it is without its last member, so that anyone can check a file without this code:
    sed 's/,"hash":"[0-9a-f]*"}$/}/' <<< "$line" | tr -d '\n' | sha256sum
`prev` is the hash of the record before, 64 zeros for the first. Where records are gone for a known reason a later
record admits it: event DROPPED (the oldest, to bound the size) or MENDED (after damage), with the numbers in `old`
and the hash of the last one that is gone in `new`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.priority import Origin
from gateway.engine.ports import Evidence

FIELDS = (
    *("seq", "utc", "event", "protocol", "client", "user", "point", "slot", "old", "new", "answer", "applied"),
    "prev",
)
NUMBERS = ("seq", "slot")
LONGEST = 400
"""Characters of one text; what products answer is cut, so that one record stays one readable line."""
DROPPED, MENDED, LOST = "dropped", "mended", "lost"
GATEWAY = Origin("gateway")
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record: its number (0 before the first) and hash."""

    seq: int = 0
    hash: str = "0" * 64


@dataclass(frozen=True, slots=True)
class Gone:
    """Records `first` to `head.seq` that are no longer there."""

    first: int
    head: Head

    @property
    def numbers(self) -> str:
        """As `old` of the record that admits it."""
        return f"{self.first}-{self.head.seq}"


class BrokenLine(GatewayError):
    """A line is no evidence record, or was changed after it was written."""


def line_of(head: Head, wall: float, event: Evidence) -> tuple[str, Head]:
    """The record that follows `head`, as its line without a line end, and the new head; `wall` is Unix time."""
    utc = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    origin = event.origin
    texts = (utc, event.event, origin.protocol, origin.client, origin.user, event.point)
    after = (event.old, event.new, event.answer, event.applied)
    values = (head.seq + 1, *map(_cut, texts), event.slot, *map(_cut, after), head.hash)
    body = _encoded(dict(zip(FIELDS, values, strict=True)))
    digest = sha256(body.encode("ascii")).hexdigest()
    return f'{body[:-1]},"hash":"{digest}"}}', Head(head.seq + 1, digest)


def admission(event: str, gone: Gone | None, text: str) -> Evidence:
    """The record which says that others are gone."""
    old, new = (gone.numbers, gone.head.hash) if gone is not None else ("", "")
    return Evidence(event, "", GATEWAY, old=old, new=new, answer=text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _encoded(record: Record) -> str:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":"))


def parse(line: str) -> Record:
    """The record of a line, its own hash checked; `prev` is not.

    Raises:
        BrokenLine: with what is wrong.
    """
    try:
        record = json.loads(line)
    except ValueError:
        raise BrokenLine("is not JSON") from None
    if not isinstance(record, dict) or tuple(record) != (*FIELDS, "hash"):
        raise BrokenLine("does not have the members of a record")
    if any(type(value) is not (int if name in NUMBERS else str) for name, value in record.items()):
        raise BrokenLine("has a member of a wrong type")
    digest = record.pop("hash")
    body = _encoded(record)
    if line != f'{body[:-1]},"hash":"{digest}"}}' or sha256(body.encode("ascii")).hexdigest() != digest:
        raise BrokenLine("was changed: its hash does not fit")
    record["hash"] = digest
    return record


@dataclass(slots=True)
class Verdict:
    """What a walk along the chain came to.

    Attributes:
        records: how many were read.
        head: the last good one.
        broken: what is wrong, "" when nothing is; `at` is the number of the first record concerned.
        admitted: what is gone for a reason that the chain itself states, in words.
    """

    records: int = 0
    head: Head = field(default_factory=Head)
    broken: str = ""
    at: int = 0
    admitted: list[str] = field(default_factory=list)


def verify(lines: Iterable[str], end: Head | None = None) -> Verdict:
    """Walks the chain from its first line; `end` is the head the gateway noted, if known."""
    verdict = Verdict()
    gaps: dict[Head, int] = {}
    try:
        for line in lines:
            record = parse(line)
            before = Head(record["seq"] - 1, record["prev"])
            if before != verdict.head:
                if before.seq <= verdict.head.seq:
                    raise BrokenLine(f"does not follow record {verdict.head.seq}")
                gaps[before] = verdict.head.seq + 1
            if record["event"] in (DROPPED, MENDED):
                last = record["old"].rpartition("-")[2]
                gaps.pop(Head(int(last) if last.isdecimal() else 0, record["new"]), None)
                verdict.admitted.append(f"{record['utc']} {record['answer']}")
            verdict.head = Head(record["seq"], record["hash"])
            verdict.records += 1
    except BrokenLine as error:
        verdict.at, verdict.broken = verdict.head.seq + 1, str(error)
    if gaps:
        head, first = next(iter(gaps.items()))
        verdict.at, verdict.broken = first, f"records {first} to {head.seq} are missing, and no record says why"
    elif not verdict.broken and end is not None and end != verdict.head:
        verdict.at = min(end.seq, verdict.head.seq) + 1
        verdict.broken = f"the last record is {verdict.head.seq}, but the gateway wrote {end.seq}"
        if end.seq == verdict.head.seq:
            verdict.at, verdict.broken = end.seq, "is not the one the gateway wrote"
    return verdict
