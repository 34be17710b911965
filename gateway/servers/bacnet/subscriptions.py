"""Who wants to be told about which property (ASHRAE 135 clauses 13.1 and 13.14 to 13.16); pure.

Rules of this file: everything is keyed by identifiers of device and object and never by object, so that a
subscription outlives the object's record; time is a number that is given; nothing is sent from here.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

from bacpypes3.pdu import Address

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import NO_SPACE_TO_ADD_LIST_ELEMENT, Prop, Refusal

REAL_HEAD = 0x44
ROUNDING = 2.4e-7
"""Two single-precision numbers are off by this much of themselves; a step of exactly one increment must count."""
WATCHABLE = frozenset({Prop.PRESENT_VALUE, Prop.STATUS_FLAGS, Prop.EVENT_STATE, Prop.RELIABILITY, Prop.OUT_OF_SERVICE})
"""Properties that can be told of: those that change with the point only."""

SubscriptionKey = tuple[int, int, int, int | None]
"""Device, process identifier, object, and property; None there for SubscribeCOV, which is about the object."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, `device` being the one it was sent to.

    `lifetime` in seconds, infinite for no end; `increment` None: the object's own.
    """

    device: int
    process: int
    key: int
    prop: int | None
    confirmed: bool
    lifetime: float
    increment: float | None

    @property
    def name(self) -> SubscriptionKey:
        """What makes it the same subscription as another of that peer."""
        return self.device, self.process, self.key, self.prop

    @property
    def uid(self) -> int:
        """The object's identifier among those of all devices."""
        return self.device << 32 | self.key


@dataclass(eq=False, slots=True)
class Watched:
    """One property of one object and everybody who watches it; `uid` is the object's among all devices.

    `body` is the encoded list of values, empty when it must be made anew.
    """

    uid: int
    prop: int
    subscriptions: dict[Subscription, None] = field(default_factory=dict)
    body: bytes = b""

    def values(self, record: PointRecord) -> bytes:
        """The list of values of a notification: the property and Status_Flags (clause 13.1.1)."""
        if not self.body:
            flags = record.encode(Prop.STATUS_FLAGS, None)
            parts = [(self.prop, record.encode(self.prop, None))]
            parts += [] if self.prop == Prop.STATUS_FLAGS else [(Prop.STATUS_FLAGS, flags)]
            self.body = b"\x4e%b\x4f" % b"".join(b"\x09%c\x2e%b\x2f" % part for part in parts)
        return self.body


@dataclass(eq=False, slots=True)
class Subscriber:
    """One peer: its subscriptions, and what waits to be sent to it.

    `limit` is the longest APDU it can take; `silent` counts notifications in a row that it did not answer.
    """

    address: Address
    text: str
    limit: int = 1476
    subscriptions: dict[SubscriptionKey, Subscription] = field(default_factory=dict)
    confirmed: deque[Subscription] = field(default_factory=deque)
    unconfirmed: deque[Subscription] = field(default_factory=deque)
    flight: Flight | None = None
    invoke: int = 0
    silent: int = 0

    @property
    def waits(self) -> bool:
        """Whether a notification could leave now."""
        return bool(self.unconfirmed) or (bool(self.confirmed) and self.flight is None)


@dataclass(eq=False, slots=True)
class Subscription:
    """One subscription.

    `present` and `flags` are what was last sent, `head` what every notification begins with; `refused` counts
    notifications in a row that the peer answered with a refusal.
    """

    subscriber: Subscriber
    wish: Wish
    watched: Watched
    ends: float
    head: bytes
    listed: tuple[bytes, bytes]
    present: bytes = b""
    flags: bytes = b""
    queued: bool = False
    alive: bool = True
    refused: int = 0
    not_before: float = -math.inf

    def differs(self, present: bytes, flags: bytes, increment: float | None) -> bool:
        """Whether a change is worth a notification (clause 13.1, table 13-1)."""
        if flags != self.flags:
            return True
        if present == self.present:
            return False
        least = increment if self.wish.increment is None else self.wish.increment
        if least is None or present[0] != REAL_HEAD or self.present[:1] != present[:1]:
            return True
        new = struct.unpack_from(">f", present, 1)[0]
        distance = abs(new - struct.unpack_from(">f", self.present, 1)[0])
        return not distance < least - ROUNDING * abs(new)  # so that NaN differs from everything

    def remaining(self, now: float) -> int:
        """Whole seconds to its end, 0 for one without."""
        return 0 if self.ends == math.inf else max(1, math.ceil(self.ends - now))

    def entry(self, now: float) -> bytes:
        """Its BACnetCOVSubscription in Active_COV_Subscriptions."""
        before, after = self.listed
        return before + codec.context_unsigned(3, self.remaining(now)) + after


