"""The table of running clocks, brought in line with the journal by each step that moves one.

A clock that is over or moved takes its flags with it, and what nobody was told of it yet need not
be told any more. When the next rung comes is the sweep's own to say (`workflow.dispatch`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache

from msgspec import Struct
from sqlalchemy import ARRAY, Connection, Text, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from states import alarm, deadlines, rungs
from states.facts import CaseFacts, fold
from states.plan import Plan
from states.vocabulary import Clock, State
from workflow import bulk, journal, register, tables

DEADLINE = tables.DEADLINE
FLAG = tables.FLAG
NOTICE = tables.NOTICE
RAISED, SUPERSEDED, VOID, MET = "raised", "superseded", "void", "met"
_BATCH = 500
Running = Mapping[str, date]


class Change(Struct, frozen=True):
    """The clocks of a case before and after a step; before is None where there was no such case."""

    before: Running | None
    after: Running
    facts: CaseFacts

    @property
    def cold(self) -> bool:
        """Whether the household is or was without both heats."""
        return Clock.HEAT in self.after or Clock.HEAT in (self.before or {})


def running(facts: CaseFacts, plan: Plan) -> dict[str, date]:
    """The day of each clock that runs for the case, by the clock's name.

    A household without both heats has one more, outside the season too, so that the sweep looks at
    it when a season begins: its day is the first one without.
    """
    found = {clock.name: clock.due_on for clock in deadlines.deadlines(facts, plan)}
    since = alarm.without_heat_since(facts, plan)
    if since is not None:
        found[str(Clock.HEAT)] = since
    return found


def key(name: str, due_on: date) -> str:
    """How a flag names its deadline: a moved one is another."""
    return f"{name}@{due_on}"


def follow(connection: Connection, plan: Plan, changes: Sequence[Change]) -> None:
    """Writes the clocks that the steps began, moved or ended; the rest is not touched."""
    over: list[dict[str, object]] = []
    begun: list[dict[str, object]] = []
    became: dict[tuple[str, str], str] = {}
    first = _first_rung(plan)
    for change in changes:
        facts, before, after = change.facts, change.before or {}, change.after
        for name, due_on in before.items():
            if after.get(name) != due_on:
                over.append({"of": facts.code, "clock": name})
                became[facts.code, key(name, due_on)] = _fate(facts, plan, name, after)
        for name, due_on in after.items():
            if before.get(name) != due_on:
                begun.append(_row(facts, name, due_on, first))
                if change.before is not None:
                    became[facts.code, key(name, due_on)] = RAISED
    if over:
        _end(connection, over)
    if begun:
        _PUT.write(connection, begun)
    if became:
        _flags_follow(connection, became)


def _end(connection: Connection, over: Sequence[Mapping[str, object]]) -> None:
    if journal.on_server(connection):
        named = {"of": [one["of"] for one in over], "clocks": [one["clock"] for one in over]}
        connection.execute(_END, named)
    else:
        _DELETE.write(connection, over)


def _fate(facts: CaseFacts, plan: Plan, name: str, after: Running) -> str:
    """What becomes of the flags of a clock: it was met, or it moved, rests, or was given up."""
    own = deadlines.due(facts, plan)
    rests = own.due_on is None and own.of is not None and name == f"{own.of}:{own.seq}"
    return VOID if name in after or rests or facts.state is State.CLOSED else MET


def _first_rung(plan: Plan) -> Callable[[date], date]:
    """The day of a deadline's first rung; many cases share a few deadlines."""

    @cache
    def first(due_on: date) -> date:
        return rungs.ladder(due_on, plan)[0][0]

    return first


def _row(
    facts: CaseFacts, name: str, due_on: date, first: Callable[[date], date]
) -> dict[str, object]:
    return {
        "case_code": facts.code,
        "name": name,
        "unit": facts.unit,
        "due_on": due_on,
        # This may be past: then the next sweep finds it.
        "next_rung_on": due_on if name == Clock.HEAT else first(due_on),
    }


