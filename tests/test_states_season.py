from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from factories import CODE, DAY, LI, ONE_WINTER, WUTAI, XIAOXIAN, Life, question, with_rules
from factories import with_seasons as seasons
from hypothesis import given, settings
from hypothesis import strategies as st

from states import facts as folding
from states import machine, season
from states.facts import CaseFacts
from states.plan import Plan
from states.vocabulary import FactKind, Path, State, Trigger

# The winter of ONE_WINTER. Its limits: 4 days of outage at once, 9 in all, 3 warm visits of 16.5 ℃,
# first heat within 3 days.
FIRST_DAY, LAST_DAY = date(2024, 11, 1), date(2025, 3, 15)
PERMIT_DAY = date(2025, 4, 3)
TWO_WINTERS = seasons(
    XIAOXIAN,
    ("2023-2024", "2023-11-01", "2024-02-29"),
    ("2024-2025", "2024-11-01", "2025-03-15"),
    ("2025-2026", "2025-11-05", "2026-03-20"),
)


def winter() -> Life:
    """A case that ran through the winter without fault and was signed for."""
    return Life().to_stable().good_winter()


def answer(
    life: Life, today: date = PERMIT_DAY, of: Plan = ONE_WINTER, *, drill: bool = False
) -> machine.Answer:
    """What `case why CODE permit` says, of what had been recorded by then."""
    known = [event for event in life.events if event.recorded_on <= today]
    facts = folding.fold(CODE, known)
    assert facts is not None
    return machine.ask(
        Trigger.PERMIT, question(facts, Trigger.PERMIT, today, of=of, actor=LI, drill=drill)
    )


def refusals(
    life: Life, today: date = PERMIT_DAY, of: Plan = ONE_WINTER, *, drill: bool = False
) -> set[str]:
    """The guards that stand against the permission."""
    return {reason.guard for reason in answer(life, today, of, drill=drill).reasons}


def test_a_winter_without_fault_is_permitted() -> None:
    assert refusals(winter()) == set()
    assert answer(winter()).earliest == PERMIT_DAY


# The clock and the seasons


@pytest.mark.parametrize(
    ("accepted", "permitted"),
    [(FIRST_DAY - DAY, True), (FIRST_DAY, True), (FIRST_DAY + DAY, False)],
)
def test_a_winter_counts_if_the_clock_started_by_its_first_day(
    accepted: date, permitted: bool
) -> None:
    life = Life().to_acceptance()
    life.accept(accepted)
    life.good_winter()

    assert (refusals(life) == set()) is permitted


@pytest.mark.parametrize(("ready", "permitted"), [(FIRST_DAY, True), (FIRST_DAY + DAY, False)])
def test_readiness_starts_the_clock_as_acceptance_does(ready: date, permitted: bool) -> None:
    life = Life().to_construction()
    life.complete(FIRST_DAY + DAY, recorded=FIRST_DAY, ready_on=ready)
    life.accept(FIRST_DAY)
    life.good_winter()

    assert (refusals(life) == set()) is permitted


def test_who_was_accepted_in_the_winter_waits_for_the_next_one_known() -> None:
    life = Life().to_acceptance()
    life.accept(FIRST_DAY + DAY)
    life.good_winter()
    both = seasons(
        ONE_WINTER,
        ("2024-2025", "2024-11-01", "2025-03-15"),
        ("2025-2026", "2025-11-05", "2026-03-20"),
    )

    assert answer(life).earliest is None
    assert answer(life).earliest_reason == season.NO_LATER_SEASON
    assert refusals(life) == {"season_served"}
    assert season.window(life.facts(), ONE_WINTER, date(2025, 1, 1)) is None
    assert answer(life, of=both).earliest == date(2026, 3, 21)


@pytest.mark.parametrize(
    ("today", "permitted"), [(LAST_DAY, False), (LAST_DAY + DAY, True)], ids=["last day", "after"]
)
def test_the_winter_has_ended_on_the_day_after_its_last(today: date, permitted: bool) -> None:
    life = Life().to_stable().good_winter()
    life.sign(LAST_DAY + DAY)

    found = refusals(life, today)

    assert (found == set()) is permitted
    assert found <= {"season_served", "season_signed"}


def test_nobody_is_permitted_before_acceptance() -> None:
    found = answer(Life().to_acceptance(), date(2024, 7, 1))

    assert [reason.guard for reason in found.reasons] == ["state"]
    assert found.earliest == LAST_DAY + DAY


RESTARTS: list[tuple[Trigger, dict[str, str]]] = [
    (Trigger.OVERTURN, {"findings": "x", "put_right_by": "2024-12-31"}),
    (Trigger.REPLACE, {"findings": "x", "put_right_by": "2024-12-31"}),
    (Trigger.CHANGE_PATH, {"path": "central_heating", "keep_device": "yes"}),
]


def after_restart(trigger: Trigger, evidence: dict[str, str], on: date) -> Life:
    """A case that was taken back on a day and was accepted again the same day."""
    life = Life().to_stable()
    life.step(trigger, on, None, "wang", **evidence)
    if life.state is State.EQUIPMENT_SELECTION:
        life.select(on)
    life.complete(on)
    life.accept(on)
    return life.good_winter()


@pytest.mark.parametrize(("trigger", "evidence"), RESTARTS, ids=lambda value: str(value)[:11])
@pytest.mark.parametrize(
    ("on", "permitted"), [(FIRST_DAY, True), (FIRST_DAY + DAY, False)], ids=str
)
def test_each_way_back_starts_the_clock_again(
    trigger: Trigger, evidence: dict[str, str], on: date, permitted: bool
) -> None:
    life = after_restart(trigger, evidence, on)

    assert life.facts().clock_start == on
    assert (refusals(life) == set()) is permitted


