from datetime import date, timedelta
from itertools import pairwise

import pytest
from factories import WUTAI, XIAOXIAN
from hypothesis import given
from hypothesis import strategies as st

from states import schedule
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import Trigger
from states.workdays import NATIONAL, ONE_DAY, Calendar, Holidays

PLANS = st.sampled_from([WUTAI, XIAOXIAN])
DAYS = st.dates(date(2023, 5, 1), date(2024, 12, 31))
STEPS = st.sampled_from(LEAD_TRIGGERS)
TASKS = st.integers(min_value=0, max_value=4000)


def test_the_steps_are_scheduled_backwards_from_the_last_working_day_of_the_works() -> None:
    # Lead days: confirm 8, select 4, complete 12. 09-13 to 09-28 are twelve working days.
    assert schedule.targets(WUTAI) == {
        Trigger.CONFIRM: date(2023, 9, 6),
        Trigger.SELECT: date(2023, 9, 12),
        Trigger.COMPLETE: date(2023, 9, 28),
        Trigger.ACCEPT: date(2023, 10, 13),
    }


def test_where_the_preparation_is_not_historic_its_own_steps_end_with_it() -> None:
    # 2024-03-31 is a Sunday; the three lead days of 选型 lie between both targets.
    assert schedule.targets(XIAOXIAN) == {
        Trigger.CONFIRM: date(2024, 3, 26),
        Trigger.SELECT: date(2024, 3, 29),
        Trigger.COMPLETE: date(2024, 8, 30),
        Trigger.ACCEPT: date(2024, 9, 20),
    }


def test_a_step_begins_when_it_can_be_done_at_the_earliest() -> None:
    # The notice is of Friday 2023-05-19; 06-22 and 06-23 are 端午, 06-25 is worked.
    assert {step: schedule.begins_on(WUTAI, step) for step in LEAD_TRIGGERS} == {
        Trigger.CONFIRM: date(2023, 5, 31),
        Trigger.SELECT: date(2023, 6, 6),
        Trigger.COMPLETE: date(2023, 6, 25),
        # The notice begins the acceptance on 10-01.
        Trigger.ACCEPT: date(2023, 9, 30),
    }


@pytest.mark.parametrize("trigger", LEAD_TRIGGERS)
def test_the_task_is_reached_on_the_target_day_and_not_before(trigger: Trigger) -> None:
    target = schedule.targets(WUTAI)[trigger]

    assert schedule.planned(WUTAI, 686, trigger, target) == 686
    assert schedule.planned(WUTAI, 686, trigger, target - ONE_DAY) < 686
    assert schedule.planned(WUTAI, 686, trigger, target + ONE_DAY) == 686


@pytest.mark.parametrize("trigger", LEAD_TRIGGERS)
def test_nothing_is_planned_until_the_step_can_be_done(trigger: Trigger) -> None:
    begins = schedule.begins_on(WUTAI, trigger)
    first = NATIONAL.after(begins, 1)

    assert schedule.planned(WUTAI, 686, trigger, begins) == 0
    assert schedule.planned(WUTAI, 686, trigger, first) > 0


def test_the_curve_of_doucun_by_hand() -> None:
    # 豆村镇, 施工, 686 households: 5 working days from 06-26, 21 in July, 23 in August, and 20 in
    # September until the 28th.
    by_month = {
        month: schedule.planned(WUTAI, 686, Trigger.COMPLETE, end)
        for month, end in schedule.months(WUTAI).items()
    }

    assert by_month == {
        "2023-05": 0,
        "2023-06": 686 * 5 // 69,
        "2023-07": 686 * 26 // 69,
        "2023-08": 686 * 49 // 69,
        "2023-09": 686,
        "2023-10": 686,
    }


@given(PLANS, TASKS, STEPS, DAYS)
def test_a_curve_never_falls_and_stays_within_the_task(
    plan: Plan, task: int, trigger: Trigger, day: date
) -> None:
    today, tomorrow = (schedule.planned(plan, task, trigger, on) for on in (day, day + ONE_DAY))

    assert 0 <= today <= tomorrow <= task


@given(PLANS, TASKS, STEPS, DAYS)
def test_no_day_off_asks_for_more(plan: Plan, task: int, trigger: Trigger, day: date) -> None:
    before, then = (schedule.planned(plan, task, trigger, on) for on in (day - ONE_DAY, day))

    assert before == then or plan.calendar.is_workday(day)


@given(PLANS, TASKS, DAYS)
def test_no_step_is_planned_ahead_of_the_one_before_it(plan: Plan, task: int, day: date) -> None:
    steps = [schedule.planned(plan, task, trigger, day) for trigger in LEAD_TRIGGERS]

    assert steps == sorted(steps, reverse=True)


@given(PLANS, STEPS, DAYS)
def test_the_units_together_never_exceed_the_county(
    plan: Plan, trigger: Trigger, day: date
) -> None:
    units = sum(schedule.planned(plan, unit.task, trigger, day) for unit in plan.units)
    county = schedule.planned(plan, plan.totals.households, trigger, day)

    assert county - len(plan.units) < units <= county


@given(PLANS, st.integers(min_value=1, max_value=4000), STEPS)
def test_the_rise_is_even_from_working_day_to_working_day(
    plan: Plan, task: int, trigger: Trigger
) -> None:
    begins, target = schedule.begins_on(plan, trigger), schedule.targets(plan)[trigger]
    days = [
        day
        for day in (begins + timedelta(days=n) for n in range((target - begins).days + 1))
        if plan.calendar.is_workday(day)
    ]
    values = [schedule.planned(plan, task, trigger, day) for day in days]

    steps = {after - before for before, after in pairwise(values)}
    assert max(steps) - min(steps) <= 1


def test_a_plan_that_begins_too_late_plans_nothing_until_its_targets() -> None:
    late = XIAOXIAN.counting_by(XIAOXIAN.calendar)
    late.effective_from = date(2024, 3, 25)

    assert schedule.begins_on(late, Trigger.SELECT) > schedule.targets(late)[Trigger.SELECT]
    assert schedule.planned(late, 10, Trigger.SELECT, date(2024, 3, 28)) == 0
    assert schedule.planned(late, 10, Trigger.SELECT, date(2024, 3, 29)) == 10


def test_the_months_run_from_the_plans_effect_to_the_last_target() -> None:
    assert schedule.months(WUTAI) == {
        "2023-05": date(2023, 5, 31),
        "2023-06": date(2023, 6, 30),
        "2023-07": date(2023, 7, 31),
        "2023-08": date(2023, 8, 31),
        "2023-09": date(2023, 9, 30),
        "2023-10": date(2023, 10, 31),
    }


def test_a_countys_own_holidays_move_the_targets() -> None:
    off = frozenset({date(2023, 9, 27), date(2023, 9, 28), date(2023, 9, 29)})
    entered = Calendar((Holidays(2023, "县里录入", off, frozenset()),))

    assert schedule.targets(WUTAI.counting_by(entered))[Trigger.COMPLETE] == date(2023, 9, 26)
