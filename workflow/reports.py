"""The four ledgers of the notice as pages for a desk: 确村确户, 设备选型, 工程推进, 验收管理.

Every household of the units that is not closed stands on each of them, drawn from the journal's
evidence; the subtotals reconcile to the annex. Values are gathered here, `spreadsheet` writes them.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path as FilePath

from msgspec import Struct
from sqlalchemy import Connection

from states import deadlines
from states.facts import CaseFacts, Event, fold
from states.identity import PersonalData
from states.plan import Plan, Unit
from states.vocabulary import Facility, Quota, Signatory, State, Trigger
from workflow import cases, journal, register, spreadsheet
from workflow.cases import Clocks
from workflow.spreadsheet import ReportCell, ReportColumn, ReportRow, ReportSheet

_ORDER = tuple(State)


class Count(Struct, frozen=True):
    """A ledger's figures for one unit, or for all: the annex, and what stands against it.

    `planned` are the registered households that count against the annex.
    """

    task: int = 0
    registered: int = 0
    planned: int = 0
    done: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.task + other.task,
            self.registered + other.registered,
            self.planned + other.planned,
            self.done + other.done,
        )


class LedgerTotals(Struct, frozen=True):
    """One ledger's figures by unit code, and all together."""

    name: str
    by_unit: dict[str, Count]
    total: Count


class _Household(Struct, frozen=True):
    """A household as the ledgers see it on their day."""

    facts: CaseFacts
    personal: PersonalData
    plan: Plan
    as_of: date

    def step(self, trigger: Trigger) -> Event | None:
        """The last time this step was taken."""
        found = [
            event
            for event in self.facts.events.values()
            if event.kind == trigger and event.occurred_on <= self.as_of
        ]
        return found[-1] if found else None

    def past(self, state: State) -> bool:
        """Whether the work of this state is done."""
        return _ORDER.index(self.facts.state) > _ORDER.index(state)

    def standing(self, trigger: Trigger, state: State) -> Event | None:
        """The step out of a state, as long as it has not been taken back."""
        return self.step(trigger) if self.past(state) else None


class _Ledger(Struct, frozen=True):
    """One of the four: its own columns, what fills them, and the state whose end is 完成."""

    name: str
    done_label: str
    state: State
    columns: tuple[ReportColumn, ...]
    values: Callable[[_Household], list[ReportCell]]


def write_ledgers(
    connection: Connection,
    path: FilePath,
    plan: Plan,
    clocks: Clocks,
    units: Sequence[str] | None = None,
) -> list[LedgerTotals]:
    """Writes the four ledgers of these units (None: all) on these clocks; answers their figures.

    Names are masked; there are no IDs, phones, meters or addresses. Raises BadFile.
    """
    households = _households(connection, plan, clocks, units)
    drill = register.is_drill(connection)
    wanted = [unit for unit in plan.units if units is None or unit.code in units]
    sheets, totals = [], []
    for ledger in LEDGERS:
        counts = {unit.code: _count(ledger, unit, households[unit.code]) for unit in wanted}
        total = sum(counts.values(), Count())
        sheets.append(_sheet(ledger, plan, clocks.as_of, wanted, households, counts, drill=drill))
        totals.append(LedgerTotals(ledger.name, counts, total))
    spreadsheet.write_report(path, sheets)
    return totals


def _households(
    connection: Connection, plan: Plan, clocks: Clocks, units: Sequence[str] | None
) -> dict[str, list[_Household]]:
    found: dict[str, list[_Household]] = {unit.code: [] for unit in plan.units}
    papers = cases.personal(connection)
    people = register.persons(connection)
    for code, events in journal.read_cases(
        connection, people, known_at=clocks.known_at, checked=False
    ):
        facts = fold(code, events, clocks.as_of if clocks.past else None)
        if facts is None or facts.state is State.CLOSED:
            continue
        if units is None or facts.unit in units:
            personal = papers.get(code, PersonalData()).masked()
            household = _Household(facts, personal, plan, clocks.as_of)
            found.setdefault(facts.unit, []).append(household)
    for one in found.values():
        one.sort(key=lambda household: (household.facts.village, household.facts.code))
    return found


