"""Cards: every resource that has members or a limit of its own, with what it draws, who holds it, and its members.

Rules of this file: which point is the current, the power or the state is what the mapping says (`card`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.app.page.places import Places
from gateway.app.page.points import PointRows
from gateway.app.plant import Plant
from gateway.core.value import ValueKind
from gateway.engine.resource import Resource


class Cards:
    """Makes cards; `ids` are the points that they show."""

    def __init__(self, plant: Plant, places: Places, rows: PointRows) -> None:
        self._plant, self._places, self._rows = plant, places, rows
        self._built = -1
        self._ids: frozenset[int] = frozenset()

    def ids(self) -> frozenset[int]:
        """The table indices of every point that a card shows, of receipts too."""
        generation = self._places.refresh()
        if generation != self._built:
            self._built = generation
            shown = {index for resource in self._with_card() for index in self._of(resource).values()}
            for resource in self._with_card():
                for member in self._members(resource):
                    shown |= set(self._of(member).values())
            limits = set(self._places.commandable)
            shown |= {i for i in range(len(self._plant.table)) if self._places.command_of(i) in limits}
            self._ids = frozenset(shown)
        return self._ids

    def all(self) -> list[dict[str, Any]]:
        """Every card, in the order of the blocks."""
        return [self._card(resource) for resource in self._with_card()]

    def _with_card(self) -> Iterator[Resource]:
        """Groups (kinds that have members), then whatever else has a limit."""
        resources = [r for r in self._plant.inventory.resources.values() if not r.dismissed]
        for resource in resources:
            if resource.kind.members is not None or any(s.command for s in resource.kind.points.values()):
                yield resource

    @staticmethod
    def _of(resource: Resource) -> dict[str, int]:
        """The points a card shows, by what they are there."""
        points = resource.kind.points
        return {spec.card: resource.indices[name] for name, spec in points.items() if spec.card is not None}

    def _members(self, resource: Resource) -> list[Resource]:
        kind = resource.kind.members
        if kind is None or not resource.members:
            return []
        wanted = set(resource.members)
        return [m for m in self._plant.inventory.of(resource.source, kind.of) if m.id in wanted and not m.dismissed]

    def _card(self, resource: Resource) -> dict[str, Any]:
        members = self._members(resource)
        return {
            "source": resource.source,
            "kind": resource.kind.name,
            "name": resource.name or resource.source,
            "label": resource.label,
            "present": resource.present,
            "trouble": resource.trouble,
            "shows": {card: self._value(index) for card, index in self._of(resource).items()},
            "limits": [i for i in resource.indices.values() if self._plant.table.specs[i].command is not None],
            "members": [self._member(member) for member in members],
            "states": self._states(members),
        }

    def _member(self, member: Resource) -> dict[str, Any]:
        return {
            "kind": member.kind.name,
            "name": member.name or member.source,
            "label": member.label,
            "present": member.present,
            "trouble": member.trouble,
            "shows": {card: self._value(index) for card, index in self._of(member).items()},
        }

    def _value(self, index: int) -> dict[str, Any]:
        spec = self._plant.table.specs[index]
        _, value, quality, reason, age_s, text, forced = self._rows.changing(index)
        return {
            "id": index,
            "point": self._plant.table.names[index],
            "unit": spec.unit,
            "value": value,
            "text": text,
            "quality": quality,
            "reason": reason,
            "age_s": age_s,
            "forced": forced,
            "alarms": sorted(alarm.when, key=str) if (alarm := spec.alarm) is not None else [],
        }

    def _states(self, members: list[Resource]) -> dict[str, int]:
        """How many members are in each state, by its text; those without a usable one under ""."""
        counts: dict[str, int] = {}
        for member in members:
            index = self._of(member).get("state")
            if index is None or self._plant.table.specs[index].kind is not ValueKind.ENUM:
                continue
            text = self._rows.changing(index)[5] or ""
            counts[text] = counts.get(text, 0) + 1
        return counts
