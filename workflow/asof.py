"""The county's figures on any day, as they were or as they were known; and against a published one.

A published report is the `--json` answer of the same command, kept by whoever published it. It says
up to which event it was made, so it can be made again, and what changed since can be told event by
event.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from states import deadlines
from states.facts import Event, fold
from states.plan import Plan
from states.vocabulary import FactKind, State
from workflow import cases, register, tables, violations
from workflow.cases import Clocks, Position
from workflow.errors import BadFile
from workflow.instants import instant_of

FIGURES = ("cases", "done", "overdue", "permitted", "removed", "violations_open")
_JOURNAL = tables.JOURNAL


class UnitFigures(Struct, frozen=True):
    """A unit's figures; closed cases count in `by_state` and `removed` only.

    `removed` are the cases whose old facility is removed or sealed, or an open violation says so;
    `violations_open` are violations, not cases.
    """

    unit: str
    unit_name: str
    task: int
    by_state: Mapping[State, int]
    cases: int
    done: int
    overdue: int
    permitted: int
    removed: int
    violations_open: int

    @property
    def figures(self) -> dict[str, int]:
        """Every figure by name, the states too."""
        states = {f"state:{state}": self.by_state.get(state, 0) for state in State}
        return {**{name: getattr(self, name) for name in FIGURES}, **states}


class View(Struct, frozen=True):
    """The county on these clocks, up to the event `seq`, recorded at `recorded_until`.

    `positions` and `violations` are what the figures are counted from, by case.
    """

    clocks: Clocks
    seq: int
    recorded_until: datetime
    plan: Plan
    drill: bool
    by_unit: tuple[UnitFigures, ...]
    positions: Mapping[str, Position]
    violations: Mapping[str, int]


class Change(Struct, frozen=True):
    """A figure of a unit that is another one now."""

    figure: str
    was: int
    becomes: int


class ChangedCase(Struct, frozen=True):
    """A case that counts otherwise now, and the events that made it so.

    `events` are those that the one report saw and the other did not.
    """

    code: str
    unit: str
    was: State | None
    becomes: State | None
    events: tuple[Event, ...]


class Published(Struct, frozen=True):
    """A report that somebody kept: its clocks and its figures by unit."""

    file: str
    as_of: date
    recorded_until: datetime
    seq: int
    plan_hash: str
    by_unit: Mapping[str, Mapping[str, int]]


class Difference(Struct, frozen=True):
    """What changed since a published report.

    `reproduced` says whether the journal, cut off where the report was made, gives its figures;
    `faults` are those it does not give. It is None where that cannot be asked, for another plan is
    in force. `journal_shorter`: the report knew events that are not in the journal.
    """

    published: Published
    reproduced: bool | None
    journal_shorter: bool
    faults: Mapping[str, tuple[Change, ...]]
    changes: Mapping[str, tuple[Change, ...]]
    cases: tuple[ChangedCase, ...]


def view(connection: Connection, plan: Plan, clocks: Clocks) -> View:
    """The county's figures on these clocks, by unit."""
    positions = cases.positions(connection, plan, clocks)
    open_now: Counter[str] = Counter(
        entry.code
        for entry in violations.register(connection, plan, clocks, only_open=True)
        if entry.matter.kind is FactKind.VIOLATION
    )
    seq, until = last_known(connection, clocks.known_at)
    return View(
        clocks,
        seq,
        until,
        plan,
        register.is_drill(connection),
        tuple(_figures(plan, positions, open_now)),
        {position.code: position for position in positions},
        open_now,
    )


def last_known(connection: Connection, known_at: datetime | None) -> tuple[int, datetime]:
    """The seq of the last event heard of by an instant, and when it was recorded."""
    query = select(func.max(_JOURNAL.c.seq), func.max(_JOURNAL.c.recorded_at))
    if known_at is not None:
        query = query.where(_JOURNAL.c.recorded_at <= known_at)
    seq, until = connection.execute(query).one()
    if seq is None:
        # Known before the journal began: nothing was.
        assert known_at is not None
        return 0, known_at
    return seq, until


def _figures(
    plan: Plan, positions: Sequence[Position], open_now: Mapping[str, int]
) -> list[UnitFigures]:
    found = []
    for unit in plan.units:
        mine = [position for position in positions if position.unit == unit.code]
        going = [position for position in mine if position.state is not State.CLOSED]
        found.append(
            UnitFigures(
                unit=unit.code,
                unit_name=unit.name,
                task=unit.task,
                by_state=Counter(position.state for position in mine),
                cases=len(going),
                done=sum(position.state in deadlines.DONE for position in going),
                overdue=sum(position.overdue for position in going),
                permitted=sum(position.state is State.REMOVAL_PERMITTED for position in going),
                removed=sum(position.facility_gone for position in mine),
                violations_open=sum(open_now.get(position.code, 0) for position in mine),
            )
        )
    return found


