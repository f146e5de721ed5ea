"""Who may do what on a server: a real PostgreSQL, each officer with his own login and password.

What the program refuses anyway is tested elsewhere; here somebody has `psql` in hand.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import county
import psycopg
import pytest
import server
from county import CODE, CODES, OTHER_UNIT, County
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

import cli
from states.errors import UsageFault
from states.vocabulary import FactKind, Role, State
from workflow import (
    access,
    access_check,
    audit,
    cases,
    checkpoint,
    db,
    dispatch,
    engine,
    journal,
    register,
    setup,
    triggers,
    upgrade,
    verify,
)
from workflow.attachments import File
from workflow.engine import Desk, Receipt
from workflow.errors import BadFile, NotPermitted
from workflow.instants import instant_text

pytestmark = pytest.mark.server


@pytest.fixture
def place(tmp_path: Path) -> Iterator[County]:
    """The county on a server, closed to everybody but its officers."""
    place = county.fresh(tmp_path, shared=True)
    yield place
    place.database.close()
    server.drop(place.url)


def raw(place: County, login: str, *statements: str) -> list[tuple[object, ...]]:
    """What an officer gets for these statements in one transaction; the last one's rows."""
    url = server.plain(server.as_login(place.url, login))
    with psycopg.connect(url, connect_timeout=10) as connection:
        for statement in statements:
            done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