@pytest.mark.parametrize(("trigger", "evidence"), RESTARTS, ids=lambda value: str(value)[:11])
def test_a_way_back_counts_by_itself_whatever_the_dates_of_the_new_acceptance(
    trigger: Trigger, evidence: dict[str, str]
) -> None:
    life = Life().to_stable()
    life.step(trigger, FIRST_DAY + DAY, None, "wang", **evidence)

    assert life.facts().clock_start == FIRST_DAY + DAY


@pytest.mark.parametrize(
    ("on", "permitted"), [(FIRST_DAY, True), (FIRST_DAY + DAY, False)], ids=str
)
def test_a_reinstatement_starts_the_clock_again(on: date, permitted: bool) -> None:
    life = Life().to_stable()
    life.step(Trigger.CLOSE, on, cause="withdrawn")
    life.step(Trigger.REINSTATE, on)
    assert life.facts().clock_start == on
    life.confirm(on)
    life.select(on)
    life.complete(on)
    life.accept(on)
    life.good_winter()

    assert (refusals(life) == set()) is permitted


@pytest.mark.parametrize(("cause", "permitted"), [("not_stable", False), ("paper_fault", True)])
def test_only_a_revocation_for_instability_starts_the_clock_again(
    cause: str, permitted: bool
) -> None:
    life = winter()
    life.step(Trigger.PERMIT, PERMIT_DAY)
    life.step(Trigger.REVOKE, PERMIT_DAY + DAY, cause=cause, findings="x")

    assert (refusals(life, PERMIT_DAY + DAY) == set()) is permitted


@pytest.mark.parametrize("trigger", [Trigger.REJECT, Trigger.SEND_BACK])
def test_a_rejection_by_itself_starts_nothing_again(trigger: Trigger) -> None:
    life = Life().to_acceptance()
    life.step(trigger, date(2024, 6, 2), findings="x", put_right_by=date(2024, 6, 9))

    assert life.facts().restarts == []


# Two seasons required


@pytest.mark.parametrize(
    ("signed", "found"), [(("2023-2024", "2024-2025"), set()), (("2024-2025",), {"season_signed"})]
)
def test_two_required_winters_are_both_looked_at(signed: Iterable[str], found: set[str]) -> None:
    life = Life(registered_on=date(2023, 1, 5))
    life.confirm(date(2023, 2, 1))
    life.select(date(2023, 2, 2))
    life.complete(date(2023, 6, 1))
    life.accept(date(2023, 7, 1))
    life.heat(date(2023, 11, 1))
    life.heat(date(2024, 11, 1))
    life.visits(*(date(2023, 12, day) for day in (1, 2, 3)))
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)))
    for label in signed:
        life.sign(date(2025, 3, 16), label)

    assert refusals(life, of=TWO_WINTERS) == found


def two_winters(*heats: date) -> Life:
    """Two winters with all that they need but the first heats, which are given."""
    life = Life(registered_on=date(2023, 1, 5))
    life.to_stable(date(2023, 7, 1))
    for heat in heats:
        life.heat(heat)
    for year in (2023, 2024):
        life.visits(*(date(year, 12, day) for day in (1, 2, 3)))
        life.sign(date(2025, 3, 16), f"{year}-{year + 1}")
    return life


FIRST_WINTER, BETWEEN, SECOND_WINTER = date(2023, 11, 1), date(2024, 9, 1), date(2024, 11, 3)


@pytest.mark.parametrize(
    ("heats", "found"),
    [
        ((FIRST_WINTER, SECOND_WINTER), set()),
        ((FIRST_WINTER, BETWEEN), set()),
        ((FIRST_WINTER,), {"first_heat_known"}),
        ((SECOND_WINTER,), {"first_heat_known"}),
        ((BETWEEN,), {"first_heat_known"}),
        ((FIRST_WINTER, date(2024, 11, 20)), {"no_long_outage"}),
        ((date(2023, 11, 20), SECOND_WINTER), {"no_long_outage"}),
    ],
)
def test_each_required_winter_has_a_first_heat_of_its_own(
    heats: tuple[date, ...], found: set[str]
) -> None:
    assert refusals(two_winters(*heats), of=TWO_WINTERS) - {"outages_within_total"} == found


def test_the_winter_that_lacks_its_first_heat_is_named() -> None:
    reasons = answer(two_winters(FIRST_WINTER), of=TWO_WINTERS).reasons

    assert ["2024-2025" in reason.message for reason in reasons] == [True]


def test_a_later_winter_that_decides_does_not_rest_on_the_first_heat_of_the_one_before() -> None:
    life = two_winters(FIRST_WINTER)

    assert refusals(life) == {"first_heat_known"}
    life.heat(SECOND_WINTER)
    assert refusals(life) == set()


@pytest.mark.parametrize(
    ("heat", "label"),
    [
        (date(2023, 2, 28), None),
        (date(2023, 3, 1), "2023-2024"),
        (date(2024, 2, 29), "2023-2024"),
        (date(2024, 3, 14), None),
        (date(2024, 3, 15), "2024-2025"),
        (date(2025, 3, 15), "2024-2025"),
        (date(2025, 3, 16), None),
        (date(2026, 3, 19), None),
        (date(2026, 3, 20), "2026-2027"),
    ],
)
def test_a_first_heat_is_of_the_next_season_to_end_and_of_none_a_year_away(
    heat: date, label: str | None
) -> None:
    of = seasons(
        XIAOXIAN,
        ("2023-2024", "2023-11-01", "2024-02-29"),
        ("2024-2025", "2024-11-01", "2025-03-15"),
        ("2025-2026", None, None),
        ("2026-2027", "2026-11-01", "2027-03-20"),
    )

    found = season.heated_season(Life().facts(), of, heat)

    assert (found.label if found else None) == label


