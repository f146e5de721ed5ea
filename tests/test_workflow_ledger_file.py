import json
import pathlib
import random
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from states import identity, plan
from states.identity import PersonalData
from states.plan import Plan
from states.vocabulary import Area, Facility, Kind, Path, Quota
from workflow import ledger_file, spreadsheet
from workflow.errors import BadFile
from workflow.ledger_file import HEADINGS, LedgerFile, LedgerRow
from workflow.spreadsheet import ColumnOut, SheetOut, Value

LEDGERS = pathlib.Path(__file__).parent / "ledgers"
WUTAI = pathlib.Path(plan.__file__).parent / "plans" / "wutai-2023.toml"
PLAN = plan.from_toml(WUTAI.read_text(encoding="utf-8"), "wutai-2023")


Entry = dict[str, object]


def make_id(number: int) -> str:
    first_17 = f"1409221970{number // 28 % 12 + 1:02}{number % 28 + 1:02}{number % 999 + 1:03}"
    return first_17 + identity.check_digit(first_17)


def make_cells(number: int = 1, **changes: Value) -> dict[str, Value]:
    """A good household as cells, by field; `changes` replace or add some."""
    cells: dict[str, Value] = {
        "unit": "沟南乡",
        "village": "东村",
        "name": f"王{chr(0x4E00 + number)}",
        "kind": "居民户",
        "area": "农村",
        "path": "煤改电",
        "id_number": make_id(number),
        "phone": f"1300000{number:04}",
        "meter": f"140901{number:04}",
        "address": f"沟南乡东村{number}号",
        "building_area": 96.0,
        "heating_area": 72.0,
        "old_facilities": "火炕、暖炉",
    }
    return cells | changes


def make_row(number: int = 1, **changes: Any) -> LedgerRow:
    row = LedgerRow(
        sheet=None,
        row=0,
        code=None,
        version=None,
        unit="200",
        village="东村",
        path=Path.COAL_TO_ELECTRIC,
        kind=Kind.RESIDENTIAL,
        area=Area.RURAL,
        quota=Quota.PLANNED,
        building_area=96.0,
        heating_area=None,
        old_facilities=(Facility.KANG,),
        personal=PersonalData(
            name=f"王{chr(0x4E00 + number)}",
            id_number=make_id(number),
            meter=f"140901{number:04}",
            address=f"沟南乡东村{number}号",
        ),
    )
    return replace(row, **changes)


def write(
    path: pathlib.Path,
    rows: Sequence[Mapping[str, Value]],
    headings: Mapping[str, str] = HEADINGS,
) -> pathlib.Path:
    """A file with these households, in the columns of these headings."""
    columns = tuple(ColumnOut(heading) for heading in headings.values())
    values = [[row.get(name) for name in headings] for row in rows]
    if path.suffix == ".csv":
        spreadsheet.write_csv(path, columns, values)
    else:
        spreadsheet.write_workbook(path, [SheetOut("台账", columns, values)])
    return path


def faults(file: LedgerFile) -> list[tuple[str | None, str]]:
    return [(fault.cell, fault.code) for fault in file.faults]


def notes(file: LedgerFile) -> list[tuple[str | None, str, str | float]]:
    return [(note.cell, note.code, note.value) for note in file.normalisations]