def _command(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The answer of a command that is run as from the shell, in this process."""
    capsys.readouterr()
    cli.run([*arguments])
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


# The life ---------------------------------------------------------------------------------------


def test_officers_carry_a_household_to_the_permission_each_with_his_own_login(
    place: County,
) -> None:
    county.carry(place, [CODE, OTHER_UNIT], State.REMOVAL_PERMITTED)

    assert place.state(CODE) is State.REMOVAL_PERMITTED
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()
    actors = place.sql("SELECT DISTINCT actor FROM journal WHERE stream = ?", f"case:{OTHER_UNIT}")
    assert {actor for (actor,) in actors} == {"zhang", "qian", "zhao"}


# What grows with the county; a step finds its own rows by an index, whoever takes it.
_GROWING = ("journal", "household_case", "household_key", "personal", "deadline", "receipt")
_READ_THROUGH = """SELECT relname, seq_scan FROM pg_stat_xact_user_tables
WHERE schemaname = current_schema() AND seq_scan > 0"""


def test_no_step_of_an_officer_reads_through_a_table_that_grows_with_the_county(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, set[str]] = {}
    finish = Desk.finish

    def noted(desk: Desk) -> None:
        finish(desk)
        through = {name for name, _ in desk.connection.exec_driver_sql(_READ_THROUGH)}
        read.setdefault(desk.actor.login, set()).update(through)

    monkeypatch.setattr(Desk, "finish", noted)
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])
    told = replace(county.visit(CODE), key="k")
    for _ in range(2):
        [done] = place.carry_out([told], "wang", county.PERMITTED)
        assert isinstance(done, Receipt)

    assert read.keys() == {"wang", "zhao"}
    assert not any(tables & {*_GROWING} for tables in read.values()), read


@pytest.mark.parametrize("asked", ["show", "why", "history"])
def test_who_looks_at_a_household_reads_through_no_table_that_grows_with_the_county(
    place: County, asked: str
) -> None:
    county.carry(place, [CODE], State.CONSTRUCTION)
    read: set[str] = set()

    def noted(connection: Connection) -> None:
        read.update(name for name, _ in connection.exec_driver_sql(_READ_THROUGH))

    event.listen(Engine, "rollback", noted)
    event.listen(Engine, "commit", noted)
    try:
        assert cli.run(["--db", server.as_login(place.url, "wang"), "case", asked, CODE]) == 0
    finally:
        event.remove(Engine, "rollback", noted)
        event.remove(Engine, "commit", noted)

    assert "officer" in read
    assert not read & {*_GROWING}


# Reading ----------------------------------------------------------------------------------------

_BY_CASE = {
    "household_case": "code",
    "permission": "case_code",
    "personal": "case_code",
    "household_key": "case_code",
    "deadline": "case_code",
    "flag": "case_code",
    "notice": "case_code",
}


@pytest.mark.parametrize(("table", "column"), _BY_CASE.items())
def test_an_officer_reads_the_rows_of_his_unit_and_no_other(
    place: County, table: str, column: str
) -> None:
    county.carry(place, [CODE, OTHER_UNIT], State.REMOVAL_PERMITTED)
    dispatch.sweep(place.database, journal.noon(county.PERMITTED))
    query = f"SELECT DISTINCT {column} FROM {table}"
    everything = {str(code) for (code,) in place.sql(query)}

    seen = {str(code) for (code,) in raw(place, "wang", query)}

    assert seen == {code for code in everything if code.startswith("101-")}
    assert {str(code) for (code,) in raw(place, "zhao", query)} == everything
    assert {str(code) for (code,) in raw(place, "shen", query)} == everything


def test_an_officer_reads_no_event_of_another_unit(place: County) -> None:
    county.carry(place, [*CODES[:1], OTHER_UNIT], State.CONSTRUCTION)

    streams = {stream for (stream,) in raw(place, "qian", "SELECT DISTINCT stream FROM journal")}

    assert {str(one) for one in streams if str(one).startswith("case:")} == {
        "case:102-0001",
        "case:102-0002",
    }
    assert streams >= {"database", "plan", "officers", "gates", "catalogue"}
    bodies = [str(body) for (body,) in raw(place, "qian", "SELECT body FROM journal")]
    assert not any("101-0001" in body for body in bodies)


def test_who_is_not_in_the_register_reads_nothing(place: County) -> None:
    place.sql("SET LOCAL ROLE xianli_owner; UPDATE officer SET active = false WHERE login = 'wang'")

    for table in access.POLICIES:
        columns = "seq" if table == "journal" else "1"
        assert raw(place, "wang", f"SELECT {columns} FROM {table}") == [], table
    with pytest.raises(NotPermitted, match="不在它的人员名册中"):
        db.connect(server.as_login(place.url, "wang"))


def test_every_table_is_closed_by_a_policy(place: County) -> None:
    open_ = place.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r' AND NOT relrowsecurity"
    )

    assert open_ == [("alembic_version",)]


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("SELECT 1", []),
        ("DROP POLICY gate_select ON gate", ["gate 缺策略 gate_select"]),
        ("ALTER POLICY gate_select ON gate USING (true)", ["gate 的策略 gate_select 被改过"]),
        ("CREATE POLICY more ON gate USING (true)", ["gate 多出策略 more"]),
        ("ALTER TABLE gate DISABLE ROW LEVEL SECURITY", ["gate 没有启用行级安全"]),
        ("GRANT SELECT ON gate TO PUBLIC", ["gate 对所有账号开放"]),
        (
            "CREATE OR REPLACE FUNCTION my_scope() RETURNS text LANGUAGE sql SECURITY DEFINER "
            "SET search_path FROM CURRENT AS $$SELECT '*'$$",
            ["函数 my_scope 不在或被改过"],
        ),
        ("ALTER FUNCTION my_scope() SECURITY INVOKER", ["函数 my_scope 不在或被改过"]),
        ("ALTER FUNCTION my_scope() RESET search_path", ["函数 my_scope 不在或被改过"]),
    ],
)
def test_what_was_done_to_policies_and_functions_is_found(
    place: County, tampering: str, told: list[str]
) -> None:
    place.sql(tampering)

    with place.database.reading() as connection:
        assert access_check.faults(connection) == told


def test_a_service_is_not_called_as_a_role_of_ours(place: County) -> None:
    with pytest.raises(UsageFault, match="自用的名字"):
        access.set_up(db.server_of(place.url), "xianli_service", None)


def test_a_foreign_case_looks_like_one_that_is_not_there(place: County) -> None:
    told = []
    for code in (OTHER_UNIT, "102-9999", "101-9999"):
        with pytest.raises(NotPermitted) as refused:
            place.advance(
                code, FactKind.COMPLAINT, county.CONFIRMED, ("what", "不热"), login="wang"
            )
        told.append(str(refused.value).replace(code, "CODE"))

    assert len(set(told)) == 1


@pytest.mark.parametrize("code", [OTHER_UNIT, "102-9999"])
def test_an_event_into_a_foreign_case_is_refused_like_one_into_none(
    place: County, code: str
) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as refused:
        _insert(place, "wang", f"case:{code}", "complaint", version=2, what="不热")

    assert refused.value.diag.message_primary == "xianli: no such case for you, or not this to do"


def test_duplicates_are_told_without_unit_or_code(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = raw(place, "qian", "SELECT value FROM household_key WHERE kind = 'meter'")[0][0]
    row = county.household(77, "101", 用电户号=str(taken))
    file = county.write_workbook(tmp_path / "台账.xlsx", [row])

    acting = ("--db", server.as_login(place.url, "wang"), "--today", "2023-06-01", "--json")
    found = _command(capsys, *acting, "ledger", "import", str(file))

    assert found["added"] == 0
    assert isinstance(found["faults"], list)
    [fault] = found["faults"]
    assert fault["code"] == "duplicate_across_files"
    assert not any(word in json.dumps(fault, ensure_ascii=False) for word in ("102", "乙乡"))


def test_a_taken_number_is_told_as_taken_and_no_more(place: County) -> None:
    foreign = place.sql(
        "SELECT value FROM household_key WHERE kind = 'meter' AND case_code = ?", OTHER_UNIT
    )[0][0]
    with db.connect(server.as_login(place.url, "wang")).reading() as connection:
        held = cases.holders(connection, "meter", [str(foreign), "0000000000"])

    assert held == {foreign: ""}


def test_personal_columns_have_grants_of_their_own(place: County) -> None:
    service = _service(place)

    raw_query = "SELECT case_code, version, digest FROM personal"
    with psycopg.connect(service) as connection:
        assert len(connection.execute(raw_query).fetchall()) == len(CODES)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT name FROM personal")


def test_who_reads_no_personal_columns_is_told_none_by_a_function(place: County) -> None:
    told = (
        f"SELECT * FROM personal_data(ARRAY['{CODE}', '{OTHER_UNIT}'])",
        f"SELECT * FROM held('meter', ARRAY['{CODE}', '{OTHER_UNIT}'])",
    )

    with psycopg.connect(_service(place)) as connection:
        assert [connection.execute(query).fetchall() for query in told] == [[], []]
    # His own unit's tells an officer, and every unit's the county office: the test can fail.
    for login, codes in (("wang", {CODE}), ("zhao", {CODE, OTHER_UNIT})):
        [papers, keys] = [raw(place, login, query) for query in told]
        assert {code for code, *_ in papers} == {code for *_, code in keys} == codes


def _service(place: County) -> str:
    """The address of the scheduler's login, made as `db setup --service` does."""
    access.set_up(db.server_of(place.url), "nightly", server.password("nightly"))
    return server.plain(server.as_login(place.url, "nightly"))


def test_the_scheduler_works_with_a_login_of_its_own(place: County) -> None:
    county.carry(place, [CODE, OTHER_UNIT], State.CONSTRUCTION)
    access.set_up(db.server_of(place.url), "nightly", server.password("nightly"))
    service = db.connect(server.as_login(place.url, "nightly"))

    for day in (date(2023, 9, 20), county.PERMITTED):
        done = dispatch.round_(service, now := journal.noon(day))
        assert done.swept.raised > 0
        assert done.swept.failures == []
        assert done.digests or done.swept.letters
    assert {kind for (kind,) in place.sql("SELECT kind FROM message")} >= {"digest"}
    assert checkpoint.make(service, now).new
    with service.reading() as connection:
        assert register.connected(connection, None) is None
    service.close()


# Writing ----------------------------------------------------------------------------------------


Document = dict[str, object]


def _write(
    place: County,
    login: str,
    stream: str,
    kind: str,
    changed: Mapping[str, object],
    *beside: str,
    first: str = "",
    said: Callable[[Document], str] | None = None,
    hash_: str = "",
) -> None:
    """An event by hand with its case's row, right in everything that is not `changed`.

    `said` says its bytes in another way; the statements `first` and `beside` are of the same
    transaction, before and after it; {seq} is its number.
    """
    seq, last = place.sql("SELECT max(seq), max(recorded_at) FROM journal")[0]
    [(plan,)] = place.sql("SELECT hash FROM plan_revision ORDER BY seq DESC LIMIT 1")
    ends = place.sql(
        "SELECT version, hash FROM journal WHERE stream = ? ORDER BY version DESC LIMIT 1", stream
    )
    before, previous = ends[0] if ends else (0, None)
    event: Document = {
        "schema": 1,
        "stream": stream,
        "version": int(str(before)) + 1,
        "previous": previous,
        "kind": kind,
        "from": None,
        "to": None,
        "occurred_on": str(county.CONFIRMED),
        "recorded_at": last,
        "actor": login,
        "role": "unit_officer",
        "reason": None,
        "evidence": {},
        "attachments": [],
        "plan": plan,
        "personal": None,
    }
    event |= changed
    body = (said or _canonical)(event).encode()
    columns = {
        "seq": int(str(seq)) + 1,
        **{name: event[name] for name in ("stream", "version", "previous", "kind")},
        "from_state": event["from"],
        "to_state": event["to"],
        **{name: event[name] for name in ("occurred_on", "recorded_at", "actor", "role")},
        "hash": hash_ or hashlib.sha256(body).hexdigest(),
        "body": body,
    }
    row = "UPDATE household_case SET version = %s, head_hash = %s WHERE 'case:' || code = %s"
    with psycopg.connect(server.plain(server.as_login(place.url, login))) as connection:
        connection.execute(first.encode())
        connection.execute(
            f"INSERT INTO journal ({', '.join(columns)}) "
            f"VALUES ({', '.join('%s' for _ in columns)})".encode(),
            list(columns.values()),
        )
        connection.execute(row, [event["version"], columns["hash"], stream])
        for statement in beside:
            connection.execute(statement.replace("{seq}", str(columns["seq"])).encode())


def _canonical(event: Document) -> str:
    return json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _insert(
    place: County,
    login: str,
    stream: str,
    kind: str,
    *,
    version: int | None = None,
    source: str = "",
    target: str = "",
    hash_: str = "",
    actor: str = "",
    role: str = "unit_officer",
    **evidence: str,
) -> None:
    """An event by hand with this evidence."""
    changed: Document = {
        "from": source or None,
        "to": target or None,
        "actor": actor or login,
        "role": role,
        "evidence": evidence,
    }
    if version is not None:
        changed["version"] = version
    _write(place, login, stream, kind, changed, hash_=hash_)


def test_an_event_by_hand_that_is_right_is_an_event_of_its_officer(place: County) -> None:
    _insert(place, "wang", f"case:{CODE}", "complaint", what="不热")

    [(actor,)] = place.sql("SELECT actor FROM journal ORDER BY seq DESC LIMIT 1")
    assert actor == "wang"


@pytest.mark.parametrize(
    ("login", "given", "told"),
    [
        ("wang", {"actor": "zhang", "role": "county_office"}, "no such case for you"),
        ("wang", {"role": "county_office"}, "no such case for you"),
        ("wang", {"actor": "system", "role": "system"}, "no such case for you"),
        ("shen", {"role": "auditor"}, "no such step for this role"),
        ("wang", {"actor": "system", "role": "system", "stream": "checkpoints",
                  "kind": "checkpoint_made"}, "no such case for you"),
        ("shen", {"actor": "system", "role": "system", "stream": "letters",
                  "kind": "letter_issued"}, "no such case for you"),
        ("wang", {"kind": "permit", "source": "stable_season", "target": "removal_permitted"},
         "a permission must name|no such step"),
        ("wang", {"kind": "complete", "source": "construction", "target": "acceptance"},
         "the case is in another state"),
        ("wang", {"kind": "select", "source": "household_confirmation", "target": "construction"},
         "no such step for this role"),
        ("wang", {"kind": "extension"}, "no such step for this role"),
        ("wang", {"hash_": "0" * 64}, "the hash is not that of the body"),
        ("wang", {"version": "9"}, "version and previous hash must follow"),
        ("wang", {"stream": "plan", "kind": "plan_adopted"}, "no such event for this role"),
        ("wang", {"stream": "case:101-7777", "kind": "registered", "unit": "102",
                  "target": "household_confirmation"}, "no such case for you"),
        ("wang", {"stream": "case:102-7777", "kind": "registered", "unit": "101",
                  "target": "household_confirmation"}, "no such case for you"),
        ("zhao", {"role": "acceptor", "kind": "permit", "source": "stable_season",
                  "target": "removal_permitted"}, "a permission must name|no such step"),
    ],
)  # fmt: skip
def test_an_event_by_hand_that_is_not_its_officers_to_write_is_refused(
    place: County, login: str, given: dict[str, str], told: str
) -> None:
    given = {"stream": f"case:{CODE}", "kind": "complaint", **given}
    version = int(given.pop("version")) if "version" in given else None
    before = county.every_row(place)

    with pytest.raises(psycopg.errors.RaiseException, match=told):
        _insert(place, login, given.pop("stream"), given.pop("kind"), version=version, **given)

    assert county.every_row(place) == before


def test_an_event_changes_its_cases_row_too(place: County) -> None:
    new = {"evidence": {"unit": "101"}, "to": "household_confirmation"}
    with pytest.raises(psycopg.errors.RaiseException, match="changes its row too"):
        _write(place, "wang", "case:101-7777", "registered", new)
    back = (
        "UPDATE household_case SET version = 1, head_hash = (SELECT hash FROM journal j "
        f"WHERE j.stream = 'case:{CODE}' AND j.version = 1) WHERE code = '{CODE}'"
    )
    with pytest.raises(psycopg.errors.RaiseException, match="only with its event"):
        _complain(place, "zhang", {"role": "county_office"}, back)


@pytest.mark.parametrize(
    "recorded_at",
    [
        "now",
        "infinity",
        "20230522T040000.000000Z",
        "2023-05-22T04:00:00.000000",
        "2023-05-22T04:00:00+00",
        "2023-05-22T24:00:00.000000Z",
        "2023-05-22T04:00:60.000000Z",
        "12026-05-22T04:00:00.00000Z",
        "2023-05-22T04:00:00.0000Z\n",
    ],
)
def test_an_instant_is_written_as_the_journal_writes_it(place: County, recorded_at: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not an instant"):
        _complain(place, "wang", {"recorded_at": recorded_at})


def _complain(
    place: County,
    login: str,
    changed: Mapping[str, object],
    *beside: str,
    first: str = "",
    said: Callable[[Document], str] | None = None,
) -> None:
    """A complaint of a case of this officer's own by hand."""
    stream = f"case:{OTHER_UNIT if login == 'qian' else CODE}"
    told = {"evidence": {"what": "不热"}, **changed}
    _write(place, login, stream, "complaint", told, *beside, first=first, said=said)


def _ahead(seconds: int) -> str:
    return instant_text(datetime.now(UTC) + timedelta(seconds=seconds))


def test_nobody_is_held_up_by_an_instant_to_come(tmp_path: Path) -> None:
    """What is no further ahead than clocks may differ keeps nobody else from writing."""
    place = county.fresh(tmp_path, drill=False, shared=True)
    for seconds in (110, 590, -900):
        with pytest.raises(psycopg.errors.RaiseException, match="recorded_at is not now"):
            _complain(place, "wang", {"recorded_at": _ahead(seconds)})

    _complain(place, "wang", {"recorded_at": _ahead(45)})

    order = county.make_order(OTHER_UNIT, FactKind.COMPLAINT, ("what", "不热"))
    qian = db.connect(server.as_login(place.url, "qian"))
    engine.advance(qian, order, "qian", datetime.now(UTC))
    qian.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"evidence": [1]},
        {"evidence": None},
        {"evidence": {"what": 10**400}},
        {"evidence": {"what": "x" * 300_000}},
        {"occurred_on": "12026-01-01"},
        {"occurred_on": "0001-01-01"},
        {"attachments": {}},
        {"attachments": ["x"]},
        {"attachments": [{"name": "x"}]},
        {"attachments": [{"name": "x", "sha256": "0" * 63}]},
        {"attachments": [{"name": 1, "sha256": "0" * 64}]},
        {"attachments": [{"name": "x", "sha256": "0" * 64, "more": 1}]},
        {"reason": 1},
        {"plan": "x"},
        {"plan": None},
        {"personal": "x"},
        {"schema": 2},
        {"more": 1},
    ],
    ids=lambda changed: str(changed)[:50],
)
def test_what_a_reader_would_stumble_over_is_no_event(
    place: County, changed: dict[str, object]
) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not that of an event"):
        _complain(place, "wang", changed)


