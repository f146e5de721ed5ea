"""Ledger files beyond the samples, through the command: the same kinds in other shapes."""

import csv
import io
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import openpyxl
import pytest
import python_calamine
from county import id_number
from office import Entry, Office, make_office
from test_workflow_spreadsheet import (
    Parts,
    compound,
    make_parts,
    make_rows,
    make_xls,
    mutate,
    pack,
    record,
    relation,
)

from workflow import spreadsheet

pytestmark = pytest.mark.once

LEDGERS = Path(__file__).parent / "ledgers"
HEADINGS = ("责任单位", "村", "户主姓名", "户别", "区域", "取暖方式", "身份证号", "用电户号")
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return make_office(tmp_path, capsys)


def make_line(number: int, **other: str) -> list[str]:
    known = {
        "unit": "豆村镇",
        "village": "东村",
        "name": f"王{chr(0x4E00 + number)}",
        "kind": "居民户",
        "area": "农村",
        "path": "煤改电",
        "id": id_number(number),
        "meter": f"14{number:08d}",
    }
    return list((known | other).values())


def write(path: Path, lines: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(list(line))
    book.save(path)
    return path


def codes(answer: Entry, key: str = "faults") -> list[str]:
    listed = answer[key]
    assert isinstance(listed, list)
    return [str(one["code"]) for one in listed]


# --- other shapes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_comes_in_whatever_its_encoding_and_separator(
    office: Office, encoding: str, separator: str
) -> None:
    text = "\n".join(separator.join(line) for line in (HEADINGS, make_line(1), make_line(2)))
    path = office.folder / "台账.csv"
    path.write_bytes(text.encode(encoding))

    said = office.run("ledger", "import", path)

    assert (said.status, said.answer["added"]) == (0, 2)


@pytest.mark.parametrize(
    "headings",
    [
        (
            "乡镇/单位",
            "行政村",
            "农户姓名",
            "用户类型",
            "城乡类别",
            "改造方式",
            "公民身份号码",
            "户号",
        ),
        (
            "所属乡镇",
            "村（居）",
            "户主姓名*",
            "户类型",
            "所在区域",
            "采暖方式",
            "证件号码",
            "电表户号",
        ),
        ("填报单位", "村 名", "姓  名", "户 别", "区 域", "供暖方式", "身份证件号码", "用电编号"),
    ],
)
def test_other_words_in_the_heading_mean_the_same(
    office: Office, headings: tuple[str, ...]
) -> None:
    said = office.run("ledger", "import", write(office.folder / "a.xlsx", [headings, make_line(1)]))

    assert (said.status, said.answer["added"]) == (0, 1)


def test_a_heading_of_three_levels_is_read(office: Office) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["豆村镇清洁取暖台账"])
    sheet.append(["基本情况", None, None, None, None, "改造", None, None])
    sheet.append(["位置", None, "户", None, None, "方式", "证件", None])
    sheet.append([*HEADINGS])
    for merged in ("A1:H1", "A2:E2", "F2:H2", "A3:B3", "C3:E3", "G3:H3"):
        sheet.merge_cells(merged)
    sheet.append(make_line(1))
    book.save(office.folder / "a.xlsx")

    said = office.run("ledger", "import", office.folder / "a.xlsx")

    assert (said.status, said.answer["rows"], said.answer["added"]) == (0, 1, 1)


# --- hostile files --------------------------------------------------------------------------------


