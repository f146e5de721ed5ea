"""Word files: letters in the layout of GB/T 9704-2012, and sheets whose body another file writes.

The only file that knows python-docx.

Not docxtpl: a letter is a sequence of paragraphs and tables of its own width, and the layout is
figures of the standard; they are stated here, not hidden in a binary template nobody can review.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time

import docx
from docx.document import Document as WordFile
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.image.image import Image
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.oxml.table import CT_Row
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.section import Section, _Footer, _Header
from docx.shared import Length, Mm, Pt, RGBColor
from docx.table import Table as WordTable
from docx.table import _Cell
from docx.text.paragraph import Paragraph as WordParagraph
from msgspec import Struct

from notifications import letters
from notifications.letters import Annex, Block, Heading, Letter, Paragraph, Table
from notifications.notices import Document

# GB/T 9704-2012, 5.2 and 7: the fonts offices have; where one is absent Word takes the second.
BODY = "仿宋_GB2312"
TITLE = "方正小标宋简体"
HEAD = "黑体"
SONG = "宋体"
FONTS = {BODY: "仿宋", TITLE: "华文中宋", HEAD: "SimHei", SONG: "SimSun"}
LATIN = "Times New Roman"
RED = RGBColor(0xE6, 0x00, 0x00)

SAN = Pt(16)  # 三号
LINE = Pt(28.9)  # 22 lines on 225 mm
CHARACTER = Pt(15.75)  # 28 characters on 156 mm
TABLE, OFFICIAL_TABLE = Pt(10.5), Pt(12)  # 五号, 小四
REPORT_TABLE = Pt(9)  # 小五
ROOM, TIGHT_ROOM = Pt(2), Pt(0.5)  # above and below the text of a cell
TIGHTER = "-5"  # of 三号, in twentieths of a point, so that 28 characters fit
A4 = (Mm(210), Mm(297))
# ISO/IEC 29500-1, 17.3 and 17.4: the order of the properties that are put in here by hand.
ORDER = {
    "rPr": "rStyle rFonts b bCs i iCs caps smallCaps strike dstrike outline shadow emboss imprint"
    " noProof snapToGrid vanish webHidden color spacing w kern position sz szCs highlight u effect"
    " bdr shd fitText vertAlign rtl cs em lang eastAsianLayout specVanish oMath",
    "pPr": "pStyle keepNext keepLines pageBreakBefore framePr widowControl numPr"
    " suppressLineNumbers pBdr shd tabs suppressAutoHyphens kinsoku wordWrap overflowPunct"
    " topLinePunct autoSpaceDE autoSpaceDN bidi adjustRightInd snapToGrid spacing ind"
    " contextualSpacing mirrorIndents suppressOverlap jc textDirection textAlignment"
    " textboxTightWrap outlineLvl divId cnfStyle rPr sectPr pPrChange",
    "tblPr": "tblStyle tblpPr tblOverlap bidiVisual tblStyleRowBandSize tblStyleColBandSize tblW"
    " jc tblCellSpacing tblInd tblBorders shd tblLayout tblCellMar tblLook",
    "pBdr": "top left bottom right between bar",
    "tblBorders": "top left bottom right insideH insideV",
    "tblCellMar": "top left bottom right",
}
# The oldest moment a zip can say: the same letter is the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def letter_docx(document: Document) -> bytes:
    """The letter of a notice's plain document as a Word file; the same document, the same bytes.

    Raises what `notices.read` raises.
    """
    letter = letters.letter(document)
    file = docx.Document()
    _settle(file, letter)
    _portrait(file.sections[0], official=letter.masthead is not None)
    if letter.mark:
        _caution(file, letter)
    if letter.masthead:
        _head(file, letter, letter.masthead)
    _title(file, letter)
    line = file.add_paragraph()
    _set(line, letter.addressee)
    _blocks(file, letter.blocks, small=letter.masthead is None)
    _end(file, letter)
    if letter.annex:
        _annex(file, letter.annex, official=letter.masthead is not None)
    return _same_bytes(file)


# A sheet that is no letter -----------------------------------------------------------------

# Looks of runs, for who writes a body: strong, and figures of one width.
HEAVY = f'<w:rFonts w:eastAsia="{HEAD}"/><w:b/>'
MONO = '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/>'


class Sheet(Struct, frozen=True, kw_only=True):
    """A4 pages with a running foot; `body` is WordprocessingML.

    A picture stands in the body as `r:embed="{name}"`, and in `pictures` by its name. `mark` is set
    at the head of every page.
    """

    title: str
    mark: str
    running: str
    written_at: datetime
    body: str
    pictures: Mapping[str, bytes]


def sheet_docx(sheet: Sheet) -> bytes:
    """The sheet as a Word file; the same sheet, the same bytes."""
    file = docx.Document()
    normal = file.styles["Normal"]
    _fonts(normal.element.get_or_add_rPr(), SONG)
    normal.font.size = Pt(9)
    _speak_chinese(file)
    shape = normal.paragraph_format
    shape.space_before = shape.space_after = Pt(1)
    shape.line_spacing = 1.0
    properties = file.core_properties
    properties.title = f"【{sheet.mark}】{sheet.title}" if sheet.mark else sheet.title
    properties.author = properties.last_modified_by = properties.comments = ""
    properties.language = "zh-CN"
    properties.created = properties.modified = sheet.written_at.replace(tzinfo=None)
    section = file.sections[0]
    section.page_width, section.page_height = A4
    section.top_margin = section.bottom_margin = Mm(16)
    section.left_margin = section.right_margin = Mm(17)
    section.header_distance = section.footer_distance = Mm(8)
    header, footer = section.header.paragraphs[0], section.footer.paragraphs[0]
    header.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if sheet.mark:
        _set(header, sheet.mark, font=HEAD, size=Pt(9), colour=RED)
    _set(footer, f"{sheet.running}　第 ", font=SONG, size=Pt(8))
    _field(footer, " PAGE ", Pt(8))
    _set(footer, " 页，共 ", font=SONG, size=Pt(8))
    _field(footer, " NUMPAGES ", Pt(8))
    _set(footer, " 页", font=SONG, size=Pt(8))
    body = sheet.body
    for name, content in sheet.pictures.items():
        number, _ = file.part.get_or_add_image(io.BytesIO(content))
        body = body.replace(f'r:embed="{{{name}}}"', f'r:embed="{number}"')
    whole = parse_xml(f"<w:body {nsdecls('w', 'wp', 'a', 'pic', 'r')}>{body}</w:body>")
    last = file.element.body.sectPr
    for element in list(whole):
        last.addprevious(element)
    return _same_bytes(file)


def pixels(picture: bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    image = Image.from_blob(picture)
    return image.px_width, image.px_height


def report_docx(
    *,
    title: str,
    county: str,
    drill: bool,
    unverified: Sequence[str],
    cautions: Sequence[str],
    blocks: Sequence[Block],
    foot: str,
    as_of: date,
) -> bytes:
    """A long report as a Word file in the same layout, without a head in red: it is no letter.

    Tables are set small, so that a row of the annex is one line. The same values, the same bytes.
    """
    mark, caution = letters.marks(drill, unverified)
    file = docx.Document()
    _style(file, small=False)
    _describe(file, f"【{mark}】{title}" if mark else title, county, as_of)
    _edges(file, mark)
    _portrait(file.sections[0], official=True)
    for text in (*([f"【{mark}】{caution}"] if mark else []), *cautions):
        line = file.add_paragraph()
        _set(line, text, font=HEAD, size=Pt(12), colour=RED)
        line.paragraph_format.line_spacing = Pt(18)
        line.paragraph_format.space_after = Pt(6)
        _box(line, "12", "C00000")
    line = file.add_paragraph()
    line.alignment = WD_ALIGN_PARAGRAPH.CENTER
    line.paragraph_format.space_before = line.paragraph_format.space_after = LINE
    line.paragraph_format.line_spacing = Pt(34)
    _set(line, title, font=TITLE, size=Pt(22), spacing="0")
    for block in blocks:
        if isinstance(block, Table):
            _table(file, block, size=REPORT_TABLE, room=TIGHT_ROOM)
        else:
            _blocks(file, (block,), small=False)
    last = file.add_paragraph()
    last.paragraph_format.line_spacing = Pt(20)
    _set(last, foot, size=Pt(12))
    return _same_bytes(file)


# The file as a whole -----------------------------------------------------------------------


def _settle(file: WordFile, letter: Letter) -> None:
    """Fonts, language, properties, the marks at the head and the page number at the foot."""
    _style(file, small=letter.masthead is None)
    title = f"【{letter.mark}】{letter.title}" if letter.mark else letter.title
    _describe(file, title, letter.masthead or "", letter.issued_on)
    file.core_properties.subject = letter.number or ""
    _edges(file, letter.mark)


def _style(file: WordFile, *, small: bool) -> None:
    normal = file.styles["Normal"]
    _fonts(normal.element.get_or_add_rPr(), BODY)
    normal.font.size = Pt(12) if small else SAN
    _speak_chinese(file)
    if not small:
        spacing = _child(normal.element.get_or_add_rPr(), "w:spacing")
        spacing.set(qn("w:val"), TIGHTER)
    shape = normal.paragraph_format
    shape.space_before = shape.space_after = Pt(0)
    shape.line_spacing_rule = WD_LINE_SPACING.EXACTLY
    shape.line_spacing = Pt(20) if small else LINE
    shape.widow_control = True


def _describe(file: WordFile, title: str, author: str, issued_on: date) -> None:
    properties = file.core_properties
    properties.title = title
    properties.author = properties.last_modified_by = author
    properties.comments = ""
    properties.language = "zh-CN"
    properties.created = properties.modified = datetime.combine(issued_on, time(), UTC)


def _edges(file: WordFile, mark: str) -> None:
    file.settings.odd_and_even_pages_header_footer = True
    section = file.sections[0]
    for footer, side in (
        (section.footer, WD_ALIGN_PARAGRAPH.RIGHT),
        (section.even_page_footer, WD_ALIGN_PARAGRAPH.LEFT),
    ):
        _page_number(footer, side)
    for header in (section.header, section.even_page_header):
        _mark(header, mark)


def _speak_chinese(file: WordFile) -> None:
    # Latin text is not Chinese: LibreOffice breaks a year in two where it is said to be.
    language = _child(file.styles["Normal"].element.get_or_add_rPr(), "w:lang")
    language.set(qn("w:val"), "en-US")
    language.set(qn("w:eastAsia"), "zh-CN")
    theme = file.settings.element.find(qn("w:themeFontLang"))
    if theme is not None:
        theme.set(qn("w:eastAsia"), "zh-CN")


def _mark(header: _Header, mark: str) -> None:
    line = header.paragraphs[0]
    line.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if mark:
        _set(line, f"【{mark}】", font=HEAD, size=Pt(16), colour=RED)


def _page_number(footer: _Footer, side: WD_ALIGN_PARAGRAPH) -> None:
    """7.5: 四号宋体 between dashes, one character in from the outer edge."""
    line = footer.paragraphs[0]
    line.alignment = side
    line.paragraph_format.left_indent = line.paragraph_format.right_indent = Pt(14)
    _set(line, "— ", font=SONG, size=Pt(14))
    _field(line, " PAGE ", Pt(14))
    _set(line, " —", font=SONG, size=Pt(14))


def _field(line: WordParagraph, code: str, size: Length) -> None:
    """What Word works out itself: a page's number, how many there are."""
    run = line.add_run()
    run.font.size = size
    _fonts(run._r.get_or_add_rPr(), SONG)
    for kind in ("begin", None, "end"):
        if kind is None:
            text = OxmlElement("w:instrText")
            text.text = code
            run._r.append(text)
        else:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
            run._r.append(mark)


