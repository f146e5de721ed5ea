from datetime import date

import pytest
from factories import DAY, WUTAI, XIAOXIAN, Life
from hypothesis import given
from hypothesis import strategies as st

from states import deadlines, season
from states.deadlines import Deadline, Due
from states.vocabulary import Clock, FactKind, State, Trigger
from states.workdays import Calendar, Holidays

WORKS = date(2024, 8, 31)  # the end of the works of the other county's plan
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


def test_a_pause_moves_no_phase_of_the_notice() -> None:
    life = Life().to_construction()
    life.fact(FactKind.PAUSE, date(2024, 8, 1), cause="weather")
    lasting = deadlines.due(life.facts(), XIAOXIAN)
    life.fact(FactKind.RESUME, date(2024, 8, 20))
    over = deadlines.due(life.facts(), XIAOXIAN)

    assert lasting == over == Due(WORKS, WORKS, "集中施工阶段截止", Clock.WORKS)


def rejected(put_right_by: date = date(2024, 6, 20)) -> Life:
    """A case whose works were found wanting on 2024-06-05 and are to be put right."""
    life = Life().to_acceptance()
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="漏氟", put_right_by=put_right_by)
    return life


def pause(life: Life, on: date, resumed: date | None = None, cause: str = "weather") -> None:
    life.fact(FactKind.PAUSE, on, cause=cause)
    if resumed:
        life.fact(FactKind.RESUME, resumed)


@pytest.mark.parametrize("cause", ["weather", "supply", "grid"])
def test_a_pause_moves_the_put_right_date_by_its_days(cause: str) -> None:
    life = rejected()
    pause(life, date(2024, 6, 10), date(2024, 6, 14), cause)

    due = deadlines.due(life.facts(), XIAOXIAN)

    assert (due.due_on, due.plan_due_on) == (date(2024, 6, 24), date(2024, 6, 20))
    assert "顺延 4 天" in due.due_reason


@pytest.mark.parametrize("cause", ["household", "other"])
def test_a_pause_for_another_cause_moves_nothing(cause: str) -> None:
    life = rejected()
    pause(life, date(2024, 6, 10), date(2024, 6, 14), cause)
    over = deadlines.due(life.facts(), XIAOXIAN)
    pause(life, date(2024, 6, 15), cause=cause)

    assert over == deadlines.due(life.facts(), XIAOXIAN)
    assert over.due_on == date(2024, 6, 20)


def test_an_open_pause_suspends_the_put_right_date_and_says_so() -> None:
    life = rejected()
    pause(life, date(2024, 6, 10))

    due = deadlines.due(life.facts(), XIAOXIAN)

    assert (due.due_on, due.plan_due_on, due.of) == (None, date(2024, 6, 20), Clock.PUT_RIGHT)
    assert "天气" in due.due_reason
    assert "顺延" in due.due_reason
    assert deadlines.deadlines(life.facts(), XIAOXIAN) == ()


@pytest.mark.parametrize(
    ("begun", "due_on"),
    [(date(2024, 6, 20), date(2024, 6, 25)), (date(2024, 6, 21), date(2024, 6, 20))],
    ids=["on the last day", "the day after"],
)
def test_a_pause_begun_after_the_deadline_moves_nothing(begun: date, due_on: date) -> None:
    life, open_ = rejected(), rejected()
    pause(life, begun, begun + 5 * DAY)
    pause(open_, begun)

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == due_on
    suspended = deadlines.due(open_.facts(), XIAOXIAN).due_on is None
    assert suspended is (due_on != date(2024, 6, 20))


def test_a_pause_within_the_days_won_by_another_counts() -> None:
    life = rejected()
    pause(life, date(2024, 6, 18), date(2024, 6, 23))
    pause(life, date(2024, 6, 24), date(2024, 6, 26))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 27)


def test_no_day_of_two_pauses_counts_twice() -> None:
    life = rejected()
    pause(life, date(2024, 6, 10), date(2024, 6, 16))
    # Recorded later, for days that lie within the first and beyond it.
    pause(life, date(2024, 6, 8), date(2024, 6, 12))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 28)


