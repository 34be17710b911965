"""Alarms of a real gateway process that is killed: what was told and acknowledged is not told again."""

from __future__ import annotations

import signal

from tests.interop.test_alarms import NORMAL, OFF, about, quick
from tests.servers.bacnet.alarm_rig import CLASS, Bms
from tests.system.conftest import Bench

STATION = 13 << 22 | 10_000
"""The first station's state in the shipped mapping."""


async def test_states_acknowledgements_and_recipients_survive_kill_9(bench: Bench) -> None:
    await bench.products()
    quick(bench.folder)(bench.files.data)
    bench.files.write()
    name = next(iter(bench.evce.site.stations.values())).name
    port = int(bench.files.data["bacnet"]["address"].rpartition(":")[2])
    process = await bench.run()
    bms = Bms(port)
    try:
        mine = bms.destination()
        assert await bms.enter(mine) == "200f"
        await bench.evce.do("station_fault", name=name, faulted=True)
        event = await about(bms, STATION, OFF)
        assert f"/{name}: station faulted" in event.text
        assert await bms.acknowledge(STATION, OFF, event.stamp) == "2000"
        await process.end(signal.SIGKILL)
        bms.inbox.clear()
        (bench.folder / "state" / "control.sock").unlink()
        await bench.evce.do("station_fault", name=name, faulted=False)
        process = await bench.run()
        assert await bms.read(CLASS, 102) == mine.octets.hex()
        assert await bms.read(STATION, 130, 1) == event.stamp.hex()
        assert await bms.read(STATION, 0) == "8205e0"
        while True:
            after = await bms.next(15.0)
            assert after is not None, "nobody was told of the end"
            if after.key == STATION and after.notify == 0:
                break
        assert (after.came_from, after.to) == (OFF, NORMAL), "it ended while the gateway was down"
        code, out, _ = await process.cli("evidence", "show", "--event", "acknowledged")
        assert code == 0
        assert "Porter" in out
    finally:
        bms.sock.close()