def _portrait(section: Section, *, official: bool) -> None:
    """5.2.1: 天头 37 mm, 订口 28 mm, 版心 156 mm by 225 mm; a plain sheet has narrower edges."""
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = A4
    section.top_margin = Mm(37 if official else 25)
    section.bottom_margin = Mm(35 if official else 22)
    section.left_margin = Mm(28 if official else 18)
    section.right_margin = Mm(26 if official else 18)
    section.header_distance = Mm(18 if official else 12)
    section.footer_distance = Mm(23 if official else 12)


def _across(section: Section) -> None:
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_height, section.page_width = A4
    section.top_margin, section.bottom_margin = Mm(22), Mm(20)
    section.left_margin = section.right_margin = Mm(22)
    section.header_distance, section.footer_distance = Mm(12), Mm(10)


def _same_bytes(file: WordFile) -> bytes:
    package = file.part.package
    for key, relation in list(package.rels.items()):
        if relation.reltype.endswith("/thumbnail"):
            del package.rels[key]  # a picture of another document
    for part in package.iter_parts():
        if part.partname == "/word/fontTable.xml":
            part._blob = _font_table().encode()
    written, settled = io.BytesIO(), io.BytesIO()
    file.save(written)
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(settled, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, EPOCH)
            # A picture is compressed as it is.
            flat = name.startswith("word/media/")
            entry.compress_type = zipfile.ZIP_STORED if flat else zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return settled.getvalue()


