from datetime import date

import letter_samples as samples
import pytest
from msgspec.structs import replace

from notifications import letters, notices
from notifications.letters import Letter, Paragraph, Table
from notifications.notices import Heap, Notice, NoticeKind
from states.vocabulary import Role


def worded(notice: Notice) -> Letter:
    return letters.letter(notices.document(notice))


def tables(letter: Letter) -> list[Table]:
    return [block for block in letter.blocks if isinstance(block, Table)]


def prose(letter: Letter) -> str:
    return "\n".join(block.text for block in letter.blocks if not isinstance(block, Table))


def rows(table: Table) -> list[dict[str, str]]:
    names = [column.heading for column in table.columns]
    return [dict(zip(names, row.cells, strict=True)) for row in table.rows if len(row.cells) > 1]


def standings(notice: notices.Bulletin) -> Table:
    annex = worded(notice).annex
    assert annex is not None
    table = annex.blocks[0]
    assert isinstance(table, Table)
    return table


@pytest.mark.parametrize("number", [0, 1, 400])
@pytest.mark.parametrize("index", range(5))
def test_every_row_is_as_wide_as_its_table(index: int, number: int) -> None:
    letter = worded(samples.every_kind(number)[index])

    annexed = letter.annex.blocks if letter.annex else ()
    for block in (*letter.blocks, *annexed):
        if isinstance(block, Table):
            assert {len(row.cells) for row in block.rows} <= {1, len(block.columns)}


def test_days_left_follow_from_the_deadline() -> None:
    row = samples.digest(1).sections[1].rows[0]
    days = [date(2023, 10, 7), date(2023, 10, 8), date(2023, 10, 9), None]
    section = notices.section(Heap.RED, [replace(row, due_on=day) for day in days])

    table = tables(worded(replace(samples.digest(), sections=(section,))))[0]

    assert [line["还剩/已超"] for line in rows(table)] == ["已超1天", "今天到期", "还剩1天", "—"]


def test_a_digest_of_several_units_names_them_and_of_one_does_not() -> None:
    row = samples.digest(1).sections[1].rows[0]
    other = replace(row, unit_name="东冶镇")
    one = replace(samples.digest(), sections=(notices.section(Heap.RED, [row, row]),))
    several = replace(samples.digest(), sections=(notices.section(Heap.RED, [row, other]),))

    assert "责任单位" not in rows(tables(worded(one))[0])[0]
    assert [line["责任单位"] for line in rows(tables(worded(several))[0])] == ["豆村镇", "东冶镇"]


def test_a_long_heap_says_how_many_are_not_shown_and_where_they_are() -> None:
    letter = worded(samples.digest(400))

    assert len(tables(letter)[1].rows) == notices.DIGEST_ROWS
    assert "另有380件，见 xianli todo" in prose(letter)
    assert "逾期·红色预警400件" in prose(letter)


def test_an_empty_digest_says_so_and_has_no_table() -> None:
    letter = worded(samples.digest(0))

    assert prose(letter) == "截至2023年10月8日，没有待您办理的期限事项。"
    assert not tables(letter)


def test_a_digest_greets_by_name_and_office() -> None:
    county = replace(samples.digest(), unit_name=None, role=Role.COUNTY_OFFICE)

    assert worded(samples.digest()).addressee == "张建国（豆村镇责任单位负责人）："
    assert worded(county).addressee == "张建国（县清洁取暖办）："


def test_the_heaps_of_a_digest_keep_their_order_and_empty_ones_are_left_out() -> None:
    headings = [
        block.text
        for block in worded(samples.digest()).blocks
        if isinstance(block, letters.Heading)
    ]

    assert headings == [
        "一、紧急（1件）",
        "二、逾期·红色预警（3件）",
        "三、逾期·黄色预警（3件）",
        "四、7天内到期（3件）",
        "五、其他期限（3件）",
    ]


def test_a_digest_of_many_heaps_is_numbered_on() -> None:
    heap = samples.digest(1).sections[1]

    headings = [
        block.text
        for block in worded(replace(samples.digest(), sections=(heap,) * 12)).blocks
        if isinstance(block, letters.Heading)
    ]

    assert [text.partition("、")[0] for text in headings[8:]] == ["九", "十", "十一", "十二"]


