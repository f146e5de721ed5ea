"""Checkpoints: one root over the whole journal, shown to a witness outside the county.

The leaf of an event is the canonical encoding of its seq, hash and signature. A checkpoint is an
event of the program itself, over all events before it; receipts are kept as the witness wrote them
and believed only while its key is registered.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, func, select

from states.errors import UsageFault
from states.facts import Attached
from states.plan import Json
from states.workdays import local_date
from workflow import attachments, journal, note, register, tables
from workflow.attachments import File
from workflow.db import Database
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.instants import instant_of
from workflow.journal import Draft, Pen
from workflow.note import Checkpoint, Receipt, Request, WitnessKey
from workflow.tree import Tree

STREAM, MADE = "checkpoints", "checkpoint_made"
WITNESSES, ADDED, REVOKED = "witnesses", "witness_added", "witness_revoked"
# A tail that nobody outside has seen for longer than this is warned of.
OVERDUE = timedelta(hours=24)
_JOURNAL = tables.JOURNAL
_RECEIPT = tables.WITNESS_RECEIPT
_LEAVES = select(_JOURNAL.c.seq, _JOURNAL.c.hash, _JOURNAL.c.signature).order_by(_JOURNAL.c.seq)


class Made(Struct, frozen=True):
    """A checkpoint of this journal; `new` says that it was made now."""

    checkpoint: Checkpoint
    recorded_at: datetime
    new: bool


class Witness(Struct, frozen=True):
    """A witness whose key is or was registered."""

    key: WitnessKey
    since: datetime
    revoked: bool


class Seen(Struct, frozen=True):
    """A receipt that holds: this witness saw so many events at that instant (UTC)."""

    witness: str
    size: int
    root: bytes
    at: datetime


class Status(Struct, frozen=True):
    """`audit status`: how much of the journal somebody outside has seen.

    `unseen` counts the events after the last receipt that are not checkpoints, `oldest` is when the
    first of them was recorded.
    """

    origin: str
    size: int
    last: Made | None
    seen: Seen | None
    unseen: int
    oldest: datetime | None
    age: timedelta | None
    witnesses: tuple[Witness, ...]
    signed: int

    @property
    def overdue(self) -> bool:
        """Whether the unseen tail is older than 24 hours."""
        return self.age is not None and self.age > OVERDUE


def entry(seq: int, hash_: str, signature: str | None) -> bytes:
    """The leaf of an event."""
    return journal.canonical({"seq": seq, "hash": hash_, "signature": signature})


def tree(connection: Connection) -> Tree:
    """The tree of the whole journal."""
    rows = connection.execute(_LEAVES)
    return Tree(entry(row.seq, row.hash, row.signature) for row in rows)


def origin(connection: Connection) -> str:
    """The journal's name for its witness: plan, `drill` if it is one, hash of the first event."""
    first = connection.execute(
        select(_JOURNAL.c.hash, _JOURNAL.c.body).where(_JOURNAL.c.seq == 1)
    ).one()
    genesis = next(journal.events_of(connection, "database"))["evidence"]
    assert isinstance(genesis, dict)
    drill = ("drill",) if genesis["drill"] is True else ()
    return "/".join(("xianli", str(genesis["plan"]), *drill, first.hash[:16]))


def make(database: Database, now: datetime) -> Made:
    """Makes a checkpoint over everything written so far, as the program itself.

    When nothing but the last checkpoint was written since, it is answered again and nothing is
    written.
    """
    with database.transaction() as connection:
        before = last(connection)
        size, _ = journal.last_entry(connection)
        if before is not None and before.checkpoint.size + 1 == size:
            return before
        found = Checkpoint(origin(connection), size, tree(connection).root())
        pen = Pen(connection, register.SYSTEM, now, register.plan_in_force(connection))
        evidence: dict[str, Json] = {
            "origin": found.origin,
            "size": found.size,
            "root": found.root_text,
        }
        made = pen.add(Draft(STREAM, MADE, local_date(pen.now), evidence))
        pen.write()
    return Made(found, made.recorded_at, new=True)


