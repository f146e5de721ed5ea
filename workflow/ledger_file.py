"""A ledger file: from an officer's cells to households, and back.

Only what the file itself can show is judged here; what is already registered is the importer's
business. Nothing is repaired that could be wrong: a reading that is certain is made and listed as a
normalisation, anything else is a fault at the cell that has to be corrected.
"""

import hashlib
import pathlib
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from msgspec import Struct, field
from stdnum.cn import uscc

from states import identity
from states.identity import PersonalData
from states.plan import Plan, Unit
from states.vocabulary import Area, Facility, Kind, Path, Quota, Word
from workflow import spreadsheet
from workflow.spreadsheet import (
    Book,
    Cell,
    CellKind,
    ColumnOut,
    Mark,
    MarkedSheet,
    Sheet,
    SheetOut,
)

HEADINGS: Mapping[str, str] = {
    "code": "编号",
    "unit": "责任单位",
    "village": "村",
    "name": "户主姓名",
    "kind": "户别",
    "area": "区域",
    "path": "取暖方式",
    "id_number": "身份证号",
    "credit_code": "统一社会信用代码",
    "phone": "联系电话",
    "meter": "用电户号",
    "address": "详细地址",
    "building_area": "建筑面积",
    "heating_area": "采暖面积",
    "old_facilities": "原取暖设施",
    "remarks": "备注",
    "quota": "计划类别",
    "version": "版本",
}

# Other usual headings, without blanks. A unit of measure in brackets is left off before the search.
ALIASES: Mapping[str, str] = {
    "code": "户编号 档案编号 台账编号",
    "unit": ("单位 乡镇 乡(镇) 乡镇名称 乡镇(单位) 乡镇/单位 所属乡镇 所在乡镇 责任乡镇 填报单位"),
    "village": "村名 村名称 行政村 行政村名称 所在村 村庄 村(社区) 村/社区 村(居) 社区 村委会",
    "name": (
        "姓名 户主 户名 户主名 用户姓名 用户名称 农户姓名 居民姓名 户主(单位)名称 "
        "户主姓名(单位名称)"
    ),
    "kind": "户类别 户类型 用户类别 用户类型",
    "area": "所在区域 区域类别 区域类型 城乡类别",
    "path": "取暖路径 取暖类型 供暖方式 采暖方式 改造方式 改造类型 清洁取暖方式",
    "id_number": (
        "身份证 身份证号码 身份证件号码 证件号码 公民身份号码 居民身份证号 户主身份证号 "
        "户主身份证号码"
    ),
    "credit_code": "信用代码 社会信用代码 统一信用代码 单位信用代码",
    "phone": "电话 电话号码 手机 手机号 手机号码 联系方式 联系号码 户主电话",
    "meter": ("户号 电表号 电表户号 客户编号 用户编号 用电客户编号 用电户编号 用电编号 供电户号"),
    "address": "地址 住址 家庭住址 家庭地址 房屋地址 居住地址",
    "building_area": "房屋面积 住房面积 房屋建筑面积 建筑总面积",
    "heating_area": "取暖面积 供暖面积 供热面积 实际采暖面积",
    "old_facilities": "原有取暖设施 原取暖方式 原采暖方式 原采暖设施 原供暖设施 原有供暖设施",
    "remarks": "说明 备注说明",
    "quota": "计划类型",
    "version": "版本号",
}

FIELD_OF: Mapping[str, str] = {
    heading: name for name in HEADINGS for heading in (HEADINGS[name], *ALIASES[name].split())
}

REQUIRED = ("unit", "village", "name", "kind", "area", "path")
REQUIRED_COLUMNS = (*REQUIRED, "id_number")
IDENTIFIERS = frozenset({"code", "id_number", "credit_code", "phone", "meter"})
COMPACT = IDENTIFIERS | {"unit", "village", "kind", "area", "path", "quota", "version"}
FIGURES = frozenset({"building_area", "heating_area"})
PERSONAL = ("name", "id_number", "credit_code", "phone", "meter", "address", "remarks")
LOCKED = frozenset({"code", "unit", "old_facilities", "version"})  # no ledger ever changes these
AREA_LIMIT = 100_000  # square metres; from here on it is a slip of the pen

FACILITY_WORDS: Mapping[str, Facility] = {
    **{facility.label: facility for facility in Facility},
    "炕": Facility.KANG,
    "土炕": Facility.KANG,
    "煤炉": Facility.STOVE,
    "炉子": Facility.STOVE,
    "锅炉": Facility.BOILER,
    "小锅炉": Facility.BOILER,
    "燃煤锅炉": Facility.BOILER,
    "没有": Facility.NONE,
}

