"""The audit's way in: the bundle out of the database, and the checks that need the database.

What the bundle says is judged by `workflow.verify`, which shares no code with the rules. What is
added here is what a bundle cannot show: the database's own triggers, and every projection column.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, Connection, Date, Text, cast, func, select, type_coerce
from sqlalchemy.exc import DatabaseError
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from states import plan as plans
from states.errors import MISSHAPEN
from states.facts import CaseFacts, Event, fold, serial_held
from states.identity import PersonalData
from states.vocabulary import State
from workflow import (
    bulk,
    cases,
    checkpoint,
    db,
    due,
    fingerprint,
    journal,
    letters,
    privacy,
    register,
    tables,
    triggers,
    verify,
)
from workflow.errors import BadFile, JournalBroken
from workflow.models import (
    metadata,
)
from workflow.verify import Finding

FORMAT = "xianli-bundle/1"
_BATCH = 500
Progress = Callable[[int, int], None]


def _unwatched(done: int, total: int) -> None:
    """Progress that nobody looks at."""


class Verification(Struct, frozen=True):
    """The answer to `audit verify`."""

    events: int
    cases: int
    findings: tuple[Finding, ...]
    grades: Mapping[str, str]
    quarantined: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def proof(self) -> Mapping[str, int]:
        """How many cases have each grade of proof; a case with a finding has none."""
        tainted = {finding.case for finding in self.findings}
        graded = [] if None in tainted else [self.grades[c] for c in self.grades.keys() - tainted]
        return {grade: graded.count(grade) for grade in verify.GRADES}


def lines(
    connection: Connection, progress: Progress = _unwatched
) -> Iterator[Mapping[str, object]]:
    """The auditor's bundle, line by line (docs/journal.md); no personal data."""
    size = journal.size(connection)
    yield {
        "type": "header",
        "format": FORMAT,
        "drill": _drill(connection),
        "size": size,
        "triggers": dict(triggers.there(connection)),
    }
    for note in checkpoint.receipts(connection):
        yield {"type": "receipt", "note": note}
    rows = _rows(connection, "journal", "seq", (*_EVENT, *_SAID.values()))
    for done, (seq, hash_, body, signature, *said) in enumerate(rows, start=1):
        if done % _BATCH == 0:
            progress(done, size)
        yield {
            "type": "event",
            "seq": seq,
            "hash": hash_,
            "bytes": body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body),
            "signature": signature,
            "columns": dict(zip(_SAID, said, strict=True)),
        }
    yield from _projections(connection)


_EVENT = ("seq", "hash", "body", "signature")
# What the columns beside an event's bytes are called in the bundle, and in the database.
_SAID = {
    **{name: name for name in ("stream", "version", "previous", "kind")},
    **{name: name for name in ("occurred_on", "recorded_at", "actor", "role")},
    "from": "from_state",
    "to": "to_state",
}
_CASE_COLUMNS = (
    *("code", "unit", "village", "path", "kind", "area", "quota", "state"),
    *("version", "head_hash", "state_since"),
)
_PERMISSION_COLUMNS = (
    *("seq", "permitted_on", "accepted_on", "acceptance_seq", "ready_on", "readiness_seq"),
    *("season_first_day", "season_last_day", "permitted_by", "accepted_by", "plan"),
)


def _raw(
    connection: Connection, table: str, order: str, codes: Sequence[str] | None = None
) -> Iterator[Mapping[str, object]]:
    """All columns of the rows, by name; as `_rows`."""
    names = metadata.tables[table].c.keys()
    for row in _rows(connection, table, order, names, codes):
        yield dict(zip(names, row, strict=True))


def _rows(
    connection: Connection,
    table: str,
    order: str,
    names: Sequence[str],
    codes: Sequence[str] | None = None,
) -> Iterator[Sequence[Any]]:
    """The rows as the database holds them: what was tampered with may not even be a date.

    With `codes`, those whose column `order` is one of these.
    """
    columns = metadata.tables[table].c
    query = select(*(_as_held(columns[name]).label(name) for name in names))
    if codes is not None:
        query = query.where(columns[order].in_(codes))
    found = connection.execute(
        query.order_by(columns[order]), execution_options={"yield_per": _BATCH}
    )
    return chain.from_iterable(found.partitions())


