import json
import os
from collections.abc import Callable
from pathlib import Path

import county
import forms
import pytest
from county import CODE, TOWN, County, every_row
from forms import CONFIRMATION, Cells, fill

import cli
from states.plan import Json
from states.vocabulary import State

SECOND = TOWN[1]
DAY = str(county.CONFIRMED)
WANG = ("--as", "wang", "--today", DAY)
Answer = tuple[int, str, str]
Run = Callable[..., Answer]


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def run(place: County, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `xianli --db COUNTY …` beside the sheets: exit status, output, errors."""
    monkeypatch.delenv("XIANLI_OFFICER", raising=False)
    monkeypatch.chdir(place.file.parent)

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        status = cli.run(county.typed(place, arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


def document(answer: Answer) -> dict[str, Json]:
    found = json.loads(answer[1])
    assert isinstance(found, dict)
    return found


def one(found: Json) -> dict[str, Json]:
    """The only entry of a list."""
    assert isinstance(found, list)
    [entry] = found
    assert isinstance(entry, dict)
    return entry


def member(found: dict[str, Json], name: str) -> dict[str, Json]:
    entry = found[name]
    assert isinstance(entry, dict)
    return entry


def made(run: Run, rows: dict[str, Cells], kind: str = "confirm", name: str = "work.xlsx") -> Path:
    """The form that the command makes, filled in."""
    status, _, _ = run("--as", "wang", "batch", "template", kind, name, "--unit", "甲镇")
    assert status == 0
    return fill(Path(name), rows)


def test_a_form_is_made_for_a_unit_by_the_chinese_name_of_the_step(run: Run) -> None:
    answer = run("--json", "--as", "wang", "batch", "template", "确户完成", "a.csv")

    assert answer[0] == 0
    assert document(answer) == {"file": "a.csv", "kind": "confirm", "rows": 6}
    assert "确户完成（confirm）" in Path("a.csv").read_text("utf-8-sig")


def test_a_form_for_another_unit_is_not_permitted(run: Run) -> None:
    status, _, _ = run("--as", "wang", "batch", "template", "confirm", "a.xlsx", "--unit", "乙乡")

    assert status == 5
    assert not Path("a.xlsx").exists()


def test_an_unknown_step_is_wrong_usage(run: Run) -> None:
    assert run("batch", "template", "bless", "a.xlsx")[0] == 2


def test_a_preview_answers_with_passing_and_refused_rows(place: County, run: Run) -> None:
    made(run, {CODE: CONFIRMATION, SECOND: {**CONFIRMATION, "consent_by": None}})
    before = every_row(place)

    answer = run("--json", *WANG, "batch", "preview", "work.xlsx")

    found = document(answer)
    assert answer[0] == 1
    assert (found["file"], found["rows"], found["passing"]) == ("work.xlsx", 2, 1)
    refused = one(found["refused"])
    assert (refused["row"], refused["code"], refused["earliest"]) == (4, SECOND, DAY)
    reason = one(refused["reasons"])
    assert reason["guard"] == "consented"
    assert reason["missing"] == ["consent_by"]
    assert set(reason) >= {"guard", "clause", "message", "missing", "who", "earliest"}
    assert "applied" not in found
    assert every_row(place) == before


def test_a_preview_of_a_drill_needs_no_day(run: Run) -> None:
    made(run, {CODE: CONFIRMATION})

    status, out, _ = run("--as", "wang", "batch", "preview", "work.xlsx")

    # The drill stands where it was last written, before the day of the sheet.
    assert status == 1
    assert "晚于今天 2023-05-22" in out


def test_apply_tells_what_was_written_and_its_receipt(place: County, run: Run) -> None:
    made(run, dict.fromkeys(TOWN, CONFIRMATION))

    answer = run("--json", *WANG, "batch", "apply", "work.xlsx")

    found = document(answer)
    assert answer[0] == 0
    assert (found["rows"], found["passing"], found["applied"], found["refused"]) == (6, 6, 6, [])
    assert len(str(found["receipt"])) == 64
    again = document(run("--json", *WANG, "batch", "apply", "work.xlsx"))
    assert again["receipt"] == found["receipt"]
    assert (again["applied"], again["repeated"]) == (0, 6)
    assert place.state(CODE) is State.EQUIPMENT_SELECTION


def test_apply_of_a_sheet_with_a_refused_row_ends_with_1_and_writes_nothing(
    place: County, run: Run
) -> None:
    made(run, {CODE: CONFIRMATION, SECOND: {**CONFIRMATION, "consent_by": None}})
    before = every_row(place)

    answer = run("--json", *WANG, "batch", "apply", "work.xlsx")

    found = document(answer)
    assert (answer[0], found["applied"], found["receipt"]) == (1, 0, None)
    assert every_row(place) == before


def test_part_of_a_sheet_is_applied_and_people_are_told_where_the_rest_is(
    place: County, run: Run
) -> None:
    made(run, {CODE: CONFIRMATION, SECOND: {**CONFIRMATION, "visit_on": "昨天"}})

    status, out, _ = run(*WANG, "batch", "apply", "work.xlsx", "--partial")

    assert status == 1
    assert "填有 2 行，可以办理 1 行，退回 1 行" in out
    assert "读到“昨天”，不是日期" in out
    assert "新登记 1 行" in out
    assert "work-退回.xlsx" in out
    assert Path("work-退回.xlsx").exists()
    assert place.state(CODE) is State.EQUIPMENT_SELECTION


def test_faults_are_told_cell_by_cell(run: Run) -> None:
    made(run, {CODE: {**CONFIRMATION, "visit_on": "=TODAY()"}})

    found = document(run("--json", *WANG, "batch", "preview", "work.xlsx"))

    assert found["faults"] == [
        {
            "sheet": "确户完成 confirm",
            "cell": "H3",
            "code": "formula_cell",
            "message": "入户日期：单元格里是公式；请粘贴为数值",
        }
    ]


def test_a_conflict_ends_with_4_and_shows_both_sides(place: County, run: Run) -> None:
    made(run, {CODE: {**CONFIRMATION, "理由": "电话 13800138000"}})
    county.carry(place, [CODE], State.EQUIPMENT_SELECTION)

    answer = run("--json", *WANG, "batch", "apply", "work.xlsx")

    conflict = member(one(document(answer)["refused"]), "conflict")
    sheet, ledger = member(conflict, "sheet"), member(conflict, "ledger")
    assert answer[0] == 4
    assert (sheet["version"], sheet["state"], sheet["occurred_on"]) == (1, "确村确户", DAY)
    assert ledger["moved_by"] == "wang"
    assert ledger["moved_at"] == "2023-06-10T04:00:00.000000Z"
    assert (ledger["trigger"], ledger["to"]) == ("confirm", "equipment_selection")
    assert "13800138000" not in answer[1]


@pytest.mark.parametrize(
    ("login", "file", "status"),
    [("wang", "none.xlsx", 3), ("wang", "photo.xlsx", 3), ("shen", "work.xlsx", 5)],
)
@pytest.mark.parametrize("command", ["preview", "apply"])
def test_what_is_no_sheet_ends_with_3_and_who_may_not_with_5(
    run: Run, command: str, login: str, file: str, status: int
) -> None:
    made(run, {CODE: CONFIRMATION})
    Path("photo.xlsx").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(64))

    answer = run("--json", "--as", login, "--today", DAY, "batch", command, file)

    assert answer[0] == status
    assert member(document(answer), "error")["status"] == status


def test_a_key_that_stands_for_another_sheet_ends_with_4(run: Run) -> None:
    made(run, {CODE: CONFIRMATION})
    made(run, {SECOND: CONFIRMATION}, name="b.xlsx")
    assert run(*WANG, "batch", "apply", "work.xlsx", "--key", "k")[0] == 0

    assert run(*WANG, "batch", "apply", "b.xlsx", "--key", "k")[0] == 4


def test_one_photo_for_two_households_is_a_warning_and_no_refusal(run: Run) -> None:
    Path("炕.jpg").write_bytes(b"\xff\xd8")
    cells = {**CONFIRMATION, "附件": "炕.jpg"}
    made(run, {CODE: cells, SECOND: cells})

    status, out, _ = run(*WANG, "batch", "preview", "work.xlsx")

    assert status == 0
    assert "同一份文件用于几户" in out
    assert f"{CODE}、{SECOND}" in out


def test_a_sheet_that_nobody_filled_in_is_told_so(run: Run) -> None:
    made(run, {})

    status, out, _ = run(*WANG, "batch", "apply", "work.xlsx")

    assert status == 0
    assert "没有填好的行" in out


def test_writing_needs_somebody_who_writes(run: Run) -> None:
    made(run, {CODE: CONFIRMATION})

    assert run("--today", DAY, "batch", "apply", "work.xlsx")[0] == 2
    assert forms.lines(Path("work.xlsx"))
