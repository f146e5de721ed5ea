"""A backup weighed before it is put back: against receipts and against what stands there now.

A copy older than what was witnessed, or another history, is not put back in silence.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, select

from states.errors import UsageFault
from workflow import audit, checkpoint, journal, note, tables, upgrade
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.note import Receipt

_JOURNAL = tables.JOURNAL
# The first version that keeps receipts.
_RECEIPTS_SINCE = "0003"


class Journal(Struct, frozen=True):
    """How far a database's journal goes: its name for the witness, its hashes, its receipts."""

    origin: str
    hashes: tuple[str, ...]
    last: datetime | None
    receipts: tuple[Receipt, ...]


class Restored(Struct, frozen=True):
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


def read(connection: Connection) -> Journal:
    """The journal of a database of any version."""
    hashes = connection.execute(select(_JOURNAL.c.hash).order_by(_JOURNAL.c.seq)).scalars()
    _, last = journal.last_entry(connection)
    kept: list[Receipt] = []
    if upgrade.version_of(connection) >= _RECEIPTS_SINCE:
        texts = checkpoint.receipts(connection)
        kept = [note.read_receipt(one, "witness_receipt") for one in texts]
    return Journal(checkpoint.origin(connection), tuple(hashes), last, tuple(kept))


def sound(connection: Connection) -> Journal:
    """The backup's journal. Raises JournalBroken where it does not verify."""
    found = audit.verification(connection)
    faults = [one for one in found.findings if one.case not in found.quarantined]
    if faults:
        raise JournalBroken(
            f"这份备份核验不通过（{len(faults)} 处），首先是 {faults[0].code}：{faults[0].message}",
            place=faults[0].stream or "journal",
            remedy="换一份更早的、能核验通过的备份；数据库没有改动",
        )
    return read(connection)


def held_against(
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


def lost_by(
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
