"""The stable JSON of design section 8: what every command answers, as plain dicts.

Instants are UTC, dates `YYYY-MM-DD`, identifiers those of the vocabulary. The screen shows the same
answers in Chinese.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from states import deadlines, evidence, lifecycle, safety
from states.errors import CaseError, Reason
from states.facts import CaseFacts, Event, Matter
from states.identity import PersonalData
from states.machine import Answer
from states.plan import Json, Plan
from states.vocabulary import FactKind, State, Trigger
from workflow import batch as batches
from workflow.asof import Change, ChangedCase, Difference, View
from workflow.audit import Verification
from workflow.batch import Batch, Refused
from workflow.bulletin_files import Written
from workflow.bulletins import Difference as BulletinDifference
from workflow.bulletins import Published as PublishedBulletin
from workflow.bulletins import Rule
from workflow.cases import Position
from workflow.certificate import Certificate
from workflow.checkpoint import Made, Seen, Status
from workflow.dispatch import Round
from workflow.doctor import Check as HealthCheck
from workflow.doctor import Health
from workflow.dossier_files import Shelf
from workflow.engine import Receipt
from workflow.forecast import Forecast, Outlook
from workflow.holidays import Entered, Known, Moved
from workflow.keyring import OfficerKey
from workflow.ledger import Import
from workflow.letters import Letter
from workflow.models import instant_text
from workflow.moving import Moved as MovedHouse
from workflow.oddities import Odd
from workflow.overdue import Check, Todo
from workflow.progress import Progress, UnitProgress
from workflow.quarantine import Quarantine
from workflow.register import Gate, Officer
from workflow.reports import Count, LedgerTotals
from workflow.restore import Restored
from workflow.revision import Fate, Impact, Revised
from workflow.revision import Moved as MovedCases
from workflow.sample import Draw, Results, Size, Standing, Terms, row_of
from workflow.upgrade import Upgraded
from workflow.verify import Finding, Report
from workflow.violations import Entry
from workflow.witness import Witnessed

if TYPE_CHECKING:
    # Only their types: mail servers and the scheduler are not loaded to list cases.
    from workflow.outbox import Delivered
    from workflow.scheduler import Standing as ServiceStanding

Document = dict[str, Json]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def error(failure: CaseError) -> Document:
    """Any failure."""
    return {
        "error": {
            "status": failure.status,
            "code": failure.code,
            "message": failure.message,
            "place": failure.place,
            "remedy": failure.remedy,
            "reasons": [reason(one) for one in failure.reasons],
        }
    }


def reason(one: Reason) -> Document:
    """One unmet guard."""
    return {
        "guard": one.guard,
        "clause": one.clause,
        "message": one.message,
        "missing": list(one.missing),
        "who": one.who,
        "earliest": _day(one.earliest),
        "earliest_reason": one.earliest_reason,
    }


def position(found: Position) -> Document:
    """A line of `case list`."""
    return {
        "code": found.code,
        "unit": found.unit,
        "unit_name": found.unit_name,
        "village": found.village,
        "path": found.path,
        "kind": found.kind,
        "area": found.area,
        "quota": found.quota,
        "state": found.state,
        "state_since": _day(found.state_since),
        "due_on": _day(found.due_on),
        "plan_due_on": _day(found.plan_due_on),
        "target_on": _day(found.target_on),
        "provisional": found.provisional,
        "latest_start": _day(found.latest_start),
        "due_reason": found.due_reason,
        "overdue": found.overdue,
        "at_risk": found.at_risk,
    }


def case(
    found: Position,
    facts: CaseFacts,
    personal: PersonalData,
    unverified: Sequence[str],
    *,
    drill: bool,
    as_of: date,
    plan: Plan,
) -> Document:
    """`case show`: the position, what is on record beside the line, and what may come next.

    `unverified` is what its permission rests on that nobody has verified.
    """
    permission = facts.permitted_on(as_of)
    return {
        **position(found),
        "version": facts.version,
        "drill": drill,
        "unverified": list(unverified),
        "building_area": facts.building_area,
        "heating_area": facts.heating_area,
        "personal": asdict(personal),
        "model": facts.model,
        "connection_point": facts.connection_point,
        "clock_start": _day(facts.clock_start),
        "permission_in_force": None if permission is None else permission.seq,
        "clocks": [
            {
                "clock": one.of,
                "label": one.of.label,
                "seq": one.seq,
                "due_on": _day(one.due_on),
                "days_left": (one.due_on - as_of).days,
                "overdue": deadlines.overdue(one.due_on, as_of),
                "provisional": deadlines.provisional(one.due_on, plan),
            }
            for one in deadlines.deadlines(facts, plan)
        ],
        "historic_missed": deadlines.missed_historic(facts.state, facts.select_on, plan, as_of),
        "tracks": _tracks(facts),
        "next": [str(trigger) for trigger in lifecycle.legal_from(facts.state)],
    }


def _tracks(facts: CaseFacts) -> Document:
    works, ready, accepted = facts.works, facts.ready, facts.accepted
    return {
        "old_facility": _facilities(facts),
        "works": {
            "started_on": _day(works.started_on),
            "installed_on": _day(works.installed_on),
            "ready_on": _day(ready.on if ready else works.ready_on),
            "first_heat_on": _day(facts.first_heat_on),
            "serial": facts.serial or works.serial,
            "accepted_on": _day(accepted.on if accepted else None),
        },
        "notice": None
        if facts.notice is None
        else {"from": _day(facts.notice[0]), "to": _day(facts.notice[1])},
        "faults": [
            {"id": f.seq, "on": _day(f.on), "what": f.what, "repaired_on": _day(f.repaired_on)}
            for f in facts.faults
        ],
        "visits": [
            {"id": v.seq, "on": _day(v.on), "temperature": v.temperature} for v in facts.visits
        ],
        "signatures": [
            {"id": s.seq, "on": _day(s.on), "season": s.season, "by": s.by}
            for s in facts.signatures
        ],
        "violations": _matters(facts, FactKind.VIOLATION),
        "complaints": _matters(facts, FactKind.COMPLAINT),
        "findings": _matters(facts, FactKind.FINDING),
        "objections": _matters(facts, FactKind.NOTICE),
        "pauses": [
            {"id": p.seq, "on": _day(p.on), "cause": p.cause, "resumed_on": _day(p.resumed_on)}
            for p in facts.pauses
        ],
        "extensions": [{"id": e.seq, "due_on": _day(e.due_on)} for e in facts.extensions],
        "permissions": [
            {"id": p.seq, "from": _day(p.day), "until": _day(p.ended_on)} for p in facts.permissions
        ],
    }


def _facilities(facts: CaseFacts) -> list[Json]:
    recorded = {record.facility for record in facts.facilities}
    found: list[Json] = [
        {"facility": f, "status": None, "on": None, "by": "ledger", "id": facts.registered}
        for f in facts.ledger_facilities
        if f not in recorded
    ]
    for record in facts.facilities:
        line: Document = {
            "facility": record.facility,
            "status": record.status,
            "on": _day(record.on),
            "by": record.by,
            "id": record.seq,
        }
        found.append(line)
    return found


def _matters(facts: CaseFacts, kind: FactKind) -> list[Json]:
    return [_matter(matter) for matter in facts.matters if matter.kind is kind]


def _matter(matter: Matter) -> Document:
    return {
        "id": matter.seq,
        "on": _day(matter.on),
        "what": matter.what,
        "type": matter.type,
        "by": matter.by,
        "severity": matter.severity,
        "open": matter.open,
        "outcome": matter.outcome,
        "resolved_on": _day(matter.resolved_on),
    }


def history(events: Iterable[Event], late: Mapping[int, int]) -> list[Document]:
    """`case history`; `late` are the days by which events came late, by seq."""
    return [
        {
            "seq": event.seq,
            "kind": event.kind,
            "from": event.source,
            "to": event.target,
            "occurred_on": _day(event.occurred_on),
            "recorded_at": instant_text(event.recorded_at),
            "actor": event.actor,
            "role": event.role,
            "reason": event.reason,
            "evidence": dict(event.evidence),
            "event_hash": event.hash,
            "version": event.version,
            "late_days": late.get(event.seq, 0),
            "attachments": [{"name": a.name, "sha256": a.sha256} for a in event.attachments],
        }
        for event in events
    ]


def why(code: str, answer: Answer, unverified: Sequence[str], *, drill: bool) -> Document:
    """`case why` for one trigger."""
    return {
        "code": code,
        "trigger": answer.trigger,
        "possible": answer.possible,
        "earliest": _day(answer.earliest),
        "earliest_reason": answer.earliest_reason,
        "reasons": [reason(one) for one in answer.reasons],
        "unverified": list(unverified),
        "drill": drill,
    }


def receipt(done: Receipt) -> Document:
    """`advance` and `record`."""
    return {
        "code": done.code,
        "trigger": done.trigger,
        "state": done.state,
        "version": done.version,
        "seq": done.seq,
        "event_hash": done.event_hash,
        "occurred_on": _day(done.occurred_on),
        "recorded_at": instant_text(done.recorded_at),
        "due_on": _day(done.due_on),
        "repeated": done.repeated,
        "drill": done.drill,
        "unverified": list(done.unverified),
        "warning": done.warning,
        "late_days": done.late_days,
    }


def todo(items: Iterable[Todo]) -> list[Document]:
    """`todo`."""
    return [
        {
            "code": item.code,
            "unit": item.unit,
            "village": item.village,
            "trigger": item.trigger,
            "due_on": _day(item.due_on),
            "days_left": item.days_left,
            "missing": list(item.missing),
            "provisional": item.provisional,
        }
        for item in items
    ]


def check(
    found: Check,
    outlooks: Mapping[str, Outlook],
    *,
    drill: bool,
    quarantined: Sequence[str] = (),
) -> Document:
    """`check`, with what is to be expected of each unit."""
    return {
        "as_of": _day(found.as_of),
        "drill": drill,
        "cases": found.cases,
        "overdue": found.overdue,
        "at_risk": found.at_risk,
        "historic": found.historic,
        "gravest": [{"code": a.code, "unit": a.unit, "why": a.why} for a in found.gravest],
        "by_unit": {
            line.unit: {
                "unit_name": line.unit_name,
                "task": line.task,
                "done": line.done,
                "overdue": line.overdue,
                "at_risk": line.at_risk,
                "p_construction": outlooks[line.unit].p_construction,
                "p_acceptance": outlooks[line.unit].p_acceptance,
                "pace_needed": outlooks[line.unit].pace_needed,
                "pace_shown": outlooks[line.unit].pace_shown,
                "expected": _day(outlooks[line.unit].expected),
            }
            for line in found.by_unit
        },
        "overdue_cases": [position(p) for p in found.late],
        "at_risk_cases": [position(p) for p in found.risky],
        "quarantined": list(quarantined),
        "matters": [
            {
                "code": matter.code,
                "unit": matter.unit,
                "clock": matter.deadline.of,
                "seq": matter.deadline.seq,
                "due_on": _day(matter.deadline.due_on),
                "days_late": (found.as_of - matter.deadline.due_on).days,
            }
            for matter in found.matters
        ],
        "calendar_missing": found.calendar_missing,
    }


def round_(found: Round) -> Document:
    """What `check --notify` raised and queued."""
    swept = found.swept
    return {
        "as_of": _day(swept.as_of),
        "total": swept.due,
        "failed": len(swept.failures),
        "raised": swept.raised,
        "superseded": swept.superseded,
        "alarms": [{"code": a.code, "unit": a.unit, "why": a.why} for a in swept.alarms],
        "letters": list(swept.letters),
        "digests": list(found.digests),
        "failures": [
            {
                "code": one.code,
                "deadline": one.deadline,
                "status": one.error.status,
                "message": one.error.message,
            }
            for one in swept.failures
        ],
    }


def notify(
    messages: Sequence[Document],
    letters: Iterable[Letter],
    plan: Plan,
    as_of: date,
    *,
    drill: bool,
) -> Document:
    """`notify list`: what goes out to whom, and the official letters."""
    shown: list[Json] = [
        {key: value for key, value in one.items() if key != "document"} for one in messages
    ]
    return {
        "as_of": _day(as_of),
        "drill": drill,
        "messages": shown,
        "letters": [letter(one, plan, as_of) for one in letters],
    }


def letter(found: Letter, plan: Plan, as_of: date) -> Document:
    """A line of the register of letters."""
    named, rows = plan.unit(found.unit), found.document["matters"]
    return {
        "number": found.number,
        "kind": found.kind,
        "unit": found.unit,
        "unit_name": named.name if named else found.unit,
        "level": found.level,
        "issued_on": _day(found.issued_on),
        "matters": len(rows) if isinstance(rows, list) else 0,
        "reply_by": _day(found.reply_by),
        "replied_on": _day(found.replied_on),
        "unanswered": found.unanswered(as_of),
    }


def forecast(found: Forecast, in_force: Plan, *, drill: bool) -> Document:
    """`forecast`."""
    units = {unit.code: unit for unit in in_force.units}
    return {
        "as_of": _day(found.as_of),
        "drill": drill,
        "works_end": _day(in_force.phase("works").end),
        "acceptance_end": _day(in_force.phase("acceptance").end),
        "by_unit": {
            code: {
                "unit_name": units[code].name,
                "task": units[code].task,
                "to_build": one.to_build,
                "p_construction": one.p_construction,
                "p_acceptance": one.p_acceptance,
                "expected": _day(one.expected),
                "low": _day(one.low),
                "high": _day(one.high),
                "pace_needed": one.pace_needed,
                "pace_shown": one.pace_shown,
                "binding_state": one.binding_state,
            }
            for code, one in found.by_unit.items()
        },
    }


def imported(found: Import, marked: str | None) -> Document:
    """`ledger import`; `marked` is the marked copy, None where none was written."""
    return {
        "file": found.file,
        "dry_run": found.dry_run,
        "marked": marked,
        "verdict": "accepted" if found.accepted else "rejected",
        "rows": found.rows,
        "added": found.added,
        "changed": found.changed,
        "faults": [
            {
                "sheet": f.sheet,
                "cell": f.cell,
                "code": f.code,
                "message": f.message,
                "read": f.read,
                "field": f.field,
            }
            for f in found.faults
        ],
        "normalisations": [
            {
                "sheet": n.sheet,
                "cell": n.cell,
                "code": n.code,
                "read": n.read,
                "value": n.value,
                "field": n.field,
            }
            for n in found.normalisations
        ],
        "differences": [
            {"code": d.code, "heading": d.heading, "was": d.was, "becomes": d.becomes}
            for d in found.differences
        ],
    }


def batch(found: Batch, *, applied: bool) -> Document:
    """`batch preview`, and `batch apply` with what it wrote."""
    document: Document = {
        "file": found.file,
        "kind": found.kind,
        "rows": found.rows,
        "passing": len(found.done),
        "refused": [_refused_row(one) for one in found.refused],
        "repeated": found.repeated,
        "faults": [
            {"sheet": f.sheet, "cell": f.cell, "code": f.code, "message": f.message}
            for one in found.refused
            for f in one.row.faults
        ],
        "warnings": [
            {
                "code": "file_reused",
                "sha256": one.sha256,
                "files": list(one.names),
                "cases": list(one.codes),
            }
            for one in found.reused
        ],
        "normalisations": [
            {"sheet": n.sheet, "cell": n.cell, "code": n.code, "read": n.read, "value": n.value}
            for n in found.normalisations
        ],
        "drill": found.drill,
        "unverified": [*sorted({basis for _, done in found.done for basis in done.unverified})],
    }
    if applied:
        document |= {
            "applied": found.applied,
            "receipt": found.receipt,
            "returned_file": found.returned,
            "events": [
                {
                    "row": row.row,
                    "code": done.code,
                    "state": done.state,
                    "version": done.version,
                    "seq": done.seq,
                    "event_hash": done.event_hash,
                    "repeated": done.repeated,
                    "warning": done.warning,
                    "late_days": done.late_days,
                }
                for row, done in found.done
                if found.written
            ],
        }
    return document


def _refused_row(one: Refused) -> Document:
    document: Document = {
        "sheet": one.row.sheet,
        "row": one.row.row,
        "code": one.row.code,
        "reasons": [reason(each) for each in one.reasons],
        "earliest": _day(one.earliest),
        "conflict": None,
    }
    if one.moved is not None:
        step = one.moved.step
        document["conflict"] = {
            "sheet": {
                "version": one.row.version,
                "state": one.row.state,
                "occurred_on": _day(one.row.on),
                "evidence": batches.said(one.row),
            },
            "ledger": {
                "version": one.moved.version,
                "state": one.moved.state,
                "moved_by": None if step is None else step.actor,
                "moved_at": None if step is None else instant_text(step.recorded_at),
                "trigger": None if step is None else step.kind,
                "to": None if step is None else step.target,
                "seq": None if step is None else step.seq,
            },
        }
    return document


def bulletin(found: Written) -> Document:
    """`report bulletin`."""
    return {
        "number": found.number,
        "new": found.new,
        "period": str(found.period),
        "since": _day(found.notice.since),
        "as_of": _day(found.notice.as_of),
        "drill": found.notice.drill,
        "hash": found.hash,
        "files": [str(file) for file in found.files],
    }


def bulletins(found: Iterable[PublishedBulletin]) -> Document:
    """`report bulletins`."""
    return {"bulletins": [_published(one) for one in found]}


def _published(one: PublishedBulletin) -> Document:
    return {
        "seq": one.seq,
        "number": one.number,
        "period": str(one.period),
        "as_of": _day(one.as_of),
        "known_at": instant_text(one.known_at),
        "known_seq": one.known_seq,
        "hash": one.hash,
        "drill": one.notice.drill,
    }


def bulletin_difference(found: BulletinDifference) -> Document:
    """`report compare`."""
    return {
        **_published(found.published),
        "changes": [
            {
                "unit": one.unit,
                "unit_name": one.unit_name,
                "figure": one.figure,
                "was": one.was,
                "becomes": one.becomes,
            }
            for one in found.changes
        ],
        "cases": [
            {
                "code": one.code,
                "unit": one.unit,
                "events": [_event_since(event) for event in one.events],
            }
            for one in found.cases
        ],
        "rules": [_event_since(rule) for rule in found.rules],
        "unexplained": found.unexplained,
    }


def _event_since(event: Event | Rule) -> Document:
    return {
        "seq": event.seq,
        "kind": event.kind,
        "occurred_on": _day(event.occurred_on),
        "recorded_at": instant_text(event.recorded_at),
        "actor": event.actor,
    }


def ledgers(
    file: str,
    as_of: date,
    found: Iterable[LedgerTotals],
    *,
    drill: bool,
    quarantined: Sequence[str] = (),
) -> Document:
    """`report ledgers`."""

    def figures(count: Count) -> Document:
        return {
            "task": count.task,
            "registered": count.registered,
            "planned": count.planned,
            "done": count.done,
        }

    return {
        "file": file,
        "as_of": _day(as_of),
        "drill": drill,
        "quarantined": list(quarantined),
        "ledgers": [
            {
                "name": one.name,
                **figures(one.total),
                "by_unit": {unit: figures(count) for unit, count in one.by_unit.items()},
            }
            for one in found
        ],
    }


def plan(found: Plan) -> Document:
    """`plan show`."""
    rules = found.rules
    return {
        "name": found.name,
        "title": found.title,
        "document": found.document,
        "hash": found.hash,
        "effective_from": _day(found.effective_from),
        "phases": [
            {
                "key": phase.key,
                "label": phase.label,
                "start": _day(phase.start),
                "end": _day(phase.end),
                "historic": found.historic(phase),
            }
            for phase in found.phases
        ],
        "units": [
            {
                "code": unit.code,
                "name": unit.name,
                "task": unit.task,
                "tasks": [
                    {"path": t.path, "kind": t.kind, "area": t.area, "households": t.households}
                    for t in unit.tasks
                ],
            }
            for unit in found.units
        ],
        "seasons": [
            {
                "label": season.label,
                "area": season.area,
                "path": season.path,
                "first_day": _day(season.first_day),
                "last_day": _day(season.last_day),
                "verified": season.verified,
                "source": season.source,
            }
            for season in found.seasons
        ],
        "rules": {name: rule["value"] for name, rule in rules.model_dump(mode="json").items()},
        "sources": {
            name: {"source": getattr(rules, name).source, "verified": getattr(rules, name).verified}
            for name in type(rules).model_fields
        },
        "acceptance": [
            {
                "path": row.path,
                "kind": row.kind,
                "area": row.area,
                "items": list(row.items),
                "signers": list(row.signers),
                "documents": list(row.documents),
            }
            for row in found.acceptance
        ],
        "gates": [{"path": rule.path, "kind": rule.gate} for rule in found.paths],
        "evaluation": [
            {
                "key": one.key,
                "label": one.name,
                "weight": one.weight,
                "full": one.full,
                "zero": one.zero,
                "source": one.source,
                "verified": one.verified,
            }
            for one in found.indicators
        ],
    }


def revision(found: Impact, *, apply: bool, revised: Revised | None = None) -> Document:
    """`plan revise`: what the revision changes and does, and what was written of it."""
    return {
        "hash": found.new.hash,
        "was": found.old.hash,
        "refused": list(found.refused),
        "second_officer": found.second,
        "changes": [
            {"key": c.key, "what": c.what, "refused": c.refused, "second_officer": c.second}
            for c in found.changes
        ],
        "stranded": [_fate(fate) for fate in found.stranded],
        "blocked": [_fate(fate) for fate in found.blocked],
        "permitted": [_fate(fate) for fate in found.permitted],
        "questioned": [_fate(fate) for fate in found.questioned],
        "deadlines": [_moved_cases(one) for one in found.moved],
        "earliest": [_moved_cases(one) for one in found.later],
        "annex_exceeded": [
            {"unit": e.unit, "task": e.task, "households": e.households, "cases": e.cases}
            for e in found.exceeded
        ],
        "applied": apply,
        "adopted": revised is not None and revised.adopted,
        "seq": revised.seq if revised else None,
    }


def _fate(fate: Fate) -> Document:
    return {"code": fate.code, "unit": fate.unit, "state": fate.state, "why": fate.why}


def _moved_cases(one: MovedCases) -> Document:
    return {
        "was": _day(one.was),
        "now": _day(one.now),
        "cases": one.cases,
        "units": list(one.units),
    }


def progress(found: Progress, plan: Plan, *, drill: bool) -> Document:
    """`plan schedule`."""

    def steps(line: UnitProgress) -> Document:
        return {
            str(trigger): {
                "target_on": _day(step.target_on),
                "planned": step.planned,
                "done": step.done,
                "behind": step.behind,
                "by_month": dict(step.by_month),
            }
            for trigger, step in line.steps.items()
        }

    names = {unit.code: unit.name for unit in plan.units}
    return {
        "as_of": _day(found.as_of),
        "drill": drill,
        "by_unit": {
            code: {"unit_name": names[code], "task": line.task, "steps": steps(line)}
            for code, line in found.by_unit.items()
        },
        "total": {"task": found.total.task, "steps": steps(found.total)},
    }


def holidays_entered(found: Entered) -> Document:
    """`calendar import`; of what moves, only what is other than before."""
    return {
        "file": found.file,
        "year": found.holidays.year,
        "source": found.holidays.source,
        "off": [_day(day) for day in sorted(found.holidays.off)],
        "working": [_day(day) for day in sorted(found.holidays.working)],
        "dry_run": found.dry_run,
        "seq": found.seq,
        "differing": [_day(day) for day in found.differing],
        "moved": [_moved(one) for one in found.moved],
    }


def _moved(one: Moved) -> Document:
    was, becomes = one.was, one.becomes
    return {
        "due_on": _day(one.due_on),
        "cases": one.cases,
        "units": list(one.units),
        "target_on": {"was": _day(was.target_on), "becomes": _day(becomes.target_on)},
        "provisional": {"was": was.provisional, "becomes": becomes.provisional},
        "latest_start": [
            {"state": state, "was": _day(day), "becomes": _day(becomes.latest_start[state])}
            for state, day in was.latest_start.items()
            if becomes.latest_start[state] != day
        ],
        "rungs": [
            {"rung": rung.name, "was": _day(day), "becomes": _day(becomes.rungs[rung])}
            for rung, day in was.rungs.items()
            if becomes.rungs[rung] != day
        ],
    }


def calendar(found: Known) -> Document:
    """`calendar list`."""
    return {
        "shipped": {
            "source": found.source,
            "first_year": found.first_year,
            "last_year": found.last_year,
        },
        "entered": [
            {
                "year": entry.holidays.year,
                "source": entry.holidays.source,
                "off": [_day(day) for day in sorted(entry.holidays.off)],
                "working": [_day(day) for day in sorted(entry.holidays.working)],
                "recorded_at": entry.recorded_at,
                "actor": entry.actor,
                "in_force": all(
                    later.holidays.year != entry.holidays.year
                    for later in found.entered[place + 1 :]
                ),
            }
            for place, entry in enumerate(found.entered)
        ],
        "months": [asdict(month) for month in found.months],
        "missing": found.missing,
    }


def officers(
    found: Iterable[Officer], keys: Mapping[str, OfficerKey] | None = None
) -> list[Document]:
    """`officer list`; `keys` are those in use."""
    held = keys or {}
    return [
        {
            "login": officer.login,
            "name": officer.name,
            "person": officer.person,
            "role": officer.role,
            "unit": officer.unit,
            "active": officer.active,
            **_key_of(held.get(officer.login)),
        }
        for officer in found
    ]


def key(found: OfficerKey) -> Document:
    """`officer key add` and `revoke`."""
    return {"login": found.login, **_key_of(found)}


def _key_of(found: OfficerKey | None) -> Document:
    return {
        "key": None if found is None else found.public.fingerprint,
        "key_valid_until": None if found is None else _day(found.valid_until),
    }


def gates(found: Iterable[Gate]) -> list[Document]:
    """`gate list`."""
    return [
        {"unit": g.unit, "village": g.village, "kind": g.kind, "opened_on": _day(g.opened_on)}
        for g in found
    ]


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)


def delivered(done: "Delivered") -> Document:
    """`notify send`."""
    return {
        "sent": done.sent,
        "retried": done.retried,
        "given_up": done.given_up,
        "waiting": done.waiting,
        "problems": [
            {"key": one.key, "given_up": one.given_up, "error": one.error} for one in done.problems
        ],
    }


def scheduler(found: "ServiceStanding") -> Document:
    """`scheduler status`, and what `scheduler run --once` leaves."""
    return {
        "leader": found.leader,
        "lease_until": _instant(found.lease_until),
        "jobs": [
            {
                "name": job.name,
                "label": job.label,
                "started_at": _instant(job.started_at),
                "finished_at": _instant(job.finished_at),
                "succeeded_at": _instant(job.succeeded_at),
                "outcome": job.outcome,
                "next_at": _instant(job.next_at),
                "overdue": job.overdue,
            }
            for job in found.jobs
        ],
        "messages": {
            "waiting": found.messages.waiting,
            "given_up": found.messages.given_up,
            "last_error": found.messages.last_error,
        },
        "warning": found.warning,
    }


def verification(found: Verification) -> Document:
    """`audit verify`; the proof counts cases by grade."""
    return {
        "verified": found.verified,
        "events": found.events,
        "cases": found.cases,
        "findings": [finding(one) for one in found.findings],
        "proof": {**found.proof},
        "quarantined": list(found.quarantined),
    }


def finding(one: Finding) -> Document:
    """One finding of the audit."""
    return {
        "code": one.code,
        "stream": one.stream,
        "case": one.case,
        "seq": one.seq,
        "message": one.message,
    }


def removal(found: Report, plan: Plan) -> Document:
    """`audit removal`; `unverified` says that permissions rest on what nobody has verified."""
    verified = plan.rules.required_seasons.verified and all(s.verified for s in plan.seasons)
    return {
        "permitted": found.permitted,
        "removed": found.removed,
        "lawful": found.lawful,
        "drill": found.drill,
        "unverified": found.permitted > 0 and not verified,
        "quarantined": list(found.quarantined),
        "findings": [finding(one) for one in found.removal],
    }


def checkpoint(found: Made, file: str | None, since: int | None) -> Document:
    """`audit checkpoint`; `since` is where the proof in the file begins."""
    return {
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": found.checkpoint.root_text,
        "recorded_at": instant_text(found.recorded_at),
        "new": found.new,
        "file": file,
        "since": since,
    }


def witnessed(found: Witnessed) -> Document:
    """`audit witness`."""
    return {
        "origin": found.receipt.checkpoint.origin,
        "size": found.receipt.checkpoint.size,
        "root": found.receipt.checkpoint.root_text,
        "witness": found.key.name,
        "witness_key": found.key.line,
        "witnessed_at": instant_text(found.at),
        "first": found.first,
        "receipt": str(found.file),
        "public_key_file": str(found.public),
    }


def seen(found: Seen) -> Document:
    """`audit receipt import`."""
    return {
        "witness": found.witness,
        "size": found.size,
        "root": base64.b64encode(found.root).decode(),
        "witnessed_at": instant_text(found.at),
    }


def status(found: Status, quarantined: Sequence[str], policy: Iterable[str]) -> Document:
    """`audit status`."""
    return {
        "origin": found.origin,
        "size": found.size,
        "checkpoint": None if found.last is None else checkpoint(found.last, None, None),
        "witnessed": None if found.seen is None else seen(found.seen),
        "unwitnessed": {
            "events": found.unseen,
            "since": None if found.oldest is None else instant_text(found.oldest),
            "hours": None if found.age is None else int(found.age.total_seconds() // 3600),
            "overdue": found.overdue,
        },
        "witnesses": [
            {
                "name": one.key.name,
                "key": one.key.line,
                "registered_at": instant_text(one.since),
                "revoked": one.revoked,
            }
            for one in found.witnesses
        ],
        "signatures": {"required": [*sorted(policy)], "signed_events": found.signed},
        "quarantined": list(quarantined),
    }


def quarantined(found: Quarantine) -> Document:
    """`audit quarantine`."""
    return {
        "code": found.code,
        "state": "confirmed" if found.confirmed else "proposed",
        "seq": found.seq,
        "actor": found.actor,
        "role": found.role,
        "reason": found.reason,
        "missing": list(found.missing),
    }


def violations(found: Sequence[Entry], as_of: date, *, drill: bool) -> Document:
    """`audit violations`."""
    return {
        "as_of": _day(as_of),
        "drill": drill,
        "total": len(found),
        "open": sum(one.matter.open for one in found),
        "matters": [
            {
                "code": one.code,
                "unit": one.unit,
                "unit_name": one.unit_name,
                "village": one.village,
                "state": one.state,
                "kind": one.matter.kind,
                **_matter(one.matter),
                "recorded_on": _day(one.matter.recorded_on),
                "recorded_by": one.recorded_by,
                "days": one.days,
                "resolved_by": one.resolved_by,
                "documents": list(one.documents),
                "visits": [
                    {"id": visit.seq, "on": _day(visit.on), "temperature": visit.temperature}
                    for visit in one.visits
                ],
            }
            for one in found
        ],
    }


def oddities(found: Sequence[Odd], as_of: date, *, drill: bool) -> Document:
    """`audit oddities`."""
    return {
        "as_of": _day(as_of),
        "drill": drill,
        "total": len(found),
        "oddities": [
            {
                "kind": one.kind,
                "strength": one.strength,
                "units": list(one.units),
                "codes": list(one.codes),
                "seqs": list(one.seqs),
                "message": one.message,
            }
            for one in found
        ],
    }


def asof(found: View, against: Difference | None) -> Document:
    """`audit asof`: what a later `--published` reads again."""
    return {
        "as_of": _day(found.clocks.as_of),
        "known_at": instant_text(found.clocks.known_at) if found.clocks.known_at else None,
        "recorded_until": instant_text(found.recorded_until),
        "seq": found.seq,
        "plan_hash": found.plan.hash,
        "drill": found.drill,
        "by_unit": {
            one.unit: {
                "unit_name": one.unit_name,
                "task": one.task,
                "by_state": {str(state): one.by_state.get(state, 0) for state in State},
                "cases": one.cases,
                "done": one.done,
                "overdue": one.overdue,
                "permitted": one.permitted,
                "removed": one.removed,
                "violations_open": one.violations_open,
            }
            for one in found.by_unit
        },
        "published": _difference(against) if against else None,
    }


def _difference(found: Difference) -> Document:
    units = dict.fromkeys((*found.changes, *(one.unit for one in found.cases)))
    return {
        "file": found.published.file,
        "as_of": _day(found.published.as_of),
        "recorded_until": instant_text(found.published.recorded_until),
        "seq": found.published.seq,
        "reproduced": found.reproduced,
        "journal_shorter": found.journal_shorter,
        "faults": {unit: [_change(one) for one in some] for unit, some in found.faults.items()},
        "changes": {
            unit: {
                "figures": [_change(one) for one in found.changes.get(unit, ())],
                "cases": [_changed_case(one) for one in found.cases if one.unit == unit],
            }
            for unit in units
        },
    }


def _change(one: Change) -> Document:
    return {"figure": one.figure, "was": one.was, "becomes": one.becomes}


def _changed_case(one: ChangedCase) -> Document:
    return {
        "code": one.code,
        "was": one.was,
        "becomes": one.becomes,
        "events": [
            {
                "seq": event.seq,
                "kind": event.kind,
                "occurred_on": _day(event.occurred_on),
                "recorded_at": instant_text(event.recorded_at),
                "actor": event.actor,
            }
            for event in one.events
        ],
    }


def sample_size(terms: Terms, found: Size, plan: Plan) -> Document:
    """`audit sample --dry-run`, and what a draw says of its size."""
    return {
        "risk": float(terms.risk),
        "tolerable": float(terms.tolerable),
        "expected": terms.expected,
        "states": [str(state) for state in terms.states],
        "population": found.population,
        "population_hash": found.population_hash,
        "size": found.size,
        "drawn": found.drawn,
        "by_unit": {
            one.unit: {
                "unit_name": unit.name if (unit := plan.unit(one.unit)) else one.unit,
                "population": one.population,
                "drawn": one.drawn,
            }
            for one in found.strata
        },
    }


def sample(found: Draw, plan: Plan, earlier: int, sheet: str | None, *, drill: bool) -> Document:
    """`audit sample`; `earlier` samples were drawn before it."""
    return {
        "id": found.id,
        "drawn_on": _day(found.drawn_on),
        "drawn_by": found.drawn_by,
        "seed": found.seed,
        **sample_size(found.terms, found.size, plan),
        "codes": list(found.codes),
        "repeated": found.repeated,
        "earlier": earlier,
        "sheet": sheet,
        "drill": drill,
    }


def sample_standing(
    found: Standing, plan: Plan, every: Sequence[Draw], sheet: str | None, *, drill: bool
) -> Document:
    """`audit sample show`."""
    concluded = found.conclusion
    earlier = [one.id for one in every].index(found.draw.id)
    return {
        **sample(found.draw, plan, earlier, sheet, drill=drill),
        "draws": [one.id for one in every],
        "reproduced": found.reproduced,
        "joined": list(found.joined),
        "left": list(found.left),
        "visited": len(found.visits),
        "missing": list(found.missing),
        "corrected": list(found.corrected),
        "visits": [row_of(visit) for visit in found.visits],
        "conclusion": None
        if concluded is None
        else {
            "failed": concluded.failed,
            "unseen": concluded.unseen,
            "deviations": concluded.failed + concluded.unseen,
            "bound": concluded.bound,
            "bound_rate": concluded.bound / found.draw.size.population,
            "reached": concluded.reached,
            "sentence": concluded.sentence,
        },
    }


def sample_results(found: Results, standing: Document | None) -> Document:
    """`audit sample results`; `standing` is where the sample is with them."""
    return {
        "file": found.file,
        "verdict": "rejected" if found.faults else "accepted",
        "rows": found.rows,
        "recorded": list(found.recorded),
        "faults": [
            {"sheet": f.sheet, "cell": f.cell, "code": f.code, "message": f.message}
            for f in found.faults
        ],
        "sample": standing,
    }


def backed_up(file: Path) -> Document:
    """`db backup`."""
    return {"file": str(file), "bytes": file.stat().st_size}


def upgraded(done: Upgraded) -> Document:
    """`db upgrade`."""
    return {
        "before": done.before,
        "after": done.after,
        "upgraded": done.copy is not None,
        "backup": None if done.copy is None else str(done.copy),
        "clocks": done.clocks,
    }


def moved_house(found: MovedHouse) -> Document:
    """`db copy`."""
    rows: dict[str, Json] = {**found.rows}
    return {"events": found.events, "head": found.head, "rows": rows}


def restored(done: Restored) -> Document:
    """`db restore`."""
    return {
        "events": done.events,
        "cases": done.cases,
        "last_recorded_at": _instant(done.last),
        "lost": done.lost,
        "replaced": None if done.replaced is None else str(done.replaced),
        "witnessed": done.witnessed,
        "upgraded": done.upgraded,
    }


def examined(found: Sequence[HealthCheck]) -> Document:
    """`db doctor`."""
    return {
        "healthy": all(one.health is not Health.FAULT for one in found),
        "checks": [
            {
                "name": one.name,
                "health": one.health,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in found
        ],
    }


def proof(found: safety.Proof) -> Document:
    """`safety`; the last act of the counterexample carries the lines that it breaks as `fault`."""
    last = len(found.counterexample) - 1
    fault = "；".join(line.label for line in found.broken)
    return {
        "property": safety.PROPERTY,
        "holds": found.holds,
        "states": found.places,
        "transitions": found.transitions,
        "permissions": found.permissions,
        "worlds": [
            {
                "name": world.name,
                "states": world.places,
                "transitions": world.transitions,
                "permissions": world.permissions,
            }
            for world in found.worlds
        ],
        "broken": [str(line) for line in found.broken],
        "counterexample": [
            {
                "trigger": stride.trigger,
                "to": str(stride.to),
                "day": str(stride.day),
                "recorded_on": str(stride.recorded_on),
                "actor": stride.actor,
                "evidence": dict(stride.evidence),
                "fault": fault if index == last else None,
            }
            for index, stride in enumerate(found.counterexample)
        ],
    }


def certificate(found: Certificate, file: str, *, same: bool | None) -> Document:
    """`audit certificate`; `same` is None where the page was written and not checked."""
    fields = found.fields
    return {
        "code": found.code,
        "file": file,
        "drill": found.drill,
        "same": same,
        "permission": int(fields["permission_seq"]),
        "permitted_on": fields["permitted_on"],
        "size": int(fields["size"]),
        "root": fields["root"],
        "grade": fields["grade"],
        "unverified": fields["unverified"],
        "qr": found.qr,
    }


def dossiers(found: Shelf, as_of: date) -> Document:
    """`report dossier`."""
    return {
        "as_of": _day(as_of),
        "out": str(found.folder),
        "formats": list(found.forms),
        "households": found.households,
        "made": found.made,
        "kept": found.kept,
        "bytes": found.size,
        "passed_over": list(found.passed_over),
    }


def schema() -> Document:
    """`safety --schema`: triggers and facts with their keys, types and roles, from the code."""
    return {
        "triggers": {
            str(step.trigger): {
                "label": step.trigger.label,
                "moves": {str(source): str(target) for source, target in step.moves.items()},
                "roles": [str(role) for role in step.roles],
                "clause": step.clause,
                "guards": [guard.__name__ for guard in lifecycle.guards_for(step.trigger)],
                "keys": _keys(step.trigger),
            }
            for step in lifecycle.STEPS
        },
        "facts": {
            str(record.kind): {
                "label": record.kind.label,
                "roles": [str(role) for role in record.roles],
                "clause": record.clause,
                "guards": [guard.__name__ for guard in lifecycle.guards_for(record.kind)],
                "keys": _keys(record.kind),
            }
            for record in lifecycle.RECORDS
        },
    }


def _keys(kind: Trigger | FactKind) -> list[Json]:
    return [
        {
            "name": key.name,
            "type": key.form,
            "repeated": key.repeated,
            "choices": list(key.choices),
        }
        for key in evidence.keys(kind).values()
    ]
