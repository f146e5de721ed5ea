"""The forecast against made-up seasons: what it said on a day, and how the season ended.

`python benchmarks/forecast.py` prints the tables of docs/forecast.md; the seeds are fixed. The
simulator (`seasons.py`) was written first. What the forecast could not know (its constants, and the
probability below which a unit counts as one that will miss) was chosen on the seeds of `--tuning`;
what is reported comes from others.

On each of `CUTS` the forecast sees what had been entered by then; units already finished count only
among those that were not warned of. The straight line beside it extrapolates the unit's mean pace
since its first household, and says yes or no; so does the one through the last four weeks.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta

import seasons
from msgspec import Struct
from seasons import Did

from states.plan import Plan
from states.vocabulary import State
from workflow import config, forecast
from workflow.forecast import Household, Outlook, UnitWork

TUNING, REPORTED = range(1000, 1040), range(2000, 2060)
CUTS = (
    *(date(2023, 6, 15), date(2023, 7, 15), date(2023, 8, 15)),
    *(date(2023, 9, 1), date(2023, 9, 16)),
)
TWO_WEEKS_AHEAD = seasons.WORKS_END - timedelta(days=14)
# A unit is said to miss when it is less likely than this to finish; chosen on the tuning seeds.
WARN_BELOW = 0.45
LARGE = 20
AFTER = {
    Did.REGISTERED: State.HOUSEHOLD_CONFIRMATION,
    Did.CONFIRM: State.EQUIPMENT_SELECTION,
    Did.SELECT: State.CONSTRUCTION,
    Did.COMPLETE: State.ACCEPTANCE,
    Did.REJECT: State.CONSTRUCTION,
    Did.ACCEPT: State.STABLE_SEASON,
}
DID = (Did.CONFIRM, Did.SELECT, Did.COMPLETE, Did.ACCEPT)


class Case(Struct, frozen=True):
    """What was said of one unit on one day, and what came of it; None is never within the year."""

    seed: int
    cut: date
    work: UnitWork
    said: Outlook
    line: date | None
    recent: date | None
    finished_on: date | None
    accepted_on: date | None

    @property
    def made(self) -> bool:
        """Whether the works were finished in time."""
        return _by(self.finished_on, seasons.WORKS_END)

    @property
    def covered(self) -> bool:
        """Whether the day of the finish lies in the 80 % interval."""
        said = self.said
        on = self.finished_on or seasons.LAST_DAY + timedelta(days=1)
        return said.low is not None and said.low <= on and (said.high is None or on <= said.high)


def _by(day: date | None, end: date) -> bool:
    return day is not None and day <= end


def unit_work(unit: seasons.Unit, cut: date) -> UnitWork:
    """The unit as its ledger showed it on a day: what had been entered by then."""
    known = (
        [step for step in household.steps if step.entered_on <= cut]
        for household in unit.households
    )
    households = [_household(steps) for steps in known if steps]
    return forecast.unit_work(unit.code, unit.task, households, cut, cut)


def _household(steps: Sequence[seasons.Step]) -> Household:
    first: dict[Did, seasons.Step] = {}
    for step in steps:
        first.setdefault(step.did, step)
    complete = first.get(Did.COMPLETE)
    return Household(
        State.CLOSED if Did.CLOSE in first else AFTER[steps[-1].did],
        tuple(first[did].on if did in first else None for did in DID),
        redone=Did.REJECT in first,
        planned=True,
        entered_after=(complete.entered_on - complete.on).days if complete else None,
    )


def straight_line(unit: UnitWork, cut: date, weeks: int | None = None) -> date | None:
    """When the unit is through at its mean pace, since its first household or of late."""
    done = unit.done[2]
    if not done:
        return None
    length = max(done) + 1 if weeks is None else min(weeks, max(done) + 1)
    pace = sum(n for week, n in done.items() if week < length) / (7 * length)
    left = unit.to_build
    if not pace or left / pace > 3000:
        return None
    return cut + timedelta(days=int(left / pace) + 1)


def cases_of(seed: int) -> list[Case]:
    """Every unit of one season on each of the days."""
    season, plan = seasons.simulate(seed), config.load_plan("wutai-2023")
    return [case for cut in CUTS for case in _on(season, plan, cut)]


def _on(season: seasons.Season, plan: Plan, cut: date) -> Iterator[Case]:
    work = [unit_work(unit, cut) for unit in season.units]
    said = forecast.outlooks(work, plan, cut)
    for unit, seen in zip(season.units, work, strict=True):
        yield Case(
            season.seed,
            cut,
            seen,
            said[unit.code],
            straight_line(seen, cut),
            straight_line(seen, cut, 4),
            unit.finished_on,
            unit.accepted_on,
        )


def coverage(cases: Sequence[Case]) -> float:
    """The share of 80 % intervals that hold the day of the finish."""
    return sum(case.covered for case in cases) / len(cases)


def brier(cases: Sequence[Case]) -> tuple[float, float, float]:
    """Mean squared error of the probability: forecast, straight line, line of the last weeks."""
    number, end = len(cases), seasons.WORKS_END
    return (
        sum((case.said.p_construction - case.made) ** 2 for case in cases) / number,
        sum(_by(case.line, end) != case.made for case in cases) / number,
        sum(_by(case.recent, end) != case.made for case in cases) / number,
    )


def brier_accepted(cases: Sequence[Case]) -> float:
    """Mean squared error of the probability of acceptance in time."""
    end = seasons.ACCEPTANCE_END
    return sum((c.said.p_acceptance - _by(c.accepted_on, end)) ** 2 for c in cases) / len(cases)


class Warnings(Struct, frozen=True):
    """Two weeks ahead: how many of those that miss were named, and how many wrongly.

    `making` are units unfinished that day which make it, `through` those finished before.
    """

    missing: int
    named: int
    making: int
    through: int
    wrongly: int

    @property
    def recall(self) -> float:
        """Named, of those that miss."""
        return self.named / self.missing

    @property
    def false_alarms(self) -> float:
        """Named, of all that make it."""
        return self.wrongly / (self.making + self.through)

    @property
    def false_alarms_of_open(self) -> float:
        """Named, of those that make it and were not finished that day."""
        return self.wrongly / self.making

    @property
    def wrong_share(self) -> float:
        """Those that make it, of those named."""
        return self.wrongly / max(1, self.named + self.wrongly)


def warnings(cases: Sequence[Case], below: float = WARN_BELOW) -> Warnings:
    """The warnings of two weeks ahead at this probability."""
    ahead = [case for case in cases if case.cut == TWO_WEEKS_AHEAD]
    still = [case for case in ahead if case.work.to_build]
    missing = [case for case in still if not case.made]
    making = [case for case in still if case.made]
    return Warnings(
        len(missing),
        sum(case.said.p_construction < below for case in missing),
        len(making),
        len(ahead) - len(still),
        sum(case.said.p_construction < below for case in making),
    )


def unfinished(cases: Sequence[Case]) -> list[Case]:
    """The cases of units that were not finished on the day of the forecast."""
    return [case for case in cases if case.work.to_build]


def tables(cases: Sequence[Case]) -> Iterator[str]:
    """What docs/forecast.md shows."""
    large = [case for case in cases if case.work.households >= LARGE]
    small = [case for case in cases if case.work.households < LARGE]
    for name, group in ((f"Units of {LARGE} households and more", large), ("Smaller units", small)):
        yield f"\n{name}\n"
        yield (
            "| as of | unfinished units | of them made it | 80 % interval covers | "
            "Brier: forecast | straight line | line of 4 weeks | Brier, acceptance |"
        )
        yield "|---|---:|---:|---:|---:|---:|---:|---:|"
        for cut in (*CUTS, None):
            part = [case for case in unfinished(group) if cut in (None, case.cut)]
            if not part:
                continue
            ours, line, recent = brier(part)
            made = sum(case.made for case in part) / len(part)
            yield (
                f"| {cut or '**all**'} | {len(part)} | {made:.0%} | {coverage(part):.1%} | "
                f"{ours:.3f} | {line:.3f} | {recent:.3f} | {brier_accepted(part):.3f} |"
            )
        told = warnings(group)
        if told.missing and told.making:
            yield (
                f"\nTwo weeks ahead (p < {WARN_BELOW}): {told.named} of {told.missing} units that "
                f"miss are named, recall {told.recall:.3f}. {told.wrongly} that make it are named "
                f"too: {told.false_alarms:.3f} of all that make it, {told.wrong_share:.3f} of all "
                f"that are named, {told.false_alarms_of_open:.3f} of the {told.making} that make "
                "it and were unfinished that day."
            )


AHEAD = (1, 2, 4, 6, 8)
BANDS = range(2000, 2014)


def bands_of(seed: int) -> list[tuple[int, bool | None, bool, bool]]:
    """Weeks ahead, and whether the households done lay in a unit's band (None: it is small, or
    finished), in the county's, and in the one of its units' runs added up one by one."""
    season, plan = seasons.simulate(seed), config.load_plan("wutai-2023")
    found = []
    for cut in CUTS:
        work = [unit_work(unit, cut) for unit in season.units]
        said = forecast.outlooks(work, plan, cut)
        for weeks in AHEAD:
            day = cut + timedelta(days=7 * weeks)
            done = {unit.code: _done(unit, day) for unit in season.units}
            [county] = forecast.bands(said.values(), [day])
            total = sum(done.values())
            runs = sorted(
                sum(one.futures.at(run, day) for one in said.values())
                for run in range(forecast.RUNS)
            )
            apart = runs[forecast.RUNS // 10] <= total <= runs[9 * forecast.RUNS // 10]
            inside = county.low <= total <= county.high
            for unit in season.units:
                [band] = forecast.bands([said[unit.code]], [day])
                counts = said[unit.code].to_build and unit.task >= LARGE
                # Within one household: works rejected meanwhile are done in one count only.
                within = band.low - 1 <= done[unit.code] <= band.high + 1
                found.append((weeks, within if counts else None, inside, apart))
    return found


def _done(unit: seasons.Unit, day: date) -> int:
    return sum(
        _by(household.day_of(Did.COMPLETE), day)
        for household in unit.households
        if not household.day_of(Did.CLOSE)
    )


def band_table(found: Sequence[tuple[int, bool | None, bool, bool]]) -> Iterator[str]:
    """How often the bands of `report dashboard` held what came."""
    yield "| weeks ahead | unit's band covers | county's, added | county's, run by run |"
    yield "|---:|---:|---:|---:|"
    for weeks in AHEAD:
        part = [one for one in found if one[0] == weeks]
        units = [within for _, within, _, _ in part if within is not None]
        county = sum(inside for _, _, inside, _ in part) / len(part)
        apart = sum(inside for *_, inside in part) / len(part)
        yield f"| {weeks} | {sum(units) / len(units):.0%} | {county:.0%} | {apart:.0%} |"


def main(arguments: Sequence[str]) -> int:
    """Prints the tables for the reported seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tuning", action="store_true", help="the seeds the constants are from")
    parser.add_argument("--bands", action="store_true", help="the bands of the curves instead")
    options = parser.parse_args(arguments)
    if options.bands:
        with ProcessPoolExecutor() as pool:
            bands = [one for found in pool.map(bands_of, BANDS) for one in found]
        sys.stdout.write("\n".join(band_table(bands)) + "\n")
        return 0
    seeds = TUNING if options.tuning else REPORTED
    with ProcessPoolExecutor() as pool:
        cases = [case for found in pool.map(cases_of, seeds) for case in found]
    sys.stdout.write("\n".join(tables(cases)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
