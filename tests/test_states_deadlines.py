from datetime import date

import pytest
from factories import DAY, WUTAI, XIAOXIAN, Life

from states import deadlines
from states.deadlines import Due
from states.vocabulary import Clock, FactKind, State, Trigger

WORKS_END, ACCEPTANCE_END = date(2023, 9, 30), date(2023, 10, 14)
S = State


def life_of_2023() -> Life:
    """A case of the notice's own year, in 施工."""
    life = Life(registered_on=date(2023, 5, 22))
    life.confirm(date(2023, 6, 10))
    life.select(date(2023, 6, 15))
    return life


@pytest.mark.parametrize(
    ("state", "due_on", "target_on"),
    [
        (S.HOUSEHOLD_CONFIRMATION, WORKS_END, date(2023, 9, 28)),
        (S.EQUIPMENT_SELECTION, WORKS_END, date(2023, 9, 28)),
        (S.CONSTRUCTION, WORKS_END, date(2023, 9, 28)),
        (S.ACCEPTANCE, ACCEPTANCE_END, date(2023, 10, 13)),
    ],
)
def test_a_state_is_due_with_its_phase_or_the_works_where_that_was_historic(
    state: State, due_on: date, target_on: date
) -> None:
    facts = life_of_2023().facts()
    facts.state = state

    due = deadlines.due(facts, WUTAI)

    assert (due.due_on, due.plan_due_on) == (due_on, due_on)
    assert deadlines.target_on(due_on, WUTAI) == target_on
    assert due.due_reason


@pytest.mark.parametrize("state", [S.HOUSEHOLD_CONFIRMATION, S.EQUIPMENT_SELECTION])
def test_the_first_states_are_due_with_a_first_phase_that_is_not_historic(state: State) -> None:
    facts = Life().facts()
    facts.state = state

    assert deadlines.due(facts, XIAOXIAN).due_on == date(2024, 3, 31)


@pytest.mark.parametrize("state", [S.STABLE_SEASON, S.REMOVAL_PERMITTED, S.CLOSED])
def test_later_states_are_never_due_and_say_why(state: State) -> None:
    facts = life_of_2023().facts()
    facts.state = state

    due = deadlines.due(facts, WUTAI)

    assert (due.due_on, due.plan_due_on, due.of) == (None, None, None)
    assert due.due_reason


@pytest.mark.parametrize("trigger", [Trigger.OVERTURN, Trigger.REPLACE])
def test_after_a_step_back_the_put_right_date_runs(trigger: Trigger) -> None:
    life = Life().to_stable()
    seq = life.step(trigger, date(2024, 9, 10), findings="漏氟", put_right_by=date(2024, 10, 20))

    due = deadlines.due(life.facts(), XIAOXIAN)

    assert (due.due_on, due.plan_due_on) == (date(2024, 10, 20), date(2024, 10, 20))
    assert str(seq) in due.due_reason


def test_after_a_rejection_the_put_right_date_runs_even_before_the_end_of_the_phase() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="漏氟", put_right_by=date(2024, 6, 20))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 20)


def test_after_a_change_of_path_the_put_right_date_runs_where_one_was_given() -> None:
    dated, undated = Life().to_construction(), Life().to_construction()
    on = date(2024, 5, 1)
    dated.step(Trigger.CHANGE_PATH, on, path="solar", keep_device="no", put_right_by=on + DAY)
    undated.step(Trigger.CHANGE_PATH, on, path="solar", keep_device="no")

    assert deadlines.due(dated.facts(), XIAOXIAN).due_on == on + DAY
    assert deadlines.due(undated.facts(), XIAOXIAN).due_on == date(2024, 3, 31)


@pytest.mark.parametrize(
    ("put_right_by", "due_on"),
    [(date(2024, 6, 20), date(2024, 9, 20)), (date(2024, 10, 8), date(2024, 10, 8))],
    ids=["early", "late"],
)
def test_works_put_right_are_accepted_by_the_later_of_both_dates(
    put_right_by: date, due_on: date
) -> None:
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="漏氟", put_right_by=put_right_by)
    life.complete(date(2024, 6, 18))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == due_on


def test_acceptance_ends_the_put_right_date() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="x", put_right_by=date(2024, 6, 20))
    life.complete(date(2024, 6, 18))
    life.accept(date(2024, 6, 19))

    assert life.facts().put_right is None


def test_an_extension_moves_the_deadline_and_the_plans_own_stays() -> None:
    life = Life().to_construction()
    seq = life.fact(
        FactKind.EXTENSION, date(2024, 8, 1), due_on=date(2024, 9, 16), requested_by="东岭镇"
    )

    due = deadlines.due(life.facts(), XIAOXIAN)

    extended = f"经批准延期（编号 {seq}）"
    assert due == Due(date(2024, 9, 16), date(2024, 8, 31), extended, Clock.WORKS)
    # 15 to 17 September 2024 was a holiday.
    assert deadlines.target_on(date(2024, 9, 16), XIAOXIAN) == date(2024, 9, 14)


