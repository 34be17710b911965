"""One answer of /stations/statuses (500 stations): how long until the registers hold it, and what the CPU did.

    python -m tests.benchmarks.answers [--json] [--quick]

The simulator is a process of its own, the gateway runs in this one, and reads the statuses every 200 ms instead of
5 s. Twice: with what the simulator says (few values change from answer to answer), and with every measured number
of the answer changed each time. Prints for each: values changed, time from the complete body (JSON not decoded yet)
to the last register, median and p99, CPU per answer and its parts, BACnet store included; and how many requests a
5 s cycle has. About 45 s.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import telemetry
from gateway.app.daemon import Daemon
from gateway.app.load import load_site
from gateway.engine.commands import CommandDesk
from gateway.engine.intake import Intake
from gateway.engine.table import PointTable
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.modbus.units import Units
from gateway.sources import http
from tests.benchmarks.rig import REPO, STATIONS, BrokenError, Row, show, simulator, stop_on_sigterm, write_site

SETTLE_S = 5.0
LIVE_S = 3.0 if "--quick" in sys.argv else 20.0
CYCLE_S = 5.0
BULK = "/stations/statuses"
MAPPING = """\
extends: "{base}"
product: evce
resources:
  station: {{reads: {{status: {{every: 200ms}}}}}}
"""


class Meter:
    """Hooks around the way of one bulk answer; it counts only what happens inside `Intake.take` of that answer."""

    def __init__(self) -> None:
        self.everything_changes = False
        self.requests = 0
        self._turn = 0
        self._inside = False
        self._decoded = (0, 0, 0)
        self._image_done = 0
        self._cpu: Counter[str] = Counter()
        self.reset()
        http.decode = self._decode(http.decode)
        http.Http.request = self._counted(http.Http.request)  # type: ignore[method-assign]
        Intake.take = self._take(Intake.take)  # type: ignore[method-assign]
        for owner, name in ((PointTable, "update"), (ObjectStore, "_changed"), (CommandDesk, "_on_table")):
            setattr(owner, name, self._part(getattr(owner, name), f"{owner.__name__}.{name}"))
        Units.refresh = self._refresh(Units.refresh)  # type: ignore[method-assign]

    def reset(self) -> None:
        """Forgets what was measured."""
        self.delays: list[float] = []
        self.changed: list[int] = []
        self.parts: list[dict[str, float]] = []
        self.requests = 0

    def _counted(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        async def request(source: Any, method: str, path: str, **options: Any) -> Any:
            self.requests += not path.endswith(BULK)
            return await inner(source, method, path, **options)

        return request

    def _decode(self, inner: Callable[[bytes, str], Any]) -> Callable[[bytes, str], Any]:
        @functools.wraps(inner)
        def decode(content: bytes, where: str) -> Any:
            if not where.endswith(BULK):
                return inner(content, where)
            if self.everything_changes:
                self._turn += 1
                content = json.dumps(_shifted(json.loads(content), self._turn)).encode()
            begun, cpu = time.perf_counter_ns(), time.thread_time_ns()
            document = inner(content, where)
            self._decoded = begun, cpu, time.thread_time_ns()
            return document

        return decode

    def _take(self, inner: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(inner)
        def take(intake: Intake, read: str, documents: Any, *more: Any, **options: Any) -> None:
            if len(documents) < STATIONS:
                inner(intake, read, documents, *more, **options)
                return
            self._cpu.clear()
            self._inside, entered = True, time.thread_time_ns()
            inner(intake, read, documents, *more, **options)
            self._inside, left = False, time.thread_time_ns()
            self._note(entered, left)

        return take

    def _note(self, entered: int, left: int) -> None:
        begun, cpu, decoded = self._decoded
        part, update = self._cpu, self._cpu["PointTable.update"]
        bacnet, image = part["ObjectStore._changed"], part["image"]
        showing = bacnet + image + part["CommandDesk._on_table"]
        self.delays.append((self._image_done - begun) / 1e6)
        self.changed.append(part["changed"])
        split = {
            "JSON decode": decoded - cpu,
            "split by station": entered - decoded,
            "paths and samples": left - entered - update,
            "point table": update - showing,
            "Modbus image": image,
            "BACnet store": bacnet,
        }
        self.parts.append({name: spent / 1e6 for name, spent in split.items()})

    def _part(self, inner: Callable[..., None], name: str) -> Callable[..., None]:
        @functools.wraps(inner)
        def timed(*arguments: Any) -> None:
            if not self._inside:
                inner(*arguments)
                return
            begun = time.thread_time_ns()
            inner(*arguments)
            self._cpu[name] += time.thread_time_ns() - begun

        return timed

    def _refresh(self, inner: Callable[..., None]) -> Callable[..., None]:
        timed = self._part(inner, "image")

        @functools.wraps(inner)
        def refresh(units: Units, changed: Any) -> None:
            timed(units, changed)
            if self._inside:
                self._image_done = time.perf_counter_ns()
                self._cpu["changed"] += len(changed)

        return refresh

    def rows(self, how: str) -> list[Row]:
        """The report of one phase."""
        if not self.delays:
            raise BrokenError(f"no answer of {BULK} reached the table ({how})")
        ranked = sorted(self.delays)
        p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
        rows = [
            Row(f"answer of {STATIONS} statuses to register, {how}", tuple(ranked), "ms", "< 5"),
            Row("  p99", (p99,), "ms", "< 5"),
            Row("  values changed", tuple(self.changed), ""),
            Row("  CPU per answer", tuple(sum(parts.values()) for parts in self.parts), "ms", "< 15"),
        ]
        return rows + [Row(f"    {name}", tuple(p[name] for p in self.parts), "ms") for name in self.parts[0]]


def _shifted(document: Any, turn: int) -> Any:
    """The document with every number moved a little; identifiers stay, so does what is not a number."""
    if isinstance(document, dict):
        return {k: v if k.endswith("id") else _shifted(v, turn) for k, v in document.items()}
    if isinstance(document, list):
        return [_shifted(item, turn) for item in document]
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        return document + turn
    return document


async def measure(folder: Path, url: str) -> list[Row]:
    """Both phases, with the gateway in this process."""
    mapping = folder / "fast.yaml"
    mapping.write_text(MAPPING.format(base=REPO / "mappings" / "evce.yaml"), encoding="utf-8")
    config, _ = write_site(folder, url, mapping)
    meter = Meter()
    daemon = Daemon(load_site(config))
    running = asyncio.get_running_loop().create_task(daemon.run(signals=False))
    try:
        await asyncio.sleep(SETTLE_S)
        meter.reset()
        await asyncio.sleep(LIVE_S)
        requests = Row("requests per 5 s poll cycle", (meter.requests / LIVE_S * CYCLE_S + 1,), "")
        rows = [requests, *meter.rows("as simulated")]
        meter.everything_changes = True
        await asyncio.sleep(1.0)
        meter.reset()
        await asyncio.sleep(LIVE_S)
        return rows + meter.rows("all changed")
    finally:
        daemon.stop()
        await running


def main() -> int:
    """Prints the table, or with --json its rows; 1 when something did not work."""
    stop_on_sigterm()
    telemetry.configure("warning")
    try:
        with tempfile.TemporaryDirectory(prefix="evce-bench-") as name, simulator(Path(name)) as evce:
            rows = asyncio.run(measure(Path(name), evce.url))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps([(row.what, row.samples, row.unit, row.aim) for row in rows]))
    else:
        show("one bulk answer", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