def test_one_winter_of_two_is_not_enough_and_the_day_of_the_second_is_known() -> None:
    found = answer(winter(), of=TWO_WINTERS)

    assert "season_served" in {reason.guard for reason in found.reasons}
    assert found.earliest == date(2026, 3, 21)


def test_required_winters_with_a_gap_between_them_do_not_count() -> None:
    gap = seasons(
        XIAOXIAN,
        ("2023-2024", "2023-11-01", "2024-02-29"),
        ("2024-2025", None, None),
        ("2025-2026", "2025-11-05", "2026-03-20"),
    )
    life = Life(registered_on=date(2023, 1, 5))
    life.to_stable(date(2023, 7, 1))
    life.heat(date(2023, 11, 1))
    for year in (2023, 2025):
        life.visits(*(date(year, 12, day) for day in (1, 2, 3)))
        life.sign(date(year + 1, 4, 1), f"{year}-{year + 1}")

    found = answer(life, date(2026, 4, 2), gap)

    assert {reason.guard for reason in found.reasons} == {"season_served"}
    assert found.earliest is None


def test_the_most_recent_winters_count_and_not_better_ones_before() -> None:
    life = winter()
    life.fault(date(2025, 12, 1), date(2025, 12, 20))
    both = seasons(
        ONE_WINTER,
        ("2024-2025", "2024-11-01", "2025-03-15"),
        ("2025-2026", "2025-11-05", "2026-03-20"),
    )

    assert refusals(life, date(2026, 3, 20), both) == set()
    assert "no_long_outage" in refusals(life, date(2026, 3, 21), both)


# Unknown and unverified


def test_a_winter_of_unknown_dates_is_no_winter() -> None:
    unknown = seasons(ONE_WINTER, ("2024-2025", None, None))

    found = answer(winter(), of=unknown)

    assert {reason.guard for reason in found.reasons} == {"season_served"}
    assert (found.earliest, found.earliest_reason) == (
        None,
        "计划未给出该区域、该路径的采暖季起止日期",
    )


def test_a_path_that_no_season_lists_has_none() -> None:
    life = Life(Path.SOLAR).to_stable().good_winter()

    assert "season_served" in refusals(life, of=XIAOXIAN)


@pytest.mark.parametrize(("drill", "found"), [(False, {"season_verified"}), (True, set())])
def test_unverified_dates_permit_in_a_drill_only(drill: bool, found: set[str]) -> None:
    unverified = seasons(ONE_WINTER, ("2024-2025", "2024-11-01", "2025-03-15"), verified=False)

    assert refusals(winter(), of=unverified, drill=drill) == found


def test_an_unverified_number_of_seasons_permits_in_a_drill_only() -> None:
    life = Life(registered_on=date(2023, 5, 20))
    life.to_stable(date(2023, 10, 1))
    life.heat(date(2023, 10, 20))
    life.visits(date(2023, 12, 1), date(2024, 1, 1))
    life.sign(date(2024, 4, 16), "2023-2024")
    verified = seasons(WUTAI, ("2023-2024", "2023-10-15", "2024-04-15"))

    real = answer(life, date(2024, 4, 16), verified)

    assert [reason.guard for reason in real.reasons] == ["season_verified"]
    assert "required_seasons" in real.reasons[0].message
    assert real.earliest is None
    assert refusals(life, date(2024, 4, 16), verified, drill=True) == set()


def test_only_the_seasons_it_rests_on_need_be_verified() -> None:
    life = Life().to_stable().good_winter()
    life.good_winter(2025)

    assert "season_verified" not in refusals(life, date(2026, 4, 3), XIAOXIAN)


# Outages


@pytest.mark.parametrize(("days", "stable"), [(4, True), (5, False)])
def test_the_limit_of_one_outage_is_allowed_and_a_day_more_is_not(days: int, stable: bool) -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 10) + days * DAY)

    found = refusals(life)

    assert found == (set() if stable else {"no_long_outage"})


def test_the_day_of_repair_is_no_outage_day() -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 10))

    assert lengths(life) == []


def test_one_long_outage_is_not_made_up_for_by_short_ones() -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 15))
    life.fault(date(2024, 12, 20), date(2024, 12, 21))

    assert refusals(life) == {"no_long_outage"}
    assert answer(life).earliest is None


@pytest.mark.parametrize(("last", "stable"), [(1, True), (2, False)])
def test_the_limit_of_all_outages_is_allowed_and_a_day_more_is_not(last: int, stable: bool) -> None:
    life = winter()
    for month, days in ((11, 4), (12, 4)):
        life.fault(date(2024, month, 10), date(2024, month, 10 + days))
    life.fault(date(2025, 1, 10), date(2025, 1, 10 + last))

    assert refusals(life) == (set() if stable else {"outages_within_total"})
    assert answer(life, date(2025, 2, 1)).earliest == (LAST_DAY + DAY if stable else None)


def lengths(life: Life, today: date = PERMIT_DAY, of: Plan = ONE_WINTER) -> list[int]:
    """The outages of the winter in days."""
    facts = life.facts()
    (running,) = (
        dated for s in of.seasons_of(facts.area, facts.path) if (dated := season.dated(s))
    )
    return season.outages(facts, of, running, today)


def test_days_that_two_outages_share_count_once() -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 13))
    life.fault(date(2024, 12, 11), date(2024, 12, 14))

    assert lengths(life) == [4]


