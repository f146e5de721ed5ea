"""What looks odd in the journal and is worth a visit, strongest first. Suspicion, never proof.

Read from the journal alone, in one pass. There is no meter data: whether a household draws
electricity is judged by first heat, warm visits and open faults (docs/commands.md).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct, field
from sqlalchemy import Connection

from states.facts import CaseFacts, Event, fold
from states.plan import Plan
from states.vocabulary import FactKind, GateKind, Oddity, State, Trigger
from workflow import journal, register

# Sixty acceptances by one person in ten minutes: nobody stands in sixty houses in that time.
BURST = 60
BURST_WITHIN = timedelta(minutes=10)
# So many temperatures of one person on one day, of which so many in ten are whole numbers.
ROUND_LEAST = 10
ROUND_IN_TEN = 8
PHOTOS = (".jpg", ".jpeg", ".png", ".heic", ".webp", ".bmp")
# How strong an oddity of a kind is at least, and how much one more case or day adds, of 100.
STRENGTH: Mapping[Oddity, tuple[int, float]] = {
    Oddity.DEVICE_IN_TWO_VILLAGES: (90, 2),
    Oddity.SERIAL_IN_SEVERAL: (80, 2),
    Oddity.ACCEPTED_BEFORE_ENERGISED: (70, 1),
    Oddity.PHOTO_IN_SEVERAL: (60, 2),
    Oddity.NO_HEAT_AFTER_ACCEPTANCE: (50, 0.25),
    Oddity.ACCEPTANCE_BURST: (40, 0.5),
    Oddity.ROUND_NUMBERS: (30, 0.5),
    Oddity.EDITED_AFTER_ACCEPTANCE: (20, 5),
}
STRONGEST = 100


class Odd(Struct, frozen=True):
    """One oddity: the cases and events it is about, and how strong it is, from 1 to 100."""

    kind: Oddity
    codes: tuple[str, ...]
    units: tuple[str, ...]
    seqs: tuple[int, ...]
    strength: int
    message: str


class _Seen(Struct):
    """What the pass has gathered so far."""

    unit: dict[str, str] = field(default_factory=dict)
    village: dict[str, str] = field(default_factory=dict)
    serials: dict[str, list[tuple[str, Event]]] = field(default_factory=dict)
    photos: dict[str, list[tuple[str, Event]]] = field(default_factory=dict)
    acceptances: dict[str, list[tuple[str, Event]]] = field(default_factory=dict)
    visits: dict[tuple[str, date], list[tuple[str, Event]]] = field(default_factory=dict)
    found: list[Odd] = field(default_factory=list)


def ranking(
    connection: Connection, plan: Plan, as_of: date, units: Sequence[str] | None = None
) -> list[Odd]:
    """Every oddity of these units (None: all), strongest first."""
    opened = {
        (gate.unit, gate.village, gate.kind): gate.opened_on for gate in register.gates(connection)
    }
    people = register.persons(connection)
    seen = _Seen()
    for code, events in journal.read_cases(connection, people, checked=False):
        facts = fold(code, events)
        if facts is None:
            continue
        seen.unit[code], seen.village[code] = facts.unit, facts.village
        _gather(seen, code, events)
        seen.found += _of_case(facts, plan, opened, as_of)
    everything = [
        *seen.found,
        *_serials(seen),
        *_photos(seen),
        *_bursts(seen),
        *_round_numbers(seen),
    ]
    wanted = [odd for odd in everything if units is None or set(units) & set(odd.units)]
    return sorted(wanted, key=lambda odd: (-odd.strength, odd.kind, odd.seqs))


def _gather(seen: _Seen, code: str, events: Iterable[Event]) -> None:
    for event in events:
        serial = event.text("serial")
        if serial and event.kind in (Trigger.COMPLETE, FactKind.WORKS):
            key = "".join(serial.split()).upper()
            seen.serials.setdefault(key, []).append((code, event))
        seen_there = {s.partition(":present:")[2] for s in event.texts("facility")}
        for attached in event.attachments:
            if attached.name.lower().endswith(PHOTOS) or attached.name in seen_there:
                seen.photos.setdefault(attached.sha256, []).append((code, event))
        if event.kind == Trigger.ACCEPT:
            seen.acceptances.setdefault(event.person, []).append((code, event))
        if event.kind == FactKind.VISIT:
            seen.visits.setdefault((event.person, event.occurred_on), []).append((code, event))


def _odd(
    seen: _Seen, kind: Oddity, about: Sequence[tuple[str, Event]], more: float, message: str
) -> Odd:
    codes = tuple(sorted({code for code, _ in about}))
    units = tuple(sorted({seen.unit[code] for code in codes}))
    seqs = tuple(sorted({event.seq for _, event in about}))
    return Odd(kind, codes, units, seqs, _strength(kind, more), message)


def _strength(kind: Oddity, more: float) -> int:
    least, each = STRENGTH[kind]
    return min(STRONGEST, least + int(each * more))


# --- one case -------------------------------------------------------------------------------------


def _of_case(
    facts: CaseFacts,
    plan: Plan,
    opened: Mapping[tuple[str, str, GateKind], date],
    as_of: date,
) -> Iterator[Odd]:
    def odd(kind: Oddity, seqs: Iterable[int], more: float, message: str) -> Odd:
        codes, units = (facts.code,), (facts.unit,)
        return Odd(kind, codes, units, tuple(seqs), _strength(kind, more), message)

    accepted = facts.accepted
    if accepted is None:
        return
    energised = _energised_on(facts, plan, opened)
    if energised is not None and energised[0] > accepted.on:
        day, what = energised
        message = f"{accepted.on} 验收合格，{what} {day}，验收在前"
        days = (day - accepted.on).days
        yield odd(Oddity.ACCEPTED_BEFORE_ENERGISED, [accepted.seq], days, message)
    cold = _cold_since(facts, plan, as_of)
    if cold is not None:
        day, seq, what = cold
        message = f"{accepted.on} 验收合格，{what}，至 {as_of} 已 {(as_of - day).days} 天"
        seqs = sorted({accepted.seq, seq})
        yield odd(Oddity.NO_HEAT_AFTER_ACCEPTANCE, seqs, (as_of - day).days, message)
    edits = [
        event
        for event in facts.events.values()
        if event.seq > accepted.seq
        and event.kind in (FactKind.CORRECT, "amended")
        and not (event.kind == FactKind.CORRECT and event.number("id") > accepted.seq)
    ]
    if edits:
        told = "、".join(dict.fromkeys(str(event.recorded_on) for event in edits))
        message = f"{accepted.on} 验收合格后，又改动验收以前的登记 {len(edits)} 次（{told}）"
        seqs = [accepted.seq, *(event.seq for event in edits)]
        yield odd(Oddity.EDITED_AFTER_ACCEPTANCE, seqs, len(edits) - 1, message)


def _energised_on(
    facts: CaseFacts, plan: Plan, opened: Mapping[tuple[str, str, GateKind], date]
) -> tuple[date, str] | None:
    """The later of readiness and the village's network, with its name."""
    days = []
    if facts.ready is not None and facts.accepted and facts.ready.seq < facts.accepted.seq:
        days.append((facts.ready.on, "设备具备使用条件在"))
    gate = plan.path_rule(facts.path).gate
    on = opened.get((facts.unit, facts.village, gate))
    if on is not None:
        days.append((on, f"{facts.village}{gate.label}开通在"))
    return max(days) if days else None


