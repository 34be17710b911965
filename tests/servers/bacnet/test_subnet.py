"""The real gateway and a BMS in two network namespaces, so that broadcasts are those of a real subnet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.site import MAPPINGS, until

HERE = Path(__file__).parent
GATEWAY, BMS, BROADCAST = "10.99.7.1", "10.99.7.2", "10.99.7.255"
NETWORK, FIRST, OWN = 200, 271000, 260001
STATIONS = 30
WRONG = "_ws.malformed || _ws.expert.severity >= 0x600000"
"""What tshark calls malformed, or finds worth a warning or more."""


@dataclass(frozen=True)
class Subnet:
    """Two namespaces joined by a cable; `peer` is the BMS's end of it."""

    gateway: str
    bms: str
    peer: str


def ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def subnet() -> Iterator[Subnet]:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed (iproute2)")
    tag = f"{os.getpid() % 100_000}"
    made = Subnet(f"gw{tag}", f"bms{tag}", f"vb{tag}")
    names = (made.gateway, made.bms)
    try:
        for name in names:
            ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"`ip netns add` is not permitted: {error.stderr.strip()}")
    try:
        ip("link", "add", f"va{tag}", "netns", made.gateway, "type", "veth", "peer", made.peer, "netns", made.bms)
        for name, cable, address in ((made.gateway, f"va{tag}", GATEWAY), (made.bms, made.peer, BMS)):
            ip("-n", name, "address", "add", f"{address}/24", "broadcast", BROADCAST, "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        for name in names:
            ip("netns", "delete", name)


@contextlib.asynccontextmanager
async def program(
    space: str, *arguments: str, end: signal.Signals = signal.SIGKILL, **more: Any
) -> AsyncIterator[Process]:
    """A program in a namespace, ended at the end."""
    process = await asyncio.create_subprocess_exec("ip", "netns", "exec", space, *arguments, stderr=PIPE, **more)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(end)
        async with asyncio.timeout(15):
            await process.communicate()


@contextlib.asynccontextmanager
async def capture(subnet: Subnet, file: Path) -> AsyncIterator[None]:
    """Everything on the cable goes into a file."""
    command = ("tshark", "-q", "-i", subnet.peer, "-f", "udp", "-w", str(file))
    async with program(subnet.bms, *command, end=signal.SIGINT) as tshark:
        assert tshark.stderr is not None
        async with asyncio.timeout(30):
            while b"Capturing on" not in await tshark.stderr.readline():
                pass
        await until(file.exists)
        yield
        await asyncio.sleep(0.3)  # dumpcap hands packets over every now and then


def frames(file: Path, wanted: str) -> list[str]:
    """One line for each frame that a display filter lets through."""
    command = ("tshark", "-r", str(file), "-Y", wanted)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def site_of(folder: Path) -> Path:
    """A site whose product is switched off: what it expects is there all the same."""
    (folder / "password").write_text("x", encoding="ascii")
    source = {
        "name": "evce",
        "kind": "evce",
        "url": "http://127.0.0.1:9",
        "username": "bms",
        "password": {"file": "password"},
        "mapping": str(MAPPINGS / "evce.yaml"),
        "expect": {"zone": ["Zone A", "Zone B"], "station": [f"Bay {number}" for number in range(STATIONS)]},
    }
    bacnet = {
        "address": f"{GATEWAY}/24:47808",
        "device": {"instance": OWN},
        "devices": "per_resource",
        "network": NETWORK,
        "first_instance": FIRST,
        "ip_network": 3,
        "write": [f"{BMS}/32"],
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"state_dir": "state", "sources": [source], "bacnet": bacnet}), encoding="utf-8")
    return config


async def test_a_bms_in_the_subnet_finds_reads_and_writes_what_is_behind_the_router(
    subnet: Subnet, tmp_path: Path
) -> None:
    """rusty-bacnet asks by broadcast; tshark sees every frame and finds none malformed."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    config, file = site_of(tmp_path), tmp_path / "subnet.pcapng"
    mapping = yaml.safe_load((MAPPINGS / "evce.yaml").read_text(encoding="utf-8"))["resources"]["zone"]
    at = mapping["points"]["reduction"]["bacnet"]
    instance = mapping["bacnet"]["first"] + at["at"]
    environment = {key: value for key, value in os.environ.items() if key != "RUNTIME_DIRECTORY"}
    run = (sys.executable, "-m", "gateway", "run", "-c", str(config))
    talk = (sys.executable, str(HERE / "subnet_client.py"), BMS, BROADCAST, str(3 + STATIONS), str(FIRST + 1))
    async with capture(subnet, file), program(subnet.gateway, *run, env=environment, stdout=PIPE) as gateway:
        ready = tmp_path / "state" / "control.sock"
        await until(lambda: ready.exists() or gateway.returncode is not None, 30.0)
        assert gateway.returncode is None, "the gateway did not start"
        async with program(subnet.bms, *talk, str(instance), stdout=PIPE) as bms:
            async with asyncio.timeout(40):
                out, err = await bms.communicate()
        assert bms.returncode == 0, err.decode()
        assert gateway.returncode is None
    found = json.loads(out)
    virtual = {str(FIRST + number): NETWORK for number in range(2 + STATIONS)}
    assert found["devices"] == {str(OWN): None, **virtual}
    assert found["routers"] == [[NETWORK]]
    assert found["name"] == "evce.zone.Zone B"
    assert found["objects"] > 10
    assert found["written"] == [0, 25], "the product was never read: operational-problem"
    assert frames(file, WRONG) == []
    assert len(frames(file, f"bacnet.snet == {NETWORK}")) > 2 * STATIONS
    assert frames(file, "bacnet.mesgtyp == 1") != []
    assert frames(file, "bacnet.mesgtyp == 0x13") != [], "Network-Number-Is at the start"
