"""Who asks, and what they probably do wrong: the last part of `status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.cli.show import clean, out, seconds_text

MOST_SHOWN = 10
SLOW_MS = 100.0


def show_clients(status: Mapping[str, Any]) -> None:
    """Each client in a line, then each hint about one; the event loop only when it was late."""
    for client in status["clients"][:MOST_SHOWN]:
        out.print(f"  {clean(client_text(client))}")
    if len(status["clients"]) > MOST_SHOWN:
        out.print(f"  and {len(status['clients']) - MOST_SHOWN} more: status --json")
    hints = [hint for hint in status["hints"] if hint["client"]]
    for hint in hints[:MOST_SHOWN]:
        times = "" if hint["times"] == 1 else f"{hint['times']} times, "
        seen = f"({times}last {seconds_text(hint['last_s'])} ago)"
        text = f"{hint['protocol']} {hint['client']} {hint['text']}"
        out.print(f"  [yellow]hint[/] {clean(text)} {seen}")
    if len(hints) > MOST_SHOWN:
        out.print(f"  and {len(hints) - MOST_SHOWN} more hints: status --json")
    if status["loop"]["worst_ms"] > SLOW_MS:
        text = f"answers waited for up to {status['loop']['worst_ms']:.0f} ms in the last minute"
        out.print(f"  [yellow]busy[/] {text}: this machine is slow or has much else to do")


def client_text(client: Mapping[str, Any]) -> str:
    """One client: how much it asks, with what, and what was refused."""
    group = f" ({client['group']})" if client["group"] else ""
    parts = [_count(client["requests"], "requests") + (f", {client['per_s']:g}/s" if client["per_s"] else "")]
    if client["functions"]:
        word = "functions" if client["protocol"] == "modbus" else "services"
        parts.append(f"{word} {' '.join(sorted(client['functions'], key=_order))}")
    things = ("connections", "writes", "exceptions", "subscriptions")
    parts += [_count(client[name], name) for name in things if client[name]]
    return f"{client['protocol']} {client['address']}{group}: {', '.join(parts)}, last heard {_ago(client)}"


def _count(number: int, things: str) -> str:
    return f"{number} {things[:-1] if number == 1 else things}"


def _order(function: str) -> tuple[int, str]:
    return (int(function), "") if function.isdigit() else (1000, function)


def _ago(client: Mapping[str, Any]) -> str:
    return f"{seconds_text(client['last_seen_s'])} ago"
