"""The browser's checks can fail: one bad little page for each, and one that is well made."""

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import SIGHTS, Browser, Sight

pytestmark = pytest.mark.browser

PHONE, DESK, PAPER = (
    next(one for one in SIGHTS if one.name == n) for n in ("phone", "desk", "paper")
)
NIGHT = next(one for one in SIGHTS if one.name == "desk, dark")

Make = Callable[[str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a page of this body, otherwise well made."""

    def made(body: str, head: str = "") -> Path:
        file = tmp_path / "page.html"
        file.write_text(
            '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            '<meta name="color-scheme" content="light dark">'
            '<style>body { font: 15px/1.5 "Noto Sans CJK SC", sans-serif; }'
            "@page { size: A4; margin: 14mm 13mm; }</style>"
            f"{head}<title>页</title></head><body>{body}</body></html>",
            encoding="utf-8",
        )
        return file

    return made


GOOD = """
<h1>先立后破</h1><p>未稳定运行一季的户，<a href="#a">原设施不得拆除</a>。允许拆除 3 户。</p>
<details><summary>说明</summary><p>隐藏的字不算。</p></details>
<input name="code"><div class="scroll" style="overflow-x: auto"><p>短</p></div>
<svg viewBox="0 0 300 40" width="300" role="img"><rect width="300" height="40" fill="#1b1f24"/>
<text x="10" y="25" fill="#fff">施工 1,204 户</text></svg>
"""


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
def test_a_well_made_page_has_no_faults(browser: Browser, make: Make, sight: Sight) -> None:
    assert browser.faults(make(GOOD), sight) == []


BAD = {
    "wide": (PHONE, '<div style="width: 500px">宽</div>', "scroll: the page is"),
    "inner scroll": (
        PHONE,
        '<div style="overflow-x: auto"><p style="width: 900px">宽</p></div>',
        "scroll: inside div",
    ),
    "scroll on paper": (
        PAPER,
        '<div class="scroll" style="overflow-x: auto"><p style="width: 900px">宽</p></div>',
        "scroll: inside div.scroll",
    ),
    "cut by a box": (
        DESK,
        '<div style="overflow: hidden; width: 40px; white-space: nowrap">允许拆除原设施</div>',
        "cut: “允许拆除原设施” by div",
    ),
    "ellipsis": (
        DESK,
        '<p style="overflow: hidden; text-overflow: ellipsis; width: 90px;'
        ' white-space: nowrap">稳定运行一季的户</p>',
        "cut: “稳定运行一季的户” by p",
    ),
    "cut by the drawing": (
        DESK,
        '<svg width="60" height="30"><text x="30" y="20" fill="#777">允许拆除</text></svg>',
        "cut: “允许拆除” by svg",
    ),
    "cut by the page": (
        DESK,
        '<p style="margin-left: -30px">允许拆除</p>',
        "cut: “允许拆除” by the",
    ),
    "overlap": (
        DESK,
        '<p>施工一百户</p><p style="margin-top: -30px">验收九十户</p>',
        "overlap: “施工一百户” and “验收九十户”",
    ),
    "overlap in a drawing": (
        DESK,
        '<svg width="200" height="30"><text x="5" y="20" fill="#777">计划三百</text>'
        '<text x="40" y="22" fill="#777">实际二百</text></svg>',
        "overlap: “计划三百” and “实际二百”",
    ),
    "covered": (
        DESK,
        '<p>看不见的字</p><div style="position: absolute; top: 0; left: 0; width: 300px;'
        ' height: 90px; background: #ccc"></div>',
        "covered: “看不见的字” by div",
    ),
    "covered in a drawing": (
        DESK,
        '<svg width="90" height="30"><text x="5" y="20" fill="#777">看不见</text>'
        '<rect width="90" height="30" fill="#ccc"/></svg>',
        "covered: “看不见” by rect",
    ),
    "small": (PHONE, '<p style="font-size: 7px">太小</p>', "small: “太小” is 7 px"),
    "made small": (
        PHONE,
        '<svg viewBox="0 0 900 100" style="width: 100%">'
        '<text x="5" y="50" fill="#777">太小</text></svg>',
        "small: “太小”",
    ),
    "pale": (DESK, '<p style="color: #aaa">太淡</p>', "contrast: “太淡” 2.32"),
    "see-through": (DESK, '<p style="opacity: .4">太淡</p>', "contrast: “太淡”"),
    "dark on dark": (NIGHT, '<p style="color: #333">太暗</p>', "contrast: “太暗”"),
    "pale on a bar": (
        DESK,
        '<svg width="200" height="40"><rect width="200" height="40" fill="#b9d3ee"/>'
        '<text x="20" y="25" fill="#57a">太淡</text></svg>',
        "contrast: “太淡”",
    ),
    "half on a bar": (
        DESK,
        '<svg width="200" height="40"><rect width="50" height="40" fill="#111"/>'
        '<text x="10" y="25" fill="#111">只有一半看得见</text></svg>',
        "contrast: “只有一半看得见” 1.00",
    ),
    "white on paper": (
        PAPER,
        '<p style="color: #fff; background: #111">印不出底色</p>',
        "contrast: “印不出底色” 1.00",
    ),
    "no glyph": (DESK, "<p>缺\ue5e5字</p>", "glyph: U+E5E5"),
    "console": (DESK, '<p>字</p><img alt="" src="lost.png">', "console: "),
    "script": (DESK, "<p>字</p><script>undefined.f()</script>", "console: "),
    "out of reach": (
        DESK,
        '<p>字</p><a href="#x" tabindex="-1">看</a>',
        "keyboard: never reaches a",
    ),
    "no real link": (DESK, '<p onclick="this.remove()">点这里</p>', "keyboard: never reaches p"),
    "out of turn": (
        DESK,
        '<a href="#1">一</a> <a href="#2" tabindex="1">二</a>',
        "keyboard: out of turn a “二”",
    ),
    "unseen": (DESK, '<a href="#x" style="outline: none">看</a>', "keyboard: does not show a “看”"),
    "empty": (DESK, "", "text: the page shows none"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_page_is_found_out(browser: Browser, make: Make, fault: str) -> None:
    sight, body, told = BAD[fault]

    found = browser.faults(make(body), sight)

    assert [one for one in found if one.startswith(told)], found


def test_a_page_that_knows_no_phone_is_found_out(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text('<!DOCTYPE html><meta charset="utf-8"><title>页</title><p>字', encoding="utf-8")

    assert browser.faults(file, PHONE)[0] == "width: the page is laid out 980 wide instead of 360"


def test_a_wide_table_may_scroll_on_a_screen(browser: Browser, make: Make) -> None:
    body = '<div class="scroll" style="overflow-x: auto"><p style="width: 900px">宽</p></div>'

    assert browser.faults(make(body), PHONE) == []


def test_the_printer_counts_pages(browser: Browser, make: Make) -> None:
    sheet = '<p style="break-after: page">字</p>'

    assert browser.printed(make(sheet * 2 + "<p>字</p>")).pages == 3


def test_a_picture_is_as_wide_as_the_sight(browser: Browser, make: Make) -> None:
    picture = browser.picture(make('<p style="height: 3000px">字</p>'), PHONE)

    assert picture.startswith(b"\x89PNG")
    width, height = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    assert (width, height >= 3000) == (360, True)
