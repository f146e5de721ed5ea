import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import chinese_calendar
import pytest
from factories import WUTAI
from hypothesis import given
from hypothesis import strategies as st

from states import workdays
from states.errors import PlanFault
from states.workdays import NATIONAL, ONE_DAY, Calendar, Holidays

NEWEST_PLAN_YEAR = WUTAI.year
# A year that no shipped data will know; 2099-10-01 is a Thursday.
ENTERED = Holidays(
    2099,
    "国办发明电〔2098〕0号",
    frozenset({date(2099, 10, 1), date(2099, 10, 2), date(2099, 10, 5)}),
    frozenset({date(2099, 10, 10)}),
)
COUNTY = Calendar((ENTERED,))
DOCUMENT: dict[str, object] = {
    "year": 2099,
    "source": "国办发明电〔2098〕0号",
    "off": [date(2099, 10, 1), "2099-10-02", date(2099, 10, 5)],
    "working": ["2099-10-10"],
}


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


def test_what_the_county_entered_comes_before_the_shipped_days() -> None:
    own = Calendar((Holidays(2023, "县里", frozenset({date(2023, 9, 28)}), frozenset()),))

    assert own.last_workday(date(2023, 9, 30)) == date(2023, 9, 29)
    assert not own.is_workday(date(2023, 9, 28))
    # The entry is the whole year: the make-up days it does not name are none.
    assert not own.is_workday(date(2023, 10, 7))
    assert own.is_workday(date(2024, 10, 8))


def test_the_last_entry_of_a_year_counts() -> None:
    twice = Calendar((ENTERED, Holidays(2099, "更正", frozenset(), frozenset())))

    assert twice.is_workday(date(2099, 10, 1))
    assert not twice.is_workday(date(2099, 10, 10))


def test_an_entered_year_is_known_and_counts_by_its_days() -> None:
    days = [date(2099, 10, day) for day in (1, 2, 3, 4, 5, 6, 10)]

    assert COUNTY.known(date(2099, 1, 1))
    assert not COUNTY.known(date(2098, 12, 31))
    assert [COUNTY.is_workday(day) for day in days] == [False] * 5 + [True] * 2
    assert COUNTY.last_workday(date(2099, 10, 5)) == date(2099, 9, 30)
    assert COUNTY.after(date(2099, 9, 30), 1) == date(2099, 10, 6)


@given(st.dates(date(2022, 1, 1), date(2024, 12, 31)), st.integers(0, 60))
def test_before_and_after_count_the_same_working_days(day: date, number: int) -> None:
    later, earlier = NATIONAL.after(day, number), NATIONAL.before(day, number)

    assert NATIONAL.workdays_left(day, later) == number
    assert NATIONAL.workdays_left(earlier, day) == number
    # One day more would be one working day more: the day after `earlier` is one.
    assert number == 0 or NATIONAL.is_workday(earlier + ONE_DAY)
    assert number == 0 or NATIONAL.is_workday(later)


@pytest.mark.parametrize(
    ("today", "missing"),
    [
        (date(2098, 12, 14), None),
        (date(2098, 12, 15), None),
        (date(2099, 12, 14), None),
        (date(2099, 12, 15), 2100),
        (date(2099, 12, 31), 2100),
        (date(2100, 1, 1), None),
    ],
)
def test_the_bell_rings_from_15_december_while_the_coming_year_is_missing(
    today: date, missing: int | None
) -> None:
    assert COUNTY.missing(today) == missing


def test_the_bell_is_still_when_the_shipped_data_know_the_coming_year() -> None:
    assert NATIONAL.missing(date(2023, 12, 31)) is None


def rings(today: date) -> None:
    """The bell itself: fails while the installed data lack the year to come."""
    year = NATIONAL.missing(today)
    assert year is None, f"chinesecalendar has no data for {year}: raise its lower bound"


def test_the_installed_calendar_knows_the_year_to_come() -> None:
    rings(workdays.local_date(datetime.now(UTC)))


def test_the_bell_would_be_heard() -> None:
    _, last = workdays.shipped_years()

    rings(date(last, 12, 14))
    with pytest.raises(AssertionError, match=str(last + 1)):
        rings(date(last, 12, 15))


def test_the_shipped_years_are_those_of_the_data() -> None:
    first, last = workdays.shipped_years()

    assert NATIONAL.known(date(first, 1, 1))
    assert NATIONAL.known(date(last, 12, 31))
    assert not NATIONAL.known(date(first - 1, 12, 31))
    assert not NATIONAL.known(date(last + 1, 1, 1))


def test_a_countys_file_and_the_journal_give_the_same_holidays() -> None:
    assert workdays.holidays_of(DOCUMENT, "2099.toml") == ENTERED


def test_the_example_is_a_right_file() -> None:
    text = (Path(__file__).parent.parent / "docs/example/holidays-2027.toml").read_text("utf-8")

    found = workdays.holidays_of(tomllib.loads(text), "holidays-2027.toml")

    assert (found.year, len(found.off), len(found.working)) == (2027, 17, 5)
    assert "示例" in found.source


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("year", 1999, "year"),
        ("year", "2099", "year"),
        ("year", True, "year"),
        ("source", " ", "source"),
        ("source", None, "source"),
        ("off", [], "没有列出放假日"),
        ("off", "2099-10-01", "列表"),
        ("off", ["国庆"], "不是日期"),
        ("off", [date(2098, 10, 1)], "不是 2099 年"),
        ("off", [datetime(2099, 10, 1, 8, tzinfo=UTC)], "不是 2099 年"),
        ("off", [date(2099, 10, 3)], "本就是周末"),
        ("off", [date(2099, 10, 1), "2099-10-01"], "列了两次"),
        ("working", [date(2099, 10, 1)], "本就是周一至周五"),
        ("weekend", [], "不认识的键"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_key(key: str, value: object, told: str) -> None:
    with pytest.raises(PlanFault) as refusal:
        workdays.holidays_of({**DOCUMENT, key: value}, "2099.toml")

    assert told in refusal.value.message
    assert refusal.value.place == f"2099.toml: {key}"
    assert refusal.value.remedy
