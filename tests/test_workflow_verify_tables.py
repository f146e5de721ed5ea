"""The tables of the independent audit: who may do what, in which order, and what must be said."""

import json
from dataclasses import replace

import pytest
from bundles import (
    CODE,
    PERMIT_DAY,
    REGISTERED,
    Line,
    Signer,
    Step,
    events,
    integrity,
    make,
    rewritten,
    story,
)

from states import lifecycle
from states.vocabulary import Facility, FactKind, RemovedBy, State, Trigger
from workflow import verify

COUNTY = {"county_office"}
FIELD = {"unit_officer", "unit_head", "county_office"}
EVERYBODY = {*FIELD, "acceptor", "auditor"}


def test_the_steps_are_those_of_the_programs_own_table() -> None:
    steps = {str(step.trigger): set(step.moves.items()) for step in lifecycle.STEPS}

    assert {"registered": {(None, "household_confirmation")}} | steps == verify.EDGES
    assert list(verify.STATES) == list(State)
    assert {state: State(state).label for state in verify.STATES} == verify.STATES


def test_who_may_record_what_is_that_of_the_programs_own_table() -> None:
    kinds: dict[str, set[str]] = {
        str(kind): {str(role) for role in lifecycle.roles_for(kind)}
        for kind in (*Trigger, *FactKind)
    }
    told = {kind: roles for kind, (_, roles) in verify.CASE_KINDS.items()}

    assert told == kinds | {"registered": FIELD, "amended": FIELD}
    assert set(FactKind) == verify.FACTS
    assert {"unit_officer", "unit_head"} == verify.UNIT


def test_who_may_write_beside_the_households() -> None:
    told = {of: roles for of, (_, roles) in verify.OTHER_KINDS.items()}

    assert told == {
        ("database", "init"): COUNTY,
        ("plan", "plan_adopted"): COUNTY,
        ("plan", "plan_proposed"): COUNTY,
        ("officers", "officer_added"): COUNTY,
        ("officers", "officer_disabled"): COUNTY,
        ("officers", "key_added"): COUNTY,
        ("officers", "key_revoked"): COUNTY,
        ("checkpoints", "checkpoint_made"): {"system"},
        ("witnesses", "witness_added"): COUNTY,
        ("witnesses", "witness_revoked"): COUNTY,
        ("quarantine", "quarantine_proposed"): {"county_office", "auditor"},
        ("quarantine", "quarantine_confirmed"): {"county_office", "auditor"},
        ("gates", "gate_opened"): COUNTY,
        ("catalogue", "catalogue_imported"): COUNTY,
        ("calendar", "holidays_entered"): COUNTY,
        ("ledgers", "ledger_imported"): FIELD,
        ("privacy", "revealed"): EVERYBODY,
        ("privacy", "erased"): COUNTY,
        ("samples", "sample_drawn"): {"auditor"},
        ("samples", "sample_results"): {"auditor"},
        ("letters", "letter_issued"): {"system"},
        ("letters", "letter_answered"): FIELD,
        ("bulletins", "bulletin_published"): COUNTY,
    }


def test_a_step_is_taken_only_along_the_table() -> None:
    """Every kind, from every state, to every state: one event each, in one journal."""
    wanted, steps = [], []
    for kind, moves in verify.EDGES.items():
        for source in (None, *verify.STATES):
            for target in (None, *verify.STATES):
                wanted.append((source, target) in moves)
                over = {"from": source, "to": target}
                steps.append(Step(kind, "2024-05-01", "zhang", over=over))
    lines = make(*story(), *steps)
    told: dict[int | None, list[str]] = {}
    for one in verify.examine(lines).integrity:
        told.setdefault(one.seq, []).append(one.message)

    first = len(events(lines)) - len(steps) + 1
    for place, allowed in enumerate(wanted):
        said = any("的这一步" in words for words in told.get(first + place, ()))
        assert said is not allowed, steps[place]


def test_old_facilities_and_those_who_took_them_are_called_as_everywhere() -> None:
    words = {str(word): word.label for word in (*Facility, *RemovedBy)}
    del words["none"]

    assert words | {"other": "其他原设施"} == verify.WORDS


