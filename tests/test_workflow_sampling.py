"""The sizes and bounds against enumeration, against published tables, and by hand."""

import hashlib
import itertools
from fractions import Fraction

import pytest

from states.errors import UsageFault
from workflow import sampling
from workflow.sampling import Stratum

RISK = Fraction(5, 100)
ENDLESS = 10**9


def chance_by_enumeration(population: int, deviations: int, drawn: int, found: int) -> Fraction:
    """Every sample there is, one by one."""
    samples = list(itertools.combinations(range(population), drawn))
    few = sum(sum(case < deviations for case in sample) <= found for sample in samples)
    return Fraction(few, len(samples))


def worst_by_enumeration(strata: tuple[Stratum, ...], deviations: int, found: int) -> Fraction:
    """The chance of so few, where the deviations lie so that it is greatest."""
    worst = Fraction(0)
    for places in itertools.product(*(range(one.population + 1) for one in strata)):
        if sum(places) != deviations:
            continue
        total = Fraction(0)
        for seen in itertools.product(*(range(found + 1) for _ in strata)):
            if sum(seen) > found:
                continue
            chance = Fraction(1)
            for one, there, number in zip(strata, places, seen, strict=True):
                upto = sampling.so_few(one.population, there, one.drawn, number)
                below = sampling.so_few(one.population, there, one.drawn, number - 1)
                chance *= upto - (below if number else 0)
            total += chance
        worst = max(worst, total)
    return worst


@pytest.mark.parametrize("population", [1, 2, 5, 8])
def test_the_chance_of_so_few_is_that_of_counting_every_sample(population: int) -> None:
    for deviations in range(population + 1):
        for drawn in range(1, population + 1):
            for found in range(drawn + 1):
                expected = chance_by_enumeration(population, deviations, drawn, found)

                assert sampling.so_few(population, deviations, drawn, found) == expected


@pytest.mark.parametrize("expected", [0, 1, 2])
@pytest.mark.parametrize("tolerable", [Fraction(1, 100), Fraction(25, 100), Fraction(40, 100)])
@pytest.mark.parametrize("population", [1, 4, 7, 10])
def test_the_size_is_the_smallest_that_keeps_the_risk(
    population: int, tolerable: Fraction, expected: int
) -> None:
    limit = sampling.too_many(population, tolerable)
    if expected >= limit:
        with pytest.raises(UsageFault):
            sampling.sample_size(population, RISK, tolerable, expected)
        return

    size = sampling.sample_size(population, RISK, tolerable, expected)

    enough = [
        drawn
        for drawn in range(1, population + 1)
        if chance_by_enumeration(population, limit, drawn, expected) <= RISK
    ]
    assert size == enough[0]


# AICPA, Audit Sampling, table A.1: sizes at 5 % risk, no deviations expected, large population.
@pytest.mark.parametrize(
    ("percent", "size"),
    [(2, 149), (3, 99), (4, 74), (5, 59), (6, 49), (7, 42), (8, 36), (9, 32), (10, 29), (20, 14)],
)
def test_sizes_of_a_large_population_are_those_of_the_published_table_at_5_percent(
    percent: int, size: int
) -> None:
    assert sampling.sample_size(ENDLESS, RISK, Fraction(percent, 100)) == size


# The same, table A.2: 10 % risk.
@pytest.mark.parametrize(
    ("percent", "size"), [(2, 114), (3, 76), (4, 57), (5, 45), (6, 38), (7, 32), (8, 28), (10, 22)]
)
def test_sizes_of_a_large_population_are_those_of_the_published_table_at_10_percent(
    percent: int, size: int
) -> None:
    assert sampling.sample_size(ENDLESS, Fraction(1, 10), Fraction(percent, 100)) == size


# Cannon and Roe 1982: sizes to find at least one in small populations, at 95 %.
@pytest.mark.parametrize(
    ("population", "percent", "size"), [(100, 1, 95), (100, 2, 78), (100, 5, 45), (1000, 1, 258)]
)
def test_sizes_of_small_populations_are_the_published_ones(
    population: int, percent: int, size: int
) -> None:
    assert sampling.sample_size(population, RISK, Fraction(percent, 100)) == size


SMALL_STRATA = [
    (Stratum("a", 6, 3), Stratum("b", 4, 2)),
    (Stratum("a", 1, 1), Stratum("b", 9, 4)),
    (Stratum("a", 2, 1), Stratum("b", 3, 2), Stratum("c", 5, 3)),
    (Stratum("a", 5, 5), Stratum("b", 5, 4)),
]


