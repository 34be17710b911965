"""A point that a person took out of service, as BACnet clients see it (clause 12: Out_Of_Service, Status_Flags)."""

from __future__ import annotations

from gateway.core.value import OUT_OF_SERVICE, STALE
from tests.servers.bacnet.rusty import CURRENT as CURRENT_ID
from tests.servers.bacnet.rusty import P
from tests.servers.bacnet.watcher import CURRENT, FLAGS, PV

OUT, FINE = b"\x10", b"\x00"
WHY = OUT_OF_SERVICE + "forced by anna, for at most an hour"


async def test_an_object_says_that_it_is_out_of_service_and_why_its_value_is_what_it_is(bench, rusty) -> None:
    bench.set("current", 12.5, STALE, "no answer")
    bench.table.force(bench.index["current"], 42.0, WHY)
    assert await rusty.state(CURRENT_ID) == (42.0, 0, OUT)
    assert await rusty.read(CURRENT_ID, P.OUT_OF_SERVICE) is True
    bench.set("current", 13.0)
    assert await rusty.state(CURRENT_ID) == (42.0, 0, OUT), "what is measured meanwhile stands aside"
    bench.table.unforce(bench.index["current"])
    assert await rusty.state(CURRENT_ID) == (13.0, 0, FINE)
    assert await rusty.read(CURRENT_ID, P.OUT_OF_SERVICE) is False


async def test_subscribers_are_told_even_when_the_value_is_the_same(bench, watcher) -> None:
    bench.set("current", 12.5)
    client = watcher(bench)
    assert await client.subscribe(CURRENT, 60) == "2005"
    await client.next()
    bench.pass_time(1.0)
    bench.table.force(bench.index["current"], 12.5, WHY)
    told = await client.next()
    assert told.values == {PV: 12.5, FLAGS: "0001"}
    bench.pass_time(1.0)
    bench.table.unforce(bench.index["current"])
    assert (await client.next()).values == {PV: 12.5, FLAGS: "0000"}
