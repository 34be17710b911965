"""`evce-gateway demo`: simulated products, the real gateway on loopback, and a BMS of two clients."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Group
from rich.live import Live
from rich.table import Table

from gateway import telemetry
from gateway.app.daemon import Daemon
from gateway.app.load import load_site
from gateway.checkout import BacnetClient, BacnetError, ModbusClient, ModbusError
from gateway.cli import show
from gateway.core.errors import ConfigError
from gateway.core.role import Role
from gateway.simulator import BenderSimulator, EvceSimulator, Received
from gateway.store.users import UserBook

MODBUS_PORT, BACNET_PORT, WEB_PORT = 5020, 47808, 8080
ZONE_A, ZONE_B = "evce/zone/Zone A", "evce/zone/Zone B"
WATCHED = (
    *(f"{zone}/{point}" for zone in (ZONE_A, ZONE_B) for point in ("current", "power", "stations_charging")),
    *(f"{zone}/reduction" for zone in (ZONE_A, ZONE_B)),
    *(f"{zone}/reduction.{part}" for zone in (ZONE_A, ZONE_B) for part in ("applied", "write_status")),
    "evce/station/Bay 001/status",
    "evce/station/Bay 001/power",
    "evce/meter/Meter 1/power",
    "garage-7/charger/connection_state",
    "garage-8/charger/ambient_temp",
)
MODBUS_LIMIT, BACNET_LIMIT = 20.0, 24.0
PATIENCE_S = 12.0
PAGE_USER = "demo"
Dialect = Literal["desc", "nested"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A point as both protocols show it now."""

    point: str
    modbus: str
    bacnet: str


async def run_demo(seconds: float | None, dialect: Dialect) -> int:
    """Runs the demonstration; 0 when both limits were delivered and are in force, else 1."""
    telemetry.configure("warning")
    page_password = secrets.token_urlsafe(12)
    try:
        async with _stage(dialect, page_password) as (evce, daemon, config):
            return await _play(evce, daemon, config, seconds, page_password)
    except (OSError, ConfigError) as error:
        show.err.print(f"the demo needs ports {MODBUS_PORT} (TCP), {BACNET_PORT} (UDP), {WEB_PORT} (TCP): {error}")
        return 1


@contextlib.asynccontextmanager
async def _stage(dialect: Dialect, page_password: str) -> AsyncIterator[tuple[EvceSimulator, Daemon, Path]]:
    """Simulated products and the real gateway, started; the gateway is logged out and stopped at the end."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evce-demo-")))
        evce = await stack.enter_async_context(EvceSimulator(dialect=dialect, stations=12, zones=3, meters=2))
        chargers = [await stack.enter_async_context(BenderSimulator(seed=seed)) for seed in (2, 3)]
        config = _write_site(folder, evce, chargers, dialect)
        UserBook(folder / "state").add(PAGE_USER, Role.ADMIN, page_password)
        daemon = Daemon(load_site(config))
        running = asyncio.get_running_loop().create_task(daemon.run(signals=False))
        try:
            ready = asyncio.get_running_loop().create_task(daemon.ready.wait())
            await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if running.done():
                running.result()
            yield evce, daemon, config
        finally:
            daemon.stop()
            await running


def _write_site(folder: Path, evce: EvceSimulator, chargers: Sequence[BenderSimulator], dialect: str) -> Path:
    """config.yaml, certificate and password of the simulated site."""
    mappings = mapping_folder()
    (folder / "evce.pem").write_text(evce.certificate_pem, encoding="ascii")
    (folder / "password").write_text("Charging-2026!", encoding="ascii")
    secret = {"file": "password"}
    name = "evce.yaml" if dialect == "desc" else "evce-nested.yaml"
    sources: list[dict[str, Any]] = [
        {
            "name": "evce",
            "kind": "evce",
            "url": evce.url,
            "username": "bms",
            "password": secret,
            "tls": {"ca_file": "evce.pem"},
            "mapping": str(mappings / name),
        }
    ]
    for number, charger in enumerate(chargers, 7):
        sources.append(
            {
                "name": f"garage-{number}",
                "kind": "bender",
                "url": charger.url,
                "username": "operator",
                "password": secret,
                "mapping": str(mappings / "bender.yaml"),
            }
        )
    site = {
        "site": "Demo car park",
        "state_dir": "state",
        "sources": sources,
        "modbus": {
            "listen": f"127.0.0.1:{MODBUS_PORT}",
            "clients": [{"name": "bms", "allow": "127.0.0.0/8", "slot": 10, "write": True}],
        },
        "bacnet": {
            "address": f"127.0.0.1/8:{BACNET_PORT}",
            "device": {"instance": 260001, "name": "EV Gateway"},
            "write": ["127.0.0.0/8"],
        },
        "web": {"listen": f"127.0.0.1:{WEB_PORT}"},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
    return config


def mapping_folder() -> Path:
    """The shipped mappings: beside the package in a checkout, inside it when installed."""
    checkout = Path(__file__).resolve().parents[2] / "mappings"
    return checkout if checkout.is_dir() else Path(str(resources.files("gateway"))) / "shipped" / "mappings"


class _Bms:
    """A BMS with one Modbus and one BACnet client, that knows only the point list."""

    def __init__(self, daemon: Daemon, modbus: ModbusClient, bacnet: BacnetClient) -> None:
        self._daemon, self._modbus, self._bacnet = daemon, modbus, bacnet

    def _place(self, point: str) -> Any:
        index = self._daemon.table.find(point)
        return None if index is None else self._daemon.placed[index]

    async def see(self, point: str) -> Seen:
        """One point over both protocols."""
        placed = self._place(point)
        if placed is None:
            return Seen(point, "-", "-")
        texts = placed.spec.texts
        try:
            register = placed.registers[0]
            data = await self._modbus.read(register.register, register.spec.type.words)
            if register.spec.type.name == "float32":
                modbus = _shown(await self._modbus.read_float(register.register), placed.spec.unit, texts)
            else:
                modbus = _shown(int.from_bytes(data, "big"), placed.spec.unit, texts)
        except ModbusError as error:
            modbus = str(error)
        try:
            obj = placed.objects[0]
            bacnet = _shown(await self._bacnet.read(obj.object, obj.instance), placed.spec.unit, texts)
        except BacnetError as error:
            bacnet = str(error)
        return Seen(point, modbus, bacnet)

    async def write_modbus(self, point: str, value: float) -> None:
        await self._modbus.write_float(self._place(point).registers[0].register, value)

    async def write_bacnet(self, point: str, value: float, priority: int) -> None:
        placed = self._place(point).objects[0]
        await self._bacnet.write_real(placed.object, placed.instance, value, priority)


def _shown(value: Any, unit: str, texts: Sequence[str]) -> str:
    if texts and isinstance(value, int):
        return f"{texts[value - 1]} ({value})" if 0 < value <= len(texts) else str(value)
    if isinstance(value, float):
        return "no value" if value != value else f"{value:.1f} {unit}".strip()  # noqa: PLR0124  # NaN
    return str(value)


async def _play(evce: EvceSimulator, daemon: Daemon, config: Path, seconds: float | None, page_password: str) -> int:
    show.out.print(
        f"simulated EVCE at {evce.url}, gateway: Modbus TCP 127.0.0.1:{MODBUS_PORT}, "
        f"BACnet/IP 127.0.0.1:{BACNET_PORT} (device 260001)\n"
        f"page: http://127.0.0.1:{WEB_PORT}/  user {PAGE_USER}, password {page_password}\n"
    )
    started = asyncio.get_running_loop().time()
    async with (
        ModbusClient("127.0.0.1", MODBUS_PORT) as modbus,
        BacnetClient("127.0.0.1", BACNET_PORT) as bacnet,
    ):
        bms = _Bms(daemon, modbus, bacnet)
        await _wait_for(daemon, f"{ZONE_B}/reduction.applied")
        await _wait_for(daemon, "garage-8/charger/ambient_temp")
        before = [await bms.see(point) for point in WATCHED]
        show.out.print(_table(before, "before any limit"))
        await bms.write_modbus(f"{ZONE_A}/reduction", MODBUS_LIMIT)
        show.out.print(f"\nModbus FC16: {ZONE_A}/reduction := {MODBUS_LIMIT:g} A  (slot 10)")
        await bms.write_bacnet(f"{ZONE_B}/reduction", BACNET_LIMIT, 8)
        show.out.print(f"BACnet WriteProperty: {ZONE_B}/reduction := {BACNET_LIMIT:g} A  (priority 8)\n")
        good = await _in_force(daemon)
        await _watch(bms, config, None if seconds is None else started + seconds)
        show.out.print(_bodies(evce))
    show.out.print(
        "both limits are in force: the product read them back"
        if good
        else "[red]a limit is not in force; see write_status above[/]"
    )
    return 0 if good else 1


async def _wait_for(daemon: Daemon, point: str) -> None:
    """Until a point has had a value, or patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        index = daemon.table.find(point)
        if index is not None and daemon.table.seen(index):
            return
        await asyncio.sleep(0.05)


