"""What must hold before a fact is recorded beside the line (design, section 3).

The physical world does not ask permission: these guards look at the paper (keys, dates, an earlier
event that is named), never at whether the act was allowed.
"""

from collections.abc import Mapping

from states import deadlines, season
from states import evidence as keys
from states.errors import Reason
from states.facts import CaseFacts, Matter
from states.question import (
    DESIGN_TABLE,
    NOTICE_PUBLIC,
    NOTICE_READY,
    NOTICE_SEASON,
    SEPARATION,
    Question,
    lacking,
    typed,
)
from states.vocabulary import Facility, FactKind, Role, State

# What each kind of fact cannot be without. `works` and `notice` have rules of their own.
_NEEDED: Mapping[type[keys.Evidence], Mapping[str, str]] = {
    keys.OldFacility: {"facility": "原设施种类", "status": "状态", "by": "由谁所为"},
    keys.Fault: {"what": "故障情况"},
    keys.Repair: {"fault": "故障编号"},
    keys.Visit: {"temperature": "室内温度"},
    keys.Signature: {"season": "采暖季", "by": "由谁签字"},
    keys.Violation: {"type": "违规类型", "by": "由谁所为", "what": "情况"},
    keys.Complaint: {"what": "投诉内容"},
    keys.Finding: {"what": "发现的问题", "severity": "程度"},
    keys.Pause: {"cause": "暂停原因"},
    keys.Extension: {"due_on": "延至日期", "requested_by": "由谁申请"},
    keys.Resolve: {"id": "事件编号", "outcome": "处理结果"},
    keys.Correct: {"id": "事件编号"},
}


def keys_given(question: Question) -> Reason | None:
    """Design 8: the keys of this fact are all there."""
    wanted = _NEEDED[type(question.evidence)]
    return lacking(question, "keys_given", DESIGN_TABLE, wanted)


def works_stated(question: Question) -> Reason | None:
    """通知 三（一）: at least one date or the serial, in order with what is recorded already."""
    given, works = typed(question, keys.Works), question.facts.works
    stated = given.days()
    if not stated and given.serial is None:
        wanted = tuple(name for name in keys.keys(FactKind.WORKS) if name != "late_document")
        message = f"至少写明一项：{'、'.join(wanted)}"
        return _works_reason(question, message, wanted)
    later = [day for day in stated if day > question.today]
    if later:
        reason = _works_reason(question, f"日期 {'、'.join(map(str, later))} 晚于今天", ())
        return reason._replace(earliest=max(later))
    line = (
        given.started_on or works.started_on,
        given.installed_on or works.installed_on,
        given.ready_on or works.ready_on,
    )
    days = [day for day in line if day]
    if days == sorted(days):
        return None
    message = (
        f"日期次序不对：开工、安装、具备使用条件应依次不早于前者，现为 {'、'.join(map(str, days))}"
    )
    return _works_reason(question, message, ())


def _works_reason(question: Question, message: str, missing: tuple[str, ...]) -> Reason:
    return Reason("works_stated", NOTICE_READY, message, missing, Role.UNIT_OFFICER, question.today)


def same_device(question: Question) -> Reason | None:
    """Design 9: after 施工完成 another serial is a 换机, not a fact."""
    given, facts = typed(question, keys.Works), question.facts
    completed = facts.state in (State.ACCEPTANCE, State.STABLE_SEASON, State.REMOVAL_PERMITTED)
    if not completed or given.serial is None or given.serial == facts.serial:
        return None
    message = (
        f"设备编号与已完工的设备（{facts.serial or '无编号'}）不同；换设备请办理换机（replace）"
    )
    return Reason(
        "same_device", NOTICE_READY, message, ("serial",), Role.UNIT_OFFICER, question.today
    )


