"""PDFs from Typst templates: the only file that knows typst, and the font that it sets with.

Both come with the extra `pdf`. The font is looked for first: without one typst would set a page of
empty boxes and say nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from notifications import qr
from notifications.dossier import Block, File, Grid, Note, Pairs, Papers
from notifications.pages import Head
from notifications.render import DRILL
from notifications.timeline import Timeline
from states.errors import UsageFault
from states.workdays import SHANGHAI

if TYPE_CHECKING:
    import typst

_TEMPLATES = Path(__file__).parent / "templates"
# What Debian's fonts-noto-cjk and Adobe's own packages are called.
FAMILIES = ("Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC")
_INSTEAD = '安装 pip install "xianli[pdf]"；或写成 html，用浏览器的打印另存为 PDF'


def dossier(file: File, head: Head) -> bytes:
    """一户一档 as a PDF; the same values, the same bytes.

    Raises UsageFault where typst or a Chinese font is not installed.
    """
    recorded = head.recorded_until.astimezone(SHANGHAI)
    return _set(
        "dossier.typ",
        {
            "drill": DRILL if head.drill else "",
            "county": f"{head.county} · {head.plan_document}",
            "title": head.title,
            "clocks": f"截至 {head.as_of}" + _known_at(head),
            "place": file.place,
            "standing": file.standing,
            "removal": {"text": file.removal.text, "tone": file.removal.tone},
            "alarm": file.alarm,
            "cautions": list(head.cautions),
            "qr": qr.svg(file.code),
            "sections": [
                {
                    "title": f"{section.number}、{section.title}",
                    "blocks": [_block(block) for block in section.blocks],
                }
                for section in file.sections
            ],
            "unverified": _unverified(head),
            "foot": f"{head.plan_title}（{head.plan_document}）。"
            f"本件由本户的 {file.events} 条日志写成，末条编号 {file.last_seq}，"
            f"登记于 {recorded:%Y-%m-%d %H:%M}（北京时间），哈希 {file.last_hash}。"
            "个人信息已遮蔽。",
            "running": f"{head.title}　截至 {head.as_of}",
        },
    )


def certificate(fields: Mapping[str, str], rows: Sequence[Sequence[str]], *, drill: bool) -> bytes:
    """The removal certificate as a PDF of one page where its chain of facts has room.

    The same certificate, the same bytes. Raises as `dossier`.
    """
    drawing = qr.svg(fields["qr_text"])
    return _set(
        "certificate.typ",
        {
            "fields": {**fields, "qr_hash": hashlib.sha256(drawing.encode()).hexdigest()},
            "rows": [list(row) for row in rows],
            "drill": DRILL if drill else "",
            "qr": drawing,
        },
    )


def _known_at(head: Head) -> str:
    if head.known_at is None:
        return ""
    return f"，按 {head.known_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} 所知"


def _unverified(head: Head) -> str:
    if not head.unverified:
        return ""
    mark = "演练·未核实" if head.drill else "未核实"
    return f"{mark}：所依据的 {'；'.join(head.unverified)}。"


def _block(block: Block) -> dict[str, object]:
    match block:
        case Pairs():
            return {"kind": "pairs", "heading": block.heading, "rows": block.rows}
        case Grid():
            return {
                "kind": "grid",
                "heading": block.heading,
                "columns": block.columns,
                "shares": block.shares,
                "rows": block.rows,
                "hashes": block.hashes,
            }
        case Note():
            return {"kind": "note", "text": block.text, "tone": block.tone}
        case Papers():
            return {
                "kind": "papers",
                "papers": [
                    {
                        "name": one.name,
                        "sha256": one.sha256,
                        "belongs": one.belongs,
                        "told": one.told,
                        "icon": one.icon,
                        "missing": one.missing,
                        "picture": list(one.picture) if one.picture else None,
                    }
                    for one in block.papers
                ],
            }
        case Timeline():
            return _timeline(block)


def _timeline(block: Timeline) -> dict[str, object]:
    lanes = {
        name: [
            {"x": bar.x, "width": bar.width, "label": bar.label, "tone": bar.tone} for bar in bars
        ]
        for name, bars in (
            ("seasons", block.seasons),
            ("states", block.states),
            ("outages", block.outages),
        )
    }
    return {
        "kind": "timeline",
        "ticks": block.ticks,
        "dots": [{"x": dot.x, "warm": dot.warm} for dot in block.dots],
        "marks": [
            {
                "x": one.x,
                "row": one.row,
                "number": one.number,
                "tone": one.tone,
                "told": f"{one.number}. {one.on} {one.text}",
            }
            for one in block.marks
        ],
        "rows": block.rows,
        "today": block.today,
        **lanes,
    }


def _set(template: str, values: Mapping[str, object]) -> bytes:
    compiler, family = _compiler(template)
    inputs = {"data": json.dumps(values, ensure_ascii=False), "font": family}
    made = compiler.compile(format="pdf", sys_inputs=inputs, timestamp=0)
    assert isinstance(made, bytes)
    return made


@cache
def _compiler(template: str) -> "tuple[typst.Compiler, str]":
    """What sets this template, and the family of the font."""
    try:
        import typst
    except ImportError:
        raise UsageFault("写 PDF 要用 typst，这里没有安装", place="pdf", remedy=_INSTEAD) from None
    folders = _font_folders()
    # Only the font of the extra, where it is there: another machine, the same page.
    fonts = typst.Fonts(include_system_fonts=not folders, font_paths=folders)
    family = next((name for name in FAMILIES if name in fonts.families()), None)
    if family is None:
        raise UsageFault(
            f"写 PDF 要有中文字体，这里没有（{'、'.join(FAMILIES)} 之一）",
            place="pdf",
            remedy=f"{_INSTEAD}；Debian 上也可以装 fonts-noto-cjk",
        )
    compiler = typst.Compiler(_TEMPLATES / template, root=_TEMPLATES, font_paths=fonts)
    return compiler, family


def _font_folders() -> list[Path]:
    """Where the font of the extra lies; nowhere when it is not installed."""
    try:
        import noto_cjk
    except ImportError:
        return []
    try:
        return [Path(noto_cjk.otc_path("sans")).parent]
    except noto_cjk.FontNotInstalled:
        return []