ERROR_TEXTS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"})
SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+|[0-9]{15,}\.0*")
FIGURE = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?")
SUBTOTAL = re.compile(r".{0,12}(小计|合计|总计|共计|累计)[::]?[0-9]*户?")
NOTE = re.compile(
    r"(注|备注|说明|填表|制表|填报|报送|审核|审批|负责人|经办人|联系人|单位负责人|附件|日期).*"
    r"|第.{1,4}页.*|.*(台账|盖章\)?|签字\)?)"
)
RUNNING_NUMBER = re.compile(r"[0-9]{1,5}")  # in 编号; a case's code is never digits alone
NOTHING = frozenset({"/", "\\", "-", "--", "—", "——", "无", "暂无"})  # people's word for empty
NO_BREAK_BLANKS = "\u00a0\u2007\u202f"
HALF_WIDTH = {
    code: code - 0xFEE0
    for first, last in ("０９", "ＡＺ", "ａｚ")
    for code in range(ord(first), ord(last) + 1)
}


class Fault(Struct, frozen=True):
    """Why a ledger is refused, at the cell that has to be corrected.

    `message` says what was read and what to do, with personal numbers masked; `read` is the cell's
    own content, that of the ledger's column `field` where it stands in one. All are free of control
    characters.
    """

    sheet: str | None
    cell: str | None
    code: str
    message: str
    read: str | None = None
    field: str | None = None


class Normalisation(Struct, frozen=True):
    """What was read otherwise than it stands there; never a reason to refuse.

    Where a number became a text or a text a number, `read` and `value` are of these types.
    """

    sheet: str | None
    cell: str | None
    code: str
    read: str | float
    value: str | float
    field: str | None = None


class LedgerRow(Struct, frozen=True):
    """One household. `unit` is the unit's code.

    `masked` names the personal fields that are to stay as they are: only in a row with `code` and
    `version`. `columns` says where each field stands, so that later faults can name the cell.
    """

    sheet: str | None
    row: int
    code: str | None
    version: int | None
    unit: str
    village: str
    path: Path
    kind: Kind
    area: Area
    quota: Quota
    building_area: float | None
    heating_area: float | None
    old_facilities: tuple[Facility, ...]
    personal: PersonalData
    masked: frozenset[str] = frozenset()
    columns: Mapping[str, int] = field(default_factory=dict)

    def place(self, name: str) -> str | None:
        """The cell of a field, None where the file has no such column."""
        column = self.columns.get(name)
        return None if column is None else spreadsheet.address(self.row, column)


class LedgerFile(Struct, frozen=True):
    """What a file holds. `rows` leaves out those with faults, `rows_read` counts them."""

    name: str
    sha256: str
    rows: tuple[LedgerRow, ...]
    rows_read: int
    faults: tuple[Fault, ...]
    normalisations: tuple[Normalisation, ...]


def read(path: pathlib.Path, plan: Plan) -> LedgerFile:
    """Read a ledger in whatever of the known shapes it comes.

    Raises BadFile where there is no file to open; all else that is wrong with it is a fault.
    """
    try:
        book = spreadsheet.read(path)
    except spreadsheet.Unreadable as error:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        fault = Fault(None, None, error.code, f"{error.message}；{error.remedy}")
        return LedgerFile(spreadsheet.plain_text(path.name), digest, (), 0, (fault,), ())
    return _Reading(book, plan).file()


def annex_faults(
    rows: Sequence[LedgerRow], already: Mapping[tuple[str, Path, Kind, Area], int], plan: Plan
) -> list[Fault]:
    """Where these new rows would take planned households past the annex.

    `already` counts the planned cases that are registered and not closed. Rows with a 编号 are no
    new households and count for nothing here.
    """
    new = Counter(
        (row.unit, row.path, row.kind, row.area)
        for row in rows
        if row.quota is Quota.PLANNED and row.code is None
    )
    after = Counter(already)
    after.update(new)
    faults = []
    for unit in plan.units:
        mine = [key for key in new if key[0] == unit.code]
        for task in unit.tasks:
            if any(task.covers(*key[1:]) for key in mine):
                households = sum(
                    count
                    for (code, path, kind, area), count in after.items()
                    if code == unit.code and task.covers(path, kind, area)
                )
                group = f"{unit.name} {task.path.label}"
                group += "".join(f" {word.label}" for word in (task.kind, task.area) if word)
                faults += _past_annex(group, households, task.households)
        for path, kind in dict.fromkeys((path, kind) for _, path, kind, _ in mine):
            households = sum(
                count
                for key, count in after.items()
                if key[:3] == (unit.code, path, kind)
                and not any(task.covers(*key[1:]) for task in unit.tasks)
            )
            faults += _past_annex(f"{unit.name} {path.label} {kind.label}", households, 0)
    return faults


def _past_annex(group: str, households: int, limit: int) -> list[Fault]:
    if households <= limit:
        return []
    message = (
        f"{group}：附件任务 {limit} 户，导入后有 {households} 户；"
        "请核对，确属计划外的在“计划类别”一列填“超计划”或“结转”"
    )
    return [Fault(None, None, "annex_exceeded", message, f"{group} {households} > {limit}")]


# --- the table in the sheet -----------------------------------------------------------------------


class _Header(Struct, frozen=True):
    """Where a sheet's headings stand: the rows they take, and the column of each field."""

    first_row: int
    last_row: int
    columns: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        return [name for name in REQUIRED_COLUMNS if name not in self.columns]


HEADER_WITHIN = 40  # rows from the top, titles and notes to the filler-in included
HEADER_DEPTH = 3