@dataclass(eq=False, slots=True)
class Flight:
    """A confirmed notification on its way: sent `tries` times, given up or repeated at `due`."""

    subscription: Subscription
    invoke: int
    apdu: bytes
    due: float
    tries: int = 1


class Book:
    """All subscriptions, at whichever device.

    Args:
        per_peer, total: how many there may be.
    """

    def __init__(self, per_peer: int, total: int) -> None:
        self._per_peer = per_peer
        self._total = total
        self._count = 0
        self._number = count()
        self._ends: list[tuple[float, int, Subscription]] = []
        self.subscribers: dict[Address, Subscriber] = {}
        self.watched: dict[int, dict[int, Watched]] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Subscription]:
        for subscriber in self.subscribers.values():
            yield from subscriber.subscriptions.values()

    def put(self, address: Address, text: str, wish: Wish, now: float) -> Subscription:
        """Adds a subscription or renews the one there is.

        Raises:
            Refusal: there is no room for a new one.
        """
        self.expire(now)
        subscriber = self.subscribers.get(address) or Subscriber(address, text)
        old = subscriber.subscriptions.get(wish.name)
        if old is not None:
            self.end(old)
        elif len(subscriber.subscriptions) >= self._per_peer or self._count >= self._total:
            raise Refusal(NO_SPACE_TO_ADD_LIST_ELEMENT)
        prop: int = Prop.PRESENT_VALUE if wish.prop is None else wish.prop
        of_object = self.watched.setdefault(wish.uid, {})
        watched = of_object.get(prop) or of_object.setdefault(prop, Watched(wish.uid, prop))
        head = (codec.context_unsigned(0, wish.process), codec.context_object_id(1, wish.device))
        made = Subscription(
            subscriber,
            wish,
            watched,
            now + wish.lifetime,
            b"".join((*head, codec.context_object_id(2, wish.key))),
            listed(address, wish, prop),
        )
        self.subscribers[address] = subscriber
        subscriber.subscriptions[wish.name] = made
        watched.subscriptions[made] = None
        self._count += 1
        if made.ends != math.inf:
            heappush(self._ends, (made.ends, next(self._number), made))
        return made

    def resize(self, per_peer: int, total: int) -> None:
        """So many may there be from now on; those there are stay."""
        self._per_peer, self._total = per_peer, total

    def find(self, address: Address, name: SubscriptionKey) -> Subscription | None:
        """A peer's subscription."""
        subscriber = self.subscribers.get(address)
        return subscriber.subscriptions.get(name) if subscriber else None

    def end(self, subscription: Subscription) -> None:
        """Forgets a subscription, and the peer and the object with its last one."""
        if not subscription.alive:
            return
        subscription.alive = False
        self._count -= 1
        subscriber, watched = subscription.subscriber, subscription.watched
        del subscriber.subscriptions[subscription.wish.name]
        if subscriber.flight is not None and subscriber.flight.subscription is subscription:
            subscriber.flight = None
        if not subscriber.subscriptions:
            self.subscribers.pop(subscriber.address, None)
        del watched.subscriptions[subscription]
        if not watched.subscriptions:
            del self.watched[watched.uid][watched.prop]
            if not self.watched[watched.uid]:
                del self.watched[watched.uid]

    def expire(self, now: float) -> None:
        """Ends what is over; the marks of what was renewed or cancelled are swept when they are most of all."""
        ends = self._ends
        while ends and (ends[0][0] <= now or not ends[0][2].alive):
            self.end(heappop(ends)[2])
        if len(ends) > 2 * self._count + 1000:
            self._ends = [each for each in ends if each[2].alive]
            heapify(self._ends)

    @property
    def next_end(self) -> float:
        """When the next one may be over; infinite if none will."""
        return self._ends[0][0] if self._ends else math.inf


def listed(address: Address, wish: Wish, prop: int) -> tuple[bytes, bytes]:
    """An entry of Active_COV_Subscriptions before and after its time remaining (clause 21, BACnetCOVSubscription)."""
    mac = codec.octets(bytes(address.addrAddr))
    recipient = b"\x1e%b%b\x1f" % (codec.unsigned(address.addrNet or 0), mac)
    process = b"\x0e\x0e%b\x0f%b\x0f" % (recipient, codec.context_unsigned(1, wish.process))
    reference = b"\x1e%b%b\x1f" % (codec.context_object_id(0, wish.key), codec.context_unsigned(1, prop))
    increment = b"" if wish.increment is None else codec.context_real(4, wish.increment)
    return process + reference + codec.context_boolean(2, wish.confirmed), increment