@pytest.mark.parametrize(
    ("words", "others"),
    [
        ('"不热"', "1e400"),
        ('"不热"', f"{'[' * 3000}{']' * 3000}"),
        ('{"actor"', '{"actor":"dou","actor"'),
        ('"version":2}', '"version":2e0}'),
        ('"version":2}', '"version":2 }'),
        ('"reason":null,', ""),
    ],
    ids=lambda words: words[:20],
)
def test_bytes_that_a_reader_would_stumble_over_are_no_event(
    place: County, words: str, others: str
) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not that of an event"):
        _complain(place, "wang", {}, said=lambda event: _canonical(event).replace(words, others))


def test_a_day_is_written_in_one_way_whatever_the_session_says(place: County) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not those of the body"):
        _complain(
            place,
            "wang",
            {},
            first="SET datestyle = 'German'",
            said=lambda event: _canonical(event | {"occurred_on": "10.06.2023"}),
        )


@pytest.mark.parametrize(
    "number", ["/../../../evil", "0001\n", "<b>", "x", "A1", "", "12345678901"]
)
def test_a_code_is_one_as_the_ledger_counts_them(place: County, number: str) -> None:
    new = {"evidence": {"unit": "101"}, "to": "household_confirmation"}
    with pytest.raises(psycopg.errors.RaiseException, match="no such case for you"):
        _write(place, "wang", f"case:101-{number}", "registered", new)


