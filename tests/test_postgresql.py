"""The shared database: a real PostgreSQL, the same program, the same refusals."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import county
import psycopg
import pytest
import server
from county import CODE, CODES, PERMITTED, TOWN, County
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url

import cli
from states.errors import CaseError, StepRefused, UsageFault
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import (
    audit,
    db,
    engine,
    journal,
    moving,
    postgresql,
    setup,
    triggers,
    upgrade,
    verify,
)
from workflow.cases import Clocks
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.moving import Moved
from workflow.operation import Limits

pytestmark = pytest.mark.server
HERE = Path(__file__).parent
LATER = date(2023, 6, 20)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[County]:
    """The county on a server, its ten households in 确村确户."""
    place = county.fresh(tmp_path, shared=True)
    yield place
    place.database.close()
    server.drop(place.url)


def verified(place: County) -> audit.Verification:
    with place.database.reading() as connection:
        return audit.verification(connection)


# The same life ----------------------------------------------------------------------------------


def test_a_household_goes_its_way_to_the_permission_and_the_journal_verifies(place: County) -> None:
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)

    assert place.state(CODE) is State.REMOVAL_PERMITTED
    assert verified(place).findings == ()


def test_the_two_databases_write_the_same_events(place: County, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    file = county.fresh(tmp_path / "file", shared=False)
    for one in (place, file):
        county.carry(one, [CODE, TOWN[1]], State.STABLE_SEASON)

    bodies = "SELECT body FROM journal WHERE stream LIKE 'case:%' ORDER BY seq"
    # Personal data are salted, so the registrations differ in their digests.
    plain = [
        [event for body in one.sql(bodies) if (event := _without_digests(_bytes(body[0])))]
        for one in (place, file)
    ]
    assert plain[0] == plain[1]
    assert len(plain[0]) > len(CODES)


def _bytes(body: object) -> bytes:
    assert isinstance(body, bytes)
    return body


def _without_digests(body: bytes) -> dict[str, object]:
    event: dict[str, object] = json.loads(body)
    return {name: event[name] for name in event if name not in ("personal", "previous")}


def test_a_refusal_leaves_no_trace(place: County) -> None:
    before = county.every_row(place)

    with pytest.raises(StepRefused):
        place.advance(CODE, Trigger.CONFIRM, county.CONFIRMED)

    assert county.every_row(place) == before


def test_a_past_day_and_what_was_known_are_read_as_on_a_file(place: County) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)

    for clocks in (Clocks(county.SELECTED, past=True), Clocks(LATER, True, county.noon(LATER))):
        assert county.listed(place, clocks) == county.folded(place, clocks)


def test_the_tables_are_exactly_those_of_the_program(place: County) -> None:
    with place.database.reading() as connection:
        assert upgrade.schema_faults(connection) == []


# What the server itself refuses -----------------------------------------------------------------


@pytest.fixture
def ready(place: County) -> County:
    """One household is permitted, another has its winter behind it."""
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    return place


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE journal SET actor = 'nobody' WHERE seq = 3", "never changed"),
        ("DELETE FROM journal WHERE seq = 3", "never shortened"),
        ("TRUNCATE journal", "never shortened"),
        ("INSERT INTO journal SELECT * FROM journal WHERE seq = 3", "without a gap"),
        (
            "INSERT INTO journal SELECT seq + 1, stream, version, previous, kind, from_state, "
            "to_state, occurred_on, recorded_at, actor, role, hash, body, signature FROM journal "
            "ORDER BY seq DESC LIMIT 1",
            "follow the stream",
        ),
        (
            f"UPDATE household_case SET state = 'removal_permitted' WHERE code = '{TOWN[1]}'",
            "only with its event",
        ),
        (f"UPDATE household_case SET version = 99 WHERE code = '{TOWN[1]}'", "only with its event"),
        (f"UPDATE household_case SET code = 'X' WHERE code = '{TOWN[1]}'", "only with its event"),
        (f"DELETE FROM household_case WHERE code = '{TOWN[1]}'", "never deleted"),
        ("TRUNCATE household_case", "never deleted"),
        ("UPDATE permission SET permitted_by = 'x'", "never changed"),
        ("DELETE FROM permission", "never deleted"),
        ("TRUNCATE permission", "never deleted"),
        (
            "INSERT INTO permission SELECT seq + 1, case_code, source_state, permitted_on, "
            "permitted_by, acceptance_seq, accepted_on, accepted_by, readiness_seq, ready_on, "
            "season_first_day, season_last_day, plan FROM permission",
            "not in stable_season",
        ),
    ],
)
def test_plain_sql_is_refused(ready: County, statement: str, told: str) -> None:
    before = county.every_row(ready)

    with pytest.raises(psycopg.errors.RaiseException, match=f"xianli: .*{told}"):
        ready.sql(statement)

    assert county.every_row(ready) == before


PERMISSION = {
    "source_state": "'stable_season'",
    "permitted_on": f"DATE '{PERMITTED}'",
    "permitted_by": "'li'",
    "accepted_by": "'zhao'",
    "accepted_on": f"DATE '{county.ACCEPTED}'",
    "ready_on": f"DATE '{county.COMPLETED}'",
    "season_first_day": f"DATE '{county.FIRST_DAY}'",
    "season_last_day": f"DATE '{county.LAST_DAY}'",
}


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("source_state", "'acceptance'", "not in stable_season"),
        ("accepted_on", "DATE '2023-09-11'", "no such acceptance"),
        ("ready_on", "DATE '2023-12-01'", "no such readiness"),
        ("permitted_by", "'zhao'", "who accepted cannot permit"),
        ("season_first_day", "DATE '2023-09-01'", "no full season"),
        ("season_last_day", f"DATE '{PERMITTED}'", "no full season"),
        ("season_first_day", "NULL", "no full season"),
        (None, "", ""),
    ],
)
def test_a_permission_names_what_it_rests_on(
    place: County, column: str | None, value: str, told: str
) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    facts = PERMISSION | ({column: value} if column else {})
    kinds = {"accept": "acceptance_seq", "complete": "readiness_seq"}
    for kind, name in kinds.items():
        [(seq,)] = place.sql(
            f"SELECT seq FROM journal WHERE stream = 'case:{CODE}' AND kind = '{kind}'"
        )
        facts[name] = str(seq)
    names, values = ", ".join(facts), ", ".join(facts.values())
    statement = (
        f"INSERT INTO permission (seq, case_code, plan, {names}) "
        f"SELECT 9999, '{CODE}', hash, {values} FROM plan_revision LIMIT 1"
    )

    if column is None:
        place.sql(statement)
        assert place.sql("SELECT count(*) FROM permission") == [(1,)]
    else:
        with pytest.raises(psycopg.errors.RaiseException, match=told):
            place.sql(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER journal_no_update ON journal",
        "ALTER TABLE journal DISABLE TRIGGER journal_no_update",
        "CREATE OR REPLACE FUNCTION journal_no_update() RETURNS trigger LANGUAGE plpgsql "
        "AS $$BEGIN RETURN NEW; END$$",
        "DROP TRIGGER journal_no_update ON journal; CREATE TRIGGER journal_no_update "
        "AFTER UPDATE ON journal FOR EACH ROW EXECUTE FUNCTION journal_no_update()",
    ],
)
def test_a_guard_that_is_gone_off_or_another_is_found(place: County, statement: str) -> None:
    place.sql(statement)

    [found] = verified(place).findings
    assert (found.code, "journal_no_update" in found.message) == ("trigger_missing", True)


@pytest.mark.parametrize(
    ("tampering", "code"),
    [
        ("UPDATE journal SET actor = 'nobody' WHERE seq = 20", "columns_differ"),
        ("UPDATE journal SET body = body || ' '::bytea WHERE seq = 20", "hash_mismatch"),
        ("DELETE FROM journal WHERE seq = 20", "seq_gap"),
    ],
)
def test_who_switches_a_guard_off_and_on_is_found_by_what_was_done(
    place: County, tampering: str, code: str
) -> None:
    county.carry(place, [CODE], State.CONSTRUCTION)

    place.sql(
        f"ALTER TABLE journal DISABLE TRIGGER ALL; {tampering}; "
        "ALTER TABLE journal ENABLE TRIGGER ALL"
    )

    assert code in {finding.code for finding in verified(place).findings}


# Several at once ----------------------------------------------------------------------------------


def test_a_second_writer_waits_and_then_sees_what_the_first_did(place: County) -> None:
    told: list[str] = []

    def second() -> None:
        try:
            place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
            told.append("done")
        except CaseError as error:
            told.append(type(error).__name__)

    with place.database.transaction() as connection:
        desk = engine.Desk(connection, "wang", county.noon(county.CONFIRMED))
        desk.take([county.confirm(CODE)])
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        desk.finish()
    thread.join()

    assert told == ["done"]
    steps = f"SELECT count(*) FROM journal WHERE stream = 'case:{CODE}' AND kind = 'confirm'"
    assert place.sql(steps) == [(1,)]


def test_who_waits_in_vain_is_told_and_has_written_nothing(place: County) -> None:
    hasty = db.connect(place.url, limits=Limits(lock_seconds=1))
    before = county.every_row(place)

    with place.database.transaction(), pytest.raises(Conflict, match="等了 1 秒"):
        engine.advance(hasty, county.confirm(CODE), "wang", county.noon(county.CONFIRMED))

    hasty.close()
    assert county.every_row(place) == before


def test_reading_sees_one_state_and_waits_for_nobody(place: County) -> None:
    count = journal.size
    with place.database.reading() as connection:
        before = count(connection)
        place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)

        assert count(connection) == before
    with place.database.reading() as connection:
        assert count(connection) == before + 1


def test_reading_cannot_write(place: County) -> None:
    with (
        pytest.raises(CaseError, match="read-only"),
        place.database.reading() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM gate")


OPENING = f"""
import json, sys
sys.path[:0] = [{str(HERE.parent)!r}, {str(HERE)!r}]
import county
from states.errors import CaseError
from workflow import engine
place = county.open_at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for code in county.TOWN:
    try:
        done = engine.advance(place.database, county.confirm(code), sys.argv[2],
                              county.noon(county.CONFIRMED))
        print(json.dumps([code, 0, done.seq, done.event_hash]), flush=True)
    except CaseError as error:
        print(json.dumps([code, error.status, error.message, ""]), flush=True)
