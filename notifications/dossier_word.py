"""一户一档 in the language of Word files: paragraphs and tables as WordprocessingML.

Written as text and parsed once: a household has some four hundred cells, and to add each by
python-docx takes ten times as long. `notifications/word.py` makes the file of it.
"""

from collections.abc import Iterator, Sequence
from html import escape

from notifications import qr, thumbnails, word
from notifications.dossier import Block, File, Grid, Note, Pairs, Papers
from notifications.pages import Head
from notifications.render import DRILL
from notifications.timeline import Timeline
from notifications.word import Sheet
from states.workdays import SHANGHAI

WIDTH = 9978  # twentieths of a point: A4 between margins of 17 mm
_SOFT, _RED, _GOOD, _RULE = "57606A", "B3261E", "1A6B3C", "B5BAC0"
_TONES = {"good": _GOOD, "grave": _RED, "red": _RED, "soft": _SOFT}
_EMU = 914400 / 25.4  # of a millimetre


def docx(file: File, head: Head) -> bytes:
    """The file as a Word document; the same values, the same bytes."""
    pictures: dict[str, bytes] = {}
    body = "".join(_body(file, head, pictures))
    return word.sheet_docx(
        Sheet(
            title=head.title,
            mark=DRILL if head.drill else "",
            running=f"{head.title}　截至 {head.as_of}",
            written_at=head.recorded_until,
            body=body,
            pictures=pictures,
        )
    )


def _body(file: File, head: Head, pictures: dict[str, bytes]) -> Iterator[str]:
    known = ""
    if head.known_at is not None:
        known = f"，按 {head.known_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} 所知"
    words = (
        _line(f"{head.county} · {head.plan_document}", size=17, colour=_SOFT)
        + _line(head.title, size=34, strong=True)
        + _line(f"截至 {head.as_of}{known}", size=18, colour=_SOFT)
        + _line(file.place, size=23, strong=True)
        + _line(f"现处环节：{file.standing}")
        + _line(f"原取暖设施：{file.removal.text}", colour=_TONES.get(file.removal.tone, ""))
    )
    code = _picture(pictures, "qr", qr.png(file.code), 24, 24, f"{file.code} 的二维码")
    yield _table([[words, _paragraph(code)]], (84, 16), ruled=False)
    if file.alarm:
        yield _line(file.alarm, strong=True, colour=_RED)
    for caution in head.cautions:
        yield _line(caution, colour=_RED)
    for section in file.sections:
        yield _line(f"{section.number}、{section.title}", size=23, strong=True, heading=True)
        for block in section.blocks:
            yield from _block(block, pictures)
    if head.unverified:
        mark = "演练·未核实" if head.drill else "未核实"
        yield _line(f"{mark}：所依据的 {'；'.join(head.unverified)}。", size=15, colour=_SOFT)
    recorded = head.recorded_until.astimezone(SHANGHAI)
    yield _line(
        f"{head.plan_title}（{head.plan_document}）。本件由本户的 {file.events} 条日志写成，"
        f"末条编号 {file.last_seq}，登记于 {recorded:%Y-%m-%d %H:%M}（北京时间），"
        f"哈希 {file.last_hash}。个人信息已遮蔽。",
        size=15,
        colour=_SOFT,
    )


def _block(block: Block, pictures: dict[str, bytes]) -> Iterator[str]:
    match block:
        case Pairs():
            yield from _heading(block.heading)
            cells = [
                cell
                for name, value in block.rows
                for cell in (_line(name, colour=_SOFT), _line(value))
            ]
            if len(cells) % 4:
                cells += [_line(""), _line("")]
            rows = [cells[start : start + 4] for start in range(0, len(cells), 4)]
            yield _table(rows, (15, 35, 15, 35)) + _GAP
        case Grid():
            yield from _heading(block.heading)
            head = [_line(name, colour=_SOFT) for name in block.columns]
            rows = [[_line(cell) for cell in row] for row in block.rows]
            for row, hash_ in zip(rows, block.hashes, strict=False):
                row[-1] += _hash(hash_)
            yield _table([head, *rows], block.shares, headed=True) + _GAP
        case Note():
            yield _line(block.text, colour=_TONES.get(block.tone, ""))
        case Papers():
            yield _papers(block, pictures) + _GAP
        case Timeline():
            yield from _timeline(block, pictures)


def _papers(block: Papers, pictures: dict[str, bytes]) -> str:
    rows = []
    for place, one in enumerate(block.papers):
        colour = _RED if one.missing else _SOFT
        if one.picture:
            shown = _picture(pictures, f"paper{place}", one.picture, 15, 15, one.name)
            icon = _paragraph(shown)
        else:
            icon = _line(one.icon, colour=colour)
        words = _line(one.name) + _line(f"{one.told}　{one.belongs}", size=16, colour=colour)
        rows.append([icon, words + _hash(one.sha256)])
    return _table(rows, (10, 90))