def _cold_since(facts: CaseFacts, plan: Plan, as_of: date) -> tuple[date, int, str] | None:
    """Since when an accepted case shows no heat by what is at hand, by which event, and in words.

    A fault still open with no warm visit after it; or no first heat and no warm visit, though a
    season has begun since the acceptance and the plan's grace ran out.
    """
    accepted = facts.accepted
    if accepted is None or facts.state not in (State.STABLE_SEASON, State.REMOVAL_PERMITTED):
        return None
    warm_at = plan.rules.warm_temperature.value
    warm = [visit.on for visit in facts.visits if visit.temperature >= warm_at]
    for fault in facts.faults:
        quiet = not any(on > fault.on for on in warm)
        if fault.repaired_on is None and fault.on >= accepted.on and quiet:
            return fault.on, fault.seq, f"{fault.on} 报的故障（{fault.what}）至今未修"
    if facts.first_heat_on is not None or any(on >= accepted.on for on in warm):
        return None
    grace = timedelta(days=plan.rules.first_heat_grace_days.value)
    due = [
        max(season.first_day, accepted.on)
        for season in plan.seasons_of(facts.area, facts.path)
        if season.first_day and season.last_day and season.last_day >= accepted.on
    ]
    if not due or min(due) + grace >= as_of:
        return None
    since = min(due)
    return since, accepted.seq, f"{since} 起应已供热，却没有首次供热，也没有一次达标的测温"


