"""What must hold at 验收 (通知 五（三）): items, signatures, dossier, and the old stove seen."""

from states import evidence as keys
from states.errors import Reason
from states.facts import CaseFacts, Matter
from states.plan import AcceptanceList
from states.question import (
    NOTICE_ACCEPTANCE,
    NOTICE_SEASON,
    SEPARATION,
    Question,
    lacking,
    typed,
    unattached,
)
from states.vocabulary import Facility, FacilitySeen, FactKind, ItemResult, Outcome, Role

# 验收 -----------------------------------------------------------------------------------------


def put_right_dated(question: Question) -> Reason | None:
    """通知 五（三）: what was found, and the day by which it has to be put right."""
    given = typed(question, keys.PutRight)
    wanted = {"findings": "问题", "put_right_by": "整改期限"}
    absent = lacking(question, "put_right_dated", NOTICE_ACCEPTANCE, wanted, Role.ACCEPTOR)
    if absent or given.put_right_by is None or given.put_right_by >= question.on:
        return absent
    message = f"整改期限 {given.put_right_by} 早于办理日期 {question.on}"
    return Reason(
        "put_right_dated",
        NOTICE_ACCEPTANCE,
        message,
        ("put_right_by",),
        Role.ACCEPTOR,
        question.today,
    )


def all_items_pass(question: Question) -> Reason | None:
    """通知 五（三）: every check item the plan lists was answered, and passes."""
    given = typed(question, keys.Accept)
    answered = {item.name for item in given.item}
    unanswered = [name for name in _list(question).items if name not in answered]
    # One that is answered twice has failed if either answer says so.
    failed = [item.name for item in given.item if item.result is ItemResult.FAIL]
    parts = []
    if unanswered:
        parts.append(f"未检查：{'、'.join(unanswered)}")
    if failed:
        parts.append(f"不合格：{'、'.join(failed)}")
    if not parts:
        return None
    return Reason(
        "all_items_pass",
        NOTICE_ACCEPTANCE,
        "；".join(parts),
        ("item",),
        Role.ACCEPTOR,
        question.today,
    )


def all_signed(question: Question) -> Reason | None:
    """通知 五（三）: everybody whom the plan lists has signed the acceptance."""
    given = typed(question, keys.Accept)
    absent = [signer for signer in _list(question).signers if signer not in given.signer]
    if not absent:
        return None
    return Reason(
        "all_signed",
        NOTICE_ACCEPTANCE,
        f"验收单缺少签字：{'、'.join(absent)}",
        ("signer",),
        Role.ACCEPTOR,
        question.today,
    )


def dossier_complete(question: Question) -> Reason | None:
    """通知 五（三）: the 一户一档 holds every document the plan lists, attached."""
    given = typed(question, keys.Accept)
    names = {document.name for document in given.document}
    absent = [name for name in _list(question).documents if name not in names]
    if absent:
        return Reason(
            "dossier_complete",
            NOTICE_ACCEPTANCE,
            f"一户一档缺少：{'、'.join(absent)}",
            ("document",),
            Role.ACCEPTOR,
            question.today,
        )
    files = tuple(d.file for d in given.document if d.file not in question.attachments)
    return unattached(question, "document", files) if files else None


def facilities_seen(question: Question) -> Reason | None:
    """通知 四: each old facility was seen: there, lawfully removed, or gone with its violation."""
    given = typed(question, keys.Accept)
    known = {f for f in question.facts.facility_status if f is not Facility.NONE}
    seen = {sighting.facility for sighting in given.facility}
    message: str | None
    if not given.facility:
        message = "须逐项写明原取暖设施的现状（facility），没有的写 none"
    elif Facility.NONE in seen and (known or len(seen) > 1):
        names = "、".join(facility.label for facility in sorted(known))
        message = f"写了 none，但登记有原设施：{names or '另有所列'}"
    elif known - seen:
        names = "、".join(facility.label for facility in sorted(known - seen))
        message = f"没有写明现状的原设施：{names}"
    else:
        faults = [fault for s in given.facility if (fault := _sighting_fault(question, s))]
        message = "；".join(faults) or None
    if message is None:
        return None
    return Reason(
        "facilities_seen", NOTICE_SEASON, message, ("facility",), Role.ACCEPTOR, question.today
    )


def _sighting_fault(question: Question, sighting: keys.Sighting) -> str | None:
    facts, name = question.facts, sighting.facility.label
    record = facts.facility_status.get(sighting.facility)
    gone = record is not None and record.status == "removed"
    match sighting.seen:
        case FacilitySeen.PRESENT if sighting.photo not in question.attachments:
            return f"{name}的照片 {sighting.photo} 没有附上（用 --attach 附上）"
        case FacilitySeen.PRESENT if gone:
            return f"{name}已登记为拆除，不能写作 present；登记有误的先更正"
        case FacilitySeen.REMOVED:
            permission = next((p for p in facts.permissions if p.seq == sighting.event), None)
            if permission is None:
                return f"{name}所说的许可（编号 {sighting.event}）不是本户的许可"
            if record is None or not gone or facts.permitted_on(record.on) != permission:
                return f"{name}不是在许可（编号 {sighting.event}）有效期间拆除的"
        case FacilitySeen.GONE:
            matter = _matter(facts, sighting.event, FactKind.VIOLATION)
            if matter is None or matter.outcome is Outcome.UNFOUNDED:
                return f"{name}所说的违规（编号 {sighting.event}）不是本户登记在案的违规"
    return None


def _matter(facts: CaseFacts, seq: int | None, *kinds: FactKind) -> Matter | None:
    return next((m for m in facts.matters if m.seq == seq and m.kind in kinds), None)


def _list(question: Question) -> AcceptanceList:
    facts = question.facts
    return question.plan.acceptance_of(facts.path, facts.kind, facts.area)


def accepted_by_another(question: Question) -> Reason | None:
    """Design 3: the acceptor is not a person who recorded the works."""
    if question.actor is None or question.actor.person not in question.facts.works_recorders:
        return None
    return Reason(
        "separation",
        SEPARATION,
        "验收人不能是登记施工的人，请由另一名验收人员办理",
        (),
        Role.ACCEPTOR,
        question.today,
    )
