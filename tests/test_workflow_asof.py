"""The county's figures on two clocks, and what became of figures that were published."""

import json
from datetime import date
from pathlib import Path

import county
import pytest
from county import ACCEPTED, CODE, CODES, COMPLETED, CONFIRMED, ONE_DAY, SELECTED, County, noon

from states.vocabulary import FactKind, State, Trigger
from workflow import answers_audit, asof, register
from workflow.asof import Change, Difference, View
from workflow.cases import Clocks
from workflow.errors import BadFile

TODAY = date(2023, 10, 20)


@pytest.fixture
def place(tmp_path: Path) -> County:
    """The six of 甲镇 accepted, the others where they began."""
    found = county.fresh(tmp_path)
    county.carry(found, CODES[:6], State.STABLE_SEASON)
    return found


def view(place: County, day: date, *, known_at: date | None = None, past: bool = True) -> View:
    clocks = Clocks(day, past=past, known_at=noon(known_at) if known_at else None)
    with place.database.reading() as connection:
        return asof.view(connection, register.plan_in_force(connection), clocks)


def figures(place: County, day: date, unit: str = "101") -> dict[str, int]:
    return {one.unit: one.figures for one in view(place, day).by_unit}[unit]


def publish(place: County, found: View) -> Path:
    path = place.file.parent / "published.json"
    document = answers_audit.asof(found, None)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def compare(place: County, path: Path, now: View) -> Difference:
    with place.database.reading() as connection:
        return asof.compare(connection, now, asof.read_published(path))


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (CONFIRMED - ONE_DAY, State.HOUSEHOLD_CONFIRMATION),
        (CONFIRMED, State.EQUIPMENT_SELECTION),
        (SELECTED, State.CONSTRUCTION),
        (COMPLETED, State.ACCEPTANCE),
        (ACCEPTED - ONE_DAY, State.ACCEPTANCE),
        (ACCEPTED, State.STABLE_SEASON),
    ],
)
def test_the_figures_are_those_of_the_day(place: County, day: date, state: State) -> None:
    found = figures(place, day)

    assert found["cases"] == 6
    assert found[f"state:{state}"] == 6
    assert found["done"] == (6 if state is State.STABLE_SEASON else 0)


def test_what_was_not_yet_known_is_left_out(place: County) -> None:
    (unit, *_) = view(place, ACCEPTED, known_at=COMPLETED).by_unit

    assert unit.by_state == {State.ACCEPTANCE: 6}


def test_past_figures_and_those_of_the_projection_agree(place: County) -> None:
    assert view(place, TODAY).by_unit == view(place, TODAY, past=False).by_unit


def test_a_removal_a_violation_and_lateness_are_counted(place: County) -> None:
    sealed = ("facility", "kang"), ("status", "sealed"), ("by", "household")
    place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *sealed)
    act = ("type", "other"), ("by", "official"), ("what", "拉走了煤")
    place.advance(CODES[1], FactKind.VIOLATION, TODAY, *act)

    found = figures(place, TODAY)

    assert (found["removed"], found["violations_open"]) == (1, 1)
    assert figures(place, TODAY - ONE_DAY)["removed"] == 0
    assert figures(place, TODAY, "102")["overdue"] == 2


def test_nothing_changed_since_a_report_that_was_just_made(place: County) -> None:
    path = publish(place, view(place, TODAY))

    found = compare(place, path, view(place, TODAY))

    assert (found.reproduced, found.changes, found.cases) == (True, {}, ())


def test_a_late_entry_changes_a_published_figure_and_is_named(place: County) -> None:
    path = publish(place, view(place, ACCEPTED))
    done = place.advance(CODE, Trigger.CLOSE, ACCEPTED + 5 * ONE_DAY, *county.CLOSING, on=ACCEPTED)

    found = compare(place, path, view(place, ACCEPTED))

    assert found.reproduced
    assert set(found.changes) == {"101"}
    assert Change("cases", 6, 5) in found.changes["101"]
    assert Change("state:closed", 0, 1) in found.changes["101"]
    (case,) = found.cases
    assert (case.code, case.was, case.becomes) == (CODE, State.STABLE_SEASON, State.CLOSED)
    assert [event.seq for event in case.events] == [done.seq]


