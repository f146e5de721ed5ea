"""What must hold before 允许拆除 (design, section 4): computed from the journal, never clicked."""

from datetime import date, timedelta

from states import season
from states.errors import Reason
from states.facts import CaseFacts
from states.plan import Plan
from states.question import DESIGN_TABLE, NOTICE_SEASON, SEPARATION, Question
from states.vocabulary import Role

# 允许拆除 (design, section 4) ------------------------------------------------------------------


def season_served(question: Question) -> Reason | None:
    """通知 四: the required seasons have been run through since the clock started."""
    facts, plan, today = question.facts, question.plan, question.today
    if season.exempt(facts, plan):
        return None
    window = season.window(facts, plan, today)
    if window and window.ended:
        return None
    day, why = _earliest_permit(question)
    seasons = plan.rules.required_seasons.value
    if window:
        labels = "、".join(s.label for s in window.seasons)
        message = (
            f"须稳定运行 {seasons} 个采暖季（{labels}，止于 {window.last_day}），"
            f"起算日 {window.clock_start}，该季尚未结束"
        )
    elif facts.clock_start is None:
        message = f"须验收合格后稳定运行 {seasons} 个采暖季，现在尚未验收"
    else:
        message = (
            f"须稳定运行 {seasons} 个采暖季；起算日 {facts.clock_start} 之后"
            f"没有起止日期已知的完整采暖季"
        )
    return Reason("season_served", NOTICE_SEASON, message, (), None, day, why)


def season_verified(question: Question) -> Reason | None:
    """Design 1: a real database permits nothing on unverified dates, numbers or exemptions."""
    facts, plan = question.facts, question.plan
    unverified = unverified_basis(facts, plan, question.today)
    if question.drill or not unverified:
        return None
    return Reason(
        "season_verified",
        "设计 1（未核实不许可）",
        f"未核实，不能许可：{'；'.join(unverified)}",
        (),
        Role.COUNTY_OFFICE,
        None,
        "核实前无法确定",
    )


def unverified_basis(facts: CaseFacts, plan: Plan, today: date) -> tuple[str, ...]:
    """What a permission would rest on that nobody has verified: season dates and their number."""
    rules = plan.rules
    if season.exempt(facts, plan):
        return () if rules.exempt_paths.verified else ("路径豁免（exempt_paths）",)
    window = season.window(facts, plan, today)
    known = window.seasons if window else ()
    labels = [s.label for s in known if not s.verified]
    if not known:
        seasons = plan.seasons_of(facts.area, facts.path)
        labels = [s.label for s in seasons if not s.verified]
    found = [f"{label} 采暖季起止日期" for label in labels]
    if not rules.required_seasons.verified:
        found.append("要求的采暖季数（required_seasons）")
    return tuple(found)


def no_long_outage(question: Question) -> Reason | None:
    """Design 4.3: no single outage over the plan's limit."""
    limit = question.plan.rules.outage_days.value
    for dated in _judged_seasons(question):
        longest = max(
            season.outages(question.facts, question.plan, dated, question.today), default=0
        )
        if longest > limit:
            message = f"{dated.label} 采暖季有一次停热 {longest} 天，超过 {limit} 天"
            return _unstable(question, "no_long_outage", message)
    return None


def outages_within_total(question: Question) -> Reason | None:
    """Design 4.3: the season's outage days together stay within the plan's limit."""
    limit = question.plan.rules.outage_days_total.value
    for dated in _judged_seasons(question):
        total = sum(season.outages(question.facts, question.plan, dated, question.today))
        if total > limit:
            message = f"{dated.label} 采暖季累计停热 {total} 天，超过 {limit} 天"
            return _unstable(question, "outages_within_total", message)
    return None


def _unstable(question: Question, guard: str, message: str) -> Reason:
    day, why = _earliest_permit(question)
    return Reason(guard, NOTICE_SEASON, message, (), None, day, why)


def heat_on_today(question: Question) -> Reason | None:
    """Design 4.3: no outage is open today."""
    if season.exempt(question.facts, question.plan):
        return None
    outage = season.open_outage(question.facts, question.plan)
    if outage is None:
        return None
    missing = ("repair",) if "故障" in outage else ("visit",)
    return Reason(
        "heat_on_today", NOTICE_SEASON, outage, missing, Role.UNIT_OFFICER, question.today
    )


