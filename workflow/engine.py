"""Carrying out what officers ask: the one way in which a case moves or a fact is recorded.

A `Desk` serves one officer within one write transaction. Command line, batches and demo all hand
their orders to it; each order is decided by the rules first and written after, its event, its row
and its papers together, or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from sqlalchemy import ARRAY, Connection, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from states import deadlines, guards_permit, lifecycle, machine, season
from states import evidence as keys
from states.errors import CaseError
from states.facts import Attached, CaseFacts, Event, fold, then
from states.plan import Json
from states.question import Question, Surroundings
from states.vocabulary import FacilityStatus, FactKind, GateKind, Path, State, Trigger
from states.workdays import local_date
from workflow import (
    attachments,
    bulk,
    cases,
    dispatch,
    due,
    journal,
    quarantine,
    receipts,
    register,
    tables,
)
from workflow.attachments import File
from workflow.db import Database
from workflow.due import Change, Running
from workflow.errors import Conflict, JournalBroken
from workflow.journal import Draft, Head, Pen
from workflow.receipts import Asked

_PERMISSION = tables.PERMISSION
_KEY = tables.HOUSEHOLD_KEY
_PERSONAL = tables.PERSONAL
# These look at other cases, so what the desk has in hand must be in the database first.
_LOOKS_AROUND = (Trigger.CHANGE_PATH, Trigger.CLOSE, Trigger.REINSTATE)
# After these the device may be gone: then its serial is free again.
_RELEASE = (Trigger.REPLACE, Trigger.CHANGE_PATH)
_ABOUT_A_DEVICE = (*_RELEASE, Trigger.CLOSE, Trigger.COMPLETE, FactKind.WORKS)


class Order(Struct, frozen=True):
    """What an officer asks for: a step or a fact. `on` is today unless given.

    `key` is the officer's own, or with `everybodys` stands for what is said, whoever says it.
    `stored` are attachments whose content the caller keeps: a batch holds one file at a time.
    """

    code: str
    kind: Trigger | FactKind
    evidence: keys.Evidence
    on: date | None = None
    files: tuple[File, ...] = ()
    reason: str | None = None
    key: str | None = None
    everybodys: bool = False
    stored: tuple[Attached, ...] = ()

    @property
    def attached(self) -> tuple[Attached, ...]:
        """The names and hashes of its files."""
        return (*(file.attached for file in self.files), *self.stored)


class Receipt(Struct, frozen=True):
    """What was done; `repeated` when the same key had been used before and nothing was written.

    `unverified` names what a permission rests on that nobody has verified (演练·未核实); `warning`
    is what the officer should know about a fact that was taken all the same; `late_days` is by how
    much the step, or the answer to a matter, came after its deadline.
    """

    code: str
    trigger: str
    state: State
    version: int
    seq: int
    event_hash: str
    occurred_on: date
    recorded_at: datetime
    due_on: date | None
    repeated: bool = False
    drill: bool = False
    unverified: tuple[str, ...] = ()
    warning: str | None = None
    late_days: int = 0


class Refusal(Struct, frozen=True):
    """An order that was not carried out, and the whole reason."""

    order: Order
    error: CaseError


class Desk:
    """One officer at work within one write transaction; `finish` writes what was decided."""

    def __init__(self, connection: Connection, login: str, now: datetime) -> None:
        self.connection = connection
        office = register.office(connection)
        self.plan, self.drill, self._persons = office.plan, office.drill, office.persons
        self.actor = register.acting(login, office.officers.get(login))
        self.pen = Pen(connection, self.actor, now, self.plan)
        self.today = local_date(self.pen.now)
        self._facts: dict[str, CaseFacts] = {}
        self._heads: dict[str, str] = {}
        self._written: dict[str, int] = {}
        # The clocks of each case that was touched as they were before; None where it is new.
        self._touched: dict[str, Running | None] = {}
        self._news: list[dispatch.News] = []
        self._permissions: list[dict[str, object]] = []
        self._serials = _Serials(connection)
        self._twins: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, File] = {}
        self._asked: dict[tuple[str, str], receipts.Recorded] = {}
        self._answered: list[tuple[Asked, receipts.Kept]] = []
        self._chains_checked = False
        self._closed = office.closed
        self._gates: dict[tuple[str, str, GateKind], date] = {}
        self._places: set[tuple[str, str]] = set()
        self._models: Mapping[Path, frozenset[str]] | None = None

    def take(self, orders: Sequence[Order]) -> list[Receipt | Refusal]:
        """Decides each order in turn; refused ones leave no trace.

        Raises JournalBroken, which ends the whole transaction.
        """
        self.expect(orders)
        return [self.decide(order) for order in orders]

    def expect(self, orders: Sequence[Order]) -> None:
        """Reads at once what `decide` will need for these orders. Raises JournalBroken."""
        self.read(*(order.code for order in orders))
        serials = [serial for order in orders if (serial := _serial(order.evidence))]
        held = [order.code for order in orders if order.kind in _ABOUT_A_DEVICE]
        self._serials.read(serials, held)
        self._read_gates([order.code for order in orders if order.kind is Trigger.COMPLETE])
        keyed = [_asked(order, self.actor.login) for order in orders if order.key]
        self._asked.update(receipts.on_record(self.connection, keyed))
        looking = [order.code for order in orders if order.kind is Trigger.CONFIRM]
        self._twins.update(cases.twins(self.connection, looking))

    def decide(self, order: Order) -> Receipt | Refusal:
        """Decides one order, of those that are expected. Raises JournalBroken."""
        try:
            return self._repeated(order) or self._carry_out(order)
        except JournalBroken:
            raise
        except CaseError as error:
            return Refusal(order, error)

    def finish(self) -> None:
        """Writes permissions, events and rows; raises Conflict when somebody else was first."""
        if self._files:
            attachments.keep(self.connection, self._files.values())
            self._files = {}
        if self._permissions:
            _PERMIT.write(self.connection, self._permissions)
            self._permissions = []
        self.pen.write()
        receipts.keep_all(self.connection, self._answered)
        self._answered = []
        self._serials.write()
        if not self._touched:
            return
        new: list[dict[str, object]] = []
        moved: list[dict[str, object]] = []
        for code in self._touched:
            facts = self._facts[code]
            row = cases.projection(facts, self.plan)
            row["head_hash"] = self._heads[code]
            was = self._written.get(code)
            if was is None:
                new.append({**row, "code": code})
            else:
                moved.append({**row, "of": code, "was": was})
            self._written[code] = facts.version
        if new:
            _REGISTER.write(self.connection, new)
        move = _UPSERT if journal.on_server(self.connection) else _UPDATE
        if moved and move.write(self.connection, moved) != len(moved):
            raise Conflict("有户在此期间已被他人办理", remedy="重新查看后再办；没有写入任何内容")
        self._dispatch()
        self._touched = {}

    def _dispatch(self) -> None:
        """The clocks that the steps moved, what others are to be told, and the gravest alarm."""
        changes = [
            Change(was, due.running(self._facts[code], self.plan), self._facts[code])
            for code, was in self._touched.items()
        ]
        due.follow(self.connection, self.plan, changes)
        cold = [change.facts for change in changes if change.cold]
        if not self._news and not cold:
            return
        people, now = dispatch.People(self.connection), self.pen.now
        dispatch.tell(self.connection, people, self._news, now)
        self._news = []
        for facts in cold:
            dispatch.ring(self.connection, people, facts, self.plan, now, drill=self.drill)

    def clear(self) -> None:
        """Takes every case off the desk once it is written; `read` lays it there again."""
        self.finish()
        for code in self._facts:
            self.pen.forget(f"case:{code}")
        self._facts, self._heads, self._written = {}, {}, {}

    def put(self, draft: Draft) -> Event:
        """Adds an event of the ledger's own (`registered`, `amended`): it moves no case."""
        event = self.pen.add(draft)
        self._apply(event)
        return event

    # Reading what the decision needs -----------------------------------------------------

    def read(self, *codes: str) -> None:
        """Lays these cases on the desk; unknown codes are passed over. Raises JournalBroken."""
        missing = [code for code in dict.fromkeys(codes) if code not in self._facts]
        if not missing:
            return
        for code in set(missing) & self._closed:
            quarantine.require_open(self.connection, code)
        found = cases.load(self.connection, missing, persons=self._persons)
        rows = _heads(self.connection, list(found))
        for code, events in found.items():
            if rows.get(code) != (events[-1].version, events[-1].hash):
                raise journal.broken(f"case:{code}", events[-1].seq)
            facts = fold(code, events)
            assert facts is not None
            self._facts[code], self._heads[code] = facts, events[-1].hash
            self._written[code] = facts.version
            self.pen.know(f"case:{code}", Head(events[-1].version, events[-1].hash))

    def facts(self, code: str) -> CaseFacts | None:
        """A case on the desk, with what was just decided; None when it is not this officer's."""
        facts = self._facts.get(code)
        return facts if facts is not None and self.actor.answers_for(facts.unit) else None

    def _surroundings(self, order: Order, facts: CaseFacts, given: keys.Evidence) -> Surroundings:
        serial = _serial(given)
        holder = self._serials.holder(serial) if serial else None
        return Surroundings(
            gate_opened_on=self._gate_opened_on(facts) if order.kind is Trigger.COMPLETE else None,
            models=self._models_by_path() if order.kind is Trigger.SELECT else {},
            twins=self._twins_of(order),
            serial_holder=holder if holder != facts.code else None,
            annex_left=self._annex_left(facts, given),
            successor=self._successor(given),
        )

    def _twins_of(self, order: Order) -> tuple[str, ...]:
        if order.kind not in (Trigger.CONFIRM, Trigger.REINSTATE):
            return ()
        if order.code not in self._twins:
            return cases.twins(self.connection, [order.code])[order.code]
        return self._twins[order.code]

    def _gate_opened_on(self, facts: CaseFacts) -> date | None:
        kind = self.plan.path_rule(facts.path).gate
        if kind is GateKind.NONE:
            return None
        self._read_gates([facts.code])
        return self._gates.get((facts.unit, facts.village, kind))

    def _read_gates(self, codes: Sequence[str]) -> None:
        """Reads which networks have come to the villages of these cases."""
        found = [facts for code in codes if (facts := self._facts.get(code))]
        places = {(facts.unit, facts.village) for facts in found} - self._places
        if places:
            gates = register.gates(self.connection, places)
            self._gates.update(((g.unit, g.village, g.kind), g.opened_on) for g in gates)
            self._places |= places

    def _models_by_path(self) -> Mapping[Path, frozenset[str]]:
        if self._models is None:
            self._models = register.models_by_path(self.connection)
        return self._models

    def _annex_left(self, facts: CaseFacts, given: keys.Evidence) -> int | None:
        if not isinstance(given, keys.ChangePath | keys.Reinstate):
            return None
        path = given.path if isinstance(given, keys.ChangePath) and given.path else facts.path
        return cases.annex_left(self.connection, facts, path, self.plan)

    def _successor(self, given: keys.Evidence) -> State | None:
        if not isinstance(given, keys.Close) or given.replaced_by is None:
            return None
        query = select(cases.CASE.c.state).where(cases.CASE.c.code == given.replaced_by)
        state = self.connection.execute(query).scalar()
        return State(state) if state else None

    # Deciding and writing ----------------------------------------------------------------

    def question(self, order: Order) -> Question:
        """The order as the question that the guards answer.

        Raises NotPermitted when there is no such case for this officer, or not this to do.
        """
        facts = self._allowed(order)
        given = machine.complete_evidence(facts, order.kind, order.evidence)
        return Question(
            facts=facts,
            plan=self.plan,
            today=self.today,
            on=order.on or _default_day(order, facts, self.today),
            evidence=given,
            attachments=frozenset(file.name for file in order.attached),
            reason=order.reason,
            actor=self.actor,
            around=self._surroundings(order, facts, given),
            drill=self.drill,
        )

    def _allowed(self, order: Order) -> CaseFacts:
        """The facts of the order's case. Raises NotPermitted as `question` does."""
        facts = self._facts.get(order.code)
        answered = order.evidence.id if isinstance(order.evidence, keys.Resolve) else None
        if facts is None or not self.actor.answers_for(facts.unit):
            raise cases.not_for_you(order.code)
        if not lifecycle.permits(self.actor, order.kind, facts, answered):
            raise _not_your_role(order, self.actor.role.label)
        return facts

    def _carry_out(self, order: Order) -> Receipt:
        if order.kind in _LOOKS_AROUND:
            self.finish()
        if order.kind is Trigger.PERMIT:
            # Who may not permit at all is told that, whatever he can see of the journal.
            self._allowed(order)
            self._check_for_permission(order.code)
        question = self.question(order)
        source: State | None = None
        target: State | None = None
        if isinstance(order.kind, Trigger):
            move = machine.decide(order.kind, question)
            source, target = move.source, move.target
            evidence = keys.to_json(question.evidence)
        else:
            evidence = _fact_evidence(question)
            machine.check_fact(order.kind, question)
        event = self.pen.add(
            Draft(
                f"case:{order.code}",
                order.kind,
                question.on,
                evidence,
                source,
                target,
                order.reason,
                order.attached,
            )
        )
        self._files.update((file.attached.sha256, file) for file in order.files)
        if order.kind is Trigger.PERMIT:
            self._permissions.append(self._permission(event, question))
        self._apply(event)
        self._keep_keys(order, question)
        if order.key:
            asked, kept = _asked(order, self.actor.login), receipts.Kept(event.seq, None)
            self._answered.append((asked, kept))
            self._asked[asked.login, asked.key] = receipts.Recorded(asked.request, kept)
        return self._receipt(event, self._facts[order.code], question.facts)

    def _check_for_permission(self, code: str) -> None:
        """The whole journal must verify, and what a permission rests on must be in the database.

        Raises JournalBroken.
        """
        if not self._chains_checked or code in self._touched:
            self.finish()
        if not self._chains_checked:
            quarantine.check_whole(self.connection)
            self._chains_checked = True

    def _apply(self, event: Event) -> None:
        code = event.stream.removeprefix("case:")
        before = self._facts.get(code)
        if code not in self._touched:
            self._touched[code] = due.running(before, self.plan) if before else None
        facts = fold(code, [event]) if before is None else then(before, event)
        assert facts is not None
        self._facts[code], self._heads[code] = facts, event.hash
        news = dispatch.news_of(event, before, facts)
        if news is not None:
            self._news.append(news)

    def _permission(self, event: Event, question: Question) -> dict[str, object]:
        facts = question.facts
        window = season.window(facts, self.plan, self.today)
        exempt = season.exempt(facts, self.plan)
        assert facts.accepted is not None
        assert facts.ready is not None
        return {
            "seq": event.seq,
            "case_code": facts.code,
            "source_state": facts.state,
            "permitted_on": event.occurred_on,
            "permitted_by": self.actor.person,
            "acceptance_seq": facts.accepted.seq,
            "accepted_on": facts.accepted.on,
            "accepted_by": facts.accepted.person,
            "readiness_seq": facts.ready.seq,
            "ready_on": facts.ready.on,
            "season_first_day": None if exempt or window is None else window.first_day,
            "season_last_day": None if exempt or window is None else window.last_day,
            "plan": self.plan.hash,
        }

    def _keep_keys(self, order: Order, question: Question) -> None:
        code = order.code
        if order.kind in (Trigger.CLOSE, Trigger.REINSTATE):
            # Who is whose twin is asked again from now on.
            self._twins.clear()
        if order.kind is Trigger.CLOSE:
            self._serials.release(code)
            self.connection.execute(delete(_KEY).where(_KEY.c.case_code == code))
        if order.kind is Trigger.REINSTATE:
            self._restore_keys(code)
        serial = _serial(question.evidence)
        if serial:
            self._serials.take(serial, code)
        if order.kind in _RELEASE and self._facts[code].serial is None:
            self._serials.release(code)

    def _restore_keys(self, code: str) -> None:
        personal = cases.personal(self.connection, [code])[code]
        for kind, value in (("meter", personal.meter), ("id_number", personal.id_number)):
            if value:
                self.connection.execute(insert(_KEY).values(kind=kind, value=value, case_code=code))

    def _receipt(
        self, event: Event, facts: CaseFacts, before: CaseFacts, *, repeated: bool = False
    ) -> Receipt:
        permitted = event.kind == Trigger.PERMIT
        return Receipt(
            code=facts.code,
            trigger=event.kind,
            state=facts.state,
            version=event.version,
            seq=event.seq,
            event_hash=event.hash,
            occurred_on=event.occurred_on,
            recorded_at=event.recorded_at,
            due_on=deadlines.due(facts, self.plan).due_on,
            repeated=repeated,
            drill=self.drill,
            unverified=guards_permit.unverified_basis(facts, self.plan, event.recorded_on)
            if permitted
            else (),
            warning=_warning(event, facts),
            late_days=deadlines.late_days(before, event, self.plan),
        )

    def _repeated(self, order: Order) -> Receipt | None:
        """The receipt this key was answered with before, None when it is new.

        Raises NotPermitted to whom the command itself would be.
        """
        if order.key is None:
            return None
        self._allowed(order)
        kept = receipts.answer(_asked(order, self.actor.login), self._asked)
        if kept is None:
            return None
        events = [
            event for event in self._facts[order.code].events.values() if event.seq <= kept.seq
        ]
        facts, before = fold(order.code, events), fold(order.code, events[:-1])
        if facts is None or before is None or events[-1].seq != kept.seq:
            raise receipts.reused(str(order.key))
        return self._receipt(events[-1], facts, before, repeated=True)


