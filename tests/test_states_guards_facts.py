from collections.abc import Sequence
from datetime import date

import pytest
from factories import DAY, LI, XIAOXIAN, Life, check_told, officer, question

from states import guards_facts, lifecycle, machine
from states.errors import Reason, StepRefused
from states.facts import Actor
from states.vocabulary import FactKind, Role, State, Trigger

TODAY = date(2024, 7, 10)
COMPLETE: dict[FactKind, tuple[tuple[str, str], ...]] = {
    FactKind.WORKS: (("first_heat_on", "2024-07-09"),),
    FactKind.NOTICE: (("objection", "不是本村人"),),
    FactKind.OLD_FACILITY: (("facility", "kang"), ("status", "sealed"), ("by", "unknown")),
    FactKind.FAULT: (("what", "不热"),),
    FactKind.REPAIR: (("fault", "1"),),
    FactKind.VISIT: (("temperature", "19"),),
    FactKind.SIGNATURE: (("season", "2024-2025"), ("by", "household")),
    FactKind.VIOLATION: (("type", "other"), ("by", "村委会"), ("what", "x")),
    FactKind.COMPLAINT: (("what", "x"),),
    FactKind.FINDING: (("what", "x"), ("severity", "note")),
    FactKind.PAUSE: (("cause", "weather"),),
    FactKind.EXTENSION: (("due_on", "2024-12-01"), ("requested_by", "东岭镇")),
    FactKind.RESOLVE: (("id", "1"), ("outcome", "resolved")),
    FactKind.CORRECT: (("id", "1"),),
}
EXEMPT_FROM_KEYS_GIVEN = (FactKind.WORKS, FactKind.NOTICE)
# What stands on its own, without an earlier event to name.
BY_THEMSELVES = [
    kind
    for kind in COMPLETE
    if kind not in (FactKind.REPAIR, FactKind.EXTENSION, FactKind.RESOLVE, FactKind.CORRECT)
]


def unmet(
    life: Life,
    kind: FactKind,
    *pairs: tuple[str, str],
    on: date = TODAY,
    files: Sequence[str] = ("bz.pdf",),
    actor: Actor | None = None,
    today: date = TODAY,
) -> list[str]:
    """The guards that stand against recording the fact."""
    asked = question(life.facts(), kind, today, *pairs, on=on, attached=files, actor=actor or LI)
    try:
        machine.check_fact(kind, asked)
    except StepRefused as refusal:
        return [reason.guard for reason in refusal.reasons]
    return []


@pytest.mark.parametrize("kind", BY_THEMSELVES, ids=str)
@pytest.mark.parametrize("state", list(State))
def test_the_physical_world_does_not_ask_permission_in_any_state(
    kind: FactKind, state: State
) -> None:
    facts = Life().facts()
    facts.state = state

    machine.check_fact(kind, question(facts, kind, TODAY, *COMPLETE[kind]))

    assert facts.state is state


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (kind, name)
        for kind, pairs in COMPLETE.items()
        if kind not in EXEMPT_FROM_KEYS_GIVEN
        for name, _ in pairs
    ],
    ids=str,
)
def test_each_key_of_a_fact_is_needed(kind: FactKind, key: str) -> None:
    given = [pair for pair in COMPLETE[kind] if pair[0] != key]

    reason = guards_facts.keys_given(question(Life().facts(), kind, TODAY, *given))

    assert reason is not None
    assert (reason.missing, reason.earliest) == ((key,), TODAY)
    assert guards_facts.keys_given(question(Life().facts(), kind, TODAY, *COMPLETE[kind])) is None


@pytest.mark.parametrize("kind", BY_THEMSELVES, ids=str)
def test_a_fact_is_not_of_tomorrow(kind: FactKind) -> None:
    assert unmet(Life(), kind, *COMPLETE[kind], on=TODAY + DAY) == ["not_future"]


@pytest.mark.parametrize("kind", BY_THEMSELVES, ids=str)
def test_a_late_fact_needs_its_document(kind: FactKind) -> None:
    late = TODAY - 11 * DAY

    assert unmet(Life(), kind, *COMPLETE[kind], on=late) == ["late_paper"]
    assert unmet(Life(), kind, *COMPLETE[kind], ("late_document", "bz.pdf"), on=late) == []


