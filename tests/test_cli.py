"""The command line as its users meet it: what it prints, how it ends, and what it leaves alone."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import click
import county
import pytest
from county import CODE, COLLECTIVE, HEATING, LAST_DAY, SIGNED, County, every_row

import cli
from states.plan import Json
from states.vocabulary import State
from workflow import cases, engine
from workflow.cases import Position

ROOT = Path(__file__).parent.parent
DAY = str(county.CONFIRMED)
CONFIRM = (
    *("-e", "visit_on=2023-06-01", "-e", "notice_from=2023-06-02", "-e", "notice_to=2023-06-08"),
    *(
        "-e",
        "consent_on=2023-06-09",
        "-e",
        "consent_by=household",
        "-e",
        "old_facility=kang:in_use",
    ),
)
Answer = tuple[int, str, str]
Run = Callable[..., Answer]


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def run(place: County, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `xianli --db COUNTY …`: exit status, standard output, standard error."""
    monkeypatch.delenv("XIANLI_DB", raising=False)
    monkeypatch.delenv("XIANLI_OFFICER", raising=False)
    monkeypatch.chdir(place.file.parent)

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        status = cli.run(county.typed(place, arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


def answer(run: Run, *arguments: object) -> Json:
    """The JSON that a command answers when it ends well."""
    status, out, err = run("--json", *arguments)
    assert (status, err) == (0, ""), (out, err)
    document: Json = json.loads(out)
    return document


def keys(document: Json) -> list[str]:
    assert isinstance(document, dict)
    return list(document)


def entries(document: Json) -> list[Json]:
    assert isinstance(document, list)
    assert document
    return document


def member(document: Json, *names: str) -> Json:
    for name in names:
        assert isinstance(document, dict)
        document = document[name]
    return document


# What goes wrong ---------------------------------------------------------------------------------

WANG = ("--as", "wang", "--today", DAY)
ZHANG = ("--as", "zhang", "--today", DAY)
FAILING = [
    pytest.param((*WANG, "advance", "101-9999", "confirm", *CONFIRM), 5, id="no such case"),
    pytest.param((*WANG, "advance", "102-0001", "confirm", *CONFIRM), 5, id="another unit"),
    pytest.param(("--as", "wang", "case", "show", "102-0001"), 5, id="showing another unit"),
    pytest.param(("case", "show", "101-9999"), 5, id="showing no such case"),
    pytest.param(("--as", "wang", "case", "why", "102-0001"), 5, id="asking of another unit"),
    pytest.param(("--as", "wang", "case", "history", "102-0001"), 5, id="history elsewhere"),
    pytest.param((*ZHANG, "advance", CODE, "confirm", *CONFIRM), 5, id="wrong role"),
    pytest.param((*WANG, "officer", "add", "x", "--name", "X", "--role", "auditor"), 5, id="adds"),
    pytest.param((*WANG, "gate", "open", "村", "--unit", "101", "--kind", "grid", "--on", DAY,
                  "--attach", "paper.pdf"), 5, id="gate by unit"),
    pytest.param(("--today", DAY, "advance", CODE, "confirm", *CONFIRM), 2, id="nobody said"),
    pytest.param(("--as", "ghost", "--today", DAY, "advance", CODE, "confirm"), 5, id="ghost"),
    pytest.param(("--as", "ghost", "todo"), 5, id="ghost reads"),
    pytest.param((*WANG, "advance", CODE, "confirm", "-e", "visited_on=2023-06-01"), 2, id="key"),
    pytest.param((*WANG, "advance", CODE, "confirm", "-e", "visit_on"), 2, id="no equals sign"),
    pytest.param((*WANG, "advance", CODE, "confirm", "-e", "consent_by=cat"), 2, id="enum"),
    pytest.param((*WANG, "advance", CODE, "confirm", "-e", "visit_on=2023-6-1"), 2, id="no date"),
    pytest.param((*WANG, "advance", CODE, "force"), 2, id="no such trigger"),
    pytest.param((*WANG, "record", "nothing", CODE), 2, id="no such fact"),
    pytest.param((*WANG, "nonsense"), 2, id="no such command"),
    pytest.param((*WANG, "advance", CODE), 2, id="an argument missing"),
    pytest.param((*WANG, "advance", CODE, "confirm", "--on", "2023-06-11", *CONFIRM), 1,
                 id="the future"),
    pytest.param((*WANG, "record", "visit", CODE, "--on", "2023-06-11", "-e", "temperature=20"), 1,
                 id="a fact of the future"),
    pytest.param((*WANG, "record", "works", CODE, "-e", "started_on=2023-06-05", "-e",
                  "installed_on=2023-06-04"), 1, id="date order"),
    pytest.param((*WANG, "advance", CODE, "confirm", *CONFIRM[2:]), 1, id="missing evidence"),
    pytest.param((*WANG, "record", "visit", CODE), 1, id="missing key of a fact"),
    pytest.param((*WANG, "record", "complaint", CODE, "-e", "what=电话13835001234"), 1,
                 id="phone number"),
    pytest.param((*WANG, "record", "complaint", CODE, "-e",
                  f"what={county.id_number(1)}"), 1, id="ID number"),
    pytest.param((*WANG, "advance", CODE, "select"), 1, id="wrong state"),
    pytest.param((*WANG, "record", "visit", CODE, "-e", "temperature=20", "--on", "2023-05-25"), 1,
                 id="late without paper"),
    pytest.param((*WANG, "record", "fault", CODE, "-e", "what=坏", "--attach", "none.pdf"), 3,
                 id="no such attachment"),
    pytest.param(("--as", "wang", "advance", CODE, "confirm", *CONFIRM), 2, id="no today"),
    pytest.param(("--as", "wang", "--today", "2023-05-21", "record", "fault", CODE, "-e",
                  "what=坏"), 2, id="today goes back"),
    pytest.param(("plan", "check", "typo.toml"), 3, id="plan with a typo"),
    pytest.param(("plan", "check", "no-such-plan"), 3, id="no such plan"),
    pytest.param((*WANG, "ledger", "import", "bad.xlsx"), 3, id="no workbook"),
    pytest.param((*WANG, "ledger", "import", "faulty.xlsx"), 3, id="faulty ledger"),
    pytest.param((*WANG, "ledger", "import", "none.xlsx"), 3, id="no ledger"),
    pytest.param(("--as", "zhao", "--today", DAY, "ledger", "import", "faulty.xlsx"), 5,
                 id="an acceptor imports"),
    pytest.param(("--as", "shen", "--today", DAY, "ledger", "export", "out.csv", "--reveal"), 5,
                 id="an auditor reveals"),
    pytest.param(("case", "list", "--as-of", "2030-01-01"), 2, id="as of the future"),
    pytest.param(("todo", "--unit", "没有这个单位"), 2, id="no such unit"),
    pytest.param((*ZHANG, "officer", "add", "wang", "--name", "X", "--role", "auditor"), 4,
                 id="login in use"),
    pytest.param((*ZHANG, "officer", "disable", "ghost"), 2, id="disabling nobody"),
    pytest.param((*ZHANG, "catalogue", "import", "bad.xlsx"), 3, id="no catalogue"),
    pytest.param((*ZHANG, "init", "--plan", "wutai-2023", "--drill", "--first", "a", "--name",
                  "甲"), 2, id="the database is there already"),
]  # fmt: skip


@pytest.fixture
def files(place: County) -> None:
    """What the failing commands are handed."""
    folder = place.file.parent
    (folder / "typo.toml").write_text(
        county.plan_text().replace("outage_days_total", "outage_day_total"), encoding="utf-8"
    )
    (folder / "bad.xlsx").write_bytes(b"this is no workbook")
    (folder / "paper.pdf").write_bytes(b"%PDF")
    right = county.id_number(50)
    wrong = right[:-1] + ("1" if right[-1] != "1" else "2")
    faulty = county.household(50, "101", 身份证号=wrong)
    county.write_workbook(folder / "faulty.xlsx", [county.household(51, "101"), faulty])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("arguments", "status"), FAILING)
def test_what_goes_wrong_ends_with_its_status_and_one_clear_line_and_writes_nothing(
    place: County, run: Run, arguments: tuple[str, ...], status: int
) -> None:
    before = every_row(place)

    found, out, err = run(*arguments)

    assert found == status, (out, err)
    assert (err or out).strip()
    assert "Traceback" not in err
    assert every_row(place) == before


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("arguments", "status"), FAILING)
def test_under_json_what_goes_wrong_is_the_error_object(
    place: County, run: Run, arguments: tuple[str, ...], status: int
) -> None:
    before = every_row(place)

    found, out, err = run("--json", *arguments)

    document = json.loads(out)
    assert (found, err) == (status, "")
    assert every_row(place) == before
    if "verdict" in document:
        assert document["verdict"] == "rejected"
        assert document["faults"]
        return
    assert list(document["error"]) == ["status", "code", "message", "place", "remedy", "reasons"]
    assert document["error"]["status"] == status
    for reason in document["error"]["reasons"]:
        assert list(reason)[:6] == ["guard", "clause", "message", "missing", "who", "earliest"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("advance", "{}", "confirm", *CONFIRM),
        ("record", "fault", "{}", "-e", "what=坏"),
        ("case", "show", "{}"),
        ("case", "why", "{}", "permit"),
        ("case", "history", "{}"),
    ],
)
def test_another_units_case_and_no_case_give_the_same_words(
    run: Run, arguments: tuple[str, ...]
) -> None:
    told = []
    for code in ("102-0001", "101-9999"):
        status, out, err = run("--json", *WANG, *(a.replace("{}", code) for a in arguments))
        told.append((status, out.replace(code, "CODE"), err))

    assert told[0] == told[1]
    assert told[0][0] == 5