# Files ------------------------------------------------------------------------------------------

_FILE = b"%PDF-1.4 a consent form"
_HASH = hashlib.sha256(_FILE).hexdigest()
_BRING = (
    f"INSERT INTO attachment (sha256, size, content) VALUES ('{_HASH}', {len(_FILE)}, "
    f"'\\x{_FILE.hex()}') ON CONFLICT DO NOTHING"
)
_HAS = f"SELECT sha256 FROM files(ARRAY(SELECT stream FROM journal)) WHERE sha256 = '{_HASH}'"
_ATTACHED = {"attachments": [{"name": "同意书.pdf", "sha256": _HASH}]}


def test_a_file_that_one_neither_sees_nor_brings_cannot_be_attached(place: County) -> None:
    _complain(place, "qian", _ATTACHED, _BRING)

    guessed = "SELECT set_config('xianli.brought', repeat(md5('x'), 4), false)"
    for first in ("", guessed):
        with pytest.raises(psycopg.errors.RaiseException, match="no such case for you"):
            _complain(place, "wang", _ATTACHED, first=first)
    revealed = {"evidence": {"codes": [], "purpose": "x"}, **_ATTACHED}
    with pytest.raises(psycopg.errors.RaiseException, match="no such case for you"):
        _write(place, "wang", "privacy", "revealed", revealed)

    assert raw(place, "wang", _HAS) == []


def test_a_file_of_another_unit_can_be_attached_by_who_has_it_too(place: County) -> None:
    _complain(place, "qian", _ATTACHED, _BRING)

    _complain(place, "wang", _ATTACHED, first=_BRING)
    _complain(place, "wang", _ATTACHED)

    assert raw(place, "wang", _HAS) == [(_HASH,)]


def test_a_file_that_is_only_named_is_not_attached(place: County) -> None:
    _complain(place, "qian", _ATTACHED, _BRING)

    _complain(place, "wang", {"evidence": {"what": _HASH, "attachments": [{"sha256": _HASH}]}})

    assert raw(place, "wang", _HAS) == []


def test_whether_a_file_is_attached_tells_nothing_of_other_words(place: County) -> None:
    _write(place, "shen", "samples", "sample_drawn",
           {"role": "auditor", "evidence": {"seed": "一二三"}, **_ATTACHED}, _BRING)  # fmt: skip

    words = ("一二三", '"seed":"', "evidence", "%", "", _HASH[:63], f"{_HASH}\n", _HASH)
    asked = ", ".join(f"attached_before('{word}', 1000000)" for word in words)
    assert raw(place, "wang", f"SELECT {asked}") == [(False,) * len(words)]
    _write(place, "zhang", "gates", "gate_opened", {"role": "county_office", **_ATTACHED})
    assert raw(place, "wang", f"SELECT attached_before('{_HASH}', 1000000)") == [(True,)]


# Letters, keys, personal data, seasons ----------------------------------------------------------

_COLD = {"code": CODE, "why": "停热"}
_ALARM = {"kind": "alarm", "households": [_COLD]}


def _ring(document: object, code: str = CODE) -> tuple[str, str]:
    """What puts an alarm of a case with a flag of its own into the outbox."""
    flag = (
        "INSERT INTO flag (case_code, deadline, rung, unit, due_on, status, raised_on, raised_at, "
        f"why) VALUES ('{code}', 'heat:x', 'gravest', '101', '2023-06-10', 'raised', '2023-06-10', "
        "'', '停热')"
    )
    told = json.dumps(document, ensure_ascii=False)
    message = (
        "INSERT INTO message (key, kind, person, subject, urgent, document, created_at, status, "
        f"attempts) VALUES ('alarm:{code}:x:qian', 'alarm', 'qian', 'x', true, '{told}', '', "
        "'queued', 0)"
    )
    return flag, message


