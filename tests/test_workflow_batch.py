import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import county
import forms
import openpyxl
import pytest
from county import CODE, ONE_DAY, OTHER_UNIT, TOWN, County, every_row
from forms import CONFIRMATION, Cells, fill, lines, template

from states import evidence as keys
from states import identity
from states.errors import UsageFault
from states.facts import Actor
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import audit, batch, batch_sheet, journal, ledger
from workflow.batch import Batch
from workflow.errors import BadFile, Conflict, NotPermitted

SECOND, THIRD = TOWN[1], TOWN[2]
TODAY = county.CONFIRMED
HERE = Path(__file__).parent


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def preview(place: County, file: Path, login: str = "wang", day: date = TODAY) -> Batch:
    return batch.preview(place.database, file, login, county.noon(day))


def apply(
    place: County,
    file: Path,
    login: str = "wang",
    day: date = TODAY,
    *,
    partial: bool = False,
    key: str | None = None,
) -> Batch:
    return batch.apply(place.database, file, login, county.noon(day), partial=partial, key=key)


def confirmed(place: County, codes: Sequence[str], **other: object) -> Path:
    """A form in which these households are rightly confirmed, but for `other`."""
    cells = {**CONFIRMATION, **other}
    return fill(template(place, Trigger.CONFIRM), dict.fromkeys(codes, cells))


def guards(found: Batch) -> dict[str, list[str]]:
    return {one.row.code: [reason.guard for reason in one.reasons] for one in found.refused}


# Every step and every fact ---------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """Where a household has to be for a sheet of this kind, and what is filled in."""

    kind: Trigger | FactKind
    state: State
    day: date
    cells: Cells
    login: str = "wang"
    before: Callable[[County], object] = lambda place: None
    files: Mapping[str, bytes] = field(default_factory=dict)


def fault(place: County) -> None:
    place.advance(CODE, FactKind.FAULT, county.SELECTED, ("what", "停机"))


def pause(place: County) -> None:
    place.advance(CODE, FactKind.PAUSE, county.SELECTED, ("cause", "weather"))


def complaint(place: County) -> None:
    place.advance(CODE, FactKind.COMPLAINT, county.SELECTED, ("what", "太冷"))


def measured(place: County) -> None:
    place.advance(CODE, FactKind.VISIT, county.SELECTED, ("temperature", "2"))


def a_winter(place: County) -> None:
    county.winter(place, [CODE])


def id_of_the_last(place: County) -> int:
    [(seq,)] = place.sql("SELECT MAX(seq) FROM journal")
    return int(str(seq))


BUILDING, RUNNING = State.CONSTRUCTION, State.STABLE_SEASON
LATER = county.ACCEPTED + ONE_DAY
SUMMER = county.SELECTED + ONE_DAY
PUT_RIGHT = {"findings": "漏水", "put_right_by": "2023-12-01"}
SCENES = [
    Scene(Trigger.CONFIRM, State.HOUSEHOLD_CONFIRMATION, TODAY, CONFIRMATION),
    Scene(
        Trigger.SELECT,
        State.EQUIPMENT_SELECTION,
        county.SELECTED,
        {"model": "KFR-35", "selection_on": "6月15日", "selection_by": "家属"},
    ),
    Scene(
        Trigger.COMPLETE,
        BUILDING,
        county.COMPLETED,
        {
            "started_on": "2023-07-11",
            "installed_on": "2023-08-05",
            "ready_on": "2023.8.10",
            "contractor": "晋暖公司",
            "serial": "ＳＮ-1",
            "training_on": "2023-08-10",
        },
    ),
    Scene(Trigger.REJECT, State.ACCEPTANCE, county.ACCEPTED, PUT_RIGHT, "zhao"),
    Scene(
        Trigger.ACCEPT,
        State.ACCEPTANCE,
        county.ACCEPTED,
        {
            "item": "试运行正常：合格",
            "signer": "监理、用户",
            "facility": "火炕：在：炕.jpg",
            "document": "验收单：单.pdf",
        },
        "zhao",
        files={"炕.jpg": b"\xff\xd8 a", "单.pdf": b"%PDF"},
    ),
    Scene(Trigger.PERMIT, RUNNING, county.PERMITTED, {}, "zhang", a_winter),
    Scene(Trigger.OVERTURN, RUNNING, LATER, PUT_RIGHT, "zhang"),
    Scene(Trigger.REPLACE, RUNNING, LATER, PUT_RIGHT),
    Scene(
        Trigger.CHANGE_PATH,
        BUILDING,
        SUMMER,
        {"path": "太阳能", "keep_device": "否", "quota": "超计划", "put_right_by": "2023-9-1"},
        "zhang",
    ),
    Scene(
        Trigger.REVOKE,
        State.REMOVAL_PERMITTED,
        county.PERMITTED,
        {"cause": "运行不稳定", "findings": "停机"},
        "zhang",
    ),
    Scene(Trigger.SEND_BACK, BUILDING, SUMMER, {"理由": "型号写错"}, "zhang"),
    Scene(
        Trigger.CLOSE,
        BUILDING,
        SUMMER,
        {"cause": "用户退出", "requested_by": "用户", "document": "申请书"},
        "zhang",
    ),
    Scene(Trigger.REINSTATE, State.CLOSED, SUMMER, {"理由": "用户又同意"}, "zhang"),
    Scene(FactKind.WORKS, BUILDING, SUMMER, {"started_on": "2023-06-16"}),
    Scene(
        FactKind.NOTICE,
        State.HOUSEHOLD_CONFIRMATION,
        TODAY,
        {"from": "2023-06-02", "to": "2023-06-08"},
    ),
    Scene(
        FactKind.OLD_FACILITY,
        BUILDING,
        SUMMER,
        {"facility": "火炕", "status": "封存", "by": "用户自行"},
    ),
    Scene(FactKind.FAULT, BUILDING, SUMMER, {"what": "停机"}),
    Scene(FactKind.REPAIR, BUILDING, SUMMER, {}, before=fault),
    Scene(FactKind.VISIT, BUILDING, SUMMER, {"temperature": "18.5℃"}),
    Scene(FactKind.SIGNATURE, RUNNING, county.SIGNED, {"season": "2023-2024", "by": "household"}),
    Scene(
        FactKind.VIOLATION,
        BUILDING,
        SUMMER,
        {"type": "封火炕", "by": "村干部", "what": "用砖封了"},
    ),
    Scene(FactKind.COMPLAINT, BUILDING, SUMMER, {"what": "太冷"}),
    Scene(FactKind.FINDING, BUILDING, SUMMER, {"what": "照片不清", "severity": "一般"}, "shen"),
    Scene(FactKind.PAUSE, BUILDING, SUMMER, {"cause": "天气"}),
    Scene(FactKind.RESUME, BUILDING, SUMMER, {}, before=pause),
    Scene(
        FactKind.EXTENSION,
        BUILDING,
        SUMMER,
        {"due_on": "2023-10-20", "requested_by": "甲镇"},
        "zhang",
    ),
    Scene(
        FactKind.RESOLVE,
        BUILDING,
        SUMMER,
        {"outcome": "已解决", "附件": "函.pdf"},
        "zhang",
        complaint,
        {"函.pdf": b"%PDF"},
    ),
    Scene(
        FactKind.CORRECT,
        BUILDING,
        SUMMER,
        {"temperature": 20, "附件": "函.pdf"},
        "zhang",
        measured,
        {"函.pdf": b"%PDF"},
    ),
]


