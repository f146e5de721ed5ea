"""The one append path, and docs/journal.md read by somebody who has nothing else."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import county
import pytest
from county import CODE, County
from hypothesis import given
from hypothesis import strategies as st

from states.facts import Actor
from states.plan import Json
from states.vocabulary import FactKind, Role, State
from workflow import journal, quarantine, register
from workflow.errors import Conflict, JournalBroken
from workflow.instants import instant_of, instant_text
from workflow.journal import Draft, Pen

KEYS = {
    *("schema", "stream", "version", "previous", "kind", "from", "to", "occurred_on"),
    *("recorded_at", "actor", "role", "reason", "evidence", "attachments", "plan", "personal"),
}
ZHANG = Actor("zhang", "zhang", "张县办", Role.COUNTY_OFFICE)


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def finished(place: County) -> County:
    county.carry(place, county.CODES, State.REMOVAL_PERMITTED)
    return place


def rows(place: County) -> list[tuple[dict[str, Json], bytes, dict[str, object]]]:
    names = (
        *("seq", "stream", "version", "previous", "kind", "from_state", "to_state"),
        *("occurred_on", "recorded_at", "actor", "role", "hash", "body"),
    )
    found = []
    for row in place.sql(f"SELECT {', '.join(names)} FROM journal ORDER BY seq"):
        columns = dict(zip(names, row, strict=True))
        body = cast(bytes, columns["body"])
        found.append((json.loads(body), body, columns))
    return found


def test_every_event_is_canonical_hashed_and_chained_as_the_page_says(finished: County) -> None:
    heads: dict[object, tuple[object, object]] = {}
    instants = []
    for number, (event, body, columns) in enumerate(rows(finished), start=1):
        text = json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        version, head = heads.get(event["stream"], (0, None))

        assert set(event) == KEYS
        assert body == text.encode()
        assert columns["hash"] == hashlib.sha256(body).hexdigest()
        assert columns["seq"] == number
        assert event["version"] == cast(int, version) + 1
        assert event["previous"] == head
        heads[event["stream"]] = (event["version"], columns["hash"])
        instants.append(str(event["recorded_at"]))
    assert instants == sorted(instants)


def test_the_columns_say_what_the_bytes_say(finished: County) -> None:
    for event, _, columns in rows(finished):
        for name in ("stream", "version", "previous", "kind", "occurred_on", "recorded_at",
                     "actor", "role"):  # fmt: skip
            assert columns[name] == event[name]
        assert (columns["from_state"], columns["to_state"]) == (event["from"], event["to"])


def test_every_event_names_the_plan_whose_hash_is_that_of_its_document(finished: County) -> None:
    events = [event for event, _, _ in rows(finished)]
    [adopted] = [event for event in events if event["kind"] == "plan_adopted"]
    document = cast(dict[str, Json], adopted["evidence"])["document"]
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    assert {event["plan"] for event in events} == {hashlib.sha256(text.encode()).hexdigest()}


def test_the_first_event_says_what_the_database_is(place: County) -> None:
    first = rows(place)[0][0]

    assert (first["stream"], first["kind"]) == ("database", "init")
    assert first["evidence"] == {"drill": True, "plan": "tiny"}


def draft(stream: str = "privacy", kind: str = "revealed") -> Draft:
    return Draft(stream, kind, county.CONFIRMED, {"codes": [], "purpose": "测试"})


def test_what_a_pen_adds_is_in_the_database_after_it_writes(place: County) -> None:
    number = len(rows(place))
    with place.database.transaction() as connection:
        plan = register.plan_in_force(connection)
        pen = Pen(connection, ZHANG, county.noon(county.CONFIRMED), plan)
        first, second = pen.add(draft()), pen.add(draft())
        assert journal.size(connection) == number
        pen.write()
        pen.write()

    assert (first.seq, second.seq) == (number + 1, number + 2)
    assert (second.previous, second.version) == (first.hash, first.version + 1)
    assert len(rows(place)) == number + 2


@pytest.mark.parametrize(("seconds", "refused"), [(0, False), (60, False), (61, True)])
def test_a_clock_may_lag_by_a_minute_and_no_more(
    place: County, seconds: int, refused: bool
) -> None:
    last = county.noon(county.LEDGER_IN)
    now = last - timedelta(seconds=seconds)
    with place.database.transaction() as connection:
        plan = register.plan_in_force(connection)
        if refused:
            with pytest.raises(Conflict) as conflict:
                Pen(connection, ZHANG, now, plan)
            assert conflict.value.code == "clock_behind"
        else:
            assert Pen(connection, ZHANG, now, plan).now == last


def test_reading_a_stream_checks_its_chain(place: County) -> None:
    place.advance(CODE, FactKind.FAULT, county.CONFIRMED, ("what", "坏"))
    place.tamper("UPDATE journal SET hash = 'x' WHERE stream = ? AND version = 1", f"case:{CODE}")

    with place.database.reading() as connection:
        with pytest.raises(JournalBroken) as broken:
            journal.read_streams(connection, [f"case:{CODE}"], {})
        with pytest.raises(JournalBroken):
            quarantine.check_whole(connection)
        other = journal.read_streams(connection, ["case:101-0002"], {})

    assert CODE in str(broken.value.place)
    assert len(other["case:101-0002"]) == 1


@pytest.mark.parametrize("body", [b"\xff\x00", b"[]", b"{}", b"null"])
def test_bytes_that_are_no_event_are_told_as_a_broken_journal(place: County, body: bytes) -> None:
    place.tamper("UPDATE journal SET body = ? WHERE stream = ?", body, f"case:{CODE}")

    with place.database.reading() as connection, pytest.raises(JournalBroken):
        journal.read_streams(connection, [f"case:{CODE}"], {}, checked=False)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda instant: instant.year > 1000))
def test_an_instant_comes_back_from_its_text_and_sorts_as_it_does(instant: datetime) -> None:
    later = instant + timedelta(microseconds=1)

    assert instant_of(instant_text(instant)) == instant
    assert instant_text(instant) < instant_text(later)
    assert len(instant_text(instant)) == 27


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_canonical_bytes_do_not_depend_on_the_order_of_keys(value: Json) -> None:
    one = journal.canonical({"a": value, "b": 1})
    other = journal.canonical({"b": 1, "a": value})

    assert one == other
    assert json.loads(one) == {"a": value, "b": 1}
