"""Made-up seasons of a county: who was confirmed, selected, built and accepted on which day.

Households, villages, crews and inspectors act day by day; nothing here draws a weekly throughput.
What the forecast has to cope with is in it on purpose: crews of uneven speed that move from unit to
unit and stay away, weeks of rain, devices that don't come, villages whose grid is late, papers
entered once a week and in a burst at the end of the month, late starters, units that stall, a push
before the deadline, households that are never at home, works rejected and done again, households
that leave and others that take their place, late registration. The year is 2023, its holidays too.

The forecast (`workflow/forecast.py`) was written after this file and shares nothing with it.
`python benchmarks/seasons.py --seed 1` prints one season's units.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from random import Random

from msgspec import Struct

FIRST_DAY = date(2023, 4, 10)
LAST_DAY = date(2024, 2, 29)
WORKS_END = date(2023, 9, 30)
ACCEPTANCE_END = date(2023, 10, 14)
SIZES = (
    *(1, 1, 1, 2, 2, 4, 6, 8, 10, 14, 16, 18),
    *(20, 24, 30, 40, 55, 75, 80, 120, 150, 185, 210, 300),
    *(340, 480, 680, 1200, 2000),
)
UNITS = 20
HOLIDAYS = (
    (date(2023, 4, 29), date(2023, 5, 3)),
    (date(2023, 6, 22), date(2023, 6, 24)),
    (date(2023, 9, 29), date(2023, 10, 6)),
    (date(2023, 12, 30), date(2024, 1, 1)),
    (date(2024, 2, 8), date(2024, 2, 20)),
)


class Did(StrEnum):
    """What happened to a household, by the names that the journal uses."""

    REGISTERED = "registered"
    CONFIRM = "confirm"
    SELECT = "select"
    COMPLETE = "complete"
    REJECT = "reject"
    ACCEPT = "accept"
    CLOSE = "close"


class Step(Struct, frozen=True):
    """What happened, on which day, and the day on which it was entered."""

    did: Did
    on: date
    entered_on: date


@dataclass(slots=True, eq=False)
class Household:
    """A household and its way through the season."""

    village: "Village"
    at_home_from: date
    steps: list[Step] = field(default_factory=list)
    redone: bool = False

    def day_of(self, did: Did) -> date | None:
        """The first day on which this happened."""
        return next((step.on for step in self.steps if step.did is did), None)


@dataclass(slots=True, eq=False)
class Village:
    """A village: when its network opens, who can be built in it and who waits for inspection."""

    gate_on: date
    to_build: list[Household] = field(default_factory=list)
    to_inspect: list[Household] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Unit:
    """A responsible unit, its figure in the annex, and how its people work."""

    code: str
    task: int
    villages: list[Village]
    office_day: int
    entering_lag: float
    stalled: tuple[date, date] | None
    households: list[Household] = field(default_factory=list)

    @property
    def finished_on(self) -> date | None:
        """The day of the last household's first completion; None if never within the season."""
        return self._last(Did.COMPLETE)

    @property
    def accepted_on(self) -> date | None:
        """The day of the last household's acceptance; None if never within the season."""
        return self._last(Did.ACCEPT)

    def _last(self, did: Did) -> date | None:
        last = FIRST_DAY
        for household in self.households:
            if household.day_of(Did.CLOSE):
                continue
            on = household.day_of(did)
            if on is None:
                return None
            last = max(last, on)
        return last


@dataclass(slots=True, eq=False)
class Crew:
    """A crew: households a day at its best, where it is, and until when it stays away."""

    speed: float
    reliable: float
    from_day: date
    unit: Unit | None = None
    village: Village | None = None
    done: float = 0.0
    away_until: date = FIRST_DAY


@dataclass(slots=True, eq=False)
class Contractor:
    """A contractor and its crews, which serve some units, some of them rather than others."""

    units: list[Unit]
    favour: list[float]
    crews: list[Crew]
    faulty: float
    dry: list[tuple[date, date]]


class Season(Struct, frozen=True):
    """One county's season."""

    seed: int
    units: tuple[Unit, ...]


def simulate(seed: int) -> Season:
    """The season of this seed."""
    return _County(Random(f"season {seed}")).play(seed)


def days() -> Iterator[date]:
    """Every day of the season."""
    day = FIRST_DAY
    while day <= LAST_DAY:
        yield day
        day += timedelta(days=1)


def is_holiday(day: date) -> bool:
    """Whether the day lies in one of the year's long holidays."""
    return any(first <= day <= last for first, last in HOLIDAYS)


def is_office_day(day: date) -> bool:
    """Whether offices are open, but for the make-up days, which nobody here keeps."""
    return day.weekday() < 5 and not is_holiday(day)


def is_month_end(day: date) -> bool:
    """Whether the month's figures are due within four days."""
    return (day + timedelta(days=4)).month != day.month


