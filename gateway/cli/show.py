"""How things are shown to people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.core.errors import Fault

out = Console(highlight=False, soft_wrap=True, emoji=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
COLORS = {"good": "green", "stale": "yellow", "bad": "red", "config_error": "magenta"}


def clean(text: object) -> str:
    """Text from a product on one line, without control characters or markup."""
    shown = str(text)
    return escape(shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii"))


def show_json(value: Any) -> None:
    """Machine-readable output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_faults(faults: Iterable[Fault], word: str = "") -> None:
    """One fault a line, as `file:line:col: key.path: text`."""
    for fault in faults:
        err.print(f"{word}{clean(fault)}")


def value_text(row: Mapping[str, Any]) -> str:
    """A value with its unit, its state text, or a dash."""
    value = row["value"]
    if value is None:
        return "-"
    if row.get("text"):
        return f"{row['text']} ({value})"
    shown = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f"{shown} {row['unit']}".strip()


def modbus_text(row: Mapping[str, Any]) -> str:
    """`unit/register type`."""
    place = row["modbus"]
    if place is None:
        return ""
    bit = f".{place['bit']}" if "bit" in place else ""
    return f"{place['unit']}/{place['register']}{bit} {row['type']}"


def bacnet_text(row: Mapping[str, Any]) -> str:
    """`object,instance`."""
    place = row["bacnet"]
    return f"{place['object']},{place['instance']}" if place else ""


def point_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Points with value, quality and both addresses."""
    table = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for name in ("point", "value", "quality", "modbus", "bacnet", "reason"):
        table.add_column(name, no_wrap=name != "reason", overflow="fold")
    for row in rows:
        quality = row["quality"] or "-"
        color = COLORS.get(quality, "default")
        table.add_row(
            clean(row["point"]),
            clean(value_text(row)),
            f"[{color}]{quality}[/]",
            modbus_text(row),
            bacnet_text(row),
            clean(row["reason"] or ""),
        )
    return table


def plain_points(rows: Iterable[Mapping[str, Any]]) -> None:
    """One point a line, tab-separated, for long lists and pipes."""
    for row in rows:
        cells = (row["point"], value_text(row), row["quality"] or "-", modbus_text(row), bacnet_text(row))
        line = "\t".join(cell if cell.isprintable() else ascii(cell)[1:-1] for cell in cells)
        sys.stdout.write(line + "\n")


def show_status(status: Mapping[str, Any]) -> None:
    """What a person asks first."""
    out.print(
        f"[bold]{clean(status['site'] or 'EVCE gateway')}[/]  version {status['version']}, map {status['map_hash']}"
    )
    out.print(f"up {status['uptime_s']} s, alarms {status['alarms']}, leases {status['lease']}")
    if status["dry_run"]:
        out.print("[yellow]DRY RUN: nothing is sent to any product[/]")
    for source in status["sources"]:
        color = "green" if source["connected"] else "red"
        last = "never" if source["last_good_s"] is None else f"{source['last_good_s']:g} s ago"
        out.print(
            f"  [{color}]{source['state']:8}[/] {source['name']}: last good answer {last}, "
            f"errors {source['errors']} {clean(source['reason'])}"
        )
    out.print("points: " + ", ".join(f"{count} {quality}" for quality, count in sorted(status["points"].items())))
    for label, reason in status["inhibited"].items():
        out.print(f"  [yellow]inhibited[/] {clean(label)}: {clean(reason)}")
    for text in status["bad"]:
        out.print(f"  [red]no value[/] {clean(text)}")
    for point, applied in status["foreign_limits"].items():
        out.print(f"  [yellow]not asked here[/] {clean(point)}: {applied} is in force upstream; `release` ends it")
    for label, count in status["without_address"].items():
        out.print(f"  [yellow]no address left[/] for {count} of {clean(label)}: raise `capacity` in the mapping")
    for protocol in ("modbus", "bacnet"):
        if status[protocol]:
            out.print(f"{protocol}: port {status[protocol]['port']}, {len(status[protocol]['clients'])} clients")
