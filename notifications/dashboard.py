"""The county's position on one page: what it says, as plain values, and how it is worded and drawn.

Everything is counted elsewhere; here stand the words and the geometry only.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct

from notifications import charts, figures, render
from notifications.pages import Head
from states.vocabulary import (
    Area,
    CloseCause,
    FactKind,
    Kind,
    Level,
    Path,
    State,
    Trigger,
    ViolationType,
)
from states.workdays import SHANGHAI

STEPS = (Trigger.CONFIRM, Trigger.SELECT, Trigger.COMPLETE, Trigger.ACCEPT)
STEP_NAMES = {
    Trigger.CONFIRM: "确户",
    Trigger.SELECT: "选型",
    Trigger.COMPLETE: "完工",
    Trigger.ACCEPT: "验收合格",
}
# The season's guards in few words: what a permission still waits for.
LACKING = {
    "season_served": "未满一个（或要求的几个）完整采暖季",
    "season_verified": "采暖季起止日期等尚未核实",
    "no_long_outage": "一次停热超过限定天数",
    "outages_within_total": "累计停热超过限定天数",
    "heat_on_today": "停热尚未恢复，或测温偏冷后没有合格的测温",
    "first_heat_known": "缺首次供热日期",
    "warm_visits_made": "季内合格入户测温次数不足",
    "season_signed": "缺用户在采暖季结束后的签字",
    "recorded_in_time": "采暖季开始后才登记，又没有材料",
    "nothing_open": "违规、投诉或审计发现未销号",
    "separation": "许可人与验收人是同一人",
    "permitted_today": "许可日期不是登记当日",
}
MOST_LISTED = 30  # alarms and open matters by name; the rest are counted


class Alarm(Struct, frozen=True):
    """A household without both heats."""

    code: str
    unit_name: str
    why: str


class OpenMatter(Struct, frozen=True):
    """A violation, complaint or finding that nobody has answered."""

    kind: FactKind
    type: str | None
    code: str
    unit_name: str
    on: date
    days: int


class Milestone(Struct, frozen=True):
    """The end of a phase: `workdays` are left up to its last working day, None once it is over.

    `to_go` are the households that still have its work before them.
    """

    label: str
    end: date
    last_workday: date
    workdays: int | None
    historic: bool
    provisional: bool
    to_go: int | None


class Curve(Struct, frozen=True):
    """How many households have a step behind them, day by day, beside the plan and the forecast.

    `planned` and `actual` are (day, households); `actual` changes on these days and stays between.
    `band` is (day, low, expected, high), empty where nothing is left to be built.
    """

    trigger: Trigger
    task: int
    target_on: date
    done: int
    planned_now: int
    planned: tuple[tuple[date, int], ...]
    actual: tuple[tuple[date, int], ...]
    band: tuple[tuple[date, int, int, int], ...] = ()


class Outlook(Struct, frozen=True):
    """What the forecast says of a unit that has something left to build."""

    chance: float
    low: date | None
    expected: date | None
    high: date | None
    pace_needed: float | None
    pace_shown: float
    warned: bool


class UnitLine(Struct, frozen=True):
    """A unit's figures, or those of all units of the page together.

    `cases` leave closed ones out; `rungs` counts the households by the highest rung they have
    reached. `outlook` is None where nothing is left to build, and for all together.
    """

    code: str
    name: str
    department: bool
    rank: int | None
    task: int
    cases: int
    done: int
    permitted: int
    overdue: int
    at_risk: int
    rungs: Mapping[Level, int]
    curves: Mapping[Trigger, Curve]
    outlook: Outlook | None


class AnnexLine(Struct, frozen=True):
    """A figure of the annex and the households that are not closed beside it, by 计划类别.

    `task` is None for households of a kind that the annex does not give the unit. `completed` and
    `accepted` count every 计划类别.
    """

    unit_name: str
    path: Path
    area: Area | None
    kind: Kind | None
    task: int | None
    planned: int
    carried_over: int
    over_plan: int
    completed: int
    accepted: int


class Edge(Struct, frozen=True):
    """How often a step led from one state to another."""

    trigger: Trigger
    source: State
    target: State
    times: int


class Flow(Struct, frozen=True):
    """How households went from state to state: in each now, and each step how often."""

    registered: int
    stock: Mapping[State, int]
    edges: tuple[Edge, ...]
    causes: Mapping[CloseCause, int]


class SeasonSpan(Struct, frozen=True):
    """A season of the plan whose dates are known."""

    label: str
    first_day: date
    last_day: date
    verified: bool


class Season(Struct, frozen=True):
    """Who can be permitted when, of the households in 稳定运行一季.

    `earliest` counts them by the first day on which they could be; `never` by why there is no such
    day; `lacking` by what they still lack, each household under everything it lacks.
    """

    waiting: int
    ready: int
    earliest: Mapping[date, int]
    never: Mapping[str, int]
    lacking: Mapping[str, int]
    permitted: int
    not_accepted: int
    spans: tuple[SeasonSpan, ...]


class Proof(Struct, frozen=True):
    """What was checked of the journal when the page was made, and what somebody outside has seen.

    `broken` is the first event at which chain, hash or number do not hold; None when all do.
    `everything` is false where the page was made for who may read only part of the journal: then
    only his households' events (`events`) were checked, and nothing is said of the rest.
    """

    checked_at: datetime
    events: int
    broken: str | None
    checkpoint_size: int | None
    checkpoint_at: datetime | None
    witness: str | None
    witnessed: int
    witnessed_at: datetime | None
    unseen: int
    unseen_since: datetime | None
    unseen_hours: int | None
    overdue: bool
    witnesses: int
    signed: int
    everything: bool = True


class Board(Struct, frozen=True):
    """Everything the dashboard shows. `whole` says that it is of all units."""

    as_of: date
    whole: bool
    alarms: tuple[Alarm, ...]
    matters: tuple[OpenMatter, ...]
    matters_overdue: int
    milestones: tuple[Milestone, ...]
    units: tuple[UnitLine, ...]
    total: UnitLine
    annex: tuple[AnnexLine, ...]
    flow: Flow
    season: Season
    proof: Proof
    first_day: date
    last_day: date


def page(board: Board, head: Head) -> str:
    """The dashboard as one page that needs nothing else."""
    return render.page("dashboard.html.j2", head, **values(board), site=None)


def values(board: Board) -> dict[str, object]:
    """What the template fills in, for pages that hold more than the dashboard."""
    span = (board.first_day, board.last_day)
    complete = board.total.curves[Trigger.COMPLETE]
    return {
        "board": board,
        "steps": [_step(board.total.curves[step]) for step in STEPS],
        "county": {
            "wide": [_curve(board, step, charts.WIDE) for step in (Trigger.COMPLETE,)],
            "narrow": [_curve(board, step, charts.NARROW) for step in (Trigger.COMPLETE,)],
            "others": [
                _curve(board, step, charts.SMALL)
                for step in (Trigger.CONFIRM, Trigger.SELECT, Trigger.ACCEPT)
            ],
        },
        "coming": next((one for one in board.milestones if one.workdays is not None), None),
        "months": _months(complete, board.units, span),
        "units": [_unit(unit, board) for unit in board.units] if len(board.units) > 1 else [],
        "single": _outlook_text(board.units[0]) if len(board.units) == 1 else "",
        "rows": _standing(board),
        "ranked": any(unit.rank is not None for unit in board.units),
        "discrepancies": discrepancies(board.annex),
        "annex": _annex(board.annex),
        "annex_sum": _annex_sum(board.annex),
        "flow": charts.flow(
            board.flow.stock,
            [(e.trigger, e.source, e.target, e.times) for e in board.flow.edges],
            board.flow.registered,
        ),
        "edges": sorted(
            board.flow.edges, key=lambda e: (_place(e.source), _place(e.target), e.trigger)
        ),
        "causes": [(cause.label, n) for cause, n in board.flow.causes.items() if n],
        "earliest": _earliest(board),
        "lacking": _lacking(board.season),
        "spans": [_span(one, board.as_of) for one in board.season.spans],
        "alarms": board.alarms[:MOST_LISTED],
        "matters": [_matter(one) for one in board.matters[:MOST_LISTED]],
        "proof": proof(board.proof),
        "states": list(State),
    }


def number(value: int) -> str:
    """A count as people read it: `3,966`."""
    return f"{value:,}"


def day(value: date) -> str:
    """A day as a label: `9月30日`, with its year where that is not clear from the page."""
    return f"{value.month}月{value.day}日"


def _place(state: State) -> int:
    return tuple(State).index(state)


def _step(curve: Curve) -> Mapping[str, str]:
    behind = curve.planned_now - curve.done
    return {
        "name": STEP_NAMES[curve.trigger],
        "done": number(curve.done),
        "rate": figures.rate(curve.done, curve.task),
        "planned": number(curve.planned_now),
        "behind": f"落后 {number(behind)}"
        if behind > 0
        else f"超前 {number(-behind)}"
        if behind
        else "持平",
        "tone": "red" if behind > 0 else "good",
        "target": day(curve.target_on),
    }


def _curve(board: Board, step: Trigger, size: charts.Size) -> charts.CurveChart:
    curve = board.total.curves[step]
    whose = "全县" if board.whole else board.total.name
    return charts.curve(
        size,
        title=f"{whose}{STEP_NAMES[step]}进度",
        told=_told(curve, None),
        span=(board.first_day, board.last_day),
        as_of=board.as_of,
        target_on=curve.target_on,
        task=curve.task,
        planned=curve.planned,
        actual=curve.actual,
        band=curve.band,
        done=curve.done,
    )


def _told(curve: Curve, outlook: Outlook | None) -> str:
    """A curve in words, for who does not see it."""
    text = (
        f"任务 {number(curve.task)} 户，计划此时 {number(curve.planned_now)} 户，"
        f"实际 {number(curve.done)} 户"
    )
    if curve.band:
        on, low, _, high = curve.band[-1]
        text += f"；预测到 {on} 有 {number(low)} 至 {number(high)} 户（八成把握）"
    if outlook:
        text += f"；{_chance(outlook)}"
    return text


def _chance(outlook: Outlook) -> str:
    return f"按期完工的概率 {figures.chance(outlook.chance)}"


def _outlook_text(unit: UnitLine) -> str:
    outlook = unit.outlook
    if outlook is None:
        return "没有待完工的户"
    if outlook.expected is None:
        expected = "预计四十周内难以完工"
    else:
        until = day(outlook.high) if outlook.high else "四十周以后"
        since = day(outlook.low) if outlook.low else ""
        expected = f"预计 {day(outlook.expected)} 完工（八成在 {since} 至 {until}）"
    pace = f"近四周每周完成 {outlook.pace_shown:g} 户"
    if outlook.pace_needed is not None:
        pace = f"每周需 {outlook.pace_needed:g} 户，{pace}"
    return f"{_chance(outlook)}，{expected}，{pace}"


def _unit(unit: UnitLine, board: Board) -> Mapping[str, object]:
    curve = unit.curves[Trigger.COMPLETE]
    outlook = unit.outlook
    return {
        "code": unit.code,
        "name": unit.name,
        "done": f"{number(curve.done)} / {number(curve.task)}",
        "rate": "" if curve.task < figures.RATE_FROM else figures.rate(curve.done, curve.task),
        "chance": f"按期 {figures.chance(outlook.chance)}" if outlook else "",
        "tone": "red" if outlook and outlook.warned else "",
        "chart": charts.curve(
            charts.SMALL,
            title=f"{unit.name}完工进度",
            told=_told(curve, outlook),
            span=(board.first_day, board.last_day),
            as_of=board.as_of,
            target_on=curve.target_on,
            task=curve.task,
            planned=curve.planned,
            actual=curve.actual,
            band=curve.band,
            done=curve.done,
        ),
    }


def _months(
    total: Curve, units: Sequence[UnitLine], span: tuple[date, date]
) -> Mapping[str, object]:
    """The table behind the curves: done at the end of each month, and planned by then."""
    ends = []
    month = span[0].replace(day=1)
    while month <= span[1]:
        following = (month + timedelta(days=32)).replace(day=1)
        ends.append(following - timedelta(days=1))
        month = following

    def row(name: str, curve: Curve) -> Mapping[str, object]:
        last = curve.actual[-1][0] if curve.actual else span[0]
        cells = [
            number(_at(curve.actual, end)) if end.replace(day=1) <= last else "" for end in ends
        ]
        return {
            "name": name,
            "task": number(curve.task),
            "plan": [number(_at(curve.planned, end)) for end in ends],
            "actual": cells,
        }

    return {
        "ends": [f"{end.month}月" for end in ends],
        "rows": [
            *(row(unit.name, unit.curves[Trigger.COMPLETE]) for unit in units),
            *([row("合计", total)] if len(units) > 1 else []),
        ],
    }


def _at(points: Iterable[tuple[date, int]], on: date) -> int:
    found = 0
    for when, value in points:
        if when > on:
            break
        found = value
    return found


def _standing(board: Board) -> list[Mapping[str, object]]:
    """The table of lateness, and how far each unit is, the last line all together."""
    widest = max(
        [
            1.0,
            *(unit.curves[Trigger.COMPLETE].done / unit.task for unit in board.units if unit.task),
        ]
    )
    rows: list[Mapping[str, object]] = []
    lines = [*board.units, *([board.total] if len(board.units) > 1 else [])]
    for line in lines:
        done = line.curves[Trigger.COMPLETE].done
        rows.append(
            {
                "code": line.code,
                "name": line.name,
                "rank": "—" if line.rank is None else str(line.rank),
                "sum": line is board.total,
                "task": number(line.task),
                "completed": number(done),
                "rate": figures.rate(done, line.task),
                "bar": charts.bar(done / line.task if line.task else 0.0, widest),
                "accepted": number(line.done),
                "overdue": number(line.overdue),
                "yellow": _or_dash(line.rungs.get(Level.YELLOW, 0)),
                "orange": _or_dash(line.rungs.get(Level.ORANGE, 0)),
                "red": _or_dash(line.rungs.get(Level.RED, 0)),
                "remind": _or_dash(line.rungs.get(Level.REMIND, 0)),
                "at_risk": _or_dash(line.at_risk),
            }
        )
    return rows


def _or_dash(count: int) -> str:
    return number(count) if count else "—"


def annex_name(line: AnnexLine) -> str:
    """A line of the annex as the notice calls it: 集中供热（县城）, 煤改电（集体户）."""
    marks = [word.label for word in (line.area, line.kind) if word is not None]
    return f"{line.path.label}（{'、'.join(marks)}）" if marks else line.path.label


def _annex(lines: Sequence[AnnexLine]) -> list[Mapping[str, object]]:
    return [
        {
            "unit": line.unit_name,
            "name": annex_name(line),
            "task": "—" if line.task is None else number(line.task),
            "planned": number(line.planned),
            "off": line.task is None or line.planned != line.task,
            "carried_over": _or_dash(line.carried_over),
            "over_plan": _or_dash(line.over_plan),
            "completed": number(line.completed),
            "accepted": number(line.accepted),
            "rate": "—" if line.task is None else figures.rate(line.accepted, line.task),
        }
        for line in lines
    ]


def _annex_sum(lines: Sequence[AnnexLine]) -> list[Mapping[str, object]]:
    """The annex's own sums: each of its lines over all units, then everything."""
    groups: dict[str, list[AnnexLine]] = {}
    for line in lines:
        groups.setdefault(annex_name(line), []).append(line)
    groups["合计"] = list(lines)
    found: list[Mapping[str, object]] = []
    for name, mine in groups.items():
        task = sum(line.task or 0 for line in mine)
        accepted = sum(line.accepted for line in mine)
        found.append(
            {
                "name": name,
                "task": number(task),
                "planned": number(sum(line.planned for line in mine)),
                "carried_over": _or_dash(sum(line.carried_over for line in mine)),
                "over_plan": _or_dash(sum(line.over_plan for line in mine)),
                "completed": number(sum(line.completed for line in mine)),
                "accepted": number(accepted),
                "rate": figures.rate(accepted, task) if task else "—",
            }
        )
    return found


