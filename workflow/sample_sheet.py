"""The visit sheet of a sample: printed for the inspectors, handed in again with what they found.

A page for each unit, names masked, no ID, phone, meter or address. It says itself which sample it
is of. Nothing is guessed on the way back: what cannot be read is a fault at its cell.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from states import identity
from states.vocabulary import Found, VisitVerdict, Word
from workflow import spreadsheet
from workflow.errors import BadFile
from workflow.ledger_file import Fault
from workflow.spreadsheet import (
    Book,
    Cell,
    CellKind,
    ReportColumn,
    ReportRow,
    ReportSheet,
    Sheet,
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What was found at one household; `temperature` in °C, None where nobody measured.

    Who could not be visited has a verdict and remarks only. `sheet` and `cells` say where it stood.
    """

    code: str
    on: date
    verdict: VisitVerdict
    heating: Found | None
    stove: Found | None
    kang: Found | None
    temperature: float | None
    remarks: str
    sheet: str | None = field(default=None, compare=False)
    cells: Mapping[str, str] = field(default_factory=dict, compare=False)


class Line(Struct, frozen=True):
    """A household on the sheet; `facilities` is what the ledger says of the old facilities."""

    code: str
    unit: str
    unit_name: str
    village: str
    name: str
    path: str
    state: str
    facilities: str


class Returned(Struct, frozen=True):
    """A sheet that was handed in: the rows that somebody filled in, and what is wrong with any."""

    name: str
    sha256: str
    sample: int | None
    visits: tuple[Visit, ...]
    faults: tuple[Fault, ...]


AnyWord = TypeVar("AnyWord", bound=Word)
YES_NO = (Found.YES, Found.NO)
WHO = (
    ReportColumn("序号", 5),
    ReportColumn("编号", 11),
    ReportColumn("村", 9),
    ReportColumn("户主（单位）", 12),
    ReportColumn("取暖方式", 9),
    ReportColumn("环节", 12),
    ReportColumn("登记的原设施", 16),
)
FILLED: Mapping[str, ReportColumn] = {
    "on": ReportColumn("检查日期", 11),
    "heating": ReportColumn("新取暖正常", 8, choices=tuple(word.label for word in YES_NO)),
    "temperature": ReportColumn("室内温度℃", 8, "0.0"),
    "stove": ReportColumn("旧炉还在", 10, choices=tuple(word.label for word in Found)),
    "kang": ReportColumn("火炕被封", 10, choices=tuple(word.label for word in Found)),
    "verdict": ReportColumn("结论", 8, choices=tuple(word.label for word in VisitVerdict)),
    "remarks": ReportColumn("情况说明", 24),
}
SIGNED = (ReportColumn("检查人签字", 11), ReportColumn("用户签字", 11))
COLUMNS = (*WHO, *FILLED.values(), *SIGNED)
NOTE = (
    "看什么：新取暖现场开机，能不能热；量室内温度；旧炉（暖炉、土锅炉）还在不在；火炕是否被封。"
    "旧炉、火炕填 是、否、无此设施。\n"
    "结论填 合格、不合格、未查到；不合格和未查到须写情况说明，不得写姓名、身份证号和手机号。"
    "未查到的户按不合格计。填好后由审计人员用 xianli audit sample results 交回。"
)
SAMPLE_ID = re.compile(r"抽样编号\D{0,3}([0-9]{1,15})(?![0-9])")
HEADER_WITHIN = 20
TEMPERATURES = (-30, 50)


def write(
    path: Path, sample: int, drawn_on: date, title: str, lines: Sequence[Line], *, drill: bool
) -> None:
    """Write the sheet (.xlsx), a page for each unit. Raises BadFile."""
    by_unit: dict[str, list[Line]] = {}
    for line in lines:
        by_unit.setdefault(line.unit_name, []).append(line)
    mark = "（演练）" if drill else ""
    pages = [
        ReportSheet(
            name=unit,
            title=title + mark,
            left=f"单位：{unit}　抽样编号：{sample}",
            right=f"抽样日期：{drawn_on}",
            columns=COLUMNS,
            rows=[ReportRow((number, *_cells(line))) for number, line in enumerate(mine, start=1)],
            note=NOTE,
            line_height=34,
        )
        for unit, mine in by_unit.items()
    ]
    spreadsheet.write_report(path, pages)