def first_heat_once(question: Question) -> Reason | None:
    """Design 4.3: a device's first heat of a season is stated once; what was wrong is corrected."""
    given, facts = typed(question, keys.Works).first_heat_on, question.facts
    if given is None:
        return None
    winter = season.heated_season(facts, question.plan, given)
    stated = [
        heat
        for heat in facts.first_heats
        if season.heated_season(facts, question.plan, heat) == winter
    ]
    if not stated or stated[-1] == given:
        return None
    of = f"{winter.label} 采暖季的" if winter else ""
    message = (
        f"{of}首次供热日期已登记为 {stated[-1]}，不能改为 {given}；登记有误的由县清洁取暖办更正"
        "（record correct）"
    )
    return Reason(
        "first_heat_once",
        NOTICE_SEASON,
        message,
        ("correct",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def notice_stated(question: Question) -> Reason | None:
    """通知 七（五）: the 公示's two dates in order, or an objection."""
    given = typed(question, keys.Notice)
    if given.from_ is None and given.to is None and given.objection:
        return None
    if given.from_ is None or given.to is None:
        message = "写明公示起止日期（from、to），或异议（objection）"
    elif given.to < given.from_:
        message = f"公示止日 {given.to} 早于起日 {given.from_}"
    else:
        return None
    return Reason(
        "notice_stated", NOTICE_PUBLIC, message, ("from", "to"), Role.UNIT_OFFICER, question.today
    )


def facility_named(question: Question) -> Reason | None:
    """通知 四: a fact on an old facility names one."""
    if typed(question, keys.OldFacility).facility is not Facility.NONE:
        return None
    message = "没有原设施的无需登记；facility 须是具体的一种"
    return Reason(
        "facility_named", NOTICE_SEASON, message, ("facility",), Role.UNIT_OFFICER, question.today
    )


def fault_open(question: Question) -> Reason | None:
    """Design 4.3: a repair ends an open fault of this case, not before it began."""
    named = typed(question, keys.Repair).fault
    if named is None:
        return None
    fault = next((f for f in question.facts.faults if f.seq == named), None)
    if fault is None:
        known = "、".join(str(f.seq) for f in question.facts.faults if f.repaired_on is None)
        message = f"本户没有编号 {named} 的故障（未修复的：{known or '无'}）"
    elif fault.repaired_on is not None:
        message = f"编号 {named} 的故障已于 {fault.repaired_on} 修复"
    elif question.on < fault.on:
        message = f"修复日期 {question.on} 早于故障日期 {fault.on}"
    else:
        return None
    return Reason(
        "fault_open", NOTICE_SEASON, message, ("fault",), Role.UNIT_OFFICER, question.today
    )


def season_named(question: Question) -> Reason | None:
    """Design 9: the season signed for is one of the plan."""
    named = typed(question, keys.Signature).season
    labels = sorted({season.label for season in question.plan.seasons})
    if named is None or named in labels:
        return None
    message = f"计划中没有 {named} 采暖季（有：{'、'.join(labels)}）"
    return Reason(
        "season_named", NOTICE_SEASON, message, ("season",), Role.UNIT_OFFICER, question.today
    )


def not_paused_yet(question: Question) -> Reason | None:
    """Design 3: a pause begins once."""
    pauses = question.facts.pauses
    if not pauses or pauses[-1].resumed_on is not None:
        return None
    message = f"自 {pauses[-1].on} 起已暂停（编号 {pauses[-1].seq}）"
    return Reason("not_paused_yet", DESIGN_TABLE, message, (), Role.UNIT_OFFICER, question.today)


def paused(question: Question) -> Reason | None:
    """Design 3: what resumes had been paused, and not later."""
    pauses = question.facts.pauses
    if not pauses or pauses[-1].resumed_on is not None:
        message = "没有暂停，无须恢复"
    elif question.on < pauses[-1].on:
        message = f"恢复日期 {question.on} 早于暂停日期 {pauses[-1].on}"
    else:
        return None
    return Reason("paused", DESIGN_TABLE, message, (), Role.UNIT_OFFICER, question.today)


def extends(question: Question) -> Reason | None:
    """Design 8: an extension moves a running deadline to a later day."""
    given = typed(question, keys.Extension)
    due = deadlines.due(question.facts, question.plan)
    if given.due_on is None or (due.due_on is not None and given.due_on > due.due_on):
        return None
    if due.due_on is None:
        message = f"没有期限可延：{due.due_reason}"
    else:
        message = f"延至 {given.due_on} 不晚于现有期限 {due.due_on}"
    return Reason("extends", DESIGN_TABLE, message, ("due_on",), Role.COUNTY_OFFICE, question.today)


def matter_open(question: Question) -> Reason | None:
    """Design 3: what is answered is open, and of this case."""
    named = typed(question, keys.Resolve).id
    if named is None:
        return None
    matter = matter_of(question.facts, named)
    if matter is not None and matter.open and question.on >= matter.on:
        return None
    if matter is None:
        message = f"本户没有编号 {named} 的违规、投诉、审计发现或公示异议"
    elif not matter.open:
        message = f"编号 {named} 已于 {matter.resolved_on} 销号"
    else:
        message = f"销号日期 {question.on} 早于该事项的日期 {matter.on}"
    return Reason("matter_open", DESIGN_TABLE, message, ("id",), Role.COUNTY_OFFICE, question.today)


def correctable(question: Question) -> Reason | None:
    """Design 3: what is righted is an earlier fact of this case, and something is to be right."""
    given = typed(question, keys.Correct)
    if given.id is None:
        return None
    event = question.facts.events.get(given.id)
    changes = bool(given.values) or (event is not None and question.on != event.occurred_on)
    if event is None:
        message = f"本户没有编号 {given.id} 的事件"
    elif event.kind not in (*keys.CORRECTABLE, "registered"):
        message = f"编号 {given.id} 不能更正：办理环节用退回或抽查推翻，违规、投诉、发现用销号"
    elif event.kind == "registered" and not given.values:
        message = "台账登记只能更正原取暖设施（old_facility）"
    elif not changes:
        message = "没有写明更正后的值或日期"
    else:
        return None
    return Reason("correctable", DESIGN_TABLE, message, ("id",), Role.COUNTY_OFFICE, question.today)


def fault_named(question: Question) -> Reason | None:
    """Design 4.3: a corrected repair still ends a fault of this case, not before it began."""
    given = typed(question, keys.Correct)
    event = question.facts.events.get(given.id or 0)
    if event is None or event.kind != FactKind.REPAIR:
        return None
    values = dict(given.values)
    named = int(values["fault"]) if values.get("fault", "").isdigit() else event.number("fault")
    fault = next((f for f in question.facts.faults if f.seq == named), None)
    if fault is not None and question.on >= fault.on:
        return None
    message = f"更正后的修复与编号 {named} 的故障对不上"
    return Reason(
        "fault_named", NOTICE_SEASON, message, ("fault",), Role.COUNTY_OFFICE, question.today
    )


def fault_before_repair(question: Question) -> Reason | None:
    """Design 4.3: a corrected fault is not moved past its repair, where no outage would be left."""
    named = typed(question, keys.Correct).id
    fault = next((f for f in question.facts.faults if f.seq == named), None)
    if fault is None or fault.repaired_on is None or question.on <= fault.repaired_on:
        return None
    message = f"更正后的故障日期 {question.on} 晚于其修复日期 {fault.repaired_on}"
    return Reason(
        "fault_before_repair", NOTICE_SEASON, message, (), Role.COUNTY_OFFICE, question.today
    )


def documented(question: Question) -> Reason | None:
    """Design 3: an answer or a correction comes with a document."""
    if question.attachments:
        return None
    message = "须附证明材料（--attach）"
    return Reason(
        "documented", DESIGN_TABLE, message, ("document",), Role.COUNTY_OFFICE, question.today
    )


def answered_by_another(question: Question) -> Reason | None:
    """Design 3: nobody answers or rights what they recorded or are accused of."""
    given = question.evidence
    assert isinstance(given, keys.Resolve | keys.Correct)
    actor = question.actor
    event = question.facts.events.get(given.id or 0)
    if actor is None or event is None:
        return None
    accused = event.kind == FactKind.VIOLATION and event.text("by") in (
        actor.login,
        actor.person,
        actor.name,
    )
    if event.person != actor.person and not accused:
        return None
    message = "登记人和被反映人不能自行销号或更正，请由县清洁取暖办另一人办理"
    return Reason("separation", SEPARATION, message, (), Role.COUNTY_OFFICE, question.today)


def matter_of(facts: CaseFacts, seq: int) -> Matter | None:
    """The violation, complaint, finding or objection of this id."""
    return next((matter for matter in facts.matters if matter.seq == seq), None)
