from datetime import UTC, date, datetime
from random import Random

import pytest
from factories import CODE, DAY, Life, noon
from hypothesis import given
from hypothesis import strategies as st

from states import facts as folding
from states import lifecycle
from states.facts import Works
from states.vocabulary import Facility, FacilityStatus, FactKind, Kind, Path, Quota, State, Trigger

ON = date(2024, 12, 1)


def permitted(on: date = ON) -> Life:
    """A case permitted on a day."""
    life = Life().to_stable()
    life.step(Trigger.PERMIT, on)
    return life


def in_force(life: Life, *days: date) -> list[bool]:
    return [life.facts().permitted_on(day) is not None for day in days]


# From the events


def test_without_events_there_is_no_case() -> None:
    assert folding.fold(CODE, []) is None


def test_a_registered_case_is_what_its_ledger_row_says() -> None:
    facts = Life(Path.BIOMASS, kind=Kind.COLLECTIVE, old_facilities=["kang", "stove"]).facts()

    assert (facts.state, facts.state_since) == (State.HOUSEHOLD_CONFIRMATION, date(2024, 1, 15))
    assert (facts.path, facts.kind, facts.village, facts.unit) == (
        Path.BIOMASS,
        Kind.COLLECTIVE,
        "前村",
        "01",
    )
    assert facts.ledger_facilities == (Facility.KANG, Facility.STOVE)
    assert (facts.building_area, facts.heating_area) == (80.0, 60)
    assert facts.holds == {"name", "meter"}
    assert facts.clock_start is None


def test_an_amendment_changes_what_it_names_and_leaves_the_rest() -> None:
    life = Life()
    life.add("amended", date(2024, 1, 20), {"path": "solar", "quota": "over_plan", "holds": []})

    facts = life.facts()

    assert (facts.path, facts.quota, facts.holds) == (Path.SOLAR, Quota.OVER_PLAN, frozenset())
    assert (facts.village, facts.building_area) == ("前村", 80.0)


def test_a_step_moves_the_case_and_a_fact_does_not() -> None:
    life = Life()
    life.confirm(date(2024, 2, 1))
    life.fault(date(2024, 2, 5))

    facts = life.facts()

    assert (facts.state, facts.state_since) == (State.EQUIPMENT_SELECTION, date(2024, 2, 1))
    assert facts.last_step is not None
    assert facts.last_step.kind == Trigger.CONFIRM
    assert facts.version == 3


def test_works_come_piece_by_piece() -> None:
    life = Life().to_construction()
    life.fact(FactKind.WORKS, date(2024, 5, 1), started_on=date(2024, 5, 1), serial="SN-7")
    life.fact(FactKind.WORKS, date(2024, 5, 9), person="sun", installed_on=date(2024, 5, 8))
    half = life.facts().works
    life.fact(FactKind.WORKS, date(2024, 5, 9), ready_on=date(2024, 5, 9))
    life.fact(FactKind.WORKS, date(2024, 5, 9), first_heat_on=date(2024, 5, 9))
    life.fact(FactKind.WORKS, date(2024, 5, 9), serial="SN-8")

    facts = life.facts()

    assert half == Works(date(2024, 5, 1), date(2024, 5, 8), None, "SN-7")
    assert facts.works == Works(date(2024, 5, 1), date(2024, 5, 8), date(2024, 5, 9), "SN-8")
    assert facts.first_heat_on == date(2024, 5, 9)
    assert facts.works_recorders == {"wang", "sun"}


def test_the_serial_of_earlier_works_is_that_of_the_completed_device() -> None:
    life = Life().to_construction()
    life.fact(FactKind.WORKS, date(2024, 5, 1), serial="SN-7")
    life.complete(date(2024, 6, 1), serial=None)

    assert life.facts().serial == "SN-7"


def test_readiness_is_that_of_the_last_completion() -> None:
    life = Life().to_acceptance(date(2024, 6, 1))
    life.step(Trigger.REJECT, date(2024, 6, 5), findings="x", put_right_by=date(2024, 6, 20))
    life.complete(date(2024, 6, 18), ready_on=date(2024, 6, 17))

    ready = life.facts().ready

    assert ready is not None
    assert ready.on == date(2024, 6, 17)


