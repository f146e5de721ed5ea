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

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from math import exp, log
from random import Random

from msgspec import Struct, field
from sqlalchemy import Connection

from states.plan import Plan
from states.vocabulary import Quota, State, Trigger
from states.workdays import local_date
from workflow import cases, journal
from workflow.cases import Clocks, Position
from workflow.journal import Line

RUNS = 200
HORIZON_WEEKS = 40
# The window of `pace_shown`, in weeks.
SHOWN_WEEKS = 4
# A probability below this is taken for a miss: chosen by the back-test (docs/forecast.md).
WARN_BELOW = 0.45
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
_LATEST_ENTRY = 14  # days; what is entered later is a backlog of papers, not the usual lag
_REJECTED = (1.0, 30.0)  # rejected, of those inspected, before anything is known
_PUT_RIGHT = 0.5  # chance that rejected works are put right within a week


class Household(Struct, frozen=True):
    """What the forecast wants to know of a case on the clocks asked for.

    `first` holds the first day of each of `STEPS`; `redone` says that its works were once rejected;
    `planned` that it counts against the annex; `entered_after` how many days after its completion
    that was entered.
    """

    state: State
    first: tuple[date | None, ...]
    redone: bool
    planned: bool
    entered_after: int | None


class UnitWork(Struct, frozen=True):
    """What a unit has done and has to do.

    `waiting` counts households in each of `WAITS_IN`, without rejected ones, which are `redoing`.
    `done` counts for each of `STEPS` the first times, by the week before `seen_on`: 0 is the last
    seven days and later. `finished_on` and `accepted_on` are the last days of first completions and
    acceptances. `seen_on` is the day whose work the ledger shows: what is entered late has not been
    seen yet.
    """

    unit: str
    seen_on: date
    households: int
    waiting: tuple[int, int, int, int]
    redoing: int
    done: tuple[Mapping[int, int], ...]
    rejected: int
    finished_on: date | None
    accepted_on: date | None

    @property
    def to_build(self) -> int:
        """Households not yet completed for the first time."""
        return sum(self.waiting[:_ACCEPT])


class Futures(Struct, frozen=True):
    """What the runs of one unit came to: households past the works at the end of each week.

    `done` is how many were on `seen_on`; the weeks are those after it. A run that is over stays as
    it ended.
    """

    seen_on: date
    done: int
    runs: tuple[tuple[int, ...], ...]

    def at(self, run: int, day: date) -> int:
        """The households of a run on a day, evenly between the ends of two weeks."""
        weeks = self.runs[run] if self.runs else ()
        week, rest = divmod((day - self.seen_on).days, 7)
        if not weeks or week < 0:
            return self.done
        if week >= len(weeks):
            return weeks[-1]
        before = weeks[week - 1] if week else self.done
        return before + (weeks[week] - before) * rest // 7


class Band(Struct, frozen=True):
    """How many households of some units will be past the works on a day: median, 80 % interval."""

    on: date
    low: int
    expected: int
    high: int


class Outlook(Struct, frozen=True):
    """A unit's line of the forecast.

    `expected`, `low` and `high` are the median and the 80 % interval of the day on which its last
    household is completed: the day itself when that has been, None beyond the horizon or when there
    is nothing to build. Paces are households a week; `pace_needed` is None once the last working
    day of the works is over. `binding_state` is where the work waits longest; None when done.
    """

    unit: str
    to_build: int
    p_construction: float
    p_acceptance: float
    expected: date | None
    low: date | None
    high: date | None
    pace_needed: float | None
    pace_shown: float
    binding_state: State | None
    futures: Futures


class _Step(Struct, frozen=True):
    """What is known of a step of one unit: its weekly level, and how sure that is (the standard
    deviation of its logarithm); whether it has yet to start; whether it did nothing last week."""

    level: float
    doubt: float
    starts: bool
    stuck: bool


class _Last(Struct, frozen=True):
    """Shares of the last households that were done in a week: of few, of more, and of those of whom
    none was done the week before."""

    few: tuple[float, ...]
    more: tuple[float, ...]
    stuck: tuple[float, ...]


class _County(Struct, frozen=True):
    """What all units together show of each step."""

    rate: tuple[float, ...]
    spread: tuple[float, ...]
    weeks: tuple[tuple[float, ...], ...]
    last: tuple[_Last, ...]
    rejected: float


class Forecast(Struct, frozen=True):
    """The outlook of units on a day; from `foresee`, with every case on which it rests."""

    as_of: date
    by_unit: Mapping[str, Outlook]
    positions: Sequence[Position]


