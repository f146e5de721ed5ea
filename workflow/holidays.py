"""The county's own holidays: a year's entry, what it moves, and what is known of which year."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from importlib import metadata
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection

from states import deadlines, identity, rungs, workdays
from states import plan as plans
from states.errors import StepRefused
from states.evidence import plain
from states.plan import Plan
from states.rungs import Rung
from states.vocabulary import State
from states.workdays import ONE_DAY, Calendar, Holidays
from workflow import attachments, cases, due, overdue, register
from workflow.attachments import File
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import BadFile
from workflow.journal import Pen
from workflow.register import Entry

EXAMPLE = "docs/example/holidays-2027.toml"


class Reckoned(Struct, frozen=True):
    """What the working days make of one deadline: all that moves with them."""

    target_on: date
    provisional: bool
    latest_start: dict[State, date]
    rungs: dict[Rung, date]


class Moved(Struct, frozen=True):
    """A day on which open deadlines end, and what an entry changes about it."""

    due_on: date
    cases: int
    units: tuple[str, ...]
    was: Reckoned
    becomes: Reckoned


class Entered(Struct, frozen=True):
    """What `calendar import` answers; `seq` is None when nothing was written."""

    file: str
    holidays: Holidays
    seq: int | None
    dry_run: bool
    moved: tuple[Moved, ...]
    differing: tuple[date, ...]


class PhaseMonth(Struct, frozen=True):
    """The working days of a phase in one month."""

    phase: str
    label: str
    month: str
    workdays: int
    known: bool


class Known(Struct, frozen=True):
    """What is known of which year, and what should be by now."""

    source: str
    first_year: int
    last_year: int
    entered: tuple[Entry, ...]
    months: tuple[PhaseMonth, ...]
    missing: int | None


def import_file(
    database: Database,
    path: Path,
    files: Sequence[File],
    *,
    actor: str,
    now: datetime,
    dry_run: bool,
) -> Entered:
    """Takes a year's holidays over and answers what that moves; the same year twice changes it.

    What is already on record is not written again. Raises BadFile, PlanFault with the key,
    NotPermitted.
    """
    holidays = read(path)
    with database.reading() if dry_run else database.transaction() as connection:
        plan = register.plan_in_force(connection)
        pen = Pen(connection, register.writer(connection, actor), now, plan)
        register.require_county(pen.actor)
        changed = plan.counting_by(Calendar((*plan.calendar.years, holidays)))
        moved = tuple(_moved(connection, plan, changed, workdays.local_date(pen.now)))
        seq = None
        if not dry_run:
            seq = register.enter_holidays(pen, holidays, [file.attached for file in files])
            attachments.keep(connection, files if seq else ())
            if seq:
                due.rebuild(connection, changed)
    return Entered(path.name, holidays, seq, dry_run, moved, tuple(_differing(holidays)))


def read(path: Path) -> Holidays:
    """A year's holidays from a county's file (TOML). Raises BadFile, PlanFault, StepRefused."""
    try:
        # A text editor on an office computer may put its mark before the first letter.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(
            f"节假日文件不是 UTF-8 文本：{path.name}", place=str(path), remedy="另存为 UTF-8"
        ) from error
    except OSError as error:
        raise BadFile(
            f"节假日文件读不出来：{path}（{error.strerror}）", place=str(path), remedy="核对文件名"
        ) from error
    found = workdays.holidays_of(plans.toml(text, "节假日文件", path.name, EXAMPLE), path.name)
    place = f"{path.name}: source"
    if identity.holds_personal_number(plain(found.source, place)):
        raise StepRefused("来源中含有身份证号或手机号", place=place, remedy="只写通知名称和文号")
    return found


def known(connection: Connection, plan: Plan, today: date) -> Known:
    """The years whose holidays are known, by whom, and the working days of the plan's phases."""
    first, last = workdays.shipped_years()
    version = metadata.version("chinesecalendar")
    return Known(
        source=f"国务院办公厅节假日安排通知（chinesecalendar {version}）",
        first_year=first,
        last_year=last,
        entered=register.entered_holidays(connection),
        months=tuple(_months(plan)),
        missing=plan.calendar.missing(today),
    )


def _moved(connection: Connection, was: Plan, becomes: Plan, today: date) -> Iterator[Moved]:
    """Every day on which open deadlines end, where an entry changes what is made of it."""
    ends: dict[date, list[tuple[str, str]]] = defaultdict(list)
    states: dict[date, set[State]] = defaultdict(set)
    clocks = Clocks(today)
    for position in cases.positions(connection, was, clocks):
        if position.due_on is not None:
            ends[position.due_on].append((position.code, position.unit))
            states[position.due_on].add(position.state)
    for matter in overdue.matters(connection, was, clocks):
        ends[matter.deadline.due_on].append((matter.code, matter.unit))
    for due_on in sorted(ends):
        before = _reckoned(due_on, states[due_on], was)
        after = _reckoned(due_on, states[due_on], becomes)
        if before != after:
            codes = {code for code, _ in ends[due_on]}
            units = tuple(sorted({unit for _, unit in ends[due_on]}))
            yield Moved(due_on, len(codes), units, before, after)


def _reckoned(due_on: date, states: Iterable[State], plan: Plan) -> Reckoned:
    starts = {state: deadlines.latest_start(state, due_on, plan) for state in sorted(states)}
    return Reckoned(
        deadlines.target_on(due_on, plan),
        deadlines.provisional(due_on, plan),
        {state: day for state, day in starts.items() if day is not None},
        {rung: day for day, rung in rungs.ladder(due_on, plan)},
    )


def _differing(holidays: Holidays) -> Iterator[date]:
    """The days on which an entry says other than the shipped data, where these know the year."""
    entered = Calendar((holidays,))
    day = date(holidays.year, 1, 1)
    while day.year == holidays.year and workdays.NATIONAL.known(day):
        if entered.is_workday(day) is not workdays.NATIONAL.is_workday(day):
            yield day
        day += ONE_DAY


def _months(plan: Plan) -> Iterator[PhaseMonth]:
    for phase in plan.phases:
        # Where the notice gives no first day, the plan's own is the first that can be worked on.
        day = phase.start or plan.effective_from
        while day <= phase.end:
            following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            end = min(phase.end, following - ONE_DAY)
            number = plan.calendar.workdays_left(day - ONE_DAY, end)
            name = f"{day:%Y-%m}"
            yield PhaseMonth(phase.key, phase.label, name, number, plan.calendar.known(day))
            day = following
