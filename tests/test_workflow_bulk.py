"""Rows for many at once go in as SQLAlchemy's own execute puts them, on both databases."""

from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, County
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_update
from sqlalchemy.exc import IntegrityError

from workflow import bulk, tables

NOTICE, DEADLINE = tables.NOTICE, tables.DEADLINE
NOTED = bulk.Rows(insert(NOTICE))


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def notice(key: str, **other: object) -> dict[str, object]:
    return {
        "key": key,
        "person": "wang",
        "case_code": CODE,
        "unit": "101",
        "deadline": f"select:1@{county.CONFIRMED}",
        "rung": "d7",
        "due_on": county.CONFIRMED,
        "told": "七日内到期",
        "created_at": county.noon(county.CONFIRMED),
        "message": None,
        "dropped": False,
        **other,
    }


def noted(connection: Connection) -> list[tuple[object, ...]]:
    query = select(NOTICE).order_by(NOTICE.c.key)
    return [tuple(row) for row in connection.execute(query)]


def test_rows_stand_there_as_if_sqlalchemy_had_executed_them(place: County) -> None:
    rows = [notice("a"), notice("b", due_on=None, deadline=None), notice("c", dropped=True)]
    with place.database.rehearsal() as connection:
        connection.execute(insert(NOTICE), rows)
        wanted = noted(connection)
    with place.database.rehearsal() as connection:
        touched = NOTED.write(connection, rows)
        found = noted(connection)

    assert touched == len(rows)
    assert len(wanted) == len(rows)
    assert found == wanted


def test_one_row_alone_goes_in_too(place: County) -> None:
    with place.database.rehearsal() as connection:
        assert NOTED.write(connection, [notice("a", told="一条")]) == 1
        assert [row[NOTICE.c.keys().index("told")] for row in noted(connection)] == ["一条"]


def test_rows_of_other_columns_are_another_statement(place: County) -> None:
    short = {name: value for name, value in notice("b").items() if name != "message"}
    with place.database.rehearsal() as connection:
        NOTED.write(connection, [notice("a", message=None)])
        NOTED.write(connection, [short])
        assert len(noted(connection)) == 2


def test_a_row_that_lacks_a_value_is_a_bug_and_writes_nothing(place: County) -> None:
    lacking = {name: value for name, value in notice("b").items() if name != "person"}
    with place.database.rehearsal() as connection:
        with pytest.raises(KeyError, match="person"):
            NOTED.write(connection, [notice("a"), lacking])
        assert noted(connection) == []


def test_what_an_update_found_is_told(place: County) -> None:
    told = bulk.Rows(
        update(NOTICE).where(NOTICE.c.key == bindparam("of")).values(due_on=bindparam("becomes"))
    )
    day = date(2023, 8, 1)
    with place.database.rehearsal() as connection:
        NOTED.write(connection, [notice("a"), notice("b")])
        one = {"of": "a", "becomes": day}
        assert told.write(connection, [one, {"of": "nobody's", "becomes": day}]) == 1
        assert told.write(connection, [{"of": "nobody's", "becomes": None}]) == 0
        due = dict(connection.execute(select(NOTICE.c.key, NOTICE.c.due_on)).all())
        assert due == {"a": day, "b": county.CONFIRMED}


def test_a_row_that_is_there_is_replaced_or_refused_as_the_statement_says(place: County) -> None:
    new = insert_or_update(NOTICE)
    put = bulk.Rows(
        new.on_conflict_do_update(index_elements=["key"], set_={"told": new.excluded["told"]})
    )
    with place.database.rehearsal() as connection:
        NOTED.write(connection, [notice("a"), notice("b")])
        put.write(connection, [notice("b", told="另一句"), notice("c", told="新的")])
        told = dict(connection.execute(select(NOTICE.c.key, NOTICE.c.told)).all())
        assert told == {"a": "七日内到期", "b": "另一句", "c": "新的"}
        with pytest.raises(IntegrityError), connection.begin_nested():
            NOTED.write(connection, [notice("d"), notice("a")])


def test_rows_go(place: County) -> None:
    gone = bulk.Rows(delete(NOTICE).where(NOTICE.c.key == bindparam("of")))
    with place.database.rehearsal() as connection:
        NOTED.write(connection, [notice("a"), notice("b"), notice("c")])
        assert gone.write(connection, [{"of": "a"}, {"of": "c"}]) == 2
        assert len(noted(connection)) == 1
