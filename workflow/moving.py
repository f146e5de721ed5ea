"""Moving house: a database copied whole into a new one, on SQLite or PostgreSQL, and compared."""

import hashlib
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Table, insert, select

from workflow import (
    access,
    access_check,
    audit,
    db,
    journal,
    migrations,
    register,
    triggers,
    upgrade,
)
from workflow.audit import Progress
from workflow.db import Database
from workflow.errors import JournalBroken
from workflow.models import metadata

_ROWS = 2000


class Moved(Struct, frozen=True):
    """What was copied: rows by table, and the hash of the last event on both sides.

    `logins` were made on the server for officers, and have no password yet.
    """

    rows: dict[str, int]
    events: int
    head: str | None
    logins: tuple[str, ...] = ()


def copy(source: Database, target_url: str, progress: Progress) -> Moved:
    """Copies everything into a new database at the target, in one transaction of its.

    Whenever it is interrupted there is no target, and the copying can begin again. At the end each
    table is compared row by row, and the target's journal is verified. Raises UsageFault where the
    target is there already, JournalBroken where the copy is not the same; then nothing is left.
    """
    with source.reading() as reading:
        plan = source.plan or register.plan_in_force(reading).name
    with (
        db.making(target_url, plan) as target,
        source.reading() as reading,
        target.transaction() as writing,
    ):
        migrations.make(writing)
        # They judge one step at a time; here is the end of many. They are made again below.
        triggers.drop(writing)
        tables = list(metadata.sorted_tables)
        for done, table in enumerate(tables):
            progress(done, len(tables))
            for rows in _rows(reading, table):
                writing.execute(insert(table), rows)
        if target.shared:
            access.install(writing)
        else:
            triggers.create(writing)
        made = []
        if target.shared:
            for officer in register.officers(writing):
                if officer.active and access.enrol(writing, officer.login, None):
                    made.append(officer.login)
        return replace(_compared(reading, writing, tables), logins=tuple(sorted(made)))


def _compared(reading: Connection, writing: Connection, tables: Sequence[Table]) -> Moved:
    counted = {}
    for table in tables:
        ours, its = _digest(reading, table), _digest(writing, table)
        if ours != its:
            raise _differs(f"表 {table.name} 不同：{ours[0]} 行对 {its[0]} 行")
        counted[table.name] = ours[0]
    for fault in (*upgrade.schema_faults(writing), *access_check.faults(writing)):
        raise _differs(fault)
    found, before = audit.verification(writing), audit.verification(reading)
    if found != before:
        raise _differs(f"核验结果不同：{len(before.findings)} 处对 {len(found.findings)} 处")
    seq, _ = journal.last_entry(writing)
    head = writing.execute(
        select(metadata.tables["journal"].c.hash).where(metadata.tables["journal"].c.seq == seq)
    ).scalar()
    return Moved(counted, seq, head)


def _rows(connection: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    query = select(table).order_by(*table.primary_key.columns)
    for rows in connection.execute(query).mappings().partitions(_ROWS):
        yield [dict(row) for row in rows]


def _digest(connection: Connection, table: Table) -> tuple[int, str]:
    """How many rows, and one hash over all of them, in whatever order they come."""
    number, total = 0, 0
    for rows in _rows(connection, table):
        for row in rows:
            number += 1
            # A sum does not depend on how a database sorts its texts.
            hashed = hashlib.sha256(repr(sorted(row.items())).encode()).digest()
            total = (total + int.from_bytes(hashed)) % 2**256
    return number, f"{total:064x}"


def _differs(what: str) -> JournalBroken:
    return JournalBroken(
        f"搬迁没有做成：{what}；新库里什么也没有留下",
        place="db copy",
        remedy="原数据库没有改动；运行 xianli audit verify 查看它，再搬一次",
        code="copy_differs",
    )
