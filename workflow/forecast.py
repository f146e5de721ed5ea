"""Which units will miss the end of the works and of the acceptance, from what they have shown.

The method is Monte Carlo simulation of throughput (Magennis, *Forecasting and Simulating Software
Development Projects*, 2011), on a pipeline: a household that is not confirmed cannot be selected,
one not selected not built, one not built not accepted. Each of some hundred runs draws

- for each step the unit's weekly level from the posterior of a gamma-Poisson model: the unit's own
  weeks, recent ones weighing more, shrunk towards the county's pace for a unit of its size
  (empirical Bayes, Robbins 1956), less sure than chance alone would have it, since good and bad
  weeks come in spells. A unit with little or no history so gets the county's pace, and a county
  with none the plan's: a step takes about half of the works phase;
- weeks around that level by the stationary bootstrap (Politis and Romano, 1994) of weeks that were
  really worked, bad and good ones together, as they came;
- a slow drift of the unit's own, since nobody knows the months to come;
- and for the last households, of whom some are never at home, the shares of such households that
  were done within a week anywhere in the county, apart where none was done the week before.

Weeks are the seven days up to `as_of`, weighed by their working days. A run's end of the works is
the day on which the last household that has not left is completed for the first time; works to be
put right after an inspection run under their own deadline and count for the acceptance only.
docs/forecast.md tells the method, how it was tested and where it is weak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, log
from random import Random

from states.plan import Plan
from states.vocabulary import State, Trigger
from states.workdays import is_workday, last_workday, workdays_left

RUNS = 200
HORIZON_WEEKS = 40
# The window of `pace_shown`, in weeks.
SHOWN_WEEKS = 4
STEPS = (Trigger.CONFIRM, Trigger.SELECT, Trigger.COMPLETE, Trigger.ACCEPT)
WAITS_IN = (
    State.HOUSEHOLD_CONFIRMATION,
    State.EQUIPMENT_SELECTION,
    State.CONSTRUCTION,
    State.ACCEPTANCE,
)
_COMPLETE, _ACCEPT = 2, 3
_ALL, _WORKS = (0, 1, 2, 3), (0, 1, 2)
_NEVER = 7.0 * HORIZON_WEEKS

# What the journal cannot tell. Chosen on the seasons that docs/forecast.md calls the tuning ones.
_WINDOW_WEEKS = 12  # older weeks say nothing any more
_HALF_LIFE_WEEKS = 2.5  # a week that long ago weighs half
_BETWEEN_UNITS = 0.55  # coefficient of variation of the units' levels around the county's
_LINGERING = 12.0  # good and bad weeks come in spells: how much less they tell than single ones
_CHANGE = 0.3  # by how much the pace shown may be another tomorrow, of its logarithm
_DRIFT = 0.17  # of the level's logarithm, in a week
_STARTING_WEEKS = 2.5  # mean wait for works that could have begun and have not
_PLAN_WEIGHT = 3.0  # weeks of one unit that the plan's pace is worth beside the county's
_SIZE_POWER = 0.75  # how a unit's pace grows with its households
_FEW = 2  # that few households may be the ones who are never at home
_CUT_SHORT = 0.5  # the share of a week told of by one that ended with the work
_REJECTED = (1.0, 30.0)  # rejected, of those inspected, before anything is known
_PUT_RIGHT = 0.5  # chance that rejected works are put right within a week


@dataclass(frozen=True, slots=True)
class UnitWork:
    """What a unit has done and has to do, on the clocks asked for.

    `waiting` counts households in each of `WAITS_IN`, without rejected ones, which are `redoing`.
    `done` counts for each of `STEPS` the first times, by the week before `seen_on`: 0 is the last
    seven days and later. `finished_on` is the day of the last first completion. `seen_on` is the
    day whose work the ledger shows: what is entered late has not been seen yet.
    """

    unit: str
    seen_on: date
    households: int
    waiting: tuple[int, int, int, int]
    redoing: int
    done: tuple[Mapping[int, int], ...]
    rejected: int
    finished_on: date | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """A unit's line of the forecast.

    `expected`, `low` and `high` are the median and the 80 % interval of the day on which its last
    household is completed: the day itself when that has been, None beyond the horizon or when there
    is nothing to build. Paces are households a week; `pace_needed` is None once the last working
    day of the works is over. `binding_state` is where the work waits longest; None when done.
    """

    unit: str
    p_construction: float
    p_acceptance: float
    expected: date | None
    low: date | None
    high: date | None
    pace_needed: float | None
    pace_shown: float
    binding_state: State | None


@dataclass(frozen=True, slots=True)
class _Step:
    """What is known of a step of one unit: its level, gamma, and how its weeks vary."""

    level: float
    doubt: float
    starts: bool
    stuck: bool


@dataclass(frozen=True, slots=True)
class _Last:
    """Shares of the last households that were done in a week: of few, of more, and of those of whom
    none was done the week before."""

    few: tuple[float, ...]
    more: tuple[float, ...]
    stuck: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _County:
    """What all units together show of each step."""

    rate: tuple[float, ...]
    spread: tuple[float, ...]
    weeks: tuple[tuple[float, ...], ...]
    last: tuple["_Last", ...]
    rejected: float


def outlooks(work: Sequence[UnitWork], plan: Plan, as_of: date) -> dict[str, Outlook]:
    """The forecast of each unit; `work` should hold all units of the county, which learn from it.

    The same question gives the same answer: the draws are seeded by unit and day.
    """
    county = _county(work, plan)
    weeks = {day: _weeks_after(day, plan) for day in {unit.seen_on for unit in work}}
    return {unit.unit: _outlook(unit, county, weeks[unit.seen_on], plan, as_of) for unit in work}


def _weeks_after(day: date, plan: Plan) -> tuple[tuple[float, float], ...]:
    """For each week to come its working days as a share of five, some work going on in holidays,
    and the share that it is of what is left of the acceptance phase."""
    phase = plan.phase("acceptance")
    left = (phase.end - (phase.start or plan.phase("works").end)).days + 1
    found = []
    for week in range(HORIZON_WEEKS):
        days = [day + timedelta(days=7 * week + n) for n in range(1, 8)]
        inside = sum(phase.end - timedelta(days=left) < each <= phase.end for each in days)
        found.append((max(0.2, sum(map(is_workday, days)) / 5), inside / left if left else 0.0))
        left -= inside
    return tuple(found)


# What the weeks before tell -------------------------------------------------------------------


def _series(unit: UnitWork, step: int) -> list[tuple[int, int]]:
    """Done and within reach in each week since the step began, the last week first."""
    done = unit.done[step]
    if not done:
        return []
    came = unit.done[step - 1] if step else {}
    waiting = unit.waiting[step]
    found = []
    for week in range(max(done) + 1):
        waiting += done.get(week, 0) - came.get(week, 0)
        found.append((done.get(week, 0), max(waiting, 0) + came.get(week, 0)))
    return found[:_WINDOW_WEEKS]


def _paced(unit: UnitWork, step: int) -> list[tuple[int, int, float]]:
    """Week, households done, and the share of the week that they tell of.

    A week that ended because nobody was left to do tells of its first half only.
    """
    return [
        (week, n, _CUT_SHORT if n >= 0.8 * reach else 1.0)
        for week, (n, reach) in enumerate(_series(unit, step))
        if reach > 0
    ]


def _weight(week: int) -> float:
    return float(0.5 ** (week / _HALF_LIFE_WEEKS))


def _size(unit: UnitWork) -> float:
    """What a unit's pace grows with: small units are done in few visits."""
    return float(max(unit.households, 1) ** _SIZE_POWER)


