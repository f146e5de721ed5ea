"""What is known of one case, read from its events: the only thing guards look at.

`fold` is the whole of it: events in, `CaseFacts` out. Asked with `on`, it leaves out what occurred
later (*what was true on that day*); leaving out what was recorded later (*what the ledger said*) is
done by not passing those events.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from datetime import date, datetime

from msgspec import Struct, field
from msgspec.structs import replace

from states.errors import MISSHAPEN, unreadable
from states.plan import Json
from states.vocabulary import (
    Area,
    Facility,
    FacilityStatus,
    FactKind,
    Kind,
    Outcome,
    Path,
    PauseCause,
    Quota,
    RevokeCause,
    Role,
    Severity,
    State,
    Trigger,
    ViolationType,
    YesNo,
)
from states.workdays import local_date

GONE = (FacilityStatus.SEALED, FacilityStatus.REMOVED)
SEALING = (ViolationType.KANG_SEALED, ViolationType.STOVE_REMOVED)
# What bears on where a case stands (state and its day, deadline, marks, the old facility gone) by
# its kind and day alone: `fold` reads nothing else of it that does. A case with any other kind, or
# with one of these steps twice, has to be folded; so has one whose confirmation or acceptance
# names one of `GONE_WORDS`. A new kind is therefore folded until somebody adds it here.
ONWARD = {
    Trigger.CONFIRM: State.EQUIPMENT_SELECTION,
    Trigger.SELECT: State.CONSTRUCTION,
    Trigger.COMPLETE: State.ACCEPTANCE,
    Trigger.ACCEPT: State.STABLE_SEASON,
    Trigger.PERMIT: State.REMOVAL_PERMITTED,
}
BESIDE = (
    FactKind.WORKS,
    FactKind.NOTICE,
    FactKind.FAULT,
    FactKind.REPAIR,
    FactKind.VISIT,
    FactKind.SIGNATURE,
    FactKind.COMPLAINT,
    FactKind.FINDING,
)
GONE_WORDS = (":sealed", ":removed", ":gone:")
_TRIGGERS = {str(trigger): trigger for trigger in Trigger}
_FACTS = {str(kind): kind for kind in FactKind}


class Actor(Struct, frozen=True):
    """Who acts. `person` is the same for all logins of one person; `unit` limits the scope."""

    login: str
    person: str
    name: str
    role: Role
    unit: str | None = None

    def answers_for(self, unit: str) -> bool:
        """Whether cases of the unit are within this officer's scope."""
        return self.unit is None or self.unit == unit


class Attached(Struct, frozen=True):
    """An attached file, by its name and the SHA-256 of its content."""

    name: str
    sha256: str


class Event(Struct, frozen=True):
    """One entry of the journal, as docs/journal.md describes it, and the person behind it."""

    seq: int
    stream: str
    version: int
    previous: str | None
    kind: str
    source: State | None
    target: State | None
    occurred_on: date
    recorded_at: datetime
    actor: str
    person: str
    role: Role
    reason: str | None
    evidence: Mapping[str, Json]
    attachments: tuple[Attached, ...]
    plan: str
    personal: str | None
    hash: str

    @property
    def recorded_on(self) -> date:
        """The county's date of recording."""
        return local_date(self.recorded_at)

    def text(self, key: str) -> str | None:
        """A text of the evidence, None where it was not given."""
        value = self.evidence.get(key)
        return None if value is None else str(value)

    def day(self, key: str) -> date | None:
        """A date of the evidence, None where it was not given."""
        value = self.evidence.get(key)
        return None if value is None else date.fromisoformat(str(value))

    def number(self, key: str) -> int:
        """A whole number of the evidence."""
        value = self.evidence[key]
        assert isinstance(value, int)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A repeated key of the evidence."""
        values = self.evidence.get(key)
        return tuple(str(value) for value in values) if isinstance(values, list) else ()


class Milestone(Struct, frozen=True):
    """An acceptance or a readiness: when it was, when it was recorded, whether late with paper."""

    seq: int
    on: date
    recorded_on: date
    person: str
    documented: bool


class FacilityRecord(Struct, frozen=True):
    """A word on an old facility: from the confirmation, a fact, or the acceptor."""

    seq: int
    on: date
    facility: Facility
    status: FacilityStatus
    by: str | None


class FaultRecord(Struct, frozen=True):
    """故障; `repaired_on` is None while it is open."""

    seq: int
    on: date
    what: str
    repaired_on: date | None = None


class VisitRecord(Struct, frozen=True):
    """入户测温."""

    seq: int
    on: date
    temperature: float


class SignatureRecord(Struct, frozen=True):
    """The household's signature for a season."""

    seq: int
    on: date
    season: str
    by: str


