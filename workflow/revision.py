"""Revising the plan while cases are under way: what it would do to each, and putting it in force.

Nothing is written before it was shown. What verifies or moves a season needs two county officers:
the first proposes, the second confirms the same file with the same cases newly permitted.
"""

import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from sqlalchemy import Connection, bindparam, update

from states import deadlines, machine, revision
from states.errors import Reason, StepRefused, UsageFault
from states.facts import Actor, CaseFacts, fold
from states.plan import Json, Plan
from states.question import DESIGN_TABLE
from states.revision import Change
from states.vocabulary import Quota, Role, State, Trigger
from workflow import attachments, cases, due, journal, overdue, register
from workflow.attachments import File
from workflow.db import Database
from workflow.journal import Draft, Pen


class Fate(Struct, frozen=True):
    """What the revision means for one case."""

    code: str
    unit: str
    state: State
    why: str


class Moved(Struct, frozen=True):
    """Cases whose deadline moves from one day to another; None where none runs."""

    was: date | None
    now: date | None
    cases: int
    units: tuple[str, ...]


class Exceeded(Struct, frozen=True):
    """A figure of the annex that more planned cases stand under than it has households."""

    unit: str
    task: str
    households: int
    cases: int


class Impact(Struct, frozen=True):
    """What a revision changes, and what that does to every live case."""

    old: Plan
    new: Plan
    changes: tuple[Change, ...]
    stranded: tuple[Fate, ...]
    blocked: tuple[Fate, ...]
    permitted: tuple[Fate, ...]
    questioned: tuple[Fate, ...]
    moved: tuple[Moved, ...]
    later: tuple[Moved, ...]
    exceeded: tuple[Exceeded, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        """Every reason why the revision can never be put in force."""
        told = [f"{change.what}：{change.refused}" for change in self.changes if change.refused]
        return (*told, *(f"{fate.code} 将无路可走：{fate.why}" for fate in self.stranded))

    @property
    def second(self) -> bool:
        """Whether another county officer has to confirm it."""
        return bool(self.permitted) or any(change.second for change in self.changes)


class Revised(Struct, frozen=True):
    """What was written: a proposal that waits for a second officer, or the plan now in force."""

    impact: Impact
    adopted: bool
    seq: int


def examine(connection: Connection, new: Plan, today: date) -> Impact:
    """What the revision would do; nothing is written."""
    old = register.plan_to_act_on(connection)
    new = new.counting_by(old.calendar)
    changes = revision.compare(old, new, today)
    around = overdue.Around(connection)
    drill = register.is_drill(connection)
    stranded: list[Fate] = []
    blocked: list[Fate] = []
    permitted: list[Fate] = []
    questioned: list[Fate] = []
    moved: dict[tuple[date | None, date | None], Counter[str]] = {}
    later: dict[tuple[date | None, date | None], Counter[str]] = {}
    planned: Counter[tuple[str, int]] = Counter()
    people = register.persons(connection)
    for code, events in journal.read_cases(connection, people, checked=False):
        facts = fold(code, events)
        if facts is None or facts.state is State.CLOSED:
            continue
        _count(planned, facts, new)
        if new.unit(facts.unit) is None:
            stranded.append(_fate(facts, "所属责任单位不在修订后的计划中"))
            continue
        due = deadlines.due(facts, old).due_on, deadlines.due(facts, new).due_on
        if due[0] != due[1]:
            moved.setdefault(due, Counter())[facts.unit] += 1
        before, after = (
            machine.ask(
                Trigger.PERMIT,
                around.question(_asked(facts), plan, Trigger.PERMIT, today, drill),
            )
            for plan in (old, new)
        )
        if facts.state is State.REMOVAL_PERMITTED:
            if before.possible and not after.possible:
                questioned.append(_fate(facts, _told(after.reasons)))
        elif before.earliest is not None and after.earliest is None:
            stranded.append(_fate(facts, after.earliest_reason or _told(after.reasons)))
        elif before.possible and not after.possible:
            blocked.append(_fate(facts, _told(after.reasons)))
        elif after.possible and not before.possible:
            permitted.append(_fate(facts, f"原先：{_told(before.reasons)}"))
        elif before.earliest != after.earliest:
            later.setdefault((before.earliest, after.earliest), Counter())[facts.unit] += 1
    return Impact(
        old,
        new,
        changes,
        _sorted(stranded),
        _sorted(blocked),
        _sorted(permitted),
        _sorted(questioned),
        _grouped(moved),
        _grouped(later),
        tuple(_exceeded(planned, new)),
    )


def _asked(facts: CaseFacts) -> CaseFacts:
    """A case that has its permission is asked as if it still waited for it."""
    if facts.state is not State.REMOVAL_PERMITTED:
        return facts
    waiting = copy.copy(facts)
    waiting.state = State.STABLE_SEASON
    return waiting


def _fate(facts: CaseFacts, why: str) -> Fate:
    return Fate(facts.code, facts.unit, facts.state, why)


def _sorted(fates: list[Fate]) -> tuple[Fate, ...]:
    return tuple(sorted(fates, key=lambda fate: fate.code))


def _told(reasons: Sequence[Reason]) -> str:
    return "；".join(reason.message for reason in reasons)


def _grouped(
    found: Mapping[tuple[date | None, date | None], Counter[str]],
) -> tuple[Moved, ...]:
    return tuple(
        Moved(was, now, sum(units.values()), tuple(sorted(units)))
        for (was, now), units in sorted(
            found.items(), key=lambda item: (item[0][0] or date.max, item[0][1] or date.max)
        )
    )


def _count(planned: Counter[tuple[str, int]], facts: CaseFacts, plan: Plan) -> None:
    unit = plan.unit(facts.unit)
    if unit is None or facts.quota is not Quota.PLANNED:
        return
    for index, task in enumerate(unit.tasks):
        if task.covers(facts.path, facts.kind, facts.area):
            planned[unit.code, index] += 1
            return


def _exceeded(planned: Counter[tuple[str, int]], plan: Plan) -> Iterator[Exceeded]:
    for unit in plan.units:
        for index, task in enumerate(unit.tasks):
            number = planned[unit.code, index]
            if number > task.households:
                words = [task.path.label, *(w.label for w in (task.kind, task.area) if w)]
                yield Exceeded(unit.code, "·".join(words), task.households, number)


def revise(
    database: Database,
    new: Plan,
    files: Sequence[File],
    reason: str | None,
    login: str,
    now: datetime,
) -> Revised:
    """Proposes the revision, or puts it in force when one officer suffices or another proposed it.

    Raises NotPermitted, StepRefused with what can never be, UsageFault without document or reason,
    JournalBroken.
    """
    with database.transaction() as connection:
        who = register.writer(connection, login)
        register.require_county(who)
        old = register.plan_to_act_on(connection)
        if new.hash == old.hash:
            raise UsageFault("这份计划就是现行计划，没有改动", place="FILE")
        pen = Pen(connection, who, now, old)
        impact = examine(connection, new, register.today_of(pen))
        if impact.refused:
            raise _refusal(impact)
        proposal = _proposal(connection, new)
        if impact.second and (proposal is None or proposal.login == login):
            _require_paper(files, reason)
            evidence = _evidence(impact)
            event = pen.add(_draft("plan_proposed", pen, evidence, files, reason))
            pen.write()
            attachments.keep(connection, files)
            return Revised(impact, adopted=False, seq=event.seq)
        evidence = _evidence(impact)
        if impact.second:
            assert proposal is not None
            _require_another(connection, who, proposal, impact)
            evidence["proposed"] = proposal.seq
        else:
            _require_paper(files, reason)
        event = pen.add(_draft("plan_adopted", pen, evidence, files, reason))
        pen.write()
        attachments.keep(connection, files)
        register.put_in_force(connection, new, event.seq)
        reproject(connection, new.counting_by(old.calendar))
        due.rebuild(connection, new.counting_by(old.calendar))
    return Revised(impact, adopted=True, seq=event.seq)


def _draft(
    kind: str, pen: Pen, evidence: dict[str, Json], files: Sequence[File], reason: str | None
) -> Draft:
    attached = tuple(file.attached for file in files)
    return Draft("plan", kind, register.today_of(pen), evidence, None, None, reason, attached)


def _evidence(impact: Impact) -> dict[str, Json]:
    return {
        "name": impact.new.name,
        "document": json.loads(impact.new.canonical),
        "permitted": [fate.code for fate in impact.permitted],
    }


def _require_paper(files: Sequence[File], reason: str | None) -> None:
    if not files or not reason:
        raise UsageFault(
            "修订计划须附依据文件并说明理由",
            place="--attach、--reason",
            remedy="加 --attach 文件 --reason 理由",
        )


class _Proposal(Struct, frozen=True):
    seq: int
    login: str
    permitted: tuple[str, ...]


def _proposal(connection: Connection, new: Plan) -> _Proposal | None:
    """The last proposal of this very plan since the last adoption."""
    found: _Proposal | None = None
    for event in journal.numbered(connection, "plan"):
        evidence = event.document["evidence"]
        assert isinstance(evidence, dict)
        if event.document["kind"] == "plan_adopted":
            found = None
        elif _hash_of(evidence) == new.hash:
            codes = evidence["permitted"]
            assert isinstance(codes, list)
            login = str(event.document["actor"])
            found = _Proposal(event.seq, login, tuple(map(str, codes)))
    return found


def _hash_of(evidence: Mapping[str, Json]) -> str:
    document = evidence["document"]
    assert isinstance(document, dict)
    return journal.digest(journal.canonical(document))


def _require_another(
    connection: Connection, who: Actor, proposal: _Proposal, impact: Impact
) -> None:
    if register.persons(connection).get(proposal.login) == who.person:
        message = "提出修订的人不能复核，请由县清洁取暖办另一人办理"
        reason = Reason("separation", DESIGN_TABLE, message, (), Role.COUNTY_OFFICE)
        raise StepRefused(message, place="--as", reasons=(reason,))
    now = tuple(fate.code for fate in impact.permitted)
    if now != proposal.permitted:
        raise StepRefused(
            f"提出之后情况有变：当时新获许可条件的有 {len(proposal.permitted)} 户，"
            f"现在是 {len(now)} 户",
            place=f"plan seq {proposal.seq}",
            remedy="请提出人重新提出，逐户核对后再复核",
        )


def _refusal(impact: Impact) -> StepRefused:
    reasons = tuple(
        Reason("revision", "设计 8（计划修订）", told, (), Role.COUNTY_OFFICE)
        for told in impact.refused
    )
    return StepRefused(
        f"这样修订计划不行：{'；'.join(impact.refused[:5])}"
        + (f"……共 {len(impact.refused)} 条" if len(impact.refused) > 5 else ""),
        place="FILE",
        remedy="改正计划文件后再试；没有写入任何内容",
        reasons=reasons,
    )


_MOVE = (
    update(cases.CASE)
    .where(cases.CASE.c.code == bindparam("of"))
    .values({name: bindparam(name) for name in ("due_on", "plan_due_on", "due_reason")})
)


def reproject(connection: Connection, plan: Plan) -> None:
    """Brings the deadlines in every case's row in line with a plan newly in force."""
    people = register.persons(connection)
    rows = []
    for code, events in journal.read_cases(connection, people, checked=False):
        facts = fold(code, events)
        if facts is not None:
            due = deadlines.due(facts, plan)
            rows.append(
                {
                    "of": code,
                    "due_on": due.due_on,
                    "plan_due_on": due.plan_due_on,
                    "due_reason": due.due_reason,
                }
            )
    if rows:
        connection.execute(_MOVE, rows)