class _County:
    """The county's people in one season; everything random comes from one generator."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rain = self._rain_weeks()
        self._agenda: dict[date, list[tuple[Household, Did]]] = {}
        self._unit_of: dict[Village, Unit] = {}
        self._contractor_of: dict[Unit, Contractor] = {}

    def play(self, seed: int) -> Season:
        random = self._random
        # Some counties had a year in hand, others began late and never had the crews.
        self._ease = random.lognormvariate(0.12, 0.16)
        sizes = sorted(random.sample(SIZES, UNITS), reverse=True)
        units = [self._unit(f"U{n:02d}", size) for n, size in enumerate(sizes, start=1)]
        contractors = self._contractors(units)
        for unit in units:
            self._office(unit)
        inspectors = self._inspectors(units)
        for day in days():
            for household, did in self._agenda.pop(day, ()):
                self._happens(household, did, day)
            for contractor in contractors:
                self._build(contractor, day)
            self._inspect(units, inspectors, day)
        return Season(seed, tuple(units))

    # Who and what there is ---------------------------------------------------------------

    def _rain_weeks(self) -> set[tuple[int, int]]:
        wet = set()
        for day in days():
            week = day.isocalendar()[:2]
            chance = 0.3 if day.month in (7, 8) else 0.1 if day.month in (6, 9) else 0.03
            if day.weekday() == 0 and self._random.random() < chance:
                wet.add(week)
        return wet

    def _unit(self, code: str, size: int) -> Unit:
        random = self._random
        number = max(1, min(40, round(size / random.uniform(12, 45))))
        if size > 800:  # a heat network in town: few places, one main
            number = random.randint(3, 9)
        grid = date(2023, 5, 10) + timedelta(days=int(random.gammavariate(2.0, 12)))
        villages = []
        for _ in range(number):
            late = random.expovariate(1 / 45) if random.random() < 0.12 else random.uniform(0, 35)
            villages.append(Village(min(grid + timedelta(days=int(late)), date(2023, 11, 20))))
        stalled = None
        if random.random() < 0.1:
            begins = date(2023, 6, 20) + timedelta(days=random.randrange(90))
            stalled = (begins, begins + timedelta(days=random.randint(18, 50)))
        unit = Unit(
            code,
            size,
            villages,
            office_day=random.randrange(5),
            entering_lag=random.choice((0.0, 0.5, 1.0, 3.0)),
            stalled=stalled,
        )
        for village in villages:
            self._unit_of[village] = unit
        return unit

    def _contractors(self, units: Sequence[Unit]) -> list[Contractor]:
        random = self._random
        pool = list(units)
        random.shuffle(pool)
        contractors = []
        while pool:
            mine = [pool.pop() for _ in range(min(len(pool), random.choice((1, 2, 2, 3, 4))))]
            starts = date(2023, 5, 5) + timedelta(days=int(random.gammavariate(2.0, 13)))
            if random.random() < 0.15:  # a late starter: the tender failed once
                starts += timedelta(days=random.randint(20, 50))
            contractor = Contractor(
                mine,
                favour=[random.lognormvariate(0, 0.7) for _ in mine],
                crews=[],
                faulty=random.uniform(0.005, 0.08),
                dry=self._dry_spells(),
            )
            self._hire(contractor, starts)
            contractors.append(contractor)
            for unit in mine:
                self._contractor_of[unit] = contractor
        return contractors

    def _hire(self, contractor: Contractor, starts: date) -> None:
        """Crews for the work at hand, as the contractor guessed: often too few."""
        random = self._random
        work = sum(unit.task for unit in contractor.units)
        # What a crew gets done: about 0.55 of its best, over the days that were planned with.
        planned_days = max(30, (date(2023, 9, 5) - starts).days)
        guess = self._ease * random.lognormvariate(0.22, 0.38)
        needed = work * guess / (planned_days * 0.55)
        while needed > 0 or not contractor.crews:
            speed = random.lognormvariate(-0.35, 0.55)
            if work > 800:
                speed *= 2.2  # whole stairways at a time
            late = timedelta(days=int(random.expovariate(1 / 14)))
            contractor.crews.append(Crew(speed, random.uniform(0.75, 0.99), starts + late))
            needed -= speed

    def _dry_spells(self) -> list[tuple[date, date]]:
        """When devices don't come."""
        random = self._random
        spells = []
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            begins = date(2023, 5, 20) + timedelta(days=random.randrange(130))
            spells.append((begins, begins + timedelta(days=random.randint(5, 20))))
        return spells

    # The office: confirm and select ------------------------------------------------------

    def _office(self, unit: Unit) -> None:
        """Each household's registration, confirmation and selection, put on the agenda."""
        random = self._random
        began = date(2023, 4, 14) + timedelta(days=int(random.gammavariate(2.0, 9)))
        if random.random() < 0.12:
            began += timedelta(days=random.randint(20, 60))
        tender = date(2023, 5, 8) + timedelta(days=int(random.gammavariate(2.0, 9)))
        between = random.uniform(0.5, 3.5) * min(1.0, 20 / len(unit.villages))
        late_share = random.choice((0, 0, 0, 0, 0.1, 0.2)) if unit.task >= 8 else 0
        for number, village in enumerate(unit.villages):
            share = unit.task // len(unit.villages) + (number < unit.task % len(unit.villages))
            meeting = began + timedelta(days=int(number * between + random.expovariate(1 / 3)))
            chosen = max(meeting + timedelta(days=random.randint(12, 30)), tender)
            for _ in range(share):
                registered = date(2023, 4, 10) + timedelta(days=random.randrange(12))
                if random.random() < late_share:
                    registered = date(2023, 6, 1) + timedelta(days=random.randrange(45))
                self._household(unit, village, registered, meeting, chosen)

    def _household(
        self, unit: Unit, village: Village, registered: date, meeting: date, chosen: date
    ) -> None:
        random = self._random
        household = Household(village, FIRST_DAY)
        unit.households.append(household)
        self._put(registered, household, Did.REGISTERED)
        hesitates = random.expovariate(1 / 16) if random.random() < 0.14 else 0.0
        confirmed = max(meeting, registered) + timedelta(
            days=random.randint(8, 14) + int(hesitates)
        )
        confirmed = self._paper(unit, confirmed)
        selected = max(confirmed + timedelta(days=1), chosen)
        selected = self._paper(unit, selected + timedelta(days=int(random.expovariate(1 / 4))))
        if random.random() < 0.03:  # works away, comes home some time
            away = timedelta(days=int(random.expovariate(1 / 22)))
            household.at_home_from = selected + away
        self._put(confirmed, household, Did.CONFIRM)
        self._put(selected, household, Did.SELECT)
        if random.random() < 0.012:
            leaves = registered + timedelta(days=random.randint(20, 150))
            self._put(leaves, household, Did.CLOSE)
            if random.random() < 0.5 and leaves < date(2023, 8, 20):
                again = leaves + timedelta(days=random.randint(5, 25))
                self._household(unit, village, again, again, again)

    def _paper(self, unit: Unit, day: date) -> date:
        """The day on which the office puts its stamp: its weekday, sooner at the month's end."""
        while not is_office_day(day) or not (
            day.weekday() == unit.office_day or is_month_end(day) or self._random.random() < 0.15
        ):
            day += timedelta(days=1)
        return day

    def _put(self, day: date, household: Household, did: Did) -> None:
        self._agenda.setdefault(day, []).append((household, did))

    def _happens(self, household: Household, did: Did, day: date) -> None:
        if any(step.did is Did.CLOSE for step in household.steps):
            return
        if did is Did.CLOSE and household.day_of(Did.COMPLETE):
            return
        unit = self._unit_of[household.village]
        lag = self._random.expovariate(1 / unit.entering_lag) if unit.entering_lag else 0.0
        household.steps.append(Step(did, day, day + timedelta(days=min(int(lag), 15))))
        if did is Did.SELECT:
            household.village.to_build.append(household)
        elif did is Did.COMPLETE:
            household.village.to_inspect.append(household)
        elif did is Did.CLOSE and household in household.village.to_build:
            household.village.to_build.remove(household)

    # The works ---------------------------------------------------------------------------

    def _build(self, contractor: Contractor, day: date) -> None:
        random = self._random
        if any(first <= day <= last for first, last in contractor.dry):
            return
        if day in (date(2023, 8, 25), date(2023, 9, 11)):
            self._push(contractor, day)
        pace = self._pace_of(day)
        for crew in contractor.crews:
            if day < crew.from_day or day < crew.away_until:
                continue
            if random.random() > crew.reliable:
                crew.away_until = day + timedelta(days=int(random.expovariate(1 / 4)) + 1)
                continue
            if crew.village is None or not _workable(crew.village, day) or random.random() < 0.03:
                self._send(contractor, crew, day)
            if crew.village is None:
                continue
            crew.done += crew.speed * pace * random.uniform(0.4, 1.6)
            while crew.done >= 1:
                crew.done -= 1
                if not self._built(crew, crew.village, day):
                    crew.done = 0.0

    def _pace_of(self, day: date) -> float:
        pace = 0.15 if day.isocalendar()[:2] in self._rain else 1.0
        if is_holiday(day):
            pace *= 0.12
        elif day.weekday() == 6:
            pace *= 0.5
        if is_month_end(day):
            pace *= 1.5
        elif day.day <= 3:
            pace *= 0.6
        if day > date(2023, 11, 5):
            pace *= 0.5  # frost
        return pace

    def _push(self, contractor: Contractor, day: date) -> None:
        """Before the deadline some who are behind bring in more crews."""
        left = sum(len(v.to_build) for unit in contractor.units for v in unit.villages)
        if left < 3 or self._random.random() < 0.55:
            return
        for crew in list(contractor.crews):
            if self._random.random() < 0.45:
                more = timedelta(days=self._random.randint(1, 10))
                contractor.crews.append(Crew(crew.speed * 0.9, 0.9, day + more))

    def _send(self, contractor: Contractor, crew: Crew, day: date) -> None:
        """Where the crew goes next: on in its unit if it can, else where it is wanted most."""
        random = self._random
        choices: list[Village] = []
        weights: list[float] = []
        for unit, favour in zip(contractor.units, contractor.favour, strict=True):
            if unit.stalled and unit.stalled[0] <= day <= unit.stalled[1]:
                continue
            stay = 6.0 if crew.unit is unit else 1.0
            for village in unit.villages:
                if _workable(village, day):
                    choices.append(village)
                    weights.append(favour * stay * (len(village.to_build) + 1) ** 0.5)
        if not choices:
            crew.village = None
            return
        village = random.choices(choices, weights)[0]
        if village is not crew.village and crew.village is not None:
            crew.away_until = day + timedelta(days=random.choice((0, 0, 1, 2)))
        crew.village = village
        crew.unit = self._unit_of[village]

    def _built(self, crew: Crew, village: Village, day: date) -> bool:
        """One household is built and will be reported; False when nobody is there to build for."""
        household = next((h for h in village.to_build if h.at_home_from <= day), None)
        if household is None:
            return False
        village.to_build.remove(household)
        random, unit = self._random, self._unit_of[village]
        ready = max(day + timedelta(days=int(random.expovariate(1 / 2.5))), village.gate_on)
        reported = ready + timedelta(days=random.choice((0, 0, 1, 2, 4)))
        if random.random() < 0.6 or is_month_end(reported):
            complete = reported
        else:
            complete = self._paper(unit, reported)
        self._put(max(complete, day + timedelta(days=1)), household, Did.COMPLETE)
        return True

    # The acceptance ----------------------------------------------------------------------

    def _inspectors(self, units: Sequence[Unit]) -> list[float]:
        """What each team inspects in a day."""
        random = self._random
        work = sum(unit.task for unit in units)
        needed = work / 34 * random.lognormvariate(0.25, 0.3)
        teams: list[float] = []
        while needed > 0 or len(teams) < 2:
            teams.append(random.uniform(8, 30))
            needed -= teams[-1]
        return teams

    def _inspect(self, units: Sequence[Unit], teams: Sequence[float], day: date) -> None:
        random = self._random
        if day < date(2023, 7, 10):
            return
        busy = 0.25 if day < date(2023, 8, 20) else 0.85
        if date(2023, 9, 25) <= day <= date(2023, 10, 14):
            busy = 0.95  # the last days: holidays too
        elif not is_office_day(day):
            busy = 0.05
        for team in teams:
            if random.random() > busy:
                continue
            waiting = [v for unit in units for v in unit.villages if v.to_inspect]
            if not waiting:
                return
            village = random.choices(waiting, [self._wanted(v, day) for v in waiting])[0]
            for household in village.to_inspect[: max(1, int(team * random.uniform(0.6, 1.2)))]:
                village.to_inspect.remove(household)
                self._judge(household, day)

    def _wanted(self, village: Village, day: date) -> float:
        """A team goes where many wait, or where somebody has waited for long."""
        waited = (day - village.to_inspect[0].steps[-1].on).days
        return len(village.to_inspect) + 0.4 * waited + (25.0 if waited > 20 else 0.0)

    def _judge(self, household: Household, day: date) -> None:
        unit = self._unit_of[household.village]
        faulty = self._contractor_of[unit].faulty
        if self._random.random() < (faulty / 3 if household.redone else faulty):
            household.redone = True
            self._happens(household, Did.REJECT, day)
            again = day + timedelta(days=self._random.randint(3, 16))
            self._put(again, household, Did.COMPLETE)
        else:
            self._happens(household, Did.ACCEPT, day)


def _workable(village: Village, day: date) -> bool:
    """Whether a crew finds work: somebody at home, and the network there or coming soon."""
    soon = village.gate_on <= day + timedelta(days=6)
    return soon and any(household.at_home_from <= day for household in village.to_build)


def main(arguments: Sequence[str]) -> int:
    """Prints the units of one season."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    season = simulate(parser.parse_args(arguments).seed)
    lines = (
        f"{unit.code} {unit.task:5} {unit.finished_on or 'never'} {unit.accepted_on or 'never'}"
        for unit in season.units
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
