"""How things are shown to people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.core.errors import Fault
from gateway.core.point import MOST_DEVICES

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
    """`object,instance`, with the device before it if it is a virtual one."""
    place = row["bacnet"]
    if place is None:
        return ""
    device = f"{place['device']}/" if place.get("virtual") else ""
    return f"{device}{place['object']},{place['instance']}"


def slot_text(slot: Mapping[str, Any]) -> str:
    """What a slot holds, by whom, and when it ends."""
    who = clean(slot["origin"])
    if slot["failsafe"]:
        did = "released" if slot["value"] is None else f"holds {clean(slot['value'])}"
        return f"[red]FAILSAFE[/] {did}; last written by {who}"
    text = f"{clean(slot['value'])} by {who}"
    if slot["until"] is not None:
        end = datetime.fromisoformat(slot["until"]).astimezone()
        text += f", until {end:%Y-%m-%d %H:%M} (in {seconds_text(slot['left_s'])}), then released"
    elif slot["left_s"] is not None:
        text += f", lease ends in {seconds_text(slot['left_s'])}"
    return f"{text} [yellow](dry run: not sent)[/]" if slot["dry_run"] else text


def seconds_text(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


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
    _show_commands(status)
    _show_sources(status)
    out.print("points: " + ", ".join(f"{count} {quality}" for quality, count in sorted(status["points"].items())))
    _show_points(status)
    for protocol in ("modbus", "bacnet"):
        if status[protocol]:
            out.print(f"{protocol}: port {status[protocol]['port']}, {len(status[protocol]['clients'])} clients")
    if status["bacnet"]:
        _show_bacnet(status["bacnet"])
    if web := status["web"]:
        certificate = f", certificate {web['fingerprint']}" if web["fingerprint"] else ", http on this machine only"
        out.print(f"page: port {web['port']}, {web['pages']} open{certificate}")


def _show_bacnet(bacnet: Mapping[str, Any]) -> None:
    """What a BMS may not find, and what others say the time is."""
    if bacnet["virtual"]:
        behind = bacnet["virtual"]
        span = f": {behind['first']}..{behind['last']}" if behind["count"] else ""
        out.print(f"bacnet: {behind['count']} virtual devices in network {behind['network']}{span}")
    if bacnet["hint"]:
        out.print(f"[yellow]bacnet: {clean(bacnet['hint'])}[/]")
    if bacnet["time_sync"]:
        said, ahead_s = bacnet["time_sync"], bacnet["time_sync"]["ahead_s"]
        at = datetime.fromtimestamp(said["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        apart = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s >= 0 else 'behind'} this machine's"
        out.print(f"bacnet: {clean(said['client'])} sent the time at {at}, {apart} clock, which is not changed")


def _show_commands(status: Mapping[str, Any]) -> None:
    """What keeps commands from being what somebody asked for, before anything else."""
    if status["persistence_fault"]:
        out.print(f"[red]PERSISTENCE FAULT: commands work, but may be lost: {clean(status['persistence_fault'])}[/]")
    if status["read_only"]:
        out.print("[yellow]READ ONLY: every command is refused, and nothing is sent (control.read_only)[/]")
    if status["dry_run"]:
        out.print("[yellow]DRY RUN: nothing is sent to any product[/]")
    for point, slots in status["failsafe"].items():
        out.print(f"  [red]FAILSAFE[/] {clean(point)}: {_failsafe_text(slots['lost'], slots['rules'])}")
    for label, reason in status["inhibited"].items():
        out.print(f"  [yellow]inhibited[/] {clean(label)}: {clean(reason)}")
    for label in status["missing"]:
        out.print(f"  [yellow]missing[/] {clean(label)}: the product does not list it any more")
    for text in status["alarm_texts"]:
        out.print(f"  [red]alarm[/] {clean(text)}")
    for alarm in status["point_alarms"]:
        if not alarm["acknowledged"]:
            at = datetime.fromtimestamp(alarm["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            out.print(f"  [yellow]not acknowledged[/] {clean(alarm['text'])} ({at})")


def _failsafe_text(lost: Sequence[int], rules: int | None) -> str:
    """Which slots have lost their BMS, and which one rules."""
    numbers = " and ".join(map(str, lost))
    ruling = "no slot rules" if rules is None else f"slot {rules} rules"
    return f"slot{'s' * (len(lost) > 1)} {numbers} lost, {ruling}; a write to a lost slot ends it"


def _show_sources(status: Mapping[str, Any]) -> None:
    """Each source in a line or two, and the certificates that end soon."""
    for source in status["sources"]:
        color = "green" if source["connected"] else "red"
        last = "never" if source["last_good_s"] is None else f"{source['last_good_s']:g} s ago"
        counters = f"errors {source['errors']}, relogins {source['relogins']}, overruns {source['overruns']}"
        out.print(f"  [{color}]{source['state']:8}[/] {source['name']}: last good answer {last}, {counters}")
        if source["reason"]:
            retry = "" if source["retry_in_s"] is None else f"; next try in {source['retry_in_s']:.0f} s"
            out.print(f"           {clean(source['reason'])}{retry}")
        for request, reason in source["failing"].items():
            out.print(f"           [yellow]{clean(request)}[/] fails: {clean(reason)}")
    for name, certificate in status["certificates_ending"].items():
        ends = f"ends {certificate['ends']}, in {certificate['days']} days"
        then = f"put the new one into config.yaml (`evce-gateway trust {name}` shows it)"
        out.print(f"  [yellow]certificate[/] of {name} {ends}: renew it in the product, then {then}")


def _show_points(status: Mapping[str, Any]) -> None:
    """Resources and points a person should look at."""
    for text in status["bad"]:
        out.print(f"  [red]no value[/] {clean(text)}")
    for label, groups in status["alike"].items():
        for names in groups:
            shown = ", ".join(map(repr, names))
            out.print(
                f"  [yellow]names alike[/] {clean(f'{label}: {shown}')} differ by case, spaces or Unicode form only"
            )
    for point, (before, after) in status["counters_restarted"].items():
        out.print(
            f"  [yellow]counter restarted[/] {clean(point)}: from {before:g} to {after:g}, its equipment was replaced"
        )
    for label, count in status["without_address"].items():
        unitless = status["without_unit"].get(label, 0)
        deviceless = status["without_device"].get(label, 0)
        if count > unitless + deviceless:
            blocks = count - unitless - deviceless
            out.print(f"  [yellow]no address left[/] for {blocks} of {clean(label)}: raise `capacity` in the mapping")
        if unitless:
            text = "247 are the most; another `modbus.units` needs fewer"
            out.print(f"  [yellow]no Modbus unit left[/] for {unitless} of {clean(label)}: {text}")
        if deviceless:
            text = f"{MOST_DEVICES} were given away; only a new site's address book has them again"
            out.print(f"  [yellow]no BACnet device left[/] for {deviceless} of {clean(label)}: {text}")
