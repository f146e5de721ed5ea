"""Putting a backup in the database's place: only one that verifies, and nothing lost unsaid.

What stands there now is copied aside first. The backup is held against the witness's receipts,
those on file and those handed in: a copy older than what was witnessed, or another history, is not
put back in silence.
"""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError

from states.errors import UsageFault
from workflow import audit, backup, cases, checkpoint, db, journal, note, upgrade
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.models import JournalRow
from workflow.note import Receipt

_JOURNAL = JournalRow.metadata.tables["journal"]
# The first version that keeps receipts.
_RECEIPTS_SINCE = "0003"
# A step of SQLite's copy that finds the database in use waits so long, and so often.
_PAUSE_SECONDS = 0.25
_PAUSES = int(db.BUSY_SECONDS / _PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Journal:
    """How far a database's journal goes: its name for the witness, its hashes, its receipts."""

    origin: str
    hashes: tuple[str, ...]
    last: datetime | None
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back, and what is no longer there.

    `lost` counts the events that stood in the database and not in the backup, None where the
    database could not be read; `replaced` is where the one that was there lies now; `witnessed` is
    the most that any receipt covers.
    """

    events: int
    cases: int
    last: datetime | None
    lost: int | None
    replaced: Path | None
    witnessed: int
    upgraded: bool


def restore(
    file: Path, url: str, receipts: Sequence[Receipt], *, accept_loss: bool, now: datetime
) -> Restored:
    """Puts the backup in a file in the place of the database at this URL.

    Raises BadFile when the file is no sound backup of ours, JournalBroken when its journal does not
    verify or a receipt says otherwise, Conflict when events would be lost and `accept_loss` was not
    given, or when somebody is at work. Then everything is as it was.
    """
    target = db.file_of(url)
    if not file.is_file():
        raise UsageFault(f"没有备份文件 {file}", place=str(file), remedy="核对文件名")
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
            found = _sound(connection)
            there = _there(target)
            known = (*receipts, *found.receipts, *(there.receipts if there else ()))
            beyond = _held_against(connection, found, known, file)
            counted = connection.execute(select(func.count()).select_from(cases.CASE)).scalar_one()
        copy.close()
        lost = _lost(found, there, beyond, file, accept_loss=accept_loss)
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


def _read(connection: Connection) -> Journal:
    """The journal of a database of any version."""
    hashes = connection.execute(select(_JOURNAL.c.hash).order_by(_JOURNAL.c.seq)).scalars()
    _, last = journal.last_entry(connection)
    kept: list[Receipt] = []
    if upgrade.version_of(connection) >= _RECEIPTS_SINCE:
        texts = checkpoint.receipts(connection)
        kept = [note.read_receipt(one, "witness_receipt") for one in texts]
    return Journal(checkpoint.origin(connection), tuple(hashes), last, tuple(kept))


def _sound(connection: Connection) -> Journal:
    """The backup's journal. Raises JournalBroken where it does not verify."""
    found = audit.verification(connection)
    faults = [one for one in found.findings if one.case not in found.quarantined]
    if faults:
        raise JournalBroken(
            f"这份备份核验不通过（{len(faults)} 处），首先是 {faults[0].code}：{faults[0].message}",
            place=faults[0].stream or "journal",
            remedy="换一份更早的、能核验通过的备份；数据库没有改动",
        )
    return _read(connection)


def _there(target: Path) -> Journal | None:
    """The journal that stands in the target now; None where there is none or it is unreadable."""
    if not target.exists():
        return None
    try:
        with db.connect(str(target), older=True).reading() as connection:
            return _read(connection)
    except (BadFile, JournalBroken, DatabaseError, LookupError, ValueError):
        # It is damaged: that is why somebody restores. It is kept beside as it is.
        return None


def _held_against(
    connection: Connection, found: Journal, known: Sequence[Receipt], file: Path
) -> int:
    """How many witnessed events the backup does not have.

    Raises JournalBroken for a receipt that says otherwise of those it has, BadFile for one of
    another journal.
    """
    tree = checkpoint.tree(connection)
    most = 0
    for one in known:
        size = one.checkpoint.size
        if one.checkpoint.origin != found.origin:
            raise BadFile(
                f"见证回执是另一个数据库的：{one.checkpoint.origin}",
                place=str(file),
                remedy=f"这份备份是 {found.origin}；核对文件",
            )
        if size <= len(tree) and tree.root(size) != one.checkpoint.root:
            raise JournalBroken(
                f"这份备份与见证回执（{size} 条）不符：不是见证人所见的那份日志",
                place=str(file),
                remedy="换一份备份；报审计人员和见证人；数据库没有改动",
            )
        most = max(most, size)
    return max(0, most - len(tree))


def _lost(
    found: Journal, there: Journal | None, beyond: int, file: Path, *, accept_loss: bool
) -> int | None:
    """How many events of the database the backup lacks; None where it cannot be read.

    Raises UsageFault for the backup of another database, Conflict unless the loss is accepted.
    """
    lost = 0
    if there is not None:
        if there.origin != found.origin:
            raise UsageFault(
                f"这是另一个数据库（{found.origin}）的备份",
                place=str(file),
                remedy=f"现有数据库是 {there.origin}；换一份备份，或用 --db 指向别处",
            )
        pairs = zip(found.hashes, there.hashes, strict=False)
        common = next((n for n, (ours, its) in enumerate(pairs) if ours != its), None)
        if common is None:
            common = min(len(found.hashes), len(there.hashes))
        lost = len(there.hashes) - common
    if (lost or beyond) and not accept_loss:
        told = f"备份到第 {len(found.hashes)} 条"
        if lost:
            told += f"，现有数据库中有 {lost} 条不在备份里，恢复后就没有了"
        if beyond:
            told += f"；其后 {beyond} 条已有见证人见过，恢复后见证人将拒绝续签"
        raise Conflict(
            f"{told}；没有改动",
            place=str(file),
            remedy="换一份较新的备份；确实要恢复的，加 --accept-loss，并报审计人员和见证人",
            code="would_lose",
        )
    return lost if there is not None else None


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
