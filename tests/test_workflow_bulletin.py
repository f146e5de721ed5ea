"""The week's 通报 and the warning before it is too late, from a real county's database."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from county import ACCEPTED, CODE, COMPLETED, TOWN, County, carry, complete, fresh, noon

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
    # What the week brought is counted in acceptances (本期验收), not in works completed.
    assert (town.period_done, town.rank, other.completed, other.rank) == (0, 1, 0, 1)


def test_the_week_is_the_seven_days_that_end_with_the_day(place: County) -> None:
    carry(place, [CODE], State.STABLE_SEASON)

    counted = [
        said(place, ACCEPTED + timedelta(days=days)).townships[0].period_done for days in (6, 7)
    ]

    assert counted == [1, 0]


def test_once_the_works_are_over_a_unit_is_late_and_no_longer_unlikely(place: County) -> None:
    before = said(place, date(2023, 9, 30)).remarks
    after = said(place, date(2023, 10, 9)).remarks

    assert before
    assert after
    assert all(text.count("按期完工的概率") == 1 for text in before)
    assert all("施工期限（2023年9月30日）已过" in text for text in after)
    assert not any("概率" in text for text in after)


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
    rows = json.loads(str(document))["sections"][0]["rows"]
    assert [(row["code"], row["village"]) for row in rows] == [("", "全单位")] * len(rows)


def test_nobody_is_warned_of_what_is_built_or_already_late(place: County) -> None:
    carry(place, TOWN, State.ACCEPTANCE)

    assert "101" in bulletin.warn(place.database, noon(BEFORE_THE_END))
    assert bulletin.warn(place.database, noon(date(2023, 10, 5))) == []
