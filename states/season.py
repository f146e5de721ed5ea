"""The rule that the whole program exists for (design, section 4; notice, part 四).

A removal is permitted only after the new heating has run stably for the required seasons.
Everything here is computed from the facts of the case and the plan; nothing is clicked. A gap in
the evidence is *unknown*, and unknown is not stable.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from states.facts import CaseFacts, Milestone, VisitRecord
from states.plan import Plan, Season
from states.vocabulary import Area, Path
from states.workdays import ONE_DAY

_YEAR = timedelta(days=366)
NO_LATER_SEASON = "计划未给出再下一个采暖季的起止日期"


class Dated(Struct, frozen=True):
    """A season whose dates are known; both end days belong to it."""

    label: str
    first_day: date
    last_day: date
    verified: bool
    start_year: int


class Window(Struct, frozen=True):
    """The required seasons that a permission rests on, or is waiting for.

    `ended` says whether the last of them is over; `clock_start` is the day from which running
    counts.
    """

    seasons: tuple[Dated, ...]
    ended: bool
    clock_start: date

    @property
    def first_day(self) -> date:
        """The first day of the earliest season: the clock must have started by then."""
        return self.seasons[0].first_day

    @property
    def last_day(self) -> date:
        """The last day of the last season."""
        return self.seasons[-1].last_day


def exempt(facts: CaseFacts, plan: Plan) -> bool:
    """Whether the plan takes this path out of the season rule."""
    return facts.path in plan.rules.exempt_paths.value


def window(facts: CaseFacts, plan: Plan, today: date) -> Window | None:
    """The seasons that decide today, or those the case is now waiting for.

    None when no known seasons would do, or nothing has been accepted yet.
    """
    clock = facts.clock_start
    if clock is None:
        return None
    decisive = _latest_ended(facts, plan, today)
    if decisive and clock <= decisive[0].first_day:
        return Window(decisive, True, clock)
    for seasons in _runs(facts, plan):
        if clock <= seasons[0].first_day and today <= seasons[-1].last_day:
            return Window(seasons, False, clock)
    return None


def earliest(
    facts: CaseFacts, plan: Plan, today: date, *, drill: bool, clock: date | None = None
) -> tuple[date | None, str | None]:
    """The first day on which points 1 to 4 could all hold, or None and why not.

    What is on record stands: an outage still open ends today at the earliest. What is only missing
    (a visit, a signature, a first heat, a readiness still to come) may yet be recorded. `clock` is
    the earliest day on which the case could be accepted, for a case that has not been.
    """
    if exempt(facts, plan):
        if drill or plan.rules.exempt_paths.verified:
            return today, None
        return None, "该路径的豁免尚未核实"
    start = clock or facts.clock_start
    if start is None:
        return None, "尚未验收"
    unverified_only = False
    ends = (seasons[-1].last_day for seasons in _runs(facts, plan))
    for day in sorted({today, *(end + ONE_DAY for end in ends if end >= today)}):
        seasons = _latest_ended(facts, plan, day)
        if seasons is None or start > seasons[0].first_day:
            continue
        if clock is None and _late_papers(facts, seasons[0].first_day):
            continue
        if any(_too_long(facts, plan, season, today) for season in seasons):
            continue
        if drill or (all(s.verified for s in seasons) and plan.rules.required_seasons.verified):
            return day, None
        unverified_only = True
    if unverified_only:
        return None, "采暖季起止日期或要求的采暖季数尚未核实"
    if not any(season.first_day for season in plan.seasons_of(facts.area, facts.path)):
        return None, "计划未给出该区域、该路径的采暖季起止日期"
    return None, NO_LATER_SEASON


def late_papers(facts: CaseFacts, window: Window) -> list[Milestone]:
    """Acceptance or readiness recorded after the seasons began, without the document for it."""
    return _late_papers(facts, window.first_day)


def outages(facts: CaseFacts, plan: Plan, season: Dated, today: date) -> list[int]:
    """The lengths in days of each outage in the season, as known today."""
    return [(last - first).days + 1 for first, last in outage_spans(facts, plan, season, today)]


def outage_spans(
    facts: CaseFacts, plan: Plan, season: Dated, today: date
) -> list[tuple[date, date]]:
    """The first and last day of each outage in the season, as known today.

    Outage days are a set: overlaps count once, and consecutive days are one outage. From fault to
    repair, the repair day excluded; a cold visit until a warm one; late first heat from the first
    day of the season. An open outage counts as if it ended today.
    """
    days = set()
    for begins, ends in _spells(facts, plan, season):
        last = min(ends - ONE_DAY if ends else today - ONE_DAY, season.last_day)
        day = max(begins, season.first_day)
        while day <= last:
            days.add(day)
            day += ONE_DAY
    spans: list[tuple[date, date]] = []
    for day in sorted(days):
        if day - ONE_DAY in days:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans


def first_heat_late(facts: CaseFacts, plan: Plan, season: Dated) -> bool:
    """Whether the heat first came on later than the plan's grace after the season began."""
    grace = timedelta(days=plan.rules.first_heat_grace_days.value)
    heat = first_heat(facts, plan, season)
    return heat is not None and heat > season.first_day + grace