# Works and notice


@pytest.mark.parametrize(
    ("pairs", "refused"),
    [
        ((), True),
        ((("serial", "SN-1"),), False),
        ((("started_on", "2024-07-10"),), False),
        ((("started_on", "2024-07-11"),), True),
        ((("first_heat_on", "2024-07-11"),), True),
        ((("started_on", "2024-07-02"), ("installed_on", "2024-07-01")), True),
        ((("installed_on", "2024-07-02"), ("ready_on", "2024-07-02")), False),
    ],
    ids=str,
)
def test_works_say_something_in_order_and_not_of_tomorrow(
    pairs: Sequence[tuple[str, str]], refused: bool
) -> None:
    assert unmet(Life(), FactKind.WORKS, *pairs) == (["works_stated"] if refused else [])


@pytest.mark.parametrize(
    ("before", "now", "day", "refused"),
    [
        ("started_on", "ready_on", "2024-06-30", True),
        ("started_on", "ready_on", "2024-07-01", False),
        ("installed_on", "started_on", "2024-07-02", True),
        ("installed_on", "started_on", "2024-07-01", False),
        ("ready_on", "installed_on", "2024-07-02", True),
        ("ready_on", "installed_on", "2024-07-01", False),
    ],
)
def test_works_are_in_order_with_what_was_recorded_before(
    before: str, now: str, day: str, refused: bool
) -> None:
    life = Life()
    life.add(FactKind.WORKS, date(2024, 7, 1), {before: date(2024, 7, 1)})

    found = unmet(life, FactKind.WORKS, (now, day))

    assert found == (["works_stated"] if refused else [])


@pytest.mark.parametrize(("serial", "refused"), [("SN-1", False), ("SN-2", True)])
def test_after_completion_another_serial_is_a_replacement(serial: str, refused: bool) -> None:
    found = unmet(Life().to_acceptance(), FactKind.WORKS, ("serial", serial))

    assert found == (["same_device"] if refused else [])


def test_after_completion_works_may_tell_of_the_first_heat_without_the_serial() -> None:
    assert unmet(Life().to_acceptance(), FactKind.WORKS, ("first_heat_on", "2024-07-09")) == []


def test_before_completion_a_serial_may_still_change() -> None:
    life = Life().to_construction()
    life.fact(FactKind.WORKS, date(2024, 7, 1), serial="SN-1")

    assert unmet(life, FactKind.WORKS, ("serial", "SN-2")) == []


@pytest.mark.parametrize(
    ("pairs", "refused"),
    [
        ((), True),
        ((("from", "2024-07-01"),), True),
        ((("to", "2024-07-01"), ("objection", "x")), True),
        ((("from", "2024-07-02"), ("to", "2024-07-01")), True),
        ((("from", "2024-07-01"), ("to", "2024-07-01")), False),
        ((("from", "2024-07-01"), ("objection", "x")), True),
        ((("objection", "x"),), False),
    ],
    ids=str,
)
def test_a_notice_has_both_its_days_or_is_an_objection(
    pairs: Sequence[tuple[str, str]], refused: bool
) -> None:
    assert unmet(Life(), FactKind.NOTICE, *pairs) == (["notice_stated"] if refused else [])


def test_nothing_becomes_of_a_facility_that_is_none() -> None:
    given = (("facility", "none"), ("status", "removed"), ("by", "household"))

    assert unmet(Life(), FactKind.OLD_FACILITY, *given) == ["facility_named"]


# Faults and repairs


@pytest.mark.parametrize(
    ("on", "refused"), [(date(2024, 7, 4), True), (date(2024, 7, 5), False)], ids=str
)
def test_a_repair_is_not_before_its_fault(on: date, refused: bool) -> None:
    life = Life()
    fault = life.fault(date(2024, 7, 5))

    found = unmet(life, FactKind.REPAIR, ("fault", str(fault)), on=on)

    assert found == (["fault_open"] if refused else [])


