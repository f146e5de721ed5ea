"""The `--json` answers of the day's work: cases, steps, deadlines, letters and the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict

from states import deadlines, lifecycle
from states.vocabulary import FactKind
from workflow import answers
from workflow.instants import instant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from states.facts import CaseFacts, Event, Matter
    from states.identity import PersonalData
    from states.machine import Answer
    from states.plan import Json, Plan
    from workflow.answers import Document
    from workflow.cases import Position
    from workflow.dispatch import Round
    from workflow.engine import Receipt
    from workflow.forecast import Forecast, Outlook
    from workflow.letters import Letter
    from workflow.outbox import Delivered
    from workflow.overdue import Check, Todo
    from workflow.scheduler import Standing as ServiceStanding


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
        "state_since": answers.day(found.state_since),
        "due_on": answers.day(found.due_on),
        "plan_due_on": answers.day(found.plan_due_on),
        "target_on": answers.day(found.target_on),
        "provisional": found.provisional,
        "latest_start": answers.day(found.latest_start),
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
        "clock_start": answers.day(facts.clock_start),
        "permission_in_force": None if permission is None else permission.seq,
        "clocks": [
            {
                "clock": one.of,
                "label": one.of.label,
                "seq": one.seq,
                "due_on": answers.day(one.due_on),
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
            "started_on": answers.day(works.started_on),
            "installed_on": answers.day(works.installed_on),
            "ready_on": answers.day(ready.on if ready else works.ready_on),
            "first_heat_on": answers.day(facts.first_heat_on),
            "serial": facts.serial or works.serial,
            "accepted_on": answers.day(accepted.on if accepted else None),
        },
        "notice": None
        if facts.notice is None
        else {"from": answers.day(facts.notice[0]), "to": answers.day(facts.notice[1])},
        "faults": [
            {
                "id": f.seq,
                "on": answers.day(f.on),
                "what": f.what,
                "repaired_on": answers.day(f.repaired_on),
            }
            for f in facts.faults
        ],
        "visits": [
            {"id": v.seq, "on": answers.day(v.on), "temperature": v.temperature}
            for v in facts.visits
        ],
        "signatures": [
            {"id": s.seq, "on": answers.day(s.on), "season": s.season, "by": s.by}
            for s in facts.signatures
        ],
        "violations": _matters(facts, FactKind.VIOLATION),
        "complaints": _matters(facts, FactKind.COMPLAINT),
        "findings": _matters(facts, FactKind.FINDING),
        "objections": _matters(facts, FactKind.NOTICE),
        "pauses": [
            {
                "id": p.seq,
                "on": answers.day(p.on),
                "cause": p.cause,
                "resumed_on": answers.day(p.resumed_on),
            }
            for p in facts.pauses
        ],
        "extensions": [{"id": e.seq, "due_on": answers.day(e.due_on)} for e in facts.extensions],
        "permissions": [
            {"id": p.seq, "from": answers.day(p.day), "until": answers.day(p.ended_on)}
            for p in facts.permissions
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
            "on": answers.day(record.on),
            "by": record.by,
            "id": record.seq,
        }
        found.append(line)
    return found


def _matters(facts: CaseFacts, kind: FactKind) -> list[Json]:
    return [matter(one) for one in facts.matters if one.kind is kind]


def matter(found: Matter) -> Document:
    """A violation, complaint, finding or objection."""
    return {
        "id": found.seq,
        "on": answers.day(found.on),
        "what": found.what,
        "type": found.type,
        "by": found.by,
        "severity": found.severity,
        "open": found.open,
        "outcome": found.outcome,
        "resolved_on": answers.day(found.resolved_on),
    }


def history(events: Iterable[Event], late: Mapping[int, int]) -> list[Document]:
    """`case history`; `late` are the days by which events came late, by seq."""
    return [
        {
            "seq": event.seq,
            "kind": event.kind,
            "from": event.source,
            "to": event.target,
            "occurred_on": answers.day(event.occurred_on),
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
        "earliest": answers.day(answer.earliest),
        "earliest_reason": answer.earliest_reason,
        "reasons": [answers.reason(one) for one in answer.reasons],
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
        "occurred_on": answers.day(done.occurred_on),
        "recorded_at": instant_text(done.recorded_at),
        "due_on": answers.day(done.due_on),
        "repeated": done.repeated,
        "drill": done.drill,
        "unverified": list(done.unverified),
        "warning": done.warning,
        "late_days": done.late_days,
    }


def todo(item: Todo) -> Document:
    """A line of `todo`."""
    return {
        "code": item.code,
        "unit": item.unit,
        "village": item.village,
        "trigger": item.trigger,
        "due_on": answers.day(item.due_on),
        "days_left": item.days_left,
        "missing": list(item.missing),
        "provisional": item.provisional,
    }


def check(
    found: Check,
    outlooks: Mapping[str, Outlook],
    *,
    drill: bool,
    quarantined: Sequence[str] = (),
) -> Document:
    """`check`, with what is to be expected of each unit."""
    return {
        "as_of": answers.day(found.as_of),
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
                "expected": answers.day(outlooks[line.unit].expected),
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
                "due_on": answers.day(matter.deadline.due_on),
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
        "as_of": answers.day(swept.as_of),
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
        "as_of": answers.day(as_of),
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
        "issued_on": answers.day(found.issued_on),
        "matters": len(rows) if isinstance(rows, list) else 0,
        "reply_by": answers.day(found.reply_by),
        "replied_on": answers.day(found.replied_on),
        "unanswered": found.unanswered(as_of),
    }


def forecast(found: Forecast, in_force: Plan, *, drill: bool) -> Document:
    """`forecast`."""
    units = {unit.code: unit for unit in in_force.units}
    return {
        "as_of": answers.day(found.as_of),
        "drill": drill,
        "works_end": answers.day(in_force.phase("works").end),
        "acceptance_end": answers.day(in_force.phase("acceptance").end),
        "by_unit": {
            code: {
                "unit_name": units[code].name,
                "task": units[code].task,
                "to_build": one.to_build,
                "p_construction": one.p_construction,
                "p_acceptance": one.p_acceptance,
                "expected": answers.day(one.expected),
                "low": answers.day(one.low),
                "high": answers.day(one.high),
                "pace_needed": one.pace_needed,
                "pace_shown": one.pace_shown,
                "binding_state": one.binding_state,
            }
            for code, one in found.by_unit.items()
        },
    }


def delivered(done: Delivered) -> Document:
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


def scheduler(found: ServiceStanding) -> Document:
    """`scheduler status`, and what `scheduler run --once` leaves."""
    return {
        "leader": found.leader,
        "lease_until": answers.instant(found.lease_until),
        "jobs": [
            {
                "name": job.name,
                "label": job.label,
                "started_at": answers.instant(job.started_at),
                "finished_at": answers.instant(job.finished_at),
                "succeeded_at": answers.instant(job.succeeded_at),
                "outcome": job.outcome,
                "next_at": answers.instant(job.next_at),
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
