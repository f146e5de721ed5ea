"""What the database is made of, compared with what the program makes: tables, indexes, triggers.

A constraint or an index that somebody took away lets in what the program itself would not, and a
trigger that somebody added acts behind its back; no row shows either. What may not be there says
so in the audit under `schema_differs`.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Index, Inspector, Table, UniqueConstraint, inspect
from sqlalchemy.types import NullType, TypeEngine

from workflow import triggers
from workflow.models import metadata

VERSION_TABLE = "alembic_version"
Indexes = dict[str, tuple[tuple[str, ...], bool, str]]  # name -> columns, unique, of which rows
Columns = dict[str, tuple[str, bool, bool]]  # name -> type, may be empty, part of the primary key


def differences(connection: Connection) -> Iterator[str]:
    """Every table, column, key, index, view or trigger that is not as the program makes it."""
    seen, sqlite = inspect(connection), connection.dialect.name == "sqlite"
    present = set(seen.get_table_names()) - {VERSION_TABLE}
    for name in sorted(present - metadata.tables.keys()):
        yield f"多出一张表 {name}"
    for name in sorted(seen.get_view_names()):
        yield f"多出一个视图 {name}"
    for name, table in sorted(metadata.tables.items()):
        if name not in present:
            yield f"表 {name} 不在"
            continue
        if _columns(connection, seen, name) != _wanted_columns(connection, table):
            yield f"表 {name} 的列或主键不是本程序所建的"
        if _uniques(seen, name) != _wanted_uniques(table):
            yield f"表 {name} 的唯一约束不是本程序所建的"
        if _indexes(seen, name, sqlite=sqlite) != _wanted_indexes(table, sqlite=sqlite):
            yield f"表 {name} 的索引不是本程序所建的"
    for name in sorted(triggers.there(connection).keys() - triggers.wanted(connection).keys()):
        yield f"多出一个触发器 {name}"


# Where plans' tables are partitions of a city's, their administrator adds it (docs/province.md).
PARTITIONED_BY = "plan_name"


def _columns(connection: Connection, seen: Inspector, name: str) -> Columns:
    keys = seen.get_pk_constraint(name)["constrained_columns"]
    return {
        column["name"]: (
            _type(connection, column["type"]),
            column["nullable"],
            column["name"] in keys,
        )
        for column in seen.get_columns(name)
        if column["name"] != PARTITIONED_BY
    }


def _wanted_columns(connection: Connection, table: Table) -> Columns:
    return {
        column.name: (
            _type(connection, column.type),
            bool(column.nullable),
            column.primary_key,
        )
        for column in table.columns
    }


def _type(connection: Connection, type_: TypeEngine[Any]) -> str:
    # PostgreSQL tells types and conditions in words of its own.
    if connection.dialect.name != "sqlite" or isinstance(type_, NullType):
        return ""
    return type_.compile(dialect=connection.dialect)


def _uniques(seen: Inspector, name: str) -> set[tuple[str, ...]]:
    return {
        tuple(one["column_names"])
        for one in seen.get_unique_constraints(name)
        if PARTITIONED_BY not in one["column_names"]
    }


def _wanted_uniques(table: Table) -> set[tuple[str, ...]]:
    return {
        tuple(column.name for column in one.columns)
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    }


def _indexes(seen: Inspector, name: str, *, sqlite: bool) -> Indexes:
    return {
        str(one["name"]): (
            tuple(str(column) for column in one["column_names"]),
            bool(one["unique"]),
            str(one.get("dialect_options", {}).get("sqlite_where", "")) if sqlite else "",
        )
        for one in seen.get_indexes(name)
        if "duplicates_constraint" not in one
    }


def _wanted_indexes(table: Table, *, sqlite: bool) -> Indexes:
    return {
        str(one.name): (
            tuple(column.name for column in one.columns),
            bool(one.unique),
            _where(one) if sqlite else "",
        )
        for one in table.indexes
    }


def _where(index: Index) -> str:
    condition = index.dialect_options["sqlite"]["where"]
    return "" if condition is None else str(condition)
