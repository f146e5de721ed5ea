"""Fail closed, and the one way out: a broken stream is closed, and no permission given anywhere.

County office and auditor together put a damaged case under quarantine, as it stands, in the
journal. Then permissions go on elsewhere; the case itself stays closed and every report names it.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from itertools import chain

from msgspec import Struct
from sqlalchemy import Connection, select

from states.errors import Reason, StepRefused
from states.plan import Json
from states.vocabulary import Role
from states.workdays import local_date
from workflow import cases, checkpoint, journal, register, tables
from workflow.db import Database
from workflow.errors import Conflict, JournalBroken, NotPermitted
from workflow.journal import Draft, Pen

_BATCH = 500
_FIRST = b'"previous":null,'
STREAM, PROPOSED, CONFIRMED = journal.QUARANTINE, "quarantine_proposed", journal.QUARANTINED
TOGETHER = (Role.COUNTY_OFFICE, Role.AUDITOR)
_JOURNAL = tables.JOURNAL
_CHECKED = select(
    *(_JOURNAL.c[name] for name in ("seq", "stream", "version", "previous", "hash", "body"))
).order_by(_JOURNAL.c.seq)


class Quarantine(Struct, frozen=True):
    """A proposal, or what became of it: the case as it was found damaged (`fingerprint`)."""

    code: str
    seq: int
    actor: str
    role: Role
    reason: str
    fingerprint: str
    missing: tuple[int, ...]
    confirmed: bool


class Damage(Struct, frozen=True):
    """What does not verify: the first bad seq of each stream, and the seqs that are not there.

    `everything` is false for who may read only part of the journal: his cases alone were checked.
    """

    events: int
    streams: Mapping[str, int]
    missing: tuple[int, ...]
    everything: bool = True

    @property
    def whole(self) -> bool:
        """Whether there is none."""
        return not self.streams and not self.missing


def codes(connection: Connection) -> tuple[str, ...]:
    """The cases under quarantine, for every report to name."""
    return tuple(sorted(standing(connection)))


def standing(connection: Connection) -> Mapping[str, Quarantine]:
    """The confirmed quarantines by case, the last one of each."""
    return {one.code: one for one in _all(connection) if one.confirmed}


def _all(connection: Connection) -> list[Quarantine]:
    found = []
    for entry in journal.numbered(connection, STREAM):
        event, told = entry.document, entry.document["evidence"]
        assert isinstance(told, dict)
        missing = told["missing"]
        assert isinstance(missing, list)
        found.append(
            Quarantine(
                code=str(told["code"]),
                seq=entry.seq,
                actor=str(event["actor"]),
                role=Role(str(event["role"])),
                reason=str(event["reason"]),
                fingerprint=str(told["fingerprint"]),
                missing=tuple(int(str(seq)) for seq in missing),
                confirmed=event["kind"] == CONFIRMED,
            )
        )
    return found


def damage(connection: Connection) -> Damage:
    """Hashes, chains, seqs and the cases' rows of the whole journal, without what it says.

    The hash of the event before stands in the bytes and, beside them, in a column: both count. For
    who may read only part, the cases he sees: of other streams, and of numbers, some are hidden.
    """
    everything = journal.reads_all(connection)
    query = _CHECKED if everything else _CHECKED.where(_JOURNAL.c.stream.like("case:%"))
    bad: dict[str, int] = {}
    heads: dict[str, tuple[int, str | None]] = {}
    missing: list[int] = []
    begin: tuple[int, str | None] = (0, None)
    last = events = 0
    parts = connection.execute(query, execution_options={"yield_per": _BATCH}).partitions()
    for seq, stream, version, previous, hash_, body in chain.from_iterable(parts):
        events += 1
        if everything and seq != last + 1:
            missing += range(last + 1, seq)
        last = seq
        before, head = heads.get(stream, begin)
        # No hash is in the bytes by accident. It stands near their end: looked for from there.
        link = _FIRST if head is None else str(head).encode()
        if isinstance(body, str):  # only tampering leaves a text
            body = body.encode()
        if (
            sha256(body).hexdigest() != hash_
            or previous != head
            or version != before + 1
            or body.rfind(link) < 0
        ):
            bad.setdefault(stream, seq)
        heads[stream] = (version, hash_)
    case = cases.CASE.c
    rows = select(case.code, case.version, case.head_hash)
    for code, version, head in connection.execute(rows, execution_options={"yield_per": _BATCH}):
        if heads.pop(f"case:{code}", None) != (version, head):
            bad.setdefault(f"case:{code}", last)
    for stream in heads:
        if stream.startswith("case:"):
            bad.setdefault(stream, last)
    return Damage(events, bad, tuple(missing), everything)


def fingerprint(connection: Connection, code: str) -> str:
    """The case as it stands in journal and table, damage and all."""
    query = select(_JOURNAL.c.seq, _JOURNAL.c.hash, _JOURNAL.c.body)
    rows = connection.execute(
        query.where(_JOURNAL.c.stream == f"case:{code}").order_by(_JOURNAL.c.seq)
    )
    case = cases.CASE.c
    kept = connection.execute(select(case.version, case.head_hash).where(case.code == code)).first()
    return journal.digest(
        journal.canonical(
            {
                "events": [[row.seq, row.hash, journal.digest(row.body)] for row in rows],
                "row": None if kept is None else [kept.version, kept.head_hash],
            }
        )
    )


def check_whole(connection: Connection) -> None:
    """Raises JournalBroken unless the whole journal verifies, quarantined cases apart.

    No permission is given on a journal that does not (design, section 7), nor on one that a witness
    saw otherwise. Raises NotPermitted for who may read only part of it.
    """
    journal.require_all(connection)
    known = standing(connection)
    found = damage(connection)
    for stream, seq in sorted(found.streams.items(), key=lambda item: item[1]):
        excused = known.get(stream.removeprefix("case:")) if stream.startswith("case:") else None
        if excused is None or excused.fingerprint != fingerprint(connection, excused.code):
            raise journal.broken(stream, seq)
    gone = set(found.missing) - {seq for one in known.values() for seq in one.missing}
    if gone:
        raise journal.broken("journal", min(gone))
    # What was damaged before a quarantine no receipt can vouch for any more.
    since = max((one.seq for one in known.values()), default=0)
    checkpoint.contradicts(
        connection, [one for one in checkpoint.seen(connection) if one.size >= since]
    )


def require_open(connection: Connection, code: str) -> None:
    """Raises JournalBroken for a case under quarantine: nothing is written there any more."""
    held = standing(connection).get(code)
    if held is not None:
        raise JournalBroken(
            f"{code} 已隔离（第 {held.seq} 条，{held.reason}），不再写入",
            place=f"case:{code}",
            remedy="该户按隔离决定另行处理；其他户照常办理",
            code="quarantined",
        )


def quarantine(
    database: Database, code: str, reason: str, *, actor: str, now: datetime
) -> Quarantine:
    """Proposes the quarantine of a damaged case, or confirms what the other side proposed.

    Raises NotPermitted for anybody but county office and auditors or for an unknown case,
    StepRefused when the case verifies or its proposer would confirm, Conflict when it is done.
    """
    # Not for every step that looks for quarantines: it brings the whole audit.
    from workflow import audit

    with database.transaction() as connection:
        who = register.writer(connection, actor)
        if who.role not in TOGETHER:
            raise NotPermitted(
                "隔离由县清洁取暖办和审计人员共同办理", remedy="请县清洁取暖办或审计人员的账号办理"
            )
        found = damage(connection)
        stream = f"case:{code}"
        if stream not in found.streams:
            if journal.head_of(connection, stream).version == 0:
                raise cases.not_for_you(code)
            # Its bytes hold, but nobody may be able to read what they say.
            if audit.unreadable(connection, code) is None:
                raise StepRefused(f"{code} 的日志核验无误，不需要隔离", place=code)
        mark = fingerprint(connection, code)
        held = standing(connection).get(code)
        if held is not None and held.fingerprint == mark:
            raise Conflict(f"{code} 已隔离（第 {held.seq} 条）", place=code)
        proposal = _open_proposal(_all(connection), code, mark)
        people = register.persons(connection)
        if proposal is not None and (
            proposal.role is who.role or people.get(proposal.actor) == who.person
        ):
            told = f"隔离由县清洁取暖办和审计人员两人共同办理；{proposal.actor} 已提出"
            raise StepRefused(
                told,
                place=code,
                remedy=f"请{TOGETHER[proposal.role is TOGETHER[0]].label}的另一人确认",
                reasons=[Reason("separation", "设计 七", told)],
            )
        known = {seq for one in standing(connection).values() for seq in one.missing}
        missing = [seq for seq in found.missing if seq not in known]
        evidence: dict[str, Json] = {"code": code, "fingerprint": mark, "missing": [*missing]}
        kind = PROPOSED if proposal is None else CONFIRMED
        pen = Pen(connection, who, now, register.plan_in_force(connection))
        if proposal is not None:
            evidence["proposal"] = proposal.seq
        event = pen.add(Draft(STREAM, kind, local_date(pen.now), evidence, reason=reason))
        pen.write()
    confirmed = proposal is not None
    return Quarantine(code, event.seq, who.login, who.role, reason, mark, tuple(missing), confirmed)


def _open_proposal(known: list[Quarantine], code: str, mark: str) -> Quarantine | None:
    """The last proposal about the case as it now stands that nobody confirmed yet."""
    found = None
    for one in known:
        if (one.code, one.fingerprint) == (code, mark):
            found = None if one.confirmed else one
    return found
