"""Putting a backup in the database's place: only one that verifies, and nothing lost unsaid.

What stands there now is copied aside first. The backup is held against the witness's receipts,
those on file and those handed in: a copy older than what was witnessed, or another history, is not
put back in silence.
"""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from states.errors import UsageFault
from workflow import backup, cases, db, dump, restore_dump, upgrade, weigh
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.note import Receipt
from workflow.operation import Server
from workflow.weigh import Journal, Restored

# A step of SQLite's copy that finds the database in use waits so long, and so often.
_PAUSE_SECONDS = 0.25
_PAUSES = int(db.BUSY_SECONDS / _PAUSE_SECONDS)


def restore(
    file: Path,
    url: str,
    receipts: Sequence[Receipt],
    *,
    accept_loss: bool,
    now: datetime,
    old: str | None = None,
    server: Server | None = None,
) -> Restored:
    """Puts the backup in a file in the place of the database at this URL.

    On a server it goes where its plan has no database yet; `old` is then the address of the one it
    is to stand in for, and `server` says how a server is used. Raises BadFile when the file is no
    sound backup of ours, JournalBroken when its journal does not verify or a receipt says
    otherwise, Conflict when events would be lost and `accept_loss` was not given, or when somebody
    is at work. Then everything is as it was.
    """
    if not file.is_file():
        raise UsageFault(f"没有备份文件 {file}", place=str(file), remedy="核对文件名")
    dumped = dump.is_dump(file)
    if db.is_server(url):
        if not dumped:
            raise UsageFault(
                "这不是 PostgreSQL 的备份",
                place=str(file),
                remedy="文件库的备份先恢复成文件，再 xianli db copy 搬到服务器",
            )
        there = None if old is None else _journal_at(old)
        return restore_dump.restore(
            file, url, receipts, there, accept_loss=accept_loss, server=server or Server()
        )
    if dumped or old is not None:
        raise UsageFault(
            "PostgreSQL 的备份只能恢复到服务器" if dumped else "--old 只用于恢复到服务器",
            place=str(file) if dumped else "--old",
            remedy="--db postgresql://…/新库，恢复后可用 xianli db copy 搬到文件",
        )
    target = db.file_of(url)
    if target.exists() and file.samefile(target):
        raise UsageFault("备份就是数据库本身", place=str(file), remedy="给出备份的文件名")
    # Beside the target: only there it can take its place at one stroke.
    part = target.with_name(f"{target.name}.restoring")
    try:
        backup.copy_to(file, part)
        copy = db.connect(str(part), older=True)
        upgraded = upgrade.version(copy) < db.HEAD
        if upgraded:
            upgrade.bring_up(copy)
        with copy.reading() as connection:
            found = weigh.sound(connection)
            there = _there(target)
            known = (*receipts, *found.receipts, *(there.receipts if there else ()))
            beyond = weigh.held_against(connection, found, known, file)
            counted = connection.execute(select(func.count()).select_from(cases.CASE)).scalar_one()
        copy.close()
        lost = weigh.lost_by(found, there, beyond, file, accept_loss=accept_loss)
        replaced = _put(part, target, there, now)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{part}{suffix}").unlink(missing_ok=True)
    return Restored(
        events=len(found.hashes),
        cases=counted,
        last=found.last,
        lost=lost,
        replaced=replaced,
        witnessed=max((one.checkpoint.size for one in known), default=0),
        upgraded=upgraded,
    )


def _there(target: Path) -> Journal | None:
    """The journal that stands in the target now; None where there is none or it is unreadable."""
    return _journal_at(str(target)) if target.exists() else None


def _journal_at(url: str) -> Journal | None:
    try:
        database = db.connect(url, older=True)
        with database.reading() as connection:
            found = weigh.read(connection)
        database.close()
        return found
    except (BadFile, JournalBroken, DatabaseError, LookupError, ValueError):
        # It is damaged: that is why somebody restores. It is kept beside as it is.
        return None


def _put(part: Path, target: Path, there: Journal | None, now: datetime) -> Path | None:
    """Puts the sound copy in the target's place; answers where what was there lies now."""
    if not target.exists():
        part.replace(target)
        return None
    if there is None:
        return _exchange_damaged(part, target, now)
    replaced = backup.copy_beside(target, target.parent, "replaced", now)
    _overwrite(part, target, there)
    return replaced


def _overwrite(part: Path, target: Path, there: Journal) -> None:
    """One transaction of SQLite's own: whoever reads meanwhile sees the old or the new.

    Raises Conflict when somebody writes for longer than `db.BUSY_SECONDS`, or wrote since `there`
    was read: what nobody weighed is not lost.
    """
    waited, ours = 0, False

    def watch(status: int, remaining: int, total: int) -> None:
        nonlocal waited, ours
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            waited += 1
            if waited > _PAUSES:
                raise _in_use(f"另有人正在使用，等了 {db.BUSY_SECONDS} 秒仍未轮到")
        elif not ours:
            # The first step has taken the write lock: what stands there now is the last of it.
            ours = True
            if _there(target) != there:
                raise _in_use("其间又有人写入了新的内容")

    try:
        with closing(sqlite3.connect(part)) as source, closing(sqlite3.connect(target)) as its:
            # Few pages a step: the smallest database takes more than one.
            source.backup(its, pages=4, progress=watch, sleep=_PAUSE_SECONDS)
    except sqlite3.Error as error:
        raise BadFile(
            f"恢复没有做成：{error}；数据库仍是原来的",
            place=str(target),
            remedy="检查目录权限和磁盘空间，再恢复一次",
            code="restore",
        ) from error


def _in_use(why: str) -> Conflict:
    return Conflict(
        f"数据库忙：{why}；没有改动",
        remedy="停下 xianli scheduler 和其他正在写入的人，再恢复一次",
    )


def _exchange_damaged(part: Path, target: Path, now: datetime) -> Path:
    """Sets the damaged file aside as it is, with what belongs to it, and takes its place."""
    aside = target.with_name(f"{target.stem}-damaged-{now:%Y%m%dT%H%M%SZ}.db")
    belongings = [one for one in ("-wal", "-shm") if Path(f"{target}{one}").exists()]
    try:
        for suffix in ("", *belongings):
            shutil.copy2(f"{target}{suffix}", f"{aside}{suffix}")
        # They belong to the old file: SQLite would play them into the new one.
        for suffix in belongings:
            Path(f"{target}{suffix}").unlink()
        part.replace(target)
    except OSError as error:
        raise BadFile(
            f"恢复没有做成：{error}；损坏的数据库另存在 {aside}",
            place=str(target),
            remedy="检查目录权限和磁盘空间，再恢复一次",
            code="restore",
        ) from error
    return aside
