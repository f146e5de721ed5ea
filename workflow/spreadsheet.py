"""Tables in and out: .xlsx, .xls, .et and .csv, told apart by content and never by name.

A file that was handed in is not trusted. It is read in a child process with little memory and
little time, which looks at sizes before it unpacks anything, evaluates no formula and opens no
macro, and answers with plain JSON. Whatever happens to the child, the parent sees a `BadFile`.

A table that is written holds typed strings and numbers only, so that no cell can become a formula.
"""

import csv
import hashlib
import io
import json
import math
import posixpath
import re
import struct
import subprocess
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from xml.parsers import expat

from msgspec import Struct, field
from msgspec.structs import replace

from states.errors import UsageFault
from workflow.errors import BadFile

if TYPE_CHECKING:
    import xlsxwriter

MIB = 1024 * 1024
MAX_FILE = 32 * MIB
MAX_UNPACKED = 192 * MIB
# Beyond this size an archive must not shrink to less than a fiftieth: a large ledger shrinks to a
# tenth, a bomb to a thousandth.
LARGE_UNPACKED = 32 * MIB
MAX_RATIO = 50
MAX_PARTS = 2_000
MAX_SHEETS = 64
MAX_ROWS = 120_000
MAX_COLUMNS = 256
MAX_CELLS = 2_200_000
MAX_TEXT = 32 * MIB  # all cells together: one shared string can stand in every cell
MAX_CELL_TEXT = 32_767  # Excel's own limit
CHILD_MEMORY = 1024 * MIB
CHILD_SECONDS = 30


class Unreadable(BadFile):
    """The file as a whole cannot be used; `code` is one of the ledger's fault codes."""


class CellKind(StrEnum):
    """What a cell holds. A formula is never evaluated, nor is its last result used."""

    TEXT = "t"
    NUMBER = "n"
    DATE = "d"
    BOOLEAN = "b"
    ERROR = "e"
    FORMULA = "f"


class Cell(Struct, frozen=True):
    """One cell that is not empty. A date's value is its serial, counted by the book's system."""

    kind: CellKind
    value: str | float | bool


class Range(NamedTuple):
    """A merged range; rows and columns count from 1, both ends inclusive."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


class Sheet(Struct, frozen=True):
    """The filled cells of one sheet, by row and column from 1. A CSV's sheet has no name."""

    name: str | None
    rows: Mapping[int, Mapping[int, Cell]]
    hidden_rows: frozenset[int] = frozenset()
    merged: tuple[Range, ...] = ()
    hidden: bool = False


class Book(Struct, frozen=True):
    """What was read, and the digest of exactly the bytes that were read."""

    name: str
    sha256: str
    format: str
    sheets: tuple[Sheet, ...]
    date_1904: bool = False
    encoding: str | None = None


ESCAPE_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
CELL = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")


def address(row: int, column: int) -> str:
    """The name of a cell, such as `D7`."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def position(name: str) -> tuple[int, int]:
    """The row and column of a cell's name; raises ValueError where it is none."""
    found = CELL.fullmatch(name)
    if found is None:
        raise ValueError(f"no cell is called {name!r}")
    return int(found[2]), _column(found[1])


@cache
def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column


def plain_text(text: str) -> str:
    """The text without anything that could steer a terminal or turn the direction of writing.

    Tabs and line ends become blanks; control, direction and zero-width characters go, and escape
    sequences as a whole.
    """
    if text.isprintable():  # true of nearly every cell, and ten times as fast
        return text
    text = ESCAPE_SEQUENCE.sub("", text)
    return "".join(
        " " if character in "\t\r\n\x0b\x0c\x85\u2028\u2029" else character
        for character in text
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
        or character in "\t\r\n\x0b\x0c\x85"
    )


# --- dates ----------------------------------------------------------------------------------------

EPOCH_1900 = date(1899, 12, 30)  # Excel believes in 1900-02-29; from March 1900 on this is right
EPOCH_1904 = date(1904, 1, 1)
DATE_YEARS = range(1990, 2100)

FULL_DATE = re.compile(
    r"(\d{4})(?:[-./](\d{1,2})[-./](\d{1,2})|年(\d{1,2})月(\d{1,2})日?|(\d{2})(\d{2}))"
    r"(?: 0{1,2}:00(?::00)?)?"
)
DAY_OF_YEAR = re.compile(r"(\d{1,2})月(\d{1,2})日?")


class DateRead(NamedTuple):
    """A date and the normalisation code that says how it was come by."""

    value: date
    code: str


def read_date(cell: Cell, *, year: int, date_1904: bool) -> DateRead | None:
    """The day that a cell of a date column means, or None when it means none.

    `2023.9.1`, `2023/9/1`, `2023-09-01`, `20230901`, `2023年9月1日`; `9月1日` in the plan's `year`;
    a serial number, formatted as a date or not, by the book's date system.
    """
    match cell.kind, cell.value:
        case ((CellKind.NUMBER | CellKind.DATE), float() | int() as serial):
            return _date_of_serial(serial, date_1904)
        case CellKind.TEXT, str() as text:
            return _date_of_text(text, year)
    return None


def serial_date(serial: float, *, date_1904: bool) -> date | None:
    """The day of a spreadsheet's serial number, or None outside the years a ledger can mean."""
    try:
        day = (EPOCH_1904 if date_1904 else EPOCH_1900) + timedelta(days=int(serial))
    except (OverflowError, ValueError):
        return None
    return day if day.year in DATE_YEARS else None


def _date_of_serial(serial: float, date_1904: bool) -> DateRead | None:
    day = serial_date(serial, date_1904=date_1904)
    if day is None or serial != int(serial):
        return None
    return DateRead(day, "date_1904_parsed" if date_1904 else "date_serial_parsed")


def _date_of_text(text: str, year: int) -> DateRead | None:
    plain = re.sub(r"\s*([-./年月日])\s*", r"\1", unicodedata.normalize("NFKC", text).strip())
    if found := FULL_DATE.fullmatch(plain):
        parts = [int(part) for part in found.groups() if part is not None]
        code = "date_text_parsed"
    elif found := DAY_OF_YEAR.fullmatch(plain):
        parts = [year, int(found[1]), int(found[2])]
        code = "date_year_from_plan"
    else:
        return None
    try:
        day = date(parts[0], parts[1], parts[2])
    except ValueError:
        return None
    return DateRead(day, code) if day.year in DATE_YEARS else None


# --- writing --------------------------------------------------------------------------------------