def discrepancies(lines: Sequence[AnnexLine]) -> list[str]:
    """Where the register and the annex differ, each once; a register that is empty in one word."""
    found = []
    if lines and not any(line.planned + line.carried_over + line.over_plan for line in lines):
        return [f"在册 0 户：附件的 {number(sum(line.task or 0 for line in lines))} 户都还没有登记"]
    for line in lines:
        what = f"{line.unit_name} {annex_name(line)}"
        count = line.planned + line.carried_over + line.over_plan
        if line.task is None:
            found.append(f"{what}：附件没有这一项，在册 {number(count)} 户")
        elif line.planned < line.task:
            gap = line.task - line.planned
            found.append(
                f"{what}：附件 {number(line.task)} 户，计划内在册 {number(line.planned)} 户，"
                f"少 {number(gap)} 户"
            )
        elif line.planned > line.task:
            found.append(
                f"{what}：附件 {number(line.task)} 户，计划内在册 {number(line.planned)} 户，"
                f"多 {number(line.planned - line.task)} 户"
            )
    return found


def _earliest(board: Board) -> list[Mapping[str, object]]:
    season = board.season
    rows: list[tuple[str, int]] = []
    for on, count in sorted(season.earliest.items()):
        label = "今天即可许可" if on <= board.as_of else f"{on} 起"
        if on <= board.as_of and count > season.ready:
            # What lacks something that can be put right on the same day.
            rows.append((label, season.ready))
            rows.append(("补齐所缺后今天即可", count - season.ready))
        else:
            rows.append((label, count))
    rows += [(f"尚不能确定：{why}", count) for why, count in season.never.items()]
    widest = max([1, *(count for _, count in rows)])
    return [
        {"label": label, "count": number(count), "bar": charts.bar(count / widest, 1.0)}
        for label, count in rows
        if count
    ]


