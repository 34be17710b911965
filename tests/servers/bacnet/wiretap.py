"""Everything that the gateway sends over BACnet while the tests run, judged by tshark at their end.

The octets are taken where they go to the socket, so that no right to capture is needed and every port is 47808.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.servers.bacnet.link import UdpPort

PCAP_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
"""Raw IPv4 packets."""
PORT = 47808
MOST_FRAMES = 100_000
WRONG = "_ws.malformed || _ws.expert.severity >= 0x600000"
"""What tshark calls malformed, or finds worth a warning or more."""


class Wiretap:
    """The frames, each once; every socket and peer has an address of its own, so that nobody's segments are mixed."""

    def __init__(self) -> None:
        self.frames: dict[tuple[int, int, bytes], None] = {}
        self._hosts: dict[object, int] = {}

    def hear(self, sender: object, receiver: tuple[str, int], datagram: bytes) -> None:
        if len(self.frames) < MOST_FRAMES:
            self.frames[self._host(sender), self._host(receiver), bytes(datagram)] = None

    def _host(self, who: object) -> int:
        """An address in 10.0.0.0/8."""
        return self._hosts.setdefault(who, 0x0A000001 + len(self._hosts))

    def write(self, file: Path) -> None:
        """As a capture file."""
        with file.open("wb") as out:
            out.write(PCAP_HEAD)
            for number, (source, target, frame) in enumerate(self.frames):
                udp = struct.pack(">HHHH", PORT, PORT, 8 + len(frame), 0) + frame
                packet = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, target) + udp
                out.write(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)

    def wrong(self, file: Path) -> list[str]:
        """One line for each frame that tshark finds wrong."""
        self.write(file)
        told = subprocess.run(("tshark", "-r", str(file), "-Y", WRONG), check=True, capture_output=True, text=True)
        lines, frames = told.stdout.splitlines(), list(self.frames)
        return [f"{line}  {frames[int(line.split()[0]) - 1][2].hex()}" for line in lines]


@contextmanager
def tapped() -> Iterator[Wiretap]:
    """Listens as long as it lasts."""
    tap, send = Wiretap(), UdpPort.send

    def heard(self: UdpPort, datagram: bytes, address: tuple[str, int]) -> None:
        tap.hear(self, address, datagram)
        send(self, datagram, address)

    UdpPort.send = heard  # type: ignore[method-assign]
    try:
        yield tap
    finally:
        UdpPort.send = send  # type: ignore[method-assign]


def is_there() -> bool:
    """Whether tshark is installed."""
    return shutil.which("tshark") is not None
