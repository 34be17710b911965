"""Every export, read again by somebody else's reader: each point stands where `points --json` says it does."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from html.parser import HTMLParser
from typing import Any

import pytest
from openpyxl import load_workbook

from gateway.app.export import planned_spec
from gateway.app.offline import offline_map, offline_points
from gateway.export import FORMATS, MapSpec, documents
from gateway.export.cells import APOSTROPHE, one_line
from gateway.export.pics import BLOCKS, claimed_blocks
from tests.export.conftest import STATIONS, ZONES, MakeSite

SITES = [
    ("desc", "one", "one"),
    ("desc", "per_source", "per_resource"),
    ("nested", "per_resource", "one"),
    ("nested", "one", "per_resource"),
]
each_site = pytest.mark.parametrize(("dialect", "units", "devices"), SITES)
Places = dict[str, Counter[tuple[Any, ...]]]


def expected(rows: list[dict[str, Any]]) -> Places:
    """What `points --json` says: by point its registers and objects."""
    places: Places = {}
    for row in rows:
        found: Counter[tuple[Any, ...]] = Counter()
        for place in (row["modbus"], *row.get("modbus_also", ())):
            if place is not None:
                encoding = {**row, **place}
                found[
                    "modbus",
                    place["unit"],
                    place["register"],
                    place.get("bit"),
                    place["count"],
                    encoding["type"],
                    encoding.get("scale", 1.0) if place is row["modbus"] else place.get("scale", 1.0),
                    row["unit"],
                    row["access"],
                ] += 1
        for place in (row["bacnet"], *row.get("bacnet_also", ())):
            if place is not None:
                found["bacnet", place["device"], place["object"], place["instance"]] += 1
        if found:
            places[one_line(row["point"])] = found
    return places


def plain(cell: str) -> str:
    return cell.removeprefix(APOSTROPHE)


def read_rows(rows: list[dict[str, Any]]) -> Places:
    """The same out of a register list whose cells are text or numbers; notations are held against each other."""
    places: Places = defaultdict(Counter)
    for row in rows:
        point = plain(row["point"])
        if row["address"] not in ("", None):
            at = int(row["address"])
            assert int(row["address_1"]) == at + 1
            assert row["holding_6"] == f"4{at + 1:05}"
            assert row["input_6"] == f"3{at + 1:05}"
            if at < 9999:
                assert (row["holding"], row["input"]) == (f"4{at + 1:04}", f"3{at + 1:04}")
            else:
                assert row["holding"] in ("", None)
            if row["type"] == "bool":
                assert int(row["coil"]) == at + 1
                assert int(row["discrete"][1:]) == at + 1
            else:
                assert row["coil"] in ("", None)
            bit = None if row["bit"] in ("", None) else int(row["bit"])
            places[point][
                "modbus",
                int(row["unit_id"]),
                at,
                bit,
                int(row["count"]),
                row["type"],
                float(row["scale"]),
                row["unit"] or "",
                row["access"],
            ] += 1
        if row["object_type"]:
            places[point]["bacnet", int(row["device"]), row["object_type"], int(row["instance"])] += 1
    return dict(places)


def one(spec: MapSpec, what: Any, form: str) -> bytes:
    (document,) = documents(spec, what, form)
    return document.content


@each_site
def test_the_csv_list_holds_every_point(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec = planned_spec(site)
    text = one(spec, "registers", "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert read_rows(rows) == expected(offline_points(site))
    logs = {(plain(row["point"]), row["device"], row["trend_log"]) for row in rows if row["trend_log"]}
    assert logs == {
        (one_line(row["point"]), str(row["trend_log"]["device"]), str(row["trend_log"]["instance"]))
        for row in offline_points(site)
        if "trend_log" in row
    }
    assert logs
    assert {row["map_hash"] for row in rows} == {f"{offline_map(site).map_hash():016x}"}
    names = [(row["device"], row["object_name"]) for row in rows if row["object_type"]]
    assert len(set(names)) == len(names)
    assert all(name for _, name in names)


@each_site
def test_the_workbook_holds_every_point(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec = planned_spec(site)
    book = load_workbook(io.BytesIO(one(spec, "registers", "xlsx")))
    sheet = book["Registers"]
    head, *cells = sheet.iter_rows()
    keys = [cell.value for cell in head]
    assert sheet.auto_filter.ref == f"A1:{head[-1].column_letter}{sheet.max_row}"
    assert {cell.data_type for row in cells for cell in row} <= {"s", "inlineStr", "n"}, "a cell is a formula"
    rows = [dict(zip(keys, (cell.value for cell in row), strict=True)) for row in cells]
    assert read_rows(rows) == expected(offline_points(site))
    about = {row[0].value: row[1].value for row in book["About"].iter_rows()}
    assert about["map hash"] == spec.head.map_hash
    assert about["holding"] == "as a holding register in five digits, up to 9999"


def read_printed(rows: list[tuple[str, dict[str, str]]]) -> Places:
    """Rows of a printed table with the resource above each."""
    places: Places = defaultdict(Counter)
    for resource, row in rows:
        point = f"{resource}/{row['point']}"
        if row["0-based"]:
            assert row["holding"] == f"4{int(row['0-based']) + 1:05}"
            places[point][
                "modbus",
                int(row["unit id"]),
                int(row["0-based"]),
                int(row["bit"]) if row["bit"] else None,
                int(row["registers"]),
                row["type"],
                float(row["scale"]),
                row["unit"],
                row["access"],
            ] += 1
        if row["BACnet device, object"]:
            device, _, twin = row["BACnet device, object"].partition(", ")
            kind, _, instance = twin.partition(" ")
            places[point]["bacnet", int(device), kind, int(instance)] += 1
    return dict(places)


class Page(HTMLParser):
    """The tables of a page with the heading above each, and every tag that is in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.rows: list[tuple[str, dict[str, str]]] = []
        self._heading, self._columns, self._cells = "", [], []  # type: ignore[var-annotated]
        self._text: list[str] | None = None
        self.words = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags[tag] += 1
        if tag in {"h2", "th", "td"}:
            self._text = []
        if tag in {"table", "tr"}:
            self._cells = []

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"h2", "th", "td"}:
            text = "".join(self._text or ())
            self._text = None
            if tag == "h2":
                self._heading = text
            else:
                self._cells.append(text)
        elif tag == "thead":
            self._columns = self._cells
        elif tag == "tr" and self._columns and self._cells is not self._columns:
            self.rows.append((self._heading, dict(zip(self._columns, self._cells, strict=True))))
        if tag == "table":
            self._columns = []