def test_a_typo_in_a_plan_is_told_with_its_place(run: Run, files: None) -> None:
    _, out, _ = run("--json", "plan", "check", "typo.toml")

    assert "typo.toml: rules.outage_day_total" in json.loads(out)["error"]["place"]


def test_a_database_that_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("--json", "--db", tmp_path / "none.db", "todo")

    assert (status, json.loads(out)["error"]["code"]) == (2, "no_database")


def test_a_real_database_takes_no_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = county.fresh(tmp_path, drill=False)
    before = every_row(place)
    call = [*county.acting(place, "wang"), "--json", "--today", DAY]

    for command in (["advance", CODE, "confirm", *CONFIRM], ["check"], ["todo"]):
        assert cli.run([*call, *command]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["place"] == "--today"

    assert every_row(place) == before


def test_a_real_database_records_by_the_clock(tmp_path: Path) -> None:
    place = county.fresh(tmp_path, drill=False)

    status = cli.run([*county.acting(place, "wang"), "record", "fault", CODE, "-e", "what=坏"])

    [(recorded,)] = place.sql("SELECT MAX(recorded_at) FROM journal")
    assert status == 0
    assert str(recorded)[:10] > "2023-05-22"


def test_a_key_is_answered_again_and_refused_for_another_command(place: County, run: Run) -> None:
    fault = (*WANG, "record", "fault", CODE, "--key", "k1", "-e")
    first = answer(run, *fault, "what=坏")
    before = every_row(place)

    again = answer(run, *fault, "what=坏")
    status, out, _ = run("--json", *fault, "what=又坏")

    assert isinstance(first, dict)
    assert again == {**first, "repeated": True}
    assert (status, json.loads(out)["error"]["code"]) == (4, "key_reused")
    assert every_row(place) == before


def test_a_broken_journal_ends_with_6(place: County, run: Run) -> None:
    place.reword(f"case:{CODE}", "kang", "none")
    before = every_row(place)

    written, out, _ = run("--json", *WANG, "record", "fault", CODE, "-e", "what=坏")
    verified, findings, _ = run("--json", "audit", "verify")

    assert (written, verified) == (6, 6)
    assert json.loads(out)["error"]["code"] == "journal_broken"
    assert CODE in findings
    assert run("case", "list")[0] == 0
    assert run("todo")[0] == 0
    assert every_row(place) == before


def test_a_bug_of_ours_ends_with_70_and_keeps_its_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr("workflow.overdue.todo", break_down)

    status, out, err = run("--json", "todo")

    assert (status, json.loads(out)["error"]["code"]) == (70, "bug")
    assert "ZeroDivisionError: nobody expected this" in err


def test_what_fails_within_a_list_is_the_whole_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*given: object) -> Iterator[Position]:
        yield from itertools.islice(each(*given), 1)  # type: ignore[arg-type]
        raise ZeroDivisionError("nobody expected this")

    each = cases.each
    monkeypatch.setattr(cases, "each", break_down)

    status, out, _ = run("--json", "case", "list")

    assert (status, json.loads(out)["error"]["code"]) == (70, "bug")


