import csv
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import cast

import county
import openpyxl
import pytest
from county import CODE, COLLECTIVE, HEADINGS, County, every_row

from states.facts import Actor
from states.vocabulary import FactKind, Role, State
from workflow import ledger, register
from workflow.errors import BadFile, NotPermitted
from workflow.ledger import Import

DAY = county.CONFIRMED
Row = dict[str, str]


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def take(place: County, rows: list[Row], login: str = "zhang", *, dry_run: bool = False) -> Import:
    """Imports a workbook of these rows."""
    headings = [*HEADINGS, "版本"] if any("版本" in row for row in rows) else HEADINGS
    file = county.write_workbook(place.file.parent / "送来的台账.xlsx", rows, headings)
    return ledger.import_file(place.database, file, login, county.noon(DAY), dry_run=dry_run)


def export(place: County, file: Path, login: str = "zhang", *, reveal: bool = False) -> int:
    with place.database.reading() as connection:
        who = register.actor(connection, login)
    return ledger.export_file(place.database, file, who, county.noon(DAY), reveal=reveal)


def codes(found: Import) -> list[str]:
    return [fault.code for fault in found.faults]


def last_event(place: County, kind: str) -> dict[str, object]:
    [(body,)] = place.sql("SELECT body FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 1", kind)
    return cast(dict[str, object], json.loads(cast(bytes, body)))


# All or none ----------------------------------------------------------------------------------


def test_every_household_of_a_file_is_taken_and_given_the_next_code(place: County) -> None:
    found = take(place, [county.household(number, "101") for number in (31, 32)], "wang")

    assert (found.accepted, found.rows, found.added, found.changed) == (True, 2, 2, 0)
    assert found.codes == ("101-0007", "101-0008")
    assert {place.state(code) for code in found.codes} == {State.HOUSEHOLD_CONFIRMATION}


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_faulty_row_keeps_the_whole_file_out(place: County, bad: int) -> None:
    rows = [county.household(number, "101") for number in (31, 32, 33)]
    rows[bad]["户别"] = "不知道"
    before = every_row(place)

    found = take(place, rows, "wang")

    assert (found.accepted, found.added, len(found.faults)) == (False, 0, 1)
    assert every_row(place) == before


def test_a_dry_run_answers_the_same_and_writes_nothing(place: County) -> None:
    rows = [county.household(31, "101"), county.household(1, "101", 联系电话="13900001111")]
    before = every_row(place)

    tried = take(place, rows, "wang", dry_run=True)

    assert every_row(place) == before
    done = take(place, rows, "wang")
    assert (tried.accepted, tried.added, tried.changed) == (True, 1, 1)
    assert (done.added, done.changed) == (1, 1)
    assert tried.differences == done.differences


def test_the_same_file_a_second_time_writes_nothing(place: County) -> None:
    before = every_row(place)

    found = take(place, county.first_ledger())

    assert (found.accepted, found.added, found.changed) == (True, 0, 0)
    assert list(found.codes) == county.CODES
    assert every_row(place) == before


@pytest.mark.parametrize(
    ("other", "changed"),
    [
        ({}, 0),
        ({"用电户号": ""}, 0),
        ({"联系电话": "", "建筑面积": "", "备注": ""}, 0),
        ({"户主姓名": "张改名", "详细地址": "别处"}, 1),
        ({"用电户号": "0199999999", "户主姓名": "张改名"}, 1),
        ({"用电户号": "", "身份证号": county.id_number(90)}, 1),
    ],
)
def test_another_file_of_the_same_households_adds_none(
    place: County, other: Row, changed: int
) -> None:
    """Matched by meter, then ID, then name with address; an empty cell there says nothing."""
    found = take(place, [county.household(1, "101", **other)], "wang")

    assert (found.faults, found.added, found.changed, found.codes) == ((), 0, changed, (CODE,))
    assert place.sql("SELECT COUNT(*) FROM household_case") == [(10,)]


def test_a_row_that_lacks_what_every_household_has_is_refused(place: County) -> None:
    found = take(place, [county.household(1, "101", 身份证号="")], "wang")

    assert codes(found) == ["required_missing"]


