"""Ledgers in and out: households from an officer's file into the journal, and back to a file.

A file goes in whole or not at all. A household is matched by 编号, then 用电户号, then ID number,
then name with address (design, section 5); the same file a second time adds nothing.
"""

import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path as FilePath

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, select

from states import identity
from states.errors import UsageFault
from states.facts import Actor, CaseFacts, fold
from states.identity import PersonalData
from states.plan import Json
from states.vocabulary import Area, Kind, Path, Quota, State
from workflow import bulk, cases, journal, ledger_file, privacy, register, spreadsheet, tables
from workflow.db import Database
from workflow.engine import Desk
from workflow.errors import BadFile, Conflict, NotPermitted
from workflow.journal import Draft, Head
from workflow.ledger_file import Fault, LedgerFile, LedgerRow, Normalisation

_KEY = tables.HOUSEHOLD_KEY
_PERSONAL = tables.PERSONAL
_WRITE_KEYS, _WRITE_PAPERS = bulk.Rows(insert(_KEY)), bulk.Rows(insert(_PERSONAL))
Progress = Callable[[int, int], None]
CHUNK = 2_000  # new households between two writes: what is written need not be kept in memory
# What a later ledger may change only while the household is being confirmed.
WHILE_CONFIRMING = ("village", "path", "kind", "area", "quota", "id_number", "meter")
_PERSONAL_FIELDS = PersonalData.__struct_fields__
_LABELS = {
    "village": "村",
    "path": "取暖方式",
    "kind": "户别",
    "area": "区域",
    "quota": "计划类别",
    "building_area": "建筑面积",
    "heating_area": "采暖面积",
    "name": "户主姓名",
    "id_number": "身份证号",
    "credit_code": "统一社会信用代码",
    "phone": "联系电话",
    "meter": "用电户号",
    "address": "详细地址",
    "remarks": "备注",
}


class Difference(Struct, frozen=True):
    """A value that the file changes; personal data is masked."""

    code: str
    heading: str
    was: str
    becomes: str


class Import(Struct, frozen=True):
    """The answer to `ledger import`; with `dry_run` nothing was written."""

    file: str
    sha256: str
    dry_run: bool
    accepted: bool
    rows: int
    added: int
    changed: int
    faults: tuple[Fault, ...]
    normalisations: tuple[Normalisation, ...]
    differences: tuple[Difference, ...]
    codes: tuple[str, ...]


class _Known(Struct, frozen=True):
    """A household that is in the database: its facts and personal data."""

    facts: CaseFacts
    personal: PersonalData


class _Index:
    """Which case a row is about, open cases first. Facts are read only of cases that match."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._papers = cases.personal(connection)
        self._known: dict[str, _Known] = {}
        self.units: dict[str, str] = {}
        self.open: dict[tuple[str, ...], str] = {}
        self.closed: dict[tuple[str, ...], str] = {}
        self.beyond: set[tuple[str, ...]] = set()
        case = cases.CASE.c
        for row in connection.execute(select(case.code, case.unit, case.state)):
            self.units[row.code] = row.unit
            found = self.closed if row.state == State.CLOSED else self.open
            for key in _keys(self._papers.get(row.code, PersonalData())):
                found.setdefault(key, row.code)

    def look_beyond(self, rows: Sequence[LedgerRow]) -> None:
        """Asks whether other units hold these rows' meters or IDs; which ones stays unsaid."""
        for kind in ("meter", "id_number"):
            values = [value for row in rows if (value := getattr(row.personal, kind))]
            held = cases.holders(self._connection, kind, values)
            self.beyond |= {(kind, value) for value, code in held.items() if code not in self.units}

    def read(self, codes: Sequence[str]) -> None:
        """Reads the facts of these cases, so that `known` need not ask for one at a time."""
        for code, events in cases.load(self._connection, codes).items():
            facts = fold(code, events)
            assert facts is not None
            self._known[code] = _Known(facts, self._papers.get(code, PersonalData()))

    def known(self, code: str) -> _Known:
        """The household behind a code of the index."""
        if code not in self._known:
            self.read([code])
        return self._known[code]


def _keys(personal: PersonalData) -> list[tuple[str, ...]]:
    """What a household is known by, strongest first."""
    keys: list[tuple[str, ...]] = []
    if personal.meter:
        keys.append(("meter", personal.meter))
    if personal.id_number:
        keys.append(("id_number", personal.id_number))
    if personal.name and personal.address:
        keys.append(("name", personal.name, personal.address))
    return keys


