"""A county's holidays: the entry, what it moves, and how the journal keeps it."""

from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, PAPER, TOWN, County

from states.errors import CaseError, PlanFault, StepRefused
from states.vocabulary import FactKind, Level, State
from workflow import audit, cases, holidays, overdue, register
from workflow.attachments import File
from workflow.cases import Clocks
from workflow.errors import BadFile, JournalBroken, NotPermitted
from workflow.holidays import Entered

TODAY = date(2098, 5, 22)
# 2098-09-30 is a Tuesday; of the weekend before it, Saturday 09-27 is worked.
WORKS_END = date(2098, 9, 30)
FILE = """
year = 2098
source = "国办发明电〔2097〕0号"
off = [2098-09-29, 2098-09-30, 2098-10-01, 2098-10-02, 2098-10-03]
working = [2098-09-27, 2098-10-11]
"""


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Ten households of a county whose year nobody knows the holidays of."""
    return county.fresh(tmp_path, later=75)


def enter(
    place: County, text: str = FILE, *, actor: str = "zhang", dry_run: bool = False
) -> Entered:
    file = place.file.parent / "holidays.toml"
    file.write_text(text, encoding="utf-8")
    return holidays.import_file(
        place.database,
        file,
        [File("notice.pdf", b"%PDF the notice")],
        actor=actor,
        now=county.noon(TODAY),
        dry_run=dry_run,
    )


def positions(place: County) -> dict[str, tuple[date | None, bool, date | None]]:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = cases.positions(connection, plan, Clocks(TODAY))
    return {p.code: (p.target_on, p.provisional, p.latest_start) for p in found}


def test_past_the_data_a_deadline_is_provisional_and_no_longer_when_they_come(
    place: County,
) -> None:
    before = positions(place)[CODE]

    enter(place)

    # 24 lead days back from the target: by weekdays only, then by what the county entered.
    assert before == (date(2098, 9, 30), True, date(2098, 8, 27))
    assert positions(place)[CODE] == (date(2098, 9, 27), False, date(2098, 8, 26))


def test_an_entry_lists_what_moves(place: County) -> None:
    found = enter(place)

    assert [one.due_on for one in found.moved] == [WORKS_END]
    (works,) = found.moved
    assert (works.cases, works.units) == (10, ("101", "102", "RLJ"))
    assert (works.was.target_on, works.becomes.target_on) == (date(2098, 9, 30), date(2098, 9, 27))
    assert (works.was.provisional, works.becomes.provisional) == (True, False)
    assert works.was.latest_start == {State.HOUSEHOLD_CONFIRMATION: date(2098, 8, 27)}
    assert works.becomes.latest_start == {State.HOUSEHOLD_CONFIRMATION: date(2098, 8, 26)}
    moved = {
        rung.level: (on, works.becomes.rungs[rung])
        for rung, on in works.was.rungs.items()
        if works.becomes.rungs[rung] != on
    }
    assert moved == {
        Level.ORANGE: (date(2098, 10, 3), date(2098, 10, 8)),
        Level.RED: (date(2098, 10, 9), date(2098, 10, 13)),
    }


def test_the_deadline_itself_never_moves(place: County) -> None:
    with place.database.reading() as connection:
        before = cases.positions(connection, register.plan_in_force(connection), Clocks(TODAY))
    enter(place)
    with place.database.reading() as connection:
        after = cases.positions(connection, register.plan_in_force(connection), Clocks(TODAY))

    assert [p.due_on for p in before] == [p.due_on for p in after] == [WORKS_END] * 10


def test_the_clocks_of_open_matters_are_listed_too(place: County) -> None:
    place.advance(CODE, FactKind.COMPLAINT, TODAY, ("what", "没人来"))

    found = enter(place)

    # Fifteen days after the recording.
    assert [(one.due_on, one.cases) for one in found.moved] == [
        (date(2098, 6, 6), 1),
        (WORKS_END, 10),
    ]
    assert found.moved[0].units == ("101",)
    assert found.moved[0].becomes.latest_start == {}


def test_the_same_entry_twice_is_one_and_moves_nothing_the_second_time(place: County) -> None:
    first = enter(place)
    rows = county.every_row(place)

    again = enter(place)

    assert first.seq is not None
    assert (again.seq, again.moved) == (None, ())
    assert county.every_row(place) == rows


def test_a_second_entry_of_a_year_takes_the_place_of_the_first(place: County) -> None:
    enter(place)

    found = enter(place, FILE.replace("2098-09-29, ", ""))

    assert [one.becomes.target_on for one in found.moved] == [date(2098, 9, 29)]
    assert positions(place)[CODE][0] == date(2098, 9, 29)
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        listed = holidays.known(connection, plan, TODAY)
    assert [entry.holidays.year for entry in listed.entered] == [2098, 2098]


def test_a_dry_run_says_the_same_and_writes_nothing(place: County) -> None:
    rows = county.every_row(place)

    rehearsed = enter(place, dry_run=True)

    assert county.every_row(place) == rows
    done = enter(place)
    assert (rehearsed.moved, rehearsed.seq) == (done.moved, None)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("login", ["wang", "head", "zhao", "shen"])
def test_only_the_county_office_enters_holidays(place: County, login: str, dry_run: bool) -> None:
    rows = county.every_row(place)

    with pytest.raises(NotPermitted):
        enter(place, actor=login, dry_run=dry_run)

    assert county.every_row(place) == rows


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("year = 2098\nsource = x", PlanFault, "第 2 行"),
        ("year = ", PlanFault, "末尾"),
        ("year = 2098", PlanFault, "source"),
        (FILE.replace("2098-09-29", "2097-09-29"), PlanFault, "不是 2098 年"),
        (FILE.replace("0号", "0号 13812345678"), StepRefused, "手机号"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_is_written(
    place: County, text: str, error: type[CaseError], told: str
) -> None:
    rows = county.every_row(place)

    with pytest.raises(error) as refusal:
        enter(place, text)

    assert told in f"{refusal.value.message} {refusal.value.place}"
    assert "holidays.toml" in str(refusal.value.place)
    assert refusal.value.remedy
    assert county.every_row(place) == rows


def test_a_file_that_is_not_there_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "gbk.toml"
    other.write_bytes('source = "国务院"'.encode("gbk"))

    for file in (tmp_path / "none.toml", other):
        with pytest.raises(BadFile) as refusal:
            holidays.read(file)
        assert refusal.value.place == str(file)


def test_the_mark_that_an_editor_puts_first_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "notepad.toml"
    file.write_text(FILE, encoding="utf-8-sig")

    assert holidays.read(file).year == 2098


def test_an_entry_other_than_the_shipped_days_says_on_which(place: County) -> None:
    text = 'year = 2023\nsource = "x"\noff = [2023-10-02]\nworking = []'

    differing = set(enter(place, text, dry_run=True).differing)

    assert {date(2023, 10, 3), date(2023, 10, 7), date(2023, 1, 2)} <= differing
    # Both rest on the first of these days, and both work on the other.
    assert not {date(2023, 10, 2), date(2023, 9, 28)} & differing
    assert enter(place, dry_run=True).differing == ()


def test_the_independent_audit_knows_the_entry_and_who_may_make_it(place: County) -> None:
    enter(place)

    with place.database.reading() as connection:
        found = audit.verification(connection, audit.report(connection))

    assert found.verified, found.findings


def test_an_entry_that_somebody_spoiled_stops_with_a_plain_word(place: County) -> None:
    enter(place)
    place.reword("calendar", "2098-10-11", "2098-10-10")

    with place.database.reading() as connection, pytest.raises(JournalBroken):
        register.plan_in_force(connection)


def test_check_rings_when_the_coming_year_is_missing(place: County) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        rung = [
            overdue.check(connection, plan, Clocks(day)).calendar_missing
            for day in (date(2098, 12, 14), date(2098, 12, 15))
        ]

    assert rung == [None, 2099]


def test_the_months_of_the_phases_are_counted(place: County) -> None:
    enter(place)
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = holidays.known(connection, plan, TODAY)

    lines = {(one.phase, one.month): (one.workdays, one.known) for one in found.months}
    # September has 22 weekdays; two of them are off, one Saturday is worked.
    assert lines["works", "2098-09"] == (21, True)
    assert lines["acceptance", "2098-10"] == (8, True)
    assert lines["evaluation", "2099-04"] == (11, False)
    assert [one.month for one in found.months if one.phase == "works"] == [
        f"2098-0{month}" for month in (5, 6, 7, 8, 9)
    ]


def test_what_waits_too_long_is_listed_by_check_and_only_while_it_waits(place: County) -> None:
    complaint = place.advance(CODE, FactKind.COMPLAINT, TODAY, ("what", "没人来"))
    place.advance(TOWN[1], FactKind.NOTICE, TODAY, ("objection", "面积不符"))

    def late(day: date, units: list[str] | None = None) -> list[tuple[str, str, int]]:
        with place.database.reading() as connection:
            plan = register.plan_in_force(connection)
            found = overdue.check(connection, plan, Clocks(day), units).matters
        return [(m.code, m.deadline.name.partition(":")[0], m.deadline.due_on.day) for m in found]

    objection, complained = (TOWN[1], "objection", 27), (CODE, "complaint", 6)
    assert late(date(2098, 5, 27)) == []
    assert late(date(2098, 5, 28)) == [objection]
    assert late(date(2098, 6, 7)) == [objection, complained]
    assert late(date(2098, 6, 7), ["102"]) == []
    answer = (("id", str(complaint.seq)), ("outcome", "resolved"))
    place.advance(CODE, FactKind.RESOLVE, date(2098, 6, 8), *answer, reason="已修", files=[PAPER])
    assert late(date(2098, 6, 9)) == [objection]
