"""Setting a county up: the database, its officers, gates and catalogue. One call a command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path as FilePath

from msgspec import Struct
from sqlalchemy import Connection, select

from states import identity
from states.errors import UsageFault
from states.evidence import plain
from states.plan import Json, Plan
from states.vocabulary import GateKind, Path, Role
from workflow import (
    access,
    attachments,
    cases,
    config,
    db,
    journal,
    migrations,
    register,
    signing,
    spreadsheet,
)
from workflow.attachments import File
from workflow.db import Database
from workflow.errors import BadFile
from workflow.journal import Pen
from workflow.keyring import OfficerKey
from workflow.register import Gate, Model, Officer

CATALOGUE_COLUMNS = ("型号", "品牌", "取暖方式", "中标包号")


class Created(Struct, frozen=True):
    """What `init` answers, for programs and for people."""

    document: dict[str, Json]
    text: str


def create(
    url: str,
    plan_name: str,
    *,
    drill: bool,
    login: str,
    name: str,
    today: date | None,
    clock: datetime,
    password: str | None = None,
) -> Created:
    """Makes a new database with its plan and first county officer, whole or not at all.

    On a server the officer gets a login there, with this password. Raises PlanFault, UsageFault
    when the database exists or the day is missing (drill) or given (real).
    """
    plan = config.load_plan(plan_name)
    if drill and today is None:
        raise UsageFault("演练须指明开始日期", place="--today", remedy="加 --today 2023-04-01")
    if not drill and today is not None:
        raise UsageFault("正式数据库的时间只取自时钟，不能用 --today", place="--today")
    now = journal.noon(today) if today is not None else clock
    login, name = _login(login), plain(name, "--name")
    with (
        db.making(url, plan.name) as database,
        database.transaction() as connection,
    ):
        migrations.make(connection)
        register.found(connection, plan, drill=drill, login=login, name=name, now=now)
        _enrol(database, connection, login, password)
    nature = "演练数据库（永久标记“演练”）" if drill else "正式数据库"
    text = (
        f"已建{nature}：{url}\n计划 {plan.title}（{plan.document}），任务 "
        f"{plan.totals.households} 户，责任单位 {len(plan.units)} 个\n"
        f"首位县清洁取暖办人员：{name}（账号 {login}）\n"
        "下一步：xianli officer add 登记责任单位经办人，xianli ledger import 导入台账"
    )
    document: dict[str, Json] = {
        "db": url,
        "plan": plan.name,
        "plan_hash": plan.hash,
        "drill": drill,
        "first": login,
    }
    return Created(document, text)


def _enrol(database: Database, connection: Connection, login: str, password: str | None) -> None:
    """On a server an officer's login is a login of the database."""
    if database.shared:
        verifier = None if password is None else access.verifier_of(login, password)
        access.enrol(connection, login, verifier)


def _login(login: str, place: str = "LOGIN") -> str:
    if not identity.is_login(login):
        raise UsageFault(
            f"账号“{login}”不合要求",
            place=place,
            remedy="用小写字母开头的小写字母、数字和 . _ -，或全用汉字（后面可加数字和 . _ -）；"
            "字母和汉字不混用，最长 63 字节",
        )
    if login == register.SYSTEM.login:
        raise UsageFault(f"“{login}”是程序自用的账号", place=place, remedy="换一个账号")
    # On a file too: it may move to a server.
    access.refuse_reserved(login, place)
    return login


@contextmanager
def _pen(database: Database, login: str, now: datetime) -> Iterator[tuple[Pen, Plan]]:
    with database.transaction() as connection:
        plan = register.plan_in_force(connection)
        yield Pen(connection, register.writer(connection, login), now, plan), plan


def add_officer(
    database: Database,
    login: str,
    name: str,
    role: Role,
    unit: str | None,
    person: str | None,
    *,
    actor: str,
    now: datetime,
    password: str | None = None,
) -> Officer:
    """Registers an officer. Raises what `register.add_officer` does.

    On a server he gets a login there, with this password; one that is there keeps its own.
    """
    with _pen(database, actor, now) as (pen, plan):
        codes = config.unit_codes(plan, unit)
        officer = Officer(
            _login(login),
            plain(name, "--name"),
            _login(person, "--person") if person else login,
            role,
            codes[0] if codes else None,
            True,
        )
        register.add_officer(pen, officer)
        _enrol(database, pen.connection, officer.login, password)
    return officer


