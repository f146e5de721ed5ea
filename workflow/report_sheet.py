"""The 通报 as a workbook: the table, its charts, and the households behind every figure."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from notifications import figures, letters
from notifications.notices import Bulletin, Standing, day
from states.identity import PersonalData
from states.vocabulary import State
from workflow import spreadsheet
from workflow.bulletin import Household
from workflow.errors import BadFile

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

TABLE, CHARTS, COURSE, STATES, BEHIND = "通报", "图", "进度", "各环节", "户明细"
COLUMNS = (
    *(("序号", 6, ""), ("乡镇", 18, ""), ("任务数", 8, "task"), ("确户", 8, "confirmed")),
    *(("选型", 8, "selected"), ("开工", 8, "started"), ("安装", 8, "installed")),
    *(("通电（具备使用条件）", 12, "powered"), ("验收", 8, "accepted"), ("完成率", 10, "rate")),
    *(("较上期", 8, "change"), ("逾期", 8, "overdue"), ("排名", 7, "rank"), ("备注", 32, "note")),
)
_HEAD_ROW = 3
HOUSEHOLD = (
    *(("责任单位", 18), ("户编号", 13), ("村", 14), ("户主（遮蔽）", 13), ("环节", 15)),
    *(("环节始于", 12), ("办理期限", 12), ("开工", 7), ("安装", 7), ("通电", 7), ("验收", 7)),
    ("逾期", 7),
)
UNPRINTED = "每户一行，供核对通报的数字：各列相加即表中之数。不随通报打印，要打印请清除打印区域。"
# From not begun over works and acceptance to permitted; closed ones are grey.
COLOURS = ("#D9D9D9", "#F8CBAD", "#F4B183", "#9DC3E6", "#2E75B6", "#548235", "#7F7F7F")
PAGE_A4 = 9
DOWNWARD = {"reverse": True, "crossing": "max"}  # the first unit above, the figures below


def write(
    path: Path,
    notice: Bulletin,
    households: Sequence[Household],
    names: Mapping[str, str],
    personal: Mapping[str, PersonalData],
) -> None:
    """Writes the workbook, whole or not at all; `names` are the units' by code. Raises BadFile.

    Cells are numbers, dates and strings; none can become a formula. Households are masked.
    """
    import xlsxwriter

    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        book = xlsxwriter.Workbook(
            temporary, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        # The same figures give the same file.
        book.set_properties({"created": datetime.combine(notice.as_of, datetime.min.time())})
        looks = _Looks(book)
        blocks = _table(book.add_worksheet(TABLE), looks, notice)
        charts = book.add_worksheet(CHARTS)
        points = _course(book.add_worksheet(COURSE), looks, notice) if notice.course else 0
        lines = (*notice.townships, *notice.departments)
        _states(book.add_worksheet(STATES), looks, lines)
        _charts(book, charts, notice, blocks, points)
        _behind(book.add_worksheet(BEHIND), looks, households, names, personal)
        spreadsheet.close(book, temporary)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise BadFile(
            f"写不了 {path}：{error.strerror}", place=str(path), remedy="换一个可写、有空间的文件夹"
        ) from error


class _Looks:
    """How cells look; `strong` ones are sums."""

    def __init__(self, book: "Workbook") -> None:
        self._book = book
        self._made: dict[tuple[str, bool], Format] = {}
        self.title = book.add_format({"bold": True, "font_size": 18, "align": "center"})
        self.caption = book.add_format({"align": "left", "font_name": "宋体"})
        self.day = book.add_format(
            {"align": "left", "font_name": "宋体", "num_format": 'yyyy"年"m"月"d"日"'}
        )
        self.head = book.add_format(
            {
                "border": 1,
                "align": "center",
                "valign": "vcenter",
                "font_name": "宋体",
                "bold": True,
                "bg_color": "#EDEDED",
                "text_wrap": True,
            }
        )

    def cell(self, number: str = "0", *, strong: bool = False, left: bool = False) -> "Format":
        """A cell of the table, made once for each look."""
        key = (f"{number}{left}", strong)
        if key not in self._made:
            wanted: dict[str, object] = {
                "border": 1,
                "valign": "vcenter",
                "font_name": "宋体",
                "num_format": number,
                "align": "left" if left else "center",
            }
            if left:
                wanted["text_wrap"] = True
            if strong:
                wanted |= {"bold": True, "bg_color": "#EDEDED"}
            self._made[key] = self._book.add_format(wanted)
        return self._made[key]


class _Block(Struct, frozen=True):
    """The rows of the townships, or of the departments."""

    name: str
    first: int
    last: int


def _table(sheet: "Worksheet", looks: _Looks, notice: Bulletin) -> list[_Block]:
    everybody = (*notice.townships, *notice.departments)
    ranked = any(one.rank is not None for one in everybody)
    columns = [one for one in COLUMNS if ranked or one[2] != "rank"]
    last = len(columns) - 1
    mark = "（演练）" if notice.drill else ""
    whose = f"·{notice.scope}" if notice.scope else ""
    title = f"清洁取暖改造进展情况通报{whose}{mark}"
    sheet.merge_range(0, 0, 0, last, spreadsheet.plain_text(title), looks.title)
    sheet.write_string(1, 0, "截至", looks.caption)
    _write_day(sheet, 1, 1, notice.as_of, looks.day)
    caption = f"{notice.number or '未编号，未公布'}　本期{day(notice.since)}起　单位：户"
    if ranked:
        caption += "　排名按完成率（验收），限乡（镇）"
    sheet.write_string(1, 2, caption, looks.caption)
    if notice.unverified:
        doubt = f"未经核实的参数：{'、'.join(notice.unverified)}"
        sheet.write_string(2, 0, doubt, looks.caption)
    sheet.set_row(_HEAD_ROW, 32)  # the longest heading takes two lines
    for column, (heading, width, _) in enumerate(columns):
        sheet.write_string(_HEAD_ROW, column, heading, looks.head)
        sheet.set_column(column, column, width)
    row, blocks = _HEAD_ROW + 1, []
    for name, lines in (("乡（镇）", notice.townships), ("县直部门", notice.departments)):
        if not lines:
            continue
        for column in range(len(columns)):
            text = name if column == 1 else ""
            sheet.write_string(row, column, text, looks.cell(strong=True))
        blocks.append(_Block(name, row + 1, row + len(lines)))
        for index, one in enumerate(lines, 1):
            _line(sheet, looks, columns, row + index, index, one)
        row += len(lines) + 1
        if len(everybody) > 1:
            _line(sheet, looks, columns, row, None, letters.together("小计", lines))
            row += 1
    if len(everybody) > 1:
        _line(sheet, looks, columns, row, None, letters.together("合计", everybody))
        row += 1
    sheet.merge_range(row, 0, row, last, letters.terms(notice), looks.cell(left=True))
    sheet.set_row(row, 62)
    sheet.freeze_panes(_HEAD_ROW + 1, 2)
    _print_set_up(sheet, _HEAD_ROW)
    sheet.print_area(0, 0, row, last)
    return blocks


def _line(
    sheet: "Worksheet",
    looks: _Looks,
    columns: Sequence[tuple[str, int, str]],
    row: int,
    place: int | None,
    one: Standing,
) -> None:
    strong = place is None
    plain = looks.cell(strong=strong)
    if place is None:
        sheet.write_blank(row, 0, None, plain)
    else:
        sheet.write_number(row, 0, place, plain)
    sheet.write_string(row, 1, spreadsheet.plain_text(one.unit_name), plain)
    for column, (_, _, key) in enumerate(columns[2:], 2):
        match key:
            case "rate":
                _rate(sheet, looks, row, column, one, strong=strong)
            case "note":
                look = looks.cell(strong=strong, left=True)
                sheet.write_string(row, column, spreadsheet.plain_text(one.note or ""), look)
            case _:
                look = looks.cell("+0;-0;0", strong=strong) if key == "change" else plain
                value = getattr(one, key)
                if value is None:
                    sheet.write_blank(row, column, None, look)
                else:
                    sheet.write_number(row, column, value, look)


def _rate(
    sheet: "Worksheet", looks: _Looks, row: int, column: int, one: Standing, *, strong: bool
) -> None:
    told = figures.rate(one.accepted or 0, one.task)
    if one.accepted is None:
        sheet.write_blank(row, column, None, looks.cell(strong=strong))
    elif one.task < figures.RATE_FROM:
        sheet.write_string(row, column, told, looks.cell(strong=strong))
    else:
        # As the letter rounds it: one bulletin says one rate.
        share = round(float(told.rstrip("%")) / 100, 3)
        sheet.write_number(row, column, share, looks.cell("0.0%", strong=strong))


def _write_day(
    sheet: "Worksheet", row: int, column: int, value: date | None, look: "Format"
) -> None:
    if value is None:
        sheet.write_blank(row, column, None, look)
    else:
        sheet.write_datetime(row, column, datetime.combine(value, datetime.min.time()), look)


def _headings(
    sheet: "Worksheet", looks: _Looks, row: int, columns: Iterable[tuple[str, int]]
) -> None:
    for column, (heading, width) in enumerate(columns):
        sheet.write_string(row, column, heading, looks.head)
        sheet.set_column(column, column, width)


def _course(sheet: "Worksheet", looks: _Looks, notice: Bulletin) -> int:
    """Planned and built week by week; answers how many days."""
    _headings(sheet, looks, 0, (("日期", 14), ("计划完工", 12), ("实际完工", 12)))
    points = notice.course or ()
    for row, one in enumerate(points, 1):
        _write_day(sheet, row, 0, one.on, looks.cell("yyyy-mm-dd"))
        sheet.write_number(row, 1, one.planned, looks.cell())
        if one.actual is None:
            sheet.write_blank(row, 2, None, looks.cell())
        else:
            sheet.write_number(row, 2, one.actual, looks.cell())
    sheet.freeze_panes(1, 0)
    _print_set_up(sheet, 0, landscape=False)
    return len(points)


def _states(sheet: "Worksheet", looks: _Looks, lines: Sequence[Standing]) -> None:
    _headings(sheet, looks, 0, (("责任单位", 22), *((state.label, 14) for state in State)))
    for row, one in enumerate(lines, 1):
        sheet.write_string(row, 0, spreadsheet.plain_text(one.unit_name), looks.cell())
        for column, households in enumerate(one.by_state or (), 1):
            sheet.write_number(row, column, households, looks.cell())
    sheet.freeze_panes(1, 1)
    _print_set_up(sheet, 0)


def _charts(
    book: "Workbook",
    sheet: "Worksheet",
    notice: Bulletin,
    blocks: Sequence[_Block],
    points: int,
) -> None:
    mark = "（演练）" if notice.drill else ""
    sheet.set_default_row(15)  # 20 pixels: so that a chart ends where the page does
    row = 0
    if points:
        chart = book.add_chart({"type": "line"})
        for column, colour, dash in ((1, "#7F7F7F", "dash"), (2, "#2E75B6", "solid")):
            chart.add_series(
                {
                    "name": [COURSE, 0, column],
                    "categories": [COURSE, 1, 0, points, 0],
                    "values": [COURSE, 1, column, points, column],
                    "line": {"color": colour, "width": 2.25, "dash_type": dash},
                }
            )
        chart.set_title({"name": f"施工完成：计划与实际（户）{mark}", "name_font": {"size": 14}})
        chart.set_x_axis(
            {
                "date_axis": True,
                "num_format": 'm"月"d"日"',
                "major_unit": 1,
                "major_unit_type": "months",
            }
        )
        row = _insert(sheet, row, chart, 340)
    # Townships and departments apart: one department has as many households as all townships.
    begin = 1
    for block in blocks:
        end = begin + block.last - block.first
        chart = book.add_chart({"type": "bar", "subtype": "stacked"})
        for column, colour in enumerate(COLOURS, 1):
            chart.add_series(
                {
                    "name": [STATES, 0, column],
                    "categories": [STATES, begin, 0, end, 0],
                    "values": [STATES, begin, column, end, column],
                    "fill": {"color": colour},
                    "gap": 40,
                }
            )
        title = f"{block.name}各环节户数{mark}"
        chart.set_title({"name": title, "name_font": {"size": 14}})
        chart.set_y_axis(DOWNWARD)
        row = _insert(sheet, row, chart, 150 + 22 * (end - begin + 1))
        begin = end + 1
    sheet.set_h_pagebreaks([row])
    row += 1  # below the edge of the page, not on it
    for block in blocks:
        chart = book.add_chart({"type": "bar"})
        for column, key, colour in ((2, "任务数", "#BFBFBF"), (8, "验收", "#2E75B6")):
            chart.add_series(
                {
                    "name": key,
                    "categories": [TABLE, block.first, 1, block.last, 1],
                    "values": [TABLE, block.first, column, block.last, column],
                    "fill": {"color": colour},
                    "gap": 40,
                }
            )
        title = f"{block.name}任务与验收（户）{mark}"
        chart.set_title({"name": title, "name_font": {"size": 14}})
        chart.set_y_axis(DOWNWARD)
        row = _insert(sheet, row, chart, 150 + 34 * (block.last - block.first + 1))
    _print_set_up(sheet, None, landscape=False)


def _insert(sheet: "Worksheet", row: int, chart: object, height: int) -> int:
    """Puts a chart into its place, whose legend is below; answers the row after it."""
    chart.set_legend({"position": "bottom"})  # type: ignore[attr-defined]
    chart.set_size({"width": 860, "height": height})  # type: ignore[attr-defined]
    sheet.insert_chart(row, 0, chart)
    return row + height // 20 + 2


def _print_set_up(sheet: "Worksheet", heading_row: int | None, *, landscape: bool = True) -> None:
    sheet.set_paper(PAGE_A4)
    if landscape:
        sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(0.5, 0.5, 0.6, 0.6)
    sheet.set_footer("&C第 &P 页，共 &N 页")
    if heading_row is not None:
        sheet.repeat_rows(heading_row)


def _behind(
    sheet: "Worksheet",
    looks: _Looks,
    households: Sequence[Household],
    names: Mapping[str, str],
    personal: Mapping[str, PersonalData],
) -> None:
    sheet.write_string(0, 0, UNPRINTED, looks.caption)
    _headings(sheet, looks, 1, HOUSEHOLD)
    for row, one in enumerate(households, 2):
        name = personal.get(one.code, PersonalData()).masked().name or ""
        texts = (names[one.unit], one.code, one.village, name, one.state.label)
        for column, text in enumerate(texts):
            sheet.write_string(row, column, spreadsheet.plain_text(text), looks.cell())
        for column, value in enumerate((one.since, one.due_on), len(texts)):
            _write_day(sheet, row, column, value, looks.cell("yyyy-mm-dd"))
        counts = (one.started, one.installed, one.powered, one.accepted, one.overdue)
        for column, counted in enumerate(counts, len(texts) + 2):
            sheet.write_number(row, column, int(counted), looks.cell())
    sheet.freeze_panes(2, 2)
    sheet.autofilter(1, 0, len(households) + 1, len(HOUSEHOLD) - 1)
    _print_set_up(sheet, None)
    sheet.print_area(0, 0, 0, len(HOUSEHOLD) - 1)