def bare(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """The households themselves, wherever they stood."""
    return [replace(row, sheet=None, row=0, columns={}) for row in rows]


# --- the samples ----------------------------------------------------------------------------------

SAMPLES: list[Entry] = json.loads((LEDGERS / "expected.json").read_text(encoding="utf-8"))["files"]
DATABASE_CODES = {"duplicate_across_files"}


@dataclass(frozen=True)
class Place:
    sheet: str | None
    cell: str | None
    code: str
    value: str | float = ""


def fits(found: Place, wanted: Entry) -> bool:
    codes = [wanted["code"], *_list(wanted.get("or"))]
    return (
        wanted["sheet"] in (None, found.sheet)
        and wanted["cell"] in (None, found.cell)
        and (found.code in codes or "*" in codes)
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _entries(sample: Entry, key: str) -> list[Entry]:
    return [entry for entry in _list(sample.get(key)) if isinstance(entry, dict)]


@pytest.mark.parametrize("sample", SAMPLES, ids=[str(sample["file"]) for sample in SAMPLES])
def test_a_sample_is_answered_as_expected(sample: Entry) -> None:
    file = ledger_file.read(LEDGERS / str(sample["file"]), PLAN)

    found = [*file.faults, *ledger_file.annex_faults(file.rows, {}, PLAN)]
    places = [Place(fault.sheet, fault.cell, fault.code) for fault in found]
    wanted = [entry for entry in _entries(sample, "faults") if entry["code"] not in DATABASE_CODES]
    assert file.rows_read == sample["rows"]
    assert [place for place in places if not any(fits(place, entry) for entry in wanted)] == []
    assert [
        entry
        for entry in wanted
        if not entry.get("either") and not any(fits(place, entry) for place in places)
    ] == []
    if sample["verdict"] == "accepted":
        assert len(file.rows) == sample["rows"]


@pytest.mark.parametrize("sample", SAMPLES, ids=[str(sample["file"]) for sample in SAMPLES])
def test_a_sample_is_read_otherwise_only_where_it_says_so(sample: Entry) -> None:
    file = ledger_file.read(LEDGERS / str(sample["file"]), PLAN)

    places = [Place(note.sheet, note.cell, note.code, note.value) for note in file.normalisations]
    for entry in _entries(sample, "normalisations"):
        matching = [place for place in places if fits(place, entry)]
        assert matching or entry.get("either"), entry
        if matching and "value" in entry:
            assert matching[0].value == entry["value"]


@pytest.mark.parametrize("sample", SAMPLES, ids=[str(sample["file"]) for sample in SAMPLES])
def test_the_dates_of_a_sample_are_read(sample: Entry) -> None:
    book = None
    for entry in _entries(sample, "dates"):
        book = book or spreadsheet.read(LEDGERS / str(sample["file"]))
        row, column = spreadsheet.position(str(entry["cell"]))
        (sheet,) = [sheet for sheet in book.sheets if sheet.name == entry["sheet"]]
        found = spreadsheet.read_date(
            sheet.rows[row][column], year=PLAN.year, date_1904=book.date_1904
        )
        assert found is not None
        assert found.value.isoformat() == entry["value"]


def test_no_sample_prints_a_character_that_steers_a_terminal() -> None:
    for sample in SAMPLES:
        file = ledger_file.read(LEDGERS / str(sample["file"]), PLAN)

        texts = [
            *(text for fault in file.faults for text in (fault.message, fault.read or "")),
            *(text for note in file.normalisations for text in (str(note.read), str(note.value))),
            *(value for row in file.rows for value in astuple(row.personal)),
            *(row.village for row in file.rows),
        ]
        shown = "".join(texts)
        for character in ["\x1b", "\u202e", "\x07", "\u200f"]:
            assert character not in shown


def test_a_ledger_saved_as_xls_holds_the_same_households() -> None:
    xlsx = ledger_file.read(LEDGERS / "gounan-clean.xlsx", PLAN)
    xls = ledger_file.read(LEDGERS / "gounan-clean-saved-as.xls", PLAN)

    by_meter = {row.personal.meter: row for row in bare(xls.rows)}
    assert {row.personal.meter: row for row in bare(xlsx.rows)} == by_meter
    assert xlsx.sha256 != xls.sha256


# --- one household --------------------------------------------------------------------------------


def test_a_household_is_read_with_the_place_of_every_field(tmp_path: pathlib.Path) -> None:
    cells = make_cells(
        3,
        code="200-0003",
        version=7,
        remarks="=1+1",
        quota="结转",
        credit_code="11140922560022814B",
    )

    file = ledger_file.read(write(tmp_path / "台账.xlsx", [make_cells(1), cells]), PLAN)

    assert file.faults == ()
    row = file.rows[1]
    assert (row.sheet, row.row, row.place("name"), row.place("version")) == ("台账", 3, "D3", "R3")
    assert bare([row]) == [
        make_row(
            code="200-0003",
            version=7,
            quota=Quota.CARRIED_OVER,
            heating_area=72.0,
            old_facilities=(Facility.KANG, Facility.STOVE),
            personal=PersonalData(
                name=f"王{chr(0x4E03)}",
                id_number=make_id(3),
                credit_code="11140922560022814B",
                phone="13000000003",
                meter="1409010003",
                address="沟南乡东村3号",
                remarks="=1+1",
            ),
        )
    ]


FAULTS: list[tuple[dict[str, Value], str, str]] = [
    ({"unit": None}, "B2", "required_missing"),
    ({"village": None}, "C2", "required_missing"),
    ({"name": "\u200b"}, "D2", "required_missing"),
    ({"kind": None}, "E2", "required_missing"),
    ({"area": None}, "F2", "required_missing"),
    ({"path": None}, "G2", "required_missing"),
    ({"id_number": None}, "H2", "required_missing"),
    ({"id_number": "/"}, "H2", "required_missing"),
    ({"unit": "无名镇"}, "B2", "unknown_unit"),
    ({"unit": "沟南"}, "", ""),
    ({"path": "电改煤"}, "G2", "unknown_path"),
    ({"path": "“煤改电”"}, "", ""),
    ({"kind": "商户"}, "E2", "required_missing"),
    ({"area": "郊区"}, "F2", "required_missing"),
    ({"quota": "追加"}, "Q2", "required_missing"),
    ({"version": "甲"}, "R2", "not_a_number"),
    ({"id_number": 140922196412145000.0}, "H2", "id_destroyed"),
    ({"id_number": "1.40922E+17"}, "H2", "id_destroyed"),
    ({"id_number": "１.40922e+017"}, "H2", "id_destroyed"),
    ({"id_number": "140922194503297000"}, "H2", "id_destroyed"),
    ({"id_number": "140922196412145000.0"}, "H2", "id_destroyed"),
    ({"meter": 1409010000000020.0}, "K2", "id_destroyed"),
    ({"meter": "1.40901E+15"}, "K2", "id_destroyed"),
    ({"id_number": "140922193807167450"}, "H2", "id_check_digit"),
    ({"id_number": "14092219380716745"}, "H2", "id_malformed"),
    ({"id_number": "1409221938O7167450"}, "H2", "id_malformed"),
    ({"id_number": "140922193813167455"}, "H2", "id_malformed"),
    ({"id_number": "140922421310792"}, "H2", "id_malformed"),
    ({"id_number": "1409**********1234"}, "H2", "id_malformed"),
    ({"name": "张*"}, "D2", "required_missing"),
    ({"phone": "138****5678"}, "J2", "required_missing"),
    ({"remarks": "***"}, "P2", "required_missing"),
    ({"remarks": "*重点户"}, "", ""),
    ({"kind": "集体户"}, "H2", "collective_with_id"),
    ({"kind": "集体户", "id_number": "无"}, "", ""),
    ({"kind": "集体户", "id_number": None}, "", ""),
    ({"credit_code": "11140922560022814A"}, "I2", "id_check_digit"),
    ({"credit_code": "11140922"}, "I2", "id_malformed"),
    ({"meter": None}, "", ""),
    ({"meter": "/", "phone": "无"}, "", ""),
    ({"building_area": 0.0}, "M2", "area_out_of_range"),
    ({"building_area": -0.5}, "M2", "area_out_of_range"),
    ({"building_area": 100000.0}, "M2", "area_out_of_range"),
    ({"building_area": 99999.9}, "", ""),
    ({"heating_area": "0"}, "N2", "area_out_of_range"),
    ({"heating_area": "未测"}, "N2", "not_a_number"),
    ({"heating_area": "72㎡"}, "N2", "not_a_number"),
    ({"heating_area": "1e3"}, "N2", "not_a_number"),
    ({"heating_area": "nan"}, "N2", "not_a_number"),
    ({"heating_area": None, "building_area": None}, "", ""),
    ({"village": "#N/A"}, "C2", "error_cell"),
    ({"old_facilities": None}, "", ""),
    ({"old_facilities": "空调"}, "O2", "required_missing"),
    ({"old_facilities": "无、火炕"}, "O2", "required_missing"),
    # A column that slipped: no number of a person may stand in a message.
    ({"unit": "140922196906084534"}, "B2", "unknown_unit"),
    ({"heating_area": "138 0013 8000"}, "N2", "not_a_number"),
    ({"heating_area": 13800138000.0}, "N2", "area_out_of_range"),
    ({"old_facilities": "13800138000"}, "O2", "required_missing"),
]


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
@pytest.mark.parametrize(("changes", "cell", "code"), FAULTS)
def test_a_fault_stands_at_the_cell_that_has_to_be_corrected(
    tmp_path: pathlib.Path, changes: dict[str, Value], cell: str, code: str, suffix: str
) -> None:
    path = write(tmp_path / f"台账{suffix}", [make_cells(2, **changes)])

    file = ledger_file.read(path, PLAN)

    assert faults(file) == ([(cell, code)] if code else [])
    assert file.rows_read == 1
    assert len(file.rows) == (0 if code else 1)
    for fault in file.faults:
        assert "请" in fault.message
        assert not identity.holds_personal_number(fault.message)


def test_all_faults_of_a_file_are_told_at_once_from_top_to_bottom(tmp_path: pathlib.Path) -> None:
    rows = [
        make_cells(1, heating_area="约"),
        make_cells(2, unit="某乡", path="烧柴"),
        make_cells(3),
    ]

    file = ledger_file.read(write(tmp_path / "台账.xlsx", rows), PLAN)

    assert faults(file) == [("N2", "not_a_number"), ("B3", "unknown_unit"), ("G3", "unknown_path")]
    assert file.rows_read == 3
    assert len(file.rows) == 1


NOTES: list[tuple[dict[str, Value], list[tuple[str, str, str | float]]]] = [
    ({"unit": "沟 南　乡"}, [("B2", "unit_blanks_removed", "沟南乡")]),
    ({"unit": "沟\xa0南乡"}, [("B2", "nbsp_removed", "沟南乡")]),
    ({"unit": "沟南"}, [("B2", "unit_alias", "沟南乡")]),
    ({"unit": "五台县沟南乡人民政府"}, [("B2", "unit_alias", "沟南乡")]),
    ({"unit": "200"}, [("B2", "unit_alias", "沟南乡")]),
    ({"unit": 200.0}, [("B2", "number_read_as_text", "200"), ("B2", "unit_alias", "沟南乡")]),
    ({"unit": "建安乡"}, [("B2", "unit_alias", "建安镇")]),
    ({"name": "王  一"}, []),
    ({"name": "\xa0王一\xa0"}, [("D2", "nbsp_removed", "王一")]),
    ({"name": "王\x1b[31m一"}, [("D2", "control_character", "王一")]),
    ({"name": "\u202e王一\u200b"}, [("D2", "control_character", "王一")]),
    ({"name": "阿依古丽·买买提"}, []),
    ({"name": "John Smith"}, []),
    ({"address": "东村１２号Ａ座"}, [("L2", "fullwidth_converted", "东村12号A座")]),
    ({"phone": "１３０００００００７７"}, [("J2", "fullwidth_converted", "13000000077")]),
    ({"phone": 13000000077.0}, [("J2", "number_read_as_text", "13000000077")]),
    ({"phone": "130 0000 0077"}, []),
    ({"meter": 1409010552.0}, [("K2", "number_read_as_text", "1409010552")]),
    ({"id_number": "140922421210792"}, [("H2", "id_15_digit_converted", "140922194212107923")]),
    (
        {"id_number": 140922421210792.0},
        [
            ("H2", "number_read_as_text", "140922421210792"),
            ("H2", "id_15_digit_converted", "140922194212107923"),
        ],
    ),
    ({"id_number": "14092219490528587x"}, [("H2", "id_lowercase_x", "14092219490528587X")]),
    (
        {"id_number": "１４０９２２１９５８０８１１８４５Ｘ"},
        [("H2", "fullwidth_converted", "14092219580811845X")],
    ),
    ({"building_area": "72"}, [("M2", "text_read_as_number", 72)]),
    (
        {"building_area": "５４．０"},
        [("M2", "fullwidth_converted", 54.0), ("M2", "text_read_as_number", 54.0)],
    ),
    ({"building_area": "1,072.5"}, [("M2", "text_read_as_number", 1072.5)]),
    ({"code": 17.0}, [("A2", "number_read_as_text", "17"), ("A2", "column_ignored", "")]),
    ({"remarks": " ＝1+1 "}, []),
]


@pytest.mark.parametrize(("changes", "expected"), NOTES)
def test_a_reading_that_is_certain_is_made_and_listed(
    tmp_path: pathlib.Path, changes: dict[str, Value], expected: list[tuple[str, str, str | float]]
) -> None:
    file = ledger_file.read(write(tmp_path / "台账.xlsx", [make_cells(2, **changes)]), PLAN)

    assert faults(file) == []
    assert notes(file) == expected


def test_a_figure_loses_the_dust_of_binary_fractions(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.xlsx", [make_cells(1, heating_area=64.09999999999999)])

    assert ledger_file.read(path, PLAN).rows[0].heating_area == 64.1


def test_a_date_typed_into_the_remarks_is_read_as_that_day(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.xlsx", [make_cells(1)])
    book = openpyxl.load_workbook(path)
    book["台账"]["P2"] = 45017
    book["台账"]["P2"].number_format = "yyyy-mm-dd"
    book.save(path)

    file = ledger_file.read(path, PLAN)

    assert file.rows[0].personal.remarks == "2023-04-01"
    assert notes(file) == [("P2", "date_serial_parsed", "2023-04-01")]


def test_in_a_row_with_code_and_version_a_masked_cell_means_unchanged(
    tmp_path: pathlib.Path,
) -> None:
    row = make_row(code="200-0001", version=4)
    path = tmp_path / "a.xlsx"
    ledger_file.write_ledger(path, [replace(row, personal=row.personal.masked())], PLAN)

    file = ledger_file.read(path, PLAN)

    assert faults(file) == []
    assert file.rows[0].masked == {"name", "id_number", "meter", "address"}
    assert file.rows[0].personal == PersonalData()


def test_without_a_version_a_masked_cell_is_a_fault(tmp_path: pathlib.Path) -> None:
    row = make_row(code="200-0001")
    path = tmp_path / "a.xlsx"
    ledger_file.write_ledger(path, [replace(row, personal=row.personal.masked())], PLAN)

    assert faults(ledger_file.read(path, PLAN)) == [
        ("D2", "required_missing"),
        ("H2", "id_malformed"),
        ("K2", "required_missing"),
        ("L2", "required_missing"),
    ]


# --- the table in the sheet -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("unit", "乡 镇"),
        ("unit", "乡\n（镇）"),
        ("name", "户主姓名*"),
        ("name", "姓名（必填）"),
        ("id_number", "身份证号码"),
        ("meter", "用电客户编号"),
        ("building_area", "建筑面积（㎡）"),
        ("heating_area", "取暖面积(平方米)"),
        ("phone", "手机号："),
    ],
)
def test_a_usual_heading_is_known_and_listed(
    tmp_path: pathlib.Path, name: str, heading: str
) -> None:
    path = write(tmp_path / "a.xlsx", [make_cells(1)], {**HEADINGS, name: heading})

    file = ledger_file.read(path, PLAN)

    cell = spreadsheet.address(1, list(HEADINGS).index(name) + 1)
    assert faults(file) == []
    assert notes(file) == [(cell, "heading_alias", HEADINGS[name])]
    assert bare(file.rows) == bare(
        ledger_file.read(write(tmp_path / "b.xlsx", [make_cells(1)]), PLAN).rows
    )


def test_the_official_heading_wins_over_another_name_for_the_same(tmp_path: pathlib.Path) -> None:
    headings = {"manager": "姓名", **HEADINGS, "spare": "姓名"}
    path = write(tmp_path / "a.xlsx", [make_cells(1, manager="经办人甲", spare="x")], headings)

    file = ledger_file.read(path, PLAN)

    assert file.rows[0].personal.name == f"王{chr(0x4E01)}"
    assert notes(file) == [("A1", "column_ignored", ""), ("T1", "column_ignored", "")]


@pytest.mark.parametrize("missing", ["unit", "village", "kind", "area", "path", "id_number"])
def test_a_missing_column_is_one_fault_and_not_one_in_every_row(
    tmp_path: pathlib.Path, missing: str
) -> None:
    headings = {name: heading for name, heading in HEADINGS.items() if name != missing}
    rows = [make_cells(number) for number in (1, 2, 3)]

    file = ledger_file.read(write(tmp_path / "a.xlsx", rows, headings), PLAN)

    assert faults(file) == [("A1", "required_missing")]
    assert HEADINGS[missing] in file.faults[0].message
    assert (file.rows_read, file.rows) == (3, ())


def write_sheets(path: pathlib.Path, **sheets: Sequence[Sequence[object]]) -> pathlib.Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def make_table(*numbers: int) -> list[list[Value]]:
    households = [make_cells(number) for number in numbers]
    return [list(HEADINGS.values()), *([row.get(name) for name in HEADINGS] for row in households)]


def test_every_sheet_with_a_ledger_is_read_and_the_others_are_named(
    tmp_path: pathlib.Path,
) -> None:
    devices = [
        ["村", "姓名", "身份证号", "取暖方式", "户别", "型号"],
        ["东村", "王一", "1", "x", "y", "z"],
    ]
    path = write_sheets(
        tmp_path / "a.xlsx",
        东村=make_table(1, 2),
        设备=devices,
        说明=[["每月25日前报送"]],
        空白=[],
        西村=make_table(3),
    )

    file = ledger_file.read(path, PLAN)

    assert [(row.sheet, row.row) for row in file.rows] == [("东村", 2), ("东村", 3), ("西村", 2)]
    assert faults(file) == []
    assert [(note.sheet, note.cell, note.code) for note in file.normalisations] == [
        ("设备", None, "sheet_ignored"),
        ("说明", None, "sheet_ignored"),
    ]


def test_a_hidden_sheet_and_hidden_rows_are_read_and_said(tmp_path: pathlib.Path) -> None:
    path = write_sheets(tmp_path / "a.xlsx", 台账=make_table(1, 2), 存档=make_table(3))
    book = openpyxl.load_workbook(path)
    book["台账"].row_dimensions[3].hidden = True
    book["存档"].sheet_state = "hidden"
    book.save(path)

    file = ledger_file.read(path, PLAN)

    assert file.rows_read == 3
    assert [(note.sheet, note.cell, note.code) for note in file.normalisations] == [
        ("台账", "B3", "hidden_row_read"),
        ("存档", None, "hidden_row_read"),
    ]


def test_titles_groups_and_notes_around_the_table_are_no_households(
    tmp_path: pathlib.Path,
) -> None:
    table = make_table(1, 2)
    groups = [None, "责任单位", "村", "户主信息", None, None, "取暖信息"]
    path = write_sheets(
        tmp_path / "a.xlsx",
        台账=[
            ["附件2"],
            ["五台县2023年清洁取暖台账"],
            ["填报单位：沟南乡", None, "填报日期：2023年4月20日"],
            groups,
            *table,
            ["填表人：甲", None, None, None, "审核人：乙", None, "填表日期：2023年4月20日"],
            ["注：本表一式两份。"],
        ],
    )

    file = ledger_file.read(path, PLAN)

    assert faults(file) == []
    assert [row.row for row in file.rows] == [6, 7]
    assert [note for note in notes(file) if note[1] != "column_ignored"] == [
        ("A8", "subtotal_skipped", ""),
        ("A9", "subtotal_skipped", ""),
    ]


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ({"village": "小计", "name": "2户", "building_area": "=SUM(M2:M3)"}, "C4"),
        ({"village": "小  计", "id_number": "=COUNTA(H2:H3)"}, "C4"),
        ({"unit": "合 计", "path": "煤改电", "name": 2.0}, "B4"),
        ({"unit": "沟南乡", "village": "东村小计："}, "C4"),
        ({"code": "总计", "building_area": 192.0}, "A4"),
        ({"name": "合计2户"}, "D4"),
        ({"building_area": "=SUM(M2:M3)", "heating_area": "=SUM(N2:N3)"}, "M4"),
        ({"building_area": 192.0}, "M4"),
    ],
)
def test_a_subtotal_is_skipped_with_its_formulas(
    tmp_path: pathlib.Path, row: dict[str, Value], cell: str
) -> None:
    subtotal = [row.get(name) for name in HEADINGS]
    table = [*make_table(1, 2), subtotal, *make_table(3)[1:]]

    file = ledger_file.read(write_sheets(tmp_path / "a.xlsx", 台账=table), PLAN)

    assert faults(file) == []
    assert file.rows_read == 3
    assert notes(file) == [(cell, "subtotal_skipped", "")]


