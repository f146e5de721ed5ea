"""The removal certificate: one page that says why a household's old stove may go, and proves it.

Every value on it is computed from the journal as known at a checkpoint, and named, so that
`workflow/verify_certificate.py` can hold the page against the auditor's bundle without us.
"""

import base64
from collections.abc import Container, Sequence
from datetime import date
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, select

from notifications import pdf, render
from states import guards_permit, season
from states.errors import StepRefused
from states.facts import Actor, CaseFacts, Event, fold
from states.plan import Plan
from states.vocabulary import FactKind, Role, State, Trigger, ViolationType, Word
from states.workdays import local_date
from workflow import cases, checkpoint, journal, register, spreadsheet, tables, whole_file
from workflow.errors import BadFile, JournalBroken

_JOURNAL = tables.JOURNAL
GRADES = {"witnessed": "有见证", "signed": "有签名", "clock_only": "仅凭时钟"}
LEDGER_KINDS = {"registered": "登记", "amended": "更改登记"}
NOT_ASKED = "本路径按计划不受采暖季限制"


class Certificate(Struct, frozen=True):
    """What the page says: `fields` by name, one row for each event of the case, the QR text."""

    code: str
    drill: bool
    fields: dict[str, str]
    rows: tuple[tuple[str, ...], ...]
    qr: str


def certify(connection: Connection, code: str, who: Actor | None) -> Certificate:
    """The certificate of a case's permission, as known at the last checkpoint that covers it.

    Raises NotPermitted when there is no such case for this officer, StepRefused when no permission
    is in force at that checkpoint or none covers it, JournalBroken when the journal does not fit.
    """
    made = checkpoint.last(connection)
    people = register.persons(connection)
    found = journal.read_streams(connection, [f"case:{code}"], people)[f"case:{code}"]
    facts = fold(code, found)
    if facts is None or (who is not None and not who.answers_for(facts.unit)):
        raise cases.not_for_you(code)
    journal.require_all(connection)
    whole = checkpoint.tree(connection)
    if made is None or len(whole) < made.checkpoint.size:
        raise _no_checkpoint(code)
    size = made.checkpoint.size
    if whole.root(size) != made.checkpoint.root:
        raise JournalBroken(
            "日志与最近的检查点不符，不能出具证明",
            place="checkpoints",
            remedy="xianli audit verify",
        )
    events = [event for event in found if event.seq <= size]
    known = fold(code, events)
    permission = _in_force(code, known, events, local_date(made.recorded_at))
    assert known is not None
    plan = register.plan_of(connection, permission.plan)
    path = whole.inclusion(permission.seq - 1, size)
    signatures = _signatures(connection, [event.seq for event in events])
    seen = checkpoint.last_seen(connection)
    signed = [seq for seq, signature in signatures.items() if signature]
    grade = grade_of(events, signed, seen.size if seen else 0)
    root = made.checkpoint.root_text
    qr = "|".join(("XIANLI1", made.checkpoint.origin, code, permission.hash, str(size), root))
    return Certificate(
        code,
        register.is_drill(connection),
        {
            **_household(known, plan),
            "permission_seq": str(permission.seq),
            "permission_hash": permission.hash,
            "permitted_on": str(permission.recorded_on),
            "permitted_by": permission.actor,
            "plan": f"{plan.title}（{plan.document}）",
            "plan_hash": plan.hash,
            "clause": f"{plan.document} {plan.rules.required_seasons.source}",
            **_season(known, plan, permission.recorded_on),
            "matters": _matters(known),
            "origin": made.checkpoint.origin,
            "size": str(size),
            "root": root,
            "leaf": base64.b64encode(
                checkpoint.entry(permission.seq, permission.hash, signatures[permission.seq])
            ).decode(),
            "inclusion": " ".join(base64.b64encode(node).decode() for node in path),
            "grade": GRADES[grade],
            "qr_text": qr,
        },
        tuple(_row(event) for event in events),
        qr,
    )


def page(certificate: Certificate) -> str:
    """The certificate as HTML."""
    return render.certificate(certificate.fields, certificate.rows, drill=certificate.drill)


def made(certificate: Certificate, file: Path) -> bytes:
    """The certificate in the form of the file's suffix: PDF for `.pdf`, otherwise HTML.

    Raises UsageFault where what PDFs need is not installed.
    """
    if file.suffix.lower() == ".pdf":
        return pdf.certificate(certificate.fields, certificate.rows, drill=certificate.drill)
    return page(certificate).encode()


def write(certificate: Certificate, file: Path, *, force: bool) -> None:
    """Writes the certificate, whole or not at all.

    Raises UsageFault when the file is there or what PDFs need is not, BadFile when it cannot be.
    """
    spreadsheet.refuse_existing(file, force=force)
    whole_file.put(file, made(certificate, file))


def same(certificate: Certificate, file: Path) -> bool:
    """Whether the file is this certificate, byte for byte.

    A PDF is, where the same typst and font set it. Raises BadFile when it cannot be read.
    """
    try:
        return file.read_bytes() == made(certificate, file)
    except OSError as error:
        raise BadFile(f"读不了 {file}：{error.strerror}", place=str(file)) from error


