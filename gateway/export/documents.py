"""Every export by its name and format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.export.ede import ede_files
from gateway.export.pics import pics_html, pics_markdown
from gateway.export.spec import MapSpec
from gateway.export.tables import csv_list, html_list, json_list, json_points, markdown_list

What = Literal["registers", "ede", "pics", "points"]
FORMATS: dict[What, tuple[str, ...]] = {
    "registers": ("csv", "xlsx", "md", "html", "json"),
    "ede": ("csv",),
    "pics": ("md", "html"),
    "points": ("json",),
}
"""What there is; the first format is the usual one."""
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}
TEXT = {"csv": csv_list, "md": markdown_list, "html": html_list, "json": json_list}


@dataclass(frozen=True, slots=True)
class Document:
    """A file: its name, its media type, and what is in it."""

    name: str
    media: str
    content: bytes


def documents(spec: MapSpec, what: What, form: str) -> list[Document]:
    """The files of one export; four for EDE, else one.

    Raises:
        ValueError: there is no such format, or no BACnet server to tell of, in words.
    """
    if form not in FORMATS[what]:
        raise ValueError(f"{what} has no format {form!r}; it has {', '.join(FORMATS[what])}")
    if what in {"ede", "pics"} and spec.facts is None:
        raise ValueError("there is no BACnet server: say `bacnet` in the configuration")
    texts = _texts(spec, what, form)
    return [Document(name, MEDIA[form], content) for name, content in texts.items()]


def _texts(spec: MapSpec, what: What, form: str) -> dict[str, bytes]:
    if what == "ede":
        return {name: text.encode() for name, text in ede_files(spec).items()}
    if what == "points":
        return {"points.json": json_points(spec).encode()}
    if what == "pics" and spec.facts is not None:
        text = pics_markdown(spec, spec.facts) if form == "md" else pics_html(spec, spec.facts)
        return {f"pics.{form}": text.encode()}
    if form == "xlsx":
        from gateway.export.workbook import workbook  # the daemon never needs it

        return {"registers.xlsx": workbook(spec)}
    return {f"registers.{form}": TEXT[form](spec).encode()}