def _cells(line: Line) -> tuple[str | None, ...]:
    who = (line.code, line.village, line.name, line.path, line.state, line.facilities)
    return (*who, *[None] * (len(FILLED) + len(SIGNED)))


# --- back in --------------------------------------------------------------------------------------


def read(path: Path, year: int) -> Returned:
    """Read a sheet that was handed in; `year` completes a day without one.

    Raises BadFile (Unreadable) where the file is no such sheet; faults of its cells are listed.
    """
    book = spreadsheet.read(path)
    faults: list[Fault] = []
    visits: list[Visit] = []
    samples: set[int] = set()
    found = False
    for sheet in book.sheets:
        header = _header(sheet)
        if header is None:
            continue
        found = True
        samples |= _samples(sheet, header.row)
        missing = [c.heading for name, c in FILLED.items() if name not in header.columns.values()]
        if missing:
            message = f"表头缺少：{'、'.join(missing)}；请保留原表头"
            faults.append(Fault(sheet.name, None, "header_not_found", message))
            continue
        for row in _Rows(book, sheet, header, year):
            visits += [row.visit] if row.visit else []
            faults += row.faults
    if not found:
        raise BadFile(
            "没有找到抽查入户表的表头（编号、检查日期、结论……）",
            place=spreadsheet.plain_text(str(path)),
            remedy="请交回 xianli audit sample 生成的入户表，保留标题和表头",
            code="header_not_found",
        )
    if len(samples) > 1:
        told = "、".join(map(str, sorted(samples)))
        faults.append(Fault(None, None, "sample_unclear", f"一个文件里有几次抽样（{told}）的表"))
    elif not samples:
        message = "表上没有抽样编号；请保留标题下的“抽样编号：…”"
        faults.append(Fault(None, None, "sample_unclear", message))
    sample = next(iter(samples)) if len(samples) == 1 else None
    return Returned(book.name, book.sha256, sample, tuple(visits), tuple(faults))


class _Header(Struct, frozen=True):
    row: int
    columns: Mapping[int, str]


def _header(sheet: Sheet) -> _Header | None:
    names = {_plain(column.heading): name for name, column in FILLED.items()}
    names[_plain("编号")] = "code"
    for row in sorted(sheet.rows)[:HEADER_WITHIN]:
        texts = {place: _plain(_shown(cell)) for place, cell in sheet.rows[row].items()}
        columns = {place: names[text] for place, text in texts.items() if text in names}
        if {"code", "verdict"} <= set(columns.values()):
            return _Header(row, columns)
    return None


def _samples(sheet: Sheet, before: int) -> set[int]:
    found = set()
    for row, cells in sheet.rows.items():
        if row < before:
            texts = (unicodedata.normalize("NFKC", _shown(cell)) for cell in cells.values())
            found |= {int(match[1]) for text in texts for match in SAMPLE_ID.finditer(text)}
    return found


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _shown(cell: Cell) -> str:
    if isinstance(cell.value, float) and cell.value.is_integer():
        return str(int(cell.value))
    return spreadsheet.plain_text(str(cell.value)).strip()


class _Rows:
    """The rows below the headings in which somebody wrote."""

    def __init__(self, book: Book, sheet: Sheet, header: _Header, year: int) -> None:
        self._book, self._sheet, self._header, self._year = book, sheet, header, year

    def __iter__(self) -> Iterator["_Row"]:
        for number, cells in sorted(self._sheet.rows.items()):
            named = {
                self._header.columns[place]: (spreadsheet.address(number, place), cell)
                for place, cell in cells.items()
                if place in self._header.columns and _shown(cell)
            }
            if number > self._header.row and named.keys() & FILLED.keys():
                empty = {
                    name: spreadsheet.address(number, place)
                    for place, name in self._header.columns.items()
                }
                yield _Row(self._sheet.name, named, empty, self._year, self._book.date_1904)