def foresee(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    today: date,
    units: Sequence[str] | None = None,
    lines: Mapping[str, Line] | None = None,
) -> Forecast:
    """The forecast for these units (None: all) on these clocks, and the county's cases.

    An `as_of` after today is looked at from today: what is to come is not known to have stood
    still. `lines` are the journal's, where the caller has them already.
    """
    if lines is None:
        lines = journal.lines(connection, clocks.known_at)
    positions = cases.positions(connection, plan, clocks, lines=lines)
    told = ((position, lines.get(position.code)) for position in positions)
    return Forecast(clocks.as_of, _told(told, plan, clocks, today, units), positions)


def look_ahead(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    today: date,
    units: Sequence[str] | None = None,
) -> Forecast:
    """The same for who shows no cases: they are read some at a time, and none is kept."""
    told = _some_at_a_time(connection, plan, clocks)
    return Forecast(clocks.as_of, _told(told, plan, clocks, today, units), ())


def _some_at_a_time(
    connection: Connection, plan: Plan, clocks: Clocks
) -> Iterator[tuple[Position, Line | None]]:
    # The past is made of the journal's lines: then all of them are there already.
    known = None if clocks.now else journal.lines(connection, clocks.known_at)
    for part in cases.parts(cases.each(connection, plan, clocks, lines=known)):
        lines = known
        if lines is None:
            lines = journal.lines(connection, None, [position.code for position in part])
        for position in part:
            yield position, lines.get(position.code)


def _told(
    told: Iterable[tuple[Position, Line | None]],
    plan: Plan,
    clocks: Clocks,
    today: date,
    units: Sequence[str] | None,
) -> dict[str, Outlook]:
    known = today if clocks.known_at is None else min(today, local_date(clocks.known_at))
    day = min(clocks.as_of, known)
    tallies = {unit.code: _Tally() for unit in plan.units}
    for position, line in told:
        # A row that the journal knows nothing of is for the audit to find.
        if line is not None and position.unit in tallies:
            tallies[position.unit].add(_household(position, line, day))
    work = [tallies[unit.code].work(unit.code, unit.task, day, known) for unit in plan.units]
    return outlooks(work, plan, clocks.as_of, units)


def _household(position: Position, line: Line, day: date) -> Household:
    first = tuple(on if on is not None and on <= day else None for on in line.first[: len(STEPS)])
    completed = first[_COMPLETE]
    heard = line.completed_heard
    return Household(
        position.state,
        first,
        redone=line.redone_on is not None and line.redone_on <= day,
        planned=position.quota is Quota.PLANNED,
        entered_after=(local_date(heard) - completed).days if heard and completed else None,
    )


