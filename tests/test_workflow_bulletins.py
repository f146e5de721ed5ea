"""Published bulletins: numbered without a gap, frozen, and held against later corrections."""

from datetime import date, datetime
from pathlib import Path

import county
import docx
import letter_samples as samples
import openpyxl
import pytest
from county import (
    ACCEPTED,
    CODE,
    CODES,
    COMPLETED,
    PAPER,
    TOWN,
    County,
    carry,
    complete,
    fresh,
    noon,
)
from msgspec.structs import replace
from python_calamine import CalamineWorkbook

from notifications import bulletin_page, figures, letters, notices, word
from notifications.pages import Head
from states import plan
from states.errors import UsageFault
from states.vocabulary import State
from workflow import audit, bulletin_files, bulletins, report_sheet, revision, verify
from workflow.bulletin import Period
from workflow.bulletin_files import Wanted
from workflow.cases import Clocks
from workflow.errors import NotPermitted


@pytest.fixture
def place(tmp_path: Path) -> County:
    return fresh(tmp_path)


def publish(place: County, on: date, login: str = "li") -> tuple[bulletins.Published, bool]:
    return bulletins.publish(
        place.database, Period.XUN, on, login=login, ranking=True, now=noon(on)
    )


def difference(place: County, number: str) -> bulletins.Difference:
    with place.database.reading() as connection:
        return bulletins.compare(connection, bulletins.named(connection, number))


@pytest.mark.parametrize(
    ("period", "day", "since"),
    [
        (Period.WEEK, date(2023, 9, 15), date(2023, 9, 9)),
        (Period.XUN, date(2023, 9, 10), date(2023, 9, 1)),
        (Period.XUN, date(2023, 9, 11), date(2023, 9, 11)),
        (Period.XUN, date(2023, 8, 31), date(2023, 8, 21)),
        (Period.XUN, date(2024, 2, 29), date(2024, 2, 21)),
        (Period.MONTH, date(2023, 6, 30), date(2023, 6, 1)),
    ],
)
def test_a_period_begins_where_the_calendar_says(period: Period, day: date, since: date) -> None:
    assert period.since(day) == since


def test_the_same_period_is_published_once_and_numbers_have_no_gap(place: County) -> None:
    first, new = publish(place, COMPLETED)
    again, newer = publish(place, COMPLETED)
    second, _ = publish(place, ACCEPTED)

    assert (new, newer, again) == (True, False, first)
    assert first.number.endswith("通〔2023〕1号")
    assert second.number.endswith("通〔2023〕2号")


def test_only_the_county_office_publishes(place: County) -> None:
    with pytest.raises(NotPermitted):
        publish(place, COMPLETED, "wang")
    with place.database.reading() as connection:
        assert not list(bulletins.published(connection))


def test_what_is_recorded_later_is_named_and_the_frozen_figures_stay(place: County) -> None:
    carry(place, TOWN[:3], State.CONSTRUCTION)
    kept, _ = publish(place, COMPLETED)
    assert difference(place, "1").changes == ()

    place.carry_out([complete(CODE)], "wang", COMPLETED)

    found = difference(place, kept.number)
    assert [one.code for one in found.cases] == [CODE]
    assert {event.kind for event in found.cases[0].events} == {"complete"}
    changed = {one.figure: (one.was, one.becomes) for one in found.changes}
    assert changed["powered"] == (0, 1)
    assert {one.unit_name for one in found.changes} == {"甲镇"}
    assert found.published == kept


def test_the_audit_accepts_a_publication_and_finds_figures_that_were_changed(
    place: County, tmp_path: Path
) -> None:
    publish(place, COMPLETED)
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()
        bundle = list(audit.lines(connection))
    forged = [
        {
            key: text.replace('"task":8', '"task":9')
            if isinstance(text, str) and bulletins.PUBLISHED in text
            else text
            for key, text in line.items()
        }
        for line in bundle
    ]

    found = verify.examine(forged)

    assert forged != bundle
    assert any("摘要不符" in finding.message for finding in found.integrity)


