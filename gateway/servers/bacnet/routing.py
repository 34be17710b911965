"""The gateway as a router between BACnet/IP and the network of its virtual devices (ASHRAE 135 clauses 6.4 to 6.6).

Rules of this file: what is not for the virtual network goes to the gateway's own device as it came; a broadcast that is
not ours to pass on is answered by nobody; who may have mistaken us for another router is told so.
"""

from __future__ import annotations

from collections.abc import Callable

from bacpypes3.comm import Client, Server
from bacpypes3.pdu import PDU, Address, IPv4Address, LocalBroadcast, LocalStation, RemoteStation

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet import npdu as layer
from gateway.servers.bacnet.link import Quick, UdpPort
from gateway.servers.bacnet.npdu import Message, Npci, Rejected
from gateway.servers.bacnet.shortcut import PLAIN_NPDU, unicast
from gateway.servers.bacnet.status import Traffic
from gateway.servers.bacnet.virtual import MAC_OCTETS, Fleet, mac_of

DOUBLED = "bacnet.network"
ASK_EVERY_S, ASK_AGAIN_S = 600.0, 60.0
"""Between two questions who else routes to our network number; the second while somebody does."""
GONE_AFTER_S = 200.0
CONFIRMED, COMPLEX_ACK, SEGMENTED = 0, 3, 0x08
PORT_ID = 2
"""Of the virtual network in an Initialize-Routing-Table-Ack: the instance of its Network Port object."""
LAST_HOP, IP_MAC = 1, 6
QUICK_HEAD = 13
"""Octets up to the APDU of a request to a virtual device from the BACnet/IP network."""
HEARD = frozenset(Message) - {Message.WHO_IS_ROUTER, Message.INITIALIZE_TABLE, Message.WHAT_IS_NUMBER}
"""Messages of other routers."""