def first_heat_known(question: Question) -> Reason | None:
    """Design 4.3: when each season's heat first came on is on record; unknown is not stable."""
    for dated in _judged_seasons(question):
        if season.first_heat(question.facts, question.plan, dated) is None:
            return Reason(
                "first_heat_known",
                NOTICE_SEASON,
                f"没有 {dated.label} 采暖季的首次供热日期；请用 record works 登记 first_heat_on",
                ("first_heat_on",),
                Role.UNIT_OFFICER,
                max(question.today, dated.first_day),
            )
    return None


def warm_visits_made(question: Question) -> Reason | None:
    """Design 4.3: at least the plan's number of warm visits made within each season."""
    wanted = question.plan.rules.warm_visits.value
    for dated in _judged_seasons(question):
        made = season.warm_visits(question.facts, question.plan, dated)
        if made < wanted:
            limit = question.plan.rules.warm_temperature.value
            message = (
                f"{dated.label} 采暖季内不低于 {limit:g} ℃ 的入户测温有 {made} 次，不足 {wanted} 次"
                "（季内做过而未登记的，可凭材料补录）"
            )
            first = max(question.today, dated.first_day)
            return Reason(
                "warm_visits_made", NOTICE_SEASON, message, ("visit",), Role.UNIT_OFFICER, first
            )
    return None


def season_signed(question: Question) -> Reason | None:
    """Design 4.3: the household signed after each season's last day."""
    for dated in _judged_seasons(question):
        if not season.signed(question.facts, dated):
            first = max(question.today, dated.last_day + timedelta(days=1))
            return Reason(
                "season_signed",
                NOTICE_SEASON,
                f"缺少用户在 {dated.label} 采暖季结束（{dated.last_day}）之后的签字",
                ("signature",),
                Role.UNIT_OFFICER,
                first,
            )
    return None


def recorded_in_time(question: Question) -> Reason | None:
    """Design 4.4: acceptance or readiness recorded after the season began needs its document."""
    if season.exempt(question.facts, question.plan):
        return None
    window = season.window(question.facts, question.plan, question.today)
    late = season.late_papers(question.facts, window) if window else []
    if not window or not late:
        return None
    days = "、".join(f"编号 {paper.seq}（{paper.recorded_on} 登记）" for paper in late)
    message = f"验收或具备使用条件在采暖季开始（{window.first_day}）之后才登记且无材料：{days}"
    day, why = _earliest_permit(question)
    return Reason("recorded_in_time", NOTICE_SEASON, message, (), None, day, why)


def nothing_open(question: Question) -> Reason | None:
    """Design 4.5: no open violation, complaint or serious finding."""
    matters = question.facts.open_matters
    if not matters:
        return None
    what = "、".join(f"{matter.kind.label}（编号 {matter.seq}）" for matter in matters)
    return Reason(
        "nothing_open",
        NOTICE_SEASON,
        f"尚未销号：{what}",
        ("resolve",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def permitted_by_another(question: Question) -> Reason | None:
    """Design 4.6: the person who permits did not accept the works."""
    accepted = question.facts.accepted
    if question.actor is None or accepted is None or accepted.person != question.actor.person:
        return None
    return Reason(
        "separation",
        SEPARATION,
        "许可人不能是验收人，请由县清洁取暖办另一人办理",
        (),
        Role.COUNTY_OFFICE,
        question.today,
    )


def permitted_today(question: Question) -> Reason | None:
    """Design 3: a permission takes effect on the day it is recorded."""
    if question.on >= question.today:
        return None
    message = f"许可自登记之日起生效，不能写成 {question.on}"
    return Reason("permitted_today", DESIGN_TABLE, message, (), Role.COUNTY_OFFICE, question.today)


def _judged_seasons(question: Question) -> tuple[season.Dated, ...]:
    if season.exempt(question.facts, question.plan):
        return ()
    window = season.window(question.facts, question.plan, question.today)
    return window.seasons if window else ()


def _earliest_permit(question: Question) -> tuple[date | None, str | None]:
    return season.earliest(question.facts, question.plan, question.today, drill=question.drill)
