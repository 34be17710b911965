"""What histories cost: a full minute of many trended points, saving them, and a page's chart, in one run.

python -m tests.benchmarks.history [--points 500] [--minutes 120]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from gateway.core.trend import TrendSpec
from gateway.core.value import GOOD, Sample
from gateway.store.history_file import HISTORY
from tests.engine.past import live, point

BUFFER = 100


async def measure(folder: Path, points: int, minutes: int) -> None:
    past = await live(folder)
    logs = [past.learn(point("current", TrendSpec(60.0, BUFFER)), block=n, name=f"Zone {n}") for n in range(points)]
    ticks, loops, saves = [], [], []
    for minute in range(minutes):
        past.table.update((index, Sample(minute + index / 7, GOOD, "", past.clock.now)) for index in logs)
        past.clock.now += 60
        began = time.perf_counter()
        past.recorder.tick()
        ticks.append(time.perf_counter() - began)
        began, spent = time.perf_counter(), time.thread_time()
        past.archive.save()
        while past.archive._writing is not None:
            await asyncio.sleep(0.001)
        saves.append(time.perf_counter() - began)
        loops.append(time.thread_time() - spent)
    began = time.perf_counter()
    for index in logs[:50]:
        await past.recorder.read(index, past.clock.wall() - 3600, past.clock.wall(), 500)
    read_s = (time.perf_counter() - began) / min(points, 50)
    await past.recorder.close()
    size = (folder / HISTORY).stat().st_size
    kept = points * min(minutes, BUFFER)
    lines = (
        f"{points} points, one record each a minute, {minutes} minutes, the newest {BUFFER} records kept:",
        f"  the minute: the event loop works {1e3 * statistics.median(ticks):.2f} ms",
        f"  saving it: the event loop works {1e3 * statistics.median(loops):.2f} ms",
        f"  the thread of the disk is done in {1e3 * statistics.median(saves):.1f} ms",
        f"  a chart of the last hour is read in {1e3 * read_s:.2f} ms",
        f"  the file has {size / 1e6:.1f} MB, {size / kept:.0f} bytes a record",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), options.points, options.minutes))


if __name__ == "__main__":
    main()