@pytest.mark.parametrize("trigger", [Trigger.REJECT, Trigger.SEND_BACK])
def test_works_are_stated_anew_after_a_step_back(trigger: Trigger) -> None:
    life = Life().to_acceptance()
    life.step(trigger, date(2024, 6, 5), findings="x", put_right_by=date(2024, 6, 20))

    facts = life.facts()

    assert (facts.works, facts.works_recorders) == (Works(), frozenset())


@pytest.mark.parametrize(
    ("trigger", "more", "forgotten"),
    [
        (Trigger.REPLACE, {}, True),
        (Trigger.OVERTURN, {}, False),
        (Trigger.CHANGE_PATH, {"path": "solar", "keep_device": "no"}, True),
        (Trigger.CHANGE_PATH, {"path": "solar", "keep_device": "yes"}, False),
    ],
)
def test_another_device_has_no_first_heat_and_no_serial_yet(
    trigger: Trigger, more: dict[str, str], forgotten: bool
) -> None:
    life = Life().to_stable()
    life.heat(date(2024, 11, 2))
    target = lifecycle.BY_TRIGGER[trigger].moves[life.state]
    life.add(trigger, ON, more, target=target)

    facts = life.facts()

    assert (facts.first_heat_on is None, facts.serial is None) == (forgotten, forgotten)


def test_the_last_recorded_first_heat_counts() -> None:
    life = Life().to_stable()
    life.heat(date(2024, 11, 2))
    life.fact(FactKind.WORKS, ON, first_heat_on=date(2024, 11, 9))

    assert life.facts().first_heat_on == date(2024, 11, 9)


def test_a_pause_lasts_until_it_is_resumed() -> None:
    life = Life().to_construction()
    life.fact(FactKind.PAUSE, date(2024, 5, 1), cause="weather")
    open_one = life.facts().pauses[-1]
    life.fact(FactKind.RESUME, date(2024, 5, 9))

    assert open_one.resumed_on is None
    assert life.facts().pauses[-1].resumed_on == date(2024, 5, 9)


def test_old_facilities_come_from_the_confirmation_the_facts_and_the_acceptor() -> None:
    life = Life()
    life.confirm(date(2024, 2, 1), old_facility=["kang:in_use", "stove:standby", "boiler:in_use"])
    life.fact(
        FactKind.OLD_FACILITY,
        date(2024, 3, 1),
        facility="stove",
        status="sealed",
        by="household",
    )
    life.select(date(2024, 4, 1))
    life.complete(date(2024, 6, 1))
    life.accept(date(2024, 7, 1), facility=["kang:present:a.jpg", "boiler:gone:9"])

    status = {name: record.status for name, record in life.facts().facility_status.items()}

    assert status == {
        Facility.KANG: FacilityStatus.IN_USE,
        Facility.STOVE: FacilityStatus.SEALED,
        Facility.BOILER: FacilityStatus.REMOVED,
    }


def test_the_last_word_on_a_facility_is_by_its_day_and_not_by_its_recording() -> None:
    life = Life()
    for status, on in (("sealed", date(2024, 5, 9)), ("in_use", date(2024, 5, 1))):
        life.fact(FactKind.OLD_FACILITY, on, ON, facility="kang", status=status, by="household")

    assert life.facts().facility_status[Facility.KANG].status is FacilityStatus.SEALED
    assert life.facts().facility_gone


@pytest.mark.parametrize(
    ("kind", "evidence", "freezes"),
    [
        (FactKind.VIOLATION, {"type": "other", "by": "x", "what": "x"}, True),
        (FactKind.COMPLAINT, {"what": "x"}, True),
        (FactKind.FINDING, {"what": "x", "severity": "serious"}, True),
        (FactKind.FINDING, {"what": "x", "severity": "note"}, False),
        (FactKind.NOTICE, {"objection": "x"}, False),
    ],
)
def test_a_note_and_an_objection_freeze_nothing_and_all_else_does(
    kind: FactKind, evidence: dict[str, str], freezes: bool
) -> None:
    life = Life()
    seq = life.add(kind, ON, evidence)
    life_open = [matter.seq for matter in life.facts().open_matters]
    life.fact(FactKind.RESOLVE, ON + DAY, id=seq, outcome="resolved")

    assert life_open == ([seq] if freezes else [])
    assert life.facts().open_matters == []


# Two clocks