def test_no_step_and_no_fact_is_without_a_scene() -> None:
    assert [scene.kind for scene in SCENES] == [*Trigger, *FactKind]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: str(scene.kind))
def test_the_form_of_every_step_and_fact_applies_when_filled_in(
    place: County, scene: Scene
) -> None:
    county.carry(place, [CODE], scene.state)
    scene.before(place)
    cells: dict[str, object] = {"发生日期": scene.day.isoformat(), **scene.cells}
    if scene.kind is FactKind.CORRECT:
        cells["id"] = id_of_the_last(place)
    for name, content in scene.files.items():
        (place.file.parent / name).write_bytes(content)
    file = fill(template(place, scene.kind), {CODE: cells})
    foreseen = preview(place, file, scene.login, scene.day)

    found = apply(place, file, scene.login, scene.day)

    assert found.refused == foreseen.refused == ()
    assert (len(foreseen.done), found.rows, found.applied) == (1, 1, 1)
    [(kind, stream)] = place.sql("SELECT kind, stream FROM journal ORDER BY seq DESC LIMIT 1")
    assert (kind, stream) == (scene.kind, f"case:{CODE}")


@pytest.mark.parametrize("kind", [*Trigger, *FactKind])
def test_every_form_has_a_column_for_each_key_and_says_what_it_is_for(
    place: County, kind: Trigger | FactKind
) -> None:
    book = openpyxl.load_workbook(template(place, kind))

    form, advice = book.worksheets
    columns = forms.headings(form)
    assert kind in str(form.cell(1, 1).value)
    assert set(keys.keys(kind)) <= set(columns)
    assert {"编号", "版本", "责任单位", "村", "户主姓名", "环节", "附件", "理由"} <= set(columns)
    assert advice.max_row > 5


# The form goes out -----------------------------------------------------------------------------


def test_the_form_lists_those_who_wait_with_masked_names(place: County) -> None:
    county.carry(place, [CODE], State.EQUIPMENT_SELECTION)
    head = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")
    file = place.file.parent / "work.xlsx"

    number = batch.write_template(place.database, file, Trigger.CONFIRM, head, TODAY)

    found = lines(file)
    assert number == len(found) == 5
    assert [line["编号"] for line in found] == TOWN[1:]
    assert {line["户主姓名"] for line in found} == {"张*"}
    assert {line["版本"] for line in found} == {1}
    assert {line["环节"] for line in found} == {"确村确户"}


def test_nobody_has_a_form_made_for_another_unit(place: County) -> None:
    officer = Actor("wang", "wang", "王经办", Role.UNIT_OFFICER, "101")

    with pytest.raises(NotPermitted):
        batch.write_template(
            place.database, place.file.parent / "x.xlsx", Trigger.CONFIRM, officer, TODAY, ["102"]
        )


def test_a_form_that_is_there_is_not_written_over(place: County) -> None:
    file = confirmed(place, [CODE])
    filled = file.read_bytes()

    with pytest.raises(UsageFault, match="已存在"):
        batch.write_template(place.database, file, Trigger.CONFIRM, None, TODAY)

    assert file.read_bytes() == filled


