"""Idempotency keys: each command that writes writes once under a key, and answers alike."""

import ast
import inspect
import json
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import county
import forms
import keys
import openpyxl
import psycopg
import pytest
import server
from county import CODE, CODES, County
from older import older, older_in_server

import cli
from states.plan import Json
from states.vocabulary import FactKind, State, Trigger
from workflow import db, receipts, upgrade
from workflow.db import Database
from workflow.receipts import Document

ROOT = Path(__file__).parent.parent
DAY = "2023-10-09"
# Commands that write and take no key, and why they need none.
WITHOUT = {
    "init": "the database itself is the receipt: it is made once",
    "demo": "makes a folder of its own",
    "officer key new": "writes two files, nothing in the database",
    "case show": "a look that is journaled: a second look is a second event",
    "ledger export": "as case show",
    "check": "each flag, letter and message has a key of its own",
    "notify send": "each message has a key of its own",
    "scheduler run": "the system's own jobs, which may run again at any time",
    "db backup": "writes a file",
    "db upgrade": "an upgraded database has nothing left to upgrade",
    "db restore": "takes a file's place whole",
    "db copy": "the target is made once",
    "audit witness": "the witness's own folder, not the county's",
    "audit bundle": "writes a file",
    "audit certificate": "writes a file",
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*path, name)), command


def writes(command: click.Command) -> bool:
    """Whether the command takes the instant of what is written, or writes under a login."""
    callback = command.callback
    assert callback is not None
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(callback)))
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return bool(called & {"instant", "writer", "once", "transaction"})


COMMANDS = dict(commands(cli.cli))
KEYED = {
    path
    for path, command in COMMANDS.items()
    if any("--key" in parameter.opts for parameter in command.params)
}


def test_every_command_that_writes_takes_a_key() -> None:
    found = {path for path, command in COMMANDS.items() if writes(command)}

    # These two hand over to one function; a preview writes nothing.
    assert found | {"advance", "record"} <= KEYED | WITHOUT.keys() | {"batch preview"}
    assert not KEYED & WITHOUT.keys()
    assert WITHOUT.keys() <= COMMANDS.keys()
    assert {"gate open", "audit receipt import", "batch apply"} <= found


@dataclass(frozen=True)
class Asking:
    """A command under a key, and another that the same key must not stand for."""

    login: str
    command: Sequence[str | Path]
    other: Sequence[str | Path]


Making = Callable[[County, Path], Asking]
Words = list[str | Path]


def paper(folder: Path, name: str = "paper.pdf") -> Path:
    file = folder / name
    file.write_bytes(b"%PDF-1.4 " + name.encode())
    return file


def _advance(place: County, folder: Path) -> Asking:
    given = [
        part for pair in county.pairs_of(county.confirm(CODE)) for part in ("-e", "=".join(pair))
    ]
    twin = county.TOWN[1]
    return Asking(
        "wang", ["advance", CODE, "confirm", *given], ["advance", twin, "confirm", *given]
    )


def _record(place: County, folder: Path) -> Asking:
    say: Words = ["record", "complaint", CODE, "-e"]
    return Asking("wang", [*say, "what=不热"], [*say, "what=漏水"])


def _batch(place: County, folder: Path) -> Asking:
    form = forms.template(place, FactKind.COMPLAINT)
    day = {"发生日期": "2023-10-08"}
    one = forms.fill(form, {CODE: {**day, "what": "不热"}}, folder / "one.xlsx")
    two = forms.fill(form, {CODE: {**day, "what": "漏水"}}, folder / "two.xlsx")
    return Asking("wang", ["batch", "apply", one], ["batch", "apply", two])


def _plan(place: County, folder: Path) -> Asking:
    files = []
    for value in ("3", "4"):
        file = folder / f"plan-{value}.toml"
        text = county.plan_text()
        wanted = text.replace(
            "[rules.warm_visits]\nvalue = 2", f"[rules.warm_visits]\nvalue = {value}"
        )
        assert wanted != text
        file.write_text(wanted, encoding="utf-8")
        files.append(file)
    more: Words = ["--apply", "--attach", paper(folder), "--reason", "县政府文件"]
    return Asking("zhang", ["plan", "revise", files[0], *more], ["plan", "revise", files[1], *more])


