"""What a command needs before it can begin: a plan by name or file, and the day it is."""

from datetime import date, datetime
from importlib import resources
from pathlib import Path

from msgspec import Struct

from states import plan as plans
from states.errors import UsageFault
from states.plan import Plan
from states.workdays import local_date
from workflow import journal, register
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import BadFile


def load_plan(name_or_file: str) -> Plan:
    """The shipped plan of this name, or the plan in this file. Raises BadFile, PlanFault."""
    shipped = resources.files("states").joinpath("plans", f"{name_or_file}.toml")
    if "/" not in name_or_file and "\\" not in name_or_file and shipped.is_file():
        return plans.from_toml(shipped.read_text(encoding="utf-8"), f"{name_or_file}.toml")
    path = Path(name_or_file)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(
            f"计划文件不是 UTF-8 文本：{path}", place=str(path), remedy="另存为 UTF-8"
        ) from error
    except OSError as error:
        raise BadFile(
            f"没有名为“{name_or_file}”的计划，也读不到这个文件",
            place=str(path),
            remedy=f"可用的计划：{'、'.join(shipped_plans())}；或给出计划文件的路径",
        ) from error
    return plans.from_toml(text, path.name)


def shipped_plans() -> list[str]:
    """The names of the plans that come with the program."""
    folder = resources.files("states").joinpath("plans")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


class Day(Struct, frozen=True):
    """The county's today for one command, and the last day on which the journal was written."""

    today: date
    written: date
    drill: bool


def writing_instant(database: Database, today: date | None, clock: datetime) -> datetime:
    """When a command that writes is recorded: the clock's instant, or a drill's day at noon.

    Raises UsageFault for `today` missing in a drill, going back, or given on a real database.
    """
    with database.reading() as connection:
        drill = register.is_drill(connection)
        _, last = journal.last_entry(connection)
    _refuse_today_on_real(drill, today)
    if not drill:
        return clock
    if today is None:
        raise UsageFault(
            "演练数据库的每条写入命令都须指明日期",
            place="--today",
            remedy="例如 xianli --today 2023-06-01 …",
        )
    if last is not None and journal.noon(today) < last:
        raise UsageFault(
            f"演练日期 {today} 早于最后一条登记的日期 {local_date(last)}",
            place="--today",
            remedy=f"用 {local_date(last)} 或以后的日期",
        )
    return journal.noon(today)


def _refuse_today_on_real(drill: bool, today: date | None) -> None:
    if today is not None and not drill:
        raise UsageFault(
            "正式数据库的时间只取自时钟，不能用 --today",
            place="--today",
            remedy="去掉 --today；只有演练（init --drill）才能指定日期",
        )


def reading_day(database: Database, today: date | None, clock: datetime) -> Day:
    """The day a reading command stands on.

    A drill stands on `today`, or where it was last written. Raises UsageFault for `today` on a real
    database.
    """
    with database.reading() as connection:
        drill = register.is_drill(connection)
        _, last = journal.last_entry(connection)
    _refuse_today_on_real(drill, today)
    written = local_date(last) if last else local_date(clock)
    if drill:
        return Day(today or written, written, drill)
    return Day(local_date(clock), written, drill)


def clocks(
    day: Day,
    as_of: date | None,
    known_at: datetime | None,
    *,
    outlook: bool,
    place: str = "--as-of",
) -> Clocks:
    """The two clocks of a reading command; `place` is where the user gave `as_of`.

    `outlook` lets `as_of` lie after today (`check`, `case why`). Raises UsageFault otherwise.
    """
    on = as_of or day.today
    if on > day.today and not outlook:
        raise UsageFault(
            f"{place} {on} 晚于今天 {day.today}", place=place, remedy="给出今天或以前的日期"
        )
    # What is not past and not cut off by `known_at` is what the projections say.
    return Clocks(on, past=on < max(day.today, day.written), known_at=known_at)


def unit_codes(plan: Plan, unit: str | None) -> list[str] | None:
    """The code of a unit given by code, name or alias; None for all. Raises UsageFault."""
    if unit is None:
        return None
    found = plan.unit(unit)
    if found is None:
        raise UsageFault(
            f"没有责任单位“{unit}”",
            place="--unit",
            remedy=f"可用：{'、'.join(f'{u.code} {u.name}' for u in plan.units)}",
        )
    return [found.code]
