"""A small made-up county for the tests that need a database: a real one, no mocks.

`fresh` gives a drill (or a real) database with plan, officers, gates, catalogue and ten households
from a real workbook; `carry` takes cases to a state through the engine; `every_row` dumps it all.
"""

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path as FilePath
from typing import Protocol

import openpyxl
import psycopg
import server

from states import evidence, plan
from states.facts import fold
from states.identity import check_digit
from states.plan import Plan
from states.vocabulary import FactKind, GateKind, Path, Role, State, Trigger
from workflow import cases, config, db, engine, journal, ledger, register, setup, triggers
from workflow.attachments import File
from workflow.cases import Clocks, Position
from workflow.db import Database
from workflow.engine import Order, Receipt, Refusal

FOUNDED = date(2023, 5, 20)
LEDGER_IN = date(2023, 5, 22)
CONFIRMED = date(2023, 6, 10)
SELECTED = date(2023, 6, 15)
COMPLETED = date(2023, 8, 10)
ACCEPTED = date(2023, 9, 10)
FIRST_HEAT = date(2023, 11, 2)
FIRST_DAY, LAST_DAY = date(2023, 11, 1), date(2024, 3, 31)
SIGNED = date(2024, 4, 1)
PERMITTED = date(2024, 4, 2)
ONE_DAY = timedelta(days=1)

TOWN = [f"101-{number:04d}" for number in range(1, 7)]
CODE = TOWN[0]
OTHER_UNIT = "102-0001"
HEATING = "RLJ-0001"
COLLECTIVE = "RLJ-0002"
CODES = [*TOWN, "102-0001", "102-0002", "RLJ-0001", "RLJ-0002"]
UNIT_NAME = {"101": "甲镇", "102": "乙乡", "RLJ": "热力局"}
VILLAGE = {"101": "前村", "102": "后村", "RLJ": "城关"}
MODEL = "KFR-35"

# login: name, role, unit, person. `zhang` is the first county officer.
OFFICERS = {
    "li": ("李县办", Role.COUNTY_OFFICE, None, "li"),
    "wang": ("王经办", Role.UNIT_OFFICER, "101", "wang"),
    "head": ("马镇长", Role.UNIT_HEAD, "101", "head"),
    "qian": ("钱经办", Role.UNIT_OFFICER, "102", "qian"),
    "sun": ("孙经办", Role.UNIT_OFFICER, "RLJ", "sun"),
    "zhao": ("赵验收", Role.ACCEPTOR, None, "zhao"),
    "shen": ("沈审计", Role.AUDITOR, None, "shen"),
    # The same persons as above under a second login.
    "wang-accepts": ("王经办", Role.ACCEPTOR, None, "wang"),
    "zhao-county": ("赵验收", Role.COUNTY_OFFICE, None, "zhao"),
}
UNIT_LOGIN = {"101": "wang", "102": "qian", "RLJ": "sun"}

# What a database says when it refuses by itself.
REFUSED = (sqlite3.IntegrityError, psycopg.errors.RaiseException, psycopg.errors.NotNullViolation)
PAPER = File("paper.pdf", b"%PDF-1.4 a paper")
PHOTO = File("kang.jpg", b"\xff\xd8 a photo")
DOSSIER = File("dossier.pdf", b"%PDF-1.4 the dossier")

_UNVERIFIED = "verified = false"
_VERIFIED = f'verified = true\ndocument = "{"a" * 64}"\nentered_by = "zhang"'
_PATHS = '["coal_to_electric", "central_heating", "coal_to_gas", "solar", "biomass", "clean_coal"]'


