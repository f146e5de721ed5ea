"""Looking after a server's database: backup, upgrade, restore and doctor on a real PostgreSQL."""

import itertools
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import county
import psycopg
import pytest
import server
from county import CODE, TOWN, County
from older import REVISIONS, older_in_server
from proofs import witnessed
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

import cli
from states.errors import UsageFault
from states.vocabulary import Trigger
from workflow import (
    access,
    access_check,
    audit,
    backup,
    db,
    doctor,
    doctor_server,
    dump,
    migrations,
    restore,
    scheduler,
    settings,
    setup,
    upgrade,
)
from workflow.backup import Saved
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted
from workflow.health import Check, Health
from workflow.note import Receipt
from workflow.operation import BINARIES, Server
from workflow.weigh import Restored

pytestmark = pytest.mark.server
NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
LATER = date(2023, 6, 20)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[County]:
    """The county on a server, one household confirmed."""
    place = county.fresh(tmp_path, shared=True)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    yield place
    place.close()
    server.drop(place.url)


@pytest.fixture(scope="module")
def tools() -> Server:
    return server.tools()


def end(place: County) -> tuple[int, str]:
    [(seq, hash_)] = place.sql("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")
    assert isinstance(seq, int)
    return seq, str(hash_)


def number_of_rows(place: County) -> int:
    return sum(len(rows) for rows in county.every_row(place).values())


# Backup -------------------------------------------------------------------------------------------


