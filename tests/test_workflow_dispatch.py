"""The sweep, the notices, the letters and the digests, over a real database."""

import json
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import county
import pytest
from county import CODE, OTHER_UNIT, PAPER, TOWN, County
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import Watch

from states.errors import CaseError, StepRefused, UsageFault
from states.vocabulary import FactKind, Role, State, Trigger
from states.workdays import Calendar, Holidays
from workflow import audit, dispatch, due, engine, letters, register, setup
from workflow.engine import Order
from workflow.errors import Conflict, JournalBroken, NotPermitted

DAY = timedelta(days=1)
BEGIN = date(2023, 8, 12)
REMIND_3 = date(2023, 9, 27)
YELLOW, ORANGE, RED = date(2023, 10, 1), date(2023, 10, 9), date(2023, 10, 13)
REMOVED = (("facility", "kang"), ("status", "removed"), ("by", "household"))


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Ten households in 施工, due on 30 September; the units are 101 (6), 102 (2), RLJ (2)."""
    place = county.fresh(tmp_path)
    county.carry(place, county.CODES, State.CONSTRUCTION)
    return place


def sweep(place: County, day: date) -> dispatch.Swept:
    return dispatch.sweep(place.database, county.noon(day))


def digests(place: County, day: date) -> list[str]:
    return dispatch.digests(place.database, county.noon(day))


def flags(place: County) -> dict[tuple[str, ...], str]:
    rows = place.sql("SELECT case_code, deadline, rung, status FROM flag")
    return {(str(a), str(b), str(c)): str(d) for a, b, c, d in rows}


def told(place: County) -> set[tuple[str, ...]]:
    """(case, deadline, rung, person) of every notice of a rung."""
    rows = place.sql("SELECT key FROM notice WHERE deadline IS NOT NULL")
    return {tuple(str(key).split("|")) for (key,) in rows}


def clocks(place: County, code: str) -> list[tuple[object, ...]]:
    query = "SELECT name, due_on, next_rung_on FROM deadline WHERE case_code = ? ORDER BY name"
    return place.sql(query, code)


def document(place: County, key: str) -> dict[str, object]:
    [(text,)] = place.sql("SELECT document FROM message WHERE key = ?", key)
    found: dict[str, object] = json.loads(str(text))
    return found


def persons(place: County, where: str) -> set[str]:
    return {str(person) for (person,) in place.sql(f"SELECT person FROM notice WHERE {where}")}


def findings(place: County) -> list[str]:
    with place.database.reading() as connection:
        return [one.message for one in audit.verification(connection).findings]


def complete(place: County, code: str, day: date) -> None:
    [answer] = place.carry_out([county.complete(code, day)], county.UNIT_LOGIN[code[:3]], day)
    assert isinstance(answer, engine.Receipt), answer


def extend(place: County, code: str, day: date, to: date) -> None:
    pairs = (("due_on", str(to)), ("requested_by", "责任单位"))
    place.advance(
        code, FactKind.EXTENSION, day, *pairs, login="zhang", reason="下雨", files=[PAPER]
    )


# The clocks ----------------------------------------------------------------------------------


def test_a_new_household_has_its_clock_with_the_first_rung_to_come(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)

    assert clocks(place, CODE) == [("works", "2023-09-30", "2023-08-31")]
    assert place.sql("SELECT COUNT(*) FROM deadline") == [(10,)]
    assert findings(place) == []


def test_a_step_that_ends_a_clock_begins_the_next(place: County) -> None:
    complete(place, CODE, BEGIN)

    assert clocks(place, CODE) == [("acceptance", "2023-10-14", "2023-09-14")]
    assert findings(place) == []


def test_a_complaint_has_a_clock_of_its_own_until_it_is_answered(place: County) -> None:
    seq = place.advance(CODE, FactKind.COMPLAINT, BEGIN, ("what", "不热")).seq

    assert clocks(place, CODE)[0] == (f"complaint:{seq}", "2023-08-27", "2023-07-28")
    place.advance(CODE, FactKind.RESOLVE, BEGIN, ("id", str(seq)), ("outcome", "resolved"),
                  login="li", files=[PAPER], reason="已办")  # fmt: skip
    assert [name for name, _, _ in clocks(place, CODE)] == ["works"]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE deadline SET due_on = '2024-09-30' WHERE case_code = '101-0001'",
        "UPDATE deadline SET unit = '102' WHERE case_code = '101-0001'",
        "DELETE FROM deadline WHERE case_code = '101-0001'",
        "INSERT INTO deadline VALUES ('101-0001', 'complaint:9', '101', '2023-10-01', NULL)",
        "INSERT INTO deadline VALUES ('999-0001', 'works', '101', '2023-10-01', NULL)",
        "UPDATE deadline SET due_on = 'bald' WHERE case_code = '101-0001'",
    ],
)
def test_the_audit_sees_a_clock_that_is_not_the_journals_and_a_rebuild_puts_it_right(
    place: County, tampering: str
) -> None:
    place.sql(tampering)

    assert len(findings(place)) == 1

    if "bald" in tampering:
        place.sql("DELETE FROM deadline WHERE due_on = 'bald'")
    with place.database.transaction() as connection:
        assert due.rebuild(connection, register.plan_in_force(connection)) <= 1
    assert findings(place) == []


def test_a_rebuild_after_other_holidays_has_the_sweep_look_again_and_tell_nobody_twice(
    place: County,
) -> None:
    sweep(place, YELLOW)
    before, was = flags(place), told(place)
    longer = frozenset(YELLOW + n * DAY for n in range(31) if (YELLOW + n * DAY).weekday() < 5)
    calendar = Calendar((Holidays(2023, "县政府放假通知", longer, frozenset()),))

    with place.database.transaction() as connection:
        plan = register.plan_in_force(connection).counting_by(calendar)
        assert due.rebuild(connection, plan) == 0
    done = sweep(place, YELLOW)

    assert (done.due, done.raised, done.superseded) == (10, 0, 0)
    assert (flags(place), told(place)) == (before, was)


# The ladder, against the oracle ---------------------------------------------------------------

ACTS = ["complete", "send_back", "accept", "close", "reject", "extension", "objection",
        "complaint", "restitution", "resolve", "pause", "resume"]  # fmt: skip
CLOSING = (("cause", "withdrawn"), ("requested_by", "household"), ("document", "申请书"))


def order(act: str, code: str, day: date, number: int, watch: Watch) -> tuple[Order, str] | None:
    """What an officer would type, and who; None where it makes no sense."""
    unit = county.UNIT_LOGIN[code[:3]]
    until = str(day + number * DAY)
    make = county.make_order
    match act:
        case "complete":
            return county.complete(code, day), unit
        case "accept":
            return county.accept(code), "zhao"
        case "send_back":
            return make(code, Trigger.SEND_BACK, reason="录错"), "li"
        case "close":
            return make(code, Trigger.CLOSE, *CLOSING), "li"
        case "reject":
            pairs = (("findings", "接地不规范"), ("put_right_by", until))
            return make(code, Trigger.REJECT, *pairs), "zhao"
        case "extension":
            until_then = (("due_on", until), ("requested_by", "责任单位"))
            return make(code, FactKind.EXTENSION, *until_then, reason="雨", files=[PAPER]), "zhang"
        case "objection":
            return make(code, FactKind.NOTICE, ("objection", "邻居有异议")), unit
        case "complaint":
            return make(code, FactKind.COMPLAINT, ("what", "不热")), unit
        case "restitution":
            taken = (("type", "coal_confiscated"), ("by", "村干部"), ("what", "没收"))
            return make(code, FactKind.VIOLATION, *taken), unit
        case "pause":
            return make(code, FactKind.PAUSE, ("cause", "weather")), unit
        case "resume":
            return make(code, FactKind.RESUME), unit
    open_matters = watch.cases[code].matters
    if not open_matters:
        return None
    pairs = (("id", str(min(open_matters))), ("outcome", "resolved"))
    return make(code, FactKind.RESOLVE, *pairs, files=[PAPER], reason="办结"), "li"


_days = st.integers(0, 100)
_acts = st.tuples(_days, st.sampled_from(ACTS), st.integers(0, 3), st.integers(1, 40))


@settings(max_examples=30, deadline=None)
@given(st.lists(_acts, min_size=2, max_size=20), st.sets(_days, min_size=1, max_size=14))
def test_whatever_happens_and_whenever_it_sweeps_the_flags_are_the_oracles(
    acts: list[tuple[int, str, int, int]], sweeps: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = county.fresh(Path(folder))
        codes = [*TOWN[:2], OTHER_UNIT, county.HEATING]
        county.carry(place, codes, State.CONSTRUCTION)
        watch = Watch(codes)
        for offset in range(101):
            day = BEGIN + offset * DAY
            for _, act, index, number in [one for one in acts if one[0] == offset]:
                _do(place, watch, act, codes[index], day, number)
            if offset in sweeps:
                swept = sweep(place, day)
                watch.sweep(day)
                assert swept.failures == []
        mine = {key: status for key, status in flags(place).items() if key[0] in codes}

        assert mine == watch.flags
        assert {one for one in told(place) if one[0] in codes} == watch.told
        assert findings(place) == []
        place.database.close()


def _do(place: County, watch: Watch, act: str, code: str, day: date, number: int) -> None:
    if act in ("reject", "accept", "send_back") and watch.cases[code].state == "construction":
        _do(place, watch, "complete", code, day, number)
    asked = order(act, code, day, number, watch)
    if asked is None:
        return
    answered = min(watch.cases[code].matters, default=0)
    try:
        done = engine.advance(place.database, asked[0], asked[1], county.noon(day))
    except CaseError:
        return
    watch.happens(day, code, act, done.seq, answered if act == "resolve" else number)