def test_what_is_known_of_a_household_cannot_be_changed_in_the_form(place: County) -> None:
    sheet = openpyxl.load_workbook(template(place, Trigger.CONFIRM)).worksheets[0]

    columns = forms.headings(sheet)
    locked = {name for name, column in columns.items() if sheet.cell(3, column).protection.locked}
    assert sheet.protection.sheet
    assert locked == {"编号", "版本", "责任单位", "村", "户主姓名", "环节"}


def test_enumerations_are_lists_to_choose_from_in_chinese(place: County) -> None:
    sheet = openpyxl.load_workbook(template(place, FactKind.SIGNATURE)).worksheets[0]
    county.carry(place, [CODE], RUNNING)
    again = openpyxl.load_workbook(template(place, FactKind.SIGNATURE)).worksheets[0]

    lists = {str(rule.formula1) for rule in again.data_validations.dataValidation}
    assert not sheet.data_validations.dataValidation  # nobody waits, no row to choose in
    assert lists == {'"本人,家属,代办人"', '"2023-2024,2024-2025"'}


def test_no_cell_of_a_form_is_a_formula_whatever_a_household_is_called(place: County) -> None:
    row = county.household(300, "101", 户主姓名="=cmd|'/C calc'!A0", 计划类别="超计划")
    row["村"] = "=1+1村"
    ledger_in = county.write_workbook(place.file.parent / "敌.xlsx", [])
    book = openpyxl.load_workbook(ledger_in)
    sheet = book.worksheets[0]
    for column, heading in enumerate(county.HEADINGS, 1):
        sheet.cell(2, column).value = row[heading] or None
        sheet.cell(2, column).data_type = "s"
    book.save(ledger_in)
    assert ledger.import_file(place.database, ledger_in, "wang", county.noon(TODAY)).added == 1

    for name in ("work.xlsx", "work.csv"):
        file = template(place, Trigger.CONFIRM, name)
        if name.endswith(".csv"):
            assert "'=1+1村" in file.read_text("utf-8-sig")
            continue
        cells = [cell for line in openpyxl.load_workbook(file).worksheets[0] for cell in line]
        assert "=1+1村" in {cell.value for cell in cells}
        assert "f" not in {cell.data_type for cell in cells}


def test_an_acceptance_form_leaves_the_verdict_to_the_acceptor(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    file = template(place, Trigger.ACCEPT)
    [line] = lines(file)

    found = preview(place, fill(file, {CODE: {"发生日期": "2023-09-10"}}), "zhao", county.ACCEPTED)

    assert line["item"] == "试运行正常:"
    assert line["document"] == f"验收单:{CODE}-验收单.pdf"
    assert line["facility"] == f"火炕:在:{CODE}-火炕.jpg"
    assert line["signer"] is None
    assert {"bad_value", "file_missing", "all_signed"} <= set(guards(found)[CODE])


def test_the_same_form_is_not_handed_in_by_being_prefilled(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)

    assert preview(place, template(place, Trigger.ACCEPT), "zhao", county.ACCEPTED).rows == 0


# The form comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["2023-06-10", "2023.6.10", "2023/6/10", "2023年6月10日", "6月10日", "２０２３.６.１０", 45087],
)
def test_a_day_is_read_as_people_write_it(place: County, written: object) -> None:
    found = preview(place, confirmed(place, [CODE], 发生日期=written))

    assert found.refused == ()
    assert found.done[0][0].on == TODAY


def test_serials_are_read_by_the_date_system_of_the_book(place: County) -> None:
    file = confirmed(place, [CODE], 发生日期=45087 - 1462)
    book = openpyxl.load_workbook(file)
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.save(file)

    found = preview(place, file)

    assert found.done[0][0].on == TODAY
    assert [n.code for n in found.normalisations] == ["date_1904_parsed"]


@pytest.mark.parametrize("form", ["label", "identifier", "both in brackets"])
def test_a_heading_is_known_by_its_label_or_its_identifier(place: County, form: str) -> None:
    file = confirmed(place, [CODE])
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    for cell in sheet[2]:
        label, _, name = str(cell.value).partition(" ")
        if name:
            bracketed = f"{label}（{name}）"
            cell.value = {"label": label, "identifier": name}.get(form, bracketed)
    book.save(file)

    assert len(preview(place, file).done) == 1


def test_a_form_whose_title_was_deleted_is_known_by_its_sheet(place: County) -> None:
    file = confirmed(place, [CODE])
    book = openpyxl.load_workbook(file)
    book.worksheets[0].delete_rows(1)
    book.save(file)
    assert len(preview(place, file).done) == 1

    book.worksheets[0].title = "Sheet1"
    book.save(file)

    with pytest.raises(BadFile, match="认不出"):
        preview(place, file)


def test_a_csv_form_saved_by_an_old_program_applies(place: County) -> None:
    file = template(place, Trigger.CONFIRM, "work.csv")
    forms.fill_csv(file, {CODE: CONFIRMATION, SECOND: CONFIRMATION})

    found = apply(place, file)

    assert (found.applied, found.refused) == (2, ())
    assert place.state(SECOND) is State.EQUIPMENT_SELECTION


def test_rows_that_nobody_filled_in_are_passed_over(place: County) -> None:
    found = preview(place, confirmed(place, [SECOND]))

    assert [row.code for row, _ in found.done] == [SECOND]
    assert found.rows == 1