_PROJECTED = (
    "unit",
    "village",
    "path",
    "kind",
    "area",
    "quota",
    "state",
    "state_since",
    "version",
    "due_on",
    "plan_due_on",
    "due_reason",
    "select_on",
    "facility_gone",
    "head_hash",
)
_PERMIT, _REGISTER = bulk.Rows(insert(_PERMISSION)), bulk.Rows(insert(cases.CASE))
# Compare-and-set: the row moves only from the version that was read.
_UPDATE = bulk.Rows(
    update(cases.CASE)
    .where(cases.CASE.c.code == bindparam("of"), cases.CASE.c.version == bindparam("was"))
    .values({name: bindparam(name) for name in _PROJECTED})
)
# The same on a server, where an officer's own condition would be asked of every row.
_PUT = upsert(cases.CASE)
_UPSERT = bulk.Rows(
    _PUT.values(
        code=bindparam("of"), **{name: bindparam(name) for name in _PROJECTED}
    ).on_conflict_do_update(
        index_elements=["code"],
        set_={name: _PUT.excluded[name] for name in _PROJECTED},
        where=cases.CASE.c.version == bindparam("was"),
    )
)


def advance(database: Database, order: Order, login: str, now: datetime) -> Receipt:
    """Takes one step with a case or records one fact; all of it commits together.

    Raises NotPermitted, StepRefused with every reason, Conflict, JournalBroken.
    """
    with database.transaction() as connection:
        desk = Desk(connection, login, now)
        answer = desk.take([order])[0]
        if isinstance(answer, Refusal):
            raise answer.error
        desk.finish()
    return answer


