import csv
import hashlib
import io
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow import spreadsheet
from workflow.errors import BadFile
from workflow.spreadsheet import Book, Cell, CellKind, ColumnOut, SheetOut

LEDGERS = Path(__file__).parent / "ledgers"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"

Parts = dict[str, str | bytes]


def make_parts(
    *sheets: str, workbook: str = "", strings: Sequence[str] = (), styles: str = ""
) -> Parts:
    """The parts of a small workbook; each sheet is given as its XML below `worksheet`."""
    names = "".join(
        f'<sheet name="表{n}" sheetId="{n}" r:id="rId{n}"/>' for n in range(1, len(sheets) + 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    parts: Parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{workbook}<sheets>{names}</sheets>'
            "</workbook>"
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{"".join(strings)}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships">{relations}'
            f'<Relationship Id="s" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="t" Type="{OFFICE}/styles" Target="/xl/styles.xml"/>'
            "</Relationships>"
        ),
    }
    for number, sheet in enumerate(sheets, start=1):
        parts[f"xl/worksheets/sheet{number}.xml"] = f'<worksheet xmlns="{MAIN}">{sheet}</worksheet>'
    return parts


def make_rows(*cells: str) -> str:
    return f'<sheetData><row r="1">{"".join(cells)}</row></sheetData>'


