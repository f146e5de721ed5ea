"""What somebody with the file or a login tried; each was a hole once (docs/proof.md)."""

from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, PAPER, PERMITTED, TOWN, County, every_row, noon

from states.errors import CaseError, StepRefused
from states.vocabulary import FactKind, GateKind, Role, State, Trigger
from workflow import audit, engine, ledger, setup
from workflow.engine import Receipt
from workflow.errors import JournalBroken

NOW = noon(PERMITTED)
NUMBERS = ("13835001234", "1383 500 1234", "140922197001010012")


@pytest.fixture(scope="module")
def ripe(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Two cases that could be permitted today."""
    place = county.fresh(tmp_path_factory.mktemp("ripe"))
    county.carry(place, TOWN[:2], State.STABLE_SEASON)
    county.winter(place, TOWN[:2])
    return place


@pytest.fixture
def place(ripe: County, tmp_path: Path) -> County:
    return county.copy(ripe, tmp_path)


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        # A unit's officer makes himself the county office, for the length of a command.
        ("wang", "UPDATE officer SET role = 'county_office', unit = NULL WHERE login = 'wang'"),
        # Who accepted the works permits as another person: his own line, or the acceptor's.
        ("zhao-county", "UPDATE officer SET person = 'other' WHERE login = 'zhao-county'"),
        ("zhao-county", "UPDATE officer SET person = 'other' WHERE login = 'zhao'"),
        # Somebody whom no event registered, or whom one disabled.
        ("x", "INSERT INTO officer VALUES ('x', '甲', 'x', 'county_office', NULL, TRUE)"),
    ],
)
def test_by_an_edited_register_nothing_is_decided(
    place: County, login: str, statement: str
) -> None:
    place.sql(statement)
    before = every_row(place)

    for kind, pairs in ((Trigger.PERMIT, ()), (FactKind.FAULT, (("what", "坏"),))):
        order = county.make_order(CODE, kind, *pairs)
        with pytest.raises(JournalBroken) as broken:
            engine.advance(place.database, order, login, NOW)
        assert (broken.value.status, broken.value.place) == (6, "officers")

    with pytest.raises(JournalBroken):
        setup.add_officer(
            place.database, "y", "乙", Role.COUNTY_OFFICE, None, None, actor=login, now=NOW
        )

    assert every_row(place) == before


def test_a_disabled_officer_put_back_into_the_table_decides_nothing(place: County) -> None:
    setup.disable_officer(place.database, "li", actor="zhang", now=NOW)
    place.sql("UPDATE officer SET active = TRUE WHERE login = 'li'")

    with pytest.raises(JournalBroken):
        place.advance(CODE, Trigger.PERMIT, PERMITTED, login="li")


@pytest.mark.parametrize("number", NUMBERS)
def test_no_personal_number_comes_into_the_journal_by_the_registers(
    place: County, number: str
) -> None:
    before = every_row(place)

    for login, name, person in ((number, "甲", None), ("x", number, None), ("x", "甲", number)):
        with pytest.raises(CaseError):
            setup.add_officer(
                place.database, login, name, Role.AUDITOR, None, person, actor="zhang", now=NOW
            )
    with pytest.raises(StepRefused):
        setup.open_gate(
            place.database,
            "101",
            f"前村{number}",
            GateKind.GRID,
            date(2023, 5, 10),
            [PAPER],
            actor="zhang",
            now=NOW,
        )

    assert every_row(place) == before


@pytest.mark.parametrize("number", NUMBERS)
def test_no_personal_number_comes_into_the_journal_by_the_ledgers_village(
    place: County, tmp_path: Path, number: str
) -> None:
    row = county.household(77, "101") | {"村": f"前村{number}"}
    file = county.write_workbook(tmp_path / "new.xlsx", [row])

    done = ledger.import_file(place.database, file, "zhang", NOW)

    assert not done.accepted
    assert [fault.code for fault in done.faults] == ["personal_number"]
    assert not any(number in str(fault) for fault in done.faults)


def test_a_serial_of_a_case_closed_and_reinstated_at_once_is_held_again(place: County) -> None:
    """Closing freed it in the table and not in the memory of the batch: nobody held it."""
    serial = f"SN-{CODE}"
    steps = [
        county.make_order(CODE, Trigger.CLOSE, *county.CLOSING),
        county.make_order(CODE, Trigger.REINSTATE, reason="误退"),
        county.make_order(CODE, FactKind.WORKS, ("serial", serial)),
    ]

    for answer in place.carry_out(steps, "zhang", PERMITTED):
        assert isinstance(answer, Receipt), answer

    holders = place.sql(
        "SELECT case_code FROM household_key WHERE kind = 'serial' AND value = ?", serial
    )
    assert holders == [(CODE,)]
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()
