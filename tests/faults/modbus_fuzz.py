"""Random requests and random streams against the Modbus server, with another client watching.

    python -m tests.faults.modbus_fuzz [--pdus 1000000] [--streams 20000] [--seed 1]

Every answer to a whole frame must carry its transaction, unit and function (or the function with the error bit and a
code of the standard); a stream that is no Modbus TCP may only cost its own connection. Ends with 1 when anything else
was seen: a traceback, memory that grows, or another client that waited a second.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from gateway import telemetry
from gateway.addressing import Span
from gateway.app.loop import run_loop
from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from gateway.servers.modbus import ClientGroup
from tests.faults.child import Child, serving
from tests.servers.modbus.conftest import Bench, Recorder, adu, read

FUNCTIONS = (1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43)
CODES = {1, 2, 3, 4, 6, 0x0B}
BATCH = 50
PATIENCE_S = 20.0
GROWTH_MB = 6.0
SLOWEST_S = 1.0


@dataclass
class Verdict:
    """What was seen; `faults` are the reasons to fail."""

    pdus: int = 0
    answered: int = 0
    exceptions: int = 0
    streams: int = 0
    closed: int = 0
    slowest_s: float = 0.0
    watched: int = 0
    grown_mb: float = 0.0
    faults: list[str] = field(default_factory=list)


class Forgetful(Recorder):
    """Accepts everything and keeps only the values, so that what grows is the server's."""

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        await super().submit(asks, origin)
        self.calls.clear()


