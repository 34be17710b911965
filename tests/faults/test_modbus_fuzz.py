"""A short run of the seeded fuzz; `python -m tests.faults.modbus_fuzz` is the long one."""

from __future__ import annotations

from tests.faults.modbus_fuzz import fuzz


async def test_M05_M06_M10_random_requests_and_streams_disturb_nobody_else() -> None:
    seen = await fuzz(20_000, 400, seed=7)
    assert not seen.faults
    assert (seen.pdus, seen.streams) == (21_000, 420)
    assert seen.answered == seen.pdus
    assert seen.exceptions < seen.answered * 0.99, "the requests must not all be nonsense"
    assert seen.watched > 0
