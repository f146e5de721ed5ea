"""The two clocks: what was true on a day, and what the ledger said at an instant."""

from datetime import date, datetime, timedelta
from pathlib import Path

import county
import pytest
from county import CODE, ONE_DAY, PAPER, County

from states import facts as facts_module
from states.facts import GONE_WORDS, Actor, CaseFacts
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import cases, journal, register
from workflow.cases import Clocks
from workflow.errors import NotPermitted

HAPPENED, HEARD = date(2023, 8, 10), date(2023, 8, 20)


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Works done on one day and recorded ten days later."""
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.CONSTRUCTION)
    pairs = county.pairs_of(county.complete(CODE, HAPPENED))
    place.advance(CODE, Trigger.COMPLETE, HEARD, *pairs, on=HAPPENED)
    return place


def facts(place: County, clocks: Clocks, who: Actor | None = None) -> CaseFacts:
    with place.database.reading() as connection:
        return cases.facts_of(connection, CODE, who, clocks)[0]


@pytest.mark.parametrize(
    ("as_of", "known_at", "state"),
    [
        (HAPPENED - ONE_DAY, None, State.CONSTRUCTION),
        (HAPPENED, None, State.ACCEPTANCE),
        (HEARD, None, State.ACCEPTANCE),
        (HAPPENED, county.noon(HEARD) - timedelta(microseconds=1), State.CONSTRUCTION),
        (HEARD, county.noon(HEARD) - timedelta(microseconds=1), State.CONSTRUCTION),
        (HAPPENED, county.noon(HEARD), State.ACCEPTANCE),
        (HAPPENED - ONE_DAY, county.noon(HEARD), State.CONSTRUCTION),
        (county.CONFIRMED - ONE_DAY, None, State.HOUSEHOLD_CONFIRMATION),
        (county.LEDGER_IN, None, State.HOUSEHOLD_CONFIRMATION),
    ],
)
def test_either_clock_can_be_asked_and_both_together(
    place: County, as_of: date, known_at: datetime | None, state: State
) -> None:
    clocks = Clocks(as_of, past=True, known_at=known_at)

    assert facts(place, clocks).state is state
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        listed = {p.code: p.state for p in cases.positions(connection, plan, clocks)}
    assert listed[CODE] is state


def test_before_it_was_registered_there_was_no_case(place: County) -> None:
    for clocks in (
        Clocks(county.LEDGER_IN - ONE_DAY, past=True),
        Clocks(HEARD, known_at=county.noon(county.LEDGER_IN) - timedelta(microseconds=1)),
    ):
        with pytest.raises(NotPermitted):
            facts(place, clocks)
        with place.database.reading() as connection:
            plan = register.plan_in_force(connection)
            assert cases.positions(connection, plan, clocks) == []


def test_a_correction_shows_from_its_recording_on(place: County) -> None:
    wrong = place.advance(CODE, FactKind.VISIT, HEARD, ("temperature", "12"))
    right = (("id", str(wrong.seq)), ("temperature", "21"))
    place.advance(CODE, FactKind.CORRECT, HEARD + 5 * ONE_DAY, *right, files=[PAPER])

    now = facts(place, Clocks(HEARD, past=True))
    then = facts(place, Clocks(HEARD, past=True, known_at=county.noon(HEARD)))

    assert [visit.temperature for visit in now.visits] == [21]
    assert [visit.temperature for visit in then.visits] == [12]


def test_the_present_read_from_the_projection_is_the_present_replayed(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        for day in (HEARD, date(2023, 10, 1), date(2024, 1, 1)):
            projected = cases.positions(connection, plan, Clocks(day))
            replayed = cases.positions(connection, plan, Clocks(day, past=True))

            assert projected == replayed


@pytest.fixture
def eventful(tmp_path: Path) -> County:
    """Every kind of event that could move a deadline, a mark or the old facility, on some case."""
    place, town = county.fresh(tmp_path), county.TOWN
    confirm = county.pairs_of(county.confirm(town[1]))
    sealed = [(k, "kang:sealed" if k == "old_facility" else v) for k, v in confirm]
    place.advance(town[1], Trigger.CONFIRM, county.CONFIRMED, *sealed)
    gone = ["102-0001", "102-0002"]
    place.carry_out([county.confirm(town[3])], "wang", county.CONFIRMED)
    county.carry(place, gone, State.CONSTRUCTION)
    place.carry_out([county.complete(code) for code in gone], "qian", county.COMPLETED)
    place.carry_out([county.accept(code) for code in gone], "zhao", county.ACCEPTED)
    late = date(2023, 9, 12)
    right = (("findings", "不合格"), ("put_right_by", "2023-10-20"))
    place.advance("102-0001", Trigger.OVERTURN, late, *right)
    stove = (("facility", "stove"), ("status", "removed"), ("by", "unknown"))
    seen = place.advance("102-0002", FactKind.OLD_FACILITY, late, *stove, on=county.ACCEPTED)
    place.advance(town[2], Trigger.CLOSE, late, *county.CLOSING)
    due = (("due_on", "2023-10-08"), ("requested_by", "甲镇"))
    place.advance(town[3], FactKind.EXTENSION, late, *due, reason="缺货", files=[PAPER])
    place.advance("RLJ-0001", FactKind.VISIT, late, ("temperature", "12"))
    violation = (("type", "kang_sealed"), ("by", "村干部"), ("what", "封炕"))
    place.advance("RLJ-0001", FactKind.VIOLATION, late + ONE_DAY, *violation)
    status = (("id", str(seen.seq)), ("status", "in_use"))
    place.advance("102-0002", FactKind.CORRECT, late + 3 * ONE_DAY, *status, files=[PAPER])
    place.advance(town[2], Trigger.REINSTATE, late + 5 * ONE_DAY, reason="又参加")
    return place


def test_past_days_read_by_columns_are_what_the_histories_fold_to(eventful: County) -> None:
    days = [county.LEDGER_IN + timedelta(days=n) for n in range(-1, 125, 3)]
    instants = [None, *(county.noon(day) for day in (HAPPENED, HEARD, date(2023, 9, 13)))]

    for known_at in instants:
        for clocks in (
            Clocks(date(2023, 10, 9), known_at=county.noon(date(2023, 12, 1))),
            *(Clocks(day, True, known_at) for day in days),
        ):
            assert county.listed(eventful, clocks) == county.folded(eventful, clocks), clocks


def test_only_cases_that_went_onward_are_read_by_columns(eventful: County) -> None:
    with eventful.database.reading() as connection:
        onward = {code for code, line in journal.lines(connection, None).items()}
        simple = {c for c, line in journal.lines(connection, None).items() if line.onward_only}
        then = journal.lines(connection, county.noon(HEARD))
        sealed = journal.cases_saying(connection, [Trigger.CONFIRM], GONE_WORDS)

    town = county.TOWN
    assert onward == set(county.CODES)
    assert simple == {CODE, town[1], town[4], town[5], "RLJ-0002"}
    assert sealed == {town[1]}
    # What was heard later could have changed the marks that the rows show now.
    assert not then["102-0001"].onward_only


def test_a_kind_that_nobody_thought_of_is_folded() -> None:
    known = {*facts_module.ONWARD, *facts_module.BESIDE}

    assert set(FactKind) - known == {
        FactKind.OLD_FACILITY,
        FactKind.VIOLATION,
        FactKind.PAUSE,
        FactKind.RESUME,
        FactKind.EXTENSION,
        FactKind.RESOLVE,
        FactKind.CORRECT,
    }
    assert set(Trigger) - known == {
        Trigger.REJECT,
        Trigger.OVERTURN,
        Trigger.REPLACE,
        Trigger.CHANGE_PATH,
        Trigger.REVOKE,
        Trigger.SEND_BACK,
        Trigger.CLOSE,
        Trigger.REINSTATE,
    }


def test_positions_are_those_of_the_units_asked_for(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        for clocks in (Clocks(HEARD), Clocks(HEARD, past=True)):
            found = cases.positions(connection, plan, clocks, ["102", "RLJ"])
            assert [p.code for p in found] == ["102-0001", "102-0002", "RLJ-0001", "RLJ-0002"]
            assert {p.unit_name for p in found} == {"乙乡", "热力局"}


def test_a_case_of_another_unit_is_no_case(place: County) -> None:
    own = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")
    other = Actor("qian", "qian", "钱经办", Role.UNIT_OFFICER, "102")

    assert facts(place, Clocks(HEARD), own).code == CODE
    with pytest.raises(NotPermitted):
        facts(place, Clocks(HEARD), other)


def test_the_newest_personal_data_counts(place: County) -> None:
    place.sql(
        "INSERT INTO personal SELECT case_code, 2, '新名', id_number, credit_code, phone, meter,"
        " address, remarks, salt, digest FROM personal WHERE case_code = ?",
        CODE,
    )

    with place.database.reading() as connection:
        assert cases.personal(connection, [CODE])[CODE].name == "新名"
        assert cases.personal(connection)[CODE].name == "新名"