def in_part(name: str, part: str | bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        parts: Parts = make_parts(make_rows('<c r="A1"><v>1</v></c>'))
        parts[name] = part
        return pack(path, parts)

    return make


def with_bytes(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2 << 30)
    return path


DTD = '<!DOCTYPE a [<!ENTITY b "ccc">]>'
BLANKS = " " * (48 << 20)
HOSTILE: list[tuple[str, Callable[[Path], Path]]] = [
    ("too_large", sparse),
    ("too_large", in_part(SHEET, "<worksheet>" + BLANKS + "</worksheet>")),
    ("too_large", in_part("xl/sharedStrings.xml", f"<sst><si><t>{BLANKS}</t></si></sst>")),
    ("too_large", in_part("docProps/app.xml", f"<a>{BLANKS}</a>")),
    ("too_large", in_part("xl/media/image1.png", b"\0" * (48 << 20))),
    ("xml_forbidden", in_part("xl/sharedStrings.xml", f"<?xml version='1.0'?>{DTD}<sst/>")),
    ("xml_forbidden", in_part("xl/styles.xml", f"{DTD}<styleSheet/>")),
    ("xml_forbidden", in_part("docProps/core.xml", f"{DTD}<a>&b;</a>")),
    ("xml_forbidden", in_part("xl/comments1.xml", f"{DTD}<comments/>".encode("utf-16"))),
    ("macros", in_part("xl/vbaProject.bin", b"x")),
    ("macros", with_bytes(compound({"Workbook": make_xls([]), "_VBA_PROJECT_CUR": b"x"}))),
    ("encrypted", with_bytes(compound({"EncryptedPackage": b"x", "EncryptionInfo": b"x"}))),
    (
        "encrypted",
        with_bytes(compound({"Workbook": make_xls([], workbook=record(0x002F, b"\1\0"))})),
    ),
    ("external_links", in_part("xl/worksheets/_rels/sheet1.xml.rels", relation("oleObject", "c"))),
    (
        "external_links",
        in_part("xl/externalLinks/_rels/e.rels", relation("externalLinkPath", "file:///c:/a.xlsx")),
    ),
    ("not_a_workbook", with_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 100)),
    ("not_a_workbook", with_bytes(b"%PDF-1.7 " + b"a" * 100)),
    ("not_a_workbook", with_bytes(b"<html><table><tr><td>1</td></tr></table></html>")),
    ("not_a_workbook", with_bytes(b"")),
    ("damaged", with_bytes((LEDGERS / "gounan-clean.xlsx").read_bytes()[:-300])),
]


@pytest.mark.parametrize(("code", "make"), HOSTILE)
@pytest.mark.parametrize("name", ["台账.xlsx", "台账.et"])
def test_a_hostile_file_is_one_line_and_leaves_nothing(
    office: Office, code: str, make: Callable[[Path], Path], name: str
) -> None:
    before = office.every_row()

    said = office.run("ledger", "import", make(office.folder / name))

    assert said.status == 3
    assert codes(said.answer) == [code]
    assert "Traceback" not in said.text
    assert office.every_row() == before


def spoilt(count: int) -> Iterator[tuple[str, bytes]]:
    """Good ledgers with a few bytes changed: in the file, or in a part that is packed again."""
    chance = random.Random(20231015)
    names = ["gounan-clean.xlsx", "doucun-two-level-header.xlsx", "taicheng-several-sheets.xlsx"]
    others = ["gounan-clean-saved-as.xls", "gengzhen-wps.et", "chenjiazhuang-across-files.csv"]
    for number in range(count):
        name = chance.choice(names + others)
        content = (LEDGERS / name).read_bytes()
        if name not in names or chance.random() < 0.2:
            yield f"{number}{name}", mutate(content, chance)
            continue
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
            parts = [part for part in old.namelist() if "theme" not in part]
            victim = chance.choice(parts)
            for part in parts:
                text = old.read(part)
                new.writestr(part, mutate(text, chance) if part == victim else text)
        yield f"{number}{name}", packed.getvalue()


def check_spoilt(office: Office, count: int) -> dict[str, int]:
    """Imports so many spoilt files; how they ended. Fails where one hurts."""
    ends: dict[str, int] = {}
    folder = office.folder
    before = office.every_row()
    for name, content in spoilt(count):
        path = folder / name
        path.write_bytes(content)
        said = office.run("ledger", "import", path)
        path.unlink()
        assert said.status in (0, 3), (name, said.text)
        assert "Traceback" not in said.text, name
        after = office.every_row()
        assert (after == before) is (said.status == 3 or not said.answer["added"]), name
        assert len(after["household_case"]) == len(after["personal"])
        verdict = str(said.answer["verdict"])
        ends[verdict] = ends.get(verdict, 0) + 1
        if after != before:
            path.mkdir()
            office = make_office(path, office.capsys)
    return ends


def test_spoilt_ledgers_come_in_whole_or_not_at_all(office: Office) -> None:
    assert set(check_spoilt(office, 150)) == {"accepted", "rejected"}


# --- the marked copy ------------------------------------------------------------------------------


