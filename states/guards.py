"""What must hold before a case may move: one function per rule.

A guard cites its clause and answers with the reason to refuse, or None. It sees the `Question` and
nothing else: no clock, no database, no settings. All unmet guards are reported at once, so each one
stays quiet about what another already reports. Those of 验收 and 允许拆除 have files of their own.
"""

from datetime import timedelta

from states import evidence as keys
from states import identity
from states.errors import Reason
from states.question import (
    DESIGN_CLOCKS,
    DESIGN_IDENTITY,
    DESIGN_TABLE,
    NOTICE_CONFIRM,
    NOTICE_FALLBACK,
    NOTICE_NETWORK_FIRST,
    NOTICE_PROCURED,
    NOTICE_PUBLIC,
    NOTICE_READY,
    NOTICE_SEASON,
    Question,
    lacking,
    not_after_step,
    typed,
    unattached,
)
from states.vocabulary import (
    CloseCause,
    Facility,
    FacilityStatus,
    GateKind,
    Path,
    Quota,
    Role,
    State,
    Supply,
)
from states.workdays import ONE_DAY

# Every step and every fact -------------------------------------------------------------------


def not_future(question: Question) -> Reason | None:
    """Design 3: nothing is recorded before it has happened."""
    if question.on <= question.today:
        return None
    message = f"发生日期 {question.on} 晚于今天 {question.today}，不能预先登记"
    return Reason("not_future", DESIGN_CLOCKS, message, (), Role.UNIT_OFFICER, question.on)


def step_in_order(question: Question) -> Reason | None:
    """Design 3: a step does not happen before the step it follows."""
    last = question.facts.last_step
    if last is None or question.on >= last.occurred_on:
        return None
    return Reason(
        "step_in_order",
        DESIGN_CLOCKS,
        f"发生日期 {question.on} 早于上一环节的日期 {last.occurred_on}",
        (),
        Role.UNIT_OFFICER,
        question.today,
    )


def late_paper(question: Question) -> Reason | None:
    """Design 3: past the plan's backdating days, late paper needs a document.

    `works` tells of days of their own: the earliest of them is when it happened, whatever day the
    fact is given.
    """
    given = question.evidence
    told = given.days() if isinstance(given, keys.Works) else ()
    days = (question.today - min((question.on, *told))).days
    limit = question.plan.rules.backdating_days.value
    if days <= limit or question.evidence.late_document:
        return None
    return Reason(
        "late_paper",
        DESIGN_CLOCKS,
        f"补录 {days} 天前的事，超过 {limit} 天，须附证明材料（late_document）",
        ("late_document",),
        Role.UNIT_OFFICER,
        question.today,
    )


def late_document_attached(question: Question) -> Reason | None:
    """Design 8: `late_document` names one of the attached files."""
    named = question.evidence.late_document
    if named is None or named in question.attachments:
        return None
    return unattached(question, "late_document", (named,))


def no_personal_numbers(question: Question) -> Reason | None:
    """Design 5: no ID or phone number in free text, reasons or file names."""
    texts = [*keys.texts(question.evidence), ("--reason", question.reason or "")]
    texts += [("--attach", name) for name in question.attachments]
    found = sorted({key for key, text in texts if identity.holds_personal_number(text)})
    if not found:
        return None
    return Reason(
        "no_personal_numbers",
        DESIGN_IDENTITY,
        f"{'、'.join(found)} 中含有身份证号或手机号；请删去后再登记",
        (),
        Role.UNIT_OFFICER,
        question.today,
    )


def reason_given(question: Question) -> Reason | None:
    """Design 3: this step says why."""
    if question.reason and question.reason.strip():
        return None
    message = "缺少理由（--reason）"
    return Reason(
        "reason_given", DESIGN_TABLE, message, ("reason",), Role.COUNTY_OFFICE, question.today
    )


# 确户完成 -------------------------------------------------------------------------------------


def visited(question: Question) -> Reason | None:
    """通知 三（三）: the household was visited."""
    given = typed(question, keys.Confirm)
    return lacking(question, "visited", NOTICE_CONFIRM, {"visit_on": "入户日期"}) or not_after_step(
        question, "visited", NOTICE_CONFIRM, {"入户日期": given.visit_on}
    )


