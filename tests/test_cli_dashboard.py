"""`report dashboard` at the terminal: what it answers, refuses and leaves alone."""

from pathlib import Path

import county
import pytest
from county import CODE
from office import Office

from states.vocabulary import State


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE, county.OTHER_UNIT], State.STABLE_SEASON)
    return Office(place, capsys, "zhang")


def test_the_answer_tells_file_clocks_and_figures(office: Office) -> None:
    file = office.folder / "看板.html"

    said = office.run("report", "dashboard", file, "--as-of", "2023-08-20")

    assert said.status == 0
    assert said.answer["file"] == str(file)
    assert said.answer["bytes"] == file.stat().st_size
    assert (said.answer["as_of"], said.answer["known_at"]) == ("2023-08-20", None)
    assert said.answer["units"] == ["102", "101", "RLJ"], "by rank, departments last"
    assert said.answer["done"] == 0
    assert (said.answer["gravest"], said.answer["open"], said.answer["drill"]) == (0, 0, True)
    assert said.answer["journal_broken"] is None


def test_a_past_day_is_redrawn_and_nothing_is_written(office: Office) -> None:
    before = office.every_row()
    files = [office.folder / name for name in ("1.html", "2.html", "now.html")]

    for file in files[:2]:
        assert office.run("report", "dashboard", file, "--as-of", "2023-08-20").status == 0
    now = office.run("report", "dashboard", files[2]).answer

    first, second = (file.read_bytes() for file in files[:2])
    assert first == second
    assert now["done"] == 2
    assert office.every_row() == before


def test_an_instant_leaves_out_what_was_not_known(office: Office) -> None:
    file = office.folder / "看板.html"

    said = office.run("report", "dashboard", file, "--known-at", "2023-06-12")

    assert said.answer["known_at"] == "2023-06-12T15:59:59.999999Z"
    assert said.answer["done"] == 0
    assert "按 <b>2023-06-12 23:59</b> 所知" in file.read_text(encoding="utf-8")


def test_a_file_that_is_there_is_not_overwritten_unasked(office: Office) -> None:
    file = office.folder / "看板.html"
    file.write_text("mine", encoding="utf-8")

    refused = office.run("report", "dashboard", file)
    kept = file.read_text(encoding="utf-8")
    forced = office.run("report", "dashboard", file, "--force")

    assert (refused.status, kept) == (2, "mine")
    assert forced.status == 0
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_day_to_come_is_refused(office: Office) -> None:
    said = office.run("report", "dashboard", office.folder / "x.html", "--as-of", "2033-01-01")

    assert said.status == 2
    assert not (office.folder / "x.html").exists()


def test_a_units_officer_gets_the_own_unit_only(office: Office) -> None:
    own = office.by("wang")
    file = office.folder / "看板.html"

    said = own.run("report", "dashboard", file)

    page = file.read_text(encoding="utf-8")
    assert said.answer["units"] == ["101"]
    assert "甲镇" in page
    for other in ("乙乡", "热力局", county.OTHER_UNIT):
        assert other not in page


def test_another_unit_is_not_for_a_units_officer(office: Office) -> None:
    own = office.by("wang")
    file = office.folder / "看板.html"

    said = own.run("report", "dashboard", file, "--unit", "102")

    assert said.status == 5
    assert not file.exists()


def test_without_ranking_no_unit_is_called_first(office: Office) -> None:
    ranked, plain = office.folder / "1.html", office.folder / "2.html"

    office.run("report", "dashboard", ranked)
    office.run("report", "dashboard", plain, "--no-ranking")

    assert "按完工率排名" in ranked.read_text(encoding="utf-8")
    assert "名次" not in plain.read_text(encoding="utf-8")


def test_the_terminal_says_where_the_page_is(office: Office) -> None:
    said = office.run("report", "dashboard", office.folder / "看板.html", as_json=False)

    assert "看板已写到" in said.text
    assert "任务 14 户，已验收 2 户" in said.text


def test_no_personal_data_stands_on_the_page(office: Office) -> None:
    file = office.folder / "看板.html"

    office.run("report", "dashboard", file)

    page = file.read_text(encoding="utf-8")
    rows = office.place.sql("SELECT name, id_number, phone, meter, address FROM personal")
    told = [str(text) for row in rows for text in row if text]
    assert told
    assert [text for text in told if text in page] == []
