"""The auditor's commands as the auditor meets them: what they print, how they end, who may."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import county
import openpyxl
import pytest
from county import ACCEPTED, CODE, CODES, ONE_DAY, County, every_row

import cli
from states.plan import Json
from states.vocabulary import FactKind, State, Trigger

DAY = str(ACCEPTED + ONE_DAY)
SHEN = ("--as", "shen", "--today", DAY)
SAMPLE = ("audit", "sample", "--risk", "20%", "--tolerable", "0.2")
Answer = tuple[int, str, str]
Run = Callable[..., Answer]


@pytest.fixture
def place(tmp_path: Path) -> County:
    found = county.fresh(tmp_path)
    county.carry(found, CODES, State.STABLE_SEASON)
    return found


@pytest.fixture
def run(place: County, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `xianli --db COUNTY …` in the county's folder: exit status, output, errors."""
    monkeypatch.delenv("XIANLI_OFFICER", raising=False)
    monkeypatch.chdir(place.file.parent)

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        status = cli.run(county.typed(place, arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


def answer(run: Run, *arguments: object) -> dict[str, Json]:
    status, out, err = run("--json", *arguments)
    assert (status, err) == (0, ""), (out, err)
    document = json.loads(out)
    assert isinstance(document, dict)
    return document


def error(run: Run, *arguments: object) -> tuple[int, str]:
    status, out, _ = run("--json", *arguments)
    return status, json.loads(out)["error"]["message"]


def fill(path: str, verdict: str = "合格") -> None:
    book = openpyxl.load_workbook(path)
    for page in book:
        for row in range(4, page.max_row + 1):
            if isinstance(page.cell(row, 1).value, int):
                told = (DAY, "是", 20.5, "是", "否", verdict, "")
                for column, value in enumerate(told, start=8):
                    page.cell(row, column).value = value
    book.save(path)


def test_from_the_draw_to_the_conclusion(run: Run) -> None:
    drawn = answer(run, *SHEN, *SAMPLE, "--seed", "7", "--sheet", "入户表.xlsx")
    assert (drawn["population"], drawn["size"], drawn["drawn"]) == (10, 6, 8)
    fill("入户表.xlsx")

    status, out, err = run(*SHEN, "audit", "sample", "results", "入户表.xlsx")

    assert (status, err) == (0, "")
    assert "新登记 8 户的结果" in out
    assert "按日志重抽：名单一致" in out
    assert "抽样时总体 10 户，抽查 8 户，不合格 0 户。" in out
    assert "低于可容忍的 20%，达到要求。  【演练】" in out
    shown = answer(run, "audit", "sample", "show", str(drawn["id"]))
    assert shown["reproduced"] is True
    assert isinstance(shown["conclusion"], dict)
    assert shown["conclusion"]["reached"] is True


def test_a_dry_run_shows_no_list_and_writes_nothing(run: Run, place: County) -> None:
    before = every_row(place)

    size = answer(run, *SAMPLE, "--dry-run")
    status, out, _ = run(*SAMPLE, "--dry-run")

    assert "codes" not in size
    assert (status, size["size"]) == (0, 6)
    assert CODE not in out
    assert "没有写入" in out
    assert every_row(place) == before


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((*SHEN, *SAMPLE), 2, "缺少选项 '--seed'"),
        (("--as", "shen", *SAMPLE, "--seed", "7"), 2, "都须指明日期"),
        (("--today", DAY, *SAMPLE, "--seed", "7"), 2, "须说明是谁在办理"),
        (("--as", "zhang", "--today", DAY, *SAMPLE, "--seed", "7"), 5, "抽样和抽查结果由审计人员"),
        (("--as", "wang", "--today", DAY, *SAMPLE, "--seed", "7"), 5, "这条命令看的是全县"),
        ((*SHEN, "audit", "sample", "--risk", "1", "--seed", "7"), 2, "0 与 1 之间"),
        ((*SHEN, "audit", "sample", "--risk", "abc", "--seed", "7"), 2, "0 与 1 之间"),
        ((*SHEN, *SAMPLE, "--expected", "2", "--seed", "7"), 2, "不可容忍"),
        ((*SHEN, *SAMPLE, "--state", "construction", "--seed", "7"), 2, "没有处于 施工 的户"),
        ((*SHEN, *SAMPLE, "--seed", "7", "show"), 2, "不能写在 results、show 前面"),
        (("audit", "sample", "show"), 2, "还没有抽过样"),
        (("--as", "wang", "audit", "sample", "show"), 5, "这条命令看的是全县"),
        ((*SHEN, "audit", "sample", "results", "没有.xlsx"), 3, "没有这个文件"),
        (("--as", "wang", "--today", DAY, "audit", "sample", "results", "a"), 5, "由审计人员"),
        (("audit", "asof", "2030-01-01"), 2, "DATE 2030-01-01 晚于今天"),
        ((*SHEN, "audit", "asof", DAY, "--published", "没有.json"), 3, "读不到"),
        (("--as", "wang", "audit", "asof", DAY), 5, "这条命令看的是全县"),
        (("audit", "violations", "--unit", "火星"), 2, "没有责任单位“火星”"),
        (("audit", "oddities", "--unit", "火星"), 2, "没有责任单位“火星”"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    run: Run, place: County, arguments: tuple[str, ...], status: int, told: str
) -> None:
    before = every_row(place)

    answered, message = error(run, *arguments)

    assert answered == status
    assert told in message
    assert every_row(place) == before


def test_an_unknown_sample_is_told_with_those_there_are(run: Run) -> None:
    drawn = answer(run, *SHEN, *SAMPLE, "--seed", "7")

    status, out, _ = run("--json", "audit", "sample", "show", "3")

    assert status == 2
    assert str(drawn["id"]) in json.loads(out)["error"]["remedy"]


def test_a_visit_sheet_does_not_take_the_place_of_a_file(run: Run, place: County) -> None:
    kept = place.file.parent / "入户表.xlsx"
    kept.write_bytes(b"mine")
    before = every_row(place)

    status, _, err = run(*SHEN, *SAMPLE, "--seed", "7", "--sheet", "入户表.xlsx")

    assert status == 2
    assert "已存在" in err
    assert kept.read_bytes() == b"mine"
    assert every_row(place) == before


def test_a_sheet_with_faults_is_refused_by_cell_with_exit_status_3(run: Run, place: County) -> None:
    answer(run, *SHEN, *SAMPLE, "--seed", "7", "--sheet", "入户表.xlsx")
    fill("入户表.xlsx", "还行")
    before = every_row(place)

    status, out, _ = run(*SHEN, "audit", "sample", "results", "入户表.xlsx")

    assert status == 3
    assert "退回，8 处问题，一户也没有登记" in out
    assert "M4" in out
    assert every_row(place) == before


def test_the_screen_tells_of_a_changed_population_and_a_list_of_another_seed(
    run: Run, place: County
) -> None:
    answer(run, *SHEN, *SAMPLE, "--seed", "7")
    second = answer(run, *SHEN, *SAMPLE, "--seed", "8")
    place.advance(CODE, Trigger.CLOSE, ACCEPTED + ONE_DAY, *county.CLOSING)

    status, out, _ = run("audit", "sample", "show")

    assert (status, second["earlier"]) == (0, 1)
    assert "抽样以后总体有变化：新进 0 户，离开 1 户" in out
    assert "其他抽样编号" in out


def test_the_register_on_the_screen_and_as_json(run: Run, place: County) -> None:
    act = ("type", "coal_confiscated"), ("by", "official"), ("what", "拉走了煤")
    place.advance(CODE, FactKind.VIOLATION, ACCEPTED + ONE_DAY, *act)

    document = answer(run, "audit", "violations", "--open")
    status, out, _ = run("audit", "violations")

    assert (document["total"], document["open"]) == (1, 1)
    (one,) = document["matters"] if isinstance(document["matters"], list) else []
    assert isinstance(one, dict)
    assert {key: one[key] for key in ("code", "unit", "kind", "type", "by", "days", "open")} == {
        "code": CODE,
        "unit": "101",
        "kind": "violation",
        "type": "coal_confiscated",
        "by": "official",
        "days": 0,
        "open": True,
    }
    assert status == 0
    assert "违规·没收煤炭 1 件（未销号 1）" in out
    assert "拉走了煤" in out
    assert answer(run, "audit", "violations", "--unit", "乙乡")["total"] == 0


def test_the_oddities_on_the_screen_are_cut_and_in_json_are_not(run: Run) -> None:
    document = answer(run, "audit", "oddities")
    status, out, _ = run("audit", "oddities", "--limit", "1")

    assert status == 0
    # Every household of the made-up county was accepted with the same photo.
    assert document["total"] == 1
    assert "一张照片几户" in out
    assert "可疑不等于违规" in out


def test_what_changed_since_a_published_report_is_told(run: Run, place: County) -> None:
    status, out, _ = run("--json", *SHEN, "audit", "asof", DAY)
    assert status == 0
    published = place.file.parent / "公布.json"
    published.write_text(out, encoding="utf-8")
    done = place.advance(CODE, Trigger.CLOSE, ACCEPTED + ONE_DAY, *county.CLOSING)

    status, text, _ = run(*SHEN, "audit", "asof", DAY, "--published", "公布.json")

    assert status == 0
    assert "按日志还原，与公布的数字一致" in text
    assert "甲镇：在册 6 → 5" in text
    assert f"{CODE} 稳定运行一季 → 已退出：第 {done.seq} 条 退出 {DAY}" in text
    document = json.loads(out)
    document["by_unit"]["102"]["done"] = 99
    published.write_text(json.dumps(document), encoding="utf-8")
    assert (
        "乙乡：已验收 公布 99，日志 2"
        in run(*SHEN, "audit", "asof", DAY, "--published", "公布.json")[1]
    )


def test_a_sample_and_its_results_verify(run: Run) -> None:
    answer(run, *SHEN, *SAMPLE, "--seed", "7", "--sheet", "入户表.xlsx")
    fill("入户表.xlsx")
    assert run(*SHEN, "audit", "sample", "results", "入户表.xlsx")[0] == 0

    assert answer(run, "audit", "verify")["verified"] is True


# --- the quick look -------------------------------------------------------------------------------


def test_the_quick_look_checks_the_chain_and_says_that_it_checks_no_more(run: Run) -> None:
    whole = answer(run, "audit", "verify")

    found = answer(run, "audit", "verify", "--chain")

    assert found == {
        "verified": True,
        "checked": "chain",
        "events": whole["events"],
        "findings": [],
    }
    status, told, _ = run("audit", "verify", "--chain")
    assert (status, "哈希链核对通过" in told) == (0, True)
    assert "其余用 xianli audit verify 核验" in told


def test_the_quick_look_leaves_receipts_to_the_whole_command(run: Run) -> None:
    status, _, told = run("audit", "verify", "--chain", "--receipt", "一.receipt")

    assert (status, "--receipt" in told) == (2, True)


STREAM = f"stream = 'case:{CODE}'"


@pytest.mark.parametrize(
    "change",
    [
        # Bytes in a column of text are SQLite's own, and so is how it writes them.
        pytest.param("body = x'7b7d'", marks=pytest.mark.sqlite),
        "body = 'x'",
        "hash = 'x'",
        pytest.param("hash = x'00'", marks=pytest.mark.sqlite),
        "previous = NULL",
    ],
)
def test_the_quick_look_finds_the_first_event_that_was_changed(
    place: County, run: Run, change: str
) -> None:
    [(seq,)] = place.sql(f"SELECT seq FROM journal WHERE {STREAM} AND version = 2")
    place.unguard("journal_no_update")
    place.sql(f"UPDATE journal SET {change} WHERE seq = ?", seq)

    status, told, _ = run("--json", "audit", "verify", "--chain")

    [finding] = json.loads(told)["findings"]
    assert (status, finding["code"], finding["case"]) == (6, "chain_broken", CODE)
    assert finding["seq"] == seq
    assert run("audit", "verify")[0] == 6


def test_the_quick_look_reads_the_chain_in_the_bytes_not_only_beside_them(
    place: County, run: Run
) -> None:
    query = f"SELECT seq, body FROM journal WHERE {STREAM} AND version IN (2, 3) ORDER BY seq"
    (seq, body), (following, _) = place.sql(query)
    assert isinstance(body, bytes)
    changed = body.replace(b'"reason":null', b'"reason":"x"')
    digest = sha256(changed).hexdigest()
    place.unguard("journal_no_update")
    place.sql("UPDATE journal SET body = ?, hash = ? WHERE seq = ?", changed, digest, seq)
    place.sql("UPDATE journal SET previous = ? WHERE seq = ?", digest, following)

    _, told, _ = run("--json", "audit", "verify", "--chain")

    assert [one["seq"] for one in json.loads(told)["findings"]] == [following]


def test_the_quick_look_finds_what_is_gone(place: County, run: Run) -> None:
    [(seq,)] = place.sql(f"SELECT MAX(seq) FROM journal WHERE {STREAM}")
    place.unguard("journal_no_delete")
    place.sql("DELETE FROM journal WHERE seq = ?", seq)

    status, told, _ = run("--json", "audit", "verify", "--chain")

    found = [(one["code"], one["case"]) for one in json.loads(told)["findings"]]
    assert (status, found) == (6, [("chain_broken", CODE), ("seq_gap", None)])
    assert f"缺第 {seq} 条" in run("audit", "verify", "--chain")[1]
