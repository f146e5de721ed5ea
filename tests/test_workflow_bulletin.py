"""The week's 通报 and the warning before it is too late, from a real county's database."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from county import CODE, COMPLETED, TOWN, County, carry, complete, fresh, noon

from notifications import notices, render, word
from notifications.notices import Bulletin
from states.vocabulary import State
from workflow import bulletin, dispatch

BEFORE_THE_END = date(2023, 9, 20)


@pytest.fixture
def place(tmp_path: Path) -> County:
    return fresh(tmp_path)


def said(place: County, on: date) -> Bulletin:
    with place.database.reading() as connection:
        notice = notices.read(bulletin.bulletin(connection, on))
    assert isinstance(notice, Bulletin)
    return notice


def test_every_unit_stands_in_its_block_with_what_the_journal_says(place: County) -> None:
    carry(place, TOWN[:3], State.CONSTRUCTION)
    place.carry_out([complete(code) for code in TOWN[:2]], "wang", COMPLETED)

    found = said(place, COMPLETED)

    town, other = found.townships
    assert [one.unit_name for one in found.departments] == ["热力局"]
    figures = (town.task, town.confirmed, town.selected, town.completed, town.accepted)
    assert figures == (8, 3, 3, 2, 0)
    assert (town.period_done, town.rank, other.completed, other.rank) == (2, 1, 0, 2)


def test_the_week_is_the_seven_days_that_end_with_the_day(place: County) -> None:
    carry(place, [CODE], State.ACCEPTANCE)

    counted = [
        said(place, COMPLETED + timedelta(days=days)).townships[0].period_done for days in (6, 7)
    ]

    assert counted == [1, 0]


def test_it_goes_to_the_heads_and_the_county_office_once_a_day(place: County) -> None:
    first = bulletin.publish(place.database, noon(COMPLETED))
    again = bulletin.publish(place.database, noon(COMPLETED))

    assert first == [f"bulletin:{COMPLETED}:{one}" for one in ("head", "li", "zhang", "zhao")]
    assert again == []


def test_it_can_be_read_in_all_three_forms(place: County) -> None:
    with place.database.reading() as connection:
        document = bulletin.bulletin(connection, COMPLETED)

    assert "甲镇" in render.letter_text(document)
    assert "甲镇" in render.letter_html(document)
    assert word.letter_docx(document).startswith(b"PK")


def test_who_will_hardly_finish_is_told_in_the_digest_once_a_week(place: County) -> None:
    units = bulletin.warn(place.database, noon(BEFORE_THE_END))
    told = dispatch.digests(place.database, noon(BEFORE_THE_END))
    bulletin.warn(place.database, noon(BEFORE_THE_END + timedelta(days=1)))
    again = dispatch.digests(place.database, noon(BEFORE_THE_END + timedelta(days=1)))
    bulletin.warn(place.database, noon(BEFORE_THE_END + timedelta(days=7)))
    next_week = dispatch.digests(place.database, noon(BEFORE_THE_END + timedelta(days=7)))

    assert units == ["101", "102", "RLJ"]
    assert f"digest:{BEFORE_THE_END}:head" in told
    assert again == []
    assert len(next_week) == len(told)
    [(document,)] = place.sql("SELECT document FROM message WHERE key = ?", told[0])
    assert "按期完工的概率" in str(document)


def test_nobody_is_warned_of_what_is_built_or_already_late(place: County) -> None:
    carry(place, TOWN, State.ACCEPTANCE)

    assert "101" in bulletin.warn(place.database, noon(BEFORE_THE_END))
    assert bulletin.warn(place.database, noon(date(2023, 10, 5))) == []
