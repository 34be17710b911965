"""The application layer on bacpypes3's network layer: APDU headers in, answers out (ASHRAE 135 clauses 5.4 and 20.1).

Rules of this file: a confirmed request for us alone gets an answer, Reject or Abort, always; one that was broadcast
gets none; a fault of ours is logged at most once a minute, a fault of a peer not at all.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from ipaddress import IPv4Address

from bacpypes3.apdu import APDU
from bacpypes3.appservice import ApplicationServiceAccessPoint
from bacpypes3.basetypes import Segmentation
from bacpypes3.comm import Client
from bacpypes3.errors import UnknownRoute
from bacpypes3.pdu import PDU, Address, GlobalBroadcast
from bacpypes3.settings import settings

from gateway.servers.bacnet.alarm_reporting import AlarmReporting
from gateway.servers.bacnet.alarm_requests import AlarmRequests
from gateway.servers.bacnet.cov import Cov, Datagram
from gateway.servers.bacnet.cov_requests import CovRequests
from gateway.servers.bacnet.device import APDU_RETRIES, APDU_SEGMENT_TIMEOUT_MS, APDU_TIMEOUT_MS
from gateway.servers.bacnet.discovery import Discovery
from gateway.servers.bacnet.management import Management
from gateway.servers.bacnet.presence import Presence
from gateway.servers.bacnet.read_range import ReadRanges
from gateway.servers.bacnet.services import Reads, abort, reject
from gateway.servers.bacnet.shortcut import LIMITS, PLAIN, PLAIN_AT, Head, head_of, unicast
from gateway.servers.bacnet.standard import MAX_APDU, MAX_SEGMENTS, Abort, Service, Unconfirmed
from gateway.servers.bacnet.status import LOG_EVERY_S, Traffic
from gateway.servers.bacnet.tags import RejectReason
from gateway.servers.bacnet.timekeeping import Timekeeping
from gateway.servers.bacnet.transaction import Transaction
from gateway.servers.bacnet.watcher import Watch
from gateway.servers.bacnet.writes import Peer, Writes

log = logging.getLogger(__name__)

# A routed client is known by its router's address too: for its write right, and to answer the way the request came.
settings.route_aware = True

CONFIRMED, UNCONFIRMED, SIMPLE_ACK, COMPLEX_ACK, SEGMENT_ACK, ERROR, REJECT, ABORT = range(8)
BY_SERVER = 0x01
"""In an Abort: the peer was the server, so it answers a notification of ours."""
MOST_AT_ONCE = 64
"""Segmented transactions, writes on their way, and notifications whose router is not found yet, at any time."""
WINDOW = 1
"""Segments per acknowledgement: rusty-bacnet acknowledges the first one late when offered more, which costs 2 s."""
BROADCASTS = (Address.localBroadcastAddr, Address.remoteBroadcastAddr, Address.globalBroadcastAddr)
PLAIN_ANSWER = b"\x01\x00"
"""NPCI of an answer to a client of this network."""
REMOTE = (Address.remoteStationAddr, Address.remoteBroadcastAddr)
TIME_SERVICES = (Unconfirmed.TIME_SYNCHRONIZATION, Unconfirmed.UTC_TIME_SYNCHRONIZATION)


def peer_of(address: Address) -> Peer:
    """A client by its own address, a routed one by its router's."""
    route = getattr(address, "addrRoute", None)
    nearest = route or address
    host, port = getattr(nearest, "addrTuple", ("", 0))
    text = f"{address.addrNet}:{address.addrAddr.hex()} via {host}:{port}" if route else f"{host}:{port}"
    return Peer(IPv4Address(host) if host else None, text)


