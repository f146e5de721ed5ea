"""The `--json` answers of the audit and of the proof."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from states import evidence, lifecycle, safety
from states.vocabulary import State
from workflow import answers, answers_daily, note
from workflow.instants import instant_text
from workflow.sample import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from states.plan import Json, Plan
    from states.vocabulary import FactKind, Trigger
    from workflow.answers import Document
    from workflow.asof import Change, ChangedCase, Difference, View
    from workflow.audit import Verification
    from workflow.certificate import Certificate
    from workflow.checkpoint import Made, Seen, Status
    from workflow.note import Checkpoint
    from workflow.oddities import Odd
    from workflow.quarantine import Damage, Quarantine
    from workflow.sample import Draw, Results, Size, Standing, Terms
    from workflow.verify import Finding, Report
    from workflow.violations import Entry
    from workflow.witness import Witnessed


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


def chain(damage: Damage) -> Document:
    """`audit verify --chain`: the first bad event of each stream, and the numbers that are gone."""
    broken: list[Json] = [
        {
            "code": "chain_broken",
            "stream": stream,
            "case": stream.removeprefix("case:") if stream.startswith("case:") else None,
            "seq": seq,
            "message": f"{stream} 从第 {seq} 条起，内容、哈希、前后相接或户表所记末条对不上",
        }
        for stream, seq in sorted(damage.streams.items(), key=lambda item: (item[1], item[0]))
    ]
    gone: list[Json] = [
        {"code": "seq_gap", "stream": None, "case": None, "seq": seq, "message": f"缺第 {seq} 条"}
        for seq in damage.missing
    ]
    return {
        "verified": damage.whole,
        "checked": "chain",
        "events": damage.events,
        "findings": broken + gone,
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


def checkpoint(found: Made) -> Document:
    """`audit checkpoint`, without the file that may be written of it."""
    return {
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": found.checkpoint.root_text,
        "recorded_at": instant_text(found.recorded_at),
        "new": found.new,
        "file": None,
        "since": None,
    }


def checkpoint_of(document: Mapping[str, Json]) -> Checkpoint:
    """The checkpoint that such an answer tells of."""
    text = f"{document['origin']}\n{document['size']}\n{document['root']}\n"
    return note.read_checkpoint(text, "audit checkpoint")


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
        "checkpoint": None if found.last is None else checkpoint(found.last),
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
        "as_of": answers.day(as_of),
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
                **answers_daily.matter(one.matter),
                "recorded_on": answers.day(one.matter.recorded_on),
                "recorded_by": one.recorded_by,
                "days": one.days,
                "resolved_by": one.resolved_by,
                "documents": list(one.documents),
                "visits": [
                    {"id": visit.seq, "on": answers.day(visit.on), "temperature": visit.temperature}
                    for visit in one.visits
                ],
            }
            for one in found
        ],
    }


def oddities(found: Sequence[Odd], as_of: date, *, drill: bool) -> Document:
    """`audit oddities`."""
    return {
        "as_of": answers.day(as_of),
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
        "as_of": answers.day(found.clocks.as_of),
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
        "as_of": answers.day(found.published.as_of),
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
                "occurred_on": answers.day(event.occurred_on),
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
        "drawn_on": answers.day(found.drawn_on),
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
