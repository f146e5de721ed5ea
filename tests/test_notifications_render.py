import re
from html.parser import HTMLParser

import letter_samples as samples
import pytest
from jinja2 import UndefinedError
from msgspec.structs import replace

from notifications import letters, notices, render
from notifications.notices import Notice, NoticeKind

HOSTILE = '<script>alert("1")</script>&<b>村'
KINDS = [notices.kind_of(notice) for notice in samples.every_kind()]


class Page(HTMLParser):
    """The tags that are open, what was opened at all, and the text people see."""

    VOID = ("meta", "col", "hr", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if self.open[-1:] == ["td"]:
            self.cells[-1] += data


def html(notice: Notice) -> Page:
    return Page(render.letter_html(notices.document(notice)))


def text(notice: Notice) -> str:
    return render.letter_text(notices.document(notice))


def everything(notice: Notice) -> list[str]:
    """Every sentence and cell of the letter."""
    letter = letters.letter(notices.document(notice))
    found = [letter.title, letter.addressee]
    found += [one for one in (letter.number, letter.masthead, letter.copies, letter.dated) if one]
    annexed = letter.annex.blocks if letter.annex else ()
    for block in (*letter.blocks, *annexed):
        if isinstance(block, letters.Table):
            found += [cell for row in block.rows for cell in row.cells]
            found += [column.heading for column in block.columns]
        else:
            found.append(block.text)
    return found


@pytest.mark.parametrize("rows", [0, 1, 400])
@pytest.mark.parametrize("index", range(5), ids=KINDS)
def test_a_page_is_well_formed_and_says_everything(index: int, rows: int) -> None:
    notice = samples.every_kind(rows)[index]

    page = html(notice)

    assert page.open == []
    assert [told for told in everything(notice) if told not in page.text] == []


@pytest.mark.parametrize("rows", [0, 1, 400])
@pytest.mark.parametrize("index", range(5), ids=KINDS)
def test_a_text_says_everything(index: int, rows: int) -> None:
    notice = samples.every_kind(rows)[index]

    # A cell that is too long for its column goes on in the next line.
    lines = text(notice)

    short = [told for told in everything(notice) if len(told) < 8 or told.endswith("。")]
    assert [told for told in short if told not in lines] == []


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_a_page_needs_nothing_from_elsewhere(notice: Notice) -> None:
    page = render.letter_html(notices.document(notice))

    assert '<html lang="zh-CN">' in page
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img", page)


def hostile() -> list[Notice]:
    digest, urge, supervise, bulletin, alarm = (
        samples.digest(1),
        samples.supervision(1, NoticeKind.URGE),
        samples.supervision(1),
        samples.bulletin(1),
        samples.alarm(1),
    )
    row = replace(digest.sections[1].rows[0], village=HOSTILE)
    return [
        replace(digest, sections=(replace(digest.sections[1], rows=(row,)),)),
        replace(urge, matters=(replace(urge.matters[0], village=HOSTILE),)),
        replace(supervise, matters=(replace(supervise.matters[0], village=HOSTILE),)),
        replace(bulletin, townships=(replace(bulletin.townships[0], unit_name=HOSTILE),)),
        replace(alarm, households=(replace(alarm.households[0], village=HOSTILE),)),
    ]


@pytest.mark.parametrize("notice", hostile(), ids=KINDS)
def test_what_a_name_holds_is_shown_and_never_run(notice: Notice) -> None:
    page = html(notice)

    assert not {"script", "b"} & page.tags
    assert HOSTILE in page.cells


@pytest.mark.parametrize("field", ["unit_name", "issuer", "addressee", "plan_title", "feedback"])
def test_a_hostile_field_anywhere_is_escaped(field: str) -> None:
    notice = replace(samples.supervision(), drill=True, unverified=(HOSTILE,), copies=(HOSTILE,))

    page = Page(render.letter_html({**notices.document(notice), field: HOSTILE}))

    assert "script" not in page.tags
    # The field, the 抄送 and what is unverified, above the letter and above the slip.
    assert page.text.count(HOSTILE) >= 4


@pytest.mark.parametrize("index", range(5), ids=KINDS)
def test_a_drill_is_marked_at_head_and_foot_of_text_and_on_every_page(index: int) -> None:
    notice = samples.every_kind(drill=True, unverified=("采暖季",))[index]

    lines = text(notice).strip().splitlines()
    page = render.letter_html(notices.document(notice))

    assert lines[0].startswith("【演练·未核实】")
    assert lines[-1] == "【演练·未核实】"
    # In the margin of each printed page, and in red above each part.
    assert '@top-center { content: "【演练·未核实】"' in page
    parts = page.count('<div class="sheet')
    assert page.count('<div class="mark"><b>演练·未核实</b>') == parts


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_what_is_no_drill_carries_no_mark(notice: Notice) -> None:
    assert "演练" not in text(notice)
    assert "未核实" not in text(notice)
    assert "演练" not in render.letter_html(notices.document(notice))


def test_the_slip_comes_on_a_page_of_its_own_with_its_code() -> None:
    page = render.letter_html(notices.document(samples.supervision(12)))
    letter, _, slip = page.partition('<div class="sheet annex slip">')

    code = notices.reply_code("五清办督〔2023〕3号")
    assert code in slip
    assert code not in letter
    assert notices.reply_codes(text(samples.supervision(12))) == [code]


def test_a_name_that_a_template_misses_raises() -> None:
    with pytest.raises(UndefinedError):
        render.render("letter.txt.j2", {"mark": ""})


def test_the_name_at_the_head_stays_on_one_line() -> None:
    assert letters.masthead_size("五台县清洁取暖工作领导小组办公室") == 26
    assert letters.masthead_size("县清洁办") == 48
