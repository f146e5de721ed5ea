"""What the database refuses by itself, to plain SQL and whoever holds it."""

from collections.abc import Iterator
from pathlib import Path

import county
import pytest
from _pytest.mark import ParameterSet
from county import CODE, PERMITTED, REFUSED, County, Plain

from states.vocabulary import State, Trigger
from workflow import triggers

OTHER = county.TOWN[1]
Row = dict[str, object]


def sqlites(words: str) -> ParameterSet:
    """Words that only SQLite knows."""
    return pytest.param(words, marks=pytest.mark.sqlite)


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Two cases with the winter behind them, nothing permitted yet."""
    place = county.fresh(tmp_path)
    county.carry(place, [CODE, OTHER], State.STABLE_SEASON)
    county.winter(place, [CODE, OTHER])
    return place


@pytest.fixture
def plain(place: County) -> Iterator[Plain]:
    """A connection without any setting of ours."""
    with place.plain() as plain:
        yield plain


def next_step(place: County, tmp_path: Path) -> tuple[Row, Row]:
    """The journal and permission rows that a lawful permission of CODE would write."""
    ahead = county.copy(place, tmp_path / "ahead")
    ahead.advance(CODE, Trigger.PERMIT, PERMITTED)
    [event] = ahead.rows("SELECT * FROM journal ORDER BY seq DESC LIMIT 1")
    [permission] = ahead.rows("SELECT * FROM permission")
    return event, permission


def insert(plain: Plain, table: str, row: Row, how: str = "INSERT", tail: str = "") -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"{how} INTO {table} ({names}) VALUES ({marks}) {tail}"
    plain(statement, *row.values())


def refused(plain: Plain, message: str, statement: str, *values: object) -> None:
    with pytest.raises(REFUSED, match=f"xianli: .*{message}"):
        plain(statement, *values)


# The journal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        *("seq", "stream", "version", "previous", "kind", "from_state", "to_state"),
        *("occurred_on", "recorded_at", "actor", "role", "hash", "body"),
    ],
)
def test_no_column_of_the_journal_can_be_changed(plain: Plain, column: str) -> None:
    refused(plain, "never changed", f"UPDATE journal SET {column} = {column} WHERE seq = 5")


@pytest.mark.sqlite
@pytest.mark.parametrize("how", ["UPDATE OR REPLACE", "UPDATE OR IGNORE"])
def test_no_way_of_updating_gets_round_the_journal(plain: Plain, how: str) -> None:
    refused(plain, "never changed", f"{how} journal SET actor = 'li' WHERE seq = 5")


@pytest.mark.parametrize("where", ["seq = 5", "seq = (SELECT MAX(seq) FROM journal)", "1 = 1"])
def test_no_event_can_be_deleted(plain: Plain, where: str) -> None:
    refused(plain, "never shortened", f"DELETE FROM journal WHERE {where}")


@pytest.mark.sqlite
@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "REPLACE"])
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_no_event_can_be_replaced(plain: Plain, how: str, recursive: str) -> None:
    plain(f"PRAGMA recursive_triggers = {recursive}")

    refused(plain, "seq must follow", f"{how} INTO journal SELECT * FROM journal WHERE seq = 5")


@pytest.mark.sqlite
def test_no_event_can_be_replaced_through_its_version(
    place: County, plain: Plain, tmp_path: Path
) -> None:
    event, permission = next_step(place, tmp_path)
    insert(plain, "permission", permission)

    with pytest.raises(REFUSED, match="version and previous"):
        insert(plain, "journal", event | {"version": 1, "previous": None}, "INSERT OR REPLACE")


def test_no_event_can_be_changed_by_an_upsert(plain: Plain) -> None:
    statement = (
        "INSERT INTO journal SELECT * FROM journal WHERE seq = 5"
        " ON CONFLICT (seq) DO UPDATE SET actor = 'li'"
    )

    refused(plain, "seq must follow", statement)


def test_the_lawful_next_event_is_taken(place: County, plain: Plain, tmp_path: Path) -> None:
    event, permission = next_step(place, tmp_path)

    insert(plain, "permission", permission)
    insert(plain, "journal", event)

    assert plain("SELECT MAX(seq) FROM journal") == [(event["seq"],)]


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
    place: County, plain: Plain, tmp_path: Path, change: Row, message: str
) -> None:
    event, permission = next_step(place, tmp_path)
    insert(plain, "permission", permission)

    with pytest.raises(REFUSED, match=message):
        insert(plain, "journal", event | change)


def test_a_permission_without_its_row_is_refused(
    place: County, plain: Plain, tmp_path: Path
) -> None:
    event, _ = next_step(place, tmp_path)

    with pytest.raises(REFUSED, match="must name what it rests on"):
        insert(plain, "journal", event)


def test_a_permission_with_the_row_of_another_case_is_refused(
    place: County, plain: Plain, tmp_path: Path
) -> None:
    event, permission = next_step(place, tmp_path)
    query = "SELECT seq FROM journal WHERE stream = ? AND kind = ?"
    [(accepted,)], [(ready,)] = (
        plain(query, f"case:{OTHER}", kind) for kind in ("accept", "complete")
    )
    swapped = {"case_code": OTHER, "acceptance_seq": accepted, "readiness_seq": ready}
    insert(plain, "permission", permission | swapped)

    with pytest.raises(REFUSED, match="must name what it rests on"):
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
@pytest.mark.parametrize(
    "how", ["UPDATE", *map(sqlites, ("UPDATE OR REPLACE", "UPDATE OR IGNORE"))]
)
def test_a_case_changes_only_with_its_event(plain: Plain, how: str, change: str) -> None:
    statement = f"{how} household_case SET {change} WHERE code = ?"

    refused(plain, "only with its event", statement, CODE)


def test_a_case_keeps_its_code(plain: Plain) -> None:
    refused(plain, "", "UPDATE household_case SET code = 'X' WHERE code = ?", CODE)


@pytest.mark.sqlite
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "REPLACE"])
def test_a_case_cannot_be_replaced_by_one_in_another_state(
    place: County, plain: Plain, how: str, recursive: str
) -> None:
    plain(f"PRAGMA recursive_triggers = {recursive}")
    [row] = place.rows("SELECT * FROM household_case WHERE code = ?", CODE)

    with pytest.raises(REFUSED, match="only with its event"):
        insert(plain, "household_case", row | {"state": "removal_permitted"}, how)


def test_a_case_cannot_be_put_in_anew_in_another_state(place: County, plain: Plain) -> None:
    [row] = place.rows("SELECT * FROM household_case WHERE code = ?", CODE)

    tail = "ON CONFLICT (code) DO UPDATE SET state = 'removal_permitted'"
    with pytest.raises(REFUSED, match="only with its event"):
        insert(plain, "household_case", row, tail=tail)


def test_a_case_without_any_event_cannot_be_put_in(place: County, plain: Plain) -> None:
    [row] = place.rows("SELECT * FROM household_case WHERE code = ?", CODE)

    with pytest.raises(REFUSED, match="only with its event"):
        insert(plain, "household_case", row | {"code": "101-9999"})


def test_a_case_is_never_deleted(plain: Plain) -> None:
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
    place: County, plain: Plain, tmp_path: Path, change: Row, message: str
) -> None:
    _, permission = next_step(place, tmp_path)

    with pytest.raises(REFUSED, match=message):
        insert(plain, "permission", permission | change)


@pytest.mark.parametrize("change", [{}, {"season_first_day": "2023-09-10"}])
def test_a_permission_with_all_its_facts_is_taken_on_the_boundary_day_too(
    place: County, plain: Plain, tmp_path: Path, change: Row
) -> None:
    _, permission = next_step(place, tmp_path)

    insert(plain, "permission", permission | change)

    assert plain("SELECT COUNT(*) FROM permission") == [(1,)]


@pytest.mark.parametrize(
    "how", ["INSERT", *map(sqlites, ("INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"))]
)
def test_a_permission_cannot_be_put_in_anew(place: County, plain: Plain, how: str) -> None:
    place.advance(CODE, Trigger.PERMIT, PERMITTED)

    refused(plain, "not in stable_season", f"{how} INTO permission SELECT * FROM permission")


def test_a_permission_is_never_changed_or_deleted(place: County, plain: Plain) -> None:
    place.advance(CODE, Trigger.PERMIT, PERMITTED)

    refused(plain, "never changed", "UPDATE permission SET permitted_by = 'li'")
    refused(plain, "never deleted", "DELETE FROM permission")


def test_every_trigger_is_in_the_database(place: County) -> None:
    with place.database.reading() as connection:
        assert triggers.there(connection) == triggers.wanted(connection)
        assert len(triggers.wanted(connection)) >= len(triggers.SQLITE)