def test_an_alarm_is_of_a_household_that_was_just_told_of(place: County) -> None:
    flag, message = _ring(_ALARM)
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        raw(place, "wang", message)
    for document in (
        {**_ALARM, "kind": "supervise"},
        {**_ALARM, "households": []},
        {**_ALARM, "households": [{"code": CODES[1], "why": "停热"}]},
        {**_ALARM, "households": [{"code": CODE, "why": "另有通知"}]},
        {**_ALARM, "households": [_COLD, _COLD]},
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
            _complain(place, "wang", {}, *_ring(document))
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        _complain(place, "wang", {}, *_ring(_ALARM, CODES[1]))

    _complain(place, "wang", {}, flag, message)


def _keep(login: str, seq: str) -> str:
    return f"INSERT INTO receipt (login, key, request, seq) VALUES ('{login}', 'x', 'x', {seq})"


def test_a_key_stands_for_an_event_of_its_officer(place: County) -> None:
    last = "(SELECT seq FROM journal_end())"
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        raw(place, "wang", _keep("system", last))
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        raw(place, "wang", _keep("wang", "1"))
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        _complain(place, "wang", {}, _keep("system", "{seq} - 1"))

    raw(place, "wang", _keep("wang", last))
    _complain(place, "wang", {}, _keep("system", "{seq}"))


def test_what_is_on_record_for_anothers_key_is_not_told(place: County) -> None:
    place.carry_out([replace(county.confirm(CODE), key="k")], "wang", county.CONFIRMED)
    asked = "SELECT key FROM answers('wang', ARRAY['k', 'n'])"

    assert raw(place, "wang", asked) == [("k",)]
    assert raw(place, "qian", asked) == raw(place, "zhao", asked) == []
    assert _told_by(place, "qian", asked) == _told_by(place, "qian", asked.replace("'k'", "'m'"))


def test_a_unit_answers_its_own_letters_only(place: County) -> None:
    county.carry(place, [CODE, OTHER_UNIT], State.CONSTRUCTION)
    dispatch.sweep(place.database, journal.noon(county.PERMITTED))
    letters = {unit: number for number, unit in place.sql("SELECT number, unit FROM letter")}

    for login, number in (("wang", letters["102"]), ("wang", "无此号"), ("zhang", "无此号")):
        role = "unit_officer" if login == "wang" else "county_office"
        answered = {"evidence": {"number": number}, "role": role}
        with pytest.raises(psycopg.errors.RaiseException, match="no such case for you"):
            _write(place, login, "letters", "letter_answered", answered)
    answered = {"evidence": {"number": letters["101"]}}
    reply = "UPDATE letter SET replied_on = '2024-04-02' WHERE number = '{}'"
    _write(place, "wang", "letters", "letter_answered", answered, reply.format(letters["101"]))


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE personal SET phone = '1' WHERE case_code = '{CODE}'",
        f"UPDATE personal SET version = 9 WHERE case_code = '{CODE}'",
        f"DELETE FROM household_key WHERE case_code = '{CODE}'",
    ],
)
def test_to_look_at_personal_data_changes_none_of_it(place: County, statement: str) -> None:
    told = {"evidence": {"codes": [CODE], "purpose": "x"}}
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        _write(place, "wang", "privacy", "revealed", told, statement)
    erased = {"evidence": {"code": CODES[1], "versions": [1]}, "role": "county_office"}
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        _write(place, "zhang", "privacy", "erased", erased, statement)


def test_what_is_erased_is_blank_and_what_was_told_stays(place: County) -> None:
    event = {"evidence": {"code": CODE, "versions": [1]}, "role": "county_office"}
    words = ("name", "id_number", "credit_code", "phone", "meter", "address", "remarks", "salt")
    blank = ", ".join(f"{word} = ''" for word in words)
    of = f"WHERE case_code = '{CODE}'"
    for change in (
        "phone = '1'",
        f"{blank}, digest = 'x'",
        blank.replace("name = ''", "name = '李'"),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
            _write(place, "zhang", "privacy", "erased", event, f"UPDATE personal SET {change} {of}")
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        _complain(place, "wang", {}, f"UPDATE personal SET {blank} {of}")

    _write(place, "zhang", "privacy", "erased", event, f"UPDATE personal SET {blank} {of}")


def _permission(place: County, changed: Mapping[str, object]) -> str:
    """The row of a lawful permission of CODE but for what is changed, as a statement."""
    query = "SELECT seq FROM journal WHERE stream = ? AND kind = ?"
    [(accepted,)] = place.sql(query, f"case:{CODE}", "accept")
    [(ready,)] = place.sql(query, f"case:{CODE}", "complete")
    [(plan,)] = place.sql("SELECT hash FROM plan_revision")
    row = {
        "seq": 10_000,
        "case_code": CODE,
        "source_state": "stable_season",
        "permitted_on": county.PERMITTED,
        "permitted_by": "zhang",
        "acceptance_seq": accepted,
        "accepted_on": county.ACCEPTED,
        "accepted_by": "zhao",
        "readiness_seq": ready,
        "ready_on": county.COMPLETED,
        "season_first_day": county.FIRST_DAY,
        "season_last_day": county.LAST_DAY,
        "plan": plan,
        **changed,
    }
    values = ", ".join(f"'{value}'" for value in row.values())
    return f"INSERT INTO permission ({', '.join(row)}) VALUES ({values})"


@pytest.mark.parametrize(
    "changed",
    [
        {"season_first_day": "2023-11-24", "season_last_day": "2023-11-25"},
        {"season_first_day": "2023-11-02"},
        {"season_first_day": "2023-10-31"},
        {"season_last_day": "2024-03-30"},
        {"season_last_day": "2024-04-01"},
        {"season_last_day": "2025-03-31", "permitted_on": "2025-04-01"},
    ],
)
def test_a_permission_rests_on_a_season_of_the_plan(
    place: County, changed: dict[str, object]
) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    with pytest.raises(psycopg.errors.RaiseException, match="no such season in the plan"):
        raw(place, "zhang", _permission(place, changed))

    # It has all its facts; what it lacks is its event.
    with pytest.raises(psycopg.errors.RaiseException, match="only with an event"):
        raw(place, "zhang", _permission(place, {}))


@pytest.mark.parametrize("verified", [False, True])
def test_a_season_that_nobody_verified_permits_in_a_drill_only(
    tmp_path: Path, verified: bool
) -> None:
    place = county.fresh(tmp_path, drill=False, verified=verified, shared=True)
    county.carry(place, [CODE], State.STABLE_SEASON)

    told = "only with an event" if verified else "nobody has verified the season"
    with pytest.raises(psycopg.errors.RaiseException, match=told):
        raw(place, "zhang", _permission(place, {}))


def test_who_recorded_the_works_cannot_accept_them_under_another_login(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)

    with pytest.raises(psycopg.errors.RaiseException, match="who recorded the works"):
        _insert(
            place,
            "wang-accepts",
            f"case:{CODE}",
            "accept",
            role="acceptor",
            source="acceptance",
            target="stable_season",
        )


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        ("wang", "UPDATE household_case SET due_on = '2030-01-01' WHERE code = '101-0001'"),
        ("wang", "DELETE FROM deadline WHERE case_code = '101-0001'"),
        ("wang", "UPDATE deadline SET next_rung_on = NULL WHERE unit = '101'"),
        ("wang", "DELETE FROM household_key WHERE case_code = '101-0001'"),
        ("wang", "UPDATE personal SET phone = '1' WHERE case_code = '101-0001'"),
        ("wang", "INSERT INTO notice (key, person, case_code, unit, rung, told, created_at, "
                 "dropped) VALUES ('x', 'li', '101-0001', '101', 'event', 'x', '', false)"),
        ("zhang", "UPDATE officer SET role = 'county_office' WHERE login = 'wang'"),
        ("zhang", "UPDATE gate SET opened_on = '2020-01-01'"),
        ("zhang", "UPDATE plan_revision SET exempt_paths = ',solar,'"),
    ],
)  # fmt: skip
def test_a_row_changes_only_with_an_event_of_its_officer(
    place: County, login: str, statement: str
) -> None:
    before = county.every_row(place)

    with pytest.raises(psycopg.errors.RaiseException, match="event"):
        raw(place, login, statement)

    assert county.every_row(place) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE household_case SET village = 'x' WHERE unit = '102'",
        "UPDATE personal SET phone = '1' WHERE case_code LIKE '102-%'",
        "DELETE FROM household_key WHERE case_code LIKE '102-%'",
        "DELETE FROM deadline WHERE unit = '102'",
        "UPDATE deadline SET due_on = '2030-01-01' WHERE unit = '102'",
        "UPDATE flag SET status = 'met' WHERE unit = '102'",
        "UPDATE notice SET dropped = true WHERE unit = '102'",
        "UPDATE letter SET replied_on = '2023-06-01' WHERE unit = '102'",
        "UPDATE officer SET unit = '102' WHERE login = 'wang'",
        "UPDATE plan_revision SET exempt_paths = ',solar,'",
        "UPDATE gate SET opened_on = '2020-01-01'",
        "UPDATE message SET status = 'sent'",
        "UPDATE job SET outcome = 'x'",
        "SELECT code FROM household_case WHERE unit = '102'",
        "SELECT code FROM household_case WHERE unit = '102' FOR UPDATE",
        "WITH x AS (SELECT * FROM personal) SELECT case_code FROM x WHERE case_code LIKE '102-%'",
        "COPY (SELECT case_code FROM personal WHERE case_code LIKE '102-%') TO STDOUT",
    ],
)  # fmt: skip
def test_the_rows_of_another_unit_are_not_there_for_any_verb(place: County, statement: str) -> None:
    county.carry(place, [CODE, OTHER_UNIT], State.STABLE_SEASON)
    dispatch.sweep(place.database, journal.noon(county.PERMITTED))
    before = county.every_row(place)

    if statement.startswith("COPY"):
        with (
            psycopg.connect(server.plain(server.as_login(place.url, "wang"))) as connection,
            connection.cursor().copy(statement.encode()) as copied,
        ):
            assert b"".join(bytes(block) for block in copied) == b""
    else:
        with psycopg.connect(server.plain(server.as_login(place.url, "wang"))) as connection:
            assert connection.execute(statement.encode()).rowcount == 0

    assert county.every_row(place) == before


