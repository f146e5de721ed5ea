"""What people see on the terminal: it fits, aligns, and says in words what colours say."""

import re
from collections.abc import Mapping
from pathlib import Path

import county
import pytest
from county import CODE, TOWN, County
from office import Office
from rich.cells import cell_len

from notifications.surface import Surface, Toned
from states.vocabulary import FactKind, State

pytestmark = pytest.mark.once
WIDTHS = (40, 60, 80, 100, 120, 140, 200)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
Views = Mapping[str, tuple[str, ...]]
VIEWS: Views = {
    "todo": ("todo", "--limit", "0"),
    "check": ("check",),
    "check of a past day": ("check", "--as-of", "2023-10-09"),
    "forecast": ("forecast",),
    "case list": ("case", "list"),
    "case show": ("case", "show", CODE),
    "case show early": ("case", "show", TOWN[5]),
    "case why": ("case", "why", CODE, "permit"),
    "case history": ("case", "history", CODE),
    "plan schedule": ("plan", "schedule"),
}


@pytest.fixture(scope="module")
def place(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Households in several states, one with a complaint, one with a violation, one closed."""
    place = county.fresh(tmp_path_factory.mktemp("screen"))
    county.carry(place, TOWN[:2], State.STABLE_SEASON)
    county.winter(place, TOWN[:1])
    place.advance(CODE, FactKind.COMPLAINT, county.SIGNED, ("what", "夜间室温不够" * 6))
    place.advance(
        TOWN[1],
        FactKind.VIOLATION,
        county.SIGNED,
        ("type", "kang_sealed"),
        ("by", "contractor"),
        ("what", "封了火炕"),
    )
    return place


@pytest.fixture
def desk(place: County, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Office:
    return Office(county.copy(place, tmp_path), capsys, "zhang")


def seen(desk: Office, view: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    said = desk.run(*VIEWS[view], as_json=False)
    assert said.status == 0, said.text
    return said.text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_longer_than_the_terminal(
    desk: Office, view: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = seen(desk, view, width, monkeypatch).splitlines()

    assert [line for line in lines if cell_len(line) > width] == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_pipe_gets_no_colours_and_every_household_in_one_line(
    desk: Office, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    text = desk.run(*VIEWS[view], as_json=False).text

    assert "\x1b" not in text
    if view == "todo":
        rows = [line for line in text.splitlines() if re.match(r" 10\d-\d{4}|  ", line)]
        assert all(re.match(r" (10\d|RLJ)-\d{4} ", line) for line in rows if line.strip())


@pytest.mark.parametrize("view", VIEWS)
def test_every_character_can_be_shown_by_a_chinese_windows_terminal(
    desk: Office, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(desk, view, 120, monkeypatch).encode("gbk")


def test_todo_is_in_heaps_of_urgency_with_what_to_type(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = desk.by("wang")

    text = seen(officer, "todo", 140, monkeypatch)

    heaps = re.findall(r"^(\S+)（\d+ 件）$", text, re.MULTILINE)
    assert heaps == ["逾期", "没有期限"]
    assert "逾期 184 天" in text
    assert re.search(rf"^先办：xianli advance {TOWN[2]} confirm( -e \w+=…)+$", text, re.MULTILINE)


def test_a_household_is_shown_on_its_way(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    text = seen(desk, "case show", 120, monkeypatch)

    way = "确村确户 > 设备选型 > 施工 > 验收 > 【稳定运行一季】 > 允许拆除"
    assert text.splitlines()[1] == way


def test_a_closed_household_stands_beside_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.CLOSED)

    text = Office(place, capsys, "zhang").run("case", "show", CODE, as_json=False).text

    assert text.splitlines()[1].endswith("允许拆除   【已退出】")


def test_small_units_show_counts(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    text = seen(desk, "check", 140, monkeypatch)

    rates = re.findall(r"\d+(?:/\d+|\.\d%)(?= )", text)
    assert rates
    assert all("/" in rate for rate in rates[:2])


# The surface itself -----------------------------------------------------------------------------


def surface(width: int | None = 80, *, colour: bool = False, ascii_signs: bool = False) -> Surface:
    return Surface(width, colour=colour, ascii_signs=ascii_signs)


HEADINGS = ("编号", "责任单位", "户数", "说明")
ROWS = [
    ("103-0001", "豆村镇", 7, "短"),
    ("ZJJ-0002", "住房和城乡建设管理局", 2001, "很长的说明" * 12),
]


def columns(line: str) -> list[int]:
    """Where the words of a line begin, in columns of the terminal."""
    return [cell_len(line[: found.start()]) for found in re.finditer(r"(?<!\S)\S", line)]


def test_columns_align_by_what_a_terminal_shows() -> None:
    rows = [("1", "甲", 7, "短"), ("2", "住房和城乡", 7, "x")]
    lines = surface(140).table(HEADINGS, rows).splitlines()

    head, first, second = lines[1], lines[3], lines[4]
    assert columns(first)[:2] == columns(second)[:2] == columns(head)[:2]
    assert columns(first)[3] == columns(second)[3] == columns(head)[3]


def test_numbers_end_in_the_same_column() -> None:
    text = surface(140).table(("名", "户数"), [("a", 7), ("b", 2001)], numbers=(1,))

    ends = {cell_len(line) for line in text.splitlines()[3:] if line.strip()}
    assert len(ends) == 1


@pytest.mark.parametrize("width", range(26, 160, 7))
def test_a_table_fits_at_every_width(width: int) -> None:
    text = surface(width).table(HEADINGS, ROWS, numbers=(2,), optional=(1,))

    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert all("".join(str(row[0])) in text.replace("\n", "") for row in ROWS)


def test_optional_columns_go_before_rows_are_told_one_by_one() -> None:
    wide = surface(100).table(HEADINGS, ROWS, optional=(1,))
    less = surface(50).table(HEADINGS, ROWS, optional=(1,))
    told = surface(30).table(HEADINGS, ROWS, optional=(1,))

    assert "责任单位" in wide
    assert "责任单位" not in less
    assert "户数：2001" in told


def test_a_pipe_folds_nothing() -> None:
    text = surface(None).table(HEADINGS, ROWS)

    assert len([line for line in text.splitlines() if line.strip()]) == 2 + len(ROWS)


def test_colour_only_underlines_what_the_words_say() -> None:
    rows = [("103-0001", Toned("逾期 3 天", "red")), ("103-0002", Toned("有风险", "amber"))]

    plain = surface().table(("编号", "情况"), rows, title="期限")
    coloured = surface(colour=True).table(("编号", "情况"), rows, title="期限")

    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    bare = [line.rstrip() for line in ESCAPES.sub("", coloured).splitlines()]
    assert bare == plain.splitlines()


HOSTILE = (
    "\x1b[31m红\x1b[0m",
    "村\u202e名",
    "a\x00b\x07",
    "很" * 300,
    "e\u0301\u0301",
    "👩‍👩‍👧",
    "[bold]x[/bold]",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [30, 80])
def test_nothing_in_the_data_harms_the_terminal(text: str, width: int) -> None:
    shown = surface(width).table(("编号", "村"), [("103-0001", text)])

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", shown)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert "[bold]" in shown or "bold" not in text


def test_the_drawings_have_ascii_forms_for_terminals_that_show_them_twice_as_wide() -> None:
    drawn = surface(ascii_signs=True)

    text = drawn.table(("名", "进度"), [("甲", drawn.bar(3, 12))], title="x")

    assert "###........." in text
    assert not re.search("[─█·]", text)


@pytest.mark.parametrize(
    ("done", "task", "bar"),
    [
        (0, 12, "············"),
        (1, 1000, "············"),
        (6, 12, "██████······"),
        (999, 1000, "███████████·"),
        (12, 12, "████████████"),
        (13, 12, "████████████+"),
        (0, 0, "████████████"),
    ],
)
def test_a_bar_is_full_only_when_all_is_done_and_marks_what_goes_beyond(
    done: int, task: int, bar: str
) -> None:
    assert surface().bar(done, task) == bar


@pytest.mark.parametrize(
    ("places", "strip"),
    [
        ((0.0, 0.5, 1.0, 0.25), "[=|==o====]"),
        ((0.3, 0.5, 0.6, 0.9), "...[=o]..|."),
        ((0.3, 0.5, 0.6, 0.5), "...[=X]...."),
        ((-1.0, 0.5, 9.0, 0.0), "|====o====]"),
    ],
)
def test_an_interval_is_drawn_on_its_axis(
    places: tuple[float, float, float, float], strip: str
) -> None:
    assert surface().strip(*places, width=11) == strip


@pytest.mark.parametrize("width", range(10, 70, 3))
def test_a_sentence_is_folded_and_nothing_of_it_is_lost(width: int) -> None:
    sentence = (
        "  - [通知 四] 没有首次供热日期；请用 record works 登记 first_heat_on；最早 2023-10-15"
    )

    lines = surface(width).fit(sentence).split("\n")

    assert max(map(cell_len, lines)) <= width
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", sentence)
    assert not any(line.strip()[0] in "，。；：" for line in lines)


def test_a_way_is_broken_between_its_steps() -> None:
    steps = [state.label for state in State][:6]

    for width in (20, 40, 60, 80):
        lines = surface(width).way(steps, 2).splitlines()
        assert max(map(cell_len, lines)) <= width
        assert "【施工】" in "".join(lines)
