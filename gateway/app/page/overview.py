"""The first thing a person sees: sources, servers, and what needs somebody, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.app.page.forced import forced_rows
from gateway.app.plant import Plant
from gateway.engine.forcing import Forcing

MOST_BAD = 20
Status = Callable[[], dict[str, Any]]
Need = dict[str, Any]


class Overview:
    """Made of what `status` says."""

    def __init__(self, plant: Plant, forcing: Forcing, status: Status) -> None:
        self._plant, self._forcing, self._status = plant, forcing, status
        self._counted: dict[str, tuple[float, int]] = {}

    def now(self) -> dict[str, Any]:
        """Everything at once; `needs` is empty when the site is in order."""
        status = self._status()
        needs = list(self._needs(status))
        return {
            "utc": round(self._plant.clock.wall(), 1),
            "site": status["site"],
            "version": status["version"],
            "uptime_s": status["uptime_s"],
            "map_hash": status["map_hash"],
            "dry_run": status["dry_run"],
            "read_only": status["read_only"],
            "lease": status["lease"],
            "in_order": not needs,
            "needs": needs,
            "sources": status["sources"],
            "servers": [server for name in ("modbus", "bacnet") if (server := self._server(name, status)) is not None],
            "points": status["points"],
            "bad": status["bad"][:MOST_BAD],
            "forced": forced_rows(self._plant, self._forcing),
        }

    def _server(self, name: str, status: dict[str, Any]) -> dict[str, Any] | None:
        said = status[name]
        if not said:
            return None
        counters, clients = said["counters"], said["clients"]
        refusals = ("exceptions", "refused", "writes_without_right", "errors")
        return {
            "name": {"modbus": "Modbus TCP", "bacnet": "BACnet/IP"}[name],
            "port": said["port"],
            "clients": clients if isinstance(clients, int) else len(clients),
            "requests": counters["requests"],
            "per_s": self._per_s(name, counters["requests"]),
            "refusals": sum(counters.get(key, 0) for key in refusals),
            "writes": counters["writes"],
        }

    def _per_s(self, name: str, count: int) -> float:
        now = self._plant.clock.monotonic()
        then, before = self._counted.get(name, (now, count))
        if now - then >= 1.0 or name not in self._counted:
            self._counted[name] = (now, count)
        return round((count - before) / (now - then), 1) if now - then >= 1.0 else 0.0

    def _needs(self, status: dict[str, Any]) -> Iterator[Need]:
        """Failsafe and inhibited first, then what keeps values from being right, then what somebody should know."""
        alarms = list(status["alarm_texts"])
        for point, found in status["failsafe"].items():
            told = [text for text in alarms if text.startswith(f"{point}: failsafe: ")]
            alarms = [text for text in alarms if text not in told]
            slots = ", ".join(str(number) for number in found["lost"])
            for text in told or [f"{point}: failsafe: acts for slot {slots}"]:
                yield _need("failsafe", point, text.removeprefix(f"{point}: failsafe: "))
        for label, why in status["inhibited"].items():
            yield _need("inhibited", label, why)
        if status["persistence_fault"]:
            yield _need("alarm", "gateway", f"accepted commands are not on the disk: {status['persistence_fault']}")
        for source in status["sources"]:
            if not source["connected"]:
                yield _need("alarm", source["name"], source["reason"] or f"is {source['state']}")
        for text in alarms:
            yield _need("alarm", "", text)
        for label in status["missing"]:
            yield _need("warning", label, "is not listed by its product any more")
        for place, count in status["without_address"].items():
            yield _need("warning", place, f"{count} without an address: the region is full")
        for source, end in status["certificates_ending"].items():
            yield _need("warning", source, f"its certificate ends on {end['ends']}, in {end['days']} days")


def _need(severity: str, about: str, text: str) -> Need:
    return {"severity": severity, "about": about, "text": text}
