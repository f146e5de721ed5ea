"""Backups: a whole copy of the database by the engine's own means, while others work.

Of a file by SQLite's backup API, of a server's database by pg_dump (`workflow.dump`).

A list beside the copies says which this program made, and with which content: nothing else is ever
replaced or deleted.
"""

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct

from states.workdays import local_date
from workflow import dump
from workflow.db import Database
from workflow.errors import BadFile
from workflow.operation import Server

LIST = "backups.json"
FILE = ".db"
# The contents in SHA-256 that a copy of ours may have: two while the day's second takes its place.
Made = dict[str, list[str]]


class Saved(Struct, frozen=True):
    """A backup that was written and read back: its rows in all tables, and the journal's end."""

    file: Path
    rows: int
    seq: int
    head: str | None


def backup(
    database: Database, folder: Path, now: datetime, keep: int, server: Server | None = None
) -> Path:
    """Writes the day's copy, sees that it is sound, and keeps the newest `keep` of its own.

    A second copy on one day takes the place of the first. `server` says how a server is used.
    Raises BadFile when the copy could not be written whole; the earlier ones then stay as they are.
    """
    stem, suffix = named(database)
    copy = folder / f"{stem}-{local_date(now)}{suffix}"
    part = copy.with_name(f"{copy.name}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(folder)
        _refuse_foreign(copy, made)
        _write(database, part, server)
        content = digest(part)
        # The list comes first: a copy that is on it and not there is harmless, the reverse is not.
        made[copy.name] = [*made.get(copy.name, []), content]
        _write_list(folder, made)
        part.replace(copy)
        made[copy.name] = [content]
        _thin_out(folder, made, stem, keep)
    except (OSError, sqlite3.Error) as error:
        raise _not_written(folder, error) from error
    return copy


def save(database: Database, target: Path, server: Server | None = None) -> Saved:
    """Writes one whole, sound copy to a file, by the engine's own means; replaces what was there.

    Raises BadFile when it could not be written whole; what was there then stays.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        rows, seq, head = _write(database, part, server)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise _not_written(target, error) from error
    finally:
        part.unlink(missing_ok=True)
    return Saved(target, rows, seq, head)


def save_beside(
    database: Database, folder: Path, why: str, now: datetime, server: Server | None = None
) -> Path:
    """A copy in the folder that nothing ever replaces or thins out, named for why it was taken.

    Raises BadFile as `save` does.
    """
    stem, suffix = named(database)
    target = _free(folder, f"{stem}-{why}-{now:%Y%m%dT%H%M%SZ}", suffix)
    return save(database, target, server).file


def named(database: Database) -> tuple[str, str]:
    """How the names of a database's copies begin and end."""
    if not database.shared:
        return database.file.stem, FILE
    with database.reading() as connection:
        return f"{database.engine.url.database}-{dump.schema_of(connection)}", dump.SUFFIX


def _write(database: Database, part: Path, server: Server | None) -> tuple[int, int, str | None]:
    """Writes the copy; answers its rows and the journal's end, read from the copy."""
    _make(part)
    if database.shared:
        try:
            with database.reading() as connection:
                found = dump.write(connection, part, server or Server())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _keep(part)
        return sum(found.rows.values()), found.seq, found.head
    _copy(database.file, part)
    with closing(sqlite3.connect(f"{part.resolve().as_uri()}?mode=ro", uri=True)) as copy:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [name for (name,) in copy.execute(query).fetchall()]
        rows = sum(copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names)
        last = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1"
        seq, head = copy.execute(last).fetchone() or (0, None)
    return rows, seq, head


def copy_to(source: Path, target: Path) -> None:
    """Writes one whole, sound copy of a database to a file; what was there is replaced.

    Raises BadFile when it could not be written whole; what was there then stays.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        _make(part)
        _copy(source, part)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise _not_written(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def copy_beside(source: Path, folder: Path, why: str, now: datetime) -> Path:
    """A copy in the folder that nothing ever replaces or thins out, named for why it was taken.

    Raises BadFile as `copy_to` does.
    """
    target = _free(folder, f"{source.stem}-{why}-{now:%Y%m%dT%H%M%SZ}", FILE)
    copy_to(source, target)
    return target


def _free(folder: Path, name: str, suffix: str) -> Path:
    """A name in the folder, which is made, that no file has."""
    target, number = folder / f"{name}{suffix}", 1
    while target.exists():
        number += 1
        target = folder / f"{name}-{number}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error
    return target


def _not_written(place: Path, error: Exception) -> BadFile:
    return BadFile(
        f"备份没有写成：{error}",
        place=str(place),
        remedy="检查备份目录的权限和磁盘空间；原数据库没有受影响",
        code="backup",
    )


def _make(part: Path) -> None:
    part.unlink(missing_ok=True)
    # Personal data in the clear: the copy is nobody else's to read.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _copy(source: Path, part: Path) -> None:
    address = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as ours, closing(sqlite3.connect(part)) as its:
        ours.backup(its)
        # One file that stands alone, without the two that WAL would put beside it.
        its.execute("PRAGMA journal_mode = DELETE")
        faults = [row[0] for row in its.execute("PRAGMA integrity_check")]
    if faults != ["ok"]:
        raise BadFile(
            f"备份不完好：{faults[0]}",
            place=str(part),
            remedy="运行 xianli audit verify 查看原数据库；以前的备份都还在",
            code="backup",
        )
    _keep(part)


def _keep(part: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())


def _refuse_foreign(copy: Path, made: Made) -> None:
    if copy.exists() and digest(copy) not in made.get(copy.name, []):
        raise BadFile(
            f"{copy.name} 已在备份目录里，却不是本程序所写，或写后被改过",
            place=str(copy),
            remedy="把它移到别处，再备份一次",
            code="backup",
        )


def _thin_out(folder: Path, made: Made, stem: str, keep: int) -> None:
    """Deletes the oldest of our own copies; one that was changed since is left, and forgotten."""
    ours = sorted(name for name in made if stem_of(name) == stem)
    for name in ours[:-keep]:
        old = folder / name
        if old.exists() and digest(old) in made[name]:
            old.unlink()
        del made[name]
    _write_list(folder, made)


def _made(folder: Path) -> Made:
    try:
        found = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if isinstance(found, dict) and all(isinstance(one, list) for one in found.values()):
        return found
    raise BadFile(
        f"备份清单 {LIST} 读不懂",
        place=str(folder / LIST),
        remedy="把它移到别处；此后旧的备份由人清理",
        code="backup",
    )


def _write_list(folder: Path, made: Made) -> None:
    part = folder / f"{LIST}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump(made, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / LIST)


def stem_of(name: str) -> str:
    """The database that a day's copy of ours is of, from its name."""
    return Path(name).stem[: -len("-YYYY-MM-DD")]


def day_of(name: str) -> date:
    """The day of a copy of ours, from its name."""
    return date.fromisoformat(Path(name).stem[-len("YYYY-MM-DD") :])


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
