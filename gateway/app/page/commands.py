"""Commandable points with their sixteen slots, and one-shot actions, as the page shows and writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.app.page.places import Places
from gateway.app.page.points import PointRows
from gateway.app.plant import Plant
from gateway.app.slots import receipt_row, slot_rows
from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import ActionSpec
from gateway.core.priority import SLOTS, Origin, PriorityArray
from gateway.core.value import ValueKind
from gateway.engine.ports import Ask
from gateway.engine.resource import Resource
from gateway.web.ports import Unknown


class CommandRows:
    """Shows and carries out what may be commanded."""

    def __init__(self, plant: Plant, places: Places, rows: PointRows) -> None:
        self._plant, self._places, self._rows = plant, places, rows

    def all(self, ids: Sequence[int] | None) -> list[dict[str, Any]]:
        """Every commandable point, or those that any of `ids` belongs to."""
        self._places.refresh()
        chosen: Iterable[int] = self._places.commandable
        if ids is not None:
            owners = (self._places.command_of(index) for index in ids)
            chosen = dict.fromkeys(owner for owner in owners if owner is not None)
        return [self.row(index) for index in chosen]

    def row(self, index: int) -> dict[str, Any]:
        """One commandable point: what may be asked, who holds which slot, and what became of it."""
        plant = self._plant
        table, desk = plant.table, plant.desk
        spec, name, resource = table.specs[index], table.names[index], self._places.resource(index)
        _, value, quality, reason, _, text, _ = self._rows.changing(index)
        slots = slot_rows(desk, plant.clock, index)
        bounds = desk.bounds(index)
        winner = desk.slots(index).winner
        return {
            "id": index,
            "point": name,
            "resource": resource.label if resource is not None else "",
            "description": spec.description,
            "type": str(spec.kind),
            "unit": spec.unit,
            "texts": dict(spec.codes) if spec.kind is ValueKind.ENUM else None,
            "low": bounds.low,
            "high": bounds.high,
            "floor": bounds.floor,
            "stop_allowed": bounds.allow_stop,
            "default": desk.default(index),
            "value": value,
            "text": text,
            "quality": quality,
            "reason": reason,
            "winner": winner or None,
            "slots": [slots.get(str(n)) and {"slot": n, **slots[str(n)]} for n in range(1, SLOTS + 1)],
            "receipt": receipt_row(table, name),
            "obstacle": bounds.obstacle,
            "dry_run": desk.policy.dry_run,
            "would_send": desk.preview(index) if desk.policy.dry_run and slots else "",
        }

    async def actions(self) -> list[dict[str, Any]]:
        """Every one-shot action of every resource that is there."""
        found: list[dict[str, Any]] = []
        for resource in list(self._plant.inventory.resources.values()):
            if resource.kind.actions and not resource.dismissed:
                found += [self._action(resource, action) for action in resource.kind.actions.values()]
                await asyncio.sleep(0)
        return found

    def _action(self, resource: Resource, action: ActionSpec) -> dict[str, Any]:
        table, index = self._plant.table, resource.indices[action.name]
        return {
            "id": index,
            "point": table.names[index],
            "resource": resource.label,
            "name": action.name,
            "description": action.description,
            "codes": [{"code": code, "text": text} for code, text in self._plant.actions.codes(index)],
            "standing": table.sample(index).value,
            "receipt": receipt_row(table, table.names[index]),
            "obstacle": resource.trouble,
        }

    async def write(self, point: str, value: Any, origin: Origin, *, slot: int, until: float | None) -> dict[str, Any]:
        """Writes, or (None) releases a slot; returns the row as it is then."""
        index = self._find(point)
        spec = self._plant.table.specs[index]
        if spec.command is None:
            raise CommandRejected(Reject.NOT_WRITABLE, "this point cannot be written")
        if not PriorityArray.usable(slot):
            raise CommandRejected(Reject.SLOT, f"slot {slot} cannot be written (1..16, not 6)")
        if isinstance(value, str) and spec.kind is ValueKind.ENUM:
            if value not in spec.codes:
                raise CommandRejected(Reject.RANGE, f"the texts are {', '.join(spec.codes)}")
            value = spec.codes[value]
        await self._plant.desk.submit([Ask(index, value, slot, until)], origin)
        return self.row(index)

    async def act(self, point: str, code: int, origin: Origin) -> dict[str, Any]:
        """Fires an action, and writes the 0 after it, so that the next one may fire; code 0 only clears.

        A code that another client left standing is not overwritten: that client may write it again in a cycle, and
        a 0 in between would fire it once more (C15).
        """
        index = self._find(point)
        resource = self._places.resource(index)
        if resource is None or not self._plant.actions.owns(index):
            raise CommandRejected(Reject.NOT_WRITABLE, "this point is no action")
        standing = self._plant.table.last_value(index)
        if code and standing:
            text = f"{standing} stands there, left by another client; clear it first if nobody uses it any more"
            raise CommandRejected(Reject.BUSY, text)
        await self._plant.desk.submit([Ask(index, code, 16)], origin)
        if code:
            await self._plant.desk.submit([Ask(index, 0, 16)], origin)
        return self._action(resource, resource.kind.actions[self._plant.table.specs[index].name])

    def _find(self, point: str) -> int:
        index = self._plant.table.find(point)
        if index is None:
            raise Unknown(f"there is no point {point!r}")
        return index