# --- several cases --------------------------------------------------------------------------------


def _serials(seen: _Seen) -> Iterator[Odd]:
    for serial, about in seen.serials.items():
        codes = {code for code, _ in about}
        if len(codes) < 2:
            continue
        days: dict[date, set[str]] = {}
        for code, event in about:
            days.setdefault(event.occurred_on, set()).add(seen.village[code])
        double = {day: villages for day, villages in days.items() if len(villages) > 1}
        for day, villages in sorted(double.items()):
            there = [one for one in about if one[1].occurred_on == day]
            message = f"设备 {serial} 在 {day} 同日登记于 {'、'.join(sorted(villages))}"
            yield _odd(seen, Oddity.DEVICE_IN_TWO_VILLAGES, there, len(villages) - 2, message)
        if not double:
            message = f"设备 {serial} 登记在 {len(codes)} 户"
            yield _odd(seen, Oddity.SERIAL_IN_SEVERAL, about, len(codes) - 2, message)


def _photos(seen: _Seen) -> Iterator[Odd]:
    for sha256, about in seen.photos.items():
        codes = {code for code, _ in about}
        if len(codes) > 1:
            names = {a.name for _, e in about for a in e.attachments if a.sha256 == sha256}
            named = "、".join(sorted(names)[:3])
            message = f"同一张照片（{named}，{sha256[:12]}…）在 {len(codes)} 户的材料里"
            yield _odd(seen, Oddity.PHOTO_IN_SEVERAL, about, len(codes) - 2, message)


def _bursts(seen: _Seen) -> Iterator[Odd]:
    """Runs of acceptances; one that is still going on when the ten minutes end goes on."""
    for person, about in seen.acceptances.items():
        ordered = sorted(about, key=lambda one: one[1].seq)
        start = 0
        for end, (_, event) in enumerate(ordered):
            following = ordered[end + 1][1].recorded_at if end + 1 < len(ordered) else None
            while event.recorded_at - ordered[start][1].recorded_at > BURST_WITHIN:
                start += 1
            run = ordered[start : end + 1]
            if len(run) >= BURST and not _goes_on(run[0][1].recorded_at, following):
                yield _burst(seen, person, run)
                start = end + 1


def _goes_on(first: datetime, following: datetime | None) -> bool:
    return following is not None and following - first <= BURST_WITHIN


def _burst(seen: _Seen, person: str, run: Sequence[tuple[str, Event]]) -> Odd:
    first, last = run[0][1], run[-1][1]
    minutes = -(-(last.recorded_at - first.recorded_at) // timedelta(minutes=1))
    days = Counter(event.occurred_on for _, event in run)
    day, number = days.most_common(1)[0]
    at_once = "一次提交" if minutes == 0 else f"{minutes} 分钟内"
    message = (
        f"{person} 在 {first.recorded_on} {at_once}登记验收合格 {len(run)} 户，"
        f"其中写明 {day} 当天验收的 {number} 户"
    )
    return _odd(seen, Oddity.ACCEPTANCE_BURST, run, len(run) - BURST, message)


def _round_numbers(seen: _Seen) -> Iterator[Odd]:
    for (person, day), about in seen.visits.items():
        whole = [one for one in about if float(str(one[1].evidence["temperature"])).is_integer()]
        if len(about) >= ROUND_LEAST and len(whole) * 10 >= len(about) * ROUND_IN_TEN:
            message = (
                f"{person} 登记 {day} 测温 {len(about)} 户，{len(whole)} 户是整度数"
                f"（最多的是 {_commonest(whole)} ℃）"
            )
            yield _odd(seen, Oddity.ROUND_NUMBERS, whole, len(whole) - ROUND_LEAST, message)


def _commonest(visits: Sequence[tuple[str, Event]]) -> int:
    degrees = Counter(int(float(str(event.evidence["temperature"]))) for _, event in visits)
    return degrees.most_common(1)[0][0]
