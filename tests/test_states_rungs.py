from datetime import date, timedelta

import pytest
from factories import WUTAI
from hypothesis import given
from hypothesis import strategies as st

from states import rungs
from states.rungs import Rung
from states.vocabulary import Clock, Level, Role
from states.workdays import NATIONAL, ONE_DAY

WORKS_END = date(2023, 9, 30)
LADDER = {
    date(2023, 8, 31): "remind_30",
    date(2023, 9, 16): "remind_14",
    date(2023, 9, 23): "remind_7",
    date(2023, 9, 27): "remind_3",
    date(2023, 9, 29): "remind_1",
    date(2023, 10, 1): "yellow",
    # 10-07 and 10-08 are make-up working days: the third and the seventh count from there.
    date(2023, 10, 9): "orange",
    date(2023, 10, 13): "red",
}


def test_the_ladder_counts_working_days_over_the_october_holiday() -> None:
    found = {on: rung.name for on, rung in rungs.ladder(WORKS_END, WUTAI)}

    assert found == LADDER
    assert list(found) == sorted(found)


@pytest.mark.parametrize(("on", "name"), LADDER.items(), ids=LADDER.values())
def test_a_rung_is_reached_on_its_day_and_not_on_the_day_before(on: date, name: str) -> None:
    before = rungs.standing(WORKS_END, on - ONE_DAY, WUTAI)
    then = rungs.standing(WORKS_END, on, WUTAI)

    assert name not in [rung.name for rung in before.reached]
    assert before.next_on == on
    assert then.reached[-1].name == name
    assert then.reached[:-1] == before.reached


def test_after_the_last_rung_none_is_to_come() -> None:
    standing = rungs.standing(WORKS_END, date(2023, 10, 13), WUTAI)

    assert [rung.name for rung in standing.reached] == list(LADDER.values())
    assert standing.next_on is None


def test_before_the_first_rung_none_is_reached() -> None:
    standing = rungs.standing(WORKS_END, date(2023, 8, 30), WUTAI)

    assert standing.reached == ()
    assert standing.next_on == date(2023, 8, 31)


def test_on_the_deadline_itself_nothing_is_late() -> None:
    reached = rungs.standing(WORKS_END, WORKS_END, WUTAI).reached

    assert {rung.level for rung in reached} == {Level.REMIND}


@given(
    st.dates(date(2023, 1, 1), date(2024, 12, 31)),
    st.integers(min_value=-60, max_value=40),
)
def test_the_next_rung_is_the_first_that_is_not_reached(due_on: date, offset: int) -> None:
    as_of = due_on + timedelta(days=offset)

    standing = rungs.standing(due_on, as_of, WUTAI)

    days = [on for on, _ in rungs.ladder(due_on, WUTAI)]
    assert len(standing.reached) == sum(on <= as_of for on in days)
    assert standing.next_on == min((on for on in days if on > as_of), default=None)


@given(st.dates(date(2023, 1, 1), date(2024, 11, 30)))
def test_orange_and_red_come_after_three_and_seven_working_days(due_on: date) -> None:
    on = {rung.name: day for day, rung in rungs.ladder(due_on, WUTAI)}

    assert NATIONAL.workdays_left(due_on, on["orange"]) == 3
    assert NATIONAL.workdays_left(due_on, on["red"]) == 7
    assert NATIONAL.is_workday(on["orange"])
    assert NATIONAL.is_workday(on["red"])


def test_a_rung_is_called_by_its_level_and_a_reminder_by_its_days_too() -> None:
    assert [Rung(Level.REMIND, 14).name, Rung(Level.RED, 7).name] == ["remind_14", "red"]
    assert [Rung(Level.REMIND, 14).label, Rung(Level.RED, 7).label] == [
        "到期前 14 天提醒",
        "红色预警",
    ]


@pytest.mark.parametrize(
    ("level", "roles"),
    [
        (Level.REMIND, {Role.UNIT_OFFICER}),
        (Level.YELLOW, {Role.UNIT_OFFICER}),
        (Level.ORANGE, {Role.UNIT_OFFICER, Role.UNIT_HEAD}),
        (Level.RED, {Role.UNIT_OFFICER, Role.UNIT_HEAD, Role.COUNTY_OFFICE}),
        (Level.GRAVEST, set(Role) - {Role.SYSTEM}),
    ],
)
def test_the_higher_the_rung_the_more_are_told(level: Level, roles: set[Role]) -> None:
    assert rungs.told(Clock.WORKS, level) == roles


@pytest.mark.parametrize("level", [Level.REMIND, Level.YELLOW, Level.ORANGE, Level.RED])
@pytest.mark.parametrize("clock", [clock for clock in Clock if clock is not Clock.HEAT])
def test_every_clock_tells_somebody_of_every_rung(clock: Clock, level: Level) -> None:
    assert rungs.told(clock, level)
