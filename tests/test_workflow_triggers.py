"""What SQLite refuses by itself, to plain `sqlite3` and whoever holds the file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import county
import pytest
from county import CODE, PERMITTED, County

from states.vocabulary import State, Trigger
from workflow import triggers

OTHER = county.TOWN[1]
Row = dict[str, object]


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Two cases with the winter behind them, nothing permitted yet."""
    place = county.fresh(tmp_path)
    county.carry(place, [CODE, OTHER], State.STABLE_SEASON)
    county.winter(place, [CODE, OTHER])
    place.database.close()
    return place


@pytest.fixture
def plain(place: County) -> Iterator[sqlite3.Connection]:
    """A connection without any setting of ours."""
    connection = sqlite3.connect(place.file)
    yield connection
    connection.close()


def next_step(place: County, tmp_path: Path) -> tuple[Row, Row]:
    """The journal and permission rows that a lawful permission of CODE would write."""
    other = tmp_path / "other"
    other.mkdir()
    ahead = county.County(other / "county.db", place.database)
    ahead.file.write_bytes(place.file.read_bytes())
    ahead = county.open_at(ahead.file)
    ahead.advance(CODE, Trigger.PERMIT, PERMITTED)
    connection = sqlite3.connect(ahead.file)
    connection.row_factory = sqlite3.Row
    [event] = connection.execute("SELECT * FROM journal ORDER BY seq DESC LIMIT 1")
    [permission] = connection.execute("SELECT * FROM permission")
    connection.close()
    ahead.database.close()
    return dict(event), dict(permission)


def insert(
    plain: sqlite3.Connection, table: str, row: Row, how: str = "INSERT", tail: str = ""
) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"{how} INTO {table} ({names}) VALUES ({marks}) {tail}"
    plain.execute(statement, list(row.values()))


def refused(plain: sqlite3.Connection, message: str, statement: str, *values: object) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=f"xianli: .*{message}"):
        plain.execute(statement, values)


# The journal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        *("seq", "stream", "version", "previous", "kind", "from_state", "to_state"),
        *("occurred_on", "recorded_at", "actor", "role", "hash", "body"),
    ],
)
def test_no_column_of_the_journal_can_be_changed(plain: sqlite3.Connection, column: str) -> None:
    refused(plain, "never changed", f"UPDATE journal SET {column} = {column} WHERE seq = 5")


@pytest.mark.parametrize("how", ["UPDATE OR REPLACE", "UPDATE OR IGNORE"])
def test_no_way_of_updating_gets_round_the_journal(plain: sqlite3.Connection, how: str) -> None:
    refused(plain, "never changed", f"{how} journal SET actor = 'li' WHERE seq = 5")


@pytest.mark.parametrize("where", ["seq = 5", "seq = (SELECT MAX(seq) FROM journal)", "1"])
def test_no_event_can_be_deleted(plain: sqlite3.Connection, where: str) -> None:
    refused(plain, "never shortened", f"DELETE FROM journal WHERE {where}")


@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "REPLACE"])
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_no_event_can_be_replaced(plain: sqlite3.Connection, how: str, recursive: str) -> None:
    plain.execute(f"PRAGMA recursive_triggers = {recursive}")

    refused(plain, "seq must follow", f"{how} INTO journal SELECT * FROM journal WHERE seq = 5")


def test_no_event_can_be_replaced_through_its_version(
    place: County, plain: sqlite3.Connection, tmp_path: Path
) -> None:
    event, permission = next_step(place, tmp_path)
    insert(plain, "permission", permission)

    with pytest.raises(sqlite3.IntegrityError, match="version and previous"):
        insert(plain, "journal", event | {"version": 1, "previous": None}, "INSERT OR REPLACE")


def test_no_event_can_be_changed_by_an_upsert(plain: sqlite3.Connection) -> None:
    statement = (
        "INSERT INTO journal SELECT * FROM journal WHERE seq = 5"
        " ON CONFLICT (seq) DO UPDATE SET actor = 'li'"
    )

    refused(plain, "seq must follow", statement)


def test_the_lawful_next_event_is_taken(
    place: County, plain: sqlite3.Connection, tmp_path: Path
) -> None:
    event, permission = next_step(place, tmp_path)

    insert(plain, "permission", permission)
    insert(plain, "journal", event)

    assert plain.execute("SELECT MAX(seq) FROM journal").fetchone() == (event["seq"],)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq": None}, "seq must follow"),
        ({"seq": 0}, "seq must follow"),
        ({"seq": 1000}, "seq must follow"),
        ({"version": 1000}, "version and previous"),
        ({"version": 1}, "version and previous"),
        ({"previous": "0" * 64}, "version and previous"),
        ({"previous": None}, "version and previous"),
        ({"stream": f"case:{OTHER}"}, "version and previous"),
        ({"recorded_at": "2024-04-01T03:59:59.999999Z"}, "must not go back"),
        ({"occurred_on": "2024-04-01"}, "must name what it rests on"),
        ({"kind": "confirm"}, "only permit leads to"),
    ],
)
def test_an_event_out_of_line_is_refused(
    place: County, plain: sqlite3.Connection, tmp_path: Path, change: Row, message: str
) -> None:
    event, permission = next_step(place, tmp_path)
    insert(plain, "permission", permission)

    with pytest.raises(sqlite3.IntegrityError, match=message):
        insert(plain, "journal", event | change)


def test_a_permission_without_its_row_is_refused(
    place: County, plain: sqlite3.Connection, tmp_path: Path
) -> None:
    event, _ = next_step(place, tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match="must name what it rests on"):
        insert(plain, "journal", event)