async def _in_force(daemon: Daemon) -> bool:
    """Whether both written limits are read back from the product in time."""
    indices = [daemon.table.find(f"{zone}/reduction.applied") for zone in (ZONE_A, ZONE_B)]
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        applied = [daemon.table.sample(index).value for index in indices if index is not None]
        if applied == [MODBUS_LIMIT, BACNET_LIMIT]:
            return True
        await asyncio.sleep(0.1)
    return False


async def _watch(bms: _Bms, config: Path, ends: float | None) -> None:
    """A live table on a terminal, else one more table at the end; Ctrl-C ends either."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if ends is not None:
        loop.call_at(max(loop.time(), ends), stop.set)
    if not show.out.is_terminal:
        await stop.wait()
        show.out.print(_table([await bms.see(point) for point in WATCHED], "with both limits in force"))
        return
    steps = _next_steps(config) if ends is None else ""
    with Live(console=show.out, refresh_per_second=2) as live:
        while not stop.is_set():
            rows = [await bms.see(point) for point in WATCHED]
            live.update(Group(_table(rows, "live, Ctrl-C ends"), steps))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)


def _table(rows: Sequence[Seen], title: str) -> Table:
    table = Table(title=title, box=None, header_style="bold", title_justify="left")
    for name in ("point", "Modbus TCP", "BACnet/IP"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(show.clean(row.point), row.modbus, row.bacnet)
    return table


def _bodies(evce: EvceSimulator) -> Table:
    table = Table(title="what the simulated EVCE received", box=None, header_style="bold", title_justify="left")
    for name in ("request", "body", "answer"):
        table.add_column(name)
    received: list[Received] = [item for item in evce.received if item.method == "PUT"]
    for item in received:
        table.add_row(f"{item.method} {item.path}", show.clean(item.body), str(item.status))
    return table


def _next_steps(config: Path) -> str:
    """Commands to try from another terminal, in the checkout."""
    return (
        f"\ntry, in another terminal:\n"
        f"  .venv/bin/evce-gateway status -c {config}\n"
        f"  .venv/bin/evce-gateway write '{ZONE_B}/reduction' 16 -c {config}\n"
        f"  mbpoll -m tcp -a 1 -p {MODBUS_PORT} -0 -r 1040 -t 4:float -B -1 127.0.0.1    "
        "(the limit of Zone A; without -1 and with a number at the end it writes one)"
    )