def pack(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return path


def record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def make_xls(cells: Iterable[bytes], *, workbook: bytes = b"", state: int = 0) -> bytes:
    """The workbook stream of an .xls with one sheet of these records."""
    start = record(0x0809, struct.pack("<4HII", 0x0600, 0x0005, 0, 0, 0, 0x0006))
    name = "台账".encode("utf-16-le")
    bound = 4 + 8 + len(name)
    position = len(start) + len(workbook) + bound + 4
    entry = struct.pack("<IBBBB", position, state, 0, len(name) // 2, 1) + name
    sheet_start = record(0x0809, struct.pack("<4HII", 0x0600, 0x0010, 0, 0, 0, 0x0006))
    sheet = sheet_start + b"".join(cells) + record(0x000A)
    return start + workbook + record(0x0085, entry) + record(0x000A) + sheet


def label(row: int, column: int, text: str) -> bytes:
    content = struct.pack("<HB", len(text), 1) + text.encode("utf-16-le")
    return record(0x0204, struct.pack("<3H", row - 1, column - 1, 0) + content)


def number(row: int, column: int, value: float) -> bytes:
    return record(0x0203, struct.pack("<3Hd", row - 1, column - 1, 0, value))


def formula(row: int, column: int, value: float) -> bytes:
    head = struct.pack("<3HdHI", row - 1, column - 1, 0, value, 0, 0)
    return record(0x0006, head + struct.pack("<H", 3) + b"\x1e\x01\x00")


def compound(streams: Mapping[str, bytes]) -> bytes:
    """An OLE compound file of 512-byte sectors, its streams long enough to need no mini stream."""
    sectors: list[bytes] = []
    fat: list[int] = []
    entries = [("Root Entry", 5, 0xFFFFFFFE, 0)]
    for name, content in streams.items():
        padded = content.ljust(4096, b"\0")
        padded += b"\0" * (-len(padded) % 512)
        first = len(sectors)
        sectors += [padded[start : start + 512] for start in range(0, len(padded), 512)]
        fat += [*range(first + 1, len(sectors)), 0xFFFFFFFE]
        entries.append((name, 2, first, max(len(content), 4096)))
    directory = len(sectors)
    table = b""
    for name, kind, first, size in entries:
        coded = name.encode("utf-16-le") + b"\0\0"
        table += coded.ljust(64, b"\0") + struct.pack("<HBB", len(coded), kind, 1)
        table += struct.pack("<3I", 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        if kind == 5 and len(entries) > 1:
            table = table[:-4] + struct.pack("<I", 1)
        table += b"\0" * 36 + struct.pack("<IQ", first, size)
    table += b"\0" * (-len(table) % 512)
    sectors += [table[start : start + 512] for start in range(0, len(table), 512)]
    fat += [*range(directory + 1, len(sectors)), 0xFFFFFFFE]
    fat_sector = len(sectors)
    fat.append(0xFFFFFFFD)
    fat += [0xFFFFFFFF] * (128 - len(fat))
    sectors.append(struct.pack("<128I", *fat))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    header += struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    header += struct.pack("<9I", 0, 1, directory, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", fat_sector, *[0xFFFFFFFF] * 108)
    return header + b"".join(sectors)


def cells_of(book: Book, sheet: int = 0) -> dict[str, tuple[CellKind, str | float | bool]]:
    return {
        spreadsheet.address(row, column): (cell.kind, cell.value)
        for row, cells in book.sheets[sheet].rows.items()
        for column, cell in cells.items()
    }


def refusal(path: Path) -> str:
    with pytest.raises(spreadsheet.Unreadable) as refused:
        spreadsheet.read(path)
    assert refused.value.status == 3
    assert refused.value.remedy
    return refused.value.code


# --- what is read ---------------------------------------------------------------------------------


def test_every_kind_of_cell_of_an_xlsx_is_told_apart(tmp_path: Path) -> None:
    strings = [
        "<si><t>共享</t></si>",
        "<si><r><t>分</t></r><r><t xml:space='preserve'>段 </t></r><rPh><t>fen</t></rPh></si>",
        "<si><t>_x001B_[31m红</t></si>",
    ]
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="yyyy&quot;年&quot;m"/>'
        '<numFmt numFmtId="171" formatCode="0.0&quot;day&quot;"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/>'
        "</cellXfs>"
    )
    sheet = make_rows(
        '<c r="A1" t="s"><v>0</v></c>',
        '<c r="B1" t="s"><v>1</v></c>',
        '<c r="C1" t="s"><v>2</v></c>',
        '<c r="D1" t="inlineStr"><is><t>内联</t></is></c>',
        '<c t="str"><v>无址</v></c>',
        '<c r="F1"><v>85.5</v></c>',
        '<c r="G1" s="1"><v>45170</v></c>',
        '<c r="H1" s="2"><v>45170</v></c>',
        '<c r="I1" s="3"><v>3</v></c>',
        '<c r="J1" t="b"><v>1</v></c>',
        '<c r="K1" t="e"><v>#REF!</v></c>',
        '<c r="L1"><f>M15*0.75</f><v>60</v></c>',
        '<c r="M1" t="s"/>',
        '<c r="N1" t="inlineStr"><is><t>=1+1</t></is></c>',
        '<c r="O1"><v>1e999</v></c>',
    )

    book = spreadsheet.read(
        pack(tmp_path / "a.xlsx", make_parts(sheet, strings=strings, styles=styles))
    )

    assert cells_of(book) == {
        "A1": (CellKind.TEXT, "共享"),
        "B1": (CellKind.TEXT, "分段 "),
        "C1": (CellKind.TEXT, "\x1b[31m红"),
        "D1": (CellKind.TEXT, "内联"),
        "E1": (CellKind.TEXT, "无址"),
        "F1": (CellKind.NUMBER, 85.5),
        "G1": (CellKind.DATE, 45170),
        "H1": (CellKind.DATE, 45170),
        "I1": (CellKind.NUMBER, 3),
        "J1": (CellKind.BOOLEAN, True),
        "K1": (CellKind.ERROR, "#REF!"),
        "L1": (CellKind.FORMULA, "=M15*0.75"),
        "N1": (CellKind.TEXT, "=1+1"),
        "O1": (CellKind.ERROR, "#NUM!"),
    }


def test_the_results_of_an_array_formula_are_no_values(tmp_path: Path) -> None:
    sheet = make_rows(
        '<c r="A1"><f t="array" ref="A1:B2">C1:D2</f><v>1</v></c><c r="B1"><v>2</v></c>'
        '<c r="C1"><v>3</v></c><c r="D1"><f t="shared" si="0"/><v>4</v></c>'
    )

    book = spreadsheet.read(pack(tmp_path / "a.xlsx", make_parts(sheet)))

    kinds = {name: kind for name, (kind, _) in cells_of(book).items()}
    assert kinds == {
        "A1": CellKind.FORMULA,
        "B1": CellKind.FORMULA,
        "C1": CellKind.NUMBER,
        "D1": CellKind.FORMULA,
    }


def test_hidden_rows_merged_ranges_and_the_date_system_are_seen(tmp_path: Path) -> None:
    sheet = (
        '<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="3" hidden="1"><c r="A3"><v>2</v>'
        '</c></row><row r="9" hidden="1"/></sheetData><mergeCells><mergeCell ref="A1:B2"/>'
        "</mergeCells>"
    )

    book = spreadsheet.read(
        pack(tmp_path / "a.xlsx", make_parts(sheet, workbook='<workbookPr date1904="1"/>'))
    )

    assert book.date_1904
    assert book.sheets[0].hidden_rows == {3}
    assert book.sheets[0].merged == ((1, 1, 2, 2),)


def test_a_workbook_with_prefixed_names_reads_the_same(tmp_path: Path) -> None:
    parts = make_parts()
    parts["xl/workbook.xml"] = (
        f'<x:workbook xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main" xmlns:r="{OFFICE}">'
        '<x:sheets><x:sheet name="表" sheetId="1" state="hidden" r:id="s1"/></x:sheets>'
        "</x:workbook>"
    )
    relation = f'<Relationship Id="s1" Type="{OFFICE}/worksheet" Target="/xl/Sheet.xml"/>'
    parts["xl/_rels/workbook.xml.rels"] = f"<Relationships>{relation}</Relationships>"
    parts["xl/sheet.xml"] = (
        '<x:worksheet xmlns:x="m"><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>甲</x:t></x:is>'
        "</x:c></x:row></x:sheetData></x:worksheet>"
    )

    book = spreadsheet.read(pack(tmp_path / "a.xlsx", parts))

    assert cells_of(book) == {"A1": (CellKind.TEXT, "甲")}
    assert book.sheets[0].hidden


def test_an_xls_shows_its_formulas_errors_hidden_rows_and_merged_ranges(tmp_path: Path) -> None:
    hidden = record(0x0208, struct.pack("<6HI", 1, 0, 3, 255, 0, 0, 0x20))
    merged = record(0x00E5, struct.pack("<5H", 1, 0, 1, 0, 2))
    error = record(0x0205, struct.pack("<3HBB", 1, 1, 0, 0x17, 1))
    truth = record(0x0205, struct.pack("<3HBB", 1, 2, 0, 1, 0))
    cells = [
        hidden, label(1, 1, "编号"), number(1, 2, 85.5), formula(1, 3, 60), label(2, 1, "甲"),
        error, truth, merged,
    ]  # fmt: skip
    path = tmp_path / "a.et"
    path.write_bytes(compound({"Workbook": make_xls(cells, workbook=record(0x0022, b"\1\0"))}))

    book = spreadsheet.read(path)

    assert cells_of(book) == {
        "A1": (CellKind.TEXT, "编号"),
        "B1": (CellKind.NUMBER, 85.5),
        "C1": (CellKind.FORMULA, "="),
        "A2": (CellKind.TEXT, "甲"),
        "B2": (CellKind.ERROR, "#REF!"),
        "C2": (CellKind.BOOLEAN, True),
    }
    assert book.format == "xls"
    assert book.date_1904
    assert book.sheets[0].name == "台账"
    assert book.sheets[0].hidden_rows == {2}
    assert book.sheets[0].merged == ((1, 1, 2, 3),)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("编号,村\r\n\r\n1,东村".encode(), "utf-8"),
        ("\ufeff编号,村\n\n1,东村\n".encode(), "utf-8"),
        ("编号,村\n\n1,东村\n".encode("gb18030"), "gb18030"),
        ("\ufeff编号\t村\n\n1\t东村\n".encode("utf-16-le"), "utf-16"),
        ("编号;村\n\n1;东村\n".encode(), "utf-8"),
        ('"编号","村"\n\n"1","东村"\n'.encode(), "utf-8"),
    ],
)
def test_a_csv_is_read_in_the_encodings_and_separators_that_occur(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    path = tmp_path / "名单.xlsx"  # the name proves nothing
    path.write_bytes(content)

    book = spreadsheet.read(path)

    assert (book.format, book.encoding, book.sheets[0].name) == ("csv", encoding, None)
    texts = {name: value for name, (_, value) in cells_of(book).items()}
    assert texts == {"A1": "编号", "B1": "村", "A3": "1", "B3": "东村"}


def test_the_digest_is_that_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"abc,d")

    assert spreadsheet.read(path).sha256 == hashlib.sha256(b"abc,d").hexdigest()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \r\n",
        b"\xef\xbb\xbf",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
        b"%PDF-1.4\n1 0 obj",
        b"<?xml version='1.0'?><Workbook/>",
        b"\n <html><table><tr><td>1</td></tr></table></html>",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        bytes(range(256)),
        random.Random(1).randbytes(5000),
    ],
)
def test_what_is_no_table_is_not_read_as_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)

    assert refusal(path) == "not_a_workbook"