def _as_held(column: Column[object]) -> ColumnElement[object]:
    # A server's column takes `infinity` for a day, which no driver makes a date of.
    days = isinstance(column.type, Date)
    return cast(column, Text) if days else type_coerce(column, NullType())


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _projections(connection: Connection) -> Iterator[Mapping[str, object]]:
    for case in _rows(connection, "household_case", "code", _CASE_COLUMNS):
        yield {"type": "case", **dict(zip(_CASE_COLUMNS, case, strict=True))}
    named = ("case_code", *_PERMISSION_COLUMNS)
    for code, *said in _rows(connection, "permission", "seq", named):
        yield {
            "type": "permission",
            "case": code,
            **dict(zip(_PERMISSION_COLUMNS, said, strict=True)),
        }
    for row in _raw(connection, "officer", "login"):
        yield {"type": "officer", **row, "active": row["active"] == 1}
    for row in _raw(connection, "officer_key", "added_seq"):
        yield {"type": "key", **row}
    for row in _raw(connection, "gate", "unit"):
        yield {"type": "gate", **row}


def _drill(connection: Connection) -> bool:
    # A tampered first event must not keep the audit from running.
    try:
        return register.is_drill(connection)
    except (StopIteration, *MISSHAPEN):
        return False


def write_bundle(connection: Connection, path: Path, progress: Progress = _unwatched) -> int:
    """Writes the bundle to a new file; answers how many events it holds. Raises BadFile."""
    if path.exists():
        raise BadFile(f"{path} 已存在", place=str(path), remedy="换一个文件名")
    half = path.with_name(f"{path.name}.part")
    try:
        with half.open("w", encoding="utf-8") as file:
            for line in lines(connection, progress):
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        half.rename(path)
    except OSError as error:
        raise BadFile(f"写不了 {path}：{error.strerror}", place=str(path)) from error
    finally:
        half.unlink(missing_ok=True)
    return journal.size(connection)


@bulk.many_objects()
def report(
    connection: Connection, progress: Progress = _unwatched, receipts: Sequence[str] = ()
) -> verify.Report:
    """What the independent audit says of this database.

    `receipts` are the texts of witness's receipts that came another way than in the database.
    """
    return verify.examine(lines(connection, progress), receipts)


@bulk.many_objects()
def verification(connection: Connection, found: verify.Report | None = None) -> Verification:
    """Chains, gap-free seq, replay against every projection, and the database's own guards.

    `found` is the independent audit's report of this very state, where the caller has it already.
    """
    found = found or report(connection)
    findings = [*found.integrity, *_missing_triggers(connection)]
    for message in fingerprint.differences(connection):
        findings.append(Finding("schema_differs", None, None, None, f"库结构：{message}"))
    try:
        findings += _files_off(connection)
        off = list(_county_tables_off(connection))
        # Deadlines are judged by the plan: one that is not the journal's judges nothing.
        findings += off or _projections_off(connection)
    except (JournalBroken, *MISSHAPEN, DatabaseError) as error:
        if isinstance(error, DatabaseError) and db.could_not_answer(error):
            raise
        # Only tampering leaves what cannot be read; the findings above name most of it.
        told = error.orig if isinstance(error, DatabaseError) else error
        message = f"有一张表或一条日志读不出来：{told}"
        findings.append(Finding("projection_differs", None, None, None, message))
    return Verification(found.events, found.cases, tuple(findings), found.grades, found.quarantined)


def _missing_triggers(connection: Connection) -> Iterator[Finding]:
    present = triggers.there(connection)
    for name, statement in triggers.wanted(connection).items():
        if present.get(name) != statement:
            message = f"数据库的保护触发器 {name} 不在或被改过"
            yield Finding("trigger_missing", None, None, None, message)


