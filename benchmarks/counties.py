"""Counties of any size for the measurements, made through the real engine: nothing goes round it.

`found` makes an office with the shipped plan, its annex so many times as large; `register` adds
made-up households by the same `Desk` that the import writes with; `life` are the orders that take a
household through its five steps, with the facts of the winter that the permission rests on.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from importlib import resources
from pathlib import Path as FilePath

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import insert

from states import evidence as keys
from states.identity import PersonalData, check_digit
from states.plan import Plan, Task, Unit
from states.vocabulary import (
    Area,
    Facility,
    FactKind,
    Kind,
    Path,
    Quota,
    Role,
    State,
    Supply,
    Trigger,
)
from workflow import access, attachments, db, journal, setup, tables
from workflow import register as registers
from workflow.attachments import File
from workflow.db import Database
from workflow.engine import Desk, Order
from workflow.journal import Draft, Head, Pen
from workflow.ledger_file import LedgerRow
from workflow.register import Gate, Model

TASK = 3966
COUNTY, SECOND, ACCEPTOR = "county", "county-2", "acceptor"
FOUNDED, REGISTERED = date(2023, 5, 20), date(2023, 5, 22)
CONFIRMED, SELECTED = date(2023, 6, 10), date(2023, 6, 15)
COMPLETED, ACCEPTED = date(2023, 8, 10), date(2023, 9, 10)
FIRST_HEAT, WARM = date(2023, 10, 16), (date(2023, 12, 5), date(2024, 2, 20))
SIGNED, PERMITTED = date(2024, 4, 18), date(2024, 4, 22)
MODEL = "KFR-35"
NAMES = ("王建国", "李桂兰", "张福贵", "欧阳明", "刘秀英", "陈军", "赵玉梅")
# What is handled in one transaction, as a batch of an officer would be.
CHUNK = 5_000
VILLAGES, IN_VILLAGE = 50, 40
_KEY = tables.HOUSEHOLD_KEY
_PERSONAL = tables.PERSONAL


@cache
def plan_text(factor: int) -> str:
    """The shipped plan with an annex so many times as large."""
    text = resources.files("states").joinpath("plans", "wutai-2023.toml").read_text("utf-8")
    return re.sub(
        r"households = (\d+)", lambda found: f"households = {int(found[1]) * factor}", text
    )


def found(url: str, folder: FilePath, size: int) -> Database:
    """A drill with room for so many households: plan, officers, catalogue and gates.

    On a server every officer gets a login of the database, too.
    """
    plan_file = folder / "plan.toml"
    plan_file.write_text(plan_text(-(-size // TASK)), encoding="utf-8")
    now = journal.noon(FOUNDED)
    setup.create(
        url, str(plan_file), drill=True, login=COUNTY, name="县办", today=FOUNDED, clock=now
    )
    database = db.connect(url)
    with database.transaction() as connection:
        plan = registers.plan_in_force(connection)
        pen = Pen(connection, registers.writer(connection, COUNTY), now, plan)
        for login, role, code in officers(plan):
            registers.add_officer(pen, registers.Officer(login, "经办", login, role, code, True))
            if database.shared:
                access.enrol(connection, login, None)
        paths = {task.path for unit in plan.units for task in unit.tasks}
        registers.import_catalogue(
            pen, [Model(MODEL, "晋暖", path, "A1") for path in sorted(paths)]
        )
        certificate = File("通电证明.pdf", b"%PDF-1.4 a certificate")
        attachments.keep(connection, [certificate])
        for unit in plan.units:
            kind = plan.path_rule(unit.tasks[0].path).gate
            # As many villages as the households lie in.
            for number in range(min(VILLAGES, size // IN_VILLAGE + 1)):
                gate = Gate(unit.code, village(number), kind, FOUNDED)
                registers.open_gate(pen, gate, [certificate.attached])
        pen.write()
    return database


def officers(plan: Plan) -> Iterator[tuple[str, Role, str | None]]:
    """Who works in the county besides its first officer."""
    yield SECOND, Role.COUNTY_OFFICE, None
    yield ACCEPTOR, Role.ACCEPTOR, None
    for unit in plan.units:
        yield officer(unit.code), Role.UNIT_OFFICER, unit.code


def officer(unit: str) -> str:
    """The login of a unit's officer."""
    return f"jb-{unit.lower()}"


