"""A big county out of a small one: every household's verified stream again, under other codes.

What the engine decided for the small county is copied event by event: each copy has its own code,
meter, ID and serial, its own salted digest of personal data, and so its own bytes, hashes, chain.
No rule is asked again, and no table is filled but as its stream says: `audit verify` has the last
word.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import counties
from msgspec import Struct

from states.plan import Plan
from workflow import journal

EMPTIED = ("journal", "household_case", "deadline", "permission", "personal", "household_key")
# What a copy could not be told of: rows that belong to a moment, not to a stream.
UNTOUCHED = ("flag", "notice", "message", "letter", "receipt")
_HELD = 20_000


class _Columns(Struct, frozen=True):
    """The columns of a table, and where some of them stand."""

    table: str
    names: tuple[str, ...]

    def insert(self) -> str:
        """The statement that puts a row in."""
        marks = ", ".join("?" for _ in self.names)
        return f"INSERT INTO {self.table} ({', '.join(self.names)}) VALUES ({marks})"

    def select(self, order: str) -> str:
        """The statement that reads every row."""
        return f"SELECT {', '.join(self.names)} FROM {self.table} ORDER BY {order}"


def multiply(source: Path, target: Path, size: int, plan: Plan) -> None:
    """Writes a county of so many households; the first of them are the small county's own."""
    shutil.copy(source, target)
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = sqlite3.connect(target, isolation_level=None)
    # Nothing is lost with a copy that was not finished.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
        writing.execute(f"PRAGMA {pragma}")
    triggers = writing.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    kept = [(str(name), str(text)) for name, text in triggers]
    writing.execute("BEGIN IMMEDIATE")
    for name, _ in kept:
        writing.execute(f"DROP TRIGGER {name}")
    for table in UNTOUCHED:
        if reading.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            raise SystemExit(f"a county with rows in {table} cannot be multiplied")
    for table in EMPTIED:
        writing.execute(f"DELETE FROM {table}")
    _Copying(reading, writing, size, plan).run()
    for _, text in kept:
        writing.execute(text)
    writing.execute("COMMIT")
    writing.execute("PRAGMA journal_mode = WAL")
    writing.close()
    reading.close()


