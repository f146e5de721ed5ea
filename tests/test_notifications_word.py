import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import letter_samples as samples
import pytest
from docx.document import Document as WordFile
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.shared import Mm
from msgspec.structs import replace

from notifications import letters, notices, word
from notifications.notices import Notice, NoticeKind

HOSTILE = '<script>alert("1")</script>&<b>村'
KINDS = [notices.kind_of(notice) for notice in samples.every_kind()]


def made(notice: Notice) -> bytes:
    return word.letter_docx(notices.document(notice))


def opened(notice: Notice) -> WordFile:
    return docx.Document(io.BytesIO(made(notice)))


def said(file: WordFile) -> list[str]:
    """Every paragraph, those in cells too, in the order of the file."""
    return [
        "".join(t.text or "" for t in p.iter(qn("w:t"))) for p in file.element.body.iter(qn("w:p"))
    ]


@pytest.mark.parametrize("rows", [0, 1, 60])
@pytest.mark.parametrize("index", range(5), ids=KINDS)
def test_a_file_says_everything(index: int, rows: int) -> None:
    notice = samples.every_kind(rows)[index]
    letter = letters.letter(notices.document(notice))
    wanted = [letter.title, letter.addressee]
    wanted += [one for one in (letter.number, letter.masthead, letter.dated) if one]
    annexed = letter.annex.blocks if letter.annex else ()
    for block in (*letter.blocks, *annexed):
        if isinstance(block, letters.Table):
            wanted += [cell for row in block.rows for cell in row.cells]
        else:
            wanted.append(block.text)

    found = said(opened(notice))

    assert [told for told in wanted if told not in found] == []


def test_a_letter_about_400_households_has_them_all_twice() -> None:
    file = opened(samples.supervision(400))

    matters, slip = (table for table in file.tables if len(table.columns) > 2)
    for table in (matters, slip):
        codes = [row.cells[1].text for row in table.rows]
        assert codes == ["户编号", *(f"103-{n:04d}" for n in range(1, 401))]


def test_what_a_name_holds_survives_in_word() -> None:
    alarm = samples.alarm()
    notice = replace(alarm, households=(replace(alarm.households[0], village=HOSTILE),))

    assert opened(notice).tables[0].rows[1].cells[2].text == HOSTILE


@pytest.mark.parametrize("notice", samples.every_kind(30), ids=KINDS)
def test_header_rows_repeat_and_no_row_is_split(notice: Notice) -> None:
    for table in opened(notice).tables:
        for row in table.rows:
            assert row._tr.trPr is not None
            assert row._tr.trPr.find(qn("w:cantSplit")) is not None
    ruled = [table for table in opened(notice).tables if len(table.columns) > 2]
    assert ruled
    for table in ruled:
        first, *others = table.rows
        assert first._tr.trPr is not None
        assert first._tr.trPr.find(qn("w:tblHeader")) is not None
        assert all(
            row._tr.trPr is not None and row._tr.trPr.find(qn("w:tblHeader")) is None
            for row in others
        )


@pytest.mark.parametrize("notice", samples.every_kind(30), ids=KINDS)
def test_a_table_is_as_wide_as_its_page_and_no_wider(notice: Notice) -> None:
    file = opened(notice)
    widths = {
        int(s.page_width or 0) - int(s.left_margin or 0) - int(s.right_margin or 0)
        for s in file.sections
    }

    for table in file.tables:
        total = sum(int(column.width or 0) for column in table.columns)
        assert any(abs(width - total) < Mm(0.5) for width in widths)


def test_an_official_letter_has_the_page_of_the_standard() -> None:
    section = opened(samples.supervision()).sections[0]

    page = (section.page_width, section.page_height, section.top_margin, section.left_margin)
    assert [round(int(one or 0) / Mm(1)) for one in page] == [210, 297, 37, 28]
    assert (
        round(
            (
                int(section.page_width or 0)
                - int(section.left_margin or 0)
                - int(section.right_margin or 0)
            )
            / Mm(1)
        )
        == 156
    )
    assert (
        round(
            (
                int(section.page_height or 0)
                - int(section.top_margin or 0)
                - int(section.bottom_margin or 0)
            )
            / Mm(1)
        )
        == 225
    )