def test_outages_that_touch_are_one() -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 13))
    life.fault(date(2024, 12, 13), date(2024, 12, 15))

    assert lengths(life) == [5]
    assert refusals(life) == {"no_long_outage"}


def test_a_day_of_heat_between_them_makes_two() -> None:
    life = winter()
    life.fault(date(2024, 12, 10), date(2024, 12, 13))
    life.fault(date(2024, 12, 14), date(2024, 12, 15))

    assert lengths(life) == [3, 1]


def test_an_outage_is_clipped_to_the_winter_at_both_ends() -> None:
    life = winter()
    life.fault(FIRST_DAY - 9 * DAY, FIRST_DAY + 2 * DAY)
    life.fault(LAST_DAY - DAY, LAST_DAY + 9 * DAY)

    assert lengths(life) == [2, 2]
    assert refusals(life) == set()


def test_an_outage_in_summer_takes_no_day_of_the_winter() -> None:
    life = winter()
    life.fault(date(2024, 8, 1), date(2024, 10, 1))

    assert lengths(life) == []


def test_an_outage_open_at_the_end_of_the_winter_counts_to_its_last_day() -> None:
    life = winter()
    life.fault(LAST_DAY - 3 * DAY, PERMIT_DAY)

    assert lengths(life) == [4]
    assert refusals(life) == set()


def test_what_would_bring_the_heat_back_is_named() -> None:
    fault, cold = winter(), winter()
    fault.fault(PERMIT_DAY - DAY)
    cold.visits(PERMIT_DAY - DAY, temperature=10)

    assert [answer(life).reasons[0].missing for life in (fault, cold)] == [("repair",), ("visit",)]


@pytest.mark.parametrize("repaired", [None, PERMIT_DAY], ids=["open", "repaired"])
def test_an_outage_open_today_refuses_even_after_the_winter(repaired: date | None) -> None:
    life = winter()
    life.fault(PERMIT_DAY - DAY, repaired)

    assert refusals(life) == ({"heat_on_today"} if repaired is None else set())


def test_an_open_outage_counts_until_yesterday() -> None:
    life = winter()
    life.fault(date(2024, 12, 10))

    assert lengths(life, date(2024, 12, 10)) == []
    assert lengths(life, date(2024, 12, 14)) == [4]


def test_a_pause_is_no_outage_and_excuses_none() -> None:
    life = winter()
    life.fact(FactKind.PAUSE, date(2024, 12, 1), cause="weather")
    life.fault(date(2024, 12, 10), date(2024, 12, 15))

    assert lengths(life) == [5]
    assert refusals(life) == {"no_long_outage"}


# Cold visits


@pytest.mark.parametrize(("warm_again", "stable"), [(4, True), (5, False)])
def test_a_cold_visit_is_an_outage_until_a_warm_one(warm_again: int, stable: bool) -> None:
    cold = date(2024, 12, 10)
    life = winter()
    life.visits(cold, temperature=16.4)
    life.visits(cold + warm_again * DAY, temperature=16.5)

    assert lengths(life) == [warm_again]
    assert refusals(life) == (set() if stable else {"no_long_outage"})


def test_a_second_cold_visit_does_not_begin_the_spell_again() -> None:
    life = winter()
    for day in (10, 12):
        life.visits(date(2024, 12, day), temperature=10)
    life.visits(date(2024, 12, 15))

    assert lengths(life) == [5]


def test_a_repair_does_not_end_a_cold_spell() -> None:
    life = winter()
    life.visits(date(2025, 2, 20), temperature=10)
    life.fault(date(2025, 2, 20), date(2025, 2, 21))

    assert {"no_long_outage", "heat_on_today"} <= refusals(life)


def test_visits_are_read_by_their_day_and_not_by_their_recording() -> None:
    life = winter()
    life.visits(date(2024, 12, 12))
    life.visits(date(2024, 12, 10), temperature=10)

    assert lengths(life) == [2]


def test_of_two_visits_on_one_day_the_later_recorded_has_the_last_word() -> None:
    warm_last, cold_last = winter(), winter()
    warm_last.visits(date(2025, 3, 1), temperature=10)
    warm_last.visits(date(2025, 3, 1))
    cold_last.visits(date(2025, 3, 1))
    cold_last.visits(date(2025, 3, 1), temperature=10)

    assert refusals(warm_last) == set()
    assert "heat_on_today" in refusals(cold_last)


# Warm visits


def test_the_plans_number_of_warm_visits_is_needed_and_is_enough() -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.sign(LAST_DAY + DAY)
    life.visits(FIRST_DAY, LAST_DAY)
    two = refusals(life)
    life.visits(date(2024, 12, 24))

    assert two == {"warm_visits_made"}
    assert refusals(life) == set()


@pytest.mark.parametrize(
    ("on", "counts"),
    [(FIRST_DAY - DAY, False), (FIRST_DAY, True), (LAST_DAY, True), (LAST_DAY + DAY, False)],
    ids=str,
)
def test_only_visits_within_the_winter_count(on: date, counts: bool) -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.sign(LAST_DAY + DAY)
    life.visits(date(2024, 12, 1), date(2024, 12, 1), on)

    assert refusals(life) == (set() if counts else {"warm_visits_made"})


def test_a_visit_that_finds_just_the_plans_temperature_is_warm() -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.sign(LAST_DAY + DAY)
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)), temperature=16.5)

    assert refusals(life) == set()


def test_cold_visits_are_not_counted_as_warm() -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.sign(LAST_DAY + DAY)
    life.visits(date(2024, 12, 1), temperature=16.4)
    life.visits(date(2024, 12, 2), date(2024, 12, 3))

    assert refusals(life) == {"warm_visits_made"}


