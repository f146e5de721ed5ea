"""The log of what was run: enough for who looks after the program, nothing of the households."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import county
import pytest
import server
from county import CODE, County

import cli
from workflow import cases, oplog, scheduler, settings
from workflow.operation import LOG, Log
from workflow.oplog import Tally

Line = Mapping[str, object]
TODAY = "2023-06-20"


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the log goes, which is not there yet."""
    folder = tmp_path / "log"
    monkeypatch.setenv(LOG, str(folder))
    return folder


def lines(folder: Path) -> list[Line]:
    return [
        json.loads(line)
        for file in sorted(folder.iterdir())
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def run(place: County, *arguments: str | Path, login: str = "wang") -> int:
    given = [*county.acting(place, login), "--today", TODAY, "--json"]
    return cli.run([*given, *map(str, arguments)])


def confirmation(code: str) -> list[str]:
    pairs = county.pairs_of(county.confirm(code, county.CONFIRMED))
    told = [text for key, value in pairs for text in ("-e", f"{key}={value}")]
    return ["advance", code, "confirm", "--on", str(county.CONFIRMED), *told]


def test_a_command_leaves_one_line_that_says_what_was_done(place: County, folder: Path) -> None:
    before = place.sql("SELECT max(seq) FROM journal")[0][0]
    assert isinstance(before, int)

    assert run(place, *confirmation(CODE)) == 0

    [line] = lines(folder)
    told = {key: line[key] for key in ("event", "command", "login", "status", "error")}
    assert told == {
        "event": "command",
        "command": "advance",
        "login": "wang",
        "status": 0,
        "error": None,
    }
    assert (line["first_seq"], line["last_seq"]) == (before + 1, before + 1)
    assert isinstance(line["rows"], int)
    assert line["rows"] >= 2
    assert {"at", "seconds", "wait_seconds", "database", "version", "pid"} < set(line)


def test_what_only_reads_or_is_taken_back_wrote_nothing(place: County, folder: Path) -> None:
    run(place, "case", "list")
    run(place, *confirmation(CODE), "--dry-run")

    assert [(one["command"], one["rows"], one["first_seq"]) for one in lines(folder)] == [
        ("case list", 0, None),
        ("advance", 0, None),
    ]


def test_many_events_are_told_by_the_first_and_the_last(place: County, folder: Path) -> None:
    tally = Tally()

    with oplog.counting(tally, lambda: 0.0):
        place.carry_out(
            [county.confirm(code) for code in county.TOWN[:3]], "wang", county.CONFIRMED
        )

    assert tally.last is not None
    assert tally.first is not None
    assert tally.last - tally.first == 2


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["case", "show", "NOWHERE"], 5, "not_permitted"),
        (["advance", CODE, "select"], 1, "refused"),
        (["case", "show"], 2, "usage"),
        (["db", "restore", "nothing.db"], 2, "usage"),
    ],
)
def test_a_failure_is_told_by_its_code(
    place: County, folder: Path, arguments: list[str], status: int, error: str
) -> None:
    run(place, *arguments)

    [line] = lines(folder)
    assert (line["status"], line["error"]) == (status, error)
    assert line["command"] == " ".join(arguments[: 1 if arguments[0] == "advance" else 2])


SECRETS = {
    "name": "张秘密",
    "id": "140922197001010019",
    "phone": "13835009999",
    "meter": "0100009999",
    "address": "前村九百九十九号",
    "password": "geheim",
}


