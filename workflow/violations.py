"""The register of violations, complaints and findings: who, when, what came of it.

Nothing is left out: any state, closed cases too. What was answered stays, with its answer.
"""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection, select

from states.facts import CaseFacts, Matter, VisitRecord, fold
from states.plan import Plan
from states.vocabulary import FactKind, State
from workflow import cases, tables
from workflow.cases import Clocks

KINDS = (FactKind.VIOLATION, FactKind.COMPLAINT, FactKind.FINDING)
_JOURNAL = tables.JOURNAL


class Entry(Struct, frozen=True):
    """One of them with its household and everything that came after it.

    `days` is how long it was or has been open, from the day it happened. `visits` are those made on
    that day or later, `documents` the papers that came with the answer.
    """

    matter: Matter
    code: str
    unit: str
    unit_name: str
    village: str
    state: State
    recorded_by: str
    days: int
    resolved_by: str | None
    documents: tuple[str, ...]
    visits: tuple[VisitRecord, ...]


def register(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Sequence[str] | None = None,
    *,
    only_open: bool = False,
) -> list[Entry]:
    """The register on these clocks, what is open first, then by day."""
    column = _JOURNAL.c
    streams = select(column.stream).where(column.kind.in_(KINDS)).distinct()
    codes = sorted(s.removeprefix("case:") for s in connection.execute(streams).scalars())
    found = []
    for code, events in cases.load(
        connection, codes, known_at=clocks.known_at, checked=False
    ).items():
        facts = fold(code, events, clocks.as_of if clocks.past else None)
        if facts is None or (units is not None and facts.unit not in units):
            continue
        found += [
            _entry(facts, matter, plan, clocks.as_of)
            for matter in facts.matters
            if matter.kind in KINDS and (matter.open or not only_open)
        ]
    return sorted(found, key=lambda one: (not one.matter.open, one.matter.on, one.matter.seq))


def _entry(facts: CaseFacts, matter: Matter, plan: Plan, as_of: date) -> Entry:
    events = facts.events.values()
    answers = [e for e in events if e.kind == FactKind.RESOLVE and e.number("id") == matter.seq]
    answer = answers[-1] if answers and not matter.open else None
    unit = plan.unit(facts.unit)
    return Entry(
        matter=matter,
        code=facts.code,
        unit=facts.unit,
        unit_name=unit.name if unit else facts.unit,
        village=facts.village,
        state=facts.state,
        recorded_by=facts.events[matter.seq].actor,
        days=((matter.resolved_on or as_of) - matter.on).days,
        resolved_by=answer.actor if answer else None,
        documents=tuple(attached.name for attached in answer.attachments) if answer else (),
        visits=tuple(visit for visit in facts.visits if visit.on >= matter.on),
    )