# First heat


@pytest.mark.parametrize(("late", "stable"), [(0, True), (3, True), (4, False)])
def test_first_heat_within_the_grace_is_no_outage_and_later_is_one_from_the_first_day(
    late: int, stable: bool
) -> None:
    life = winter()
    life.heat(FIRST_DAY + late * DAY)

    # Over the grace of 3 days all 4 count: within the limit of an outage here.
    assert lengths(life) == ([] if stable else [4])


def test_first_heat_that_is_later_than_grace_and_limit_is_not_stable() -> None:
    life = winter()
    life.heat(FIRST_DAY + 5 * DAY)

    assert refusals(life) == {"no_long_outage"}


def test_first_heat_before_the_winter_is_in_time() -> None:
    life = winter()
    life.heat(date(2024, 10, 1))

    assert refusals(life) == set()


def test_unknown_first_heat_is_not_stable() -> None:
    life = Life().to_stable()
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)))
    life.sign(LAST_DAY + DAY)

    assert refusals(life) == {"first_heat_known"}


def test_the_first_heat_of_the_device_before_is_not_that_of_this_one() -> None:
    life = Life().to_stable()
    life.heat(date(2024, 9, 1))
    life.step(Trigger.REPLACE, date(2024, 10, 1), findings="x", put_right_by=date(2024, 10, 9))
    life.complete(date(2024, 10, 2))
    life.accept(date(2024, 10, 3))
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)))
    life.sign(LAST_DAY + DAY)

    assert refusals(life) == {"first_heat_known"}


# The signature


@pytest.mark.parametrize(
    ("signed", "counts"), [(LAST_DAY, False), (LAST_DAY + DAY, True), (None, False)], ids=str
)
def test_the_household_signs_after_the_last_day(signed: date | None, counts: bool) -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)))
    if signed:
        life.sign(signed)

    assert refusals(life) == (set() if counts else {"season_signed"})


def test_a_signature_for_another_winter_does_not_count() -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.visits(*(date(2024, 12, day) for day in (1, 2, 3)))
    life.sign(LAST_DAY + DAY, "2023-2024")

    assert refusals(life) == {"season_signed"}


# Late papers


@pytest.mark.parametrize("which", ["accept", "complete"])
@pytest.mark.parametrize(
    ("recorded", "document", "counts"),
    [
        (FIRST_DAY, None, True),
        (FIRST_DAY + DAY, None, False),
        (FIRST_DAY + DAY, "bz.pdf", True),
    ],
)
def test_what_is_recorded_after_the_winter_began_counts_with_its_document_only(
    which: str, recorded: date, document: str | None, counts: bool
) -> None:
    life = Life().to_construction()
    late = {"late_document": document} if document else {}
    if which == "complete":
        life.complete(date(2024, 10, 20), recorded, **late)
        life.accept(date(2024, 10, 20), recorded, late_document="bz.pdf")
    else:
        life.complete(date(2024, 10, 20))
        life.accept(date(2024, 10, 20), recorded, **late)
    life.good_winter()

    assert refusals(life) == (set() if counts else {"recorded_in_time"})


def test_the_day_of_recording_is_that_of_shanghai() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.ACCEPT, date(2024, 10, 31), datetime(2024, 11, 1, 16, 0, tzinfo=UTC))
    life.good_winter()

    assert refusals(life) == {"recorded_in_time"}


def test_late_papers_count_for_the_winter_after() -> None:
    life = Life().to_acceptance()
    life.accept(date(2024, 10, 20), recorded=FIRST_DAY + DAY)
    life.good_winter()
    life.good_winter(2025)
    both = seasons(
        ONE_WINTER,
        ("2024-2025", "2024-11-01", "2025-03-15"),
        ("2025-2026", "2025-11-05", "2026-03-20"),
    )

    assert answer(life, of=both).earliest == date(2026, 3, 21)
    assert refusals(life, date(2026, 4, 3), both) == set()


def test_with_two_required_winters_papers_must_be_there_before_the_earlier() -> None:
    life = Life(registered_on=date(2023, 1, 5))
    life.to_acceptance(date(2023, 6, 1))
    life.accept(date(2023, 10, 20), recorded=date(2024, 10, 1))
    for year in (2023, 2024):
        life.heat(date(year, 11, 1))
        life.visits(*(date(year, 12, day) for day in (1, 2, 3)))
        life.sign(date(year + 1, 4, 1), f"{year}-{year + 1}")

    assert refusals(life, of=TWO_WINTERS) == {"recorded_in_time"}


# Exempt paths


def test_an_exempt_path_needs_no_winter() -> None:
    life = Life(Path.COAL_TO_GAS).to_stable()

    assert refusals(life, date(2024, 7, 2), XIAOXIAN) == set()


def test_an_exempt_path_is_still_frozen_by_what_is_open_and_needs_another_person() -> None:
    life = Life(Path.COAL_TO_GAS).to_acceptance()
    life.step(Trigger.ACCEPT, date(2024, 7, 1), None, "li")
    life.fact(FactKind.COMPLAINT, date(2024, 7, 1), what="x")

    assert refusals(life, date(2024, 7, 2), XIAOXIAN) == {"nothing_open", "separation"}


def test_an_exemption_needs_to_be_verified() -> None:
    exempt = with_rules(WUTAI, exempt_paths=["coal_to_gas"])
    life = Life(Path.COAL_TO_GAS).to_stable()

    found = answer(life, date(2024, 7, 2), exempt)

    assert [reason.guard for reason in found.reasons] == ["season_verified"]
    assert found.earliest is None
    assert refusals(life, date(2024, 7, 2), exempt, drill=True) == set()