def _county_tables_off(connection: Connection) -> Iterator[Finding]:
    """Plan, catalogue and letters, where they are not what their streams make of them."""
    adoptions: dict[object, object] = {}
    for event in journal.events_of(connection, "plan", ["plan_adopted"]):
        evidence = event["evidence"]
        assert isinstance(evidence, dict)
        document = evidence["document"]
        assert isinstance(document, dict)
        plan = plans.from_json(document)
        exempt = f",{','.join(plan.rules.exempt_paths.value)},"
        adoptions[plan.hash] = (plan.name, exempt, plan.canonical)
    table = tables.PLAN_REVISION
    kept: dict[object, object] = {
        row.hash: (row.name, row.exempt_paths, row.document)
        for row in connection.execute(select(table))
    }
    yield from _compared("plan", "计划", adoptions, kept)
    models: dict[object, object] = {}
    for event in journal.events_of(connection, "catalogue", ["catalogue_imported"]):
        evidence = event["evidence"]
        assert isinstance(evidence, dict)
        rows = evidence["rows"]
        assert isinstance(rows, list)
        for row in rows:
            assert isinstance(row, dict)
            models[row["model"], row["path"]] = (row["brand"], row["lot"])
    table = tables.CATALOGUE
    listed: dict[object, object] = {
        (row.model, row.path): (row.brand, row.lot) for row in connection.execute(select(table))
    }
    yield from _compared("catalogue", "中标设备清单", models, listed)
    table = tables.LETTER
    sent: dict[object, object] = {
        row.number: (row.kind, row.unit, row.level, _plain(row.issued_on), _plain(row.replied_on))
        for row in connection.execute(select(table))
    }
    yield from _compared(letters.STREAM, "函件", letters.in_journal(connection), sent)


def _compared(
    stream: str, name: str, expected: Mapping[object, object], found: Mapping[object, object]
) -> Iterator[Finding]:
    for key in {**expected, **found}:
        if expected.get(key) != found.get(key):
            shown = "、".join(key) if isinstance(key, tuple) else str(key)
            message = f"{name}表中的“{shown}”与日志不符"
            yield Finding("projection_differs", stream, None, None, message)


def _files_off(connection: Connection) -> Iterator[Finding]:
    """Attached files whose content is not what the journal has the hash of, or that are gone."""
    table = tables.ATTACHMENT
    # A row at a time: each may be a large photo.
    for row in connection.execute(select(table), execution_options={"yield_per": 1}):
        if journal.digest(row.content) != row.sha256:
            message = f"附件 {row.sha256} 的内容被改动过"
            yield Finding("projection_differs", None, None, None, message)
    for part in cases.parts(journal.attaching(connection)):
        named = sorted(set().union(*(hashes for _, _, hashes in part)))
        kept: set[str] = set()
        for start in range(0, len(named), _BATCH):
            there = select(table.c.sha256).where(table.c.sha256.in_(named[start : start + _BATCH]))
            kept.update(connection.execute(there).scalars())
        for seq, stream, hashes in part:
            code = stream.removeprefix("case:") if stream.startswith("case:") else None
            for sha256 in sorted(hashes - kept):
                message = f"第 {seq} 号事件的附件 {sha256} 不见了"
                yield Finding("projection_differs", stream, code, seq, message)


class _Papers(Struct, frozen=True):
    """A household's personal data as it stands there now.

    Its newest version, and the salted hash of each; what the journal says was erased stands as the
    hash that it had.
    """

    newest: PersonalData
    digests: tuple[tuple[int, str], ...] = ()


_NAMES = PersonalData.__struct_fields__
_VERSIONS = select(
    *(tables.PERSONAL.c[name] for name in ("case_code", "version", "salt", "digest", *_NAMES))
).order_by(tables.PERSONAL.c.case_code, tables.PERSONAL.c.version)


def _papers(
    connection: Connection, codes: Sequence[str], erased: Collection[tuple[str, int]]
) -> Mapping[str, _Papers]:
    """What the table of personal data says of these households."""
    found: dict[str, _Papers] = {}
    query = _VERSIONS.where(tables.PERSONAL.c.case_code.in_(codes))
    for code, version, salt, kept, *told in connection.execute(query).all():
        digest = journal.digest(
            journal.canonical({"salt": salt, **dict(zip(_NAMES, told, strict=True))})
        )
        if (code, version) in erased and not any((salt, *told)):
            digest = kept
        before = found[code].digests if code in found else ()
        found[code] = _Papers(PersonalData(*told), (*before, (version, digest)))
    return found