class _Tally(Struct):
    """A unit's households, counted one after the other."""

    registered: int = 0
    going: int = 0
    rejected: int = 0
    redoing: int = 0
    waiting: Counter[State] = field(default_factory=Counter)
    # Whose completion was entered, and after how many days all together.
    entered: int = 0
    entered_after: int = 0
    first: tuple[Counter[date], ...] = field(
        default_factory=lambda: tuple(Counter() for _ in STEPS)
    )

    def add(self, one: Household) -> None:
        """Counts a household; a closed one leaves and opens no gap."""
        self.registered += one.planned
        if one.state is State.CLOSED:
            return
        self.going += 1
        self.rejected += one.redone
        if one.state is State.CONSTRUCTION and one.redone and one.first[_COMPLETE]:
            self.redoing += 1
        else:
            self.waiting[one.state] += 1
        if one.entered_after is not None:
            self.entered += 1
            self.entered_after += min(one.entered_after, _LATEST_ENTRY)
        for days, on in zip(self.first, one.first, strict=True):
            if on is not None:
                days[on] += 1

    def work(self, unit: str, task: int, day: date, known: date) -> UnitWork:
        """What was counted, as it stands on a day, by what was known on another."""
        gap = max(0, task - self.registered)
        waiting = [self.waiting[state] for state in WAITS_IN]
        unseen = round(self.entered_after / self.entered) if self.entered else 0
        seen_on = day - timedelta(days=max(0, unseen - (known - day).days))
        done: tuple[Counter[int], ...] = tuple(Counter() for _ in STEPS)
        for counts, days in zip(done, self.first, strict=True):
            for on, number in days.items():
                counts[max(0, (seen_on - on).days // 7)] += number
        return UnitWork(
            unit,
            seen_on,
            households=self.going + gap,
            waiting=(waiting[0] + gap, waiting[1], waiting[2], waiting[3]),
            redoing=self.redoing,
            done=done,
            rejected=self.rejected,
            finished_on=max(self.first[_COMPLETE], default=None),
            accepted_on=max(self.first[_ACCEPT], default=None),
        )


def unit_work(
    unit: str, task: int, households: Iterable[Household], day: date, known: date
) -> UnitWork:
    """What the unit's households come to on a day, by what was known on another.

    Households of the annex that nobody has registered wait for confirmation.
    """
    tally = _Tally()
    for one in households:
        tally.add(one)
    return tally.work(unit, task, day, known)


def outlooks(
    work: Sequence[UnitWork], plan: Plan, as_of: date, units: Sequence[str] | None = None
) -> dict[str, Outlook]:
    """The outlook of these units (None: all), which learn from the whole county's `work`.

    The same question gives the same answer: the draws are seeded by unit and day.
    """
    county = _county(work, plan)
    weeks = {day: _weeks_after(day, plan) for day in {unit.seen_on for unit in work}}
    return {
        unit.unit: _outlook(unit, county, weeks[unit.seen_on], plan, as_of)
        for unit in work
        if units is None or unit.unit in units
    }


def bands(outlooks: Iterable[Outlook], days: Sequence[date]) -> tuple[Band, ...]:
    """How many households of these units together will be past the works on each of the days.

    Good and bad months come to all units alike, while the runs of each are drawn apart: so the
    units' intervals are added up, as if all did well or badly together (docs/forecast.md).
    """
    futures = [outlook.futures for outlook in outlooks]
    found = []
    for day in days:
        low = expected = high = 0
        for one in futures:
            drawn = sorted(one.at(run, day) for run in range(len(one.runs))) or [one.done]
            low += drawn[int(0.1 * len(drawn))]
            expected += drawn[int(0.5 * len(drawn))]
            high += drawn[int(0.9 * len(drawn))]
        found.append(Band(day, low, expected, high))
    return tuple(found)


def _weeks_after(day: date, plan: Plan) -> tuple[tuple[float, float], ...]:
    """For each week to come its working days as a share of five, some work going on in holidays,
    and the share that it is of what is left of the acceptance phase."""
    phase = plan.phase("acceptance")
    left = (phase.end - (phase.start or plan.phase("works").end)).days + 1
    found = []
    for week in range(HORIZON_WEEKS):
        days = [day + timedelta(days=7 * week + n) for n in range(1, 8)]
        inside = sum(phase.end - timedelta(days=left) < each <= phase.end for each in days)
        found.append(
            (max(0.2, sum(map(plan.calendar.is_workday, days)) / 5), inside / left if left else 0.0)
        )
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
    unit: UnitWork,
    county: _County,
    weeks: Sequence[tuple[float, float]],
    plan: Plan,
    as_of: date,
) -> Outlook:
    works_end, acceptance_end = plan.phase("works").end, plan.phase("acceptance").end
    seen, to_build = unit.seen_on, unit.to_build
    to_accept = to_build + unit.waiting[_ACCEPT] + unit.redoing
    steps = [_step(unit, county, step) for step in range(len(STEPS))]
    random = Random(f"{unit.unit} {as_of}")
    within = (works_end - seen).days, (acceptance_end - seen).days
    runs = range(RUNS if to_accept else 0)
    paths: list[list[int]] = [[] for _ in runs]
    ends = [_run(unit, steps, county, weeks, within[1], random, path) for path in paths]
    if to_build:
        built = sorted(built for built, _ in ends)
        low, expected, high = (_day(built, share, seen) for share in (0.1, 0.5, 0.9))
        p_construction = _chance(sum(day < within[0] for day in built), within[0])
    else:
        low = expected = high = unit.finished_on
        p_construction = float(expected is None or expected <= works_end)
    if to_accept:
        p_acceptance = _chance(sum(day < within[1] for _, day in ends), within[1])
    else:
        p_acceptance = float(unit.accepted_on is None or unit.accepted_on <= acceptance_end)
    left = plan.calendar.workdays_left(as_of, plan.calendar.last_workday(works_end))
    needed = round(5 * to_build / left, 1) if left else None if to_build else 0.0
    shown = sum(unit.done[_COMPLETE].get(week, 0) for week in range(SHOWN_WEEKS)) / SHOWN_WEEKS
    return Outlook(
        unit.unit,
        to_build=to_build,
        p_construction=p_construction,
        p_acceptance=p_acceptance,
        expected=expected,
        low=low,
        high=high,
        pace_needed=needed,
        pace_shown=round(shown, 1),
        binding_state=_binding(unit, steps),
        futures=Futures(
            seen,
            unit.households - to_build - unit.redoing,
            tuple(tuple(path) for path in paths),
        ),
    )


def _chance(runs: int, days_left: int) -> float:
    """The probability that so many runs speak for; never quite 0 or 1 while days are left."""
    return round((runs + 0.5) / (RUNS + 1), 3) if days_left > 0 else 0.0


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
    past_works: list[int],
) -> tuple[float, float]:
    """Days until the last household is completed and accepted in one drawn future.

    Acceptance is followed until its phase ends in so many days; later counts as never.
    `past_works` takes in how many households are past the works at the end of each week.
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
        past_works.append(unit.households - sum(waiting[:_ACCEPT]) - redoing)
        if built >= 0 and not redoing and not waiting[_ACCEPT]:
            within = 7 * (week + draw())
            return built, min(within, accepting_days - 1.0) if accepting else within
    return (built if built >= 0 else _NEVER), _NEVER
