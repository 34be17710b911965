"""Which points are out of service, for the banner of every page."""

from __future__ import annotations

from typing import Any

from gateway.app.plant import Plant
from gateway.engine.forcing import Forcing


def forced_rows(plant: Plant, forcing: Forcing) -> list[dict[str, Any]]:
    """Every forced point: its value, who forced it, and for how many seconds more."""
    now = plant.clock.monotonic()
    return [
        {
            "id": index,
            "point": plant.table.names[index],
            "value": forced.value,
            "unit": plant.table.specs[index].unit,
            "user": forced.origin.user,
            "left_s": max(round(forced.until - now), 0),
        }
        for index, forced in forcing.all().items()
    ]