class Matter(Struct, frozen=True):
    """A violation, complaint, finding or objection (`NOTICE`), and how it was answered."""

    seq: int
    kind: FactKind
    on: date
    recorded_on: date
    what: str
    type: str | None = None
    by: str | None = None
    severity: Severity | None = None
    outcome: Outcome | None = None
    resolved_on: date | None = None
    resolved_recorded_on: date | None = None

    @property
    def open(self) -> bool:
        """Whether nobody has answered it yet."""
        return self.outcome is None

    @property
    def freezes(self) -> bool:
        """Whether it freezes `permit` and suspends a permission while open (design, section 3)."""
        if self.kind is FactKind.FINDING:
            return self.severity is not Severity.NOTE
        return self.kind in (FactKind.VIOLATION, FactKind.COMPLAINT)


class PauseRecord(Struct, frozen=True):
    """暂停; `resumed_on` is None while it lasts."""

    seq: int
    on: date
    cause: PauseCause
    resumed_on: date | None = None


class ExtensionRecord(Struct, frozen=True):
    """延期 of the deadline that ran when it was recorded."""

    seq: int
    due_on: date
    state: State
    put_right: int | None


class Permission(Struct, frozen=True):
    """A permission, in force from `day` until the day before `ended_on`."""

    seq: int
    day: date
    ended_on: date | None = None


class Works(Struct, frozen=True):
    """The works on the device now being or been installed, as far as recorded."""

    started_on: date | None = None
    installed_on: date | None = None
    ready_on: date | None = None
    serial: str | None = None


class CaseFacts(Struct):
    """All that is known of one case; built by `fold` and `then`, and only read by all others.

    What happens later makes new lists: facts that are known already are never changed by it.
    """

    code: str
    unit: str
    village: str
    path: Path
    kind: Kind
    area: Area
    quota: Quota
    registered: int
    state: State = State.HOUSEHOLD_CONFIRMATION
    state_since: date = date.min
    version: int = 0
    building_area: float | None = None
    heating_area: float | None = None
    holds: frozenset[str] = frozenset()
    ledger_facilities: tuple[Facility, ...] = ()
    last_step: Event | None = None
    select_on: date | None = None
    model: str | None = None
    connection_point: str | None = None
    works: Works = field(default_factory=Works)
    works_recorders: frozenset[str] = frozenset()
    serial: str | None = None
    first_heats: list[date] = field(default_factory=list)
    working_since: date | None = None
    accepted: Milestone | None = None
    ready: Milestone | None = None
    restarts: list[tuple[date, Trigger]] = field(default_factory=list)
    put_right: tuple[int, date] | None = None
    facilities: list[FacilityRecord] = field(default_factory=list)
    notice: tuple[date, date] | None = None
    faults: list[FaultRecord] = field(default_factory=list)
    visits: list[VisitRecord] = field(default_factory=list)
    signatures: list[SignatureRecord] = field(default_factory=list)
    matters: list[Matter] = field(default_factory=list)
    pauses: list[PauseRecord] = field(default_factory=list)
    extensions: list[ExtensionRecord] = field(default_factory=list)
    permissions: list[Permission] = field(default_factory=list)
    events: Mapping[int, Event] = field(default_factory=dict)

    @property
    def clock_start(self) -> date | None:
        """The day from which running counts (design, section 4); None before acceptance."""
        if self.accepted is None or self.ready is None:
            return None
        return max([self.accepted.on, self.ready.on, *(on for on, _ in self.restarts)])

    @property
    def first_heat_on(self) -> date | None:
        """The first heat of the device in place that was told last; which season's, `season` says.

        None before the first.
        """
        return self.first_heats[-1] if self.first_heats else None

    @property
    def facility_status(self) -> dict[Facility, FacilityRecord]:
        """The last word on each old facility, by the day it is about."""
        ordered = sorted(self.facilities, key=lambda record: (record.on, record.seq))
        return {record.facility: record for record in ordered}

    @property
    def facility_gone(self) -> bool:
        """Whether an old facility is removed or sealed, or an open violation says so."""
        # What no word ever said of any cannot be the last word on one.
        if any(record.status in GONE for record in self.facilities) and any(
            record.status in GONE for record in self.facility_status.values()
        ):
            return True
        return any(matter.type in SEALING for matter in self.open_matters)

    @property
    def open_matters(self) -> list[Matter]:
        """What freezes `permit` and suspends a permission, as long as nobody has answered it."""
        return [matter for matter in self.matters if matter.open and matter.freezes]

    @property
    def open_objections(self) -> list[Matter]:
        """Objections to the 公示 that nobody has answered."""
        return [m for m in self.matters if m.open and m.kind is FactKind.NOTICE]

    def permitted_on(self, day: date) -> Permission | None:
        """The permission in force and not suspended on a day (design, section 4)."""
        for permission in self.permissions:
            ended = permission.ended_on is not None and permission.ended_on <= day
            if permission.day <= day and not ended and not self._suspended_on(day):
                return permission
        return None

    def _suspended_on(self, day: date) -> bool:
        return any(
            matter.freezes
            and matter.recorded_on <= day
            and (matter.resolved_recorded_on is None or matter.resolved_recorded_on > day)
            for matter in self.matters
        )


