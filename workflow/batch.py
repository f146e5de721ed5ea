"""Batches: many households with one sheet, all of it or the rows that pass.

The sheet is the offline form. Whatever it says, each row goes the way of every other order: the
guards run as of today, and what they refuse is refused. A row carries a key made of what it says,
so that the same sheet a second time, or after a crash, writes nothing again and answers the same.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path as FilePath

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from states import evidence as keys
from states import identity, lifecycle, machine
from states.errors import CaseError, Reason, StepRefused
from states.facts import Actor, CaseFacts, Event, fold
from states.plan import Json, Plan
from states.question import DESIGN_TABLE
from states.vocabulary import Facility, FactKind, State, Trigger, Word
from states.workdays import local_minute
from workflow import (
    attachments,
    batch_sheet,
    bulk,
    cases,
    journal,
    receipts,
    register,
    spreadsheet,
)
from workflow.batch_sheet import BatchSheet, Kind, Problem, SheetRow, Waiting
from workflow.cases import Clocks, Position
from workflow.db import Database
from workflow.engine import Desk, Order, Receipt, Refusal
from workflow.errors import BadFile, Conflict, NotPermitted
from workflow.ledger_file import Fault, Normalisation
from workflow.receipts import Asked

Progress = Callable[[int, int], None]
# Facts are taken in any state; the form lists those whom they are usually about.
_LISTED: Mapping[FactKind, tuple[State, ...]] = {
    FactKind.NOTICE: (State.HOUSEHOLD_CONFIRMATION,),
    FactKind.SIGNATURE: (State.STABLE_SEASON, State.REMOVAL_PERMITTED),
}


class Moved(Struct, frozen=True):
    """A case that moved on after the sheet was written: what the ledger says now, and since when.

    `step` is the last event that moved it; None when the sheet's 版本 is not of this ledger.
    """

    version: int
    state: State
    step: Event | None


class Refused(Struct, frozen=True):
    """A row that cannot be carried out, and everything that stands in its way."""

    row: SheetRow
    status: int
    reasons: tuple[Reason, ...]
    moved: Moved | None = None

    @property
    def earliest(self) -> date | None:
        """The first day on which nothing of it would stand in the way, None if unknown."""
        days = [reason.earliest for reason in self.reasons]
        known = [day for day in days if day is not None]
        return max(known) if known and len(known) == len(days) else None


class Reuse(Struct, frozen=True):
    """One and the same file for several households."""

    sha256: str
    names: tuple[str, ...]
    codes: tuple[str, ...]


class Batch(Struct, frozen=True):
    """The answer to a sheet: `done` in the order of the rows, with those done before marked so.

    `receipt` is the hash over the file's hash and the events' hashes; None when nothing stands.
    """

    file: str
    sha256: str
    kind: Kind
    rows: int
    done: tuple[tuple[SheetRow, Receipt], ...]
    refused: tuple[Refused, ...]
    reused: tuple[Reuse, ...]
    normalisations: tuple[Normalisation, ...]
    written: bool
    drill: bool
    returned: str | None = None

    @property
    def applied(self) -> int:
        """How many rows were written now."""
        return sum(not receipt.repeated for _, receipt in self.done) if self.written else 0

    @property
    def repeated(self) -> int:
        """How many rows stood in the ledger already, from this sheet."""
        return sum(receipt.repeated for _, receipt in self.done)

    @property
    def receipt(self) -> str | None:
        """The hash that stands for all this sheet has put into the ledger."""
        if not self.written or not self.done:
            return None
        events: list[Json] = [receipt.event_hash for _, receipt in self.done]
        return journal.digest(journal.canonical({"file": self.sha256, "events": events}))

    @property
    def status(self) -> int:
        """The exit status of an application that wrote nothing because of refusals.

        A conflict's, or that of no permission, where nothing else stands in the way.
        """
        found = {refused.status for refused in self.refused}
        return found.pop() if found in ({4}, {5}) else 1


class _Undo(Exception):
    """Takes back everything that was decided in the transaction."""


# --- the form goes out ----------------------------------------------------------------------------


def write_template(
    database: Database,
    path: FilePath,
    kind: Kind,
    who: Actor | None,
    today: date,
    units: Sequence[str] | None = None,
    *,
    force: bool = False,
) -> int:
    """Writes the form with the households that wait for this; answers how many lines it has.

    Names are masked. Raises NotPermitted for a unit that is not the reader's, UsageFault where a
    form that somebody may have filled in would be overwritten without `force`.
    """
    spreadsheet.refuse_existing(path, force=force)
    if who is not None and any(not who.answers_for(unit) for unit in units or ()):
        raise register.not_your_unit()
    mine = [who.unit] if who is not None and who.unit is not None else units
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = [
            position
            for position in cases.positions(connection, plan, Clocks(today), mine)
            if _waits(kind, position)
        ]
        waiting = _waiting(connection, kind, found, plan)
        choices: dict[str, Sequence[str]] = {
            "season": sorted({season.label for season in plan.seasons}),
            "model": sorted({model.model for model in register.catalogue(connection)}),
        }
    batch_sheet.write_template(path, kind, waiting, plan, choices)
    return len(waiting)


def _waits(kind: Kind, position: Position) -> bool:
    if isinstance(kind, Trigger):
        return position.state in lifecycle.BY_TRIGGER[kind].moves
    if kind is FactKind.EXTENSION and position.due_on is None:
        return False
    if position.state is State.CLOSED:
        return False
    return position.state in _LISTED.get(kind, tuple(State))


def _waiting(
    connection: Connection, kind: Kind, found: Sequence[Position], plan: Plan
) -> list[Waiting]:
    codes = [position.code for position in found]
    names = cases.personal(connection, codes)
    special = kind is Trigger.ACCEPT or kind in batch_sheet.ABOUT_A_MATTER
    events = cases.load(connection, codes, checked=False) if special else {}
    lines = []
    for position in found:
        if special and position.code not in events:
            continue  # under quarantine and not to be read
        line = Waiting(
            code=position.code,
            version=position.version,
            unit=position.unit_name,
            village=position.village,
            name=names[position.code].masked().name if position.code in names else "",
            state=position.state.label,
        )
        if not special:
            lines.append(line)
            continue
        facts = fold(position.code, events[position.code])
        if facts is None:
            raise journal.broken(f"case:{position.code}", events[position.code][-1].seq)
        if kind is Trigger.ACCEPT:
            lines.append(replace(line, given=_acceptance(facts, plan)))
        else:
            lines += [replace(line, matter=m, given=given) for m, given in _matters(kind, facts)]
    return lines


def _acceptance(facts: CaseFacts, plan: Plan) -> dict[str, str]:
    """What an acceptance has to show. The verdicts are left to the acceptor."""
    wanted = plan.acceptance_of(facts.path, facts.kind, facts.area)
    code = facts.code
    known = [facility for facility in facts.facility_status if facility is not Facility.NONE]
    seen = [f"{facility.label}:在:{code}-{facility.label}.jpg" for facility in sorted(known)]
    return {
        "item": "；".join(f"{name}:" for name in wanted.items),
        "document": "；".join(f"{name}:{code}-{name}.pdf" for name in wanted.documents),
        "facility": "；".join(seen) or Facility.NONE.label,
    }


def _matters(kind: Kind, facts: CaseFacts) -> list[tuple[str, dict[str, str]]]:
    """A line for each open fault, pause or matter, so that nobody has to look up its number."""
    match kind:
        case FactKind.REPAIR:
            return [
                (f"{fault.on} {fault.what}", {"fault": str(fault.seq)})
                for fault in facts.faults
                if fault.repaired_on is None
            ]
        case FactKind.RESUME:
            pauses = [pause for pause in facts.pauses if pause.resumed_on is None]
            return [(f"{pause.on} {pause.cause.label}", {}) for pause in pauses]
    return [
        (f"{matter.on} {matter.kind.label} {matter.what}", {"id": str(matter.seq)})
        for matter in facts.matters
        if matter.open
    ]


# --- the form comes back --------------------------------------------------------------------------


def preview(
    database: Database,
    path: FilePath,
    login: str,
    now: datetime,
    progress: Progress | None = None,
) -> Batch:
    """What `apply` would do today, row by row; nothing is written.

    Raises BadFile where the file is no batch sheet, NotPermitted where the step is not this
    officer's, JournalBroken.
    """
    sheet = _read(database, path, login)
    # The very same way as `apply`, taken back at the end: the two cannot disagree.
    with bulk.many_objects(), database.rehearsal() as connection:
        return _HandedIn(connection, sheet, login, now, progress).answer()


def apply(
    database: Database,
    path: FilePath,
    login: str,
    now: datetime,
    *,
    partial: bool = False,
    key: str | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Carries out a sheet in one transaction: every row, or with `partial` the rows that pass.

    Refused rows go to a new file beside the sheet with `partial`; without it they leave nothing
    written. Raises as `preview`, and Conflict for a `key` that stands for another sheet.
    """
    sheet = _read(database, path, login)
    found: list[Batch] = []
    try:
        with bulk.many_objects(), database.transaction() as connection:
            handed_in = _HandedIn(connection, sheet, login, now, progress)
            answer = handed_in.answer()
            found.append(answer)
            replayed = key is not None and handed_in.was_handed_in(key)
            if answer.refused and not partial:
                raise _Undo
            answer = replace(answer, written=True)
            if replayed:
                repeated = tuple(pair for pair in answer.done if pair[1].repeated)
                found.append(replace(answer, done=repeated))
                raise _Undo
            handed_in.keep_files(answer.done)
            handed_in.finish()
            if answer.refused:
                answer = replace(answer, returned=_hand_back(path, sheet.kind, answer.refused))
            if key is not None and answer.done:
                handed_in.remember(key, answer.done[-1][1].seq)
            found.append(answer)
    except _Undo:
        pass
    return found[-1]