def cold_visits(facts: CaseFacts, plan: Plan, season: Dated) -> int:
    """How many visits within the season found it cold."""
    return sum(
        season.first_day <= visit.on <= season.last_day and not warm(visit, plan)
        for visit in facts.visits
    )


def open_outage(facts: CaseFacts, plan: Plan) -> str | None:
    """What keeps the heating out today, None when nothing does."""
    outage = outage_open(facts, plan)
    return outage[1] if outage else None


def outage_open(facts: CaseFacts, plan: Plan) -> tuple[date, str] | None:
    """Since when the heating has been out, and what keeps it out; None when nothing does."""
    for fault in facts.faults:
        if fault.repaired_on is None:
            return fault.on, f"{fault.on} 的故障（编号 {fault.seq}）尚未修复"
    for begins, ends in _cold_spells(facts, plan):
        if ends is None:
            return begins, f"{begins} 入户测温偏冷，其后没有合格的测温"
    return None


def winter(facts: CaseFacts, plan: Plan, today: date) -> str | None:
    """The label of the season that runs today; None where none does, or none is known to."""
    for season in known_seasons(facts, plan):
        if season.first_day <= today <= season.last_day:
            return season.label
    return None


def warm_visits(facts: CaseFacts, plan: Plan, season: Dated) -> int:
    """How many warm visits were made within the season."""
    return sum(
        season.first_day <= visit.on <= season.last_day and warm(visit, plan)
        for visit in facts.visits
    )


def heated_season(facts: CaseFacts, plan: Plan, heat: date) -> Dated | None:
    """The season that a first heat begins: the first one known that is not over by then.

    None where that season would end more than a year later, or none is known: nobody knows then
    which winter the heat was of.
    """
    for season in known_seasons(facts, plan):
        if heat <= season.last_day:
            return season if heat > season.last_day - _YEAR else None
    return None


def first_heat(facts: CaseFacts, plan: Plan, season: Dated) -> date | None:
    """When the heat of the device in place came on for this season, by the last word on it."""
    told = [heat for heat in facts.first_heats if heated_season(facts, plan, heat) == season]
    return told[-1] if told else None


def warm(visit: VisitRecord, plan: Plan) -> bool:
    """Whether it was warm enough indoors."""
    return visit.temperature >= plan.rules.warm_temperature.value


def signed(facts: CaseFacts, season: Dated) -> bool:
    """Whether the household signed for the season after its last day."""
    return any(
        signature.season == season.label and signature.on > season.last_day
        for signature in facts.signatures
    )


