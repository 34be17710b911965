"""The Modbus server beside libmodbus's and pymodbus's own, under the same load, interleaved in one run.

    python -m tests.benchmarks.modbus [--rounds 40] [--seconds 0.4] [--only NAME ...]

Needs gcc and libmodbus-dev. Each round measures every server once for each load (1 and 16 connections, 10 and 125
registers); ours has a table with 8,000 values changing per second behind it, on asyncio's loop and on uvloop's.
Prints requests per second, the latency's 99th percentile and their ratios to libmodbus (medians of the rounds), and CPU
time per request (of all rounds): a neighbour on the machine spoils rounds, and CPU time least of all. Asserts no
timing; exits 1 when a server gave a wrong answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway import telemetry
from gateway.addressing import Span
from gateway.core.value import GOOD, Sample
from tests.benchmarks.rig import REPO, TICK_S, BrokenError

ROUNDS, SECONDS, WARM_S = 40, 0.4, 0.1
LOADS = ((1, 10), (1, 125), (16, 10), (16, 125))
SERVERS = ("libmodbus", "ours", "ours on uvloop", "stock pymodbus")
VALUES, UPDATES_PER_S, STEPS_PER_S = 8000, 8000, 10
FIRST = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: requests per second, 99th percentile in ms, CPU microseconds per request."""

    rate: float
    p99_ms: float
    cpu_us: float


# -- the servers, each in a process of its own ------------------------------------------------------------------------


async def serve_ours() -> None:
    """Our server over a table of which an equal share changes ten times a second."""
    from tests.servers.modbus.conftest import BMS, Bench

    bench = Bench()
    server = await bench.serve(groups=[BMS], spans=(Span(1, 0, 100, 0),), max_connections=64)
    points = [bench.point(f"p{n}", (FIRST + 2 * n, "float32")) for n in range(VALUES)]
    bench.table.update((index, Sample(1.5, GOOD, "", 0.0)) for index in points)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    share, step = UPDATES_PER_S // STEPS_PER_S, 0
    while True:
        step += 1
        changed = [points[(step * share + n) % VALUES] for n in range(share)]
        bench.table.update((index, Sample(float(step), GOOD, "", 0.0)) for index in changed)
        await asyncio.sleep(1 / STEPS_PER_S)


async def serve_stock() -> None:
    """The library's own server with its own store; nothing changes behind it."""
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    store = SimDevice(0, SimData(0, count=2000, values=7, datatype=DataType.REGISTERS))
    server = ModbusTcpServer(store, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    sys.stdout.write(f"{server.transport.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def serve(name: str) -> None:
    """Runs one server until it is killed."""
    telemetry.configure("error")
    if name == "ours on uvloop":
        import uvloop

        uvloop.run(serve_ours())
    asyncio.run(serve_stock() if name == "stock pymodbus" else serve_ours())


# -- measuring --------------------------------------------------------------------------------------------------------


def build(folder: Path) -> tuple[Path, Path]:
    """The load client and libmodbus's server, compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BrokenError("gcc is missing")
    load, server = folder / "load", folder / "server"
    sources = {load: "tests/benchmarks/modbus_load.c", server: "tests/servers/modbus/peers/libmodbus_server.c"}
    for program, source in sources.items():
        made = subprocess.run(
            [compiler, "-O2", "-o", program, REPO / source, "-lmodbus"], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise BrokenError(f"{source} does not compile (is libmodbus-dev there?): {made.stderr[:300]}")
    return load, server


@contextlib.contextmanager
def started(name: str, libmodbus: Path) -> Iterator[tuple[int, int]]:
    """One server; its process id and port."""
    command: list[str | Path] = [sys.executable, "-m", "tests.benchmarks.modbus", "--serve", name]
    if name == "libmodbus":
        command = [libmodbus, "0", "2000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPO) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line.strip().isdigit():
                raise BrokenError(f"{name} did not start: {process.stderr.read()[-300:] if process.stderr else ''}")
            yield process.pid, int(line)
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(load: Path, pid: int, port: int, kind: tuple[int, int], seconds: float) -> Seen:
    """One load on one server: connections and quantity."""
    before = cpu_s(pid)
    made = subprocess.run([load, str(port), *map(str, kind), str(seconds)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise BrokenError(f"the load client failed: {made.stderr.strip()}")
    rate, _, p99_us, wrong = (float(word) for word in made.stdout.split())
    if wrong:
        raise BrokenError(f"{wrong:.0f} wrong answers")
    return Seen(rate, p99_us / 1000, (cpu_s(pid) - before) * 1e6 / (rate * (seconds + WARM_S)))


def main() -> int:
    """Prints the table; 0 when every answer was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", nargs="+", choices=SERVERS[1:], default=SERVERS[1:], metavar="NAME")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    names = [SERVERS[0], *options.only]
    seen: dict[tuple[str, tuple[int, int]], list[Seen]] = {}
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            load, libmodbus = build(Path(folder))
            running = {name: stack.enter_context(started(name, libmodbus)) for name in names}
            for _ in range(options.rounds):
                for kind in LOADS:
                    for name, (pid, port) in running.items():
                        seen.setdefault((name, kind), []).append(measure(load, pid, port, kind, options.seconds))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show(seen, names, f"{options.rounds} interleaved rounds of {options.seconds:g} s")
    return 0


def show(seen: dict[tuple[str, tuple[int, int]], list[Seen]], names: list[str], title: str) -> None:
    """Medians, and the median of the paired ratios to libmodbus."""
    table = Table(title=title, box=None, header_style="bold")
    columns = ("connections x registers", "server", "requests/s", "to libmodbus", "p99 ms", "to it", "CPU us", "to it")
    for column in columns:
        table.add_column(column, justify="right" if column != "server" else "left")
    for kind in LOADS:
        base = seen["libmodbus", kind]
        for name in names:
            rows = seen[name, kind]
            rates = [mine.rate / theirs.rate for mine, theirs in zip(rows, base, strict=True)]
            tails = [mine.p99_ms / theirs.p99_ms for mine, theirs in zip(rows, base, strict=True)]
            table.add_row(
                f"{kind[0]} x {kind[1]}",
                name,
                f"{statistics.median(row.rate for row in rows):,.0f}",
                f"{statistics.median(rates):.2f}",
                f"{statistics.median(row.p99_ms for row in rows):.2f}",
                f"{statistics.median(tails) if all(map(math.isfinite, tails)) else math.nan:.2f}",
                f"{mean_cpu_us(rows):.1f}",
                f"{mean_cpu_us(rows) / mean_cpu_us(base):.2f}",
            )
    Console(width=110).print(table)


def mean_cpu_us(rows: list[Seen]) -> float:
    """CPU microseconds per request over all rounds: the kernel counts in steps too long for a single one."""
    return sum(row.cpu_us * row.rate for row in rows) / sum(row.rate for row in rows)


if __name__ == "__main__":
    sys.exit(main())
