"""The printable report of a reduction: what was asked, when it was in force, and what was measured before and after.

Rules of this file: every text is escaped; the page has no script and one style sheet of the gateway's own; what is
not known is said, never left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import zip_longest

from gateway.core.trend import Recorded
from gateway.core.value import STALE
from gateway.store.evidence import Record

AROUND_S = 900.0
"""Over how long the measurement before and after is taken."""
UNKNOWN = "not known"
CUT = " Only the newest are shown: choose a shorter time to see the others."


@dataclass(frozen=True, slots=True)
class Reduction:
    """One accepted value: who asked for what, and when it was seen in force; Unix times."""

    asked_at: float
    by: str
    slot: int
    value: str
    in_force_at: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: site, point, unit, and the point that measures what it limits."""

    site: str
    point: str
    unit: str
    measured: str
    measured_unit: str


def reductions(records: Sequence[Record]) -> list[Reduction]:
    """Every accepted value or release, each with the first proof that came before the next one."""
    found: list[Reduction] = []
    accepted = [i for i, record in enumerate(records) if record["event"] in ("accepted", "released")]
    for i, after in zip(accepted, [*accepted, len(records)][1:], strict=True):
        record = records[i]
        proof = next((r for r in records[i + 1 : after] if r["event"] == "verified"), None)
        by = " ".join(part for part in (record["protocol"], record["client"], record["user"]) if part)
        value = record["new"] or "release"
        found.append(
            Reduction(unix(record["utc"]), by, record["slot"], value, None if proof is None else unix(proof["utc"]))
        )
    return found


def unix(utc: str) -> float:
    """A time of the evidence as Unix time."""
    return datetime.fromisoformat(utc).timestamp()


def mean(samples: Sequence[Recorded], since: float, until: float) -> float | None:
    """The mean over time of what was measured, None when less than half of that time is known."""
    area = known = 0.0
    for sample, following in zip_longest(samples, samples[1:]):
        begin, end = max(sample.at, since), min(until if following is None else following.at, until)
        usable = isinstance(sample.value, (int, float)) and sample.quality <= STALE
        if usable and end > begin:
            area += float(sample.value or 0.0) * (end - begin)
            known += end - begin
    return area / known if known >= (until - since) / 2 and known > 0 else None


def html(
    subject: Subject,
    found: Sequence[tuple[Reduction, float | None, float | None]],
    records: Sequence[Record],
    now: float,
    *,
    cut: bool = False,
) -> bytes:
    """The whole report; each reduction with what was measured before it was asked and after it was in force.

    `cut`: there are older ones that it does not show, and says so.
    """
    rows = "".join(
        _row(
            _local(one.asked_at),
            one.by,
            str(one.slot or ""),
            _value(one.value, subject.unit),
            UNKNOWN if one.in_force_at is None else _local(one.in_force_at),
            "" if one.in_force_at is None else f"{one.in_force_at - one.asked_at:.0f} s",
            _measured(before, subject),
            _measured(after, subject),
        )
        for one, before, after in found
    )
    events = "".join(
        _row(
            str(r["seq"]),
            r["utc"],
            r["event"],
            " ".join(part for part in (r["protocol"], r["client"], r["user"]) if part),
            str(r["slot"] or ""),
            f"{r['old'] or '-'} to {r['new'] or '-'}",
            r["answer"],
            r["applied"],
        )
        for r in records
    )
    last = records[-1]["hash"] if records else "none"
    measured = subject.measured or "nothing: the mapping names no current of this resource"
    minutes = f"{AROUND_S / 60:.0f} minutes"
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Report: {escape(subject.point)}</title>
<link rel="stylesheet" href="/static/public/report.css"></head>
<body>
<h1>{escape(subject.point)}</h1>
<p>{escape(subject.site or "This site")}, made {escape(_local(now))}. Measured: {escape(measured)},
mean of the {minutes} before the command and of the {minutes} after it was in force.{CUT if cut else ""}</p>
<h2>Commands</h2>
<table><thead>{_head("asked", "by", "slot", "value", "in force", "after", "measured before", "measured after")}</thead>
<tbody>{rows or _row("no command in this time")}</tbody></table>
<h2>Evidence</h2>
<table><thead>{_head("no.", "time (UTC)", "event", "by", "slot", "change", "answer", "applied")}</thead>
<tbody>{events or _row("no record in this time")}</tbody></table>
<p>The evidence is a chain: each record carries the hash of the one before it. Hash of the last record above:
<code>{escape(last)}</code>. The command <code>evce-gateway evidence verify</code> checks the whole chain.</p>
</body>
</html>
""".encode("utf-8", "replace")


def _head(*cells: str) -> str:
    return "<tr>" + "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells) + "</tr>"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _value(text: str, unit: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return f"{value:g} {unit}".strip() if isinstance(value, (int, float)) and not isinstance(value, bool) else text


def _measured(value: float | None, subject: Subject) -> str:
    return UNKNOWN if value is None else f"{value:.1f} {subject.measured_unit}".strip()


def _local(unix_time: float) -> str:
    """A moment in the time zone of the gateway's machine."""
    return datetime.fromtimestamp(unix_time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
