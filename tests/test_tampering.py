"""The tampering matrix: what somebody who holds the file can do, and who notices (docs/proof.md).

Each tampering is done twice, to the live database with plain SQLite and the triggers dropped and
put back, and to the auditor's bundle; each time to a fresh copy. `audit verify` must find the
first, `workflow/verify.py` on a bare Python the second, with code, case and number. There are two
counties, both with a witness outside: in one nobody has a key, in the other everybody signs. What
cannot be found is here too, so that the documentation says neither more nor less than is true.
"""

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import cast

import county
import keys
import pytest
from county import CODE, ONE_DAY, PAPER, PERMITTED, County, every_row
from msgspec import Struct

from states.plan import Json
from states.vocabulary import FactKind
from workflow import audit, checkpoint, engine, journal, note, signing, triggers, verify, witness
from workflow.errors import BadFile, Conflict
from workflow.signing import FileKey
from workflow.tree import Tree

pytestmark = pytest.mark.sqlite

OTHER = county.TOWN[1]
STREAM, ELSEWHERE = f"case:{CODE}", f"case:{OTHER}"
# After these days the witness sees the journal; what comes on `LAST` nobody outside has seen.
SEEN = (county.ACCEPTED, PERMITTED + ONE_DAY)
LAST = PERMITTED + 2 * ONE_DAY
AT = datetime(2024, 4, 3, 8, tzinfo=UTC)
PLACES = 200

Row = dict[str, object]
Found = set[tuple[str, str | None, int | None]]  # code, stream, seq


# Two counties ----------------------------------------------------------------------------------


class World(Struct, frozen=True):
    """A county as it stands at the end, as it stood at the first receipt, and what is outside."""

    file: Path
    backup: Path
    receipt: Path
    held: Mapping[str, FileKey]


def build(folder: Path, logins: Sequence[str]) -> World:
    """Two households from 确村确户 to the permission, one old stove gone; witnessed twice."""
    place = county.fresh(folder)
    held = register_keys(place, folder, logins)
    for state, day, make in county.LIFE:
        for code in (CODE, OTHER):
            order = make(code)
            carry_out(place, held, order, county.usual_login(code, order.kind), day)
        if day == SEEN[0]:
            seen_outside(place, folder, held, day)
            place.sql("VACUUM INTO ?", str(folder / "backup.db"))
        assert place.state(CODE) is state
    for day, make_fact in county.WINTER:
        for code in (CODE, OTHER):
            carry_out(place, held, make_fact(code), "wang", day)
    for code in (CODE, OTHER):
        carry_out(place, held, county.permit(code), "zhang", PERMITTED)
    gone = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    order = county.make_order(CODE, FactKind.OLD_FACILITY, *gone)
    carry_out(place, held, order, "wang", SEEN[1])
    receipt = seen_outside(place, folder, held, SEEN[1])
    for code in (CODE, OTHER):
        fault = county.make_order(code, FactKind.FAULT, ("what", "不热"))
        carry_out(place, held, fault, "wang", LAST)
    place.database.close()
    return World(place.file, folder / "backup.db", receipt, held)


def register_keys(place: County, folder: Path, logins: Sequence[str]) -> dict[str, FileKey]:
    """A key for each; the county's last, for from then on it signs what it registers."""
    (folder / "keys").mkdir()
    return {login: keys.register_key(place, folder / "keys", login) for login in logins}


def carry_out(
    place: County, held: Mapping[str, FileKey], order: engine.Order, login: str, day: date
) -> None:
    now = journal.noon(day)
    with keys.signing_with(place, held.get(login)):
        [answer] = engine.carry_out(place.database, [order], login, now)
    assert isinstance(answer, engine.Receipt), answer


def seen_outside(place: County, folder: Path, held: Mapping[str, FileKey], day: date) -> Path:
    """A round with the witness, whose own receipt stays outside."""
    now = journal.noon(day)
    made = checkpoint.make(place.database, now)
    file = folder / f"to-witness-{made.checkpoint.size}"
    with place.database.reading() as connection:
        file.write_text(checkpoint.request(connection, made.checkpoint, None).text)
        known = checkpoint.witnesses(connection)
    done = witness.witness(file, folder / "state", None if known else "xinzhou", AT)
    if not known:
        with keys.signing_with(place, held.get("zhang")):
            public = folder / "state" / witness.PUBLIC
            checkpoint.add_witness(place.database, public, [PAPER], actor="zhang", now=now)
    checkpoint.import_receipt(place.database, done.file)
    return done.file


