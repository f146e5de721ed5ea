"""The dashboard's words and drawings: exact, never clamped, never a misleading rate."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from notifications import charts, dashboard
from notifications.dashboard import (
    Alarm,
    AnnexLine,
    Board,
    Curve,
    Flow,
    Milestone,
    OpenMatter,
    Outlook,
    Proof,
    Season,
    UnitLine,
)
from notifications.pages import Head
from states import lifecycle
from states.vocabulary import Area, FactKind, Kind, Level, Path, State, Trigger

DAY = date(2023, 9, 15)
FIRST, LAST = date(2023, 5, 19), date(2023, 11, 4)
TARGET = date(2023, 9, 28)
AT = datetime(2023, 9, 15, 4, tzinfo=UTC)
HEAD = Head(
    title="看板",
    county="五台县",
    plan_title="方案",
    plan_document="五政办发〔2023〕16号",
    as_of=DAY,
    recorded_until=AT,
    seq=12,
)
PROOF = Proof(AT, 12, None, None, None, None, 0, None, 12, AT, 3, False, 0, 0)
NO_SEASON = Season(0, 0, {}, {}, {}, 0, 0, ())


def curve(task: int, done: int, step: Trigger = Trigger.COMPLETE) -> Curve:
    planned = ((FIRST, 0), (TARGET, task), (LAST, task))
    actual = ((date(2023, 7, 1), done),) if done else ()
    return Curve(step, task, TARGET, done, task // 2, planned, actual)


def line(name: str, task: int, done: int, **other: object) -> UnitLine:
    values: dict[str, object] = {
        "code": name,
        "name": name,
        "department": False,
        "rank": None,
        "task": task,
        "cases": task,
        "done": done,
        "permitted": 0,
        "overdue": 0,
        "at_risk": 0,
        "rungs": {},
        "curves": {step: curve(task, done, step) for step in dashboard.STEPS},
        "outlook": None,
    }
    return UnitLine(**{**values, **other})  # type: ignore[arg-type]


def board(*units: UnitLine, **other: object) -> Board:
    total = line("合计", sum(u.task for u in units), sum(u.done for u in units))
    values: dict[str, object] = {
        "as_of": DAY,
        "whole": True,
        "alarms": (),
        "matters": (),
        "matters_overdue": 0,
        "milestones": (),
        "units": units,
        "total": total,
        "annex": (),
        "flow": Flow(0, {}, (), {}),
        "season": NO_SEASON,
        "proof": PROOF,
        "first_day": FIRST,
        "last_day": LAST,
    }
    return Board(**{**values, **other})  # type: ignore[arg-type]


def texts(page: str) -> str:
    """What a reader reads, the drawings' words too."""
    body = page.partition("<body>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_a_unit_of_one_household_has_counts_and_no_rate() -> None:
    page = texts(dashboard.page(board(line("建安镇", 1, 1), line("豆村镇", 686, 343)), HEAD))

    assert "1/1" in page
    assert "50.0%" in page
    assert "建安镇 1 / 1" in page
    assert "100.0%" not in page


def test_a_rate_over_all_is_not_clamped() -> None:
    over = board(line("豆村镇", 100, 130), line("台城镇", 100, 20))

    page = dashboard.page(over, HEAD)

    assert "130.0%" in page
    # The mark of the whole stands inside the bar, which goes on beyond it.
    assert 'width="100.0"' in page
    assert "M76.9 0V9" in page


def test_the_plot_is_as_high_as_the_highest() -> None:
    drawn = charts.curve(
        charts.WIDE,
        title="",
        told="",
        span=(FIRST, LAST),
        as_of=DAY,
        target_on=TARGET,
        task=100,
        planned=((FIRST, 0), (TARGET, 100)),
        actual=((date(2023, 7, 1), 130),),
        band=(),
        done=130,
    )

    heights = [float(point.partition(",")[2]) for point in drawn.actual.split()]
    assert min(heights) == charts.WIDE.top
    assert drawn.now is not None
    assert drawn.now[1] == charts.WIDE.top
    task = next(one for one in drawn.lines if one.kind == "task")
    assert task.y1 > charts.WIDE.top


def test_a_stair_stands_between_its_changes() -> None:
    drawn = charts.curve(
        charts.SMALL,
        title="",
        told="",
        span=(FIRST, FIRST + timedelta(days=100)),
        as_of=FIRST + timedelta(days=50),
        target_on=TARGET,
        task=4,
        planned=(),
        actual=((FIRST - timedelta(days=9), 1), (FIRST + timedelta(days=20), 3)),
        band=(),
        done=3,
    )

    points = [tuple(map(float, point.split(","))) for point in drawn.actual.split()]
    heights = [y for _, y in points]
    assert len(points) == 4
    assert heights[0] == heights[1] > heights[2] == heights[3]


@pytest.mark.parametrize("on", [FIRST - timedelta(days=30), FIRST, LAST, LAST + timedelta(days=90)])
@pytest.mark.parametrize("size", [charts.WIDE, charts.NARROW, charts.SMALL])
@pytest.mark.parametrize(("task", "done"), [(0, 0), (1, 1), (3966, 0), (3966, 4100)])
def test_no_word_of_a_curve_leaves_the_drawing(
    on: date, size: charts.Size, task: int, done: int
) -> None:
    drawn = charts.curve(
        size,
        title="",
        told="",
        span=(FIRST, LAST),
        as_of=on,
        target_on=TARGET,
        task=task,
        planned=(),
        actual=((FIRST, done),),
        band=(),
        done=done,
    )

    for word in drawn.words:
        wide = charts.width(word.text, size.font)
        left = word.x - {"start": 0, "middle": wide / 2, "end": wide}[word.anchor]
        assert left >= -2
        assert left + wide <= size.width + 2
        assert size.font - 3 <= word.y <= size.height


def test_every_way_that_was_gone_is_drawn_and_no_two_lie_on_each_other() -> None:
    every = [
        (step.trigger, source, target, 3)
        for step in lifecycle.STEPS
        for source, target in step.moves.items()
    ]

    drawn = charts.flow(dict.fromkeys(State, 7), every, 99)

    told = " ".join(word.text for word in drawn.words)
    back = ("验收不合格", "抽查推翻", "换机", "换径", "撤销许可", "退回")
    for trigger in back:
        assert f"{trigger} 3" in told
    assert "恢复 3" in told
    assert told.count("退出 3") == 6
    starts = [arrow.path.split(" L")[0] for arrow in drawn.arrows if arrow.kind == "back"]
    assert len(set(starts)) == len(starts)
    verticals = [
        point
        for arrow in drawn.arrows
        if arrow.kind != "forward"
        for point in {p.split()[0] for p in arrow.path.removeprefix("M").split(" L")}
    ]
    assert len(set(verticals)) == len(verticals)


def test_no_two_words_of_the_flow_overlap() -> None:
    every = [
        (step.trigger, source, target, 3966)
        for step in lifecycle.STEPS
        for source, target in step.moves.items()
    ]

    drawn = charts.flow(dict.fromkeys(State, 3966), every, 3966)

    boxes = []
    for word in drawn.words:
        wide = charts.width(word.text, 12)
        left = word.x - {"start": 0, "middle": wide / 2, "end": wide}[word.anchor]
        assert left >= 0
        assert left + wide <= drawn.width
        boxes.append((left, left + wide, word.y - 9, word.y, word.text))
    for place, (left, right, top, bottom, text) in enumerate(boxes):
        for other in boxes[place + 1 :]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, (text, other[4])


def test_each_discrepancy_is_named_once() -> None:
    def annex(name: str, task: int | None, planned: int, over: int = 0) -> AnnexLine:
        return AnnexLine(
            name, Path.COAL_TO_ELECTRIC, None, Kind.RESIDENTIAL, task, planned, 0, over, 0, 0
        )

    lines = (
        annex("甲镇", 10, 10, 5),
        annex("乙乡", 10, 7),
        annex("丙乡", 10, 12),
        replace(annex("丁乡", None, 0, 2), path=Path.SOLAR, kind=None),
    )

    assert dashboard.discrepancies(lines) == [
        "乙乡 煤改电（居民户）：附件 10 户，计划内在册 7 户，少 3 户",
        "丙乡 煤改电（居民户）：附件 10 户，计划内在册 12 户，多 2 户",
        "丁乡 太阳能：附件没有这一项，在册 2 户",
    ]


def test_an_empty_register_is_said_in_one_word() -> None:
    lines = [
        AnnexLine("甲镇", Path.COAL_TO_ELECTRIC, None, None, task, 0, 0, 0, 0, 0)
        for task in (1000, 234)
    ]

    assert dashboard.discrepancies(lines) == ["在册 0 户：附件的 1,234 户都还没有登记"]


def test_a_line_of_the_annex_is_called_as_in_the_notice() -> None:
    town = AnnexLine("局", Path.CENTRAL_HEATING, Area.COUNTY_TOWN, None, 1, 1, 0, 0, 0, 0)

    assert dashboard.annex_name(town) == "集中供热（县城）"


def test_the_gravest_stands_before_everything_else() -> None:
    alarmed = board(
        line("豆村镇", 686, 343),
        alarms=(Alarm("103-0004", "豆村镇", "原取暖设施已拆除"),),
        matters=(OpenMatter(FactKind.VIOLATION, "kang_sealed", "103-0004", "豆村镇", DAY, 3),),
    )

    page = texts(dashboard.page(alarmed, HEAD))

    places = [page.index(text) for text in ("新旧取暖都没有", "违规·封火炕", "进度：任务")]
    assert places == sorted(places)


def test_the_next_milestone_is_told_in_working_days() -> None:
    past = Milestone("制定方案", FIRST, FIRST, None, True, False, 0)
    works = Milestone("组织实施", date(2023, 9, 30), TARGET, 9, False, False, 300)

    page = texts(dashboard.page(board(line("豆村镇", 686, 343), milestones=(past, works)), HEAD))

    assert "离“组织实施”的最后工作日（2023-09-28）还有 9 个工作日；逾期 0 户" in page
    assert "方案前已过" in page


def test_a_quiet_county_has_no_alarm() -> None:
    page = texts(dashboard.page(board(line("豆村镇", 686, 343)), HEAD))

    assert "新旧取暖都没有" not in page
    assert "未销号的违规" not in page


def test_what_people_wrote_is_never_markup() -> None:
    hostile = board(line("<b>豆村</b>", 686, 343), alarms=(Alarm("1", "<script>", "&"),))

    page = dashboard.page(hostile, HEAD)

    assert "<b>豆村" not in page
    assert "<script>" not in page


def test_the_page_needs_nothing_else() -> None:
    page = dashboard.page(board(line("豆村镇", 686, 343), line("台城镇", 20, 3)), HEAD)

    assert not re.findall(r'(?:src|href)="(?!#|data:,")', page)
    assert "url(" not in page.replace("url(#", "")
    assert "<script" not in page
    assert "@import" not in page


def test_every_drawing_is_told_in_words() -> None:
    page = dashboard.page(board(line("豆村镇", 686, 343), line("台城镇", 20, 3)), HEAD)

    drawings = re.findall(r"<svg[^>]*>", page)
    named = [one for one in drawings if 'role="img"' in one]
    assert all('aria-hidden="true"' in one for one in drawings if one not in named)
    ids = [id_ for one in named for id_ in re.findall(r'aria-labelledby="(\S+) (\S+)"', one)[0]]
    assert len(set(ids)) == len(ids)
    assert all(f'id="{id_}"' in page for id_ in ids)
    assert "任务 686 户，计划此时 343 户，实际 343 户" in page


def test_every_guard_of_a_permission_has_its_words() -> None:
    guards = {guard.__name__ for guard in lifecycle.BY_TRIGGER[Trigger.PERMIT].guards}

    assert {*dashboard.LACKING, "permitted_by_another"} == guards | {"separation"}


@pytest.mark.parametrize(
    ("chance", "warned", "told"), [(0.12, True, "按期 12%"), (0.996, False, "按期 &gt;99%")]
)
def test_a_unit_says_how_likely_it_is_to_be_in_time(chance: float, warned: bool, told: str) -> None:
    outlook = Outlook(chance, DAY, DAY, None, 12.5, 8.0, warned)

    page = dashboard.page(board(line("豆村镇", 686, 343, outlook=outlook), line("乙", 9, 9)), HEAD)

    assert told in page
    assert ('class="red">按期' in page) is warned


def test_one_unit_alone_is_told_its_outlook_in_a_sentence() -> None:
    outlook = Outlook(0.12, DAY, date(2023, 10, 20), None, 12.5, 8.0, True)

    page = texts(dashboard.page(board(line("豆村镇", 686, 343, outlook=outlook)), HEAD))

    assert (
        "按期完工的概率 12%，预计 10月20日 完工（八成在 9月15日 至 四十周以后），"
        "每周需 12.5 户，近四周每周完成 8 户" in page
    )
    assert "各责任单位的完工进度" not in page


def test_the_proof_claims_only_what_was_checked() -> None:
    (tone, first), *rest = dashboard.proof(PROOF)

    assert tone == "good"
    assert first.startswith("2023-09-15 12:00 逐条核对了日志 12 条的哈希链、序号和各户的末条，无误")
    assert "xianli audit verify" in first
    assert any("没有任何见证人" in text for _, text in rest)
    assert any("12 条县外无人见过" in text for _, text in rest)


def test_a_broken_journal_says_that_the_page_is_not_to_be_believed() -> None:
    broken = replace(PROOF, broken="case:103-0001 seq 7")

    [(tone, text), *_] = dashboard.proof(broken)

    assert tone == "red"
    assert "case:103-0001 seq 7" in text
    assert "不可采信" in text


def test_a_witnessed_journal_names_its_witness_and_its_tail() -> None:
    seen = replace(
        PROOF,
        witness="市档案馆",
        witnessed=9,
        witnessed_at=AT,
        unseen=3,
        unseen_hours=72,
        overdue=True,
        checkpoint_size=11,
        checkpoint_at=AT,
    )

    told = dashboard.proof(seen)

    assert ("good", "见证人“市档案馆”于 2023-09-15 12:00 见证到第 9 条。") in told
    assert any(tone == "orange" and "已 3 天" in text for tone, text in told)
    assert any("最近的检查点作于 2023-09-15 12:00，共 11 条" in text for _, text in told)


def test_rungs_are_told_by_their_highest_level() -> None:
    late = line(
        "豆村镇", 686, 343, overdue=6, rungs={Level.RED: 1, Level.ORANGE: 2, Level.YELLOW: 3}
    )

    page = dashboard.page(board(late, line("乙", 20, 9)), HEAD)

    cells = [f'<td class="num {tone}">{n}</td>' for tone, n in (("yellow", 3), ("orange", 2))]
    assert "".join([*cells, '<td class="num red">1</td>']) in page
