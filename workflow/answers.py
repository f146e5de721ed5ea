"""The stable JSON of design section 8: what every command answers, as plain dicts.

Instants are UTC, dates `YYYY-MM-DD`, identifiers those of the vocabulary. The screen shows the same
answers in Chinese.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date

from states import evidence, lifecycle, safety
from states.errors import CaseError, Reason
from states.facts import CaseFacts, Event, Matter
from states.identity import PersonalData
from states.machine import Answer
from states.plan import Json, Plan
from states.vocabulary import FactKind, Trigger
from workflow import batch as batches
from workflow.audit import Verification
from workflow.batch import Batch, Refused
from workflow.cases import Position
from workflow.engine import Receipt
from workflow.forecast import Forecast, Outlook
from workflow.ledger import Import
from workflow.models import instant_text
from workflow.overdue import Check, Todo
from workflow.register import Gate, Officer
from workflow.reports import Count, LedgerTotals
from workflow.verify import Finding, Report

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


def history(events: Iterable[Event]) -> list[Document]:
    """`case history`."""
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
        }
        for item in items
    ]


def check(found: Check, outlooks: Mapping[str, Outlook], *, drill: bool) -> Document:
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


def ledgers(file: str, as_of: date, found: Iterable[LedgerTotals], *, drill: bool) -> Document:
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
        "rules": {
            "required_seasons": rules.required_seasons.value,
            "exempt_paths": [str(path) for path in rules.exempt_paths.value],
            "outage_days": rules.outage_days.value,
            "outage_days_total": rules.outage_days_total.value,
            "warm_visits": rules.warm_visits.value,
            "warm_temperature": rules.warm_temperature.value,
            "first_heat_grace_days": rules.first_heat_grace_days.value,
            "notice_days": rules.notice_days.value,
            "backdating_days": rules.backdating_days.value,
            "lead_days": {str(key): days for key, days in rules.lead_days.value.items()},
        },
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
    }


def officers(found: Iterable[Officer]) -> list[Document]:
    """`officer list`."""
    return [
        {
            "login": officer.login,
            "name": officer.name,
            "person": officer.person,
            "role": officer.role,
            "unit": officer.unit,
            "active": officer.active,
        }
        for officer in found
    ]


def gates(found: Iterable[Gate]) -> list[Document]:
    """`gate list`."""
    return [
        {"unit": g.unit, "village": g.village, "kind": g.kind, "opened_on": _day(g.opened_on)}
        for g in found
    ]


def verification(found: Verification) -> Document:
    """`audit verify`; the proof counts cases: no witness or key stands behind any of them yet."""
    return {
        "verified": found.verified,
        "events": found.events,
        "cases": found.cases,
        "findings": [finding(one) for one in found.findings],
        "proof": {
            "witnessed": 0,
            "signed": 0,
            "clock_only": found.cases if found.verified else 0,
        },
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
        "findings": [finding(one) for one in found.removal],
    }


def proof(found: safety.Proof) -> Document:
    """`safety`."""
    return {
        "property": safety.PROPERTY,
        "holds": found.holds,
        "states": found.places,
        "counterexample": [
            {"trigger": trigger, "to": state, "day": None, "evidence": {}, "fault": fault}
            for trigger, state, fault in found.counterexample
        ],
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
