"""SQLite, the embedded default: one file, settings that are read back at every connect."""

import os
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from states.errors import UsageFault
from workflow.errors import BadFile

# What a connection must answer to each PRAGMA after it was set (design, section 7).
PRAGMAS = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "recursive_triggers": ("ON", 1),
    "trusted_schema": ("OFF", 0),
}


def engine_of(target: Path, busy_seconds: int) -> Engine:
    """The engine on a file, not yet configured: nothing is changed in a file that is not ours."""
    return create_engine(
        f"sqlite:///{target}",
        connect_args={"timeout": busy_seconds, "isolation_level": None},
    )


def configure(engine: Engine) -> None:
    """From now on each connection takes the settings, and writers `BEGIN IMMEDIATE`.

    So the second of two writers waits for the first and then sees what it did.
    """
    event.listen(engine, "connect", _settings)
    event.listen(engine, "begin", _begin)


def make(target: Path) -> None:
    """An empty file that nobody else can read: personal data will stand in it in the clear.

    Raises UsageFault when it is there or has no folder, BadFile when it cannot be made.
    """
    if target.exists():
        raise UsageFault(f"{target} 已存在", place=str(target), remedy="换一个文件名，或先移走它")
    if not target.parent.is_dir():
        raise UsageFault(f"没有目录 {target.parent}", place=str(target), remedy="先建好目录")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BadFile(
            f"数据库建不了：{error.strerror}", place=str(target), remedy="检查目录权限和磁盘空间"
        ) from error


def _settings(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, (wanted, answer) in PRAGMAS.items():
        cursor.execute(f"PRAGMA {name} = {wanted}")
        cursor.execute(f"PRAGMA {name}")
        found = cursor.fetchone()
        if found is None or found[0] != answer:
            raise BadFile(f"数据库不接受设置 {name} = {wanted}（现为 {found}）")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("xianli_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