def disable_officer(database: Database, login: str, *, actor: str, now: datetime) -> None:
    """Takes a login out of use, on a server its rights there as well (`access.withdraw`)."""
    with _pen(database, actor, now) as (pen, _):
        register.disable_officer(pen, login)
        if database.shared:
            access.withdraw(pen.connection, login)


def add_key(
    database: Database,
    login: str,
    path: FilePath,
    valid_until: date | None,
    *,
    actor: str,
    now: datetime,
) -> OfficerKey:
    """Registers the public key in a file for a login. Raises BadFile and `register.add_key`'s."""
    key = signing.read_public(path)
    with _pen(database, actor, now) as (pen, _):
        return register.add_key(pen, login, key, valid_until)


def revoke_key(database: Database, login: str, *, actor: str, now: datetime) -> OfficerKey:
    """Takes a login's key out of use."""
    with _pen(database, actor, now) as (pen, _):
        return register.revoke_key(pen, login)


def open_gate(
    database: Database,
    unit: str,
    village: str,
    kind: GateKind,
    on: date,
    files: Sequence[File],
    *,
    actor: str,
    now: datetime,
) -> tuple[Gate, str | None]:
    """Records that a village's network is there; warns when nobody lives in such a village."""
    with _pen(database, actor, now) as (pen, plan):
        codes = config.unit_codes(plan, unit)
        assert codes is not None
        gate = Gate(codes[0], plain(village, "VILLAGE").strip(), kind, on)
        register.open_gate(pen, gate, [file.attached for file in files])
        attachments.keep(pen.connection, files)
        warning = _no_household(pen.connection, gate)
    return gate, warning


def _no_household(connection: Connection, gate: Gate) -> str | None:
    case = cases.CASE.c
    here = select(case.code).where(case.unit == gate.unit, case.village == gate.village).limit(1)
    if connection.execute(here).first() is not None:
        return None
    return f"{gate.village} 还没有登记在册的户，请核对村名是否与台账一致"


def import_catalogue(
    database: Database, path: FilePath, *, actor: str, now: datetime
) -> dict[str, Json]:
    """Takes a 中标设备清单 over. Raises BadFile with the row that is wrong."""
    models = read_catalogue(path)
    with _pen(database, actor, now) as (pen, _):
        added = register.import_catalogue(pen, models)
    return {"file": path.name, "rows": len(models), "added": added}


def read_catalogue(path: FilePath) -> list[Model]:
    """The lines of a catalogue file (xlsx, csv). Raises BadFile with the row that is wrong."""
    paths = {word: path for path in Path for word in (path.label, str(path))}
    models = []
    for sheet in spreadsheet.read(path).sheets:
        columns: dict[str, int] = {}
        for number, cells in sorted(sheet.rows.items()):
            texts = {column: str(cell.value).strip() for column, cell in cells.items()}
            if not columns:
                found = {text: column for column, text in texts.items()}
                if all(name in found for name in CATALOGUE_COLUMNS):
                    columns = found
                continue
            model, brand, heating, lot = (texts.get(columns[n], "") for n in CATALOGUE_COLUMNS)
            if not any((model, brand, heating, lot)):
                continue
            if not model or heating not in paths:
                raise BadFile(
                    f"第 {number} 行：型号“{model}”或取暖方式“{heating}”不对",
                    place=f"{path.name} 第 {number} 行",
                    remedy=f"型号不能为空；取暖方式写：{'、'.join(path.label for path in Path)}",
                )
            models.append(Model(model, brand, paths[heating], lot))
    if not models:
        raise BadFile(
            "没有找到设备清单",
            place=path.name,
            remedy=f"表头须有：{'、'.join(CATALOGUE_COLUMNS)}，其下至少一行设备",
        )
    return models
