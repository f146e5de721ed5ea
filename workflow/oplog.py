"""The log of what was run, one line of JSON each, for who looks after the program.

It holds no value of the county's: no argument, no message, no path but the database's own name. Of
our bugs it keeps where in the program they were, not what with.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TypedDict
from urllib.parse import urlsplit

from msgspec import Struct, field

from states.workdays import local_date
from workflow.operation import Log

# Ours in the folder, by their names.
_FILE = re.compile(r"xianli-(\d{4}-\d{2}-\d{2})\.jsonl")
_NAME = re.compile(r"[\w.-]{1,64}")
# Long enough to be an ID number, a phone, a meter.
_NUMBER = re.compile(r"\d{7}")
_FRAMES = 30
# What waits for the one writer before this one.
_LOCKS = ("BEGIN IMMEDIATE", "SELECT pg_advisory_xact_lock")
_WRITES = ("INSERT", "UPDATE", "DELETE")
# What is told by its seqs.
_NUMBERED = "journal"
Fields = Mapping[str, object]
Seconds = Callable[[], float]


def write(log: Log, fields: Fields, at: datetime, stderr: IO[str]) -> None:
    """Adds a line. Raises OSError; the command itself has nothing to do with that."""
    told = {"at": at.isoformat(timespec="milliseconds"), **fields}
    line = json.dumps(told, ensure_ascii=False) + "\n"
    if log.folder is None:
        stderr.write(line)
        return
    log.folder.mkdir(parents=True, exist_ok=True)
    today = log.folder / f"xianli-{local_date(at)}.jsonl"
    new = not today.exists()
    # A file for each day and one write for each line: several processes write side by side, and
    # nobody renames a file that another has open.
    opened = os.open(today, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(opened, line.encode())
    finally:
        os.close(opened)
    if new:
        _thin_out(log.folder, f"{local_date(at) - timedelta(days=log.keep)}")


def _thin_out(folder: Path, until: str) -> None:
    for file in folder.iterdir():
        found = _FILE.fullmatch(file.name)
        if found and found[1] <= until:
            file.unlink(missing_ok=True)


def named(text: str | None) -> str | None:
    """A name as it may stand in the log; what could be a person's number or an address is `?`."""
    if text is None:
        return None
    return text if _NAME.fullmatch(text) and not _NUMBER.search(text) else "?"


def database(url: str) -> str:
    """Which database an address names, without account and password."""
    if "://" not in url:
        return named(Path(url).name) or "?"
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgresql"):
        return named(Path(parts.path).name) or "?"
    host = named(parts.hostname) or "local"
    return f"{host}/{named(parts.path.lstrip('/'))}"


class Failure(TypedDict):
    """An exception: its kind and its way through the program."""

    type: str
    frames: list[str]


def failure(error: BaseException) -> list[Failure]:
    """A bug, and what it came from, without values."""
    found: list[Failure] = []
    known: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in known:
        known.add(id(one))
        found.append({"type": type(one).__qualname__, "frames": _frames(one)})
        one = one.__cause__ or one.__context__
    return found


def traceback(error: BaseException) -> str:
    """The same as text."""
    told = ["Traceback（不含数据）："]
    for one in failure(error):
        told.append(f"  {one['type']}")
        told += [f"    {frame}" for frame in one["frames"]]
    return "\n".join(told)


def _frames(error: BaseException) -> list[str]:
    frames: list[str] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        where = "/".join(Path(code.co_filename).parts[-2:])
        frames.append(f"{where}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    return frames[-_FRAMES:]


class Tally(Struct):
    """What was committed, and how long was waited for a connection and for other writers."""

    rows: int = 0
    first: int | None = None
    last: int | None = None
    waited: float = 0.0

    def take(self) -> Fields:
        """As they stand in the log; counting begins anew."""
        found = {
            "rows": self.rows,
            "first_seq": self.first,
            "last_seq": self.last,
            "wait_seconds": round(self.waited, 3),
        }
        self.rows, self.first, self.last, self.waited = 0, None, None, 0.0
        return found


class _Pending(Struct):
    """What a transaction wrote that is not committed yet."""

    rows: int = 0
    seqs: list[int] = field(default_factory=list)


def _numbers(statement: str, rows: object) -> Iterator[int]:
    """The events' numbers among the parameters that the driver was given."""
    assert isinstance(rows, list)
    at = statement.partition("(")[2].partition(")")[0].split(", ").index("seq")
    for row in rows:
        yield int(row["seq"] if isinstance(row, dict) else row[at])


@contextmanager
def counting(tally: Tally, seconds: Seconds) -> Iterator[None]:
    """Counts what every database of this process does; `seconds` is a clock that only goes on."""
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.default import DefaultExecutionContext
    from sqlalchemy.pool import Pool

    pending = "xianli_pending"
    begun: dict[str, float] = {}

    def before(*given: object) -> None:
        statement = given[2]
        if isinstance(statement, str) and statement.startswith(_LOCKS):
            begun["lock"] = seconds()

    def after(
        connection: Connection,
        cursor: object,
        statement: str,
        parameters: object,
        context: DefaultExecutionContext | None,
        many: bool,
    ) -> None:
        if statement.startswith(_LOCKS):
            tally.waited += seconds() - begun.pop("lock", seconds())
        if context is None or not statement.startswith(_WRITES):
            return
        held = connection.info.setdefault(pending, _Pending())
        held.rows += max(context.rowcount or 0, 0)
        if statement.startswith(f"INSERT INTO {_NUMBERED} "):
            held.seqs += _numbers(statement, parameters if many else [parameters])

    def commit(connection: Connection) -> None:
        held = connection.info.pop(pending, _Pending())
        tally.rows += held.rows
        if held.seqs:
            tally.first = min(held.seqs) if tally.first is None else tally.first
            tally.last = max(held.seqs)

    def rollback(connection: Connection) -> None:
        connection.info.pop(pending, None)

    def connecting(*_: object) -> None:
        begun["connect"] = seconds()

    def connected(*_: object) -> None:
        tally.waited += seconds() - begun.pop("connect", seconds())

    listening = (
        (Engine, "before_cursor_execute", before),
        (Engine, "after_cursor_execute", after),
        (Engine, "commit", commit),
        (Engine, "rollback", rollback),
        (Dialect, "do_connect", connecting),
        (Pool, "connect", connected),
    )
    for target, name, listener in listening:
        event.listen(target, name, listener)
    try:
        yield
    finally:
        for target, name, listener in listening:
            event.remove(target, name, listener)