@pytest.fixture(scope="module")
def worlds(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    return {
        "unsigned": build(tmp_path_factory.mktemp("unsigned"), ()),
        "signed": build(tmp_path_factory.mktemp("signed"), ("wang", "zhao", "zhang")),
    }


@pytest.fixture(params=["unsigned", "signed"])
def world(request: pytest.FixtureRequest, worlds: dict[str, World]) -> World:
    return worlds[str(request.param)]


@pytest.fixture
def place(world: World, tmp_path: Path) -> Iterator[County]:
    with copy_of(world, tmp_path) as copied:
        yield copied


@contextmanager
def copy_of(world: World, folder: Path) -> Iterator[County]:
    file = folder / "county.db"
    shutil.copy(world.file, file)
    opened = county.open_at(file)
    yield opened
    opened.database.close()


# What is held, in the database or in the bundle --------------------------------------------------


@dataclass
class Event:
    """An event as it lies there."""

    seq: int
    hash: str | None
    body: str
    signature: str | None
    columns: Row

    @property
    def told(self) -> dict[str, Json]:
        return cast(dict[str, Json], json.loads(self.body))

    def says(self, **change: Json) -> None:
        """Other bytes; their hash and the columns beside them are left."""
        self.body = journal.canonical({**self.told, **change}).decode()

    def fits(self) -> None:
        """The hash and the columns that go with the bytes."""
        self.hash = journal.digest(self.body)
        for name in self.columns:
            self.columns[name] = self.told[name]


@dataclass
class Held:
    """All of it, to be tampered with: events in their order, the rows of two tables, receipts."""

    events: list[Event]
    cases: list[Row]
    permissions: list[Row]
    receipts: list[str]
    clocks: list[Row]  # the database's alone

    def of(self, kind: str, stream: str = STREAM) -> Event:
        """The last event of this kind in a stream."""
        return self.stream(stream, kind)[-1]

    def stream(self, stream: str, kind: str | None = None) -> list[Event]:
        """The events of a stream, all or of one kind."""
        return [
            event
            for event in self.events
            if event.columns["stream"] == stream and kind in (None, event.columns["kind"])
        ]

    def after(self, event: Event) -> Event:
        """The next event of the same stream."""
        stream = str(event.columns["stream"])
        return next(one for one in self.stream(stream) if one.seq > event.seq)

    def case(self, code: str = CODE) -> Row:
        return next(row for row in self.cases if row["code"] == code)

    def renumber(self) -> None:
        """Numbers without a gap, in the order in which the events lie."""
        for number, event in enumerate(self.events, start=1):
            event.seq = number


_RENAMED = {"from": "from_state", "to": "to_state"}


def from_database(file: Path) -> Held:
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row

        def rows(table: str) -> list[Row]:
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]

        events = [
            Event(
                int(str(row["seq"])),
                str(row["hash"]),
                cast(bytes, row["body"]).decode(),
                cast(str | None, row["signature"]),
                {name: row[_RENAMED.get(name, name)] for name in verify.JOURNAL_COLUMNS},
            )
            for row in rows("journal")
        ]
        receipts = [str(row["note"]) for row in rows("witness_receipt")]
        tables = rows("household_case"), rows("permission")
        return Held(events, *tables, receipts, rows("deadline"))