def test_a_ledger_is_no_batch_sheet(place: County) -> None:
    file = county.write_workbook(place.file.parent / "台账.xlsx", county.first_ledger())

    with pytest.raises(BadFile, match="没有找到批量表的表头"):
        preview(place, file)


def test_two_kinds_of_form_in_one_file_are_refused(place: County) -> None:
    file = confirmed(place, [CODE])
    book = openpyxl.load_workbook(file)
    copy = book.copy_worksheet(book.worksheets[0])
    copy.cell(1, 1).value = batch_sheet.title(FactKind.VISIT)
    book.save(file)

    with pytest.raises(BadFile, match=r"入户测温、确户完成|确户完成、入户测温"):
        preview(place, file)


@pytest.mark.parametrize(
    ("column", "written", "code"),
    [
        ("visit_on", "=TODAY()", "formula_cell"),
        ("发生日期", "=A1", "formula_cell"),
        ("编号", "=A1", "formula_cell"),
        ("理由", "=HYPERLINK(1)", "formula_cell"),
        ("visit_on", "#REF!", "error_cell"),
        ("notice_to", "2023-06-31", "not_a_date"),
        ("发生日期", "明天", "not_a_date"),
        ("发生日期", None, "required_missing"),
        ("版本", "二", "required_missing"),
        ("consent_by", "邻居", "bad_value"),
        ("old_facility", "火炕", "bad_value"),
        ("附件", "没有.pdf", "file_missing"),
        ("附件", "../county.db", "file_missing"),
        ("late_document", "没有.pdf", "file_missing"),
    ],
)
def test_what_cannot_be_read_is_a_fault_at_its_cell(
    place: County, column: str, written: object, code: str
) -> None:
    file = confirmed(place, [CODE], **{column: written})
    before = every_row(place)

    found = apply(place, file)

    [refused] = found.refused
    name = forms.headings(openpyxl.load_workbook(file).worksheets[0])[column]
    place_of_it = f"{openpyxl.utils.get_column_letter(name)}3"
    assert (place_of_it, code) in {(f.cell, f.code) for f in refused.row.faults}
    assert all(f.sheet == "确户完成 confirm" for f in refused.row.faults)
    assert every_row(place) == before


@pytest.mark.parametrize("written", ["=1+1", "＝1+1", "@SUM(A1)", "+1", "-1+1", "\t=1"])
def test_a_text_that_would_be_a_formula_elsewhere_is_refused(place: County, written: str) -> None:
    file = template(place, Trigger.CONFIRM, "work.csv")
    forms.fill_csv(file, {CODE: {**CONFIRMATION, "理由": written}})

    assert guards(preview(place, file)) == {CODE: ["formula_cell"]}


def test_control_and_direction_characters_never_reach_the_journal(place: County) -> None:
    file = template(place, Trigger.CONFIRM, "work.csv")
    forms.fill_csv(file, {CODE: {**CONFIRMATION, "理由": "说\x1b[31m明\u202e了"}})

    found = apply(place, file)

    assert found.applied == 1
    assert found.done[0][0].reason == "说明了"
    assert "control_character" in {n.code for n in found.normalisations}


def test_merged_cells_are_a_fault_of_every_row_they_reach(place: County) -> None:
    file = confirmed(place, [CODE, SECOND, THIRD])
    book = openpyxl.load_workbook(file)
    column = openpyxl.utils.get_column_letter(forms.headings(book.worksheets[0])["visit_on"])
    book.worksheets[0].merge_cells(f"{column}3:{column}4")
    book.save(file)

    found = preview(place, file)

    assert set(guards(found)) == {CODE, SECOND}
    assert guards(found)[CODE] == ["merged_cells"]


def test_the_same_row_twice_in_a_sheet_is_refused_once(place: County) -> None:
    file = fill(
        template(place, FactKind.VISIT), {CODE: {"发生日期": "2023-06-10", "temperature": 20}}
    )
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    for cell in sheet[3]:
        assert cell.column is not None
        sheet.cell(4, cell.column).value = cell.value
    book.save(file)

    found = preview(place, file)

    assert len(found.done) == 1
    assert guards(found) == {CODE: ["duplicate_in_file"]}


# Preview ---------------------------------------------------------------------------------------


def test_a_preview_names_every_reason_and_the_earliest_day_and_writes_nothing(
    place: County,
) -> None:
    file = fill(
        template(place, Trigger.CONFIRM),
        {
            CODE: CONFIRMATION,
            SECOND: {**CONFIRMATION, "notice_to": "2023-06-03", "consent_by": None},
        },
    )
    before = every_row(place)

    found = preview(place, file)

    [refused] = found.refused
    assert [row.code for row, _ in found.done] == [CODE]
    assert [reason.guard for reason in refused.reasons] == ["notice_held", "consented"]
    # Another 公示 of seven days, begun today.
    assert refused.earliest == TODAY + timedelta(days=6)
    assert found.receipt is None
    assert every_row(place) == before


def test_a_row_with_a_bad_cell_also_hears_what_the_guards_say(place: County) -> None:
    file = confirmed(place, [CODE], visit_on="昨天", consent_by=None)

    found = preview(place, file)

    assert guards(found) == {CODE: ["not_a_date", "consented"]}