def test_a_repair_ends_an_open_fault_of_this_case() -> None:
    life = Life()
    repaired = life.fault(date(2024, 7, 1), date(2024, 7, 2))

    assert unmet(life, FactKind.REPAIR, ("fault", str(repaired))) == ["fault_open"]
    assert unmet(life, FactKind.REPAIR, ("fault", "99")) == ["fault_open"]


def test_a_signature_names_a_season_of_the_plan() -> None:
    by = ("by", "household")

    assert unmet(Life(), FactKind.SIGNATURE, ("season", "2030-2031"), by) == ["season_named"]
    assert unmet(Life(), FactKind.SIGNATURE, ("season", "2026-2027"), by) == []


# Pauses and extensions


def test_a_pause_begins_once_and_ends_once() -> None:
    life = Life()
    nothing_to_resume = unmet(life, FactKind.RESUME)
    life.fact(FactKind.PAUSE, date(2024, 7, 5), cause="weather")

    assert nothing_to_resume == ["paused"]
    assert unmet(life, FactKind.PAUSE, ("cause", "grid")) == ["not_paused_yet"]
    assert unmet(life, FactKind.RESUME, on=date(2024, 7, 4)) == ["paused"]
    assert unmet(life, FactKind.RESUME, on=date(2024, 7, 5)) == []
    life.fact(FactKind.RESUME, date(2024, 7, 6))
    assert unmet(life, FactKind.RESUME) == ["paused"]
    assert unmet(life, FactKind.PAUSE, ("cause", "grid")) == []


@pytest.mark.parametrize(("due_on", "refused"), [("2024-08-31", True), ("2024-09-01", False)])
def test_an_extension_moves_the_deadline_to_a_later_day(due_on: str, refused: bool) -> None:
    life = Life().to_construction()

    found = unmet(life, FactKind.EXTENSION, ("due_on", due_on), ("requested_by", "x"))

    assert found == (["extends"] if refused else [])


def test_there_is_nothing_to_extend_without_a_deadline() -> None:
    pairs = (("due_on", "2025-01-01"), ("requested_by", "x"))

    asked = question(Life().to_stable().facts(), FactKind.EXTENSION, TODAY, *pairs)
    reason = guards_facts.extends(asked)

    assert reason is not None
    assert "没有期限可延" in reason.message


# Answers and corrections


def complained() -> tuple[Life, int]:
    life = Life()
    return life, life.fact(FactKind.COMPLAINT, date(2024, 7, 5), what="x")


@pytest.mark.parametrize(("on", "refused"), [(date(2024, 7, 4), True), (date(2024, 7, 5), False)])
def test_an_answer_is_not_before_what_it_answers(on: date, refused: bool) -> None:
    life, seq = complained()

    found = unmet(life, FactKind.RESOLVE, ("id", str(seq)), ("outcome", "resolved"), on=on)

    assert found == (["matter_open"] if refused else [])


def test_an_answer_is_given_once_and_to_a_matter_of_this_case() -> None:
    life, seq = complained()
    fault = life.fault(TODAY)
    life.fact(FactKind.RESOLVE, TODAY, id=seq, outcome="resolved")

    for other in (seq, fault, 99):
        given = (("id", str(other)), ("outcome", "resolved"))
        assert unmet(life, FactKind.RESOLVE, *given) == ["matter_open"]


def test_an_answer_comes_with_a_document() -> None:
    life, seq = complained()
    given = (("id", str(seq)), ("outcome", "resolved"))

    assert unmet(life, FactKind.RESOLVE, *given, files=()) == ["documented"]


@pytest.mark.parametrize("kind", [FactKind.RESOLVE, FactKind.CORRECT])
def test_nobody_answers_or_rights_what_they_recorded(kind: FactKind) -> None:
    life = Life()
    matter = life.fact(FactKind.COMPLAINT, date(2024, 7, 5), person="li", what="x")
    visit = life.fact(FactKind.VISIT, date(2024, 7, 5), person="li", temperature=12)
    pairs = (
        (("id", str(matter)), ("outcome", "resolved"))
        if kind is FactKind.RESOLVE
        else (("id", str(visit)), ("temperature", "20"))
    )

    own = unmet(life, kind, *pairs, actor=officer(Role.COUNTY_OFFICE, "li", login="other"))
    another = unmet(life, kind, *pairs, actor=officer(Role.COUNTY_OFFICE, "zhou"))

    assert (own, another) == (["separation"], [])