def _count(ledger: _Ledger, unit: Unit, households: Sequence[_Household]) -> Count:
    return Count(
        task=unit.task,
        registered=len(households),
        planned=sum(household.facts.quota is Quota.PLANNED for household in households),
        done=sum(household.past(ledger.state) for household in households),
    )


def _sheet(
    ledger: _Ledger,
    plan: Plan,
    as_of: date,
    units: Sequence[Unit],
    households: dict[str, list[_Household]],
    counts: dict[str, Count],
    *,
    drill: bool,
) -> ReportSheet:
    width = len(ledger.columns)
    rows: list[ReportRow] = []
    number = 0
    for unit in units:
        for household in households[unit.code]:
            number += 1
            rows.append(ReportRow((number, *_who(household, unit), *_own(ledger, household))))
        rows.append(_sum_row(f"{unit.name} 小计", counts[unit.code], width))
    total = sum(counts.values(), Count())
    rows.append(_sum_row("合计", total, width))
    gap = total.task - total.planned
    of_whom = "全部责任单位" if len(units) == len(plan.units) else "、".join(u.name for u in units)
    return ReportSheet(
        name=f"{ledger.name}台账",
        title=f"{plan.county}{plan.year}年冬季清洁取暖{ledger.name}台账" + ("（演练）" * drill),
        left=f"单位：{of_whom}",
        right=f"截至{as_of.year}年{as_of.month}月{as_of.day}日",
        columns=(
            *_WHO,
            *ledger.columns,
            ReportColumn("任务数", 7),
            ReportColumn("在册", 6),
            ReportColumn("其中计划内", 11),
            ReportColumn(ledger.done_label, 7),
        ),
        rows=rows,
        note=(
            f"附件任务 {total.task} 户，在册 {total.registered} 户（计划内 {total.planned} 户），"
            + (f"计划内尚缺 {gap} 户，" if gap else "计划内与附件一致，")
            + f"{ledger.done_label} {total.done} 户。已退出的户不列入。"
        ),
    )


def _own(ledger: _Ledger, household: _Household) -> list[ReportCell]:
    planned = household.facts.quota is Quota.PLANNED
    done = household.past(ledger.state)
    return [*ledger.values(household), None, 1, int(planned), int(done)]


def _sum_row(label: str, count: Count, width: int) -> ReportRow:
    blanks: list[ReportCell] = [None] * (len(_WHO) - 2 + width)
    figures = (count.task, count.registered, count.planned, count.done)
    return ReportRow((None, label, *blanks, *figures), is_sum=True)


# --- the columns ----------------------------------------------------------------------------------

_WHO = (
    ReportColumn("序号", 5),
    ReportColumn("责任单位", 14),
    ReportColumn("村", 9),
    ReportColumn("编号", 11),
    ReportColumn("户主（单位）", 13),
    ReportColumn("户别", 7),
    ReportColumn("取暖方式", 10),
)


def _who(household: _Household, unit: Unit) -> list[ReportCell]:
    facts = household.facts
    return [
        unit.name,
        facts.village,
        facts.code,
        household.personal.name,
        facts.kind.label,
        facts.path.label,
    ]


def _word(event: Event | None, key: str) -> str | None:
    text = None if event is None else event.text(key)
    return Signatory(text).label if text in tuple(Signatory) else text


def _day(event: Event | None, key: str) -> date | None:
    return None if event is None else event.day(key)


def _on(event: Event | None) -> date | None:
    return None if event is None else event.occurred_on


def _confirmation(household: _Household) -> list[ReportCell]:
    facts = household.facts
    event = household.standing(Trigger.CONFIRM, State.HOUSEHOLD_CONFIRMATION)
    begins, ends = facts.notice or (None, None)
    return [
        facts.area.label,
        facts.building_area,
        facts.heating_area,
        facilities(facts),
        _day(event, "visit_on"),
        begins or _day(event, "notice_from"),
        ends or _day(event, "notice_to"),
        _day(event, "consent_on"),
        _word(event, "consent_by"),
        _on(event),
    ]