def test_a_backup_holds_every_row_and_says_how_far_the_journal_goes(
    place: County, tmp_path: Path, tools: Server
) -> None:
    before = county.every_row(place)

    saved = backup.save(place.database, tmp_path / "copy.dump", tools)

    assert saved == Saved(tmp_path / "copy.dump", number_of_rows(place), *end(place))
    assert dump.is_dump(saved.file)
    assert stat.S_IMODE(saved.file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []
    assert county.every_row(place) == before


def test_what_is_in_a_backup_is_one_state_though_others_write(
    place: County, tmp_path: Path, tools: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, run = number_of_rows(place), dump._run

    def meanwhile(connection: object, *arguments: object) -> bytes:
        if "pg_dump" in arguments:
            place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
        return run(connection, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(dump, "_run", meanwhile)

    saved = backup.save(place.database, tmp_path / "copy.dump", tools)

    assert saved.rows == counted
    assert saved.seq == end(place)[0] - 1


def test_a_backup_waits_for_no_writer_and_keeps_none_waiting(
    place: County, tmp_path: Path, tools: Server
) -> None:
    counted = number_of_rows(place)

    with place.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM gate")
        saved = backup.save(place.database, tmp_path / "copy.dump", tools)

    assert saved.rows == counted


def test_the_services_copies_are_kept_and_thinned_out_as_those_of_a_file(
    place: County, tmp_path: Path, tools: Server
) -> None:
    folder = tmp_path / "backups"
    for day in range(4):
        copy = backup.backup(place.database, folder, NOW + day * ONE_DAY, 2, tools)

    assert backup.day_of(copy.name) == date(2026, 3, 4)
    kept = sorted(one.name for one in folder.glob("*.dump"))
    assert [backup.day_of(name).day for name in kept] == [3, 4]
    assert sorted(json.loads((folder / backup.LIST).read_text(encoding="utf-8"))) == kept


def test_the_service_takes_the_nightly_backup(place: County, tmp_path: Path) -> None:
    file = tmp_path / "xianli.toml"
    file.write_text(f'[postgresql]\nbin = "{server.tools().binaries}"\n', encoding="utf-8")
    given = settings.load(file, tmp_path, os.environ)
    room = scheduler.Room(place.database, given, lambda: NOW, lambda: False)
    (job,) = (one for one in scheduler.jobs(given) if one.name == "backup")

    told = job.run(room)

    [copy] = (tmp_path / "backups").glob("*.dump")
    assert str(copy) in told


def _login(place: County, options: str, *grants: str) -> Iterator[str]:
    """The county's address with a login of its own, which goes with the test."""
    name = f"x{os.getpid()}_login"
    database = place.url.partition("?")[0].rpartition("/")[2]
    place.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{server.password(name)}' {options}")
    for grant in (f"CONNECT ON DATABASE {database}", *grants):
        place.sql(f"GRANT {grant} TO {name}")
    yield server.as_login(place.url, name)
    place.sql(f"DROP OWNED BY {name}")
    place.sql(f"DROP ROLE {name}")


@pytest.fixture
def keeper(place: County) -> Iterator[str]:
    """For one who may read all and nothing else."""
    yield from _login(place, "BYPASSRLS", "pg_read_all_data")


@pytest.fixture
def administrator(place: County) -> Iterator[str]:
    """For one who administers the plans and is no superuser."""
    yield from _login(place, "", "xianli_owner")


def test_the_service_takes_its_backups_by_an_account_that_only_reads(
    place: County, keeper: str, tmp_path: Path
) -> None:
    file = tmp_path / "xianli.toml"
    text = f'[postgresql]\nbin = "{server.tools().binaries}"\nbackup_url_env = "KEEPER"\n'
    file.write_text(text, encoding="utf-8")
    (job,) = (
        one for one in scheduler.jobs(settings.load(file, tmp_path, {})) if one.name == "backup"
    )

    def room(environment: Mapping[str, str]) -> scheduler.Room:
        given = settings.load(file, tmp_path, environment)
        return scheduler.Room(place.database, given, lambda: NOW, lambda: False)

    with pytest.raises(BadFile, match="环境变量 KEEPER 没有设置"):
        job.run(room({}))
    job.run(room({"KEEPER": keeper}))

    [copy] = (tmp_path / "backups").glob("*.dump")
    with place.database.reading() as connection:
        found = dump.contents(connection, copy, server.tools())
    assert sum(found.rows.values()) == number_of_rows(place)


def test_a_service_that_may_not_read_all_says_who_should_take_the_backup(
    place: County, tmp_path: Path
) -> None:
    officer = server.as_login(place.url, "wang")
    given = settings.load(None, tmp_path, {BINARIES: str(server.tools().binaries)})
    room = scheduler.Room(db.connect(officer), given, lambda: NOW, lambda: False)
    (job,) = (one for one in scheduler.jobs(given) if one.name == "backup")

    told = job.run(room)

    room.database.close()
    assert "不能备份" in told
    assert list((tmp_path / "backups").glob("*.dump*")) == []


def test_who_administers_backs_up_and_restores_without_being_superuser(
    place: County, administrator: str, tmp_path: Path, tools: Server
) -> None:
    before, there = county.every_row(place), db.connect(administrator)
    saved = backup.save(there, tmp_path / "copy.dump", tools)
    there.close()
    place.sql('DROP SCHEMA "tiny" CASCADE')

    done = put_back(saved.file, administrator)

    assert done.events == saved.seq
    assert county.every_row(place) == before


def test_a_dump_that_is_cut_is_found(place: County, tmp_path: Path, tools: Server) -> None:
    file = backup.save(place.database, tmp_path / "copy.dump", tools).file
    whole = file.read_bytes()

    for much in (97, 50, 3):
        file.write_bytes(whole[: len(whole) * much // 100])
        with pytest.raises(BadFile), place.database.reading() as connection:
            dump.contents(connection, file, tools)


def changed(file: Path, part: tuple[float, float], seed: int, *widths: int) -> Iterator[None]:
    """The file thirty times over, each time with other bytes somewhere in this part of it."""
    whole, rng = file.read_bytes(), random.Random(seed)
    begins, ends = (int(len(whole) * share) for share in part)
    for _ in range(30):
        content, at = bytearray(whole), rng.randrange(begins, ends)
        for number in range(at, at + rng.choice(widths)):
            content[number] ^= rng.randrange(1, 256)
        file.write_bytes(content)
        yield


def test_a_dump_whose_rows_were_changed_anywhere_is_found(
    place: County, tmp_path: Path, tools: Server
) -> None:
    """Packed bytes that changed give rows of too few columns, letters for numbers, no UTF-8."""
    file = backup.save(place.database, tmp_path / "copy.dump", tools).file

    # The rows come last, behind what makes tables, functions and policies.
    for _ in changed(file, (0.955, 0.995), 28, 1, 8, 64):
        with pytest.raises(BadFile) as refused, place.database.reading() as connection:
            dump.contents(connection, file, tools)
        assert refused.value.remedy


def test_a_dump_whose_list_was_changed_never_ends_in_a_traceback(
    place: County, tmp_path: Path, tools: Server
) -> None:
    """Texts of the definitions are not restored but made anew, so not each change is a fault."""
    file = backup.save(place.database, tmp_path / "copy.dump", tools).file

    for _ in changed(file, (0, 0.95), 29, 1):
        with suppress(BadFile), place.database.reading() as connection:
            assert dump.contents(connection, file, tools).rows["journal"] > 0


@pytest.mark.crash
@pytest.mark.parametrize("room", [0, 8, 40])
def test_a_full_disk_leaves_no_half_backup(
    place: County, copy: Path, tmp_path: Path, room: int
) -> None:
    """Files cannot grow past so many KiB; what was there before stays."""
    before = copy.read_bytes()
    program = Path(cli.__file__)
    command = [sys.executable, str(program), "--json", "--db", place.url]

    done = subprocess.run(
        [*command, "db", "backup", str(copy), "--force"],
        cwd=tmp_path,
        env={**os.environ, BINARIES: str(server.tools().binaries)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room * 1024,) * 2),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3, done.stdout + done.stderr
    assert json.loads(done.stdout)["error"]["remedy"]
    assert copy.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_programs_that_are_not_there_are_told_with_what_to_install(
    place: County, tmp_path: Path
) -> None:
    with pytest.raises(UsageFault, match="没有 pg_dump") as refused:
        backup.save(place.database, tmp_path / "copy.dump", Server(binaries=tmp_path))

    assert "postgresql-client-" in (refused.value.remedy or "")
    assert BINARIES in (refused.value.remedy or "")
    assert list(tmp_path.glob("copy*")) == []


def test_programs_older_than_the_server_are_refused(place: County, tmp_path: Path) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n", encoding="utf-8")
    old.chmod(0o755)

    with pytest.raises(UsageFault, match="是 9 版，比服务器的") as refused:
        backup.save(place.database, tmp_path / "copy.dump", Server(binaries=tmp_path))

    assert refused.value.code == "old_pg_dump"


def test_a_password_is_on_no_command_line(place: County, tmp_path: Path) -> None:
    """A pg_dump that writes down how it was called, and goes on to the real one."""
    real = server.tools().binaries
    told = tmp_path / "told"
    for name in ("pg_dump", "pg_restore"):
        spy = tmp_path / name
        script = f'#!/bin/sh\necho "$0 $@" >>{told}\necho "$PGPASSWORD" >>{told}.env\n'
        spy.write_text(f'{script}exec {real}/{name} "$@"\n', encoding="utf-8")
        spy.chmod(0o755)
    open_ = db.connect(place.url.replace("postgres:@", "postgres:geheim@"))

    backup.save(open_, tmp_path / "copy.dump", Server(binaries=tmp_path))

    open_.close()
    assert "geheim" not in told.read_text(encoding="utf-8")
    assert "geheim" in Path(f"{told}.env").read_text(encoding="utf-8")


# Upgrade ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    """Cases in several states, one closed."""
    place = county.fresh(tmp_path_factory.mktemp("upgrade"), shared=True)
    place.carry_out([county.confirm(code) for code in TOWN[:4]], "wang", county.CONFIRMED)
    place.advance(TOWN[3], Trigger.CLOSE, county.CONFIRMED, *county.CLOSING)
    place.carry_out([county.select(code) for code in TOWN[:3]], "wang", county.SELECTED)
    place.carry_out([county.complete(code) for code in TOWN[:2]], "wang", county.COMPLETED)
    yield place
    place.close()
    server.drop(place.url)


@pytest.fixture
def url() -> Iterator[str]:
    url = server.new()
    yield url
    server.drop(url)


def rows_in(url: str) -> dict[str, list[tuple[object, ...]]]:
    there = County(Path(), db.connect(url, older=True))
    rows = county.every_row(there)
    there.database.close()
    return rows


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_older_database_comes_along_with_all_it_holds(
    grown: County, url: str, tmp_path: Path, tools: Server, revision: str
) -> None:
    older_in_server(grown, url, revision)

    done = upgrade.upgrade(url, tmp_path / "backups", NOW, tools)

    after, whole = rows_in(url), county.every_row(grown)
    assert (done.before, done.after) == (revision, db.HEAD)
    for table in ("journal", "household_case", "deadline", "permission", "personal"):
        assert after[table] == whole[table]
    with db.connect(url).reading() as connection:
        assert audit.verification(connection).findings == ()
        assert upgrade.schema_faults(connection) == []
        assert done.copy is not None
        held = dump.contents(connection, done.copy, tools)
    assert (held.version, held.seq) == (revision, end(grown)[0])


def test_a_database_of_this_version_is_left_alone(
    grown: County, tmp_path: Path, tools: Server
) -> None:
    before = county.every_row(grown)

    done = upgrade.upgrade(grown.url, tmp_path / "backups", NOW, tools)

    assert done == upgrade.Upgraded(db.HEAD, db.HEAD, None, 0)
    assert county.every_row(grown) == before
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize(
    "left",
    [
        "DROP FUNCTION receipt_event CASCADE",
        "DROP FUNCTION withdraw",
        "DROP POLICY gate_select ON gate",
    ],
)
def test_the_guards_of_an_earlier_program_are_made_anew(
    tmp_path: Path, tools: Server, left: str
) -> None:
    place = county.fresh(tmp_path, shared=True)
    before = county.every_row(place)
    place.sql(left)

    done = upgrade.upgrade(place.url, tmp_path / "backups", NOW, tools)

    assert done.copy is not None
    assert county.every_row(place) == before
    with place.database.reading() as connection:
        assert upgrade.schema_faults(connection) == []
        assert access_check.faults(connection) == []


def test_without_its_backup_an_upgrade_does_nothing(
    grown: County, url: str, tmp_path: Path
) -> None:
    older_in_server(grown, url, "0002")
    before = rows_in(url)

    with pytest.raises(UsageFault, match="没有 pg_dump"):
        upgrade.upgrade(url, tmp_path / "backups", NOW, Server(binaries=tmp_path))

    assert rows_in(url) == before
    assert list((tmp_path / "backups").iterdir()) == []


def test_an_upgrade_that_would_change_the_journal_is_taken_back(
    grown: County, url: str, tmp_path: Path, tools: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_in_server(grown, url, "0002")
    before, right = rows_in(url), migrations.upgrade

    def wrong(connection: Connection) -> None:
        right(connection)
        connection.exec_driver_sql("ALTER TABLE journal DISABLE TRIGGER USER")
        connection.exec_driver_sql("UPDATE journal SET actor = 'nobody' WHERE seq = 3")
        connection.exec_driver_sql("ALTER TABLE journal ENABLE TRIGGER USER")

    monkeypatch.setattr(migrations, "upgrade", wrong)

    with pytest.raises(JournalBroken, match="日志的内容变了"):
        upgrade.upgrade(url, tmp_path / "backups", NOW, tools)

    assert rows_in(url) == before


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TRIGGER journal_no_delete ON journal", "保护触发器 journal_no_delete"),
        ("DROP POLICY journal_select ON journal", "journal 缺策略 journal_select"),
    ],
)
def test_an_upgrade_that_lost_a_guard_or_a_policy_is_taken_back(
    grown: County,
    url: str,
    tmp_path: Path,
    tools: Server,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    told: str,
) -> None:
    older_in_server(grown, url, "0002")
    before, right = rows_in(url), migrations.upgrade

    def losing(connection: Connection) -> None:
        right(connection)
        connection.exec_driver_sql(statement)

    monkeypatch.setattr(migrations, "upgrade", losing)

    with pytest.raises(JournalBroken, match=told):
        upgrade.upgrade(url, tmp_path / "backups", NOW, tools)

    assert rows_in(url) == before


# Every how many statements a process dies: each in the soak run, a sample here.
STEP = int(os.environ.get("XIANLI_KILL_STEP", "67"))


@pytest.mark.crash
@pytest.mark.parametrize("revision", REVISIONS)
def test_killed_at_any_statement_it_is_the_old_one_or_the_new_one(
    grown: County, revision: str
) -> None:
    """A real process that dies by SIGKILL before its n-th statement."""
    master, outcomes = server.new(), []
    older_in_server(grown, master, revision)
    before = rows_in(master)
    for number in itertools.count(1, STEP):
        url = server.new(master)
        lived = in_a_child(partial(bring_up, url), number)
        after = rows_in(url)
        [(now,)] = after["alembic_version"]
        outcomes.append(now)
        assert (after == before) == (now == revision)
        assert now in (revision, db.HEAD)
        server.drop(url)
        if lived:
            break

    server.drop(master)
    assert outcomes[-1] == db.HEAD
    assert outcomes.count(revision) > 3


def bring_up(url: str) -> None:
    upgrade.bring_up(db.connect(url, older=True))


def in_a_child(work: Callable[[], object], dies_at: int) -> bool:
    """Runs it in a process that is gone before its n-th statement; whether it came to its end."""
    child = os.fork()
    if child == 0:
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1
            if counted == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status == 0


# Restore ------------------------------------------------------------------------------------------


@pytest.fixture
def copy(place: County, tmp_path: Path, tools: Server) -> Path:
    """A backup of the county as it stands."""
    return backup.save(place.database, tmp_path / "copy.dump", tools).file


def put_back(
    copy: Path, url: str, *receipts: Receipt, accept_loss: bool = False, old: str | None = None
) -> Restored:
    return restore.restore(
        copy, url, receipts, accept_loss=accept_loss, now=NOW, old=old, server=server.tools()
    )


def is_free(url: str) -> bool:
    """Nothing of ours is there, nor of a restoring that went wrong."""
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"
    with psycopg.connect(url) as connection:
        found = [name for (name,) in connection.execute(schemas)]
    return found == ["information_schema", "public"]


def test_a_backup_is_put_into_a_new_database_and_work_goes_on(
    place: County, copy: Path, url: str
) -> None:
    done = put_back(copy, url, old=place.url)

    assert (done.lost, done.upgraded, done.cases) == (0, False, len(county.CODES))
    assert done.events == end(place)[0]
    assert rows_in(url) == county.every_row(place)
    along = county.open_at(url)
    along.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    with along.database.reading() as connection:
        assert audit.verification(connection).findings == ()
        assert upgrade.schema_faults(connection) == []
    along.database.close()


def test_where_the_plan_has_its_database_nothing_is_put(place: County, copy: Path) -> None:
    before = county.every_row(place)

    with pytest.raises(UsageFault, match="这里已有计划 tiny 的数据库"):
        put_back(copy, place.url, accept_loss=True)

    assert county.every_row(place) == before


def test_a_database_that_was_not_set_up_is_told(place: County, copy: Path, url: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url) as connection:
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM xianli_owner".encode())

    with pytest.raises(UsageFault, match="还没有准备好") as refused:
        put_back(copy, url)

    assert "db setup" in (refused.value.remedy or "")
    assert is_free(url)


def test_a_database_that_nobody_set_up_is_told_before_a_plan_is_made(
    administrator: str, tmp_path: Path
) -> None:
    bare = server.without_plan(administrator)
    name = make_url(bare).database
    with psycopg.connect(server.address()) as connection:
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM xianli_owner".encode())
    made = make_url(bare).update_query_dict({"plan": "neu"}).render_as_string(hide_password=False)

    with pytest.raises(NotPermitted, match="还没有准备好") as refused:
        make_plan(made, tmp_path)

    assert "db setup" in (refused.value.remedy or "")


def another_plan(place: County, folder: Path) -> str:
    """The address of another plan in the same database, whose first officer is Zhang too."""
    address = make_url(place.url).update_query_dict({"plan": "beside"})
    url = address.render_as_string(hide_password=False)
    make_plan(url, folder)
    return url


def make_plan(url: str, folder: Path) -> None:
    setup.create(
        url,
        county.plan_in(folder, county.plan_text()),
        drill=True,
        login="zhang",
        name="张县办",
        today=county.FOUNDED,
        clock=county.noon(county.FOUNDED),
        password=server.password("zhang"),
    )


def test_a_plan_is_put_back_among_others_as_docs_server_md_says(
    place: County, copy: Path, url: str
) -> None:
    """Proved in a new database first; then the damaged schema makes room, and nobody else's."""
    beside = another_plan(place, copy.parent)
    kept = rows_in(beside)
    place.tamper("DELETE FROM household_case WHERE code = ?", TOWN[5])

    proved = put_back(copy, url, old=place.url)
    place.sql('DROP SCHEMA "tiny" CASCADE')
    done = put_back(copy, server.without_plan(place.url))

    assert (proved.events, proved.lost) == (done.events, 0)
    assert rows_in(place.url) == rows_in(url)
    assert rows_in(beside) == kept
    along = county.open_at(place.url)
    along.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    with along.database.reading() as connection:
        assert audit.verification(connection).findings == ()
    along.database.close()


@pytest.mark.parametrize("again", [False, True])
def test_a_schema_that_was_renamed_keeps_nobody_from_the_other_plans(
    place: County, copy: Path, again: bool
) -> None:
    bare = server.without_plan(place.url)
    another_plan(place, copy.parent)
    place.sql('ALTER SCHEMA "tiny" RENAME TO "tiny_before"')
    if again:
        # What stands under the old name is not told twice.
        put_back(copy, bare)

    assert db.plans_of(bare) == (("beside", "tiny") if again else ("beside",))
    assert db.plans_of(server.as_login(bare, "zhang"))[:1] == ("beside",)
    if not again:
        assert db.connect(bare).plan == "beside"


def test_registrations_are_not_lost_unsaid(place: County, copy: Path, url: str) -> None:
    place.carry_out([county.confirm(code) for code in TOWN[1:3]], "wang", LATER)

    with pytest.raises(Conflict, match="有 2 条不在备份里") as refused:
        put_back(copy, url, old=place.url)

    assert refused.value.code == "would_lose"
    assert is_free(url)
    assert put_back(copy, url, old=place.url, accept_loss=True).lost == 2


def test_what_the_witness_saw_is_not_lost_unsaid(
    place: County, copy: Path, url: str, tmp_path: Path
) -> None:
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    receipt = witnessed(place, tmp_path)

    with pytest.raises(Conflict, match="已有见证人见过"):
        put_back(copy, url, receipt)

    assert is_free(url)
    assert put_back(copy, url, receipt, accept_loss=True).witnessed == receipt.checkpoint.size


def test_another_history_than_the_witness_saw_is_never_put_back(
    place: County, url: str, tmp_path: Path, tools: Server
) -> None:
    fork = county.open_at(server.new(_alone(place)))
    fork.carry_out([county.confirm(TOWN[2])], "wang", LATER)
    forked = backup.save(fork.database, tmp_path / "fork.dump", tools).file
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    receipt = witnessed(place, tmp_path)

    with pytest.raises(JournalBroken, match="不是见证人所见"):
        put_back(forked, url, receipt, accept_loss=True)

    assert is_free(url)
    fork.database.close()


def _alone(place: County) -> str:
    place.close()
    return place.url


def test_a_backup_that_was_tampered_with_is_refused(
    place: County, url: str, tmp_path: Path, tools: Server
) -> None:
    place.sql(
        "ALTER TABLE journal DISABLE TRIGGER USER; "
        "UPDATE journal SET actor = 'nobody' WHERE seq = 5; "
        "ALTER TABLE journal ENABLE TRIGGER USER"
    )
    copy = backup.save(place.database, tmp_path / "copy.dump", tools).file

    with pytest.raises(JournalBroken, match="核验不通过"):
        put_back(copy, url, accept_loss=True)

    assert is_free(url)


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(
    grown: County, url: str, tmp_path: Path, tools: Server
) -> None:
    master = server.new()
    older_in_server(grown, master, "0001")
    old = db.connect(master, older=True)
    copy = backup.save(old, tmp_path / "copy.dump", tools).file
    old.close()

    done = put_back(copy, url)

    assert done.upgraded
    assert rows_in(url)["journal"] == county.every_row(grown)["journal"]
    server.drop(master)


def test_a_backup_of_a_newer_program_is_refused(
    place: County, url: str, tmp_path: Path, tools: Server
) -> None:
    place.sql("UPDATE alembic_version SET version_num = '9999'")
    copy = backup.save(place.database, tmp_path / "copy.dump", tools).file

    with pytest.raises(BadFile, match="新版本（9999）"):
        put_back(copy, url)

    assert is_free(url)


def test_files_and_servers_do_not_take_each_others_backups(
    place: County, copy: Path, url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").mkdir()
    file = county.fresh(tmp_path / "file", shared=False).file

    with pytest.raises(UsageFault, match="不是 PostgreSQL 的备份"):
        put_back(file, url)
    with pytest.raises(UsageFault, match="只能恢复到服务器"):
        put_back(copy, str(tmp_path / "new.db"))
    with pytest.raises(UsageFault, match="--old 只用于恢复到服务器"):
        put_back(file, str(tmp_path / "new.db"), old=place.url)


@pytest.mark.crash
def test_a_restoring_that_was_killed_is_the_whole_backup_or_nothing_that_opens(
    place: County, copy: Path
) -> None:
    """A real process dies by SIGKILL before its n-th statement; whoever comes next finishes it."""
    whole, free, outcomes = county.every_row(place), server.new(), []
    for number in itertools.count(1, STEP):
        url = server.new(free)
        lived = in_a_child(partial(put_back, copy, url), number)
        try:
            assert rows_in(url) == whole
            outcomes.append(True)
        except BadFile:
            outcomes.append(False)
            assert put_back(copy, url).events == len(whole["journal"])
        server.drop(url)
        if lived:
            break

    server.drop(free)
    assert outcomes[-1]
    assert outcomes.count(False) > 2


# Doctor -------------------------------------------------------------------------------------------


@pytest.fixture
def durable() -> Iterator[None]:
    """What the tests' server has off for speed, on."""
    names = ("fsync", "full_page_writes", "synchronous_commit")
    with psycopg.connect(server.address(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"ALTER SYSTEM SET {name} = on".encode())
        connection.execute("SELECT pg_reload_conf()")
        yield
        for name in names:
            connection.execute(f"ALTER SYSTEM SET {name} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def examined(
    place: County, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Check]:
    file = folder / "xianli.toml"
    file.write_text(f'[postgresql]\nbin = "{server.tools().binaries}"\n', encoding="utf-8")
    given = settings.load(file, folder, os.environ)
    return {
        check.name: check
        for check in doctor.examine(place.database, given, county.noon(LATER), clock)
    }


def health_of(place: County, folder: Path, name: str) -> tuple[Health, str]:
    found = examined(place, folder)[name]
    assert found.remedy or found.health is Health.GOOD
    return found.health, found.message


def test_a_sound_server_has_no_faults_and_nothing_is_changed(
    place: County, tmp_path: Path, durable: None
) -> None:
    before = county.every_row(place)

    found = examined(place, tmp_path)

    assert {name: c.message for name, c in found.items() if c.health is Health.FAULT} == {}
    warned = {name for name, check in found.items() if check.health is Health.WARNING}
    assert warned == {"witness", "backups"}
    assert all(check.remedy for check in found.values() if check.health is not Health.GOOD)
    assert county.every_row(place) == before


def test_a_server_that_forgets_at_a_power_cut_is_a_fault(place: County, tmp_path: Path) -> None:
    place.close()
    name = place.url.partition("?")[0].rpartition("/")[2]
    place.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")

    health, told = health_of(place, tmp_path, "settings")

    assert health is Health.FAULT
    assert "synchronous_commit" in told


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP POLICY journal_select ON journal", "journal 缺策略 journal_select"),
        ("CREATE POLICY all_of_it ON personal USING (true)", "personal 多出策略 all_of_it"),
        ("ALTER TABLE gate DISABLE ROW LEVEL SECURITY", "gate 没有启用行级安全"),
        ("ALTER TABLE gate OWNER TO postgres", "gate 不归 xianli_owner"),
        ("ALTER POLICY gate_select ON gate TO PUBLIC", "gate 的策略 gate_select 被改过"),
        ("GRANT SELECT ON personal TO PUBLIC", "personal 对所有账号开放"),
        ("GRANT SELECT (name) ON personal TO PUBLIC", "personal 对所有账号开放"),
    ],
)
def test_rows_that_are_open_to_others_are_a_fault(
    place: County, tmp_path: Path, statement: str, told: str
) -> None:
    place.sql(statement)

    health, message = health_of(place, tmp_path, "access")

    assert health is Health.FAULT
    assert told in message


@pytest.mark.parametrize("login", ["nightly", "wang", "shen"])
def test_what_an_account_may_not_see_is_no_damage(
    place: County, tmp_path: Path, durable: None, login: str
) -> None:
    access.set_up(db.server_of(place.url), "nightly", server.password("nightly"))
    server.let_in(login)
    theirs = db.connect(server.as_login(place.url, login))

    found = examined(County(place.file, theirs), tmp_path)

    theirs.close()
    assert {name: c.message for name, c in found.items() if c.health is Health.FAULT} == {}
    unseen = [check for check in found.values() if check.message.startswith("没有查：")]
    assert [check.name for check in unseen] == (["integrity"] if login == "nightly" else [])
    assert all(check.remedy == "用管理员账号运行 db doctor" for check in unseen)


def test_a_server_that_goes_away_midway_is_no_damage_to_restore_from(
    place: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = doctor_server._integrity

    def ended(connection: Connection) -> Check:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        place.sql("SELECT pg_terminate_backend(?, 10000)", driver.info.backend_pid)
        return look(connection)

    monkeypatch.setattr(doctor_server, "_integrity", ended)

    found = examined(place, tmp_path)

    told = found["integrity"]
    assert told.health is Health.FAULT
    assert told.message.startswith("数据库服务器中途断开：")
    assert "restore" not in str(told.remedy)
    assert found["schema"].health is Health.GOOD


def test_a_guard_that_is_gone_is_a_fault(place: County, tmp_path: Path) -> None:
    place.sql("DROP TRIGGER journal_no_delete ON journal")

    health, message = health_of(place, tmp_path, "schema")

    assert health is Health.FAULT
    assert "journal_no_delete" in message


def test_a_page_that_cannot_be_read_is_a_fault(place: County, tmp_path: Path) -> None:
    """The file of a table is damaged before the server has looked at it."""
    place.close()
    name = f"x{os.getpid()}_damaged"
    source = place.url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server.address(), autocommit=True) as connection:
        made = f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY"
        connection.execute(made.encode())
        where = connection.execute(
            "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database "
            "WHERE datname = %s",
            [name],
        ).fetchone()
    [(node,)] = place.sql("SELECT pg_relation_filenode('household_key')")
    assert where is not None
    file = Path(where[0]) / str(node)
    file.write_bytes(b"\x05" * file.stat().st_size)
    damaged = county.open_at(place.url.replace(source, name))

    health, message = health_of(damaged, tmp_path, "integrity")

    damaged.database.close()
    server.drop(damaged.url)
    assert health is Health.FAULT
    assert "invalid page" in message


@pytest.mark.parametrize(
    ("apart", "health"),
    [(0, Health.GOOD), (-20, Health.WARNING), (20, Health.WARNING), (-300, Health.FAULT)],
)
def test_clocks_that_differ_are_told(
    place: County, tmp_path: Path, apart: int, health: Health
) -> None:
    found = examined(place, tmp_path, lambda: datetime.now(UTC) + timedelta(seconds=apart))

    assert found["server_clock"].health is health


def test_a_transaction_that_nobody_ends_is_told(
    place: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_server, "_LONG", timedelta(0))
    with place.database.reading():
        health, message = health_of(place, tmp_path, "transactions")

    assert health is Health.WARNING
    assert "1 个事务" in message


def test_the_newest_dump_is_read_to_its_end(place: County, tmp_path: Path, tools: Server) -> None:
    copy = backup.backup(place.database, tmp_path / "backups", datetime.now(UTC), 3, tools)

    assert health_of(place, tmp_path, "backups")[0] is Health.GOOD
    copy.write_bytes(copy.read_bytes()[:-400])
    health, message = health_of(place, tmp_path, "backups")
    assert health is Health.FAULT
    assert "写后被改过" in message


def test_without_the_programs_it_is_told_that_no_backup_can_be_taken(
    place: County, tmp_path: Path
) -> None:
    given = settings.load(None, tmp_path, {BINARIES: str(tmp_path)})
    found = doctor.examine(place.database, given, county.noon(LATER), lambda: datetime.now(UTC))
    [check] = (one for one in found if one.name == "programs")

    assert check.health is Health.WARNING
    assert "postgresql-client-" in (check.remedy or "")


def run(url: str, *arguments: object) -> int:
    return cli.run(["--json", "--db", url, *map(str, arguments)])


def test_the_command_says_rows_and_the_last_hash(
    place: County,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(BINARIES, str(server.tools().binaries))

    assert run(place.url, "db", "backup", tmp_path / "copy.dump") == 0

    told: Mapping[str, object] = json.loads(capsys.readouterr().out)
    assert (told["seq"], told["head"]) == end(place)
    assert told["rows"] == number_of_rows(place)
    assert run(place.url, "db", "backup", tmp_path / "copy.dump") == 2
    officers = server.as_login(place.url, "wang")
    assert run(officers, "db", "backup", tmp_path / "other.dump") == 5