def _font_table() -> str:
    fonts = "".join(
        f'<w:font w:name="{name}"><w:altName w:val="{second}"/><w:charset w:val="86"/>'
        f'<w:family w:val="{"swiss" if name == HEAD else "roman"}"/></w:font>'
        for name, second in FONTS.items()
    )
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<?xml version="1.0" encoding="UTF-8"?><w:fonts xmlns:w="{space}">{fonts}</w:fonts>'


# The parts of a letter ---------------------------------------------------------------------


def _caution(file: WordFile, letter: Letter) -> None:
    line = file.add_paragraph()
    _set(line, f"【{letter.mark}】{letter.caution}", font=HEAD, size=Pt(12), colour=RED)
    line.paragraph_format.line_spacing = Pt(18)
    _box(line, "12", "C00000")


def _head(file: WordFile, letter: Letter, masthead: str) -> None:
    """7.2: the name 35 mm below the edge, the number two lines under it, a red line at 4 mm."""
    above: Length = Mm(35)
    if letter.urgency:
        degree = file.add_paragraph()
        _set(degree, letter.urgency, font=HEAD)
        above = Length(above - LINE)
    name = file.add_paragraph()
    name.alignment = WD_ALIGN_PARAGRAPH.CENTER
    # The caution of a drill takes the room above the name.
    name.paragraph_format.space_before = Mm(10) if letter.mark else above
    size = Pt(letters.masthead_size(masthead))
    name.paragraph_format.line_spacing = Length(int(size * 1.4))
    _set(name, masthead, font=TITLE, size=size, colour=RED, spacing="0")
    number = file.add_paragraph()
    number.alignment = WD_ALIGN_PARAGRAPH.CENTER
    number.paragraph_format.space_before = Length(LINE * 2 if letter.number else 0)
    _set(number, letter.number or "")
    rule = _child(number._p.get_or_add_pPr(), "w:pBdr")
    _border(rule, "bottom", "12", "E60000", space="11")
    if not letter.number:
        number.paragraph_format.line_spacing = Pt(4)