@pytest.mark.parametrize(
    "changes",
    [{"remarks": "合计"}, {"name": "总计"}, {"village": "合计村"}, {"remarks": "注：低保"}],
)
def test_a_household_is_never_taken_for_a_subtotal(
    tmp_path: pathlib.Path, changes: dict[str, Value]
) -> None:
    file = ledger_file.read(write(tmp_path / "a.xlsx", [make_cells(1, **changes)]), PLAN)

    assert (len(file.rows), file.faults, file.normalisations) == (1, (), ())


def test_an_incomplete_household_is_a_fault_and_not_a_blank_row(tmp_path: pathlib.Path) -> None:
    cells = {name: make_cells(1)[name] for name in ("unit", "kind", "area", "path")}

    file = ledger_file.read(write(tmp_path / "a.xlsx", [cells]), PLAN)

    assert file.rows_read == 1
    assert [cell for cell, _ in faults(file)] == ["C2", "D2", "H2"]


def test_rows_that_hold_only_a_running_number_are_blank(tmp_path: pathlib.Path) -> None:
    headings = {"running": "序号", **HEADINGS}
    rows: list[dict[str, Value]] = [
        make_cells(1, running=1.0),
        {"running": 2.0},
        {"running": 3.0},
        make_cells(2),
    ]

    file = ledger_file.read(write(tmp_path / "a.xlsx", rows, headings), PLAN)

    assert (file.rows_read, file.faults) == (2, ())
    assert notes(file) == [("A1", "column_ignored", "")]


