"""What serves the requests of one device, be it the gateway's own or a virtual one; some of it is one for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from gateway.engine.alarms import Alarms
from gateway.engine.ports import Commands, OnRefused
from gateway.servers.bacnet.alarm_reporting import AlarmReporting, AlarmTerms
from gateway.servers.bacnet.board import Board
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.cov_requests import CovRequests
from gateway.servers.bacnet.discovery import Discovery
from gateway.servers.bacnet.management import Management
from gateway.servers.bacnet.plans import Shelf
from gateway.servers.bacnet.presence import Presence
from gateway.servers.bacnet.read_range import ReadRanges
from gateway.servers.bacnet.services import Reads
from gateway.servers.bacnet.stack import Parts
from gateway.servers.bacnet.status import Traffic
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.timekeeping import Timekeeping
from gateway.servers.bacnet.watcher import Watch, Watcher
from gateway.servers.bacnet.writes import Writes


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator settled. Whoever judges by `write_networks` keeps that very list, which a reload changes.

    `foreign` is a BBMD (`10.0.0.1:47808`) and the time to live in seconds; `restart` carries out ReinitializeDevice;
    `alarms` None: points have none.
    """

    write_networks: Sequence[IPv4Network] = ()
    object_name: str = "{source}.{name}.{point}"
    cov_per_peer: int = 10_000
    cov_total: int = 20_000
    password: str | None = field(default=None, repr=False)
    restart: Callable[[], None] | None = None
    foreign: tuple[str, int] | None = None
    alarms: AlarmTerms | None = None


def alarm_reporting(
    terms: Terms,
    board: Board,
    cov: Cov,
    own: int,
    alarms: Alarms,
    now: Callable[[], float],
    wake: Callable[[], None],
    on_refused: OnRefused,
) -> AlarmReporting | None:
    """What tells of the alarms of all devices, None if points have none; `own` as in `Sending`."""
    if terms.alarms is None:
        return None
    return AlarmReporting(
        terms.alarms,
        board,
        own=own,
        networks=terms.write_networks,
        on_refused=on_refused,
        silent=lambda device: device in cov.muted,
        alarms=alarms,
        now=now,
        wake=wake,
    )


class Equipment:
    """Makes the parts.

    Args:
        terms: who may do what.
        vendor_id: for I-Am.
        cov, timekeeping, presence, traffic, reporting: are those of all devices.
    """

    def __init__(
        self,
        terms: Terms,
        vendor_id: int,
        commands: Commands,
        alarms: Alarms,
        now: Callable[[], float],
        on_refused: OnRefused,
        *,
        cov: Cov,
        timekeeping: Timekeeping,
        presence: Presence,
        traffic: Traffic,
        watcher: Watcher,
        reporting: AlarmReporting | None,
    ) -> None:
        self._terms, self._vendor_id, self._commands = terms, vendor_id, commands
        self._alarms, self._now, self._on_refused = alarms, now, on_refused
        self._cov, self._timekeeping, self._presence, self._traffic = cov, timekeeping, presence, traffic
        self._reporting, self._watcher = reporting, watcher
        self._shelf = Shelf()

    def forget_plans(self) -> None:
        """Objects are no more: what requests for them meant is not kept."""
        self._shelf.clear()

    def parts(self, store: ObjectStore, *, virtual: bool = False) -> Parts:
        """What serves the objects of a device; a virtual one cannot be restarted by itself."""
        terms, cov, reporting = self._terms, self._cov, self._reporting
        cov.serve(store)
        store.device.live |= self._timekeeping.live
        management = Management(
            cov,
            terms.write_networks,
            password=terms.password,
            restart=None if virtual else terms.restart,
            alarms=self._alarms,
            now=self._now,
            device=store.device.key,
            virtual=virtual,
        )
        return Parts(
            Reads(store, self._shelf),
            Writes(store, self._commands, terms.write_networks, self._traffic.wrote, self._on_refused),
            Discovery(store, self._vendor_id),
            cov,
            CovRequests(store, cov),
            management,
            ReadRanges(store),
            self._timekeeping,
            self._presence,
            self._traffic,
            Watch(self._watcher, store),
            reporting,
            reporting.requests(store) if reporting is not None else None,
        )