# What goes well ----------------------------------------------------------------------------------

POSITION = [
    *("code", "unit", "unit_name", "village", "path", "kind", "area", "quota", "state"),
    *("state_since", "due_on", "plan_due_on", "target_on", "due_reason", "overdue", "at_risk"),
]
RECEIPT = [
    *("code", "trigger", "state", "version", "seq", "event_hash", "occurred_on", "recorded_at"),
    *("due_on", "repeated"),
]


@pytest.fixture
def permitted(place: County) -> County:
    county.carry(place, [CODE, HEATING, COLLECTIVE], State.REMOVAL_PERMITTED)
    return place


@pytest.mark.usefixtures("permitted")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("case", "list"), POSITION),
        (("todo",), ["code", "unit", "trigger", "due_on", "days_left", "missing"]),
        (
            ("case", "history", CODE),
            [
                *("seq", "kind", "from", "to", "occurred_on", "recorded_at", "actor", "role"),
                *("reason", "evidence", "event_hash"),
            ],
        ),
        (("gate", "list"), ["unit", "village", "kind"]),
        (("officer", "list"), ["login", "name", "role", "unit", "person"]),
    ],
)
def test_a_list_has_the_keys_of_the_design(
    run: Run, arguments: tuple[str, ...], expected: list[str]
) -> None:
    for line in entries(answer(run, *arguments)):
        assert set(expected) <= set(keys(line))