def test_a_permission_with_the_row_of_another_case_is_refused(
    place: County, plain: sqlite3.Connection, tmp_path: Path
) -> None:
    event, permission = next_step(place, tmp_path)
    other = plain.execute(
        "SELECT (SELECT seq FROM journal WHERE stream = ?1 AND kind = 'accept'),"
        " (SELECT seq FROM journal WHERE stream = ?1 AND kind = 'complete')",
        (f"case:{OTHER}",),
    ).fetchone()
    swapped = {"case_code": OTHER, "acceptance_seq": other[0], "readiness_seq": other[1]}
    insert(plain, "permission", permission | swapped)

    with pytest.raises(sqlite3.IntegrityError, match="must name what it rests on"):
        insert(plain, "journal", event)


# Cases -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "state = 'removal_permitted'",
        "state = 'closed'",
        "version = version + 1",
        "version = version - 1",
        f"head_hash = '{'0' * 64}'",
        "state = NULL",
    ],
)
@pytest.mark.parametrize("how", ["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"])
def test_a_case_changes_only_with_its_event(
    plain: sqlite3.Connection, how: str, change: str
) -> None:
    statement = f"{how} household_case SET {change} WHERE code = ?"

    refused(plain, "only with its event", statement, CODE)


def test_a_case_keeps_its_code(plain: sqlite3.Connection) -> None:
    refused(plain, "", "UPDATE household_case SET code = 'X' WHERE code = ?", CODE)


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_a_case_cannot_be_put_in_anew_in_another_state(
    plain: sqlite3.Connection, recursive: str
) -> None:
    plain.execute(f"PRAGMA recursive_triggers = {recursive}")
    plain.row_factory = sqlite3.Row
    row = dict(plain.execute("SELECT * FROM household_case WHERE code = ?", (CODE,)).fetchone())

    for how in ("INSERT OR REPLACE", "REPLACE"):
        with pytest.raises(sqlite3.IntegrityError, match="only with its event"):
            insert(plain, "household_case", row | {"state": "removal_permitted"}, how)
    tail = "ON CONFLICT (code) DO UPDATE SET state = 'removal_permitted'"
    with pytest.raises(sqlite3.IntegrityError, match="only with its event"):
        insert(plain, "household_case", row, tail=tail)


def test_a_case_without_any_event_cannot_be_put_in(plain: sqlite3.Connection) -> None:
    plain.row_factory = sqlite3.Row
    row = dict(plain.execute("SELECT * FROM household_case WHERE code = ?", (CODE,)).fetchone())

    with pytest.raises(sqlite3.IntegrityError, match="only with its event"):
        insert(plain, "household_case", row | {"code": "101-9999"})


def test_a_case_is_never_deleted(plain: sqlite3.Connection) -> None:
    refused(plain, "never deleted", "DELETE FROM household_case WHERE code = ?", CODE)


# Permissions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_state": "acceptance"}, "not in stable_season"),
        ({"source_state": None}, "."),
        ({"case_code": "101-0003"}, "not in stable_season"),
        ({"case_code": OTHER}, "no such acceptance"),
        ({"acceptance_seq": 1}, "no such acceptance"),
        ({"acceptance_seq": None}, "."),
        ({"accepted_on": "2023-09-09"}, "no such acceptance"),
        ({"readiness_seq": 1}, "no such readiness"),
        ({"readiness_seq": None}, "."),
        ({"ready_on": "2023-08-11"}, "no such readiness"),
        ({"ready_on": "2024-01-01"}, "no such readiness"),
        ({"permitted_by": "zhao"}, "cannot permit"),
        ({"accepted_by": "zhang"}, "cannot permit"),
        ({"plan": "0" * 64}, "no such plan"),
        ({"season_first_day": "2023-09-09"}, "no full season"),
        ({"season_first_day": None}, "no full season"),
        ({"season_last_day": None}, "no full season"),
        ({"season_first_day": None, "season_last_day": None}, "no full season"),
        ({"season_last_day": "2023-11-01"}, "no full season"),
        ({"permitted_on": "2024-03-31"}, "no full season"),
        ({"season_last_day": "2024-04-02"}, "no full season"),
    ],
)
def test_a_permission_that_lacks_one_of_its_facts_is_refused(
    place: County, plain: sqlite3.Connection, tmp_path: Path, change: Row, message: str
) -> None:
    _, permission = next_step(place, tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match=message):
        insert(plain, "permission", permission | change)


@pytest.mark.parametrize("change", [{}, {"season_first_day": "2023-09-10"}])
def test_a_permission_with_all_its_facts_is_taken_on_the_boundary_day_too(
    place: County, plain: sqlite3.Connection, tmp_path: Path, change: Row
) -> None:
    _, permission = next_step(place, tmp_path)

    insert(plain, "permission", permission | change)

    assert plain.execute("SELECT COUNT(*) FROM permission").fetchone() == (1,)


@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"])
def test_a_permission_cannot_be_put_in_anew(
    place: County, plain: sqlite3.Connection, how: str
) -> None:
    opened = county.open_at(place.file)
    opened.advance(CODE, Trigger.PERMIT, PERMITTED)

    refused(plain, "not in stable_season", f"{how} INTO permission SELECT * FROM permission")


def test_a_permission_is_never_changed_or_deleted(place: County, plain: sqlite3.Connection) -> None:
    opened = county.open_at(place.file)
    opened.advance(CODE, Trigger.PERMIT, PERMITTED)

    refused(plain, "never changed", "UPDATE permission SET permitted_by = 'li'")
    refused(plain, "never deleted", "DELETE FROM permission")


@pytest.mark.parametrize("name", list(triggers.SQLITE))
def test_every_trigger_is_in_the_database(plain: sqlite3.Connection, name: str) -> None:
    [(statement,)] = plain.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,))

    assert statement == triggers.SQLITE[name]
