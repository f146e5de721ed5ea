"""Bringing an older database to this program's version: a backup first, then all or nothing."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec import Struct
from sqlalchemy import Connection, Index, UniqueConstraint, text
from sqlalchemy.schema import SchemaItem

from workflow import access, access_check, backup, db, due, migrations, register, triggers
from workflow.db import Database
from workflow.errors import JournalBroken
from workflow.fingerprint import PARTITIONED_BY
from workflow.models import metadata
from workflow.operation import Server


class Upgraded(Struct, frozen=True):
    """A database's version before and after; no `copy` where it was up to date already.

    `clocks` counts the cases whose running deadlines had to be worked out anew.
    """

    before: str
    after: str
    copy: Path | None
    clocks: int


def upgrade(url: str, folder: Path, now: datetime, server: Server | None = None) -> Upgraded:
    """Brings the database at this URL to `db.HEAD`, in one transaction, after a copy to `folder`.

    Killed at any moment it is the old one or the new one, and the journal's bytes stay as they are.
    On a server whose guards or policies are not this program's they are made anew, though the
    tables are of this version. `server` says how a server is used. Raises BadFile when the copy
    cannot be written, JournalBroken when what came out is not what it should be; then nothing was
    changed.
    """
    held = server or Server()
    database = db.connect(url, older=True, limits=held.limits)
    before = version(database)
    if before == db.HEAD and not (database.shared and _has_faults(database)):
        return Upgraded(before, before, None, 0)
    copy = backup.save_beside(database, folder, f"{before}-before-upgrade", now, held)
    return Upgraded(before, db.HEAD, copy, bring_up(database))


def _has_faults(database: Database) -> bool:
    with database.reading() as connection:
        return bool(schema_faults(connection) or access_check.faults(connection))


def bring_up(database: Database) -> int:
    """Brings an older database to `db.HEAD` without a copy; answers as `Upgraded.clocks`.

    Raises JournalBroken; then nothing was changed.
    """
    with database.transaction() as connection:
        return bring_up_within(connection)


def bring_up_within(connection: Connection) -> int:
    """The same in a transaction that the caller ends."""
    if connection.dialect.name == "postgresql":
        # It takes as long as there are rows; waiting for others is still limited.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        # The owner sees every row.
        access.as_owner(connection)
    journal = _journal(connection)
    migrations.upgrade(connection)
    clocks = due.rebuild(connection, register.plan_in_force(connection))
    if _journal(connection) != journal:
        raise _not_right("日志的内容变了")
    for fault in (*schema_faults(connection), *access_check.faults(connection)):
        raise _not_right(fault)
    return clocks


def version(database: Database) -> str:
    """The version of a database's tables."""
    with database.reading() as connection:
        return version_of(connection)


def version_of(connection: Connection) -> str:
    """The version of the tables."""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def schema_faults(connection: Connection) -> Sequence[str]:
    """Where tables, columns, indexes or protecting triggers are not this program's."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _ours}
    )
    faults = [f"表结构与程序不符：{one}" for one in compare_metadata(context, metadata)]
    there, wanted = triggers.there(connection), triggers.wanted(connection)
    for name in sorted({*there, *wanted}):
        if there.get(name) != wanted.get(name):
            faults.append(f"保护触发器 {name} 不在、多出或被改过")
    return faults


def _ours(
    one: SchemaItem, name: str | None, kind: str, reflected: bool, wanted: SchemaItem | None
) -> bool:
    """Whether alembic is to look at it: all but what partitions by plan need."""
    if name == PARTITIONED_BY:
        return False
    keyed = isinstance(one, UniqueConstraint | Index) and PARTITIONED_BY in one.columns
    return not (reflected and keyed)


def _journal(connection: Connection) -> str:
    """One hash over every event's columns that all versions have, in order."""
    columns = "seq, stream, version, previous, kind, occurred_on, recorded_at, actor, role, hash"
    found = hashlib.sha256()
    for row in connection.execute(text(f"SELECT {columns}, body FROM journal ORDER BY seq")):
        found.update(repr(tuple(row)).encode())
    return found.hexdigest()


def _not_right(what: str) -> JournalBroken:
    return JournalBroken(
        f"升级没有做成：{what}；数据库仍是原来的版本",
        place="db upgrade",
        remedy="用原来的程序版本继续；把备份和这条信息交给维护人员",
        code="upgrade",
    )