class _Row:
    """One row on its way: each cell is read, each fault noted."""

    def __init__(
        self,
        sheet: str | None,
        cells: Mapping[str, tuple[str, Cell]],
        places: Mapping[str, str],
        year: int,
        date_1904: bool,
    ) -> None:
        self.faults: list[Fault] = []
        self._sheet, self._cells, self._places = sheet, cells, places
        code = _plain(self._text("code")).upper()
        if not code:
            self._required("code", "没有编号")
        verdict = self._word("verdict", tuple(VisitVerdict), needed=True)
        on = self._day(year, date_1904)
        seen = verdict is not VisitVerdict.UNSEEN
        heating = self._word("heating", YES_NO, needed=seen)
        stove = self._word("stove", tuple(Found), needed=seen)
        kang = self._word("kang", tuple(Found), needed=seen)
        temperature = self._temperature()
        remarks = self._remarks()
        if verdict in (VisitVerdict.FAIL, VisitVerdict.UNSEEN) and not remarks:
            self._required("remarks", "不合格、未查到须写明情况")
        if verdict is VisitVerdict.PASS and heating is Found.NO:
            message = "新取暖不正常，结论却是合格；请核对后改正其中一格"
            self._fault("verdict", "contradiction", message)
        self.visit: Visit | None = None
        if not self.faults and code and on and verdict:
            self.visit = Visit(
                code, on, verdict, heating, stove, kang, temperature, remarks, sheet, places
            )

    def _fault(self, name: str, code: str, message: str) -> None:
        heading = "编号" if name == "code" else FILLED[name].heading
        place = self._places.get(name)
        self.faults.append(Fault(self._sheet, place, code, f"{heading}：{message}"))

    def _required(self, name: str, message: str) -> None:
        place = self._places.get(name)
        if all(fault.cell != place for fault in self.faults):
            self._fault(name, "required_missing", f"{message}；请补上")

    def _text(self, name: str) -> str:
        if name not in self._cells:
            return ""
        _, cell = self._cells[name]
        if cell.kind in (CellKind.FORMULA, CellKind.ERROR):
            self._fault(name, "formula_cell", "是公式或错误值；请粘贴为数值")
            return ""
        return _shown(cell)

    def _word(self, name: str, words: Sequence[AnyWord], *, needed: bool) -> AnyWord | None:
        text = _plain(self._text(name))
        if needed and not text:
            self._required(name, "没有填")
        found = next((word for word in words if text in (word.label, str(word))), None)
        if text and found is None:
            told = "、".join(word.label for word in words)
            self._fault(name, "bad_value", f"读到{_quoted(text)}；请填 {told} 之一")
        return found

    def _day(self, year: int, date_1904: bool) -> date | None:
        if not self._text("on"):
            self._required("on", "没有填")
            return None
        found = spreadsheet.read_date(self._cells["on"][1], year=year, date_1904=date_1904)
        if found is None:
            told = f"读到{_quoted(self._text('on'))}，不是日期；写作 2024-05-20"
            self._fault("on", "not_a_date", told)
            return None
        return found.value

    def _temperature(self) -> float | None:
        text = _plain(self._text("temperature")).removesuffix("°C").removesuffix("度")
        if not text:
            return None
        low, high = TEMPERATURES
        if not re.fullmatch(r"-?[0-9]{1,2}(\.[0-9]+)?", text) or not low <= float(text) <= high:
            told = f"读到{_quoted(text)}，不是 {low} 到 {high} 之间的度数"
            self._fault("temperature", "bad_value", told)
            return None
        return float(text)

    def _remarks(self) -> str:
        text = self._text("remarks")
        if identity.holds_personal_number(text):
            self._fault("remarks", "personal_number", "含有身份证号或手机号；请删去")
            return ""
        return text


def _quoted(text: str) -> str:
    return "个人号码" if identity.holds_personal_number(text) else f"“{text[:40]}”"
