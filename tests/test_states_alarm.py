from datetime import date

import pytest
from factories import DAY, XIAOXIAN, Life, with_seasons

from states import alarm
from states.plan import Plan
from states.vocabulary import FactKind, Kind, Path, RemovedBy, State, Trigger

IN_SEASON = date(2024, 12, 10)
FIRST_DAY, LAST_DAY = date(2024, 11, 1), date(2025, 3, 15)


def gone(status: str = "removed", on: date = date(2024, 5, 1), life: Life | None = None) -> Life:
    """A household whose kang is gone, before any works."""
    life = life or Life()
    life.fact(FactKind.OLD_FACILITY, on, facility="kang", status=status, by=RemovedBy.UNKNOWN)
    return life


def rings(life: Life, as_of: date = IN_SEASON) -> bool:
    """Whether the alarm rings, as the case was known on that day."""
    return alarm.gravest(life.facts(as_of), XIAOXIAN, as_of) is not None


@pytest.mark.parametrize(
    ("status", "rung"),
    [("removed", True), ("sealed", True), ("standby", False), ("in_use", False)],
)
def test_an_old_facility_removed_or_sealed_and_no_new_heat_rings(status: str, rung: bool) -> None:
    assert rings(gone(status)) is rung


@pytest.mark.parametrize("by", list(RemovedBy))
def test_it_rings_whoever_did_it(by: RemovedBy) -> None:
    life = Life()
    life.fact(FactKind.OLD_FACILITY, date(2024, 5, 1), facility="kang", status="sealed", by=by)

    assert rings(life)


def test_it_rings_for_a_unit_as_for_a_household() -> None:
    assert rings(gone(life=Life(kind=Kind.COLLECTIVE)))


@pytest.mark.parametrize("state", list(State))
def test_it_rings_in_every_state_closed_too(state: State) -> None:
    facts = gone().facts()
    facts.state = state

    assert alarm.gravest(facts, XIAOXIAN, IN_SEASON)


def test_it_does_not_ring_while_the_new_heating_works() -> None:
    life = gone(life=Life().to_stable())
    life.visits(date(2024, 11, 20))

    assert not rings(life)


def test_installed_is_not_ready() -> None:
    life = gone(life=Life().to_construction())
    life.fact(FactKind.WORKS, date(2024, 6, 1), installed_on=date(2024, 6, 1))

    assert rings(life)


def test_ready_works_are_heat_before_they_are_accepted() -> None:
    life = gone(life=Life().to_construction())
    life.fact(FactKind.WORKS, IN_SEASON, ready_on=IN_SEASON)

    assert rings(life, IN_SEASON - DAY)
    assert not rings(life, IN_SEASON)


def test_an_open_fault_is_no_heat_until_its_repair() -> None:
    life = gone(life=Life().to_stable())
    life.fault(IN_SEASON, repaired=IN_SEASON + 2 * DAY)

    assert [rings(life, IN_SEASON + day * DAY) for day in (-1, 0, 1, 2)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("temperature", "rung"), [(16.4, True), (16.5, False)])
def test_a_last_visit_that_was_cold_is_no_heat(temperature: float, rung: bool) -> None:
    life = gone(life=Life().to_stable())
    life.visits(date(2024, 11, 20))
    life.visits(date(2024, 12, 1), temperature=temperature)

    assert rings(life) is rung


@pytest.mark.parametrize("trigger", [Trigger.REPLACE, Trigger.OVERTURN])
def test_a_device_taken_out_or_overturned_is_no_heat_until_works_are_ready_again(
    trigger: Trigger,
) -> None:
    life = gone(life=Life().to_stable())
    life.step(trigger, IN_SEASON, findings="坏", put_right_by=IN_SEASON + 9 * DAY)
    life.complete(IN_SEASON + 5 * DAY)

    assert rings(life)
    assert not rings(life, IN_SEASON + 5 * DAY)


@pytest.mark.parametrize(("keep", "rung"), [("yes", False), ("no", True)])
def test_a_change_of_path_is_no_heat_unless_the_device_stays(keep: str, rung: bool) -> None:
    life = gone(life=Life().to_stable())
    life.step(Trigger.CHANGE_PATH, date(2024, 9, 1), path="central_heating", keep_device=keep)

    assert rings(life) is rung