def plan_text(*, verified: bool = False, seasons: int = 1, exempt: str = "") -> str:
    """The made-up plan as TOML: three units, two heating seasons, one check item."""
    vouched = _VERIFIED if verified else _UNVERIFIED
    rules = {
        "required_seasons": str(seasons),
        "exempt_paths": f'["{exempt}"]' if exempt else "[]",
        "outage_days": "3",
        "outage_days_total": "5",
        "warm_visits": "2",
        "warm_temperature": "18",
        "first_heat_grace_days": "5",
        "notice_days": "7",
        "backdating_days": "15",
        "lead_days": "{ confirm = 8, select = 4, complete = 12, accept = 4 }",
    }
    told = "\n".join(
        f'[rules.{name}]\nvalue = {value}\nsource = "县级政策"\n{vouched}'
        for name, value in rules.items()
    )
    years = "\n".join(
        f'[[seasons]]\nlabel = "{year}-{year + 1}"\nareas = ["county_town", "rural"]\n'
        f"paths = {_PATHS}\nfirst_day = {year}-11-01\nlast_day = {year + 1}-03-31\n"
        f'source = "供热令"\n{vouched}'
        for year in (2023, 2024)
    )
    gates = {"coal_to_electric": "grid", "central_heating": "heat", "coal_to_gas": "gas"}
    networks = ("central_heating", "coal_to_gas")
    paths = "\n".join(
        f'[[paths]]\npath = "{path}"\nsupply = "{"network" if path in networks else "device"}"\n'
        f'gate = "{gates.get(path, "none")}"'
        for path in Path
    )
    return f"""
format = 1
name = "tiny"
title = "小县清洁取暖实施方案"
document = "小政办发〔2023〕1号"
county = "小县"
year = 2023
effective_from = 2023-05-19
[[phases]]
key = "preparation"
label = "制定方案"
end = 2023-04-30
source = "一"
[[phases]]
key = "works"
label = "组织实施"
start = 2023-05-01
end = 2023-09-30
source = "二"
[[phases]]
key = "acceptance"
label = "项目验收"
start = 2023-10-01
end = 2023-10-14
source = "三"
[[phases]]
key = "evaluation"
label = "绩效评估"
start = 2023-10-15
end = 2024-04-15
source = "四"
[[units]]
code = "101"
name = "甲镇"
kind = "township"
tasks = [{{ path = "coal_to_electric", kind = "residential", households = 8 }}]
[[units]]
code = "102"
name = "乙乡"
kind = "township"
aliases = ["乙镇"]
tasks = [{{ path = "coal_to_electric", kind = "residential", households = 2 }}]
[[units]]
code = "RLJ"
name = "热力局"
kind = "department"
tasks = [{{ path = "central_heating", households = 4 }}]
[totals]
households = 14
tasks = [
    {{ path = "coal_to_electric", kind = "residential", households = 10 }},
    {{ path = "central_heating", households = 4 }},
]
{paths}
{years}
{told}
[[acceptance]]
paths = {_PATHS}
kinds = ["residential", "collective"]
areas = ["county_town", "rural"]
items = ["试运行正常"]
signers = ["监理", "用户"]
documents = ["验收单"]
"""


@cache
def tiny_plan() -> Plan:
    """The made-up plan, nothing of it verified."""
    return plan.from_toml(plan_text(), "tiny.toml")


HEADINGS = (
    *("编号", "责任单位", "村", "户主姓名", "户别", "区域", "取暖方式", "身份证号"),
    *("统一社会信用代码", "联系电话", "用电户号", "详细地址", "建筑面积", "采暖面积"),
    *("原取暖设施", "备注", "计划类别"),
)


def id_number(number: int) -> str:
    """A made-up ID number with the right check digit."""
    first_17 = f"14092219700101{number:03d}"
    return first_17 + check_digit(first_17)


def household(number: int, unit: str, **other: str) -> dict[str, str]:
    """A row of a ledger by its headings; `other` says what is different."""
    row = dict.fromkeys(HEADINGS, "")
    heating = unit == "RLJ"
    row |= {
        "责任单位": UNIT_NAME[unit],
        "村": VILLAGE[unit],
        "户主姓名": f"张{'一二三四五六七八九十甲乙丙丁戊己庚辛壬癸'[number % 20]}",
        "户别": "居民户",
        "区域": "县城" if heating else "农村",
        "取暖方式": "集中供热" if heating else "煤改电",
        "身份证号": id_number(number),
        "联系电话": f"1383500{number:04d}",
        "用电户号": "" if heating else f"01{number:08d}",
        "详细地址": f"{VILLAGE.get(unit, '前村')}{number}号",
        "建筑面积": "100",
        "采暖面积": "80",
        "原取暖设施": "火炕",
    }
    return row | other