def _title(file: WordFile, letter: Letter) -> None:
    """7.3.1: 二号小标宋, two lines under the red line."""
    official = letter.masthead is not None
    line = file.add_paragraph()
    line.alignment = WD_ALIGN_PARAGRAPH.CENTER
    line.paragraph_format.space_before = Length(LINE * 2 if official else 0)
    line.paragraph_format.space_after = LINE if official else Pt(10)
    line.paragraph_format.line_spacing = Pt(34 if official else 28)
    for index, words in enumerate(letter.title_lines):
        if index:
            line.add_run().add_break()
        _set(line, words, font=TITLE, size=Pt(22 if official else 18), spacing="0")


def _blocks(file: WordFile, blocks: Iterable[Block], *, small: bool) -> None:
    for block in blocks:
        match block:
            case Heading():
                line = file.add_paragraph()
                line.paragraph_format.keep_with_next = True
                _indent(line, small=small)
                _set(line, block.text, font=HEAD)
            case Paragraph():
                line = file.add_paragraph()
                line.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
                _indent(line, small=small)
                _set(line, block.text, colour=RED if block.grave else None)
            case Table():
                _table(file, block, size=TABLE if small else OFFICIAL_TABLE)


def _indent(line: WordParagraph, *, small: bool) -> None:
    line.paragraph_format.first_line_indent = Length((Pt(12) if small else CHARACTER) * 2)


