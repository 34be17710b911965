"""What a real gateway process tells a service manager, over a real datagram socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.site import until
from tests.system.conftest import Bench

WATCHDOG_S = 1.5
BLOCKED = Path(__file__).with_name("blocked.py")


class Manager:
    """systemd's end: every message, and what stood at the Modbus port when it came."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))
        self.told: list[str] = []
        self.open_at_ready: bool | None = None
        self.port = 0
        asyncio.get_running_loop().add_reader(self.socket, self._take)

    def _take(self) -> None:
        message = self.socket.recv(4096).decode()
        if "READY=1" in message and self.open_at_ready is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                self.open_at_ready = True
        self.told += message.splitlines()

    def fed(self) -> int:
        return self.told.count("WATCHDOG=1")

    def status(self) -> str:
        return next((line for line in reversed(self.told) if line.startswith("STATUS=")), "")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


async def started(
    bench: Bench, manager: Manager, program: tuple[str, ...] = ("-m", "gateway")
) -> asyncio.subprocess.Process:
    manager.port = int(bench.files.data["modbus"]["listen"].rpartition(":")[2])
    environment = {
        **os.environ,
        "NOTIFY_SOCKET": manager.socket.getsockname(),
        "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
    }
    log = (bench.folder / "log").open("ab")
    with log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, *program, "run", "-c", str(bench.files.config)), stderr=log, env=environment
        )


async def test_systemd_is_told_ready_status_reloading_and_stopping(bench: Bench, manager: Manager) -> None:
    await bench.products()
    process = await started(bench, manager)
    try:
        await until(lambda: "READY=1" in manager.told)
        assert manager.open_at_ready is True
        await until(lambda: manager.status() == "STATUS=serving; 2 of 2 sources connected; no alarm")
        fed = manager.fed()
        await until(lambda: manager.fed() >= fed + 3)
        await bench.benders[0].do("listen", on=False)
        await until(lambda: "1 of 2 sources connected" in manager.status(), 30.0)
        manager.told.clear()
        process.send_signal(signal.SIGHUP)
        await until(lambda: "READY=1" in manager.told)
        assert manager.told.index("RELOADING=1") < manager.told.index("READY=1")
        assert any(line.startswith("MONOTONIC_USEC=") and line[15:].isdecimal() for line in manager.told)
        process.send_signal(signal.SIGTERM)
        await until(lambda: "STOPPING=1" in manager.told)
        assert await asyncio.wait_for(process.wait(), 10.0) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_H10_a_blocked_loop_is_not_fed_and_the_journal_says_where_it_stood(
    bench: Bench, manager: Manager
) -> None:
    """The test does what systemd does: SIGABRT once the watchdog was not fed in time."""
    await bench.products()
    process = await started(bench, manager, (str(BLOCKED),))
    try:
        await until(lambda: manager.fed() > 0)
        seen, quiet_s = manager.fed(), 0.0
        while quiet_s < WATCHDOG_S:
            await asyncio.sleep(0.1)
            quiet_s = 0.0 if manager.fed() > seen else quiet_s + 0.1
            seen = manager.fed()
            assert process.returncode is None
        process.send_signal(signal.SIGABRT)
        assert await asyncio.wait_for(process.wait(), 10.0) == -signal.SIGABRT
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "hold_up_the_loop" in bench.log()
    again = await started(bench, manager)
    try:
        manager.told.clear()
        await until(lambda: "READY=1" in manager.told)
        await until(lambda: manager.status() == "STATUS=serving; 2 of 2 sources connected; no alarm")
    finally:
        again.kill()
        await again.wait()


async def test_a_gateway_that_cannot_start_is_never_ready(bench: Bench, manager: Manager) -> None:
    await bench.products()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bench.files.data["modbus"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        bench.files.write()
        process = await started(bench, manager)
        assert await asyncio.wait_for(process.wait(), 60.0) == 1
    assert "READY=1" not in manager.told
    assert "modbus" in bench.log()
