"""Is the database in good health, and what stands around it? Looked at, never changed."""

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from states.errors import CaseError
from states.workdays import local_date, local_minute
from workflow import (
    backup,
    checkpoint,
    doctor_server,
    dump,
    journal,
    quarantine,
    register,
    scheduler,
    sqlite,
    upgrade,
)
from workflow.db import Database
from workflow.errors import JournalBroken, NotPermitted, ServerGone
from workflow.health import Check, Health, good, mib
from workflow.settings import Settings

# A write needs room for itself and for the WAL; a backup for a whole second file.
ROOM = 2
LEAST_FREE = 100 * 1024 * 1024
LARGE_WAL = 64 * 1024 * 1024
BACKUP_AGE = timedelta(days=2)
NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs")


def examine(
    database: Database, settings: Settings, now: datetime, clock: Callable[[], datetime]
) -> tuple[Check, ...]:
    """Every check, in the order in which a person would go about it.

    `now` is the instant on which the database stands, `clock` is this computer's.
    """
    return tuple(_checks(database, settings, now, clock))


def _checks(
    database: Database, settings: Settings, now: datetime, clock: Callable[[], datetime]
) -> Iterator[Check]:
    common: Mapping[str, Callable[[Connection], Check]] = {
        "schema": _schema,
        "journal": journal_of,
        "clock": lambda connection: _clock(connection, now),
        "witness": lambda connection: _witness(connection, now),
        "service": lambda connection: _service(connection, settings, now),
        "calendar": lambda connection: _calendar(connection, now),
    }
    own: Mapping[str, Callable[[Connection], Check]] = (
        doctor_server.looks(settings.server, clock)
        if database.shared
        else {"settings": _settings, "integrity": _integrity}
    )
    for name, look in {**own, **common}.items():
        try:
            with database.reading() as connection:
                yield look(connection)
        except ServerGone as error:
            yield Check(name, Health.FAULT, error.message, error.remedy)
        except NotPermitted:
            # What is kept from an account is no damage.
            told = "没有查：服务器不准这个账号看这一项需要的内容（如个人信息），不是损坏"
            yield Check(name, Health.WARNING, told, "用管理员账号运行 db doctor")
        except (CaseError, DatabaseError, ValueError, LookupError) as error:
            # A damaged database: the other checks are looked at all the same.
            told = error.message if isinstance(error, CaseError) else f"查不了：{error}"
            yield Check(name, Health.FAULT, told, "不要再写入；xianli db restore 最近的备份")
    if not database.shared:
        file = database.file
        yield from (_rights(file), _place(file), _room(file), _wal(file))
    yield _backups(database, settings, clock() if database.shared else now)


def _settings(connection: Connection) -> Check:
    """Each connection sets them and reads them back; here they are told."""
    told = [
        f"{name}={connection.exec_driver_sql(f'PRAGMA {name}').scalar()}" for name in sqlite.PRAGMAS
    ]
    return good("settings", f"SQLite {sqlite3.sqlite_version}，{'、'.join(told)}")


def _schema(connection: Connection) -> Check:
    faults = upgrade.schema_faults(connection)
    if faults:
        return Check("schema", Health.FAULT, "；".join(faults), "用备份恢复；报审计人员")
    return good("schema", f"版本 {upgrade.version_of(connection)}，表、索引和保护触发器齐全")


def _integrity(connection: Connection) -> Check:
    found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(5)"))]
    if found != ["ok"]:
        told = f"数据库文件有损坏：{'；'.join(found)}"
        return Check("integrity", Health.FAULT, told, "不要再写入；xianli db restore 最近的备份")
    return good("integrity", "数据库文件完好")


def journal_of(connection: Connection) -> Check:
    """Whether hashes, chains and numbers of the whole journal hold."""
    if not journal.reads_all(connection):
        told = "本账号只看得到日志的一部分，整体没有核对"
        return Check("journal", Health.WARNING, told, "请县清洁取暖办或审计人员运行 db doctor")
    try:
        quarantine.check_whole(connection)
    except JournalBroken as error:
        return Check("journal", Health.FAULT, error.message, error.remedy)
    told = f"日志 {journal.size(connection)} 条，哈希链完好"
    held = quarantine.codes(connection)
    if held:
        return Check("journal", Health.WARNING, f"{told}；已隔离的户：{'、'.join(held)}")
    return good("journal", told)


def _clock(connection: Connection, now: datetime) -> Check:
    _, last = journal.last_entry(connection)
    if last is not None and now < last - journal.CLOCK_SLACK:
        told = f"电脑时间 {local_minute(now)} 早于日志最后一条 {local_minute(last)}（北京时间）"
        return Check("clock", Health.FAULT, told, "校正电脑时间（NTP）；在此之前不能登记")
    return good("clock", f"电脑时间 {local_minute(now)}（北京时间），不早于日志最后一条")