def facilities(facts: CaseFacts) -> str:
    """The old facilities and what has become of each, as people write it."""
    status = facts.facility_status
    known = dict.fromkeys((*facts.ledger_facilities, *status))
    return "、".join(
        f"{facility.label}（{status[facility].status.label}）"
        if facility in status and facility is not Facility.NONE
        else facility.label
        for facility in known
    )


def _selection(household: _Household) -> list[ReportCell]:
    event = household.standing(Trigger.SELECT, State.EQUIPMENT_SELECTION)
    return [
        household.facts.heating_area,
        _word(event, "model") or _word(event, "connection_point"),
        _day(event, "selection_on"),
        _word(event, "selection_by"),
        _on(event),
        household.facts.state.label,
    ]


def _works(household: _Household) -> list[ReportCell]:
    facts, works = household.facts, household.facts.works
    event = household.standing(Trigger.COMPLETE, State.CONSTRUCTION)
    due_on = deadlines.due(facts, household.plan).due_on
    late = deadlines.overdue(due_on, household.as_of)
    return [
        _word(event, "contractor"),
        facts.serial or works.serial,
        works.started_on,
        works.installed_on,
        works.ready_on,
        _day(event, "training_on"),
        _on(event),
        facts.first_heat_on,
        due_on,
        "逾期" if late else facts.state.label,
    ]


def _acceptance(household: _Household) -> list[ReportCell]:
    facts = household.facts
    event = household.standing(Trigger.ACCEPT, State.ACCEPTANCE)
    rejected = household.step(Trigger.REJECT)
    put_right = facts.put_right
    return [
        household.facts.works.ready_on,
        _on(event),
        None if event is None else len(event.texts("item")),
        None if event is None else "、".join(event.texts("signer")),
        None if event is None else len(event.texts("document")),
        facilities(facts),
        _on(rejected),
        None if put_right is None else put_right[1],
        facts.state.label,
    ]


LEDGERS = (
    _Ledger(
        "确村确户",
        "已确户",
        State.HOUSEHOLD_CONFIRMATION,
        (
            ReportColumn("区域", 6),
            ReportColumn("建筑面积（㎡）", 10, "0.##"),
            ReportColumn("采暖面积（㎡）", 10, "0.##"),
            ReportColumn("原取暖设施", 24),
            ReportColumn("入户日期", 11),
            ReportColumn("公示起", 11),
            ReportColumn("公示止", 11),
            ReportColumn("同意日期", 11),
            ReportColumn("由谁同意", 8),
            ReportColumn("确户日期", 11),
        ),
        _confirmation,
    ),
    _Ledger(
        "设备选型",
        "已选型",
        State.EQUIPMENT_SELECTION,
        (
            ReportColumn("采暖面积（㎡）", 10, "0.##"),
            ReportColumn("设备型号（管网接入点）", 20),
            ReportColumn("选型签字日期", 11),
            ReportColumn("由谁签字", 8),
            ReportColumn("选型日期", 11),
            ReportColumn("现处环节", 13),
        ),
        _selection,
    ),
    _Ledger(
        "工程推进",
        "已完工",
        State.CONSTRUCTION,
        (
            ReportColumn("施工单位", 16),
            ReportColumn("设备编号", 14),
            ReportColumn("开工", 11),
            ReportColumn("安装", 11),
            ReportColumn("具备使用条件", 13),
            ReportColumn("培训签字", 11),
            ReportColumn("完工登记", 11),
            ReportColumn("首次供热", 11),
            ReportColumn("期限", 11),
            ReportColumn("进度", 13),
        ),
        _works,
    ),
    _Ledger(
        "验收管理",
        "已验收",
        State.ACCEPTANCE,
        (
            ReportColumn("具备使用条件", 13),
            ReportColumn("验收日期", 11),
            ReportColumn("检查项数", 9),
            ReportColumn("验收签字", 38),
            ReportColumn("材料份数", 9),
            ReportColumn("原取暖设施", 24),
            ReportColumn("不合格日期", 11),
            ReportColumn("整改期限", 11),
            ReportColumn("现处环节", 13),
        ),
        _acceptance,
    ),
)
