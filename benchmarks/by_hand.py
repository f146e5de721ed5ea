"""The floor of what writes: the very rows that the program wrote, put into a copy by hand.

`Hand` looks at what a piece of work changed in one database and writes just that into another, in
one transaction of the same durability, by the driver alone: `sqlite3`, or `psycopg` with its
pipeline and COPY. Tables and indices are the same; the triggers, which are ours, are taken away
from the copy. At the end both databases hold the same rows, and `differences` proves it.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from workflow.sqlite import PRAGMAS

Row = tuple[object, ...]
# What a step can change, in the order in which it is written; the key, and the column of the case.
TABLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "permission": (("seq",), "case_code"),
    "journal": (("seq",), ""),
    "household_case": (("code",), "code"),
    "deadline": (("case_code", "name"), "case_code"),
    "household_key": (("kind", "value"), "case_code"),
    "personal": (("case_code", "version"), "case_code"),
    "flag": (("case_code", "deadline", "rung"), "case_code"),
    "notice": (("key",), "case_code"),
    "attachment": (("sha256",), ""),
}
_DUE = (
    "UPDATE deadline SET next_rung_on = ? WHERE next_rung_on <= ?"
    " RETURNING case_code, name, unit, due_on"
)
_PART = 500
# Rows from which on COPY is quicker than a statement each.
_COPY_FROM = 50


@dataclass
class Change:
    """What became of the rows of one table: all those of `updated` have the same columns."""

    columns: tuple[str, ...]
    inserted: list[Row] = field(default_factory=list)
    deleted: list[Row] = field(default_factory=list)
    changed: tuple[str, ...] = ()
    updated: list[Row] = field(default_factory=list)


Changes = Mapping[str, Change]
Snapshot = Mapping[str, Mapping[Row, Row]]


class Hand(ABC):
    """Reads the changes of one database, writes them into another."""

    def __init__(self) -> None:
        self._columns = {table: self._names(table) for table in TABLES}

    @abstractmethod
    def _names(self, table: str) -> tuple[str, ...]:
        """The table's columns."""

    @abstractmethod
    def _read(self, table: str, column: str, values: Sequence[object]) -> Iterable[Row]:
        """The rows whose column has one of these values."""

    @abstractmethod
    def _read_journal(self, after: int) -> Iterable[Row]:
        """The journal from there on."""

    @abstractmethod
    def last(self) -> int:
        """The seq of the last event."""

    @abstractmethod
    def write(self, changes: Changes) -> None:
        """Writes all of it in one durable transaction: this is what is timed."""

    @abstractmethod
    def differences(self) -> list[str]:
        """The tables in which the two databases are not the same, the journal's triggers aside."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of both databases."""

    def look(self, codes: Sequence[str], hashes: Sequence[str]) -> Snapshot:
        """The rows of these cases, and these files, as they are now."""
        found: dict[str, Mapping[Row, Row]] = {}
        for table, (key, of_case) in TABLES.items():
            if table == "journal":
                continue
            column, values = (of_case, codes) if of_case else ("sha256", hashes)
            places = [self._columns[table].index(name) for name in key]
            found[table] = {
                tuple(row[place] for place in places): row
                for start in range(0, len(values), _PART)
                for row in self._read(table, column, values[start : start + _PART])
            }
        return found

    def changes(self, before: Snapshot, after: Snapshot, seq: int) -> Changes:
        """What became of the rows between two looks; `seq` was the last event before."""
        found = {"journal": Change(self._columns["journal"], list(self._read_journal(seq)))}
        for table, rows in after.items():
            was, columns = before[table], self._columns[table]
            pairs = [(was[key], row) for key, row in rows.items() if was.get(key, row) != row]
            changed = [
                place
                for place in range(len(columns))
                if any(old[place] != new[place] for old, new in pairs)
            ]
            key = [columns.index(name) for name in TABLES[table][0]]
            found[table] = Change(
                columns,
                [row for key, row in rows.items() if key not in was],
                [key for key in was if key not in rows],
                tuple(columns[place] for place in changed),
                [tuple(new[place] for place in (*changed, *key)) for _, new in pairs],
            )
        return {table: found[table] for table in TABLES if _any(found[table])}


def _any(change: Change) -> bool:
    return bool(change.inserted or change.deleted or change.updated)


def _statements(table: str, change: Change, mark: str) -> tuple[str, str, str]:
    """INSERT, DELETE and UPDATE of a table."""
    where = " AND ".join(f"{name} = {mark}" for name in TABLES[table][0])
    values = ", ".join(mark for _ in change.columns)
    columns = ", ".join(change.columns)
    sets = ", ".join(f"{name} = {mark}" for name in change.changed)
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({values})",
        f"DELETE FROM {table} WHERE {where}",
        f"UPDATE {table} SET {sets} WHERE {where}",
    )


def statements(changes: Changes) -> Iterator[tuple[str, list[Row]]]:
    """The changes as SQL for SQLite, each with its rows."""
    for table, change in changes.items():
        insert, delete, update = _statements(table, change, "?")
        yield from (
            (statement, rows)
            for statement, rows in (
                (delete, change.deleted),
                (insert, change.inserted),
                (update, change.updated),
            )
            if rows
        )