_DELETE = bulk.Rows(
    delete(DEADLINE).where(
        DEADLINE.c.case_code == bindparam("of"), DEADLINE.c.name == bindparam("clock")
    )
)
_END = select(func.end_clocks(*(bindparam(name, type_=ARRAY(Text)) for name in ("of", "clocks"))))
_NEW = insert(DEADLINE)
_PUT = bulk.Rows(
    _NEW.on_conflict_do_update(
        index_elements=["case_code", "name"],
        set_={name: _NEW.excluded[name] for name in ("unit", "due_on", "next_rung_on")},
    )
)
_FLAGS_OF = (
    select(FLAG.c.case_code, FLAG.c.deadline, FLAG.c.status)
    .where(FLAG.c.case_code.in_(bindparam("codes", expanding=True)))
    .distinct()
)
_SET_FLAG = (
    update(FLAG)
    .where(
        FLAG.c.case_code == bindparam("of"),
        FLAG.c.deadline == bindparam("clock"),
        FLAG.c.status == bindparam("was"),
    )
    .values(status=bindparam("becomes"))
)
_SET_NOTICE = (
    update(NOTICE)
    .where(
        NOTICE.c.case_code == bindparam("of"),
        NOTICE.c.deadline == bindparam("clock"),
        NOTICE.c.message.is_(None),
    )
    .values(dropped=bindparam("becomes"))
)


def _flags_follow(connection: Connection, became: Mapping[tuple[str, str], str]) -> None:
    """What is over is not told any more; what runs again goes on where it was, told once."""
    flags: list[dict[str, object]] = []
    notices: list[dict[str, object]] = []
    codes = sorted({code for code, _ in became})
    for start in range(0, len(codes), _BATCH):
        rows = connection.execute(_FLAGS_OF, {"codes": codes[start : start + _BATCH]})
        for code, deadline, was in rows:
            becomes = became.get((code, deadline))
            if becomes is None or was == SUPERSEDED or (was == RAISED) is (becomes == RAISED):
                continue
            of = {"of": code, "clock": deadline}
            flags.append({**of, "was": was, "becomes": becomes})
            notices.append({**of, "becomes": becomes != RAISED})
    if flags:
        connection.execute(_SET_FLAG, flags)
        connection.execute(_SET_NOTICE, notices)


def rebuild(connection: Connection, plan: Plan) -> int:
    """Brings the clocks of every case in line with the journal; answers how many were not.

    For what moves them without a step of the case: other holidays, another plan, a new version of
    the program. The sweep then looks at each of them anew. Raises JournalBroken.
    """
    kept: dict[str, dict[str, date]] = {}
    for row in connection.execute(select(DEADLINE)):
        kept.setdefault(row.case_code, {})[row.name] = row.due_on
    changes = []
    rows: list[dict[str, object]] = []
    first = _first_rung(plan)
    for code, events in journal.read_cases(connection, register.persons(connection)):
        facts = fold(code, events)
        assert facts is not None
        before, after = kept.pop(code, {}), running(facts, plan)
        if before != after:
            changes.append(Change(before, after, facts))
        rows += [_row(facts, name, due_on, first) for name, due_on in after.items()]
    for code in kept:
        connection.execute(delete(DEADLINE).where(DEADLINE.c.case_code == code))
    follow(connection, plan, changes)
    if rows:
        _PUT.write(connection, rows)
    return len(changes) + len(kept)


def off(
    rows: Mapping[str, Mapping[str, tuple[object, object]]], facts: CaseFacts, plan: Plan
) -> Iterator[str]:
    """Where the rows of a case, (unit, due_on) by name, are not what its journal makes of them."""
    found = rows.get(facts.code, {})
    wanted = {name: (facts.unit, str(on)) for name, on in running(facts, plan).items()}
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            shown, right = found.get(name, ("", "没有"))[1], wanted.get(name, ("", "没有"))[1]
            yield f"{facts.code} 的期限 {name} 在表中为 {shown}，按日志应为 {right}"
