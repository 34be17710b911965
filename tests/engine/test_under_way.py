"""A gateway killed while a product answers slowly what it did at once: that limit is its own, and never foreign."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.limits import limits_up
from tests.engine.lives import again
from tests.engine.rig import puts, until


async def in_force(plant, value):
    await until(lambda: plant.value("evce/zone/Zone A/reduction.applied") == value)


@pytest.mark.parametrize("looser", [90.0, None])
async def test_C10_a_put_under_way_when_the_gateway_was_killed_does_not_block_a_looser_command(both, plant, looser):
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        fault = both.faults.add("/em/zones/*/reduction", method="PUT", body="{}", trickle_s=30.0)
        await plant.ask(20.0)
        await until(lambda: puts(both) == [(200, 20.0)])
        await plant.ask(looser)
        born = again(plant, both)
    both.faults.remove(fault)
    async with born.running():
        await in_force(born, looser or 250.0)


async def test_C10_a_limit_sent_between_two_commits_is_known_after_a_restart(both, plant):
    """Two clients at once: the first one's limit leaves while the second one's is still being written down."""
    plant.add("evce", both)
    async with plant.running():
        await limits_up(plant)
        fault = both.faults.add("/em/zones/*/reduction", method="PUT", body="{}", trickle_s=30.0)
        commit, gates = plant.journal.commit, [asyncio.Event(), asyncio.Event()]
        waiting = iter(gates)

        async def slow(states, evidence):
            gate = next(waiting)
            states = dict(states)
            await gate.wait()
            return await commit(states, evidence)

        plant.journal.commit = slow
        async with asyncio.TaskGroup() as group:
            group.create_task(plant.ask(20.0))
            await asyncio.sleep(0)
            group.create_task(plant.ask(90.0))
            await asyncio.sleep(0)
            gates[0].set()
            await until(lambda: puts(both) == [(200, 20.0)])
            gates[1].set()
        born = again(plant, both)
    both.faults.remove(fault)
    async with born.running():
        await in_force(born, 90.0)