def notice_held(question: Question) -> Reason | None:
    """通知 七（五）: 公示 of at least the plan's days, both end days counted, and over."""
    given = typed(question, keys.Confirm)
    wanted = timedelta(days=question.plan.rules.notice_days.value)
    recorded = question.facts.notice or (None, None)
    begins, ends = given.notice_from or recorded[0], given.notice_to or recorded[1]
    absent = [n for n, day in (("notice_from", begins), ("notice_to", ends)) if day is None]
    # A 公示 that is over and was too short has to be held again.
    running = begins is not None and (ends is None or ends >= question.today)
    earliest = max(
        question.today, (begins if begins and running else question.today) + wanted - ONE_DAY
    )
    if begins is None or ends is None:
        message = f"缺少公示起止日期（{'、'.join(absent)}），公示不少于 {wanted.days} 天"
    elif question.facts.notice and (begins, ends) != recorded:
        earliest = question.today
        message = f"公示 {begins} 至 {ends} 与已登记的 {recorded[0]} 至 {recorded[1]} 不一致"
    elif ends < begins:
        message = f"公示止日 {ends} 早于起日 {begins}"
    elif ends - begins + ONE_DAY < wanted:
        days = (ends - begins).days + 1
        message = f"公示 {begins} 至 {ends} 共 {days} 天，不足 {wanted.days} 天"
    elif ends > question.on:
        message = f"公示到 {ends} 才结束，晚于办理日期 {question.on}"
        earliest = max(earliest, ends)
    else:
        return None
    missing = tuple(absent) or ("notice_from", "notice_to")
    return Reason("notice_held", NOTICE_PUBLIC, message, missing, Role.UNIT_OFFICER, earliest)


def no_objection(question: Question) -> Reason | None:
    """通知 七（五）: no objection to the 公示 is open."""
    objections = question.facts.open_objections
    if not objections:
        return None
    ids = "、".join(str(matter.seq) for matter in objections)
    return Reason(
        "no_objection",
        NOTICE_PUBLIC,
        f"公示异议（编号 {ids}）尚未处理",
        ("resolve",),
        Role.UNIT_HEAD,
        question.today,
    )


def consented(question: Question) -> Reason | None:
    """通知 七（五）: the household consents, and it is known by whom."""
    given = typed(question, keys.Confirm)
    wanted = {"consent_on": "同意日期", "consent_by": "由谁同意"}
    return lacking(question, "consented", NOTICE_PUBLIC, wanted) or not_after_step(
        question, "consented", NOTICE_PUBLIC, {"同意日期": given.consent_on}
    )


def old_facilities_listed(question: Question) -> Reason | None:
    """通知 四: each old facility is listed, those of the ledger too; none must be said."""
    given = typed(question, keys.Confirm)
    listed = [claim.facility for claim in given.old_facility]
    message = None
    if not listed:
        message = "须逐项列出原取暖设施及状态，没有的写 none"
    elif Facility.NONE in listed and len(listed) > 1:
        message = "写了 none 就不能再列其他原设施"
    elif len(set(listed)) < len(listed):
        message = "同一种原设施列了两次"
    else:
        records = question.facts.facility_status
        unlisted = {*question.facts.ledger_facilities, *records} - {*listed, Facility.NONE}
        back = [
            claim.facility.label
            for claim in given.old_facility
            if claim.status is not FacilityStatus.REMOVED
            and claim.facility in records
            and records[claim.facility].status is FacilityStatus.REMOVED
        ]
        if back:
            message = f"{'、'.join(back)}已登记为拆除；恢复了的，先用 record old-facility 登记"
        elif unlisted:
            names = "、".join(sorted(f"{facility.label}（{facility}）" for facility in unlisted))
            message = (
                f"台账或已登记的原设施 {names} 没有列出；确无此设施的，由县清洁取暖办更正台账登记"
                f"（record correct，id={question.facts.registered}）"
            )
    if message is None:
        return None
    return Reason(
        "old_facilities_listed",
        NOTICE_SEASON,
        message,
        ("old_facility",),
        Role.UNIT_OFFICER,
        question.today,
    )


def meter_known(question: Question) -> Reason | None:
    """通知 三（三）: 煤改电 needs the meter's 用电户号."""
    if _path_asked(question) is not Path.COAL_TO_ELECTRIC or "meter" in question.facts.holds:
        return None
    return Reason(
        "meter_known",
        NOTICE_CONFIRM,
        "煤改电须有用电户号；请在台账中补上后重新导入",
        ("meter",),
        Role.UNIT_OFFICER,
        question.today,
    )


