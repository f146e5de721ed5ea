"""`workflow/tables.py` names what `workflow/models.py` declares: it is written from it, here.

`XIANLI_WRITE_DOCS=1 pytest tests/test_workflow_tables.py` writes it anew after the models changed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Dialect, MetaData, String, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from workflow import models, tables
from workflow.columns import Instant

FILE = Path(tables.__file__)
STALE = "to refresh: XIANLI_WRITE_DOCS=1 pytest tests/test_workflow_tables.py"
HEAD = '''"""The tables as statements name them. Written from `workflow.models`: do not edit.

The models are the declaration, made with SQLModel; building its classes takes longer than most
commands take for all the rest, so statements stand on these, which are the same tables
(tests/test_workflow_tables.py writes this file and compares them).
"""

from sqlalchemy import Boolean, Column, Date, Integer, LargeBinary, MetaData, String, Table, Text

from workflow.columns import Instant

metadata = MetaData()
'''


def written(metadata: MetaData) -> str:
    """The file."""
    blocks = (_table(table) for _, table in sorted(metadata.tables.items()))
    return "\n".join((HEAD.rstrip("\n"), *blocks)) + "\n"


def _table(table: Table) -> str:
    lines = (f"    {_column(column)},\n" for column in table.columns)
    return f'{table.name.upper()} = Table(\n    "{table.name}",\n    metadata,\n{"".join(lines)})'


def _column(column: Column[object]) -> str:
    kind = type(column.type)
    # SQLModel's strings differ from SQLAlchemy's on databases that are not ours.
    name = "String" if issubclass(kind, String) or kind.__name__ == "AutoString" else kind.__name__
    given = [f'"{column.name}"', "Text" if kind.__name__ == "Text" else name]
    if column.primary_key:
        given.append("primary_key=True")
    elif not column.nullable:
        given.append("nullable=False")
    if isinstance(column.default, ScalarElementColumnDefault):
        given.append(f"default={column.default.arg!r}")
    return f"Column({', '.join(given)})"


def told(metadata: MetaData, dialect: Dialect) -> Iterator[tuple[object, ...]]:
    """What a statement can know of each column."""
    for name, table in sorted(metadata.tables.items()):
        for column in table.columns:
            given = column.default
            default = given.arg if isinstance(given, ScalarElementColumnDefault) else given
            kind = column.type.compile(dialect)
            own = isinstance(column.type, Instant)
            yield name, column.name, kind, own, column.primary_key, column.nullable, default


def test_the_tables_are_those_of_the_models() -> None:
    wanted = written(models.metadata)
    if "XIANLI_WRITE_DOCS" in os.environ:
        FILE.write_text(wanted, encoding="utf-8")

    assert FILE.read_text(encoding="utf-8") == wanted, STALE


@pytest.mark.parametrize("dialect", [sqlite.dialect, postgresql.dialect])
def test_a_statement_is_the_same_on_either(dialect: type[Dialect]) -> None:
    assert list(told(tables.metadata, dialect())) == list(told(models.metadata, dialect()))
