"""Seeded mutations of BACnet packets, and a flood, against a server that also serves Modbus, in a process of its own.

    python -m tests.faults.bacnet_fuzz [--packets 1000000] [--flood 10] [--seed 1]

Whatever arrives by UDP costs at most its own answer. Ends with 1 when anything else was seen: a traceback, memory that
grows, a transaction that never ends, a Modbus client that waited a second (99th percentile), or a server that took
more than 3 s to answer after the flood.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import struct
import sys
import time
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from gateway import telemetry
from gateway.addressing import Span
from gateway.app.loop import run_loop
from gateway.servers.modbus import ClientGroup
from tests.faults.child import Child, serving
from tests.servers.bacnet.conftest import make_bench
from tests.servers.modbus.conftest import Bench as ModbusBench
from tests.servers.modbus.conftest import adu, read

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
BATCH, SENDERS = 40, 4
PATIENCE_S = 20.0
GROWTH_MB = 16.0
SLOWEST_S = 1.0
RECOVERY_S = 3.0
MOST_LINES = 15
"""Log lines at the start and then a minute, whatever arrives: ten endings of subscriptions, their rest, a refusal."""
CALM_S = 60.0
"""Everything that a peer began and left must be over by then."""
READ = bytes.fromhex("0205 01 0c 0c023fffff 194d")
NAMES = (b"\x01\x04", bytes.fromhex("010c 0007 01 2a"), bytes.fromhex("0124 0007 01 2a ff"), b"\x01\x00")
SEEDS = [
    bytes.fromhex(text)
    for text in (
        "0205 01 0c 0c00000000 1955",
        "0275 0b 0c 0c023fffff 194c",
        "0205 01 0e 0c00000000 1e0955 096f 1f 0c023fffff 1e0908 1f",
        "0205 01 0f 0c00800007 1955 3e44420000003f 4908",
        "0205 01 10 0c00800007 1e0955 2e44420000002f 3908 1f",
        "0005 01 05 0901 1c00000000 2901 393c",
        "0005 01 05 0902 1c00800007 2900 3900",
        "0005 01 1c 0903 1c00000000 2900 393c 4e0955 4f 5c3f800000",
        "0205 01 1a 0c05000000 1983 3e21013200053f",
        "0205 01 1a 0c05000000 1983 6e21013200ff6f",
        "0205 01 1a 0c05000000 1983 7ea47f0f0105b40810140032fffb7f",
        "0205 01 0f 0c05000000 1985 3e103f",
        "0005 01 00 0901 1c03400000 2902 3e2ea47e0b1506b4081000002f3f 4d050061626364 5e19015f",
        "0005 01 03",
        "0005 01 1d",
        "0005 01 1d 0c03400000",
        "0005 01 08 0c03c00001 1966 3e8201feb400000000b4173b3b631e210065067f000001bac01f2101108205e03f",
        "0005 01 09 0c03c00001 1966 3e8201feb400000000b4173b3b631e210065067f000001bac01f2101108205e03f",
        "0205 01 0f 0c03c00001 1966 3e8201feb400000000b4173b3b630c0200126721011182 05e03f",
        "0005 01 11 0901 1902 2d0500 61626364",
        "0005 01 14 0901 1d0500 61626364",
        "0e75 05 00 02 0f 0c00800007 19",
        "0a75 05 01 02 0f 55 3e44420000003f",
        "4001 00 02",
        "2001 01",
        "5001 01 9101 9102",
        "6001 09",
        "7101 04",
        "1008 0900 1bffffff",
        "1007 2c00000000",
        "1000 c40203f7a1 2205c4 9103 2203e7",
        "1006 a47f0f0105 b408101400",
        "1009 a47f0f0105 b408101400",
        "1002 0901 1c0203f7a1 2c00000000 393c 4e09552e44000000002f4f",
    )
]
NETWORK = [bytes.fromhex(text) for text in ("0180 00", "0180 01 0007", "0180 12", "0180 13 0007 00", "0180 06 00")]


@dataclass
class Verdict:
    """What was seen; `faults` are the reasons to fail."""

    packets: int = 0
    answered: int = 0
    flooded: int = 0
    recovered_s: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    grown_mb: float = 0.0
    state: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def p99_s(self) -> float:
        """How long the Modbus client waited, 99th percentile."""
        return statistics.quantiles(self.waits_s, n=100)[98] if len(self.waits_s) > 1 else 0.0


class RealClock:
    """The machine's time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