class NoDevices:
    """What is known of clients beyond their requests: nothing, so that nobody can fill a cache."""

    async def get_device_info(self, address: object) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What serves the requests."""

    reads: Reads
    writes: Writes
    discovery: Discovery
    cov: Cov
    cov_requests: CovRequests
    management: Management
    ranges: ReadRanges
    timekeeping: Timekeeping
    presence: Presence
    traffic: Traffic
    watch: Watch
    reporting: AlarmReporting | None = None
    alarm_requests: AlarmRequests | None = None


class Responder(ApplicationServiceAccessPoint):  # type: ignore[misc]  # bacpypes3 has no types
    """Serves the APDUs that the network layer brings."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(None, NoDevices())
        self.numberOfApduRetries = APDU_RETRIES
        self.apduTimeout = APDU_TIMEOUT_MS
        self.segmentTimeout = APDU_SEGMENT_TIMEOUT_MS
        self.segmentationSupported = Segmentation.segmentedBoth
        self.maxApduLengthAccepted = MAX_APDU
        self.maxSegmentsAccepted = MAX_SEGMENTS
        self.proposedWindowSize = WINDOW
        self.parts = parts
        self._reads = parts.reads
        self._traffic = parts.traffic
        self._writing: set[tuple[Address, int]] = set()
        self._searching: set[asyncio.Task[None]] = set()
        self._log_again_at = 0.0

    async def confirmation(self, pdu: PDU) -> None:
        """Takes one APDU from the network layer."""
        data = bytes(pdu.pduData)
        kind = data[0] >> 4 if data else -1
        broadcast = pdu.pduDestination.addrType in BROADCASTS
        self.parts.presence.broadcasts += broadcast
        if kind == CONFIRMED:
            if not broadcast:
                await self._confirmed(pdu, data)
        elif kind == UNCONFIRMED and len(data) > 1:
            await self._unconfirmed(data[1], data[2:], pdu.pduSource)
        elif kind in (SIMPLE_ACK, ERROR, REJECT) or (kind == ABORT and data[0] & BY_SERVER):
            if len(data) > 2:
                self.parts.cov.answered(pdu.pduSource, kind, data[1])
                if self.parts.reporting is not None:
                    self.parts.reporting.sending.answered(pdu.pduSource, kind, data[1])
        elif kind in (SEGMENT_ACK, ABORT):
            await super().confirmation(pdu)
        else:
            self._traffic.dropped += 1

    async def _unconfirmed(self, service: int, body: bytes, source: Address) -> None:
        if service == Unconfirmed.I_AM:
            self.parts.presence.hear_i_am(body, peer_of(source).text)
            if self.parts.reporting is not None:
                self.parts.reporting.sending.hear_i_am(body, source)
        elif service in TIME_SERVICES:
            self.parts.timekeeping.hear(service, body, peer_of(source).text)
        else:
            if service in (Unconfirmed.WHO_IS, Unconfirmed.WHO_HAS):
                self._traffic.searched(str(peer_of(source).ip), self._now(), service)
            answer = self.parts.discovery.answer(service, body)
            if answer is not None:
                await self.send(answer, source)

    def quick(self, data: bytes, host: str) -> bytes | None:
        """The datagram that answers an unrouted, unsegmented read; None for anything that needs the long way."""
        if data[4:PLAIN_AT] not in PLAIN:
            return None
        answer = self.glance(data, PLAIN_AT, host)
        return None if answer is None else unicast(PLAIN_ANSWER, answer)

    def glance(self, data: bytes, at: int, host: str) -> bytes | None:
        """The APDU that answers an unsegmented read, which begins at an octet of a datagram; None for anything else."""
        limit = LIMITS.get(data[at : at + 2])
        if limit is None or (self.serverTransactions and self._under_way(data[at + 2 : at + 3])):
            return None
        try:
            kept = self._reads.kept(data[at + 3 :])
        except Exception:  # noqa: BLE001  # it is read again, and then the fault is logged
            kept = None
        if kept is None:
            return self._read_first(data[at:], host)
        if len(kept) + 2 > limit:
            return None
        self._traffic.seen(host, self._now(), kept[0])
        return b"\x30" + data[at + 2 : at + 3] + kept

    def _under_way(self, invoke: bytes) -> bool:
        """Whether a segmented request or answer has this invoke id; a new request of the same client ends it."""
        return bool(invoke) and any(each.invokeID == invoke[0] for each in self.serverTransactions)

    def _read_first(self, apdu: bytes, host: str) -> bytes | None:
        """The same for a request that is new, or refused."""
        head = head_of(apdu)
        answer = None if head is None else self._read(head.service, head.invoke, head.body)
        if head is None or answer is None or len(answer) > head.limit:
            return None
        self._traffic.seen(host, self._now(), head.service)
        if answer[0] >> 4 != COMPLEX_ACK:
            self._note(Peer(IPv4Address(host), host), head, answer)
        return self._traffic.answered(answer)

    async def _confirmed(self, pdu: PDU, data: bytes) -> None:
        head = head_of(data)
        if head is None:
            self._traffic.dropped += 1
            return
        peer = peer_of(pdu.pduSource)
        self._traffic.seen(str(peer.ip), self._now(), head.service)
        known = self._transaction(pdu.pduSource, head.invoke)
        if head.limit == 0:
            answer: bytes | None = abort(head.invoke, Abort.OTHER)
        elif head.service < 0:
            answer = reject(head.invoke, RejectReason.MISSING_PARAMETER)
        elif head.segmented:
            answer = await self._track(pdu, head.invoke, known or Transaction(self, pdu.pduSource))
        else:
            if known is not None:
                known.drop()
            answer = self._read(head.service, head.invoke, head.body)
            if answer is None:
                answer = await self._write_once(head, pdu.pduSource)
            if answer is not None and len(answer) > head.limit:
                answer = await self._track(pdu, head.invoke, Transaction(self, pdu.pduSource, answer))
        if answer is not None:
            self._note(peer, head, answer)
            await self.send(answer, pdu.pduSource)

    def _note(self, peer: Peer, head: Head, answer: bytes) -> None:
        """Shows a request to the observatory; what goes wrong there costs nobody an answer."""
        try:
            self.parts.watch.saw(peer, head.service, head.body, answer)
        except Exception as fault:  # noqa: BLE001  # the answer still leaves; complain logs the fault
            self.complain("watch", fault)

    async def _track(self, pdu: PDU, invoke: int, transaction: Transaction) -> bytes | None:
        """Lets a transaction go on with a PDU; the answer if there is no room for a new one."""
        if transaction not in self.serverTransactions:
            if len(self.serverTransactions) >= MOST_AT_ONCE:
                return abort(invoke, Abort.OUT_OF_RESOURCES)
            self.serverTransactions.append(transaction)
        await transaction.indication(APDU.decode(pdu))
        return None

    async def _write_once(self, head: Head, source: Address) -> bytes | None:
        """Serves a write, None for the repetition of one that is still on its way."""
        token = (source, head.invoke)
        if token in self._writing:
            return None
        if len(self._writing) >= MOST_AT_ONCE:
            return abort(head.invoke, Abort.OUT_OF_RESOURCES)
        self._writing.add(token)
        try:
            return await self.serve(head.service, head.invoke, head.body, source, head.limit)
        finally:
            self._writing.discard(token)

    async def serve(self, service: int, invoke: int, body: bytes, source: Address, limit: int) -> bytes:
        """The answer to a whole request of a client that takes APDUs of up to `limit` octets."""
        answer = self._read(service, invoke, body)
        if answer is not None:
            return answer
        peer, parts = peer_of(source), self.parts
        try:
            if service == Service.READ_RANGE:
                return await parts.ranges.answer(service, invoke, body, limit)
            answer = parts.cov_requests.answer(service, invoke, body, source, peer.text, limit)
            answer = answer or parts.management.answer(service, invoke, body, peer)
            if answer is None and parts.alarm_requests is not None:
                answer = await parts.alarm_requests.answer(service, invoke, body, peer, limit)
            return answer or await parts.writes.answer(service, invoke, body, peer)
        except Exception as fault:  # noqa: BLE001  # a request always gets an answer; complain logs the fault
            self.complain(service, fault)
            return abort(invoke, Abort.OTHER)

    def _read(self, service: int, invoke: int, body: bytes) -> bytes | None:
        try:
            return self._reads.answer(service, invoke, body)
        except Exception as fault:  # noqa: BLE001  # a request always gets an answer; complain logs the fault
            self.complain(service, fault)
            return abort(invoke, Abort.OTHER)

    def complain(self, service: int | str, fault: Exception) -> None:
        """Logs a fault of ours, at most one a minute."""
        now = self._now()
        if now >= self._log_again_at:
            self._log_again_at = now + LOG_EVERY_S
            text = "bacnet: service %s failed; repetitions within %d s are not logged"
            log.error(text, service, LOG_EVERY_S, exc_info=fault)

    def _transaction(self, source: Address, invoke: int) -> Transaction | None:
        for transaction in self.serverTransactions:
            if transaction.invokeID == invoke and transaction.pdu_address == source:
                return transaction  # type: ignore[no-any-return]
        return None

    async def send(self, apdu: bytes, destination: Address) -> None:
        """Sends one unsegmented APDU."""
        await Client.request(self, PDU(self._traffic.answered(apdu), destination=destination))

    async def notify(self, datagram: Datagram) -> None:
        """Sends what nobody asked for; one whose router must be found first keeps the others from waiting for it."""
        to = datagram.destination
        if to.addrType not in REMOTE or getattr(to, "addrRoute", None) is not None:
            await self._notify(datagram)
        elif len(self._searching) >= MOST_AT_ONCE:
            self._traffic.dropped += 1
        else:
            task = asyncio.get_running_loop().create_task(self._notify(datagram))
            self._searching.add(task)
            task.add_done_callback(self._searching.discard)

    async def _notify(self, datagram: Datagram) -> None:
        """A fault of ours costs one notification, and so does a network that no router knows."""
        try:
            pdu = PDU(datagram.apdu, destination=datagram.destination)
            pdu.pduExpectingReply = datagram.apdu[0] >> 4 == CONFIRMED
            await Client.request(self, pdu)
        except UnknownRoute:
            self._traffic.dropped += 1
        except Exception as fault:  # noqa: BLE001  # the other notifications still go out; complain logs the fault
            self.complain(datagram.apdu[1], fault)

    async def announce(self) -> None:
        """Sends an I-Am to everybody."""
        await self.notify(Datagram(self.parts.discovery.i_am(), GlobalBroadcast()))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