def test_asked_for_anybody_another_could_answer() -> None:
    life, seq = complained()
    asked = question(
        life.facts(), FactKind.RESOLVE, TODAY, ("id", str(seq)), ("outcome", "resolved")
    )

    assert guards_facts.answered_by_another(asked) is None


@pytest.mark.parametrize("named", ["li", "li-login", "li某"], ids=["person", "login", "name"])
def test_nobody_answers_a_violation_of_which_they_are_accused(named: str) -> None:
    life = Life()
    seq = life.fact(FactKind.VIOLATION, date(2024, 7, 5), type="other", by=named, what="x")
    given = (("id", str(seq)), ("outcome", "resolved"))

    assert unmet(life, FactKind.RESOLVE, *given) == ["separation"]


@pytest.mark.parametrize(
    "kind",
    [
        FactKind.VIOLATION,
        FactKind.COMPLAINT,
        FactKind.FINDING,
        FactKind.EXTENSION,
        FactKind.RESOLVE,
        Trigger.CONFIRM,
    ],
)
def test_a_step_a_matter_and_an_answer_are_never_rewritten(kind: FactKind | Trigger) -> None:
    life = Life()
    seq = life.add(
        kind,
        date(2024, 7, 5),
        {"type": "other", "id": 1, "outcome": "resolved", "due_on": "2024-09-01"},
        target=State.EQUIPMENT_SELECTION if kind is Trigger.CONFIRM else None,
    )

    assert unmet(life, FactKind.CORRECT, ("id", str(seq)), ("what", "y")) == ["correctable"]


def test_a_correction_names_an_event_of_this_case_and_changes_something() -> None:
    life = Life()
    seq = life.fact(FactKind.VISIT, date(2024, 7, 5), temperature=12)
    named = ("id", str(seq))

    assert unmet(life, FactKind.CORRECT, ("id", "99"), ("temperature", "20")) == ["correctable"]
    assert unmet(life, FactKind.CORRECT, named, on=date(2024, 7, 5)) == ["correctable"]
    assert unmet(life, FactKind.CORRECT, named, on=date(2024, 7, 6)) == []
    assert unmet(life, FactKind.CORRECT, named, ("temperature", "20"), on=date(2024, 7, 5)) == []


def test_a_correction_of_something_long_past_brings_its_own_document_only() -> None:
    life = Life()
    seq = life.fact(FactKind.VISIT, date(2024, 2, 5), temperature=12)
    given = (("id", str(seq)), ("temperature", "20"))

    assert unmet(life, FactKind.CORRECT, *given, on=date(2024, 2, 5)) == []
    assert unmet(life, FactKind.CORRECT, *given, on=date(2024, 2, 5), files=()) == ["documented"]


def test_the_ledger_row_is_corrected_for_its_old_facilities_only() -> None:
    life = Life()

    assert unmet(life, FactKind.CORRECT, ("id", "1"), ("old_facility", "none")) == []
    assert unmet(life, FactKind.CORRECT, ("id", "1")) == ["correctable"]


@pytest.mark.parametrize(
    ("on", "refused"), [(date(2024, 7, 4), True), (date(2024, 7, 5), False)], ids=str
)
def test_a_corrected_repair_is_not_before_its_fault(on: date, refused: bool) -> None:
    life = Life()
    life.fault(date(2024, 7, 5), date(2024, 7, 8))
    repair = life.events[-1].seq

    found = unmet(life, FactKind.CORRECT, ("id", str(repair)), on=on)

    assert found == (["fault_named"] if refused else [])


def test_a_corrected_repair_names_a_fault_of_this_case() -> None:
    life = Life()
    life.fault(date(2024, 7, 5), date(2024, 7, 8))
    repair = ("id", str(life.events[-1].seq))

    assert unmet(life, FactKind.CORRECT, repair, ("fault", "99")) == ["fault_named"]
    assert unmet(life, FactKind.CORRECT, repair, ("fault", "2")) == []