def first_ledger() -> list[dict[str, str]]:
    """The county's ten households."""
    rows = [household(number, "101") for number in range(1, 7)]
    rows += [household(number, "102") for number in (11, 12)]
    rows.append(household(21, "RLJ"))
    rows.append(
        household(
            22,
            "RLJ",
            户主姓名="小县中学",
            户别="集体户",
            身份证号="",
            统一社会信用代码="12140922MB0000000F",
            联系电话="",
        )
    )
    return rows


def write_workbook(
    file: FilePath, rows: Iterable[dict[str, str]], headings: Sequence[str] = HEADINGS
) -> FilePath:
    """A workbook as an officer would save it, every cell a text."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(headings))
    for row in rows:
        sheet.append([row.get(heading) or None for heading in headings])
    book.save(file)
    return file


# What is closed when a test is over: a server has only so many connections.
CONNECTED: list[Database] = []


class Plain(Protocol):
    """Runs a statement and answers its rows."""

    def __call__(self, statement: str, *values: object) -> list[tuple[object, ...]]: ...


@dataclass(frozen=True, slots=True)
class County:
    """An open database of the made-up county."""

    file: FilePath
    database: Database
    _logins: dict[str, Database] = field(default_factory=dict, compare=False, repr=False)

    def acting(self, login: str) -> Database:
        """The database as this officer connects to it: on a server with his own login.

        The clock of a county that is no drill is made up here, and the server would not take it.
        """
        if not self.database.shared or not self._drill():
            return self.database
        if login not in self._logins:
            self._logins[login] = db.connect(server.as_login(self.url, login))
            CONNECTED.append(self._logins[login])
        # What is signed with is the test's to say, whoever connects.
        self._logins[login].unlock = self.database.unlock
        return self._logins[login]

    def _drill(self) -> bool:
        with self.database.reading() as connection:
            return register.is_drill(connection)

    def close(self) -> None:
        """Ends every connection, so that it can be copied or taken away."""
        for database in (self.database, *self._logins.values()):
            database.close()

    @property
    def url(self) -> str:
        """What a command is given as `--db`."""
        return self.database.url if self.database.shared else str(self.file)

    def advance(
        self,
        code: str,
        kind: Trigger | FactKind,
        day: date,
        *pairs: tuple[str, str],
        login: str | None = None,
        on: date | None = None,
        files: Sequence[File] = (),
        reason: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """One order on a day of the drill, by the login that usually does this."""
        order = make_order(code, kind, *pairs, on=on, files=files, reason=reason, key=key)
        who = login or usual_login(code, kind)
        return engine.advance(self.acting(who), order, who, journal.noon(day))

    def carry_out(self, orders: Sequence[Order], login: str, day: date) -> list[Receipt | Refusal]:
        """Many orders in one transaction on a day of the drill."""
        return engine.carry_out(self.acting(login), orders, login, journal.noon(day))

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Plain SQL by another connection, as somebody with the database could do."""
        if self.database.shared:
            with server.raw(self.url) as plain:
                return _asked(plain, statement, values)
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def rows(self, query: str, *values: object) -> list[dict[str, object]]:
        """What plain SQL finds, by the names of columns."""
        with self.database.engine.connect() as connection:
            found = connection.exec_driver_sql(
                query if not self.database.shared else query.replace("?", "%s"), values
            )
            return [dict(row) for row in found.mappings()]

    @contextmanager
    def plain(self) -> Iterator["Plain"]:
        """One transaction of plain SQL by another connection, taken back at the end.

        It begins with the first statement: before that nobody else is there.
        """
        opened: list[sqlite3.Connection | psycopg.Connection] = []

        def ask(statement: str, *values: object) -> list[tuple[object, ...]]:
            if not opened:
                shared = self.database.shared
                opened.append(server.raw(self.url) if shared else sqlite3.connect(self.file))
            [connection] = opened
            if isinstance(connection, sqlite3.Connection):
                return connection.execute(statement, values).fetchall()
            # What is refused is not to end the transaction.
            with connection.transaction():
                return _asked(connection, statement, values)

        yield ask
        for connection in opened:
            connection.rollback()
            connection.close()

    def tamper(self, statement: str, *values: object) -> None:
        """What somebody does who switches the guards off, and on again after."""
        if self.database.shared:
            with server.raw(self.url, unguarded=True) as plain:
                _asked(plain, statement, values)
            return
        with closing(sqlite3.connect(self.file)) as connection, connection:
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            guards = connection.execute(query).fetchall()
            connection.execute("BEGIN")
            for name, _ in guards:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement, values)
            for _, made in guards:
                connection.execute(made)

    def reword(self, stream: str, old: str, new: str, version: int | None = None) -> None:
        """Other words in the bytes of a stream's events, which nothing else is made to fit."""
        query = "SELECT seq, body FROM journal WHERE stream = ? AND version = COALESCE(?, version)"
        for seq, body in self.sql(query, stream, version):
            assert isinstance(body, bytes)
            changed = body.replace(old.encode(), new.encode())
            self.tamper("UPDATE journal SET body = ? WHERE seq = ?", changed, seq)

    def unguard(self, *names: str) -> None:
        """Takes guards away for good: those named, or all."""
        with self.database.reading() as connection:
            names = names or tuple(triggers.there(connection))
        for name in names:
            shared = self.database.shared
            self.sql(f"DROP FUNCTION {name} CASCADE" if shared else f"DROP TRIGGER {name}")

    def weaken(self, name: str) -> None:
        """Puts another guard of the same name in a guard's place, which lets all through."""
        if self.database.shared:
            change = f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            self.sql(f"{change} $$BEGIN RETURN NEW; END$$")
            return
        [(made,)] = self.sql("SELECT sql FROM sqlite_master WHERE name = ?", name)
        self.sql(f"DROP TRIGGER {name}")
        self.sql(f"{str(made).partition(' BEGIN')[0]} BEGIN SELECT 1; END")

    def remove(self) -> None:
        """Takes the database away, as if it had never been there."""
        self.close()
        if self.database.shared:
            server.drop(self.url)
        else:
            for suffix in ("", "-wal", "-shm"):
                FilePath(f"{self.file}{suffix}").unlink(missing_ok=True)

    def state(self, code: str) -> State:
        """The state in the case's row."""
        [(state,)] = self.sql("SELECT state FROM household_case WHERE code = ?", code)
        return State(str(state))


