"""Section 4 of the design said a second time, for the safety check to judge the rules by.

Computed from the list of events alone, day by day and without `facts.fold`, `season` or any guard:
what the rules and this page agree on has been thought twice. Slow and plain on purpose. It decides
nothing in the program.
"""

from collections.abc import Sequence
from datetime import date, timedelta, timezone

from msgspec.structs import replace

from states.facts import Actor, Event
from states.plan import Json, Plan
from states.vocabulary import Role, State, Word

_DAY = timedelta(days=1)
_CHINA = timezone(timedelta(hours=8))
_RESTARTS = ("overturn", "replace", "change_path", "reinstate")
_MATTERS = ("violation", "complaint", "finding")


class Line(Word):
    """One line of the property; those of section 4 carry its numbers."""

    WAY = "way", "到“允许拆除”只有一条路：由县清洁取暖办从“稳定运行一季”办理 permit"
    CLOCK = (
        "4.2-clock",
        "起算日是最近一次验收、现有设备具备使用条件、推翻、换机、换径、恢复、因不稳定撤销中最晚的一日",
    )
    SEASONS = "4.2-seasons", "起算之后连续、完整的规定采暖季已在今天之前结束"
    SINGLE = "4.3-single", "各季没有一次停热超过限度"
    TOTAL = "4.3-total", "各季累计停热不超过限度"
    FIRST_HEAT = "4.3-first-heat", "各季首次供热日期有据可查"
    VISITS = "4.3-visits", "各季之内入户测温合格次数足够"
    SIGNED = "4.3-signed", "各季结束之后有用户签字"
    HEAT_TODAY = "4.3-today", "今天没有未恢复的停热"
    PAPERS = "4.4", "采暖季开始后才登记的验收、具备使用条件附有材料"
    MATTERS = "4.5", "没有未销号的违规、投诉、严重发现"
    PERMITTER = "4.6", "许可人不是验收人"
    TODAY = "today", "许可自登记之日起生效，不写成别的日期"
    VERIFIED = "verified", "正式库不凭未核实的参数许可"
    LAWFUL = "lawful", "以上都满足的，准许，不拒绝"
    FORCE = "force", "许可自登记之日到收回之日有效，其间有未销号事项的日子除外"
    SEPARATION = "separation", "登记施工的人不验收，登记人和被反映人不销号、不更正"
    LEDGER = "ledger", "台账导入不移动环节"


def unmet(
    events: Sequence[Event], plan: Plan, today: date, on: date, actor: Actor, *, drill: bool
) -> tuple[Line, ...]:
    """Every line that forbids this officer to permit today, as of `on`; empty where lawful."""
    events = _righted(events)
    county = actor.role is Role.COUNTY_OFFICE and state(events) is State.STABLE_SEASON
    accepted = _last(events, "accept")
    own = accepted is not None and accepted.person == actor.person
    return (
        *([] if county else [Line.WAY]),
        *([] if on == today else [Line.TODAY]),
        *_season_lines(events, plan, today, drill=drill),
        *([Line.MATTERS] if _matter_open(events, date.max) else []),
        *([Line.PERMITTER] if own else []),
    )


def state(events: Sequence[Event]) -> State:
    """Where the events have brought the case."""
    return [event.target for event in events if event.target is not None][-1]


def clock_start(events: Sequence[Event]) -> date | None:
    """The day from which running counts; None before the first acceptance."""
    accepted, ready = _last(events, "accept"), _last(events, "complete")
    if accepted is None or ready is None:
        return None
    days = [accepted.occurred_on, date.fromisoformat(str(ready.evidence["ready_on"]))]
    for event in events:
        unstable = event.kind == "revoke" and event.evidence["cause"] == "not_stable"
        if event.kind in _RESTARTS or unstable:
            days.append(event.occurred_on)
    return max(days)


def first_heats(events: Sequence[Event]) -> tuple[date, ...]:
    """When the device now there first gave heat, each winter; a new one has none yet."""
    days: tuple[date, ...] = ()
    for event in events:
        taken = event.kind == "change_path" and event.evidence["keep_device"] == "no"
        if event.kind == "replace" or taken:
            days = ()
        elif event.kind == "works" and "first_heat_on" in event.evidence:
            days += (date.fromisoformat(str(event.evidence["first_heat_on"])),)
    return days


def in_force(events: Sequence[Event], day: date) -> bool:
    """Whether a permission is in force and not suspended on the day, by what is known now."""
    permitted = False
    for event in events:
        if event.target is not None and _recorded(event) <= day:
            permitted = event.target is State.REMOVAL_PERMITTED
    return permitted and not _matter_open(events, day)


def own_work(events: Sequence[Event], kind: str, actor: Actor, named: int | None) -> bool:
    """Whether the officer would judge their own work: accept it, or answer or right their word."""
    if kind == "accept":
        recorders: set[str] = set()
        for event in events:
            if event.kind in ("reject", "send_back", *_RESTARTS):
                recorders = set()
            elif event.kind in ("works", "complete"):
                recorders.add(event.person)
        return actor.person in recorders
    if kind in ("resolve", "correct"):
        answered = next(event for event in events if event.seq == named)
        accused = answered.evidence.get("by") if answered.kind == "violation" else None
        return answered.person == actor.person or accused in (actor.login, actor.person, actor.name)
    return False