class Router(Client[PDU], Server[PDU]):  # type: ignore[misc]  # bacpypes3 has no types
    """Stands between the link layer and the network layer of the gateway's own device.

    Args:
        fleet: the devices of the virtual network.
        network: its number.
        ip_network: the number of the BACnet/IP network, 0 if nobody said one.
        udp: sends what needs no layers.
        own: answers what is for the gateway's own device and needs no layers.
        alarms: gets a network number that is used twice.
        now: monotonic time in seconds.
        wake: called when something waits to be sent.
        on_number: called with the number of the BACnet/IP network when another router tells it.
    """

    def __init__(
        self,
        fleet: Fleet,
        network: int,
        ip_network: int,
        *,
        udp: UdpPort,
        own: Quick,
        traffic: Traffic,
        alarms: Alarms,
        now: Callable[[], float],
        wake: Callable[[], None],
        on_number: Callable[[int], None],
    ) -> None:
        Client.__init__(self)
        Server.__init__(self)
        self.fleet, self._network, self._udp, self._own, self._traffic = fleet, network, udp, own, traffic
        self._number, self._configured = ip_network, ip_network != 0
        self._alarms, self._now, self._wake, self._on_number = alarms, now, wake, on_number
        self._net = network.to_bytes(2, "big")
        self._ask_at = now()
        self._doubled_at = 0.0
        self._due: dict[bytes, None] = {}
        self._here = self._net + bytes((MAC_OCTETS,))
        self._answer_head = bytes((layer.VERSION, layer.SOURCED)) + self._here

    # -- the short way -------------------------------------------------------------------------------------------

    def quick(self, data: bytes, host: str) -> bytes | None:
        """The datagram that answers a plain read, of the own device or of a virtual one; None for the long way."""
        if len(data) <= QUICK_HEAD or data[5] & layer.DESTINED == 0:
            return self._own(data, host)
        if data[4] != layer.VERSION or data[5] & ~PLAIN_NPDU != layer.DESTINED or data[6:9] != self._here:
            return None
        mac = data[9:12]
        responder = self.fleet.serves(mac)
        if responder is None or data[12] <= LAST_HOP:
            return None
        answer = responder.glance(data, QUICK_HEAD, host)
        return None if answer is None else unicast(self._answer_head + mac, answer)

    # -- from the link -------------------------------------------------------------------------------------------

    async def confirmation(self, pdu: PDU) -> None:
        """Takes one NPDU."""
        npdu = bytes(pdu.pduData)
        head = layer.parse(npdu)
        if head is None:
            self._traffic.dropped += 1
        elif head.snet == self._network:
            self._claimed(pdu.pduSource)
        elif head.control & layer.MESSAGE:
            await self._message(pdu, head, npdu[head.at], npdu[head.at + 1 :])
        elif head.dnet == 0:
            await self.response(pdu)
        elif head.dnet == layer.ALL_NETWORKS:
            await self.response(pdu)
            if head.hops > LAST_HOP:
                self.fleet.hear(npdu[head.at :], source_of(pdu, head))
        elif head.dnet == self._network:
            if head.hops > LAST_HOP:
                await self._pass_on(pdu, head, npdu[head.at :])
        elif not is_broadcast(pdu) and head.dnet != self._number:
            await self._reject(pdu, head, Rejected.NO_WAY, head.dnet)

    async def _pass_on(self, pdu: PDU, head: Npci, apdu: bytes) -> None:
        """To the virtual network, to one device or all."""
        source = source_of(pdu, head)
        if not head.dadr:
            self.fleet.hear(apdu, source)
            return
        responder = self.fleet.serves(head.dadr)
        if responder is None:
            self._traffic.dropped += 1
            return
        await responder.confirmation(PDU(apdu, source=source, destination=LocalStation(head.dadr)))

    # -- messages of the network layer ---------------------------------------------------------------------------

    async def _message(self, pdu: PDU, head: Npci, kind: int, body: bytes) -> None:
        if head.dnet not in (0, layer.ALL_NETWORKS):
            if head.dnet not in (self._network, self._number) and not is_broadcast(pdu):
                await self._reject(pdu, head, Rejected.NO_WAY, head.dnet)
        elif kind == Message.WHO_IS_ROUTER:
            if body in (b"", self._net):
                self.introduce()
        elif kind == Message.WHAT_IS_NUMBER:
            if self._number and not head.snet and not head.dnet:
                self._say(layer.message(Message.NUMBER_IS, self._number_is))
        elif kind == Message.INITIALIZE_TABLE:
            await self._routing_table(pdu, head, body)
        elif kind in HEARD:
            if kind == Message.I_AM_ROUTER and self._net in [body[at : at + 2] for at in range(0, len(body), 2)]:
                self._claimed(pdu.pduSource)
            if kind == Message.NUMBER_IS and not head.snet and not head.dnet:
                self._learn(body)
            await self.response(pdu)
        elif not is_broadcast(pdu):
            await self._reject(pdu, head, Rejected.UNKNOWN_MESSAGE, head.dnet)

    def introduce(self) -> None:
        """Says which network is behind us, and which one this is if somebody configured that."""
        self._say(layer.message(Message.I_AM_ROUTER, self._net))

    def begin(self) -> None:
        """What a router says when it starts (clauses 6.4.2 and 6.4.20)."""
        self.introduce()
        if self._configured:
            self._say(layer.message(Message.NUMBER_IS, self._number_is))

    @property
    def _number_is(self) -> bytes:
        return self._number.to_bytes(2, "big") + bytes((self._configured,))

    def _learn(self, body: bytes) -> None:
        """Another router knows the number of the BACnet/IP network; a configured one is not replaced."""
        number = int.from_bytes(body[:2], "big") if len(body) == 3 else 0
        if not self._configured and 0 < number < layer.ALL_NETWORKS and number not in (self._number, self._network):
            self._number = number
            self._on_number(number)

    async def _routing_table(self, pdu: PDU, head: Npci, body: bytes) -> None:
        """Answers a question for the table (a count of 0); nothing in it is anybody's to change."""
        if body != b"\x00" or is_broadcast(pdu):
            return
        ports = [(self._number, 1)] if self._number else []
        ports.append((self._network, PORT_ID))
        rows = b"".join(number.to_bytes(2, "big") + bytes((port, 0)) for number, port in ports)
        body = bytes((len(ports),)) + rows
        await self._down(layer.message(Message.INITIALIZE_TABLE_ACK, body, head.snet, head.sadr), pdu.pduSource)

    async def _reject(self, pdu: PDU, head: Npci, reason: Rejected, dnet: int) -> None:
        body = bytes((reason,)) + dnet.to_bytes(2, "big")
        await self._down(layer.message(Message.REJECT, body, head.snet, head.sadr), pdu.pduSource)

    # -- to the link ---------------------------------------------------------------------------------------------

    async def indication(self, pdu: PDU) -> None:
        """What the gateway's own device sends."""
        await self.request(pdu)

    async def send(self, mac: bytes, apdu: bytes, to: Address) -> None:
        """Sends an APDU of a virtual device; `to` is as seen from the BACnet/IP network.

        What has no known router is broadcast with its destination in it (clause 6.5.3).
        """
        kind = apdu[0] >> 4
        asks = kind == CONFIRMED or (kind == COMPLEX_ACK and bool(apdu[0] & SEGMENTED))
        control, source = layer.ASKS if asks else 0, layer.address(self._network, mac)
        route, net, dadr = getattr(to, "addrRoute", None), to.addrNet or 0, to.addrAddr or b""
        if net == self._network:
            return
        if net and net == self._number:
            route, net = IPv4Address(dadr) if len(dadr) == IP_MAC else None, 0
        if to.addrType == Address.localStationAddr:
            route = to
        elif to.addrType == Address.globalBroadcastAddr:
            net = layer.ALL_NETWORKS
        npdu = layer.header(control, net, dadr if net else b"", source) + apdu
        if route is None:
            await self._down(npdu, LocalBroadcast())
        else:
            self._udp.send_npdu(npdu, route.addrTuple)

    async def _down(self, npdu: bytes, to: Address) -> None:
        await self.request(PDU(npdu, destination=to))

    def _say(self, npdu: bytes) -> None:
        """Lines up a broadcast; who asks ten times in one pass gets one answer, for it reaches everybody."""
        self._due[npdu] = None
        self._wake()

    # -- what is done of its own accord --------------------------------------------------------------------------

    async def pump(self) -> bool:
        """Sends what waits, at a pace; returns whether there is more."""
        due, self._due = self._due, {}
        for npdu in due:
            await self._down(npdu, LocalBroadcast())
        for peer, answer in self.fleet.calls.pump():
            apdu = answer.apdu or self.fleet.i_am(answer.device)
            await self.send(mac_of(answer.device), apdu, peer)
        return self.fleet.calls.waits

    async def tick(self) -> None:
        """Asks who else has our number when it is time for it, and forgets who had it."""
        now = self._now()
        if now < self._ask_at:
            return
        doubled = DOUBLED in self._alarms
        if doubled and now - self._doubled_at > GONE_AFTER_S:
            self._alarms.clear(DOUBLED)
        self._ask_at = now + (ASK_AGAIN_S if doubled else ASK_EVERY_S)
        await self._down(layer.message(Message.WHO_IS_ROUTER, self._net), LocalBroadcast())

    def _claimed(self, source: Address) -> None:
        """Somebody else sends from, or routes to, a network of our number (6.6.3.3)."""
        if not isinstance(source, IPv4Address) or source.addrTuple == self._udp.local_address:
            return
        self._doubled_at = self._now()
        self._ask_at = min(self._ask_at, self._doubled_at + ASK_AGAIN_S)
        host, port = source.addrTuple
        text = f"{host}:{port} routes to BACnet network {self._network} too; a network number must be unique on the "
        self._alarms.set(DOUBLED, f"{text}whole site: change bacnet.network here or the number there")


def is_broadcast(pdu: PDU) -> bool:
    """Whether others on the BACnet/IP network got it too."""
    return bool(pdu.pduDestination.addrType == Address.localBroadcastAddr)


def source_of(pdu: PDU, head: Npci) -> Address:
    """Who sent an NPDU: a station of the BACnet/IP network, or one behind the router that it came by."""
    return RemoteStation(head.snet, head.sadr, route=pdu.pduSource) if head.snet else pdu.pduSource
