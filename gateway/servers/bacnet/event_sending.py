"""Event notifications on their way: to whom each goes, how fast, and what becomes of recipients that do not answer.

Rules of this file: what happened is told in its order, one confirmed notification per recipient on its way at a time; a
recipient that is dead loses what waited for it and stays in the list; time comes from outside and nothing here waits.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bacpypes3.pdu import Address, GlobalBroadcast, IPv4Address, LocalBroadcast, RemoteBroadcast, RemoteStation

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.codec import OBJECT_ID
from gateway.servers.bacnet.cov import (
    ANSWER_S,
    CONFIRMED_HEAD,
    MOST_INVOKE,
    NO_SEGMENTS_1476,
    PASS_S,
    SIMPLE_ACK,
    Datagram,
)
from gateway.servers.bacnet.destinations import EVERYWHERE, LOCAL, Destination
from gateway.servers.bacnet.device import APDU_RETRIES
from gateway.servers.bacnet.event_notifications import Notice
from gateway.servers.bacnet.notification_classes import NotificationClasses
from gateway.servers.bacnet.standard import Service, Unconfirmed, object_key
from gateway.servers.bacnet.status import Sparing
from gateway.servers.bacnet.tags import Malformed, Tags

MOST_WAITING = 1000
"""Notifications that may wait for one recipient; the oldest goes first."""
PEER_BURST, BURST = 16, 64
"""Notifications of one pass, to one recipient and to all."""
ASK_EVERY_S, UNKNOWN_S = 5.0, 60.0
"""Between two questions where a device is; after the second nothing waits for it any more."""
OWN_INVOKE = MOST_INVOKE + 1
"""The first invoke identifier of an event notification."""
Invocation = tuple[int | None, bytes, int]
"""Network, MAC and invoke identifier: a peer is the same by whichever router its answer comes."""


@dataclass(eq=False, slots=True)
class Flight:
    """A confirmed notification on its way: sent `tries` times, given up or repeated at `due`."""

    apdu: bytes
    address: Address
    device: int
    invoke: int
    due: float
    tries: int = 1


@dataclass(eq=False, slots=True)
class Line:
    """What waits for one recipient; `since`: from when on it is not known where the device is."""

    destination: Destination
    waiting: deque[Notice] = field(default_factory=deque)
    flight: Flight | None = None
    since: float | None = None
    ask_at: float = -math.inf
    dead: bool = False


class Sending:
    """The event notifications of all devices.

    Args:
        classes: who is told.
        own: the Device object's identifier of the gateway's own device.
        silent: whether a device may send nothing of its own accord (DeviceCommunicationControl).
        alarms: gets recipients that do not answer.
        now: monotonic time in seconds.
        wake: called when something new waits to be sent.
    """

    def __init__(
        self,
        classes: NotificationClasses,
        *,
        own: int,
        silent: Callable[[int], bool],
        alarms: Alarms,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._classes, self._own, self._silent = classes, own, silent
        self._alarms, self._now, self._wake = alarms, now, wake
        self._log = Sparing(logging.getLogger(__name__))
        self._lines: dict[bytes, Line] = {}
        self._flying: dict[Invocation, Line] = {}
        self._where: dict[int, Address] = {}
        self._invoke = 0
        self.sent = 0

    def tell(self, number: int, notice: Notice) -> None:
        """Lines a notification up for everybody in a class who wants it."""
        of = self._classes.get(number)
        for destination in of.recipients if of is not None else ():
            if destination.wants(notice.transition, notice.at):
                line = self._lines.setdefault(destination.octets, Line(destination))
                if len(line.waiting) >= MOST_WAITING:
                    line.waiting.popleft()
                    text = "bacnet: more than %d alarm notifications wait for %s; the oldest are dropped"
                    self._log.warning(self._now(), text, MOST_WAITING, destination)
                line.waiting.append(notice)
                self._wake()

    # -- sending -------------------------------------------------------------------------------------------------

    def pump(self) -> Iterator[Datagram]:
        """What is to be sent now: repetitions, then new notifications in turn, at most a burst."""
        now = self._now()
        self._prune()
        yield from self._repeat(now)
        left = BURST
        for line in list(self._lines.values()):
            if left <= 0:
                return
            for datagram in self._share(line, min(PEER_BURST, left), now):
                left -= 1
                yield datagram

    def _share(self, line: Line, most: int, now: float) -> Iterator[Datagram]:
        while most > 0 and line.flight is None and line.waiting and not self._silent(line.waiting[0].device):
            address = self._address(line.destination)
            if address is None:
                yield from self._seek(line, now)
                return
            line.since, most = None, most - 1
            confirmed = line.destination.confirmed
            invoke = self._free_invoke(address) if confirmed else 0
            if confirmed and not invoke:
                return
            notice = line.waiting.popleft()
            device = 0 if notice.device == self._own else notice.device
            data = notice.service_data(line.destination)
            self.sent += 1
            if not confirmed:
                self._alive(line)
                yield Datagram(bytes((0x10, Unconfirmed.EVENT_NOTIFICATION)) + data, address, device)
                continue
            apdu = bytes((CONFIRMED_HEAD, NO_SEGMENTS_1476, invoke, Service.CONFIRMED_EVENT_NOTIFICATION)) + data
            line.flight = Flight(apdu, address, device, invoke, now + ANSWER_S)
            self._flying[_invocation(address, invoke)] = line
            yield Datagram(apdu, address, device)

    def _free_invoke(self, address: Address) -> int:
        """An invoke identifier that no notification to this peer has now; 0 if all are on their way to it."""
        for _ in range(OWN_INVOKE):
            self._invoke = (self._invoke + 1) % OWN_INVOKE
            if _invocation(address, OWN_INVOKE | self._invoke) not in self._flying:
                return OWN_INVOKE | self._invoke
        return 0

    def _repeat(self, now: float) -> Iterator[Datagram]:
        for line in list(self._flying.values()):
            flight = line.flight
            if flight is None or flight.due > now:
                continue
            if flight.tries <= APDU_RETRIES:
                flight.tries, flight.due = flight.tries + 1, now + ANSWER_S
                yield Datagram(flight.apdu, flight.address, flight.device)
            else:
                self._land(line)
                self._give_up(line, "acknowledges no alarm notification")

    def _address(self, destination: Destination) -> Address | None:
        """Where a recipient is; None while that is not known of a device."""
        network, mac = destination.network, destination.mac
        if destination.device is not None:
            return self._where.get(destination.device)
        if network == EVERYWHERE:
            return GlobalBroadcast()
        if not mac:
            return LocalBroadcast() if network == LOCAL else RemoteBroadcast(network)
        if network == LOCAL:
            return IPv4Address((".".join(map(str, mac[:4])), int.from_bytes(mac[4:], "big")))
        return RemoteStation(network, mac)

    def _seek(self, line: Line, now: float) -> Iterator[Datagram]:
        """Asks where a device is, and after a while stops waiting for it."""
        if line.since is None:
            line.since = now
        if now - line.since > UNKNOWN_S:
            line.since = None
            self._give_up(line, "is not found in the network")
        elif now >= line.ask_at and line.destination.device is not None:
            line.ask_at = now + ASK_EVERY_S
            number = line.destination.device
            who_is = bytes((0x10, Unconfirmed.WHO_IS))
            question = who_is + codec.context_unsigned(0, number) + codec.context_unsigned(1, number)
            yield Datagram(question, GlobalBroadcast())

    def _give_up(self, line: Line, why: str) -> None:
        """A recipient is dead: nothing waits for it, and the next alarm tries it anew."""
        lost, who = len(line.waiting), str(line.destination)
        line.waiting.clear()
        if line.destination.device is not None:
            self._where.pop(line.destination.device, None)
        if not line.dead:
            line.dead = True
            waited = f"; {lost} more are dropped" if lost else ""
            text = f"bacnet: {who} {why}{waited}; it stays in the Recipient_List, and is tried with the next alarm"
            self._alarms.set(_key(line), text)

    def rest_s(self) -> float:
        """How long nothing has to be done unless something new comes; `PASS_S` while something waits."""
        now, due = self._now(), math.inf
        for line in self._lines.values():
            if line.flight is not None:
                due = min(due, line.flight.due)
            elif line.waiting and not self._silent(line.waiting[0].device):
                due = min(due, line.ask_at if line.since is not None else now + PASS_S)
        return max(PASS_S, due - now)

    def _prune(self) -> None:
        """Forgets lines of recipients that are in no list any more."""
        listed = {item.octets for of in self._classes for item in of.recipients}
        for octets in [octets for octets in self._lines if octets not in listed]:
            line = self._lines.pop(octets)
            self._land(line)
            self._alarms.clear(_key(line))
            if line.destination.device is not None:
                self._where.pop(line.destination.device, None)

    # -- what peers say ------------------------------------------------------------------------------------------

    def answered(self, address: Address, kind: int, invoke: int) -> None:
        """A peer's Simple-ACK, Error, Reject or Abort (`kind` is the PDU type) to a notification."""
        line = self._flying.get(_invocation(address, invoke))
        if line is None:
            return
        self._land(line)
        self._wake()
        if kind == SIMPLE_ACK:
            self._alive(line)
        else:
            text = "bacnet: %s refuses alarm notifications; is it meant to be in the Recipient_List?"
            self._log.warning(self._now(), text, line.destination)

    def hear_i_am(self, body: bytes, source: Address) -> None:
        """An I-Am; of use when it is a device that something waits for."""
        try:
            key = int.from_bytes(Tags(body).application(OBJECT_ID), "big")
        except Malformed:
            return
        for line in self._lines.values():
            device = line.destination.device
            if device is not None and object_key("device", device) == key:
                self._where[device] = source
                self._wake()

    def _alive(self, line: Line) -> None:
        """A recipient can be told again; of an unconfirmed notification that its device is found is all one knows."""
        if line.dead:
            line.dead = False
            self._alarms.clear(_key(line))

    def _land(self, line: Line) -> None:
        flight, line.flight = line.flight, None
        if flight is not None:
            self._flying.pop(_invocation(flight.address, flight.invoke), None)


def _key(line: Line) -> str:
    return f"bacnet.recipient {line.destination.octets.hex()}"


def _invocation(address: Address, invoke: int) -> Invocation:
    return address.addrNet, bytes(address.addrAddr), invoke
