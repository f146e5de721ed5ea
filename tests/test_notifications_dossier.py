"""一户一档 as it is looked at: in a browser, in Word, as PDF; and the certificate's PDF."""

import io
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from browser import SIGHTS, Browser, Sight, browser
from county import CODE, COLLECTIVE, HEATING, TOWN, County, carry, fresh, noon

from notifications import dossier as worded
from notifications import dossier_word, pdf, qr, timeline
from notifications.timeline import LEFT, WIDTH, Moment, Stretch
from states.errors import UsageFault
from states.vocabulary import FactKind, State
from workflow import certificate, checkpoint, dossier, register
from workflow.cases import Clocks
from workflow.dossier import Dossier

pytestmark = pytest.mark.once

__all__ = ["browser"]

LATER = date(2024, 4, 10)
LONG = "五台山风景名胜区驼梁景区管理服务中心门限石乡东长城岭行政村" * 3


@pytest.fixture(scope="module")
def county(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    made = fresh(tmp_path_factory.mktemp("dossiers"))
    carry(made, [*TOWN[:3], HEATING], State.STABLE_SEASON)
    made.advance(TOWN[1], FactKind.FAULT, date(2023, 12, 1), ("what", LONG))
    gone = (("facility", "kang"), ("status", "sealed"), ("by", "official"))
    made.advance(TOWN[1], FactKind.OLD_FACILITY, date(2023, 12, 2), *gone)
    violation = (("type", "kang_sealed"), ("by", "official"), ("what", LONG))
    made.advance(TOWN[1], FactKind.VIOLATION, date(2023, 12, 2), *violation)
    made.advance(TOWN[1], FactKind.VISIT, date(2023, 12, 3), ("temperature", "8"))
    yield made
    made.database.close()


def found(county: County, code: str, day: date = date(2023, 12, 20)) -> Dossier:
    with county.database.reading() as connection:
        plan = register.plan_in_force(connection)
        archive = dossier.Archive(connection, plan, Clocks(day, past=True))
        [one] = archive.dossiers([code])
    return one


@pytest.mark.browser
@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("code", [TOWN[0], TOWN[1], HEATING, COLLECTIVE])
def test_a_dossier_is_well_made_on_phone_desk_and_paper(
    county: County, browser: Browser, tmp_path: Path, code: str, sight: Sight
) -> None:
    one = found(county, code)
    file = tmp_path / "page.html"
    nav = [("全县", "../index.html"), ("甲镇", "index.html")]
    file.write_text(worded.page(one.file, one.head, nav), encoding="utf-8")

    assert browser.faults(file, sight) == []


def test_links_of_a_site_stand_on_the_page_and_none_without_a_site(county: County) -> None:
    one = found(county, CODE)

    assert '<a href="../index.html">全县</a>' in worded.page(
        one.file, one.head, [("全县", "../index.html")]
    )
    assert "<a " not in worded.page(one.file, one.head)


def test_markup_in_free_text_stays_text(county: County) -> None:
    one = found(county, TOWN[1])
    assert "<script" not in worded.page(one.file, one.head)

    text = dossier_word._plain('<w:p>&"\x00')

    assert text == "&lt;w:p&gt;&amp;&quot;"


# --- the timeline ---------------------------------------------------------------------------------


def test_marks_of_one_day_stand_one_beneath_the_other() -> None:
    day = date(2023, 9, 1)
    drawn = timeline.draw(
        day - timedelta(days=100),
        day + timedelta(days=100),
        day,
        seasons=[],
        states=[],
        outages=[],
        visits=[],
        moments=[Moment(day, f"事{n}") for n in range(5)],
    )

    assert [mark.row for mark in drawn.marks] == [0, 1, 2, 3, 4]
    assert drawn.rows == 5


@pytest.mark.parametrize("days", [1, 2, 40, 400, 4000])
def test_nothing_is_drawn_outside_and_no_label_is_wider_than_its_bar(days: int) -> None:
    first = date(2023, 4, 10)
    last = first + timedelta(days=days - 1)
    drawn = timeline.draw(
        first,
        last,
        last,
        seasons=[
            Stretch(first - timedelta(days=9), last + timedelta(days=9), "2023-2024", "season")
        ],
        states=[Stretch(first, last, "稳定运行一季", "step5")],
        outages=[Stretch(last, last, "停热", "outage")],
        visits=[(first, 20.0, True), (last, 3.0, False)],
        moments=[Moment(first, "a"), Moment(last, "b")],
    )

    for bar in (*drawn.seasons, *drawn.states, *drawn.outages):
        assert LEFT <= bar.x <= WIDTH
        assert bar.x + bar.width <= WIDTH + 2
        assert not bar.label or len(bar.label) * timeline.ROOM <= bar.width
    for mark in drawn.marks:
        assert mark.x - 8 >= LEFT
        assert mark.x + 8 < WIDTH
    assert all(b - a >= 30 for (a, _), (b, _) in zip(drawn.ticks, drawn.ticks[1:], strict=False))


# --- Word and PDF ---------------------------------------------------------------------------------


def test_a_word_file_is_the_same_bytes_and_holds_every_hash(county: County) -> None:
    one = found(county, TOWN[1])

    made = dossier_word.docx(one.file, one.head)

    assert made == dossier_word.docx(one.file, one.head)
    with zipfile.ZipFile(io.BytesIO(made)) as file:
        text = "".join(re.findall(r"<w:t[^>]*>([^<]*)", file.read("word/document.xml").decode()))
    for event in one.household.events:
        assert event.hash in text


@pytest.mark.office
@pytest.mark.skipif(
    not (shutil.which("soffice") and shutil.which("pdftotext")),
    reason="no LibreOffice here: apt install libreoffice-writer poppler-utils",
)
def test_libreoffice_prints_every_section_of_the_word_file(county: County, tmp_path: Path) -> None:
    one = found(county, TOWN[1])
    (tmp_path / "a.docx").write_bytes(dossier_word.docx(one.file, one.head))
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    subprocess.run(
        ["soffice", profile, "--headless", "--convert-to", "pdf", "a.docx"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    text = printed(tmp_path / "a.pdf")

    for section in one.file.sections:
        assert f"{section.number}、{section.title[:4]}" in text
    assert "演练" in text


def printed(file: Path) -> str:
    done = subprocess.run(["pdftotext", str(file), "-"], check=True, capture_output=True)
    # A hash in a PDF may be broken anywhere, by blanks of no width.
    return re.sub(r"[\s\u200b]", "", done.stdout.decode())


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext here")
def test_a_pdf_is_the_same_bytes_and_holds_every_section(county: County, tmp_path: Path) -> None:
    pytest.importorskip("typst")
    one = found(county, TOWN[1])

    made = pdf.dossier(one.file, one.head)

    assert made == pdf.dossier(one.file, one.head)
    (tmp_path / "a.pdf").write_bytes(made)
    text = printed(tmp_path / "a.pdf")
    for section in one.file.sections:
        assert f"{section.number}、{section.title[:4]}" in text
    assert one.file.last_hash in text


def test_without_typst_the_error_names_the_extra_and_the_browser(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    pdf._compiler.cache_clear()
    one = found(county, CODE)

    with pytest.raises(UsageFault) as refused:
        pdf.dossier(one.file, one.head)

    assert "xianli[pdf]" in str(refused.value.remedy)
    assert "浏览器" in str(refused.value.remedy)


def test_without_a_chinese_font_no_page_of_boxes_is_made(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typst")
    monkeypatch.setattr(pdf, "FAMILIES", ("No Such Font",))
    pdf._compiler.cache_clear()
    one = found(county, CODE)

    with pytest.raises(UsageFault, match="中文字体"):
        pdf.dossier(one.file, one.head)
    pdf._compiler.cache_clear()


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext here")
def test_the_certificates_pdf_says_on_one_page_what_the_html_says(tmp_path: Path) -> None:
    pytest.importorskip("typst")
    made = fresh(tmp_path)
    carry(made, TOWN[:1], State.REMOVAL_PERMITTED)
    checkpoint.make(made.database, noon(LATER))
    with made.database.reading() as connection:
        issued = certificate.certify(connection, CODE, None)
    made.database.close()
    file = tmp_path / "证明.pdf"

    certificate.write(issued, file, force=False)

    assert certificate.same(issued, file)
    assert len(re.findall(rb"/Type\s*/Page\b", file.read_bytes())) == 1
    text = printed(file)
    for name, value in issued.fields.items():
        assert re.sub(r"\s", "", value) in text, name
    for row in issued.rows:
        assert row[5][:24] in text


def test_a_qr_code_as_png_says_the_same_as_the_drawing() -> None:
    from PIL import Image

    picture = Image.open(io.BytesIO(qr.png(CODE))).convert("1")
    side = picture.width // 4
    dark = {
        (x, y)
        for x in range(side)
        for y in range(side)
        if not picture.getpixel((x * 4 + 2, y * 4 + 2))
    }

    assert len(dark) > 150
    assert f'viewBox="0 0 {side} {side}"' in qr.svg(CODE)