def _projections_off(connection: Connection) -> Iterator[Finding]:
    """Columns that replaying the journal through the program's own rules would fill otherwise.

    Some hundred households at a time, with what each table says of them.
    """
    plan = register.plan_in_force(connection)
    people = register.persons(connection)
    erased = privacy.erased_versions(connection)
    held = _Held()
    with_clocks = 0
    # Broken chains are found already: what they say is compared all the same. A case that cannot be
    # read keeps nobody from looking at the others.
    passed_over: dict[str, int] = {}
    histories = journal.read_cases(connection, people, checked=False, passed_over=passed_over)
    for part in cases.parts(histories):
        codes = [code for code, _ in part]
        papers = _papers(connection, codes, erased)
        rows = {row["code"]: row for row in _raw(connection, "household_case", "code", codes)}
        clocks: dict[str, dict[str, tuple[object, object]]] = {}
        for kept in _raw(connection, "deadline", "case_code", codes):
            of = clocks.setdefault(str(kept["case_code"]), {})
            of[str(kept["name"])] = kept["unit"], kept["due_on"]
            with_clocks += 1
        held.read(connection, codes)
        for code, events in part:
            paper = papers.get(code)
            yield from _papers_off(code, events, paper.digests if paper else ())
            try:
                facts = fold(code, events)
            except JournalBroken as error:
                passed_over[f"case:{code}"] = _seq_in(error)
                continue
            known = paper.newest if paper else None
            wanted = _keys(facts, known, serial_held(events)) if facts is not None else ()
            held.compare(code, min(event.seq for event in events), wanted)
            row = rows.get(code)
            if facts is None or row is None:
                continue
            stream, seq = f"case:{code}", events[-1].seq
            for message in due.off(clocks, facts, plan):
                yield Finding("projection_differs", stream, code, seq, message)
            for name, value in cases.projection(facts, plan).items():
                if row[name] != _plain(value):
                    message = f"{code} 的 {name} 在表中为 {row[name]}，按日志应为 {value}"
                    yield Finding("projection_differs", stream, code, seq, message)
    for code in _strangers(connection, "deadline", with_clocks):
        message = f"{code} 有期限而日志中没有这一户"
        yield Finding("projection_differs", f"case:{code}", code, None, message)
    for code in _strangers(connection, "household_key", held.count):
        held.read(connection, [code])
        held.compare(code, 0, ())
    yield from held.off(connection)
    for stream, seq in sorted(passed_over.items()):
        code = stream.removeprefix("case:")
        message = f"{code} 第 {seq} 条的内容读不出来，该户各表没有核对"
        yield Finding("projection_differs", stream, code, seq, message)


def _seq_in(error: JournalBroken) -> int:
    """The seq at the end of the place that `unreadable` names."""
    return int(str(error.place).rpartition(" ")[2])


# What the independent audit calls an event that says what cannot be read.
_MALFORMED = ("event_malformed", "evidence_malformed", "genesis_malformed", "plan_malformed")


def unreadable(connection: Connection, code: str | None = None) -> Finding | None:
    """The first event, of this case or of all, that cannot be read or that the rules cannot fold.

    What bytes, hashes and chains do not show: asked where reading has failed already.
    """
    found = [
        one
        for one in verify.examine(lines(connection)).integrity
        if one.code in _MALFORMED and (code is None or one.case == code)
    ]
    if not found:
        found = [one for one in _not_folded(connection) if code is None or one.case == code]
    return min(found, key=lambda one: one.seq or 0, default=None)


def _not_folded(connection: Connection) -> Iterator[Finding]:
    passed_over: dict[str, int] = {}
    for code, events in journal.read_cases(connection, {}, checked=False, passed_over=passed_over):
        try:
            fold(code, events)
        except JournalBroken as error:
            passed_over[f"case:{code}"] = _seq_in(error)
    for stream, seq in passed_over.items():
        message = f"第 {seq} 条的内容读不出来"
        yield Finding("event_malformed", stream, stream.removeprefix("case:"), seq, message)


