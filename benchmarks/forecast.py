"""The forecast against made-up seasons: what it said on a day, and how the season ended.

`python benchmarks/forecast.py` prints the tables of docs/forecast.md; the seeds are fixed. The
simulator (`seasons.py`) was written first. What the forecast could not know (its constants, and the
probability below which a unit counts as one that will miss) was chosen on the seeds of `--tuning`;
what is reported comes from others.

On each of `CUTS` the forecast sees what had been entered by then, of units not yet finished. The
straight line beside it extrapolates the unit's mean pace since its first household, and says yes or
no; so does the one through the last four weeks.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import seasons
from seasons import Did

from states.plan import Plan
from workflow import config, forecast
from workflow.forecast import STEPS, Outlook, UnitWork

TUNING, REPORTED = range(1000, 1040), range(2000, 2060)
CUTS = (
    *(date(2023, 6, 15), date(2023, 7, 15), date(2023, 8, 15)),
    *(date(2023, 9, 1), date(2023, 9, 16)),
)
TWO_WEEKS_AHEAD = seasons.WORKS_END - timedelta(days=14)
# A unit is said to miss when it is less likely than this to finish; chosen on the tuning seeds.
WARN_BELOW = 0.45
LARGE = 20
DID = (Did.CONFIRM, Did.SELECT, Did.COMPLETE, Did.ACCEPT)


@dataclass(frozen=True, slots=True)
class Case:
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
    waiting, redoing, rejected, gone, registered = [0, 0, 0, 0], 0, 0, 0, 0
    done: tuple[Counter[int], ...] = tuple(Counter() for _ in STEPS)
    finished: date | None = None
    entered = [
        (step.entered_on - step.on).days
        for household in unit.households
        for step in household.steps
        if step.entered_on <= cut
    ]
    seen_on = cut - timedelta(days=round(sum(entered) / len(entered))) if entered else cut
    for household in unit.households:
        steps = [step for step in household.steps if step.entered_on <= cut]
        if not steps:
            continue
        registered += 1
        if any(step.did is Did.CLOSE for step in steps):
            gone += 1
            continue
        first: dict[Did, date] = {}
        for step in steps:
            first.setdefault(step.did, step.on)
        for counts, did in zip(done, DID, strict=True):
            if did in first:
                counts[max(0, (seen_on - first[did]).days // 7)] += 1
        rejected += sum(step.did is Did.REJECT for step in steps)
        last = steps[-1].did
        if Did.COMPLETE not in first:
            waiting[2 if Did.SELECT in first else 1 if Did.CONFIRM in first else 0] += 1
        else:
            finished = max(finished or first[Did.COMPLETE], first[Did.COMPLETE])
            redoing += last is Did.REJECT
            waiting[3] += last is Did.COMPLETE
    unregistered = max(0, unit.task - registered)
    return UnitWork(
        unit.code,
        seen_on,
        households=registered - gone + unregistered,
        waiting=(waiting[0] + unregistered, waiting[1], waiting[2], waiting[3]),
        redoing=redoing,
        done=done,
        rejected=rejected,
        finished_on=finished,
    )


def straight_line(unit: UnitWork, cut: date, weeks: int | None = None) -> date | None:
    """When the unit is through at its mean pace, since its first household or of late."""
    done = unit.done[2]
    if not done:
        return None
    length = max(done) + 1 if weeks is None else min(weeks, max(done) + 1)
    pace = sum(n for week, n in done.items() if week < length) / (7 * length)
    left = sum(unit.waiting[:3])
    if not pace or left / pace > 3000:
        return None
    return cut + timedelta(days=int(left / pace) + 1)


def cases_of(seed: int) -> list[Case]:
    """Every unit of one season that was not finished, on each of the days."""
    season, plan = seasons.simulate(seed), config.load_plan("wutai-2023")
    return [case for cut in CUTS for case in _on(season, plan, cut)]


def _on(season: seasons.Season, plan: Plan, cut: date) -> Iterator[Case]:
    work = [unit_work(unit, cut) for unit in season.units]
    said = forecast.outlooks(work, plan, cut)
    for unit, seen in zip(season.units, work, strict=True):
        if sum(seen.waiting[:3]):
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


@dataclass(frozen=True, slots=True)
class Warnings:
    """Two weeks ahead: how many of those that miss were named, and how many wrongly."""

    missing: int
    named: int
    making: int
    wrongly: int

    @property
    def recall(self) -> float:
        """Named, of those that miss."""
        return self.named / self.missing

    @property
    def false_alarms(self) -> float:
        """Named, of those that make it."""
        return self.wrongly / self.making

    @property
    def wrong_share(self) -> float:
        """Those that make it, of those named."""
        return self.wrongly / max(1, self.named + self.wrongly)


def warnings(cases: Sequence[Case], below: float = WARN_BELOW) -> Warnings:
    """The warnings of two weeks ahead at this probability."""
    ahead = [case for case in cases if case.cut == TWO_WEEKS_AHEAD]
    missing = [case for case in ahead if not case.made]
    making = [case for case in ahead if case.made]
    return Warnings(
        len(missing),
        sum(case.said.p_construction < below for case in missing),
        len(making),
        sum(case.said.p_construction < below for case in making),
    )


def tables(cases: Sequence[Case]) -> Iterator[str]:
    """What docs/forecast.md shows."""
    large = [case for case in cases if case.work.households >= LARGE]
    small = [case for case in cases if case.work.households < LARGE]
    for name, group in ((f"Units of {LARGE} households and more", large), ("Smaller units", small)):
        yield f"\n{name}\n"
        yield "| as of | units | made it | 80 % interval covers | Brier: forecast |"
        yield "straight line | line of 4 weeks | acceptance: Brier |"
        yield "|---|---:|---:|---:|---:|---:|---:|---:|"
        for cut in (*CUTS, None):
            part = [case for case in group if cut in (None, case.cut)]
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
                f"miss are named (recall {told.recall:.3f}); {told.wrongly} of {told.making} that "
                f"make it are named too (false alarms {told.false_alarms:.3f}; "
                f"of all named {told.wrong_share:.3f} make it)"
            )


def main(arguments: Sequence[str]) -> int:
    """Prints the tables for the reported seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tuning", action="store_true", help="the seeds the constants are from")
    seeds = TUNING if parser.parse_args(arguments).tuning else REPORTED
    with ProcessPoolExecutor() as pool:
        cases = [case for found in pool.map(cases_of, seeds) for case in found]
    sys.stdout.write("\n".join(tables(cases)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