def test_the_bulletins_table_lies_across_and_the_slip_stands() -> None:
    bulletin, supervision = opened(samples.bulletin()), opened(samples.supervision())

    sizes = [(s.page_width or 0) > (s.page_height or 0) for s in bulletin.sections]
    assert sizes == [False, True]
    assert len(supervision.sections) == 2
    assert not (supervision.sections[1].page_width or 0) > (
        supervision.sections[1].page_height or 0
    )


def headers(file: WordFile) -> Iterator[str]:
    for section in file.sections:
        yield "".join(p.text for p in section.header.paragraphs)
        yield "".join(p.text for p in section.even_page_header.paragraphs)


@pytest.mark.parametrize("index", range(5), ids=KINDS)
def test_a_drill_is_marked_on_every_page_and_in_the_title_of_the_file(index: int) -> None:
    file = opened(samples.every_kind(drill=True, unverified=("采暖季",))[index])

    assert file.settings.odd_and_even_pages_header_footer
    assert set(headers(file)) == {"【演练·未核实】"}
    assert file.core_properties.title.startswith("【演练·未核实】")
    assert any(line.startswith("【演练·未核实】本件由演练产生") for line in said(file))


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_what_is_no_drill_carries_no_mark(notice: Notice) -> None:
    file = opened(notice)

    assert set(headers(file)) == {""}
    assert not any("演练" in line or "未核实" in line for line in said(file))


def test_pages_are_numbered_at_the_outer_edge() -> None:
    section = opened(samples.supervision()).sections[0]

    for footer in (section.footer, section.even_page_footer):
        assert "".join(p.text for p in footer.paragraphs) == "—  —"
        assert [one.text for one in footer._element.iter(qn("w:instrText"))] == [" PAGE "]
    assert (
        section.footer.paragraphs[0].alignment != section.even_page_footer.paragraphs[0].alignment
    )


def test_the_slip_carries_number_and_code_after_the_page_break() -> None:
    lines = said(opened(samples.supervision(3)))
    slip = "\n".join(lines[lines.index("督办通知办理情况回执") :])

    assert "来文编号：五清办督〔2023〕3号" in slip
    assert notices.reply_codes(slip) == [notices.reply_code("五清办督〔2023〕3号")]


@pytest.mark.parametrize("notice", samples.every_kind(drill=True), ids=KINDS)
def test_every_run_names_a_chinese_font_that_the_file_gives_a_second_for(notice: Notice) -> None:
    packed = zipfile.ZipFile(io.BytesIO(made(notice)))
    listed = set(
        re.findall(
            r'<w:font w:name="([^"]+)"><w:altName', packed.read("word/fontTable.xml").decode()
        )
    )

    for name in packed.namelist():
        if re.fullmatch(r"word/(document|header\d|footer\d)\.xml", name):
            element = docx.oxml.parse_xml(packed.read(name))
            for run in element.iter(qn("w:r")):
                fonts = run.find(f"{qn('w:rPr')}/{qn('w:rFonts')}")
                if run.find(qn("w:t")) is not None:
                    assert fonts is not None
                    assert fonts.get(qn("w:eastAsia")) in listed


# ISO/IEC 29500-1, 17.3 and 17.4: Word calls a file damaged whose properties stand otherwise.
SEQUENCES = {
    "pPr": "pStyle keepNext keepLines pageBreakBefore framePr widowControl numPr pBdr shd tabs"
    " snapToGrid spacing ind contextualSpacing jc outlineLvl rPr sectPr",
    "rPr": "rStyle rFonts b bCs i iCs color spacing w kern position sz szCs u lang",
    "tblPr": "tblStyle tblpPr tblW jc tblCellSpacing tblInd tblBorders shd tblLayout tblCellMar"
    " tblLook",
    "tcPr": "tcW gridSpan vMerge tcBorders shd noWrap tcMar vAlign",
    "pBdr": "top left bottom right",
    "tblBorders": "top left bottom right insideH insideV",
    "sectPr": "headerReference type pgSz pgMar pgBorders lnNumType pgNumType cols titlePg docGrid",
}


