"""The work sheet of a batch: the form that goes out to a township, and what comes back in it.

The form says itself which step or fact it is for, names the households with their 版本, and has a
column for each evidence key. Reading is as tolerant as a ledger's and guesses nothing: a reading
that is certain is listed as a normalisation, anything else is a fault at its cell. Whether a row
may be carried out is the business of `workflow.batch`.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from msgspec import Struct, field

from states import evidence as keys
from states import identity
from states.errors import CaseError, UsageFault
from states.facts import Attached
from states.plan import Plan
from states.vocabulary import FactKind, Trigger, Word
from workflow import attachments, spreadsheet
from workflow.errors import BadFile
from workflow.ledger_file import Fault, Normalisation
from workflow.spreadsheet import Book, Cell, CellKind, ColumnOut, Sheet, SheetOut, Value

Kind = Trigger | FactKind

LOCKED: Mapping[str, str] = {
    "code": "编号",
    "version": "版本",
    "unit": "责任单位",
    "village": "村",
    "name": "户主姓名",
    "state": "环节",
}
MATTER = "事项"  # what a repair, an answer or a resumption is about
ABOUT_A_MATTER = (FactKind.REPAIR, FactKind.RESUME, FactKind.RESOLVE)
PROBLEM = "问题"
OWN: Mapping[str, str] = {"on": "发生日期", "attach": "附件", "reason": "理由"}
# What the form fills in itself: a row with nothing else has not been filled in by anybody.
PREFILLED: Mapping[Kind, tuple[str, ...]] = {
    Trigger.ACCEPT: ("item", "document", "facility"),
    FactKind.REPAIR: ("fault",),
    FactKind.RESOLVE: ("id",),
}
# Keys that name an attached file; the last ones may also name a paper that stays in the cabinet.
MUST_BE_ATTACHED = ("late_document", "document", "facility")
MAY_BE_ATTACHED = ("unfit_document", "grid_document")

RETURNED = "-退回"
TITLE = re.compile(r"批量(?:办理|登记)表:.*?\(([a-z_-]+)\)")
HEADER_WITHIN = 40
NOTHING = frozenset({"/", "\\", "-", "--", "－", "—", "——"})  # people's signs for an empty cell
RISKY = tuple("=+-@＝＋－＠")
WRITTEN_AS: Mapping[str, str] = {
    "FacilityClaim": "种类:状态，如 火炕:在用；暖炉:备用；没有的写 无",
    "Sighting": (
        "种类:在:照片文件名，种类:经允许已拆除:许可编号，种类:未经允许已不在:违规编号；或 无"
    ),
    "CheckedItem": "项目名:合格 或 项目名:不合格",
    "NamedDocument": "材料名:附件文件名",
}


class Column(Struct, frozen=True):
    """A column of the form; `key` is None where it holds no evidence."""

    name: str
    heading: str
    key: keys.Key | None = None
    locked: bool = False


class Waiting(Struct, frozen=True):
    """A household on the form. `given` is what the form fills in, by evidence key."""

    code: str
    version: int
    unit: str
    village: str
    name: str
    state: str
    matter: str = ""
    given: Mapping[str, str] = field(default_factory=dict)


class SheetRow(Struct, frozen=True):
    """A row that somebody filled in, as far as it could be read; `faults` says what could not.

    `shown` is the row as it stood, by the names of the columns, to be handed back, and `cells` says
    where each column stands; `paths` has the place of each attached content, by its hash.
    """

    sheet: str | None
    row: int
    code: str
    version: int | None
    state: str
    on: date | None
    evidence: keys.Evidence
    attached: tuple[Attached, ...]
    paths: Mapping[str, Path]
    reason: str | None
    faults: tuple[Fault, ...]
    shown: Mapping[str, str]
    cells: Mapping[str, str]

    @property
    def faulty(self) -> dict[str, str]:
        """What is wrong with which column, by its name."""
        names = {cell: name for name, cell in self.cells.items()}
        return {names[f.cell]: f.message for f in self.faults if f.cell in names}


class BatchSheet(Struct, frozen=True):
    """A form that was handed in: its filled rows, in the order in which they stand."""

    name: str
    sha256: str
    kind: Kind
    rows: tuple[SheetRow, ...]
    normalisations: tuple[Normalisation, ...]


def columns(kind: Kind) -> tuple[Column, ...]:
    """The columns of the form for a step or a fact."""
    locked = [Column(name, heading, locked=True) for name, heading in LOCKED.items()]
    if kind in ABOUT_A_MATTER:
        locked.append(Column("matter", MATTER, locked=True))
    evidence = [Column(name, f"{keys.LABELS[name]} {name}", key) for name, key in _keys(kind)]
    return (
        *locked,
        Column("on", OWN["on"]),
        *evidence,
        Column("attach", OWN["attach"]),
        Column("reason", OWN["reason"]),
    )


def _keys(kind: Kind) -> list[tuple[str, keys.Key]]:
    """The evidence keys; a correction also has those of the facts that it may right."""
    found = dict(keys.keys(kind))
    if kind is FactKind.CORRECT:
        for fact in keys.CORRECTABLE:
            for name, key in keys.keys(fact).items():
                if name == "serial":  # another serial is a 换机
                    continue
                known = found.get(name)
                if known is not None and known.value is not key.value:
                    key = keys.Key(name, key.attribute, str, False, True)
                found[name] = key
        found["old_facility"] = keys.keys(Trigger.CONFIRM)["old_facility"]
    late = found.pop("late_document")  # seldom needed: it stands last
    return [*found.items(), ("late_document", late)]


# --- the form goes out ----------------------------------------------------------------------------


def title(kind: Kind) -> str:
    """The first line of the form, by which it is known again."""
    act = "批量办理表" if isinstance(kind, Trigger) else "批量登记表"
    return f"{act}：{kind.label}（{kind}）"


def write_template(
    path: Path,
    kind: Kind,
    waiting: Sequence[Waiting],
    plan: Plan,
    choices: Mapping[str, Sequence[str]],
) -> None:
    """Write the form with a row for each household; `.csv` by its suffix, else .xlsx.

    `choices` are drop-downs that only the database knows, by evidence key.
    """
    shape = columns(kind)
    rows = [[_prefilled(line, column) for column in shape] for line in waiting]
    out = [_column_out(column, choices) for column in shape]
    if path.suffix.lower() == ".csv":
        spreadsheet.write_csv(path, out, rows, title=title(kind))
        return
    form = SheetOut(_sheet_name(kind), tuple(out), rows, title=title(kind), protect=True)
    advice = [[line] for line in _advice(kind, plan)]
    spreadsheet.write_workbook(path, [form, SheetOut("填表说明", (ColumnOut("填表说明"),), advice)])


def _sheet_name(kind: Kind) -> str:
    return f"{kind.label} {kind}"


def _prefilled(line: Waiting, column: Column) -> Value:
    if column.name in line.given:
        return line.given[column.name]
    if column.key is not None:
        return None
    value: Value = getattr(line, column.name, None)
    return value


def _column_out(column: Column, choices: Mapping[str, Sequence[str]]) -> ColumnOut:
    words: Sequence[str] = choices.get(column.name, ())
    if column.key is not None and issubclass(column.key.value, Word) and not column.key.repeated:
        words = [word.label for word in column.key.value]
    typed_in = column.name == "on" or (column.key is not None and column.key.value in (date, float))
    return ColumnOut(
        column.heading,
        text=not typed_in and column.name != "version",
        choices=tuple(words),
        locked=column.locked,
    )


def _advice(kind: Kind, plan: Plan) -> Iterator[str]:
    yield f"本表用于“{kind.label}”（{kind}）。首行标题和前面的编号、版本等列请勿改动。"
    yield "每户一行；没有办的户空着，整行不填即跳过。不要合并单元格，不要使用公式。"
    if kind is not FactKind.CORRECT:
        yield "发生日期必填：事情实际发生的日期，如 2023-09-01、2023/9/1、2023年9月1日。"
    if kind is Trigger.PERMIT:
        yield "许可自登记之日起生效：发生日期填交表当天。"
    for column in columns(kind):
        if column.key is not None:
            yield f"{column.heading}：{_written_as(column.key)}"
    yield "附件：文件名，多个用 ; 隔开；文件放在本表所在文件夹，或旁边的文件夹（如“附件”）里。"
    yield "理由：需要说明时填写；不得写身份证号和手机号。"
    yield "同一格填多项时用 ； 或 、 隔开；内容本身含 、 的只用 ； 隔开。"
    if kind is Trigger.ACCEPT:
        seen = dict.fromkeys(
            (row.items, row.signers, row.documents, row.path.label, row.kind.label)
            for row in plan.acceptance
        )
        for items, signers, documents, path, household in seen:
            yield (
                f"{path} {household}：检查项目 {'；'.join(items)}。验收签字 {'；'.join(signers)}。"
                f"材料 {'；'.join(documents)}。"
            )
        yield "检查项目须逐项在冒号后写 合格 或 不合格；材料和照片可按表中预填的文件名保存。"
    yield "交表前可先 xianli batch preview 本表，逐户查看能否办理；全部通过后 batch apply。"
    yield "交回先后不限；同一张表交两次与交一次相同；已被他人办理的户会单独列出。"


def _written_as(key: keys.Key) -> str:
    many = "，可填多项" if key.repeated else ""
    if issubclass(key.value, Word):
        return "、".join(word.label for word in key.value) + " 之一" + many
    if key.value is date:
        return "日期"
    if key.value is int:
        return "事件编号"
    if key.value is float:
        return "数字"
    return WRITTEN_AS.get(key.value.__name__, "文字") + many


def write_returned(path: Path, kind: Kind, problems: Sequence[tuple[SheetRow, "Problem"]]) -> None:
    """Write the refused rows as a form to be corrected and handed in again.

    Each row says what was wrong in a last column; the cells in question are coloured.
    """
    shape = (*columns(kind), Column("problem", PROBLEM, locked=True))
    rows: list[list[Value]] = []
    marks: dict[tuple[int, int], str] = {}
    for index, (row, problem) in enumerate(problems):
        rows.append([*(row.shown.get(column.name) for column in shape[:-1]), problem.text])
        for place, column in enumerate(shape[:-1]):
            if column.name in problem.cells:
                marks[index, place] = problem.cells[column.name]
        marks[index, len(shape) - 1] = problem.text
    out = tuple(_column_out(column, {}) for column in shape)
    form = SheetOut(_sheet_name(kind), out, rows, title=title(kind), marks=marks, protect=True)
    spreadsheet.write_workbook(path, [form])


class Problem(Struct, frozen=True):
    """What is said of a refused row, and of its cells by the name of the column."""

    text: str
    cells: Mapping[str, str]


# --- the form comes back --------------------------------------------------------------------------


class _Header(Struct, frozen=True):
    row: int
    columns: Mapping[int, Column]


def read(path: Path, plan: Plan) -> BatchSheet:
    """Read a form, in whatever of the known formats it was saved.

    Raises BadFile (Unreadable) where the file is no such form; faults of its cells are in the rows.
    """
    book = spreadsheet.read(path)
    forms: list[tuple[Sheet, Kind, _Header]] = []
    for sheet in book.sheets:
        top = _code_heading(sheet)
        if top is None:
            continue
        kind = _kind_of(sheet)
        if kind is None:
            raise _no_form("认不出这是哪个环节或事项的表：首行标题不见了", path)
        forms.append((sheet, kind, _header(sheet, top, kind, path)))
    if not forms:
        raise _no_form("没有找到批量表的表头（编号、版本、发生日期……）", path)
    kinds = {kind for _, kind, _ in forms}
    if len(kinds) > 1:
        told = "、".join(sorted(kind.label for kind in kinds))
        raise _no_form(f"一个文件里有不同的表（{told}），请分开交", path)
    reading = _Reading(book, plan, forms[0][1], Folder(path))
    rows = [row for sheet, _, header in forms for row in reading.rows(sheet, header)]
    return BatchSheet(
        book.name, book.sha256, forms[0][1], tuple(rows), tuple(reading.normalisations)
    )


def _no_form(message: str, path: Path) -> BadFile:
    return BadFile(
        message,
        place=spreadsheet.plain_text(str(path)),
        remedy="请用 xianli batch template 生成的表填写，保留首行标题和表头",
        code="header_not_found",
    )


def _kind_of(sheet: Sheet) -> Kind | None:
    """The step or fact that the title names, or else the sheet's own name."""
    known: dict[str, Kind] = {str(kind): kind for kind in keys.MODELS}
    for row in sorted(sheet.rows)[:HEADER_WITHIN]:
        for cell in sheet.rows[row].values():
            found = TITLE.search(_compact(cell))
            if found and found[1] in known:
                return known[found[1]]
    words = (sheet.name or "").split()
    return next((known[word] for word in words if word in known), None)


