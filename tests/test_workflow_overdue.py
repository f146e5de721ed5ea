"""`check` and `todo` against a count by hand, from the journal's bytes."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import chinese_calendar
import county
import pytest
from county import CODE, ONE_DAY, PAPER, County

from states.facts import Actor
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import cases, engine, overdue, register
from workflow.cases import Clocks

RECORDED_LATE = date(2023, 8, 20)
DAYS = [
    *(date(2023, 5, 22), date(2023, 6, 9), date(2023, 6, 10), date(2023, 8, 9)),
    *(date(2023, 8, 10), date(2023, 8, 31), date(2023, 9, 1), date(2023, 9, 12)),
    *(date(2023, 9, 13), date(2023, 9, 28), date(2023, 9, 30), date(2023, 10, 1)),
    *(date(2023, 10, 8), date(2023, 10, 9), date(2023, 10, 14), date(2023, 10, 15)),
]
KNOWN = [None, county.noon(RECORDED_LATE) - timedelta(seconds=1), county.noon(RECORDED_LATE)]
DUE = {
    "household_confirmation": date(2023, 9, 30),
    "equipment_selection": date(2023, 9, 30),
    "construction": date(2023, 9, 30),
    "acceptance": date(2023, 10, 14),
}
# Working days that the steps up to the deadline take: 8 + 4 + 12, and 4 for the acceptance.
NEEDED = {
    "household_confirmation": 24,
    "equipment_selection": 16,
    "construction": 12,
    "acceptance": 4,
}


@pytest.fixture(scope="module")
def place(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Cases at every step of the line; the works were recorded ten days late."""
    place = county.fresh(tmp_path_factory.mktemp("overdue"))
    town = county.TOWN
    place.carry_out([county.confirm(code) for code in town[:5]], "wang", county.CONFIRMED)
    place.carry_out([county.select(code) for code in town[:4]], "wang", county.SELECTED)
    works = [
        county.make_order(
            code,
            Trigger.COMPLETE,
            *county.pairs_of(county.complete(code)),
            on=county.COMPLETED,
        )
        for code in town[:3]
    ]
    place.carry_out(works, "wang", RECORDED_LATE)
    place.carry_out([county.accept(code) for code in town[:2]], "zhao", county.ACCEPTED)
    place.advance(town[5], Trigger.CLOSE, date(2023, 9, 12), *county.CLOSING)
    assert [place.state(code) for code in town] == [
        State.STABLE_SEASON,
        State.STABLE_SEASON,
        State.ACCEPTANCE,
        State.CONSTRUCTION,
        State.EQUIPMENT_SELECTION,
        State.CLOSED,
    ]
    return place


@dataclass(frozen=True)
class Counted:
    cases: int
    overdue: int
    at_risk: int
    done: int
    historic: int


def count(place: County, as_of: date, known_at: datetime | None, unit: str | None) -> Counted:
    """By hand: the last step that had happened, of what had been heard."""
    state: dict[str, str] = {}
    selected: dict[str, date] = {}
    for stream, body in place.sql("SELECT stream, body FROM journal ORDER BY seq"):
        event = json.loads(cast(bytes, body))
        code = str(stream).removeprefix("case:")
        if code == stream or (unit and not code.startswith(unit)):
            continue
        on = date.fromisoformat(event["occurred_on"])
        heard = datetime.fromisoformat(event["recorded_at"])
        if on <= as_of and (known_at is None or heard <= known_at) and event["to"]:
            state[code] = event["to"]
            if event["kind"] == "select":
                selected[code] = on
    going = {code: now for code, now in state.items() if now != "closed"}
    late = [code for code, now in going.items() if now in DUE and as_of > DUE[now]]
    risky = [
        code
        for code, now in going.items()
        if code not in late and now in DUE and workdays(as_of, DUE[now]) < NEEDED[now]
    ]
    done = [code for code, now in going.items() if now in ("stable_season", "removal_permitted")]
    return Counted(len(going), len(late), len(risky), len(done), len(going))


def workdays(after: date, until: date) -> int:
    if after >= until:
        return 0
    return len(chinese_calendar.get_workdays(after + ONE_DAY, until))


@pytest.mark.parametrize("known_at", KNOWN)
@pytest.mark.parametrize("as_of", DAYS)
def test_check_counts_what_a_count_by_hand_gives(
    place: County, as_of: date, known_at: datetime | None
) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = overdue.check(connection, plan, Clocks(as_of, True, known_at))

    expected = count(place, as_of, known_at, None)
    assert (found.cases, found.overdue, found.at_risk, found.historic) == (
        expected.cases,
        expected.overdue,
        expected.at_risk,
        # The milestone of 2023-04-30 was past when the plan began: everybody missed it.
        expected.historic,
    )
    for line in found.by_unit:
        mine = count(place, as_of, known_at, line.unit)
        assert (line.done, line.overdue, line.at_risk) == (mine.done, mine.overdue, mine.at_risk)
    assert sum(line.overdue for line in found.by_unit) == found.overdue
    assert [line.task for line in found.by_unit] == [8, 2, 4]