async def serve() -> None:
    """The server under test, alone in its process: prints its port and serves until its input ends."""
    telemetry.configure("error")
    bench = Bench()
    bench.commands = Forgetful(bench.table)
    everyone = ClientGroup("bms", (ip_network("127.0.0.0/8"),), 10, write=True)
    server = await bench.serve(
        groups=[everyone],
        spans=(Span(1, 0, 100, 0), Span(1, 1000, 400, 0xFFFF)),
        max_connections=64,
        spawn=asyncio.get_running_loop().create_task,
    )
    for n, kind in enumerate(("uint16", "float32", "int32", "uint64", "bool", "string(8)")):
        for m in range(8):
            bench.set(bench.point(f"{kind} {m}", (1000 + 50 * n + 4 * m, kind), command=n < 5), 7 if n < 5 else "text")
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def random_pdu(chance: random.Random) -> bytes:
    """Anything from a request that is nearly right to noise; never empty, at most 253 bytes."""
    function = chance.choice(FUNCTIONS) if chance.random() < 0.9 else chance.randrange(256)
    known = 1000 + 50 * chance.randrange(6) + 4 * chance.randrange(8)
    address = chance.choice((known, known, known, 0, 99, 100, 1001, 1399, 1400, 65535, chance.randrange(65536)))
    edges = (0, 120, 123, 125, 126, 1968, 2000, 2001, 65535, chance.randrange(65536))
    count = chance.choice((1, 2, 4)) if chance.random() < 0.6 else chance.choice(edges)
    tail = chance.randbytes(chance.choice((1, 2, 2, 4, 4, 8, 8, 64, chance.randrange(249))))
    match chance.randrange(5):
        case 0:
            pdu = bytes((function,)) + chance.randbytes(chance.randrange(253))
        case 1:
            pdu = struct.pack(">BHHB", function, address, count, len(tail)) + tail
        case 2:
            pdu = struct.pack(">BHHB", function, address, len(tail) // 2, len(tail)) + tail
        case 3:
            pdu = struct.pack(">BHHHHB", 23, address, count % 130, address, len(tail) // 2, len(tail)) + tail
        case _:
            pdu = struct.pack(">BHH", function, address, count)
    return pdu[:253]


async def pdus(port: int, count: int, chance: random.Random, verdict: Verdict) -> None:
    """Whole frames, pipelined; every one must be answered, in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    transaction = 0
    for _ in range(0, count, BATCH):
        batch = []
        for _ in range(BATCH):
            transaction = (transaction + 1) & 0xFFFF
            batch.append((transaction, chance.choice((0, 1, 1, 1, 255, chance.randrange(256))), random_pdu(chance)))
        frames = b"".join(adu(number, pdu, unit) for number, unit, pdu in batch)
        for piece in _cut(frames, chance):
            writer.write(piece)
        await writer.drain()
        for number, unit, pdu in batch:
            head = await asyncio.wait_for(reader.readexactly(8), PATIENCE_S)
            back, protocol, length, back_unit, function = struct.unpack(">HHHBB", head)
            rest = await asyncio.wait_for(reader.readexactly(length - 2), PATIENCE_S)
            verdict.answered += 1
            refused = function == pdu[0] | 0x80 and len(rest) == 1 and rest[0] in CODES
            verdict.exceptions += refused
            if (back, protocol, back_unit) != (number, 0, unit) or not (function == pdu[0] < 0x80 or refused):
                verdict.faults.append(f"{pdu.hex()} was answered {(head + rest).hex()}")
                return
        verdict.pdus += BATCH
    writer.close()


def _cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The same bytes in one piece or in several."""
    if chance.random() < 0.7:
        return [data]
    at = sorted(chance.randrange(len(data)) for _ in range(3))
    return [data[: at[0]], data[at[0] : at[1]], data[at[1] : at[2]], data[at[2] :]]


async def streams(port: int, count: int, chance: random.Random, verdict: Verdict) -> None:
    """Bytes that are no Modbus TCP, mostly; each on a connection of its own."""
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        good = adu(1, read(1000, 4))
        noise = chance.randbytes(chance.randrange(1, 400))
        length = chance.choice((0, 1, 2, 254, 255, 260, 261, 65535))
        header = struct.pack(">HHHB", 1, chance.choice((0, 0, 1, 65535)), length, 1) + noise
        writer.write(chance.choice((noise, header, good + header, good + noise)))
        writer.write_eof()
        try:
            while await asyncio.wait_for(reader.read(4096), PATIENCE_S):
                pass
            verdict.closed += 1
        except ConnectionError:
            verdict.closed += 1
        except TimeoutError:
            verdict.faults.append("a connection was left open after its end")
            return
        writer.close()
        verdict.streams += 1


async def watch(port: int, verdict: Verdict, done: asyncio.Event) -> None:
    """A client that polls as a BMS does; how long it waited at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not done.is_set():
        began = time.monotonic()
        writer.write(adu(7, read(1000, 8)))
        head = await asyncio.wait_for(reader.readexactly(7), PATIENCE_S)
        await reader.readexactly(struct.unpack(">H", head[4:6])[0] - 1)
        verdict.slowest_s = max(verdict.slowest_s, time.monotonic() - began)
        verdict.watched += 1
        await asyncio.sleep(0.01)
    writer.close()


async def fuzz(count: int, stream_count: int, seed: int) -> Verdict:
    """Starts the server in a process of its own, disturbs it and judges."""
    verdict = Verdict()
    async with serving("tests.faults.modbus_fuzz") as child:
        await disturb(child, count, stream_count, random.Random(seed), verdict)
    verdict.faults += child.faults
    if verdict.grown_mb > GROWTH_MB:
        verdict.faults.append(f"its memory grew by {verdict.grown_mb:.1f} MB")
    if verdict.slowest_s > SLOWEST_S:
        verdict.faults.append(f"another client waited {verdict.slowest_s:.2f} s")
    return verdict


async def disturb(child: Child, count: int, stream_count: int, chance: random.Random, verdict: Verdict) -> None:
    """A twentieth to warm it up, then all of it on six connections at once, while one client polls."""
    port, done = int(await child.line()), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch(port, verdict, done))
        await pdus(port, count // 20, chance, verdict)
        await streams(port, stream_count // 20, chance, verdict)
        before = child.rss_mb()
        work = [pdus(port, count // 4, random.Random(chance.random()), verdict) for _ in range(4)]
        work += [streams(port, stream_count // 2, random.Random(chance.random()), verdict) for _ in range(2)]
        for failed in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(failed, BaseException):
                verdict.faults.append(f"a client failed: {failed!r}")
        done.set()
        verdict.grown_mb = child.rss_mb() - before


def main() -> int:
    """Prints the verdict; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pdus", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run_loop(serve())
        return 0
    began = time.monotonic()
    seen = asyncio.run(fuzz(options.pdus, options.streams, options.seed))
    sys.stdout.write(
        f"{seen.pdus} PDUs ({seen.answered} answered, {seen.exceptions} with an exception), "
        f"{seen.streams} streams, {time.monotonic() - began:.0f} s\n"
        f"other client: {seen.watched} reads, slowest {seen.slowest_s * 1000:.0f} ms; "
        f"memory {seen.grown_mb:+.1f} MB\n"
    )
    for fault in seen.faults:
        sys.stdout.write(f"FAULT {fault}\n")
    return 1 if seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