def _compact(cell: Cell) -> str:
    if cell.kind is not CellKind.TEXT:
        return ""
    narrow = unicodedata.normalize("NFKC", spreadsheet.plain_text(str(cell.value)))
    return "".join(narrow.split()).strip("*")


def _code_heading(sheet: Sheet) -> int | None:
    """The row in which both 编号 and 版本 stand."""
    wanted = {_heading_key(LOCKED["code"]), _heading_key(LOCKED["version"])}
    for row in sorted(sheet.rows)[:HEADER_WITHIN]:
        if wanted <= {_compact(cell) for cell in sheet.rows[row].values()}:
            return row
    return None


def _heading_key(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _names(kind: Kind) -> Mapping[str, Column]:
    """Every way in which a heading may name a column: in full, its label, its identifier."""
    found: dict[str, Column] = {}
    for column in columns(kind):
        label = keys.LABELS[column.name] if column.key else column.heading
        for text in (column.heading, label, re.sub(r"（.*?）$", "", label), column.name):
            found.setdefault(_heading_key(text), column)
    return found


def _header(sheet: Sheet, row: int, kind: Kind, path: Path) -> _Header:
    names = _names(kind)
    found: dict[int, Column] = {}
    for place, cell in sheet.rows[row].items():
        heading = _compact(cell)
        column = names.get(heading) or names.get(re.sub(r"\([^()]*\)$", "", heading))
        if column is None:
            continue
        if column in found.values():
            raise _no_form(f"表头里“{column.heading}”有两列，请只留一列", path)
        found[place] = column
    if not any(column.name == "on" for column in found.values()):
        raise _no_form(f"表头缺少“{OWN['on']}”一列", path)
    return _Header(row, found)


class Folder:
    """Where the files that a sheet names are looked for: by name, never by a way to them.

    First the folders that are named after the sheet or 附件, then the sheet's own, then whatever
    other folder lies beside it. A link is passed over: it could lead anywhere.
    """

    def __init__(self, sheet: Path) -> None:
        self._home = sheet.parent
        self._stem = sheet.stem
        self._found: list[dict[str, list[Path]]] | None = None
        self._read: dict[Path, Attached | CaseError] = {}

    def find(self, name: str) -> list[Path]:
        """The files of this name in the first place that has any."""
        wanted = unicodedata.normalize("NFC", name)
        return next((place[wanted] for place in self._places() if wanted in place), [])

    def attached(self, path: Path) -> Attached:
        """A file's name and hash; its content is not kept. Raises what `attachments.read` does."""
        if path not in self._read:
            try:
                self._read[path] = attachments.read([path])[0].attached
            except CaseError as error:
                self._read[path] = error
        known = self._read[path]
        if isinstance(known, CaseError):
            raise known
        return known

    def _places(self) -> list[dict[str, list[Path]]]:
        if self._found is None:
            stem = self._stem.replace(RETURNED, "")
            named = [self._home / name for name in (f"{stem}-附件", f"{stem}附件", stem, "附件")]
            others = [
                folder
                for folder in sorted(self._home.iterdir())
                if folder.is_dir() and folder not in named
            ]
            self._found = [*(_files(folder) for folder in (*named, self._home)), _files(*others)]
        return self._found


def _files(*folders: Path) -> dict[str, list[Path]]:
    """The regular files of these folders by name; none where a folder cannot be read."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        try:
            paths = [] if folder.is_symlink() else sorted(folder.iterdir())
        except OSError:
            continue
        for path in paths:
            if path.is_file() and not path.is_symlink():
                found.setdefault(unicodedata.normalize("NFC", path.name), []).append(path)
    return found


class _Reading:
    """One file on its way from cells to rows."""

    def __init__(self, book: Book, plan: Plan, kind: Kind, folder: Folder) -> None:
        self.plan = plan
        self.kind = kind
        self.folder = folder
        self.date_1904 = book.date_1904
        self.normalisations: list[Normalisation] = []
        self._seen: dict[tuple[object, ...], int] = {}

    def rows(self, sheet: Sheet, header: _Header) -> Iterator[SheetRow]:
        """The rows that somebody filled in."""
        filled_by_people = {
            place
            for place, column in header.columns.items()
            if (column.key or column.name in OWN)
            and column.name not in PREFILLED.get(self.kind, ())
        }
        for place, cell in sheet.rows[header.row].items():
            if place not in header.columns and _compact(cell) not in ("", PROBLEM):
                self.normal(sheet.name, header.row, place, "column_ignored", cell, "")
        merged = self._merged(sheet, header)
        for row, cells in sorted(sheet.rows.items()):
            used = {place: cell for place, cell in cells.items() if place in header.columns}
            touched = used.keys() & filled_by_people or merged.get(row)
            if row > header.row and touched and not _repeats_heading(used, header):
                one = _Row(self, sheet.name, row, used, header)
                yield one.read(merged.get(row))

    def _merged(self, sheet: Sheet, header: _Header) -> Mapping[int, str]:
        """The rows into which a merged cell reaches, with its address; locked columns may."""
        matters = {place for place, column in header.columns.items() if not column.locked}
        matters |= {p for p, column in header.columns.items() if column.name in ("code", "version")}
        found: dict[int, str] = {}
        for area in sheet.merged:
            reached = range(area.first_column, area.last_column + 1)
            if area.last_row > header.row and matters.intersection(reached):
                place = spreadsheet.address(area.first_row, area.first_column)
                last = min(area.last_row, max(sheet.rows))
                for row in range(max(area.first_row, header.row + 1), last + 1):
                    found[row] = place
        return found

    def normal(
        self, sheet: str | None, row: int, place: int, code: str, cell: Cell, value: str
    ) -> None:
        """Lists a reading that is certain."""
        address = spreadsheet.address(row, place)
        texts = [
            identity.MASK if identity.holds_personal_number(text) else text
            for text in (_shown(cell), value)
        ]
        self.normalisations.append(Normalisation(sheet, address, code, *texts))

    def duplicate_of(self, marks: tuple[object, ...], row: int) -> int | None:
        """The earlier row that says exactly the same."""
        first = self._seen.setdefault(marks, row)
        return None if first == row else first


def _repeats_heading(used: Mapping[int, Cell], header: _Header) -> bool:
    return any(
        header.columns[place].name == "code" and _compact(cell) == LOCKED["code"]
        for place, cell in used.items()
    )


def _shown(cell: Cell) -> str:
    """A cell's content as somebody would read it."""
    match cell.value:
        case bool():
            return "TRUE" if cell.value else "FALSE"
        case str():
            return spreadsheet.plain_text(cell.value)
        case int() | float() as number:
            whole = number == int(number) and abs(number) < 1e15
            return str(int(number)) if whole else f"{number:.15g}"


class _Row:
    """One row on its way: every cell is read and every fault noted."""

    def __init__(
        self,
        reading: _Reading,
        sheet: str | None,
        row: int,
        cells: Mapping[int, Cell],
        header: _Header,
    ) -> None:
        self._reading = reading
        self._sheet = sheet
        self._number = row
        self._places = {column.name: place for place, column in header.columns.items()}
        self._cells = {header.columns[place].name: cell for place, cell in cells.items()}
        self._keys = {c.name: c.key for c in header.columns.values() if c.key is not None}
        self._faults: list[Fault] = []
        self._shown: dict[str, str] = {}
        self._attached: dict[str, Attached] = {}
        self._paths: dict[str, Path] = {}

    def read(self, merged: str | None) -> SheetRow:
        """The row as far as it could be read."""
        if merged is not None:
            message = "有合并单元格；请取消合并，并在每一行填写"
            self._faults.append(Fault(self._sheet, merged, "merged_cells", message))
        for name, cell in self._cells.items():
            self._shown[name] = "" if cell.kind is CellKind.FORMULA else _shown(cell)
        code = unicodedata.normalize("NFKC", self._text("code")).replace(" ", "").upper()
        if not code:
            self._required("code", "没有填写编号")
        version = self._version()
        on = self._day("on")
        if on is None and self._reading.kind is not FactKind.CORRECT:
            self._required("on", "没有填写发生日期")
        pairs = [pair for name in self._keys for pair in self._pairs(name)]
        reason = self._text("reason") or None
        for name in self._file_names():
            self._attach("attach", name, needed=True)
        for key, name in _named_files(self._reading.kind, pairs):
            self._attach(key, name, needed=key in MUST_BE_ATTACHED)
        marks = (code, version, on, *pairs, reason, *sorted(self._paths))
        first = self._reading.duplicate_of(marks, self._number)
        if first is not None:
            self._fault("code", "duplicate_in_file", f"与第 {first} 行完全相同，请只留一行")
        return SheetRow(
            sheet=self._sheet,
            row=self._number,
            code=code,
            version=version,
            state=self._shown.get("state", ""),
            on=on,
            evidence=keys.parse(self._reading.kind, pairs),
            attached=tuple(self._attached.values()),
            paths=self._paths,
            reason=reason,
            faults=tuple(self._faults),
            shown=self._shown,
            cells={
                name: spreadsheet.address(self._number, place)
                for name, place in self._places.items()
            },
        )

    # One cell.

    def _fault(self, name: str, code: str, message: str) -> None:
        place = self._places.get(name)
        cell = None if place is None else spreadsheet.address(self._number, place)
        heading = keys.LABELS[name] if name in self._keys else {**LOCKED, **OWN}.get(name, name)
        self._faults.append(Fault(self._sheet, cell, code, f"{heading}：{message}"))

    def _required(self, name: str, message: str) -> None:
        place = self._places.get(name)
        where = None if place is None else spreadsheet.address(self._number, place)
        if all(fault.cell != where for fault in self._faults):
            self._fault(name, "required_missing", f"{message}；请补上")

    def _cell(self, name: str) -> Cell | None:
        cell = self._cells.get(name)
        if cell is None:
            return None
        if cell.kind is CellKind.FORMULA:
            self._fault(name, "formula_cell", "单元格里是公式；请粘贴为数值")
            return None
        if cell.kind is CellKind.ERROR:
            self._fault(name, "error_cell", f"单元格里是错误值 {_shown(cell)}；请填写正确内容")
            return None
        return None if _shown(cell).strip() in NOTHING else cell

    def _text(self, name: str) -> str:
        cell = self._cell(name)
        if cell is None:
            return ""
        raw = cell.value
        if isinstance(raw, str) and (key := self._keys.get(name)) and key.repeated:
            raw = re.sub(r"[\r\n]+", "；", raw.strip())
        text = " ".join(_shown(Cell(cell.kind, raw)).split())
        if isinstance(cell.value, str) and text.startswith(RISKY):
            self._fault(name, "formula_cell", f"读到{_quoted(text)}，像公式；请改成文字")
            return ""
        if (
            isinstance(cell.value, str)
            and len(text) < len(cell.value.strip())
            and any(unicodedata.category(character) in ("Cc", "Cf") for character in cell.value)
        ):
            place = self._places[name]
            self._reading.normal(self._sheet, self._number, place, "control_character", cell, text)
        return text

    def _version(self) -> int | None:
        text = unicodedata.normalize("NFKC", self._text("version")).removesuffix(".0")
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text)
        self._required("version", "版本须是导出时的整数" if text else "没有版本")
        return None

    def _day(self, name: str) -> date | None:
        cell = self._cell(name)
        if cell is None:
            return None
        found = spreadsheet.read_date(
            cell, year=self._reading.plan.year, date_1904=self._reading.date_1904
        )
        if found is None:
            told = f"读到{_quoted(_shown(cell))}，不是日期；写作 2023-09-01"
            self._fault(name, "not_a_date", told)
            return None
        if _shown(cell) != found.value.isoformat():
            place = self._places[name]
            self._reading.normal(
                self._sheet, self._number, place, found.code, cell, found.value.isoformat()
            )
        self._shown[name] = found.value.isoformat()
        return found.value

    def _pairs(self, name: str) -> Iterator[tuple[str, str]]:
        """The evidence of one cell, each value tried on its own."""
        key = self._keys[name]
        if key.value is date:
            day = self._day(name)
            texts = [day.isoformat()] if day else []
        else:
            text = self._text(name)
            texts = _split(text, key) if text else []
        for text in texts:
            value = _normal(text, key)
            try:
                self._try(name, key, value)
            except UsageFault as error:
                told = f"读到{_quoted(text)}，{error.message.rpartition('不对：')[2]}"
                self._fault(name, "bad_value", told)
                continue
            yield name, value

    def _try(self, name: str, key: keys.Key, value: str) -> None:
        kind = self._reading.kind
        if name in keys.keys(kind):
            keys.parse(kind, [(name, value)])
            return
        keys.plain(value, name)
        for fact in (*keys.CORRECTABLE, Trigger.CONFIRM):
            known = keys.keys(fact).get(name)
            if known is not None and known.value is key.value:
                keys.parse(fact, [(name, value)])
                return

    # Files.

    def _file_names(self) -> list[str]:
        text = self._text("attach")
        names = [name.strip() for name in re.split(r"[;；]", text) if name.strip()]
        return [
            one
            for name in names
            for one in ([name] if self._reading.folder.find(name) else re.split(r"\s*、\s*", name))
        ]

    def _attach(self, column: str, name: str, *, needed: bool) -> None:
        if name in self._attached:
            return
        if "/" in name or "\\" in name:
            self._fault(column, "file_missing", f"{_quoted(name)} 带有目录；只写文件名")
            return
        paths = self._reading.folder.find(name)
        if not paths:
            if needed:
                told = f"没有找到文件 {_quoted(name)}；放在本表所在文件夹或旁边的文件夹里"
                self._fault(column, "file_missing", told)
            return
        if len(paths) > 1:
            folders = "、".join(sorted(path.parent.name for path in paths))
            self._fault(column, "file_ambiguous", f"几个文件夹（{folders}）里都有 {_quoted(name)}")
            return
        try:
            attached = self._reading.folder.attached(paths[0])
        except CaseError as error:
            self._fault(column, "file_unusable", f"{error.message}；{error.remedy}")
            return
        self._attached[name] = Attached(name, attached.sha256)
        self._paths[attached.sha256] = paths[0]