Value = str | float | None
MAX_CHOICES = 255  # characters of a drop-down's list, Excel's own limit
WRITTEN_ON = datetime(2023, 1, 1)  # noqa: DTZ001 - the same rows give the same file


class ColumnOut(Struct, frozen=True):
    """A column to write. `text` keeps digits as they are typed, `choices` make a drop-down."""

    heading: str
    text: bool = False
    choices: tuple[str, ...] = ()
    locked: bool = False


class SheetOut(Struct, frozen=True):
    """A sheet to write. Strings stay strings whatever they look like; None is an empty cell.

    `marks` highlights cells, by (index of the row, index of the column), each with a comment.
    `spare_rows` below the rows carry the text formats and drop-downs too, to be filled in. With
    `protect`, the rows' cells in `locked` columns cannot be changed; all below them can.
    """

    name: str
    columns: tuple[ColumnOut, ...]
    rows: Sequence[Sequence[Value]] = ()
    title: str | None = None
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    spare_rows: int = 0
    protect: bool = False


def write_workbook(path: Path, sheets: Sequence[SheetOut]) -> None:
    """Write an .xlsx in which no cell is or can become a formula."""
    import xlsxwriter  # here, so that the reading child starts without it

    book = xlsxwriter.Workbook(path, {"in_memory": True})
    book.set_properties({"created": WRITTEN_ON})
    formats = _Formats(book)
    for sheet in sheets:
        _write_sheet(book.add_worksheet(sheet.name), sheet, formats)
    close(book, path)


def close(book: "xlsxwriter.Workbook", path: Path) -> None:
    """Puts the workbook on the disk. Raises BadFile where it cannot be written."""
    from xlsxwriter.exceptions import FileCreateError

    try:
        book.close()
    except FileCreateError as error:
        raise _unwritable(path) from error


class Mark(Struct, frozen=True):
    """Why a cell is coloured, as a comment; a fault is red, another reading yellow."""

    comment: str
    is_fault: bool


class MarkedSheet(Struct, frozen=True):
    """A sheet to write again as it was read, with `notes` in a column of its own at the end."""

    sheet: Sheet
    marks: Mapping[tuple[int, int], Mark]
    notes: Mapping[int, str]
    heading: str
    heading_row: int


MAX_COMMENTS = 2_000  # in a sheet; a cell's colour and the row's note say the same
RESERVED_IN_NAMES = re.compile(r"[\[\]:*?/\\]")


def write_marked(path: Path, book: Book, marked: Sequence[MarkedSheet], summary: SheetOut) -> None:
    """Write sheets again as they were read, marked, and a summary behind them.

    Formulas and error values come back as the texts they are.
    """
    import xlsxwriter

    target = xlsxwriter.Workbook(path, {"in_memory": True})
    target.set_properties({"created": WRITTEN_ON})
    formats = _Formats(target)
    taken = {summary.name.casefold()}
    for one in marked:
        worksheet = target.add_worksheet(_free_name(one.sheet.name or "台账", taken))
        _write_marked_sheet(worksheet, one, formats, book.date_1904)
    _write_sheet(target.add_worksheet(summary.name), summary, formats)
    close(target, path)


def _free_name(name: str, taken: set[str]) -> str:
    """A name that a workbook can give a sheet and that none has yet."""
    stem = RESERVED_IN_NAMES.sub("_", plain_text(name)).strip("' ")[:27] or "台账"
    names = (stem if number == 1 else f"{stem}_{number}" for number in count(1))
    found = next(n for n in names if n.casefold() not in taken and n.casefold() != "history")
    taken.add(found.casefold())
    return found


def _write_marked_sheet(
    worksheet: "xlsxwriter.worksheet.Worksheet",
    marked: MarkedSheet,
    formats: "_Formats",
    date_1904: bool,
) -> None:
    widths: dict[int, int] = {}
    comments = 0
    filled = {(row, column) for row, cells in marked.sheet.rows.items() for column in cells}
    for row, column in sorted(filled | marked.marks.keys()):
        cell = marked.sheet.rows.get(row, {}).get(column)
        mark = marked.marks.get((row, column))
        _write_read_cell(worksheet, (row, column), cell, formats.read(cell, mark), date_1904)
        if mark is not None and comments < MAX_COMMENTS:
            worksheet.write_comment(row - 1, column - 1, plain_text(mark.comment))
            comments += 1
        shown = 0 if cell is None else display_width(str(cell.value))
        widths[column] = max(widths.get(column, 0), shown)
    for column, width in widths.items():
        worksheet.set_column(column - 1, column - 1, min(max(width + 2, 8), 30))
    last = max(widths, default=0)
    worksheet.set_column(last, last, 60)
    worksheet.write_string(max(marked.heading_row - 1, 0), last, marked.heading, formats.heading)
    for row, note in marked.notes.items():
        worksheet.write_string(row - 1, last, plain_text(note)[:MAX_CELL_TEXT], formats.note)
    worksheet.freeze_panes(marked.heading_row, 0)
    worksheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})


def _write_read_cell(
    worksheet: "xlsxwriter.worksheet.Worksheet",
    place: tuple[int, int],
    cell: Cell | None,
    shape: "xlsxwriter.format.Format",
    date_1904: bool,
) -> None:
    row, column = place[0] - 1, place[1] - 1
    match cell:
        case None:
            worksheet.write_blank(row, column, None, shape)
        case Cell(value=bool() as truth):
            worksheet.write_boolean(row, column, truth, shape)
        case Cell(value=str() as text):
            worksheet.write_string(row, column, plain_text(text), shape)
        case Cell(kind=kind, value=int() | float() as number):
            later = date_1904 and kind is CellKind.DATE
            number += (EPOCH_1904 - EPOCH_1900).days if later else 0
            worksheet.write_number(row, column, number, shape)


ReportCell = str | float | date | None


class ReportColumn(Struct, frozen=True):
    """A column of a report; `shape` is the number format of its figures.

    `choices` make a drop-down, where the page is one to be filled in.
    """

    heading: str
    width: int
    shape: str = "0"
    choices: tuple[str, ...] = ()


class ReportRow(Struct, frozen=True):
    """A row of a report; a subtotal stands out."""

    cells: tuple[ReportCell, ...]
    is_sum: bool = False


class ReportSheet(Struct, frozen=True):
    """A page for the desk: title, whose it is and as of when, the table, notes below.

    `line_height` is a row's least height in points: to write by hand takes more than to read.
    """

    name: str
    title: str
    left: str
    right: str
    columns: tuple[ReportColumn, ...]
    rows: Sequence[ReportRow]
    note: str = ""
    line_height: int = 16