@pytest.mark.parametrize(
    ("of", "drill", "earliest"),
    [
        (XIAOXIAN, False, date(2024, 6, 5)),
        (with_rules(WUTAI, exempt_paths=["coal_to_gas"]), False, None),
        (with_rules(WUTAI, exempt_paths=["coal_to_gas"]), True, date(2024, 6, 5)),
    ],
    ids=["verified", "unverified", "drill"],
)
def test_on_an_exempt_path_the_earliest_day_is_that_of_acceptance(
    of: Plan, drill: bool, earliest: date | None
) -> None:
    life = Life(Path.COAL_TO_GAS).to_acceptance()

    assert answer(life, date(2024, 6, 5), of, drill=drill).earliest == earliest


# 29 February


def test_the_last_day_of_a_leap_winter_is_the_29th_of_february() -> None:
    leap = seasons(ONE_WINTER, ("2023-2024", "2023-11-01", "2024-02-29"))
    life = Life(registered_on=date(2023, 1, 5))
    life.to_stable(date(2023, 7, 1))
    life.heat(date(2023, 11, 1))
    life.visits(date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 29))
    life.fault(date(2024, 2, 27), date(2024, 3, 1))
    on_the_last_day = life.facts()
    life.sign(date(2024, 3, 1), "2023-2024")

    assert season.running(on_the_last_day, leap, date(2024, 2, 29))
    assert not season.running(on_the_last_day, leap, date(2024, 3, 1))
    assert lengths(life, date(2024, 3, 1), leap) == [3]
    assert "season_served" in refusals(life, date(2024, 2, 29), leap)
    assert refusals(life, date(2024, 3, 1), leap) == set()


# Later knowledge


def test_what_is_recorded_later_undoes_the_answer_and_not_what_was_known() -> None:
    life = winter()
    life.fact(FactKind.FAULT, date(2024, 12, 1), PERMIT_DAY + DAY, what="不热")
    fault = life.events[-1].seq
    life.fact(FactKind.REPAIR, date(2024, 12, 6), PERMIT_DAY + DAY, fault=fault)

    assert refusals(life, PERMIT_DAY) == set()
    assert refusals(life, PERMIT_DAY + DAY) == {"no_long_outage"}


# What is open, and who


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        (FactKind.VIOLATION, {"type": "other", "by": "x", "what": "x"}),
        (FactKind.COMPLAINT, {"what": "x"}),
        (FactKind.FINDING, {"what": "x", "severity": "serious"}),
    ],
    ids=["violation", "complaint", "finding"],
)
def test_what_is_open_refuses_until_it_is_answered(
    kind: FactKind, evidence: dict[str, str]
) -> None:
    life = winter()
    seq = life.add(kind, date(2024, 8, 1), evidence)
    before = refusals(life)
    life.fact(FactKind.RESOLVE, PERMIT_DAY, id=seq, outcome="unfounded")

    assert before == {"nothing_open"}
    assert refusals(life) == set()


def test_a_note_of_the_auditor_freezes_nothing() -> None:
    life = winter()
    life.fact(FactKind.FINDING, date(2024, 8, 1), what="x", severity="note")

    assert refusals(life) == set()


def test_who_accepted_does_not_permit_under_any_login() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.ACCEPT, date(2024, 7, 1), None, "li")
    life.good_winter()

    assert refusals(life) == {"separation"}


def test_asked_for_anybody_another_could_permit() -> None:
    facts = winter().facts()

    asked = question(facts, Trigger.PERMIT, PERMIT_DAY, of=ONE_WINTER)

    assert machine.ask(Trigger.PERMIT, asked).possible


@pytest.mark.parametrize("on", [PERMIT_DAY - DAY, PERMIT_DAY + DAY])
def test_a_permission_is_of_today(on: date) -> None:
    asked = question(winter().facts(), Trigger.PERMIT, PERMIT_DAY, of=ONE_WINTER, on=on, actor=LI)

    found = {reason.guard for reason in machine.ask(Trigger.PERMIT, asked).reasons}

    assert found == {"permitted_today" if on < PERMIT_DAY else "not_future"}


def test_all_reasons_come_at_once() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.ACCEPT, date(2024, 10, 20), date(2024, 11, 5), "li")
    life.fault(date(2024, 12, 1))
    life.fact(FactKind.COMPLAINT, date(2024, 12, 1), what="x")

    assert refusals(life) == {
        "no_long_outage",
        "outages_within_total",
        "heat_on_today",
        "first_heat_known",
        "warm_visits_made",
        "season_signed",
        "recorded_in_time",
        "nothing_open",
        "separation",
    }


# The earliest day


def test_before_the_winter_the_earliest_day_is_the_one_after_it() -> None:
    found = answer(Life().to_stable(), date(2024, 7, 2))

    assert found.earliest == LAST_DAY + DAY
    assert {reason.guard: reason.earliest for reason in found.reasons} == {
        "season_served": LAST_DAY + DAY,
        "first_heat_known": FIRST_DAY,
        "warm_visits_made": FIRST_DAY,
        "season_signed": LAST_DAY + DAY,
    }


def test_after_the_winter_what_is_only_missing_can_come_today() -> None:
    life = Life().to_stable()
    life.heat(FIRST_DAY)

    found = answer(life, PERMIT_DAY)

    assert {reason.guard for reason in found.reasons} == {"warm_visits_made", "season_signed"}
    assert found.earliest == PERMIT_DAY