@pytest.mark.parametrize(
    ("as_of", "rung"),
    [
        (FIRST_DAY - DAY, False),
        (FIRST_DAY, True),
        (LAST_DAY, True),
        (LAST_DAY + DAY, False),
        (date(2025, 7, 1), False),
    ],
    ids=str,
)
def test_it_rings_on_both_end_days_of_a_season_and_rests_between_seasons(
    as_of: date, rung: bool
) -> None:
    assert rings(gone(), as_of) is rung


@pytest.mark.parametrize("path", [Path.CLEAN_COAL, Path.SOLAR], ids=["no dates", "not listed"])
def test_where_no_season_is_known_it_rings_all_year(path: Path) -> None:
    assert rings(gone(life=Life(path)), date(2024, 7, 15))


@pytest.mark.parametrize(
    ("as_of", "rung"),
    [
        (date(2026, 3, 21), True),
        (date(2026, 12, 10), True),
        (date(2027, 12, 31), True),
        (date(2028, 1, 1), False),
    ],
    ids=str,
)
def test_a_winter_listed_without_dates_may_be_on_at_any_time(as_of: date, rung: bool) -> None:
    assert rings(gone(), as_of) is rung


def test_each_path_and_area_has_its_own_season() -> None:
    assert rings(gone(life=Life(Path.BIOMASS)), date(2024, 10, 25))
    assert not rings(gone(), date(2024, 10, 25))


def test_an_open_violation_says_that_the_facility_is_gone_until_it_is_answered() -> None:
    life = Life()
    seq = life.fact(
        FactKind.VIOLATION, date(2024, 11, 20), type="kang_sealed", by="village", what="封火炕"
    )
    life.fact(FactKind.RESOLVE, IN_SEASON, id=seq, outcome="unfounded")

    assert rings(life, IN_SEASON - DAY)
    assert not rings(life, IN_SEASON)


@pytest.mark.parametrize("type_", ["coal_confiscated", "other"])
def test_other_violations_do_not_ring(type_: str) -> None:
    life = Life()
    life.fact(FactKind.VIOLATION, date(2024, 11, 20), type=type_, by="village", what="没收煤炭")

    assert not rings(life)


def test_a_facility_built_again_stops_it() -> None:
    life = gone()
    life.fact(FactKind.OLD_FACILITY, IN_SEASON, facility="kang", status="in_use", by="household")

    assert rings(life, IN_SEASON - DAY)
    assert not rings(life)


def test_one_of_two_facilities_gone_is_enough() -> None:
    life = Life()
    life.confirm(date(2024, 2, 1), old_facility=["kang:in_use", "stove:in_use"])

    assert rings(gone(life=life))


def test_it_says_what_is_wrong() -> None:
    life = gone(life=Life().to_stable())
    seq = life.fault(IN_SEASON)

    told = alarm.gravest(life.facts(), XIAOXIAN, IN_SEASON)

    assert told is not None
    assert str(seq) in told.why
    assert "故障" in told.why


# Which households have to be looked at, and when ---------------------------------------------

ONE_UNKNOWN = with_seasons(
    XIAOXIAN,
    ("2023-2024", "2023-11-01", "2024-03-15"),
    ("2024-2025", None, None),
    ("2025-2026", "2025-11-01", "2026-03-15"),
)
FAULTY = Life().to_stable()
FAULTY.heat(date(2024, 7, 2))
FAULTY.fault(date(2024, 8, 1))


@pytest.mark.parametrize("of", [XIAOXIAN, ONE_UNKNOWN, with_seasons(XIAOXIAN)])
@pytest.mark.parametrize("life", [Life(), gone(), Life().to_stable(), gone(life=FAULTY)])
def test_between_two_looks_the_alarm_does_not_change_its_mind(life: Life, of: Plan) -> None:
    facts = life.facts()
    look = day = date(2024, 9, 1)
    said = alarm.gravest(facts, of, day)

    while day < date(2026, 5, 1):
        if day == look:
            said, look = alarm.gravest(facts, of, day), alarm.next_look(facts, of, day)
        assert alarm.gravest(facts, of, day) == said, day
        assert said is None or alarm.without_heat_since(facts, of)
        day += DAY


@pytest.mark.parametrize(
    ("life", "since"),
    [
        (Life(), None),
        (gone(), date(2024, 5, 1)),
        (gone(life=Life().to_stable()), None),
        (gone(life=FAULTY), date(2024, 8, 1)),
    ],
)
def test_a_household_is_without_heat_since_the_later_of_both_went(
    life: Life, since: date | None
) -> None:
    assert alarm.without_heat_since(life.facts(), XIAOXIAN) == since