@contextmanager
def defenceless(file: Path) -> Iterator[sqlite3.Connection]:
    """Drops the triggers, and puts them back as they were; nothing is written if that fails."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name in triggers.SQLITE:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for statement in triggers.SQLITE.values():
            connection.execute(statement)
        connection.execute("COMMIT")


def into_database(held: Held, file: Path, *, unconstrained: bool = False) -> None:
    """Puts it all there with plain SQL; `unconstrained` into a table made anew that takes all."""
    with defenceless(file) as connection:
        if unconstrained:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(journal)")]
            connection.execute("DROP TABLE journal")
            connection.execute(f"CREATE TABLE journal ({', '.join(columns)})")
        for table in ("journal", "household_case", "permission", "deadline"):
            connection.execute(f"DELETE FROM {table}")
        for event in held.events:
            row = {_RENAMED.get(name, name): value for name, value in event.columns.items()}
            row |= {"seq": event.seq, "hash": event.hash, "body": event.body.encode()}
            insert(connection, "journal", row | {"signature": event.signature})
        tables = {
            "household_case": held.cases,
            "permission": held.permissions,
            "deadline": held.clocks,
        }
        for table, rows in tables.items():
            for row in rows:
                insert(connection, table, row)
        kept = held.receipts or [""]
        marks = ", ".join("?" for _ in kept)
        connection.execute(f"DELETE FROM witness_receipt WHERE note NOT IN ({marks})", kept)


def insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def from_bundle(lines: Sequence[Row]) -> Held:
    events = [
        Event(
            cast(int, line["seq"]),
            cast(str, line["hash"]),
            cast(str, line["bytes"]),
            cast(str | None, line["signature"]),
            cast(Row, line["columns"]),
        )
        for line in lines
        if line["type"] == "event"
    ]
    cases, permissions = ([line for line in lines if line["type"] == kind] for kind in TABLES)
    receipts = [cast(str, line["note"]) for line in lines if line["type"] == "receipt"]
    return Held(events, cases, permissions, receipts, [])


TABLES = ("case", "permission")


def into_bundle(held: Held, lines: Sequence[Row]) -> list[Row]:
    """The lines with what was tampered with in place of what was there; the size in line."""
    header = lines[0] | {"size": len(held.events)}
    rest = [line for line in lines[1:] if line["type"] not in ("event", "receipt", *TABLES)]
    events: list[Row] = [
        {
            "type": "event",
            "seq": event.seq,
            "hash": event.hash,
            "bytes": event.body,
            "signature": event.signature,
            "columns": event.columns,
        }
        for event in held.events
    ]
    receipts: list[Row] = [{"type": "receipt", "note": text} for text in held.receipts]
    return [header, *receipts, *events, *held.cases, *held.permissions, *rest]


def bundle_of(place: County, folder: Path) -> list[Row]:
    file = folder / "bundle.jsonl"
    with place.database.reading() as connection:
        audit.write_bundle(connection, file)
    return [cast(Row, json.loads(line)) for line in file.read_text("utf-8").splitlines()]


# Who looks -------------------------------------------------------------------------------------


def by_the_program(file: Path, *receipts: Path) -> Found:
    """What `audit verify` finds in the database."""
    given = [receipt.read_text() for receipt in receipts]
    place = county.open_at(file)
    with place.database.reading() as connection:
        told = audit.report(connection, receipts=given)
        found = audit.verification(connection, told).findings
    place.database.close()
    return {(one.code, one.stream, one.seq) for one in found}


def by_bare_python(lines: Sequence[Row], folder: Path, *receipts: Path) -> Found:
    """What `verify.py` finds in the bundle, alone on a Python that has nothing else."""
    alone = folder / "alone"
    alone.mkdir(exist_ok=True)
    shutil.copy(verify.__file__, alone / "verify.py")
    bundle = alone / "tampered.jsonl"
    bundle.write_text("".join(journal.canonical(cast(dict[str, Json], line)).decode() + "\n"
                              for line in lines), encoding="utf-8")  # fmt: skip
    given = [word for receipt in receipts for word in ("--receipt", str(receipt))]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", str(bundle), "--json", *given],
        cwd=alone,
        env={"PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    document = json.loads(done.stdout)
    found = {(one["code"], one["stream"], one["seq"]) for one in document["findings"]}
    assert (done.returncode == 6) is bool(found) is not document["verified"]
    return found


def by_python_with_cryptography(lines: Sequence[Row], *receipts: Path) -> Found:
    """What `verify.py` finds in the bundle where signatures can be checked."""
    told = verify.examine(lines, [receipt.read_text() for receipt in receipts])
    assert told.signatures_checked
    return {(one.code, one.stream, one.seq) for one in told.integrity}


# With the triggers in place: blocked -----------------------------------------------------------

SEQ = f"(SELECT MAX(seq) FROM journal WHERE stream = '{STREAM}' AND kind = 'visit')"
BLOCKED = {
    "update": [f"UPDATE journal SET body = x'7b7d' WHERE seq = {SEQ}"],
    "update or replace": [f"UPDATE OR REPLACE journal SET seq = seq + 1 WHERE seq = {SEQ}"],
    "hash set NULL": [f"UPDATE journal SET hash = NULL WHERE seq = {SEQ}"],
    "delete": [f"DELETE FROM journal WHERE seq = {SEQ}"],
    "tail cut": ["DELETE FROM journal WHERE seq = (SELECT MAX(seq) FROM journal)"],
    "middle cut": [f"DELETE FROM journal WHERE seq BETWEEN {SEQ} - 3 AND {SEQ}"],
    "reorder": [f"UPDATE journal SET seq = -seq WHERE seq IN ({SEQ}, {SEQ} - 1)"],
    "insert": ["INSERT INTO journal SELECT * FROM journal WHERE seq = 5"],
    "insert or replace": [
        f"INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = {SEQ}"
    ],
    "replace": [f"REPLACE INTO journal SELECT * FROM journal WHERE seq = {SEQ}"],
    "upsert": [
        f"INSERT INTO journal SELECT * FROM journal WHERE seq = {SEQ}"
        " ON CONFLICT (seq) DO UPDATE SET actor = 'li'"
    ],
    "version reused": [
        "INSERT INTO journal SELECT (SELECT MAX(seq) + 1 FROM journal), stream, version, previous,"
        " kind, from_state, to_state, occurred_on, recorded_at, actor, role, hash, body, signature"
        f" FROM journal WHERE seq = {SEQ}"
    ],
    "signature taken away": [f"UPDATE journal SET signature = NULL WHERE seq = {SEQ}"],
    "state edit": [f"UPDATE household_case SET state = 'stable_season' WHERE code = '{CODE}'"],
    "case deleted": [f"DELETE FROM household_case WHERE code = '{CODE}'"],
    "permission edit": ["UPDATE permission SET permitted_by = 'li'"],
    "permission deleted": ["DELETE FROM permission"],
    "permission of another case": [
        "INSERT INTO permission SELECT seq + 1000, 'RLJ-0001', source_state, permitted_on,"
        " permitted_by, acceptance_seq, accepted_on, accepted_by, readiness_seq, ready_on,"
        " season_first_day, season_last_day, plan FROM permission LIMIT 1"
    ],
}


@pytest.mark.parametrize("name", BLOCKED)
def test_with_the_triggers_in_place_it_is_blocked(place: County, name: str) -> None:
    before = every_row(place)

    for statement in BLOCKED[name]:
        with pytest.raises(sqlite3.IntegrityError, match="xianli: "):
            place.sql(statement)

    assert every_row(place) == before


def test_an_idempotency_key_is_not_taken_for_another_case_or_another_version(
    worlds: dict[str, World], tmp_path: Path
) -> None:
    with copy_of(worlds["unsigned"], tmp_path) as place:
        day = LAST + ONE_DAY
        first = place.advance(CODE, FactKind.VISIT, day, ("temperature", "20"), key="k")
        before = every_row(place)
        for code, temperature in ((OTHER, "20"), (CODE, "21")):
            with pytest.raises(Conflict) as refusal:
                place.advance(code, FactKind.VISIT, day, ("temperature", temperature), key="k")
            assert refusal.value.code == "key_reused"
        again = place.advance(CODE, FactKind.VISIT, day, ("temperature", "20"), key="k")

        assert (again.seq, again.repeated) == (first.seq, True)
        assert every_row(place) == before


# With the triggers dropped and put back: found -------------------------------------------------

Place = tuple[str, str | None, int | None]
Tamper = Callable[[Held], Place]


def update(held: Held) -> Place:
    event = held.of("accept")
    event.says(occurred_on="2023-08-20")
    return "hash_mismatch", STREAM, event.seq


def update_with_columns(held: Held) -> Place:
    event = held.of("accept")
    hash_ = event.hash
    event.says(occurred_on="2023-08-20")
    event.fits()
    event.hash = hash_
    return "hash_mismatch", STREAM, event.seq


def update_with_its_hash(held: Held) -> Place:
    event = held.of("accept")
    event.says(occurred_on="2023-08-20")
    event.fits()
    return "chain_broken", STREAM, held.after(event).seq


def update_of_a_column(held: Held) -> Place:
    event = held.of("accept")
    event.columns["actor"] = "wang-accepts"
    return "columns_differ", STREAM, event.seq


def delete(held: Held) -> Place:
    event = held.stream(STREAM, "visit")[0]
    following = held.after(event)
    held.events.remove(event)
    return "version_gap", STREAM, following.seq


def delete_and_renumber(held: Held) -> Place:
    event = held.stream(STREAM, "visit")[0]
    following = held.after(event)
    held.events.remove(event)
    held.renumber()
    return "chain_broken", STREAM, following.seq


def delete_leaves_a_gap(held: Held) -> Place:
    event = held.stream(STREAM, "visit")[0]
    held.events.remove(event)
    return "seq_gap", None, event.seq + 1


def insert_at_the_end(held: Held) -> Place:
    last = held.of("fault")
    event = Event(held.events[-1].seq + 1, None, last.body, None, dict(last.columns))
    version = cast(int, last.columns["version"])
    event.says(version=version + 1, previous=last.hash)
    event.fits()
    held.events.append(event)
    return "projection_differs", STREAM, None


def insert_in_the_middle(held: Held) -> Place:
    visit = held.stream(STREAM, "visit")[0]
    event = Event(0, None, visit.body, visit.signature, dict(visit.columns))
    version = cast(int, visit.columns["version"])
    event.says(version=version + 1, previous=visit.hash, evidence={"temperature": 25})
    event.fits()
    held.events.insert(held.events.index(visit) + 1, event)
    held.renumber()
    return "chain_broken", STREAM, held.stream(STREAM, "visit")[2].seq


def replace(held: Held) -> Place:
    event, other = held.of("visit"), held.of("signature")
    event.hash, event.body, event.signature = other.hash, other.body, other.signature
    event.columns = dict(other.columns)
    return "version_gap", STREAM, event.seq


def cut_the_tail(held: Held) -> Place:
    del held.events[-1]
    return "projection_differs", ELSEWHERE, None


def cut_the_tail_past_the_receipt(held: Held) -> Place:
    held.events = held.events[: held.of("old-facility").seq - 1]
    rewind(held)
    return "receipt_differs", None, None


def cut_the_middle(held: Held) -> Place:
    """Permission and removal and all between them, in both households."""
    first, last = held.of("permit").seq, held.of("old-facility").seq
    del held.events[first - 1 : last]
    held.renumber()
    return "version_gap", STREAM, held.of("fault").seq


def reorder(held: Held) -> Place:
    one, two = held.stream(STREAM, "visit")
    held.events[one.seq - 1], held.events[two.seq - 1] = two, one
    one.seq, two.seq = two.seq, one.seq
    return "version_gap", STREAM, two.seq


def hash_null(held: Held) -> Place:
    event = held.of("complete")
    event.hash = None
    return "hash_mismatch", STREAM, event.seq


def hash_empty(held: Held) -> Place:
    event = held.of("complete")
    event.hash = ""
    return "hash_mismatch", STREAM, event.seq


def chain_recomputed(held: Held) -> Place:
    """Every hash of the stream from there on; the row of the case is forgotten."""
    head = held.case()["head_hash"]
    recompute(held, held.of("visit"), {}, evidence={"temperature": 25})
    held.case()["head_hash"] = head
    return "projection_differs", STREAM, None


def key_on_another_case(held: Held) -> Place:
    """An event of one case moved to another, with the hash that fits."""
    event = held.of("visit")
    event.says(stream=ELSEWHERE)
    event.fits()
    return "chain_broken", ELSEWHERE, event.seq


def version_twice(held: Held) -> Place:
    one, two = held.stream(STREAM, "visit")
    two.says(version=cast(int, one.columns["version"]) + 2)
    two.fits()
    return "version_gap", STREAM, two.seq


def evidence_swapped(held: Held) -> Place:
    one, two = held.of("complete"), held.of("complete", ELSEWHERE)
    mine, its = one.told["evidence"], two.told["evidence"]
    assert mine != its
    one.says(evidence=its)
    two.says(evidence=mine)
    return "hash_mismatch", ELSEWHERE, two.seq


def attachment_swapped(held: Held) -> Place:
    event = held.of("accept")
    event.says(attachments=[{"name": county.PHOTO.name, "sha256": "0" * 64}])
    return "hash_mismatch", STREAM, event.seq


def plan_edit(held: Held) -> Place:
    """No warm visit needed: the plan of that text is not the one that the events name."""
    event = held.of("plan_adopted", "plan")
    document = cast(dict[str, Json], json.loads(event.body)["evidence"]["document"])
    cast(dict[str, dict[str, Json]], document["rules"])["warm_visits"]["value"] = 0
    event.says(evidence={**cast(dict[str, Json], event.told["evidence"]), "document": document})
    event.fits()
    return "unknown_plan", STREAM, held.of("accept").seq


def genesis_edit(held: Held) -> Place:
    """An exercise that passes for the real thing."""
    event = held.events[0]
    event.says(evidence={**cast(dict[str, Json], event.told["evidence"]), "drill": False})
    event.fits()
    return "receipt_invalid", None, None


def checkpoint_edit(held: Held) -> Place:
    event = held.of("checkpoint_made", "checkpoints")
    evidence = cast(dict[str, Json], event.told["evidence"])
    event.says(evidence=evidence | {"root": base64.b64encode(b"1" * 32).decode()})
    event.fits()
    return "checkpoint_differs", "checkpoints", event.seq


def state_edit(held: Held) -> Place:
    held.case(OTHER)["state"] = "closed"
    return "projection_differs", ELSEWHERE, None


def version_edit(held: Held) -> Place:
    held.case()["version"] = 3
    return "projection_differs", STREAM, None


def case_deleted(held: Held) -> Place:
    held.cases.remove(held.case())
    return "projection_differs", STREAM, None


def permission_edit(held: Held) -> Place:
    row = held.permissions[0]
    row["accepted_on"] = "2023-08-20"
    return "projection_differs", STREAM, cast(int, row["seq"])


def permission_deleted(held: Held) -> Place:
    seq = held.permissions.pop(0)["seq"]
    return "projection_differs", STREAM, cast(int, seq)


TAMPERINGS = (
    *(update, update_with_columns, update_with_its_hash, update_of_a_column),
    *(delete, delete_and_renumber, delete_leaves_a_gap, insert_at_the_end, insert_in_the_middle),
    *(replace, cut_the_tail, cut_the_tail_past_the_receipt, cut_the_middle, reorder),
    *(hash_null, hash_empty, chain_recomputed, key_on_another_case, version_twice),
    *(evidence_swapped, attachment_swapped, plan_edit, genesis_edit, checkpoint_edit),
    *(state_edit, version_edit, case_deleted, permission_edit, permission_deleted),
)

# What even the table itself refuses, the triggers away: it has to be made anew without its keys.
CONSTRAINED = (insert_in_the_middle, replace, key_on_another_case, version_twice, hash_null)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_in_the_database_it_is_found_with_case_and_seq(place: County, tamper: Tamper) -> None:
    held = from_database(place.file)
    place.database.close()
    expected = tamper(held)
    if tamper in CONSTRAINED:
        with pytest.raises(sqlite3.IntegrityError):
            into_database(held, place.file)
    into_database(held, place.file, unconstrained=tamper in CONSTRAINED)

    found = by_the_program(place.file)

    assert expected in found
    assert "trigger_missing" not in {code for code, _, _ in found}


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_in_the_bundle_a_bare_python_finds_it(
    worlds: dict[str, World], tmp_path: Path, tamper: Tamper
) -> None:
    for name, world in worlds.items():
        folder = tmp_path / name
        folder.mkdir()
        with copy_of(world, folder) as place:
            lines = bundle_of(place, folder)
        held = from_bundle(lines)
        expected = tamper(held)

        assert expected in by_bare_python(into_bundle(held, lines), folder)


def test_untouched_nothing_is_found(place: County, world: World, tmp_path: Path) -> None:
    """Neither there, nor in what a forger's tools write back as it was."""
    lines = bundle_of(place, tmp_path)
    place.database.close()
    same = into_bundle(from_bundle(lines), lines)
    assert by_the_program(place.file) == by_the_program(place.file, world.receipt) == set()
    into_database(from_database(place.file), place.file)

    assert by_the_program(place.file, world.receipt) == set()
    assert by_bare_python(same, tmp_path, world.receipt) == set()
    assert by_python_with_cryptography(same, world.receipt) == set()


