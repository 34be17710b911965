"""The register list as text: CSV, Markdown, a page to print, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from gateway.export.cells import Value, markdown, markup, safe
from gateway.export.register_list import COLUMNS, NOTES, Row, register_rows
from gateway.export.spec import MapHead, MapSpec

PRINTED: dict[str, str] = {
    "point": "point",
    "unit_id": "unit id",
    "address": "0-based",
    "address_1": "1-based",
    "holding_6": "holding",
    "input_6": "input",
    "coil": "coil",
    "bit": "bit",
    "type": "type",
    "count": "registers",
    "order": "order",
    "scale": "scale",
    "unit": "unit",
    "access": "access",
    "no_value": "no value",
    "twin": "BACnet device, object",
    "object_name": "object name",
    "description": "description",
    "texts": "codes",
}
"""What a printed table shows; `order` and `twin` stand for more than one column."""
STYLE = """\
@page { size: A3 landscape; margin: 12mm }
body { font: 12px/1.35 system-ui, sans-serif; margin: 1.5em; color: #111 }
h1 { font-size: 20px } h2 { font-size: 15px; margin: 1.4em 0 .3em; page-break-after: avoid }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group } tr { page-break-inside: avoid }
th, td { border: 1px solid #bbb; padding: 2px 5px; text-align: left; vertical-align: top } th { background: #eee }
code { font-family: ui-monospace, monospace }"""


def csv_list(spec: MapSpec) -> str:
    """RFC 4180, UTF-8, the names of COLUMNS in the first line."""
    return csv_text(COLUMNS, ([row[key] for key in COLUMNS] for row in register_rows(spec)), ",")


def csv_text(head: Iterable[str], rows: Iterable[Iterable[Value]], delimiter: str) -> str:
    """A CSV file whose cells are no formulas."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def json_list(spec: MapSpec) -> str:
    """The same rows for a program; cells are as they are."""
    head = {"site": spec.head.site, "map_hash": spec.head.map_hash, "made": spec.head.made, "columns": COLUMNS}
    return json.dumps(head | {"registers": list(register_rows(spec))}, indent=1, ensure_ascii=False) + "\n"


def json_points(spec: MapSpec) -> str:
    """The point list: the rows of `points --json`, with what a client of either protocol shows beside them."""
    names = spec.names
    points = [
        {
            **{key: value for key, value in point.row.items() if key not in {"value", "quality", "reason", "age_s"}},
            "description": point.placed.spec.description,
            "texts": {str(code): text for code, text in enumerate(point.placed.spec.texts, 1) if text != "-"},
            "object_names": [names.get(twin) for twin in point.twins],
        }
        for point in spec.points
    ]
    head = {
        "site": spec.head.site,
        "version": spec.head.version,
        "map_hash": spec.head.map_hash,
        "made": spec.head.made,
    }
    return json.dumps(head | {"points": points}, indent=1, ensure_ascii=False) + "\n"


def head_rows(head: MapHead) -> Iterator[tuple[str, str]]:
    """What stands above every export."""
    yield "site", head.title
    yield "map hash", head.map_hash
    yield "made", head.made
    yield "gateway", f"version {head.version}"
    if head.units is not None:
        yield "Modbus units", f"{head.units}, from unit {head.first_unit}"
    if head.devices is not None:
        yield "BACnet devices", head.devices


# -- to read and print -----------------------------------------------------------------------------------------------


def _groups(spec: MapSpec) -> Iterator[tuple[str, list[Row]]]:
    """The rows by resource, in the order of the map."""
    for resource, rows in groupby(register_rows(spec), key=lambda row: str(row["point"]).rpartition("/")[0]):
        yield resource, [_printed(row) for row in rows]


def _printed(row: Row) -> Row:
    order = None
    if row["type"] is not None:
        orders = {row["word_order"], row["byte_order"]}
        order = "big" if orders == {"big"} else f"words {row['word_order']}, bytes {row['byte_order']}"
    twin = f"{row['device']}, {row['object_type']} {row['instance']}" if row["object_type"] is not None else None
    return row | {"point": str(row["point"]).rpartition("/")[2], "order": order, "twin": twin}


def markdown_list(spec: MapSpec) -> str:
    """A Markdown document with a table per resource."""
    parts = [f"# Register list: {markdown(spec.head.title)}", ""]
    parts += [f"- {name}: {markdown(text)}" for name, text in head_rows(spec.head)]
    parts += ["", *(f"{markdown(note)}\n" for note in NOTES)]
    head = f"| {' | '.join(PRINTED.values())} |\n|{'---|' * len(PRINTED)}"
    for resource, rows in _groups(spec):
        parts += [f"## {markdown(resource)}", "", head]
        parts += [f"| {' | '.join(markdown(row[key]) for key in PRINTED)} |" for row in rows]
        parts.append("")
    return "\n".join(parts)


def html_list(spec: MapSpec) -> str:
    """A page that prints on A3: no script, nothing from elsewhere."""
    items = (f"<li>{markup(name)}: <code>{markup(text)}</code></li>" for name, text in head_rows(spec.head))
    body = [f"<ul>{''.join(items)}</ul>"]
    body += [f"<p>{markup(note)}</p>" for note in NOTES]
    for resource, rows in _groups(spec):
        body.append(f"<h2>{markup(resource)}</h2>")
        body.append(html_table(PRINTED, rows))
    return html_page(f"Register list: {spec.head.title}", "\n".join(body))


def html_table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Value]]) -> str:
    """A table whose head is repeated on every printed page."""
    head = "".join(f"<th>{markup(title)}</th>" for title in columns.values())
    lines = ("".join(f"<td>{markup(row[key])}</td>" for key in columns) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def html_page(title: str, body: str) -> str:
    """A whole page."""
    text = markup(title)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{text}</title>\n<style>\n{STYLE}\n</style></head>\n<body>\n<h1>{text}</h1>\n{body}\n</body></html>\n"
    )