@pytest.mark.usefixtures("permitted")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("case", "show", CODE), [*POSITION, "version", "tracks", "next"]),
        (
            ("case", "why", CODE, "permit"),
            ["code", "trigger", "possible", "earliest", "earliest_reason", "reasons"],
        ),
        (
            ("check", "--as-of", "2023-09-15"),
            ["as_of", "cases", "overdue", "at_risk", "historic", "gravest", "by_unit"],
        ),
        (
            ("plan", "show"),
            [
                *("name", "hash", "effective_from", "phases", "units", "seasons", "rules"),
                *("acceptance", "gates"),
            ],
        ),
        (("audit", "verify"), ["verified", "events", "cases", "findings", "proof"]),
        (("audit", "removal"), ["permitted", "removed", "lawful", "findings"]),
        (("safety",), ["property", "holds", "states", "counterexample"]),
        (
            ("--as", "wang", "--today", "2024-04-02", "record", "fault", CODE, "-e", "what=坏"),
            RECEIPT,
        ),
        (
            (
                *("--as", "zhang", "--today", "2024-04-02", "advance", CODE, "close"),
                *("-e", "cause=withdrawn", "-e", "requested_by=用户", "-e", "document=申请"),
            ),
            RECEIPT,
        ),
    ],
)
def test_an_answer_has_the_keys_of_the_design(
    run: Run, arguments: tuple[str, ...], expected: list[str]
) -> None:
    assert set(expected) <= set(keys(answer(run, *arguments)))