def test_the_numbers_of_today_come_from_the_projection_and_are_the_same(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        for as_of in (date(2023, 9, 12), date(2023, 10, 1), date(2023, 10, 15)):
            now = overdue.check(connection, plan, Clocks(as_of))
            replayed = overdue.check(connection, plan, Clocks(as_of, past=True))

            assert now == replayed


def test_the_counts_do_move_on_the_boundary_days(place: County) -> None:
    """So that the comparison above compares something."""
    on = {day: count(place, day, None, None) for day in DAYS}

    assert on[date(2023, 9, 30)].overdue == 0
    assert on[date(2023, 10, 1)].overdue == 6
    assert on[date(2023, 10, 14)].overdue == 6
    assert on[date(2023, 10, 15)].overdue == 7
    assert len({counted.at_risk for counted in on.values()}) > 3


def test_late_cases_come_most_urgent_first(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        late = overdue.check(connection, plan, Clocks(date(2023, 10, 15))).late

    order = [(str(p.due_on), p.code) for p in late]
    assert order == sorted(order)
    assert late[-1].code == county.TOWN[2]


def test_one_units_check_is_its_own(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = overdue.check(connection, plan, Clocks(date(2023, 10, 1)), ["102"])

    assert (found.cases, found.overdue) == (2, 2)
    assert [line.unit for line in found.by_unit] == ["102"]


# What to do next ------------------------------------------------------------------------------


def todo(place: County, day: date, who: Actor | None = None) -> list[overdue.Todo]:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        units = [who.unit] if who and who.unit else None
        return overdue.todo(connection, plan, day, who, units)


def test_todo_names_the_next_step_of_every_case_that_waits(place: County) -> None:
    items = {item.code: item for item in todo(place, date(2023, 9, 20))}

    line = {code: i.trigger for code, i in items.items() if i.trigger is not Trigger.PERMIT}
    assert {code: trigger for code, trigger in line.items() if code in county.TOWN} == {
        county.TOWN[2]: Trigger.ACCEPT,
        county.TOWN[3]: Trigger.COMPLETE,
        county.TOWN[4]: Trigger.SELECT,
    }
    assert items[county.TOWN[3]].days_left == 10
    assert "ready_on" in items[county.TOWN[3]].missing
    assert items[county.TOWN[2]].due_on == date(2023, 10, 14)


def test_todo_shows_an_officer_what_is_his_to_do(place: County) -> None:
    unit = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")
    acceptor = Actor("zhao", "zhao", "赵验收", Role.ACCEPTOR)
    county_office = Actor("zhang", "zhang", "张县办", Role.COUNTY_OFFICE)

    day = date(2023, 9, 20)
    mine = {item.trigger for item in todo(place, day, unit)} - {Trigger.PERMIT}
    assert mine == {Trigger.SELECT, Trigger.COMPLETE}
    assert [item.code for item in todo(place, day, acceptor)] == [county.TOWN[2]]
    assert todo(place, day, county_office) == []


def test_todo_offers_the_county_a_permission_on_the_first_day_it_can_be_given(
    tmp_path: Path,
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.STABLE_SEASON)
    for day, make in county.WINTER[:-1]:
        engine.advance(place.database, make(CODE), "wang", county.noon(day))
    office = Actor("zhang", "zhang", "张县办", Role.COUNTY_OFFICE)
    unit = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")

    assert CODE not in {item.code for item in todo(place, county.LAST_DAY, unit)}
    [waiting] = [item for item in todo(place, county.SIGNED, unit) if item.code == CODE]
    assert waiting.missing == ("signature",)
    engine.advance(place.database, county.sign(CODE), "wang", county.noon(county.SIGNED))
    assert [item.code for item in todo(place, county.SIGNED, office)] == [CODE]


# The gravest alarm ----------------------------------------------------------------------------


def gravest(place: County, day: date, *, past: bool = False) -> list[str]:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = overdue.check(connection, plan, Clocks(day, past))
    return [alarm.code for alarm in found.gravest]


@pytest.mark.parametrize("status", ["removed", "sealed"])
@pytest.mark.parametrize("state", [State.HOUSEHOLD_CONFIRMATION, State.CLOSED])
def test_an_old_facility_gone_and_no_new_heat_is_the_gravest_alarm_in_winter(
    tmp_path: Path, status: str, state: State
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], state)
    pairs = (("facility", "kang"), ("status", status), ("by", "official"))
    place.advance(CODE, FactKind.OLD_FACILITY, county.COMPLETED, *pairs)

    assert gravest(place, county.FIRST_DAY - ONE_DAY) == []
    assert gravest(place, county.FIRST_DAY) == [CODE]
    assert gravest(place, county.LAST_DAY) == [CODE]
    assert gravest(place, county.LAST_DAY + ONE_DAY) == []


def test_an_outage_after_a_lawful_removal_is_the_gravest_alarm_until_its_repair(
    tmp_path: Path,
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    pairs = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    place.advance(CODE, FactKind.OLD_FACILITY, county.PERMITTED, *pairs)
    broken, mended = date(2024, 12, 1), date(2024, 12, 4)
    assert gravest(place, broken) == []

    fault = place.advance(CODE, FactKind.FAULT, broken, ("what", "停热"))
    assert gravest(place, broken) == [CODE]

    place.advance(CODE, FactKind.REPAIR, mended, ("fault", str(fault.seq)))
    assert gravest(place, mended) == []
    assert gravest(place, mended - ONE_DAY, past=True) == [CODE]


# Extensions -----------------------------------------------------------------------------------


def test_an_extension_moves_the_deadline_and_the_plans_stays(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    pairs = (("due_on", "2023-10-20"), ("requested_by", "乡镇"))
    place.advance(CODE, FactKind.EXTENSION, county.CONFIRMED, *pairs, files=[PAPER])

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = {
            day: {p.code: p for p in cases.positions(connection, plan, Clocks(day))}[CODE]
            for day in (date(2023, 10, 20), date(2023, 10, 21))
        }

    position = found[date(2023, 10, 20)]
    assert (position.due_on, position.plan_due_on) == (date(2023, 10, 20), date(2023, 9, 30))
    assert [found[day].overdue for day in found] == [False, True]
