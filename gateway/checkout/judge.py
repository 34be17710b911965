"""One point held against everything that is known about it; pure.

Rules of this file: what moves may be anywhere between what it was before the reading and after; "no value" has to be
said by every side; whatever cannot be proven now is skipped with the reason, never passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.checkout.probe import Difference
from gateway.checkout.reading import Seen
from gateway.checkout.sheet import Line, Object, Registers
from gateway.checkout.truth import Expected

Verdict = Literal["pass", "fail", "skipped"]
OUT_OF_SERVICE = "out of service"
OLD_S = 15.0
LARGEST = {"uint16": 65534, "enum": 65534, "int16": 32767, "uint32": 4294967294, "int32": 2147483647}
NEAR, NEAR_ABS = 2e-6, 1e-5
AGE_S = 1.1
"""Ages count on between two looks at them."""
READING = 0.02
"""How far a reading of a person may be off when it says nothing else."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one point; values as text, `compared` says with what."""

    point: str
    verdict: Verdict
    text: str
    modbus: str
    bacnet: str
    source: str
    unit: str
    compared: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a person read at the product: a number or a text, and how far off it may be (None: 2 %)."""

    value: float | str
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Everything known about one point. `rows` and `expected` are from before and after the reading."""

    point: str
    lines: Sequence[Line]
    served: Sequence[Line]
    rows: Sequence[Mapping[str, Any] | None]
    expected: Sequence[Expected | None]
    registers: Mapping[Registers, Seen]
    objects: Mapping[Object, Seen]
    difference: Difference | None = None
    strict: bool = False
    """Whether the other mapping is one that somebody named: then it is right."""
    reading: Reading | None = None


def judge(case: Case) -> Result:
    """Passes, fails or skips a point."""
    expected = [one for one in case.expected if one is not None]
    basis = expected[-1] if expected else None
    row = case.rows[-1]
    faults, skip = _listed(case), ""
    if row is None:
        faults.append("the gateway has no such point")
    else:
        skip = _skipped(case, row, basis)
        faults += _values(case, _targets(case, row, basis, skipped=bool(skip)), row, basis)
        faults += _truths(case, row, basis)
    verdict: Verdict = "fail" if faults else "skipped" if skip else "pass"
    return Result(
        case.point,
        verdict,
        "; ".join(faults) if faults else skip,
        _shown([case.registers.get(line.registers) for line in case.lines if line.registers is not None], basis),
        _shown([case.objects.get(line.object) for line in case.lines if line.object is not None], basis),
        _source_text(row, basis),
        case.lines[0].unit,
        _compared(case, basis),
        case.lines[0].description,
    )


def _listed(case: Case) -> list[str]:
    """The list against what the gateway says it serves."""
    if not case.served:
        return ["the gateway does not serve it"]
    if len(case.served) < len(case.lines):
        return ["the list has more encodings than the gateway serves"]
    return [text for one, two in zip(case.lines, case.served, strict=False) if (text := one.differs(two))]


def _skipped(case: Case, row: Mapping[str, Any], basis: Expected | None) -> str:
    """Why nothing can be proven now; "" if it can."""
    quality, reason = row["quality"], row["reason"] or ""
    if reason.startswith(OUT_OF_SERVICE):
        return reason
    if quality == "bad" and row["value"] is None and case.lines[0].optional:
        return "optional: the product has not sent it yet"
    if quality == "config_error":
        return f"configuration: {reason}"
    if basis is None:
        return f"no value: {reason}" if row["value"] is None and reason else ""
    if basis.value is None:
        return f"no value: {basis.why or reason}"
    if quality != "good" and (basis.age_s is None or basis.age_s > OLD_S or reason.startswith("over-range")):
        return f"{quality}: {reason}"
    if quality == "stale":
        return f"stale: {reason}"
    return ""


def _targets(case: Case, row: Mapping[str, Any], basis: Expected | None, *, skipped: bool) -> list[Any]:
    """What both servers may say: the JSON's values, or the gateway's own where there is none to ask."""
    own = [one["value"] for one in case.rows if one is not None]
    if basis is None or (skipped and (row["value"] is not None or basis.value is None)):
        return own
    return [one.value for one in case.expected if one is not None] if not skipped else own


def _values(case: Case, targets: list[Any], row: Mapping[str, Any], basis: Expected | None) -> list[str]:
    faults = []
    unknown = basis is not None and basis.why == "unknown text"
    for line in case.lines:
        if line.registers is not None and line.registers in case.registers:
            seen, where = case.registers[line.registers], f"Modbus {line.registers.place}"
            held = row["quality"] in {"bad", "config_error"} and line.registers.no_value == "last value"
            unseen = line.optional and row["value"] is None
            if not held and not unseen:
                faults += _side(seen, targets, line, where, basis)
                faults += _coils(seen, where) if line.registers.type == "bool" else []
        if line.object is not None and line.object in case.objects:
            seen, where = case.objects[line.object], f"BACnet {line.object.place}"
            if line.optional and row["value"] is None:
                continue
            if unknown:
                faults += [] if seen.reliability else [f"{where} is not marked, and the text is unknown"]
            elif row["value"] is None and isinstance(seen.value, (int, str)) and seen.reliability:
                pass  # the last state, marked as what it is
            else:
                faults += _side(seen, targets, Line(*_without_registers(line)), where, basis)
            faults += _marks(case, seen, where) if not unknown else []
            if line.object.name and seen.name and _line_of(seen.name) != _line_of(line.object.name):
                faults.append(f"{where} is called {seen.name}, and the list says {line.object.name}")
    return faults