def _calendar(place: County, folder: Path) -> Asking:
    example = ROOT / "docs" / "example" / "holidays-2027.toml"
    other = folder / example.name
    other.write_text(
        example.read_text("utf-8").replace("〔2026〕0号", "〔2026〕9号"), encoding="utf-8"
    )
    more: Words = ["--attach", paper(folder)]
    return Asking(
        "zhang", ["calendar", "import", example, *more], ["calendar", "import", other, *more]
    )


def _officer(place: County, folder: Path) -> Asking:
    add: Words = ["officer", "add", "neu", "--role", "acceptor", "--name"]
    return Asking("zhang", [*add, "甲"], [*add, "乙"])


def _disable(place: County, folder: Path) -> Asking:
    return Asking("zhang", ["officer", "disable", "wang"], ["officer", "disable", "qian"])


def _key_add(place: County, folder: Path) -> Asking:
    files = [f"{keys.key_file(folder, name)}.pub" for name in ("a", "b")]
    add: Words = ["officer", "key", "add", "wang"]
    return Asking("zhang", [*add, files[0]], [*add, files[1]])


def _key_revoke(place: County, folder: Path) -> Asking:
    file = f"{keys.key_file(folder, 'a')}.pub"
    must(place, "zhang", "officer", "key", "add", "wang", file)
    return Asking(
        "zhang", ["officer", "key", "revoke", "wang"], ["officer", "key", "revoke", "qian"]
    )


def _ledger(place: County, folder: Path) -> Asking:
    rows = [county.household(number, "101", 计划类别="超计划") for number in (301, 302)]
    rows[0]["身份证号"] = f" {rows[0]['身份证号']}"
    one = county.write_workbook(folder / "台账.xlsx", rows)
    more = county.write_workbook(folder / "更多.xlsx", rows[:1])
    return Asking("wang", ["ledger", "import", one], ["ledger", "import", more])


def _catalogue(place: County, folder: Path) -> Asking:
    files = []
    for model in ("A-1", "B-1"):
        file = folder / f"{model}.csv"
        file.write_text(f"型号,品牌,取暖方式,中标包号\n{model},格力,煤改电,1", encoding="utf-8")
        files.append(file)
    return Asking("zhang", ["catalogue", "import", files[0]], ["catalogue", "import", files[1]])


def _gate(place: County, folder: Path) -> Asking:
    more: Words = ["--unit", "101", "--kind", "grid", "--attach", paper(folder), "--on"]
    return Asking(
        "zhang",
        ["gate", "open", "后村", *more, "2023-06-01"],
        ["gate", "open", "后村", *more, "2023-06-02"],
    )


def _erase(place: County, folder: Path) -> Asking:
    county.carry(place, county.TOWN[:2], State.CLOSED)
    more: Words = ["--attach", paper(folder), "--reason", "本人要求"]
    return Asking("zhang", ["case", "erase", CODE, *more], ["case", "erase", county.TOWN[1], *more])


def _reply(place: County, folder: Path) -> Asking:
    county.carry(place, CODES, State.CONSTRUCTION)
    # The program's own act: on a server not an officer's.
    assert cli.run(["--db", place.url, "--today", DAY, "check", "--notify"]) == 0
    number = "小县清办催〔2023〕1号"
    reply: Words = ["notify", "reply", number, "--attach"]
    return Asking("zhang", [*reply, paper(folder)], [*reply, paper(folder, "other.pdf")])


def _bulletin(place: County, folder: Path) -> Asking:
    publish: Words = ["report", "bulletin", folder / "out", "--publish", "--format", "html"]
    return Asking("zhang", publish, [*publish, "--period", "month"])


def _checkpoint(place: County, folder: Path) -> Asking:
    make: Words = ["audit", "checkpoint", folder / "request.txt"]
    return Asking("zhang", make, [*make, "--since", "1"])


def _witnessed(place: County, folder: Path) -> tuple[Path, Path]:
    request, state = folder / "to-witness.txt", folder / "witness"
    must(place, "zhang", "audit", "checkpoint", str(request))
    must(place, "zhang", "audit", "witness", str(request), "--state", str(state), "--name", "x")
    return state / "witness.pub", Path(f"{request}.receipt")