def test_formulas_and_merged_cells_count_only_among_the_data(tmp_path: pathlib.Path) -> None:
    table = [["序号", *row] for row in make_table(1, 2, 3, 4)]
    path = write_sheets(tmp_path / "a.xlsx", 台账=table)
    book = openpyxl.load_workbook(path)
    sheet = book["台账"]
    for row in range(2, 6):
        sheet[f"A{row}"] = "=ROW()-1"
    sheet["N2"] = "=O2/0.75"
    sheet.merge_cells("A2:A3")
    sheet.merge_cells("D3:D4")
    sheet.merge_cells("M5:N5")
    book.save(path)

    file = ledger_file.read(path, PLAN)

    assert faults(file) == [("N2", "formula_cell"), ("D3", "merged_cells"), ("M5", "merged_cells")]
    assert file.rows_read == 4


# --- twins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({"meter": "1409010001"}, "K4"),
        ({"meter": " １４０９０１０００１"}, "K4"),
        ({"id_number": make_id(1)}, "H4"),
        ({"name": make_cells(1)["name"], "address": make_cells(1)["address"]}, "D4"),
        ({"meter": "1409010001", "id_number": make_id(1)}, "K4"),
        ({"name": make_cells(1)["name"]}, None),
        ({"address": make_cells(1)["address"]}, None),
        ({"phone": make_cells(1)["phone"]}, None),
    ],
)
def test_the_later_of_two_twins_carries_the_fault(
    tmp_path: pathlib.Path, changes: dict[str, Value], cell: str | None
) -> None:
    rows = [make_cells(1), make_cells(2), make_cells(3, **changes)]

    file = ledger_file.read(write(tmp_path / "a.xlsx", rows), PLAN)

    assert faults(file) == ([(cell, "duplicate_in_file")] if cell else [])
    assert all("第 2 行" in fault.message for fault in file.faults)


