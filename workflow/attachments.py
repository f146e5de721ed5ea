"""Attached files: read from the officer's disk, kept by SHA-256 beside the journal."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from states import identity
from states.errors import StepRefused, UsageFault
from states.facts import Attached
from workflow import bulk, tables
from workflow.errors import BadFile

LARGEST = 20 * 1024 * 1024
_TABLE = tables.ATTACHMENT
_MAGIC = 16  # bytes by which a file's kind is told


class File(Struct, frozen=True, dict=True):
    """An attached file with its content."""

    name: str
    content: bytes

    @cached_property
    def attached(self) -> Attached:
        """Its name and hash, as the journal keeps them."""
        return Attached(self.name, hashlib.sha256(self.content).hexdigest())


def read(paths: Iterable[Path]) -> tuple[File, ...]:
    """The files at these paths.

    Raises BadFile for one that cannot be read, is empty or over 20 MiB; UsageFault for two of the
    same name; StepRefused for a name that holds an ID or phone number.
    """
    files: dict[str, File] = {}
    for path in paths:
        if path.name in files:
            raise UsageFault(f"两个附件同名：{path.name}", place="--attach", remedy="改名后再附")
        if identity.holds_personal_number(path.stem):
            raise StepRefused(
                "附件文件名中含有身份证号或手机号", place="--attach", remedy="改掉文件名后再附"
            )
        try:
            if path.stat().st_size > LARGEST:
                raise BadFile(f"附件 {path.name} 超过 20 MiB", place=str(path), remedy="压缩后再附")
            content = path.read_bytes()
        except OSError as error:
            raise BadFile(
                f"附件读不出来：{path}（{error.strerror}）", place=str(path), remedy="核对文件名"
            ) from error
        if not content:
            raise BadFile(f"附件 {path.name} 是空文件", place=str(path), remedy="换一个文件")
        files[path.name] = File(path.name, content)
    return tuple(files.values())


def keep(connection: Connection, files: Iterable[File]) -> None:
    """Stores the files' contents, each content once."""
    rows = [
        {"sha256": file.attached.sha256, "size": len(file.content), "content": file.content}
        for file in files
    ]
    if rows:
        _keeping().write(connection, rows)


@cache
def _keeping() -> bulk.Rows:
    # Only who writes waits for it: it brings all of its dialect.
    from sqlalchemy.dialects.postgresql import insert

    return bulk.Rows(insert(_TABLE).on_conflict_do_nothing())


def kept(
    connection: Connection, codes: Sequence[str], hashes: Iterable[str]
) -> Iterator[tuple[str, int, bytes]]:
    """Hash, size and first bytes of those files of these cases that are kept."""
    wanted = list(dict.fromkeys(hashes))
    if connection.dialect.name == "postgresql":
        rows = connection.execute(_FILES, {"streams": [f"case:{code}" for code in codes]})
        yield from (tuple(row) for row in rows if row.sha256 in set(wanted))
        return
    beginning = func.substr(_TABLE.c.content, 1, _MAGIC)
    for start in range(0, len(wanted), 500):
        query = select(_TABLE.c.sha256, _TABLE.c.size, beginning).where(
            _TABLE.c.sha256.in_(wanted[start : start + 500])
        )
        yield from (tuple(row) for row in connection.execute(query))


def content(connection: Connection, codes: Sequence[str], sha256: str) -> bytes:
    """What is in a kept file of these cases."""
    if connection.dialect.name == "postgresql":
        asked = {"streams": [f"case:{code}" for code in codes], "sha256": sha256}
        found = connection.execute(_FILE, asked).scalar_one()
    else:
        query = select(_TABLE.c.content).where(_TABLE.c.sha256 == sha256)
        found = connection.execute(query).scalar_one()
    return bytes(found)


# On a server a file is shown by the case that it is attached to: by its hash alone nobody of a unit
# finds one.
_FILES = text("SELECT sha256, size, beginning FROM files(:streams)")
_FILE = text("SELECT file(:streams, :sha256)")


def stored(connection: Connection, hashes: Iterable[str]) -> set[str]:
    """Those of the contents that are kept already; on a server all of them may be."""
    wanted = list(dict.fromkeys(hashes))
    if connection.dialect.name == "postgresql":
        return set(wanted)
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        query = select(_TABLE.c.sha256).where(_TABLE.c.sha256.in_(wanted[start : start + 500]))
        found.update(connection.execute(query).scalars())
    return found