async def serve() -> None:
    """Both servers, alone in their process: prints the ports; each line of input is answered with what is open."""
    telemetry.configure("warning")
    modbus, bacnet = (
        ModbusBench(),
        make_bench(clock=RealClock(), terms={"restart": lambda: None, "password": "another"}, alarmed=True),
    )
    everyone = ClientGroup("bms", (ip_network("127.0.0.0/8"),), 10, write=True)
    tcp = await modbus.serve(groups=[everyone], spans=(Span(1, 0, 100, 0), Span(1, 1000, 400, 0xFFFF)))
    modbus.point("p", (1000, "float32"))
    await bacnet.server.start()
    say(json.dumps([tcp.port, bacnet.server.port]))
    responder = bacnet.server._upkeep._responder  # type: ignore[union-attr]
    value = 0.0
    lines = asyncio.Queue[str]()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    while True:
        value += 1.0
        bacnet.set("current", value)
        bacnet.set("state", 1 + int(value) % 3)
        try:
            async with asyncio.timeout(0.2):
                line = await lines.get()
        except TimeoutError:
            continue
        if not line:
            return
        counters = bacnet.server.counters
        pending = len(bacnet.server._udp._pending)  # type: ignore[union-attr]
        state = {"transactions": len(responder.serverTransactions), "writing": len(responder._writing)}
        say(json.dumps(counters | state | {"pending": pending, "tasks": len(asyncio.all_tasks())}))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def unicast(npdu: bytes, function: int = 0x0A) -> bytes:
    return bytes((0x81, function)) + (4 + len(npdu)).to_bytes(2, "big") + npdu


def mutated(chance: random.Random) -> bytes:
    """A packet that was a proper one once."""
    if chance.random() < 0.05:
        octets = bytearray(unicast(chance.choice(NETWORK), chance.choice((0x0A, 0x0B))))
    elif chance.random() < 0.05:
        octets = bytearray(unicast(chance.randbytes(chance.randrange(12)), chance.randrange(13)))
    else:
        function = 0x0B if chance.random() < 0.05 else 0x0A
        octets = bytearray(unicast(chance.choice(NAMES) + chance.choice(SEEDS), function))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
        octets[chance.randrange(len(octets))] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
    dice = chance.random()
    if dice < 0.2:
        octets = octets[: chance.randrange(1, len(octets))]
    elif dice < 0.4:
        octets += chance.randbytes(chance.randrange(1, 40))
    if chance.random() < 0.8 and len(octets) > 4:
        octets[2:4] = len(octets).to_bytes(2, "big")
    return bytes(octets)


class Sender:
    """A UDP socket that sends nonsense and, between, a proper request."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.target = (HOST, port)
        self.invoke = 0

    def drain(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self.sock.recv(2048))
        except BlockingIOError:
            return found

    async def ask(self, verdict: Verdict, wait_s: float = PATIENCE_S) -> bool:
        """Sends ReadProperty until it is answered."""
        deadline = time.monotonic() + wait_s
        self.invoke = (self.invoke + 1) % 256
        request = unicast(b"\x01\x04" + READ[:2] + bytes((self.invoke,)) + READ[3:])
        wanted = bytes((0x30, self.invoke, 12))
        repeat_at = 0.0
        while time.monotonic() < deadline:
            if time.monotonic() >= repeat_at:
                self.sock.sendto(request, self.target)
                repeat_at = time.monotonic() + 0.5
            await asyncio.sleep(0.001)
            answers = self.drain()
            verdict.answered += len(answers)
            if any(answer[6:9] == wanted for answer in answers):
                return True
        return False


async def packets(port: int, count: int, chance: random.Random, verdict: Verdict) -> None:
    """Mutations in bursts; after each the server must answer a proper request."""
    sender = Sender(port)
    for _ in range(0, count, BATCH):
        burst = [mutated(chance) for _ in range(BATCH)]
        for packet in burst:
            sender.sock.sendto(packet, sender.target)
        verdict.packets += BATCH
        if not await sender.ask(verdict):
            verdict.faults.append(f"no answer after {[packet.hex() for packet in burst]}")
            break
    sender.sock.close()


async def watch(port: int, verdict: Verdict, done: asyncio.Event) -> None:
    """A Modbus client that polls as a BMS does; how long it waited."""
    reader, writer = await asyncio.open_connection(HOST, port)
    while not done.is_set():
        began = time.monotonic()
        writer.write(adu(7, read(1000, 2)))
        head = await asyncio.wait_for(reader.readexactly(7), PATIENCE_S)
        await reader.readexactly(struct.unpack(">H", head[4:6])[0] - 1)
        verdict.waits_s.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    writer.close()


FLOODER = """
import socket, sys, time
port, until = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets = [bytes.fromhex(text) for text in sys.argv[3:]]
sent = 0
sock.connect(("127.0.0.1", port))
while time.monotonic() < until:
    for _ in range(100):
        for packet in packets:
            try:
                sock.send(packet)
            except OSError:
                pass
    sent += 100 * len(packets)