@pytest.mark.parametrize("found", [0, 1, 2])
@pytest.mark.parametrize("strata", SMALL_STRATA)
def test_the_limit_over_units_holds_wherever_the_deviations_lie(
    strata: tuple[Stratum, ...], found: int
) -> None:
    for deviations in range(sum(one.population for one in strata) + 1):
        worst = worst_by_enumeration(strata, deviations, found)

        assert worst <= sampling.so_few_of_strata(strata, deviations, found)


COUNTY = {"100": 122, "105": 4, "107": 1, "201": 1, "ZJJ": 2001, "103": 686}


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_every_unit_has_its_share_and_the_risk_is_kept(expected: int) -> None:
    tolerable = Fraction(1, 100)

    size, strata = sampling.allocate(COUNTY, RISK, tolerable, expected)

    population = sum(COUNTY.values())
    assert size == sampling.sample_size(population, RISK, tolerable, expected)
    assert {one.unit: one.population for one in strata} == COUNTY
    assert sum(one.drawn for one in strata) >= size
    for one in strata:
        assert 1 <= one.drawn <= one.population
        assert one.drawn * population >= size * one.population
    limit = sampling.too_many(population, tolerable)
    assert sampling.so_few_of_strata(strata, limit, expected) <= RISK
    assert sampling.upper_bound(strata, expected, RISK) < limit


def test_a_share_is_rounded_up_and_grows_only_until_the_risk_is_kept() -> None:
    """4 of 10 are enough; 3 of 7 and 2 of 3 leave (4/7)³ = 0.19, with 4 of 7 (3/7)³ = 0.08."""
    risk, tolerable = Fraction(1, 5), Fraction(3, 10)

    assert sampling.sample_size(10, risk, tolerable) == 4
    _, strata = sampling.allocate({"a": 7, "b": 3}, risk, tolerable)
    _, stricter = sampling.allocate({"a": 7, "b": 3}, Fraction(18, 100), tolerable)

    assert strata == (Stratum("a", 7, 3), Stratum("b", 3, 2))
    assert stricter == (Stratum("a", 7, 4), Stratum("b", 3, 2))


def test_one_unit_alone_is_drawn_by_the_hypergeometric_size() -> None:
    size, strata = sampling.allocate({"103": 1000}, RISK, Fraction(1, 100))

    assert (size, strata) == (258, (Stratum("103", 1000, 258),))


@pytest.mark.parametrize("found", [0, 1, 3])
def test_the_bound_of_one_unit_is_the_last_number_that_the_risk_allows(found: int) -> None:
    strata = (Stratum("a", 12, 7),)

    bound = sampling.upper_bound(strata, found, RISK)

    possible = range(found, 12 - (7 - found) + 1)
    allowed = [d for d in possible if chance_by_enumeration(12, d, 7, found) > RISK]
    assert bound == allowed[-1]


def test_who_was_seen_and_found_right_cannot_deviate() -> None:
    assert sampling.upper_bound((Stratum("a", 5, 5), Stratum("b", 3, 3)), 2, RISK) == 2
    assert sampling.upper_bound((Stratum("a", 3, 2), Stratum("b", 1, 1)), 0, RISK) == 1


def test_the_draw_can_be_done_again_from_what_is_documented() -> None:
    cases = {f"{unit}-{number:04d}": unit for unit in ("101", "102") for number in range(1, 9)}
    strata = (Stratum("101", 8, 3), Stratum("102", 8, 2))

    codes = sampling.choose(cases, strata, "2024")

    # By hand, as docs/journal.md says it.
    lines = "".join(f"{code}\t{cases[code]}\n" for code in sorted(cases))
    whole = hashlib.sha256(lines.encode("utf-8")).hexdigest()
    expected = []
    for unit, number in (("101", 3), ("102", 2)):
        mine = [code for code in cases if cases[code] == unit]
        mine.sort(key=lambda c: hashlib.sha256(f"2024|{whole}|{c}".encode()).hexdigest())
        expected += mine[:number]
    assert codes == tuple(sorted(expected))
    assert sampling.choose(dict(reversed(cases.items())), strata, "2024") == codes
    assert sampling.choose(cases, strata, "2025") != codes
    assert sampling.choose({**cases, "101-0009": "101"}, strata, "2024") != codes


@pytest.mark.parametrize("expected", [-1, 40])
def test_a_number_expected_that_cannot_be_is_refused(expected: int) -> None:
    with pytest.raises(UsageFault):
        sampling.sample_size(3966, RISK, Fraction(1, 100), expected)