@each_site
def test_the_page_holds_every_point(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec = planned_spec(site)
    page = Page()
    page.feed(one(spec, "registers", "html").decode())
    page.close()
    assert read_printed(page.rows) == expected(offline_points(site))
    assert spec.head.map_hash in page.words
    assert set(page.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "ul", "li", "code", "p"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }, "a name became markup"


@each_site
def test_the_markdown_list_holds_every_point(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec = planned_spec(site)
    rows: list[tuple[str, dict[str, str]]] = []
    heading, columns = "", []  # type: ignore[var-annotated]
    for line in one(spec, "registers", "md").decode().splitlines():
        if line.startswith("## "):
            heading, columns = unescape(line[3:]), []
        elif line.startswith("| "):
            cells = [unescape(cell.strip()) for cell in split_cells(line)]
            if columns:
                rows.append((heading, dict(zip(columns, cells, strict=True))))
            else:
                columns = cells
    assert read_printed(rows) == expected(offline_points(site))
    assert spec.head.map_hash in one(spec, "registers", "md").decode()


def split_cells(line: str) -> list[str]:
    cells, escaped = [""], False
    for char in line.strip()[1:-1]:
        if char == "|" and not escaped:
            cells.append("")
            continue
        cells[-1] += char
        escaped = char == "\\" and not escaped
    return cells


def unescape(text: str) -> str:
    out, escaped = "", False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        out, escaped = out + char, False
    return out


@each_site
def test_the_json_lists_hold_every_point(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec, rows = planned_spec(site), offline_points(site)
    registers = json.loads(one(spec, "registers", "json"))
    assert {one_line(name): places for name, places in read_rows(registers["registers"]).items()} == expected(rows)
    points = json.loads(one(spec, "points", "json"))
    assert registers["map_hash"] == points["map_hash"] == spec.head.map_hash
    by_name = {row["point"]: row for row in points["points"]}
    assert set(by_name) == {row["point"] for row in rows}
    for row in rows:
        theirs = by_name[row["point"]]
        for key, value in row.items():
            if key not in {"value", "quality", "reason", "age_s"}:
                assert theirs[key] == value
        assert len(theirs["object_names"]) == (row["bacnet"] is not None) + len(row.get("bacnet_also", ()))


@each_site
def test_the_ede_files_hold_every_object(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    site = make_site(dialect, units, devices)
    spec = planned_spec(site)
    files = {document.name.rpartition("_")[2]: document for document in documents(spec, "ede", "csv")}
    assert next(iter(files.values())).name == "Head-Office-Nord_EDE.csv"
    tables = {
        name: list(csv.reader(io.StringIO(file.content.decode(), newline=""), delimiter=";"))
        for name, file in files.items()
    }
    assert all(b"\r\n" in file.content for file in files.values())
    ede = tables["EDE.csv"]
    assert ede[0] == ["#Engineering-Data-Exchange - B.I.G.-EU"]
    assert [row[0] for row in ede[1:6]] == [
        "PROJECT_NAME",
        "VERSION_OF_REFERENCEFILE",
        "TIMESTAMP_OF_LAST_CHANGE",
        "AUTHOR_OF_LAST_CHANGE",
        "VERSION_OF_LAYOUT",
    ]
    assert ede[2][1] == f"map {spec.head.map_hash}"
    assert ede[5][1] == "2.3"
    assert ede[6][:6] == ["#mandatory", "mandatory", "mandatory", "mandatory", "mandatory", "optional"]
    assert ede[7][:5] == ["# keyname", "device obj.-instance", "object-name", "object-type", "object-instance"]
    assert {len(row) for row in ede[6:]} == {17}
    keys = ["keyname", *ede[7][1:]]
    rows = [dict(zip(keys, row, strict=True)) for row in ede[8:]]
    assert len({row["keyname"] for row in rows}) == len(rows)
    types = {row[0]: row[1] for row in tables["ObjTypes.csv"][2:]}
    units_of = {row[0]: row[1] for row in tables["Units.csv"][2:]}
    states = {row[0]: row[1:] for row in tables["StateTexts.csv"][2:]}
    found = {
        (int(row["device obj.-instance"]), types[row["object-type"]], int(row["object-instance"])): row for row in rows
    }
    points = [row for row in offline_points(site) if row["bacnet"] is not None]
    for row in points:
        for place in (row["bacnet"], *row.get("bacnet_also", ())):
            line = found[place["device"], place["object"], place["instance"]]
            assert line["settable"] == ("Y" if row["access"] == "rw" else "N")
            assert line["supports COV"] == "Y"
            if place["object"].startswith("analog"):
                assert line["unit-code"] in units_of
            if place["object"].startswith(("multi-state", "binary")):
                assert states[line["state-text-reference"]]
    others = {kind for _, kind, _ in found} - {row["bacnet"]["object"] for row in points}
    assert {"device", "network-port"} <= others
    limit = found[next(key for key in found if found[key]["object-name"].endswith("Zone A.reduction"))]
    assert (limit["settable"], units_of[limit["unit-code"]]) == ("Y", "amperes")
    in_files = {int(row["device obj.-instance"]) for row in rows}
    assert (len(in_files) > 5) is (devices == "per_resource")
    for row in rows:
        assert not row["object-name"].startswith(("=", "+", "-", "@"))


def test_the_state_texts_are_those_of_the_mapping(make_site: MakeSite) -> None:
    spec = planned_spec(make_site())
    by_name = {one.name: one for one in spec.objects}
    assert by_name["evce.source.state"].states == ("starting", "up", "down", "paused", "taken", "refused")
    assert by_name["evce.source.connected"].states == ("off", "on")
    power = by_name["evce.Zone A.power"]
    assert (power.type, power.instance, power.unit, power.description) == ("analog-input", 1008, 48, power.description)
    assert spec.units[48] == "kilowatts"


@each_site
def test_no_cell_of_a_csv_file_is_a_formula(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    spec = planned_spec(make_site(dialect, units, devices))
    texts = [(one(spec, "registers", "csv"), ",")]
    texts += [(document.content, ";") for document in documents(spec, "ede", "csv")]
    cells = [
        cell
        for content, delimiter in texts
        for row in csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter)
        for cell in row
    ]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@"))]
    assert not [cell for cell in cells if cell.startswith("-") and not cell[1:].replace(".", "").isdigit()]
    assert not [cell for cell in cells if any(not char.isprintable() for char in cell)]


def test_nasty_names_come_back(make_site: MakeSite) -> None:
    spec = planned_spec(make_site())
    rows = csv.DictReader(io.StringIO(one(spec, "registers", "csv").decode(), newline=""))
    resources = {plain(row["point"]).rpartition("/")[0] for row in rows}
    for name in ZONES:
        assert f"evce/zone/{name.replace('/', '%2F')}" in resources
    for name in STATIONS:
        assert f"evce/station/{name.replace('/', '%2F')}" in resources
    assert "evce/meter/Main\\nmeter" in resources


def test_what_the_register_list_says_beside_the_addresses(make_site: MakeSite) -> None:
    spec = planned_spec(make_site(word_order="little"))
    rows = {
        row["point"]: row for row in csv.DictReader(io.StringIO(one(spec, "registers", "csv").decode(), newline=""))
    }
    limit = rows["evce/zone/Zone A/reduction"]
    assert (limit["access"], limit["word_order"], limit["unit"]) == ("rw", "little", "A")
    assert (limit["low"], limit["high"], limit["no_value"]) == ("0", "maximum", "last value")
    assert (limit["read"], limit["write"]) == ("3, 4", "16, 23")
    power = rows["evce/zone/Zone A/power"]
    assert (power["no_value"], power["write"]) == ("0000 7FC0", "")
    release = rows["evce/zone/Zone A/reduction.release"]
    assert (release["read"], release["write"]) == ("3, 4, 1, 2", "6, 16, 23, 22, 5, 15")
    assert release["coil"] == f"{int(release['address']) + 1:05}"
    state = rows["evce/source/state"]
    assert state["texts"] == "1=starting; 2=up; 3=down; 4=paused; 5=taken; 6=refused"
    reset = next(row for name, row in rows.items() if name.endswith("Bay;3, 'x'/reset"))
    assert (reset["access"], reset["type"]) == ("rw", "uint16")
    assert rows["gateway/header/flags"]["address"] == "14"
    assert rows["gateway/header/map_hash_text"]["object_name"] == "gateway.header.map_hash_text"


@each_site
def test_the_statement_claims_what_the_device_says(make_site: MakeSite, dialect: str, units: str, devices: str) -> None:
    spec = planned_spec(make_site(dialect, units, devices))
    facts = spec.facts
    assert facts is not None
    claimed = claimed_blocks(facts, devices)
    assert ("GW-VN-B" if devices == "per_resource" else "GW-EO-B") in claimed
    for block in BLOCKS:
        assert (block.name in claimed) == (block.services <= facts.services and block.types <= set(facts.types))
    page = Page()
    page.feed(one(spec, "pics", "html").decode())
    assert "BACnet Gateway (B-GW)" in page.words
    text = one(spec, "pics", "md").decode()
    for name in claimed:
        assert f"| {name} |" in text
        assert name in page.words
    for word in ("DM-RD-B", "SCHED"):
        assert (word in text) == (word in claimed)
    assert spec.head.map_hash in text
    rows = dict(re.findall(r"^\| (\S+) \| \d+ \| (.*?) \| no \|$", unescape_lines(text), re.MULTILINE))
    assert rows["notification-class"].startswith("Recipient_List of ")
    assert rows["analog-value"].startswith("Present_Value of ")
    assert rows["analog-input"] == rows["device"] == "none"


def unescape_lines(text: str) -> str:
    return "\n".join(map(unescape, text.splitlines()))


def test_a_service_that_is_not_executed_is_not_claimed(make_site: MakeSite) -> None:
    spec = planned_spec(make_site())
    facts = spec.facts
    assert facts is not None
    assert "DM-RD-B" not in claimed_blocks(facts, "one"), "ReinitializeDevice is not configured"
    from dataclasses import replace

    less = replace(facts, services=facts.services - {17}, types={8: "device"})
    assert {"DM-DCC-B", "AE-N-I-B", "T-VMT-I-B"}.isdisjoint(claimed_blocks(less, "one"))
    bare = replace(spec, facts=less)
    assert "| Profile | none |" in one(bare, "pics", "md").decode()


def test_without_a_bacnet_server_there_is_no_ede(make_site: MakeSite) -> None:
    from dataclasses import replace

    spec = replace(planned_spec(make_site()), facts=None)
    for what in ("ede", "pics"):
        with pytest.raises(ValueError, match="there is no BACnet server"):
            documents(spec, what, FORMATS[what][0])  # type: ignore[index,arg-type]
    with pytest.raises(ValueError, match="points has no format 'csv'; it has json"):
        documents(spec, "points", "csv")


def test_nothing_is_written_to_the_state(make_site: MakeSite) -> None:
    site = make_site()
    before = sorted((path.name, path.read_bytes()) for path in site.state_dir.iterdir())
    planned_spec(site)
    assert sorted((path.name, path.read_bytes()) for path in site.state_dir.iterdir()) == before