def test_a_dry_run_leaves_a_marked_copy_and_nothing_else(office: Office) -> None:
    lines = [
        HEADINGS,
        make_line(1),
        make_line(2, id="140922198001010000"),
        make_line(3, unit="豆 村 镇"),
    ]
    path = write(office.folder / "豆村.xlsx", lines)
    before = office.every_row()

    said = office.run("ledger", "import", "--dry-run", path)

    assert (said.status, said.answer["dry_run"]) == (3, True)
    assert office.every_row() == before
    copy = office.folder / "豆村-核对.xlsx"
    assert said.answer["marked"] == str(copy)
    book = openpyxl.load_workbook(copy)
    sheet = book["Sheet"]
    assert [cell.value for cell in sheet[1]] == [*HEADINGS, "问题"]
    assert [cell.value for cell in sheet[3]][:8] == lines[2]
    assert str(sheet["I3"].value).startswith("G3 身份证号：读到")
    assert sheet["G3"].fill.start_color.rgb == "FFFFC7CE"
    assert "140922198001010000" not in str(sheet["G3"].comment.text)
    assert sheet["A4"].fill.start_color.rgb == "FFFFEB9C"
    assert sheet["A2"].fill.fill_type is None
    assert [row[1] for row in book["核对结果"].values] == ["单元格", "G3"]


def test_a_marked_copy_that_was_put_right_can_be_handed_in(office: Office) -> None:
    lines = [HEADINGS, make_line(1), make_line(2, id="")]
    office.run("ledger", "import", "--dry-run", write(office.folder / "a.xlsx", lines))
    copy = office.folder / "a-核对.xlsx"
    book = openpyxl.load_workbook(copy)
    book["Sheet"]["G3"].value = id_number(2)
    book.save(copy)

    said = office.run("ledger", "import", copy)

    assert (said.status, said.answer["added"]) == (0, 2)


def test_a_copy_that_somebody_may_be_correcting_is_kept(office: Office) -> None:
    path = write(office.folder / "a.xlsx", [HEADINGS, make_line(1, unit="")])
    first = office.run("ledger", "import", "--dry-run", path).answer["marked"]
    content = Path(str(first)).read_bytes()

    second = office.run("ledger", "import", "--dry-run", path).answer["marked"]

    assert second == str(office.folder / "a-核对2.xlsx")
    assert Path(str(first)).read_bytes() == content


def test_where_nothing_is_to_be_marked_a_copy_is_written_only_when_asked(office: Office) -> None:
    path = write(office.folder / "a.xlsx", [HEADINGS, make_line(1)])

    assert office.run("ledger", "import", "--dry-run", path).answer["marked"] is None

    target = office.folder / "核对.xlsx"
    asked = office.run("ledger", "import", "--dry-run", path, "--marked", target)
    assert asked.answer["marked"] == str(target)
    again = office.run("ledger", "import", "--dry-run", path, "--marked", target)
    assert again.status == 2
    forced = office.run("ledger", "import", "--dry-run", path, "--marked", target, "--force")
    assert forced.status == 0


def test_the_screen_masks_what_the_answer_for_programs_says_in_full(office: Office) -> None:
    path = office.folder / "a.xlsx"
    path.write_bytes((LEDGERS / "gaohongkou-widths-and-dates.xlsx").read_bytes())

    said = office.run("ledger", "import", "--dry-run", path)
    shown = office.run("ledger", "import", "--dry-run", path, as_json=False).text

    for number in ("13000000077", "14092219580811845X", "1409010552", "邓丽香"):
        assert number in said.text
        assert number not in shown
    assert "130****0077" in shown


def test_the_difference_of_a_corrected_file_comes_first_and_masked(office: Office) -> None:
    office.run("ledger", "import", write(office.folder / "a.xlsx", [HEADINGS, make_line(1)]))
    changed = write(
        office.folder / "b.xlsx", [HEADINGS, make_line(1, name="王大为", village="西村")]
    )

    said = office.run("ledger", "import", "--dry-run", changed)
    shown = office.run("ledger", "import", "--dry-run", changed, as_json=False).text

    assert said.answer["changed"] == 1
    assert "只检查，没有写入" in shown
    assert shown.index("东村") < shown.index("西村")
    assert "王大为" not in shown


# --- exports --------------------------------------------------------------------------------------

HOSTILE_NAMES = [
    f"{start}{number}"
    for number in range(20)
    for start in (
        "=cmd|' /C calc'!A",
        "+1+",
        "@x",
        "\t=1+",
        "＝1+",
        " =1+",
        "'=1+",
        "-1-",
        "＠x",
        "'",
    )
]