def fold(code: str, events: Sequence[Event], on: date | None = None) -> CaseFacts | None:
    """The facts of a case from its events in journal order; None if it did not exist on that day.

    A `correct` counts from its recording, whatever day it is about: asked for an earlier day, the
    right value shows. Raises JournalBroken for an event that says what cannot be read.
    """
    if not events:
        return None
    try:
        facts = _begin(code, events)
    except MISSHAPEN as error:
        raise unreadable(events[0].stream, events[0].seq) from error
    exists = False
    for event in _corrected(events):
        try:
            if event.kind == "registered":
                _register(facts, event)
                exists = exists or on is None or event.occurred_on <= on
            elif on is None or event.occurred_on <= on:
                exists = True
                _apply(facts, event)
        except MISSHAPEN as error:
            raise unreadable(event.stream, event.seq) from error
    # The version is the stream's, whatever day is asked for: it is what a writer must name.
    facts.version = events[-1].version
    return facts if exists else None


def _begin(code: str, events: Sequence[Event]) -> CaseFacts:
    registered = events[0]
    return CaseFacts(
        code=code,
        unit=str(registered.evidence["unit"]),
        village=str(registered.evidence["village"]),
        path=Path(str(registered.evidence["path"])),
        kind=Kind(str(registered.evidence["kind"])),
        area=Area(str(registered.evidence["area"])),
        quota=Quota(str(registered.evidence["quota"])),
        registered=registered.seq,
        state_since=registered.occurred_on,
        events={event.seq: event for event in events},
    )


def then(facts: CaseFacts, event: Event) -> CaseFacts:
    """The facts once one more event has come: what `fold` makes of the whole history with it."""
    events = {**facts.events, event.seq: event}
    if event.kind == FactKind.CORRECT:
        corrected = fold(facts.code, tuple(events.values()))
        assert corrected is not None
        return corrected
    after = copy(facts)
    after.events, after.version = events, event.version
    _apply(after, event)
    return after


def _corrected(events: Sequence[Event]) -> Iterator[Event]:
    """The events as they are to be read: corrected ones with their right values and day."""
    if all(event.kind != FactKind.CORRECT for event in events):
        yield from events
        return
    rights: dict[int, Event] = {}
    by_seq = {event.seq: event for event in events}
    for event in events:
        if event.kind == FactKind.CORRECT:
            try:
                wrong = rights.get(event.number("id")) or by_seq[event.number("id")]
            except MISSHAPEN as error:
                raise unreadable(event.stream, event.seq) from error
            values = {key: value for key, value in event.evidence.items() if key not in _OWN_KEYS}
            if wrong.kind == "registered":
                values = {"old_facilities": values.get("old_facility")}
            rights[wrong.seq] = replace(
                wrong,
                occurred_on=wrong.occurred_on if wrong.kind == "registered" else event.occurred_on,
                evidence={**wrong.evidence, **values},
            )
    for event in events:
        if event.kind != FactKind.CORRECT:
            yield rights.get(event.seq, event)


_OWN_KEYS = ("id", "late_document")


def _register(facts: CaseFacts, event: Event) -> None:
    evidence = event.evidence
    facts.building_area = _figure(evidence.get("building_area"))
    facts.heating_area = _figure(evidence.get("heating_area"))
    facts.holds = frozenset(event.texts("holds"))
    facts.ledger_facilities = tuple(Facility(text) for text in event.texts("old_facilities"))


def _figure(value: Json) -> float | None:
    return value if isinstance(value, int | float) else None


def _amend(facts: CaseFacts, event: Event) -> None:
    for key, value in event.evidence.items():
        match key:
            case "village":
                facts.village = str(value)
            case "path":
                facts.path = Path(str(value))
            case "kind":
                facts.kind = Kind(str(value))
            case "area":
                facts.area = Area(str(value))
            case "quota":
                facts.quota = Quota(str(value))
            case "building_area":
                facts.building_area = _figure(value)
            case "heating_area":
                facts.heating_area = _figure(value)
            case "holds":
                facts.holds = frozenset(event.texts("holds"))