def test_asked_for_a_day_the_case_is_as_it_was_on_that_day() -> None:
    life = Life().to_stable(date(2024, 7, 1))
    life.fault(ON)

    before, on_the_day = life.facts(on=date(2024, 6, 30)), life.facts(on=date(2024, 7, 1))

    assert before.state is State.ACCEPTANCE
    assert on_the_day.state is State.STABLE_SEASON
    assert not on_the_day.faults


def test_before_its_registration_there_is_no_case() -> None:
    life = Life(registered_on=date(2024, 1, 15))

    assert folding.fold(CODE, life.events, date(2024, 1, 14)) is None
    assert folding.fold(CODE, life.events, date(2024, 1, 15)) is not None


def test_what_is_recorded_late_is_true_on_its_day_and_known_from_its_recording() -> None:
    life = Life().to_stable()
    life.fact(FactKind.FAULT, ON, ON + 9 * DAY, what="不热")

    assert len(life.facts(on=ON).faults) == 1
    assert len(life.facts(known_at=noon(ON + 8 * DAY)).faults) == 0
    assert len(life.facts(known_at=noon(ON + 9 * DAY)).faults) == 1


def test_the_version_is_that_of_the_stream_whatever_day_is_asked_for() -> None:
    life = Life().to_stable()

    assert life.facts(on=date(2024, 2, 1)).version == len(life.events)


# Corrections


def test_a_correction_rights_value_and_day_and_leaves_what_it_does_not_carry() -> None:
    life = Life().to_stable()
    seq = life.fact(FactKind.SIGNATURE, date(2025, 3, 1), season="2024-2025", by="family")
    life.fact(FactKind.CORRECT, date(2025, 3, 16), date(2025, 3, 20), id=seq)
    life.fact(FactKind.CORRECT, date(2025, 3, 17), date(2025, 3, 21), id=seq, by="household")

    (signature,) = life.facts().signatures

    assert (signature.on, signature.season, signature.by) == (
        date(2025, 3, 17),
        "2024-2025",
        "household",
    )
    assert signature.seq == seq


def test_a_second_correction_comes_on_top_of_the_first() -> None:
    life = Life().to_stable()
    seq = life.fact(FactKind.WORKS, ON, first_heat_on=date(2024, 11, 9), started_on=ON)
    life.fact(FactKind.CORRECT, ON, ON + DAY, id=seq, first_heat_on=date(2024, 11, 2))
    life.fact(FactKind.CORRECT, ON, ON + 2 * DAY, id=seq, started_on=ON - DAY)

    facts = life.facts()

    assert facts.first_heat_on == date(2024, 11, 2)
    assert facts.works.started_on == ON - DAY


def test_a_correction_is_known_from_its_recording_only() -> None:
    life = Life().to_stable()
    seq = life.fact(FactKind.VISIT, ON, temperature=12.0)
    life.fact(FactKind.CORRECT, ON, ON + 5 * DAY, id=seq, temperature=21.0)

    assert life.facts(known_at=noon(ON + 4 * DAY)).visits[0].temperature == 12.0
    assert life.facts().visits[0].temperature == 21.0


def test_asked_for_an_earlier_day_the_right_value_shows() -> None:
    life = Life().to_stable()
    seq = life.fact(FactKind.VISIT, ON, temperature=12.0)
    life.fact(FactKind.CORRECT, ON - DAY, ON + 5 * DAY, id=seq, temperature=21.0)

    assert life.facts(on=ON - DAY).visits[0].temperature == 21.0


def test_a_corrected_day_moves_what_was_true_on_a_day() -> None:
    life = Life().to_stable()
    seq = life.fact(FactKind.FAULT, ON, what="不热")
    life.fact(FactKind.CORRECT, ON + 3 * DAY, ON + 5 * DAY, id=seq)

    assert not life.facts(on=ON).faults
    assert life.facts(on=ON + 3 * DAY).faults[0].on == ON + 3 * DAY


def test_a_corrected_registration_says_other_old_facilities_and_nothing_else() -> None:
    life = Life(old_facilities=["kang", "boiler"])
    life.fact(FactKind.CORRECT, ON, id=1, old_facility=["stove"])

    facts = life.facts()

    assert facts.ledger_facilities == (Facility.STOVE,)
    assert (facts.state_since, facts.village) == (date(2024, 1, 15), "前村")


