"""Ten Bender controllers, one of which is a black hole: what the other nine notice.

    python -m tests.benchmarks.neighbours [--quick]

The controllers live in a child process, the gateway in another, the black hole (a port that takes no SYN) here.
Phases with and without the dead one alternate in one run, so that a busy machine disturbs both alike. Polls are
counted where they arrive, every second instead of every five; the gateway says how long an answer took. Prints
median and p99 of both and the ratio dead to alive. About 3 min, `--quick` 1 min; exits 1 when something that is
measured did not work, and asserts no timing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from gateway.simulator import BenderSimulator
from tests.benchmarks.rig import PASSWORD, REPO, BrokenError, Gateway, Row, free_port, process, show, stop_on_sigterm
from tests.faults.proxy import FaultProxy

SOURCES = 10
PHASES = 1 if "--quick" in sys.argv else 3
PHASE_S = 10.0 if "--quick" in sys.argv else 15.0
SETTLE_S, RETURN_S = 5.0, 45.0
DEAD = "garage-0"
POLLED = "/v1/system_state"
MAPPING = """\
extends: "{base}"
resources:
  charger: {{reads: {{state: {{every: 1s}}}}}}
"""
Arrivals = list[tuple[int, float]]
"""Which controller was asked, and when (monotonic seconds, one clock for all processes)."""


class _CountedBender(BenderSimulator):
    """Notes when it is polled."""

    def __init__(self, number: int, arrivals: Arrivals) -> None:
        super().__init__(seed=number)
        self._number, self._arrivals = number, arrivals

    async def _serve(self, request: Any) -> Any:
        if request.path == POLLED:
            self._arrivals.append((self._number, time.monotonic()))
        return await super()._serve(request)


async def serve() -> None:
    """The child: prints the ports, then for each line on standard input all arrivals so far."""
    arrivals: Arrivals = []
    async with contextlib.AsyncExitStack() as stack:
        sims = [await stack.enter_async_context(_CountedBender(i, arrivals)) for i in range(SOURCES)]
        sys.stdout.write(json.dumps([int(sim.url.rpartition(":")[2]) for sim in sims]) + "\n")
        sys.stdout.flush()
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps(arrivals) + "\n")
            sys.stdout.flush()


class Controllers:
    """The child process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.neighbours", "--serve"]
        self._child = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ports: list[int] = self._line()

    def arrivals(self) -> Arrivals:
        """Every poll so far."""
        if self._child.stdin is not None:
            self._child.stdin.write(b"\n")
            self._child.stdin.flush()
        return [(number, at) for number, at in self._line()]

    def _line(self) -> Any:
        line = self._child.stdout.readline() if self._child.stdout else b""
        if not line:
            raise BrokenError("the simulated controllers did not start")
        return json.loads(line)

    def stop(self) -> None:
        """Ends the process: it reads until its standard input ends."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait()


@contextlib.contextmanager
def gateway_on(folder: Path, ports: Sequence[int]) -> Iterator[Gateway]:
    """The real gateway with one source per port."""
    (folder / "password").write_text(PASSWORD, encoding="ascii")
    mapping = folder / "bender.yaml"
    mapping.write_text(MAPPING.format(base=REPO / "mappings" / "bender.yaml"), encoding="utf-8")
    sources = [
        f'  - {{name: garage-{i}, kind: bender, url: "http://127.0.0.1:{port}", username: operator,'
        f' password: {{file: password}}, mapping: "{mapping}"}}\n'
        for i, port in enumerate(ports)
    ]
    modbus = free_port(socket.SOCK_STREAM)
    config = folder / "config.yaml"
    config.write_text(
        f'site: Neighbours\nstate_dir: state\nsources:\n{"".join(sources)}modbus: {{listen: "127.0.0.1:{modbus}"}}\n',
        encoding="utf-8",
    )
    log = folder / "gateway.log"
    with log.open("wb") as file:
        started = time.monotonic()
        with process(["run", "-c", str(config)], stdout=file, stderr=file) as child:
            yield Gateway(child, started, modbus, log, folder / "state" / "control.sock")


class Phase:
    """What was seen with the tenth controller alive, or dead."""

    def __init__(self) -> None:
        self.intervals: list[float] = []
        self.latencies: list[float] = []

    async def watch(self, running: Gateway, controllers: Controllers) -> None:
        """One stretch of time, of the nine others only."""
        began = time.monotonic()
        while time.monotonic() - began < PHASE_S:
            sources = (await running.ask("/status"))["sources"]
            self.latencies += [source["poll_ms"] for source in sources if source["name"] != DEAD]
            await asyncio.sleep(0.5)
        polls: dict[int, list[float]] = {}
        for number, at in controllers.arrivals():
            if number and began <= at:
                polls.setdefault(number, []).append(at)
        if len(polls) != SOURCES - 1:
            raise BrokenError(f"only {sorted(polls)} were polled; the log ends: {running.log_lines()[-3:]}")
        self.intervals += [(b - a) * 1000 for times in polls.values() for a, b in pairwise(times)]


async def settle(running: Gateway, *, alive: bool) -> None:
    """Waits until the gateway knows how the tenth is; the others must be up all the time."""
    deadline = time.monotonic() + RETURN_S
    while time.monotonic() < deadline:
        up = {source["name"]: source["connected"] for source in (await running.ask("/status"))["sources"]}
        if all(up[name] for name in up if name != DEAD) and up[DEAD] is alive:
            await asyncio.sleep(SETTLE_S)
            return
        await asyncio.sleep(0.2)
    raise BrokenError(f"not {'up' if alive else 'down'} within {RETURN_S:g} s: {up}")


@contextlib.asynccontextmanager
async def black_hole(port: int) -> AsyncIterator[FaultProxy]:
    """A way to one controller that can be taken away."""
    async with FaultProxy(("127.0.0.1", port)) as way:
        yield way


async def measure(folder: Path) -> list[Row]:
    """Alternating phases."""
    alive, dead = Phase(), Phase()
    controllers = Controllers()
    try:
        async with black_hole(controllers.ports[0]) as way:
            with gateway_on(folder, [way.port, *controllers.ports[1:]]) as running:
                await running.client()
                for _ in range(PHASES):
                    await settle(running, alive=True)
                    await alive.watch(running, controllers)
                    await way.blackhole()
                    await settle(running, alive=False)
                    await dead.watch(running, controllers)
                    await way.listen()
    finally:
        controllers.stop()
    intervals = _rows("poll interval of the nine", alive.intervals, dead.intervals)
    return intervals + _rows("answer took", alive.latencies, dead.latencies)


def _rows(what: str, alive: Sequence[float], dead: Sequence[float]) -> list[Row]:
    rows = []
    for name, part in (("median", 0.5), ("p99", 0.99)):
        with_it, without = _quantile(alive, part), _quantile(dead, part)
        rows.append(Row(f"{what}, {name}, all ten alive", (with_it,), "ms"))
        rows.append(Row(f"{what}, {name}, one a black hole", (without,), "ms"))
        rows.append(Row("  ratio", (without / with_it,), "", "1"))
    return rows


def _quantile(samples: Sequence[float], part: float) -> float:
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


def main() -> int:
    """Prints the table; 1 when something did not work."""
    stop_on_sigterm()
    if "--serve" in sys.argv:
        asyncio.run(serve())
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="evce-bench-") as folder:
            rows = asyncio.run(measure(Path(folder)))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show(f"{SOURCES} sources, one of them a black hole", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
