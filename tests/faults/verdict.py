"""What must be true after the disturbance, against what was measured before it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MORE_FDS = 8
"""Keep-alive connections of a source that was idle at the baseline."""
MORE_TASKS = 4
MORE_RSS_MB = 12.0
LINES_PER_EVENT = 12.0
REPEATS = 0.10
REPEAT_S = 10.0
SLOWEST_READ_S = 1.0
_TIME = re.compile(r"^(\d\d):(\d\d):(\d\d) ")
_SUBJECT = re.compile(r" (?:source|read|point|resource)=('[^']*'|\"[^\"]*\"|\S+)")
_NUMBERS = re.compile(r"\d+")
_ID = re.compile(r"\bid: (\"(?:[^\"\\]|\\.)*\"|null)")


@dataclass
class Verdict:
    """The report: every line is a figure, every problem a reason for exit code 1."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def judge(self, what: str, seen: object, fine: bool, bound: str = "") -> None:
        """One figure with its bound in words."""
        self.lines.append(f"{'ok   ' if fine else 'WRONG'} {what}: {seen}{f'  ({bound})' if bound else ''}")
        if not fine:
            self.problems.append(f"{what}: {seen}{f' ({bound})' if bound else ''}")


def good(points: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Names of the points whose quality is good."""
    return {name for name, row in points.items() if row["quality"] == "good"}


def without_ids(addresses: str) -> str:
    """addresses.yaml with every id taken out."""
    return _ID.sub("id: -", addresses)


def judge_process(verdict: Verdict, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Descriptors, tasks and memory of the gateway's process."""
    for key, more in (("fds", MORE_FDS), ("tasks", MORE_TASKS), ("rss_mb", MORE_RSS_MB)):
        bound = f"at most {before[key]} + {more:g}"
        verdict.judge(key, f"{before[key]} then {after[key]}", after[key] <= before[key] + more, bound)


def judge_log(verdict: Verdict, lines: Sequence[str], seconds: float, events: int, brief: float) -> None:
    """How much was logged, how much of it again and again, and nothing that only a defect writes."""
    window_s = REPEAT_S / brief
    repeated = repeats(lines, window_s)
    share = repeated / len(lines) if lines else 0.0
    per_minute, per_event = len(lines) / seconds * 60, len(lines) / max(events, 1)
    told = f"{len(lines)}, {per_minute:.1f} a minute, {per_event:.1f} an event"
    verdict.judge("log lines", told, per_event <= LINES_PER_EVENT, f"at most {LINES_PER_EVENT:g} an event")
    bound = f"the same of the same subject within {window_s:g} s, at most {REPEATS:.0%}"
    verdict.judge("  repeats", f"{repeated} ({share:.1%})", share <= REPEATS, bound)
    defects = [line for line in lines if "Traceback" in line or "[critical" in line or "never retrieved" in line]
    verdict.judge("  defects in the log", defects[:3] or "none", not defects)


def repeats(lines: Sequence[str], window_s: float) -> int:
    """Lines that say, but for numbers and time, what the last line about the same source, read or point said."""
    last: dict[tuple[str, ...], tuple[int, str]] = {}
    found = 0
    for line in lines:
        match = _TIME.match(line)
        if match is None:
            continue
        at = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
        subject, text = tuple(_SUBJECT.findall(line)), _NUMBERS.sub("#", line[match.end() :])
        then, said = last.get(subject, (0, ""))
        found += text == said and 0 <= at - then <= window_s
        last[subject] = at, text
    return found