def last(connection: Connection) -> Made | None:
    """The last checkpoint that was made."""
    found = None
    for event in journal.events_of(connection, STREAM, [MADE]):
        found = event
    if found is None:
        return None
    told = found["evidence"]
    assert isinstance(told, dict)
    text = f"{told['origin']}\n{told['size']}\n{told['root']}\n"
    checkpoint = note.read_checkpoint(text, STREAM)
    return Made(checkpoint, instant_of(str(found["recorded_at"])), new=False)


def due(connection: Connection, today: date) -> bool:
    """Whether the day's checkpoint is still to be made: the scheduler asks this."""
    made = last(connection)
    return made is None or local_date(made.recorded_at) < today


def request(connection: Connection, checkpoint: Checkpoint, since: int | None) -> Request:
    """The checkpoint with its proof from `since` events on: by default what was witnessed last.

    Raises UsageFault for a size beyond the checkpoint, JournalBroken when the journal is no longer
    what the checkpoint says.
    """
    if since is None:
        seen = last_seen(connection)
        since = seen.size if seen is not None else 0
    if since > checkpoint.size:
        raise UsageFault(
            f"检查点只有 {checkpoint.size} 条，不能从第 {since} 条起证明", place="--since"
        )
    whole = tree(connection)
    if len(whole) < checkpoint.size or whole.root(checkpoint.size) != checkpoint.root:
        raise _rewritten(f"第 {checkpoint.size} 条处的检查点")
    return Request(since, tuple(whole.consistency(since, checkpoint.size)), checkpoint)


def _rewritten(what: str) -> JournalBroken:
    return JournalBroken(
        f"日志与{what}不符：日志被改写、被截短，或恢复成了旧的备份；全县停止发放许可，查询照常",
        place=STREAM,
        remedy="保留现场，运行 xianli audit verify；用与回执相符的备份恢复，并报审计人员和见证人",
    )


# Witnesses ------------------------------------------------------------------------------------


def witnesses(connection: Connection) -> tuple[Witness, ...]:
    """Every witness that was ever registered, in that order."""
    found: dict[str, Witness] = {}
    for event in journal.events_of(connection, WITNESSES):
        told = event["evidence"]
        assert isinstance(told, dict)
        key = note.read_witness_key(str(told["key"]), WITNESSES)
        revoked = event["kind"] == REVOKED
        since = found[key.line].since if revoked else instant_of(str(event["recorded_at"]))
        found[key.line] = Witness(key, since, revoked)
    return tuple(found.values())


def add_witness(
    database: Database, path: Path, files: Sequence[File], *, actor: str, now: datetime
) -> WitnessKey:
    """Registers the witness's key in a file, with the letter it came in. County office only.

    Raises BadFile for no key, UsageFault without an attachment, Conflict for a name in use or a key
    that was revoked.
    """
    key = note.read_witness_key(_text(path), str(path))
    if not files:
        raise UsageFault("须附见证单位的来函", place="--attach", remedy="加 --attach 文件")
    with database.transaction() as connection:
        known = witnesses(connection)
        if any(one.key == key or (one.key.name == key.name and not one.revoked) for one in known):
            raise Conflict(
                f"见证人“{key.name}”已登记，或这把公钥已撤销过",
                place="FILE",
                remedy="先 audit witness-key revoke，再登记新的公钥",
            )
        _witness_event(connection, ADDED, key, [file.attached for file in files], actor, now)
        attachments.keep(connection, files)
    return key


def revoke_witness(database: Database, name: str, *, actor: str, now: datetime) -> WitnessKey:
    """Takes a witness's key out of use; its receipts count no longer. Raises UsageFault."""
    with database.transaction() as connection:
        used = [one.key for one in witnesses(connection) if not one.revoked]
        key = next((one for one in used if one.name == name), None)
        if key is None:
            raise UsageFault(f"没有登记在用的见证人“{name}”", place="NAME")
        _witness_event(connection, REVOKED, key, (), actor, now)
    return key