def test_a_preview_sees_what_two_rows_do_to_each_other(place: County) -> None:
    county.carry(place, TOWN, BUILDING)
    works = {
        "发生日期": "2023-08-10",
        "started_on": "2023-07-11",
        "installed_on": "2023-08-05",
        "ready_on": "2023-08-10",
        "contractor": "晋暖公司",
        "serial": "SN-1",
        "training_on": "2023-08-10",
    }
    file = fill(template(place, Trigger.COMPLETE), {CODE: works, SECOND: works})

    foreseen = preview(place, file, day=county.COMPLETED)

    assert guards(foreseen) == {SECOND: ["serial_unique"]}
    assert guards(apply(place, file, day=county.COMPLETED)) == guards(foreseen)


# Apply -----------------------------------------------------------------------------------------


def test_one_refused_row_leaves_nothing_of_the_others(place: County) -> None:
    file = fill(
        template(place, Trigger.CONFIRM),
        {**dict.fromkeys(TOWN, CONFIRMATION), THIRD: {**CONFIRMATION, "consent_by": None}},
    )
    before = every_row(place)

    found = apply(place, file)

    assert (found.applied, found.receipt, found.status) == (0, None, 1)
    assert guards(found) == {THIRD: ["consented"]}
    assert len(found.done) == 5
    assert every_row(place) == before


def test_a_sheet_advances_every_household_in_one_go(place: County) -> None:
    found = apply(place, confirmed(place, TOWN))

    assert (found.applied, found.repeated) == (6, 0)
    assert {place.state(code) for code in TOWN} == {State.EQUIPMENT_SELECTION}
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()


def test_a_sheet_handed_in_twice_is_the_same_as_once(place: County) -> None:
    file = confirmed(place, TOWN)
    first = apply(place, file)
    before = every_row(place)

    again = apply(place, file, day=TODAY + ONE_DAY)

    assert again.receipt == first.receipt is not None
    assert (again.applied, again.repeated) == (0, 6)
    assert every_row(place) == before


@pytest.mark.parametrize("seq", ["1", "(SELECT seq FROM journal WHERE stream = 'case:102-0001')"])
def test_a_key_that_stands_for_no_event_of_the_household_is_refused(
    place: County, seq: str
) -> None:
    file = confirmed(place, TOWN)
    apply(place, file)
    place.tamper(f"UPDATE receipt SET seq = {seq} WHERE login = 'system'")

    again = apply(place, file)

    assert {reason.guard for one in again.refused for reason in one.reasons} == {"key_reused"}
    assert len(again.refused) == 6
    assert not again.written


def test_a_sheet_saved_again_by_another_program_writes_nothing_new(place: County) -> None:
    file = confirmed(place, TOWN)
    apply(place, file)
    before = every_row(place)
    other = file.with_name("另存.xlsx")
    openpyxl.load_workbook(file).save(other)

    again = apply(place, other)

    assert (again.applied, again.repeated) == (0, 6)
    assert every_row(place) == before


def test_the_receipt_stands_for_the_file_and_its_events(place: County) -> None:
    file = confirmed(place, [CODE, SECOND])
    found = apply(place, file)
    county.carry(place, [THIRD], State.EQUIPMENT_SELECTION)
    other = fill(template(place, Trigger.SELECT), {})
    hashes = [receipt.event_hash for _, receipt in found.done]

    rows = place.sql("SELECT hash FROM journal WHERE kind = 'confirm' ORDER BY seq")
    assert hashes == [hash_ for (hash_,) in rows][:2]
    expected = journal.digest(
        b'{"events":["%s","%s"],"file":"%s"}'
        % (*(h.encode() for h in hashes), found.sha256.encode())
    )
    assert found.receipt == expected
    assert apply(place, other).receipt is None


# Part of a sheet -------------------------------------------------------------------------------


def two_refused(place: County) -> Path:
    return fill(
        template(place, Trigger.CONFIRM),
        {
            **dict.fromkeys(TOWN, CONFIRMATION),
            SECOND: {**CONFIRMATION, "consent_by": None},
            THIRD: {**CONFIRMATION, "visit_on": "=TODAY()", "理由": "=1+1"},
        },
    )


def test_the_rows_that_pass_are_written_and_the_others_handed_back(place: County) -> None:
    found = apply(place, two_refused(place), partial=True)

    assert (found.applied, set(guards(found))) == (4, {SECOND, THIRD})
    assert found.returned == "work-退回.xlsx"
    assert place.state(CODE) is State.EQUIPMENT_SELECTION
    assert place.state(SECOND) is State.HOUSEHOLD_CONFIRMATION
    back = place.file.parent / "work-退回.xlsx"
    sheet = openpyxl.load_workbook(back).worksheets[0]
    columns = forms.headings(sheet)
    assert [line["编号"] for line in lines(back)] == [SECOND, THIRD]
    assert "缺少由谁同意" in str(lines(back)[0]["问题"])
    coloured = {
        (row, name)
        for row in (3, 4)
        for name, column in columns.items()
        if sheet.cell(row, column).fill.fgColor.rgb == "FFFFC7CE"
    }
    assert coloured == {
        (3, "consent_by"),
        (3, "问题"),
        (4, "visit_on"),
        (4, "理由"),
        (4, "问题"),
    }
    assert "f" not in {cell.data_type for line in sheet for cell in line}


