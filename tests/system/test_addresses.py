"""Addresses over the life of a real gateway: swapped names confirmed by hand, and a site that comes from a backup."""

from __future__ import annotations

import getpass
import json
import shutil

from tests.system.conftest import Bench, Process
from tests.system.test_service import complete

A, B = "evce/zone/Zone A", "evce/zone/Zone B"


async def registers(process: Process) -> dict[str, object]:
    code, out, _ = await process.cli("points", "--json")
    assert code == 0
    return {row["point"]: (row["modbus"], row["bacnet"]) for row in json.loads(out)}


async def status(process: Process) -> dict[str, object]:
    code, out, _ = await process.cli("status", "--json")
    assert code == 0
    return json.loads(out)


async def test_C14_I10_names_swapped_while_down_are_confirmed_over_the_command_line(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    before = await registers(process)
    assert await process.end() == 0
    await bench.evce.do("swap_names", kind="zone", name="Zone A", other="Zone B")
    process = await bench.run()
    for _ in range(100):
        if "names were swapped" in str((await status(process))["inhibited"].get(A)):
            break
    code, _, err = await process.cli("write", f"{A}/reduction", "32")
    assert code == 4
    assert f"names were swapped; `addresses confirm` if the zones were renamed there, `addresses pin '{A}' 2` if" in err
    code, out, _ = await process.cli("addresses", "list")
    assert f"    0  {A}  (id 1)  waits: the product calls it 'Zone B' now" in out
    assert await process.end() == 0
    process = await bench.run()
    code, _, err = await process.cli("write", f"{A}/reduction", "32")
    assert code == 4, "a restart confirms nothing"
    code, out, err = await process.cli("addresses", "confirm")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"confirmed: block 0 is {B}, id 1 (it was {A})"
    await complete(process)
    after = await registers(process)
    assert after[f"{B}/reduction"] == before[f"{A}/reduction"]
    assert after[f"{A}/reduction"] == before[f"{B}/reduction"]
    assert (await status(process))["inhibited"] == {}
    line = next(line for line in bench.log().splitlines() if "addresses.confirmed" in line)
    assert getpass.getuser() in line
    book = (bench.folder / "state" / "addresses.yaml").read_text()
    assert 'name: "Zone B", id: "1", block: 0, guard: "current"}' in book
    assert not [item for item in bench.evce.received if item.method == "PUT"]


async def test_a_site_comes_back_from_its_backup_with_every_address(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    before = await registers(process)
    archive = bench.folder.parent / f"{bench.folder.name}.tar.gz"
    code, out, err = await process.cli("backup", str(archive))
    assert (code, err) == (0, "")
    assert "to be put back by hand: the password of evce: file password" in out
    code, _, err = await process.cli("restore", str(archive), "--force")
    assert code == 4
    assert "already running on it: stop it first; nothing was changed" in err
    assert await process.end() == 0
    shutil.rmtree(bench.folder / "state")
    await bench.evce.do("delete", kind="station", name="Bay 001")
    await bench.evce.do("add", kind="station", name="Newcomer", zone="Zone A")
    code, out, err = await process.cli("restore", str(archive))
    assert (code, err) == (0, "")
    process = await bench.run()
    await complete(process)
    after: dict[str, object] = {}
    for _ in range(50):
        after = await registers(process)
        if "evce/station/Newcomer/power" in after:
            break
    assert {point: after.get(point) for point in before} == before
    assert after["evce/station/Newcomer/power"] not in before.values()
