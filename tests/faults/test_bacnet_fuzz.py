"""A short run of the seeded fuzz and flood; `python -m tests.faults.bacnet_fuzz` is the long one."""

from __future__ import annotations

from tests.faults.bacnet_fuzz import fuzz


async def test_B01_B02_mutated_packets_and_a_flood_disturb_nobody_else() -> None:
    seen = await fuzz(12_000, 1.0, seed=7)
    assert not seen.faults
    assert seen.packets == 13_200
    assert seen.flooded > 10_000
    assert seen.state["errors"] > 500, "the packets must not all be nonsense"
    assert seen.state["requests"] > 2000
    assert seen.state["notifications"] > 0
    assert len(seen.waits_s) > 50