def _asked(
    plain: psycopg.Connection, statement: str, values: Sequence[object]
) -> list[tuple[object, ...]]:
    if values:
        statement = statement.replace("%", "%%").replace("?", "%s")
    done = plain.execute(statement.encode(), values or None)
    return done.fetchall() if done.description else []


def make_order(
    code: str,
    kind: Trigger | FactKind,
    *pairs: tuple[str, str],
    on: date | None = None,
    files: Sequence[File] = (),
    reason: str | None = None,
    key: str | None = None,
) -> Order:
    """An order as the command line would make it of `-e KEY=VALUE`."""
    return Order(code, kind, evidence.parse(kind, pairs), on, tuple(files), reason, key)


def pairs_of(order: Order) -> list[tuple[str, str]]:
    """The evidence of an order as `-e KEY=VALUE` pairs."""
    pairs: list[tuple[str, str]] = []
    for name, value in evidence.to_json(order.evidence).items():
        pairs += [(name, str(one)) for one in (value if isinstance(value, list) else [value])]
    return pairs


def usual_login(code: str, kind: Trigger | FactKind) -> str:
    """Who usually does this."""
    match kind:
        case Trigger.ACCEPT | Trigger.REJECT:
            return "zhao"
        case FactKind.FINDING:
            return "shen"
        case FactKind.RESOLVE | FactKind.CORRECT | FactKind.EXTENSION:
            return "zhang"
        case Trigger.CONFIRM | Trigger.SELECT | Trigger.COMPLETE | Trigger.REPLACE | FactKind():
            return UNIT_LOGIN[code[:3]]
    return "zhang"