def test_the_parts_of_an_answer_have_the_keys_of_the_design(run: Run) -> None:
    plan = answer(run, "plan", "show")
    check = answer(run, "check")
    rules = [
        *("required_seasons", "outage_days", "outage_days_total", "warm_visits"),
        *("warm_temperature", "first_heat_grace_days", "notice_days", "backdating_days"),
    ]

    assert {*rules, "lead_days"} <= set(keys(member(plan, "rules")))
    for part, expected in (
        ("phases", {"key", "start", "end", "historic"}),
        ("units", {"code", "name", "task"}),
        ("seasons", {"label", "area", "path", "first_day", "last_day", "verified"}),
        ("acceptance", {"path", "kind", "area", "items", "signers", "documents"}),
        ("gates", {"path", "kind"}),
    ):
        assert expected <= set(keys(entries(member(plan, part))[0]))
    unit = member(check, "by_unit", "101")
    assert {"unit_name", "task", "done", "overdue", "at_risk"} <= set(keys(unit))
    outlook = {"p_construction", "p_acceptance", "expected", "pace_needed", "pace_shown"}
    assert outlook <= set(keys(unit))
    unit = member(answer(run, "forecast"), "by_unit", "101")
    assert {*outlook, "low", "high", "binding_state"} <= set(keys(unit))
    proof = member(answer(run, "audit", "verify"), "proof")
    assert set(keys(proof)) == {"witnessed", "signed", "clock_only"}


@pytest.mark.parametrize("unit", ["RLJ", "101"])
@pytest.mark.parametrize("held", [1, 1 << 20])
def test_a_list_is_one_document_however_it_is_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, unit: str, held: int
) -> None:
    monkeypatch.setattr(cli, "IN_MEMORY", held)

    for state in State:
        _, out, _ = run("--json", "case", "list", "--unit", unit, "--state", state)
        document = json.loads(out)
        assert out == json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def test_an_import_answers_with_the_keys_of_the_design(place: County, run: Run) -> None:
    file = county.write_workbook(place.file.parent / "新.xlsx", [county.household(60, "101")])

    document = answer(run, *WANG, "ledger", "import", file)

    expected = {"file", "verdict", "rows", "added", "changed", "faults", "normalisations"}
    assert expected <= set(keys(document))
    assert (member(document, "verdict"), member(document, "added")) == ("accepted", 1)


def test_what_is_done_is_what_the_journal_says(place: County, run: Run) -> None:
    document = answer(run, *WANG, "advance", CODE, "confirm", *CONFIRM)

    [(seq, digest)] = place.sql("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")
    assert member(document, "state") == "equipment_selection"
    assert (member(document, "seq"), member(document, "event_hash")) == (seq, digest)
    assert member(document, "recorded_at") == "2023-06-10T04:00:00.000000Z"


def test_a_dry_run_writes_nothing(place: County, run: Run) -> None:
    before = every_row(place)

    assert run(*WANG, "advance", CODE, "confirm", *CONFIRM, "--dry-run")[0] == 0
    assert run(*WANG, "advance", CODE, "confirm", "--dry-run")[0] == 1

    assert every_row(place) == before


def test_reading_commands_write_nothing(permitted: County, run: Run) -> None:
    before = every_row(permitted)

    for command in (
        *(
            ("todo",),
            ("check",),
            ("forecast",),
            ("case", "list"),
            ("case", "show", CODE),
            ("case", "why", CODE),
        ),
        *(("case", "history", CODE), ("plan", "show"), ("audit", "verify"), ("audit", "removal")),
        *(("gate", "list"), ("officer", "list"), ("safety",), ("safety", "--schema")),
        ("--as", "wang", "ledger", "export", "masked.csv"),
    ):
        assert run(*command)[0] == 0, command

    assert every_row(permitted) == before


# The forecast --------------------------------------------------------------------------------


def test_the_forecast_names_who_is_most_in_danger_first(place: County, run: Run) -> None:
    county.carry(place, county.TOWN, State.ACCEPTANCE)

    _, out, _ = run("--today", "2023-09-20", "forecast")

    listed = re.findall(r"甲镇|乙乡|热力局", out)
    assert sorted(listed) == ["乙乡", "热力局", "甲镇"]
    document = answer(run, "--today", "2023-09-20", "forecast")
    chances = [
        member(document, "by_unit", code, "p_construction")
        for name in listed
        for code, unit_name in county.UNIT_NAME.items()
        if unit_name == name
    ]
    assert chances == sorted(chances, key=str)
    assert "2023-09-30" in out
    assert "确村确户" in out