def test_a_corrected_repair_ends_the_fault_that_it_now_names() -> None:
    life = Life().to_stable()
    first, second = life.fault(ON), life.fault(ON)
    repair = life.fact(FactKind.REPAIR, ON + DAY, fault=first)
    life.fact(FactKind.CORRECT, ON + DAY, id=repair, fault=second)

    repaired = {fault.seq: fault.repaired_on for fault in life.facts().faults}

    assert repaired == {first: None, second: ON + DAY}


# One more event


def any_history(random: Random) -> Life:
    """Steps as the table allows them, with whatever facts, answers and corrections between."""
    life = Life(random.choice(list(Path)), old_facilities=random.choice([["kang"], ["none"]]))
    on = date(2024, 1, 20)
    for _ in range(random.randrange(25)):
        on += random.randrange(40) * DAY
        recorded = on + random.randrange(20) * DAY
        if random.random() < 0.4:
            trigger = random.choice(lifecycle.legal_from(life.state))
            life.step(trigger, on, recorded, random.choice(["wang", "zhao"]), **step(random, on))
        elif random.random() < 0.1:
            life.add("amended", on, {"village": "后村", "heating_area": random.choice([70, None])})
        else:
            kind = random.choice(list(FactKind))
            life.add(kind, on, fact(random, kind, on, len(life.events)), recorded=recorded)
    return life


def step(random: Random, on: date) -> dict[str, object]:
    """Evidence out of which each trigger takes its own."""
    given: dict[str, object] = {
        "path": random.choice(list(Path)),
        "quota": random.choice(list(Quota)),
        "keep_device": random.choice(["yes", "no"]),
        "old_facility": random.sample(["kang:in_use", "stove:sealed", "none"], 2),
        "facility": random.sample(["kang:present:a.jpg", "stove:gone:3", "kang:removed:2"], 2),
        "cause": random.choice(["not_stable", "paper_fault"]),
        "put_right_by": on + 10 * DAY,
        "ready_on": on - DAY,
        "serial": random.choice(["SN-1", "SN-2"]),
        "late_document": "a.pdf",
    }
    return {name: value for name, value in given.items() if name == "path" or random.random() < 0.6}


def fact(random: Random, kind: FactKind, on: date, last: int) -> dict[str, object]:
    """Right evidence for a fact; an answer or correction is of any event so far."""
    status, one = random.choice(list(FacilityStatus)), random.randint(1, last)
    day = on + random.randrange(-9, 9) * DAY
    evidence: dict[FactKind, dict[str, object]] = {
        FactKind.WORKS: {
            random.choice(["started_on", "installed_on", "ready_on", "first_heat_on"]): day,
            "serial": random.choice(["SN-1", "SN-2"]),
        },
        FactKind.NOTICE: {"from": on, "to": day, "objection": random.choice([None, "有异议"])},
        FactKind.OLD_FACILITY: {"facility": "kang", "status": status, "by": "household"},
        FactKind.FAULT: {"what": "不热"},
        FactKind.REPAIR: {"fault": one},
        FactKind.VISIT: {"temperature": random.choice([12, 20.5])},
        FactKind.SIGNATURE: {"season": "2024-2025", "by": "household"},
        FactKind.VIOLATION: {"type": "kang_sealed", "by": "101", "what": "封炕"},
        FactKind.COMPLAINT: {"what": "不热"},
        FactKind.FINDING: {"what": "不符", "severity": random.choice(["note", "serious"])},
        FactKind.PAUSE: {"cause": "weather"},
        FactKind.RESUME: {},
        FactKind.EXTENSION: {"due_on": day, "requested_by": "101"},
        FactKind.RESOLVE: {"id": one, "outcome": "resolved"},
        FactKind.CORRECT: {"id": one, "temperature": 22, "what": "更正"},
    }
    return evidence[kind]


@given(st.randoms(use_true_random=False))
def test_one_more_event_tells_what_the_whole_history_with_it_tells(random: Random) -> None:
    events = any_history(random).events
    facts = folding.fold(CODE, events[:1])

    for number, event in enumerate(events[1:], start=1):
        assert facts is not None
        after = folding.then(facts, event)

        assert after == folding.fold(CODE, events[: number + 1])
        # What was known before is what it was.
        assert facts == folding.fold(CODE, events[:number])
        facts = after


# The clock


def test_ready_and_not_accepted_is_no_start_of_the_clock() -> None:
    assert Life().to_acceptance().facts().clock_start is None


