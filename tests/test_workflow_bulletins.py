"""Published bulletins: numbered without a gap, frozen, and held against later corrections."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest
from county import ACCEPTED, CODE, COMPLETED, TOWN, County, carry, complete, fresh, noon
from python_calamine import CalamineWorkbook

from states.vocabulary import State
from workflow import audit, bulletin_files, bulletins, verify
from workflow.bulletin import Period
from workflow.bulletin_files import Wanted
from workflow.cases import Clocks
from workflow.errors import NotPermitted


@pytest.fixture
def place(tmp_path: Path) -> County:
    return fresh(tmp_path)


def publish(place: County, on: date, login: str = "li") -> tuple[bulletins.Published, bool]:
    return bulletins.publish(
        place.database, Period.XUN, on, login=login, ranking=True, now=noon(on)
    )


def difference(place: County, number: str) -> bulletins.Difference:
    with place.database.reading() as connection:
        return bulletins.compare(connection, bulletins.named(connection, number))


@pytest.mark.parametrize(
    ("period", "day", "since"),
    [
        (Period.WEEK, date(2023, 9, 15), date(2023, 9, 9)),
        (Period.XUN, date(2023, 9, 10), date(2023, 9, 1)),
        (Period.XUN, date(2023, 9, 11), date(2023, 9, 11)),
        (Period.XUN, date(2023, 8, 31), date(2023, 8, 21)),
        (Period.XUN, date(2024, 2, 29), date(2024, 2, 21)),
        (Period.MONTH, date(2023, 6, 30), date(2023, 6, 1)),
    ],
)
def test_a_period_begins_where_the_calendar_says(period: Period, day: date, since: date) -> None:
    assert period.since(day) == since


def test_the_same_period_is_published_once_and_numbers_have_no_gap(place: County) -> None:
    first, new = publish(place, COMPLETED)
    again, newer = publish(place, COMPLETED)
    second, _ = publish(place, ACCEPTED)

    assert (new, newer, again) == (True, False, first)
    assert first.number.endswith("通〔2023〕1号")
    assert second.number.endswith("通〔2023〕2号")


def test_only_the_county_office_publishes(place: County) -> None:
    with pytest.raises(NotPermitted):
        publish(place, COMPLETED, "wang")
    with place.database.reading() as connection:
        assert not list(bulletins.published(connection))


def test_what_is_recorded_later_is_named_and_the_frozen_figures_stay(place: County) -> None:
    carry(place, TOWN[:3], State.CONSTRUCTION)
    kept, _ = publish(place, COMPLETED)
    assert difference(place, "1").changes == ()

    place.carry_out([complete(CODE)], "wang", COMPLETED)

    found = difference(place, kept.number)
    assert [one.code for one in found.cases] == [CODE]
    assert {event.kind for event in found.cases[0].events} == {"complete"}
    changed = {one.figure: (one.was, one.becomes) for one in found.changes}
    assert changed["powered"] == (0, 1)
    assert {one.unit_name for one in found.changes} == {"甲镇"}
    assert found.published == kept


def test_the_audit_accepts_a_publication_and_finds_figures_that_were_changed(
    place: County, tmp_path: Path
) -> None:
    publish(place, COMPLETED)
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()
        bundle = list(audit.lines(connection))
    forged = [
        {
            key: text.replace('"task":8', '"task":9')
            if isinstance(text, str) and bulletins.PUBLISHED in text
            else text
            for key, text in line.items()
        }
        for line in bundle
    ]

    found = verify.examine(forged)

    assert forged != bundle
    assert any("摘要不符" in finding.message for finding in found.integrity)


def test_the_workbook_holds_typed_values_charts_and_no_formula(
    place: County, tmp_path: Path
) -> None:
    carry(place, TOWN[:3], State.STABLE_SEASON)
    wanted = Wanted(Period.MONTH, Clocks(ACCEPTED), None, True, ("xlsx",))
    (file,) = bulletin_files.write(place.database, tmp_path / "out", wanted, force=False).files

    book = openpyxl.load_workbook(file)
    rows = {row[1]: row for row in book["通报"].iter_rows(values_only=True)}
    other = CalamineWorkbook.from_path(file).get_sheet_by_name("通报").to_python()

    assert rows["甲镇"][2:9] == (8, 3, 3, 3, 3, 3, 3)
    assert rows["甲镇"][9] == "3/8"
    assert rows["合计"][8] == 3
    assert next(row for row in other if row[1] == "甲镇")[8] == 3
    assert len(book["图"]._charts) == 2
    cells = [c for sheet in book for row in sheet.iter_rows() for c in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert book["户明细"].max_row == 1 + 10