def dated(season: Season) -> Dated | None:
    """The season with its dates, None where they are unknown."""
    if season.first_day is None or season.last_day is None:
        return None
    return Dated(
        season.label, season.first_day, season.last_day, season.verified, season.start_year
    )


def running(facts: CaseFacts, plan: Plan, today: date) -> bool | None:
    """Whether a season of this area and path is on today; None where that cannot be known.

    A season listed without dates may be on at any time between its known neighbours, within the
    years of its label.
    """
    seasons = plan.seasons_of(facts.area, facts.path)
    known = known_seasons(facts, plan)
    if any(season.first_day <= today <= season.last_day for season in known):
        return True
    for season in seasons:
        year = season.start_year
        if dated(season) or not year <= today.year <= year + 1:
            continue
        before = [s.last_day for s in known if s.start_year < year]
        after = [s.first_day for s in known if s.start_year > year]
        if max(before, default=date.min) < today < min(after, default=date.max):
            return None
    return False if seasons else None


def known_seasons(facts: CaseFacts, plan: Plan) -> Sequence[Dated]:
    """The seasons of this area and path whose dates are known, in order."""
    return _known(plan, facts.area, facts.path)


def _runs(facts: CaseFacts, plan: Plan) -> Sequence[tuple[Dated, ...]]:
    """Every run of the required number of consecutive known seasons, in order."""
    return _runs_of(plan, facts.area, facts.path)


# Thousands of cases ask for the same few seasons, and a plan never changes.
@lru_cache
def _known(plan: Plan, area: Area, path: Path) -> Sequence[Dated]:
    found = map(dated, plan.seasons_of(area, path))
    return tuple(season for season in found if season is not None)


@lru_cache
def _runs_of(plan: Plan, area: Area, path: Path) -> Sequence[tuple[Dated, ...]]:
    seasons = _known(plan, area, path)
    number = plan.rules.required_seasons.value
    runs = (tuple(seasons[i : i + number]) for i in range(len(seasons) - number + 1))
    return tuple(
        run for run in runs if all(b.start_year == a.start_year + 1 for a, b in pairwise(run))
    )


def _latest_ended(facts: CaseFacts, plan: Plan, today: date) -> tuple[Dated, ...] | None:
    """The most recent required seasons, all ended before today; None when they are not known."""
    last = max((s.last_day for s in known_seasons(facts, plan) if s.last_day < today), default=None)
    for run in _runs(facts, plan):
        if run[-1].last_day == last:
            return run
    return None


def _late_papers(facts: CaseFacts, first_day: date) -> list[Milestone]:
    return [
        milestone
        for milestone in (facts.accepted, facts.ready)
        if milestone and milestone.recorded_on > first_day and not milestone.documented
    ]


def _too_long(facts: CaseFacts, plan: Plan, season: Dated, today: date) -> bool:
    lengths = outages(facts, plan, season, today)
    return (
        max(lengths, default=0) > plan.rules.outage_days.value
        or sum(lengths) > plan.rules.outage_days_total.value
    )


def _spells(facts: CaseFacts, plan: Plan, season: Dated) -> Iterator[tuple[date, date | None]]:
    """Every spell without heat, as [begin, end); an end of None is still open."""
    for fault in facts.faults:
        yield fault.on, fault.repaired_on
    yield from _cold_spells(facts, plan)
    heat = first_heat(facts, plan, season)
    if heat and first_heat_late(facts, plan, season):
        yield season.first_day, heat


def _cold_spells(facts: CaseFacts, plan: Plan) -> Iterator[tuple[date, date | None]]:
    cold_since: date | None = None
    for visit in sorted(facts.visits, key=lambda visit: (visit.on, visit.seq)):
        if not warm(visit, plan):
            cold_since = cold_since or visit.on
        elif cold_since is not None:
            yield cold_since, visit.on
            cold_since = None
    if cold_since is not None:
        yield cold_since, None
