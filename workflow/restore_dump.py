"""Restoring a server's dump: into a place that is free, valid only once all of it is proved.

What pg_restore writes has no version yet, so no command opens it. The version is set in the
transaction that verifies, holds it against receipts and gives it guards and rights; whoever is
killed before leaves what only another restoring looks at, and clears away.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from states.errors import UsageFault
from workflow import access, access_check, cases, db, dump, register, upgrade, weigh
from workflow.db import Database
from workflow.dump import Contents
from workflow.errors import Conflict, JournalBroken
from workflow.note import Receipt
from workflow.operation import Server
from workflow.weigh import Journal, Restored

# Beside `postgresql.WRITERS`, for the whole of a restoring.
_RESTORING = 0x52455354
# Tables, their rows, keys and indexes; what guards them and who may use them is made anew.
_WANTED = ("SCHEMA", "TABLE", "TABLE DATA", "CONSTRAINT", "FK CONSTRAINT", "INDEX")


def restore(
    file: Path,
    url: str,
    receipts: Sequence[Receipt],
    there: Journal | None,
    *,
    accept_loss: bool,
    server: Server,
) -> Restored:
    """Puts the dump in a file where its plan has no database yet, and proves it.

    `there` is the journal that it is to stand in for, if that can be read. Raises what
    `restore.restore` does, and UsageFault where the plan has a database already; then what there
    was is as it was.
    """
    with _contents(file, url, server) as found:
        if found.version > db.HEAD:
            raise db.newer(found.version, str(file))
        place = db.place_of(url, found.schema, server.limits)
    try:
        with _alone(place):
            _clear(place)
            try:
                with place.reading() as connection:
                    _fill(connection, file, found, server)
                return _prove(place, file, found, receipts, there, accept_loss=accept_loss)
            except BaseException:
                _clear(place)
                raise
    finally:
        place.close()


@contextmanager
def _contents(file: Path, url: str, server: Server) -> Iterator[Contents]:
    database = db.server_of(url)
    try:
        with database.reading() as connection:
            yield dump.contents(connection, file, server)
    finally:
        database.close()


@contextmanager
def _alone(place: Database) -> Iterator[None]:
    """Nobody else restores this plan meanwhile. Raises Conflict."""
    with place.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        free = text("SELECT pg_try_advisory_xact_lock(:key, hashtext(:plan))")
        if not connection.execute(free, {"key": _RESTORING, "plan": place.plan}).scalar_one():
            raise Conflict("另有人正在恢复这个计划", remedy="等他做完；没有改动")
        yield


def _clear(place: Database) -> None:
    """Takes away what a restoring that was broken off left. Raises UsageFault for a database."""
    with place.transaction() as connection:
        access.as_owner(connection)
        may = "SELECT has_database_privilege(current_database(), 'CREATE')"
        if not connection.exec_driver_sql(may).scalar_one():
            raise UsageFault(
                "这个库还没有准备好",
                place="--db",
                remedy="先由服务器管理员运行：xianli --db 地址 db setup",
                code="not_set_up",
            )
        known = text("SELECT to_regnamespace(quote_ident(:plan)) IS NOT NULL")
        if not connection.execute(known, {"plan": place.plan}).scalar_one():
            return
        versions = text("SELECT to_regclass(quote_ident(:plan) || '.alembic_version') IS NOT NULL")
        made = connection.execute(versions, {"plan": place.plan}).scalar_one()
        if not made or connection.exec_driver_sql("SELECT 1 FROM alembic_version").first():
            raise UsageFault(
                f"这里已有计划 {place.plan} 的数据库（或同名的 schema）",
                place="--db",
                remedy="恢复到新库；同一个库里还有别的计划的，先恢复到新库核对，"
                f'再请管理员 DROP SCHEMA "{place.plan}" CASCADE，恢复到这里；见 docs/server.md',
            )
        connection.exec_driver_sql(f'DROP SCHEMA "{place.plan}" CASCADE')


def _fill(connection: Connection, file: Path, found: Contents, server: Server) -> None:
    """Rows and indexes by pg_restore, in one transaction, without the version."""
    wanted = [
        line
        for line in dump.listed(connection, file, server)
        if dump.kind_of(line) in _WANTED
        and not (dump.kind_of(line) == "TABLE DATA" and f" {dump.VERSIONS} " in line)
    ]
    with tempfile.TemporaryDirectory() as folder:
        choice = Path(folder) / "list"
        choice.write_text("\n".join(wanted), encoding="utf-8")
        dump.play(connection, file, choice, server)


def _prove(
    place: Database,
    file: Path,
    found: Contents,
    receipts: Sequence[Receipt],
    there: Journal | None,
    *,
    accept_loss: bool,
) -> Restored:
    upgraded = found.version < db.HEAD
    with place.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        access.as_owner(connection)
        version = text(f"INSERT INTO {dump.VERSIONS} VALUES (:version)")
        connection.execute(version, {"version": found.version})
        if upgraded:
            upgrade.bring_up_within(connection)
        else:
            access.install(connection)
        for officer in register.officers(connection):
            if officer.active:
                access.enrol(connection, officer.login, None)
        for fault in (*upgrade.schema_faults(connection), *access_check.faults(connection)):
            raise JournalBroken(
                f"恢复没有做成：{fault}", place=str(file), remedy="换一份备份；报审计人员"
            )
        sound = weigh.sound(connection)
        known = (*receipts, *sound.receipts, *(there.receipts if there else ()))
        beyond = weigh.held_against(connection, sound, known, file)
        lost = weigh.lost_by(sound, there, beyond, file, accept_loss=accept_loss)
        counted = connection.execute(select(func.count()).select_from(cases.CASE)).scalar_one()
    return Restored(
        events=len(sound.hashes),
        cases=counted,
        last=sound.last,
        lost=lost,
        replaced=None,
        witnessed=max((one.checkpoint.size for one in known), default=0),
        upgraded=upgraded,
    )