def test_no_value_of_the_countys_comes_into_the_log(
    place: County, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Personal data in every place where a person can put them; bugs that carry them too."""
    row = county.household(
        77,
        "101",
        户主姓名=SECRETS["name"],
        身份证号=county.id_number(77),
        联系电话=SECRETS["phone"],
        用电户号=SECRETS["meter"],
        详细地址=SECRETS["address"],
        备注=SECRETS["name"],
    )
    book = county.write_workbook(tmp_path / f"{SECRETS['name']}.xlsx", [row])
    photo = tmp_path / f"{SECRETS['name']}{SECRETS['phone']}.jpg"
    photo.write_bytes(b"\xff\xd8")
    secret = " ".join(SECRETS.values())

    assert run(place, "ledger", "import", book) == 0
    run(place, "ledger", "import", tmp_path / f"{SECRETS['id']}.xlsx")
    run(place, "case", "show", SECRETS["name"])
    run(place, "case", "list", "--unit", SECRETS["address"])
    run(place, "record", "fault", CODE, "-e", f"what={secret}", "--reason", secret)
    run(place, "record", "complaint", CODE, "-e", f"what={SECRETS['name']}", "--attach", photo)
    run(place, "record", "complaint", CODE, "-e", f"{SECRETS['name']}={SECRETS['phone']}")
    run(place, SECRETS["name"], SECRETS["id"])
    run(place, "advance", CODE, SECRETS["name"])
    run(place, "case", "list", login=SECRETS["phone"])
    run(place, "case", "list", login=SECRETS["address"] + "，" + SECRETS["name"])
    for url in (
        f"postgresql://li:{SECRETS['password']}@127.0.0.1:1/x",
        f"postgresql://li:{SECRETS['password']}@pass@127.0.0.1:1/x?password=geheim",
        f"postgresql:/li:{SECRETS['password']}@127.0.0.1/x",
        f"mysql://li:{SECRETS['password']}@127.0.0.1/x",
        f"li:{SECRETS['password']}@127.0.0.1",
        str(tmp_path / f"{SECRETS['phone']}.db"),
    ):
        cli.run(["--db", url, "--as", "li", "case", "list"])
    if place.database.shared:
        for login in (SECRETS["name"], SECRETS["phone"]):
            cli.run(["--db", server.as_login(place.url, login), "case", "list"])

    def broken(*_: object, **__: object) -> object:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise ValueError(f"no {secret}") from error

    monkeypatch.setattr(cases, "each", broken)
    monkeypatch.setattr(scheduler, "_sweep", broken)
    assert run(place, "case", "list") == 70
    run(place, "scheduler", "run", "--once", login="zhang")

    text = "".join(file.read_text(encoding="utf-8") for file in folder.iterdir())
    assert {word for word in (*SECRETS.values(), county.id_number(77)) if word in text} == set()
    found = lines(folder)
    assert len(found) > 15
    [bug] = [one for one in found if one.get("status") == 70]
    kinds = bug["bug"]
    assert isinstance(kinds, list)
    assert [one["type"] for one in kinds] == ["ValueError", "KeyError"]
    assert any("broken" in frame for frame in kinds[0]["frames"])


def test_each_job_of_the_service_leaves_a_line(place: County, folder: Path) -> None:
    assert run(place, "scheduler", "run", "--once", login="zhang") in (0, 1)

    found = lines(folder)
    jobs = [one["job"] for one in found if one["event"] == "job"]
    given = settings.load(None, place.database.home, {})
    assert jobs == [job.name for job in scheduler.jobs(given)]
    assert found[-1]["command"] == "scheduler run"


def test_a_service_that_logs_to_its_error_stream_says_nothing_else_there(
    place: County, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(LOG, "-")

    run(place, "scheduler", "run", "--once", login="zhang")

    events = {json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()}
    assert events == {"job", "command"}


def test_a_bug_says_nothing_but_its_line_where_the_error_stream_is_the_log(
    place: County, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise KeyError(SECRETS["name"])

    monkeypatch.setenv(LOG, "-")
    monkeypatch.setattr(cases, "each", broken)

    assert run(place, "case", "list") == 70

    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert json.loads(line)["bug"][0]["type"] == "KeyError"
    assert json.loads(said.out)["error"]["code"] == "bug"
    assert SECRETS["name"] not in said.err + said.out


def test_a_file_for_each_day_and_the_oldest_go(tmp_path: Path) -> None:
    log = Log(tmp_path, keep=3)
    (tmp_path / "xianli-notes.jsonl").write_text("mine", encoding="utf-8")
    noon = datetime(2023, 6, 20, 4, tzinfo=UTC)

    for day in range(5):
        for _ in range(2):
            oplog.write(log, {"n": day}, noon + timedelta(days=day), sys.stderr)

    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "xianli-2023-06-22.jsonl",
        "xianli-2023-06-23.jsonl",
        "xianli-2023-06-24.jsonl",
        "xianli-notes.jsonl",
    ]


def test_without_a_section_nothing_is_logged(place: County, tmp_path: Path) -> None:
    run(place, "case", "list")

    assert list(tmp_path.glob("**/*.jsonl")) == []


def test_the_section_says_where_and_the_service_may_use_its_error_stream(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("[log]\nfolder = 'here'\n", encoding="utf-8")
    (tmp_path / "b.toml").write_text("[log]\nstderr = true\n", encoding="utf-8")

    for name in ("a.toml", "b.toml"):
        cli.run(["--config", str(tmp_path / name), "--db", place.url, "case", "list"])

    assert [one["command"] for one in lines(tmp_path / "here")] == ["case list"]
    last = capsys.readouterr().err.splitlines()[-1]
    assert json.loads(last)["command"] == "case list"


def test_a_log_that_cannot_be_written_stops_no_command(
    place: County, shut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(LOG, str(shut / "log"))

    assert run(place, "case", "list") == 0

    assert "运行日志没有写成" in capsys.readouterr().err
