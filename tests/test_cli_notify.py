"""`check --notify` and `notify`, typed at the terminal."""

import json
from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, County

import cli
from states.vocabulary import State

ORANGE = "2023-10-09"
SLIP = "回执.pdf"


@pytest.fixture
def place(tmp_path: Path) -> County:
    """A drill with ten households in 施工, due on 30 September."""
    place = county.fresh(tmp_path)
    county.carry(place, county.CODES, State.CONSTRUCTION)
    (tmp_path / SLIP).write_bytes(b"%PDF-1.4 a slip")
    return place


Answer = dict[str, object]


def rows(found: Answer, name: str) -> list[Answer]:
    listed = found[name]
    assert isinstance(listed, list)
    return listed


def notified(found: Answer) -> Answer:
    told = found["notified"]
    assert isinstance(told, dict)
    return told


def run(
    place: County, capsys: pytest.CaptureFixture[str], *arguments: str, today: str = ORANGE
) -> tuple[int, str]:
    capsys.readouterr()
    day = ["--today", today] if today else []
    status = cli.run(county.typed(place, [*day, *arguments]))
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def answer(
    place: County, capsys: pytest.CaptureFixture[str], *arguments: str, today: str = ORANGE
) -> Answer:
    status, printed = run(place, capsys, "--json", *arguments, today=today)
    assert status == 0, printed
    found: Answer = json.loads(printed)
    return found