@pytest.mark.parametrize("login", ["wang", "shen", "zhang"])
@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE journal SET actor = 'x'"],
        ["DELETE FROM journal"],
        ["TRUNCATE journal"],
        ["DELETE FROM household_case"],
        ["DROP TABLE gate"],
        ["ALTER TABLE journal DISABLE TRIGGER ALL"],
        ["ALTER TABLE journal DISABLE ROW LEVEL SECURITY"],
        ["DROP POLICY journal_select ON journal"],
        ["CREATE POLICY mine ON journal USING (true)"],
        ["CREATE TRIGGER mine BEFORE INSERT ON journal EXECUTE FUNCTION journal_step()"],
        ["CREATE OR REPLACE FUNCTION my_scope() RETURNS text LANGUAGE sql AS $$SELECT '*'$$"],
        ["CREATE TABLE mine (a text)"],
        ["CREATE TEMP TABLE officer (login text)"],
        ["CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
        ["CREATE VIEW mine AS SELECT * FROM journal"],
        ["CREATE SCHEMA mine"],
        ["SET ROLE xianli_owner"],
        ["SET ROLE xianli_engine"],
        ["SET ROLE xianli_registrar"],
        ["SET SESSION AUTHORIZATION postgres"],
        ["SET session_replication_role = replica"],
        ["GRANT xianli_owner TO CURRENT_USER"],
        ["ALTER ROLE CURRENT_USER CREATEROLE"],
        ["ALTER ROLE qian PASSWORD 'x'"],
        ["CREATE ROLE mine LOGIN"],
        ["SELECT lo_import('/etc/passwd')"],
        ["SELECT lo_create(0)"],
        ["SELECT lo_from_bytea(0, 'x')"],
        ["COPY officer TO '/officers'"],
        ["COPY officer FROM PROGRAM 'echo x'"],
        ["SELECT pg_read_file('/etc/passwd')"],
        ["SELECT nextval('mine')"],
        ["SELECT enrol('postgres', NULL)"],
        ["SELECT enrol('nobody', NULL)"],
        ["SELECT enrol('xianli_owner', NULL)"],
        ["CREATE EXTENSION dblink"],
        ["PREPARE x AS DELETE FROM journal", "EXECUTE x"],
        ["DO $$ BEGIN DELETE FROM journal; END $$"],
    ],
    ids=lambda statements: statements[-1][:48],
)  # fmt: skip
def test_what_no_officer_may_do(place: County, login: str, statements: list[str]) -> None:
    before = county.every_row(place)

    with pytest.raises(psycopg.Error) as refused:
        raw(place, login, *statements)

    assert refused.value.sqlstate in ("42501", "42P01", "P0001", "42704", "0A000"), refused.value
    assert county.every_row(place) == before


@pytest.mark.parametrize(
    "statements",
    [
        # Names are looked up in the plan's schema by every function with rights of its own.
        ["SET search_path = pg_catalog", "SELECT \"tiny\".my_scope()"],
        ["SET \"xianli.scope\" = '*'", "SELECT my_scope()"],
        ["SET row_security = on", "SELECT my_scope()"],
    ],
    ids=lambda statements: statements[0],
)  # fmt: skip
def test_no_setting_widens_the_scope(place: County, statements: list[str]) -> None:
    assert raw(place, "wang", *statements) == [("101",)]


def test_row_security_cannot_be_switched_off(place: County) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        raw(place, "wang", "SET row_security = off", "SELECT * FROM journal")


def test_an_error_tells_nothing_of_a_foreign_row(place: County) -> None:
    """A condition that fails on a row is asked after the policy, so never of a foreign one."""
    probe = "SELECT code FROM household_case WHERE 1 / (CASE unit WHEN '102' THEN 0 ELSE 1 END) = 1"

    assert {code for (code,) in raw(place, "wang", probe)} == set(county.TOWN)
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        raw(
            place,
            "wang",
            "INSERT INTO household_key (kind, value, case_code) SELECT kind, value, '101-0001' "
            "FROM holders('meter', ARRAY['0100000011']) h, (VALUES ('meter')) k(kind)",
        )
    assert "102" not in str(refused.value).replace("0100000011", "")