def test_keys_that_point_to_two_households_are_two_faults(tmp_path: pathlib.Path) -> None:
    twin = make_cells(3, meter="1409010001", id_number=make_id(2))

    file = ledger_file.read(write(tmp_path / "a.xlsx", [make_cells(1), make_cells(2), twin]), PLAN)

    assert faults(file) == [("H4", "duplicate_in_file"), ("K4", "duplicate_in_file")]


def test_twins_in_two_sheets_are_found(tmp_path: pathlib.Path) -> None:
    path = write_sheets(tmp_path / "a.xlsx", 东村=make_table(1), 西村=make_table(1))

    (fault,) = ledger_file.read(path, PLAN).faults

    assert (fault.sheet, fault.cell, fault.code) == ("西村", "K2", "duplicate_in_file")
    assert "工作表“东村”" in fault.message


def test_one_case_twice_in_a_file_is_a_fault(tmp_path: pathlib.Path) -> None:
    rows = [make_cells(number, code="200-0001", version=1) for number in (1, 2)]

    file = ledger_file.read(write(tmp_path / "a.xlsx", rows), PLAN)

    assert faults(file) == [("A3", "duplicate_in_file")]


# --- the annex ------------------------------------------------------------------------------------

ELECTRIC = (Path.COAL_TO_ELECTRIC, Kind.RESIDENTIAL, Area.RURAL)