def _witness_key(place: County, folder: Path) -> Asking:
    key, _ = _witnessed(place, folder)
    add: Words = ["audit", "witness-key", "add", key, "--attach"]
    return Asking("zhang", [*add, paper(folder)], [*add, paper(folder, "other.pdf")])


def _witness_revoke(place: County, folder: Path) -> Asking:
    key, _ = _witnessed(place, folder)
    must(place, "zhang", "audit", "witness-key", "add", str(key), "--attach", str(paper(folder)))
    revoke: Words = ["audit", "witness-key", "revoke"]
    return Asking("zhang", [*revoke, "x"], [*revoke, "y"])


def _receipt(place: County, folder: Path) -> Asking:
    key, receipt = _witnessed(place, folder)
    must(place, "zhang", "audit", "witness-key", "add", str(key), "--attach", str(paper(folder)))
    other = folder / "other.receipt"
    other.write_bytes(receipt.read_bytes() + b"\n")
    take: Words = ["audit", "receipt", "import"]
    return Asking("zhang", [*take, receipt], [*take, other])


def _quarantine(place: County, folder: Path) -> Asking:
    place.tamper("UPDATE journal SET actor = 'x', hash = 'y' WHERE stream = ?", f"case:{CODE}")
    close: Words = ["audit", "quarantine", CODE, "--reason"]
    return Asking("zhang", [*close, "坏道"], [*close, "另有原因"])


def _sample(place: County, folder: Path) -> Asking:
    county.carry(place, CODES, State.STABLE_SEASON)
    draw: Words = [
        "audit",
        "sample",
        "--risk",
        "20%",
        "--tolerable",
        "20%",
        "--sheet",
        folder / "入户表.xlsx",
    ]
    return Asking("shen", [*draw, "--seed", "42"], [*draw, "--seed", "43"])


def _results(place: County, folder: Path) -> Asking:
    asking = _sample(place, folder)
    must(place, asking.login, *map(str, asking.command))
    sheet = folder / "入户表.xlsx"
    book = openpyxl.load_workbook(sheet)
    told = {"检查日期": DAY, "新取暖正常": "是", "室内温度℃": 21.5, "旧炉还在": "无此设施"}
    told |= {"火炕被封": "否", "结论": "合格"}
    for page in book:
        headings = {cell.value: cell.column for cell in page[3]}
        for heading, value in told.items():
            page.cell(4, headings[heading]).value = value
    book.save(sheet)
    other = folder / "other.xlsx"
    book.worksheets[0].cell(4, headings["室内温度℃"]).value = 19
    book.save(other)
    take: Words = ["audit", "sample", "results"]
    return Asking("shen", [*take, sheet], [*take, other])


ASKED: Mapping[str, Making] = {
    "advance": _advance,
    "record": _record,
    "batch apply": _batch,
    "plan revise": _plan,
    "calendar import": _calendar,
    "officer add": _officer,
    "officer disable": _disable,
    "officer key add": _key_add,
    "officer key revoke": _key_revoke,
    "ledger import": _ledger,
    "catalogue import": _catalogue,
    "gate open": _gate,
    "case erase": _erase,
    "notify reply": _reply,
    "report bulletin": _bulletin,
    "audit checkpoint": _checkpoint,
    "audit witness-key add": _witness_key,
    "audit witness-key revoke": _witness_revoke,
    "audit receipt import": _receipt,
    "audit quarantine": _quarantine,
    "audit sample": _sample,
    "audit sample results": _results,
}


def test_every_command_with_a_key_is_tried_below() -> None:
    assert set(ASKED) == KEYED


def must(place: County, login: str, *arguments: str) -> None:
    assert cli.run([*county.acting(place, login), "--today", DAY, *arguments]) == 0