def test_a_round_needs_no_login_and_says_what_it_raised(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(place, capsys, "check", "--notify")

    letters = [f"小县清办催〔2023〕{number}号" for number in (1, 2, 3)]
    assert notified(found) == {
        "as_of": ORANGE,
        "total": 10,
        "failed": 0,
        "raised": 10,
        "superseded": 60,
        "alarms": [],
        "letters": letters,
        "digests": [],
        "failures": [],
    }
    assert notified(answer(place, capsys, "check", "--notify"))["raised"] == 0


def test_a_round_reads_well(place: County, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = run(place, capsys, "check", "--notify")

    assert status == 0
    assert "本轮到期 10 件：新发提醒和预警 10 件，越级不发 60 件，紧急 0 户，函件 3 份" in printed
    assert "函件 小县清办催〔2023〕1号" in printed


@pytest.mark.parametrize(
    ("arguments", "today"),
    [
        (["check", "--notify"], ""),
        (["check", "--notify"], "2023-06-01"),
        (["check", "--notify", "--as-of", ORANGE], ORANGE),
        (["check", "--notify", "--known-at", ORANGE], ORANGE),
    ],
)
def test_a_round_is_for_today_and_a_drill_says_which_day_that_is(
    place: County, capsys: pytest.CaptureFixture[str], arguments: list[str], today: str
) -> None:
    before = county.every_row(place)

    assert run(place, capsys, *arguments, today=today)[0] == 2
    assert county.every_row(place) == before


@pytest.mark.sqlite
def test_a_round_with_a_bad_row_ends_with_6_and_tells_the_others(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    place.sql("UPDATE deadline SET due_on = 'bald' WHERE case_code = ?", CODE)

    status, printed = run(place, capsys, "check", "--notify")

    assert status == 6
    assert "没有办成 1/10 件，下一轮再办" in printed
    assert f"{CODE} works" in printed


def test_the_list_shows_what_is_not_sent_and_not_answered(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(place, capsys, "check", "--notify")
    place.sql("UPDATE message SET status = 'sent' WHERE person = 'wang'")

    found = answer(place, capsys, "notify", "list")
    mine = answer(place, capsys, "notify", "list", "--person", "wang", "--all")
    unit = answer(place, capsys, "--as", "qian", "notify", "list")

    assert {one["person"] for one in rows(found, "messages")} == {"head", "qian", "sun"}
    assert [(one["person"], one["status"]) for one in rows(mine, "messages")] == [("wang", "sent")]
    assert [one["unit"] for one in rows(unit, "letters")] == ["102"]
    assert {one["person"] for one in rows(unit, "messages")} == {"qian"}
    assert [one["unanswered"] for one in rows(found, "letters")] == [False] * 3
    later = answer(place, capsys, "notify", "list", today="2023-10-17")
    assert [one["unanswered"] for one in rows(later, "letters")] == [True] * 3
    status, printed = run(place, capsys, "notify", "list", today="2023-10-17")
    assert status == 0
    assert printed.count("逾期未回执") == 3


def test_a_preview_shows_what_would_be_sent_and_then_what_was(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    before = county.every_row(place)

    would = rows(answer(place, capsys, "notify", "preview"), "messages")

    assert county.every_row(place) == before
    assert {one["kind"] for one in would} == {"urge"}
    answer(place, capsys, "check", "--notify")
    key = str(would[0]["key"])
    assert rows(answer(place, capsys, "notify", "preview", key), "messages") == [would[0]]
    status, printed = run(place, capsys, "notify", "preview", key)
    assert status == 0
    assert "【演练】关于甲镇清洁取暖改造逾期事项的催办单（小县清办催〔2023〕1号）" in printed
    lines = [line.split() for line in printed.splitlines() if CODE in line.split()[:2]]
    # Once in the letter, once on the slip that comes back.
    assert lines[0] == ["1", CODE, "前村", "煤改电", "施工", "施工完成", "2023-09-30", "9"]
    assert len(lines) == 2
    assert run(place, capsys, "--as", "qian", "notify", "preview", key)[0] == 5
    assert run(place, capsys, "notify", "preview", "digest:2023-10-09:nobody")[0] == 5


@pytest.mark.server
def test_on_a_server_the_round_is_rehearsed_by_who_may_make_it(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    before = county.every_row(place)

    for login in ("wang", "shen", "zhang"):
        status, printed = run(place, capsys, "--as", login, "notify", "preview")
        assert (status, "函件由定时任务发出" in printed) == (5, True), printed
    assert county.every_row(place) == before


def test_a_digest_reads_well(place: County, capsys: pytest.CaptureFixture[str]) -> None:
    answer(place, capsys, "check", "--notify", today="2023-09-29")

    status, printed = run(
        place, capsys, "notify", "preview", "digest:2023-09-29:qian", today="2023-09-29"
    )

    assert status == 0
    assert "【演练】清洁取暖每日提要（2023年9月29日）\n致：qian" in printed
    assert "钱经办（乙乡责任单位经办人）" in printed
    (line,) = [line.split() for line in printed.splitlines() if "102-0001" in line]
    assert line == ["102-0001", "后村", "施工", "施工完成", "2023-09-30", "还剩1天", "施工完成"]


def test_a_slip_is_taken_once_and_from_who_may_bring_it(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(place, capsys, "check", "--notify")
    number, slip = "小县清办催〔2023〕1号", ["--attach", str(place.file.parent / SLIP)]

    assert run(place, capsys, "--as", "qian", "notify", "reply", number, *slip)[0] == 5
    assert run(place, capsys, "--as", "wang", "notify", "reply", number)[0] == 2
    assert run(place, capsys, "notify", "reply", number, *slip)[0] == 2
    done = answer(place, capsys, "--as", "wang", "notify", "reply", number, *slip)
    assert (done["number"], done["replied_on"]) == (number, ORANGE)
    assert run(place, capsys, "--as", "wang", "notify", "reply", number, *slip)[0] == 1
    assert run(place, capsys, "audit", "verify")[0] == 0
    left = rows(answer(place, capsys, "notify", "list"), "letters")
    assert number not in {one["number"] for one in left}


def test_the_programs_own_login_cannot_be_given_to_anybody(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ["officer", "add", "system", "--name", "某", "--role", "county_office"]

    assert run(place, capsys, "--as", "zhang", *add)[0] == 2


def test_a_real_database_is_swept_by_the_clock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = county.fresh(tmp_path, drill=False)

    found = answer(real, capsys, "check", "--notify", today="")

    assert date.fromisoformat(str(found["as_of"])) >= date(2024, 1, 1)
    assert len(rows(notified(found), "letters")) == 3