def test_check_and_forecast_say_the_same_of_a_unit(place: County, run: Run) -> None:
    county.carry(place, county.TOWN[:3], State.ACCEPTANCE)

    for asked in (("--as-of", "2023-08-12"), ("--as-of", "2023-09-15"), ("--as-of", "2023-07-01")):
        checked = member(answer(run, "check", *asked), "by_unit", "101")
        said = member(answer(run, "forecast", *asked), "by_unit", "101")

        for key in ("p_construction", "p_acceptance", "expected", "pace_needed", "pace_shown"):
            assert member(checked, key) == member(said, key), (asked, key)


def test_an_officer_of_a_unit_sees_its_own_forecast_only(run: Run) -> None:
    own = answer(run, "--as", "qian", "forecast")

    assert keys(member(own, "by_unit")) == ["102"]


@pytest.mark.parametrize("asked", [("101",), ("102", "101")], ids="+".join)
@pytest.mark.parametrize(
    "command",
    [
        *(("todo",), ("check",), ("forecast",), ("case", "list")),
        *(("batch", "template", "confirm", "表.xlsx"), ("ledger", "export", "台账.xlsx")),
    ],
)
def test_another_unit_than_ones_own_is_refused_alike_everywhere(
    run: Run, command: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    units = [word for unit in asked for word in ("--unit", unit)]
    status, _, err = run("--as", "qian", *command, *units)

    assert status == 5
    assert "不是您的责任单位" in err
    assert "不写 --unit" in err


# `case why … permit` -----------------------------------------------------------------------------


def test_the_earliest_day_is_exact(place: County, run: Run) -> None:
    """Refused the day before, passing on the day, once the evidence is there."""
    county.carry(place, [CODE], State.STABLE_SEASON)
    why = answer(run, "--today", "2023-10-15", "case", "why", CODE, "permit")
    earliest = member(why, "earliest")
    assert earliest == str(SIGNED)
    assert {str(member(reason, "guard")) for reason in entries(member(why, "reasons"))} == {
        "season_served",
        "first_heat_known",
        "warm_visits_made",
        "season_signed",
    }
    for day, make in county.WINTER[:-1]:
        engine.advance(place.database, make(CODE), "wang", county.noon(day))

    permit = ("advance", CODE, "permit")
    assert run("--as", "zhang", "--today", LAST_DAY, *permit)[0] == 1
    sign = ("-e", "season=2023-2024", "-e", "by=household")
    assert run("--as", "wang", "--today", earliest, "record", "signature", CODE, *sign)[0] == 0
    assert run("--as", "zhang", "--today", earliest, *permit)[0] == 0


@pytest.mark.parametrize(
    ("accepted", "earliest"),
    [
        (date(2023, 11, 1), "2024-04-01"),
        (date(2023, 11, 2), "2025-04-01"),
    ],
)
def test_an_acceptance_on_the_first_day_of_the_season_counts_and_one_later_does_not(
    place: County, run: Run, accepted: date, earliest: str
) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    engine.advance(place.database, county.accept(CODE), "zhao", county.noon(accepted))

    why = answer(run, "case", "why", CODE, "permit")

    assert member(why, "earliest") == earliest


def test_why_exits_with_0_whatever_it_shows(place: County, run: Run) -> None:
    for trigger in ("confirm", "select", "complete", "accept", "permit", "revoke", "reinstate"):
        assert run("case", "why", CODE, trigger)[0] == 0


def test_a_real_database_names_the_unverified_season(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path, drill=False)
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])
    before = every_row(place)

    status = cli.run([*county.acting(place, "zhang"), "--json", "advance", CODE, "permit"])

    document = json.loads(capsys.readouterr().out)
    guards = [reason["guard"] for reason in document["error"]["reasons"]]
    assert status == 1
    assert "season_verified" in guards
    assert every_row(place) == before


def test_a_drill_says_so_wherever_a_permission_shows(permitted: County, run: Run) -> None:
    del permitted
    for command in (("case", "show", CODE), ("case", "why", CODE, "permit"), ("audit", "removal")):
        status, out, _ = run(*command)
        assert status == 0
        assert "演练" in out, command