"""


def _officers(place: County, logins: list[str]) -> list[subprocess.Popen[str]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, place.url, login],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for login in logins
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return started


@pytest.mark.crash
def test_what_a_killed_officer_was_told_is_there_and_nothing_half_done(place: County) -> None:
    started = _officers(place, ["wang", "head"])
    first = started[0]
    assert first.stdout is not None
    told = [json.loads(first.stdout.readline())]
    os.kill(first.pid, signal.SIGKILL)
    told += [
        json.loads(line)
        for one in started
        for line in one.communicate(timeout=120)[0].split("\n")
        if line
    ]

    written = set(place.sql("SELECT seq, hash FROM journal"))
    assert {(seq, hash_) for _, status, seq, hash_ in told if status == 0} <= written
    assert verified(place).findings == ()


def test_of_two_who_make_the_same_database_one_is_told(tmp_path: Path) -> None:
    plan_file = tmp_path / "tiny.toml"
    plan_file.write_text(county.plan_text(), encoding="utf-8")
    url, told = server.new(), list[str]()
    meet = threading.Barrier(2)

    def make(number: int) -> None:
        meet.wait()
        try:
            setup.create(
                url,
                str(plan_file),
                drill=True,
                login=f"first-{number}",
                name="张",
                today=county.FOUNDED,
                clock=county.noon(county.FOUNDED),
            )
            told.append("made")
        except UsageFault:
            told.append("told")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == ["made", "told"]
    place = county.open_at(url)
    assert place.sql("SELECT COUNT(*) FROM journal WHERE kind = 'init'") == [(1,)]
    assert verified(place).findings == ()
    place.database.close()


# Moving house -------------------------------------------------------------------------------------


def moved(place: County, target: str) -> Moved:
    return moving.copy(place.database, target, lambda done, total: None)


def test_a_county_moves_to_the_server_and_back(ready: County, tmp_path: Path) -> None:
    file = tmp_path / "back.db"
    there = server.new()

    out = moved(ready, str(file))
    back = moved(county.open_at(file), there)

    assert out == back
    assert county.every_row(county.open_at(there)) == county.every_row(ready)
    assert verified(county.open_at(file)).findings == ()
    county.open_at(there).advance(CODE, FactKind.COMPLAINT, PERMITTED, ("what", "不热"))


def test_a_login_that_gets_no_password_is_told(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    login, now = f"ohne{os.getpid()}", ["--today", LATER.isoformat()]
    add = ["officer", "add", login, "--name", "新人", "--role", "auditor"]

    status = cli.run([*county.acting(place, "zhang"), *now, *add])

    assert status == 0
    assert f"没有给出 {login} 的口令" in capsys.readouterr().err
    with psycopg.connect(server.address()) as connection:
        connection.execute(f"DROP ROLE {login}".encode())


def test_the_logins_that_moving_makes_are_told_for_they_have_no_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, login = county.fresh(tmp_path, shared=False), f"neu{os.getpid()}"
    now = county.noon(LATER)
    setup.add_officer(
        file.database, login, "新人", Role.AUDITOR, None, None, actor="zhang", now=now
    )
    there = server.new()

    status = cli.run(["--db", file.url, "db", "copy", there])

    told = capsys.readouterr().out
    assert status == 0
    assert login in told.partition("还没有口令")[2]
    assert "zhang" not in told.partition("还没有口令")[2], "his login was there before"
    server.drop(there)
    with psycopg.connect(server.address()) as connection:
        connection.execute(f"DROP ROLE {login}".encode())


def test_the_server_knows_how_large_what_moved_in_is(ready: County) -> None:
    there = server.new()
    moved(ready, there)
    place = county.open_at(there)

    [(told,)] = place.sql(
        "SELECT reltuples FROM pg_class WHERE relname = 'household_case'"
        " AND relnamespace = current_schema()::regnamespace"
    )
    assert [(told,)] == place.sql("SELECT count(*) FROM household_case")


def test_a_move_into_a_database_that_is_used_is_refused(place: County, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="已有计划 tiny 的数据库"):
        moved(county.fresh(tmp_path, shared=False), place.url)


def test_a_move_that_is_interrupted_leaves_nothing_and_can_be_made_again(
    ready: County,
) -> None:
    there = server.new()

    def stop(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.copy(ready.database, there, stop)
    again = moved(ready, there)

    assert again.events == len(ready.sql("SELECT seq FROM journal"))


def test_a_copy_that_is_not_the_same_is_not_kept(
    ready: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, right = server.new(), triggers.create

    def losing(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM gate WHERE unit = '102'")
        right(connection)

    monkeypatch.setattr(triggers, "create", losing)

    with pytest.raises(JournalBroken, match="表 gate 不同"):
        moved(ready, there)
    with pytest.raises(BadFile, match="没有先立的数据库"):
        db.connect(there)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE household_case SET state_since = 'infinity'",
        "UPDATE household_case SET due_on = '-infinity'",
        "UPDATE permission SET permitted_on = '10000-01-01'",
        "UPDATE journal SET occurred_on = 'infinity' WHERE seq = 20",
        "UPDATE gate SET opened_on = 'infinity'",
        "UPDATE deadline SET due_on = 'infinity'",
    ],
)
def test_a_day_that_no_calendar_knows_is_a_finding(ready: County, tampering: str) -> None:
    ready.tamper(tampering)

    assert verified(ready).findings


# Reaching it --------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_told_plainly() -> None:
    with pytest.raises(BadFile, match="连不上数据库"):
        db.connect("postgresql://nobody@127.0.0.1:1/none")


def test_a_server_that_does_not_answer_is_waited_for_as_long_as_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://li@127.0.0.1:{deaf.getsockname()[1]}/none"
        began = time.monotonic()

        with pytest.raises(BadFile, match="连不上数据库"):
            db.connect(url, limits=Limits(connect_seconds=2))

    assert time.monotonic() - began < Limits().connect_seconds


def test_a_database_that_is_not_there_is_told_plainly(place: County) -> None:
    with pytest.raises(BadFile, match="服务器上没有这个库"):
        db.connect(place.url.replace("/x", "/not"))


@pytest.mark.parametrize(
    ("password", "told", "remedy"),
    [(None, "账号要口令，没有给出", ".pgpass"), ("wrong", "没有这个账号，或口令不对", ".pgpass")],
)
def test_a_password_that_is_missing_or_wrong_is_told_with_where_it_belongs(
    place: County, password: str | None, told: str, remedy: str
) -> None:
    server.let_in("wang")
    address = make_url(place.url).set(username="wang", password=password)

    with pytest.raises(BadFile, match=told) as refused:
        db.connect(address.render_as_string(hide_password=False))

    assert refused.value.place == "--db"
    assert remedy in str(refused.value.remedy)


@pytest.mark.parametrize(
    ("said", "told", "remedy"),
    [
        ('FATAL:  Peer authentication failed for user "zhang"', "操作系统的账号", "pg_ident.conf"),
        ("SSL error: certificate verify failed", "服务器的证书核对不过", "sslrootcert"),
        ('server certificate for "a" does not match host name "b"', "核对不过", "主机名"),
        ("FATAL:  connection requires a valid client certificate", "用证书登录", "sslcert"),
        ('FATAL:  no pg_hba.conf entry for host "10.1.1.1"', "服务器不接受", "pg_hba.conf"),
        ("server does not support SSL, but SSL was required", "没有打开加密", "ssl = on"),
        ('FATAL:  too many connections for role "wang"', "连接数已满", "稍后再试"),
        ('FATAL:  permission denied for database "x"', "不能进入这个库", "officer add"),
        ('FATAL:  role "wang" does not exist', "没有这个账号", "officer add"),
        ("Connection refused", "服务器没有应答", "端口"),
        ("something new", "原因见后", "网络"),
    ],
)
def test_why_there_is_no_connection_is_told_with_the_remedy(
    said: str, told: str, remedy: str
) -> None:
    failure = db.why_not(f'connection failed: connection to server at "10.0.0.5" failed: {said}\nx')

    assert failure is not None
    assert told in failure.message
    assert said in failure.message
    assert remedy in str(failure.remedy)


def test_a_server_that_goes_away_midway_is_told_and_is_no_finding(ready: County) -> None:
    # What a program asks a server only once is asked before.
    verified(ready)
    with ended_before(ready, None) as statements:
        assert verified(ready).findings == ()
    number = len(statements)
    assert number > 20

    for statement in range(2, number + 1, number // 8):
        with (
            ended_before(ready, statement),
            pytest.raises(BadFile, match="数据库服务器中途断开："),
        ):
            verified(ready)


@contextmanager
def ended_before(place: County, number: int | None) -> Iterator[list[str]]:
    """The server ends the connection before its statement of this number; those that were asked."""
    asked: list[str] = []
    place.database.close()

    def end(connection: Connection, _: object, statement: str, *__: object) -> None:
        asked.append(statement)
        if len(asked) == number:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            place.sql("SELECT pg_terminate_backend(?, 10000)", driver.info.backend_pid)

    event.listen(place.database.engine, "before_cursor_execute", end)
    yield asked
    event.remove(place.database.engine, "before_cursor_execute", end)


def test_a_verification_that_takes_too_long_is_told_and_is_no_finding(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(connection: Connection) -> Iterator[verify.Finding]:
        connection.exec_driver_sql("SET LOCAL statement_timeout = '10ms'")
        connection.exec_driver_sql("SELECT pg_sleep(60)")
        yield from ()

    monkeypatch.setattr(audit, "_files_off", slow)

    with pytest.raises(Conflict):
        verified(place)


def test_a_database_that_is_not_ours_is_refused() -> None:
    with pytest.raises(BadFile, match="没有先立的数据库"):
        db.connect(server.new())


@pytest.mark.parametrize(("version", "told"), [("0002", "旧版本"), ("9999", "新版本")])
def test_another_version_is_refused(place: County, version: str, told: str) -> None:
    place.sql(f"UPDATE alembic_version SET version_num = '{version}'")

    with pytest.raises(BadFile, match=told):
        db.connect(place.url)


def test_the_password_is_never_told(place: County) -> None:
    with pytest.raises(UsageFault) as refused:
        db.connect(place.url.replace("postgres:@", "postgres:geheim@"), new=True)

    assert "geheim" not in str(refused.value) + str(refused.value.place)


def test_a_countys_own_authority_takes_the_place_of_the_systems() -> None:
    own = postgresql.encryption(make_url("postgresql://li@db.example.gov.cn/x?sslrootcert=ca.pem"))

    assert own == {"sslmode": "verify-full"}


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://li@db.example.gov.cn/x", "verify-full"),
        ("postgresql://li@10.0.0.7/x", "verify-full"),
        ("postgresql://li@db.example.gov.cn/x?sslmode=require", None),
        ("postgresql://li@localhost/x", None),
        ("postgresql:///x", None),
    ],
)
def test_a_server_elsewhere_must_show_its_certificate(url: str, mode: str | None) -> None:
    given = postgresql.encryption(make_url(url))

    assert given.get("sslmode") == mode
