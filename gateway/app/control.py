"""What the control socket offers: status, points, reads and writes of the running daemon."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, Protocol

from gateway import __version__
from gateway.addressing import AddressBook, PlacedPoint
from gateway.app.load import Site
from gateway.core.errors import CommandRejected, Reject
from gateway.core.priority import Origin
from gateway.core.value import Quality, ValueKind
from gateway.engine.commands import CommandDesk
from gateway.engine.inventory import Inventory
from gateway.engine.poller import Poller
from gateway.engine.ports import Ask, Clock
from gateway.engine.table import PointTable
from gateway.engine.vitals import Vitals
from gateway.export import point_row
from gateway.servers.bacnet import BacnetServer
from gateway.servers.modbus import ModbusServer

MOST_BAD = 20


class Running(Protocol):
    """What is asked of the running daemon."""

    site: Site
    clock: Clock
    table: PointTable
    placed: dict[int, PlacedPoint]
    pollers: dict[str, Poller]
    modbus: ModbusServer | None
    bacnet: BacnetServer | None
    book: AddressBook
    desk: CommandDesk
    inventory: Inventory
    vitals: Vitals

    def map_hash(self) -> int: ...


class Control:
    """Implements `web.ControlPort`."""

    def __init__(self, daemon: Running) -> None:
        self._daemon = daemon

    def status(self) -> dict[str, Any]:
        """Everything a person asks first, JSON-ready."""
        daemon = self._daemon
        table = daemon.table
        qualities = Counter(Quality(table.sample(i).quality).name.lower() for i in range(len(table)))
        return {
            "site": daemon.site.config.site,
            "version": __version__,
            "uptime_s": int(daemon.vitals.uptime_s),
            "map_hash": f"{daemon.map_hash():016x}",
            "dry_run": daemon.desk.policy.dry_run,
            "sources": [self._source(name) for name in daemon.pollers],
            "points": dict(qualities),
            "alarms": daemon.vitals.alarms_active(),
            "without_address": {f"{s}/{k}": count for (s, k), count in daemon.inventory.unassigned.items() if count},
            "inhibited": {
                r.label: r.trouble for r in daemon.inventory.resources.values() if r.trouble not in ("", "not read yet")
            },
            "bad": [f"{table.names[i]}: {table.sample(i).reason}" for i in table.bad()[:MOST_BAD]],
            "foreign_limits": daemon.desk.foreign_limits(),
            "modbus": daemon.modbus
            and {
                "port": daemon.modbus.port,
                "clients": daemon.modbus.clients,
                "counters": asdict(daemon.modbus.counters),
            },
            "bacnet": daemon.bacnet
            and {
                "port": daemon.bacnet.port,
                "clients": daemon.bacnet.clients,
                "counters": daemon.bacnet.counters,
            },
            "lease": "off: a command holds until it is changed or released",
        }

    def _source(self, name: str) -> dict[str, Any]:
        poller = self._daemon.pollers[name]
        health, now = poller.health, self._daemon.clock.monotonic()
        return {
            "name": name,
            "state": health.state,
            "reason": health.reason,
            "connected": health.connected,
            "session_age_s": poller.source.session_age_s,
            "last_good_s": None if health.last_good is None else round(now - health.last_good, 1),
            "poll_ms": health.poll_ms and round(health.poll_ms, 1),
            "errors": health.errors,
            "relogins": health.relogins,
            "overruns": health.overruns,
        }

    def points(self) -> list[dict[str, Any]]:
        """Every placed point with its value."""
        return [self._row(index) for index in self._daemon.placed]

    def addresses(self) -> list[dict[str, Any]]:
        """The address book."""
        return [
            {"source": e.source, "kind": e.kind, "name": e.name, "id": e.id, "block": e.block}
            for e in self._daemon.book.entries
        ]

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
            slots = daemon.desk.slots(index)
            row["slots"] = {
                str(number): {"value": slot.value, "origin": str(slot.origin)}
                for number, slot in enumerate(slots, 1)
                if slot is not None
            }
            row["receipt"] = self._receipt(name)
        if spec.kind is ValueKind.ENUM and isinstance(sample.value, int) and 0 < sample.value <= len(spec.texts):
            row["text"] = spec.texts[sample.value - 1]
        return row

    def _receipt(self, name: str) -> dict[str, Any]:
        """What became of a commandable point's command, enumerations as their texts, without what is empty."""
        table, receipt = self._daemon.table, {}
        for part in ("write_status", "authority", "applied", "error_text"):
            index = self._index(f"{name}.{part}")
            value, texts = table.sample(index).value, table.specs[index].texts
            if texts and isinstance(value, int):
                value = texts[value - 1]
            if value not in (None, ""):
                receipt[part] = value
        return receipt

    def _index(self, point: str) -> int:
        index = self._daemon.table.find(point)
        if index is None:
            raise KeyError(point)
        return index

    def read(self, point: str) -> dict[str, Any]:
        """One point with its value and slots; raises KeyError."""
        return self._row(self._index(point))

    async def write(self, point: str, value: Any, slot: int | None, user: str) -> dict[str, Any]:
        """Writes or (None) releases at a slot, by default the local one; raises KeyError or CommandRejected."""
        index = self._index(point)
        spec = self._daemon.table.specs[index]
        if isinstance(value, str) and spec.kind is ValueKind.ENUM:
            if value not in spec.codes:
                raise CommandRejected(Reject.RANGE, f"the texts are {', '.join(spec.codes)}")
            value = spec.codes[value]
        chosen = slot if slot is not None else self._daemon.site.config.control.local_slot
        await self._daemon.desk.submit([Ask(index, value, chosen)], Origin("cli", "local", user))
        return self._row(index)