def test_another_kind_of_archive_or_document_is_no_workbook(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.xlsx", {"word/document.xml": "<document/>", "a.txt": "x"})
    document = make_parts()
    document["xl/workbook.xml"] = "<document/>"
    word = tmp_path / "b.xls"
    word.write_bytes(compound({"WordDocument": b"x"}))

    assert refusal(archive) == "not_a_workbook"
    assert refusal(pack(tmp_path / "c.xlsx", document)) == "not_a_workbook"
    assert refusal(word) == "not_a_workbook"


def change(name: str, part: str | bytes) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        parts[name] = part

    return apply


def relation(kind: str, target: str, mode: str = "External") -> str:
    return (
        f'<Relationships><Relationship Id="x" Type="{OFFICE}/{kind}" Target="{target}" '
        f'TargetMode="{mode}"/></Relationships>'
    )


def one_cell(cell: str) -> Callable[[Parts], None]:
    return change(SHEET, f"<worksheet>{make_rows(cell)}</worksheet>")


SHEET = "xl/worksheets/sheet1.xml"
ENTITY = "<!DOCTYPE a [<!ENTITY b 'c'>]>"


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("macros", change("xl/vbaProject.bin", b"x")),
        ("macros", change("xl/macrosheets/sheet1.xml", "<a/>")),
        (
            "macros",
            change(
                "[Content_Types].xml",
                '<Types><Override PartName="/xl/x.bin" '
                'ContentType="application/vnd.ms-office.vbaProject"/></Types>',
            ),
        ),
        ("external_links", change("xl/a/_rels/a.rels", relation("externalLinkPath", "b"))),
        ("external_links", change("xl/a/_rels/a.rels", relation("image", "http://a.invalid/"))),
        ("external_links", change("xl/_rels/a.rels", relation("connections", "c.xml", "Internal"))),
        ("xml_forbidden", change(SHEET, f"{ENTITY}<worksheet/>")),
        ("xml_forbidden", change("xl/theme/theme1.xml", f"<?xml version='1.0'?>{ENTITY}<a/>")),
        ("xml_forbidden", change("xl/sharedStrings.xml", f"<!-- {'x' * 5000} -->{ENTITY}<sst/>")),
        ("xml_forbidden", change("_rels/.rels", f"{ENTITY}<Relationships/>")),
        ("xml_forbidden", change("xl/workbook.xml", f"{ENTITY}<workbook/>")),
        ("xml_forbidden", change(SHEET, "\ufeff<worksheet/>".encode("utf-16"))),
        ("xml_forbidden", change(SHEET, "<worksheet/>".encode("utf-16-be"))),
        ("xml_forbidden", change(SHEET, "<worksheet/>".encode("utf-32"))),
        ("xml_forbidden", change(SHEET, b"<?xml version='1.0' encoding='gb2312'?><worksheet/>")),
        ("xml_forbidden", change(SHEET, b'<?xml version="1.0" encoding="UTF-7"?><worksheet/>')),
        ("damaged", change(SHEET, "<worksheet><sheetData>")),
        ("damaged", change(SHEET, b"<worksheet>\xff</worksheet>")),
        ("damaged", one_cell('<c r="A1" t="s"><v>7</v></c>')),
        ("damaged", one_cell('<c r="1A"><v>7</v></c>')),
        ("damaged", change("XL/worksheets/sheet1.xml", "<worksheet/>")),
        ("too_large", change("xl/media/a.bin", b"\0" * (spreadsheet.LARGE_UNPACKED + 1))),
        ("too_large", change(SHEET, "<worksheet/>".ljust(spreadsheet.LARGE_UNPACKED))),
        ("too_large", one_cell('<c r="XFD1"><v>7</v></c>')),
        ("too_large", one_cell('<c r="A1048576"><v>7</v></c>')),
    ],
)  # fmt: skip
def test_a_workbook_with_something_forbidden_is_refused_by_name(
    tmp_path: Path, code: str, spoil: Callable[[Parts], None]
) -> None:
    parts = make_parts(make_rows('<c r="A1"><v>1</v></c>'))
    spoil(parts)

    assert refusal(pack(tmp_path / "a.xlsx", parts)) == code


