"""Whether two mappings say the same of a product's answers, also where today's values cannot tell.

Rules of this file: pure; both mappings are asked the answers as they are, and again with every number, text and truth
value changed, so that neither a 0 nor two members that happen to be equal hide a wrong path or scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.checkout.paths import Data
from gateway.checkout.truth import Answers, Change, Expected, Truth

FITS = 0.5
"""A mapping that finds a value for this part of its points speaks of these answers."""
CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """What two mappings make of one point; `proven`: the second finds a value where it looks."""

    text: str
    proven: bool


def _nobody(_name: str) -> bool:
    return False


def numbers_changed(document: Any) -> Any:
    """Each number another one, none in a simple ratio to another."""
    count = iter(range(1, 1 << 30))
    return _changed(document, lambda raw: raw + 1009 * (step := next(count)) + step * step if _is_number(raw) else raw)


def texts_changed(document: Any) -> Any:
    """Each text another one, each truth value the other."""
    count = iter(range(1, 1 << 30))

    def other(raw: Any) -> Any:
        if isinstance(raw, bool):
            return not raw
        return f"{raw} {next(count)}" if isinstance(raw, str) else raw

    return _changed(document, other)


def _is_number(raw: Any) -> bool:
    return isinstance(raw, (int, float)) and not isinstance(raw, bool)


def _changed(document: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(document, dict):
        return {name: _changed(value, leaf) for name, value in document.items()}
    if isinstance(document, list):
        return [_changed(item, leaf) for item in document]
    return leaf(document)


CHANGES: tuple[Change | None, ...] = (None, numbers_changed, texts_changed)


def fit(source: str, kinds: Data, answers: Answers) -> float:
    """For which part of its kinds' points a mapping finds a value in these answers, 0..1."""
    found: dict[tuple[str, str], bool] = {}
    for name, expected in Truth(source, kinds, answers).values(_nobody).items():
        parts = name.split("/")
        key = (parts[1], parts[-1])
        found[key] = found.get(key, False) or expected.value is not None
    return sum(found.values()) / len(found) if found else 0.0


def differences(
    source: str, mine: Data, other: Data, answers: Answers, personal: Callable[[str], bool] = _nobody
) -> dict[str, Difference]:
    """By point name, what `mine` makes of the answers and `other` does not, of the points that both have.

    `personal` says whether a member's name is about a person: its value stands in no text.
    """
    found: dict[str, Difference] = {}
    equal: set[str] = set()
    for change in CHANGES:
        one = Truth(source, mine, answers, change).values(personal)
        two = Truth(source, other, answers, change).values(personal)
        for name in one.keys() & two.keys():
            if name in found and found[name].proven:
                continue
            if not _same(one[name], two[name]):
                shown = "" if change is None else " (with other values in the same members)"
                text = f"this mapping takes {_said(one[name])}, the reference {_said(two[name])}{shown}"
                found[name] = Difference(text, two[name].value is not None)
            elif one[name].value is not None and change is not texts_changed:
                equal.add(name)
    for name, text in _written(source, mine, other, answers):
        if name not in found and name not in equal:
            found[name] = Difference(text, proven=False)
    return found


def _same(one: Expected, two: Expected) -> bool:
    if one.enum != two.enum:
        return False
    first, second = one.value, two.value
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return abs(first - second) <= CLOSE * max(abs(first), abs(second), 1.0)
    return type(first) is type(second) and first == second


def _said(expected: Expected) -> str:
    if isinstance(expected.value, str) and expected.value.startswith("("):  # a commandable point, with all that decides
        return f"{expected.where} with another path, scale, default, none_when or verify"
    value = "no value" if expected.value is None else "<hidden>" if expected.hidden else str(expected.value)[:80]
    return f"{value} from {expected.where}" if expected.where else value


def _written(source: str, mine: Data, other: Data, answers: Answers) -> Iterator[tuple[str, str]]:
    """Points that are written differently; whether it matters is for the values to say."""
    named = Truth(source, mine, answers)
    names = named.values(_nobody)
    for kind, data in mine.items():
        theirs: Mapping[str, Any] = (other.get(kind) or {}).get("points") or {}
        for point, said in (data.get("points") or {}).items():
            if said is None or theirs.get(point) is None:
                continue
            apart = [key for key in ("path", "scale", "offset") if said.get(key) != theirs[point].get(key)]
            if apart:
                text = f"its {' and '.join(apart)} differ from the reference's, and no answer proves either"
                ends = f"/{point}", f"/{point}.applied"
                yield from ((n, text) for n in names if n.startswith(f"{source}/{kind}/") and n.endswith(ends))