@dataclass(frozen=True)
class Say:
    """Types a command on a day of the drill; answers the exit status and the JSON."""

    place: County
    capsys: pytest.CaptureFixture[str]

    def __call__(
        self, login: str, command: Sequence[str | Path], key: str = "K1", *, day: str = DAY
    ) -> tuple[int, Document]:
        self.capsys.readouterr()
        given = ["--json", *county.acting(self.place, login), "--today", day]
        status = cli.run([*given, *map(str, command), "--key", key])
        answer = json.loads(self.capsys.readouterr().out)
        assert isinstance(answer, dict)
        return status, answer


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def say(place: County, capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(place, capsys)


# What an answer says of this time, not of what was written.
OF_THIS_TIME = ("repeated", "files", "written", "applied")


def lasting(answer: Json) -> Json:
    """What of an answer is the same whenever it is given."""
    if isinstance(answer, list):
        return [lasting(one) for one in answer]
    if isinstance(answer, dict):
        return {name: lasting(one) for name, one in answer.items() if name not in OF_THIS_TIME}
    return answer


@pytest.mark.parametrize("name", list(ASKED))
def test_the_same_again_writes_nothing_and_answers_alike(
    place: County, say: Say, tmp_path: Path, name: str
) -> None:
    asking = ASKED[name](place, tmp_path)

    status, first = say(asking.login, asking.command)
    assert status == 0, first
    before = county.every_row(place)
    again = say(asking.login, asking.command)

    assert again[0] == 0, again[1]
    assert lasting(again[1]) == lasting(first)
    assert again[1]["repeated"] in (True, 1)
    assert county.every_row(place) == before


@pytest.mark.parametrize("name", list(ASKED))
def test_another_request_under_the_same_key_is_refused(
    place: County, say: Say, tmp_path: Path, name: str
) -> None:
    asking = ASKED[name](place, tmp_path)
    status, first = say(asking.login, asking.command)
    assert status == 0, first
    before = county.every_row(place)

    status, refused = say(asking.login, asking.other)

    error = refused["error"]
    assert isinstance(error, dict)
    assert (status, error["code"]) == (4, "key_reused")
    assert county.every_row(place) == before


def test_a_key_is_its_officers_own(place: County, say: Say, tmp_path: Path) -> None:
    asking = _gate(place, tmp_path)
    assert say("zhang", asking.command)[0] == 0

    status, other = say("li", asking.other)

    assert (status, other["repeated"], other["opened_on"]) == (0, False, "2023-06-02")
    assert say("wang", asking.command)[0] == 5


def test_a_refusal_uses_up_no_key(place: County, say: Say, tmp_path: Path) -> None:
    asking = _ledger(place, tmp_path)
    wrong = county.write_workbook(
        tmp_path / "坏.xlsx", [county.household(310, "101", 取暖方式="炭")]
    )
    before = county.every_row(place)

    status, _ = say("wang", ["ledger", "import", wrong])

    assert status == 3
    assert county.every_row(place) == before
    assert say("wang", asking.command)[0] == 0


def test_several_ledgers_under_one_key_are_answered_again(
    place: County, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [
        county.write_workbook(
            tmp_path / f"{number}.xlsx", [county.household(number, "101", 计划类别="超计划")]
        )
        for number in (301, 302)
    ]
    command = ["--json", *county.acting(place, "wang"), "--today", DAY, "ledger", "import"]
    told = []
    for _ in range(2):
        capsys.readouterr()
        assert cli.run([*command, *map(str, files), "--key", "K"]) == 0
        told.append(json.loads(capsys.readouterr().out))

    assert [one["added"] for one in told[0]] == [one["added"] for one in told[1]] == [1, 1]
    assert [one["repeated"] for one in told[1]] == [True, True]


def test_no_receipt_holds_personal_data(place: County, say: Say, tmp_path: Path) -> None:
    asking = _ledger(place, tmp_path)
    status, first = say("wang", asking.command)
    assert status == 0
    assert first["normalisations"]

    [(answer,)] = place.sql("SELECT answer FROM receipt WHERE key = 'K1'")

    personal = place.sql("SELECT name, id_number, phone, meter, address FROM personal")
    assert not [value for row in personal for value in row if value and str(value) in str(answer)]


def test_a_file_that_is_missing_is_written_when_asked_again(
    place: County, say: Say, tmp_path: Path
) -> None:
    asking = _sample(place, tmp_path)
    sheet = tmp_path / "入户表.xlsx"
    assert say("shen", [*asking.command])[0] == 0
    sheet.unlink()

    assert say("shen", asking.command)[0] == 0

    assert sheet.exists()


def test_a_bulletin_asked_for_again_on_a_later_day_is_the_first_one(
    place: County, say: Say, tmp_path: Path
) -> None:
    asking = _bulletin(place, tmp_path)
    first = say("zhang", asking.command)[1]
    before = county.every_row(place)

    status, again = say("zhang", asking.command, day="2023-10-20")

    assert (status, again["number"], again["as_of"]) == (0, first["number"], first["as_of"])
    assert county.every_row(place) == before


def test_who_may_act_no_more_is_answered_no_more(place: County, say: Say, tmp_path: Path) -> None:
    asking = _ledger(place, tmp_path)
    assert say("wang", asking.command)[0] == 0
    must(place, "zhang", "officer", "disable", "wang")

    assert say("wang", asking.command)[0] == 5


def test_the_same_at_the_same_moment_is_done_once(place: County) -> None:
    asked = receipts.asked("zhang", "K", {"what": "gate"})
    ready, told = threading.Barrier(4), list[Document]()

    def ask(number: int) -> None:
        database = county.open_at(place.url).database

        def do(one: Database) -> Document:
            ready.wait()
            with one.transaction() as connection:
                connection.exec_driver_sql(
                    f"INSERT INTO gate VALUES ('101', '村{number}', 'grid', '2023-06-01')"
                )
            return {"number": number}

        told.append(receipts.once(database, asked, do))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({str(one["number"]) for one in told}) == 1
    assert sorted(one["repeated"] is True for one in told) == [False, True, True, True]
    assert place.sql("SELECT COUNT(*) FROM gate WHERE village LIKE '村%'") == [(1,)]


def test_a_receipt_that_cannot_be_kept_takes_back_what_was_written(
    place: County, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = _gate(place, tmp_path)
    before = county.every_row(place)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(receipts, "keep", fail)
    given = [*county.acting(place, "zhang"), "--today", DAY]

    assert cli.run([*given, *map(str, asking.command), "--key", "K"]) == 130
    assert county.every_row(place) == before


# Its receipts had no login.
@pytest.mark.filterwarnings("ignore:Column 'receipt.login'")
def test_the_keys_of_an_older_database_stay_with_who_used_them(
    place: County, tmp_path: Path
) -> None:
    place.advance(
        CODE, Trigger.CONFIRM, county.CONFIRMED, *county.pairs_of(county.confirm(CODE)), key="K1"
    )
    [(seq,)] = place.sql("SELECT MAX(seq) FROM journal")
    if place.database.shared:
        url = server.new()
        older_in_server(place, url, "0003")
    else:
        url = str(older(place, tmp_path / "old.db", "0003"))
    old = County(Path(url), db.connect(url, older=True))
    # The guards of then knew nothing of receipts.
    if old.database.shared:
        old.sql("ALTER TABLE receipt DISABLE TRIGGER USER")
    old.sql("INSERT INTO receipt VALUES ('batch:1', 'r', ?)", seq)

    upgrade.bring_up(old.database)

    kept = old.sql("SELECT login, key, seq FROM receipt ORDER BY key")
    assert kept == [("wang", "K1", seq), ("system", "batch:1", seq)]
    old.close()


# On a server, each officer with his own login -----------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize(
    ("login", "make"), [("wang", _record), ("wang", _ledger), ("zhang", _gate), ("zhang", _officer)]
)
def test_on_a_server_a_key_is_the_connected_officers_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], login: str, make: Making
) -> None:
    place = county.fresh(tmp_path, shared=True)
    asking = make(place, tmp_path)
    capsys.readouterr()
    given = ["--json", "--db", server.as_login(place.url, login), "--today", DAY]
    told = []
    for command in (asking.command, asking.command, asking.other):
        status = cli.run([*given, *map(str, command), "--key", "K1"])
        told.append((status, json.loads(capsys.readouterr().out)))

    (first, answer), (again, repeated), (other, refused) = told
    assert (first, again, other) == (0, 0, 4), told
    assert lasting(repeated) == lasting(answer)
    assert repeated["repeated"] is True
    assert refused["error"]["code"] == "key_reused"
    assert place.sql("SELECT login FROM receipt WHERE key = 'K1'") == [(login,)]
    other_officer = server.as_login(place.url, "qian")
    assert _seen(other_officer, "SELECT COUNT(*) FROM receipt") == [(0,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _seen(other_officer, f"INSERT INTO receipt VALUES ('{login}', 'K2', 'r', 1)")
    place.database.close()
    server.drop(place.url)


def _seen(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.plain(url)) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []
