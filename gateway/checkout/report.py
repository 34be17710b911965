"""The report of a check-out, to print and for programs; pure.

Rules of this file: every text is escaped, the page needs nothing beside it; what failed comes first, what was not
proven says why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import groupby

from gateway.checkout.judge import Result

STYLE = """\
@page { size: A4 landscape; margin: 12mm }
body { font: 12px/1.35 system-ui, sans-serif; margin: 1.5em; color: #111 }
h1 { font-size: 20px } h2 { font-size: 15px; margin: 1.4em 0 .3em; page-break-after: avoid }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group } tr { page-break-inside: avoid }
th, td { border: 1px solid #bbb; padding: 2px 5px; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee } .fail { background: #fdd; font-weight: bold } .pass { background: #e6f5e6 }
.skipped { background: #f4f4f4 } dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 1em }
dt { font-weight: bold } dd { margin: 0 }"""
WORDS = {"pass": "pass", "fail": "FAIL", "skipped": "not proven"}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above a report. `made` is UTC; `references` name the mapping each source was held against."""

    site: str
    made: str
    version: str
    map_hash: str
    sheet: str
    references: Mapping[str, str]
    readings: int = 0


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many points there are, and what became of them."""
    found = Counter(result.verdict for result in results)
    return {"points": len(results), "passed": found["pass"], "failed": found["fail"], "skipped": found["skipped"]}


def as_json(head: Head, results: Sequence[Result]) -> str:
    """The report for a program."""
    body = {**asdict(head), "summary": counts(results), "points": [asdict(result) for result in results]}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def as_html(head: Head, results: Sequence[Result]) -> str:
    """The report as one page."""
    summary = counts(results)
    failed = [result for result in results if result.verdict == "fail"]
    title = f"Check-out of {head.site or 'the EVCE gateway'}"
    verdict = f"{summary['failed']} of {summary['points']} points FAILED" if failed else "no point failed"
    facts = {
        "Date": head.made,
        "Gateway version": head.version,
        "Map hash": head.map_hash,
        "Result": f"{verdict}; {summary['passed']} passed, {summary['skipped']} not proven",
        "Read by": f"the register list {head.sheet}, over Modbus TCP and BACnet/IP",
        "Mappings held against": ", ".join(f"{k}: {v}" for k, v in head.references.items()) or "no other mapping",
        "Readings by hand": str(head.readings),
    }
    parts = [
        f"<h1>{escape(title)}</h1><dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
        "</dl>",
    ]
    if failed:
        parts += ["<h2>Failed</h2>", _table(failed)]
    for resource, rows in groupby(results, key=lambda result: result.point.rpartition("/")[0]):
        parts += [f"<h2>{escape(resource)}</h2>", _table(list(rows))]
    parts.append("<h2>Signed</h2><p>Name, date: ______________________________</p>")
    head_text = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head_text}</head><body>{"".join(parts)}</body></html>\n'


def _table(results: Sequence[Result]) -> str:
    names = ("Point", "Result", "Modbus", "BACnet", "Product", "Unit", "Compared with", "Remark")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, results))}</tbody></table>"


def _row(one: Result) -> str:
    name = escape(one.point.rpartition("/")[2]) if one.verdict != "fail" else escape(one.point)
    cells = (one.modbus, one.bacnet, one.source, one.unit, one.compared, one.text)
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="{one.verdict}"><td>{name}</td><td>{WORDS[one.verdict]}</td>{shown}</tr>'