def test_removal_without_permission_exits_with_1_and_is_named(place: County, run: Run) -> None:
    fact = ("-e", "facility=kang", "-e", "status=removed", "-e", "by=household")
    assert run(*WANG, "record", "old-facility", CODE, *fact)[0] == 0

    status, out, _ = run("--json", "audit", "removal")

    document = json.loads(out)
    assert (status, document["removed"], document["lawful"]) == (1, 1, 0)
    assert [(f["code"], f["case"]) for f in document["findings"]] == [
        ("removed_without_permission", CODE)
    ]
    assert place


def test_personal_data_is_masked_unless_it_is_revealed_which_is_journaled(
    place: County, run: Run
) -> None:
    number = county.id_number(1)

    masked = run("case", "show", CODE)[1]
    status, revealed, _ = run(*WANG, "case", "show", CODE, "--reveal")

    assert number not in masked
    assert status == 0
    assert number in revealed
    assert place.sql("SELECT COUNT(*) FROM journal WHERE kind = 'revealed'") == [(1,)]


# Help and documentation --------------------------------------------------------------------------


def commands(
    group: click.Group = cli.cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = [(path, command) for path, command in commands()]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=lambda value: str(value))
def test_every_command_and_option_has_help_in_chinese(
    path: tuple[str, ...], command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.run([*path, "--help"])

    assert status == 0
    assert CHINESE.search(capsys.readouterr().out)
    assert CHINESE.search(command.help or "")
    for option in command.params:
        if isinstance(option, click.Option):
            assert CHINESE.search(option.help or ""), option.name


@pytest.mark.parametrize(
    "path", [path for path, c in COMMANDS if not isinstance(c, click.Group)], ids=" ".join
)
def test_every_command_is_in_the_documentation(path: tuple[str, ...]) -> None:
    command = f"xianli {' '.join(path)}"
    words = re.compile(rf"xianli( -[^\n`]*?)? {' '.join(path)}\b")
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    both = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]

    assert words.search(page) or all(words.search(text) for text in both), command


def test_the_installed_command_answers(place: County) -> None:
    """One real process from shell to shell."""
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "cli.py"), *county.acting(place, "wang"), "--json"),
            *("--today", DAY, "advance", CODE, "confirm", *CONFIRM),
        ],
        capture_output=True,
        check=False,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["state"] == "equipment_selection"
    assert place.state(CODE) is State.EQUIPMENT_SELECTION


@pytest.mark.parametrize("command", ["verify", "removal", "violations", "oddities"])
def test_the_audit_of_the_whole_county_is_not_for_a_unit(run: Run, command: str) -> None:
    status, out, _ = run("--json", "--as", "wang", "audit", command)

    assert (status, json.loads(out)["error"]["code"]) == (5, "not_permitted")
    assert run("--as", "zhang", "audit", command)[0] in (0, 1)
    assert run("audit", command)[0] in (0, 1)


# 修订计划 -------------------------------------------------------------------------------------


def test_a_revision_is_shown_proposed_and_confirmed_by_two_persons(
    run: Run, tmp_path: Path
) -> None:
    file, paper = tmp_path / "new.toml", tmp_path / "order.txt"
    file.write_text(county.plan_text(verified=True), encoding="utf-8")
    paper.write_text("供热令", encoding="utf-8")
    apply = ["plan", "revise", file, "--apply", "--attach", paper, "--reason", "供热令"]

    shown = answer(run, "plan", "revise", file)
    first = answer(run, "--as", "zhang", "--today", DAY, *apply)
    second = answer(run, "--as", "li", "--today", DAY, *apply)
    now = answer(run, "plan", "show")

    assert isinstance(shown, dict)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert isinstance(now, dict)
    assert (shown["applied"], shown["second_officer"]) == (False, True)
    assert (first["applied"], first["adopted"], second["adopted"]) == (True, False, True)
    assert now["hash"] == shown["hash"] != shown["was"]


def test_a_revision_that_loosens_is_shown_with_exit_status_1(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "loose.toml"
    was = "[rules.outage_days]\nvalue = 3"
    file.write_text(county.plan_text().replace(was, was.replace("3", "9")), encoding="utf-8")

    status, out, _ = run("--json", "plan", "revise", file)

    assert status == 1
    assert json.loads(out)["refused"] == ["outage_days：3 → 9：不得放宽稳定运行的要求"]