def test_what_was_handed_back_is_corrected_and_handed_in_again(place: County) -> None:
    apply(place, two_refused(place), partial=True)
    back = place.file.parent / "work-退回.xlsx"
    fill(back, {SECOND: {"consent_by": "本人"}, THIRD: {"visit_on": "2023-06-01"}})

    found = apply(place, back)

    assert (found.applied, found.refused) == (2, ())
    assert {place.state(code) for code in TOWN} == {State.EQUIPMENT_SELECTION}


def test_what_was_handed_back_is_never_written_over(place: County) -> None:
    file = two_refused(place)
    first = apply(place, file, partial=True)
    back = place.file.parent / "work-退回.xlsx"
    again = apply(place, file, partial=True)
    assert again.returned == first.returned == "work-退回.xlsx"
    fill(back, {SECOND: {"consent_by": "本人"}})
    corrected = back.read_bytes()

    third = apply(place, file, partial=True)

    assert third.returned == "work-退回2.xlsx"
    assert back.read_bytes() == corrected
    assert third.receipt == first.receipt
    assert (third.applied, third.repeated) == (0, 4)
    assert not list(place.file.parent.glob(".*part*"))


def test_when_the_refused_rows_cannot_be_handed_back_nothing_is_written(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = two_refused(place)
    before = every_row(place)

    def full(*_: object) -> None:
        raise BadFile("文件写不出来")

    monkeypatch.setattr(batch_sheet, "write_returned", full)

    with pytest.raises(BadFile):
        apply(place, file, partial=True)
    assert every_row(place) == before


# Keys ------------------------------------------------------------------------------------------


def test_a_key_answers_with_the_same_receipt_and_stands_for_one_sheet(place: County) -> None:
    file = confirmed(place, [CODE, SECOND])
    first = apply(place, file, key="k1")
    before = every_row(place)

    assert apply(place, file, key="k1").receipt == first.receipt
    other = fill(template(place, Trigger.CONFIRM, "b.xlsx"), {THIRD: CONFIRMATION})
    with pytest.raises(Conflict) as conflict:
        apply(place, other, key="k1")

    assert conflict.value.code == "key_reused"
    assert every_row(place) == before


def test_a_key_brings_in_no_more_than_it_did_the_first_time(place: County) -> None:
    county.carry(place, [CODE], BUILDING)
    visit = {"发生日期": "2023-06-20", "temperature": 20}
    file = fill(
        template(place, FactKind.VISIT), {CODE: visit, SECOND: {**visit, "发生日期": "2023-06-21"}}
    )
    first = apply(place, file, day=date(2023, 6, 20), partial=True, key="k1")
    before = every_row(place)

    again = apply(place, file, day=date(2023, 6, 21), partial=True, key="k1")

    assert (first.applied, again.applied) == (1, 0)
    assert again.receipt == first.receipt
    assert every_row(place) == before
    assert apply(place, file, day=date(2023, 6, 21), partial=True).applied == 1


# Killed half-way -------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import county
from workflow import batch
place = county.open_at(sys.argv[1])
def die(done, total):
    if str(done) == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
batch.apply(
    place.database, Path(sys.argv[2]), "wang", county.noon(county.CONFIRMED), progress=die
)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.crash
@pytest.mark.parametrize("dies_at", ["1", "4", "6", "after the commit"])
def test_whoever_is_killed_ends_with_the_same_receipt_when_run_again(
    place: County, dies_at: str
) -> None:
    file = confirmed(place, TOWN)
    undisturbed = county.copy(place, place.file.parent / "undisturbed")
    expected = apply(undisturbed, file)
    before = every_row(place)
    script = KILLED.format(root=str(HERE.parent), here=str(HERE))

    killed = subprocess.run(
        [sys.executable, "-c", script, place.url, str(file), dies_at], check=False
    )

    assert killed.returncode == -signal.SIGKILL
    committed = dies_at == "after the commit"
    assert (every_row(place) == before) is not committed
    found = apply(place, file)
    assert found.receipt == expected.receipt
    assert (found.applied, found.repeated) == ((0, 6) if committed else (6, 0))
    assert place.sql("SELECT COUNT(*) FROM journal WHERE kind = 'confirm'") == [(6,)]


# The offline form ------------------------------------------------------------------------------


def test_a_household_that_moved_on_meanwhile_is_shown_with_both_sides(place: County) -> None:
    file = confirmed(place, [CODE, SECOND])
    place.advance(
        CODE,
        Trigger.CONFIRM,
        TODAY,
        *((k, str(v)) for k, v in CONFIRMATION.items() if k not in ("发生日期", "old_facility")),
        ("old_facility", "kang:standby"),
        login="head",
    )

    found = apply(place, file)

    [refused] = found.refused
    assert (found.applied, found.status, guards(found)) == (0, 4, {CODE: ["moved_on"]})
    assert refused.moved is not None
    assert refused.moved.step is not None
    assert (refused.row.version, refused.row.state) == (1, "确村确户")
    assert (refused.moved.version, refused.moved.state) == (2, State.EQUIPMENT_SELECTION)
    assert (refused.moved.step.actor, refused.moved.step.kind) == ("head", "confirm")
    message = refused.reasons[0].message
    assert "head 已于 2023-06-10 12:00 登记“确户完成”" in message
    assert "版本 1（环节“确村确户”）" in message
    assert "版本 2、环节“设备选型”" in message


def test_a_step_taken_and_sent_back_is_still_a_conflict(place: County) -> None:
    file = confirmed(place, [CODE])
    county.carry(place, [CODE], State.EQUIPMENT_SELECTION)
    place.advance(CODE, Trigger.SEND_BACK, TODAY, reason="写错")

    found = apply(place, file)

    assert guards(found) == {CODE: ["moved_on"]}


def test_a_row_changed_after_it_was_applied_is_a_conflict(place: County) -> None:
    file = confirmed(place, [CODE])
    apply(place, file)

    found = apply(place, fill(file, {CODE: {"consent_by": "家属"}}))

    assert guards(found) == {CODE: ["moved_on"]}


def test_a_sheet_of_another_ledger_is_a_conflict(place: County) -> None:
    found = apply(place, confirmed(place, [CODE], 版本=7))

    assert guards(found) == {CODE: ["moved_on"]}
    assert "不是由本台账导出" in found.refused[0].reasons[0].message


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_sheets_come_back_in_any_order(place: County, order: tuple[int, int, int]) -> None:
    day = "2023-06-10"
    sheets = [
        confirmed(place, [CODE]),
        fill(
            template(place, FactKind.COMPLAINT, "投诉.xlsx"),
            {CODE: {"发生日期": day, "what": "冷"}},
        ),
        fill(
            template(place, FactKind.VISIT, "测温.xlsx"),
            {CODE: {"发生日期": day, "temperature": 9}},
        ),
    ]

    found = [apply(place, sheets[index]) for index in order]

    assert [one.applied for one in found] == [1, 1, 1]
    assert place.state(CODE) is State.EQUIPMENT_SELECTION
    assert place.sql("SELECT version FROM household_case WHERE code = ?", CODE) == [(4,)]


def test_the_same_sheet_from_a_colleague_is_a_conflict_and_no_second_event(place: County) -> None:
    file = fill(
        template(place, FactKind.VISIT), {CODE: {"发生日期": "2023-06-10", "temperature": 20}}
    )
    apply(place, file)
    before = every_row(place)

    found = apply(place, file, "head")

    assert found.status == 4
    assert "wang 已于" in found.refused[0].reasons[0].message
    assert every_row(place) == before


def test_no_sheet_makes_a_permission_that_the_season_refuses(place: County) -> None:
    county.carry(place, [CODE, SECOND], RUNNING)
    county.winter(place, [CODE])
    day = county.PERMITTED
    file = fill(
        template(place, Trigger.PERMIT),
        {code: {"发生日期": day.isoformat()} for code in (CODE, SECOND)},
    )

    found = apply(place, file, "zhang", day, partial=True)

    assert {"season_signed", "warm_visits_made"} <= set(guards(found)[SECOND])
    assert place.sql("SELECT case_code FROM permission") == [(CODE,)]
    assert place.state(SECOND) is RUNNING


def test_a_form_filled_before_a_fault_is_judged_as_of_today(place: County) -> None:
    county.carry(place, [CODE], RUNNING)
    county.winter(place, [CODE])
    day = county.PERMITTED
    file = fill(template(place, Trigger.PERMIT), {CODE: {"发生日期": day.isoformat()}})
    assert preview(place, file, "zhang", day).refused == ()
    place.advance(CODE, FactKind.COMPLAINT, day, ("what", "太冷"))

    found = apply(place, file, "zhang", day)

    assert guards(found) == {CODE: ["nothing_open"]}
    assert place.sql("SELECT * FROM permission") == []


# Who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [preview, apply])
@pytest.mark.parametrize("login", ["shen", "zhao", "zhang"])
def test_a_step_that_is_not_ones_own_is_not_permitted(
    place: County, act: Callable[[County, Path, str], Batch], login: str
) -> None:
    file = confirmed(place, [CODE])
    before = every_row(place)

    with pytest.raises(NotPermitted, match="确户完成"):
        act(place, file, login)

    assert every_row(place) == before


def test_a_row_of_another_unit_looks_like_one_that_does_not_exist(place: County) -> None:
    file = confirmed(place, [OTHER_UNIT, "102-0002"])
    county.carry(place, [OTHER_UNIT], State.EQUIPMENT_SELECTION)
    fill(file, {"102-0002": {"编号": "102-9999"}})

    found = apply(place, file)

    told = {one.reasons[0].message.replace(one.row.code, "…") for one in found.refused}
    assert found.status == 5
    assert len(told) == 1
    assert [one.moved for one in found.refused] == [None, None]


# Files -----------------------------------------------------------------------------------------


def with_file(place: County, folder: str, content: bytes = b"\xff\xd8 photo") -> Path:
    home = place.file.parent / folder
    home.mkdir(exist_ok=True)
    (home / "照片.jpg").write_bytes(content)
    return confirmed(place, [CODE], 附件="照片.jpg")


@pytest.mark.parametrize("folder", [".", "附件", "work-附件", "work", "照片"])
def test_a_file_beside_the_sheet_is_attached_and_stored_by_its_hash(
    place: County, folder: str
) -> None:
    found = apply(place, with_file(place, folder))

    [(body,)] = place.sql("SELECT body FROM journal WHERE kind = 'confirm'")
    assert isinstance(body, bytes)
    [attached] = json.loads(body)["attachments"]
    sha256 = attached["sha256"]
    [(content,)] = place.sql("SELECT content FROM attachment WHERE sha256 = ?", sha256)
    assert found.applied == 1
    assert (attached["name"], content) == ("照片.jpg", b"\xff\xd8 photo")
    assert sha256 == found.done[0][0].attached[0].sha256


def test_a_preview_and_a_refused_sheet_keep_no_file(place: County) -> None:
    file = with_file(place, ".")
    before = every_row(place)
    preview(place, file)

    fill(file, {SECOND: {"发生日期": "2023-06-10"}})
    apply(place, file)

    assert every_row(place) == before


def test_a_refused_row_keeps_no_file_when_the_others_are_taken(place: County) -> None:
    file = with_file(place, ".")
    fill(file, {CODE: {"consent_by": None}, SECOND: CONFIRMATION})
    kept = place.sql("SELECT COUNT(*) FROM attachment")

    assert apply(place, file, partial=True).applied == 1

    assert place.sql("SELECT COUNT(*) FROM attachment") == kept


def test_a_link_is_not_followed_out_of_the_folder(place: County, tmp_path: Path) -> None:
    (tmp_path / "照片.jpg").symlink_to("/etc/hostname")

    found = preview(place, confirmed(place, [CODE], 附件="照片.jpg"))

    assert guards(found) == {CODE: ["file_missing"]}


def test_a_name_found_in_two_other_folders_is_ambiguous(place: County) -> None:
    with_file(place, "甲")

    found = preview(place, with_file(place, "乙", b"another"))

    assert guards(found) == {CODE: ["file_ambiguous"]}


def test_a_file_that_changes_while_it_is_applied_stops_everything(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = with_file(place, ".")
    before = every_row(place)
    photo = place.file.parent / "照片.jpg"

    with pytest.raises(Conflict, match="被改动"):
        batch.apply(
            place.database,
            file,
            "wang",
            county.noon(TODAY),
            progress=lambda done, total: os.truncate(photo, 1),
        )

    assert every_row(place) == before


def test_one_photo_for_two_households_is_reported(place: County) -> None:
    file = with_file(place, ".")
    shutil.copy(place.file.parent / "照片.jpg", place.file.parent / "改名.jpg")
    fill(file, {SECOND: {**CONFIRMATION, "附件": "改名.jpg"}, THIRD: CONFIRMATION})

    for found in (preview(place, file), apply(place, file)):
        [reuse] = found.reused
        assert reuse.codes == (CODE, SECOND)
        assert reuse.names == ("照片.jpg", "改名.jpg")
        assert found.refused == ()


def test_a_photo_that_another_household_brought_before_is_reported(place: County) -> None:
    first = apply(place, with_file(place, "."))
    second = fill(
        template(place, Trigger.CONFIRM, "b.xlsx"),
        {SECOND: {**CONFIRMATION, "附件": "照片.jpg"}},
    )

    found = preview(place, second)

    assert first.reused == ()
    assert [reuse.codes for reuse in found.reused] == [(CODE, SECOND)]


def test_a_photo_of_the_same_household_is_no_reuse(place: County) -> None:
    file = with_file(place, ".")
    apply(place, file)

    assert apply(place, file).reused == ()


# Size ------------------------------------------------------------------------------------------


def test_of_2001_rows_the_37_planted_faults_are_named_and_the_1964_others_advance(
    tmp_path: Path,
) -> None:
    place = county.fresh(tmp_path)
    more = [many(number) for number in range(101, 101 + 2001 - len(TOWN))]
    file = county.write_workbook(tmp_path / "台账.xlsx", more)
    assert ledger.import_file(place.database, file, "wang", county.noon(TODAY)).added == 1995
    codes = [*TOWN, *(f"101-{number:04d}" for number in range(7, 2002))]
    spoilt = codes[5::54][:37]
    wrong: list[Cells] = [
        {"consent_by": None},
        {"visit_on": "=TODAY()"},
        {"notice_to": "2023-06-03"},
        {"old_facility": "大炕"},
        {"发生日期": "2023-06-31"},
        {"附件": "没有.pdf"},
        {"版本": 9},
    ]
    rows: dict[str, Cells] = dict.fromkeys(codes, CONFIRMATION)
    for number, code in enumerate(spoilt):
        rows[code] = {**CONFIRMATION, **wrong[number % len(wrong)]}
    sheet = fill(template(place, Trigger.CONFIRM), rows)

    foreseen = preview(place, sheet)
    found = apply(place, sheet, partial=True)

    assert len(spoilt) == 37
    assert [one.row.code for one in foreseen.refused] == spoilt
    assert foreseen.rows == 2001
    assert found.applied == 1964
    assert place.sql("SELECT COUNT(*) FROM journal WHERE kind = 'confirm'") == [(1964,)]
    assert [line["编号"] for line in lines(tmp_path / "work-退回.xlsx")] == spoilt


def many(number: int) -> dict[str, str]:
    born = date(1940, 1, 1) + timedelta(days=number)
    first_17 = f"140922{born:%Y%m%d}001"
    return county.household(number % 900, "101") | {
        "身份证号": first_17 + identity.check_digit(first_17),
        "用电户号": f"09{number:08d}",
        "详细地址": f"前村西{number}号",
        "计划类别": "超计划",
    }
