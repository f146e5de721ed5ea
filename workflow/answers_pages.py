"""The `--json` answers of the commands that make pages; apart, so that they load nothing else."""

from collections.abc import Mapping
from typing import TypeVar

from notifications import evaluation as report
from notifications.diagram import Live
from notifications.evaluation import Evaluation
from states.evaluation import Score, Tally
from states.plan import LEAD_TRIGGERS, Json
from states.vocabulary import State
from workflow.dashboard import Drawn
from workflow.instants import instant_text
from workflow.site import Built

Name = TypeVar("Name", bound=str)


def dashboard(file: str, size: int, found: Drawn) -> dict[str, Json]:
    """`report dashboard`."""
    shown, head = found.board, found.head
    return {
        "file": file,
        "bytes": size,
        "as_of": head.as_of.isoformat(),
        "known_at": instant_text(head.known_at) if head.known_at else None,
        "recorded_until": instant_text(head.recorded_until),
        "seq": head.seq,
        "drill": head.drill,
        "units": [unit.code for unit in shown.units],
        "task": shown.total.task,
        "done": shown.total.done,
        "overdue": shown.total.overdue,
        "at_risk": shown.total.at_risk,
        "gravest": len(shown.alarms),
        "open": len(shown.matters),
        "journal_broken": shown.proof.broken,
        "journal_whole": shown.proof.everything,
        "cautions": list(head.cautions),
    }


def site(found: Built) -> dict[str, Json]:
    """`report site`."""
    return {
        "folder": str(found.folder),
        "as_of": found.as_of.isoformat(),
        "known_at": instant_text(found.known_at),
        "drill": found.drill,
        "units": list(found.units),
        "households": found.households,
        "pages": found.pages,
        "bytes": found.size,
        "replaced": found.replaced,
        "passed_over": list(found.passed_over),
    }


def evaluation(file: str, size: int, found: Evaluation) -> dict[str, Json]:
    """`report evaluation`."""
    head, proof = found.head, found.proof
    points, computable = report.points(found.scores)
    return {
        "file": file,
        "bytes": size,
        "season": found.season,
        "season_known": found.known,
        "season_ended": found.ended,
        "as_of": head.as_of.isoformat(),
        "known_at": instant_text(head.known_at) if head.known_at else None,
        "recorded_until": instant_text(head.recorded_until),
        "seq": head.seq,
        "drill": head.drill,
        "points": points,
        "computable": computable,
        "indicators": [_score(one) for one in found.scores],
        "total": _tally(found.total),
        "by_unit": {
            unit.code: {
                "unit_name": unit.name,
                **_tally(unit.tally),
                "points": report.points(unit.scores)[0],
                "computable": report.points(unit.scores)[1],
                "indicators": [_score(one) for one in unit.scores],
            }
            for unit in found.units
        },
        "annex": [
            {
                "unit_name": one.unit_name,
                "path": one.path,
                "kind": one.kind,
                "area": one.area,
                "task": one.task,
                "planned": one.planned,
                "carried_over": one.carried_over,
                "over_plan": one.over_plan,
                "completed": one.completed,
                "accepted": one.accepted,
            }
            for one in found.annex
        ],
        "households": [
            {
                "code": one.code,
                "unit_name": one.unit_name,
                "state": one.state,
                "stability": one.stability,
                "guards": list(one.guards),
                "lacking": list(one.lacking),
            }
            for one in found.households
        ],
        "unverified": [
            {"name": one.name, "value": one.value, "source": one.source} for one in found.parameters
        ],
        "proof": {
            "broken": proof.broken,
            "whole": proof.everything,
            "events": proof.events,
            "witness": proof.witness,
            "witnessed": proof.witnessed,
            "witnessed_at": instant_text(proof.witnessed_at) if proof.witnessed_at else None,
            "signed": proof.signed,
        },
        "cautions": list(head.cautions),
    }


def _score(one: Score) -> dict[str, Json]:
    return {
        "key": one.indicator.key,
        "label": one.indicator.name,
        "weight": one.indicator.weight,
        "count": one.count,
        "of": one.of,
        "value": one.value,
        "points": one.points,
        "why": one.why,
    }


def _tally(tally: Tally) -> dict[str, Json]:
    return {
        "task": tally.task,
        "registered": tally.registered,
        "quotas": _counts(tally.quotas),
        "completed": tally.completed,
        "accepted": tally.accepted,
        "permitted": tally.permitted,
        "closed": _counts(tally.closed),
        "steps": {
            str(step): {
                "taken": tally.steps[step],
                "late": tally.late_steps[step],
                "waiting_late": tally.waiting_late[step],
                "median_days": report.middle(tally.days.get(step, ())),
            }
            for step in LEAD_TRIGGERS
        },
        "put_right": {
            "done": tally.put_right,
            "late": tally.put_right_late,
            "waiting_late": tally.put_right_waiting,
        },
        "extensions": tally.extensions,
        "pauses": _counts(tally.pauses),
        "pause_days": tally.pause_days,
        "stability": _counts(tally.stability),
        "refusals": _counts(tally.refusals),
        "outage_days": list(tally.outage_days),
        "cold_visits": tally.cold_visits,
        "cold_households": tally.cold_households,
        "late_heat": tally.late_heat,
        "faults": tally.faults,
        "faults_open": tally.faults_open,
        "repair_days": list(tally.repair_days),
        "qualified": tally.qualified,
        "not_qualified": _counts(tally.not_qualified),
        "matters": [
            {
                "kind": kind,
                "type": what or None,
                "number": number,
                "open": tally.matters_open[kind, what],
                "unfounded": tally.unfounded[kind, what],
            }
            for (kind, what), number in sorted(tally.matters.items())
        ],
        "answers": tally.answers,
        "answers_late": tally.answers_late,
        "removed": tally.removed,
        "removed_lawful": tally.removed_lawful,
        "dossiers": tally.dossiers,
        "dossiers_complete": tally.dossiers_complete,
        "papers": _counts(tally.papers),
    }


def _counts(counts: Mapping[Name, int]) -> dict[str, Json]:
    return {str(key): number for key, number in sorted(counts.items()) if number}


def diagram(file: str | None, form: str, text: str, live: Live | None) -> dict[str, Json]:
    """`plan diagram`; the drawing itself where it was written to no file."""
    return {
        "file": file,
        "format": form,
        "diagram": text if file is None else None,
        "live": None
        if live is None
        else {
            "as_of": live.as_of.isoformat(),
            "drill": live.drill,
            "registered": live.registered,
            "states": {
                str(state): {
                    "cases": live.stock.get(state, 0),
                    "overdue": live.overdue.get(state, 0),
                }
                for state in State
            },
            "edges": [
                {"trigger": trigger, "from": source, "to": target, "times": times}
                for (trigger, source, target), times in live.edges.items()
            ],
        },
    }
