"""What stands at the head and foot of every page, from the memory: clocks, journal, cautions."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from notifications.pages import Head
from states.plan import Plan
from workflow import asof, cases, quarantine, register
from workflow.cases import Clocks

# The rules that figures rest on, as pages name them, in the order of the plan file.
NAMES = {
    "required_seasons": "要求的采暖季数",
    "exempt_paths": "路径豁免",
    "outage_days": "单次停热天数",
    "outage_days_total": "累计停热天数",
    "warm_visits": "入户测温次数",
    "warm_temperature": "合格室温",
    "first_heat_grace_days": "首次供热宽限天数",
    "notice_days": "公示天数",
    "lead_days": "各环节工作日数（有风险、倒排工期）",
    "reminders": "提醒的天数",
    "escalation": "橙、红预警的工作日数",
    "restitution_days": "恢复原状的天数",
}
# What a permission rests on.
SEASON_RULES = (
    "required_seasons",
    "exempt_paths",
    "outage_days",
    "outage_days_total",
    "warm_visits",
    "warm_temperature",
    "first_heat_grace_days",
)
# What lateness, risk and the schedule rest on.
TIME_RULES = ("lead_days", "reminders", "escalation")


def head(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    title: str,
    *,
    unverified: Sequence[str] = (),
    cautions: Sequence[str] = (),
    units: Sequence[str] | None = None,
) -> Head:
    """The head of a page drawn on these clocks.

    `unverified` is what `unverified_basis` answers for what the page shows. Its own cautions come
    first: households under quarantine, whose figures nobody should trust, and a year without known
    holidays. Of other units than `units` (None: all) nothing is told.
    """
    seq, until = asof.last_known(connection, clocks.known_at)
    return Head(
        title=title,
        county=plan.county,
        plan_title=plan.title,
        plan_document=plan.document,
        as_of=clocks.as_of,
        recorded_until=until,
        seq=seq,
        known_at=clocks.known_at,
        drill=register.is_drill(connection),
        unverified=tuple(unverified),
        cautions=(
            *quarantine_cautions(connection, units),
            *_calendar_caution(plan, clocks),
            *cautions,
        ),
    )


def unverified_basis(plan: Plan, rules: Sequence[str], *, seasons: bool = False) -> tuple[str, ...]:
    """Which of these rules, and of the seasons' dates, nobody has verified, as pages name them."""
    found = [name for key, name in NAMES.items() if key in rules and not _verified(plan, key)]
    if seasons:
        labels = dict.fromkeys(s.label for s in plan.seasons if s.first_day and not s.verified)
        found += [f"{label} 采暖季起止日期" for label in labels]
    return tuple(found)


def _verified(plan: Plan, rule: str) -> bool:
    return bool(getattr(plan.rules, rule).verified)


def quarantine_cautions(
    connection: Connection, units: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The sentence that names the households under quarantine of these units (None: all)."""
    codes = quarantine.codes(connection)
    if units is not None:
        case = cases.CASE.c
        theirs = select(case.code).where(case.code.in_(codes), case.unit.in_(units))
        codes = tuple(connection.execute(theirs.order_by(case.code)).scalars())
    if not codes:
        return ()
    return (f"已隔离（日志对不上，不再写入）：{'、'.join(codes)}。其数字不可采信。",)


def _calendar_caution(plan: Plan, clocks: Clocks) -> tuple[str, ...]:
    year = plan.calendar.missing(clocks.as_of)
    return () if year is None else (f"还没有 {year} 年的节假日安排，{year} 年的期限都是暂定。",)