# --- against a published report -------------------------------------------------------------------


def read_published(path: Path) -> Published:
    """A report that was kept. Raises BadFile."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        by_unit = {
            str(code): {
                **{name: _whole(line[name]) for name in FIGURES},
                **{f"state:{state}": _whole(line["by_state"][state]) for state in State},
            }
            for code, line in document["by_unit"].items()
        }
        return Published(
            path.name,
            date.fromisoformat(document["as_of"]),
            instant_of(document["recorded_until"]),
            _whole(document["seq"]),
            str(document["plan_hash"]),
            by_unit,
        )
    except OSError as error:
        raise BadFile(f"读不到 {path}：{error.strerror}", place=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(
            f"{path.name} 不是本命令以前的输出（{type(error).__name__}: {error}）",
            place=str(path),
            remedy="用 xianli --json audit asof … > 文件 存下公布时的数字，以后再比",
        ) from error


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def compare(connection: Connection, now: View, published: Published) -> Difference:
    """What is another figure than was published, and which events made it so."""
    then = _as_published(connection, now.plan, published)
    again = {one.unit: one.figures for one in then.by_unit}
    shorter = then.seq < published.seq
    can_tell = now.plan.hash == published.plan_hash
    faults = _changes(published.by_unit, again) if can_tell else {}
    figures = {one.unit: one.figures for one in now.by_unit}
    return Difference(
        published,
        not faults and not shorter if can_tell else None,
        shorter,
        faults,
        _changes(published.by_unit, figures),
        tuple(_cases(connection, then, now)),
    )


def _as_published(connection: Connection, plan: Plan, published: Published) -> View:
    """The county as the report saw it, to the very event: a drill records many at one instant."""
    clocks = Clocks(published.as_of, past=True, known_at=published.recorded_until)
    found = view(connection, plan, clocks)
    if found.seq <= published.seq:
        return found
    column = _JOURNAL.c
    after = select(column.stream).where(
        column.seq > published.seq, column.seq <= found.seq, column.stream.like("case:%")
    )
    codes = {s.removeprefix("case:") for s in connection.execute(after.distinct()).scalars()}
    positions, open_then = dict(found.positions), dict(found.violations)
    for code, events in cases.load(connection, sorted(codes), checked=False).items():
        known = [event for event in events if event.seq <= published.seq]
        facts = fold(code, known, published.as_of)
        positions.pop(code, None)
        open_then.pop(code, None)
        if facts is not None:
            positions[code] = cases.position(facts, plan, published.as_of)
            open_then[code] = sum(
                matter.open and matter.kind is FactKind.VIOLATION for matter in facts.matters
            )
    figures = tuple(_figures(plan, [*positions.values()], open_then))
    return replace(
        found, seq=published.seq, by_unit=figures, positions=positions, violations=open_then
    )


def _changes(
    was: Mapping[str, Mapping[str, int]], becomes: Mapping[str, Mapping[str, int]]
) -> dict[str, tuple[Change, ...]]:
    found = {}
    for unit in {**was, **becomes}:
        old, new = was.get(unit, {}), becomes.get(unit, {})
        changes = tuple(
            Change(figure, old.get(figure, 0), new.get(figure, 0))
            for figure in {**old, **new}
            if old.get(figure, 0) != new.get(figure, 0)
        )
        if changes:
            found[unit] = changes
    return found


def _cases(connection: Connection, then: View, now: View) -> list[ChangedCase]:
    changed = [
        code
        for code in sorted({**then.positions, **now.positions})
        if _counts(then, code) != _counts(now, code)
    ]
    found = []
    for code, events in cases.load(connection, changed, checked=False).items():
        was, becomes = then.positions.get(code), now.positions.get(code)
        here = becomes or was
        assert here is not None
        seen = [event for event in events if _sees(then, event) != _sees(now, event)]
        found.append(
            ChangedCase(
                code,
                here.unit,
                was.state if was else None,
                becomes.state if becomes else None,
                tuple(seen),
            )
        )
    return found


def _sees(of: View, event: Event) -> bool:
    # A correction counts from its recording, whatever day it is about.
    late = event.kind != FactKind.CORRECT and event.occurred_on > of.clocks.as_of
    return event.seq <= of.seq and not late


def _counts(of: View, code: str) -> tuple[object, ...] | None:
    """All of a case that counts in the figures."""
    found = of.positions.get(code)
    if found is None:
        return None
    violated = of.violations.get(code, 0)
    return found.unit, found.state, found.overdue, found.facility_gone, violated