# What EXPLAIN and the statistics tell of a row is what its query tells: each pair asks for what is
# there in another unit and for what is nowhere.
_GUESSES = {
    "its personal data by order": (
        "SELECT FROM personal WHERE case_code = '102-0001' AND id_number >= ''",
        "SELECT FROM personal WHERE case_code = '102-0001' AND id_number >= 'z'",
    ),
    "its personal data by their beginning": (
        "SELECT FROM personal WHERE case_code > '102' AND starts_with(name, left('', 1))",
        "SELECT FROM personal WHERE case_code > '102' AND starts_with(name, left('z', 1))",
    ),
    "a number that is taken": (
        "SELECT FROM household_key WHERE case_code > '102' AND value > ''",
        "SELECT FROM household_key WHERE case_code > '102' AND value > 'z'",
    ),
    "where it stands": (
        "SELECT FROM household_case WHERE unit = '102' AND state = 'household_confirmation'",
        "SELECT FROM household_case WHERE unit = '102' AND state = 'construction'",
    ),
    "whether it is there": (
        "SELECT FROM household_case WHERE code = '102-0001'",
        "SELECT FROM household_case WHERE code = '102-9999'",
    ),
    "a day of its": (
        "SELECT FROM deadline WHERE case_code = '102-0001' AND due_on > '2000-01-01'",
        "SELECT FROM deadline WHERE case_code = '102-0001' AND due_on > '2999-01-01'",
    ),
    "what its journal says": (
        "SELECT FROM journal WHERE stream = 'case:102-0001' AND body > ''::bytea",
        "SELECT FROM journal WHERE stream = 'case:102-0001' AND body > '~'::bytea",
    ),
    "how many events there are": (
        "SELECT FROM journal WHERE stream LIKE 'case:102-%' AND seq > 0",
        "SELECT FROM journal WHERE stream LIKE 'case:102-%' AND seq > 999",
    ),
    "where its stream ends": (
        "SELECT FROM stream_end('case:102-0001')",
        "SELECT FROM stream_end('case:102-9999')",
    ),
    "its row by the function": (
        "SELECT FROM heads(ARRAY['102-0001'])",
        "SELECT FROM heads(ARRAY['102-9999'])",
    ),
    "its personal data by the function": (
        "SELECT FROM personal_data(ARRAY['102-0001'])",
        "SELECT FROM personal_data(ARRAY['102-9999'])",
    ),
    "its keys by the function": (
        "SELECT FROM held('meter', ARRAY['102-0001'])",
        "SELECT FROM held('meter', ARRAY['102-9999'])",
    ),
    "its events by the function": (
        "SELECT FROM events(ARRAY['case:102-0001'])",
        "SELECT FROM events(ARRAY['case:102-9999'])",
    ),
}
_COUNTED = """SELECT relname, seq_tup_read, idx_tup_fetch
FROM pg_stat_xact_user_tables WHERE schemaname = current_schema() ORDER BY relname"""


def _told_by(place: County, login: str, query: str) -> object:
    """All that a login learns by running a query but its time: rows, plan, and what was touched."""
    url = server.plain(server.as_login(place.url, login))
    with psycopg.connect(url, connect_timeout=10) as connection:
        # What is looked up once in a session is in its memory then.
        connection.execute(query.encode())
        explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT JSON) "
        before = connection.execute(_COUNTED.encode()).fetchall()
        [(plan,)] = connection.execute((explain + query).encode()).fetchall()
        after = connection.execute(_COUNTED.encode()).fetchall()
    touched = [
        (name, *(b - a for a, b in zip(was, now, strict=True)))
        for (name, *was), (_, *now) in zip(before, after, strict=True)
    ]
    return _without_values(plan), touched


def _without_values(plan: object) -> object:
    """The plan as it was carried out, without the conditions, which name what was asked."""
    if isinstance(plan, list):
        return [_without_values(part) for part in plan]
    if isinstance(plan, dict):
        return {
            name: _without_values(value)
            for name, value in plan.items()
            if not name.endswith(("Cond", "Filter", "Function Call")) or isinstance(value, int)
        }
    return plan


@pytest.mark.parametrize("login", ["wang", "gone"])
@pytest.mark.parametrize("what", _GUESSES)
def test_a_guess_at_a_foreign_row_tells_the_same_whether_it_is_right(
    place: County, what: str, login: str
) -> None:
    if login == "gone":
        login = "wang"
        place.sql(
            "SET LOCAL ROLE xianli_owner; UPDATE officer SET active = false WHERE login = 'wang'"
        )
    right, wrong = _GUESSES[what]

    assert _told_by(place, login, right) == _told_by(place, login, wrong)


def test_who_may_see_a_row_gets_another_answer_to_a_right_guess(place: County) -> None:
    """The test above can fail: to whom the rows belong they tell a difference."""
    for right, wrong in _GUESSES.values():
        assert _told_by(place, "shen", right) != _told_by(place, "shen", wrong), right


def test_who_ends_a_foreign_clock_learns_nothing_and_nothing_ends(place: County) -> None:
    [(clock,)] = place.sql("SELECT name FROM deadline WHERE case_code = ?", OTHER_UNIT)
    there = f"SELECT end_clocks(ARRAY['{OTHER_UNIT}'], ARRAY['{clock}'])"
    nowhere = f"SELECT end_clocks(ARRAY['102-9999'], ARRAY['{clock}'])"

    assert _told_by(place, "wang", there) == _told_by(place, "wang", nowhere)
    raw(place, "wang", there)

    assert place.sql("SELECT name FROM deadline WHERE case_code = ?", OTHER_UNIT) == [(clock,)]


@pytest.mark.parametrize("login", ["wang", "zhao", "shen"])
def test_a_clock_ends_with_an_event_only_by_the_function_too(place: County, login: str) -> None:
    [(clock,)] = place.sql("SELECT name FROM deadline WHERE case_code = ?", CODE)

    with pytest.raises(psycopg.errors.RaiseException, match="xianli"):
        raw(place, login, f"SELECT end_clocks(ARRAY['{CODE}'], ARRAY['{clock}'])")

    assert place.sql("SELECT name FROM deadline WHERE case_code = ?", CODE) == [(clock,)]


def test_a_server_with_an_earlier_programs_functions_is_told_and_upgraded(
    place: County, tmp_path: Path
) -> None:
    place.sql("DROP FUNCTION heads(text[])")

    with pytest.raises(BadFile, match="不是这一版程序的") as refused:
        place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    assert "db upgrade" in str(refused.value.remedy)
    upgrade.upgrade(place.url, tmp_path, journal.noon(county.CONFIRMED), server.tools())

    [done] = place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    assert isinstance(done, Receipt)


def test_a_function_that_tells_before_the_policy_is_found(place: County) -> None:
    place.sql("ALTER FUNCTION pg_catalog.texteq NOT LEAKPROOF")
    with place.database.reading() as connection:
        assert access_check.faults(connection) == []
    place.sql("ALTER FUNCTION pg_catalog.texteq LEAKPROOF")
    with place.database.reading() as connection:
        [told] = access_check.faults(connection)
    assert "逐字试探" in told