print(sent)
"""


async def flood(port: int, seconds: float, verdict: Verdict) -> None:
    """Who-Is and noise as fast as a process can, then the time until a proper request is answered."""
    kinds = [unicast(b"\x01\x20\xff\xff\x00\xff\x10\x08", 0x0B), unicast(b"\x01\x00\x10\x08"), b"\x81\x0a\x00\x09noise"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FLOODER,
        str(port),
        str(seconds),
        *(kind.hex() for kind in kinds),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    verdict.flooded = int(out)
    began, sender = time.monotonic(), Sender(port)
    if not await sender.ask(verdict, PATIENCE_S):
        verdict.faults.append("no answer after the flood")
    verdict.recovered_s = time.monotonic() - began
    sender.sock.close()


async def disturb(child: Child, count: int, seconds: float, chance: random.Random, verdict: Verdict) -> None:
    """A tenth to warm up, then all of it from several sockets, then the flood; a Modbus client polls all the time."""
    modbus, bacnet = json.loads(await child.line())
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch(modbus, verdict, done))
        await packets(bacnet, count // 10, chance, verdict)
        before = child.rss_mb()
        seeds = [random.Random(chance.random()) for _ in range(SENDERS)]
        await asyncio.gather(*(packets(bacnet, count // SENDERS, each, verdict) for each in seeds))
        if seconds:
            await flood(bacnet, seconds, verdict)
        verdict.state = await calm(child)
        verdict.grown_mb = child.rss_mb() - before
        done.set()


async def calm(child: Child) -> dict[str, int]:
    """What is open in the server, once nothing is or after a minute."""
    deadline = time.monotonic() + CALM_S
    while True:
        assert child.process.stdin is not None
        child.process.stdin.write(b"\n")
        state: dict[str, int] = json.loads(await child.line())
        if not (state["transactions"] or state["writing"] or state["pending"]) or time.monotonic() > deadline:
            return state
        await asyncio.sleep(0.5)


async def fuzz(count: int, seconds: float, seed: int) -> Verdict:
    """Starts the servers in a process of their own, disturbs them and judges."""
    verdict, began = Verdict(), time.monotonic()
    async with serving("tests.faults.bacnet_fuzz") as child:
        await disturb(child, count, seconds, random.Random(seed), verdict)
    verdict.faults += child.faults
    text = child.said
    if text.count("\n") > MOST_LINES + MOST_LINES * (time.monotonic() - began) / 60:
        verdict.faults.append(f"the server logged {text.count(chr(10))} lines: {text[:1000]}")
    if verdict.grown_mb > GROWTH_MB:
        verdict.faults.append(f"its memory grew by {verdict.grown_mb:.1f} MB")
    if verdict.p99_s > SLOWEST_S:
        verdict.faults.append(f"the Modbus client waited {verdict.p99_s:.2f} s")
    if verdict.recovered_s > RECOVERY_S:
        verdict.faults.append(f"it took {verdict.recovered_s:.1f} s to answer after the flood")
    if verdict.state.get("transactions") or verdict.state.get("writing") or verdict.state.get("pending"):
        verdict.faults.append(f"something never ended: {verdict.state}")
    return verdict


def main() -> int:
    """Prints the verdict; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--flood", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run_loop(serve())
        return 0
    began = time.monotonic()
    seen = asyncio.run(fuzz(options.packets, options.flood, options.seed))
    slowest = max(seen.waits_s, default=0.0)
    sys.stdout.write(
        f"{seen.packets} packets ({seen.answered} answers), {seen.flooded} in the flood, answered again after "
        f"{seen.recovered_s:.2f} s, {time.monotonic() - began:.0f} s in all\n"
        f"Modbus client: {len(seen.waits_s)} reads, p99 {seen.p99_s * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms; "
        f"memory {seen.grown_mb:+.1f} MB; open at the end: {seen.state}\n"
    )
    for fault in seen.faults:
        sys.stdout.write(f"FAULT {fault}\n")
    return 1 if seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