def test_a_corrected_fault_that_is_still_open_may_be_of_any_day_before_today() -> None:
    life = Life()
    fault = life.fault(date(2024, 7, 5))

    assert unmet(life, FactKind.CORRECT, ("id", str(fault)), on=TODAY) == []


@pytest.mark.parametrize(
    ("on", "refused"), [(date(2024, 7, 8), False), (date(2024, 7, 9), True)], ids=str
)
def test_a_corrected_fault_is_not_after_its_repair(on: date, refused: bool) -> None:
    # Else a correction of the day would make an outage vanish.
    life = Life()
    fault = life.fault(date(2024, 7, 5), date(2024, 7, 8))

    found = unmet(life, FactKind.CORRECT, ("id", str(fault)), on=on)

    assert found == (["fault_before_repair"] if refused else [])


def test_every_fact_has_its_row_and_its_guards() -> None:
    assert set(lifecycle.BY_FACT) == set(FactKind)
    assert set(COMPLETE) == set(FactKind) - {FactKind.RESUME}
    assert XIAOXIAN.rules.backdating_days.value == 10


@pytest.mark.parametrize(("again", "refused"), [("2024-07-09", False), ("2024-07-01", True)])
def test_the_first_heat_of_a_device_is_stated_once(again: str, refused: bool) -> None:
    life = Life().to_stable()
    life.fact(FactKind.WORKS, date(2024, 7, 9), first_heat_on=date(2024, 7, 9))

    found = unmet(life, FactKind.WORKS, ("first_heat_on", again))

    assert found == (["first_heat_once"] if refused else [])


@pytest.mark.parametrize("name", ["started_on", "installed_on", "ready_on", "first_heat_on"])
def test_works_told_today_of_long_ago_are_late_paper(name: str) -> None:
    edge = TODAY - XIAOXIAN.rules.backdating_days.value * DAY
    paper = ("late_document", "bz.pdf")

    assert unmet(Life(), FactKind.WORKS, (name, str(edge))) == []
    assert unmet(Life(), FactKind.WORKS, (name, str(edge - DAY))) == ["late_paper"]
    assert unmet(Life(), FactKind.WORKS, (name, str(edge - DAY)), paper) == []


@pytest.mark.parametrize(
    ("again", "refused"),
    [("2025-03-15", True), ("2025-03-16", False), ("2025-11-06", False)],
)
def test_each_season_has_a_first_heat_of_its_own(again: str, refused: bool) -> None:
    life = Life().to_stable()
    life.fact(FactKind.WORKS, date(2024, 11, 2), first_heat_on=date(2024, 11, 2))

    day, paper = date(2025, 11, 8), ("late_document", "bz.pdf")

    found = unmet(life, FactKind.WORKS, ("first_heat_on", again), paper, on=day, today=day)

    assert found == (["first_heat_once"] if refused else [])


def test_another_device_has_a_first_heat_of_its_own() -> None:
    life = Life().to_stable()
    life.fact(FactKind.WORKS, date(2024, 7, 2), first_heat_on=date(2024, 7, 2))
    life.step(Trigger.REPLACE, date(2024, 7, 5), findings="x", put_right_by=date(2024, 7, 8))

    assert unmet(life, FactKind.WORKS, ("first_heat_on", "2024-07-09")) == []


def test_a_correction_that_names_no_event_is_refused_for_that_alone() -> None:
    # Event 1 of this life was recorded by the officer who corrects.
    registrar = officer(Role.COUNTY_OFFICE, "wang")

    found = unmet(Life(), FactKind.CORRECT, ("temperature", "20"), actor=registrar)

    assert found == ["keys_given"]


# Each refusal, in whole

U, C = Role.UNIT_OFFICER, Role.COUNTY_OFFICE
SEASON, TABLE, READY = "通知 四", "设计 3", "通知 三（一）"
SEPARATION = "设计 3（职责分离）"
WORKS_KEYS = ("started_on", "installed_on", "ready_on", "first_heat_on", "serial")


def completed() -> Life:
    return Life().to_acceptance()


def heated() -> Life:
    life = Life().to_stable()
    life.heat(date(2024, 7, 9))
    return life


