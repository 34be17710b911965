"""What one poll cycle costs the product: requests of the gateway at 500 stations, counted where they arrive.

    python -m tests.benchmarks.traffic [--quick]

Stations must cost nothing each: beside what has no bulk call (a zone's status, a meter's values) a cycle of 5 s
should have fewer than 10 requests. About 45 s, `--quick` 15 s; exits 1 when something that is measured did not work,
or when a station was asked on its own.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.simulator import EvceSimulator
from tests.benchmarks.rig import METERS, STATIONS, ZONES, BrokenError, Row, gateway, show, stop_on_sigterm

CYCLE_S = 5.0
CYCLES = 2 if "--quick" in sys.argv else 8
SETTLE_S = 5.0
ONE = re.compile(r"/(?:zones|pms|stations)/\d+")


class CountedEvce(EvceSimulator):
    """Counts requests by path, ids as `{id}`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.counts: Counter[str] = Counter()

    async def _serve(self, request: Any) -> Any:
        path = request.path.removeprefix(self.base)
        self.counts[ONE.sub(lambda found: found[0].rpartition("/")[0] + "/{id}", path)] += 1
        return await super()._serve(request)


async def measure(folder: Path) -> list[Row]:
    """Requests per cycle, by endpoint."""
    async with CountedEvce(stations=STATIONS, zones=ZONES, meters=METERS) as evce:
        (folder / "evce.pem").write_text(evce.certificate_pem, encoding="ascii")
        with gateway(folder, evce.url) as running:
            await asyncio.to_thread(_port_open, running)
            await asyncio.sleep(SETTLE_S)
            evce.counts.clear()
            await asyncio.sleep(CYCLES * CYCLE_S)
            counts = Counter(evce.counts)
    if not counts["/stations/statuses"] or counts["/stations/{id}/status"]:
        raise BrokenError(f"stations are not read in bulk: {dict(counts)}")
    return _rows(counts)


def _port_open(running: Any) -> None:
    asyncio.run(running.client())


def _rows(counts: Counter[str]) -> list[Row]:
    cycle = {path: count / CYCLES for path, count in counts.items()}
    single = {path: count for path, count in cycle.items() if "{id}" in path}
    bulk = sum(cycle.values()) - sum(single.values())
    quick = single.get("/em/zones/{id}/status", 0.0) + single.get("/pms/{id}/values", 0.0)
    rows = [
        Row(f"requests per {CYCLE_S:.0f} s cycle, {STATIONS} stations", (sum(cycle.values()),), ""),
        Row("  for all stations, and lists", (bulk,), "", "< 10"),
        Row("  one per zone and meter", (quick,), "", f"{ZONES + METERS}"),
        Row("  zones' slower reads (limit, properties, members)", (sum(single.values()) - quick,), ""),
    ]
    return rows + [Row(f"    {path}", (count,), "") for path, count in sorted(cycle.items())]


def main() -> int:
    """Prints the table; 1 when something did not work."""
    stop_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="evce-bench-") as folder:
            rows = asyncio.run(measure(Path(folder)))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show("requests at the product", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