def write_report(path: Path, sheets: Sequence[ReportSheet]) -> None:
    """Write pages to print: A4 across, as wide as the page, headings on every one, no formula."""
    import xlsxwriter

    book = xlsxwriter.Workbook(path, {"in_memory": True})
    book.set_properties({"created": WRITTEN_ON})
    shapes = _ReportShapes(book)
    taken: set[str] = set()
    for sheet in sheets:
        worksheet = book.add_worksheet(_free_name(sheet.name, taken))
        _write_report_sheet(worksheet, sheet, shapes)
    close(book, path)


class _ReportShapes:
    """The formats of a report, made when they are first asked for."""

    def __init__(self, book: "xlsxwriter.Workbook") -> None:
        self._book = book
        self._made: dict[tuple[str, bool], xlsxwriter.format.Format] = {}
        page = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}
        table = {**page, "border": 1, "align": "center", "text_wrap": True}
        self._table = table
        self.title = book.add_format({**page, "bold": True, "font_size": 16, "align": "center"})
        self.left = book.add_format({**page, "align": "left"})
        self.right = book.add_format({**page, "align": "right"})
        self.heading = book.add_format({**table, "bold": True, "bg_color": "#DDEBF7"})

    def cell(self, shape: str, *, is_sum: bool) -> "xlsxwriter.format.Format":
        if (shape, is_sum) not in self._made:
            strong = {"bold": True, "bg_color": "#F2F2F2"} if is_sum else {}
            self._made[shape, is_sum] = self._book.add_format(
                {**self._table, "num_format": shape, **strong}
            )
        return self._made[shape, is_sum]


REPORT_HEADER = 2  # the row of the headings, from 0


