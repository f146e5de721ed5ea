"""The auditor's sample: which households are visited, what was found there, what follows for all.

A draw and its results are events of the stream `samples`; nothing about them is kept elsewhere. The
population is read from the journal as it stood at the draw, so that anybody can draw again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from math import ceil
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select

from states import evidence
from states.errors import StepRefused, UsageFault
from states.facts import Actor, Event, fold
from states.identity import PersonalData, holds_personal_number
from states.plan import Json, Plan
from states.vocabulary import Found, Role, State, VisitVerdict
from states.workdays import local_date
from workflow import cases, journal, register, reports, sample_sheet, sampling, tables
from workflow.db import Database
from workflow.errors import NotPermitted
from workflow.journal import Draft, Pen
from workflow.ledger_file import Fault
from workflow.sample_sheet import Line, Visit
from workflow.sampling import Stratum

STREAM = "samples"
POPULATION = (State.STABLE_SEASON, State.REMOVAL_PERMITTED)
_JOURNAL = tables.JOURNAL


class Terms(Struct, frozen=True):
    """What a sample shall show: with this risk, fewer than the tolerable share deviate."""

    risk: Fraction
    tolerable: Fraction
    expected: int = 0
    states: tuple[State, ...] = POPULATION


class Size(Struct, frozen=True):
    """How many households there are, and how many of each unit are to be visited.

    `size` is the hypergeometric one for the county as a whole, `strata` sum up to it or more.
    """

    population: int
    population_hash: str
    size: int
    strata: tuple[Stratum, ...]

    @property
    def drawn(self) -> int:
        """How many are visited in all."""
        return sum(one.drawn for one in self.strata)


class Draw(Struct, frozen=True):
    """A sample that was drawn; its id is the `seq` of its event."""

    id: int
    drawn_on: date
    drawn_by: str
    seed: str
    terms: Terms
    size: Size
    codes: tuple[str, ...]
    repeated: bool = False


class Conclusion(Struct, frozen=True):
    """What follows from the visits: not before all are in.

    `bound` is the most households that can deviate, but for the risk; `reached` says whether their
    share is below the tolerable one.
    """

    failed: int
    unseen: int
    bound: int
    reached: bool
    sentence: str


class Standing(Struct, frozen=True):
    """A draw, what was found so far, and whether it can be drawn again from the journal.

    `joined` and `left` are the cases that came into the population since, and went out of it.
    """

    draw: Draw
    visits: tuple[Visit, ...]
    missing: tuple[str, ...]
    corrected: tuple[str, ...]
    reproduced: bool
    joined: tuple[str, ...]
    left: tuple[str, ...]
    conclusion: Conclusion | None


class Results(Struct, frozen=True):
    """What a returned sheet came to: taken as a whole, or refused with its faults."""

    file: str
    rows: int
    recorded: tuple[str, ...]
    faults: tuple[Fault, ...]
    standing: Standing | None


def size(connection: Connection, terms: Terms) -> Size:
    """How many would be drawn today; nothing is drawn. Raises UsageFault."""
    return _size(population(connection, terms.states), terms)


def _size(people: Mapping[str, str], terms: Terms) -> Size:
    if not people:
        told = "、".join(state.label for state in terms.states)
        raise UsageFault(
            f"没有处于 {told} 的户，无从抽样", place="--state", remedy="用 --state 指定其他环节"
        )
    by_unit: dict[str, int] = {}
    for unit in people.values():
        by_unit[unit] = by_unit.get(unit, 0) + 1
    number, strata = sampling.allocate(by_unit, terms.risk, terms.tolerable, terms.expected)
    return Size(len(people), sampling.population_hash(people), number, strata)


def population(
    connection: Connection, states: Sequence[State], before: int | None = None
) -> dict[str, str]:
    """The unit of each case in one of the states, as the journal stood before a `seq`; or today."""
    column = _JOURNAL.c
    query = select(column.stream, column.to_state).where(
        column.stream.like("case:%"), column.to_state.is_not(None)
    )
    if before is not None:
        query = query.where(column.seq < before)
    last = {row.stream: row.to_state for row in connection.execute(query.order_by(column.seq))}
    rows = connection.execute(select(cases.CASE.c.code, cases.CASE.c.unit))
    units = {row.code: row.unit for row in rows}
    codes = (s.removeprefix("case:") for s, state in last.items() if state in states)
    return {code: units[code] for code in sorted(codes)}


def draw(database: Database, login: str, now: datetime, seed: str, terms: Terms) -> Draw:
    """Draws a sample and records it; the same draw again answers with the one on record.

    Raises NotPermitted for anybody but an auditor, UsageFault, StepRefused.
    """
    if not evidence.plain(seed, "--seed").strip():
        raise UsageFault("种子不能为空", place="--seed", remedy="例如当众抽取的号码")
    if holds_personal_number(seed):
        raise StepRefused("种子中含有身份证号或手机号", place="--seed", remedy="换一个种子")
    with database.transaction() as connection:
        pen = _pen(connection, login, now)
        people = population(connection, terms.states)
        wanted = _size(people, terms)
        for earlier in draws(connection, checked=True):
            if (earlier.seed, earlier.terms, earlier.size) == (seed, terms, wanted):
                return replace(earlier, repeated=True)
        codes = sampling.choose(people, wanted.strata, seed)
        event = pen.add(
            Draft(STREAM, "sample_drawn", local_date(pen.now), _drawn(seed, terms, wanted, codes))
        )
        pen.write()
    return Draw(event.seq, event.occurred_on, login, seed, terms, wanted, codes)


def _pen(connection: Connection, login: str, now: datetime) -> Pen:
    who = register.writer(connection, login)
    _require_auditor(who)
    return Pen(connection, who, now, register.plan_in_force(connection))


def _require_auditor(who: Actor) -> None:
    if who.role is not Role.AUDITOR:
        raise NotPermitted(
            "抽样和抽查结果由审计人员登记，被查的人不能自己抽",
            place="--as",
            remedy="请审计人员的账号办理",
        )


def _drawn(seed: str, terms: Terms, wanted: Size, codes: Sequence[str]) -> dict[str, Json]:
    return {
        "seed": seed,
        "risk": str(terms.risk),
        "tolerable": str(terms.tolerable),
        "expected": terms.expected,
        "states": list(terms.states),
        "population": wanted.population,
        "population_hash": wanted.population_hash,
        "size": wanted.size,
        "by_unit": [
            {"unit": one.unit, "population": one.population, "drawn": one.drawn}
            for one in wanted.strata
        ],
        "codes": list(codes),
    }


# --- what is on record ----------------------------------------------------------------------------


def draws(connection: Connection, *, checked: bool = False) -> list[Draw]:
    """Every sample ever drawn, in order. Raises JournalBroken when `checked`."""
    return [_draw(event) for event in _events(connection, "sample_drawn", checked=checked)]


def _events(connection: Connection, kind: str, *, checked: bool = False) -> list[Event]:
    people = register.persons(connection)
    found = journal.read_streams(connection, [STREAM], people, checked=checked)
    return [event for event in found[STREAM] if event.kind == kind]


def _draw(event: Event) -> Draw:
    given = event.evidence
    by_unit, codes, states = given["by_unit"], given["codes"], given["states"]
    number, expected, wanted = given["population"], given["expected"], given["size"]
    assert isinstance(by_unit, list)
    assert isinstance(codes, list)
    assert isinstance(states, list)
    assert isinstance(number, int)
    assert isinstance(expected, int)
    assert isinstance(wanted, int)
    strata = []
    for one in by_unit:
        assert isinstance(one, dict)
        count, drawn = one["population"], one["drawn"]
        assert isinstance(count, int)
        assert isinstance(drawn, int)
        strata.append(Stratum(str(one["unit"]), count, drawn))
    return Draw(
        id=event.seq,
        drawn_on=event.occurred_on,
        drawn_by=event.actor,
        seed=str(given["seed"]),
        terms=Terms(
            Fraction(str(given["risk"])),
            Fraction(str(given["tolerable"])),
            expected,
            tuple(State(str(state)) for state in states),
        ),
        size=Size(number, str(given["population_hash"]), wanted, tuple(strata)),
        codes=tuple(map(str, codes)),
    )


def standing(connection: Connection, id_: int | None) -> Standing:
    """Where a sample stands (None: the last one drawn). Raises UsageFault."""
    known = {one.id: one for one in draws(connection)}
    if not known:
        raise UsageFault("还没有抽过样", remedy="由审计人员用 xianli audit sample 抽取")
    if id_ is not None and id_ not in known:
        raise UsageFault(
            f"没有编号为 {id_} 的抽样",
            place="ID",
            remedy=f"抽样编号有：{'、'.join(map(str, known))}",
        )
    found = known[id_ if id_ is not None else max(known)]
    visits, corrected = _visits(connection, found)
    then = population(connection, found.terms.states, before=found.id)
    now = population(connection, found.terms.states)
    missing = tuple(code for code in found.codes if code not in visits)
    return Standing(
        draw=found,
        visits=tuple(visits[code] for code in sorted(visits)),
        missing=missing,
        corrected=corrected,
        reproduced=sampling.population_hash(then) == found.size.population_hash
        and sampling.choose(then, found.size.strata, found.seed) == found.codes,
        joined=tuple(code for code in now if code not in then),
        left=tuple(code for code in then if code not in now),
        conclusion=None if missing else _conclude(found, [*visits.values()]),
    )


def _visits(connection: Connection, found: Draw) -> tuple[dict[str, Visit], tuple[str, ...]]:
    """What was found, the last word on each household; and those on which there was another."""
    visits: dict[str, Visit] = {}
    corrected: dict[str, None] = {}
    for event in _events(connection, "sample_results"):
        rows = event.evidence["rows"]
        assert isinstance(rows, list)
        if event.number("sample") != found.id:
            continue
        for row in rows:
            assert isinstance(row, dict)
            visit = _visit(row)
            if visit.code in visits:
                corrected[visit.code] = None
            visits[visit.code] = visit
    return visits, tuple(corrected)


def _visit(row: Mapping[str, Json]) -> Visit:
    def answer(name: str) -> Found | None:
        return None if row[name] is None else Found(str(row[name]))

    degrees = row["temperature"]
    assert degrees is None or isinstance(degrees, int | float)
    return Visit(
        code=str(row["code"]),
        on=date.fromisoformat(str(row["on"])),
        verdict=VisitVerdict(str(row["verdict"])),
        heating=answer("heating"),
        stove=answer("stove"),
        kang=answer("kang"),
        temperature=None if degrees is None else float(degrees),
        remarks=str(row["remarks"]),
    )


def row_of(visit: Visit) -> dict[str, Json]:
    """A visit as the journal and `--json` carry it."""
    return {
        "code": visit.code,
        "on": visit.on.isoformat(),
        "verdict": visit.verdict,
        "heating": visit.heating,
        "stove": visit.stove,
        "kang": visit.kang,
        "temperature": visit.temperature,
        "remarks": visit.remarks,
    }


def _conclude(found: Draw, visits: Sequence[Visit]) -> Conclusion:
    failed = sum(visit.verdict is VisitVerdict.FAIL for visit in visits)
    unseen = sum(visit.verdict is VisitVerdict.UNSEEN for visit in visits)
    terms, number = found.terms, found.size.population
    bound = sampling.upper_bound(found.size.strata, failed + unseen, terms.risk)
    reached = bound < sampling.too_many(number, terms.tolerable)
    counted = f"（其中未查到 {unseen} 户，按不合格计）" if unseen else ""
    allowed = percent(terms.tolerable)
    verdict = (
        f"低于可容忍的 {allowed}，达到要求"
        if reached
        else f"不能断定低于可容忍的 {allowed}，没有达到要求：应扩大抽查，或逐户核查"
    )
    sentence = (
        f"抽样时总体 {number} 户，抽查 {len(visits)} 户，不合格 {failed + unseen} 户{counted}。"
        f"在 {percent(terms.risk)} 的误判风险下，全县这样的户至多 {bound} 户"
        f"（{percent(Fraction(bound, number))}），{verdict}。"
    )
    return Conclusion(failed, unseen, bound, reached, sentence)


def percent(share: Fraction) -> str:
    """A share as people write it: `1%`, rounded up to a hundredth of a percent."""
    hundredths = ceil(share * 10_000)
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + "%"


# --- the sheet goes out and comes back ------------------------------------------------------------


def write_sheet(connection: Connection, path: Path, found: Draw, plan: Plan) -> None:
    """Writes the visit sheet of a sample, by unit and village. Raises BadFile."""
    papers = cases.personal(connection)
    histories = cases.load(connection, found.codes, checked=False)
    lines = []
    for code in found.codes:
        facts = fold(code, histories[code])
        assert facts is not None
        unit = plan.unit(facts.unit)
        lines.append(
            Line(
                code=code,
                unit=facts.unit,
                unit_name=unit.name if unit else facts.unit,
                village=facts.village,
                name=papers.get(code, PersonalData()).masked().name,
                path=facts.path.label,
                state=facts.state.label,
                facilities=reports.facilities(facts),
            )
        )
    lines.sort(key=lambda line: (line.unit, line.village, line.code))
    title = f"{plan.county}{plan.year}年冬季清洁取暖抽查入户表"
    drill = register.is_drill(connection)
    sample_sheet.write(path, found.id, found.drawn_on, title, lines, drill=drill)


def record(
    database: Database, path: Path, login: str, now: datetime, reason: str | None = None
) -> Results:
    """Takes a filled visit sheet in: all of its rows, or with faults none.

    What is on record already and said again alike is passed over; said otherwise it is a fault
    without a `reason`, and with one the new word counts and the old one stays in the journal.
    Households may come back in several sheets. Raises NotPermitted, BadFile.
    """
    with database.reading() as connection:
        _require_auditor(register.actor(connection, login))
        year = register.plan_in_force(connection).year
    back = sample_sheet.read(path, year)
    with database.transaction() as connection:
        pen = _pen(connection, login, now)
        known = {one.id: one for one in draws(connection, checked=True)}
        found = known.get(back.sample or 0)
        if found is None:
            faults = list(back.faults)
            if back.sample is not None:
                message = f"没有编号为 {back.sample} 的抽样；请核对表上的抽样编号"
                faults.append(Fault(None, None, "sample_unclear", message))
            return Results(back.name, len(back.visits), (), tuple(faults), None)
        before, _ = _visits(connection, found)
        permitted = population(connection, [State.REMOVAL_PERMITTED], before=found.id)
        seen: dict[str, Visit] = {}
        faults = [*back.faults]
        for visit in back.visits:
            told = _objection(visit, found, permitted, seen, local_date(pen.now))
            if told is None and reason is None and before.get(visit.code, visit) != visit:
                told = "verdict", "already_recorded", _ALREADY
            if told is not None:
                name, code, message = told
                faults.append(Fault(visit.sheet, visit.cells.get(name), code, message))
            seen.setdefault(visit.code, visit)
        new = [visit for code, visit in sorted(seen.items()) if before.get(code) != visit]
        if faults:
            return Results(back.name, len(back.visits), (), tuple(faults), None)
        if new:
            given: dict[str, Json] = {
                "sample": found.id,
                "sha256": back.sha256,
                "rows": [row_of(visit) for visit in new],
            }
            pen.add(
                Draft(STREAM, "sample_results", local_date(pen.now), given, reason=reason or None)
            )
            pen.write()
        stands = standing(connection, found.id)
    return Results(back.name, len(back.visits), tuple(v.code for v in new), (), stands)


_ALREADY = "与已登记的结果不同；确要更正，加 --reason 说明理由，原结果仍保留"


def _objection(
    visit: Visit,
    found: Draw,
    permitted: Mapping[str, str],
    seen: Mapping[str, Visit],
    today: date,
) -> tuple[str, str, str] | None:
    """What speaks against a row: the column, the code of the fault, and what to do."""
    if visit.code not in found.codes:
        message = f"{visit.code} 不在第 {found.id} 号抽样之内；只收抽中的户"
        return "code", "not_in_sample", message
    if visit.code in seen:
        return "code", "duplicate_in_file", f"{visit.code} 在表上有两行，请只留一行"
    if not found.drawn_on <= visit.on <= today:
        message = f"检查日期 {visit.on} 须在抽样日 {found.drawn_on} 至今天 {today} 之间"
        return "on", "day_out_of_range", message
    gone = visit.stove is Found.NO or visit.kang is Found.YES
    if gone and visit.verdict is VisitVerdict.PASS and visit.code not in permitted:
        message = "抽样时还没有允许拆除，旧炉却不在或火炕被封，结论不能是合格；请核对"
        return "verdict", "contradiction", message
    return None