class SqliteHand(Hand):
    """By the sqlite3 module, with the settings that the program works with."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source = sqlite3.connect(source)
        self._target = sqlite3.connect(target, isolation_level=None)
        for name, (wanted, _) in PRAGMAS.items():
            self._target.execute(f"PRAGMA {name} = {wanted}")
        found = self._target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in found.fetchall():
            self._target.execute(f"DROP TRIGGER {name}")
        super().__init__()

    def _names(self, table: str) -> tuple[str, ...]:
        found = self._source.execute(f"SELECT name FROM pragma_table_info('{table}')")
        return tuple(str(name) for (name,) in found)

    def _read(self, table: str, column: str, values: Sequence[object]) -> Iterable[Row]:
        marks = ", ".join("?" for _ in values)
        names = ", ".join(self._columns[table])
        query = f"SELECT {names} FROM {table} WHERE {column} IN ({marks})"
        return self._source.execute(query, tuple(values)).fetchall()

    def _read_journal(self, after: int) -> Iterable[Row]:
        names = ", ".join(self._columns["journal"])
        query = f"SELECT {names} FROM journal WHERE seq > ? ORDER BY seq"
        return self._source.execute(query, (after,)).fetchall()

    def last(self) -> int:
        [(seq,)] = self._source.execute("SELECT MAX(seq) FROM journal").fetchall()
        return int(seq)

    def write(self, changes: Changes) -> None:
        self._target.execute("BEGIN IMMEDIATE")
        self._put(changes)
        self._target.execute("COMMIT")

    def sweep(self, next_on: str, today: str, changes: Changes) -> None:
        """Finds and moves in one statement what is due, and writes the rest as `write` does."""
        self._target.execute("BEGIN IMMEDIATE")
        self._target.execute(_DUE, (next_on, today)).fetchall()
        self._put(changes)
        self._target.execute("COMMIT")

    def _put(self, changes: Changes) -> None:
        for statement, rows in statements(changes):
            self._target.executemany(statement, rows)

    def differences(self) -> list[str]:
        [(file,)] = self._target.execute("SELECT file FROM pragma_database_list").fetchall()
        self._source.execute("ATTACH ? AS hand", (file,))
        found = self._source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [str(name) for (name,) in found if not str(name).startswith("sqlite_")]
        return [table for table in tables if self._differ(table)]

    def _differ(self, table: str) -> bool:
        query = f"SELECT COUNT(*) FROM main.{table} UNION ALL SELECT COUNT(*) FROM hand.{table}"
        counts = {count for (count,) in self._source.execute(query)}
        other = f"SELECT * FROM main.{table} EXCEPT SELECT * FROM hand.{table} LIMIT 1"
        return len(counts) > 1 or self._source.execute(other).fetchone() is not None

    def everything(self) -> Changes:
        """All the rows that the target does not have yet, for a source that only grew."""
        found = {}
        for table, columns in self._columns.items():
            [(last,)] = self._target.execute(f"SELECT MAX(rowid) FROM {table}").fetchall()
            query = f"SELECT {', '.join(columns)} FROM {table} WHERE rowid > ?"
            found[table] = Change(columns, self._source.execute(query, (last or 0,)).fetchall())
        return {table: change for table, change in found.items() if _any(change)}

    def close(self) -> None:
        self._source.close()
        self._target.close()


class PostgresqlHand(Hand):
    """By psycopg alone: one round trip for a transaction of few rows, COPY for many."""

    def __init__(self, source: str, target: str) -> None:
        self._source = psycopg.connect(source, autocommit=True)
        self._target = psycopg.connect(target, prepare_threshold=1)
        query = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        for name, table in self._target.execute(query).fetchall():
            drop = sql.SQL("DROP TRIGGER {} ON {}")
            self._target.execute(drop.format(sql.Identifier(name), sql.Identifier(table)))
        self._target.commit()
        super().__init__()

    def _names(self, table: str) -> tuple[str, ...]:
        query = (
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position"
        )
        return tuple(str(name) for (name,) in self._source.execute(query, (table,)))

    def _read(self, table: str, column: str, values: Sequence[object]) -> Iterable[Row]:
        names = ", ".join(self._columns[table])
        query = f"SELECT {names} FROM {table} WHERE {column} = ANY(%s)"
        return self._source.execute(query.encode(), (list(values),)).fetchall()

    def _read_journal(self, after: int) -> Iterable[Row]:
        names = ", ".join(self._columns["journal"])
        query = f"SELECT {names} FROM journal WHERE seq > %s ORDER BY seq"
        return self._source.execute(query.encode(), (after,)).fetchall()

    def last(self) -> int:
        [(seq,)] = self._source.execute("SELECT MAX(seq) FROM journal").fetchall()
        return int(seq)

    def write(self, changes: Changes) -> None:
        many = any(len(change.inserted) >= _COPY_FROM for change in changes.values())
        if many:
            self._write_many(changes)
            return
        with self._target.pipeline(), self._target.transaction():
            for table, change in changes.items():
                insert, delete, update = map(str.encode, _statements(table, change, "%s"))
                for row in change.deleted:
                    self._target.execute(delete, row)
                for row in change.inserted:
                    self._target.execute(insert, row)
                for row in change.updated:
                    self._target.execute(update, row)

    def _write_many(self, changes: Changes) -> None:
        with self._target.transaction(), self._target.cursor() as cursor:
            for table, change in changes.items():
                _, delete, update = map(str.encode, _statements(table, change, "%s"))
                if change.deleted:
                    cursor.executemany(delete, change.deleted)
                if change.inserted:
                    columns = ", ".join(change.columns)
                    copying = f"COPY {table} ({columns}) FROM STDIN"
                    with cursor.copy(copying.encode()) as copy:
                        for row in change.inserted:
                            copy.write_row(row)
                if change.updated:
                    cursor.executemany(update, change.updated)

    def differences(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        tables = [str(name) for (name,) in self._source.execute(query).fetchall()]
        return [table for table in tables if self._rows(table)]

    def _rows(self, table: str) -> bool:
        read = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
        one = {repr(row) for row in self._source.execute(read)}
        return one != {repr(row) for row in self._target.execute(read)}

    def close(self) -> None:
        self._source.close()
        self._target.close()