# What a bundle does not carry: only the database itself shows it.
ONLY_THERE: dict[str, tuple[str, Place]] = {
    "trigger dropped": ("DROP TRIGGER journal_no_update", ("trigger_missing", None, None)),
    "personal data edit": (
        f"UPDATE personal SET id_number = '140922197001010019' WHERE case_code = '{CODE}'",
        ("projection_differs", STREAM, None),
    ),
    "personal data moved": (
        f"UPDATE personal SET case_code = '{CODE}', version = 9 WHERE case_code = '{OTHER}'",
        ("projection_differs", ELSEWHERE, None),
    ),
    "personal data deleted": (
        f"DELETE FROM personal WHERE case_code = '{CODE}'",
        ("projection_differs", STREAM, None),
    ),
    "evidence file swapped": (
        "UPDATE attachment SET content = x'00' WHERE size = (SELECT MAX(size) FROM attachment)",
        ("projection_differs", None, None),
    ),
    "evidence file deleted": (
        "DELETE FROM attachment WHERE size = (SELECT MAX(size) FROM attachment)",
        ("projection_differs", STREAM, None),
    ),
    "evidence file swapped for another under its own hash": (
        "UPDATE attachment SET content = x'00', size = 1, sha256 ="
        " '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'"
        " WHERE size = (SELECT MAX(size) FROM attachment)",
        ("projection_differs", STREAM, None),
    ),
    "plan edit": (
        "UPDATE plan_revision SET document = replace(document, '2024-03-31', '2023-12-31')",
        ("projection_differs", "plan", None),
    ),
    "meter freed for another household": (
        f"DELETE FROM household_key WHERE case_code = '{CODE}' AND kind = 'meter'",
        ("projection_differs", STREAM, None),
    ),
    "serial given to another household": (
        f"UPDATE household_key SET case_code = '{OTHER}'"
        f" WHERE case_code = '{CODE}' AND kind = 'serial'",
        ("projection_differs", STREAM, None),
    ),
    "ID number edit": (
        f"UPDATE household_key SET value = '140922197001010019'"
        f" WHERE case_code = '{CODE}' AND kind = 'id_number'",
        ("projection_differs", STREAM, None),
    ),
    "serial held that nobody told": (
        f"INSERT INTO household_key VALUES ('serial', 'SN-X', '{CODE}')",
        ("projection_differs", STREAM, None),
    ),
    "serial held by no household": (
        "INSERT INTO household_key VALUES ('serial', 'SN-X', '999-0001')",
        ("projection_differs", "case:999-0001", None),
    ),
    "trigger added": (
        "CREATE TRIGGER behind AFTER INSERT ON journal BEGIN DELETE FROM flag; END",
        ("schema_differs", None, None),
    ),
    "index dropped": ("DROP INDEX ix_journal_kind", ("schema_differs", None, None)),
    "index over fewer rows": (
        "DROP INDEX deadline_next_rung; CREATE INDEX deadline_next_rung ON deadline (next_rung_on)"
        " WHERE next_rung_on > '2024-01-01'",
        ("schema_differs", None, None),
    ),
    "table added": ("CREATE TABLE notes (code TEXT)", ("schema_differs", None, None)),
    "view added": (
        "CREATE VIEW officers AS SELECT * FROM officer",
        ("schema_differs", None, None),
    ),
    "column added": ("ALTER TABLE gate ADD COLUMN note TEXT", ("schema_differs", None, None)),
    "table dropped": ("DROP TABLE notice", ("schema_differs", None, None)),
    "keys without their constraint": (
        "CREATE TABLE other AS SELECT * FROM household_key; DROP TABLE household_key;"
        " ALTER TABLE other RENAME TO household_key",
        ("schema_differs", None, None),
    ),
    "deadline edit": (
        f"DELETE FROM deadline WHERE case_code = '{CODE}' AND name = 'heat'",
        ("projection_differs", STREAM, None),
    ),
}