def _named_files(kind: Kind, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The files that the evidence itself names, with the key that does."""
    given = keys.parse(kind, pairs)
    if given.late_document:
        yield "late_document", given.late_document
    if isinstance(given, keys.Accept):
        for document in given.document:
            yield "document", document.file
        for sighting in given.facility:
            if sighting.photo:
                yield "facility", sighting.photo
    for name, value in pairs:
        if name in MAY_BE_ATTACHED:
            yield name, value


def _split(text: str, key: keys.Key) -> list[str]:
    """The values of one cell; ； stands above 、 so that a value may hold the latter."""
    if not key.repeated:
        return [text]
    parts = [part.strip() for part in re.split(r"[;；]", text) if part.strip()]
    if len(parts) > 1 or re.search(r"[;；]", text):
        composite = key.value is not str
        groups = (
            part.split("、") if composite and len(re.findall("[:：]", part)) > 2 else [part]
            for part in parts
        )
        return [one.strip() for one in itertools.chain.from_iterable(groups) if one.strip()]
    return [part.strip() for part in text.split("、") if part.strip()]


def _normal(text: str, key: keys.Key) -> str:
    """A value as `evidence.parse` reads it: full-width letters and colons are narrow."""
    if issubclass(key.value, Word) or key.value in (int, float) or key.identifier:
        text = unicodedata.normalize("NFKC", text).strip()
    elif key.value is not str:
        text = re.sub(r"\s*[:：]\s*", ":", text)
    if key.value is float:
        text = text.removesuffix("度").removesuffix("°C").strip()
    return text


def _quoted(text: str) -> str:
    """What was read, for a message: without the numbers of a person."""
    return "个人号码" if identity.holds_personal_number(text) else f"“{text[:40]}”"