def test_what_only_looks_dangerous_is_read(tmp_path: Path) -> None:
    parts = make_parts(
        '<dimension ref="A1:XFD1048576"/><cols><col min="1" max="16384" width="9"/></cols>'
        '<sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    )
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = relation("hyperlink", "mailto:a@b.invalid")

    book = spreadsheet.read(pack(tmp_path / "a.xlsx", parts))

    assert cells_of(book) == {"A1": (CellKind.NUMBER, 1)}


def test_one_string_in_many_cells_is_too_large(tmp_path: Path) -> None:
    cells = "".join('<c t="s"><v>0</v></c>' for _ in range(256))
    rows = "".join(f"<row>{cells}</row>" for _ in range(10))
    strings = [f"<si><t>{'长' * 30_000}</t></si>"]

    path = pack(tmp_path / "a.xlsx", make_parts(f"<sheetData>{rows}</sheetData>", strings=strings))

    assert refusal(path) == "too_large"


def test_overlapping_merged_ranges_without_end_are_too_large(tmp_path: Path) -> None:
    merged = '<mergeCell ref="A1:XFD1048576"/>' * 2

    path = pack(tmp_path / "a.xlsx", make_parts(f"<mergeCells>{merged}</mergeCells>"))

    assert refusal(path) == "too_large"


def test_64_sheets_are_read_and_65_are_not(tmp_path: Path) -> None:
    sheets = [make_rows('<c r="A1"><v>1</v></c>')] * 65

    assert len(spreadsheet.read(pack(tmp_path / "a.xlsx", make_parts(*sheets[:64]))).sheets) == 64
    assert refusal(pack(tmp_path / "b.xlsx", make_parts(*sheets))) == "too_many_sheets"


@pytest.mark.parametrize(
    ("code", "streams"),
    [
        ("encrypted", {"EncryptedPackage": b"x", "EncryptionInfo": b"x"}),
        ("encrypted", {"Workbook": make_xls([], workbook=record(0x002F, b"\1\0"))}),
        ("macros", {"Workbook": make_xls([]), "_VBA_PROJECT_CUR": b"x"}),
        ("external_links", {"Workbook": make_xls([], workbook=record(0x01AE, b"\1\0\4\0\0abc"))}),
        ("too_large", {"Workbook": make_xls([label(65536, 256, "x")])}),
        ("damaged", {"Workbook": make_xls([])[:-4]}),
        ("damaged", {"Workbook": b""}),
    ],
)
def test_an_xls_with_something_forbidden_is_refused_by_name(
    tmp_path: Path, code: str, streams: dict[str, bytes]
) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(compound(streams))

    assert refusal(path) == code


@pytest.mark.parametrize("name", ["gounan-clean.xlsx", "gengzhen-wps.et"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_damaged(tmp_path: Path, name: str, kept: float) -> None:
    content = (LEDGERS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * kept)])

    assert refusal(path) == "damaged"


def test_a_quote_that_never_ends_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('编号,村\n1,"东村\n2,西村\n', encoding="utf-8")

    assert refusal(path) == "damaged"


def test_a_file_over_the_limit_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(spreadsheet.MAX_FILE + 1)

    assert refusal(path) == "too_large"


def test_what_is_no_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="没有这个文件") as missing:
        spreadsheet.read(tmp_path / "台账.xlsx")
    with pytest.raises(BadFile, match="不是一个文件"):
        spreadsheet.read(tmp_path)

    assert missing.value.place == str(tmp_path / "台账.xlsx")
    assert missing.value.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="no memory limit there")
