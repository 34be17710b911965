"""Change-of-value notifications: when they leave, how fast, and what becomes of peers that do not answer.

Rules of this file: a subscription waits at most once, and what is sent is the value of that moment, so that a storm
costs its newest values only; one confirmed notification per peer is on its way at any time; nobody is sent more at
once than a small device can take; time comes from outside and nothing here waits.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Container, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from bacpypes3.pdu import Address

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.board import Board
from gateway.servers.bacnet.device import APDU_RETRIES, APDU_TIMEOUT_MS
from gateway.servers.bacnet.objects import Items, Record
from gateway.servers.bacnet.plans import MOST_OCTETS
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import ABORT_BUFFER_OVERFLOW, Prop, Refusal, Service, Unconfirmed
from gateway.servers.bacnet.status import Sparing
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.subscriptions import Book, Flight, Subscriber, Subscription, Wish

PASS_S = 0.01
"""Between two passes while something waits."""
PEER_BURST, BURST = 16, 128
"""Datagrams of one pass, to one peer and to all: a peer's socket holds some 200, and ours is asked meanwhile."""
REST_S = 0.1
"""Between two notifications of one subscription; the value in between that nobody saw is a storm's."""
MOST_FAILURES = 3
SIMPLE_ACK = 2
ANSWER_S = APDU_TIMEOUT_MS / 1000
CONFIRMED_HEAD = 0x00
NO_SEGMENTS_1476 = 0x05
MOST_INVOKE = 0x7F
"""Invoke identifiers beyond this are of event notifications to the same peer."""


class Datagram(NamedTuple):
    """An APDU to send, and where to; `device` is the virtual one that sends it, 0 for the gateway's own."""

    apdu: bytes
    destination: Address
    device: int = 0