@pytest.mark.parametrize("name", ONLY_THERE)
def test_what_no_bundle_carries_is_found_in_the_database(place: County, name: str) -> None:
    statement, (code, stream, _) = ONLY_THERE[name]
    before = every_row(place)
    with closing(sqlite3.connect(place.file)) as connection:
        connection.executescript(statement)
    place.database.close()

    assert code in ("trigger_missing", "schema_differs") or every_row(place) != before
    assert (code, stream) in {found[:2] for found in by_the_program(place.file)}


# Single bits -----------------------------------------------------------------------------------


def flipped(value: object, chance: Random) -> object:
    """The value with one bit of it the other way; None stays."""
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(8)
    if not isinstance(value, str | bytes) or not value:
        return None
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def put(file: Path, column: str, seq: object, value: object, kind: str) -> None:
    with defenceless(file) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        statement = f"UPDATE journal SET {column} = CAST(? AS {kind}) WHERE seq = ?"
        connection.execute(statement, (value, seq))


def test_a_single_bit_flipped_anywhere_in_the_journal_is_found_or_nothing_is_read(
    worlds: dict[str, World], tmp_path: Path
) -> None:
    """Half of the places are in the bytes of events, half in the columns beside them."""
    chance = Random(6962)
    with copy_of(worlds["signed"], tmp_path) as place:
        place.database.close()
        names = [str(row[1]) for row in place.sql("PRAGMA table_info(journal)")]
        [[size]] = place.sql("SELECT COUNT(*) FROM journal")
        assert isinstance(size, int)
        tried: list[str] = []
        while len(tried) < PLACES:
            column = "body" if chance.random() < 0.5 else chance.choice(names)
            [[seq, value]] = place.sql(
                f"SELECT seq, {column} FROM journal ORDER BY seq LIMIT 1 OFFSET ?",
                chance.randrange(size),
            )
            other = flipped(value, chance)
            if other is None:
                continue
            kind = {int: "INTEGER", str: "TEXT", bytes: "BLOB"}[type(value)]
            at = other if column == "seq" else seq
            with suppress(sqlite3.IntegrityError):  # the table's own keys refuse it
                put(place.file, column, seq, other, kind)
                with suppress(BadFile):  # a text that is none any more: nothing is read at all
                    assert by_the_program(place.file), (column, seq, value, other)
                put(place.file, column, at, value, kind)
            tried.append(column)

        assert set(tried) == set(names)
        assert by_the_program(place.file) == set()


