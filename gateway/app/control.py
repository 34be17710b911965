"""What the control socket offers: status, points, reads and writes of the running daemon."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import islice
from typing import Any, Protocol, get_args

import structlog

from gateway import __version__
from gateway.addressing import AddressBook, PlacedPoint
from gateway.app.addresses import EVENTS, Correction, Corrector, Verb
from gateway.app.alarming import open_alarms
from gateway.app.footprint import footprint
from gateway.app.load import Site
from gateway.app.logins import Logins
from gateway.app.observe import loop_row
from gateway.app.policy import lease_text
from gateway.app.published import moment_of, publish_running
from gateway.app.reloaded import Reloaded
from gateway.app.slots import receipt_row, slot_rows
from gateway.core.errors import CommandRejected, CorrectionRefused, Reject
from gateway.core.priority import Origin
from gateway.core.value import ValueKind
from gateway.engine.actions import ActionDesk
from gateway.engine.alarms import Alarms
from gateway.engine.commands import CommandDesk
from gateway.engine.inventory import Inventory
from gateway.engine.lag import LoopLag
from gateway.engine.observatory import Observatory
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.poller import Poller
from gateway.engine.ports import Ask, BootClock
from gateway.engine.resource import NOT_PRESENT, NOT_READ
from gateway.engine.table import PointTable
from gateway.engine.vitals import Vitals
from gateway.export import point_row
from gateway.servers.bacnet import BacnetServer, Client
from gateway.servers.modbus import ModbusServer
from gateway.sources import date
from gateway.store.published import point_data

MOST_BAD = 20
DAY_S = 86400
AT_ONCE = 500
"""So many points are told before others have a turn: some milliseconds."""
log = structlog.get_logger("control")


class Page(Protocol):
    """What is told of the web listener."""

    @property
    def port(self) -> int: ...

    @property
    def fingerprint(self) -> str | None: ...

    @property
    def pages(self) -> int: ...


class Running(Protocol):
    """What is asked of the running daemon."""

    site: Site
    clock: BootClock
    table: PointTable
    placed: dict[int, PlacedPoint]
    pollers: dict[str, Poller]
    book: AddressBook
    desk: CommandDesk
    actions: ActionDesk
    inventory: Inventory
    vitals: Vitals
    logins: Logins
    alarms: Alarms
    point_alarms: PointAlarms
    observatory: Observatory
    lag: LoopLag

    @property
    def modbus(self) -> ModbusServer | None: ...

    @property
    def bacnet(self) -> BacnetServer | None: ...

    @property
    def web(self) -> Page | None: ...

    def map_hash(self) -> int: ...

    async def reload(self, user: str, *, accept_moves: bool = False) -> Reloaded: ...


class Control:
    """Implements `web.ControlPort`."""

    def __init__(self, daemon: Running) -> None:
        self._daemon = daemon

    def status(self) -> dict[str, Any]:
        """Everything a person asks first, JSON-ready."""
        daemon = self._daemon
        table = daemon.table
        qualities = {quality.name.lower(): count for quality, count in table.qualities().items() if count}
        trouble = {r.label: r.trouble for r in daemon.inventory.resources.values() if r.trouble and not r.dismissed}
        return {
            "site": daemon.site.config.site,
            "version": __version__,
            "uptime_s": int(daemon.vitals.uptime_s),
            "map_hash": f"{daemon.map_hash():016x}",
            "dry_run": daemon.desk.policy.dry_run,
            "read_only": daemon.desk.policy.read_only,
            "persistence_fault": daemon.desk.fault,
            "failsafe": daemon.desk.in_failsafe(),
            "alarm_texts": list(daemon.alarms.texts().values()),
            "point_alarms": open_alarms(daemon.point_alarms, daemon.table),
            "sources": [self._source(name) for name in daemon.pollers],
            "points": qualities,
            "alarms": daemon.vitals.alarms_active(),
            "without_address": {f"{s}/{k}": count for (s, k), count in daemon.inventory.unassigned.items() if count},
            "without_unit": {f"{s}/{k}": count for (s, k), count in daemon.inventory.unitless.items()},
            "without_device": {f"{s}/{k}": count for (s, k), count in daemon.inventory.deviceless.items()},
            "inhibited": {label: why for label, why in trouble.items() if why not in (NOT_READ, NOT_PRESENT)},
            "missing": [label for label, why in trouble.items() if why == NOT_PRESENT],
            "alike": {f"{s}/{k}": groups for (s, k), groups in daemon.inventory.lookalikes.items() if groups},
            "counters_restarted": daemon.inventory.counters.restarted,
            "bad": self._bad(),
            "foreign_limits": daemon.desk.foreign_limits(),
            "certificates_ending": {
                name: {"ends": date(end), "days": int((end - daemon.clock.wall()) // DAY_S)}
                for name, end in daemon.vitals.certificates_ending().items()
            },
            "web": self._page(),
            "modbus": daemon.modbus
            and {
                "port": daemon.modbus.port,
                "clients": daemon.modbus.clients,
                "counters": asdict(daemon.modbus.counters),
            },
            "bacnet": daemon.bacnet
            and {
                "port": daemon.bacnet.port,
                "clients": [self._bacnet_client(client) for client in daemon.bacnet.clients],
                "counters": daemon.bacnet.counters,
                "time_sync": daemon.bacnet.time_sync and asdict(daemon.bacnet.time_sync),
                "hint": daemon.bacnet.hint,
                "virtual": daemon.bacnet.virtual_devices and asdict(daemon.bacnet.virtual_devices),
            },
            "hints": daemon.observatory.hints(),
            "clients": daemon.observatory.clients(),
            "loop": loop_row(daemon.lag),
            "process": footprint(),
            "lease": lease_text(daemon.site.config),
        }

    def _page(self) -> dict[str, Any] | None:
        page = self._daemon.web
        if page is None or not page.port:
            return None
        return {"port": page.port, "fingerprint": page.fingerprint, "pages": page.pages}

    def _bad(self) -> list[str]:
        """What has no value and why, the points of a resource together that have one reason."""
        table = self._daemon.table
        causes: dict[tuple[str, str], list[str]] = {}
        for index in table.bad():
            name = table.names[index]
            causes.setdefault((name.rpartition("/")[0], table.sample(index).reason), []).append(name)
        return [
            f"{names[0] if len(names) == 1 else f'{label}, {len(names)} points'}: {reason}"
            for (label, reason), names in islice(causes.items(), MOST_BAD)
        ]

    def _source(self, name: str) -> dict[str, Any]:
        poller = self._daemon.pollers[name]
        health, now = poller.health, self._daemon.clock.monotonic()
        return {
            "name": name,
            "state": health.state,
            "reason": health.reason,
            "failing": dict(islice(poller.failing.items(), MOST_BAD)) if health.connected else {},
            "connected": health.connected,
            "session_age_s": poller.source.session_age_s,
            "certificate": poller.source.certificate,
            "last_good_s": None if health.last_good is None else round(now - health.last_good, 1),
            "poll_ms": health.poll_ms and round(health.poll_ms, 1),
            "errors": health.errors,
            "relogins": health.relogins,
            "overruns": health.overruns,
            "retry_in_s": None if health.next_try is None else round(max(health.next_try - now, 0.0), 1),
        }

    def _bacnet_client(self, client: Client) -> dict[str, Any]:
        silent_s = asyncio.get_running_loop().time() - client.last_seen
        return {"address": client.address, "requests": client.requests, "silent_s": round(silent_s, 1)}

    async def reload(self, user: str, *, accept_moves: bool) -> dict[str, Any]:
        """What changed in the files taken over, all of it or nothing: sentences, `done` and `refused`."""
        return asdict(await self._daemon.reload(user, accept_moves=accept_moves))

    async def passwd(self, source: str, new: str, user: str, *, unfinished: bool) -> dict[str, Any]:
        """Another password for a source, or an unfinished change settled; raises ValueError."""
        return asdict(await self._daemon.logins.passwd(source, new, user, unfinished=unfinished))

    async def points(self) -> list[dict[str, Any]]:
        """Every placed point with its value, a few at a time, so that nobody who reads a server has to wait."""
        rows, placed = [], self._daemon.placed
        for number, index in enumerate(list(placed)):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if index in placed:  # a reload may have taken it away meanwhile
                rows.append(self._row(index))
        return rows

    def addresses(self) -> list[dict[str, Any]]:
        """The address book."""
        return [
            {"source": e.source, "kind": e.kind, "name": e.name, "id": e.id, "block": e.block}
            for e in self._daemon.book.entries
        ]

    async def map(self) -> dict[str, Any]:
        """The map as it is served, and its hash."""
        moment = moment_of(self._daemon)
        points = await asyncio.to_thread(lambda: [point_data(point) for point in moment.served()])
        return {"map_hash": f"{moment.map_hash:016x}", "points": points}

    def answers(self) -> dict[str, Any]:
        """What each source said last, by the path it was asked for; for `checkout`, in memory only."""
        now = self._daemon.clock.monotonic()
        return {
            name: {
                path: {"age_s": round(now - one.time, 1), "document": one.document}
                for path, one in poller.source.answers().items()
            }
            for name, poller in self._daemon.pollers.items()
        }

    async def publish(self, user: str, *, accept_moves: bool) -> list[str]:
        """Freezes the map that is served; raises CorrectionRefused."""
        try:
            said = await publish_running(self._daemon, user=user, accept_moves=accept_moves)
        except OSError as error:
            raise CorrectionRefused(f"the published map cannot be written: {error.strerror}") from error
        log.warning("addresses.published", user=user, said="; ".join(said))
        return said

    def correct(self, verb: str, names: list[str], to: str, user: str) -> list[str]:
        """Corrects the address book and brings it into force at once; raises CorrectionRefused or ValueError."""
        chosen = next((known for known in get_args(Verb) if known == verb), None)
        if chosen is None or (chosen != "confirm" and len(names) != 1):
            raise ValueError(f"{verb!r} of {len(names)} names means nothing here")
        daemon = self._daemon
        corrector = Corrector(daemon.site, daemon.book, daemon.inventory)
        said = corrector.carry_out(Correction(chosen, tuple(names), to))
        if corrector.touched:
            log.warning(EVENTS[chosen], user=user, said="; ".join(said))
        for name in corrector.touched & daemon.pollers.keys():
            daemon.inventory.settle(name)
            daemon.inventory.again(name)
            daemon.pollers[name].replan()
        return said

    def _row(self, index: int) -> dict[str, Any]:
        daemon = self._daemon
        bacnet = daemon.site.config.bacnet
        device = bacnet.device.instance if bacnet else None
        sample, name = daemon.table.sample(index), daemon.table.names[index]
        row = point_row(daemon.placed[index], name, device, sample, daemon.clock.monotonic())
        spec = daemon.table.specs[index]
        if daemon.modbus is None:
            row["modbus"] = None
        if spec.command is not None:
            row["slots"] = slot_rows(daemon.desk, daemon.clock, index)
        if spec.command is not None or daemon.actions.owns(index):
            row["receipt"] = receipt_row(daemon.table, name)
        if spec.kind is ValueKind.ENUM and isinstance(sample.value, int) and 0 < sample.value <= len(spec.texts):
            row["text"] = spec.texts[sample.value - 1]
        return row

    def _index(self, point: str) -> int:
        index = self._daemon.table.find(point)
        if index is None:
            raise KeyError(point)
        return index

    def read(self, point: str) -> dict[str, Any]:
        """One point with its value and slots; raises KeyError."""
        return self._row(self._index(point))

    async def write(
        self, point: str, value: Any, slot: int | None, user: str, *, until: float | None
    ) -> dict[str, Any]:
        """Writes or (None) releases at a slot, by default the local one; raises KeyError or CommandRejected."""
        index = self._index(point)
        spec = self._daemon.table.specs[index]
        if isinstance(value, str) and spec.kind is ValueKind.ENUM:
            if value not in spec.codes:
                raise CommandRejected(Reject.RANGE, f"the texts are {', '.join(spec.codes)}")
            value = spec.codes[value]
        chosen = slot if slot is not None else self._daemon.site.config.control.local_slot
        await self._daemon.desk.submit([Ask(index, value, chosen, until)], Origin("cli", "local", user))
        return self._row(index)