def test_days_before_the_date_was_set_do_not_count() -> None:
    life = rejected()
    pause(life, date(2024, 5, 20), date(2024, 6, 8))
    before = rejected()
    pause(before, date(2024, 5, 20), date(2024, 6, 4))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 23)
    assert deadlines.due(before.facts(), XIAOXIAN).due_on == date(2024, 6, 20)


def test_a_pause_known_when_the_date_was_set_does_not_move_it() -> None:
    life = Life().to_acceptance()
    pause(life, date(2024, 6, 4))
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="x", put_right_by=date(2024, 6, 20))

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 6, 20)


def test_an_extension_after_a_pause_says_the_day_itself() -> None:
    life = rejected()
    pause(life, date(2024, 6, 10), date(2024, 6, 14))
    seq = life.fact(
        FactKind.EXTENSION, date(2024, 6, 15), due_on=date(2024, 7, 10), requested_by="x"
    )
    extended = deadlines.due(life.facts(), XIAOXIAN)
    pause(life, date(2024, 7, 1), date(2024, 7, 4))

    assert (extended.due_on, extended.plan_due_on) == (date(2024, 7, 10), date(2024, 6, 20))
    assert str(seq) in extended.due_reason
    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 7, 13)


def test_a_pause_does_not_move_the_season() -> None:
    life = Life().to_stable()
    pause(life, date(2024, 11, 20), date(2025, 1, 20))
    paused, unpaused = life.facts(), Life().to_stable().facts()

    day = date(2025, 1, 10)
    assert season.window(paused, XIAOXIAN, day) == season.window(unpaused, XIAOXIAN, day)
    assert season.running(paused, XIAOXIAN, day) is True
    assert paused.clock_start == unpaused.clock_start


def test_a_pause_moves_no_answer_that_is_owed() -> None:
    life = Life().to_construction()
    life.fact(FactKind.COMPLAINT, date(2024, 6, 1), what="x")
    pause(life, date(2024, 6, 2), date(2024, 6, 30))

    assert [one.due_on for one in deadlines.deadlines(life.facts(), XIAOXIAN)] == [
        WORKS,
        date(2024, 6, 16),
    ]


def test_several_clocks_run_at_once_the_states_own_first() -> None:
    life = rejected()
    reject = life.events[-1].seq
    objection = life.fact(FactKind.NOTICE, date(2024, 6, 6), objection="面积不符")
    complaint = life.fact(FactKind.COMPLAINT, date(2024, 6, 7), what="没人来修")
    violation = life.fact(
        FactKind.VIOLATION, date(2024, 6, 8), type="kang_sealed", by="村委会", what="封火炕"
    )

    found = deadlines.deadlines(life.facts(), XIAOXIAN)

    assert found == (
        Deadline(Clock.PUT_RIGHT, reject, date(2024, 6, 20)),
        Deadline(Clock.OBJECTION, objection, date(2024, 6, 11)),
        Deadline(Clock.COMPLAINT, complaint, date(2024, 6, 22)),
        Deadline(Clock.RESTITUTION, violation, date(2024, 6, 11)),
    )
    assert [one.name for one in found] == [
        f"put_right:{reject}",
        f"objection:{objection}",
        f"complaint:{complaint}",
        f"restitution:{violation}",
    ]


def test_the_clock_of_a_phase_is_called_by_the_phase() -> None:
    found = deadlines.deadlines(Life().to_construction().facts(), XIAOXIAN)

    assert [one.name for one in found] == ["works"]


def test_an_answer_ends_its_clock_and_the_others_run_on() -> None:
    life = Life().to_construction()
    complaint = life.fact(FactKind.COMPLAINT, date(2024, 6, 7), what="x")
    other = life.fact(FactKind.COMPLAINT, date(2024, 6, 8), what="y")
    life.fact(FactKind.RESOLVE, date(2024, 6, 9), id=complaint, outcome="unfounded")

    assert [one.seq for one in deadlines.deadlines(life.facts(), XIAOXIAN)] == [None, other]