def test_a_reader_that_wants_all_memory_or_breaks_down_is_one_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b")
    run = subprocess.run
    answers = {
        "too_large": "import workflow.spreadsheet as s; s._limit_resources(); "
        "s._read_content = lambda content: bytearray(2 << 30); s._main()",
        "damaged": "raise SystemExit(1)",
    }
    for code, program in answers.items():
        monkeypatch.setattr(
            subprocess,
            "run",
            lambda command, program=program, **options: run([command[0], "-c", program], **options),
        )
        assert refusal(path) == code


def test_a_reader_that_never_comes_back_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b")
    monkeypatch.setattr(spreadsheet, "CHILD_SECONDS", 0.001)

    assert refusal(path) == "too_large"


def test_the_reading_child_starts_without_the_database(tmp_path: Path) -> None:
    program = "import sys, workflow.spreadsheet; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    modules = set(loaded.stdout.decode().split())
    assert not modules & {"sqlmodel", "sqlalchemy", "pydantic", "xlsxwriter", "python_calamine"}


def mutate(content: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, a piece cut out, doubled or moved."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(changed))
        length = min(chance.choice([1, 1, 1, 4, 40]), len(changed) - place)
        match chance.randrange(5):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                changed[place : place + length] = chance.randbytes(length)
    return bytes(changed)


def mutants_of_parts(count: int) -> Iterator[bytes]:
    """A good workbook spoilt inside one part, with sizes and check sums made good again."""
    chance = random.Random(20230519)
    with zipfile.ZipFile(LEDGERS / "doucun-two-level-header.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in parts if "theme" not in name and "docProps" not in name]
    for _ in range(count):
        spoilt = chance.choice(names)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, mutate(part, chance) if name == spoilt else part)
        yield packed.getvalue()


def test_hundreds_of_spoilt_workbooks_are_read_or_refused_and_nothing_else() -> None:
    outcomes = set()
    for content in mutants_of_parts(400):
        found = spreadsheet._read_or_refuse(content)
        outcomes.add(found.code if isinstance(found, spreadsheet._Refused) else found.format)

    assert outcomes <= {"xlsx", *spreadsheet.REMEDIES}
    assert {"xlsx", "damaged"} <= outcomes


@pytest.mark.parametrize(
    "name", ["gounan-clean.xlsx", "gengzhen-wps.et", "gounan-clean-saved-as.xls"]
)
def test_a_spoilt_file_of_any_kind_never_hurts_who_asked(tmp_path: Path, name: str) -> None:
    content = (LEDGERS / name).read_bytes()
    chance = random.Random(name)

    def outcome(number: int) -> str:
        path = tmp_path / f"{number}{name}"
        path.write_bytes(mutate(content, chance))
        try:
            return spreadsheet.read(path).format
        except spreadsheet.Unreadable as refused:
            return refused.code

    assert {outcome(number) for number in range(30)} <= {"xlsx", "xls", *spreadsheet.REMEDIES}


# --- dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "date_1904", "day", "code"),
    [
        ("2023.9.1", False, date(2023, 9, 1), "date_text_parsed"),
        ("2023/9/1", False, date(2023, 9, 1), "date_text_parsed"),
        ("2023-04-18", False, date(2023, 4, 18), "date_text_parsed"),
        ("20230418", False, date(2023, 4, 18), "date_text_parsed"),
        ("2023-04-18 00:00:00", False, date(2023, 4, 18), "date_text_parsed"),
        ("2023年9月1日", False, date(2023, 9, 1), "date_text_parsed"),
        (" ２０２３ 年 9 月 1 日 ", False, date(2023, 9, 1), "date_text_parsed"),
        ("9月1日", False, date(2023, 9, 1), "date_year_from_plan"),
        (45170.0, False, date(2023, 9, 1), "date_serial_parsed"),
        (43564.0, True, date(2023, 4, 10), "date_1904_parsed"),
    ],
)
def test_a_date_is_read_in_every_way_it_is_written(
    value: str | float, date_1904: bool, day: date, code: str
) -> None:
    kind = CellKind.TEXT if isinstance(value, str) else CellKind.NUMBER

    found = spreadsheet.read_date(Cell(kind, value), year=2023, date_1904=date_1904)

    assert found == (day, code)