def test_a_letter_cites_plan_clause_rung_and_the_letters_before() -> None:
    text = prose(worded(samples.supervision(12)))

    assert f"《{samples.PLAN}》（五政办发〔2023〕16号）“五、实施步骤（二）”的规定" in text
    assert "你单位有12户超过办理期限，列为红色预警" in text
    assert "此前已发五清办催〔2023〕2号，至今尚未办结" in text
    assert "2023年10月15日前办结" in text


def test_a_letter_says_of_each_household_what_is_late() -> None:
    [one] = samples.supervision(1).matters
    late = (one, replace(one, matter="投诉办理"), replace(one, code="103-0009"))
    letter = worded(replace(samples.supervision(), matters=late))
    assert letter.annex is not None
    slip = letter.annex.blocks[1]
    assert isinstance(slip, Table)

    assert "你单位有2户3件事项超过办理期限" in prose(letter)
    for table in (tables(letter)[0], slip):
        assert [row["逾期事项"] for row in rows(table)] == ["施工完成", "投诉办理", "施工完成"]


def test_what_a_reader_is_only_to_know_does_not_wait_for_him() -> None:
    row = replace(samples.digest(1).sections[1].rows[0], code="", village="全单位", due_on=None)
    news = notices.section(Heap.NEWS, [row])
    alone = worded(replace(samples.digest(), sections=(news,)))
    beside = worded(replace(samples.digest(), sections=(*samples.digest().sections[1:2], news)))

    assert "待您办理" not in prose(alone)
    assert "截至2023年10月8日，有新情况1件。" in prose(alone)
    assert "待您办理的有：逾期·红色预警3件。请由急到缓依次办理；另有新情况1件。" in prose(beside)
    assert list(rows(tables(alone)[0])[0]) == ["户编号", "村", "环节", "情况"]
    assert rows(tables(alone)[0])[0]["户编号"] == "—"


def test_days_over_are_counted_from_the_deadline() -> None:
    table = tables(worded(samples.supervision(1)))[0]

    assert rows(table)[0]["超期（天）"] == "8"


def test_a_letter_of_the_county_without_overdue_households_gives_its_own_cause() -> None:
    letter = worded(replace(samples.supervision(0), level=None, reason="群众来信反映停热。"))

    assert letter.title == "关于豆村镇清洁取暖改造有关事项的督办通知"
    assert "群众来信反映停热。" in prose(letter)
    assert "0户" not in prose(letter)


def test_the_countys_demands_take_the_place_of_the_standing_ones() -> None:
    letter = worded(replace(samples.supervision(), demands=("三日内通电。",)))

    assert "1．三日内通电。" in prose(letter)
    assert letters.SUPERVISE_DEMANDS[0] not in prose(letter)


@pytest.mark.parametrize("form", [NoticeKind.URGE, NoticeKind.SUPERVISE])
def test_the_standing_demands_never_ask_for_an_old_facility(form: NoticeKind) -> None:
    assert letters.BEFORE_REMOVAL in prose(worded(samples.supervision(form=form)))


def test_the_slip_has_the_number_its_code_and_a_line_for_every_matter() -> None:
    annex = worded(samples.supervision(12)).annex
    assert annex is not None
    table = next(block for block in annex.blocks if isinstance(block, Table))

    assert annex.code == notices.reply_code("五清办督〔2023〕3号")
    assert Paragraph("来文编号：五清办督〔2023〕3号　　填报单位：豆村镇") in annex.blocks
    assert [line["户编号"] for line in rows(table)] == [f"103-{n:04d}" for n in range(1, 13)]
    assert {line["办理情况"] + line["办结日期"] + line["责任人签字"] for line in rows(table)} == {
        ""
    }


def test_rates_may_pass_a_hundred_and_small_units_show_counts() -> None:
    found = {line["责任单位"]: line["完成率"] for line in rows(standings(samples.bulletin()))}

    assert found["台城镇"] == "104.9%"
    assert found["建安镇"] == "0/1"
    assert found["陈家庄乡"] == "7/8"
    assert found["交警队"] == "87.5%"