def test_an_amendment_is_an_event_and_a_new_version_of_the_personal_data(place: County) -> None:
    row = county.household(1, "101", 联系电话="13900001111", 村="新前村", 建筑面积="120")

    found = take(place, [row], "wang")

    event = last_event(place, "amended")
    assert (found.added, found.changed) == (0, 1)
    assert event["stream"] == f"case:{CODE}"
    evidence = cast(dict[str, object], event["evidence"])
    assert {key: evidence[key] for key in ("village", "building_area")} == {
        "village": "新前村",
        "building_area": 120.0,
    }
    assert place.sql("SELECT village, version FROM household_case WHERE code = ?", CODE) == [
        ("新前村", 2)
    ]
    assert place.sql(
        "SELECT version, phone FROM personal WHERE case_code = ? ORDER BY version", CODE
    ) == [(1, "13835000001"), (2, "13900001111")]


def test_a_difference_is_shown_with_personal_data_masked(place: County) -> None:
    row = county.household(1, "101", 联系电话="13900001111", 村="新前村")

    found = take(place, [row], "wang", dry_run=True)

    shown = {(d.heading, d.was, d.becomes) for d in found.differences}
    assert shown == {
        ("联系电话", "138****0001", "139****1111"),
        ("村", "前村", "新前村"),
    }


# What an import may not -----------------------------------------------------------------------


def test_after_confirmation_the_path_stays_and_the_phone_may_change(place: County) -> None:
    county.carry(place, [CODE], State.EQUIPMENT_SELECTION)
    before = every_row(place)

    other_path = take(place, [county.household(1, "101", 取暖方式="太阳能")], "wang")
    assert codes(other_path) == ["not_importable"]
    assert every_row(place) == before

    phone = take(place, [county.household(1, "101", 联系电话="13900001111")], "wang")
    assert (phone.accepted, phone.changed) == (True, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"原取暖设施": "暖炉"}, "not_importable"),
        ({"责任单位": "乙乡"}, "duplicate_across_files"),
    ],
)
def test_unit_and_old_facility_are_never_changed_by_an_import(
    place: County, change: Row, expected: str
) -> None:
    before = every_row(place)

    found = take(place, [county.household(1, "101", **change)])

    assert codes(found) == [expected]
    assert every_row(place) == before


def test_keys_that_point_to_two_cases_are_a_fault(place: County) -> None:
    row = county.household(1, "101", 身份证号=county.id_number(2))

    assert codes(take(place, [row], "wang")) == ["duplicate_across_files"]


def test_a_row_of_a_closed_case_is_a_fault(place: County) -> None:
    county.carry(place, [CODE], State.CLOSED)

    assert codes(take(place, [county.household(1, "101")], "wang")) == ["case_closed"]


def test_a_row_of_another_unit_is_not_permitted(place: County) -> None:
    before = every_row(place)

    found = take(place, [county.household(31, "102")], "wang")

    assert codes(found) == ["not_permitted"]
    assert every_row(place) == before


@pytest.mark.parametrize("login", ["zhao", "shen"])
def test_a_role_that_imports_nothing_is_refused(place: County, login: str) -> None:
    with pytest.raises(NotPermitted):
        take(place, [county.household(31, "101")], login)


def test_the_annex_is_not_passed_by_planned_households(place: County) -> None:
    """The annex gives 甲镇 eight; six are registered."""
    rows = [county.household(number, "101") for number in (31, 32, 33)]

    assert codes(take(place, rows, "wang")) == ["annex_exceeded"]
    assert take(place, rows[:2], "wang").added == 2
    rows[2]["计划类别"] = "超计划"
    assert take(place, rows, "wang").added == 1


def test_a_closed_case_makes_room_in_the_annex(place: County) -> None:
    rows = [county.household(number, "101") for number in (31, 32, 33)]
    county.carry(place, [CODE], State.CLOSED)

    assert take(place, rows, "wang").added == 3


def test_a_file_that_is_not_there_is_told(place: County) -> None:
    with pytest.raises(BadFile):
        ledger.import_file(
            place.database, place.file.parent / "none.xlsx", "wang", county.noon(DAY)
        )


# Out and in again -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
@pytest.mark.parametrize("reveal", [False, True])
def test_what_was_exported_changes_nothing_when_imported_again(
    place: County, suffix: str, reveal: bool
) -> None:
    file = place.file.parent / f"export.{suffix}"
    assert export(place, file, reveal=reveal) == 10
    before = every_row(place)

    found = ledger.import_file(place.database, file, "zhang", county.noon(DAY))

    assert (found.accepted, found.rows, found.added, found.changed) == (True, 10, 0, 0)
    assert every_row(place) == before