def _witness_event(
    connection: Connection,
    kind: str,
    key: WitnessKey,
    attached: Sequence[Attached],
    actor: str,
    now: datetime,
) -> None:
    who = register.writer(connection, actor)
    register.require_county(who)
    pen = Pen(connection, who, now, register.plan_in_force(connection))
    evidence = {"name": key.name, "key": key.line}
    day = local_date(pen.now)
    pen.add(Draft(WITNESSES, kind, day, {**evidence}, attachments=tuple(attached)))
    pen.write()


# Receipts -------------------------------------------------------------------------------------


def import_receipt(database: Database, path: Path) -> Seen:
    """Keeps a witness's receipt. The same one twice is kept once.

    Raises BadFile when it is none, of another journal, or not signed by a registered witness;
    JournalBroken when the journal is not what the witness saw.
    """
    # Not for who only asks what is open: it brings all of its dialect.
    from sqlalchemy.dialects.postgresql import insert

    receipt = read_receipt(path)
    with database.transaction() as connection:
        found = _seen(connection, receipt, str(path))
        contradicts(connection, [found])
        values = {"witness": found.witness, "size": found.size, "note": receipt.text}
        connection.execute(insert(_RECEIPT).values(**values).on_conflict_do_nothing())
    return found


def read_receipt(path: Path) -> Receipt:
    """The receipt in a file. Raises BadFile."""
    return note.read_receipt(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"读不到文件 {path}", place=str(path), remedy="核对文件名") from error


def _seen(connection: Connection, receipt: Receipt, place: str) -> Seen:
    ours = origin(connection)
    if receipt.checkpoint.origin != ours:
        raise BadFile(
            f"回执是另一个数据库的：{receipt.checkpoint.origin}",
            place=place,
            remedy=f"本数据库是 {ours}；核对文件",
        )
    for witness in witnesses(connection):
        at = note.cosigned_at(receipt, witness.key)
        if at is not None and not witness.revoked:
            return Seen(witness.key.name, receipt.checkpoint.size, receipt.checkpoint.root, at)
    raise BadFile(
        "回执上没有已登记见证人的有效签名",
        place=place,
        remedy="先登记见证人的公钥：xianli audit witness-key add witness.pub --attach 来函",
    )


def receipts(connection: Connection) -> Iterator[str]:
    """The receipts as they were taken in, by size."""
    rows = connection.execute(select(_RECEIPT.c.note).order_by(_RECEIPT.c.size))
    yield from rows.scalars()


def seen(connection: Connection) -> list[Seen]:
    """What the witnesses in use have seen, by size; a receipt that does not hold is passed over."""
    found = []
    for text in receipts(connection):
        try:
            found.append(_seen(connection, note.read_receipt(text, "witness_receipt"), ""))
        except BadFile:
            continue
    return sorted(found, key=lambda one: (one.size, one.at))


def last_seen(connection: Connection) -> Seen | None:
    """The receipt over most of the journal."""
    return max(seen(connection), key=lambda one: (one.size, one.at), default=None)


def contradicts(connection: Connection, receipts: Sequence[Seen]) -> None:
    """Raises JournalBroken when the journal is not what these receipts say."""
    if not receipts:
        return
    whole = tree(connection)
    for one in receipts:
        if one.size > len(whole) or whole.root(one.size) != one.root:
            raise _rewritten(f"{one.witness} {local_date(one.at)} 的见证回执（{one.size} 条）")


def status(connection: Connection, now: datetime) -> Status:
    """How much of the journal somebody outside has seen, as of an instant."""
    seen = last_seen(connection)
    size, _ = journal.last_entry(connection)
    query = select(func.count(), func.min(_JOURNAL.c.recorded_at)).where(
        _JOURNAL.c.seq > (seen.size if seen is not None else 0), _JOURNAL.c.stream != STREAM
    )
    unseen, oldest = connection.execute(query).one()
    signed = select(func.count()).where(_JOURNAL.c.signature.is_not(None))
    return Status(
        origin=origin(connection),
        size=size,
        last=last(connection),
        seen=seen,
        unseen=unseen,
        oldest=oldest,
        age=None if oldest is None else max(now - oldest, timedelta()),
        witnesses=witnesses(connection),
        signed=connection.execute(signed).scalar_one(),
    )