def test_the_annex_is_reached_without_a_fault_and_passed_with_one() -> None:
    rows = [make_row(number, unit="104") for number in range(41)]

    assert ledger_file.annex_faults(rows[:40], {}, PLAN) == []
    (fault,) = ledger_file.annex_faults(rows, {}, PLAN)
    assert (fault.code, fault.read) == ("annex_exceeded", "白家庄镇 煤改电 居民户 41 > 40")


def test_registered_households_count_too_but_only_new_ones_are_told_of() -> None:
    new = [make_row(unit="104")]

    assert ledger_file.annex_faults(new, {("104", *ELECTRIC): 39}, PLAN) == []
    assert len(ledger_file.annex_faults(new, {("104", *ELECTRIC): 40}, PLAN)) == 1
    assert ledger_file.annex_faults(new, {("201", *ELECTRIC): 9}, PLAN) == []


@pytest.mark.parametrize(
    "changes",
    [{"quota": Quota.OVER_PLAN}, {"quota": Quota.CARRIED_OVER}, {"code": "104-0001", "version": 1}],
)
def test_only_new_and_planned_households_count(changes: dict[str, Any]) -> None:
    rows = [make_row(unit="104", **changes)]

    assert ledger_file.annex_faults(rows, {("104", *ELECTRIC): 40}, PLAN) == []