@pytest.mark.parametrize("name", sorted(verify.EVENT_KEYS))
def test_an_event_has_each_of_its_keys(name: str) -> None:
    lines = make()
    line = events(lines)[-1]
    body = json.loads(str(line["bytes"]))
    del body[name]
    rewritten(line, **dict.fromkeys(body, None))
    line["bytes"] = verify.CANONICAL(body)

    assert "event_malformed" in integrity(lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", True),
        ("schema", 0),
        ("schema", None),
        ("version", -1),
        ("version", "3"),
        ("stream", ""),
        ("stream", "case:"),
        ("kind", 3),
        ("actor", None),
        ("role", ""),
        ("recorded_at", "2024-05-01"),
        ("recorded_at", "2024-05-01T25:00:00.000000Z"),
        ("occurred_on", None),
        ("occurred_on", "2024-02-30"),
        ("from", 3),
        ("to", ""),
        ("previous", []),
        ("plan", 0),
        ("personal", 7),
        ("reason", False),
        ("evidence", None),
        ("attachments", {}),
        ("attachments", [{"name": "", "sha256": "a" * 64}]),
        ("attachments", [{"name": "a", "sha256": "a" * 63}]),
        ("attachments", [{"name": "a", "sha256": "A" * 64}]),
        ("attachments", ["a"]),
        ("attachments", [{"name": "a", "sha256": "a" * 64}, {"name": "b", "sha256": None}]),
    ],
)
def test_each_value_of_an_event_is_of_its_kind(name: str, value: object) -> None:
    pause = Step("pause", "2024-05-01", evidence={"cause": "grid"}, over={name: value})

    assert "event_malformed" in integrity(make(*story(), pause))


def test_a_reason_may_be_empty_and_an_attachment_needs_its_name_and_hash() -> None:
    files = [{"name": "a.pdf", "sha256": "0123456789abcdef" * 4, "size": 3}]
    over = {"reason": "", "attachments": files, "personal": "b" * 64}

    assert integrity(make(*story(), Step("pause", "2024-05-01", over=over))) == set()


# ---------------------------------------------------------------- evidence

KEY, WITNESS = Signer("key"), Signer("xinzhou")
LETTER: Line = {"number": "甲〔2024〕1号", "kind": "urge", "unit": "103", "matters": []}
# Every kind whose evidence the audit reads: what is needed, what may be left out; and by whom.
NEEDED: list[tuple[str, str, str, Line, Line]] = [
    ("gates", "gate_opened", "zhang",
     {"unit": "103", "village": "东会村", "kind": "grid", "opened_on": "2024-01-01"}, {}),
    ("calendar", "holidays_entered", "zhang",
     {"year": 2024, "source": "国办", "off": ["2024-05-01"], "working": []}, {}),
    ("officers", "officer_disabled", "zhang", {"login": "lin"}, {}),
    ("officers", "key_revoked", "zhang", {"login": "lin", "key": KEY.line}, {}),
    ("letters", "letter_answered", "zhang", {"number": "甲〔2024〕1号"}, {}),
    ("samples", "sample_drawn", "he", {"seed": "1", "states": ["acceptance"], "by_unit": []}, {}),
    ("officers", "key_added", "zhang", {"login": "lin", "key": KEY.line},
     {"valid_until": "2025-01-01"}),
    ("witnesses", "witness_added", "zhang", {"key": WITNESS.witness_line}, {}),
    ("witnesses", "witness_revoked", "zhang", {"key": WITNESS.witness_line}, {}),
    ("quarantine", "quarantine_proposed", "zhang", {"code": CODE, "fingerprint": "f"}, {}),
    ("quarantine", "quarantine_confirmed", "he",
     {"code": CODE, "fingerprint": "f", "proposal": "1"}, {}),
    ("letters", "letter_issued", "system", LETTER, {}),
    ("case", "accept", "sun", {}, {"facility": ["none"]}),
    ("case", "confirm", "wang", {}, {"old_facility": ["kang:in_use"]}),
    ("case", "complete", "wang", {"ready_on": "2023-09-20"}, {}),
    ("case", "change_path", "zhang", {},
     {"path": "solar", "quota": "planned", "keep_device": "no", "old_facility": ["kang:in_use"]}),
    ("case", "reinstate", "zhang", {}, {"path": "solar", "quota": "planned"}),
    ("case", "revoke", "zhang", {}, {"cause": "paper_fault"}),
    ("case", "works", "wang", {}, {"first_heat_on": "2024-05-01"}),
    ("case", "old-facility", "wang", {"facility": "kang", "status": "in_use"}, {"by": "official"}),
    ("case", "visit", "wang", {"temperature": "18"}, {}),
    ("case", "signature", "wang", {"season": "2023-2024"}, {}),
    ("case", "violation", "wang", {}, {"by": "official"}),
    ("case", "finding", "he", {"severity": "note"}, {}),
    ("case", "repair", "wang", {"fault": "@fault"}, {}),
    ("case", "resolve", "lin", {"id": "@complaint"}, {}),
    ("case", "correct", "lin", {"id": "@fault"}, {}),
]  # fmt: skip


