"""`xianli demo`: the notice's year at its real size, played through the real engine.

Every household, name and number is invented from the seed. Nothing here goes round a guard: each
act is an order to the engine, and some are meant to be refused. Same seed, same figures.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path as FilePath
from random import Random

from msgspec import Struct, field
from msgspec.structs import replace

from notifications import render
from states import deadlines
from states import evidence as keys
from states.errors import UsageFault
from states.identity import PersonalData, check_digit
from states.plan import Json, Task, Unit
from states.vocabulary import (
    Area,
    Facility,
    FactKind,
    GateKind,
    Kind,
    Path,
    Quota,
    Role,
    State,
    Supply,
    Trigger,
)
from workflow import (
    audit,
    cases,
    config,
    db,
    engine,
    journal,
    ledger,
    ledger_file,
    overdue,
    setup,
    spreadsheet,
    verify,
)
from workflow.attachments import File
from workflow.cases import Clocks
from workflow.engine import Order, Receipt, Refusal
from workflow.ledger_file import LedgerRow
from workflow.spreadsheet import ColumnOut, SheetOut

PLAN = "wutai-2023"
FOUNDED = date(2023, 4, 3)
LEDGERS_IN = date(2023, 4, 10)
SHOW_ON = (date(2023, 8, 1), date(2023, 9, 1), date(2023, 9, 15), date(2023, 9, 28))
SEASON_BEGINS = date(2023, 10, 15)
SEASON_ENDS = date(2024, 4, 15)
WITHDRAWN_ON = date(2023, 6, 20)
REPLACED_ON = date(2023, 6, 27)
PERMITS_ON = (date(2024, 4, 22), date(2024, 5, 10))
SIGNED_LATE_ON = date(2024, 5, 6)
REMOVED_ON = date(2024, 5, 20)
COUNTY, SECOND, AUDITOR = "xianban-zhang", "xianban-li", "shenji-wang"
ACCEPTORS = ("yanshou-zhao", "yanshou-qian", "yanshou-sun")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "建国军明丽华秀英强志勇桂兰玉梅海龙平春生福贵文武"
VILLAGES = ("东", "西", "南", "北", "上", "下", "前", "后", "大", "小", "新", "古")
KINDS_OF_VILLAGE = ("庄", "坪", "沟", "河", "岭")
# Units by how fast their crews were: working days between steps, about.
SLOW, SLOWEST = ("202", "209"), ("210",)


class Story(Struct, frozen=True):
    """What the demo answers, for programs and for people."""

    document: dict[str, Json]
    text: str


class Act(Struct, frozen=True):
    """What somebody does on a day; `make` gets the ids of earlier acts by their tags."""

    day: date
    login: str
    make: Callable[[dict[str, int]], Order]
    tag: str = ""


class Played(Struct):
    """What happened on the stage."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    positions: list[overdue.Check] = field(default_factory=list)


class Household(Struct, frozen=True):
    """A household on the stage and the days of its works."""

    code: str
    unit: Unit
    village: str
    path: Path
    kind: Kind
    area: Area
    facilities: tuple[Facility, ...]
    number: int


def run(directory: FilePath, seed: int, progress: Callable[[int, int], None]) -> Story:
    """Plays the year into an empty directory. Raises UsageFault when it is not empty."""
    if directory.exists() and any(directory.iterdir()):
        raise UsageFault(
            f"目录 {directory} 不是空的", place="--directory", remedy="换一个目录，或先清空它"
        )
    (directory / "台账").mkdir(parents=True, exist_ok=True)
    return _Stage(directory, Random(seed), seed, progress).play()