def test_a_task_without_kind_takes_in_both_kinds_and_each_area_is_its_own() -> None:
    heating: dict[str, Any] = {"unit": "ZJJ", "path": Path.CENTRAL_HEATING}
    rows = [make_row(kind=kind, **heating) for kind in (Kind.RESIDENTIAL, Kind.COLLECTIVE)]
    already = {("ZJJ", Path.CENTRAL_HEATING, Kind.RESIDENTIAL, Area.RURAL): 169}

    (fault,) = ledger_file.annex_faults(rows, already, PLAN)
    assert fault.read == "住房和城乡建设管理局 集中供热 农村 171 > 170"
    in_town = [replace(row, area=Area.COUNTY_TOWN) for row in rows]
    assert ledger_file.annex_faults(in_town, already, PLAN) == []


def test_a_unit_has_no_room_for_what_the_annex_does_not_give_it() -> None:
    (fault,) = ledger_file.annex_faults([make_row(path=Path.SOLAR)], {}, PLAN)

    assert fault.read == "沟南乡 太阳能 居民户 1 > 0"


# --- whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_the_digest_and_the_name_are_those_of_the_file(tmp_path: pathlib.Path, suffix: str) -> None:
    path = write(tmp_path / f"沟南乡{suffix}", [make_cells(1)])

    file = ledger_file.read(path, PLAN)

    assert file.name == f"沟南乡{suffix}"
    assert file.sha256 == spreadsheet.read(path).sha256


def test_a_refused_file_keeps_its_digest() -> None:
    file = ledger_file.read(LEDGERS / "macros.xlsx", PLAN)

    assert len(file.sha256) == 64
    assert faults(file) == [(None, "macros")]


def test_no_file_is_no_fault_of_a_ledger(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path, tmp_path / "没有.xlsx"):
        with pytest.raises(BadFile) as refused:
            ledger_file.read(path, PLAN)
        assert refused.value.place == str(path)
        assert refused.value.code == "bad_file"


def test_an_empty_template_is_a_ledger_of_no_households(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "模板.xlsx"

    ledger_file.write_template(path, PLAN)

    file = ledger_file.read(path, PLAN)
    assert (file.rows_read, file.faults) == (0, ())
    sheet = openpyxl.load_workbook(path)["台账"]
    assert [cell.value for cell in sheet[1]] == [
        heading for heading in HEADINGS.values() if heading != "版本"
    ]
    assert sheet.column_dimensions["H"].width > 8
    choices = {
        str(choice.sqref): choice.formula1 for choice in sheet.data_validations.dataValidation
    }
    assert choices["E2:E1001"] == '"居民户,集体户"'
    assert "沟南乡" in choices["B2:B1001"]


def test_a_filled_in_template_is_read_without_a_note(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "模板.xlsx"
    ledger_file.write_template(path, PLAN)
    book = openpyxl.load_workbook(path)
    for column, name in enumerate(HEADINGS, start=1):
        if name != "version":
            book["台账"].cell(2, column).value = make_cells(1).get(name)
    book.save(path)

    file = ledger_file.read(path, PLAN)

    assert (len(file.rows), file.faults, file.normalisations) == (1, (), ())


# Without masks, error values and 合计: words that a ledger never takes in.
WORDS = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="*＊#计"),
    min_size=1,
    max_size=8,
)


def stable(name: str, text: str) -> str:
    """The text as a ledger keeps it."""
    return ledger_file._clean(name, text)[0]