def _county(work: Sequence[UnitWork], plan: Plan) -> _County:
    works = plan.phase("works")
    length = (works.end - (works.start or plan.effective_from)).days / 7
    by_plan = 2 / max(length, 1.0)
    typical = max(sum(unit.households for unit in work) / len(work), 1.0) if work else 1.0
    rates, spreads, pools, lasts = [], [], [], []
    for step in range(len(STEPS)):
        exposed = _PLAN_WEIGHT * typical**_SIZE_POWER
        shown = by_plan * _PLAN_WEIGHT * typical
        pool: list[float] = []
        few, more, stuck = [*_LAST_HOUSEHOLDS], [*_LAST_HOUSEHOLDS], [*_STUCK]
        for unit in work:
            weeks = _paced(unit, step)
            size = _size(unit)
            for week, n, share in weeks:
                shown += _weight(week) * n
                exposed += _weight(week) * size * share
            if not weeks:
                continue
            mean = sum(n for _, n, _ in weeks) / len(weeks)
            whole = [n for _, n, share in weeks if share == 1.0]
            for place, n in enumerate(whole):
                near = whole[max(0, place - 2) : place + 3]
                if sum(near) >= 4 * len(near) and len(near) >= 3:
                    pool.append(n * len(near) / sum(near))
            series = _series(unit, step)
            for (n, reach), (before, reached) in zip(series, [*series[1:], (0, 0)], strict=True):
                if 0 < reach < max(mean / 2, 1.5):
                    alike = stuck if reached and not before else few if reach <= _FEW else more
                    alike.append(n / reach)
        rates.append(shown / exposed)
        pools.append(tuple(pool) if len(pool) >= 12 else _ORDINARY_WEEKS)
        spreads.append(sum((r - 1) ** 2 for r in pools[-1]) / len(pools[-1]))
        lasts.append(_Last(tuple(few), tuple(more), tuple(stuck)))
    refused = _REJECTED[0] + sum(unit.rejected for unit in work)
    inspected = _REJECTED[1] + sum(
        unit.rejected + sum(unit.done[_ACCEPT].values()) for unit in work
    )
    return _County(
        tuple(rates), tuple(spreads), tuple(pools), tuple(lasts), min(0.5, refused / inspected)
    )


