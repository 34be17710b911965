"""Database_Revision: the same for the same objects, higher for any others, over restarts too."""

from __future__ import annotations

from typing import Any

from gateway.core.point import PointSpec
from gateway.core.value import ValueKind
from tests.servers.bacnet.conftest import Bench, RawClient, make_bench, placed

SPEC = PointSpec(name="p", kind=ValueKind.NUMBER)


async def revision_of(bench: Bench) -> int:
    """What a client reads."""
    client = RawClient(bench.server.port)
    answer = await client.apdu("0205 01 0c 0c023fffff 199b")
    client.sock.close()
    assert answer is not None
    data = bytes.fromhex(answer.partition("199b3e")[2].removesuffix("3f"))
    assert len(data) == 1 + (data[0] & 7)
    return int.from_bytes(data[1:], "big")


async def run(saved: Any = None, add: str = "", before: bool = False, **more: Any) -> tuple[int, Any]:
    """One life of a server that gets another object before or after its start; its last revision, and what is kept."""
    bench = make_bench(saved=saved, **more)
    if add and before:
        bench.add(add, "analog-input", 50, SPEC)
    await bench.server.start()
    if add and not before:
        bench.add(add, "analog-input", 50, SPEC)
    found = await revision_of(bench)
    await bench.server.stop()
    return found, bench.kept[-1] if bench.kept else saved


async def test_a_restart_with_the_same_objects_keeps_it() -> None:
    first, kept = await run()
    assert first == 1_800_000_000
    assert (await run(kept))[0] == first
    assert (await run(kept))[1] == kept, "nothing is written"


async def test_another_object_or_name_counts_it_up_once() -> None:
    first, kept = await run()
    second, kept = await run(kept, "evce/zone/New/p")
    assert second == first + 1
    assert (await run(kept, "evce/zone/New/p", before=True))[0] == second, "the same objects as before the restart"
    third, kept = await run(kept)
    assert third == second + 1, "one is missing"
    fourth, _ = await run(kept, device_name="Another")
    assert fourth == third + 1


async def test_a_new_name_while_running_counts() -> None:
    bench = make_bench()
    await bench.server.start()
    first = await revision_of(bench)
    index = bench.index["current"]
    renamed = placed("evce/zone/North/current", "analog-input", 0, bench.table.specs[index])
    bench.server.place([(index, renamed)])
    assert await revision_of(bench) == first + 1
    bench.server.place([(index, renamed)])
    assert await revision_of(bench) == first + 1
    assert bench.kept[-1]["revision"] == first + 1
    await bench.server.stop()