def _no_checkpoint(code: str) -> StepRefused:
    return StepRefused(
        f"{code} 的许可还没有检查点覆盖，不能出具证明",
        place=code,
        remedy="先运行 xianli audit checkpoint，再出具",
    )


def _in_force(code: str, facts: CaseFacts | None, events: Sequence[Event], day: date) -> Event:
    """The event of the permission in force at the checkpoint. Raises StepRefused."""
    permission = facts.permitted_on(day) if facts else None
    if permission is not None:
        return next(event for event in events if event.seq == permission.seq)
    if facts is not None and facts.state is State.REMOVAL_PERMITTED:
        open_ = "、".join(f"{m.kind.label}（编号 {m.seq}）" for m in facts.open_matters)
        raise StepRefused(
            f"{code} 的许可因{open_}未销号而中止，不能出具证明", place=code, remedy="销号后再出具"
        )
    if facts is None or not any(event.kind == Trigger.PERMIT for event in events):
        raise _no_checkpoint(code)
    raise StepRefused(f"{code} 没有有效的拆除许可", place=code, remedy=f"xianli case why {code}")


def _household(facts: CaseFacts, plan: Plan) -> dict[str, str]:
    unit = plan.unit(facts.unit)
    return {
        "code": facts.code,
        "unit": f"{unit.name if unit else facts.unit}（{facts.unit}）",
        "village": facts.village,
        "path": facts.path.label,
        "kind": facts.kind.label,
        "area": facts.area.label,
    }


def _season(facts: CaseFacts, plan: Plan, today: date) -> dict[str, str]:
    """How the rule was satisfied, each part with its limit."""
    names = ("clock_start", "seasons", "first_heat", "longest_outage", "outage_days", "warm_visits")
    window = season.window(facts, plan, today)
    if season.exempt(facts, plan) or window is None:
        return dict.fromkeys((*names, "signatures"), NOT_ASKED) | _unverified(facts, plan, today)
    rules = plan.rules
    outages = [season.outages(facts, plan, one, today) for one in window.seasons]
    visits = [season.warm_visits(facts, plan, one) for one in window.seasons]
    signed = [
        min(s.on for s in facts.signatures if s.season == one.label and s.on > one.last_day)
        for one in window.seasons
    ]
    return {
        "clock_start": str(window.clock_start),
        "seasons": "；".join(
            f"{one.label}：{one.first_day} 至 {one.last_day}" for one in window.seasons
        ),
        "first_heat": "；".join(str(season.first_heat(facts, plan, one)) for one in window.seasons),
        "longest_outage": "；".join(
            f"{max(days, default=0)} 天（上限 {rules.outage_days.value}）" for days in outages
        ),
        "outage_days": "；".join(
            f"{sum(days)} 天（上限 {rules.outage_days_total.value}）" for days in outages
        ),
        "warm_visits": "；".join(
            f"{number} 次（至少 {rules.warm_visits.value}）" for number in visits
        ),
        "signatures": "；".join(map(str, signed)),
    } | _unverified(facts, plan, today)


def _matters(facts: CaseFacts) -> str:
    """Every violation, complaint and finding, answered ones too; what was said stays out."""
    told = []
    for matter in facts.matters:
        if matter.kind is FactKind.NOTICE:
            continue
        what = ViolationType(matter.type).label if matter.type else None
        what = matter.severity.label if matter.severity else what
        about = f"{what}，{matter.on}" if what else str(matter.on)
        answer = f"{matter.outcome.label}，{matter.resolved_on}" if matter.outcome else "未销号"
        told.append(f"第 {matter.seq} 号{matter.kind.label}（{about}）：{answer}")
    return "；".join(told) or "无"


def _unverified(facts: CaseFacts, plan: Plan, today: date) -> dict[str, str]:
    told = guards_permit.unverified_basis(facts, plan, today)
    return {"unverified": "；".join(told) or "无"}


def _signatures(connection: Connection, seqs: Sequence[int]) -> dict[int, str | None]:
    query = select(_JOURNAL.c.seq, _JOURNAL.c.signature).where(_JOURNAL.c.seq.in_(seqs))
    return {row.seq: row.signature for row in connection.execute(query)}


def grade_of(events: Sequence[Event], signed: Container[int], covered: int) -> str:
    """The proof of the weakest event of the case (docs/proof.md).

    `signed` are the seqs of signed events, `covered` the size of the last witnessed checkpoint.
    """
    if events[-1].seq <= covered:
        return "witnessed"
    unseen = [event for event in events if event.seq > covered]
    return "signed" if all(event.seq in signed for event in unseen) else "clock_only"


def _row(event: Event) -> tuple[str, ...]:
    """One line of the chain of facts: all of it is in the hashed bytes."""
    files = "；".join(f"{one.name} {one.sha256}" for one in event.attachments)
    return (
        str(event.seq),
        str(event.occurred_on),
        str(event.recorded_on),
        _what(event.kind),
        Role(event.role).label,
        event.hash,
        files,
    )


def _what(kind: str) -> str:
    words: dict[str, Word] = {str(word): word for word in (*Trigger, *FactKind)}
    return words[kind].label if kind in words else LEDGER_KINDS[kind]