def test_a_spoilt_last_winter_has_no_earliest_day_and_says_why() -> None:
    life = winter()
    life.fault(date(2024, 12, 1), date(2024, 12, 20))

    found = answer(life)

    assert (found.earliest, found.earliest_reason) == (None, season.NO_LATER_SEASON)


def test_an_open_outage_may_end_today_while_it_is_within_the_limit() -> None:
    life = Life().to_stable()
    life.fault(date(2024, 12, 1))

    assert answer(life, date(2024, 12, 5)).earliest == LAST_DAY + DAY
    assert answer(life, date(2024, 12, 6)).earliest is None


def test_an_unverified_number_of_seasons_has_no_earliest_day() -> None:
    verified = seasons(WUTAI, ("2024-2025", "2024-11-01", "2025-03-15"))
    facts = Life().to_stable().facts()
    today = date(2024, 7, 2)

    assert season.earliest(facts, verified, today, drill=True) == (LAST_DAY + DAY, None)
    assert season.earliest(facts, verified, today, drill=False)[0] is None


def test_unverified_dates_have_no_earliest_day() -> None:
    unverified = seasons(ONE_WINTER, ("2024-2025", "2024-11-01", "2025-03-15"), verified=False)
    facts = Life().to_stable().facts()
    today = date(2024, 7, 2)

    assert season.earliest(facts, unverified, today, drill=True) == (LAST_DAY + DAY, None)
    assert season.earliest(facts, unverified, today, drill=False)[0] is None


@pytest.mark.parametrize(
    ("trigger", "earliest"), [(Trigger.PERMIT, LAST_DAY + DAY), (Trigger.ACCEPT, date(2024, 2, 6))]
)
def test_an_unconfirmed_household_waits_for_its_notice_first(
    trigger: Trigger, earliest: date
) -> None:
    # 公示 of 5 days from 2 February, both end days counted.
    facts = Life().facts()

    found = machine.ask(trigger, question(facts, trigger, date(2024, 2, 2), of=ONE_WINTER))

    assert found.earliest == earliest


def test_a_household_confirmed_too_late_for_the_winter_misses_it() -> None:
    facts = Life().facts()
    days = [FIRST_DAY - 4 * DAY, FIRST_DAY - 3 * DAY]

    found = [
        machine.ask(Trigger.PERMIT, question(facts, Trigger.PERMIT, day, of=ONE_WINTER)).earliest
        for day in days
    ]

    assert found == [LAST_DAY + DAY, None]


# The outage days, against a plain count day by day


DAYS = st.integers(-20, 160).map(lambda offset: FIRST_DAY + timedelta(days=offset))


@given(
    faults=st.lists(st.tuples(DAYS, st.none() | st.integers(0, 12)), max_size=5),
    visits=st.lists(st.tuples(DAYS, st.sampled_from([10.0, 16.4, 16.5, 20.0])), max_size=6),
    heated=st.none() | DAYS,
    today=DAYS,
)
def test_outages_are_what_a_count_day_by_day_finds(
    faults: list[tuple[date, int | None]],
    visits: list[tuple[date, float]],
    heated: date | None,
    today: date,
) -> None:
    life = Life().to_stable()
    for on, days in faults:
        life.fault(on, None if days is None else on + days * DAY)
    for on, temperature in visits:
        life.visits(on, temperature=temperature)
    if heated:
        life.heat(heated)

    without_heat = [
        day
        for day in (FIRST_DAY + timedelta(days=offset) for offset in range(135))
        if _out(day, faults, visits, heated, today)
    ]

    assert sum(lengths(life, today)) == len(without_heat)
    assert len(lengths(life, today)) == sum(day - DAY not in without_heat for day in without_heat)


def _out(
    day: date,
    faults: list[tuple[date, int | None]],
    visits: list[tuple[date, float]],
    heated: date | None,
    today: date,
) -> bool:
    by_fault = any(
        on <= day and (day < today if days is None else day < on + days * DAY)
        for on, days in faults
    )
    seen = [visit for visit in sorted(visits, key=lambda visit: visit[0]) if visit[0] <= day]
    warm_later = any(on > day and temperature >= 16.5 for on, temperature in visits)
    by_visit = bool(seen) and seen[-1][1] < 16.5 and (warm_later or day < today)
    # A heat after the last day is the next winter's.
    late = heated and FIRST_DAY + 3 * DAY < heated <= FIRST_DAY + 134 * DAY
    return by_fault or by_visit or bool(late and heated and day < heated)


# `earliest` is exact: before it nothing helps, on it the missing papers do


FAR = date(2026, 5, 1)
BOTH = seasons(
    ONE_WINTER,
    ("2024-2025", "2024-11-01", "2025-03-15"),
    ("2025-2026", "2025-11-05", "2026-03-20"),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Life, date]:
    """A case in 稳定运行一季 with anything behind it, and the day on which one asks."""

    def some_day(first: date, last: date) -> date:
        return first + timedelta(days=draw(st.integers(0, (last - first).days)))

    today = some_day(date(2024, 7, 1), FAR)
    life = Life().to_acceptance()
    accepted = some_day(date(2024, 6, 2), min(today, date(2025, 11, 20)))
    recorded = min(today, accepted + draw(st.sampled_from([0, 1, 30])) * DAY)
    late = {"late_document": "bz.pdf"} if draw(st.booleans()) else {}
    life.accept(accepted, recorded, **late)
    for _ in range(draw(st.integers(0, 3))):
        on = some_day(date(2024, 9, 1), today) if today > date(2024, 9, 1) else today
        days = draw(st.none() | st.integers(0, 7))
        ended = None if days is None or on + days * DAY > today else on + days * DAY
        if draw(st.booleans()):
            life.fault(on, ended)
        else:
            life.visits(on, temperature=10.0)
            life.visits(*([ended] if ended else []))
    if draw(st.booleans()):
        life.heat(some_day(date(2024, 6, 2), today))
    if draw(st.booleans()):
        life.visits(*(day for day in (date(2024, 12, 1), date(2026, 1, 2)) if day <= today))
    return life, today


