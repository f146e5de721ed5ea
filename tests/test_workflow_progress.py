"""倒排工期 beside the work done, against a count by hand."""

from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, TOWN, County

from states import schedule
from states.plan import LEAD_TRIGGERS
from states.vocabulary import Trigger
from workflow import progress, register
from workflow.cases import Clocks
from workflow.progress import Progress


@pytest.fixture(scope="module")
def place(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Four households of the town are confirmed, one of them closed since; one is accepted."""
    place = county.fresh(tmp_path_factory.mktemp("progress"))
    place.carry_out([county.confirm(code) for code in TOWN[:4]], "wang", county.CONFIRMED)
    place.carry_out([county.select(code) for code in TOWN[:3]], "wang", county.SELECTED)
    place.carry_out([county.complete(code) for code in TOWN[:2]], "wang", county.COMPLETED)
    place.carry_out([county.accept(CODE)], "zhao", county.ACCEPTED)
    place.advance(TOWN[3], Trigger.CLOSE, date(2023, 9, 12), *county.CLOSING)
    return place


def on(place: County, day: date, units: list[str] | None = None, *, past: bool = True) -> Progress:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        return progress.progress(connection, plan, Clocks(day, past), units)


def test_a_step_is_done_by_those_who_have_it_behind_them(place: County) -> None:
    found = on(place, date(2023, 9, 12))

    done = {code: [s.done for s in line.steps.values()] for code, line in found.by_unit.items()}
    assert done == {"101": [3, 3, 2, 1], "102": [0, 0, 0, 0], "RLJ": [0, 0, 0, 0]}
    assert [s.done for s in found.total.steps.values()] == [3, 3, 2, 1]


def test_what_was_true_on_an_earlier_day_is_counted_as_it_was(place: County) -> None:
    before, then = on(place, county.ACCEPTED - county.ONE_DAY), on(place, county.ACCEPTED)

    accepted = [found.by_unit["101"].steps[Trigger.ACCEPT].done for found in (before, then)]
    assert accepted == [0, 1]


def test_the_projection_gives_the_same_as_the_journal(place: County) -> None:
    day = date(2023, 9, 12)

    assert on(place, day, past=False) == on(place, day)


def test_behind_is_what_is_planned_and_not_done(place: County) -> None:
    steps = on(place, date(2023, 9, 12)).by_unit["101"].steps

    # 选型 ends on this very day with all eight; 施工: 57 of 69 working days; 验收 begins
    # with its phase.
    assert [(s.planned, s.done, s.behind) for s in steps.values()] == [
        (8, 3, 5),
        (8, 3, 5),
        (6, 2, 4),
        (0, 1, 0),
    ]


def test_who_is_ahead_is_not_behind(place: County) -> None:
    steps = on(place, date(2023, 6, 15)).by_unit["101"].steps

    assert (steps[Trigger.SELECT].planned, steps[Trigger.SELECT].done) == (0, 3)
    assert steps[Trigger.SELECT].behind == 0


def test_the_months_are_the_curve_of_the_plan(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
    found = on(place, date(2023, 9, 12))

    for code, line in found.by_unit.items():
        unit = plan.unit(code)
        assert unit is not None
        assert line.task == unit.task
        for trigger, step in line.steps.items():
            assert step.target_on == schedule.targets(plan)[trigger]
            assert step.by_month == {
                month: schedule.planned(plan, unit.task, trigger, end)
                for month, end in schedule.months(plan).items()
            }
            assert step.by_month["2023-10"] == unit.task


@pytest.mark.parametrize("trigger", LEAD_TRIGGERS)
def test_the_total_adds_the_units_up(place: County, trigger: Trigger) -> None:
    found = on(place, date(2023, 8, 20))

    lines = [line.steps[trigger] for line in found.by_unit.values()]
    total = found.total.steps[trigger]
    assert found.total.task == 14
    assert total.planned == sum(s.planned for s in lines)
    assert total.done == sum(s.done for s in lines)
    assert total.by_month["2023-08"] == sum(s.by_month["2023-08"] for s in lines)


def test_one_unit_alone_has_its_own_total(place: County) -> None:
    found = on(place, date(2023, 9, 12), ["101"])

    assert list(found.by_unit) == ["101"]
    assert found.total == found.by_unit["101"]


def test_what_comes_back_has_to_be_done_again(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    place.carry_out([county.select(CODE)], "wang", county.SELECTED)
    before = on(place, date(2023, 7, 1)).by_unit["101"].steps
    place.advance(CODE, Trigger.SEND_BACK, date(2023, 7, 2), reason="型号写错")
    after = on(place, date(2023, 7, 2)).by_unit["101"].steps

    assert [before[t].done for t in LEAD_TRIGGERS] == [1, 1, 0, 0]
    assert [after[t].done for t in LEAD_TRIGGERS] == [1, 0, 0, 0]