def written(
    place: County, folder: Path, day: date, units: list[str] | None = None, *, ranking: bool = True
) -> dict[str, Path]:
    """The bulletin of a day in all three forms, by suffix."""
    formats = ("docx", "xlsx", "html")
    wanted = Wanted(Period.MONTH, Clocks(day, past=True), units, ranking, formats)
    found = bulletin_files.write(place.database, folder, wanted, force=False)
    return {file.suffix[1:]: file for file in found.files}


def texts(files: dict[str, Path]) -> dict[str, str]:
    """All that can be read in each form."""
    word = docx.Document(str(files["docx"]))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    book = openpyxl.load_workbook(files["xlsx"])
    values = [c.value for sheet in book for row in sheet.iter_rows() for c in row]
    return {
        "docx": "\n".join([*(one.text for one in word.paragraphs), *cells]),
        "xlsx": "\n".join(str(value) for value in values if value is not None),
        "html": files["html"].read_text(encoding="utf-8"),
    }


def test_the_workbook_holds_typed_values_charts_and_no_formula(
    place: County, tmp_path: Path
) -> None:
    carry(place, TOWN[:3], State.STABLE_SEASON)
    file = written(place, tmp_path / "out", ACCEPTED)["xlsx"]

    book = openpyxl.load_workbook(file)
    other = CalamineWorkbook.from_path(file)

    assert book.sheetnames == other.sheet_names == ["通报", "图", "进度", "各环节", "户明细"]
    rows = {row[1]: row for row in book["通报"].iter_rows(values_only=True)}
    assert rows["甲镇"][2:9] == (8, 3, 3, 3, 3, 3, 3)
    assert rows["甲镇"][9:13] == ("3/8", 3, 0, 1)
    assert rows["合计"][8:10] == (3, 0.214)
    again = next(row for row in other.get_sheet_by_name("通报").to_python() if row[1] == "甲镇")
    assert again[2:9] == [8, 3, 3, 3, 3, 3, 3]
    assert book["通报"]["B2"].value == datetime.combine(ACCEPTED, datetime.min.time())
    cells = [c for sheet in book for row in sheet.iter_rows() for c in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert {type(c.value) for c in book["进度"]["A"][1:]} == {datetime}
    course = other.get_sheet_by_name("进度").to_python()[1:]
    assert {type(row[0]) for row in course} == {date}
    assert [row[2] for row in course if row[0] == ACCEPTED] == [3]
    to_come = [row[2] for row in course if isinstance(row[0], date) and row[0] > ACCEPTED]
    assert set(to_come) == {""}


def test_the_workbooks_charts_show_the_course_the_states_and_the_task(
    place: County, tmp_path: Path
) -> None:
    file = written(place, tmp_path / "out", ACCEPTED)["xlsx"]

    charts = openpyxl.load_workbook(file)["图"]._charts

    kinds = [type(chart).__name__ for chart in charts]
    assert kinds == ["LineChart", *["BarChart"] * 4]
    assert [chart.grouping for chart in charts[1:]] == ["stacked"] * 2 + ["clustered"] * 2
    assert [len(chart.series) for chart in charts] == [2, 7, 7, 2, 2]


def test_the_households_behind_the_figures_add_up_to_them_and_stay_off_the_paper(
    place: County, tmp_path: Path
) -> None:
    carry(place, TOWN[:3], State.CONSTRUCTION)
    place.carry_out([complete(code) for code in TOWN[:2]], "wang", COMPLETED)
    book = openpyxl.load_workbook(written(place, tmp_path / "out", COMPLETED)["xlsx"])

    sheet = book["户明细"]
    headings = [cell.value for cell in sheet[2]]
    rows = [
        dict(zip(headings, row, strict=True))
        for row in sheet.iter_rows(min_row=3, values_only=True)
    ]
    table = {row[1]: row for row in book["通报"].iter_rows(values_only=True)}

    assert len(rows) == 10
    for column, heading in enumerate(("开工", "安装", "通电", "验收"), 5):
        mine = [row[heading] for row in rows if row["责任单位"] == "甲镇"]
        assert sum(mine) == table["甲镇"][column]
        assert set(mine) <= {0, 1}
    assert {type(row["环节始于"]) for row in rows} == {datetime}
    assert sheet.print_area.endswith("$A$1:$L$1")
    assert {row["户主（遮蔽）"][-1] for row in rows if row["责任单位"] != "热力局"} == {"*"}


def test_no_form_shows_a_name_a_number_or_another_units_figures(
    place: County, tmp_path: Path
) -> None:
    everything = texts(written(place, tmp_path / "all", ACCEPTED))
    own = texts(written(place, tmp_path / "own", ACCEPTED, ["102"]))

    for form, text in everything.items():
        assert "乙乡" in text, form
        for personal in ("张二", "张一", "13835000001", "14092219700101", "前村1号", "0100000001"):
            assert personal not in text, form
    for form, text in own.items():
        assert "乙乡" in text, form
        for other in ("甲镇", "热力局", "101-0001", "排名", "全县任务", "合计"):
            assert other not in text, form


def test_ranking_can_be_left_out_of_every_form_and_each_says_what_it_ranks_by(
    place: County, tmp_path: Path
) -> None:
    ranked = texts(written(place, tmp_path / "ranked", ACCEPTED))
    plain = texts(written(place, tmp_path / "plain", ACCEPTED, ranking=False))

    for form, text in ranked.items():
        assert "排名按完成率，限乡（镇）" in text, form
        assert "完成率为验收合格户数" in text, form
    for form, text in plain.items():
        assert "排名" not in text, form


def test_all_forms_round_alike_and_tell_small_units_in_counts(
    place: County, tmp_path: Path
) -> None:
    carry(place, CODES, State.STABLE_SEASON)
    files = written(place, tmp_path / "out", ACCEPTED)
    said = texts(files)

    assert all("2/2" in text and "6/8" in text for text in said.values())
    assert figures.rate(10, 14) == "71.4%"
    assert all("71.4%" in said[form] for form in ("docx", "html"))
    table = {row[1]: row for row in openpyxl.load_workbook(files["xlsx"])["通报"].values}
    assert table["合计"][9] == 0.714


def test_the_remarks_say_what_matters_in_few_words() -> None:
    line = samples.bulletin().townships[0]
    late = replace(line, accepted=line.task + 2, longest=9, closed=1, chance="3%")

    assert letters.note(late, warned=True) == "超任务2户、逾期最久9天、按期概率3%、已退出1户"
    assert letters.note(late, warned=False) == "超任务2户、逾期最久9天、已退出1户"
    assert letters.note(replace(line, accepted=line.task, longest=0), warned=False) is None


def test_files_that_are_missing_are_written_again_and_those_there_are_left(
    place: County, tmp_path: Path
) -> None:
    wanted = Wanted(Period.XUN, Clocks(ACCEPTED, past=True), None, True, ("docx", "html"))

    def again(*, force: bool = False) -> bulletin_files.Written:
        return bulletin_files.publish(
            place.database, tmp_path, wanted, login="li", now=noon(ACCEPTED), force=force
        )

    first = again()
    kept, gone = first.files
    kept.write_bytes(b"signed and sealed")
    page = gone.read_bytes()
    gone.unlink()

    second = again()

    assert (second.new, second.number, second.files) == (False, first.number, (gone,))
    assert kept.read_bytes() == b"signed and sealed"
    assert gone.read_bytes() == page
    assert again().files == ()
    assert again(force=True).files == (kept, gone)
    assert kept.read_bytes().startswith(b"PK")


def test_a_file_in_the_way_is_refused_before_a_number_is_given(
    place: County, tmp_path: Path
) -> None:
    wanted = Wanted(Period.XUN, Clocks(ACCEPTED, past=True), None, True, ("html",))
    (tmp_path / f"通报-旬-{ACCEPTED}.html").write_text("another", encoding="utf-8")

    with pytest.raises(UsageFault):
        bulletin_files.publish(
            place.database, tmp_path, wanted, login="li", now=noon(ACCEPTED), force=False
        )

    with place.database.reading() as connection:
        assert not list(bulletins.published(connection))


def test_what_was_published_with_ranks_is_not_published_without(place: County) -> None:
    kept, _ = publish(place, COMPLETED)

    with pytest.raises(UsageFault) as refused:
        bulletins.publish(
            *(place.database, Period.XUN, COMPLETED),
            login="li",
            ranking=False,
            now=noon(COMPLETED),
        )

    assert kept.number in str(refused.value)


def test_another_plan_is_named_when_no_household_explains_a_figure(place: County) -> None:
    """A unit that has another name and task is still the same unit."""
    kept, _ = publish(place, COMPLETED)
    text = county.plan_text().replace('name = "甲镇"', 'name = "甲镇街道"')
    for was, becomes in (("8 }", "9 }"), ("14\n", "15\n")):
        text = text.replace(f"households = {was}", f"households = {becomes}")
    ten, eleven = (f'kind = "residential", households = {n}' for n in (10, 11))
    revised = plan.from_toml(text.replace(ten, eleven), "tiny.toml")
    for login in ("li", "zhang"):
        done = revision.revise(place.database, revised, [PAPER], "更名", login, noon(COMPLETED))
    assert done.adopted

    found = difference(place, kept.number)

    told = {(one.unit, one.figure): (one.was, one.becomes) for one in found.changes}
    assert told["101", "task"] == (8, 9)
    assert {unit for unit, _ in told} == {"101"}
    assert found.cases == ()
    assert [rule.kind for rule in found.rules] == ["plan_adopted"]
    assert not found.unexplained


def test_what_no_event_explains_is_said_so(place: County) -> None:
    kept, _ = publish(place, COMPLETED)
    change = bulletins.Change("101", "甲镇", "overdue", 0, 1)

    assert bulletins.Difference(kept, (change,), (), ()).unexplained
    assert not bulletins.Difference(kept, (), (), ()).unexplained


def test_what_is_recorded_in_the_very_same_instant_is_not_in_it(
    place: County, tmp_path: Path
) -> None:
    """Cut by the number of the event, not by the clock: a drill records a whole day at noon."""
    carry(place, TOWN[:2], State.CONSTRUCTION)
    wanted = Wanted(Period.XUN, Clocks(COMPLETED, past=True), None, True, ("xlsx", "html"))
    instant = noon(COMPLETED)
    place.carry_out([complete(TOWN[1])], "wang", COMPLETED)
    kept, _ = publish(place, COMPLETED)
    place.carry_out([complete(CODE)], "wang", COMPLETED)

    files = bulletin_files.publish(
        place.database, tmp_path, wanted, login="li", now=instant, force=False
    ).files

    rows = {row[1]: row for row in openpyxl.load_workbook(files[0])["户明细"].values}
    assert rows[TOWN[1]][7:11] == (1, 1, 1, 0)
    assert rows[CODE][7:11] == (0, 0, 0, 0)
    assert f"日志第 1 至 {kept.known_seq} 条" in files[1].read_text(encoding="utf-8")
    assert [one.code for one in difference(place, kept.number).cases] == [CODE]


def test_more_than_the_whole_is_said_in_every_form(tmp_path: Path) -> None:
    """Of a task of 122 there are 128 accepted: 104.9 %, not cut to 100 %."""
    notice = samples.bulletin()
    head = Head(
        title="通报",
        county="五台县",
        plan_title="方案",
        plan_document="16号",
        as_of=notice.as_of,
        recorded_until=noon(notice.as_of),
        seq=1,
    )
    report_sheet.write(tmp_path / "over.xlsx", notice, [], {}, {})
    (tmp_path / "over.docx").write_bytes(word.letter_docx(notices.document(notice)))
    page = bulletin_page.page(notice, head, "周")
    (tmp_path / "over.html").write_text(page, encoding="utf-8")

    said = texts({form: tmp_path / f"over.{form}" for form in ("docx", "xlsx", "html")})

    assert "104.9%" in said["docx"]
    assert "104.9%" in said["html"]
    table = {row[1]: row for row in openpyxl.load_workbook(tmp_path / "over.xlsx")["通报"].values}
    assert table["台城镇"][9] == 1.049
    assert table["建安镇"][9] == "0/1"
