"""The samples of tests/ledgers through the command itself, each into a database of its own."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from office import Entry, Office, Said, make_office

pytestmark = pytest.mark.once

LEDGERS = Path(__file__).parent / "ledgers"
SAMPLES: list[Entry] = json.loads((LEDGERS / "expected.json").read_text(encoding="utf-8"))["files"]
NAMES = [str(sample["file"]) for sample in SAMPLES]


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return make_office(tmp_path, capsys)


def entries(found: Entry, key: str) -> list[Entry]:
    listed = found.get(key, [])
    assert isinstance(listed, list)
    return listed


def texts(found: Entry, key: str) -> list[str]:
    listed = found.get(key, [])
    assert isinstance(listed, list)
    return [str(text) for text in listed]


def fits(found: Entry, wanted: Entry) -> bool:
    codes = [wanted["code"], *texts(wanted, "or")]
    return (
        wanted["sheet"] in (None, found["sheet"])
        and wanted["cell"] in (None, found["cell"])
        and (found["code"] in codes or "*" in codes)
    )


def missing(found: Sequence[Entry], wanted: Sequence[Entry]) -> list[Entry]:
    return [
        entry
        for entry in wanted
        if not entry.get("either") and not any(fits(one, entry) for one in found)
    ]


def import_with_those_before(office: Office, sample: Entry) -> Said:
    for earlier in texts(sample, "after"):
        assert office.run("ledger", "import", LEDGERS / earlier).status == 0
    return office.run("ledger", "import", LEDGERS / str(sample["file"]))


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_sample_is_answered_as_expected(office: Office, sample: Entry) -> None:
    said = import_with_those_before(office, sample)

    answer = said.answer
    faults, wanted = entries(answer, "faults"), entries(sample, "faults")
    assert answer["file"] == sample["file"]
    assert answer["verdict"] == sample["verdict"]
    assert said.status == (0 if sample["verdict"] == "accepted" else 3)
    assert answer["rows"] == sample["rows"]
    assert answer["added"] == sample.get("added", 0)
    assert [fault for fault in faults if not any(fits(fault, entry) for entry in wanted)] == []
    assert missing(faults, wanted) == []


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_what_was_read_otherwise_is_listed_with_both_values(office: Office, sample: Entry) -> None:
    said = import_with_those_before(office, sample)

    found = entries(said.answer, "normalisations")
    assert missing(found, entries(sample, "normalisations")) == []
    for wanted in entries(sample, "normalisations"):
        for one in found:
            if fits(one, wanted) and one["code"] == wanted["code"]:
                assert one["value"] == wanted.get("value", one["value"])
                assert one["read"] == wanted.get("read", one["read"])


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_fault_says_where_it_is_what_was_read_and_what_to_do(
    office: Office, sample: Entry
) -> None:
    said = import_with_those_before(office, sample)

    for fault in entries(said.answer, "faults"):
        message = str(fault["message"])
        assert "；" in message, message  # what is wrong; what to do
        if fault["code"] not in ("required_missing", "merged_cells") and fault["cell"]:
            assert fault["read"], fault
    if said.answer["verdict"] == "rejected":
        assert entries(said.answer, "faults")


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_nothing_raw_reaches_screen_answer_or_marked_copy(office: Office, sample: Entry) -> None:
    path = shutil.copy(LEDGERS / str(sample["file"]), office.folder)
    forbidden = [*texts(sample, "must_not_print"), "\x1b", "\u202e", "\u200f", "\x07"]

    shown = office.run("ledger", "import", "--dry-run", path, as_json=False).text
    said = office.run("ledger", "import", "--dry-run", path)
    printed = shown + said.text + json.dumps(said.answer, ensure_ascii=False)
    if said.answer["marked"]:
        book = openpyxl.load_workbook(str(said.answer["marked"]))
        cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
        printed += "".join(str(cell.value) for cell in cells)
        printed += "".join(cell.comment.text for cell in cells if cell.comment)
        assert all(cell.data_type != "f" for cell in cells)

    assert [character for character in forbidden if character in printed] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_rejected_sample_leaves_the_database_as_it_was(office: Office, sample: Entry) -> None:
    for earlier in texts(sample, "after"):
        assert office.run("ledger", "import", LEDGERS / earlier).status == 0
    before = office.every_row()

    said = office.run("ledger", "import", LEDGERS / str(sample["file"]))

    unchanged = office.every_row() == before
    assert unchanged is (said.status == 3 or sample["added"] == 0)


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s["verdict"] == "accepted"], ids=lambda s: str(s["file"])
)
def test_an_accepted_sample_a_second_time_adds_nothing(office: Office, sample: Entry) -> None:
    import_with_those_before(office, sample)
    before = office.every_row()

    again = office.run("ledger", "import", LEDGERS / str(sample["file"]))

    assert (again.status, again.answer["added"], again.answer["changed"]) == (0, 0, 0)
    assert office.every_row() == before


def test_several_ledgers_go_in_with_one_command_each_whole_or_not_at_all(office: Office) -> None:
    good, bad = LEDGERS / "gounan-clean.xlsx", LEDGERS / "yangbai-id-faults.xlsx"

    said = office.run("ledger", "import", good, bad)

    answers: list[Entry] = json.loads(said.text)
    assert said.status == 3
    assert [one["verdict"] for one in answers] == ["accepted", "rejected"]
    assert [one["added"] for one in answers] == [24, 0]
    assert len(office.every_row()["household_case"]) == 24
