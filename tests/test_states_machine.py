from datetime import date, timedelta
from itertools import product

import pytest
from factories import DAY, LI, ONE_WINTER, Life, question
from hypothesis import given
from hypothesis import strategies as st

from states import evidence, lifecycle, machine
from states.errors import StepRefused, UsageFault
from states.evidence import Complete, Confirm, Correct
from states.machine import Move
from states.vocabulary import FactKind, State, Trigger

TODAY = date(2024, 7, 10)


def refused(trigger: Trigger, life: Life, today: date = TODAY) -> StepRefused:
    """The refusal of a step for which nothing was brought."""
    with pytest.raises(StepRefused) as refusal:
        machine.decide(trigger, question(life.facts(), trigger, today, of=ONE_WINTER))
    return refusal.value


@pytest.mark.parametrize(("state", "trigger"), list(product(State, Trigger)), ids=str)
def test_a_trigger_that_the_table_does_not_have_is_refused_and_no_other(
    state: State, trigger: Trigger
) -> None:
    facts = Life().facts()
    facts.state = state

    answer = machine.ask(trigger, question(facts, trigger, TODAY, of=ONE_WINTER))

    legal = state in lifecycle.BY_TRIGGER[trigger].moves
    assert ("state" in {reason.guard for reason in answer.reasons}) is not legal


def test_there_is_no_way_past_the_guards() -> None:
    built = machine.build()

    assert set(built.events) == set(Trigger)
    assert not [name for name in built.events if name.startswith("to_")]
    assert all(
        transition.conditions
        for event in built.events.values()
        for transitions in event.transitions.values()
        for transition in transitions
    )


def test_a_step_that_every_guard_lets_pass_says_where_it_leads_and_moves_nothing() -> None:
    facts = Life().to_stable().good_winter().facts()
    asked = question(facts, Trigger.PERMIT, date(2025, 4, 3), of=ONE_WINTER, actor=LI)

    move = machine.decide(Trigger.PERMIT, asked)

    assert move == Move(Trigger.PERMIT, State.STABLE_SEASON, State.REMOVAL_PERMITTED)
    assert facts.state is State.STABLE_SEASON


@pytest.mark.parametrize(
    ("trigger", "state"),
    [(trigger, state) for trigger, row in lifecycle.BY_TRIGGER.items() for state in row.moves],
    ids=str,
)
def test_each_step_leads_where_the_table_says(trigger: Trigger, state: State) -> None:
    walk = machine.build(
        [
            lifecycle.Step(row.trigger, row.moves, row.roles, row.clause, ())
            for row in lifecycle.STEPS
        ]
    )
    facts = Life().facts()
    facts.state = state

    move = machine.decide(trigger, question(facts, trigger, TODAY), walk)

    assert (move.source, move.target) == (state, lifecycle.BY_TRIGGER[trigger].moves[state])


def test_all_reasons_come_at_once_each_with_its_clause() -> None:
    refusal = refused(Trigger.CONFIRM, Life(holds=[]))

    assert [reason.guard for reason in refusal.reasons] == [
        "visited",
        "notice_held",
        "consented",
        "old_facilities_listed",
        "meter_known",
    ]
    assert all(reason.clause and reason.message for reason in refusal.reasons)
    assert all(reason.message in refusal.message for reason in refusal.reasons)
    assert (refusal.status, refusal.place) == (1, "01-0001")


def test_who_comes_too_late_is_told_who_moved_the_case_and_when() -> None:
    life = Life()
    life.confirm(date(2024, 7, 9), consent_by="household")

    (reason,) = refused(Trigger.CONFIRM, life).reasons

    assert (reason.guard, reason.missing, reason.earliest) == ("state", (), None)
    for told in ("确户完成", "wang-login", "2024-07-09 12:00", "设备选型"):
        assert told in reason.message


def test_a_case_that_never_moved_names_nobody() -> None:
    (reason,) = refused(Trigger.ACCEPT, Life()).reasons

    assert "登记" not in reason.message
    assert "确村确户" in reason.message


@pytest.mark.parametrize(
    ("trigger", "earliest"),
    [(Trigger.COMPLETE, TODAY), (Trigger.ACCEPT, TODAY), (Trigger.PERMIT, date(2025, 3, 16))],
)
def test_a_step_further_along_the_line_has_an_earliest_day(
    trigger: Trigger, earliest: date
) -> None:
    life = Life()
    life.confirm(date(2024, 7, 9))

    (reason,) = refused(trigger, life).reasons

    assert (reason.earliest, reason.earliest_reason) == (earliest, None)


def test_a_permission_given_already_is_not_given_again() -> None:
    life = Life().to_stable()
    life.step(Trigger.PERMIT, TODAY)

    (reason,) = refused(Trigger.PERMIT, life).reasons

    assert (reason.earliest, reason.earliest_reason) == (None, "已获许可")


def test_a_step_done_already_says_so_and_one_still_due_is_not_done() -> None:
    life = Life().to_acceptance()

    (behind,) = refused(Trigger.SELECT, life).reasons
    (ahead,) = refused(Trigger.PERMIT, life).reasons

    assert behind.earliest_reason == "已办过“选型完成”"
    assert (ahead.earliest, ahead.earliest_reason) == (date(2025, 3, 16), None)