@pytest.mark.parametrize("trigger", [Trigger.CHANGE_PATH, Trigger.REINSTATE])
def test_what_is_over_plan_is_so_from_the_step_that_says_so(trigger: Trigger) -> None:
    life = Life().to_construction()
    if trigger is Trigger.REINSTATE:
        life.step(Trigger.CLOSE, ON, cause="withdrawn")
    life.step(trigger, ON, path="solar", keep_device="no", quota="over_plan")

    assert life.facts().quota is Quota.OVER_PLAN


def test_the_clock_starts_with_the_latest_of_acceptance_and_readiness() -> None:
    life = Life().to_construction()
    life.complete(date(2024, 7, 20), ready_on=date(2024, 7, 20))
    life.accept(date(2024, 7, 1))

    assert life.facts().clock_start == date(2024, 7, 20)


# Permissions


def test_a_permission_is_in_force_from_its_day_to_the_day_before_it_ends() -> None:
    life = permitted(ON)
    life.step(Trigger.REVOKE, ON + 9 * DAY, cause="paper_fault", findings="x")

    days = [ON - DAY, ON, ON + 8 * DAY, ON + 9 * DAY]

    assert in_force(life, *days) == [False, True, True, False]


@pytest.mark.parametrize(
    "trigger", [Trigger.REVOKE, Trigger.OVERTURN, Trigger.REPLACE, Trigger.CLOSE]
)
def test_whatever_leaves_the_state_ends_the_permission_on_the_day_it_is_recorded(
    trigger: Trigger,
) -> None:
    life = permitted(ON)
    life.step(trigger, ON + DAY, ON + 5 * DAY, findings="x", cause="not_stable")

    assert in_force(life, ON + 4 * DAY, ON + 5 * DAY) == [True, False]


def test_the_day_of_a_permission_is_the_shanghai_date_of_its_recording() -> None:
    life = Life().to_stable()
    life.step(Trigger.PERMIT, ON, datetime(2024, 12, 1, 16, 30, tzinfo=UTC))

    assert in_force(life, ON, ON + DAY) == [False, True]


def test_a_second_permission_is_in_force_where_the_first_has_ended() -> None:
    life = permitted(ON)
    life.step(Trigger.REVOKE, ON + 5 * DAY, cause="paper_fault", findings="x")
    life.step(Trigger.PERMIT, ON + 9 * DAY)

    days = [ON, ON + 5 * DAY, ON + 8 * DAY, ON + 9 * DAY]

    assert in_force(life, *days) == [True, False, False, True]


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        (FactKind.VIOLATION, {"type": "other", "by": "x", "what": "x"}),
        (FactKind.COMPLAINT, {"what": "x"}),
        (FactKind.FINDING, {"what": "x", "severity": "serious"}),
    ],
    ids=lambda value: str(value) if isinstance(value, FactKind) else "",
)
def test_a_permission_is_suspended_from_the_recording_to_the_day_before_the_answer(
    kind: FactKind, evidence: dict[str, str]
) -> None:
    life = permitted(ON)
    seq = life.add(kind, ON + DAY, evidence, recorded=ON + 3 * DAY)
    life.fact(FactKind.RESOLVE, ON + 4 * DAY, ON + 6 * DAY, id=seq, outcome="resolved")

    days = [ON + 2 * DAY, ON + 3 * DAY, ON + 5 * DAY, ON + 6 * DAY]

    assert in_force(life, *days) == [True, False, False, True]


def test_one_open_matter_is_enough_to_suspend() -> None:
    life = permitted(ON)
    first = life.fact(FactKind.COMPLAINT, ON + DAY, what="x")
    life.fact(FactKind.COMPLAINT, ON + 2 * DAY, what="y")
    life.fact(FactKind.RESOLVE, ON + 3 * DAY, id=first, outcome="resolved")

    assert in_force(life, ON + 3 * DAY, ON + 99 * DAY) == [False, False]


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [(FactKind.FINDING, {"what": "x", "severity": "note"}), (FactKind.NOTICE, {"objection": "x"})],
    ids=str,
)
def test_a_note_suspends_nothing(kind: FactKind, evidence: dict[str, str]) -> None:
    life = permitted(ON)
    life.add(kind, ON + DAY, evidence)

    assert in_force(life, ON + DAY) == [True]