def test_two_hundred_hostile_names_come_out_as_texts(office: Office) -> None:
    assert len(HOSTILE_NAMES) == 200
    lines = [make_line(n, name=name) for n, name in enumerate(HOSTILE_NAMES, start=1)]
    added = office.run("ledger", "import", write_typed(office.folder / "a.xlsx", lines))
    assert added.answer["added"] == 200

    office.run("ledger", "export", office.folder / "out.xlsx", "--reveal")
    office.run("ledger", "export", office.folder / "out.csv", "--reveal")

    sheet = openpyxl.load_workbook(office.folder / "out.xlsx").active
    cells = [cell for row in sheet.iter_rows(min_row=2, max_row=201) for cell in row]
    assert [cell for cell in cells if cell.data_type == "f"] == []
    names = [row[3] for row in sheet.iter_rows(min_row=2, max_row=201, values_only=True)]
    values = python_calamine.CalamineWorkbook.from_path(office.folder / "out.xlsx")
    assert [row[3] for row in values.get_sheet_by_index(0).to_python()[1:201]] == names
    assert len(set(names)) == 180  # blanks before a name go, so two kinds of the ten are one
    with zipfile.ZipFile(office.folder / "out.xlsx") as archive:
        assert b"<f>" not in archive.read(SHEET)
    with (office.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            assert not any(cell.startswith(tuple("=+-@\t\r＝＋－＠")) for cell in row)


def write_typed(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    """Writes texts as texts, whatever they look like."""
    book = openpyxl.Workbook()
    book.active.append(list(HEADINGS))
    for line in lines:
        book.active.append(list(line))
        for cell in book.active[book.active.max_row]:
            cell.data_type = "s"
    book.save(path)
    return path


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
@pytest.mark.parametrize("options", [[], ["--reveal"]])
@pytest.mark.parametrize(
    "sample",
    ["menxianshi-names.xlsx", "jiaojing-collectives.xlsx", "gaohongkou-widths-and-dates.xlsx"],
)
def test_an_export_that_comes_back_changes_nothing(
    office: Office, sample: str, options: list[str], suffix: str
) -> None:
    assert office.run("ledger", "import", LEDGERS / sample).status == 0
    lines = [make_line(n, name=name) for n, name in enumerate(HOSTILE_NAMES, start=1)]
    office.run("ledger", "import", write_typed(office.folder / "a.xlsx", lines))
    target = office.folder / f"out.{suffix}"
    assert office.run("ledger", "export", target, *options).status == 0
    before = office.every_row()

    said = office.run("ledger", "import", target)

    assert (said.status, said.answer["added"], said.answer["changed"]) == (0, 0, 0), said.text
    assert office.every_row() == before


def test_an_export_is_made_to_be_filled_in_and_takes_no_file_away(office: Office) -> None:
    office.run("ledger", "import", write(office.folder / "a.xlsx", [HEADINGS, make_line(1)]))
    target = office.folder / "out.xlsx"
    office.run("ledger", "export", target)

    sheet = openpyxl.load_workbook(target).active
    assert sheet.protection.sheet
    assert not sheet.protection.password
    assert {c.coordinate for c in sheet[2] if c.protection.locked} == {"A2", "B2", "O2", "R2"}
    assert not sheet.column_dimensions["B"].protection.locked  # a new household may be added below
    assert sheet["H2"].number_format == "@"
    assert sheet["H2"].value == "1409**********" + id_number(1)[-4:]
    assert sheet.freeze_panes == "A2"
    offered = {str(one.sqref) for one in sheet.data_validations.dataValidation}
    assert any(place.startswith("G2:G") for place in offered)
    content = target.read_bytes()
    refused = office.run("ledger", "export", target)
    assert refused.status == 2
    assert target.read_bytes() == content
    assert office.run("ledger", "export", target, "--force").status == 0


def test_a_row_whose_case_has_moved_on_meanwhile_is_a_conflict(office: Office) -> None:
    office.run("ledger", "import", write(office.folder / "a.xlsx", [HEADINGS, make_line(1)]))
    office.run("ledger", "export", office.folder / "mine.xlsx")
    office.run(
        "ledger",
        "import",
        write(office.folder / "b.xlsx", [HEADINGS, make_line(1, village="西村")]),
    )

    said = office.run("ledger", "import", office.folder / "mine.xlsx")

    assert said.status == 3
    assert codes(said.answer) == ["not_importable"]
    faults = said.answer["faults"]
    assert isinstance(faults, list)
    assert "表中版本 1，现为 2" in faults[0]["message"]


def test_a_ledger_of_a_hundred_thousand_rows_is_read(tmp_path: Path) -> None:
    rows = "".join(
        f"<row>{''.join(f'<c><v>{row}{column}</v></c>' for column in range(18))}</row>"
        for row in range(100_000)
    )

    book = spreadsheet.read(pack(tmp_path / "a.xlsx", make_parts(f"<sheetData>{rows}</sheetData>")))

    assert len(book.sheets[0].rows) == 100_000
    assert book.sheets[0].rows[100_000][18].value == 9999917