def import_file(
    database: Database,
    path: FilePath,
    login: str,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Import:
    """Takes a ledger in, all rows or none; `dry_run` only says what would happen.

    Raises BadFile where there is no file, NotPermitted for a role that imports nothing.
    """
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        who = register.actor(connection, login)
    if who.role not in privacy.HANDLERS:
        raise NotPermitted("导入台账由责任单位或县清洁取暖办办理", remedy="请有权的账号导入")
    with bulk.many_objects():
        return _import(database, ledger_file.read(path, plan), who, now, progress, dry_run=dry_run)


def _import(
    database: Database,
    read: LedgerFile,
    who: Actor,
    now: datetime,
    progress: Progress | None,
    *,
    dry_run: bool,
) -> Import:
    login = who.login
    if dry_run:
        with database.reading() as connection:
            return _Importing(Desk(connection, login, now), read, who).result(dry_run=True)
    with database.transaction() as connection:
        importing = _Importing(Desk(connection, login, now), read, who)
        if importing.accepted:
            importing.write(progress)
        return importing.result()


def readings(database: Database, path: FilePath) -> tuple[Normalisation, ...]:
    """How the cells of a ledger are read. Raises BadFile."""
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
    return ledger_file.read(path, plan).normalisations


def mark(path: FilePath, found: Import, target: FilePath | None, *, force: bool) -> FilePath | None:
    """Writes a copy of a checked ledger with its faults and readings marked; answers where.

    Without `target` it stands beside the file under a free name, and only where there is a cell to
    mark and the folder can be written to; otherwise, and where the file cannot be read, the answer
    is None. Raises UsageFault where `target` exists, BadFile where it cannot be written, Conflict
    where the file is no longer the one that was checked.
    """
    asked = target is not None
    cells = [one.cell for one in found.faults] + [one.cell for one in found.normalisations]
    if not asked and not any(cells):
        return None
    if target is None:
        target = _beside(path)
    elif target.resolve() == path.resolve():
        raise UsageFault("标注副本不能写在原文件上", place="--marked", remedy="换一个文件名")
    spreadsheet.refuse_existing(target, force=force)
    try:
        book = spreadsheet.read(path)
    except spreadsheet.Unreadable:
        return None
    if book.sha256 != found.sha256:
        raise Conflict("检查期间文件又被改动", place=str(path), remedy="再检查一遍")
    try:
        ledger_file.write_marked(target, book, found.faults, found.normalisations)
    except BadFile:
        if asked:
            raise
        return None
    return target


def _beside(path: FilePath) -> FilePath:
    """`<name>-核对.xlsx`, or with a number where that is taken: somebody may be correcting it."""
    stem = re.sub(r"-核对[0-9]*$", "", path.stem)
    names = (f"{stem}-核对{'' if number == 1 else number}.xlsx" for number in count(1))
    return next(place for name in names if not (place := path.with_name(name)).exists())


class _Importing:
    """One file on its way into the journal."""

    def __init__(self, desk: Desk, file: LedgerFile, who: Actor) -> None:
        self._desk = desk
        self._file = file
        self._who = who
        self._faults: list[Fault] = list(file.faults)
        self._new: list[LedgerRow] = []
        self._amended: list[tuple[LedgerRow, _Known, list[str]]] = []
        self._codes: list[str] = []
        self._index = _Index(desk.connection)
        if who.unit is not None:
            self._index.look_beyond(file.rows)
        matched: dict[str, LedgerRow] = {}
        for row in file.rows:
            self._place(row, matched)
        self._index.read(list(matched))
        for code, row in matched.items():
            self._compare(row, self._index.known(code))
        if self._new:
            counts = _planned(desk.connection)
            self._faults += ledger_file.annex_faults(self._new, counts, desk.plan)

    @property
    def accepted(self) -> bool:
        """Whether the whole file may go in."""
        return not self._faults

    def result(self, *, dry_run: bool = False) -> Import:
        """What happened, or would."""
        return Import(
            file=self._file.name,
            sha256=self._file.sha256,
            dry_run=dry_run,
            accepted=self.accepted,
            rows=self._file.rows_read,
            added=len(self._new) if self.accepted else 0,
            changed=len(self._amended) if self.accepted else 0,
            faults=tuple(self._faults),
            normalisations=self._file.normalisations,
            differences=tuple(
                _difference(known, row, name)
                for row, known, names in self._amended
                for name in names
            ),
            codes=tuple(self._codes),
        )

    def _fault(self, row: LedgerRow, name: str, code: str, message: str) -> None:
        read = ledger_file.text_of(row, name, self._desk.plan)
        told = f"{ledger_file.HEADINGS[name]}：读到{identity.mask_field(name, read)}；{message}"
        self._faults.append(Fault(row.sheet, row.place(name), code, told, read, name))

    def _place(self, row: LedgerRow, matched: dict[str, LedgerRow]) -> None:
        if not self._who.answers_for(row.unit):
            self._fault(row, "unit", "not_permitted", "不是本单位的户，请由该责任单位或县办导入")
            return
        code = self._match(row)
        if code is None:
            return
        if code == "":
            self._new.append(row)
        elif code in matched:
            self._fault(row, "name", "duplicate_in_file", f"与前面的行同是 {code} 户，请删去一行")
        else:
            matched[code] = row

    def _match(self, row: LedgerRow) -> str | None:
        """The code of the row's case, "" for a new household, None after a fault."""
        if row.code is not None:
            return self._match_code(row, row.code)
        index, keys = self._index, _keys(row.personal)
        found = [(key[0], index.open[key]) for key in keys if key in index.open]
        codes = list(dict.fromkeys(code for _, code in found))
        if len(codes) > 1 and found[0][0] != "name":
            message = "用电户号、身份证号、姓名地址指向两个不同的在办户，请核对"
            self._fault(row, found[1][0], "duplicate_across_files", message)
            return None
        if codes:
            if index.units[codes[0]] != row.unit:
                message = "与另一责任单位已登记的户重复，请县清洁取暖办核对归属"
                self._fault(row, found[0][0], "duplicate_across_files", message)
                return None
            return codes[0]
        for key in keys:
            if key in index.beyond:
                message = "与另一责任单位已登记的户重复，请县清洁取暖办核对归属"
                self._fault(row, key[0], "duplicate_across_files", message)
                return None
            if key in index.closed:
                message = "该户已退出；确需恢复的，由县清洁取暖办办理恢复（reinstate）"
                self._fault(row, key[0], "case_closed", message)
                return None
        return ""

    def _match_code(self, row: LedgerRow, code: str) -> str | None:
        if self._index.units.get(code) != row.unit:
            message = f"没有编号为 {code} 的户，或不属于该责任单位；新户的编号留空"
            self._fault(row, "code", "not_importable", message)
            return None
        known = self._index.known(code)
        if known.facts.state is State.CLOSED:
            self._fault(row, "code", "case_closed", f"{code} 已退出，不能再改")
            return None
        if row.version is not None and row.version != known.facts.version:
            message = (
                f"{code} 在导出之后又有登记（表中版本 {row.version}，现为 {known.facts.version}），"
                "请重新导出后再改"
            )
            self._fault(row, "version", "not_importable", message)
            return None
        return code

    def _compare(self, row: LedgerRow, known: _Known) -> None:
        facts = known.facts
        self._codes.append(facts.code)
        facilities = row.old_facilities
        if facilities and set(facilities) != set(facts.ledger_facilities):
            message = "原取暖设施不能用台账修改；登记有误的由县清洁取暖办更正（record correct）"
            self._fault(row, "old_facilities", "not_importable", message)
        names = [name for name in _LABELS if self._differs(row, known, name)]
        for name in names:
            filled = name in ("id_number", "meter") and not getattr(known.personal, name)
            confirming = facts.state is State.HOUSEHOLD_CONFIRMATION
            if name in WHILE_CONFIRMING and not confirming and not filled:
                state = facts.state.label
                message = f"{_LABELS[name]}只能在确村确户阶段修改；该户已到“{state}”"
                self._fault(row, name, "not_importable", message)
            elif name in ("id_number", "meter"):
                self._check_free(row, name, facts.code)
        if names:
            self._amended.append((row, known, names))

    def _check_free(self, row: LedgerRow, name: str, code: str) -> None:
        key = (name, getattr(row.personal, name))
        if key in self._index.beyond or self._index.open.get(key) not in (None, code):
            message = f"{_LABELS[name]}已登记在另一在办户名下，请核对"
            self._fault(row, name, "duplicate_across_files", message)

    def _differs(self, row: LedgerRow, known: _Known, name: str) -> bool:
        if name in row.masked or name not in row.columns:
            return False
        value = _value(row, name)
        # Without 编号 the row is somebody's own list: an empty cell there says nothing.
        if row.code is None and value in ("", None):
            return False
        return value != _known_value(known, name)

    # Writing -----------------------------------------------------------------------------

    def write(self, progress: Progress | None) -> None:
        """Adds the new households and the changes; the caller commits."""
        if not self._new and not self._amended:
            return
        numbers = _last_numbers(self._index.units)
        tell = self._teller(progress)
        papers = []
        for row, known, names in self._amended:
            papers.append(self._amend(row, known, names))
            tell()
        self._desk.finish()
        self._renew_papers([paper for paper in papers if paper is not None])
        for start in range(0, len(self._new), CHUNK):
            self._register_all(self._new[start : start + CHUNK], numbers, tell)
        self._desk.pen.add(
            Draft(
                "ledgers",
                "ledger_imported",
                self._desk.today,
                {
                    "sha256": self._file.sha256,
                    "rows": self._file.rows_read,
                    "added": len(self._new),
                    "changed": len(self._amended),
                },
            )
        )
        self._desk.finish()

    def _teller(self, progress: Progress | None) -> Callable[[], None]:
        """What is to be called once for each household that is written."""
        total = len(self._new) + len(self._amended)
        done = count(1)

        def tell() -> None:
            if progress is not None:
                progress(next(done), total)

        return tell

    def _register_all(
        self, rows: Sequence[LedgerRow], numbers: Counter[str], tell: Callable[[], None]
    ) -> None:
        papers: list[dict[str, object]] = []
        keys: list[dict[str, object]] = []
        for row in rows:
            numbers[row.unit] += 1
            code = f"{row.unit}-{numbers[row.unit]:04d}"
            self._codes.append(code)
            papers.append(self._register(code, row))
            keys += _key_rows(code, row.personal)
            tell()
        self._desk.clear()
        _WRITE_PAPERS.write(self._desk.connection, papers)
        if keys:
            _WRITE_KEYS.write(self._desk.connection, keys)

    def _register(self, code: str, row: LedgerRow) -> dict[str, object]:
        paper = _paper(code, 1, row.personal)
        self._desk.pen.know(f"case:{code}", Head())
        self._desk.put(
            Draft(
                f"case:{code}",
                "registered",
                self._desk.today,
                {
                    "unit": row.unit,
                    "village": row.village,
                    "path": row.path,
                    "kind": row.kind,
                    "area": row.area,
                    "quota": row.quota,
                    "building_area": row.building_area,
                    "heating_area": row.heating_area,
                    "old_facilities": [str(facility) for facility in row.old_facilities],
                    "holds": list(row.personal.holds()),
                },
                target=State.HOUSEHOLD_CONFIRMATION,
                personal=str(paper["digest"]),
            )
        )
        return paper

    def _amend(
        self, row: LedgerRow, known: _Known, names: Sequence[str]
    ) -> dict[str, object] | None:
        evidence: dict[str, Json] = {}
        personal = known.personal
        for name in names:
            if name in _PERSONAL_FIELDS:
                personal = replace(personal, **{name: getattr(row.personal, name)})
            else:
                value = _value(row, name)
                evidence[name] = value if isinstance(value, float | None) else str(value)
        paper = None
        if personal != known.personal:
            version = _personal_version(self._desk.connection, known.facts.code)
            paper = _paper(known.facts.code, version + 1, personal)
            evidence["holds"] = list(personal.holds())
        self._desk.read(known.facts.code)
        self._desk.put(
            Draft(
                f"case:{known.facts.code}",
                "amended",
                self._desk.today,
                evidence,
                personal=str(paper["digest"]) if paper else None,
            )
        )
        return paper

    def _renew_papers(self, papers: Sequence[Mapping[str, object]]) -> None:
        """Writes the new versions, and their keys in place of the old ones."""
        connection = self._desk.connection
        keys: list[dict[str, object]] = []
        for paper in papers:
            known = self._index.known(str(paper["case_code"]))
            for kind in ("meter", "id_number"):
                if paper[kind] != getattr(known.personal, kind):
                    connection.execute(
                        _KEY.delete().where(
                            _KEY.c.case_code == known.facts.code, _KEY.c.kind == kind
                        )
                    )
                    if paper[kind]:
                        keys.append(
                            {"kind": kind, "value": paper[kind], "case_code": known.facts.code}
                        )
        if papers:
            _WRITE_PAPERS.write(connection, papers)
        if keys:
            _WRITE_KEYS.write(connection, keys)


def _households(connection: Connection) -> dict[str, _Known]:
    papers = cases.personal(connection)
    people = register.persons(connection)
    found = {}
    for code, events in journal.read_cases(connection, people, checked=False):
        facts = fold(code, events)
        assert facts is not None
        found[code] = _Known(facts, papers.get(code, PersonalData()))
    return found


def _planned(connection: Connection) -> Mapping[tuple[str, Path, Kind, Area], int]:
    case = cases.CASE.c
    marks = (case.unit, case.path, case.kind, case.area)
    query = (
        select(*marks, func.count())
        .where(case.quota == Quota.PLANNED, case.state != State.CLOSED)
        .group_by(*marks)
    )
    return {
        (unit, Path(path), Kind(kind), Area(area)): number
        for unit, path, kind, area, number in connection.execute(query)
    }


def _last_numbers(units: Mapping[str, str]) -> Counter[str]:
    last: Counter[str] = Counter()
    for code, unit in units.items():
        last[unit] = max(last[unit], int(code.rpartition("-")[2]))
    return last


def _value(row: LedgerRow, name: str) -> str | float | None:
    if name in _PERSONAL_FIELDS:
        return str(getattr(row.personal, name))
    value: str | float | None = getattr(row, name)
    return value


def _known_value(known: _Known, name: str) -> str | float | None:
    if name in _PERSONAL_FIELDS:
        return str(getattr(known.personal, name))
    value: str | float | None = getattr(known.facts, name)
    return value


def _difference(known: _Known, row: LedgerRow, name: str) -> Difference:
    if name in _PERSONAL_FIELDS:
        was = getattr(known.personal.masked(), name)
        becomes = getattr(row.personal.masked(), name)
    else:
        was, becomes = _shown(_known_value(known, name)), _shown(_value(row, name))
    return Difference(known.facts.code, _LABELS[name], was or "（空）", becomes or "（空）")


def _shown(value: str | float | None) -> str:
    return str(getattr(value, "label", "" if value is None else value))


def _paper(code: str, version: int, personal: PersonalData) -> dict[str, object]:
    """A row of the personal table; its salted hash is what the journal commits to."""
    data = {name: getattr(personal, name) for name in _PERSONAL_FIELDS}
    salt = secrets.token_hex(16)
    committed = journal.canonical({"salt": salt, **data})
    return {
        "case_code": code,
        "version": version,
        **data,
        "salt": salt,
        "digest": journal.digest(committed),
    }


def _personal_version(connection: Connection, code: str) -> int:
    query = select(_PERSONAL.c.version).where(_PERSONAL.c.case_code == code)
    return max(connection.execute(query).scalars(), default=0)


def _key_rows(code: str, personal: PersonalData) -> list[dict[str, object]]:
    return [
        {"kind": kind, "value": value, "case_code": code}
        for kind, value in (("meter", personal.meter), ("id_number", personal.id_number))
        if value
    ]


def export_file(
    database: Database,
    path: FilePath,
    who: Actor,
    now: datetime,
    *,
    units: Sequence[str] | None = None,
    reveal: bool = False,
    force: bool = False,
) -> int:
    """Writes the households of these units to a file; answers how many.

    Personal data is masked unless revealed, which is journaled and needs a role that may import.
    Raises NotPermitted, and UsageFault where the file exists, unless `force`.
    """
    if units is not None and any(not who.answers_for(unit) for unit in units):
        raise register.not_your_unit()
    spreadsheet.refuse_existing(path, force=force)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        households = [
            household
            for household in _households(connection).values()
            if household.facts.state is not State.CLOSED
            and who.answers_for(household.facts.unit)
            and (units is None or household.facts.unit in units)
        ]
    households.sort(key=lambda household: household.facts.code)
    if reveal:
        privacy.reveal(database, who, [h.facts.code for h in households], now, "ledger export")
    ledger_file.write_ledger(path, [_row(h, reveal=reveal) for h in households], plan)
    return len(households)


def _row(household: _Known, *, reveal: bool) -> LedgerRow:
    facts = household.facts
    return LedgerRow(
        sheet=None,
        row=0,
        code=facts.code,
        version=facts.version,
        unit=facts.unit,
        village=facts.village,
        path=facts.path,
        kind=facts.kind,
        area=facts.area,
        quota=facts.quota,
        building_area=facts.building_area,
        heating_area=facts.heating_area,
        old_facilities=facts.ledger_facilities,
        personal=household.personal if reveal else household.personal.masked(),
    )