def _apply(facts: CaseFacts, event: Event) -> None:
    if event.kind == "amended":
        _amend(facts, event)
    elif event.kind in _TRIGGERS:
        _step(facts, event, _TRIGGERS[event.kind])
    else:
        _record(facts, event, _FACTS[event.kind])


def _step(facts: CaseFacts, event: Event, trigger: Trigger) -> None:
    match trigger:
        case Trigger.CONFIRM:
            _confirmed(facts, event)
        case Trigger.SELECT:
            facts.select_on = event.occurred_on
            facts.model = event.text("model")
            facts.connection_point = event.text("connection_point")
        case Trigger.COMPLETE:
            _completed(facts, event)
        case Trigger.ACCEPT:
            facts.accepted = _milestone(event, event.occurred_on)
            facts.put_right = None
            _seen(facts, event)
        case Trigger.PERMIT:
            facts.permissions = [*facts.permissions, Permission(event.seq, event.recorded_on)]
        case Trigger.CHANGE_PATH:
            facts.path = Path(str(event.evidence["path"]))
        case Trigger.REVOKE if event.text("cause") == RevokeCause.PAPER_FAULT:
            pass
        case Trigger.OVERTURN | Trigger.REPLACE | Trigger.REINSTATE | Trigger.REVOKE:
            facts.restarts = [*facts.restarts, (event.occurred_on, trigger)]
    if trigger in (Trigger.CHANGE_PATH, Trigger.REINSTATE) and event.text("quota"):
        facts.quota = Quota(str(event.evidence["quota"]))
    if trigger is Trigger.CHANGE_PATH:
        facts.restarts = [*facts.restarts, (event.occurred_on, trigger)]
    if trigger in _NEW_WORKS:
        _start_works_again(facts, event, trigger)
    if trigger is Trigger.REINSTATE:
        facts.put_right = None
    put_right_by = event.day("put_right_by")
    if put_right_by is not None:
        facts.put_right = (event.seq, put_right_by)
    if facts.state is State.REMOVAL_PERMITTED:
        *earlier, last = facts.permissions
        facts.permissions = [*earlier, replace(last, ended_on=event.recorded_on)]
    assert event.target is not None
    facts.state = event.target
    facts.state_since = event.occurred_on
    facts.last_step = event


# After these the works have to be stated anew; after the last two the device is another one.
_NEW_WORKS = (
    Trigger.REJECT,
    Trigger.OVERTURN,
    Trigger.SEND_BACK,
    Trigger.REINSTATE,
    Trigger.CHANGE_PATH,
    Trigger.REPLACE,
)


def _start_works_again(facts: CaseFacts, event: Event, trigger: Trigger) -> None:
    facts.works = Works()
    facts.works_recorders = frozenset()
    kept = trigger is Trigger.CHANGE_PATH and event.text("keep_device") == YesNo.YES
    if trigger is Trigger.REPLACE or (trigger is Trigger.CHANGE_PATH and not kept):
        facts.serial = None
        facts.first_heats = []
        facts.working_since = None
    if trigger is Trigger.OVERTURN:
        # What the spot check overturned is not taken for working heat until works are done again.
        facts.working_since = None


def serial_held(events: Sequence[Event]) -> str | None:
    """The serial that the case holds against every other one; None when it holds none.

    Told by `works` or `complete`, as it was told; free again when the device goes or the case is
    closed (design, section 5).
    """
    held = told = installed = None
    for event in events:
        if event.kind in (FactKind.WORKS, Trigger.COMPLETE):
            told = event.text("serial") or told
            held = event.text("serial") or held
        if event.kind == Trigger.COMPLETE:
            installed = told
        if event.kind in _NEW_WORKS:
            told = None
        if event.kind in (Trigger.REPLACE, Trigger.CHANGE_PATH):
            kept = event.kind == Trigger.CHANGE_PATH and event.text("keep_device") == YesNo.YES
            installed = installed if kept else None
            held = held if installed else None
        if event.kind == Trigger.CLOSE:
            held = None
    return held


def _confirmed(facts: CaseFacts, event: Event) -> None:
    for claim in event.texts("old_facility"):
        name, _, status = claim.partition(":")
        if status:
            _told_of(facts, event, name, FacilityStatus(status), None)


def _completed(facts: CaseFacts, event: Event) -> None:
    ready_on = event.day("ready_on") or event.occurred_on
    facts.ready = _milestone(event, ready_on)
    facts.working_since = ready_on
    facts.serial = event.text("serial") or facts.works.serial
    facts.works = Works(event.day("started_on"), event.day("installed_on"), ready_on, facts.serial)
    facts.works_recorders |= {event.person}