def carry_out(
    database: Database, orders: Sequence[Order], login: str, now: datetime
) -> list[Receipt | Refusal]:
    """Carries out many orders in one transaction; refused ones leave no trace.

    Raises NotPermitted for the login, Conflict, JournalBroken: then nothing was written.
    """
    with bulk.many_objects(), database.transaction() as connection:
        desk = Desk(connection, login, now)
        found = desk.take(orders)
        desk.finish()
    return found


def rehearse(database: Database, order: Order, login: str, now: datetime) -> State:
    """The state the order would lead to, written nowhere. Raises what `advance` would."""
    with database.reading() as connection:
        desk = Desk(connection, login, now)
        desk.expect([order])
        question = desk.question(order)
        if isinstance(order.kind, Trigger):
            return machine.decide(order.kind, question).target
        _fact_evidence(question)
        machine.check_fact(order.kind, question)
        return question.facts.state


class _Serials:
    """Which case holds which serial, as the desk decided it; `write` brings the table in line."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, str | None] = {}
        self._holder: dict[str, str | None] = {}
        self._held: dict[str, set[str]] = {}
        self._changed: dict[str, None] = {}

    def read(self, serials: Sequence[str], codes: Sequence[str]) -> None:
        """Reads who holds these serials, and which ones these cases hold."""
        held: dict[str, str | None] = dict.fromkeys(serials)
        held.update(cases.holders(self._connection, "serial", serials))
        held.update(cases.holding(self._connection, codes, "serial"))
        for serial, code in held.items():
            if serial not in self._holder:
                self._kept[serial] = self._holder[serial] = code
                if code is not None:
                    self._held.setdefault(code, set()).add(serial)

    def holder(self, serial: str) -> str | None:
        """The case that holds a serial."""
        if serial not in self._holder:
            self.read([serial], [])
        return self._holder[serial]

    def take(self, serial: str, code: str) -> None:
        """The serial is this case's from now on, and any other one is not."""
        if self.holder(serial) != code:
            self.release(code)
            self._holder[serial] = code
            self._held[code] = {serial}
            self._changed[serial] = None

    def release(self, code: str) -> None:
        """The device has gone: its serial is free for another household."""
        for serial in self._held.pop(code, ()):
            self._holder[serial] = None
            self._changed[serial] = None

    def write(self) -> None:
        """Writes what changed since it was read or written last."""
        free: list[dict[str, object]] = []
        taken: list[dict[str, object]] = []
        for serial in self._changed:
            was, code = self._kept[serial], self._holder[serial]
            if was is not None and was != code:
                free.append({"serial": serial})
            if code is not None and was != code:
                taken.append({"kind": "serial", "value": serial, "case_code": code})
            self._kept[serial] = code
        self._changed = {}
        if free:
            self._connection.execute(_FREE, free)
        if taken:
            _TAKE.write(self._connection, taken)


