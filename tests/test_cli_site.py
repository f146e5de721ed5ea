"""`report site` at the terminal: who may, what is refused, what it answers."""

from pathlib import Path

import county
import pytest
from county import CODES, TOWN, County
from office import Office


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def office(place: County, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(place, capsys, "li")


def test_the_county_office_gets_every_unit(office: Office, tmp_path: Path) -> None:
    before = office.every_row()

    said = office.run("report", "site", tmp_path / "web")

    assert said.status == 0, said.text
    assert said.answer["units"] == ["101", "102", "RLJ"]
    assert (said.answer["households"], said.answer["pages"]) == (len(CODES), len(CODES) + 4)
    assert said.answer["replaced"] is False
    assert office.every_row() == before
    again = office.run("report", "site", tmp_path / "web", as_json=False)
    assert again.status == 0
    assert "网站已换新" in again.text
    assert "演练" in again.text


def test_a_unit_s_officer_gets_the_own_unit_only(office: Office, tmp_path: Path) -> None:
    wang = office.by("wang")

    everything = wang.run("report", "site", tmp_path / "all")
    other = wang.run("report", "site", "--unit", "102", tmp_path / "other")

    assert everything.answer["units"] == ["101"]
    assert everything.answer["households"] == len(TOWN)
    assert sorted(one.name for one in (tmp_path / "all").iterdir() if one.is_dir()) == ["101"]
    assert other.status == 5
    assert not (tmp_path / "other").exists()


def test_the_county_s_site_is_not_put_in_a_unit_s_place_unless_forced(
    office: Office, tmp_path: Path
) -> None:
    assert office.run("report", "site", "--unit", "甲镇", tmp_path / "web").status == 0

    assert office.run("report", "site", tmp_path / "web").status == 2
    assert not (tmp_path / "web" / "102").exists()
    assert office.run("report", "site", tmp_path / "web", "--force").answer["replaced"] is True


def test_a_past_day_is_drawn_again(office: Office, tmp_path: Path) -> None:
    said = office.run("report", "site", tmp_path / "web", "--as-of", "2023-05-21")

    assert (said.answer["as_of"], said.answer["households"]) == ("2023-05-21", 0)
    assert said.answer["passed_over"] == CODES


def test_a_folder_of_somebody_else_s_is_refused_even_when_forced(
    office: Office, tmp_path: Path
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "letter.txt").write_text("mine")

    assert office.run("report", "site", tmp_path / "web", "--force").status == 2
    assert [one.name for one in (tmp_path / "web").iterdir()] == ["letter.txt"]