def _timeline(block: Timeline, pictures: dict[str, bytes]) -> Iterator[str]:
    high = 112 + block.rows * 20 + 4
    png = thumbnails.timeline_png(block)
    told = f"{block.first} 至 {block.last} 的时间线"
    yield _paragraph(_picture(pictures, "timeline", png, 176, 176 * high / 690, told))
    yield _line(
        "自上而下：月份；采暖季；环节（蓝为确户、选型、施工、验收，绿为稳定运行、允许拆除）；停热（深色为"
        "季内计入的天数，浅色为季外故障）；测温（圆点合格，方框偏冷）；节点。竖虚线为截至日。",
        size=15,
        colour=_SOFT,
    )
    marks = [f"{one.number}. {one.on} {one.text}" for one in block.marks]
    marks += [""] * (-len(marks) % 3)
    rows = [[_line(text, size=16) for text in marks[n : n + 3]] for n in range(0, len(marks), 3)]
    if rows:
        yield _table(rows, (1, 1, 1), ruled=False) + _GAP


# --- paragraphs and tables ------------------------------------------------------------------------


def _heading(text: str) -> Iterator[str]:
    if text:
        yield _line(text, strong=True, next_=True)


def _line(
    text: str,
    *,
    size: int = 18,
    strong: bool = False,
    colour: str = "",
    heading: bool = False,
    next_: bool = False,
) -> str:
    """A paragraph of plain text; `size` in half points."""
    look = word.HEAVY if strong else ""
    look += f'<w:color w:val="{colour}"/>' if colour else ""
    look += f'<w:sz w:val="{size}"/>' if size != 18 else ""
    style = "<w:keepNext/>" if heading or next_ else ""
    if heading:
        style += '<w:pBdr><w:bottom w:val="single" w:sz="8" w:space="2" w:color="000000"/></w:pBdr>'
        style += '<w:spacing w:before="200" w:after="80"/><w:outlineLvl w:val="0"/>'
    return _paragraph(
        f'<w:r>{_properties("r", look)}<w:t xml:space="preserve">{_plain(text)}</w:t></w:r>', style
    )


def _hash(text: str) -> str:
    """A hash, to be broken where the line ends."""
    look = f'{word.MONO}<w:color w:val="{_SOFT}"/><w:sz w:val="12"/>'
    halves = (text[:32], text[32:])
    runs = "</w:t><w:br/><w:t>".join(map(_plain, halves))
    return _paragraph(f"<w:r><w:rPr>{look}</w:rPr><w:t>{runs}</w:t></w:r>")


def _paragraph(content: str, style: str = "") -> str:
    return f"<w:p>{_properties('p', style)}{content}</w:p>"


_GAP = '<w:p><w:pPr><w:spacing w:line="100" w:lineRule="exact"/></w:pPr></w:p>'


def _properties(of: str, look: str) -> str:
    return f"<w:{of}Pr>{look}</w:{of}Pr>" if look else ""


def _table(
    rows: Sequence[Sequence[str]],
    shares: Sequence[int],
    *,
    ruled: bool = True,
    headed: bool = False,
) -> str:
    """A table of the full width whose cells are paragraphs; `headed` repeats its first row."""
    whole = sum(shares)
    widths = [WIDTH * share // whole for share in shares]
    line = f'w:val="single" w:sz="4" w:space="0" w:color="{_RULE}"'
    borders = f"<w:tblBorders><w:bottom {line}/><w:insideH {line}/></w:tblBorders>" if ruled else ""
    drawn = []
    for place, row in enumerate(rows):
        cells = "".join(
            f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr>{cell}</w:tc>'
            for cell, width in zip(row, widths, strict=True)
        )
        head = "<w:tblHeader/>" if headed and place == 0 else ""
        drawn.append(f"<w:tr><w:trPr><w:cantSplit/>{head}</w:trPr>{cells}</w:tr>")
    columns = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    return (
        f'<w:tbl><w:tblPr><w:tblW w:w="{WIDTH}" w:type="dxa"/>{borders}'
        '<w:tblLayout w:type="fixed"/>'
        '<w:tblCellMar><w:left w:w="57" w:type="dxa"/><w:right w:w="57" w:type="dxa"/>'
        "</w:tblCellMar>"
        f"</w:tblPr><w:tblGrid>{columns}</w:tblGrid>{''.join(drawn)}</w:tbl>"
    )


def _picture(
    pictures: dict[str, bytes], name: str, content: bytes, width: float, height: float, told: str
) -> str:
    """A run with a picture of so many millimetres at most; `told` is read to who cannot see it."""
    pictures[name] = content
    across, down = word.pixels(content)
    scale = min(width / across, height / down)
    size = f'cx="{int(across * scale * _EMU)}" cy="{int(down * scale * _EMU)}"'
    number = len(pictures)
    return (
        f'<w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent {size}/>'
        f'<wp:docPr id="{number}" name="{name}" descr="{_plain(told)}"/><a:graphic>'
        '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic>'
        f'<pic:nvPicPr><pic:cNvPr id="{number}" name="{name}"/><pic:cNvPicPr/></pic:nvPicPr>'
        f'<pic:blipFill><a:blip r:embed="{{{name}}}"/><a:stretch><a:fillRect/></a:stretch>'
        f'</pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext {size}/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData>'
        "</a:graphic></wp:inline></w:drawing></w:r>"
    )


def _plain(text: str) -> str:
    """Text as XML may hold it: no control characters, and nothing that would be markup."""
    return escape("".join(one for one in text if one >= " " or one in "\t"))