def misplaced(element: BaseOxmlElement) -> Iterator[str]:
    for parent in element.iter():
        name = str(parent.tag).rpartition("}")[2]
        if name in SEQUENCES:
            order = SEQUENCES[name].split()
            names = [str(child.tag).rpartition("}")[2] for child in parent]
            # Headers and footers may be named in any order among themselves.
            places = [order.index(n.replace("footerR", "headerR")) for n in names]
            if places != sorted(places):
                yield f"{name}: {names}"


@pytest.mark.parametrize("notice", samples.every_kind(drill=True), ids=KINDS)
def test_properties_stand_in_the_order_of_the_schema(notice: Notice) -> None:
    file = opened(notice)

    section = file.sections[0]
    parts = (file.element.body, section.header._element, section.even_page_footer._element)
    assert [fault for part in parts for fault in misplaced(part)] == []
    assert list(misplaced(file.styles["Normal"].element)) == []


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_the_same_document_is_the_same_bytes(notice: Notice) -> None:
    file = zipfile.ZipFile(io.BytesIO(made(notice)))

    assert made(notice) == made(notice)
    assert {entry.date_time for entry in file.infolist()} == {word.EPOCH}
    assert not [name for name in file.namelist() if "thumbnail" in name]


def test_the_file_says_when_and_by_whom_it_was_issued_and_nothing_of_its_maker() -> None:
    properties = opened(samples.supervision()).core_properties

    assert properties.author == properties.last_modified_by == samples.ISSUER
    assert properties.created is not None
    assert properties.created.date() == samples.AS_OF
    assert properties.comments == ""


def pages(notice: Notice, directory: Path) -> list[str]:
    """What LibreOffice prints on each page."""
    (directory / "letter.docx").write_bytes(made(notice))
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation=file://{directory}/profile",
            "--headless",
            "--convert-to",
            "pdf",
            "--outdir",
            str(directory),
            str(directory / "letter.docx"),
        ],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        ["pdftotext", "-layout", str(directory / "letter.pdf"), "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split("\f")[:-1]


@pytest.mark.office
@pytest.mark.skipif(
    not (shutil.which("soffice") and shutil.which("pdftotext")),
    reason="no LibreOffice here: apt install libreoffice-writer poppler-utils",
)
def test_libreoffice_prints_every_household_the_marks_and_the_heads_of_the_tables(
    tmp_path: Path,
) -> None:
    printed = pages(samples.supervision(60, drill=True), tmp_path)

    assert [n for n, page in enumerate(printed, 1) if "【演练】" not in page] == []
    assert [n for n, page in enumerate(printed, 1) if not re.search(rf"—\s*{n}\s*—", page)] == []
    for page in printed:
        if "103-" in page:
            assert "户编号" in page
    for n in range(1, 61):
        assert sum(page.count(f"103-{n:04d}") for page in printed) == 2
    assert sum("回执识别码" in page for page in printed) == 1


@pytest.mark.office
@pytest.mark.skipif(
    not (shutil.which("soffice") and shutil.which("pdftotext")),
    reason="no LibreOffice here: apt install libreoffice-writer poppler-utils",
)
def test_libreoffice_prints_the_countys_table_on_one_page(tmp_path: Path) -> None:
    printed = pages(samples.bulletin(), tmp_path)

    assert len(printed) == 3
    assert all(name in printed[2] for name, _ in (*samples.UNITS, *samples.DEPARTMENTS))
    assert "合计" in printed[2]
    assert "注：“本期验收”指" in printed[2]


@pytest.mark.office
@pytest.mark.skipif(
    not (shutil.which("soffice") and shutil.which("pdftotext")),
    reason="no LibreOffice here: apt install libreoffice-writer poppler-utils",
)
@pytest.mark.parametrize("rows", [1, 4, 12])
def test_libreoffice_never_prints_seal_and_imprint_on_a_page_without_text(
    tmp_path: Path, rows: int
) -> None:
    printed = pages(samples.supervision(rows, NoticeKind.URGE), tmp_path)

    (last,) = [page for page in printed if "抄送：" in page]
    assert "印发" in last
    assert "附件：办理情况回执" in last
    assert "回执送县清洁取暖工作领导小组办公室" in last