def _is_guide(sheet: Sheet) -> bool:
    """Whether it is our own page of advice: nobody needs to be told that it holds no household."""
    lines = [cell.value for row in sorted(sheet.rows) for cell in sheet.rows[row].values()]
    return sheet.name == GUIDE and lines == [GUIDE, *_ADVICE]


def _find_header(sheet: Sheet) -> _Header | None:
    """The rows that name most of the ledger's fields; None where no rows name enough of them."""
    best: _Header | None = None
    for last_row in sorted(sheet.rows)[:HEADER_WITHIN]:
        for first_row in range(last_row, max(0, last_row - HEADER_DEPTH), -1):
            columns = _columns(sheet, first_row, last_row)
            # Of equals the first is the best: others swallow a title or a household, or repeat it.
            if best is None or len(columns) > len(best.columns):
                best = _Header(first_row, last_row, columns)
    if best is None or "name" not in best.columns or len(best.columns) < 5:
        return None
    return best if best.columns.keys() & {"path", "id_number", "meter"} else None


def _columns(sheet: Sheet, first_row: int, last_row: int) -> dict[str, int]:
    """The field's columns; the lower heading speaks for a column, the official one for a field."""
    columns: dict[str, int] = {}
    official: set[str] = set()
    fields: dict[int, tuple[str, str]] = {}
    for row in range(first_row, last_row + 1):
        for column, cell in sheet.rows.get(row, {}).items():
            if found := _field_of(cell):
                fields[column] = found, _heading_key(cell)
    for column, (name, heading) in sorted(fields.items()):
        is_official = heading == HEADINGS[name]
        if name not in columns or (is_official and name not in official):
            columns[name] = column
        if is_official:
            official.add(name)
    return columns


def _heading_key(cell: Cell) -> str:
    if cell.kind is not CellKind.TEXT or len(str(cell.value)) > 40:
        return ""
    narrow = unicodedata.normalize("NFKC", spreadsheet.plain_text(str(cell.value)))
    return "".join(narrow.split()).strip("*:")


def _field_of(cell: Cell) -> str | None:
    heading = _heading_key(cell)
    return FIELD_OF.get(heading) or FIELD_OF.get(re.sub(r"\([^()]*\)$", "", heading))


def _shown(cell: Cell) -> str:
    """The content of a cell as somebody would read it, fit for a message."""
    match cell.value:
        case str():
            return spreadsheet.plain_text(cell.value)[:80]
        case bool():
            return "TRUE" if cell.value else "FALSE"
        case int() | float() as number:
            whole = number == int(number) and abs(number) < 1e15
            return str(int(number)) if whole else f"{number:.15g}"


def _is_error_text(value: str | float | bool) -> bool:
    """Whether a text is what a spreadsheet shows in place of a result."""
    if not isinstance(value, str) or "#" not in value:
        return False
    return spreadsheet.plain_text(value).strip() in ERROR_TEXTS


def _number(number: float) -> float:
    """A whole number without its `.0`, as a person would write it."""
    return int(number) if number.is_integer() else number


def _label(cell: Cell) -> str:
    if cell.kind is not CellKind.TEXT:
        return ""
    shown = _shown(cell)
    return shown if _is_bare(shown) else _compact(shown)