def _end(file: WordFile, letter: Letter) -> None:
    """附件说明, 署名, 成文日期, 版记; 7.3.5.5: they never stand on a page without text."""
    file.paragraphs[-1].paragraph_format.keep_with_next = letter.signature is not None
    if letter.enclosure:
        line = file.add_paragraph()
        line.paragraph_format.space_before = LINE
        line.paragraph_format.keep_with_next = True
        _indent(line, small=False)
        _set(line, letter.enclosure)
    if letter.signature and letter.dated:
        _signed(file, letter.signature, letter.dated)
    if letter.printed:
        _imprint(file, letter)


def _signed(file: WordFile, signature: str, dated: str) -> None:
    """7.3.5.1: the date four characters from the right, the office's name centred above it.

    A name too long for that takes the right edge, and the date is centred under it.
    """
    width = file.sections[0].page_width, file.sections[0].left_margin, file.sections[0].right_margin
    page, left, right = (int(one or 0) for one in width)
    text = page - left - right
    wide = Length(CHARACTER * len(signature) + Pt(6))
    narrow = Length(CHARACTER * 3 + Pt(8) * (len(dated) - 3) + Pt(6))
    block = min(max(wide, narrow), text)
    middle = max(CHARACTER * 4 + narrow // 2, CHARACTER + block // 2)
    after = max(middle - block // 2, 0)
    for index, words in enumerate((signature, dated)):
        line = file.add_paragraph()
        line.alignment = WD_ALIGN_PARAGRAPH.CENTER
        line.paragraph_format.space_before = Length(LINE * 2 if index == 0 else 0)
        line.paragraph_format.left_indent = Length(text - after - block)
        line.paragraph_format.right_indent = Length(after)
        line.paragraph_format.keep_with_next = True
        _set(line, words)


def _imprint(file: WordFile, letter: Letter) -> None:
    """7.4: 四号, between lines of the width of the text."""
    rows = ([(letter.copies, "")] if letter.copies else []) + [
        (letter.signature or "", letter.printed or "")
    ]
    gap = file.add_paragraph()
    gap.paragraph_format.keep_with_next = True
    table = file.add_table(rows=len(rows), cols=2)
    _fixed(table, (100, 56), Mm(156))
    borders = _child(table._tbl.tblPr, "w:tblBorders")
    _border(borders, "top", "8", "000000")
    _border(borders, "bottom", "8", "000000")
    _border(borders, "insideH", "6", "000000")
    for row, (first, second) in zip(table.rows, rows, strict=True):
        _never_split(row._tr)
        cells = row.cells
        if not second:
            cells[0].merge(cells[1])
        _fill(cells[0], first, size=Pt(14), left=True)
        if second:
            _fill(cells[1], second, size=Pt(14), left=False)
            cells[1].paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.RIGHT
        else:
            cells[0].paragraphs[0].paragraph_format.keep_with_next = True


def _annex(file: WordFile, annex: Annex, *, official: bool) -> None:
    section = file.add_section(WD_SECTION.NEW_PAGE)
    if annex.wide:
        _across(section)
    else:
        _portrait(section, official=official)
    label = file.add_paragraph()
    label.paragraph_format.line_spacing = Pt(20) if annex.wide else LINE
    _set(label, annex.label, font=HEAD)
    title = file.add_paragraph()
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    title.paragraph_format.space_after = Pt(0 if annex.wide else 10)
    title.paragraph_format.line_spacing = Pt(26 if annex.wide else 34)
    _set(title, annex.title, font=TITLE, size=Pt(18 if annex.wide else 22), spacing="0")
    if annex.code:
        line = file.add_paragraph()
        line.paragraph_format.space_after = Pt(8)
        line.paragraph_format.line_spacing = Pt(22)
        _box(line, "6", "000000", kind="dashed")
        text = f"回执识别码：{annex.code}（请保留，办结时凭此销号）"
        _set(line, text, font=HEAD, size=Pt(12), spacing="0")
    for block in annex.blocks:
        if isinstance(block, Table):
            if annex.wide:
                _table(file, block, size=TABLE, room=TIGHT_ROOM)
            else:
                _table(file, block, size=OFFICIAL_TABLE, slip=True)
        elif isinstance(block, Paragraph):
            line = file.add_paragraph()
            line.paragraph_format.line_spacing = Pt(18 if annex.wide else 26)
            line.paragraph_format.keep_with_next = block is not annex.blocks[-1]
            _set(line, block.text, size=Pt(12 if annex.wide else 14), spacing="0")


# Tables ------------------------------------------------------------------------------------


def _table(
    file: WordFile, block: Table, *, size: Length, room: Length = ROOM, slip: bool = False
) -> None:
    """A ruled table of the full width; on a `slip` the rows leave room to write."""
    if block.caption:
        line = file.add_paragraph()
        line.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        line.paragraph_format.keep_with_next = True
        line.paragraph_format.line_spacing = Pt(20)
        _set(line, block.caption, size=Pt(12), spacing="0")
    section = file.sections[-1]
    edges = (section.page_width, section.left_margin, section.right_margin)
    page, left, right = (int(one or 0) for one in edges)
    table = file.add_table(rows=len(block.rows) + 1, cols=len(block.columns))
    _fixed(table, tuple(column.width for column in block.columns), Length(page - left - right))
    borders = _child(table._tbl.tblPr, "w:tblBorders")
    for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
        _border(borders, side, "4", "000000")
    heading, *lines = table.rows
    _never_split(heading._tr)
    _child(heading._tr.get_or_add_trPr(), "w:tblHeader")
    for cell, column in zip(heading.cells, block.columns, strict=True):
        _fill(cell, column.heading, font=HEAD, size=size, room=room, left=False)
    for drawn, row in zip(lines, block.rows, strict=True):
        _never_split(drawn._tr)
        if slip:
            drawn.height = Mm(10)
        cells = drawn.cells
        if len(row.cells) == 1:
            band = cells[0].merge(cells[-1])
            _fill(band, row.cells[0], font=HEAD, size=size, room=room, left=True)
            band.paragraphs[0].paragraph_format.keep_with_next = True
            continue
        for cell, text, column in zip(cells, row.cells, block.columns, strict=True):
            font = HEAD if row.strong else BODY
            _fill(cell, text, font=font, size=size, room=room, left=column.left)
    after = file.add_paragraph()
    after.paragraph_format.line_spacing = Pt(5)


def _fixed(table: WordTable, shares: tuple[int, ...], width: Length) -> None:
    """Columns of a fixed share of the width: what is long is wrapped, nothing is cut."""
    table.autofit = False
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    total = sum(shares)
    whole = _child(table._tbl.tblPr, "w:tblW")
    whole.set(qn("w:type"), "dxa")
    whole.set(qn("w:w"), str(int(width.twips)))
    margins = _child(table._tbl.tblPr, "w:tblCellMar")
    for side in ("left", "right"):
        margin = _child(margins, f"w:{side}")
        margin.set(qn("w:w"), "57")
        margin.set(qn("w:type"), "dxa")
    sizes = [Length(width * share // total) for share in shares]
    for column, size in zip(table.columns, sizes, strict=True):
        column.width = size
    for row in table.rows:
        for cell, size in zip(row.cells, sizes, strict=True):
            cell.width = size


def _fill(
    cell: _Cell,
    text: str,
    *,
    left: bool,
    font: str = BODY,
    size: Length,
    room: Length = ROOM,
) -> None:
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    paragraph = cell.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.line_spacing = Length(int(size * 1.35))
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = room
    _set(paragraph, text, font=font, size=size, spacing="0")


def _never_split(row: CT_Row) -> None:
    _child(row.get_or_add_trPr(), "w:cantSplit")


# Runs and elements -------------------------------------------------------------------------


def _set(
    line: WordParagraph,
    text: str,
    *,
    font: str | None = None,
    size: Length | None = None,
    colour: RGBColor | None = None,
    spacing: str | None = None,
) -> None:
    run = line.add_run(text)
    properties = run._r.get_or_add_rPr()
    _fonts(properties, font or BODY)
    if size is not None:
        run.font.size = size
    if colour is not None:
        run.font.color.rgb = colour
    if spacing is not None:
        _child(properties, "w:spacing").set(qn("w:val"), spacing)


def _fonts(properties: BaseOxmlElement, name: str) -> None:
    """Latin and Chinese fonts apart; the hint sets “ ” and — in the Chinese one."""
    fonts = _child(properties, "w:rFonts")
    for attribute in ("ascii", "hAnsi", "cs"):
        fonts.set(qn(f"w:{attribute}"), LATIN)
    fonts.set(qn("w:eastAsia"), name)
    fonts.set(qn("w:hint"), "eastAsia")
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{theme}"), None)


def _box(line: WordParagraph, size: str, colour: str, *, kind: str = "single") -> None:
    # The lines stand outside the text; the indents bring them back within the 版心.
    line.paragraph_format.left_indent = line.paragraph_format.right_indent = Pt(6)
    borders = _child(line._p.get_or_add_pPr(), "w:pBdr")
    for side in ("top", "left", "bottom", "right"):
        _border(borders, side, size, colour, kind=kind, space="4")


def _border(
    parent: BaseOxmlElement,
    side: str,
    size: str,
    colour: str,
    *,
    kind: str = "single",
    space: str = "1",
) -> None:
    border = _child(parent, f"w:{side}")
    border.set(qn("w:val"), kind)
    border.set(qn("w:sz"), size)
    border.set(qn("w:space"), space)
    border.set(qn("w:color"), colour)


def _child(parent: BaseOxmlElement, tag: str) -> BaseOxmlElement:
    """The child of this tag, put in where the schema wants it; Word refuses another order."""
    found: BaseOxmlElement | None = parent.find(qn(tag))
    if found is not None:
        return found
    made = OxmlElement(tag)
    order = ORDER.get(parent.tag.rpartition("}")[2], tag.removeprefix("w:")).split()
    after = {qn(f"w:{name}") for name in order[order.index(tag.removeprefix("w:")) + 1 :]}
    following = next((child for child in parent if child.tag in after), None)
    if following is None:
        parent.append(made)
    else:
        following.addprevious(made)
    return made