# Weeks around their mean where a county has none to show yet, and the share of the last households
# that were reached in a week.
_ORDINARY_WEEKS = (0.0, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.8)
_LAST_HOUSEHOLDS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0, 1.0, 1.0)
_STUCK = (0.0, 0.0, 0.0, 0.5, 1.0)


def _step(unit: UnitWork, county: _County, step: int) -> _Step:
    """The gamma posterior of the unit's weekly level."""
    prior = county.rate[step] * _size(unit)
    weeks = _paced(unit, step)
    weight = sum(_weight(week) * share for week, _, share in weeks)
    shown = sum(_weight(week) * n for week, n, _ in weeks)
    mean = shown / weight if weight else prior
    # Weeks vary more than chance alone: they tell less than their number of households.
    excess = 1 + _LINGERING * county.spread[step] * (mean + prior) / 2
    pseudo = 1 / _BETWEEN_UNITS**2
    shape = pseudo + shown / excess
    rate = pseudo / prior + weight / excess
    return _Step(
        shape / rate,
        (log(1 + 1 / shape) + (_CHANGE**2 if weeks else 0.0)) ** 0.5,
        not weeks,
        bool(weeks) and weeks[0][:2] == (0, 0),
    )


# The runs ---------------------------------------------------------------------------------------


def _outlook(
    unit: UnitWork, county: _County, weeks: Sequence[tuple[float, float]], plan: Plan, as_of: date
) -> Outlook:
    works_end, acceptance_end = plan.phase("works").end, plan.phase("acceptance").end
    to_build = sum(unit.waiting[:_ACCEPT])
    to_accept = to_build + unit.waiting[_ACCEPT] + unit.redoing
    left = workdays_left(as_of, last_workday(works_end))
    needed = None if left == 0 and to_build else to_build / (left / 5) if to_build else 0.0
    shown = sum(unit.done[_COMPLETE].get(week, 0) for week in range(SHOWN_WEEKS)) / SHOWN_WEEKS
    steps = [_step(unit, county, step) for step in range(len(STEPS))]
    random, seen = Random(f"{unit.unit} {as_of}"), unit.seen_on
    if not to_accept:
        ends = [(0.0, 0.0)]
    else:
        ends = [
            _run(unit, steps, county, weeks, (acceptance_end - seen).days, random)
            for _ in range(RUNS)
        ]
    built_by = sum(built < (works_end - seen).days for built, _ in ends) / len(ends)
    accepted_by = sum(done < (acceptance_end - seen).days for _, done in ends) / len(ends)
    if to_build:
        built = sorted(built for built, _ in ends)
        low, expected, high = (_day(built, share, seen) for share in (0.1, 0.5, 0.9))
    else:
        low = expected = high = unit.finished_on
        built_by = float(expected is None or expected <= works_end)
    return Outlook(
        unit.unit,
        p_construction=round(built_by, 3),
        p_acceptance=round(accepted_by, 3),
        expected=expected,
        low=low,
        high=high,
        pace_needed=None if needed is None else round(needed, 1),
        pace_shown=round(shown, 1),
        binding_state=_binding(unit, steps),
    )


