"""The `--json` answers of the commands that read and write spreadsheets and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow import answers
from workflow import batch as batches
from workflow import rollup as rollups
from workflow.instants import instant_text
from workflow.reports import Count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from states.facts import Event
    from states.plan import Json
    from workflow.answers import Document
    from workflow.batch import Batch, Refused
    from workflow.bulletin_files import Written
    from workflow.bulletins import Difference as BulletinDifference
    from workflow.bulletins import Published as PublishedBulletin
    from workflow.bulletins import Rule
    from workflow.dossier_files import Shelf
    from workflow.ledger import Import
    from workflow.ledger_file import Normalisation
    from workflow.reports import LedgerTotals


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
        "normalisations": normalisations(found.normalisations),
        "differences": [
            {"code": d.code, "heading": d.heading, "was": d.was, "becomes": d.becomes}
            for d in found.differences
        ],
    }


def normalisations(found: Sequence[Normalisation]) -> list[Json]:
    """How cells of a ledger were read."""
    return [
        {
            "sheet": n.sheet,
            "cell": n.cell,
            "code": n.code,
            "read": n.read,
            "value": n.value,
            "field": n.field,
        }
        for n in found
    ]


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
        "reasons": [answers.reason(each) for each in one.reasons],
        "earliest": answers.day(one.earliest),
        "conflict": None,
    }
    if one.moved is not None:
        step = one.moved.step
        document["conflict"] = {
            "sheet": {
                "version": one.row.version,
                "state": one.row.state,
                "occurred_on": answers.day(one.row.on),
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
        "since": answers.day(found.notice.since),
        "as_of": answers.day(found.notice.as_of),
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
        "as_of": answers.day(one.as_of),
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
        "occurred_on": answers.day(event.occurred_on),
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
        "as_of": answers.day(as_of),
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


def dossiers(found: Shelf, as_of: date) -> Document:
    """`report dossier`."""
    return {
        "as_of": answers.day(as_of),
        "out": str(found.folder),
        "formats": list(found.forms),
        "households": found.households,
        "made": found.made,
        "kept": found.kept,
        "bytes": found.size,
        "passed_over": list(found.passed_over),
    }


def rollup(found: Sequence[rollups.Line]) -> Document:
    """`report rollup`."""
    return {
        "plans": [
            {
                "place": one.place,
                "plan": one.plan,
                "title": one.title,
                "drill": one.drill,
                "as_of": one.as_of.isoformat(),
                **{name: getattr(one, name) for name in rollups.SUMS},
            }
            for one in found
        ],
        "total": {**rollups.total(found)},
    }
