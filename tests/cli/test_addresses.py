"""`addresses confirm|pin|rename|forget` on the file, while no gateway runs, and what they say when one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.addressing import Entry
from gateway.store import Store

Call = Callable[..., Any]
A, B = "evce/zone/Zone A", "evce/zone/Zone B"


def swapped() -> list[Entry]:
    return [
        Entry("evce", "zone", "Zone A", "1", 0, guard="current", new_name="Zone B"),
        Entry("evce", "zone", "Zone B", "2", 1, new_name="Zone A"),
        Entry("evce", "zone", "P1/P2 [red] :car:", "3", 2, guard="current", new_guard="power"),
        Entry("evce", "station", "Bay 1", "7", 0),
        Entry("evce", "connector", "Bay 1#1", "1", 0),
        Entry("evce", "station", "Bay One", "17", 1),
    ]


@pytest.fixture
def book(site: Path) -> Callable[[], dict[str, Entry]]:
    """Writes the addresses, and reads them again by kind and name."""
    config = (site / "config.yaml").read_text().replace('    expect: {zone: [Zone A, "P1/P2 [red] :car:"]}\n', "")
    (site / "config.yaml").write_text(config)
    (site / "state").mkdir()
    Store(site / "state").save_addresses(swapped(), {"evce": "sha256:ab"})

    def read() -> dict[str, Entry]:
        saved = Store(site / "state").load_addresses()
        assert saved.certificates == {"evce": "sha256:ab"}
        return {f"{entry.kind}/{entry.name}" + "!" * entry.retired: entry for entry in saved.entries}

    return read


def test_C14_I10_I11_confirm_everything_that_waits(book: Any, call: Call) -> None:
    said = call("addresses", "confirm")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "confirmed: block 0 is evce/zone/Zone B, id 1 (it was evce/zone/Zone A)",
        "confirmed: block 1 is evce/zone/Zone A, id 2 (it was evce/zone/Zone B)",
        "confirmed: evce/zone/P1%2FP2 [red] :car: is of type 'power' now (it was 'current')",
    ]
    entries = book()
    assert [entries[f"zone/{name}"].block for name in ("Zone B", "Zone A")] == [0, 1]
    assert not any(entry.waits for entry in entries.values())
    said = call("addresses", "confirm", "-c", "config.yaml")
    assert (said.code, said.out) == (0, "nothing waits for a confirmation\n")


def test_I11_confirm_one(book: Any, call: Call) -> None:
    assert call("addresses", "confirm", "evce/zone/P1%2FP2 [red] :car:").code == 0
    assert book()["zone/P1/P2 [red] :car:"].guard == "power"
    assert book()["zone/Zone A"].new_name == "Zone B"


def test_C14_pins_on_the_file_end_clean(book: Any, call: Call) -> None:
    assert call("addresses", "pin", A, "2").code == 0
    said = call("addresses", "pin", "evce/station/Bay 1", "9")
    assert (said.code, said.err) == (4, "no station with id '9' is known; start the gateway, and pin then\n")
    assert call("addresses", "pin", B, "1").out == f"{B} (block 1) belongs to id 1 from now on\n"
    entries = book()
    found = [(entries[f"zone/{name}"].id, entries[f"zone/{name}"].block) for name in ("Zone A", "Zone B")]
    assert found == [("2", 0), ("1", 1)]
    assert not any(entries[f"zone/{n}"].waits for n in ("Zone A", "Zone B"))


def test_C14_a_pin_and_a_confirmation_on_the_file_end_clean(book: Any, call: Call) -> None:
    assert call("addresses", "pin", A, "2").code == 0
    assert call("addresses", "confirm", B).out == "confirmed: block 1 is evce/zone/Zone B, id not known yet\n"
    assert not any(book()[f"zone/{n}"].waits for n in ("Zone A", "Zone B"))


def test_I06_rename_on_the_file(book: Any, call: Call) -> None:
    said = call("addresses", "rename", "evce/station/Bay 1", "Bay One")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "evce/station/Bay 1 is evce/station/Bay One now and keeps its block 0",
        "block 1, which evce/station/Bay One had, is retired: it is not served any more and nobody else gets it",
        "the gateway does not run: what the product lists was not checked",
    ]
    entries = book()
    assert (entries["station/Bay One"].block, entries["station/Bay One"].id) == (0, "17")
    assert entries["station/Bay One!"].block == 1
    assert entries["connector/Bay One#1"].block == 0
    rows = json.loads(call("points", "station/Bay", "--json").out)
    assert {row["modbus"]["register"] for row in rows if row["point"].endswith("/power")} == {7010}


def test_I08_a_name_that_no_file_can_hold_is_refused(book: Any, call: Call) -> None:
    before = book()
    for arguments in (("rename", "evce/station/Bay 1", "Bay \udcff"), ("forget", "evce/station/Bay \udcff")):
        said = call("addresses", *arguments)
        assert (said.code, said.out) == (2, "")
        assert "is not UTF-8" in said.err
    assert book() == before


def test_forget_on_the_file(book: Any, call: Call) -> None:
    said = call("addresses", "forget", "evce/station/Bay 1")
    assert said.code == 0
    assert said.out.startswith("evce/station/Bay 1 and 1 inside it is forgotten: no alarm any more, and not served")
    assert book()["station/Bay 1"].forgotten
    assert book()["connector/Bay 1#1"].forgotten
    assert "Bay 1/" not in call("points", "station/Bay").out
    assert call("addresses", "list").out.splitlines()[3] == "    0  evce/station/Bay 1  (id -)  forgotten"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["forget", "Zone A"], 2, "'Zone A' is not SOURCE/KIND/NAME; a / inside the name is written %2F"),
        (["forget", "evce/zone/P1/P2"], 2, "'evce/zone/P1/P2' is not SOURCE/KIND/NAME"),
        (["rename", A, ""], 2, "the new name is empty"),
        (["rename", A], 2, ""),
        (["forget", "annex/zone/A"], 4, "there is no source 'annex'; there are: evce"),
        (["forget", "evce/zone/C"], 4, "evce/zone/C has no address; `addresses list` shows what has one"),
        (["forget", "evce/source/evce"], 4, "evce has no list of 'source'; it has: zone, station, connector, meter"),
        (["confirm", "evce/station/Bay 1"], 4, "evce/station/Bay 1 does not wait for a confirmation"),
        (["pin", A, "1"], 4, "cannot be pinned to it: id 1 is named 'Zone B'; `addresses confirm` makes"),
        (["pin", A, "3"], 4, "cannot be pinned to it: id 3 is named 'P1/P2 [red] :car:'"),
        (["pin", "evce/connector/Bay 1#1", "1"], 4, "a connector follows its station: correct that one"),
        (["rename", "evce/station/Bay 1", "Bay 1"], 4, "evce/station/Bay 1 has that name already"),
        (["rename", "evce/station/Bay 1", "Bay 2"], 0, ""),
        (["rename", "evce/zone/P1%2FP2 [red] :car:", "Zone A"], 4, f"{A} waits for a confirmation: confirm or pin it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refusals_and_exit_codes(site: Path, book: Any, call: Call, arguments: list[str], code: int, text: str) -> None:
    before = (site / "state" / "addresses.yaml").read_bytes()
    said = call("addresses", *arguments)
    assert said.code == code
    assert text in said.err
    if code:
        assert said.err.count("\n") == 1 or not text
        assert (site / "state" / "addresses.yaml").read_bytes() == before
    assert book()


def test_nothing_is_changed_while_another_gateway_holds_the_lock(site: Path, book: Any, call: Call) -> None:
    store = Store(site / "state")
    store.open()
    said = call("addresses", "confirm")
    store.close()
    assert said.code == 4
    assert "and none answers at" in said.err
    assert "set RUNTIME_DIRECTORY as its service has it, or stop it" in said.err
    assert book()["zone/Zone A"].waits


@pytest.mark.usefixtures("site")
def test_without_any_addresses(call: Call) -> None:
    said = call("addresses", "confirm")
    assert said.code == 4
    assert said.err.endswith("state holds no addresses yet\n")
    assert not Path("state").exists()


def test_list_says_what_waits(site: Path, book: Any, call: Call) -> None:
    text = "`addresses confirm` if the zones were renamed there, `addresses pin '{}' {}` if the names are right"
    assert call("addresses", "list").out.splitlines()[:3] == [
        f"    0  {A}  (id 1)  waits: the product calls it 'Zone B' now; {text.format(A, 2)}",
        f"    1  {B}  (id 2)  waits: the product calls it 'Zone A' now; {text.format(B, 1)}",
        "    2  evce/zone/P1%2FP2 [red] :car:  (id 3)  waits: confirm with `addresses confirm`",
    ]
    assert json.loads(call("addresses", "list", "--json").out)[0]["new_name"] == "Zone B"
    assert book()


def test_list_says_how_to_settle_what_a_pin_left(book: Any, call: Call) -> None:
    assert call("addresses", "pin", A, "2").code == 0
    assert book()["zone/Zone A"].id == "2"
    text = "`addresses pin 'evce/zone/Zone B' ID` (or `addresses confirm`) if the name is right, else mend it"
    assert f"    1  {B}  (id -)  waits: {text} in the product" in call("addresses", "list").out.splitlines()


def test_what_waits_is_not_written_before_the_product_answers(book: Any, call: Call) -> None:
    assert book()
    said = call("points", "Zone A/power", "--json")
    assert (said.code, said.err, json.loads(said.out)[0]["point"]) == (0, "", f"{A}/power")


def test_a_renamed_name_that_is_expected_is_said(site: Path, book: Any, call: Call) -> None:
    config = (site / "config.yaml").read_text().replace("    mapping:", "    expect: {station: [Bay 1]}\n    mapping:")
    (site / "config.yaml").write_text(config)
    said = call("addresses", "rename", "evce/station/Bay 1", "Bay 2")
    text = "evce/station/Bay 1 still stands in `expect` of the configuration: write 'Bay 2' there before the next start"
    assert text in said.out.splitlines()
    assert book()["station/Bay 2"].block == 0


def test_the_list_shows_the_unit_of_a_resource_where_there_is_one_each(site: Path, book: Any, call: Call) -> None:
    entries = swapped()
    entries[1].unit, entries[4].unit, entries[4].unit_block = 3, 9, 1
    Store(site / "state").save_addresses(entries, {"evce": "sha256:ab"})
    assert "unit" not in call("addresses", "list").out
    config = (site / "config.yaml").read_text()
    (site / "config.yaml").write_text(config.replace("modbus: {", "modbus: {units: per_resource, "))
    lines = call("addresses", "list").out.splitlines()
    assert lines[1].startswith("    1  evce/zone/Zone B  (id 2)  unit 3  waits: ")
    rows = json.loads(call("addresses", "list", "--json").out)
    assert [(row.get("unit"), row.get("unit_block")) for row in rows] == [
        (None, None),
        (3, None),
        (None, None),
        (None, None),
        (9, 1),
        (None, None),
    ]