def village(number: int) -> str:
    """One of each unit's villages."""
    return f"第{number % VILLAGES + 1}村"


def households(plan: Plan, first: int, last: int) -> Iterator[LedgerRow]:
    """Made-up households by number, each in a place of the annex, the units mixed."""
    places = [(unit, task) for unit in plan.units for task in unit.tasks]
    shares = [task.households for _, task in places]
    total = sum(shares)
    # The golden ratio's multiples fall evenly over the annex, whatever part of it is taken.
    step = next(n for n in range(int(total * 0.618), total) if _coprime(n, total))
    bounds = [sum(shares[: index + 1]) for index in range(len(shares))]
    for number in range(first, last):
        place = number * step % total
        index = next(i for i, bound in enumerate(bounds) if place < bound)
        yield household(*places[index], number)


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def household(unit: Unit, task: Task, number: int) -> LedgerRow:
    """The household of this number: its ID, meter and address are nobody else's."""
    first_17 = f"140922{1940 + number % 59}{number % 12 + 1:02d}{number // 1000 % 28 + 1:02d}"
    first_17 += f"{number % 1000:03d}"
    collective = task.kind is Kind.COLLECTIVE
    return LedgerRow(
        sheet=None,
        row=0,
        code=None,
        version=None,
        unit=unit.code,
        village=village(number // IN_VILLAGE),
        path=task.path,
        kind=task.kind or Kind.RESIDENTIAL,
        area=task.area or Area.RURAL,
        quota=Quota.PLANNED,
        building_area=80 + number % 60,
        heating_area=50 + number % 40,
        old_facilities=(Facility.KANG, Facility.STOVE),
        personal=PersonalData(
            name=NAMES[number % len(NAMES)],
            id_number="" if collective else first_17 + check_digit(first_17),
            phone=f"138{number:08d}",
            meter=f"14{number:08d}",
            address=f"{unit.name}第{number}号",
            remarks="基准",
        ),
    )


class Case(Struct, frozen=True):
    """A registered household, as far as its orders depend on it."""

    code: str
    unit: str
    path: Path
    kind: Kind
    area: Area


def add(database: Database, size: int) -> list[Case]:
    """Registers so many households, `CHUNK` in a transaction; the county has none yet."""
    with database.reading() as connection:
        plan = registers.plan_in_force(connection)
    numbers: dict[str, int] = {}
    added: list[Case] = []
    for first in range(0, size, CHUNK):
        with database.transaction() as connection:
            desk = Desk(connection, COUNTY, journal.noon(REGISTERED))
            added += _register(desk, plan, range(first, min(size, first + CHUNK)), numbers)
    return added


def _register(desk: Desk, plan: Plan, which: range, numbers: dict[str, int]) -> Iterator[Case]:
    papers: list[dict[str, object]] = []
    keys_: list[dict[str, object]] = []
    for row in households(plan, which.start, which.stop):
        numbers[row.unit] = numbers.get(row.unit, 0) + 1
        code = f"{row.unit}-{numbers[row.unit]:04d}"
        papers.append(paper(code, row.personal))
        keys_ += known_by(code, row.personal)
        desk.pen.know(f"case:{code}", Head())
        desk.put(_registered(desk, code, row, str(papers[-1]["digest"])))
        yield Case(code, row.unit, row.path, row.kind, row.area)
    desk.finish()
    desk.connection.execute(insert(_PERSONAL), papers)
    desk.connection.execute(insert(_KEY), keys_)


def _registered(desk: Desk, code: str, row: LedgerRow, digest: str) -> Draft:
    return Draft(
        f"case:{code}",
        "registered",
        desk.today,
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
        personal=digest,
    )


def known_by(code: str, personal: PersonalData) -> list[dict[str, object]]:
    """The rows of its meter and its ID."""
    return [
        {"kind": kind, "value": value, "case_code": code}
        for kind, value in (("meter", personal.meter), ("id_number", personal.id_number))
        if value
    ]


def paper(code: str, personal: PersonalData) -> dict[str, object]:
    """The row of its personal data, with the salted digest that its first event commits to."""
    data = asdict(personal)
    salt = secrets.token_hex(16)
    digest = journal.digest(journal.canonical({"salt": salt, **data}))
    return {"case_code": code, "version": 1, **data, "salt": salt, "digest": digest}


# A household's life --------------------------------------------------------------------------


class Stage(Struct, frozen=True):
    """One step (or fact) that every household takes: its kind, its day, and who does it."""

    kind: Trigger | FactKind
    day: date
    login: str | None = None

    def who(self, case: Case) -> str:
        """The login that does it."""
        return self.login or officer(case.unit)


STAGES = (
    Stage(Trigger.CONFIRM, CONFIRMED),
    Stage(Trigger.SELECT, SELECTED),
    Stage(Trigger.COMPLETE, COMPLETED),
    Stage(Trigger.ACCEPT, ACCEPTED, ACCEPTOR),
    Stage(FactKind.WORKS, FIRST_HEAT),
    Stage(FactKind.VISIT, WARM[0]),
    Stage(FactKind.VISIT, WARM[1]),
    Stage(FactKind.SIGNATURE, SIGNED),
    Stage(Trigger.PERMIT, PERMITTED, SECOND),
)
STEPS = tuple(stage for stage in STAGES if isinstance(stage.kind, Trigger))


def order(case: Case, stage: Stage, plan: Plan) -> Order:
    """What the officer asks for, its evidence complete."""
    pairs, files = _evidence(case, stage, plan)
    return Order(case.code, stage.kind, keys.parse(stage.kind, pairs), files=files)


def _evidence(
    case: Case, stage: Stage, plan: Plan
) -> tuple[list[tuple[str, str]], tuple[File, ...]]:
    day = stage.day
    match stage.kind:
        case Trigger.CONFIRM:
            return _pairs(
                visit_on=day - timedelta(days=14),
                notice_from=day - timedelta(days=10),
                notice_to=day - timedelta(days=2),
                consent_on=day - timedelta(days=1),
                consent_by="household",
                old_facility=["kang:in_use", "stove:in_use"],
            ), ()
        case Trigger.SELECT:
            network = plan.path_rule(case.path).supply is Supply.NETWORK
            chosen = {"connection_point": "3号站"} if network else {"model": MODEL}
            return _pairs(**chosen, selection_on=day, selection_by="household"), ()
        case Trigger.COMPLETE:
            return _pairs(
                started_on=day - timedelta(days=20),
                installed_on=day - timedelta(days=5),
                ready_on=day - timedelta(days=1),
                contractor="五台暖通安装队",
                serial=f"SN{case.code}",
                training_on=day - timedelta(days=1),
            ), ()
        case Trigger.ACCEPT:
            return _acceptance(case, plan)
        case FactKind.WORKS:
            return _pairs(first_heat_on=day), ()
        case FactKind.VISIT:
            return _pairs(temperature="20.5"), ()
        case FactKind.SIGNATURE:
            return _pairs(season="2023-2024", by="household"), ()
    return [], ()


def _acceptance(case: Case, plan: Plan) -> tuple[list[tuple[str, str]], tuple[File, ...]]:
    wanted = plan.acceptance_of(case.path, case.kind, case.area)
    names = ("原设施.jpg", *(f"{name}.pdf" for name in wanted.documents))
    files = tuple(File(name, f"{case.code} {name}".encode()) for name in names)
    return _pairs(
        item=[f"{name}:pass" for name in wanted.items],
        signer=list(wanted.signers),
        document=[f"{name}:{name}.pdf" for name in wanted.documents],
        facility=["kang:present:原设施.jpg", "stove:present:原设施.jpg"],
    ), files


def _pairs(**given: object) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def batches(cases: Sequence[Case], stage: Stage, plan: Plan) -> Iterator[tuple[str, list[Order]]]:
    """The orders of one stage by who gives them, as many at a time as make a batch."""
    mine: dict[str, list[Case]] = {}
    for case in cases:
        mine.setdefault(stage.who(case), []).append(case)
    for login, theirs in mine.items():
        for start in range(0, len(theirs), CHUNK):
            yield login, [order(case, stage, plan) for case in theirs[start : start + CHUNK]]
