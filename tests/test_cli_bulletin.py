"""`report bulletin`, `bulletins`, `compare` at the terminal: what they answer, refuse and show."""

from pathlib import Path

import county
import pytest
from county import ACCEPTED, CODE, TOWN
from office import Office

from states.vocabulary import State

TODAY = str(ACCEPTED)


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    place = county.fresh(tmp_path)
    county.carry(place, TOWN[:2], State.STABLE_SEASON)
    return Office(place, capsys, "zhang")


def test_three_files_are_written_and_nothing_else(office: Office) -> None:
    before = office.every_row()
    out = office.folder / "out"

    said = office.run("report", "bulletin", out, "--period", "旬", "--as-of", TODAY)

    assert said.status == 0
    assert (said.answer["number"], said.answer["since"]) == (None, "2023-09-01")
    names = [f"通报-旬-{TODAY}.{suffix}" for suffix in ("docx", "xlsx", "html")]
    assert said.answer["files"] == [str(out / name) for name in names]
    assert sorted(one.name for one in out.iterdir()) == sorted(names)
    assert office.every_row() == before


def test_files_that_are_there_are_not_replaced_unasked(office: Office) -> None:
    given = ("report", "bulletin", office.folder / "out", "--as-of", TODAY, "--format", "html")
    assert office.run(*given).status == 0

    assert office.run(*given).status == 2
    assert office.run(*given, "--force").status == 0


def test_published_listed_and_held_against_what_came_later(office: Office) -> None:
    given = ("--today", TODAY, "report", "bulletin", office.folder / "out", "--publish")
    first = office.run(*given)
    again = office.run(*given)
    plain = office.run(*given, as_json=False).text

    assert (first.status, first.answer["new"], again.answer["new"]) == (0, True, False)
    assert again.answer["files"] == []
    assert "此前已公布" in plain
    assert "没有重写" in plain
    listed = office.run("report", "bulletins").answer["bulletins"]
    assert isinstance(listed, list)
    assert [line["hash"] for line in listed] == [first.answer["hash"]]
    assert "公布后没有变化" in office.run("report", "compare", "1", as_json=False).text

    closing = [f"-e{key}={value}" for key, value in county.CLOSING]
    closed = office.run("--today", TODAY, "advance", CODE, "close", *closing)
    assert closed.status == 0, closed.text

    found = office.run("report", "compare", "1")
    told = found.answer["changes"]
    assert isinstance(told, list)
    changes = {(one["unit"], one["figure"]): (one["was"], one["becomes"]) for one in told}
    assert changes["101", "accepted"] == (2, 1)
    assert changes["101", "closed"] == (0, 1)
    assert found.answer["unexplained"] is False
    shown = office.run("report", "compare", "1", as_json=False).text
    assert f"{CODE}：第" in shown
    assert "已退出" in shown


def test_a_units_officer_gets_the_own_unit_and_publishes_nothing(office: Office) -> None:
    own = office.by("wang")
    out = office.folder / "own"
    rows = office.every_row()

    said = own.run("report", "bulletin", out, "--as-of", TODAY, "--format", "html")
    other = own.run("report", "bulletin", out / "2", "--as-of", TODAY, "--unit", "102")
    publishing = own.run("--today", TODAY, "report", "bulletin", out / "3", "--publish")
    listed, compared = own.run("report", "bulletins"), own.run("report", "compare", "1")

    page = Path(said.answer["files"][0]).read_text(encoding="utf-8")  # type: ignore[index]
    assert "甲镇" in page
    assert "乙乡" not in page
    assert (other.status, publishing.status, listed.status, compared.status) == (5, 5, 5, 5)
    assert not (out / "2").exists()
    assert not (out / "3").exists()
    assert office.every_row() == rows


def test_only_the_whole_county_as_known_now_is_published(office: Office) -> None:
    given = ("--today", TODAY, "report", "bulletin", office.folder / "out", "--publish")

    assert office.run(*given, "--unit", "101").status == 2
    assert office.run(*given, "--known-at", "2023-09-01").status == 2
    assert office.run(*given, "--as-of", "2033-01-01").status == 2
    assert office.run("report", "compare", "7").status == 2
    assert not (office.folder / "out").exists()
