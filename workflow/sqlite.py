"""SQLite, the embedded default: one file, settings that are read back at every connect."""

import glob
import os
import sqlite3
import uuid
from contextlib import closing
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
        # No error is to tell a household's data.
        hide_parameters=True,
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
    require_free(target)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BadFile(
            f"数据库建不了：{error.strerror}", place=str(target), remedy="检查目录权限和磁盘空间"
        ) from error


def require_free(target: Path) -> None:
    """Raises UsageFault when the file is there or has no folder."""
    if target.exists():
        raise UsageFault(f"{target} 已存在", place=str(target), remedy="换一个文件名，或先移走它")
    if not target.parent.is_dir():
        raise UsageFault(f"没有目录 {target.parent}", place=str(target), remedy="先建好目录")


def draft_of(target: Path) -> Path:
    """The name under which a database is made that is to stand at `target`.

    What makings that were killed left under such names is taken away.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        if _is_left_over(left):
            remove(left)
    return target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")


def _is_left_over(draft: Path) -> bool:
    """Whether nobody is at work on it: who is holds its lock from the beginning to the end."""
    try:
        with closing(sqlite3.connect(draft, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True


def put_in_place(draft: Path, target: Path) -> None:
    """Gives a closed database its name. Raises UsageFault when it is taken, BadFile."""
    if Path(f"{draft}-wal").exists():
        raise BadFile("数据库没有写全", place=str(target), remedy="检查磁盘空间后再试")
    try:
        os.link(draft, target)
    except FileExistsError:
        require_free(target)
    except OSError:
        # A file system without second names, as on a stick.
        require_free(target)
        _rename(draft, target)
    else:
        draft.unlink(missing_ok=True)


def _rename(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError as error:
        raise BadFile(
            f"数据库放不到 {target}：{error.strerror}", place=str(target), remedy="检查目录权限"
        ) from error


def remove(file: Path) -> None:
    """Takes a database away, with the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


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