class Cov:
    """The notifications of all devices.

    Args:
        board: tells of changes.
        per_peer, total: how many subscriptions there may be.
        now: monotonic time in seconds.
        wake: called when something new waits to be sent.
    """

    def __init__(
        self, board: Board, *, per_peer: int, total: int, now: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self._stores: dict[int, ObjectStore] = {}
        self._own = 0
        self._held: dict[int, list[Subscription]] = {}
        self._now = now
        self._wake = wake
        self._log = Sparing(logging.getLogger(__name__))
        self._number = count()
        self._ready: deque[Subscriber] = deque()
        self._later: list[tuple[float, int, Subscription]] = []
        self._flying: dict[Address, Subscriber] = {}
        self.book = Book(per_peer, total)
        self.sent = 0
        self.dropped = 0
        self.muted: set[int] = set()
        """Devices that may send nothing of their own accord (DeviceCommunicationControl); changes are kept."""
        board.observe(self.book.watched, self.changed)

    def serve(self, store: ObjectStore) -> None:
        """Takes subscriptions to the objects of one more device; the first is the gateway's own."""
        key = store.device.key
        self._own = self._own or key
        self._stores[key] = store
        store.device.live[Prop.ACTIVE_COV_SUBSCRIPTIONS] = lambda: self.active(key)
        store.device.listed[Prop.ACTIVE_COV_SUBSCRIPTIONS] = lambda: self.entries(key)

    def prune(self, devices: Container[int]) -> None:
        """After a reload: other devices than these (by identifier) are no more, and neither are some objects."""
        for key in [key for key in self._stores if key not in devices]:
            del self._stores[key]
        for subscription in list(self.book):
            if not isinstance(self._record(subscription), PointRecord):
                self.book.end(subscription)
        self._wake()

    def _record(self, subscription: Subscription) -> Record | None:
        store = self._stores.get(subscription.wish.device)
        return None if store is None else store.get(subscription.wish.key)

    # -- subscribing ---------------------------------------------------------------------------------------------

    def subscribe(self, address: Address, text: str, limit: int, wish: Wish) -> None:
        """Takes a subscription or its renewal; the value of now is sent at once (clause 13.14.1.3).

        Raises:
            Refusal: there is no room.
        """
        made = self.book.put(address, text, wish, self._now())
        made.subscriber.limit = limit
        self._queue(made)

    def cancel(self, address: Address, wish: Wish) -> None:
        """Ends a subscription; one that does not exist is fine (clause 13.14.1.3)."""
        found = self.book.find(address, wish.name)
        if found is not None:
            self.book.end(found)
            self._wake()

    def active(self, device: int) -> bytes:
        """Active_COV_Subscriptions of a device.

        Raises:
            Refusal: there are more than an answer can hold.
        """
        entries = self.entries(device)
        found = b"".join(map(entries.octets, range(entries.size)))
        if len(found) > MOST_OCTETS:
            raise Refusal(ABORT_BUFFER_OVERFLOW)
        return found

    def entries(self, device: int) -> Items:
        """The elements of Active_COV_Subscriptions; ReadRange reads some of them, however many they are."""
        now = self._now()
        self.book.expire(now)
        found = [each for each in self.book if each.wish.device == device]
        return Items(len(found), lambda at: found[at].entry(now))

    def unmute(self, device: int) -> None:
        """What waited for a device's voice may leave."""
        self.muted.discard(device)
        for subscription in self._held.pop(device, ()):
            if subscription.alive:
                self._line_up(subscription)
        self._wake()

    # -- changes -------------------------------------------------------------------------------------------------

    def changed(self, record: PointRecord) -> None:
        """An object that somebody watches may show something else now."""
        flags = record.encode(Prop.STATUS_FLAGS, None)
        for prop, watched in self.book.watched[record.uid].items():
            watched.body = b""
            present = record.encode(prop, None)
            for subscription in watched.subscriptions:
                if not subscription.queued and subscription.differs(present, flags, record.increment):
                    self._queue(subscription)

    def _queue(self, subscription: Subscription) -> None:
        subscription.queued = True
        if subscription.not_before > self._now():
            heappush(self._later, (subscription.not_before, next(self._number), subscription))
        else:
            self._line_up(subscription)
        self._wake()

    def _line_up(self, subscription: Subscription) -> None:
        if subscription.wish.device in self.muted:
            held = self._held.setdefault(subscription.wish.device, [])
            held.append(subscription)
            if len(held) > 2 * len(self.book) + 1000:  # who renews all the time leaves a dead one behind each time
                held[:] = [each for each in held if each.alive]
            return
        subscriber = subscription.subscriber
        waited = subscriber.waits
        (subscriber.confirmed if subscription.wish.confirmed else subscriber.unconfirmed).append(subscription)
        if subscriber.waits and not waited:
            self._ready.append(subscriber)

    # -- sending -------------------------------------------------------------------------------------------------

    def pump(self) -> Iterator[Datagram]:
        """What is to be sent now: repetitions, then new notifications in turn, at most a burst."""
        now = self._now()
        self.book.expire(now)
        while self._later and self._later[0][0] <= now:
            subscription = heappop(self._later)[2]
            if subscription.alive:
                self._line_up(subscription)
        yield from self._repeat(now)
        left = BURST
        for _ in range(len(self._ready)):
            if left <= 0:
                return
            subscriber = self._ready.popleft()
            for datagram in self._share(subscriber, min(PEER_BURST, left), now):
                left -= 1
                yield datagram
            if subscriber.waits:
                self._ready.append(subscriber)

    def _share(self, subscriber: Subscriber, most: int, now: float) -> Iterator[Datagram]:
        for _ in range(most):
            datagram = self._next_confirmed(subscriber, now) or self._next_unconfirmed(subscriber, now)
            if datagram is None:
                return
            yield datagram

    def _next_confirmed(self, subscriber: Subscriber, now: float) -> Datagram | None:
        while subscriber.flight is None and subscriber.confirmed:
            subscription = subscriber.confirmed.popleft()
            body = None if self._hold(subscription) else self._body(subscription, now)
            if body is not None:
                subscriber.invoke = invoke = (subscriber.invoke + 1) & MOST_INVOKE
                head = bytes((CONFIRMED_HEAD, NO_SEGMENTS_1476, invoke, Service.CONFIRMED_COV_NOTIFICATION))
                subscriber.flight = Flight(subscription, invoke, head + body, now + ANSWER_S)
                self._flying[subscriber.address] = subscriber
                return Datagram(head + body, subscriber.address, self._from(subscription))
        return None

    def _next_unconfirmed(self, subscriber: Subscriber, now: float) -> Datagram | None:
        while subscriber.unconfirmed:
            subscription = subscriber.unconfirmed.popleft()
            body = None if self._hold(subscription) else self._body(subscription, now)
            if body is not None:
                apdu = bytes((0x10, Unconfirmed.COV_NOTIFICATION)) + body
                return Datagram(apdu, subscriber.address, self._from(subscription))
        return None

    def _hold(self, subscription: Subscription) -> bool:
        """Puts a notification aside whose device was told to be silent since it was lined up."""
        silent = subscription.wish.device in self.muted
        if silent:
            self._line_up(subscription)
        return silent

    def _from(self, subscription: Subscription) -> int:
        device = subscription.wish.device
        return 0 if device == self._own else device

    def _body(self, subscription: Subscription, now: float) -> bytes | None:
        """A notification of this moment, None for a subscription that is over or a value too long for the peer."""
        record = self._record(subscription)
        if not subscription.alive or not isinstance(record, PointRecord):
            self.book.end(subscription)
            return None
        subscription.queued = False
        subscription.present = record.encode(subscription.watched.prop, None)
        subscription.flags = record.encode(Prop.STATUS_FLAGS, None)
        subscription.not_before = now + REST_S
        remaining = codec.context_unsigned(3, subscription.remaining(now))
        body = b"".join((subscription.head, remaining, subscription.watched.values(record)))
        if len(body) + 4 > subscription.subscriber.limit:
            self.dropped += 1
            return None
        self.sent += 1
        return body

    def rest_s(self) -> float:
        """How long nothing has to be done unless something new comes; `PASS_S` while something waits."""
        if self._ready:
            return PASS_S
        due = min((s.flight.due for s in self._flying.values() if s.flight), default=math.inf)
        later = self._later[0][0] if self._later else math.inf
        return max(0.0, min(due, later, self.book.next_end) - self._now())

    # -- what peers answer ---------------------------------------------------------------------------------------

    def answered(self, address: Address, kind: int, invoke: int) -> None:
        """A peer's Simple-ACK, Error, Reject or Abort (`kind` is the PDU type) to a notification."""
        subscriber = self._flying.get(address)
        if subscriber is None or subscriber.flight is None or subscriber.flight.invoke != invoke:
            return
        subscription = subscriber.flight.subscription
        self._land(subscriber)
        subscriber.silent = 0
        subscription.refused = 0 if kind == SIMPLE_ACK else subscription.refused + 1
        if subscription.refused >= MOST_FAILURES:
            process, name = subscription.wish.process, self._name(subscription.wish)
            text = "bacnet: %s refused %d notifications of %s (process %d); this subscription is ended"
            self._log.warning(self._now(), text, subscriber.text, MOST_FAILURES, name, process)
            self.book.end(subscription)

    def _land(self, subscriber: Subscriber) -> None:
        """The flight is over; what waits for it may leave."""
        waited = subscriber.waits
        subscriber.flight = None
        self._flying.pop(subscriber.address, None)
        if subscriber.waits and not waited:
            self._ready.append(subscriber)
            self._wake()

    def _name(self, wish: Wish) -> str:
        record = self._stores[wish.device].get(wish.key)
        return record.name if record else f"object {wish.key}"

    def _repeat(self, now: float) -> Iterator[Datagram]:
        """Sends again what was not acknowledged in time, and gives up on peers that are dead (B03)."""
        for subscriber in list(self._flying.values()):
            flight = subscriber.flight
            if flight is None:  # its subscription was cancelled or renewed while it was on its way
                self._flying.pop(subscriber.address, None)
                if subscriber.waits and subscriber not in self._ready:
                    self._ready.append(subscriber)
            elif flight.due > now:
                continue
            elif flight.subscription.wish.device in self.muted:
                flight.subscription.queued = True
                self._line_up(flight.subscription)
                self._land(subscriber)
            elif flight.tries <= APDU_RETRIES:
                flight.tries, flight.due = flight.tries + 1, now + ANSWER_S
                yield Datagram(flight.apdu, subscriber.address, self._from(flight.subscription))
            else:
                self._fail(subscriber, flight.subscription)

    def _fail(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """Nobody acknowledged: the newest value waits again, until the peer is taken for dead."""
        subscriber.silent += 1
        if subscriber.silent < MOST_FAILURES:
            if not subscription.queued:
                subscription.queued = True
                subscriber.confirmed.append(subscription)
            self._land(subscriber)
            return
        self._land(subscriber)
        over = [s for s in subscriber.subscriptions.values() if s.wish.confirmed or s.ends == math.inf]
        for each in over:
            self.book.end(each)
        text = "bacnet: %s acknowledged none of %d notifications; its %d subscriptions are ended"
        self._log.warning(self._now(), text, subscriber.text, MOST_FAILURES, len(over))