def _read(database: Database, path: FilePath, login: str) -> BatchSheet:
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        actor = register.actor(connection, login)
    sheet = batch_sheet.read(path, plan)
    wanted = lifecycle.roles_for(sheet.kind)
    if actor.role not in wanted:
        who = "、".join(role.label for role in wanted)
        raise NotPermitted(
            f"“{sheet.kind.label}”由{who}办理，{actor.role.label}不能办理",
            place=sheet.name,
            remedy=f"请{who}的账号交这张表",
        )
    return sheet


class _HandedIn:
    """One sheet in the hands of one officer, within one write transaction."""

    def __init__(
        self,
        connection: Connection,
        sheet: BatchSheet,
        login: str,
        now: datetime,
        progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._sheet = sheet
        self._login = login
        self._desk = Desk(connection, login, now)
        self._progress = progress
        self._keys = {id(row): _key(sheet.kind, row) for row in sheet.rows}
        self._known = receipts.used(connection, receipts.EVERYBODY, [*self._keys.values()])
        hashes = [file.sha256 for row in sheet.rows for file in row.attached]
        self._stored = journal.cases_naming(connection, attachments.stored(connection, hashes))
        self._desk.expect([self._order(row) for row in sheet.rows])

    def answer(self) -> Batch:
        """Decides every row in the order of the sheet."""
        done: list[tuple[SheetRow, Receipt]] = []
        refused: list[Refused] = []
        for number, row in enumerate(self._sheet.rows, start=1):
            answer = self._take(row)
            if isinstance(answer, Receipt):
                done.append((row, answer))
            else:
                refused.append(answer)
            if self._progress:
                self._progress(number, len(self._sheet.rows))
        return Batch(
            file=self._sheet.name,
            sha256=self._sheet.sha256,
            kind=self._sheet.kind,
            rows=len(self._sheet.rows),
            done=tuple(done),
            refused=tuple(refused),
            reused=tuple(self._reused()),
            normalisations=self._sheet.normalisations,
            written=False,
            drill=self._desk.drill,
        )

    def finish(self) -> None:
        """Writes what was decided; the caller commits."""
        self._desk.finish()

    def _take(self, row: SheetRow) -> Receipt | Refused:
        if row.faults:
            return Refused(row, 1, (*map(_fault_reason, row.faults), *self._also(row)))
        moved = self._moved(row)
        if moved is not None:
            return Refused(row, 4, (_conflict_reason(row, moved),), moved)
        answer = self._desk.decide(self._order(row))
        if isinstance(answer, Receipt):
            return answer
        return self._refused(row, answer)

    def _order(self, row: SheetRow) -> Order:
        return Order(
            code=row.code,
            kind=self._sheet.kind,
            evidence=row.evidence,
            on=row.on,
            reason=row.reason,
            key=self._keys[id(row)],
            everybodys=True,
            stored=row.attached,
        )

    def _refused(self, row: SheetRow, refusal: Refusal) -> Refused:
        error = refusal.error
        facts = self._desk.facts(row.code)
        step = facts and facts.events.get(self._known.get(self._keys[id(row)], 0))
        if error.code == "key_reused" and facts and step:
            moved = Moved(facts.version, facts.state, step)
            return Refused(row, 4, (_conflict_reason(row, moved),), moved)
        if error.reasons:
            return Refused(row, error.status, error.reasons)
        told = f"{error.message}；{error.remedy}" if error.remedy else error.message
        reason = Reason(error.code, DESIGN_TABLE, told, earliest_reason="本表不能办理")
        return Refused(row, error.status, (reason,))

    def _also(self, row: SheetRow) -> tuple[Reason, ...]:
        """What the guards say of a row whose cells are at fault too, those cells left out."""
        faulty = set(row.faulty)
        try:
            question = self._desk.question(self._order(row))
            if isinstance(self._sheet.kind, Trigger):
                machine.decide(self._sheet.kind, question)
            else:
                machine.check_fact(self._sheet.kind, question)
        except StepRefused as error:
            return tuple(
                reason
                for reason in error.reasons
                if not reason.missing or not set(reason.missing) <= faulty
            )
        except CaseError:
            return ()
        return ()

    def _moved(self, row: SheetRow) -> Moved | None:
        """Whether another step was taken since the sheet was written; facts move nothing."""
        facts = self._desk.facts(row.code)
        if facts is None or row.version is None or self._keys[id(row)] in self._known:
            return None
        if row.version > facts.version:
            return Moved(facts.version, facts.state, None)
        if not isinstance(self._sheet.kind, Trigger):
            return None
        steps = [
            event
            for event in facts.events.values()
            if event.version > row.version and event.target is not None
        ]
        return Moved(facts.version, facts.state, steps[-1]) if steps else None

    def _reused(self) -> list[Reuse]:
        codes: dict[str, dict[str, None]] = {}
        names: dict[str, dict[str, None]] = {}
        for row in self._sheet.rows:
            for file in row.attached:
                codes.setdefault(file.sha256, {})[row.code] = None
                names.setdefault(file.sha256, {})[file.name] = None
        found = []
        for sha256, mine in codes.items():
            everybody = sorted({*mine, *self._stored.get(sha256, ())})
            if len(everybody) > 1:
                found.append(Reuse(sha256, tuple(names[sha256]), tuple(everybody)))
        return found

    # What is kept beside the events.

    def keep_files(self, done: Sequence[tuple[SheetRow, Receipt]]) -> None:
        """Stores the contents that the rows brought, one at a time.

        Raises Conflict for a file that has changed since the sheet was read.
        """
        kept: set[str] = set()
        for row, receipt in done:
            for sha256, path in row.paths.items():
                if receipt.repeated or sha256 in kept:
                    continue
                files = attachments.read([path])
                if files[0].attached.sha256 != sha256:
                    raise Conflict(
                        f"附件 {path.name} 在办理期间被改动",
                        place=path.name,
                        remedy="重新交表；没有写入任何内容",
                    )
                attachments.keep(self._connection, files)
                kept.add(sha256)

    def was_handed_in(self, key: str) -> bool:
        """Whether this key was given with this very sheet before. Raises Conflict for another."""
        return receipts.find(self._connection, self._asked(key)) is not None

    def remember(self, key: str, seq: int) -> None:
        """Keeps the key, so that it stands for this sheet from now on."""
        receipts.keep(self._connection, self._asked(key), seq)

    def _asked(self, key: str) -> Asked:
        rows: list[Json] = list(self._keys.values())
        request = journal.digest(journal.canonical({"login": self._login, "rows": rows}))
        return Asked(self._login, key, request)


def _key(kind: Kind, row: SheetRow) -> str:
    """What a row says, whatever file it stands in: the same row is carried out once."""
    hashes: list[Json] = [*sorted(file.sha256 for file in row.attached)]
    document: dict[str, Json] = {
        "code": row.code,
        "version": row.version,
        "kind": kind,
        "on": row.on.isoformat() if row.on else None,
        "evidence": keys.to_json(row.evidence),
        "values": [list(pair) for pair in _values(row)],
        "attachments": hashes,
        "reason": row.reason,
    }
    return f"batch:{journal.digest(journal.canonical(document))}"


def _values(row: SheetRow) -> tuple[tuple[str, str], ...]:
    return row.evidence.values if isinstance(row.evidence, keys.Correct) else ()


def _given(row: SheetRow) -> dict[str, Json]:
    return {**keys.to_json(row.evidence), **dict(_values(row))}


def _fault_reason(fault: Fault) -> Reason:
    place = f"{fault.cell} " if fault.cell else ""
    return Reason(fault.code, DESIGN_TABLE, f"{place}{fault.message}", earliest_reason="改正后再交")


def _conflict_reason(row: SheetRow, moved: Moved) -> Reason:
    told = f"表中版本 {row.version}（环节“{row.state}”）"
    step = moved.step
    if step is None:
        message = f"{told}，台账现为版本 {moved.version}：这张表不是由本台账导出的"
    else:
        at = local_minute(step.recorded_at)
        did = _step_label(step)
        message = (
            f"{told}；{step.actor} 已于 {at} 登记“{did}”"
            f"（编号 {step.seq}，发生 {step.occurred_on}），现为版本 {moved.version}、"
            f"环节“{moved.state.label}”。请重新导出后核对"
        )
    return Reason("moved_on", DESIGN_TABLE, message, earliest_reason="请重新导出后核对")


def _step_label(step: Event) -> str:
    kinds: tuple[Word, ...] = (*Trigger, *FactKind)
    return next((kind.label for kind in kinds if kind == step.kind), step.kind)


def said(row: SheetRow) -> dict[str, Json]:
    """What the sheet says in a row, for showing both sides; personal numbers are hidden."""
    return {
        name: identity.MASK if identity.holds_personal_number(str(value)) else value
        for name, value in _given(row).items()
    }


# --- the refused rows go back ---------------------------------------------------------------------


def _hand_back(path: FilePath, kind: Kind, refused: Sequence[Refused]) -> str:
    """Writes the refused rows to `<name>-退回.xlsx`; another's corrections are never overwritten.

    Answers the file's name. A file that says the same already is left as it is.
    """
    problems = [(one.row, _problem(one)) for one in refused]
    draft = path.with_name(f".{path.stem}{batch_sheet.RETURNED}.part.xlsx")
    try:
        batch_sheet.write_returned(draft, kind, problems)
        content = draft.read_bytes()
        for number in range(1, 1000):
            more = "" if number == 1 else str(number)
            target = path.with_name(f"{path.stem}{batch_sheet.RETURNED}{more}.xlsx")
            if not target.exists():
                draft.rename(target)
                return target.name
            if target.read_bytes() == content:
                return target.name
        raise BadFile("退回文件过多", place=path.name, remedy="移走旧的退回文件后再交")
    finally:
        draft.unlink(missing_ok=True)


def _problem(refused: Refused) -> Problem:
    cells = refused.row.faulty
    for reason in refused.reasons:
        for name in reason.missing:
            cells.setdefault(name, reason.message)
    text = "；".join(dict.fromkeys(reason.message for reason in refused.reasons))
    if refused.earliest is not None:
        text += f"（最早 {refused.earliest}）"
    return Problem(text, cells)