def _milestone(event: Event, on: date) -> Milestone:
    documented = event.text("late_document") is not None
    return Milestone(event.seq, on, event.recorded_on, event.person, documented)


def _seen(facts: CaseFacts, event: Event) -> None:
    for sighting in event.texts("facility"):
        name, _, rest = sighting.partition(":")
        if rest.startswith("gone:"):
            _told_of(facts, event, name, FacilityStatus.REMOVED, "unknown")


def _told_of(
    facts: CaseFacts, event: Event, facility: str, status: FacilityStatus, by: str | None
) -> None:
    record = FacilityRecord(event.seq, event.occurred_on, Facility(facility), status, by)
    facts.facilities = [*facts.facilities, record]


def _record(facts: CaseFacts, event: Event, kind: FactKind) -> None:
    match kind:
        case FactKind.WORKS:
            _works(facts, event)
        case FactKind.NOTICE:
            _notice(facts, event)
        case FactKind.OLD_FACILITY:
            status = FacilityStatus(str(event.evidence["status"]))
            facility, by = str(event.evidence["facility"]), str(event.evidence["by"])
            _told_of(facts, event, facility, status, by)
        case FactKind.FAULT:
            fault = FaultRecord(event.seq, event.occurred_on, str(event.text("what")))
            facts.faults = [*facts.faults, fault]
        case FactKind.REPAIR:
            repaired = event.number("fault")
            facts.faults = [
                replace(fault, repaired_on=event.occurred_on) if fault.seq == repaired else fault
                for fault in facts.faults
            ]
        case FactKind.VISIT:
            temperature = _figure(event.evidence["temperature"])
            assert temperature is not None
            visit = VisitRecord(event.seq, event.occurred_on, temperature)
            facts.visits = [*facts.visits, visit]
        case FactKind.SIGNATURE:
            season, by = str(event.text("season")), str(event.text("by"))
            signature = SignatureRecord(event.seq, event.occurred_on, season, by)
            facts.signatures = [*facts.signatures, signature]
        case FactKind.VIOLATION | FactKind.COMPLAINT | FactKind.FINDING:
            severity = event.text("severity")
            matter = Matter(
                event.seq,
                kind,
                event.occurred_on,
                event.recorded_on,
                str(event.text("what")),
                type=event.text("type"),
                by=event.text("by"),
                severity=Severity(severity) if severity else None,
            )
            facts.matters = [*facts.matters, matter]
        case FactKind.RESOLVE:
            _resolve(facts, event)
        case FactKind.PAUSE:
            cause = PauseCause(str(event.text("cause")))
            facts.pauses = [*facts.pauses, PauseRecord(event.seq, event.occurred_on, cause)]
        case FactKind.RESUME if facts.pauses:
            *earlier, last = facts.pauses
            facts.pauses = [*earlier, replace(last, resumed_on=event.occurred_on)]
        case FactKind.EXTENSION:
            due_on = event.day("due_on")
            assert due_on is not None
            put_right = facts.put_right[0] if facts.put_right else None
            extension = ExtensionRecord(event.seq, due_on, facts.state, put_right)
            facts.extensions = [*facts.extensions, extension]


def _works(facts: CaseFacts, event: Event) -> None:
    works = facts.works
    facts.works = Works(
        started_on=event.day("started_on") or works.started_on,
        installed_on=event.day("installed_on") or works.installed_on,
        ready_on=event.day("ready_on") or works.ready_on,
        serial=event.text("serial") or works.serial,
    )
    facts.works_recorders |= {event.person}
    first_heat_on = event.day("first_heat_on")
    if first_heat_on is not None:
        facts.first_heats = [*facts.first_heats, first_heat_on]
    facts.working_since = event.day("ready_on") or facts.working_since


def _notice(facts: CaseFacts, event: Event) -> None:
    begins, ends = event.day("from"), event.day("to")
    if begins and ends:
        facts.notice = (begins, ends)
    objection = event.text("objection")
    if objection:
        matter = Matter(event.seq, FactKind.NOTICE, event.occurred_on, event.recorded_on, objection)
        facts.matters = [*facts.matters, matter]


def _resolve(facts: CaseFacts, event: Event) -> None:
    answered = event.number("id")
    facts.matters = [
        replace(
            matter,
            outcome=Outcome(str(event.text("outcome"))),
            resolved_on=event.occurred_on,
            resolved_recorded_on=event.recorded_on,
        )
        if matter.seq == answered
        else matter
        for matter in facts.matters
    ]
