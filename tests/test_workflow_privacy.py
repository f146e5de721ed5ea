"""Personal data erased for good, in a real database."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest
from county import CODE, PAPER, County, carry, every_row, first_ledger, fresh, noon, write_workbook

from states.errors import StepRefused, UsageFault
from states.vocabulary import State, Trigger
from workflow import audit, ledger, privacy, register
from workflow.errors import NotPermitted

DAY = date(2023, 7, 1)
ID_NUMBER = str(first_ledger()[0]["身份证号"])


@pytest.fixture
def county(tmp_path: Path) -> County:
    return fresh(tmp_path)


def erase(county: County, code: str = CODE, login: str = "zhang") -> tuple[int, bool]:
    return privacy.erase(county.database, code, [PAPER], "用户申请", login, noon(DAY))


def findings(county: County) -> list[str]:
    with county.database.reading() as connection:
        return [finding.code for finding in audit.verification(connection).findings]


def held(county: County, text: str) -> bool:
    """Whether the text stands anywhere in the database's files, free pages too.

    On a server in any row: its files are its administrator's.
    """
    if county.database.shared:
        return text in repr(every_row(county))
    county.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    files = county.file.parent.glob(f"{county.file.name}*")
    return any(text.encode() in file.read_bytes() for file in files)


def change_phone(county: County) -> None:
    """Imports the ledger again with another phone number for the first household."""
    file = county.file.parent / "out.xlsx"
    with county.database.reading() as connection:
        who = register.actor(connection, "zhang")
    ledger.export_file(county.database, file, who, noon(DAY), units=["101"], reveal=True)
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    for row in sheet.iter_rows():
        for cell in row:
            if str(cell.value) == PHONE:
                cell.value = "13900000001"
    book.save(file)
    assert ledger.import_file(county.database, file, "zhang", noon(DAY)).accepted


PHONE = str(first_ledger()[0]["联系电话"])


def test_who_left_the_campaign_is_erased_and_the_journal_still_verifies(county: County) -> None:
    carry(county, [CODE], State.CLOSED)
    assert held(county, ID_NUMBER)

    assert erase(county) == (1, True)

    assert not held(county, ID_NUMBER)
    assert findings(county) == []
    assert county.sql("SELECT count(*) FROM household_key WHERE case_code = ?", CODE) == [(0,)]


def test_a_live_household_keeps_its_present_version_and_loses_the_superseded(
    county: County,
) -> None:
    change_phone(county)

    assert erase(county) == (1, False)

    assert not held(county, PHONE)
    assert held(county, ID_NUMBER)
    assert findings(county) == []


def test_there_is_nothing_to_erase_of_a_live_household_with_one_version(county: County) -> None:
    before = every_row(county)

    with pytest.raises(StepRefused):
        erase(county)

    assert every_row(county) == before


def test_erasing_twice_is_refused(county: County) -> None:
    carry(county, [CODE], State.CLOSED)
    erase(county)

    with pytest.raises(StepRefused):
        erase(county)


@pytest.mark.parametrize("login", ["wang", "shen", "zhao", "nobody"])
def test_only_the_county_office_erases(county: County, login: str) -> None:
    carry(county, [CODE], State.CLOSED)

    with pytest.raises(NotPermitted):
        erase(county, login=login)


def test_an_unknown_household_is_told_like_one_that_is_not_yours(county: County) -> None:
    with pytest.raises(NotPermitted):
        erase(county, "101-9999")


def test_erasing_needs_a_document_and_a_reason(county: County) -> None:
    carry(county, [CODE], State.CLOSED)

    with pytest.raises(UsageFault):
        privacy.erase(county.database, CODE, [], "用户申请", "zhang", noon(DAY))
    with pytest.raises(UsageFault):
        privacy.erase(county.database, CODE, [PAPER], None, "zhang", noon(DAY))


def test_a_household_that_comes_back_is_registered_anew_by_its_ledger(county: County) -> None:
    carry(county, [CODE], State.CLOSED)
    erase(county)
    county.advance(CODE, Trigger.REINSTATE, DAY, reason="重新申请")

    rows = first_ledger()[:1]
    file = write_workbook(county.file.parent / "again.xlsx", [{**rows[0], "编号": CODE}])
    found = ledger.import_file(county.database, file, "zhang", noon(DAY))

    assert found.accepted, found.faults
    assert held(county, ID_NUMBER)
    assert findings(county) == []


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM personal WHERE case_code = ?",
        "UPDATE personal SET salt = '', name = '', id_number = '', credit_code = '', phone = '',"
        " meter = '', address = '', remarks = '' WHERE case_code = ?",
    ],
)
def test_personal_data_that_vanished_without_an_event_is_a_finding(
    county: County, tampering: str
) -> None:
    county.sql(tampering, CODE)

    assert "projection_differs" in findings(county)
