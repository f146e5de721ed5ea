"""Work on thousands of cases at once: what can be done once, or left alone meanwhile."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

from sqlalchemy import Connection, Date, Delete, Insert, Update
from sqlalchemy.types import TypeEngine

_Row = Mapping[str, object]
_Process = Callable[[object], object]


@contextmanager
def many_objects() -> Iterator[None]:
    """Lets the collector of cycles rest, which else looks at each of them again and again.

    Facts and events hold no cycles: they go when the last name for them goes. A fifth of the time
    of a bulk is saved.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Rows:
    """A statement for many rows, compiled once for each kind of database.

    `write` does with its rows what `Connection.execute` does, which takes two thirds of its time
    for putting each row's parameters together anew. Every row gives every parameter.
    """

    def __init__(self, statement: Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def write(self, connection: Connection, rows: Sequence[_Row]) -> int:
        """Writes the rows, at least one; answers how many of the table's it touched."""
        asked = connection.dialect.name, *rows[0]
        if asked not in self._compiled:
            self._compiled[asked] = _Compiled(connection, self._statement, tuple(rows[0]))
        return self._compiled[asked].write(connection, rows)


class _Compiled:
    """The statement's text for one kind of database, and how its parameters go into it."""

    def __init__(
        self, connection: Connection, statement: Insert | Update | Delete, keys: tuple[str, ...]
    ) -> None:
        compiled = statement.compile(
            dialect=connection.dialect, column_keys=list(keys), for_executemany=True
        )
        types = {name: bound.type for bound, name in compiled.bind_names.items()}
        self._text = str(compiled)
        self._positional = connection.dialect.positional
        names = (compiled.positiontup or ()) if self._positional else types
        self._binds = [(name, _process(types[name], connection)) for name in names]

    def write(self, connection: Connection, rows: Sequence[_Row]) -> int:
        binds = self._binds
        given: list[tuple[object, ...]] | list[dict[str, object]]
        if self._positional:
            given = [tuple([make(row[n]) if make else row[n] for n, make in binds]) for row in rows]
        else:
            given = [{n: make(row[n]) if make else row[n] for n, make in binds} for row in rows]
        done = connection.exec_driver_sql(self._text, given if len(given) > 1 else given[0])
        return done.rowcount


def _process(type_: TypeEngine[object], connection: Connection) -> _Process | None:
    """How a value of this type is given to the driver; None where it is given as it is."""
    process = type_.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if process is None or not isinstance(type_, Date):
        return process
    # Thousands of rows share a few days.
    return lru_cache(maxsize=256)(process)
