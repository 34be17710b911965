"""A server under test alone in its process: started, judged by what it said, and how much memory it holds."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Child:
    """The process; `said` is its standard error once it has ended, `faults` what is wrong with that."""

    process: Process
    said: str = ""
    faults: list[str] = field(default_factory=list)

    async def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    def rss_mb(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096 / 1e6


@contextlib.asynccontextmanager
async def serving(module: str) -> AsyncIterator[Child]:
    """`python -m MODULE --serve`, killed at the end; a traceback in what it said is a fault."""
    with tempfile.TemporaryFile() as said:
        command = (sys.executable, "-m", module, "--serve")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=said)
        child = Child(process)
        try:
            yield child
        finally:
            process.kill()
            await process.wait()
            said.seek(0)
            child.said = said.read().decode()
            if "Traceback" in child.said or "Error" in child.said:
                child.faults.append(f"the server said: {child.said[-3000:]}")
