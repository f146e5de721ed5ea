"""Attached files: read from the officer's disk, kept by SHA-256 beside the journal."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from sqlalchemy import Connection, select

from states import identity
from states.errors import StepRefused, UsageFault
from states.facts import Attached
from workflow import bulk, tables
from workflow.errors import BadFile

LARGEST = 20 * 1024 * 1024
_TABLE = tables.ATTACHMENT


@dataclass(frozen=True)
class File:
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


def stored(connection: Connection, hashes: Iterable[str]) -> set[str]:
    """Those of the contents that are kept already."""
    wanted = list(dict.fromkeys(hashes))
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        query = select(_TABLE.c.sha256).where(_TABLE.c.sha256.in_(wanted[start : start + 500]))
        found.update(connection.execute(query).scalars())
    return found