def test_a_matter_is_due_so_many_days_after_it_was_recorded() -> None:
    life = Life().to_construction()
    life.fact(FactKind.COMPLAINT, date(2024, 6, 1), recorded=date(2024, 6, 10), what="x")

    assert deadlines.deadlines(life.facts(), XIAOXIAN)[-1].due_on == date(2024, 6, 25)


def test_what_nobody_has_to_undo_or_answer_by_a_day_has_no_clock() -> None:
    life = Life().to_construction()
    life.fact(FactKind.VIOLATION, date(2024, 6, 1), type="other", by="x", what="x")
    life.fact(FactKind.FINDING, date(2024, 6, 1), what="x", severity="serious")

    assert [one.of for one in deadlines.deadlines(life.facts(), XIAOXIAN)] == [Clock.WORKS]


@pytest.mark.parametrize("kind", ["kang_sealed", "stove_removed", "coal_confiscated"])
def test_what_the_notice_forbids_by_name_is_to_be_undone(kind: str) -> None:
    life = Life().to_stable()
    life.fact(FactKind.VIOLATION, date(2024, 7, 5), type=kind, by="x", what="x")

    assert [(d.of, d.due_on) for d in deadlines.deadlines(life.facts(), XIAOXIAN)] == [
        (Clock.RESTITUTION, date(2024, 7, 8))
    ]


def test_a_closed_case_still_owes_its_answers() -> None:
    life = Life().to_construction()
    life.fact(FactKind.COMPLAINT, date(2024, 6, 7), what="x")
    life.step(Trigger.CLOSE, date(2024, 6, 10), cause="withdrawn")

    assert [d.of for d in deadlines.deadlines(life.facts(), XIAOXIAN)] == [Clock.COMPLAINT]


@pytest.mark.parametrize(
    ("on", "days"), [(date(2024, 8, 31), 0), (date(2024, 9, 1), 1), (date(2024, 9, 20), 20)]
)
def test_late_work_is_late_by_the_days_after_its_deadline(on: date, days: int) -> None:
    life = Life().to_construction()
    before = life.facts()
    life.complete(on)

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == days


def test_work_within_an_extension_is_not_late() -> None:
    life = Life().to_construction()
    life.fact(FactKind.EXTENSION, date(2024, 8, 1), due_on=date(2024, 9, 10), requested_by="x")
    before = life.facts()
    life.complete(date(2024, 9, 11))

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == 1


def test_an_answer_after_its_day_is_late_too() -> None:
    life = Life().to_construction()
    matter = life.fact(FactKind.COMPLAINT, date(2024, 6, 1), what="x")
    other = life.fact(FactKind.COMPLAINT, date(2024, 6, 5), what="y")
    before = life.facts()
    for answered, days in ((matter, 2), (other, 0)):
        life.fact(FactKind.RESOLVE, date(2024, 6, 18), id=answered, outcome="resolved")

        assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == days


@pytest.mark.parametrize("trigger", [Trigger.SEND_BACK, Trigger.CLOSE])
def test_only_a_step_forward_is_ever_late(trigger: Trigger) -> None:
    life = Life().to_construction()
    before = life.facts()
    life.step(trigger, date(2025, 1, 1), cause="withdrawn")

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == 0


def test_what_has_no_deadline_is_never_late() -> None:
    life = rejected()
    pause(life, date(2024, 6, 10))
    before = life.facts()
    life.complete(date(2024, 12, 1))

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == 0


@given(
    st.sampled_from(list(deadlines.STEPS_TO_GO)),
    st.dates(date(2023, 8, 1), date(2023, 12, 31)),
    st.integers(-90, 10),
)
def test_a_case_is_at_risk_exactly_after_its_latest_start(
    state: State, due_on: date, offset: int
) -> None:
    as_of = due_on + offset * DAY
    latest = deadlines.latest_start(state, due_on, WUTAI)

    assert latest is not None
    expected = latest < as_of <= due_on
    assert deadlines.at_risk(state, due_on, as_of, WUTAI) is expected