def _write_report_sheet(
    worksheet: "xlsxwriter.worksheet.Worksheet", sheet: ReportSheet, shapes: _ReportShapes
) -> None:
    last = len(sheet.columns) - 1
    worksheet.merge_range(0, 0, 0, last, "", shapes.title)
    worksheet.write_string(0, 0, sheet.title, shapes.title)
    worksheet.set_row(0, 30)
    worksheet.write_string(1, 0, sheet.left, shapes.left)
    worksheet.write_string(1, last, sheet.right, shapes.right)
    worksheet.set_row(REPORT_HEADER, 30)
    for index, column in enumerate(sheet.columns):
        worksheet.set_column(index, index, column.width)
        worksheet.write_string(REPORT_HEADER, index, column.heading, shapes.heading)
    for number, row in enumerate(sheet.rows, start=REPORT_HEADER + 1):
        # Not every program grows a row to what is wrapped in it.
        lines = max(
            -(-display_width(value) // (column.width - 1))
            for column, value in zip(sheet.columns, ("", *row.cells[1:]), strict=True)
            if isinstance(value, str)
        )
        worksheet.set_row(number, max(16 * max(lines, 1), sheet.line_height))
        for index, (column, value) in enumerate(zip(sheet.columns, row.cells, strict=True)):
            match value:
                case None:
                    worksheet.write_blank(number, index, None, shapes.cell("@", is_sum=row.is_sum))
                case str():
                    shape = shapes.cell("@", is_sum=row.is_sum)
                    worksheet.write_string(number, index, value, shape)
                case date():
                    shape = shapes.cell("yyyy-mm-dd", is_sum=row.is_sum)
                    worksheet.write_number(number, index, (value - EPOCH_1900).days, shape)
                case _:
                    shape = shapes.cell(column.shape, is_sum=row.is_sum)
                    worksheet.write_number(number, index, value, shape)
    below = REPORT_HEADER + 1 + len(sheet.rows)
    for number, line in enumerate(sheet.note.split("\n"), start=below):
        worksheet.write_string(number, 0, line, shapes.left)
    for index, column in enumerate(sheet.columns):
        if column.choices and sheet.rows:
            choices = {"validate": "list", "source": list(column.choices)}
            worksheet.data_validation(REPORT_HEADER + 1, index, below - 1, index, choices)
    worksheet.freeze_panes(REPORT_HEADER + 1, 0)
    worksheet.repeat_rows(0, REPORT_HEADER)
    worksheet.set_landscape()
    worksheet.set_paper(9)
    worksheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    worksheet.fit_to_pages(1, 0)
    worksheet.center_horizontally()
    worksheet.set_footer("&C第 &P 页 共 &N 页")


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises UsageFault where writing would take the place of a file that says something."""
    if path.is_file() and path.stat().st_size > 0 and not force:
        raise UsageFault(
            f"{plain_text(path.name)} 已存在",
            place=plain_text(str(path)),
            remedy="换一个文件名，或加 --force 覆盖它",
        )


def write_csv(
    path: Path,
    columns: Sequence[ColumnOut],
    rows: Sequence[Sequence[Value]],
    *,
    title: str | None = None,
) -> None:
    """Write a .csv, marked as UTF-8; a `'` stands before what would start a formula."""
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            if title is not None:
                writer.writerow([title])
            writer.writerow([column.heading for column in columns])
            for row in rows:
                writer.writerow(
                    [_with_prefix(value) if isinstance(value, str) else value for value in row]
                )
    except OSError as error:
        raise _unwritable(path) from error


def display_width(text: str) -> int:
    """The columns a text takes on a screen or a sheet: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _unwritable(path: Path) -> BadFile:
    return BadFile(
        "文件写不出来",
        place=plain_text(str(path)),
        remedy="请核对目录和写入权限，并关闭正在打开它的程序",
    )


class _Formats:
    """The few cell formats there are, by what they must do."""

    def __init__(self, book: "xlsxwriter.Workbook") -> None:
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.heading = book.add_format(
            {
                "bold": True,
                "border": 1,
                "bg_color": "#DDEBF7",
                "text_wrap": True,
                "valign": "vcenter",
            }
        )
        self._cells = {
            (text, locked, marked): book.add_format(
                {
                    "locked": locked,
                    **({"num_format": "@"} if text else {}),
                    **({"bg_color": "#FFC7CE"} if marked else {}),
                }
            )
            for text in (False, True)
            for locked in (False, True)
            for marked in (False, True)
        }

        self.note = book.add_format({"font_color": "#C00000", "text_wrap": True})
        self._read = {
            (kind, fault): book.add_format(
                {
                    **({"num_format": "@"} if kind is CellKind.TEXT else {}),
                    **({"num_format": "yyyy-mm-dd"} if kind is CellKind.DATE else {}),
                    **({} if fault is None else {"bg_color": "#FFC7CE" if fault else "#FFEB9C"}),
                }
            )
            for kind in CellKind
            for fault in (None, False, True)
        }

    def read(self, cell: Cell | None, mark: Mark | None) -> "xlsxwriter.format.Format":
        kind = CellKind.TEXT if cell is None else cell.kind
        return self._read[kind, None if mark is None else mark.is_fault]

    def cell(self, column: ColumnOut, *, marked: bool = False) -> "xlsxwriter.format.Format":
        return self._cells[column.text, column.locked, marked]


PROTECTED = {
    "format_cells": True,
    "format_columns": True,
    "format_rows": True,
    "insert_rows": True,
    "delete_rows": True,
    "sort": True,
    "autofilter": True,
}


def _write_sheet(
    worksheet: "xlsxwriter.worksheet.Worksheet", sheet: SheetOut, formats: _Formats
) -> None:
    header = 0
    if sheet.title is not None:
        worksheet.write_string(0, 0, sheet.title, formats.title)
        header = 1
    first = header + 1
    last = header + len(sheet.rows) + sheet.spare_rows
    for index, column in enumerate(sheet.columns):
        values = (row[index] for row in sheet.rows[:200])
        widest = max(
            [display_width(column.heading), *(display_width(str(value or "")) for value in values)]
        )
        below = formats.cell(replace(column, locked=False))
        worksheet.set_column(index, index, min(max(widest + 2, 8), 48), below)
        worksheet.write_string(header, index, column.heading, formats.heading)
        too_long = len(",".join(column.choices)) > MAX_CHOICES
        if column.choices and not too_long and last >= first:
            worksheet.data_validation(
                first, index, last, index, {"validate": "list", "source": list(column.choices)}
            )
    for number, row in enumerate(sheet.rows):
        for index, value in enumerate(row):
            mark = sheet.marks.get((number, index))
            shape = formats.cell(sheet.columns[index], marked=mark is not None)
            if value is None or value == "":
                worksheet.write_blank(first + number, index, None, shape)
            elif isinstance(value, str):
                if worksheet.write_string(first + number, index, value, shape) != 0:
                    raise ValueError(f"a text longer than a cell can hold, in row {number}")
            else:
                worksheet.write_number(first + number, index, value, shape)
            if mark is not None:
                worksheet.write_comment(first + number, index, mark)
    worksheet.freeze_panes(first, 0)
    worksheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
    if sheet.protect:
        # Against slips of the hand, so without a password; what is not locked can be worked with.
        worksheet.protect("", PROTECTED)


# --- reading: the parent --------------------------------------------------------------------------

REMEDIES = {
    "not_a_workbook": "请用 WPS 或 Excel 打开，另存为 .xlsx 后再报",
    "damaged": "请重新导出，或重新传送这个文件",
    "encrypted": "请去掉打开密码后再报",
    "macros": "请另存为不带宏的 .xlsx 后再报",
    "external_links": "请断开链接、粘贴为数值后再报",
    "xml_forbidden": "请用 WPS 或 Excel 另存为 .xlsx 后再报",
    "too_large": "请把数据复制到空白模板后再报",
    "too_many_sheets": "请只保留台账所在的工作表",
}


class SheetAnswer(TypedDict):
    """One sheet as the child tells it; as many lines follow as there are rows."""

    name: str | None
    hidden: bool
    hidden_rows: list[int]
    merged: list[list[int]]
    rows: int


class Answer(TypedDict, total=False):
    """The first line of what the child says: a refusal, or what follows."""

    code: str
    detail: str
    format: str
    date_1904: bool
    encoding: str | None
    sheets: int


def read(path: Path) -> Book:
    """Everything in a table file that somebody handed in.

    Raises Unreadable with one of the codes of `REMEDIES`, or BadFile where no file can be opened.
    """
    content = _content(path)
    lines = io.BytesIO(_ask_child(content, path))
    answer: Answer = json.loads(lines.readline())
    if "code" in answer:
        raise _unreadable(answer["code"], answer["detail"], path)
    return Book(
        name=plain_text(path.name),
        sha256=hashlib.sha256(content).hexdigest(),
        format=answer["format"],
        sheets=tuple(_sheet_from(lines) for _ in range(answer["sheets"])),
        date_1904=answer["date_1904"],
        encoding=answer["encoding"],
    )


def _sheet_from(lines: io.BytesIO) -> Sheet:
    answer: SheetAnswer = json.loads(lines.readline())
    kinds = {kind.value: kind for kind in CellKind}
    same: dict[tuple[str, str | float | bool], Cell] = {}  # most cells of a ledger repeat
    rows: dict[int, dict[int, Cell]] = {}
    for _ in range(answer["rows"]):
        row, cells = json.loads(lines.readline())
        rows[row] = {}
        for column, kind, value in cells:
            cell = same.get((kind, value))
            if cell is None:
                cell = same[kind, value] = Cell(kinds[kind], value)
            rows[row][column] = cell
    return Sheet(
        name=None if answer["name"] is None else plain_text(answer["name"]),
        rows=rows,
        hidden_rows=frozenset(answer["hidden_rows"]),
        merged=tuple(Range(*merged) for merged in answer["merged"]),
        hidden=answer["hidden"],
    )


def _content(path: Path) -> bytes:
    place = plain_text(str(path))
    if not path.exists():
        raise BadFile("没有这个文件", place=place, remedy="请核对文件名和所在目录")
    if not path.is_file():
        raise BadFile("这不是一个文件", place=place, remedy="请给出文件，而不是目录")
    try:
        if path.stat().st_size > MAX_FILE:
            raise _unreadable("too_large", f"文件大于 {MAX_FILE // MIB} MiB", path)
        return path.read_bytes()
    except OSError as error:
        raise BadFile("文件打不开", place=place, remedy="请核对读取权限") from error


def _unreadable(code: str, detail: str, path: Path) -> Unreadable:
    return Unreadable(detail, place=plain_text(str(path)), remedy=REMEDIES[code], code=code)


def _ask_child(content: bytes, path: Path) -> bytes:
    root = Path(__file__).resolve().parents[1]
    try:
        child = subprocess.run(
            [sys.executable, "-m", "workflow.spreadsheet"],
            input=content,
            capture_output=True,
            cwd=root,
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreadable("too_large", f"{CHILD_SECONDS} 秒内读不完", path) from error
    if child.returncode != 0:
        # Out of memory or time, or a reader that broke down: a killed child answers nothing.
        raise _unreadable("too_large" if child.returncode < 0 else "damaged", "文件读不出来", path)
    return child.stdout


# --- reading: the child ---------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class _Collector:
    """The cells of one sheet on their way out, kept within the limits of the whole book."""

    def __init__(self, name: str | None, budget: "_Budget", *, hidden: bool = False) -> None:
        self.name = name
        self.hidden = hidden
        self.hidden_rows: set[int] = set()
        self.merged: list[list[int]] = []
        self.rows: dict[int, dict[int, tuple[CellKind, str | float | bool]]] = {}
        self._budget = budget

    def put(self, row: int, column: int, kind: CellKind, value: str | float | bool) -> None:
        if isinstance(value, str) and not plain_text(value).strip():
            return
        if row > MAX_ROWS or column > MAX_COLUMNS:
            raise _Refused("too_large", f"{address(row, column)} 处还有内容")
        self._budget.spend(value)
        self.rows.setdefault(row, {})[column] = (kind, value)

    def lines(self) -> Iterator[object]:
        """The sheet as it is told to the parent: itself, then its rows one by one."""
        answer: SheetAnswer = {
            "name": self.name,
            "hidden": self.hidden,
            "hidden_rows": sorted(self.hidden_rows & self.rows.keys()),
            "merged": self.merged,
            "rows": len(self.rows),
        }
        yield answer
        for row in sorted(self.rows):
            yield row, [(column, *cell) for column, cell in sorted(self.rows[row].items())]

    def check_merged(self) -> None:
        """Ranges that do not overlap cannot cover more than the sheet."""
        covered = 0
        for first_row, first, last_row, last in self.merged:
            covered += max(0, min(last_row, MAX_ROWS) - first_row + 1) * max(
                0, min(last, MAX_COLUMNS) - first + 1
            )
        if covered > MAX_ROWS * MAX_COLUMNS or len(self.merged) > MAX_ROWS:
            raise _Refused("too_large", "合并单元格过多")


class _Budget:
    def __init__(self) -> None:
        self._cells = 0
        self._text = 0

    def spend(self, value: str | float | bool) -> None:
        self._cells += 1
        if isinstance(value, str):
            self._text += len(value)
            if len(value) > MAX_CELL_TEXT:
                raise _Refused("too_large", f"有单元格超过 {MAX_CELL_TEXT} 字")
        if self._cells > MAX_CELLS or self._text > MAX_TEXT:
            raise _Refused("too_large", "单元格过多或文字过长")


class _Found(NamedTuple):
    """A book that was read whole; nothing is told of it before that."""

    format: str
    sheets: list[_Collector]
    date_1904: bool = False
    encoding: str | None = None


def _main() -> None:
    _limit_resources()
    for line in _lines(sys.stdin.buffer.read()):
        sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


def _lines(content: bytes) -> Iterator[object]:
    found = _read_or_refuse(content)
    if isinstance(found, _Refused):
        refusal: Answer = {"code": found.code, "detail": found.detail}
        yield refusal
        return
    answer: Answer = {
        "format": found.format,
        "date_1904": found.date_1904,
        "encoding": found.encoding,
        "sheets": len(found.sheets),
    }
    yield answer
    for sheet in found.sheets:
        yield from sheet.lines()


def _read_or_refuse(content: bytes) -> "_Found | _Refused":
    try:
        found = _read_content(content)
        for sheet in found.sheets:
            sheet.check_merged()
    except _Refused as refused:
        return refused
    except MemoryError:
        return _Refused("too_large", "展开后过大")
    except Exception as error:
        # Nobody can list what a broken file makes three parsers raise; here the file is at fault.
        return _Refused("damaged", f"文件内容读不通（{type(error).__name__}）")
    return found


def _limit_resources() -> None:
    if sys.platform == "win32":
        return  # no such limits there; the sizes and the parent's time limit still hold
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_SECONDS, CHILD_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_content(content: bytes) -> _Found:
    if content.startswith(b"PK\x03\x04"):
        return _read_xlsx(content)
    if content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _read_xls(content)
    return _read_csv(content)


# --- .csv -----------------------------------------------------------------------------------------

TEXT_BUT_NO_TABLE = ("<", "%PDF", "{\\rtf")
RISKY = "=+-@\t\r＝＋－＠"


def _read_csv(content: bytes) -> _Found:
    text, encoding = _decode(content)
    sheet = _Collector(None, _Budget())
    try:
        records = csv.reader(io.StringIO(text, newline=""), _dialect(text), strict=True)
        for row, record in enumerate(records, start=1):
            for column, value in enumerate(record, start=1):
                sheet.put(row, column, CellKind.TEXT, _without_prefix(value))
    except csv.Error as error:
        raise _Refused("damaged", "引号不成对，或单元格过长") from error
    return _Found("csv", [sheet], encoding=encoding)


def _decode(content: bytes) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        controls = sum(character < " " and character not in "\t\r\n" for character in text)
        no_table = text.lstrip("\ufeff \t\r\n").startswith(TEXT_BUT_NO_TABLE)
        if no_table or not text.strip() or "\0" in text or controls * 20 > len(text):
            break
        return text, encoding.removesuffix("-sig")
    raise _Refused("not_a_workbook", "内容不是 .xlsx、.xls、.et 或 .csv")


def _dialect(text: str) -> type[csv.Dialect]:
    """The separator that makes most columns of the first lines: `,`, tab or `;`."""
    start = text[:20_000]

    def columns(dialect: type[csv.Dialect]) -> int:
        records = csv.reader(io.StringIO(start, newline=""), dialect)
        return max((len(record) for record, _ in zip(records, range(20), strict=False)), default=0)

    return max((csv.excel, csv.excel_tab, _Semicolon), key=columns)


class _Semicolon(csv.excel):
    delimiter = ";"


def _with_prefix(value: str) -> str:
    """A `'` before what a spreadsheet would take for a formula, and before an earlier such `'`."""
    return "'" + value if value.lstrip("'").startswith(tuple(RISKY)) else value


def _without_prefix(value: str) -> str:
    return value[1:] if value.startswith("'") and _with_prefix(value) != value else value


# --- .xlsx ----------------------------------------------------------------------------------------

DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _read_xlsx(content: bytes) -> _Found:
    parts = _parts(content)
    types = _elements(parts.get("[content_types].xml", b"<none/>"), "Default", "Override")
    workbook_path, relations = _workbook(parts)
    _refuse_macros(parts, types)
    _refuse_links(parts)
    for name, part in parts.items():
        if name.endswith((".xml", ".rels", ".vml")):
            _refuse_forbidden_xml(part)

    listed = _elements(parts[workbook_path], "sheet", "workbookPr")
    entries = [attributes for tag, attributes in listed if tag == "sheet"]
    if len(entries) > MAX_SHEETS:
        raise _Refused("too_many_sheets", f"有 {len(entries)} 个工作表，最多 {MAX_SHEETS} 个")
    date_1904 = any(
        tag == "workbookPr" and attributes.get("date1904") in {"1", "true"}
        for tag, attributes in listed
    )
    by_type = dict(relations.values())
    strings = _shared_strings(parts[by_type["sharedStrings"]]) if "sharedStrings" in by_type else []
    date_styles = _date_styles(parts[by_type["styles"]]) if "styles" in by_type else frozenset()

    budget = _Budget()
    sheets = []
    for entry in entries:
        kind, target = relations[entry["id"]]
        if kind != "worksheet":  # a chart or a dialogue holds no cells
            continue
        hidden = entry.get("state", "visible") != "visible"
        sheet = _Collector(_unescape(entry["name"]), budget, hidden=hidden)
        _SheetReader(sheet, strings, date_styles).read(parts[target])
        sheets.append(sheet)
    return _Found("xlsx", sheets, date_1904)


def _parts(content: bytes) -> dict[str, bytes]:
    """Every part by its lower-case name, sizes checked first and check sums by the way."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise _Refused("damaged", "压缩包不完整") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise _Refused("encrypted", "文件设有密码")
    if len(entries) > MAX_PARTS:
        raise _Refused("too_large", f"内含 {len(entries)} 个部分，最多 {MAX_PARTS} 个")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED or unpacked > max(LARGE_UNPACKED, len(content) * MAX_RATIO):
        raise _Refused("too_large", f"展开后有 {unpacked // MIB} MiB，超出台账应有的大小")
    parts: dict[str, bytes] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/").lstrip("/").casefold()
        if name in parts:
            raise _Refused("damaged", "压缩包内有重名的部分")
        try:
            with archive.open(entry) as part:  # no further than the size that was declared
                parts[name] = part.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _Refused("damaged", "压缩包内大小或校验和不符") from error
    return parts


def _workbook(parts: Mapping[str, bytes]) -> tuple[str, dict[str, tuple[str, str]]]:
    """The workbook's part, and its relations: id -> (last word of the type, part)."""
    roots = _relations(parts, "")
    found = [target for kind, target in roots.values() if kind == "officeDocument"]
    if not found or found[0] not in parts or not _is_workbook(parts[found[0]]):
        raise _Refused("not_a_workbook", "压缩包里没有工作簿")
    relations = {
        key: (kind, target)
        for key, (kind, target) in _relations(parts, found[0]).items()
        if target in parts
    }
    return found[0], relations


def _is_workbook(part: bytes) -> bool:
    _refuse_forbidden_xml(part)
    return bool(_elements(part, "workbook"))


def _relations(parts: Mapping[str, bytes], owner: str) -> dict[str, tuple[str, str]]:
    folder, name = posixpath.split(owner)
    part = parts.get(posixpath.join(folder, "_rels", f"{name}.rels"))
    if part is None:
        return {}
    _refuse_forbidden_xml(part)
    relations = {}
    for _, attributes in _elements(part, "Relationship"):
        target = attributes["Target"].replace("\\", "/").casefold()
        path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        relations[attributes["Id"]] = (posixpath.basename(attributes["Type"]), path)
    return relations


def _refuse_macros(parts: Mapping[str, bytes], types: list[tuple[str, dict[str, str]]]) -> None:
    macro_names = any(name.endswith("vbaproject.bin") or "/macrosheets/" in name for name in parts)
    macro_types = any(
        word in attributes.get("ContentType", "").casefold()
        for _, attributes in types
        for word in ("vbaproject", "macroenabled", "macrosheet")
    )
    if macro_names or macro_types:
        raise _Refused("macros", "文件带有宏")


def _refuse_links(parts: Mapping[str, bytes]) -> None:
    for name, part in parts.items():
        if not name.endswith(".rels"):
            continue
        _refuse_forbidden_xml(part)
        for _, attributes in _elements(part, "Relationship"):
            kind = posixpath.basename(attributes.get("Type", ""))
            # A hyperlink is only text until somebody clicks on it.
            outside = attributes.get("TargetMode") == "External" and kind != "hyperlink"
            if outside or kind in {"externalLink", "connections"}:
                raise _Refused("external_links", "文件链接到其他文件或程序")


def _refuse_forbidden_xml(part: bytes) -> None:
    start = part[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in part[:200] or start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Refused("xml_forbidden", "内部编码不是 UTF-8")
    declared = re.match(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""", start)
    if declared and declared[1].lower() not in {b"utf-8", b"utf8"}:
        raise _Refused("xml_forbidden", "内部编码不是 UTF-8")
    if b"<!DOCTYPE" in part or b"<!ENTITY" in part:
        raise _Refused("xml_forbidden", "内部含有文档类型或实体声明")


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise _Refused("xml_forbidden", "内部含有文档类型或实体声明")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _local(name: str) -> str:
    """A name without its prefix: strict and transitional files differ in nothing else here."""
    return name.rpartition(":")[2]


def _elements(part: bytes, *wanted: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if (tag := _local(name)) in wanted:
            found.append((tag, {_local(key): value for key, value in attributes.items()}))

    parser = _parser()
    parser.StartElementHandler = start
    parser.Parse(part, True)
    return found


def _unescape(text: str) -> str:
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _shared_strings(part: bytes) -> list[str]:
    strings: list[str] = []
    pieces: list[str] = []
    inside: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        inside.append(_local(name))

    def end(name: str) -> None:
        inside.pop()
        if _local(name) == "si":
            strings.append(_unescape("".join(pieces)))
            pieces.clear()

    def text(data: str) -> None:
        if inside[-1] == "t" and "rPh" not in inside:  # rPh: how to pronounce it
            pieces.append(data)

    parser = _parser()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.Parse(part, True)
    return strings


def _date_styles(part: bytes) -> frozenset[int]:
    """The cell styles that show a number as a date."""
    formats: dict[int, str] = {}
    styles: list[int] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        tag = _local(name)
        if tag == "numFmt":
            formats[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif tag == "xf" and inside[-1] == "cellXfs":
            styles.append(int(attributes.get("numFmtId", "0")))
        inside.append(tag)

    def end(_: str) -> None:
        inside.pop()

    parser = _parser()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(part, True)

    def is_date(number: int) -> bool:
        if number not in formats:
            return number in DATE_FORMATS
        shown = re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", formats[number])
        return re.search(r"[yYdD年日]", shown) is not None

    return frozenset(index for index, number in enumerate(styles) if is_date(number))


class _SheetReader:
    """Reads the cells of one sheet part, in one pass."""

    def __init__(
        self, sheet: _Collector, strings: Sequence[str], date_styles: frozenset[int]
    ) -> None:
        self._sheet = sheet
        self._strings = strings
        self._date_styles = date_styles
        self._row = 0
        self._column = 0
        self._type = "n"
        self._style = 0
        self._formula = False
        self._pieces: list[str] = []
        self._formula_pieces: list[str] = []
        self._catching: list[str] | None = None
        self._phonetic = False
        self._filled_by_formula: list[list[int]] = []

    def read(self, part: bytes) -> None:
        parser = _parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(part, True)
        # An array formula is written in its first cell only; the others hold its results.
        for first_row, first_column, last_row, last_column in self._filled_by_formula:
            for row, cells in self._sheet.rows.items():
                for column in cells if first_row <= row <= last_row else ():
                    if first_column <= column <= last_column and cells[column][0] != "f":
                        cells[column] = (CellKind.FORMULA, "=")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name if ":" not in name else _local(name)
        if tag == "c":
            self._start_cell(attributes)
        elif tag in {"v", "t"}:
            self._catching = None if self._phonetic else self._pieces
        elif tag == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._column = 0
            if attributes.get("hidden") in {"1", "true"}:
                self._sheet.hidden_rows.add(self._row)
        elif tag == "f":
            self._formula = True
            self._catching = self._formula_pieces
            if attributes.get("t") in {"array", "dataTable"} and "ref" in attributes:
                self._filled_by_formula.append(_range(attributes["ref"]))
        elif tag == "rPh":
            self._phonetic = True
        elif tag == "mergeCell":
            self._sheet.merged.append(_range(attributes["ref"]))

    def _start_cell(self, attributes: dict[str, str]) -> None:
        if "r" in attributes:
            self._row, self._column = position(attributes["r"])
        else:
            self._column += 1
        self._type = attributes.get("t", "n")
        self._style = int(attributes.get("s", "0"))
        self._formula = False
        self._pieces.clear()
        self._formula_pieces.clear()

    def _text(self, data: str) -> None:
        if self._catching is not None:
            self._catching.append(data)

    def _end(self, name: str) -> None:
        tag = name if ":" not in name else _local(name)
        if tag in {"v", "t", "f"}:
            self._catching = None
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "c":
            self._end_cell()

    def _end_cell(self) -> None:
        text = "".join(self._pieces)
        if self._formula:
            self._put(CellKind.FORMULA, "=" + "".join(self._formula_pieces))
        elif not text:
            return
        elif self._type == "s":
            index = int(text)
            if index < 0:
                raise _Refused("damaged", "共享文字表不完整")
            self._put(CellKind.TEXT, self._strings[index])
        elif self._type in {"str", "inlineStr", "d"}:
            self._put(CellKind.TEXT, _unescape(text))
        elif self._type == "b":
            self._put(CellKind.BOOLEAN, text.strip() in {"1", "true"})
        elif self._type == "e":
            self._put(CellKind.ERROR, text)
        else:
            self._put_number(float(text))

    def _put_number(self, number: float) -> None:
        if not math.isfinite(number):
            self._put(CellKind.ERROR, "#NUM!")
        else:
            is_date = self._style in self._date_styles
            self._put(CellKind.DATE if is_date else CellKind.NUMBER, number)

    def _put(self, kind: CellKind, value: str | float | bool) -> None:
        self._sheet.put(self._row, self._column, kind, value)


def _range(reference: str) -> list[int]:
    first, _, last = reference.replace("$", "").partition(":")
    return [*position(first), *position(last or first)]


# --- .xls, .et ------------------------------------------------------------------------------------

NO_SECTOR = 0xFFFFFFFA  # this and above are marks, not sectors
ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!",
    0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
}  # fmt: skip
CELL_RECORDS = frozenset(
    {0x0006, 0x00BD, 0x00BE, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E}
)
BLANK_RECORDS = frozenset({0x00BE, 0x0201})


class _BookScan(NamedTuple):
    """What calamine does not tell of an .xls: read from its records."""

    date_1904: bool
    sheets: list["_SheetScan"]


class _SheetScan(NamedTuple):
    hidden: bool
    formulas: set[tuple[int, int]]
    errors: dict[tuple[int, int], str]
    hidden_rows: set[int]
    merged: list[list[int]]


def _read_xls(content: bytes) -> _Found:
    stream = _workbook_stream(content)
    scan = _scan_book(stream)
    import python_calamine  # here, so that the other formats start without it

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError as error:
        raise _Refused("encrypted", "文件设有密码") from error
    epoch = EPOCH_1904 if scan.date_1904 else EPOCH_1900
    budget = _Budget()
    sheets = []
    worksheets = [
        entry.name
        for entry in book.sheets_metadata
        if entry.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    for name, marks in zip(worksheets, scan.sheets, strict=True):
        sheet = _Collector(name, budget, hidden=marks.hidden)
        sheet.hidden_rows = marks.hidden_rows
        sheet.merged = marks.merged
        values = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        for row, cells in enumerate(values, start=1):
            for column, value in enumerate(cells, start=1):
                if (row, column) not in marks.formulas and (row, column) not in marks.errors:
                    _put_xls_value(sheet, row, column, value, epoch)
        for row, column in marks.formulas:
            sheet.put(row, column, CellKind.FORMULA, "=")
        for (row, column), error_name in marks.errors.items():
            sheet.put(row, column, CellKind.ERROR, error_name)
        sheets.append(sheet)
    return _Found("xls", sheets, scan.date_1904)


def _put_xls_value(
    sheet: _Collector,
    row: int,
    column: int,
    value: str | float | bool | date | time | timedelta,
    epoch: date,
) -> None:
    match value:
        case str():
            sheet.put(row, column, CellKind.TEXT, value)
        case bool():
            sheet.put(row, column, CellKind.BOOLEAN, value)
        case int() | float():
            sheet.put(row, column, CellKind.NUMBER, float(value))
        case datetime():
            since = value - datetime.combine(epoch, time())
            sheet.put(row, column, CellKind.DATE, since / timedelta(days=1))
        case date():
            sheet.put(row, column, CellKind.DATE, float((value - epoch).days))
        case time():
            since = datetime.combine(epoch, value) - datetime.combine(epoch, time())
            sheet.put(row, column, CellKind.DATE, since / timedelta(days=1))
        case timedelta():
            sheet.put(row, column, CellKind.DATE, value / timedelta(days=1))


def _workbook_stream(content: bytes) -> bytes:
    """The workbook's stream in an OLE compound file, once its directory shows nothing forbidden."""
    streams = _CompoundFile(content)
    names = {name.casefold() for name in streams.directory}
    if names & {"encryptedpackage", "encryptioninfo"}:
        raise _Refused("encrypted", "文件设有密码")
    book = next((name for name in ("Workbook", "Book") if name in streams.directory), None)
    if book is None:
        raise _Refused("not_a_workbook", "不是电子表格")
    if names & {"_vba_project_cur", "_vba_project", "vba"}:
        raise _Refused("macros", "文件带有宏")
    return streams.read(book)


class _CompoundFile:
    """As much of [MS-CFB] as it takes to list the directory and to read one stream."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        shift, mini_shift = struct.unpack_from("<HH", content, 30)
        if shift not in {9, 12} or mini_shift != 6:
            raise _Refused("damaged", "复合文档的文件头不对")
        self._size = 1 << shift
        first_directory, _, self._cutoff, first_mini = struct.unpack_from("<4I", content, 48)
        first_difat = struct.unpack_from("<I", content, 68)[0]
        self._fat = self._read_fat(first_difat)
        self._mini_fat = _words(self._chain(first_mini, self._fat))
        self.directory: dict[str, tuple[int, int]] = {}
        self._mini_stream = b""
        entries = self._chain(first_directory, self._fat)
        for start in range(0, len(entries) - 127, 128):
            self._add_entry(entries[start : start + 128])

    def _add_entry(self, entry: bytes) -> None:
        length, kind = struct.unpack_from("<HB", entry, 64)
        if kind == 0 or not 2 <= length <= 64:
            return
        first, size = struct.unpack_from("<II", entry, 116)
        if kind == 5:
            self._mini_stream = self._chain(first, self._fat)
        self.directory[entry[: length - 2].decode("utf-16-le")] = (first, size)

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        sector = self._content[start : start + self._size]
        if not sector:
            raise _Refused("damaged", "复合文档不完整")
        return sector

    def _read_fat(self, difat_sector: int) -> list[int]:
        sectors = list(struct.unpack_from("<109I", self._content, 76))
        for _ in range(len(self._content) // self._size):
            if difat_sector >= NO_SECTOR:
                break
            *more, difat_sector = _words(self._sector(difat_sector))
            sectors += more
        fat: list[int] = []
        for sector in sectors:
            if sector < NO_SECTOR:
                fat += _words(self._sector(sector))
        return fat

    def _chain(self, sector: int, fat: Sequence[int]) -> bytes:
        pieces: list[bytes] = []
        while sector < NO_SECTOR:
            pieces.append(self._sector(sector))
            if len(pieces) > len(fat):
                raise _Refused("damaged", "复合文档的扇区成环")
            sector = fat[sector]
        return b"".join(pieces)

    def read(self, name: str) -> bytes:
        first, size = self.directory[name]
        if size >= self._cutoff:
            stream = self._chain(first, self._fat)
        else:
            pieces: list[bytes] = []
            while first < NO_SECTOR and len(pieces) <= len(self._mini_fat):
                pieces.append(self._mini_stream[first * 64 : first * 64 + 64])
                first = self._mini_fat[first]
            stream = b"".join(pieces)
        if len(stream) < size:
            raise _Refused("damaged", "复合文档不完整")
        return stream[:size]


def _words(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))


def _records(stream: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """The BIFF records of one substream, nested ones (charts) left out."""
    depth = 0
    while position + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, position)
        body = stream[position + 4 : position + 4 + length]
        position += 4 + length
        if kind in {0x0809, 0x0009, 0x0209, 0x0409}:
            depth += 1
        elif kind == 0x000A:
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1:
            yield kind, body
    raise _Refused("damaged", "工作簿不完整")


def _scan_book(stream: bytes) -> _BookScan:
    date_1904 = False
    places: list[tuple[int, int, int]] = []
    for kind, body in _records(stream, 0):
        if kind == 0x002F:
            raise _Refused("encrypted", "文件设有密码")
        if kind == 0x0022:
            date_1904 = body[:1] == b"\x01"
        elif kind == 0x0085:
            places.append(struct.unpack_from("<IBB", body))
        elif kind == 0x01AE and body[2:4] not in {b"\x01\x04", b"\x01\x3a"}:
            raise _Refused("external_links", "文件链接到其他文件或程序")
    if len(places) > MAX_SHEETS:
        raise _Refused("too_many_sheets", f"有 {len(places)} 个工作表，最多 {MAX_SHEETS} 个")
    if any(sheet_type in {1, 6} for _, _, sheet_type in places):
        raise _Refused("macros", "文件带有宏")
    sheets = [
        _scan_sheet(stream, position, hidden=bool(state & 3))
        for position, state, sheet_type in places
        if sheet_type == 0
    ]
    return _BookScan(date_1904, sheets)


def _scan_sheet(stream: bytes, position: int, *, hidden: bool) -> _SheetScan:
    scan = _SheetScan(hidden, set(), {}, set(), [])
    last_row = last_column = 0
    for kind, body in _records(stream, position):
        if kind in CELL_RECORDS:
            row, column = struct.unpack_from("<HH", body)
            if kind in {0x00BD, 0x00BE}:
                column = struct.unpack("<H", body[-2:])[0]
            if kind not in BLANK_RECORDS:
                last_row, last_column = max(last_row, row + 1), max(last_column, column + 1)
                # calamine lays the whole rectangle out, however little of it is filled.
                if column >= MAX_COLUMNS or last_row * last_column > MAX_CELLS:
                    raise _Refused("too_large", f"{address(row + 1, column + 1)} 处还有内容")
            if kind == 0x0006:
                scan.formulas.add((row + 1, column + 1))
            elif kind == 0x0205 and body[7]:
                scan.errors[row + 1, column + 1] = ERRORS.get(body[6], "#N/A")
        elif kind == 0x0208 and body[12] & 0x20:
            scan.hidden_rows.add(struct.unpack_from("<H", body)[0] + 1)
        elif kind == 0x00E5:
            for start in range(2, len(body) - 7, 8):
                first_row, last_row, first, last = struct.unpack_from("<4H", body, start)
                scan.merged.append([first_row + 1, first + 1, last_row + 1, last + 1])
    return scan


if __name__ == "__main__":
    _main()
