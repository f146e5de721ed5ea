from datetime import date
from pathlib import Path

import county
import pytest
from county import ACCEPTED, CODE, CODES, ONE_DAY, OTHER_UNIT, County, noon

from states.vocabulary import FactKind, Outcome, State, Trigger
from workflow import register, violations
from workflow.cases import Clocks
from workflow.violations import Entry

SEALED_ON = ACCEPTED + 10 * ONE_DAY
ANSWERED_ON = SEALED_ON + 7 * ONE_DAY
TODAY = ANSWERED_ON + 10 * ONE_DAY


@pytest.fixture
def place(tmp_path: Path) -> County:
    """A sealed kang, answered; a complaint, open; a note of the auditor in a closed case."""
    found = county.fresh(tmp_path)
    county.carry(found, CODES, State.STABLE_SEASON)
    found.advance(CODE, FactKind.VISIT, SEALED_ON - ONE_DAY, ("temperature", "20.5"))
    sealed = ("type", "kang_sealed"), ("by", "official"), ("what", "封了火炕")
    seq = found.advance(CODE, FactKind.VIOLATION, SEALED_ON, *sealed).seq
    found.advance(OTHER_UNIT, FactKind.COMPLAINT, SEALED_ON + ONE_DAY, ("what", "不热"))
    note = ("what", "缺一页"), ("severity", "note")
    found.advance(CODES[1], FactKind.FINDING, SEALED_ON + ONE_DAY, *note)
    found.advance(CODE, FactKind.VISIT, SEALED_ON + ONE_DAY, ("temperature", "15.5"))
    answer = ("id", str(seq)), ("outcome", "resolved")
    files = (county.PAPER,)
    found.advance(CODE, FactKind.RESOLVE, ANSWERED_ON, *answer, login="li", files=files)
    found.advance(CODES[1], Trigger.CLOSE, ANSWERED_ON, *county.CLOSING)
    return found


def listed(
    place: County,
    clocks: Clocks | None = None,
    units: list[str] | None = None,
    *,
    only_open: bool = False,
) -> list[Entry]:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        asked = clocks or Clocks(TODAY)
        return violations.register(connection, plan, asked, units, only_open=only_open)


def test_the_register_lists_all_of_them_whatever_became_of_the_case(place: County) -> None:
    found = listed(place)

    assert [(one.code, one.matter.kind, one.state, one.matter.open) for one in found] == [
        (OTHER_UNIT, FactKind.COMPLAINT, State.STABLE_SEASON, True),
        (CODES[1], FactKind.FINDING, State.CLOSED, True),
        (CODE, FactKind.VIOLATION, State.STABLE_SEASON, False),
    ]


def test_an_answered_violation_stays_with_its_answer_and_the_visits_after_it(
    place: County,
) -> None:
    (one,) = [entry for entry in listed(place) if entry.code == CODE]

    assert one.matter.outcome is Outcome.RESOLVED
    assert (one.recorded_by, one.resolved_by, one.documents) == ("wang", "li", ("paper.pdf",))
    assert one.days == 7
    assert [(visit.on, visit.temperature) for visit in one.visits] == [(SEALED_ON + ONE_DAY, 15.5)]


def test_an_open_one_counts_its_days_until_today(place: County) -> None:
    (one,) = [entry for entry in listed(place) if entry.code == OTHER_UNIT]

    assert one.days == (TODAY - SEALED_ON).days - 1
    assert (one.resolved_by, one.visits) == (None, ())


def test_the_open_ones_and_those_of_a_unit_can_be_asked_for(place: County) -> None:
    assert {one.code for one in listed(place, only_open=True)} == {CODES[1], OTHER_UNIT}
    assert {one.code for one in listed(place, units=["102"])} == {OTHER_UNIT}
    assert listed(place, units=["RLJ"]) == []


def test_the_register_can_be_asked_on_both_clocks(place: County) -> None:
    before = Clocks(ANSWERED_ON - ONE_DAY, past=True)
    unheard = Clocks(TODAY, known_at=noon(SEALED_ON))

    (was,) = [entry for entry in listed(place, before) if entry.code == CODE]

    assert (was.matter.open, was.days) == (True, 6)
    assert [one.code for one in listed(place, unheard)] == [CODE]
    assert listed(place, Clocks(date(2023, 6, 1), past=True)) == []
