"""The 通报 as a workbook: the table with its charts, and the households behind every figure."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from notifications import figures
from notifications.letters import together
from notifications.notices import Bulletin, Standing, day
from states.identity import PersonalData
from workflow import spreadsheet
from workflow.bulletin import Household

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

HEADINGS = (
    *("序号", "乡镇", "任务数", "确户", "选型", "开工", "安装", "通电（具备使用条件）", "验收"),
    *("完成率", "较上期", "逾期", "排名", "备注"),
)
WIDTHS = (6, 16, 8, 8, 8, 8, 8, 12, 8, 10, 8, 8, 7, 16)
FIGURES = ("task", "confirmed", "selected", "started", "installed", "powered", "accepted")
BEHIND = (
    "责任单位",
    "户编号",
    "村",
    "户主（遮蔽）",
    "环节",
    "开工",
    "安装",
    "通电",
    "验收",
    "逾期",
)
BEHIND_WIDTHS = (14, 14, 14, 14, 14, 8, 8, 8, 8, 8)
PAGE_A4 = 9


def write(
    path: Path,
    notice: Bulletin,
    households: Sequence[Household],
    names: Mapping[str, str],
    personal: Mapping[str, PersonalData],
) -> None:
    """Writes the workbook, whole or not at all; `names` are the units' by code.

    Cells are numbers and strings; none can become a formula. Households are masked.
    """
    import xlsxwriter

    temporary = path.with_name(f".{path.name}.part")
    book = xlsxwriter.Workbook(
        temporary, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    # The same figures give the same file.
    book.set_properties({"created": datetime.combine(notice.as_of, datetime.min.time())})
    cell = {"border": 1, "align": "center", "valign": "vcenter", "font_name": "宋体"}
    bold = {**cell, "bold": True, "bg_color": "#EDEDED"}
    look = {
        "title": book.add_format({"bold": True, "font_size": 18, "align": "center"}),
        "caption": book.add_format({"align": "left", "font_name": "宋体"}),
        "head": book.add_format({**bold, "text_wrap": True}),
        "cell": book.add_format({**cell, "num_format": "0"}),
        "rate": book.add_format({**cell, "num_format": "0.0%"}),
        "sign": book.add_format({**cell, "num_format": "+0;-0;0"}),
        "strong": book.add_format({**bold, "num_format": "0"}),
        "strong_rate": book.add_format({**bold, "num_format": "0.0%"}),
        "strong_sign": book.add_format({**bold, "num_format": "+0;-0;0"}),
    }
    sheet = book.add_worksheet("通报")
    mark = "（演练）" if notice.drill else ""
    sheet.merge_range(0, 0, 0, len(HEADINGS) - 1, "", look["title"])
    sheet.write_string(0, 0, f"清洁取暖改造进展情况通报{mark}", look["title"])
    number = f"{notice.number}　" if notice.number else ""
    ranked = any(one.rank is not None for one in notice.townships)
    basis = "　排名按验收户数与任务数之比，限乡镇" if ranked else ""
    caption = f"{number}截至{notice.as_of.month}月{notice.as_of.day}日（本期{day(notice.since)}起）"
    sheet.write_string(1, 0, f"{caption}　单位：户{basis}", look["caption"])
    if notice.unverified:
        basis = f"未经核实的参数：{'、'.join(notice.unverified)}"
        sheet.write_string(2, 0, basis, look["caption"])
    sheet.set_row(3, 32)  # the longest heading takes two lines
    for column, (heading, width) in enumerate(zip(HEADINGS, WIDTHS, strict=True)):
        sheet.write_string(3, column, heading, look["head"])
        sheet.set_column(column, column, width)

    def line(row: int, first: int | None, one: Standing, style: str) -> None:
        strong = "" if style == "cell" else "strong_"
        if first is None:
            sheet.write_blank(row, 0, None, look[style])
        else:
            sheet.write_number(row, 0, first, look[style])
        sheet.write_string(row, 1, spreadsheet.plain_text(one.unit_name), look[style])
        for column, key in enumerate(FIGURES, 2):
            sheet.write_number(row, column, getattr(one, key) or 0, look[style])
        accepted = one.accepted or 0
        if one.task < figures.RATE_FROM:
            sheet.write_string(row, 9, figures.rate(accepted, one.task), look[style])
        else:
            # As the letter rounds it: one bulletin says one rate.
            share = float(figures.rate(accepted, one.task).rstrip("%")) / 100
            sheet.write_number(row, 9, share, look[f"{strong}rate"])
        sheet.write_number(row, 10, one.change or 0, look[f"{strong}sign"])
        sheet.write_number(row, 11, one.overdue or 0, look[style])
        if one.rank is None:
            sheet.write_string(row, 12, "", look[style])
        else:
            sheet.write_number(row, 12, one.rank, look[style])
        sheet.write_string(row, 13, one.note or "", look[style])

    row, blocks = 4, []
    for name, lines in (("乡（镇）", notice.townships), ("县直部门", notice.departments)):
        if not lines:
            continue
        for column in range(len(HEADINGS)):
            sheet.write_string(row, column, name if column == 1 else "", look["strong"])
        blocks.append((name, row + 1, row + len(lines)))
        for index, one in enumerate(lines, 1):
            line(row + index, index, one, "cell")
        line(row + len(lines) + 1, None, together("小计", lines), "strong")
        row += len(lines) + 2
    line(row, None, together("合计", (*notice.townships, *notice.departments)), "strong")
    sheet.freeze_panes(4, 2)
    _print_set_up(sheet, 3)
    sheet.print_area(0, 0, row, len(HEADINGS) - 1)

    charts = book.add_worksheet("图")
    for place, (name, first, last) in enumerate(blocks):
        chart = book.add_chart({"type": "bar"})
        for column, key, colour in ((2, "任务数", "#BFBFBF"), (8, "验收", "#2E75B6")):
            chart.add_series(
                {
                    "name": key,
                    "categories": ["通报", first, 1, last, 1],
                    "values": ["通报", first, column, last, column],
                    "fill": {"color": colour},
                }
            )
        chart.set_title({"name": f"{name}任务与验收（户）{mark}"})
        chart.set_y_axis({"reverse": True})
        chart.set_legend({"position": "bottom"})
        chart.set_size({"width": 900, "height": 160 + 36 * (last - first + 1)})
        charts.insert_chart(1 + place * 45, 0, chart)
    _print_set_up(charts, None)
    _behind(book.add_worksheet("户明细"), look, households, names, personal)
    spreadsheet.close(book, temporary)
    os.replace(temporary, path)


def _print_set_up(sheet: "Worksheet", heading_row: int | None) -> None:
    sheet.set_paper(PAGE_A4)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(0.5, 0.5, 0.6, 0.6)
    sheet.set_footer("&C第 &P 页，共 &N 页")
    if heading_row is not None:
        sheet.repeat_rows(heading_row)


def _behind(
    sheet: "Worksheet",
    look: Mapping[str, "Format"],
    households: Sequence[Household],
    names: Mapping[str, str],
    personal: Mapping[str, PersonalData],
) -> None:
    for column, (heading, width) in enumerate(zip(BEHIND, BEHIND_WIDTHS, strict=True)):
        sheet.write_string(0, column, heading, look["head"])
        sheet.set_column(column, column, width)
    for row, one in enumerate(households, 1):
        name = personal.get(one.code, PersonalData()).masked().name or ""
        texts = (names[one.unit], one.code, one.village, name, one.state.label)
        for column, text in enumerate(texts):
            sheet.write_string(row, column, spreadsheet.plain_text(text), look["cell"])
        counts = (one.started, one.installed, one.powered, one.accepted, one.overdue)
        for column, counted in enumerate(counts, len(texts)):
            sheet.write_number(row, column, int(counted), look["cell"])
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(1, len(households)), len(BEHIND) - 1)
    _print_set_up(sheet, 0)