def _lacking(season: Season) -> list[Mapping[str, object]]:
    widest = max([1, *season.lacking.values()])
    ordered = sorted(season.lacking.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"label": LACKING[guard], "count": number(n), "bar": charts.bar(n / widest, 1.0)}
        for guard, n in ordered
    ]


def _span(span: SeasonSpan, as_of: date) -> str:
    length = (span.last_day - span.first_day).days + 1
    if as_of < span.first_day:
        told = f"还有 {(span.first_day - as_of).days} 天开始"
    elif as_of > span.last_day:
        told = "已结束"
    else:
        told = f"第 {(as_of - span.first_day).days + 1} 天，共 {length} 天"
    verified = "" if span.verified else "，起止日期未核实"
    return f"{span.label} 采暖季（{span.first_day} 至 {span.last_day}{verified}）：{told}"


def _matter(matter: OpenMatter) -> Mapping[str, str]:
    types = {str(word): word.label for word in ViolationType}
    kind = matter.kind.label
    return {
        "what": f"{kind}·{types.get(matter.type, matter.type)}" if matter.type else kind,
        "code": matter.code,
        "unit": matter.unit_name,
        "on": str(matter.on),
        "days": f"{number(matter.days)} 天",
    }


def proof(found: Proof) -> list[tuple[str, str]]:
    """What was checked of the journal and when, each with its tone; nothing claimed beyond that."""
    at = f"{found.checked_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if not found.everything:
        told = [_proof_of_part(found, at)]
    elif found.broken is None:
        told = [
            (
                "good",
                f"{at} 逐条核对了日志 {number(found.events)} 条的哈希链、序号和各户的末条，"
                "无误。签名、规则和各表是否一致，本页没有核对：运行 xianli audit verify。",
            )
        ]
    else:
        told = [
            (
                "red",
                f"{at} 核对日志时发现不符（{found.broken}）：本页数字不可采信，"
                "运行 xianli audit verify 查明。",
            )
        ]
    if found.witness is None:
        seen = "县外还没有任何见证人看过本日志" + (
            f"（已登记见证人 {found.witnesses} 个）。"
            if found.witnesses
            else "，也没有登记见证人。"
        )
        told.append(("orange", seen))
    else:
        assert found.witnessed_at is not None
        when = f"{found.witnessed_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        told.append(
            ("good", f"见证人“{found.witness}”于 {when} 见证到第 {number(found.witnessed)} 条。")
        )
    if found.unseen and found.everything:
        age = ""
        if found.unseen_hours is not None and found.unseen_since is not None:
            since = f"{found.unseen_since.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
            long = (
                f"{number(found.unseen_hours // 24)} 天"
                if found.unseen_hours >= 48
                else f"{found.unseen_hours} 小时"
            )
            age = f"，其中最早的登记于 {since}，已 {long}"
        tone = "orange" if found.overdue else ""
        told.append((tone, f"见证之后的 {number(found.unseen)} 条县外无人见过{age}。"))
    if found.checkpoint_at is not None and found.checkpoint_size is not None:
        made = f"{found.checkpoint_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        told.append(("", f"最近的检查点作于 {made}，共 {number(found.checkpoint_size)} 条。"))
    else:
        told.append(("", "还没有作过检查点。"))
    if found.everything:
        signed = f"带经办人签名的 {number(found.signed)} 条"
        told.append(("", f"{signed}；其余只凭登记时刻和账号，不是签名证据。"))
    return told


def _proof_of_part(found: Proof, at: str) -> tuple[str, str]:
    """What was checked for who may read only his own households' events."""
    whole = "整个日志由县清洁取暖办和审计人员核对（xianli audit verify），本页没有核对。"
    if found.broken is not None:
        return (
            "red",
            f"{at} 核对本账号看得到的各户时发现不符（{found.broken}）：本页数字不可采信，"
            "报县清洁取暖办和审计人员查明。",
        )
    told = f"{at} 逐条核对了本账号看得到的各户日志 {number(found.events)} 条的哈希链和末条，无误。"
    return "good", told + whole
