"""`report evaluation` and `plan diagram` at the terminal: what they answer, refuse, leave alone."""

import json
from pathlib import Path

import county
import pytest
from county import CODE
from office import Office

from notifications import diagram
from states.vocabulary import State


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE, county.OTHER_UNIT], State.STABLE_SEASON)
    return Office(place, capsys, "zhang")


@pytest.mark.parametrize("name", ["自评.docx", "自评.html"])
def test_the_answer_tells_file_marks_and_figures(office: Office, name: str) -> None:
    file = office.folder / name
    before = office.every_row()

    said = office.run("report", "evaluation", file, "--season", "2023-2024")

    assert said.status == 0
    assert said.answer["bytes"] == file.stat().st_size
    assert (said.answer["season_known"], said.answer["season_ended"]) == (True, False)
    told = json.loads(json.dumps(said.answer))
    assert told["total"]["accepted"] == 2
    assert sum(one["accepted"] for one in told["by_unit"].values()) == 2
    assert sum(one["weight"] for one in told["indicators"]) == 100
    assert told["points"] <= told["computable"] < 100
    assert office.every_row() == before


@pytest.mark.parametrize(
    ("name", "season"),
    [("自评.pdf", "2023-2024"), ("自评.docx", "2031-2032"), ("有.docx", "2023-2024")],
)
def test_another_form_season_or_a_file_that_is_there_is_refused(
    office: Office, name: str, season: str
) -> None:
    (office.folder / "有.docx").write_text("mine", encoding="utf-8")

    said = office.run("report", "evaluation", office.folder / name, "--season", season)

    assert said.status == 2
    assert (office.folder / "有.docx").read_text(encoding="utf-8") == "mine"
    assert len([*office.folder.glob("*.docx")]) == 1


def test_the_diagram_is_shown_or_written_and_needs_no_database(office: Office) -> None:
    file = office.folder / "图.svg"

    shown = office.run("plan", "diagram")
    written = office.run("plan", "diagram", file)

    assert shown.answer["diagram"] == f"{diagram.mermaid()}\n"
    assert (written.answer["format"], written.answer["live"]) == ("svg", None)
    assert file.read_text(encoding="utf-8") == diagram.svg()
    assert office.run("plan", "diagram", file).status == 2


def test_a_live_diagram_counts_states_and_steps(office: Office) -> None:
    said = json.loads(json.dumps(office.run("plan", "diagram", "--live").answer))

    assert said["live"]["states"]["stable_season"]["cases"] == 2
    taken = {one["trigger"]: one["times"] for one in said["live"]["edges"]}
    assert (taken["confirm"], taken["accept"]) == (2, 2)
    assert "稳定运行一季 2" in said["diagram"]