def confirm(code: str, day: date = CONFIRMED) -> Order:
    """A right confirmation: visit, 公示 of seven days, consent, the old kang."""
    pairs = [
        ("visit_on", str(day - timedelta(days=9))),
        ("notice_from", str(day - timedelta(days=8))),
        ("notice_to", str(day - timedelta(days=2))),
        ("consent_on", str(day - ONE_DAY)),
        ("consent_by", "household"),
        ("old_facility", "kang:in_use"),
    ]
    return make_order(code, Trigger.CONFIRM, *pairs)


def select(code: str, day: date = SELECTED) -> Order:
    """A right selection: a model of the catalogue, or a connection point."""
    what = ("connection_point", "3号站") if code.startswith("RLJ") else ("model", MODEL)
    pairs = [what, ("selection_on", str(day)), ("selection_by", "family")]
    return make_order(code, Trigger.SELECT, *pairs)


def complete(code: str, day: date = COMPLETED, serial: str | None = None) -> Order:
    """Right works: started, installed and ready in order, and the papers."""
    pairs = [
        ("started_on", str(day - timedelta(days=30))),
        ("installed_on", str(day - timedelta(days=5))),
        ("ready_on", str(day)),
        ("contractor", "晋暖公司"),
        ("training_on", str(day)),
    ]
    if not code.startswith("RLJ"):
        pairs.append(("serial", serial or f"SN-{code}"))
    return make_order(code, Trigger.COMPLETE, *pairs)


def accept(code: str) -> Order:
    """A right acceptance: items, signers, dossier, and the kang still there."""
    pairs = [
        ("item", "试运行正常:pass"),
        ("signer", "监理"),
        ("signer", "用户"),
        ("facility", f"kang:present:{PHOTO.name}"),
        ("document", f"验收单:{DOSSIER.name}"),
    ]
    return make_order(code, Trigger.ACCEPT, *pairs, files=(PHOTO, DOSSIER))


def permit(code: str) -> Order:
    """A permission; all it rests on is in the journal."""
    return make_order(code, Trigger.PERMIT)


def heat(code: str, on: date = FIRST_HEAT) -> Order:
    """The first heat."""
    return make_order(code, FactKind.WORKS, ("first_heat_on", str(on)))


def visit(code: str, temperature: str = "20") -> Order:
    """A visit with the thermometer."""
    return make_order(code, FactKind.VISIT, ("temperature", temperature))


def sign(code: str, season: str = "2023-2024") -> Order:
    """The household's signature after a season."""
    return make_order(code, FactKind.SIGNATURE, ("season", season), ("by", "household"))


# The order of a life: (state it leads to, day, order).
LIFE = (
    (State.EQUIPMENT_SELECTION, CONFIRMED, confirm),
    (State.CONSTRUCTION, SELECTED, select),
    (State.ACCEPTANCE, COMPLETED, complete),
    (State.STABLE_SEASON, ACCEPTED, accept),
)
CLOSING = (("cause", "withdrawn"), ("requested_by", "household"), ("document", "申请书"))
WINTER = (
    (date(2023, 11, 6), heat),
    (date(2023, 12, 5), visit),
    (date(2024, 1, 20), visit),
    (SIGNED, sign),
)