def supplied(life: Life, of: Plan, asked: date, today: date) -> CaseFacts:
    """The case with all that can still come by `today`, as early as it can from `asked` on."""
    life_after = Life()
    life_after.events, life_after.state = list(life.events), life.state
    facts = life.facts()
    for fault in facts.faults:
        if fault.repaired_on is None:
            life_after.fact(FactKind.REPAIR, asked, fault=fault.seq)
    life_after.visits(asked)
    for known in filter(None, map(season.dated, of.seasons_of(facts.area, facts.path))):
        if known.first_day <= today and season.first_heat(facts, of, known) is None:
            life_after.heat(known.first_day)
        if known.last_day < asked:
            # Visits that were made and not recorded, on a day that no recorded spell covers.
            warm = [day for day in _days(known) if not _cold(facts, day)]
            life_after.visits(*warm[:1] * 3)
        elif max(asked, known.first_day) <= today:
            life_after.visits(*[max(asked, known.first_day)] * 3)
        if known.last_day < today:
            life_after.sign(today, known.label)
    return life_after.facts()


def _days(known: season.Dated) -> list[date]:
    length = (known.last_day - known.first_day).days + 1
    return [known.first_day + timedelta(days=offset) for offset in range(length)]


def _cold(facts: CaseFacts, day: date) -> bool:
    seen = [v for v in sorted(facts.visits, key=lambda v: (v.on, v.seq)) if v.on <= day]
    return bool(seen) and seen[-1].temperature < 16.5


@pytest.mark.parametrize(
    "of", [BOTH, with_rules(BOTH, required_seasons=2)], ids=["one winter", "two winters"]
)
@settings(max_examples=150, deadline=None)
@given(history=histories())
def test_earliest_is_exact(of: Plan, history: tuple[Life, date]) -> None:
    life, asked = history
    found = machine.ask(
        Trigger.PERMIT, question(life.facts(), Trigger.PERMIT, asked, of=of, actor=LI)
    )
    last = found.earliest or FAR + 200 * DAY
    # A refusal can only end where a winter has ended, so these days stand for all between.
    ends = [d.last_day for d in map(season.dated, of.seasons) if d and asked <= d.last_day < last]
    days = {asked, *ends, *(end + DAY for end in ends), last - DAY}

    for day in sorted(day for day in days if asked <= day < last):
        facts = supplied(life, of, asked, day)
        assert machine.ask(
            Trigger.PERMIT, question(facts, Trigger.PERMIT, day, of=of, actor=LI)
        ).reasons, f"permitted on {day}, before {found.earliest}"
    if found.earliest:
        facts = supplied(life, of, asked, found.earliest)
        after = machine.ask(
            Trigger.PERMIT, question(facts, Trigger.PERMIT, found.earliest, of=of, actor=LI)
        )
        assert after.reasons == ()


# What pages and reports say of a winter


def one_winter() -> season.Dated:
    (found,) = season.known_seasons(Life().to_stable().facts(), ONE_WINTER)
    return found


@pytest.mark.parametrize(
    ("today", "label"),
    [
        (FIRST_DAY - DAY, None),
        (FIRST_DAY, "2024-2025"),
        (LAST_DAY, "2024-2025"),
        (LAST_DAY + DAY, None),
    ],
)
def test_the_winter_that_runs_is_named_on_both_its_end_days(today: date, label: str | None) -> None:
    assert season.winter(Life().to_stable().facts(), ONE_WINTER, today) == label


@pytest.mark.parametrize(("heat", "late"), [(None, False), (3, False), (4, True)])
def test_first_heat_is_late_past_the_grace_and_unknown_is_not_late(
    heat: int | None, late: bool
) -> None:
    life = Life().to_stable()
    if heat is not None:
        life.heat(FIRST_DAY + heat * DAY)

    assert season.first_heat_late(life.facts(), ONE_WINTER, one_winter()) is late


@pytest.mark.parametrize(
    ("on", "temperature", "cold"),
    [
        (FIRST_DAY - DAY, 10.0, 0),
        (FIRST_DAY, 10.0, 1),
        (LAST_DAY, 10.0, 1),
        (LAST_DAY + DAY, 10.0, 0),
        (FIRST_DAY, 16.4, 1),
        (FIRST_DAY, 16.5, 0),
    ],
)
def test_cold_visits_are_counted_within_the_winter(on: date, temperature: float, cold: int) -> None:
    life = Life().to_stable()
    life.visits(on, temperature=temperature)
    life.visits(FIRST_DAY + DAY)

    assert season.cold_visits(life.facts(), ONE_WINTER, one_winter()) == cold


def test_what_keeps_the_heating_out_is_told_with_its_day_and_nothing_where_nothing_does() -> None:
    life = Life().to_stable()
    assert season.outage_open(life.facts(), ONE_WINTER) is None
    life.visits(FIRST_DAY, temperature=10.0)
    cold = season.outage_open(life.facts(), ONE_WINTER)
    life.visits(FIRST_DAY + DAY)
    warm = season.outage_open(life.facts(), ONE_WINTER)
    life.fault(FIRST_DAY + 2 * DAY)
    out = season.outage_open(life.facts(), ONE_WINTER)

    assert cold is not None
    assert cold[0] == FIRST_DAY
    assert warm is None
    assert out is not None
    assert out[0] == FIRST_DAY + 2 * DAY
