"""8,000 points that change each second while ten pages are open: what it costs the gateway, and when a person sees it.

    python -m tests.benchmarks.page [--seconds N] [--minutes N]

The gateway (with what changes its table, one answer of 400 points after the other), the simulator, ten readers of the
page's events, a Modbus client and Chromium are processes of their own. Measured: CPU of the gateway and the time of a
Modbus request of 100 registers, without and with the ten readers, in turns (--seconds each, 20); then in one real page,
for --minutes (10), the time from the change in the table to the frame that shows it, what the page's files weigh, and
its memory after each collection of garbage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from gateway.app.daemon import Daemon
from gateway.app.load import load_site
from gateway.app.loop import run_loop
from gateway.checkout import ModbusClient
from gateway.core.role import Role
from gateway.core.value import GOOD, Sample, Value, ValueKind
from gateway.store.users import UserBook
from tests.benchmarks.rig import REPO, TICK_S, BrokenError, Row, free_port, show, simulator, stop_on_sigterm, write_site
from tests.web.browser import JS, browser

POINTS, PER_ANSWER, PAGES, ROUNDS = 8000, 400, 10, 3
SETTLES_S = 5.0
"""After its start, before anything is measured."""
READS_PER_S = 50
MARKER = "evce/zone/Zone A/power"
"""This point says when it was written, in Unix seconds."""
NAME, PASSWORD = "vera", "viewers look on"
HEADERS = {"X-Evce-Page": "1"}


# -- the gateway ---------------------------------------------------------------------------------------------------


async def serve(folder: Path) -> None:
    """The gateway, and what changes its points; ends at SIGTERM."""
    daemon = Daemon(load_site(folder / "config.yaml"))
    async with asyncio.TaskGroup() as group:
        changing = group.create_task(change(daemon))
        await daemon.run()
        changing.cancel()


async def change(daemon: Daemon) -> None:
    """Every second every point has another value, the marker first in its answer."""
    await daemon.ready.wait()
    table = daemon.table
    while table.find(MARKER) is None or len(_served(daemon)) < POINTS:
        await asyncio.sleep(0.5)
    marker = table.find(MARKER)
    assert marker is not None
    chosen = [marker, *[index for index in _served(daemon) if index != marker][: POINTS - 1]]
    answers = [chosen[start : start + PER_ANSWER] for start in range(0, POINTS, PER_ANSWER)]
    say("changing")
    turn = 0
    while True:
        for answer in answers:
            turn += 1
            begun, now = time.monotonic(), daemon.clock.monotonic()
            rows = [
                (index, Sample(_value(table.specs[index].kind, turn // len(answers)), GOOD, "", now))
                for index in answer
            ]
            if answer[0] == marker:
                rows[0] = (marker, Sample(time.time(), GOOD, "", now))
            table.update(rows)
            await asyncio.sleep(max(0.0, begun + 1.0 / len(answers) - time.monotonic()))


def say(word: str) -> None:
    """Tells the process that started this one."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _served(daemon: Daemon) -> list[int]:
    """Points that nobody commands and that are no texts."""
    specs = daemon.table.specs
    usual = [index for index in daemon.placed if not (specs[index].command or specs[index].writable)]
    return [index for index in usual if specs[index].kind in (ValueKind.NUMBER, ValueKind.BOOL, ValueKind.ENUM)]


def _value(kind: ValueKind, turn: int) -> Value:
    if kind is ValueKind.NUMBER:
        return float(turn % 1000)
    return bool(turn % 2) if kind is ValueKind.BOOL else 1 + turn % 2


@contextlib.contextmanager
def gateway(folder: Path, url: str) -> Iterator[tuple[int, int, int]]:
    """The gateway's process, its Modbus port and that of its page, once its points change."""
    config, modbus = write_site(folder, url)
    web = free_port(socket.SOCK_STREAM)
    with config.open("a", encoding="utf-8") as file:
        file.write(f'web: {{listen: "127.0.0.1:{web}"}}\n')
    UserBook(folder / "state").add(NAME, Role.VIEWER, PASSWORD)
    with child(folder, "serve", str(folder)) as process:
        yield process, modbus, web


@contextlib.contextmanager
def child(folder: Path, *arguments: str) -> Iterator[int]:
    """This file in another process, once it has said its word."""
    command = [sys.executable, "-m", "tests.benchmarks.page", *arguments]
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip() in (b"changing", b"reading"):
                    break
            else:
                raise BrokenError(
                    f"{arguments[0]} did not start: {(folder / f'{arguments[0]}.log').read_text()[-500:]}"
                )
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