_TAKE = bulk.Rows(insert(_KEY))
_FREE = delete(_KEY).where(_KEY.c.kind == "serial", _KEY.c.value == bindparam("serial"))


def _heads(connection: Connection, codes: Sequence[str]) -> dict[str, tuple[int, str]]:
    found = {}
    query = _HEADS_TOLD if journal.on_server(connection) else _HEADS
    for part in cases.parts(codes):
        for code, version, hash_ in connection.execute(query, {"codes": part}):
            found[code] = version, hash_
    return found


_HEAD = cases.CASE.c.code, cases.CASE.c.version, cases.CASE.c.head_hash
_HEADS = select(*_HEAD).where(cases.CASE.c.code.in_(bindparam("codes", expanding=True)))
_HEADS_TOLD = select(
    func.heads(bindparam("codes", type_=ARRAY(Text))).table_valued(*(one.name for one in _HEAD))
)


def _serial(evidence: keys.Evidence) -> str | None:
    return evidence.serial if isinstance(evidence, keys.Complete | keys.Works) else None


def _default_day(order: Order, facts: CaseFacts, today: date) -> date:
    """Today; a correction keeps the day of what it rights."""
    if isinstance(order.evidence, keys.Correct):
        event = facts.events.get(order.evidence.id or 0)
        return event.occurred_on if event else today
    return today


