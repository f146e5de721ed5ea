"""The `--json` answers about what the county sets: plan, working days, officers, gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict

from workflow import answers
from workflow.progress import UnitProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from states.plan import Plan
    from workflow.answers import Document
    from workflow.holidays import Entered, Known, Moved
    from workflow.keyring import OfficerKey
    from workflow.progress import Progress
    from workflow.register import Gate, Officer
    from workflow.revision import Fate, Impact, Revised
    from workflow.revision import Moved as MovedCases


def plan(found: Plan) -> Document:
    """`plan show`."""
    rules = found.rules
    return {
        "name": found.name,
        "title": found.title,
        "document": found.document,
        "hash": found.hash,
        "effective_from": answers.day(found.effective_from),
        "phases": [
            {
                "key": phase.key,
                "label": phase.label,
                "start": answers.day(phase.start),
                "end": answers.day(phase.end),
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
                "first_day": answers.day(season.first_day),
                "last_day": answers.day(season.last_day),
                "verified": season.verified,
                "source": season.source,
            }
            for season in found.seasons
        ],
        "rules": dict(rules.values),
        "sources": {
            name: {"source": getattr(rules, name).source, "verified": getattr(rules, name).verified}
            for name in rules.values
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
        "was": answers.day(one.was),
        "now": answers.day(one.now),
        "cases": one.cases,
        "units": list(one.units),
    }


def progress(found: Progress, plan: Plan, *, drill: bool) -> Document:
    """`plan schedule`."""

    def steps(line: UnitProgress) -> Document:
        return {
            str(trigger): {
                "target_on": answers.day(step.target_on),
                "planned": step.planned,
                "done": step.done,
                "behind": step.behind,
                "by_month": dict(step.by_month),
            }
            for trigger, step in line.steps.items()
        }

    names = {unit.code: unit.name for unit in plan.units}
    return {
        "as_of": answers.day(found.as_of),
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
        "off": [answers.day(day) for day in sorted(found.holidays.off)],
        "working": [answers.day(day) for day in sorted(found.holidays.working)],
        "dry_run": found.dry_run,
        "seq": found.seq,
        "differing": [answers.day(day) for day in found.differing],
        "moved": [_moved(one) for one in found.moved],
    }


def _moved(one: Moved) -> Document:
    was, becomes = one.was, one.becomes
    return {
        "due_on": answers.day(one.due_on),
        "cases": one.cases,
        "units": list(one.units),
        "target_on": {"was": answers.day(was.target_on), "becomes": answers.day(becomes.target_on)},
        "provisional": {"was": was.provisional, "becomes": becomes.provisional},
        "latest_start": [
            {
                "state": state,
                "was": answers.day(day),
                "becomes": answers.day(becomes.latest_start[state]),
            }
            for state, day in was.latest_start.items()
            if becomes.latest_start[state] != day
        ],
        "rungs": [
            {
                "rung": rung.name,
                "was": answers.day(day),
                "becomes": answers.day(becomes.rungs[rung]),
            }
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
                "off": [answers.day(day) for day in sorted(entry.holidays.off)],
                "working": [answers.day(day) for day in sorted(entry.holidays.working)],
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
        "key_valid_until": None if found is None else answers.day(found.valid_until),
    }


def gates(found: Iterable[Gate]) -> list[Document]:
    """`gate list`."""
    return [
        {
            "unit": g.unit,
            "village": g.village,
            "kind": g.kind,
            "opened_on": answers.day(g.opened_on),
        }
        for g in found
    ]