class _Copying:
    """The small county being read, the big one being written."""

    def __init__(
        self, reading: sqlite3.Connection, writing: sqlite3.Connection, size: int, plan: Plan
    ) -> None:
        self._reading, self._writing = reading, writing
        codes = "SELECT code, unit FROM household_case ORDER BY code"
        households = [(str(code), str(unit)) for code, unit in reading.execute(codes)]
        self._codes = _codes(households, size)
        self._heads: dict[str, tuple[int, str]] = {}
        self._numbers: dict[str, int] = {}
        self._seqs: dict[tuple[int, int], int] = {}
        units = {unit.code: unit for unit in plan.units}
        self._place = {code: (units[unit], units[unit].tasks[0]) for code, unit in households}

    def _columns(self, table: str) -> _Columns:
        found = self._reading.execute(f"SELECT name FROM pragma_table_info('{table}')")
        return _Columns(table, tuple(str(name) for (name,) in found))

    def run(self) -> None:
        """Copies everything."""
        permitted = "SELECT acceptance_seq, readiness_seq FROM permission"
        # Only the events that a permission names have to be found again.
        self._named = {seq for row in self._reading.execute(permitted) for seq in row}
        self._journal()
        for table, order in (("household_case", "code"), ("deadline", "case_code")):
            self._of_cases(table, order)
        self._of_cases("household_key", "value", kinds=("serial",))
        self._permissions()

    def _journal(self) -> None:
        columns = self._columns("journal")
        at = {name: place for place, name in enumerate(columns.names)}
        papers, keys = self._columns("personal"), self._columns("household_key")
        seq = 0
        held: list[tuple[object, ...]] = []
        held_papers: list[tuple[object, ...]] = []
        held_keys: list[tuple[object, ...]] = []

        def put() -> None:
            self._writing.executemany(columns.insert(), held)
            self._writing.executemany(papers.insert(), held_papers)
            self._writing.executemany(keys.insert(), held_keys)
            for rows in (held, held_papers, held_keys):
                rows.clear()

        for row in self._reading.execute(columns.select("seq")):
            stream = str(row[at["stream"]])
            if not stream.startswith("case:"):
                seq += 1
                held.append(_with(row, {at["seq"]: seq}))
                continue
            code, body, was = stream.removeprefix("case:"), row[at["body"]], row[at["previous"]]
            for copy, other in enumerate(self._codes[code]):
                seq += 1
                version, previous = self._heads.get(other, (0, None))
                told = body.replace(code.encode(), other.encode())
                if previous is not None:
                    told = told.replace(str(was).encode(), previous.encode())
                if row[at["kind"]] == "registered":
                    paper, known_by = self._papers(code, other)
                    digest = str(paper["digest"])
                    told = told.replace(_digest_in(body), b'"personal":"%s"' % digest.encode())
                    held_papers.append(tuple(paper[name] for name in papers.names))
                    held_keys += [tuple(key[name] for name in keys.names) for key in known_by]
                hash_ = journal.digest(told)
                self._heads[other] = (version + 1, hash_)
                if row[at["seq"]] in self._named or row[at["kind"]] == "permit":
                    self._seqs[row[at["seq"]], copy] = seq
                changed = {"seq": seq, "stream": f"case:{other}", "previous": previous}
                changed |= {"hash": hash_, "body": told}
                held.append(_with(row, {at[name]: value for name, value in changed.items()}))
            if len(held) >= _HELD:
                put()
        put()

    def _papers(
        self, code: str, other: str
    ) -> tuple[Mapping[str, object], Sequence[Mapping[str, object]]]:
        """A copy's personal data, with a number that no other household has, and its keys."""
        number = len(self._numbers)
        self._numbers[other] = number
        row = counties.household(*self._place[code], number)
        return counties.paper(other, row.personal), counties.known_by(other, row.personal)

    def _of_cases(self, table: str, order: str, kinds: Sequence[str] = ()) -> None:
        columns = self._columns(table)
        place = columns.names.index("code" if table == "household_case" else "case_code")
        rows: Iterable[tuple[object, ...]] = self._reading.execute(columns.select(order))
        if kinds:
            of = columns.names.index("kind")
            rows = [row for row in rows if row[of] in kinds]
        self._writing.executemany(columns.insert(), self._again(columns, place, rows))

    def _again(
        self, columns: _Columns, place: int, rows: Iterable[tuple[object, ...]]
    ) -> Iterator[tuple[object, ...]]:
        names = columns.names
        for row in rows:
            code = str(row[place])
            for other in self._codes[code]:
                changed: dict[int, object] = {place: other}
                if "head_hash" in names:
                    changed[names.index("head_hash")] = self._heads[other][1]
                if columns.table == "household_key":
                    value = names.index("value")
                    changed[value] = str(row[value]).replace(code, other)
                yield _with(row, changed)

    def _permissions(self) -> None:
        columns = self._columns("permission")
        at = {name: place for place, name in enumerate(columns.names)}
        numbered = ("seq", "acceptance_seq", "readiness_seq")
        rows = []
        for row in self._reading.execute(columns.select("seq")):
            for copy, other in enumerate(self._codes[str(row[at["case_code"]])]):
                changed: dict[int, object] = {at["case_code"]: other}
                changed |= {at[name]: self._seqs[row[at[name]], copy] for name in numbered}
                rows.append(_with(row, changed))
        self._writing.executemany(columns.insert(), rows)


def _codes(households: Sequence[tuple[str, str]], size: int) -> Mapping[str, Sequence[str]]:
    """Each household's own code and those of its copies: each unit's numbers go on."""
    numbers = Counter(unit for _, unit in households)
    found = {code: [code] for code, _ in households}
    for index in range(size - len(households)):
        code, unit = households[index % len(households)]
        numbers[unit] += 1
        found[code].append(f"{unit}-{numbers[unit]:04d}")
    return found


def _with(row: Sequence[object], changed: Mapping[int, object]) -> tuple[object, ...]:
    found = list(row)
    for place, value in changed.items():
        found[place] = value
    return tuple(found)


def _digest_in(body: bytes) -> bytes:
    begins = body.index(b'"personal":"')
    return body[begins : body.index(b'"', begins + 12) + 1]