def test_the_last_extension_counts() -> None:
    life = Life().to_construction()
    for day in (date(2024, 10, 1), date(2024, 9, 10)):
        life.fact(FactKind.EXTENSION, date(2024, 8, 1), due_on=day, requested_by="东岭镇")

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 9, 10)


def test_an_extension_of_the_works_does_not_extend_the_acceptance() -> None:
    life = Life().to_construction()
    life.fact(FactKind.EXTENSION, date(2024, 8, 1), due_on=date(2024, 12, 1), requested_by="x")
    life.complete(date(2024, 8, 20))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 9, 20)


def test_an_extension_does_not_outlive_the_put_right_date_it_moved() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="x", put_right_by=date(2024, 6, 20))
    life.fact(FactKind.EXTENSION, date(2024, 6, 6), due_on=date(2024, 7, 1), requested_by="x")
    extended = deadlines.due(life.facts(), XIAOXIAN)
    life.complete(date(2024, 6, 18))
    life.step(Trigger.REJECT, date(2024, 6, 19), findings="x", put_right_by=date(2024, 6, 25))

    assert (extended.due_on, extended.plan_due_on) == (date(2024, 7, 1), date(2024, 6, 20))
    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 25)


def test_a_pause_moves_no_deadline() -> None:
    life = Life().to_construction()
    life.fact(FactKind.PAUSE, date(2024, 8, 1), cause="weather")

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 8, 31)


@pytest.mark.parametrize(
    ("as_of", "late"), [(WORKS_END - DAY, False), (WORKS_END, False), (WORKS_END + DAY, True)]
)
def test_a_case_is_overdue_from_the_day_after_its_deadline(as_of: date, late: bool) -> None:
    assert deadlines.overdue(WORKS_END, as_of) is late


def test_what_has_no_deadline_is_never_overdue() -> None:
    assert not deadlines.overdue(None, date(2099, 1, 1))


# Lead days: confirm 8, select 4, complete 12, accept 4; the last working day is 09-28.
@pytest.mark.parametrize(
    ("state", "due_on", "last_good_day"),
    [
        (S.HOUSEHOLD_CONFIRMATION, WORKS_END, date(2023, 8, 27)),
        (S.EQUIPMENT_SELECTION, WORKS_END, date(2023, 9, 6)),
        (S.CONSTRUCTION, WORKS_END, date(2023, 9, 12)),
        (S.ACCEPTANCE, ACCEPTANCE_END, date(2023, 10, 9)),
    ],
)
def test_a_case_is_at_risk_when_fewer_working_days_are_left_than_its_steps_take(
    state: State, due_on: date, last_good_day: date
) -> None:
    risk = [
        deadlines.at_risk(state, due_on, day, WUTAI) for day in (last_good_day, last_good_day + DAY)
    ]

    assert risk == [False, True]


@pytest.mark.parametrize(("as_of", "risk"), [(WORKS_END, True), (WORKS_END + DAY, False)])
def test_what_is_overdue_is_no_longer_at_risk(as_of: date, risk: bool) -> None:
    assert deadlines.at_risk(S.CONSTRUCTION, WORKS_END, as_of, WUTAI) is risk


def test_a_case_that_comes_back_starts_without_its_old_put_right_date() -> None:
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="漏氟", put_right_by=date(2024, 6, 20))
    fresh = deadlines.due(Life().facts(), XIAOXIAN)

    life.step(Trigger.CLOSE, date(2024, 6, 10), cause="withdrawn")
    life.step(Trigger.REINSTATE, date(2024, 7, 1))

    assert deadlines.due(life.facts(), XIAOXIAN) == fresh


@pytest.mark.parametrize("state", [S.STABLE_SEASON, S.REMOVAL_PERMITTED, S.CLOSED])
def test_what_has_no_deadline_is_never_at_risk(state: State) -> None:
    assert not deadlines.at_risk(state, None, date(2023, 9, 30), WUTAI)


@pytest.mark.parametrize(
    ("selected", "missed"), [(date(2023, 4, 30), False), (date(2023, 5, 1), True), (None, True)]
)
def test_a_historic_milestone_was_met_on_its_last_day_or_missed(
    selected: date | None, missed: bool
) -> None:
    as_of = date(2023, 6, 1)

    assert deadlines.missed_historic(S.CONSTRUCTION, selected, WUTAI, as_of) is missed


def test_a_closed_case_missed_no_milestone() -> None:
    assert not deadlines.missed_historic(S.CLOSED, None, WUTAI, date(2023, 6, 1))


def test_before_its_end_nobody_has_missed_a_historic_milestone() -> None:
    assert not deadlines.missed_historic(S.CONSTRUCTION, None, WUTAI, date(2023, 4, 30))
    assert deadlines.missed_historic(S.CONSTRUCTION, None, WUTAI, date(2023, 5, 1))


def test_a_phase_that_is_not_historic_is_a_deadline_and_no_historic_milestone() -> None:
    assert not deadlines.missed_historic(S.CONSTRUCTION, None, XIAOXIAN, date(2024, 6, 1))
