"""The BACnet server beside stock bacpypes3 and rusty-bacnet's server, under the same load, interleaved in one run.

    python -m tests.benchmarks.bacnet [--quick]

Needs gcc, taskset and two cores. Each round measures every server once for each load (ReadProperty and
ReadPropertyMultiple of 20 objects x 2 properties, 1 and 16 under way), ours with 99 and with 10,000 objects and on
uvloop's loop too; then what a COV notification costs, as the CPU time that 1,500 changes a second take with a
subscriber beyond what they take without.
Prints requests per second, the 99th percentile, CPU time per request, and the ratio to stock (median of the rounds'
ratios). Asserts no timing; exits 1 when a server gave a wrong answer.

The servers share one core and the load client has another: on one core the client's next request is there before the
server looks again, and one request under way then looks several times quicker than from another machine. One core is
a limit for rusty-bacnet's threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
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

from gateway import telemetry
from gateway.core.point import PointSpec
from gateway.core.value import GOOD, Sample, ValueKind
from tests.benchmarks.modbus import cpu_s
from tests.benchmarks.rig import REPO, BrokenError
from tests.site import free_port

QUICK = "--quick" in sys.argv
ROUNDS, SECONDS = (2, 1.0) if QUICK else (5, 2.0)
WARM_S = 0.3
FEW, MANY, TOLD = 99, 10_000, 300
FIRST = 1000
LOADS = (("rp", 1), ("rp", 16), ("rpm", 1), ("rpm", 16))
SERVERS = ("stock", "rusty", "ours", "ours, 10,000 objects", "ours on uvloop")
CHANGES_PER_S = 5
DEVICE = 260001


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: requests per second, 99th percentile in microseconds, CPU microseconds per request."""

    rate: float
    p99_us: float
    cpu_us: float


# -- the servers, each in a process of its own ------------------------------------------------------------------------


def say(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


async def serve_ours(count: int, changing: int) -> None:
    """Our server; `changing` of its objects change some times a second."""
    from tests.faults.bacnet_fuzz import RealClock
    from tests.servers.bacnet.conftest import make_bench, placed

    bench = make_bench(clock=RealClock())
    spec = PointSpec(name="p", kind=ValueKind.NUMBER, unit="A")
    began = time.perf_counter()
    points = [bench.table.add(f"evce/station/S{n}/p", spec) for n in range(count)]
    names = bench.table.names
    bench.server.place([(i, placed(names[i], "analog-input", FIRST + n, spec)) for n, i in enumerate(points)])
    sys.stderr.write(f"{count} objects built in {time.perf_counter() - began:.2f} s\n")
    bench.table.update((index, Sample(1.5, GOOD, "", 0.0)) for index in points)
    await bench.server.start()
    say(bench.server.port)
    value = 0.0
    while True:
        await asyncio.sleep(1 / CHANGES_PER_S)
        value += 1.0
        bench.table.update((index, Sample(value, GOOD, "", 0.0)) for index in points[:changing])


async def serve_stock(count: int, changing: int) -> None:
    """bacpypes3 as its own examples build a server."""
    from bacpypes3.app import Application
    from bacpypes3.local.analog import AnalogInputObject
    from bacpypes3.local.device import DeviceObject
    from bacpypes3.local.networkport import NetworkPortObject

    port = free_port()
    device = DeviceObject(objectIdentifier=("device", DEVICE), objectName="stock", vendorIdentifier=999)
    link = NetworkPortObject(f"127.0.0.1:{port}", objectIdentifier=("network-port", 1), objectName="port")
    app = Application.from_object_list([device, link])
    objects = [
        AnalogInputObject(
            objectIdentifier=("analog-input", FIRST + n),
            objectName=f"S{n}",
            presentValue=1.5,
            units="amperes",
            covIncrement=0.1,
        )
        for n in range(count)
    ]
    for each in objects:
        app.add_object(each)
    await asyncio.sleep(0.5)
    say(port)
    value = 0.0
    while True:
        await asyncio.sleep(1 / CHANGES_PER_S)
        value += 1.0
        for each in objects[:changing]:
            each.presentValue = value


async def serve_rusty(count: int) -> None:
    """The server of rusty-bacnet with room for 16 requests of one client."""
    from rusty_bacnet import BACnetServer

    port = free_port()
    most = {"max_confirmed_in_flight": 256, "max_confirmed_in_flight_per_peer": 128}
    server = BACnetServer(DEVICE, "rusty", "127.0.0.1", port, "127.255.255.255", **most)
    for n in range(count):
        server.add_analog_input(instance=FIRST + n, name=f"S{n}", units=3, present_value=1.5)
    await server.start()
    say(port)
    await asyncio.Event().wait()


def serve(name: str) -> None:
    """Runs one server until it is killed."""
    telemetry.configure("error")
    os.sched_setaffinity(0, {cores()[0]})
    kind, _, told = name.partition("+")
    count = MANY if "10,000" in kind else int(told or FEW)
    changing = TOLD if told else 0
    if kind == "stock":
        asyncio.run(serve_stock(count, changing))
    elif kind == "rusty":
        asyncio.run(serve_rusty(count))
    elif "uvloop" in kind:
        import uvloop

        uvloop.run(serve_ours(count, changing))
    else:
        asyncio.run(serve_ours(count, changing))


def cores() -> tuple[int, int]:
    """The core of the servers, and that of the load client."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BrokenError("two cores are needed: one for the servers, one for the load client")
    return usable[0], usable[-1]


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
    command = [sys.executable, "-m", "tests.benchmarks.bacnet", "--serve", name]
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


def main() -> int:
    """Prints the tables; 0 when every answer was right."""
    if "--serve" in sys.argv:
        serve(sys.argv[sys.argv.index("--serve") + 1])
        return 0
    seen: dict[tuple[str, tuple[str, int]], list[Seen]] = {}
    told: dict[str, list[tuple[float, float]]] = {}
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
            for _ in range(ROUNDS):
                for name in ("stock", "ours", "ours on uvloop"):
                    told.setdefault(name, []).append(notification_us(program, name, folder))
    except BrokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show(seen)
    for name, rows in told.items():
        costs, rates = zip(*rows, strict=True)
        cost, rate = statistics.median(costs), statistics.median(rates)
        sys.stdout.write(f"COV, {name}: {cost:.0f} us CPU a notification ({rate:,.0f} a second arrived)\n")
    return 0


def show(seen: dict[tuple[str, tuple[str, int]], list[Seen]]) -> None:
    """Medians, and the median of the paired ratios to stock."""
    table = Table(title=f"{ROUNDS} interleaved rounds of {SECONDS:g} s", box=None, header_style="bold")
    for column in ("load x under way", "server", "requests/s", "to stock", "p99 ms", "CPU us"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for kind in LOADS:
        base = seen["stock", kind]
        for name in SERVERS:
            rows = seen[name, kind]
            rates = [mine.rate / theirs.rate for mine, theirs in zip(rows, base, strict=True)]
            table.add_row(
                f"{kind[0]} x {kind[1]}",
                name,
                f"{statistics.median(row.rate for row in rows):,.0f}",
                f"{statistics.median(rates):.1f}",
                f"{statistics.median(row.p99_us for row in rows) / 1000:.2f}",
                f"{statistics.median(row.cpu_us for row in rows):.1f}",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