@st.composite
def households(draw: st.DrawFn) -> LedgerRow:
    number = draw(st.integers(1, 9000))
    collective = draw(st.booleans())
    remarks = draw(st.sampled_from(["", "=1+1", "'=1", "''", "'甲", "-待核", "一 二", "***重点"]))
    area = st.none() | st.integers(1, 999_999).map(lambda tenths: tenths / 10)
    coded = draw(st.booleans())
    return make_row(
        code=f"200-{number:04}" if coded else None,
        version=draw(st.integers(0, 99)) if coded else None,
        village=stable("village", draw(WORDS)) or "东村",
        kind=Kind.COLLECTIVE if collective else Kind.RESIDENTIAL,
        path=draw(st.sampled_from(Path)),
        area=draw(st.sampled_from(Area)),
        quota=draw(st.sampled_from(Quota)),
        building_area=draw(area),
        heating_area=draw(area),
        old_facilities=draw(
            st.sampled_from([(), (Facility.NONE,), (Facility.KANG, Facility.OTHER)])
        ),
        personal=PersonalData(
            name=stable("name", draw(WORDS)) + str(number),
            id_number="" if collective else make_id(number),
            credit_code="11140922560022814B" if collective else "",
            phone=draw(st.sampled_from(["", "13800138000", "0350-6543210"])),
            meter=str(10**9 + number),
            address=stable("address", draw(WORDS)),
            remarks=remarks,
        ),
    )


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
@given(rows=st.lists(households(), max_size=6, unique_by=lambda row: row.personal.meter))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[LedgerRow]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / f"台账{suffix}"
    ids = [row.personal.id_number for row in rows if row.personal.id_number]
    if len(ids) != len(set(ids)):
        return

    ledger_file.write_ledger(path, rows, PLAN)

    file = ledger_file.read(path, PLAN)
    assert file.faults == ()
    assert bare(file.rows) == rows


def test_no_export_holds_a_formula(tmp_path: pathlib.Path) -> None:
    rows = ledger_file.read(LEDGERS / "menxianshi-names.xlsx", PLAN).rows
    path = tmp_path / "台账.xlsx"

    ledger_file.write_ledger(path, rows, PLAN)
    ledger_file.write_ledger(tmp_path / "台账.csv", rows, PLAN)

    sheet = openpyxl.load_workbook(path)["台账"]
    assert {cell.data_type for row in sheet.rows for cell in row if cell.value} <= {"s", "n"}
    text = (tmp_path / "台账.csv").read_text(encoding="utf-8-sig")
    for line in text.splitlines():
        assert not any(value.startswith(tuple("=+-@＝＋－＠")) for value in line.split(","))


def spoilt_cells(count: int) -> Iterator[list[list[object]]]:
    """Good tables in which some cells hold something else."""
    chance = random.Random(2023)
    strange: list[object] = [
        None, "", " ", "*", "/", "合计", "小计", "编号", "户主姓名", "=1", -1, 0, 1e300, 10**18,
        0.1, True, "\u200b", "9" * 400, "1.4E+17", "140922", "x" * 18, "无", "、", "２", "#REF!",
    ]  # fmt: skip
    for _ in range(count):
        table: list[list[object]] = [list(row) for row in make_table(1, 2, 3)]
        for _ in range(chance.randint(1, 12)):
            row = chance.choice(table)
            row[chance.randrange(len(row))] = chance.choice(strange)
        yield table


def test_hundreds_of_spoilt_tables_end_in_households_or_faults() -> None:
    for table in spoilt_cells(500):
        rows = {
            number: {
                column: spreadsheet.Cell(
                    spreadsheet.CellKind.TEXT
                    if isinstance(value, str)
                    else spreadsheet.CellKind.BOOLEAN
                    if isinstance(value, bool)
                    else spreadsheet.CellKind.NUMBER,
                    value if isinstance(value, str | bool) else float(str(value)),
                )
                for column, value in enumerate(row, start=1)
                if value is not None and str(value).strip(" \u200b")
            }
            for number, row in enumerate(table, start=1)
        }
        book = spreadsheet.Book("a.xlsx", "", "xlsx", (spreadsheet.Sheet("台账", rows),))

        file = ledger_file._Reading(book, PLAN).file()

        assert len(file.rows) == file.rows_read or file.faults
        assert all(fault.code and fault.message for fault in file.faults)


def test_the_plan_decides_which_units_there_are(tmp_path: pathlib.Path) -> None:
    document = json.loads(PLAN.canonical)
    document["units"][0] |= {"name": "长治乡", "aliases": ["老长治"]}
    other: Plan = plan.from_json(document)
    path = write(tmp_path / "a.xlsx", [make_cells(1, unit="老长治"), make_cells(2)])

    file = ledger_file.read(path, other)

    assert [row.unit for row in file.rows] == ["200"]
    assert faults(file) == [("B3", "unknown_unit")]


def test_an_export_is_a_plain_workbook(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "台账.xlsx"

    ledger_file.write_ledger(path, [make_row()], PLAN)

    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "external" in name or "vba" in name]