def test_what_was_recorded_later_at_the_very_same_instant_is_told_apart(place: County) -> None:
    path = publish(place, view(place, ACCEPTED))
    done = place.advance(CODE, Trigger.CLOSE, ACCEPTED, *county.CLOSING)

    found = compare(place, path, view(place, ACCEPTED))

    assert found.reproduced
    assert Change("cases", 6, 5) in found.changes["101"]
    assert [[event.seq for event in case.events] for case in found.cases] == [[done.seq]]


def test_a_deadline_that_passed_needs_no_event(place: County) -> None:
    path = publish(place, view(place, date(2023, 9, 30)))

    found = compare(place, path, view(place, date(2023, 10, 1)))

    assert found.changes["102"] == (Change("overdue", 0, 2),)
    assert [case.events for case in found.cases if case.unit == "102"] == [(), ()]


def test_a_correction_counts_from_its_recording_whatever_its_day(place: County) -> None:
    sealed = ("facility", "kang"), ("status", "sealed"), ("by", "household")
    seq = place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *sealed).seq
    path = publish(place, view(place, TODAY))
    right = ("id", str(seq)), ("status", "in_use")
    later = TODAY + ONE_DAY
    done = place.advance(CODE, FactKind.CORRECT, later, *right, on=TODAY, files=(county.PAPER,))

    found = compare(place, path, view(place, TODAY))

    assert found.changes["101"] == (Change("removed", 1, 0),)
    assert [[event.seq for event in case.events] for case in found.cases] == [[done.seq]]


def test_a_correction_to_a_later_day_is_what_changed_an_earlier_report(place: County) -> None:
    sealed = ("facility", "kang"), ("status", "sealed"), ("by", "household")
    seq = place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *sealed).seq
    path = publish(place, view(place, TODAY))
    day = TODAY + 2 * ONE_DAY
    right = ("id", str(seq)), ("status", "sealed")
    done = place.advance(CODE, FactKind.CORRECT, day, *right, on=day, files=(county.PAPER,))

    found = compare(place, path, view(place, TODAY))

    assert found.changes["101"] == (Change("removed", 1, 0),)
    assert [[event.seq for event in case.events] for case in found.cases] == [[done.seq]]


def test_a_published_figure_that_the_journal_does_not_give_is_told(place: County) -> None:
    path = publish(place, view(place, TODAY))
    document = json.loads(path.read_text(encoding="utf-8"))
    document["by_unit"]["102"]["overdue"] = 0
    path.write_text(json.dumps(document), encoding="utf-8")

    found = compare(place, path, view(place, TODAY))

    assert found.reproduced is False
    assert found.faults == {"102": (Change("overdue", 0, 2),)}


def test_a_report_that_knew_more_than_the_journal_holds_is_told(place: County) -> None:
    path = publish(place, view(place, TODAY))
    document = json.loads(path.read_text(encoding="utf-8"))
    document["seq"] += 5
    path.write_text(json.dumps(document), encoding="utf-8")

    found = compare(place, path, view(place, TODAY))

    assert (found.reproduced, found.journal_shorter) == (False, True)


def test_under_another_plan_the_report_is_not_made_again(place: County) -> None:
    path = publish(place, view(place, TODAY))
    document = json.loads(path.read_text(encoding="utf-8"))
    document["plan_hash"] = "0" * 64
    path.write_text(json.dumps(document), encoding="utf-8")

    assert compare(place, path, view(place, TODAY)).reproduced is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"as_of": "昨天"}', "\xff"])
def test_a_file_that_is_no_report_is_refused_with_a_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1", "ignore") or text.encode())

    with pytest.raises(BadFile) as refused:
        asof.read_published(path)

    assert refused.value.remedy is not None


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        asof.read_published(tmp_path / "nothing.json")