def carry(county: County, codes: Sequence[str], to: State) -> None:
    """Takes cases from 确村确户 to a state with right evidence and a warm winter where needed.

    Every batch goes through `engine.carry_out`; a refusal here is a bug.
    """
    if to is State.CLOSED:
        for code in codes:
            county.advance(code, Trigger.CLOSE, CONFIRMED, *CLOSING)
        return
    if to is State.HOUSEHOLD_CONFIRMATION:
        return
    for state, day, make in LIFE:
        _all(county, codes, [make(code) for code in codes], day)
        if state is to:
            return
    winter(county, codes)
    _all(county, codes, [permit(code) for code in codes], PERMITTED)


def winter(county: County, codes: Sequence[str]) -> None:
    """A warm winter for cases in their stable season: heat, two visits, the signature."""
    for day, make in WINTER:
        _all(county, codes, [make(code) for code in codes], day)


def _all(county: County, codes: Sequence[str], orders: Sequence[Order], day: date) -> None:
    by_login: dict[str, list[Order]] = {}
    for code, order in zip(codes, orders, strict=True):
        by_login.setdefault(usual_login(code, order.kind), []).append(order)
    for login, mine in by_login.items():
        for answer in county.carry_out(mine, login, day):
            assert isinstance(answer, Receipt), answer


