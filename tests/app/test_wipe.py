"""`wipe`: sessions, keys and slots go; addresses and evidence stay unless they are asked for by name."""

from __future__ import annotations

import pytest

from gateway.app.load import load_site
from gateway.app.wipe import wipe
from gateway.checkout import ModbusClient
from gateway.core.errors import ConfigError
from gateway.store.evidence import EvidenceBook, Wanted
from tests.site import running_site

ZONE = "evce/zone/Zone A/reduction"


async def limited(site, value=21.0):
    register = site.register(ZONE)
    async with ModbusClient("127.0.0.1", site.modbus_port) as client:
        await client.write_float(register, value)
    await site.until(lambda: site.value(f"{ZONE}.write_status") == 4)


def slots(daemon):
    return {number: slot.value for number, slot in daemon.desk.slots(daemon.table.find(ZONE)).occupied}


async def test_slots_sessions_and_keys_go_and_addresses_and_evidence_stay(tmp_path):
    async with running_site(tmp_path) as site:
        await site.complete()
        await limited(site)
        with pytest.raises(ConfigError, match="already running"):
            await wipe(load_site(site.files.config), "root", everything=False)
        addresses = (tmp_path / "state" / "addresses.yaml").read_text()
        assert slots(site.daemon) == {10: 21.0}
    state = tmp_path / "state"
    (state / "tokens").mkdir(exist_ok=True)
    (state / "tokens" / "evce").write_text("a.b.c")
    (state / "page.key").write_bytes(b"k" * 32)
    said = await wipe(load_site(site.files.config), "root", everything=False)
    assert "1 open session" in said
    assert "page.key: the next start makes a new one" in said
    assert any(text.startswith("the slots of ") for text in said)
    assert not (state / "tokens").exists()
    assert not (state / "page.key").exists()
    assert (state / "addresses.yaml").read_text() == addresses
    book = EvidenceBook(state)
    records = list(book.records(Wanted()))
    assert [record["event"] for record in records if "wiped" in record["event"]]
    assert any(record["event"] == "accepted" for record in records)
    assert await wipe(load_site(site.files.config), "root", everything=False) == []


async def test_everything_means_everything(tmp_path):
    async with running_site(tmp_path) as site:
        await site.complete()
        await limited(site)
    said = await wipe(load_site(site.files.config), "root", everything=True)
    state = tmp_path / "state"
    assert any(text.endswith("addresses.yaml") for text in said)
    assert [path.name for path in state.iterdir()] == ["lock"]