# -- who reads -----------------------------------------------------------------------------------------------------


async def read_events(base: str) -> None:
    """As many streams as pages, each of all points, read and thrown away."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base, headers=HEADERS, cookie_jar=jar) as client:
        async with client.post("/api/v1/login", json={"name": NAME, "password": PASSWORD}) as answer:
            answer.raise_for_status()
        streams = [await client.get("/api/v1/events?points=all") for _ in range(PAGES)]
        say("reading")

        async def drain(stream: aiohttp.ClientResponse) -> None:
            async for _ in stream.content.iter_any():
                pass

        await asyncio.gather(*map(drain, streams))


async def phase(pid: int, port: int, seconds: float) -> tuple[float, list[float]]:
    """CPU of the gateway in percent of one core, and the times of Modbus requests in ms."""
    times: list[float] = []
    begun, cpu = time.monotonic(), cpu_s(pid)
    async with ModbusClient("127.0.0.1", port) as client:
        while time.monotonic() < begun + seconds:
            sent = time.perf_counter()
            await client.read(1000, 100)
            times.append((time.perf_counter() - sent) * 1e3)
            await asyncio.sleep(1 / READS_PER_S)
    return (cpu_s(pid) - cpu) / (time.monotonic() - begun) * 100, times


def p99(times: list[float]) -> float:
    """The value that one of a hundred exceeds."""
    return sorted(times)[int(len(times) * 0.99)]


@contextlib.asynccontextmanager
async def readers(folder: Path, web: int) -> AsyncIterator[None]:
    """The ten pages' streams in a process of their own."""
    with child(folder, "read", f"http://127.0.0.1:{web}"):
        await asyncio.sleep(1.0)
        yield


async def in_browser(web: int, seconds: float) -> dict[str, Any]:
    """What one real page says."""
    node, chromium = browser()
    command = (node, "browser.mjs", chromium, f"http://127.0.0.1:{web}", "measure.mjs", "pixels")
    environment = {**os.environ, "SECONDS": str(seconds), "POINT": MARKER}
    process = await asyncio.create_subprocess_exec(*command, cwd=JS, env=environment, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise BrokenError("the browser did not finish")
    found: dict[str, Any] = json.loads(out)
    return found


async def measure(folder: Path, url: str, seconds: float, minutes: float) -> list[Row]:
    """All of it."""
    alone: list[tuple[float, list[float]]] = []
    open_: list[tuple[float, list[float]]] = []
    with gateway(folder, url) as (pid, modbus, web):
        await asyncio.sleep(SETTLES_S)
        for _ in range(ROUNDS):
            alone.append(await phase(pid, modbus, seconds))
            async with readers(folder, web):
                open_.append(await phase(pid, modbus, seconds))
        seen = await in_browser(web, minutes * 60)
    memory = seen["memory"]
    return [
        Row("CPU of the gateway, no page open", tuple(cpu for cpu, _ in alone), "% of a core"),
        Row(f"CPU of the gateway, {PAGES} pages open", tuple(cpu for cpu, _ in open_), "% of a core"),
        Row("Modbus p99, no page open", tuple(p99(times) for _, times in alone), "ms"),
        Row(f"Modbus p99, {PAGES} pages open", tuple(p99(times) for _, times in open_), "ms", "within a tenth"),
        Row("change in the table to the frame", tuple(seen["delays"]), "ms", "< 1000"),
        Row("page weight as sent", (seen["weight"][0] / 1e3,), "kB", "< 300"),
        Row("page weight unpacked", (seen["weight"][1] / 1e3,), "kB", "< 300"),
        Row("memory of the page, first minute", tuple(memory[:6]), "MB"),
        Row("memory of the page, last minute", tuple(memory[-6:]), "MB", "flat"),
    ]


def main() -> int:
    """The command line; two more words are for the processes it starts."""
    if sys.argv[1:2] == ["serve"]:
        run_loop(serve(Path(sys.argv[2])))
        return 0
    if sys.argv[1:2] == ["read"]:
        stop_on_sigterm()
        asyncio.run(read_events(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with simulator(folder) as evce:
                rows = asyncio.run(measure(folder, evce.url, options.seconds, options.minutes))
        except BrokenError as error:
            sys.exit(str(error))
    show(f"{POINTS} points at 1 Hz, {PAGES} pages", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