@pytest.mark.parametrize(
    "cell",
    [
        Cell(CellKind.TEXT, "2023-02-30"),
        Cell(CellKind.TEXT, "2023-9"),
        Cell(CellKind.TEXT, "9.1"),
        Cell(CellKind.TEXT, "待定"),
        Cell(CellKind.TEXT, "45170"),
        Cell(CellKind.TEXT, "1023-09-01"),
        Cell(CellKind.NUMBER, 45170.5),
        Cell(CellKind.NUMBER, 1.0),
        Cell(CellKind.NUMBER, 1e300),
        Cell(CellKind.BOOLEAN, True),
        Cell(CellKind.FORMULA, "=TODAY()"),
    ],
)
def test_what_is_no_certain_day_is_no_date(cell: Cell) -> None:
    assert spreadsheet.read_date(cell, year=2023, date_1904=False) is None


# --- addresses, texts -----------------------------------------------------------------------------


@given(st.integers(1, 1_048_576), st.integers(1, 16_384))
def test_an_address_leads_back_to_its_cell(row: int, column: int) -> None:
    assert spreadsheet.position(spreadsheet.address(row, column)) == (row, column)


def test_addresses_are_those_of_a_spreadsheet() -> None:
    assert [spreadsheet.address(7, column) for column in (1, 4, 26, 27, 52, 703)] == (
        ["A7", "D7", "Z7", "AA7", "AZ7", "AAA7"]
    )


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("王\x1b[31m红\x1b[0m", "王红"),
        ("王\x1b]0;title\x07红\x1b]8;;x\x1b\\", "王红"),
        ("王\x1b红\x1b", "王红"),
        ("李\u202e明国", "李明国"),
        ("赵\x07兰", "赵兰"),
        ("\u200f孙芳\ufeff\u200b", "孙芳"),
        ("一\r\n二\t三\u2028四", "一  二 三 四"),
        ("𠮷䶮·\ue000 \u3000\xa0", "𠮷䶮·\ue000 \u3000\xa0"),
        ("\ud83d", ""),
    ],
)
def test_nothing_that_steers_a_terminal_is_left(raw: str, plain: str) -> None:
    assert spreadsheet.plain_text(raw) == plain