def test_a_masked_export_can_be_amended_and_handed_in(place: County) -> None:
    file = place.file.parent / "export.csv"
    export(place, file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        if row["编号"] == CODE:
            row["采暖面积"] = "66"
    found = take(place, rows)

    assert (found.accepted, found.changed) == (True, 1), found.faults
    assert cast(dict[str, object], last_event(place, "amended")["evidence"]) == {
        "heating_area": 66.0
    }
    assert place.sql("SELECT COUNT(*) FROM personal WHERE case_code = ?", CODE) == [(1,)]


def test_an_export_that_is_out_of_date_is_not_taken(place: County) -> None:
    file = place.file.parent / "export.xlsx"
    export(place, file)
    place.advance(CODE, FactKind.FAULT, DAY, ("what", "坏"))

    found = ledger.import_file(place.database, file, "zhang", county.noon(DAY))

    assert codes(found) == ["not_importable"]


def test_a_masked_export_shows_no_personal_number_and_is_not_journaled(place: County) -> None:
    file = place.file.parent / "export.csv"
    before = every_row(place)

    export(place, file, "shen")

    told = file.read_text(encoding="utf-8-sig")
    for row in county.first_ledger():
        for heading in ("身份证号", "联系电话", "用电户号"):
            assert not row[heading] or row[heading] not in told
    assert every_row(place) == before


def test_revealing_is_an_event_that_names_the_cases(place: County) -> None:
    file = place.file.parent / "export.xlsx"

    export(place, file, "wang", reveal=True)

    event = last_event(place, "revealed")
    assert event["actor"] == "wang"
    assert cast(dict[str, object], event["evidence"])["codes"] == county.TOWN
    cells = [cell.value for row in openpyxl.load_workbook(file).active for cell in row]
    assert county.id_number(1) in cells


@pytest.mark.parametrize("login", ["zhao", "shen"])
def test_revealing_needs_the_right(place: County, login: str) -> None:
    file = place.file.parent / "export.xlsx"
    before = every_row(place)

    with pytest.raises(NotPermitted):
        export(place, file, login, reveal=True)

    assert not file.exists()
    assert every_row(place) == before


def test_an_officer_exports_his_own_unit_only(place: County) -> None:
    who = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")
    file, other = (place.file.parent / name for name in ("export.csv", "other.csv"))

    assert export(place, file, "wang") == 6
    with pytest.raises(NotPermitted):
        ledger.export_file(place.database, other, who, county.noon(DAY), units=["102"])


# Personal data --------------------------------------------------------------------------------


def test_no_personal_data_stands_in_the_journal(place: County) -> None:
    take(place, [county.household(1, "101", 联系电话="13900001111")], "wang")
    export(place, place.file.parent / "out.csv", reveal=True)

    bodies = b"".join(cast(bytes, body) for (body,) in place.sql("SELECT body FROM journal"))

    for table_row in place.sql(
        "SELECT name, id_number, credit_code, phone, meter, address FROM personal"
    ):
        for value in table_row:
            assert not value or str(value).encode() not in bodies


def test_the_journal_commits_to_personal_data_by_a_salted_hash(place: County) -> None:
    names = ("name", "id_number", "credit_code", "phone", "meter", "address", "remarks")
    salts = set()
    for code in (CODE, COLLECTIVE):
        [(salt, digest, *values)] = place.sql(
            f"SELECT salt, digest, {', '.join(names)} FROM personal WHERE case_code = ?", code
        )
        data = {"salt": salt, **dict(zip(names, values, strict=True))}
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        [(body,)] = place.sql("SELECT body FROM journal WHERE stream = ?", f"case:{code}")
        salts.add(salt)

        assert hashlib.sha256(text.encode()).hexdigest() == digest
        assert json.loads(cast(bytes, body))["personal"] == digest
    assert len(salts) == 2


def test_the_import_itself_is_an_event_with_the_files_hash(place: County) -> None:
    take(place, [county.household(31, "101")], "wang")

    event = last_event(place, "ledger_imported")
    file = place.file.parent / "送来的台账.xlsx"
    assert event["evidence"] == {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "rows": 1,
        "added": 1,
        "changed": 0,
    }
    assert date.fromisoformat(str(event["occurred_on"])) == DAY