def _fact_evidence(question: Question) -> dict[str, Json]:
    evidence = keys.to_json(question.evidence)
    if isinstance(question.evidence, keys.Correct):
        right = machine.right_values(question.facts, question.evidence)
        if right is not None:
            values = keys.to_json(right)
            facility = values.get("old_facility")
            if isinstance(facility, list):
                values["old_facility"] = [str(claim).partition(":")[0] for claim in facility]
            evidence = {**values, **evidence}
    return evidence


def _warning(event: Event, facts: CaseFacts) -> str | None:
    gone = event.text("status") in (FacilityStatus.REMOVED, FacilityStatus.SEALED)
    if event.kind != FactKind.OLD_FACILITY or not gone:
        return None
    if facts.permitted_on(event.occurred_on) is not None:
        return None
    return "没有有效的拆除许可：已如实登记，将列入审计发现"


def _not_your_role(order: Order, role: str) -> CaseError:
    who = "、".join(wanted.label for wanted in lifecycle.roles_for(order.kind))
    error = cases.not_for_you(order.code)
    error.message = f"“{order.kind.label}”由{who}办理，{role}不能办理"
    error.remedy = f"请{who}的账号办理"
    error.args = (error.message,)
    return error


def _asked(order: Order, login: str) -> Asked:
    document: dict[str, Json] = {
        "login": login,
        "code": order.code,
        "kind": order.kind,
        "on": order.on.isoformat() if order.on else None,
        "evidence": keys.to_json(order.evidence),
        "values": json.dumps(order.evidence.values)
        if isinstance(order.evidence, keys.Correct)
        else None,
        "attachments": [a.sha256 for a in order.attached],
        "reason": order.reason,
    }
    owner = receipts.EVERYBODY if order.everybodys else login
    return Asked(owner, str(order.key), journal.digest(journal.canonical(document)))
