"""A whole simulated site for tests: strict simulators and the real gateway in this process, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.app.daemon import Daemon
from gateway.app.load import load_site
from gateway.engine.ports import Clock
from gateway.simulator import BenderSimulator, EvceSimulator

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "mappings"
PASSWORD = "Charging-2026!"
DIALECTS = {"desc": "evce.yaml", "nested": "evce-nested.yaml"}
PORTS = range(10_000, 32_000)
"""Below those that a system gives by itself: nobody who asks for any port is given one of these by chance."""
_turn = itertools.count(os.getpid() * 7001)
"""Where this process looks next: processes side by side look in places far apart."""


class StillClock:
    """The simulators' time: stands still until it is moved, so that values do not change between two reads."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class AheadClock:
    """The machine's time, moved ahead by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def wall(self) -> float:
        return time.time() + self.ahead_s

    def boottime(self) -> float:
        return self.monotonic()

    def boot_id(self) -> str:
        return "this boot"

    def synchronised(self) -> bool:
        return True


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A loopback port that was free a moment ago, and that nobody else is about to take."""
    for number in _turn:
        port = PORTS[number % len(PORTS)]
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is always a next number")


@dataclass
class SiteFiles:
    """A site's folder: config.yaml (as data, to be changed before `write`), certificate and password."""

    folder: Path
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def write(self) -> Path:
        self.config.write_text(yaml.safe_dump(self.data, sort_keys=False), encoding="utf-8")
        return self.config


def site_files(folder: Path, evce: EvceSimulator, benders: list[BenderSimulator], dialect: str) -> SiteFiles:
    """The configuration of one EVCE and some chargers, Modbus and BACnet open to loopback."""
    (folder / "evce.pem").write_text(evce.certificate_pem, encoding="ascii")
    (folder / "password").write_text(PASSWORD + "\n", encoding="ascii")
    secret = {"file": "password"}
    sources: list[dict[str, Any]] = [
        {
            "name": "evce",
            "kind": "evce",
            "url": evce.url,
            "username": "bms",
            "password": secret,
            "tls": {"ca_file": "evce.pem"},
            "mapping": str(MAPPINGS / DIALECTS[dialect]),
        }
    ]
    sources += [
        {
            "name": f"garage-{number}",
            "kind": "bender",
            "url": bender.url,
            "username": "operator",
            "password": secret,
            "mapping": str(MAPPINGS / "bender.yaml"),
        }
        for number, bender in enumerate(benders, 7)
    ]
    data = {
        "site": "Test car park",
        "state_dir": "state",
        "sources": sources,
        "modbus": {
            "listen": "127.0.0.1:0",
            "clients": [{"name": "bms", "allow": "127.0.0.0/8", "slot": 10, "write": True}],
        },
        "bacnet": {
            "address": f"127.0.0.1/8:{free_port()}",
            "device": {"instance": 260001, "name": "EV Gateway"},
            "write": ["127.0.0.0/8"],
        },
    }
    return SiteFiles(folder, data)


@dataclass
class Running:
    """What a test of a whole site works with."""

    evce: EvceSimulator
    benders: list[BenderSimulator]
    daemon: Daemon
    files: SiteFiles

    @property
    def modbus_port(self) -> int:
        assert self.daemon.modbus is not None
        return self.daemon.modbus.port

    @property
    def bacnet_port(self) -> int:
        assert self.daemon.bacnet is not None
        return self.daemon.bacnet.port

    def register(self, point: str) -> int:
        return self.placed(point).registers[0].register

    def placed(self, point: str) -> Any:
        index = self.daemon.table.find(point)
        assert index is not None, f"there is no point {point}"
        return self.daemon.placed[index]

    def value(self, point: str) -> Any:
        index = self.daemon.table.find(point)
        return None if index is None else self.daemon.table.good_value(index)

    async def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Waits for a condition; the test fails when it does not come true."""
        await until(condition, seconds)

    async def complete(self) -> None:
        """Waits until every point that is not optional has a value."""
        table = self.daemon.table

        def all_good() -> bool:
            found = self.value("evce/zone/Zone A/reduction.applied") is not None
            return found and all(
                table.seen(i) or spec.optional or spec.builtin or table.names[i].endswith("requested")
                for i, spec in enumerate(table.specs)
            )

        await until(all_good, 15.0)

    def puts(self) -> list[Any]:
        """Bodies of the reductions the product received."""
        return [item.body for item in self.evce.received if item.method == "PUT"]


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_site(
    folder: Path,
    dialect: str = "desc",
    *,
    change: Callable[[dict[str, Any]], None] | None = None,
    clock: Callable[[], float] = time.time,
    gateway_clock: Clock | None = None,
    **evce_options: Any,
) -> AsyncIterator[Running]:
    """Simulators and gateway, started; stopped and logged out at the end."""
    async with contextlib.AsyncExitStack() as stack:
        evce = await stack.enter_async_context(EvceSimulator(dialect=dialect, clock=clock, **evce_options))
        benders = [await stack.enter_async_context(BenderSimulator(seed=seed, clock=clock)) for seed in (2, 3)]
        files = site_files(folder, evce, benders, dialect)
        if change is not None:
            change(files.data)
        daemon = Daemon(load_site(files.write()), gateway_clock)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        task = group.create_task(daemon.run(signals=False))
        await until(lambda: daemon.ready.is_set() or task.done())
        try:
            yield Running(evce, benders, daemon, files)
        finally:
            daemon.stop()
            await asyncio.wait({task})


async def run_program(*arguments: str, text: str = "") -> tuple[int, str, str]:
    """A program's exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def as_json(text: str) -> Any:
    return json.loads(text)
