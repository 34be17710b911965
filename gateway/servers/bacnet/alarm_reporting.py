"""Alarms of points as BACnet tells them: from the engine's changes to notifications and to watchers of Status_Flags.

Rules of this file: one of these for all devices; it is told of every change, also while nobody listens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from gateway.core.alarm import transition_to
from gateway.engine.alarms import Alarms
from gateway.engine.point_alarms import Change, PointAlarms
from gateway.engine.ports import OnRefused
from gateway.servers.bacnet.alarm_requests import AlarmRequests
from gateway.servers.bacnet.board import Board
from gateway.servers.bacnet.cov import PASS_S, Datagram
from gateway.servers.bacnet.event_notifications import notice
from gateway.servers.bacnet.event_sending import Sending
from gateway.servers.bacnet.notification_classes import ClassConfig, ClassRecord, ListKeeper, NotificationClasses
from gateway.servers.bacnet.store import ObjectStore

MOST_CHANGES = 200
"""That become octets in one pass: thousands of points may change at once, and reads must not wait for them."""


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """What the operator settled about alarms, and where written Recipient_Lists are kept."""

    desk: PointAlarms
    keeper: ListKeeper
    classes: Sequence[ClassConfig] = (ClassConfig(),)


class AlarmReporting:
    """The alarms of all devices; arguments as of `Sending`, and `networks` may acknowledge."""

    def __init__(
        self,
        terms: AlarmTerms,
        board: Board,
        *,
        own: int,
        networks: Sequence[IPv4Network],
        on_refused: OnRefused,
        silent: Callable[[int], bool],
        alarms: Alarms,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._desk, self._board, self._wake = terms.desk, board, wake
        self._networks, self._on_refused = networks, on_refused
        self.classes = NotificationClasses(terms.classes, terms.keeper)
        self.sending = Sending(self.classes, own=own, silent=silent, alarms=alarms, now=now, wake=wake)
        self._changes: deque[Change] = deque()

    def open(self) -> None:
        """Listens from now on."""
        self._desk.listen(self._changed)

    def close(self) -> None:
        """Listens no more."""
        self._desk.deaf(self._changed)

    def furnish(self, store: ObjectStore) -> None:
        """Gives one more device its Notification Class objects."""
        for record in self.classes.records():
            store.put(record)

    def reclass(self, classes: Sequence[ClassConfig], stores: Iterable[ObjectStore]) -> None:
        """Other classes from now on, in these devices; what waits for a recipient that stays still leaves."""
        self.classes.take_over(classes)
        for store in stores:
            store.replace(ClassRecord, self.classes.records())

    def requests(self, store: ObjectStore) -> AlarmRequests:
        """What answers the requests about a device's alarms."""
        return AlarmRequests(store, self._desk, self.classes, self._networks, self._on_refused)

    def _changed(self, change: Change) -> None:
        record = self._board.reporting(change.alarm.index)
        if record is None:
            return
        self._board.touch(record)
        if change.told:
            self._changes.append(change)
            self._wake()

    def rest_s(self) -> float:
        """How long nothing has to be done unless something new comes."""
        return PASS_S if self._changes else self.sending.rest_s()

    def pump(self) -> Iterator[Datagram]:
        """What is to be sent now; changes become octets here, when the objects show them too."""
        for _ in range(min(len(self._changes), MOST_CHANGES)):
            change = self._changes.popleft()
            record, of = self._board.reporting(change.alarm.index), self.classes.get(change.alarm.notify)
            if record is not None and of is not None and of.recipients:
                kind = transition_to(change.to)
                wanted = of.config.ack_required[kind]
                made = notice(change, record, record.uid >> 32, of.config.priority[kind], ack_required=wanted)
                self.sending.tell(change.alarm.notify, made)
        yield from self.sending.pump()
