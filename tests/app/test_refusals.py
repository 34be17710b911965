"""Writes that no server passed on are evidence all the same, and no way to fill a disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pyModbusTCP.client import ModbusClient
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyValue

from gateway.app.refusals import MOST, SAME_S, Refusals
from gateway.core.priority import Origin
from gateway.store.evidence import EvidenceBook, Wanted
from tests.engine.memory_journal import MemoryJournal
from tests.engine.rig import Clock
from tests.servers.bacnet.rusty import ACCESS_DENIED, Rusty
from tests.site import running_site

CURRENT = "evce/zone/Zone A/current"


async def test_both_servers_refusals_are_in_the_chain_once(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        await site.until(lambda: site.daemon.table.find(CURRENT) is not None)
        register = site.register(CURRENT)

        def by_modbus() -> None:
            client = ModbusClient("127.0.0.1", site.modbus_port, unit_id=1)
            for _ in range(3):
                assert client.write_multiple_registers(register, [0, 0]) is False
            client.close()

        await asyncio.to_thread(by_modbus)
        current = ObjectIdentifier(ObjectType.ANALOG_INPUT, 1006)
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as made:
            client = Rusty(made, f"127.0.0.1:{site.bacnet_port}")
            for _ in range(3):
                assert await client.write(current, PropertyValue.real(1.0)) == ACCESS_DENIED
    records = EvidenceBook(tmp_path / "state").records(Wanted(event="refused"))
    assert [(record["point"], record["answer"]) for record in records] == [
        (f"modbus unit 1 register {register}", "function 16: a register there cannot be written"),
        ("bacnet object 0,1006 property 85", "error 2,40"),
    ]


def test_one_that_tries_everything_fills_no_disk() -> None:
    journal, clock = MemoryJournal(), Clock()
    told = Refusals(journal, clock)
    for number in range(1000):
        told(f"modbus unit 1 register {number}", Origin("modbus", "10.0.0.9:1", "bms"), "no")
        told("modbus unit 1 register 0", Origin("modbus", f"10.0.0.9:{number}", "bms"), "no")
    assert len(journal.evidence) == MOST
    clock.added += SAME_S
    told("modbus unit 1 register 0", Origin("modbus", "10.0.0.9:1", "bms"), "no")
    assert len(journal.evidence) == MOST + 1