def test_the_bulletin_has_townships_and_departments_apart_and_adds_them_up() -> None:
    table = standings(samples.bulletin())
    bands = [row.cells[0] for row in table.rows if len(row.cells) == 1]
    sums = [
        (line["责任单位"], line["任务数"], line["按期完成概率"], line["排名"])
        for line in rows(table)
        if line["责任单位"] in ("小计", "合计")
    ]

    assert bands == ["乡（镇）", "县直部门"]
    assert sums == [
        ("小计", "1949", "—", "—"),
        ("小计", "2017", "—", "—"),
        ("合计", "3966", "—", "—"),
    ]


def test_a_figure_that_nobody_counted_is_no_column_and_one_that_some_did_has_no_sum() -> None:
    bulletin = samples.bulletin()
    bulletin = replace(
        bulletin,
        townships=tuple(
            replace(line, started=None, chance=None, rank=None) for line in bulletin.townships
        ),
        departments=(
            replace(bulletin.departments[0], started=None, chance=None, rank=None, confirmed=None),
            replace(bulletin.departments[1], started=None, chance=None, rank=None, accepted=None),
        ),
    )

    lines = rows(standings(bulletin))

    assert not {"开工", "按期完成概率", "排名"} & set(lines[0])
    total = lines[-1]
    assert (total["确户"], total["完成率"], total["施工完成"]) == ("—", "—", "3581")
    assert "完成率" not in prose(worded(bulletin))
    assert "确户" not in prose(worded(bulletin))


def test_a_bulletin_without_departments_has_no_block_of_them() -> None:
    table = standings(replace(samples.bulletin(), departments=()))

    assert [row.cells[0] for row in table.rows if len(row.cells) == 1] == ["乡（镇）"]


def test_the_parts_of_a_bulletin_are_numbered_without_a_gap() -> None:
    letter = worded(replace(samples.bulletin(), remarks=()))

    assert [b.text for b in letter.blocks if isinstance(b, letters.Heading)] == [
        "一、总体进展",
        "二、工作要求",
    ]


def test_the_alarm_says_who_why_what_to_do_and_whom_it_went_to() -> None:
    letter = worded(samples.alarm())

    assert letter.urgency == "特急"
    assert letter.title == "关于1户新旧取暖设施均不能供热的紧急报告"
    assert rows(tables(letter)[0])[0]["情况"] == samples.alarm().households[0].why
    assert letters.ALARM_DEMANDS[0] in prose(letter)
    assert "县清洁取暖办、豆村镇负责人" in prose(letter)


@pytest.mark.parametrize(
    ("drill", "unverified", "mark"),
    [
        (False, (), ""),
        (True, (), "演练"),
        (False, ("采暖季",), "未核实"),
        (True, ("采暖季",), "演练·未核实"),
    ],
)
@pytest.mark.parametrize("index", range(5))
def test_a_drill_and_a_doubt_are_marked(
    index: int, drill: bool, unverified: tuple[str, ...], mark: str
) -> None:
    notice = samples.every_kind(drill=drill, unverified=unverified)[index]

    letter = worded(notice)

    assert letter.mark == mark
    assert ("采暖季尚未核实" in letter.caution) is bool(unverified)
    assert ("不是正式公文" in letter.caution) is drill
    assert letters.subject(notices.document(notice)).startswith(
        f"【{mark}】" if mark else letter.title
    )


def test_a_title_that_fills_a_line_is_one_and_one_longer_is_broken_where_sense_allows() -> None:
    fits = worded(samples.supervision())
    broken = worded(replace(samples.supervision(), unit_name="高洪口乡"))

    assert fits.title_lines == ("关于豆村镇清洁取暖改造逾期事项的督办通知",)
    assert len(fits.title) == letters.TITLE_LINE
    assert broken.title_lines == ("关于高洪口乡", "清洁取暖改造逾期事项的督办通知")
    assert "".join(broken.title_lines) == broken.title