def _without_registers(line: Line) -> tuple[Any, ...]:
    return (line.point, line.description, line.unit, line.optional, None, line.object, line.map_hash)


def _side(seen: Seen, targets: list[Any], line: Line, where: str, basis: Expected | None) -> list[str]:
    if seen.problem:
        return [f"{where}: {seen.problem}"]
    if agrees(seen.value, targets, line.registers, ages=line.point.endswith("_s")):
        return []
    said = "its JSON" if basis is not None else "the gateway"
    hidden = basis is not None and basis.hidden
    return [f"{where} says {_text(seen.value, hidden)}, {said} {_text(targets[-1], hidden)}"]


def _coils(seen: Seen, where: str) -> list[str]:
    if seen.coil_problem:
        return [f"{where}: {seen.coil_problem}"]
    said = None if seen.value is None else bool(seen.value)
    return [] if seen.coil == said else [f"{where} says {said}, its coil {seen.coil}"]


def _marks(case: Case, seen: Seen, where: str) -> list[str]:
    """BACnet's Reliability and the quality say the same, where the quality did not change meanwhile."""
    rows = [one for one in case.rows if one is not None]
    words = {one["quality"] for one in rows}
    if len(words) != 1 or seen.problem or any(one["access"] == "rw" or "slots" in one for one in rows):
        return []
    if any((one["reason"] or "").startswith((OUT_OF_SERVICE, "unknown text")) for one in rows):
        return []
    good = words == {"good"}
    if good == (seen.reliability == 0):
        return []
    return [f"{where} has Reliability {seen.reliability}, and the quality is {words.pop()}"]


def agrees(said: Any, targets: Sequence[Any], registers: Registers | None, *, ages: bool = False) -> bool:
    """Whether a protocol's value is one of the targets, or a number between them."""
    if said is None and registers is not None and registers.no_value.isalnum():
        raw = int(registers.no_value, 16) if len(registers.no_value) == 4 else None
        if raw is not None and any(_number(one) and one == raw * registers.scale for one in targets):
            return True  # a number that is also the sign for none
    numbers = [float(one) for one in targets if _number(one)]
    if _number(said) and numbers:
        step = registers.step / 2 if registers is not None else 0.0
        most = LARGEST.get(registers.type) if registers is not None else None
        if registers is not None and most is not None:
            numbers = [min(one, most * registers.scale) for one in numbers]
        near = max(NEAR * max(abs(one) for one in numbers), NEAR_ABS if step == 0 else 0)
        room = step + near + 1e-9 + (AGE_S if ages else 0.0)
        return min(numbers) - room <= float(said) <= max(numbers) + room
    texts = [(one or None) if isinstance(one, str) else one for one in targets]
    if registers is not None and registers.room:
        texts = [_cut(one, registers.room) if isinstance(one, str) else one for one in texts]
    return said in texts and not _number(said)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _cut(text: str, room: int) -> str | None:
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") or None


def _truths(case: Case, row: Mapping[str, Any], basis: Expected | None) -> list[str]:
    """The mapping against the other one, and against what a person read."""
    faults = []
    if case.reading is not None:
        text = row.get("text")
        if not _read(case.reading, row["value"], text):
            served = text or _text(row["value"], basis is not None and basis.hidden)
            faults.append(f"a person read {case.reading.value}, and the gateway serves {served}")
        elif not case.strict:
            return faults
    if case.difference is not None and (case.strict or case.difference.proven):
        more = "" if case.strict else ": if yours is right, prove it with --readings or --reference"
        faults.append(case.difference.text + more)
    return faults


def _read(reading: Reading, value: Any, text: Any) -> bool:
    if isinstance(reading.value, str):
        return reading.value in (value, text)
    if not _number(value):
        return False
    room = reading.tolerance if reading.tolerance is not None else READING * abs(reading.value) + NEAR_ABS
    return abs(float(value) - reading.value) <= room


def _compared(case: Case, basis: Expected | None) -> str:
    with_what = f"JSON: {basis.where}" if basis is not None else "the gateway's own value: no product sends it"
    extra = ", a reading by hand" if case.reading is not None else ""
    return with_what + extra


def _source_text(row: Mapping[str, Any] | None, basis: Expected | None) -> str:
    if basis is not None:
        return _text(basis.value, basis.hidden)
    return "" if row is None else _text(row["value"], hidden=False)


def _shown(seen: Sequence[Seen | None], basis: Expected | None) -> str:
    hidden = basis is not None and basis.hidden
    return " / ".join(one.problem or _text(one.value, hidden) for one in seen if one is not None)


def _text(value: Any, hidden: bool) -> str:
    if value is None or value == "":
        return "no value"
    if hidden:
        return "<hidden>"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _line_of(text: str) -> str:
    """A name as a register list in CSV writes it: on one line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
