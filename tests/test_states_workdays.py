from datetime import UTC, date, datetime

import chinese_calendar
import pytest
from factories import WUTAI

from states import workdays

NEWEST_PLAN_YEAR = WUTAI.year


def test_the_last_working_day_of_the_works_is_before_the_holiday() -> None:
    assert workdays.NATIONAL.last_workday(date(2023, 9, 30)) == date(2023, 9, 28)


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (date(2023, 9, 28), True),
        (date(2023, 9, 29), False),
        (date(2023, 9, 30), False),
        (date(2023, 10, 6), False),
        (date(2023, 10, 7), True),
        (date(2023, 10, 8), True),
        (date(2023, 10, 13), True),
        (date(2023, 10, 14), False),
    ],
    ids=str,
)
def test_holidays_and_make_up_days_are_those_of_the_state_council(day: date, working: bool) -> None:
    assert workdays.NATIONAL.is_workday(day) is working
    assert workdays.NATIONAL.known(day)


def test_the_acceptance_phase_has_seven_working_days_ending_with_the_thirteenth() -> None:
    assert workdays.NATIONAL.workdays_left(date(2023, 9, 30), date(2023, 10, 14)) == 7
    assert workdays.NATIONAL.last_workday(date(2023, 10, 14)) == date(2023, 10, 13)


def test_the_day_after_which_one_counts_is_left_out_and_the_last_is_in() -> None:
    assert workdays.NATIONAL.workdays_left(date(2023, 10, 12), date(2023, 10, 13)) == 1
    assert workdays.NATIONAL.workdays_left(date(2023, 10, 13), date(2023, 10, 13)) == 0


def test_no_working_days_are_left_when_the_end_has_passed() -> None:
    assert workdays.NATIONAL.workdays_left(date(2023, 10, 20), date(2023, 10, 13)) == 0


def test_the_last_working_day_of_a_working_day_is_itself() -> None:
    assert workdays.NATIONAL.last_workday(date(2023, 10, 13)) == date(2023, 10, 13)


def test_past_the_data_a_working_day_is_monday_to_friday_and_not_known() -> None:
    week = [date(2190, 10, day) for day in range(4, 11)]

    assert [day.isoweekday() for day in week] == [1, 2, 3, 4, 5, 6, 7]
    assert [workdays.NATIONAL.is_workday(day) for day in week] == [True] * 5 + [False] * 2
    assert not any(workdays.NATIONAL.known(day) for day in week)


def test_before_the_data_a_day_is_not_known_either() -> None:
    assert not workdays.NATIONAL.known(date(1999, 10, 1))
    assert workdays.NATIONAL.is_workday(date(1999, 10, 1))


@pytest.mark.parametrize("year", [NEWEST_PLAN_YEAR, NEWEST_PLAN_YEAR + 1])
def test_the_installed_calendar_knows_the_years_of_the_newest_plan(year: int) -> None:
    # When this rings: a newer chinesecalendar is needed before a plan of that year is shipped.
    assert workdays.NATIONAL.known(date(year, 1, 1)), f"chinesecalendar has no data for {year}"
    assert workdays.NATIONAL.known(date(year, 12, 31))
    assert any(day.year == year for day in chinese_calendar.holidays)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2023, 9, 30, 15, 59, 59, tzinfo=UTC), date(2023, 9, 30)),
        (datetime(2023, 9, 30, 16, 0, tzinfo=UTC), date(2023, 10, 1)),
        (datetime(2023, 12, 31, 16, 0, tzinfo=UTC), date(2024, 1, 1)),
    ],
    ids=str,
)
def test_the_county_day_begins_at_sixteen_hours_utc(instant: datetime, day: date) -> None:
    assert workdays.local_date(instant) == day