def _season_lines(events: Sequence[Event], plan: Plan, today: date, *, drill: bool) -> list[Line]:
    rules, path, area = plan.rules, _latest(events, "path"), _latest(events, "area")
    if path in rules.exempt_paths.value:
        return [] if drill or rules.exempt_paths.verified else [Line.VERIFIED]
    found = []
    visits = sorted((e for e in events if e.kind == "visit"), key=lambda e: (e.occurred_on, e.seq))
    faults = _faults(events)
    if any(end is None for _, end in faults) or (visits and _cold(visits[-1], plan)):
        found.append(Line.HEAT_TODAY)
    number, start = rules.required_seasons.value, clock_start(events)
    known = [s for s in plan.seasons if s.area == area and s.path == path]
    over = sorted(
        (s.label, s.first_day, s.last_day, s.verified)
        for s in known
        if s.first_day and s.last_day and s.last_day < today
    )[-number:]
    years = [int(label[:4]) for label, *_ in over]
    together = len(over) == number and years == list(range(years[0], years[0] + number))
    if start is None or not together or start > over[0][1]:
        return [Line.SEASONS, *found]
    if not drill and not (rules.required_seasons.verified and all(v for *_, v in over)):
        found.append(Line.VERIFIED)
    ends = [s.last_day for s in known if s.first_day and s.last_day]
    for label, first, last, _ in over:
        since = max((end for end in ends if end < first), default=date.min)
        since = max(since, last - 366 * _DAY)
        heats = [heat for heat in first_heats(events) if since < heat <= last]
        heat = heats[-1] if heats else None
        if heat is None:
            found.append(Line.FIRST_HEAT)
        days = [first + n * _DAY for n in range((last - first).days + 1)]
        late = heat is not None and (heat - first).days > rules.first_heat_grace_days.value
        without = [
            (late and heat is not None and day < heat)
            or any(begin <= day and (end is None or day < end) for begin, end in faults)
            or _cold_by(visits, day, plan)
            for day in days
        ]
        runs = "".join("x" if out else " " for out in without).split()
        if any(len(run) > rules.outage_days.value for run in runs):
            found.append(Line.SINGLE)
        if sum(without) > rules.outage_days_total.value:
            found.append(Line.TOTAL)
        warm = [v for v in visits if v.occurred_on in days and not _cold(v, plan)]
        if len(warm) < rules.warm_visits.value:
            found.append(Line.VISITS)
        signed = [e for e in events if e.kind == "signature" and e.evidence["season"] == label]
        if not any(e.occurred_on > last for e in signed):
            found.append(Line.SIGNED)
    for paper in (_last(events, "accept"), _last(events, "complete")):
        if paper and _recorded(paper) > over[0][1] and not paper.evidence.get("late_document"):
            found.append(Line.PAPERS)
    return found


def _righted(events: Sequence[Event]) -> Sequence[Event]:
    """The events with what `correct` put right, each on its right day."""
    by_seq = {event.seq: event for event in events}
    for event in events:
        if event.kind == "correct":
            wrong = by_seq[int(str(event.evidence["id"]))]
            right = {**wrong.evidence, **event.evidence}
            by_seq[wrong.seq] = replace(wrong, occurred_on=event.occurred_on, evidence=right)
    return [by_seq[event.seq] for event in events]


def _last(events: Sequence[Event], kind: str) -> Event | None:
    return next((event for event in reversed(events) if event.kind == kind), None)


def _latest(events: Sequence[Event], key: str) -> Json:
    """The last word of the ledger or of a change of path."""
    kinds = ("registered", "amended", "change_path")
    return [e.evidence[key] for e in events if e.kind in kinds and key in e.evidence][-1]


def _recorded(event: Event) -> date:
    return event.recorded_at.astimezone(_CHINA).date()


def _matter_open(events: Sequence[Event], day: date) -> bool:
    """Whether by then a violation, complaint or serious finding was recorded and not answered."""
    recorded = [event for event in events if _recorded(event) <= day]
    answered = {event.evidence["id"] for event in recorded if event.kind == "resolve"}
    return any(
        event.kind in _MATTERS
        and event.evidence.get("severity") != "note"
        and event.seq not in answered
        for event in recorded
    )


def _faults(events: Sequence[Event]) -> list[tuple[date, date | None]]:
    repaired = {e.evidence["fault"]: e.occurred_on for e in events if e.kind == "repair"}
    return [(e.occurred_on, repaired.get(e.seq)) for e in events if e.kind == "fault"]


def _cold(visit: Event, plan: Plan) -> bool:
    return float(str(visit.evidence["temperature"])) < plan.rules.warm_temperature.value


def _cold_by(visits: Sequence[Event], day: date, plan: Plan) -> bool:
    """Whether the last visit up to the end of that day found it cold."""
    before = [visit for visit in visits if visit.occurred_on <= day]
    return bool(before) and _cold(before[-1], plan)