def faulty(repaired: date | None = None) -> Life:
    """A case whose fault is its event 2."""
    life = Life()
    life.fault(date(2024, 7, 5), repaired)
    return life


def on_pause() -> Life:
    life = Life()
    life.fact(FactKind.PAUSE, date(2024, 7, 5), cause="weather")
    return life


def complained_of(resolved: bool = False) -> Life:
    life, seq = complained()
    if resolved:
        life.fact(FactKind.RESOLVE, date(2024, 7, 8), id=seq, outcome="resolved")
    return life


def two_faults() -> Life:
    life = faulty(date(2024, 7, 8))
    life.fault(date(2024, 7, 9))
    return life


REPAIRED, WARM = date(2024, 7, 8), ("temperature", "20")
TOLD: list[tuple[FactKind, Sequence[tuple[str, str]], Life, date, Reason]] = [
    (
        FactKind.PAUSE,
        (),
        Life(),
        TODAY,
        Reason("keys_given", TABLE, "暂停原因（cause）", ("cause",), U, TODAY),
    ),
    (
        FactKind.WORKS,
        (),
        Life(),
        TODAY,
        Reason("works_stated", READY, "、".join(WORKS_KEYS), WORKS_KEYS, U, TODAY),
    ),
    (
        FactKind.WORKS,
        (("started_on", "2024-07-11"), ("first_heat_on", "2024-07-12")),
        Life(),
        TODAY,
        Reason("works_stated", READY, "2024-07-11、2024-07-12", (), U, TODAY + 2 * DAY),
    ),
    (
        FactKind.WORKS,
        (("started_on", "2024-07-02"), ("installed_on", "2024-07-01")),
        Life(),
        TODAY,
        Reason("works_stated", READY, "2024-07-02、2024-07-01", (), U, TODAY),
    ),
    (
        FactKind.WORKS,
        (("serial", "SN-2"),),
        completed(),
        TODAY,
        Reason("same_device", READY, "（SN-1） replace", ("serial",), U, TODAY),
    ),
    (
        FactKind.WORKS,
        (("first_heat_on", "2024-07-01"),),
        heated(),
        TODAY,
        Reason("first_heat_once", SEASON, "2024-07-09 2024-07-01", ("correct",), C, TODAY),
    ),
    (
        FactKind.NOTICE,
        (),
        Life(),
        TODAY,
        Reason("notice_stated", "通知 七（五）", "objection", ("from", "to"), U, TODAY),
    ),
    (
        FactKind.NOTICE,
        (("from", "2024-07-02"), ("to", "2024-07-01")),
        Life(),
        TODAY,
        Reason("notice_stated", "通知 七（五）", "2024-07-01 2024-07-02", ("from", "to"), U, TODAY),
    ),
    (
        FactKind.OLD_FACILITY,
        (("facility", "none"), ("status", "removed"), ("by", "household")),
        Life(),
        TODAY,
        Reason("facility_named", SEASON, "facility", ("facility",), U, TODAY),
    ),
    (
        FactKind.REPAIR,
        (("fault", "99"),),
        two_faults(),
        TODAY,
        Reason("fault_open", SEASON, "99 （未修复的：4）", ("fault",), U, TODAY),
    ),
    (
        FactKind.REPAIR,
        (("fault", "99"),),
        Life(),
        TODAY,
        Reason("fault_open", SEASON, "99 （未修复的：无）", ("fault",), U, TODAY),
    ),
    (
        FactKind.REPAIR,
        (("fault", "2"),),
        faulty(REPAIRED),
        TODAY,
        Reason("fault_open", SEASON, "2024-07-08 修复", ("fault",), U, TODAY),
    ),
    (
        FactKind.REPAIR,
        (("fault", "2"),),
        faulty(),
        date(2024, 7, 4),
        Reason("fault_open", SEASON, "2024-07-04 2024-07-05", ("fault",), U, TODAY),
    ),
    (
        FactKind.SIGNATURE,
        (("season", "2030-2031"), ("by", "household")),
        Life(),
        TODAY,
        Reason("season_named", SEASON, "2030-2031 2023-2024、2024-2025", ("season",), U, TODAY),
    ),
    (
        FactKind.PAUSE,
        (("cause", "grid"),),
        on_pause(),
        TODAY,
        Reason("not_paused_yet", TABLE, "2024-07-05 编号 2", (), U, TODAY),
    ),
    (
        FactKind.RESUME,
        (),
        Life(),
        TODAY,
        Reason("paused", TABLE, "没有暂停", (), U, TODAY),
    ),
    (
        FactKind.RESUME,
        (),
        on_pause(),
        date(2024, 7, 4),
        Reason("paused", TABLE, "2024-07-04 2024-07-05", (), U, TODAY),
    ),
    (
        FactKind.EXTENSION,
        (("due_on", "2025-01-01"), ("requested_by", "x")),
        Life().to_stable(),
        TODAY,
        Reason("extends", TABLE, "没有期限可延：稳定运行期", ("due_on",), C, TODAY),
    ),
    (
        FactKind.EXTENSION,
        (("due_on", "2024-08-31"), ("requested_by", "x")),
        Life().to_construction(),
        TODAY,
        Reason("extends", TABLE, "延至 2024-08-31 现有期限", ("due_on",), C, TODAY),
    ),
    (
        FactKind.RESOLVE,
        (("id", "99"), ("outcome", "resolved")),
        Life(),
        TODAY,
        Reason("matter_open", TABLE, "没有编号 99", ("id",), C, TODAY),
    ),
    (
        FactKind.RESOLVE,
        (("id", "2"), ("outcome", "resolved")),
        complained_of(resolved=True),
        TODAY,
        Reason("matter_open", TABLE, "编号 2 已于 2024-07-08 销号", ("id",), C, TODAY),
    ),
    (
        FactKind.RESOLVE,
        (("id", "2"), ("outcome", "resolved")),
        complained_of(),
        date(2024, 7, 4),
        Reason("matter_open", TABLE, "2024-07-04 2024-07-05", ("id",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "99"), WARM),
        Life(),
        TODAY,
        Reason("correctable", TABLE, "没有编号 99", ("id",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "2"), ("what", "y")),
        complained_of(),
        TODAY,
        Reason("correctable", TABLE, "编号 2 不能更正", ("id",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "1"),),
        Life(),
        TODAY,
        Reason("correctable", TABLE, "台账登记 old_facility", ("id",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "2"),),
        faulty(),
        date(2024, 7, 5),
        Reason("correctable", TABLE, "没有写明", ("id",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "3"), ("fault", "99")),
        faulty(REPAIRED),
        TODAY,
        Reason("fault_named", SEASON, "编号 99", ("fault",), C, TODAY),
    ),
    (
        FactKind.CORRECT,
        (("id", "2"),),
        faulty(REPAIRED),
        TODAY,
        Reason("fault_before_repair", SEASON, "2024-07-10 2024-07-08", (), C, TODAY),
    ),
]


@pytest.mark.parametrize(("kind", "pairs", "life", "on", "expected"), TOLD)
def test_a_refusal_says_guard_clause_what_is_missing_who_can_put_it_right_and_when(
    kind: FactKind,
    pairs: Sequence[tuple[str, str]],
    life: Life,
    on: date,
    expected: Reason,
) -> None:
    asked = question(life.facts(), kind, TODAY, *pairs, on=on, attached=("bz.pdf",), actor=LI)

    with pytest.raises(StepRefused) as refusal:
        machine.check_fact(kind, asked)

    assert len(refusal.value.reasons) == 1
    check_told(refusal.value.reasons[0], expected)


def test_an_answer_without_document_or_by_who_recorded_it_is_told_in_whole() -> None:
    life, seq = complained()
    own = officer(Role.COUNTY_OFFICE, "wang")
    asked = question(
        life.facts(), FactKind.RESOLVE, TODAY, ("id", str(seq)), ("outcome", "resolved"), actor=own
    )

    document, separation = guards_facts.documented(asked), guards_facts.answered_by_another(asked)

    check_told(document, Reason("documented", TABLE, "--attach", ("document",), C, TODAY))
    check_told(separation, Reason("separation", SEPARATION, "另一人", (), C, TODAY))
