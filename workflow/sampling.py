"""Attribute sampling without replacement, in exact integers: how many, which, and what follows.

Everything here can be done again by an outsider with the standard library (docs/journal.md, stream
`samples`). Nothing is rounded before it is compared; a float appears nowhere.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil, comb

from msgspec import Struct

from states.errors import UsageFault


class Stratum(Struct, frozen=True):
    """A unit in a sample: how many cases it has, and how many of them are drawn."""

    unit: str
    population: int
    drawn: int


def so_few(population: int, deviations: int, drawn: int, found: int) -> Fraction:
    """The chance to find at most `found` deviations in a simple random sample (hypergeometric)."""
    ways = sum(
        comb(deviations, number) * comb(population - deviations, drawn - number)
        for number in range(min(found, drawn) + 1)
    )
    return Fraction(ways, comb(population, drawn))


def so_few_of_strata(strata: Sequence[Stratum], deviations: int, found: int) -> Fraction:
    """A limit which that chance does not pass, wherever in the units the deviations may lie.

    For one unit it is the hypergeometric chance itself. For several, the number found in a unit is
    a sum of independent trials, as many as there are deviations in it (Vatutin and Mikhailov 1982),
    whose mean is the unit's share drawn. So the whole is such a sum too, with a mean no smaller
    than the smallest share; its lower tail, at least one below the mean, is at most the binomial
    one (Hoeffding 1956), and that of nothing found always is.
    """
    if len(strata) == 1:
        return so_few(strata[0].population, deviations, strata[0].drawn, found)
    share = min(Fraction(one.drawn, one.population) for one in strata)
    if found and deviations * share < found + 1:
        return Fraction(1)
    seen, unseen, of = share.numerator, share.denominator - share.numerator, share.denominator
    ways = sum(
        comb(deviations, number) * seen**number * unseen ** (deviations - number)
        for number in range(min(found, deviations) + 1)
    )
    return Fraction(ways, of**deviations)


def too_many(population: int, tolerable: Fraction) -> int:
    """The smallest number of deviations whose rate reaches the tolerable one; at least one."""
    return max(1, ceil(population * tolerable))


def sample_size(population: int, risk: Fraction, tolerable: Fraction, expected: int = 0) -> int:
    """How many to draw so that at most `expected` deviations are a proof that there are few.

    The smallest number with which, were the rate tolerable or worse, so few would be found with at
    most this risk. Raises UsageFault where no number is enough.
    """
    limit = too_many(population, tolerable)
    if expected < 0:
        raise UsageFault(f"预计不合格数不能是 {expected}", place="--expected", remedy="写 0 或以上")
    if expected >= limit:
        raise UsageFault(
            f"总体 {population} 户，不合格达到 {limit} 户就不可容忍，预计却有 {expected} 户不合格",
            place="--expected",
            remedy="减少 --expected，或放宽 --tolerable",
        )
    enough = 1
    while enough < population and so_few(population, limit, enough, expected) > risk:
        enough *= 2
    return _first(
        enough // 2,
        min(enough, population),
        lambda number: so_few(population, limit, number, expected) <= risk,
    )


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The smallest number above `low` for which it holds; it holds for `high` and from then on."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def allocate(
    by_unit: Mapping[str, int], risk: Fraction, tolerable: Fraction, expected: int = 0
) -> tuple[int, tuple[Stratum, ...]]:
    """The size for the county as one, and the units' shares: proportional, rounded up.

    So every unit with a case has at least one, and the sum is never below the size. The shares grow
    until the risk is kept wherever the deviations may lie. Raises UsageFault.
    """
    population = sum(by_unit.values())
    size = sample_size(population, risk, tolerable, expected)
    limit = too_many(population, tolerable)
    for total in range(size, population + 1):
        strata = tuple(
            Stratum(unit, number, -(-total * number // population))
            for unit, number in sorted(by_unit.items())
        )
        if so_few_of_strata(strata, limit, expected) <= risk:
            break
    return size, strata


def upper_bound(strata: Sequence[Stratum], found: int, risk: Fraction) -> int:
    """The most deviations there can be among all cases, but for this risk, when so many are found.

    The Clopper-Pearson bound for a finite population: with one more, so few would have been found
    with at most this risk only.
    """
    # What was drawn and found right is right.
    most = sum(one.population - one.drawn for one in strata) + found
    return (
        _first(found, most + 1, lambda number: so_few_of_strata(strata, number, found) <= risk) - 1
    )


def population_hash(cases: Mapping[str, str]) -> str:
    """SHA-256 over the cases, code and unit a line, in the order of codes."""
    lines = "".join(f"{code}\t{unit}\n" for code, unit in sorted(cases.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def choose(cases: Mapping[str, str], strata: Sequence[Stratum], seed: str) -> tuple[str, ...]:
    """The cases to visit, in the order of codes.

    Each unit's cases are put in the order of SHA-256(seed|population hash|code), in hex; the first
    ones are taken, as many as the unit's share.
    """
    whole = population_hash(cases)
    chosen = []
    for one in strata:
        mine = sorted(
            (hashlib.sha256(f"{seed}|{whole}|{code}".encode()).hexdigest(), code)
            for code, unit in cases.items()
            if unit == one.unit
        )
        chosen += [code for _, code in mine[: one.drawn]]
    return tuple(sorted(chosen))
