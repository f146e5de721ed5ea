"""Events whose hash and chain hold, and that say what nobody can read.

Who has the database can write one; then every reader names it with exit status 6, the audit finds
it and goes on, and the case can be put under quarantine.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

import county
import pytest
from county import CODE, OTHER_UNIT, TOWN, County
from office import Office

from states.plan import Json
from states.vocabulary import FactKind, State
from workflow import audit, cases, journal, quarantine
from workflow.cases import Clocks
from workflow.errors import JournalBroken

STREAM = f"case:{CODE}"
Document = dict[str, Json]
NESTED = '{"what":' + "[" * 3000 + "]" * 3000 + "}"


def with_evidence(evidence: Json, kind: str = "complaint") -> Callable[[Document], bytes]:
    return lambda document: journal.canonical({**document, "kind": kind, "evidence": evidence})


def with_words(**words: Json) -> Callable[[Document], bytes]:
    return lambda document: journal.canonical({**document, **words})


def nested(document: Document) -> bytes:
    body = journal.canonical({**document, "evidence": "HERE"})
    return body.replace(b'"HERE"', NESTED.encode())


MISSHAPEN: Mapping[str, Callable[[Document], bytes]] = {
    "evidence is a list": with_evidence([1]),
    "evidence is nothing": with_evidence(None),
    "nested too deep": nested,
    "a visit without its temperature": with_evidence({}, "visit"),
    "a temperature in words": with_evidence({"temperature": [20]}, "visit"),
    "an answer to nothing readable": with_evidence({"id": {"a": 1}, "outcome": "x"}, "resolve"),
    "a right value for no event": with_evidence({"id": 10**9}, "correct"),
    "works on no day": with_evidence({"ready_on": "2023-02-30"}, "works"),
    "an unknown facility": with_evidence(
        {"facility": "dragon", "status": "sealed", "by": "household"}, "old-facility"
    ),
    "a year that no calendar has": with_words(occurred_on="12026-01-01"),
    "a German date": with_words(occurred_on="30.11.2026"),
    "attachments are a word": with_words(attachments=["a"]),
    "an unknown kind": with_words(kind="dance"),
    "an attachment whose name is a number": with_words(attachments=[{"name": 1, "sha256": "a"}]),
    "a reason that is a number": with_words(reason=5),
    "no plan": with_words(plan=None),
    "personal data by a number": with_words(personal=7),
    "an instant without its zone": with_words(recorded_at="2023-06-10T04:00:00.000000"),
}


@pytest.fixture(scope="module")
def busy(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    place = county.fresh(tmp_path_factory.mktemp("busy"))
    county.carry(place, [CODE, OTHER_UNIT], State.CONSTRUCTION)
    return place


@pytest.fixture
def place(busy: County, tmp_path: Path) -> County:
    return county.copy(busy, tmp_path)


def append(place: County, change: Callable[[Document], bytes]) -> int:
    """One more event of the case, hash, chain and the case's row as they must be; its seq."""
    [(body, head)] = place.sql(
        "SELECT body, hash FROM journal WHERE stream = ? ORDER BY version DESC LIMIT 1", STREAM
    )
    assert isinstance(body, bytes)
    before = json.loads(body)
    [(last,)] = place.sql("SELECT MAX(seq) FROM journal")
    seq, version = int(str(last)) + 1, before["version"] + 1
    document = {
        **before,
        "version": version,
        "previous": head,
        "kind": "complaint",
        "from": None,
        "to": None,
        "evidence": {"what": "不热"},
    }
    changed = change(document)
    hash_ = journal.digest(changed)
    columns = "seq, stream, version, previous, kind, occurred_on, recorded_at, actor, role, hash"
    place.tamper(
        f"INSERT INTO journal ({columns}, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(seq, STREAM, version, head, "complaint", before["occurred_on"], before["recorded_at"]),
        *(before["actor"], before["role"], hash_, changed),
    )
    place.tamper(
        "UPDATE household_case SET version = ?, head_hash = ? WHERE code = ?", version, hash_, CODE
    )
    return seq