def _day(days: Sequence[float], share: float, seen_on: date) -> date | None:
    found = days[min(int(share * len(days)), len(days) - 1)]
    return None if found >= _NEVER else seen_on + timedelta(days=int(found) + 1)


def _binding(unit: UnitWork, steps: Sequence[_Step]) -> State | None:
    """The state that the work ahead of it takes longest to pass, the works before acceptance."""
    ahead, longest, found = 0, 0.0, None
    for step, state in enumerate(WAITS_IN[:_ACCEPT]):
        ahead += unit.waiting[step]
        wait = ahead / steps[step].level
        if ahead and wait >= longest:
            longest, found = wait, state
    if found is None and unit.waiting[_ACCEPT] + unit.redoing:
        return State.ACCEPTANCE
    return found


def _run(
    unit: UnitWork,
    steps: Sequence[_Step],
    county: _County,
    weeks: Sequence[tuple[float, float]],
    accepting_days: int,
    random: Random,
) -> tuple[float, float]:
    """Days until the last household is completed and accepted in one drawn future.

    Acceptance is followed until its phase ends in so many days; later counts as never.
    """
    draw = random.random
    accept_within = -(-accepting_days // 7)
    levels = [step.level * exp(random.gauss(0.0, step.doubt)) for step in steps]
    starts = [random.expovariate(1 / _STARTING_WEEKS) if s.starts else 0.0 for s in steps]
    spots = [int(draw() * len(pool)) for pool in county.weeks]
    stuck = [step.stuck for step in steps]
    waiting = list(unit.waiting)
    redoing, drift = unit.redoing, 1.0
    built = -1.0 if sum(waiting[:_ACCEPT]) else 0.0
    for week, (open_days, accepting) in enumerate(weeks):
        followed = week < accept_within
        if built >= 0 and not followed:
            return built, _NEVER
        drift *= exp(random.gauss(0.0, _DRIFT))
        fresh = 0
        for step in _ALL if followed else _WORKS:
            # What a step hands on within a week, the next one finds for half of it.
            soon = int(fresh / 2 + draw()) if fresh else 0
            there, later, fresh = waiting[step] + soon, fresh - soon, 0
            if not there:
                waiting[step], stuck[step] = later, False
                continue
            pool = county.weeks[step]
            spots[step] = (spots[step] + 1) % len(pool) if draw() < 0.5 else int(draw() * len(pool))
            able = wanted = levels[step] * drift * open_days * pool[spots[step]]
            if week < starts[step]:
                able = wanted = able * max(0.0, week + 1 - starts[step])
            if able > there:
                last = county.last[step]
                alike = last.stuck if stuck[step] else last.few if there <= _FEW else last.more
                wanted = there * alike[int(draw() * len(alike))]
            if step == _ACCEPT and accepting:
                # The plan accepts within the phase whatever is there.
                wanted = max(wanted, min(there, unit.households * accepting), there * accepting)
            n = min(there, int(wanted + draw()))
            waiting[step], stuck[step] = there - n + later, not n
            if step == _ACCEPT:
                redoing += int(n * county.rejected + draw())
                continue
            fresh = n
            if step == _COMPLETE and built < 0 and not sum(waiting[:_ACCEPT]):
                built = 7 * (week + (there / able if able > there else draw()))
        waiting[_ACCEPT] += fresh if not followed else 0
        if redoing:
            again = int(redoing * _PUT_RIGHT + draw())
            redoing -= again
            waiting[_ACCEPT] += again
        if built >= 0 and not redoing and not waiting[_ACCEPT]:
            within = 7 * (week + draw())
            return built, min(within, accepting_days - 1.0) if accepting else within
    return (built if built >= 0 else _NEVER), _NEVER
