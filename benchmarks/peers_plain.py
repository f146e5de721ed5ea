"""Plain `transitions` with SQLModel: one shared machine, sessions, bulk statements in batches."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from peers import FIRST, ROUTE, TOLD, Act, Peer
from sqlalchemy import Engine, create_engine, event, insert, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Field, Session, SQLModel, col, select
from transitions import Machine

from states.vocabulary import State

_PART = 500


# A registry of its own: these tables are none of Xianli's.
class _Table(SQLModel, registry=registry()):
    pass


class PeerCase(_Table, table=True):
    """A household."""

    code: str = Field(primary_key=True)
    state: str
    version: int
    next_rung_on: date | None = Field(default=None, index=True)


class PeerEvent(_Table, table=True):
    """A step or a fact."""

    seq: int | None = Field(default=None, primary_key=True)
    code: str = Field(index=True)
    version: int
    kind: str
    source: str
    target: str
    day: date
    actor: str
    evidence: str


class PeerFile(_Table, table=True):
    """An attached file."""

    sha256: str = Field(primary_key=True)
    content: bytes


class PeerFlag(_Table, table=True):
    """A rung that was reached."""

    code: str = Field(primary_key=True)
    rung_on: date = Field(primary_key=True)


class PeerNotice(_Table, table=True):
    """Who is to be told of it."""

    code: str = Field(primary_key=True)
    rung_on: date = Field(primary_key=True)
    person: str = Field(primary_key=True)


def machine() -> Machine:
    """The table of steps: one machine for all households, which holds none of them."""
    routes = [
        {"trigger": str(trigger), "source": str(source), "dest": str(target)}
        for trigger, (source, target) in ROUTE.items()
    ]
    states = [str(state) for state in State]
    return Machine(None, states=states, initial=str(FIRST), transitions=routes)


class Stand:
    """What the machine moves: the state of one household."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class Plain(Peer):
    """The two libraries that Xianli itself stands on, without Xianli."""

    name = "transitions + SQLModel"

    def open(self, file: Path) -> None:
        self._engine: Engine = create_engine(f"sqlite:///{file}")
        event.listen(self._engine, "connect", _durable)
        _Table.metadata.create_all(self._engine)
        self._machine = machine()

    def register(self, codes: Sequence[str], rungs: Mapping[str, date]) -> None:
        rows = [
            {"code": code, "state": str(FIRST), "version": 0, "next_rung_on": rungs.get(code)}
            for code in codes
        ]
        with Session(self._engine) as session:
            session.execute(insert(PeerCase), rows)
            session.commit()

    def _move(self, state: str, kind: str) -> str:
        if kind not in ROUTE:
            return state
        stand = Stand(state)
        # Raises MachineError for a step that does not start here.
        self._machine.events[kind].trigger(stand)
        return stand.state

    def act(self, act: Act) -> None:
        with Session(self._engine) as session:
            case = session.get_one(PeerCase, act.code)
            source, case.state = case.state, self._move(case.state, act.kind)
            case.version += 1
            session.add(
                PeerEvent(
                    code=act.code,
                    version=case.version,
                    kind=act.kind,
                    source=source,
                    target=case.state,
                    day=act.day,
                    actor=act.actor,
                    evidence=act.evidence,
                )
            )
            session.add_all(PeerFile(sha256=sha256, content=body) for sha256, body in act.files)
            session.commit()

    def act_all(self, acts: Sequence[Act]) -> None:
        with Session(self._engine) as session:
            found: dict[str, tuple[str, int]] = {}
            for start in range(0, len(acts), _PART):
                codes = [act.code for act in acts[start : start + _PART]]
                query = select(PeerCase.code, PeerCase.state, PeerCase.version)
                for code, state, version in session.exec(
                    query.where(col(PeerCase.code).in_(codes))
                ):
                    found[code] = state, version
            events, moved = [], []
            for act in acts:
                source, version = found[act.code]
                target = self._move(source, act.kind)
                events.append(_event(act, source, target, version + 1))
                moved.append({"code": act.code, "state": target, "version": version + 1})
            files = [
                {"sha256": sha256, "content": body} for act in acts for sha256, body in act.files
            ]
            if files:
                session.execute(insert(PeerFile), files)
            session.execute(insert(PeerEvent), events)
            session.execute(update(PeerCase), moved)
            session.commit()

    def sweep(self, today: date, next_on: date) -> int:
        with Session(self._engine) as session:
            due = session.exec(select(PeerCase.code).where(col(PeerCase.next_rung_on) <= today))
            codes = due.all()
            if not codes:
                return 0
            flags = [{"code": code, "rung_on": today} for code in codes]
            notices = [{**flag, "person": person} for flag in flags for person in TOLD]
            moved = [{"code": code, "next_rung_on": next_on} for code in codes]
            session.execute(insert(PeerFlag), flags)
            session.execute(insert(PeerNotice), notices)
            session.execute(update(PeerCase), moved)
            session.commit()
        return len(codes)

    def replay(self) -> int:
        states: dict[str, str] = {}
        number = 0
        with Session(self._engine) as session:
            columns = (PeerEvent.code, PeerEvent.kind, PeerEvent.evidence)
            rows = session.exec(select(*columns).order_by(col(PeerEvent.seq)))
            for code, kind, evidence in rows:
                json.loads(evidence)
                states[code] = self._move(states.get(code, str(FIRST)), kind)
                number += 1
            for code, state in session.exec(select(PeerCase.code, PeerCase.state)):
                if states.get(code, str(FIRST)) != state:
                    raise SystemExit(f"{code} is in {state}")
        return number

    def close(self) -> None:
        self._engine.dispose()


def _event(act: Act, source: str, target: str, version: int) -> dict[str, object]:
    return {
        "code": act.code,
        "version": version,
        "kind": act.kind,
        "source": source,
        "target": target,
        "day": act.day,
        "actor": act.actor,
        "evidence": act.evidence,
    }


def _durable(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
