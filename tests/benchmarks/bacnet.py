"""The BACnet server beside stock bacpypes3 and rusty-bacnet's server, under the same load, interleaved in one run.

    python -m tests.benchmarks.bacnet [--quick]

Needs gcc, taskset and two cores. Each round measures every server once for each load (ReadProperty and
ReadPropertyMultiple of 20 objects x 2 properties, 1 and 16 under way), ours with 99 and with 10,000 objects, on
uvloop as the service runs, and on asyncio's own loop, and a bare program that only receives, looks the whole answer up
and sends, which is what Python and uvloop cost alone; then what a COV notification costs, as the CPU time that 1,500
changes a second take with a subscriber beyond what they take without; then what 10,000 objects cost to build.
Prints requests per second, the 99th percentile, CPU time per request, and the ratios to stock of rates and of CPU
times (medians of the rounds' ratios). On a machine that others use the CPU time is the steady figure. Asserts no
timing; exits 1 when a server gave a wrong answer.

The servers share one core and the load client has another: on one core the client's next request is there before the
server looks again, and one request under way then looks several times quicker than from another machine. One core is
a limit for rusty-bacnet's threads.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.bacnet_servers import BUILT, FEW, FIRST, MANY, TOLD, cores
from tests.benchmarks.modbus import cpu_s
from tests.benchmarks.rig import REPO, BrokenError

QUICK = "--quick" in sys.argv
ROUNDS, SECONDS = (2, 1.0) if QUICK else (5, 2.0)
WARM_S = 0.3
LOADS = (("rp", 1), ("rp", 16), ("rpm", 1), ("rpm", 16))
SERVERS = ("stock", "rusty", "bare", "ours", "ours, 10,000 objects", "ours on asyncio")


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: requests per second, 99th percentile in microseconds, CPU microseconds per request."""

    rate: float
    p99_us: float
    cpu_us: float


# -- measuring --------------------------------------------------------------------------------------------------------


def build(folder: Path) -> Path:
    """The load client, compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BrokenError("gcc is missing")
    program = folder / "load"
    made = subprocess.run(
        [compiler, "-O2", "-o", program, REPO / "tests/benchmarks/bacnet_load.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise BrokenError(f"bacnet_load.c does not compile: {made.stderr[:300]}")
    return program


@contextlib.contextmanager
def started(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """One server; its process id and port."""
    command = [sys.executable, "-m", "tests.benchmarks.bacnet_servers", name]
    with (folder / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=REPO)
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line.strip().isdigit():
                raise BrokenError(f"{name} did not start: {(folder / 'said').read_text(encoding='utf-8')[-300:]}")
            yield process.pid, int(line)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def load(program: Path, port: int, mode: str, window: int, count: int) -> tuple[float, float]:
    """Requests (or notifications) per second and the 99th percentile of one load."""
    made = subprocess.run(
        [
            "taskset",
            "--cpu-list",
            str(cores()[1]),
            program,
            str(port),
            mode,
            str(window),
            str(SECONDS),
            str(FIRST),
            str(count),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise BrokenError(f"the load client failed: {made.stderr.strip()}")
    rate, _, p99_us, wrong, lost = (float(word) for word in made.stdout.split())
    if wrong or lost > SECONDS * rate / 100:
        raise BrokenError(f"{mode} x {window} on port {port}: {wrong:.0f} wrong answers, {lost:.0f} without one")
    return rate, p99_us


def measure(program: Path, pid: int, port: int, mode: str, window: int, count: int) -> Seen:
    """One load on one server."""
    before = cpu_s(pid)
    rate, p99_us = load(program, port, mode, window, count)
    return Seen(rate, p99_us, (cpu_s(pid) - before) * 1e6 / (rate * (SECONDS + WARM_S)))


def notification_us(program: Path, name: str, folder: Path) -> tuple[float, float]:
    """CPU microseconds of one notification beside the change itself, and notifications per second."""
    with started(f"{name}+{TOLD}", folder) as (pid, port):
        time.sleep(1.0)
        before = cpu_s(pid)
        time.sleep(SECONDS + WARM_S)
        alone = cpu_s(pid) - before
        before = cpu_s(pid)
        rate, _ = load(program, port, "cov", 8, TOLD)
        return (cpu_s(pid) - before - alone) * 1e6 / (rate * (SECONDS + WARM_S)), rate


def building(name: str, folder: Path) -> tuple[float, ...]:
    """CPU seconds of building a server's objects, their megabytes, and those of its process."""
    with started(name, folder):
        (line,) = [line for line in (folder / "said").read_text("utf-8").splitlines() if line.startswith(BUILT)]
    return tuple(map(float, line.removeprefix(BUILT).split()))


def main() -> int:
    """Prints the tables; 0 when every answer was right."""
    seen: dict[tuple[str, tuple[str, int]], list[Seen]] = {}
    told: dict[str, list[tuple[float, float]]] = {}
    built: dict[str, list[tuple[float, ...]]] = {}
    try:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            program = build(folder)
            with contextlib.ExitStack() as stack:
                running = {name: stack.enter_context(started(name, folder)) for name in SERVERS}
                for _ in range(ROUNDS):
                    for kind in LOADS:
                        for name, (pid, port) in running.items():
                            count = MANY if "10,000" in name else FEW
                            found = measure(program, pid, port, *kind, count)
                            seen.setdefault((name, kind), []).append(found)
            for _ in range(min(ROUNDS, 3)):
                for name in ("stock", "ours", "ours on asyncio"):
                    told.setdefault(name, []).append(notification_us(program, name, folder))
                for name in ("stock+1000", "ours, 10,000 objects"):
                    built.setdefault(name, []).append(building(name, folder))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show(seen)
    for name, rows in told.items():
        costs, rates = zip(*rows, strict=True)
        cost, rate = statistics.median(costs), statistics.median(rates)
        sys.stdout.write(f"COV, {name}: {cost:.0f} us CPU a notification ({rate:,.0f} a second arrived)\n")
    for name, costs in built.items():
        took, grown, whole = (statistics.median(column) for column in zip(*costs, strict=True))
        which = "1,000 objects of stock" if name.startswith("stock") else "10,000 objects of ours"
        sys.stdout.write(f"{which}: built in {took:.2f} s CPU, {grown:.1f} MB; {whole:.0f} MB the whole process\n")
    return 0


def show(seen: dict[tuple[str, tuple[str, int]], list[Seen]]) -> None:
    """Medians, and the median of the paired ratios to stock."""
    table = Table(title=f"{ROUNDS} interleaved rounds of {SECONDS:g} s", box=None, header_style="bold")
    for column in ("load x under way", "server", "requests/s", "to stock", "p99 ms", "CPU us", "stock's to it"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for kind in LOADS:
        base = seen["stock", kind]
        for name in SERVERS:
            rows = seen[name, kind]
            rates = [mine.rate / theirs.rate for mine, theirs in zip(rows, base, strict=True)]
            costs = [theirs.cpu_us / mine.cpu_us for mine, theirs in zip(rows, base, strict=True)]
            table.add_row(
                f"{kind[0]} x {kind[1]}",
                name,
                f"{statistics.median(row.rate for row in rows):,.0f}",
                f"{statistics.median(rates):.1f}",
                f"{statistics.median(row.p99_us for row in rows) / 1000:.2f}",
                f"{statistics.median(row.cpu_us for row in rows):.1f}",
                f"{statistics.median(costs):.0f}",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
