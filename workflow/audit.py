"""The audit's way in: the bundle out of the database, and the checks that need the database.

What the bundle says is judged by `workflow.verify`, which shares no code with the rules. What is
added here is what a bundle cannot show: the database's own triggers, and every projection column.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, select, type_coerce
from sqlalchemy.exc import DatabaseError
from sqlalchemy.types import NullType

from states import plan as plans
from states.facts import CaseFacts, fold, serial_held
from states.identity import PersonalData
from states.vocabulary import State
from workflow import (
    cases,
    checkpoint,
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
Progress = Callable[[int, int], None]


def _unwatched(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Verification:
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
    for done, row in enumerate(_raw(connection, "journal", "seq"), start=1):
        if done % 500 == 0:
            progress(done, size)
        body = row["body"]
        yield {
            "type": "event",
            "seq": row["seq"],
            "hash": row["hash"],
            "bytes": body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body),
            "signature": row["signature"],
            "columns": {
                **{name: row[name] for name in _PLAIN_COLUMNS},
                "from": row["from_state"],
                "to": row["to_state"],
            },
        }
    yield from _projections(connection)


_PLAIN_COLUMNS = (
    *("stream", "version", "previous", "kind"),
    *("occurred_on", "recorded_at", "actor", "role"),
)
_CASE_COLUMNS = (
    *("code", "unit", "village", "path", "kind", "area", "quota", "state"),
    *("version", "head_hash", "state_since"),
)
_PERMISSION_COLUMNS = (
    *("seq", "permitted_on", "accepted_on", "acceptance_seq", "ready_on", "readiness_seq"),
    *("season_first_day", "season_last_day", "permitted_by", "accepted_by", "plan"),
)


def _raw(connection: Connection, table: str, order: str) -> Iterator[Mapping[str, object]]:
    """The rows as the database holds them: what was tampered with may not even be a date."""
    columns = metadata.tables[table].c
    query = select(*(type_coerce(column, NullType()).label(column.name) for column in columns))
    names = [column.name for column in columns]
    for rows in connection.execute(query.order_by(columns[order])).partitions(500):
        for row in rows:
            yield dict(zip(names, map(_plain, row), strict=True))


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _projections(connection: Connection) -> Iterator[Mapping[str, object]]:
    for row in _raw(connection, "household_case", "code"):
        yield {"type": "case", **{name: row[name] for name in _CASE_COLUMNS}}
    for row in _raw(connection, "permission", "seq"):
        known = {name: row[name] for name in _PERMISSION_COLUMNS}
        yield {"type": "permission", "case": row["case_code"], **known}
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
    except (StopIteration, KeyError, TypeError, ValueError):
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


def report(
    connection: Connection, progress: Progress = _unwatched, receipts: Sequence[str] = ()
) -> verify.Report:
    """What the independent audit says of this database.

    `receipts` are the texts of witness's receipts that came another way than in the database.
    """
    return verify.examine(lines(connection, progress), receipts)


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
    except (
        JournalBroken,
        ValueError,
        TypeError,
        LookupError,
        AssertionError,
        DatabaseError,
    ) as error:
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
    kept = set()
    for row in connection.execute(select(table)):
        kept.add(row.sha256)
        if journal.digest(row.content) != row.sha256:
            message = f"附件 {row.sha256} 的内容被改动过"
            yield Finding("projection_differs", None, None, None, message)
    for seq, stream, hashes in journal.attaching(connection):
        code = stream.removeprefix("case:") if stream.startswith("case:") else None
        for sha256 in sorted(hashes - kept):
            message = f"第 {seq} 号事件的附件 {sha256} 不见了"
            yield Finding("projection_differs", stream, code, seq, message)


def _papers(connection: Connection) -> Mapping[str, list[tuple[int, str]]]:
    """The salted hash of each version of a household's personal data, as it stands there now.

    What the journal says was erased stands as the hash that it had.
    """
    erased = privacy.erased_versions(connection)
    names = [entry.name for entry in fields(PersonalData)]
    found: dict[str, list[tuple[int, str]]] = {}
    table = tables.PERSONAL
    for row in connection.execute(select(table).order_by(table.c.case_code, table.c.version)):
        data = {name: getattr(row, name) for name in names}
        digest = journal.digest(journal.canonical({"salt": row.salt, **data}))
        if (row.case_code, row.version) in erased and not any((row.salt, *data.values())):
            digest = row.digest
        found.setdefault(row.case_code, []).append((row.version, digest))
    return found


def _projections_off(connection: Connection) -> Iterator[Finding]:
    """Columns that replaying the journal through the program's own rules would fill otherwise."""
    plan = register.plan_in_force(connection)
    rows = {row["code"]: row for row in _raw(connection, "household_case", "code")}
    people = register.persons(connection)
    # Broken chains are found already: what they say is compared all the same.
    histories = dict(journal.read_cases(connection, people, checked=False))
    papers = _papers(connection)
    clocks: dict[str, dict[str, tuple[object, object]]] = {}
    for kept in _raw(connection, "deadline", "case_code"):
        of = clocks.setdefault(str(kept["case_code"]), {})
        of[str(kept["name"])] = kept["unit"], kept["due_on"]
    for code in sorted(clocks.keys() - histories.keys()):
        message = f"{code} 有期限而日志中没有这一户"
        yield Finding("projection_differs", f"case:{code}", code, None, message)
    people_data, wanted = cases.personal(connection), dict[tuple[str, str], str]()
    for code, events in histories.items():
        committed = {event.personal for event in events}
        for version, digest in papers.get(code, ()):
            if digest not in committed:
                message = f"{code} 的个人信息（第 {version} 版）与日志所登记的不符"
                yield Finding("projection_differs", f"case:{code}", code, None, message)
        gone = len(committed - {None}) - len(papers.get(code, ()))
        if gone > 0:
            message = f"{code} 的个人信息有 {gone} 版不见了，日志没有登记抹去"
            yield Finding("projection_differs", f"case:{code}", code, None, message)
        facts = fold(code, events)
        if facts is not None:
            serial = serial_held(events)
            wanted |= dict.fromkeys(_keys(facts, people_data.get(code), serial), code)
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
    yield from _keys_off(connection, wanted)


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


def _keys_off(connection: Connection, wanted: Mapping[tuple[str, str], str]) -> Iterator[Finding]:
    """One meter, one ID, one serial of an open case: rows too many, too few, or of another case.

    The values are personal data: the message names the household and the kind alone.
    """
    found = {
        (str(row["kind"]), str(row["value"])): str(row["case_code"])
        for row in _raw(connection, "household_key", "kind")
    }
    for key in sorted({**wanted, **found}):
        if wanted.get(key) == found.get(key):
            continue
        label = _HELD.get(key[0], "未知种类")
        for code, words in ((wanted.get(key), "唯一性登记不见了"), (found.get(key), "多出")):
            if code is not None:
                message = f"{code} 的{label}在唯一性登记（household_key）中与日志不符：{words}"
                yield Finding("projection_differs", f"case:{code}", code, None, message)
