"""What the measurements share: a simulated EVCE and the real gateway as processes of their own, in a temp folder.

Everything binds 127.0.0.1 on free ports; both context managers stop their process, whatever ends the measurement.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.checkout import ModbusClient
from gateway.web import ControlError, ask_daemon

REPO = Path(__file__).resolve().parents[2]
STATIONS, ZONES, METERS = 500, 50, 20
PASSWORD = "Charging-2026!"
START_PATIENCE_S = 20.0
STOP_PATIENCE_S = 10.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CONFIG = """\
site: Benchmark
state_dir: state
sources:
  - name: evce
    kind: evce
    url: "{url}"
    username: bms
    password: {{file: password}}
    tls: {{ca_file: evce.pem}}
    mapping: "{mapping}"
modbus: {{listen: "127.0.0.1:{modbus}", clients: [{{name: bms, allow: 127.0.0.0/8, slot: 10, write: true}}]}}
bacnet: {{address: "127.0.0.1/8:{bacnet}", device: {{instance: 260001, name: Bench}}, write: [127.0.0.0/8]}}
"""


class BrokenError(Exception):
    """What was to be measured did not work; the text says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: what, its samples, unit, and the aim in words ("" for none)."""

    what: str
    samples: tuple[float, ...]
    unit: str
    aim: str = ""

    def cells(self) -> tuple[str, ...]:
        """What, median, min, max, n, unit, aim."""
        ranked = sorted(self.samples)
        middle, last = ranked[len(ranked) // 2], len(ranked) - 1
        shown = (middle, ranked[0], ranked[-1]) if last else (middle,)
        numbers = [f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}" for value in shown]
        return (self.what, *numbers, *[""] * (3 - len(numbers)), str(last + 1), self.unit, self.aim)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running simulator: its URL and that of its control server."""

    url: str
    control: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway; `started` is the monotonic time just before its process was made."""

    process: subprocess.Popen[bytes]
    started: float
    modbus_port: int
    log: Path
    control: Path

    def cpu_s(self) -> float:
        """User and system time so far (fields 14 and 15 of proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def memory_mb(self, key: str = "VmRSS") -> float:
        """VmRSS or VmHWM in MB (10^6 bytes)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(text.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def log_lines(self) -> list[str]:
        """What it has logged so far."""
        return self.log.read_text(encoding="utf-8").splitlines()

    async def ask(self, what: str) -> Any:
        """GET on the control socket; BrokenError when nobody answers."""
        try:
            return await ask_daemon(self.control, "GET", what)
        except ControlError as error:
            raise BrokenError(f"{error}; its log ends: {self.log_lines()[-3:]}") from error

    async def client(self) -> ModbusClient:
        """An unopened Modbus client, once the port answers."""
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.modbus_port)
                writer.close()
                await writer.wait_closed()
                return ModbusClient("127.0.0.1", self.modbus_port)
            await asyncio.sleep(0.005)
        raise BrokenError(f"the gateway does not listen; its log ends: {self.log_lines()[-3:]}")


def stop_on_sigterm() -> None:
    """SIGTERM unwinds the context managers, so that no child outlives a measurement."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextlib.contextmanager
def process(arguments: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m gateway ...` of this checkout, terminated at the end and killed if it does not listen."""
    environment = {key: value for key, value in os.environ.items() if key != "RUNTIME_DIRECTORY"}
    command = [sys.executable, "-m", "gateway", *arguments]
    child = subprocess.Popen(command, cwd=REPO, env=environment, stdin=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def simulator(
    folder: Path, *, stations: int = STATIONS, zones: int = ZONES, meters: int = METERS
) -> Iterator[Simulated]:
    """The simulated EVCE, at full size if not told otherwise; its certificate is `evce.pem` in the folder."""
    arguments = ["simulate", "evce", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    arguments += ["--stations", str(stations), "--zones", str(zones), "--meters", str(meters)]
    arguments += ["--password", PASSWORD, "--certificate", str(folder / "evce.pem")]
    with process(arguments, stdout=subprocess.PIPE) as child:
        said: dict[str, str] = {}
        while "control" not in said:
            line = child.stdout.readline().decode() if child.stdout else ""
            if not line:
                raise BrokenError("the simulator did not start")
            word, _, rest = line.strip().partition(" ")
            said[word] = rest
        yield Simulated(said["serving"], said["control"])


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def write_site(folder: Path, url: str, mapping: Path = REPO / "mappings" / "evce.yaml") -> tuple[Path, int]:
    """config.yaml and the password in the folder; returns the file and the Modbus port."""
    modbus, bacnet = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    (folder / "password").write_text(PASSWORD, encoding="ascii")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(url=url, mapping=mapping, modbus=modbus, bacnet=bacnet), encoding="utf-8")
    return config, modbus


@contextlib.contextmanager
def gateway(folder: Path, url: str) -> Iterator[Gateway]:
    """The real gateway on a site in the folder; its state stays there for a second start."""
    config, modbus = write_site(folder, url)
    log = folder / "gateway.log"
    with log.open("wb") as file:
        started = time.monotonic()
        with process(["run", "-c", str(config)], stdout=file, stderr=file) as child:
            yield Gateway(child, started, modbus, log, folder / "state" / "control.sock")


def show(title: str, rows: Sequence[Row]) -> None:
    """The table on standard output."""
    table = Table(title=title, box=None, header_style="bold", title_justify="left")
    for name in ("what", "median", "min", "max", "n", "unit", "aim"):
        table.add_column(name, justify="left" if name in ("what", "unit", "aim") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.cells())
    Console(width=120).print(table)