def test_a_single_bit_flipped_anywhere_in_the_bundle_is_found(
    worlds: dict[str, World], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the triggers' text in its first line, which is there to be read by people."""
    chance = Random(9162)
    with copy_of(worlds["signed"], tmp_path) as place:
        bundle_of(place, tmp_path)
    whole = (tmp_path / "bundle.jsonl").read_bytes()
    said = whole.index(b'"triggers":'), whole.index(b"\n")
    file = tmp_path / "flipped.jsonl"
    tried = 0
    while tried < PLACES:
        place_ = chance.randrange(len(whole))
        if said[0] <= place_ < said[1] - 1:
            continue
        tried += 1
        bent = bytearray(whole)
        bent[place_] ^= 1 << chance.randrange(8)
        file.write_bytes(bent)

        assert verify.main([str(file), "--json"]) in (3, 6), bytes(bent[place_ - 40 : place_ + 40])
    file.write_bytes(whole)
    assert verify.main([str(file), "--json"]) == 0
    capsys.readouterr()


# Signatures ------------------------------------------------------------------------------------


def signature_of_another_case(held: Held) -> Place:
    event = held.of("visit")
    event.signature = held.of("visit", ELSEWHERE).signature
    return "signature_invalid", STREAM, event.seq


def signature_of_another_version(held: Held) -> Place:
    one, two = held.stream(STREAM, "visit")
    two.signature = one.signature
    return "signature_invalid", STREAM, two.seq


def signature_of_another_officer(held: Held) -> Place:
    event = held.of("visit")
    event.signature = held.of("accept").signature
    return "signature_invalid", STREAM, event.seq


def signature_taken_away(held: Held) -> Place:
    event = held.of("visit")
    event.signature = None
    return "signature_missing", STREAM, event.seq


def insert_unsigned(held: Held) -> Place:
    insert_at_the_end(held)
    return "signature_missing", STREAM, held.events[-1].seq


def everything_recomputed(held: Held) -> Place:
    """By somebody who holds the file and no key."""
    event = held.of("visit")
    recompute(held, event, {}, evidence={"temperature": 25})
    return "signature_invalid", STREAM, event.seq


@pytest.mark.parametrize(
    ("tamper", "bare"),
    [
        (signature_of_another_case, False),
        (signature_of_another_version, False),
        (signature_of_another_officer, True),
        (signature_taken_away, True),
        (insert_unsigned, True),
        (everything_recomputed, False),
    ],
)
def test_a_forged_signature_is_found_where_signatures_can_be_checked(
    worlds: dict[str, World], tmp_path: Path, tamper: Tamper, *, bare: bool
) -> None:
    """`bare`: a Python without cryptography sees it too; the others it sees by the receipt."""
    world = worlds["signed"]
    with copy_of(world, tmp_path) as place:
        lines = bundle_of(place, tmp_path)
    held, told = from_database(place.file), from_bundle(lines)
    expected = tamper(held)
    assert tamper(told) == expected
    into_database(held, place.file)
    tampered = into_bundle(told, lines)

    assert expected in by_the_program(place.file)
    assert expected in by_python_with_cryptography(tampered)
    found = by_bare_python(tampered, tmp_path, world.receipt)
    assert (expected in found) is bare
    assert bare or "receipt_differs" in {code for code, _, _ in found}


# The forger who does everything right -----------------------------------------------------------


def recompute(held: Held, changed: Event, stolen: Mapping[str, FileKey], **change: Json) -> None:
    """A change to one event, and all that follows from it: hashes, chains, roots, rows, receipts.

    What bears a signature is signed anew where the forger has the key.
    """
    changed.says(**change)
    heads: dict[str, str] = {}
    tree = Tree([])
    for event in held.events:
        stream = str(event.told["stream"])
        before = event.body
        event.says(previous=heads.get(stream))
        if event.told["kind"] == "checkpoint_made":
            evidence = cast(dict[str, Json], event.told["evidence"])
            event.says(evidence=evidence | {"root": base64.b64encode(tree.root()).decode()})
        touched = event is changed or event.body != before
        event.fits()
        key = stolen.get(str(event.told["actor"]))
        if touched and event.signature is not None and key is not None:
            event.signature = signing.sign(key, event.body.encode(), signing.namespace(drill=True))
        heads[stream] = str(event.hash)
        tree.append(checkpoint.entry(event.seq, str(event.hash), event.signature))
    for row in held.cases:
        row["head_hash"] = heads[f"case:{row['code']}"]
    held.receipts.clear()


def rewind(held: Held) -> None:
    """The rows as the events that are left make them; nothing here moved a case."""
    for row in held.cases:
        last = held.stream(f"case:{row['code']}")[-1]
        row["version"], row["head_hash"] = last.columns["version"], last.hash


def look(
    world: World, folder: Path, tamper: Callable[[Held], None], *receipts: Path
) -> tuple[Found, Found, Found]:
    """What the program, bare Python, and Python with cryptography find."""
    folder.mkdir()
    with copy_of(world, folder) as place:
        lines = bundle_of(place, folder)
    held, told = from_database(place.file), from_bundle(lines)
    tamper(held)
    tamper(told)
    into_database(held, place.file)
    tampered = into_bundle(told, lines)
    return (
        by_the_program(place.file, *receipts),
        by_bare_python(tampered, folder, *receipts),
        by_python_with_cryptography(tampered, *receipts),
    )


NOTHING: tuple[Found, Found, Found] = (set(), set(), set())


def covers(receipt: Path) -> int:
    return note.read_receipt(receipt.read_text(), "").checkpoint.size


@pytest.mark.parametrize("name", ["unsigned", "signed"])
def test_the_whole_chain_recomputed_is_found_by_the_receipt_and_by_nothing_else(
    worlds: dict[str, World], tmp_path: Path, name: str
) -> None:
    """Without signatures whoever has the file can do it; with them whoever has the keys too."""
    world = worlds[name]

    def forge(held: Held) -> None:
        recompute(held, held.of("visit"), world.held, evidence={"temperature": 25})

    differs = {("receipt_differs", None, covers(world.receipt))}

    assert look(world, tmp_path / "without", forge) == NOTHING
    assert look(world, tmp_path / "with", forge, world.receipt) == (differs,) * 3


@pytest.mark.parametrize("name", ["unsigned", "signed"])
def test_in_the_unwitnessed_window_who_has_the_keys_rewrites_unseen(
    worlds: dict[str, World], tmp_path: Path, name: str
) -> None:
    world = worlds[name]

    def forge(held: Held) -> None:
        event = held.of("fault")
        assert event.seq > covers(world.receipt)
        receipts = list(held.receipts)
        recompute(held, event, world.held, evidence={"what": "小毛病"})
        held.receipts = receipts

    assert look(world, tmp_path / "window", forge, world.receipt) == NOTHING


@pytest.mark.parametrize("name", ["unsigned", "signed"])
def test_a_tail_cut_within_the_unwitnessed_window_is_not_found(
    worlds: dict[str, World], tmp_path: Path, name: str
) -> None:
    """No key is needed for it: signatures do not show what is missing."""

    def cut(held: Held) -> None:
        del held.events[-2:]
        rewind(held)
        # The faults that are no longer there leave nobody without heat.
        held.clocks = [row for row in held.clocks if row["name"] != "heat"]

    def cut_past_the_receipt(held: Held) -> None:
        cut_the_tail_past_the_receipt(held)
        held.receipts.clear()

    world = worlds[name]
    assert look(world, tmp_path / "window", cut, world.receipt) == NOTHING
    found = look(world, tmp_path / "past", cut_past_the_receipt, world.receipt)
    assert all(("receipt_differs", None, None) in one for one in found)


def test_an_old_backup_put_back_is_found_by_the_witnesss_own_receipt_only(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "county.db"
    shutil.copy(world.backup, file)
    place = county.open_at(file)
    lines = bundle_of(place, tmp_path)
    place.database.close()

    assert by_the_program(file) == by_bare_python(lines, tmp_path) == set()
    differs = {("receipt_differs", None, None)}
    assert by_the_program(file, world.receipt) == differs
    assert by_bare_python(lines, tmp_path, world.receipt) == differs
    assert by_python_with_cryptography(lines, world.receipt) == differs


def test_of_two_forks_the_receipt_shows_which_was_not_witnessed(
    world: World, tmp_path: Path
) -> None:
    """Both written by the officers themselves, with their own keys."""
    file = tmp_path / "county.db"
    shutil.copy(world.backup, file)
    place = county.open_at(file)
    for number in range(40):
        code = (CODE, OTHER)[number % 2]
        visit = county.make_order(code, FactKind.VISIT, ("temperature", "20"))
        carry_out(place, world.held, visit, "wang", SEEN[0] + ONE_DAY)
    lines = bundle_of(place, tmp_path)
    place.database.close()

    assert by_the_program(file) == by_bare_python(lines, tmp_path) == set()
    differs = {("receipt_differs", None, covers(world.receipt))}
    assert by_the_program(file, world.receipt) == differs
    assert by_bare_python(lines, tmp_path, world.receipt) == differs
