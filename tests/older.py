"""Databases as earlier versions of the program left them, with live data."""

import sqlite3
from contextlib import closing
from pathlib import Path

from county import County
from sqlalchemy import insert, inspect, select

from workflow import db, migrations, triggers
from workflow.models import metadata

REVISIONS = ("0001", "0002", "0003")


def older(place: County, file: Path, revision: str) -> Path:
    """A file with the tables of an earlier version and all that they can hold of the county."""
    made = db.connect(str(file), new=True)
    with made.transaction() as connection:
        migrations.upgrade(connection, revision)
    made.close()
    with closing(sqlite3.connect(file)) as plain:
        plain.execute("ATTACH ? AS made", (str(place.file),))
        query = "SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name"
        names = [name for (name,) in plain.execute(query) if name != "alembic_version"]
        # The journal first: the triggers want a case's events before its row.
        for name in sorted(names, key=lambda one: one != "journal"):
            told = [row[1] for row in plain.execute(f'PRAGMA main.table_info("{name}")')]
            columns = ", ".join(told)
            order = "ORDER BY seq" if name == "journal" else ""
            held = f'SELECT {columns} FROM made."{name}" {order}'
            plain.execute(f'INSERT INTO "{name}" ({columns}) {held}')
        plain.commit()
    return file


def older_in_server(place: County, url: str, revision: str) -> None:
    """The same in an empty database of a server."""
    made = db.connect(url, new=True, plan=place.database.plan)
    with place.database.reading() as reading, made.transaction() as writing:
        migrations.upgrade(writing, revision)
        triggers.drop(writing)
        looked = inspect(writing)
        for name in sorted(set(looked.get_table_names()) & set(metadata.tables)):
            told = {column["name"] for column in looked.get_columns(name)}
            whole = metadata.tables[name]
            rows = reading.execute(select(*(c for c in whole.columns if c.name in told))).mappings()
            if held := [dict(row) for row in rows]:
                writing.execute(insert(whole), held)
        triggers.create(writing)
    made.close()