def malformed(stream: str, kind: str, by: str, evidence: Line) -> list[str]:
    """What is said of evidence that cannot be read."""
    role = {"role": "system"} if by == "system" else {}
    step = Step(
        kind, "2024-05-03", by, evidence,
        stream=f"case:{CODE}" if stream == "case" else stream, over=role,
    )  # fmt: skip
    before = (Step("fault", "2024-05-01", label="fault"), Step("complaint", "2024-05-01"))
    before = (before[0], replace(before[1], label="complaint"))
    lines = make(*story(), *before, step)
    last = events(lines)[-1]["seq"]
    told = [one for one in verify.examine(lines).integrity if one.seq == last]
    return [one.message for one in told if one.code == "evidence_malformed"]


@pytest.mark.parametrize(("stream", "kind", "by", "needed", "more"), NEEDED)
def test_each_value_that_the_audit_reads_must_be_there_and_readable(
    stream: str, kind: str, by: str, needed: Line, more: Line
) -> None:
    whole = needed | more
    assert malformed(stream, kind, by, whole) == []
    for key in whole:
        without = {name: value for name, value in whole.items() if name != key}
        told = malformed(stream, kind, by, without)
        assert len(told) == (key in needed), key
        for words in (*told, *malformed(stream, kind, by, whole | {key: {}})):
            assert f"{key} 缺失或读不出：" in words
        assert malformed(stream, kind, by, whole | {key: {}}), key


@pytest.mark.parametrize("name", ["unit", "path", "kind", "area", "quota", "village"])
def test_a_registration_without_a_village_is_one(name: str) -> None:
    step = replace(story()[0], evidence={**REGISTERED, name: None}, by="zhang")

    assert integrity(make(step)) == (set() if name == "village" else {"evidence_malformed"})


@pytest.mark.parametrize(
    ("evidence", "sound"),
    [
        ({"login": "new", "role": "auditor"}, True),
        ({"login": "new", "role": "acceptor"}, True),
        ({"login": "new", "role": "system"}, False),
        ({"login": "new", "role": "king"}, False),
        ({"login": "new"}, False),
        ({"login": "new", "role": ["auditor"]}, False),
        ({"login": "system", "role": "auditor"}, False),
        ({"login": "", "role": "auditor"}, False),
        ({"role": "auditor"}, False),
    ],
)
def test_an_officer_has_a_login_and_a_role_of_the_list(evidence: Line, sound: bool) -> None:
    lines = make(*story(), Step("officer_added", PERMIT_DAY, "zhang", evidence, stream="officers"))
    own: Line = {"type": "officer", "login": "new", "name": None, "person": "new"}
    own |= {"role": evidence.get("role"), "unit": None, "active": True}

    assert integrity([*lines, own] if sound else lines) == (
        set() if sound else {"evidence_malformed"}
    )
