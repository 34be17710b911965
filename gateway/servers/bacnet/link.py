"""The BACnet/IP port: one socket for us alone, one for the subnet's broadcasts (ASHRAE 135 annex J).

Rules of this file: a port that is taken is an error at start, never shared in silence; a datagram that the layers above
cannot take is dropped and counted. The sockets are read here and not by a transport of the event loop, which costs a
turn of the loop for each datagram.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Interface

from bacpypes3.comm import Server, bind
from bacpypes3.ipv4.bvll import BVLLCodec
from bacpypes3.ipv4.service import BIPNormal, UDPMultiplexer
from bacpypes3.pdu import PDU, Address, IPv4Address, LocalBroadcast

from gateway.servers.bacnet.status import Traffic

Quick = Callable[[bytes, str], bytes | None]
"""Unicast datagram and client's IP address to the answering datagram, None if it must go through the layers."""

BVLL_TYPE, ORIGINAL_UNICAST, BVLL_HEAD = 0x81, 0x0A, 4
DESTINED, DESTINED_HEAD = 0x20, BVLL_HEAD + 4
"""The bit of the NPCI that says there is a DNET, and the octets up to its end."""
AT_ONCE, LONGEST = 16, 2048
"""Datagrams taken in one turn of the loop, and their octets."""
MOST_PENDING = 512
"""Datagrams inside the layers at any time, and those that wait for room in the socket; more are dropped."""


