"""Steps that tests of limits share: waiting, time passing, and mappings with other command options."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.core.delivery import WriteStatus
from tests.engine.rig import loaded, until

S = WriteStatus


async def limits_up(plant, zone="Zone A"):
    await until(lambda: plant.value(f"evce/zone/{zone}/reduction.applied") is not None)
    await until(lambda: plant.value(f"evce/zone/{zone}/maximum") is not None)


async def in_force(plant, value, zone="Zone A"):
    await until(lambda: plant.status(zone) is S.IN_FORCE and plant.sample(f"evce/zone/{zone}/reduction").value == value)


async def pass_time(plant, seconds, step=0.5):
    """The gateway's clock moves on by so much, in steps, with reads and deliveries between them.

    What these take is a part of it: a machine with much else to do lets no more time pass than another.
    """
    end = plant.clock.monotonic() + seconds
    while (left := end - plant.clock.monotonic()) > 0:
        plant.clock.added += min(step, left)
        before = len(plant.changes)
        await asyncio.sleep(0.02)
        await until(lambda b=before: len(plant.changes) >= b)


def zone_kinds(**command):
    """The shipped mapping with other command options of the zone's reduction."""
    kinds = dict(loaded("evce.yaml").kinds)
    zone = kinds["zone"]
    point = zone.points["reduction"]
    options = {key: value for key, value in command.items() if hasattr(point.command, key)}
    rest = {key: value for key, value in command.items() if key not in options}
    point = replace(point, command=replace(point.command, **options), **rest)
    kinds["zone"] = replace(zone, points={**zone.points, "reduction": point})
    return list(kinds.values())