def test_a_unit_finds_its_files_by_its_households_and_no_others(place: County) -> None:
    mine, theirs = File("a.jpg", b"\xff\xd8 ours"), File("b.jpg", b"\xff\xd8 theirs")
    for code, file in ((CODE, mine), (OTHER_UNIT, theirs)):
        place.advance(code, FactKind.COMPLAINT, county.CONFIRMED, ("what", "不热"), files=[file])
    asked = f"'{{case:{CODE},case:{OTHER_UNIT}}}'"

    def content(login: str, file: File) -> object:
        [(found,)] = raw(place, login, f"SELECT file({asked}, '{file.attached.sha256}')")
        return found

    seen = raw(place, "wang", f"SELECT sha256, size, beginning FROM files({asked})")
    assert seen == [(mine.attached.sha256, len(mine.content), mine.content[:16])]
    assert content("wang", mine) == mine.content
    assert content("wang", theirs) is None
    assert content("shen", theirs) == theirs.content
    assert raw(place, "wang", "SELECT 1 FROM attachment") == []
    kept = {str(one) for (one,) in raw(place, "shen", "SELECT sha256 FROM attachment")}
    assert kept >= {mine.attached.sha256, theirs.attached.sha256}


def test_a_large_object_and_a_notification_reach_no_row(place: County) -> None:
    """Both are told as what they are: notifications go between sessions and carry no rows."""
    before = county.every_row(place)

    raw(place, "wang", "NOTIFY anything, 'x'")

    assert county.every_row(place) == before


# Logins -----------------------------------------------------------------------------------------


def test_an_officer_who_is_registered_gets_a_login(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(server.password("new-wang"), encoding="utf-8")
    url = server.as_login(place.url, "zhang")

    _command(
        capsys,
        *("--db", url, "--today", "2023-06-01", "--json", "officer", "add", "new-wang"),
        *("--name", "新王", "--role", "unit_officer", "--unit", "101"),
        *("--password-file", str(secret)),
    )

    assert raw(place, "new-wang", "SELECT my_role(), my_scope()") == [("unit_officer", "101")]
    place.sql('DROP ROLE "new-wang"')


def test_a_login_has_not_all_the_servers_connections(place: County) -> None:
    place.sql('DROP ROLE IF EXISTS "limited"')
    setup.add_officer(
        place.acting("zhang"), "limited", "限", Role.AUDITOR, None, None, actor="zhang",
        now=journal.noon(county.CONFIRMED), password="x",
    )  # fmt: skip

    assert place.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'limited'") == [(10,)]
    place.sql('DROP ROLE "limited"')


def test_who_is_disabled_has_no_rights_left_on_the_server(place: County) -> None:
    """All in one transaction that is taken back: groups are the whole server's."""
    member: LiteralString = "SELECT pg_has_role('wang', 'xianli_officer', 'MEMBER')"
    others: LiteralString = (
        "DO $$ DECLARE it text; BEGIN FOR it IN SELECT datname FROM pg_database "
        "WHERE datname <> current_database() AND datallowconn LOOP "
        "EXECUTE format('REVOKE ALL ON DATABASE %I FROM xianli_officer', it); END LOOP; END $$"
    )
    active: LiteralString = "UPDATE officer SET active = %s WHERE login = 'wang'"
    with psycopg.connect(server.plain(place.url)) as connection:

        def ask(statement: LiteralString) -> object:
            row = connection.execute(statement).fetchone()
            return row and row[0]

        with pytest.raises(psycopg.errors.RaiseException, match="no disabled officer"):
            ask("SELECT withdraw('wang')")
        connection.rollback()
        connection.execute(active, [False])
        connection.execute(others)
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.officer AS SELECT 'wang' AS login, true AS active")
        connection.execute("GRANT USAGE ON SCHEMA other TO xianli_registrar")
        connection.execute("GRANT SELECT ON other.officer TO xianli_registrar")
        assert (ask("SELECT withdraw('wang')"), ask(member)) == (False, True)
        connection.execute("UPDATE other.officer SET active = false")
        assert (ask("SELECT withdraw('wang')"), ask(member)) == (True, False)
        connection.execute(active, [True])
        assert (ask("SELECT enrol('wang', NULL)"), ask(member)) == (False, True)
        connection.rollback()


def test_disabled_here_he_may_be_an_officer_in_another_database(place: County) -> None:
    setup.disable_officer(
        place.acting("zhang"), "wang", actor="zhang", now=journal.noon(county.CONFIRMED)
    )

    # The tests' server has other databases.
    assert place.sql("SELECT pg_has_role('wang', 'xianli_officer', 'MEMBER')") == [(1,)]
    assert raw(place, "wang", "SELECT my_scope()") == [("",)]


@pytest.mark.parametrize(
    "login", ["public", "none", "user", "current_user", "session_user", "pg_wang", "xianli_owner"]
)
def test_words_of_the_servers_are_no_logins(place: County, login: str) -> None:
    with pytest.raises(UsageFault, match="自用的名字"):
        setup.add_officer(
            place.acting("zhang"), login, "某", Role.AUDITOR, None, None, actor="zhang",
            now=journal.noon(county.CONFIRMED),
        )  # fmt: skip
    with pytest.raises(UsageFault, match="自用的名字"):
        access.set_up(db.server_of(place.url), login, None)


def test_an_error_of_the_database_tells_none_of_what_was_given(place: County) -> None:
    with pytest.raises(ProgrammingError) as refused, place.database.reading() as connection:
        connection.execute(text("SELECT :it FROM nowhere"), {"it": "机密"})

    assert "机密" not in str(refused.value)


def test_an_officer_changes_his_own_password(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("另一个口令", encoding="utf-8")
    url = server.as_login(place.url, "wang")
    try:
        answer = _command(
            capsys,
            *("--db", url, "--json", "officer", "password", "--password-file", str(secret)),
        )
        assert answer == {"login": "wang"}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            raw(place, "wang", "SELECT 1")
        other = make_url(url).set(password="另一个口令").render_as_string(hide_password=False)
        with db.connect(other).reading() as connection:
            assert connection.exec_driver_sql("SELECT session_user").scalar() == "wang"
    finally:
        secret.write_text(server.password("wang"), encoding="utf-8")
        with db.connect(place.url).transaction() as connection:
            access._set_password(
                connection, "wang", access.verifier_of("wang", server.password("wang"))
            )


def test_who_acts_is_who_is_connected_and_not_what_he_says(
    place: County, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.as_login(place.url, "wang")

    status = cli.run(["--db", url, "--as", "zhang", "todo"])

    assert status == 5
    assert "连接数据库的账号是“wang”，不是“zhang”" in capsys.readouterr().err


def test_the_events_of_the_streams_are_those_that_the_audit_knows() -> None:
    known = {of: roles for of, (_, roles) in verify.OTHER_KINDS.items()}
    ours = {of: {str(role) for role in roles} for of, roles in triggers.STREAMS.items()}

    assert ours.keys() == known.keys()
    # What the audit lets pass of the past, nobody may write any more.
    assert {of: roles for of, roles in ours.items() if roles != known[of]} == {
        ("privacy", "revealed"): {"unit_officer", "unit_head", "county_office"}
    }