class Inlet:
    """One open socket; `quick` is None for the one that hears broadcasts."""

    def __init__(self, port: UdpPort, sock: socket.socket, quick: Quick | None) -> None:
        self._port, self._socket, self._quick = port, sock, quick
        self._waiting: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._destination = LocalBroadcast() if quick is None else IPv4Address(sock.getsockname())
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._take_all)
        self.closed = False

    def _take_all(self) -> None:
        """Takes the datagrams that wait."""
        receive = self._socket.recvfrom
        for _ in range(AT_ONCE):
            try:
                data, addr = receive(LONGEST)
            except OSError:  # nothing more waits; or a trouble of the network, which is no datagram's
                return
            self._take(data, addr)

    def _take(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answers a plain read at once, hands everything else to the layers."""
        port = self._port
        if addr == port.local_address:
            return
        if self._quick is not None and is_unicast(data):
            answer = self._quick(data, addr[0])
            if answer is not None:
                port.send(answer, addr)
                return
        if len(data) >= DESTINED_HEAD and data[1] == ORIGINAL_UNICAST and data[BVLL_HEAD + 1] & DESTINED:
            port.destined(addr[0], int.from_bytes(data[BVLL_HEAD + 2 : DESTINED_HEAD], "big"))
        port.admit(data, addr, self._destination)

    def send(self, datagram: bytes, address: tuple[str, int]) -> bool:
        """Sends a datagram, later if there is no room in the socket; returns whether it may have left.

        Raises:
            OSError: it cannot leave.
        """
        if not self._waiting:
            try:
                self._socket.sendto(datagram, address)
                return True
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._send_waiting)
        elif len(self._waiting) >= MOST_PENDING:
            return False
        self._waiting.append((datagram, address))
        return True

    def _send_waiting(self) -> None:
        while self._waiting:
            try:
                self._socket.sendto(*self._waiting[0])
            except BlockingIOError:
                return
            except OSError:
                self._port.lost()
            self._waiting.popleft()
        self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """Closes the socket; its address is free on return."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()


def is_unicast(data: bytes) -> bool:
    """Whether a datagram is a well-formed Original-Unicast-NPDU."""
    return data[:2] == b"\x81\x0a" and int.from_bytes(data[2:4], "big") == len(data) > BVLL_HEAD


class UdpPort(Server[PDU]):  # type: ignore[misc]  # bacpypes3 has no types
    """The sockets below bacpypes3's link layer."""

    def __init__(self, interface: IPv4Interface, traffic: Traffic) -> None:
        super().__init__()
        self._host = str(interface.ip)
        self._traffic = traffic
        self._quick: Quick | None = None
        self._gone = False
        self._pending: set[asyncio.Task[None]] = set()
        self._inlets: list[Inlet] = []
        self._hears_broadcasts = interface.network.prefixlen < 31
        everywhere = interface.ip.is_unspecified
        self._broadcast = str(interface.network.broadcast_address) if self._hears_broadcasts else ""
        if everywhere:
            self._hears_broadcasts, self._broadcast = False, "255.255.255.255"
        self.local_address = (self._host, 0)

    async def open(self, port: int, quick: Quick) -> int:
        """Opens the sockets; returns the UDP port (of use when `port` is 0).

        Raises:
            OSError: the address is taken or not ours; the text says which.
        """
        self._quick = quick
        own = listen(self._host, port, shared=False)
        self.local_address = own.getsockname()
        sockets: list[tuple[socket.socket, Quick | None]] = [(own, quick)]
        try:
            if self._hears_broadcasts:
                sockets.append((listen(self._broadcast, self.local_address[1], shared=True), None))
        except OSError:
            own.close()
            raise
        self._inlets = [Inlet(self, sock, taker) for sock, taker in sockets]
        return self.local_address[1]

    async def mend(self) -> bool:
        """Looks after the sockets (B09): opens them anew when the address was gone, or they were lost.

        Returns whether they are new.

        Raises:
            OSError: the address is not this machine's now, or the port is taken; try again later.
        """
        if not self._quick:
            return False
        try:
            listen(self._host, 0, shared=False).close()
        except OSError as error:
            self._gone = True
            raise OSError(str(error).replace(f"{self._host}:0", f"{self._host}:{self.local_address[1]}")) from error
        if not self._gone and self._inlets and not any(inlet.closed for inlet in self._inlets):
            return False
        quick, port = self._quick, self.local_address[1]
        await self.close()
        self._quick, self._gone = quick, True
        await self.open(port, quick)
        self._gone = False
        return True

    def send(self, datagram: bytes, address: tuple[str, int]) -> None:
        """Sends one datagram as it is; one that cannot leave is lost, as any datagram may be."""
        if not self._inlets:
            return
        try:
            if not self._inlets[0].send(datagram, address):
                self.lost()
        except OSError:
            self.lost()

    def lost(self) -> None:
        """Counts a datagram that did not leave."""
        self._traffic.dropped += 1

    def send_npdu(self, npdu: bytes, address: tuple[str, int]) -> None:
        """Sends an NPDU to one station of this network, past bacpypes3's layers, which cost three times as much."""
        self.send(bytes((BVLL_TYPE, ORIGINAL_UNICAST)) + (BVLL_HEAD + len(npdu)).to_bytes(2, "big") + npdu, address)

    def destined(self, host: str, network: int) -> None:
        """Notes that a client names a network (DNET) that may not be here."""
        self._traffic.on_network(host, network)

    def admit(self, data: bytes, addr: tuple[str, int], destination: Address) -> None:
        """Passes one datagram up, if there is room in the layers."""
        if len(self._pending) >= MOST_PENDING:
            self._traffic.dropped += 1
            return
        pdu = PDU(data, source=IPv4Address(addr), destination=destination)
        task = asyncio.get_running_loop().create_task(self.confirmation(pdu))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def confirmation(self, pdu: PDU) -> None:
        """Passes one datagram up."""
        try:
            await self.response(pdu)
        except Exception:  # noqa: BLE001  # bacpypes3 raises many kinds for malformed octets; ours are caught in stack.py
            self._traffic.dropped += 1

    async def indication(self, pdu: PDU) -> None:
        """Sends one datagram; a broadcast without a subnet goes nowhere."""
        target = pdu.pduDestination
        if isinstance(target, LocalBroadcast):
            if self._broadcast:
                self.send(bytes(pdu.pduData), (self._broadcast, self.local_address[1]))
            return
        address = target if isinstance(target, IPv4Address) else IPv4Address(target)
        self.send(bytes(pdu.pduData), address.addrTuple)

    async def close(self) -> None:
        """Closes the sockets; they are free on return."""
        self._quick = None
        for inlet in self._inlets:
            inlet.close()
        self._inlets.clear()


class Link(BIPNormal):  # type: ignore[misc]  # bacpypes3 has no types
    """bacpypes3's BVLL layers on our sockets."""

    def __init__(self, port: UdpPort) -> None:
        super().__init__()
        self._codec, self._multiplexer = BVLLCodec(), UDPMultiplexer()
        bind(self, self._codec, self._multiplexer.annexJ)
        bind(self._multiplexer, port)


def listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """A bound UDP socket; the one for broadcasts may be shared with other devices of this host.

    Raises:
        OSError: the address is taken or not ours.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        cause = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OSError(f"bacnet: cannot listen on {host}:{port}: {cause}") from error
    return sock