def _witness(connection: Connection, now: datetime) -> Check:
    found = checkpoint.status(connection, now)
    if found.seen is None:
        told = "还没有任何见证回执：日志整体改写不会被外人发现"
        return Check("witness", Health.WARNING, told, "见 docs/proof.md：请县外单位见证检查点")
    told = f"{found.seen.witness} 见证到第 {found.seen.size} 条"
    if found.overdue:
        late = f"{told}；其后 {found.unseen} 条超过 24 小时没有见证"
        return Check("witness", Health.WARNING, late, "送检查点：xianli audit checkpoint FILE")
    return good("witness", told)


def _service(connection: Connection, settings: Settings, now: datetime) -> Check:
    found = scheduler.status(connection, settings, now)
    if found.warning:
        return Check("service", Health.WARNING, found.warning, "xianli scheduler status")
    leader = f"由 {found.leader} 主持" if found.leader else "没有在运行（也从未作为服务运行过）"
    return good("service", f"调度服务{leader}")


def _calendar(connection: Connection, now: datetime) -> Check:
    missing = register.plan_in_force(connection).calendar.missing(local_date(now))
    if missing is not None:
        told = f"还没有 {missing} 年的节假日安排，期限按暂定计算"
        return Check("calendar", Health.WARNING, told, "xianli calendar import FILE")
    return good("calendar", "节假日安排齐全")


def _rights(file: Path) -> Check:
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        told = f"{file} 或所在目录不可写"
        return Check("rights", Health.FAULT, told, "给运行本程序的账号写权限")
    if sys.platform != "win32" and file.stat().st_mode & 0o077:
        told = f"{file} 别的账号也能读（权限 {file.stat().st_mode & 0o777:o}），里面有个人信息"
        return Check("rights", Health.WARNING, told, f"chmod 600 {file}")
    return good("rights", "只有本账号可以读写")


def _place(file: Path) -> Check:
    kind = file_system(file)
    if kind is not None and kind.startswith(NETWORK):
        told = f"数据库放在网络盘（{kind}）上，SQLite 的锁在那里不可靠"
        return Check("place", Health.FAULT, told, "移到本机磁盘；见 docs/operations.md")
    return good("place", f"在本机磁盘上（{kind or '类型不明'}）")


def file_system(file: Path) -> str | None:
    """The kind of file system, where the operating system tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return None
    whole = file.resolve()
    best, kind = "", None
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        if whole.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _room(file: Path) -> Check:
    free, size = shutil.disk_usage(file.parent).free, file.stat().st_size
    told = f"磁盘剩余 {mib(free)}，数据库 {mib(size)}"
    if free < max(LEAST_FREE, ROOM * size):
        return Check("room", Health.WARNING, told, "清理磁盘，或换更大的盘")
    return good("room", told)


def _wal(file: Path) -> Check:
    wal = file.with_name(f"{file.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    told = f"WAL 文件 {mib(size)}"
    if size > LARGE_WAL:
        return Check("wal", Health.WARNING, told, "有程序长时间占着数据库不放，找出并关闭它")
    return good("wal", told)


def _backups(database: Database, settings: Settings, now: datetime) -> Check:
    folder = settings.times.backup_folder
    stem, _ = backup.named(database)
    try:
        listed = json.loads((folder / backup.LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        listed = {}
    ours = sorted(name for name in listed if backup.stem_of(name) == stem)
    there = [name for name in ours if (folder / name).exists()]
    if not there:
        told = f"{folder.resolve()} 里没有服务或升级作的备份（手工备份到别处的，这里看不到）"
        return Check("backups", Health.WARNING, told, "xianli scheduler run，或 xianli db backup")
    newest = folder / there[-1]
    told = f"最新的备份 {newest.name}"
    if backup.digest(newest) not in listed[newest.name]:
        return Check("backups", Health.FAULT, f"{told} 写后被改过", "另作一份：xianli db backup")
    if local_date(now) - backup.day_of(newest.name) > BACKUP_AGE:
        return Check("backups", Health.WARNING, f"{told}，已超过两天", "xianli scheduler status")
    if fault := _fault_of(newest, database, settings):
        return Check("backups", Health.FAULT, f"{told} 不完好：{fault}", "另作一份，换一块磁盘")
    return good("backups", f"{told}，完好")


def _fault_of(copy: Path, database: Database, settings: Settings) -> str | None:
    """What is wrong with a copy, read to its end."""
    if database.shared:
        try:
            with database.reading() as connection:
                dump.contents(connection, copy, settings.server)
        except CaseError as error:
            return error.message
        return None
    with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as plain:
        (sound,) = plain.execute("PRAGMA quick_check(1)").fetchone()
    return None if sound == "ok" else str(sound)