class _Stage:
    """The county, its officers and households, and the year that passes over them."""

    def __init__(
        self,
        directory: FilePath,
        random: Random,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self._directory = directory
        self._random = random
        self._seed = seed
        self._progress = progress
        self._plan = config.load_plan(PLAN)
        self._url = str(directory / "xianli.db")
        self._numbers = 0
        self._played = Played()
        self._gates: dict[tuple[str, str], date] = {}
        self._ledgers: list[dict[str, Json]] = []
        self._grave_on = SEASON_BEGINS

    def play(self) -> Story:
        """The whole year."""
        self._found()
        households = [
            household
            for unit in self._plan.units
            for household in self._ledger(unit, unit.tasks, LEDGERS_IN)
        ]
        self._catalogue()
        self._networks(households)
        leaving = [h for h in households if h.number == 7 and h.unit.task >= 70]
        acts = [
            act
            for household in households
            for act in self._life(household)
            if household not in leaving or act.day < WITHDRAWN_ON
        ]
        acts += self._extras(households)
        acts += [self._withdraw(household) for household in leaving]
        acts.sort(key=lambda act: act.day)
        early = [act for act in acts if act.day < REPLACED_ON]
        self._perform(early, 16, 40)
        late = acts[len(early) :]
        for household in leaving:
            for newcomer in self._ledger(household.unit, (_one_like(household),), REPLACED_ON):
                late += self._life(newcomer, REPLACED_ON)
        self._perform(sorted(late, key=lambda act: act.day), 40, 85)
        self._permits()
        self._removals_after()
        return self._tell()

    # The county --------------------------------------------------------------------------

    def _found(self) -> None:
        setup.create(
            self._url,
            PLAN,
            drill=True,
            login=COUNTY,
            name="张县办",
            today=FOUNDED,
            clock=journal.noon(FOUNDED),
        )
        self._database = db.connect(self._url)
        add: list[tuple[str, str, Role, str | None]] = [
            (SECOND, "李县办", Role.COUNTY_OFFICE, None),
            (AUDITOR, "王审计", Role.AUDITOR, None),
        ]
        add += [(login, f"验收{n}", Role.ACCEPTOR, None) for n, login in enumerate(ACCEPTORS, 1)]
        for unit in self._plan.units:
            add.append((_officer(unit), f"{unit.name}经办人", Role.UNIT_OFFICER, unit.code))
            add.append((f"{_officer(unit)}-head", f"{unit.name}负责人", Role.UNIT_HEAD, unit.code))
        for login, name, role, code in add:
            setup.add_officer(
                self._database,
                login,
                name,
                role,
                code,
                None,
                actor=COUNTY,
                now=journal.noon(FOUNDED),
            )

    def _ledger(self, unit: Unit, tasks: Sequence[Task], day: date) -> list[Household]:
        """Writes a unit's ledger as a workbook and takes it in."""
        rows = [self._row(unit, task) for task in tasks for _ in range(task.households)]
        more = "" if day == LEDGERS_IN else "-递补"
        path = self._directory / "台账" / f"{unit.code}-{unit.name}{more}.xlsx"
        ledger_file.write_ledger(path, rows, self._plan)
        found = ledger.import_file(self._database, path, _officer(unit), journal.noon(day))
        if not found.accepted:
            raise AssertionError(f"the demo's own ledger was refused: {found.faults[:3]}")
        self._ledgers.append(
            {"unit": unit.code, "file": path.name, "rows": found.rows, "added": found.added}
        )
        self._progress(min(len(self._ledgers), 16), 100)
        return [
            Household(
                code,
                unit,
                row.village,
                row.path,
                row.kind,
                row.area,
                row.old_facilities,
                number,
            )
            for number, (code, row) in enumerate(zip(found.codes, rows, strict=True))
        ]

    def _row(self, unit: Unit, task: Task, quota: Quota = Quota.PLANNED) -> LedgerRow:
        self._numbers += 1
        number, random = self._numbers, self._random
        kind = task.kind or Kind.RESIDENTIAL
        village = self._village(unit, task, number)
        area = random.choice((72.0, 80.0, 90.0, 96.0, 108.0, 120.0))
        collective = kind is Kind.COLLECTIVE
        name = f"{village}警务室{number}" if collective else self._name()
        electric = task.path is Path.COAL_TO_ELECTRIC
        personal = PersonalData(
            name=name,
            id_number="" if collective else self._id_number(number),
            phone=f"13{900000000 + number:09d}",
            meter=f"14{9000000 + number:08d}" if electric else "",
            address=f"{village}{number}号",
        )
        facilities = random.choice(
            (
                (Facility.KANG,),
                (Facility.STOVE,),
                (Facility.KANG, Facility.STOVE),
                (Facility.BOILER,),
            )
        )
        return LedgerRow(
            sheet=None,
            row=0,
            code=None,
            version=None,
            unit=unit.code,
            village=village,
            path=task.path,
            kind=kind,
            area=task.area or Area.RURAL,
            quota=quota,
            building_area=area,
            heating_area=round(area * 0.75, 1),
            old_facilities=facilities,
            personal=personal,
        )

    def _village(self, unit: Unit, task: Task, number: int) -> str:
        if task.area is Area.COUNTY_TOWN:
            return f"{VILLAGES[number % 8]}关社区"
        size = max(1, min(24, unit.task // 12))
        index = number % size
        return f"{VILLAGES[index % 12]}{KINDS_OF_VILLAGE[index % 5]}村"

    def _name(self) -> str:
        given = self._random.sample(GIVEN, self._random.choice((1, 2, 2)))
        return self._random.choice(SURNAMES) + "".join(given)

    def _id_number(self, number: int) -> str:
        born = date(1945, 1, 1) + timedelta(days=self._random.randrange(17_000))
        first_17 = f"140922{born:%Y%m%d}{number % 1000:03d}"
        return first_17 + check_digit(first_17)

    def _catalogue(self) -> None:
        path = self._directory / "中标设备清单.xlsx"
        columns = [ColumnOut(name, text=True) for name in setup.CATALOGUE_COLUMNS]
        rows: list[list[spreadsheet.Value]] = [
            [f"KFR-{size}W", brand, "煤改电", f"A{lot}"]
            for lot, brand in enumerate(("晋暖", "五峰"), start=1)
            for size in (f"{26 + 10 * lot}", f"{50 + 10 * lot}")
        ]
        spreadsheet.write_workbook(path, [SheetOut("清单", tuple(columns), rows)])
        self._models = [str(row[0]) for row in rows]
        setup.import_catalogue(
            self._database, path, actor=COUNTY, now=journal.noon(date(2023, 4, 20))
        )

    def _networks(self, households: Sequence[Household]) -> None:
        """Opens each village's network; a few villages are late (grid delays)."""
        villages = sorted({(h.unit.code, h.village, h.path) for h in households})
        opened: list[tuple[date, str, str, GateKind]] = []
        for code, village, path in villages:
            kind = self._plan.path_rule(path).gate
            late = 45 if self._random.random() < 0.12 else 0
            day = date(2023, 5, 10) + timedelta(days=self._random.randrange(40) + late)
            self._gates[code, village] = day
            opened.append((day, code, village, kind))
        self._to_open = sorted(opened)

    def _open_networks(self, until: date) -> None:
        while self._to_open and self._to_open[0][0] <= until:
            day, code, village, kind = self._to_open.pop(0)
            setup.open_gate(
                self._database,
                code,
                village,
                kind,
                day,
                [_file(f"{village}通电证明.txt", f"{code} {village} {day}")],
                actor=COUNTY,
                now=journal.noon(until),
            )

    # A household's life ------------------------------------------------------------------

    def _life(self, household: Household, not_before: date = FOUNDED) -> Iterator[Act]:
        """The steps of one household, at its unit's pace, up to the end of the season."""
        random, unit = self._random, household.unit
        pace = 2.2 if unit.code in SLOWEST else 1.6 if unit.code in SLOW else 1.0
        officer = _officer(unit)
        # A unit works its households off village by village, over about three months.
        share = household.number / max(unit.task, 1)
        began = max(date(2023, 4, 24), not_before + timedelta(days=14))
        confirm_on = self._office(unit, began + timedelta(days=int(30 * share * pace)))
        select_on = self._office(unit, confirm_on + timedelta(days=random.randrange(3, 25)))
        gate = self._gates[unit.code, household.village]
        begin = max(select_on, gate) + timedelta(
            days=int((70 * share + random.expovariate(1 / 6)) * pace)
        )
        installed = begin + timedelta(days=random.randrange(1, 6))
        ready = installed + timedelta(days=random.randrange(5))
        complete_on = self._office(unit, ready + timedelta(days=random.randrange(1, 5)))
        accept_on = max(
            self._office(unit, complete_on + timedelta(days=random.randrange(3, 12))),
            date(2023, 8, 20) + timedelta(days=random.randrange(50)),
        )
        acceptor = random.choice(ACCEPTORS)
        yield self._confirm(household, confirm_on)
        yield self._select(household, select_on)
        yield self._complete(household, complete_on, begin, installed, ready)
        if random.random() < 0.02:
            yield self._reject(household, accept_on, acceptor)
            again = self._office(unit, accept_on + timedelta(days=8))
            yield self._complete(household, again, begin, installed, accept_on + timedelta(days=5))
            accept_on = again + timedelta(days=3)
        accept_on = _weekday(accept_on)
        yield self._accept(household, accept_on, acceptor)
        yield from self._winter(household, max(accept_on, SEASON_BEGINS), officer)

    def _office(self, unit: Unit, day: date) -> date:
        """The unit's next office day: units enter their papers once a week."""
        weekday = sum(map(ord, unit.code)) % 5
        return day + timedelta(days=(weekday - day.weekday()) % 7)

    def _confirm(self, household: Household, day: date) -> Act:
        claims = [f"{facility}:in_use" for facility in household.facilities]
        return _act(
            day,
            _officer(household.unit),
            household.code,
            Trigger.CONFIRM,
            visit_on=day - timedelta(days=14),
            notice_from=day - timedelta(days=10),
            notice_to=day - timedelta(days=2),
            consent_on=day - timedelta(days=1),
            consent_by="household" if household.number % 5 else "family",
            old_facility=claims,
        )

    def _select(self, household: Household, day: date) -> Act:
        network = self._plan.path_rule(household.path).supply is Supply.NETWORK
        name, chosen = (
            ("connection_point", f"{household.village}换热站")
            if network
            else ("model", self._random.choice(self._models))
        )
        order = _order(
            household.code,
            Trigger.SELECT,
            {name: chosen, "selection_on": day, "selection_by": "household"},
        )
        return Act(day, _officer(household.unit), lambda ids: order)

    def _complete(
        self, household: Household, day: date, begin: date, installed: date, ready: date
    ) -> Act:
        return _act(
            day,
            _officer(household.unit),
            household.code,
            Trigger.COMPLETE,
            started_on=begin,
            installed_on=installed,
            ready_on=ready,
            contractor="五台暖通安装队",
            serial=f"SN{household.code.replace('-', '')}",
            training_on=ready,
        )

    def _reject(self, household: Household, day: date, acceptor: str) -> Act:
        return _act(
            _weekday(day),
            acceptor,
            household.code,
            Trigger.REJECT,
            findings="接地不规范",
            put_right_by=day + timedelta(days=14),
        )

    def _accept(self, household: Household, day: date, acceptor: str) -> Act:
        wanted = self._plan.acceptance_of(household.path, household.kind, household.area)
        photo = _file("原设施.jpg", f"{household.code} 原设施照片")
        papers = [_file(f"{name}.pdf", f"{household.code} {name}") for name in wanted.documents]
        return _act(
            day,
            acceptor,
            household.code,
            Trigger.ACCEPT,
            item=[f"{name}:pass" for name in wanted.items],
            signer=list(wanted.signers),
            document=[f"{name}:{name}.pdf" for name in wanted.documents],
            facility=[f"{facility}:present:原设施.jpg" for facility in household.facilities],
            files=(photo, *papers),
        )

    def _winter(self, household: Household, begins: date, officer: str) -> Iterator[Act]:
        """First heat, visits, the odd fault, and the signature after the season."""
        random, code = self._random, household.code
        weekday = self._office(household.unit, begins)
        yield _act(weekday, officer, code, FactKind.WORKS, first_heat_on=begins)
        for month in (date(2023, 12, 4), date(2024, 2, 5)):
            day = max(self._office(household.unit, month), weekday)
            warm = random.random() > 0.004
            temperature = round(random.uniform(18.5, 23.0) if warm else 14.5, 1)
            if random.random() > 0.01:
                yield _act(day, officer, code, FactKind.VISIT, temperature=temperature)
            if not warm:
                again = day + timedelta(days=7)
                yield _act(again, officer, code, FactKind.VISIT, temperature=19.5)
        if random.random() < 0.03:
            yield from self._fault(household, officer, 1 + int(random.expovariate(1 / 3)))
        if random.random() > 0.02:
            signed = self._office(household.unit, SEASON_ENDS + timedelta(days=1))
            yield _act(
                signed, officer, code, FactKind.SIGNATURE, season="2023-2024", by="household"
            )

    def _fault(self, household: Household, officer: str, days: int) -> Iterator[Act]:
        broke = date(2023, 12, 18) + timedelta(days=self._random.randrange(60))
        code, tag = household.code, f"fault {household.code}"
        yield _act(broke, officer, code, FactKind.FAULT, tag=tag, what="主机停机")
        yield Act(
            broke + timedelta(days=days),
            officer,
            lambda ids: _order(code, FactKind.REPAIR, {"fault": ids[tag]}),
        )

    # What makes the year interesting -----------------------------------------------------

    def _extras(self, households: Sequence[Household]) -> Iterator[Act]:
        """Refusals, a 换机, a stove that went too early, a violation and a complaint."""
        first = {h.unit.code: h for h in households if h.number == 3}
        doucun, gounan, taicheng = first["103"], first["200"], first["100"]
        # Refused: 公示 too short, no evidence at all, and another unit's case.
        short = self._confirm(doucun, self._office(doucun.unit, date(2023, 4, 17)))
        yield replace(
            short,
            make=lambda ids: _order(
                doucun.code,
                Trigger.CONFIRM,
                {
                    "visit_on": date(2023, 4, 14),
                    "notice_from": date(2023, 4, 14),
                    "notice_to": date(2023, 4, 17),
                },
            ),
        )
        yield _act(date(2023, 7, 3), _officer(gounan.unit), gounan.code, Trigger.COMPLETE)
        yield _act(date(2023, 7, 3), _officer(gounan.unit), doucun.code, Trigger.SELECT)
        # A permission asked for in the middle of the season.
        for household in (doucun, gounan, taicheng):
            yield _act(date(2024, 1, 8), COUNTY, household.code, Trigger.PERMIT)
        yield from self._replaced(gounan)
        yield from self._too_early(doucun)
        yield _act(
            date(2024, 1, 15),
            _officer(taicheng.unit),
            taicheng.code,
            FactKind.COMPLAINT,
            what="夜间室温不够",
        )
        another = next(h for h in households if h.unit.code == "207" and h.number == 5)
        violation = f"violation {another.code}"
        yield _act(
            date(2023, 11, 20),
            COUNTY,
            another.code,
            FactKind.VIOLATION,
            tag=violation,
            type="coal_confiscated",
            by="official",
            what="没收过冬煤，已责令退还",
        )
        yield Act(
            date(2023, 11, 27),
            SECOND,
            lambda ids: _order(
                another.code,
                FactKind.RESOLVE,
                {"id": ids[violation], "outcome": "resolved"},
                (_file("退还收据.pdf", another.code),),
            ),
        )

    def _replaced(self, household: Household) -> Iterator[Act]:
        """换机 in January: the clock starts again."""
        code, officer = household.code, _officer(household.unit)
        swapped = self._office(household.unit, date(2024, 1, 10))
        yield _act(
            swapped,
            officer,
            code,
            Trigger.REPLACE,
            findings="压缩机损坏，厂家换机",
            put_right_by=swapped + timedelta(days=10),
        )
        yield _act(
            swapped + timedelta(days=7),
            officer,
            code,
            Trigger.COMPLETE,
            started_on=swapped + timedelta(days=1),
            installed_on=swapped + timedelta(days=2),
            ready_on=swapped + timedelta(days=3),
            contractor="五台暖通安装队",
            serial=f"SN{code.replace('-', '')}R",
            training_on=swapped + timedelta(days=3),
        )
        yield self._accept(household, swapped + timedelta(days=9), ACCEPTORS[0])

    def _too_early(self, household: Household) -> Iterator[Act]:
        """One stove taken down in January, before its season was over, and then a fault."""
        code, officer = household.code, _officer(household.unit)
        gone = self._office(household.unit, date(2024, 1, 15))
        yield _act(
            gone,
            officer,
            code,
            FactKind.OLD_FACILITY,
            facility=household.facilities[0],
            status="removed",
            by="contractor",
        )
        yield _act(
            gone + timedelta(days=1),
            COUNTY,
            code,
            FactKind.VIOLATION,
            type="stove_removed",
            by="contractor",
            what="未满一季即拆除原设施，责令恢复",
        )
        tag = f"fault {code}"
        broke = gone + timedelta(days=3)
        self._grave_on = broke + timedelta(days=1)
        yield _act(broke, officer, code, FactKind.FAULT, tag=tag, what="主机停机")
        yield Act(
            broke + timedelta(days=2),
            officer,
            lambda ids: _order(code, FactKind.REPAIR, {"fault": ids[tag]}),
        )

    def _withdraw(self, household: Household) -> Act:
        """A household leaves; another takes its place in the annex a week later."""
        return _act(
            WITHDRAWN_ON,
            COUNTY,
            household.code,
            Trigger.CLOSE,
            cause="withdrawn",
            requested_by=household.unit.name,
            document="退出申请.pdf",
            files=(_file("退出申请.pdf", household.code),),
        )

    # Playing -----------------------------------------------------------------------------

    def _perform(self, acts: Sequence[Act], begins: int, ends: int) -> None:
        """Lets the acts happen day by day; `begins` and `ends` are percents of the whole."""
        total = len(acts)
        done, index = 0, 0
        while index < total:
            day = acts[index].day
            self._show_position(day)
            self._open_networks(day)
            today: dict[str, list[Act]] = {}
            while index < total and acts[index].day == day:
                today.setdefault(acts[index].login, []).append(acts[index])
                index += 1
            for login, mine in today.items():
                self._carry_out(mine, login, day)
                done += len(mine)
            self._progress(begins + (ends - begins) * done // total, 100)

    def _carry_out(self, acts: Sequence[Act], login: str, day: date) -> None:
        orders = [act.make(self._played.ids) for act in acts]
        answers = engine.carry_out(self._database, orders, login, journal.noon(day))
        for act, answer in zip(acts, answers, strict=True):
            self._note(act.tag, answer)

    def _note(self, tag: str, answer: Receipt | Refusal) -> None:
        played = self._played
        if isinstance(answer, Refusal):
            played.refused[answer.order.kind] += 1
            played.refusals.append(answer)
            return
        played.done[answer.trigger] += 1
        if tag:
            played.ids[tag] = answer.seq

    def _show_position(self, day: date) -> None:
        """Looks at the deadlines on each day to be shown, before that day's papers come in."""
        shown = len(self._played.positions)
        while shown < len(SHOW_ON) and SHOW_ON[shown] < day:
            with self._database.reading() as connection:
                found = overdue.check(connection, self._plan, Clocks(SHOW_ON[shown]))
            self._played.positions.append(found)
            shown += 1

    # After the season --------------------------------------------------------------------

    def _permits(self) -> None:
        """Asks for every permission; what was refused is asked again when papers have come."""
        self._ask_for_permissions(PERMITS_ON[0])
        unsigned = [
            refusal.order.code
            for refusal in self._played.refusals
            if refusal.order.kind is Trigger.PERMIT
            and [reason.guard for reason in refusal.error.reasons] == ["season_signed"]
        ]
        late = [
            _act(
                SIGNED_LATE_ON,
                COUNTY,
                code,
                FactKind.SIGNATURE,
                season="2023-2024",
                by="household",
            )
            for code in unsigned[::2]
        ]
        self._perform(late, 88, 90)
        self._played.refusals.clear()
        self._ask_for_permissions(PERMITS_ON[1])
        self._progress(93, 100)

    def _ask_for_permissions(self, day: date) -> None:
        with self._database.reading() as connection:
            waiting = [
                position.code
                for position in cases.positions(connection, self._plan, Clocks(day))
                if position.state is State.STABLE_SEASON
            ]
        acts = [_act(day, SECOND, code, Trigger.PERMIT) for code in waiting]
        self._carry_out(acts, SECOND, day)
        self._progress(88, 100)

    def _removals_after(self) -> None:
        """Some households take their old stove down, as they now may; most keep it."""
        with self._database.reading() as connection:
            permitted = [
                position
                for position in cases.positions(connection, self._plan, Clocks(REMOVED_ON))
                if position.state is State.REMOVAL_PERMITTED
            ][::150]
            histories = cases.load(connection, [position.code for position in permitted])
        acts = [
            _act(
                REMOVED_ON,
                COUNTY,
                position.code,
                FactKind.OLD_FACILITY,
                facility=str(histories[position.code][0].texts("old_facilities")[0]),
                status="removed",
                by="household",
            )
            for position in permitted
        ]
        self._perform(acts, 94, 95)

    # The summary -------------------------------------------------------------------------

    def _tell(self) -> Story:
        with self._database.reading() as connection:
            positions = cases.positions(connection, self._plan, Clocks(REMOVED_ON))
            report = audit.report(connection)
            verification = audit.verification(connection, report)
            bundle = self._directory / "审计包.jsonl"
            audit.write_bundle(connection, bundle)
        self._progress(99, 100)
        self._database.close()
        document = self._document(positions, verification, report)
        text = render.render("demo.txt.j2", document)
        (self._directory / "先看这里.txt").write_text(text, encoding="utf-8")
        self._progress(100, 100)
        return Story(document, text)

    def _document(
        self,
        positions: Sequence[cases.Position],
        verification: audit.Verification,
        report: verify.Report,
    ) -> dict[str, Json]:
        played = self._played
        waiting = [r for r in played.refusals if r.order.kind is Trigger.PERMIT]
        planned = [p for p in positions if p.state is not State.CLOSED and p.quota is Quota.PLANNED]
        example = next((p.code for p in positions if p.state is State.STABLE_SEASON), "")
        return {
            "directory": str(self._directory),
            "db": self._url,
            "seed": self._seed,
            "cases": len(planned),
            "states": dict(sorted(Counter(str(p.state) for p in positions).items())),
            "ledgers": [*self._ledgers],
            "annex": [
                {
                    "unit": unit.code,
                    "name": unit.name,
                    "task": unit.task,
                    "planned": sum(p.unit == unit.code for p in planned),
                    "done": sum(p.unit == unit.code and p.state in deadlines.DONE for p in planned),
                    "permitted": sum(
                        p.unit == unit.code and p.state is State.REMOVAL_PERMITTED for p in planned
                    ),
                }
                for unit in self._plan.units
            ],
            "positions": [
                {
                    "as_of": check.as_of.isoformat(),
                    "overdue": check.overdue,
                    "at_risk": check.at_risk,
                    "done": sum(line.done for line in check.by_unit),
                    "gravest": len(check.gravest),
                }
                for check in played.positions
            ],
            "steps": dict(sorted(played.done.items())),
            "refused": dict(sorted(played.refused.items())),
            "not_permitted": {
                "cases": len(waiting),
                "guards": _by_guard(waiting),
                "example": example,
            },
            "audit": {
                "verified": verification.verified,
                "events": verification.events,
                "cases": verification.cases,
                "permitted": report.permitted,
                "removed": report.removed,
                "lawful": report.lawful,
                "findings": [finding.message for finding in report.removal],
                "early": report.removal[0].case if report.removal else None,
                "grave_on": self._grave_on.isoformat(),
            },
        }


def _by_guard(refused: Sequence[Refusal]) -> list[Json]:
    """How many cases each guard kept back, with one case as an example, the most frequent first."""
    cases_of = Counter(reason.guard for refusal in refused for reason in refusal.error.reasons)
    lines: list[Json] = []
    for guard, number in cases_of.most_common():
        code, reason = next(
            (refusal.order.code, reason)
            for refusal in refused
            for reason in refusal.error.reasons
            if reason.guard == guard
        )
        lines.append(
            {
                "guard": guard,
                "cases": number,
                "example": code,
                "message": reason.message,
                "earliest": reason.earliest.isoformat() if reason.earliest else None,
                "earliest_reason": reason.earliest_reason,
            }
        )
    return lines


def _officer(unit: Unit) -> str:
    return f"jb-{unit.code.lower()}"


def _one_like(household: Household) -> Task:
    return Task(path=household.path, kind=household.kind, area=household.area, households=1)


def _weekday(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


def _file(name: str, text: str) -> File:
    return File(name, f"演示附件：{text}".encode())


def _act(
    day: date,
    login: str,
    code: str,
    kind: Trigger | FactKind,
    *,
    tag: str = "",
    files: tuple[File, ...] = (),
    **given: object,
) -> Act:
    order = _order(code, kind, given, files)
    return Act(day, login, lambda ids: order, tag)


def _order(
    code: str,
    kind: Trigger | FactKind,
    given: Mapping[str, object],
    files: tuple[File, ...] = (),
) -> Order:
    pairs = [
        (key, str(one))
        for key, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return Order(code, kind, keys.parse(kind, pairs), files=files)