# --- what is written ------------------------------------------------------------------------------

RISKY = [
    "=1+1",
    "+86",
    "-待核",
    "@备注",
    "\t=1",
    "\r=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠1",
    "'=1",
    "''=1",
]
HARMLESS = ["", "'甲", "甲=1", "1-2", "O'Hara", "a'=1"]


@pytest.mark.parametrize("text", [*RISKY, "=cmd|' /C x'!A0", "{=1}", "http://a.invalid"])
def test_no_text_becomes_a_formula_in_a_workbook(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xlsx"

    spreadsheet.write_workbook(
        path, [SheetOut("表", (ColumnOut(text), ColumnOut("乙")), [[text, 1.5]])]
    )

    sheet = openpyxl.load_workbook(path)["表"]
    assert [cell.data_type for row in sheet.rows for cell in row] == ["s", "s", "s", "n"]
    assert cells_of(spreadsheet.read(path))["A2"] == (CellKind.TEXT, text)
    with zipfile.ZipFile(path) as archive:
        assert b"<f" not in archive.read("xl/worksheets/sheet1.xml")
        assert not any("hyperlink" in name.lower() for name in archive.namelist())


@pytest.mark.parametrize("text", RISKY + HARMLESS)
def test_a_csv_marks_what_would_start_a_formula_and_reads_it_back(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.csv"

    spreadsheet.write_csv(path, (ColumnOut("甲"), ColumnOut("乙")), [[text, 1.5]])

    with path.open(encoding="utf-8-sig", newline="") as file:
        written = list(csv.reader(file))[1][0]
    assert written == ("'" + text if text in RISKY else text)
    found = cells_of(spreadsheet.read(path)).get("A2", (CellKind.TEXT, ""))[1]
    assert found == text


@given(st.text("'=+-@\t\r＝甲 1", max_size=6))
def test_the_mark_of_a_csv_is_taken_off_exactly_once(text: str) -> None:
    written = spreadsheet._with_prefix(text)

    assert spreadsheet._without_prefix(written) == text
    assert not written.startswith(tuple(spreadsheet.RISKY))


def test_a_sheet_keeps_digits_offers_choices_locks_and_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    columns = (
        ColumnOut("编号", text=True, locked=True),
        ColumnOut("户别", choices=("居民户", "集体户")),
        ColumnOut("详细地址"),
    )
    rows: list[list[spreadsheet.Value]] = [
        ["00123", "居民户", "豆村镇东村大槐树旁第三户院内"],
        ["00124", None, ""],
    ]

    spreadsheet.write_workbook(
        path,
        [
            SheetOut(
                "台账",
                columns,
                rows,
                title="清单",
                marks={(1, 1): "没有填写"},
                spare_rows=5,
                protect=True,
            )
        ],
    )

    sheet = openpyxl.load_workbook(path)["台账"]
    assert (sheet["A1"].value, sheet["A2"].value, sheet["A3"].value) == ("清单", "编号", "00123")
    assert sheet["A3"].number_format == "@"
    assert sheet.column_dimensions["A"].width < sheet.column_dimensions["C"].width
    assert sheet.freeze_panes == "A3"
    assert sheet["B4"].comment.text == "没有填写"
    assert sheet["B4"].fill.start_color.rgb == "FFFFC7CE"
    assert sheet.protection.sheet
    assert sheet["A3"].protection.locked
    assert not sheet["B3"].protection.locked
    (choice,) = sheet.data_validations.dataValidation
    assert (str(choice.sqref), choice.formula1) == ("B3:B9", '"居民户,集体户"')


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        spreadsheet.write_workbook(tmp_path / name, [SheetOut("表", (ColumnOut("甲"),), [["乙"]])])

    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_place_that_cannot_be_written_to_is_said_plainly(tmp_path: Path) -> None:
    nowhere = tmp_path / "没有" / "a.xlsx"

    with pytest.raises(BadFile, match="写不出来"):
        spreadsheet.write_workbook(nowhere, [SheetOut("表", (ColumnOut("甲"),))])
    with pytest.raises(BadFile, match="写不出来"):
        spreadsheet.write_csv(nowhere, (ColumnOut("甲"),), [])


def test_a_text_too_long_for_a_cell_is_never_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="longer than a cell"):
        spreadsheet.write_workbook(
            tmp_path / "a.xlsx", [SheetOut("表", (ColumnOut("甲"),), [["长" * 32_768]])]
        )
