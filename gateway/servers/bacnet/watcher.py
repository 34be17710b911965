"""What every BACnet peer asks, for the observatory.

Rules of this file: a read that is answered costs one integer more than before; refusals, writes and subscriptions are
looked at, at most so many a second, whoever sends them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from gateway.core.hints import Finding
from gateway.engine.observatory import ClientLog, Observatory
from gateway.servers.bacnet.codec import NULL
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.cov_requests import parse as parse_subscription
from gateway.servers.bacnet.plans import error_body
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import (
    INSTANCE_BITS,
    OBJECT_TYPES,
    UNKNOWN_OBJECT,
    WILDCARD,
    WRITE_ACCESS_DENIED,
    Refusal,
    Service,
    Unconfirmed,
)
from gateway.servers.bacnet.status import UNASKED, Client, Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags
from gateway.servers.bacnet.writes import Element, Peer, parse_multiple, parse_property

PROTOCOL = "bacnet"
LOOKS_PER_S = 200
SIMPLE_ACK, COMPLEX_ACK, ERROR, REJECT, ABORT = 2, 3, 5, 6, 7
REFUSALS = {ERROR: "error", REJECT: "reject", ABORT: "abort"}
ALL_NETWORKS = 0xFFFF
TYPES = {number: name for name, number in OBJECT_TYPES.items()}
SUBSCRIBE = (Service.SUBSCRIBE_COV, Service.SUBSCRIBE_COV_PROPERTY)
WRITE = (Service.WRITE_PROPERTY, Service.WRITE_PROPERTY_MULTIPLE)
NAMES = {int(each): each.name.title().replace("_", "").replace("Cov", "COV") for each in Service}
NAMES |= {UNASKED | Unconfirmed.WHO_IS: "Who-Is", UNASKED | Unconfirmed.WHO_HAS: "Who-Has"}


@dataclass(slots=True)
class Brought:
    """What was brought of one client already."""

    client: Client
    services: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)


class Watcher:
    """Brings what the server counts once a second; `Watch` shows it the requests of one device.

    Args:
        observatory: where it goes; None: nobody watches.
        networks: who may write.
        known: the network numbers that are here.
    """

    def __init__(
        self,
        observatory: Observatory | None,
        traffic: Traffic,
        cov: Cov,
        networks: Sequence[IPv4Network],
        known: Callable[[], Sequence[int]],
    ) -> None:
        self.observatory, self.traffic, self._cov = observatory, traffic, cov
        self._networks, self._known = networks, known
        self._brought: dict[str, Brought] = {}
        self._looks = LOOKS_PER_S
        traffic.on_network = self.strayed

    def begin(self) -> None:
        """The server listens."""
        if self.observatory is not None:
            self.observatory.on_tick(self._tick)

    def end(self) -> None:
        """Brings what is left; nothing more comes."""
        if self.observatory is not None:
            self._tick(self.observatory.now)
            self.observatory.off_tick(self._tick)

    def look(self) -> bool:
        """Whether one more request may be looked at this second."""
        self._looks -= 1
        return self.observatory is not None and self._looks >= 0

    def may_write(self, peer: Peer) -> bool:
        """Whether a client is in the write networks."""
        return peer.within(self._networks)

    def strayed(self, host: str, network: int) -> None:
        """A client asked for a network (DNET) by number."""
        if network == ALL_NETWORKS or network in self._known() or not self.look() or self.observatory is None:
            return
        client = self.observatory.client(PROTOCOL, host)
        client.missed(f"network {network}")
        text = f"asks for BACnet network {network}, which is not here: this gateway "
        known = ", ".join(str(number) for number in self._known() if number)
        text += f"has network {known}" if known else "has none of its own: ask it without a network number"
        self.observatory.tell(client, Finding("wrong_network", text))

    def _tick(self, _now: float) -> None:
        """Once a second."""
        self._looks = LOOKS_PER_S
        observatory = self.observatory
        if observatory is None:
            return
        clients = self.traffic.clients
        for client in clients:
            self._bring(client, observatory)
        listed = {client.address for client in clients}
        self._brought = {address: brought for address, brought in self._brought.items() if address in listed}
        subscriptions: Counter[str] = Counter()
        for subscriber in self._cov.book.subscribers.values():
            subscriptions[host_of(subscriber.text)] += len(subscriber.subscriptions)
        for address in listed:
            log = observatory.known(PROTOCOL, address)
            if log is not None:
                log.subscriptions = subscriptions[address]

    def _bring(self, client: Client, observatory: Observatory) -> None:
        known = self._brought.get(client.address)
        if known is None or known.client is not client:
            known = self._brought[client.address] = Brought(client)
        if client.services == known.services:
            return
        log = observatory.client(PROTOCOL, client.address)
        for service, count in (client.services - known.services).items():
            observatory.count(log, NAMES.get(service, "other"), count)
        for kind, count in (client.refusals - known.refusals).items():
            observatory.refused(log, REFUSALS[kind], count)
        known.services, known.refusals = Counter(client.services), Counter(client.refusals)


class Watch:
    """Looks at the requests of one device."""

    def __init__(self, watcher: Watcher, store: ObjectStore) -> None:
        self._watcher, self._store = watcher, store

    def saw(self, peer: Peer, service: int, body: bytes, answer: bytes) -> None:
        """A confirmed request and its answer's APDU."""
        kind, observatory = answer[0] >> 4, self._watcher.observatory
        if kind in REFUSALS:
            self._watcher.traffic.refused(str(peer.ip), kind)
        if kind == COMPLEX_ACK or observatory is None or not self._watcher.look():
            return
        client = observatory.client(PROTOCOL, str(peer.ip))
        try:
            for finding in self._findings(observatory, client, peer, service, body, answer):
                observatory.tell(client, finding)
        except (Malformed, Refusal):
            return

    def _findings(
        self, observatory: Observatory, client: ClientLog, peer: Peer, service: int, body: bytes, answer: bytes
    ) -> list[Finding | None]:
        kind = answer[0] >> 4
        if kind == REJECT and answer[2:3] == bytes((RejectReason.UNRECOGNIZED_SERVICE,)):
            name = NAMES.get(service, "")
            return [Finding("function", f"asks for service {service} {name}".rstrip() + ", which is not served")]
        if service in WRITE:
            elements = [parse_property(body)] if service == Service.WRITE_PROPERTY else parse_multiple(body)
            return self._writes(observatory, client, peer, elements, answer)
        if kind == ERROR and answer[3:] == error_body(UNKNOWN_OBJECT):
            first = 1 if service in SUBSCRIBE else 0
            return [self._missing(client, _key(body, first))]
        if service in SUBSCRIBE and kind == SIMPLE_ACK:
            request = parse_subscription(self._store.device.key, body, of_property=service != Service.SUBSCRIBE_COV)
            if request.cancels:
                return []
            wish = request.wish
            what = (wish.device, wish.key, wish.prop)
            return [client.bacnet.subscribed(what, self._name(wish.key), wish.lifetime, observatory.now)]
        return []

    def _writes(
        self, observatory: Observatory, client: ClientLog, peer: Peer, elements: Sequence[Element], answer: bytes
    ) -> list[Finding | None]:
        if answer[0] >> 4 != SIMPLE_ACK:
            return [self._refused(client, peer, elements, answer)]
        found: list[Finding | None] = []
        client.writes += len(elements)
        for element in elements:
            record = self._store.get(element.key)
            if not isinstance(record, PointRecord) or element.value is None or not record.commandable:
                continue
            slot, now = element.priority, observatory.now
            if element.value.tag == NULL:
                found.append(client.bacnet.at_priority(record.name, slot, now))
                continue
            value, leased = record.accept(element.value), _leased(observatory, record.index, slot)
            found += client.bacnet.wrote(record.index, value, record.name, slot, now, leased)
        return found

    def _refused(self, client: ClientLog, peer: Peer, elements: Sequence[Element], answer: bytes) -> Finding | None:
        """What a refused write shows; of WritePropertyMultiple only that its client has no right."""
        if not self._watcher.may_write(peer):
            return Finding("no_right", "writes, but its address is not in bacnet.write of config.yaml")
        if len(elements) != 1 or answer[0] >> 4 != ERROR:
            return None
        element = elements[0]
        record = self._store.get(element.key)
        if record is None:
            return self._missing(client, element.key)
        if isinstance(record, PointRecord) and record.commandable:
            return client.bacnet.at_priority(record.name, element.priority, 0.0) if element.priority == 6 else None
        if answer[3:] == error_body(WRITE_ACCESS_DENIED):
            return Finding("read_only", f"writes {record.name}, which can only be read")
        return None

    def _missing(self, client: ClientLog, key: int) -> Finding:
        name = _object(key)
        client.missed(name)
        return Finding("unmapped", f"asks for {name}, which is not there")

    def _name(self, key: int) -> str:
        record = self._store.get(key)
        return _object(key) if record is None else record.name


def host_of(text: str) -> str:
    """The host of a peer as `Peer.text` has it, a router's for a routed one."""
    return text.rpartition(" ")[2].partition(":")[0]


def _leased(observatory: Observatory, index: int, slot: int) -> Callable[[], bool]:
    return lambda: observatory.leased(index, slot)


def _key(body: bytes, context: int) -> int:
    tags = Tags(body)
    if context:
        tags.number(0)
    return tags.key(context)


def _object(key: int) -> str:
    number = key >> INSTANCE_BITS
    return f"{TYPES.get(number, f'object type {number}')} {key & WILDCARD}"
