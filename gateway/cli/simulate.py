"""`evce-gateway simulate`: one simulated product in the foreground."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from gateway.cli import show
from gateway.simulator import BenderSimulator, ControlServer, EvceSimulator, Simulator, run_simulator


async def run_product(
    product: str,
    listen: str,
    username: str | None,
    password: str,
    seed: int,
    certificate: Path | None,
    control: str | None,
    options: dict[str, Any],
) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit code."""
    host, _, port = listen.rpartition(":")
    simulator: Simulator
    if product == "evce":
        simulator = EvceSimulator(
            host=host, port=int(port), username=username or "bms", password=password, seed=seed, **options
        )
    else:
        simulator = BenderSimulator(
            host=host, port=int(port), username=username or "operator", password=password, seed=seed
        )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def started(running: Simulator, control_server: ControlServer | None) -> None:
        show.out.print(f"serving {running.url}")
        if isinstance(running, EvceSimulator):
            show.out.print(f"certificate {running.fingerprint}")
            if certificate is not None:
                certificate.write_text(running.certificate_pem, encoding="ascii")
        if control_server is not None:
            show.out.print(f"control {control_server.url}")

    at = None
    if control is not None:
        control_host, _, control_port = control.rpartition(":")
        at = (control_host, int(control_port))
    try:
        await run_simulator(simulator, control=at, started=started, stop=stop)
    except (OSError, ValueError) as error:
        show.err.print(show.clean(error))
        return 1
    return 0
