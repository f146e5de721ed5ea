"""The head of a page says on which clocks it was drawn and what not to trust."""

from datetime import UTC, date, datetime
from pathlib import Path

import county
import pytest
from county import CODE, County

from notifications.pages import Head
from states.vocabulary import State, Trigger
from workflow import cases, journal, page_head, quarantine, register
from workflow.cases import Clocks

DAY = date(2023, 9, 15)


def drawn(place: County, clocks: Clocks, units: tuple[str, ...] | None = None) -> Head:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        return page_head.head(connection, plan, clocks, "看板", units=units, cautions=("留意。",))


@pytest.fixture
def place(tmp_path: Path) -> County:
    found = county.fresh(tmp_path)
    county.carry(found, [CODE], State.ACCEPTANCE)
    return found


def test_the_head_names_the_last_event_and_its_instant(place: County) -> None:
    head = drawn(place, Clocks(DAY))

    with place.database.reading() as connection:
        last, at = journal.last_entry(connection)
    assert (head.seq, head.recorded_until, head.known_at) == (last, at, None)
    assert (head.title, head.county, head.as_of) == ("看板", "小县", DAY)
    assert head.drill
    assert head.cautions == ("留意。",)


def test_an_instant_leaves_out_what_was_heard_later(place: County) -> None:
    instant = county.noon(county.CONFIRMED)

    head = drawn(place, Clocks(DAY, known_at=instant))

    with place.database.reading() as connection:
        [confirmed] = [
            event.seq
            for event in cases.load(connection, [CODE])[CODE]
            if event.kind == Trigger.CONFIRM
        ]
    assert head.seq == confirmed < drawn(place, Clocks(DAY)).seq
    assert (head.known_at, head.recorded_until) == (instant, instant)


def test_before_the_journal_began_nothing_was_known(place: County) -> None:
    instant = datetime(2020, 1, 1, tzinfo=UTC)

    head = drawn(place, Clocks(DAY, known_at=instant))

    assert (head.seq, head.recorded_until) == (0, instant)


def test_a_quarantined_household_is_named_first_and_to_its_own_unit_only(place: County) -> None:
    statement = "UPDATE journal SET body = ? WHERE stream = ? AND version = 2"
    place.tamper(statement, b"\xff", f"case:{CODE}")
    for login in ("zhang", "shen"):
        now = county.noon(county.PERMITTED)
        quarantine.quarantine(place.database, CODE, "硬盘坏道", actor=login, now=now)

    told = f"已隔离（日志对不上，不再写入）：{CODE}。其数字不可采信。"
    assert drawn(place, Clocks(DAY)).cautions == (told, "留意。")
    assert drawn(place, Clocks(DAY), ("101",)).cautions == (told, "留意。")
    assert drawn(place, Clocks(DAY), ("102",)).cautions == ("留意。",)


def test_a_coming_year_without_holidays_is_told(place: County) -> None:
    (told, _) = drawn(place, Clocks(date(2033, 12, 31))).cautions

    assert told == "还没有 2034 年的节假日安排，2034 年的期限都是暂定。"


def test_what_nobody_verified_is_named(tmp_path: Path) -> None:
    plan = county.tiny_plan()

    found = page_head.unverified_basis(plan, ("lead_days", "required_seasons"), seasons=True)

    assert found == (
        "要求的采暖季数",
        "各环节工作日数（有风险、倒排工期）",
        "2023-2024 采暖季起止日期",
        "2024-2025 采暖季起止日期",
    )


def test_what_is_verified_is_not_named(tmp_path: Path) -> None:
    place = county.fresh(tmp_path, verified=True)

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
    assert page_head.unverified_basis(plan, ("lead_days", "outage_days"), seasons=True) == ()