@pytest.mark.parametrize("change", MISSHAPEN.values(), ids=MISSHAPEN)
def test_who_acts_or_reads_is_told_which_event(
    place: County, change: Callable[[Document], bytes]
) -> None:
    seq = append(place, change)
    before = county.every_row(place)

    with pytest.raises(JournalBroken) as acting:
        place.advance(CODE, FactKind.FAULT, county.COMPLETED, ("what", "坏"))
    with place.database.reading() as connection, pytest.raises(JournalBroken) as reading:
        cases.facts_of(connection, CODE, None, Clocks(county.COMPLETED))

    for told in (acting.value, reading.value):
        assert told.place == f"{STREAM} seq {seq}"
        assert f"audit quarantine {CODE}" in str(told.remedy)
    assert county.every_row(place) == before
    place.advance(TOWN[1], FactKind.FAULT, county.COMPLETED, ("what", "坏"))


@pytest.mark.parametrize("change", MISSHAPEN.values(), ids=MISSHAPEN)
def test_the_audit_finds_it_and_looks_at_all_others(
    place: County, change: Callable[[Document], bytes]
) -> None:
    seq = append(place, change)
    place.tamper("UPDATE household_case SET village = '别处' WHERE code = ?", OTHER_UNIT)

    with place.database.reading() as connection:
        found = audit.verification(connection)

    assert seq in {one.seq for one in found.findings if one.case == CODE}
    assert any(one.case == OTHER_UNIT and "village" in one.message for one in found.findings)


@pytest.mark.parametrize("change", MISSHAPEN.values(), ids=MISSHAPEN)
def test_the_case_can_be_put_under_quarantine_and_the_county_goes_on(
    place: County, change: Callable[[Document], bytes]
) -> None:
    append(place, change)
    for login in ("zhang", "shen"):
        now = county.noon(county.COMPLETED)
        one = quarantine.quarantine(place.database, CODE, "读不出来", actor=login, now=now)

    assert one.confirmed
    day = date(2023, 9, 1)
    for clocks in (Clocks(day), Clocks(day, past=True)):
        # Today's rows say where it stood; of a past day nothing can be said.
        codes = {position.code for position in county.listed(place, clocks)}
        assert codes | {CODE} == set(county.CODES)


def test_commands_end_with_the_status_of_a_broken_journal(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seq = append(place, MISSHAPEN["evidence is a list"])
    office = Office(place, capsys, "zhang")
    clock = ("--today", "2023-09-01")

    for command in (
        ("check",),
        ("check", "--as-of", "2023-08-20"),
        ("case", "show", CODE),
        ("case", "history", CODE),
        ("report", "dashboard", str(tmp_path / "看板.html")),
    ):
        said = office.run(*clock, *command)
        assert (said.status, f"seq {seq}" in said.text) == (6, True), (command, said.text)
    verified = office.run("audit", "verify")
    assert verified.status == 6
    assert str(seq) in verified.text
    first = office.run(*clock, "audit", "quarantine", CODE, "--reason", "读不出来")
    second = office.by("shen").run(*clock, "audit", "quarantine", CODE, "--reason", "读不出来")
    assert (first.status, second.status) == (0, 0), second.text
    assert office.run(*clock, "check").status == 0


def test_what_no_case_says_is_looked_for_where_something_broke(place: County) -> None:
    [(seq, body), *_] = place.sql("SELECT seq, body FROM journal WHERE stream = 'gates'")
    assert isinstance(body, bytes)
    changed = body.replace(b'"village"', b'"town"')
    place.tamper(
        "UPDATE journal SET body = ?, hash = ? WHERE seq = ?", changed, journal.digest(changed), seq
    )

    with pytest.raises(JournalBroken, match="gates"), place.database.reading() as connection:
        _villages(journal.events_of(connection, "gates"))


def _villages(events: Iterable[Mapping[str, Json]]) -> list[Json]:
    evidence = [event["evidence"] for event in events]
    return [told["village"] for told in evidence if isinstance(told, dict)]


def test_a_bug_of_ours_stays_one(place: County) -> None:
    known: dict[str, int] = {}

    with pytest.raises(KeyError), place.database.reading():
        known["nothing"]