def _strangers(connection: Connection, table: str, read: int) -> list[str]:
    """The cases that a table has rows of and the journal does not know.

    `read` is how many rows were of known ones: as a rule all, and then nobody has to be looked for.
    """
    rows = tables.metadata.tables[table]
    if connection.execute(select(func.count()).select_from(rows)).scalar() == read:
        return []
    streams = tables.JOURNAL.c.stream
    named = connection.execute(select(streams).where(streams.like("case:%")).distinct()).scalars()
    known = {stream.removeprefix("case:") for stream in named}
    return sorted(set(connection.execute(select(rows.c.case_code)).scalars()) - known)


def _papers_off(
    code: str, events: Sequence[Event], papers: Sequence[tuple[int, str]]
) -> Iterator[Finding]:
    """Personal data that is not what the journal committed to, or that is gone."""
    committed = {event.personal for event in events}
    for version, digest in papers:
        if digest not in committed:
            message = f"{code} 的个人信息（第 {version} 版）与日志所登记的不符"
            yield Finding("projection_differs", f"case:{code}", code, None, message)
    gone = len(committed - {None}) - len(papers)
    if gone > 0:
        message = f"{code} 的个人信息有 {gone} 版不见了，日志没有登记抹去"
        yield Finding("projection_differs", f"case:{code}", code, None, message)


# What nobody else may hold as long as a household's case is not closed (design, section 5).
_HELD = {"meter": "用电户号", "id_number": "身份证号", "serial": "设备编号"}


def _keys(
    facts: CaseFacts, known: PersonalData | None, serial: str | None
) -> Iterator[tuple[str, str]]:
    if serial:
        yield "serial", serial
    if known is not None and facts.state is not State.CLOSED:
        for kind, value in (("meter", known.meter), ("id_number", known.id_number)):
            if value:
                yield kind, value


class _Held:
    """One meter, one ID, one serial of an open case: rows too many, too few, or of another case.

    The values are personal data: the messages name the household and the kind alone.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rows: dict[str, set[tuple[str, str]]] = {}
        self._lacking: dict[tuple[str, str], tuple[int, str]] = {}
        self._extra: dict[tuple[str, str], str] = {}

    def read(self, connection: Connection, codes: Sequence[str]) -> None:
        """Takes up the rows of these households, and lets go of those before."""
        self._rows = {}
        for row in _raw(connection, "household_key", "case_code", codes):
            key = str(row["kind"]), str(row["value"])
            self._rows.setdefault(str(row["case_code"]), set()).add(key)
            self.count += 1

    def compare(self, code: str, first: int, wanted: Iterable[tuple[str, str]]) -> None:
        """Compares a household's rows with what it holds; `first` is the seq of its first event."""
        found, wanted = self._rows.get(code, set()), set(wanted)
        for key in wanted - found:
            # Where two hold the same, the row is the later one's.
            self._lacking[key] = max(self._lacking.get(key, (0, "")), (first, code))
        self._extra |= dict.fromkeys(found - wanted, code)

    def off(self, connection: Connection) -> Iterator[Finding]:
        """What was wrong with any household."""
        for key in sorted({**self._lacking, **self._extra}):
            first, lacks = self._lacking.get(key, (0, None))
            has = self._extra.get(key) or _holder(connection, key)
            if has is not None and key not in self._extra and first < _first_of(connection, has):
                continue
            label = _HELD.get(key[0], "未知种类")
            for code, words in ((lacks, "唯一性登记不见了"), (has, "多出")):
                if code is not None:
                    message = f"{code} 的{label}在唯一性登记（household_key）中与日志不符：{words}"
                    yield Finding("projection_differs", f"case:{code}", code, None, message)


def _holder(connection: Connection, key: tuple[str, str]) -> str | None:
    """Which household the row of a key names."""
    of = tables.HOUSEHOLD_KEY.c
    query = select(of.case_code).where(of.kind == key[0], of.value == key[1])
    return connection.execute(query).scalar()


def _first_of(connection: Connection, code: str) -> int:
    """The seq of a household's first event."""
    event = tables.JOURNAL.c
    query = select(func.min(event.seq)).where(event.stream == f"case:{code}")
    return connection.execute(query).scalar() or 0
