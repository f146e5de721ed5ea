import re
import sqlite3
from pathlib import Path

import county
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from workflow import db, migrations, triggers
from workflow.db import Database
from workflow.models import metadata

pytestmark = pytest.mark.sqlite


@pytest.fixture
def empty(tmp_path: Path) -> Database:
    return db.connect(str(tmp_path / "new.db"), new=True)


def test_an_empty_database_comes_to_the_newest_version(empty: Database) -> None:
    with empty.transaction() as connection:
        migrations.upgrade(connection)
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    folder = str(Path(migrations.__file__).parent)
    assert ScriptDirectory(folder).get_current_head() == version == db.HEAD


def test_the_migrations_make_exactly_the_tables_of_the_models(empty: Database) -> None:
    with empty.transaction() as connection:
        migrations.upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_the_comparison_would_see_a_column_too_many(empty: Database) -> None:
    with empty.transaction() as connection:
        migrations.upgrade(connection)
        connection.execute(text("ALTER TABLE gate ADD COLUMN extra TEXT"))
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        [(what, *_, column)] = compare_metadata(context, metadata)

    assert (what, column.name) == ("remove_column", "extra")


def test_the_triggers_are_exactly_those_of_the_one_place(empty: Database) -> None:
    with empty.transaction() as connection:
        migrations.upgrade(connection)
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        made = {row.name: row.sql for row in connection.execute(query)}

    assert made == triggers.SQLITE


def test_a_migration_that_fails_leaves_an_empty_database(
    empty: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(triggers.SQLITE, "broken", "CREATE TRIGGER broken NO SQL")

    def upgrade() -> None:
        with empty.transaction() as connection:
            migrations.upgrade(connection)

    with pytest.raises(Exception, match="syntax error"):
        upgrade()

    with sqlite3.connect(tmp_path / "new.db") as plain:
        assert plain.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_every_table_that_holds_state_is_in_the_dump_of_the_tests(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)

    assert set(county.every_row(place)) == {*metadata.tables, "alembic_version"}


def test_revisions_follow_each_other_in_one_line() -> None:
    folder = Path(migrations.__file__).parent
    scripts = ScriptDirectory(str(folder))

    names = [file.name for file in (folder / "versions").glob("*.py")]
    assert len(scripts.get_heads()) == 1
    assert all(re.fullmatch(r"[0-9]{4}_\w+\.py|__init__\.py", name) for name in names)


def test_a_database_of_before_signatures_comes_along_with_its_journal_and_triggers(
    tmp_path: Path,
) -> None:
    """What the first version wrote stays as it is, unsigned."""
    place = county.fresh(tmp_path)
    old = db.connect(str(tmp_path / "old.db"), new=True)
    with old.transaction() as connection:
        migrations.upgrade(connection, "0001")
    columns = ", ".join(
        str(name) for _, name, *_ in place.sql("PRAGMA table_info(journal)") if name != "signature"
    )
    with sqlite3.connect(tmp_path / "old.db") as plain:
        plain.execute("ATTACH ? AS made", (str(place.file),))
        plain.execute(
            f"INSERT INTO journal ({columns}) SELECT {columns} FROM made.journal ORDER BY seq"
        )
        before = plain.execute(f"SELECT {columns} FROM journal").fetchall()
    plain.close()

    with old.transaction() as connection:
        migrations.upgrade(connection)

    with sqlite3.connect(tmp_path / "old.db") as plain:
        assert plain.execute(f"SELECT {columns} FROM journal").fetchall() == before
        signed = "SELECT COUNT(*) FROM journal WHERE signature IS NOT NULL"
        assert plain.execute(signed).fetchone() == (0,)
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            plain.execute("UPDATE journal SET signature = 'x'")
    plain.close()