def unfit_proved(question: Question) -> Reason | None:
    """通知 四: 洁净煤 and 生物质 only where conditions 确不具备, by a county document."""
    given = question.evidence
    assert isinstance(given, keys.Confirm | keys.ChangePath)
    if _path_asked(question) not in (Path.CLEAN_COAL, Path.BIOMASS) or given.unfit_document:
        return None
    return Reason(
        "unfit_proved",
        NOTICE_FALLBACK,
        "洁净煤、生物质须有县级“确不具备清洁取暖改造条件”的文件（unfit_document）",
        ("unfit_document",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def unique(question: Question) -> Reason | None:
    """Design 5: one meter and one ID, one open case."""
    if not question.around.twins:
        return None
    # Which case it is must not be told to somebody who may not see it.
    return Reason(
        "unique",
        DESIGN_IDENTITY,
        "用电户号或身份证号与另一在办户重复；请县清洁取暖办核对",
        (),
        Role.COUNTY_OFFICE,
        question.today,
    )


def _path_asked(question: Question) -> Path:
    if isinstance(question.evidence, keys.ChangePath) and question.evidence.path:
        return question.evidence.path
    return question.facts.path


# 选型完成 -------------------------------------------------------------------------------------


def device_chosen(question: Question) -> Reason | None:
    """通知 五（二）: a model on the 中标设备清单 for this path, or a network connection point."""
    given = typed(question, keys.Select)
    path = question.facts.path
    if question.plan.path_rule(path).supply is Supply.NETWORK:
        return lacking(
            question, "device_chosen", NOTICE_PROCURED, {"connection_point": "管网接入点"}
        )
    absent = lacking(question, "device_chosen", NOTICE_PROCURED, {"model": "设备型号"})
    if absent:
        return absent
    if given.model in question.around.models.get(path, frozenset()):
        return None
    return Reason(
        "device_chosen",
        NOTICE_PROCURED,
        f"型号“{given.model}”不在{path.label}的中标设备清单内",
        ("model",),
        Role.UNIT_OFFICER,
        question.today,
    )


def selection_signed(question: Question) -> Reason | None:
    """通知 四（2）: the household chose, and signed."""
    given = typed(question, keys.Select)
    wanted = {"selection_on": "选型确认日期", "selection_by": "由谁签字"}
    return lacking(question, "selection_signed", NOTICE_PROCURED, wanted) or not_after_step(
        question, "selection_signed", NOTICE_PROCURED, {"选型确认日期": given.selection_on}
    )


# 施工完成 -------------------------------------------------------------------------------------


def works_dated(question: Question) -> Reason | None:
    """通知 三（一）: started, installed and ready, in this order; installed is not ready."""
    given = typed(question, keys.Complete)
    wanted = {"started_on": "开工日期", "installed_on": "安装日期", "ready_on": "具备使用条件日期"}
    absent = lacking(question, "works_dated", NOTICE_READY, wanted)
    if absent:
        return absent
    assert given.started_on
    assert given.installed_on
    assert given.ready_on
    if given.started_on <= given.installed_on <= given.ready_on:
        days = {"具备使用条件日期": given.ready_on}
        return not_after_step(question, "works_dated", NOTICE_READY, days)
    return Reason(
        "works_dated",
        NOTICE_READY,
        f"日期次序不对：开工 {given.started_on}、安装 {given.installed_on}、"
        f"具备使用条件 {given.ready_on} 应依次不早于前者",
        (),
        Role.UNIT_OFFICER,
        question.today,
    )


def works_agree(question: Question) -> Reason | None:
    """Design 9: what was recorded as it happened and what is now stated agree."""
    given, works = typed(question, keys.Complete), question.facts.works
    pairs = {
        "started_on": (given.started_on, works.started_on),
        "installed_on": (given.installed_on, works.installed_on),
        "ready_on": (given.ready_on, works.ready_on),
        "serial": (given.serial, works.serial),
    }
    differing = [name for name, (now, then) in pairs.items() if now and then and now != then]
    if not differing:
        return None
    details = "；".join(
        f"{name} 现为 {pairs[name][0]}，已登记 {pairs[name][1]}" for name in differing
    )
    return Reason(
        "works_agree",
        NOTICE_READY,
        f"与已登记的施工情况不一致：{details}",
        tuple(differing),
        Role.UNIT_OFFICER,
        question.today,
    )


def gate_open(question: Question) -> Reason | None:
    """通知 七（三）: the village's network was there on or before the household was ready."""
    kind = question.plan.path_rule(question.facts.path).gate
    if kind is GateKind.NONE:
        return None
    opened = question.around.gate_opened_on
    ready = typed(question, keys.Complete).ready_on
    if opened and (ready is None or opened <= ready):
        return None
    village = question.facts.village
    if opened is None:
        message = f"{village}的{kind.label}尚未登记开通"
    else:
        message = f"{village}的{kind.label} {opened} 才开通，晚于具备使用条件日期 {ready}"
    return Reason(
        "gate_open", NOTICE_NETWORK_FIRST, message, ("gate",), Role.COUNTY_OFFICE, question.today
    )


def grid_first(question: Question) -> Reason | None:
    """通知 七（三）: works begun before the network need a county document."""
    given, opened = typed(question, keys.Complete), question.around.gate_opened_on
    kind = question.plan.path_rule(question.facts.path).gate
    if kind is GateKind.NONE or opened is None or given.started_on is None:
        return None
    if opened <= given.started_on or given.grid_document:
        return None
    return Reason(
        "grid_not_first",
        NOTICE_NETWORK_FIRST,
        f"{given.started_on} 开工早于{question.facts.village}的{kind.label}开通日 {opened}，"
        "须有县级文件（grid_document）",
        ("grid_document",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def works_papers(question: Question) -> Reason | None:
    """通知 五（三）: contractor, the device's serial, and the household's training signed."""
    given = typed(question, keys.Complete)
    wanted = {"contractor": "施工单位", "training_on": "使用培训签字日期"}
    if question.plan.path_rule(question.facts.path).supply is Supply.DEVICE:
        wanted["serial"] = "设备编号"
    return lacking(question, "works_papers", NOTICE_READY, wanted) or not_after_step(
        question, "works_papers", NOTICE_READY, {"培训日期": given.training_on}
    )


def serial_unique(question: Question) -> Reason | None:
    """Design 5: one serial, one open case."""
    if question.around.serial_holder is None:
        return None
    return Reason(
        "serial_unique",
        DESIGN_IDENTITY,
        "该设备编号已登记在另一在办户名下，请核对铭牌",
        ("serial",),
        Role.UNIT_OFFICER,
        question.today,
    )


# 换径, 撤销, 退回, 退出, 恢复 --------------------------------------------------------------------


def new_path_given(question: Question) -> Reason | None:
    """Design 3: another path, and whether an installed device stays."""
    given = typed(question, keys.ChangePath)
    wanted = {"path": "新取暖路径", "keep_device": "已装设备是否保留"}
    absent = lacking(question, "new_path_given", DESIGN_TABLE, wanted, Role.COUNTY_OFFICE)
    if absent or given.path != question.facts.path:
        return absent
    return Reason(
        "new_path_given",
        DESIGN_TABLE,
        f"新路径与现路径相同（{question.facts.path.label}）",
        ("path",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def annex(question: Question) -> Reason | None:
    """Design 9: the annex's figure is not passed by a planned case, unless it is over plan."""
    given = question.evidence
    assert isinstance(given, keys.ChangePath | keys.Reinstate)
    planned = (given.quota or question.facts.quota) is Quota.PLANNED
    if not planned or question.around.annex_left is None or question.around.annex_left > 0:
        return None
    return Reason(
        "annex",
        "通知 附件",
        "计划内户数将超过附件任务数；确需办理的，加 -e quota=over_plan（超计划）",
        ("quota",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def put_right_not_past(question: Question) -> Reason | None:
    """Design 8: a put-right date, where given, is not before the step."""
    given = typed(question, keys.ChangePath)
    if given.put_right_by is None or given.put_right_by >= question.on:
        return None
    message = f"整改期限 {given.put_right_by} 早于办理日期 {question.on}"
    return Reason(
        "put_right_not_past",
        DESIGN_TABLE,
        message,
        ("put_right_by",),
        Role.COUNTY_OFFICE,
        question.today,
    )


def revocation_explained(question: Question) -> Reason | None:
    """Design 3: the cause of a revocation and what was found."""
    wanted = {"cause": "撤销原因", "findings": "问题"}
    return lacking(question, "revocation_explained", DESIGN_TABLE, wanted, Role.COUNTY_OFFICE)


def exit_explained(question: Question) -> Reason | None:
    """Design 3: cause, who asked, document; a replaced case names the one that takes its place."""
    given = typed(question, keys.Close)
    wanted = {"cause": "退出原因", "requested_by": "由谁提出", "document": "退出材料"}
    if given.cause is CloseCause.REPLACED:
        wanted["replaced_by"] = "接替户的编号"
    absent = lacking(question, "exit_explained", DESIGN_TABLE, wanted, Role.COUNTY_OFFICE)
    if absent or given.cause is not CloseCause.REPLACED:
        return absent
    successor = question.around.successor
    if given.replaced_by != question.facts.code and successor not in (None, State.CLOSED):
        return None
    return Reason(
        "exit_explained",
        DESIGN_TABLE,
        f"接替户 {given.replaced_by} 须是另一个在办户",
        ("replaced_by",),
        Role.COUNTY_OFFICE,
        question.today,
    )