# Most texts of a ledger stand in it a hundred times.
@lru_cache(maxsize=10_000)
def _compact(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _is_bare(text: str) -> bool:
    """Whether it is of letters and figures of ASCII alone: then there is nothing to clean."""
    return text.isascii() and text.isalnum()


AnyWord = TypeVar("AnyWord", bound=Word)


def _repeats(headings: Mapping[int, Collection[str]], labels: Mapping[int, str]) -> bool:
    """Whether a row says again what the headings say, in the same columns."""
    same = sum(
        bool(label) and label in headings.get(column, ()) for column, label in labels.items()
    )
    return same >= 2 and same * 2 >= len(labels)


class _Reading:
    """One file on its way from cells to households."""

    def __init__(self, book: Book, plan: Plan) -> None:
        self.plan = plan
        self.faults: list[Fault] = []
        self.normalisations: list[Normalisation] = []
        self._book = book
        self._rows: list[LedgerRow | None] = []
        self._seen: dict[tuple[str, ...], _Standing] = {}

    @property
    def date_1904(self) -> bool:
        return self._book.date_1904

    @property
    def is_typed(self) -> bool:
        """Whether the file knows numbers from texts."""
        return self._book.format != "csv"

    def file(self) -> LedgerFile:
        headers = {index: _find_header(sheet) for index, sheet in enumerate(self._book.sheets)}
        found = {index: header for index, header in headers.items() if header is not None}
        whole = {index: header for index, header in found.items() if not header.missing}
        if not found:
            wanted = "、".join(HEADINGS[name] for name in REQUIRED_COLUMNS)
            message = f"没有找到台账表头；表头须有：{wanted}。可用 ledger template 取空白模板"
            self.faults.append(Fault(None, None, "header_not_found", message))
        elif self._book.encoding not in (None, "utf-8"):
            encoding = str(self._book.encoding)
            self.normalisations.append(Normalisation(None, None, "encoding_detected", "", encoding))
        for index, sheet in enumerate(self._book.sheets):
            header = (whole or found).get(index)
            if header is not None:
                self._read_sheet(sheet, header)
            elif sheet.rows and found and not _is_guide(sheet):
                name = sheet.name or ""
                self.normalisations.append(
                    Normalisation(sheet.name, None, "sheet_ignored", name, "")
                )
        return LedgerFile(
            name=self._book.name,
            sha256=self._book.sha256,
            rows=tuple(row for row in self._rows if row is not None),
            rows_read=len(self._rows),
            faults=tuple(sorted(self.faults, key=self._position)),
            normalisations=tuple(self.normalisations),
        )

    def _position(self, fault: Fault) -> tuple[int, int, int]:
        sheets = [sheet.name for sheet in self._book.sheets]
        if fault.cell is None:
            return 0, 0, 0
        return sheets.index(fault.sheet), *spreadsheet.position(fault.cell)

    def _read_sheet(self, sheet: Sheet, header: _Header) -> None:
        self._note_headings(sheet, header)
        if sheet.hidden:
            self.normalisations.append(
                Normalisation(sheet.name, None, "hidden_row_read", sheet.name or "", "")
            )
        households = dict(self._household_rows(sheet, header))
        covered = self._merged_cells(sheet, header, list(households))
        for row, cells in households.items():
            if row in sheet.hidden_rows:
                self._normal(sheet, row, min(cells), "hidden_row_read", "")
            household = _Household(self, sheet.name, row, cells, header.columns, covered)
            self._find_twins(household, _Standing(sheet.name, row))
            self._rows.append(household.row())

    def _normal(self, sheet: Sheet, row: int, column: int, code: str, value: str) -> None:
        place = spreadsheet.address(row, column)
        read = _shown(sheet.rows[row][column])
        self.normalisations.append(Normalisation(sheet.name, place, code, read, value))

    def _note_headings(self, sheet: Sheet, header: _Header) -> None:
        fields = {column: name for name, column in header.columns.items()}
        rows = range(header.first_row, header.last_row + 1)
        lowest = {column: row for row in rows for column in sheet.rows.get(row, ())}
        groups = {
            column
            for first_row, first, last_row, last in sheet.merged
            if header.first_row <= first_row <= last_row < header.last_row
            for column in range(first, last + 1)
        }
        for column, row in sorted(lowest.items()):
            name = fields.get(column)
            if name is None:
                if column not in groups:
                    self._normal(sheet, row, column, "column_ignored", "")
                continue
            row = max(
                row
                for row in rows
                if column in sheet.rows.get(row, ()) and _field_of(sheet.rows[row][column]) == name
            )
            if sheet.rows[row][column].value != HEADINGS[name]:
                self._normal(sheet, row, column, "heading_alias", HEADINGS[name])
        for name in header.missing:
            message = f"表头缺少“{HEADINGS[name]}”一列；请补上这一列再报"
            place = spreadsheet.address(header.first_row, min(header.columns.values()))
            self.faults.append(Fault(sheet.name, place, "required_missing", message))

    def _household_rows(
        self, sheet: Sheet, header: _Header
    ) -> Iterator[tuple[int, Mapping[int, Cell]]]:
        """The rows that are neither blank nor a subtotal, a repeated heading or a note."""
        headings: dict[int, set[str]] = {}
        for above in range(header.first_row, header.last_row + 1):
            for place, cell in sheet.rows.get(above, {}).items():
                headings.setdefault(place, set()).add(_label(cell))
        used = set(header.columns.values())
        wide = {
            merged.first_row: merged.first_column
            for merged in sheet.merged
            if merged.last_column - merged.first_column >= 2
        }
        heading_above = 0
        for row, cells in sheet.rows.items():
            if row <= header.last_row or not cells.keys() & used:
                continue
            labels = {column: _label(cell) for column, cell in cells.items()}
            if _repeats(headings, labels):
                if row != heading_above + 1:
                    self._normal(sheet, row, min(cells), "repeated_header_skipped", "")
                heading_above = row
            elif column := self._no_household(cells, labels, header.columns, wide.get(row)):
                self._normal(sheet, row, column, "subtotal_skipped", "")
            else:
                yield row, cells

    @staticmethod
    def _no_household(
        cells: Mapping[int, Cell],
        labels: Mapping[int, str],
        columns: Mapping[str, int],
        wide: int | None,
    ) -> int | None:
        """The column that says this row is a subtotal, a note or a title; None for a household."""
        if len(labels.get(columns.get("id_number", 0), "")) >= 15:
            return None
        long_texts = {columns.get("remarks"), columns.get("address")}
        for column, label in sorted(labels.items()):
            if column not in long_texts and SUBTOTAL.fullmatch(label):
                return column
        first = min(cells)
        if list(cells) == [wide]:
            return first
        if len(cells) <= 3 and all(NOTE.fullmatch(label) for label in labels.values()):
            return first
        figures = {columns.get(name) for name in FIGURES}
        mapped = cells.keys() & set(columns.values())
        # Sums without a label, or formulas drawn down over rows that nobody has filled in.
        if all(column in figures or cells[column].kind is CellKind.FORMULA for column in mapped):
            return first
        return None

    def _merged_cells(
        self, sheet: Sheet, header: _Header, rows: Sequence[int]
    ) -> frozenset[tuple[int, int]]:
        """The cells that a merged range leaves empty; each range of data cells is a fault."""
        covered: set[tuple[int, int]] = set()
        fields = {column: name for name, column in header.columns.items()}
        used = sorted(fields)
        for first_row, first, last_row, last in sheet.merged:
            columns = used[bisect_left(used, first) : bisect_left(used, last + 1)]
            inside = rows[bisect_left(rows, first_row) : bisect_left(rows, last_row + 1)]
            if not columns or not inside or last_row <= header.last_row:
                continue
            covered.update((row, column) for row in inside for column in columns)
            cell = sheet.rows.get(first_row, {}).get(first)
            self.faults.append(
                Fault(
                    sheet.name,
                    spreadsheet.address(first_row, first),
                    "merged_cells",
                    "数据行里有合并单元格；请取消合并，并在每一行填写",
                    None if cell is None else _shown(cell),
                    fields.get(first),
                )
            )
        return frozenset(covered)

    def _find_twins(self, household: "_Household", here: "_Standing") -> None:
        twins = set()
        for key in household.matches():
            first = self._seen.setdefault(key, here)
            if first != here and first not in twins:
                twins.add(first)
                household.fault_duplicate(key[0], first)


class _Standing(NamedTuple):
    """Where a household stands in the file."""

    sheet: str | None
    row: int


class _Household:
    """One row on its way: every cell is read, every fault noted, before anything is decided."""

    def __init__(
        self,
        reading: _Reading,
        sheet: str | None,
        row: int,
        cells: Mapping[int, Cell],
        columns: Mapping[str, int],
        covered: frozenset[tuple[int, int]],
    ) -> None:
        self._reading = reading
        self._sheet = sheet
        self._number = row
        self._cells = cells
        self._columns = columns
        self._covered = covered
        self._sound = True
        self._masked: set[str] = set()
        self._at_fault: set[str] = set()
        texts = {name: self._text(name) for name in HEADINGS if name not in FIGURES}
        texts["code"] = self._read_code(texts["code"])
        self._code = texts["code"] or None
        self._version = self._read_version(texts["version"])
        self._texts = {name: self._unless_masked(name, text) for name, text in texts.items()}
        self._unit = self._read_unit(self._texts["unit"])
        self._path = self._read_word("path", Path, "unknown_path")
        self._kind = self._read_word("kind", Kind, "required_missing")
        self._area = self._read_word("area", Area, "required_missing")
        self._quota = self._read_word("quota", Quota, "required_missing") or Quota.PLANNED
        self._texts["id_number"] = self._read_id(self._texts["id_number"])
        self._check_credit_code(self._texts["credit_code"])
        self._figures = {name: self._figure(name) for name in sorted(FIGURES)}
        self._facilities = self._read_facilities(self._texts["old_facilities"])
        for name in REQUIRED:
            self._require(name)
        if identity.holds_personal_number(self._texts["village"]):
            # The village goes into the journal, where nothing can be erased.
            message = "村名中写有身份证号或手机号；请删去"
            self._fault("village", "personal_number", message, None)
        if self._kind is Kind.RESIDENTIAL:
            self._require("id_number")

    def row(self) -> LedgerRow | None:
        """The household, or None where a fault stands in its way."""
        if not (self._sound and self._unit and self._path and self._kind and self._area):
            return None
        return LedgerRow(
            sheet=self._sheet,
            row=self._number,
            code=self._code,
            version=self._version,
            unit=self._unit.code,
            village=self._texts["village"],
            path=self._path,
            kind=self._kind,
            area=self._area,
            quota=self._quota,
            building_area=self._figures["building_area"],
            heating_area=self._figures["heating_area"],
            old_facilities=self._facilities,
            personal=PersonalData(**{name: self._texts[name] for name in PERSONAL}),
            masked=frozenset(self._masked),
            columns=self._columns,
        )

    # What makes this household the same as another row.

    def matches(self) -> Iterator[tuple[str, ...]]:
        """In the order in which households are matched (design, section 5)."""
        for name in ("code", "meter", "id_number"):
            if text := self._texts[name]:
                yield name, text
        if self._texts["name"] and self._texts["address"]:
            yield "name", self._texts["name"], self._texts["address"]

    def fault_duplicate(self, name: str, first: _Standing) -> None:
        where = "" if first.sheet == self._sheet else f"工作表“{first.sheet}”"
        read = identity.mask_field(name, self._texts[name])
        twin = f"读到{read}，与{where}第 {first.row} 行相同；请核对是否重复登记，只留一行"
        if name == "name":
            twin = f"连同详细地址{twin}，确为两户的把地址写到门牌"
        self._fault(name, "duplicate_in_file", twin, self._texts[name])

    # One cell.

    def _fault(self, name: str, code: str, message: str, read: str | None) -> None:
        self._sound = False
        self._at_fault.add(name)
        place = self._place(name)
        message = f"{HEADINGS[name]}：{message}"
        self._reading.faults.append(Fault(self._sheet, place, code, message, read, name))

    def _normal(self, name: str, code: str, read: str | float, value: str | float) -> None:
        self._reading.normalisations.append(
            Normalisation(self._sheet, self._place(name), code, read, value, name)
        )

    def _place(self, name: str) -> str | None:
        column = self._columns.get(name)
        return None if column is None else spreadsheet.address(self._number, column)

    def _cell(self, name: str) -> Cell | None:
        """The field's cell, unless it is empty or holds what is nobody's value."""
        cell = self._cells.get(self._columns.get(name, 0))
        if cell is None:
            return None
        if cell.kind is CellKind.FORMULA:
            self._fault(name, "formula_cell", "单元格里是公式；请粘贴为数值", _shown(cell))
            return None
        if cell.kind is CellKind.ERROR or _is_error_text(cell.value):
            shown = _shown(cell)
            self._fault(name, "error_cell", f"单元格里是错误值 {shown}；请填写正确内容", shown)
            return None
        return cell

    def _text(self, name: str) -> str:
        cell = self._cell(name)
        if cell is None:
            return ""
        if isinstance(cell.value, str):
            text, codes = _clean(name, cell.value)
            for code in codes:
                self._normal(name, code, _shown(cell), text)
        else:
            text = self._number_as_text(name, cell)
        if name in IDENTIFIERS and text in NOTHING:
            return ""
        if name in IDENTIFIERS and SCIENTIFIC.fullmatch(text):
            self._fault(
                name,
                "id_destroyed",
                f"读到{_quoted(text)}，号码已被表格软件变成数字，后几位丢失；请按文本格式重新录入",
                text,
            )
            return ""
        return text

    def _number_as_text(self, name: str, cell: Cell) -> str:
        number = float(cell.value)
        day = None
        if cell.kind is CellKind.DATE and name not in IDENTIFIERS:
            day = spreadsheet.serial_date(number, date_1904=self._reading.date_1904)
        if day is not None:
            text = day.isoformat()
            self._normal(name, "date_serial_parsed", _number(number), text)
            return text
        if name in IDENTIFIERS and abs(number) >= 1e15:
            return f"{number:.14E}"
        text = _shown(cell)
        if name != "version":
            self._normal(name, "number_read_as_text", _number(number), text)
        return text

    def _unless_masked(self, name: str, text: str) -> str:
        hidden = text == identity.MASK if name == "remarks" else identity.is_masked(text)
        if name not in PERSONAL or not hidden:
            return text
        if self._code is not None and self._version is not None:
            self._masked.add(name)
        else:
            code = "id_malformed" if name == "id_number" else "required_missing"
            message = f"读到遮蔽的内容 {text}；没有编号和版本的行请填写完整内容"
            self._fault(name, code, message, text)
        return ""

    def _require(self, name: str) -> None:
        column = self._columns.get(name)
        if column is None:  # said once, at the heading
            self._sound = False
            return
        if self._texts[name] or name in self._masked or name in self._at_fault:
            return
        if (self._number, column) in self._covered:  # said at the merged range
            self._sound = False
            return
        self._fault(name, "required_missing", "没有填写；请补上", None)

    # The fields.

    def _read_code(self, text: str) -> str:
        if RUNNING_NUMBER.fullmatch(text) is None:
            return text
        self._normal("code", "column_ignored", text, "")
        return ""

    def _read_version(self, text: str) -> int | None:
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            self._fault(
                "version",
                "not_a_number",
                f"读到{_quoted(text)}，应为整数；请保留导出时的版本",
                text,
            )
            return None
        return int(text)

    def _read_unit(self, text: str) -> Unit | None:
        if not text:
            return None
        unit = _find_unit(text, self._reading.plan)
        if unit is None:
            message = f"读到{_quoted(text)}，不在实施方案的责任单位中；请按方案填写单位名称"
            self._fault("unit", "unknown_unit", message, text)
        elif text != unit.name:
            self._normal("unit", "unit_alias", text, unit.name)
        return unit

    def _read_word(self, name: str, words: type[AnyWord], code: str) -> AnyWord | None:
        text = self._texts[name].strip("“”\"'‘’")
        if not text:
            return None
        for word in words:
            if text in (word.label, word.value):
                return word
        labels = "、".join(word.label for word in words)
        self._fault(name, code, f"读到{_quoted(text)}；请填 {labels} 之一", text)
        return None

    def _read_id(self, text: str) -> str:
        if not text:
            return ""
        masked = identity.mask_id(text)
        if self._kind is Kind.COLLECTIVE:
            message = f"读到 {masked}，集体户不登记个人身份证号；请清空，改填统一社会信用代码"
            self._fault("id_number", "collective_with_id", message, text)
            return ""
        number = text.upper()
        if number != text:
            self._normal("id_number", "id_lowercase_x", text, number)
        if not identity.is_well_formed(number):
            message = (
                f"读到 {masked}（{len(text)} 位），应为 18 位或 15 位且出生日期有效；请核对证件"
            )
            self._fault("id_number", "id_malformed", message, text)
            return ""
        if len(number) == 15:
            number = identity.to_18(number)
            self._normal("id_number", "id_15_digit_converted", text, number)
        elif not identity.checks_out(number):
            if number.endswith("000"):
                message = f"读到 {masked}，末尾成了 000；请按文本格式重新录入"
                self._fault("id_number", "id_destroyed", message, text)
            else:
                message = f"读到 {masked}，校验码不符；请核对证件"
                self._fault("id_number", "id_check_digit", message, text)
            return ""
        return number

    def _check_credit_code(self, text: str) -> None:
        if not text or uscc.is_valid(text):
            return
        if len(text) == 18:
            message = f"读到{_quoted(text)}，校验码不符；请核对证照"
            self._fault("credit_code", "id_check_digit", message, text)
        else:
            message = f"读到{_quoted(text)}（{len(text)} 位），应为 18 位；请核对证照"
            self._fault("credit_code", "id_malformed", message, text)

    def _figure(self, name: str) -> float | None:
        cell = self._cell(name)
        if cell is None:
            return None
        shown = _shown(cell)
        if isinstance(cell.value, str):
            text, codes = _clean(name, cell.value)
            if not FIGURE.fullmatch(text) or len(text) > 20:
                self._fault(
                    name, "not_a_number", f"读到{_quoted(shown)}，应为数字；请只填平方米数", shown
                )
                return None
            digits = text.replace(",", "")
            number = float(digits)
            # In a CSV everything is text.
            typed = ("text_read_as_number",) if self._reading.is_typed else ()
            for code in (*codes, *typed):
                self._normal(name, code, shown, number if "." in digits else int(digits))
        elif cell.kind is CellKind.NUMBER:
            number = float(cell.value)
        else:
            self._fault(
                name, "not_a_number", f"读到{_quoted(shown)}，应为数字；请只填平方米数", shown
            )
            return None
        if not 0 < number < AREA_LIMIT:
            message = (
                f"读到{_quoted(shown)}，应大于 0、小于 {AREA_LIMIT} 平方米；请核对，没有就空着"
            )
            self._fault(name, "area_out_of_range", message, shown)
            return None
        return round(number, 4)  # 64.09999999999999 was typed as 64.1

    def _read_facilities(self, text: str) -> tuple[Facility, ...]:
        words = [word for word in re.split(r"[、，,;；/／+\s]+", text) if word]
        facilities = [FACILITY_WORDS.get(word) for word in words]
        known = tuple(dict.fromkeys(facility for facility in facilities if facility is not None))
        if len(known) < len(set(facilities)) or (Facility.NONE in known and len(known) > 1):
            labels = "、".join(facility.label for facility in Facility)
            message = f"读到{_quoted(text)}；请填 {labels}，多项用顿号隔开，“无”单独填"
            self._fault("old_facilities", "required_missing", message, text)
            return ()
        return known


def _clean(name: str, raw: str) -> tuple[str, tuple[str, ...]]:
    """The text as it is kept, and the codes that say what was changed."""
    return (raw, ()) if _is_bare(raw) else _cleaned(name, raw)


@lru_cache(maxsize=10_000)
def _cleaned(name: str, raw: str) -> tuple[str, tuple[str, ...]]:
    codes = []
    text = spreadsheet.plain_text(raw)
    if len(text) != len(raw):
        codes.append("control_character")
    if any(blank in text for blank in NO_BREAK_BLANKS):
        codes.append("nbsp_removed")
        text = "".join(" " if character in NO_BREAK_BLANKS else character for character in text)
    if name in COMPACT:
        compact = "".join(text.split())
        if name == "unit" and compact != text and "nbsp_removed" not in codes:
            codes.append("unit_blanks_removed")
        text = compact
    elif name == "name":  # blanks that spread a short name over the width of the column
        text = re.sub(r"(?<=[^\x00-\x7f])\s+(?=[^\x00-\x7f])", "", text.strip())
    else:
        text = text.strip()
    narrow = text
    if name in IDENTIFIERS:
        narrow = "".join(unicodedata.normalize("NFKC", text).split())
    elif name in FIGURES:
        narrow = unicodedata.normalize("NFKC", text).strip()
    elif name != "remarks":
        narrow = text.translate(HALF_WIDTH)
    if narrow != text:
        codes.append("fullwidth_converted")
    return narrow, tuple(codes)


def _quoted(text: str) -> str:
    """What was read, for a message: without the numbers of a person who slipped a column."""
    return "个人号码" if identity.holds_personal_number(text) else f"“{text[:40]}”"


def _find_unit(text: str, plan: Plan) -> Unit | None:
    """By the plan's names, also with the county before and 人民政府 behind, or without 乡, 镇."""
    bare = re.sub("(人民)?政府$", "", text.removeprefix(plan.county))
    for name in (text, bare, bare + "乡", bare + "镇"):
        if (unit := plan.unit(name)) is not None:
            return unit
    return None


# --- writing --------------------------------------------------------------------------------------

SPARE_ROWS = 1_000
# The page of the empty ledger that says how to fill it in: its heading, its lines.
GUIDE = "填表说明"
_ADVICE = (
    "每户一行；集体户填单位名称和统一社会信用代码，不填身份证号。",
    "“编号”留空，由系统编给；已登记的户用 ledger export 导出后修改，保留编号和版本。",
    "责任单位、村、户主姓名、户别、区域、取暖方式必填；居民户还须填身份证号。",
    "身份证号、联系电话、用电户号按文本填写；面积只填数字，单位为平方米。",
    "原取暖设施填 火炕、暖炉、土锅炉、其他 或 无，多项用顿号隔开。",
    "不要合并单元格，不要使用公式；“计划类别”空着即为计划内。",
)


def write_template(path: pathlib.Path, plan: Plan) -> None:
    """Write an empty ledger to fill in, with drop-downs and a page that says how."""
    columns = _columns_out(plan, [name for name in HEADINGS if name != "version"])
    spreadsheet.write_workbook(
        path,
        [
            SheetOut("台账", columns, spare_rows=SPARE_ROWS),
            SheetOut(GUIDE, (ColumnOut(GUIDE),), [[line] for line in _ADVICE]),
        ],
    )


def write_ledger(path: pathlib.Path, rows: Iterable[LedgerRow], plan: Plan) -> None:
    """Write households so that `read` gives the same ones back; `.csv` by its suffix, else .xlsx.

    Personal data is written as it comes: who may not see it hands in `PersonalData.masked()`.
    """
    columns = _columns_out(plan, list(HEADINGS))
    values = [_values(row, plan) for row in rows]
    if path.suffix.lower() == ".csv":
        spreadsheet.write_csv(path, columns, values)
    else:
        sheet = SheetOut("台账", columns, values, spare_rows=SPARE_ROWS, protect=True)
        spreadsheet.write_workbook(path, [sheet])


def write_marked(
    path: pathlib.Path, book: Book, faults: Sequence[Fault], notes: Sequence[Normalisation]
) -> None:
    """Write a ledger again as it was read: faults red, other readings yellow, a 问题 column behind.

    The last sheet lists every fault, those of the whole file first. Handed in again, the column and
    that sheet are passed over.
    """
    ignored = {note.sheet for note in notes if note.code == "sheet_ignored"}
    marked = []
    for sheet in book.sheets:
        if sheet.name in ignored or not sheet.rows or _is_guide(sheet):
            continue
        marks: dict[tuple[int, int], Mark] = {}
        problems: dict[int, list[str]] = {}
        for note in notes:
            if note.sheet == sheet.name and note.cell is not None:
                comment = f"读到 {note.read}，读作 {note.value}" if note.value != "" else "没有采用"
                marks[spreadsheet.position(note.cell)] = Mark(comment, is_fault=False)
        for fault in faults:
            if fault.sheet == sheet.name and fault.cell is not None:
                row, column = spreadsheet.position(fault.cell)
                earlier = marks.get((row, column))
                comment = fault.message
                if earlier is not None and earlier.is_fault:
                    comment = f"{earlier.comment}\n{comment}"
                marks[row, column] = Mark(comment, is_fault=True)
                problems.setdefault(row, []).append(f"{fault.cell} {fault.message}")
        header = _find_header(sheet)
        joined = {row: "；".join(texts) for row, texts in problems.items()}
        marked.append(
            MarkedSheet(
                sheet, marks, joined, "问题", header.last_row if header else min(sheet.rows)
            )
        )
    listed: list[list[spreadsheet.Value]] = [
        [fault.sheet, fault.cell, fault.code, fault.message] for fault in faults
    ]
    columns = tuple(ColumnOut(name, text=True) for name in ("工作表", "单元格", "代码", "问题"))
    spreadsheet.write_marked(path, book, marked, SheetOut("核对结果", columns, listed))


def _columns_out(plan: Plan, names: Sequence[str]) -> tuple[ColumnOut, ...]:
    choices: Mapping[str, tuple[str, ...]] = {
        "unit": tuple(unit.name for unit in plan.units),
        "kind": tuple(word.label for word in Kind),
        "area": tuple(word.label for word in Area),
        "path": tuple(word.label for word in Path),
        "quota": tuple(word.label for word in Quota),
    }
    return tuple(
        ColumnOut(
            HEADINGS[name],
            text=name in IDENTIFIERS,
            choices=choices.get(name, ()),
            locked=name in LOCKED,
        )
        for name in names
    )


def text_of(row: LedgerRow, name: str, plan: Plan) -> str:
    """What a household's field holds, as it would be written."""
    value = dict(zip(HEADINGS, _values(row, plan), strict=True))[name]
    return "" if value is None else str(value)


def _values(row: LedgerRow, plan: Plan) -> list[spreadsheet.Value]:
    unit = plan.unit(row.unit)
    personal = row.personal
    return [
        row.code,
        row.unit if unit is None else unit.name,
        row.village,
        personal.name,
        row.kind.label,
        row.area.label,
        row.path.label,
        personal.id_number,
        personal.credit_code,
        personal.phone,
        personal.meter,
        personal.address,
        row.building_area,
        row.heating_area,
        "、".join(facility.label for facility in row.old_facilities),
        personal.remarks,
        row.quota.label,
        row.version,
    ]