def test_what_has_no_deadline_has_no_latest_start() -> None:
    assert deadlines.latest_start(S.STABLE_SEASON, None, WUTAI) is None


def test_a_deadline_is_provisional_while_the_holidays_of_its_year_are_not_known() -> None:
    entered = Holidays(2099, "x", frozenset({date(2099, 9, 30)}), frozenset())
    known = WUTAI.counting_by(Calendar((entered,)))
    day = date(2099, 9, 30)

    assert deadlines.provisional(day, WUTAI)
    assert not deadlines.provisional(day, known)
    assert not deadlines.provisional(date(2023, 9, 30), WUTAI)
    assert deadlines.target_on(day, WUTAI) == day
    assert deadlines.target_on(day, known) == date(2099, 9, 29)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=4))
def test_pauses_move_a_date_by_no_more_than_the_days_they_lasted(
    pauses: list[tuple[int, int]],
) -> None:
    life = rejected()
    days: set[date] = set()
    for start, length in pauses:
        on = date(2024, 5, 20) + start * DAY
        pause(life, on, on + length * DAY)
        days |= {on + n * DAY for n in range(length)}

    due_on = deadlines.due(life.facts(), XIAOXIAN).due_on

    assert due_on is not None
    assert date(2024, 6, 20) <= due_on
    assert due_on - date(2024, 6, 20) <= len([d for d in days if d >= date(2024, 6, 5)]) * DAY


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


def test_works_put_right_by_the_last_day_of_the_phase_are_due_with_the_phase() -> None:
    life = Life().to_acceptance()
    end = date(2024, 9, 20)
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="x", put_right_by=end)
    life.complete(date(2024, 6, 18))
    pause(life, date(2024, 6, 19))

    # So a pause does not move it.
    assert deadlines.due(life.facts(), XIAOXIAN) == Due(
        end, end, "竣工验收阶段截止", Clock.ACCEPTANCE
    )


def test_an_extension_moves_the_deadline_of_the_first_states_too() -> None:
    life = Life()
    life.confirm(date(2024, 2, 1))
    life.fact(FactKind.EXTENSION, date(2024, 3, 1), due_on=date(2024, 4, 9), requested_by="x")

    assert deadlines.due(life.facts(), XIAOXIAN).due_on == date(2024, 4, 9)


def test_a_suspended_or_moved_put_right_date_still_names_the_event_that_set_it() -> None:
    life = rejected()
    reject = life.events[-1].seq
    pause(life, date(2024, 6, 10))
    suspended = deadlines.due(life.facts(), XIAOXIAN)
    life.fact(FactKind.RESUME, date(2024, 6, 14))
    moved = deadlines.due(life.facts(), XIAOXIAN)

    assert (suspended.seq, moved.seq) == (reject, reject)
    assert moved.due_reason == f"整改期限（编号 {reject}），停工顺延 4 天"


def test_the_answer_to_a_matter_without_a_clock_is_never_late() -> None:
    life = Life().to_construction()
    finding = life.fact(FactKind.FINDING, date(2024, 6, 1), what="x", severity="serious")
    before = life.facts()
    life.fact(FactKind.RESOLVE, date(2025, 6, 18), id=finding, outcome="resolved")

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == 0


def test_a_permission_is_never_late() -> None:
    life = Life().to_stable()
    before = life.facts()
    life.step(Trigger.PERMIT, date(2026, 6, 1))

    assert deadlines.late_days(before, life.events[-1], XIAOXIAN) == 0


def test_a_matter_without_a_clock_does_not_hide_those_after_it() -> None:
    life = Life().to_construction()
    life.fact(FactKind.FINDING, date(2024, 6, 1), what="x", severity="serious")
    complaint = life.fact(FactKind.COMPLAINT, date(2024, 6, 2), what="x")

    assert [one.seq for one in deadlines.matters(life.facts(), XIAOXIAN)] == [complaint]
