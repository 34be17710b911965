"""README's walk from nothing to a checked site: its very commands, typed into a shell, on ports that are free here."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.site import ROOT, free_port

TCP = socket.SOCK_STREAM
PATIENCE_S = 60.0


def commands() -> list[str]:
    """The lines of the shell blocks between README's walk marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- walk -->\n(.*?)\n<!-- /walk -->", text, re.DOTALL)
    assert found, "the walk marks are missing"
    blocks = re.findall(r"^```sh\n(.*?)^```", found[1], re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


class Shell:
    """A shell that is typed into, one command after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def type(self, line: str) -> tuple[int, str]:
        """Exit code and everything it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\necho @@ $?\n".encode())
        await self._process.stdin.drain()
        said = ""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := re.search(r"^@@ (\d+)$", said, re.MULTILINE)):
                got = await self._process.stdout.readline()
                assert got, f"the shell ended: {said}"
                said += got.decode()
        return int(found[1]), said[: found.start()]

    async def until(self, line: str) -> None:
        """Types a command until it succeeds, as a person who looks again."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.type(f"{line} > /dev/null 2>&1"))[0]:
                await asyncio.sleep(0.2)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {key: value for key, value in os.environ.items() if key != "RUNTIME_DIRECTORY"} | {"PATH": path}
    process = await asyncio.create_subprocess_exec(
        "bash",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
        env=env,
        start_new_session=True,
    )
    try:
        yield Shell(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session: what it started goes with it
        await process.wait()
        transport = process._transport  # type: ignore[attr-defined]
        transport.close()


@pytest.mark.timeout(240)  # about 20 commands of a second each, on a machine that has other things to do
async def test_the_walk_in_the_readme_works_as_it_is_written(shell: Shell, tmp_path: Path) -> None:
    product, folder = free_port(TCP), tmp_path / "trial"
    ports = {":5020": free_port(TCP), ":47808": free_port(), ":8080": free_port(TCP)}
    printed: dict[str, str] = {}

    async def started() -> None:
        await shell.until("grep serving simulator.log")

    async def moved() -> None:
        """What discover wrote listens on fixed ports, which a test must not."""
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        for old, new in ports.items():
            assert old in text
            text = text.replace(old, f":{new}")
        (folder / "config.yaml").write_text(text, encoding="utf-8")

    async def running() -> None:
        await shell.until("evce-gateway points meter | grep -q 'Meter 2/power.*good'")
        await shell.until("evce-gateway points 'Zone D' | grep -q 'reduction.applied.*good'")

    after: dict[str, Callable[[], Awaitable[None]]] = {"simulate": started, "discover": moved, "run": running}
    for line in commands():
        typed = line.replace("https://127.0.0.1:8443", f"https://127.0.0.1:{product}")
        if "simulate evce" in line:
            typed = typed.replace("simulate evce", f"simulate evce --listen 127.0.0.1:{product}")
        code, said = await shell.type(typed)
        assert code == 0, f"{line}\n{said}"
        name = line.split()[1]
        printed[name] = said
        if name in after:
            await after[name]()

    assert "found 20 stations" in printed["discover"]
    assert "found 4 zones" in printed["discover"]
    assert "good" in printed["check"]
    (report,) = (folder / "report").glob("*.json")
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["summary"]["failed"] == 0
    assert found["summary"]["passed"] > 600
    with (folder / "registers.csv").open(newline="", encoding="utf-8") as file:
        assert {row["point"].split("/")[1] for row in csv.DictReader(file)} >= {"zone", "station", "meter", "connector"}
    assert len(list((folder / "ede").iterdir())) == 4
    assert "site" in printed["reload"]
    assert "20" in printed["read"]
