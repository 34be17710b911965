"""Which resource each point of the table belongs to, and which command each point is about."""

from __future__ import annotations

from gateway.app.plant import Plant
from gateway.core.point import RECEIPT
from gateway.engine.resource import Resource


class Places:
    """Looked up by table index; built anew when resources have come or have other points."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._built: tuple[int, int, int] = (-1, -1, -1)
        self._resources: dict[int, Resource] = {}
        self._commands: dict[int, int] = {}
        self.commandable: list[int] = []
        self.generation = 0

    def resource(self, index: int) -> Resource | None:
        """The resource of a point, None for one that the configuration does not have any more."""
        self.refresh()
        return self._resources.get(index)

    def command_of(self, index: int) -> int | None:
        """The commandable point that a point is, or whose receipt it belongs to."""
        self.refresh()
        return self._commands.get(index)

    def refresh(self) -> int:
        """Looks whether anything changed; returns the generation, which then is another one."""
        plant = self._plant
        mark = (len(plant.table), len(plant.inventory.resources), plant.map_hash())
        if mark != self._built:
            self._built = mark
            self._build()
            self.generation += 1
        return self.generation

    def _build(self) -> None:
        table = self._plant.table
        self._resources, self._commands, self.commandable = {}, {}, []
        for resource in self._plant.inventory.resources.values():
            self._resources |= dict.fromkeys(resource.indices.values(), resource)
            for name, index in resource.indices.items():
                if table.specs[index].command is None:
                    continue
                self.commandable.append(index)
                self._commands[index] = index
                parts = (resource.indices.get(f"{name}.{part}") for part in RECEIPT)
                self._commands |= {part: index for part in parts if part is not None}
