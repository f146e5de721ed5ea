from datetime import date

import pytest
from factories import ONE_WINTER, XIAOXIAN, document_of, with_rules, with_seasons

from states import plan, revision
from states.plan import Json, Plan
from states.vocabulary import GateKind, Supply

BEFORE_WINTER, IN_WINTER = date(2024, 6, 1), date(2024, 12, 1)


def refused(old: Plan, new: Plan, today: date = IN_WINTER) -> list[str]:
    return [change.key for change in revision.compare(old, new, today) if change.refused]


def needs_second(old: Plan, new: Plan, today: date = IN_WINTER) -> bool:
    changes = revision.compare(old, new, today)
    assert changes
    return any(change.second for change in changes)


def unverified(of: Plan, first: str, last: str) -> Plan:
    season = ("2024-2025", first, last)
    return with_seasons(of, season, verified=False, document=None, entered_by=None)


def test_the_same_plan_has_no_changes() -> None:
    assert revision.compare(XIAOXIAN, XIAOXIAN, IN_WINTER) == ()


LOOSER: list[tuple[str, Json]] = [
    ("outage_days", 99),
    ("outage_days_total", 99),
    ("first_heat_grace_days", 99),
    ("warm_visits", 0),
    ("warm_temperature", 12.0),
    ("exempt_paths", ["solar", *XIAOXIAN.rules.exempt_paths.value]),
]


@pytest.mark.parametrize(("name", "value"), LOOSER)
def test_what_removals_rest_on_is_never_loosened_and_may_always_be_tightened(
    name: str, value: Json
) -> None:
    loose = with_rules(XIAOXIAN, **{name: value})

    assert refused(XIAOXIAN, loose) == [f"rules.{name}"]
    assert refused(loose, XIAOXIAN) == []
    assert not needs_second(loose, XIAOXIAN)


def test_fewer_seasons_are_refused_and_more_are_not() -> None:
    two = with_rules(ONE_WINTER, required_seasons=2)

    assert refused(two, ONE_WINTER) == ["rules.required_seasons"]
    assert refused(ONE_WINTER, two) == []


def test_a_verified_season_that_has_begun_keeps_its_dates() -> None:
    moved = with_seasons(ONE_WINTER, ("2024-2025", "2024-11-02", "2025-03-15"))

    assert refused(ONE_WINTER, moved, date(2024, 11, 1)) == ["seasons.2024-2025"]
    assert refused(ONE_WINTER, moved, date(2024, 10, 31)) == []
    assert needs_second(ONE_WINTER, moved, date(2024, 10, 31))


def test_verified_dates_take_the_place_of_unverified_ones_even_when_the_season_is_over() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")

    assert refused(guessed, ONE_WINTER, date(2025, 5, 1)) == []
    assert needs_second(guessed, ONE_WINTER, date(2025, 5, 1))


def test_other_unverified_dates_come_too_late_once_the_season_has_begun() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")
    again = unverified(ONE_WINTER, "2024-11-15", "2025-03-01")

    assert refused(guessed, again, IN_WINTER) == ["seasons.2024-2025"]
    assert refused(guessed, again, BEFORE_WINTER) == []


def test_a_season_to_come_cannot_be_moved_into_the_past_unverified() -> None:
    coming = unverified(ONE_WINTER, "2024-11-01", "2025-03-15")
    past = unverified(ONE_WINTER, "2024-07-02", "2024-07-04")

    assert refused(coming, past, date(2024, 7, 20)) == ["seasons.2024-2025"]


def test_a_season_stays_within_the_years_of_its_name() -> None:
    elsewhere = with_seasons(ONE_WINTER, ("2024-2025", "2023-11-01", "2024-03-15"))

    assert refused(ONE_WINTER, elsewhere, BEFORE_WINTER) == ["seasons.2024-2025"]


def test_a_season_is_not_struck_off() -> None:
    two = with_seasons(
        ONE_WINTER, ("2024-2025", "2024-11-01", "2025-03-15"), ("2025-2026", None, None)
    )

    assert refused(two, ONE_WINTER, BEFORE_WINTER) == ["seasons.2025-2026"]
    assert refused(ONE_WINTER, two, BEFORE_WINTER) == []


def test_taking_a_verification_back_needs_nobody_else() -> None:
    doubted = unverified(ONE_WINTER, "2024-11-01", "2025-03-15")

    assert refused(ONE_WINTER, doubted) == []
    assert not needs_second(ONE_WINTER, doubted)


def changed(of: Plan, **values: Json) -> Plan:
    return plan.from_json({**document_of(of), **values})


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "other"), ("county", "别县"), ("year", 2025), ("effective_from", "2024-01-05")],
)
def test_another_county_year_or_beginning_is_another_plan(key: str, value: Json) -> None:
    assert refused(XIAOXIAN, changed(XIAOXIAN, **{key: value})) == [key]


def test_households_moved_between_units_are_one_revision_and_need_one_officer() -> None:
    document = document_of(XIAOXIAN)
    units = document["units"]
    assert isinstance(units, list)
    first, second = (next_task(units[index]) for index in (0, 1))
    first["households"], second["households"] = minus(first, 1), minus(second, -1)
    moved = plan.from_json(document)
    changes = revision.compare(XIAOXIAN, moved, IN_WINTER)

    assert [change.what.rsplit("（")[-1] for change in changes] in (
        ["-1）", "+1）"],
        ["+1）", "-1）"],
    )
    assert not any(change.refused or change.second for change in changes)


def next_task(unit: Json) -> dict[str, Json]:
    assert isinstance(unit, dict)
    tasks = unit["tasks"]
    assert isinstance(tasks, list)
    task = tasks[0]
    assert isinstance(task, dict)
    return task


def minus(task: dict[str, Json], number: int) -> int:
    households = task["households"]
    assert isinstance(households, int)
    return households - number


@pytest.mark.parametrize(("key", "value"), [("gate", GateKind.NONE), ("supply", Supply.NETWORK)])
def test_the_grid_still_comes_first(key: str, value: str) -> None:
    document = document_of(XIAOXIAN)
    paths = document["paths"]
    assert isinstance(paths, list)
    document["paths"] = [
        {**rule, key: value}
        if isinstance(rule, dict) and rule["path"] == "coal_to_electric"
        else rule
        for rule in paths
    ]

    assert refused(XIAOXIAN, plan.from_json(document)) == ["paths.coal_to_electric"]


def test_other_acceptance_papers_need_a_second_officer() -> None:
    document = document_of(XIAOXIAN)
    lists = document["acceptance"]
    assert isinstance(lists, list)
    document["acceptance"] = [
        {**one, "signers": ["用户"]} if isinstance(one, dict) else one for one in lists
    ]

    assert needs_second(XIAOXIAN, plan.from_json(document))


def test_a_phase_that_ends_later_is_a_change_that_one_officer_may_make() -> None:
    document = document_of(XIAOXIAN)
    phases = document["phases"]
    assert isinstance(phases, list)
    works = phases[1]
    assert isinstance(works, dict)
    works["end"] = "2024-08-30"
    changes = revision.compare(XIAOXIAN, plan.from_json(document), IN_WINTER)

    assert [(change.key, change.refused, change.second) for change in changes] == [
        ("phases.works", None, False)
    ]
