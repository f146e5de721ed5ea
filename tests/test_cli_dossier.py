"""`report dossier` and the certificate's PDF at the terminal: who may, what is refused."""

from pathlib import Path

import county
import pytest
from county import CODE, OTHER_UNIT, PERMITTED, TOWN, County
from office import Office

from states.vocabulary import State
from workflow import checkpoint


@pytest.fixture
def place(tmp_path: Path) -> County:
    made = county.fresh(tmp_path)
    county.carry(made, TOWN[:1], State.REMOVAL_PERMITTED)
    checkpoint.make(made.database, county.noon(PERMITTED))
    return made


@pytest.fixture
def office(place: County, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(place, capsys, "li")


def test_one_household_is_written_in_the_form_of_the_suffix(office: Office, tmp_path: Path) -> None:
    said = office.run("report", "dossier", CODE, tmp_path / "a.html", "--format", "docx")

    assert said.status == 0, said.text
    assert said.answer["formats"] == ["html", "docx"]
    assert CODE in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (tmp_path / "a.docx").read_bytes()[:2] == b"PK"


def test_a_foreign_household_and_an_unknown_one_look_alike(office: Office, tmp_path: Path) -> None:
    wang = office.by("wang")

    foreign = wang.run("report", "dossier", OTHER_UNIT, tmp_path / "a.html")
    unknown = wang.run("report", "dossier", "102-9999", tmp_path / "a.html")

    assert (foreign.status, unknown.status) == (5, 5)
    assert foreign.text.replace(OTHER_UNIT, "?") == unknown.text.replace("102-9999", "?")
    assert not (tmp_path / "a.html").exists()


def test_a_units_officer_gets_the_own_unit_only(office: Office, tmp_path: Path) -> None:
    wang = office.by("wang")

    everything = wang.run("report", "dossier", "--all", tmp_path / "all")
    other = wang.run("report", "dossier", "--unit", "102", tmp_path / "other")

    assert everything.answer["households"] == len(TOWN)
    assert [file.name for file in (tmp_path / "all").iterdir() if file.is_dir()] == ["101"]
    assert other.status == 5
    assert not (tmp_path / "other").exists()


def test_a_file_that_is_there_is_kept_unless_forced(office: Office, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("mine")

    assert office.run("report", "dossier", CODE, tmp_path / "a.html").status == 2
    assert (tmp_path / "a.html").read_text() == "mine"
    assert office.run("report", "dossier", CODE, tmp_path / "a.html", "--force").status == 0


@pytest.mark.parametrize(
    "given", [[], ["--unit", "101", "--all"], [CODE, "--all"], [CODE, CODE]], ids=str
)
def test_which_households_has_to_be_said_once(
    office: Office, tmp_path: Path, given: list[str]
) -> None:
    assert office.run("report", "dossier", *given, tmp_path / "a.html").status == 2


def test_an_unknown_suffix_is_refused(office: Office, tmp_path: Path) -> None:
    assert office.run("report", "dossier", CODE, tmp_path / "a.txt").status == 2


def test_reading_writes_nothing(office: Office, tmp_path: Path) -> None:
    before = office.every_row()

    office.run("report", "dossier", "--all", tmp_path / "all")

    assert office.every_row() == before


def test_the_certificates_pdf_is_checked_and_a_changed_one_is_found(
    office: Office, tmp_path: Path
) -> None:
    pytest.importorskip("typst")
    file = tmp_path / "证明.pdf"

    assert office.run("audit", "certificate", CODE, file).status == 0
    assert office.run("audit", "certificate", CODE, file, "--check").answer["same"] is True
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert office.run("audit", "certificate", CODE, file, "--check").status == 1