@pytest.mark.parametrize("trigger", [Trigger.CONFIRM, Trigger.OVERTURN, Trigger.REINSTATE])
def test_a_step_that_lies_behind_or_aside_has_none_and_says_why(trigger: Trigger) -> None:
    (reason,) = refused(trigger, Life().to_acceptance()).reasons

    assert reason.earliest is None
    assert reason.earliest_reason


def test_a_possible_step_has_no_reasons_and_is_possible_today() -> None:
    life = Life().to_acceptance()

    answer = machine.ask(
        Trigger.SEND_BACK, question(life.facts(), Trigger.SEND_BACK, TODAY, reason="写错了")
    )

    assert (answer.possible, answer.reasons, answer.earliest) == (True, (), TODAY)


def test_the_earliest_day_of_a_step_is_the_latest_of_its_reasons() -> None:
    asked = question(Life().facts(), Trigger.CONFIRM, TODAY, of=ONE_WINTER)

    answer = machine.ask(Trigger.CONFIRM, asked)

    # Only 公示 takes time: five days, today counted.
    assert answer.earliest == TODAY + 4 * DAY


@given(st.dates(date(2024, 1, 16), date(2025, 1, 1)), st.integers(0, 20))
def test_the_earliest_confirmation_is_exact(today: date, days: int) -> None:
    facts = Life().facts()
    earliest = machine.ask(
        Trigger.CONFIRM, question(facts, Trigger.CONFIRM, today, of=ONE_WINTER)
    ).earliest
    confirmed = today + timedelta(days=days)
    given_then = {
        "visit_on": today,
        "notice_from": today,
        "notice_to": confirmed,
        "consent_on": confirmed,
        "consent_by": "household",
        "old_facility": "kang:in_use",
    }

    answer = machine.ask(
        Trigger.CONFIRM,
        question(
            facts,
            Trigger.CONFIRM,
            confirmed,
            *((name, str(value)) for name, value in given_then.items()),
            of=ONE_WINTER,
        ),
    )

    assert earliest is not None
    assert answer.possible is (confirmed >= earliest)


# What is on record need not be stated again


def test_works_on_record_are_filled_in_and_what_is_stated_stays() -> None:
    days = {"started_on": date(2024, 7, 1), "installed_on": date(2024, 7, 2), "ready_on": TODAY}
    life = Life().to_construction()
    life.add(FactKind.WORKS, TODAY, {**days, "serial": "SN-7"})
    stated = Complete(
        started_on=TODAY - 3 * DAY,
        installed_on=TODAY - 2 * DAY,
        ready_on=TODAY - DAY,
        serial="SN-8",
    )

    filled = machine.complete_evidence(life.facts(), Trigger.COMPLETE, Complete())
    kept = machine.complete_evidence(life.facts(), Trigger.COMPLETE, stated)

    assert filled == Complete(
        started_on=date(2024, 7, 1), installed_on=date(2024, 7, 2), ready_on=TODAY, serial="SN-7"
    )
    assert kept == stated


def test_a_notice_on_record_is_filled_in() -> None:
    life = Life()
    life.fact(FactKind.NOTICE, TODAY, from_="2024-07-01", to="2024-07-07")

    filled = machine.complete_evidence(life.facts(), Trigger.CONFIRM, Confirm())

    assert filled == Confirm(notice_from=date(2024, 7, 1), notice_to=date(2024, 7, 7))


# Corrections


def test_the_values_of_a_correction_are_read_as_those_of_the_fact_it_rights() -> None:
    life = Life()
    seq = life.fact(FactKind.VISIT, TODAY, temperature=12)

    right = machine.right_values(life.facts(), Correct(id=seq, values=(("temperature", "20"),)))

    assert right == evidence.Visit(temperature=20.0)


@pytest.mark.parametrize(
    ("key", "value"), [("what", "x"), ("temperature", "warm"), ("season", "2024-2025")]
)
def test_a_correction_takes_no_key_and_no_value_that_its_fact_would_not(
    key: str, value: str
) -> None:
    life = Life()
    seq = life.fact(FactKind.VISIT, TODAY, temperature=12)

    with pytest.raises(UsageFault):
        machine.right_values(life.facts(), Correct(id=seq, values=((key, value),)))


def test_a_serial_is_never_corrected() -> None:
    life = Life()
    seq = life.fact(FactKind.WORKS, TODAY, serial="SN-1")

    with pytest.raises(UsageFault):
        machine.right_values(life.facts(), Correct(id=seq, values=(("serial", "SN-2"),)))


def test_of_the_ledger_row_only_the_old_facilities_are_corrected() -> None:
    facts = Life().facts()

    assert machine.right_values(facts, Correct(id=1, values=(("old_facility", "none"),)))
    with pytest.raises(UsageFault):
        machine.right_values(facts, Correct(id=1, values=(("season", "2024-2025"),)))
