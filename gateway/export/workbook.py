"""The register list as a workbook with filters."""

from __future__ import annotations

import io

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from gateway.export.cells import Value, shown
from gateway.export.register_list import COLUMNS, NOTES, register_rows
from gateway.export.spec import MapSpec
from gateway.export.tables import head_rows

WIDTHS = {"point": 44, "description": 44, "texts": 40, "object_name": 40, "no_value": 20}


def workbook(spec: MapSpec) -> bytes:
    """An XLSX file: the registers with filters, and what the columns mean."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Registers")
    sheet.freeze_panes = "B2"
    for number, key in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = WIDTHS.get(key, 12)
    rows = [[row[key] for key in COLUMNS] for row in register_rows(spec)]
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(COLUMNS))}{len(rows) + 1}"
    sheet.append([_cell(sheet, key, bold=True) for key in COLUMNS])
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])
    about = book.create_sheet("About")
    about.column_dimensions["A"].width, about.column_dimensions["B"].width = 18, 120
    for name, text in (*head_rows(spec.head), *COLUMNS.items(), *(("note", note) for note in NOTES)):
        about.append([_cell(about, name, bold=True), _cell(about, text)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(sheet: object, value: Value, *, bold: bool = False) -> object:
    """A cell whose text is text, whatever it begins with; most need no object of their own, which would be slow."""
    text = shown(value) if isinstance(value, str) else value
    formula = isinstance(text, str) and text.startswith("=")
    if not (formula or bold):
        return text
    cell = WriteOnlyCell(sheet, value=text)
    if formula:
        cell.data_type = "s"
    if bold:
        cell.font = Font(bold=True)
    return cell
