"""The sweep, the notices, the letters and the digests, over a real database."""

import json
import tempfile
from datetime import date, timedelta
from pathlib import Path

import county
import pytest
import server
from county import CODE, OTHER_UNIT, PAPER, TOWN, County
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import Watch

from notifications import notices, render
from states import plan
from states.errors import CaseError, StepRefused, UsageFault
from states.vocabulary import FactKind, State, Trigger
from states.workdays import Calendar, Holidays
from workflow import audit, dispatch, due, engine, letters, register, setup
from workflow.attachments import File
from workflow.engine import Order
from workflow.errors import Conflict, JournalBroken, NotPermitted

DAY = timedelta(days=1)
BEGIN = date(2023, 8, 12)
REMIND_3 = date(2023, 9, 27)
YELLOW, ORANGE, RED = date(2023, 10, 1), date(2023, 10, 9), date(2023, 10, 13)
REMOVED = (("facility", "kang"), ("status", "removed"), ("by", "household"))


@pytest.fixture(scope="module")
def building(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Ten households in 施工, due on 30 September; the units are 101 (6), 102 (2), RLJ (2)."""
    place = county.fresh(tmp_path_factory.mktemp("building"))
    county.carry(place, county.CODES, State.CONSTRUCTION)
    return place


@pytest.fixture
def place(building: County, tmp_path: Path) -> County:
    return county.copy(building, tmp_path)


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


def rows_of(place: County, key: str) -> dict[str, list[dict[str, object]]]:
    """The rows of a digest by heap."""
    sections = document(place, key)["sections"]
    assert isinstance(sections, list)
    return {str(section["heap"]): section["rows"] for section in sections}


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
        # A server's column takes no such day.
        pytest.param(
            "UPDATE deadline SET due_on = 'bald' WHERE case_code = '101-0001'",
            marks=pytest.mark.sqlite,
        ),
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


YEARS = given(st.lists(_acts, min_size=2, max_size=20), st.sets(_days, min_size=1, max_size=14))


@pytest.mark.sqlite
@settings(max_examples=30, deadline=None)
@YEARS
def test_whatever_happens_and_whenever_it_sweeps_the_flags_are_the_oracles(
    acts: list[tuple[int, str, int, int]], sweeps: set[int]
) -> None:
    assert_the_oracles_flags(acts, sweeps)


@pytest.mark.server
@settings(max_examples=4, deadline=None, derandomize=True)
@YEARS
def test_the_flags_are_the_oracles_on_a_server_too(
    acts: list[tuple[int, str, int, int]], sweeps: set[int]
) -> None:
    """A sample: each sweep costs a server some hundred round trips."""
    assert_the_oracles_flags(acts, sweeps)


def assert_the_oracles_flags(acts: list[tuple[int, str, int, int]], sweeps: set[int]) -> None:
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


# The sweep ------------------------------------------------------------------------------------


def test_a_second_sweep_on_the_same_day_writes_nothing(place: County) -> None:
    first = sweep(place, ORANGE)
    before = county.every_row(place)

    again = sweep(place, ORANGE)

    assert (first.due, first.raised, len(first.letters)) == (10, 10, 3)
    assert (again.due, again.raised, again.superseded, again.letters) == (0, 0, 0, [])
    assert county.every_row(place) == before


def test_after_forty_days_asleep_only_the_highest_rung_is_told(place: County) -> None:
    sweep(place, date(2023, 9, 4))

    done = sweep(place, RED)

    assert (done.raised, done.superseded) == (10, 60)
    mine = {key[2]: status for key, status in flags(place).items() if key[0] == CODE}
    assert mine == {
        "remind_30": "raised",
        **dict.fromkeys(
            ("remind_14", "remind_7", "remind_3", "remind_1", "yellow", "orange"), "superseded"
        ),
        "red": "raised",
    }
    assert {one[2] for one in told(place)} == {"remind_30", "red"}


@pytest.mark.parametrize(
    ("day", "rung", "expected"),
    [
        (date(2023, 8, 30), None, set()),
        (date(2023, 8, 31), "remind_30", {"wang"}),
        (date(2023, 9, 30), "remind_1", {"wang"}),
        (YELLOW, "yellow", {"wang"}),
        (date(2023, 10, 8), "yellow", {"wang"}),
        (ORANGE, "orange", {"wang", "head"}),
        (date(2023, 10, 12), "orange", {"wang", "head"}),
        (RED, "red", {"wang", "head", "zhang", "li", "zhao"}),
    ],
)
def test_each_rung_comes_on_its_day_and_goes_to_who_is_named(
    place: County, day: date, rung: str | None, expected: set[str]
) -> None:
    sweep(place, day)

    assert persons(place, "case_code = '101-0001'") == expected
    assert {one[2] for one in told(place)} == ({rung} if rung else set())


def test_an_extension_voids_the_flags_of_the_old_day_and_what_was_not_told_of_it(
    place: County,
) -> None:
    sweep(place, YELLOW)

    extend(place, CODE, YELLOW, date(2023, 11, 20))

    assert flags(place)[CODE, "works@2023-09-30", "yellow"] == "void"
    assert flags(place)[TOWN[1], "works@2023-09-30", "yellow"] == "raised"
    assert place.sql("SELECT dropped FROM notice WHERE case_code = ?", CODE) == [(1,)]
    sweep(place, date(2023, 10, 21))
    assert flags(place)[CODE, "works@2023-11-20", "remind_30"] == "raised"


def test_what_was_done_before_the_digest_is_not_in_it(place: County) -> None:
    sweep(place, REMIND_3)
    complete(place, CODE, REMIND_3)

    digests(place, REMIND_3)

    rows = rows_of(place, "digest:2023-09-27:wang")["coming"]
    assert [row["code"] for row in rows] == TOWN[1:]
    assert flags(place)[CODE, "works@2023-09-30", "remind_3"] == "met"


def test_a_case_sent_back_after_it_was_met_is_told_only_what_nobody_was_told(
    place: County,
) -> None:
    sweep(place, YELLOW)
    digests(place, YELLOW)
    complete(place, CODE, YELLOW)
    complete(place, TOWN[1], YELLOW)
    place.advance(CODE, Trigger.SEND_BACK, YELLOW + DAY, reason="录错", login="li")

    sweep(place, YELLOW + DAY)

    assert flags(place)[CODE, "works@2023-09-30", "yellow"] == "raised"
    assert flags(place)[TOWN[1], "works@2023-09-30", "yellow"] == "met"
    assert (
        place.sql("SELECT key FROM notice WHERE message IS NULL AND deadline LIKE 'works%'") == []
    )


def test_one_bad_row_is_reported_and_the_others_are_told(place: County) -> None:
    # What each database takes for a day, and no calendar knows.
    bad = "infinity" if place.database.shared else "bald"
    place.sql(f"UPDATE deadline SET due_on = '{bad}' WHERE case_code = ?", CODE)
    place.sql("UPDATE deadline SET name = 'nonsense' WHERE case_code = ?", TOWN[1])

    done = sweep(place, YELLOW)

    assert (done.due, done.raised, len(done.failures), done.status) == (10, 8, 2, 6)
    assert {failure.code for failure in done.failures} == {CODE, TOWN[1]}
    assert sweep(place, YELLOW).due == 2


def test_a_case_whose_journal_is_broken_does_not_stop_the_sweep(place: County) -> None:
    winter = date(2023, 11, 2)
    for code in TOWN[:2]:
        place.advance(code, FactKind.OLD_FACILITY, BEGIN, *REMOVED)
    place.reword(f"case:{CODE}", "kang", "king")

    done = sweep(place, winter)

    assert [failure.code for failure in done.failures] == [CODE]
    assert done.status == JournalBroken.status
    assert [one.code for one in done.alarms] == [TOWN[1]]
    assert done.raised == 10


def test_a_clock_that_was_set_back_an_hour_leaves_nothing_half_done(place: County) -> None:
    """Reminders need no pen, letters do: their unit waits, whole, until the clock is right."""
    now = county.noon(ORANGE)
    place.advance(OTHER_UNIT, FactKind.COMPLAINT, ORANGE, ("what", "不热"))
    before = county.every_row(place)

    back = dispatch.sweep(place.database, now - timedelta(hours=1))

    assert (back.due, back.raised, back.status) == (11, 0, Conflict.status)
    assert len(back.failures) == 11
    assert county.every_row(place) == before
    again = dispatch.sweep(place.database, now)
    assert (again.raised, again.failures) == (11, [])
    assert len(again.letters) == 3


def test_the_reminders_of_a_clock_that_was_set_back_are_sent_all_the_same(place: County) -> None:
    place.advance(OTHER_UNIT, FactKind.COMPLAINT, YELLOW, ("what", "不热"))

    back = dispatch.sweep(place.database, county.noon(YELLOW) - timedelta(hours=1))

    assert (back.raised, back.failures) == (11, [])
    assert sweep(place, YELLOW).due == 0


def test_a_sweep_finds_what_is_due_by_the_index(place: County) -> None:
    due_rows = "SELECT * FROM deadline WHERE next_rung_on <= '2023-10-01'"

    if place.database.shared:
        with server.raw(place.url) as plain:
            # A table of one page is read whole unless that is made dear.
            plain.execute("SET enable_seqscan = off")
            plain.execute("SET enable_bitmapscan = off")
            plan = plain.execute(f"EXPLAIN {due_rows}".encode()).fetchall()
        assert "Index Scan using deadline_next_rung" in str(plan[0])
    else:
        plan = place.sql(f"EXPLAIN QUERY PLAN {due_rows}")
        assert "USING INDEX deadline_next_rung" in str(plan[0])


# Who is there ---------------------------------------------------------------------------------


def test_several_logins_of_one_person_are_told_once(place: County) -> None:
    complete(place, CODE, BEGIN)

    sweep(place, date(2023, 10, 15))

    rows = place.sql("SELECT person FROM notice WHERE case_code = ? ORDER BY person", CODE)
    assert rows == [("wang",), ("zhao",)]


def test_where_nobody_is_left_in_a_unit_the_county_office_is_told(place: County) -> None:
    setup.disable_officer(place.database, "qian", actor="zhang", now=county.noon(YELLOW))

    sweep(place, YELLOW)

    assert persons(place, "unit = '102'") == {"zhang", "li", "zhao"}
    assert persons(place, "unit = '101'") == {"wang"}


# What a step tells others ---------------------------------------------------------------------


def test_a_rejection_is_told_to_the_units_officers_in_the_same_transaction(place: County) -> None:
    complete(place, CODE, BEGIN)

    done = place.advance(CODE, Trigger.REJECT, BEGIN + DAY, ("findings", "接地不规范"),
                         ("put_right_by", "2023-09-01"))  # fmt: skip

    [(key, person, said)] = place.sql("SELECT key, person, told FROM notice")
    assert (key, person) == (f"event:{done.seq}|wang", "wang")
    assert said == f"2023-08-13 验收不合格（编号 {done.seq}）；整改期限 2023-09-01"


def test_nobody_is_told_of_what_he_did_himself(place: County) -> None:
    place.advance(CODE, FactKind.COMPLAINT, BEGIN, ("what", "不热"), login="wang")
    assert persons(place, "case_code = '101-0001'") == {"zhang", "li", "zhao"}

    place.advance(TOWN[1], FactKind.COMPLAINT, BEGIN, ("what", "不热"), login="zhao-county")
    assert persons(place, f"case_code = '{TOWN[1]}'") == {"wang", "zhang", "li"}


def test_a_violation_is_told_to_the_head_and_the_county(place: County) -> None:
    pairs = (("type", "coal_confiscated"), ("by", "村干部"), ("what", "没收"))

    place.advance(CODE, FactKind.VIOLATION, BEGIN, *pairs, login="wang")

    assert persons(place, "case_code = '101-0001'") == {"head", "zhang", "li", "zhao"}


def test_the_suspension_of_a_permission_is_told_to_unit_and_county(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    place.sql("DELETE FROM notice")

    place.advance(CODE, FactKind.FINDING, county.PERMITTED, ("what", "抽查"),
                  ("severity", "serious"))  # fmt: skip

    assert persons(place, "told LIKE '%拆除许可中止%'") == {"wang", "head", "zhang", "li", "zhao"}


def test_a_note_of_the_auditor_suspends_nothing_and_is_told_to_nobody(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    place.sql("DELETE FROM notice")

    place.advance(CODE, FactKind.FINDING, county.PERMITTED, ("what", "抽查"), ("severity", "note"))

    assert place.sql("SELECT * FROM notice") == []


# The gravest alarm ----------------------------------------------------------------------------

EVERYBODY = {"zhang", "li", "wang", "head", "zhao", "shen"}


def alarms(place: County) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key, person, urgent in place.sql("SELECT key, person, urgent FROM message ORDER BY key"):
        if str(key).startswith("alarm:"):
            assert urgent == 1
            found.setdefault(str(key).rpartition(":")[0], set()).add(str(person))
    return found


def test_the_gravest_alarm_rings_with_the_step_and_goes_to_everybody_at_once(
    place: County,
) -> None:
    place.advance(CODE, FactKind.OLD_FACILITY, date(2023, 11, 20), *REMOVED)

    assert alarms(place) == {"alarm:101-0001:2023-2024:not_ready": EVERYBODY}
    assert flags(place)[CODE, "heat:2023-2024:not_ready", "gravest"] == "raised"
    place.advance(CODE, FactKind.FAULT, date(2023, 11, 21), ("what", "再坏"))
    sweep(place, date(2023, 11, 22))
    assert len(alarms(place)) == 1


def test_a_stove_removed_in_summer_rings_on_the_first_day_of_winter_and_no_earlier(
    place: County,
) -> None:
    place.advance(CODE, FactKind.OLD_FACILITY, BEGIN, *REMOVED)

    for day in (BEGIN, date(2023, 10, 31)):
        assert sweep(place, day).alarms == []
    done = sweep(place, date(2023, 11, 1))

    assert [(one.code, one.unit) for one in done.alarms] == [(CODE, "101")]
    assert alarms(place) == {"alarm:101-0001:2023-2024:not_ready": EVERYBODY}
    assert sweep(place, date(2023, 11, 1)).due == 0


def test_a_household_that_has_left_rings_too_and_a_new_winter_rings_anew(place: County) -> None:
    place.advance(CODE, FactKind.OLD_FACILITY, BEGIN, *REMOVED)
    place.advance(CODE, Trigger.CLOSE, BEGIN, *CLOSING, login="li")

    sweep(place, date(2023, 12, 1))
    sweep(place, date(2024, 4, 1))
    assert flags(place)[CODE, "heat:2023-2024:not_ready", "gravest"] == "met"
    sweep(place, date(2024, 11, 1))

    assert set(alarms(place)) == {
        "alarm:101-0001:2023-2024:not_ready",
        "alarm:101-0001:2024-2025:not_ready",
    }


def test_a_repair_ends_the_spell_and_a_new_fault_rings_anew(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.STABLE_SEASON)
    place.advance(CODE, FactKind.OLD_FACILITY, date(2023, 11, 3), *REMOVED)
    assert alarms(place) == {}

    fault = place.advance(CODE, FactKind.FAULT, date(2023, 11, 20), ("what", "不制热")).seq
    assert set(alarms(place)) == {"alarm:101-0001:2023-2024:2023-11-20"}
    place.advance(CODE, FactKind.REPAIR, date(2023, 11, 22), ("fault", str(fault)))
    assert flags(place)[CODE, "heat:2023-2024:2023-11-20", "gravest"] == "met"
    place.advance(CODE, FactKind.FAULT, date(2023, 12, 20), ("what", "又坏"))
    assert len(alarms(place)) == 2
    assert findings(place) == []


# The digest -----------------------------------------------------------------------------------


def test_a_person_gets_one_digest_a_day_and_the_rest_the_next_day(place: County) -> None:
    sweep(place, REMIND_3)
    assert digests(place, REMIND_3) == [
        "digest:2023-09-27:qian", "digest:2023-09-27:sun", "digest:2023-09-27:wang",
    ]  # fmt: skip
    place.advance(CODE, FactKind.COMPLAINT, REMIND_3, ("what", "不热"), login="li")
    sweep(place, REMIND_3)

    assert digests(place, REMIND_3) == [
        f"digest:2023-09-27:{person}" for person in ("li", "zhang", "zhao")
    ]
    assert digests(place, REMIND_3) == []
    tomorrow = digests(place, REMIND_3 + DAY)

    assert tomorrow == ["digest:2023-09-28:wang"]
    told_late = rows_of(place, tomorrow[0])["news"]
    assert ["投诉" in str(one["matter"]) for one in told_late] == [True]


def test_a_clock_set_back_over_midnight_gives_nobody_a_second_digest(place: County) -> None:
    sweep(place, REMIND_3)
    digests(place, REMIND_3)
    place.advance(CODE, FactKind.COMPLAINT, REMIND_3, ("what", "不热"), login="li")

    made = digests(place, REMIND_3 - DAY)

    assert not [key for key in made if key.endswith(":wang")]


def test_a_digest_tells_the_latest_rung_of_a_deadline_once(place: County) -> None:
    sweep(place, REMIND_3)
    sweep(place, YELLOW)

    digests(place, YELLOW)

    assert rows_of(place, "digest:2023-10-01:qian") == {
        "yellow": [
            {
                "code": code,
                "unit_name": "乙乡",
                "village": "后村",
                "state": "construction",
                "matter": "施工完成",
                "due_on": "2023-09-30",
                "next_step": "施工完成",
            }
            for code in ("102-0001", "102-0002")
        ]
    }
    assert place.sql("SELECT COUNT(*) FROM notice WHERE message IS NULL") == [(0,)]


def test_a_digest_says_for_whom_it_is_and_holds_no_personal_data(place: County) -> None:
    sweep(place, YELLOW)
    digests(place, YELLOW)

    found = document(place, "digest:2023-10-01:wang")

    assert (found["name"], found["role"], found["drill"]) == ("王经办", "unit_officer", True)
    [(subject,)] = place.sql("SELECT subject FROM message WHERE key LIKE '%:wang'")
    assert subject == "【演练】清洁取暖每日提要（2023年10月1日）"
    text = json.dumps(found, ensure_ascii=False)
    for name, number in place.sql("SELECT name, id_number FROM personal"):
        assert str(name) not in text
        assert not number or str(number) not in text


# Letters --------------------------------------------------------------------------------------


def test_at_orange_each_unit_gets_one_letter_with_all_its_matters(place: County) -> None:
    done = sweep(place, ORANGE)

    assert done.letters == [f"小县清办催〔2023〕{n}号" for n in (1, 2, 3)]
    found = document(place, f"letter:{done.letters[0]}:head")
    assert (found["kind"], found["unit_name"], found["reply_by"]) == ("urge", "甲镇", "2023-10-16")
    rows = found["matters"]
    assert isinstance(rows, list)
    assert [row["code"] for row in rows] == TOWN
    # The letter has told them: nothing is left for the digest.
    assert digests(place, ORANGE) == []
    assert findings(place) == []


def test_the_two_kinds_of_letters_are_numbered_apart_and_anew_each_year(place: County) -> None:
    for code in TOWN[1:]:
        complete(place, code, BEGIN)
    extend(place, CODE, BEGIN, date(2023, 12, 28))

    first = sweep(place, ORANGE).letters
    second = sweep(place, RED).letters
    sweep(place, date(2023, 11, 1))
    new_year = sweep(place, date(2024, 1, 3)).letters

    assert first == ["小县清办催〔2023〕1号", "小县清办催〔2023〕2号"]
    assert second == ["小县清办督〔2023〕1号", "小县清办督〔2023〕2号"]
    assert new_year == ["小县清办催〔2024〕1号"]
    assert findings(place) == []


def test_the_mark_of_the_letters_is_the_plans_where_it_gives_one() -> None:
    own = county.plan_text().replace('county = "小县"', 'county = "小县"\nletter_mark = "小清办"')
    assert plan.from_toml(own, "own.toml").letter_mark == "小清办"


def test_a_slip_that_comes_back_closes_the_letter_and_not_its_matters(place: County) -> None:
    [number, *_] = sweep(place, ORANGE).letters
    back = ORANGE + 2 * DAY

    found = letters.reply(place.database, number, [PAPER], login="head", now=county.noon(back))

    assert found.replied_on == back
    assert not found.unanswered(date(2024, 1, 1))
    assert flags(place)[CODE, "works@2023-09-30", "orange"] == "raised"
    [(body,)] = place.sql("SELECT body FROM journal ORDER BY seq DESC LIMIT 1")
    assert isinstance(body, bytes)
    assert json.loads(body)["evidence"] == {"number": number}
    assert findings(place) == []


@pytest.mark.parametrize(
    ("login", "files", "error"),
    [
        ("qian", [PAPER], NotPermitted),
        ("zhao", [PAPER], NotPermitted),
        ("shen", [PAPER], NotPermitted),
        ("wang", [], UsageFault),
    ],
)
def test_a_slip_that_is_not_to_be_taken_leaves_no_trace(
    place: County, login: str, files: list[File], error: type[CaseError]
) -> None:
    [number, *_] = sweep(place, ORANGE).letters
    before = county.every_row(place)

    with pytest.raises(error):
        letters.reply(place.database, number, files, login=login, now=county.noon(ORANGE))

    assert county.every_row(place) == before


@pytest.mark.parametrize("typed", ["小县清办催[2023]1号", "小县清办催（2023） 1号", "{code}"])
def test_a_slip_finds_its_letter_by_number_as_typed_and_by_its_code(
    place: County, typed: str
) -> None:
    [number, *_] = sweep(place, ORANGE).letters
    given = typed.format(code=notices.reply_code(number).lower())

    found = letters.reply(place.database, given, [PAPER], login="wang", now=county.noon(ORANGE))

    assert (found.number, found.replied_on) == (number, ORANGE)
    assert findings(place) == []


def test_a_letter_says_what_is_late_and_how_to_answer(place: County) -> None:
    [number, *_] = sweep(place, ORANGE).letters

    [(queued,)] = place.sql("SELECT document FROM message WHERE key = ?", f"letter:{number}:head")
    said = render.letter_text(json.loads(str(queued)))

    assert "施工完成" in said
    assert said.count("填写所附回执") == 1


def test_a_letter_is_answered_once_and_an_unknown_one_never(place: County) -> None:
    [number, *_] = sweep(place, ORANGE).letters
    now = county.noon(ORANGE)
    letters.reply(place.database, number, [PAPER], login="li", now=now)

    with pytest.raises(StepRefused):
        letters.reply(place.database, number, [PAPER], login="wang", now=now)
    with pytest.raises(NotPermitted):
        letters.reply(place.database, "小县清办催〔2023〕9号", [PAPER], login="li", now=now)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE letter SET unit = '102'",
        "UPDATE letter SET replied_on = '2023-10-10'",
        "DELETE FROM letter",
        "UPDATE letter SET number = '小县清办催〔2023〕7号'",
    ],
)
def test_the_audit_sees_a_letter_that_is_not_the_journals(place: County, tampering: str) -> None:
    for code in (OTHER_UNIT, "102-0002", county.HEATING, county.COLLECTIVE):
        complete(place, code, BEGIN)
    assert len(sweep(place, ORANGE).letters) == 1

    place.sql(tampering)

    assert any("函件表" in message for message in findings(place))


def test_a_rehearsal_shows_what_a_round_would_send_and_keeps_nothing(place: County) -> None:
    before = county.every_row(place)

    would = dispatch.rehearse(place.database, county.noon(ORANGE))

    assert county.every_row(place) == before
    dispatch.round_(place.database, county.noon(ORANGE))
    with place.database.reading() as connection:
        assert dispatch.listed(connection, None, None) == would
    assert len(would) == 4
