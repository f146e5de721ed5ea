"""The working days, the clocks and the back-scheduled plan at the terminal."""

import json
from datetime import date
from pathlib import Path
from typing import cast

import county
import pytest
from county import CODE, PAPER, TOWN, County

import cli
from notifications.screen import Screen
from states.plan import Json
from states.vocabulary import FactKind, Trigger

HOLIDAYS = """
year = 2098
source = "国办发明电〔2097〕0号"
off = [2098-09-29, 2098-09-30, 2098-10-01, 2098-10-02, 2098-10-03]
working = [2098-09-27, 2098-10-11]
"""
LATER = ("--today", "2098-05-22")
Document = dict[str, Json]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> "Say":
    return Say(capsys)


class Say:
    """Runs a command on a county: answers its JSON, or its text and exit status."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(
        self, place: County, *arguments: str | Path, status: int = 0, who: str = "zhang"
    ) -> str:
        self._capsys.readouterr()
        given = [*county.acting(place, who), *map(str, arguments)]
        assert cli.run(given) == status
        printed = self._capsys.readouterr()
        return printed.out + printed.err

    def json(
        self, place: County, *arguments: str | Path, status: int = 0, who: str = "zhang"
    ) -> Document:
        printed = self.text(place, "--json", *arguments, status=status, who=who)
        return cast(Document, json.loads(printed))


@pytest.fixture
def later(tmp_path: Path) -> County:
    """A county of 2098, whose holidays nobody knows."""
    return county.fresh(tmp_path, later=75)


@pytest.fixture
def holidays(tmp_path: Path) -> Path:
    file = tmp_path / "holidays-2098.toml"
    file.write_text(HOLIDAYS, encoding="utf-8")
    return file


def test_an_entry_is_answered_with_all_that_moves(later: County, holidays: Path, say: Say) -> None:
    answer = say.json(later, *LATER, "calendar", "import", holidays)

    assert answer == {
        "file": "holidays-2098.toml",
        "year": 2098,
        "source": "国办发明电〔2097〕0号",
        "off": ["2098-09-29", "2098-09-30", "2098-10-01", "2098-10-02", "2098-10-03"],
        "working": ["2098-09-27", "2098-10-11"],
        "dry_run": False,
        "seq": answer["seq"],
        "differing": [],
        "moved": [
            {
                "due_on": "2098-09-30",
                "cases": 10,
                "units": ["101", "102", "RLJ"],
                "target_on": {"was": "2098-09-30", "becomes": "2098-09-27"},
                "provisional": {"was": True, "becomes": False},
                "latest_start": [
                    {
                        "state": "household_confirmation",
                        "was": "2098-08-27",
                        "becomes": "2098-08-26",
                    }
                ],
                "rungs": [
                    {"rung": "orange", "was": "2098-10-03", "becomes": "2098-10-08"},
                    {"rung": "red", "was": "2098-10-09", "becomes": "2098-10-13"},
                ],
            }
        ],
    }
    assert isinstance(answer["seq"], int)


def test_the_screen_says_what_moves_and_that_a_dry_run_wrote_nothing(
    later: County, holidays: Path, say: Say
) -> None:
    rows = county.every_row(later)

    rehearsed = say.text(later, *LATER, "calendar", "import", holidays, "--dry-run")

    assert "没有写入" in rehearsed
    assert county.every_row(later) == rows
    done = say.text(later, *LATER, "calendar", "import", holidays)
    for shown in (rehearsed, done):
        lines = [line.split() for line in shown.splitlines()]
        units = "101、102、RLJ"
        first = ["2098-09-30", "10", units, "最后工作日", "2098-09-30", "2098-09-27"]
        assert lines[lines.index(first) : lines.index(first) + 5] == [
            first,
            ["暂定", "是", "否"],
            ["确村确户最迟开工", "2098-08-27", "2098-08-26"],
            ["橙色预警", "2098-10-03", "2098-10-08"],
            ["红色预警", "2098-10-09", "2098-10-13"],
        ]
    again = say.text(later, *LATER, "calendar", "import", holidays)
    assert "没有重复登记" in again
    assert "没有在办的期限因此变动" in again


def test_the_notice_is_kept_with_the_entry(later: County, holidays: Path, say: Say) -> None:
    notice = holidays.with_name("notice.pdf")
    notice.write_bytes(b"%PDF the notice")

    say.json(later, *LATER, "calendar", "import", holidays, "--attach", notice)

    kept = later.sql("SELECT content FROM attachment")
    assert (b"%PDF the notice",) in kept
    [(body,)] = later.sql("SELECT body FROM journal WHERE stream = 'calendar'")
    event = json.loads(cast(bytes, body))
    assert (event["kind"], event["role"]) == ("holidays_entered", "county_office")
    assert [one["name"] for one in event["attachments"]] == ["notice.pdf"]


def test_the_list_says_which_years_are_known_and_by_whom(
    later: County, holidays: Path, say: Say
) -> None:
    say.json(later, *LATER, "calendar", "import", holidays)
    say.json(later, *LATER, "calendar", "import", write(holidays, "2098-10-11", "2098-10-12"))

    answer = say.json(later, "calendar", "list")

    shipped, entered = cast(Document, answer["shipped"]), cast(list[Document], answer["entered"])
    assert "chinesecalendar" in str(shipped["source"])
    assert cast(int, shipped["first_year"]) <= 2023 <= cast(int, shipped["last_year"])
    assert [(one["year"], one["actor"], one["in_force"]) for one in entered] == [
        (2098, "zhang", False),
        (2098, "zhang", True),
    ]
    assert answer["missing"] is None
    shown = say.text(later, "calendar", "list")
    assert "国办发明电〔2097〕0号" in shown
    assert "已被后来的录入取代" in shown
    assert "暂定" in shown  # the evaluation runs into 2099


def write(file: Path, was: str, becomes: str) -> Path:
    file.write_text(file.read_text("utf-8").replace(was, becomes), encoding="utf-8")
    return file


def test_only_the_county_office_enters_and_everybody_may_look(
    later: County, holidays: Path, say: Say
) -> None:
    refused = say.json(later, *LATER, "calendar", "import", holidays, status=5, who="wang")

    assert cast(Document, refused["error"])["code"] == "not_permitted"
    assert say.json(later, "calendar", "list", who="wang")["entered"] == []


def test_a_wrong_file_says_where_and_what_to_do(later: County, holidays: Path, say: Say) -> None:
    wrong = write(holidays, "2098-10-11", "2098-10-13")

    shown = say.text(later, *LATER, "calendar", "import", wrong, status=3)

    assert "2098-10-13 本就是周一至周五" in shown
    assert "holidays-2098.toml: working" in shown
    assert "docs/example/holidays-2027.toml" in shown


def test_a_provisional_deadline_is_marked_wherever_it_stands(
    later: County, holidays: Path, say: Say
) -> None:
    for command in (("case", "list"), ("case", "show", CODE), ("todo",)):
        assert "（暂定）" in say.text(later, *LATER, *command, who="wang")
    todo = cast(list[Document], say.json(later, *LATER, "todo", who="wang"))
    assert {one["provisional"] for one in todo} == {True}

    say.json(later, *LATER, "calendar", "import", holidays)

    for command in (("case", "list"), ("case", "show", CODE), ("todo",)):
        assert "暂定" not in say.text(later, *LATER, *command, who="wang")


def test_the_bell_is_heard_in_check_and_list(later: County, say: Say) -> None:
    quiet = say.json(later, "check", "--as-of", "2098-12-14")
    rung = say.json(later, "check", "--as-of", "2098-12-15")

    assert (quiet["calendar_missing"], rung["calendar_missing"]) == (None, 2099)
    assert "还没有 2099 年的节假日安排" in say.text(later, "check", "--as-of", "2098-12-15")
    assert "节假日安排" not in say.text(later, "check", "--as-of", "2098-12-14")
    listed = ("--today", "2098-12-15", "calendar", "list")
    assert say.json(later, *listed)["missing"] == 2099
    assert "还没有 2099 年的节假日安排" in say.text(later, *listed)


@pytest.fixture(scope="module")
def busy(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """A case put back by the acceptor, with a complaint and a kang sealed by the village."""
    place = county.fresh(tmp_path_factory.mktemp("busy"))
    place.carry_out([county.confirm(code) for code in TOWN[:2]], "wang", county.CONFIRMED)
    place.carry_out([county.select(code) for code in TOWN[:2]], "wang", county.SELECTED)
    place.carry_out([county.complete(code) for code in TOWN[:2]], "wang", county.COMPLETED)
    put_right = (("findings", "漏氟"), ("put_right_by", "2023-09-05"))
    place.advance(CODE, Trigger.REJECT, date(2023, 8, 15), *put_right)
    place.advance(CODE, FactKind.COMPLAINT, date(2023, 8, 16), ("what", "没人来修"))
    sealed = (("type", "kang_sealed"), ("by", "村委会"), ("what", "封火炕"))
    place.advance(CODE, FactKind.VIOLATION, date(2023, 8, 17), *sealed)
    return place


def test_case_show_has_every_clock(busy: County, say: Say) -> None:
    answer = say.json(busy, "--today", "2023-08-25", "case", "show", CODE)

    clocks = cast(list[Document], answer["clocks"])
    seqs = [cast(int, clock.pop("seq")) for clock in clocks]
    assert seqs == sorted(seqs)
    assert clocks == [
        clock("put_right", "整改", "2023-09-05", 11),
        clock("complaint", "投诉办理", "2023-08-31", 6),
        clock("restitution", "违规恢复原状", "2023-08-20", -5),
    ]
    assert answer["latest_start"] == "2023-08-20"
    assert answer["historic_missed"] is True
    shown = say.text(busy, "--today", "2023-08-25", "case", "show", CODE)
    assert "最迟开工" in shown
    assert "2023-08-20" in shown
    assert "历史节点" in shown
    assert "逾期 5 天" in shown
    assert "还有 6 天" in shown


def clock(name: str, label: str, due_on: str, left: int) -> Document:
    return {
        "clock": name,
        "label": label,
        "due_on": due_on,
        "days_left": left,
        "overdue": left < 0,
        "provisional": False,
    }


def test_a_case_with_its_phase_only_needs_no_table_of_clocks(busy: County, say: Say) -> None:
    shown = say.text(busy, "--today", "2023-08-25", "case", "show", TOWN[1])

    assert "项目验收阶段截止" in shown
    assert "还有" not in shown


def test_check_lists_the_other_clocks_that_are_late(busy: County, say: Say) -> None:
    answer = say.json(busy, "check", "--as-of", "2023-09-01")

    matters = cast(list[Document], answer["matters"])
    assert [(m["code"], m["unit"], m["clock"], m["due_on"], m["days_late"]) for m in matters] == [
        (CODE, "101", "restitution", "2023-08-20", 12),
        (CODE, "101", "complaint", "2023-08-31", 1),
    ]
    assert all(isinstance(m["seq"], int) for m in matters)
    shown = say.text(busy, "check", "--as-of", "2023-09-01")
    assert "逾期未答复、未恢复（共 2 件" in shown
    assert "违规恢复原状" in shown
    assert say.json(busy, "check", "--as-of", "2023-09-01", who="qian")["matters"] == []


def test_an_open_pause_says_why_there_is_no_deadline(tmp_path: Path, say: Say) -> None:
    place = county.fresh(tmp_path)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    place.carry_out([county.select(CODE)], "wang", county.SELECTED)
    place.carry_out([county.complete(CODE)], "wang", county.COMPLETED)
    put_right = (("findings", "漏氟"), ("put_right_by", "2023-09-05"))
    place.advance(CODE, Trigger.REJECT, date(2023, 8, 15), *put_right)
    place.advance(CODE, FactKind.PAUSE, date(2023, 8, 20), ("cause", "weather"))
    paused = say.json(place, "case", "show", CODE)
    place.advance(CODE, FactKind.RESUME, date(2023, 8, 24))
    resumed = say.json(place, "case", "show", CODE)

    assert (paused["due_on"], paused["clocks"], paused["latest_start"]) == (None, [], None)
    assert "停工" in str(paused["due_reason"])
    assert (resumed["due_on"], resumed["plan_due_on"]) == ("2023-09-09", "2023-09-05")


def test_late_work_is_taken_and_labelled_late(tmp_path: Path, say: Say) -> None:
    place = county.fresh(tmp_path)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    place.carry_out([county.select(CODE)], "wang", county.SELECTED)
    late = date(2023, 10, 5)
    pairs = [
        (name, {"installed_on": str(late), "ready_on": str(late)}.get(name, value))
        for name, value in county.pairs_of(county.complete(CODE))
    ]
    order = [part for name, value in pairs for part in ("-e", f"{name}={value}")]

    command = ("--today", str(late), "advance", CODE, "complete", *order, "--key", "k")
    answer = say.json(place, *command, who="wang")
    again = say.text(place, *command, who="wang")

    assert (answer["state"], answer["late_days"]) == ("acceptance", 5)
    assert "逾期 5 天办理" in again
    history = cast(list[Document], say.json(place, "case", "history", CODE))
    assert [(e["kind"], e["late_days"]) for e in history] == [
        ("registered", 0),
        ("confirm", 0),
        ("select", 0),
        ("complete", 5),
    ]
    assert "逾期 5 天办理" in say.text(place, "case", "history", CODE)


def test_an_answer_that_comes_late_is_labelled_too(tmp_path: Path, say: Say) -> None:
    place = county.fresh(tmp_path)
    asked = place.advance(CODE, FactKind.COMPLAINT, date(2023, 6, 1), ("what", "没人来修"))
    answer = (("id", str(asked.seq)), ("outcome", "resolved"))

    done = place.advance(
        CODE, FactKind.RESOLVE, date(2023, 6, 18), *answer, reason="已修", files=[PAPER]
    )

    assert done.late_days == 2
    history = cast(list[Document], say.json(place, "case", "history", CODE))
    assert [e["late_days"] for e in history] == [0, 0, 2]


def test_the_schedule_has_every_unit_step_and_month(busy: County, say: Say) -> None:
    answer = say.json(busy, "--today", "2023-09-12", "plan", "schedule")

    by_unit = cast(Document, answer["by_unit"])
    assert (answer["as_of"], list(by_unit)) == ("2023-09-12", ["101", "102", "RLJ"])
    town = cast(Document, by_unit["101"])
    steps = cast(Document, town["steps"])
    assert (town["unit_name"], town["task"]) == ("甲镇", 8)
    assert steps["complete"] == {
        "target_on": "2023-09-28",
        "planned": 6,
        "done": 1,
        "behind": 5,
        "by_month": {
            "2023-05": 0,
            "2023-06": 0,
            "2023-07": 3,
            "2023-08": 5,
            "2023-09": 8,
            "2023-10": 8,
        },
    }
    assert list(steps) == ["confirm", "select", "complete", "accept"]
    assert cast(Document, answer["total"])["task"] == 14


def test_the_schedule_shows_the_readers_units_only(busy: County, say: Say) -> None:
    mine = say.json(busy, "plan", "schedule", who="qian")
    asked = say.json(busy, "plan", "schedule", "--unit", "热力局")
    others = say.json(busy, "plan", "schedule", "--unit", "101", who="qian", status=5)

    assert [list(cast(Document, one["by_unit"])) for one in (mine, asked)] == [["102"], ["RLJ"]]
    assert cast(Document, others["error"])["place"] == "--unit"


def test_the_schedule_is_no_outlook(busy: County, say: Say) -> None:
    refused = say.json(
        busy, "--today", "2023-09-12", "plan", "schedule", "--as-of", "2023-09-13", status=2
    )

    assert cast(Document, refused["error"])["place"] == "--as-of"


def test_the_schedule_reads_as_a_table(busy: County, say: Say) -> None:
    shown = say.text(busy, "--today", "2023-09-12", "plan", "schedule")

    lines = [line.split() for line in shown.splitlines()]
    first = ["101", "甲镇", "确户", "8", "2", "6", "0", "2", "4", "7", "8", "8"]
    assert lines[lines.index(first) + 1] == [
        *("任务", "8", "户", "选型", "8", "2", "6", "0", "1", "4", "7", "8", "8"),
    ]
    assert lines[lines.index(first) + 2] == ["施工", "6", "1", "5", "0", "0", "3", "5", "8", "8"]
    assert "施工 2023-09-28" in shown
    assert sum(line[:1] == ["合计"] for line in lines) == 1


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_schedule_fits_the_terminal(busy: County, say: Say, width: int) -> None:
    answer = say.json(busy, "plan", "schedule")

    shown = Screen(width, colour=False).progress(answer)

    assert max(cli.columns(line) for line in shown.splitlines()) <= width
