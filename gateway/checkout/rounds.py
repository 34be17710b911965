"""The whole check-out: read everything, compare, and read again what did not agree, for values move.

Rules of this file: nothing is written anywhere; the JSON comes from the running gateway, so no session of a product is
taken; each server is asked by one client, one request at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.checkout.judge import Case, Reading, Result, judge
from gateway.checkout.paths import Data
from gateway.checkout.probe import FITS, Difference, differences, fit
from gateway.checkout.reading import Servers, read_objects, read_registers
from gateway.checkout.sheet import Line
from gateway.checkout.truth import Expected, Truth

ROUNDS = 4
BETWEEN_S = 0.7
Ask = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A mapping that says what is right; `named` by somebody, or one of those that come with the gateway."""

    name: str
    product: str
    kinds: Data
    named: bool


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """A source with what its mapping file says, as plain data."""

    name: str
    product: str
    kinds: Data


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared. `lines` is the list of the BMS, `served` what the configuration files serve."""

    lines: Sequence[Line]
    served: Sequence[Line]
    sources: Sequence[SourceMapping]
    references: Sequence[Reference]
    readings: Mapping[str, Reading]
    personal: Callable[[str], bool]


@dataclass(slots=True)
class Outcome:
    """Every point's result, in the order of the list, and which reference was used for which source."""

    results: list[Result] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    rows: dict[str, dict[str, Any]]
    expected: dict[str, Expected]


async def check_out(wanted: Wanted, servers: Servers, ask: Ask) -> Outcome:
    """Reads and compares; `ask` answers `/points` and `/answers` as the control socket does.

    Raises:
        OSError: a server cannot be reached.
    """
    outcome = Outcome()
    apart, strict = await _apart(wanted, ask, outcome)
    served = _by_point(wanted.served)
    open_points = _by_point(wanted.lines)
    order = list(open_points)
    results: dict[str, Result] = {}
    for turn in range(ROUNDS):
        if turn:
            await asyncio.sleep(BETWEEN_S)
        lines = [line for several in open_points.values() for line in several]
        before = await _look(wanted, ask)
        registers = await read_registers(lines, servers)
        objects = await read_objects(lines, servers)
        after = await _look(wanted, ask)
        for point, own in open_points.items():
            case = Case(
                point,
                own,
                served.get(point, ()),
                [before.rows.get(point), after.rows.get(point)],
                [before.expected.get(point), after.expected.get(point)],
                registers,
                objects,
                apart.get(point),
                point.partition("/")[0] in strict,
                wanted.readings.get(point),
            )
            results[point] = judge(case)
        open_points = {point: own for point, own in open_points.items() if results[point].verdict == "fail"}
        if not open_points:
            break
    outcome.results = [results[point] for point in order] + _left_out(wanted, order)
    return outcome


def _by_point(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.point, []).append(line)
    return found


def _left_out(wanted: Wanted, known: Sequence[str]) -> list[Result]:
    """What the gateway serves and the list does not have: no fault of the list, and nothing that was checked."""
    text = "the list does not have it"
    missing = _by_point(wanted.served).keys() - set(known)
    return [Result(point, "skipped", text, "", "", "", "", "") for point in sorted(missing)]


async def _look(wanted: Wanted, ask: Ask) -> _Snapshot:
    """The gateway's rows and the products' JSON, as close to each other as can be."""
    answers = await ask("/answers")
    rows = {row["point"]: row for row in await ask("/points")}
    expected: dict[str, Expected] = {}
    for source in wanted.sources:
        truth = Truth(source.name, source.kinds, answers.get(source.name, {}))
        expected |= truth.values(wanted.personal)
    return _Snapshot(rows, expected)


async def _apart(wanted: Wanted, ask: Ask, outcome: Outcome) -> tuple[dict[str, Difference], set[str]]:
    """Where each source's mapping differs from its reference, and the sources whose reference somebody named."""
    answers = await ask("/answers")
    found: dict[str, Difference] = {}
    strict: set[str] = set()
    for source in wanted.sources:
        said = answers.get(source.name, {})
        mine = [one for one in wanted.references if one.product == source.product]
        named = [one for one in mine if one.named]
        fits = [(fit(source.name, one.kinds, said), one) for one in (named or mine)]
        best, chosen = max(fits, key=lambda pair: pair[0], default=(0.0, None))
        if chosen is None or (not chosen.named and best < FITS):
            continue
        outcome.references[source.name] = chosen.name
        found |= differences(source.name, source.kinds, chosen.kinds, said, wanted.personal)
        strict |= {source.name} if chosen.named else set()
    return found, strict
