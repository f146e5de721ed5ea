"""Batch sheets as people fill them in: written by the program, filled and saved by another."""

import csv
from collections.abc import Mapping
from pathlib import Path

import county
import openpyxl
from county import County
from openpyxl.worksheet.worksheet import Worksheet

from states.vocabulary import FactKind, Trigger
from workflow import batch

Cells = Mapping[str, object]
# A right confirmation, as an officer types it on 2023-06-10.
CONFIRMATION: Cells = {
    "发生日期": "2023-06-10",
    "visit_on": "2023-06-01",
    "notice_from": "2023-06-02",
    "notice_to": "2023-06-08",
    "consent_on": "2023-06-09",
    "consent_by": "本人",
    "old_facility": "火炕:在用",
}


def template(place: County, kind: Trigger | FactKind, name: str = "work.xlsx") -> Path:
    """The form for everybody, as the county office would have it made."""
    file = place.file.parent / name
    batch.write_template(place.database, file, kind, None, county.CONFIRMED, force=True)
    return file


def fill(file: Path, rows: Mapping[str, Cells], save_as: Path | None = None) -> Path:
    """Fills in the rows of these households, by heading or identifier, and saves the workbook."""
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    columns = headings(sheet)
    for row in range(3, sheet.max_row + 1):
        for name, value in rows.get(str(sheet.cell(row, columns["编号"]).value), {}).items():
            cell = sheet.cell(row, columns[name])
            cell.value = None
            if value is not None:
                assert isinstance(value, str | int | float)
                cell.value = value
    book.save(save_as or file)
    return save_as or file


def headings(sheet: Worksheet) -> dict[str, int]:
    """The column of each heading, by the identifier where it has one."""
    return {
        str(cell.value).split()[-1]: cell.column
        for cell in sheet[2]
        if cell.value is not None and cell.column is not None
    }


def lines(file: Path) -> list[dict[str, object]]:
    """The rows of a form, by heading or identifier."""
    sheet = openpyxl.load_workbook(file).worksheets[0]
    columns = headings(sheet)
    return [
        {name: sheet.cell(row, column).value for name, column in columns.items()}
        for row in range(3, sheet.max_row + 1)
    ]


def fill_csv(file: Path, rows: Mapping[str, Cells]) -> None:
    """Fills in a .csv form and saves it as an old WPS does, in GB18030."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        title, head, *body = list(csv.reader(stream))
    names = [heading.split()[-1] for heading in head]
    for line in body:
        for name, value in rows.get(line[0], {}).items():
            line[names.index(name)] = str(value)
    with file.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([title, head, *body])