@cache
def _template(
    *, drill: bool, verified: bool, shipped: bool, later: int = 0, shared: bool = False
) -> str:
    """A founded county, made once in a process and then copied; `later` by so many years."""
    folder = FilePath(tempfile.mkdtemp(prefix="county-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plan_file = folder / "tiny.toml"
    text = plan_text(verified=verified)
    for year in (2025, 2024, 2023):
        text = text.replace(str(year), str(year + later))
    plan_file.write_text(text, encoding="utf-8")
    name = "wutai-2023" if shipped else str(plan_file)
    url = server.new(lasting=True) if shared else str(folder / "county.db")
    founded = FOUNDED.replace(year=FOUNDED.year + later)
    day = journal.noon(founded)
    setup.create(
        url,
        name,
        drill=drill,
        login="zhang",
        name="张县办",
        today=founded if drill else None,
        clock=day,
        password=server.password("zhang"),
    )
    database = db.connect(url)
    if not shipped:
        _furnish(database, folder, later)
    database.close()
    return url


def _furnish(database: Database, folder: FilePath, later: int) -> None:
    day = journal.noon(FOUNDED.replace(year=FOUNDED.year + later))
    for login, (name, role, unit, person) in OFFICERS.items():
        secret = server.password(login)
        setup.add_officer(
            database, login, name, role, unit, person, actor="zhang", now=day, password=secret
        )
    now = journal.noon(LEDGER_IN.replace(year=LEDGER_IN.year + later))
    catalogue = folder / "catalogue.csv"
    lines = ["型号,品牌,取暖方式,中标包号", f"{MODEL},格力,煤改电,1", "SOL-1,皇明,太阳能,2"]
    catalogue.write_text("\n".join(lines), encoding="utf-8")
    setup.import_catalogue(database, catalogue, actor="zhang", now=now)
    opened = date(2023, 5, 10)
    for unit, kind in (("101", GateKind.GRID), ("102", GateKind.GRID), ("RLJ", GateKind.HEAT)):
        village = VILLAGE[unit]
        setup.open_gate(database, unit, village, kind, opened, [PAPER], actor="zhang", now=now)
    file = write_workbook(folder / "台账.xlsx", first_ledger())
    imported = ledger.import_file(database, file, "zhang", now)
    assert imported.accepted, imported.faults
    assert list(imported.codes) == CODES


def fresh(
    folder: FilePath,
    *,
    drill: bool = True,
    verified: bool = False,
    later: int = 0,
    shared: bool | None = None,
) -> County:
    """A new county with its ten households in 确村确户, of 2023 or so many years later.

    `shared` puts it on PostgreSQL, or on a file; otherwise the test's run says where.
    """
    shared = server.shared() if shared is None else shared
    made = _template(drill=drill, verified=verified, shipped=False, later=later, shared=shared)
    return copy_of(made, folder)


def empty_wutai(folder: FilePath, *, drill: bool = False) -> County:
    """A database with the shipped plan and its first county officer, nothing else."""
    made = _template(drill=drill, verified=False, shipped=True, shared=server.shared())
    return copy_of(made, folder)


def copy(place: County, folder: FilePath) -> County:
    """Another database with the same rows, in a folder of its own; nobody writes meanwhile."""
    place.close()
    folder.mkdir(exist_ok=True)
    if place.database.shared:
        return copy_of(place.url, folder)
    # Not the file alone: somebody else's last commits may still be in the log beside it.
    file = folder / place.file.name
    with closing(sqlite3.connect(place.file)) as old, closing(sqlite3.connect(file)) as new:
        old.backup(new)
    return open_at(file)


def copy_of(template: str, folder: FilePath) -> County:
    """A database with the rows of the one at this address, in this folder."""
    file = folder / "county.db"
    return County(file, db.connect(twin(template, file)))


def twin(address: str, file: FilePath) -> str:
    """The address of a database with the rows of the one at this address: this file, or a server's.

    Who wrote there may have died: of a file his last commits lie in the log beside it.
    """
    if "://" in address:
        return server.new(address)
    for suffix in ("", "-wal"):
        if suffix == "" or FilePath(f"{address}{suffix}").exists():
            shutil.copy(f"{address}{suffix}", f"{file}{suffix}")
    return str(file)


def acting(place: County, login: str) -> list[str]:
    """The options with which this officer works: a file is told his login, a server asks for it."""
    if place.database.shared and server.let_in(login):
        return ["--db", server.as_login(place.url, login)]
    return ["--db", place.url, "--as", login]


def typed(place: County, arguments: Iterable[object]) -> list[str]:
    """What is typed on this database: `--as LOGIN` among the arguments says who works there."""
    given = [str(argument) for argument in arguments]
    if "--as" not in given:
        return ["--db", place.url, *given]
    at = given.index("--as")
    return [*acting(place, given[at + 1]), *given[:at], *given[at + 2 :]]


def open_at(address: FilePath | str) -> County:
    """The county whose database is this file, or at this address."""
    return County(FilePath(address), db.connect(str(address)))


def folded(county: County, clocks: Clocks) -> list[Position]:
    """Every case on these clocks with all its events read and folded, in the order of codes."""
    with county.database.reading() as connection:
        plan_, people = register.plan_in_force(connection), register.persons(connection)
        histories = journal.read_cases(connection, people, known_at=clocks.known_at)
        found = [
            cases.position(facts, plan_, clocks.as_of)
            for code, events in histories
            if (facts := fold(code, events, clocks.as_of if clocks.past else None))
        ]
    return sorted(found, key=lambda position: position.code)


def listed(county: County, clocks: Clocks) -> list[Position]:
    """The same as the program lists it."""
    with county.database.reading() as connection:
        return cases.positions(connection, register.plan_in_force(connection), clocks)


def noon(day: date) -> datetime:
    """The instant at which a drill records on a day."""
    return journal.noon(day)


def every_row(county: County) -> dict[str, list[tuple[object, ...]]]:
    """All tables with all their rows: two dumps are equal when nothing was written."""
    if county.database.shared:
        return _every_row_in_server(county)
    with closing(sqlite3.connect(county.file)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        names = [name for (name,) in connection.execute(query)]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for name in names
        }


def _every_row_in_server(county: County) -> dict[str, list[tuple[object, ...]]]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    with server.raw(county.url) as plain:
        names = [str(name) for (name,) in _asked(plain, query, ())]
        return {
            name: sorted(_asked(plain, f'SELECT * FROM "{name}"', ()), key=repr) for name in names
        }


def plan_in(folder: FilePath, text: str) -> str:
    """A plan file with this text."""
    file = folder / "plan.toml"
    file.write_text(text, encoding="utf-8")
    return str(config.load_plan(str(file)) and file)
